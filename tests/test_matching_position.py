# Generated from nbs/1_matching/16_position.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
from rabit.matching.position import coord_conv
from rabit.matching.position import semantic_position


def test_coord_conv_runs_from_border_to_border():
    x, y = coord_conv((3, 5))[0]
    assert x[0].tolist() == [-1, -.5, 0, .5, 1] and y[:, 0].tolist() == [-1, 0, 1]
    assert coord_conv((1, 4))[0, 1].tolist() == [[0, 0, 0, 0]]
    try: coord_conv((0, 4))
    except ValueError as error: assert "(0, 4)" in str(error)
    else: assert False, "an empty grid must be refused"


def test_single_pixels_are_zero_and_unknown_is_a_region():
    labels = torch.tensor([[[3, 255, 255], [3, 9, 255], [3, 255, 255]]])
    x, y = semantic_position(labels)[0]
    assert x[1, 1] == 0 and y[1, 1] == 0                                    # 9 is a single pixel
    assert x[:, 0].tolist() == [0, 0, 0] and y[:, 0].tolist() == [-1, 0, 1]  # 3 is one pixel wide
    assert x[0, 1] == -1 and abs(x[1, 2] - 2 / 3) < 1e-6            # 255: columns 1 2 2 1 2, mean 8/5, extent 3/5
    for dtype in (torch.uint8, torch.int16, torch.int32):
        assert torch.equal(semantic_position(labels.to(dtype)), semantic_position(labels))
    assert torch.equal(semantic_position(torch.zeros(1, 6, 9, dtype=torch.long)), coord_conv((6, 9)))


def test_semantic_position_refuses_what_does_not_fit():
    refused = [(torch.zeros(1, 2, 2), "box", "float32"), (torch.full((1, 2, 2), 256), "box", "256"),
               (torch.full((1, 2, 2), -1), "box", "-1"), (torch.zeros(2, 2, dtype=torch.long), "box", "(2, 2)"),
               (torch.zeros(1, 2, 2, dtype=torch.long), "middle", "'middle'")]
    for labels, frame, said in refused:
        try: semantic_position(labels, frame)
        except ValueError as error: assert said in str(error), error
        else: assert False, f"should have been refused: {said}"


def test_moving_renaming_and_batching_change_nothing():
    dice = torch.Generator().manual_seed(1)
    blob = torch.randint(0, 4, (1, 9, 11), generator=dice)
    for frame in ("centroid", "box"):
        wanted = semantic_position(blob, frame)
        canvas = torch.full((2, 30, 40), 200)
        canvas[0, 2:11, 3:14], canvas[1, 20:29, 25:36] = blob[0], blob[0]
        placed = semantic_position(canvas, frame)
        assert torch.equal(placed[:1, :, 2:11, 3:14], wanted) and torch.equal(placed[1:, :, 20:29, 25:36], wanted)
        assert torch.equal(semantic_position(torch.tensor([9, 0, 255, 77])[blob], frame), wanted)


def test_mirrors_and_transposes():
    labels = torch.randint(0, 5, (2, 8, 13), generator=torch.Generator().manual_seed(2))
    for frame in ("centroid", "box"):
        r = semantic_position(labels, frame)
        mirrored = semantic_position(labels.flip(2), frame).flip(3)
        assert torch.equal(mirrored[:, 0], -r[:, 0]) and torch.equal(mirrored[:, 1], r[:, 1])
        assert torch.equal(semantic_position(labels.mT, frame), r.flip(1).mT)


def test_enlarging_a_map_keeps_coordinates_up_to_half_a_pixel():
    labels = torch.zeros(1, 12, 16, dtype=torch.long)
    labels[:, 3:9, 4:15] = 1
    f, e = 4, torch.tensor([5., 2.5])[:, None, None]
    large = labels.repeat_interleave(f, 1).repeat_interleave(f, 2)
    for frame in ("centroid", "box"):
        pooled = torch.nn.functional.avg_pool2d(semantic_position(large, frame), f)
        wanted = semantic_position(labels, frame) * f * e / (f * e + (f - 1) / 2)
        assert torch.allclose(pooled[0, :, 3:9, 4:15], wanted[0, :, 3:9, 4:15], atol=1e-6)


def test_regions_touch_the_ends_of_the_interval():
    labels = torch.randint(0, 30, (3, 20, 20), generator=torch.Generator().manual_seed(3))
    for frame in ("centroid", "box"):
        r = semantic_position(labels, frame)
        assert r.abs().max() == 1
        for b, region in {(b, region) for b in range(3) for region in labels[b].unique().tolist()}:
            x = r[b, 0][labels[b] == region]
            if (x != 0).any(): assert x.abs().max() == 1 and (frame == "centroid" or x.min() == -x.max())
