# Generated from nbs/6_tools/67a_hostile_input.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import os
import random
import struct
import warnings
import zlib
from PIL import Image
from pathlib import Path
from rabit.core.tensors import RabitError
from rabit.data.pair_lists import read_pairs
from rabit.inputs.images import read_image
from rabit.inputs.palettes import read_labels
from tempfile import TemporaryDirectory

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
    def part(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(bytes(99)))
            + part(b"IEND", b""))

NO_IMAGES = {"bomb.png": declared(60_000, 60_000), "large.png": declared(12_000, 12_000),
             "negative.png": declared(2**32 - 1, 2**32 - 1), "hollow.png": declared(9_000, 9_000),
             "empty.png": b"", "text.png": b"no image", "config.png": b"{}", "zeros.png": bytes(9999),
             "script.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"}

def odd_images(folder):
    "Paths of images that are unusual, and images all the same, under names that are names all the same"
    rgb = Image.new("RGB", (30, 20), "red")
    frames = [Image.new("L", (30, 20), 80 * i) for i in range(3)]
    note = Image.Exif()
    note[0x0112] = 6                                                               # lying on its side
    made = {"one.png": Image.new("L", (1, 1)), "long.png": Image.new("L", (10_000, 3)),
            "tall.png": rgb.resize((3, 10_000)), "cmyk.jpg": rgb.convert("CMYK"),
            "deep.png": Image.new("I;16", (30, 20), 6), "clear.png": rgb.convert("RGBA"),
            "palette.png": rgb.convert("P"), "bits.png": rgb.convert("1"), "float.tif": rgb.convert("F"),
            "below zero.tif": Image.new("I", (30, 20), -5), "ein Bild – 图 🙂.png": rgb,
            "new\nline.png": rgb,
            "-o.png": rgb, "\x1b[31mred.png": rgb, "quote'\".png": rgb, "a" * 240 + ".png": rgb}
    for name, im in made.items(): im.save(folder / name)
    for name in ("moving.gif", "moving.webp"):
        frames[0].save(folder / name, save_all=True, append_images=frames[1:])
    rgb.save(folder / "lying.jpg", exif=note)
    rgb.save(folder / "noted.jpg", exif=b"Exif\0\0garbage")
    return [folder / name for name in (*made, "moving.gif", "moving.webp", "lying.jpg", "noted.jpg")]

def no_files(folder):
    "Paths behind which there is no file: a pipe without a writer, links to nothing useful, a folder"
    os.mkfifo(folder / "pipe.png")
    (folder / "folder.png").mkdir()
    for name, target in (("circle.png", "circle.png"), ("nowhere.png", "gone"), ("endless.png", "/dev/zero")):
        (folder / name).symlink_to(target)
    return [folder / name for name in ("pipe.png", "folder.png", "circle.png", "nowhere.png", "endless.png")]

ODD_VALUES = (None, True, -1, 0, 2.5, 10**30, 1e300, float("nan"), float("inf"), "", "7", "../../x", [],
              [1, 2, 3], [-8, 8], ["a", "b"], {}, {"a": {}})
ODD_JSON = ["", "{", "[]", "7", "null", '"text"', "NaN", "[" * 50_000, '{"a":' * 50_000, "9" * 5000,
            "\ufeff{}", '{"w0_0": 5}', '{"w0_0": [5]}', '{"w0_0": "w1_0"}', '{"w0_0": [["w1_0"]]}',
            '{"w0_0": {"w1_0": 1}}', '{"w0_0": ["../../x.png"]}', '{"/etc/passwd": ["/etc/passwd"]}',
            '{"w0_0": ["w1_0\\u0000"]}', '{"w0_0": ["\\ud800"]}']
ODD_LISTS = ["w0_0", ",", "w0_0,", "w0_0,../../x.png", "w0_0,/etc/passwd", "../x,../y", "w0_0\x00,w1_0",
             "\n" * 9999, "," * 9999]
ODD_WORDS = ("", " ", "-1", "0", "1.5", "nan", "inf", "1e999", "9" * 30, "9" * 5000, "x", "../../x",
             "/dev/zero", "\x1b[31m", "ü", "\0", "%s %(prog)s {}", "--", "=", "a=", "x" * 5000, "１２",
             "8x8x8", "9x99999999999")

def odd_weights(data):
    "The bytes of a safetensors file, with headers that lie"
    size = int.from_bytes(data[:8], "little")
    for length in (0, 1, max(0, size - 1), size + 1, 10**6, 2**40, 2**63, 2**64 - 1):
        yield length.to_bytes(8, "little") + data[8:]
    for old, new in ((b'"F32"', b'"F64"'), (b'"F32"', b'"I32"'), (b'"F32"', b'"XXX"'), (b"[0,", b"[9,"),
                     (b'"shape":[', b'"shape":[9'), (b'"dtype"', b'"dtypo"')):
        yield data.replace(old, new)
    yield data[:8 + size] + b"\xff" * (len(data) - 8 - size)                          # every number is NaN


def test_files_that_are_no_files_and_no_lists_are_refused_by_their_readers():
    def refusal(f, path):
        try: f(path); return "accepted"
        except RabitError as e: return str(e)
    with TemporaryDirectory() as tmp:
        tmp, rng = Path(tmp), random.Random(1)
        made = [tmp / name for name in NO_IMAGES]
        for path in made: path.write_bytes(NO_IMAGES[path.name])
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        for path in made + no_files(tmp):
            assert all(str(path) in refusal(f, path) for f in (read_image, read_labels, read_pairs)), path
        for path in odd_images(tmp):
            refusal(read_image, path)
            refusal(read_labels, path)
        for name, texts in (("x.json", ODD_JSON), ("x.csv", ODD_LISTS)):
            for text in texts:
                (tmp / name).write_text(text, encoding="utf-8")
                refusal(read_pairs, tmp / name)
        assert len({*damaged(bytes(range(99)), 20, rng)}) > 10 and len([*odd_weights(bytes(99))]) > 10
        assert len(ODD_VALUES) > 10 < len(ODD_WORDS)
