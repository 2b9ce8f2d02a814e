# Generated from nbs/1_matching/10_scenes.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
from dataclasses import replace
from rabit.core.tensors import RabitError
from rabit.matching.scenes import FAR
from rabit.matching.scenes import Layout
from rabit.matching.scenes import Style
from rabit.matching.scenes import World
from rabit.matching.scenes import cell_noise
from rabit.matching.scenes import draws
from rabit.matching.scenes import extent_of
from rabit.matching.scenes import find_parts
from rabit.matching.scenes import ground_plane
from rabit.matching.scenes import ground_truth
from rabit.matching.scenes import noise
from rabit.matching.scenes import pairs
from rabit.matching.scenes import render
from rabit.matching.scenes import shade
from rabit.matching.scenes import uniform
from rabit.matching.scenes import upright
from rabit.matching.scenes import without

def kite_layout(indices, seed=0, hard=True, stream=0):
    "A wall, a floor and a kite"
    draw = draws(indices, seed, stream)
    horizon, x, y, size = draw(.45, .6), draw(.25, .75), draw(.25, .6), draw(.15, .25)
    one = torch.ones_like(x)
    wall = upright(x, horizon, .2 * one, .2 * one)
    floor = ground_plane(draw(.4, .6), horizon - .1, 0 * one, .3 * one)
    kite = upright(x, y, size * (1 - 2 * draw().round()), size)
    extent = [extent_of(-FAR, FAR, -FAR, FAR, one), extent_of(-FAR, FAR, 0., 1 / (.1 * .3), one),
              extent_of(-1., 1., -1., 1., one)]
    absent = torch.stack([one > 1, one > 1, draw() < .25], 1)
    return Layout(torch.stack([wall, floor, kite], 1), without(torch.stack(extent, 1), absent))

kite_inside = (None, None, lambda u, v: u.abs() + v.abs() < 1)

def kite_style(indices, seed=0):
    "Four colors and two numbers per part"
    table = uniform(indices, seed, 2, 3 * 14 + 3)
    return Style(table[:, :36].view(-1, 3, 4, 3), table[:, 36:42].view(-1, 3, 2), .8 + .2 * table[:, 42:])

def cloudy(u, v, c, n): return torch.lerp(c[0], c[1], noise(u * 2, v * 2, n[0]))
def tiled(u, v, c, n): return torch.lerp(c[0], c[1], cell_noise(u.floor(), v.floor(), n[0]))
def quartered(u, v, c, n):
    return torch.where(u < 0, torch.where(v < 0, c[0], c[1]), torch.where(v < 0, c[2], c[3]))

kite_shaders = (cloudy, tiled, quartered)

names = ("wall", "floor", "kite")
KITE = World("kite", names, names, (0, 1, 2), (2,), kite_layout, kite_style, kite_inside, kite_shaders)


def test_a_number_depends_on_its_sample_alone():
    assert uniform(torch.tensor([3]), n=5).equal(uniform(torch.tensor([1, 2, 3]), n=5)[2:])
    assert not uniform(torch.tensor([3]), stream=0).equal(uniform(torch.tensor([3]), stream=1))
    assert not uniform(torch.tensor([3]), seed=0).equal(uniform(torch.tensor([3]), seed=1))


def test_the_numbers_are_uniform_and_neighbours_are_uncorrelated():
    table = uniform(torch.arange(2000), n=50)
    assert 0 <= table.min() and table.max() < 1
    assert abs(table.mean() - 1/2) < .01 and abs(table.var() - 1/12) < .002
    a, b = table[:-1].flatten() - .5, table[1:].flatten() - .5
    assert abs((a * b).mean() / (1/12)) < .01


def test_a_layout_has_a_matrix_and_a_box_per_part_and_some_kites_are_absent():
    layout = kite_layout(torch.arange(200))
    assert layout.matrix.shape == (200, 3, 3, 3) and layout.extent.shape == (200, 3, 4)
    absent = (layout.extent[..., 0] > layout.extent[..., 1]).float().mean(0)
    assert absent[:2].eq(0).all() and .1 < absent[2] < .4


