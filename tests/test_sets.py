# Generated from nbs/12b_sets.ipynb by .ci/export_tests.py: edit the notebook, not this file.
import numpy as np
import tempfile
import torch
from PIL import Image
from pathlib import Path
from rabit.core import RabitError
from rabit.core import to_pil
from rabit.encode import VGG19
from rabit.scenes import pairs
from rabit.scenes import world
from rabit.sets import CELEBA_MASKS
from rabit.sets import Layout
from rabit.sets import deep_features
from rabit.sets import inspect_set
from rabit.sets import open_set
from rabit.sets import recognise
from rabit.sets import retrieve_by
from rabit.worlds.face import FACE_PARTS
from rabit.worlds.figure import FIGURE
from rabit.worlds.figure import figure_joints
from rabit.worlds.figure import figure_layout
from torch import Tensor

def save(x, path):
    "Store a picture (3, h, w) or bytes (h, w[, 3])."
    path.parent.mkdir(parents=True, exist_ok=True)
    (to_pil(x) if isinstance(x, Tensor) and x.is_floating_point() else Image.fromarray(np.asarray(x, np.uint8))).save(path)

def write_streets(root, names, a, b, ids=lambda x: x, n=4):
    "Photographs and label maps; `names`, `a` and `b` are patterns with the split and the number in them."
    for start, split in enumerate(("train", "val")):
        r = pairs(world("street"), range(n * start, n * start + n), size=(64, 96))
        for i, (picture, labels) in enumerate(zip(r["picture"], r["labels"].numpy())):
            name = names.format(split=split, i=i)
            save(picture, root/a.format(split=split)/f"{name}.jpg"), save(ids(labels), root/b.format(split=split)/f"{name}.png")
    return root

MASKS = dict(skin=("face", "skull", "left lid", "right lid"), hair=("long hair", "curls", "hair cap", "straight fringe", "swept fringe"), r_eye=("left eye",), l_eye=("right eye",), r_brow=("left brow",),
             l_brow=("right brow",), r_ear=("left ear",), l_ear=("right ear",), nose=("nose",), mouth=("mouth",), u_lip=("upper lip",), l_lip=("lower lip",), neck=("neck",), cloth=("cloth",),
             eye_g=("glasses", "sunglasses"), hat=("beanie", "brimmed hat"))  # of the set (left: the person's own) -> parts of our world (left: the picture's)

