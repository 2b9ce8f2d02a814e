# Generated from nbs/5_training/56_run.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import io
import math
import os
import pytest
import signal
import torch
import warnings
from PIL import Image
from contextlib import redirect_stderr
from dataclasses import replace
from pathlib import Path
from rabit.core.tensors import RabitError
from rabit.core.tensors import pixel_grid
from rabit.core.tensors import to_pil
from rabit.inputs.samples import SceneDataset
from rabit.matching.street import STREET
from rabit.matching.street import street_pairs
from rabit.networks.familiarity import write_statistics
from rabit.networks.translate import Translator
from rabit.training.callbacks import read_log
from rabit.training.callbacks import write_log
from rabit.training.checkpoint import STATE
from rabit.training.checkpoint import load_state
from rabit.training.checkpoint import save_state
from rabit.training.config import TrainConfig
from rabit.training.config import make_dataset
from rabit.training.config import preset
from rabit.training.config import small
from rabit.training.run import check_same_files
from rabit.training.run import folder_statistics
from rabit.training.run import open_run
from rabit.training.run import remember_exemplars
from rabit.training.run import train
from rabit.training.run import warn_of_data
from rabit.training.terms import PAPER_WEIGHTS
from rabit.training.trainer import Callback
from safetensors.torch import load_file
from tempfile import TemporaryDirectory
from types import SimpleNamespace

cpu = torch.device("cpu")

class Changed:
    "A dataset whose batches pass through a function of (indices, batch)"
    def __init__(self, dataset, change):
        self.dataset, self.change = dataset, change
        self.classes, self.size = dataset.classes, dataset.size
    def batch(self, indices, device="cpu"):
        return self.change(list(indices), self.dataset.batch(indices, device))

def broken(wrong):
    "A change that puts NaN into the images of those batches whose first index is `wrong`"
    def change(indices, batch):
        return batch | dict(image=batch["image"] * (math.nan if wrong(indices[0]) else 1))
    return change

def write_folder(root, n=6):
    "A data folder of small streets, in three sequences"
    scenes = street_pairs(range(n), size=(32, 32))
    for i in range(n):
        for kind, image in (("images", to_pil(scenes["image"][i])), ("labels", Image.fromarray(
                scenes["labels"][i].byte().numpy()))):
            (root / kind).mkdir(parents=True, exist_ok=True)
            image.save(root / kind / f"walk{i // 2}_{i % 2}.png")
    return root


def test_folders_that_are_taken_or_linked_or_cannot_be_written_are_refused_and_logs_are_cut_back():
    with TemporaryDirectory() as folder:
        run, file, linked = (Path(folder) / name for name in ("run", "file", "linked"))
        with open_run(run, None): write_log(run, [dict(step=s) for s in (2, 4, 6)])
        # what others may have put there
        with open(run / "log.jsonl", "ab") as f:
            f.write(b'7\nnull\n[1]\n{"step": "x"}\n\xff\xfe\n' + b"[" * 50_000 + b'\n{"step": 4, "wa')
        with open_run(run, 4): assert read_log(run) == [dict(step=2), dict(step=4)] and (run / "samples").is_dir()
        for path in (run / "model.safetensors", file): path.touch()
        linked.mkdir()
        (linked / "samples").symlink_to(run)
        def refused(out, done, word):
            try:
                with open_run(out, done): raise AssertionError(f"{out} was taken")
            except RabitError as e: assert word in str(e) and str(out) in str(e), e
        for out, done, word in ((run, None, "holds a run already"), (file / "run", None, "cannot be written"),
                                (linked, 0, "links")): refused(out, done, word)
        with open_run(run, 4): refused(run, 4, "another process")
        assert len(read_log(run)) == 2
        precious, log = run / "precious", run / "log.jsonl"
        precious.write_text("mine")
        log.unlink()
        log.symlink_to(precious)
        with open_run(run, 4): write_log(run, [dict(step=5)])
        # a link is replaced, not followed
        assert precious.read_text() == "mine" and read_log(run) == [dict(step=5)]
        log.unlink()
        os.mkfifo(log)
        # and a pipe is not waited for
        with open_run(run, 4): assert read_log(run) == []


