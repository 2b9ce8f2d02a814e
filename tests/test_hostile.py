"""Hostile input: whatever is given, a call returns finite tensors of the documented shape or raises `RabitError`, and a command ends in one line."""
import math

import pytest, torch
from hypothesis import given, settings, strategies as st

from rabit import core, losses, match, position, ranking, topk
from rabit.core import RabitError

DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.uint8, torch.bool, torch.complex64)
VALUES = ("normal", "normal", "normal", "zero", "equal", "large", "tiny", "nan", "inf", "-inf", "one nan")
few = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def filled(shape, dtype=torch.float32, values="normal", seed=0):
    "A tensor of any shape and type, filled in one of many ways"
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    if values == "zero": x = x * 0
    if values == "equal": x = x * 0 + .3
    if values == "large": x = x * 1e4
    if values == "tiny": x = x * 1e-30
    if values in ("nan", "inf", "-inf"): x = x * 0 + float(values)
    if values == "one nan" and x.numel(): x.view(-1)[seed % x.numel()] = math.nan
    if not dtype.is_floating_point and not dtype.is_complex: x = (x * 3).nan_to_num(0, 300, -300).clamp(-300, 300)
    return x.to(dtype)


@st.composite
def tensors(draw, ndim=4, side=st.integers(0, 7), likely=torch.float32):
    "Mostly what a function wants: a float tensor of `ndim` dimensions with finite numbers; else anything"
    n = draw(st.sampled_from([ndim] * 6 + [0, 1, 2, 3, 4, 5]))
    shape = tuple(draw(side) for _ in range(n))
    return filled(shape, draw(st.sampled_from((likely,) * 8 + DTYPES)), draw(st.sampled_from(VALUES)), draw(st.integers(0, 99)))


def all_tensors(found):
    "Every tensor in what a function returned"
    if isinstance(found, torch.Tensor): return [found]
    if isinstance(found, match.Match): return [found.weights] + ([] if found.peak is None else [found.peak])
    if isinstance(found, (tuple, list)): return [t for f in found for t in all_tensors(f)]
    return []


def finite(*xs): return all(bool(x.isfinite().all()) for x in xs if isinstance(x, torch.Tensor))


def lawful(call, given, shape=None, strict=False):
    "Run it: `RabitError`, or tensors of that shape, finite if what was given was (with `strict`: finite always)"
    try: found = call()
    except RabitError as e:
        assert len(str(e)) > 10
        return None
    if shape is not None: assert [tuple(t.shape) for t in all_tensors(found)][:1] == [tuple(shape)]
    if strict or finite(*given): assert finite(*all_tensors(found)), found
    return found


whole = st.integers(-2, 9)
sides = st.tuples(whole, whole)


# core

@few
@given(tensors(), sides)
def test_blocks(x, block):
    t = lawful(lambda: core.to_blocks(x, block), [x])
    if t is not None: assert torch.equal(core.from_blocks(t, x.shape[-2:], block), x) or not finite(x)
    lawful(lambda: core.from_blocks(x, block, (2, 2)), [x])
    lawful(lambda: core.from_blocks(x, (2, 2), block), [x])


@few
@given(sides, sides)
def test_grids(size, block):
    lawful(lambda: core.grid_of(size, block), [])
    lawful(lambda: core.pixel_grid(size), [], (1, 2, *size))
    lawful(lambda: position.coord_conv(size), [], (1, 2, *size))


@few
@given(tensors(), sides, whole)
def test_sizes_of_pictures(x, size, multiple):
    lawful(lambda: core.resize(x, size), [x], (*x.shape[:2], *size))
    lawful(lambda: core.crop_to(x, size), [x])
    lawful(lambda: core.pad_to(x, multiple), [x])


@few
@given(tensors())
def test_normalisations(x):
    lawful(lambda: core.unit(x), [x], x.shape)
    lawful(lambda: core.positional_norm(x), [x], x.shape)
    lawful(lambda: core.labels_of(x), [x], (*x.shape[:1], *x.shape[2:]))
    lawful(lambda: core.check_picture(x), [x], x.shape, strict=True)
    lawful(lambda: core.check_finite(x, "x"), [x], x.shape, strict=True)


