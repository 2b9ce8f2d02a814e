# Generated from nbs/4_data/42d_painted_sets.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import numpy as np
import tempfile
from PIL import Image
from pathlib import Path
from rabit.data.painted_sets import _LONG
from rabit.data.painted_sets import _MASKS
from rabit.data.painted_sets import write_faces
from rabit.data.painted_sets import write_persons
from rabit.data.painted_sets import write_streets
from rabit.matching.street import street_pairs


def test_streets_are_written_by_patterns_and_their_ids_as_a_function_says():
    with tempfile.TemporaryDirectory() as d:
        root = write_streets(Path(d), "ADE_{split}_{i:08d}", "images/{folder}", "annotations/{folder}",
                             lambda x: (x + 1) * (x > 0), 2)
        files = sorted(p.relative_to(root).as_posix() for p in root.rglob("*.png"))
        assert files == [f"annotations/{b}/ADE_{a}_{i:08d}.png" for a, b in _LONG.items() for i in (0, 1)]
        stored = np.asarray(Image.open(root/files[3]))
        wanted = street_pairs([3], size=(64, 96))["labels"][0].numpy()
        assert (stored == np.where(wanted == 0, 0, wanted + 1)).all()
        assert all((root/"images"/p.relative_to(root/"annotations").with_suffix(".jpg")).is_file()
                   for p in root.rglob("*.png"))


def test_masks_of_a_face_overlap_and_make_up_its_label_map():
    with tempfile.TemporaryDirectory() as d:
        root, numbers = write_faces(Path(d)/"masks"), {p: i + 1 for i, p in enumerate(_MASKS)}
        whole = write_faces(Path(d)/"whole", ids=numbers)
        prefix = root/"CelebAMask-HQ-mask-anno"/"0"/"00007"
        masks = {p: np.asarray(Image.open(f"{prefix}_{p}.png"))[..., 0] > 0 for p in ("skin", "l_eye", "hair")}
        ids = np.asarray(Image.open(whole/"CelebAMask-HQ-mask-anno"/"all_parts_except_glasses"/"00007.png"))
        assert masks["l_eye"].any() and masks["skin"][masks["l_eye"]].all() and ids.shape == (64, 64)
        for p in ("l_eye", "hair"): assert ((ids == numbers[p]) == masks[p]).all()
        assert Image.open(root/"CelebA-HQ-img"/"7.jpg").size == (128, 128)


def test_tables_of_joints_name_those_that_were_found():
    with tempfile.TemporaryDirectory() as d:
        root = write_persons(Path(d), 2)
        names = [f"WOMEN/Dresses/id_{i:08d}/02_{j}" for i in (0, 1) for j in ("1_front", "2_side")]
        written = sorted(p.relative_to(root/"img").as_posix() for p in root.rglob("*.jpg"))
        assert written == [f"{name}.jpg" for name in names]
        for name in names:
            candidate, subset = (np.loadtxt(root/"pose"/f"{name}_{what}.txt") for what in ("candidate", "subset"))
            assert candidate.shape[1] == 4 and subset.shape == (20,) and subset[-1] == len(candidate)
            assert sorted(subset[:18][subset[:18] >= 0]) == list(range(len(candidate)))
            assert ((candidate[:, :2] >= 0) & (candidate[:, :2] < 96)).all()
