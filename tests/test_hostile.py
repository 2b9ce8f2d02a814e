"""Hostile input: whatever is given, a call returns finite tensors of the documented shape or raises
`RabitError`, and a command ends in one line."""
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import warnings
from contextlib import contextmanager
from dataclasses import fields
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from hypothesis import given, settings, strategies as st
from PIL import Image
from safetensors import safe_open
from test_67_session import call
from test_67a_hostile_input import (
    NO_IMAGES, ODD_JSON, ODD_LISTS, ODD_VALUES, ODD_WORDS, damaged, no_files, odd_images, odd_weights,
)

from rabit.comparison import bench, compare, face_matches, speed
from rabit.core import tensors as core
from rabit.core.devices import pick_device, seed_all
from rabit.core.tensors import RabitError
from rabit.data import data_commands
from rabit.data.archives import TarDataset
from rabit.data.pair_lists import read_pairs, write_pairs
from rabit.data.pairs import find_pairs
from rabit.inputs.images import read_image
from rabit.inputs.palettes import read_labels
from rabit.matching import bilevel as ranking, match, position, topk
from rabit.matching.fourier import fourier
from rabit.matching.ranking import block_means
from rabit.matching.street import street_pairs
from rabit.matching.topk_sorted import sorted_topk
from rabit.networks import losses
from rabit.networks.perceptual import contextual_loss, feature_matching, perceptual_loss
from rabit.networks.translate import rabit
from rabit.tools import export, use_commands, video_files
from rabit.training import eval_commands, train_commands
from rabit.training.checkpoint import STATE
from rabit.training.config import TrainConfig
from rabit.training.run import train

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")
ROOT = Path(__file__).resolve().parent.parent

DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.uint8,
          torch.bool, torch.complex64)
VALUES = ("normal", "normal", "normal", "zero", "equal", "large", "tiny", "nan", "inf", "-inf", "one nan")
few = settings(max_examples=40, deadline=None, derandomize=True, database=None)


def filled(shape, dtype=torch.float32, values="normal", seed=0):
    "A tensor of any shape and type, filled in one of many ways"
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    if values == "zero": x = x * 0
    if values == "equal": x = x * 0 + .3
    if values == "large": x = x * 1e4
    if values == "tiny": x = x * 1e-30
    if values in ("nan", "inf", "-inf"): x = x * 0 + float(values)
    if values == "one nan" and x.numel(): x.view(-1)[seed % x.numel()] = math.nan
    if not dtype.is_floating_point and not dtype.is_complex:
        x = (x * 3).nan_to_num(0, 300, -300).clamp(-300, 300)
    return x.to(dtype)


@st.composite
def tensors(draw, ndim=4, side=st.integers(0, 7), likely=torch.float32):
    "Mostly what a function wants: a float tensor of `ndim` dimensions with finite numbers; else anything"
    n = draw(st.sampled_from([ndim] * 6 + [0, 1, 2, 3, 4, 5]))
    shape = tuple(draw(side) for _ in range(n))
    return filled(shape, draw(st.sampled_from((likely,) * 8 + DTYPES)), draw(st.sampled_from(VALUES)),
                  draw(st.integers(0, 99)))


def all_tensors(found):
    "Every tensor in what a function returned"
    if isinstance(found, torch.Tensor): return [found]
    if isinstance(found, match.Match):
        return [t for t in (found.weights, found.max_similarity) if t is not None]
    if isinstance(found, (tuple, list)): return [t for f in found for t in all_tensors(f)]
    return []


def finite(*xs): return all(bool(x.isfinite().all()) for x in xs if isinstance(x, torch.Tensor))


def lawful(call, given, shape=None, strict=False):
    """Run it: `RabitError`, or tensors of that shape, finite if what was given was (with `strict`: finite
    always)"""
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
def test_sizes_of_images(x, size, multiple):
    lawful(lambda: core.resize(x, size), [x], (*x.shape[:2], *size))
    lawful(lambda: core.crop_to(x, size), [x])
    lawful(lambda: core.pad_to(x, multiple), [x])


@few
@given(tensors())
def test_normalisations(x):
    lawful(lambda: core.center_normalize(x), [x], x.shape)
    lawful(lambda: core.positional_norm(x), [x], x.shape)
    lawful(lambda: core.labels_of(x), [x], (*x.shape[:1], *x.shape[2:]))
    lawful(lambda: core.check_image(x), [x], x.shape, strict=True)
    lawful(lambda: core.check_finite(x, "x"), [x], x.shape, strict=True)