@few
@given(tensors(3, likely=torch.int64), sides, st.integers(-1, 300))
def test_label_maps(x, size, classes):
    lawful(lambda: core.check_labels(x, classes), [x], x.shape)
    lawful(lambda: core.resize_labels(x, size), [x], (*x.shape[:1], *size))
    lawful(lambda: core.one_hot(x, classes), [x], (*x.shape[:1], classes, *x.shape[1:]))
    for frame in ("centroid", "box", "hexagon"): lawful(lambda: position.semantic_position(x, frame), [x], (*x.shape[:1], 2, *x.shape[1:]))


@few
@given(tensors(3), tensors(4))
def test_pictures_for_pil(x, y):
    for t in (x, y): lawful(lambda: core.to_pil(t), [t])


@few
@given(st.one_of(st.integers(), st.sampled_from(["cpu", "auto", "meta", "tpu", "", "cuda:99", "cpu:0", "cuda:-1", "cpu:99999999999999999999", "a\0b", None, 1.5])))
def test_devices_and_seeds(x):
    lawful(lambda: core.pick_device(x), [])
    lawful(lambda: core.seed_all(x), [])


# match and ranking

@st.composite
def pairs(draw):
    "Two feature maps that mostly go together"
    q = draw(tensors())
    if draw(st.integers(0, 9)) == 0 or q.ndim != 4: return q, draw(tensors())
    size = draw(st.tuples(st.integers(0, 7), st.integers(0, 7)))
    return q, filled((*q.shape[:2], *size), q.dtype, draw(st.sampled_from(VALUES)), 7)


temperatures = st.sampled_from([.01, .05, 1, 1e-30, 1e30, 0, -1., math.nan, math.inf])


@few
@given(pairs(), temperatures, sides)
def test_dense_match(pair, temperature, size):
    found = lawful(lambda: match.dense_match(*pair, temperature), pair, strict=True)
    if found is not None: check_match(found, *pair, size)


@few
@given(pairs(), st.integers(-1, 12), st.integers(-1, 6), st.sampled_from([1., .1, 1e-30, 1e30, 0, math.nan, math.inf]), temperatures,
       st.sampled_from(["soft", "straight", "hard", "other", None]), sides)
def test_bilevel_match(pair, block, k, eps, temperature, kind, size):
    found = lawful(lambda: ranking.bilevel_match(*pair, block, k, eps, temperature, kind), pair, strict=True)
    if found is not None: check_match(found, *pair, size)


def check_match(found, query, key, size):
    "All that a match can do, on a map that lies on its grid, and on one of any size"
    (b, _, h, w), (hk, wk) = query.shape, key.shape[-2:]
    for H, W, on in ((hk * 2, wk, True), (*size, False)):
        v = filled((b, 2, max(0, H), max(0, W)))
        warped = lawful(lambda: found.warp(v), [v], (b, 2, h * 2, w) if on else None)
        lawful(lambda: found.argmax((H, W)), [], (b, 2, h * 2, w) if on else None)
        assert warped is not None or not on
    v = filled((b, 2, h, w * 2))
    for out, shape in ((found.back(v), (b, 2, hk, wk * 2)), (found.reach(), (b, 1, hk, wk)), (found.mass(), (b, 1, h, w)), (found.confidence(), (b, 1, h, w)),
                       (found.entropy(), (b, 1, h, w)), (found.dense(), (b, h * w, hk * wk)), (found.hard().weights, found.weights.shape)):
        assert out.shape == shape and finite(out)


@few
@given(tensors(), sides, sides, sides)
def test_weights_of_a_match(weights, query_size, key_size, block):
    lawful(lambda: match.Match(weights, None, query_size, key_size, block), [weights])


@few
@given(tensors(), sides, whole)
def test_means_and_tokens_of_blocks(x, block, side):
    lawful(lambda: ranking.block_means(x, block), [x])
    lawful(lambda: ranking.tokens_of_blocks(x, (5, 6), side), [x])
    lawful(lambda: ranking.best_block(block[0], block[1]), [])


