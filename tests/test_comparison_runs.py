# Generated from nbs/8_comparison/81_runs.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import json
import math
import os
import torch
from dataclasses import asdict
from fastcore.test import test_fail
from pathlib import Path
from rabit import __version__
from rabit.comparison.runs import _ask_process
from rabit.comparison.runs import _ask_server
from rabit.comparison.runs import machine_info
from rabit.comparison.runs import measure
from rabit.comparison.runs import parse_budget
from rabit.comparison.runs import plan_runs
from rabit.comparison.runs import run_all
from rabit.comparison.runs import run_in_subprocess
from rabit.comparison.runs import upgrade_run
from rabit.comparison.zoo import Entry
from rabit.core.devices import seed_all
from rabit.core.tensors import RabitError
from rabit.networks.translate import Translator
from tempfile import TemporaryDirectory


def test_budgets_are_steps_or_seconds():
    assert parse_budget("160") == "160" and parse_budget("40s") == "40s"
    for text in ("", "s", "-3", "1.5", "40m"):
        test_fail(lambda: parse_budget(text), contains=f"{text!r} is no budget; give steps such as 160")


def test_a_run_gives_every_score_and_the_same_ones_again():
    seed_all(0)
    settings = dict(preset="tiny", size=[32, 32], count=2, device="cpu")
    with TemporaryDirectory() as folder:
        entry, model = Entry("rabit", dict(k=1)), Path(folder) / "model"
        first, second = (measure(entry, 0, "2", settings, model) for _ in range(2))
        assert Translator.from_pretrained(model).config["k"] == 1
    assert {"epe", "pck", "warp_l1", "psnr", "ssim", "swd", "frechet", "copy_score"} <= first.keys()
    assert {"parameters", "step_seconds", "memory_mb"} <= first.keys() and first["steps"] == 2
    for k in ("epe", "pck", "warp_l1", "psnr", "frechet", "steps"): assert first[k] == second[k], k


def test_the_machine_is_described():
    found = machine_info(torch.device("cpu"))
    assert json.loads(json.dumps(found)) == found and found["gpu"] is None and found["rabit"] == __version__


def test_a_process_of_its_own_says_what_it_printed_and_how_it_ended():
    with TemporaryDirectory() as folder:
        Path(folder, "mine.py").write_text("import os\ndef dies(text): os.abort()\ndef ends(text):\n"
                                       "    print(os.getcwd())\n    raise SystemExit(text)")
        here = os.getcwd()
        try:
            os.chdir(folder)
            for ask in (_ask_server, _ask_server, _ask_process):
                code, out, err = ask("mine.ends", "no luck")
                assert code and (out, err) == (f"{os.getcwd()}\n", "no luck\n"), ask
            test_fail(lambda: run_in_subprocess("mine.dies", "", "a"), contains="a ended without a result")
            test_fail(lambda: run_in_subprocess("mine.nothing", "", "b"), contains="has no attribute 'nothing'")
        finally: os.chdir(here)


def test_runs_of_an_older_version_are_read_in_today_s_words():
    old = dict(name="a", entry=dict(system="rabit", model=dict(k=1), weights={}), row=dict(collapse=.5, pck=1.))
    new = upgrade_run(old)
    assert new["entry"] == asdict(Entry("rabit", dict(k=1))) and new["row"] == dict(copy_score=.5, pck=1.)
    assert upgrade_run(new) == new


def test_a_comparison_goes_on_where_it_stopped():
    settings = dict(preset="tiny", size=[32, 32], count=2, device="cpu")
    entries = {"a": Entry("rabit"), "b, k = 1": Entry("rabit", dict(k=1))}
    runs = plan_runs(entries, {"1": ["a", "b, k = 1"]}, [0], settings)
    with TemporaryDirectory() as folder:
        first = run_all(runs, folder, progress=False)
        assert [r["name"] for r in first] == ["a", "b, k = 1"]
        assert all(math.isfinite(r["row"]["epe"]) for r in first)
        def made(): return {p: p.stat().st_mtime_ns for p in Path(folder).rglob("*.row.json")}
        files = made()
        assert len(files) == 2 and run_all(runs, folder, progress=False) == first
        assert made() == files                                          # nothing was made again
        bad = plan_runs({"c": Entry("rabit", dict(k=99))}, {"1": ["c"]}, [0], settings)
        try: run_all(bad, folder, progress=False)
        except RabitError as e: assert "c, seed 0" in str(e) and "k = 99" in str(e)
        else: assert False
