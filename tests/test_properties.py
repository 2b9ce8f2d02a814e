"""Public functions beyond those of matching (test_hostile.py): whatever they are given, tensors of the
documented shape or `RabitError`."""
import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from rabit.core import colors, figures
from rabit.core.tensors import sample_at
from rabit.data import augment, retrieval, style_data
from rabit.inputs import conditions, edges as lines, joints, samples
from rabit.matching.match import dense_match
from rabit.matching.scenes import pairs
from rabit.networks import discriminate, features, losses, perceptual, translate
from rabit.tools import edit, style, video
from rabit.training import evaluate, metrics
from test_hostile import VALUES, few, filled, lawful as lawful_or_refused, tensors, whole

ANYTHING = [torch.tensor(math.nan)]  # "given": the result need not be finite
numbers = st.sampled_from([1, .5, 2, 0, -1, 1e-30, 1e30, math.nan, math.inf, -math.inf])
sides = st.one_of(*[st.tuples(st.integers(1, 9), st.integers(1, 9))] * 4, st.tuples(whole, whole))
seen = {}  # test → how many of its calls were answered, and how many refused


def lawful(test, call, given, shape=None, strict=False):
    found = lawful_or_refused(call, given, shape, strict)
    seen.setdefault(test, Counter())[found is None] += 1
    return found


@st.composite
def args(draw, *specs, least=1, most=18):
    "Tensors like 'b 3 h w' or 'b h w:int' with sizes that agree; every other time, one of them is anything"
    sizes = {letter: draw(st.integers(least if letter in "hwHW" else 1, most if letter in "hwHW" else 3))
             for letter in "bnhwHW"}
    odd = draw(st.integers(0, 2 * len(specs) - 1))
    values = draw(st.sampled_from(("normal",) * 12 + VALUES))
    out = []
    for i, spec in enumerate(specs):
        shape, _, kind = spec.partition(":")
        size = [sizes.get(s) or int(s) for s in shape.split()]
        x = filled(size, torch.float32, "normal" if kind else values, draw(st.integers(0, 9)))
        if kind == "int": x = (x.abs() * 3).long().clamp(max=6)
        if kind == "bool": x = x > 0
        out.append(draw(tensors(x.ndim, likely=x.dtype)) if i == odd else x)
    return out


# metrics

@few
@given(args("b 3 h w", "b 3 h w", "b 3 h w", least=8))
def test_scores_of_images(x):
    for f in (metrics.l1, metrics.ssim, metrics.structure):
        lawful(f.__name__, lambda: f(*x[:2]), x, x[0].shape[:1])
    lawful("psnr", lambda: metrics.psnr(*x[:2]), x + ANYTHING, x[0].shape[:1])   # infinite if equal
    lawful("copy_score", lambda: metrics.copy_score(*x), x, x[0].shape[:1])
    swd = lambda: metrics.sliced_wasserstein(*x[:2], side=3, count=4, directions=8)
    lawful("sliced_wasserstein", swd, x, ())
    lawful("color_transfer", lambda: style.color_transfer(*x[:2]), x, x[0].shape)


@few
@given(args("b 3 h w", "b h w:bool"), whole, whole)
def test_parts_of_images(x, side, count):
    lawful("l1 of a mask", lambda: metrics.l1(x[0], x[0], x[1]), ANYTHING)   # NaN where it is empty
    lawful("laplacian_levels", lambda: metrics.laplacian_levels(x[0], side), x)
    lawful("random_patches", lambda: metrics.random_patches(x[0], side, count, torch.Generator()), x)


@few
@given(args("h 3", "w 3"), args("w", "w:bool"))
def test_scores_of_features(features, scores):
    found = lawful("frechet_distance", lambda: metrics.frechet_distance(*features), [])
    assert found is None or found >= 0
    found = lawful("auc", lambda: evaluate.auc(*scores), [])
    assert found is None or math.isnan(found) or 0 <= found <= 1


# conditions

