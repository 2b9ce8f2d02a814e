# Generated from nbs/17_paint.ipynb by .ci/export_tests.py: edit the notebook, not this file.
import numpy as np
import torch
from PIL import Image
from pathlib import Path
from rabit.core import RabitError
from rabit.core import to_pil
from rabit.data import read_labels
from rabit.data import read_picture
from rabit.model import Translator
from rabit.paint import Editor
from rabit.paint import History
from rabit.paint import _near
from rabit.paint import brush
from rabit.paint import change_region
from rabit.paint import edit_errors
from rabit.paint import edit_knobs
from rabit.paint import edited_scene
from rabit.paint import edited_scenes
from rabit.paint import erase_region
from rabit.paint import fill
from rabit.paint import fill_hole
from rabit.paint import grow_mask
from rabit.paint import grow_region
from rabit.paint import move_region
from rabit.paint import region
from rabit.paint import relabel
from rabit.paint import repaint
from rabit.paint import shift_mask
from rabit.paint import true_source
from rabit.paint import unchanged
from rabit.scenes import STREET_CLASSES
from rabit.scenes import street_pairs
from rabit.show import color_labels

def street(i=24, size=(64, 64)):
    "Picture (1, 3, h, w) and label map (h, w) of a street that the shipped model never saw"
    record = street_pairs([i], seed=1, size=size)
    return record["picture"], record["labels"][0]

def fails(call, *words):
    "Run what must fail, and return what it says"
    try: call()
    except RabitError as error: message = str(error)
    else: raise AssertionError("this should have failed")
    for word in words: assert word in message, (word, message)
    return message

def slow_region(labels, at):
    "Connected pixels of one class, pixel by pixel"
    (x, y), (h, w) = at, labels.shape
    mask, todo = torch.zeros(h, w, dtype=torch.bool), [(x, y)]
    while todo:
        i, j = todo.pop()
        if 0 <= i < w and 0 <= j < h and not mask[j, i] and labels[j, i] == labels[y, x]:
            mask[j, i] = True
            todo += [(i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)]
    return mask

class Recorder:
    "In the translator's place: paints black, and counts"
    config, calls = dict(classes=7), 0
    def edit(self, picture, labels, edited, size=None, keep=True):
        self.calls += 1
        black = np.zeros((*labels.shape, 3), dtype=np.uint8)
        return Image.fromarray(np.where(((labels == edited) & keep).numpy()[..., None], np.asarray(to_pil(picture)), black))


def test_a_region_is_what_a_flood_pixel_by_pixel_reaches():
    g = torch.Generator().manual_seed(0)
    for h, w in ((1, 1), (1, 9), (7, 1), (12, 17)):
        for classes in (1, 2, 3):
            noise = torch.randint(classes, (h, w), generator=g)
            at = (int(torch.randint(w, (), generator=g)), int(torch.randint(h, (), generator=g)))
            assert torch.equal(region(noise, at), slow_region(noise, at))
    diagonal = torch.eye(4, dtype=torch.int64)
    assert region(diagonal, (1, 1)).sum() == 1                                     # corners do not connect
    for bad in ((64, 3), (3, 64), (-1, 0), (2.5, 1)): fails(lambda: region(torch.zeros(64, 64, dtype=torch.int64), bad), "64×64", str(bad[0]), "0 to 63")
    fails(lambda: region(torch.zeros(2, 4, 4, dtype=torch.int64), (0, 0)), "(2, 4, 4)", "(h, w)")
    fails(lambda: region(torch.zeros(4, 4), (0, 0)), "float32")


def test_fill_changes_one_region_and_relabel_a_class():
    two = torch.tensor([[1, 0, 1], [1, 0, 1]])
    assert fill(two, (0, 1), 5).tolist() == [[5, 0, 1], [5, 0, 1]]
    assert relabel(two, 1, 5).tolist() == [[5, 0, 5], [5, 0, 5]]
    assert two.tolist() == [[1, 0, 1], [1, 0, 1]]                                  # the map that was given stays as it was
    fails(lambda: relabel(two, 3, 1), "label 3", "[0, 1]")
    for bad in (-1, 256, 2.0, True, "tree"): fails(lambda: fill(two, (0, 0), bad), repr(bad), "0 to 254")


