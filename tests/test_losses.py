# Generated from nbs/11_losses.ipynb by .ci/export_tests.py: edit the notebook, not this file.
import math
import torch
import torch.nn.functional as F
from rabit.core import UNKNOWN
from rabit.losses import VGG_WEIGHTS
from rabit.losses import contextual_loss
from rabit.losses import contextual_similarity
from rabit.losses import cycle_loss
from rabit.losses import deep_warp_loss
from rabit.losses import feature_consistency
from rabit.losses import feature_matching
from rabit.losses import hinge_d
from rabit.losses import hinge_g
from rabit.losses import mask_loss
from rabit.losses import match_loss
from rabit.losses import parse_loss
from rabit.losses import perceptual_loss
from rabit.losses import thin
from rabit.losses import token_truth
from rabit.losses import warp_loss


def test_deep_supervision_compares_each_warp_at_its_own_size():
    from rabit.match import dense_match
    from rabit.core import resize
    x = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    code = torch.eye(16).view(1, 16, 4, 4)                                          # each token is like itself alone
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
    try: feature_consistency(torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 1)); said = ""
    except ValueError as error: said = str(error)
    assert "(1, 2, 4, 4)" in said and "(1, 2, 4, 1)" in said


def test_the_cycle_counts_what_was_reached():
    z, returned = torch.ones(1, 3, 4, 4), torch.ones(1, 3, 4, 4)
    returned[..., 2:] = 0                                       # the right half never came back
    reach = torch.tensor([[3., 0.], [.5, 0.]]).view(1, 1, 2, 2)  # because nobody asked for it
    assert cycle_loss(z, returned) == .5
    assert cycle_loss(z, returned, reach) == 0
    returned[..., :2, :2] = .25                                 # tokens of weight 1 and 1/2, errors of 3/4 and 0
    assert abs(cycle_loss(z, returned, reach) - .75 * 1 / 1.5) < 1e-6


def test_a_wrong_match_can_have_a_perfect_cycle():
    from rabit.match import Match
    order = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    shuffle = Match(torch.eye(16)[order].view(1, 1, 16, 16), None, (4, 4), (4, 4), (4, 4))
    picture = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    assert cycle_loss(picture, shuffle.back(shuffle.warp(picture)), shuffle.reach()) < 1e-6
    assert warp_loss(shuffle.warp(picture), picture) > .1


def test_perceptual_and_feature_matching_by_hand():
    y, x = torch.tensor([0., 3.]).view(1, 2, 1, 1), torch.tensor([2., 3.]).view(1, 2, 1, 1)
    assert perceptual_loss(y, x) == (4 + 0) / 2
    assert feature_matching([y, y], [x, y], weights=(.5, 1)) == .5 * 1 + 1 * 0
    assert feature_matching([[y, y], [y, x + 4]], [[x, y], [x, x]]) == (1 + 0 + 1 + 4) / 4
    assert len(VGG_WEIGHTS) == 5 and VGG_WEIGHTS[-1] == 1


def test_the_true_picture_s_features_get_no_gradient():
    y, x = torch.zeros(1, 2, 2, 2, requires_grad=True), torch.ones(1, 2, 2, 2, requires_grad=True)
    (feature_matching([y], [x]) + perceptual_loss(y, x)).backward()
    assert y.grad.abs().sum() > 0 and x.grad is None


def test_contextual_similarity_by_hand():
    z = torch.tensor([[1., -1.], [0., 0.]])[None]
    y = torch.tensor([[1., 0.], [0., 1.]])[None]
    torch.testing.assert_close(contextual_similarity(y, z), torch.tensor([[[1., 0.], [.5, .5]]]))
    loss = contextual_loss(y.view(1, 2, 1, 2), z.view(1, 2, 2, 1))
    assert abs(loss.item() + math.log((1 + .5) / 2)) < 1e-6


def test_the_contextual_loss_does_not_care_where_things_are():
    g = torch.Generator().manual_seed(0)
    y, z = torch.randn(2, 6, 5, 4, generator=g), torch.randn(2, 6, 3, 7, generator=g)
    shuffled = z.flatten(2)[..., torch.randperm(21, generator=g)].view_as(z)
    torch.testing.assert_close(contextual_loss(y, shuffled), contextual_loss(y, z))
    assert contextual_loss(z, shuffled) < 1e-4 < feature_consistency(z, shuffled)


def test_thinning_keeps_a_regular_grid():
    x = torch.arange(48.).view(1, 1, 6, 8)
    assert thin(x, 48).shape == (1, 1, 48) and thin(x, None).shape == (1, 1, 48)
    assert thin(x, 12).flatten().tolist() == [9, 11, 13, 15, 25, 27, 29, 31, 41, 43, 45, 47]
    assert thin(x[..., :1, :7], 2).shape[-1] == 2 and thin(x, 1).shape[-1] == 1   # a strip, too, keeps to the limit


