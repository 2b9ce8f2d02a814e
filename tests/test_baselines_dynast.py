# Generated from nbs/baselines/22_dynast.ipynb by .ci/export_tests.py: edit the notebook, not this file.
import math
import tempfile
import torch
from dataclasses import replace
from fastcore.test import test_fail
from rabit.baselines.dynast import Attention
from rabit.baselines.dynast import Candidates
from rabit.baselines.dynast import DynamicMatcher
from rabit.baselines.dynast import DynamicUnit
from rabit.baselines.dynast import best_candidates
from rabit.baselines.dynast import children
from rabit.baselines.dynast import dynamic_attention
from rabit.baselines.dynast import dynast
from rabit.baselines.dynast import first_only
from rabit.baselines.dynast import neighbours
from rabit.baselines.dynast import prune_heads
from rabit.baselines.dynast import straight_step
from rabit.baselines.dynast import style_objective
from rabit.baselines.dynast import style_statistics
from rabit.core import one_hot
from rabit.core import seed_all
from rabit.core import unit
from rabit.encode import VGG19
from rabit.model import Translator
from rabit.scenes import street_pairs
from rabit.train import Trainer
from rabit.train import make_source
from rabit.train import preset


def test_straight_step_is_a_step_with_a_slope():
    x = torch.linspace(-4, 4, 161, dtype=torch.float64, requires_grad=True)
    y = straight_step(x)
    y.sum().backward()
    torch.testing.assert_close(y.detach(), (x > 0).double(), atol=1e-12, rtol=0)
    torch.testing.assert_close(x.grad, (x.sigmoid() * (1 - x.sigmoid())).detach())


def test_pruned_matches_lose_their_mass_and_can_come_back():
    s = torch.tensor([[[2., 1., 0., 5.]]])
    a = torch.tensor([[[.3, -.2, .1, 9.]]], requires_grad=True)
    found = dynamic_attention(s, a, torch.tensor([[[True, True, True, False]]]))
    softmax = s[..., :3].softmax(-1)
    torch.testing.assert_close(found.weights[..., :3], softmax * torch.tensor([1., 0., 1.]))
    assert found.weights[0, 0, 3] == 0 and found.kept.tolist() == [[[True, False, True, False]]]
    (found.weights * torch.tensor([0., 1., 0., 1.])).sum().backward()               # a loss that wants the pruned one
    assert a.grad[0, 0, 1] > 0 and a.grad[0, 0, 3] == 0


def test_heads_begin_as_one_projection_with_a_margin():
    torch.manual_seed(0)
    q, k = unit(torch.randn(2, 12, 4, 4)), unit(torch.randn(2, 12, 4, 4))
    tokens = lambda x: x.flatten(2).mT
    for margin in (0., .25, 1.):
        p, r = (tokens(head(x)) for head, x in zip(prune_heads(12, 16, margin), (q, k)))
        torch.testing.assert_close(p @ r.mT, margin + tokens(q) @ tokens(k).mT, atol=1e-5, rtol=1e-5)     # 15 dims hold all 12 channels
    test_fail(lambda: prune_heads(12, 1), contains="dims = 1")


def test_nothing_is_named_twice():
    index = torch.randint(0, 9, (2, 12, 3, 4), generator=torch.Generator().manual_seed(0))
    given = torch.rand(2, 12, 3, 4, generator=torch.Generator().manual_seed(1)) < .7
    real = first_only(Candidates(index, given)).real
    for i in range(2):
        for y in range(3):
            for x in range(4):
                names, there = index[i, :, y, x], real[i, :, y, x]
                assert sorted(names[there].tolist()) == sorted(set(names[given[i, :, y, x]].tolist()))


def test_children_lie_under_their_parents():
    parents = Candidates(torch.tensor([5, 0]).view(1, 2, 1, 1), torch.tensor([True, False]).view(1, 2, 1, 1))     # row 1, column 2 of 2 × 3
    young = children(parents, (2, 1), (2, 3), (3, 6))                                # the last row of 3 has no second child
    assert young.index.shape == (1, 8, 2, 1)
    assert young.index[0, :, 0, 0][young.real[0, :, 0, 0]].tolist() == [16, 17]      # row 2, columns 4 and 5 of 3 × 6
    assert torch.equal(young.index[:, :, 0], young.index[:, :, 1])                   # both children of the query ask the same


