"""Every public function of tensors, in every float type, under autocast, inside torch.func, on `meta`.

An answer is right, which means that it is what the function makes of the same numbers in float64, one example
at a time; or it is refused in our words. There is no third outcome. A new public function in one of MODULES
fails the first test until it has an entry in CASES or a reason in LEFT_OUT.
"""
import importlib, inspect, io
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from rabit.core.tensors import RabitError
from rabit.matching.bilevel import bilevel_match
from rabit.matching.match import Match
from rabit.matching.topk import soft_topk
from rabit.networks.pretrained import build, model_names

MODULES = ["core.tensors", "matching.match", "matching.streamed", "matching.topk", "matching.topk_sorted",
           "matching.ranking", "matching.bilevel", "matching.kernels", "matching.position",
           "matching.fourier",
           "networks.encode", "networks.inject", "networks.losses", "networks.perceptual",
           "relatives.dynamic_attention", "relatives.masked_attention", "training.metrics", "tools.style"]
OURS = tuple(m for m in MODULES if m.startswith(("core", "matching")))    # these keep 32 bits under autocast
LEFT_OUT = {
    "values_known": "about a tensor, not of it", "plain_tensor": "likewise", "full_precision": "likewise",
    "check_pair": "a check that returns nothing", "check_same_shape": "likewise", "check_mask": "likewise",
    "check_eps": "of a number",
    "to_pil": "no tensor comes out", "slopes_by_halves": "the derivative of bilevel_match, which is here",
    "deep_warp_loss": "of matches", "frechet_distance": "a number comes out, by numpy",
    "semantic_consistency": "of a network", "style_relevance": "likewise", "pooled_features": "likewise",
    "random_patches": "draws at random", "sliced_wasserstein": "likewise",
}


def public(module):
    "Names of a module's functions that take tensors"
    m = importlib.import_module(f"rabit.{module}")
    own = {name: f for name in m.__all__
           if inspect.isfunction(f := getattr(m, name)) and f.__module__ == m.__name__}
    return [name for name, f in own.items()
            if any("Tensor" in str(p.annotation) for p in inspect.signature(f).parameters.values())]


def maps(*shape, seed=0, low=None):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=g, dtype=torch.float64)
    return x if low is None else low + x.sigmoid() * (1 - low)


def ids(*shape, n=4, seed=0): return torch.randint(0, n, shape, generator=torch.Generator().manual_seed(seed))


Q, K = maps(2, 6, 6, 8), maps(2, 6, 4, 8, seed=1)
V, S = maps(2, 3, 4, 8, seed=2), maps(3, 9)
PLACE = torch.stack([maps(2, 6, 8, seed=3, low=0) * 7, maps(2, 6, 8, seed=4, low=0) * 3], 1)
IMAGE, OTHER = maps(2, 3, 16, 16, low=-1), maps(2, 3, 16, 16, seed=5, low=-1)
PROBS = maps(2, 4, 6, 8, seed=6).softmax(1)
LABELS = ids(2, 6, 8)


def answers(match, v):
    "All that a match can tell"
    scaled = match.inverse_warp(match.warp(v))
    return [match.dense(), match.warp(v), scaled, match.row_sum(), match.column_sum(), match.entropy(),
            match.confidence(), match.argmax()]


def bilevel(f):
    return lambda q, k, v, eps, t: answers(f(q, k, 2, 3, eps, t), v)


def halves(f, m):
    def run(q, k, v, eps, t): return answers(f(q, k, m.rank_blocks(q, k, 2, 3, eps), 2, t), v)
    return run


def shown(position): return torch.ones_like(position[:, 0], dtype=torch.bool)


