"""The commands as a user calls them: what is broken, missing or out of range ends in one line that names it,
exit code 2, and nothing on the disk has changed.

Most calls run inside this process, since a new one spends seconds on importing PyTorch; what escapes a
command as a traceback fails the test all the same. Some are started as a user starts them."""
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest, torch
from PIL import Image

from rabit.core.tensors import to_pil
from rabit.data.data_commands import rabit_doctor, rabit_retrieve
from rabit.matching.street import STREET_CLASSES, street_pairs
from rabit.networks.translate import Translator, rabit
from rabit.tools import use_commands
from rabit.tools.use_commands import rabit_edit, rabit_translate
from rabit.training.eval_commands import rabit_demo, rabit_eval
from rabit.training.train_commands import rabit_train

CLASSES, ROOT = len(STREET_CLASSES), Path(__file__).resolve().parent.parent
cli = SimpleNamespace(rabit_doctor=rabit_doctor, rabit_retrieve=rabit_retrieve, rabit_edit=rabit_edit,
                      rabit_translate=rabit_translate, rabit_demo=rabit_demo, rabit_eval=rabit_eval,
                      rabit_train=rabit_train)


def save_labels(labels, path): Image.fromarray(labels.byte().numpy()).save(path)


def save_pair(root, name, record):
    for part in ("images", "labels"): (root / part).mkdir(parents=True, exist_ok=True)
    to_pil(record["image"]).save(root / "images" / f"{name}.png")
    save_labels(record["labels"][0], root / "labels" / f"{name}.png")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    "A folder with good and bad files, weights and data; made once, never written to again"
    home = tmp_path_factory.mktemp("user")
    one, other = street_pairs([6], size=(48, 64)), street_pairs([3], size=(40, 40))
    labels = one["labels"][0]
    save_labels(labels, home / "labels.png")
    save_labels(labels.masked_fill(labels == 4, 0), home / "edited.png")
    save_labels(labels[:, :60], home / "narrow.png")
    save_labels(labels + CLASSES, home / "ids.png")
    Image.fromarray(labels.byte().numpy()).save(home / "labels.jpg")
    to_pil(one["image"]).save(home / "street.png")
    to_pil(other["exemplar"]).save(home / "exemplar.png")
    save_labels(other["exemplar_labels"][0], home / "exemplar_labels.png")
    (home / "cut.png").write_bytes((home / "street.png").read_bytes()[:1500])
    (home / "empty.png").touch()
    (home / "text.png").write_text("no image")
    (home / "old.png").write_bytes((home / "street.png").read_bytes())
    make_weights(home)
    make_data(home)
    return home


