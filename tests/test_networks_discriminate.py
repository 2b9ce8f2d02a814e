# Generated from nbs/3_networks/34_discriminate.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
from rabit.networks.discriminate import Discriminator
from rabit.networks.discriminate import PatchDiscriminator
from rabit.networks.discriminate import SpectralConv
from rabit.networks.discriminate import receptive_field


def test_spectral_conv_has_a_weight_of_norm_one():
    torch.manual_seed(0)
    layer = SpectralConv(6, 12, 2)
    for _ in range(100): layer(torch.zeros(1, 6, 8, 8))
    assert abs(torch.linalg.svdvals(layer.conv.weight.flatten(1))[0].item() - 1) < 1e-2
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(torch.zeros(1, 6, 8, 8)).dtype == torch.bfloat16


def test_a_spectral_convolution_stretches_no_more_than_four_over_its_stride():
    for stride in (1, 2):
        torch.manual_seed(stride)
        layer, x = SpectralConv(6, 12, stride, bias=False), torch.randn(1, 6, 24, 24)
        for _ in range(30): layer(x)
        layer.eval()
        for _ in range(30):
            x = (x / x.norm()).detach().requires_grad_()
            stretch = layer(x).norm()
            x, = torch.autograd.grad(stretch, x)
        assert .5 < stretch.item() <= 4 / stride * 1.01


def test_a_patch_net_gives_a_logit_per_patch_and_the_features_of_every_layer():
    logits, features = PatchDiscriminator(10, width=8, layers=2)(torch.zeros(2, 10, 32, 48))
    assert logits.shape == (2, 1, 11, 15)
    assert [tuple(f.shape) for f in features] == [(2, 8, 17, 25), (2, 16, 9, 13), (2, 32, 10, 14)]


def test_the_discriminator_answers_at_every_scale_and_takes_small_images():
    d = Discriminator(10, width=4, layers=3, scales=2)
    logits, features = zip(*d(torch.zeros(2, 7, 16, 24), torch.zeros(2, 3, 16, 24)))
    assert len(logits) == 2 and all(l.shape[:2] == (2, 1) for l in logits)
    assert logits[0].shape[2] > logits[1].shape[2] and all(len(f) == 4 for f in features)


def test_sizes_that_do_not_fit_are_refused_with_the_size_that_would():
    d = Discriminator(10, width=4, layers=3, scales=2)
    def complaint(channels, side, image_side):
        "What is said about a condition and an image of these sizes"
        try: d(torch.zeros(1, channels, side, side), torch.zeros(1, 3, image_side, image_side))
        except ValueError as error: return str(error)
    small, wide, other = complaint(7, 8, 8), complaint(9, 32, 32), complaint(5, 16, 32)
    assert "smallest side" in small and "16" in small and "12 channels" in wide and "(1, 5, 16, 16)" in other


def test_the_receptive_field_is_where_the_gradient_is():
    assert receptive_field(3) == 70
    for layers, scale in ((1, 0), (2, 0), (1, 1)):
        torch.manual_seed(0)
        d = Discriminator(4, width=4, layers=layers, scales=scale + 1, norm=False)
        x = torch.randn(1, 3, 96, 96, requires_grad=True)
        logits = d(torch.zeros(1, 1, 96, 96), x)[scale][0]
        moved, = torch.autograd.grad(logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2], x)
        rows = (moved != 0).any(1)[0].any(1).nonzero()
        assert rows.max() - rows.min() + 1 == receptive_field(layers, scale)
