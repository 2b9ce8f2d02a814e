# Generated from nbs/2_inputs/20_images.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import numpy as np
import tempfile
import torch
import warnings
from PIL import Image
from pathlib import Path
from rabit.core.tensors import RabitError
from rabit.inputs.images import image_size
from rabit.inputs.images import read_image

def fails(f, *args, **kwargs):
    "The message of the `RabitError` that f must raise"
    try: f(*args, **kwargs)
    except RabitError as e: return str(e)
    raise AssertionError(f"{f.__name__} accepted {args}")


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


def test_an_image_beyond_the_limit_of_pixels_is_refused():
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, 1000
    try:
        with tempfile.TemporaryDirectory() as d, warnings.catch_warnings():
            warnings.simplefilter("ignore")    # Pillow's own, up to twice the limit
            for side in (40, 100):             # above the limit, above twice the limit
                Image.new("L", (side, side)).save(f"{d}/big.png")
                assert "big.png claims" in fails(read_image, f"{d}/big.png")
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
