# Generated from nbs/1_matching/16a_position_speed.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
from fractions import Fraction
from rabit.matching.position import coord_conv
from rabit.matching.position import semantic_position

def frame_slow(line, frame):
    "Origin and unit of a list of whole numbers"
    center = Fraction(sum(line), len(line)) if frame == "centroid" else Fraction(min(line) + max(line), 2)
    return center, max(abs(x - center) for x in line)

def semantic_position_slow(labels, frame="centroid"):
    "One region after the other, pixel by pixel: the reference"
    out = torch.zeros(len(labels), 2, *labels.shape[1:])
    for b, image in enumerate(labels.tolist()):
        for region in {label for row in image for label in row}:
            pixels = [(x, y) for y, row in enumerate(image) for x, label in enumerate(row) if label == region]
            for axis in (0, 1):
                center, extent = frame_slow([pixel[axis] for pixel in pixels], frame)
                for x, y in pixels:
                    out[b, axis, y, x] = float(((x, y)[axis] - center) / extent) if extent else 0.
    return out

def axis_scatter(at, region, rows, frame):
    "Coordinates of all pixels along one axis, from reductions over the pixels of each region"
    empty = torch.zeros(rows, dtype=torch.int64)
    low, high = (empty.scatter_reduce(0, region, at, how, include_self=False) for how in ("amin", "amax"))
    if frame == "centroid":
        count, total = empty.scatter_add(0, region, torch.ones_like(at)), empty.scatter_add(0, region, at)
    else: count, total = torch.full_like(empty, 2), low + high
    extent = torch.maximum(count * high - total, total - count * low).clamp_min(1)
    return ((count[region] * at - total[region]).double() / extent[region]).to(torch.get_default_dtype())

def semantic_position_scatter(labels, frame="centroid"):
    "All regions at once, pixel by pixel"
    b, h, w = labels.shape
    region = (labels + 256 * torch.arange(b)[:, None, None]).flatten()
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    places = [at.expand(b, h, w).flatten() for at in (x, y)]
    return torch.stack([axis_scatter(at, region, 256 * b, frame).view(b, h, w) for at in places], 1)


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
    for b, h, w, ids, f in ((2, 200, 300, 150, 1), (1, 512, 512, 256, 1), (2, 320, 240, 150, 8)):
        labels = torch.randint(0, ids, (b, h // f, w // f), generator=dice)
        labels = labels.repeat_interleave(f, 1).repeat_interleave(f, 2)
        for frame in ("centroid", "box"):
            by_pixel = semantic_position_scatter(labels, frame)
            assert torch.equal(semantic_position(labels, frame), by_pixel), (b, h, w, frame)
    try:
        torch.set_default_dtype(torch.float64)
        assert semantic_position(labels).dtype == torch.float64
        assert torch.equal(semantic_position(labels), semantic_position_scatter(labels))
    finally: torch.set_default_dtype(torch.float32)
    for frame in ("centroid", "box"):
        assert torch.equal(semantic_position(torch.full((1, 511, 601), 255), frame), coord_conv((511, 601)))


def test_semantic_position_can_be_exported_and_compiled():
    from torch.export import Dim, export
    class Place(torch.nn.Module):
        def __init__(self, frame):
            super().__init__()
            self.frame = frame

        def forward(self, labels): return semantic_position(labels, self.frame)

    dice = torch.Generator().manual_seed(6)
    first, other = (torch.randint(0, 256, shape, generator=dice) for shape in ((2, 9, 12), (3, 14, 5)))
    shapes = dict(labels={0: Dim("b"), 1: Dim("h"), 2: Dim("w")})
    for frame in ("centroid", "box"):
        exported = export(Place(frame), (first,), dynamic_shapes=shapes).module()
        compiled = torch.compile(Place(frame), backend="eager", fullgraph=True)
        for labels in (first, other):
            assert torch.equal(exported(labels), semantic_position(labels, frame))
            assert torch.equal(compiled(labels), semantic_position(labels, frame))
