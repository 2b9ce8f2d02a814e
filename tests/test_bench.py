# Generated from nbs/31_bench.ipynb by .ci/export_tests.py: edit the notebook, not this file.
import torch
from rabit.bench import alone
from rabit.bench import copy_rate
from rabit.bench import largest_batch
from rabit.bench import largest_size
from rabit.bench import matrix_rate
from rabit.bench import operations
from rabit.bench import pieces_of_a_step
from rabit.core import RabitError
from rabit.train import preset


def test_the_rates_are_rates():
    cpu = torch.device("cpu")
    assert 1e8 < matrix_rate(cpu, 256) < 1e16 and 1e7 < copy_rate(cpu, 8) < 1e14


def test_the_pieces_are_smaller_than_the_whole():
    found = pieces_of_a_step(preset("tiny", size=(32, 32), steps=100), torch.device("cpu"), 1)
    assert list(found) == ["render", "encoder", "match", "painter", "VGG19", "judge", "step"] and all(v > 0 for v in found.values())
    assert found["step"] > found["encoder"] and found["step"] > found["match"]


def test_operations_of_a_convolution_by_hand():
    assert operations(torch.nn.Conv2d(3, 5, 3, padding=1), torch.zeros(2, 3, 4, 6)) == 2 * (2 * 5 * 4 * 6) * (3 * 3 * 3)
    assert operations(torch.nn.Sequential(torch.nn.Linear(4, 7), torch.nn.ReLU()), torch.zeros(3, 4)) == 2 * 3 * 7 * 4


def test_a_short_measurement_counts_everything():
    found = alone("bench_training", preset("tiny", size=(32, 32), steps=100), torch.device("cpu"), 2)
    assert found["steps_per_second"] > 0 and abs(found["pictures_per_second"] / found["steps_per_second"] - 2) < 1e-6 and 0 <= found["waiting"] < 1
    try: alone("bench_nothing", preset("tiny"), torch.device("cpu")); said = ""
    except RabitError as e: said = str(e)
    assert "bench_nothing ended without a result" in said


def test_the_largest_batch_is_found_without_trying_what_cannot_fit():
    tried = []
    def made_up(config, device): tried.append(config.batch); return 100 + 50. * config.batch
    assert largest_batch(preset("tiny"), torch.device("cpu"), room=1000, try_one=made_up) == (16, {1: 150., 2: 200., 4: 300., 8: 500., 16: 900.}) and tried == [1, 2, 4, 8, 16]
    assert largest_batch(preset("tiny"), torch.device("cpu"), limit=4, room=1000, try_one=made_up)[0] == 4
    assert largest_batch(preset("tiny"), torch.device("cpu"), room=10, try_one=made_up)[0] == 0
    assert largest_batch(preset("tiny"), torch.device("cpu"), room=1e9, try_one=lambda c, d: None if c.batch > 2 else 7.)[0] == 2    # a failed allocation


def test_the_largest_size_is_found_in_the_same_way_at_batch_one():
    tried, oblong = [], preset("tiny", size=(32, 64), batch=4)
    def made_up(config, device): tried.append((config.batch, *config.size)); return 100 + config.size[0] * config.size[1] / 128
    assert largest_size(oblong, torch.device("cpu"), room=1000, try_one=made_up) == (128, {32: 116., 64: 164., 128: 356.}) and tried == [(1, 32, 64), (1, 64, 128), (1, 128, 256)]
    assert largest_size(oblong, torch.device("cpu"), limit=64, room=1e9, try_one=made_up)[0] == 64 and largest_size(oblong, torch.device("cpu"), room=10, try_one=made_up) == (0, {})
    assert largest_size(oblong, torch.device("cpu"), room=1e9, try_one=lambda c, d: None if c.size[0] > 32 else 7.)[0] == 32
