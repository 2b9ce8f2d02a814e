"""Files of key points as eight programs write them, by encoders that share nothing with the readers: decoded
to the joints that went in, or refused. There is no third outcome."""
import copy, json, warnings

import numpy as np, pytest, torch

from rabit.core.tensors import RabitError, RabitWarning
from rabit.inputs.joint_files import (
    pick_person, read_image_poses, read_joints, read_joints_condition, read_poses,
)
from rabit.inputs.joint_frames import fill_missing, read_pose_frames
from rabit.networks.translate import rabit
from rabit.tools.video import translate_frames

OPENPOSE = ["nose", "neck", "rsho", "relb", "rwri", "lsho", "lelb", "lwri", "rhip", "rkne", "rank", "lhip",
            "lkne", "lank", "reye", "leye", "rear", "lear"]
COCO = ["nose", "leye", "reye", "lear", "rear", "lsho", "rsho", "lelb", "relb", "lwri", "rwri", "lhip",
        "rhip", "lkne", "rkne", "lank", "rank"]
BODY_25 = OPENPOSE[:8] + ["midhip"] + OPENPOSE[8:] + ["foot"] * 6
SETS = dict(o18=OPENPOSE, b25=BODY_25, c17=COCO, h26=COCO + ["foot"] * 9, w133=COCO + ["face"] * 116,
            h136=COCO + ["face"] * 119)
ZERO, MINUS, UNSURE = (0., 0., 0.), (-1., -1., 0.), (3., 4., .05)
NOBODY = [dict(pose_keypoints_2d=[]), dict(pose_keypoints_2d=None, hand_left_keypoints_2d=[1.] * 63), {},
          dict(pose_keypoints_2d=[0.] * 54), dict(pose_keypoints_2d=[-1., -1., 0.] * 18),
          dict(person_id=[-1])]


def somebody(rng, size, part):
    "Name of a joint → (x, y, score) in a part of an image (w, h), or None: not found"
    start = rng.uniform(.05, .95 - part, 2) * size
    joints = {n: (*(start + part * rng.random(2) * size), rng.uniform(.5, .99)) for n in OPENPOSE}
    for n in rng.choice(OPENPOSE, rng.integers(0, 5), replace=False):
        if n not in ("nose", "neck", "rsho", "lsho"): joints[n] = None
    return joints


def right(joints, kind):
    "(18, 3) as they should be read; sets without a neck have it between the shoulders"
    joints = dict(joints)
    if kind not in ("o18", "b25"):
        a, b = np.array(joints["lsho"]), np.array(joints["rsho"])
        joints["neck"] = (*((a + b) / 2)[:2], min(a[2], b[2]))
    return np.array([joints[n] or (0, 0, 0) for n in OPENPOSE])


def rows(joints, kind, size, fractions, missing):
    "Rows x, y, score of a set, in pixels or fractions of the size (w, h)"
    unit = size if fractions else (1, 1)
    points = [joints[n] if n in OPENPOSE else (size[0] / 3, size[1] / 2, .9) for n in SETS[kind]]
    return [(p[0] / unit[0], p[1] / unit[1], p[2]) if p else missing for p in points]


def flat(points): return [float(v) for p in points for v in p]


def openpose_like(rng, all_rows, size):
    "The data of a file, and whether it says its canvas"
    key = str(rng.choice(["pose_keypoints_2d", "pose_keypoints"]))
    people = [{key: flat(r)} for r in all_rows]
    for ghost in rng.choice(len(NOBODY), rng.integers(0, 3)):
        people.insert(int(rng.integers(len(people) + 1)), NOBODY[ghost])
    record = dict(people=people)
    form = rng.choice(["plain", "canvas", "list", "bodies", "named", "persons"])
    if form == "bodies":
        return dict(bodies=[dict(joints=p.get(key, p.get("pose_keypoints_2d"))) for p in people]), False
    if form == "persons": return people, False
    if form == "named": return {"a.jpg": record | dict(version="0.3")}, False
    if form == "plain": return record | dict(version=1.3), False
    record |= dict(canvas_width=size[0], canvas_height=size[1])
    return [record] if form == "list" else record, True


