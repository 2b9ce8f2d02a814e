# Generated from nbs/6_tools/62_canvas.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import numpy as np
import torch
from PIL import Image
from pathlib import Path
from rabit.core.colors import color_labels
from rabit.core.tensors import RabitError
from rabit.core.tensors import to_pil
from rabit.inputs.palettes import read_labels
from rabit.matching.street import street_pairs
from rabit.tools.canvas import Editor
from rabit.tools.canvas import StrokeEditor
from rabit.tools.edit import brush
from rabit.tools.edit import fill
from rabit.tools.repaint import change_region

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

class Recorder:
    "In the translator's place: paints black, and counts"
    config, calls = dict(classes=7), 0
    def edit(self, image, labels, edited, size=None, keep=True):
        self.calls += 1
        black = np.zeros((*labels.shape, 3), dtype=np.uint8)
        return Image.fromarray(np.where(((labels == edited) & keep).numpy()[..., None],
                                        np.asarray(to_pil(image)), black))


def test_an_editor_repaints_once_for_each_stroke():
    image, labels = street()
    editor = StrokeEditor(Recorder(), image, labels)
    editor.label, editor.radius = 5, 2
    editor.press(10, 5)
    for x in range(11, 30): editor.drag(x, 5)
    assert editor.translator.calls == 0 and torch.equal(editor.labels, labels)     # nothing before the release
    assert editor.release() and editor.translator.calls == 1
    assert torch.equal(editor.labels, brush(labels, [(10, 5), (29, 5)], 2, 5))
    other = (editor.labels != labels).numpy()
    painted, original = np.asarray(editor.image), np.asarray(to_pil(image))
    assert (painted[other] == 0).all() and (painted[~other] == original[~other]).all()
    editor.drag(3, 3)
    assert not editor.release() and editor.translator.calls == 1                 # the mouse came from outside
    editor.press(20, 5)
    assert not editor.release() and editor.translator.calls == 1                 # paint on the same paint


def test_the_tools_of_an_editor_are_the_functions_above():
    image, labels = street()
    editor = StrokeEditor(Recorder(), image, labels)
    car = tuple((labels == 6).nonzero()[0].flip(0).tolist())
    editor.tool, editor.label = "fill", 3
    editor.press(*car)
    editor.release()
    assert torch.equal(editor.labels, fill(labels, car, 3))
    editor = StrokeEditor(Recorder(), image, labels)
    editor.tool = "move"
    editor.press(car[0] + .3, car[1] - .4)
    editor.drag(car[0] + 1, car[1] - 9)
    editor.release()
    edited, source_index = change_region(labels, car, 1, -9)
    assert torch.equal(editor.labels, edited)
    assert (np.asarray(editor.image)[(source_index < 0).numpy()] == 0).all()
    x, y = car
    # its own pixels
    assert (np.asarray(editor.image)[y - 9, x + 1] == np.asarray(to_pil(image))[y, x]).all()
    editor = StrokeEditor(Recorder(), image, labels)
    # road, which the sky does not touch, and sky again
    for editor.label in (3, int(labels[2, 20])):
        editor.tool = "fill"
        editor.press(20, 2)
        editor.release()
    # painted back
    assert torch.equal(editor.labels, labels) and (np.asarray(editor.image) == np.asarray(to_pil(image))).all()
    for tool, label, word in (
        ("brush", 7, "7 classes"),
        ("rub", 0, "brush, fill, move"),
        ("fill", "tree", "'tree'"),
    ):
        editor.tool, editor.label = tool, label
        editor.press(3, 3)
        fails(editor.release, word)
    fails(lambda: StrokeEditor(Recorder(), image, labels[:, :60]), "64×64", "60×64")
    fails(lambda: StrokeEditor(Recorder(), image, labels + 2), "7 classes")
    edges = Recorder()
    edges.config = dict(classes=2, condition="edges")
    fails(lambda: StrokeEditor(edges, image, labels), "conditioned on edges")


def test_an_editor_goes_back_and_forth_and_saves():
    from tempfile import TemporaryDirectory
    image, labels = street()
    editor = Editor(Recorder(), image, labels)
    editor.label, editor.tool = 5, "fill"
    editor.press(20, 2)
    editor.release()
    filled, seen = editor.labels, np.asarray(editor.image)
    editor.undo()
    assert torch.equal(editor.labels, labels) and (np.asarray(editor.image) == np.asarray(to_pil(image))).all()
    editor.redo()
    assert torch.equal(editor.labels, filled) and (np.asarray(editor.image) == seen).all()
    fails(editor.redo, "redo")
    editor.reset()
    assert torch.equal(editor.labels, labels)
    editor.undo()
    with TemporaryDirectory() as folder:
        paths = editor.save(Path(folder) / "new")
        assert torch.equal(read_labels(paths[1], 7)[0], filled)
        assert (np.asarray(Image.open(paths[0])) == seen).all()
        shown = np.asarray(Image.open(paths[1]).convert("RGB"))
        # in a viewer it looks as it does here
        assert (shown == np.asarray(to_pil(color_labels(filled)))).all()
        # a file where a folder should be
        fails(lambda: editor.save(paths[0]), "edited.png")
