# Generated from nbs/14_metrics.ipynb by .ci/export_tests.py: edit the notebook, not this file.
import math
import torch
import torch.nn.functional as F
from rabit.core import RabitError
from rabit.core import labels_of
from rabit.data import SceneSource
from rabit.encode import VGG19
from rabit.match import Match
from rabit.match import dense_match
from rabit.metrics import auc
from rabit.metrics import baseline_table
from rabit.metrics import class_present
from rabit.metrics import class_table
from rabit.metrics import evaluate
from rabit.metrics import frechet_distance
from rabit.metrics import identity_collapse
from rabit.metrics import l1
from rabit.metrics import laplacian_levels
from rabit.metrics import match_scores
from rabit.metrics import picture_scores
from rabit.metrics import pooled_features
from rabit.metrics import predict
from rabit.metrics import psnr
from rabit.metrics import random_patches
from rabit.metrics import semantic_consistency
from rabit.metrics import sliced_wasserstein
from rabit.metrics import ssim
from rabit.metrics import structure
from rabit.metrics import style_relevance
from rabit.metrics import table
from rabit.scenes import same_position
from rabit.scenes import sample_at
from rabit.scenes import street_pairs
from types import SimpleNamespace

def known_match(position, size):
    "The `Match` of one exemplar pixel per target pixel, from positions (b, 2, h, w) in an exemplar of `size`."
    b, _, h, w = position.shape
    x, y = position.round().long().unbind(1)
    index = (y.clamp(0, size[0] - 1) * size[1] + x.clamp(0, size[1] - 1)).view(b, h * w, 1)
    return Match(torch.ones(b, h * w, 1, 1), index, (h, w), size, (1, 1), torch.zeros(b, 1, h, w))

def copycat(condition, exemplar, exemplar_condition):
    "A collapsed translator: whatever the condition, it returns the exemplar."
    where = same_position(dict(labels=labels_of(condition), exemplar_labels=labels_of(exemplar_condition)))
    match = known_match(where, exemplar.shape[-2:])
    return SimpleNamespace(picture=exemplar, warped=match.warp(exemplar), confidence=match.confidence(), match=match)


def test_l1_and_psnr_by_hand():
    x = torch.zeros(2, 3, 16, 16)
    torch.testing.assert_close(l1(x + .2, x), torch.tensor([.2, .2]))
    torch.testing.assert_close(psnr(x + .2, x), torch.tensor([20., 20.]))     # 10 log10(4 / .04)
    mask = torch.zeros(2, 16, 16, dtype=torch.bool)
    mask[0, 3, 4] = True
    y = x.clone()
    y[0, :, 3, 4] = 1
    assert l1(y, x, mask)[0] == 1 and l1(y, x, mask)[1].isnan()


def test_pictures_of_two_sizes_are_not_compared():
    try: l1(torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 20))
    except RabitError as e: print(e)
    else: raise AssertionError("accepted")


def test_ssim_by_hand():
    x = torch.rand(2, 3, 20, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1
    torch.testing.assert_close(ssim(x, x), torch.ones(2))
    a, b = torch.full((1, 3, 16, 16), .5), torch.full((1, 3, 16, 16), .3)     # flat: only the means count
    torch.testing.assert_close(ssim(a, b), torch.tensor([(2 * .15 + .0004) / (.25 + .09 + .0004)]), atol=1e-4, rtol=0)
    assert (ssim(x.flip(-1), x) < .3).all()


def test_structure_ignores_brightness_and_contrast_collapse_runs_from_truth_to_exemplar():
    r = street_pairs(range(4), seed=0, size=(64, 64))
    x, z = r["picture"], r["exemplar"]
    assert (structure(.5 * x + .2, x) > .8).all() and (structure(x, z) < .5).all()
    torch.testing.assert_close(identity_collapse(x, z, x), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(identity_collapse(z, z, x), torch.ones(4), atol=1e-5, rtol=0)
    assert identity_collapse(x, x, x).tolist() == [.5] * 4                      # nothing to tell apart
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)) * .3
    assert ((identity_collapse(noise, z, x) - .5).abs() < .1).all()


