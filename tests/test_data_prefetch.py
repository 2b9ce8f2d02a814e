# Generated from nbs/4_data/42b_prefetch.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import threading
import torch
from rabit.core.tensors import check
from rabit.core.trials import fails
from rabit.data.prefetch import prefetch
from rabit.inputs.samples import SceneDataset


def test_batches_arrive_in_order_and_are_the_ones_that_batch_makes():
    scenes = SceneDataset(size=(16, 16))
    for workers in (0, 1, 3):
        steps = prefetch(scenes, start=5, batch_size=2, workers=workers)
        got = [next(steps) for _ in range(4)]
        steps.close()
        assert [s for s, _ in got] == [5, 6, 7, 8]
        assert torch.equal(got[3][1]["image"], scenes.batch([16, 17])["image"])
    assert not any(t.name.startswith("rabit-data") for t in threading.enumerate())


def test_processes_share_a_step_without_gaps():
    class Counted:
        def batch(self, indices, device): return list(indices)
    shares = [next(prefetch(Counted(), 5, 6, rank_and_world_size=(rank, 3), workers=0)) for rank in range(3)]
    assert shares == [(5, [30, 31]), (5, [32, 33]), (5, [34, 35])]
    said = fails(next, prefetch(Counted(), 0, 4, rank_and_world_size=(0, 3), workers=0))
    assert "4 samples" in said and "multiple of 3" in said


def test_an_error_in_the_background_appears_where_the_batch_is_asked_for():
    class Breaks:
        "A dataset whose sample 6 is broken"
        def batch(self, indices, device):
            check(6 not in indices, "sample 6 is broken")
            return dict(image=torch.zeros(len(indices), 3, 4, 4))

    steps = prefetch(Breaks(), start=0, batch_size=2)
    assert [next(steps)[0] for _ in range(3)] == [0, 1, 2]
    assert fails(next, steps) == "sample 6 is broken"
