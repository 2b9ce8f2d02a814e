# Generated from nbs/0_core/02_colors.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import matplotlib
import torch
from rabit.core.colors import color_labels
from rabit.core.tensors import RabitError

MISSING = {"all receptors": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
           "no green": [[.367322, .860646, -.227968], [.280085, .672501, .047413],
                        [-.011820, .042940, .968881]], "no red": [[.152286, 1.052583, -.204868],
                                                                  [.114503, .786281, .099216],
                                                                  [-.003882, -.048116, 1.051998]]}
TO_XYZ = torch.tensor([[.4124564, .3575761, .1804375], [.2126729, .7151522, .0721750],
                       [.0193339, .1191920, .9503041]])

def seen(rgb, missing):
    "Colors (n, 3) in [0, 1] → linear RGB as seen with a receptor missing"
    linear = torch.where(rgb <= .04045, rgb / 12.92, ((rgb + .055) / 1.055) ** 2.4)
    return (linear @ torch.tensor(MISSING[missing]).float().T).clamp(0, 1)

def lab(linear):
    "Linear RGB (n, 3) → CIELAB (n, 3)"
    xyz = linear @ TO_XYZ.T / torch.tensor([.95047, 1., 1.08883])
    f = torch.where(xyz > .008856, xyz.clamp(min=1e-9) ** (1 / 3), 7.787 * xyz + 16 / 116)
    return torch.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], -1)

def closest(rgb):
    "Smallest distance between two of the colors, in the worst of the three ways of seeing"
    return min(torch.pdist(lab(seen(rgb, missing))).min().item() for missing in MISSING)


def test_label_colors_are_fixed_cyclic_and_black_when_unknown():
    ids = torch.tensor([[0, 1, 24, 255]])
    colors = color_labels(ids)
    assert colors.shape == (3, 1, 4) and color_labels(ids[None]).shape == (1, 3, 1, 4)
    assert (colors[:, 0, 0] == colors[:, 0, 2]).all() and (colors[:, 0, 0] != colors[:, 0, 1]).any()
    assert (colors[:, 0, 3] == -1).all() and colors.min() >= -1 and colors.max() <= 1
    for wrong in (torch.zeros(2, 2), torch.tensor([[256]]), torch.tensor([[-1]]), torch.zeros(1, 2, 2, 2).long()):
        try:
            color_labels(wrong)
        except RabitError as error:
            assert str(tuple(wrong.shape)) in str(error) or str(wrong.max().item()) in str(error)
        else:
            raise AssertionError(f"{wrong} was colored")


def test_the_palette_keeps_its_colors_apart_for_everybody():
    palette = color_labels(torch.arange(24)[None])[:, 0].T / 2 + .5
    print(f"closest two of our 24: {closest(palette):.1f}")
    assert closest(palette) > 12


def test_our_palette_stays_ahead_of_tab20():
    usual = torch.tensor(matplotlib.colormaps["tab20"].colors).float()
    ours = color_labels(torch.arange(24)[None])[:, 0].T / 2 + .5
    print("first n   tab20   ours")
    for n in (5, 10, 20):
        print(f"{n:7}   {closest(usual[:n]):5.0f}   {closest(ours[:n]):4.0f}")
        assert closest(usual[:n]) < closest(ours[:n])
