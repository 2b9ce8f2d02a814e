"""Scores against other people's implementations; skipped where these are not installed."""
import numpy as np
import pytest
import torch

from rabit.training.evaluate import auc
from rabit.training.metrics import frechet_distance, l1, psnr, sliced_wasserstein, ssim


def images(seed=0, b=3, h=40, w=52):
    "Smooth random images in [-1, 1] and noisy copies."
    g = torch.Generator().manual_seed(seed)
    x = torch.nn.functional.interpolate(torch.rand(b, 3, 6, 7, generator=g), size=(h, w),
                                        mode="bicubic").clamp(0, 1) * 2 - 1
    return (x + .2 * torch.randn(x.shape, generator=g)).clamp(-1, 1), x


def test_ssim_is_torchmetrics_away_from_the_border():
    functional = pytest.importorskip("torchmetrics.functional.image", exc_type=ImportError)
    y, x = images()
    full = functional.structural_similarity_index_measure(y, x, sigma=1.5, data_range=2.,
                                                          return_full_image=True)[1]
    # theirs mirrors the border and counts it
    torch.testing.assert_close(ssim(y, x), full[..., 5:-5, 5:-5].mean((1, 2, 3)), atol=1e-5, rtol=0)


def test_ssim_and_psnr_are_scikit_images():
    skimage = pytest.importorskip("skimage.metrics")
    y, x = images(1)
    for i in range(len(x)):
        a, b = (z[i].permute(1, 2, 0).double().numpy() for z in (y, x))
        theirs = skimage.structural_similarity(a, b, data_range=2, channel_axis=-1, gaussian_weights=True,
                                               sigma=1.5, use_sample_covariance=False)
        assert abs(float(ssim(y, x)[i]) - theirs) < 1e-4
        assert abs(float(psnr(y, x)[i]) - skimage.peak_signal_noise_ratio(b, a, data_range=2)) < 1e-3


@pytest.mark.parametrize("n", [20, 200])  # fewer and more images than features
def test_frechet_distance_is_that_of_the_matrix_root(n):
    linalg = pytest.importorskip("scipy.linalg")
    g = np.random.default_rng(n)
    a, b = g.normal(size=(n, 32)), 1.5 * g.normal(size=(n + 10, 32)) @ g.normal(size=(32, 32)) / 6 + .3
    (ma, sa), (mb, sb) = ((z.mean(0), np.cov(z, rowvar=False)) for z in (a, b))
    theirs = ((ma - mb) ** 2).sum() + np.trace(sa + sb - 2 * np.real(linalg.sqrtm(sa @ sb)))
    assert abs(frechet_distance(torch.tensor(a), torch.tensor(b)) - theirs) < 1e-4 * (1 + theirs)


def test_sliced_wasserstein_pairs_like_an_optimal_transport_solver():
    ot = pytest.importorskip("ot")
    # a patch is an image: nothing is cut or split
    x = torch.randn(4, 1, 7, 7, generator=torch.Generator().manual_seed(0))
    y = 2 * x.flip(0).roll(1, -1) + .5
    g = torch.Generator().manual_seed(0)
    torch.randint(1, (4, 1, 1), generator=g), torch.randint(1, (4, 1, 1), generator=g)
    d = torch.nn.functional.normalize(torch.randn(49, 16, generator=g), dim=0)
    p, q = ((z.flatten(1) @ d).double().numpy() for z in (y, x))
    theirs = np.mean([ot.wasserstein_1d(p[:, i], q[:, i], p=1) for i in range(16)])
    assert abs(float(sliced_wasserstein(y, x, count=1, directions=16)) - theirs) < 1e-5


def test_auc_counts_pairs():
    g = torch.Generator().manual_seed(0)
    score, positive = torch.randint(6, (80,), generator=g).float(), torch.rand(80, generator=g) < .3
    pairs = score[positive][:, None] - score[~positive][None]
    assert abs(auc(score, positive) - float(((pairs > 0).double() + .5 * (pairs == 0)).mean())) < 1e-12


def test_l1_is_numpys():
    y, x = images(2)
    assert np.allclose(l1(y, x).numpy(), np.abs(y.numpy() - x.numpy()).mean((1, 2, 3)), atol=1e-6)
