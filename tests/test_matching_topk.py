# Generated from nbs/1_matching/14_topk.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import math
import torch
from fastcore.test import test_fail
from rabit.matching.topk import center_scores
from rabit.matching.topk import hard_topk
from rabit.matching.topk import sinkhorn_topk
from rabit.matching.topk import soft_topk
from rabit.matching.topk import solve_threshold
from rabit.matching.topk import threshold

scores = torch.tensor([.10, .82, .35, .61, .05, .60, .95, .22, .48, .71, .30, .15])
k = 4

def random_scores(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def test_hard_mask_keeps_the_largest():
    assert hard_topk(scores, k).nonzero().flatten().tolist() == [1, 3, 6, 9]
    assert hard_topk(torch.tensor([2., -math.inf, 1.]), 3).tolist() == [1, 0, 1]  # a masked score is not
    assert hard_topk(scores, 0).sum() == 0 and hard_topk(scores, 12).sum() == 12


def test_impossible_choices_are_refused():
    refused = [(scores, 13, "from 0 to 12"), (scores, -1, "k = -1"), (scores, 2.5, "k = 2.5"),
               (scores, True, "k = True"), (scores.long(), 3, "int64"), (scores * math.nan, 3, "12 NaN"),
               (torch.tensor(1.), 1, "shape ()")]
    for bad_scores, bad_k, words in refused: test_fail(lambda: hard_topk(bad_scores, bad_k), contains=words)


def test_sinkhorn_in_the_log_domain():
    chosen = sinkhorn_topk(scores, k, .1)
    assert torch.allclose(chosen.sum(), torch.tensor(4.)) and 0 <= chosen.min() and chosen.max() <= 1
    assert sinkhorn_topk(scores, k, 1e-3).isfinite().all()                           # where the loops broke
    assert sinkhorn_topk(torch.tensor([1., -math.inf, .9, .8]), 2, .1)[1] == 0       # masked
    for j in (0, 12): assert torch.allclose(sinkhorn_topk(scores, j, .1), torch.full((12,), j / 12))
    test_fail(lambda: sinkhorn_topk(scores, k, 0.), contains="eps must be > 0 and finite, got 0.0")


def test_search_where_plain_thresholds_fail():
    tied = torch.tensor([.9, .6, .6, .6, .1])
    z, c = center_scores(tied, 2, 1e-9)
    torch.testing.assert_close(torch.sigmoid(z - solve_threshold(z, 2)), torch.tensor([1, 1/3, 1/3, 1/3, 0]))


def test_threshold():
    theta = threshold(scores, k, .1)
    torch.testing.assert_close(torch.sigmoid((2 * scores - theta) / .1).sum(), torch.tensor(4.))
    torch.testing.assert_close(threshold(scores + 3, k, .1), theta + 6)         # all scores move: θ, twice as far
    assert threshold(torch.randn(2, 3, 9), 5, 1.).shape == (2, 3, 1)
    test_fail(lambda: threshold(scores, 12, .1), contains="no threshold")


def test_soft_top_k_is_sinkhorn_s_plan():
    chosen = soft_topk(scores, k, .1)
    torch.testing.assert_close(chosen, sinkhorn_topk(scores, k, .1, 1000), atol=1e-4, rtol=0)
    print(chosen)


def test_gradcheck_of_soft_top_k():
    s = torch.randn(2, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    masked = torch.zeros(2, 7, dtype=torch.bool)
    masked[0, 2] = True
    for j, eps in [(1, .3), (3, 1.), (5, .5)]:
        assert torch.autograd.gradcheck(lambda x: soft_topk(x.masked_fill(masked, -math.inf), j, eps), s)
        assert torch.autograd.gradgradcheck(lambda x: soft_topk(x, j, eps), s)
        learned = torch.tensor(eps, dtype=torch.float64, requires_grad=True)
        torch.testing.assert_close(soft_topk(s, j, learned), soft_topk(s, j, eps))
        for agree in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
            assert agree(lambda x, e: soft_topk(x.masked_fill(masked, -math.inf), j, e), (s, learned))


def test_gradient_equals_autograd_through_sinkhorn():
    s = torch.randn(4, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    g = torch.randn(4, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    ours, = torch.autograd.grad(soft_topk(s, 3, 1.), s, g)
    theirs, = torch.autograd.grad(sinkhorn_topk(s, 3, 1., 300), s, g)
    torch.testing.assert_close(ours, theirs, atol=1e-8, rtol=1e-6)


def test_laws_of_sum_order_permutation_shift_and_scale():
    for j, eps in [(1, .01), (5, .5), (19, 100.)]:
        s = random_scores(4, 5, 20)
        A = soft_topk(s, j, eps)
        torch.testing.assert_close(A.sum(-1), torch.full((4, 5), float(j)).double())
        assert 0 <= A.min() and A.max() <= 1
        assert (A.gather(-1, s.argsort(-1, descending=True)).diff(dim=-1) <= 1e-12).all()
        p = torch.randperm(20, generator=torch.Generator().manual_seed(3))
        torch.testing.assert_close(soft_topk(s[..., p], j, eps), A[..., p])
        torch.testing.assert_close(soft_topk(s + 7, j, eps), A)
        torch.testing.assert_close(soft_topk(s * 50, j, eps * 50), A)


def test_limits_and_ties():
    for scale in (1e-6, 1., 1e30):
        s = random_scores(6, 30, dtype=torch.float32) * scale
        for eps in (1e-5 * scale, 1e-44): torch.testing.assert_close(soft_topk(s, 7, eps), hard_topk(s, 7))
    torch.testing.assert_close(soft_topk(random_scores(30), 6, 1e9), torch.full((30,), .2).double())
    assert soft_topk(torch.tensor([3., 1., 1., 1., 0.]), 2, 1e-60)[1:4].allclose(torch.tensor(1 / 3))
    torch.testing.assert_close(soft_topk(torch.zeros(4), 1, .1), torch.full((4,), .25))


def test_the_k_best_are_never_lost():
    for eps in (.01, .3, 3., 1e6):
        for j in (1, 4, 29):
            A = soft_topk(random_scores(50, 30), j, eps)
            assert (A.sort(-1, descending=True).values[:, j - 1] >= 1 / (30 - j + 1) - 1e-12).all()
