# Generated from nbs/1_matching/13a_streamed.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
from rabit.matching.match import dense_match
from rabit.matching.streamed import streamed_match


def test_streaming_dense_matching_is_dense_matching():
    g = torch.Generator().manual_seed(0)
    query, key, v, w = (torch.randn(2, 6, *s, generator=g).double().requires_grad_()
                        for s in ((5, 4), (3, 7), (6, 14), (5, 4)))
    whole, parts = dense_match(query, key, .1), streamed_match(query, key, .1)
    def answers(m):
        return [m.warp(v), m.inverse_warp(w), m.column_sum(), m.row_sum(), m.entropy(), m.confidence(), m.dense()]
    def slopes(answer):
        given = query, key, v, w
        return torch.autograd.grad(answer.square().sum(), given, retain_graph=True, allow_unused=True)
    for a, b in zip(answers(whole), answers(parts)):
        torch.testing.assert_close(a, b)
        if not a.requires_grad: continue
        for x, y in zip(slopes(a), slopes(b)): torch.testing.assert_close(x, y)
    assert torch.equal(whole.argmax((6, 14)), parts.argmax((6, 14)))
    assert torch.equal(whole.hard().warp(v), parts.hard().warp(v))
