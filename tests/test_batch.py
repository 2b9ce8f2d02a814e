"""Folders through `rabit_translate`: names, order, exemplars, what fails, what is kept, and that no input is
ever written to."""
import json, os, shutil

import pytest, torch
from PIL import Image

from rabit.inputs.palettes import read_labels
from rabit.tools import use_commands as cli
from rabit.core.tensors import to_pil
from rabit.networks.translate import Translator, rabit
from rabit.matching.street import STREET_CLASSES, street_pairs
from rabit.core.colors import color_labels

NAMES = ("a10", "a2", "far/b", "far/c.d")


def save_labels(labels, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(labels.byte().numpy()).save(path)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    "Label maps of four names, photographs of the same names, and weights; made once."
    home, r = tmp_path_factory.mktemp("batch"), street_pairs(range(4), size=(24, 32))
    for i, name in enumerate(NAMES):
        save_labels(r["labels"][i], home / "maps" / f"{name}.png")
        save_labels(r["exemplar_labels"][i], home / "theirs" / f"{name}.png")
        (home / "looks" / name).parent.mkdir(parents=True, exist_ok=True)
        to_pil(r["exemplar"][i]).save(home / "looks" / f"{name}.webp", lossless=True)
    (home / "maps" / ".hidden.png").write_bytes(b"x"); (home / "maps" / "notes.txt").write_text("x")
    to_pil(r["exemplar"][0]).save(home / "look.png")
    (home / "empty").mkdir()
    torch.manual_seed(0)
    rabit(len(STREET_CLASSES), (32, 32), width=8, features=16).save_pretrained(home / "weights")
    rabit(2, (32, 32), width=8, features=16, condition="edges",
          position="coord").save_pretrained(home / "edges")
    rabit(35, (32, 32), width=8, features=16, condition="joints",
          position="coord").save_pretrained(home / "joints")
    return home


@pytest.fixture
def home(made, tmp_path, monkeypatch):
    "A copy to work in; afterwards all that was there is as it was."
    shutil.copytree(made, tmp_path / "home")
    monkeypatch.chdir(tmp_path / "home")
    before = {p: p.read_bytes() for p in (tmp_path / "home").rglob("*") if p.is_file()}
    yield tmp_path / "home"
    assert all(p.read_bytes() == data for p, data in before.items() if p.exists())


def run(capsys, line, weights="weights"):
    "Exit code, lines on standard output, lines on standard error without the bar's."
    try: code = cli.rabit_translate([*line.split(), "--checkpoint", weights, "--device", "cpu"]) or 0
    except SystemExit as stop: code = stop.code or 0
    out, err = capsys.readouterr()
    return code, out.splitlines(), [l for l in err.replace("\r", "\n").splitlines()
                                    if l.startswith("rabit_translate: ")]


def files(folder): return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_a_folder_gives_what_single_calls_give(home, capsys):
    assert run(capsys, "maps look.png -o new/out") == (0, ["wrote 4 of 4 images to new/out"], [])
    assert files(home / "new" / "out") == ["a10.png", "a2.png", "far/b.png", "far/c.d.png"]
    assert run(capsys, "maps/far/b.png look.png -o single.png")[0] == 0
    assert (home / "single.png").read_bytes() == (home / "new" / "out" / "far" / "b.png").read_bytes()


def test_files_come_in_natural_order_and_weights_and_exemplar_are_read_once(home, capsys, monkeypatch):
    seen = []
    loads = []
    reads = []
    translate = Translator.translate
    def spy(self, condition, *rest):
        seen.append(condition); return translate(self, condition, *rest)
    load, read = cli.load_model, cli.read_image
    monkeypatch.setattr(Translator, "translate", spy)
    monkeypatch.setattr(cli, "load_model", lambda *args: loads.append(1) or load(*args))
    monkeypatch.setattr(cli, "read_image", lambda path: reads.append(path) or read(path))
    assert run(capsys, "maps look.png")[1] == ["wrote 4 of 4 images to out"]
    expected = [read_labels(home / "maps" / f"{n}.png")[0] for n in ("a2", "a10", "far/b", "far/c.d")]
    assert all(torch.equal(a, b) for a,
               b in zip(seen, expected, strict=True)) and len(loads) == len(reads) == 1


def test_a_folder_of_exemplars_goes_by_name(home, capsys):
    assert run(capsys, "maps looks -o out")[0] == 0
    assert run(capsys, "maps/a2.png looks/a2.webp -o single.png")[0] == 0
    assert ((home / "single.png").read_bytes() == (home / "out" / "a2.png").read_bytes()
            != (home / "out" / "a10.png").read_bytes())
    (home / "looks" / "a2.webp").unlink()
    code, out, err = run(capsys, "maps looks -o more")
    assert code == 1 and out == ["wrote 3 of 4 images to more; 1 failed"] and err == ["rabit_translate: "
                                                                                      "maps/a2.png: looks "
                                                                                      "holds no image a2"]


@pytest.mark.parametrize("suffix", [".json", ".txt"])
def test_a_list_says_which_exemplar(home, capsys, suffix):
    listed = {"a2": ["far/b", "a10"], "a10": ["a2"], "far/b": ["nowhere"]}
    (home / f"list{suffix}").write_text(json.dumps(listed) if suffix == ".json"
                                        else "".join(f"{t.replace('/', chr(92))}.jpg,{e}\n" for t,
                                                     es in listed.items() for e in es))
    code, out, err = run(capsys, f"maps looks -o out --exemplars list{suffix}")
    assert code == 1 and out == ["wrote 2 of 4 images to out; 2 failed"]
    assert err == ["rabit_translate: maps/far/b.png: looks holds no image nowhere",
                   f"rabit_translate: maps/far/c.d.png: list{suffix} names no exemplar for far/c.d"]
    assert run(capsys, "maps/a2.png looks/far/b.webp -o single.png")[0] == 0
    assert (home / "single.png").read_bytes() == (home / "out" / "a2.png").read_bytes()


def test_exemplars_bring_their_own_conditions(home, capsys):
    assert run(capsys, "maps looks -o out --exemplar-condition theirs")[0] == 0
    assert run(capsys, "maps/a2.png looks/a2.webp --exemplar-condition theirs/a2.png -o single.png")[0] == 0
    assert run(capsys, "maps/a2.png looks/a2.webp -o without.png")[0] == 0
    assert ((home / "without.png").read_bytes() != (home / "single.png").read_bytes()
            == (home / "out" / "a2.png").read_bytes())
    assert run(capsys, "maps look.png -o one --exemplar-condition theirs/a10.png")[0] == 0


def test_what_fails_is_told_once_and_the_rest_is_painted(home, capsys):
    (home / "maps" / "a3.png").write_bytes(b"no image")
    (home / "maps" / "gone.png").symlink_to("nowhere")
    os.mkfifo(home / "maps" / "pipe.png")
    save_labels(torch.full((8, 8), 200), home / "maps" / "ids.png")
    Image.new("RGB", (8, 8), (1, 2, 3)).save(home / "maps" / "odd\x1b[31m.png")
    code, out, err = run(capsys, "maps look.png")
    assert code == 1 and out == ["wrote 4 of 9 images to out; 5 failed"] and len(err) == 5
    for said, word in zip(
        err,
        (
            "a3.png cannot be read",
            "gone.png: no such file",
            "holds 200",
            "known palette",
            "pipe or a device",
        ),
    ):
        assert word in said and said.count("maps/") == 1 and "\x1b" not in said
    assert files(home / "out") == ["a10.png", "a2.png", "far/b.png", "far/c.d.png"]


def test_what_was_painted_is_kept_unless_told(home, capsys):
    (home / "out").mkdir(); (home / "out" / "a2.png").write_bytes(b"mine")
    assert run(capsys, "maps look.png")[:2] == (0, ["wrote 3 of 4 images to out; kept 1 that were there "
                                                    "(--overwrite paints them again)"])
    assert (home / "out" / "a2.png").read_bytes() == b"mine"
    assert run(capsys, "maps look.png")[1] == ["wrote 0 of 4 images to out; kept 4 that were there "
                                               "(--overwrite paints them again)"]
    assert (run(capsys, "maps look.png --format jpg")[1] == ["wrote 4 of 4 images to out"]
            and (home / "out" / "a2.jpg").is_file())
    assert (run(capsys, "maps look.png --overwrite")[1] == ["wrote 4 of 4 images to out"]
            and Image.open(home / "out" / "a2.png").size == (32, 24))
    (home / "out" / "a2.png").unlink(); (home / "out" / "a2.png").mkdir()
    code, out, err = run(capsys, "maps look.png")
    assert code == 1 and "it is a folder" in err[0]


def test_the_exemplar_is_never_painted_over(home, capsys):
    (home / "out").mkdir(); shutil.copy(home / "look.png", home / "out" / "a2.png")
    before = (home / "out" / "a2.png").read_bytes()
    assert "kept 1" in run(capsys, "maps out/a2.png")[1][0]
    code, out, err = run(capsys, "maps out/a2.png --overwrite")
    assert code == 1 and "is an input" in err[0] and (home / "out" / "a2.png").read_bytes() == before


@pytest.mark.parametrize("line, words", [
    ("maps look.png -o maps", ["maps lies in maps"]),
    ("maps look.png -o maps/new", ["maps/new lies in maps"]),
    ("maps looks -o looks/new", ["looks/new lies in looks"]),
    (". look.png -o out", ["out lies in ."]),
    ("maps look.png -o out.png", ["out.png is an image's name"]),
    ("maps look.png -o weights/config.json", ["is no folder"]),
    ("maps look.png -o weights/config.json/x", ["no folder"]),
    ("empty look.png", ["empty holds no files", ".png"]),
    ("maps empty", ["empty holds no files"]),
    ("maps nowhere.png", ["nowhere.png", "no such file"]),
    ("maps look.png --exemplars weights/config.json", ["--exemplars", "look.png"]),
    ("maps looks --exemplars nowhere.txt", ["nowhere.txt"]),
    ("maps looks --exemplar-condition theirs/a2.png", ["two files or two folders"]),
    ("maps look.png --exemplar-condition theirs", ["two files or two folders"]),
    ("maps look.png --format gif", ["gif", "webp"]),
    ("maps look.png --palette nowhere", ["nowhere", "voc"]),
    ("maps/a2.png look.png --overwrite", ["--overwrite", "folders"]),
    ("maps/a2.png look.png --format png", ["--format", "folders"]),
    ("maps/a2.png looks", ["looks", "folder"]),
])
def test_what_cannot_work_is_refused_at_once(home, capsys, line, words):
    before = files(home)
    code, out, err = run(capsys, line)
    assert code == 2 and out == [] and len(err) == 1 and all(word in err[0] for word in words), err
    assert files(home) == before


def test_two_files_for_one_output_are_refused(home, capsys):
    shutil.copy(home / "maps" / "a2.png", home / "maps" / "a2.bmp")
    code, _, err = run(capsys, "maps look.png")
    assert code == 2 and "a2.bmp and a2.png" in err[0]


def test_bugs_keep_their_traceback_and_ctrl_c_its_exit_code(home, capsys, monkeypatch):
    monkeypatch.setattr(Translator, "translate", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError): run(capsys, "maps look.png")
    def stop(*args): raise KeyboardInterrupt
    monkeypatch.setattr(Translator, "translate", stop)
    assert run(capsys, "maps look.png")[0] == 130


def test_colored_maps_in_a_folder(home, capsys):
    plain = run(capsys, "maps look.png -o plain")
    for name in NAMES:
        (home / "colored" / name).parent.mkdir(parents=True, exist_ok=True)
        to_pil(color_labels(read_labels(home / "maps" / f"{name}.png")[0])).save(
            home / "colored" / f"{name}.png"
        )
    assert (plain[0] == 0 and run(capsys, "colored look.png -o one")[0] == 0
            and run(capsys, "colored look.png -o two --palette rabit")[0] == 0)
    for name in NAMES:
        assert len({(home / folder / f"{name}.png").read_bytes() for folder in ("plain", "one", "two")}) == 1


def test_edges_and_joints_are_found_by_the_weights_kind(home, capsys):
    for i, name in enumerate(("p1", "p2")):
        (home / "drawn").mkdir(exist_ok=True)
        (home / "poses").mkdir(exist_ok=True)
        image = Image.new("L", (32, 24))
        image.paste(255, (4, 4, 28, 5))
        image.save(home / "drawn" / f"{name}.png")
        points = [c for j in range(18) for c in (2 + j + i, 3 + j % 9, 1)]
        (home / "poses" / f"{name}_keypoints.json").write_text(
            json.dumps({"people": [{"pose_keypoints_2d": points}]})
        )
    (home / "poses" / "p1.png").write_bytes(b"a photograph, perhaps")
    assert run(capsys, "drawn look.png -o out", "edges")[1] == ["wrote 2 of 2 images to out"]
    assert (run(capsys, "poses look.png -o posed", "joints")[1] == ["wrote 2 of 2 images to posed"]
            and files(home / "posed") == ["p1.png", "p2.png"])
    code, _, err = run(capsys, "maps look.png -o none", "joints")
    assert code == 2 and "_candidate.txt are looked for" in err[0]
    code, _, err = run(capsys, "drawn look.png -o none --palette voc", "edges")
    assert code == 2 and len(err) == 1 and "wants edges" in err[0]


def test_label_maps_may_lie_beside_photographs_of_the_same_names(home, capsys):
    "As in ADE20K: each folder holds NAME.jpg and NAME.png"
    for part in ("maps", "looks"):
        shutil.copytree(home / "maps", f"beside_{part}")
        for name in NAMES:
            Image.open(home / "looks" / f"{name}.webp").convert("RGB").save(f"beside_{part}/{name}.jpg")
    code, out, err = run(capsys, "beside_maps beside_looks -o new")
    assert code == 0 and not err and files(home / "new") == sorted(f"{name}.png" for name in NAMES)