def make_weights(home):
    torch.manual_seed(0)
    good = rabit(CLASSES, (32, 32), width=8, features=16).save_pretrained(home / "weights")
    weights = (good / "model.safetensors").read_bytes()
    for name in ("cut", "wide", "bare", "odd"): (home / name).mkdir()
    for name in ("cut", "wide", "odd"):
        (home / name / "config.json").write_text((good / "config.json").read_text())
    (home / "cut" / "model.safetensors").write_bytes(weights[:len(weights) // 2])
    rabit(CLASSES, (32, 32), width=12, features=16).save_pretrained(home / "wider")
    (home / "wide" / "model.safetensors").write_bytes((home / "wider" / "model.safetensors").read_bytes())
    (home / "bare" / "model.safetensors").write_bytes(weights)
    (home / "odd" / "config.json").write_text('{"builder": "rabit.data.pairs.write_pairs", "pairs": {}, '
                                              '"path": "written.json"}')
    rabit(3, (32, 32), width=8, features=16).save_pretrained(home / "three")


def make_data(home):
    records = [street_pairs([i], size=(24, 32)) for i in range(4)]
    for root in ("mine", "lonely", "uneven", "hollow"):
        for i, record in enumerate(records): save_pair(home / root, f"walk{i // 2}_{i % 2}", record)
    (home / "lonely" / "labels" / "walk0_1.png").unlink()
    save_labels(records[0]["labels"][0, :20], home / "uneven" / "labels" / "walk1_0.png")
    (home / "hollow" / "images" / "walk1_1.png").write_bytes(b"")
    (home / "nothing").mkdir()
    (home / "run").mkdir()
    (home / "run" / "state.safetensors").write_bytes(b"cut short")
    (home / "run" / "model.safetensors").write_bytes(b"cut short")
    (home / "trained").mkdir()
    (home / "trained" / "state.safetensors").write_bytes(b"never read")
    (home / "trained" / "train.json").write_text('{"data": "street", "builder": "rabit"}')


@pytest.fixture
def home(made, monkeypatch):
    "Work in that folder, and see afterwards that nothing in it has changed."
    monkeypatch.chdir(made)
    def state():
        return {p.relative_to(made).as_posix(): p.read_bytes() if p.is_file() else None
                for p in made.rglob("*")}
    before = state()
    yield made
    after = state()
    assert after.keys() == before.keys(), f"left behind or lost: {after.keys() ^ before.keys()}"
    assert after == before


def refused(capsys, line, *words):
    "Run a command line that has to fail; its one line on standard error holds all of the words."
    name, *argv = line.split()
    with pytest.raises(SystemExit) as stop: getattr(cli, name)(argv)
    said = capsys.readouterr().err
    assert stop.value.code == 2, said
    assert said.startswith(f"{name}: ") and said.count("\n") == 1 and said.endswith("\n"), said
    for word in words: assert word in said, said
    assert "Traceback" not in said


def process(name, *argv, cwd, **options):
    "The command as `pip install` makes it, in a process of its own."
    code = f"import sys; from {getattr(cli, name).__module__} import {name}; {name}()"
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, "-c", code, *map(str, argv)], cwd=cwd, env=env,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)


TRANSLATE = "rabit_translate --checkpoint weights --device cpu -o old.png "


@pytest.mark.parametrize(
    "line, words",
    [
        ("nowhere.png exemplar.png", ["nowhere.png", "no such file"]),
        ("labels.png nowhere.jpg", ["nowhere.jpg", "no such file"]),
        ("labels.png mine", ["mine", "folder"]),
        ("labels.png cut.png", ["cut.png", "truncated"]),
        ("cut.png exemplar.png", ["cut.png", "truncated"]),
        ("labels.png empty.png", ["empty.png", "empty"]),
        ("empty.png exemplar.png", ["empty.png", "empty"]),
        ("labels.png text.png", ["text.png", "no known image format"]),
        ("ids.png exemplar.png", ["ids.png", "this model knows", "--map"]),
        ("labels.jpg exemplar.png", ["labels.jpg", "JPEG", "PNG"]),
        ("street.png exemplar.png", ["street.png", "colored"]),
        (
            "labels.png exemplar.png --exemplar-condition labels.png",
            ["exemplar of 40×40", "exemplar_condition of 64×48"],
        ),
        ("labels.png exemplar.png --exemplar-condition ids.png", ["ids.png"]),
    ],
)
def test_bad_files_are_named(home, capsys, line, words):
    refused(capsys, TRANSLATE + line, *words)


@pytest.mark.parametrize("line, words", [
    ("labels.png", ["exemplar", "--help"]),
    ("labels.png exemplar.png --seed 3", ["--seed"]),
    ("labels.png exemplar.png --size 64", ["'64'", "128x96"]),
    ("labels.png exemplar.png --size 64x-1", ["'64x-1'", "8"]),
    ("labels.png exemplar.png --size 8x8", ["8×8", "k = 3", "1 blocks"]),
    ("labels.png exemplar.png --device tpu9", ["tpu9", "cpu"]),
])
def test_bad_arguments_are_named(home, capsys, line, words): refused(capsys, TRANSLATE + line, *words)


