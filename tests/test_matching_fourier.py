# Generated from nbs/1_matching/17_fourier.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import math
import torch
from rabit.matching.fourier import fourier


def test_products_of_fourier_features_compare_places():
    r, other = torch.rand(2, 1, 2, 4, 5, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for bands in (1, 2, 5):
        wanted = sum(torch.cos(math.pi / 2 * 2**i * (r - other)).sum(1) for i in range(bands))
        assert fourier(r, bands).shape == (1, 4 * bands, 4, 5)
        assert torch.allclose((fourier(r, bands) * fourier(other, bands)).sum(1), wanted, atol=1e-5)
        assert torch.allclose(fourier(r, bands).square().sum(1), torch.tensor(2. * bands))
    try: fourier(r, 0)
    except ValueError as error: assert "bands = 0" in str(error)
    else: assert False, "no bands must be refused"
