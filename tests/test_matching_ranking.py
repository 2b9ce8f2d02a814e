# Generated from nbs/1_matching/15_ranking.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import math
import torch
from fastcore.test import test_fail
from rabit.core.tensors import from_blocks
from rabit.core.tensors import grid_of
from rabit.core.tensors import to_blocks
from rabit.matching.match import dense_match
from rabit.matching.ranking import attend_blocks
from rabit.matching.ranking import block_means
from rabit.matching.ranking import rank_blocks
from rabit.matching.ranking import tokens_of_blocks
from rabit.matching.topk import soft_topk

def maps(*shape, seed=0): return torch.randn(shape, generator=torch.Generator().manual_seed(seed))

def bilevel(query, key, block=4, k=3, eps=1., temperature=.05):
    "Rank blocks, then attend inside the chosen ones"
    return attend_blocks(query, key, rank_blocks(query, key, block, k, eps), block, temperature)


def test_means_of_whole_and_ragged_blocks():
    x = torch.arange(15.).view(1, 1, 3, 5)
    assert block_means(x, (2, 2)).flatten().tolist() == [3, 5, 6.5, 10.5, 12.5, 14]  # the last ones are cut short
    torch.testing.assert_close(block_means(x, (1, 1)), x.flatten(2).mT)


def test_tokens_of_blocks():
    index, real = tokens_of_blocks(torch.tensor([[[0, 5]]]), (3, 5), 2)          # the first and the last of 2 × 3
    assert index[0, 0][real[0, 0]].tolist() == [0, 1, 5, 6, 14] and real.sum() == 5
    every, _ = tokens_of_blocks(torch.arange(6).view(1, 1, 6), (4, 6), 2)
    assert every.flatten().sort().values.tolist() == list(range(24))


def test_ranking_of_blocks():
    ranking = rank_blocks(maps(2, 5, 8, 12), maps(2, 5, 8, 8, seed=1), block=4, k=3)
    assert ranking.scores.shape == ranking.soft.shape == (2, 6, 4) and ranking.chosen.shape == (2, 6, 3)
    torch.testing.assert_close(ranking.soft.sum(-1), torch.full((2, 6), 3.))
    standard = ranking.scores / ranking.scores.std(-1, keepdim=True, unbiased=False)
    torch.testing.assert_close(ranking.soft, soft_topk(standard, 3, 1.))         # ε counts in standard deviations
    assert (ranking.soft.gather(2, ranking.chosen) >= 1 / (4 - 3 + 1) - 1e-6).all()  # none of the kept is lost
    sharp = rank_blocks(maps(2, 5, 8, 12), maps(2, 5, 8, 8, seed=1), block=4, k=3, eps=1e-6)
    mask = torch.zeros(2, 6, 4).scatter(2, ranking.chosen, 1.)
    torch.testing.assert_close(sharp.soft, mask)                                   # ε → 0: exactly the kept ones


def test_what_cannot_be_ranked_is_refused():
    x = maps(1, 5, 8, 8)
    refused = [(x, x, dict(k=5), "4 blocks of 4×4"), (x, maps(1, 4, 8, 8), {}, "same b and c"),
               (x, x, dict(block=0), "block = 0"), (x * math.nan, x, {}, "not finite")]
    for q, z, arguments, words in refused: test_fail(lambda: rank_blocks(q, z, **arguments), contains=words)


def test_gradient_reaches_the_ranking():
    q, z, v = maps(1, 6, 8, 8), maps(1, 6, 8, 8, seed=1), maps(1, 3, 8, 8, seed=2)
    ranking = rank_blocks(q.requires_grad_(), z, k=2)
    warped = attend_blocks(q, z, ranking).warp(v)
    slope, = torch.autograd.grad(warped.square().sum(), ranking.scores, retain_graph=True)
    assert slope.abs().max() > 1e-3 and slope.sum(-1).abs().max() < 1e-4    # one block's gain is the others' loss
    assert all(x.isfinite().all() and x.abs().sum() > 0 for x in torch.autograd.grad(warped.square().sum(), q))