@pytest.mark.parametrize("weights, words", [
    ("cut", ["cut/model.safetensors", "cut short"]),
    ("wide", ["wide/model.safetensors", "of another shape", "more"]),
    ("bare", ["bare", "config.json"]),
    ("odd", ["odd/config.json", "write_pairs", "does not get it imported"]),
    ("no-such-name", ["'no-such-name'", "ship"]),
    ("three", ["labels.png", "this model knows 0 to 2"]),
])
def test_bad_weights_are_named(home, capsys, weights, words):
    refused(capsys, f"rabit_translate labels.png exemplar.png --checkpoint {weights} -o old.png", *words)


@pytest.mark.parametrize("out, words", [
    ("street.png/out.png", ["street.png/out.png", "no folder"]),
    ("street.png/deeper/out.png", ["street.png", "no folder"]),
    ("mine", ["mine", ".png"]),
    ("old.txt", ["old.txt", ".png"]),
])
def test_unwritable_images_are_refused_before_any_work(home, capsys, monkeypatch, out, words):
    monkeypatch.setattr(use_commands, "load_model", lambda *args, **options: pytest.fail("loaded first"))
    refused(capsys, f"rabit_translate labels.png exemplar.png -o {out}", *words)
    refused(capsys, f"rabit_edit street.png labels.png edited.png -o {out}", *words)


def test_an_edit_wants_three_maps_of_one_size(home, capsys):
    edit = "rabit_edit --checkpoint weights --device cpu -o old.png "
    refused(capsys, edit + "street.png labels.png narrow.png", "image of 64×48", "edited of 60×48")
    refused(capsys, edit + "street.png exemplar_labels.png edited.png", "condition of 40×40")
    refused(capsys, edit + "street.png labels.png ids.png", "ids.png")
    refused(capsys, edit + "cut.png labels.png edited.png", "cut.png")


TRAIN = "rabit_train --preset tiny --steps 2 --device cpu --out new "


@pytest.mark.parametrize("line, words", [
    ("--data nowhere --classes 7", ["nowhere", "no such folder"]),
    ("--data mine", ["mine", "--classes"]),
    ("--data nothing --classes 7", ["nothing", "images/"]),
    ("--data lonely --classes 7", ["walk0_1.png", "partner"]),
    ("--data uneven --classes 7", ["walk1_0.png", "32×24", "32×20"]),
    ("--data hollow --classes 7", ["walk1_1.png", "empty"]),
    ("--data mine --classes 7 --split test", ["'test'"]),
    ("--data mine --classes 7 --self-pair-prob 2", ["self_pair_prob=2"]),
    ("--loss-weight mach=1", ["mach", "match"]),
    ("--loss-weight match", ["'match'", "NAME=NUMBER"]),
    ("--loss-weight match=nan", ["nan", "finite"]),
    ("--seed -1", ["-1", "0 or more"]),
    ("--split val", ["--split", "folders"]),
    ("--data mine --classes 7 --exemplars nowhere.json", ["nowhere.json"]),
    ("--classes 5", ["7 classes", "--classes 7"]),
    ("--size 70x50", ["70x50", "multiples of 8"]),
    ("--steps 0", ["'0'", "at least 1"]),
    ("--lr nan", ["'nan'", "above 0"]),
    ("--preset huge", ["huge", "tiny"]),
    ("--vgg nowhere.pth", ["nowhere.pth"]),
])
def test_training_refuses_what_does_not_fit(home, capsys, line, words): refused(capsys, TRAIN + line, *words)


