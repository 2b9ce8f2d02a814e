# Generated from nbs/16_cli.ipynb by .ci/export_tests.py: edit the notebook, not this file.
import io
import os
import random
import struct
import warnings
import zlib
from PIL import Image
from argparse import ArgumentTypeError
from contextlib import redirect_stderr
from contextlib import redirect_stdout
from pathlib import Path
from rabit.cli import ENDINGS
from rabit.cli import above_zero
from rabit.cli import argument_of
from rabit.cli import check_output
from rabit.cli import command
from rabit.cli import find_named
from rabit.cli import fresh_folder
from rabit.cli import positive
from rabit.cli import rabit_demo
from rabit.cli import rabit_doctor
from rabit.cli import rabit_edit
from rabit.cli import rabit_eval
from rabit.cli import rabit_retrieve
from rabit.cli import rabit_train
from rabit.cli import rabit_translate
from rabit.cli import size_of
from rabit.cli import steps_or_minutes
from rabit.cli import train_config
from rabit.cli import train_parser
from rabit.cli import weight_of
from rabit.cli import write_picture
from rabit.core import RabitError
from rabit.data import read_labels
from rabit.data import read_pairs
from rabit.data import read_picture
from tempfile import TemporaryDirectory

def call(f, *argv):
    "Exit code, standard output and standard error of a command, run in this process"
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        try: code = f([str(a) for a in argv]) or 0
        except SystemExit as stop: code = stop.code or 0
    return code, out.getvalue(), err.getvalue()

def damaged(data, count, rng):
    "The bytes of a file with damage: cut short, changed, zeroed, or with others put in between"
    for _ in range(count):
        x, at = bytearray(data), rng.randrange(rng.choice((len(data), min(len(data), 200))))
        kind = rng.choice(("cut", "changed", "zeroed", "longer"))
        if kind == "cut": del x[at:]
        elif kind == "changed": x[at] ^= rng.randrange(1, 256)
        elif kind == "zeroed": x[at:at + 16] = bytes(len(x[at:at + 16]))
        else: x[at:at] = rng.randbytes(8)
        yield bytes(x)

def declared(width, height):
    "A PNG of a hundred bytes that claims to be this large"
    def part(kind, data): return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(bytes(99))) + part(b"IEND", b"")

NO_PICTURES = {"bomb.png": declared(60_000, 60_000), "large.png": declared(12_000, 12_000), "negative.png": declared(2**32 - 1, 2**32 - 1), "hollow.png": declared(9_000, 9_000),
               "empty.png": b"", "text.png": b"no picture", "config.png": b"{}", "zeros.png": bytes(9999), "script.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"}

def odd_pictures(folder):
    "Pictures that are unusual, and all the same pictures, under names that are none the less names; their paths"
    rgb, frames, note = Image.new("RGB", (30, 20), "red"), [Image.new("L", (30, 20), 80 * i) for i in range(3)], Image.Exif()
    note[0x0112] = 6                                                               # lying on its side
    made = {"one.png": Image.new("L", (1, 1)), "long.png": Image.new("L", (10_000, 3)), "tall.png": rgb.resize((3, 10_000)), "cmyk.jpg": rgb.convert("CMYK"), "deep.png": Image.new("I;16", (30, 20), 6),
            "clear.png": rgb.convert("RGBA"), "palette.png": rgb.convert("P"), "bits.png": rgb.convert("1"), "float.tif": rgb.convert("F"), "below zero.tif": Image.new("I", (30, 20), -5),
            "ein Bild – 图 🙂.png": rgb, "new\nline.png": rgb, "-o.png": rgb, "\x1b[31mred.png": rgb, "quote'\".png": rgb, "a" * 240 + ".png": rgb}
    for name, im in made.items(): im.save(folder / name)
    for name in ("moving.gif", "moving.webp"): frames[0].save(folder / name, save_all=True, append_images=frames[1:])
    rgb.save(folder / "lying.jpg", exif=note); rgb.save(folder / "noted.jpg", exif=b"Exif\0\0garbage")
    return [folder / name for name in (*made, "moving.gif", "moving.webp", "lying.jpg", "noted.jpg")]

def no_files(folder):
    "Names behind which there is no file: a pipe that nobody writes to, links that lead in circles, nowhere and to endless zeros, a folder; their paths"
    os.mkfifo(folder / "pipe.png"); (folder / "folder.png").mkdir()
    for name, target in (("circle.png", "circle.png"), ("nowhere.png", "gone"), ("endless.png", "/dev/zero")): (folder / name).symlink_to(target)
    return [folder / name for name in ("pipe.png", "folder.png", "circle.png", "nowhere.png", "endless.png")]

