# Generated from nbs/2_inputs/27_figure_layout.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
from rabit.inputs.figure_layout import FIGURE_PARTS
from rabit.inputs.figure_layout import bone
from rabit.inputs.figure_layout import figure_body
from rabit.inputs.figure_layout import figure_layout
from rabit.inputs.figure_layout import figure_pose
from rabit.inputs.figure_layout import part_kind
from rabit.matching.scenes import Layout
from rabit.matching.scenes import uniform


def test_a_bone_starts_at_zero_ends_at_one_and_its_hand_mirrors_it():
    x, y, zero = torch.tensor([[.3], [.2], [0.]])
    at_end = torch.tensor([.3 + .06, .2 + .08, 1.]) # .1 along the direction (.6, .8)
    for hand in (1., -1.):
        m = bone((x, y), (zero + .6, zero + .8), .02, .1, hand)[0]
        assert torch.allclose(m @ torch.tensor([.3, .2, 1.]), torch.tensor([0., 0., 1.]), atol=1e-5)
        assert torch.allclose(m @ at_end, torch.tensor([0., 1., 1.]), atol=1e-5)
    right = bone((x, y), (zero, zero + 1), .02, .1)[0] @ torch.tensor([.32, .2, 1.])
    assert torch.allclose(right, torch.tensor([1., 0., 1.]), atol=1e-4)


def test_every_limb_has_a_far_and_a_near_form_and_legs_and_trunk_come_before_near_arms():
    limbs = [part for part in FIGURE_PARTS if part.startswith(("left", "right"))]
    assert len(limbs) == 18 and len(FIGURE_PARTS) == len(set(FIGURE_PARTS)) == 48
    for part in limbs: assert FIGURE_PARTS.index(f"far {part}") < FIGURE_PARTS.index("seat")
    arms = [part for part in limbs if "arm" in part or "sleeve" in part]
    assert all(FIGURE_PARTS.index(part) > FIGURE_PARTS.index("chest") for part in arms)
    assert part_kind("far left shin") == "shin" and part_kind("seat") == "seat"


def test_some_wear_skirts_and_some_trousers_and_nobody_both():
    body = figure_body(torch.arange(400))
    assert ((body.skirt > 0) ^ (body.trouser > 0)).all()
    for some in ((body.skirt > 0), (body.trouser > 1), (body.sleeve > 1), (body.fall > .7), body.bun):
        assert .1 < some.float().mean() < .8
    for stream in (0, 1, 2): # bodies do not depend on poses or styles
        assert not torch.allclose((body.legs - .92) / .16, uniform(torch.arange(400), 0, stream)[:, 0], atol=1e-4)


def test_all_four_turns_occur_and_easy_poses_are_frontal():
    pose = figure_pose(torch.arange(600))
    assert all((pose.faces == d).float().mean() > .1 for d in (-1, 0, 1))
    assert .05 < (pose.front < 0).float().mean() < .25 and not ((pose.front < 0) & (pose.faces != 0)).any()
    easy = figure_pose(torch.arange(600), hard=False)
    assert (easy.faces == 0).all() and (easy.front == 1).all()
    assert max(a.max() for a in easy.uppers) < 20 < pose.uppers[0].max()


def test_both_layouts_of_a_sample_show_one_body_and_each_limb_is_near_or_far():
    a, b = (figure_layout(torch.arange(300), stream=stream) for stream in (0, 1))
    there = a.extent[..., 0] < a.extent[..., 1]
    index = FIGURE_PARTS.index
    for limb in ("left shin", "right shin", "left forearm", "right forearm"):
        assert (there[:, index(limb)] ^ there[:, index(f"far {limb}")]).all()
    assert not (there[:, index("far left shin")] & there[:, index("far right shin")]).any()
    faces = figure_pose(torch.arange(300)).faces
    # who faces the image's right hides the left leg
    for side, sign in (("left", 1), ("right", -1)):
        assert there[:, index(f"far {side} shin")].equal(faces * sign > 0)
    assert (there[:, index("chest")] ^ there[:, index("back")]).all()
    for part in ("skirt", "seat"): assert a.extent[:, index(part)].equal(b.extent[:, index(part)])
    assert a.matrix[:, :2].equal(b.matrix[:, :2]) and not a.matrix[:, 2:].equal(b.matrix[:, 2:])
    assert isinstance(a, Layout) and a.matrix.isfinite().all()
