"""Two processes (gloo, on the CPU) train as one does: the same losses, one folder, a save that any number
goes on from, and an end in words when one of them dies."""
import os, signal, socket, sys, time
from datetime import timedelta
from pathlib import Path

import pytest
import torch

from forks import Fork
from safetensors import safe_open

from rabit.networks.pretrained import read_weights
from rabit.training import callbacks, processes as process_group
from rabit.training.callbacks import read_log
from rabit.training.train_commands import rabit_train

ROOT = Path(__file__).resolve().parent.parent
# so slow that rounding, which differs, has no time to grow
OPTIONS = ("--preset", "tiny", "--size", "32x32", "--batch", "4", "--device", "cpu", "--seed", "3", "--lr",
           "1e-5")
# values of the log that time, or the last digits of sums, may change by more
NOISY = {"seconds", "gradient", "discriminator_gradient", "copy_score", "epe", "pck"}
pytestmark = pytest.mark.skipif(os.name == "nt" or not torch.distributed.is_available(),
                                reason="needs torch.distributed with gloo")


TRAIN = "from rabit.training.train_commands import rabit_train; rabit_train()"


def torchrun(cwd, *argv):
    "Two processes of `rabit_train`, as torchrun starts them"
    command = ("--standalone", "--nproc-per-node", "2", "--no-python", sys.executable, "-c", TRAIN)
    return Fork("torch.distributed.run:main", *command, *argv, cwd=cwd, PYTHONPATH=str(ROOT),
                OMP_NUM_THREADS="1")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(cwd, processes, *argv, what="rabit.training.train_commands:rabit_train"):
    "So many processes of `rabit_train` that know of each other"
    where = dict(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(free_port()), WORLD_SIZE=str(processes))
    return [Fork(what, *argv, cwd=cwd, RANK=str(i), LOCAL_RANK=str(i), **where) for i in range(processes)]


def outcomes(started):
    "Of each process its exit code, and what it said"
    try: said = [process.communicate(timeout=240) for process in started]
    finally:
        for process in started: process.kill()
    return [(process.returncode, out, err) for process, (out, err) in zip(started, said)]


def finish(*args, **kwargs):
    "What processes that must succeed say on standard output"
    found = outcomes(start(*args, **kwargs))
    for code, out, err in found: assert code == 0, err
    return "".join(out for code, out, err in found)


def wait_for(path, process):
    "Until the run has written that, or ended"
    end = time.monotonic() + 200
    while not path.exists():
        assert process.poll() is None and time.monotonic() < end, "it ended, or hangs"; time.sleep(.1)


def steps_done(run):
    with safe_open(run / "state.safetensors", "pt") as f: return int(f.metadata()["done"])


def children_of(pid):
    try: return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError: return []


def test_two_processes_have_the_losses_of_one_and_either_goes_on_from_the_other(tmp_path):
    for name, processes in (("one", 1), ("two", 2)):
        out = finish(tmp_path, processes, *OPTIONS, "--steps", "10", "--out", name)
        assert out.count("weights, log and samples are in") == 1, "only the first process speaks"
    one, two = (read_log(tmp_path / name) for name in ("one", "two"))
    assert [row["step"] for row in one] == [row["step"] for row in two]
    for a, b in zip(one, two):
        assert a.keys() == b.keys()
        for key in a.keys() - NOISY:
            assert abs(a[key] - b[key]) < 1e-5 * max(1, abs(a[key])), (key, a[key], b[key])
    for processes, name in ((1, "two"), (2, "one")):
        finish(tmp_path, processes, "--resume", name, "--steps", "20", "--device", "cpu")
    states = [read_weights(tmp_path / name / "state.safetensors") for name in ("one", "two")]
    assert states[0].keys() == states[1].keys()
    logs = [read_log(tmp_path / name) for name in ("one", "two")]
    assert abs(logs[0][-1].get("warp", logs[0][-2].get("warp"))
               - logs[1][-1].get("warp", logs[1][-2].get("warp"))) < 1e-3