EPS, TAU = torch.tensor(.7, dtype=torch.float64), torch.tensor(.3, dtype=torch.float64)
CASES = {  # name: (how it is called with its module and itself, tensors: floats in float64 are converted)
    "check_finite": (lambda m, f: lambda x: f(x, "x"), [Q]), "check_image": (lambda m, f: f, [IMAGE]),
    "check_map": (lambda m, f: f, [Q]), "check_labels": (lambda m, f: lambda x: f(x, 4), [LABELS]),
    "one_hot": (lambda m, f: lambda x: f(x, 4), [LABELS]), "labels_of": (lambda m, f: f, [PROBS]),
    "to_blocks": (lambda m, f: lambda x: f(x, (4, 4)), [Q]),
    "from_blocks": (lambda m, f: lambda x: f(x, (6, 8), (4, 4)), [maps(2, 4, 16, 5)]),
    "resize": (lambda m, f: lambda x: [f(x, (9, 11)), f(x, (3, 5))], [Q]),
    "resize_labels": (lambda m, f: lambda x: f(x, (9, 5)), [LABELS]),
    "sample_at": (lambda m, f: f, [V, PLACE]), "labels_at": (lambda m, f: f, [ids(2, 4, 8), PLACE]),
    "pad_to": (lambda m, f: lambda x: f(x, 5), [Q]), "crop_to": (lambda m, f: lambda x: f(x, (3, 4)), [Q]),
    "center_normalize": (lambda m, f: f, [Q]), "positional_norm": (lambda m, f: f, [Q]),
    "dense_match": (lambda m, f: lambda q, k, v, t: answers(f(q, k, t), v), [Q, K, V, TAU]),
    "streamed_match": (lambda m, f: lambda q, k, v, t: answers(f(q, k, t), v), [Q, K, V, TAU]),
    "masked_match": (lambda m, f: lambda q, k, v: answers(f(q, k, .3), v), [Q, K, V]),
    "hard_topk": (lambda m, f: lambda s: f(s, 3), [S]),
    "sinkhorn_topk": (lambda m, f: lambda s, eps: f(s, 3, eps, 60), [S, EPS]),
    "center_scores": (lambda m, f: lambda s, eps: f(s, 3, eps), [S, EPS]),
    "solve_threshold": (lambda m, f: lambda s: f(m.center_scores(s, 3, 1.)[0], 3), [S]),
    "threshold": (lambda m, f: lambda s, eps: f(s, 3, eps), [S, EPS]),
    "grouped_topk": (lambda m, f: lambda s: f(s, 3), [S]),
    "scores_over_eps": (lambda m, f: lambda s, eps: f(s, 3, eps), [S, EPS]),
    "soft_topk": (lambda m, f: lambda s, eps: f(s, 3, eps), [S, EPS]),
    "sorted_topk": (lambda m, f: lambda s, eps: f(s, 3, eps), [S, EPS]),
    "block_means": (lambda m, f: lambda x: f(x, (4, 4)), [Q]),
    "tokens_of_blocks": (lambda m, f: lambda c: f(c, (6, 7), 2), [ids(2, 3, 4, n=12)]),
    "rank_blocks": (lambda m, f: lambda q, k, eps: f(q, k, 2, 3, eps), [Q, K, EPS]),
    "attend_blocks": (lambda m, f: halves(f, m), [Q, K, V, EPS, TAU]),
    "bilevel_match": (lambda m, f: bilevel(f), [Q, K, V, EPS, TAU]),
    "kernel_match": (lambda m, f: bilevel(f), [Q, K, V, EPS, TAU]),
    "semantic_position": (lambda m, f: f, [LABELS]), "fourier": (lambda m, f: f, [PLACE / 8]),
    "encode_position": (lambda m, f: lambda c: f(c, "semantic"), [PROBS]),
    "directions": (lambda m, f: f, [Q]), "cat_tokens": (lambda m, f: f, [Q, PROBS]),
    "fuse": (lambda m, f: f, [V, V + 1, maps(2, 1, 4, 8, low=0)]),
    "warp_loss": (lambda m, f: f, [IMAGE, OTHER]), "feature_consistency": (lambda m, f: f, [Q, Q + 1]),
    "cycle_loss": (lambda m, f: f, [IMAGE, OTHER, maps(2, 1, 8, 8, low=.5)]),
    "mask_loss": (lambda m, f: f, [PROBS, LABELS]),
    "segmentation_loss": (lambda m, f: f, [PROBS.log(), LABELS]),
    "hinge_d": (lambda m, f: lambda a, b: f([a], [b]), [Q, K]),
    "hinge_g": (lambda m, f: lambda a: f([a]), [Q]),
    "ground_truth_tokens": (lambda m, f: lambda p: f(p, shown(p), (3, 4), (2, 4), (4, 8)), [PLACE]),
    "match_loss": (lambda m, f: lambda q, k, p, t: f(q, k, p, shown(p), (8, 16), t),
                   [Q, K, PLACE.repeat_interleave(2, 2).repeat_interleave(2, 3) * 2, TAU]),
    "perceptual_loss": (lambda m, f: f, [Q, Q + 1]),
    "feature_matching": (lambda m, f: lambda a, b: f([[a]], [[b]]), [Q, Q + 1]),
    "contextual_similarity": (lambda m, f: f, [Q.flatten(2), K.flatten(2)]),
    "subsample": (lambda m, f: lambda x: f(x, 20), [Q]),
    "contextual_loss": (lambda m, f: f, [Q, K]),
    "straight_through_step": (lambda m, f: f, [Q]),
    "dynamic_attention": (lambda m, f: f, [maps(2, 5, 4), maps(2, 5, 4, seed=1)]),
    "l1": (lambda m, f: f, [IMAGE, OTHER]), "psnr": (lambda m, f: f, [IMAGE, OTHER]),
    "ssim": (lambda m, f: f, [IMAGE, OTHER]), "structure": (lambda m, f: f, [IMAGE, OTHER]),
    "copy_score": (lambda m, f: f, [IMAGE, OTHER, IMAGE.flip(-1)]),
    "laplacian_levels": (lambda m, f: lambda x: f(x, 8), [IMAGE]),
    "color_transfer": (lambda m, f: f, [IMAGE, OTHER]),
}
FOUND = [(module, name) for module in MODULES for name in public(module) if name not in LEFT_OUT]
each = pytest.mark.parametrize("module, name", FOUND, ids=[name for _, name in FOUND])


