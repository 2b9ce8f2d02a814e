"""Two encoders that bring condition and exemplar into one feature space"""
from typing import NamedTuple
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from rabit.core import check, labels_of, one_hot, unit
from rabit.position import coord_conv, fourier, semantic_position

__all__ = ['conv', 'ResBlock', 'FeatureNet', 'Features', 'Encoder']

def conv(
    c_in:int,   # channels in
    c_out:int,  # channels out
    stride:int=1,  # 2 halves the grid
    size:int=3,    # side of the kernel
)->nn.Conv2d:
    "A convolution whose padding repeats the border, since zeros would leak the position"
    return nn.Conv2d(c_in, c_out, size, stride, size // 2, padding_mode="replicate")

class ResBlock(nn.Module):
    "x + two convolutions of the normalised x"
    def __init__(self,
        channels:int,  # in and out
    ):
        super().__init__()
        self.net = nn.Sequential(nn.GroupNorm(1, channels), nn.SiLU(), conv(channels, channels),
                                 nn.GroupNorm(1, channels), nn.SiLU(), conv(channels, channels))
    def forward(self, x): return x + self.net(x)

class FeatureNet(nn.Module):
    "A small U-Net: context down to 1/8 of the size, features at 1/2 or at full size"
    def __init__(self,
        c_in:tuple, # channels in, one entry for each domain
        c_out:int,  # feature channels
        width:int,  # channels at full size; doubled, tripled and quadrupled below
        stride:int=2,  # pixels on a side of one feature: 1 or 2
    ):
        super().__init__()
        check(stride in (1, 2), f"stride = {stride} does not fit: a feature stands for 1 or 2 pixels on a side")
        w = [width, 2 * width, 3 * width, 4 * width]
        self.stems = nn.ModuleList(conv(c, w[0]) for c in c_in)
        self.down = nn.ModuleList(nn.Sequential(nn.SiLU(), conv(a, b, 2), ResBlock(b)) for a, b in zip(w, w[1:]))
        self.middle = nn.Sequential(ResBlock(w[3]), ResBlock(w[3]))
        self.up = nn.ModuleList(nn.Sequential(conv(a + b, b), ResBlock(b)) for a, b in zip(w[:stride - 1:-1], w[-2::-1]))
        self.head = nn.Sequential(nn.GroupNorm(1, w[stride - 1]), nn.SiLU(), conv(w[stride - 1], c_out, size=1))
    def forward(self,
        x:Tensor,   # (b, c_in[stem], h, w)
        stem:int=0, # which domain x comes from
    )->Tensor:      # (b, c_out, h/stride, w/stride)
        levels = [self.stems[stem](x)]
        for down in self.down: levels.append(down(levels[-1]))
        x = self.middle(levels.pop())
        for up in self.up:
            skip = levels.pop()
            x = up(torch.cat([F.interpolate(x, skip.shape[-2:], mode="nearest"), skip], 1))
        return self.head(x)

class Features(NamedTuple):
    "What the encoder slot of a `Translator` returns"
    query:Tensor          # (b, c, h/stride, w/stride) of the condition
    key:Tensor            # (b, c, H/stride, W/stride) of the exemplar
    exemplar_labels:Tensor|None  # (b, classes, H, W) logits of the parser, where the model has one

class Encoder(nn.Module):
    "F_X and F_Z, with a position encoding beside their features; a parser stands in for missing exemplar labels"
    def __init__(self,
        classes:int,      # channels of the condition
        width:int=24,     # of the networks
        features:int=64,  # channels c of the common space
        position:str="semantic",  # "semantic" (for label maps), "coord" (one frame), "none"
        frame:str="box",  # of the semantic position: "box" or "centroid" (the paper's)
        bands:int=2,      # frequencies of the position
        stride:int=2,     # pixels on a side of one token: 1 or 2
    ):
        super().__init__()
        check(position in ("semantic", "coord", "none"), f"position = {position!r} is not known: 'semantic', 'coord' and 'none' are")
        self.classes, self.position, self.frame, self.bands, self.stride = classes, position, frame, bands, stride
        extra = 0 if position == "none" else 4 * bands
        self.net = FeatureNet((classes + extra, classes + extra + 3), features, width, stride)
        condition, exemplar = self.net.stems
        with torch.no_grad():  # at first the exemplar's stem reads its labels as the condition's does, and nothing of its picture
            exemplar.weight.zero_()[:, :-3] = condition.weight
            exemplar.bias.copy_(condition.bias)
        self.parser = FeatureNet((3,), 4 * classes, max(8, width // 2))
        self.balance = nn.Parameter(torch.zeros(()))

    def encode_position(self, condition):
        if self.position == "none": return condition[:, :0]
        if self.position == "coord": place = coord_conv(condition.shape[-2:], condition.device).expand(condition.shape[0], -1, -1, -1)
        else: place = semantic_position(labels_of(condition), self.frame)
        return fourier(place, self.bands).to(condition.dtype)

    def features(self, stem, condition, *picture):
        place = self.encode_position(condition)
        x = self.net(torch.cat([condition, place, *picture], 1), stem)
        if self.position == "none": return unit(x)
        here = F.normalize(F.avg_pool2d(place, self.stride), dim=1)
        return torch.cat([unit(x), here * self.balance.exp()], 1)

    def parse(self,
        exemplar:Tensor,  # (b, 3, h, w)
    )->Tensor:            # (b, classes, h, w) logits
        "Read the exemplar's labels from its picture"
        return F.pixel_shuffle(self.parser(exemplar), 2)

    def query(self,
        condition:Tensor,  # (b, classes, h, w)
    )->Tensor:             # (b, c, h/stride, w/stride)
        "F_X: features of a condition"
        return self.features(0, condition)

    def key(self,
        exemplar:Tensor,   # (b, 3, h, w)
        condition:Tensor,  # (b, classes, h, w), the exemplar's own
    )->Tensor:             # (b, c, h/stride, w/stride)
        "F_Z: features of a picture"
        return self.features(1, condition, exemplar)

    def forward(self, condition, exemplar, exemplar_condition=None):
        logits = self.parse(exemplar)
        if exemplar_condition is None: exemplar_condition = one_hot(logits.argmax(1), self.classes).to(exemplar.dtype)
        return Features(self.query(condition), self.key(exemplar, exemplar_condition), logits)
from rabit.vgg_draft import VGG19
