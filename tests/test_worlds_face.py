# Generated from nbs/worlds/40_face.ipynb by .ci/export_tests.py: edit the notebook, not this file.
import torch
from rabit.conditions import edge_distance
from rabit.conditions import part_edges
from rabit.scenes import Style
from rabit.scenes import pairs
from rabit.worlds.face import FACE
from rabit.worlds.face import FACE_CLASSES
from rabit.worlds.face import FACE_PARTS
from rabit.worlds.face import FACE_PART_CLASS
from rabit.worlds.face import card
from rabit.worlds.face import face_layout
from rabit.worlds.face import face_numbers
from rabit.worlds.face import face_style
from rabit.worlds.face import head_frame


def test_the_corners_of_a_card_come_back_as_one_and_zero():
    t = torch.tensor([-.3, 0., .2])
    frame = head_frame(.5 + 0 * t, .4 + 0 * t, .3 + 0 * t, t, .5 * t, -t)
    o, a, b = (.2, .1, .6), (.3, 0., .1), (0., .2, -.1)
    m = card(frame, o, a, b)
    for point, uv in ((o, (0., 0.)), ([p + q for p, q in zip(o, a)], (1., 0.)), ([p + q for p, q in zip(o, b)], (0., 1.))):
        x, y = (sum(r * p for r, p in zip(row, point)) + c for row, c in zip((frame.x, frame.y), frame.centre))
        found = (m @ torch.stack([x, y, torch.ones_like(x)], 1)[..., None])[..., 0]
        torch.testing.assert_close(found, torch.tensor([*uv, 1.]).expand(3, 3), atol=1e-5, rtol=0)


def test_half_of_the_exemplars_wear_what_the_target_wears():
    worn, other = (face_numbers(torch.arange(2000), stream=s)[3] for s in (0, 1))
    same = (worn == other).all(1).float().mean()
    assert .5 < same < .65 and worn.shape == (2000, 11)
    easy = face_numbers(torch.arange(5), hard=False)
    assert easy[3].sum(1).tolist() == [3] * 5 and (easy[0].yaw == 0).all() and easy[1].smile.unique().numel() == 1


def test_a_layout_has_a_card_per_part_and_the_far_ear_of_a_turned_head_is_gone():
    layout, (pose, _, _, worn) = face_layout(torch.arange(300)), face_numbers(torch.arange(300))
    assert layout.matrix.shape == (300, 26, 3, 3) and layout.extent.shape == (300, 26, 4) and layout.matrix.isfinite().all()
    assert layout.matrix.det().abs().min() > 0 and (layout.matrix[..., 2, :] == torch.tensor([0., 0., 1.])).all()
    gone = layout.extent[..., 0] > layout.extent[..., 1]
    assert gone[pose.yaw > .12, 8].all() and gone[pose.yaw < -.12, 7].all() and gone[:, 7].float().mean() < .9
    assert gone[:, [1, 2, 6, 20, 21, 22, 23, 24, 25]].equal(~worn[:, :9]) and not gone[:, 9:20].any()


def test_the_easy_form_looks_straight_ahead():
    easy = face_layout(torch.arange(20), hard=False).matrix
    assert (easy[..., 0, 1] == 0).all() and (easy[:, 9:18, 1, 0] == 0).all()  # nothing is turned or tilted
    assert easy[:, 0].unique(dim=0).shape[0] == 1 and easy[:, 9].unique(dim=0).shape[0] == 20


def test_styles_ignore_the_layout_and_one_person_has_one_skin():
    style = face_style(torch.arange(40))
    assert isinstance(style, Style) and style.colour.shape == (40, 26, 4, 3) and style.number.shape == (40, 26, 4) and style.light.shape == (40, 3)
    assert 0 <= style.colour.min() and style.colour.max() <= 1 and 0 <= style.number.min() and style.number.max() < 1
    skin = [i for i, name in enumerate(FACE_PARTS) if name in ("skull", "face", "nose", "left ear", "neck")]
    assert all(style.colour[:, i].equal(style.colour[:, skin[0]]) for i in skin)
    two_colours = (style.colour[:, 14, 1] != style.colour[:, 15, 1]).any(1).float().mean()
    assert .05 < two_colours < .5 and (style.colour[0] - style.colour[1]).abs().mean() > .05


def test_every_part_has_a_class_and_brows_eyes_ears_and_lids_come_in_twos():
    assert len(FACE_PARTS) == len(FACE_PART_CLASS) == len(FACE.inside) == len(FACE.shaders) and set(FACE_PART_CLASS) == set(range(len(FACE_CLASSES)))
    count_of = {c: FACE_PART_CLASS.count(i) for i, c in enumerate(FACE_CLASSES)}
    assert count_of["eye"] == count_of["brow"] == count_of["ear"] == count_of["hat"] == count_of["glasses"] == 2 and count_of["hair"] == 5
    assert all(FACE_PART_CLASS[FACE_PARTS.index(p)] == FACE_CLASSES.index(c) for p, c in (("left eye", "eye"), ("skull", "skin"), ("swept fringe", "hair")))


