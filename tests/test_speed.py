# Generated from nbs/32_speed.ipynb by .ci/export_tests.py: edit the notebook, not this file.
import torch
from rabit.speed import FORMS
from rabit.speed import batch_table
from rabit.speed import bilevel
from rabit.speed import by_halves
from rabit.speed import floor_of
from rabit.speed import fused
from rabit.speed import growth
from rabit.speed import in_turn
from rabit.speed import maps
from rabit.speed import memory_of
from rabit.speed import sinkhorn_table


def test_every_form_brings_something_over_and_has_a_gradient():
    for name, form in FORMS.items():
        q, z, v = maps(16, channels=(8, 8, 4))
        if "compiled" in name: continue                                            # compiling takes long; `make bench` does it
        out = form(q, z, v)
        assert out.shape == v.shape and all(g.isfinite().all() and g.abs().sum() > 0 for g in torch.autograd.grad(out.square().sum(), (q, z, v))), name


def test_the_three_dense_forms_are_one():
    q, z, v = maps(12, channels=(8, 8, 4))
    for name in ("dense, matrix (CoCosNet)", "dense, in rows"): torch.testing.assert_close(FORMS[name](q, z, v), fused(q, z, v))
    torch.testing.assert_close(by_halves(q, z, v), bilevel(q, z, v))


def test_things_are_timed_in_turn():
    order = []
    found = in_turn({"a": lambda: order.append("a"), "b": lambda: (order.append("b"), sum(range(100000)))}, 3)
    assert order == ["a", "b"] * 4 and 0 < found["a"] < found["b"]


def test_the_slope_of_a_power_is_its_exponent():
    assert abs(growth([1, 10, 100, 1000], [3 * n**1.4 for n in (1, 10, 100, 1000)]) - 1.4) < 1e-9


def test_memory_is_that_of_the_matrix_where_there_is_one():
    dense, by_blocks = (memory_of(name, 64) for name in ("dense, matrix (CoCosNet)", "bi-level"))
    assert dense > 2 * 4 * 64**4 / 1e6 > 2 * by_blocks


def test_the_floor_by_hand():
    found = floor_of(32, 1e9, 1e9)
    assert found["operations"] == 2 * (1024 / 16)**2 * 256 + 2 * 1024 * 48 * 320 and found["bytes"] == 4 * 1024 * 640
    assert found["seconds"] == found["operations"] / 1e9 and floor_of(32, 1e18, 1e9)["seconds"] == found["bytes"] / 1e9


def test_sinkhorn_gets_there_in_the_end():
    found = sinkhorn_table(2, 16, 3, .05, 1e-4)
    assert found["error"] < 1e-4 and found["Sinkhorn"] > found["soft top-k"] > 0


def test_forms_take_several_maps_in_16_bits():
    found = batch_table(16, (1, 3), 1)
    assert found.keys() == {"1", "3"} and all(t > 0 for rows in found.values() for row in rows.values() for t in row.values())
    for q, z, v in (maps(16, channels=(8, 8, 4), dtype=torch.bfloat16, batch=3), maps(12, channels=(8, 8, 4), dtype=torch.bfloat16, batch=2)):
        out = bilevel(q, z, v)
        assert out.dtype == v.dtype and out.shape == v.shape
        torch.testing.assert_close(out.float(), bilevel(q.float(), z.float(), v.float()), atol=.02, rtol=.02)
        for i in range(len(q)): torch.testing.assert_close(out[i:i + 1], bilevel(q[i:i + 1], z[i:i + 1], v[i:i + 1]))