def test_every_public_function_is_here():
    names = {name for _, name in FOUND}
    assert names == CASES.keys(), f"no entry: {names - CASES.keys()}; no function: {CASES.keys() - names}"


def case(module, name):
    m = importlib.import_module(f"rabit.{module}")
    call, given = CASES[name]
    f = call(m, getattr(m, name))
    return lambda *xs: [y for y in pytree.tree_leaves(f(*xs)) if isinstance(y, Tensor)], given


def answer(f, *xs):
    "What it returns, or None where it refuses in our words"
    try: return f(*xs)
    except RabitError: return None


def as_type(x, dtype): return x.to(dtype) if x.is_floating_point() else x


def assert_near(ys, expected, close, name):
    "Equal but for rounding: of the largest number, in every tensor"
    if ys is None: return
    assert len(ys) == len(expected)
    for i, (y, z) in enumerate(zip(ys, expected)):
        assert y.shape == z.shape, (name, i, y.shape, z.shape)
        y, z = y.detach().double(), z.detach().double()
        largest = max([1., *z[z.isfinite()].abs().flatten().tolist()])
        ok = torch.isclose(y, z, atol=close * largest, rtol=close, equal_nan=True)
        assert ok.all(), f"{name}, answer {i}: off by {(y - z)[~ok].abs().max():.2g}"


CLOSE = {torch.float32: 2e-4, torch.float16: 4e-3, torch.bfloat16: 3e-2}