ODD_VALUES = (None, True, -1, 0, 2.5, 10**30, 1e300, float("nan"), float("inf"), "", "7", "../../x", [], [1, 2, 3], [-8, 8], ["a", "b"], {}, {"a": {}})
ODD_JSON = ["", "{", "[]", "7", "null", '"text"', "NaN", "[" * 50_000, '{"a":' * 50_000, "9" * 5000, "\ufeff{}", '{"w0_0": 5}', '{"w0_0": [5]}', '{"w0_0": "w1_0"}', '{"w0_0": [["w1_0"]]}', '{"w0_0": {"w1_0": 1}}',
            '{"w0_0": ["../../x.png"]}', '{"/etc/passwd": ["/etc/passwd"]}', '{"w0_0": ["w1_0\\u0000"]}', '{"w0_0": ["\\ud800"]}']
ODD_LISTS = ["w0_0", ",", "w0_0,", "w0_0,../../x.png", "w0_0,/etc/passwd", "../x,../y", "w0_0\x00,w1_0", "\n" * 9999, "," * 9999]

ODD_WORDS = ("", " ", "-1", "0", "1.5", "nan", "inf", "1e999", "9" * 30, "9" * 5000, "x", "../../x", "/dev/zero", "\x1b[31m", "ü", "\0", "%s %(prog)s {}", "--", "=", "a=", "x" * 5000, "１２", "8x8x8", "9x99999999999")

def odd_weights(data):
    "The bytes of a safetensors file, with headers that lie"
    size = int.from_bytes(data[:8], "little")
    for length in (0, 1, max(0, size - 1), size + 1, 10**6, 2**40, 2**63, 2**64 - 1): yield length.to_bytes(8, "little") + data[8:]
    for old, new in ((b'"F32"', b'"F64"'), (b'"F32"', b'"I32"'), (b'"F32"', b'"XXX"'), (b"[0,", b"[9,"), (b'"shape":[', b'"shape":[9'), (b'"dtype"', b'"dtypo"')): yield data.replace(old, new)
    yield data[:8 + size] + b"\xff" * (len(data) - 8 - size)                          # every number is NaN


def test_a_command_ends_in_one_line_and_its_exit_code():
    @command
    def cough(argv): raise RabitError("this does not fit;\nthat would")
    @command
    def stop(argv): raise KeyboardInterrupt
    @command
    def bug(argv): return 1 / 0
    assert call(cough) == (2, "", "cough: this does not fit; that would\n") and call(stop) == (130, "", "")
    try: call(bug)
    except ZeroDivisionError: pass
    else: raise AssertionError("a bug was hidden")


def test_arguments_of_builders_are_numbers_or_text():
    assert argument_of("k=5") == ("k", 5) and argument_of("eps=.5") == ("eps", .5)
    assert argument_of("position=coord") == ("position", "coord")
    for text in ("k", "=5"):
        try: argument_of(text); said = ""
        except ArgumentTypeError as e: said = str(e)
        assert repr(text) in said and "k=5" in said


def test_saves_are_said_in_steps_or_minutes():
    assert steps_or_minutes("500") == dict(save_every=500) and steps_or_minutes("2.5m") == dict(save_minutes=2.5)
    for text in ("0", "m", "-1m", "often"):
        try: steps_or_minutes(text); said = ""
        except ArgumentTypeError as e: said = str(e)
        assert repr(text) in said


def test_arguments_are_read_and_refused_with_a_reason():
    assert size_of("128x96") == size_of("128×96") == (96, 128) and weight_of("match=0.3") == ("match", .3)
    assert positive("12") == 12 and above_zero("2e-4") == 2e-4
    for read, bad in ((size_of, "128"), (size_of, "128xtall"), (size_of, "0x64"), (weight_of, "match"), (positive, "0"), (positive, "1.5"), (above_zero, "nan"), (above_zero, "-1")):
        try: read(bad)
        except ArgumentTypeError as e: print(e); assert bad in str(e)
        else: raise AssertionError(f"{bad} was taken")


