# Generated from nbs/13_model.ipynb by .ci/export_tests.py: edit the notebook, not this file.
import numpy as np
import torch
from PIL import Image
from pathlib import Path
from rabit.core import RabitError
from rabit.core import crop_to
from rabit.core import one_hot
from rabit.core import pixel_grid
from rabit.core import resize
from rabit.core import seed_all
from rabit.core import to_pil
from rabit.data import SceneSource
from rabit.data import conditions_of
from rabit.data import read_labels
from rabit.data import read_picture
from rabit.match import dense_match
from rabit.model import BilevelMatcher
from rabit.model import Translator
from rabit.model import build
from rabit.model import check_weights
from rabit.model import enlarge
from rabit.model import find_builder
from rabit.model import find_weights
from rabit.model import full_places
from rabit.model import load_whole
from rabit.model import rabit
from rabit.model import read_json
from rabit.model import read_weights
from rabit.model import same_area
from rabit.model import shipped_weights
from rabit.model import suits
from rabit.model import system_builder
from rabit.model import systems
from rabit.model import write_whole
from rabit.ranking import bilevel_match
from rabit.scenes import STREET_CLASSES
from rabit.scenes import street_pairs
from tempfile import TemporaryDirectory
from torch import nn

def tiny(**changes):
    "A small untrained model, always the same"
    seed_all(0)
    return rabit(**dict(classes=len(STREET_CLASSES), width=8, features=24) | changes)

def conditions(record):
    "What a model takes of a record: condition, exemplar, exemplar condition"
    return one_hot(record["labels"], len(STREET_CLASSES)), record["exemplar"], one_hot(record["exemplar_labels"], len(STREET_CLASSES))

def write_files(home):
    "labels.png (64×48), exemplar.png (56×64) and exemplar_labels.png in a folder, from two scenes"
    home = Path(home)
    one, other = street_pairs([6], seed=0, size=(48, 64)), street_pairs([3], seed=0, size=(64, 56))
    to_pil(one["picture"]).save(home / "picture.png"); to_pil(other["exemplar"]).save(home / "exemplar.png")
    for name, labels in (("labels", one["labels"]), ("exemplar_labels", other["exemplar_labels"])):
        Image.fromarray(labels[0].byte().numpy()).save(home / f"{name}.png")
    return home

def fails(f, *words):
    "Print the message of the `RabitError` in which f ends; are all of these words in it?"
    try: f()
    except RabitError as error:
        print(error)
        return all(word in str(error) for word in words)
    return False


def test_the_matcher_slot_is_the_function_with_its_settings():
    query, key = torch.randn(2, 1, 6, 12, 12, generator=torch.Generator().manual_seed(0))
    found, wanted = BilevelMatcher(block=3, k=2)(query, key), bilevel_match(query, key, block=3, k=2)
    assert torch.equal(found.weights, wanted.weights) and torch.equal(found.index, wanted.index)


def test_one_pass_returns_maps_of_the_right_sizes():
    record = street_pairs(range(8), seed=0, size=(64, 64))
    model = tiny().eval()
    with torch.no_grad(): found = model(*conditions(record))
    assert found.picture.shape == found.warped.shape == record["picture"].shape
    assert found.query.shape[-2:] == found.key.shape[-2:] == found.confidence.shape[-2:] == found.match.query_size == (32, 32)
    assert found.picture.abs().max() <= 1 and 0 <= found.confidence.min() and found.confidence.max() <= 1


def test_the_slots_alone_fail_on_odd_sizes_and_the_translator_does_not():
    record, odd = street_pairs([6], seed=0, size=(51, 70)), (51, 70)
    model = tiny().eval()
    try: model.encoder(*conditions(record))
    except RuntimeError as error: print("encoder alone:", str(error).splitlines()[0])
    else: raise AssertionError("the slots took a size that is no multiple of 8")
    with torch.no_grad(): found = model(*conditions(record))
    assert found.picture.shape == (1, 3, *odd) and found.match.query_size == (28, 36)


