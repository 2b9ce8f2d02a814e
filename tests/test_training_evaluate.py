# Generated from nbs/5_training/51_evaluate.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import math
import torch
from rabit.core.tensors import RabitError
from rabit.core.tensors import labels_of
from rabit.core.tensors import sample_at
from rabit.inputs.samples import SceneDataset
from rabit.matching.errors import same_position
from rabit.matching.match import Match
from rabit.matching.match import dense_match
from rabit.matching.street import street_pairs
from rabit.training.evaluate import auc
from rabit.training.evaluate import baseline_table
from rabit.training.evaluate import class_present
from rabit.training.evaluate import class_table
from rabit.training.evaluate import evaluate
from rabit.training.evaluate import image_scores
from rabit.training.evaluate import match_scores
from rabit.training.evaluate import predict
from rabit.training.evaluate import table
from types import SimpleNamespace

def known_match(position, size):
    "The `Match` of one exemplar pixel per target pixel, from positions (b, 2, h, w) in an exemplar of `size`"
    b, _, h, w = position.shape
    x, y = position.round().long().unbind(1)
    index = (y.clamp(0, size[0] - 1) * size[1] + x.clamp(0, size[1] - 1)).view(b, h * w, 1)
    return Match(torch.ones(b, h * w, 1, 1), index, (h, w), size, (1, 1), torch.zeros(b, 1, h, w))

def copycat(condition, exemplar, exemplar_condition):
    "A collapsed translator: whatever the condition, it returns the exemplar"
    where = same_position(dict(labels=labels_of(condition), exemplar_labels=labels_of(exemplar_condition)))
    match = known_match(where, exemplar.shape[-2:])
    return SimpleNamespace(image=exemplar, warped=match.warp(exemplar), confidence=match.confidence(),
                           match=match)


def test_auc_counts_pairs_in_the_right_order():
    positive = torch.tensor([False, False, True, True])
    assert auc(torch.tensor([.1, .4, .35, .8]), positive) == .75             # three pairs of four
    assert auc(torch.ones(4), positive) == .5 and auc(-positive.float(), positive) == 0
    assert math.isnan(auc(torch.ones(4), positive | True))
    batch = dict(labels=torch.tensor([[[0, 1], [2, 2]]]), exemplar_labels=torch.tensor([[[0, 2, 2]]]))
    assert class_present(batch).tolist() == [[[True, False], [True, True]]]


def test_the_ground_truth_scores_best_and_scores_of_unknown_ground_truth_are_missing():
    batch = street_pairs(range(4), seed=0, size=(64, 64)) | dict(paired=torch.ones(4, dtype=torch.bool))
    s = match_scores(batch["position"], sample_at(batch["exemplar"], batch["position"]), batch)
    assert list(s) == ["epe", "pck", "pck_things", "instance_accuracy", "per_class", "warp_l1", "warp_l1_hard"]
    assert s["epe"] == 0 and s["pck"] == 1 and abs(s["warp_l1"] - s["warp_l1_hard"]) < 1e-5
    nowhere = dict(visible=torch.zeros(4, 64, 64, dtype=torch.bool), paired=torch.zeros(4, dtype=torch.bool))
    photo = {k: v for k, v in batch.items() if "parts" not in k} | nowhere
    blind = match_scores(batch["position"], batch["exemplar"], photo) | image_scores(batch["image"], photo)
    assert math.isnan(blind["epe"]) and math.isnan(blind["l1"]) and "pck_things" not in blind
    assert blind["swd"] == 0 and blind["copy_score"] < 1e-5


def test_photographs_without_a_known_answer_have_no_row_of_ground_truth():
    class Photos:
        "A dataset that does not know the right answers"
        def batch(self, indices, device):
            batch = street_pairs(indices, seed=0, size=(32, 32))
            unpaired = torch.zeros(len(indices), dtype=torch.bool)
            return {k: v for k, v in batch.items() if "parts" not in k} | dict(paired=unpaired)

    def sees_sky(images): return torch.zeros(len(images), 32, 32, dtype=torch.int64)
    found = baseline_table(Photos(), count=3, batch=2, progress=False, names=("same position", "ground truth"),
                           parser=sees_sky)
    same, real = found.values()
    assert list(found) == ["same position", "real image"] and math.isnan(same["l1"])
    assert same["epe"] > 1 and real["swd"] == 0 and "epe" not in real
    sky = (street_pairs(range(1_000_000, 1_000_003), seed=0, size=(32, 32))["labels"] == 0).double().mean()
    assert same["agreement"] == real["agreement"] == sky


