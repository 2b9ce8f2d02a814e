# Generated from nbs/2_inputs/23_joints.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
from rabit.core.tensors import RabitError
from rabit.inputs.joints import JOINTS
from rabit.inputs.joints import LIMBS
from rabit.inputs.joints import joints_condition
from rabit.inputs.joints import mirror_joints


def test_a_joint_peaks_at_its_pixel_and_a_hidden_one_leaves_its_channel_and_its_limbs_empty():
    joints = torch.zeros(2, 18, 3)
    joints[:, :, 0] = torch.arange(18.) * 3 + 2
    joints[:, :, 1] = torch.arange(18.) % 7 * 5 + 3
    joints[:, :, 2] = 1
    joints[1, 3, 2] = 0                                                        # the second person's right elbow
    condition = joints_condition(joints, (48, 64))
    assert condition.shape == (2, len(JOINTS) + len(LIMBS), 48, 64) == (2, 35, 48, 64)
    for k in range(18):
        assert condition[0, k].argmax() == joints[0, k, 1] * 64 + joints[0, k, 0] and condition[0, k].max() == 1
    s = .025 * 48
    # joint 5 is at (17, 28)
    beside = torch.exp(torch.tensor(-1 / (2 * s * s)))
    torch.testing.assert_close(condition[0, 5, 28, 17 + 1], beside, atol=1e-5, rtol=0)
    assert [k for k in range(35) if not condition[1, k].any()] == [3, 18 + 2, 18 + 3]
    # halfway between left elbow and left wrist
    middle = (joints[0, 6] + joints[0, 7]) / 2
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
    # the channels alone, mirrored, are wrong
    assert (mirrored[:, wrist[0]] - plain[:, wrist[0]].flip(-1)).abs().max() > .5