@pytest.mark.parametrize(
    "line, words",
    [
        ("--resume nowhere", ["nowhere", "no run"]),
        ("--resume weights", ["weights", "no run"]),
        ("--resume run", ["run/state.safetensors", "cut short"]),
        ("--resume run --lr 1e-3 --batch 2", ["--batch", "--lr", "--steps"]),
        ("--resume trained --data face", ["its data is 'street'", "--data face"]),
        ("--resume trained --model dynast", ["its model is 'rabit'", "--model dynast"]),
        ("--preset tiny --steps 2 --out run", ["run", "--resume"]),
        ("--preset tiny --steps 2 --out street.png/run", ["street.png/run", "cannot be written"]),
    ],
)
def test_runs_are_neither_overwritten_nor_invented(home, capsys, line, words):
    refused(capsys, f"rabit_train --device cpu {line}", *words)


@pytest.mark.parametrize(
    "line, words",
    [
        ("rabit_eval --checkpoint three --device cpu", ["three", "3 classes", "has labels of 7"]),
        ("rabit_eval --checkpoint weights --data nowhere", ["nowhere"]),
        (
            "rabit_eval --checkpoint weights --count 2 --json street.png/scores.json",
            ["street.png/scores.json", "no folder"],
        ),
        ("rabit_eval --checkpoint weights --count 0", ["'0'"]),
        ("rabit_retrieve mine --classes 7 -k 9", ["k=9", "1 to 2"]),
        ("rabit_retrieve nothing --classes 7", ["nothing", "images/"]),
        ("rabit_retrieve nowhere --classes 7", ["nowhere", "no such folder"]),
        (
            "rabit_retrieve mine --classes 7 -k 1 -o street.png/pairs.json",
            ["street.png/pairs.json", "no folder"],
        ),
        ("rabit_doctor nowhere", ["nowhere", "no such folder"]),
        ("rabit_demo --out street.png", ["street.png", "no folder"]),
        ("rabit_demo --steps many", ["'many'"]),
    ],
)
def test_the_other_commands_refuse_what_does_not_fit(home, capsys, line, words):
    refused(capsys, line, *words)


@pytest.mark.parametrize("data, code, word", [
    ("mine --classes 7", 0, ": fits"), ("mine --classes 3", 1, "out of range"), ("lonely", 1, "walk0_1.png"),
    ("uneven", 1, "walk1_0.png"), ("hollow", 1, "walk1_1.png"), ("nothing", 1, "does not fit"),
])
def test_the_doctor_says_what_does_not_fit(home, capsys, data, code, word):
    with pytest.raises(SystemExit) as stop: cli.rabit_doctor(data.split())
    said = capsys.readouterr()
    assert stop.value.code == code and word in said.out and said.err == ""


def test_a_full_disk_leaves_the_old_image(home, capsys, monkeypatch):
    def full(self, path, *args, **options):
        Path(path).write_bytes(b"half a pict")
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(Image.Image, "save", full)
    refused(capsys, TRANSLATE + "labels.png exemplar.png", "old.png", "No space left on device")


def test_translate_and_edit_write_what_the_model_paints(made, tmp_path, capsys):
    model = Translator.from_pretrained(made / "weights")
    cli.rabit_translate([str(made / "labels.png"), str(made / "exemplar.png"), "--checkpoint",
                         str(made / "weights"), "--device", "cpu", "-o", str(tmp_path / "new" / "out.png")])
    assert "wrote" in capsys.readouterr().out
    assert Image.open(tmp_path / "new" / "out.png").tobytes() == model.translate(made / "labels.png", made
                                                                                 / "exemplar.png").tobytes()
    maps = [made / f"{name}.png" for name in ("street", "labels", "edited")]
    cli.rabit_edit([*map(str, maps), "--checkpoint", str(made / "weights"), "--device", "cpu", "-o",
                    str(tmp_path / "edited.webp")])
    assert (Image.open(tmp_path / "edited.webp").format == "WEBP"
            and Image.open(tmp_path / "edited.webp").size == (64, 48))


