"""Bi-level matching: choose k blocks, attend inside them"""
from typing import NamedTuple
import math
import torch
from torch import Tensor
from rabit.core import check, from_blocks, grid_of, to_blocks, unit
from rabit.match import Match, check_pair
from rabit.topk import soft_topk

__all__ = ['Ranking', 'block_means', 'rank_blocks', 'tokens_of_blocks', 'bilevel_match', 'best_block']

class Ranking(NamedTuple):
    "Which exemplar blocks each query block keeps"
    scores:Tensor  # (b, g, gk) cosines of block means
    soft:Tensor    # (b, g, gk) soft top-k indicators, rows sum to k
    chosen:Tensor  # (b, g, k) the kept blocks, best first

def block_means(
    x:Tensor,     # (b, c, h, w)
    block:tuple,  # (sh, sw)
)->Tensor:        # (b, g, c)
    "Mean feature of every block, over the tokens that it really has"
    ones = torch.ones_like(x[:1, :1])
    return to_blocks(x, block).sum(2) / to_blocks(ones, block).sum(2)

def rank_blocks(
    query:Tensor,  # (b, c, h, w)
    key:Tensor,    # (b, c, hk, wk)
    block:int=4,   # side of a block, in tokens
    k:int=3,       # blocks kept
    eps:float=1.,  # ε of the soft top-k, in units of each row's standard deviation (squared)
)->Ranking:
    "Compare block means by cosine and choose k of them, with a gradient (RABIT, section 3.1)"
    check_pair(query, key)
    check(block >= 1, f"block = {block} is no side of a block: 1 or more tokens are needed")
    blocks = math.prod(grid_of(key.shape[-2:], (block, block)))
    check(1 <= k <= blocks, f"k = {k} blocks cannot be kept: the exemplar's {tuple(key.shape[-2:])} tokens make {blocks} blocks of {block}×{block}, "
                            f"so k must lie between 1 and {blocks}")
    means = [unit(block_means(x, (block, block)).transpose(1, 2)) for x in (query, key)]      # (b, c, g), (b, c, gk)
    scores = means[0].transpose(1, 2) @ means[1]
    spread = scores.detach().std(-1, keepdim=True, unbiased=False).clamp_min(1e-4)
    return Ranking(scores, soft_topk(scores / spread, k, eps), scores.topk(k, -1).indices)

def tokens_of_blocks(
    chosen:Tensor,  # (b, g, k) block numbers
    size:tuple,     # (h, w) of the grid that the blocks cut up
    block:int,      # side of a block
)->tuple:           # (b, g, k·p) token numbers in reading order, and whether each exists (a last block may stick out)
    "The tokens inside the chosen blocks"
    (h, w), cols = size, grid_of(size, (block, block))[1]
    inside = torch.arange(block, device=chosen.device)
    y = (chosen // cols * block)[..., None, None] + inside[:, None]                             # (b, g, k, s, 1)
    x = (chosen % cols * block)[..., None, None] + inside                                       # (b, g, k, 1, s)
    real = ((y < h) & (x < w)).flatten(2)
    return (y.clamp_max(h - 1) * w + x.clamp_max(w - 1)).flatten(2), real

def bilevel_match(
    query:Tensor,  # (b, c, h, w)
    key:Tensor,    # (b, c, hk, wk)
    block:int=4,   # side s of a block, in tokens
    k:int=3,       # exemplar blocks kept for each query block
    eps:float=1.,  # ε of the soft top-k, in units of each row's standard deviation (squared)
    temperature:float=0.05,  # of the softmax inside the blocks
)->Match:          # g² + n·k·p scores are stored, never n·m
    "Rank blocks, then attend inside the chosen ones with the soft indicator as a prior (RABIT, section 3.1)"
    ranking = rank_blocks(query, key, block, k, eps)
    index, real = tokens_of_blocks(ranking.chosen, key.shape[-2:], block)
    q = to_blocks(unit(query), (block, block))                                                  # (b, g, p, c)
    tokens = unit(key).flatten(2).transpose(1, 2)                                               # (b, m, c)
    b, g, n = index.shape
    candidates = tokens.gather(1, index.reshape(b, g * n, 1).expand(-1, -1, tokens.shape[-1])).view(b, g, n, -1)
    scores = (q @ candidates.transpose(2, 3)).masked_fill(~real[:, :, None], -math.inf)         # (b, g, p, k·p)
    prior = ranking.soft.gather(2, ranking.chosen).clamp_min(1e-12).log()                       # (b, g, k)
    prior = prior.repeat_interleave(block * block, 2)[:, :, None]
    peak = from_blocks(scores.amax(-1, keepdim=True), query.shape[-2:], (block, block))
    return Match((scores / temperature + prior).softmax(-1), index, query.shape[-2:], key.shape[-2:], (block, block), peak)

def best_block(
    n:int,    # tokens of the grid (h·w)
    k:int=3,  # blocks kept
)->float:     # side of a block, in tokens
    "The side that minimises n²/p² + n·k·p scores: p* = (2n/k)^⅓"
    return (2 * n / k) ** (1 / 6)
