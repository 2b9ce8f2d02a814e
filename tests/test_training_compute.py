# Generated from nbs/5_training/53a_compute.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import io
import torch
from contextlib import redirect_stderr
from rabit.core.tensors import RabitError
from rabit.networks.encode import ResBlock
from rabit.training.compute import amp_dtype
from rabit.training.compute import checkpoint_activations
from rabit.training.compute import cpu_multiplies_bf16
from rabit.training.compute import keep_memory
from rabit.training.compute import micro_batches
from rabit.training.compute import pick_precision
from rabit.training.compute import undo_compile
from rabit.training.config import PRECISIONS
from rabit.training.config import make_model
from rabit.training.config import preset
from types import SimpleNamespace
from unittest.mock import patch


def test_auto_is_bf16_on_a_cpu_that_multiplies_in_it_and_what_is_asked_for_is_taken():
    cpu = torch.device("cpu")
    for known in (dict(_is_avx512_bf16_supported=lambda: True), dict(_is_amx_tile_supported=lambda: True),
                  dict(_is_avx512_bf16_supported=lambda: False, _is_avx512_supported=lambda: True), {}):
        with patch("torch.cpu", SimpleNamespace(**known)):
            multiplies = any("512_s" not in name and answer() for name, answer in known.items())
            assert cpu_multiplies_bf16() == multiplies
            assert amp_dtype("auto", cpu) == (torch.bfloat16 if multiplies else None)
    assert pick_precision("auto", torch.device("meta")) == "off" and amp_dtype("fp16", cpu) == torch.float16
    assert amp_dtype("bf16", cpu) == torch.bfloat16 and amp_dtype("off", cpu) is None
    ranges = {name: torch.finfo(t) for name, t in PRECISIONS.items() if t}
    print({name: f"{r.smallest_normal:.0e} … {r.max:.0e}" for name, r in ranges.items()})


def test_memory_is_kept_where_the_c_library_is_gnus_and_elsewhere_nothing_happens():
    with patch("ctypes.CDLL", side_effect=TypeError): assert not keep_memory()
    with patch("ctypes.CDLL", return_value=SimpleNamespace()): assert not keep_memory()
    told = []
    with patch("ctypes.CDLL", return_value=SimpleNamespace(mallopt=lambda *option: told.append(option) or 1)):
        assert keep_memory() and told == [(-4, 0), (-1, 2**31 - 1)]


def test_micro_batches_are_equal_parts_and_others_are_refused():
    whole = dict(labels=torch.arange(6), paired=torch.ones(6))
    assert [p["labels"].tolist() for p in micro_batches(whole, 3)] == [[0, 1], [2, 3], [4, 5]]
    assert len(micro_batches(whole, 8)) == 6                     # a process of several has a part of the batch
    try: micro_batches(whole, 4)
    except RabitError as e: assert "6 samples" in str(e) and "4 equal parts" in str(e)
    else: raise AssertionError("six were taken in four")


def test_checkpointing_keeps_less_and_computes_the_same():
    torch.manual_seed(0)
    block, x = ResBlock(8), torch.randn(1, 8, 16, 16, requires_grad=True)
    def gradient(): return torch.autograd.grad(block(x).square().sum(), x)[0]
    whole = gradient()
    checkpoint_activations(block)
    assert torch.equal(whole, gradient())


def test_without_a_compiler_the_networks_run_as_they_are_and_one_line_says_why():
    model = make_model(preset("tiny", size=(32, 32)))
    networks = [model.encoder.net, model.injector, model.decoder]
    for net in networks: net._compiled_call_impl = print
    with redirect_stderr(io.StringIO()) as said: undo_compile(networks, OSError("no g++\nand more"))
    assert said.getvalue() == "not compiled (OSError: no g++); everything runs as it is\n"
    assert all(net._compiled_call_impl is None for net in networks)
