# Generated from nbs/3_networks/38_translate.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import numpy as np
import torch
from PIL import Image
from pathlib import Path
from rabit.core.devices import seed_all
from rabit.core.tensors import RabitError
from rabit.core.tensors import RabitWarning
from rabit.core.tensors import crop_to
from rabit.core.tensors import labels_at
from rabit.core.tensors import labels_of
from rabit.core.tensors import one_hot
from rabit.core.tensors import pixel_grid
from rabit.core.tensors import resize
from rabit.core.tensors import sample_at
from rabit.core.tensors import to_pil
from rabit.inputs.edges import find_edges
from rabit.inputs.images import read_image
from rabit.inputs.palettes import read_labels
from rabit.inputs.samples import SceneDataset
from rabit.inputs.samples import conditions_of
from rabit.matching.match import dense_match
from rabit.matching.street import STREET_CLASSES
from rabit.matching.street import street_pairs
from rabit.networks.model import TranslatorOutput
from rabit.networks.translate import Translator
from rabit.networks.translate import evaluating
from rabit.networks.translate import full_size_positions
from rabit.networks.translate import guided_upsample
from rabit.networks.translate import rabit
from rabit.networks.translate import same_area
from tempfile import TemporaryDirectory
from torch import Tensor

def exemplar_detail(
    found:TranslatorOutput,  # of a pass at working sizes
    exemplar:Tensor,   # (1, 3, H, W), whole
    full:tuple,        # (h, w) of the whole condition
    work:tuple,        # ((h, w), (H, W)): the working sizes of condition and exemplar
    labels:tuple=(),   # of the condition at its working size and whole; (): it is no label map
    exemplar_labels:Tensor|None=None,  # (1, H, W) of the whole exemplar, with label maps
    multiple:int=8,    # of the padded sides
)->Tensor:             # (1, 3, *full)
    "What the exemplar shows, where the match can be trusted, and the working size could not hold"
    fetched = exemplar.new_zeros((), device=found.image.device)
    alike, kept = fetched, fetched
    for place, weight in full_size_positions(found.match, work, (full, exemplar.shape[-2:]), multiple):
        here, same = sample_at(exemplar.to(place.device), place), weight
        if exemplar_labels is not None:
            same = weight * (labels_at(exemplar_labels, place) == labels[1])[:, None]
        fetched = fetched + weight * here
        alike = alike + same * here
        kept = kept + same
    # of the same label where there is any
    if labels: fetched = torch.where(kept > 0, alike / kept.clamp_min(1e-6), fetched)
    fine = fetched - guided_upsample(resize(fetched, work[0]), full, *labels)
    padded = tuple(-(-n // multiple) * multiple for n in work[0])
    return fine * kept * resize(crop_to(resize(found.confidence, padded), work[0]), full)

def tiny(**changes):
    "A small untrained model, always the same"
    seed_all(0)
    return rabit(**dict(classes=len(STREET_CLASSES), width=8, features=24) | changes)

def conditions(batch):
    "What a model takes of a batch: condition, exemplar, exemplar condition"
    labels, exemplar_labels = (one_hot(batch[k], len(STREET_CLASSES)) for k in ("labels", "exemplar_labels"))
    return labels, batch["exemplar"], exemplar_labels

def fails(f, *words):
    "Print the message of the `RabitError` in which f ends; are all of these words in it?"
    try: f()
    except RabitError as error:
        print(error)
        return all(word in str(error) for word in words)
    return False

def write_files(home):
    "labels.png (64×48), exemplar.png (56×64) and exemplar_labels.png in a folder, from two scenes"
    home = Path(home)
    one, other = street_pairs([6], seed=0, size=(48, 64)), street_pairs([3], seed=0, size=(64, 56))
    to_pil(one["image"]).save(home / "image.png"); to_pil(other["exemplar"]).save(home / "exemplar.png")
    for name, labels in (("labels", one["labels"]), ("exemplar_labels", other["exemplar_labels"])):
        Image.fromarray(labels[0].byte().numpy()).save(home / f"{name}.png")
    return home

def small_drawing():
    "A face as a drawing of white lines, 96×80"
    edges = SceneDataset("face", size=(80, 96)).batch([3])["condition"][0, 0]
    return Image.fromarray((edges * 255).byte().numpy())


def test_working_sizes_keep_the_shape_and_take_the_area():
    assert same_area((64, 64), (64, 64)) == (64, 64)
    assert same_area((1080, 1920), (64, 64)) == (48, 88)
    assert same_area((3, 5), (64, 64)) == (48, 80) and same_area((1, 9000), (64, 64)) == (8, 512)


def test_enlarging_within_labels_keeps_an_edge_that_lies_on_a_border_and_is_plain_enlarging_without_one():
    sides = torch.where(torch.arange(8) < 4, -1., 1.).expand(1, 3, 8, 8)
    small, full = (torch.where(torch.arange(n) < n // 2, 2, 5).expand(1, n, n) for n in (8, 24))
    torch.testing.assert_close(guided_upsample(sides, (24, 24), small, full),
                               torch.where(full == 2, -1., 1.)[:, None].expand(-1, 3, -1, -1))
    noise = torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    for labels in ((), (small * 0, full * 0)):
        torch.testing.assert_close(guided_upsample(noise, (24, 24), *labels), resize(noise, (24, 24)))
    # a label that the small map does not have
    torch.testing.assert_close(guided_upsample(noise, (24, 24), small, full * 0 + 9), resize(noise, (24, 24)))


def test_a_match_of_a_map_with_itself_leads_every_pixel_of_any_size_to_itself():
    for stride, work, full in ((1, (16, 24), (64, 96)), (2, (16, 24), (37, 50)), (4, (20, 28), (21, 100))):
        grid = tuple(-(-n // 8) * 8 // stride for n in work)
        marks = torch.randn(1, 16, *grid, generator=torch.Generator().manual_seed(0))
        found = list(full_size_positions(dense_match(marks, marks, .001), (work, work), (full, full)))
        for place, share in found: torch.testing.assert_close(place, pixel_grid(full), atol=1e-4, rtol=0)
        torch.testing.assert_close(sum(share for _, share in found), torch.ones(full))
    # the exemplar's tokens lie one to the left
    moved = dense_match(marks.roll(1, 3), marks, .001)
    for place, _ in full_size_positions(moved, (work, work), (full, full)):
        torch.testing.assert_close(place[..., 50:], pixel_grid(full)[..., 50:]
                                   - torch.tensor([100 / 28 * 4, 0.]).view(2, 1, 1), atol=1e-3, rtol=0)


def test_paths_images_and_tensors_lead_to_the_same_image():
    with TemporaryDirectory() as tmp:
        home, model = write_files(tmp), tiny()
        labels, exemplar = home / "labels.png", home / "exemplar.png"
        wanted = model.translate(labels, exemplar)
        assert wanted.size == (64, 48) and wanted.mode == "RGB"
        for x in (
            Image.open(labels),
            read_labels(labels),
            read_labels(labels)[0],
            one_hot(read_labels(labels), len(STREET_CLASSES)),
        ):
            assert model.translate(x, Image.open(exemplar)).tobytes() == wanted.tobytes()
        assert model.translate(labels, read_image(exemplar)).tobytes() == wanted.tobytes()
        ids, look = np.asarray(Image.open(labels)), np.asarray(Image.open(exemplar))
        assert model.translate(ids, look).tobytes() == wanted.tobytes()
        with open(labels, "rb") as a, open(exemplar, "rb") as b:
            assert model.translate(a, b).tobytes() == wanted.tobytes()
        images = model.translate([labels, ids], look)             # a list of images
        assert [x.tobytes() for x in images] == [wanted.tobytes()] * 2
        own = home / "exemplar_labels.png"
        assert model.edit(look, own, Image.open(own)).size == (56, 64)
        # as it was: a model in training stays there
        assert model.training


def test_a_large_output_made_in_strips_is_the_plain_one():
    labels = street_pairs([6], seed=0, size=(200, 150))["labels"]
    exemplar = street_pairs([3], seed=0, size=(190, 310))
    for model, condition, own in (
        (Translator.from_pretrained("street-64"), labels, None),
        (Translator.from_pretrained("street-64"), labels, exemplar["exemplar_labels"]),
        (Translator.from_pretrained("style-64"), exemplar["image"], None),
    ):
        made, found = model.answer(condition, exemplar["exemplar"], own)
        full, look = tuple(condition.shape[-2:]), exemplar["exemplar"].shape[-2:]
        work = tuple(same_area(n, (64, 64)) for n in (full, look))
        with evaluating(model):
            small = model.resize_condition(condition, work[0])
            guides = (labels_of(small), condition) if condition.ndim == 3 else ()
            ids = model.exemplar_ids(found, exemplar["exemplar"], own, work[1]) if guides else None
            plain = guided_upsample(found.image, full, *guides)
            assert (made - plain).abs().max() > .1  # there is detail
            plain = plain + exemplar_detail(found, exemplar["exemplar"], full, work, guides, ids)
        assert (made - plain.clamp(-1, 1)).abs().max() < 1e-3 < 1 / 255


def test_translate_restores_the_mode_when_it_fails():
    model = tiny().train()
    labels = torch.zeros(64, 64, dtype=torch.int64)
    try: model.translate(labels, torch.full((1, 3, 64, 64), torch.nan))
    except RabitError as error: print(error)
    else: raise AssertionError("NaN was taken for an image")
    assert (model.training and model.eval().translate(labels, torch.zeros(1, 3, 64, 64)).size == (64, 64)
            and not model.training)


def test_the_parser_stands_in_for_exemplar_labels():
    batch, model = street_pairs([6], seed=0, size=(64, 64)), tiny().eval()
    condition, exemplar, exemplar_condition = conditions(batch)
    with torch.no_grad():
        told, read = model(condition, exemplar, exemplar_condition), model(condition, exemplar)
        segmentation_logits = one_hot(read.segmentation_logits.argmax(1), len(STREET_CLASSES))
        assert torch.equal(model(condition, exemplar, segmentation_logits).image, read.image)
    assert not torch.equal(told.image, read.image)


def test_translate_refuses_what_does_not_fit():
    model, classes = tiny(), len(STREET_CLASSES)
    labels, image = torch.zeros(64, 64, dtype=torch.int64), torch.zeros(1, 3, 64, 64)
    assert fails(lambda: model.translate(labels + classes, image), f"id {classes}", f"{classes} classes")
    assert fails(lambda: model.translate(labels.expand(2, -1, -1), image), "2 label maps")
    assert fails(lambda: model.translate(labels, image.expand(2, -1, -1, -1)), "2 images")
    assert fails(lambda: model.translate(labels, image, labels[:32]), "64×64", "64×32")
    assert fails(lambda: model.translate(labels, image, size=(4, 64)), "size = (4, 64)")
    assert fails(lambda: model.translate(labels, image, size=(8, 8)), "8×8", "k = 3", "1 blocks")


def test_edit_keeps_unchanged_pixels_exactly():
    batch = street_pairs([6], seed=0, size=(45, 64))
    before = batch["labels"][0]
    after = before.clone()
    after[:20, 10:30] = (after[:20, 10:30] + 1) % len(STREET_CLASSES)
    original = to_pil(batch["image"])
    edited, anew = (np.asarray(tiny().edit(original, before, after, keep=keep)) for keep in (True, False))
    same = (before == after).numpy()
    assert (edited[same] == np.asarray(original)[same]).all() and (edited[~same] == anew[~same]).all()
    assert ((anew[same] != np.asarray(original)[same]).any()
            and (edited[~same] != np.asarray(original)[~same]).any())


def test_edit_refuses_label_maps_of_another_size():
    batch = street_pairs([6], seed=0, size=(64, 64))
    labels = batch["labels"][0]
    assert fails(lambda: tiny().edit(batch["image"], labels, labels[:, :60]), "image of 64×64",
                 "edited of 60×64")


def test_detail_comes_from_exemplars_that_have_some_of_the_same_label_and_only_to_outputs_that_are_enlarged():
    batch, model = street_pairs([6], seed=0, size=(96, 128)), tiny().eval()
    labels, exemplar, exemplar_labels = (batch[k] for k in ("labels", "exemplar", "exemplar_labels"))
    def gained(labels, exemplar, exemplar_labels, **how):
        "How much the output changes with detail"
        soft, sharp = (read_image(model.translate(labels, exemplar, exemplar_labels, detail=detail, **how))
                       for detail in (False, True))
        return (sharp - soft).abs().mean()
    # None: as the parser reads them
    assert gained(labels, exemplar, exemplar_labels) > .01 and gained(labels, exemplar, None) > .001
    assert gained(labels, torch.full_like(exemplar, .3), exemplar_labels) == 0
    assert gained(torch.full_like(labels, 2), exemplar, torch.full_like(exemplar_labels, 3)) == 0
    assert gained(labels, exemplar, exemplar_labels, size=(96, 128)) == 0


def test_every_kind_of_condition_is_translated_and_edited():
    for name in ("face", "figure"):
        scenes = SceneDataset(name, size=(40, 48))
        batch = scenes.batch([3])
        model = tiny(classes=scenes.classes, condition=scenes.condition, position="coord").eval()
        condition, own = conditions_of(batch, scenes.classes)
        painted = model.translate(condition, batch["exemplar"], own)
        assert painted.size == (48, 40) and model.translate(condition, batch["exemplar"]).size == (48, 40)
        with TemporaryDirectory() as tmp:
            model.save_pretrained(tmp)
            again = Translator.from_pretrained(tmp)
            assert again.translate(condition, batch["exemplar"], own).tobytes() == painted.tobytes()
        moved = condition.clone()
        moved[..., :20] = condition[..., :20].flip(3)
        edited = np.asarray(model.edit(batch["image"], condition, moved))
        same = ((condition - moved).abs().amax(1)[0] < 1 / 255).numpy()
        assert .1 < same.mean() < 1 and (edited[same] == np.asarray(to_pil(batch["image"]))[same]).all()


def test_drawings_and_joints_have_readers_and_limits_of_their_own():
    exemplar, drawing = torch.zeros(1, 3, 40, 48), small_drawing()
    edges = tiny(classes=2, condition="edges", position="coord").eval()
    assert edges.translate(drawing, exemplar).size == (96, 80)
    assert fails(lambda: tiny(classes=3, condition="edges", position="coord"), "classes = 3", "2 channels")
    assert fails(lambda: tiny(classes=2, condition="edge"), "'edge'", "joints")
    assert fails(lambda: tiny(classes=2, condition="edges"), "'semantic'", "'coord'")
    assert fails(lambda: edges.translate(torch.zeros(1, 7, 8, 8), exemplar), "(1, 7, 8, 8)", "(1, 2, h, w)")
    joints = tiny(classes=35, condition="joints", position="coord").eval()
    assert fails(lambda: joints.translate(drawing, exemplar), "OpenPose", ".json")


def test_a_model_of_edges_finds_those_of_a_photograph_and_says_so():
    import pytest
    pytest.importorskip("skimage")
    scene = SceneDataset("face", size=(96, 120)).batch([3])
    photograph = to_pil(scene["image"])
    model = tiny(classes=2, condition="edges", position="coord", size=[32, 40]).eval()
    with pytest.warns(RabitWarning, match="its edges are looked for, at 40×32"):
        found = model.as_condition(photograph, "condition")
    assert torch.equal(found, find_edges(read_image(photograph), (32, 40))) and found.shape == (1, 2, 96, 120)
    with pytest.warns(RabitWarning, match="a photograph was given"):
        painted = model.translate(photograph, scene["exemplar"])
    assert painted.tobytes() == model.translate(found, scene["exemplar"]).tobytes()
    with pytest.warns(RabitWarning): edited = model.edit(scene["image"], photograph, photograph)
    assert edited.tobytes() == photograph.tobytes()                       # nothing was changed


def test_a_condition_of_another_kind_is_refused():
    exemplar, labels = torch.zeros(1, 3, 64, 64), street_pairs([6], size=(64, 64))["labels"][0]
    ids = Image.fromarray(labels.byte().numpy())
    for classes, kind in ((2, "edges"), (35, "joints"), (3, "image")):
        model = tiny(classes=classes, condition=kind, position="coord").eval()
        assert fails(lambda: model.translate(labels, exemplar), "label map", f"conditions are {kind}")
        looks = "OpenPose" if kind == "joints" else "no drawing of lines" if kind == "edges" else "a label map"
        assert fails(lambda: model.translate(ids, exemplar), looks)
        assert fails(lambda: model.edit(exemplar, labels, labels), "label map", kind)
    assert fails(lambda: tiny().translate(exemplar, exemplar), "shape (1, 3, 64, 64)", "(1, 7, h, w)")
