"""Ctrl-C in the middle of a run, as a user presses it: the run is saved, the line to go on with is printed,
and going on ends in the bits that an undisturbed run ends in."""
import os, random, signal, tarfile, time
from pathlib import Path

import pytest
import torch
from PIL import Image
from forks import Fork
from safetensors import safe_open

import rabit.training.callbacks
from rabit.core.tensors import to_pil
from rabit.networks.pretrained import read_weights
from rabit.matching.street import street_pairs
from rabit.training.callbacks import read_log
from rabit.training.config import preset
from rabit.training.run import train

STEPS = 24  # of a run; the preset `tiny` writes to its log every 10


def start(cwd, *argv):
    "`rabit_train` in a process of its own"
    return Fork("rabit.training.train_commands:rabit_train", *argv, "--device", "cpu", cwd=cwd)


def finish(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


def wait_for_log(run, process):
    "Until the run has logged its first steps."
    log, end = run / "log.jsonl", time.monotonic() + 200
    while not (log.exists() and log.read_text()):
        assert (process.poll() is None and time.monotonic()
                < end), process.said()[1] or "too slow"
        time.sleep(.02)


def write_images(place):
    "Eight street scenes as a folder, mine, and as two archives, tars."
    scenes = street_pairs(range(8), size=(32, 32))
    for part in ("mine/images", "mine/labels", "tars"): (place / part).mkdir(parents=True)
    archives = [tarfile.open(place / "tars" / f"{n}.tar", "w") for n in "ab"]
    for i in range(8):
        files = place / "mine/images" / f"s{i}_0.png", place / "mine/labels" / f"s{i}_0.png"
        to_pil(scenes["image"][i]).save(files[0])
        Image.fromarray(scenes["labels"][i].byte().numpy()).save(files[1])
        for file, ending in zip(files, (".png", ".labels.png")):
            archives[i % 2].add(file, f"s{i}_0{ending}")
    for archive in archives: archive.close()


def steps_done(run):
    with safe_open(run / "state.safetensors", "pt") as f: return int(f.metadata()["done"])


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT")
def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path):
    options = ("--preset", "tiny", "--size", "32x32", "--steps", str(STEPS), "--save-every", "1000", "--seed",
               "5")
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


@pytest.mark.skipif(os.name == "nt", reason="sends SIGKILL")
@pytest.mark.parametrize("data, steps, most", [("street", 36, 3), ("mine", 16, 1), ("tars", 16, 1)])
def test_a_run_that_is_killed_again_and_again_ends_in_the_same_bits(tmp_path, data, steps, most):
    """SIGKILL at moments that nobody chose, once in the middle of a save as likely as not; on scenes, and on
    images whose epochs (of eight) go on where they were."""
    if data != "street": write_images(tmp_path)
    options = ("--preset", "tiny", "--size", "32x32", "--steps", str(steps), "--save-every", "5", "--seed",
               "6", "--data", data, *(() if data == "street" else ("--classes", "7")))
    whole = tmp_path / "whole"
    killed = tmp_path / "killed"
    chance = random.Random(1)
    finish(start(tmp_path, *options, "--out", "whole"))
    argv, deaths = (*options, "--out", "killed"), 0
    while deaths < most:
        process, before = start(tmp_path, *argv), (
            steps_done(killed) if (killed / "state.safetensors").exists() else 0
        )
        end = time.monotonic() + 200
        while not (killed / "state.safetensors").exists() or steps_done(killed) <= before:
            assert process.poll() is None and time.monotonic() < end, "it ended, or hangs"
            time.sleep(.01)
        time.sleep(chance.random() * .15)
        process.kill()
        process.communicate()
        argv, deaths = ("--resume", "killed"), deaths + 1
    assert steps_done(killed) < steps, "it was through before it was killed: nothing was shown"
    finish(start(tmp_path, "--resume", "killed"))
    one, two = (read_weights(run / "state.safetensors") for run in (killed, whole))
    assert one.keys() == two.keys() and all((one[k] == two[k]).all() for k in one)
    assert (killed / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    logged = [row["step"] for row in read_log(killed) if "seconds" in row]
    assert logged == sorted(logged) and logged[-1] == steps


@pytest.mark.skipif(os.name == "nt", reason="sends SIGTERM")
def test_sigterm_saves_and_says_how_to_go_on(tmp_path):
    process = start(tmp_path, "--preset", "tiny", "--size", "32x32", "--steps", "500", "--save-every", "1000",
                    "--out", "run")
    wait_for_log(tmp_path / "run", process)
    process.terminate()
    out, err = process.communicate(timeout=200)
    assert (process.returncode == 130 and "Traceback" not in err
            and err.rstrip().endswith("rabit_train --resume run"))
    assert steps_done(tmp_path / "run") >= 10
    # no value is lost
    assert read_log(tmp_path / "run")[-1]["step"] == steps_done(tmp_path / "run")


@pytest.mark.parametrize("minutes, expected", [(1e-9, [1, 2, 3, 4, 5]), (1e9, [5])])
def test_saves_after_minutes(tmp_path, monkeypatch, minutes, expected):
    saved = []
    def save(trainer, out): saved.append(trainer.done)
    monkeypatch.setattr(rabit.training.callbacks, "save_state", save)
    train(preset("tiny", size=(16, 16), steps=5, save_every=1000, save_minutes=minutes, sample_every=1000),
          tmp_path / "run", device="cpu", progress=False)
    assert saved == expected


def test_a_damaged_save_is_said_and_the_one_before_goes_on(tmp_path):
    options = ("--preset", "tiny", "--size", "32x32", "--steps", "6", "--save-every", "2")
    finish(start(tmp_path, *options, "--out", "whole"))
    state = tmp_path / "whole" / "state.safetensors"
    # the file is about to change under them
    wanted = {k: v.clone() for k, v in read_weights(state).items()}
    state.write_bytes(state.read_bytes()[:-500])
    process = start(tmp_path, "--resume", "whole")
    out, err = process.communicate(timeout=200)
    assert (process.returncode == 0 and "going on from the save before, at step 4" in err
            and "Traceback" not in err)
    found = read_weights(state)
    assert found.keys() == wanted.keys() and all((found[k] == wanted[k]).all() for k in found)


def test_a_full_disk_ends_the_run_in_one_line_and_loses_nothing_saved(tmp_path, monkeypatch):
    import rabit.training.checkpoint
    from rabit.core.tensors import RabitError
    from rabit.training.checkpoint import load_state
    from rabit.training.config import preset
    from rabit.training.run import train
    config = preset("tiny", size=(32, 32), steps=8, save_every=2, log_every=2, sample_every=100)
    train(config, tmp_path / "whole", device="cpu", progress=False)
    saves, real = [], rabit.training.checkpoint.save_file
    def full(tensors, path, note=None):
        saves.append(path)
        # the third save fills the disk halfway through
        if len(saves) == 3:
            Path(path).write_bytes(b"half a file")
            raise OSError(28, "No space left on device")
        real(tensors, path, note)
    monkeypatch.setattr(rabit.training.checkpoint, "save_file", full)
    with pytest.raises(RabitError, match="state.safetensors cannot be written .No space left on device"):
        train(config, tmp_path / "full", device="cpu", progress=False)
    assert load_state(tmp_path / "full", torch.device("cpu")).done == 4
    monkeypatch.setattr(rabit.training.checkpoint, "save_file", real)
    train(None, tmp_path / "full", device="cpu", progress=False)
    one, two = (read_weights(tmp_path / run / "state.safetensors") for run in ("whole", "full"))
    assert one.keys() == two.keys() and all((one[k] == two[k]).all() for k in one)
