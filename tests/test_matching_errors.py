# Generated from nbs/1_matching/12_errors.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
from rabit.matching.errors import landmark_errors
from rabit.matching.errors import landmark_pck
from rabit.matching.errors import match_errors
from rabit.matching.errors import nearest_of_class
from rabit.matching.errors import random_of_class
from rabit.matching.errors import same_position
from rabit.matching.street import street_pairs


def test_a_shift_by_three_four_gives_an_end_point_error_of_five():
    batch = street_pairs(range(4), size=(64, 64))
    perfect = match_errors(batch["position"], batch)
    assert perfect["epe"] == 0 and perfect["pck"] == perfect["pck_things"] == perfect["instance_accuracy"] == 1
    shifted = match_errors(batch["position"] + torch.tensor([3., 4.]).view(1, 2, 1, 1), batch)
    assert abs(shifted["epe"] - 5) < 1e-3 and shifted["pck"] == 0 and shifted["warp_l1"] > perfect["warp_l1"]
    # 2.83 px is within 5 % of 64
    assert match_errors(batch["position"] + 2, batch)["per_class"]["sky"]["pck"] == 1


def test_landmarks_are_found_where_the_ground_truth_leads_and_not_beyond_the_distance():
    batch = street_pairs(range(4), size=(64, 64))
    seen = [mask.nonzero()[::97].flip(1) for mask in batch["visible"]]
    marks = torch.stack([s[:20] for s in seen]).float()
    x, y = marks.long().unbind(2)
    there = torch.stack([p[:, b, a].T for p, a, b in zip(batch["position"], x, y)])
    marks[3], there[2, 0], marks[2, 1] = torch.nan, torch.tensor([-40., 3.]), torch.tensor([64., 5.])
    batch |= dict(landmarks=marks, exemplar_landmarks=there, landmark_unit=torch.full((4,), 10.))
    errors = landmark_errors(batch["position"], batch)
    assert errors.isnan().sum() == 22 and errors.nan_to_num(0).max() < 1e-4 and landmark_pck(errors) == 1
    aside = landmark_errors(batch["position"] + torch.tensor([0., 1.5]).view(1, 2, 1, 1), batch)
    assert landmark_pck(aside, .2) == 1 and landmark_pck(aside, .1) == 0
    assert landmark_pck(errors[3:]) != landmark_pck(errors[3:])      # nothing known: NaN


def test_the_same_place_is_the_identity_for_equal_sizes():
    batch = street_pairs([0, 1], size=(5, 7))
    position = same_position(batch)
    assert position.shape == (2, 2, 5, 7) and position[1, :, 3, 6].tolist() == [6., 3.]


def test_a_random_pixel_is_of_the_right_class_wherever_the_exemplar_has_it():
    batch = street_pairs(range(6), size=(32, 32))
    labels, there = batch["labels"], batch["exemplar_labels"].flatten(1)
    x, y = random_of_class(batch, seed=1).long().unbind(1)
    found = there.gather(1, (y * 32 + x).flatten(1)).view_as(x)
    has = (labels.flatten(1)[:, :, None] == there[:, None]).any(2).view_as(x)
    assert found[has].equal(labels[has])


def test_the_nearest_pixel_of_a_class_is_found_in_given_coordinates():
    batch = dict(labels=torch.tensor([[[1, 0, 1, 1, 7]]]), exemplar_labels=torch.tensor([[[0, 1, 1, 0, 0]]]))
    # class 7 is lacking: any pixel will do
    assert nearest_of_class(batch)[0, 0].tolist() == [[1., 0., 2., 2., 4.]]
    batch = dict(labels=torch.tensor([[[0, 1, 1]]]), exemplar_labels=torch.tensor([[[1, 0, 1]]]))
    flipped = nearest_of_class(batch, torch.tensor([[[[0., 1., 2.]]]]), torch.tensor([[[[2., 0., 1.]]]]))
    assert flipped[0, 0].tolist() == [[1., 2., 0.]]
    assert nearest_of_class(batch, chunk=1).equal(nearest_of_class(batch))