@each
def test_in_every_float_type(module, name):
    f, given = case(module, name)
    for dtype, close in CLOSE.items():
        rounded = [as_type(x, dtype) for x in given]
        expected = f(*(as_type(x, torch.float64) for x in rounded))
        assert_near(answer(f, *rounded), expected, close, f"{name} in {dtype}")


@each
def test_in_two_types_at_once(module, name):
    f, given = case(module, name)
    for small, large in ((torch.float32, torch.float64), (torch.bfloat16, torch.float32)):
        rounded = [as_type(x, small if i % 2 else large) for i, x in enumerate(given)]
        expected = f(*(as_type(x, torch.float64) for x in rounded))
        assert_near(answer(f, *rounded), expected, CLOSE[small], f"{name} in {small} and {large}")


def ramp_sum(ys):
    "A sum that every answer has a part in"
    return sum((y.double() * torch.linspace(-1, 1, y.numel(), dtype=torch.float64).view_as(y)).sum()
               for y in ys if y.is_floating_point())


def slopes(ys, xs, create_graph=False):
    "Of that sum"
    return torch.autograd.grad(ramp_sum(ys), xs, create_graph=create_graph, allow_unused=True,
                               materialize_grads=True)


def floats(given):
    "Where the tensors that can have a gradient are"
    return [i for i, x in enumerate(given) if x.is_floating_point()]


@each
def test_under_autocast_forward_and_backward(module, name):
    f, given = case(module, name)
    xs = [as_type(x, torch.float32) for x in given]
    for i in floats(xs): xs[i].requires_grad_()
    exact = [x.detach().double().requires_grad_() if x.is_floating_point() else x for x in xs]
    expected = f(*exact)
    with torch.autocast("cpu", torch.bfloat16):
        ys = answer(f, *xs)
        assert_near(ys, expected, 2e-4 if module in OURS else 3e-2, f"{name} under autocast")
    if ys is None or not any(y.requires_grad for y in ys): return
    wanted = slopes(expected, [exact[i] for i in floats(xs)])
    assert_near(slopes(ys, [xs[i] for i in floats(xs)], True), wanted, 2e-3 if module in OURS else 6e-2,
                f"slopes of {name} under autocast")
    with torch.autocast("cpu", torch.bfloat16):                    # which rounds a product's own derivative
        assert_near(slopes(ys, [xs[i] for i in floats(xs)]), wanted, 6e-2, f"slopes of {name} in autocast")


@each
def test_on_meta_there_are_shapes(module, name):
    f, given = case(module, name)
    ys = answer(f, *(x.to("meta") for x in given))
    if ys is None: return
    assert all(y.is_meta for y in ys) and [y.shape for y in ys] == [y.shape for y in f(*given)]


def examples(given, count=2):
    "Several of each tensor, alike but not the same"
    return [torch.stack([x if not x.is_floating_point() else x * (1 + .01 * i) for i in range(count)])
            for x in given]


@each
def test_vmap_is_a_loop(module, name):
    f, given = case(module, name)
    many = examples(given)
    ys = answer(torch.func.vmap(f), *many)
    if ys is None: return
    for i in range(2):
        close = 1e-9 if module in OURS else 1e-6
        assert_near([y[i] for y in ys], f(*(x[i] for x in many)), close, f"vmap of {name}")


@each
def test_torch_func_differentiates_as_autograd_does(module, name):
    f, given = case(module, name)
    at = floats(given)
    if not at: return
    xs = [x.clone().requires_grad_() if i in at else x for i, x in enumerate(given)]
    ys = f(*xs)
    if not any(y.requires_grad for y in ys): return
    wanted = slopes(ys, [xs[i] for i in at])

    def loss(*moved):
        all_of_them = list(given)
        for i, x in zip(at, moved): all_of_them[i] = x
        return ramp_sum(f(*all_of_them))
    moved, numbers = [given[i] for i in at], tuple(range(len(at)))
    found = answer(torch.func.grad(loss, numbers), *moved)
    if found is None: return
    assert_near(found, wanted, 1e-8, f"grad of {name}")
    tangents = [maps(*x.shape, seed=i) for i, x in enumerate(moved)]
    along = answer(torch.func.jvp, loss, tuple(moved), tuple(tangents))
    expected = sum((a * b).sum() for a, b in zip(wanted, tangents))
    if along is not None: torch.testing.assert_close(along[1], expected, atol=1e-7, rtol=1e-6)
    many = torch.func.vmap(torch.func.grad(loss, numbers))(*examples(moved))
    assert_near([x[0] for x in many], wanted, 1e-8, f"vmap of grad of {name}")


