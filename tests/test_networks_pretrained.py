# Generated from nbs/3_networks/37_pretrained.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import numpy as np
import sys
import torch
from pathlib import Path
from rabit.core.devices import seed_all
from rabit.core.files import read_json
from rabit.core.registry import register
from rabit.core.registry import registered
from rabit.core.tensors import RabitError
from rabit.matching.street import STREET_CLASSES
from rabit.networks.model import BilevelMatcher
from rabit.networks.pretrained import PretrainedNet
from rabit.networks.pretrained import build
from rabit.networks.pretrained import check_builder
from rabit.networks.pretrained import check_weights
from rabit.networks.pretrained import find_builder
from rabit.networks.pretrained import find_weights
from rabit.networks.pretrained import fits_annotation
from rabit.networks.pretrained import load_strict
from rabit.networks.pretrained import model_names
from rabit.networks.pretrained import read_weights
from rabit.networks.pretrained import saved_config
from rabit.networks.pretrained import shipped_weights
from rabit.networks.pretrained import upgraded_config
from tempfile import TemporaryDirectory
from torch import nn
from types import SimpleNamespace

def fails(f, *words):
    "Print the message of the `RabitError` in which f ends; are all of these words in it?"
    try: f()
    except RabitError as error:
        print(error)
        return all(word in str(error) for word in words)
    return False

def tiny(**changes):
    "A small untrained model, always the same"
    seed_all(0)
    return build(dict(builder="rabit", classes=len(STREET_CLASSES), width=8, features=24) | changes)


def test_unknown_names_list_those_that_ship():
    assert fails(lambda: find_weights("no-such-name"), "'no-such-name'", *shipped_weights(), "ship")
    with TemporaryDirectory() as tmp: assert fails(lambda: find_weights(tmp), tmp, "config.json")


def test_published_models_are_two_files_of_one_commit():
    class LocalEntryNotFoundError(Exception): pass
    class EntryNotFoundError(Exception): pass
    asked = []
    def hf_hub_download(name, file, revision=None):
        "What huggingface_hub does, without the net: folders named by commit"
        asked.append((name, file, revision))
        if name == "no/net": raise LocalEntryNotFoundError("try again")
        if name == "only/pickles" and file == "model.safetensors": raise EntryNotFoundError("404")
        if name == "odd/one": raise KeyError("etag")
        return str(Path("cache") / name / "snapshots" / "abc123" / file)
    before = sys.modules.get("huggingface_hub")
    sys.modules["huggingface_hub"] = SimpleNamespace(hf_hub_download=hf_hub_download)
    try:
        folder = find_weights("someone/streets")
        assert folder == Path("cache/someone/streets/snapshots/abc123")
        files_of = [("someone/streets", "config.json", None), ("someone/streets", "model.safetensors", "abc123")]
        assert asked == files_of
        assert find_weights("someone/streets@v1.0") == find_weights("someone/streets", "v1.0") == folder
        assert asked[2] == asked[4] == ("someone/streets", "config.json", "v1.0")
        assert fails(lambda: find_weights("no/net"), "'no/net' could not be fetched", "cannot be reached")
        assert fails(lambda: find_weights("only/pickles"), "model.safetensors are needed, and are not there")
        assert fails(lambda: find_weights("odd/one@main"), "at 'main': KeyError")
        asked.clear()
        with TemporaryDirectory() as tmp: assert fails(lambda: find_weights(f"{tmp}/typo"), "neither a folder")
        for name in ("street-128x", "a/b/c", "../no_such", "/no_such", "a/b@"):
            assert fails(lambda: find_weights(name), "no weights at")
        assert fails(lambda: find_weights("street-64", "v1.0"), "revision = 'v1.0'") and not asked
        sys.modules["huggingface_hub"] = None
        assert fails(lambda: find_weights("someone/streets"), "pip install huggingface_hub")
    finally: sys.modules.pop("huggingface_hub") if before is None else sys.modules.update(huggingface_hub=before)


def test_broken_files_are_named():
    with TemporaryDirectory() as tmp:
        path = Path(tmp) / "broken"
        for content in (b"", b"{", b"[1]", b"\xff\xfe"):
            path.write_bytes(content)
            assert fails(lambda: read_json(path), str(path))
        assert fails(lambda: read_weights(path), str(path), "cut short")
        assert fails(lambda: read_weights(path.with_name("missing")), "missing")


def test_configurations_of_version_0_1_are_read_with_the_names_of_today():
    old = dict(builder="rabit.baselines.dynast.dynast", classes=3, condition="picture", numbering="ade20k")
    new = dict(builder="dynast", classes=3, condition="image", label_mapping="ade20k")
    assert upgraded_config(old) == upgraded_config(new) == new


def test_every_shipped_model_says_how_it_was_built():
    assert {saved_config(name)["builder"] for name in shipped_weights()} <= {*registered("models")}


def test_models_are_found_by_their_names():
    assert model_names()[0] == "rabit" and {"cocosnet", "patchmatch", "dynast", "matebit"} <= {*model_names()}
    assert all(find_builder(name) for name in model_names())
    assert find_builder("rabit.model.rabit") is find_builder("rabit")
    assert fails(lambda: find_builder("pix2pix"), "'pix2pix'", "rabit")
    assert fails(lambda: check_builder(seed_all, "core.seed_all"), "no builder", "seed")


