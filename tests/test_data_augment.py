# Generated from nbs/4_data/41_augment.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import numpy as np
import torch
from rabit.core.tensors import pixel_grid
from rabit.core.tensors import sample_at
from rabit.data.augment import View
from rabit.data.augment import _pixels
from rabit.data.augment import color_jitter
from rabit.data.augment import move_view
from rabit.data.augment import pseudo_exemplar
from rabit.data.augment import random_affine
from rabit.data.augment import random_jitter
from rabit.data.augment import resize_batch
from rabit.data.augment import unmirrored
from rabit.data.augment import warp_inverse
from rabit.data.augment import warp_points
from rabit.inputs.samples import SceneDataset
from rabit.matching.street import street_pairs


def test_the_inverse_undoes_the_warp():
    for seed in range(5):
        m, points = random_affine(np.random.default_rng(seed), (48, 64)), _pixels((48, 64))
        torch.testing.assert_close(warp_inverse(warp_points(points, m), m), points, atol=1e-6, rtol=0)
    m = random_affine(np.random.default_rng(0), (48, 64), strength=0)
    moved = warp_points(points, m)  # strength 0 leaves at most a mirror
    stayed, mirrored = (moved - points)[..., 0].abs().max(), (63 - moved - points)[..., 0].abs().max()
    assert min(stayed, mirrored) < 1e-6


def test_the_exemplar_shows_each_visible_target_pixel_at_its_position():
    r = street_pairs(range(4), seed=0, size=(64, 64))
    for i in range(4):
        m = random_affine(np.random.default_rng(i), (64, 64))
        e = pseudo_exemplar(r["image"][i], r["labels"][i], m)
        found = sample_at(e["exemplar"][None], e["position"][None])[0]
        def error(image): return (found - image).abs().mean(0)[e["visible"]].mean()
        right, mirrored = error(r["image"][i]), error(r["image"][i].flip(-1))
        assert right < .1 and mirrored > 2 * right
        labels = sample_at(e["exemplar_labels"][None, None].float(), e["position"][None])[0, 0].round().long()
        assert (labels == r["labels"][i])[e["visible"]].float().mean() > .9


def test_what_is_known_of_an_image_moves_along_with_it():
    dots = torch.zeros(3, 48, 64)
    marks = torch.tensor([[20., 12.], [40., 30.], [30., 20.]])
    for x, y in marks.long(): dots[:, y - 1:y + 2, x - 1:x + 2] = 1
    whole = View(dots, torch.zeros(48, 64, dtype=torch.long), torch.cat([marks, torch.ones(3, 1)], 1), marks)
    m = unmirrored(random_affine(np.random.default_rng(3), (48, 64), .5))
    for mode in ("bilinear", "bicubic"):
        moved, found = move_view(whole, m, mode)
        assert torch.equal(moved.landmarks, moved.joints[:, :2]) and found["visible"].any()
        x, y = moved.landmarks.round().long().T
        assert moved.image[0, y, x].min() > .5 and moved.image.max() <= 1
    away = move_view(whole, m | dict(shift=m["shift"] + 99))[0]
    assert np.linalg.det(m["matrix"]) > 0 and not away.joints[:, 2].any()


def test_recoloring_keeps_the_range_and_does_nothing_at_strength_0():
    x = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    rng = np.random.default_rng(0)
    torch.testing.assert_close(color_jitter(x, random_jitter(rng, strength=0)), x)
    y = color_jitter(x, random_jitter(rng))
    assert y.min() >= -1 and y.max() <= 1 and (y - x).abs().mean() > .05
    grey = color_jitter(x, dict(gain=np.ones(3), bias=np.zeros(3), gamma=np.ones(3), saturation=0.))
    torch.testing.assert_close(grey[0], grey[2])


def test_what_was_true_of_a_batch_stays_true_at_another_aspect_ratio():
    batch = street_pairs(range(4), seed=0, size=(64, 64))
    for size in ((64, 64), (48, 88), (40, 96), (128, 32), (32, 32)):
        wide = resize_batch(batch, size)
        assert all(x.shape[-2:] == torch.Size(size) for x in wide.values() if x.ndim > 1)
        assert wide.keys() == batch.keys() and all(wide[name].dtype == x.dtype for name, x in batch.items())
        fetched = sample_at(wide["exemplar"], wide["position"])
        wrong = ((fetched - wide["image"]).abs().mean(1) * wide["visible"]).sum() / wide["visible"].sum()
        lost = batch["visible"].float().mean() - wide["visible"].float().mean()
        assert wrong < .1 and lost.abs() < .05, (size, wrong)
        same = batch | dict(position=pixel_grid((64, 64)).expand(4, -1, -1, -1))
        wanted = pixel_grid(size).expand(4, -1, -1, -1)
        torch.testing.assert_close(resize_batch(same, size)["position"], wanted, atol=1e-3, rtol=0)
    marks = torch.tensor([[[9., 20.], [40., 5.]]]).expand(4, -1, -1)
    marked = batch | dict(landmarks=marks, exemplar_landmarks=marks, landmark_unit=torch.full((4,), 8.))
    wide = resize_batch(marked, (32, 128))
    assert wide["landmarks"][0].tolist() == [[18.5, 9.75], [80.5, 2.25]] and wide["landmark_unit"][0] == 8
    edges = SceneDataset("face").batch(range(2))
    assert resize_batch(edges, (24, 40), "edges")["condition"].shape == (2, 2, 24, 40)
