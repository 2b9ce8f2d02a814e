# Generated from nbs/2_inputs/20_images.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import io
import numpy as np
import os
import tempfile
import torch
import warnings
from PIL import Image
from pathlib import Path
from rabit.core.trials import fails
from rabit.inputs.images import FORMATS
from rabit.inputs.images import image_size
from rabit.inputs.images import image_tensor
from rabit.inputs.images import open_image
from rabit.inputs.images import read_image
from rabit.inputs.images import storage_of


def test_an_opened_image_knows_what_decoding_did_to_its_numbers():
    with tempfile.TemporaryDirectory() as d:
        plain = Image.fromarray(np.arange(4, dtype=np.uint8).reshape(2, 2) * 17)
        plain.save(f"{d}/plain.png")
        plain.save(f"{d}/lossy.webp", quality=50)
        plain.convert("RGB").save(f"{d}/lossless.webp", lossless=True)
        plain.save(f"{d}/plain.tif")
        plain.save(f"{d}/jpeg.tif", compression="jpeg")
        Path(f"{d}/seven.pgm").write_bytes(b"P5 2 2 7\n\0\1\2\3")
        stored = {name: storage_of(open_image(f"{d}/{name}")) for name in sorted(os.listdir(d))}
        twice = Image.open(f"{d}/seven.pgm")
        assert storage_of(open_image(twice)) == storage_of(open_image(twice)) == stored["seven.pgm"]
    lossy = {name for name, s in stored.items() if s.lost}
    assert lossy == {"lossy.webp", "jpeg.tif"}
    assert {name: s.top for name, s in stored.items() if s.top} == {"seven.pgm": 7}


def test_every_kind_of_image_file_becomes_the_same_kind_of_tensor():
    with tempfile.TemporaryDirectory() as d:
        grey = Image.fromarray(np.full((4, 6), 128, np.uint8))
        clear = Image.new("RGBA", (6, 4), (0, 0, 0, 0))
        deep = Image.fromarray(np.full((4, 6), 128 * 257, np.uint16))
        for name, im in (("grey", grey), ("clear", clear), ("deep", deep)): im.save(f"{d}/{name}.png")
        a, b, c = (read_image(f"{d}/{name}.png") for name in ("grey", "clear", "deep"))
    assert a.shape == (1, 3, 4, 6)
    assert torch.equal(a, c)           # 16 bits are scaled, not cut off
    assert (b == 1).all()              # transparent = white paper


def test_paths_images_arrays_and_open_files_lead_to_the_same_tensor():
    a = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    memory = io.BytesIO()
    Image.fromarray(a).save(memory, "PNG")
    with tempfile.TemporaryDirectory() as d:
        Path(f"{d}/a.png").write_bytes(memory.getvalue())
        with open(f"{d}/a.png", "rb") as f:
            given = (f"{d}/a.png", Path(f"{d}/a.png"), Image.fromarray(a), a, a.astype(int), memory, memory, f)
            for x in given: assert read_image(x).equal(image_tensor(a)[None])
    assert read_image(a[..., :1]).equal(read_image(a[..., 0]))
    if "AVIF" in FORMATS:
        Image.new("RGB", (8, 8), (200, 100, 50)).save(memory := io.BytesIO(), "AVIF")
        assert (read_image(memory) - image_tensor(np.array([[[200, 100, 50]]], np.uint8))).abs().max() < .05


def test_a_photograph_taken_with_the_telephone_upright_is_read_upright():
    with tempfile.TemporaryDirectory() as d:
        lying = Image.new("RGB", (6, 4))
        note = Image.Exif()
        note[0x0112] = 6               # "turn a quarter clockwise to see it upright"
        lying.save(f"{d}/phone.jpg", exif=note)
        assert read_image(f"{d}/phone.jpg").shape == (1, 3, 6, 4)


def test_what_is_no_image_is_refused_with_its_name():
    with tempfile.TemporaryDirectory() as d:
        d = Path(d)
        Image.new("RGB", (64, 64), "red").save(d/"whole.png")
        (d/"cut.png").write_bytes((d/"whole.png").read_bytes()[:90])
        (d/"empty.jpg").touch()
        (d/"notes.png").write_text("not an image")
        for bad in (d/"cut.png", d/"empty.jpg", d/"notes.png", d/"missing.png", d):
            message = fails(read_image, bad)
            print(message.replace(str(d), "…"))
            assert str(bad) in message
        with open(d/"notes.png") as text: assert "open as text" in fails(read_image, text)
        with open(d/"notes.png", "rb") as f: assert "notes.png cannot be read" in fails(read_image, f)
    assert "255 * x" in fails(read_image, np.zeros((4, 4, 3)))
    assert "(3, 8, 6)" in fails(read_image, np.zeros((3, 8, 6), int))
    for wrong in (7, None, b"bytes"): assert "an open file is needed" in fails(read_image, wrong)


def test_an_image_beyond_the_limit_of_pixels_is_refused():
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, 1000
    try:
        with tempfile.TemporaryDirectory() as d, warnings.catch_warnings():
            warnings.simplefilter("ignore")    # Pillow's own, up to twice the limit
            for side in (40, 100):             # above the limit, above twice the limit
                Image.new("L", (side, side)).save(f"{d}/big.png")
                message = fails(read_image, f"{d}/big.png")
                assert "big.png claims" in message and "MAX_IMAGE_PIXELS to a larger" in message
    finally: Image.MAX_IMAGE_PIXELS = limit


def test_the_size_from_the_header_is_that_of_the_image_turned_upright():
    with tempfile.TemporaryDirectory() as d:
        note = Image.Exif()
        for turn, wanted in ((1, (6, 4)), (6, (4, 6))):
            note[0x0112] = turn
            Image.new("RGB", (6, 4)).save(f"{d}/phone.jpg", exif=note)
            assert image_size(Path(d)/"phone.jpg") == wanted
            assert read_image(f"{d}/phone.jpg").shape[-2:] == wanted[::-1]
        Path(f"{d}/notes.png").write_text("not an image")
        assert "notes.png" in fails(image_size, Path(d)/"notes.png")
