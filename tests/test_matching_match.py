# Generated from nbs/1_matching/13_match.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import math
import torch
import torch.nn.functional as F
from rabit.core.tensors import RabitError
from rabit.core.tensors import pixel_grid
from rabit.core.tensors import to_blocks
from rabit.matching.match import Match
from rabit.matching.match import _candidates
from rabit.matching.match import _weighted_sum
from rabit.matching.match import check_pair
from rabit.matching.match import dense_match
from torch.utils import _pytree as pytree

def by_hand(seed=0):
    "Three forms of a match of 8×8 with 8×8 tokens, equal weights"
    g = torch.Generator().manual_seed(seed)
    equal = lambda *shape: torch.full(shape, 1 / shape[-1])
    inside = to_blocks(torch.arange(64.).view(1, 1, 8, 8), (4, 4)).long()[0, ..., 0]    # (4, 16) of 4 blocks
    kept = torch.rand(4, 4, generator=g).topk(2).indices                                # two blocks for each
    few = torch.rand(64, 64, generator=g).topk(6).indices                               # six tokens for each
    return {"dense": Match(equal(1, 1, 64, 64), None, (8, 8), (8, 8), (8, 8)),
            "by blocks": Match(equal(1, 4, 16, 32), inside[kept].flatten(1)[None], (8, 8), (8, 8), (4, 4)),
            "per token": Match(equal(1, 64, 1, 6), few[None], (8, 8), (8, 8), (1, 1))}


def test_three_forms_are_matrices_whose_rows_sum_to_one():
    stored = {"dense": 4096, "by blocks": 2048, "per token": 384}
    for name, match in by_hand().items():
        assert match.dense().shape == (1, 64, 64) and match.weights.numel() == stored[name]
        torch.testing.assert_close(match.dense().sum(-1), torch.ones(1, 64))
        assert (match.dense() > 0).sum() == stored[name]


def test_features_that_cannot_be_compared_are_refused():
    def said(*args):
        try: check_pair(*args)
        except RabitError as e: return str(e)
        return "no error"

    x = torch.zeros(2, 8, 4, 6)
    assert said(x, torch.zeros(2, 8, 3, 3)) == "no error"
    assert "(2, 8, 4, 6) and key (2, 7, 4, 6)" in said(x, x[:, 1:])
    assert said(x, x[0]) != "no error" and said(x, x[:1]) != "no error" and "key holds 384" in said(x, x / 0)
    assert "type ndarray" in said(x.numpy(), x) and "key on meta" in said(x, x.to("meta"))


def test_dense_matching_is_the_softmax_of_cosines():
    g = torch.Generator().manual_seed(0)
    query, key = torch.randn(2, 8, 3, 4, generator=g), torch.randn(2, 8, 5, 2, generator=g)
    x, z = (F.normalize(f - f.mean(1, keepdim=True), dim=1).flatten(2) for f in (query, key))
    slow = torch.stack([torch.stack([torch.stack([x[b, :, i] @ z[b, :, j] for j in range(10)])
                                     for i in range(12)]) for b in range(2)])
    match = dense_match(query, key, .1)
    torch.testing.assert_close(match.dense(), (slow / .1).softmax(-1))
    torch.testing.assert_close(match.max_similarity.flatten(1), slow.amax(-1))


def test_mixed_precision_does_not_touch_the_scores():
    query, key = torch.randn(2, 1, 16, 4, 4, generator=torch.Generator().manual_seed(0)).unbind(0)
    with torch.autocast("cpu", dtype=torch.bfloat16): match = dense_match(query, key)
    assert match.weights.dtype == torch.float32
    assert torch.equal(match.weights, dense_match(query, key).weights)


def test_warp_is_a_matrix_product_and_fine_maps_move_as_patches():
    v = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    fine = torch.randn(1, 3, 16, 24, generator=torch.Generator().manual_seed(2))
    for match in by_hand().values():
        torch.testing.assert_close(match.warp(v).flatten(2),
                                   (match.dense() @ v.flatten(2).transpose(1, 2)).transpose(1, 2))
        assert match.warp(fine).shape == (1, 3, 16, 24)
        for i, j in ((0, 0), (1, 2)):
            torch.testing.assert_close(match.warp(fine)[..., i::2, j::3], match.warp(fine[..., i::2, j::3]))


def test_a_match_is_a_container_of_tensors():
    match = by_hand()["by blocks"]
    tensors, spec = pytree.tree_flatten(match)
    again = pytree.tree_unflatten(tensors, spec)
    assert len(tensors) == 2 and vars(again).keys() == vars(match).keys() and again.block == (4, 4)
    def times(a): return Match(a * match.weights, match.index, (8, 8), (8, 8), (4, 4))
    many = torch.func.vmap(times)(torch.arange(3.))
    assert many.weights.shape == (3, 1, 4, 16, 32) and many.query_size == (8, 8)
    v = torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    scaled = torch.func.vmap(lambda m: m.warp(v))(many)
    for i in range(3): torch.testing.assert_close(scaled[i], i * match.warp(v))


def test_a_few_groups_at_a_time_are_all_groups_at_once():
    g = torch.Generator().manual_seed(0)
    index = torch.randint(0, 40, (2, 9, 6), generator=g)
    weights, tokens = (torch.randn(*s, generator=g).double().requires_grad_() for s in ((2, 9, 4, 6), (2, 40, 5)))
    plain = (weights @ _candidates(tokens, index)).detach()
    match = Match(weights, index, (6, 6), (5, 8), (2, 2))
    torch.testing.assert_close(match._weighted_sum(tokens), plain)
    for agree in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert agree(lambda w, t: _weighted_sum(w, t, index), (weights, tokens))
    torch.testing.assert_close(match._weighted_sum(tokens.detach()), plain)               # one of the two alone


