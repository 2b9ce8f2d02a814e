"""Models and runs that version 0.1 saved (its commit 4e7fedb) are opened, and go on as that version went on.

Each archive holds the folder of a run of four steps, stopped and saved after two; the JSON beside it holds
the lines of the log that version 0.1 wrote for step 4. Before the save all weights were made coarse (few
different numbers), so that the archives are small."""
import json, tarfile
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from rabit.core.tensors import center_normalize
from rabit.networks import encode, inject, losses, perceptual
from rabit.networks.translate import Translator
from rabit.training import terms
from rabit.training.callbacks import OLD_COLUMNS, read_log
from rabit.training.checkpoint import load_state
from rabit.training.run import train

SAVED = Path(__file__).parent / "saved_by_0_1"
NAMES = sorted(path.name.removesuffix(".tar.xz") for path in SAVED.glob("*.tar.xz"))
BUILDERS = dict(street="rabit", face="rabit", style="rabit")  # the others are named by their builder
KINDS = dict(face="edges", style="image")                     # the others have label maps
# Coarse weights make equal scores, and rounding decides between them: these compute as version 0.1 did
TIES = {"cocosnet", "patchmatch", "style"}


def plain_norm(x, eps=1e-5):
    "`positional_norm` as version 0.1 had it"
    return (x - x.mean(1, keepdim=True)) * (x.var(1, keepdim=True, unbiased=False) + eps).rsqrt()


def plain_cat(*maps): return torch.cat(maps, 1)


def plain_match_loss(query, key, position, visible, size, temperature, sample, generator):
    "`match_loss` as version 0.1 had it: n·m divisions"
    index, valid = losses.ground_truth_tokens(position, visible, query.shape[-2:], key.shape[-2:], size)
    q, k = (center_normalize(x).flatten(2) for x in (query, key))
    if sample is not None and sample < q.shape[-1]:
        drawn = torch.randperm(q.shape[-1], generator=generator)[:sample]
        q, index, valid = q[..., drawn], index[:, drawn], valid[:, drawn]
    scores = (q.transpose(1, 2) @ k / temperature).flatten(0, 1)
    cost = F.cross_entropy(scores, index.flatten(), reduction="none").view_as(index)
    return (cost * valid).sum() / valid.sum().clamp_min(1e-6)


def plain_similarity(y, z, bandwidth=.1):
    "`contextual_similarity` as version 0.1 had it: two divisions of n·m numbers"
    mean = z.mean(-1, keepdim=True)
    y, z = F.normalize(y - mean, dim=1), F.normalize(z - mean, dim=1)
    d = (1 - y.transpose(1, 2) @ z).clamp_min(0)
    return (-(d / (d.amin(-1, keepdim=True) + 1e-5)) / bandwidth).softmax(-1)


PLAIN = [(inject, "positional_norm", plain_norm), (encode, "cat_tokens", plain_cat),
         (terms, "match_loss", plain_match_loss), (perceptual, "contextual_similarity", plain_similarity)]


def test_the_plain_forms_compute_what_todays_do():
    g = torch.Generator().manual_seed(0)
    x, y, z = (torch.randn(2, 8, 6, 8, generator=g) for _ in range(3))
    place = torch.stack([torch.rand(2, 12, 16, generator=g) * 15, torch.rand(2, 12, 16, generator=g) * 11], 1)
    shown = torch.rand(2, 12, 16, generator=g) > .3
    def drawn(): return torch.Generator().manual_seed(1)
    asked = dict(positional_norm=lambda f: f(x), cat_tokens=lambda f: f(x, y),
                 match_loss=lambda f: f(x, y, place, shown, (12, 16), .05, 20, drawn()),
                 contextual_similarity=lambda f: f(y.flatten(2), z.flatten(2)))
    for module, name, plain in PLAIN:
        torch.testing.assert_close(asked[name](plain), asked[name](getattr(module, name)), rtol=1e-4,
                                   atol=1e-5)


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
def test_a_run_goes_on_as_it_would_have(name, tmp_path, monkeypatch):
    for change in PLAIN if name in TIES else (): monkeypatch.setattr(*change)
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
        for key in a.keys() - {"seconds"}: assert a[key] == pytest.approx(b[key], rel=1e-3, abs=1e-5), key
    assert load_state(run, torch.device("cpu")).done == 4