def test_a_brush_paints_a_disc_a_bar_and_nothing_outside():
    empty = torch.zeros(9, 12, dtype=torch.int64)
    assert brush(empty, [(3, 4)], 0, 1).nonzero().tolist() == [[4, 3]]
    disc = brush(empty, [(5, 4)], 2, 1)
    assert torch.equal(disc, disc.flip(0)) and disc[4, 3:8].all() and disc[4].sum() == 5 and not disc[2, 3]
    bar = brush(empty, [(2, 4), (9, 4)], 1, 1)
    assert bar[3:6, 2:10].all() and bar[4].sum() == 10 and bar[2].sum() == 0
    beads = brush(brush(empty, [(2, 4)], 1, 1), [(9, 4)], 1, 1)                    # what stamps would leave
    assert (bar >= beads).all() and bar.sum() > beads.sum()
    assert brush(empty, [(-50, -50)], 3, 1).sum() == 0 and brush(empty, [(-2, 4)], 2, 1).sum() == 3
    fails(lambda: brush(empty, [], 2, 1), "[]")
    fails(lambda: brush(empty, [(1, float("nan"))], 2, 1), "nan")
    fails(lambda: brush(empty, [(1, 1)], -2, 1), "radius = -2")


def test_a_hole_takes_the_class_of_the_nearest_pixel_outside():
    g = torch.Generator().manual_seed(0)
    noise, hole = torch.randint(5, (14, 19), generator=g), torch.rand(14, 19, generator=g) < .7
    filled = fill_hole(noise, hole)
    assert torch.equal(filled[~hole], noise[~hole])
    outside = (~hole).nonzero()
    for y, x in hole.nonzero().tolist():
        far = (outside - torch.tensor([y, x])).square().sum(1)
        assert filled[y, x] in noise[tuple(outside[far == far.min()].T)]           # any of the nearest will do
    assert torch.equal(fill_hole(noise, torch.zeros_like(hole)), noise)
    fails(lambda: fill_hole(noise, torch.ones_like(hole)), "whole map")
    fails(lambda: fill_hole(noise, hole[:5]), "5, 19", "(14, 19)")


def test_an_edited_scene_changes_where_its_thing_was_or_is_and_nowhere_else():
    for record in edited_scenes(12, seed=3):
        near = _near(record["was"] | record["thing"], 1.5)
        assert (record["labels"] != record["edited"]).any() and not (record["labels"] != record["edited"])[~near].any()
        assert ((record["picture"] - record["truth"])[0].abs().amax(0)[~near] > 0).float().mean() < .002  # tips thinner than a pixel
        assert not torch.equal(record["picture"], record["truth"])
        if record["kind"] == "removed": assert not record["thing"].any()
        if record["kind"] == "grown": assert record["thing"].sum() > record["was"].sum()
    assert [r["kind"] for r in edited_scenes(4)] == ["removed", "moved", "grown", "removed"]
    fails(lambda: edited_scene(0, "painted"), "'painted'", "removed, moved, grown")


