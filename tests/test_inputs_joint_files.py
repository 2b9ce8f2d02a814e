# Generated from nbs/2_inputs/23a_joint_files.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import json
import numpy as np
import tempfile
import torch
import warnings
from dataclasses import replace
from pathlib import Path
from rabit.core.tensors import RabitError
from rabit.core.tensors import RabitWarning
from rabit.inputs.joint_files import Poses
from rabit.inputs.joint_files import _canvas
from rabit.inputs.joint_files import _eighteen
from rabit.inputs.joint_files import _person
from rabit.inputs.joint_files import _poses
from rabit.inputs.joint_files import on_canvas
from rabit.inputs.joint_files import pick_person
from rabit.inputs.joint_files import read_image_poses
from rabit.inputs.joint_files import read_joints
from rabit.inputs.joint_files import read_joints_condition
from rabit.inputs.joint_files import read_poses
from rabit.inputs.joints import JOINTS
from rabit.inputs.joints import joints_condition

# one person in three orders, in pixels of 60 × 40
ours = np.stack([np.arange(18.) * 3, np.arange(18.) * 2 + 1, np.full(18, .9)], 1)
names17 = ("nose", "left eye", "right eye", "left ear", "right ear", "left shoulder", "right shoulder",
           "left elbow", "right elbow", "left wrist", "right wrist", "left hip", "right hip", "left knee",
           "right knee", "left ankle", "right ankle")
seen17 = ours[[JOINTS.index(n) for n in names17]]
body25 = np.full((25, 3), 77.)
body25[[*range(8), *range(9, 19)]] = ours                            # its point 8 is the middle of the hips
part = ours / [60, 40, 1]

def refusal(f, *args):
    "The message of the error that `f` raises"
    try: f(*args)
    except RabitError as error: return str(error)
    raise AssertionError("not refused")

def write(data, folder, name="a.json"):
    "A file of that name"
    path = Path(folder)/name
    path.write_text(json.dumps(data))
    return path


def test_every_set_of_joints_becomes_ours():
    coco, neck = seen17.copy(), (ours[2] + ours[5]) / 2
    for points in (coco, np.r_[coco, ours[:9]], np.r_[coco, np.ones((116, 3))]):
        found = _eighteen(points, "x")
        assert np.allclose(found[1], neck) and np.allclose(np.delete(found, 1, 0), np.delete(ours, 1, 0))
    coco[6] = 0                                                           # no right shoulder, so no neck
    assert not _eighteen(coco, "x")[[1, 2]].any()
    assert (_eighteen(body25, "x") == ours).all() and _eighteen(ours, "x") is ours
    for count in (15, 16, 21): assert f"has {count} key points" in refusal(_eighteen, np.ones((count, 3)), "x")


def test_what_is_missing_is_zero_however_it_is_written():
    points = ours.copy()
    points[3:8] = [(0, 0, 1), (-1, -1, .5), (-512, -768, 1), (9, 9, 0), (9, 9, -1)]
    found = _person(points.ravel().tolist(), "x")
    assert not found[3:8].any() and (np.delete(found, range(3, 8), 0) == np.delete(ours, range(3, 8), 0)).all()
    assert not _person(None, "x").any() and not _person([], "x").any()
    assert (_person(ours[:, :2].tolist(), "x", scores=ours[:, 2]) == ours).all()
    assert not _person(ours, "x", least=.95).any() and (_person(ours[:, :2], "x")[1:, 2] == 1).all()
    # beside the image is not missing
    assert (_person(np.where(ours == ours[4], -3, ours), "x")[4, :2] == -3).sum() == 0
    assert (_person([[-3, 5, 1]] * 18, "x") == [-3, 5, 1]).all()


