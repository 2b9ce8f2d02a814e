# Generated from nbs/06_position.ipynb by .ci/export_tests.py: edit the notebook, not this file.
import math
import torch
from fractions import Fraction
from rabit.position import coord_conv
from rabit.position import fourier
from rabit.position import semantic_position

def frame_slow(line, frame):
    "Origin and unit of a list of whole numbers"
    centre = Fraction(sum(line), len(line)) if frame == "centroid" else Fraction(min(line) + max(line), 2)
    return centre, max(abs(x - centre) for x in line)

def semantic_position_slow(labels, frame="centroid"):
    "One region after the other, pixel by pixel: the reference"
    out = torch.zeros(len(labels), 2, *labels.shape[1:])
    for b, picture in enumerate(labels.tolist()):
        for region in {label for row in picture for label in row}:
            pixels = [(x, y) for y, row in enumerate(picture) for x, label in enumerate(row) if label == region]
            for axis in (0, 1):
                centre, extent = frame_slow([pixel[axis] for pixel in pixels], frame)
                for x, y in pixels: out[b, axis, y, x] = float(((x, y)[axis] - centre) / extent) if extent else 0.
    return out

def along_scatter(at, region, rows, frame):
    "Coordinates of all pixels along one axis, from reductions over the pixels of each region"
    empty = torch.zeros(rows, dtype=torch.int64)
    low, high = (empty.scatter_reduce(0, region, at, how, include_self=False) for how in ("amin", "amax"))
    if frame == "centroid": count, total = empty.scatter_add(0, region, torch.ones_like(at)), empty.scatter_add(0, region, at)
    else: count, total = torch.full_like(empty, 2), low + high
    extent = torch.maximum(count * high - total, total - count * low).clamp_min(1)
    return ((count[region] * at - total[region]).double() / extent[region]).to(torch.get_default_dtype())

def semantic_position_scatter(labels, frame="centroid"):
    "All regions at once, pixel by pixel"
    b, h, w = labels.shape
    region = (labels + 256 * torch.arange(b)[:, None, None]).flatten()
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    return torch.stack([along_scatter(at.expand(b, h, w).flatten(), region, 256 * b, frame).view(b, h, w) for at in (x, y)], 1)


def test_coord_conv_runs_from_border_to_border():
    x, y = coord_conv((3, 5))[0]
    assert x[0].tolist() == [-1, -.5, 0, .5, 1] and y[:, 0].tolist() == [-1, 0, 1]
    assert coord_conv((1, 4))[0, 1].tolist() == [[0, 0, 0, 0]]
    try: coord_conv((0, 4))
    except ValueError as e: assert "(0, 4)" in str(e)
    else: assert False, "an empty grid must be refused"


def test_semantic_position_equals_the_slow_loop():
    dice = torch.Generator().manual_seed(0)
    for b, h, w, ids in ((1, 1, 1, 1), (2, 5, 7, 3), (3, 1, 9, 2), (2, 24, 17, 150), (1, 33, 8, 12)):
        labels = torch.randint(0, ids, (b, h, w), generator=dice)
        labels[torch.rand(b, h, w, generator=dice) < .2] = 255
        for frame in ("centroid", "box"):
            wanted = semantic_position_slow(labels, frame)
            assert torch.equal(semantic_position_scatter(labels, frame), wanted), (b, h, w, ids, frame)
            assert torch.equal(semantic_position(labels, frame), wanted), (b, h, w, ids, frame)