@few
@given(args("b h w:int", "b h w:bool"), sides)
def test_edges(x, size):
    parts, edges = x
    lawful("part_edges", lambda: lines.part_edges(parts), [], parts.shape)
    lawful("edge_distance", lambda: lines.edge_distance(edges), ANYTHING, edges.shape)   # infinite without
    lawful("edges_condition", lambda: lines.edges_condition(edges), [],
           (*edges.shape[:1], 2, *edges.shape[1:]), strict=True)
    lawful("fit_edges", lambda: lines.fit_edges(edges, size), [], (*edges.shape[:1], *size))


@few
@given(args("b 3 h w", "b h w:int"), sides, numbers)
def test_edges_of_images(x, size, sigma):
    pytest.importorskip("skimage")
    lawful("canny", lambda: lines.canny(x[0], sigma), x, (*x[0].shape[:1], *x[0].shape[2:]), strict=True)
    lawful("image_edges", lambda: lines.image_edges(*x), x, x[1].shape)


@few
@given(args("b 7 h w", "b 2 h w", "b 35 h w", "b 3 h w"), sides)
def test_conditions(x, size):
    for c, kind in zip((*x, x[0], x[0]), ("labels", "edges", "joints", "image", "other", None)):
        lawful("check_kind", lambda: conditions.check_kind(c, kind), [c], c.shape)
        lawful("fit_condition", lambda: conditions.fit_condition(c, size, kind), [c], (*c.shape[:2], *size))
        lawful("paint_condition", lambda: conditions.paint_condition(c, kind), [c],
               (*c.shape[:1], 3, *c.shape[2:]))


@few
@given(args("b 18 3"), sides, numbers)
def test_joints(x, size, sigma):
    lawful("joints_condition", lambda: joints.joints_condition(*x, size, sigma), x,
           (*x[0].shape[:1], 35, *size))
    lawful("mirror_joints", lambda: joints.mirror_joints(*x, 9), x, x[0].shape)


# losses that test_hostile.py leaves out

@few
@given(args("b n h w", "b n h", "b n w"), st.one_of(st.none(), whole), numbers)
def test_features_compared(x, limit, bandwidth):
    x, y, z = x
    some = lawful("subsample", lambda: perceptual.subsample(x, limit), [x])
    assert some is None or limit is None or some.shape[-1] <= limit
    lawful("contextual_similarity", lambda: perceptual.contextual_similarity(y, z, bandwidth), [y, z],
           (*y.shape[:1], *y.shape[-1:], *z.shape[-1:]))


@few
@given(args("2 3 6 4", "2 3 4 6", "2 4 6:bool"))
def test_deep_warp_loss(x):
    matches = [dense_match(filled((2, 4, 2, 3)), filled((2, 4, 3, 2)))]
    lawful("deep_warp_loss", lambda: losses.deep_warp_loss(matches, *x), x, ())


# networks

torch.manual_seed(0)
SMALL = translate.rabit(7, (16, 16), width=4, features=8)
VGG = features.VGG19(width=4)
DISCRIMINATOR = discriminate.Discriminator(10, 4, 2, 1)


@few
@given(args("b 7 h w", "b 3 H W", "b 7 H W"))
def test_translator(x):
    for some in (x, x[:2]):
        found = lawful("Translator", lambda: [SMALL(*some).image], x, (*x[0].shape[:1], 3, *x[0].shape[2:]))
        assert found is None or not all(t.isfinite().all() for t in x) or found[0].abs().max() <= 1


@few
@given(args("b 7 h w", "b 3 h w"))
def test_networks_by_themselves(x):
    lawful("VGG19", lambda: VGG(x[1], ("relu1_2",)), x)
    lawful("Discriminator", lambda: DISCRIMINATOR(*x), x)


# data and scenes

