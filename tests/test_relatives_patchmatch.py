# Generated from nbs/7_relatives/72_patchmatch.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import math
import tempfile
import torch
import torch.nn.functional as F
from dataclasses import replace
from fastcore.test import test_fail
from rabit.core.tensors import one_hot
from rabit.core.tensors import pixel_grid
from rabit.core.tensors import size_text
from rabit.matching.match import Match
from rabit.matching.match import dense_match
from rabit.matching.street import street_pairs
from rabit.networks.losses import deep_warp_loss
from rabit.networks.translate import Translator
from rabit.relatives.patch_search import Candidates
from rabit.relatives.patch_search import all_candidates
from rabit.relatives.patch_search import token_at
from rabit.relatives.patchmatch import PatchMatcher
from rabit.relatives.patchmatch import Refiner
from rabit.relatives.patchmatch import corners
from rabit.relatives.patchmatch import match_candidates
from rabit.relatives.patchmatch import patchmatch
from rabit.relatives.patchmatch import proposal
from rabit.relatives.patchmatch import refine_level
from rabit.relatives.patchmatch import refiner_input
from rabit.relatives.patchmatch import token_position
from rabit.training.config import make_dataset
from rabit.training.config import preset
from rabit.training.trainer import Trainer
from torch import nn


def test_corners_are_bilinear_sampling():
    place = torch.tensor([[0., 0.], [1.25, .5], [4., 2.], [9., -3.]], dtype=torch.float64)
    index, share = corners(place.view(1, 1, 4, 2).requires_grad_(), (3, 5))
    mean = (share[..., None] * token_position(index, (3, 5))).sum(-2).view(4, 2)
    torch.testing.assert_close(mean.tolist(), [[0., 0.], [1.25, .5], [4., 2.], [4., 0.]])
    assert all(len(set(four)) == 4 for four in index.view(4, 4).tolist())
    values = torch.randn(15, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    inside = 2 * torch.rand(1, 2, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    def sampled(p): return (corners(p, (3, 5))[1] * values[corners(p, (3, 5))[0]]).sum(-1)
    assert torch.autograd.gradcheck(sampled, inside.requires_grad_())


def test_without_an_offset_it_is_a_softmax_over_the_list():
    g = torch.Generator().manual_seed(0)
    q, k = (torch.randn(2, *s, 6, generator=g) for s in ((5, 4), (6, 7)))
    q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
    found = all_candidates(q, k, 9)
    weights = match_candidates(q, k, found, torch.zeros(2, 5, 4, 2), .1).dense()
    table = q.flatten(1, 2) @ k.flatten(1, 2).mT / .1
    listed = torch.zeros_like(table, dtype=torch.bool).scatter(-1, found.index.flatten(1, 2), True)
    torch.testing.assert_close(weights, table.masked_fill(~listed, -math.inf).softmax(-1), atol=1e-5, rtol=1e-4)
    whole = match_candidates(q, k, all_candidates(q, k, 42), torch.zeros(2, 5, 4, 2), .1)
    # K = m: dense matching
    torch.testing.assert_close(whole.dense(), table.softmax(-1), atol=1e-5, rtol=1e-4)


def test_an_offset_moves_the_weight_and_each_token_has_one_entry():
    g = torch.Generator().manual_seed(0)
    q, k = (F.normalize(torch.randn(1, *s, 6, generator=g), dim=-1) for s in ((5, 4), (6, 7)))
    found = all_candidates(q, k, 9)
    offset = torch.randn(1, 5, 4, 2, generator=g).requires_grad_()
    match = match_candidates(q, k, found, offset, .1)
    for tokens, weights in zip(match.index[0], match.weights[0, :, 0]):
        there = tokens[weights > 0]
        assert len(there.unique()) == len(there)
    torch.testing.assert_close(match.row_sum(), torch.ones(1, 1, 5, 4))
    match.warp(torch.randn(1, 3, 6, 7, generator=g)).square().sum().backward()
    place = token_position(found.index[..., 0], (6, 7)) + offset.detach()
    inside = (place > 0) & (place < torch.tensor([6., 5.]))
    # beyond the border there is nothing to gain
    assert inside.any() and (offset.grad[inside] != 0).all() and not offset.grad[~inside].any()


def test_the_gradient_of_the_offset_is_right():
    g = torch.Generator().manual_seed(3)
    q, k = (F.normalize(torch.randn(1, *s, 4, generator=g, dtype=torch.float64), dim=-1).requires_grad_()
            for s in ((2, 2), (4, 4)))
    offset = (.2 + .6 * torch.rand(1, 2, 2, 2, generator=g, dtype=torch.float64)).requires_grad_()
    found = Candidates(torch.tensor([5, 0, 3]).expand(1, 2, 2, 3), torch.zeros(1, 2, 2, 3),
                       torch.ones(1, 2, 2, 3, dtype=torch.bool))
    assert torch.autograd.gradcheck(lambda q, k, d: match_candidates(q, k, found, d, .3).dense(), (q, k, offset))


def test_the_recurrent_unit_starts_at_zero_and_can_leave_it():
    torch.manual_seed(0)
    refiner = Refiner(8)
    state, offset = refiner(torch.zeros(2, 8, 5, 6), torch.randn(2, 12, 5, 6))
    assert offset.shape == (2, 2, 5, 6) and not offset.any() and state.abs().max() < 1 and state.any()
    (offset * torch.randn(2, 2, 5, 6)).sum().backward()
    # the first step moves the head, the rest follows
    assert refiner.head.weight.grad.any() and not refiner.gates.weight.grad.any()
    nn.init.constant_(refiner.head.bias, 9.)
    assert refiner(torch.zeros(2, 8, 5, 6), torch.randn(2, 12, 5, 6))[1].max() <= 2


def test_the_unit_s_input_for_a_perfect_match():
    k = F.normalize(torch.randn(1, 6, 6, 8, generator=torch.Generator().manual_seed(0)), dim=-1)
    own = torch.arange(36).view(1, 6, 6, 1)
    seen = refiner_input(k, k, Candidates(own, torch.ones(1, 6, 6, 1), torch.ones(1, 6, 6, 1, dtype=torch.bool)))
    # the middle of nine is the match itself
    torch.testing.assert_close(seen[:, 4], torch.ones(1, 6, 6))
    # sure of one candidate, and nothing out of line
    assert (seen[:, :9, 1:-1, 1:-1].argmax(1) == 4).all() and not seen[:, 9:].any()


def test_proposals_are_rounded_and_stay_inside():
    one = Candidates(*(torch.full((1, 1, 1, 1), v) for v in (6, 1., True)))  # column 1, row 1 of five columns
    offsets = (torch.tensor(d).view(1, 1, 1, 2) for d in ((0., 0.), (1.6, -.4), (-2., 2.)))
    assert [proposal(one, d, (3, 5)).item() for d in offsets] == [6, 8, 10]


def test_a_level_finds_a_shifted_copy_with_a_unit_that_is_still_silent():
    torch.manual_seed(0)
    k = F.normalize(torch.randn(1, 12, 12, 8, generator=torch.Generator().manual_seed(0)), dim=-1)
    q = k.roll((-2, -3), (1, 2))                                                   # (x, y) is (x + 3, y + 2)
    start = torch.randint(0, 144, (1, 12, 12, 4), generator=torch.Generator().manual_seed(1))
    found, offset, state = refine_level(Refiner(6), q, k, start, None, 4, 8, 4)
    right = token_at(torch.arange(12) + 3, torch.arange(12)[:, None] + 2, (12, 12))
    assert (found.index[..., 0] == right)[:, :10, :9].float().mean() > .9 and not offset.any()
    assert state.shape == (1, 6, 12, 12)


def test_a_copy_is_matched_back_at_every_level():
    x = torch.randn(2, 8, 33, 40, generator=torch.Generator().manual_seed(0))
    v = torch.randn(2, 3, 33, 40, generator=torch.Generator().manual_seed(1))
    match = PatchMatcher()(x, x)
    assert torch.equal(match.hard().warp(v), v) and match.weights.shape == (2, 33 * 40, 1, 19)
    torch.testing.assert_close(match.max_similarity, torch.ones(2, 1, 33, 40))
    assert [m.query_size for m in match.coarser] == [(5, 5), (9, 10), (17, 20)] and match.coarser[0].index is None
    for m in match.coarser: assert torch.equal(m.argmax(), pixel_grid(m.query_size).expand(2, -1, -1, -1))


def test_grids_of_all_sizes_and_a_level_alone():
    for size, key_size in (((16, 16), (9, 21)), ((8, 30), (17, 8)), ((5, 7), (6, 4)), ((1, 9), (3, 3))):
        q, k = (torch.randn(2, 6, *s, generator=torch.Generator().manual_seed(0)) for s in (size, key_size))
        match = PatchMatcher(temperature=.1)(q, k)
        torch.testing.assert_close(match.warp(torch.ones(2, 1, *key_size)), torch.ones(2, 1, *size))
        assert match.index is None or (0 <= match.index.min() and match.index.max() < key_size[0] * key_size[1])
    torch.testing.assert_close(PatchMatcher(levels=1, temperature=.1)(q, k).dense(),
                               dense_match(q, k, .1).dense())


def test_the_search_is_repeatable_and_leaves_the_global_generator_alone():
    q, k = (torch.randn(2, 6, 16, 16, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    torch.manual_seed(3)
    matcher, before = PatchMatcher(), torch.get_rng_state()
    a, b = matcher(q, k), matcher(q[1:], k[1:])
    assert torch.equal(before, torch.get_rng_state())
    torch.testing.assert_close(a.weights[1:], b.weights)
    assert torch.equal(a.index[1:], b.index)
    assert matcher(q.double(), k.double()).weights.dtype == torch.float64


def test_a_loss_on_the_match_teaches_every_part():
    torch.manual_seed(0)
    matcher = PatchMatcher(levels=2, keep=4)
    nn.init.normal_(matcher.refiner.head.weight, std=.1)               # not zero: the gates receive gradient, too
    q, k = (torch.randn(1, 6, 16, 16, generator=torch.Generator().manual_seed(s)).requires_grad_()
            for s in (0, 1))
    match = matcher(q, k)
    loss = match.warp(torch.randn(1, 3, 16, 16)).square().sum()
    loss += match.coarser[0].warp(torch.randn(1, 3, 8, 8)).square().sum()
    loss.backward()
    for x in (q, k, *matcher.parameters()): assert x.grad.isfinite().all() and x.grad.any()
    assert (q.grad.abs().sum(1) > 0).all()


def test_settings_that_do_not_fit_are_refused():
    for name, value in [("keep", 0), ("iterations", 0), ("guesses", -1), ("hidden", 0), ("temperature", 0.),
                        ("stride", 3), ("deep", -1.), ("deep", math.inf), ("keep", 2.5), ("size", (60, 64)),
                        ("classes", 0), ("position", "polar")]:
        settings = dict(classes=5, width=4, features=8) | {name: value}
        test_fail(lambda: patchmatch(**settings), contains=name)
        test_fail(lambda: patchmatch(**settings), contains=size_text(value) if name == "size" else str(value))
    test_fail(lambda: PatchMatcher(levels=0), contains="levels must be a whole number ≥ 1, got 0")


def test_the_number_of_levels_follows_from_the_stride():
    for stride, levels in ((1, 4), (2, 3), (4, 2), (8, 1)):
        model = patchmatch(3, (64, 64), 4, 8, stride)
        with torch.no_grad(): found = model(torch.rand(1, 3, 64, 64), torch.zeros(1, 3, 64, 64))
        grids = [m.query_size[0] for m in (*found.match.coarser, found.match)]
        assert grids == [8 * 2**i for i in range(levels)], (stride, grids)


def test_a_saved_model_comes_back_and_translates_any_size():
    torch.manual_seed(0)
    model = patchmatch(4, (32, 32), 4, 8, 1, keep=5, iterations=1, hidden=3, names=["a", "b", "c", "d"]).eval()
    nn.init.normal_(model.matcher.refiner.head.weight)
    labels, look = torch.arange(50 * 70).view(50, 70) // 900, torch.rand(1, 3, 40, 90) * 2 - 1
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        again = Translator.from_pretrained(folder)
    assert type(again).__name__ == "PatchTranslator" and again.config == model.config and again.matcher.keep == 5
    one, two = model.translate(labels, look), again.translate(labels, look)
    assert one.size == (70, 50) and one.tobytes() == two.tobytes()


def test_one_step_of_training_moves_all_parts():
    config = replace(preset("tiny"), builder="patchmatch",
                     model=dict(width=4, features=8, stride=2, keep=4, iterations=1), size=(32, 32))
    trainer = Trainer(config, torch.device("cpu"))
    before = {name: x.clone() for name, x in trainer.model.named_parameters()}
    values = [trainer.step(make_dataset(config).batch([i, i + 1])) for i in (0, 2)]
    assert all(x.isfinite() for v in values for x in v.values())
    assert values[0]["extra"] > 0 and values[0]["warp"] > 0
    changed = [name for name, x in trainer.model.named_parameters() if not torch.equal(x, before[name])]
    for part in ("encoder.net", "matcher.refiner.head", "matcher.refiner.gates", "decoder"):
        assert any(name.startswith(part) for name in changed), part


def test_the_model_supervises_coarser_warps_with_its_weight():
    torch.manual_seed(0)
    r = street_pairs([0, 1], size=(32, 32))
    model = patchmatch(7, (32, 32), 4, 8, deep=2.5)
    found = model(one_hot(r["labels"], 7), r["exemplar"])
    r["paired"] = torch.tensor([True, False])
    first = [Match(m.weights[:1], m.index if m.index is None else m.index[:1], m.query_size, m.key_size, m.block)
             for m in found.match.coarser]
    deep = deep_warp_loss(first, r["exemplar"][:1], r["image"][:1], r["visible"][:1])
    torch.testing.assert_close(model.extra_loss(found, r), 2.5 * deep)
    dense_alone = found._replace(match=found.match.coarser[0])
    assert patchmatch(7, (32, 32), 4, 8, 8).extra_loss(dense_alone, r) == 0
