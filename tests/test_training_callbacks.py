# Generated from nbs/5_training/55_callbacks.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import math
import sys
import torch
from PIL import Image
from pathlib import Path
from rabit.networks.model import TranslatorOutput
from rabit.training.callbacks import BAR_FORMAT
from rabit.training.callbacks import Checkpoint
from rabit.training.callbacks import Log
from rabit.training.callbacks import Progress
from rabit.training.callbacks import Samples
from rabit.training.callbacks import TensorBoard
from rabit.training.callbacks import Warnings
from rabit.training.callbacks import copy_scores
from rabit.training.callbacks import draw_run
from rabit.training.callbacks import draw_samples
from rabit.training.callbacks import entropy_saturated
from rabit.training.callbacks import log_row
from rabit.training.callbacks import newest_samples
from rabit.training.callbacks import progress_postfix
from rabit.training.callbacks import read_log
from rabit.training.callbacks import sample_errors
from rabit.training.callbacks import sample_rows
from rabit.training.callbacks import saturation_warning
from rabit.training.callbacks import write_log
from rabit.training.config import make_dataset
from rabit.training.config import small
from rabit.training.trainer import Trainer
from tempfile import TemporaryDirectory
from tqdm.auto import tqdm
from types import SimpleNamespace
from unittest.mock import patch as replaced

cpu = torch.device("cpu")

def batches(config):
    "Endless batches of a configuration's data, from the first sample on"
    dataset, step = make_dataset(config), 0
    while True:
        yield dataset.batch(range(step * config.batch, (step + 1) * config.batch))
        step += 1


def test_a_log_line_holds_means_and_counts_skipped_steps():
    with TemporaryDirectory() as folder:
        seen = [dict(warp=torch.tensor(1.)), {}, dict(warp=torch.tensor(2.), vgg=torch.tensor(4.))]
        row = log_row(0, seen, 1.23456)
        assert row == dict(step=0, seconds=1.235, skipped=1, warp=1.5, vgg=4.)
        write_log(folder, [row, row])
        with open(Path(folder) / "log.jsonl", "a") as f: f.write('{"step": 7, "war')
        assert read_log(folder) == [row, row] and read_log(Path(folder) / "nowhere") == []
        write_log(folder, [dict(step=1, judge=2., parse=3., collapse=.5)], "w")      # as version 0.1 wrote it
        assert read_log(folder) == [dict(step=1, discriminator=2., segmentation=3., copy_score=.5)]


def test_a_log_is_written_line_by_line_and_at_the_end():
    with TemporaryDirectory() as folder:
        trainer = Trainer(small(steps=5, weights=dict(adversarial=0.)), cpu, [Log(folder)])
        trainer.fit(batches(trainer.config), lambda: trainer.done == 3)
        assert [row["step"] for row in read_log(folder)] == [2, 3]
        assert all({"seconds", "skipped", "warp", "gradient"} <= row.keys() for row in read_log(folder))


def test_a_sample_sheet_has_a_row_per_sample_and_the_copy_score_of_its_images():
    with TemporaryDirectory() as folder:
        drawn, four = Trainer(small(), cpu), make_dataset(small()).batch(range(4))
        rows, titles = sample_rows(drawn.ema, four, 7)
        assert titles == ["condition", "exemplar", "warped", "confidence", "output", "target"]
        assert len(rows) == 4 and torch.equal(rows[2][5], four["image"][2])
        assert rows[0][3][1:] == (0, 1)  # a confidence is drawn on its whole scale
        found = draw_samples(drawn, four, folder)
        assert 0 < found["copy_score"] < 1 and 0 < found["copy_score_warp"] < 1
        assert (Path(folder) / "samples" / "000000.png").exists()
        class Copy(torch.nn.Module):
            def forward(self, condition, exemplar, exemplar_condition):
                return TranslatorOutput(exemplar, exemplar, None, None, None, None, None)
        assert copy_scores(Copy(), four, 7) == dict(copy_score=1., copy_score_warp=1.)
        class Knows(torch.nn.Module):
            def forward(self, condition, exemplar, exemplar_condition):
                match = SimpleNamespace(argmax=lambda size: four["position"] + 1)
                return TranslatorOutput(exemplar, exemplar, None, match, None, None, None)
        errors = sample_errors(Knows(), four, 7)
        assert abs(errors["epe"] - 2**.5) < 1e-5 and errors["pck"] == 1 and 0 < found["pck"] < 1 < found["epe"]
        assert sample_errors(Knows(), four | dict(visible=torch.zeros_like(four["visible"])), 7) == {}