def test_positions_of_odd_sizes_are_cropped_and_clamped():
    record = street_pairs([6], seed=0, size=(51, 70))
    with torch.no_grad(): found = tiny().eval()(*conditions(record))
    position = crop_to(found.match.argmax((56, 72)), (51, 70))                     # x, y on the padded exemplar
    beyond = (position[:, 0] > 69) | (position[:, 1] > 50)
    print(f"{beyond.float().mean():.1%} of the pixels are matched into the exemplar's padding")
    position = torch.stack([position[:, 0].clamp(max=69), position[:, 1].clamp(max=50)], 1)
    assert position.shape == (1, 2, 51, 70) and 0 < beyond.float().mean() < .2


def test_condition_and_exemplar_may_differ_in_size():
    record, other = street_pairs([0], seed=0, size=(40, 64)), street_pairs([1], seed=0, size=(72, 33))
    condition, _, _ = conditions(record)
    _, exemplar, exemplar_condition = conditions(other)
    with torch.no_grad(): found = tiny().eval()(condition, exemplar, exemplar_condition)
    assert found.picture.shape[-2:] == (40, 64) and found.match.query_size == (20, 32) and found.match.key_size == (36, 20)


def test_working_sizes_keep_the_shape_and_take_the_area():
    assert same_area((64, 64), (64, 64)) == (64, 64)
    assert same_area((1080, 1920), (64, 64)) == (48, 88)
    assert same_area((3, 5), (64, 64)) == (48, 80) and same_area((1, 9000), (64, 64)) == (8, 512)


def test_paths_images_and_tensors_lead_to_the_same_picture():
    with TemporaryDirectory() as tmp:
        home, model = write_files(tmp), tiny()
        labels, exemplar = home / "labels.png", home / "exemplar.png"
        wanted = model.translate(labels, exemplar)
        assert wanted.size == (64, 48) and wanted.mode == "RGB"
        for x in (Image.open(labels), read_labels(labels), read_labels(labels)[0], one_hot(read_labels(labels), len(STREET_CLASSES))):
            assert model.translate(x, Image.open(exemplar)).tobytes() == wanted.tobytes()
        assert model.translate(labels, read_picture(exemplar)).tobytes() == wanted.tobytes()
        assert model.training                                                      # as it was: a model in training stays there


def test_translate_restores_the_mode_when_it_fails():
    model = tiny().train()
    labels = torch.zeros(64, 64, dtype=torch.int64)
    try: model.translate(labels, torch.full((1, 3, 64, 64), torch.nan))
    except RabitError as error: print(error)
    else: raise AssertionError("NaN was taken for a picture")
    assert model.training and model.eval().translate(labels, torch.zeros(1, 3, 64, 64)).size == (64, 64) and not model.training


def test_the_parser_stands_in_for_exemplar_labels():
    record, model = street_pairs([6], seed=0, size=(64, 64)), tiny().eval()
    condition, exemplar, exemplar_condition = conditions(record)
    with torch.no_grad():
        told, read = model(condition, exemplar, exemplar_condition), model(condition, exemplar)
        parsed = one_hot(read.parsed.argmax(1), len(STREET_CLASSES))
        assert torch.equal(model(condition, exemplar, parsed).picture, read.picture)
    assert not torch.equal(told.picture, read.picture)


def test_translate_refuses_what_does_not_fit():
    model, classes = tiny(), len(STREET_CLASSES)
    labels, picture = torch.zeros(64, 64, dtype=torch.int64), torch.zeros(1, 3, 64, 64)
    assert fails(lambda: model.translate(labels + classes, picture), f"id {classes}", f"{classes} classes")
    assert fails(lambda: model.translate(labels.expand(2, -1, -1), picture), "2 label maps")
    assert fails(lambda: model.translate(labels, picture.expand(2, -1, -1, -1)), "2 pictures")
    assert fails(lambda: model.translate(labels, picture, labels[:32]), "64×64", "64×32")
    assert fails(lambda: model.translate(labels, picture, size=(4, 64)), "size = (4, 64)")
    assert fails(lambda: model.translate(labels, picture, size=(8, 8)), "8×8", "k = 3", "1 blocks")


