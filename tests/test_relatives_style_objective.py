# Generated from nbs/7_relatives/74a_style_objective.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
from fastcore.test import test_fail
from rabit.matching.street import street_pairs
from rabit.networks.features import VGG19
from rabit.relatives.style_objective import style_objective
from rabit.relatives.style_objective import style_statistics


def test_the_objective_knows_content_from_style():
    pair, vgg = street_pairs(range(2), size=(32, 32)), VGG19(4)
    same = style_objective(vgg, pair["image"], pair["image"], pair["exemplar"])
    assert same["content"] == 0 and same["style"] > 0
    copied = style_objective(vgg, pair["exemplar"], pair["image"], pair["exemplar"])
    assert copied["style"] == 0 and copied["contextual"] < same["contextual"] and copied["content"] > 0
    x = torch.randn(2, 5, 6, 7, generator=torch.Generator().manual_seed(0))
    assert style_statistics(x.flip(2), x) < 1e-9                        # places do not matter
    torch.testing.assert_close(style_statistics(3 * x, x), torch.tensor(4.))  # thrice the moments: (3 - 1)² / 1²
    y = pair["image"].clone().requires_grad_()
    sum(style_objective(vgg, y, pair["image"], pair["exemplar"]).values()).backward()
    assert y.grad.abs().sum() > 0
    test_fail(lambda: style_objective(vgg, y[:1], y, y), contains="one shape")