def test_a_folder_is_trained_on_measured_and_translated_with(made, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    cli.rabit_train(f"--data {made / 'mine'} --classes 7 --size 32x24 --preset tiny --steps 2 --device cpu "
                    "--loss-weight match=0.5 --out run".split())
    assert (tmp_path / "run" / "log.jsonl").read_text() and list((tmp_path / "run" / "samples").iterdir())
    cli.rabit_translate([str(made / "labels.png"), str(made / "exemplar.png"), "--checkpoint", "run",
                         "--device", "cpu", "-o", "out.jpg"])
    assert Image.open("out.jpg").size == (64, 48)
    cli.rabit_eval(f"--checkpoint run --data {made / 'mine'} --device cpu --json scores.json".split())
    assert "run" in (tmp_path / "scores.json").read_text()
    cli.rabit_retrieve(f"{made / 'mine'} --classes 7 -k 2".split())
    assert (tmp_path / "pairs.json").read_text().count("walk0_0") > 1
    cli.rabit_train(f"--data {made / 'mine'} --classes 7 --size 32x24 --preset tiny --steps 1 --device cpu "
                    "--exemplars pairs.json --out paired".split())
    assert (
        '"exemplars": ' + f'"{tmp_path / "pairs.json"}"' in (tmp_path / "paired" / "train.json").read_text()
    )


def test_a_process_ends_in_one_line_and_code_2(home):
    done = process("rabit_translate", "labels.png", "cut.png", "--checkpoint", "weights", "-o", "old.png",
                   cwd=home)
    assert done.returncode == 2 and done.stdout == "", done.stderr
    assert re.fullmatch(r"rabit_translate: [^\n]*cut\.png[^\n]*\n", done.stderr), done.stderr


def test_a_process_that_succeeds_is_quiet_on_standard_error(made, tmp_path):
    done = process("rabit_translate", made / "labels.png", made / "exemplar.png", "--checkpoint", made
                   / "weights", "--device", "cpu", cwd=tmp_path)
    assert done.returncode == 0 and done.stderr == "" and "out.png (64×48)" in done.stdout, done.stderr
    assert Image.open(tmp_path / "out.png").mode == "RGB"


@pytest.mark.parametrize("line, new", [
    ("rabit_translate labels.png nowhere.png --weights weights", "--weights is called --checkpoint now"),
    ("rabit_edit nowhere.png labels.png edited.png -o old.png --weights=weights",
     "--weights is called --checkpoint now"),
    ("rabit_eval --weights three --device cpu", "--weights is called --checkpoint now"),
    ("rabit_train --system dynast --data nowhere", "--system is called --model now"),
    ("rabit_train --model k=5 --data nowhere", "--model is called --model-arg now"),
    ("rabit_train --start street-64 --data nowhere", "--start is called --init-from now"),
    ("rabit_train --shapes 2 --data nowhere", "--shapes is called --aspect-jitter now"),
    ("rabit_train --self-share 1 --data nowhere", "--self-share is called --self-pair-prob now"),
    ("rabit_train --weight match=0 --data nowhere", "--weight is called --loss-weight now"),
    ("rabit_train --checkpoint --data nowhere", "--checkpoint is called --checkpoint-activations now"),
])
def test_old_names_of_options_work_for_one_version_more(home, capsys, line, new):
    name, *argv = line.split()
    with pytest.raises(SystemExit) as stop: getattr(cli, name)(argv)
    told, said = capsys.readouterr().err.splitlines()
    assert told == f"{name}: {new}" and stop.value.code == 2
    assert "nowhere" in said or "three" in said


def test_a_command_is_a_function_too(made, tmp_path, capsys):
    rabit_translate(made / "labels.png", made / "exemplar.png", out=tmp_path / "out.png",
                    checkpoint=str(made / "weights"), device="cpu")
    assert Image.open(tmp_path / "out.png").size == (64, 48) and "wrote" in capsys.readouterr().out
    with pytest.raises(ValueError, match="nowhere.png"):
        rabit_translate(Path("nowhere.png"), made / "exemplar.png", out=tmp_path / "out.png")
