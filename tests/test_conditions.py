# Generated from nbs/12a_conditions.ipynb by .ci/export_tests.py: edit the notebook, not this file.
import numpy as np
import torch
from PIL import Image
from rabit.conditions import CONDITIONS
from rabit.conditions import JOINTS
from rabit.conditions import LIMBS
from rabit.conditions import canny
from rabit.conditions import edge_distance
from rabit.conditions import edges_condition
from rabit.conditions import fit_condition
from rabit.conditions import fit_edges
from rabit.conditions import joints_condition
from rabit.conditions import mirror_joints
from rabit.conditions import paint_condition
from rabit.conditions import part_edges
from rabit.conditions import picture_edges
from rabit.conditions import read_condition
from rabit.conditions import read_edges
from rabit.conditions import read_joints
from rabit.core import RabitError


def test_an_edge_is_one_pixel_wide_and_lies_where_a_new_part_begins():
    parts = torch.tensor([[[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 1, 1]]])
    assert part_edges(parts).int().tolist() == [[[0, 0, 1, 0], [0, 0, 1, 0], [1, 1, 1, 0]]]


def test_distances_to_edges_are_those_of_scipy():
    import pytest
    ndimage = pytest.importorskip("scipy.ndimage")
    generator = torch.Generator().manual_seed(0)
    for size, share in (((1, 7), .3), ((33, 47), .01), ((64, 64), .1), ((70, 20), .002)):
        edges = torch.rand(5, *size, generator=generator) < share
        edges[:, 0, size[1] // 2] = True
        wanted = torch.stack([torch.from_numpy(ndimage.distance_transform_edt(~e.numpy())) for e in edges])
        torch.testing.assert_close(edge_distance(edges).double(), wanted, atol=1e-5, rtol=0)


def test_distances_to_edges_do_not_depend_on_the_batch_and_refuse_what_is_no_edge_map():
    edges = torch.rand(6, 20, 30, generator=torch.Generator().manual_seed(1)) < .02
    assert torch.cat([edge_distance(e[None]) for e in edges]).equal(edge_distance(edges))
    from rabit.core import RabitError
    for wrong in (edges[0], edges.float(), None):
        try: edge_distance(wrong)
        except RabitError as error: assert "bool map (b, h, w)" in str(error)
        else: assert False, wrong


def test_the_channels_of_edges_lie_between_0_and_1_at_every_size():
    line = torch.zeros(1, 20, 40, dtype=torch.bool)
    line[:, 5] = True
    condition = edges_condition(line)
    assert condition.shape == (1, CONDITIONS["edges"], 20, 40) and condition[0, 0].bool().equal(line[0])
    torch.testing.assert_close(condition[0, 1, :, 7], (torch.arange(20.) - 5).abs() / 20)      # in halves of 40
    assert edges_condition(torch.zeros(2, 3, 4, dtype=torch.bool))[:, 1].eq(1).all()  # no edge at all


def test_outlines_where_parts_are_known_and_the_photograph_elsewhere():
    import pytest
    from rabit.scenes import pairs, world
    pytest.importorskip("skimage")
    r = pairs(world("street"), range(2), size=(48, 48))
    unknown = torch.full_like(r["labels"], 255)
    assert picture_edges(r["picture"], r["labels"]).equal(part_edges(r["labels"]))    # all is known, all is quiet
    assert picture_edges(r["picture"], unknown).equal(canny(r["picture"]))            # nothing is known
    houses = r["labels"] == 1
    own = picture_edges(r["picture"], r["labels"], drawn=(1,), quiet=(1,))
    assert own[houses].equal(part_edges(torch.where(houses, 1, 255))[houses]) and (own & ~houses).equal((canny(r["picture"]) | part_edges(torch.where(houses, 1, 255))) & ~houses)


def test_a_joint_peaks_at_its_pixel_and_a_hidden_one_leaves_its_channel_and_its_limbs_empty():
    joints = torch.zeros(2, 18, 3)
    joints[:, :, 0], joints[:, :, 1], joints[:, :, 2] = torch.arange(18.) * 3 + 2, torch.arange(18.) % 7 * 5 + 3, 1
    joints[1, 3, 2] = 0                                                        # the second person's right elbow
    condition = joints_condition(joints, (48, 64))
    assert condition.shape == (2, len(JOINTS) + len(LIMBS), 48, 64) == (2, CONDITIONS["joints"], 48, 64)
    for k in range(18): assert condition[0, k].argmax() == joints[0, k, 1] * 64 + joints[0, k, 0] and condition[0, k].max() == 1
    s = .025 * 48
    torch.testing.assert_close(condition[0, 5, 28, 17 + 1], torch.exp(torch.tensor(-1 / (2 * s * s))), atol=1e-5, rtol=0)  # joint 5 is at (17, 28)
    assert [k for k in range(35) if not condition[1, k].any()] == [3, 18 + 2, 18 + 3]
    middle = (joints[0, 6] + joints[0, 7]) / 2                                 # halfway between left elbow and left wrist
    assert condition[0, 18 + 5, int(middle[1]), int(middle[0])] > .7 and LIMBS[5] == (6, 7)


def test_key_points_of_the_wrong_shape_are_refused_with_their_shape():
    for wrong in (torch.zeros(18, 3), torch.zeros(1, 17, 3)):
        try: joints_condition(wrong, (64, 64))
        except RabitError as error: assert str(tuple(wrong.shape)) in str(error)
        else: assert False, wrong.shape


def test_a_mirror_makes_the_left_arm_the_right_one():
    joints = torch.rand(3, 18, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([40., 30., 1.])
    there = mirror_joints(joints, 41)
    assert there[:, JOINTS.index("left wrist"), 0].equal(40 - joints[:, JOINTS.index("right wrist"), 0])
    assert there[:, JOINTS.index("nose"), 1:].equal(joints[:, JOINTS.index("nose"), 1:])
    torch.testing.assert_close(mirror_joints(there, 41), joints)
    plain, mirrored = joints_condition(joints, (32, 41)), joints_condition(there, (32, 41))
    wrist = JOINTS.index("left wrist"), JOINTS.index("right wrist")
    torch.testing.assert_close(mirrored[:, wrist[0]], plain[:, wrist[1]].flip(-1), atol=1e-5, rtol=0)
    assert (mirrored[:, wrist[0]] - plain[:, wrist[0]].flip(-1)).abs().max() > .5     # the channels alone, mirrored, are wrong


def test_lines_stay_whole_and_thin_when_they_shrink_and_whole_when_they_grow():
    edges = torch.zeros(1, 64, 96, dtype=torch.bool)
    edges[0, 10], edges[0, :, 40] = True, True
    for size in ((16, 24), (33, 50), (64, 96), (64, 24), (128, 24), (200, 300)):
        small = fit_edges(edges, size)
        assert small.shape == (1, *size) and small.all(2).any() and small.all(1).any(), size
        if size[0] <= 64: assert small.all(2).sum() == 1 == small.all(1).sum() or size[1] > 96, size
    condition = edges_condition(edges)
    assert fit_condition(condition, (16, 24), "edges").equal(edges_condition(fit_edges(edges, (16, 24)))) and fit_condition(condition, (64, 96), "edges") is condition
    assert fit_condition(torch.rand(2, 35, 8, 12), (16, 16), "joints").shape == (2, 35, 16, 16)
    try: fit_condition(torch.rand(2, 35, 8, 12), (4, 4), "edges")
    except RabitError as error: assert "2 channels" in str(error)
    else: assert False


def test_a_painted_condition_is_a_picture():
    for kind, c in (("edges", 2), ("joints", 35), ("picture", 3)):
        shown = paint_condition(torch.rand(2, c, 6, 7), kind)
        assert shown.shape == (2, 3, 6, 7) and -1 <= shown.min() and shown.max() <= 1
    try: paint_condition(torch.rand(1, 7, 4, 4), "labels")
    except RabitError as error: assert "color_labels" in str(error)
    else: assert False


def test_drawings_are_read_either_way_round():
    from pathlib import Path
    import tempfile
    chalk = np.zeros((20, 30), np.uint8)
    chalk[5], chalk[:, 7] = 255, 255
    wanted = edges_condition(torch.from_numpy(chalk > 0)[None])
    with tempfile.TemporaryDirectory() as folder:
        for name, a in (("board", chalk), ("paper", 255 - chalk)):
            Image.fromarray(a).save(Path(folder)/f"{name}.png")
            assert read_edges(Path(folder)/f"{name}.png").equal(wanted) and read_condition(Image.fromarray(a), "edges").equal(wanted)
    try: read_edges(Image.new("L", (5, 5), 9))
    except RabitError as error: assert "one colour" in str(error)
    else: assert False


def test_key_points_from_json_and_from_tables_are_the_same():
    import json, tempfile
    from pathlib import Path
    points = np.stack([np.arange(18.) * 3, np.arange(18.) * 2 + 1, np.full(18, .9)], 1)
    body25 = np.zeros((25, 3))
    body25[[*range(8), *range(9, 19)]] = points                           # its point 8 is the middle of the hips
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for name, people in (("a", [points]), ("b_keypoints", [body25, points / 2])):
            (folder/f"{name}.json").write_text(json.dumps(dict(people=[dict(pose_keypoints_2d=p.ravel().tolist()) for p in people])))
            assert read_joints(folder/f"{name}.json").equal(torch.from_numpy(points).float())
        np.savetxt(folder/"c_candidate.txt", np.c_[points[::-1], np.arange(18)])
        np.savetxt(folder/"c_subset.txt", [[17 - i for i in range(17)] + [-1, 15., 17]])       # the left ear was not found
        assert read_joints(folder/"c_candidate.txt")[:17].equal(torch.from_numpy(points[:17]).float()) and not read_joints(folder/"c_candidate.txt")[17].any()
        assert read_condition(folder/"a.json", "joints", (50, 60)).shape == (1, 35, 50, 60)
        (folder/"c_subset.txt").write_text(" ".join(["99"] * 20))
        for bad, words in (("c_candidate.txt", "does not have"), ("none.json", "no such file")):
            try: read_joints(folder/bad)
            except RabitError as error: assert words in str(error), error
            else: assert False, bad