def write_faces(root, numbers=(7, 2001, 2002, 29922), whole=False):
    "CelebA-HQ: photographs, and a mask for each part, at half their size; or one label map."
    r = pairs(world("face"), range(len(numbers)), seed=1, size=(128, 128))
    for n, picture, parts in zip(numbers, r["picture"], r["parts"][:, ::2, ::2]):
        save(picture, root/"CelebA-HQ-img"/f"{n}.jpg")
        masks = {part: sum(parts == FACE_PARTS.index(p) for p in ours).bool() for part, ours in MASKS.items()}
        masks["skin"] = masks["skin"] | sum(masks[p] for p in ("r_eye", "l_eye", "r_brow", "l_brow", "nose", "mouth", "u_lip", "l_lip")).bool()  # skin lies below the rest of the face
        folder = root/"CelebAMask-HQ-mask-anno"
        others = sum(m for p, m in masks.items() if p != "skin").bool()
        if whole: save(sum(CELEBA_MASKS[p] * (m & ~others if p == "skin" else m) for p, m in masks.items()), folder/"all_parts_except_glasses"/f"{n:05d}.png")
        else: [save(m[..., None].expand(-1, -1, 3) * 255, folder/str(n // 2000)/f"{n:05d}_{p}.png") for p, m in masks.items() if m.any()]
    return root

def write_persons(root, outfits=3, poses=2, size=96):
    "DeepFashion: photographs by garment, person, outfit and view, and OpenPose's tables in folders of the same names."
    for i in range(outfits):
        for j in range(poses):
            r, layout = pairs(FIGURE, [i], size=(size, size)), figure_layout(torch.tensor([i]), stream=j)
            parts = r["exemplar_parts"] if j else r["parts"]
            name, joints = f"WOMEN/Dresses/id_{i:08d}/02_{j + 1}_{('front', 'side')[j]}", figure_joints(parts, layout)[0].numpy()
            save((r["exemplar"] if j else r["picture"])[0], root/"img"/f"{name}.jpg")
            found, at = np.flatnonzero(joints[:, 2]), root/"pose"/f"{name}_candidate.txt"
            at.parent.mkdir(parents=True, exist_ok=True)
            np.savetxt(at, np.c_[joints[found], np.arange(len(found))])
            which = np.full(18, -1); which[found] = np.arange(len(found))
            np.savetxt(at.with_name(at.name.replace("candidate", "subset")), [[*which, len(found), len(found)]])
    return root


def test_each_layout_is_recognised_by_its_names():
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        written = {"ade20k": write_streets(tmp/"1", "ADE_{split}_{i:08d}", "images/{split}", "annotations/{split}", lambda x: x + 1, 2), "celeba-hq": write_faces(tmp/"2", (3,)), "deepfashion": write_persons(tmp/"3", 1),
                   "coco-stuff": write_streets(tmp/"4", "{i:012d}", "{split}_img", "{split}_label", n=2), "camvid": write_streets(tmp/"5", "0006R0_{i:06d}", "{split}/images", "{split}/labels", n=2),
                   "folder": write_streets(tmp/"6", "mine{i}", "{split}/images", "{split}/labels", n=2)}
        for name, root in written.items(): assert isinstance(recognise(root), Layout) and recognise(root).name == name, recognise(root)
        (tmp/"7").mkdir()
        try: recognise(tmp/"7")
        except RabitError as error: assert "holds neither images/ and labels/" in str(error)
        else: assert False


def test_joints_follow_their_picture_through_mirrors_and_moves():
    with tempfile.TemporaryDirectory() as tmp:
        source = open_set(write_persons(Path(tmp), 2), size=(96, 96), self_share=1., seed=3)
        assert source.condition == "joints" and source.classes == 35 and (source.sample(0)["labels"] == 255).all()
        checked = 0
        for i in range(12):
            r = source.sample(i)
            for k in range(18):
                heat, there = r["condition"][k], r["exemplar_condition"][k]
                if heat.max() < .5: continue
                y, x = divmod(heat.argmax().item(), 96)
                if not r["visible"][y, x] or not there.any(): continue
                at = torch.tensor([there.argmax() % 96, there.argmax() // 96])
                assert (at - r["position"][:, y, x]).norm() < 3, (i, k)         # the truth leads from a joint to the same joint
                checked += 1
        assert checked > 60


def test_another_pose_of_one_outfit_is_a_right_answer_and_other_persons_are_none():
    with tempfile.TemporaryDirectory() as tmp:
        source = open_set(write_persons(Path(tmp), 4), size=(32, 32), self_share=0., augment=False)
        paired = torch.stack([source.sample(i)["paired"] for i in range(80)]).float().mean()
        assert .6 < paired < .95 and len(set(source.groups)) == 4 and not source.sample(0)["visible"].any()


def test_a_report_names_what_is_wrong_and_looks_inside_some_files_only():
    with tempfile.TemporaryDirectory() as tmp:
        root = write_streets(Path(tmp), "ADE_{split}_{i:08d}", "images/{split}", "annotations/{split}", lambda x: x + 1, 6)
        report = inspect_set(root, most=4)
        assert report["fits"] and report["set"] == "ade20k" and "looked inside 8 of 12" in str(report) and report["splits"]["val"]["pairs"] == 6
        (root/"annotations"/"val"/"ADE_val_00000002.png").unlink()
        report = inspect_set(root)
        assert not report["fits"] and "ADE_val_00000002.jpg" in str(report) and inspect_set(root, split="train")["fits"]
        try: open_set(root, split="val")
        except RabitError as error: assert "1 pictures without labels" in str(error) and "ADE_val_00000002.jpg" in str(error)
        else: assert False
        assert open_set(root, size=(8, 8)).classes == 150


def test_coloured_maps_are_read_by_the_palette_that_their_folder_holds():
    with tempfile.TemporaryDirectory() as tmp:
        colors = np.array([[250, 100 + i, 10 * i] for i in range(7)])
        plain = write_streets(Path(tmp)/"plain", "s{i}_0", "images/{split}", "labels/{split}")
        root = write_streets(Path(tmp)/"mine", "s{i}_0", "images/{split}", "labels/{split}", lambda ids: colors[ids])
        assert not inspect_set(root)["fits"] and "palette.txt" in str(inspect_set(root))
        (root/"palette.txt").write_text("".join(f"{i} {r} {g} {b}\n" for i, (r, g, b) in enumerate(colors)))
        assert inspect_set(root, 7)["fits"]
        for kind in ("labels", "edges"):
            ours, theirs = (open_set(r, kind, 7, (64, 96), augment=False).batch(range(4)) for r in (root, plain))
            assert all(torch.equal(ours[k], theirs[k]) for k in theirs)


def test_retrieval_by_features_finds_the_twin_in_the_other_group():
    with tempfile.TemporaryDirectory() as tmp:
        for i, picture in enumerate(pairs(world("street"), range(4), size=(32, 32))["picture"]):
            for walk in "ab": save(picture, Path(tmp)/f"{walk}_{i}.png")
        source = open_set(tmp, size=(32, 32), augment=False)
        assert source.condition == "edges" and len(set(source.groups)) == 2
        for network in (lambda x: x[:, :, ::8, ::8], deep_features(VGG19(width=4), "relu3_2")):
            found = dict(retrieve_by(source, network, k=2, batch=3, progress=False))
            assert all(best[0] == {"a": "b", "b": "a"}[t[0]] + t[1:] and all(b[0] != t[0] for b in best) for t, best in found.items())
        try: retrieve_by(source, lambda x: x.mean((2, 3)), k=5, progress=False)
        except RabitError as error: assert "k=5" in str(error) and "only 4" in str(error)
        else: assert False
