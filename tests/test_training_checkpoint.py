# Generated from nbs/5_training/54a_checkpoint.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import io
import json
import torch
from contextlib import redirect_stderr
from copy import deepcopy
from dataclasses import asdict
from dataclasses import replace
from pathlib import Path
from rabit.core.tensors import RabitError
from rabit.networks.trained_features import checksum
from rabit.training.checkpoint import PREVIOUS
from rabit.training.checkpoint import STATE
from rabit.training.checkpoint import current_names
from rabit.training.checkpoint import initial_weights
from rabit.training.checkpoint import load_initial
from rabit.training.checkpoint import load_state
from rabit.training.checkpoint import model_card
from rabit.training.checkpoint import restore
from rabit.training.checkpoint import save_state
from rabit.training.config import PRECISIONS
from rabit.training.config import config_from
from rabit.training.config import make_dataset
from rabit.training.config import preset
from rabit.training.config import small
from rabit.training.trainer import Trainer
from safetensors.torch import save_file
from tempfile import TemporaryDirectory
from unittest.mock import patch

cpu = torch.device("cpu")


def test_a_restored_trainer_takes_the_same_step_bit_by_bit_in_every_precision():
    dataset = make_dataset(small())
    for amp in PRECISIONS:
        left, right = Trainer(small(amp=amp), cpu), Trainer(small(seed=5, amp=amp), cpu)
        scaler = left.scalers["g"]
        # so that it has something to remember
        if amp == "fp16": scaler.load_state_dict(scaler.state_dict() | dict(scale=2.**40))
        for i in range(3): left.step(dataset.batch([2 * i, 2 * i + 1]))
        right.config = left.config
        restore(right, left.state(), left.done)
        if amp == "fp16":
            growth = [t.scalers["d"].state_dict()["_growth_tracker"] for t in (left, right)]
            assert right.scalers["g"].get_scale() == 2.**37 and growth[0] == growth[1]
            for trainer in (left, right):
                trainer.scalers["g"].load_state_dict(scaler.state_dict() | dict(scale=2.**10))
        for trainer in (left, right): trainer.step(dataset.batch([6, 7]))
        one, two = left.state(), right.state()
        assert right.done == 4 and one.keys() == two.keys()
        assert all(torch.equal(v, two[k]) for k, v in one.items())
    # in float32 the scale is of no use
    restore(right, Trainer(small(amp="fp16"), cpu).state(), 0)


def test_names_of_version_0_1_become_todays():
    old = ["model.a", "average.a", "judge.usual.b", "usual.warp", "usual.judge", "usual.own", "usual.gradient",
           "usual.judge_gradient", "optimizer.g.0.step", "chance.torch", "scaler.g", "skipped"]
    new = ["model.a", "ema.a", "discriminator.usual.b", "running_stats.warp", "running_stats.discriminator",
           "running_stats.extra", "running_stats.gradient", "running_stats.discriminator_gradient",
           "optimizer.g.0.step", "rng.torch", "scaler.g", "skipped"]
    assert list(current_names(dict.fromkeys(old))) == new and list(current_names(dict.fromkeys(new))) == new


def test_a_run_keeps_its_precision_and_one_that_was_saved_as_auto_stays_in_float32_on_a_cpu():
    with TemporaryDirectory() as folder:
        for multiplies in (True, False):
            with patch("rabit.training.compute.cpu_multiplies_bf16", lambda: multiplies):
                begun = Trainer(small(amp="auto"), cpu)
            save_state(begun, folder)
            with patch("rabit.training.compute.cpu_multiplies_bf16", lambda: not multiplies):
                resumed = load_state(folder, cpu)
            assert resumed.config.amp == begun.config.amp == ("bf16" if multiplies else "off")
        begun.config = replace(begun.config, amp="auto")                   # as earlier versions saved it
        save_state(begun, folder)
        with patch("rabit.training.compute.cpu_multiplies_bf16", lambda: True):
            assert load_state(folder, cpu).precision is None


def test_a_saved_run_comes_back_whole_and_what_is_not_one_is_refused():
    with TemporaryDirectory() as folder:
        saved = Trainer(small(), cpu)
        saved.step(make_dataset(small()).batch(range(2)))
        save_state(saved, folder)
        assert sorted(p.name for p in Path(folder).iterdir()) == ["README.md", "config.json", "model.safetensors",
                                                                  STATE, "train.json"]
        assert "steps: 1 of 6" in (Path(folder) / "README.md").read_text() == model_card(saved)
        assert config_from(json.loads((Path(folder) / "train.json").read_text())) == saved.config
        loaded = load_state(folder, cpu, steps=9)
        one, two = saved.state(), loaded.state()
        assert loaded.done == 1 and loaded.config.steps == 9 and one.keys() == two.keys()
        assert all(torch.equal(v, two[k]) for k, v in one.items())
        path = Path(folder) / "state.safetensors"
        for ruin, word in ((lambda: path.write_bytes(path.read_bytes()[:-100]), "cut short"),
                           (lambda: save_file(saved.state(), path), "no run"), (path.unlink, "missing")):
            ruin()
            try: load_state(folder, cpu)
            except RabitError as e: assert word in str(e) and str(path) in str(e), e
            else: raise AssertionError("a broken state was taken")


