# Generated from nbs/3_networks/35_losses.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import math
import torch
import torch.nn.functional as F
from rabit.core.tensors import IGNORE_INDEX
from rabit.core.tensors import pixel_grid
from rabit.core.tensors import resize
from rabit.matching.match import Match
from rabit.matching.match import dense_match
from rabit.networks.losses import cycle_loss
from rabit.networks.losses import deep_warp_loss
from rabit.networks.losses import feature_consistency
from rabit.networks.losses import ground_truth_tokens
from rabit.networks.losses import hinge_d
from rabit.networks.losses import hinge_g
from rabit.networks.losses import mask_loss
from rabit.networks.losses import match_loss
from rabit.networks.losses import segmentation_loss
from rabit.networks.losses import warp_loss


def test_deep_supervision_compares_each_warp_at_its_own_size():
    x = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    code = torch.eye(16).view(1, 16, 4, 4)                      # each token is like itself alone
    same = dense_match(code, code, .01)
    assert deep_warp_loss((), x, x) == 0 and deep_warp_loss((same, same), x, x) < 1e-4
    assert deep_warp_loss((same,), -x, x) > .1
    torch.testing.assert_close(deep_warp_loss((same,), x * 0, x), resize(x, (4, 4)).abs().mean())
    seen = torch.zeros(1, 8, 8, dtype=torch.bool)
    assert deep_warp_loss((same,), -x, x, seen) == 0


def test_the_warp_loss_is_a_mean_over_the_mask():
    true = torch.zeros(1, 3, 2, 2)
    warped = torch.tensor([[1., 2.], [3., 4.]]).expand(1, 3, 2, 2)
    assert warp_loss(warped, true) == 2.5
    assert warp_loss(warped, true, torch.tensor([[[True, False], [False, True]]])) == 2.5
    assert warp_loss(warped, true, torch.tensor([[[0., 0.], [1., 3.]]])) == (3 + 3 * 4) / 4
    assert warp_loss(warped, true, torch.zeros(1, 2, 2)) == 0


def test_feature_consistency_does_not_depend_on_how_many_tokens_there_are():
    query, goal = torch.tensor([1., 5.]).view(1, 2, 1, 1), torch.tensor([3., 5.]).view(1, 2, 1, 1)
    assert feature_consistency(query, goal) == 1
    assert feature_consistency(query.expand(4, 2, 8, 6), goal.expand(4, 2, 8, 6)) == 1


def test_shapes_that_would_only_broadcast_are_refused():
    message = ""
    try: feature_consistency(torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 1))
    except ValueError as error: message = str(error)
    assert "(1, 2, 4, 4)" in message and "(1, 2, 4, 1)" in message


def test_the_cycle_counts_what_was_reached():
    z, returned = torch.ones(1, 3, 4, 4), torch.ones(1, 3, 4, 4)
    returned[..., 2:] = 0                                       # the right half never came back
    column_sum = torch.tensor([[3., 0.], [.5, 0.]]).view(1, 1, 2, 2)  # because nobody asked for it
    assert cycle_loss(z, returned) == .5
    assert cycle_loss(z, returned, column_sum) == 0
    returned[..., :2, :2] = .25      # tokens of weight 1 and 1/2, errors of 3/4 and 0
    assert abs(cycle_loss(z, returned, column_sum) - .75 * 1 / 1.5) < 1e-6


def test_a_wrong_match_can_have_a_perfect_cycle():
    order = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    shuffle = Match(torch.eye(16)[order].view(1, 1, 16, 16), None, (4, 4), (4, 4), (4, 4))
    image = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    assert cycle_loss(image, shuffle.inverse_warp(shuffle.warp(image)), shuffle.column_sum()) < 1e-6
    assert warp_loss(shuffle.warp(image), image) > .1


def test_the_mask_loss_by_hand():
    ids = torch.tensor([[[0, 1, 255, 1]]])
    warped = torch.zeros(1, 4, 1, 4)
    warped[0, :, 0, 0] = .25                             # undecided among four
    warped[0, 1, 0, 1] = .5            # a row sum of a half, all of it right; unknown; nothing
    assert abs(mask_loss(warped, ids).item() - math.log(4) / 2) < 1e-3
    warped[0, 3, 0, 3] = 1.                              # all of it wrong
    assert abs(mask_loss(warped, ids).item() - (math.log(4) + 0 - math.log(1e-4)) / 3) < 1e-3
    assert mask_loss(warped, torch.full_like(ids, 255)) == 0


