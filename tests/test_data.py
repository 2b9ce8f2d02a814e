# Generated from nbs/12_data.ipynb by .ci/export_tests.py: edit the notebook, not this file.
import numpy as np
import os
import tempfile
import torch
import warnings
from PIL import Image
from pathlib import Path
from rabit.core import RabitError
from rabit.core import check
from rabit.core import to_pil
from rabit.data import FolderSource
from rabit.data import PALETTES
from rabit.data import SceneSource
from rabit.data import TarSource
from rabit.data import _apart
from rabit.data import _pixels
from rabit.data import ade20k_ids
from rabit.data import camvid_ids
from rabit.data import check_listed
from rabit.data import conditions_of
from rabit.data import find_pairs
from rabit.data import find_splits
from rabit.data import group_of
from rabit.data import inspect_folder
from rabit.data import pick_split
from rabit.data import picture_signature
from rabit.data import prefetch
from rabit.data import pseudo_exemplar
from rabit.data import pull
from rabit.data import push
from rabit.data import random_color
from rabit.data import random_map
from rabit.data import read_labels
from rabit.data import read_pairs
from rabit.data import read_palette
from rabit.data import read_picture
from rabit.data import recolor
from rabit.data import retrieve
from rabit.data import voc_color
from rabit.data import write_pairs
from rabit.scenes import sample_at
from rabit.scenes import street_pairs

def write_walks(root, walks=6, frames=4, step=4, suffix=".png"):
    "Write `walks` rendered sequences of `frames` pictures: root/images and root/labels, names walkA_00, walkA_01, …"
    root, r = Path(root), street_pairs(range(walks), seed=0, size=(64, 64 + step * (frames - 1)))
    for name in ("images", "labels"): (root/name).mkdir(parents=True)
    for i in range(walks):
        for j in range(frames):
            window, stem = slice(step * j, step * j + 64), f"walk{chr(65 + i)}_{j:02d}"
            to_pil(r["picture"][i, :, :, window]).save(root/"images"/f"{stem}{suffix}")
            Image.fromarray(r["labels"][i, :, window].numpy().astype(np.uint8)).save(root/"labels"/f"{stem}.png")
    return root

def fails(f, *args, **kwargs):
    "The message of the `RabitError` that f must raise."
    try: f(*args, **kwargs)
    except RabitError as e: return str(e)
    raise AssertionError(f"{f.__name__} accepted {args}")


def test_scenes_are_a_paired_source_that_depends_on_seed_and_index_alone():
    for name, classes in (("street", 7), ("face", 2), ("figure", 35)):
        scenes = SceneSource(name, seed=0, size=(64, 64))
        r = scenes.batch([5, 9])
        assert r["paired"].all() and scenes.classes == classes and int(r["labels"].max()) < len(scenes.names)
        assert r["picture"].shape == (2, 3, 64, 64) and r["paired"].dtype == torch.bool
        again = scenes.batch([9])
        assert torch.equal(again["picture"][0], r["picture"][1]) and not torch.equal(SceneSource(name, seed=1).batch([9])["picture"], again["picture"])


def test_a_record_s_own_maps_are_its_condition_and_else_its_labels():
    for name in ("street", "face", "figure"):
        scenes = SceneSource(name, size=(32, 48))
        r = scenes.batch([1, 2])
        condition, theirs = conditions_of(r, scenes.classes)
        assert condition.shape == theirs.shape == (2, scenes.classes, 32, 48)
        assert condition is r.get("condition") or torch.equal(condition.argmax(1), r["labels"]) and torch.equal(theirs.argmax(1), r["exemplar_labels"])


def test_every_kind_of_picture_file_becomes_the_same_kind_of_tensor():
    with tempfile.TemporaryDirectory() as d:
        grey = Image.fromarray(np.full((4, 6), 128, np.uint8))
        clear = Image.new("RGBA", (6, 4), (0, 0, 0, 0))
        deep = Image.fromarray(np.full((4, 6), 128 * 257, np.uint16))
        for name, im in (("grey", grey), ("clear", clear), ("deep", deep)): im.save(f"{d}/{name}.png")
        a, b, c = (read_picture(f"{d}/{name}.png") for name in ("grey", "clear", "deep"))
    assert a.shape == (1, 3, 4, 6)
    assert torch.equal(a, c)           # 16 bits are scaled, not cut off
    assert (b == 1).all()              # transparent = white paper


