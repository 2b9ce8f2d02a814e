# Generated from nbs/0_core/04_figures.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import matplotlib
import numpy as np
import sys
import torch
from PIL import Image
from rabit.core.axes import HeatMap
from rabit.core.figures import crisp
from rabit.core.figures import label_legend
from rabit.core.figures import panels
from rabit.core.figures import save_grid
from rabit.core.figures import show_arrows
from rabit.core.figures import show_bars
from rabit.core.figures import show_curves
from rabit.core.figures import show_grid
from rabit.core.figures import show_heat
from rabit.core.figures import show_plan
from rabit.core.figures import show_row
from rabit.core.tensors import RabitError

def toy(h=24, w=32):
    "An image (3, h, w) in [-1, 1], a label map (h, w) with an unknown corner, and a float map (h, w)"
    y, x = torch.linspace(-1, 1, h)[:, None].expand(h, w), torch.linspace(-1, 1, w)[None].expand(h, w)
    labels = ((x + 1) * 1.99).long() + 4 * (y > 0).long()
    labels[:5, :5] = 255
    return torch.stack([x, y, (3 * x * y).sin()]), labels, (x * 3).sin() * (y * 2).cos()


def test_a_figure_shows_itself_and_leaves_nothing_behind():
    before = dict(matplotlib.rcParams)
    figure, plots = panels(1, 2)
    assert figure._repr_png_()[:4] == b"\x89PNG" and plots[0]._repr_png_()[:4] == b"\x89PNG"
    assert dict(matplotlib.rcParams) == before
    plots[1].set_title("a title that is much too long for a plot of about three inches, and is broken")
    assert "\n" in plots[1].get_title()
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()


def test_a_grid_has_one_image_per_item():
    image, labels, heat = toy()
    figure = show_grid([[image, labels, heat], [image.flip(1), labels.flip(0), None]],
                       row_titles=["as it is", "upside down"], titles=["an image", "its labels",
                                                                       "a heat map, with its range below"],
                       size=1.2)
    assert [len(ax.images) for ax in figure.axes] == [1, 1, 1, 1, 1, 0]
    assert figure.axes[2].get_xlabel().startswith("-0.9")
    own, fixed = show_grid([[heat, HeatMap(heat, -2, 2)]]).axes
    assert own.images[0].get_clim() == (heat.min(), heat.max()) and fixed.images[0].get_clim() == (-2, 2)
    for rows, titles in (([], None), ([[image]], ["one", "two"])):
        try: show_grid(rows, titles=titles)
        except RabitError as error: print(error)
        else: raise AssertionError("shown all the same")
    figure


def test_crisp_images_are_drawn_without_smoothing():
    sheet = crisp(show_row([torch.rand(3, 4, 4) * 2 - 1, torch.rand(3, 4, 4) * 2 - 1]))
    assert all(image.get_interpolation() == "nearest" for axes in sheet.axes for image in axes.images)


def test_a_row_keeps_the_shapes_of_its_images():
    strip = torch.arange(24).view(3, 8).repeat_interleave(6, 0).repeat_interleave(6, 1)
    items, titles = [strip, strip[:, :24], strip[:12]], ["three rows", "half of them", "two rows"]
    figure = show_row(items, titles, size=1., suptitle="The label palette, ids 0 to 23")
    boxes = [ax.get_window_extent() for ax in figure.axes]
    assert len(boxes) == 3
    for box, ratio in zip(boxes, (8 / 3, 4 / 3, 4)): assert abs(box.width / box.height - ratio) < .01 * ratio
    figure


def test_a_legend_names_the_ids_it_is_given():
    image, labels, heat = toy()
    figure = show_row([labels], size=1.2)
    legend = label_legend({0: "sky", 1: "road", 5: "tree", 255: "unknown"}, figure.axes[0]).get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["sky", "road", "tree", "unknown"]
    assert legend.get_patches()[3].get_facecolor()[:3] == (0, 0, 0)
    assert len(label_legend(["sky", "road"]).get_legend().get_texts()) == 2
    figure


def test_a_heat_map_draws_the_values_it_is_given():
    image, labels, heat = toy()
    ax = show_heat(heat, "a signed map: white is zero", cmap="RdBu_r", vmin=-1, vmax=1)
    assert torch.equal(torch.as_tensor(ax.images[0].get_array().data),
                       heat) and ax.images[0].get_clim() == (-1, 1)
    assert show_heat(heat[None, None], colorbar=False).images
    try: show_heat(torch.zeros(2, 3, 4))
    except RabitError as error: assert "(2, 3, 4)" in str(error)
    else: raise AssertionError("three dimensions were drawn as a matrix")
    ax


