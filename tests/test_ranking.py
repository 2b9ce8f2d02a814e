# Generated from nbs/05_ranking.ipynb by .ci/export_tests.py: edit the notebook, not this file.
import math
import torch
from fastcore.test import test_fail
from rabit.core import from_blocks
from rabit.core import grid_of
from rabit.core import to_blocks
from rabit.match import dense_match
from rabit.ranking import attend_blocks
from rabit.ranking import best_block
from rabit.ranking import best_side
from rabit.ranking import bilevel_match
from rabit.ranking import block_means
from rabit.ranking import rank_blocks
from rabit.ranking import tokens_of_blocks
from rabit.topk import soft_topk

def maps(*shape, seed=0): return torch.randn(shape, generator=torch.Generator().manual_seed(seed))

def pair_of(query_size, key_size, c=6, b=2, dtype=torch.float64):
    "A query and a key that want gradients"
    return [maps(b, c, *size, seed=seed).to(dtype).requires_grad_() for seed, size in enumerate((query_size, key_size))]

def answers(match, v):
    "Weights, peak, warp, and slopes of a sum of all three by `v` and what else wants them"
    warped = match.warp(v)
    return match.weights, match.peak, warped, warped.square().sum() + (match.peak * torch.linspace(-1, 1, match.peak[0].numel()).view_as(match.peak[0])).sum()


def test_means_of_whole_and_ragged_blocks():
    x = torch.arange(15.).view(1, 1, 3, 5)
    assert block_means(x, (2, 2)).flatten().tolist() == [3, 5, 6.5, 10.5, 12.5, 14]    # the last column and row of blocks are cut short
    torch.testing.assert_close(block_means(x, (1, 1)), x.flatten(2).mT)


def test_tokens_of_blocks():
    index, real = tokens_of_blocks(torch.tensor([[[0, 5]]]), (3, 5), 2)            # 3 × 5 tokens, 2 × 3 blocks: the first and the last
    assert index[0, 0][real[0, 0]].tolist() == [0, 1, 5, 6, 14] and real.sum() == 5
    assert tokens_of_blocks(torch.arange(6).view(1, 1, 6), (4, 6), 2)[0].flatten().sort().values.tolist() == list(range(24))


def test_ranking_of_blocks():
    ranking = rank_blocks(maps(2, 5, 8, 12), maps(2, 5, 8, 8, seed=1), block=4, k=3)
    assert ranking.scores.shape == ranking.soft.shape == (2, 6, 4) and ranking.chosen.shape == (2, 6, 3)
    torch.testing.assert_close(ranking.soft.sum(-1), torch.full((2, 6), 3.))
    standard = ranking.scores / ranking.scores.std(-1, keepdim=True, unbiased=False)
    torch.testing.assert_close(ranking.soft, soft_topk(standard, 3, 1.))                          # ε counts in standard deviations
    assert (ranking.soft.gather(2, ranking.chosen) >= 1 / (4 - 3 + 1) - 1e-6).all()               # none of the kept is lost
    sharp = rank_blocks(maps(2, 5, 8, 12), maps(2, 5, 8, 8, seed=1), block=4, k=3, eps=1e-6)
    torch.testing.assert_close(sharp.soft, torch.zeros(2, 6, 4).scatter(2, ranking.chosen, 1.))      # ε → 0: exactly the kept ones


def test_what_cannot_be_ranked_is_refused():
    x = maps(1, 5, 8, 8)
    for q, z, arguments, words in [(x, x, dict(k=5), "4 blocks of 4×4"), (x, maps(1, 4, 8, 8), {}, "same b and c"),
                                   (x, x, dict(block=0), "block = 0"), (x * math.nan, x, {}, "not finite")]:
        test_fail(lambda: rank_blocks(q, z, **arguments), contains=words)


def test_gradient_reaches_the_ranking():
    q, z, v = maps(1, 6, 8, 8), maps(1, 6, 8, 8, seed=1), maps(1, 3, 8, 8, seed=2)
    ranking = rank_blocks(q.requires_grad_(), z, k=2)
    warped = attend_blocks(q, z, ranking).warp(v)
    slope, = torch.autograd.grad(warped.square().sum(), ranking.scores, retain_graph=True)
    assert slope.abs().max() > 1e-3 and slope.sum(-1).abs().max() < 1e-4            # and what one block gains the others lose
    assert all(x.isfinite().all() and x.abs().sum() > 0 for x in torch.autograd.grad(warped.square().sum(), q))


