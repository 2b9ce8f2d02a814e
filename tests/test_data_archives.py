# Generated from nbs/4_data/42a_archives.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import numpy as np
import tarfile
import tempfile
import torch
from PIL import Image
from pathlib import Path
from rabit.core.tensors import RabitError
from rabit.core.tensors import to_pil
from rabit.data.archives import TarDataset
from rabit.data.archives import image_in_tar
from rabit.data.archives import read_shard
from rabit.data.datasets import FolderDataset
from rabit.inputs.samples import SceneDataset
from torch.utils.data import DataLoader

def write_shards(folder, count=6):
    "Two archives with the first street scenes, and the same in a plain folder"
    scenes = SceneDataset(size=(16, 16)).batch(range(count))
    for name in ("images", "labels"): (folder/"plain"/name).mkdir(parents=True)
    archives = [tarfile.open(folder/f"{name}.tar", "w") for name in ("a", "b")]
    for i in range(count):
        image, labels = (folder/"plain"/name/f"s{i}_0.png" for name in ("images", "labels"))
        to_pil(scenes["image"][i]).save(image)
        Image.fromarray(scenes["labels"][i].byte().numpy()).save(labels)
        archives[i % 2].add(image, f"x/s{i}_0.png")
        archives[i % 2].add(labels, f"x/s{i}_0.labels.png")
    for archive in archives: archive.close()


def test_an_image_is_read_out_of_the_middle_of_an_archive():
    with tempfile.TemporaryDirectory() as tmp:
        write_shards(Path(tmp))
        found = read_shard(Path(tmp)/"b.tar")
        assert list(found) == ["x/s1_0", "x/s3_0", "x/s5_0"]
        for name, (image, labels) in found.items():
            for place, kind in ((image, "images"), (labels, "labels")):
                plain = Image.open(Path(tmp)/"plain"/kind/f"{name[2:]}.png")
                assert (np.asarray(image_in_tar(*place)) == np.asarray(plain)).all()


def test_samples_in_archives_are_those_in_folders():
    with tempfile.TemporaryDirectory() as tmp:
        place = Path(tmp)
        write_shards(place)
        dataset = TarDataset(place, 7, (16, 16), seed=3)
        plain = FolderDataset(place/"plain", 7, (16, 16), augment=False)
        assert len(dataset) == 6 and dataset.shard_of.tolist() == [0, 0, 0, 1, 1, 1]
        def all_labels(d): return {tuple(d.read_pair(s)[1].flatten().tolist()) for s in d.stems}
        assert all_labels(dataset) == all_labels(plain)
        order = [dataset.target_of(i) for i in range(12)]
        assert sorted(order[:6]) == sorted(order[6:]) == list(range(6)) and order[:6] != order[6:]
        assert len(set(dataset.shard_of[order[:3]])) == 1    # one shard, then the other
        batch, again = dataset.batch([4, 9]), TarDataset(place, 7, (16, 16), seed=3).batch([4, 9])
        assert all(torch.equal(v, again[k]) for k, v in batch.items())
        loaded = next(iter(DataLoader(dataset, batch_size=3, num_workers=1)))
        assert all(torch.equal(v, loaded[k]) for k, v in dataset.batch(range(3)).items())
        (place/"c.tar").write_bytes(b"no archive at all")
        for wrong, word in ((place, "c.tar cannot be read"), (place/"plain", "no .tar")):
            try: TarDataset(wrong, 7, (16, 16))
            except RabitError as e: assert word in str(e)
            else: assert False, wrong