def test_arrows_go_from_the_point_to_its_position():
    image, labels, heat = toy()
    y, x = torch.meshgrid(torch.arange(24.), torch.arange(32.), indexing="ij")
    same, turned = torch.stack([x, y]), torch.stack([31 - x, 23 - y])
    figure = show_arrows(image, image.flip(-1, -2), same, [(4, 4), (15, 12), (26, 15)], ground_truth=turned)
    dots = [[tuple(line.get_xydata()[0]) for line in ax.lines] for ax in figure.axes]
    assert dots[0] == [(4, 4), (4, 4), (15, 12), (15, 12), (26, 15), (26, 15)]
    assert dots[1] == [(27, 19), (4, 4), (16, 11), (15, 12), (5, 8), (26, 15)]
    figure


def test_coarse_positions_are_looked_up_and_unknown_ground_truth_is_left_out():
    image, labels, heat = toy()
    # one row of two cells: left half → (2, 5), right half → (30, 6)
    coarse = torch.tensor([[[2., 30.]], [[5., 6.]]])
    figure = show_arrows(labels, image, coarse, [(3, 20), (28, 1)], ground_truth=coarse * torch.nan)
    assert [tuple(line.get_xydata()[0]) for line in figure.axes[1].lines] == [(2, 5), (30, 6)]
    assert len(show_arrows(image, image, coarse).axes[0].lines) == 9
    try: show_arrows(image, image, coarse[:1])
    except RabitError as error: assert "(1, 1, 2)" in str(error)
    else: raise AssertionError("a map without y was drawn")


def test_a_plan_is_drawn_with_its_sums_and_the_masses_wanted():
    near = torch.zeros(6, 3).scatter_(1, torch.tensor([[0], [0], [0], [1], [1], [2]]), 1 / 6)
    figure = show_plan(near, torch.full((6,), 1 / 6), torch.full((3,), 1 / 3),
                       "each source to its nearest target", "source", "target")
    top, corner, main, side = figure.axes[:4]
    assert np.allclose([bar.get_height() for bar in top.patches], [3 / 6, 2 / 6, 1 / 6])
    assert np.allclose([bar.get_width() for bar in side.patches], [1 / 6] * 6)
    assert len(top.collections[0].get_segments()) == 3 and len(show_plan(near).axes[0].collections) == 0
    try: show_plan(near, torch.ones(3))
    except RabitError as error: print(error)
    else: raise AssertionError("masses of the wrong length were drawn")
    figure


def test_curves_are_drawn_over_their_own_x():
    x = torch.arange(1, 31)
    ax = show_curves({"geometric, $0.7^x$": (x, .7 ** x), "polynomial, $x^{-2}$": (x, x ** -2.)}, "x", "value",
                     "two ways to decay", ylog=True)
    assert ax.get_yscale() == "log" and [len(line.get_xdata()) for line in ax.lines] == [30, 30]
    assert show_curves({"loss": [3., 2., 1.]}).lines[0].get_xdata().tolist() == [0, 1, 2]
    try: show_curves({"loss": ([1, 2], [1])})
    except RabitError as error: assert "'loss' has 2 x and 1 y" in str(error)
    else: raise AssertionError("an uneven curve was drawn")
    ax


def test_bars_carry_their_numbers_and_leave_gaps_for_missing_groups():
    values = {f"{n} classes": {"coarse": n / 2, "fine": float(n)} for n in (5, 10, 20)}
    ax = show_bars(values, "two groups of bars", "a number", text="{:.0f}")
    heights = [[bar.get_height() for bar in bars] for bars in ax.containers]
    assert all(a < b for a, b in zip(*heights))
    assert [len(bars) for bars in show_bars({"a": {"x": 1, "y": 2}, "b": {"y": 3}}).containers] == [1, 2]
    assert [t.get_text() for t in show_bars({"a": 1, "b": torch.tensor(2.5)}).texts] == ["1", "2.5"]
    ax


def test_whiskers_reach_as_far_as_the_spread():
    lines = show_bars({"a": 1., "b": 3.}, spread={"a": .5, "b": 0.}).containers[-1].errorbar[2][0].get_segments()
    assert [sorted(y for _, y in line) for line in lines] == [[.5, 1.5], [3., 3.]]


def test_a_grid_is_written_and_a_place_that_cannot_be_written_is_named():
    import tempfile
    image, labels, heat = toy()
    with tempfile.TemporaryDirectory() as folder:
        rows = [[image, labels], [image.flip(-1), labels.flip(-1)]]
        path = save_grid(rows, f"{folder}/new/grid.png", ["image", "labels"], ["one", "two"], scale=4)
        with Image.open(path) as written:
            assert written.format == "PNG" and written.width > 2 * 4 * 32 and written.height > 2 * 4 * 24
        for wrong in (path / "below_a_file.png", path.with_suffix(".jpg")):
            try: save_grid([[image]], wrong)
            except RabitError as error: assert wrong.name in str(error)
            else: raise AssertionError(f"{wrong} was written")
