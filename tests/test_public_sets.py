"""Public sets in the layouts in which they are published: tiny ones written here, and a few real files where
there are any."""
import json, os, tarfile
from pathlib import Path

import numpy as np, pytest, torch
from PIL import Image

from rabit.tools.use_commands import rabit_translate
from rabit.core.commands import parse_args
from rabit.training.train_commands import rabit_train, train_config
from rabit.inputs.edges import edges_condition, image_edges
from rabit.inputs.joint_files import read_joints
from rabit.inputs.joints import joints_condition, mirror_joints
from rabit.core.tensors import RabitError, RabitWarning, to_pil
from rabit.data.archives import TarDataset
from rabit.data.datasets import FolderDataset
from rabit.data.pair_lists import write_pairs
from rabit.inputs.images import read_image
from rabit.inputs.palettes import read_labels
from rabit.networks.translate import Translator, rabit
from rabit.core.tensors import sample_at
from rabit.inputs.samples import world
from rabit.matching.scenes import pairs
from rabit.data.inspect import inspect_folder
from rabit.data.exports import CAMVID_NAMES
from rabit.data.layouts import CELEBA_MASKS, CELEBA_NAMES, open_dataset, detect_layout
from rabit.data.retrieval import deep_features, retrieve_by_features
from rabit.training.run import train

REAL = Path(os.environ.get("RABIT_REAL", Path(__file__).resolve().parents[2]/"shared"/"real"))


def scenes(n, size=(24, 32), start=0):
    r = pairs(world("street"), range(start, start + n), size=size)
    return r["image"], r["labels"].numpy().astype(np.uint8)


