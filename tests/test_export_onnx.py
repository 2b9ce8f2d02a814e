"""ONNX files of every model: equal to PyTorch, free in the number of images (and in size, if asked), without
a trace of the machine that wrote them, and a command that ends in one line."""
import io, json, math, shutil
from contextlib import redirect_stderr, redirect_stdout

import pytest, torch

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

from rabit.tools import export
from rabit.core.tensors import RabitError, one_hot
from rabit.tools.export import (
    OPSET, RARE, TOLERANCE, VISIBLE, check_onnx, compare_onnx, export_onnx, rabit_export, read_onnx,
)
from rabit.networks.pretrained import build, find_builder, model_names
from rabit.networks.translate import rabit

SMALL = dict(classes=7, size=(32, 32), width=4, features=8)


def small(seed=0, **changes):
    torch.manual_seed(seed)
    return rabit(**(SMALL | dict(block=4) | changes)).eval()


def call(*argv):
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        try: code = rabit_export([str(a) for a in argv]) or 0
        except SystemExit as stop: code = stop.code or 0
    return code, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    home = tmp_path_factory.mktemp("onnx")
    small().save_pretrained(home / "weights")
    small(1).save_pretrained(home / "others")
    said = call("--onnx", home / "small.onnx", "--checkpoint", home / "weights", "--device", "cpu", "--count",
                2, "--size", "40x32", "--exemplar-size", "32x48")
    # one file for all: writing one takes a quarter of a minute
    (home / "said.json").write_text(json.dumps(said))
    return home


@pytest.mark.parametrize("count", [1, 2, 5])
def test_any_number_of_images(made, count):
    session, model = read_onnx(made / "small.onnx")[0], small()
    labels = torch.randint(7, (count, 4, 5)).repeat_interleave(8, 1).repeat_interleave(8, 2)
    condition, exemplar = one_hot(labels, 7), torch.rand(count, 3, 48, 32) * 2 - 1
    with torch.no_grad(): ours = model(condition, exemplar)
    theirs = session.run(None, dict(condition=condition.numpy(), exemplar=exemplar.numpy()))
    for a, b in zip((ours.image, ours.warped, ours.confidence), theirs):
        assert tuple(a.shape) == b.shape and (a - torch.from_numpy(b)).abs().max() < 1e-4


def test_notes_tell_what_to_feed(made):
    session, notes = read_onnx(made / "small.onnx")
    expected = dict(classes=7, size=[32, 40], exemplar_size=[48, 32], opset=OPSET, any_size=False)
    assert {name: json.loads(notes[name]) for name in expected} == expected
    assert (notes["builder"] == "rabit" and notes["condition"] == "labels"
            and notes["rabit"] and notes["torch"])
    assert [x.name for x in session.get_outputs()] == ["image", "warped", "confidence"]


def test_file_tells_nothing_of_this_machine(made):
    data = (made / "small.onnx").read_bytes()
    assert b".py" not in data and b"site-packages" not in data and b"/rabit/" not in data


@pytest.mark.slow
@pytest.mark.parametrize("topk", ["soft", "straight", "hard"])
@pytest.mark.parametrize("position", ["semantic", "none"])
def test_settings_of_the_matcher(tmp_path, topk, position):
    if (topk, position) in (("straight", "semantic"), ("hard", "semantic")):
        pytest.skip("covered by the others")
    model = small(topk=topk, position=position, eps=.1)
    assert check_onnx(export_onnx(model, tmp_path / "x.onnx"), model, 4) < 1e-4


@pytest.mark.slow
def test_edges_as_condition(tmp_path):
    model = build(dict(builder="rabit", **SMALL | dict(classes=2), block=4,
                       condition="edges", position="coord")).eval()
    assert check_onnx(export_onnx(model, tmp_path / "x.onnx"), model, 2) < 1e-4


@pytest.mark.slow
def test_classes_of_no_world_are_checked_on_made_up_maps(tmp_path):
    model = small(classes=11)
    assert check_onnx(export_onnx(model, tmp_path / "x.onnx"), model, 2) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(model_names()))
def test_every_model_is_written_right_or_refused_in_a_sentence(tmp_path, name):
    torch.manual_seed(0)
    model = find_builder(name)(**SMALL).eval()
    try: path = export_onnx(model, tmp_path / "x.onnx")
    except RabitError as e:
        assert name != "rabit" and "cannot be written as ONNX" in str(e) and not list(tmp_path.iterdir())
        pytest.skip(str(e))
    # how far it looks depends on values, which a file cannot: the command's check refuses it
    found = compare_onnx(path, model, 4)
    if name == "dynast": assert found.far > RARE or found.visible > VISIBLE
    else: assert found.largest < TOLERANCE