def test_edit_keeps_unchanged_pixels_exactly():
    record = street_pairs([6], seed=0, size=(45, 64))
    before = record["labels"][0]
    after = before.clone()
    after[:20, 10:30] = (after[:20, 10:30] + 1) % len(STREET_CLASSES)
    original = to_pil(record["picture"])
    edited, anew = (np.asarray(tiny().edit(original, before, after, keep=keep)) for keep in (True, False))
    same = (before == after).numpy()
    assert (edited[same] == np.asarray(original)[same]).all() and (edited[~same] == anew[~same]).all()
    assert (anew[same] != np.asarray(original)[same]).any() and (edited[~same] != np.asarray(original)[~same]).any()


def test_edit_refuses_label_maps_of_another_size():
    record = street_pairs([6], seed=0, size=(64, 64))
    labels = record["labels"][0]
    assert fails(lambda: tiny().edit(record["picture"], labels, labels[:, :60]), "picture of 64×64", "edited of 60×64")


def test_a_killed_write_leaves_the_old_file_whole():
    def killed(path):
        with open(path, "w") as f: f.write("the new wei"); f.flush(); raise KeyboardInterrupt
    with TemporaryDirectory() as tmp:
        path = Path(tmp) / "deeper" / "weights"
        write_whole(path, lambda p: p.write_text("the good old weights"))
        try: write_whole(path, killed)
        except KeyboardInterrupt: pass
        assert path.read_text() == "the good old weights" and [p.name for p in path.parent.iterdir()] == ["weights"]
        assert fails(lambda: write_whole(path / "below", lambda p: p.write_text("x")), str(path), "no folder")
        assert fails(lambda: write_whole(path.parent, lambda p: p.write_text("x")), "it is a folder")
        def full(p): raise OSError(28, "No space left on device")
        assert fails(lambda: write_whole(path, full), str(path), "No space left")
        assert path.read_text() == "the good old weights"
        write_whole(path, lambda p: p.write_text("newer weights"), keep=path.with_suffix(".previous"))
        assert path.read_text() == "newer weights" and path.with_suffix(".previous").read_text() == "the good old weights"
        assert fails(lambda: write_whole(path, full, keep=path.with_suffix(".previous")), "No space left")
        assert path.read_text() == "newer weights" and path.with_suffix(".previous").read_text() == "the good old weights"


def test_unknown_names_list_those_that_ship():
    assert fails(lambda: find_weights("no-such-name"), "'no-such-name'", *shipped_weights(), "ship")
    with TemporaryDirectory() as tmp: assert fails(lambda: find_weights(tmp), tmp, "config.json")


def test_broken_files_are_named():
    with TemporaryDirectory() as tmp:
        path = Path(tmp) / "broken"
        for content in (b"", b"{", b"[1]", b"\xff\xfe"):
            path.write_bytes(content)
            assert fails(lambda: read_json(path), str(path))
        assert fails(lambda: read_weights(path), str(path), "cut short")
        assert fails(lambda: read_weights(path.with_name("missing")), "missing")


def test_systems_are_found_by_their_names():
    assert system_builder("rabit") == "rabit.model.rabit"
    assert all(find_builder(builder) for builder in systems().values())
    assert fails(lambda: system_builder("pix2pix"), "'pix2pix'", "rabit")


def test_values_suit_the_types_that_functions_name():
    assert suits(3, int) and suits(3, float) and suits([1, 2], tuple) and suits(None, float | None) and suits(None, list | None) and suits(True, bool)
    for value, wanted in ((2.5, int), (True, int), ("3", int), (torch.nan, float), (10**30, int), (None, str), (7, str), ("ab", tuple), (1, bool)): assert not suits(value, wanted), value


def test_only_builders_of_this_library_are_called():
    config = tiny().config
    assert build(config).config == config
    assert fails(lambda: build(config | dict(builder="os.system")), "'os.system'", "not one of this library's")
    assert fails(lambda: build(dict(builder="rabit.data.write_pairs", pairs={}, path="mine")), "no builder")
    assert fails(lambda: build(dict(builder="rabit.model.Path", args="x")), "no builder")
    assert fails(lambda: build(config | dict(builder="rabit.model.rabbit")), "does not exist")
    assert fails(lambda: build(config | dict(heads=8)), "['heads']", "temperature")
    assert fails(lambda: build(config | dict(classes="many")), "cannot use")
    assert fails(lambda: build({"builder": "rabit.model.rabit"}), "classes")
    assert fails(lambda: build(config | dict(size=[60, 64])), "(60, 64)", "multiples of 8")


