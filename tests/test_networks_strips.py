# Generated from nbs/3_networks/36b_strips.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
from rabit.core.tensors import resize
from rabit.networks.strips import Detail
from rabit.networks.strips import enlarge
from rabit.networks.strips import upsample_rows


def test_rows_of_an_enlarged_map_are_those_of_the_whole():
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 6, 9, generator=draw)
    for size in ((6, 9), (13, 31), (48, 72)):
        whole = resize(x, size)
        parts = [upsample_rows(x, size, slice(i, i + 5)) for i in range(0, size[0], 5)]
        torch.testing.assert_close(torch.cat(parts, 2), whole)
        # one label everywhere counts for nothing, and so does a label that is nowhere
        for label in (0, 7):
            given = torch.zeros(2, 6, 9, dtype=torch.long), torch.full((2, size[0], size[1]), label)
            torch.testing.assert_close(upsample_rows(x, size, slice(None), *given), whole)


def test_strips_of_any_height_give_one_image():
    draw = torch.Generator().manual_seed(1)
    image, exemplar = (torch.rand(1, 3, *n, generator=draw) * 2 - 1 for n in ((8, 12), (70, 50)))
    labels = torch.randint(3, (1, 8, 12), generator=draw), torch.randint(3, (1, 61, 90), generator=draw)
    place = torch.rand(1, 2, 61, 90, generator=draw) * torch.tensor([49., 69.]).view(1, 2, 1, 1)
    def positions(rows):
        for weight in (.25, .75): yield place[:, :, rows], torch.full(place[0, 0, rows].shape, weight)
    confidence = torch.rand(1, 1, 8, 12, generator=draw)
    for theirs in (None, torch.randint(3, (1, 70, 50), generator=draw)):
        detail = Detail(exemplar, positions, confidence, theirs)
        whole = enlarge(image, (61, 90), labels if theirs is not None else (), detail)
        for pixels in (1, 90 * 7, 90 * 60):
            parts = enlarge(image, (61, 90), labels if theirs is not None else (), detail, pixels)
            torch.testing.assert_close(parts, whole, atol=1e-5, rtol=0)
        assert (whole - enlarge(image, (61, 90))).abs().max() > .1
