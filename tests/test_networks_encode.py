# Generated from nbs/3_networks/30_encode.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import math
import torch
import torch.nn.functional as F
from rabit.core.devices import seed_all
from rabit.core.tensors import center_normalize
from rabit.core.tensors import labels_of
from rabit.core.tensors import one_hot
from rabit.matching.fourier import fourier
from rabit.matching.position import coord_conv
from rabit.matching.position import semantic_position
from rabit.matching.street import street_pairs
from rabit.networks.encode import Encoder
from rabit.networks.encode import FeatureExtractor
from rabit.networks.encode import FeatureNet
from rabit.networks.encode import Features
from rabit.networks.encode import ResBlock
from rabit.networks.encode import cat_tokens
from rabit.networks.encode import conv
from rabit.networks.encode import directions
from rabit.networks.encode import encode_position
from torch import nn


def test_a_convolution_keeps_a_constant_map_constant():
    flat = torch.ones(1, 3, 8, 10)
    assert (conv(3, 5)(flat).shape == conv(3, 5, size=1)(flat).shape == (1, 5, 8, 10)
            and conv(3, 5, stride=2)(flat).shape == (1, 5, 4, 5))
    for layer in (conv(3, 5), conv(3, 5, stride=2), conv(3, 5, size=7)):
        assert layer(flat).flatten(2).std(-1).max() < 1e-6
    assert nn.Conv2d(3, 5, 3, padding=1)(flat).flatten(2).std(-1).max() > 1e-3


def test_a_convolution_is_torch_s_own_with_a_repeated_border_and_pads_in_16_bits_under_autocast():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 8, 10)
    for stride in (1, 2):
        layer, own = conv(3, 5, stride), nn.Conv2d(3, 5, 3, stride, 1, padding_mode="replicate")
        own.load_state_dict(layer.state_dict())
        assert torch.equal(layer(x), own(x))
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(layer(x), own(x)) and layer(x).dtype == torch.bfloat16


def test_a_block_is_the_identity_when_its_last_convolution_is_silent():
    block, x = ResBlock(6), torch.randn(2, 6, 5, 7)
    assert block(x).shape == x.shape and not torch.equal(block(x), x)
    torch.testing.assert_close(block(x)[:1], block(x[:1]))
    nn.init.zeros_(block.net[-1].weight); nn.init.zeros_(block.net[-1].bias)
    assert torch.equal(block(x), x)


