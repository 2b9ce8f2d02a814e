# Generated from nbs/5_training/54b_processes.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import io
import os
import signal
import torch
from contextlib import redirect_stderr
from rabit.core.devices import rank_and_world_size
from rabit.core.tensors import RabitError
from rabit.training.processes import graceful_shutdown
from rabit.training.processes import init_distributed
from unittest.mock import patch as replaced


def test_the_first_interrupt_waits_and_the_second_does_not():
    finished, before = [], signal.getsignal(signal.SIGINT)
    try:
        with graceful_shutdown() as asked, redirect_stderr(io.StringIO()) as said:
            assert not asked.is_set()
            signal.raise_signal(signal.SIGINT)
            finished.append("a step")
            assert asked.is_set() and "once more" in said.getvalue()
            signal.raise_signal(signal.SIGTERM)
            finished.append("another")
    except KeyboardInterrupt: finished.append("interrupted")
    assert finished == ["a step", "interrupted"] and signal.getsignal(signal.SIGINT) is before


def test_one_process_joins_nobody_and_an_environment_that_torchrun_did_not_set_is_refused():
    with init_distributed("cpu") as device:
        assert device == torch.device("cpu") and rank_and_world_size() == (0, 1)
    with replaced.dict(os.environ, WORLD_SIZE="two"):
        try:
            with init_distributed("cpu"): raise AssertionError("two is no number")
        except RabitError as e: assert "WORLD_SIZE = 'two'" in str(e) and "torchrun" in str(e)
