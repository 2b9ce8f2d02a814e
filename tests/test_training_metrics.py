# Generated from nbs/5_training/50_metrics.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
import torch.nn.functional as F
from rabit.core.tensors import RabitError
from rabit.matching.street import street_pairs
from rabit.networks.features import VGG19
from rabit.training.metrics import copy_score
from rabit.training.metrics import frechet_distance
from rabit.training.metrics import l1
from rabit.training.metrics import laplacian_levels
from rabit.training.metrics import pooled_features
from rabit.training.metrics import psnr
from rabit.training.metrics import random_patches
from rabit.training.metrics import semantic_consistency
from rabit.training.metrics import sliced_wasserstein
from rabit.training.metrics import ssim
from rabit.training.metrics import structure
from rabit.training.metrics import style_relevance


def test_l1_and_psnr_by_hand():
    x = torch.zeros(2, 3, 16, 16)
    torch.testing.assert_close(l1(x + .2, x), torch.tensor([.2, .2]))
    torch.testing.assert_close(psnr(x + .2, x), torch.tensor([20., 20.]))     # 10 log10(4 / .04)
    mask = torch.zeros(2, 16, 16, dtype=torch.bool)
    mask[0, 3, 4] = True
    y = x.clone()
    y[0, :, 3, 4] = 1
    assert l1(y, x, mask)[0] == 1 and l1(y, x, mask)[1].isnan()


def test_images_of_two_sizes_are_not_compared():
    try: l1(torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 20))
    except RabitError as e: print(e)
    else: raise AssertionError("accepted")


def test_ssim_by_hand():
    x = torch.rand(2, 3, 20, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1
    torch.testing.assert_close(ssim(x, x), torch.ones(2))
    a, b = torch.full((1, 3, 16, 16), .5), torch.full((1, 3, 16, 16), .3)     # flat: only the means count
    known = torch.tensor([(2 * .15 + .0004) / (.25 + .09 + .0004)])
    torch.testing.assert_close(ssim(a, b), known, atol=1e-4, rtol=0)
    assert (ssim(x.flip(-1), x) < .3).all()


def test_structure_ignores_brightness_and_contrast_and_the_copy_score_runs_from_ground_truth_to_exemplar():
    r = street_pairs(range(4), seed=0, size=(64, 64))
    x, z = r["image"], r["exemplar"]
    assert (structure(.5 * x + .2, x) > .8).all() and (structure(x, z) < .5).all()
    torch.testing.assert_close(copy_score(x, z, x), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(copy_score(z, z, x), torch.ones(4), atol=1e-5, rtol=0)
    assert copy_score(x, x, x).tolist() == [.5] * 4                      # nothing to tell apart
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)) * .3
    assert ((copy_score(noise, z, x) - .5).abs() < .1).all()


def test_levels_add_up_to_the_image_and_flat_images_have_no_detail():
    x = torch.rand(2, 3, 64, 48, generator=torch.Generator().manual_seed(0))
    levels = laplacian_levels(x)
    assert [tuple(l.shape[-2:]) for l in levels] == [(64, 48), (32, 24)]
    up = F.interpolate(levels[1], size=(64, 48), mode="bilinear", align_corners=False)
    torch.testing.assert_close(levels[0] + up, x)
    assert laplacian_levels(torch.ones(1, 3, 64, 64))[0].abs().max() < 1e-6


def test_a_patch_holds_the_pixels_of_its_place():
    x = torch.arange(2 * 1 * 8 * 8.).view(2, 1, 8, 8)
    p = random_patches(x, 3, 5, torch.Generator().manual_seed(0)).view(2, 5, 3, 3)
    assert torch.equal(p[..., 1:] - p[..., :-1], torch.ones(2, 5, 3, 2))       # one column on: one more
    assert torch.equal(p[..., 1:, :] - p[..., :-1, :], torch.full((2, 5, 2, 3), 8.))
    assert (p[0] < 64).all() and (p[1] >= 64).all()


def test_sliced_wasserstein_is_zero_on_equal_sets_and_known_for_a_constant():
    x = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert sliced_wasserstein(x, x) == 0
    g = torch.Generator().manual_seed(0)
    # brings the generator to the directions of level 2
    random_patches(laplacian_levels(x)[1], 7, 64, g)
    d = F.normalize(torch.randn(147, 128, generator=g), dim=0).sum(0).abs().mean()
    torch.testing.assert_close(sliced_wasserstein(x + .3, x), .3 * d / 2)       # one level of two sees a constant
    # the order of a set hardly matters
    assert sliced_wasserstein(x, x.flip(0)) < .25 * sliced_wasserstein(x, 2 * x)


def test_the_frechet_distance_in_cases_known_by_hand():
    g = torch.Generator().manual_seed(0)
    def exact(mean, deviation, n=64):
        "n numbers with exactly this mean and standard deviation"
        x = torch.randn(n, 1, generator=g).double()
        return (x - x.mean()) / x.std() * deviation + mean

    a, b = exact(1, 2), exact(4, 3)
    assert abs(frechet_distance(a, b) - (3 ** 2 + 1 ** 2)) < 1e-9            # (m_a - m_b)² + (s_a - s_b)²
    x = torch.randn(50, 4, generator=g).double()
    turn = torch.linalg.qr(torch.randn(4, 4, generator=g).double())[0]
    y = 2 * torch.randn(60, 4, generator=g).double() + 1
    assert abs(frechet_distance(x, y) - frechet_distance(y, x)) < 1e-9
    assert abs(frechet_distance(x, y) - frechet_distance(x @ turn, y @ turn)) < 1e-9
    assert frechet_distance(x, x) < 1e-9
    few, many = torch.randn(6, 40, generator=g).double(), torch.randn(9, 40, generator=g).double() + .5
    sa, sb = few.T.cov(), many.T.cov()                                       # 40 features of 6 and 9 images
    e, v = torch.linalg.eigh(sa)
    root = v * e.clamp(min=0).sqrt() @ v.T
    by_roots = torch.linalg.eigvalsh(root @ sb @ root).clamp(min=0).sqrt().sum()
    by_roots = (few.mean(0) - many.mean(0)).square().sum() + sa.trace() + sb.trace() - 2 * by_roots
    assert abs(frechet_distance(few, many) / by_roots - 1) < 1e-5


def test_feature_scores_are_one_on_equal_images_and_fall_for_others():
    r = street_pairs(range(4), seed=0, size=(64, 64))
    network = VGG19(width=8, seed=0)
    x = r["image"]
    torch.testing.assert_close(semantic_consistency(x, x, network), torch.ones(4))
    # places do not matter
    torch.testing.assert_close(style_relevance(x, x.flip(-1), network), torch.ones(4), atol=1e-2, rtol=0)
    other = x.roll(1, 0)
    assert style_relevance(other, x, network).mean() < style_relevance(r["exemplar"], x, network).mean()
    assert pooled_features(network, x, "relu2_2", batch=3).shape == (4, 16)
