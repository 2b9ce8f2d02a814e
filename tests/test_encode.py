# Generated from nbs/07_encode.ipynb by .ci/export_tests.py: edit the notebook, not this file.
import math
import tempfile
import torch
import torch.nn.functional as F
from pathlib import Path
from rabit.core import RabitError
from rabit.core import labels_of
from rabit.core import one_hot
from rabit.core import seed_all
from rabit.core import unit
from rabit.encode import Encoder
from rabit.encode import FeatureNet
from rabit.encode import Features
from rabit.encode import ResBlock
from rabit.encode import VGG19
from rabit.encode import VGG_CHANNELS
from rabit.encode import VGG_CONVS
from rabit.encode import VGG_LAYERS
from rabit.encode import VGG_URL
from rabit.encode import conv
from rabit.position import coord_conv
from rabit.position import fourier
from rabit.position import semantic_position
from rabit.scenes import street_pairs
from safetensors.torch import save_file
from torch import nn

def said(f, *args, **kwargs):
    "The message of the error that `f` raises"
    try: f(*args, **kwargs)
    except RabitError as e: return str(e)
    return "no error"


def test_a_convolution_keeps_a_constant_map_constant():
    flat = torch.ones(1, 3, 8, 10)
    assert conv(3, 5)(flat).shape == conv(3, 5, size=1)(flat).shape == (1, 5, 8, 10) and conv(3, 5, stride=2)(flat).shape == (1, 5, 4, 5)
    for layer in (conv(3, 5), conv(3, 5, stride=2), conv(3, 5, size=7)): assert layer(flat).flatten(2).std(-1).max() < 1e-6
    assert nn.Conv2d(3, 5, 3, padding=1)(flat).flatten(2).std(-1).max() > 1e-3


def test_a_block_is_the_identity_when_its_last_convolution_is_silent():
    block, x = ResBlock(6), torch.randn(2, 6, 5, 7)
    assert block(x).shape == x.shape and not torch.equal(block(x), x)
    torch.testing.assert_close(block(x)[:1], block(x[:1]))
    nn.init.zeros_(block.net[-1].weight); nn.init.zeros_(block.net[-1].bias)
    assert torch.equal(block(x), x)


