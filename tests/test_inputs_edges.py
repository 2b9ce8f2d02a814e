# Generated from nbs/2_inputs/22_edges.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import numpy as np
import tempfile
import torch
from PIL import Image
from pathlib import Path
from rabit.core.colors import color_labels
from rabit.core.tensors import RabitError
from rabit.core.tensors import RabitWarning
from rabit.core.tensors import resize
from rabit.core.tensors import to_pil
from rabit.inputs.edges import canny
from rabit.inputs.edges import edge_distance
from rabit.inputs.edges import edges_condition
from rabit.inputs.edges import find_edges
from rabit.inputs.edges import fit_edges
from rabit.inputs.edges import fit_edges_condition
from rabit.inputs.edges import image_edges
from rabit.inputs.edges import paint_edges
from rabit.inputs.edges import part_edges
from rabit.inputs.edges import read_edges
from rabit.inputs.images import read_image
from rabit.matching.street import street_pairs


def test_an_edge_is_one_pixel_wide_and_lies_where_a_new_part_begins():
    parts = torch.tensor([[[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 1, 1]]])
    assert part_edges(parts).int().tolist() == [[[0, 0, 1, 0], [0, 0, 1, 0], [1, 1, 1, 0]]]


def test_distances_to_edges_are_those_of_scipy():
    import pytest
    ndimage = pytest.importorskip("scipy.ndimage")
    generator = torch.Generator().manual_seed(0)
    for size, share in (((1, 7), .3), ((33, 47), .01), ((64, 64), .1), ((70, 20), .002)):
        edges = torch.rand(5, *size, generator=generator) < share
        edges[:, 0, size[1] // 2] = True
        wanted = torch.stack([torch.from_numpy(ndimage.distance_transform_edt(~e.numpy())) for e in edges])
        torch.testing.assert_close(edge_distance(edges).double(), wanted, atol=1e-5, rtol=0)


def test_distances_to_edges_do_not_depend_on_the_batch_and_refuse_what_is_no_edge_map():
    edges = torch.rand(6, 20, 30, generator=torch.Generator().manual_seed(1)) < .02
    assert torch.cat([edge_distance(e[None]) for e in edges]).equal(edge_distance(edges))
    for wrong in (edges[0], edges.float(), None):
        try: edge_distance(wrong)
        except RabitError as error: assert "bool map (b, h, w)" in str(error)
        else: assert False, wrong


def test_the_channels_of_edges_lie_between_0_and_1_at_every_size():
    line = torch.zeros(1, 20, 40, dtype=torch.bool)
    line[:, 5] = True
    condition = edges_condition(line)
    assert condition.shape == (1, 2, 20, 40) and condition[0, 0].bool().equal(line[0])
    torch.testing.assert_close(condition[0, 1, :, 7], (torch.arange(20.) - 5).abs() / 20)      # in halves of 40
    assert edges_condition(torch.zeros(2, 3, 4, dtype=torch.bool))[:, 1].eq(1).all()  # no edge at all


def test_outlines_where_parts_are_known_and_the_photograph_elsewhere():
    import pytest
    pytest.importorskip("skimage")
    r = street_pairs(range(2), size=(48, 48))
    unknown = torch.full_like(r["labels"], 255)
    assert image_edges(r["image"], r["labels"]).equal(part_edges(r["labels"]))    # all is known, all is quiet
    assert image_edges(r["image"], unknown).equal(canny(r["image"]))            # nothing is known
    houses = r["labels"] == 1
    own = image_edges(r["image"], r["labels"], drawn=(1,), quiet=(1,))
    assert (own[houses].equal(part_edges(torch.where(houses, 1, 255))[houses])
            and (own & ~houses).equal((canny(r["image"]) | part_edges(torch.where(houses, 1, 255))) & ~houses))


def test_lines_stay_whole_and_thin_when_they_shrink_and_whole_when_they_grow():
    edges = torch.zeros(1, 64, 96, dtype=torch.bool)
    edges[0, 10], edges[0, :, 40] = True, True
    for size in ((16, 24), (33, 50), (64, 96), (64, 24), (128, 24), (200, 300)):
        small = fit_edges(edges, size)
        assert small.shape == (1, *size) and small.all(2).any() and small.all(1).any(), size
        if size[0] <= 64: assert small.all(2).sum() == 1 == small.all(1).sum() or size[1] > 96, size
    condition = edges_condition(edges)
    assert fit_edges_condition(condition, (16, 24)).equal(edges_condition(fit_edges(edges, (16, 24))))


def test_drawings_are_read_either_way_round():
    chalk = np.zeros((20, 30), np.uint8)
    chalk[5], chalk[:, 7] = 255, 255
    wanted = edges_condition(torch.from_numpy(chalk > 0)[None])
    with tempfile.TemporaryDirectory() as folder:
        for name, a in (("board", chalk), ("paper", 255 - chalk)):
            Image.fromarray(a).save(Path(folder)/f"{name}.png")
            assert read_edges(Path(folder)/f"{name}.png").equal(wanted)
            assert read_edges(Image.fromarray(a)).equal(wanted)
    assert read_edges(chalk > 0).equal(wanted)
    try: read_edges(Image.new("L", (5, 5), 9))
    except RabitError as error: assert "one color" in str(error)
    else: assert False


def test_drawings_of_every_kind_pass_and_photographs_and_label_maps_do_not():
    import pytest
    pytest.importorskip("skimage")
    def refusal(x):
        "The message in which reading a drawing ends, or nothing"
        try: read_edges(x)
        except RabitError as error: return str(error)
        return ""

    r = street_pairs(range(8), size=(96, 96))
    for i in range(8):
        photograph, parts = r["image"][i:i + 1], r["labels"][i:i + 1]
        for lines in (part_edges(parts), canny(photograph)):
            drawing = Image.fromarray(lines[0].numpy()).convert("L")
            large = drawing.resize((200, 200), Image.Resampling.BILINEAR)
            shown = to_pil(paint_edges(edges_condition(lines)))
            for x in (drawing, large, drawing.point(lambda v: 255 - .7 * v), shown): assert refusal(x) == ""
        ids = parts[0].byte().numpy()
        bordered = np.where(part_edges(parts)[0], 255, ids).astype(np.uint8)
        house = ids == np.bincount(ids.ravel()).argsort()[-2]
        view = to_pil(photograph)
        for x in (view, view.convert("L"), ids, bordered, house, to_pil(color_labels(parts))):
            assert "canny" in refusal(x)
    print(refusal(view))


def test_a_photograph_gives_its_edges_where_they_are_wanted_and_label_maps_and_masks_do_not():
    import pytest
    pytest.importorskip("skimage")
    r = street_pairs([3, 4], size=(128, 192))
    photograph = to_pil(r["image"][:1])
    with pytest.warns(RabitWarning, match="expected: its edges are looked for, at 96×64"):
        condition = read_edges(photograph, lambda size: (size[0] // 2, size[1] // 2))
    image = read_image(photograph)
    assert condition.shape == (1, 2, 128, 192) and torch.equal(condition, find_edges(image, (64, 96)))
    back = fit_edges_condition(condition, (64, 96))
    assert torch.equal(back, edges_condition(canny(resize(image, (64, 96)))))    # nothing is lost on the way
    torch.testing.assert_close(find_edges(image), edges_condition(canny(image)))
    drawing = to_pil(paint_edges(condition))
    assert torch.equal(read_edges(drawing, lambda size: (8, 8))[:, 0], condition[:, 0])   # as it was drawn
    with pytest.warns(RabitWarning): read_edges(photograph.convert("L"), lambda size: (64, 96))
    ids = r["labels"][0].byte().numpy()
    for x in (ids, ids == 3, to_pil(color_labels(r["labels"][:1]))):
        try: read_edges(x, lambda size: (64, 96))
        except RabitError as error: assert "no drawing" in str(error)
        else: assert False