def test_statistics_of_the_exemplars_that_a_run_has_seen_go_with_its_model():
    batches = [SceneDataset(size=(16, 16)).batch(range(i, i + 40)) for i in (0, 40)]
    one = SimpleNamespace(rank=0, ema=SimpleNamespace(statistics=None))
    with TemporaryDirectory() as tmp:
        assert list(remember_exemplars(one, batches, Path(tmp))) == batches
        assert one.ema.statistics.count == 80 and one.ema.statistics.distance(batches[0]["exemplar"]).mean() < 1.5
        write_statistics(one.ema.statistics, tmp)
        again = SimpleNamespace(rank=0, ema=SimpleNamespace(statistics=None))
        list(remember_exemplars(again, batches[:1], Path(tmp)))
        assert again.ema.statistics == one.ema.statistics                # a run that goes on has them already


def test_statistics_of_a_folder_are_of_its_images_as_they_lie():
    class Files:
        "Seventy files, one of which cannot be read"
        stems = [str(i) for i in range(70)]
        images = SceneDataset(size=(16, 16)).batch(range(70))["image"]
        def read_pair(self, stem):
            if stem == "7": raise RabitError("7.png is damaged")
            return self.images[int(stem)], None
    found = folder_statistics(Files())
    assert found.count == 69 and float(found.distance(Files.images).mean()) < 1.2
    assert folder_statistics(SceneDataset()) is None


def test_a_folder_without_a_second_sequence_is_warned_of():
    def said(groups, lists=None):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warn_of_data(SimpleNamespace(group_ids=groups, lists=lists))
        return [str(w.message) for w in caught]
    assert "(1 images in 1 sequences): the model will learn to copy" in said([0])[0]
    assert said([0, 1]) == said([0], {"a": ["b"]}) == []


def test_a_run_ends_with_weights_that_can_be_used_and_data_of_other_classes_are_refused():
    with TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        try: train(small(classes=5), out, device="cpu", progress=False)
        except RabitError as e: assert "7 classes" in str(e) and not out.exists()
        else: raise AssertionError("seven classes fitted into five")
        config = small(steps=3, log_every=2, sample_every=2, weights=dict(adversarial=0.))
        model, log = train(config, out, device="cpu", progress=False), read_log(out)
        assert [row["step"] for row in log] == [2, 2, 3, 3] and [row["skipped"] for row in log[::2]] == [0, 0]
        assert {"seconds", "warp", "match", "entropy", "gradient"} <= log[0].keys()
        assert 0 < log[1]["copy_score"] < 1
        assert sorted(p.name for p in (out / "samples").iterdir()) == ["000002.png", "000003.png"]
        back = Translator.from_pretrained(out)
        assert all(torch.equal(v, model.state_dict()[k]) for k, v in back.state_dict().items())
        before = (out / "state.safetensors").read_bytes()
        with redirect_stderr(io.StringIO()) as said: train(None, out, device="cpu", progress=False)
        assert "done its 3 steps" in said.getvalue()
        try: train(small(), out, device="cpu", progress=False)
        except RabitError as e:
            assert "holds a run already" in str(e) and (out / "state.safetensors").read_bytes() == before
        else: raise AssertionError("a run was overwritten")


def test_a_saved_run_does_not_import_the_data_that_its_file_names():
    with TemporaryDirectory() as folder:
        train(small(steps=1), folder, device="cpu", progress=False)
        forged = load_state(folder, cpu)
        forged.config.data = "rabit_forged_module:Data"
        save_state(forged, folder)
        try: train(None, folder, steps=2, device="cpu", progress=False)
        except RabitError as e: print(e); assert "rabit_forged_module:Data" in str(e) and "register" in str(e)
        else: raise AssertionError("what a file names was imported")
        # your own data, registered or passed, are taken
        train(None, folder, steps=2, device="cpu", progress=False, dataset=make_dataset(small()))
        assert load_state(folder, cpu).done == 2


