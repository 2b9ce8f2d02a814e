"""Ctrl-C in the middle of a run, as a user presses it: the run is saved, the line to go on with is printed, and going on ends in the bits that an undisturbed run ends in."""
import os, signal, subprocess, sys, time
from pathlib import Path

import pytest
from safetensors import safe_open

from rabit.model import read_weights

ROOT = Path(__file__).resolve().parent.parent
STEPS = 24  # of a run; the preset `tiny` writes to its log every 10


def start(cwd, *argv):
    "`rabit_train` in a process of its own, on one thread, so that sums are taken in the same order."
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", "from rabit.cli import rabit_train; rabit_train()", *argv, "--device", "cpu"], cwd=cwd, env=env,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


def wait_for_log(run, process):
    "Until the run has logged its first steps."
    log, end = run / "log.jsonl", time.monotonic() + 200
    while not (log.exists() and log.read_text()):
        assert process.poll() is None and time.monotonic() < end, process.stderr.read() if process.poll() is not None else "too slow"
        time.sleep(.02)


def steps_done(run):
    with safe_open(run / "state.safetensors", "pt") as f: return int(f.metadata()["done"])


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT")
def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path):
    options = ("--preset", "tiny", "--size", "32x32", "--steps", str(STEPS), "--save-every", "1000", "--seed", "5")
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    finish(start(tmp_path, *options, "--out", "whole"))
    process = start(tmp_path, *options, "--out", "stopped")
    wait_for_log(stopped, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 130, err
    assert "Traceback" not in err and err.rstrip().endswith("rabit_train --resume stopped")
    assert 10 <= steps_done(stopped) < STEPS and (stopped / "model.safetensors").exists()
    finish(start(tmp_path, "--resume", "stopped"))
    assert steps_done(stopped) == steps_done(whole) == STEPS
    assert (stopped / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    one, two = (read_weights(run / "state.safetensors") for run in (stopped, whole))
    assert one.keys() == two.keys() and all((one[k] == two[k]).all() for k in one)
