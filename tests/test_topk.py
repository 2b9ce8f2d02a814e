# Generated from nbs/04_topk.ipynb by .ci/export_tests.py: edit the notebook, not this file.
import math
import torch
from fastcore.test import test_fail
from rabit.topk import _best
from rabit.topk import _boundaries
from rabit.topk import _centre
from rabit.topk import _payments
from rabit.topk import _search
from rabit.topk import _search_ranks
from rabit.topk import _shares
from rabit.topk import hard_topk
from rabit.topk import sinkhorn_topk
from rabit.topk import soft_topk
from rabit.topk import sorted_topk
from rabit.topk import threshold

scores = torch.tensor([.10, .82, .35, .61, .05, .60, .95, .22, .48, .71, .30, .15])
k = 4

def random_scores(*shape, seed=0, dtype=torch.float64): return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))

def sorted_by_sinkhorn(scores, k, eps, rounds):
    "P (…, k, n) by rows and columns in turn, in logarithms"
    n, j = scores.shape[-1], torch.arange(k, -1, -1.)
    cost = (scores[..., None, :] - j[:, None])**2
    log_nu = torch.tensor([1.] * k + [n - k]).to(scores).log()
    g = torch.zeros_like(cost[..., 0])
    for _ in range(rounds):
        f = -((g[..., None] - cost) / eps).logsumexp(-2, keepdim=True)
        g = eps * (log_nu - (f - cost / eps).logsumexp(-1))
    return (f + (g[..., None] - cost) / eps).softmax(-2)[..., :k, :]


def test_hard_mask_keeps_the_largest():
    assert hard_topk(scores, k).nonzero().flatten().tolist() == [1, 3, 6, 9]
    assert hard_topk(torch.tensor([2., -math.inf, 1.]), 3).tolist() == [1, 0, 1]      # a masked score is not kept even when there is room
    assert hard_topk(scores, 0).sum() == 0 and hard_topk(scores, 12).sum() == 12


