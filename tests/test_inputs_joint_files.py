# Generated from nbs/2_inputs/23a_joint_files.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import json
import numpy as np
import tempfile
import torch
from pathlib import Path
from rabit.core.tensors import RabitError
from rabit.inputs.joint_files import read_joints
from rabit.inputs.joint_files import read_joints_condition
from rabit.inputs.joints import joints_condition


def test_key_points_from_json_and_from_tables_are_the_same():
    points = np.stack([np.arange(18.) * 3, np.arange(18.) * 2 + 1, np.full(18, .9)], 1)
    body25 = np.zeros((25, 3))
    body25[[*range(8), *range(9, 19)]] = points                           # its point 8 is the middle of the hips
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for name, people in (("a", [points]), ("b_keypoints", [body25, points / 2])):
            found = [dict(pose_keypoints_2d=p.ravel().tolist()) for p in people]
            (folder/f"{name}.json").write_text(json.dumps(dict(people=found)))
            assert read_joints(folder/f"{name}.json").equal(torch.from_numpy(points).float())
        np.savetxt(folder/"c_candidate.txt", np.c_[points[::-1], np.arange(18)])
        # the left ear was not found
        np.savetxt(folder/"c_subset.txt", [[17 - i for i in range(17)] + [-1, 15., 17]])
        assert (read_joints(folder/"c_candidate.txt")[:17].equal(torch.from_numpy(points[:17]).float())
                and not read_joints(folder/"c_candidate.txt")[17].any())
        (folder/"c_subset.txt").write_text(" ".join(["99"] * 20))
        for bad, words in (("c_candidate.txt", "does not have"), ("none.json", "no such file")):
            try: read_joints(folder/bad)
            except RabitError as error: assert words in str(error), error
            else: assert False, bad


def test_key_points_of_a_file_become_channels_of_the_size_that_is_said():
    points = np.stack([np.arange(18.) * 3, np.arange(18.) * 2 + 1, np.full(18, .9)], 1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)/"a.json"
        path.write_text(json.dumps(dict(people=[dict(pose_keypoints_2d=points.ravel().tolist())])))
        wanted = joints_condition(torch.from_numpy(points)[None], (50, 60))
        assert torch.equal(read_joints_condition(path, (50, 60)), wanted)
        for canvas, words in ((None, "canvas=(h, w)"), ((9, 9), "must be scaled"), ((0, 5), "canvas")):
            try: read_joints_condition(path, canvas)
            except RabitError as error: assert words in str(error), error
            else: assert False, canvas