def test_warp_refuses_maps_that_do_not_lie_on_the_grid():
    try:
        by_hand()["dense"].warp(torch.zeros(1, 3, 20, 16))
        message = "no error"
    except RabitError as error: message = str(error)
    assert "(20, 16)" in message and "(8, 8)" in message


def test_hard_keeps_the_best_candidate_only():
    match = dense_match(*torch.randn(2, 1, 8, 4, 6, generator=torch.Generator().manual_seed(0)).unbind(0), .1)
    assert set(match.hard().weights.unique().tolist()) == {0., 1.}
    assert torch.equal(match.hard().dense().argmax(-1), match.dense().argmax(-1))
    torch.testing.assert_close(match.hard().dense().sum(-1), torch.ones(1, 24))


def test_argmax_equals_the_hard_warp_of_positions():
    g = torch.Generator().manual_seed(3)
    for match in by_hand().values():
        match.weights = torch.rand(match.weights.shape, generator=g)
        assert torch.equal(match.argmax(), match.hard().warp(pixel_grid((8, 8))))
        assert torch.equal(match.argmax((16, 24)), match.hard().warp(pixel_grid((16, 24))))


def test_rows_sum_to_at_most_one_and_constants_become_the_row_sum():
    ones, g = torch.ones(1, 1, 8, 8), torch.Generator()
    for match in by_hand().values():
        match.weights = match.weights * torch.rand(match.weights.shape, generator=g.manual_seed(0))
        assert 0 < match.row_sum().min() and match.row_sum().max() < 1
        torch.testing.assert_close(match.warp(ones), match.row_sum())


def test_a_permuted_copy_is_matched_back_exactly():
    g = torch.Generator().manual_seed(0)
    key, v = torch.randn(1, 16, 8, 8, generator=g), torch.randn(1, 3, 8, 8, generator=g)
    order = torch.randperm(64, generator=g)
    mixed = lambda x: x.flatten(2)[..., order].view_as(x)
    match = dense_match(mixed(key), key)
    assert torch.equal(match.hard().warp(v), mixed(v))
    torch.testing.assert_close(match.warp(v), mixed(v))
    torch.testing.assert_close(match.max_similarity, torch.ones(1, 1, 8, 8))


def test_gradients_reach_query_and_exemplar():
    g = torch.Generator().manual_seed(0)
    query, key = (torch.randn(1, 8, *size, generator=g).requires_grad_() for size in ((4, 4), (3, 5)))
    dense_match(query, key, .1).warp(torch.randn(1, 3, 3, 5, generator=g)).square().sum().backward()
    # every token of both
    assert query.grad.abs().sum((0, 1)).min() > 0 and key.grad.abs().sum((0, 1)).min() > 0


def test_confidence_falls_where_the_exemplar_has_nothing_alike():
    g = torch.Generator().manual_seed(0)
    key = torch.randn(1, 16, 8, 8, generator=g)
    query = key.clone()
    query[..., :4] = torch.randn(1, 16, 8, 4, generator=g)                         # the left half is unmatched
    confidence = dense_match(query, key).confidence()
    assert confidence[..., :4].max() < .5 < confidence[..., 4:].min()
    match = by_hand()["per token"]
    assert match.max_similarity is None and torch.equal(match.confidence(), match.row_sum())


def test_entropy_lies_between_a_single_match_and_no_idea():
    for name, q in (("dense", 64), ("by blocks", 32), ("per token", 6)):
        match = by_hand()[name]
        torch.testing.assert_close(match.entropy(), torch.full((1, 1, 8, 8), math.log(q)))
        assert match.hard().entropy().abs().max() == 0
    x, z = torch.randn(2, 1, 8, 5, 6, generator=torch.Generator().manual_seed(0)).unbind(0)
    slope, = torch.autograd.grad(dense_match(x.requires_grad_(), z, .001).entropy().sum(), x)
    assert slope.isfinite().all()                                        # though most weights have underflowed


def test_the_inverse_warp_averages_what_arrives():
    w = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    for match in by_hand().values():
        t, column_sum = match.dense(), match.column_sum()
        torch.testing.assert_close(column_sum.flatten(1), t.sum(1))
        torch.testing.assert_close(column_sum.sum(), match.row_sum().sum())                # nothing is lost
        averaged = w.flatten(2) @ t / t.sum(1, keepdim=True).clamp_min(1e-6)
        torch.testing.assert_close(match.inverse_warp(w).flatten(2), averaged)
        arrives = (column_sum > 0).float().repeat_interleave(2, 2).repeat_interleave(2, 3)
        torch.testing.assert_close(match.inverse_warp(torch.ones(1, 1, 16, 16)), arrives)


def test_padded_queries_send_nothing():
    weights = torch.full((1, 9, 6, 4), .25)
    assert weights.sum() == 54                                                     # 54 queries, of which 35 exist
    match = Match(weights, torch.arange(4).expand(1, 9, 4), (5, 7), (2, 2), (2, 3))
    assert match.column_sum().sum() == 35 == match.hard().column_sum().sum()
    torch.testing.assert_close(match.inverse_warp(torch.ones(1, 1, 5, 7)), torch.ones(1, 1, 2, 2))