def test_levels_add_up_to_the_picture_and_flat_pictures_have_no_detail():
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
    random_patches(laplacian_levels(x)[1], 7, 64, g)                            # brings the generator to the directions of level 2
    d = F.normalize(torch.randn(147, 128, generator=g), dim=0).sum(0).abs().mean()
    torch.testing.assert_close(sliced_wasserstein(x + .3, x), .3 * d / 2)       # one level of two sees a constant
    assert sliced_wasserstein(x, x.flip(0)) < .25 * sliced_wasserstein(x, 2 * x)   # the order of a set hardly matters


def test_the_frechet_distance_in_cases_known_by_hand():
    g = torch.Generator().manual_seed(0)
    def exact(mean, deviation, n=64):
        "n numbers with exactly this mean and standard deviation."
        x = torch.randn(n, 1, generator=g).double()
        return (x - x.mean()) / x.std() * deviation + mean

    a, b = exact(1, 2), exact(4, 3)
    assert abs(frechet_distance(a, b) - (3 ** 2 + 1 ** 2)) < 1e-9            # (m_a - m_b)² + (s_a - s_b)²
    x, turn = torch.randn(50, 4, generator=g).double(), torch.linalg.qr(torch.randn(4, 4, generator=g).double())[0]
    y = 2 * torch.randn(60, 4, generator=g).double() + 1
    assert abs(frechet_distance(x, y) - frechet_distance(y, x)) < 1e-9
    assert abs(frechet_distance(x, y) - frechet_distance(x @ turn, y @ turn)) < 1e-9
    assert frechet_distance(x, x) < 1e-9


def test_feature_scores_are_one_on_equal_pictures_and_fall_for_others():
    r = street_pairs(range(4), seed=0, size=(64, 64))
    network = VGG19(width=8, seed=0)
    x = r["picture"]
    torch.testing.assert_close(semantic_consistency(x, x, network), torch.ones(4))
    torch.testing.assert_close(style_relevance(x, x.flip(-1), network), torch.ones(4), atol=1e-2, rtol=0)   # places do not matter
    other = x.roll(1, 0)
    assert style_relevance(other, x, network).mean() < style_relevance(r["exemplar"], x, network).mean()
    assert pooled_features(network, x, "relu2_2", batch=3).shape == (4, 16)


def test_auc_counts_pairs_in_the_right_order():
    positive = torch.tensor([False, False, True, True])
    assert auc(torch.tensor([.1, .4, .35, .8]), positive) == .75             # three pairs of four
    assert auc(torch.ones(4), positive) == .5 and auc(-positive.float(), positive) == 0
    assert math.isnan(auc(torch.ones(4), positive | True))
    r = dict(labels=torch.tensor([[[0, 1], [2, 2]]]), exemplar_labels=torch.tensor([[[0, 2, 2]]]))
    assert class_present(r).tolist() == [[[True, False], [True, True]]]


def test_the_truth_scores_best_and_scores_of_unknown_truth_are_missing():
    r = street_pairs(range(4), seed=0, size=(64, 64)) | dict(paired=torch.ones(4, dtype=torch.bool))
    s = match_scores(r["position"], sample_at(r["exemplar"], r["position"]), r)
    assert s["epe"] == 0 and s["pck"] == 1 and abs(s["warp_l1"] - s["warp_l1_hard"]) < 1e-5
    nowhere = dict(visible=torch.zeros(4, 64, 64, dtype=torch.bool), paired=torch.zeros(4, dtype=torch.bool))
    photo = {k: v for k, v in r.items() if "parts" not in k} | nowhere
    blind = match_scores(r["position"], r["exemplar"], photo) | picture_scores(r["picture"], photo)
    assert math.isnan(blind["epe"]) and math.isnan(blind["l1"]) and "pck_things" not in blind
    assert blind["swd"] == 0 and blind["collapse"] < 1e-5


