# Generated from nbs/30_zoo.ipynb by .ci/export_tests.py: edit the notebook, not this file.
import math
from argparse import ArgumentTypeError
from pathlib import Path
from rabit.core import RabitError
from rabit.core import seed_all
from rabit.model import Translator
from rabit.model import systems
from rabit.zoo import Ablation
from rabit.zoo import COLUMNS
from rabit.zoo import Entry
from rabit.zoo import ablation_table
from rabit.zoo import budget_of
from rabit.zoo import build
from rabit.zoo import compare
from rabit.zoo import gain
from rabit.zoo import measure
from rabit.zoo import plan
from rabit.zoo import spread
from rabit.zoo import spread_table
from tempfile import TemporaryDirectory

def fake(name, seed, **scores): return dict(name=name, seed=seed, budget="9", row=dict.fromkeys(COLUMNS, 1.) | scores)
def two():
    "Entry b gains on a in EPE for every seed, in PCK for one of three, and loses in SSIM"
    rows = [fake("a", s, epe=e, pck=p, ssim=q) for s, e, p, q in ((0, 5., .5, .2), (1, 6., .6, .3), (2, 4., .4, .1))]
    return rows + [fake("b", s, epe=e, pck=p, ssim=q) for s, e, p, q in ((0, 4., .7, .1), (1, 5.1, .5, .2), (2, 2.9, .6, .0))]


def test_every_system_translates_through_the_same_object():
    from rabit.core import one_hot
    from rabit.scenes import street_pairs
    record = street_pairs(range(2), size=(32, 32))
    for name in systems():
        seed_all(0)
        found = build(name, 7, size=(32, 32), width=8, features=16)(one_hot(record["labels"], 7), record["exemplar"])
        assert found.picture.shape == found.warped.shape == (2, 3, 32, 32) and found.confidence.min() >= 0 and found.confidence.max() <= 1


def test_budgets_are_steps_or_seconds():
    assert budget_of("160") == "160" and budget_of("40s") == "40s"
    for text in ("", "s", "-3", "1.5", "40m"):
        try: budget_of(text); said = ""
        except ArgumentTypeError as e: said = str(e)
        assert repr(text) in said and "40s" in said


def test_a_run_gives_every_score_and_the_same_ones_again():
    seed_all(0)
    settings = dict(preset="tiny", size=[32, 32], count=2, device="cpu")
    with TemporaryDirectory() as folder:
        first, second = (measure(Entry("rabit", dict(k=1)), 0, "2", settings, Path(folder) / "model") for _ in range(2))
        assert Translator.from_pretrained(Path(folder) / "model").config["k"] == 1
    assert {"epe", "pck", "warp_l1", "psnr", "ssim", "swd", "frechet", "collapse", "parameters", "step_seconds", "memory_mb"} <= first.keys()
    assert all(first[k] == second[k] for k in ("epe", "pck", "warp_l1", "psnr", "frechet", "steps")) and first["steps"] == 2


def test_a_comparison_goes_on_where_it_stopped():
    settings = dict(preset="tiny", size=[32, 32], count=2, device="cpu")
    runs = plan({"a": Entry("rabit"), "b, k = 1": Entry("rabit", dict(k=1))}, {"1": ["a", "b, k = 1"]}, [0], settings)
    with TemporaryDirectory() as folder:
        first = compare(runs, folder, progress=False)
        assert [r["name"] for r in first] == ["a", "b, k = 1"] and all(math.isfinite(r["row"]["epe"]) for r in first)
        files = {p: p.stat().st_mtime_ns for p in Path(folder).rglob("*.row.json")}
        assert len(files) == 2 and compare(runs, folder, progress=False) == first
        assert {p: p.stat().st_mtime_ns for p in Path(folder).rglob("*.row.json")} == files                     # nothing was made again
        bad = plan({"c": Entry("rabit", dict(k=99))}, {"1": ["c"]}, [0], settings)
        try: compare(bad, folder, progress=False); said = ""
        except RabitError as e: said = str(e)
        assert "c, seed 0" in said and "k = 99" in said


def test_the_table_shows_mean_and_deviation():
    rows = [fake("a", 0, epe=4.), fake("a", 1, epe=6.), fake("b", 0, epe=2., pck=.5), fake("b", 1, epe=2., pck=.7)]
    found = spread(rows, "9")
    assert found["a"]["epe"] == (5., 2 ** .5) and abs(found["b"]["pck"][0] - .6) < 1e-9 and spread(rows, "8") == {}
    assert "| a | 5.00 ± 1.41 |" in spread_table(found) and math.isnan(spread(rows[:1], "9")["a"]["epe"][1])


def test_a_gain_shows_only_where_all_seeds_agree():
    rows = two()
    assert gain(rows, "9", "b", "a", "epe")[2] and abs(gain(rows, "9", "b", "a", "epe")[0] - 1.) < 1e-9               # smaller is better: a gain
    assert not gain(rows, "9", "b", "a", "pck")[2] and gain(rows, "9", "b", "a", "pck")[0] > 0                        # the seeds disagree
    assert gain(rows, "9", "b", "a", "ssim")[2] and gain(rows, "9", "b", "a", "ssim")[0] < 0                          # it shows, and is a loss
    assert not gain(rows[:1] + rows[3:4], "9", "b", "a", "epe")[2]                                                    # one seed shows nothing


def test_the_ablation_table_marks_what_shows():
    ablations = dict(x=Ablation("b beats a", "a", {"b": Entry("rabit")}))
    text = ablation_table(two(), "9", ablations)
    assert "| b beats a | b | a | **+1.00** ± 0.10 | +0.100 ± 0.173 |" in text, text