def test_a_photograph_taken_with_the_telephone_upright_is_read_upright():
    with tempfile.TemporaryDirectory() as d:
        lying = Image.new("RGB", (6, 4))
        note = Image.Exif()
        note[0x0112] = 6               # "turn a quarter clockwise to see it upright"
        lying.save(f"{d}/phone.jpg", exif=note)
        assert read_picture(f"{d}/phone.jpg").shape == (1, 3, 6, 4)


def test_what_is_no_picture_is_refused_with_its_name():
    with tempfile.TemporaryDirectory() as d:
        d = Path(d)
        Image.new("RGB", (64, 64), "red").save(d/"whole.png")
        (d/"cut.png").write_bytes((d/"whole.png").read_bytes()[:90])
        (d/"empty.jpg").touch()
        (d/"notes.png").write_text("not a picture")
        for bad in (d/"cut.png", d/"empty.jpg", d/"notes.png", d/"missing.png", d):
            message = fails(read_picture, bad)
            print(message.replace(str(d), "…"))
            assert str(bad) in message


def test_a_picture_beyond_the_limit_of_pixels_is_refused():
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, 1000
    try:
        with tempfile.TemporaryDirectory() as d, warnings.catch_warnings():
            warnings.simplefilter("ignore")    # Pillow's own, up to twice the limit
            for side in (40, 100):             # above the limit, above twice the limit
                Image.new("L", (side, side)).save(f"{d}/big.png")
                assert "big.png claims" in fails(read_picture, f"{d}/big.png")
    finally: Image.MAX_IMAGE_PIXELS = limit


def test_palettes_hold_what_their_sets_say():
    assert [voc_color(i) for i in (0, 1, 15, 255)] == [(0, 0, 0), (128, 0, 0), (192, 128, 128), (224, 224, 192)]
    assert {name: len({*p.values()} - {255}) for name, p in PALETTES.items()} == dict(rabit=24, voc=21, cityscapes=19, camvid=11)
    assert PALETTES["cityscapes"][128, 64, 128] == 0 and PALETTES["camvid"][128, 64, 128] == 3   # road
    assert all(255 in p.values() for p in PALETTES.values())


def test_palettes_are_read_from_lists_and_files_and_refused_with_a_reason():
    with tempfile.TemporaryDirectory() as d:
        files = {"a.txt": "0 128 64 128 road\n1,255,0,0\n\n255 #000000\n", "ids.json": '{"0": [128, 64, 128], "1": "#ff0000", "255": [0, 0, 0]}'}
        for name, text in files.items():
            (Path(d)/name).write_text(text)
            assert read_palette(f"{d}/{name}") == {(128, 64, 128): 0, (255, 0, 0): 1, (0, 0, 0): 255}
        (Path(d)/"names.json").write_text('{"road": "#804080", "sky": [1, 2, 3]}')
        assert read_palette(Path(d)/"names.json") == read_palette([(128, 64, 128), (1, 2, 3)]) == read_palette(np.array([[128, 64, 128], [1, 2, 3]]))
        for text in ("0 128 64", "road 1 2 3", "0 1 2 256", "300 1 2 3", "0 #12345g", "", "0 1 2 3\n1 1 2 3"):
            (Path(d)/"bad.txt").write_text(text)
            message = fails(read_palette, f"{d}/bad.txt")
            print(message.replace(d, "…"))
            assert "bad.txt" in message
    assert "voc" in fails(read_palette, "nowhere") and "camvid" in fails(read_palette, 7)


