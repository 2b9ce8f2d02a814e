"""Models and runs that version 0.1 saved (its commit 4e7fedb) are opened, and go on as that version went on.

Each archive holds the folder of a run of four steps, stopped and saved after two; the JSON beside it holds
the lines of the log that version 0.1 wrote for step 4. Before the save all weights were made coarse (few
different numbers), so that the archives are small."""
import json, tarfile
from pathlib import Path

import pytest
import torch

from rabit.networks.translate import Translator
from rabit.training.callbacks import OLD_COLUMNS, read_log
from rabit.training.checkpoint import load_state
from rabit.training.run import train

SAVED = Path(__file__).parent / "saved_by_0_1"
NAMES = sorted(path.name.removesuffix(".tar.xz") for path in SAVED.glob("*.tar.xz"))
BUILDERS = dict(street="rabit", face="rabit", style="rabit")  # the others are named by their builder
KINDS = dict(face="edges", style="image")                     # the others have label maps
# Coarse weights make equal scores, and rounding decides between them: these go on nearly as they would have
TIES = {"cocosnet", "patchmatch", "style"}
SCORES = {"epe", "pck", "copy_score", "copy_score_warp"}      # of four samples, by the places of maxima


def unpacked(name, place):
    with tarfile.open(SAVED / f"{name}.tar.xz") as archive: archive.extractall(place, filter="data")
    return place / name


def test_something_is_there(): assert {"street", "face", "style", "dynast"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_opened_under_todays_names(name, tmp_path):
    model = Translator.from_pretrained(unpacked(name, tmp_path))
    assert model.config["builder"] == BUILDERS.get(name, name)
    assert model.config["condition"] == KINDS.get(name, "labels")
    model.save_pretrained(tmp_path / "again")
    again = Translator.from_pretrained(tmp_path / "again")
    assert again.config == model.config
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values()))


@pytest.mark.parametrize("name", NAMES)
def test_a_run_goes_on_as_it_would_have(name, tmp_path):
    run = unpacked(name, tmp_path)
    trainer = load_state(run, torch.device("cpu"))
    assert trainer.done == 2 and trainer.config.steps == 4 and len(trainer.config.weights) == 13
    if name == "street":
        config = trainer.config
        assert (config.aspect_jitter, config.self_pair_prob, config.checkpoint_activations) == (1.5, .4, True)
    train(None, run, device="cpu", progress=False)
    expected = [{OLD_COLUMNS.get(k, k): v for k, v in row.items()}
                for row in json.loads((SAVED / f"{name}.json").read_text())]
    found = [row for row in read_log(run) if row["step"] == 4]
    assert [row.keys() for row in found] == [row.keys() for row in expected]
    for a, b in zip(found, expected):
        for key in a.keys() - {"seconds"}:
            if name not in TIES: near = pytest.approx(b[key], rel=1e-3, abs=1e-5)
            elif key in SCORES: near = pytest.approx(b[key], rel=.05, abs=.05)
            elif key == "gradient": near = pytest.approx(b[key], rel=2)
            else: near = pytest.approx(b[key], rel=.02, abs=1e-5)
            assert a[key] == near, key
    assert load_state(run, torch.device("cpu")).done == 4
