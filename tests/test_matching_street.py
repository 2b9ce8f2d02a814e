# Generated from nbs/1_matching/11_street.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
from dataclasses import replace
from rabit.core.tensors import RabitError
from rabit.matching.scenes import Layout
from rabit.matching.scenes import Render
from rabit.matching.scenes import Style
from rabit.matching.scenes import find_parts
from rabit.matching.scenes import ground_truth
from rabit.matching.scenes import pairs
from rabit.matching.scenes import render
from rabit.matching.scenes import shade
from rabit.matching.street import STREET
from rabit.matching.street import STREET_CLASSES
from rabit.matching.street import STREET_INSIDE
from rabit.matching.street import STREET_PARTS
from rabit.matching.street import STREET_PART_CLASS
from rabit.matching.street import STREET_THINGS
from rabit.matching.street import street_layout
from rabit.matching.street import street_pairs
from rabit.matching.street import street_style


def test_parts_belong_to_classes_and_three_classes_have_several_parts():
    assert len(STREET_PART_CLASS) == len(STREET_PARTS) and STREET_PART_CLASS.max() == len(STREET_CLASSES) - 1
    assert [STREET_CLASSES[c] for c in STREET_THINGS] == ["building", "fence", "tree", "car"]
    assert torch.bincount(STREET_PART_CLASS).tolist() == [1, 3, 1, 1, 1, 2, 2]


def test_a_layout_has_a_matrix_and_a_box_per_part_and_some_parts_are_absent():
    layout = street_layout(torch.arange(200))
    assert layout.matrix.shape == (200, 11, 3, 3) and layout.extent.shape == (200, 11, 4)
    absent = (layout.extent[..., 0] > layout.extent[..., 1]).float().mean(0)
    assert absent[[0, 4, 5]].eq(0).all() and (absent[[1, 2, 3, 6, 7, 8, 9, 10]] > .1).all()
    assert isinstance(layout, Layout) and layout.matrix.det().abs().min() > 0


def test_every_pixel_shows_some_part_and_absent_parts_are_never_seen():
    layout = street_layout(torch.arange(20))
    parts = find_parts(layout, (48, 96), STREET_INSIDE)
    assert parts.shape == (20, 48, 96) and parts.max() <= 10
    for b, i in (layout.extent[..., 0] > layout.extent[..., 1]).nonzero().tolist():
        assert not (parts[b] == i).any()


def test_styles_ignore_the_layout_and_differ_between_samples():
    style = street_style(torch.arange(8))
    assert isinstance(style, Style) and style.color.shape == (8, 11, 4, 3) and style.number.shape == (8, 11, 4)
    assert 0 <= style.color.min() and style.color.max() <= 1
    assert (style.color[0] - style.color[1]).abs().mean() > .05


def test_an_image_is_in_range_and_its_labels_follow_from_its_parts():
    layout, style = street_layout(torch.arange(4)), street_style(torch.arange(4))
    image, labels, parts = render(layout, style, size=(37, 53), world=STREET)
    assert image.shape == (4, 3, 37, 53) and -1 <= image.min() and image.max() <= 1
    assert labels.equal(STREET_PART_CLASS[parts])
    assert parts.equal(find_parts(layout, (37, 53), STREET_INSIDE).long())
    assert shade(layout, style, parts, STREET.shaders).shape == image.shape
    assert isinstance(render(layout, style, world=STREET), Render)


def test_the_ground_truth_of_a_layout_in_itself_is_the_identity():
    layout = street_layout(torch.arange(6))
    parts = find_parts(layout, (40, 56), STREET_INSIDE).long()
    position, visible = ground_truth(layout, layout, parts, parts)
    y, x = torch.meshgrid(torch.arange(40.), torch.arange(56.), indexing="ij")
    torch.testing.assert_close(position, torch.stack([x, y]).expand(6, -1, -1, -1), atol=2e-3, rtol=0)
    assert visible.all()


def test_what_an_exemplar_lacks_is_never_visible():
    a, b = street_layout(torch.arange(50)), street_layout(torch.arange(50), stream=1)
    parts, exemplar_parts = (find_parts(l, (32, 32), STREET_INSIDE).long() for l in (a, b))
    visible = ground_truth(a, b, parts, exemplar_parts)[1]
    shown = torch.stack([(exemplar_parts == i).flatten(1).any(1) for i in range(11)], 1)
    assert not visible[~shown.gather(1, parts.flatten(1)).view_as(parts)].any()


def test_sample_i_is_the_same_image_whatever_the_batch():
    one, many = street_pairs([7], seed=3, size=(24, 40)), street_pairs(range(20), seed=3, size=(24, 40))
    for name in one: assert one[name][0].equal(many[name][7]), name
    shuffled = street_pairs([9, 7, 2], seed=3, size=(24, 40))
    for name in one: assert one[name][0].equal(shuffled[name][1]), name
    assert not many["image"].equal(street_pairs(range(20), seed=4, size=(24, 40))["image"])


def test_a_batch_has_the_shapes_that_all_datasets_share():
    batch = street_pairs(range(3), size=(37, 53))
    assert batch["image"].shape == batch["exemplar"].shape == (3, 3, 37, 53)
    for key in ("labels", "exemplar_labels", "visible"): assert batch[key].shape == (3, 37, 53)
    assert batch["position"].shape == (3, 2, 37, 53) and batch["position"].isfinite().all()
    assert batch["paired"].all()


def test_an_empty_list_of_samples_is_refused_with_a_message_that_says_so():
    for wrong in (dict(indices=[]), dict(indices=[1], size=(64,)), dict(indices=[1], antialias=0)):
        try: street_pairs(**wrong)
        except RabitError as error: assert "pairs of street" in str(error)
        else: assert False, wrong


def test_a_street_with_a_condition_of_its_own_hands_it_out_for_target_and_exemplar():
    def both_maps(labels, parts, layout): return torch.stack([labels, parts], 1).float()
    drawn = replace(STREET, name="drawn", condition=both_maps, kind="edges")
    batch, plain = pairs(drawn, range(3), size=(20, 30)), street_pairs(range(3), size=(20, 30))
    assert batch["condition"].equal(torch.stack([plain["labels"], plain["parts"]], 1).float())
    assert batch["exemplar_condition"][:, 0].long().equal(plain["exemplar_labels"]) and "condition" not in plain
    for name in plain: assert batch[name].equal(plain[name]), name
