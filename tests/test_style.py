# Generated from nbs/33_style.ipynb by .ci/export_tests.py: edit the notebook, not this file.
import torch
from rabit.core import RabitError
from rabit.core import to_pil
from rabit.scenes import sample_at
from rabit.scenes import worlds
from rabit.style import PictureFolder
from rabit.style import StyleSource
from rabit.style import color_transfer
from rabit.style import disguise
from rabit.style import find_pictures
from rabit.style import read_cut
from rabit.style import style_source
from rabit.style import style_table
from rabit.style import transfer


def test_a_style_source_gives_the_same_layout_twice_and_the_true_correspondence():
    for name in worlds():
        source = StyleSource(name, seed=3, size=(32, 40))
        record = source.batch(range(4))
        assert record["condition"].shape == record["picture"].shape == (4, 3, 32, 40) and record["exemplar_condition"] is record["exemplar"] and record["paired"].all()
        brought, seen = sample_at(record["exemplar"], record["position"]), record["visible"]
        def far(picture): return (brought - picture).abs().mean(1)[seen].mean()
        assert far(record["picture"]) < .5 * far(record["condition"])                          # the answer has the exemplar's colours, the content has not
        assert all(a.equal(b[2:3]) for a, b in zip(source.batch([2]).values(), record.values()))
        assert not StyleSource(name, seed=4, size=(32, 40)).batch([2])["condition"].equal(record["condition"][2:3])


def test_colour_transfer_gives_the_exemplar_s_moments_whatever_its_size():
    g = torch.Generator().manual_seed(0)
    x, z = .4 * torch.rand(2, 3, 9, 11, generator=g) - .9, .6 * torch.rand(2, 3, 20, 5, generator=g) - .2
    y = color_transfer(x, z)
    torch.testing.assert_close(y.mean((2, 3)), z.mean((2, 3)))
    torch.testing.assert_close(y.std((2, 3), unbiased=False), z.std((2, 3), unbiased=False))
    torch.testing.assert_close(color_transfer(x, x), x)
    flat = torch.zeros(1, 3, 4, 4)
    assert color_transfer(flat, z[:1]).isfinite().all() and color_transfer(flat, z[:1]).var((2, 3)).max() < 1e-6   # nothing to spread
    try: color_transfer(x, z[:1])
    except RabitError as e: assert "2 contents and 1 exemplars" in str(e)
    else: assert False


def test_the_table_knows_the_answer_and_ranks_what_needs_no_learning():
    class Oracle(torch.nn.Module):
        "Not a translator: it has looked at the answers"
        device = torch.device("cpu")
        def __init__(self, source, start, batch): super().__init__(); self.source, self.at, self.batch = source, start, batch
        def forward(self, condition, exemplar, theirs):
            from types import SimpleNamespace
            r = self.source.batch(range(self.at, self.at + len(condition))); self.at += len(condition)
            class Found:
                key_size = exemplar.shape[-2:]
                def argmax(self, size): return r["position"]
            return SimpleNamespace(picture=r["picture"], warped=sample_at(exemplar, r["position"]), confidence=torch.ones_like(condition[:, :1]), match=Found())
    source = StyleSource(seed=1, size=(32, 32))
    rows = style_table(dict(oracle=Oracle(source, 100, 4)), source, 12, 4, 100, progress=False)
    assert list(rows) == ["content unchanged", "colour statistics", "random pixels", "oracle"]
    assert rows["oracle"]["l1"] < 1e-6 and rows["oracle"]["pck"] == 1 and rows["random pixels"]["pck"] < .1
    assert rows["random pixels"]["ssim"] < rows["content unchanged"]["ssim"] and "pck" not in rows["colour statistics"]


def test_a_picture_is_cut_not_squashed_and_folders_without_pictures_are_refused():
    import tempfile
    from pathlib import Path
    from PIL import Image
    folder = Path(tempfile.mkdtemp())
    for wrong, words in ((folder / "none", "no such folder"), (folder, "holds no pictures")):
        try: find_pictures(wrong)
        except RabitError as e: assert words in str(e) and str(wrong) in str(e)
        else: assert False
    wide = Image.new("RGB", (60, 20), "red")
    wide.paste("blue", (20, 0, 40, 20))
    wide.save(folder / "wide.png")
    cut = read_cut(folder / "wide.png", (16, 16))
    assert cut.shape == (3, 16, 16) and (cut[2, :, 2:-2] > .9).all()     # only the blue middle is left
    (folder / "broken.jpg").write_bytes(b"no picture"); (folder / "empty.png").touch()
    try: find_pictures(folder)
    except RabitError as e: assert "broken.jpg" in str(e) and "1 more" in str(e)
    else: assert False


