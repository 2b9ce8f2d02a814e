# Generated from nbs/6_tools/61_repaint.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import numpy as np
import torch
from PIL import Image
from rabit.core.tensors import RabitError
from rabit.core.tensors import to_pil
from rabit.inputs.images import read_image
from rabit.matching.street import STREET_CLASSES
from rabit.matching.street import street_pairs
from rabit.networks.translate import Translator
from rabit.tools.edit import edited_scenes
from rabit.tools.edit import erase_region
from rabit.tools.edit import fill
from rabit.tools.edit import grow_mask
from rabit.tools.edit import grow_region
from rabit.tools.edit import move_region
from rabit.tools.edit import shift_mask
from rabit.tools.repaint import change_region
from rabit.tools.repaint import edit_errors
from rabit.tools.repaint import edit_widgets
from rabit.tools.repaint import repaint
from rabit.tools.repaint import true_source_index
from rabit.tools.repaint import unchanged_index

def street(i=24, size=(64, 64)):
    "Image (1, 3, h, w) and label map (h, w) of a street that the shipped model never saw"
    batch = street_pairs([i], seed=1, size=size)
    return batch["image"], batch["labels"][0]

def fails(call, *words):
    "Run what must fail, and return what it says"
    try: call()
    except RabitError as error: message = str(error)
    else: raise AssertionError("this should have failed")
    for word in words: assert word in message, (word, message)
    return message


def test_unchanged_regions_are_kept_to_the_rounding_of_eight_bits():
    model = Translator.from_pretrained("street-64")
    for r in edited_scenes(3, seed=2):
        same = r["labels"] == r["edited"]
        kept = read_image(model.edit(r["image"], r["labels"], r["edited"]))[0]
        # a float image: half a step
        assert ((kept - r["image"][0]).abs().amax(0)[same] <= 1 / 255 + 1e-6).all()
        eight = to_pil(r["image"])
        # an image: to the bit
        assert (np.asarray(model.edit(eight, r["labels"], r["edited"]))[same] == np.asarray(eight)[same]).all()
        fresh = np.asarray(model.edit(eight, r["labels"], r["edited"], keep=False))
        # without keep there is no such promise
        assert (fresh[same] != np.asarray(eight)[same]).any()


def test_repaint_takes_what_is_known_from_the_original_and_paints_the_rest():
    model, (image, labels) = Translator.from_pretrained("street-64"), street()
    edited = erase_region(labels, tuple((labels == 6).nonzero()[0].flip(0).tolist()))
    source_index = unchanged_index(labels, edited)
    plain = np.asarray(model.edit(image, labels, edited))
    for given in ((), (source_index,)):
        assert (np.asarray(repaint(model, image, labels, edited, *given)) == plain).all()
    # the first rows anew, one pixel from the last row
    source_index[:5] = -1
    source_index[5, 0] = 64 * 63 + 7
    made = np.asarray(repaint(model, image, labels, edited, source_index))
    original = np.asarray(to_pil(image))
    generated = np.asarray(model.edit(image, labels, edited, keep=False))
    assert ((made[:5] == generated[:5]).all() and (made[5, 0] == original[63, 7]).all()
            and (made[6:] == plain[6:]).all())
    # all is known: no translator is asked
    assert (np.asarray(repaint(None, image, labels, labels, unchanged_index(labels, labels))) == original).all()
    fails(lambda: repaint(model, image, labels, edited, source_index[:9]), "9, 64", "(64, 64)")
    fails(lambda: repaint(model, image, labels, edited, source_index + 64 * 64), "4095")
    fails(lambda: unchanged_index(labels, edited[:9]), "(9, 64)")


def test_the_true_source_index_of_a_moved_thing_shows_what_the_ground_truth_shows():
    for one in edited_scenes(9, seed=4):
        source_index = true_source_index(one)
        known = source_index >= 0
        shown = one["image"][0].flatten(1)[:, source_index]
        assert (shown - one["ground_truth"][0]).abs().mean(0)[known].mean() < .02         # smooth edges apart
        if one["kind"] == "moved": assert (known & one["new_mask"]).sum() > .5 * one["new_mask"].sum()
        assert not (true_source_index(one, carry=False) >= 0)[one["old_mask"] | one["new_mask"]].any()


def test_the_errors_of_an_edit_are_zero_for_the_ground_truth_and_found_where_they_are():
    for r in edited_scenes(6, seed=5):
        assert all(e == 0 or e != e for e in edit_errors(r["ground_truth"], r).values())
        touched = (r["labels"] != r["edited"]) | r["old_mask"] | r["new_mask"]
        # all that was touched is too bright
        off = edit_errors(r["ground_truth"] + .5 * touched, r)
        assert abs(off["changed"] - .5) < 1e-6 and abs(off["seam"] - .5) < 1e-6
        assert off["ring"] == off["elsewhere"] == 0
        assert edit_errors(r["image"], r)["elsewhere"] == 0                        # the original is right there


def test_a_changed_region_is_moved_grown_and_renamed_at_once():
    box = torch.zeros(16, 20, dtype=torch.int64)
    box[9:] = 2
    box[5:9, 4:8] = 1
    number = unchanged_index(box, box)
    edited, source_index = change_region(box, (5, 6), 6, 1, 1, 3)
    assert (torch.equal(edited == 3, shift_mask(grow_mask(box == 1, 1), 6, 1)) and not (edited == 1).any()
            and (source_index[5:9, 4:8] == -1).all() and (source_index[edited == 3] == -1).all())
    edited, source_index = change_region(box, (5, 6), 6, 1)
    assert torch.equal(edited, move_region(box, (5, 6), 6, 1))
    assert torch.equal(source_index[6:10, 10:14], number[5:9, 4:8])
    assert ((source_index == number) == ~((edited != box) | (box == 1))).all()
    further = change_region(edited, (11, 7), -2, 0, source_index=source_index)
    # sources travel on
    assert torch.equal(further[0], move_region(edited, (11, 7), -2, 0))
    assert torch.equal(further[1][6:10, 8:12], number[5:9, 4:8])
    clipped, source_index = change_region(box, (5, 6), -6, 0)
    assert torch.equal(source_index[5:9, 0:2], number[5:9, 6:8])
    for radius in (2, -1):
        assert torch.equal(change_region(box, (5, 6), grow=radius)[0], grow_region(box, (5, 6), radius))
    same, source_index = change_region(box, (5, 6))
    assert torch.equal(same, box) and torch.equal(source_index, number)
    filled, source_index = change_region(box, (5, 6), label=2)
    assert torch.equal(filled, fill(box, (5, 6), 2)) and torch.equal(source_index, unchanged_index(box, filled))
    fails(lambda: change_region(box, (5, 6), 40), "16 pixels", "(40, 0)")


def test_widgets_draw_once_plainly():
    image, labels = street()
    sheet = edit_widgets(Translator.from_pretrained("street-64"), image, labels, STREET_CLASSES)
    assert sheet is None or len(sheet.axes) == 4                                   # None: a notebook has shown it
    # images will do
    edit_widgets(Translator.from_pretrained("street-64"), to_pil(image), Image.fromarray(labels.byte().numpy()))
    fails(lambda: edit_widgets(Translator.from_pretrained("street-64"), image, labels[None]), "(1, 64, 64)")