def test_neighbours_that_agree_name_one_token():
    n = torch.arange(12).view(1, 1, 3, 4)
    around = neighbours(Candidates(n, torch.ones_like(n, dtype=torch.bool)), (3, 4))            # the identity: all neighbours agree
    assert around.index.shape == (1, 5, 3, 4) and around.real.sum(1).eq(1).all() and torch.equal(around.index[:, :1], n)
    lost = n.clone(); lost[0, 0, 1, 1] = 11                                                  # one goes astray: its four neighbours know better
    around = neighbours(Candidates(lost, torch.ones_like(n, dtype=torch.bool)), (3, 4))
    assert around.index[0, :, 1, 1].tolist() == [11, 5, 5, 5, 5] and around.real[0, :, 1, 1].tolist() == [True, True, False, False, False]


def test_kept_candidates_go_before_pruned_ones():
    found = Attention(None, torch.tensor([[[9., 1., 3., -torch.inf]]]), torch.tensor([[[False, True, True, False]]]))
    best = best_candidates(None, found, (1, 1), 4)
    assert best.index.flatten().tolist() == [2, 1, 0, 3] and best.real.flatten().tolist() == [True, True, True, False]
    assert best_candidates(Candidates(torch.tensor([10, 11, 12, 13]).view(1, 4, 1, 1), None), found, (1, 1), 2).index.flatten().tolist() == [12, 11]


def test_an_untrained_layer_turns_no_feature():
    torch.manual_seed(0)
    layer = DynamicUnit(12)
    q, k, x = torch.randn(3, 2, 12, 4, 6)
    found, values = layer(q, k)
    torch.testing.assert_close(unit(layer.refine(q, x, found, values)), unit(q), atol=1e-4, rtol=1e-3)


def test_all_tokens_as_candidates_equal_the_dense_layer():
    torch.manual_seed(0)
    layer = DynamicUnit(12, margin=.1)
    q, k = torch.randn(2, 12, 3, 5), torch.randn(2, 12, 4, 2)
    everything = torch.arange(8).view(1, 8, 1, 1).expand(2, 8, 3, 5)
    sparse, dense = layer(q, k, Candidates(everything, torch.ones_like(everything, dtype=torch.bool))), layer(q, k)
    assert 0 < dense[0].kept.float().mean() < 1
    for a, b in zip((*sparse[0], sparse[1]), (*dense[0], dense[1])): torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_any_sizes_and_a_copy():
    torch.manual_seed(0)
    matcher = DynamicMatcher(16)
    for size, key_size in [((8, 8), (8, 8)), ((5, 7), (5, 7)), ((6, 4), (5, 9)), ((1, 1), (3, 2)), ((9, 10), (7, 5))]:
        q, k = torch.randn(2, 16, *size), torch.randn(2, 16, *key_size)
        match = matcher(q, k)
        for m in (*match.coarser, match): assert m.weights.min() >= 0 and m.mass().max() <= 1
        assert match.query_size == size and match.key_size == key_size and len(match.coarser) == 3 + 3 * 2 - 1
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
    for arguments, words in ((dict(scales=0), "scales = 0"), (dict(keep=0), "keep = 0"), (dict(temperature=0), "temperature = 0"), (dict(margin=-1.), "margin = -1")):
        test_fail(lambda: DynamicMatcher(8, **arguments), contains=words)


def test_saved_and_loaded_it_is_the_same():
    seed_all(0)
    model = dynast(7, width=8, features=24, position="semantic", margin=.1).eval()
    pair = street_pairs(range(2), size=(64, 64))
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        again = Translator.from_pretrained(model.save_pretrained(folder))
        assert type(again).__name__ == "DynastTranslator" and again.config == model.config
        first, second = (m(one_hot(pair["labels"], 7), pair["exemplar"]) for m in (model, again))
    torch.testing.assert_close(first.picture, second.picture)


