# Generated from nbs/7_relatives/74_dynast.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import math
import tempfile
import torch
import torch.nn.functional as F
from dataclasses import replace
from fastcore.test import test_fail
from rabit.core.devices import seed_all
from rabit.core.tensors import center_normalize
from rabit.core.tensors import one_hot
from rabit.core.tensors import positional_norm
from rabit.core.tensors import size_text
from rabit.matching.street import street_pairs
from rabit.networks.encode import conv
from rabit.networks.translate import Translator
from rabit.relatives.dynamic_attention import Attention
from rabit.relatives.dynast import Candidates
from rabit.relatives.dynast import DynamicMatcher
from rabit.relatives.dynast import DynamicUnit
from rabit.relatives.dynast import _zero_init
from rabit.relatives.dynast import best_candidates
from rabit.relatives.dynast import children
from rabit.relatives.dynast import dynast
from rabit.relatives.dynast import mask_duplicates
from rabit.relatives.dynast import neighbours
from rabit.relatives.dynast import token_pyramid
from rabit.training.config import make_dataset
from rabit.training.config import preset
from rabit.training.trainer import Trainer
from torch import nn


def test_nothing_is_named_twice():
    index = torch.randint(0, 9, (2, 12, 3, 4), generator=torch.Generator().manual_seed(0))
    given = torch.rand(2, 12, 3, 4, generator=torch.Generator().manual_seed(1)) < .7
    valid = mask_duplicates(Candidates(index, given)).valid
    for i in range(2):
        for y in range(3):
            for x in range(4):
                names, there = index[i, :, y, x], valid[i, :, y, x]
                assert sorted(names[there].tolist()) == sorted(set(names[given[i, :, y, x]].tolist()))


def test_children_lie_under_their_parents():
    index, valid = torch.tensor([5, 0]).view(1, 2, 1, 1), torch.tensor([True, False]).view(1, 2, 1, 1)
    parents = Candidates(index, valid)                                 # row 1, column 2 of 2 × 3
    young = children(parents, (2, 1), (2, 3), (3, 6))                  # the last row of 3 has no second child
    assert young.index.shape == (1, 8, 2, 1)
    found = young.index[0, :, 0, 0][young.valid[0, :, 0, 0]]
    assert found.tolist() == [16, 17]                                  # row 2, columns 4 and 5 of 3 × 6
    assert torch.equal(young.index[:, :, 0], young.index[:, :, 1])     # both children of the query ask the same


def test_neighbours_that_agree_name_one_token():
    n = torch.arange(12).view(1, 1, 3, 4)
    everywhere = torch.ones_like(n, dtype=torch.bool)
    around = neighbours(Candidates(n, everywhere), (3, 4))             # the identity: all neighbours agree
    assert around.index.shape == (1, 5, 3, 4) and around.valid.sum(1).eq(1).all()
    assert torch.equal(around.index[:, :1], n)
    lost = n.clone()
    lost[0, 0, 1, 1] = 11  # one goes astray: its neighbours know better
    around = neighbours(Candidates(lost, everywhere), (3, 4))
    assert around.index[0, :, 1, 1].tolist() == [11, 5, 5, 5, 5]
    assert around.valid[0, :, 1, 1].tolist() == [True, True, False, False, False]


def test_kept_candidates_go_before_pruned_ones():
    scores, kept = torch.tensor([[[9., 1., 3., -torch.inf]]]), torch.tensor([[[False, True, True, False]]])
    found = Attention(None, scores, kept)
    best = best_candidates(None, found, (1, 1), 4)
    assert best.index.flatten().tolist() == [2, 1, 0, 3]
    assert best.valid.flatten().tolist() == [True, True, True, False]
    seen = Candidates(torch.tensor([10, 11, 12, 13]).view(1, 4, 1, 1), None)
    assert best_candidates(seen, found, (1, 1), 2).index.flatten().tolist() == [12, 11]


def test_an_untrained_layer_turns_no_feature():
    torch.manual_seed(0)
    layer = DynamicUnit(12)
    q, k, x = torch.randn(3, 2, 12, 4, 6)
    found, values = layer(q, k)
    refined = center_normalize(layer.refine(q, x, found, values))
    torch.testing.assert_close(refined, center_normalize(q), atol=1e-4, rtol=1e-3)


def test_all_tokens_as_candidates_equal_the_dense_layer():
    torch.manual_seed(0)
    layer = DynamicUnit(12, margin=.1)
    q, k = torch.randn(2, 12, 3, 5), torch.randn(2, 12, 4, 2)
    everything = torch.arange(8).view(1, 8, 1, 1).expand(2, 8, 3, 5)
    everywhere = torch.ones_like(everything, dtype=torch.bool)
    sparse, dense = layer(q, k, Candidates(everything, everywhere)), layer(q, k)
    assert 0 < dense[0].kept.float().mean() < 1
    for a, b in zip((*sparse[0], sparse[1]), (*dense[0], dense[1])):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_the_pyramid_of_tokens_starts_as_means_and_ends_at_one_token():
    x = torch.randn(1, 5, 6, 9, generator=torch.Generator().manual_seed(0))
    levels = token_pyramid(x, nn.ModuleList(_zero_init(conv(5, 5, 2)) for _ in range(3)))
    assert [tuple(level.shape[-2:]) for level in levels] == [(1, 2), (2, 3), (3, 5), (6, 9)]
    torch.testing.assert_close(levels[-2][..., :4], positional_norm(F.avg_pool2d(x, 2)))