def test_features_have_the_size_that_the_stride_says():
    x = torch.randn(2, 3, 24, 40)
    assert FeatureNet((3,), 5, 4)(x).shape == (2, 5, 12, 20) and FeatureNet((3,), 5, 4, stride=1)(x).shape == (2, 5, 24, 40)
    assert FeatureNet((3, 7), 5, 4)(torch.randn(1, 7, 10, 6), stem=1).shape == (1, 5, 5, 3)
    flat = FeatureNet((3,), 5, 4)(torch.ones(1, 3, 24, 40))
    assert flat.flatten(2).std(-1).max() < 1e-5
    for stride in (4, 8): assert FeatureNet((3,), 5, 4, stride)(torch.randn(2, 3, 24, 40)).shape == (2, 5, 24 // stride, 40 // stride)
    try: FeatureNet((3,), 5, 4, stride=3); message = ""
    except ValueError as e: message = str(e)
    assert "stride = 3" in message and "1, 2, 4 or 8" in message


def test_three_ways_to_encode_the_position():
    houses = one_hot(torch.arange(6)[:, None].expand(6, 8).clamp_max(2)[None], 3)
    frames = {name: Encoder(3, 4, 8, position=name).encode_position(houses) for name in ("semantic", "coord", "none")}
    assert {name: x.shape for name, x in frames.items()} == {"semantic": (1, 8, 6, 8), "coord": (1, 8, 6, 8), "none": (1, 0, 6, 8)}
    assert torch.equal(frames["coord"], fourier(coord_conv((6, 8)), 2))
    assert torch.equal(frames["semantic"], fourier(semantic_position(labels_of(houses), "box"), 2))
    try: Encoder(3, position="polar"); message = ""
    except ValueError as e: message = str(e)
    assert "'polar'" in message and "'coord'" in message


def test_at_first_equal_labels_mean_equal_features():
    seed_all(0)
    encoder, scenes = Encoder(7, width=4, features=8), street_pairs(range(2), size=(32, 32))
    layout = one_hot(scenes["labels"], 7)
    torch.testing.assert_close(encoder.query(layout), encoder.key(scenes["picture"], layout))
    torch.testing.assert_close(encoder.query(layout), encoder.key(torch.randn(2, 3, 32, 32), layout))
    nn.init.normal_(encoder.net.stems[1].weight)
    assert (encoder.query(layout) - encoder.key(scenes["picture"], layout)).abs().max() > .01


def test_the_balance_weighs_content_against_place():
    encoder, scenes = Encoder(7, width=4, features=8), street_pairs(range(1), size=(32, 32))
    nn.init.constant_(encoder.balance, .7)
    f = encoder.query(one_hot(scenes["labels"], 7)).flatten(2)[0]
    content, place, e2b = f[:8], f[8:] / math.exp(.7), math.exp(1.4)
    torch.testing.assert_close(F.normalize(f, dim=0).T @ F.normalize(f, dim=0), (content.T @ content + e2b * place.T @ place) / (1 + e2b))
    assert Encoder(7, width=4, features=8, position="none").query(one_hot(scenes["labels"], 7)).shape == (1, 8, 16, 16)


def test_condition_and_exemplar_may_differ_in_size():
    for stride in (1, 2, 4, 8):
        encoder = Encoder(3, width=4, features=8, stride=stride)
        found = encoder(torch.rand(2, 3, 16, 24), torch.randn(2, 3, 32, 16), torch.rand(2, 3, 32, 16))
        assert isinstance(found, Features) and found._fields == ("query", "key", "parsed")
        assert found.query.shape == (2, 16, 16 // stride, 24 // stride) and found.key.shape == (2, 16, 32 // stride, 16 // stride)
        assert found.parsed.shape == (2, 3, 32, 16)


def test_without_exemplar_labels_the_parser_reads_them():
    encoder, picture, layout = Encoder(3, width=4, features=8), torch.randn(1, 3, 16, 16), torch.rand(1, 3, 16, 16)
    guess = encoder(layout, picture)
    read = one_hot(encoder.parse(picture).argmax(1), 3)
    assert torch.equal(guess.key, encoder.key(picture, read)) and torch.equal(guess.query, encoder.query(layout))
    assert torch.equal(guess.parsed, encoder.parse(picture)) and not torch.equal(guess.key, encoder.key(picture, layout))


def test_conditions_that_are_no_label_maps():
    picture, edges = torch.rand(1, 3, 16, 16), torch.rand(1, 2, 16, 16)
    encoder = Encoder(2, 4, 8, position="coord", condition="edges")
    guess = encoder(edges, picture)
    assert torch.equal(guess.key, encoder.key(picture, encoder.parse(picture).sigmoid())) and guess.parsed.shape == (1, 2, 16, 16)
    encoder = Encoder(3, 4, 8, position="none", condition="picture")
    assert encoder.parser is None and encoder(picture, picture).parsed is None
    assert torch.equal(encoder(picture.flip(3), picture).key, encoder.key(picture, picture))
    try: Encoder(2, condition="edges"); message = ""
    except ValueError as e: message = str(e)
    assert "'edges'" in message and "'coord'" in message


def test_a_match_teaches_both_stems_and_the_balance():
    encoder, scenes = Encoder(7, width=4, features=8), street_pairs(range(1), size=(32, 32))
    layout, other = one_hot(scenes["labels"], 7), one_hot(scenes["exemplar_labels"], 7)
    found = encoder(layout, scenes["exemplar"], other)
    (unit(found.query) * unit(found.key) * torch.randn_like(found.key)).sum().backward()
    for stem in encoder.net.stems: assert (stem.weight.grad.flatten(2).abs().sum((0, 2))[-3:] > 0).all() and stem.bias.grad.abs().max() > 0
    assert encoder.balance.grad.abs() > 0 and all(p.grad is None for p in encoder.parser.parameters())
    assert (encoder.net.stems[1].weight[:, -3:] == 0).all()


def test_the_same_seed_gives_the_same_encoder():
    made = []
    for seed in (0, 0, 1): seed_all(seed); made.append(Encoder(5, width=4, features=8).state_dict())
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0]) and made[0].keys() == made[2].keys()
    assert not torch.equal(made[0]["net.head.2.weight"], made[2]["net.head.2.weight"]) and made[0]["balance"].shape == ()


