# Generated from nbs/2_inputs/28_figure.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
from rabit.core.tensors import sample_at
from rabit.inputs.figure import FIGURE
from rabit.inputs.figure import figure_joints
from rabit.inputs.figure import figure_style
from rabit.inputs.figure_layout import FIGURE_CLASSES
from rabit.inputs.figure_layout import FIGURE_PARTS
from rabit.inputs.figure_layout import figure_layout
from rabit.inputs.figure_layout import figure_pose
from rabit.inputs.joints import JOINTS
from rabit.inputs.joints import joints_condition
from rabit.matching.errors import match_errors
from rabit.matching.errors import nearest_of_class
from rabit.matching.errors import same_position
from rabit.matching.scenes import Style
from rabit.matching.scenes import find_parts
from rabit.matching.scenes import ground_truth
from rabit.matching.scenes import pairs


def test_both_sleeves_are_of_one_cloth_with_the_chest_and_some_wear_one_cloth_all_over():
    style = figure_style(torch.arange(300))
    index = FIGURE_PARTS.index
    chest = style.color[:, index("chest")], style.number[:, index("chest")]
    assert style.color.shape == (300, 48, 4, 3) and style.number.shape == (300, 48, 6)
    assert 0 <= style.color.min() and style.color.max() <= 1
    for part in ("left upper sleeve", "right upper sleeve", "far right lower sleeve", "back"):
        assert style.color[:, index(part)].equal(chest[0]) and style.number[:, index(part)].equal(chest[1])
    same = (style.color[:, index("skirt")] == chest[0]).flatten(1).all(1).float().mean()
    assert .1 < same < .3 and isinstance(style, Style)


def test_left_and_right_follow_the_person_and_hidden_joints_follow_the_turn():
    layout = figure_layout(torch.arange(300))
    pose, parts = figure_pose(torch.arange(300)), find_parts(layout, (64, 64), FIGURE.inside).long()
    joints = figure_joints(parts, layout)
    x, seen = joints[..., 0], joints[..., 2] > 0
    name = JOINTS.index
    front, back = (pose.faces == 0) & (pose.front > 0), pose.front < 0
    left, right = x[:, name("left shoulder")], x[:, name("right shoulder")]
    assert (right < left)[front].all() and (right > left)[back].all()
    assert not seen[back][:, [name("nose"), name("left eye")]].any()
    assert not seen[pose.faces > 0, name("left ear")].any() and not seen[pose.faces < 0, name("right ear")].any()
    assert seen[front, name("nose")].float().mean() > .8 and seen[back, name("left ear")].float().mean() > .5
    assert (seen[pose.scale < 1].float().mean(0) > .3).all()
    assert seen[pose.scale >= 1, name("left ankle")].float().mean() < .2
    at = joints[:, name("left wrist"), :2].round().long()
    inside = ((at >= 0) & (at < 64)).all(1)
    shown = parts[torch.arange(300), at[:, 1].clamp(0, 63), at[:, 0].clamp(0, 63)]
    pieces = ("left forearm", "left lower sleeve", "left upper arm", "left upper sleeve")
    arm = torch.tensor([part.endswith(pieces) for part in FIGURE_PARTS])[shown]
    assert seen[:, name("left wrist")].equal(inside & arm) and (inside & ~arm).sum() > 5


def test_bones_point_where_the_pose_says():
    layout, pose = figure_layout(torch.arange(300)), figure_pose(torch.arange(300))
    joints = figure_joints(find_parts(layout, (64, 64), FIGURE.inside).long(), layout)
    for side, way, uppers, forearms in zip(("left", "right"), (1, -1), pose.uppers, pose.forearms):
        way = torch.where(pose.faces == 0, way * pose.front, pose.faces)
        at = [joints[:, JOINTS.index(f"{side} {joint}"), :2] for joint in ("shoulder", "elbow", "wrist")]
        for start, end, degrees in ((at[0], at[1], uppers), (at[1], at[2], forearms)):
            x, y = (end - start).unbind(1)
            off = torch.rad2deg(torch.atan2(way * x, y)) - degrees
            assert (off - 360 * (off / 360).round()).abs().max() < .1


