"""Exports of annotation tools and public sets are read with the right pairs, ids and names of classes."""
import json

import numpy as np
import pytest
import torch
from PIL import Image

from rabit.core.tensors import RabitError
from rabit.data.exports import CITYSCAPES_NAMES, VOC_NAMES
from rabit.data.inspect import inspect_folder
from rabit.data.layouts import detect_layout, open_folder
from rabit.inputs.palettes import voc_color

PHOTO, GREY = np.full((8, 8, 3), 90), np.repeat(np.arange(4), 2)[None].repeat(8, 0)  # ids 0 to 3 in columns

def indexed(colors):
    "A palette PNG of GREY with these colors"
    image = Image.fromarray(GREY.astype(np.uint8), "P")
    image.putpalette([c for color in colors for c in color])
    return image

def write(root, files):
    "Images (arrays or PIL) and texts under these names"
    for name, content in files.items():
        file = root/name
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            file.write_text(content)
        else:
            (Image.fromarray(content.astype(np.uint8)) if isinstance(content, np.ndarray) else content).save(
                file
            )
    return root

COLORS = np.array([[0, 0, 0], [250, 50, 83], [52, 209, 183], [17, 1, 90]])
NAMES = ["background", "car", "big tree", "sky"]
CSV = "Pixel Value, Class\n" + "".join(f"{i}, {name}\n" for i, name in enumerate(NAMES))
LABELMAP = "# label:color_rgb:parts:actions\n" + "".join(
    f"{name}:{r},{g},{b}::\n" for name, (r, g, b) in zip(NAMES, COLORS.tolist()))
VOC = indexed([voc_color(i) for i in range(256)])
CITY = np.choose(GREY, [7, 26, 0, 33])   # road, car, unlabeled, bicycle

TOOLS = {  # name: files of one image, its split, the names of the classes, the ids of the four columns
    "CVAT": (
        {
            "JPEGImages/a.jpg": PHOTO,
            "SegmentationClass/a.png": COLORS[GREY],
            "labelmap.txt": LABELMAP,
            "SegmentationObject/a.png": COLORS[GREY],
            "ImageSets/Segmentation/default.txt": "a\n",
        },
        "default",
        NAMES,
        [0, 1, 2, 3],
    ),
    "VOC": (
        {
            "JPEGImages/2007_000032.jpg": PHOTO,
            "SegmentationClass/2007_000032.png": VOC,
            "JPEGImages/2007_000033.jpg": PHOTO,
            "ImageSets/Segmentation/train.txt": "2007_000032\n",
        },
        "train",
        list(VOC_NAMES),
        [0, 1, 2, 3],
    ),
    "labelme": (
        {
            "JPEGImages/a.jpg": PHOTO,
            "SegmentationClass/a.png": VOC,
            "SegmentationClassVisualization/a.jpg": PHOTO,
            "class_names.txt": "\n".join(NAMES),
        },
        "",
        NAMES,
        [0, 1, 2, 3],
    ),
    "labelme, old": (
        {
            "JPEGImages/a.jpg": PHOTO,
            "SegmentationClassPNG/a.png": VOC,
            "SegmentationClass/a.npy": "x",
            "class_names.txt": "\n".join(NAMES),
        },
        "",
        NAMES,
        [0, 1, 2, 3],
    ),
    "Roboflow": (
        {
            "train/a_jpg.rf.0f1e.jpg": PHOTO,
            "train/a_jpg.rf.0f1e_mask.png": GREY,
            "train/_classes.csv": CSV,
            "valid/b_jpg.rf.0f1e.jpg": PHOTO,
            "valid/b_jpg.rf.0f1e_mask.png": GREY,
            "valid/_classes.csv": CSV,
        },
        "valid",
        NAMES,
        [0, 1, 2, 3],
    ),
    "Supervisely": (
        {
            "street/img/a.jpg": PHOTO,
            "street/masks_machine/a.png": GREY,
            "street/masks_human/a.png": PHOTO,
            "street/ann/a.jpg.json": "{}",
            "meta.json": "{}",
            "obj_class_to_machine_color.json": json.dumps(
                {name: [i] * 3 for i, name in [*enumerate(NAMES)][1:]}
            ),
        },
        "street",
        NAMES,
        [0, 1, 2, 3],
    ),
    "Cityscapes": (
        {"leftImg8bit/val/bern/bern_000001_000019_leftImg8bit.png": PHOTO}
        | {
            f"gtFine/val/bern/bern_000001_000019_gtFine_{kind}.png": CITY
            for kind in ("labelIds", "instanceIds", "color")
        },
        "val",
        list(CITYSCAPES_NAMES),
        [0, 13, 255, 18],
    ),
    "CamVid, Kaggle": (
        {
            "train/0001TP_006690.png": PHOTO,
            "train_labels/0001TP_006690_L.png": COLORS[GREY],
            "class_dict.csv": (
                "name,r,g,b\n" + "".join(f"{n},{r},{g},{b}\n" for n, (r, g, b) in zip(NAMES, COLORS.tolist()))
            ),
        },
        "train",
        NAMES,
        [0, 1, 2, 3],
    ),
    "masks": (
        {
            "Images/a.jpg": PHOTO,
            "Masks/a_mask.png": GREY,
            "palette.txt": "".join(
                f"{i} {r} {g} {b} {n}\n" for i, (n, (r, g, b)) in enumerate(zip(NAMES, COLORS.tolist()))
            ),
        },
        "",
        NAMES,
        [0, 1, 2, 3],
    ),
}

