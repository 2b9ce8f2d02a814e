# Generated from nbs/2_inputs/21_palettes.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import numpy as np
import tempfile
import torch
from PIL import Image
from pathlib import Path
from rabit.core.tensors import RabitError
from rabit.inputs.palettes import LABEL_MAPPINGS
from rabit.inputs.palettes import PALETTES
from rabit.inputs.palettes import ade20k_ids
from rabit.inputs.palettes import camvid_ids
from rabit.inputs.palettes import cityscapes_ids
from rabit.inputs.palettes import read_labels
from rabit.inputs.palettes import read_palette
from rabit.inputs.palettes import voc_color

def fails(f, *args, **kwargs):
    "The message of the `RabitError` that f must raise"
    try: f(*args, **kwargs)
    except RabitError as e: return str(e)
    raise AssertionError(f"{f.__name__} accepted {args}")


def test_palettes_hold_what_their_sets_say():
    assert [voc_color(i) for i in (0, 1, 15, 255)] == [(0, 0, 0), (128, 0, 0), (192, 128, 128), (224, 224, 192)]
    sizes = {name: len({*p.values()} - {255}) for name, p in PALETTES.items()}
    assert sizes == dict(rabit=24, voc=21, cityscapes=19, camvid=11)
    assert PALETTES["cityscapes"][128, 64, 128] == 0 and PALETTES["camvid"][128, 64, 128] == 3   # road
    assert all(255 in p.values() for p in PALETTES.values())


def test_palettes_are_read_from_lists_and_files_and_refused_with_a_reason():
    with tempfile.TemporaryDirectory() as d:
        files = {"a.txt": "0 128 64 128 road\n1,255,0,0\n\n255 #000000\n",
                 "ids.json": '{"0": [128, 64, 128], "1": "#ff0000", "255": [0, 0, 0]}'}
        for name, text in files.items():
            (Path(d)/name).write_text(text)
            assert read_palette(f"{d}/{name}") == {(128, 64, 128): 0, (255, 0, 0): 1, (0, 0, 0): 255}
        (Path(d)/"names.json").write_text('{"road": "#804080", "sky": [1, 2, 3]}')
        assert (read_palette(Path(d)/"names.json") == read_palette([(128, 64, 128), (1, 2, 3)])
                == read_palette(np.array([[128, 64, 128], [1, 2, 3]])))
        for text in ("0 128 64", "road 1 2 3", "0 1 2 256", "300 1 2 3", "0 #12345g", "", "0 1 2 3\n1 1 2 3"):
            (Path(d)/"bad.txt").write_text(text)
            message = fails(read_palette, f"{d}/bad.txt")
            print(message.replace(d, "…"))
            assert "bad.txt" in message
    assert "voc" in fails(read_palette, "nowhere") and "camvid" in fails(read_palette, 7)


def test_ids_survive_every_mode_that_can_hold_them():
    with tempfile.TemporaryDirectory() as d:
        ids = np.array([[0, 1, 2], [3, 4, 255]], np.uint8)
        grey, colors = Image.fromarray(ids), Image.fromarray(ids)
        colors.putpalette(bytes(range(256)) * 3)
        files = dict(grey=grey, palette=colors, deep=Image.fromarray(ids.astype(np.uint16)),
                     equal=Image.merge("RGB", [grey] * 3))
        for name, im in files.items():
            im.save(f"{d}/{name}.png")
            assert read_labels(f"{d}/{name}.png", classes=5)[0].tolist() == ids.tolist(), name


def test_labels_that_cannot_be_right_are_refused_with_what_would_fit():
    with tempfile.TemporaryDirectory() as d:
        Image.new("RGB", (4, 4), (128, 64, 127)).save(f"{d}/painted.png")
        Image.fromarray(np.array([[0, 7], [11, 255]], np.uint8)).save(f"{d}/ids.png")
        for name in ("lossy.jpg", "disguised.png"): Image.new("L", (8, 8)).save(f"{d}/{name}", "JPEG")
        for message in (
            fails(read_labels, f"{d}/painted.png"),
            fails(read_labels, f"{d}/ids.png", 8),
            fails(read_labels, f"{d}/lossy.jpg"),
            fails(read_labels, f"{d}/disguised.png"),
        ):
            print(message.replace(d, "…"))
        message = fails(read_labels, f"{d}/ids.png", 8)
        assert "label id 11" in message and "classes=12 would fit" in message
        read_labels(f"{d}/ids.png", 12)


def test_colored_maps_of_known_palettes_give_their_ids_and_others_are_asked_about():
    with tempfile.TemporaryDirectory() as d:
        for name, p in PALETTES.items():
            colors, ids = np.array(list(p), np.uint8)[None], [*p.values()]
            Image.fromarray(colors).save(f"{d}/{name}.png")
            assert (read_labels(f"{d}/{name}.png")[0, 0].tolist() == ids
                    == read_labels(f"{d}/{name}.png", palette=name)[0, 0].tolist())
        Image.fromarray(np.array([[[128, 64, 128], [0, 0, 0]]], np.uint8)).save(f"{d}/road.png")
        message = fails(read_labels, f"{d}/road.png")
        print(message.replace(d, "…"))
        assert "cityscapes and camvid" in message and "#804080 (1 px)" in message and "--palette" in message
        assert (read_labels(f"{d}/road.png", palette="camvid").tolist() == [[[3, 255]]]
                and read_labels(f"{d}/road.png", palette=[(0, 0, 0), (128, 64, 128)]).tolist() == [[[1, 0]]])
        assert "repeat after 24" in fails(read_labels, f"{d}/rabit.png", 150)


def test_ids_of_other_countings_are_shifted():
    assert ade20k_ids(torch.tensor([[0, 1, 150]])).tolist() == [[255, 0, 149]]
    assert camvid_ids(torch.tensor([[0, 10, 11]])).tolist() == [[0, 10, 255]]
    stored, trained = [0, 6, 7, 17, 33, 255, 40], [255, 255, 0, 5, 18, 255, 40]   # 40 is left, to be refused
    assert cityscapes_ids(torch.tensor([stored])).tolist() == [trained]
    assert LABEL_MAPPINGS == dict(ade20k=ade20k_ids, camvid=camvid_ids, cityscapes=cityscapes_ids)