# topk and position

@few
@given(tensors(2), st.one_of(whole, st.sampled_from([1.5, "2", None, True, 10**30])), st.sampled_from([1., .01, 1e-30, 1e30, 0, -1, math.nan, math.inf]))
def test_topk(scores, k, eps):
    real = scores.masked_fill(scores == -math.inf, 0) if scores.is_floating_point() else scores  # -inf is a masked score
    lawful(lambda: topk.hard_topk(scores, k), [real], scores.shape, strict=True)
    lawful(lambda: topk.soft_topk(scores, k, eps), [real], scores.shape, strict=True)
    lawful(lambda: topk.sinkhorn_topk(scores, k, max(eps, .01) if eps == eps else eps, 20), [real], scores.shape, strict=True)
    lawful(lambda: topk.threshold(scores, k, eps), [real], (*scores.shape[:-1], 1))


@few
@given(tensors(), whole)
def test_fourier(x, bands): lawful(lambda: position.fourier(x, min(bands, 5)), [x], (*x.shape[:1], 4 * bands, *x.shape[2:]) if bands <= 5 else None)


# losses

@st.composite
def same(draw):
    "Two tensors, mostly of one shape"
    x = draw(tensors())
    return x, draw(tensors()) if draw(st.integers(0, 7)) == 0 else filled(x.shape, x.dtype, draw(st.sampled_from(VALUES)), 5)


@few
@given(same(), tensors(3, likely=torch.bool))
def test_losses_of_two_maps(pair, mask):
    if pair[0].ndim == 4 and mask.ndim == 3: mask = filled((*pair[0].shape[:1], *pair[0].shape[2:]), mask.dtype)
    for f in (losses.warp_loss, losses.feature_consistency, losses.perceptual_loss, losses.cycle_loss, losses.contextual_loss): lawful(lambda: f(*pair), pair, ())
    for f in (losses.warp_loss, losses.cycle_loss): lawful(lambda: f(*pair, mask), [*pair, mask], ())
    for f in (losses.feature_matching, losses.hinge_d): lawful(lambda: f([pair[0]], [pair[1]]), pair, ())
    lawful(lambda: losses.hinge_g([pair[0]]), pair, ())
    lawful(lambda: losses.contextual_loss(*pair, limit=3), pair, ())


@few
@given(same(), st.sampled_from([.1, 0, -1, math.nan, 1e-30, math.inf]), st.sampled_from([None, -1, 0, 1, 5]))
def test_contextual_loss(pair, bandwidth, limit): lawful(lambda: losses.contextual_loss(*pair, bandwidth, limit), pair, ())


@few
@given(tensors(), tensors(3, likely=torch.int64))
def test_losses_of_labels(x, labels):
    if x.ndim == 4 and labels.ndim == 3 and labels.dtype != torch.bool: labels = filled((*x.shape[:1], *x.shape[2:]), labels.dtype, "large").abs() % max(1, x.shape[1])
    if x.ndim == 4 and labels.numel() and labels.dtype == torch.int64 and x.shape[0] % 2: labels.view(-1)[0] = 255
    lawful(lambda: losses.mask_loss(x.abs() if not x.is_complex() and x.dtype != torch.bool else x, labels), [x], ())
    lawful(lambda: losses.parse_loss(x, labels), [x], ())


@few
@given(pairs(), tensors(4), tensors(3, likely=torch.bool), st.tuples(st.integers(0, 3), st.integers(0, 3)), st.booleans(), st.sampled_from([None, -1, 0, 1, 4]), temperatures)
def test_match_loss(pair, place, visible, times, fits, sample, temperature):
    size = (0, 0)
    if fits and pair[0].ndim == pair[1].ndim == 4:
        (b, _, h, w), (hk, wk) = pair[0].shape, pair[1].shape[-2:]
        place, visible, size = filled((b, 2, h * times[0], w * times[1]), place.dtype, "large"), filled((b, h * times[0], w * times[1]), visible.dtype), (hk * times[0], wk * times[1])
    lawful(lambda: losses.match_loss(*pair, place, visible, size, temperature, sample), [*pair, place], ())