def test_any_sizes_and_a_copy():
    torch.manual_seed(0)
    matcher = DynamicMatcher(16)
    for size, key_size in [((8, 8), (8, 8)), ((5, 7), (5, 7)), ((6, 4), (5, 9)), ((1, 1), (3, 2)),
                           ((9, 10), (7, 5))]:
        q, k = torch.randn(2, 16, *size), torch.randn(2, 16, *key_size)
        match = matcher(q, k)
        for m in (*match.coarser, match):
            assert m.weights.min() >= 0 and m.row_sum().max() <= 1
        assert match.query_size == size and match.key_size == key_size
        assert len(match.coarser) == 3 + 3 * 2 - 1
        index, there = match.index, match.weights[:, :, 0] > 0
        same = (index[..., :, None] == index[..., None, :]) & there[..., :, None] & there[..., None, :]
        assert same.sum((-2, -1)).equal(there.sum(-1))
        torch.testing.assert_close(matcher(k, k).hard().warp(k), k)
        torch.testing.assert_close(matcher(q[1:], k[1:]).weights, match.weights[1:], atol=1e-6, rtol=1e-4)


def test_gradients_and_precision():
    torch.manual_seed(0)
    matcher = DynamicMatcher(16, margin=0.)
    q, k = torch.randn(1, 16, 8, 8, requires_grad=True), torch.randn(1, 16, 8, 6, requires_grad=True)
    match = matcher(q, k)
    (match.warp(torch.randn(1, 3, 8, 6)).square().sum() + match.confidence().sum()).backward()
    assert (q.grad.abs().sum(1) > 0).all() and k.grad.isfinite().all() and k.grad.abs().sum() > 0
    assert matcher.units[-1].prune_query.weight.grad.abs().sum() > 0
    assert matcher.double()(q.detach().double(), k.detach().double()).weights.dtype == torch.float64


def test_what_the_matcher_cannot_use_is_refused():
    matcher, q = DynamicMatcher(16), torch.randn(1, 16, 4, 4)
    test_fail(lambda: matcher(q[:, :5], q[:, :5]), contains="5 channels")
    test_fail(lambda: matcher(q, q[:, :5]), contains="same b and c")
    test_fail(lambda: matcher(q * math.nan, q), contains="not finite")
    for name, value, words in (("scales", 0, "must be ≥ 1, got 0"), ("keep", 0, "must be ≥ 1, got 0"),
                               ("temperature", 0, "must be > 0, got 0"), ("margin", -1., "margin = -1")):
        test_fail(lambda: DynamicMatcher(8, **{name: value}), contains=name)
        test_fail(lambda: DynamicMatcher(8, **{name: value}), contains=words)


def test_saved_and_loaded_it_is_the_same():
    seed_all(0)
    model = dynast(7, width=8, features=24, position="semantic", margin=.1).eval()
    pair = street_pairs(range(2), size=(64, 64))
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        again = Translator.from_pretrained(model.save_pretrained(folder))
        assert type(again).__name__ == "DynastTranslator" and again.config == model.config
        first, second = (m(one_hot(pair["labels"], 7), pair["exemplar"]) for m in (model, again))
    torch.testing.assert_close(first.image, second.image)


def test_any_image_sizes():
    seed_all(0)
    model, exemplar = dynast(7, width=8, features=24, stride=2), street_pairs([1], size=(40, 90))["exemplar"]
    pair = street_pairs([0], size=(50, 70))
    assert model.translate(pair["labels"][0], exemplar).size == (70, 50)
    found = model(one_hot(pair["labels"], 7), exemplar)
    assert found.image.shape == found.warped.shape == (1, 3, 50, 70)
    assert found.match.query_size == (28, 36) and found.match.key_size == (20, 48)
    assert 0 <= found.confidence.min() and found.confidence.max() <= 1


def test_settings_are_refused():
    for name, value in dict(dense_layers=0, sparse_layers=0, temperature=-1., prune=1, deep=-1., position="box",
                            stride=3, size=(60, 60)).items():
        settings = dict(width=8, features=16) | {name: value}
        test_fail(lambda: dynast(7, **settings), contains="dims" if name == "prune" else name)
        test_fail(lambda: dynast(7, **settings), contains=size_text(value) if name == "size" else str(value))


def test_one_training_step_changes_what_it_should():
    config = replace(preset("tiny"), steps=4, size=(32, 32), builder="dynast",
                     model=dict(width=8, features=16, temperature=.03))
    trainer = Trainer(config, torch.device("cpu"))
    old = {name: p.clone() for name, p in trainer.model.named_parameters()}
    values = trainer.step(make_dataset(config).batch([0, 1]))
    assert values and "extra" in values and all(v.isfinite() for v in values.values())
    changed = {name for name, p in trainer.model.named_parameters() if not torch.equal(p, old[name])}
    parts = "units.0.query", "units.3.prune_query", "units.3.value", "down.0", "up.2"
    assert {f"matcher.{name}.weight" for name in parts} <= changed


def test_deep_supervision_reaches_every_earlier_layer():
    seed_all(0)
    model, pair = dynast(7, width=8, features=16, margin=0.), street_pairs(range(2), size=(32, 32))
    found = model(one_hot(pair["labels"], 7), pair["exemplar"], one_hot(pair["exemplar_labels"], 7))
    loss = model.extra_loss(found, pair)
    loss.backward()
    assert all(u.query.weight.grad.abs().sum() > 0 and u.prune_key.weight.grad.abs().sum() > 0
               for u in model.matcher.units[:-1])
    assert model.matcher.units[-1].query.weight.grad is None  # the last layer's warp has a loss of its own
    model.config["deep"] *= 2
    torch.testing.assert_close(model.extra_loss(found, pair), 2 * loss)
    assert model.extra_loss(found, pair | dict(paired=torch.zeros(2, dtype=torch.bool))) == 0
