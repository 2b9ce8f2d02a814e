"""Style transfer as users meet it: hostile folders, all systems through the same door, runs that stop and go on, and what a network learns from disguised pictures."""
import json
import os

import numpy as np
import pytest
import torch
from PIL import Image

from rabit.core import RabitError, seed_all, to_pil
from rabit.data import conditions_of, prefetch
from rabit.losses import match_loss
from rabit.model import Translator, build, systems
from rabit.scenes import sample_at, worlds
from rabit.style import PictureFolder, StyleSource, color_transfer, disguise, find_pictures, read_cut, style_source, style_table, transfer
from rabit.train import preset, train
from rabit.zoo import SMALL

SETTINGS = dict(classes=3, size=(32, 32), steps=2, batch=2, log_every=1, sample_every=2, save_every=2, model=dict(condition="picture", position="none"))


@pytest.fixture
def folder(tmp_path):
    home = tmp_path / "pictures"                                                               # beside the runs, whose sample sheets are pictures, too
    home.mkdir()
    for i, p in enumerate(StyleSource(size=(40, 56)).batch(range(6))["picture"]): to_pil(p).save(home / f"{i}.png")
    return home


def small(**model): return build(dict(builder="rabit.model.rabit", classes=3, size=[32, 32], width=4, features=8, condition="picture", position="none") | model)


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
    files = find_pictures(tmp_path)
    assert len(files) == 7
    for file in files:
        picture = read_cut(file, (24, 16))
        assert picture.shape == (3, 24, 16) and picture.dtype == torch.float32 and picture.abs().max() <= 1, file
    assert (read_cut(tmp_path / "clear.webp", (16, 16)) > .99).all()                           # transparent is white
    upright = read_cut(tmp_path / "TURNED.PNG", (30, 10))
    assert upright[0, 0].min() > .9 and upright[2, -1].min() > .9                              # red was at the left, and is at the top