@few
@given(tensors(3, likely=torch.int64), sides, st.integers(-1, 300))
def test_label_maps(x, size, classes):
    lawful(lambda: core.check_labels(x, classes), [x], x.shape)
    lawful(lambda: core.resize_labels(x, size), [x], (*x.shape[:1], *size))
    lawful(lambda: core.one_hot(x, classes), [x], (*x.shape[:1], classes, *x.shape[1:]))
    for frame in ("centroid", "box", "hexagon"):
        lawful(lambda: position.semantic_position(x, frame), [x], (*x.shape[:1], 2, *x.shape[1:]))


@few
@given(tensors(3), tensors(4))
def test_images_for_pil(x, y):
    for t in (x, y): lawful(lambda: core.to_pil(t), [t])


@few
@given(st.one_of(st.integers(), st.sampled_from(["cpu", "auto", "meta", "tpu", "", "cuda:99", "cpu:0",
                                                 "cuda:-1", "cpu:99999999999999999999", "a\0b", None, 1.5])))
def test_devices_and_seeds(x):
    lawful(lambda: pick_device(x), [])
    lawful(lambda: seed_all(x), [])


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
@given(pairs(), st.integers(-1, 12), st.integers(-1, 6),
       st.sampled_from([1., .1, 1e-30, 1e30, 0, math.nan, math.inf]), temperatures,
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
    for out, shape in (
        (found.inverse_warp(v), (b, 2, hk, wk * 2)),
        (found.column_sum(), (b, 1, hk, wk)),
        (found.row_sum(), (b, 1, h, w)),
        (found.confidence(), (b, 1, h, w)),
        (found.entropy(), (b, 1, h, w)),
        (found.dense(), (b, h * w, hk * wk)),
        (found.hard().weights, found.weights.shape),
    ):
        assert out.shape == shape and finite(out)


@few
@given(tensors(), sides, sides, sides)
def test_weights_of_a_match(weights, query_size, key_size, block):
    lawful(lambda: match.Match(weights, None, query_size, key_size, block), [weights])


@few
@given(tensors(), sides, whole)
def test_means_and_tokens_of_blocks(x, block, side):
    lawful(lambda: block_means(x, block), [x])
    lawful(lambda: ranking.tokens_of_blocks(x, (5, 6), side), [x])
    lawful(lambda: ranking.best_block(block[0], block[1]), [])


# topk and position

@few
@given(tensors(2), st.one_of(whole, st.sampled_from([1.5, "2", None, True, 10**30])),
       st.sampled_from([1., .01, 1e-30, 1e30, 0, -1, math.nan, math.inf]))
def test_topk(scores, k, eps):
    # -inf is a masked score
    real = scores.masked_fill(scores == -math.inf, 0) if scores.is_floating_point() else scores
    lawful(lambda: topk.hard_topk(scores, k), [real], scores.shape, strict=True)
    lawful(lambda: topk.soft_topk(scores, k, eps), [real], scores.shape, strict=True)
    lawful(lambda: topk.sinkhorn_topk(scores, k, max(eps, .01) if eps == eps else eps, 20), [real],
           scores.shape, strict=True)
    lawful(lambda: topk.threshold(scores, k, eps), [real], (*scores.shape[:-1], 1))
    lawful(lambda: sorted_topk(scores, k, eps), [real], (*scores.shape[:-1], k, scores.shape[-1])
           if isinstance(k, int) and scores.ndim else None, strict=True)


@few
@given(tensors(), whole)
def test_fourier(x, bands):
    lawful(
        lambda: fourier(x, min(bands, 5)),
        [x],
        (*x.shape[:1], 2 * bands * x.shape[1], *x.shape[2:]) if bands <= 5 and x.ndim == 4 else None,
    )


# losses

@st.composite
def same(draw):
    "Two tensors, mostly of one shape"
    x = draw(tensors())
    return x, (
        draw(tensors())
        if draw(st.integers(0, 7)) == 0
        else filled(x.shape, x.dtype, draw(st.sampled_from(VALUES)), 5)
    )


@few
@given(same(), tensors(3, likely=torch.bool))
def test_losses_of_two_maps(pair, mask):
    if pair[0].ndim == 4 and mask.ndim == 3:
        mask = filled((*pair[0].shape[:1], *pair[0].shape[2:]), mask.dtype)
    for f in (
        losses.warp_loss,
        losses.feature_consistency,
        perceptual_loss,
        losses.cycle_loss,
        contextual_loss,
    ):
        lawful(lambda: f(*pair), pair, ())
    for f in (losses.warp_loss, losses.cycle_loss): lawful(lambda: f(*pair, mask), [*pair, mask], ())
    for f in (feature_matching, losses.hinge_d): lawful(lambda: f([pair[0]], [pair[1]]), pair, ())
    lawful(lambda: losses.hinge_g([pair[0]]), pair, ())
    lawful(lambda: contextual_loss(*pair, limit=3), pair, ())


@few
@given(same(), st.sampled_from([0.1, 0, -1, math.nan, 1e-30, math.inf]), st.sampled_from([None, -1, 0, 1, 5]))
def test_contextual_loss(pair, bandwidth, limit):
    lawful(lambda: contextual_loss(*pair, bandwidth, limit), pair, ())


@few
@given(tensors(), tensors(3, likely=torch.int64))
def test_losses_of_labels(x, labels):
    if x.ndim == 4 and labels.ndim == 3 and labels.dtype != torch.bool:
        labels = filled((*x.shape[:1], *x.shape[2:]), labels.dtype, "large").abs() % max(1, x.shape[1])
    if x.ndim == 4 and labels.numel() and labels.dtype == torch.int64 and x.shape[0] % 2:
        labels.view(-1)[0] = 255
    lawful(lambda: losses.mask_loss(x.abs() if not x.is_complex() and x.dtype != torch.bool else x, labels),
           [x], ())
    lawful(lambda: losses.segmentation_loss(x, labels), [x], ())


@few
@given(pairs(), tensors(4), tensors(3, likely=torch.bool), st.tuples(st.integers(0, 3), st.integers(0, 3)),
       st.booleans(), st.sampled_from([None, -1, 0, 1, 4]), temperatures)
def test_match_loss(pair, place, visible, times, fits, sample, temperature):
    size = (0, 0)
    if fits and pair[0].ndim == pair[1].ndim == 4:
        (b, _, h, w), (hk, wk) = pair[0].shape, pair[1].shape[-2:]
        place = filled((b, 2, h * times[0], w * times[1]), place.dtype, "large")
        visible = filled((b, h * times[0], w * times[1]), visible.dtype)
        size = (hk * times[0], wk * times[1])
    lawful(lambda: losses.match_loss(*pair, place, visible, size, temperature, sample), [*pair, place], ())


# files and commands

@contextmanager
def clock(seconds=60):
    "What takes longer hangs"
    def late(*_): raise AssertionError(f"no end after {seconds} s")
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try: yield
    finally: signal.alarm(0); signal.signal(signal.SIGALRM, before)


def tree(root):
    return {p: os.readlink(p) if p.is_symlink() else p.read_bytes() if p.is_file() else None
            for p in root.rglob("*")}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A user's folder: a small model, a label map, an exemplar, four images with label maps; beside it a
    place where nobody may write"""
    home = tmp_path_factory.mktemp("user") / "home"
    record = street_pairs(range(4), size=(24, 32))
    for part in ("images", "labels"): (home / "mine" / part).mkdir(parents=True)
    for i in range(4):
        core.to_pil(record["image"][i]).save(home / "mine" / "images" / f"w{i // 2}_{i % 2}.png")
        Image.fromarray(record["labels"][i].byte().numpy()).save(home / "mine" / "labels"
                                                                 / f"w{i // 2}_{i % 2}.png")
    shutil.copy(home / "mine" / "labels" / "w0_0.png", home / "labels.png")
    shutil.copy(home / "mine" / "images" / "w1_0.png", home / "exemplar.png")
    torch.manual_seed(0)
    rabit(7, (24, 32), width=4, features=8).save_pretrained(home / "weights")
    (home.parent / "outside").mkdir()
    (home.parent / "outside" / "precious.png").write_bytes(b"precious")
    return home


@pytest.fixture
def away(home, tmp_path, monkeypatch):
    "Work in a folder of its own; see afterwards that nothing outside it has changed"
    before = tree(home.parent)
    monkeypatch.chdir(tmp_path)
    # bombs are declared, not decoded; what is decoded shall be quick
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20_000_000)
    yield tmp_path
    assert tree(home.parent) == before


MODULES = (train_commands, eval_commands, data_commands, use_commands, bench, export, video_files, speed,
           compare, face_matches)
COMMANDS = {name: f for module in MODULES for name, f in vars(module).items() if name.startswith("rabit_")}


def attempt(name, *argv):
    "`refused` in one line, or `accepted`; anything else fails"
    with clock(), warnings.catch_warnings(): code, out, err = call(COMMANDS[name], *argv)
    assert "Traceback" not in out + err
    if err.startswith(f"{name}: --") and " is called --" in err: err = err.split("\n", 1)[1]  # an old option
    while "the only exemplar of each image" in err.split("\n", 1)[0]: err = err.split("\n", 1)[1]  # a warning
    if code == 2: assert err.startswith(f"{name}: ") and err.count("\n") == 1 and err[:-1].isprintable(), err
    else: assert code in (0, 1), (code, err)
    return "refused" if code == 2 else "accepted"


def paint(home, labels, exemplar, *more, weights=None, out="out.png"):
    return attempt("rabit_translate", "--checkpoint", weights or home / "weights", "--device", "cpu", "-o",
                   out, *more, "--", labels, exemplar)


@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "bmp", "tif", "gif", "ppm"])
def test_damaged_images(home, away, kind):
    with Image.open(home / "exemplar.png") as im: im.save(f"whole.{kind}")
    with Image.open(home / "labels.png") as im: im.save(f"ids.{kind}")
    for name in ("whole", "ids"):
        for data in damaged(Path(f"{name}.{kind}").read_bytes(), 25, random.Random(kind)):
            path = away / f"x.{kind}"
            path.write_bytes(data)
            for read in (read_image, read_labels):
                with clock(20): found = lawful(lambda: read(path), [])
                assert found is None or found.ndim == (4 if read is read_image else 3) and found.shape[0] == 1
    paint(home, home / "labels.png", path); paint(home, path, home / "exemplar.png")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_what_is_no_image(home, away):
    for name, content in NO_IMAGES.items(): Path(name).write_bytes(content)
    for path in [*map(Path, NO_IMAGES), *no_files(away)]:
        assert paint(home, home / "labels.png",
                     path) == "refused" and paint(home, path, home / "exemplar.png") == "refused"
        lawful(lambda: read_pairs(path), [])
    assert not Path("out.png").exists()


def test_odd_images(home, away):
    for path in odd_images(away):
        accepted = paint(home, home / "labels.png", path.name)
        assert (accepted == "accepted") == (path.name not in ("float.tif", "below zero.tif"))
        paint(home, path.name, home / "exemplar.png")
    assert paint(home, "long.png", "tall.png",
                 out="thin.png") == "accepted" and Image.open("thin.png").size == (10_000, 3)
    assert paint(home, "one.png", "one.png",
                 out="dot.png") == "accepted" and Image.open("dot.png").size == (1, 1)


def test_a_jpeg_by_any_name_holds_no_labels(home, away):
    with Image.open(home / "labels.png") as im: im.save("labels.png", "JPEG"); im.save("more.png", "MPO")
    assert (paint(home, "labels.png", home / "exemplar.png") == "refused"
            and paint(home, "more.png", home / "exemplar.png") == "refused")


def test_outputs(home, away):
    for name in ("labels.png", "exemplar.png"): shutil.copy(home / name, name)
    Path("again.png").symlink_to("labels.png")
    Path("circle.png").symlink_to("circle.png")
    Path("way").symlink_to(home.parent / "outside")
    os.mkfifo("pipe.png")
    before = tree(away)
    for out in (
        "labels.png",
        "exemplar.png",
        "./labels.png",
        "again.png",
        "labels.png/x.png",
        "",
        ".",
        "x",
        "x.txt",
        "a" * 300 + ".png",
        "x\0.png",
        "circle.png/x.png",
    ):
        assert paint(home, "labels.png", "exemplar.png", out=out) == "refused", out
    assert tree(away) == before
    link = home.parent / "outside" / "precious.png"
    # neither name leads the bytes elsewhere
    for name in ("out.png", "out.png.tmp"): Path(name).symlink_to(link)
    assert (paint(home, "labels.png", "exemplar.png") == "accepted" and not Path("out.png").is_symlink()
            and link.read_bytes() == b"precious")
    for out in ("-x.png", "ü 图.png", "line\nbreak.png", "\x1b[31m.png", "pipe.png"):
        paint(home, "labels.png", "exemplar.png", out=f"./{out}")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not bind this user")
def test_folders_where_nobody_may_write(home, away):
    Path("locked").mkdir(mode=0o500)
    assert paint(home, home / "labels.png", home / "exemplar.png", out="locked/out.png") == "refused"


def test_lists(home, away):
    ask = ("rabit_eval", "--checkpoint", home / "weights", "--device", "cpu", "--data", home / "mine",
           "--count", "1", "--exemplars")
    for i, text in enumerate([*ODD_JSON, *ODD_LISTS]):
        path = away / ("x.json" if i < len(ODD_JSON) else "x.csv")
        path.write_text(text)
        assert attempt(*ask, path) == "refused", text[:50]
    for path in no_files(away): assert attempt(*ask, path) == "refused"
    good = json.dumps({f"w{i}_{j}": [f"w{1 - i}_{j}"] for i in (0, 1) for j in (0, 1)}).encode()
    Path("good.json").write_bytes(good)
    assert attempt(*ask, "good.json") == "accepted"
    for data in damaged(good, 60, random.Random(0)):
        Path("x.json").write_bytes(data)
        lawful(lambda: read_pairs("x.json"), [])


names = st.text(st.characters(codec=None), min_size=1, max_size=8)

@few
@given(st.dictionaries(names, st.lists(names, min_size=1, max_size=3), min_size=1, max_size=3),
       st.sampled_from([".json", ".txt"]))
def test_lists_say_what_was_meant_or_are_refused(pairs, ending):
    with TemporaryDirectory() as tmp:
        path = Path(tmp) / f"pairs{ending}"
        try: write_pairs(list(pairs.items()), path)
        except RabitError: return
        assert dict(read_pairs(path)) == pairs


def in_weights(home, name, content):
    shutil.rmtree("odd", ignore_errors=True); shutil.copytree(home / "weights", "odd")
    Path("odd", name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return paint(home, home / "labels.png", home / "exemplar.png", weights="odd")


def test_configurations(home, away):
    config = json.loads((home / "weights" / "config.json").read_text())
    for key in [*config, "more"]:
        for value in ODD_VALUES:
            found = in_weights(home, "config.json", json.dumps(config | {key: value}))
            if key in (
                "builder",
                "classes",
                "size",
                "width",
                "block",
                "k",
                "topk",
                "position",
                "frame",
                "confidence",
                "more",
            ) and not isinstance(value, list):
                assert found == "refused", (key, value)
    for key in config:
        in_weights(home, "config.json", json.dumps({k: v for k, v in config.items() if k != key}))
    for text in [*ODD_JSON, *damaged(json.dumps(config).encode(), 40, random.Random(0))]:
        in_weights(home, "config.json", text)
    for name in (
        "os.system",
        "rabit.networks.pretrained.load_strict",
        "rabit.training.train_commands.rabit_train",
        "rabit..x",
        "rabit.",
        ".",
        "rabit.model.\0",
        "rabit.../x",
        "a" * 5000,
    ):
        assert in_weights(home, "config.json", json.dumps(config | dict(builder=name))) == "refused"


def test_widths_that_no_memory_holds(home, away):
    config = json.loads((home / "weights" / "config.json").read_text())
    for change in (
        dict(width=10**5),
        dict(features=10**9),
        dict(classes=255, width=10**4),
        dict(size=[10**9 * 8] * 2),
    ):
        assert in_weights(home, "config.json", json.dumps(config | change)) == "refused"


def test_weights(home, away):
    good = (home / "weights" / "model.safetensors").read_bytes()
    for data in odd_weights(good): assert in_weights(home, "model.safetensors", data) == "refused"
    for data in damaged(good, 60, random.Random(0)): in_weights(home, "model.safetensors", data)
    for path in no_files(away):
        shutil.rmtree("odd")
        shutil.copytree(home / "weights", "odd")
        Path("odd", "model.safetensors").unlink()
        Path("odd", "model.safetensors").symlink_to(path)
        assert paint(home, home / "labels.png", home / "exemplar.png", weights="odd") == "refused"


def test_folders(home, away):
    for name in ("bare", "images", "deep"): Path(name).mkdir()
    shutil.copytree(home / "mine", "mine")
    for part in ("images", "labels"):
        Path("mine", part, "again").symlink_to("..")                                  # a loop of folders
        for name in ("line\nbreak_1", "\x1b[31m_1", "-x_1", "ü 图_1", "a,b_1", "c.png_1", " d_1"):
            shutil.copy(home / "mine" / part / "w0_0.png", Path("mine", part, f"{name}.png"))
        no_files(Path("mine", part))
    assert attempt("rabit_doctor", "mine") == "accepted"
    # " d" would be read as "d"
    assert attempt("rabit_retrieve", "mine", "--classes", "7", "-k", "1", "-o", "pairs.json") == "refused"
    for part in ("images", "labels"): Path("mine", part, " d_1.png").unlink()
    assert attempt("rabit_retrieve", "mine", "--classes", "7", "-k", "1", "-o",
                   "new/pairs.txt") == "refused" and not Path("new").exists()
    assert attempt("rabit_retrieve", "mine", "--classes", "7", "-k", "1", "-o", "pairs.json") == "accepted"
    assert attempt("rabit_eval", "--checkpoint", home / "weights", "--device", "cpu", "--data", "mine",
                   "--count", "9", "--exemplars", "pairs.json") == "accepted"
    Path("mine", "images", "out.png").symlink_to("/etc/passwd")
    shutil.copy(home / "labels.png", "mine/labels/out.png")
    for folder in (
        "mine",
        "bare",
        "images",
        "/dev/null",
        "mine/images/pipe.png",
        "",
        "\0",
        "a" * 300,
        "/proc/self/fd",
    ):
        for line in (("rabit_doctor", folder), ("rabit_retrieve", folder, "--classes", "7")):
            attempt(*line)


def test_archives(home, away):
    "Tar archives: damaged, with names that climb out, with what is no image inside, and what is no archive"
    def archive(*files):
        with tarfile.open("good.tar", "w") as tar:
            for name, path in files: tar.add(path, name)
        return Path("good.tar").read_bytes()
    images, labels = sorted((home / "mine" / "images").iterdir()), sorted(
        (home / "mine" / "labels").iterdir()
    )
    pairs = [(f"{p.stem}{end}", path) for p, l in zip(images, labels) for end,
             path in ((".png", p), (".labels.png", l))]
    for name, content in NO_IMAGES.items(): Path(name).write_bytes(content)
    good = archive(*pairs)
    hostile = [archive((f"../../{pairs[0][0]}", pairs[0][1]),
                       ("/etc/" + pairs[1][0], pairs[1][1]))] + [archive(("a.png", name), pairs[1],
                                                                         ("a.labels.png", name))
                                                                 for name in NO_IMAGES]
    Path("tars").mkdir()
    for data in [good, *hostile, *damaged(good, 40, random.Random(0)), b"", b"x" * 9999, good[:512] * 40]:
        Path("tars/x.tar").write_bytes(data)
        def read():
            dataset = TarDataset("tars", 7, (16, 16), augment=False)
            return [dataset.sample(i) for i in range(len(dataset))]
        with clock(20): found = lawful(read, [])
        assert found or data is not good
    for path in no_files(away):
        Path("tars/x.tar").unlink(); Path("tars/x.tar").symlink_to(path)
        with clock(20): assert lawful(lambda: TarDataset("tars", 7, (16, 16)), []) is None


def test_photographs_and_label_maps_side_by_side(home, away):
    Path("flat").mkdir()
    with Image.open(home / "exemplar.png") as im: im.save("flat/a.jpg")
    shutil.copy(home / "labels.png", "flat/a.png")
    Path("flat/b.jpg").symlink_to("gone"); os.mkfifo("flat/c.jpg"); Path("flat/d.jpg").mkdir()
    assert attempt("rabit_doctor", "flat") == "accepted" and list(find_pairs("flat")) == ["a"]


NOWHERE = "labels.png/x"  # below a file: nothing can be written there, so that no option leads to long work
OPTIONS = dict(rabit_translate=["--size", "--palette", "--checkpoint", "--device", "--exemplar-condition",
                                "-o"], rabit_edit=["--size", "--palette", "--checkpoint", "--device", "-o"],
               rabit_eval=["--count", "--seed", "--data", "--split", "--exemplars", "--checkpoint",
                           "--device", "--features"],
               rabit_retrieve=["--classes", "--split", "--vgg", "--features", "-k"],
               rabit_doctor=["--classes", "--split"], rabit_train=["--classes", "--size", "--lr",
                                                                   "--self-pair-prob", "--save-every",
                                                                   "--loss-weight", "--model", "--model",
                                                                   "--preset", "--vgg", "--features",
                                                                   "--resume", "--init-from", "--condition",
                                                                   "--data", "--split", "--seed"],
               rabit_frames=["--fps", "--temporal-smoothing", "--size", "--exemplar-condition", "-o"],
               rabit_export=["--onnx", "--size", "--checkpoint"],
               rabit_demo=["--steps", "--count", "--device"],
               rabit_compare=["--models", "--ablations", "--seeds", "--steps", "--size", "--jobs"],
               rabit_bench=["--steps", "--batch", "--size", "--preset", "--device"],
               rabit_speed=["--rounds", "--device"], rabit_match_bench=["--grids", "--pairs", "--faces"])

@pytest.mark.parametrize("name", OPTIONS)
def test_options(home, away, name):
    shutil.copy(home / "labels.png", "labels.png")
    model_of = ("--checkpoint", "nowhere")
    given = dict(rabit_translate=("labels.png", home / "exemplar.png", *model_of),
                 rabit_edit=(home / "exemplar.png", "labels.png", "labels.png", *model_of),
                 rabit_eval=("--data", "street", *model_of),
                 rabit_retrieve=(home / "mine", "-o", f"{NOWHERE}.json"), rabit_doctor=(home / "mine",),
                 rabit_train=("--preset", "tiny", "--steps", "1", "--device", "cpu", "--out", NOWHERE),
                 rabit_frames=(home / "mine" / "labels", home / "exemplar.png", *model_of),
                 rabit_export=model_of, rabit_demo=("--out", NOWHERE), rabit_compare=("--out", NOWHERE),
                 rabit_bench=("--json", f"{NOWHERE}.json"), rabit_speed=("--json", f"{NOWHERE}.json"),
                 rabit_match_bench=("--features", "color", "--json", f"{NOWHERE}.json"))[name]
    for option in OPTIONS[name]:
        for word in ODD_WORDS:
            attempt(name, *given, f"-o{word}" if option == "-o" else f"-k{word}" if option == "-k"
                    else f"{option}={word}")


def test_links_do_not_lead_outputs_elsewhere(home, away):
    shutil.copytree(home / "mine" / "labels", "maps/sub"); Path("out").mkdir(); Path("elsewhere").mkdir()
    Path("out/sub").symlink_to(Path("elsewhere").resolve())
    assert attempt("rabit_translate", "maps", home / "exemplar.png", "-o", "out", "--checkpoint", home
                   / "weights", "--device", "cpu") == "accepted" and not list(Path("elsewhere").iterdir())
    assert attempt("rabit_train", "--preset", "tiny", "--size", "16x16", "--steps", "1", "--device", "cpu",
                   "--out", "run") == "accepted"
    shutil.rmtree("run/samples"); Path("run/samples").symlink_to(Path("elsewhere").resolve())
    assert attempt("rabit_train", "--resume", "run", "--steps", "2", "--device",
                   "cpu") == "refused" and not list(Path("elsewhere").iterdir())


def test_images_too_long_for_their_kind_of_file(home, away):
    for name, length in (("long.png", 17_000), ("longer.png", 66_000)): Image.new("L", (length, 2)).save(name)
    assert [paint(home, "long.png", home / "exemplar.png", out=f"out.{kind}")
            for kind in ("png", "jpg", "webp")] == ["accepted", "accepted", "refused"]
    assert [paint(home, "longer.png", home / "exemplar.png", out=f"out2.{kind}")
            for kind in ("jpg", "webp")] == ["refused", "refused"]
    for kind in ("gif", "webp"):
        with pytest.raises(RabitError, match="on a side"):
            video_files.write_frames([Image.new("RGB", (66_000, 2))], f"film.{kind}")
    assert (sorted(p.name for p in away.glob("out*")) == ["out.jpg", "out.png"]
            and not list(away.glob("film*")))


def test_folders_inside_folders_without_end(home, away):
    shutil.copytree(home / "mine", "mine")
    here = os.open("mine/images", os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    try:
        for line in (
            ("rabit_doctor", "mine"),
            ("rabit_retrieve", "mine", "--classes", "7"),
            ("rabit_translate", "mine/images", home / "exemplar.png", "--checkpoint", home / "weights"),
        ):
            attempt(*line)
    finally: subprocess.run(["rm", "-rf", "mine"], check=True)


def test_an_environment_that_torchrun_did_not_make(home, away, monkeypatch):
    for changed in (
        dict(WORLD_SIZE="abc"),
        dict(WORLD_SIZE="2", LOCAL_RANK="x"),
        dict(WORLD_SIZE="2"),
        dict(WORLD_SIZE="-3"),
        dict(WORLD_SIZE="2", RANK="7", MASTER_ADDR="127.0.0.1", MASTER_PORT="x"),
    ):
        with monkeypatch.context() as m:
            for key, value in changed.items():
                m.setenv(key, value)
            assert (
                attempt(
                    "rabit_train",
                    "--preset",
                    "tiny",
                    "--size",
                    "16x16",
                    "--steps",
                    "1",
                    "--device",
                    "cpu",
                    "--out",
                    "run",
                )
                == "refused"
            ), changed


def test_names_that_no_alphabet_knows(home, away):
    "A name that is no text in any encoding is printed with escapes, not with a traceback"
    shutil.copy(home / "exemplar.png", b"\xff\xfe.png")
    code = "import sys; from rabit.tools.use_commands import rabit_translate; rabit_translate()"
    line = [sys.executable, "-c", code, os.fsencode(home / "labels.png"), b"\xff\xfe.png", "--device", "cpu",
            "--checkpoint", str(home / "weights"), "-o", b"\xfd.png"]
    done = subprocess.run(line, capture_output=True, timeout=100, stdin=subprocess.DEVNULL, env=os.environ
                          | dict(PYTHONPATH=str(ROOT), OMP_NUM_THREADS="1", PYTHONIOENCODING="ascii"))
    assert done.returncode == 0 and done.stderr == b"" and b"\\udcfd.png" in done.stdout, done.stderr


MEMORY = """
import sys
from pathlib import Path
from rabit.tools.use_commands import rabit_translate
def peak(): return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024
before = peak()
for labels, exemplar in zip(sys.argv[2::2], sys.argv[3::2]):
    try: rabit_translate([labels, exemplar, "--device", "cpu", "--checkpoint", sys.argv[1], "-o", "out.png"])
    except SystemExit: pass
print(peak() - before)
"""

@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux for the memory of a process")
def test_memory_is_bounded(home, away):
    """Bombs cost nothing; the largest images and label maps that are accepted, a few times their own size;
    thin ones no more than others"""
    # at full size, a channel for each class would be gigabytes
    rabit(150, (32, 32), width=4, features=8).save_pretrained("many")
    for name in ("bomb.png", "large.png", "hollow.png"): Path(name).write_bytes(NO_IMAGES[name])
    for name, size in (("big.png", (3000, 3000)), ("thin.png", (500_000, 1))): Image.new("L", size).save(name)
    pairs = [("bomb.png", "bomb.png"), ("large.png", "large.png"), ("hollow.png", "big.png"),
             ("big.png", "hollow.png"), ("big.png", "big.png"), ("thin.png", "thin.png")]
    done = subprocess.run([sys.executable, "-c", MEMORY, "many", *(n for pair in pairs for n in pair)],
                          capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL,
                          env=os.environ | dict(PYTHONPATH=str(ROOT), OMP_NUM_THREADS="1"))
    assert (done.returncode == 0 and "Traceback" not in done.stderr
            and "Warning" not in done.stderr), done.stderr
    assert done.stderr.count("\n") == 4 and int(done.stdout.split()[-1]) < 1500, (done.stdout, done.stderr)


@few
@given(tensors(3, likely=torch.int64), tensors(),
       st.one_of(st.none(), sides, st.sampled_from([(8, 8), (16, 24), (8,), "8x8", 8, (8., 8.), (8, 10**9)])))
def test_translate_tensors(labels, exemplar, size):
    translator = tiny()
    if labels.ndim in (2, 3) and labels.dtype == torch.int64: labels = labels.abs() % 5
    if exemplar.ndim == 4 and exemplar.shape[1] > 3: exemplar = exemplar[:, :3]
    for condition in (labels, labels[0] if labels.ndim == 3 and len(labels) else labels, exemplar):
        found = lawful(lambda: translator.translate(condition, exemplar, size=size), [])
        assert found is None or found.size == tuple(condition.shape[:-3:-1])
    for odd in (None, 7, b"x", [], Path("nowhere")):
        assert lawful(lambda: translator.translate(odd, exemplar), []) is None


@cache
def tiny(): return rabit(5, (16, 16), width=4, features=8).eval()


# runs

def odd_settings():
    "Every field of a run's configuration with every odd value"
    return [{f.name: value} for f in fields(TrainConfig) for value in ODD_VALUES]


def test_settings_of_a_run():
    for changed in odd_settings():
        try: TrainConfig(**changed)
        except RabitError: pass


@pytest.fixture
def saved(home, away):
    "The last save of a run"
    tiny = dict(size=(16, 16), steps=1, batch=1, model=dict(width=4, features=8, block=2), d_width=4,
                d_layers=1, vgg_width=1)
    with clock(): train(TrainConfig(**tiny), "run", device="cpu", progress=False)
    return Path("run", STATE).read_bytes()


def resumed(data):
    shutil.rmtree("odd", ignore_errors=True); Path("odd").mkdir(); Path("odd", STATE).write_bytes(data)
    return attempt("rabit_train", "--resume", "odd", "--device", "cpu")


def with_note(data, **changes):
    "A save that says something else of itself: the bytes of a safetensors file with another header"
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["__metadata__"] |= changes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[end:]


def test_damaged_saves_of_a_run(saved):
    for data in [*odd_weights(saved), *damaged(saved, 40, random.Random(0))]:
        assert resumed(data) == "refused"
    for note in (
        dict(done="x"),
        dict(checksum=""),
        dict(config="{"),
        dict(config="7"),
        dict(config='{"lr": "fast"}'),
        dict(config='{"speed": 1}'),
    ):
        assert resumed(with_note(saved, **note)) == "refused"


def test_odd_settings_in_the_save_of_a_run(saved):
    with safe_open("run/" + STATE, "pt") as f: config = json.loads(f.metadata()["config"])
    for text in [json.dumps(config | changed) for changed in odd_settings()][::7] + ODD_JSON:
        resumed(with_note(saved, config=text))
    for done in ("-1", "9" * 30): assert resumed(with_note(saved, done=done)) == "refused"
