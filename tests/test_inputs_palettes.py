# Generated from nbs/2_inputs/21_palettes.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import io
import numpy as np
import tempfile
import torch
import warnings
from PIL import Image
from pathlib import Path
from rabit.core.tensors import to_pil
from rabit.core.trials import fails
from rabit.inputs.palettes import LABEL_MAPPINGS
from rabit.inputs.palettes import PALETTES
from rabit.inputs.palettes import ade20k_ids
from rabit.inputs.palettes import camvid_ids
from rabit.inputs.palettes import cityscapes_ids
from rabit.inputs.palettes import folder_palette
from rabit.inputs.palettes import is_mask
from rabit.inputs.palettes import read_labels
from rabit.inputs.palettes import read_palette
from rabit.inputs.palettes import voc_color
from rabit.matching.street import street_pairs


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
        (Path(d)/"labelmap.txt").write_text("# label:color_rgb:parts:actions\nroad:128,64,128::\nsky:1,2,3::\n")
        assert read_palette(Path(d)/"labelmap.txt") == {(128, 64, 128): 0, (1, 2, 3): 1}
        (Path(d)/"_classes.csv").write_text("Pixel Value, Class\n0, road\n1, sky\n")
        assert "need no palette" in fails(read_palette, f"{d}/_classes.csv")
    assert "voc" in fails(read_palette, "nowhere") and "camvid" in fails(read_palette, 7)


def test_a_folder_holds_its_palette_in_its_own_list_or_in_that_of_a_tool():
    with tempfile.TemporaryDirectory() as d:
        assert folder_palette(d) is None
        (Path(d)/"_classes.csv").write_text("Pixel Value, Class\n0, road\n1, sky\n")
        assert folder_palette(d) is None                # ids and names, no colors
        (Path(d)/"labelmap.txt").write_text("# label:color_rgb:parts:actions\nroad:128,64,128::\nsky:1,2,3::\n")
        assert folder_palette(d) == {(128, 64, 128): 0, (1, 2, 3): 1}
        (Path(d)/"palette.txt").write_text("7 128 64 128\n")
        assert folder_palette(d) == {(128, 64, 128): 7}


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


def test_what_is_transparent_in_a_label_map_is_unknown():
    ids = np.array([[0, 1, 2], [0, 3, 4]], np.uint8)
    erased = np.array([[0, 255, 255], [255, 255, 0]], np.uint8)
    indexed = Image.fromarray(ids)
    indexed.putpalette(bytes(range(256)) * 3)
    with tempfile.TemporaryDirectory() as d:
        Image.merge("LA", [Image.fromarray(ids), Image.fromarray(erased)]).save(f"{d}/grey.png")
        Image.merge("RGBA", [Image.fromarray(x) for x in (ids, ids, ids, erased)]).save(f"{d}/equal.png")
        for name in ("grey", "equal"):
            assert read_labels(f"{d}/{name}.png", 5)[0].tolist() == [[255, 1, 2], [0, 3, 255]], name
        indexed.save(f"{d}/indexed.png", transparency=0)
        Image.fromarray(ids).save(f"{d}/key.png", transparency=0)
        for name in ("indexed", "key"):
            assert read_labels(f"{d}/{name}.png", 5)[0].tolist() == [[255, 1, 2], [255, 3, 4]], name
        Image.new("LA", (3, 2)).save(f"{d}/clear.png")
        assert "transparent everywhere" in fails(read_labels, f"{d}/clear.png")


