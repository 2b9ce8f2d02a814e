"""The canvas editor without a browser: events are sent to what it registered on the canvas; with ipycanvas
where it is installed, else on a stand-in."""
import builtins, sys
from types import ModuleType

import ipywidgets, numpy as np, pytest, torch
from PIL import Image

from rabit.core.tensors import RabitError, to_pil
from rabit.networks.translate import Translator
from rabit.tools.canvas import CanvasEditor, Editor, canvas_size, paint
from rabit.tools.edit import brush, erase_region, fill, move_region
from rabit.matching.street import STREET_CLASSES, street_pairs

ZOOM = 3


class StandIn(ipywidgets.DOMWidget):
    "A canvas that remembers what was drawn on it and who listens"
    def __init__(self, width, height):
        super().__init__()
        self.given = (width, height)
        self.drawn = []
        self.listeners = {}
    def __getattr__(self, name):
        if name.startswith("on_") and name != "on_trait_change":
            return lambda callback: self.listeners.__setitem__(name[3:], callback)
        if name in ("clear", "fill_rect", "fill_text", "stroke_line", "put_image_data"):
            return lambda *args: self.drawn.append((name, args))
        raise AttributeError(name)
    def send_event(self, name, *args): self.listeners[name](*args)


class Black:
    "In the translator's place: paints what changed black, and counts"
    config = dict(classes=7)
    def __init__(self): self.calls = 0
    def edit(self, image, labels, edited, size=None, keep=True):
        self.calls += 1
        same = ((labels == edited) & keep).numpy()[..., None]
        return Image.fromarray(np.where(same, np.asarray(to_pil(image)), np.uint8(0)))


@pytest.fixture
def street():
    batch = street_pairs([24], seed=1, size=(64, 64))
    return batch["image"], batch["labels"][0]


@pytest.fixture
def on_canvas(street):
    canvas = StandIn(*canvas_size((64, 64), ZOOM, 7))
    return CanvasEditor(Editor(Black(), *street), canvas, ZOOM, STREET_CLASSES, [].append)


def at(x, y, image=False): return (x + .5 + 64 * image) * ZOOM, (y + .5) * ZOOM


def drag(canvas, points):
    canvas.send_event("mouse_down", *points[0])
    for point in points[1:]: canvas.send_event("mouse_move", *point)
    canvas.send_event("mouse_up", *points[-1])


def last(canvas): return [args[0] for name, args in canvas.drawn if name == "put_image_data"][-2:]


def choose(on_canvas, label):
    x, y = on_canvas.swatch(label)
    on_canvas.canvas.send_event("mouse_down", x + 3, y + 3)
    on_canvas.canvas.send_event("mouse_up", x + 3, y + 3)


def test_map_image_and_palette_are_drawn(on_canvas, street):
    shown, image = last(on_canvas.canvas)
    assert shown.shape == image.shape == (192, 192, 3) and shown.dtype == np.uint8
    assert (image[::ZOOM, ::ZOOM] == np.asarray(to_pil(street[0]))).all()
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) == len(street[1].unique())
    names = [args[0] for name, args in on_canvas.canvas.drawn if name == "fill_text"]
    assert [n.removeprefix("▸ ") for n in names] == list(STREET_CLASSES) and names[0].startswith("▸")


@pytest.mark.parametrize("size, zoom, classes", [((64, 64), 3, 7), ((10, 10), 1, 7), ((40, 200), 2, 150)])
def test_every_class_has_its_place_on_the_canvas(size, zoom, classes):
    width, height = canvas_size(size, zoom, classes)
    editor = Editor(Black(), torch.zeros(1, 3, *size), torch.zeros(size, dtype=torch.int64))
    on_canvas = CanvasEditor(editor, StandIn(width, height), zoom, range(classes))
    places = [on_canvas.swatch(label) for label in range(classes)]
    assert len(set(places)) == classes and all(size[0] * zoom <= y < height for _, y in places)
    choose(on_canvas, classes - 1)
    assert editor.label == classes - 1 and editor.translator.calls == 0