def test_the_world_is_found_by_its_name_and_bad_samples_are_refused():
    from rabit.core import RabitError
    from rabit.scenes import world
    assert world("face").parts == FACE.parts and FACE.kind == "edges"
    for wrong in (dict(indices=[]), dict(indices=[1], size=(64,)), dict(indices=[1], antialias=0)):
        try: pairs(FACE, **wrong)
        except RabitError as error: assert "pairs of face" in str(error)
        else: assert False, wrong


def test_every_part_of_a_face_is_seen_somewhere():
    seen = pairs(FACE, range(200), size=(48, 48), antialias=1)
    assert sorted(torch.cat([seen["parts"].unique(), seen["exemplar_parts"].unique()]).unique().tolist()) == list(range(26))
    assert seen["labels"].equal(torch.tensor(FACE_PART_CLASS)[seen["parts"]])


def test_looking_for_parts_only_where_their_boxes_lie_misses_nothing():
    from rabit.scenes import find_parts
    layout, (h, w) = face_layout(torch.arange(40)), (40, 56)
    x, y, slow = (torch.arange(w) + .5) / w, ((torch.arange(h) + .5) / h)[:, None], torch.zeros(40, h, w, dtype=torch.uint8)
    for i in range(1, len(FACE_PARTS)):
        u, v = (m[:, 0, None, None] * x + (m[:, 1, None, None] * y + m[:, 2, None, None]) for m in layout.matrix[:, i, :2].unbind(1))
        u0, u1, v0, v1 = layout.extent[:, i, :, None, None].unbind(1)
        inside = (u > u0) & (u < u1) & (v > v0) & (v < v1)
        slow[inside & FACE.inside[i](u, v) if FACE.inside[i] else inside] = i
    assert find_parts(layout, (h, w), FACE.inside).equal(slow)


def test_sample_i_is_the_same_face_whatever_the_batch():
    one, many = pairs(FACE, [7], seed=3, size=(24, 40)), pairs(FACE, range(20), seed=3, size=(24, 40))
    for name in one: assert one[name][0].equal(many[name][7]), name
    shuffled = pairs(FACE, [9, 7, 2], seed=3, size=(24, 40))
    for name in one: assert one[name][0].equal(shuffled[name][1]), name
    assert not many["picture"].equal(pairs(FACE, range(20), seed=4, size=(24, 40))["picture"])


def test_a_record_of_faces_has_any_size_and_a_condition_of_edges_and_distances():
    record = pairs(FACE, range(3), size=(37, 53))
    assert record["picture"].shape == record["exemplar"].shape == (3, 3, 37, 53) and -1 <= record["picture"].min() and record["picture"].max() <= 1
    assert record["condition"].shape == record["exemplar_condition"].shape == (3, 2, 37, 53)
    edges, distance = record["condition"].unbind(1)
    assert edges.unique().tolist() == [0., 1.] and edges.bool().equal(part_edges(record["parts"]))
    assert distance.min() == 0 and distance.max() <= 1 and (distance == 0).equal(edges == 1)
    torch.testing.assert_close(distance, (edge_distance(edges.bool()) * (2 / 53)).clamp(max=1))
    assert pairs(FACE, [1], size=(1, 1))["condition"].flatten().tolist() == [0., 1.]


def test_a_face_in_itself_is_the_identity():
    from rabit.scenes import find_parts, truth
    layout = face_layout(torch.arange(6))
    parts = find_parts(layout, (40, 56), FACE.inside).long()
    position, visible = truth(layout, layout, parts, parts)
    y, x = torch.meshgrid(torch.arange(40.), torch.arange(56.), indexing="ij")
    torch.testing.assert_close(position, torch.stack([x, y]).expand(6, -1, -1, -1), atol=2e-3, rtol=0)
    assert visible.all()


def test_what_the_exemplar_hides_or_lacks_is_never_visible():
    record = pairs(FACE, range(60), size=(32, 32), antialias=1)
    shown = torch.stack([(record["exemplar_parts"] == i).flatten(1).any(1) for i in range(26)], 1)
    lacking = ~shown.gather(1, record["parts"].flatten(1)).view_as(record["parts"])
    assert lacking.any() and not (lacking & record["visible"]).any()
    ears = (record["labels"] == FACE_CLASSES.index("ear")) & lacking
    assert ears.any()  # the far ear