def test_ids_survive_every_mode_that_can_hold_them():
    with tempfile.TemporaryDirectory() as d:
        ids = np.array([[0, 1, 2], [3, 4, 255]], np.uint8)
        grey, colours = Image.fromarray(ids), Image.fromarray(ids)
        colours.putpalette(bytes(range(256)) * 3)
        files = dict(grey=grey, palette=colours, deep=Image.fromarray(ids.astype(np.uint16)), equal=Image.merge("RGB", [grey] * 3))
        for name, im in files.items():
            im.save(f"{d}/{name}.png")
            assert read_labels(f"{d}/{name}.png", classes=5)[0].tolist() == ids.tolist(), name


def test_labels_that_cannot_be_right_are_refused_with_what_would_fit():
    with tempfile.TemporaryDirectory() as d:
        Image.new("RGB", (4, 4), (128, 64, 127)).save(f"{d}/painted.png")
        Image.fromarray(np.array([[0, 7], [11, 255]], np.uint8)).save(f"{d}/ids.png")
        for name in ("lossy.jpg", "disguised.png"): Image.new("L", (8, 8)).save(f"{d}/{name}", "JPEG")
        for message in (fails(read_labels, f"{d}/painted.png"), fails(read_labels, f"{d}/ids.png", 8), fails(read_labels, f"{d}/lossy.jpg"), fails(read_labels, f"{d}/disguised.png")):
            print(message.replace(d, "…"))
        assert "label id 11" in fails(read_labels, f"{d}/ids.png", 8) and "classes=12 would fit" in fails(read_labels, f"{d}/ids.png", 8)
        read_labels(f"{d}/ids.png", 12)


def test_coloured_maps_of_known_palettes_give_their_ids_and_others_are_asked_about():
    with tempfile.TemporaryDirectory() as d:
        for name, p in PALETTES.items():
            colors, ids = np.array(list(p), np.uint8)[None], [*p.values()]
            Image.fromarray(colors).save(f"{d}/{name}.png")
            assert read_labels(f"{d}/{name}.png")[0, 0].tolist() == ids == read_labels(f"{d}/{name}.png", palette=name)[0, 0].tolist()
        Image.fromarray(np.array([[[128, 64, 128], [0, 0, 0]]], np.uint8)).save(f"{d}/road.png")
        message = fails(read_labels, f"{d}/road.png")
        print(message.replace(d, "…"))
        assert "cityscapes and camvid" in message and "#804080 (1 px)" in message and "--palette" in message
        assert read_labels(f"{d}/road.png", palette="camvid").tolist() == [[[3, 255]]] and read_labels(f"{d}/road.png", palette=[(0, 0, 0), (128, 64, 128)]).tolist() == [[[1, 0]]]
        assert "repeat after 24" in fails(read_labels, f"{d}/rabit.png", 150)


def test_layouts_are_recognised_and_a_missing_choice_is_answered_with_the_choices():
    with tempfile.TemporaryDirectory() as d:
        for split in ("spring", "autumn"): write_walks(f"{d}/{split}", walks=1, frames=2)
        assert list(find_splits(d)) == ["autumn", "spring"]
        assert "autumn, spring" in fails(pick_split, d)
        assert "'winter'" in fails(pick_split, d, "winter")
        assert pick_split(f"{d}/spring") == ""
        assert "images/ and labels/" in fails(pick_split, tempfile.mkdtemp(dir=d))


def test_the_layouts_of_the_public_sets_are_recognised():
    with tempfile.TemporaryDirectory() as d:
        for p in ("ade/images/training/a.jpg", "ade/annotations/training/a.png", "flat/a.jpg", "flat/a.png",
                  "celeba/CelebA-HQ-img/77.jpg", "celeba/CelebAMask-HQ-mask-anno/all_parts_except_glasses/00077.png"):
            os.makedirs(os.path.dirname(f"{d}/{p}"), exist_ok=True)
            Image.new("L", (8, 8)).save(f"{d}/{p}")
        assert list(find_splits(f"{d}/ade")) == ["training"]
        assert list(find_pairs(f"{d}/flat")) == ["a"]
        assert find_pairs(f"{d}/celeba")["77"][1].name == "00077.png"


