"""What `import rabit` gives, how quickly, and what `python -m rabit` says."""
import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import rabit

ROOT = Path(__file__).resolve().parent.parent


def python(*args):
    "A new process, with this package and nothing that this one has loaded"
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, *args], env=env, capture_output=True, text=True, timeout=120)


def test_the_package_itself_loads_nothing_large():
    done = python("-X", "importtime", "-c",
                  "import rabit, sys; print('torch' in sys.modules, rabit.__version__)")
    assert done.stdout == f"False {rabit.__version__}\n", done.stderr
    last = done.stderr.strip().splitlines()[-1]
    # microseconds
    assert last.split("|")[2].strip() == "rabit" and int(last.split("|")[1]) < 100_000, last


def test_every_name_at_the_front_door_is_the_one_in_its_room():
    assert sorted(rabit.__all__) == sorted(rabit._HOME_OF)
    for name in rabit.__all__:
        assert getattr(rabit, name) is getattr(sys.modules[f"rabit.{rabit._HOME_OF[name]}"], name)
    assert {*rabit.__all__, "__version__"} <= {*dir(rabit)}
    with pytest.raises(AttributeError, match="'rabit' has no attribute 'nothing'"): rabit.nothing


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(rabit.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If) and node.test.id == "TYPE_CHECKING")
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert seen == rabit._HOME_OF


def test_a_model_loads_without_matplotlib():
    done = python("-c", "import rabit, sys; rabit.Translator; print({'matplotlib', 'ipywidgets'} & "
                  "{*sys.modules})")
    assert done.stdout == "set()\n", done.stdout + done.stderr


def test_the_package_as_a_program_lists_its_commands():
    done = python("-m", "rabit")
    lines = {line.split()[0]: line.split(None, 1)[1] for line in done.stdout.splitlines() if "  " in line}
    assert "rabit_train" in lines and "Train a translator" in lines["rabit_train"], done.stdout + done.stderr
    assert all(len(text) > 20 for text in lines.values()) and len(lines) >= 12
    assert python("-m", "rabit", "--version").stdout == f"rabit {rabit.__version__}\n"


def test_the_package_as_a_program_runs_a_command():
    done = python("-m", "rabit", "rabit_doctor", "nowhere")
    assert done.returncode == 2 and done.stderr.startswith("rabit_doctor: nowhere: no such folder")
    done = python("-m", "rabit", "rabit_dance")
    assert (done.returncode == 2 and "'rabit_dance'; choose from" in done.stderr
            and "rabit_train" in done.stderr)


MINE = """
from rabit.networks.translate import rabit

def build(classes, size, width=4, features=8, **options):
    model = rabit(classes, size, width=width, features=features, **options)
    model.config["builder"] = "mine"
    return model
"""


def test_an_installed_package_adds_a_model(tmp_path):
    "As `pip install` leaves it: a module, and metadata that name an entry point"
    (tmp_path / "mine.py").write_text(MINE)
    info = tmp_path / "mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[rabit.models]\nmine = mine:build\n")
    code = ("import rabit, sys; print('mine' in sys.modules, 'mine' in rabit.registered('models')); "
            "model = rabit.find('models', 'mine')(3, (32, 32)); model.save_pretrained('saved'); "
            "print(rabit.Translator.from_pretrained('saved').config['width'])")
    env = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "False True\n4\n", done.stdout + done.stderr


def test_a_saved_model_does_not_choose_what_is_imported(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(MINE.replace('"mine"', '"mine:build"'))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    mine = rabit.find("models", "mine:build", dotted=True)
    mine(3, (32, 32)).save_pretrained("saved")
    # it was typed above
    assert rabit.Translator.from_pretrained("saved").config["builder"] == "mine:build"
    monkeypatch.setattr("rabit.core.registry._own", {"models": {}, "worlds": {}, "datasets": {}})
    monkeypatch.delitem(sys.modules, "mine")
    with pytest.raises(rabit.RabitError, match="'mine:build'.*rabit.register"):
        rabit.Translator.from_pretrained("saved")
    assert "mine" not in sys.modules
    assert rabit.Translator.from_pretrained("saved", builder=mine).config["width"] == 4