def test_a_disguise_depends_on_colours_alone_and_on_its_source_of_chance():
    import numpy as np
    x = torch.rand(2, 3, 8, 6, generator=torch.Generator().manual_seed(0)) * 2 - 1
    x[..., 4:, :] = x[..., :4, :]
    y = disguise(x, np.random.default_rng(5))
    assert y.shape == x.shape and y.abs().max() <= 1 and y[..., 4:, :].equal(y[..., :4, :])
    assert y.equal(disguise(x, np.random.default_rng(5))) and not y.equal(disguise(x, np.random.default_rng(6)))


def test_records_with_an_answer_are_exact_the_others_claim_nothing_and_all_are_pure_functions_of_the_index():
    import tempfile
    from pathlib import Path
    home = Path(tempfile.mkdtemp())
    for i, p in enumerate(StyleSource(size=(40, 48)).batch(range(5))["picture"]): to_pil(p[None]).save(home / f"{i}.png")
    source = PictureFolder(home, size=(32, 32), seed=2)
    r = source.batch(range(40))
    known = r["paired"]
    assert 8 < known.sum() < 32 and not r["visible"][~known].any() and (r["labels"] == 255).all() and (r["exemplar_labels"] == 255).all()
    brought = sample_at(r["exemplar"], r["position"])
    inside = r["visible"] & known[:, None, None]
    assert (brought - r["picture"]).abs().mean(1)[inside].mean() < .35 * (r["condition"] - r["picture"]).abs().mean(1)[inside].mean()
    assert r["exemplar_condition"].equal(r["exemplar"]) and r["condition"].shape == (40, 3, 32, 32)
    again = PictureFolder(home, size=(32, 32), seed=2).batch([17])
    assert all(again[k].equal(r[k][17:18]) for k in r)
    plain = PictureFolder(home, size=(32, 32), augment=False).batch(range(6))
    assert plain["condition"].equal(plain["picture"]) and not plain["paired"].any() and plain["picture"][5].equal(plain["picture"][0]) and plain["exemplar"][0].equal(plain["picture"][1])


def test_a_name_of_a_world_or_a_folder_with_one_role_or_two_finds_its_source():
    import tempfile
    from pathlib import Path
    home = Path(tempfile.mkdtemp())
    for i, p in enumerate(StyleSource(size=(16, 16)).batch(range(4))["picture"]):
        place = home / ("content" if i else "style") / f"{i}.png"
        place.parent.mkdir(exist_ok=True); to_pil(p[None]).save(place)
    assert isinstance(style_source("street"), StyleSource) and style_source("face", (16, 24), 5).batch([0])["condition"].shape == (1, 3, 16, 24)
    two, one = style_source(home, (16, 16)), style_source(home / "content", (16, 16))
    assert len(two.contents) == 3 and len(two.styles) == 1 and style_source(home, (16, 16), self_share=1.).batch(range(4))["paired"].all() and len(one.contents) == 3 and one.styles is one.contents
    for wrong, words in ((home / "nothing", "no such folder"), (home / "style", "one picture only")):
        try: style_source(wrong)
        except RabitError as e: assert words in str(e)
        else: assert False


def test_transfer_is_translate_for_weights_that_take_photographs_of_any_size_and_refuses_others():
    from rabit.model import rabit
    from rabit.core import RabitError, seed_all
    seed_all(0)
    model = rabit(3, (32, 32), width=4, features=8, condition="picture", position="none")
    content, style = (to_pil(StyleSource(size=size).batch([0])["condition"]) for size in ((24, 40), (50, 30)))
    painted = transfer(model, content, style)
    assert painted.size == (40, 24) and painted.tobytes() == model.translate(content, style).tobytes() == model.translate(content, style, style).tobytes()
    assert transfer(model, content, style, (16, 24)).size == (40, 24)
    try: transfer(rabit(7, (32, 32), width=4, features=8), content, style)
    except RabitError as e: assert "a condition of labels, not a photograph" in str(e)
    else: assert False
