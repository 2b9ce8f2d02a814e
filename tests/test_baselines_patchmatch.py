# Generated from nbs/baselines/21_patchmatch.ipynb by .ci/export_tests.py: edit the notebook, not this file.
import math
import torch
import torch.nn.functional as F
from rabit.baselines.patchmatch import Candidates
from rabit.baselines.patchmatch import PatchMatcher
from rabit.baselines.patchmatch import Refiner
from rabit.baselines.patchmatch import all_candidates
from rabit.baselines.patchmatch import as_tokens
from rabit.baselines.patchmatch import children
from rabit.baselines.patchmatch import corners
from rabit.baselines.patchmatch import cosines
from rabit.baselines.patchmatch import from_neighbours
from rabit.baselines.patchmatch import halve
from rabit.baselines.patchmatch import keep_best
from rabit.baselines.patchmatch import look_up
from rabit.baselines.patchmatch import patchmatch
from rabit.baselines.patchmatch import place_of
from rabit.baselines.patchmatch import proposal
from rabit.baselines.patchmatch import pyramid
from rabit.baselines.patchmatch import random_guesses
from rabit.baselines.patchmatch import search_round
from rabit.baselines.patchmatch import settle
from rabit.baselines.patchmatch import surroundings
from rabit.baselines.patchmatch import token_at
from rabit.core import pixel_grid
from rabit.core import unit
from rabit.match import Match
from rabit.match import dense_match
from torch import nn


