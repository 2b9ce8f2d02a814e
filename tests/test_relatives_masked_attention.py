# Generated from nbs/7_relatives/75_masked_attention.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import math
import torch
from fastcore.test import test_fail
from rabit.core.devices import seed_all
from rabit.core.tensors import center_normalize
from rabit.core.tensors import positional_norm
from rabit.relatives.masked_attention import AdaConv
from rabit.relatives.masked_attention import MATBlock
from rabit.relatives.masked_attention import MaskedMatcher
from rabit.relatives.masked_attention import masked_match


def test_the_cut_and_the_weight_of_a_row():
    g = torch.Generator().manual_seed(0)
    q, z = torch.randn(2, 6, 4, 5, generator=g), torch.randn(2, 6, 3, 7, generator=g)
    a = center_normalize(q).flatten(2).mT @ center_normalize(z).flatten(2)
    cut, weigh = (masked_match(q, z, .1, mask) for mask in ("cut", "weigh"))
    for match in (cut, weigh):
        assert torch.equal(match.dense() > 0, a > 0) and match.row_sum().max() <= 1 + 1e-6
    soft = (a.relu() / .1).softmax(-1)
    expected = (soft * a.relu()).sum(-1)                                # the expected cosine
    torch.testing.assert_close(weigh.row_sum().flatten(1), expected)
    few, many = ((a > 0) * torch.exp(a / .1)).sum(-1), (a <= 0).sum(-1)  # S, m₋
    torch.testing.assert_close(cut.row_sum().flatten(1), few / (few + many))
    assert cut.max_similarity is None and torch.equal(weigh.confidence(), weigh.row_sum())


def test_a_copy_is_found_and_an_opposite_is_not():
    g = torch.Generator().manual_seed(0)
    x, v = torch.randn(1, 16, 6, 7, generator=g), torch.randn(1, 3, 6, 7, generator=g)
    order = torch.randperm(42, generator=g)
    mixed = x.flatten(2)[..., order].view_as(x)
    for mask in ("weigh", "cut"):
        assert torch.equal(masked_match(mixed, x, .05, mask).hard().warp(v), v.flatten(2)[..., order].view_as(v))
    one = x[..., :1, :1]
    assert masked_match(-one, one, .05).row_sum() == 0                  # an opposite takes nothing
    assert masked_match(one, one, .05).row_sum() > .999
    test_fail(lambda: masked_match(x, x, 0.), contains="temperature must be > 0, got 0.0")
    test_fail(lambda: masked_match(x, x, mask="hard"), contains="'hard'")


def test_context_starts_silent_and_sees_its_neighbourhood():
    seed_all(0)
    block, x = AdaConv(8), torch.randn(2, 8, 5, 9)
    assert block(x).abs().max() < 1e-4 and block(x[..., :1, :1]).shape == (2, 8, 1, 1)
    with torch.no_grad(): block.scale.fill_(1.)
    moved = block(torch.cat([x[..., :4], x[..., 4:5] + 1, x[..., 5:]], -1)) - block(x)
    assert moved.abs().amax((0, 1, 2)).min() > 1e-6  # coordinate attention reaches every column
    one_by_one = torch.cat([block(x[:1]), block(x[1:])])
    torch.testing.assert_close(one_by_one, block(x))                    # and no other sample


def test_an_untrained_block_keeps_a_match():
    g = torch.Generator().manual_seed(0)
    x = positional_norm(torch.randn(1, 16, 6, 6, generator=g))
    order = torch.randperm(36, generator=g)
    mixed = x.flatten(2)[..., order].view_as(x)
    for confidence in ("single", "none"):
        after, match = MATBlock(16, confidence=confidence)(mixed, x, mixed)
        assert torch.equal(match.weights.argmax(-1)[0, 0], order)
        cosines = (center_normalize(after) * center_normalize(mixed)).sum(1)
        assert cosines.min() > .9                                       # the refined query still asks the same


def test_a_stack_of_blocks_keeps_the_laws():
    seed_all(0)
    g = torch.Generator().manual_seed(0)
    q = torch.randn(2, 16, 5, 7, generator=g).requires_grad_()
    z = torch.randn(2, 16, 6, 4, generator=g).requires_grad_()
    matcher = MaskedMatcher(16, 3)
    match = matcher(q, z)
    assert match.weights.shape == (2, 1, 35, 24) and len(match.coarser) == 2
    assert match.refined.shape == q.shape
    assert match.row_sum().max() <= 1 + 1e-6 and match.row_sum().min() > 0
    torch.testing.assert_close(matcher(q[:1], z[:1]).dense(), match.dense()[:1])   # samples do not meet
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
    test_fail(lambda: MaskedMatcher(8, 0), contains="blocks must be ≥ 1, got 0")