def test_features_have_the_size_that_the_stride_says():
    x = torch.randn(2, 3, 24, 40)
    assert FeatureNet((3,), 5, 4)(x).shape == (2, 5, 12, 20)
    assert FeatureNet((3,), 5, 4, stride=1)(x).shape == (2, 5, 24, 40)
    assert FeatureNet((3, 7), 5, 4)(torch.randn(1, 7, 10, 6), stem=1).shape == (1, 5, 5, 3)
    flat = FeatureNet((3,), 5, 4)(torch.ones(1, 3, 24, 40))
    assert flat.flatten(2).std(-1).max() < 1e-5
    for stride in (4, 8):
        features = FeatureNet((3,), 5, 4, stride)(torch.randn(2, 3, 24, 40))
        assert features.shape == (2, 5, 24 // stride, 40 // stride)
    message = ""
    try: FeatureNet((3,), 5, 4, stride=3)
    except ValueError as error: message = str(error)
    assert "1, 2, 4 or 8" in message and "got 3" in message


def test_three_ways_to_encode_the_position():
    houses = one_hot(torch.arange(6)[:, None].expand(6, 8).clamp_max(2)[None], 3)
    frames = {name: encode_position(houses, name) for name in ("semantic", "coord", "none")}
    assert [tuple(x.shape) for x in frames.values()] == [(1, 8, 6, 8), (1, 8, 6, 8), (1, 0, 6, 8)]
    assert torch.equal(frames["coord"], fourier(coord_conv((6, 8)), 2))
    assert torch.equal(frames["semantic"], fourier(semantic_position(labels_of(houses), "box"), 2))


def test_directions_under_autocast_are_those_of_float32_and_tokens_lie_together():
    torch.manual_seed(0)
    x, w = torch.randn(2, 24, 5, 7).bfloat16(), torch.randn(2, 24, 5, 7)
    def slope(f):
        at = x.clone().requires_grad_()
        (f(at) * w).sum().backward()
        return at.grad.float()
    with torch.autocast("cpu", torch.bfloat16):
        found, grad = directions(x), slope(directions)
        assert directions(torch.full((1, 8, 2, 2), 3.)).abs().max() == 0
    assert found.dtype == torch.float32 and torch.equal(directions(x), center_normalize(x))
    torch.testing.assert_close(found, center_normalize(x.float()))
    torch.testing.assert_close(grad, slope(lambda x: center_normalize(x.float())))
    assert torch.equal(cat_tokens(w, x), torch.cat([w, x], 1)) and cat_tokens(w, x).stride(1) == 1


def test_an_unknown_position_is_refused():
    message = ""
    try: FeatureExtractor(3, position="polar")
    except ValueError as error: message = str(error)
    assert "'polar'" in message and "'coord'" in message


def test_at_first_equal_labels_mean_equal_features():
    seed_all(0)
    extractor, scenes = FeatureExtractor(7, width=4, features=8), street_pairs(range(2), size=(32, 32))
    layout = one_hot(scenes["labels"], 7)
    torch.testing.assert_close(extractor.query(layout), extractor.key(scenes["image"], layout))
    torch.testing.assert_close(extractor.query(layout), extractor.key(torch.randn(2, 3, 32, 32), layout))
    nn.init.normal_(extractor.net.stems[1].weight)
    assert (extractor.query(layout) - extractor.key(scenes["image"], layout)).abs().max() > .01


def test_the_balance_weighs_content_against_place():
    extractor = FeatureExtractor(7, width=4, features=8)
    layout = one_hot(street_pairs(range(1), size=(32, 32))["labels"], 7)
    nn.init.constant_(extractor.balance, .7)
    f = extractor.query(layout).flatten(2)[0]
    content, place = f[:8], f[8:] / math.exp(.7)
    e2b = math.exp(1.4)
    torch.testing.assert_close(F.normalize(f, dim=0).T @ F.normalize(f, dim=0),
                               (content.T @ content + e2b * place.T @ place) / (1 + e2b))
    assert FeatureExtractor(7, width=4, features=8, position="none").query(layout).shape == (1, 8, 16, 16)


def test_condition_and_exemplar_may_differ_in_size():
    for stride in (1, 2, 4, 8):
        encoder = Encoder(3, width=4, features=8, stride=stride)
        found = encoder(torch.rand(2, 3, 16, 24), torch.randn(2, 3, 32, 16), torch.rand(2, 3, 32, 16))
        assert isinstance(found, Features) and found._fields == ("query", "key", "segmentation_logits")
        assert found.query.shape == (2, 16, 16 // stride, 24 // stride)
        assert found.key.shape == (2, 16, 32 // stride, 16 // stride)
        assert found.segmentation_logits.shape == (2, 3, 32, 16)


def test_without_exemplar_labels_the_parser_reads_them():
    encoder = Encoder(3, width=4, features=8)
    image, layout = torch.randn(1, 3, 16, 16), torch.rand(1, 3, 16, 16)
    guess = encoder(layout, image)
    read = one_hot(encoder.segment(image).argmax(1), 3)
    assert torch.equal(guess.key, encoder.key(image, read))
    assert torch.equal(guess.query, encoder.query(layout))
    assert torch.equal(guess.segmentation_logits, encoder.segment(image))
    assert not torch.equal(guess.key, encoder.key(image, layout))


def test_conditions_that_are_no_label_maps():
    image, edges = torch.rand(1, 3, 16, 16), torch.rand(1, 2, 16, 16)
    encoder = Encoder(2, 4, 8, position="coord", condition="edges")
    guess = encoder(edges, image)
    assert torch.equal(guess.key, encoder.key(image, encoder.segment(image).sigmoid()))
    assert guess.segmentation_logits.shape == (1, 2, 16, 16)
    encoder = Encoder(3, 4, 8, position="none", condition="image")
    assert encoder.parser is None and encoder(image, image).segmentation_logits is None
    assert torch.equal(encoder(image.flip(3), image).key, encoder.key(image, image))
    message = ""
    try: Encoder(2, condition="edges")
    except ValueError as error: message = str(error)
    assert "'edges'" in message and "'coord'" in message


def test_a_match_teaches_both_stems_and_the_balance():
    encoder, scenes = Encoder(7, width=4, features=8), street_pairs(range(1), size=(32, 32))
    layout, other = one_hot(scenes["labels"], 7), one_hot(scenes["exemplar_labels"], 7)
    found = encoder(layout, scenes["exemplar"], other)
    cosines = center_normalize(found.query) * center_normalize(found.key)
    (cosines * torch.randn_like(found.key)).sum().backward()
    for stem in encoder.net.stems:
        assert (stem.weight.grad.flatten(2).abs().sum((0, 2))[-3:] > 0).all()
        assert stem.bias.grad.abs().max() > 0
    assert encoder.balance.grad.abs() > 0 and all(p.grad is None for p in encoder.parser.parameters())
    assert (encoder.net.stems[1].weight[:, -3:] == 0).all()


def test_the_same_seed_gives_the_same_encoder():
    made = []
    for seed in (0, 0, 1):
        seed_all(seed)
        made.append(Encoder(5, width=4, features=8).state_dict())
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])
    assert made[0].keys() == made[2].keys()
    assert not torch.equal(made[0]["net.head.2.weight"], made[2]["net.head.2.weight"])
    assert made[0]["balance"].shape == ()