def test_pairs_are_found_by_name_and_a_missing_partner_is_named():
    with tempfile.TemporaryDirectory() as d:
        root = write_walks(f"{d}/town", walks=2, frames=2)
        assert list(find_pairs(root)) == ["walkA_00", "walkA_01", "walkB_00", "walkB_01"]
        (root/"labels"/"walkA_01.png").unlink()
        (root/"labels"/"walkB_01.png").unlink()
        message = fails(find_pairs, root)
        print(message.replace(d, "…"))
    assert "walkA_01.png" in message and "1 more" in message


def test_exemplars_come_from_other_groups_or_from_far_away_in_a_single_film():
    assert [group_of(s) for s in ("mall3_04350", "bern/bern_000001_000019", "holiday")] == ["mall3", "bern/bern_000001", "holiday"]
    assert _apart(["a", "a", "b"], 0).tolist() == [2]
    assert _apart(["film"] * 32, 10).tolist() == [*range(7), *range(14, 32)]


def test_pull_undoes_push():
    for seed in range(5):
        m, points = random_map(np.random.default_rng(seed), (48, 64)), _pixels((48, 64))
        torch.testing.assert_close(pull(push(points, m), m), points, atol=1e-6, rtol=0)
    m = random_map(np.random.default_rng(0), (48, 64), strength=0)
    moved = push(points, m)            # strength 0 leaves at most a mirror
    stayed, mirrored = (moved - points)[..., 0].abs().max(), (63 - moved - points)[..., 0].abs().max()
    assert min(stayed, mirrored) < 1e-6


def test_the_exemplar_shows_each_visible_target_pixel_at_its_position():
    r = street_pairs(range(4), seed=0, size=(64, 64))
    for i in range(4):
        m = random_map(np.random.default_rng(i), (64, 64))
        e = pseudo_exemplar(r["picture"][i], r["labels"][i], m)
        found = sample_at(e["exemplar"][None], e["position"][None])[0]
        right, shuffled = ((found - x).abs().mean(0)[e["visible"]].mean() for x in (r["picture"][i], r["picture"][i].flip(-1)))
        assert right < .1 and shuffled > 2 * right
        labels = sample_at(e["exemplar_labels"][None, None].float(), e["position"][None])[0, 0].round().long()
        assert (labels == r["labels"][i])[e["visible"]].float().mean() > .9


def test_recolouring_keeps_the_range_and_does_nothing_at_strength_0():
    x = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    rng = np.random.default_rng(0)
    torch.testing.assert_close(recolor(x, random_color(rng, strength=0)), x)
    y = recolor(x, random_color(rng))
    assert y.min() >= -1 and y.max() <= 1 and (y - x).abs().mean() > .05
    grey = recolor(x, dict(gain=np.ones(3), bias=np.zeros(3), gamma=np.ones(3), saturation=0.))
    torch.testing.assert_close(grey[0], grey[2])


def test_the_same_index_gives_the_same_record_in_any_batch_and_any_source_of_that_seed():
    with tempfile.TemporaryDirectory() as d:
        root = write_walks(f"{d}/town")
        a, b = (FolderSource(root, classes=7, size=(32, 48), seed=1) for _ in range(2))
        x, y = a.batch([3, 40, 41]), b.batch([40])
        assert all(torch.equal(x[k][1], y[k][0]) for k in x)
        other = FolderSource(root, classes=7, size=(32, 48), seed=2).batch([40])
        assert not torch.equal(other["picture"], y["picture"])


def test_an_epoch_shows_every_picture_once_and_the_next_one_in_another_order():
    with tempfile.TemporaryDirectory() as d:
        source = FolderSource(write_walks(f"{d}/town"), classes=7, size=(16, 16))
        n = len(source)
        first, second = ([source._target_of(i) for i in range(e * n, (e + 1) * n)] for e in (0, 1))
        assert sorted(first) == sorted(second) == list(range(n)) and first != second