def save(array, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    (to_pil(array) if isinstance(array, torch.Tensor) else Image.fromarray(array)).save(path)
    return path


def write_ade(root, flat=True, n=3):
    for split, short, start in (("training", "train", 0), ("validation", "val", n)):
        for i, (image, labels) in enumerate(zip(*scenes(n, start=start))):
            name, a, b = f"ADE_{short}_{i + 1:08d}", *((root/split,) * 2 if flat
                                                       else (root/"images"/split, root/"annotations"/split))
            save(image, a/f"{name}.jpg"), save((labels + 1) * (labels != 0), b/f"{name}.png")
    return root


def write_camvid(root, annot):
    for split in ("train", "val"):
        for i, (image, labels) in enumerate(zip(*scenes(4))):
            name, (a, b) = f"{('0001TP', '0006R0')[i % 2]}_{i:06d}", (
                (split, f"{split}annot") if annot else (f"{split}/images", f"{split}/labels")
            )
            save(image, root/a/f"{name}.png"), save(np.where(labels == 3, 11, labels).astype(np.uint8),
                                                    root/b/f"{name}.png")
    return root


def write_coco(root, a, b):
    for split in ("train", "val"):
        for i, (image, labels) in enumerate(zip(*scenes(3))):
            save(image, root/a.format(split)/f"{i:012d}.jpg"), save(np.where(labels == 0, 255, labels
                                                                             + 170).astype(np.uint8),
                                                                    root/b.format(split)/f"{i:012d}.png")
            save(labels, root/b.format(split)/f"{i:012d}_instance.png")
    return root


def face_parts(i=0, size=32):
    "Masks of a face as CelebAMask-HQ has them: skin below everything, hair over skin, eyes, a nose."
    y, x = np.mgrid[:size, :size] / size
    round_ = lambda cx, cy, rx, ry: ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1
    return dict(skin=round_(.5, .55, .3, .38), hair=round_(.5, .22, .35, .2), r_eye=round_(.38, .5, .06, .04),
                l_eye=round_(.62, .5, .06 + .01 * i, .04), nose=round_(.5, .62, .05, .1),
                r_brow=round_(.38, .42, .07, .02), l_brow=round_(.62, .42, .07, .02), cloth=y > .94)


def face_map(parts):
    ids = np.zeros(next(iter(parts.values())).shape, np.uint8)
    for name, i in CELEBA_MASKS.items():
        if name in parts: ids[parts[name]] = i
    return ids


def write_faces(root, numbers=(7, 2001, 2002, 29922), maps=True, masks=True):
    for n, image in zip(numbers, pairs(world("face"), range(len(numbers)), size=(64, 64))["image"]):
        save(image, root/"CelebA-HQ-img"/f"{n}.jpg")
        parts, where = face_parts(n % 3), root/"CelebAMask-HQ-mask-anno"
        if maps: save(face_map(parts), where/"all_parts_except_glasses"/f"{n:05d}.png")
        for name, mask in (parts if masks else {}).items():
            save(np.repeat(mask[..., None] * np.uint8(255), 3, 2), where/str(n // 2000)/f"{n:05d}_{name}.png")
    return root


def points(shift=0):
    joints = np.stack([np.linspace(10, 50, 18) + shift, np.linspace(50, 8, 18), np.full(18, .9)], 1)
    joints[[2, 3, 4], 0] -= 3
    return joints


def write_fashion(root, outfits=3, poses=2, size=64):
    for i in range(outfits):
        for j, image in enumerate(pairs(world("figure"), range(poses), seed=i, size=(size, size))["image"]):
            name = f"WOMEN/Dresses/id_{i:08d}/02_{j + 1}_{('front', 'side', 'back')[j]}"
            save(image, root/"img"/f"{name}.jpg")
            at = root/"pose"/f"{name}_candidate.txt"
            at.parent.mkdir(parents=True, exist_ok=True)
            np.savetxt(at, np.c_[points(2 * j)[1:], np.arange(17)]), np.savetxt(
                str(at).replace("candidate", "subset"), np.r_[-1, np.arange(17), 15.0, 17][None]
            )
    return root


# ---- what it is

def test_every_layout_is_recognised_by_its_names(tmp_path):
    written = {"ade20k": [write_ade(tmp_path/"a"), write_ade(tmp_path/"b", flat=False)],
               "camvid": [write_camvid(tmp_path/"c", True), write_camvid(tmp_path/"d", False)],
               "celeba-hq": [write_faces(tmp_path/"e"), write_faces(tmp_path/"f", maps=False),
                             write_faces(tmp_path/"g", masks=False)],
               "deepfashion": [write_fashion(tmp_path/"h")],
               "coco-stuff": [write_coco(tmp_path/str(i), *ab) for i,
                              ab in enumerate((("{}2017", "stuffthingmaps/{}2017"),
                                               ("images/{}2017", "annotations/{}2017"),
                                               ("{}_img", "{}_label")))]}
    expected = {"ade20k": (150, "labels", 3), "camvid": (11, "labels", 4), "celeba-hq": (19, "labels", 4),
                "deepfashion": (None, "joints", 6), "coco-stuff": (182, "labels", 3)}
    for name, roots in written.items():
        for root in roots:
            layout, (classes, kind, n) = detect_layout(root), expected[name]
            assert ((layout.name, layout.classes, layout.kinds[0]) == (name, classes, kind)
                    and all(len(items) == n and not layout.unmatched[s] for s,
                            items in layout.splits.items())), (root, layout)
            dataset = open_dataset(root, size=(16, 24))
            assert (len(dataset) == n and dataset.condition == kind and dataset.batch([0, 1])["image"].shape
                    == (2, 3, 16, 24) and name.split("-")[0] in str(layout).lower() + name)
            report = inspect_folder(root)
            assert (report["fits"] and report["set"] == name
                    and sum(s["pairs"] for s in report["splits"].values())
                    == sum(map(len, layout.splits.values()))), str(report)
    assert open_dataset(written["camvid"][0], split="validation",
                        size=(8, 8)).split == "val" and open_dataset(written["ade20k"][0], split="val",
                                                                     size=(8, 8)).split == "validation"


def test_plain_folders_and_archives_and_images(tmp_path):
    for i, (image, labels) in enumerate(zip(*scenes(4))):
        save(image, tmp_path / "plain" / "images" / f"walk{i % 2}_{i}.png"), save(
            labels, tmp_path / "plain" / "labels" / f"walk{i % 2}_{i}.png"
        ), save(image, tmp_path / "only" / "images" / "deep" / f"{i}.png")
    assert (detect_layout(tmp_path/"plain").name == "folder" and detect_layout(tmp_path/"only").name
            == "images" and detect_layout(tmp_path/"only").kinds == ("edges", "image"))
    with pytest.raises(RabitError, match="ask for classes=7"): open_dataset(tmp_path/"plain", size=(16, 16))
    plain = open_dataset(tmp_path/"plain", classes=7, size=(16, 16))
    assert type(plain) is FolderDataset and plain.condition == "labels"
    with tarfile.open(tmp_path/"0.tar", "w") as tar:
        for i in range(2):
            for end, folder in ((".png", "images"), (".labels.png", "labels")):
                tar.add(tmp_path/"plain"/folder/f"walk{i}_{i}.png", f"{i}{end}")
    assert isinstance(open_dataset(tmp_path, classes=7, size=(16, 16)),
                      TarDataset) and detect_layout(tmp_path).name == "archives"
    with pytest.raises(RabitError, match="classes"): open_dataset(tmp_path, size=(16, 16))
    with pytest.raises(RabitError, match="its conditions are labels, edges, image, not joints"):
        open_dataset(tmp_path, "joints", size=(16, 16))
    labels, edges = (open_dataset(tmp_path, kind, 7, (16, 16), seed=3) for kind in ("labels", "edges"))
    for i in range(4):                                 # archives give every condition that label maps give
        one, two = labels[i], edges[i]
        assert all(one[k].equal(two[k]) for k in one) and two["condition"].shape == (2, 16, 16)


def test_what_is_nothing_says_what_it_holds(tmp_path):
    with pytest.raises(RabitError, match="no such folder"): detect_layout(tmp_path/"none")
    with pytest.raises(RabitError, match="it holds nothing"): detect_layout(tmp_path)
    (tmp_path/"notes.txt").write_text("x")
    with pytest.raises(RabitError, match="it holds notes.txt"): open_dataset(tmp_path)
    report = inspect_folder(tmp_path)
    assert not report["fits"] and "notes.txt" in str(report) and report["set"] is None


# ---- labels

def test_ids_of_ade20k_start_at_0_and_other_is_unknown(tmp_path):
    _, labels = scenes(3)
    for flat in (True, False):
        dataset = open_dataset(write_ade(tmp_path/str(flat), flat), size=(24, 32), augment=False,
                               self_pair_prob=0.)
        r = dataset.batch(range(3))
        assert (r["labels"].equal(torch.from_numpy(np.where(labels == 0, 255, labels)).long())
                and dataset.classes == 150 and "condition" not in r)


def test_void_of_camvid_and_unlabelled_of_coco_are_unknown(tmp_path):
    _, labels = scenes(4)
    r = open_dataset(write_camvid(tmp_path/"c", True), size=(24, 32), augment=False).batch(range(4))
    # in the order of names
    assert r["labels"].equal(torch.from_numpy(np.where(labels == 3, 255, labels)).long()[[0, 2, 1, 3]])
    dataset = open_dataset(write_coco(tmp_path/"o", "{}2017", "stuffthingmaps/{}2017"), size=(24, 32),
                           augment=False)
    assert (dataset.batch(range(3))["labels"].unique().tolist()[-1] == 255 and dataset.classes == 182
            and dataset.stems == [f"{i:012d}" for i in range(3)])
    assert len(set(dataset.groups)) == 3 and len(set(open_dataset(tmp_path/"c", size=(8, 8)).groups)) == 2
    assert len(CAMVID_NAMES) == 11 and len(CELEBA_NAMES) == 19


def test_a_face_is_the_same_from_its_map_and_from_its_masks(tmp_path):
    a, b = open_dataset(write_faces(tmp_path/"a"), size=(32, 32),
                        augment=False), open_dataset(write_faces(tmp_path/"b", maps=False), size=(32, 32),
                                                     augment=False)
    assert a.stems == b.stems == ["2001", "2002", "29922",
                                  "7"] and a.batch(range(4))["labels"].equal(b.batch(range(4))["labels"])
    wanted = torch.from_numpy(np.stack([face_map(face_parts(int(n) % 3)) for n in a.stems])).long()
    assert a.batch(range(4))["labels"].equal(wanted) and a.batch([0])["image"].shape == (1, 3, 32, 32)
    for root in (tmp_path/"a", tmp_path/"b"):
        save(np.kron(np.eye(32), np.ones((1, 1))).astype(np.uint8) * 255,
             root/"CelebAMask-HQ-mask-anno"/"1"/"02001_eye_g.png")
    for root in (tmp_path/"a", tmp_path/"b"):
        glasses = open_dataset(root, size=(32, 32), augment=False).batch([0])["labels"][0]
        assert (glasses == CELEBA_NAMES.index("glasses")).equal(torch.eye(32, dtype=torch.bool))


def test_masks_of_two_sizes_are_refused(tmp_path):
    save(np.zeros((8, 8), np.uint8),
         write_faces(tmp_path, maps=False)/"CelebAMask-HQ-mask-anno"/"0"/"00007_l_ear.png")
    with pytest.raises(RabitError, match="00007_l_ear.png is 8×8"):
        open_dataset(tmp_path, size=(16, 16), augment=False).batch([3])
    assert list(inspect_folder(tmp_path)["splits"][""]["problems"]) == ["sizes differ"]


def test_left_and_right_change_places_in_a_mirror_and_pseudo_exemplars_never_mirror(tmp_path):
    dataset = open_dataset(write_faces(tmp_path), size=(48, 48), seed=3)
    for i in range(24):
        r = dataset.sample(i)
        for labels in ("labels", "exemplar_labels"):
            left, right = ((r[labels] == CELEBA_NAMES.index(f"{side} eye")).nonzero()[:, 1].float().mean()
                           for side in ("left", "right"))
            # a person's right eye is on the left, mirrored or not
            assert right + 5 < left, (i, labels)
        if r["visible"].any():
            there = sample_at(r["exemplar_labels"][None, None].float(), r["position"][None])[0, 0]
            sure = r["visible"] & (there == there.round())
            assert ((there == r["labels"]) | ~sure)[r["visible"]].float().mean() > .9
    plain = FolderDataset(tmp_path, 19, (48, 48), seed=3)
    # without the swap it does happen
    assert any((plain.sample(i)["labels"] == 5).nonzero()[:, 1].float().mean() < 24 for i in range(24))


def test_a_set_of_labels_gives_the_records_of_a_plain_folder(tmp_path):
    for i, (image, labels) in enumerate(zip(*scenes(6))):
        save(image, tmp_path / "images" / f"walk{i % 3}_{i}.png"), save(
            labels, tmp_path / "labels" / f"walk{i % 3}_{i}.png"
        )
    a, b = FolderDataset(tmp_path, 7, (16, 24), seed=5), FolderDataset(tmp_path, 7, (16, 24), seed=5,
                                                                       layout=detect_layout(tmp_path))
    for i in range(20):
        one, two = a.sample(i), b.sample(i)
        assert one.keys() == two.keys() and all(one[k].equal(two[k]) for k in one), i
    edges = open_dataset(tmp_path, "edges", size=(16, 24), seed=5)
    for i in range(6):
        one, two = a.sample(i), edges.sample(i)
        assert all(one[k].equal(two[k])
                   for k in one) and two.keys() - one.keys() == {"condition", "exemplar_condition"}


# ---- edges

def test_edges_of_faces_are_outlines_of_parts_and_the_photograph_elsewhere(tmp_path):
    pytest.importorskip("skimage")
    dataset = open_dataset(write_faces(tmp_path), "edges", size=(64, 64), augment=False, self_pair_prob=0.)
    assert dataset.classes == 2 and dataset.condition == "edges" and dataset.names == CELEBA_NAMES
    r = dataset.batch(range(4))
    face = [i for i, n in enumerate(CELEBA_NAMES)
            if n not in ("background", "neck", "cloth", "hat", "ear ring", "necklace")]
    for condition, image, labels in (
        ("condition", "image", "labels"),
        ("exemplar_condition", "exemplar", "exemplar_labels"),
    ):
        wanted = image_edges(
            r[image], r[labels], tuple(face), tuple(i for i in face if CELEBA_NAMES[i] != "hair")
        )
        assert r[condition].equal(edges_condition(wanted))
    skin = r["labels"] == 1
    assert not (r["condition"][:, 0] > 0)[skin].all() and (r["condition"][:, 0] > 0)[r["labels"] == 0].any()


def test_edges_follow_every_move_of_their_image(tmp_path):
    pytest.importorskip("skimage")
    for i, image in enumerate(scenes(5, (48, 48))[0]): save(image, tmp_path/f"{i}.png")
    dataset = open_dataset(tmp_path, size=(48, 48), seed=1)
    assert dataset.condition == "edges" and dataset.classes == 2 and dataset.names == ()
    plain = FolderDataset(tmp_path, 255, (48, 48), seed=1, color_jitter_prob=0., condition="edges",
                          layout=detect_layout(tmp_path))
    for i in range(12):
        r, p = dataset.sample(i), plain.sample(i)
        # colors are changed afterwards
        assert (r["labels"] == 255).all() and (r["exemplar_labels"]
                                               == 255).all() and r["condition"].equal(p["condition"])
        for c, x in (("condition", "image"), ("exemplar_condition", "exemplar")):
            assert p[c].equal(edges_condition(image_edges(p[x][None], torch.full((1, 48, 48), 255)))[0]), (
                i,
                c,
            )


def test_an_image_is_its_own_condition_before_its_colors_are_changed(tmp_path):
    for i, image in enumerate(scenes(5, (24, 24))[0]): save(image, tmp_path/f"{i}.png")
    dataset, changed = open_dataset(tmp_path, "image", size=(24, 24)), 0
    for i in range(10):
        r = dataset.sample(i)
        assert r["condition"].shape == r["exemplar_condition"].shape == (3, 24, 24) and dataset.classes == 3
        changed += not r["condition"].equal(r["image"])
    assert 0 < changed < 10


# ---- joints

def test_joints_are_where_the_files_say_at_any_size(tmp_path):
    dataset = open_dataset(write_fashion(tmp_path), size=(32, 48), augment=False, self_pair_prob=0.)
    r = dataset.batch([0, 1])
    assert dataset.classes == 35 and r["condition"].shape == (2, 35, 32, 48) and (r["labels"] == 255).all()
    for i, stem in enumerate(dataset.stems[:2]):
        joints = read_joints(tmp_path/(stem.replace("img/", "pose/") + "_candidate.txt"))
        joints = torch.stack([(joints[:, 0] + .5) * 48 / 64 - .5, (joints[:, 1] + .5) * 32 / 64 - .5,
                              joints[:, 2]], 1)
        torch.testing.assert_close(r["condition"][i], joints_condition(joints[None], (32, 48))[0])
        # the nose is missing
        assert not r["condition"][i, 0].any() and r["condition"][i, 1:18].amax((1, 2)).min() > .5


def test_joints_follow_mirrors_and_moves(tmp_path):
    dataset, seen = open_dataset(write_fashion(tmp_path), size=(64, 64), seed=2, self_pair_prob=.5), [0, 0]
    names = {stem: dataset.read_points(stem) for stem in dataset.stems}
    for i in range(30):
        r = dataset.sample(i)
        own = [joints_condition(j[None], (64, 64))[0] for p in names.values()
               for j in (p, mirror_joints(p, 64))]
        which = [(c - r["condition"]).abs().max() < 1e-5 for c in own]
        assert any(which)
        seen[0] += any(which[1::2]) and not any(which[::2])
        if not r["visible"].any(): continue
        joints = [j for p in names.values() for j in (p, mirror_joints(p, 64))][which.index(True)]
        for k in range(1, 18):
            x, y = joints[k, :2].round().long().tolist()
            at, heat = r["position"][:, y, x], r["exemplar_condition"][k]
            if not r["visible"][y, x]: continue
            peak = heat.argmax()
            off = torch.hypot(peak % 64 - at[0], peak // 64 - at[1])
            assert off < 2.5, (i, k)
            seen[1] += 1
    assert seen[0] > 3 and seen[1] > 50


def test_another_pose_of_the_same_outfit_is_the_right_answer(tmp_path):
    dataset = open_dataset(write_fashion(tmp_path, 4, 3), size=(16, 16), self_pair_prob=0., augment=False)
    assert len(set(dataset.groups)) == 4
    share = torch.stack([dataset.sample(i)["paired"] for i in range(60)]).float().mean()
    assert .6 < share < .95
    assert not open_dataset(tmp_path, "edges", size=(16, 16), self_pair_prob=0.).sample(0)["visible"].any()


def test_key_points_of_an_image_of_another_size_are_refused(tmp_path):
    write_fashion(tmp_path, size=32)
    with pytest.raises(RabitError, match="but .* is 32×32; both must have one size"):
        open_dataset(tmp_path, size=(16, 16), augment=False).batch([0])
    report = inspect_folder(tmp_path)
    assert not report["fits"] and len(report["splits"][""]["problems"]["sizes differ"]) == 6


def test_key_points_of_smaller_images_are_told(tmp_path):
    "All persons in the upper left quarter: the doctor says so; one alone may stand there"
    write_fashion(tmp_path)
    for f in sorted(tmp_path.rglob("*_candidate.txt")): np.savetxt(f, np.loadtxt(f) * [.4, .4, 1, 1])
    problems = inspect_folder(tmp_path)["splits"][""]["problems"]
    assert len(problems["all key points in the upper left quarter, as if found in smaller images"]) == 6
    with pytest.warns(RabitWarning, match="as if found in a smaller image"):
        open_dataset(tmp_path, size=(16, 16), augment=False).batch([0])
    np.savetxt(f, np.loadtxt(f) * [2.5, 2.5, 1, 1])
    assert inspect_folder(tmp_path)["fits"]


def test_openposes_own_names_beside_any_photographs(tmp_path):
    for i, image in enumerate(scenes(3, (64, 64))[0]):
        save(image, tmp_path/"images"/f"{i}.png")
        (tmp_path/"poses").mkdir(exist_ok=True)
        (tmp_path / "poses" / f"{i}_keypoints.json").write_text(
            json.dumps(dict(people=[dict(pose_keypoints_2d=points().ravel().tolist())]))
        )
    dataset = open_dataset(tmp_path, size=(64, 64), augment=False)
    assert (detect_layout(tmp_path).name == "key points"
            and dataset.batch([0])["condition"][0, :18].amax((1, 2)).min() > .5)


# ---- lists

def test_published_lists_in_all_their_spellings(tmp_path):
    fashion = write_fashion(tmp_path/"f")
    faces = write_faces(tmp_path/"c")
    ade = write_ade(tmp_path/"a")
    (tmp_path / "f.txt").write_bytes(
        b"\xef\xbb\xbfimg\\WOMEN\\Dresses\\id_00000000\\02_1_front.jpg,img\\WOMEN\\Dresses\\id_00000001\\02_2_side.jpg,more,3\r\n"
    )
    dataset = open_dataset(fashion, size=(16, 16), exemplars=tmp_path/"f.txt")
    assert (
        dataset.lists == {
            "img/WOMEN/Dresses/id_00000000/02_1_front": ["img/WOMEN/Dresses/id_00000001/02_2_side"]
        }
        and len(dataset) == 1
        and "1 images of 6" in repr(dataset)
    )
    (tmp_path/"c.txt").write_text("29922.jpg,00007.png,x\n02001.jpg,2002.jpg\n")
    dataset = open_dataset(faces, size=(16, 16), exemplars=tmp_path/"c.txt", self_pair_prob=0., augment=False)
    assert dataset.lists == {"29922": ["7"], "2001": ["2002"]}
    by_name = open_dataset(faces, size=(16, 16), augment=False)
    assert dataset.batch([0])["exemplar"][0].equal(by_name.batch([3])["image"][0])
    (tmp_path/"a.txt").write_text("ADE_val_00000002.jpg,ADE_train_00000001.jpg\n")
    dataset = open_dataset(ade, size=(24, 32), split="val", exemplars=tmp_path/"a.txt", self_pair_prob=0.,
                           augment=False)
    assert dataset.stems == ["ADE_val_00000002"] and dataset.batch([0])["exemplar"].equal(
        open_dataset(ade, size=(24, 32), augment=False).batch([0])["image"]
    )
    write_pairs([("29922", ["7"])], tmp_path/"c.json")
    assert open_dataset(faces, size=(16, 16), exemplars=tmp_path/"c.json").stems == ["29922"]


def test_lists_that_name_what_is_not_there_say_how_many(tmp_path):
    write_faces(tmp_path)
    (tmp_path/"l.txt").write_text("29922.jpg,1.jpg\n3.jpg,4.jpg\n")
    with pytest.raises(RabitError, match="names 3 images that are not in .* the first is 1"):
        open_dataset(tmp_path, exemplars=tmp_path/"l.txt")
    (tmp_path/"train.txt").write_text("7\n2001\n"), (tmp_path/"val.txt").write_text("29922\n")
    assert [len(open_dataset(tmp_path, size=(8, 8), split=s)) for s in (None, "train", "val")] == [2, 2, 1]
    (tmp_path/"l.txt").write_text("7.jpg,29922.jpg\n")
    # an exemplar of another split
    assert open_dataset(tmp_path, size=(8, 8), exemplars=tmp_path/"l.txt").lists == {"7": ["29922"]}
    with pytest.raises(RabitError, match="names no image of .* val as a target"):
        open_dataset(tmp_path, split="val", exemplars=tmp_path/"l.txt")
    (tmp_path/"val.txt").write_text("29922\n5\n6.jpg\n")
    with pytest.raises(RabitError, match="val: 2 listed in val.txt, but not there; the first is 5"):
        open_dataset(tmp_path, split="val")
    assert "listed in val.txt, but not there: 2 — 5" in str(inspect_folder(tmp_path))
    with pytest.raises(RabitError, match="no split 'test'; found: train, val"):
        open_dataset(tmp_path, split="test")


# ---- what does not fit

def test_lone_files_are_counted_and_the_first_is_named(tmp_path):
    write_ade(tmp_path)
    for name in ("ADE_train_00000001.png", "ADE_train_00000002.png"): (tmp_path/"training"/name).unlink()
    with pytest.raises(RabitError, match="2 images without labels; the first is .*ADE_train_00000001.jpg"):
        open_dataset(tmp_path)
    report = inspect_folder(tmp_path)
    assert (not report["fits"] and "images without labels: 2 — " in str(report)
            and report["splits"]["training"]["pairs"] == 1)
    assert len(open_dataset(tmp_path, split="val", size=(8, 8))) == 3


def test_sizes_ids_and_broken_files_are_found_and_named(tmp_path):
    write_ade(tmp_path, n=4)
    save(np.zeros((5, 5), np.uint8),
         tmp_path/"training"/"ADE_train_00000001.png"), save(np.full((24, 32), 200, np.uint8),
                                                             tmp_path/"training"/"ADE_train_00000002.png")
    (tmp_path/"training"/"ADE_train_00000003.jpg").write_bytes(b"\xff\xd8\xff no image")
    dataset = open_dataset(tmp_path, size=(8, 8), augment=False, self_pair_prob=0.)
    for i, words in (
        (0, "00000001.jpg is 32×24 but .*00000001.png is 5×5"),
        (1, "00000002.png holds label id 199, but classes=150"),
        (2, "00000003.jpg cannot be read"),
    ):
        with pytest.raises(RabitError, match=words):
            dataset.read_pair(dataset.stems[i])
    assert list(inspect_folder(tmp_path)["splits"]["training"]["problems"]) == [
        "sizes differ",
        "label ids out of range",
        "unreadable",
    ]
    assert not inspect_folder(tmp_path, split="val",
                           classes=3)["fits"] and inspect_folder(tmp_path, split="val")["fits"]


def test_wrong_wishes_are_refused(tmp_path):
    write_faces(tmp_path)
    for wish, words in (
        (dict(kind="joints"), "its conditions are labels, edges, image, not joints"),
        (dict(size=(0, 4)), "size"),
        (dict(self_pair_prob=2), "self_pair_prob"),
        (dict(seed=-1), "seed"),
        (dict(classes=300), "classes=300"),
        (dict(split="night"), "no split 'night'"),
        (dict(exemplars=tmp_path / "none.txt"), "no such list"),
    ):
        with pytest.raises(RabitError, match=words):
            open_dataset(tmp_path, **wish)


@pytest.mark.parametrize("write", [write_ade, write_faces, lambda root: write_faces(root, maps=False),
                                   write_fashion, lambda root: write_camvid(root, True)])
def test_noise_in_any_file_is_one_kind_of_error(tmp_path, write):
    root, rng = write(tmp_path), np.random.default_rng(0)
    files = sorted(p for p in root.rglob("*") if p.is_file())
    for path in rng.choice(files, 8, replace=False):
        kept = path.read_bytes()
        for noise in (
            b"",
            rng.bytes(200),
            kept[: len(kept) // 2],
            kept[:20] + rng.bytes(max(len(kept) - 20, 0)),
        ):
            path.write_bytes(noise)
            try:
                dataset = open_dataset(root, size=(8, 8), augment=False, self_pair_prob=0.0)
                dataset.batch(range(len(dataset)))
            except RabitError as error:
                assert len(str(error)) < 2000
            assert isinstance(str(inspect_folder(root)), str)
        path.write_bytes(kept)
    assert inspect_folder(root)["fits"]


def test_only_some_files_of_a_large_folder_are_opened(tmp_path, monkeypatch):
    import rabit.data.inspect, rabit.data.pairs
    write_ade(tmp_path, n=30)
    opened, inside = [], rabit.data.pairs.open_image
    for module in (rabit.data.pairs, rabit.data.inspect):
        monkeypatch.setattr(module, "open_image", lambda path, *a: opened.append(path) or inside(path, *a))
    report = inspect_folder(tmp_path, most=5)
    assert (report["fits"] and len(opened) == 20 and "looked inside 10 of 60" in str(report)
            and report["splits"]["training"]["pairs"] == 30)
    # spread over the set
    assert [f.stem[-2:] for f in opened[:10:2]] == ["01", "07", "13", "19", "25"]
    detect_layout(tmp_path)
    assert len(opened) == 20


# ---- retrieval

def test_retrieval_by_features_takes_the_nearest_of_other_groups(tmp_path):
    for i, image in enumerate(scenes(4, (32, 32))[0]):
        # every image has a twin in the other walk
        for j in range(2): save(image, tmp_path/f"walk{j}_{i}.png")
    dataset = open_dataset(tmp_path, size=(32, 32), augment=False)
    found = retrieve_by_features(dataset, lambda x: torch.nn.functional.avg_pool2d(x, 8), k=2, batch_size=3,
                                 progress=False)
    assert [t for t, _ in found] == dataset.stems
    for target, best in found:
        assert (best[0] == f"walk{1 - int(target[4])}{target[5:]}" and len(best) == 2
                and all(b[:5] != target[:5] for b in best))
    with pytest.raises(RabitError, match="k=5, but some images have only 4"):
        retrieve_by_features(dataset, lambda x: x.mean((2, 3)), k=5, progress=False)
    from rabit.networks.features import VGG19
    deep = retrieve_by_features(dataset, deep_features(VGG19(width=4), "relu3_2"), k=1, progress=False)
    assert all(best == [f"walk{1 - int(t[4])}{t[5:]}"] for t, best in deep)
    for p in tmp_path.glob("walk1_*"): p.unlink()
    alone = open_dataset(tmp_path, size=(32, 32), augment=False)
    assert all(t not in best for t, best in retrieve_by_features(alone, lambda x: x.mean((2, 3)), k=3,
                                                                 progress=False))


# ---- real files, where there are any

real = pytest.mark.skipif(not (REAL/"samples").is_dir(), reason="no real images at hand")


@real
@pytest.mark.parametrize("folder, name, n", [("ade20k", "ade20k", 3), ("celebahq", "celeba-hq", 8),
                                             ("celebahqedge", "celeba-hq", 2), ("DeepFashion", "deepfashion",
                                                                                4)])
def test_samples_of_public_sets_fit_with_every_condition(folder, name, n):
    layout, report = detect_layout(REAL/"samples"/folder), inspect_folder(REAL/"samples"/folder)
    assert layout.name == name and report["fits"], str(report)
    for kind in layout.kinds:
        if kind == "edges": pytest.importorskip("skimage")
        dataset = open_dataset(REAL/"samples"/folder, kind, size=(64, 64))
        r = dataset.batch(range(4))
        assert len(dataset) == n and all(v.isfinite().all() for k, v in r.items() if v.is_floating_point())
        if kind != "labels":
            assert r["condition"].shape == r["exemplar_condition"].shape == (4, dataset.classes, 64, 64)


@real
@pytest.mark.parametrize("folder, split, listed",
                         [("ade20k", "val", 3), ("celebahq", None, 4), ("DeepFashion", None, 2)])
def test_published_lists_fit_their_samples(folder, split, listed):
    dataset = open_dataset(REAL/"samples"/folder, size=(32, 32), split=split,
                           exemplars=REAL/"samples"/f"{folder.lower()}_ref_test.txt", self_pair_prob=0.,
                           augment=False)
    assert (len(dataset) == listed and all(len(es) == 1 for es in dataset.lists.values())
            and not dataset.batch(range(listed))["visible"].any())


@real
def test_masks_of_eyes_are_where_the_label_maps_of_real_faces_have_them():
    dataset = open_dataset(REAL/"samples"/"celebahq", size=(512, 512), augment=False)
    for i, (stem, (_, path)) in enumerate(dataset.pairs.items()):
        labels = dataset.read_pair(stem)[1]
        for end, name in (("l_eye", "left eye"), ("r_eye", "right eye")):
            mask = (
                np.asarray(
                    Image.open(next(path.parent.parent.glob(f"[0-9]*/{path.stem}_{end}.png"))).convert("L")
                )
                > 127
            )
            assert (labels == CELEBA_NAMES.index(name)).numpy()[mask].all() and mask.sum() > 100


@real
def test_edges_of_real_faces_are_those_of_the_papers_data_up_to_the_width_of_outlines():
    feature, morphology = pytest.importorskip("skimage.feature"), pytest.importorskip("scipy.ndimage")
    root, parts = REAL/"samples"/"celebahqedge", ("skin", "l_brow", "r_brow", "l_eye", "r_eye", "l_ear",
                                                  "r_ear", "nose", "u_lip", "mouth", "l_lip", "eye_g", "hair")
    dataset = open_dataset(root, "edges", size=(256, 256), augment=False, self_pair_prob=0.)
    for i, stem in enumerate(dataset.stems):
        image = Image.open(root/"CelebA-HQ-img"/f"{stem}.jpg").resize((256, 256), Image.BICUBIC)
        outlines, rest = np.zeros((256, 256), bool), np.ones((256, 256), bool)
        for part in parts:
            path = root/"CelebAMask-HQ-mask-anno"/str(int(stem) // 2000)/f"{int(stem):05d}_{part}.png"
            if not path.exists(): continue
            mask = np.asarray(Image.open(path).convert("L").resize((256, 256), Image.NEAREST)) > 127
            # two pixels wide, as there
            outlines |= morphology.binary_dilation(mask) & morphology.binary_dilation(~mask)
            rest[mask] = part == "hair"
        own, found = (
            feature.canny(np.array(image.convert("L"))),
            dataset.batch([i])["condition"][0, 0].numpy() > 0,
        )
        # nothing that they do not have
        assert (found & ~(outlines | own & rest)).mean() < .002
        near = morphology.binary_dilation(found, np.ones((3, 3)))
        # and little that we do not: outlines below hair
        assert ((outlines | own & rest) & ~near).mean() < .01


@real
def test_a_real_street_is_recognised_and_its_sequences_kept_apart():
    dataset = open_dataset(REAL/"camvid", size=(48, 64))
    assert (dataset.layout.name == "camvid" and len(dataset) == 367 and set(dataset.groups)
            == {"0001TP", "0006R0", "0016E5"} and inspect_folder(REAL/"camvid", most=10)["fits"])
    assert inspect_folder(REAL/"camvid", split="val")["splits"]["val"]["ids"][-1] == 255


def write_set(root, names, ids=lambda x: x, count=3, size=(24, 32)):
    "Street scenes under the names that a set has"
    drawn = pairs(world("street"), range(count), size=size)
    for part in ("images", "annotations"): (root / part).mkdir(parents=True)
    for i in range(count):
        to_pil(drawn["image"][i]).save(root / "images" / f"{names.format(i)}.jpg")
        Image.fromarray(ids(drawn["labels"][i]).byte().numpy()).save(root / "annotations"
                                                                     / f"{names.format(i)}.png")
    return drawn["labels"]


@pytest.mark.parametrize("names, stored, label_mapping",
                         [("ADE_train_{:08d}", lambda x: torch.where(x == 6, 0, x + 1), "ade20k"),
                          ("0001TP_{:06d}", lambda x: torch.where(x == 6, 11, x), "camvid"),
                          ("walk_{:02d}", None, None)])
def test_a_model_reads_the_files_of_its_set_as_its_training_did(tmp_path, names, stored, label_mapping):
    labels = write_set(tmp_path / "set", names, stored or (lambda x: x))
    wanted = torch.where(labels == 6, 255, labels) if stored else labels
    options = ["--data", str(tmp_path / "set"), "--preset", "tiny", "--steps", "1", "--size", "16x16",
               "--model-arg", "width=4", "--model-arg", "features=8", *(() if stored else ("--classes", "7"))]
    config = train_config(parse_args(rabit_train, options))
    train(config, tmp_path / "run", device="cpu", progress=False)
    model = Translator.from_pretrained(tmp_path / "run")
    assert model.config["label_mapping"] == label_mapping and (model.config["names"] == list(CAMVID_NAMES)
                                                               if label_mapping == "camvid"
                                                               else model.config["names"] is None)
    for i in range(3):
        file, image = (
            tmp_path / "set/annotations" / f"{names.format(i)}.png",
            tmp_path / "set/images" / f"{names.format(i)}.jpg",
        )
        assert torch.equal(model.labels_from(file)[0], wanted[i])
        assert model.translate(file, image).tobytes() == model.translate(wanted[i], image).tobytes()
        rabit_translate([str(file), str(image), "--checkpoint", str(tmp_path / "run"), "--device", "cpu",
                         "-o", str(tmp_path / "out.png")])
    Image.new("L", (8, 8), 151).save(tmp_path / "odd.png")
    with pytest.raises(RabitError, match="151|150"): model.labels_from(tmp_path / "odd.png")


def test_a_number_of_classes_outweighs_names(tmp_path):
    write_set(tmp_path / "mine", "{:012d}"); write_set(tmp_path / "cam", "0001TP_{:06d}")
    # twelve digits alone are no COCO
    assert detect_layout(tmp_path / "mine").name == detect_layout(tmp_path / "mine", 7).name == "folder"
    assert (detect_layout(tmp_path / "cam").name == "camvid" and detect_layout(tmp_path / "cam", 12).name
            == "folder")
    dataset = open_dataset(tmp_path / "cam", None, 12, (24, 32))
    assert (dataset.classes == 12 and type(dataset).__name__ == "FolderDataset"
            and inspect_folder(tmp_path / "cam", 12)["set"] == "folder")


def test_the_doctor_compares_the_sizes_of_files_that_it_does_not_look_inside(tmp_path):
    write_set(tmp_path / "mine", "w{:03d}_0", count=60, size=(16, 16))
    Image.new("L", (8, 16)).save(tmp_path / "mine/annotations/w031_0.png")
    (tmp_path / "mine/annotations/w032_0.png").write_text("no image")
    report = inspect_folder(tmp_path / "mine", most=5)
    problems = report["splits"][""]["problems"]
    assert ("w031_0" in problems["sizes differ"][0] and "w032_0" in problems["unreadable"][0]
            and not report["fits"])


def test_arrays_are_images_and_label_maps(tmp_path):
    labels, model = write_set(tmp_path / "mine", "w{:02d}_0"), rabit(7, (16, 16), width=4, features=8)
    image = np.asarray(Image.open(tmp_path / "mine/images/w00_0.jpg"))
    assert (torch.equal(read_labels(labels[0].numpy()), labels[:1])
            and torch.equal(read_image(image), read_image(tmp_path / "mine/images/w00_0.jpg")))
    assert (model.translate(labels[0].numpy(), image).tobytes()
            == model.translate(labels[0], tmp_path / "mine/images/w00_0.jpg").tobytes())
    assert model.edit(image, labels[0].numpy(), labels[1].numpy()).size == (32, 24)
    for odd in (image / 255, image[None], np.zeros((0, 3)), labels[0].numpy() - 1):
        with pytest.raises(RabitError, match="array of shape") as e: read_image(odd)
        assert len(str(e.value)) < 200
