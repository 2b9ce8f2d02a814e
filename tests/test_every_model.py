"""Every model that the library can build, through the same doors: match a known permutation,
train, save, load, translate, measure. A model that is registered tomorrow is held to all of it."""
import json
from pathlib import Path

import pytest
import torch

import rabit
from rabit.comparison.compare import rabit_compare
from rabit.comparison.zoo import SMALL
from rabit.comparison.zoo import build as build_model
from rabit.core.devices import seed_all
from rabit.core.tensors import RabitError, from_blocks, one_hot, pixel_grid, to_blocks
from rabit.inputs.samples import SceneDataset
from rabit.matching.fourier import fourier
from rabit.matching.position import coord_conv
from rabit.matching.street import street_pairs
from rabit.networks.pretrained import build, model_names
from rabit.networks.translate import Translator
from rabit.training.checkpoint import load_state, save_state
from rabit.training.config import preset
from rabit.training.evaluate import evaluate
from rabit.training.train_commands import rabit_train
from rabit.training.trainer import Trainer

every_model = pytest.mark.parametrize("name", model_names())


def small(name, **changes):
    settings = dict(builder=name, model=SMALL[name], size=(32, 32), steps=4, log_every=2,
                    sample_every=4, save_every=4)
    return preset("tiny", **(settings | changes))


def test_the_course_has_five_models():
    named = {name for name in model_names() if ":" not in name}  # other tests register models by their paths
    assert named == {"rabit", "cocosnet", "patchmatch", "dynast", "matebit"} == set(SMALL)


@every_model
def test_an_untrained_matcher_recovers_a_known_permutation(name):
    """Features of a scene, and the same features with their 8×8 blocks in another order: every token must be
    found again."""
    seed_all(0)
    batch, model = street_pairs([3], size=(64, 64)), build_model(name, 7, width=8, features=24, **SMALL[name])
    width = model.encoder.query(one_hot(batch["labels"], 7)).shape[1]
    g = torch.Generator().manual_seed(0)
    described = torch.cat([batch["image"], fourier(coord_conv((64, 64)), 6)], 1)
    kernel = torch.randn(width, described.shape[1], 1, 1, generator=g)
    features = torch.nn.functional.conv2d(described, kernel)
    order = torch.randperm(64, generator=g)
    def moved(x): return from_blocks(to_blocks(x, (8, 8))[:, order], (64, 64), (8, 8))
    with torch.no_grad(): match = model.matcher(moved(features), features)
    found, ground_truth = match.argmax().float(), moved(pixel_grid((64, 64)))
    right = (found == ground_truth).all(1).float().mean()
    assert right > .99, f"{name}: {right:.3f} of the tokens were found again"


@every_model
def test_it_trains_saves_and_comes_back(name, tmp_path):
    config = small(name)
    trainer, dataset = Trainer(config, torch.device("cpu")), SceneDataset("street", 0, (32, 32))
    before = {k: v.clone() for k, v in trainer.model.state_dict().items()}
    for i in range(2): values = trainer.step(dataset.batch(range(2 * i, 2 * i + 2)))
    assert values and all(v.isfinite() for v in values.values())
    changed = [k for k, v in trainer.model.state_dict().items() if not torch.equal(v, before[k])]
    for part in ("encoder", "decoder"): assert any(k.startswith(part) for k in changed), part
    trainer.ema.save_pretrained(tmp_path)
    again, batch = Translator.from_pretrained(tmp_path), dataset.batch([9])
    condition = one_hot(batch["labels"], 7)
    with torch.no_grad():
        first, second = (m(condition, batch["exemplar"]).image for m in (again, trainer.ema))
    torch.testing.assert_close(first, second, atol=2e-3, rtol=0)  # the memory layout differs
    assert json.loads((tmp_path / "config.json").read_text())["builder"] == name
    assert build(again.config).config == again.config


@every_model
def test_it_resumes_to_the_same_bits(name, tmp_path):
    "Buffers such as a memory of codes included."
    config = small(name)
    dataset = SceneDataset("street", 0, (32, 32))
    cpu = torch.device("cpu")
    def play(trainer, until):
        while trainer.done < until: trainer.step(dataset.batch(range(2 * trainer.done, 2 * trainer.done + 2)))
        return trainer
    whole = play(Trainer(config, cpu), 4).state()
    save_state(play(Trainer(config, cpu), 2), tmp_path)
    torch.rand(7)                                                  # whatever happened in between
    part = play(load_state(tmp_path, cpu), 4).state()
    assert part.keys() == whole.keys() and not [k for k in whole if not torch.equal(whole[k], part[k])]