def test_a_world_of_figures_paints_a_batch_with_the_condition():
    assert FIGURE.name == "figure" and FIGURE.kind == "joints"
    classes = dict(zip(FIGURE_PARTS, FIGURE.part_class))
    assert all(c == classes[f"far {part}"] for part, c in classes.items() if f"far {part}" in classes)
    assert classes["left shoe"] == FIGURE_CLASSES.index("shoes")
    batch = pairs(FIGURE, range(3), size=(40, 56))
    assert batch["condition"].shape == batch["exemplar_condition"].shape == (3, 35, 40, 56)
    assert batch["image"].shape == (3, 3, 40, 56) and batch["position"].isfinite().all()
    assert -1 <= batch["image"].min() and batch["image"].max() <= 1
    assert 0 <= batch["condition"].min() and batch["condition"].max() <= 1
    assert batch["labels"].max() < len(FIGURE_CLASSES) and batch["parts"].max() < len(FIGURE_PARTS)
    layout = FIGURE.layout(torch.arange(3), 0, True, 0)
    assert batch["condition"].equal(joints_condition(figure_joints(batch["parts"], layout), (40, 56)))


def test_the_ground_truth_of_a_figure_in_itself_is_the_identity_and_lacking_parts_are_never_visible():
    a, b = (figure_layout(torch.arange(40), stream=stream) for stream in (0, 1))
    parts, exemplar_parts = (find_parts(l, (40, 56), FIGURE.inside).long() for l in (a, b))
    position, visible = ground_truth(a, a, parts, parts)
    y, x = torch.meshgrid(torch.arange(40.), torch.arange(56.), indexing="ij")
    torch.testing.assert_close(position, torch.stack([x, y]).expand(40, -1, -1, -1), atol=5e-3, rtol=0)
    assert visible.all()
    visible = ground_truth(a, b, parts, exemplar_parts)[1]
    shown = torch.stack([(exemplar_parts == i).flatten(1).any(1) for i in range(len(FIGURE_PARTS))], 1)
    assert not visible[~shown.gather(1, parts.flatten(1)).view_as(parts)].any() and visible.float().mean() > .5


def test_figure_i_is_the_same_image_whatever_the_batch():
    one, many = pairs(FIGURE, [7], seed=3, size=(25, 41)), pairs(FIGURE, range(20), seed=3, size=(25, 41))
    shuffled = pairs(FIGURE, [9, 7, 2], seed=3, size=(25, 41))
    for name in one: assert one[name][0].equal(many[name][7]) and one[name][0].equal(shuffled[name][1]), name
    assert not many["image"].equal(pairs(FIGURE, range(20), seed=4, size=(25, 41))["image"])


def test_colors_at_true_positions_are_right_where_visible():
    batch = pairs(FIGURE, range(24), size=(96, 96))
    off = (sample_at(batch["exemplar"], batch["position"]) - batch["image"]).abs().mean(1)
    person = batch["visible"] & (batch["labels"] > 1)
    unmatched = (batch["exemplar"].roll(1, 0) - batch["image"]).abs().mean(1)
    assert off[person].mean() < .12 < .3 < unmatched[person].mean()


def test_chest_and_back_and_a_far_and_a_near_sleeve_never_match():
    batch = pairs(FIGURE, range(200), size=(32, 32))
    chest, back = FIGURE_PARTS.index("chest"), FIGURE_PARTS.index("back")
    has_chest = (batch["parts"] == chest).flatten(1).any(1)
    turned = has_chest & (batch["exemplar_parts"] == back).flatten(1).any(1)
    seen = batch["visible"] & (batch["parts"] == chest)
    assert turned.sum() > 5 and not seen[turned].any() and seen[~turned].any()


def test_position_alone_solves_the_easy_form_and_not_the_hard_one():
    scores = {}
    for hard in (False, True):
        r = pairs(FIGURE, range(24), size=(64, 64), hard=hard)
        scores[hard] = [match_errors(p, r, FIGURE)["pck_things"]
                        for p in (nearest_of_class(r), same_position(r), r["position"])]
    assert scores[False][0] > .6 and max(scores[True][:2]) < .3 and scores[True][2] == 1
