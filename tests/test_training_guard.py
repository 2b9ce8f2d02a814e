# Generated from nbs/5_training/53b_guard.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import math
import torch
from rabit.training.guard import find_anomalies
from rabit.training.guard import update_stats


def test_running_means_are_means_at_first_and_forget_later():
    stats = {}
    for value in (1., 2., 3.): update_stats(stats, dict(warp=torch.tensor(value)))
    assert stats["warp"] == (2., 3)
    for _ in range(1000): update_stats(stats, dict(warp=-7.))
    assert abs(stats["warp"][0] - 7) < 1e-6 and stats["warp"][1] == 1003


def test_what_is_far_above_the_usual_by_hand():
    def verdict(usual, **values):
        stats = {name: (mean, 20) for name, mean in usual.items()}
        values = {name: torch.tensor(value) for name, value in values.items()}
        return list(find_anomalies(values, stats, dict(pixel=1., warp=6.), 5.))
    assert verdict(dict(gradient=10.), gradient=199.) == []
    assert verdict(dict(gradient=10.), gradient=201.) == ["gradient"]
    # clipped at 5
    assert verdict(dict(gradient=.1), gradient=99.) == []
    assert verdict(dict(gradient=.1), gradient=101.) == ["gradient"]
    # weights 1 and 6
    assert verdict(dict(pixel=.5, warp=.5), pixel=60., warp=.5) == []
    assert verdict(dict(pixel=.5, warp=.5), pixel=80., warp=.5) == ["pixel"]
    assert verdict(dict(discriminator=.01), discriminator=19.) == []
    assert verdict(dict(discriminator=.01), discriminator=21.) == ["discriminator"]
    assert verdict({}, pixel=1e9) == [] and verdict({}, pixel=math.inf) == ["pixel"]
