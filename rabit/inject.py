"""Confidence feature injection: the condition where matches are poor, the warped exemplar where they are good"""
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from rabit.core import check, positional_norm
from rabit.encode import conv
from rabit.match import Match

__all__ = ['SPADE', 'Confidence', 'fuse', 'Pyramid', 'Injector']

class SPADE(nn.Module):
    "Normalise by position, then scale and shift by what a modulation map says at that place"
    def __init__(self,
        channels:int,    # of the activations
        modulation:int,  # channels of the modulation map
    ):
        super().__init__()
        self.shared = conv(modulation, channels)
        self.gamma, self.beta = conv(channels, channels), conv(channels, channels)
    def forward(self, x, f):
        f = F.silu(self.shared(f))
        return positional_norm(x) * (1 + self.gamma(f)) + self.beta(f)

class Confidence(nn.Module):
    "CMAP: one number per place, or one per place and channel"
    def __init__(self,
        channels:int,         # of the features to be fused
        kind:str="multi",     # "none" (trust everything), "single", "multi"
    ):
        super().__init__()
        check(kind in ("none", "single", "multi"), f"confidence = {kind!r} is not known: 'none', 'single' and 'multi' are")
        self.kind = kind
        if kind == "multi": self.net = nn.Sequential(conv(2, channels), nn.SiLU(), conv(channels, channels))
    def forward(self, cmap):
        if self.kind == "none": return torch.ones_like(cmap)
        if self.kind == "single": return cmap
        return torch.sigmoid(self.net(torch.cat([cmap, 4 * (cmap - .5)], 1)))

def fuse(
    condition:Tensor,   # (b, c, h, w) features X of the condition
    warped:Tensor,      # (b, c, h, w) features T·Z of the warped exemplar
    confidence:Tensor,  # (b, 1 or c, h, w) in [0, 1]
)->Tensor:              # (b, c, h, w)
    "F = X·(1 - CMAP) + (T·Z)·CMAP (RABIT, section 3.3)"
    return condition * (1 - confidence) + warped * confidence

class Pyramid(nn.Module):
    "Features of a map at 1, 1/2, 1/4 and 1/8 of its size"
    def __init__(self,
        c_in:int,      # channels in
        widths:tuple,  # channels at each scale, finest first
    ):
        super().__init__()
        self.levels = nn.ModuleList(conv(a, b, 1 if i == 0 else 2) for i, (a, b) in enumerate(zip((c_in, *widths), widths)))
    def forward(self, x):
        out = []
        for i, level in enumerate(self.levels): out.append(x := level(F.silu(x) if i else x))
        return out

class Injector(nn.Module):
    "Fused features F at every scale of the decoder"
    def __init__(self,
        classes:int,     # channels of the condition
        widths:tuple,    # channels of the fused features at each scale, finest first
        confidence:str="multi",  # see `Confidence`
    ):
        super().__init__()
        self.condition, self.exemplar = Pyramid(classes, widths), Pyramid(3, widths)
        self.confidence = nn.ModuleList(Confidence(w, confidence) for w in widths)
    def forward(self, condition, warped, cmap):
        xs, zs = self.condition(condition), self.exemplar(warped)
        return [fuse(x, z, net(F.interpolate(cmap, x.shape[-2:], mode="bilinear", align_corners=False)))
                for x, z, net in zip(xs, zs, self.confidence)]