def test_absent_parts_are_never_seen_and_a_part_ends_where_its_test_says():
    layout = kite_layout(torch.arange(20))
    parts = find_parts(layout, (48, 96), kite_inside)
    assert parts.shape == (20, 48, 96) and sorted(parts.unique().tolist()) == [0, 1, 2]
    gone = layout.extent[:, 2, 0] > layout.extent[:, 2, 1]
    assert gone.any() and not (parts[gone] == 2).any()
    boxes = find_parts(layout, (48, 96), (None, None, None))
    assert .4 < (parts == 2).sum() / (boxes == 2).sum() < .6 and (boxes[parts == 2] == 2).all()


def test_an_image_is_in_range_and_its_labels_follow_from_its_parts():
    layout, style = kite_layout(torch.arange(4)), kite_style(torch.arange(4))
    image, labels, parts = render(layout, style, size=(37, 53), world=KITE)
    assert image.shape == (4, 3, 37, 53) and -1 <= image.min() and image.max() <= 1
    assert labels.equal(torch.tensor(KITE.part_class)[parts])
    assert parts.equal(find_parts(layout, (37, 53), kite_inside).long())
    assert shade(layout, style, parts, kite_shaders).shape == image.shape


def test_the_ground_truth_of_a_kite_in_itself_is_the_identity():
    layout = kite_layout(torch.arange(6))
    parts = find_parts(layout, (40, 56), kite_inside).long()
    position, visible = ground_truth(layout, layout, parts, parts)
    y, x = torch.meshgrid(torch.arange(40.), torch.arange(56.), indexing="ij")
    torch.testing.assert_close(position, torch.stack([x, y]).expand(6, -1, -1, -1), atol=2e-3, rtol=0)
    assert visible.all()


def test_a_kite_that_the_exemplar_lacks_is_never_visible():
    a, b = kite_layout(torch.arange(50)), kite_layout(torch.arange(50), stream=1)
    parts, exemplar_parts = (find_parts(l, (32, 32), kite_inside).long() for l in (a, b))
    visible = ground_truth(a, b, parts, exemplar_parts)[1]
    lacking = ~(exemplar_parts == 2).flatten(1).any(1)
    kites = visible & (parts == 2)
    assert lacking.any() and not kites[lacking].any() and kites[~lacking].any()


def test_sample_i_of_a_world_is_the_same_image_whatever_the_batch():
    one, many = pairs(KITE, [7], seed=3, size=(24, 40)), pairs(KITE, range(20), seed=3, size=(24, 40))
    for name in one: assert one[name][0].equal(many[name][7]), name
    assert not many["image"].equal(pairs(KITE, range(20), seed=4, size=(24, 40))["image"])


def test_bad_samples_are_refused_with_the_world_s_name():
    for wrong in (dict(indices=[]), dict(indices=[1], size=(64,)), dict(indices=[1], antialias=0)):
        try: pairs(KITE, **wrong)
        except RabitError as error: assert "pairs of kite" in str(error)
        else: assert False, wrong


def test_a_world_with_a_condition_of_its_own_hands_it_out_for_target_and_exemplar():
    def both_maps(labels, parts, layout): return torch.stack([labels, parts], 1).float()
    drawn = replace(KITE, name="drawn", condition=both_maps, kind="edges")
    batch, plain = pairs(drawn, range(3), size=(20, 30)), pairs(KITE, range(3), size=(20, 30))
    assert batch["condition"].equal(torch.stack([plain["labels"], plain["parts"]], 1).float())
    assert batch["exemplar_condition"][:, 0].long().equal(plain["exemplar_labels"]) and "condition" not in plain
    for name in plain: assert batch[name].equal(plain[name]), name
