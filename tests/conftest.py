"""What all tests share: the same seed for each, no windows, slow and gpu tests on demand, and no collecting
of helpers whose names begin with test_."""
import os, random

os.environ.setdefault("MPLBACKEND", "Agg")

import hypothesis, numpy as np, pytest, torch
from rabit.core import registry

hypothesis.settings.register_profile("rabit", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("rabit")

LONG = {f"test_{name}" for name in (
    "resume", "many_processes", "wheel", "every_model", "hostile", "style_transfer", "export_onnx",
    "command_line", "bilevel_equal", "saved_by_0_1", "training_run", "training_trainer", "comparison_compare",
    "comparison_runs", "comparison_bench", "comparison_speed", "matching_topk", "matching_kernels",
    "public_sets", "properties")}


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="also run tests from cells marked #| slow")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: from a cell marked #| slow; runs with --slow")
    config.addinivalue_line("markers", "gpu: needs a CUDA device")
    config.addinivalue_line("markers", "long: of a file that takes more than ten seconds; `make test "
                            "ARGS=--quick` leaves it out")


def pytest_collection_modifyitems(config, items):
    items.sort(key=lambda item: item.path.stem not in LONG)   # what is long first: two cores end together
    for item in items:
        if item.path.stem in LONG: item.add_marker("long")
        if "slow" in item.keywords and not config.getoption("--slow"):
            item.add_marker(pytest.mark.skip(reason="slow; run with --slow"))
        if "gpu" in item.keywords and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


def pytest_pycollect_makeitem(collector, name, obj):
    "Collect only what the module itself defines, so that fastcore's test_eq and friends are no tests."
    module = getattr(collector, "module", None)
    if callable(obj) and getattr(obj, "__module__", None) != getattr(module, "__name__", None): return []


def seed_everything():
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


def pytest_collectstart(collector): seed_everything()


@pytest.fixture(autouse=True)
def same_start():
    "Each test starts from the same seed, default dtype and registered parts, whatever ran before it."
    seed_everything()
    dtype = torch.get_default_dtype()
    parts = {kind: dict(own) for kind, own in registry._own.items()}
    yield
    torch.set_default_dtype(dtype)
    registry._own.update(parts)
