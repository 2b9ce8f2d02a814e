# Generated from nbs/3_networks/33_generate.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
from rabit.core.tensors import RabitError
from rabit.networks.generate import Decoder
from rabit.networks.generate import SpadeResBlock
from rabit.networks.inject import Injector
from torch import nn


def test_a_block_is_its_skip_when_its_last_convolution_is_silent():
    x, f = torch.randn(2, 8, 6, 5), torch.randn(2, 3, 6, 5)
    same, fewer = SpadeResBlock(8, 8, 3), SpadeResBlock(8, 4, 3)
    for block in (same, fewer): nn.init.zeros_(block.conv2.weight); nn.init.zeros_(block.conv2.bias)
    assert torch.equal(same(x, f), x) and torch.equal(fewer(x, f), fewer.skip(x))
    assert fewer(x, f).shape == (2, 4, 6, 5)


def test_a_block_listens_to_its_map():
    block = SpadeResBlock(8, 4, 3)
    x, f = torch.randn(2, 8, 6, 5), torch.randn(2, 3, 6, 5)
    assert (block(x, f) - block(x, f + 1)).abs().max() > 1e-3
    assert (block(x, f) - block(x + torch.randn_like(x), f)).abs().max() > 1e-3


def test_any_size_comes_out_as_it_went_in():
    widths = (4, 6, 8, 10)
    decoder, injector = Decoder(widths), Injector(7, widths)
    for h, w in ((8, 8), (64, 64), (40, 24), (16, 104), (37, 50)):
        fused = injector(torch.randn(1, 7, h, w), torch.randn(1, 3, h, w),
                         torch.rand(1, 1, (h + 1) // 2, (w + 1) // 2))
        image = decoder(fused)
        assert image.shape == (1, 3, h, w) and image.abs().max() <= 1


def test_a_constant_map_becomes_a_constant_image():
    maps = [torch.ones(1, c, 32 >> i, 32 >> i) for i, c in enumerate((4, 6, 8, 10))]
    image = Decoder((4, 6, 8, 10))(maps)
    torch.testing.assert_close(image, image[..., :1, :1].expand_as(image), atol=1e-5, rtol=0)


def test_gradients_reach_every_parameter_of_the_decoder():
    decoder = Decoder((4, 6, 8, 10))
    maps = [torch.randn(2, c, 16 >> i, 24 >> i).requires_grad_() for i, c in enumerate((4, 6, 8, 10))]
    decoder(maps).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in decoder.parameters())
    assert all((m.grad != 0).all() for m in maps)


def test_a_wrong_number_of_maps_is_refused():
    message = ""
    try: Decoder((4, 6))([torch.zeros(1, 4, 8, 8)])
    except RabitError as error: message = str(error)
    assert message.startswith("1 fused maps") and "2 scales" in message
