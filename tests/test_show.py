# Generated from nbs/01_show.ipynb by .ci/export_tests.py: edit the notebook, not this file.
import ipywidgets
import matplotlib
import numpy as np
import sys
import torch
from PIL import Image
from matplotlib.figure import Figure
from rabit.core import RabitError
from rabit.show import as_image
from rabit.show import bind_knobs
from rabit.show import color_labels
from rabit.show import draw_once
from rabit.show import explore
from rabit.show import label_legend
from rabit.show import make_knobs
from rabit.show import make_panel
from rabit.show import panels
from rabit.show import save_sheet
from rabit.show import show_arrows
from rabit.show import show_bars
from rabit.show import show_curves
from rabit.show import show_grid
from rabit.show import show_heat
from rabit.show import show_plan
from rabit.show import show_row
from rabit.show import wrap

def toy(h=24, w=32):
    "A picture (3, h, w) in [-1, 1], a label map (h, w) with an unknown corner, and a float map (h, w)"
    y, x = torch.linspace(-1, 1, h)[:, None].expand(h, w), torch.linspace(-1, 1, w)[None].expand(h, w)
    labels = ((x + 1) * 1.99).long() + 4 * (y > 0).long()
    labels[:5, :5] = 255
    return torch.stack([x, y, (3 * x * y).sin()]), labels, (x * 3).sin() * (y * 2).cos()

MISSING = {"all receptors": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
           "no green": [[.367322, .860646, -.227968], [.280085, .672501, .047413], [-.011820, .042940, .968881]],
           "no red": [[.152286, 1.052583, -.204868], [.114503, .786281, .099216], [-.003882, -.048116, 1.051998]]}
TO_XYZ = torch.tensor([[.4124564, .3575761, .1804375], [.2126729, .7151522, .0721750], [.0193339, .1191920, .9503041]])

def seen(rgb, missing):
    "Colours (n, 3) in [0, 1] → linear RGB as seen with a receptor missing"
    linear = torch.where(rgb <= .04045, rgb / 12.92, ((rgb + .055) / 1.055) ** 2.4)
    return (linear @ torch.tensor(MISSING[missing]).float().T).clamp(0, 1)

def lab(linear):
    "Linear RGB (n, 3) → CIELAB (n, 3)"
    xyz = linear @ TO_XYZ.T / torch.tensor([.95047, 1., 1.08883])
    f = torch.where(xyz > .008856, xyz.clamp(min=1e-9) ** (1 / 3), 7.787 * xyz + 16 / 116)
    return torch.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], -1)

def closest(rgb):
    "Smallest distance between two of the colours, in the worst of the three ways of seeing"
    return min(torch.pdist(lab(seen(rgb, missing))).min().item() for missing in MISSING)


def test_titles_wrap_to_the_width_of_their_picture():
    title = "a title that is longer than its picture is wide"
    assert max(map(len, wrap(title, 1.5).split("\n"))) < len(title) // 2
    assert wrap(title, 1.5).split() == title.split()
    assert wrap("one\ntwo", 5) == "one\ntwo" and wrap("$a + b = c$", .1) == "$a + b = c$"


def test_a_sheet_shows_itself_and_leaves_nothing_behind():
    before = dict(matplotlib.rcParams)
    sheet, plots = panels(1, 2)
    assert sheet._repr_png_()[:4] == b"\x89PNG" and plots[0]._repr_png_()[:4] == b"\x89PNG"
    assert dict(matplotlib.rcParams) == before
    plots[1].set_title("a title that is much too long for a plot of about three inches, and is broken")
    assert "\n" in plots[1].get_title()
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()


def test_label_colours_are_fixed_cyclic_and_black_when_unknown():
    ids = torch.tensor([[0, 1, 24, 255]])
    colors = color_labels(ids)
    assert colors.shape == (3, 1, 4) and color_labels(ids[None]).shape == (1, 3, 1, 4)
    assert (colors[:, 0, 0] == colors[:, 0, 2]).all() and (colors[:, 0, 0] != colors[:, 0, 1]).any()
    assert (colors[:, 0, 3] == -1).all() and colors.min() >= -1 and colors.max() <= 1
    for wrong in (torch.zeros(2, 2), torch.tensor([[256]]), torch.tensor([[-1]]), torch.zeros(1, 2, 2, 2).long()):
        try: color_labels(wrong)
        except RabitError as error: assert str(tuple(wrong.shape)) in str(error) or str(wrong.max().item()) in str(error)
        else: raise AssertionError(f"{wrong} was coloured")


