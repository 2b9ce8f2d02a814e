"""The wheel in an empty environment: no nbdev, no Jupyter, the newest fastcore. It imports quickly and
translates two files."""
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EVERYTHING = ["LICENSE", "MANIFEST.in", "README.md", "settings.ini", "setup.py"]


def call(*command, cwd, **options):
    "Run a command away from the project, so that only what is installed can be imported."
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PIP_CONSTRAINT",
                                                            "IN_TEST")} | {"OMP_NUM_THREADS": "1"}
    return subprocess.run([str(c) for c in command], cwd=cwd, env=env, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, **options)


def must(*command, cwd):
    "Run a command that has to succeed; offline machines skip, CI does not."
    done = call(*command, cwd=cwd, timeout=900)
    if done.returncode and "Retrying (" in done.stderr and not os.environ.get("CI"):
        pytest.skip("pip cannot reach its index")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    "A folder with a virtual environment `env` that holds the wheel and what it asks for."
    home = tmp_path_factory.mktemp("wheel")
    source = home / "source"
    source.mkdir()
    for name in EVERYTHING:
        if (ROOT / name).exists(): shutil.copy(ROOT / name, source)
    for name in ("rabit", "data/weights"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    must(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", home, source,
         cwd=home)
    wheel, = home.glob("rabit-*.whl")
    must(sys.executable, "-m", "venv", home / "env", cwd=home)
    must(home / "env/bin/python", "-m", "pip", "install", "--quiet", "--no-compile",
         f"torch=={version('torch').split('+')[0]}", wheel, cwd=home)
    return home


@pytest.fixture(scope="module")
def pair(home):
    "A label map, an exemplar and a folder of tiny weights."
    code = ("import torch; from PIL import Image; from rabit.networks.translate import rabit; "
            "torch.manual_seed(0)\nrabit(classes=8, size=(32, 32), width=8).save_pretrained('weights')\n"
            "Image.fromarray(torch.arange(8).repeat_interleave(4)[:, None].expand(32, "
            "32).byte().numpy()).save('label.png')\n"
            "Image.fromarray((torch.rand(32, 32, 3) * 255).byte().numpy()).save('exemplar.png')")
    must(home / "env/bin/python", "-c", code, cwd=home)
    return home


def test_environment_holds_no_nbdev_and_no_jupyter(home):
    code = ("from importlib.util import find_spec; print([m for m in ('nbdev', 'execnb', 'jupyter_core', "
            "'jupyterlab', 'notebook', 'ipykernel') if find_spec(m)])")
    assert must(home / "env/bin/python", "-c", code, cwd=home).strip() == "[]"
    where = must(home / "env/bin/python", "-c", "import rabit; print(rabit.__file__)", cwd=home).strip()
    assert str(home / "env") in where
    assert (Path(where).parent / "py.typed").exists()


def test_shipped_weights_are_in_the_wheel(home):
    code = ("from rabit import Translator; from rabit.networks.pretrained import shipped_weights; names = "
            "sorted(shipped_weights())\nfor n in names: Translator.from_pretrained(n)\nprint(*names)")
    found = must(home / "env/bin/python", "-c", code, cwd=home).split()
    shipped = sorted(p.name for p in (ROOT / "data/weights").iterdir() if p.is_dir())
    assert "street-64" in found and found == shipped


def test_requirements_have_no_upper_bounds(home):
    code = ("from importlib.metadata import requires; print('\\n'.join(r for r in requires('rabit') if "
            "'extra' not in r))")
    asked = must(home / "env/bin/python", "-c", code, cwd=home).split("\n")
    assert any(r.startswith("fastcore") for r in asked), asked
    assert not any("<" in r or "==" in r for r in asked), asked


def test_every_module_imports(home):
    code = ("import importlib, pkgutil, rabit\nfor m in pkgutil.walk_packages(rabit.__path__, 'rabit.'): "
            "importlib.import_module(m.name); print(m.name)")
    names = must(home / "env/bin/python", "-c", code, cwd=home).split()
    assert {"rabit.core.tensors", "rabit.matching.topk", "rabit.networks.pretrained",
            "rabit.training.train_commands", "rabit.core.figures", "rabit.__main__"} <= set(names)


def test_the_package_lists_its_commands_and_its_models(home):
    listed = must(home / "env/bin/python", "-m", "rabit", cwd=home)
    commands = {c.name for c in (home / "env/bin").glob("rabit_*")}
    assert {line.split()[0] for line in listed.splitlines() if line.startswith("  ")} == commands
    models = must(home / "env/bin/python", "-c", "import rabit; print(*rabit.registered('models'))", cwd=home)
    assert models.split() == ["cocosnet", "dynast", "matebit", "patchmatch", "rabit"]


def test_command_line_imports_in_under_three_seconds_beyond_torch(home):
    code = ("import time, torch; start = time.process_time(); import rabit.training.train_commands; "
            "print(time.process_time() - start)")
    assert any(float(must(home / "env/bin/python", "-c", code, cwd=home)) < 3 for _ in range(3))


HELP = """
import os, runpy, sys, torch
for command in sys.argv[1:]:
    if os.fork() == 0:
        sys.argv = [command, "--help"]
        runpy.run_path(command, run_name="__main__")
        sys.exit("it did not end by itself")
    assert os.wait()[1] == 0, command
"""

def test_every_command_has_help(home):
    "Each in a process of its own, which need not import torch anew"
    commands = sorted((home / "env/bin").glob("rabit_*"))
    assert {"rabit_translate", "rabit_train"} <= {c.name for c in commands}
    said = must(home / "env/bin/python", "-c", HELP, *commands, cwd=home)
    assert all(f"usage: {command.name} " in said for command in commands), said


def test_translate_paints_an_image_from_two_files(pair):
    must(pair / "env/bin/rabit_translate", "label.png", "exemplar.png", "--checkpoint", "weights", "-o",
         "out.png", cwd=pair)
    code = ("from PIL import Image; p = Image.open('out.png'); print(p.size, p.mode, any(low < high for low, "
            "high in p.getextrema()))")
    assert must(pair / "env/bin/python", "-c", code, cwd=pair).strip() == "(32, 32) RGB True"


@pytest.mark.parametrize("label, exemplar, weights, named", [
    ("nowhere.png", "exemplar.png", "weights", "nowhere.png"),
    ("label.png", "label.txt", "weights", "label.txt"),
    ("label.png", "exemplar.png", "no_such_weights", "no_such_weights"),
])
def test_bad_call_ends_in_one_line_and_code_2(pair, label, exemplar, weights, named):
    (pair / "label.txt").write_text("no image")
    done = call(pair / "env/bin/rabit_translate", label, exemplar, "--checkpoint", weights, "-o", "bad.png",
                cwd=pair)
    assert done.returncode == 2, done.stdout + done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and named in done.stderr, done.stderr
    assert not (pair / "bad.png").exists()