def test_fractions_become_pixels_where_the_canvas_is_known():
    known, unknown, pixels = (_poses([p], canvas, "x")
                              for p, canvas in ((part, (40, 60)), (part, None), (ours, None)))
    torch.testing.assert_close(known.people[0], torch.from_numpy(ours).float())
    assert not known.fractions and unknown.fractions and not pixels.fractions
    assert _poses([], (40, 60), "x").people.shape == (0, 18, 3)
    assert "--keypoint_scale" in refusal(_poses, [part * [2, 2, 1] - [1, 1, 0]], None, "x")
    for h, w in ((512, None), ("512", 512), (0, 0), (True, 9), (float("nan"), 9)):
        assert "canvas_height" in refusal(_canvas, dict(canvas_height=h, canvas_width=w), "x")
    assert _canvas(dict(canvas_height=768, canvas_width=512.), "x") == (768, 512) and _canvas({}, "x") is None


def test_every_program_s_file_gives_the_same_joints():
    def flat(points): return np.asarray(points).ravel().tolist()
    op = dict(pose_keypoints_2d=flat(ours))
    images = [dict(id=7, width=60, height=40, file_name="b.jpg"),
              dict(id=3, width=9, height=9, file_name="a.jpg")]
    with_sizes = dict(canvas_width=60, canvas_height=40)
    hands = dict(pose_keypoints_2d=None, hand_left_keypoints_2d=[1.] * 63)
    forms = dict(
        openpose=dict(version=1.3, people=[op]), body_25=dict(people=[dict(pose_keypoints_2d=flat(body25))]),
        old=dict(people=[dict(pose_keypoints=flat(ours))]), cmu=dict(bodies=[dict(joints=flat(ours))]),
        canvas=dict(people=[op, hands], **with_sizes), comfy=[dict(people=[op], **with_sizes)], persons=[op],
        named={"a.jpg": dict(people=[op])}, fractions=dict(people=[dict(pose_keypoints_2d=flat(part))],
                                                           **with_sizes))
    seventeen = dict(
        alphapose=[dict(image_id="a.jpg", category_id=1, keypoints=flat(seen17), score=2.5)],
        pifpaf=[dict(keypoints=flat(seen17), bbox=[0, 0, 9, 9])],
        ultralytics=[dict(name="person", keypoints=dict(zip(("x", "y", "visible"), seen17.T.tolist())))],
        mmpose=[dict(keypoints=seen17[:, :2].tolist(), keypoint_scores=seen17[:, 2].tolist())],
        mmpose_meta=dict(meta_info=dict(keypoint_id2name={"0": "nose"}), instance_info=[
            dict(keypoints=seen17[:, :2].tolist(), keypoint_scores=seen17[:, 2].tolist())]),
        mmpose_video=dict(instance_info=[dict(frame_id=1, instances=[dict(keypoints=seen17.tolist())])]),
        coco=dict(images=images[:1], annotations=[dict(image_id=7, keypoints=flat(seen17 * [1, 1, 2]))]))
    with tempfile.TemporaryDirectory() as folder:
        for name, form in (forms | seventeen).items():
            (found,) = read_poses(write(form, folder))
            joints = found.people[0].numpy()
            if name == "coco": joints[:, 2] /= 2
            if name in seventeen: joints = np.delete(joints, 1, 0)
            wanted = np.delete(ours, 1, 0) if name in seventeen else ours
            np.testing.assert_allclose(joints, wanted, rtol=1e-6, err_msg=name)
            sized = name in ("canvas", "comfy", "fractions", "coco")
            assert found.canvas == ((40, 60) if sized else None) and not found.fractions, name
        several = ([dict(image_id=n, keypoints=flat(seen17)) for n in ("10.jpg", "9.jpg", "10.jpg")],
                   [dict(people=[op]), dict(people=[op] * 2)],
                   {"9": dict(people=[op]), "10": dict(people=[op] * 2)},
                   dict(images=images[::-1] + [dict(id=1, file_name="c.jpg")], annotations=[
                       dict(image_id=i, keypoints=flat(seen17)) for i in (3, 7, 7)]))
        counts = [[len(p.people) for p in read_poses(write(form, folder))] for form in several]
        line = " ".join(map(str, [0, .5, .5, .9, .9] + flat(seen17 / [60, 40, 1])))
        lines = f"{line}\n{line}\n", " ".join(["0"] * 20)
        for name, text in zip(("yolo.txt", "x_subset.txt"), lines): (Path(folder)/name).write_text(text)
        (yolo,) = read_poses(Path(folder)/"yolo.txt")
        assert yolo.fractions and len(yolo.people) == 2
        pixels17 = np.delete(yolo.people[1].numpy() * [60, 40, 1], 1, 0)
        np.testing.assert_allclose(pixels17, np.delete(ours, 1, 0), rtol=1e-5)
        assert "got 20" in refusal(read_poses, Path(folder)/"x_subset.txt")
    assert counts == [[1, 2], [1, 2], [1, 2], [1, 2, 0]]