def instance_like(rng, all_rows, size):
    "The same of programs that list persons"
    form = rng.choice(["flat", "rows", "scores", "meta", "video", "xy", "coco"])
    if form == "flat": return [dict(image_id="a.jpg", keypoints=flat(r), score=1.) for r in all_rows], False
    if form == "rows": return [dict(keypoints=[list(p) for p in r]) for r in all_rows], False
    if form == "xy":
        columns = ([list(c) for c in zip(*r)] for r in all_rows)
        return [dict(name="person", keypoints=dict(zip(("x", "y", "visible"), c))) for c in columns], False
    if form == "coco":
        marked = [flat((x, y, 2 if c > .1 else 0) for x, y, c in r) for r in all_rows]
        image = dict(id=1, width=size[0], height=size[1], file_name="a.jpg")
        return dict(images=[image], annotations=[dict(image_id=1, keypoints=p) for p in marked]), True
    many = [dict(keypoints=[list(p[:2]) for p in r], keypoint_scores=[p[2] for p in r]) for r in all_rows]
    if form == "scores": return many, False
    instances = many if form == "meta" else [dict(frame_id=1, instances=many)]
    return dict(meta_info=dict(keypoint_id2name={"0": "nose"}), instance_info=instances), False


def a_file(seed):
    "Data, does it say its canvas, are they fractions, (w, h), the persons that went in [(18, 3)]"
    rng = np.random.default_rng(seed)
    size, fractions = tuple(int(n) for n in rng.integers(40, 2000, 2)), bool(rng.random() < .4)
    like_openpose = rng.random() < .55
    kind = str(rng.choice(["o18", "b25", "c17"] if like_openpose else ["c17", "h26", "w133", "h136"]))
    gone = [ZERO, MINUS] + ([] if like_openpose or fractions else [UNSURE]) + (
        [(-float(size[0]), -float(size[1]), 1.)] if like_openpose and not fractions else [])
    missing = gone[rng.integers(len(gone))]
    people = [somebody(rng, size, part) for part in rng.permutation([.85, .3, .2])[:rng.integers(1, 4)]]
    all_rows = [rows(p, kind, size, fractions, missing) for p in people]
    data, known = (openpose_like if like_openpose else instance_like)(rng, all_rows, size)
    return data, known, fractions, size, [right(p, kind) for p in people]


def save(data, path):
    path.write_text(json.dumps(data))
    return path


def same_points(found, wanted, atol):
    seen = wanted[:, 2] > 0
    return ((found[:, 2] > 0) == seen).all() and np.abs(found - wanted)[seen, :2].max() < atol


def test_every_dialect_gives_the_joints_that_went_in(tmp_path):
    "400 files: all persons in the file's order, by number, and scaled where that can be known"
    count = dict(known=0, fractions=0, unknown=0)
    for seed in range(400):
        data, known, fractions, (w, h), people = a_file(seed)
        path, atol = save(data, tmp_path/"a.json"), 1e-3 * max(w, h)
        found = read_image_poses(path)
        assert found.canvas == ((h, w) if known else None), seed
        assert found.fractions == (fractions and not known), seed
        unit = np.array([w, h, 1] if found.fractions else [1, 1, 1])
        shown = [i for i, p in enumerate(found.people) if p[:, 2].any()]
        assert len(shown) == len(people), seed
        for i, person in zip(shown, people):
            assert same_points(found.people[i].numpy() * unit, person, atol), seed
            assert pick_person(found, i + 1).people.equal(found.people[i:i + 1])
        if known or fractions:
            joints = read_joints(path, (2 * h, 2 * w), shown[0] + 1).numpy()
            half = .5 if known else 0.                           # centres of pixels are scaled, not corners
            assert same_points(joints, people[0] * [2, 2, 1] + [half, half, 0], 2 * atol), seed
            words, size = ("one shape", (h, 2 * w)) if known else ("fractions", None)
            with pytest.raises(RabitError, match=words): read_joints(path, size)
        count["known" if known else "fractions" if fractions else "unknown"] += 1
    assert min(count.values()) > 40, count