def test_a_damaged_save_gives_way_to_the_one_before():
    with TemporaryDirectory() as folder:
        trainer, dataset = Trainer(small(), cpu), make_dataset(small())
        for i in range(2):
            trainer.step(dataset.batch([2 * i, 2 * i + 1]))
            save_state(trainer, folder)
        path = Path(folder) / STATE
        previous = Path(folder) / PREVIOUS
        whole = (Path(folder) / STATE).read_bytes()
        flipped = bytearray(whole); flipped[-1000] ^= 1
        older = whole.replace(b'"done":"2"', b'"done":"3"')
        assert older != whole
        for ruined, word in ((whole[:-50], "cut short"), (bytes(flipped), "checksum"), (older, "checksum"),
                             (b"", "cannot be read"), (None, "missing")):
            path.unlink(missing_ok=True) if ruined is None else path.write_bytes(ruined)
            with redirect_stderr(io.StringIO()) as said:
                assert load_state(folder, cpu).done == 1
            assert word in said.getvalue() and "step 1" in said.getvalue() and said.getvalue().count("\n") == 1
        previous.write_bytes(whole[:-50])
        try: load_state(folder, cpu)
        except RabitError as e: assert "cut short" in str(e)
        else: raise AssertionError("two broken states were taken")


def test_a_save_that_lies_about_itself_is_refused_in_one_line():
    with TemporaryDirectory() as folder:
        trainer, path = Trainer(small(), cpu), Path(folder) / STATE
        trainer.step(make_dataset(small()).batch([0, 1]))
        whole, config = trainer.state(), json.dumps(asdict(trainer.config))
        first = next(k for k in whole if k.startswith("optimizer.g.0.exp_avg"))
        lies = [{k: v for k, v in whole.items() if not k.startswith(part)}
                for part in ("skipped", "rng.", "optimizer.g", "optimizer.d.0.exp")]
        odd = (first, 3), ("optimizer.g.9999.step", ()), ("optimizer.g.x.step", ()), ("rng.torch", 3)
        lies += [whole | {name: torch.zeros(shape)} for name, shape in odd]
        for tensors in lies:
            save_file(tensors, path, dict(done="1", config=config, checksum=checksum(tensors, f"1 {config}")))
            try: load_state(folder, cpu)
            except RabitError as e: assert str(path) in str(e) and "\n" not in str(e), e
            else: raise AssertionError(f"a forged state was taken: {sorted(whole.keys() - tensors.keys())[:3]}")


def test_a_run_starts_from_saved_weights_whole_or_with_other_classes_and_refuses_what_does_not_fit():
    with TemporaryDirectory() as folder:
        old = Trainer(small(), cpu)
        old.step(make_dataset(small()).batch(range(2)))
        save_state(old, folder)
        def begun(config):
            trainer, (weights, new) = Trainer(config, cpu), initial_weights(config)
            before = deepcopy(trainer.model.state_dict())
            load_initial(trainer, weights)
            return trainer, new, before
        # demo is wider: the saved network counts
        larger, new, _ = begun(preset("demo", init_from=folder, size=(48, 64), steps=3, seed=5))
        assert new == [] and larger.done == 0 and f"started from: the weights {folder}" in model_card(larger)
        assert "7 classes, 64×48 pixels (width × height)" in model_card(larger)
        for net in (larger.model, larger.ema):
            assert all(torch.equal(v, old.ema.state_dict()[k]) for k, v in net.state_dict().items())
        fresh, new, before = begun(small(init_from=folder, classes=9, seed=5))
        assert 0 < len(new) < len(before) / 4 and "encoder.net.stems.0.weight" in new
        for k, v in fresh.model.state_dict().items():
            assert torch.equal(v, before[k] if k in new else old.ema.state_dict()[k])
        for odd, word in ((dict(model=dict(width=12)), "another shape"), (dict(builder="dynast"), "rabit"),
                          (dict(model=dict(position="none")), "another shape"), (dict(data="face"), "edges"),
                          (dict(model=dict(condition="image")), "image"), (dict(init_from="nowhere"), "nowhere"),
                          (dict(model=dict(width=10**6)), "another shape")):
            try: initial_weights(small(**dict(init_from=folder) | odd))
            except RabitError as e: assert word in str(e), e
            else: raise AssertionError(f"{odd} was taken")
    # its own position, not the one that a new run would have
    assert initial_weights(preset("tiny", init_from="style-64", model=dict(condition="image")))[1] == []