def test_weights_that_do_not_fit_are_named():
    small, wide = nn.Linear(2, 3), nn.Linear(2, 4)
    assert fails(lambda: load_whole(small, wide.state_dict(), "a file"), "a file", "weight is (4, 2), the model's is (3, 2)")
    assert fails(lambda: load_whole(small, {"weight": small.weight, "scale": small.bias}, "a file"), "missing: bias", "not in the model: scale")
    assert fails(lambda: check_weights(small.state_dict(), {"weight": torch.ones(3, 2), "bias": torch.full((3,), torch.nan)}, "a file"), "bias in a file", "not finite")
    load_whole(small, {k: torch.ones_like(x) for k, x in small.state_dict().items()}, "a dictionary")
    assert (small.weight == 1).all()


def test_a_saved_model_comes_back_bit_for_bit():
    with TemporaryDirectory() as tmp:
        model, whole, half = tiny(names=STREET_CLASSES), Path(tmp) / "whole", Path(tmp) / "half"
        model.save_pretrained(whole, card="# Mine\n"); model.save_pretrained(half, half=True)
        again, rough = Translator.from_pretrained(whole), Translator.from_pretrained(half)
        assert sorted(p.name for p in whole.iterdir()) == ["README.md", "config.json", "model.safetensors"]
        assert (whole / "README.md").read_text() == "# Mine\n" and again.config == model.config and not again.training
        assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), model.state_dict().values()))
        sizes = [(f / "model.safetensors").stat().st_size for f in (whole, half)]
        assert sizes[1] < .6 * sizes[0]
        labels, picture = torch.zeros(64, 64, dtype=torch.int64), torch.zeros(1, 3, 64, 64)
        pictures = [np.asarray(m.translate(labels, picture)).astype(int) for m in (model, again, rough)]
        assert (pictures[0] == pictures[1]).all() and abs(pictures[0] - pictures[2]).max() <= 3
    print("bytes, whole and half:", sizes)


