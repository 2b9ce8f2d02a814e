# Generated from nbs/6_tools/64_export.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import io
import math
import torch
from contextlib import redirect_stderr
from contextlib import redirect_stdout
from rabit.core.tensors import RabitError
from rabit.matching.topk import soft_topk
from rabit.networks.translate import rabit
from rabit.tools.export import OPSET
from rabit.tools.export import _difference
from rabit.tools.export import check_packages
from rabit.tools.export import export_onnx
from rabit.tools.export import precise_sigmoid
from rabit.tools.export import quietly
from rabit.tools.export import rabit_export
from rabit.tools.export import read_onnx
from tempfile import TemporaryDirectory
from torch import nn


def test_what_is_missing_is_named_together_with_the_cure():
    try: check_packages(("onnx", "no_such_runtime"))
    except RabitError as e: said = str(e)
    print(said)
    assert said == "no_such_runtime is not installed: pip install onnx onnxscript onnxruntime"


def test_soft_top_k_is_the_same_through_onnxruntime():
    import onnxruntime
    rows = torch.full((11, 64), -1.)
    rows[:, 0] = 0
    rows[:, -3:] = torch.linspace(1.6, 1.8, 11)[:, None]
    class Three(nn.Module):
        def forward(self, scores): return soft_topk(scores, 3, .1)
    with quietly():
        program = torch.onnx.export(Three().eval(), (rows,), dynamo=True, opset_version=OPSET, verbose=False,
                                    custom_translation_table=precise_sigmoid())
    file = io.BytesIO()
    program.save(file)
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    found = torch.from_numpy(session.run(None, {session.get_inputs()[0].name: rows.numpy()})[0])
    assert (found - soft_topk(rows, 3, .1)).abs().max() < 1e-5


def test_differences_are_counted_by_number_and_by_pixel():
    image, warped, confidence = torch.zeros(1, 3, 4, 5), torch.zeros(1, 3, 4, 5), torch.zeros(1, 1, 2, 2)
    moved = image.clone()
    moved[0, 0, 0, 0], moved[0, 1, 2, 3] = .02, 5e-4
    same = (warped, warped), (confidence, confidence)
    assert _difference([(image, image), *same]) == (0, 0, 0)
    found = _difference([(image, moved), *same])
    assert torch.tensor(found).allclose(torch.tensor([.02, 2 / 60, 1 / 20]))
    moved[0, 0, 0, 0] = math.nan
    found = _difference([(image, moved), *same])
    assert math.isnan(found.largest) and found.far > 0 and found.visible > 0


def test_what_cannot_be_exported_is_refused_first():
    small = rabit(classes=7, size=(32, 32), width=4, features=8, block=4)
    for given, text in (((small, "x.png"), "x.png does not end in .onnx"),
                        ((small, "x.onnx", 64), "size = 64 does not fit"),
                        ((small, "x.onnx", (30, 32)), "size 32×30 (width × height)"),
                        ((small, "x.onnx", None, (32, 33)), "exemplar_size 33×32")):
        try: export_onnx(*given)
        except RabitError as e: assert text in str(e), e
        else: raise AssertionError(text)
    try: read_onnx("nowhere.onnx")
    except RabitError as e: assert str(e) == "nowhere.onnx: no such file"
    else: raise AssertionError("a file that is not there")


def test_the_command_refuses_what_does_not_fit_in_one_line():
    def call(*argv):
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
            try: code = rabit_export([str(a) for a in argv]) or 0
            except SystemExit as stop: code = stop.code or 0
        return code, out.getvalue(), err.getvalue()
    for argv, text in (
        ((), "--onnx"),
        (("--onnx", "x.png"), "x.png does not end in .onnx"),
        (("--onnx", "x.onnx", "--checkpoint", "nowhere"), "nowhere"),
        (("--onnx", "x.onnx", "--size", "60x64"), "size 60×64 (width × height) does not fit"),
    ):
        code, out, err = call(*argv)
        assert code == 2 and not out and text in err and err.count("\n") == 1, (code, out, err)
    with TemporaryDirectory() as folder:  # nothing is announced that cannot be done
        rabit(classes=7, size=(32, 32), width=4, features=8, block=4).save_pretrained(folder)
        code, out, err = call("--onnx", "x.onnx", "--checkpoint", folder, "--size", "8x16")
        assert code == 2 and not out and "k = 3 blocks cannot be kept" in err, (code, out, err)
