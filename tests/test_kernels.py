# Generated from nbs/05a_kernels.ipynb by .ci/export_tests.py: edit the notebook, not this file.
import torch
from rabit.kernels import kernel_match
from rabit.ranking import bilevel_match

import pytest
pytest.importorskip("triton")

def features(*shape, seed=0):
    "Random features, off centre, channels last"
    return (torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) + .3).to(memory_format=torch.channels_last)


def test_directions_of_means_and_the_numbers_of_tokens():
    from rabit.core import to_blocks, unit
    from rabit.kernels import _find_directions
    from rabit.ranking import block_means
    for size, block in (((8, 8), 4), ((7, 5), 3)):
        x = features(2, 20, *size)
        means, scale, stats = _find_directions(x, block)
        torch.testing.assert_close(means.mT, unit(block_means(x, (block, block)).mT), atol=1e-6, rtol=1e-5)
        blocks = to_blocks(x, (block, block))
        torch.testing.assert_close(stats[..., 0], blocks.mean(-1), atol=1e-6, rtol=1e-5)
        directions = (blocks - stats[..., :1]) * stats[..., 1:]
        torch.testing.assert_close(directions, to_blocks(unit(x), (block, block)), atol=1e-5, rtol=1e-4)


def test_a_row_is_chosen_as_soft_top_k_does_it():
    from rabit.kernels import _choose, _pow2
    from rabit.topk import soft_topk
    g = torch.Generator().manual_seed(0)
    rows = {"usual": torch.rand(3, 50, generator=g), "peaked": torch.rand(3, 50, generator=g).pow(20), "even": torch.full((3, 50), .4) + 1e-6 * torch.rand(3, 50, generator=g)}
    for name, a in rows.items():
        for k, eps in ((1, 1.), (3, .1), (7, .01)):
            chosen, line = torch.empty(3, k, dtype=torch.int64), torch.empty(3, 4)
            _choose[(3,)](a, chosen, line, 50, eps, k, _pow2(50))
            first, second, factor, t = line.split(1, -1)
            spread = a.double().std(-1, keepdim=True, unbiased=False).clamp_min(1e-4)
            assert a.gather(-1, chosen).equal(a.topk(k).values) and all(len(set(row)) == k for row in chosen.tolist()), (name, k)   # ties may be taken in another order
            torch.testing.assert_close(torch.sigmoid(((a - first) + (a - second)) * factor - t), soft_topk(a / spread, k, eps).float(), atol=2e-5, rtol=1e-4)


def test_kernels_give_what_bilevel_match_gives_and_its_gradients():
    cases = [((8, 8), (8, 8), 24, 4, 2, "soft"), ((7, 9), (10, 7), 20, 4, 2, "straight"), ((6, 6), (8, 8), 16, 2, 5, "soft"), ((6, 5), (8, 8), 70, 2, 5, "hard"), ((9, 5), (15, 10), 5, 5, 3, "soft")]
    for query_size, key_size, c, block, k, topk in cases:
        q, z = (features(2, c, *size, seed=i).requires_grad_() for i, size in enumerate((query_size, key_size)))
        v, slope, by_peak = features(2, 3, *key_size, seed=2), features(2, 3, *query_size, seed=3), features(2, 1, *query_size, seed=4)
        answers = []
        for match in (bilevel_match(q, z, block, k, .5, .1, topk), kernel_match(q, z, block, k, .5, .1, topk)):
            loss = (match.warp(v) * slope).sum() + (match.peak * by_peak).sum()
            answers.append([match.index, match.weights, match.peak, *torch.autograd.grad(loss, (q, z))])
        (index, *slow), (same, *fast) = answers
        assert torch.equal(index, same)
        for a, b in zip(slow, fast): torch.testing.assert_close(b, a, atol=1e-5 * max(1., a.abs().max().item()), rtol=1e-4)


def test_what_kernels_cannot_hold_goes_to_bilevel_match_and_halves_are_read_as_they_are():
    q, z = features(1, 6, 8, 8), features(1, 6, 8, 8, seed=1)
    torch.testing.assert_close(kernel_match(q, z, 4, 4).weights, bilevel_match(q, z, 4, 4).weights)                              # all blocks
    torch.testing.assert_close(kernel_match(q.double(), z.double(), 4, 2).weights, bilevel_match(q.double(), z.double(), 4, 2).weights)
    from rabit.core import RabitError
    for wrong in (dict(k=0), dict(k=5), dict(block=0), dict(temperature=0.), dict(topk="best")):
        try: kernel_match(q, z, **wrong)
        except RabitError: pass
        else: assert False, wrong
    half = kernel_match(q.half(), z.half(), 2, 3)
    assert half.weights.dtype == torch.float32
    torch.testing.assert_close(half.weights, bilevel_match(q.half(), z.half(), 2, 3).weights, atol=2e-3, rtol=2e-2)
