"""The generator of tests: what it writes, and what it says when a marked cell cannot stand alone."""
import importlib.util, json, subprocess, sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / ".ci/export_tests.py"
spec = importlib.util.spec_from_file_location("export_tests", SCRIPT)
exporter = importlib.util.module_from_spec(spec)
spec.loader.exec_module(exporter)

HEAD = ["#| default_exp shapes", "#| export\nimport math\nfrom pathlib import Path as P",
        "#| export\ndef double(x): return 2 * x\n_half = 0.5"]


def notebook(root, name, *cells):
    "Write a notebook; cells that start with '# ' are markdown."
    path = root / "nbs" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    kinds = [dict(cell_type="markdown" if c.startswith("# ") else "code", source=c.splitlines(True),
                  metadata={}) for c in cells]
    path.write_text(json.dumps(dict(cells=kinds, nbformat=4, nbformat_minor=5, metadata={})))


def write(root, *args): return exporter.main([*args, "--root", str(root)])


def generated(root, name="test_shapes.py"): return (root / "tests" / name).read_text()


def fails(root, capsys, *parts):
    "The run fails, names all parts, and writes nothing."
    before = sorted((root / "tests").glob("*")) if (root / "tests").exists() else []
    assert write(root) == 1
    said = capsys.readouterr().err
    for part in parts: assert part in said, said
    assert (sorted((root / "tests").glob("*")) if (root / "tests").exists() else []) == before


def test_marked_cell_becomes_function_with_just_its_imports(tmp_path):
    notebook(tmp_path, "03_shapes.ipynb", "# Shapes", *HEAD, "import sys",
             "#| test double of two\nassert double(2) == 4\nassert _half == 0.5")
    assert write(tmp_path) == 0
    assert generated(tmp_path) == (
        "# Generated from nbs/03_shapes.ipynb by .ci/export_tests.py: edit the notebook, not this file.\n"
        "# ruff: noqa: E501 (lines of cells, indented)\n"
        "from rabit.shapes import _half\nfrom rabit.shapes import double\n\n\n"
        "def test_double_of_two():\n    assert double(2) == 4\n    assert _half == 0.5\n")


def test_setup_cells_come_as_needed_and_in_order(tmp_path):
    notebook(tmp_path, "03_shapes.ipynb", *HEAD, "#| test_setup\nbase = math.pi", "#| test_setup\nunused = 1",
             "#| test_setup\nradius = double(base)", "#| test radius\nassert radius == 2 * base")
    assert write(tmp_path) == 0
    text = generated(tmp_path)
    assert (text.index("import math") < text.index("base = math.pi") < text.index("radius = double(base)")
            < text.index("def test_radius"))
    assert "unused" not in text


def test_result_runs_and_can_fail(tmp_path):
    cell = (
        '#| test strings\ntext = """one\n  two"""\nassert text == "one\\n  two" and [c for c in text if'
        ' len(text) == {}]'
    )
    for size, code in ((9, 0), (8, 1)):
        notebook(tmp_path, "tutorials/first.ipynb", cell.format(size))
        assert write(tmp_path) == 0
        run = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
                              str(tmp_path / "tests/test_first.py")], capture_output=True, text=True,
                             cwd=tmp_path)
        assert run.returncode == code, run.stdout


def test_check_sees_each_difference_and_writes_nothing(tmp_path, capsys):
    notebook(tmp_path, "03_shapes.ipynb", *HEAD, "#| test a\nassert double(1) == 2")
    assert write(tmp_path, "--check") == 1 and not (tmp_path / "tests").exists()
    assert write(tmp_path) == 0 and write(tmp_path, "--check") == 0
    target = tmp_path / "tests/test_shapes.py"
    first = target.read_bytes()
    target.write_bytes(first + b"# by hand\n")
    assert (write(tmp_path, "--check") == 1
            and "tests/test_shapes.py is not what nbs/03_shapes.ipynb says" in capsys.readouterr().err)
    assert write(tmp_path) == 0 and target.read_bytes() == first


def test_file_of_removed_notebook_is_reported_then_removed(tmp_path, capsys):
    notebook(tmp_path, "baselines/20_old.ipynb", "#| default_exp baselines.old", "#| test a\nassert 1")
    assert write(tmp_path) == 0
    (tmp_path / "tests/test_hand.py").write_text("def test_x(): pass\n")
    (tmp_path / "nbs/baselines/20_old.ipynb").unlink()
    assert write(tmp_path, "--check") == 1
    assert (
        "tests/test_baselines_old.py is stale: nbs/baselines/20_old.ipynb is gone" in capsys.readouterr().err
    )
    assert write(tmp_path) == 0
    assert [p.name for p in (tmp_path / "tests").iterdir()] == ["test_hand.py"]


