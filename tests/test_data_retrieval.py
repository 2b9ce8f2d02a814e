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
from rabit.data.retrieval import _near
from rabit.data.retrieval import collect_features
from rabit.data.retrieval import deep_features
from rabit.data.retrieval import features_file
from rabit.data.retrieval import how_many
from rabit.data.retrieval import image_signature
from rabit.data.retrieval import nearest_of_other_groups
from rabit.data.retrieval import retrieve
from rabit.data.retrieval import retrieve_by_features
from rabit.data.retrieval import unfinished
from rabit.matching.street import street_pairs
from rabit.networks.features import VGG19
from torch import Tensor

def save(x, path):
    "Store an image (3, h, w) or bytes (h, w[, 3])"
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(x, Tensor) and x.is_floating_point(): to_pil(x).save(path)
    else: Image.fromarray(np.asarray(x, np.uint8)).save(path)

def nearest_slowly(features, groups, k, pool=None, pool_groups=None):
    "The k nearest that may serve, from all cosines at once: the reference"
    f, g = (x / x.norm(dim=1, keepdim=True) for x in (features, features if pool is None else pool))
    cosine = (f @ g.T * 2**24).round()
    near = _near(groups, pool_groups)(torch.arange(len(f)), torch.arange(len(g)))
    return cosine.masked_fill(near, -torch.inf).sort(dim=1, descending=True, stable=True)[1][:, :k].tolist()


def test_signatures_have_length_1_and_do_not_see_where_things_are():
    r = street_pairs([0, 1], seed=0, size=(64, 64))
    f = [image_signature(r["image"][i], r["labels"][i], 7) for i in (0, 1)]
    mirrored = image_signature(r["image"][0].flip(-1), r["labels"][0].flip(-1), 7)
    torch.testing.assert_close(f[0].norm(), torch.tensor(1.))
    torch.testing.assert_close(mirrored, f[0])
    assert f[0] @ f[1] < .999


def test_how_many_exemplars_there_are_is_what_counting_finds():
    for groups, pool in (("aabcc", None), ("aaaa", None), ("a" * 40, None), ("abc", "aabd"), ("a", "bb")):
        every = torch.arange(len(groups)), torch.arange(len(pool or groups))
        counted = int((~_near([*groups], pool and [*pool])(*every)).sum(1).min())
        assert how_many([*groups], None, pool and [*pool]) == min(5, counted), (groups, pool)
        assert f"only {counted} " in fails(how_many, [*groups], counted + 1, pool and [*pool])


def test_blocks_find_what_the_whole_table_has_and_ties_go_to_the_earlier_image():
    random = torch.Generator().manual_seed(0)
    for tied in (False, True):
        f, g = (torch.randn(n, 16, generator=random) for n in (150, 90))
        if tied: f, g = f.sign(), g.sign()
        names, others = ([f"walk{i % 40}" for i in range(n)] for n in (150, 90))
        for groups, pool, theirs in ((names, None, None), (["film"] * 150, None, None), (names, g, others)):
            wanted = nearest_slowly(f, groups, 7, pool, theirs)
            for rows, columns in ((512, 2048), (16, 7), (1, 150), (150, 1)):
                assert nearest_of_other_groups(f, groups, 7, rows, pool, theirs, columns) == wanted
    assert len({tuple(row) for row in f.tolist()}) == 150 and (f @ f.T).unique().numel() <= 17


def test_features_that_were_interrupted_go_on_where_they_were_and_are_those_of_one_go():
    def describe(pairs):
        "Signatures, of so many images at most as `left` says"
        left[0] -= len(pairs)
        if left[0] < 0: raise KeyboardInterrupt
        return torch.stack([image_signature(*p, 7) for p in pairs])

    with tempfile.TemporaryDirectory() as d:
        data, left = FolderDataset(write_walks(f"{d}/town"), classes=7, size=(16, 16)), [24]
        file = features_file(Path(d)/"pairs.json", data, "histograms")
        whole = collect_features(data, describe, 5, False)
        assert left == [0] and not data._cache
        assert torch.equal(whole, torch.stack([image_signature(*data.read_pair(s), 7) for s in data.stems]))
        left = [17]
        try: collect_features(data, describe, 5, False, file)
        except KeyboardInterrupt: pass
        assert file.stat().st_size == 15 * 71 * 4                             # three batches were done
        assert unfinished(Path(d)/"pairs.json") == [file] and not unfinished(Path(d)/"pairs")
        with open(file, "ab") as f: f.write(b"half a row")
        left = [5 + 9]
        assert torch.equal(collect_features(data, describe, 5, False, file), whole) and left == [0]
        assert file != features_file(Path(d)/"pairs.json", data, "VGG19")


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


def test_mates_come_first_and_other_persons_follow():
    with tempfile.TemporaryDirectory() as d:
        views = street_pairs(range(6), size=(16, 16))
        for i, view in enumerate(views["image"]):
            name = f"id_{i // 3:08d}_01_{i % 3}_front" if i else "id_00000007_01_0_front"
            save(view, Path(d)/"images"/f"{name}.png")
            save(views["labels"][i], Path(d)/"labels"/f"{name}.png")
        dataset = open_folder(d, None, 7, (16, 16), augment=False)
        assert dataset.layout.mates and len(set(dataset.groups)) == 3
        lists, others = (dict(retrieve(dataset, 1, False, mates=mates)) for mates in (True, False))
        for t, es in lists.items():
            mates = [s for s in dataset.stems if dataset.are_mates(t, s)]
            assert es == mates + others[t] and len(others[t]) == 1 and others[t][0] not in mates
        assert sorted(map(len, lists.values())) == [1, 2, 2, 3, 3, 3]
        listed = open_folder(d, None, 7, (16, 16), exemplars=write_pairs([*lists.items()], f"{d}/pairs.json"),
                             self_pair_prob=0.)
        paired = sum(bool(listed[i]["paired"]) for i in range(300)) / 300
    assert abs(paired - .8 * 5 / 6) < .08, paired


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
