# Generated from nbs/4_data/42_datasets.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import numpy as np
import os
import tempfile
import torch
from PIL import Image
from pathlib import Path
from rabit.core.trials import fails
from rabit.data.datasets import FolderDataset
from rabit.data.datasets import FolderPairs
from rabit.data.datasets import FolderReader
from rabit.data.pairs import folder_layout
from rabit.data.pairs import write_walks
from rabit.inputs.images import read_image
from rabit.inputs.palettes import read_labels
from torch.utils.data import DataLoader

folder = tempfile.TemporaryDirectory()
town = write_walks(Path(folder.name)/"town")   # six walks through a street, four frames each, as in 40


def test_a_reader_gives_what_its_files_hold_and_decodes_each_of_them_once():
    reader = FolderReader(town, folder_layout(town), None, 7, (64, 64))
    stem = "walkB_02"
    image, labels = reader.read_pair(stem)
    assert torch.equal(image[None], read_image(town/"images"/f"{stem}.png"))
    assert torch.equal(labels[None], read_labels(town/"labels"/f"{stem}.png"))
    assert list(reader._cache) == [stem] and reader._cache_left == 2**30 - 64 * 64 * 4
    assert reader.read_points(stem) is None and reader.names == tuple("0123456")
    named = FolderReader(town, folder_layout(town), None, 7, (64, 64), names=("sky", "building"))
    assert named.names == ("sky", "building", "2", "3", "4", "5", "6")
    assert reader.file_list()[0] == f"walkA_00 image {(town/'images'/'walkA_00.png').stat().st_size}"
    edges = FolderReader(town, folder_layout(town), None, 7, (64, 64), "edges", cache_bytes=0)
    assert edges.classes == 2 and edges.describe(*edges.read_pair(stem), None).shape == (2, 64, 64)
    assert edges._cache == {}


def test_exemplars_come_from_other_walks_and_a_list_decides_where_there_is_one():
    pairs = FolderPairs(town, classes=7, size=(16, 16), seed=1)
    rng = np.random.default_rng(0)
    chosen = [pairs.exemplar_of(i, rng) for i in range(len(pairs))]
    assert all(pairs.layout.group(e) != pairs.groups[i] for i, e in enumerate(chosen))
    assert not pairs.are_mates("walkA_00", "walkA_01") and pairs.swap is None
    with tempfile.TemporaryDirectory() as d:
        (Path(d)/"list.txt").write_text("".join(f"{s},walkF_03\n" for s in pairs.stems))
        listed = FolderPairs(town, classes=7, size=(16, 16), exemplars=Path(d)/"list.txt")
        assert {listed.exemplar_of(i, rng) for i in range(len(listed))} == {"walkF_03"}


def test_the_same_index_gives_the_same_sample_in_any_batch_and_any_dataset_of_that_seed():
    a, b = (FolderDataset(town, classes=7, size=(32, 48), seed=1) for _ in range(2))
    x, y = a.batch([3, 40, 41]), b[40]
    assert all(torch.equal(x[k][1], y[k]) for k in x)
    assert not torch.equal(FolderDataset(town, classes=7, size=(32, 48), seed=2)[40]["image"], y["image"])


def test_a_dataloader_with_workers_gives_the_samples_of_an_epoch():
    dataset = FolderDataset(town, classes=7, size=(16, 16), seed=1)
    loaded = list(DataLoader(dataset, batch_size=8, num_workers=2))
    assert len(loaded) == len(dataset) / 8 == 3
    for i, batch in enumerate(loaded):
        wanted = dataset.batch(range(8 * i, 8 * i + 8))
        assert batch.keys() == wanted.keys() and all(torch.equal(batch[k], wanted[k]) for k in wanted)
    assert len(list(dataset)) == len(dataset) and torch.equal(dataset[-1]["image"], dataset[23]["image"])