def test_a_memory_of_codes_is_that_of_one_process(tmp_path):
    """MATEBIT's own loss compares with the codes of the whole batch and of all that was stored, whoever saw
    it."""
    options = (*OPTIONS, "--model", "matebit", "--model-arg", "warmup=3", "--model-arg", "memory=10",
               "--model-arg", "code=8", "--steps", "6")
    for name, processes in (("one", 1), ("two", 2)):
        finish(tmp_path, processes, *options, "--out", name)
    (one, _), (two, _) = (read_log(tmp_path / name) for name in ("one", "two"))
    assert one["extra"] > 0 and all(abs(one[key] - two[key]) < 1e-5 * max(1, abs(one[key]))
                                  for key in one.keys() - NOISY), (one, two)
    one, two = (read_weights(tmp_path / name / "state.safetensors") for name in ("one", "two"))
    for key in ("model.memory", "model.stored", "model.calls"):
        torch.testing.assert_close(one[key], two[key], rtol=1e-4, atol=1e-4)
    assert one["model.stored"] == 12 and one["model.calls"] == 6


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path):
    started = start(tmp_path, 2, *OPTIONS, "--batch", "3", "--steps", "2", "--out", "run")
    for code, out, err in outcomes(started):
        assert code == 2 and "a batch of 3 samples cannot be shared evenly by 2 processes" in err


def test_a_dead_process_ends_the_run_within_a_minute(tmp_path):
    process = torchrun(tmp_path, *OPTIONS, "--steps", "2000", "--save-every", "5", "--out", "run")
    try:
        wait_for(tmp_path / "run" / "state.safetensors", process)
        children = children_of(process.pid)
        if not children: pytest.skip("cannot find the processes here")
        died = time.monotonic()
        os.kill(children[-1], signal.SIGKILL)
        out, err = process.communicate(timeout=90)
        assert time.monotonic() - died < 60 and process.returncode != 0
        assert "another process ended or does not answer" in err or "exitcode  : -9" in err
        finish(tmp_path, 1, "--resume", "run", "--steps", "12", "--device", "cpu")
    finally:
        if process.poll() is None:
            for pid in (*children_of(process.pid), process.pid): os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("number", (signal.SIGINT, signal.SIGTERM))
def test_a_signal_saves_once_and_nobody_stays(tmp_path, number):
    process = torchrun(tmp_path, *OPTIONS, "--steps", "2000", "--save-every", "1000", "--out", "run")
    try:
        wait_for(tmp_path / "run" / "log.jsonl", process)
        # the first line is written at step 10
        while not read_log(tmp_path / "run"): assert process.poll() is None; time.sleep(.1)
        children, asked = children_of(process.pid), time.monotonic()
        # Ctrl-C reaches torchrun alone: its processes have sessions of their own
        os.kill(process.pid, number)
        out, err = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            for pid in (*children_of(process.pid), process.pid): os.kill(pid, signal.SIGKILL)
    assert time.monotonic() - asked < 60 and process.returncode != 0
    assert (err.count("stopping after this step") == 1 and err.count("to go on:  rabit_train --resume run")
            == 1)
    assert not [child for child in children if Path(f"/proc/{child}").exists()]
    assert ((tmp_path / "run" / "state.safetensors").exists()
            and not (tmp_path / "run" / "state.previous.safetensors").exists()), "one save"
    saved = steps_done(tmp_path / "run")
    assert 10 <= saved < 2000 and read_log(tmp_path / "run")[-1]["step"] == saved
    finish(tmp_path, 1, "--resume", "run", "--steps", str(saved + 2), "--device", "cpu")
    assert steps_done(tmp_path / "run") == saved + 2


def slow_saves(argv):
    "`rabit_train` with saves that take nearly twice as long as it waits for a step"
    process_group.PROCESS_TIMEOUT, real = timedelta(seconds=5), callbacks.save_state
    def slow(trainer, out):
        time.sleep(9)
        real(trainer, out)
    callbacks.save_state = slow
    rabit_train(argv)


def test_a_save_slower_than_the_patience_of_a_step_is_waited_for(tmp_path):
    finish(tmp_path, 2, *OPTIONS, "--steps", "4", "--save-every", "2", "--out", "run",
           what=f"{__name__}:slow_saves")
    assert steps_done(tmp_path / "run") == 4 and (tmp_path / "run" / "state.previous.safetensors").exists()
