# Generated from nbs/8_comparison/84_matchers.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
from rabit.comparison.matchers import MATCHERS
from rabit.comparison.matchers import bilevel
from rabit.comparison.matchers import bilevel_two_step
from rabit.comparison.matchers import fused
from rabit.comparison.matchers import make_inputs


def test_every_matcher_brings_something_over_and_has_a_gradient():
    for name, matcher in MATCHERS.items():
        if "compiled" in name: continue  # compiling takes long; `make bench` does it
        q, z, v = make_inputs(16, channels=(8, 8, 4))
        out = matcher(q, z, v)
        assert out.shape == v.shape
        for slope in torch.autograd.grad(out.square().sum(), (q, z, v)):
            assert slope.isfinite().all() and slope.abs().sum() > 0, name


def test_the_three_dense_matchers_are_one():
    q, z, v = make_inputs(12, channels=(8, 8, 4))
    for name in ("dense, matrix (CoCosNet)", "dense, in rows"):
        torch.testing.assert_close(MATCHERS[name](q, z, v), fused(q, z, v))
    torch.testing.assert_close(bilevel_two_step(q, z, v), bilevel(q, z, v))
