# Generated from nbs/baselines/23_matebit.ipynb by .ci/export_tests.py: edit the notebook, not this file.
import json
import math
import torch
import torch.nn.functional as F
from dataclasses import replace
from fastcore.test import test_fail
from rabit.baselines.matebit import AdaConv
from rabit.baselines.matebit import AdaIN
from rabit.baselines.matebit import Look
from rabit.baselines.matebit import MATBlock
from rabit.baselines.matebit import MaskedMatcher
from rabit.baselines.matebit import StyleDecoder
from rabit.baselines.matebit import masked_match
from rabit.baselines.matebit import matebit
from rabit.baselines.matebit import style_contrast
from rabit.core import one_hot
from rabit.core import positional_norm
from rabit.core import seed_all
from rabit.core import unit
from rabit.model import Translator
from rabit.scenes import street_pairs
from rabit.train import Trainer
from rabit.train import make_source
from rabit.train import preset
from tempfile import TemporaryDirectory

def tiny_matebit(**changes):
    seed_all(0)
    return matebit(7, **(dict(size=(32, 32), width=4, features=8, code=8, memory=6, warmup=2) | changes))

def run_of(steps=4, **changes):
    "A trainer of a very small system on the street scenes"
    model = dict(width=4, features=8, code=8, memory=6, warmup=2) | changes
    start = preset("tiny", size=(32, 32), steps=steps)
    return Trainer(replace(start, builder="rabit.baselines.matebit.matebit", model=model), torch.device("cpu"))

def batch_of(trainer, step):
    return make_source(trainer.config).batch(range(2 * step, 2 * step + 2))


def test_the_cut_and_the_weight_of_a_row():
    g = torch.Generator().manual_seed(0)
    q, z = torch.randn(2, 6, 4, 5, generator=g), torch.randn(2, 6, 3, 7, generator=g)
    a = unit(q).flatten(2).mT @ unit(z).flatten(2)
    cut, weigh = (masked_match(q, z, .1, mask) for mask in ("cut", "weigh"))
    for match in (cut, weigh): assert torch.equal(match.dense() > 0, a > 0) and match.mass().max() <= 1 + 1e-6
    soft = (a.relu() / .1).softmax(-1)
    torch.testing.assert_close(weigh.mass().flatten(1), (soft * a.relu()).sum(-1))                # the expected cosine
    few, many = (a > 0) * torch.exp(a / .1), (a <= 0).sum(-1)
    torch.testing.assert_close(cut.mass().flatten(1), few.sum(-1) / (few.sum(-1) + many))         # S / (S + m₋)
    assert cut.peak is None and torch.equal(weigh.confidence(), weigh.mass())                     # the mass is the confidence


def test_a_copy_is_found_and_an_opposite_is_not():
    g = torch.Generator().manual_seed(0)
    x, v = torch.randn(1, 16, 6, 7, generator=g), torch.randn(1, 3, 6, 7, generator=g)
    order = torch.randperm(42, generator=g)
    mixed = x.flatten(2)[..., order].view_as(x)
    for mask in ("weigh", "cut"):
        assert torch.equal(masked_match(mixed, x, .05, mask).hard().warp(v), v.flatten(2)[..., order].view_as(v))
    one = x[..., :1, :1]
    assert masked_match(-one, one, .05).mass() == 0 and masked_match(one, one, .05).mass() > .999  # a stranger takes nothing
    test_fail(lambda: masked_match(x, x, 0.), contains="temperature = 0.0")
    test_fail(lambda: masked_match(x, x, mask="hard"), contains="'hard'")


def test_context_starts_silent_and_sees_its_neighbourhood():
    seed_all(0)
    block, x = AdaConv(8), torch.randn(2, 8, 5, 9)
    assert block(x).abs().max() < 1e-4 and block(x[..., :1, :1]).shape == (2, 8, 1, 1)
    with torch.no_grad(): block.scale.fill_(1.)
    moved = block(torch.cat([x[..., :4], x[..., 4:5] + 1, x[..., 5:]], -1)) - block(x)
    assert moved.abs().amax((0, 1, 2)).min() > 1e-6                                 # coordinate attention reaches every column
    alone = torch.cat([block(x[:1]), block(x[1:])])
    torch.testing.assert_close(alone, block(x))                                     # and no other sample


def test_an_untrained_block_keeps_a_match():
    g = torch.Generator().manual_seed(0)
    x = positional_norm(torch.randn(1, 16, 6, 6, generator=g))
    order = torch.randperm(36, generator=g)
    mixed = x.flatten(2)[..., order].view_as(x)
    for confidence in ("single", "none"):
        after, match = MATBlock(16, confidence=confidence)(mixed, x, mixed)
        assert torch.equal(match.weights.argmax(-1)[0, 0], order)
        cosines = (unit(after) * unit(mixed)).sum(1)
        assert cosines.min() > .9                                                   # the refined query still asks for the same thing