def test_one_block_alone_teaches_nothing():
    q, z, v = maps(1, 6, 8, 8).requires_grad_(), maps(1, 6, 8, 8, seed=1), maps(1, 3, 8, 8, seed=2)
    ranking = rank_blocks(q, z, k=1)
    slope, = torch.autograd.grad(attend_blocks(q, z, ranking).warp(v).square().sum(), ranking.scores)
    assert slope.abs().max() < 1e-4


def test_hard_and_straight_choose_alike_and_differ_in_their_gradient():
    q, z = maps(1, 6, 8, 8).requires_grad_(), maps(1, 6, 8, 8, seed=1)
    rankings = {kind: rank_blocks(q, z, k=2, topk=kind) for kind in ("soft", "straight", "hard")}
    mask = torch.zeros(1, 4, 4).scatter(2, rankings["soft"].chosen, 1.)
    for kind in ("straight", "hard"): torch.testing.assert_close(rankings[kind].soft, mask)
    assert not rankings["hard"].soft.requires_grad
    def slope(kind):
        loss = (rankings[kind].soft * torch.arange(4.)).sum()
        return torch.autograd.grad(loss, rankings[kind].scores, retain_graph=True)[0]
    torch.testing.assert_close(slope("straight"), slope("soft"))
    test_fail(lambda: rank_blocks(q, z, topk="sharp"), contains="'sharp'")


def test_all_blocks_equal_dense_matching():
    for query_size, key_size in [((8, 8), (8, 8)), ((6, 10), (9, 7))]:
        q, z = maps(2, 5, *query_size), maps(2, 5, *key_size, seed=1)
        blocks, dense_weights = math.prod(grid_of(key_size, (4, 4))), dense_match(q, z, .1).dense()
        for eps in (.01, 1., 100.):
            match = bilevel(q, z, 4, blocks, eps, .1)
            torch.testing.assert_close(match.dense(), dense_weights, atol=1e-6, rtol=1e-4)


def test_both_limits_of_eps_are_hard_selection():
    q, z = maps(2, 5, 8, 12), maps(2, 5, 8, 8, seed=1)
    ranking = rank_blocks(q, z, k=2)
    hard = attend_blocks(q, z, ranking._replace(soft=torch.ones_like(ranking.soft))).weights
    for eps in (1e-6, 1e6):
        torch.testing.assert_close(bilevel(q, z, k=2, eps=eps).weights, hard, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(bilevel(q, z, k=2, eps=1.).weights, hard, atol=1e-2)


def test_ragged_and_unequal_grids():
    cases = [((7, 9), (5, 11), 4, 2), ((3, 3), (8, 8), 4, 2), ((1, 6), (6, 1), 2, 2), ((8, 8), (8, 8), 16, 1)]
    for query_size, key_size, block, k in cases:
        q, z = maps(2, 5, *query_size), maps(2, 5, *key_size, seed=1)
        match = bilevel(q, z, block, k)
        index, real = tokens_of_blocks(rank_blocks(q, z, block, k).chosen, key_size, block)
        assert torch.equal(match.index, index) and match.weights.mT[~real].abs().sum() == 0
        torch.testing.assert_close(match.warp(torch.ones(2, 1, *key_size)), torch.ones(2, 1, *query_size))
        all_queries = torch.full((2,), float(math.prod(query_size)))
        torch.testing.assert_close(match.column_sum().sum((1, 2, 3)), all_queries)


def test_shuffled_blocks_are_matched_back():
    q, order = maps(2, 12, 8, 12), torch.randperm(6, generator=torch.Generator().manual_seed(5))
    shuffled = from_blocks(to_blocks(q, (4, 4))[:, order].flip(2), (8, 12), (4, 4))
    match = bilevel(q, shuffled, 4, k=1, temperature=1e-3)
    torch.testing.assert_close(match.warp(shuffled), q)
    torch.testing.assert_close(match.max_similarity, torch.ones(2, 1, 8, 12))