def test_pseudo_pairs_come_in_the_wanted_share_and_only_they_are_paired():
    with tempfile.TemporaryDirectory() as d:
        source = FolderSource(write_walks(f"{d}/town"), classes=7, size=(16, 16), self_share=.3)
        r = source.batch(range(400))
        assert abs(float(r["paired"].float().mean()) - .3) < .08
        assert torch.equal(r["visible"].flatten(1).any(1), r["paired"])


def test_without_augmentation_pictures_come_as_they_are_and_in_order():
    with tempfile.TemporaryDirectory() as d:
        root = write_walks(f"{d}/town")
        source = FolderSource(root, classes=7, size=(64, 64), self_share=0, augment=False)
        r = source.batch([0, 5])
        for i, stem in enumerate(("walkA_00", "walkB_01")):
            torch.testing.assert_close(r["picture"][i:i + 1], read_picture(root/"images"/f"{stem}.png"))
            assert torch.equal(r["labels"][i:i + 1], read_labels(root/"labels"/f"{stem}.png"))


def test_ids_are_shifted_or_ignored_on_request():
    assert ade20k_ids(torch.tensor([[0, 1, 150]])).tolist() == [[255, 0, 149]] and camvid_ids(torch.tensor([[0, 10, 11]])).tolist() == [[0, 10, 255]]
    with tempfile.TemporaryDirectory() as d:
        root = write_walks(f"{d}/town")
        source = FolderSource(root, classes=7, size=(16, 16), ignore=(0, 3))
        found = source.batch(range(24))["labels"].unique().tolist()
        assert 255 in found and not {0, 3} & set(found)


def test_folders_that_do_not_fit_are_refused_with_the_first_offender():
    with tempfile.TemporaryDirectory() as d:
        root = write_walks(f"{d}/town", walks=2)
        m1 = fails(FolderSource(root, classes=3, size=(16, 16)).batch, range(8))
        Image.new("RGB", (60, 64)).save(root/"images"/"walkA_00.png")
        m2 = fails(FolderSource, root, classes=7, size=(16, 16))
        (root/"images"/"walkA_00.png").write_bytes(b"")
        m3 = fails(FolderSource, root, classes=7, size=(16, 16))
        for x in ("images", "labels"): os.makedirs(f"{d}/bare/{x}")
        m4 = fails(FolderSource, f"{d}/bare", classes=7, size=(16, 16))
        for m in (m1, m2, m3, m4): print(m.replace(d, "…"))
    assert "classes=" in m1 and "60×64" in m2 and "is empty" in m3 and "holds no pictures" in m4
    assert "classes=0" in fails(FolderSource, ".", classes=0, size=(16, 16))


def test_signatures_have_length_1_and_do_not_see_where_things_are():
    r = street_pairs([0, 1], seed=0, size=(64, 64))
    f = [picture_signature(r["picture"][i], r["labels"][i], 7) for i in (0, 1)]
    mirrored = picture_signature(r["picture"][0].flip(-1), r["labels"][0].flip(-1), 7)
    torch.testing.assert_close(f[0].norm(), torch.tensor(1.))
    torch.testing.assert_close(mirrored, f[0])
    assert f[0] @ f[1] < .999


def test_retrieval_never_returns_the_own_sequence_and_k_is_checked():
    with tempfile.TemporaryDirectory() as d:
        source = FolderSource(write_walks(f"{d}/town"), classes=7, size=(32, 32))
        found = retrieve(source, k=3, progress=False)
        assert [t for t, _ in found] == source.stems
        assert all(group_of(e) != group_of(t) for t, es in found for e in es) and all(len(set(es)) == 3 for _, es in found)
        assert "k=21" in fails(retrieve, source, k=21, progress=False)


def test_names_that_a_list_would_give_back_as_others_are_refused():
    with tempfile.TemporaryDirectory() as d:
        for name in (" a", "a.png", "a\\b"): assert repr(name) in fails(write_pairs, [(name, ["b"])], f"{d}/pairs.json")
        for name in ("a,b", "a\nb"):
            assert ".json" in fails(write_pairs, [("b", [name])], f"{d}/pairs.txt")
            assert read_pairs(write_pairs([("b", [name])], f"{d}/pairs.json")) == [("b", [name])]
        check_listed(["walk_1", "ü 图"], ".txt")


