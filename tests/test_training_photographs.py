# Generated from nbs/5_training/51a_photographs.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
from rabit.core.tensors import IGNORE_INDEX
from rabit.matching.errors import same_position
from rabit.matching.street import street_pairs
from rabit.networks.features import VGG19
from rabit.training.photographs import feature_position
from rabit.training.photographs import groups_of
from rabit.training.photographs import inside_hull
from rabit.training.photographs import on_coarse_grid
from rabit.training.photographs import regions


def test_regions_are_labels_or_what_landmarks_enclose_or_the_whole_image():
    square = torch.tensor([[[1., 1.], [4., 1.], [4., 3.], [1., 3.], [2., 2.]], [[torch.nan, torch.nan]] * 5])
    inside = inside_hull(square, (6, 7))
    assert inside[0].sum() == 12 and inside[0, 1:4, 1:5].all() and not inside[1].any()
    blank = torch.full((2, 6, 7), IGNORE_INDEX)
    labelled = dict(labels=blank.clone(), exemplar_labels=blank)
    labelled["labels"][0, 0, 0] = 3
    assert regions(labelled)[0] is labelled["labels"] and regions(labelled)[2] == 4
    plain = dict(labels=blank, exemplar_labels=blank)
    assert all((x == 0).all() for x in regions(plain)[:2]) and regions(plain)[2] == 1
    marked = plain | dict(landmarks=square, exemplar_landmarks=square.flip(0))
    assert [int((x == 0).sum()) for x in regions(marked)[:2]] == [24, 24]     # the second lies as the first


def test_equal_images_are_of_one_group_where_nobody_names_groups():
    x = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    ours, theirs = groups_of(dict(image=x, exemplar=x[[1, 1, 0, 2]]))
    assert theirs.tolist() == ours[[1, 1, 0, 2]].tolist() and len(set(ours.tolist())) == 4
    assert groups_of(dict(group=1, exemplar_group=2)) == (1, 2)


def test_on_a_coarse_grid_pixels_move_with_their_neighbours():
    batch = dict(labels=torch.zeros(1, 12, 16).long(), exemplar_labels=torch.zeros(1, 12, 16).long())
    torch.testing.assert_close(on_coarse_grid(same_position, 48)(batch), same_position(batch))
    assert torch.equal(on_coarse_grid(same_position)(batch), same_position(batch))
    def to_corner(batch): return same_position(batch) * 0
    corner = on_coarse_grid(to_corner, 48)(batch)                     # a coarse pixel is 2×2 fine ones
    assert corner[0, :, :2, :2].tolist() == [[[0, 1], [0, 1]], [[0, 0], [1, 1]]]
    assert torch.equal(corner[..., 2:4, 4:6], corner[..., :2, :2])


def test_frozen_features_find_what_has_moved():
    network = VGG19(width=8, seed=0)
    x = street_pairs([0], seed=3, size=(64, 64))["image"]
    moved = x.roll((8, 16), (2, 3))
    far = feature_position(network, x, moved, 256) - same_position(dict(labels=x[:, 0], exemplar_labels=x[:, 0]))
    wrong = (far - torch.tensor([16, 8]).view(2, 1, 1)).abs().amax(1)[0, 8:48, 8:40]
    assert (wrong == 0).float().mean() > .8