def test_outputs_that_cannot_be_written_are_refused_before_any_work():
    with TemporaryDirectory() as tmp:
        file = Path(tmp) / "file.png"
        write_picture(Image.new("RGB", (4, 3)), file)
        before = file.read_bytes()
        for bad, word in ((file / "below.png", "no folder"), (Path(tmp) / "a.txt", ".webp"), (Path(tmp), "does not end")):
            try: check_output(bad)
            except RabitError as e: print(e); assert word in str(e)
            else: raise AssertionError(f"{bad} was taken")
        check_output(Path(tmp) / "new" / "a.jpg")
        assert file.read_bytes() == before and [p.name for p in Path(tmp).iterdir()] == ["file.png"]


def test_files_are_found_by_name_in_natural_order():
    with TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        for name in ("a10.png", "a2.PNG", "sub/b.jpg", ".hidden.png", ".git/c.png", "notes.txt", "p_keypoints.json", "q_candidate.txt", "q_subset.txt"):
            (tmp / name).parent.mkdir(exist_ok=True); (tmp / name).touch()
        assert list(find_named(tmp)) == ["a2", "a10", "sub/b"] and list(find_named(tmp, ENDINGS["joints"])) == ["p", "q"]
        (tmp / "a2.webp").touch()
        for look, word in ((lambda: find_named(tmp), "a2.PNG and a2.webp"), (lambda: find_named(tmp / "sub", ENDINGS["joints"]), "_candidate.txt")):
            try: look(); said = ""
            except RabitError as e: said = str(e)
            assert word in said, said


def test_what_training_is_told_reaches_its_configuration():
    def told(*argv): return train_config(train_parser().parse_args(list(argv)))
    assert told().amp == "auto" and told("--amp", "fp16").amp == "fp16" and told("--save-every", "5m").save_minutes == 5
    made = told("--preset", "tiny", "--accumulate", "2", "--checkpoint", "--compile", "--size", "48x32", "--shapes", "2", "--weight", "match=0.25", "--model", "k=2")
    assert (made.accumulate, made.checkpoint, made.compile, made.size, made.shapes, made.weights["match"], made.model["k"]) == (2, True, True, (32, 48), 2., .25, 2)
    made = told("--start", "street-64", "--size", "128x128", "--model", "block=4")
    assert (made.start, made.builder, made.size, made.model["block"], made.model["k"], made.model["width"]) == ("street-64", "rabit.model.rabit", (128, 128), 4, 16, 16)
    for argv, word in ((("--amp", "fp8"), "fp8"), (("--accumulate", "3"), "equal parts"), (("--start", "street-64", "--system", "dynast"), "rabit.model.rabit"), (("--start", "street-64", "--data", "face"), "edges")):
        try: told(*argv); said = ""
        except RabitError as e: said = str(e)
        assert word in said


def test_folders_of_the_demo_are_never_used_twice():
    with TemporaryDirectory() as tmp:
        first = fresh_folder(Path(tmp) / "run"); first.mkdir()
        second = fresh_folder(Path(tmp) / "run"); second.mkdir()
        assert [first.name, second.name, fresh_folder(Path(tmp) / "run").name] == ["run", "run-2", "run-3"]


def test_every_command_has_help_and_a_version():
    for f in (rabit_train, rabit_translate, rabit_edit, rabit_eval, rabit_retrieve, rabit_doctor, rabit_demo):
        code, out, err = call(f, "--help")
        assert code == 0 and out.startswith(f"usage: {f.__name__}") and err == ""
        assert call(f, "--version")[1].startswith("rabit ")
    print(call(rabit_translate, "--help")[1])


def test_files_that_are_no_files_and_no_lists_are_refused_by_their_readers():
    def refusal(f, path):
        try: f(path); return "accepted"
        except RabitError as e: return str(e)
    with TemporaryDirectory() as tmp:
        tmp, rng, made = Path(tmp), random.Random(1), []
        for name, content in NO_PICTURES.items(): (tmp / name).write_bytes(content); made.append(tmp / name)
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        for path in made + no_files(tmp): assert all(str(path) in refusal(f, path) for f in (read_picture, read_labels, read_pairs)), path
        for path in odd_pictures(tmp): refusal(read_picture, path); refusal(read_labels, path)
        for text in ODD_JSON: (tmp / "x.json").write_text(text, encoding="utf-8"); refusal(read_pairs, tmp / "x.json")
        for text in ODD_LISTS: (tmp / "x.csv").write_text(text); refusal(read_pairs, tmp / "x.csv")
        assert len({*damaged(bytes(range(99)), 20, rng)}) > 10 and len([*odd_weights(bytes(99))]) > 10 and len(ODD_VALUES) > 10 < len(ODD_WORDS)
