# Generated from nbs/4_data/42c_exports.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import json
import numpy as np
import tempfile
from PIL import Image
from pathlib import Path
from rabit.core.files import list_files
from rabit.core.trials import fails
from rabit.data.exports import ADE_NAMES
from rabit.data.exports import MACHINE_COLORS
from rabit.data.exports import check_no_namesakes
from rabit.data.exports import find_label_studio
from rabit.data.exports import find_labelme
from rabit.data.exports import known_classes
from rabit.data.exports import which_set
from rabit.inputs.palettes import cityscapes_ids

def write(root, files):
    "Small images (arrays), texts, and JSON (anything else) under these names in a folder"
    for name, content in files.items():
        file = Path(root)/name
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, np.ndarray): Image.fromarray(content.astype(np.uint8)).save(file)
        else: file.write_text(content if isinstance(content, str) else json.dumps(content))
    return Path(root)


def test_the_classes_of_a_folder_are_those_that_its_tool_lists():
    with tempfile.TemporaryDirectory() as d:
        assert known_classes(Path(d)) is None
        csv = "Pixel Value, Class\n0, background\n1, cat\n"
        root = write(d, {"train/_classes.csv": csv, "valid/_classes.csv": csv})
        assert ([(r.id, r.name) for r in known_classes(root, ("train", "valid"))[1]]
                == [(0, "background"), (1, "cat")])
        write(d, {"valid/_classes.csv": "Pixel Value, Class\n0, background\n1, dog\n"})
        assert "list other classes" in fails(known_classes, root, ("train", "valid"))
    with tempfile.TemporaryDirectory() as d:
        file, rows = known_classes(write(d, {MACHINE_COLORS: dict(cat=[2, 2, 2], dog=[1, 1, 1])}))
        assert {r.id: r.name for r in rows} == {0: "background", 1: "dog", 2: "cat"}
        assert "is needed" in fails(known_classes, write(d, {MACHINE_COLORS: dict(cat=3)}))
    with tempfile.TemporaryDirectory() as d:
        table = "Idx\tRatio\tTrain\tVal\tStuff\tName\n1\t0.1\t2\t1\t1\twall\n2\t0.1\t2\t1\t1\tbuilding, edifice\n"
        assert [(r.id, r.name) for r in known_classes(write(d, {ADE_NAMES: table}))[1]] \
            == [(0, "wall"), (1, "building, edifice")]


def test_a_public_set_is_known_by_all_of_its_names():
    def pairs_of(*stems, ending=".png"):
        return {s: (Path(f"images/{s}.jpg"), Path(f"labels/{s}{ending}")) for s in stems}

    ade = pairs_of("ADE_train_00000001", "ADE_train_00000002", "ADE_train_00000003")
    assert which_set(Path(), ade).name == "ade20k" and which_set(Path(), ade, 7) is None
    assert "mine is none of them" in fails(which_set, Path(), ade | pairs_of("mine"))
    assert which_set(Path(), pairs_of("ADE_my_hike", "ADE_train_1")) is None
    assert which_set(Path(), pairs_of("0001TP_006690", "Seq05VD_f00120")).name == "camvid"
    assert (
        which_set(Path(), pairs_of("0001TP_a"))
        is which_set(Path(), pairs_of("000000000009", "2007_000032"))
        is None
    )
    bern = "bern/bern_000001_000019"
    assert which_set(Path(), pairs_of(bern, ending="_gtFine_labelIds.png")).relabel is cityscapes_ids
    assert which_set(Path(), pairs_of(bern, ending="_gtFine_labelTrainIds.png")).relabel is None
    assert which_set(Path(), pairs_of(bern)) is None


def test_ids_of_labelmes_folders_are_those_of_the_whole_set():
    with tempfile.TemporaryDirectory() as d:
        ids, image = np.array([[0, 1], [1, 255]]), np.zeros((2, 2, 3))
        for name, inside in dict(a="cat", b="dog").items():
            write(d, {f"{name}_json/img.png": image, f"{name}_json/label.png": ids,
                      f"{name}_json/label_names.txt": f"_background_\n{inside}\n"})
        layout = find_labelme(Path(d))
        assert layout.names == ("_background_", "cat", "dog") and list(layout.splits[""]) == ["a", "b"]
        assert layout.ids(layout.splits[""]["a"][1]).tolist() == [[0, 1], [1, 255]]
        assert layout.ids(layout.splits[""]["b"][1]).tolist() == [[0, 2], [2, 255]]
        write(d, {"b_json/label_names.txt": "_background_\n"})
        assert "does not name" in fails(layout.ids, layout.splits[""]["b"][1])
        assert find_labelme(Path(d)/"a_json") is None


def test_brush_labels_are_put_together_by_task_and_by_label():
    car, tree = np.array([[255, 255], [0, 0]]), np.array([[0, 255], [255, 0]])
    with tempfile.TemporaryDirectory() as d:
        masks = {f"task-12-annotation-3-by-me@x.org-tag-{name}-0.png": x for name,
                 x in (("tree", tree), ("car", car))}
        root = write(d, masks | {"images/street.jpg": np.zeros((2, 2, 3))})
        assert "JSON" in fails(find_label_studio, root)
        write(d, {"export.json": [dict(id=12, data=dict(image="/data/upload/1/0a1b2c3d-street.jpg"))]})
        layout = find_label_studio(root)
        (image, parts), = layout.splits[""].values()
        assert image.name == "street.jpg" and layout.names == ("background", "car", "tree")
        assert layout.ids(parts).tolist() == [[1, 255], [2, 0]]
        write(d, {"task-12-annotation-4-by-you@x.org-tag-car-0.png": car})
        assert "several annotations" in fails(find_label_studio, root)


def test_images_with_namesakes_are_refused_and_images_alone_are_not():
    with tempfile.TemporaryDirectory() as d:
        photo, ids = np.zeros((2, 2, 3)), np.zeros((2, 2))
        root = write(d, {f"images/street{c}_leftImg8bit.png": photo for c in "abcd"})
        images = list_files(root/"images")
        check_no_namesakes(root, images)
        check_no_namesakes(write(d, {"thumbs/streeta_leftImg8bit.jpg": photo, "other/x.png": photo}), images)
        assert "maps/streeta_seg" in fails(check_no_namesakes, write(d, {f"maps/street{c}_seg.png": ids
                                                                         for c in "ab"}), images)
        names = [f"{c}{end}.png" for c in "abcd" for end in ("", "-truth")]
        assert "a-truth and 3 more" in fails(check_no_namesakes, root, {n[:-4]: root/n for n in names})
        check_no_namesakes(root, {f"walk_{i}": root/f"walk_{i}.png" for i in range(9)})
        for one, two in (("{}", "mask_{}"), ("{}", "gt-{}"), ("img_{}", "label_{}"), ("photo{}", "Seg{}")):
            names = [name.format(n) for n in ("a0", "a1", 7, 8) for name in (one, two)]
            assert "and 3 more" in fails(check_no_namesakes, root, {n: root/f"{n}.png" for n in names})
        names = [f"{start}a{i}" for start in ("", "truth_") for i in range(4)]  # an unknown word
        assert "truth_a0 and 3 more" in fails(check_no_namesakes, root, {n: root/f"{n}.png" for n in names})
        for start, other in (("", "walk_"), ("left_", "right_"), ("img_", "mas_")):
            names = [f"{s}{i}" for s in (start, other) for i in range(9)]
            check_no_namesakes(root, {n: root/f"{n}.png" for n in names})