def test_any_picture_sizes():
    seed_all(0)
    model, exemplar = dynast(7, width=8, features=24, stride=2), street_pairs([1], size=(40, 90))["exemplar"]
    pair = street_pairs([0], size=(50, 70))
    assert model.translate(pair["labels"][0], exemplar).size == (70, 50)
    found = model(one_hot(pair["labels"], 7), exemplar)
    assert found.picture.shape == found.warped.shape == (1, 3, 50, 70) and found.match.query_size == (28, 36) and found.match.key_size == (20, 48)
    assert 0 <= found.confidence.min() and found.confidence.max() <= 1


def test_settings_are_refused():
    for arguments, words in ((dict(dense_layers=0), "dense_layers = 0"), (dict(sparse_layers=0), "sparse_layers = 0"), (dict(temperature=-1.), "temperature = -1"),
                             (dict(prune=1), "dims = 1"), (dict(deep=-1.), "deep = -1"), (dict(position="box"), "position = 'box'"), (dict(stride=3), "stride = 3"),
                             (dict(size=(60, 60)), "size = (60, 60)")):
        test_fail(lambda: dynast(7, **(dict(width=8, features=16) | arguments)), contains=words)


def test_one_training_step_changes_what_it_should():
    config = replace(preset("tiny"), steps=4, size=(32, 32), builder="rabit.baselines.dynast.dynast", model=dict(width=8, features=16, temperature=.03))
    trainer = Trainer(config, torch.device("cpu"))
    old = {name: p.clone() for name, p in trainer.model.named_parameters()}
    values = trainer.step(make_source(config).batch([0, 1]))
    assert values and "own" in values and all(v.isfinite() for v in values.values())
    changed = {name for name, p in trainer.model.named_parameters() if not torch.equal(p, old[name])}
    assert {f"matcher.{name}.weight" for name in ("units.0.query", "units.3.prune_query", "units.3.value", "down.0", "up.2")} <= changed


def test_deep_supervision_reaches_every_earlier_layer():
    seed_all(0)
    model, pair = dynast(7, width=8, features=16, margin=0.), street_pairs(range(2), size=(32, 32))
    found = model(one_hot(pair["labels"], 7), pair["exemplar"], one_hot(pair["exemplar_labels"], 7))
    loss = model.own_loss(found, pair)
    loss.backward()
    assert all(u.query.weight.grad.abs().sum() > 0 and u.prune_key.weight.grad.abs().sum() > 0 for u in model.matcher.units[:-1])
    assert model.matcher.units[-1].query.weight.grad is None                        # the last layer's warp has a loss of its own
    model.config["deep"] *= 2
    torch.testing.assert_close(model.own_loss(found, pair), 2 * loss)
    assert model.own_loss(found, pair | dict(paired=torch.zeros(2, dtype=torch.bool))) == 0


def test_the_objective_knows_content_from_style():
    pair, vgg = street_pairs(range(2), size=(32, 32)), VGG19(4)
    same = style_objective(vgg, pair["picture"], pair["picture"], pair["exemplar"])
    assert same["content"] == 0 and same["style"] > 0
    copied = style_objective(vgg, pair["exemplar"], pair["picture"], pair["exemplar"])
    assert copied["style"] == 0 and copied["contextual"] < same["contextual"] and copied["content"] > 0
    x = torch.randn(2, 5, 6, 7, generator=torch.Generator().manual_seed(0))
    assert style_statistics(x.flip(2), x) < 1e-9                                                   # places do not matter
    torch.testing.assert_close(style_statistics(3 * x, x), torch.tensor(4.))                      # means and deviations are three times as large: (3 - 1)² / 1²
    y = pair["picture"].clone().requires_grad_()
    sum(style_objective(vgg, y, pair["picture"], pair["exemplar"]).values()).backward()
    assert y.grad.abs().sum() > 0
    test_fail(lambda: style_objective(vgg, y[:1], y, y), contains="one shape")
