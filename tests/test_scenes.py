# Generated from nbs/02_scenes.ipynb by .ci/export_tests.py: edit the notebook, not this file.
import torch
from rabit.scenes import Layout
from rabit.scenes import PART_CLASS
from rabit.scenes import Render
from rabit.scenes import STREET
from rabit.scenes import STREET_CLASSES
from rabit.scenes import STREET_PARTS
from rabit.scenes import Style
from rabit.scenes import THINGS
from rabit.scenes import find_parts
from rabit.scenes import match_errors
from rabit.scenes import nearest_of_class
from rabit.scenes import pairs
from rabit.scenes import random_of_class
from rabit.scenes import render
from rabit.scenes import same_position
from rabit.scenes import sample_at
from rabit.scenes import shade
from rabit.scenes import street_layout
from rabit.scenes import street_pairs
from rabit.scenes import street_style
from rabit.scenes import truth
from rabit.scenes import uniform
from rabit.scenes import world
from rabit.scenes import worlds


def test_parts_belong_to_classes_and_three_classes_have_several_parts():
    assert len(PART_CLASS) == len(STREET_PARTS) and PART_CLASS.max() == len(STREET_CLASSES) - 1
    assert [STREET_CLASSES[c] for c in THINGS] == ["building", "fence", "tree", "car"]
    assert torch.bincount(PART_CLASS).tolist() == [1, 3, 1, 1, 1, 2, 2]


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


def test_a_layout_has_a_matrix_and_a_box_per_part_and_some_parts_are_absent():
    layout = street_layout(torch.arange(200))
    assert layout.matrix.shape == (200, 11, 3, 3) and layout.extent.shape == (200, 11, 4)
    absent = (layout.extent[..., 0] > layout.extent[..., 1]).float().mean(0)
    assert absent[[0, 4, 5]].eq(0).all() and (absent[[1, 2, 3, 6, 7, 8, 9, 10]] > .1).all()
    assert isinstance(layout, Layout) and layout.matrix.det().abs().min() > 0


def test_every_pixel_shows_some_part_and_absent_parts_are_never_seen():
    layout = street_layout(torch.arange(20))
    parts = find_parts(layout, (48, 96))
    assert parts.shape == (20, 48, 96) and parts.max() <= 10
    for b, i in (layout.extent[..., 0] > layout.extent[..., 1]).nonzero().tolist(): assert not (parts[b] == i).any()


def test_styles_ignore_the_layout_and_differ_between_samples():
    style = street_style(torch.arange(8))
    assert isinstance(style, Style) and style.colour.shape == (8, 11, 4, 3) and style.number.shape == (8, 11, 4)
    assert 0 <= style.colour.min() and style.colour.max() <= 1
    assert (style.colour[0] - style.colour[1]).abs().mean() > .05


def test_a_picture_is_in_range_and_its_labels_follow_from_its_parts():
    layout, style = street_layout(torch.arange(4)), street_style(torch.arange(4))
    picture, labels, parts = render(layout, style, size=(37, 53))
    assert picture.shape == (4, 3, 37, 53) and -1 <= picture.min() and picture.max() <= 1
    assert labels.equal(PART_CLASS[parts]) and parts.equal(find_parts(layout, (37, 53)).long())
    assert shade(layout, style, parts).shape == picture.shape and isinstance(render(layout, style), Render)


def test_between_two_pixels_lies_their_mean_and_outside_lies_the_edge():
    line = torch.tensor([[[[0., 2., 6.]]]])
    at = torch.tensor([[[[0., .5, 1.75, 9.]], [[0., 0., 0., 0.]]]])
    torch.testing.assert_close(sample_at(line, at), torch.tensor([[[[0., 1., 5., 6.]]]]))


def test_the_truth_of_a_layout_in_itself_is_the_identity():
    layout = street_layout(torch.arange(6))
    parts = find_parts(layout, (40, 56)).long()
    position, visible = truth(layout, layout, parts, parts)
    y, x = torch.meshgrid(torch.arange(40.), torch.arange(56.), indexing="ij")
    torch.testing.assert_close(position, torch.stack([x, y]).expand(6, -1, -1, -1), atol=2e-3, rtol=0)
    assert visible.all()


def test_what_an_exemplar_lacks_is_never_visible():
    a, b = street_layout(torch.arange(50)), street_layout(torch.arange(50), stream=1)
    parts, exemplar_parts = (find_parts(l, (32, 32)).long() for l in (a, b))
    visible = truth(a, b, parts, exemplar_parts)[1]
    shown = torch.stack([(exemplar_parts == i).flatten(1).any(1) for i in range(11)], 1)
    assert not visible[~shown.gather(1, parts.flatten(1)).view_as(parts)].any()