def test_tables_are_markdown_with_a_dash_for_what_does_not_apply():
    found = dict(a=dict(x=1.5, y=math.nan, per_class=dict(car=dict(pck=.25))), b=dict(x=12.34))
    assert table(found).splitlines() == ["|  | x | y |", "| --- | --- | --- |", "| a | 1.500 | – |",
                                         "| b | 12.3 | – |"]
    assert class_table(found).splitlines()[2:] == ["| a | 0.250 |"]


def test_answers_on_a_coarse_and_padded_grid_come_at_image_size():
    def coarse(condition, exemplar, exemplar_condition):
        "Identity matches between 3×4 tokens of 8×8 pixels, for images of 20×28"
        eye = torch.eye(12).view(1, 3, 4, 12).permute(0, 3, 1, 2)
        match = dense_match(eye, eye, temperature=.01)
        return SimpleNamespace(image=exemplar, warped=exemplar, confidence=match.confidence(), match=match)

    batch = street_pairs([0], seed=0, size=(20, 28))
    found = predict(coarse, batch, 7)
    assert set(found) == {"image", "warped", "position", "confidence"}
    assert all(tuple(v.shape[-2:]) == (20, 28) for v in found.values())
    torch.testing.assert_close(found["position"], same_position(batch))
    def moved(condition, exemplar, exemplar_condition):
        "Each of the 3×4 tokens finds the one to its right, of 8×8 pixels"
        eye = torch.eye(12).view(1, 12, 3, 4)
        match = dense_match(eye, eye.roll(1, 3), temperature=.01)
        return SimpleNamespace(image=exemplar, warped=exemplar, confidence=match.confidence(), match=match)

    shift = predict(moved, batch, 7)["position"] - same_position(batch)
    assert (shift[:, 0, :, :24] == 8).all() and (shift[:, 1] == 0).all()


def test_a_copycat_scores_exactly_as_the_same_position_and_is_found_out():
    scenes = SceneDataset(size=(32, 32))
    found = evaluate(copycat, scenes, count=6, batch=4, progress=False)
    same = found["same position"]
    for k in ("epe", "pck", "instance_accuracy", "warp_l1", "l1", "ssim", "swd"):
        assert abs(found["model"][k] - same[k]) < 1e-5, k
    assert found["model"]["copy_score"] > .99 and found["model"]["confidence_auc"] == .5
    try: evaluate(copycat, scenes, count=1, device="cuda:99", progress=False); said = ""
    except RabitError as e: said = str(e)
    assert "'cpu' always can" in said


def test_a_translator_that_knows_the_answer_scores_as_the_ground_truth():
    class Knows:
        "Cheats: asks the dataset for the samples that evaluate will show, in the same order"
        def __init__(self, dataset, start): self.dataset, self.at = dataset, start
        def __call__(self, condition, exemplar, exemplar_condition):
            batch = self.dataset.batch(range(self.at, self.at + len(condition)))
            self.at += len(condition)
            match = known_match(batch["position"], exemplar.shape[-2:])
            there = class_present(batch)[:, None].float()
            return SimpleNamespace(image=batch["image"], warped=match.warp(exemplar), confidence=there,
                                   match=match)

    for name in ("street", "face", "figure"):
        scenes = SceneDataset(name, size=(32, 32))
        found = evaluate(Knows(scenes, 70), scenes, count=6, batch=4, start=70, progress=False, baselines=False,
                         name="oracle")["oracle"]
        assert found["l1"] == 0 and found["ssim"] > .999 and found["copy_score"] < 1e-4
        assert found["pck"] == 1 and found["epe"] < .75
        assert found["confidence_auc"] == 1 or math.isnan(found["confidence_auc"])
        assert list(found["per_class"]) == list(scenes.names)