def test_an_epoch_shows_every_image_once_and_the_next_one_in_another_order():
    dataset = FolderDataset(town, classes=7, size=(16, 16))
    n = len(dataset)
    first, second = ([dataset.target_of(i) for i in range(e * n, (e + 1) * n)] for e in (0, 1))
    assert sorted(first) == sorted(second) == list(range(n)) and first != second


def test_pseudo_pairs_come_as_often_as_wanted_and_only_they_are_paired():
    batch = FolderDataset(town, classes=7, size=(16, 16), self_pair_prob=.3).batch(range(400))
    assert abs(float(batch["paired"].float().mean()) - .3) < .08
    assert torch.equal(batch["visible"].flatten(1).any(1), batch["paired"])


def test_without_augmentation_images_come_as_they_are_and_in_order():
    batch = FolderDataset(town, 7, (64, 64), self_pair_prob=0, augment=False).batch([0, 5])
    for i, stem in enumerate(("walkA_00", "walkB_01")):
        torch.testing.assert_close(batch["image"][i:i + 1], read_image(town/"images"/f"{stem}.png"))
        assert torch.equal(batch["labels"][i:i + 1], read_labels(town/"labels"/f"{stem}.png"))
    groups = FolderDataset(town, 7, (16, 16), self_pair_prob=.5).batch(range(48))
    own = groups["exemplar_group"] == groups["group"]
    assert torch.equal(own, groups["paired"]) and 0 < own.sum() < 48
    assert len(set(groups["group"].tolist())) == len(set(FolderDataset(town, 7, (16, 16)).groups))


def test_a_moved_image_keeps_its_labels_and_the_strength_is_none_unless_it_is_asked_for():
    still = dict(self_pair_prob=0, color_jitter_prob=0)
    sets = [FolderDataset(town, 7, (64, 64), geometric=g, **still) for g in (0., .5)]
    files = torch.stack([sets[0].read_pair(stem)[0] for stem in sets[0].stems])
    files = torch.cat([files, files.flip(-1)])
    still, moved = (one.batch(range(24)) for one in sets)
    def as_stored(part): return [bool((x == files).flatten(1).all(1).any()) for x in part["image"]]
    assert all(as_stored(still)) and not any(as_stored(moved))
    def brightness(part): return torch.stack([part["image"].mean(1)[part["labels"] == c].mean() for c in (0, 3)])
    assert (brightness(still) - brightness(moved)).abs().max() < .1   # of the sky, and of the road
    assert "geometric=3" in fails(FolderDataset, town, 7, (16, 16), geometric=3)


def test_ids_are_shifted_or_ignored_on_request():
    found = FolderDataset(town, 7, (16, 16), ignore=(0, 3)).batch(range(24))["labels"].unique().tolist()
    assert 255 in found and not {0, 3} & set(found)
    shifted = FolderDataset(town, 7, (16, 16), relabel=lambda ids: torch.where(ids == 0, 255, ids - 1))
    assert 6 not in shifted.batch(range(24))["labels"].unique().tolist()


def test_folders_that_do_not_fit_are_refused_with_the_first_offender():
    with tempfile.TemporaryDirectory() as d:
        root = write_walks(f"{d}/town", walks=2)
        m1 = fails(FolderDataset(root, classes=3, size=(16, 16)).batch, range(8))
        Image.new("RGB", (60, 64)).save(root/"images"/"walkA_00.png")
        m2 = fails(FolderDataset, root, classes=7, size=(16, 16))
        (root/"images"/"walkA_00.png").write_bytes(b"")
        m3 = fails(FolderDataset, root, classes=7, size=(16, 16))
        for x in ("images", "labels"): os.makedirs(f"{d}/bare/{x}")
        m4 = fails(FolderDataset, f"{d}/bare", classes=7, size=(16, 16))
        for m in (m1, m2, m3, m4): print(m.replace(d, "…"))
    assert "classes=" in m1 and "60×64" in m2 and "is empty" in m3 and "holds no images" in m4
    assert "classes=0" in fails(FolderDataset, ".", classes=0, size=(16, 16))