def test_greys_of_a_palette_are_ids_where_the_index_is_only_their_rank():
    def optimised(greys, order=None):
        "A map of these greys as programs store it that make files smaller: places in a palette"
        im = Image.fromarray(np.array([order or range(len(greys))], np.uint8), "P")
        im.putpalette([g for g in greys for _ in range(3)])
        im.save(memory := io.BytesIO(), "PNG")
        return memory

    assert read_labels(optimised([0, 1, 2, 3, 5, 255]))[0, 0].tolist() == [0, 1, 2, 3, 5, 255]
    assert read_labels(optimised([0, 5]), 7)[0, 0].tolist() == [0, 5]
    Image.fromarray(np.array([[0, 1, 5, 200]], np.uint8)).save(gif := io.BytesIO(), "GIF")
    assert read_labels(gif)[0, 0].tolist() == [0, 1, 5, 200]
    # an even ramp: painted numbers, where only they fit; nobody knows, where both do
    assert read_labels(optimised([0, 85, 170, 255]), 4)[0, 0].tolist() == [0, 1, 2, 3]
    for greys, order in (([0, 85, 170, 255], None), ([0, 255], None), ([5, 0, 255, 1], None),
                         ([0, 1, 9, 3], [0, 2, 3]), (range(0, 256, 15), [0, 1]),
                         ([255, 0], None), ([3, 5, 0], None)):
        message = fails(read_labels, optimised(greys, order))
        assert "or their greys" in message and "Store it in grey" in message
    print(message)
    assert read_labels(optimised([5, 0, 255, 1]), palette=[(g, g, g) for g in range(9)]
                       + [(255, 255, 255)])[0, 0].tolist() == [5, 0, 9, 1]


def test_numbers_that_decoding_would_change_are_read_as_they_are_stored_or_refused():
    ids = street_pairs([1], seed=0, size=(64, 64))["labels"][0].byte().numpy()
    with tempfile.TemporaryDirectory() as d:
        Path(f"{d}/seven.pgm").write_bytes(b"P5 3 2 7\n\0\1\2\3\4\7")
        assert read_labels(f"{d}/seven.pgm")[0].tolist() == [[0, 1, 2], [3, 4, 7]]
        Path(f"{d}/wide.ppm").write_bytes(b"P6 1 1 65535\n\0\1\0\1\0\1")
        Image.fromarray(ids).convert("RGB").save(f"{d}/lossy.webp")
        Image.fromarray(ids).convert("RGB").save(f"{d}/lossless.webp", lossless=True)
        for name in ("wide.ppm", "lossy.webp"): print(fails(read_labels, f"{d}/{name}").replace(d, "…"))
        assert (read_labels(f"{d}/lossless.webp", 7)[0].numpy() == ids).all()


def test_grey_colors_are_read_by_a_palette_that_has_them():
    with tempfile.TemporaryDirectory() as d:
        colors = np.array([[70, 153, 70]], np.uint8)                # Cityscapes' building and pole
        Image.fromarray(np.stack([colors] * 3, 2)).save(f"{d}/color.png")
        Image.fromarray(colors).save(f"{d}/grey.png")
        for name in ("color", "grey"):
            assert read_labels(f"{d}/{name}.png", 19, "cityscapes")[0].tolist() == [[2, 5, 2]]
        assert read_labels(f"{d}/grey.png")[0].tolist() == colors.tolist()
        assert read_labels(f"{d}/color.png", 19)[0].tolist() == [[2, 5, 2]]
        assert "may be ids, or colors" in fails(read_labels, f"{d}/color.png")


def test_masks_of_0_and_255_are_told_and_their_foreground_can_be_read():
    with tempfile.TemporaryDirectory() as d, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        Image.fromarray(np.array([[0, 255]], np.uint8)).save(f"{d}/mask.png")
        assert read_labels(f"{d}/mask.png").tolist() == [[[0, 255]]] and "foreground" in str(told[0].message)
        assert read_labels(f"{d}/mask.png", 2, ["#000000", "#ffffff"]).tolist() == [[[0, 1]]] and len(told) == 1
        Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1").save(f"{d}/bits.png")
        assert read_labels(f"{d}/bits.png").tolist() == [[[0, 1]]] and len(told) == 1
        assert not is_mask([0]) and not is_mask([255]) and not is_mask([0, 1, 255])


def test_photographs_are_no_label_maps():
    photograph = to_pil(street_pairs([1], seed=0, size=(64, 64))["image"] + .1 * torch.randn(
        1, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    assert "a photograph does so" in fails(read_labels, photograph.convert("L"))
    assert "those of a photograph" in fails(read_labels, photograph)


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