def test_one_block_alone_teaches_nothing():
    q, z, v = maps(1, 6, 8, 8).requires_grad_(), maps(1, 6, 8, 8, seed=1), maps(1, 3, 8, 8, seed=2)
    ranking = rank_blocks(q, z, k=1)
    slope, = torch.autograd.grad(attend_blocks(q, z, ranking).warp(v).square().sum(), ranking.scores)
    assert slope.abs().max() < 1e-4


def test_hard_and_straight_choose_alike_and_differ_in_their_gradient():
    q, z, v = maps(1, 6, 8, 8).requires_grad_(), maps(1, 6, 8, 8, seed=1), maps(1, 3, 8, 8, seed=2)
    rankings = {kind: rank_blocks(q, z, k=2, topk=kind) for kind in ("soft", "straight", "hard")}
    mask = torch.zeros(1, 4, 4).scatter(2, rankings["soft"].chosen, 1.)
    for kind in ("straight", "hard"): torch.testing.assert_close(rankings[kind].soft, mask)
    assert not rankings["hard"].soft.requires_grad
    def slope(kind): return torch.autograd.grad((rankings[kind].soft * torch.arange(4.)).sum(), rankings[kind].scores, retain_graph=True)[0]
    torch.testing.assert_close(slope("straight"), slope("soft"))
    test_fail(lambda: rank_blocks(q, z, topk="sharp"), contains="'sharp'")


def test_stretches_give_what_the_two_halves_give():
    cases = [((8, 8), (8, 8), 4, 3), ((7, 9), (5, 11), 3, 2), ((9, 6), (12, 7), 4, 6), ((3, 3), (8, 8), 4, 1), ((9, 5), (6, 10), 1, 7), ((5, 20), (20, 5), 2, 30)]
    for dtype, close in ((torch.float64, 1e-10), (torch.float32, 1e-5)):
        for (query_size, key_size, block, k), topk, eps in [(case, *how) for case in cases for how in (("soft", 1.), ("soft", .1), ("straight", 1.), ("hard", 1.))]:
            q, z = pair_of(query_size, key_size, dtype=dtype)
            v = maps(2, 3, *key_size, seed=2).to(dtype).requires_grad_()
            slow, fast = attend_blocks(q, z, rank_blocks(q, z, block, k, eps, topk), block, .2), bilevel_match(q, z, block, k, eps, .2, topk)
            assert torch.equal(slow.index, fast.index)
            a, b = answers(slow, v), answers(fast, v)
            for x, y in zip([*a[:3], *torch.autograd.grad(a[3], (q, z, v))], [*b[:3], *torch.autograd.grad(b[3], (q, z, v))]):
                torch.testing.assert_close(y, x, atol=close * max(1, x.abs().max().item()), rtol=close)


def test_the_derivative_by_finite_differences():
    q, z = pair_of((4, 6), (5, 4), c=3, b=1)
    v = maps(1, 2, 5, 4, seed=2).double()
    def outcome(block, k, topk): return lambda q, z: (lambda m: (m.warp(v), m.peak))(bilevel_match(q, z, block, k, 1., .3, topk))
    assert torch.autograd.gradcheck(outcome(2, 3, "hard"), (q, z)) and torch.autograd.gradcheck(outcome(2, 6, "soft"), (q, z))


def test_many_short_stretches_are_one_long_one():
    from rabit.ranking import _stretches
    assert len(_stretches(3, 4, 100, 1)) == 12 and len(_stretches(3, 4, 100, 10**6)) == 1
    q, z = pair_of((10, 10), (7, 12), b=3)
    def both():
        weights = bilevel_match(q, z, 3, 2).weights
        return [weights, *torch.autograd.grad(weights.square().sum(), (q, z))]
    names = bilevel_match.__globals__["_Walk"].__init__.__globals__                # where `room` is looked up
    long, normal = both(), names["room"]
    names["room"] = lambda device: 1
    try: short = both()
    finally: names["room"] = normal
    for x, y in zip(short, long): torch.testing.assert_close(x, y)