def test_bad_folders_are_refused_with_the_file_named():
    with TemporaryDirectory() as tmp:
        folder = tiny().save_pretrained(Path(tmp) / "saved")
        weights, config = folder / "model.safetensors", folder / "config.json"
        good, text = weights.read_bytes(), config.read_text()
        weights.write_bytes(good[:len(good) // 2]); assert fails(lambda: Translator.from_pretrained(folder), str(weights), "cut short")
        tiny(width=12).save_pretrained(folder); config.write_text(text)
        assert fails(lambda: Translator.from_pretrained(folder), str(weights), "of another shape", "more")
        weights.write_bytes(good); config.write_text(text.replace("rabit.model.rabit", "shutil.rmtree"))
        assert fails(lambda: Translator.from_pretrained(folder), str(config), "shutil.rmtree")
        config.unlink(); assert fails(lambda: Translator.from_pretrained(folder), str(folder), "config.json")


def test_a_save_that_fails_leaves_what_was_there():
    with TemporaryDirectory() as tmp:
        file = Path(tmp) / "a file"
        file.write_text("not yours")
        assert fails(lambda: tiny().save_pretrained(file), str(file), "cannot be written")
        assert fails(lambda: tiny().save_pretrained(file / "below"), str(file), "cannot be written")
        assert file.read_text() == "not yours" and [p.name for p in Path(tmp).iterdir()] == ["a file"]


def test_enlarging_within_labels_keeps_an_edge_that_lies_on_a_border_and_is_plain_enlarging_without_one():
    sides = torch.where(torch.arange(8) < 4, -1., 1.).expand(1, 3, 8, 8)
    small, full = (torch.where(torch.arange(n) < n // 2, 2, 5).expand(1, n, n) for n in (8, 24))
    torch.testing.assert_close(enlarge(sides, (24, 24), small, full), torch.where(full == 2, -1., 1.)[:, None].expand(-1, 3, -1, -1))
    noise = torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    for labels in ((), (small * 0, full * 0)): torch.testing.assert_close(enlarge(noise, (24, 24), *labels), resize(noise, (24, 24)))
    torch.testing.assert_close(enlarge(noise, (24, 24), small, full * 0 + 9), resize(noise, (24, 24)))    # a label that the small map does not have


def test_a_match_of_a_map_with_itself_leads_every_pixel_of_any_size_to_itself():
    for stride, work, full in ((1, (16, 24), (64, 96)), (2, (16, 24), (37, 50)), (4, (20, 28), (21, 100))):
        grid = tuple(-(-n // 8) * 8 // stride for n in work)
        marks = torch.randn(1, 16, *grid, generator=torch.Generator().manual_seed(0))
        found = list(full_places(dense_match(marks, marks, .001), (work, work), (full, full)))
        for place, share in found: torch.testing.assert_close(place, pixel_grid(full), atol=1e-4, rtol=0)
        torch.testing.assert_close(sum(share for _, share in found), torch.ones(full))
    moved = dense_match(marks.roll(1, 3), marks, .001)                             # the exemplar's tokens lie one to the left
    for place, _ in full_places(moved, (work, work), (full, full)): torch.testing.assert_close(place[..., 50:], pixel_grid(full)[..., 50:] - torch.tensor([100 / 28 * 4, 0.]).view(2, 1, 1), atol=1e-3, rtol=0)


def test_detail_comes_from_exemplars_that_have_some_of_the_same_label_and_only_to_outputs_that_are_enlarged():
    record, model = street_pairs([6], seed=0, size=(96, 128)), tiny().eval()
    labels, exemplar, theirs = record["labels"], record["exemplar"], record["exemplar_labels"]
    def gained(labels, exemplar, theirs, **how):
        soft, sharp = (read_picture(model.translate(labels, exemplar, theirs, detail=detail, **how)) for detail in (False, True))
        return (sharp - soft).abs().mean()
    assert gained(labels, exemplar, theirs) > .01 and gained(labels, exemplar, None) > .001            # None: as the parser reads them
    assert gained(labels, torch.full_like(exemplar, .3), theirs) == 0
    assert gained(torch.full_like(labels, 2), exemplar, torch.full_like(theirs, 3)) == 0
    assert gained(labels, exemplar, theirs, size=(96, 128)) == 0


def test_every_kind_of_condition_is_translated_and_edited():
    for name in ("face", "figure"):
        scenes = SceneSource(name, size=(40, 48))
        record, model = scenes.batch([3]), tiny(classes=scenes.classes, condition=scenes.condition, position="coord").eval()
        condition, theirs = conditions_of(record, scenes.classes)
        painted = model.translate(condition, record["exemplar"], theirs)
        assert painted.size == (48, 40) and model.translate(condition, record["exemplar"]).size == (48, 40)
        with TemporaryDirectory() as tmp:
            model.save_pretrained(tmp)
            assert Translator.from_pretrained(tmp).translate(condition, record["exemplar"], theirs).tobytes() == painted.tobytes()
        moved = condition.clone()
        moved[..., :20] = condition[..., :20].flip(3)
        edited = np.asarray(model.edit(record["picture"], condition, moved))
        same = ((condition - moved).abs().amax(1)[0] < 1 / 255).numpy()
        assert .1 < same.mean() < 1 and (edited[same] == np.asarray(to_pil(record["picture"]))[same]).all()
    drawing = Image.fromarray((SceneSource("face", size=(80, 96)).batch([3])["condition"][0, 0] * 255).byte().numpy())
    edges = tiny(classes=2, condition="edges", position="coord").eval()
    assert edges.translate(drawing, record["exemplar"]).size == (96, 80)
    assert fails(lambda: tiny(classes=3, condition="edges", position="coord"), "classes = 3", "2 channels")
    assert fails(lambda: tiny(classes=2, condition="edge"), "'edge'", "joints") and fails(lambda: tiny(classes=2, condition="edges"), "'semantic'", "'coord'")
    assert fails(lambda: edges.translate(torch.zeros(1, 7, 8, 8), record["exemplar"]), "(1, 7, 8, 8)", "(1, 2, h, w)")
    joints = tiny(classes=35, condition="joints", position="coord").eval()
    assert fails(lambda: joints.translate(drawing, record["exemplar"]), "OpenPose", ".json")