def test_samples_and_saves_come_when_they_are_due_and_at_the_end():
    with TemporaryDirectory() as folder:
        config = small(steps=5, sample_every=2, save_every=3, weights=dict(adversarial=0.))
        shown = make_dataset(config).batch(range(4))
        trainer = Trainer(config, cpu, [Log(folder), Samples(shown, folder), Checkpoint(folder)])
        trainer.fit(batches(config))
        assert sorted(p.stem for p in (Path(folder) / "samples").iterdir()) == ["000002", "000004", "000005"]
        assert [row["step"] for row in read_log(folder) if "copy_score" in row] == [2, 4, 5]
        assert all((Path(folder) / f"state{which}.safetensors").exists() for which in ("", ".previous"))


def test_the_bar_fits_into_a_terminal_and_adds_up_what_was_skipped():
    row = dict(skipped=3, warp=.2134, match=11.49, gradient=123.4, entropy=1.234, discriminator=1.987,
               copy_score=.4321, epe=9.)
    postfix = progress_postfix(row)
    line = tqdm.format_meter(96, 800, 60, ncols=80, bar_format=BAR_FORMAT, postfix=postfix)
    print(line)
    assert postfix == "skip 3 warp 0.21 match 11 grad 123 ent 1.2 D 2 copy 0.43"
    assert len(line) <= 80 and line.endswith(postfix)
    assert progress_postfix(dict(step=3, warp=.5)) == "warp 0.5"
    said, bar = [], SimpleNamespace(set_postfix_str=lambda text: said.append(text))
    progress = Progress(bar)
    for row in (dict(skipped=1, warp=.5), dict(copy_score=.25), dict(skipped=2, warp=.4)):
        progress.after_log(None, row)
    assert said == ["skip 1 warp 0.5", "skip 1 warp 0.5 copy 0.25", "skip 3 warp 0.4 copy 0.25"]


def test_an_entropy_at_its_ceiling_is_noticed():
    assert entropy_saturated([2., math.log(48), math.log(48)], 48) and not entropy_saturated([math.log(48)], 48)
    assert not entropy_saturated([math.log(48), 3.], 48) and not entropy_saturated([0., 0.], 1)


def test_warnings_come_once_when_the_entropy_reaches_its_ceiling_and_with_every_copy():
    said, bar = [], SimpleNamespace(write=lambda text, file: said.append(text))
    warned, told = Warnings(bar), SimpleNamespace(rank=0, done=8, candidates=48, config=small())
    for entropy in (2., math.log(48), math.log(48), math.log(48)):
        warned.after_log(told, dict(step=8, entropy=entropy))
    assert len(said) == 1 and "step 8" in said[0] and "ln 48 = 3.87" in said[0] and "weight (1)" in said[0]
    for score in (.6, .8, .9): warned.after_log(told, dict(step=9, copy_score=.1, copy_score_warp=score))
    assert len(said) == 3 and all("step 9" in text and "--self-pair-prob" in text for text in said[1:])
    unweighted = SimpleNamespace(**vars(told) | dict(config=small(weights=dict(feature=0.))))
    assert "weight for match" in saturation_warning(unweighted)
    silent = SimpleNamespace(**vars(told) | dict(rank=1))
    warned.after_log(silent, dict(step=9, copy_score=1., copy_score_warp=1.))
    assert len(said) == 3                                             # only the first process speaks


def test_what_is_told_is_drawn():
    with TemporaryDirectory() as folder:
        for step in (1, 2):
            write_log(folder, [dict(step=step, warp=1. / step, entropy=.5),
                               dict(step=step, copy_score=.4, copy_score_warp=.3, epe=7.)])
        drawn = draw_run(folder).axes
        assert [len(ax.lines) for ax in drawn] == [1, 1, 0, 0, 2, 1]
        assert drawn[0].lines[0].get_ydata().tolist() == [1., .5] and newest_samples(folder) is None
        told, sheets = [], Path(folder) / "samples"
        sheets.mkdir()
        for name in ("000001.png", "000002.png"): Image.new("RGB", (6, 4)).save(sheets / name)
        assert newest_samples(folder) == sheets / "000002.png"
        class Board:                                                  # stands in for TensorBoard's writer
            def __init__(self, folder): told.append(folder)
            def add_scalar(self, *what): told.append(what)
            def add_image(self, name, image, step, dataformats): told.append((name, image.shape, step))
            def flush(self): pass
        with replaced.dict(sys.modules, {"torch.utils.tensorboard": SimpleNamespace(SummaryWriter=Board)}):
            board = TensorBoard(folder)
        for row in (dict(step=2, copy_score=.5), dict(step=3, warp=.1)): board.after_log(None, row)
        assert told == [str(Path(folder) / "tensorboard"), ("copy_score", .5, 2), ("samples", (4, 6, 3), 2),
                        ("warp", .1, 3)]
