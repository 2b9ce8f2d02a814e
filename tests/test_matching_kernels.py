# Generated from nbs/1_matching/15b_kernels.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
from rabit.core.tensors import center_normalize
from rabit.core.tensors import to_blocks
from rabit.matching.bilevel import bilevel_match
from rabit.matching.kernels import kernel_match
from rabit.matching.ranking import block_means

import pytest
pytest.importorskip("triton")

def features(*shape, seed=0):
    "Random features, off centre, channels last"
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) + .3
    return x.to(memory_format=torch.channels_last)


def test_directions_of_means_and_the_numbers_of_tokens():
    from rabit.matching.kernels import _find_stats
    for size, block in (((8, 8), 4), ((7, 5), 3)):
        x = features(2, 20, *size)
        means, scale, stats = _find_stats(x, block)
        plain = center_normalize(block_means(x, (block, block)).mT)
        torch.testing.assert_close(means.mT, plain, atol=1e-6, rtol=1e-5)
        blocks = to_blocks(x, (block, block))
        torch.testing.assert_close(stats[..., 0], blocks.mean(-1), atol=1e-6, rtol=1e-5)
        directions = (blocks - stats[..., :1]) * stats[..., 1:]
        plain = to_blocks(center_normalize(x), (block, block))
        torch.testing.assert_close(directions, plain, atol=1e-5, rtol=1e-4)


def test_a_row_is_chosen_as_soft_top_k_does_it():
    from rabit.matching.kernels import _pow2, _select
    from rabit.matching.topk import soft_topk
    g = torch.Generator().manual_seed(0)
    rows = {"usual": torch.rand(3, 50, generator=g), "peaked": torch.rand(3, 50, generator=g).pow(20),
            "even": torch.full((3, 50), .4) + 1e-6 * torch.rand(3, 50, generator=g)}
    for name, s in rows.items():
        for k, eps in ((1, 1.), (3, .1), (7, .01)):
            chosen, line = torch.empty(3, k, dtype=torch.int64), torch.empty(3, 4)
            _select[(3,)](s, chosen, line, 50, eps, k, _pow2(50))
            first, second, factor, t = line.split(1, -1)
            spread = s.double().std(-1, keepdim=True, unbiased=False).clamp_min(1e-4)
            assert s.gather(-1, chosen).equal(s.topk(k).values), (name, k)    # ties may be taken in another order
            assert all(len(set(row)) == k for row in chosen.tolist()), (name, k)
            found = torch.sigmoid(((s - first) + (s - second)) * factor - t)
            torch.testing.assert_close(found, soft_topk(s / spread, k, eps).float(), atol=2e-5, rtol=1e-4)


def test_kernels_give_what_bilevel_match_gives_and_its_gradients():
    cases = [((8, 8), (8, 8), 24, 4, 2, "soft"), ((7, 9), (10, 7), 20, 4, 2, "straight"),
             ((6, 6), (8, 8), 16, 2, 5, "soft"), ((6, 5), (8, 8), 70, 2, 5, "hard"),
             ((9, 5), (15, 10), 5, 5, 3, "soft")]
    for query_size, key_size, c, block, k, topk in cases:
        q, z = (features(2, c, *size, seed=i).requires_grad_() for i, size in enumerate((query_size, key_size)))
        v, slope = features(2, 3, *key_size, seed=2), features(2, 3, *query_size, seed=3)
        by_best = features(2, 1, *query_size, seed=4)
        answers = []
        for match in (bilevel_match(q, z, block, k, .5, .1, topk), kernel_match(q, z, block, k, .5, .1, topk)):
            loss = (match.warp(v) * slope).sum() + (match.max_similarity * by_best).sum()
            answers.append([match.index, match.weights, match.max_similarity, *torch.autograd.grad(loss, (q, z))])
        (index, *slow), (same, *fast) = answers
        assert torch.equal(index, same)
        for a, b in zip(slow, fast):
            torch.testing.assert_close(b, a, atol=1e-5 * max(1., a.abs().max().item()), rtol=1e-4)


def test_what_kernels_cannot_hold_goes_to_bilevel_match_and_halves_are_read_as_they_are():
    from rabit.core.tensors import RabitError
    q, z = features(1, 6, 8, 8), features(1, 6, 8, 8, seed=1)
    for q_, z_, k in ((q, z, 4), (q.double(), z.double(), 2)):                     # all blocks; 64 bits
        torch.testing.assert_close(kernel_match(q_, z_, 4, k).weights, bilevel_match(q_, z_, 4, k).weights)
    for wrong in (dict(k=0), dict(k=5), dict(block=0), dict(temperature=0.), dict(topk="best")):
        try: kernel_match(q, z, **wrong)
        except RabitError: pass
        else: assert False, wrong
    learned = torch.tensor(.2, requires_grad=True)
    assert torch.autograd.grad(kernel_match(q, z, 4, 2, 1., learned).entropy().sum(), learned)[0] > 0
    q.requires_grad_()
    loss = kernel_match(q, z, 4, 2).entropy().square().sum()
    slope, = torch.autograd.grad(loss, q, create_graph=True)                       # twice: autograd, by halves
    assert torch.autograd.grad(slope.square().sum(), q)[0].abs().max() > 0
    q = q.detach()
    half, full = kernel_match(q.half(), z.half(), 2, 3), bilevel_match(q.half(), z.half(), 2, 3)
    assert half.weights.dtype == torch.float32
    torch.testing.assert_close(half.weights, full.weights, atol=2e-3, rtol=2e-2)
