# Generated from nbs/3_networks/31_features.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import tempfile
import torch
import torch.nn.functional as F
from pathlib import Path
from rabit.core.tensors import RabitError
from rabit.networks.features import FeatureNetwork
from rabit.networks.features import VGG19
from rabit.networks.features import VGG_CHANNELS
from rabit.networks.features import VGG_CONVS
from rabit.networks.features import VGG_LAYERS
from rabit.networks.features import VGG_URL
from rabit.networks.features import vgg_layers
from safetensors.torch import save_file

class Means(FeatureNetwork):
    layers, matching = dict(half=2, quarter=4), dict(half=.5, quarter=.5)
    def maps(self, x):
        for name in self.layers:
            x = F.avg_pool2d(x, 2)
            yield name, x

def said(f, *args, **kwargs):
    "The message of the error that `f` raises"
    try: f(*args, **kwargs)
    except RabitError as e: return str(e)
    return "no error"


def test_a_feature_network_gives_what_it_is_asked_for_in_that_order():
    means, x = Means(), torch.rand(2, 3, 8, 12)
    assert means.default == ("half", "quarter") and [f.shape[-1] for f in means(x)] == [6, 3]
    assert [f.shape[-1] for f in means(x, ("quarter", "half"))] == [3, 6]
    assert torch.equal(means(x, "half")[0], F.avg_pool2d(x, 2))
    seen = []
    class Watched(Means):
        rms = dict(half=.5)
        def maps(self, x):
            for name, found in super().maps(x):
                seen.append(name)
                yield name, found
    assert torch.equal(Watched()(x, "half")[0], 2 * means(x, "half")[0]) and seen == ["half"]


def test_the_layers_are_named_by_block_and_place():
    assert VGG_LAYERS[0] == "relu1_1" and VGG_LAYERS[-1] == "relu5_4"
    assert len(VGG_LAYERS) == sum(VGG_CONVS) == 16 and vgg_layers((2, 3)) == dict(
        relu1_1=1, relu1_2=1, relu2_1=2, relu2_2=2, relu2_3=2)
    assert len(VGG_CHANNELS) == len(VGG_CONVS) == 5 and VGG_URL.rsplit("-", 1)[1] == "dcbb9e9d.pth"


def test_features_come_in_the_order_asked_for_and_the_network_is_frozen():
    vgg, x = VGG19(width=4), torch.rand(2, 3, 32, 48, requires_grad=True)
    sizes = [(2, 4, 32, 48), (2, 8, 16, 24), (2, 16, 8, 12), (2, 32, 4, 6), (2, 32, 2, 3)]
    assert [tuple(f.shape) for f in vgg(x)] == sizes
    deep, early = vgg(x, ("relu5_4", "relu1_1"))
    assert deep.shape[1] == 32 and early.shape[1] == 4 and torch.equal(vgg(x, "relu1_1")[0], early)
    deep.sum().backward()
    assert x.grad.abs().sum() > 0 and not any(p.requires_grad for p in vgg.parameters()) and not vgg.training
    assert "RANDOM" in vgg.note and torch.equal(VGG19(width=4)(x)[4], vgg(x)[4])
    assert not torch.equal(VGG19(width=4, seed=1)(x)[4], vgg(x)[4])


def test_the_two_styles_prepare_red_as_they_should():
    red = torch.tensor([1., -1., -1.]).view(1, 3, 1, 1)
    torch.testing.assert_close(VGG19(1).prepare(red).flatten(),
                               torch.tensor([(1 - .485) / .229, -.456 / .224, -.406 / .225]))
    torch.testing.assert_close(VGG19(1, style="caffe").prepare(red).flatten(),
                               torch.tensor([-103.939, -116.779, 255 - 123.68]))


def test_weights_are_read_under_either_kind_of_names():
    vgg = VGG19(width=2, seed=5)
    x = torch.rand(1, 3, 16, 16)
    folder = Path(tempfile.mkdtemp())
    save_file(vgg.state_dict(), folder / "own.safetensors")
    renamed, place = {}, 0
    for name in VGG_LAYERS:
        if name.endswith("_1") and place: place += 1
        for part in ("weight", "bias"):
            renamed[f"features.{place}.{part}"] = vgg.state_dict()[f"{name.replace('relu', 'conv')}.{part}"]
        place += 2
    torch.save({**renamed, "classifier.0.weight": torch.zeros(3)}, folder / "torchvision.pth")
    for name, style in (("own.safetensors", "caffe"), ("torchvision.pth", "torch")):
        loaded, same = VGG19(weights=folder / name), VGG19(width=2, seed=5, style=style)
        assert (loaded.width, loaded.style) == (2, style) and f"{style} style" in loaded.note
        assert all(torch.equal(a, b) for a, b in zip(loaded(x), same(x)))
        assert name in loaded.note and "RANDOM" not in loaded.note
    assert VGG19(weights=folder / "own.safetensors", style="torch").style == "torch"  # whoever knows, says so


def test_what_cannot_be_measured_or_loaded_is_refused_in_words():
    folder, small = Path(tempfile.mkdtemp()), VGG19(width=2)
    save_file(small.state_dict(), folder / "two.safetensors")
    save_file({"other": torch.zeros(1)}, folder / "other.safetensors")
    class Payload:
        def __reduce__(self): return (folder / "hit").write_text, ("it ran",)
    torch.save({"features.0.weight": Payload()}, folder / "code.pth")
    (folder / "torn.pth").write_bytes(b"PK")
    messages = {"relu6_1": said(small, torch.zeros(1, 3, 32, 32), "relu6_1"),
                "at least 16": said(small, torch.zeros(1, 3, 8, 64), "relu5_1"),
                "width=2": said(VGG19, 4, folder / "two.safetensors"),
                "lack 32 of 32": said(VGG19, 2, folder / "other.safetensors"),
                "torn.pth": said(VGG19, 2, folder / "torn.pth"),
                "code.pth": said(VGG19, None, folder / "code.pth"), "nowhere.pth": said(VGG19, 2, "nowhere.pth"),
                "64 wide": said(VGG19, 8, "download"), "'caffe'": said(VGG19, 64, "download", "caffe"),
                "'rgb'": said(VGG19, 2, style="rgb")}
    for words, message in messages.items():
        print("·", message.replace(str(folder), "…"))
        assert words in message
    assert not (folder / "hit").exists()  # a .pth file is read, never carried out