def test_regions_move_grow_and_vanish():
    box = torch.zeros(12, 16, dtype=torch.int64)
    box[6:] = 2
    box[4:8, 3:6] = 1
    moved = move_region(box, (4, 5), 7, -1)
    assert (moved == 1).sum() == 12 and (moved[3:7, 10:13] == 1).all() and (moved[:6, :9] == 0).all() and (moved[7:] == 2).all()
    assert torch.equal(move_region(box, (4, 5), 0, 0), box)                        # not moved at all
    assert torch.equal(move_region(moved, (11, 4), -7, 1), box)                    # and back: nothing else stood there
    grown = grow_region(box, (4, 5), 1)
    assert (grown[4:8, 2:7] == 1).all() and (grown[3:9, 3:6] == 1).all() and grown[3, 2] == 0
    assert torch.equal(grow_region(grown, (4, 5), -1), box) and torch.equal(grow_region(box, (4, 5), 0), box)
    assert (grow_region(box, (0, 0), -1) == 0)[:5, 0].all()                        # no shrinking away from the map's edge
    assert not (erase_region(box, (4, 5)) == 1).any() and (erase_region(box, (4, 5))[:6] == 0).all()
    fails(lambda: move_region(box, (4, 5), 30, 0), "(30, 0)", "erase_region")
    fails(lambda: move_region(box, (4, 5), .5, 0), "0.5")
    fails(lambda: grow_region(box, (4, 5), -2), "12 pixels", "erase_region")
    fails(lambda: grow_region(box, (4, 5), 99), "99", "16×12")
    fails(lambda: erase_region(torch.ones(4, 4, dtype=torch.int64), (0, 0)), "whole map")


def test_a_history_goes_back_and_forth():
    past = History("a", limit=3)
    for state in "bc": past.do(state)
    past.undo(); past.undo()
    assert past.now == "a"
    fails(past.undo, "undo")
    past.redo()
    assert past.now == "b"
    past.do("d")
    fails(past.redo, "redo")                                                       # c is gone
    past.reset()
    assert past.now == "a"
    past.undo()
    assert past.now == "d"
    for state in "efgh": past.do(state)
    for _ in range(3): past.undo()
    assert past.now == "e"                                                         # three are remembered
    fails(past.undo, "undo")
    fails(lambda: History("a", 0), "limit = 0")


def test_unchanged_regions_are_kept_to_the_rounding_of_eight_bits():
    model = Translator.from_pretrained("street-64")
    for r in edited_scenes(3, seed=2):
        same = r["labels"] == r["edited"]
        kept = read_picture(model.edit(r["picture"], r["labels"], r["edited"]))[0]
        assert ((kept - r["picture"][0]).abs().amax(0)[same] <= 1 / 255 + 1e-6).all()         # a float picture: half a step
        eight = to_pil(r["picture"])
        assert (np.asarray(model.edit(eight, r["labels"], r["edited"]))[same] == np.asarray(eight)[same]).all()   # an image: to the bit
        fresh = np.asarray(model.edit(eight, r["labels"], r["edited"], keep=False))
        assert (fresh[same] != np.asarray(eight)[same]).any()                      # without keep there is no such promise


def test_repaint_takes_what_is_known_from_the_original_and_paints_the_rest():
    model, (picture, labels) = Translator.from_pretrained("street-64"), street()
    edited = erase_region(labels, tuple((labels == 6).nonzero()[0].flip(0).tolist()))
    source = unchanged(labels, edited)
    plain = np.asarray(model.edit(picture, labels, edited))
    assert (np.asarray(repaint(model, picture, labels, edited)) == plain).all() and (np.asarray(repaint(model, picture, labels, edited, source)) == plain).all()
    source[:5], source[5, 0] = -1, 64 * 63 + 7                                     # the first rows anew, one pixel from the last row
    made, original, painted = np.asarray(repaint(model, picture, labels, edited, source)), np.asarray(to_pil(picture)), np.asarray(model.edit(picture, labels, edited, keep=False))
    assert (made[:5] == painted[:5]).all() and (made[5, 0] == original[63, 7]).all() and (made[6:] == plain[6:]).all()
    assert (np.asarray(repaint(None, picture, labels, labels, unchanged(labels, labels))) == original).all()      # all is known: no translator is asked
    fails(lambda: repaint(model, picture, labels, edited, source[:9]), "9, 64", "(64, 64)")
    fails(lambda: repaint(model, picture, labels, edited, source + 64 * 64), "4095")
    fails(lambda: unchanged(labels, edited[:9]), "(9, 64)")


