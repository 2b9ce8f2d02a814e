# Generated from nbs/1_matching/14b_topk_sorted.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import math
import torch
from fastcore.test import test_fail
from rabit.matching.topk import soft_topk
from rabit.matching.topk_sorted import _boundaries
from rabit.matching.topk_sorted import _boundary_costs
from rabit.matching.topk_sorted import _rank_probs
from rabit.matching.topk_sorted import _solve_boundaries
from rabit.matching.topk_sorted import sorted_topk

def random_scores(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))

def sorted_by_sinkhorn(scores, k, eps, iterations):
    "P (…, k, n) by rows and columns in turn, in logarithms"
    n, j = scores.shape[-1], torch.arange(k, -1, -1.)
    cost = (scores[..., None, :] - j[:, None])**2
    log_nu = torch.tensor([1.] * k + [n - k]).to(scores).log()
    g = torch.zeros_like(cost[..., 0])
    for _ in range(iterations):
        f = -((g[..., None] - cost) / eps).logsumexp(-2, keepdim=True)
        g = eps * (log_nu - (f - cost / eps).logsumexp(-1))
    return (f + (g[..., None] - cost) / eps).softmax(-2)[..., :k, :]


def test_ranks_are_found_in_few_iterations_and_from_far_away():
    for n, j in [(2, 1), (6, 3), (40, 10), (300, 3), (7, 7), (30, 10)]:
        noise = torch.randn(10, n, dtype=torch.float64, generator=torch.Generator().manual_seed(n))
        ramp = torch.arange(n).double()[None]
        rows = [noise, noise ** 7, noise.round(), ramp, torch.zeros(1, n).double(), (ramp == 0).double(),
                (ramp < n / 2).double(), noise.masked_fill(ramp > n / 2, -math.inf), noise * 1e30, noise * 1e-30]
        for s in rows:
            ranks = ((s > -math.inf).sum(-1, keepdim=True) > torch.arange(j)).double()
            for eps in (1e-30, 1e-3, .1, 1., 30., 1e30):
                z, best = _boundaries(s, j, eps)
                t = _solve_boundaries(z, best, 9)
                assert torch.equal(t, _solve_boundaries(z, best, 200))
                held = _rank_probs(_boundary_costs(z), t)[..., :j, :].sum(-1)
                torch.testing.assert_close(held, ranks, atol=1e-12, rtol=0)
    z, best = _boundaries(random_scores(50, 12), 4, 1.)
    for far in (2., 5., 10.):
        away = far * random_scores(50, 4, seed=1)
        found = _solve_boundaries(z + away[..., None], best, 200) - away
        torch.testing.assert_close(found, _solve_boundaries(z, best), atol=1e-9, rtol=0)


def test_ranks_are_sinkhorn_s_plan():
    for n, j in [(2, 1), (7, 3), (12, 4), (9, 8)]:
        s = torch.randn(3, n, dtype=torch.float64, generator=torch.Generator().manual_seed(n))
        for eps in (1., 5.):
            reference = sorted_by_sinkhorn(s, j, eps, 4000)
            torch.testing.assert_close(sorted_topk(s, j, eps), reference, atol=1e-10, rtol=0)
            torch.testing.assert_close(sorted_topk(s.float(), j, eps).double(), reference, atol=1e-5, rtol=0)
        torch.testing.assert_close(sorted_topk(s, 1, .1)[..., 0, :], soft_topk(s, 1, .1))  # one rank: nothing new


def test_gradcheck_of_sorted_top_k():
    s = torch.randn(2, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    masked = torch.zeros(2, 6, dtype=torch.bool)
    masked[0, 2:5] = True
    for j, eps in [(1, .3), (2, 1.), (4, .7), (6, 1.)]:
        assert torch.autograd.gradcheck(lambda x: sorted_topk(x.masked_fill(masked, -math.inf), j, eps), s)
        assert torch.autograd.gradgradcheck(lambda x: sorted_topk(x, j, eps), s)
    ours, theirs = (torch.autograd.functional.jacobian(f, s.detach()[0])
                    for f in (lambda x: sorted_topk(x, 3, 2.), lambda x: sorted_by_sinkhorn(x, 3, 2., 1000)))
    torch.testing.assert_close(ours, theirs, atol=1e-8, rtol=1e-6)


def test_laws_and_corners_of_sorted_top_k():
    s, j = random_scores(4, 5, 9), 3
    P, p = sorted_topk(s, j, .5), torch.randperm(9, generator=torch.Generator().manual_seed(3))
    assert P.shape == (4, 5, 3, 9) and 0 <= P.min() and P.sum(-2).max() <= 1 + 1e-12
    torch.testing.assert_close(P.sum(-1), torch.ones(4, 5, 3).double())
    for same in (sorted_topk(s[..., p], j, .5)[..., p.argsort()], sorted_topk(s + 7, j, .5),
                 sorted_topk(s * 50, j, 25.)):
        torch.testing.assert_close(same, P)
    torch.testing.assert_close(sorted_topk(-s, 9, .5).flip(-2), sorted_topk(s, 9, .5))  # reversed
    for scale in (1e-6, 1., 1e30):
        order = (s.float() * scale).topk(j).indices
        torch.testing.assert_close(sorted_topk(s.float() * scale, j, 1e-5 * scale),
                                   torch.nn.functional.one_hot(order, 9).float())
    assert sorted_topk(s.float(), j, 1e-44).argmax(-1).equal(s.topk(j).indices)
    torch.testing.assert_close(sorted_topk(s, j, 1e9), torch.full((4, 5, 3, 9), 1 / 9).double())
    tied = sorted_topk(torch.tensor([1., 3., 1., 0.]), 3, 1e-60)
    assert tied.allclose(torch.tensor([[0, 1, 0, 0], [.5, 0, .5, 0], [.5, 0, .5, 0]]))
    x = torch.tensor([[.3, -math.inf, .2, .1], [-math.inf, -math.inf, -math.inf, 5.]]).requires_grad_()
    few = sorted_topk(x, 2, .5)
    assert (few[:, :, 1] == 0).all() and few[1].tolist() == [[0, 0, 0, 1], [0, 0, 0, 0]]
    assert sorted_topk(x, 4, .5)[0, 3].sum() == 0
    few[..., 0].sum().backward()
    assert x.grad.isfinite().all() and x.grad[0, 0] > 0 and x.grad[1].abs().sum() == 0 and x.grad[0, 1] == 0
    assert sorted_topk(s, 0, 1.).shape == (4, 5, 0, 9)
    assert sorted_topk(torch.zeros(2, 0, 6), 2, 1.).shape == (2, 0, 2, 6)
    assert sorted_topk(torch.zeros(1), 1, 1.).tolist() == [[1]]
    for dtype, close in [(torch.bfloat16, .02), (torch.float16, .003)]:
        torch.testing.assert_close(sorted_topk(s.to(dtype), j, .5).double(),
                                   sorted_topk(s.to(dtype).double(), j, .5), atol=close, rtol=0)
    many = random_scores(300, 1000)
    torch.testing.assert_close(sorted_topk(many, j, .1)[::50], sorted_topk(many[::50], j, .1))
    refused = [(s, 10, 1., "from 0 to 9"), (s * math.nan, 1, 1., "180 NaN"), (s, 1, 0., "got 0.0")]
    for bad_scores, bad_k, bad_eps, words in refused:
        test_fail(lambda: sorted_topk(bad_scores, bad_k, bad_eps), contains=words)
