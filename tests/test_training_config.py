# Generated from nbs/5_training/53_config.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
from dataclasses import asdict
from rabit.core.tensors import RabitError
from rabit.core.trials import fails
from rabit.training.config import PRESETS
from rabit.training.config import TrainConfig
from rabit.training.config import config_from
from rabit.training.config import jittered_size
from rabit.training.config import make_dataset
from rabit.training.config import make_features
from rabit.training.config import make_model
from rabit.training.config import preset
from rabit.training.config import small
from rabit.training.terms import PAPER_WEIGHTS


def test_a_configuration_that_no_run_could_use_is_refused():
    for odd, word in ((dict(size=(60, 64)), "multiples of 8"), (dict(weights=dict(style=1.)), "style"),
                      (dict(weights=dict(warp=0.)), "weight 0"), (dict(batch=0), "batch = 0"),
                      (dict(ema=1.), "ema"),
                      (dict(lr=float("nan")), "lr"), (dict(amp="fp8"), "bf16, fp16"),
                      (dict(features="resnet"), "random, vgg19, efficientnet, hed"),
                      (dict(features="hed", vgg_weights="vgg.pth"), "leave one out"),
                      (dict(amp=True), "amp = True"), (dict(aspect_jitter=.5), "aspect_jitter = 0.5"),
                      (dict(size=(32, 64), aspect_jitter=5.), "1 (no stretching) to 4")):
        try: TrainConfig(**odd)
        except RabitError as e: assert word in str(e), e
        else: raise AssertionError(f"{odd} was taken")
    named = TrainConfig(size=[32, 48], weights=dict(warp=2.))
    assert named.size == (32, 48) and named.weights["warp"] == 2 and named.weights["mask"] == 0
    try: TrainConfig(batch=4, accumulate=3); said = ""
    except RabitError as e: said = str(e)
    assert "4 samples" in said and "3 equal parts" in said


def test_presets_can_be_changed_field_by_field_and_stay_as_they_are():
    changed = preset("tiny", weights=dict(match=0.), model=dict(k=2), steps=7)
    assert changed.weights["match"] == 0 and changed.weights["warp"] == preset("tiny").weights["warp"] > 0
    assert changed.steps == 7
    assert changed.model == preset("tiny").model | dict(k=2) and "k" not in PRESETS["tiny"]["model"]
    assert preset("base").weights == PAPER_WEIGHTS
    parts = {batch: preset("base", batch=batch).accumulate for batch in (1, 2, 6, 12, 16)}
    assert parts == {1: 1, 2: 2, 6: 2, 12: 4, 16: 8} and preset("base", accumulate=2).accumulate == 2
    assert preset("tiny", batch=6).accumulate == 1
    for bad in (lambda: preset("huge"), lambda: preset("tiny", step=3),
                lambda: preset("tiny", weights=dict(mach=1.))):
        try: bad()
        except RabitError as e: assert "choose from" in str(e) or "are" in str(e)
        else: raise AssertionError("a name that does not exist was taken")
    other = preset("demo", builder="other", model=dict(features=32))
    assert other.model == dict(width=16, features=32) and preset("demo", builder="rabit").model["block"] == 2
    begun = preset("tiny", init_from="street-64", model=dict(k=5)).model
    assert begun["width"] == 16 and begun["k"] == 5
    photo = preset("photo", classes=2, model=dict(condition="edges"))
    assert photo.model["position"] == "none" and photo.features == "hed"   # its own position, not that of edges
    assert preset("demo", classes=2, model=dict(condition="edges")).model["position"] == "coord"


def test_a_dataset_repeats_itself_and_another_seed_shows_other_scenes():
    dataset = make_dataset(small())
    first, again = dataset.batch([3]), dataset.batch([3])
    other = make_dataset(small(), seed=1).batch([3])
    assert dataset.classes == 7 and torch.equal(first["image"], again["image"])
    assert not torch.equal(first["image"], other["image"])


def test_a_model_and_its_features_are_built_as_the_configuration_says():
    assert make_features(small()) is None
    random = make_features(preset("tiny"))
    assert random.width == 4 and "RANDOM" in random.note
    assert "nowhere.pth" in fails(make_features, preset("tiny", vgg_weights="nowhere.pth"))  # a file of VGG19
    assert "nowhere.pth" in fails(make_features, preset("tiny", vgg_weights="nowhere.pth", features="vgg19"))
    model = make_model(small(model=dict(k=2)))
    assert model.config["classes"] == 7 and model.config["size"] == [32, 32] and model.matcher.k == 2
    assert make_model(small(data="face")).config["condition"] == "edges"


def test_shapes_repeat_themselves_and_keep_the_area():
    config = small(size=(96, 128), aspect_jitter=3.)
    sizes = [jittered_size(config, step) for step in range(200)]
    assert sizes == [jittered_size(config, step) for step in range(200)] and sizes[::2] == [(96, 128)] * 100
    assert all(h % 8 == w % 8 == 0 and .85 < h * w / (96 * 128) < 1.15 for h, w in sizes) and len(set(sizes)) > 10
    assert max(w / h for h, w in sizes) < 3 * 128 / 96 * 1.1
    assert {jittered_size(small(), step) for step in range(9)} == {(32, 32)}


def test_settings_of_version_0_1_are_read():
    old = dict(data="mine", shapes=2., self_share=.5, start=None, checkpoint=True,
               weights=dict(parse=.1, own=1., warp=2.), builder="rabit.model.rabit",
               model=dict(width=8, condition="picture", position="coord"), classes=3)
    found = config_from(old)
    assert (found.aspect_jitter, found.self_pair_prob, found.checkpoint_activations) == (2., .5, True)
    assert (found.weights["segmentation"], found.weights["extra"], found.weights["warp"]) == (.1, 1., 2.)
    assert found.builder == "rabit" and found.model["condition"] == "image"
    assert config_from(asdict(found)) == found