def test_impossible_choices_are_refused():
    for bad_scores, bad_k, words in [(scores, 13, "from 0 to 12"), (scores, -1, "k = -1"), (scores, 2.5, "k = 2.5"), (scores, True, "k = True"), (scores.long(), 3, "int64"),
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


def test_the_search_ends_by_itself_within_six_rounds():
    for n in (2, 5, 64, 1000):
        noise = torch.randn(20, n, dtype=torch.float64, generator=torch.Generator().manual_seed(n))
        for j in {1, 2, n // 3, n // 2, n - 2, n - 1} & set(range(1, n)):
            ramp = torch.arange(n).double().expand(2, n)
            rows = [noise, noise.sigmoid(), noise ** 7, noise.round(), ramp, ramp / n + noise[:2] * 1e-9, torch.zeros(1, n), torch.eye(n)[:1], (ramp < n / 3).double(),
                    noise.masked_fill((noise < 0) & (ramp[:1] > j), -math.inf), noise * 1e30, noise * 1e-30]
            for a in rows:
                for dtype, miss in ((torch.float32, 1e-5), (torch.float64, 1e-12)):
                    for eps in (1e-30, 1e-4, .03, 1., 30., 1e30):
                        z, _ = _centre(a.to(dtype), j, eps)
                        t = _search(z, j, 6)
                        assert torch.equal(t, _search(z, j, 60))
                        assert ((torch.sigmoid(z - t).sum(-1) - j).abs() <= miss * j).all()


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


def test_the_best_by_groups_are_the_best():
    for n in (64, 1000, 1024, 4096):
        noise = torch.randn(40, n, generator=torch.Generator().manual_seed(n))
        masked, all_masked = noise.masked_fill(noise < 1.5, -math.inf), noise.clone()
        all_masked[3], all_masked[4, 64:] = -math.inf, -math.inf
        for a in (noise, noise.round(), noise.sort(-1).values, torch.zeros(2, n), masked, all_masked, noise.double() * 1e30, noise[0]):
            for j in (1, 4, n // 2):
                values, index = _best(a, j)
                assert torch.equal(values, a.topk(j, -1).values) and torch.equal(values, a.gather(-1, index))
                assert (index.sort(-1).values.diff() > 0).all()                                # no score twice


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


def test_many_rows_equal_each_alone():
    a = torch.randn(3, 500, 600, generator=torch.Generator().manual_seed(4)).transpose(0, 1)
    a[7, 1, 5:] = -math.inf; a[8, 2, 40:] = -math.inf
    x = a.clone().requires_grad_()
    A = soft_topk(x, 9, .3)
    B = torch.stack([soft_topk(part, 9, .3) for part in x])                           # fits into one portion
    torch.testing.assert_close(A, B)
    assert A[7, 1].sum() == 5
    g = torch.randn(a.shape, generator=torch.Generator().manual_seed(5))
    slopes = [torch.autograd.grad(out, x, g, create_graph=create, retain_graph=True)[0] for out in (A, B) for create in (False, True)]
    for slope in slopes[1:]: torch.testing.assert_close(slope, slopes[0])
    second = [torch.autograd.grad(slope.square().sum(), x)[0] for slope in slopes[1::2]]
    torch.testing.assert_close(*second, rtol=1e-4, atol=1e-4)


def test_compiled_and_exported():
    class Choice(torch.nn.Module):
        def forward(self, x): return soft_topk(x, 3, .5)

    a = torch.randn(8, 20, generator=torch.Generator().manual_seed(6))
    a[0, :15] = -math.inf; a[1, :18] = -math.inf
    wanted, weight = Choice()(a), torch.arange(20.)
    torch.testing.assert_close(torch.export.export(Choice(), (a,)).module()(a), wanted)
    traced = torch.compile(Choice(), fullgraph=True, backend="aot_eager")               # what any backend is given
    x, y = a.clone().requires_grad_(), a.clone().requires_grad_()
    torch.testing.assert_close(traced(x), wanted)
    (traced(x) * weight).sum().backward(); (Choice()(y) * weight).sum().backward()
    torch.testing.assert_close(x.grad, y.grad)


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


def test_ranks_are_found_in_few_rounds_and_from_far_away():
    for n, j in [(2, 1), (6, 3), (40, 10), (300, 3), (7, 7), (30, 10)]:
        noise, ramp = torch.randn(10, n, dtype=torch.float64, generator=torch.Generator().manual_seed(n)), torch.arange(n).double()[None]
        rows = [noise, noise ** 7, noise.round(), ramp, torch.zeros(1, n).double(), (ramp == 0).double(), (ramp < n / 2).double(),
                noise.masked_fill(ramp > n / 2, -math.inf), noise * 1e30, noise * 1e-30]
        for a in rows:
            ranks = ((a > -math.inf).sum(-1, keepdim=True) > torch.arange(j)).double()
            for eps in (1e-30, 1e-3, .1, 1., 30., 1e30):
                z, best = _boundaries(a, j, eps)
                t = _search_ranks(z, best, 9)
                assert torch.equal(t, _search_ranks(z, best, 200))
                torch.testing.assert_close(_shares(_payments(z), t)[..., :j, :].sum(-1), ranks, atol=1e-12, rtol=0)
    z, best = _boundaries(torch.randn(50, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0)), 4, 1.)
    for far in (2., 5., 10.):
        away = far * torch.randn(50, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        torch.testing.assert_close(_search_ranks(z + away[..., None], best, 200) - away, _search_ranks(z, best), atol=1e-9, rtol=0)


def test_ranks_are_sinkhorn_s_plan():
    for n, j in [(2, 1), (7, 3), (12, 4), (9, 8)]:
        a = torch.randn(3, n, dtype=torch.float64, generator=torch.Generator().manual_seed(n))
        for eps in (1., 5.):
            reference = sorted_by_sinkhorn(a, j, eps, 4000)
            torch.testing.assert_close(sorted_topk(a, j, eps), reference, atol=1e-10, rtol=0)
            torch.testing.assert_close(sorted_topk(a.float(), j, eps).double(), reference, atol=1e-5, rtol=0)
        torch.testing.assert_close(sorted_topk(a, 1, .1)[..., 0, :], soft_topk(a, 1, .1))         # one rank: nothing new


def test_gradcheck_of_sorted_top_k():
    a = torch.randn(2, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    masked = torch.zeros(2, 6, dtype=torch.bool); masked[0, 2:5] = True
    for j, eps in [(1, .3), (2, 1.), (4, .7), (6, 1.)]:
        assert torch.autograd.gradcheck(lambda x: sorted_topk(x.masked_fill(masked, -math.inf), j, eps), a)
        assert torch.autograd.gradgradcheck(lambda x: sorted_topk(x, j, eps), a)
    ours, theirs = (torch.autograd.functional.jacobian(f, a.detach()[0]) for f in (lambda x: sorted_topk(x, 3, 2.), lambda x: sorted_by_sinkhorn(x, 3, 2., 1000)))
    torch.testing.assert_close(ours, theirs, atol=1e-8, rtol=1e-6)


def test_laws_and_corners_of_sorted_top_k():
    a, j = random_scores(4, 5, 9), 3
    P, p = sorted_topk(a, j, .5), torch.randperm(9, generator=torch.Generator().manual_seed(3))
    assert P.shape == (4, 5, 3, 9) and 0 <= P.min() and P.sum(-2).max() <= 1 + 1e-12
    torch.testing.assert_close(P.sum(-1), torch.ones(4, 5, 3).double())
    for same in (sorted_topk(a[..., p], j, .5)[..., p.argsort()], sorted_topk(a + 7, j, .5), sorted_topk(a * 50, j, 25.)): torch.testing.assert_close(same, P)
    torch.testing.assert_close(sorted_topk(-a, 9, .5).flip(-2), sorted_topk(a, 9, .5))        # from the other end: all ranks turned round
    for scale in (1e-6, 1., 1e30):
        order = (a.float() * scale).topk(j).indices
        torch.testing.assert_close(sorted_topk(a.float() * scale, j, 1e-5 * scale), torch.nn.functional.one_hot(order, 9).float())
    assert sorted_topk(a.float(), j, 1e-44).argmax(-1).equal(a.topk(j).indices)
    torch.testing.assert_close(sorted_topk(a, j, 1e9), torch.full((4, 5, 3, 9), 1 / 9).double())
    assert sorted_topk(torch.tensor([1., 3., 1., 0.]), 3, 1e-60).allclose(torch.tensor([[0, 1, 0, 0], [.5, 0, .5, 0], [.5, 0, .5, 0]]))
    x = torch.tensor([[.3, -math.inf, .2, .1], [-math.inf, -math.inf, -math.inf, 5.]]).requires_grad_()
    few = sorted_topk(x, 2, .5)
    assert (few[:, :, 1] == 0).all() and few[1].tolist() == [[0, 0, 0, 1], [0, 0, 0, 0]] and sorted_topk(x, 4, .5)[0, 3].sum() == 0
    few[..., 0].sum().backward()
    assert x.grad.isfinite().all() and x.grad[0, 0] > 0 and x.grad[1].abs().sum() == 0 and x.grad[0, 1] == 0
    assert sorted_topk(a, 0, 1.).shape == (4, 5, 0, 9) and sorted_topk(torch.zeros(2, 0, 6), 2, 1.).shape == (2, 0, 2, 6) and sorted_topk(torch.zeros(1), 1, 1.).tolist() == [[1]]
    for dtype, close in [(torch.bfloat16, .02), (torch.float16, .003)]: torch.testing.assert_close(sorted_topk(a.to(dtype), j, .5).double(), sorted_topk(a.to(dtype).double(), j, .5), atol=close, rtol=0)
    many = random_scores(300, 1000)
    torch.testing.assert_close(sorted_topk(many, j, .1)[::50], sorted_topk(many[::50], j, .1))
    for bad_scores, bad_k, bad_eps, words in [(a, 10, 1., "from 0 to 9"), (a * math.nan, 1, 1., "180 NaN"), (a, 1, 0., "eps = 0.0")]:
        test_fail(lambda: sorted_topk(bad_scores, bad_k, bad_eps), contains=words)
