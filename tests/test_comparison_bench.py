# Generated from nbs/8_comparison/83_bench.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
from fastcore.test import test_fail
from rabit.comparison.bench import copy_rate
from rabit.comparison.bench import largest_batch
from rabit.comparison.bench import largest_size
from rabit.comparison.bench import matrix_rate
from rabit.comparison.bench import measure_in_subprocess
from rabit.comparison.bench import operations
from rabit.comparison.bench import profile_step
from rabit.comparison.bench import step_parts
from rabit.training.config import preset


def test_the_rates_are_rates():
    cpu = torch.device("cpu")
    assert 1e8 < matrix_rate(cpu, 256) < 1e16 and 1e7 < copy_rate(cpu, 8) < 1e14


def test_the_pieces_are_smaller_than_the_whole():
    found = profile_step(preset("tiny", size=(32, 32), steps=100), torch.device("cpu"), 1)
    assert list(found) == ["render", "encoder", "match", "generator", "VGG19", "discriminator", "step"]
    assert all(v > 0 for v in found.values())
    assert found["step"] > found["encoder"] and found["step"] > found["match"]


def test_operations_of_a_convolution_by_hand():
    conv = torch.nn.Conv2d(3, 5, 3, padding=1)
    assert operations(conv, torch.zeros(2, 3, 4, 6)) == 2 * (2 * 5 * 4 * 6) * (3 * 3 * 3)
    mlp = torch.nn.Sequential(torch.nn.Linear(4, 7), torch.nn.ReLU())
    assert operations(mlp, torch.zeros(3, 4)) == 2 * 3 * 7 * 4


def test_a_short_measurement_counts_everything():
    config = preset("tiny", size=(32, 32), steps=100)
    found = measure_in_subprocess("bench_training", config, torch.device("cpu"), 2)
    assert found["steps_per_second"] > 0 and 0 <= found["waiting"] < 1
    assert abs(found["images_per_second"] / found["steps_per_second"] - 2) < 1e-6
    test_fail(lambda: measure_in_subprocess("bench_nothing", config, torch.device("cpu")),
              contains="bench_nothing ended without a result")


def test_the_parts_of_a_step_are_all_there():
    parts = step_parts(preset("tiny", size=(32, 32)), torch.device("cpu"), 1)
    assert list(parts) == ["data", "encoder", "matcher", "decoder", "losses", "backward", "optimiser"]
    assert all(seconds > 0 for seconds in parts.values())


def test_the_largest_batch_is_found_without_trying_what_cannot_fit():
    tried, tiny, cpu = [], preset("tiny"), torch.device("cpu")
    def made_up(config, device):
        tried.append(config.batch)
        return 100 + 50. * config.batch
    wanted = 16, {1: 150., 2: 200., 4: 300., 8: 500., 16: 900.}
    assert largest_batch(tiny, cpu, memory_limit=1000, try_one=made_up) == wanted and tried == [1, 2, 4, 8, 16]
    assert largest_batch(tiny, cpu, limit=4, memory_limit=1000, try_one=made_up)[0] == 4
    assert largest_batch(tiny, cpu, memory_limit=10, try_one=made_up)[0] == 0
    def fails(config, device): return None if config.batch > 2 else 7.  # a failed allocation
    assert largest_batch(tiny, cpu, memory_limit=1e9, try_one=fails)[0] == 2


def test_the_largest_size_is_found_in_the_same_way_at_batch_one():
    tried, oblong, cpu = [], preset("tiny", size=(32, 64), batch=4), torch.device("cpu")
    def made_up(config, device):
        tried.append((config.batch, *config.size))
        return 100 + config.size[0] * config.size[1] / 128
    wanted = 128, {32: 116., 64: 164., 128: 356.}
    assert largest_size(oblong, cpu, memory_limit=1000, try_one=made_up) == wanted
    assert tried == [(1, 32, 64), (1, 64, 128), (1, 128, 256)]
    assert largest_size(oblong, cpu, limit=64, memory_limit=1e9, try_one=made_up)[0] == 64
    assert largest_size(oblong, cpu, memory_limit=10, try_one=made_up) == (0, {})
    def fails(config, device): return None if config.size[0] > 32 else 7.
    assert largest_size(oblong, cpu, memory_limit=1e9, try_one=fails)[0] == 32