def test_the_true_source_of_a_moved_thing_shows_what_the_truth_shows():
    for one in edited_scenes(9, seed=4):
        source = true_source(one)
        known = source >= 0
        shown = one["picture"][0].flatten(1)[:, source]
        assert (shown - one["truth"][0]).abs().mean(0)[known].mean() < .02         # smooth edges apart
        if one["kind"] == "moved": assert (known & one["thing"]).sum() > .5 * one["thing"].sum()
        assert not (true_source(one, carry=False) >= 0)[one["was"] | one["thing"]].any()


def test_the_errors_of_an_edit_are_zero_for_the_truth_and_found_where_they_are():
    for r in edited_scenes(6, seed=5):
        assert all(e == 0 or e != e for e in edit_errors(r["truth"], r).values())
        touched = (r["labels"] != r["edited"]) | r["was"] | r["thing"]
        off = edit_errors(r["truth"] + .5 * touched, r)                            # all that was touched is too bright
        assert abs(off["changed"] - .5) < 1e-6 and abs(off["seam"] - .5) < 1e-6 and off["ring"] == off["elsewhere"] == 0
        assert edit_errors(r["picture"], r)["elsewhere"] == 0                     # the original is right there


def test_a_changed_region_is_moved_grown_and_renamed_at_once():
    box = torch.zeros(16, 20, dtype=torch.int64)
    box[9:] = 2
    box[5:9, 4:8] = 1
    number = unchanged(box, box)
    edited, source = change_region(box, (5, 6), 6, 1, 1, 3)
    assert torch.equal(edited == 3, shift_mask(grow_mask(box == 1, 1), 6, 1)) and not (edited == 1).any() and (source[5:9, 4:8] == -1).all() and (source[edited == 3] == -1).all()
    edited, source = change_region(box, (5, 6), 6, 1)
    assert torch.equal(edited, move_region(box, (5, 6), 6, 1)) and torch.equal(source[6:10, 10:14], number[5:9, 4:8])
    assert ((source == number) == ~((edited != box) | (box == 1))).all()
    further = change_region(edited, (11, 7), -2, 0, source=source)
    assert torch.equal(further[0], move_region(edited, (11, 7), -2, 0)) and torch.equal(further[1][6:10, 8:12], number[5:9, 4:8])   # sources travel on
    clipped, source = change_region(box, (5, 6), -6, 0)
    assert torch.equal(source[5:9, 0:2], number[5:9, 6:8])
    for radius in (2, -1): assert torch.equal(change_region(box, (5, 6), grow=radius)[0], grow_region(box, (5, 6), radius))
    same, source = change_region(box, (5, 6))
    assert torch.equal(same, box) and torch.equal(source, number)
    filled, source = change_region(box, (5, 6), label=2)
    assert torch.equal(filled, fill(box, (5, 6), 2)) and torch.equal(source, unchanged(box, filled))
    fails(lambda: change_region(box, (5, 6), 40), "16 pixels", "(40, 0)")


def test_knobs_draw_once_plainly():
    picture, labels = street()
    sheet = edit_knobs(Translator.from_pretrained("street-64"), picture, labels, STREET_CLASSES)
    assert sheet is None or len(sheet.axes) == 4                                   # None: a notebook has shown it
    edit_knobs(Translator.from_pretrained("street-64"), to_pil(picture), Image.fromarray(labels.byte().numpy()))       # images will do
    fails(lambda: edit_knobs(Translator.from_pretrained("street-64"), picture, labels[None]), "(1, 64, 64)")


def test_an_editor_repaints_once_for_each_stroke():
    picture, labels = street()
    editor = Editor(Recorder(), picture, labels)
    editor.label, editor.radius = 5, 2
    editor.press(10, 5)
    for x in range(11, 30): editor.drag(x, 5)
    assert editor.translator.calls == 0 and torch.equal(editor.labels, labels)   # nothing before the release
    assert editor.release() and editor.translator.calls == 1
    assert torch.equal(editor.labels, brush(labels, [(10, 5), (29, 5)], 2, 5))
    other = (editor.labels != labels).numpy()
    assert (np.asarray(editor.picture)[other] == 0).all() and (np.asarray(editor.picture)[~other] == np.asarray(to_pil(picture))[~other]).all()
    editor.drag(3, 3)
    assert not editor.release() and editor.translator.calls == 1                 # the mouse came from outside
    editor.press(20, 5)
    assert not editor.release() and editor.translator.calls == 1                 # paint on the same paint