def test_the_largest_person_is_chosen_and_a_number_chooses_another():
    body = np.c_[np.arange(18.) * 3, np.arange(18.) * 2 + 1, np.ones(18)]
    stray = np.zeros((18, 3))
    stray[[0, 10]] = (1, 2, 1), (900, 900, 1)                            # no limb has both ends
    persons = _poses([np.zeros((18, 3)), stray, body * [.5, .5, 1], body], None, "x.json")
    assert pick_person(persons).people.equal(persons.people[3:])
    assert all(pick_person(persons, n).people.equal(persons.people[n - 1:n]) for n in (1, 2, 3, 4))
    assert pick_person(replace(persons, people=persons.people[:2])).people[0, 10, 0] == 900
    nobody = replace(persons, people=persons.people[:0])
    assert pick_person(nobody) is nobody and pick_person(nobody, 1) is nobody
    for n in (0, -1, 5): assert f"person {n} is asked for; a number from 1 to 4" in (
        refusal(pick_person, persons, n))


def test_persons_are_scaled_to_the_size_of_their_image():
    people = torch.from_numpy(ours).float()[None]
    scaled = (people + torch.tensor([.5, .5, 0])) * torch.tensor([2, 2, 1.]) - torch.tensor([.5, .5, 0])
    torch.testing.assert_close(on_canvas(Poses(people, (40, 60), False, "x"), (80, 120)), scaled)
    assert on_canvas(Poses(people, None, False, "x"), (80, 120)).equal(people)
    torch.testing.assert_close(on_canvas(Poses(people / 60, None, True, "x"), (60, 60))[..., :2], people[..., :2])
    assert not on_canvas(Poses(people * 0, (40, 60), False, "x"), (80, 120)).any()
    assert "60×40, and 80×80 is given" in refusal(on_canvas, Poses(people, (40, 60), False, "x"), (80, 80))
    assert on_canvas(Poses(people, (64, 64), False, "x"), (100, 95)).shape == (1, 18, 3)