def test_hand_written_file_is_never_overwritten(tmp_path, capsys):
    notebook(tmp_path, "03_shapes.ipynb", *HEAD, "#| test a\nassert double(1) == 2")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_shapes.py").write_text("mine = 1\n")
    fails(tmp_path, capsys, "tests/test_shapes.py was written by hand", "nbs/03_shapes.ipynb")
    assert generated(tmp_path) == "mine = 1\n"


def test_unknown_name_is_told_with_notebook_cell_and_name(tmp_path, capsys):
    notebook(tmp_path, "03_shapes.ipynb", "# Shapes", *HEAD, "#| test a\nassert [double(y) for y in missing]")
    fails(tmp_path, capsys, 'nbs/03_shapes.ipynb, cell 5 ("a"): uses \'missing\'',
          "nothing in this notebook exports or imports")


def test_name_of_lesson_cell_is_told_with_that_cell(tmp_path, capsys):
    notebook(tmp_path, "03_shapes.ipynb", *HEAD, "scores = [1]",
             "#| test a\ndef f(): return scores\nassert f()")
    fails(tmp_path, capsys, 'cell 5 ("a"): uses \'scores\' of cell 4, which has no mark')


@pytest.mark.parametrize("cells, said", [
    (["#| test\nassert double(1)"], "has no name"),
    (["#| test a\ndouble(1)"], "asserts nothing"),
    (["#| test a\nassert double(1)", "#| test A\nassert double(2)"],
     'cell 5 ("A"): has the same name as cell 4 ("a")'),
    (["#| test a\nassert double(1"], 'cell 4 ("a"): line 1 is not Python'),
    (["#| test_setup\nx = 1", "#| test a\nx = x + 1\nassert x"],
     "reads 'x' from outside and then binds it anew"),
    (["#| test_setup\nx = 1", "#| test_setup\nx = 2", "#| test a\nassert x"],
     "cell 5: defines 'x', which the test_setup cell 4 defines already"),
    (["#| test a\nassert x", "#| test_setup\nx = 1"], "uses 'x' before the test_setup cell 5"),
    (["from os import path as P", "#| test a\nassert P"], "uses 'P', which has two meanings"),
    (["#| export\n#| test a\nassert 1"], "is marked both test and export"),
    (["#| test a\nfrom math import *\nassert pi"], "star import"),
])
def test_what_cannot_stand_alone_is_told(tmp_path, capsys, cells, said):
    notebook(tmp_path, "03_shapes.ipynb", *HEAD, *cells)
    fails(tmp_path, capsys, "nbs/03_shapes.ipynb", said)


def test_star_imports_are_named_and_helpers_are_not_collected(tmp_path):
    notebook(tmp_path, "03_shapes.ipynb", "from fastcore.test import *", "#| test sums\ntest_eq(1 + 1, 2)")
    assert write(tmp_path) == 0
    assert "from fastcore.test import test_eq\n" in generated(tmp_path, "test_03_shapes.py")
    (tmp_path / "tests/conftest.py").write_text((SCRIPT.parent.parent / "tests/conftest.py").read_text())
    run = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
                          str(tmp_path / "tests")], capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0 and "1 passed" in run.stdout, run.stdout


def test_slow_and_gpu_cells_carry_their_marks(tmp_path):
    notebook(tmp_path, "03_shapes.ipynb", *HEAD, "#| slow\n#| test long\nassert double(1)")
    assert write(tmp_path) == 0
    assert ("import pytest\n" in generated(tmp_path)
            and "@pytest.mark.slow\ndef test_long" in generated(tmp_path))


def test_annotations_lambdas_and_comprehensions_are_not_free_names(tmp_path):
    notebook(tmp_path, "03_shapes.ipynb", *HEAD,
             "#| test a\ng = lambda q: q + 1\nx = [g(i) for i in range(3)]\n" "class C:\n    n: int = 1\n    "
             "def f(self): return self.n\nwith open(P(__name__).anchor or '/dev/null') as f: y = f\nassert "
             "C().f() == x[0]")
    assert write(tmp_path) == 0
    assert "from pathlib import Path as P\n" in generated(tmp_path)
