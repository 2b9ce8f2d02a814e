# Generated from nbs/1_matching/15a_ranking_backward.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import math
import torch
from fastcore.test import test_fail
from rabit.core.devices import chunk_numel
from rabit.core.tensors import from_blocks
from rabit.core.tensors import grid_of
from rabit.core.tensors import to_blocks
from rabit.matching.bilevel import _ChunkedQuery
from rabit.matching.bilevel import best_block
from rabit.matching.bilevel import best_side
from rabit.matching.bilevel import bilevel_match
from rabit.matching.match import dense_match
from rabit.matching.ranking import attend_blocks
from rabit.matching.ranking import rank_blocks
from rabit.matching.ranking import tokens_of_blocks

def maps(*shape, seed=0): return torch.randn(shape, generator=torch.Generator().manual_seed(seed))

def pair_of(query_size, key_size, c=6, b=2, dtype=torch.float64):
    "A query and a key that want gradients"
    sizes = query_size, key_size
    return [maps(b, c, *size, seed=seed).to(dtype).requires_grad_() for seed, size in enumerate(sizes)]

def answers(match, v, inputs):
    "Weights, largest similarities, warp, and slopes by the inputs of a sum of all that depends on them"
    warped, best = match.warp(v), match.max_similarity
    ramp = torch.linspace(-1, 1, best[0].numel()).view_as(best[0])
    loss = warped.square().sum() + (best * ramp).sum()
    return [match.weights, best, warped, *torch.autograd.grad(loss, inputs)]

def scores_made(n, side, k=3): return n**2 / side**4 + n * k * side**2


def test_a_chunk_holds_no_more_scores_than_fit_however_little_is_gathered():
    x = torch.zeros(1, 4, 128, 128)
    for block, k in ((2, 1), (4, 3), (8, 3)):
        chunked = _ChunkedQuery(x, x, block, k)
        rows = max(y.stop - y.start for _, y in chunked.chunks)
        scores = rows * chunked.columns * len(chunked.key_real)
        assert scores <= chunk_numel(x.device) or rows == 1, (block, k)


def test_chunks_give_what_the_two_halves_give():
    cases = [((8, 8), (8, 8), 4, 3), ((7, 9), (5, 11), 3, 2), ((9, 6), (12, 7), 4, 6), ((3, 3), (8, 8), 4, 1),
             ((9, 5), (6, 10), 1, 7), ((5, 20), (20, 5), 2, 30)]
    ways = [("soft", 1.), ("soft", .1), ("straight", 1.), ("hard", 1.)]
    for dtype, close in ((torch.float64, 1e-10), (torch.float32, 1e-5)):
        for (query_size, key_size, block, k), (topk, eps) in [(case, way) for case in cases for way in ways]:
            q, z = pair_of(query_size, key_size, dtype=dtype)
            v = maps(2, 3, *key_size, seed=2).to(dtype).requires_grad_()
            slow = attend_blocks(q, z, rank_blocks(q, z, block, k, eps, topk), block, .2)
            fast = bilevel_match(q, z, block, k, eps, .2, topk)
            assert torch.equal(slow.index, fast.index)
            for x, y in zip(answers(slow, v, (q, z, v)), answers(fast, v, (q, z, v))):
                torch.testing.assert_close(y, x, atol=close * max(1, x.abs().max().item()), rtol=close)


def test_the_derivative_by_finite_differences():
    q, z = pair_of((4, 6), (5, 4), c=3, b=1)
    v = maps(1, 2, 5, 4, seed=2).double()
    def outcome(block, k, topk):
        def both(q, z):
            match = bilevel_match(q, z, block, k, 1., .3, topk)
            return match.warp(v), match.max_similarity
        return both
    for agree in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert agree(outcome(2, 3, "hard"), (q, z))
        assert agree(outcome(2, 6, "soft"), (q, z))


def test_temperature_and_eps_have_derivatives_of_both_orders():
    q, z = (x.detach() for x in pair_of((4, 6), (5, 4), c=3, b=2))
    v = maps(2, 2, 5, 4, seed=2).double()
    numbers = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (.7, .3)]
    for topk in ("soft", "hard"):
        def outcome(eps, temperature): return bilevel_match(q, z, 2, 3, eps, temperature, topk).warp(v)
        wanted = numbers if topk == "soft" else numbers[1:]
        def of_wanted(*xs): return outcome(*(*numbers[:2 - len(xs)], *xs))
        for agree in (torch.autograd.gradcheck, torch.autograd.gradgradcheck): assert agree(of_wanted, wanted)
    plain = bilevel_match(q, z, 2, 3, .7, .3).warp(v)
    torch.testing.assert_close(bilevel_match(q, z, 2, 3, *numbers).warp(v), plain)


def test_a_product_with_the_hessian_is_that_of_the_two_halves():
    q, z = pair_of((5, 6), (7, 4), c=3)
    v, direction = maps(2, 2, 7, 4, seed=2).double(), maps(2, 3, 5, 6, seed=3).double()
    def in_two_steps(q): return attend_blocks(q, z, rank_blocks(q, z, 2, 3), 2, .3)
    def in_one(q): return bilevel_match(q, z, 2, 3, temperature=.3)
    products = [torch.autograd.functional.hvp(lambda q: f(q).warp(v).square().sum(), q, direction)[1]
                for f in (in_two_steps, in_one)]
    torch.testing.assert_close(*products)
    assert products[0].abs().max() > .01


