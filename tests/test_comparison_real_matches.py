# Generated from nbs/8_comparison/86_real_matches.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
from rabit.comparison.real_matches import ColorPatches
from rabit.comparison.real_matches import GRIDS
from rabit.comparison.real_matches import GRID_MATCHERS
from rabit.comparison.real_matches import GridMatcher
from rabit.comparison.real_matches import LATTICE
from rabit.comparison.real_matches import dense
from rabit.comparison.real_matches import lattice_matches
from rabit.comparison.real_matches import lattice_of
from rabit.comparison.real_matches import occluded
from rabit.comparison.real_matches import of_lattice
from rabit.comparison.real_matches import on_grid
from rabit.comparison.real_matches import position_errors
from rabit.comparison.real_matches import principal_maps
from rabit.core.tensors import center_normalize
from rabit.core.tensors import pixel_grid
from rabit.core.tensors import resize
from rabit.matching.errors import masked_mean

def noise(h=32, w=48, seed=0):
    "An image of colored noise, of all sizes"
    draw = torch.Generator().manual_seed(seed)
    return sum(resize(torch.randn(1, 3, h // s, w // s, generator=draw), (h, w)) for s in (1, 2, 4, 8)) / 4


def test_what_is_nearer_hides_what_lies_behind_it():
    wall = torch.full((1, 20), 2.)
    wall[0, 10:14] = 6.
    assert occluded(wall)[0].nonzero()[:, 0].tolist() == [6, 7, 8, 9]     # 10 − 6 = 4 = 6 − 2, and so on
    wall[0, 0], wall[0, 1] = float("inf"), float("nan")
    assert not occluded(wall)[0, :6].any()


def test_all_components_together_keep_every_dot_product():
    images = torch.cat([noise(), noise(seed=1)])
    network = ColorPatches()
    query, key = on_grid(principal_maps(network, images, channels=108), (8, 12))
    strung = torch.cat([resize(center_normalize(x), (8, 12)) for x in network(images)], 1)
    coarse = torch.cat([resize(center_normalize(x), (4, 6)) for x in network(images)], 1)
    both = (strung - coarse.mean((0, 2, 3), keepdim=True)).flatten(2)
    torch.testing.assert_close(query.flatten(2).mT @ key.flatten(2), both[:1].mT @ both[1:], atol=1e-4, rtol=1e-4)
    assert [len(x) for x in on_grid(principal_maps(network, images), (8, 12))[0]] == [64]


def test_every_matcher_finds_what_was_moved_by_whole_blocks():
    image = noise(64, 96)
    query, key = image, image.roll((32, -32), (2, 3))
    truth = pixel_grid((64, 96)) + torch.tensor([-32., 32.]).view(1, 2, 1, 1)
    inside = ((truth >= 0) & (truth < torch.tensor([96., 64.]).view(1, 2, 1, 1))).all(1)
    features = principal_maps(ColorPatches(), torch.cat([query, key]))
    for name, matcher in GRID_MATCHERS.items():
        position = matcher.match(*on_grid(features, (16, 24)), 4).argmax((64, 96))
        assert masked_mean((position - truth).abs().sum(1) == 0, inside) > .6, name


def test_the_lattice_is_the_same_pixels_on_every_grid():
    pixels = pixel_grid((32, 48))
    for stride in GRIDS:
        grid = pixel_grid((32 // stride, 48 // stride))
        assert torch.equal(of_lattice(grid, stride) * stride + LATTICE // 2 % stride, of_lattice(pixels))


def test_asking_some_queries_is_asking_all():
    images = torch.cat([noise(), noise().roll(8, 3)])
    for stride in (8, 4, 2):
        query, key = on_grid(principal_maps(ColorPatches(), images), (32 // stride, 48 // stride))
        (some, asked), (every, whole) = (lattice_matches(GridMatcher(dense, 1, alone), query, key, stride)
                                         for alone in (True, False))
        assert torch.equal(some, every) and whole == 1 and asked == (stride / 8)**2


def test_errors_by_hand_and_what_lies_outside_does_not_count():
    truth = torch.zeros(1, 2, 1, 4)
    found = truth + torch.tensor([0., 1., 3., 99.])
    visible = torch.tensor([[[True, True, True, False]]])
    wrong = position_errors(found, truth, visible)
    assert abs(wrong["epe"] - 2**.5 * 4 / 3) < 1e-6 and abs(wrong["pck"]["2"] - 2 / 3) < 1e-6
    assert wrong["pck"]["8"] == 1
    odd = dict(image=noise(30, 44), exemplar=noise(30, 44), position=pixel_grid((30, 44)),
               visible=torch.ones(1, 30, 44, dtype=torch.bool))
    assert lattice_of(odd)["images"].shape == (2, 3, 32, 48) and lattice_of(odd)["visible"].sum() == 4 * 5
