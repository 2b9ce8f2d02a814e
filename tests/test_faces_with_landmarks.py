"""Landmarks of real faces: a folder of the Face Research Lab's scheme, where RABIT_FACES names one."""
import os
from pathlib import Path

import pytest
import torch

from rabit.data.landmarks import find_landmarks, piecewise_affine, SCHEMES, signed_area

FACES = os.environ.get("RABIT_FACES")
pytestmark = pytest.mark.skipif(not FACES, reason="RABIT_FACES names no folder with landmarks.csv")


@pytest.fixture(scope="module")
def marks(): return find_landmarks(Path(FACES))


def test_the_points_that_change_places_in_a_mirror_follow_from_the_shapes(marks):
    order, curves = marks.mirror.tolist(), SCHEMES[189].curves
    for name in (n.removeprefix("left ") for n in curves if n.startswith("left ")):
        left, right = curves[f"left {name}"], curves[f"right {name}"]
        assert sorted({order[i] for i in left}) == sorted(set(right)), name
    for name in ("jaw", "hairline", "upper lip", "upper lip below", "lower lip above", "lower lip"):
        assert [order[i] for i in curves[name]] == curves[name][::-1], name
    assert order[0] == 1 and all(order[order[i]] == i for i in range(189))


def test_few_triangles_are_turned_over_between_persons(marks):
    area = signed_area(torch.stack(list(marks.points.values()))[:, marks.triangles])
    assert (area.clamp(max=0).abs().sum(1) / area.abs().sum(1)).max() < .01      # those of shut mouths


def test_most_of_a_face_has_a_partner_in_every_other(marks):
    faces = list(marks.points.values())[:6]
    for a, b in zip(faces, faces[1:]):
        position, visible = piecewise_affine(a, b, marks.triangles, (256, 256))
        x, y = a[list(range(50, 61))].round().long().T          # the nose
        assert visible.double().mean() > .15 and visible[y, x].double().mean() > .7
        away = (position[:, y, x].T - b[50:61]).norm(dim=1)[visible[y, x]]
        assert away.max() < 1.5