def test_the_palette_keeps_its_colours_apart_for_everybody():
    palette = color_labels(torch.arange(24)[None])[:, 0].T / 2 + .5
    print(f"closest two of our 24: {closest(palette):.1f}")
    assert closest(palette) > 12


def test_every_kind_of_picture_can_be_drawn():
    picture, labels, heat = toy()
    for item in (picture, picture[None], picture.bfloat16(), labels, labels[None], color_labels(labels), Image.new("L", (32, 24))):
        image = as_image(item)
        assert image.shape == (24, 32, 3) and 0 <= image.min() and image.max() <= 1
    for item in (heat, heat[None], heat[None, None], heat > 0): assert as_image(item).shape == (24, 32)
    assert (as_image(torch.full((3, 1, 1), torch.nan)) == [1, 0, 1]).all()
    for wrong in (torch.zeros(2, 8, 8), torch.zeros(2, 3, 8, 8), torch.zeros(3, 8, 8).long(), torch.zeros(0, 8)):
        try: as_image(wrong)
        except RabitError as error: assert str(tuple(wrong.shape)) in str(error)
        else: raise AssertionError(f"{tuple(wrong.shape)} was drawn")


def test_a_grid_has_one_picture_per_item():
    picture, labels, heat = toy()
    sheet = show_grid([[picture, labels, heat], [picture.flip(1), labels.flip(0), None]], row_titles=["as it is", "upside down"],
                      titles=["a picture", "its labels", "a heat map, with its range below"], size=1.2)
    assert [len(ax.images) for ax in sheet.axes] == [1, 1, 1, 1, 1, 0]
    assert sheet.axes[2].get_xlabel().startswith("-0.9")
    for rows, titles in (([], None), ([[picture]], ["one", "two"])):
        try: show_grid(rows, titles=titles)
        except RabitError as error: print(error)
        else: raise AssertionError("shown all the same")
    sheet


def test_a_row_keeps_the_shapes_of_its_pictures():
    strip = torch.arange(24).view(3, 8).repeat_interleave(6, 0).repeat_interleave(6, 1)
    def encoded(linear): return torch.where(linear <= .0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - .055)
    views = [encoded(seen(color_labels(strip).flatten(1).T / 2 + .5, missing)).T.view(3, *strip.shape) * 2 - 1 for missing in MISSING]
    sheet = show_row(views, titles=list(MISSING), size=1., suptitle="The label palette, ids 0 to 23")
    box = sheet.axes[0].get_window_extent()
    assert len(sheet.axes) == 3 and abs(box.width / box.height - 8 / 3) < .01
    sheet


def test_a_legend_names_the_ids_it_is_given():
    picture, labels, heat = toy()
    sheet = show_row([labels], size=1.2)
    legend = label_legend({0: "sky", 1: "road", 5: "tree", 255: "unknown"}, sheet.axes[0]).get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["sky", "road", "tree", "unknown"]
    assert legend.get_patches()[3].get_facecolor()[:3] == (0, 0, 0)
    assert len(label_legend(["sky", "road"]).get_legend().get_texts()) == 2
    sheet


def test_a_heat_map_draws_the_values_it_is_given():
    picture, labels, heat = toy()
    ax = show_heat(heat, "a signed map: white is zero", cmap="RdBu_r", vmin=-1, vmax=1)
    assert torch.equal(torch.as_tensor(ax.images[0].get_array().data), heat) and ax.images[0].get_clim() == (-1, 1)
    assert show_heat(heat[None, None], colorbar=False).images
    try: show_heat(torch.zeros(2, 3, 4))
    except RabitError as error: assert "(2, 3, 4)" in str(error)
    else: raise AssertionError("three dimensions were drawn as a matrix")
    ax


def test_arrows_go_from_the_point_to_its_position():
    picture, labels, heat = toy()
    y, x = torch.meshgrid(torch.arange(24.), torch.arange(32.), indexing="ij")
    same, turned = torch.stack([x, y]), torch.stack([31 - x, 23 - y])
    sheet = show_arrows(picture, picture.flip(-1, -2), same, [(4, 4), (15, 12), (26, 15)], truth=turned)
    dots = [[tuple(line.get_xydata()[0]) for line in ax.lines] for ax in sheet.axes]
    assert dots[0] == [(4, 4), (4, 4), (15, 12), (15, 12), (26, 15), (26, 15)]
    assert dots[1] == [(27, 19), (4, 4), (16, 11), (15, 12), (5, 8), (26, 15)]
    sheet


