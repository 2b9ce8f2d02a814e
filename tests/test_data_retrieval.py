# Generated from nbs/4_data/44_retrieval.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import numpy as np
import tempfile
import torch
from PIL import Image
from pathlib import Path
from rabit.core.tensors import to_pil
from rabit.core.trials import fails
from rabit.data.datasets import FolderDataset
from rabit.data.layouts import open_folder
from rabit.data.pair_lists import write_pairs
from rabit.data.pairs import group_of
from rabit.data.pairs import write_walks
from rabit.data.retrieval import deep_features
from rabit.data.retrieval import how_many
from rabit.data.retrieval import image_signature
from rabit.data.retrieval import nearest_of_other_groups
from rabit.data.retrieval import retrieve
from rabit.data.retrieval import retrieve_by_features
from rabit.matching.street import street_pairs
from rabit.networks.features import VGG19
from torch import Tensor

def save(x, path):
    "Store an image (3, h, w) or bytes (h, w[, 3])"
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(x, Tensor) and x.is_floating_point(): to_pil(x).save(path)
    else: Image.fromarray(np.asarray(x, np.uint8)).save(path)


def test_signatures_have_length_1_and_do_not_see_where_things_are():
    r = street_pairs([0, 1], seed=0, size=(64, 64))
    f = [image_signature(r["image"][i], r["labels"][i], 7) for i in (0, 1)]
    mirrored = image_signature(r["image"][0].flip(-1), r["labels"][0].flip(-1), 7)
    torch.testing.assert_close(f[0].norm(), torch.tensor(1.))
    torch.testing.assert_close(mirrored, f[0])
    assert f[0] @ f[1] < .999


def test_retrieval_never_returns_the_own_group_and_k_is_checked():
    with tempfile.TemporaryDirectory() as d:
        dataset = FolderDataset(write_walks(f"{d}/town"), classes=7, size=(32, 32))
        found = retrieve(dataset, k=3, progress=False)
        assert [t for t, _ in found] == dataset.stems
        assert all(group_of(e) != group_of(t) for t, es in found for e in es)
        assert all(len(set(es)) == 3 for _, es in found)
        assert "k=21" in fails(retrieve, dataset, k=21, progress=False)


def test_a_single_group_gives_exemplars_from_far_away():
    features = torch.randn(32, 5, generator=torch.Generator().manual_seed(0))
    far = nearest_of_other_groups(features, ["film"] * 32, how_many(["film"] * 32, 3))
    assert all(abs(i - j) >= 4 for i, js in enumerate(far) for j in js)


def test_a_list_decides_the_exemplars_and_unknown_names_in_it_are_refused():
    with tempfile.TemporaryDirectory() as d:
        root = write_walks(f"{d}/town")
        dataset = FolderDataset(root, classes=7, size=(64, 64))
        chosen = retrieve(dataset, k=1, progress=False)
        pairs = write_pairs(chosen, f"{d}/pairs.txt")
        listed = FolderDataset(root, 7, (64, 64), exemplars=pairs, self_pair_prob=0, augment=False)
        torch.testing.assert_close(listed[2]["exemplar"], dataset.read_pair(chosen[2][1][0])[0])
        write_pairs([(t, ["nowhere"]) for t, _ in chosen], f"{d}/pairs.txt")
        assert "nowhere" in fails(FolderDataset, root, classes=7, size=(64, 64), exemplars=f"{d}/pairs.txt")


def test_retrieval_by_features_finds_the_twin_in_the_other_group():
    with tempfile.TemporaryDirectory() as tmp:
        for i, image in enumerate(street_pairs(range(4), size=(32, 32))["image"]):
            for walk in "ab": save(image, Path(tmp)/f"{walk}_{i}.png")
        dataset = open_folder(tmp, size=(32, 32), augment=False)
        assert dataset.condition == "edges" and len(set(dataset.groups)) == 2
        other = dict(a="b", b="a")
        for network in (lambda x: x[:, :, ::8, ::8], deep_features(VGG19(width=4), "relu3_2")):
            found = dict(retrieve_by_features(dataset, network, k=2, batch_size=3, progress=False))
            assert all(best[0] == other[t[0]] + t[1:] for t, best in found.items())
            assert all(b[0] != t[0] for t, best in found.items() for b in best)
        message = fails(retrieve_by_features, dataset, lambda x: x.mean((2, 3)), k=5, progress=False)
        assert "k=5" in message and "only 4" in message


def test_targets_of_one_split_get_exemplars_of_another_and_never_of_their_own_group():
    with tempfile.TemporaryDirectory() as d:
        whole = write_walks(f"{d}/whole", walks=4, frames=3)
        for kind in ("images", "labels"):
            for f in sorted((whole/kind).iterdir()):
                part = "val" if f.name.startswith("walkA") or f.name == "walkB_02.png" else "train"
                (Path(d)/"town"/part/kind).mkdir(parents=True, exist_ok=True)
                f.rename(Path(d)/"town"/part/kind/f.name)
        val, train = (open_folder(f"{d}/town", None, 7, (32, 32), part, augment=False)
                      for part in ("val", "train"))
        found = dict(retrieve(val, 4, False, pool=train))
        assert list(found) == ["walkA_00", "walkA_01", "walkA_02",
                               "walkB_02"] and {*map(len, found.values())} == {4}
        assert all(e in train.stems and group_of(e) != group_of(t) for t, es in found.items() for e in es)
        deep = retrieve_by_features(val, lambda x: x[:, :, ::8, ::8], 2, progress=False, pool=train)
        assert all(e in train.stems for _, es in deep for e in es)
        pairs = write_pairs([*found.items()], f"{d}/pairs.json")
        listed = open_folder(f"{d}/town", None, 7, (32, 32), "val", exemplars=pairs)
        assert listed[0]["image"].shape == (3, 32, 32) and len(listed) == 4
        assert "cannot tell apart" in fails(retrieve, val, progress=False, pool=val)