@pytest.mark.filterwarnings("ignore::rabit.core.tensors.RabitWarning")
def test_channels_lie_where_the_file_says_on_a_smaller_exemplar(tmp_path):
    "Sixty of them as conditions of 48 pixels or so: every seen joint peaks at its scaled place, or a refusal"
    done = refused = 0
    for seed in range(60):
        data, known, fractions, (w, h), people = a_file(seed)
        path, scale = save(data, tmp_path/"a.json"), 48 / max(w, h)
        size = max(8, round(h * scale)), max(8, round(w * scale))
        try: condition = read_joints_condition(path, size)
        except RabitError as e:
            assert not (known or fractions) and "larger image" in str(e), (seed, str(e))
            refused += 1
            continue
        assert known or fractions, seed
        out = np.array(condition.shape[:1:-1]) / (w, h)          # of the output, in pixels of the file
        misses = []
        for person in people:
            seen = [k for k in range(18) if person[k, 2] > 0]
            peaks = [divmod(int(condition[0, k].argmax()), condition.shape[3])[::-1] for k in seen]
            misses.append(np.abs(np.array(peaks) - person[seen, :2] * out).max())
        assert min(misses) < 1.6, (seed, misses)
        done += 1
    assert done > 20 and refused > 10


DAMAGE = [None, "x", [], {}, True, float("nan"), float("inf"), -1e9, 1e300, [[[1]]], 0, -1, 10**400]


def damaged(data, rng):
    "The same data with one value gone or replaced, somewhere"
    at = data = copy.deepcopy(data)
    while True:
        keys = list(at) if isinstance(at, dict) else range(len(at))
        key = list(keys)[rng.integers(len(keys))]
        if not isinstance(at[key], (dict, list)) or not at[key] or rng.random() < .2: break
        at = at[key]
    which = rng.integers(len(DAMAGE) + 1)
    if which == len(DAMAGE): del at[key]
    else: at[key] = DAMAGE[which]
    return data, key


def test_damaged_files_are_refused_or_lose_no_more_than_what_was_damaged(tmp_path):
    "400 files with one value changed: but for the joint that holds it, and the neck, all are as they were"
    refused = 0
    for seed in range(400):
        data, known, fractions, (w, h), people = a_file(seed)
        data, key = damaged(data, np.random.default_rng(seed))
        path = save(data, tmp_path/"a.json")
        try: found = read_poses(path)
        except RabitError as e:
            assert "a.json" in str(e)
            refused += 1
            continue
        if key in ("visible", "keypoint_scores"): continue       # so nobody knows whom to trust
        unit = torch.tensor([w, h, 1] if fractions and not known else [1, 1, 1])
        for person in (p for image in found for p in image.people * unit if p[:, 2].any()):
            seen = person[:, 2].numpy() > 0
            wrong = [(np.abs(person.numpy() - p)[seen & (p[:, 2] > 0), :2].max(1) > 1e-3 * max(w, h)).sum()
                     + (seen & (p[:, 2] == 0)).sum() for p in people]
            assert min(wrong) <= 2, (seed, key, wrong)
    assert 100 < refused < 350, refused


@pytest.mark.parametrize("data, words", [
    (dict(people=[dict(pose_keypoints_2d=[1, 2, .5] * 15)]), "15 key points"),
    (dict(people=[dict(pose_keypoints_2d=[1.] * 53)]), "53 numbers"),
    (dict(people=[dict(keypoints=[1.] * 54)]), "keypoints"),
    (dict(people=[dict(pose_keypoints_2d=[-.7, .5, 1] * 9 + [.7, .3, 1] * 9)]), "keypoint_scale"),
    (dict(people=[dict(pose_keypoints_2d=[9.] * 54)], canvas_width=512), "canvas_width"),
    (dict(people=[], canvas_width=512, canvas_height="768"), "'768'"),
    (dict(animals=[[1.] * 51]), "holds no people"),
    ([dict(image_id=str(i), keypoints=[9.] * 51) for i in range(3)], "3 images"),
    ([dict(people=[])] * 4, "4 images"),
    ([dict(name="car", box=dict(x1=1.))], "without keypoints"),
    (dict(images=[], annotations=[], categories=[dict(keypoints=["left_eye"])]), "left_eye"),
    (dict(images=[], annotations=[]), "no image"),
    (dict(images=[], annotations=[dict(image_id=4, keypoints=[])]), "does not list"),
    (dict(meta_info=dict(keypoint_id2name={"0": "root"}), instance_info=[]), "root"),
])
def test_what_is_no_person_of_one_image_is_refused_with_its_reason(tmp_path, data, words):
    with pytest.raises(RabitError, match="a.json") as error: read_joints(save(data, tmp_path/"a.json"))
    assert words in str(error.value)


