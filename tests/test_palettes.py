"""Colored label maps: what is recognised comes back as it was, and what could be read in two ways is never
guessed."""
import json, subprocess, sys

import numpy as np, pytest, torch
from PIL import Image

from rabit.core.tensors import RabitError, to_pil
from rabit.data.datasets import FolderDataset
from rabit.data.inspect import inspect_folder
from rabit.inputs.palettes import MAX_BLENDED_FRACTION, PALETTES, read_labels, read_palette, voc_color
from rabit.matching.street import street_pairs
from rabit.core.colors import PALETTE, color_labels


def write(path, rows):
    Image.fromarray(np.array(rows, np.uint8)).save(path)
    return path


def refused(f, *args, **kwargs):
    with pytest.raises(RabitError) as e: f(*args, **kwargs)
    return str(e.value)


def paint(ids, palette):
    "A map in a palette's colors: of several colors for an id the first."
    of = {i: c for c, i in reversed(palette.items())}
    return [[of[i] for i in row] for row in ids]


@pytest.mark.parametrize("name", PALETTES)
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_all_colors_of_a_palette_come_back_as_ids(tmp_path, name, mode):
    known = PALETTES[name]
    Image.fromarray(np.array([list(known)], np.uint8)).convert(mode).save(tmp_path / "a.png")
    for found in (
        read_labels(tmp_path / "a.png"),
        read_labels(tmp_path / "a.png", palette=name),
        read_labels(Image.open(tmp_path / "a.png")),
    ):
        assert found.dtype == torch.int64 and found.tolist() == [[list(known.values())]]


def test_own_drawings_round_trip(tmp_path):
    labels = torch.cat([street_pairs([3], size=(40, 48))["labels"][0], torch.arange(24).repeat(2)[None],
                        torch.full((1, 48), 255)])
    to_pil(color_labels(labels)).save(tmp_path / "drawn.png")
    assert torch.equal(read_labels(tmp_path / "drawn.png", 24)[0], labels)
    assert len(PALETTE) == 24 and "repeat after 24" in refused(read_labels, tmp_path / "drawn.png", 25)
    assert "repeat after 24" in refused(read_labels, tmp_path / "drawn.png", 25, "rabit")


def test_voc_colors_are_256_and_differ():
    assert len({voc_color(i) for i in range(256)}) == 256 and max(max(voc_color(i)) for i in range(256)) < 256
    for i in range(256):                                                       # the formula read backwards
        r, g, b = voc_color(i)
        assert sum((c >> 7 - j & 1) << 3 * j + k for k, c in enumerate((r, g, b)) for j in range(3)) == i


def test_what_two_palettes_read_differently_is_asked_about(tmp_path):
    path = write(tmp_path / "a.png", [[(128, 64, 128), (0, 0, 0), (0, 0, 0)]])   # road and void: ids 0 or 3
    said = refused(read_labels, path)
    assert ("cityscapes and camvid" in said and "#000000 (2 px), #804080 (1 px)" in said
            and "--palette" in said and str(path) in said)
    assert (read_labels(path, palette="cityscapes").tolist() == [[[0, 255, 255]]]
            and read_labels(path, palette="camvid").tolist() == [[[3, 255, 255]]])


def test_what_two_palettes_read_alike_is_read(tmp_path, monkeypatch):
    monkeypatch.setitem(PALETTES, "twin", dict(PALETTES["cityscapes"]))
    assert read_labels(write(tmp_path / "a.png", [[(244, 35, 232), (0, 0, 142)]])).tolist() == [[[1, 13]]]


def test_photographs_are_refused_with_eight_colors_and_the_rest_counted(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (50, 50, 3))
    said = refused(read_labels, write(tmp_path / "a.png", rgb))
    assert said.count(" px)") == 8 and "more, fit no known palette" in said and len(said) < 700


def test_foreign_pixels_are_told_with_their_share_and_the_nearest_color(tmp_path):
    rows = np.array(paint([[0, 1, 2, 13] * 5] * 5, PALETTES["cityscapes"]))
    rows[2, 2] = (71, 70, 70)
    said = refused(read_labels, write(tmp_path / "a.png", rows))
    assert (
        "nearest is cityscapes, which lacks those of 1.0% of the pixels: #474646 (1 px, nearest #464646)"
        in said
    )


