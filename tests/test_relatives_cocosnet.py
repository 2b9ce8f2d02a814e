# Generated from nbs/7_relatives/70_cocosnet.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import tempfile
import torch
from fastcore.test import test_fail
from rabit.core.tensors import RabitError
from rabit.core.tensors import one_hot
from rabit.core.tensors import size_text
from rabit.matching.street import street_pairs
from rabit.networks.inject import Injector
from rabit.networks.translate import Translator
from rabit.relatives.cocosnet import DenseMatcher
from rabit.relatives.cocosnet import JointInjector
from rabit.relatives.cocosnet import cocosnet
from rabit.training.config import make_dataset
from rabit.training.config import preset
from rabit.training.trainer import Trainer


def test_a_shuffled_copy_is_found_again():
    g = torch.Generator().manual_seed(1)
    key, order = torch.randn(2, 16, 6, 9, generator=g), torch.randperm(54, generator=g)
    query = key.flatten(2)[..., order].view(2, 16, 9, 6)  # other places, and another shape
    match = DenseMatcher()(query, key)
    assert torch.equal(match.dense().argmax(-1), order.expand(2, -1))
    torch.testing.assert_close(match.row_sum(), torch.ones(2, 1, 9, 6))


def test_gradients_reach_both_sides_and_samples_do_not_meet():
    g = torch.Generator().manual_seed(2)
    query, key = (torch.randn(2, 8, 3, 5, generator=g, dtype=torch.float64, requires_grad=True) for _ in range(2))
    match = DenseMatcher(.1)(query, key)
    assert match.weights.dtype == torch.float64
    match.warp(torch.randn(2, 3, 3, 5, generator=g, dtype=torch.float64))[0].square().sum().backward()
    for x in (query, key): assert (x.grad[0].abs().sum(0) > 0).all() and not x.grad[1].any()


def test_what_cannot_be_matched_is_refused():
    for t in (0, -.1): test_fail(lambda: DenseMatcher(t), contains=f"temperature must be > 0, got {t}")
    x = torch.randn(1, 8, 4, 4)
    for query, key in ((x, x[:, 1:]), (x[0], x), (x, x * torch.nan), (x[..., :0], x)):
        try: DenseMatcher()(query, key); raise AssertionError("was accepted")
        except RabitError: pass


def test_the_joint_injector_sees_the_condition_and_the_warp_and_no_confidence():
    torch.manual_seed(0)
    injector, cmap = JointInjector(3, (4, 8)), torch.rand(1, 1, 4, 4)
    condition, warped = torch.rand(2, 1, 3, 8, 8).unbind()
    fused = injector(condition, warped, cmap)
    assert [tuple(f.shape) for f in fused] == [(1, 4, 8, 8), (1, 8, 4, 4)]
    assert all(torch.equal(a, b) for a, b in zip(fused, injector(condition, warped, 1 - cmap)))
    for other in (injector(1 - condition, warped, cmap), injector(condition, -warped, cmap)):
        assert all((a - b).abs().max() > .01 for a, b in zip(fused, other))


def test_a_model_is_saved_and_loaded_whole():
    torch.manual_seed(0)
    model = cocosnet(5, size=(32, 40), width=4, features=8, temperature=.02, position="coord").eval()
    condition, exemplar = torch.randn(1, 5, 32, 40).softmax(1), torch.rand(1, 3, 32, 40) * 2 - 1
    with tempfile.TemporaryDirectory() as folder:
        again = Translator.from_pretrained(model.save_pretrained(folder))
    assert again.config == model.config and again.matcher.temperature == .02
    with torch.no_grad(): assert torch.equal(again(condition, exemplar).image, model(condition, exemplar).image)


def test_images_of_odd_sizes_are_translated():
    torch.manual_seed(0)
    model = cocosnet(7, width=4, features=8)
    labels = torch.randint(7, (50, 70))
    assert model.translate(labels, torch.rand(1, 3, 40, 90) * 2 - 1).size == (70, 50)
    assert model.translate(labels, torch.rand(1, 3, 33, 17) * 2 - 1, torch.randint(7, (33, 17)),
                           size=(24, 40)).size == (70, 50)


def test_settings_that_do_not_fit_are_refused():
    for name, value in dict(temperature=0, stride=3, position="polar", confidence="some", size=(60, 64), width=2,
                            classes=0).items():
        settings = dict(classes=7, width=4, features=8) | {name: value}
        test_fail(lambda: cocosnet(**settings), contains=size_text(value) if name == "size" else str(value))


def test_confidence_other_than_none_is_rabit_s_fusion():
    assert isinstance(cocosnet(7, width=4).injector, JointInjector)
    for kind in ("single", "multi"):
        injector = cocosnet(7, width=4, confidence=kind).injector
        assert isinstance(injector, Injector) and all(c.kind == kind for c in injector.confidence)


def test_an_untrained_model_finds_tokens_that_have_changed_places():
    torch.manual_seed(0)
    model, pair = cocosnet(7, width=4, features=32, stride=8).eval(), street_pairs([0, 1], size=(64, 64))
    with torch.no_grad(): key = model.encoder.query(one_hot(pair["labels"], 7))
    order = torch.randperm(64)
    tokens = key.flatten(2).mT
    apart = (tokens[:, :, None] - tokens[:, None]).abs().amax(-1)
    assert apart.add(torch.eye(64)).min() > 1e-4                       # no two tokens are alike
    best = model.matcher(key.flatten(2)[..., order].view_as(key), key).dense().argmax(-1)
    assert torch.equal(best, order.expand(2, -1))


def test_one_step_of_training_moves_the_weights_and_all_terms_are_finite():
    config = preset("tiny", builder="cocosnet", size=(32, 32),
                    model=dict(width=4, features=8, stride=4))
    trainer = Trainer(config, torch.device("cpu"))
    before = {name: x.clone() for name, x in trainer.model.state_dict().items()}
    values = trainer.step(make_dataset(config).batch(range(2)))
    assert {"warp", "cycle", "feature", "mask", "contextual", "adversarial"} <= values.keys()
    assert all(v.isfinite() for v in values.values())
    moved = {name.split(".")[0] for name, x in trainer.model.state_dict().items()
             if not torch.equal(x, before[name])}
    assert moved == {"encoder", "injector", "decoder"}