def test_the_tools_of_an_editor_are_the_functions_above():
    picture, labels = street()
    editor = Editor(Recorder(), picture, labels)
    car = tuple((labels == 6).nonzero()[0].flip(0).tolist())
    editor.tool, editor.label = "fill", 3
    editor.press(*car); editor.release()
    assert torch.equal(editor.labels, fill(labels, car, 3))
    editor = Editor(Recorder(), picture, labels)
    editor.tool = "move"
    editor.press(car[0] + .3, car[1] - .4); editor.drag(car[0] + 1, car[1] - 9); editor.release()
    edited, source = change_region(labels, car, 1, -9)
    assert torch.equal(editor.labels, edited) and (np.asarray(editor.picture)[(source < 0).numpy()] == 0).all()
    x, y = car
    assert (np.asarray(editor.picture)[y - 9, x + 1] == np.asarray(to_pil(picture))[y, x]).all()       # its own pixels
    editor = Editor(Recorder(), picture, labels)
    for editor.label in (3, int(labels[2, 20])):                                   # road, which the sky does not touch, and sky again
        editor.tool = "fill"
        editor.press(20, 2); editor.release()
    assert torch.equal(editor.labels, labels) and (np.asarray(editor.picture) == np.asarray(to_pil(picture))).all()   # painted back
    for tool, label, word in (("brush", 7, "7 classes"), ("rub", 0, "brush, fill, move"), ("fill", "tree", "'tree'")):
        editor.tool, editor.label = tool, label
        editor.press(3, 3)
        fails(editor.release, word)
    fails(lambda: Editor(Recorder(), picture, labels[:, :60]), "64×64", "60×64")
    fails(lambda: Editor(Recorder(), picture, labels + 2), "7 classes")
    edges = Recorder()
    edges.config = dict(classes=2, condition="edges")
    fails(lambda: Editor(edges, picture, labels), "from edges")


def test_an_editor_goes_back_and_forth_and_saves():
    from tempfile import TemporaryDirectory
    picture, labels = street()
    editor = Editor(Recorder(), picture, labels)
    editor.label, editor.tool = 5, "fill"
    editor.press(20, 2); editor.release()
    filled, seen = editor.labels, np.asarray(editor.picture)
    editor.undo()
    assert torch.equal(editor.labels, labels) and (np.asarray(editor.picture) == np.asarray(to_pil(picture))).all()
    editor.redo()
    assert torch.equal(editor.labels, filled) and (np.asarray(editor.picture) == seen).all()
    fails(editor.redo, "redo")
    editor.reset()
    assert torch.equal(editor.labels, labels)
    editor.undo()
    with TemporaryDirectory() as folder:
        paths = editor.save(Path(folder) / "new")
        assert torch.equal(read_labels(paths[1], 7)[0], filled) and (np.asarray(Image.open(paths[0])) == seen).all()
        shown = np.asarray(Image.open(paths[1]).convert("RGB"))
        assert (shown == np.asarray(to_pil(color_labels(filled)))).all()           # in a viewer it looks as it does here
        fails(lambda: editor.save(paths[0]), "edited.png")                        # a file where a folder should be


def test_a_spiral_takes_rounds_by_its_turns():
    def spiral(turns):
        side = 4 * turns + 1
        labels, x, y, step = torch.zeros(side, side, dtype=torch.int64), 0, 0, side - 1
        for k, (dx, dy) in enumerate([(1, 0), (0, 1), (-1, 0), (0, -1)] * turns):
            if k > 2 and k % 2: step -= 2
            for _ in range(step): labels[y, x] = 1; x, y = x + dx, y + dy
        return labels
    for turns in (1, 3):
        labels = spiral(turns)
        assert region(labels, (0, 0)).sum() == (labels == 1).sum() > 0
