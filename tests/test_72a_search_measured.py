# Generated from nbs/7_relatives/72a_search_measured.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
from rabit.core.tensors import from_blocks
from rabit.core.tensors import to_blocks
from rabit.relatives.patchmatch import PatchMatcher


def test_shuffled_tokens_are_not_all_found_and_shuffled_blocks_are():
    g = torch.Generator().manual_seed(0)
    x, place = torch.randn(1, 16, 32, 32, generator=g), torch.arange(1024.).view(1, 1, 32, 32)
    def found_again(order, side):
        "Fraction of tokens that are found after their blocks changed places"
        def moved(v): return from_blocks(to_blocks(v, (side, side))[:, order], (32, 32), (side, side))
        return (PatchMatcher()(x, moved(x)).hard().warp(moved(place)) == place).float().mean().item()
    blocks, single = (found_again(torch.randperm((32 // side)**2, generator=g), side) for side in (8, 1))
    print(f"8 × 8 blocks shuffled: {blocks:.2f} of the tokens found; all tokens shuffled: {single:.2f}")
    assert blocks == 1 and single < .5
