"""Trained features in a run: they give gradients and get none, and no checkpoint holds them."""
import importlib.metadata

import pytest
import torch

from rabit.networks.trained_features import HED_PACKAGE, LITE0_PACKAGE
from rabit.training.checkpoint import model_card
from rabit.training.config import config_from, make_dataset, small
from rabit.training.trainer import Trainer

CPU = torch.device("cpu")
LOSSES = dict(vgg=1., contextual=1., perceptual=1., pixel=0., adversarial=0., matching=0.)


@pytest.mark.parametrize("features, package", [("efficientnet", LITE0_PACKAGE), ("hed", HED_PACKAGE)])
def test_a_run_looks_through_trained_features(features, package):
    try: importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError: pytest.skip(f"{package} is not installed")
    trainer = Trainer(small(features=features, weights=LOSSES, amp="bf16"), CPU)
    frozen = {name: x.clone() for name, x in trainer.vgg.state_dict().items()}
    before = {name: x.clone() for name, x in trainer.model.state_dict().items()}
    trainer.vgg.train()
    trainer.step(make_dataset(trainer.config).batch(range(2), CPU))
    assert any(not torch.equal(before[name], x) for name, x in trainer.model.state_dict().items())
    assert all(torch.equal(frozen[name], x) for name, x in trainer.vgg.state_dict().items())
    assert all(p.grad is None and not p.requires_grad for p in trainer.vgg.parameters())
    assert not any("stage" in name or "conv4_1" in name for name in trainer.state())
    assert package in model_card(trainer)


def test_runs_of_older_versions_use_random_features():
    saved = dict(vgg_width=4, vgg_weights=None, steps=3)
    assert config_from(saved).features == "random" and config_from(saved).vgg_width == 4