@pytest.mark.parametrize("image", [False, True])
def test_a_stroke_on_map_or_image_paints_once(on_canvas, street, image):
    choose(on_canvas, 5)
    drag(on_canvas.canvas, [at(x, 5, image) for x in (10, 14, 20, 31)])
    expected = brush(street[1], [(10, 5), (31, 5)], 3, 5)
    assert torch.equal(on_canvas.editor.labels, expected) and on_canvas.editor.translator.calls == 1
    painted = last(on_canvas.canvas)[1][::ZOOM, ::ZOOM]
    assert (painted[(expected != street[1]).numpy()] == 0).all()


def test_a_stroke_ends_where_the_mouse_leaves(on_canvas, street):
    choose(on_canvas, 5)
    on_canvas.canvas.send_event("mouse_down", *at(10, 5))
    on_canvas.canvas.send_event("mouse_out", *at(70, 5))
    assert on_canvas.editor.translator.calls == 1 and not torch.equal(on_canvas.editor.labels, street[1])
    now = on_canvas.editor.labels
    on_canvas.canvas.send_event("mouse_move", *at(40, 40))
    on_canvas.canvas.send_event("mouse_up", *at(40, 40))
    assert torch.equal(on_canvas.editor.labels, now) and on_canvas.editor.translator.calls == 1


def test_a_stroke_does_not_jump_from_the_map_into_the_image(on_canvas, street):
    choose(on_canvas, 5)
    drag(on_canvas.canvas, [at(60, 5), at(62, 5), at(1, 5, image=True)])
    assert torch.equal(on_canvas.editor.labels, brush(street[1], [(60, 5), (62, 5)], 3, 5))


def test_fill_and_move(on_canvas, street):
    labels, car = street[1], tuple((street[1] == 6).nonzero()[0].flip(0).tolist())
    on_canvas.editor.tool = "fill"
    choose(on_canvas, 1)
    drag(on_canvas.canvas, [at(20, 2)])
    assert torch.equal(on_canvas.editor.labels, fill(labels, (20, 2), 1))
    on_canvas.editor.tool = "move"
    drag(on_canvas.canvas, [at(*car), at(car[0] + 2, car[1] - 4)])
    assert torch.equal(on_canvas.editor.labels, move_region(fill(labels, (20, 2), 1), car, 2, -4))


def test_a_press_at_the_very_edge_is_inside(on_canvas):
    on_canvas.editor.tool = "fill"
    for x, y in ((-2, 0), (0, -1), (6 * 64 - .01, 64 * ZOOM - .01), (64 * ZOOM - .01, 1)):
        drag(on_canvas.canvas, [(x, y)])
        assert on_canvas.editor.stroke == []


def test_errors_are_told_and_the_editor_lives_on(street):
    told = []
    on_canvas = CanvasEditor(Editor(Black(), *street), StandIn(1, 1), ZOOM, STREET_CLASSES, told.append)
    on_canvas.editor.tool = "move"
    drag(on_canvas.canvas, [at(36, 47), at(200, 47)])
    assert "(164, 0)" in told[-1] or "nothing is left" in told[-1] or on_canvas.editor.translator.calls == 1
    on_canvas.editor.tool = "rub"
    drag(on_canvas.canvas, [at(5, 5)])
    assert "'rub'" in told[-1] and on_canvas.editor.stroke == []
    on_canvas.editor.tool, on_canvas.editor.label = "brush", 5
    drag(on_canvas.canvas, [at(5, 5)])
    assert told[-1] == "" and on_canvas.editor.translator.calls >= 1


def test_a_browser_that_connects_later_sees_the_image(on_canvas):
    on_canvas.canvas.drawn.clear()
    on_canvas.canvas.send_event("client_ready")
    assert len(last(on_canvas.canvas)) == 2