@pytest.mark.parametrize("name", ["soft_topk", "sorted_topk", "rank_blocks", "attend_blocks", "bilevel_match",
                                  "kernel_match", "dense_match", "streamed_match"])
def test_second_derivatives_agree(name):
    module = next(m for m, n in FOUND if n == name)
    f, given = case(module, name)
    if len(given[0].shape) == 4: given = [x[:1, :, :4, :4] if x.ndim == 4 else x for x in given]
    f0 = (lambda *xs: f(*xs)[1:3]) if len(given) > 3 else f
    xs = [x.clone().requires_grad_() for x in given]
    first = slopes(f0(*xs), xs, create_graph=True)
    direction = [maps(*x.shape, seed=9 + i) for i, x in enumerate(xs)]
    twice = torch.autograd.grad(sum((a * b).sum() for a, b in zip(first, direction)), xs, allow_unused=True,
                                materialize_grads=True)

    def slope(*moved): return torch.func.grad(lambda *m: ramp_sum(f0(*m)), tuple(range(len(moved))))(*moved)
    by_forward_mode = torch.func.jvp(slope, tuple(given), tuple(direction))[1]
    assert_near(by_forward_mode, twice, 1e-8, f"the Hessian of {name}")
    assert sum(x.abs().sum() for x in twice) > 0


@pytest.mark.parametrize("name", ["soft_topk", "sorted_topk", "bilevel_match", "dense_match",
                                  "streamed_match"])
def test_jacobians_by_vectorised_backward_passes(name):
    module = next(m for m, n in FOUND if n == name)
    f, given = case(module, name)
    def last(x): return f(x, *given[1:])[-1 if len(given) < 4 else 1]
    plain = torch.autograd.functional.jacobian(last, given[0])
    torch.testing.assert_close(torch.autograd.functional.jacobian(last, given[0], vectorize=True), plain)
    torch.testing.assert_close(torch.func.jacrev(last)(given[0]), plain)
    torch.testing.assert_close(torch.func.jacfwd(last)(given[0]), plain)


WRONG = {"nothing": lambda x: None, "a list": lambda x: x.tolist(), "an array": lambda x: x.numpy(),
         "whole numbers": lambda x: x.long(), "complex numbers": lambda x: x.to(torch.complex64),
         "8 bits": lambda x: x.to(torch.float8_e4m3fn), "a number": lambda x: 1.5}

STEPS = ("center_scores", "solve_threshold", "grouped_topk", "scores_over_eps")  # of soft_topk, which checks
CHECKED = [(m, n) for m, n in FOUND if m in OURS and n not in STEPS]

@pytest.mark.parametrize("module, name", CHECKED, ids=[n for _, n in CHECKED])
@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_tensor_of_floats_is_refused_or_right(wrong, module, name):
    f, given = case(module, name)
    first = given[0]
    try: bad = WRONG[wrong](first)
    except RuntimeError: return
    ys = answer(f, bad, *given[1:])
    if ys is None or isinstance(bad, Tensor) and bad.dtype == first.dtype: return
    expected = f(as_type(bad, torch.float64) if isinstance(bad, Tensor) else torch.as_tensor(bad), *given[1:])
    assert_near(ys, expected, 1e-5, f"{name} of {wrong}")


