# Generated from nbs/4_data/46_style_data.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import numpy as np
import tempfile
import torch
from PIL import Image
from pathlib import Path
from rabit.core.tensors import RabitError
from rabit.core.tensors import sample_at
from rabit.core.tensors import to_pil
from rabit.data.style_data import ImageFolder
from rabit.data.style_data import StyleDataset
from rabit.data.style_data import find_images
from rabit.data.style_data import photometric_augment
from rabit.data.style_data import read_cropped
from rabit.data.style_data import style_dataset
from rabit.inputs.samples import worlds
from torch.utils.data import DataLoader


def test_a_style_dataset_gives_the_same_layout_twice_and_the_true_correspondence():
    for name in worlds():
        dataset = StyleDataset(name, seed=3, size=(32, 40))
        batch = dataset.batch(range(4))
        assert batch["condition"].shape == batch["image"].shape == (4, 3, 32, 40)
        assert batch["exemplar_condition"] is batch["exemplar"] and batch["paired"].all()
        brought, seen = sample_at(batch["exemplar"], batch["position"]), batch["visible"]
        def far(image): return (brought - image).abs().mean(1)[seen].mean()
        # the answer has the exemplar's colors, the content has not
        assert far(batch["image"]) < .5 * far(batch["condition"])
        assert all(a.equal(b[2:3]) for a, b in zip(dataset.batch([2]).values(), batch.values()))
        assert all(dataset[2][k].equal(batch[k][2]) for k in batch)
        other = StyleDataset(name, seed=4, size=(32, 40)).batch([2])
        assert not other["condition"].equal(batch["condition"][2:3])


def test_an_image_is_cut_not_squashed_and_folders_without_images_are_refused():
    folder = Path(tempfile.mkdtemp())
    for wrong, words in ((folder / "none", "no such folder"), (folder, "holds no images")):
        try: find_images(wrong)
        except RabitError as e: assert words in str(e) and str(wrong) in str(e)
        else: assert False
    wide = Image.new("RGB", (60, 20), "red")
    wide.paste("blue", (20, 0, 40, 20))
    wide.save(folder / "wide.png")
    cut = read_cropped(folder / "wide.png", (16, 16))
    assert cut.shape == (3, 16, 16) and (cut[2, :, 2:-2] > .9).all()  # only the blue middle is left
    (folder / "broken.jpg").write_bytes(b"no image")
    (folder / "empty.png").touch()
    try: find_images(folder)
    except RabitError as e: assert "broken.jpg" in str(e) and "1 more" in str(e)
    else: assert False


def test_a_photometric_augmentation_depends_on_colors_alone_and_on_its_source_of_chance():
    x = torch.rand(2, 3, 8, 6, generator=torch.Generator().manual_seed(0)) * 2 - 1
    x[..., 4:, :] = x[..., :4, :]
    y = photometric_augment(x, np.random.default_rng(5))
    assert y.shape == x.shape and y.abs().max() <= 1 and y[..., 4:, :].equal(y[..., :4, :])
    assert (y.equal(photometric_augment(x, np.random.default_rng(5)))
            and not y.equal(photometric_augment(x, np.random.default_rng(6))))


def test_samples_with_an_answer_are_exact_the_others_claim_nothing_and_all_are_pure_functions_of_the_index():
    home = Path(tempfile.mkdtemp())
    for i, p in enumerate(StyleDataset(size=(40, 48)).batch(range(5))["image"]):
        to_pil(p[None]).save(home / f"{i}.png")
    dataset = ImageFolder(home, size=(32, 32), seed=2)
    r = dataset.batch(range(40))
    known = r["paired"]
    assert 8 < known.sum() < 32 and not r["visible"][~known].any()
    assert (r["labels"] == 255).all() and (r["exemplar_labels"] == 255).all()
    brought = sample_at(r["exemplar"], r["position"])
    inside = r["visible"] & known[:, None, None]
    def far(image): return (image - r["image"]).abs().mean(1)[inside].mean()
    assert far(brought) < .35 * far(r["condition"])
    assert r["exemplar_condition"].equal(r["exemplar"]) and r["condition"].shape == (40, 3, 32, 32)
    again = ImageFolder(home, size=(32, 32), seed=2)
    assert all(again.batch([17])[k].equal(r[k][17:18]) and again[17][k].equal(r[k][17]) for k in r)
    plain = ImageFolder(home, size=(32, 32), augment=False).batch(range(6))
    assert plain["condition"].equal(plain["image"]) and not plain["paired"].any()
    assert plain["image"][5].equal(plain["image"][0]) and plain["exemplar"][0].equal(plain["image"][1])


def test_a_dataloader_with_workers_gives_the_same_batches():
    home = Path(tempfile.mkdtemp())
    for i, p in enumerate(StyleDataset(size=(32, 32)).batch(range(4))["image"]):
        to_pil(p[None]).save(home / f"{i}.png")
    for dataset in (ImageFolder(home, size=(32, 32)), StyleDataset(size=(32, 32), length=4)):
        for i, batch in enumerate(DataLoader(dataset, batch_size=2, num_workers=1)):
            assert all(batch[k].equal(v) for k, v in dataset.batch([2 * i, 2 * i + 1]).items())
        assert i == 1


def test_label_maps_beside_photographs_are_no_contents():
    with tempfile.TemporaryDirectory() as d:
        for name in (
            "JPEGImages/a.jpg",
            "JPEGImages/b.jpg",
            "SegmentationClass/a.png",
            "SegmentationClass/b.png",
        ):
            (Path(d) / name).parent.mkdir(exist_ok=True)
            Image.new("L", (8, 8)).save(Path(d) / name)
        assert [f.name for f in style_dataset(d, (8, 8)).contents] == ["a.jpg", "b.jpg"]
        assert [f.name for f in style_dataset(f"{d}/JPEGImages", (8, 8)).contents] == ["a.jpg", "b.jpg"]


def test_a_name_of_a_world_or_a_folder_with_one_role_or_two_finds_its_dataset():
    home = Path(tempfile.mkdtemp())
    for i, p in enumerate(StyleDataset(size=(16, 16)).batch(range(4))["image"]):
        place = home / ("content" if i else "style") / f"{i}.png"
        place.parent.mkdir(exist_ok=True)
        to_pil(p[None]).save(place)
    assert isinstance(style_dataset("street"), StyleDataset)
    assert style_dataset("face", (16, 24), 5).batch([0])["condition"].shape == (1, 3, 16, 24)
    two, one = style_dataset(home, (16, 16)), style_dataset(home / "content", (16, 16))
    assert len(two.contents) == 3 and len(two.styles) == 1
    assert style_dataset(home, (16, 16), self_pair_prob=1.).batch(range(4))["paired"].all()
    assert len(one.contents) == 3 and one.styles is one.contents
    for wrong, words in ((home / "nothing", "no such folder"), (home / "style", "one image only")):
        try: style_dataset(wrong)
        except RabitError as e: assert words in str(e)
        else: assert False
