# Generated from nbs/5_training/50a_photo_metrics.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import math
import torch
from rabit.core.trials import fails
from rabit.training.photo_metrics import appearance_distances
from rabit.training.photo_metrics import class_iou
from rabit.training.photo_metrics import joint_distance
from rabit.training.photo_metrics import kernel_distance
from rabit.training.photo_metrics import lab
from rabit.training.photo_metrics import mean_by_class
from rabit.training.photo_metrics import named
from rabit.training.photo_metrics import rivals


def test_the_kernel_distance_is_the_mean_over_pairs_of_others():
    g = torch.Generator().manual_seed(0)
    a, b = torch.randn(5, 3, generator=g), torch.randn(4, 3, generator=g) + 1
    def mean_kernel(x, y, same):
        found = [(float(p.double() @ q.double()) / 3 + 1) ** 3 for i, p in enumerate(x) for j, q in enumerate(y)
                 if not (same and i == j)]
        return sum(found) / len(found)
    by_hand = mean_kernel(a, a, True) + mean_kernel(b, b, True) - 2 * mean_kernel(a, b, False)
    assert abs(kernel_distance(a, b) - by_hand) < 1e-9
    assert "(5, 3) and (4, 2)" in fails(kernel_distance, a, b[:, :2])
    assert "two images or more" in fails(kernel_distance, a[:1], b)


def test_intersection_over_union_by_hand():
    wanted = torch.tensor([[[0, 0, 1, 1, 2, 255]]])
    brought = torch.tensor([[[0, 1, 1, 1, 255, 0]]])
    everything = torch.ones_like(wanted, dtype=torch.bool)
    iou = class_iou(brought, wanted, everything, 4)
    assert iou[:3].tolist() == [.5, 2 / 3, 0] and iou[3].isnan()       # class 3 is not wanted anywhere
    assert class_iou(brought, wanted, wanted == 0, 4)[0] == .5
    assert class_iou(brought, wanted, wanted == 2, 4)[0].isnan()       # of what counts, none is class 0


def test_means_over_a_class_are_those_of_its_pixels_alone():
    labels = torch.tensor([[[0, 0], [1, 1]], [[0, 0], [0, 0]]])
    maps = torch.tensor([[[[1., 3.], [5., 9.]]], [[[2., 2.], [2., 4.]]]])
    found = mean_by_class(maps, labels, 3)
    assert found[:, 0, 0].tolist() == [2, 2.5] and found[0, 1, 0] == 7
    assert found[1, 1].isnan().all() and found[:, 2].isnan().all()
    wide = labels.repeat_interleave(4, 1).repeat_interleave(4, 2)      # the same labels on a finer grid
    torch.testing.assert_close(mean_by_class(torch.ones(2, 5, 2, 2), wide, 2)[0], torch.ones(2, 5))


def test_colors_of_cielab_are_the_known_ones():
    def flat(r, g, b): return torch.tensor([r, g, b]).view(1, 3, 1, 1) * 2. - 1
    for rgb, known in (((1, 1, 1), (100, 0, 0)), ((0, 0, 0), (0, 0, 0)), ((1, 0, 0), (53.24, 80.09, 67.20)),
                       ((0, 0, 1), (32.30, 79.19, -107.86)), ((.5, .5, .5), (53.39, 0, 0))):
        torch.testing.assert_close(lab(flat(*rgb)).flatten(), torch.tensor(known).float(), atol=.02, rtol=0)


def test_rivals_are_one_of_each_other_group():
    allowed = rivals(torch.tensor([7, 8, 9, 5]), torch.tensor([1, 1, 2, 7]))
    assert allowed.tolist() == [[False, False, True, False], [False, False, True, True],
                                [True, False, False, True], [True, False, True, False]]


def test_naming_is_right_once_in_ten_by_chance_and_agrees_with_drawing():
    g = torch.Generator().manual_seed(0)
    d, allowed = torch.rand(400, 400, generator=g), ~torch.eye(400, dtype=torch.bool)
    assert abs(named(d, allowed).mean() - .1) < .03
    row = torch.tensor([.3, .1, .2, *[.5 + i / 100 for i in range(17)]]).expand(20, 20)   # two of 19 are nearer
    drawn = [bool((row[0, 1:][torch.randperm(19, generator=g)[:9]] > .3).all()) for _ in range(4000)]
    p = named(row, ~torch.eye(20, dtype=torch.bool))[0]
    assert abs(p - math.comb(17, 9) / math.comb(19, 9)) < 1e-6
    assert abs(p - sum(drawn) / 4000) < .03
    few = named(d[:9, :9], allowed[:9, :9])
    assert few.isnan().all()                                           # eight rivals are not nine


def test_a_class_that_an_exemplar_lacks_counts_as_nothing_in_common():
    d = torch.tensor([[[1., torch.nan, .5]], [[torch.nan, 1., .2]]])
    shown = torch.tensor([[True, True, False], [False, True, True]])
    torch.testing.assert_close(joint_distance(d, shown), torch.tensor([[(1 + 2**.5) / 2], [.6]]))
    y = [torch.tensor([[[1., 0.]], [[-1., 0.]]])]                      # two images of one class
    torch.testing.assert_close(appearance_distances(y, y)[..., 0], torch.tensor([[0., 2.], [2., 0.]]))
