# Generated from nbs/3_networks/36_model.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
from rabit.core.devices import seed_all
from rabit.core.tensors import RabitError
from rabit.core.tensors import crop_to
from rabit.core.tensors import one_hot
from rabit.matching.bilevel import bilevel_match
from rabit.matching.street import STREET_CLASSES
from rabit.matching.street import street_pairs
from rabit.networks.model import BilevelMatcher
from rabit.networks.model import TranslatorNet
from rabit.networks.model import check_inputs

def tiny(**changes):
    "A small untrained model, always the same"
    seed_all(0)
    config = dict(builder="tiny", classes=len(STREET_CLASSES), size=(64, 64), width=8, features=24, stride=2,
                  position="semantic", frame="box", confidence="multi", condition="labels", names=None)
    return TranslatorNet.assemble(BilevelMatcher(), config | changes)

def conditions(batch):
    "What a model takes of a batch: condition, exemplar, exemplar condition"
    labels, exemplar_labels = (one_hot(batch[k], len(STREET_CLASSES)) for k in ("labels", "exemplar_labels"))
    return labels, batch["exemplar"], exemplar_labels


def test_the_matcher_slot_is_the_function_with_its_settings():
    query, key = torch.randn(2, 1, 6, 12, 12, generator=torch.Generator().manual_seed(0))
    found, wanted = BilevelMatcher(block=3, k=2)(query, key), bilevel_match(query, key, block=3, k=2)
    assert torch.equal(found.weights, wanted.weights) and torch.equal(found.index, wanted.index)
    learning = BilevelMatcher(block=3, k=2, learn=True).half()
    assert learning.logs.dtype == torch.float32 and learning.double().logs.dtype == torch.float64
    torch.testing.assert_close(learning(query, key).weights, wanted.weights)
    learning(query, key).entropy().sum().backward()
    assert learning.logs.grad[1] > 0                          # a higher temperature would spread the weights more


def test_inputs_that_do_not_belong_together_are_refused():
    def refused(*shapes):
        "The message about tensors of such shapes"
        try: check_inputs(*(s and torch.zeros(s) for s in shapes), 7)
        except RabitError as error: return str(error)
    assert refused((2, 7, 8, 8), (2, 3, 8, 8), None) is None
    assert "(2, 6, 8, 8); 7 channels" in refused((2, 6, 8, 8), (2, 3, 8, 8), None)
    assert "(1, 3, 8, 8)" in refused((2, 7, 8, 8), (1, 3, 8, 8), None)
    assert "does not lie on" in refused((2, 7, 8, 8), (2, 3, 8, 9), (2, 7, 8, 8))


def test_one_pass_returns_maps_of_the_right_sizes():
    batch = street_pairs(range(8), seed=0, size=(64, 64))
    with torch.no_grad(): found = tiny().eval()(*conditions(batch))
    assert found.image.shape == found.warped.shape == batch["image"].shape
    grids = {tuple(x.shape[-2:]) for x in (found.query, found.key, found.confidence)}
    assert grids == {(32, 32)} == {found.match.query_size}
    assert found.image.abs().max() <= 1 and 0 <= found.confidence.min() and found.confidence.max() <= 1


def test_the_slots_alone_fail_on_odd_sizes_and_the_translator_does_not():
    batch, odd = street_pairs([6], seed=0, size=(51, 70)), (51, 70)
    model = tiny().eval()
    try: model.encoder(*conditions(batch))
    except RuntimeError as error: print("encoder alone:", str(error).splitlines()[0])
    else: raise AssertionError("the slots took a size that is no multiple of 8")
    with torch.no_grad(): found = model(*conditions(batch))
    assert found.image.shape == (1, 3, *odd) and found.match.query_size == (28, 36)


def test_positions_of_odd_sizes_are_cropped_and_clamped():
    batch = street_pairs([6], seed=0, size=(51, 70))
    with torch.no_grad(): found = tiny().eval()(*conditions(batch))
    position = crop_to(found.match.argmax((56, 72)), (51, 70))         # x, y on the padded exemplar
    beyond = (position[:, 0] > 69) | (position[:, 1] > 50)
    print(f"{beyond.float().mean():.1%} of the pixels are matched into the exemplar's padding")
    position = torch.stack([position[:, 0].clamp(max=69), position[:, 1].clamp(max=50)], 1)
    assert position.shape == (1, 2, 51, 70) and 0 < beyond.float().mean() < .2


def test_condition_and_exemplar_may_differ_in_size():
    batch, other = street_pairs([0], seed=0, size=(40, 64)), street_pairs([1], seed=0, size=(72, 33))
    condition, _, _ = conditions(batch)
    _, exemplar, exemplar_condition = conditions(other)
    with torch.no_grad(): found = tiny().eval()(condition, exemplar, exemplar_condition)
    assert found.image.shape[-2:] == (40, 64)
    assert found.match.query_size == (20, 32) and found.match.key_size == (36, 20)