def test_semantic_position_is_exact_on_large_maps():
    dice = torch.Generator().manual_seed(5)
    for b, h, w, ids, s in ((2, 200, 300, 150, 1), (1, 512, 512, 256, 1), (2, 320, 240, 150, 8)):
        labels = torch.randint(0, ids, (b, h // s, w // s), generator=dice).repeat_interleave(s, 1).repeat_interleave(s, 2)
        for frame in ("centroid", "box"): assert torch.equal(semantic_position(labels, frame), semantic_position_scatter(labels, frame)), (b, h, w, frame)
    try:
        torch.set_default_dtype(torch.float64)
        assert semantic_position(labels).dtype == torch.float64 and torch.equal(semantic_position(labels), semantic_position_scatter(labels))
    finally: torch.set_default_dtype(torch.float32)
    for frame in ("centroid", "box"): assert torch.equal(semantic_position(torch.full((1, 511, 601), 255), frame), coord_conv((511, 601)))


def test_single_pixels_are_zero_and_unknown_is_a_region():
    labels = torch.tensor([[[3, 255, 255], [3, 9, 255], [3, 255, 255]]])
    x, y = semantic_position(labels)[0]
    assert x[1, 1] == 0 and y[1, 1] == 0                                    # 9 is a single pixel
    assert x[:, 0].tolist() == [0, 0, 0] and y[:, 0].tolist() == [-1, 0, 1]  # 3 is one pixel wide
    assert x[0, 1] == -1 and abs(x[1, 2] - 2 / 3) < 1e-6                     # 255: columns 1 2 2 1 2, mean 8/5, extent 3/5
    for dtype in (torch.uint8, torch.int16, torch.int32): assert torch.equal(semantic_position(labels.to(dtype)), semantic_position(labels))
    assert torch.equal(semantic_position(torch.zeros(1, 6, 9, dtype=torch.long)), coord_conv((6, 9)))


def test_semantic_position_refuses_what_does_not_fit():
    for labels, frame, said in ((torch.zeros(1, 2, 2), "box", "float32"), (torch.full((1, 2, 2), 256), "box", "256"), (torch.full((1, 2, 2), -1), "box", "-1"),
                                (torch.zeros(2, 2, dtype=torch.long), "box", "(2, 2)"), (torch.zeros(1, 2, 2, dtype=torch.long), "middle", "'middle'")):
        try: semantic_position(labels, frame)
        except ValueError as e: assert said in str(e), e
        else: assert False, f"should have been refused: {said}"


def test_semantic_position_can_be_exported_and_compiled():
    from torch.export import Dim, export
    class Place(torch.nn.Module):
        def __init__(self, frame): super().__init__(); self.frame = frame
        def forward(self, labels): return semantic_position(labels, self.frame)

    dice = torch.Generator().manual_seed(6)
    first, other = (torch.randint(0, 256, shape, generator=dice) for shape in ((2, 9, 12), (3, 14, 5)))
    for frame in ("centroid", "box"):
        exported = export(Place(frame), (first,), dynamic_shapes=dict(labels={0: Dim("b"), 1: Dim("h"), 2: Dim("w")})).module()
        compiled = torch.compile(Place(frame), backend="eager", fullgraph=True)
        for labels in (first, other):
            assert torch.equal(exported(labels), semantic_position(labels, frame))
            assert torch.equal(compiled(labels), semantic_position(labels, frame))


def test_products_of_fourier_features_compare_places():
    r, s = torch.rand(2, 1, 2, 4, 5, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for bands in (1, 2, 5):
        wanted = sum(torch.cos(math.pi / 2 * 2**i * (r - s)).sum(1) for i in range(bands))
        assert fourier(r, bands).shape == (1, 4 * bands, 4, 5)
        assert torch.allclose((fourier(r, bands) * fourier(s, bands)).sum(1), wanted, atol=1e-5)
        assert torch.allclose(fourier(r, bands).square().sum(1), torch.tensor(2. * bands))
    try: fourier(r, 0)
    except ValueError as e: assert "bands = 0" in str(e)
    else: assert False, "no bands must be refused"


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
    s, e = 4, torch.tensor([5., 2.5])[:, None, None]
    large = labels.repeat_interleave(s, 1).repeat_interleave(s, 2)
    for frame in ("centroid", "box"):
        pooled = torch.nn.functional.avg_pool2d(semantic_position(large, frame), s)
        wanted = semantic_position(labels, frame) * s * e / (s * e + (s - 1) / 2)
        assert torch.allclose(pooled[0, :, 3:9, 4:15], wanted[0, :, 3:9, 4:15], atol=1e-6)


def test_regions_touch_the_ends_of_the_interval():
    labels = torch.randint(0, 30, (3, 20, 20), generator=torch.Generator().manual_seed(3))
    for frame in ("centroid", "box"):
        r = semantic_position(labels, frame)
        assert r.abs().max() == 1
        for b, region in {(b, region) for b in range(3) for region in labels[b].unique().tolist()}:
            x = r[b, 0][labels[b] == region]
            if (x != 0).any(): assert x.abs().max() == 1 and (frame == "centroid" or x.min() == -x.max())