def test_sample_i_is_the_same_picture_whatever_the_batch():
    one, many = street_pairs([7], seed=3, size=(24, 40)), street_pairs(range(20), seed=3, size=(24, 40))
    for name in one: assert one[name][0].equal(many[name][7]), name
    shuffled = street_pairs([9, 7, 2], seed=3, size=(24, 40))
    for name in one: assert one[name][0].equal(shuffled[name][1]), name
    assert not many["picture"].equal(street_pairs(range(20), seed=4, size=(24, 40))["picture"])


def test_a_record_has_the_shapes_that_all_sources_share():
    record = street_pairs(range(3), size=(37, 53))
    assert record["picture"].shape == record["exemplar"].shape == (3, 3, 37, 53)
    assert record["labels"].shape == record["exemplar_labels"].shape == record["visible"].shape == (3, 37, 53)
    assert record["position"].shape == (3, 2, 37, 53) and record["position"].isfinite().all() and record["paired"].all()


def test_an_empty_list_of_samples_is_refused_with_a_message_that_says_so():
    from rabit.core import RabitError
    for wrong in (dict(indices=[]), dict(indices=[1], size=(64,)), dict(indices=[1], antialias=0)):
        try: street_pairs(**wrong)
        except RabitError as error: assert "pairs of street" in str(error)
        else: assert False, wrong


def test_a_world_is_found_by_its_name_and_an_unknown_one_is_refused_with_the_names_of_all():
    assert world("street") is STREET and STREET.condition is None and worlds()[0] == "street"
    assert all(world(name).name == name for name in worlds())
    from rabit.core import RabitError
    for wrong in ("moon", "", "street.", "core"):
        try: world(wrong)
        except RabitError as error: assert repr(wrong) in str(error) and "street" in str(error)
        else: assert False, wrong


def test_a_world_with_a_condition_of_its_own_hands_it_out_for_target_and_exemplar():
    from dataclasses import replace
    drawn = replace(STREET, name="drawn", condition=lambda labels, parts, layout: torch.stack([labels, parts], 1).float(), kind="edges")
    record, plain = pairs(drawn, range(3), size=(20, 30)), street_pairs(range(3), size=(20, 30))
    assert record["condition"].equal(torch.stack([plain["labels"], plain["parts"]], 1).float())
    assert record["exemplar_condition"][:, 0].long().equal(plain["exemplar_labels"]) and "condition" not in plain
    for name in plain: assert record[name].equal(plain[name]), name


def test_a_shift_by_three_four_gives_an_end_point_error_of_five():
    record = street_pairs(range(4), size=(64, 64))
    perfect = match_errors(record["position"], record)
    assert perfect["epe"] == 0 and perfect["pck"] == perfect["pck_things"] == perfect["right_instance"] == 1
    shifted = match_errors(record["position"] + torch.tensor([3., 4.]).view(1, 2, 1, 1), record)
    assert abs(shifted["epe"] - 5) < 1e-3 and shifted["pck"] == 0 and shifted["warp_l1"] > perfect["warp_l1"]
    assert match_errors(record["position"] + 2, record)["per_class"]["sky"]["pck"] == 1  # 2.83 px is within 5 % of 64


def test_the_same_place_is_the_identity_for_equal_sizes():
    record = street_pairs([0, 1], size=(5, 7))
    position = same_position(record)
    assert position.shape == (2, 2, 5, 7) and position[1, :, 3, 6].tolist() == [6., 3.]


def test_a_random_pixel_is_of_the_right_class_wherever_the_exemplar_has_it():
    record = street_pairs(range(6), size=(32, 32))
    x, y = random_of_class(record, seed=1).long().unbind(1)
    found = record["exemplar_labels"].flatten(1).gather(1, (y * 32 + x).flatten(1)).view_as(x)
    has = (record["labels"].flatten(1)[:, :, None] == record["exemplar_labels"].flatten(1)[:, None]).any(2).view_as(x)
    assert found[has].equal(record["labels"][has])


def test_the_nearest_pixel_of_a_class_is_found_in_given_coordinates():
    record = dict(labels=torch.tensor([[[1, 0, 1, 1, 7]]]), exemplar_labels=torch.tensor([[[0, 1, 1, 0, 0]]]))
    assert nearest_of_class(record)[0, 0].tolist() == [[1., 0., 2., 2., 4.]]  # class 7 is lacking: any pixel will do
    record = dict(labels=torch.tensor([[[0, 1, 1]]]), exemplar_labels=torch.tensor([[[1, 0, 1]]]))
    flipped = nearest_of_class(record, torch.tensor([[[[0., 1., 2.]]]]), torch.tensor([[[[2., 0., 1.]]]]))
    assert flipped[0, 0].tolist() == [[1., 2., 0.]]
    assert nearest_of_class(record, chunk=1).equal(nearest_of_class(record))
