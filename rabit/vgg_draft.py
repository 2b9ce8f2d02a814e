"""Draft home of VGG19 (moves into 07_encode)"""
import math
from pathlib import Path
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn
from rabit.core import RabitError, check

VGG_CHANNELS = (64, 128, 256, 512, 512)                        # of the five blocks, at width 64
VGG_CONVS = (2, 2, 4, 4, 4)                                    # convolutions in each block; a max pool after every block
VGG_LAYERS = tuple(f"relu{b}_{i}" for b, n in enumerate(VGG_CONVS, 1) for i in range(1, n + 1))
VGG_URL = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"  # torchvision's ImageNet weights; the name ends in the file's hash

def _vgg_names():
    "Our name of each convolution (also that of the Caffe conversions) and torchvision's: conv1_1 is features.0"
    names, place = {}, 0
    for block, count in enumerate(VGG_CONVS, 1):
        for i in range(1, count + 1):
            names[f"conv{block}_{i}"], place = f"features.{place}", place + 2
        place += 1
    return names

def _download_vgg(width, style):
    "Torchvision's file, fetched once and kept in torch's own cache, its hash checked"
    check(width == 64, f"the official VGG19 weights are {64} wide, but width={width} was asked for: leave width at 64, or weights=None")
    check(style == "torch", f"the official weights expect style='torch' (RGB, ImageNet's mean and deviation), not style={style!r}")
    try: return torch.hub.load_state_dict_from_url(VGG_URL, map_location="cpu", progress=True, check_hash=True, weights_only=True)
    except Exception as e:
        raise RabitError(f"VGG19 weights could not be fetched from {VGG_URL} ({type(e).__name__}: {e}); "
                         "check the network, or fetch the file elsewhere and give its path as weights=") from None

def _read_vgg(path):
    "The tensors of a .safetensors or .pth file; nothing is ever unpickled into code"
    check(path.is_file(), f"there is no VGG19 weight file {str(path)!r}; give a .safetensors or .pth file, 'download', or None for random weights")
    try: state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, map_location="cpu", weights_only=True)
    except Exception as e:
        raise RabitError(f"{str(path)!r} cannot be read as weights ({type(e).__name__}); "
                         "a .safetensors file or a .pth file of plain tensors is needed") from None
    check(isinstance(state, dict), f"{str(path)!r} holds a {type(state).__name__}; a dictionary of named tensors is needed")
    return state

class VGG19(nn.Module):
    "The sixteen convolutions of VGG19 (Simonyan and Zisserman 2015), frozen, as a ruler for pictures"
    def __init__(self,
        width:int=64,             # channels of the first block; 64 is the published network
        weights:str|Path|None=None,  # path (.safetensors, .pth), "download" (torchvision's file), None: random and fixed by the seed
        style:str="torch",        # what the weights expect: "torch" (RGB, mean and deviation of ImageNet) or "caffe" (BGR, 0-255, minus means)
        seed:int=0,               # of the random weights
    ):
        super().__init__()
        check(width >= 1 and int(width) == width, f"width={width} does not fit; a whole number of at least 1 is needed")
        check(style in ("torch", "caffe"), f"style={style!r} is unknown; 'torch' and 'caffe' fit")
        self.width, self.style, before = width, style, 3
        for (block, channels), count in zip(enumerate(VGG_CHANNELS, 1), VGG_CONVS):
            for i in range(1, count + 1):
                after = max(1, channels * width // 64)
                self.add_module(f"conv{block}_{i}", nn.utils.skip_init(nn.Conv2d, before, after, 3, padding=1)); before = after
        mean, std = {"torch": ((.485, .456, .406), (.229, .224, .225)), "caffe": ((123.68, 116.779, 103.939), (1., 1., 1.))}[style]
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        self.note = self._fill_randomly(seed) if weights is None else self._fill(weights)
        self.eval().requires_grad_(False)

    def _fill_randomly(self, seed):
        generator = torch.Generator().manual_seed(seed)
        for conv in self.children():                                       # variance 2/inputs keeps the scale through conv and ReLU
            conv.weight.data.normal_(0, math.sqrt(2 / conv.weight[0].numel()), generator=generator); conv.bias.data.zero_()
        return f"VGG19 of width {self.width} with RANDOM weights (seed {seed}), not trained on ImageNet"

    def _fill(self, weights):
        state = _download_vgg(self.width, self.style) if weights == "download" else _read_vgg(Path(weights))
        wanted = {f"{own}.{end}": f"{theirs}.{end}" for own, theirs in _vgg_names().items() for end in ("weight", "bias")}
        ours = self.state_dict()
        found = {own: state.get(own, state.get(theirs)) for own, theirs in wanted.items()}
        missing = [f"{wanted[k]} (or {k})" for k, v in found.items() if not isinstance(v, Tensor)]
        check(not missing, f"the VGG19 weights {str(weights)!r} lack {len(missing)} of {len(wanted)} tensors: {', '.join(missing[:4])}"
                           f"{' …' if len(missing) > 4 else ''}; torchvision's names features.N.weight or conv1_1.weight … are needed")
        wrong = [f"{k} is {tuple(v.shape)}, not {tuple(ours[k].shape)}" for k, v in found.items() if v.shape != ours[k].shape]
        check(not wrong, f"the VGG19 weights {str(weights)!r} do not fit width={self.width}: {'; '.join(wrong[:3])}"
                         f"{' …' if len(wrong) > 3 else ''}; the file's first convolution says width={found['conv1_1.weight'].shape[0]}")
        self.load_state_dict(found)
        return f"VGG19 of width {self.width} with weights from {VGG_URL if weights == 'download' else weights}"

    def prepare(self,
        x:Tensor,  # (b, 3, h, w), RGB in [-1, 1]
    )->Tensor:     # the same picture as the weights expect it
        "Bring a picture to the scale and channel order that the weights were trained with"
        x = (x + 1) / 2
        return (x - self.mean) / self.std if self.style == "torch" else (255 * x - self.mean).flip(1)

    def forward(self,
        x:Tensor,  # (b, 3, h, w), RGB in [-1, 1]
        layers:tuple=("relu1_2", "relu2_2", "relu3_2", "relu4_2", "relu5_2"),  # any of `VGG_LAYERS`
    )->list:       # one (b, c, h', w') per layer, in the order asked for
        "Features at the named layers; nothing deeper than the deepest of them is computed"
        layers = (layers,) if isinstance(layers, str) else tuple(layers)
        unknown = [l for l in layers if l not in VGG_LAYERS]
        check(layers and not unknown, f"VGG19 has no layer {', '.join(map(repr, unknown)) or '()'}; it has {', '.join(VGG_LAYERS)}")
        last = max(map(VGG_LAYERS.index, layers))
        smallest = 2 ** (int(VGG_LAYERS[last][4]) - 1)
        check(x.ndim == 4 and x.shape[1] == 3 and min(x.shape[-2:]) >= smallest,
              f"VGG19 was given {tuple(x.shape)}; {VGG_LAYERS[last]} needs (b, 3, h, w) with sides of at least {smallest}")
        x, kept = self.prepare(x), {}
        for name in VGG_LAYERS[:last + 1]:
            if name.endswith("_1") and name != "relu1_1": x = F.max_pool2d(x, 2)
            x = kept[name] = F.relu(self.get_submodule(name.replace("relu", "conv"))(x))
        return [kept[name] for name in layers]