@pytest.mark.slow
def test_any_size_is_any_size(tmp_path):
    model = small()
    path = export_onnx(model, tmp_path / "any.onnx", any_size=True)
    for size, exemplar_size in (((32, 32), (32, 32)), ((40, 64), (56, 32)), ((72, 32), (64, 104))):
        assert check_onnx(path, model, 3, size, exemplar_size) < 1e-4


@pytest.mark.slow
def test_shipped_weights_on_two_hundred_scenes(tmp_path):
    from rabit.networks.translate import Translator
    model = Translator.from_pretrained("street-64")
    path = export_onnx(model, tmp_path / "x.onnx")
    # among them the one that was NaN; where two blocks or labels tie, rounding decides
    found = compare_onnx(path, model, 200, seed=5)
    assert found.largest < 1 / 255 and found.far < RARE / 100 and found.visible == 0
    worst = sorted(check_onnx(path, model, 4, seed=seed) for seed in range(6, 26))
    assert worst[-2] < TOLERANCE and worst[-1] < 1 / 255


def test_file_of_another_model_is_told_apart(made):
    with pytest.raises(RabitError, match="7 classes, the translator is .* with 5"):
        check_onnx(made / "small.onnx", small(classes=5), 2)
    assert not check_onnx(made / "small.onnx", small(1), 2) <= 1e-4


def test_files_of_version_0_1_are_read(made, tmp_path):
    "They name their first output `picture`, and their model by a dotted name"
    import onnx
    old = onnx.load(made / "small.onnx")
    for node in old.graph.node:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                if name == "image": names[i] = "picture"
    old.graph.output[0].name = "picture"
    for note in old.metadata_props:
        if note.key == "rabit.builder": note.value = "rabit.model.rabit"
    onnx.save(old, tmp_path / "old.onnx")
    session, notes = read_onnx(tmp_path / "old.onnx")
    assert session.get_outputs()[0].name == "picture" and notes["builder"] == "rabit.model.rabit"
    assert check_onnx(tmp_path / "old.onnx", small(), 2) < 1e-4


def test_broken_and_foreign_files_are_refused(made, tmp_path):
    (tmp_path / "cut.onnx").write_bytes((made / "small.onnx").read_bytes()[:1000])
    with pytest.raises(RabitError, match="cannot be run by onnxruntime"): read_onnx(tmp_path / "cut.onnx")
    import onnx
    plain = onnx.load(made / "small.onnx")
    del plain.metadata_props[:]
    onnx.save(plain, tmp_path / "plain.onnx")
    with pytest.raises(RabitError, match="none that rabit_export wrote"): read_onnx(tmp_path / "plain.onnx")


def test_command_writes_checks_and_tells(made):
    code, out, err = json.loads((made / "said.json").read_text())
    assert (code == 0 and "largest difference" in out and f"opset {OPSET}" in out
            and f"wrote {made / 'small.onnx'}" in out), err


def test_command_fails_where_the_file_differs(made, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "export_onnx",
                        lambda translator, path, *rest: shutil.copy(made / "small.onnx", path))
    code, out, err = call("--onnx", tmp_path / "x.onnx", "--checkpoint", made / "others", "--device", "cpu",
                          "--count", 2)
    assert (code == 2 and "differs from PyTorch" in err and "% of the numbers" in err
            and err.strip().splitlines()[-1].startswith("rabit_export: "))


@pytest.mark.parametrize("found, fits", [((1e-5, 0., 0.), True), ((.3, .1, .01), True),
                                         ((.3, .11, 0.), False), ((.3, .1, .011), False),
                                         ((math.nan, 0., 0.), False)])
def test_ties_pass_and_wrong_files_do_not(monkeypatch, capsys, found, fits):
    monkeypatch.setattr(export, "compare_onnx", lambda *_, **__: export.OnnxDifference(*found))
    if fits: export.compare_export("x.onnx", None, 4)
    else:
        with pytest.raises(RabitError, match="differs from PyTorch"): export.compare_export("x.onnx", None, 4)
    assert ("largest difference" in capsys.readouterr().out) == fits


def test_command_names_the_extra_that_is_missing(made, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "find_spec", lambda name: None if name == "onnxscript" else object())
    said = "rabit_export: onnxscript is not installed: pip install onnx onnxscript onnxruntime\n"
    assert call("--onnx", tmp_path / "x.onnx", "--checkpoint", made / "weights") == (2, "", said)
    assert not list(tmp_path.iterdir())