def test_lists_of_pairs_survive_a_round_trip_and_windows_separators():
    with tempfile.TemporaryDirectory() as d:
        chosen = [("a/x", ["b/y", "c/z"]), ("b/y", ["a/x"])]
        for name in ("pairs.json", "pairs.txt"): assert read_pairs(write_pairs(chosen, f"{d}/{name}")) == chosen
        Path(f"{d}/old.txt").write_text("img\\WOMEN\\02_front.jpg,img\\WOMEN\\03_back.jpg\r\n")
        assert read_pairs(f"{d}/old.txt") == [("img/WOMEN/02_front", ["img/WOMEN/03_back"])]
        Path(f"{d}/bad.txt").write_text("a,b\nno comma\n")
        assert "line 2" in fails(read_pairs, f"{d}/bad.txt")


def test_a_list_decides_the_exemplars_and_unknown_names_in_it_are_refused():
    with tempfile.TemporaryDirectory() as d:
        root = write_walks(f"{d}/town")
        source = FolderSource(root, classes=7, size=(64, 64))
        chosen = retrieve(source, k=1, progress=False)
        listed = FolderSource(root, classes=7, size=(64, 64), exemplars=write_pairs(chosen, f"{d}/pairs.txt"), self_share=0, augment=False)
        torch.testing.assert_close(listed.batch([2])["exemplar"][0], source.read_pair(chosen[2][1][0])[0])
        write_pairs([(t, ["nowhere"]) for t, _ in chosen], f"{d}/pairs.txt")
        assert "nowhere" in fails(FolderSource, root, classes=7, size=(64, 64), exemplars=f"{d}/pairs.txt")


def test_a_report_counts_each_kind_of_trouble_and_names_the_first_offender():
    with tempfile.TemporaryDirectory() as d:
        root = write_walks(f"{d}/town")
        assert inspect_folder(root, classes=7)["fits"]
        (root/"labels"/"walkA_00.png").unlink()
        (root/"images"/"walkB_00.png").write_text("no picture")
        Image.new("RGB", (32, 32)).save(root/"images"/"walkC_00.png")
        report = inspect_folder(root, classes=6)
        print(str(report).replace(d, "…"))
    found = {k: len(v) for k, v in report["splits"][""]["problems"].items()}
    assert not report["fits"] and found["pictures without labels"] == found["unreadable"] == found["sizes differ"] == 1
    assert found["label ids out of range"] > 1 and report["splits"][""]["classes_needed"] == 7
    assert not inspect_folder("/no/such/folder")["fits"]


def test_a_folder_says_what_the_colours_of_its_maps_mean():
    with tempfile.TemporaryDirectory() as d:
        root = write_walks(f"{d}/town", walks=2)
        ids = {f: read_labels(f)[0] for f in sorted((root/"labels").iterdir())}
        for f, own in ids.items(): Image.fromarray(torch.tensor([[250, 100 + i, 10 * i] for i in range(7)], dtype=torch.uint8)[own].numpy()).save(f)
        assert "palette.txt" in fails(FolderSource(root, classes=7, size=(16, 16)).batch, range(2)) and not inspect_folder(root)["fits"]
        (root/"palette.txt").write_text("".join(f"{i} 250 {100 + i} {10 * i} class {i}\n" for i in range(7)))
        source = FolderSource(root, classes=7, size=ids[next(iter(ids))].shape, augment=False)
        assert inspect_folder(root, classes=7)["fits"] and all(torch.equal(source.read_pair(f.stem)[1], own) for f, own in ids.items())
        (root/"palette.json").write_text("{}")
        assert "one of them" in fails(FolderSource, root, 7, (16, 16)) and "one of them" in str(inspect_folder(root))
        (root/"palette.txt").unlink()
        assert "palette.json" in str(inspect_folder(root))


