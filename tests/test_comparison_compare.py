# Generated from nbs/8_comparison/82_compare.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import math
from rabit.comparison.compare import COLUMNS
from rabit.comparison.compare import ablation_table
from rabit.comparison.compare import gain
from rabit.comparison.compare import spread
from rabit.comparison.compare import spread_table
from rabit.comparison.zoo import Ablation
from rabit.comparison.zoo import Entry

def fake(name, seed, **scores):
    return dict(name=name, seed=seed, budget="9", row=dict.fromkeys(COLUMNS, 1.) | scores)

def two():
    "Entry b gains on a in EPE for every seed, in PCK for one of three, and loses in SSIM"
    a = [(0, 5., .5, .2), (1, 6., .6, .3), (2, 4., .4, .1)]
    b = [(0, 4., .7, .1), (1, 5.1, .5, .2), (2, 2.9, .6, .0)]
    return [fake(name, s, epe=e, pck=p, ssim=q) for name, rows in (("a", a), ("b", b)) for s, e, p, q in rows]


def test_the_table_shows_mean_and_deviation():
    rows = [fake("a", 0, epe=4.), fake("a", 1, epe=6.), fake("b", 0, epe=2., pck=.5),
            fake("b", 1, epe=2., pck=.7)]
    found = spread(rows, "9")
    assert found["a"]["epe"] == (5., 2 ** .5) and abs(found["b"]["pck"][0] - .6) < 1e-9
    assert spread(rows, "8") == {} and math.isnan(spread(rows[:1], "9")["a"]["epe"][1])
    assert "| a | 5.00 ± 1.41 |" in spread_table(found)


def test_a_gain_shows_only_where_all_seeds_agree():
    rows = two()
    mean, _, shows = gain(rows, "9", "b", "a", "epe")
    assert shows and abs(mean - 1.) < 1e-9                              # smaller is better: a gain
    mean, _, shows = gain(rows, "9", "b", "a", "pck")
    assert not shows and mean > 0                                       # the seeds disagree
    mean, _, shows = gain(rows, "9", "b", "a", "ssim")
    assert shows and mean < 0                                           # it shows, and is a loss
    assert not gain(rows[:1] + rows[3:4], "9", "b", "a", "epe")[2]      # one seed shows nothing


def test_the_ablation_table_marks_what_shows():
    ablations = dict(x=Ablation("b beats a", "a", {"b": Entry("rabit")}))
    text = ablation_table(two(), "9", ablations)
    assert "| b beats a | b | a | **+1.00** ± 0.10 | +0.100 ± 0.173 |" in text, text
