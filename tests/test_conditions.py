# Generated from nbs/11a_conditions.ipynb by .ci/export_tests.py: edit the notebook, not this file.
import torch
from rabit.conditions import CONDITIONS
from rabit.conditions import JOINTS
from rabit.conditions import LIMBS
from rabit.conditions import edge_distance
from rabit.conditions import joints_condition
from rabit.conditions import part_edges
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
