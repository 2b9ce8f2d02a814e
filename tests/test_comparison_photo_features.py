# Generated from nbs/8_comparison/88_photo_features.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import math
from PIL import Image
from pathlib import Path
from rabit.comparison.photo_features import compare_features
from rabit.comparison.photo_features import features_table
from rabit.core.files import save_image
from rabit.core.tensors import to_pil
from rabit.matching.street import street_pairs
from tempfile import TemporaryDirectory


def test_a_comparison_of_features_is_made_once_and_goes_on():
    with TemporaryDirectory() as tmp:
        scenes = street_pairs(range(8), seed=3, size=(32, 32))
        for i in range(8):
            part = "train" if i < 4 else "val"
            save_image(to_pil(scenes["image"][i]), Path(tmp) / f"data/images/{part}/walk{i}.png")
            (Path(tmp) / f"data/labels/{part}").mkdir(parents=True, exist_ok=True)
            labels = Image.fromarray(scenes["labels"][i].byte().numpy())
            labels.save(Path(tmp) / f"data/labels/{part}/walk{i}.png")
        def compared(**more):
            return compare_features(Path(tmp) / "data", Path(tmp) / "out", 7, (32, 32), names=("random",),
                                    seeds=1, eval_features=("random",), batch=1, **more)
        first = compared(steps=2)
        times = {p: p.stat().st_mtime_ns for p in Path(tmp).glob("out/*/*")}
        again = compared(steps=2)
        assert again == first and times == {p: p.stat().st_mtime_ns for p in Path(tmp).glob("out/*/*")}
        row, = compared(steps=3)                                           # goes on from the second step
    scores = row["scores"]
    assert row["steps"] == 3 and {"warp_iou", "color_own", "random frechet"} <= scores.keys()
    assert not any(math.isnan(v) for v in scores.values())


def test_what_every_seed_says_is_bold():
    made = [dict(features=n, seed=s, scores=dict(a=v, frechet=v)) for n, s, v in
            (("x", 0, 1.), ("x", 1, 2.), ("y", 0, 2.), ("y", 1, 4.))]
    assert features_table(made, ("a", "frechet")).splitlines()[2:] == [
        "| a ↑ | 1.500 ± 0.707 | **3.000** ± 1.414 |",
        "| frechet ↓ | **1.500** ± 0.707 | 3.000 ± 1.414 |"]
    assert features_table(made[:3], ("a",)).splitlines()[2] == "| a ↑ | 1.500 ± 0.707 | 2.000 |"