def test_whole_numbers_of_numpy_are_whole_numbers():
    assert torch.equal(soft_topk(S, np.int64(3), .5), soft_topk(S, 3, .5))
    match = bilevel_match(Q, K, np.int32(2), np.int64(3))
    assert torch.equal(match.weights, bilevel_match(Q, K, 2, 3).weights)
    for k in (3., True, "3", None):
        with pytest.raises(RabitError): soft_topk(S, k, .5)


def scene(classes):
    "A condition, an image, and the image's own condition"
    labels = ids(2, 4, 4, n=classes).repeat_interleave(8, 1).repeat_interleave(8, 2)
    condition = torch.nn.functional.one_hot(labels, classes).permute(0, 3, 1, 2).float()
    return condition, maps(2, 3, 32, 32, seed=1, low=-1).float(), condition.flip(-1)


def tiny(name, **changes):
    torch.manual_seed(0)
    return build(dict(builder=name, classes=5, size=(32, 32), width=8, features=16) | changes).eval()


@pytest.mark.parametrize("name", model_names())
def test_models_follow_the_type_of_their_weights(name):
    given = scene(5)
    with torch.no_grad(): expected = tiny(name)(*given)
    for dtype, close in ((torch.float64, 1e-5), (torch.float16, 4e-3), (torch.bfloat16, 3e-2)):
        model = tiny(name).to(dtype)
        others = given[0].half(), given[1].double(), given[2]
        with torch.no_grad(): found, mixed = model(*given), model(*others)
        for got in (found, mixed):
            assert got.image.dtype == got.warped.dtype == got.confidence.dtype == dtype
            assert got.match.weights.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
        off = (found.image.double() - expected.image).abs().mean()
        assert off < close, f"{name} in {dtype}: off by {off:.2g}"
    assert model.translate(given[0].argmax(1)[0], given[1][:1]).size == (32, 32)


def test_a_learned_temperature_moves_and_is_saved(tmp_path):
    model = tiny("rabit", learn_temperature=True).train()
    start, given = model.matcher.logs.detach().clone(), scene(5)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(2):
        loss = (model(*given).warped - given[1]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert ((model.matcher.logs - start).abs() > 1e-3).all()
    again = type(model).from_pretrained(model.eval().save_pretrained(tmp_path))
    assert torch.equal(again.matcher.logs, model.matcher.logs)
    with torch.no_grad(): assert torch.equal(again(*given).image, model(*given).image)


def exported(model, given):
    "What is left of a model that was exported, written down and read again, for any number of images"
    free = tuple({0: torch.export.Dim("images", min=1, max=64)} for _ in given)
    file = io.BytesIO()
    with torch.no_grad(): torch.export.save(torch.export.export(model, given, dynamic_shapes=free), file)
    file.seek(0)
    return torch.export.load(file).module()


def test_what_returns_a_match_can_be_exported():
    class Matching(torch.nn.Module):
        def forward(self, q, k): return bilevel_match(q, k, 2, 3)

    program = exported(Matching(), (Q, K))
    found, expected = program(Q[:1], K[:1]), bilevel_match(Q[:1], K[:1], 2, 3)
    assert type(found) is Match and found.block == (2, 2) and torch.equal(found.index, expected.index)
    torch.testing.assert_close(found.warp(V[:1]), expected.warp(V[:1]))


# a model takes ten seconds to export; torch 2.13 cannot nest the regions without autocast of patchmatch
@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*model_names()} - {"patchmatch"}))
def test_whole_models_can_be_exported(name):
    model, given = tiny(name), scene(5)
    program = exported(model, given)
    one = [x[:1] for x in given]
    with torch.no_grad(): found, expected = program(*one), model(*one)
    assert type(found).__name__ == "TranslatorOutput" and type(found.match) is type(expected.match)
    torch.testing.assert_close(found.image, expected.image, atol=1e-5, rtol=0)
    assert torch.equal(found.match.argmax((32, 32)), expected.match.argmax((32, 32)))
