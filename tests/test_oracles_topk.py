"""Soft top-k against an independent optimal-transport library (POT), and on unusual scores."""
import math

import pytest
import torch
from hypothesis import given, settings, strategies as st

from rabit.core.tensors import RabitError
from rabit.matching.topk import center_scores, hard_topk, sinkhorn_topk, soft_topk, solve_threshold, threshold
from rabit.matching.topk_sorted import sorted_topk


def problem(scores, k):
    "Masses and costs of the earth mover's problem, as numpy arrays"
    n = len(scores)
    mu = torch.full((n,), 1 / n, dtype=torch.float64)
    nu = torch.tensor([(n - k) / n, k / n], dtype=torch.float64)
    return mu.numpy(), nu.numpy(), torch.stack([scores**2, (scores - 1)**2], 1).double().numpy()


def scores_of(n, seed):
    return torch.randn(n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("n, k", [(2, 1), (5, 2), (12, 4), (40, 39), (64, 3)])
@pytest.mark.parametrize("eps", [.5, 1., 5.])
def test_equals_sinkhorn_of_pot(n, k, eps):
    ot = pytest.importorskip("ot")
    scores = scores_of(n, n + k)
    plan = ot.sinkhorn(*problem(scores, k), reg=eps, method="sinkhorn_log", numItermax=20000, stopThr=1e-13)
    chosen = n * torch.as_tensor(plan)[:, 1]
    torch.testing.assert_close(soft_topk(scores, k, eps), chosen, atol=1e-7, rtol=0)
    torch.testing.assert_close(sinkhorn_topk(scores, k, eps, 2000), chosen, atol=1e-7, rtol=0)


@pytest.mark.parametrize("n, k", [(2, 1), (5, 2), (12, 4), (40, 39), (64, 0), (7, 7)])
def test_limit_equals_exact_transport_of_pot(n, k):
    ot = pytest.importorskip("ot")
    scores = scores_of(n, n + k)
    chosen = n * torch.as_tensor(ot.emd(*problem(scores, k)))[:, 1]
    torch.testing.assert_close(hard_topk(scores, k), chosen, atol=1e-9, rtol=0)
    torch.testing.assert_close(soft_topk(scores, k, 1e-9), chosen, atol=1e-9, rtol=0)


def test_gradient_equals_differences_of_pot():
    ot = pytest.importorskip("ot")
    scores, k, eps, h = scores_of(6, 0), 2, 1., 1e-4
    def chosen(s):
        plan = ot.sinkhorn(*problem(s, k), reg=eps, method="sinkhorn_log", numItermax=20000, stopThr=1e-15)
        return 6 * torch.as_tensor(plan)[:, 1]
    nudges = h * torch.eye(6).double()
    numeric = torch.stack([(chosen(scores + e) - chosen(scores - e)) / (2 * h) for e in nudges], 1)
    exact = torch.autograd.functional.jacobian(lambda s: soft_topk(s, k, eps), scores)
    torch.testing.assert_close(exact, numeric, atol=1e-6, rtol=1e-4)


numbers = st.one_of(st.floats(-1e6, 1e6, width=32), st.sampled_from([0., 1., -1., 1e-30, -math.inf]))
strengths = st.sampled_from([1e-45, 1e-12, 1e-3, .3, 1., 50., 1e9])


@settings(max_examples=150)
@given(st.lists(numbers, min_size=1, max_size=24), st.integers(0, 24), strengths)
def test_any_row(values, k, eps):
    "Sum, range, order, masks and a finite gradient, for whatever comes"
    k, scores = min(k, len(values)), torch.tensor(values).requires_grad_()
    chosen = soft_topk(scores, k, eps)
    chosen.mul(torch.arange(1., len(values) + 1)).sum().backward()
    wanted = min(k, int((scores > -math.inf).sum()))
    assert math.isclose(chosen.sum().item(), wanted, abs_tol=1e-4 * max(wanted, 1))
    assert 0 <= chosen.min() and chosen.max() <= 1 and chosen[scores == -math.inf].abs().sum() == 0
    order = scores.detach().argsort(descending=True)
    assert (chosen[order].diff() <= 1e-6).all()
    assert not scores.grad.isnan().any() and scores.grad[scores == -math.inf].abs().sum() == 0


@settings(max_examples=60)
@given(st.integers(2, 30), st.data(), st.sampled_from([1e-3, .1, 1., 10.]))
def test_threshold_lies_where_the_lesson_says(n, data, eps):
    k = data.draw(st.integers(1, n - 1))
    scores = scores_of(n, data.draw(st.integers(0, 10_000)))
    center, theta = scores.topk(k + 1).values[-2:].sum(), threshold(scores, k, eps)
    assert center - eps * math.log(k) - 1e-9 <= theta <= center + eps * math.log(n - k) + 1e-9
    chosen = torch.sigmoid((2 * scores - theta) / eps)
    torch.testing.assert_close(chosen, soft_topk(scores, k, eps), atol=1e-6, rtol=0)


@settings(max_examples=200, deadline=None)
@given(st.integers(2, 300), st.data(), st.sampled_from([torch.float32, torch.float64]))
def test_no_row_needs_more_than_six_steps(n, data, dtype):
    "Rows of a few levels with noise: the search stops within six steps, 60 give the very same threshold"
    k, seed = data.draw(st.integers(1, n - 1)), data.draw(st.integers(0, 10_000))
    drawn = data.draw(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=6))
    levels = torch.tensor(drawn, dtype=torch.float64)
    pick = torch.randint(0, len(levels), (8, n), generator=torch.Generator().manual_seed(seed))
    noise = torch.randn(8, n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    scores = levels[pick] + data.draw(st.sampled_from([0., 1e-6, 1e-3, .1, 1., 30.])) * noise
    eps = data.draw(st.sampled_from([1e-30, 1e-4, 1e-2, .3, 3., 100., 1e30]))
    z, _ = center_scores(scores.to(dtype), k, eps)
    t = solve_threshold(z, k, 6)
    assert torch.equal(t, solve_threshold(z, k, 60))
    assert ((torch.sigmoid(z - t).sum(-1) - k).abs() <= (1e-5 if dtype == torch.float32 else 1e-12) * k).all()


def test_search_from_a_few_rows_that_resist():
    "Random rows, changed again and again where the third step was worst, do not need a sixth step"
    rng = torch.Generator().manual_seed(0)
    for n, k in [(10, 1), (100, 3), (100, 50), (500, 499)]:
        rows = torch.randn(60, n, dtype=torch.float64, generator=rng)
        for _ in range(25):
            some = rows[torch.randint(0, len(rows), (60,), generator=rng)]
            noise = torch.randn(60, n, dtype=torch.float64, generator=rng)
            noise = noise * (torch.rand(60, n, generator=rng) < .2)
            scaled = some * (1 + .2 * torch.randn(60, 1, generator=rng))
            rows = torch.cat([rows, scaled + noise * 10 ** (3 * torch.rand(60, 1, generator=rng) - 2)])
            z, _ = center_scores(rows, k, 1.)
            t = solve_threshold(z, k, 6)
            assert torch.equal(t, solve_threshold(z, k, 60))
            rows = rows[(solve_threshold(z, k, 3) - t).abs().flatten().topk(10).indices]


@pytest.mark.parametrize("eps", [1e-1, 1e-2, 1e-3, 1e-4])
def test_float32_is_exact_to_1e_5(eps):
    for n, k in [(64, 3), (4096, 3), (1000, 500)]:
        for draw in (torch.randn, torch.rand):
            scores = draw(16, n, generator=torch.Generator().manual_seed(n))
            x, y = scores.clone().requires_grad_(), scores.double().requires_grad_()
            A, B = soft_topk(x, k, eps), soft_topk(y, k, eps)
            torch.testing.assert_close(A.double(), B, atol=1e-5, rtol=0)
            weight = torch.linspace(-1, 1, n)
            (A * weight).sum().backward()
            (B * weight).sum().backward()
            torch.testing.assert_close(x.grad.double(), y.grad, atol=1e-5 * 2 / eps, rtol=0)


@pytest.mark.parametrize("n, k", [(2, 1), (5, 2), (12, 4), (6, 5)])
@pytest.mark.parametrize("eps", [1., 5.])
def test_ranks_equal_sinkhorn_of_pot(n, k, eps):
    ot = pytest.importorskip("ot")
    scores, anchors = scores_of(n, n + k), torch.arange(k + 1).double()
    mu = torch.full((n,), 1 / n, dtype=torch.float64)
    nu = torch.tensor([n - k] + [1] * k, dtype=torch.float64) / n
    plan = ot.sinkhorn(mu.numpy(), nu.numpy(), ((scores[:, None] - anchors)**2).numpy(), reg=eps,
                       method="sinkhorn_log", numItermax=20000, stopThr=1e-13)
    ranks = n * torch.as_tensor(plan)[:, 1:].T.flip(0)
    torch.testing.assert_close(sorted_topk(scores, k, eps), ranks, atol=1e-7, rtol=0)


@settings(max_examples=100, deadline=None)
@given(st.lists(numbers, min_size=1, max_size=16), st.integers(0, 16), strengths)
def test_ranks_of_any_row(values, k, eps):
    "Sums, range, order, masks and a finite gradient, for whatever comes"
    k, scores = min(k, len(values)), torch.tensor(values).requires_grad_()
    ranks = sorted_topk(scores, k, eps)
    assert ranks.shape == (k, len(values))
    ranks.mul(torch.randn(ranks.shape, generator=torch.Generator().manual_seed(0))).sum().backward()
    held = (torch.arange(k) < (scores > -math.inf).sum()).float()
    torch.testing.assert_close(ranks.sum(-1), held, atol=1e-4, rtol=0)
    assert (ranks >= 0).all() and (ranks.sum(0) <= 1 + 1e-5).all()
    assert (ranks[:, scores == -math.inf] == 0).all()
    # better scores are higher up, at every rank
    above = ranks.cumsum(0)[:, scores.detach().argsort(descending=True)]
    assert (above.diff(dim=-1) <= 1e-5).all()
    assert scores.grad.isfinite().all() and scores.grad[scores == -math.inf].abs().sum() == 0


def test_rows_do_not_disturb_each_other():
    rows = torch.stack([torch.zeros(6), torch.full((6,), -math.inf), torch.arange(6.) * 1e30,
                        torch.tensor([1., -math.inf, 2., -math.inf, 3., 4.])])
    together = soft_topk(rows, 3, .1)
    for row, alone in zip(rows, together): torch.testing.assert_close(soft_topk(row, 3, .1), alone)


@pytest.mark.parametrize("call, words", [
    (lambda: soft_topk(torch.tensor([1., math.nan]), 1, 1.), "1 NaN or +inf among 2"),
    (lambda: soft_topk(torch.tensor([1., math.inf]), 1, 1.), "1 NaN or +inf among 2"),
    (lambda: soft_topk(torch.randn(4), 5, 1.), "from 0 to 4"),
    (lambda: soft_topk(torch.randn(4), 2, -1.), "got -1.0"),
    (lambda: soft_topk(torch.randn(4), 2, math.nan), "got nan"),
    (lambda: soft_topk(torch.arange(4), 2, 1.), "int64"),
    (lambda: sinkhorn_topk(torch.tensor([1., -math.inf]), 2, 1.), "fewer than k = 2"),
    (lambda: threshold(torch.randn(4), 0, 1.), "no threshold"),
    (lambda: sorted_topk(torch.tensor([1., math.nan]), 1, 1.), "1 NaN or +inf among 2"),
    (lambda: sorted_topk(torch.randn(4), 5, 1.), "from 0 to 4"),
    (lambda: sorted_topk(torch.randn(4), 2, math.inf), "got inf"),
])
def test_messages_repeat_what_was_given(call, words):
    with pytest.raises(RabitError) as error: call()
    assert words in str(error.value)
