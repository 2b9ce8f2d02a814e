# Generated from nbs/8_comparison/80_zoo.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
from rabit.comparison.zoo import ABLATIONS
from rabit.comparison.zoo import build
from rabit.comparison.zoo import model_entries
from rabit.core.devices import seed_all
from rabit.core.tensors import one_hot
from rabit.matching.street import street_pairs
from rabit.networks.pretrained import model_names


def test_every_model_translates_through_the_same_object():
    batch = street_pairs(range(2), size=(32, 32))
    for name in model_names():
        seed_all(0)
        model = build(name, 7, size=(32, 32), width=8, features=16)
        found = model(one_hot(batch["labels"], 7), batch["exemplar"])
        assert found.image.shape == found.warped.shape == (2, 3, 32, 32)
        assert found.confidence.min() >= 0 and found.confidence.max() <= 1


def test_every_ablation_names_models_that_exist_and_arguments_that_they_have():
    for a in ABLATIONS.values():
        assert a.reference in model_entries() and a.entries
        for entry in a.entries.values():
            build(entry.model, 7, size=(32, 32), width=4, features=8, **entry.model_args)