def test_a_run_goes_on_where_its_data_have_moved_and_is_the_same_run():
    with TemporaryDirectory() as folder:
        home, out = write_folder(Path(folder) / "old"), Path(folder) / "run"
        (home / "list.txt").write_text("".join(f"walk{i // 2}_{i % 2},walk{(i // 2 + 1) % 3}_0\n"
                                               for i in range(6)))
        config = small(data=str(home), steps=4, save_every=2, exemplars=str(home / "list.txt"))
        whole = train(config, out, device="cpu", progress=False)
        (out / STATE).unlink()                                     # back to the save before, of step 2
        again = home.rename(Path(folder) / "new")
        with redirect_stderr(io.StringIO()) as said:
            back = train(None, out, device="cpu", progress=False, data=again)
        assert all(torch.equal(v, back.state_dict()[k]) for k,
                   v in whole.state_dict().items()) and "began" not in str(said)
        saved = load_state(out, cpu).config
        assert saved.data == str(again.resolve()) and saved.exemplars == str(again.resolve() / "list.txt")
        assert saved.data_files.startswith("12 files, ")
        (Path(folder) / "new").rename(Path(folder) / "newer")
        try: train(None, out, steps=6, device="cpu", progress=False)
        except RabitError as e: assert "no longer there" in str(e) and "--data FOLDER" in str(e)
        else: raise AssertionError("data were found where there are none")
        (Path(folder) / "newer").rename(again)
        other = write_folder(Path(folder) / "other", 4)
        (other / "list.txt").write_text("".join(f"walk{i // 2}_{i % 2},walk{(i // 2 + 1) % 2}_0\n"
                                                for i in range(4)))
        try:
            train(None, out, steps=6, device="cpu", progress=False, data=other)
        except RabitError as e:
            print(str(e).replace(folder, "…"))
            assert "12 files" in str(e) and "8 files" in str(e)
        else:
            raise AssertionError("other data were taken for the same")
        Image.new("RGB", (32, 32)).save(again / "images" / "walk0_0.png")
        with redirect_stderr(io.StringIO()) as said: train(None, out, steps=5, device="cpu", progress=False)
        assert "goes on with what is there" in said.getvalue()
        unknown = replace(saved, data_files=None)                  # as version 0.1 saved it
        with redirect_stderr(io.StringIO()) as said: check_same_files(unknown, "12 files, 0", moved=True)
        assert "kept no list" in said.getvalue() and len(said.getvalue().splitlines()) == 1


def test_a_model_keeps_the_names_of_its_classes():
    with TemporaryDirectory() as folder:
        home = write_folder(Path(folder) / "mine")
        train(small(steps=1), Path(folder) / "street", device="cpu", progress=False)
        street = Translator.from_pretrained(Path(folder) / "street").config["names"]
        assert street == Translator.from_pretrained("street-64").config["names"] == list(STREET.classes)
        names = [f"thing {i}" for i in range(7)]
        (home / "labelmap.txt").write_text("".join(f"{name}:{i},9,{i}::\n" for i, name in enumerate(names)))
        train(small(steps=1, data=str(home)), Path(folder) / "run", device="cpu", progress=False)
        assert Translator.from_pretrained(Path(folder) / "run").config["names"] == names


def test_callbacks_of_ones_own_are_called_and_remember_what_they_saved():
    class Counter(Callback):
        "Counts steps"
        def __init__(self): self.steps = 0
        def after_step(self, trainer): self.steps += 1
        def state(self): return dict(counted=torch.tensor(self.steps))
        def load_state(self, tensors): self.steps = int(tensors["counted"])

    with TemporaryDirectory() as folder:
        train(small(steps=3), folder, device="cpu", progress=False, callbacks=[first := Counter()])
        train(None, folder, steps=5, device="cpu", progress=False, callbacks=[second := Counter()])
        assert (first.steps, second.steps) == (3, 5)
        # without it, its part of the state is left alone
        train(None, folder, steps=6, device="cpu", progress=False)


def test_every_world_trains_through_the_same_loop():
    for data, kind in (("street", "labels"), ("face", "edges"), ("figure", "joints"), ("street", "image")):
        model = dict(width=4, features=8) | (dict(condition="image") if kind == "image" else {})
        config = preset("tiny", data=data, size=(32, 32), steps=2, log_every=1, sample_every=2, save_every=2,
                        model=model)
        with TemporaryDirectory() as folder:
            model, log = train(config, folder, device="cpu", progress=False), read_log(folder)
            assert model.config["condition"] == kind and log[-1]["epe"] > 0
            assert all(row["match"] > 0 and ("segmentation" in row) == (kind != "image") for row in log[:2])
            assert ("mask" in log[0]) == (kind == "labels") and (Path(folder) / "samples" / "000002.png").exists()
            assert Translator.from_pretrained(folder).config == model.config
            streets = make_dataset(preset("tiny", size=(32, 32)))
            try: train(None, folder, steps=3, device="cpu", progress=False, dataset=streets)
            except RabitError as e:
                assert kind != "labels" and "conditions are labels" in str(e) and kind in str(e)
            else: assert kind == "labels"
    try: train(TrainConfig(data="figure", classes=35, steps=1), "never", device="cpu"); said = ""
    except RabitError as e: said = str(e)
    assert "joints" in said and "labels" in said and "'coord'" in said and not Path("never").exists()