def test_the_parser_s_loss_counts_known_pixels_only():
    logits = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    ids = torch.zeros(2, 4, 4, dtype=torch.int64)
    ids[0] = IGNORE_INDEX
    torch.testing.assert_close(segmentation_loss(logits, ids), F.cross_entropy(logits[1:], ids[1:]))
    assert segmentation_loss(logits, torch.full_like(ids, IGNORE_INDEX)) == 0
    maps = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(2))
    entropy = -(maps * maps.log() + (1 - maps) * (1 - maps).log()).mean()
    # nothing is cheaper than the ground truth
    torch.testing.assert_close(segmentation_loss(maps.logit(), maps), entropy)
    assert segmentation_loss(maps.logit() + .3, maps) > segmentation_loss(maps.logit(), maps)


def test_the_hinge_by_hand():
    one = torch.ones(2, 1, 3, 3)
    assert hinge_d([2 * one], [-2 * one]) == 0 and hinge_d([0 * one], [0 * one]) == 2
    assert hinge_d([.5 * one, 3 * one], [-.5 * one, one]) == ((.5 + .5) + (0 + 2)) / 2
    assert hinge_g([one, 3 * one]) == -2


def test_token_ground_truth_reads_the_centre_of_a_token():
    position, visible = pixel_grid((8, 12)), torch.ones(1, 8, 12, dtype=torch.bool)
    index, valid = ground_truth_tokens(position, visible, (4, 6), (2, 3), (8, 12))
    assert index.view(4, 6).tolist() == [[0, 0, 1, 1, 2, 2]] * 2 + [[3, 3, 4, 4, 5, 5]] * 2 and valid.all()
    # moved right and down: most of it leaves the exemplar
    index, valid = ground_truth_tokens(position + 8, visible, (4, 6), (2, 3), (8, 12))
    assert not valid.any()
    visible[..., :6] = False
    _, valid = ground_truth_tokens(position, visible, (4, 6), (2, 3), (8, 12))
    assert valid.view(4, 6).sum(0).tolist() == [0, 0, 0, 4, 4, 4]


def test_ground_truth_that_lies_on_no_grid_is_refused():
    def complaint(*sizes):
        try: ground_truth_tokens(torch.zeros(1, 2, 8, 8), torch.ones(1, 8, 8).bool(), *sizes)
        except ValueError as error: return str(error)
    assert "(3, 4)" in complaint((3, 4), (4, 4), (8, 8)) and "(9, 8)" in complaint((4, 4), (4, 4), (9, 8))


def test_the_match_loss_by_hand():
    key = torch.tensor([[1., -1.], [-1., 1.]]).view(1, 2, 1, 2)
    query, visible = key.clone().requires_grad_(), torch.tensor([[[True, True]]])
    straight, crossed = (torch.tensor([x, [0., 0.]]).view(1, 2, 1, 2) for x in ([0., 1.], [1., 1.]))
    right, wrong = math.log(1 + math.exp(-2)), math.log(1 + math.exp(2))
    assert abs(match_loss(query, key, straight, visible, (1, 2), 1.).item() - right) < 1e-6
    assert abs(match_loss(query, key, crossed, visible, (1, 2), 1.).item() - (wrong + right) / 2) < 1e-6
    nothing = match_loss(query, key, straight, ~visible, (1, 2), 1.)
    nothing.backward()
    assert nothing == 0 and (query.grad == 0).all()


def test_the_match_loss_on_a_sample_of_tokens():
    g = torch.Generator().manual_seed(0)
    query = torch.randn(2, 5, 8, 8, generator=g)
    key = torch.randn(2, 5, 4, 6, generator=g)
    position = torch.rand(2, 2, 16, 16, generator=g) * 7
    visible = torch.ones(2, 16, 16).bool()
    full = match_loss(query, key, position, visible, (8, 12))
    drawn = [match_loss(query, key, position, visible, (8, 12), sample=16,
                        generator=torch.Generator().manual_seed(s)) for s in range(200)]
    assert match_loss(query, key, position, visible, (8, 12), sample=64) == full
    assert abs(torch.stack(drawn).mean() - full) < .02 * full and torch.stack(drawn).std() > 0