@pytest.mark.parametrize("tool", TOOLS)
def test_exports_of_tools(tmp_path, tool):
    files, split, names, ids = TOOLS[tool]
    write(tmp_path, files)
    dataset = open_folder(tmp_path, size=(8, 8), split=split or None, augment=False)
    assert dataset.split == split and list(dataset.names) == names and len(dataset) == 1
    assert dataset[0]["labels"][0, ::2].tolist() == ids
    report = inspect_folder(tmp_path)
    assert report["fits"] and report["names"] == tuple(names) and f"{ids[1]} {names[ids[1]]}" in str(report)

def test_outfits_of_flattened_names(tmp_path):
    names = [f"WOMEN-Dresses-id_{i:08d}-0{j}_{k}_{view}" for i in range(4) for j in (1, 2)
             for k, view in ((1, "front"), (2, "side"))]
    for name in names:
        x = "".join(f"{8 + i}.0 {9 + i}.0 1.0 {i}.0\n" for i in range(18))
        write(tmp_path, {f"img/{name}.jpg": np.full((64, 64, 3), 9), f"pose/{name}_candidate.txt": x,
                         f"pose/{name}_subset.txt": " ".join(map(str, [*range(18), 18, 18]))})
    dataset = open_folder(tmp_path, size=(16, 16), self_pair_prob=0., augment=False)
    assert dataset.layout.name == "deepfashion" and len(set(dataset.groups)) == 8
    rng = np.random.default_rng(0)
    chosen = [(s, dataset.exemplar_of(i, rng)) for _ in range(20) for i, s in enumerate(dataset.stems)]
    def outfit(stem): return stem.rpartition("-")[0] + stem.rpartition("-")[2][:2]
    mates = [outfit(a) == outfit(b) for a, b in chosen]
    assert [dataset.are_mates(a, b) for a, b in chosen] == mates and .6 < np.mean(mates) < .95

def test_label_maps_under_unknown_names_are_no_photographs(tmp_path):
    write(tmp_path, {f"{folder}/{c}.png": GREY for c in "abc" for folder in ("pictures", "truth")})
    for classes in (None, 4):
        with pytest.raises(RabitError, match="holds neither images/"): detect_layout(tmp_path, classes)
    (tmp_path/"pictures").rename(tmp_path/"images")
    for classes in (None, 4):
        with pytest.raises(RabitError, match="named like its images; are these label maps"):
            detect_layout(tmp_path, classes)
    (tmp_path/"truth").rename(tmp_path/"masks")
    assert open_folder(tmp_path, classes=4, size=(8, 8))[0]["labels"].unique().tolist() == [0, 1, 2, 3]

def test_classes_are_refused_without_label_maps(tmp_path):
    write(tmp_path, {"images/a.jpg": PHOTO, "images/b.jpg": PHOTO})
    assert detect_layout(tmp_path).kinds == ("edges", "image")
    for f in (detect_layout, lambda root, classes: open_folder(root, "edges", classes)):
        with pytest.raises(RabitError, match="classes=4 was given, and no label maps were found"):
            f(tmp_path, 4)
    assert "no label maps were found" in str(inspect_folder(tmp_path, 4))
    assert torch.is_tensor(open_folder(tmp_path, "image", size=(8, 8))[0]["image"])