def test_photographs_without_a_known_answer_have_no_row_of_truth():
    class Photos:
        "A source that does not know the right answers."
        def batch(self, indices, device):
            r, unpaired = street_pairs(indices, seed=0, size=(32, 32)), torch.zeros(len(indices), dtype=torch.bool)
            return {k: v for k, v in r.items() if "parts" not in k} | dict(paired=unpaired)

    found = baseline_table(Photos(), count=3, batch=2, progress=False, names=("same position", "truth"))
    assert list(found) == ["same position"] and math.isnan(found["same position"]["l1"]) and found["same position"]["epe"] > 1


def test_tables_are_markdown_with_a_dash_for_what_does_not_apply():
    found = dict(a=dict(x=1.5, y=math.nan, per_class=dict(car=dict(pck=.25))), b=dict(x=12.34))
    assert table(found).splitlines() == ["|  | x | y |", "| --- | --- | --- |", "| a | 1.500 | – |", "| b | 12.3 | – |"]
    assert class_table(found).splitlines()[2:] == ["| a | 0.250 |"]


def test_answers_on_a_coarse_and_padded_grid_come_at_picture_size():
    def coarse(condition, exemplar, exemplar_condition):
        "Identity matches between 3×4 tokens of 8×8 pixels, for pictures of 20×28."
        eye = torch.eye(12).view(1, 3, 4, 12).permute(0, 3, 1, 2)
        match = dense_match(eye, eye, temperature=.01)
        return SimpleNamespace(picture=exemplar, warped=exemplar, confidence=match.confidence(), match=match)

    r = street_pairs([0], seed=0, size=(20, 28))
    out = predict(coarse, r, 7)
    assert {k: tuple(v.shape[-2:]) for k, v in out.items()} == dict.fromkeys(("picture", "warped", "position", "confidence"), (20, 28))
    torch.testing.assert_close(out["position"], same_position(r))
    def moved(condition, exemplar, exemplar_condition):
        "Each of the 3×4 tokens finds the one to its right, of 8×8 pixels."
        eye = torch.eye(12).view(1, 12, 3, 4)
        match = dense_match(eye, eye.roll(1, 3), temperature=.01)
        return SimpleNamespace(picture=exemplar, warped=exemplar, confidence=match.confidence(), match=match)

    shift = predict(moved, r, 7)["position"] - same_position(r)
    assert (shift[:, 0, :, :24] == 8).all() and (shift[:, 1] == 0).all()


def test_a_copycat_scores_exactly_as_the_same_position_and_is_found_out():
    scenes = SceneSource(size=(32, 32))
    found = evaluate(copycat, scenes, count=6, batch=4, progress=False)
    same = found["same position"]
    for k in ("epe", "pck", "right_instance", "warp_l1", "l1", "ssim", "swd"): assert abs(found["model"][k] - same[k]) < 1e-5, k
    assert found["model"]["collapse"] > .99 and found["model"]["confidence_auc"] == .5


def test_a_translator_that_knows_the_answer_scores_as_the_truth():
    class Knows:
        "Cheats: asks the source for the records that evaluate will show, in the same order."
        def __init__(self, source, start): self.source, self.at = source, start
        def __call__(self, condition, exemplar, exemplar_condition):
            r = self.source.batch(range(self.at, self.at + len(condition)))
            self.at += len(condition)
            match = known_match(r["position"], exemplar.shape[-2:])
            there = class_present(r)[:, None].float()
            return SimpleNamespace(picture=r["picture"], warped=match.warp(exemplar), confidence=there, match=match)

    for name in ("street", "face", "figure"):
        scenes = SceneSource(name, size=(32, 32))
        found = evaluate(Knows(scenes, 70), scenes, count=6, batch=4, start=70, progress=False, baselines=False, name="oracle")["oracle"]
        assert found["l1"] == 0 and found["ssim"] > .999 and found["collapse"] < 1e-4 and found["pck"] == 1 and found["epe"] < .75
        assert found["confidence_auc"] == 1 or math.isnan(found["confidence_auc"])
        assert list(found["per_class"]) == list(scenes.names)
