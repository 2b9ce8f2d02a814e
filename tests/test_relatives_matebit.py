# Generated from nbs/7_relatives/76_matebit.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import json
import math
import torch
import torch.nn.functional as F
from dataclasses import replace
from fastcore.test import test_fail
from rabit.core.devices import seed_all
from rabit.core.tensors import one_hot
from rabit.matching.street import street_pairs
from rabit.networks.translate import Translator
from rabit.relatives.matebit import AdaIN
from rabit.relatives.matebit import StyleDecoder
from rabit.relatives.matebit import StyleEncoder
from rabit.relatives.matebit import matebit
from rabit.relatives.matebit import style_contrast
from rabit.training.checkpoint import restore
from rabit.training.config import make_dataset
from rabit.training.config import preset
from rabit.training.trainer import Trainer
from tempfile import TemporaryDirectory

def tiny_matebit(**changes):
    seed_all(0)
    return matebit(7, **(dict(size=(32, 32), width=4, features=8, code=8, memory=6, warmup=2) | changes))

def run_of(steps=4, **changes):
    "A trainer of a very small model on the street scenes"
    model = dict(width=4, features=8, code=8, memory=6, warmup=2) | changes
    tiny = preset("tiny", size=(32, 32), steps=steps)
    return Trainer(replace(tiny, builder="matebit", model=model),
                   torch.device("cpu"))

def batch_of(trainer, step):
    return make_dataset(trainer.config).batch(range(2 * step, 2 * step + 2))


