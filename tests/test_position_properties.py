"""Position encodings against a slow loop and against their laws, on random label maps."""
from fractions import Fraction

import pytest, torch
from hypothesis import example, given, settings, strategies as st

from rabit.matching.fourier import fourier
from rabit.matching.position import coord_conv, semantic_position

FRAMES = ("centroid", "box")
IDS = {1: [0], 2: [0, 255], 3: [7, 8, 254], 7: list(range(7)), 150: list(range(149)) + [255],
       256: list(range(256))}


@st.composite
def label_maps(draw, largest=14):
    "Blocky or scattered maps of few or many ids; single pixels, single rows and unknown pixels among them"
    b = draw(st.integers(1, 3))
    h = draw(st.integers(1, largest))
    w = draw(st.integers(1, largest))
    ids, block = torch.tensor(IDS[draw(st.sampled_from(sorted(IDS)))]), draw(st.integers(1, 5))
    dice = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    labels = ids[torch.randint(0, len(ids), (b, -(-h // block), -(-w // block)), generator=dice)]
    labels = labels.repeat_interleave(block, 1).repeat_interleave(block, 2)[:, :h, :w].clone()
    labels[torch.rand(b, h, w, generator=dice) < draw(st.sampled_from([0., .1, .5]))] = 255
    return labels


def regions(labels):
    "Every region of every image: image, id, [(x, y), …]"
    for b, image in enumerate(labels.tolist()):
        found = {}
        for y, row in enumerate(image):
            for x, label in enumerate(row): found.setdefault(label, []).append((x, y))
        for label, pixels in found.items(): yield b, label, pixels


def slow(labels, frame):
    "The definition, region by region and pixel by pixel, in exact fractions"
    out = torch.full((len(labels), 2, *labels.shape[1:]), float("nan"))
    for b, _, pixels in regions(labels):
        for axis in (0, 1):
            line = [pixel[axis] for pixel in pixels]
            box = frame == "box"
            center = Fraction(min(line) + max(line), 2) if box else Fraction(sum(line), len(line))
            extent = max(abs(at - center) for at in line)
            for x, y in pixels: out[b, axis, y, x] = float(((x, y)[axis] - center) / extent) if extent else 0.
    return out


@given(label_maps(), st.sampled_from(FRAMES))
@example(torch.full((1, 1, 1), 255), "centroid")
@example(torch.arange(256).view(1, 16, 16), "centroid")
@example(torch.arange(150).view(2, 5, 15), "box")
@settings(max_examples=150)
def test_equals_the_slow_loop_to_the_last_bit(labels, frame):
    found = semantic_position(labels, frame)
    assert found.dtype == torch.float32 and torch.equal(found, slow(labels, frame))


@given(label_maps(), st.sampled_from(FRAMES))
def test_every_region_reaches_an_end_of_the_interval_and_single_pixels_are_zero(labels, frame):
    found = semantic_position(labels, frame)
    assert found.abs().max() <= 1
    for b, label, pixels in regions(labels):
        here = found[b][:, labels[b] == label]
        for axis in (0, 1):
            wide = len({pixel[axis] for pixel in pixels}) > 1
            assert here[axis].abs().max() == (1 if wide else 0)
            if wide and frame == "box": assert here[axis].min() == -1 and here[axis].max() == 1
            if frame == "centroid": assert abs(here[axis].double().mean()) < 1e-6


@given(label_maps(), st.sampled_from(FRAMES), st.integers(0, 2**31))
def test_names_of_regions_mean_nothing(labels, frame, seed):
    renamed = torch.randperm(256, generator=torch.Generator().manual_seed(seed))[labels]
    assert torch.equal(semantic_position(renamed, frame), semantic_position(labels, frame))


@given(label_maps(), st.sampled_from(FRAMES), st.integers(0, 9), st.integers(0, 9))
def test_moving_all_regions_changes_nothing(labels, frame, dx, dy):
    b, h, w = labels.shape
    free = next((i for i in range(256) if not (labels == i).any()), None)
    if free is None: return
    canvas = torch.full((b, h + 9, w + 9), free)
    canvas[:, dy:dy + h, dx:dx + w] = labels
    assert torch.equal(semantic_position(canvas, frame)[:, :, dy:dy + h, dx:dx + w],
                       semantic_position(labels, frame))


@given(label_maps(), st.sampled_from(FRAMES))
def test_mirrors_transposes_and_batches(labels, frame):
    found = semantic_position(labels, frame)
    mirrored = semantic_position(labels.flip(2), frame).flip(3)
    assert torch.equal(mirrored[:, 0], -found[:, 0]) and torch.equal(mirrored[:, 1], found[:, 1])
    assert torch.equal(semantic_position(labels.transpose(1, 2), frame), found.flip(1).transpose(2, 3))
    alone = [semantic_position(labels[i:i + 1], frame) for i in range(len(labels))]
    assert torch.equal(torch.cat(alone), found)


@given(label_maps(), st.sampled_from(FRAMES), st.sampled_from([torch.uint8, torch.int16, torch.int32]))
def test_any_integer_type_will_do(labels, frame, dtype):
    assert torch.equal(semantic_position(labels.to(dtype), frame), semantic_position(labels, frame))


@given(st.integers(1, 40), st.integers(1, 40))
def test_one_region_has_the_frame_of_the_image(h, w):
    whole = torch.full((2, h, w), 255)
    for frame in FRAMES:
        assert torch.equal(semantic_position(whole, frame), coord_conv((h, w)).expand(2, -1, -1, -1))


@pytest.mark.parametrize("frame", FRAMES)
def test_large_images_stay_exact(frame):
    "Sums of columns beyond 2²⁴, where float sums are wrong"
    labels = torch.zeros(1, 600, 1500, dtype=torch.long)
    labels[:, 300:] = 255
    found = semantic_position(labels, frame).double()
    line = torch.arange(1500).double()
    torch.testing.assert_close(found[0, 0], ((line - 749.5) / 749.5).expand(600, -1), rtol=0, atol=1e-7)
    assert found.abs().max() == 1


@given(label_maps(10), st.integers(1, 6), st.sampled_from(FRAMES))
def test_fourier_products_depend_on_differences_only(labels, bands, frame):
    position = semantic_position(labels, frame)
    f, g = fourier(position, bands), fourier(position.flip(2, 3), bands)
    difference = position - position.flip(2, 3)
    wanted = sum(torch.cos(torch.pi / 2 * 2**i * difference).sum(1) for i in range(bands))
    assert f.shape[1] == 4 * bands
    torch.testing.assert_close((f * g).sum(1), wanted, rtol=0, atol=1e-4)
    torch.testing.assert_close(f.square().sum(1), torch.full_like(f[:, 0], 2. * bands), rtol=0, atol=1e-4)


@pytest.mark.gpu
@given(label_maps(), st.sampled_from(FRAMES))
@settings(max_examples=20)
def test_a_gpu_gives_the_same_bits(labels, frame):
    assert torch.equal(semantic_position(labels.cuda(), frame).cpu(), semantic_position(labels, frame))
