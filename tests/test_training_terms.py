# Generated from nbs/5_training/52_terms.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
from rabit.inputs.samples import SceneDataset
from rabit.inputs.samples import conditions_of
from rabit.networks.discriminate import Discriminator
from rabit.networks.features import VGG19
from rabit.networks.pretrained import build
from rabit.training.terms import LOSS_TERMS
from rabit.training.terms import StepContext
from rabit.training.terms import generator_terms
from types import SimpleNamespace

def context(step=0, **changes):
    "Two street samples, through a small model"
    torch.manual_seed(0)
    batch = SceneDataset("street", 0, (32, 32)).batch(range(2)) | changes
    condition, exemplar_condition = conditions_of(batch, 7)
    model = build(dict(builder="rabit", classes=7, size=[32, 32], width=8, features=24, eps=.1,
                       temperature=.03))
    output = model(condition, batch["exemplar"], exemplar_condition)
    return StepContext(batch, condition, exemplar_condition, output, model, Discriminator(10, 8, 2), VGG19(4),
                       SimpleNamespace(seed=0, temperature=.05, match_tokens=1024), step)


def test_terms_with_weight_zero_are_not_computed_and_unpaired_samples_teach_no_pixels():
    s, everything = context(), dict.fromkeys(LOSS_TERMS, 1.)
    terms = generator_terms(s, everything)
    assert terms.keys() == LOSS_TERMS.keys() - {"extra"}
    assert all(v.isfinite() and v.ndim == 0 for v in terms.values())
    assert generator_terms(s, dict(warp=1., mask=0.)).keys() == {"warp"}
    s.model.extra_loss = lambda output, batch: output.image.abs().mean() + 0 * batch["image"].sum()
    # a model that has something of its own
    assert generator_terms(s, everything).keys() == LOSS_TERMS.keys()
    unpaired = generator_terms(context(paired=torch.zeros(2, dtype=torch.bool)), everything)
    assert unpaired["warp"] == unpaired["pixel"] == unpaired["vgg"] == 0
    assert unpaired["feature"] == terms["feature"] and unpaired["match"] == terms["match"] > 0
    unknown = context(paired=torch.zeros(2, dtype=torch.bool), visible=torch.zeros(2, 32, 32, dtype=torch.bool))
    assert generator_terms(unknown, everything)["match"] == 0
    s.discriminator = None
    assert terms.keys() - generator_terms(s, everything).keys() == {"adversarial", "matching"}


def test_the_match_loss_draws_its_tokens_by_the_step_and_nothing_else():
    def at(step):
        s = context(step)
        s.config.match_tokens = 8
        return generator_terms(s, dict.fromkeys(LOSS_TERMS, 1.))
    first, again, other = at(0), at(0), at(1)
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert [k for k in first if not torch.equal(first[k], other[k])] == ["match"]