def test_coarse_positions_are_looked_up_and_unknown_truth_is_left_out():
    picture, labels, heat = toy()
    coarse = torch.tensor([[[2., 30.]], [[5., 6.]]])   # one row of two cells: left half → (2, 5), right half → (30, 6)
    sheet = show_arrows(labels, picture, coarse, [(3, 20), (28, 1)], truth=coarse * torch.nan)
    assert [tuple(line.get_xydata()[0]) for line in sheet.axes[1].lines] == [(2, 5), (30, 6)]
    assert len(show_arrows(picture, picture, coarse).axes[0].lines) == 9
    try: show_arrows(picture, picture, coarse[:1])
    except RabitError as error: assert "(1, 1, 2)" in str(error)
    else: raise AssertionError("a map without y was drawn")


def test_a_plan_is_drawn_with_its_sums_and_the_masses_wanted():
    near = torch.zeros(6, 3).scatter_(1, torch.tensor([[0], [0], [0], [1], [1], [2]]), 1 / 6)
    sheet = show_plan(near, torch.full((6,), 1 / 6), torch.full((3,), 1 / 3), "each source to its nearest target", "source", "target")
    top, corner, main, side = sheet.axes[:4]
    assert np.allclose([bar.get_height() for bar in top.patches], [3 / 6, 2 / 6, 1 / 6])
    assert np.allclose([bar.get_width() for bar in side.patches], [1 / 6] * 6)
    assert len(top.collections[0].get_segments()) == 3 and len(show_plan(near).axes[0].collections) == 0
    try: show_plan(near, torch.ones(3))
    except RabitError as error: print(error)
    else: raise AssertionError("masses of the wrong length were drawn")
    sheet


def test_curves_are_drawn_over_their_own_x():
    x = torch.arange(1, 31)
    ax = show_curves({"geometric, $0.7^x$": (x, .7 ** x), "polynomial, $x^{-2}$": (x, x ** -2.)}, "x", "value", "two ways to decay", ylog=True)
    assert ax.get_yscale() == "log" and [len(line.get_xdata()) for line in ax.lines] == [30, 30]
    assert show_curves({"loss": [3., 2., 1.]}).lines[0].get_xdata().tolist() == [0, 1, 2]
    try: show_curves({"loss": ([1, 2], [1])})
    except RabitError as error: assert "'loss' has 2 x and 1 y" in str(error)
    else: raise AssertionError("an uneven curve was drawn")
    ax


def test_bars_carry_their_numbers_and_leave_gaps_for_missing_groups():
    usual, ours = torch.tensor(matplotlib.colormaps["tab20"].colors).float(), color_labels(torch.arange(24)[None])[:, 0].T / 2 + .5
    ax = show_bars({f"first {n}": {"tab20": closest(usual[:n]), "ours": closest(ours[:n])} for n in (5, 10, 20)}, "closest two colours", "CIELAB distance", text="{:.0f}")
    heights = [[bar.get_height() for bar in bars] for bars in ax.containers]
    assert all(a < b for a, b in zip(*heights))
    assert [len(bars) for bars in show_bars({"a": {"x": 1, "y": 2}, "b": {"y": 3}}).containers] == [1, 2]
    assert [t.get_text() for t in show_bars({"a": 1, "b": torch.tensor(2.5)}).texts] == ["1", "2.5"]
    ax


def test_whiskers_reach_as_far_as_the_spread():
    lines = show_bars({"a": 1., "b": 3.}, spread={"a": .5, "b": 0.}).containers[-1].errorbar[2][0].get_segments()
    assert [sorted(y for _, y in line) for line in lines] == [[.5, 1.5], [3., 3.]]


def test_interact_hides_an_error():
    from unittest import mock
    def broken(k): raise ZeroDivisionError(f"no picture for {k}")
    panel = ipywidgets.interactive(broken, k=(1, 3))
    with mock.patch("ipywidgets.widgets.interaction.get_ipython", lambda: None), mock.patch.object(panel.log, "warning"):  # keeps the report out of this page
        panel.update()
    assert panel.result is None and panel.kwargs == {"k": 2}


