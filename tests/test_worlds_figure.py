# Generated from nbs/worlds/41_figure.ipynb by .ci/export_tests.py: edit the notebook, not this file.
import torch
from rabit.conditions import JOINTS
from rabit.conditions import joints_condition
from rabit.scenes import Layout
from rabit.scenes import Style
from rabit.scenes import find_parts
from rabit.scenes import match_errors
from rabit.scenes import nearest_of_class
from rabit.scenes import pairs
from rabit.scenes import same_position
from rabit.scenes import sample_at
from rabit.scenes import truth
from rabit.scenes import uniform
from rabit.scenes import world
from rabit.worlds.figure import FIGURE
from rabit.worlds.figure import FIGURE_CLASSES
from rabit.worlds.figure import FIGURE_PARTS
from rabit.worlds.figure import bone
from rabit.worlds.figure import figure_body
from rabit.worlds.figure import figure_joints
from rabit.worlds.figure import figure_layout
from rabit.worlds.figure import figure_pose
from rabit.worlds.figure import figure_style


def test_a_bone_starts_at_zero_ends_at_one_and_its_hand_mirrors_it():
    x, y, zero = torch.tensor([.3]), torch.tensor([.2]), torch.tensor([0.])
    at_end = torch.tensor([.3 + .06, .2 + .08, 1.])  # .1 along the direction (.6, .8)
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
    assert all(FIGURE_PARTS.index(part) > FIGURE_PARTS.index("chest") for part in limbs if "arm" in part or "sleeve" in part)


def test_some_wear_skirts_and_some_trousers_and_nobody_both():
    body = figure_body(torch.arange(400))
    assert not ((body.skirt > 0) & (body.trouser > 0)).any() and ((body.skirt > 0) | (body.trouser > 0)).all()
    for share in ((body.skirt > 0), (body.trouser > 1), (body.sleeve > 1), (body.fall > .7), body.bun): assert .1 < share.float().mean() < .8
    for stream in (0, 1, 2): assert not torch.allclose((body.legs - .92) / .16, uniform(torch.arange(400), 0, stream, 1)[:, 0], atol=1e-4)  # bodies know nothing of poses or styles


def test_all_four_turns_occur_and_easy_poses_are_frontal():
    pose = figure_pose(torch.arange(600))
    assert [(pose.faces == d).float().mean() > .1 for d in (-1, 0, 1)] == [True] * 3
    assert .05 < (pose.front < 0).float().mean() < .25 and not ((pose.front < 0) & (pose.faces != 0)).any()
    easy = figure_pose(torch.arange(600), hard=False)
    assert (easy.faces == 0).all() and (easy.front == 1).all() and max(a.max() for a in easy.uppers) < 20 < pose.uppers[0].max()


def test_both_layouts_of_a_sample_show_one_body_and_each_limb_is_near_or_far():
    a, b = (figure_layout(torch.arange(300), stream=stream) for stream in (0, 1))
    there = a.extent[..., 0] < a.extent[..., 1]
    index = FIGURE_PARTS.index
    for limb in ("left shin", "right shin", "left forearm", "right forearm"): assert (there[:, index(limb)] ^ there[:, index(f"far {limb}")]).all()
    assert not (there[:, index("far left shin")] & there[:, index("far right shin")]).any()
    faces = figure_pose(torch.arange(300)).faces
    for side, sign in (("left", 1), ("right", -1)): assert there[:, index(f"far {side} shin")].equal(faces * sign > 0)  # who faces the picture's right hides the left leg
    assert (there[:, index("chest")] ^ there[:, index("back")]).all()
    for part in ("skirt", "seat"): assert a.extent[:, index(part)].equal(b.extent[:, index(part)])
    assert a.matrix[:, :2].equal(b.matrix[:, :2]) and not a.matrix[:, 2:].equal(b.matrix[:, 2:])
    assert isinstance(a, Layout) and a.matrix.isfinite().all()


def test_both_sleeves_are_of_one_cloth_with_the_chest_and_some_wear_one_cloth_all_over():
    style = figure_style(torch.arange(300))
    index = FIGURE_PARTS.index
    assert style.colour.shape == (300, 48, 4, 3) and style.number.shape == (300, 48, 6) and 0 <= style.colour.min() and style.colour.max() <= 1
    for part in ("left upper sleeve", "right upper sleeve", "far right lower sleeve", "back"):
        assert style.colour[:, index(part)].equal(style.colour[:, index("chest")]) and style.number[:, index(part)].equal(style.number[:, index("chest")])
    same = (style.colour[:, index("skirt")] == style.colour[:, index("chest")]).flatten(1).all(1).float().mean()
    assert .1 < same < .3 and isinstance(style, Style)


