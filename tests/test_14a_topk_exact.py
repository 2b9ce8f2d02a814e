# Generated from nbs/1_matching/14a_topk_exact.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import math
import torch
from rabit.matching.topk import center_scores
from rabit.matching.topk import grouped_topk
from rabit.matching.topk import sinkhorn_topk
from rabit.matching.topk import soft_topk
from rabit.matching.topk import solve_threshold
from rabit.matching.topk import threshold

def random_scores(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def test_the_search_ends_by_itself_within_six_iterations():
    for n in (2, 5, 64, 1000):
        noise = torch.randn(20, n, dtype=torch.float64, generator=torch.Generator().manual_seed(n))
        for j in {1, 2, n // 3, n // 2, n - 2, n - 1} & set(range(1, n)):
            ramp = torch.arange(n).double().expand(2, n)
            rows = [noise, noise.sigmoid(), noise ** 7, noise.round(), ramp, ramp / n + noise[:2] * 1e-9,
                    torch.zeros(1, n), torch.eye(n)[:1], (ramp < n / 3).double(),
                    noise.masked_fill((noise < 0) & (ramp[:1] > j), -math.inf), noise * 1e30, noise * 1e-30]
            for s in rows:
                for dtype, miss in ((torch.float32, 1e-5), (torch.float64, 1e-12)):
                    for eps in (1e-30, 1e-4, .03, 1., 30., 1e30):
                        z, _ = center_scores(s.to(dtype), j, eps)
                        t = solve_threshold(z, j, 6)
                        assert torch.equal(t, solve_threshold(z, j, 60))
                        assert ((torch.sigmoid(z - t).sum(-1) - j).abs() <= miss * j).all()


def test_one_unknown_equals_converged_sinkhorn():
    for n in (2, 7, 50):
        for j in {1, n // 2, n - 1}:
            for eps in (.5, 1., 10.):
                s = torch.randn(3, n, dtype=torch.float64, generator=torch.Generator().manual_seed(n + j))
                torch.testing.assert_close(torch.sigmoid((2 * s - threshold(s, j, eps)) / eps),
                                           sinkhorn_topk(s, j, eps, 2000), atol=1e-6, rtol=0)


def test_the_best_by_groups_are_the_best():
    for n in (64, 1000, 1024, 4096):
        noise = torch.randn(40, n, generator=torch.Generator().manual_seed(n))
        masked, all_masked = noise.masked_fill(noise < 1.5, -math.inf), noise.clone()
        all_masked[3], all_masked[4, 64:] = -math.inf, -math.inf
        for s in (noise, noise.round(), noise.sort(-1).values, torch.zeros(2, n), masked, all_masked,
                  noise.double() * 1e30, noise[0]):
            for j in (1, 4, n // 2):
                values, index = grouped_topk(s, j)
                assert torch.equal(values, s.topk(j, -1).values) and torch.equal(values, s.gather(-1, index))
                assert (index.sort(-1).values.diff() > 0).all()                    # no score twice


def test_many_rows_equal_each_alone():
    s = torch.randn(3, 500, 600, generator=torch.Generator().manual_seed(4)).transpose(0, 1)
    s[7, 1, 5:] = -math.inf
    s[8, 2, 40:] = -math.inf
    x = s.clone().requires_grad_()
    A = soft_topk(x, 9, .3)
    B = torch.stack([soft_topk(part, 9, .3) for part in x])                           # few enough for one piece
    torch.testing.assert_close(A, B)
    assert A[7, 1].sum() == 5
    g = torch.randn(s.shape, generator=torch.Generator().manual_seed(5))
    slopes = [torch.autograd.grad(out, x, g, create_graph=create, retain_graph=True)[0] for out in (A, B)
              for create in (False, True)]
    for slope in slopes[1:]: torch.testing.assert_close(slope, slopes[0])
    second = [torch.autograd.grad(slope.square().sum(), x)[0] for slope in slopes[1::2]]
    torch.testing.assert_close(*second, rtol=1e-4, atol=1e-4)


def test_compiled_and_exported():
    class Choice(torch.nn.Module):
        def forward(self, x): return soft_topk(x, 3, .5)

    s = torch.randn(8, 20, generator=torch.Generator().manual_seed(6))
    s[0, :15] = -math.inf
    s[1, :18] = -math.inf
    wanted, weight = Choice()(s), torch.arange(20.)
    torch.testing.assert_close(torch.export.export(Choice(), (s,)).module()(s), wanted)
    traced = torch.compile(Choice(), fullgraph=True, backend="aot_eager")          # what any backend is given
    x, y = s.clone().requires_grad_(), s.clone().requires_grad_()
    torch.testing.assert_close(traced(x), wanted)
    (traced(x) * weight).sum().backward()
    (Choice()(y) * weight).sum().backward()
    torch.testing.assert_close(x.grad, y.grad)


def test_masked_scores_and_corners():
    s = torch.tensor([[.3, -math.inf, .2, .1], [-math.inf, -math.inf, -math.inf, 5.],
                      [1., 2., 3., 4.]]).requires_grad_()
    A = soft_topk(s, 2, .5)
    assert A[0, 1] == 0 and A[1].tolist() == [0, 0, 0, 1] and torch.allclose(A.sum(-1), torch.tensor([2., 1, 2]))
    A[:, 0].sum().backward()
    assert s.grad.isfinite().all() and s.grad[2].abs().sum() > 0
    assert s.grad[1].abs().sum() == 0 and s.grad[0, 1] == 0
    for j in (0, 4):
        A = soft_topk(s, j, .5)
        assert A.requires_grad and torch.equal(A.detach(), (s.detach() > -math.inf) * float(j > 0))
    assert torch.equal(soft_topk(torch.full((5,), -math.inf), 2, 1.), torch.zeros(5))
    assert soft_topk(torch.tensor([1., -math.inf, 7., -math.inf]), 2, 1.).tolist() == [1, 0, 1, 0]


def test_shapes_and_float_types():
    for shape in [(6,), (1, 6), (2, 0, 6), (2, 3, 4, 6)]:
        assert soft_topk(torch.randn(shape), 2, .3).shape == shape
    assert soft_topk(torch.zeros(3, 0), 0, 1.).shape == (3, 0)
    closeness = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: .02, torch.float16: .003}
    for dtype, close in closeness.items():
        s = random_scores(8, 64).to(dtype).requires_grad_()
        A = soft_topk(s, 9, .5)
        A.square().sum().backward()
        assert A.dtype == s.grad.dtype == soft_topk(s, 64, .5).dtype == dtype and s.grad.isfinite().all()
        torch.testing.assert_close(A.double(), soft_topk(s.double(), 9, .5), atol=close, rtol=0)
