# Generated from nbs/04_topk.ipynb by .ci/export_tests.py: edit the notebook, not this file.
import math
import torch
from fastcore.test import test_fail
from rabit.topk import _centre
from rabit.topk import _search
from rabit.topk import hard_topk
from rabit.topk import sinkhorn_topk
from rabit.topk import soft_topk
from rabit.topk import threshold

scores = torch.tensor([.10, .82, .35, .61, .05, .60, .95, .22, .48, .71, .30, .15])
k = 4

def random_scores(*shape, seed=0, dtype=torch.float64): return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def test_hard_mask_keeps_the_largest():
    assert hard_topk(scores, k).nonzero().flatten().tolist() == [1, 3, 6, 9]
    assert hard_topk(torch.tensor([2., -math.inf, 1.]), 3).tolist() == [1, 0, 1]      # a masked score is not kept even when there is room
    assert hard_topk(scores, 0).sum() == 0 and hard_topk(scores, 12).sum() == 12


def test_impossible_choices_are_refused():
    for bad_scores, bad_k, words in [(scores, 13, "from 0 to 12"), (scores, -1, "k = -1"), (scores, 2.5, "k = 2.5"), (scores.long(), 3, "int64"),
                                     (scores * math.nan, 3, "12 NaN"), (torch.tensor(1.), 1, "shape ()")]:
        test_fail(lambda: hard_topk(bad_scores, bad_k), contains=words)


def test_sinkhorn_in_the_log_domain():
    chosen = sinkhorn_topk(scores, k, .1)
    assert torch.allclose(chosen.sum(), torch.tensor(4.)) and 0 <= chosen.min() and chosen.max() <= 1
    assert sinkhorn_topk(scores, k, 1e-3).isfinite().all()                           # where the loops broke
    assert sinkhorn_topk(torch.tensor([1., -math.inf, .9, .8]), 2, .1)[1] == 0       # masked
    assert torch.allclose(sinkhorn_topk(scores, 0, .1), torch.zeros(12)) and torch.allclose(sinkhorn_topk(scores, 12, .1), torch.ones(12))
    test_fail(lambda: sinkhorn_topk(scores, k, 0.), contains="eps = 0.0")


def test_search_where_plain_thresholds_fail():
    tied = torch.tensor([.9, .6, .6, .6, .1])
    z, c = _centre(tied, 2, 1e-9)
    torch.testing.assert_close(torch.sigmoid(z - _search(z, 2)), torch.tensor([1, 1/3, 1/3, 1/3, 0]))


def test_threshold():
    tau = threshold(scores, k, .1)
    torch.testing.assert_close(torch.sigmoid((2 * scores - tau) / .1).sum(), torch.tensor(4.))
    torch.testing.assert_close(threshold(scores + 3, k, .1), tau + 6)                   # all scores moved: τ moves twice as far
    assert threshold(torch.randn(2, 3, 9), 5, 1.).shape == (2, 3, 1)
    test_fail(lambda: threshold(scores, 12, .1), contains="no threshold")