@few
@given(args("3 h w", "h w:int"), whole, st.integers(0, 9))
def test_changes_of_samples(x, classes, seed):
    image, labels = x
    rng = np.random.default_rng(seed)
    m, color = augment.random_affine(rng, (8, 8)), augment.random_jitter(rng)
    lawful("pseudo_exemplar", lambda: [augment.pseudo_exemplar(image, labels, m)["exemplar"]], x, image.shape)
    lawful("color_jitter", lambda: augment.color_jitter(image, color), x, image.shape)
    lawful("photometric_augment", lambda: style_data.photometric_augment(image, rng), x, image.shape)
    lawful("image_signature", lambda: retrieval.image_signature(image, labels, classes), x, (64 + classes,))


@few
@given(sides, st.one_of(*[st.lists(st.integers(0, 2**40), min_size=1, max_size=2)] * 3,
                        st.lists(st.integers(-5, 5), max_size=2)), whole, st.integers(0, 4))
def test_scenes(size, indices, seed, antialias):
    for name in samples.worlds():
        images = lambda: [pairs(samples.world(name), indices, seed, size, antialias=antialias)["image"]]
        found = lawful("pairs", images, [], (len(indices), 3, *size), strict=True)
        assert found is None or found[0].abs().max() <= 1


@few
@given(args("b n h w", "b 2 H W"))
def test_sampling(x): lawful("sample_at", lambda: sample_at(*x), x, (*x[0].shape[:2], *x[1].shape[2:]))


# editing and videos

@few
@given(args("h w:int", "h w:bool"), st.tuples(st.integers(-1, 9), st.integers(-1, 9)),
       st.one_of(st.integers(0, 6), st.integers(-1, 300)), numbers, whole)
def test_edits(x, at, label, radius, dx):
    labels, mask = x
    calls = dict(region=lambda: edit.flood_select(labels, at), fill=lambda: edit.fill(labels, at, label),
                 relabel=lambda: edit.relabel(labels, label, 3),
                 brush=lambda: edit.brush(labels, [at, (3, 1)], radius, label),
                 fill_hole=lambda: edit.fill_hole(labels, mask),
                 move_region=lambda: edit.move_region(labels, at, dx, 1),
                 grow_region=lambda: edit.grow_region(labels, at, radius),
                 erase_region=lambda: edit.erase_region(labels, at),
                 replace_region=lambda: edit.replace_region(labels, mask, mask.logical_not(), label))
    for name, call in calls.items(): lawful(name, call, [], labels.shape)
    lawful("shift_mask", lambda: edit.shift_mask(mask, dx, radius), [], mask.shape)
    lawful("grow_mask", lambda: edit.grow_mask(mask, radius), [], mask.shape)


@few
@given(args("b n h w", "b n h w", "b 2 h w", "b h w:bool"), st.integers(-1, 3), numbers)
def test_videos(x, radius, temperature):
    lawful("local_match", lambda: video.local_match(*x[:2], radius, temperature), x[:2])
    lawful("flicker", lambda: video.flicker(x[:2], x[2:3], x[3:]), ANYTHING)   # NaN where unseen


# what is shown

@pytest.mark.filterwarnings("ignore")
@few
@given(args("h w", "1 3 h w", "h w:int"))
def test_drawings(x):
    import matplotlib.pyplot as plt
    matrix, image, labels = x
    calls = dict(show_row=lambda: figures.show_row([image]),
                 show_grid=lambda: figures.show_grid([[image, labels], [labels]]),
                 color_labels=lambda: colors.color_labels(labels),
                 show_heat=lambda: figures.show_heat(matrix),
                 show_plan=lambda: figures.show_plan(matrix),
                 show_arrows=lambda: figures.show_arrows(image, image, filled((2, 3, 4))))
    for name, call in calls.items():
        lawful(name, call, [])
        plt.close("all")


def test_every_function_was_answered_and_refused():
    "None of the above met nothing but refusals"
    if len(seen) < 40: pytest.skip("looks at what the other tests of this file have seen")
    assert not {name: dict(tally) for name, tally in seen.items() if min(tally[False], tally[True]) == 0}
