"""Every layout of a data folder is read as it was meant, or refused: there is no third outcome."""
from time import process_time

import numpy as np
import pytest
from PIL import Image

from rabit.core.tensors import RabitError
from rabit.data.inspect import folder_contents
from rabit.data.layouts import detect_layout, open_folder
from rabit.data.pairs import IMAGE_ENDINGS, IMAGE_FOLDERS, LABEL_ENDINGS, LABEL_FOLDERS

CASES = 240
JOINED = (("", "_labels"), ("", "annot"), ("_images", "_masks"), ("_img", "_label"))  # behind a split's name

class Folder:
    "A folder under construction, with what it means: split → name → id"
    def __init__(self, root, rng):
        self.root, self.rng, self.meant, self.files, self.known = root, rng, {}, [], True

    def pick(self, *choices): return choices[self.rng.integers(len(choices))]

    def name(self, known, unknown, odds=.12):
        "One of the known names, in any case of letters, or rarely an unknown one"
        if self.rng.random() < odds:
            self.known = False
            return self.pick(*unknown)
        name = self.pick(*known)
        return self.pick(name, name.capitalize(), name.upper())

    def write(self, name, value, color=False):
        path = self.root/name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB" if color else "L", (4, 4), (value,) * 3 if color else value).save(path)
        self.files.append(path)

    def pair(self, split, stem, image, labels, ends, suffix):
        "A photograph and its label map: both tell by their value which name they have"
        i = len(self.files) // 2
        self.write(f"{image}/{stem}{ends[0]}{suffix}", 10 * (i % 20), color=True)
        self.write(f"{labels}/{stem}{ends[1]}.png", i % 7)
        self.meant.setdefault(split, {})[i] = i % 7

def build(root, seed):
    "A random folder"
    f = Folder(root, np.random.default_rng(seed))
    images = f.name(IMAGE_FOLDERS, ("photos2", "originals", "a"))
    labels = f.name(LABEL_FOLDERS, ("segs", "truth2", "b"))
    mapped = [e for e in LABEL_ENDINGS if "TrainIds" not in e]
    ends = f.pick(*IMAGE_ENDINGS, "", "", ""), f.pick(*mapped, "", "", "", "")
    if f.rng.random() < .1: ends, f.known = (ends[0], f.pick("_foo", "-map", ".ids")), False
    suffix = f.pick(".jpg", ".png", ".jpeg", ".JPG", ".webp")
    splits = f.pick([""], [""], ["train", "val"], ["Train", "valid"], ["training", "validation", "test"],
                    ["north", "south"])
    way = f.pick("inside", "inside", "outside", "beside", "flat", "flat", "lists")
    if way == "lists": splits = ["train", "val"]
    if way in ("inside", "beside") and splits == ["north", "south"]: splits = ["train", "test"]
    if way == "beside" and splits == [""]: splits = ["train"]
    joined = f.pick(*JOINED)
    for split in splits:
        at = f"{split}/" if split else ""
        a, b = {"inside": (f"{images}/{at}", f"{labels}/{at}"), "outside": (f"{at}{images}", f"{at}{labels}"),
                "beside": (split + joined[0], split + joined[1]), "flat": (at or ".", at or "."),
                "lists": (images, labels)}[way]
        if way in ("flat", "beside") and not ends[1] and ends[0]: ends = "", ends[1]
        if way == "flat" and not ends[1]: suffix = ".jpg"
        deep = f.pick("", "", "day/") if way != "flat" else ""
        for i in range(f.rng.integers(2, 5)):
            f.pair(split, f"{deep}{split.lower()}{f.pick('x', 'walk_')}{seed % 7}{i}", a, b, ends, suffix)
    if way == "beside": f.known = not f.known and ends[1] not in ("_foo", "-map", ".ids") or f.known
    if way == "flat": f.known = ends[1] not in ("_foo", "-map", ".ids")
    if way == "lists":
        home = root/f.pick(".", "ImageSets/Segmentation")
        home.mkdir(parents=True, exist_ok=True)
        for split, names in f.meant.items():
            stems = [f.files[2 * i].relative_to(root/images).as_posix().rpartition(".")[0] for i in names]
            stems = [s.removesuffix(ends[0]) for s in stems]
            (home/f"{split}.txt").write_text("".join(f"{s}\n" for s in stems))
    add_others(f, images, way)
    return f, damage(f) or not f.known

