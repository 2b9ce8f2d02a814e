# Generated from nbs/4_data/40_pairs.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import numpy as np
import os
import tempfile
from PIL import Image
from pathlib import Path
from rabit.core.trials import fails
from rabit.data.pairs import allowed_exemplars
from rabit.data.pairs import check_headers
from rabit.data.pairs import find_pairs
from rabit.data.pairs import find_splits
from rabit.data.pairs import folder_layout
from rabit.data.pairs import group_of
from rabit.data.pairs import pick_split
from rabit.data.pairs import size_mismatch
from rabit.data.pairs import stored_ids
from rabit.data.pairs import whole_split
from rabit.data.pairs import write_walks

def touch(root, *files):
    "Images of one pixel under these names, and a fresh folder for them"
    for file in files:
        (root/file).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (1, 1)).save(root/file)
    return root

folder = tempfile.TemporaryDirectory()
town = write_walks(Path(folder.name)/"town")


def test_layouts_are_recognised_and_a_missing_choice_is_answered_with_the_choices():
    with tempfile.TemporaryDirectory() as d:
        for split in ("spring", "autumn"): write_walks(f"{d}/{split}", walks=1, frames=2)
        assert list(find_splits(d)) == ["autumn", "spring"]
        assert "autumn, spring" in fails(pick_split, d)
        assert "'winter'" in fails(pick_split, d, "winter")
        assert pick_split(f"{d}/spring") == ""
        assert "images/ and labels/" in fails(pick_split, tempfile.mkdtemp(dir=d))


def test_the_layouts_of_the_public_sets_are_recognised():
    files = ("ade/images/training/a.jpg", "ade/annotations/training/a.png", "flat/a.jpg", "flat/a.png",
             "celeba/CelebA-HQ-img/77.jpg", "celeba/CelebAMask-HQ-mask-anno/all_parts_except_glasses/00077.png")
    with tempfile.TemporaryDirectory() as d:
        for p in files:
            os.makedirs(os.path.dirname(f"{d}/{p}"), exist_ok=True)
            Image.new("L", (8, 8)).save(f"{d}/{p}")
        assert list(find_splits(f"{d}/ade")) == ["training"] and pick_split(f"{d}/ade", "train") == "training"
        assert list(find_pairs(f"{d}/flat")) == ["a"]
        assert find_pairs(f"{d}/celeba")["77"][1].name == "00077.png"


def test_folders_and_files_that_tools_name_in_their_own_way_are_pairs():
    known = {
        "masks": ("images/a.jpg", "masks/a.png"), "names in capitals": ("Images/a.PNG", "Labels/a.png"),
        "VOC and CVAT": ("JPEGImages/a.jpg", "SegmentationClass/a.png", "SegmentationObject/a.png"),
        "Roboflow": ("train/a_jpg.rf.0f.jpg", "train/a_jpg.rf.0f_mask.png"),
        "Cityscapes": ("leftImg8bit/train/bern/bern_000001_000019_leftImg8bit.png",
                       "gtFine/train/bern/bern_000001_000019_gtFine_labelIds.png",
                       "gtFine/train/bern/bern_000001_000019_gtFine_instanceIds.png",
                       "gtFine/train/bern/bern_000001_000019_gtFine_color.png"),
        "Supervisely": ("mine/img/a.jpg", "mine/masks_machine/a.png", "mine/masks_human/a.png"),
        "MMSegmentation": ("img_dir/train/a.jpg", "ann_dir/train/a.png"),
        "CamVid, Kaggle": ("train/0001TP_000001.png", "train_labels/0001TP_000001_L.png"),
    }
    for name, files in known.items():
        with tempfile.TemporaryDirectory() as d:
            (image, labels), = find_pairs(touch(Path(d), *files)).values()
            assert (image, labels) == (Path(d)/files[0], Path(d)/files[1]), name


def test_two_readings_of_a_folder_are_refused():
    two = {"which may be meant": ("images/a.jpg", "labels/a.png", "masks/a.png"),
           "two label maps": ("images/a.jpg", "labels/a.png", "labels/a_mask.png"),
           "side by side": ("a.jpg", "a.png", "a_mask.png"),
           "more than two": ("train/a.jpg", "train_mask/a.png", "train_labels/a.png")}
    for files in two.values():
        with tempfile.TemporaryDirectory() as d:
            touch(Path(d), *files)
            assert "must go" in (message := fails(find_pairs, d)) or "are needed" in message, message


def test_pairs_are_found_by_name_and_a_missing_partner_is_named():
    with tempfile.TemporaryDirectory() as d:
        root = write_walks(f"{d}/town", walks=2, frames=2)
        assert list(find_pairs(root)) == ["walkA_00", "walkA_01", "walkB_00", "walkB_01"]
        (root/"labels"/"walkA_01.png").unlink()
        (root/"labels"/"walkB_01.png").unlink()
        message = fails(find_pairs, root)
        print(message.replace(d, "…"))
    assert "walkA_01.png" in message and "1 more" in message


def test_a_label_map_of_another_size_is_found_by_its_header():
    with tempfile.TemporaryDirectory() as d:
        pairs = find_pairs(write_walks(f"{d}/town", walks=1, frames=3))
        check_headers(pairs, exact=True)
        for stem, size in (("walkA_01", (32, 32)), ("walkA_02", (32, 64))):
            Image.new("L", size).save(pairs[stem][1])
        message = fails(check_headers, pairs, True)
        assert "walkA_01.png is 64×64" in message and "is 32×32" in message and "1 more" in message
        assert "walkA_02" in fails(check_headers, pairs, False) and size_mismatch(*pairs["walkA_01"], False) == ""


def test_exemplars_come_from_other_groups_or_from_far_away_in_a_single_film():
    stems = {"mall3_04350": "mall3", "bern/bern_000001_000019": "bern/bern_000001", "Seq05VD_f00120": "Seq05VD",
             "holiday": "holiday", "beach_evening": "beach_evening", "_7": "_7",
             "mall_12_jpg.rf.0a1b2c": "mall", "dog_jpg.rf.0a1b2c": "dog"}
    assert {s: group_of(s) for s in stems} == stems
    assert allowed_exemplars(["a", "a", "b"], 0).tolist() == [2]
    assert allowed_exemplars(["film"] * 32, 10).tolist() == [*range(7), *range(14, 32)]


def test_the_layout_of_a_folder_knows_its_pairs_and_gives_their_ids():
    layout = folder_layout(town, ignore=(3,))
    print(layout)
    assert layout.kinds == ("labels", "edges", "image") and len(whole_split(layout, town, "")) == 24
    image, labels = layout.splits[""]["walkA_00"]
    ids = stored_ids(layout, image, labels, (64, 64))
    raw = np.asarray(Image.open(labels))
    assert (ids[raw == 3] == 255).all() and (ids == raw)[raw != 3].all()
    assert "is 9×9" in fails(stored_ids, layout, image, labels, (9, 9))
