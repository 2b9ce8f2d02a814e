"""The library's bi-level matching against the two halves that notebook 15 writes to be read: equal on any
shape, and the same matches on street scenes."""
import math
from importlib import import_module
from importlib.util import find_spec

import pytest
import torch
from hypothesis import given, settings, strategies as st

from rabit.core.tensors import grid_of, one_hot
from rabit.matching.bilevel import bilevel_match
from rabit.matching.match import dense_match
from rabit.matching.ranking import attend_blocks, rank_blocks
from rabit.matching.street import street_pairs
from rabit.networks.translate import Translator


def maps(shapes, seed, dtype):
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(*shape, generator=draw, dtype=torch.float64).to(dtype).requires_grad_()
            for shape in shapes]


def outcome(match, v):
    "Weights, largest similarities, warp, and a loss that all of them enter"
    best = match.max_similarity
    by_place = torch.linspace(-1, 1, best.numel(), dtype=v.dtype).view_as(best)
    return [match.weights, best, match.warp(v)], match.warp(v).square().sum() + (best * by_place).sum()


@settings(max_examples=60, deadline=None)
@given(data=st.data(), seed=st.integers(0, 10**6), dtype=st.sampled_from([torch.float64, torch.float32]))
def test_equal_on_any_shape(data, seed, dtype):
    side = st.integers(1, 21)
    kinds = st.tuples(side, side), st.tuples(side, side), st.integers(1, 3), st.integers(3, 9)
    (h, w), (hk, wk), b, c = (data.draw(kind) for kind in kinds)
    block = data.draw(st.integers(1, 16))
    k = data.draw(st.integers(1, min(12, math.prod(grid_of((hk, wk), (block, block))))))
    topk = data.draw(st.sampled_from(["soft", "straight", "hard"]))
    eps = data.draw(st.sampled_from([.2, 1., 20.]))
    q, z, v = maps([(b, c, h, w), (b, c, hk, wk), (b, 2, hk, wk)], seed, dtype)
    slow = attend_blocks(q, z, rank_blocks(q, z, block, k, eps, topk), block, .2)
    fast = bilevel_match(q, z, block, k, eps, .2, topk)
    if not torch.equal(slow.index, fast.index):                                # two blocks are equally good
        scores = rank_blocks(q, z, block, k, eps, topk).scores.sort(-1, descending=True).values
        assert scores.diff(dim=-1).abs().min() < 1e-6
        return
    (a, a_loss), (f, f_loss) = outcome(slow, v), outcome(fast, v)
    close = 1e-10 if dtype == torch.float64 else 1e-5
    for x, y in zip(a, f):
        torch.testing.assert_close(y, x, atol=close * max(1., x.abs().max().item()), rtol=close)
    for x, y in zip(torch.autograd.grad(a_loss, (q, z, v)), torch.autograd.grad(f_loss, (q, z, v))):
        atol = (1e-9 if dtype == torch.float64 else 2e-4) * max(1., x.abs().max().item())
        torch.testing.assert_close(y, x, atol=atol, rtol=close)