def test_blended_borders_need_a_palette_that_is_given(tmp_path):
    ground_truth = torch.zeros(60, 60, dtype=torch.long); ground_truth[20:40, 30:] = 1; ground_truth[40:] = 2
    # the fourth is the blend of the first two
    palette = [(255, 0, 0), (0, 0, 255), (0, 255, 0), (128, 0, 128)]
    big = np.kron(np.array(palette, np.uint8)[ground_truth.numpy()], np.ones((3, 3, 1), np.uint8))[1:, 1:]
    Image.fromarray(big).resize((60, 60), Image.Resampling.BOX, (0, 0, 179, 179)).save(tmp_path / "a.png")
    assert "no known palette" in refused(read_labels, tmp_path / "a.png")
    found = read_labels(tmp_path / "a.png", palette=palette)[0]
    assert set(found.unique().tolist()) <= {0, 1, 2, 3} and (found != ground_truth).float().mean() < .04
    three = read_labels(tmp_path / "a.png", palette=palette[:3])[0]
    assert set(three.unique().tolist()) == {0, 1, 2} and (three != ground_truth).float().mean() < .03


@pytest.mark.parametrize("size, said", [((6, 6), "2.8%"), ((20, 20), "30.9%")])
def test_a_patch_of_a_foreign_color_is_no_border(tmp_path, size, said):
    rows = np.zeros((36, 36, 3), np.uint8); rows[..., 0] = 255
    rows[5:5 + size[0], 5:5 + size[1]] = (9, 9, 9)
    message = refused(read_labels, write(tmp_path / "a.png", rows), palette=[(255, 0, 0), (0, 0, 255)])
    assert said in message and "#090909" in message and f"{MAX_BLENDED_FRACTION:.0%}" in message


def test_grey_maps_keep_their_numbers_and_indexed_ones_do_unless_a_palette_is_given(tmp_path):
    ids = Image.fromarray(np.array([[0, 5, 255]], np.uint8))
    ids.save(tmp_path / "grey.png")
    ids.putpalette([c for i in range(256) for c in voc_color(255 - i)])
    ids.save(tmp_path / "indexed.png")
    for palette in (None, "voc", [(1, 2, 3)]):
        assert read_labels(tmp_path / "grey.png", palette=palette).tolist() == [[[0, 5, 255]]]
    assert read_labels(tmp_path / "indexed.png").tolist() == [[[0, 5, 255]]]
    for palette in ("voc", [(1, 2, 3)]):
        assert "the palette lacks" in refused(read_labels, tmp_path / "indexed.png", palette=palette)


def test_grey_colors_are_ids_unless_a_palette_has_them(tmp_path):
    path = write(tmp_path / "a.png", [[(70, 70, 70), (153, 153, 153)]])
    assert "may be ids, or colors" in refused(read_labels, path)
    for more in (dict(palette="cityscapes"), dict(classes=19)):
        assert read_labels(path, **more).tolist() == [[[2, 5]]]
    path = write(tmp_path / "b.png", [[(7, 7, 7), (15, 15, 15)]])
    assert read_labels(path).tolist() == [[[7, 15]]]


def test_ids_of_colors_are_checked_against_the_classes(tmp_path):
    path = write(tmp_path / "a.png", [[(0, 0, 142), (220, 20, 60)]])
    assert "label id 13" in refused(read_labels, path, 7) and read_labels(path, 19).tolist() == [[[13, 11]]]


def test_folders_of_colored_maps_are_data(tmp_path):
    for part in ("images", "labels"): (tmp_path / part).mkdir()
    r = street_pairs([0, 1], size=(32, 32))
    for i in range(2):
        to_pil(r["image"][i]).save(tmp_path / "images" / f"w{i}_0.png")
        to_pil(color_labels(r["labels"][i])).save(tmp_path / "labels" / f"w{i}_0.png")
    assert inspect_folder(tmp_path, 7)["fits"]
    assert torch.equal(FolderDataset(tmp_path, 7, (32, 32), self_pair_prob=0,
                                     augment=False).batch([0, 1])["labels"], r["labels"])


@pytest.mark.parametrize("text", ["", "{", "7", "null", '"x"', "[]", "{}", "[[1, 2]]", '[[1, 2, 3.5]]',
                                  '[[1, 2, true]]', '{"0": [1, 2, 3], "road": [2, 3, 4]}',
                                  '{"300": [1, 2, 3]}', '{"0": "#12345"}', '{"0": "red"}', '{"0": {"r": 1}}',
                                  '["#000000", "#000000"]', "[" * 50_000, "9" * 5000, '{"' + "1" * 5000
                                  + '": [1, 2, 3]}'])