def test_one_unknown_equals_converged_sinkhorn():
    for n in (2, 7, 50):
        for j in {1, n // 2, n - 1}:
            for eps in (.5, 1., 10.):
                a = torch.randn(3, n, dtype=torch.float64, generator=torch.Generator().manual_seed(n + j))
                torch.testing.assert_close(torch.sigmoid((2 * a - threshold(a, j, eps)) / eps), sinkhorn_topk(a, j, eps, 2000), atol=1e-6, rtol=0)


def test_soft_top_k_is_sinkhorn_s_plan():
    chosen = soft_topk(scores, k, .1)
    torch.testing.assert_close(chosen, sinkhorn_topk(scores, k, .1, 1000), atol=1e-4, rtol=0)
    print(chosen)


def test_gradcheck_of_soft_top_k():
    a = torch.randn(2, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    masked = torch.zeros(2, 7, dtype=torch.bool); masked[0, 2] = True
    for j, eps in [(1, .3), (3, 1.), (5, .5)]:
        assert torch.autograd.gradcheck(lambda x: soft_topk(x.masked_fill(masked, -math.inf), j, eps), a)
        assert torch.autograd.gradgradcheck(lambda x: soft_topk(x, j, eps), a)


def test_gradient_equals_autograd_through_sinkhorn():
    a = torch.randn(4, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    g = torch.randn(4, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    ours, = torch.autograd.grad(soft_topk(a, 3, 1.), a, g)
    theirs, = torch.autograd.grad(sinkhorn_topk(a, 3, 1., 300), a, g)
    torch.testing.assert_close(ours, theirs, atol=1e-8, rtol=1e-6)


def test_laws_of_sum_order_permutation_shift_and_scale():
    for j, eps in [(1, .01), (5, .5), (19, 100.)]:
        a = random_scores(4, 5, 20)
        A = soft_topk(a, j, eps)
        torch.testing.assert_close(A.sum(-1), torch.full((4, 5), float(j)).double())
        assert 0 <= A.min() and A.max() <= 1
        assert (A.gather(-1, a.argsort(-1, descending=True)).diff(dim=-1) <= 1e-12).all()
        p = torch.randperm(20, generator=torch.Generator().manual_seed(3))
        torch.testing.assert_close(soft_topk(a[..., p], j, eps), A[..., p])
        torch.testing.assert_close(soft_topk(a + 7, j, eps), A)
        torch.testing.assert_close(soft_topk(a * 50, j, eps * 50), A)


def test_limits_and_ties():
    for scale in (1e-6, 1., 1e30):
        a = random_scores(6, 30, dtype=torch.float32) * scale
        for eps in (1e-5 * scale, 1e-44): torch.testing.assert_close(soft_topk(a, 7, eps), hard_topk(a, 7))
    torch.testing.assert_close(soft_topk(random_scores(30), 6, 1e9), torch.full((30,), .2).double())
    assert soft_topk(torch.tensor([3., 1., 1., 1., 0.]), 2, 1e-60)[1:4].allclose(torch.tensor(1 / 3))
    torch.testing.assert_close(soft_topk(torch.zeros(4), 1, .1), torch.full((4,), .25))


def test_masked_scores_and_corners():
    a = torch.tensor([[.3, -math.inf, .2, .1], [-math.inf, -math.inf, -math.inf, 5.], [1., 2., 3., 4.]]).requires_grad_()
    A = soft_topk(a, 2, .5)
    assert A[0, 1] == 0 and A[1].tolist() == [0, 0, 0, 1] and torch.allclose(A.sum(-1), torch.tensor([2., 1, 2]))
    A[:, 0].sum().backward()
    assert a.grad.isfinite().all() and a.grad[1].abs().sum() == 0 and a.grad[0, 1] == 0 and a.grad[2].abs().sum() > 0
    for j in (0, 4):
        A = soft_topk(a, j, .5)
        assert A.requires_grad and torch.equal(A.detach(), (a.detach() > -math.inf) * float(j > 0))
    assert torch.equal(soft_topk(torch.full((5,), -math.inf), 2, 1.), torch.zeros(5))
    assert soft_topk(torch.tensor([1., -math.inf, 7., -math.inf]), 2, 1.).tolist() == [1, 0, 1, 0]


def test_shapes_and_float_types():
    for shape in [(6,), (1, 6), (2, 0, 6), (2, 3, 4, 6)]: assert soft_topk(torch.randn(shape), 2, .3).shape == shape
    assert soft_topk(torch.zeros(3, 0), 0, 1.).shape == (3, 0)
    for dtype, close in [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, .02), (torch.float16, .003)]:
        a = random_scores(8, 64).to(dtype).requires_grad_()
        A = soft_topk(a, 9, .5)
        A.square().sum().backward()
        assert A.dtype == a.grad.dtype == soft_topk(a, 64, .5).dtype == dtype and a.grad.isfinite().all()
        torch.testing.assert_close(A.double(), soft_topk(a.double(), 9, .5), atol=close, rtol=0)


def test_the_k_best_are_never_lost():
    for eps in (.01, .3, 3., 1e6):
        for j in (1, 4, 29):
            A = soft_topk(random_scores(50, 30), j, eps)
            assert (A.sort(-1, descending=True).values[:, j - 1] >= 1 / (30 - j + 1) - 1e-12).all()
