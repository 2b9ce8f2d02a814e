# Generated from nbs/8_comparison/85_speed.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
from rabit.comparison.matchers import bilevel
from rabit.comparison.matchers import make_inputs
from rabit.comparison.speed import batch_table
from rabit.comparison.speed import floor_of
from rabit.comparison.speed import memory_of
from rabit.comparison.speed import scaling_exponent
from rabit.comparison.speed import sinkhorn_table
from rabit.comparison.speed import time_interleaved


def test_things_are_timed_in_turn():
    order = []
    found = time_interleaved({"a": lambda: order.append("a"),
                              "b": lambda: (order.append("b"), sum(range(100000)))}, 3)
    assert order == ["a", "b"] * 4 and 0 < found["a"] < found["b"]


def test_the_slope_of_a_power_is_its_exponent():
    assert abs(scaling_exponent([1, 10, 100, 1000], [3 * n**1.4 for n in (1, 10, 100, 1000)]) - 1.4) < 1e-9


def test_memory_is_that_of_the_matrix_where_there_is_one():
    dense, by_blocks = (memory_of(name, 64) for name in ("dense, matrix (CoCosNet)", "bi-level"))
    assert dense > 2 * 4 * 64**4 / 1e6 > 2 * by_blocks


def test_the_floor_by_hand():
    found = floor_of(32, 1e9, 1e9)
    assert found["operations"] == 2 * (1024 / 16)**2 * 256 + 2 * 1024 * 48 * 320
    assert found["bytes"] == 4 * 1024 * 640 and found["seconds"] == found["operations"] / 1e9
    assert floor_of(32, 1e18, 1e9)["seconds"] == found["bytes"] / 1e9


def test_sinkhorn_gets_there_in_the_end():
    found = sinkhorn_table(2, 16, 3, .05, 1e-4)
    assert found["error"] < 1e-4 and found["Sinkhorn"] > found["soft top-k"] > 0


def test_matchers_take_several_maps_in_16_bits():
    found = batch_table(16, (1, 3), 1)
    assert found.keys() == {"1", "3"}
    assert all(t > 0 for rows in found.values() for row in rows.values() for t in row.values())
    for side, maps in ((16, 3), (12, 2)):
        q, z, v = make_inputs(side, channels=(8, 8, 4), dtype=torch.bfloat16, batch=maps)
        out = bilevel(q, z, v)
        assert out.dtype == v.dtype and out.shape == v.shape
        torch.testing.assert_close(out.float(), bilevel(q.float(), z.float(), v.float()), atol=.02, rtol=.02)
        for i in range(maps):
            torch.testing.assert_close(out[i:i + 1], bilevel(q[i:i + 1], z[i:i + 1], v[i:i + 1]))