def test_records_in_archives_are_those_in_folders():
    import tarfile
    def shards(folder, count=6):
        "Two archives with the first street scenes, and the same in a plain folder"
        scenes = SceneSource(size=(16, 16)).batch(range(count))
        for name in ("images", "labels"): (folder / "plain" / name).mkdir(parents=True)
        archives = [tarfile.open(folder / f"{name}.tar", "w") for name in ("a", "b")]
        for i in range(count):
            picture, labels = folder / "plain" / "images" / f"s{i}_0.png", folder / "plain" / "labels" / f"s{i}_0.png"
            to_pil(scenes["picture"][i]).save(picture); Image.fromarray(scenes["labels"][i].byte().numpy()).save(labels)
            archives[i % 2].add(picture, f"x/s{i}_0.png"); archives[i % 2].add(labels, f"x/s{i}_0.labels.png")
        for archive in archives: archive.close()
    with tempfile.TemporaryDirectory() as tmp:
        place = Path(tmp)
        shards(place)
        source, plain = TarSource(place, 7, (16, 16), seed=3), FolderSource(place / "plain", 7, (16, 16), augment=False)
        assert len(source) == 6 and set(source.shard_of.tolist()) == {0, 1}
        whole = {tuple(plain.read_pair(s)[1].flatten().tolist()) for s in plain.stems}
        assert {tuple(source.read_pair(s)[1].flatten().tolist()) for s in source.stems} == whole
        order = [source._target_of(i) for i in range(12)]
        assert sorted(order[:6]) == sorted(order[6:]) == list(range(6)) and order[:6] != order[6:]
        assert len(set(source.shard_of[order[:3]])) == 1                                          # one shard, then the other
        again = TarSource(place, 7, (16, 16), seed=3)
        one, two = source.batch([4, 9]), again.batch([4, 9])
        assert all(torch.equal(v, two[k]) for k, v in one.items())
        assert inspect_folder(place)["fits"] and "a.tar: 3 records" in str(inspect_folder(place))
        (place / "c.tar").write_bytes(b"no archive at all")
        assert not inspect_folder(place)["fits"] and "c.tar cannot be read" in str(inspect_folder(place))
        for wrong, word in ((place, "c.tar cannot be read"), (place / "plain", "no .tar")):
            try: TarSource(wrong, 7, (16, 16)); said = ""
            except RabitError as e: said = str(e)
            assert word in said, said


def test_batches_arrive_in_order_and_are_the_ones_that_batch_makes():
    import threading
    scenes = SceneSource(size=(16, 16))
    for workers in (0, 1, 3):
        steps = prefetch(scenes, start=5, batch=2, workers=workers)
        got = [next(steps) for _ in range(4)]
        steps.close()
        assert [s for s, _ in got] == [5, 6, 7, 8]
        assert torch.equal(got[3][1]["picture"], scenes.batch([16, 17])["picture"])
    assert not any(t.name.startswith("rabit-data") for t in threading.enumerate())


def test_processes_share_a_step_without_gaps():
    class Counted:
        def batch(self, indices, device): return list(indices)
    shares = [next(prefetch(Counted(), 5, 6, share=(rank, 3), workers=0)) for rank in range(3)]
    assert shares == [(5, [30, 31]), (5, [32, 33]), (5, [34, 35])]
    try: next(prefetch(Counted(), 0, 4, share=(0, 3), workers=0)); said = ""
    except ValueError as e: said = str(e)
    assert "4 records" in said and "multiple of 3" in said


def test_an_error_in_the_background_appears_where_the_batch_is_asked_for():
    class Breaks:
        "A source whose sample 6 is broken."
        def batch(self, indices, device):
            check(6 not in indices, "sample 6 is broken")
            return dict(picture=torch.zeros(len(indices), 3, 4, 4))

    steps = prefetch(Breaks(), start=0, batch=2)
    assert [next(steps)[0] for _ in range(3)] == [0, 1, 2]
    assert fails(next, steps) == "sample 6 is broken"