def test_a_stack_of_blocks_keeps_the_laws():
    seed_all(0)
    g = torch.Generator().manual_seed(0)
    q, z = torch.randn(2, 16, 5, 7, generator=g).requires_grad_(), torch.randn(2, 16, 6, 4, generator=g).requires_grad_()
    matcher = MaskedMatcher(16, 3)
    match = matcher(q, z)
    assert match.weights.shape == (2, 1, 35, 24) and len(match.coarser) == 2 and match.refined.shape == q.shape
    assert match.mass().max() <= 1 + 1e-6 and match.mass().min() > 0
    torch.testing.assert_close(matcher(q[:1], z[:1]).dense(), match.dense()[:1])                 # samples do not meet
    (match.warp(z.detach()[:, :3]).square().sum() + match.refined[:, 0].sum()).backward()
    assert (q.grad.abs().sum(1) > 0).all() and z.grad.abs().sum() > 0
    assert all(p.grad is not None for p in matcher.parameters())
    assert matcher.double()(q.detach().double(), z.detach().double()).weights.dtype == torch.float64


def test_every_round_finds_a_shuffled_copy():
    seed_all(0)
    x = torch.randn(1, 16, 6, 8, generator=torch.Generator().manual_seed(1))
    order = torch.randperm(48, generator=torch.Generator().manual_seed(2))
    match = MaskedMatcher(16, 4)(x.flatten(2)[..., order].view_as(x), x)
    for m in (*match.coarser, match): assert torch.equal(m.weights.argmax(-1)[0, 0], order)


def test_matching_stays_in_32_bits():
    seed_all(0)
    matcher, q = MaskedMatcher(8, 2), torch.randn(1, 8, 4, 6)
    with torch.autocast("cpu", torch.bfloat16):
        match = matcher(q.bfloat16(), q)
        assert match.weights.dtype == match.refined.dtype == torch.float32
    torch.testing.assert_close(match.dense(), matcher(q.bfloat16().float(), q).dense())


def test_features_that_do_not_fit_a_matcher_are_refused():
    matcher = MaskedMatcher(8, 1)
    test_fail(lambda: matcher(torch.zeros(1, 6, 4, 4), torch.zeros(1, 6, 4, 4)), contains="6 channels")
    test_fail(lambda: matcher(torch.zeros(1, 8, 4, 4), torch.zeros(2, 8, 4, 4)), contains="same b and c")
    test_fail(lambda: matcher(torch.full((1, 8, 4, 4), math.nan), torch.zeros(1, 8, 4, 4)), contains="not finite")
    test_fail(lambda: MaskedMatcher(8, 0), contains="blocks = 0")


