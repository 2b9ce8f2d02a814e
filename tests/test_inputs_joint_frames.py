# Generated from nbs/2_inputs/23b_joint_frames.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import json
import tempfile
import torch
import warnings
from dataclasses import replace
from pathlib import Path
from rabit.core.tensors import RabitError
from rabit.inputs.joint_files import Poses
from rabit.inputs.joint_files import largest_person
from rabit.inputs.joint_frames import fill_missing
from rabit.inputs.joint_frames import follow_person
from rabit.inputs.joint_frames import read_pose_frames

body = torch.tensor([[32, 10], [32, 18], [24, 19], [20, 29], [22, 39], [40, 19], [44, 29], [42, 39], [28, 38],
                     [27, 48], [26, 59], [36, 38], [37, 48], [38, 59], [30, 8], [34, 8], [28, 9], [36, 9]])
body = torch.cat([body.float(), torch.ones(18, 1)], 1)

def placed(x, size):
    "The person at a fraction of the size, at that x"
    middle = torch.tensor([32., 32.])
    at = (body[:, :2] - middle) * size + middle + torch.tensor([x - 32., 0.])
    return torch.cat([at, body[:, 2:]], 1)

def scene(t):
    "Two persons and a ghost, in an order that changes"
    a, b, ghost = placed(14 + 3 * t, .5 + .03 * (t % 2)), placed(50 - 3 * t, .515), torch.zeros(18, 3)
    ghost[0] = a[0]
    people = [ghost, a, b] if t % 3 else [b, a, ghost]
    return Poses(torch.stack(people), None, False, f"{t}.json")


def test_one_person_is_followed_through_changing_orders_and_ghosts_and_a_cut_is_seen():
    walk = [scene(t) for t in range(5)]
    left = follow_person(walk, 2)
    for t, f in enumerate(left): assert f.people[0].equal(placed(14 + 3 * t, .5 + .03 * (t % 2))), t
    right = follow_person(walk)                                          # the larger of the first frame
    for t, f in enumerate(right): assert f.people[0].equal(placed(50 - 3 * t, .515)), t
    empty = Poses(torch.zeros(0, 18, 3), None, False, "none.json")
    ghosts = Poses(torch.zeros(2, 18, 3), None, False, "ghosts.json")
    assert [f is None for f in follow_person([empty, walk[0], ghosts, walk[1]])] == [True, False, True, False]
    far = replace(scene(0), people=scene(0).people[[1, 0]] + torch.tensor([500., 500., 0]))
    assert follow_person([walk[0], far])[1].people[0].equal(far.people[largest_person(far)])
    hollow = replace(scene(0), people=scene(0).people * torch.tensor([1, 1, 0.]).view(3, 1, 1))
    for who, words in ((3, "person 3 has no key points"), (4, "a number from 1 to 3")):
        try: follow_person([hollow], who)
        except RabitError as error: assert words in str(error), error
        else: assert False, who


def test_frames_without_a_person_are_held_or_left_out():
    one, two = follow_person([scene(0), scene(1)])
    assert fill_missing([one, None, None, two]) == [one, one, one, two]
    assert fill_missing([None, one, None, two], "skip") == [one, two]
    for found, missing, words in (([None, None, one], "hold", "the first 2 of 3 frames show nobody"),
                                  ([None] * 4, "skip", "none of its 4 frames"), ([one], "drop", "'drop'")):
        try: fill_missing(found, missing, "poses")
        except RabitError as error: assert words in str(error), error
        else: assert False, words


def test_frames_are_read_from_a_folder_or_a_file():
    def openpose(*people): return dict(people=[dict(pose_keypoints_2d=p.flatten().tolist()) for p in people])
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for t in (9, 10, 11):
            people = scene(t - 9).people if t != 10 else ()
            (folder/f"v_{t}_keypoints.json").write_text(json.dumps(openpose(*people)))
        (folder/"notes.txt").write_text("no pose")
        (folder/"old").mkdir()
        (folder/"old"/"v_0_keypoints.json").write_text("no pose")
        frames_read = read_pose_frames(folder, 2)
        assert [f is None for f in frames_read] == [False, True, False]
        torch.testing.assert_close(frames_read[2].people[0], placed(20, .5))
        whole = folder/"old"/"all.json"
        whole.write_text(json.dumps([openpose(*scene(t).people) for t in range(3)]))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            assert len(read_pose_frames(whole)) == 3
        assert "(0) shows 3 persons; the largest is taken, person 1" in str(told[0].message)
        (folder/"empty").mkdir()
        for place, words in ((folder/"empty", "holds no files to read"), (folder/"none.json", "no such file")):
            try: read_pose_frames(place)
            except RabitError as error: assert words in str(error), error
            else: assert False, place
