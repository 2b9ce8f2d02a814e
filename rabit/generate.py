"""The decoder: from fused features at every scale to a picture"""
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from rabit.encode import conv
from rabit.inject import SPADE

__all__ = ['SpadeResBlock', 'Decoder']

class SpadeResBlock(nn.Module):
    "A residual block whose normalisations are modulated"
    def __init__(self,
        c_in:int,        # channels in
        c_out:int,       # channels out
        modulation:int,  # channels of the modulation map
    ):
        super().__init__()
        self.norm1, self.norm2 = SPADE(c_in, modulation), SPADE(c_out, modulation)
        self.conv1, self.conv2 = conv(c_in, c_out), conv(c_out, c_out)
        self.skip = conv(c_in, c_out, size=1) if c_in != c_out else nn.Identity()
    def forward(self, x, f):
        y = self.conv1(F.silu(self.norm1(x, f)))
        return self.skip(x) + self.conv2(F.silu(self.norm2(y, f)))

class Decoder(nn.Module):
    "Start from the coarsest fused features, refine and double, modulated at every scale"
    def __init__(self,
        widths:tuple,  # channels at each scale, finest first, as the injector's
    ):
        super().__init__()
        w = list(widths)
        self.first = conv(w[-1], w[-1])
        self.blocks = nn.ModuleList(SpadeResBlock(a, b, b) for a, b in zip([w[-1], *w[:0:-1]], w[::-1]))
        self.last = conv(w[0], 3)
    def forward(self,
        fused:list,  # (b, c_i, h/2^i, w/2^i), finest first
    )->Tensor:       # (b, 3, h, w) in [-1, 1]
        x = self.first(fused[-1])
        for block, f in zip(self.blocks, fused[::-1]):
            x = block(F.interpolate(x, f.shape[-2:], mode="nearest"), f)
        return torch.tanh(self.last(F.silu(x)))