def test_the_mask_loss_by_hand():
    ids = torch.tensor([[[0, 1, 255, 1]]])
    warped = torch.zeros(1, 4, 1, 4)
    warped[0, :, 0, 0], warped[0, 1, 0, 1] = .25, .5    # undecided among four; half the mass, all of it right; unknown; no mass
    assert abs(mask_loss(warped, ids).item() - math.log(4) / 2) < 1e-3
    warped[0, 3, 0, 3] = 1.                              # all of the mass wrong
    assert abs(mask_loss(warped, ids).item() - (math.log(4) + 0 - math.log(1e-4)) / 3) < 1e-3
    assert mask_loss(warped, torch.full_like(ids, 255)) == 0


def test_the_parser_s_loss_counts_known_pixels_only():
    logits, ids = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)), torch.zeros(2, 4, 4, dtype=torch.int64)
    ids[0] = UNKNOWN
    torch.testing.assert_close(parse_loss(logits, ids), F.cross_entropy(logits[1:], ids[1:]))
    assert parse_loss(logits, torch.full_like(ids, UNKNOWN)) == 0
    ys, xs = torch.randn(2, 3, 5, 4, 4, generator=torch.Generator().manual_seed(1)).unbind()
    counts = torch.tensor([True, False, True])
    torch.testing.assert_close(feature_matching([ys], [xs], None, counts), feature_matching([ys[counts]], [xs[counts]]))
    assert feature_matching([ys], [xs], None, ~(counts | True)) == 0
    maps = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(parse_loss(maps.logit(), maps), -(maps * maps.log() + (1 - maps) * (1 - maps).log()).mean())   # nothing is cheaper than the truth
    assert parse_loss(maps.logit() + .3, maps) > parse_loss(maps.logit(), maps)


def test_the_hinge_by_hand():
    one = torch.ones(2, 1, 3, 3)
    assert hinge_d([2 * one], [-2 * one]) == 0 and hinge_d([0 * one], [0 * one]) == 2
    assert hinge_d([.5 * one, 3 * one], [-.5 * one, one]) == ((.5 + .5) + (0 + 2)) / 2
    assert hinge_g([one, 3 * one]) == -2


def test_token_truth_reads_the_centre_of_a_token():
    from rabit.core import pixel_grid
    position, visible = pixel_grid((8, 12)), torch.ones(1, 8, 12, dtype=torch.bool)
    index, valid = token_truth(position, visible, (4, 6), (2, 3), (8, 12))
    assert index.view(4, 6).tolist() == [[0, 0, 1, 1, 2, 2]] * 2 + [[3, 3, 4, 4, 5, 5]] * 2 and valid.all()
    index, valid = token_truth(position + 8, visible, (4, 6), (2, 3), (8, 12))   # moved right and down: most of it leaves the exemplar
    assert not valid.any()
    visible[..., :6] = False
    assert token_truth(position, visible, (4, 6), (2, 3), (8, 12))[1].view(4, 6).sum(0).tolist() == [0, 0, 0, 4, 4, 4]


def test_truth_that_lies_on_no_grid_is_refused():
    def complaint(*sizes):
        try: token_truth(torch.zeros(1, 2, 8, 8), torch.ones(1, 8, 8).bool(), *sizes)
        except ValueError as error: return str(error)
    assert "(3, 4)" in complaint((3, 4), (4, 4), (8, 8)) and "(9, 8)" in complaint((4, 4), (4, 4), (9, 8))


def test_the_match_loss_by_hand():
    key = torch.tensor([[1., -1.], [-1., 1.]]).view(1, 2, 1, 2)
    query, visible = key.clone().requires_grad_(), torch.tensor([[[True, True]]])
    straight, crossed = torch.tensor([[0., 1.], [0., 0.]]).view(1, 2, 1, 2), torch.tensor([[1., 1.], [0., 0.]]).view(1, 2, 1, 2)
    assert abs(match_loss(query, key, straight, visible, (1, 2), 1.).item() - math.log(1 + math.exp(-2))) < 1e-6
    assert abs(match_loss(query, key, crossed, visible, (1, 2), 1.).item() - (math.log(1 + math.exp(2)) + math.log(1 + math.exp(-2))) / 2) < 1e-6
    nothing = match_loss(query, key, straight, ~visible, (1, 2), 1.)
    nothing.backward()
    assert nothing == 0 and (query.grad == 0).all()


def test_the_match_loss_on_a_sample_of_tokens():
    g = torch.Generator().manual_seed(0)
    query, key, position, visible = torch.randn(2, 5, 8, 8, generator=g), torch.randn(2, 5, 4, 6, generator=g), torch.rand(2, 2, 16, 16, generator=g) * 7, torch.ones(2, 16, 16).bool()
    full = match_loss(query, key, position, visible, (8, 12))
    drawn = [match_loss(query, key, position, visible, (8, 12), sample=16, generator=torch.Generator().manual_seed(s)) for s in range(200)]
    assert match_loss(query, key, position, visible, (8, 12), sample=64) == full
    assert abs(torch.stack(drawn).mean() - full) < .02 * full and torch.stack(drawn).std() > 0
