"""Style transfer as users meet it: hostile folders, all models through the same door, runs that stop and go
on, and what a network learns from augmented images."""
import json
import os

import numpy as np
import pytest
import torch
from PIL import Image

from rabit.comparison.zoo import SMALL
from rabit.core.devices import seed_all
from rabit.core.tensors import RabitError, sample_at, to_pil
from rabit.data.prefetch import prefetch
from rabit.data.style_data import (
    find_images, ImageFolder, photometric_augment, read_cropped, style_dataset, StyleDataset,
)
from rabit.inputs.samples import conditions_of, worlds
from rabit.networks.losses import match_loss
from rabit.networks.pretrained import build, model_names
from rabit.networks.translate import Translator
from rabit.relatives.style_objective import style_statistics
from rabit.tools.style import color_transfer, style_table, transfer
from rabit.training.config import preset
from rabit.training.run import train
from rabit.training.terms import generator_terms, StepContext
from rabit.training.trainer import Trainer

SETTINGS = dict(classes=3, size=(32, 32), steps=2, batch=2, log_every=1, sample_every=2, save_every=2,
                model=dict(condition="image", position="none"))


@pytest.fixture
def folder(tmp_path):
    # beside the runs, whose sample sheets are images, too
    home = tmp_path / "images"
    home.mkdir()
    for i, p in enumerate(StyleDataset(size=(40, 56)).batch(range(6))["image"]):
        to_pil(p).save(home / f"{i}.png")
    return home


def small(**model):
    return build(dict(builder="rabit", classes=3, size=[32, 32], width=4, features=8,
                      condition="image", position="none") | model)


def test_every_kind_of_file_is_read_and_cut(tmp_path):
    noise = (np.random.default_rng(0).random((50, 70)) * 65535).astype(np.uint16)
    Image.fromarray(noise).save(tmp_path / "deep.png")
    Image.fromarray((noise >> 8).astype(np.uint8)).save(tmp_path / "grey.jpg")
    Image.new("RGBA", (30, 90), (255, 0, 0, 0)).save(tmp_path / "clear.webp")
    Image.new("P", (9, 9)).save(tmp_path / "tiny.bmp")
    Image.new("1", (500, 1)).save(tmp_path / "line.tiff")
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Image.new("RGB", (60, 20), "blue")
    turned.paste("red", (0, 0, 20, 20))
    turned.save(tmp_path / "TURNED.PNG", exif=exif)
    (tmp_path / "deeper").mkdir()
    Image.new("RGB", (8, 8), "white").save(tmp_path / "deeper" / "naïve 画.png")
    (tmp_path / "notes.txt").write_text("not asked for")
    (tmp_path / ".hidden.png").write_text("nor this")
    (tmp_path / "folder.png").mkdir()
    files = find_images(tmp_path)
    assert len(files) == 7
    for file in files:
        image = read_cropped(file, (24, 16))
        assert image.shape == (3, 24, 16) and image.dtype == torch.float32 and image.abs().max() <= 1, file
    # transparent is white
    assert (read_cropped(tmp_path / "clear.webp", (16, 16)) > .99).all()
    upright = read_cropped(tmp_path / "TURNED.PNG", (30, 10))
    # red was at the left, and is at the top
    assert upright[0, 0].min() > .9 and upright[2, -1].min() > .9