def test_a_code_sets_mean_and_deviation():
    seed_all(0)
    norm, x = AdaIN(5, 3), torch.randn(2, 5, 8, 8) * 7 + 3
    z = torch.randn(2, 3)
    gamma, beta = norm.linear(z).chunk(2, 1)
    torch.testing.assert_close(norm(x, z).mean((2, 3)), beta, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(norm(x, z).std((2, 3), unbiased=False), (1 + gamma).abs(), atol=1e-4, rtol=1e-3)
    assert norm(x[..., :1, :1], z).isfinite().all()                     # a map of one pixel has no deviation


def test_a_decoder_takes_the_match_at_any_level():
    seed_all(0)
    widths = (4, 8, 12, 16)
    look, image = StyleEncoder(widths, 6), torch.randn(2, 3, 24, 32)
    assert look(image).shape == (2, 6) and look(image[..., :5, :3]).isfinite().all()
    for level in range(4):
        decoder, skips = StyleDecoder(widths, 5, level, 6), look.levels(image)
        tokens = torch.randn(2, 5, 24 >> level, 32 >> level, requires_grad=True)
        out = decoder(skips, tokens, look(image))
        assert out.shape == image.shape and out.abs().max() <= 1
        out.sum().backward()
        assert tokens.grad.abs().sum() > 0


def test_the_contrast_of_codes():
    y = F.normalize(torch.randn(5, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    none = y[:0]
    assert style_contrast(y, y, none, .01) < style_contrast(y, y.roll(1, 0), none, .01)
    torch.testing.assert_close(style_contrast(y[:1], y[:1], none), torch.tensor(0.))   # nothing to stay away from
    alike, memory = torch.ones(4, 8), F.normalize(torch.ones(6, 8), dim=1)
    torch.testing.assert_close(style_contrast(alike, alike, memory), torch.tensor(math.log(10.)))
    far, near = -y[:1], y[:1]
    assert style_contrast(y[:1], y[:1], near) > style_contrast(y[:1], y[:1], far)  # a memory close by costs more
    z = y.clone().requires_grad_()
    assert not style_contrast(y, z, none).requires_grad


def test_the_model_generates_at_every_stride():
    batch = street_pairs(range(2), size=(32, 32))
    condition = one_hot(batch["labels"], 7)
    for stride in (1, 2, 4, 8):
        found = tiny_matebit(stride=stride).eval()(condition, batch["exemplar"])
        grid = 32 // stride
        assert found.image.shape == found.warped.shape == (2, 3, 32, 32)
        assert found.confidence.shape == (2, 1, grid, grid) and found.match.refined.shape[-1] == grid
        assert len(found.match.coarser) == 2 and found.image.isfinite().all()
    for position in ("semantic", "none"):
        model = tiny_matebit(position=position, confidence="multi")
        assert model(condition, batch["exemplar"]).image.isfinite().all()


def test_a_saved_model_comes_back_whole():
    model = tiny_matebit().eval()
    model.store_codes(torch.randn(4, 8))
    batch = street_pairs(range(1), size=(32, 32))
    condition = one_hot(batch["labels"], 7)
    with TemporaryDirectory() as folder:
        again = Translator.from_pretrained(model.save_pretrained(folder))
    assert type(again).__name__ == "Matebit" and again.stored == 4 and torch.equal(again.memory, model.memory)
    first, second = (m(condition, batch["exemplar"]).image for m in (model, again))
    torch.testing.assert_close(first, second)
    assert json.loads(json.dumps(model.config)) == model.config


def test_images_of_odd_sizes_are_translated():
    batch, other = street_pairs([0], size=(56, 72)), street_pairs([1], size=(40, 88))
    condition = one_hot(batch["labels"], 7)[..., :50, :70]
    made = tiny_matebit().translate(condition, other["exemplar"][..., :90])
    assert made.size == (70, 50)
    found = tiny_matebit()(condition, other["exemplar"][..., :37, :])
    assert found.image.shape == (1, 3, 50, 70) and found.match.query_size != found.match.key_size


def test_settings_that_do_not_fit_are_refused():
    for name, value in dict(blocks=0, temperature=-1., memory=0, warmup=0, code=0, style_weight=-1.).items():
        test_fail(lambda: tiny_matebit(**{name: value}), contains=f"{name} must be")
        test_fail(lambda: tiny_matebit(**{name: value}), contains=f"got {value}")
    for changes, words in [(dict(mask="soft"), "'soft'"), (dict(stride=3), "3"),
                           (dict(confidence="double"), "'double'"), (dict(position="polar"), "'polar'"),
                           (dict(size=(30, 32)), "multiples of 8")]:
        test_fail(lambda: tiny_matebit(**changes), contains=words)


def test_training_changes_all_weights():
    trainer = run_of()
    before = {k: v.clone() for k, v in trainer.model.state_dict().items()}
    def still(): return [k for k, v in trainer.model.named_parameters() if torch.equal(v, before[k])]
    values = trainer.step(batch_of(trainer, 0))
    assert values and all(v.isfinite() for v in values.values())
    assert "extra" not in values                                        # the memory is being filled
    assert all(".fill.shared." in k for k in still())                   # behind scale and shift, which start at 0
    trainer.step(batch_of(trainer, 1))
    assert not still() and trainer.model.calls == 2 and trainer.model.stored == 4


def test_the_loss_begins_when_the_memory_is_filled():
    trainer = run_of()
    values = [trainer.step(batch_of(trainer, step)) for step in range(4)]
    assert ["extra" in v for v in values] == [False, False, True, True]
    assert trainer.model.stored == 4 and trainer.model.calls == 4       # two steps of two codes, then no more
    filled = trainer.model.memory[:4]
    torch.testing.assert_close(filled.norm(dim=1), torch.ones(4))
    assert not trainer.model.memory[4:].any()
    without = run_of(style_weight=0.)
    assert "extra" not in without.step(batch_of(without, 0)) and without.model.calls == 0
    assert trainer.model.eval().extra_loss(None, None) is None          # nothing is stored outside training


def test_the_memory_keeps_the_latest_codes():
    model = tiny_matebit(memory=3)
    codes = F.normalize(torch.randn(5, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    for i in (0, 2, 4): model.store_codes(codes[i:i + 2])
    kept = {tuple(row) for row in model.memory.tolist()}
    assert kept == {tuple(row) for row in F.normalize(codes[2:], dim=1).tolist()}
    model.store_codes(torch.full((1, 8), math.nan))
    assert model.memory.isfinite().all() and model.stored == 5
    model.store_codes(torch.randn(7, 8))
    assert model.stored == 8                                            # more than it holds: the last three


def test_a_run_goes_on_exactly():
    whole, first = run_of(), run_of()
    for step in range(4): whole.step(batch_of(whole, step))
    for step in range(2): first.step(batch_of(first, step))
    second = run_of()
    restore(second, first.state(), first.done)
    for step in range(2, 4): second.step(batch_of(second, step))
    a, b = whole.state(), second.state()
    assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