def test_left_and_right_follow_the_person_and_hidden_joints_follow_the_turn():
    layout = figure_layout(torch.arange(300))
    pose, parts = figure_pose(torch.arange(300)), find_parts(layout, (64, 64), FIGURE.inside).long()
    joints = figure_joints(parts, layout)
    x, seen = joints[..., 0], joints[..., 2] > 0
    name = JOINTS.index
    front, back = (pose.faces == 0) & (pose.front > 0), pose.front < 0
    assert (x[front, name("right shoulder")] < x[front, name("left shoulder")]).all() and (x[back, name("right shoulder")] > x[back, name("left shoulder")]).all()
    assert not seen[back][:, [name("nose"), name("left eye")]].any() and not seen[pose.faces > 0, name("left ear")].any() and not seen[pose.faces < 0, name("right ear")].any()
    assert seen[front, name("nose")].float().mean() > .8 and seen[back, name("left ear")].float().mean() > .5
    assert (seen[pose.scale < 1].float().mean(0) > .3).all() and seen[pose.scale >= 1, name("left ankle")].float().mean() < .2
    at = joints[:, name("left wrist"), :2].round().long()
    inside = ((at >= 0) & (at < 64)).all(1)
    shown = parts[torch.arange(300), at[:, 1].clamp(0, 63), at[:, 0].clamp(0, 63)]
    arm = torch.tensor([part.endswith(("left forearm", "left lower sleeve", "left upper arm", "left upper sleeve")) for part in FIGURE_PARTS])[shown]
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


def test_a_world_is_found_by_its_name_and_paints_a_record_with_the_condition():
    assert world("figure").parts == FIGURE.parts and world("figure").kind == "joints"
    classes = dict(zip(FIGURE_PARTS, FIGURE.part_class))
    assert all(classes[part] == classes[f"far {part}"] for part in FIGURE_PARTS if f"far {part}" in classes) and classes["left shoe"] == FIGURE_CLASSES.index("shoes")
    record = pairs(FIGURE, range(3), size=(40, 56))
    assert record["condition"].shape == record["exemplar_condition"].shape == (3, 35, 40, 56)
    assert record["picture"].shape == (3, 3, 40, 56) and record["position"].isfinite().all() and -1 <= record["picture"].min() and record["picture"].max() <= 1
    assert 0 <= record["condition"].min() and record["condition"].max() <= 1
    assert record["labels"].max() < len(FIGURE_CLASSES) and record["parts"].max() < len(FIGURE_PARTS)
    layout = FIGURE.layout(torch.arange(3), 0, True, 0)
    assert record["condition"].equal(joints_condition(figure_joints(record["parts"], layout), (40, 56)))


def test_the_truth_of_a_figure_in_itself_is_the_identity_and_lacking_parts_are_never_visible():
    a, b = (figure_layout(torch.arange(40), stream=stream) for stream in (0, 1))
    parts, exemplar_parts = (find_parts(l, (40, 56), FIGURE.inside).long() for l in (a, b))
    position, visible = truth(a, a, parts, parts)
    y, x = torch.meshgrid(torch.arange(40.), torch.arange(56.), indexing="ij")
    torch.testing.assert_close(position, torch.stack([x, y]).expand(40, -1, -1, -1), atol=5e-3, rtol=0)
    assert visible.all()
    visible = truth(a, b, parts, exemplar_parts)[1]
    shown = torch.stack([(exemplar_parts == i).flatten(1).any(1) for i in range(len(FIGURE_PARTS))], 1)
    assert not visible[~shown.gather(1, parts.flatten(1)).view_as(parts)].any() and visible.float().mean() > .5


def test_figure_i_is_the_same_picture_whatever_the_batch():
    one, many = pairs(FIGURE, [7], seed=3, size=(25, 41)), pairs(FIGURE, range(20), seed=3, size=(25, 41))
    shuffled = pairs(FIGURE, [9, 7, 2], seed=3, size=(25, 41))
    for name in one: assert one[name][0].equal(many[name][7]) and one[name][0].equal(shuffled[name][1]), name
    assert not many["picture"].equal(pairs(FIGURE, range(20), seed=4, size=(25, 41))["picture"])


def test_colours_at_true_positions_are_right_where_visible():
    record = pairs(FIGURE, range(24), size=(96, 96))
    off = (sample_at(record["exemplar"], record["position"]) - record["picture"]).abs().mean(1)
    person = record["visible"] & (record["labels"] > 1)
    strange = (record["exemplar"].roll(1, 0) - record["picture"]).abs().mean(1)
    assert off[person].mean() < .12 < .3 < strange[person].mean()


def test_chest_and_back_and_a_far_and_a_near_sleeve_never_match():
    record = pairs(FIGURE, range(200), size=(32, 32))
    index = FIGURE_PARTS.index
    turned = (record["parts"] == index("chest")).flatten(1).any(1) & (record["exemplar_parts"] == index("back")).flatten(1).any(1)
    assert turned.sum() > 5 and not (record["visible"] & (record["parts"] == index("chest")))[turned].any()
    assert (record["visible"] & (record["parts"] == index("chest")))[~turned].any()


def test_position_alone_solves_the_easy_form_and_not_the_hard_one():
    scores = {}
    for hard in (False, True):
        r = pairs(FIGURE, range(24), size=(64, 64), hard=hard)
        scores[hard] = [match_errors(p, r, FIGURE)["pck_things"] for p in (nearest_of_class(r), same_position(r), r["position"])]
    assert scores[False][0] > .6 and max(scores[True][:2]) < .3 and scores[True][2] == 1
