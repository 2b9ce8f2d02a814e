# Generated from nbs/0_core/03_axes.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image
from rabit.core.axes import DPI
from rabit.core.axes import HeatMap
from rabit.core.axes import NotebookAxes
from rabit.core.axes import NotebookFigure
from rabit.core.axes import as_image
from rabit.core.axes import place_image
from rabit.core.axes import wrap
from rabit.core.colors import color_labels
from rabit.core.tensors import RabitError

def toy(h=24, w=32):
    "An image (3, h, w) in [-1, 1], a label map (h, w) with an unknown corner, and a float map (h, w)"
    y, x = torch.linspace(-1, 1, h)[:, None].expand(h, w), torch.linspace(-1, 1, w)[None].expand(h, w)
    labels = ((x + 1) * 1.99).long() + 4 * (y > 0).long()
    labels[:5, :5] = 255
    return torch.stack([x, y, (3 * x * y).sin()]), labels, (x * 3).sin() * (y * 2).cos()


def test_titles_wrap_to_the_width_of_their_image():
    title = "a title that is longer than its image is wide"
    assert max(map(len, wrap(title, 1.5).split("\n"))) < len(title) // 2
    assert wrap(title, 1.5).split() == title.split()
    assert wrap("one\ntwo", 5) == "one\ntwo" and wrap("$a + b = c$", .1) == "$a + b = c$"


def test_a_figure_shows_itself_and_leaves_nothing_behind():
    figure = NotebookFigure(figsize=(2, 1), dpi=DPI)
    ax = figure.add_subplot(axes_class=NotebookAxes)
    assert figure._repr_png_()[:4] == b"\x89PNG" and ax._repr_png_()[:4] == b"\x89PNG"
    assert ax.figure is figure and not plt.get_fignums()
    ax.set_title("a title that is much too long for axes of about two inches, and is broken")
    assert "\n" in ax.get_title()


def test_every_kind_of_image_can_be_drawn():
    image, labels, heat = toy()
    for item in (
        image,
        image[None],
        image.bfloat16(),
        labels,
        labels[None],
        color_labels(labels),
        Image.new("L", (32, 24)),
    ):
        image = as_image(item)
        assert image.shape == (24, 32, 3) and 0 <= image.min() and image.max() <= 1
    for item in (heat, heat[None], heat[None, None], heat > 0, HeatMap(heat[None])):
        assert as_image(item).shape == (24, 32)
    assert (as_image(torch.full((3, 1, 1), torch.nan)) == [1, 0, 1]).all()
    for wrong in (torch.zeros(2, 8, 8), torch.zeros(2, 3, 8, 8), torch.zeros(3, 8, 8).long(), torch.zeros(0, 8)):
        try: as_image(wrong)
        except RabitError as error: assert str(tuple(wrong.shape)) in str(error)
        else: raise AssertionError(f"{tuple(wrong.shape)} was drawn")


def test_a_fixed_scale_is_kept_and_told():
    figure, undecided = NotebookFigure(), np.array([[.38, .52]])
    own, fixed = (place_image(figure, undecided, (0, 0, 1, 1), limits) for limits in (None, (0., 1.)))
    assert own.images[0].get_clim() == (.38, .52) and own.get_xlabel() == "0.38 … 0.52"
    assert fixed.images[0].get_clim() == (0, 1) and fixed.get_xlabel() == "0.38 … 0.52 of 0 … 1"