def test_many_short_chunks_are_one_long_one():
    from rabit.matching.bilevel import _query_chunks
    assert len(_query_chunks(3, 4, 100, 1)) == 12 and len(_query_chunks(3, 4, 100, 10**6)) == 1
    q, z = pair_of((10, 10), (7, 12), b=3)
    def both():
        weights = bilevel_match(q, z, 3, 2).weights
        return [weights, *torch.autograd.grad(weights.square().sum(), (q, z))]
    names = bilevel_match.__globals__["_ChunkedQuery"].__init__.__globals__     # where `chunk_numel` is looked up
    long, normal = both(), names["chunk_numel"]
    names["chunk_numel"] = lambda device: 1
    try: short = both()
    finally: names["chunk_numel"] = normal
    for x, y in zip(short, long): torch.testing.assert_close(x, y)


def test_half_precision_is_computed_in_full():
    q, z = pair_of((8, 8), (8, 8), dtype=torch.float32)
    full = bilevel_match(q, z, 2, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(bilevel_match(q, z, 2, 3).weights, full.weights)
    for dtype in (torch.bfloat16, torch.float16):
        half = bilevel_match(q.to(dtype), z.to(dtype), 2, 3)
        assert half.weights.dtype == torch.float32
        rounded = bilevel_match(q.to(dtype).float(), z.to(dtype).float(), 2, 3)
        torch.testing.assert_close(half.weights, rounded.weights)


def test_it_can_be_exported_and_traced_by_a_compiler():
    class Warp(torch.nn.Module):
        def forward(self, q, z, v): return bilevel_match(q, z, 3, 2).warp(v)

    given = maps(2, 6, 7, 8), maps(2, 6, 9, 5, seed=1), maps(2, 3, 9, 5, seed=2)
    torch.testing.assert_close(torch.export.export(Warp(), given).module()(*given), Warp()(*given))
    torch.testing.assert_close(torch.compile(Warp(), backend="eager")(*given), Warp()(*given))


def test_all_blocks_equal_dense_matching():
    for query_size, key_size in [((8, 8), (8, 8)), ((6, 10), (9, 7))]:
        q, z = maps(2, 5, *query_size), maps(2, 5, *key_size, seed=1)
        blocks, dense_weights = math.prod(grid_of(key_size, (4, 4))), dense_match(q, z, .1).dense()
        for eps in (.01, 1., 100.):
            match = bilevel_match(q, z, 4, blocks, eps, .1)
            torch.testing.assert_close(match.dense(), dense_weights, atol=1e-6, rtol=1e-4)


def test_both_limits_of_eps_are_hard_selection():
    q, z = maps(2, 5, 8, 12), maps(2, 5, 8, 8, seed=1)
    ranking = rank_blocks(q, z, k=2)
    hard = attend_blocks(q, z, ranking._replace(soft=torch.ones_like(ranking.soft))).weights
    for eps in (1e-6, 1e6):
        torch.testing.assert_close(bilevel_match(q, z, k=2, eps=eps).weights, hard, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(bilevel_match(q, z, k=2, eps=1.).weights, hard, atol=1e-2)


def test_ragged_and_unequal_grids():
    cases = [((7, 9), (5, 11), 4, 2), ((3, 3), (8, 8), 4, 2), ((1, 6), (6, 1), 2, 2), ((8, 8), (8, 8), 16, 1)]
    for query_size, key_size, block, k in cases:
        q, z = maps(2, 5, *query_size), maps(2, 5, *key_size, seed=1)
        match = bilevel_match(q, z, block, k)
        index, real = tokens_of_blocks(rank_blocks(q, z, block, k).chosen, key_size, block)
        assert torch.equal(match.index, index) and match.weights.mT[~real].abs().sum() == 0
        torch.testing.assert_close(match.warp(torch.ones(2, 1, *key_size)), torch.ones(2, 1, *query_size))
        all_queries = torch.full((2,), float(math.prod(query_size)))
        torch.testing.assert_close(match.column_sum().sum((1, 2, 3)), all_queries)


def test_shuffled_blocks_are_matched_back():
    q, order = maps(2, 12, 8, 12), torch.randperm(6, generator=torch.Generator().manual_seed(5))
    shuffled = from_blocks(to_blocks(q, (4, 4))[:, order].flip(2), (8, 12), (4, 4))
    match = bilevel_match(q, shuffled, 4, k=1, temperature=1e-3)
    torch.testing.assert_close(match.warp(shuffled), q)
    torch.testing.assert_close(match.max_similarity, torch.ones(2, 1, 8, 12))


def test_best_block_is_the_cheapest():
    for n in (32**2, 128**2):
        sides = [1 + .01 * i for i in range(2000)]
        assert abs(min(sides, key=lambda side: scores_made(n, side)) - best_block(n)) < .02


def test_best_side_divides_the_grid():
    assert [best_side((w, w)) for w in (32, 64, 128, 256, 512)] == [4, 4, 4, 8, 8]
    assert best_side((96, 120)) == 4 and best_side((7, 14)) == 1 and best_side((9, 27)) == 3  # 1 is nearer than 7
    test_fail(lambda: best_block(0), contains="got n = 0")
