# Generated from nbs/4_data/45_inspect.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import numpy as np
import tarfile
import tempfile
import torch
from PIL import Image
from pathlib import Path
from rabit.core.trials import fails
from rabit.data.datasets import FolderDataset
from rabit.data.inspect import folder_contents
from rabit.data.inspect import inspect_folder
from rabit.data.layouts import detect_layout
from rabit.data.layouts import open_folder
from rabit.data.painted_sets import save
from rabit.data.painted_sets import write_streets
from rabit.data.pairs import write_walks
from rabit.inputs.palettes import read_labels


def test_a_report_counts_each_kind_of_trouble_and_names_the_first_offender():
    with tempfile.TemporaryDirectory() as d:
        root = write_walks(f"{d}/town")
        assert inspect_folder(root, classes=7)["fits"]
        (root/"labels"/"walkA_00.png").unlink()
        (root/"images"/"walkB_00.png").write_text("no image")
        Image.new("RGB", (32, 32)).save(root/"images"/"walkC_00.png")
        report = inspect_folder(root, classes=6, most=None)
        print(str(report).replace(d, "…"))
    found = {k: len(v) for k, v in report["splits"][""]["problems"].items()}
    assert found["images without labels"] == found["unreadable"] == found["sizes differ"] == 1
    assert not report["fits"] and found["label ids out of range"] > 1
    assert report["splits"][""]["classes_needed"] == 7
    assert not inspect_folder("/no/such/folder")["fits"]


def test_a_folder_says_what_the_colors_of_its_maps_mean():
    with tempfile.TemporaryDirectory() as d:
        root = write_walks(f"{d}/town", walks=2)
        ids = {f: read_labels(f)[0] for f in sorted((root/"labels").iterdir())}
        colors = torch.tensor([[250, 100 + i, 10 * i] for i in range(7)], dtype=torch.uint8)
        for f, own in ids.items(): Image.fromarray(colors[own].numpy()).save(f)
        assert "palette.txt" in fails(FolderDataset(root, 7, (16, 16)).batch, range(2))
        assert not inspect_folder(root)["fits"]
        (root/"palette.txt").write_text("".join(f"{i} 250 {100 + i} {10 * i} class {i}\n" for i in range(7)))
        dataset = FolderDataset(root, classes=7, size=ids[next(iter(ids))].shape, augment=False)
        assert inspect_folder(root, classes=7)["fits"]
        assert all(torch.equal(dataset.read_pair(f.stem)[1], own) for f, own in ids.items())
        (root/"palette.json").write_text("{}")
        assert "one of them" in fails(FolderDataset, root, 7, (16, 16))
        assert "one of them" in str(inspect_folder(root))
        (root/"palette.txt").unlink()
        assert "palette.json" in str(inspect_folder(root))


def test_a_report_of_archives_says_how_many_samples_they_hold():
    with tempfile.TemporaryDirectory() as d:
        root = write_walks(f"{d}/town", walks=1, frames=3)
        with tarfile.open(f"{d}/a.tar", "w") as archive:
            for kind, end in (("images", ".png"), ("labels", ".labels.png")):
                for f in sorted((root/kind).iterdir()): archive.add(f, f"x/{f.stem}{end}")
        assert inspect_folder(d)["fits"] and "a.tar: 3 samples" in str(inspect_folder(d))
        (Path(d)/"c.tar").write_bytes(b"no archive at all")
        assert not inspect_folder(d)["fits"] and "c.tar cannot be read" in str(inspect_folder(d))


def test_a_report_names_what_is_wrong_and_looks_inside_some_files_only():
    with tempfile.TemporaryDirectory() as tmp:
        root = write_streets(Path(tmp), "ADE_{split}_{i:08d}", "images/{split}", "annotations/{split}",
                             lambda x: x + 1, 6)
        report = inspect_folder(root, most=4)
        assert report["fits"] and report["set"] == "ade20k" and report["splits"]["val"]["pairs"] == 6
        assert "looked inside 8 of 12" in str(report)
        (root/"annotations"/"val"/"ADE_val_00000002.png").unlink()
        report = inspect_folder(root)
        assert not report["fits"] and "ADE_val_00000002.jpg" in str(report)
        assert inspect_folder(root, split="train")["fits"]
        message = fails(open_folder, root, split="val")
        assert "1 images without labels" in message and "ADE_val_00000002.jpg" in message
        assert open_folder(root, size=(8, 8)).classes == 150