@every_model
def test_the_command_line_trains_it(name, tmp_path):
    options = ["--model", name, "--preset", "tiny", "--size", "32x32", "--steps", "2", "--device", "cpu",
               *(f"--model-arg={k}={v}" for k, v in SMALL[name].items())]
    rabit_train([*options, "--out", str(tmp_path / "run")])
    assert Translator.from_pretrained(tmp_path / "run").config["builder"] == name


@every_model
def test_it_translates_images_of_any_size(name):
    seed_all(0)
    model = build_model(name, 7, size=(32, 32), width=8, features=16, **SMALL[name])
    labels = torch.randint(0, 7, (37, 53), generator=torch.Generator().manual_seed(0))
    image = model.translate(labels, torch.rand(1, 3, 41, 90) * 2 - 1)
    assert image.size == (53, 37)
    assert model.edit(torch.zeros(1, 3, 37, 53), labels, labels.roll(3, 0)).size == (53, 37)


@every_model
def test_it_is_measured_like_all_others(name):
    seed_all(0)
    model = build_model(name, 7, size=(32, 32), width=8, features=16, **SMALL[name])
    scores = evaluate(model, SceneDataset("street", 1, (32, 32)), 2, progress=False, baselines=False)["model"]
    assert {"epe", "pck", "warp_l1", "psnr", "copy_score"} <= scores.keys() and 0 <= scores["pck"] <= 1


@every_model
def test_its_builder_refuses_what_does_not_fit(name):
    for arguments, said in ((dict(width=2), "width"), (dict(size=(60, 64)), "60"), (dict(stride=3), "stride"),
                            (dict(position="here"), "here")):
        with pytest.raises(RabitError, match=said):
            build_model(name, 7, **(SMALL[name] | arguments))
    with pytest.raises(RabitError, match="heads"):
        build(dict(builder=name, classes=7, heads=8))


def test_a_model_that_does_not_exist_is_named():
    with pytest.raises(RabitError, match="pix2pix.*rabit"): build_model("pix2pix", 7)


def test_nobody_but_the_relatives_and_the_comparison_knows_a_name():
    "Training, metrics and networks work for a model that is written tomorrow."
    others = [name for name in model_names() if name != "rabit"]
    home = Path(rabit.__file__).parent
    for path in sorted(home.rglob("*.py")):
        if path.relative_to(home).parts[0] in ("relatives", "comparison", "_modidx.py"): continue
        lines = path.read_text().splitlines()
        lines = [line.split("#")[0] for line in lines if not line.strip().startswith('"')]
        code = "\n".join(lines).lower()
        code = code.replace('("cocosnet", "patchmatch", "dynast", "matebit")', "")  # old names
        assert not [name for name in others if name in code], path


def test_the_command_compares_and_leaves_tables_and_images(tmp_path, capsys):
    options = ["--models", "rabit", "matebit", "--ablations", "none", "--budget", "2", "--seeds", "2",
               "--count", "2", "--size", "32x32", "--device", "cpu"]
    rabit_compare([*options, "--out", str(tmp_path / "compare")])
    made = {p.name for p in (tmp_path / "compare").iterdir()}
    assert made == {"compare.md", "compare.json", "bars.png", "samples.png", "runs"}
    found = json.loads((tmp_path / "compare" / "compare.json").read_text())
    assert len(found["rows"]) == 4 and found["machine"]["torch"]
    assert found["command"].startswith("rabit_compare --models")
    text = (tmp_path / "compare" / "compare.md").read_text()
    assert "| rabit |" in text and "| matebit |" in text and "Ablations" not in text
    assert text in capsys.readouterr().out


@pytest.mark.parametrize("options, said", [
    ("--models pix2pix", "'pix2pix'"), ("--budget 3m", "'3m' is no budget"), ("--preset huge", "'huge'"),
    ("--ablations nothing", "'nothing'"), ("--size 30x30", "30x30"), ("--seeds 0", "'0'")])
def test_a_comparison_that_does_not_fit_is_refused_in_one_line(options, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end: rabit_compare(options.split())
    err = capsys.readouterr().err
    assert end.value.code == 2 and said in err and err.count("\n") == 1 and not list(tmp_path.iterdir())


def test_the_old_name_of_an_option_still_works(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit): rabit_compare(["--systems", "pix2pix"])
    err = capsys.readouterr().err
    assert "--systems is called --models now" in err and "'pix2pix'" in err