def test_neighbours_suggest_their_match_moved_back():
    grid = torch.arange(12).view(1, 3, 4, 1)                                       # every token matched to itself:
    assert (from_neighbours(grid, (3, 4)) == grid).all()                           # the neighbours agree
    moved = token_at(grid % 4 + 1, grid // 4, (3, 4))                              # every token matched one to the right
    assert (from_neighbours(moved, (3, 4))[:, :, :-2] == moved[:, :, :-2]).all()
    index = torch.zeros(1, 3, 4, 2, dtype=torch.long); index[0, 1, 1] = torch.tensor([6, 11])
    assert from_neighbours(index, (3, 4))[0, 1, 2].tolist()[:2] == [7, 11]         # from the left: (2, 1) → (3, 1); (3, 2) stays inside


def test_guesses_are_repeatable_and_stay_within_their_radius():
    index = torch.full((2, 40, 40, 1), 20 * 40 + 20)                               # the middle of a 40 × 40 exemplar
    a, b, c = (random_guesses(index, (40, 40), 4, seed) for seed in (0, 0, 1))
    assert torch.equal(a, b) and not torch.equal(a, c) and torch.equal(a[0], a[1])
    far = torch.maximum((a % 40 - 20).abs(), (a // 40 - 20).abs()).amax((0, 1, 2))
    assert far.tolist() == [1, 2, 4, 8]
    assert 0 <= random_guesses(index * 0, (3, 3), 6, 0).min() and random_guesses(index * 0, (3, 3), 6, 0).max() <= 8


def test_candidates_are_looked_up_in_their_own_picture():
    k = torch.arange(24.).view(2, 3, 4, 1)
    assert look_up(k, torch.tensor([5, 0]).view(1, 1, 1, 2).expand(2, 1, 1, 2)).flatten().tolist() == [5, 0, 17, 12]


def test_cosines_of_candidates_are_entries_of_the_dense_table():
    q, k = (torch.randn(2, 5, *s, generator=torch.Generator().manual_seed(0)) for s in ((3, 4), (4, 2)))
    index = torch.arange(8).expand(2, 3, 4, 8)
    table = unit(q).flatten(2).mT @ unit(k).flatten(2)
    torch.testing.assert_close(cosines(as_tokens(q), as_tokens(k), index).flatten(1, 2), table)


def test_halving_odd_grids():
    assert halve(torch.arange(15.).view(1, 1, 3, 5)).flatten().tolist() == [3, 5, 6.5, 10.5, 12.5, 14]
    levels = pyramid(torch.zeros(1, 2, 64, 40), torch.zeros(1, 2, 33, 64), 4)
    assert [tuple(k.shape[-2:]) for _, k in levels] == [(5, 8), (9, 16), (17, 32), (33, 64)]
    assert len(pyramid(torch.zeros(1, 2, 7, 64), torch.zeros(1, 2, 64, 64), 4)) == 1


def test_children_keep_the_offset():
    own = torch.arange(12).view(1, 3, 4, 1)
    assert torch.equal(children(own, (3, 4), (5, 7), (5, 7)), torch.arange(35).view(1, 5, 7, 1))       # nothing moved: nothing moves
    moved = token_at(own % 4 + 1, own // 4, (3, 4))                                                    # by one coarse token
    assert torch.equal(children(moved, (3, 4), (6, 8), (6, 8))[..., :-2, 0], torch.arange(48).view(1, 6, 8)[..., 2:])   # by two fine ones


def test_lists_hold_each_token_once():
    index, scores = torch.tensor([3, 7, 3, 1, 3]).view(1, 1, 1, 5), torch.tensor([.8, .9, .8, .1, .8]).view(1, 1, 1, 5)
    found = keep_best(index, scores, 4)
    assert found.index[found.real].tolist() == [7, 3, 1] and found.real.sum() == 3
    again = keep_best(torch.cat([found.index, found.index], -1), torch.cat([found.scores] * 2, -1), 2)     # a repetition forgets nothing
    assert again.index.flatten().tolist() == [7, 3] and again.real.all()
    torch.testing.assert_close(again.scores.flatten(), torch.tensor([.9, .8]))


def test_a_round_never_loses_and_finds_a_shifted_copy():
    g = torch.Generator().manual_seed(0)
    k = F.normalize(torch.randn(2, 20, 20, 8, generator=g), dim=-1)
    q = k.roll((-2, -3), (1, 2))
    start = torch.randint(0, 400, (2, 20, 20, 4), generator=g)
    found = keep_best(start, cosines(q, k, start), 4)
    for t in range(12):
        better = search_round(q, k, found, 4, t)
        assert (better.scores >= found.scores - 1e-5)[better.real & found.real].all()
        found = better
    right = token_at(torch.arange(20) + 3, torch.arange(20)[:, None] + 2, (20, 20))
    assert (found.index[..., 0] == right)[:, :18, :17].float().mean() > .95


def test_corners_are_bilinear_sampling():
    place = torch.tensor([[0., 0.], [1.25, .5], [4., 2.], [9., -3.]], dtype=torch.float64).view(1, 1, 4, 2).requires_grad_()
    index, share = corners(place, (3, 5))
    torch.testing.assert_close((share[..., None] * place_of(index, (3, 5))).sum(-2).view(4, 2).tolist(), [[0., 0.], [1.25, .5], [4., 2.], [4., 0.]])
    assert all(len(set(four)) == 4 for four in index.view(4, 4).tolist())
    values = torch.randn(15, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    inside = (torch.rand(1, 2, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: (corners(p, (3, 5))[1] * values[corners(p, (3, 5))[0]]).sum(-1), inside)


def test_without_an_offset_it_is_a_softmax_over_the_list():
    g = torch.Generator().manual_seed(0)
    q, k = (torch.randn(2, *s, 6, generator=g) for s in ((5, 4), (6, 7)))
    q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
    found = all_candidates(q, k, 9)
    weights = settle(q, k, found, torch.zeros(2, 5, 4, 2), .1).dense()
    table = q.flatten(1, 2) @ k.flatten(1, 2).mT / .1
    listed = torch.zeros_like(table, dtype=torch.bool).scatter(-1, found.index.flatten(1, 2), True)
    torch.testing.assert_close(weights, table.masked_fill(~listed, -math.inf).softmax(-1), atol=1e-5, rtol=1e-4)
    whole = settle(q, k, all_candidates(q, k, 42), torch.zeros(2, 5, 4, 2), .1)
    torch.testing.assert_close(whole.dense(), table.softmax(-1), atol=1e-5, rtol=1e-4)           # K = m: dense matching


def test_an_offset_moves_the_weight_and_each_token_has_one_entry():
    g = torch.Generator().manual_seed(0)
    q, k = (F.normalize(torch.randn(1, *s, 6, generator=g), dim=-1) for s in ((5, 4), (6, 7)))
    found = all_candidates(q, k, 9)
    offset = torch.randn(1, 5, 4, 2, generator=g).requires_grad_()
    match = settle(q, k, found, offset, .1)
    for tokens, weights in zip(match.index[0], match.weights[0, :, 0]):
        there = tokens[weights > 0]
        assert len(there.unique()) == len(there)
    torch.testing.assert_close(match.mass(), torch.ones(1, 1, 5, 4))
    match.warp(torch.randn(1, 3, 6, 7, generator=g)).square().sum().backward()
    place = place_of(found.index[..., 0], (6, 7)) + offset.detach()
    inside = (place > 0) & (place < torch.tensor([6., 5.]))
    assert inside.any() and (offset.grad[inside] != 0).all() and not offset.grad[~inside].any()      # beyond the border there is nothing to gain


def test_the_gradient_of_the_offset_is_right():
    g = torch.Generator().manual_seed(3)
    q, k = (F.normalize(torch.randn(1, *s, 4, generator=g, dtype=torch.float64), dim=-1).requires_grad_() for s in ((2, 2), (4, 4)))
    offset = (.2 + .6 * torch.rand(1, 2, 2, 2, generator=g, dtype=torch.float64)).requires_grad_()
    found = Candidates(torch.tensor([5, 0, 3]).expand(1, 2, 2, 3), torch.zeros(1, 2, 2, 3), torch.ones(1, 2, 2, 3, dtype=torch.bool))
    assert torch.autograd.gradcheck(lambda q, k, d: settle(q, k, found, d, .3).dense(), (q, k, offset))


def test_the_recurrent_unit_starts_at_zero_and_can_leave_it():
    torch.manual_seed(0)
    refiner = Refiner(8)
    state, offset = refiner(torch.zeros(2, 8, 5, 6), torch.randn(2, 12, 5, 6))
    assert offset.shape == (2, 2, 5, 6) and not offset.any() and state.abs().max() < 1 and state.any()
    (offset * torch.randn(2, 2, 5, 6)).sum().backward()
    assert refiner.head.weight.grad.any() and not refiner.gates.weight.grad.any()       # the first step moves the head, the rest follows
    nn.init.constant_(refiner.head.bias, 9.)
    assert refiner(torch.zeros(2, 8, 5, 6), torch.randn(2, 12, 5, 6))[1].max() <= 2


def test_surroundings_of_a_perfect_match():
    k = F.normalize(torch.randn(1, 6, 6, 8, generator=torch.Generator().manual_seed(0)), dim=-1)
    own = torch.arange(36).view(1, 6, 6, 1)
    seen = surroundings(k, k, Candidates(own, torch.ones(1, 6, 6, 1), torch.ones(1, 6, 6, 1, dtype=torch.bool)))
    torch.testing.assert_close(seen[:, 4], torch.ones(1, 6, 6))                          # the middle of nine is the match itself
    assert (seen[:, :9, 1:-1, 1:-1].argmax(1) == 4).all() and not seen[:, 9:].any()      # sure of one candidate, and nothing out of line


def test_proposals_are_rounded_and_stay_inside():
    one = Candidates(*(torch.full((1, 1, 1, 1), v) for v in (6, 1., True)))              # column 1, row 1 of five columns
    assert [proposal(one, torch.tensor(d).view(1, 1, 1, 2), (3, 5)).item() for d in ((0., 0.), (1.6, -.4), (-2., 2.))] == [6, 8, 10]


def test_a_copy_is_matched_back_at_every_level():
    x = torch.randn(2, 8, 33, 40, generator=torch.Generator().manual_seed(0))
    v = torch.randn(2, 3, 33, 40, generator=torch.Generator().manual_seed(1))
    match = PatchMatcher()(x, x)
    assert torch.equal(match.hard().warp(v), v) and match.weights.shape == (2, 33 * 40, 1, 19)
    torch.testing.assert_close(match.peak, torch.ones(2, 1, 33, 40))
    assert [m.query_size for m in match.coarser] == [(5, 5), (9, 10), (17, 20)] and match.coarser[0].index is None
    for m in match.coarser: assert torch.equal(m.argmax(), pixel_grid(m.query_size).expand(2, -1, -1, -1))


def test_grids_of_all_sizes_and_a_level_alone():
    for size, key_size in (((16, 16), (9, 21)), ((8, 30), (17, 8)), ((5, 7), (6, 4)), ((1, 9), (3, 3))):
        q, k = (torch.randn(2, 6, *s, generator=torch.Generator().manual_seed(0)) for s in (size, key_size))
        match = PatchMatcher(temperature=.1)(q, k)
        torch.testing.assert_close(match.warp(torch.ones(2, 1, *key_size)), torch.ones(2, 1, *size))
        assert match.index is None or (0 <= match.index.min() and match.index.max() < key_size[0] * key_size[1])
    torch.testing.assert_close(PatchMatcher(levels=1, temperature=.1)(q, k).dense(), dense_match(q, k, .1).dense())


def test_the_search_is_repeatable_and_leaves_the_global_generator_alone():
    q, k = (torch.randn(2, 6, 16, 16, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    torch.manual_seed(3); matcher, before = PatchMatcher(), torch.get_rng_state()
    a, b = matcher(q, k), matcher(q[1:], k[1:])
    assert torch.equal(before, torch.get_rng_state())
    torch.testing.assert_close(a.weights[1:], b.weights); assert torch.equal(a.index[1:], b.index)
    assert matcher(q.double(), k.double()).weights.dtype == torch.float64


def test_a_loss_on_the_match_teaches_every_part():
    torch.manual_seed(0)
    matcher = PatchMatcher(levels=2, keep=4)
    nn.init.normal_(matcher.refiner.head.weight, std=.1)                                 # away from zero, so that the gates hear of it too
    q, k = (torch.randn(1, 6, 16, 16, generator=torch.Generator().manual_seed(s)).requires_grad_() for s in (0, 1))
    match = matcher(q, k)
    (match.warp(torch.randn(1, 3, 16, 16)).square().sum() + match.coarser[0].warp(torch.randn(1, 3, 8, 8)).square().sum()).backward()
    for x in (q, k, *matcher.parameters()): assert x.grad.isfinite().all() and x.grad.any()
    assert (q.grad.abs().sum(1) > 0).all()


def test_settings_that_do_not_fit_are_refused():
    from rabit.core import RabitError
    for wrong in (dict(keep=0), dict(iterations=0), dict(guesses=-1), dict(hidden=0), dict(temperature=0.), dict(stride=3), dict(deep=-1.), dict(deep=math.inf), dict(keep=2.5),
                  dict(size=(60, 64)), dict(classes=0), dict(position="polar")):
        try: patchmatch(**dict(classes=5, width=4, features=8) | wrong); message = ""
        except RabitError as e: message = str(e)
        name, value = next(iter(wrong.items()))
        assert name in message and str(value).strip("()") in message, (wrong, message)
    try: PatchMatcher(levels=0); message = ""
    except RabitError as e: message = str(e)
    assert "levels = 0" in message


def test_the_number_of_levels_follows_from_the_stride():
    for stride, levels in ((1, 4), (2, 3), (4, 2), (8, 1)):
        model = patchmatch(3, (64, 64), 4, 8, stride)
        with torch.no_grad(): found = model(torch.rand(1, 3, 64, 64), torch.zeros(1, 3, 64, 64))
        grids = [m.query_size[0] for m in (*found.match.coarser, found.match)]
        assert grids == [8 * 2**i for i in range(levels)], (stride, grids)


def test_a_saved_model_comes_back_and_translates_any_size():
    import tempfile
    from rabit.model import Translator
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
    from dataclasses import replace
    from rabit.train import Trainer, make_source, preset
    config = replace(preset("tiny"), builder="rabit.baselines.patchmatch.patchmatch", model=dict(width=4, features=8, stride=2, keep=4, iterations=1), size=(32, 32))
    trainer = Trainer(config, torch.device("cpu"))
    before = {name: x.clone() for name, x in trainer.model.named_parameters()}
    values = [trainer.step(make_source(config).batch([i, i + 1])) for i in (0, 2)]
    assert all(x.isfinite() for v in values for x in v.values()) and values[0]["own"] > 0 and values[0]["warp"] > 0
    for part in ("encoder.net", "matcher.refiner.head", "matcher.refiner.gates", "decoder"):
        assert any(not torch.equal(x, before[name]) for name, x in trainer.model.named_parameters() if name.startswith(part)), part


def test_the_system_supervises_coarser_warps_with_its_weight():
    from rabit.losses import deep_warp_loss
    from rabit.scenes import street_pairs
    from rabit.core import one_hot
    torch.manual_seed(0)
    r = street_pairs([0, 1], size=(32, 32))
    model = patchmatch(7, (32, 32), 4, 8, deep=2.5)
    found = model(one_hot(r["labels"], 7), r["exemplar"])
    r["paired"] = torch.tensor([True, False])
    first = [Match(m.weights[:1], m.index if m.index is None else m.index[:1], m.query_size, m.key_size, m.block) for m in found.match.coarser]
    torch.testing.assert_close(model.own_loss(found, r), 2.5 * deep_warp_loss(first, r["exemplar"][:1], r["picture"][:1], r["visible"][:1]))
    assert patchmatch(7, (32, 32), 4, 8, 8).own_loss(found._replace(match=found.match.coarser[0]), r) == 0


def test_shuffled_tokens_are_not_all_found_and_shuffled_blocks_are():
    from rabit.core import from_blocks, to_blocks
    g = torch.Generator().manual_seed(0)
    x, place = torch.randn(1, 16, 32, 32, generator=g), torch.arange(1024.).view(1, 1, 32, 32)
    def found_again(order, side):
        "Share of tokens that are found after their blocks changed places"
        def moved(v): return from_blocks(to_blocks(v, (side, side))[:, order], (32, 32), (side, side))
        return (PatchMatcher()(x, moved(x)).hard().warp(moved(place)) == place).float().mean().item()
    blocks, single = (found_again(torch.randperm((32 // side)**2, generator=g), side) for side in (8, 1))
    print(f"8 × 8 blocks shuffled: {blocks:.2f} of the tokens found; all tokens shuffled: {single:.2f}")
    assert blocks == 1 and single < .5