def test_a_code_sets_mean_and_deviation():
    seed_all(0)
    norm, x, z = AdaIN(5, 3), torch.randn(2, 5, 8, 8) * 7 + 3, torch.randn(2, 3)
    gamma, beta = norm.linear(z).chunk(2, 1)
    torch.testing.assert_close(norm(x, z).mean((2, 3)), beta, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(norm(x, z).std((2, 3), unbiased=False), (1 + gamma).abs(), atol=1e-4, rtol=1e-3)
    assert norm(x[..., :1, :1], z).isfinite().all()                                 # a map of one pixel has no deviation


def test_a_decoder_takes_the_match_at_any_level():
    seed_all(0)
    widths = (4, 8, 12, 16)
    look, picture = Look(widths, 6), torch.randn(2, 3, 24, 32)
    assert look(picture).shape == (2, 6) and look(picture[..., :5, :3]).isfinite().all()
    for level in range(4):
        decoder, skips = StyleDecoder(widths, 5, level, 6), look.levels(picture)
        tokens = torch.randn(2, 5, 24 >> level, 32 >> level, requires_grad=True)
        out = decoder(skips, tokens, look(picture))
        assert out.shape == picture.shape and out.abs().max() <= 1
        out.sum().backward()
        assert tokens.grad.abs().sum() > 0


def test_the_contrast_of_codes():
    y = F.normalize(torch.randn(5, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    none = y[:0]
    assert style_contrast(y, y, none, .01) < style_contrast(y, y.roll(1, 0), none, .01)
    torch.testing.assert_close(style_contrast(y[:1], y[:1], none), torch.tensor(0.))              # nothing to stay away from
    alike = torch.ones(4, 8)
    torch.testing.assert_close(style_contrast(alike, alike, F.normalize(torch.ones(6, 8), dim=1)), torch.tensor(math.log(10.)))
    far, near = -y[:1], y[:1]
    assert style_contrast(y[:1], y[:1], near) > style_contrast(y[:1], y[:1], far)                 # a memory close by costs more
    z = y.clone().requires_grad_()
    assert not style_contrast(y, z, none).requires_grad


def test_the_system_paints_at_every_stride():
    record = street_pairs(range(2), size=(32, 32))
    condition = one_hot(record["labels"], 7)
    for stride in (1, 2, 4, 8):
        found = tiny_matebit(stride=stride).eval()(condition, record["exemplar"])
        grid = 32 // stride
        assert found.picture.shape == found.warped.shape == (2, 3, 32, 32) and found.confidence.shape == (2, 1, grid, grid)
        assert found.match.refined.shape[-1] == grid and len(found.match.coarser) == 2 and found.picture.isfinite().all()
    for position in ("semantic", "none"): assert tiny_matebit(position=position, confidence="multi")(condition, record["exemplar"]).picture.isfinite().all()


def test_a_saved_system_comes_back_whole():
    model = tiny_matebit().eval()
    model.remember(torch.randn(4, 8))
    record = street_pairs(range(1), size=(32, 32))
    condition = one_hot(record["labels"], 7)
    with TemporaryDirectory() as folder:
        again = Translator.from_pretrained(model.save_pretrained(folder))
    assert type(again).__name__ == "Matebit" and again.stored == 4 and torch.equal(again.memory, model.memory)
    torch.testing.assert_close(again(condition, record["exemplar"]).picture, model(condition, record["exemplar"]).picture)
    assert json.loads(json.dumps(model.config)) == model.config


def test_pictures_of_odd_sizes_are_translated():
    record, other = street_pairs([0], size=(56, 72)), street_pairs([1], size=(40, 88))
    condition = one_hot(record["labels"], 7)[..., :50, :70]
    made = tiny_matebit().translate(condition, other["exemplar"][..., :90])
    assert made.size == (70, 50)
    found = tiny_matebit()(condition, other["exemplar"][..., :37, :])
    assert found.picture.shape == (1, 3, 50, 70) and found.match.query_size != found.match.key_size


def test_settings_that_do_not_fit_are_refused():
    for changes, words in [(dict(blocks=0), "blocks = 0"), (dict(mask="soft"), "'soft'"), (dict(temperature=-1.), "temperature = -1.0"), (dict(stride=3), "stride = 3"),
                           (dict(memory=0), "memory = 0"), (dict(warmup=0), "warmup = 0"), (dict(code=0), "code = 0"), (dict(style_weight=-1.), "style_weight = -1.0"),
                           (dict(confidence="double"), "'double'"), (dict(position="polar"), "'polar'"), (dict(size=(30, 32)), "multiples of 8")]:
        test_fail(lambda: tiny_matebit(**changes), contains=words)


def test_training_changes_all_weights():
    trainer = run_of()
    before = {k: v.clone() for k, v in trainer.model.state_dict().items()}
    def still(): return [k for k, v in trainer.model.named_parameters() if torch.equal(v, before[k])]
    values = trainer.step(batch_of(trainer, 0))
    assert values and all(v.isfinite() for v in values.values()) and "own" not in values           # the memory is being filled
    assert all(".fill.shared." in k for k in still())                                               # behind scale and shift, which start at 0
    trainer.step(batch_of(trainer, 1))
    assert not still() and trainer.model.calls == 2 and trainer.model.stored == 4


def test_the_loss_begins_when_the_memory_is_filled():
    trainer = run_of()
    values = [trainer.step(batch_of(trainer, step)) for step in range(4)]
    assert ["own" in v for v in values] == [False, False, True, True]
    assert trainer.model.stored == 4 and trainer.model.calls == 4                                   # two steps of two codes, then no more
    filled = trainer.model.memory[:4]
    torch.testing.assert_close(filled.norm(dim=1), torch.ones(4))
    assert not trainer.model.memory[4:].any()
    without = run_of(style_weight=0.)
    assert "own" not in without.step(batch_of(without, 0)) and without.model.calls == 0
    assert trainer.model.eval().own_loss(None, None) is None                                        # nothing is remembered outside training


def test_the_memory_keeps_the_latest_codes():
    model = tiny_matebit(memory=3)
    codes = F.normalize(torch.randn(5, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    for i in (0, 2, 4): model.remember(codes[i:i + 2])
    kept = {tuple(row) for row in model.memory.tolist()}
    assert kept == {tuple(row) for row in F.normalize(codes[2:], dim=1).tolist()}
    model.remember(torch.full((1, 8), math.nan))
    assert model.memory.isfinite().all() and model.stored == 5
    model.remember(torch.randn(7, 8))
    assert model.stored == 8                                                                        # more than it holds: the last three


def test_a_run_goes_on_exactly():
    whole, first = run_of(), run_of()
    for step in range(4): whole.step(batch_of(whole, step))
    for step in range(2): first.step(batch_of(first, step))
    second = run_of()
    second.restore(first.state(), first.done)
    for step in range(2, 4): second.step(batch_of(second, step))
    a, b = whole.state(), second.state()
    assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
