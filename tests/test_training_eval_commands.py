# Generated from nbs/5_training/58_eval_commands.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import io
import math
from PIL import Image
from contextlib import redirect_stderr
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from rabit.core.files import read_json
from rabit.core.files import save_image
from rabit.core.files import write_json
from rabit.core.tensors import to_pil
from rabit.matching.street import street_pairs
from rabit.training.checkpoint import STATE
from rabit.training.config import preset
from rabit.training.eval_commands import COLUMNS
from rabit.training.eval_commands import MEASURED
from rabit.training.eval_commands import ROWS
from rabit.training.eval_commands import legend
from rabit.training.eval_commands import rabit_eval
from rabit.training.eval_commands import stopped_run
from rabit.training.eval_commands import unused_folder
from rabit.training.evaluate import BASELINES
from rabit.training.evaluate import METRICS
from rabit.training.evaluate import table
from tempfile import TemporaryDirectory


def test_a_legend_explains_what_is_known_and_nothing_else():
    found = {"mine": dict(epe=math.nan, swd=.2), "same position": dict(epe=math.nan, swd=.1, l1=math.nan)}
    assert table(found, known_only=True).splitlines()[0] == "|  | swd |"
    told = legend(found).splitlines()
    assert told[0].startswith("- swd: ") and told[2] == "Rows that learn nothing:"
    assert told[4:] == ["- same position: the exemplar itself, copied"]
    assert COLUMNS.keys() == METRICS.keys() - {"per_class"} and ROWS.keys() >= BASELINES.keys()


def test_photographs_are_measured_beside_rows_that_need_no_ground_truth():
    with TemporaryDirectory() as tmp:
        scenes = street_pairs(range(3), seed=3, size=(64, 64))
        for i in range(3):
            save_image(to_pil(scenes["image"][i]), Path(tmp) / f"data/images/walk{i}_0.png")
            (Path(tmp) / "data/labels").mkdir(exist_ok=True)
            labels = Image.fromarray(scenes["labels"][i].byte().numpy())
            labels.save(Path(tmp) / f"data/labels/walk{i}_0.png")
        argv = f"--checkpoint street-64 --data {tmp}/data --device cpu --json {tmp}/x.json".split()
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()): rabit_eval(argv)
        found = read_json(f"{tmp}/x.json")
    print(out.getvalue().replace(tmp, ""))
    assert list(found) == ["street-64", *(n for n in BASELINES if n != "ground truth"), "real image"]
    assert found["street-64"]["agreement"] > .8 > found["same position"]["agreement"]
    assert found["real image"]["swd"] == 0 and found["same position"]["copy_score"] > .99
    first, *rest = out.getvalue().splitlines()
    assert rest[0] == "|  | swd | copy_score | agreement | color_own | color_other | warp_iou |"
    assert found["region, box"]["warp_iou"] > .9 > .7 > found["same position"]["warp_iou"]
    assert found["random of class"]["color_own"] < 10 < found["real image"]["color_own"]
    assert "semantic" not in found["street-64"]
    assert "agreement: fraction" in out.getvalue() and "real image: the conditions' own images" in out.getvalue()


def test_folders_of_the_demo_are_never_used_twice():
    with TemporaryDirectory() as tmp:
        first = unused_folder(Path(tmp) / "run"); first.mkdir()
        second = unused_folder(Path(tmp) / "run"); second.mkdir()
        assert [first.name, second.name, unused_folder(Path(tmp) / "run").name] == ["run", "run-2", "run-3"]


def test_a_demo_goes_on_with_its_last_run_if_that_was_stopped_and_has_the_same_settings():
    with TemporaryDirectory() as tmp:
        run, config = Path(tmp) / "run", preset("tiny", steps=3)
        assert stopped_run(run, config) is None
        for folder in (run, Path(tmp) / "run-2"):
            folder.mkdir()
            assert stopped_run(run, config) is None                      # nothing was saved
            (folder / STATE).touch()
            write_json(folder / "train.json", asdict(config))
            assert stopped_run(run, config) == folder and stopped_run(run, preset("tiny", steps=4)) is None
            (folder / MEASURED).touch()
            assert stopped_run(run, config) is None
