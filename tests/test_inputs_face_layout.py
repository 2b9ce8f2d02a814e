# Generated from nbs/2_inputs/25_face_layout.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
from rabit.inputs.face_layout import card
from rabit.inputs.face_layout import face_layout
from rabit.inputs.face_layout import face_parameters
from rabit.inputs.face_layout import head_frame


def test_the_corners_of_a_card_come_back_as_one_and_zero():
    t = torch.tensor([-.3, 0., .2])
    frame = head_frame(.5 + 0 * t, .4 + 0 * t, .3 + 0 * t, t, .5 * t, -t)
    o, a, b = (.2, .1, .6), (.3, 0., .1), (0., .2, -.1)
    at_a, at_b = ([p + q for p, q in zip(o, step)] for step in (a, b))
    m = card(frame, o, a, b)
    for point, uv in ((o, (0., 0.)), (at_a, (1., 0.)), (at_b, (0., 1.))):
        x, y = (sum(r * p for r, p in zip(row, point)) + c for row, c in zip((frame.x, frame.y), frame.center))
        found = (m @ torch.stack([x, y, torch.ones_like(x)], 1)[..., None])[..., 0]
        torch.testing.assert_close(found, torch.tensor([*uv, 1.]).expand(3, 3), atol=1e-5, rtol=0)


def test_half_of_the_exemplars_wear_what_the_target_wears():
    worn, other = (face_parameters(torch.arange(2000), stream=s)[3] for s in (0, 1))
    same = (worn == other).all(1).float().mean()
    assert .5 < same < .65 and worn.shape == (2000, 11)
    easy = face_parameters(torch.arange(5), hard=False)
    assert easy[3].sum(1).tolist() == [3] * 5 and (easy[0].yaw == 0).all() and easy[1].smile.unique().numel() == 1


def test_a_layout_has_a_card_per_part_and_the_far_ear_of_a_turned_head_is_gone():
    layout, (pose, _, _, worn) = face_layout(torch.arange(300)), face_parameters(torch.arange(300))
    assert layout.matrix.shape == (300, 26, 3, 3) and layout.extent.shape == (300, 26, 4)
    assert layout.matrix.isfinite().all() and layout.matrix.det().abs().min() > 0
    assert (layout.matrix[..., 2, :] == torch.tensor([0., 0., 1.])).all()
    gone = layout.extent[..., 0] > layout.extent[..., 1]
    assert gone[pose.yaw > .12, 8].all() and gone[pose.yaw < -.12, 7].all() and gone[:, 7].float().mean() < .9
    assert gone[:, [1, 2, 6, 20, 21, 22, 23, 24, 25]].equal(~worn[:, :9]) and not gone[:, 9:20].any()


def test_the_easy_form_looks_straight_ahead():
    easy = face_layout(torch.arange(20), hard=False).matrix
    assert (easy[..., 0, 1] == 0).all() and (easy[:, 9:18, 1, 0] == 0).all()  # nothing is turned or tilted
    assert easy[:, 0].unique(dim=0).shape[0] == 1 and easy[:, 9].unique(dim=0).shape[0] == 20