def test_values_fit_the_types_that_functions_name():
    fitting = ((3, int), (3, float), ([1, 2], tuple), (None, float | None), (None, list | None), (True, bool))
    for value, wanted in fitting: assert fits_annotation(value, wanted), value
    others = ((2.5, int), (True, int), ("3", int), (torch.nan, float), (10**30, int), (None, str), (7, str),
              ("ab", tuple), (1, bool))
    for value, wanted in others: assert not fits_annotation(value, wanted), value


def test_only_registered_builders_are_called():
    config = tiny().config
    assert build(config).config == config
    assert fails(lambda: build(config | dict(builder="os.system")), "'os.system'", "choose from", "rabit")
    config_of_another = dict(builder="rabit.data.pair_lists.write_pairs", pairs={}, path="mine")
    assert fails(lambda: build(config_of_another), "write_pairs")
    assert fails(lambda: build(dict(builder="rabit.networks.pretrained.Path", args="x")), "unknown model")
    assert fails(lambda: build(config | dict(builder="rabbit")), "unknown model 'rabbit'")
    assert fails(lambda: build(config | dict(heads=8)), "['heads']", "temperature")
    assert fails(lambda: build(config | dict(classes="many")), "cannot use")
    assert fails(lambda: build({"builder": "rabit"}), "classes")
    assert fails(lambda: build(config | dict(size=[60, 64])), "64×60", "multiples of 8")


def test_weights_that_do_not_fit_are_named():
    small, wide = nn.Linear(2, 3), nn.Linear(2, 4)
    assert fails(lambda: load_strict(small, wide.state_dict(), "a file"), "a file",
                 "weight is (4, 2), the model's is (3, 2)")
    assert fails(lambda: load_strict(small, {"weight": small.weight, "scale": small.bias}, "a file"),
                 "missing: bias", "not in the model: scale")
    assert fails(lambda: check_weights(small.state_dict(), {"weight": torch.ones(3, 2),
                                                            "bias": torch.full((3,), torch.nan)}, "a file"),
                 "bias in a file", "not finite")
    load_strict(small, {k: torch.ones_like(x) for k, x in small.state_dict().items()}, "a dictionary")
    assert (small.weight == 1).all()


def test_a_saved_model_comes_back_bit_for_bit():
    with TemporaryDirectory() as tmp:
        model = tiny(names=list(STREET_CLASSES))
        whole = Path(tmp) / "whole"
        half = Path(tmp) / "half"
        model.save_pretrained(whole, card="# Mine\n"); model.save_pretrained(half, half=True)
        assert saved_config(whole) == model.config
        again, rough = model.from_pretrained(whole), model.from_pretrained(half)
        assert sorted(p.name for p in whole.iterdir()) == ["README.md", "config.json", "model.safetensors"]
        assert ((whole / "README.md").read_text() == "# Mine\n" and again.config == model.config
                and not again.training)
        states = again.state_dict().values(), model.state_dict().values()
        assert all(torch.equal(a, b) for a, b in zip(*states))
        sizes = [(f / "model.safetensors").stat().st_size for f in (whole, half)]
        assert sizes[1] < .6 * sizes[0]
        labels, image = torch.zeros(64, 64, dtype=torch.int64), torch.zeros(1, 3, 64, 64)
        images = [np.asarray(m.translate(labels, image)).astype(int) for m in (model, again, rough)]
        assert (images[0] == images[1]).all() and abs(images[0] - images[2]).max() <= 3
    print("bytes, whole and half:", sizes)


def test_bad_folders_are_refused_with_the_file_named():
    with TemporaryDirectory() as tmp:
        model = tiny()
        folder = model.save_pretrained(Path(tmp) / "saved")
        weights, config = folder / "model.safetensors", folder / "config.json"
        good, text = weights.read_bytes(), config.read_text()
        weights.write_bytes(good[: len(good) // 2])
        assert fails(lambda: model.from_pretrained(folder), str(weights), "cut short")
        tiny(width=12).save_pretrained(folder)
        config.write_text(text)
        assert fails(lambda: model.from_pretrained(folder), str(weights), "of another shape", "more")
        weights.write_bytes(good)
        config.write_text(text.replace('"rabit"', '"shutil.rmtree"'))
        assert fails(lambda: model.from_pretrained(folder), str(config), "shutil.rmtree")
        config.unlink()
        assert fails(lambda: model.from_pretrained(folder), str(folder), "config.json")


def test_a_save_that_fails_leaves_what_was_there():
    with TemporaryDirectory() as tmp:
        file = Path(tmp) / "a file"
        file.write_text("not yours")
        assert fails(lambda: tiny().save_pretrained(file), str(file), "cannot be written")
        assert fails(lambda: tiny().save_pretrained(file / "below"), str(file), "cannot be written")
        assert file.read_text() == "not yours" and [p.name for p in Path(tmp).iterdir()] == ["a file"]


def test_a_builder_of_your_own_is_called_if_it_is_given_or_registered():
    def mine(classes:int, size:tuple=(64, 64), block:int=8)->PretrainedNet:
        "RABIT with larger blocks"
        rest = dict(features=24, stride=2, position="none", frame="box", confidence="multi",
                    condition="labels")
        config = dict(builder="mine", classes=classes, size=size, block=block)
        model = PretrainedNet.assemble(BilevelMatcher(block), config | rest | dict(width=8, names=None))
        model.config = config
        return model
    config = dict(builder="my.models:mine", classes=7)
    assert build(config, mine).config == dict(builder="my.models:mine", classes=7, size=(64, 64), block=8)
    assert fails(lambda: build(config), "'my.models:mine'", "rabit.register(")
    register("models", "my.models:mine", mine)
    assert build(config).matcher.block == 8
    assert fails(lambda: build(config | dict(block="large")), "block = 'large'", "int")