def test_hostile_folders_end_in_one_line(tmp_path, folder):
    def said(call):
        with pytest.raises(RabitError) as error: call()
        assert "\n" not in str(error.value)
        return str(error.value)
    assert "this is a file" in said(lambda: ImageFolder(folder / "0.png"))
    (folder / "empty.jpg").touch()
    (folder / "text.png").write_text("<html>")
    assert "empty.jpg" in (words := said(lambda: ImageFolder(folder))) and "1 more" in words
    (folder / "empty.jpg").unlink()
    (folder / "text.png").unlink()
    whole = (folder / "0.png").read_bytes()
    # a whole header, half an image: found when it is read, and named then
    (folder / "0.png").write_bytes(whole[:len(whole) // 2])
    dataset = ImageFolder(folder, size=(16, 16), augment=False)
    assert "0.png" in said(lambda: dataset.batch([0]))
    (folder / "gone").symlink_to(folder / "nowhere.png")
    os.remove(folder / "1.png")
    # it was there when the dataset was made
    assert "1.png" in said(lambda: dataset.batch([1]))
    one = folder / "one"
    one.mkdir()
    (folder / "2.png").rename(one / "a.png")
    assert "one image only" in said(lambda: ImageFolder(one))
    assert ImageFolder(one, self_pair_prob=1., size=(16, 16)).batch(range(3))["paired"].all()
    wrongs = ((dict(self_pair_prob=2), "got 2"), (dict(seed=-1), "got -1"), (dict(size=(0, 8)), "0"))
    for wrong, words in wrongs:
        assert words in said(lambda: ImageFolder(folder, **wrong))
    assert "no indices" in said(lambda: ImageFolder(one, self_pair_prob=1.).batch([]))
    assert "unknown world 'nowhere'" in said(lambda: StyleDataset("nowhere"))


def test_samples_do_not_depend_on_batch_order_or_thread(folder):
    for dataset in (StyleDataset(seed=5, size=(24, 32)), ImageFolder(folder, size=(24, 32), seed=5)):
        plain = [dataset.batch([2 * s, 2 * s + 1]) for s in range(6)]
        steps = prefetch(dataset, 0, 2, workers=3)
        for expected in plain:
            _, batch = next(steps)
            assert all(batch[k].equal(expected[k]) for k in expected)
        steps.close()
        condition, exemplar_condition = conditions_of(plain[0], 3)
        assert condition.shape == exemplar_condition.shape == (2, 3, 24, 32)
        assert exemplar_condition.equal(plain[0]["exemplar"])


def test_nothing_of_the_answer_is_in_the_content():
    "Colors of the content say nothing of the exemplar's, nor augmented ones of the image's"
    r = StyleDataset(seed=2, size=(16, 16)).batch(range(300))
    sky = [x[:, :, 0].mean((1, 2)) for x in (r["condition"], r["image"], r["exemplar"])]
    def together(a, b): return torch.corrcoef(torch.stack([a, b]))[0, 1].item()
    assert abs(together(sky[0], sky[1])) < .2 < .6 < together(sky[2], sky[1])
    rng = np.random.default_rng(0)
    hidden = torch.stack([photometric_augment(p, rng) for p in r["image"]])
    assert abs(together(hidden[:, :, 0].mean((1, 2)), sky[1])) < .2


@pytest.mark.parametrize("name", worlds())
def test_the_ground_truth_of_every_world_survives_the_change_of_style(name):
    r = StyleDataset(name, seed=1, size=(48, 48)).batch(range(6))
    seen, brought = r["visible"], sample_at(r["exemplar"], r["position"])
    errors = {k: (brought - r[k]).abs().mean(1)[seen].mean().item() for k in ("image", "condition")}
    assert errors["image"] < .5 * errors["condition"]
    assert all(len(x) == 6 for x in r.values())


@pytest.mark.parametrize("name", model_names())
def test_every_model_trains_on_images_and_transfers(name, tmp_path, folder):
    config = preset("tiny", **(SETTINGS | dict(builder=name, model=SMALL[name] | SETTINGS["model"])))
    model = train(config, tmp_path / "run", dataset=ImageFolder(folder, size=(32, 32)), device="cpu",
                  progress=False)
    again = Translator.from_pretrained(tmp_path / "run")
    made = [transfer(m, folder / "0.png", folder / "1.png") for m in (model, again)]
    a, b = (np.asarray(image).astype(int) for image in made)
    # the layout in memory may change the last bit, and that a match here and there
    assert a.shape == b.shape == (40, 56, 3) and abs(a - b).mean() < 1
    rows = style_table({name: again}, StyleDataset(seed=1, size=(32, 32)), 4, progress=False)
    assert all(np.isfinite(v) for row in rows.values() for v in row.values())


def test_a_run_goes_on_where_it_stopped_as_if_it_had_not(tmp_path, folder):
    def run(out, steps, config=True):
        return train(preset("tiny", **(SETTINGS | dict(steps=4))) if config else None, tmp_path / out,
                     steps=None if config else steps, dataset=ImageFolder(folder, size=(32, 32)),
                     device="cpu", progress=False)
    whole = run("whole", 4)
    class Stops(ImageFolder):
        "Ctrl-C comes with the third step"
        def batch(self, indices, device="cpu"):
            if 4 in indices: raise KeyboardInterrupt
            return super().batch(indices, device)
    with pytest.raises(KeyboardInterrupt):
        train(preset("tiny", **(SETTINGS | dict(steps=4))), tmp_path / "cut",
              dataset=Stops(folder, size=(32, 32)), device="cpu", progress=False)
    cut = run("cut", 4, config=False)
    for a, b in zip(whole.state_dict().values(), cut.state_dict().values()): assert a.equal(b)


def test_a_sample_without_an_answer_moves_no_term_that_needs_one(folder):
    "pixel, warp and match read nothing of samples that are not paired, whatever stands in their images"
    zero = dict.fromkeys(("cycle", "feature", "perceptual", "vgg", "contextual", "mask", "adversarial",
                          "matching", "segmentation", "extra"), 0.)
    trainer = Trainer(preset("tiny", **(SETTINGS | dict(weights=zero))), torch.device("cpu"))
    r = ImageFolder(folder, size=(32, 32), self_pair_prob=0.).batch(range(2))
    output = trainer.model(r["condition"], r["exemplar"])
    seen = StepContext(r, *conditions_of(r, 3), output, trainer.model, config=trainer.config)
    terms = generator_terms(seen, trainer.config.weights)
    assert set(terms) == {"pixel", "warp", "match"} and all(x.item() == 0 for x in terms.values())


def test_a_matcher_learns_two_styles_from_augmented_images_alone(folder):
    "Trained on single images, augmented and moved, an encoder matches scenes under two styles, never seen"
    seed_all(0)
    encoder = small(width=8, features=16, stride=4).encoder
    test = StyleDataset(seed=9, size=(32, 32)).batch(range(32))
    for i, p in enumerate(StyleDataset(size=(32, 32)).batch(range(10, 50))["image"]):
        to_pil(p).save(folder / f"{i + 10}.png")
    dataset = ImageFolder(folder, size=(32, 32), self_pair_prob=1.)
    optimizer = torch.optim.Adam(encoder.parameters(), 4e-3)
    def loss(r):
        return match_loss(encoder.query(r["condition"]), encoder.key(r["exemplar"], r["exemplar_condition"]),
                          r["position"], r["visible"], (32, 32), .1)
    for step in range(120):
        optimizer.zero_grad()
        loss(dataset.batch(range(4 * step, 4 * step + 4))).backward()
        optimizer.step()
    # clearly better than one to which all tokens are alike
    with torch.no_grad(): assert loss(test).item() < np.log(64) - .4


def test_transfer_takes_any_two_sizes_and_names_what_it_cannot_take(folder):
    seed_all(0)
    model = small()
    x = StyleDataset(size=(17, 33)).batch([0])["condition"]
    for style in (x, to_pil(x), folder / "0.png", str(folder / "1.png")):
        assert transfer(model, x, style).size == (33, 17)
    Image.new("RGB", (900, 3)).save(folder / "thin.png")
    assert transfer(model, folder / "thin.png", x).size == (900, 3)
    for wrong in (folder / "none.png", folder, x[:, :2], torch.cat([x, x]), 7):
        with pytest.raises(RabitError): transfer(model, wrong, x)
        with pytest.raises(RabitError): transfer(model, x, wrong)
    with pytest.raises(RabitError, match="no size to work at"): transfer(model, x, x, (1, 4))


def test_color_statistics_are_the_style_objective_of_pixels():
    "DynaST's style term, read on pixels, is zero after color transfer where nothing was clamped"
    g = torch.Generator().manual_seed(0)
    x, z = (torch.rand(2, 3, 12, 15, generator=g) - .5 for _ in range(2))
    assert style_statistics(color_transfer(x, z), z) < 1e-5 < style_statistics(x, z)


def test_the_names_of_datasets(folder):
    assert style_dataset("figure", (16, 24), 3).world.name == "figure"
    assert json.loads(json.dumps(style_dataset("street").size)) == [64, 64]
    assert repr(style_dataset(folder)) == "ImageFolder(6 contents, 6 styles)"


def test_a_borrowed_look_is_never_the_content_itself_and_seeds_differ(folder):
    # three images: chance alone would draw the same one often
    for name in ("3.png", "4.png", "5.png"): (folder / name).unlink()
    settings = dict(size=(24, 32), self_pair_prob=0.)
    r = ImageFolder(folder, seed=1, **settings).batch(range(40))
    apart = torch.stack([(r["image"] - x).abs().mean((1, 2, 3))
                         for x in (r["exemplar"], r["exemplar"].flip(-1))])
    # nor its mirror image
    assert apart.min() > .02
    other = ImageFolder(folder, seed=2, **settings).batch(range(40))
    assert not any(a.equal(b) for a, b in zip(r["condition"], other["condition"]))