@pytest.fixture
def stand_in(monkeypatch):
    module = ModuleType("ipycanvas")
    module.Canvas = StandIn
    monkeypatch.setitem(sys.modules, "ipycanvas", module)


def test_paint_has_widgets_and_buttons_that_work(stand_in, street, tmp_path):
    panel, editor = paint(Black(), *street, names=STREET_CLASSES, folder=tmp_path)
    canvas, tool, radius, buttons, message = panel.children
    assert canvas.given == (2 * 64 * 6, 64 * 6 + 20)
    tool.value, radius.value = "fill", 7
    assert (editor.tool, editor.radius) == ("fill", 7)
    press = {b.description: b.click for b in buttons.children}
    assert list(press) == ["undo", "redo", "reset", "save"]
    canvas.send_event("mouse_down", 60, 10)
    canvas.send_event("mouse_up", 60, 10)
    editor.label = 1
    canvas.send_event("mouse_down", 60, 10)
    canvas.send_event("mouse_up", 60, 10)
    filled = fill(street[1], (9, 1), 1)
    assert torch.equal(editor.labels, filled)
    press["undo"]()
    assert torch.equal(editor.labels, street[1])
    assert (last(canvas)[1][::6, ::6] == np.asarray(to_pil(street[0]))).all()
    press["undo"]()
    assert "nothing to undo" in message.value
    press["redo"]()
    assert torch.equal(editor.labels, filled) and message.value == ""
    press["reset"]()
    assert torch.equal(editor.labels, street[1])
    press["save"]()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["edited.png", "edited_labels.png"]
    assert str(tmp_path / "edited_labels.png") in message.value


def test_paint_repaints_with_the_shipped_model(stand_in, street):
    panel, editor = paint(Translator.from_pretrained("street-64"), *street, names=STREET_CLASSES)
    car = tuple((street[1] == 6).nonzero()[0].flip(0).tolist())
    editor.tool, editor.label = "fill", 3
    canvas = panel.children[0]
    canvas.send_event("mouse_down", (car[0] + .5) * 6, (car[1] + .5) * 6)
    canvas.send_event("mouse_up", (car[0] + .5) * 6, (car[1] + .5) * 6)
    same = (editor.labels == street[1]).numpy()
    before, after = np.asarray(to_pil(street[0])), np.asarray(editor.image)
    assert not same.all() and (after[same] == before[same]).all() and (after[~same] != before[~same]).any()


def test_without_ipycanvas_the_message_says_how_to_get_it(monkeypatch, street):
    there = builtins.__import__
    def missing(name, *args, **kwargs):
        if name.split(".")[0] == "ipycanvas": raise ImportError(name)
        return there(name, *args, **kwargs)
    monkeypatch.delitem(sys.modules, "ipycanvas", raising=False)
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(RabitError, match="pip install ipycanvas"): paint(Black(), *street)


def test_with_ipycanvas_itself(street):
    pytest.importorskip("ipycanvas")
    panel, editor = paint(Black(), *street, names=STREET_CLASSES)
    canvas = panel.children[0]
    def event(name, x, y): canvas._handle_frontend_event(canvas, {"event": name, "x": x, "y": y}, [])
    editor.label = 5
    for name, x in (("mouse_down", 60), ("mouse_move", 90), ("mouse_up", 90)): event(name, x, 33)
    assert torch.equal(editor.labels, brush(street[1], [(9.5, 5), (14.5, 5)], 3, 5))
    assert editor.translator.calls == 1


def test_the_map_alone_takes_no_time_worth_mentioning_on_a_photograph():
    """Half a megapixel with a ragged region: rounds and memory stay small (a pixel-by-pixel flood or all
    distances at once would not)"""
    labels = (torch.rand(600, 800, generator=torch.Generator().manual_seed(0)) < .3).long()
    labels[100:400, 100:500] = 2
    out = erase_region(labels, (300, 300))
    assert not (out == 2).any() and torch.equal(out[:100], labels[:100])