def test_knobs_follow_their_abbreviations_and_the_defaults_of_the_function():
    def draw(k=2, eps=.5, mode="soft", dense=False, n=7): pass
    knobs = make_knobs(draw, dict(k=(1, 9), eps=(0., 1., .01), mode=["hard", "soft"], dense=True, n=ipywidgets.IntText(5)))
    assert {name: knob.value for name, knob in knobs.items()} == dict(k=2, eps=.5, mode="soft", dense=True, n=5)
    assert (knobs["k"].min, knobs["k"].max, knobs["eps"].step, knobs["mode"].options) == (1, 9, .01, ("hard", "soft"))
    try: make_knobs(draw, dict(k=object()))
    except RabitError as error: assert "k=<object" in str(error)
    else: raise AssertionError("an object became a control")


def test_what_draws_with_pyplot_is_shown_once():
    import matplotlib.pyplot as plt
    before = plt.get_fignums()
    assert isinstance(draw_once(lambda k: plt.subplots()[1], dict(k=1)), Figure)
    try: draw_once(lambda k: plt.figure().add_axes(k), dict(k="nowhere"))
    except Exception as error: assert plt.get_fignums() == before
    else: raise AssertionError("axes were added nowhere")


def test_a_moved_knob_draws_again_and_an_error_is_told():
    def inverse(k): return show_curves({"1/k": [1 / k]}, title=f"k = {k}").figure
    knobs, shown, told = make_knobs(inverse, dict(k=ipywidgets.IntSlider(2, -3, 3))), [], []
    bind_knobs(inverse, knobs, shown.append, told.append)
    knobs["k"].value = 3
    assert len(shown) == 1 and shown[0].axes[0].get_title() == "k = 3" and told == [""]
    knobs["k"].value = 0
    assert len(shown) == 1 and told[-1].startswith("ZeroDivisionError")
    knobs["k"].value = 1
    assert len(shown) == 2 and told[-1] == ""


def test_a_button_acts_and_its_error_is_told():
    done = []
    panel, complain = make_panel([ipywidgets.IntSlider()], {"go": lambda: done.append(1), "<fail>": lambda: [][0], "tell": lambda: "went"})
    go, fail, tell = panel.children[1].children
    fail.click()
    assert "IndexError" in panel.children[-1].value and not done
    go.click()
    assert done == [1] and panel.children[-1].value == ""
    tell.click()
    assert "went" in panel.children[-1].value
    complain("a < b")
    assert "a &lt; b" in panel.children[-1].value
    assert len(make_panel([ipywidgets.IntSlider()])[0].children) == 2              # no buttons, no empty row


def test_explore_draws_once_plainly_and_again_for_each_change():
    calls = []
    def counted(k):
        calls.append(k)
        return show_curves({"k": [0, k]}, title=f"k = {k}", size=(2, 1.2))
    slider = ipywidgets.IntSlider(2, 1, 5)
    explore(counted, k=slider)
    assert calls == [2]
    slider.value = 4
    assert calls == [2, 4]


def test_explore_fails_where_the_first_picture_fails():
    def broken(k): raise ZeroDivisionError(f"no picture for {k}")
    for draw, wanted in ((broken, ZeroDivisionError), (lambda k: None, RabitError)):
        try: explore(draw, k=(1, 3))
        except wanted as error: print(type(error).__name__, error)
        else: raise AssertionError("an explore without a picture passed")


def test_outside_a_notebook_nothing_is_redrawn():
    import rabit.show
    there, rabit.show._in_notebook = rabit.show._in_notebook, lambda: False
    try: assert rabit.show.redraw()("no figure at all") is None
    finally: rabit.show._in_notebook = there


def test_a_sheet_is_written_and_a_place_that_cannot_be_written_is_named():
    import tempfile
    picture, labels, heat = toy()
    with tempfile.TemporaryDirectory() as folder:
        path = save_sheet([[picture, labels], [picture.flip(-1), labels.flip(-1)]], f"{folder}/new/sheet.png", ["picture", "labels"], ["one", "two"], scale=4)
        with Image.open(path) as image: assert image.format == "PNG" and image.width > 2 * 4 * 32 and image.height > 2 * 4 * 24
        for wrong in (path / "below_a_file.png", path.with_suffix(".jpg")):
            try: save_sheet([[picture]], wrong)
            except RabitError as error: assert wrong.name in str(error)
            else: raise AssertionError(f"{wrong} was written")
