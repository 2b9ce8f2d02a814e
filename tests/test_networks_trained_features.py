# Generated from nbs/3_networks/31a_trained_features.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import hashlib
import tempfile
import torch
import torch.nn.functional as F
from copy import deepcopy
from importlib.metadata import PackageNotFoundError
from importlib.metadata import distribution
from pathlib import Path
from rabit.core.trials import fails
from rabit.networks.features import VGG19
from rabit.networks.trained_features import EfficientNetLite0
from rabit.networks.trained_features import HED
from rabit.networks.trained_features import HED_PACKAGE
from rabit.networks.trained_features import InvertedResidual
from rabit.networks.trained_features import LITE0_PACKAGE
from rabit.networks.trained_features import check_hash
from rabit.networks.trained_features import converted_weights
from rabit.networks.trained_features import feature_network
from rabit.networks.trained_features import fold_batch_norm
from rabit.networks.trained_features import package_file
from torch import nn

def has(package):
    "Is a package installed? What needs it is left out otherwise"
    try: distribution(package)
    except PackageNotFoundError: return False
    return True


def test_packages_are_found_without_importing_them_and_files_must_be_the_known_ones():
    torch_file = package_file("torch", "torch/__init__.py")
    assert torch_file.is_file() and "without its file" in fails(package_file, "torch", "torch/none.pth")
    assert "pip install no-such-package" in fails(package_file, "no-such-package", "x.pth")
    empty = Path(tempfile.mkdtemp()) / "empty.pth"
    empty.write_bytes(b"")
    check_hash(empty, hashlib.sha256(b"").hexdigest())
    assert "e3b0c44298fc1c14" in fails(check_hash, empty, "0" * 64)


def test_what_was_converted_is_read_again_and_a_damaged_cache_is_made_anew():
    folder = Path(tempfile.mkdtemp())
    source, cache, calls = folder / "weights.pth", folder / "cache" / "weights.safetensors", []
    torch.save({"a": torch.arange(6.).view(2, 3)}, source)
    sha = hashlib.sha256(source.read_bytes()).hexdigest()
    def doubled(path):
        calls.append(path)
        return {"b": 2 * torch.load(path, weights_only=True)["a"]}
    def read(): return converted_weights(lambda: source, sha, doubled, cache)["b"]
    wanted = 2 * torch.arange(6.).view(2, 3)
    assert torch.equal(read(), wanted) and torch.equal(read(), wanted) and len(calls) == 1  # once
    whole = cache.read_bytes()
    for damaged in (whole[:-3], whole[:-1] + bytes([whole[-1] ^ 1]), b"", whole[:50]):
        cache.write_bytes(damaged)
        assert torch.equal(read(), wanted) and torch.equal(read(), wanted)
    assert len(calls) == 5
    source.write_bytes(b"another file")                     # the source is not needed once it was converted
    assert torch.equal(read(), wanted)
    cache.unlink()
    assert "SHA-256" in fails(read) and not cache.exists()  # and is refused where it would be needed


def test_a_folded_batch_normalisation_computes_the_same():
    conv, norm = nn.Conv2d(3, 5, 3, bias=False), nn.BatchNorm2d(5, eps=1e-3)
    for name, x in norm.state_dict().items():
        if x.ndim: x.copy_(torch.rand(5) + .5)
    x = torch.randn(2, 3, 8, 8)
    with torch.no_grad(): both = norm.eval()(conv(x))
    torch.testing.assert_close(F.conv2d(x, *fold_batch_norm(conv.weight.data, norm.state_dict())), both)


def test_blocks_halve_the_size_and_odd_sides_keep_their_tokens_in_place():
    block = InvertedResidual(4, 6, 5, 2, 3)
    x = torch.randn(1, 4, 12, 16)
    assert block(x).shape == (1, 6, 6, 8) and block(x[..., :15]).shape == (1, 6, 6, 8)
    torch.testing.assert_close(block(x)[..., :6], block(x[..., :15])[..., :6])
    assert InvertedResidual(4, 4, 3, 1, 1)(x).shape == x.shape


def test_the_networks_of_packages_are_frozen_and_give_gradients_to_images_only():
    x = torch.rand(2, 3, 32, 48, requires_grad=True)
    lite0 = LITE0_PACKAGE, EfficientNetLite0, [(16, 16, 24), (24, 8, 12), (40, 4, 6), (112, 2, 3)]
    hed = HED_PACKAGE, HED, [(64, 32, 48), (128, 16, 24), (256, 8, 12), (512, 4, 6)]
    for package, make, sizes in (lite0, hed):
        if not has(package): continue
        net = make()
        assert [tuple(f.shape[1:]) for f in net(x)] == sizes and package in net.note
        assert [net.layers[name] for name in net.default] == [32 // h for _, h, _ in sizes]
        assert {*net.contextual, net.content} <= set(net.default)
        assert {net.pooled, *net.deep, *net.shallow} <= set(net.layers)
        before = net(x, net.deep)[-1]
        parent = nn.Sequential(deepcopy(net)).train()
        assert torch.equal(parent[0](x, net.deep)[-1], before)
        x.grad = None
        sum(f.square().mean() for f in net(x)).backward()
        assert x.grad.abs().sum() > 0 and not any(p.requires_grad for p in net.parameters())
        with torch.autocast("cpu", torch.bfloat16): half = net(x, net.content)[0]
        assert half.dtype == torch.bfloat16
        torch.testing.assert_close(half.float(), net(x, net.content)[0], atol=.15, rtol=.1)
        lasting = deepcopy(net).to(memory_format=torch.channels_last)
        x_last = x.to(memory_format=torch.channels_last)
        torch.testing.assert_close(lasting(x_last, net.deep)[-1], before, atol=1e-4, rtol=1e-4)


def test_names_lead_to_networks_and_what_is_missing_is_told():
    small = feature_network(width=4, seed=3)
    assert isinstance(small, VGG19) and small.note == VGG19(4, seed=3).note and small.width == 4
    messages = {"choose from random": fails(feature_network, "resnet"),
                "'vgg19' reads a file": fails(feature_network, weights="x.pth"),
                "no weight file": fails(feature_network, "efficientnet", "nowhere.pth"),
                "nowhere.pth": fails(feature_network, "vgg19", "nowhere.pth")}
    for words, message in messages.items():
        print("·", message)
        assert words in message
    if has(LITE0_PACKAGE): assert isinstance(feature_network("efficientnet"), EfficientNetLite0)