def test_half_precision_is_computed_in_full():
    q, z = pair_of((8, 8), (8, 8), dtype=torch.float32)
    full = bilevel_match(q, z, 2, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16): assert torch.equal(bilevel_match(q, z, 2, 3).weights, full.weights)
    for dtype in (torch.bfloat16, torch.float16):
        half = bilevel_match(q.to(dtype), z.to(dtype), 2, 3)
        assert half.weights.dtype == torch.float32
        torch.testing.assert_close(half.weights, bilevel_match(q.to(dtype).float(), z.to(dtype).float(), 2, 3).weights)


def test_it_can_be_exported_and_traced_by_a_compiler():
    class Warp(torch.nn.Module):
        def forward(self, q, z, v): return bilevel_match(q, z, 3, 2).warp(v)

    given = maps(2, 6, 7, 8), maps(2, 6, 9, 5, seed=1), maps(2, 3, 9, 5, seed=2)
    torch.testing.assert_close(torch.export.export(Warp(), given).module()(*given), Warp()(*given))
    torch.testing.assert_close(torch.compile(Warp(), backend="eager")(*given), Warp()(*given))


def test_all_blocks_equal_dense_matching():
    for query_size, key_size in [((8, 8), (8, 8)), ((6, 10), (9, 7))]:
        q, z = maps(2, 5, *query_size), maps(2, 5, *key_size, seed=1)
        blocks = math.prod(grid_of(key_size, (4, 4)))
        for eps in (.01, 1., 100.):
            torch.testing.assert_close(bilevel_match(q, z, 4, blocks, eps, .1).dense(), dense_match(q, z, .1).dense(), atol=1e-6, rtol=1e-4)


def test_both_limits_of_eps_are_hard_selection():
    q, z = maps(2, 5, 8, 12), maps(2, 5, 8, 8, seed=1)
    ranking = rank_blocks(q, z, k=2)
    hard = attend_blocks(q, z, ranking._replace(soft=torch.ones_like(ranking.soft))).weights
    for eps in (1e-6, 1e6): torch.testing.assert_close(bilevel_match(q, z, k=2, eps=eps).weights, hard, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(bilevel_match(q, z, k=2, eps=1.).weights, hard, atol=1e-2)


def test_ragged_and_unequal_grids():
    for query_size, key_size, block in [((7, 9), (5, 11), 4), ((3, 3), (8, 8), 4), ((1, 6), (6, 1), 2), ((8, 8), (8, 8), 16)]:
        q, z = maps(2, 5, *query_size), maps(2, 5, *key_size, seed=1)
        match = bilevel_match(q, z, block, k=1 if block == 16 else 2)
        index, real = tokens_of_blocks(rank_blocks(q, z, block, 1 if block == 16 else 2).chosen, key_size, block)
        assert torch.equal(match.index, index) and match.weights.mT[~real].abs().sum() == 0
        torch.testing.assert_close(match.warp(torch.ones(2, 1, *key_size)), torch.ones(2, 1, *query_size))
        torch.testing.assert_close(match.reach().sum((1, 2, 3)), torch.full((2,), float(math.prod(query_size))))


def test_shuffled_blocks_are_matched_back():
    q, order = maps(2, 12, 8, 12), torch.randperm(6, generator=torch.Generator().manual_seed(5))
    shuffled = from_blocks(to_blocks(q, (4, 4))[:, order].flip(2), (8, 12), (4, 4))
    match = bilevel_match(q, shuffled, 4, k=1, temperature=1e-3)
    torch.testing.assert_close(match.warp(shuffled), q)
    torch.testing.assert_close(match.peak, torch.ones(2, 1, 8, 12))


def test_best_block_is_the_cheapest():
    def scores_made(n, side, k=3): return n**2 / side**4 + n * k * side**2
    for n in (32**2, 128**2):
        sides = [1 + .01 * i for i in range(2000)]
        assert abs(min(sides, key=lambda s: scores_made(n, s)) - best_block(n)) < .02


def test_best_side_divides_the_grid():
    assert [best_side((w, w)) for w in (32, 64, 128, 256, 512)] == [4, 4, 4, 8, 8]
    assert best_side((96, 120)) == 4 and best_side((7, 14)) == 1 and best_side((9, 27)) == 3        # 7 × 14: only 1 and 7 divide both sides, and 1 is nearer to 2.0