def test_tables_of_several_persons_give_the_largest_and_know_units(tmp_path):
    rng = np.random.default_rng(0)
    small, large = right(somebody(rng, (200, 300), .2), "o18"), right(somebody(rng, (200, 300), .85), "o18")
    for unit in ((1, 1, 1), (200, 300, 1)):
        points = np.concatenate([small, large]) / unit
        index = [[k if points[k, 2] else -1 for k in range(i, i + 18)] + [9., 18] for i in (0, 18)]
        np.savetxt(tmp_path/"a_candidate.txt", np.c_[points, np.arange(36)])
        np.savetxt(tmp_path/"a_subset.txt", index)
        assert same_points(read_joints(tmp_path/"a_candidate.txt", (300, 200)).numpy(), large, .01)
        assert same_points(read_joints(tmp_path/"a_candidate.txt", (300, 200), 1).numpy(), small, .01)
    with pytest.raises(RabitError, match="fractions"): read_joints(tmp_path/"a_candidate.txt")


def test_a_video_in_one_file_is_that_in_many(tmp_path):
    "Frames of AlphaPose, MMPose and ComfyUI, one of them without a person"
    rng = np.random.default_rng(1)
    moving = somebody(rng, (100, 120), .8)
    frames = [{n: p and (p[0] + t, p[1], p[2]) for n, p in moving.items()} for t in range(12)]
    listed = [None if t == 5 else rows(p, "o18", (100, 120), False, ZERO) for t, p in enumerate(frames)]
    records = [dict(people=[dict(pose_keypoints_2d=flat(r))] if r else []) for r in listed]
    (tmp_path/"many").mkdir()
    for t, r in enumerate(records): save(r, tmp_path/"many"/f"v_{t}_keypoints.json")
    coco = [None if t == 5 else rows(p, "c17", (100, 120), False, ZERO) for t, p in enumerate(frames)]
    forms = dict(comfy=records, mmpose=dict(instance_info=[
        dict(frame_id=t, instances=[dict(keypoints=r)] if r else []) for t, r in enumerate(coco)]),
        alphapose=[dict(image_id=f"{t}.jpg", keypoints=flat(coco[t])) for t in range(11, -1, -1) if coco[t]])
    many = read_pose_frames(tmp_path/"many")
    assert [f is None for f in many] == [t == 5 for t in range(12)]
    for name, data in forms.items():
        found = read_pose_frames(save(data, tmp_path/f"{name}.json"))
        if name == "alphapose": found.insert(5, None)            # it lists nobody where there is nobody
        for a, b in zip(many, found, strict=True):
            assert (a is None) == (b is None)
            if a is not None: assert torch.allclose(a.people[0, 2:], b.people[0, 2:], atol=1e-4), name
    held, left = fill_missing(many), fill_missing(many, "skip")
    assert len(held) == 12 and held[5] is held[4] and len(left) == 11


def test_fractions_of_an_unknown_canvas_are_told_where_they_may_be_stretched(tmp_path):
    "The condition's alone, and only without a canvas: the exemplar's own and an edit's are of its size"
    pose = rows(somebody(np.random.default_rng(2), (60, 40), .85), "o18", (60, 40), True, ZERO)
    record = dict(people=[dict(pose_keypoints_2d=flat(pose))])
    bare = save(record, tmp_path/"bare.json")
    sized = save(record | dict(canvas_width=60, canvas_height=40), tmp_path/"sized.json")
    model = rabit(35, size=(32, 32), width=4, features=8, position="coord", condition="joints").eval()
    image = torch.rand(1, 3, 40, 60) * 2 - 1
    def told(f, *args):
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            out = f(*args)
        return [str(w.message) for w in found if "fractions" in str(w.message)], out
    for f, args, count in ((model.translate, (bare, image), 1), (model.translate, (sized, image), 0),
                           (model.translate, (bare, image, bare), 1),
                           (model.translate, (sized, image, bare), 0),
                           (model.translate, (read_image_poses(bare), image), 1),
                           (model.edit, (image, bare, bare), 0),
                           (lambda *a: list(translate_frames(*a)), (model, [bare], image, bare), 1)):
        said, _ = told(f, *args)
        assert len(said) == count and all("bare.json" in s and "60×40" in s and "canvas_width" in s
                                          and "\n" not in s for s in said), (args[1:], said)
    own = model.as_condition(bare, "exemplar_condition", (40, 60), own=True)
    with pytest.warns(RabitWarning, match="fractions"):
        other = model.as_condition(bare, "condition", (40, 60))
    assert (own - other).abs().max() < 1e-5
