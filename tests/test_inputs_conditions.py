# Generated from nbs/2_inputs/24_conditions.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import json
import numpy as np
import tempfile
import torch
from PIL import Image
from pathlib import Path
from rabit.core.colors import color_labels
from rabit.core.tensors import RabitError
from rabit.core.tensors import one_hot
from rabit.inputs.conditions import KINDS
from rabit.inputs.conditions import Kind
from rabit.inputs.conditions import fit_condition
from rabit.inputs.conditions import kind_of
from rabit.inputs.conditions import paint_condition
from rabit.inputs.conditions import read_condition
from rabit.inputs.edges import edges_condition
from rabit.inputs.edges import fit_edges_condition
from rabit.inputs.edges import read_edges
from rabit.inputs.images import read_image


def test_a_kind_is_found_by_its_name_and_an_unknown_one_is_refused_with_the_names_of_all():
    assert {k.name: k.channels for k in KINDS.values()} == dict(labels=None, joints=35, edges=2, image=3)
    assert [k for k in KINDS if kind_of(k).is_labels] == ["labels"] and kind_of("image").is_image
    try: kind_of("depth")
    except RabitError as error: assert "unknown condition 'depth'" in str(error) and "edges" in str(error)
    else: assert False


def test_a_condition_is_fitted_as_its_kind_wants_it():
    lines = torch.zeros(1, 64, 96, dtype=torch.bool)
    lines[0, 10], lines[0, :, 40] = True, True
    condition = edges_condition(lines)
    assert fit_condition(condition, (16, 24), "edges").equal(fit_edges_condition(condition, (16, 24)))
    assert fit_condition(condition, (64, 96), "edges") is condition
    assert fit_condition(torch.rand(2, 35, 8, 12), (16, 16), "joints").shape == (2, 35, 16, 16)
    try: fit_condition(torch.rand(2, 35, 8, 12), (4, 4), "edges")
    except RabitError as error: assert "2 channels" in str(error)
    else: assert False


def test_a_painted_condition_is_an_image():
    for kind, c in (("edges", 2), ("joints", 35), ("image", 3)):
        shown = paint_condition(torch.rand(2, c, 6, 7), kind)
        assert shown.shape == (2, 3, 6, 7) and -1 <= shown.min() and shown.max() <= 1
    labels = torch.tensor([[[0, 1, 255], [2, 2, 1]]])
    assert paint_condition(one_hot(labels, 3), "labels").equal(color_labels(labels))


def test_a_condition_is_read_as_its_kind_wants_it():
    chalk = np.zeros((20, 30), np.uint8)
    chalk[5] = 255
    drawing = Image.fromarray(chalk)
    assert read_condition(drawing, "edges").equal(read_edges(drawing))
    assert read_condition(drawing, "image").equal(read_image(drawing))
    for kind in ("edges", "image"):                               # a label map is neither
        try: read_condition(np.arange(600).reshape(20, 30) // 100, kind)
        except RabitError as error: assert "label map" in str(error)
        else: assert False, kind
    points = np.stack([np.arange(18.) * 3, np.arange(18.) * 2 + 1, np.full(18, .9)], 1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)/"a.json"
        path.write_text(json.dumps(dict(people=[dict(pose_keypoints_2d=points.ravel().tolist())])))
        assert read_condition(path, "joints", (50, 60)).shape == (1, 35, 50, 60)
    try: read_condition(drawing, "labels")
    except RabitError as error: assert "read_labels" in str(error)
    else: assert False


def test_a_kind_of_ones_own_is_one_record():
    def tones(image, labels=None, **facts):
        "Grey in four steps, (1, h, w)"
        return (image.mean(-3, keepdim=True) * 1.999).floor() / 2 + .25

    def read_tones(path, canvas=None): return tones(read_image(path))
    def paint_tones(condition): return condition.expand(-1, 3, -1, -1)

    KINDS["tones"] = Kind("tones", "light and dark", 1, "", read_tones, paint_tones, tones,
                          model_args=dict(condition="tones", position="coord"))
    try:
        ramp = torch.linspace(-1, 1, 9).expand(3, 4, 9)
        condition = kind_of("tones").describe(ramp)
        assert condition.shape == (1, 4, 9) and condition.unique().numel() == 4
        assert paint_condition(condition[None], "tones").shape == (1, 3, 4, 9)
        assert fit_condition(condition[None], (8, 18), "tones").shape == (1, 1, 8, 18)
    finally: del KINDS["tones"]
