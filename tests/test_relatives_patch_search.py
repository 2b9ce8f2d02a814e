# Generated from nbs/7_relatives/71_patch_search.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
import torch.nn.functional as F
from rabit.core.tensors import center_normalize
from rabit.relatives.patch_search import as_tokens
from rabit.relatives.patch_search import children
from rabit.relatives.patch_search import cosines
from rabit.relatives.patch_search import gather_features
from rabit.relatives.patch_search import halve
from rabit.relatives.patch_search import keep_best
from rabit.relatives.patch_search import propagate
from rabit.relatives.patch_search import pyramid
from rabit.relatives.patch_search import random_search
from rabit.relatives.patch_search import search_round
from rabit.relatives.patch_search import token_at


def test_neighbours_suggest_their_match_moved_back():
    grid = torch.arange(12).view(1, 3, 4, 1)                           # every token matched to itself:
    assert (propagate(grid, (3, 4)) == grid).all()                     # the neighbours agree
    moved = token_at(grid % 4 + 1, grid // 4, (3, 4))                  # every token matched one to the right
    assert (propagate(moved, (3, 4))[:, :, :-2] == moved[:, :, :-2]).all()
    index = torch.zeros(1, 3, 4, 2, dtype=torch.long)
    index[0, 1, 1] = torch.tensor([6, 11])
    # from the left: (2, 1) → (3, 1); (3, 2) stays inside
    assert propagate(index, (3, 4))[0, 1, 2].tolist()[:2] == [7, 11]


def test_guesses_are_repeatable_and_stay_within_their_radius():
    index = torch.full((2, 40, 40, 1), 20 * 40 + 20)                   # the middle of a 40 × 40 exemplar
    a, b, c = (random_search(index, (40, 40), 4, seed) for seed in (0, 0, 1))
    assert torch.equal(a, b) and not torch.equal(a, c) and torch.equal(a[0], a[1])
    far = torch.maximum((a % 40 - 20).abs(), (a // 40 - 20).abs()).amax((0, 1, 2))
    assert far.tolist() == [1, 2, 4, 8]
    corner = random_search(index * 0, (3, 3), 6, 0)
    assert 0 <= corner.min() and corner.max() <= 8


def test_candidates_are_looked_up_in_their_own_image():
    k = torch.arange(24.).view(2, 3, 4, 1)
    index = torch.tensor([5, 0]).view(1, 1, 1, 2).expand(2, 1, 1, 2)
    assert gather_features(k, index).flatten().tolist() == [5, 0, 17, 12]


def test_cosines_of_candidates_are_entries_of_the_dense_table():
    q, k = (torch.randn(2, 5, *s, generator=torch.Generator().manual_seed(0)) for s in ((3, 4), (4, 2)))
    index = torch.arange(8).expand(2, 3, 4, 8)
    table = center_normalize(q).flatten(2).mT @ center_normalize(k).flatten(2)
    torch.testing.assert_close(cosines(as_tokens(q), as_tokens(k), index).flatten(1, 2), table)


def test_halving_odd_grids():
    assert halve(torch.arange(15.).view(1, 1, 3, 5)).flatten().tolist() == [3, 5, 6.5, 10.5, 12.5, 14]
    levels = pyramid(torch.zeros(1, 2, 64, 40), torch.zeros(1, 2, 33, 64), 4)
    assert [tuple(k.shape[-2:]) for _, k in levels] == [(5, 8), (9, 16), (17, 32), (33, 64)]
    assert len(pyramid(torch.zeros(1, 2, 7, 64), torch.zeros(1, 2, 64, 64), 4)) == 1


def test_children_keep_the_offset():
    own = torch.arange(12).view(1, 3, 4, 1)                            # nothing moved: nothing moves
    assert torch.equal(children(own, (3, 4), (5, 7), (5, 7)), torch.arange(35).view(1, 5, 7, 1))
    moved = token_at(own % 4 + 1, own // 4, (3, 4))                    # by one coarse token: by two fine ones
    fine = children(moved, (3, 4), (6, 8), (6, 8))[..., :-2, 0]
    assert torch.equal(fine, torch.arange(48).view(1, 6, 8)[..., 2:])


def test_lists_hold_each_token_once():
    index = torch.tensor([3, 7, 3, 1, 3]).view(1, 1, 1, 5)
    scores = torch.tensor([.8, .9, .8, .1, .8]).view(1, 1, 1, 5)
    found = keep_best(index, scores, 4)
    assert found.index[found.valid].tolist() == [7, 3, 1] and found.valid.sum() == 3
    again = keep_best(torch.cat([found.index] * 2, -1), torch.cat([found.scores] * 2, -1), 2)
    assert again.index.flatten().tolist() == [7, 3] and again.valid.all()  # a repetition forgets nothing
    torch.testing.assert_close(again.scores.flatten(), torch.tensor([.9, .8]))


def test_a_round_never_loses_and_finds_a_shifted_copy():
    g = torch.Generator().manual_seed(0)
    k = F.normalize(torch.randn(2, 20, 20, 8, generator=g), dim=-1)
    q = k.roll((-2, -3), (1, 2))
    start = torch.randint(0, 400, (2, 20, 20, 4), generator=g)
    found = keep_best(start, cosines(q, k, start), 4)
    for t in range(12):
        better = search_round(q, k, found, 4, t)
        assert (better.scores >= found.scores - 1e-5)[better.valid & found.valid].all()
        found = better
    right = token_at(torch.arange(20) + 3, torch.arange(20)[:, None] + 2, (20, 20))
    assert (found.index[..., 0] == right)[:, :18, :17].float().mean() > .95
