"""Two processes (gloo, on the CPU) train as one does: the same losses, one folder, a save that any number goes on from, and an end in words when one of them dies."""
import os, signal, subprocess, sys, time
from pathlib import Path

import pytest
import torch

from rabit.model import read_weights
from rabit.train import read_log

ROOT = Path(__file__).resolve().parent.parent
OPTIONS = ("--preset", "tiny", "--size", "32x32", "--batch", "4", "--device", "cpu", "--seed", "3")
pytestmark = pytest.mark.skipif(os.name == "nt" or not torch.distributed.is_available(), reason="needs torch.distributed with gloo")


def start(cwd, processes, *argv):
    "`rabit_train` under torchrun, or alone"
    command = ["-m", "rabit.train"] if processes == 1 else ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m", "rabit.train"]
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, *command, *argv], cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def finish(process, code=0):
    try: out, err = process.communicate(timeout=240)
    finally:
        if process.poll() is None: os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == code, err
    return out, err


def test_two_processes_have_the_losses_of_one_and_either_goes_on_from_the_other(tmp_path):
    for name, processes in (("one", 1), ("two", 2)):
        out, err = finish(start(tmp_path, processes, *OPTIONS, "--steps", "10", "--out", name))
        assert out.count("weights, log and samples are in") == 1, "only the first process speaks"
    one, two = (read_log(tmp_path / name) for name in ("one", "two"))
    assert [row["step"] for row in one] == [row["step"] for row in two]
    for a, b in zip(one, two):
        assert a.keys() == b.keys()
        for key in a.keys() - {"seconds", "gradient", "collapse"}: assert abs(a[key] - b[key]) < 1e-5 * max(1, abs(a[key])), (key, a[key], b[key])
    for processes, name in ((1, "two"), (2, "one")): finish(start(tmp_path, processes, "--resume", name, "--steps", "20", "--device", "cpu"))
    states = [read_weights(tmp_path / name / "state.safetensors") for name in ("one", "two")]
    assert states[0].keys() == states[1].keys()
    logs = [read_log(tmp_path / name) for name in ("one", "two")]
    assert abs(logs[0][-1].get("warp", logs[0][-2].get("warp")) - logs[1][-1].get("warp", logs[1][-2].get("warp"))) < 1e-3


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path):
    process = start(tmp_path, 2, *OPTIONS, "--batch", "3", "--steps", "2", "--out", "run")
    out, err = process.communicate(timeout=200)
    assert process.returncode != 0 and "a batch of 3 records cannot be shared evenly by 2 processes" in err


def test_a_dead_process_ends_the_run_within_a_minute(tmp_path):
    process = start(tmp_path, 2, *OPTIONS, "--steps", "2000", "--save-every", "5", "--out", "run")
    try:
        end = time.monotonic() + 200
        while not (tmp_path / "run" / "state.safetensors").exists(): assert process.poll() is None and time.monotonic() < end; time.sleep(.1)
        children = [int(p) for p in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()] if Path("/proc").exists() else []
        if not children: pytest.skip("cannot find the processes here")
        died = time.monotonic()
        os.kill(children[-1], signal.SIGKILL)
        out, err = process.communicate(timeout=90)
        assert time.monotonic() - died < 60 and process.returncode != 0
        assert "another process ended or does not answer" in err or "exitcode  : -9" in err
        finish(start(tmp_path, 1, "--resume", "run", "--steps", "12", "--device", "cpu"))
    finally:
        if process.poll() is None: os.killpg(process.pid, signal.SIGKILL)
