# Generated from nbs/7_relatives/73_dynamic_attention.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
from fastcore.test import test_fail
from rabit.core.tensors import center_normalize
from rabit.relatives.dynamic_attention import dynamic_attention
from rabit.relatives.dynamic_attention import prune_heads
from rabit.relatives.dynamic_attention import straight_through_step


def test_straight_step_is_a_step_with_a_slope():
    x = torch.linspace(-4, 4, 161, dtype=torch.float64, requires_grad=True)
    y = straight_through_step(x)
    y.sum().backward()
    torch.testing.assert_close(y.detach(), (x > 0).double(), atol=1e-12, rtol=0)
    torch.testing.assert_close(x.grad, (x.sigmoid() * (1 - x.sigmoid())).detach())


def test_pruned_matches_lose_their_weight_and_can_come_back():
    s = torch.tensor([[[2., 1., 0., 5.]]])
    a = torch.tensor([[[.3, -.2, .1, 9.]]], requires_grad=True)
    found = dynamic_attention(s, a, torch.tensor([[[True, True, True, False]]]))
    softmax = s[..., :3].softmax(-1)
    torch.testing.assert_close(found.weights[..., :3], softmax * torch.tensor([1., 0., 1.]))
    assert found.weights[0, 0, 3] == 0 and found.kept.tolist() == [[[True, False, True, False]]]
    (found.weights * torch.tensor([0., 1., 0., 1.])).sum().backward()  # a loss that wants the pruned one
    assert a.grad[0, 0, 1] > 0 and a.grad[0, 0, 3] == 0


def test_heads_begin_as_one_projection_with_a_margin():
    torch.manual_seed(0)
    q, k = center_normalize(torch.randn(2, 12, 4, 4)), center_normalize(torch.randn(2, 12, 4, 4))
    def tokens(x): return x.flatten(2).mT
    for margin in (0., .25, 1.):
        p, r = (tokens(head(x)) for head, x in zip(prune_heads(12, 16, margin), (q, k)))
        cosines = tokens(q) @ tokens(k).mT                              # 15 dims hold all 12 channels
        torch.testing.assert_close(p @ r.mT, margin + cosines, atol=1e-5, rtol=1e-5)
    test_fail(lambda: prune_heads(12, 1), contains="dims = 1")