@settings(max_examples=8, deadline=None, derandomize=True, database=None)
@given(data=st.data(), seed=st.integers(0, 10**6))
@pytest.mark.skipif(find_spec("triton") is None, reason="needs Triton")
@pytest.mark.filterwarnings("ignore:overflow encountered in exp")
def test_kernels_equal_on_any_shape(data, seed):
    "Run by Triton's interpreter where there is no GPU, so the maps are small"
    kernel_match, side = import_module("rabit.matching.kernels").kernel_match, st.integers(1, 9)
    size = st.tuples(side, side)
    kinds = size, size, st.integers(1, 2), st.integers(3, 40), st.integers(1, 5)
    (h, w), (hk, wk), b, c, block = (data.draw(kind) for kind in kinds)
    k = data.draw(st.integers(1, min(6, math.prod(grid_of((hk, wk), (block, block))))))
    topk = data.draw(st.sampled_from(["soft", "straight", "hard"]))
    eps = data.draw(st.sampled_from([.2, 1., 20.]))
    q, z, v = maps([(b, c, h, w), (b, c, hk, wk), (b, 2, hk, wk)], seed, torch.float32)
    slow, fast = (match(q, z, block, k, eps, .2, topk) for match in (bilevel_match, kernel_match))
    assert torch.equal(slow.index, fast.index)
    (a, a_loss), (f, f_loss) = outcome(slow, v), outcome(fast, v)
    answers = [*a, *torch.autograd.grad(a_loss, (q, z, v))], [*f, *torch.autograd.grad(f_loss, (q, z, v))]
    for x, y in zip(*answers):
        torch.testing.assert_close(y, x, atol=1e-4 * max(1., x.abs().max().item()), rtol=1e-4)


@pytest.fixture(scope="module")
def scenes():
    "Street scenes, and what the shipped encoder makes of them"
    batch, model = street_pairs(range(4), seed=3, size=(64, 64)), Translator.from_pretrained("street-64")
    condition, exemplar_condition = (one_hot(batch[name], 7) for name in ("labels", "exemplar_labels"))
    with torch.no_grad(): found = model.encoder(condition, batch["exemplar"], exemplar_condition)
    return batch, found.query, found.key


@pytest.mark.parametrize("block", [2, 4, 8, 16])
def test_same_matches_on_street_scenes(scenes, block):
    batch, query, key = scenes
    slow = attend_blocks(query, key, rank_blocks(query, key, block, 3), block)
    fast = bilevel_match(query, key, block, 3)
    assert torch.equal(slow.index, fast.index)
    assert torch.equal(slow.argmax((64, 64)), fast.argmax((64, 64)))
    warps = fast.warp(batch["exemplar"]), slow.warp(batch["exemplar"])
    torch.testing.assert_close(*warps, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("block", range(2, 17))
def test_all_blocks_are_dense_matching(block):
    q, z = maps([(1, 5, 16, 12), (1, 5, 9, 16)], block, torch.float64)
    blocks = math.prod(grid_of((9, 16), (block, block)))
    match = bilevel_match(q, z, block, blocks, 1., .1)
    torch.testing.assert_close(match.dense(), dense_match(q, z, .1).dense())


@pytest.mark.gpu
@pytest.mark.parametrize("form", ["bilevel.bilevel_match", "kernels.kernel_match"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("topk", ["soft", "straight", "hard"])
def test_a_gpu_finds_what_the_slow_form_finds_on_the_cpu(scenes, dtype, topk, form):
    batch, query, key = scenes
    module, function = form.split(".")
    fast_form = getattr(import_module(f"rabit.matching.{module}"), function)
    q, z, v = (x.to(dtype) for x in (query, key, batch["exemplar"]))
    def slow_form(q, z):
        return attend_blocks(q.float(), z.float(), rank_blocks(q.float(), z.float(), 4, 3, topk=topk), 4)
    forms = ("cpu", slow_form), ("cuda", lambda q, z: fast_form(q, z, 4, 3, topk=topk))
    results = []
    for device, form in forms:
        here = [x.to(device).requires_grad_() for x in (q, z, v)]
        match = form(*here[:2])
        warped = match.warp(here[2].float())
        slopes = torch.autograd.grad(warped.square().mean() * 100, here)
        results.append([match.index.cpu(), warped.detach().cpu(), *(s.float().cpu() for s in slopes)])
    (index, *slow), (other, *fast) = results
    same = (index == other).all(-1).float().mean()
    assert same > .99                                  # two equally good blocks may be taken in another order
    close = 1e-3 if dtype == torch.float32 else 2e-2
    for x, y in zip(slow, fast):
        assert (x - y).abs().mean() < close * x.abs().mean() + (1 - same) * x.abs().max()