def add_others(f, images, way):
    "Files that mean nothing, as they lie in every folder"
    root = f.root
    for name in (".DS_Store", "notes.txt", "README.md", "export.json"):
        if f.rng.random() < .2: (root/name).write_text("{}")
    if f.rng.random() < .3: f.write("SegmentationObject/x00.png", 3)
    if f.rng.random() < .2: f.write(".thumbs/x00.png", 3)
    if f.rng.random() < .2: f.write("__MACOSX/._x00.jpg", 3)
    if f.rng.random() < .2 and way == "inside": f.write("previews/some.jpg", 3)

def damage(f):
    "Break something in one of four folders; is it broken?"
    kind = f.pick("nothing", "nothing", "nothing", "gone", "odd", "twice")
    image, labels = f.files[0], f.files[1]
    if kind == "gone": f.pick(image, labels).unlink()
    if kind == "odd": f.write(labels.with_name("left_over.png").relative_to(f.root), 1)
    if kind == "twice": f.write(labels.with_name(f"{image.stem}_mask_mask.png").relative_to(f.root), 1)
    return kind != "nothing"

def read(f):
    "What the library takes from a folder: split → number of a photograph → its id"
    found = {}
    for split in detect_layout(f.root, 7).splits:
        dataset = open_folder(f.root, None, 7, (4, 4), split, augment=False)
        for image, labels in (dataset.decode(*item) for item in dataset.pairs.values()):
            found.setdefault(split, {})[round(int(image.mean()) / 10)] = sorted(np.unique(labels).tolist())
    return found

@pytest.mark.parametrize("part", range(4))
def test_folders_are_read_as_meant_or_refused(tmp_path, part):
    told = dict(read=0, refused=0)
    for seed in range(part, CASES, 4):
        f, broken = build(tmp_path/str(seed), seed)
        meant = {s: {i % 20: [value] for i, value in names.items()} for s, names in f.meant.items()}
        try: found = read(f)
        except RabitError as e:
            assert broken, f"seed {seed} was refused: {e}; it holds {f.files}"
            told["refused"] += 1
        else:
            assert found == meant, (seed, found, meant, f.files)
            told["read"] += 1
        try: alone = detect_layout(f.root).needs != "labels"
        except RabitError: continue
        assert not alone, f"seed {seed}: label maps are taken for photographs"
    assert min(told.values()) > CASES / 4 / 5, told

@pytest.mark.parametrize("image, labels", [("a{}", "mask_a{}"), ("a{}", "label_a{}"), ("a{}", "seg_a{}"),
                                           ("{}", "gt_{}"), ("img_{}", "mask_{}"), ("image{}", "mask{}")])
@pytest.mark.parametrize("where", ["", "images/", "train/"])
def test_masks_named_by_a_prefix_are_no_photographs(tmp_path, image, labels, where):
    (tmp_path/where).mkdir(exist_ok=True)
    for i in range(12):
        for name in (image, labels): Image.new("L", (4, 4)).save(tmp_path/f"{where}{name.format(i)}.png")
    with pytest.raises(RabitError, match="are these label maps.*a_mask.png beside a.jpg"):
        detect_layout(tmp_path)

def seconds(f):
    "Of the processor"
    start = process_time()
    f()
    return process_time() - start

@pytest.mark.parametrize("image, labels", [("{}.jpg", "{}.png"), ("train/{}.png", "train/{}_mask.png"),
                                           ("images/{}_img.jpg", "masks/{}.png"), ("{}.jpg", "{}.json")])
def test_time_grows_with_the_number_of_files_and_not_faster(tmp_path, image, labels):
    taken = []
    for n in (200, 1600):
        root = tmp_path/str(n)
        for pattern in (image, labels):
            (root/pattern).parent.mkdir(parents=True, exist_ok=True)
            for i in range(n): (root/pattern.format(f"a{i}")).touch()
        layout = detect_layout(root)
        assert sum(map(len, layout.splits.values())) == n
        taken.append(seconds(lambda: folder_contents(root, detect_layout(root))))
    assert taken[1] < 30 * taken[0], taken     # 8 times as many files; pairs of files would be 64