def test_an_interrupted_and_resumed_run_equals_one_that_never_stopped():
    with TemporaryDirectory() as folder:
        whole, halved = Path(folder) / "whole", Path(folder) / "halved"
        config = small(steps=8, save_every=3, aspect_jitter=2.)
        train(config, whole, device="cpu", progress=False)
        def press(indices, batch):
            if indices[0] == 10: os.kill(os.getpid(), signal.SIGINT)                 # the sixth batch
            return batch
        said = io.StringIO()
        try:
            with redirect_stderr(said):
                train(config, halved, device="cpu", progress=False, dataset=Changed(make_dataset(config), press))
        except KeyboardInterrupt: pass
        else: raise AssertionError("Ctrl-C went unheard")
        stopped = load_state(halved, cpu).done
        assert 0 < stopped < 8 and f"--resume {halved}" in said.getvalue()
        assert f"step {stopped} of 8" in said.getvalue()
        train(None, halved, device="cpu", progress=False, workers=3)
        one, two = (load_file(out / "state.safetensors") for out in (whole, halved))
        assert one.keys() == two.keys() and all(torch.equal(v, two[k]) for k, v in one.items())
        assert (whole / "model.safetensors").read_bytes() == (halved / "model.safetensors").read_bytes()


def test_a_run_that_dies_leaves_its_last_save():
    with TemporaryDirectory() as folder:
        config, dataset = small(steps=20, save_every=2, log_every=1), make_dataset(small())
        try:
            train(config, folder, device="cpu", progress=False,
                  dataset=Changed(dataset, broken(lambda i: i == 2 or i >= 6)))
        except RabitError as e: assert "up to step 8" in str(e)
        else: raise AssertionError("NaN went unnoticed")
        survivor = load_state(folder, cpu)
        assert survivor.done in (4, 6) and all(v.isfinite().all() for v in survivor.state().values())
        assert [row["skipped"] for row in read_log(folder)] == [0, 1, 0, 1, 1, 1, 1]
        assert survivor.step(dataset.batch([0, 1]))["gradient"].isfinite()


def test_a_run_whose_features_are_all_alike_says_so_once():
    with TemporaryDirectory() as folder:
        weights = dict.fromkeys(PAPER_WEIGHTS, 0.) | dict(warp=3., feature=6000.)
        alike = small(steps=20, log_every=2, weights=weights, model=dict(position="none"))
        with redirect_stderr(io.StringIO()) as said: train(alike, folder, device="cpu", progress=False)
        assert said.getvalue().count("all features look alike") == 1 and "6000" in said.getvalue()


def test_identity_collapse_is_warned_of_before_it_is_complete():
    def itself(indices, batch):
        "The image as its own exemplar, and the ground truth that belongs to it"
        return batch | dict(exemplar=batch["image"], exemplar_labels=batch["labels"],
                            position=pixel_grid((32, 32)).expand_as(batch["position"]),
                            visible=torch.ones_like(batch["visible"]))
    with TemporaryDirectory() as folder:
        config = small(steps=60, sample_every=10, log_every=20, model=dict(position="coord", temperature=.1),
                       weights=dict.fromkeys(PAPER_WEIGHTS, 0.) | dict(warp=6., pixel=1.))
        with redirect_stderr(io.StringIO()) as said:
            train(config, folder, device="cpu", progress=False, dataset=Changed(make_dataset(config), itself))
        copies = [row["copy_score_warp"] for row in read_log(folder) if "copy_score_warp" in row]
    warned = [int(line.split("step ")[1].split(":")[0]) for line in said.getvalue().splitlines()
              if "resemble their exemplars" in line]
    print("copy score of the warp:", [round(c, 2) for c in copies], "warnings at steps", warned)
    assert warned and copies[warned[0] // 10 - 1] < .95 < copies[-1]


@pytest.mark.gpu
def test_a_few_steps_on_a_gpu_can_be_continued_on_the_cpu_in_both_kinds_of_16_bits():
    if torch.cuda.is_available():
        for amp in ("bf16", "fp16"):
            with TemporaryDirectory() as folder:
                train(small(steps=4, save_every=2, amp=amp), folder, device="cuda", progress=False)
                assert all(v.isfinite().all() for v in load_state(folder, cpu).state().values())
                train(None, folder, steps=6, device="cpu", progress=False)
                assert load_state(folder, torch.device("cuda")).done == 6
    else: print("no GPU here: nothing was shown")
