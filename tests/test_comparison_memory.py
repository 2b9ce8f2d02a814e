# Generated from nbs/8_comparison/83a_paper_widths.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import json
import pytest
import subprocess
import sys
import torch
from dataclasses import replace
from pathlib import Path
from rabit.comparison.memory import images_that_fit
from rabit.comparison.memory import memory_needed
from rabit.core.trials import fails
from rabit.training.config import preset
from rabit.training.trainer import Trainer
from tempfile import TemporaryDirectory

def told_by(code, *words):
    "What a program of its own prints at last, as JSON: what it has used is given back"
    said = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout.splitlines()[-1])


def test_a_step_keeps_more_of_larger_images_and_less_with_checkpointing():
    config = preset("tiny", size=(32, 32))
    small, large = memory_needed(config), memory_needed(replace(config, size=(64, 64)))
    assert small["fixed"] == large["fixed"] and 3 < large["image"] / small["image"] < 4.5
    assert memory_needed(replace(config, checkpoint_activations=True))["image"] < small["image"]
    trainer = Trainer(config, torch.device("cpu"))
    count = {name: sum(p.numel() for p in net.parameters()) for name, net in trainer.modules().items()}
    count["vgg"] = sum(p.numel() for p in trainer.vgg.parameters())
    by_hand = 4 * (4 * (count["model"] + count["discriminator"]) + count["ema"] + count["vgg"])
    assert abs(small["fixed"] - by_hand / 1e6) < 1e-6


def test_the_images_that_fit_divide_the_batch():
    needed = dict(fixed=100., image=80.)                        # 600 MB and 100 for each image
    fitting = {650: 0, 700: 1, 799: 1, 800: 2, 999: 2, 1000: 4, 1399: 4, 1400: 8, 9e9: 8}
    assert {mb: images_that_fit(mb, needed, 8) for mb in fitting} == fitting
    assert images_that_fit(1000, needed, 9) == 3 and "batch = 0" in fails(images_that_fit, 1000, needed, 0)


@pytest.mark.slow
def test_two_steps_of_the_papers_widths_run_in_24_gib():
    with TemporaryDirectory() as tmp:
        options = dict(preset="base", steps=2, batch=2, device="cpu", out=f"{tmp}/run")
        code = ("import json, time, torch; from rabit.training.train_commands import rabit_train; rabit_train(); "
            "from rabit.comparison.runs import peak_memory; print(); "
            "print(json.dumps([peak_memory(torch.device('cpu')), time.process_time()]))")
        megabytes, seconds = told_by(code, *(x for k, v in options.items() for x in (f"--{k}", str(v))))
        assert (Path(tmp)/"run"/"model.safetensors").is_file()
        print(f"{megabytes / 1000:.1f} GB at most; {seconds:.0f} s of processor time for two steps of two "
          "images, with start, sheet and save")
        assert not megabytes > 24 * 2**30 / 1e6                            # NaN where the system does not tell