def test_the_layers_are_named_by_block_and_place():
    assert VGG_LAYERS[0] == "relu1_1" and VGG_LAYERS[-1] == "relu5_4" and len(VGG_LAYERS) == sum(VGG_CONVS) == 16
    assert len(VGG_CHANNELS) == len(VGG_CONVS) == 5 and VGG_URL.rsplit("-", 1)[1] == "dcbb9e9d.pth"


def test_features_come_in_the_order_asked_for_and_the_network_is_frozen():
    vgg, x = VGG19(width=4), torch.rand(2, 3, 32, 48, requires_grad=True)
    assert [tuple(f.shape) for f in vgg(x)] == [(2, 4, 32, 48), (2, 8, 16, 24), (2, 16, 8, 12), (2, 32, 4, 6), (2, 32, 2, 3)]
    deep, early = vgg(x, ("relu5_4", "relu1_1"))
    assert deep.shape[1] == 32 and early.shape[1] == 4 and torch.equal(vgg(x, "relu1_1")[0], early)
    deep.sum().backward()
    assert x.grad.abs().sum() > 0 and not any(p.requires_grad for p in vgg.parameters()) and not vgg.training
    assert "RANDOM" in vgg.note and torch.equal(VGG19(width=4)(x)[4], vgg(x)[4]) and not torch.equal(VGG19(width=4, seed=1)(x)[4], vgg(x)[4])


def test_the_two_styles_prepare_red_as_they_should():
    red = torch.tensor([1., -1., -1.]).view(1, 3, 1, 1)
    torch.testing.assert_close(VGG19(1).prepare(red).flatten(), torch.tensor([(1 - .485) / .229, -.456 / .224, -.406 / .225]))
    torch.testing.assert_close(VGG19(1, style="caffe").prepare(red).flatten(), torch.tensor([-103.939, -116.779, 255 - 123.68]))


def test_weights_are_read_under_either_kind_of_names():
    vgg, x, folder = VGG19(width=2, seed=5), torch.rand(1, 3, 16, 16), Path(tempfile.mkdtemp())
    save_file(vgg.state_dict(), folder / "own.safetensors")
    theirs, place = {}, 0
    for name in VGG_LAYERS:
        if name.endswith("_1") and place: place += 1
        for part in ("weight", "bias"): theirs[f"features.{place}.{part}"] = vgg.state_dict()[f"{name.replace('relu', 'conv')}.{part}"]
        place += 2
    torch.save({**theirs, "classifier.0.weight": torch.zeros(3)}, folder / "torchvision.pth")
    for name in ("own.safetensors", "torchvision.pth"):
        loaded = VGG19(width=2, weights=folder / name)
        assert all(torch.equal(a, b) for a, b in zip(loaded(x), vgg(x))) and name in loaded.note and "RANDOM" not in loaded.note


def test_what_cannot_be_measured_or_loaded_is_refused_in_words():
    folder, small = Path(tempfile.mkdtemp()), VGG19(width=2)
    save_file(small.state_dict(), folder / "two.safetensors"); save_file({"other": torch.zeros(1)}, folder / "other.safetensors")
    (folder / "torn.pth").write_bytes(b"PK")
    messages = [said(small, torch.zeros(1, 3, 32, 32), "relu6_1"), said(small, torch.zeros(1, 3, 8, 64), "relu5_1"),
                said(VGG19, 4, folder / "two.safetensors"), said(VGG19, 2, folder / "other.safetensors"), said(VGG19, 2, folder / "torn.pth"),
                said(VGG19, 2, "nowhere.pth"), said(VGG19, 8, "download"), said(VGG19, 64, "download", "caffe"), said(VGG19, 2, style="rgb")]
    for message, words in zip(messages, ("relu6_1", "at least 16", "width=2", "lack 32 of 32", "torn.pth", "nowhere.pth", "64 wide", "'caffe'", "'rgb'")):
        print("·", message.replace(str(folder), "…"))
        assert words in message