def test_colored_maps_are_read_by_the_palette_that_their_folder_holds():
    with tempfile.TemporaryDirectory() as tmp:
        colors = np.array([[250, 100 + i, 10 * i] for i in range(7)])
        plain = write_streets(Path(tmp)/"plain", "s{i}_0", "images/{split}", "labels/{split}")
        root = write_streets(Path(tmp)/"mine", "s{i}_0", "images/{split}", "labels/{split}",
                             lambda ids: colors[ids])
        assert not inspect_folder(root)["fits"] and "palette.txt" in str(inspect_folder(root))
        (root/"palette.txt").write_text("".join(f"{i} {r} {g} {b}\n" for i, (r, g, b) in enumerate(colors)))
        assert inspect_folder(root, 7)["fits"]
        for kind in ("labels", "edges"):
            ours, wanted = (open_folder(r, kind, 7, (64, 96), augment=False) for r in (root, plain))
            ours, wanted = ours.batch(range(4)), wanted.batch(range(4))
            assert all(torch.equal(ours[k], wanted[k]) for k in wanted)


def test_masks_of_0_and_255_do_not_fit_until_the_folder_says_what_they_mean():
    with tempfile.TemporaryDirectory() as tmp:
        root = write_streets(Path(tmp), "s{i}_0", "images/{split}", "masks/{split}", lambda x: 255 * (x == 5), 2)
        assert "255 for the foreground" in str(inspect_folder(root)) and not inspect_folder(root)["fits"]
        assert "255 for the foreground" in fails(open_folder, root, classes=2)
        assert inspect_folder(root, classes=1)["fits"] and open_folder(root, classes=1).classes == 1
        (root/"palette.txt").write_text("0 #000000 ground\n1 #ffffff tree\n")
        assert inspect_folder(root)["fits"] and "0 ground, 1 tree" in str(inspect_folder(root))
        assert open_folder(root, size=(16, 16)).batch([0])["labels"].unique().tolist() == [0, 1]


def test_a_report_names_what_is_taken_and_what_is_left_out():
    with tempfile.TemporaryDirectory() as tmp:
        root = write_streets(Path(tmp), "s{i}_0", "JPEGImages/{split}", "SegmentationClass/{split}", n=2)
        for name in ("SegmentationObject/train/s0_0.png", "extra/a.png"): save(np.zeros((4, 4)), root/name)
        (root/"notes.json").write_text("{}")
        report = inspect_folder(root, classes=7)
        print(str(report).replace(tmp, "…"))
        taken, left = folder_contents(root, detect_layout(root))
        assert report["fits"] and set(taken.values()) == {2} and len(taken) == 4
        assert {why for _, why in left} == {"instances, not classes", "in none of the folders that are read",
                                            "no image; outlines and boxes are not read, label maps are"}
        assert not inspect_folder(root/"extra", classes=7)["fits"]
        assert "no label maps were found" in str(inspect_folder(root/"extra", classes=7))


def test_a_report_tells_of_landmarks_and_of_those_that_do_not_lie_on_their_images():
    with tempfile.TemporaryDirectory() as tmp:
        root = Path(tmp)
        for i in range(3): save(np.full((8, 12, 3), 80 * i), root/"images"/f"p{i}.png")
        def report(*lines):
            (root/"landmarks.csv").write_text("\n".join(("name,x0,y0,x1,y1,x2,y2", *lines)))
            return inspect_folder(root)
        good = report("p0,1,1,9,1,5,7", "p1,2,1,9,1,5,6", "gone,1,1,9,1,5,6")
        print(str(good).replace(tmp, "…"))
        (root/"linked").mkdir()
        for name in ("images", "landmarks.csv"): (root/"linked"/name).symlink_to(root/name)
        assert "taken: images/ (3)" in str(inspect_folder(root/"linked"))
        assert good["fits"] and "3 landmarks of 3 images" in str(good) and "1 images have none" in str(good)
        assert "names 1 that are no images here, such as gone" in str(good) and "left out" not in str(good)
        far = report("p0,1,1,9,1,5,7", "p1,100,100,150,100,130,150")
        assert not far["fits"] and "points of p1 lie far outside" in str(far)
        assert not report("p0,1,1,9,1")["fits"] and "names no image" in str(report("q0,1,1,9,1,5,7"))
