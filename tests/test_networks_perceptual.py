# Generated from nbs/3_networks/35a_perceptual.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import math
import torch
from rabit.networks.losses import feature_consistency
from rabit.networks.perceptual import VGG_WEIGHTS
from rabit.networks.perceptual import contextual_loss
from rabit.networks.perceptual import contextual_similarity
from rabit.networks.perceptual import feature_matching
from rabit.networks.perceptual import perceptual_loss
from rabit.networks.perceptual import subsample


def test_perceptual_and_feature_matching_by_hand():
    y, x = torch.tensor([0., 3.]).view(1, 2, 1, 1), torch.tensor([2., 3.]).view(1, 2, 1, 1)
    assert perceptual_loss(y, x) == (4 + 0) / 2
    assert feature_matching([y, y], [x, y], weights=(.5, 1)) == .5 * 1 + 1 * 0
    assert feature_matching([[y, y], [y, x + 4]], [[x, y], [x, x]]) == (1 + 0 + 1 + 4) / 4
    assert len(VGG_WEIGHTS) == 5 and VGG_WEIGHTS[-1] == 1


def test_the_true_image_s_features_get_no_gradient():
    y, x = torch.zeros(1, 2, 2, 2, requires_grad=True), torch.ones(1, 2, 2, 2, requires_grad=True)
    (feature_matching([y], [x]) + perceptual_loss(y, x)).backward()
    assert y.grad.abs().sum() > 0 and x.grad is None


def test_feature_matching_counts_the_samples_that_it_is_told():
    ys, xs = torch.randn(2, 3, 5, 4, 4, generator=torch.Generator().manual_seed(1)).unbind()
    counts = torch.tensor([True, False, True])
    some = feature_matching([ys[counts]], [xs[counts]])
    torch.testing.assert_close(feature_matching([ys], [xs], None, counts), some)
    assert feature_matching([ys], [xs], None, ~(counts | True)) == 0


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


def test_subsampling_keeps_a_regular_grid():
    x = torch.arange(48.).view(1, 1, 6, 8)
    assert subsample(x, 48).shape == (1, 1, 48) and subsample(x, None).shape == (1, 1, 48)
    assert subsample(x, 12).flatten().tolist() == [9, 11, 13, 15, 25, 27, 29, 31, 41, 43, 45, 47]
    # a strip, too, keeps to the limit
    assert subsample(x[..., :1, :7], 2).shape[-1] == 2 and subsample(x, 1).shape[-1] == 1