def test_key_points_from_json_and_from_tables_are_the_same():
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for name, people in (("a", [ours]), ("b_keypoints", [body25, ours / 2])):
            found = [dict(pose_keypoints_2d=p.ravel().tolist()) for p in people]
            (folder/f"{name}.json").write_text(json.dumps(dict(people=found)))
            assert read_joints(folder/f"{name}.json").equal(torch.from_numpy(ours).float())
        assert read_joints(folder/"b_keypoints.json", person=2).equal(torch.from_numpy(ours / 2).float())
        np.savetxt(folder/"c_candidate.txt", np.c_[ours[::-1], np.arange(18)])
        # the left ear was not found
        np.savetxt(folder/"c_subset.txt", [[17 - i for i in range(17)] + [-1, 15., 17]])
        assert (read_joints(folder/"c_candidate.txt")[:17].equal(torch.from_numpy(ours[:17]).float())
                and not read_joints(folder/"c_candidate.txt")[17].any())
        (folder/"c_subset.txt").write_text(" ".join(["99"] * 20))
        assert "does not have" in refusal(read_joints, folder/"c_candidate.txt")
        assert "no such file" in refusal(read_joints, folder/"none.json")
        fractions = dict(people=[dict(pose_keypoints_2d=part.ravel().tolist())])
        (folder/"d.json").write_text(json.dumps(fractions))
        assert "fractions" in refusal(read_joints, folder/"d.json")
        torch.testing.assert_close(read_joints(folder/"d.json", (40, 60)), torch.from_numpy(ours).float())
        (folder/"d.json").write_text(json.dumps(fractions | dict(canvas_width=60, canvas_height=40)))
        torch.testing.assert_close(read_joints(folder/"d.json"), torch.from_numpy(ours).float())
        (folder/"d.json").write_text(json.dumps([dict(people=[])] * 2))
        assert "2 images" in refusal(read_joints, folder/"d.json")
        (folder/"d.json").write_text('{"people": []}')
        assert not read_joints(folder/"d.json").any()


def test_key_points_of_a_file_become_channels_of_the_size_that_is_said():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)/"a.json"
        def written(points, **more):
            person = dict(pose_keypoints_2d=np.asarray(points).ravel().tolist())
            path.write_text(json.dumps(dict(people=[person]) | more))
            return path
        here = torch.from_numpy(ours)[None]
        assert torch.equal(read_joints_condition(written(ours), (50, 60)), joints_condition(here, (50, 60)))
        assert torch.equal(read_joints_condition(pick_person(read_poses(path)[0]), (50, 60)),
                           joints_condition(here, (50, 60)))
        wanted = joints_condition((here + .5) * torch.tensor([2, 2, 1]) - .5, (100, 120))
        sized = dict(canvas_width=60, canvas_height=50)
        for points in (ours, ours / [60, 50, 1]):
            assert (read_joints_condition(written(points, **sized), (100, 120)) - wanted).abs().max() < 1e-5
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            square = read_joints_condition(written(ours, **sized), (100, 100))
        assert "60×50, of another shape than the exemplar, 100×100" in str(told[0].message)
        assert square.shape == (1, 35, 91, 110) and square[0, :18].amax((1, 2)).min() > .5
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            of_exemplar = read_joints_condition(written(ours / [60, 50, 1]), (50, 60))
            read_joints_condition(written(ours / [60, 50, 1], **sized), (50, 60))    # it says its canvas
            own = read_image_poses(written(ours / [60, 50, 1]))
            read_joints_condition(replace(own, canvas=(50, 60)), (50, 60))           # it has been told
        assert len(told) == 1 and told[0].category is RabitWarning
        said = str(told[0].message)
        assert all(words in said for words in ("a.json holds fractions", "60×50", "canvas_width")), said
        torch.testing.assert_close(of_exemplar, joints_condition(here, (50, 60)), atol=1e-5, rtol=0)
        for points, canvas, words in ((ours, None, "canvas=(h, w)"), (ours, (9, 9), "must be scaled"),
                                      (ours, (400, 400), "smaller image"), (ours, (0, 5), "canvas"),
                                      (ours * 0, (50, 60), "shows nobody")):
            assert words in refusal(read_joints_condition, written(points), canvas), words
        lying = written(ours, canvas_width=18, canvas_height=15)
        assert "lie inside 18×15 pixels, as it says" in refusal(read_joints_condition, lying, (50, 60))
        for points, canvas, words in ((ours, (150, 150), "smaller image"),
                                      ([ours / 2, ours], (50, 60), "person 2")):
            people = [dict(pose_keypoints_2d=p.ravel().tolist()) for p in np.reshape(points, (-1, 18, 3))]
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                assert read_joints_condition(write(dict(people=people), folder), canvas).shape[2:] == canvas
            assert len(told) == 1 and words in str(told[0].message) and told[0].category is RabitWarning