def test_hostile_palettes_of_json_are_one_error(tmp_path, text):
    (tmp_path / "p.json").write_text(text, encoding="utf-8")
    said = refused(read_palette, tmp_path / "p.json")
    assert "p.json" in said and len(said) < 400


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"0", b"0 1", b"0 1 2", b"x 1 2 3", b"-1 1 2 3",
                                     b"0 1 2 256", b"0 1 2 -3", b"256 1 2 3", b"0 #", b"0 #12", b"0 #gggggg",
                                     b"#804080", b"0 1 2 3\n1 1 2 3", b"\0\0\0\0", b"1" * 9999])
def test_hostile_palettes_of_lines_are_one_error(tmp_path, content):
    (tmp_path / "p.txt").write_bytes(content)
    said = refused(read_palette, str(tmp_path / "p.txt"))
    assert "p.txt" in said and len(said) < 400


def test_palettes_that_are_no_files_or_lists(tmp_path):
    (tmp_path / "large.txt").write_bytes(b"0 1 2 3\n" * 200_000)
    for bad in (
        "nowhere",
        "",
        "a\0b",
        tmp_path,
        tmp_path / "large.txt",
        "/dev/zero",
        7,
        None,
        2.5,
        [],
        {},
        [7],
        ["red"],
        [(1, 2)],
        {7: 1},
        {(1, 2, 3): "a"},
        np.zeros((2, 2), int),
        torch.zeros(3, 3),
    ):
        refused(read_palette, bad)


def test_palettes_mean_the_same_in_every_form(tmp_path):
    rows = [(250, 3, 7), (9, 200, 1)]
    (tmp_path / "a.json").write_text(json.dumps({"house": rows[0], "tree": "#09c801"}))
    (tmp_path / "b.json").write_text(json.dumps({"0": rows[0], "1": rows[1]}))
    (tmp_path / "c.json").write_text(json.dumps(rows))
    (tmp_path / "d.txt").write_text("\ufeff0 250 3 7 house\r\n\r\n1, #09C801, tree\r\n", encoding="utf-8")
    forms = [rows, np.array(rows), torch.tensor(rows), {c: i for i, c in enumerate(rows)},
             *(tmp_path / n for n in ("a.json", "b.json", "c.json", "d.txt"))]
    assert all(read_palette(form) == {rows[0]: 0, rows[1]: 1} for form in forms)
    assert read_labels(write(tmp_path / "m.png", [[rows[1], rows[0]]]), 2, tmp_path
                       / "a.json").tolist() == [[[1, 0]]]


def test_a_large_photograph_is_refused_in_bounded_memory(tmp_path):
    code = ("import resource, sys, numpy as np; from PIL import Image; from rabit.inputs.palettes import "
            "read_labels; from rabit.core.tensors import RabitError\n"
            "im = Image.fromarray(np.random.default_rng(0).integers(0, 256, (1500, 2000, 3), "
            "dtype=np.uint8)); before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
            "try: read_labels(im)\nexcept RabitError as e: "
            "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, len(str(e)))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    used, length = map(int, done.stdout.split())
    assert used < 500 and length < 1000, done.stderr


def test_indexed_maps_whose_numbers_a_program_chose_are_not_guessed(tmp_path):
    "Image.quantize and painting programs keep colors and number them anew"
    ids = street_pairs([3], size=(24, 32))["labels"][0]
    colored = Image.fromarray(np.array([tuple(bytes.fromhex(c[1:])) for c in PALETTE[:7]],
                                       np.uint8)[ids.numpy()])
    colored.quantize(7).save(tmp_path / "quantized.png")
    assert "--palette rabit" in refused(read_labels, tmp_path / "quantized.png", 7)
    assert torch.equal(read_labels(tmp_path / "quantized.png", 7, "rabit")[0], ids)
    # said, and not true
    assert "the palette lacks" in refused(read_labels, tmp_path / "quantized.png", 7, "cityscapes")
    indexed = Image.fromarray(ids.byte().numpy(), "P")
    indexed.putpalette([v for c in PALETTE[:7] for v in bytes.fromhex(c[1:])])
    indexed.save(tmp_path / "indexed.png")
    for palette in (None, "rabit"):
        assert torch.equal(read_labels(tmp_path / "indexed.png", 7, palette)[0], ids)
    # colors that nobody knows: the numbers count
    indexed.putpalette([v for i in range(7) for v in (i, 90 - i, 3 * i)])
    indexed.save(tmp_path / "own.png")
    assert torch.equal(read_labels(tmp_path / "own.png", 7)[0], ids)
