# Generated from nbs/2_inputs/26_face.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
from rabit.core.tensors import RabitError
from rabit.inputs.edges import edge_distance
from rabit.inputs.edges import part_edges
from rabit.inputs.face import FACE
from rabit.inputs.face import face_style
from rabit.inputs.face_layout import FACE_CLASSES
from rabit.inputs.face_layout import FACE_PARTS
from rabit.inputs.face_layout import FACE_PART_CLASS
from rabit.inputs.face_layout import face_layout
from rabit.matching.scenes import Style
from rabit.matching.scenes import find_parts
from rabit.matching.scenes import ground_truth
from rabit.matching.scenes import pairs


def test_styles_ignore_the_layout_and_one_person_has_one_skin():
    style = face_style(torch.arange(40))
    assert isinstance(style, Style) and style.color.shape == (40, 26, 4, 3)
    assert style.number.shape == (40, 26, 4) and style.light.shape == (40, 3)
    assert 0 <= style.color.min() and style.color.max() <= 1
    assert 0 <= style.number.min() and style.number.max() < 1
    skin = [i for i, name in enumerate(FACE_PARTS) if name in ("skull", "face", "nose", "left ear", "neck")]
    assert all(style.color[:, i].equal(style.color[:, skin[0]]) for i in skin)
    two_colors = (style.color[:, 14, 1] != style.color[:, 15, 1]).any(1).float().mean()
    assert .05 < two_colors < .5 and (style.color[0] - style.color[1]).abs().mean() > .05


def test_every_part_has_a_class_and_brows_eyes_ears_and_lids_come_in_twos():
    assert len(FACE_PARTS) == len(FACE_PART_CLASS) == len(FACE.inside) == len(FACE.shaders)
    assert set(FACE_PART_CLASS) == set(range(len(FACE_CLASSES)))
    count_of = {c: FACE_PART_CLASS.count(i) for i, c in enumerate(FACE_CLASSES)}
    assert all(count_of[c] == 2 for c in ("eye", "brow", "ear", "hat", "glasses")) and count_of["hair"] == 5
    for part, name in (("left eye", "eye"), ("skull", "skin"), ("swept fringe", "hair")):
        assert FACE_PART_CLASS[FACE_PARTS.index(part)] == FACE_CLASSES.index(name)


def test_bad_samples_of_faces_are_refused():
    assert FACE.name == "face" and FACE.kind == "edges"
    for wrong in (dict(indices=[]), dict(indices=[1], size=(64,)), dict(indices=[1], antialias=0)):
        try: pairs(FACE, **wrong)
        except RabitError as error: assert "pairs of face" in str(error)
        else: assert False, wrong


def test_every_part_of_a_face_is_seen_somewhere():
    seen = pairs(FACE, range(200), size=(48, 48), antialias=1)
    found = torch.cat([seen["parts"].unique(), seen["exemplar_parts"].unique()]).unique()
    assert found.tolist() == list(range(26))
    assert seen["labels"].equal(torch.tensor(FACE_PART_CLASS)[seen["parts"]])


def test_looking_for_parts_only_where_their_boxes_lie_misses_nothing():
    layout, (h, w) = face_layout(torch.arange(40)), (40, 56)
    x = (torch.arange(w) + .5) / w
    y = ((torch.arange(h) + .5) / h)[:, None]
    slow = torch.zeros(40, h, w, dtype=torch.uint8)
    for i in range(1, len(FACE_PARTS)):
        u, v = (m[:, 0, None, None] * x + (m[:, 1, None, None] * y + m[:, 2, None, None])
                for m in layout.matrix[:, i, :2].unbind(1))
        u0, u1, v0, v1 = layout.extent[:, i, :, None, None].unbind(1)
        inside = (u > u0) & (u < u1) & (v > v0) & (v < v1)
        slow[inside & FACE.inside[i](u, v) if FACE.inside[i] else inside] = i
    assert find_parts(layout, (h, w), FACE.inside).equal(slow)


def test_sample_i_is_the_same_face_whatever_the_batch():
    one, many = pairs(FACE, [7], seed=3, size=(24, 40)), pairs(FACE, range(20), seed=3, size=(24, 40))
    for name in one: assert one[name][0].equal(many[name][7]), name
    shuffled = pairs(FACE, [9, 7, 2], seed=3, size=(24, 40))
    for name in one: assert one[name][0].equal(shuffled[name][1]), name
    assert not many["image"].equal(pairs(FACE, range(20), seed=4, size=(24, 40))["image"])


def test_a_batch_of_faces_has_any_size_and_a_condition_of_edges_and_distances():
    batch = pairs(FACE, range(3), size=(37, 53))
    assert batch["image"].shape == batch["exemplar"].shape == (3, 3, 37, 53)
    assert -1 <= batch["image"].min() and batch["image"].max() <= 1
    assert batch["condition"].shape == batch["exemplar_condition"].shape == (3, 2, 37, 53)
    edges, distance = batch["condition"].unbind(1)
    assert edges.unique().tolist() == [0., 1.] and edges.bool().equal(part_edges(batch["parts"]))
    assert distance.min() == 0 and distance.max() <= 1 and (distance == 0).equal(edges == 1)
    torch.testing.assert_close(distance, (edge_distance(edges.bool()) * (2 / 53)).clamp(max=1))
    assert pairs(FACE, [1], size=(1, 1))["condition"].flatten().tolist() == [0., 1.]


def test_a_face_in_itself_is_the_identity():
    layout = face_layout(torch.arange(6))
    parts = find_parts(layout, (40, 56), FACE.inside).long()
    position, visible = ground_truth(layout, layout, parts, parts)
    y, x = torch.meshgrid(torch.arange(40.), torch.arange(56.), indexing="ij")
    torch.testing.assert_close(position, torch.stack([x, y]).expand(6, -1, -1, -1), atol=2e-3, rtol=0)
    assert visible.all()


def test_what_the_exemplar_hides_or_lacks_is_never_visible():
    batch = pairs(FACE, range(60), size=(32, 32), antialias=1)
    shown = torch.stack([(batch["exemplar_parts"] == i).flatten(1).any(1) for i in range(26)], 1)
    lacking = ~shown.gather(1, batch["parts"].flatten(1)).view_as(batch["parts"])
    assert lacking.any() and not (lacking & batch["visible"]).any()
    ears = (batch["labels"] == FACE_CLASSES.index("ear")) & lacking
    assert ears.any()  # the far ear
