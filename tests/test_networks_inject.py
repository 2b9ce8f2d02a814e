# Generated from nbs/3_networks/32_inject.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
from rabit.core.tensors import RabitError
from rabit.core.tensors import positional_norm
from rabit.networks.inject import Confidence
from rabit.networks.inject import Injector
from rabit.networks.inject import Pyramid
from rabit.networks.inject import SPADE
from rabit.networks.inject import fuse
from torch import nn


def test_spade_is_positional_norm_scaled_and_shifted():
    layer = SPADE(8, 3)
    x = torch.randn(2, 8, 6, 5)
    f = torch.randn(2, 3, 6, 5)
    for part in (layer.gamma, layer.beta): nn.init.zeros_(part.weight); nn.init.zeros_(part.bias)
    torch.testing.assert_close(layer(x, f), positional_norm(x))
    nn.init.constant_(layer.gamma.bias, 1.); nn.init.constant_(layer.beta.bias, -3.)
    torch.testing.assert_close(layer(x, f), 2 * positional_norm(x) - 3)


def test_spade_tells_constant_maps_apart():
    layer = SPADE(8, 7)
    maps = torch.eye(7)[:, :, None, None].expand(-1, -1, 6, 6)
    found = layer(torch.randn(1, 8, 6, 6).expand(7, -1, -1, -1), maps)
    different = torch.cdist(found.flatten(1), found.flatten(1)) + torch.eye(7)
    assert (different > .1).all()


def test_fuse_mixes_by_confidence():
    x, z = torch.full((1, 2, 1, 3), 10.), torch.full((1, 2, 1, 3), 20.)
    single = torch.tensor([0., .5, 1.]).view(1, 1, 1, 3)                           # one number per place
    assert fuse(x, z, single).tolist() == [[[[10, 15, 20]], [[10, 15, 20]]]]
    multi = torch.tensor([[0., .5, 1.], [1., 1., 0.]]).view(1, 2, 1, 3)            # one per place and channel
    assert fuse(x, z, multi).tolist() == [[[[10, 15, 20]], [[20, 20, 10]]]]


def test_three_kinds_of_confidence():
    cmap_ = torch.rand(2, 1, 6, 5)
    assert Confidence(8, "none")(cmap_).eq(1).all() and not list(Confidence(8, "none").parameters())
    assert torch.equal(Confidence(8, "single")(cmap_), cmap_)
    multi = Confidence(8, "multi")(cmap_)
    assert multi.shape == (2, 8, 6, 5) and 0 < multi.min() and multi.max() < 1
    assert (multi.std((0, 2, 3)) > 0).all() and (multi[:, 1:] != multi[:, :1]).any()
    x = torch.linspace(-.5, .5, 11)
    # the straight line of the text
    torch.testing.assert_close(4 * (torch.sigmoid(x) - .5), x, atol=.011, rtol=0)


def test_an_unknown_kind_of_confidence_is_refused():
    message = ""
    try: Confidence(8, "double")
    except RabitError as error: message = str(error)
    assert "'double'" in message and "'multi'" in message
    print(message)


def test_a_pyramid_halves_the_grid():
    out = Pyramid(3, (4, 8, 12, 16))(torch.randn(2, 3, 32, 24))
    assert [tuple(o.shape) for o in out] == [(2, 4, 32, 24), (2, 8, 16, 12), (2, 12, 8, 6), (2, 16, 4, 3)]
    # a constant map stays constant, at its border too
    flat = Pyramid(3, (4, 8))(torch.ones(1, 3, 8, 8))
    assert all(torch.allclose(o, o[..., :1, :1].expand_as(o), atol=1e-5) for o in flat)


def test_the_injector_ignores_what_is_not_trusted():
    injector = Injector(7, (4, 8, 12), "single")
    x, z = torch.randn(2, 7, 16, 16), torch.randn(2, 3, 16, 16)
    never, always = torch.zeros(2, 1, 8, 8), torch.ones(2, 1, 8, 8)
    def same(a, b): return all(torch.equal(p, q) for p, q in zip(a, b))
    assert same(injector(x, z, never), injector(x, z + 1, never))
    assert not same(injector(x, z, never), injector(x + 1, z, never))
    assert same(injector(x, z, always), injector(x + 1, z, always))
    assert not same(injector(x, z, always), injector(x, z + 1, always))
    blind = Injector(7, (4, 8, 12), "none")
    # "none" reads neither the condition nor CMAP
    assert same(blind(x, z, never), blind(x + 1, z, always))


def test_gradients_reach_every_parameter_of_the_injector():
    injector = Injector(7, (4, 8, 12), "multi")
    cmap_ = torch.rand(2, 1, 8, 8).requires_grad_()
    fused = injector(torch.randn(2, 7, 16, 16), torch.randn(2, 3, 16, 16), cmap_)
    sum(f.square().sum() for f in fused).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in injector.parameters())
    assert (cmap_.grad != 0).all()