def test_hostile_folders_end_in_one_line(tmp_path, folder):
    def said(call):
        with pytest.raises(RabitError) as error: call()
        assert "\n" not in str(error.value)
        return str(error.value)
    assert "this is a file" in said(lambda: PictureFolder(folder / "0.png"))
    (folder / "empty.jpg").touch()
    (folder / "text.png").write_text("<html>")
    assert "empty.jpg" in (words := said(lambda: PictureFolder(folder))) and "1 more" in words
    (folder / "empty.jpg").unlink()
    (folder / "text.png").unlink()
    whole = (folder / "0.png").read_bytes()
    (folder / "0.png").write_bytes(whole[:len(whole) // 2])                                    # a whole header, half a picture: found when it is read, and named then
    source = PictureFolder(folder, size=(16, 16), augment=False)
    assert "0.png" in said(lambda: source.batch([0]))
    (folder / "gone").symlink_to(folder / "nowhere.png")
    os.remove(folder / "1.png")
    assert "1.png" in said(lambda: source.batch([1]))                                          # it was there when the source was made
    one = folder / "one"
    one.mkdir()
    (folder / "2.png").rename(one / "a.png")
    assert "one picture only" in said(lambda: PictureFolder(one))
    assert PictureFolder(one, self_share=1., size=(16, 16)).batch(range(3))["paired"].all()
    for wrong, words in ((dict(self_share=2), "self_share=2"), (dict(seed=-1), "seed=-1"), (dict(size=(0, 8)), "0")): assert words in said(lambda: PictureFolder(folder, **wrong))
    assert "no indices" in said(lambda: PictureFolder(one, self_share=1.).batch([]))
    assert "world 'nowhere' is not known" in said(lambda: StyleSource("nowhere"))


def test_records_do_not_depend_on_batch_order_or_thread(folder):
    for source in (StyleSource(seed=5, size=(24, 32)), PictureFolder(folder, size=(24, 32), seed=5)):
        plain = [source.batch([2 * s, 2 * s + 1]) for s in range(6)]
        steps = prefetch(source, 0, 2, workers=3)
        for expected in plain:
            _, record = next(steps)
            assert all(record[k].equal(expected[k]) for k in expected)
        steps.close()
        condition, theirs = conditions_of(plain[0], 3)
        assert condition.shape == theirs.shape == (2, 3, 24, 32) and theirs.equal(plain[0]["exemplar"])


def test_nothing_of_the_answer_is_in_the_content():
    "The content's colours say nothing of the exemplar's style, and a disguise nothing of the picture: correlations over many samples are those of chance."
    r = StyleSource(seed=2, size=(16, 16)).batch(range(300))
    sky = [x[:, :, 0].mean((1, 2)) for x in (r["condition"], r["picture"], r["exemplar"])]
    def together(a, b): return torch.corrcoef(torch.stack([a, b]))[0, 1].item()
    assert abs(together(sky[0], sky[1])) < .2 < .6 < together(sky[2], sky[1])
    rng = np.random.default_rng(0)
    hidden = torch.stack([disguise(p, rng) for p in r["picture"]])
    assert abs(together(hidden[:, :, 0].mean((1, 2)), sky[1])) < .2


@pytest.mark.parametrize("name", worlds())
def test_the_truth_of_every_world_survives_the_change_of_style(name):
    r = StyleSource(name, seed=1, size=(48, 48)).batch(range(6))
    seen, brought = r["visible"], sample_at(r["exemplar"], r["position"])
    errors = {k: (brought - r[k]).abs().mean(1)[seen].mean().item() for k in ("picture", "condition")}
    assert errors["picture"] < .5 * errors["condition"]
    assert all(len(x) == 6 for x in r.values())


@pytest.mark.parametrize("name", systems())
def test_every_system_trains_on_pictures_and_transfers(name, tmp_path, folder):
    config = preset("tiny", **(SETTINGS | dict(builder=systems()[name], model=SMALL[name] | SETTINGS["model"])))
    model = train(config, tmp_path / "run", source=PictureFolder(folder, size=(32, 32)), device="cpu", progress=False)
    again = Translator.from_pretrained(tmp_path / "run")
    painted = [transfer(m, folder / "0.png", folder / "1.png") for m in (model, again)]
    a, b = (np.asarray(p).astype(int) for p in painted)
    assert a.shape == b.shape == (40, 56, 3) and abs(a - b).mean() < 1                         # the layout in memory may change the last bit, and that a match here and there
    rows = style_table({name: again}, StyleSource(seed=1, size=(32, 32)), 4, progress=False)
    assert all(np.isfinite(v) for row in rows.values() for v in row.values())


def test_a_run_goes_on_where_it_stopped_as_if_it_had_not(tmp_path, folder):
    def run(out, steps, config=True): return train(preset("tiny", **(SETTINGS | dict(steps=4))) if config else None, tmp_path / out, steps=None if config else steps,
                                                   source=PictureFolder(folder, size=(32, 32)), device="cpu", progress=False)
    whole = run("whole", 4)
    class Stops(PictureFolder):
        "Ctrl-C comes with the third step"
        def batch(self, indices, device="cpu"):
            if 4 in indices: raise KeyboardInterrupt
            return super().batch(indices, device)
    with pytest.raises(KeyboardInterrupt): train(preset("tiny", **(SETTINGS | dict(steps=4))), tmp_path / "cut", source=Stops(folder, size=(32, 32)), device="cpu", progress=False)
    cut = run("cut", 4, config=False)
    for a, b in zip(whole.state_dict().values(), cut.state_dict().values()): assert a.equal(b)


def test_a_record_without_an_answer_moves_no_term_that_needs_one(folder):
    "pixel, warp and match read nothing of records that are not paired, whatever stands in their pictures."
    from rabit.train import Trainer
    zero = dict.fromkeys(("cycle", "feature", "perceptual", "vgg", "contextual", "mask", "adversarial", "matching", "parse", "own"), 0.)
    trainer = Trainer(preset("tiny", **(SETTINGS | dict(weights=zero))), torch.device("cpu"))
    r = PictureFolder(folder, size=(32, 32), self_share=0.).batch(range(2))
    terms = trainer.generator_terms(r, *conditions_of(r, 3), trainer.model(r["condition"], r["exemplar"]))
    assert set(terms) == {"pixel", "warp", "match"} and all(x.item() == 0 for x in terms.values())


def test_a_matcher_learns_two_styles_from_disguises_alone(folder):
    "Trained on single pictures, disguised and moved, an encoder matches scenes under two styles, which it has never seen, clearly better than one to which all tokens are alike."
    seed_all(0)
    encoder, test = small(width=8, features=16, stride=4).encoder, StyleSource(seed=9, size=(32, 32)).batch(range(32))
    for i, p in enumerate(StyleSource(size=(32, 32)).batch(range(10, 50))["picture"]): to_pil(p).save(folder / f"{i + 10}.png")
    source, optimizer = PictureFolder(folder, size=(32, 32), self_share=1.), torch.optim.Adam(encoder.parameters(), 4e-3)
    def loss(r): return match_loss(encoder.query(r["condition"]), encoder.key(r["exemplar"], r["exemplar_condition"]), r["position"], r["visible"], (32, 32), .1)
    for step in range(120):
        optimizer.zero_grad(); loss(source.batch(range(4 * step, 4 * step + 4))).backward(); optimizer.step()
    with torch.no_grad(): assert loss(test).item() < np.log(64) - .4


def test_transfer_takes_any_two_sizes_and_names_what_it_cannot_take(folder):
    seed_all(0)
    model = small()
    x = StyleSource(size=(17, 33)).batch([0])["condition"]
    for style in (x, to_pil(x), folder / "0.png", str(folder / "1.png")): assert transfer(model, x, style).size == (33, 17)
    Image.new("RGB", (900, 3)).save(folder / "thin.png")
    assert transfer(model, folder / "thin.png", x).size == (900, 3)
    for wrong in (folder / "none.png", folder, x[:, :2], torch.cat([x, x]), 7):
        with pytest.raises(RabitError): transfer(model, wrong, x)
        with pytest.raises(RabitError): transfer(model, x, wrong)
    with pytest.raises(RabitError, match="no size to work at"): transfer(model, x, x, (1, 4))


def test_colour_statistics_are_the_style_objective_of_pixels():
    "Lesson 22's style term, read on pixels, is zero after colour transfer where nothing was clamped."
    from rabit.baselines.dynast import style_statistics
    g = torch.Generator().manual_seed(0)
    x, z = (torch.rand(2, 3, 12, 15, generator=g) - .5 for _ in range(2))
    assert style_statistics(color_transfer(x, z), z) < 1e-5 < style_statistics(x, z)


def test_the_names_of_sources(folder):
    assert style_source("figure", (16, 24), 3).world.name == "figure"
    assert json.loads(json.dumps(style_source("street").size)) == [64, 64]
    assert repr(style_source(folder)) == "PictureFolder(6 contents, 6 styles)"


def test_a_borrowed_look_is_never_the_content_itself_and_seeds_differ(folder):
    for name in ("3.png", "4.png", "5.png"): (folder / name).unlink()                          # three pictures: chance alone would draw the same one often
    settings = dict(size=(24, 32), self_share=0.)
    r = PictureFolder(folder, seed=1, **settings).batch(range(40))
    apart = torch.stack([(r["picture"] - x).abs().mean((1, 2, 3)) for x in (r["exemplar"], r["exemplar"].flip(-1))])
    assert apart.min() > .02                                                                   # nor its mirror image
    other = PictureFolder(folder, seed=2, **settings).batch(range(40))
    assert not any(a.equal(b) for a, b in zip(r["condition"], other["condition"]))
