"""The order of the notebooks is the order in which modules may import each other, and a few libraries have
one home only."""
import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HOMES = {"matplotlib": ("core.axes", "core.figures", "core.widgets"), "ipywidgets": ("core.widgets",)}


def place(file):
    "Number and letter of a notebook: 11 < 11a < 12"
    number, letter = re.fullmatch(r"(\d+)([a-z]?)", file.split("_")[0]).groups()
    return int(number), letter


def said(place): return f"{place[0]:02d}{place[1]}"


def numbers(nbs):
    "Module → number and letter of the notebook that exports it"
    found = {}
    for path in sorted(nbs.rglob("[0-9]*_*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if name := re.search(r"^#\s*\|\s*default_exp\s+(\S+)", "".join(cell["source"]), re.M):
                found[name[1]] = place(path.name)
    return found


def called_name(node):
    "The module that `import_module(\"…\")` or `__import__(\"…\")` names; None where it is no constant"
    name = getattr(node.func, "id", getattr(node.func, "attr", ""))
    if name not in ("import_module", "__import__") or not node.args: return None
    return node.args[0].value if isinstance(node.args[0], ast.Constant) else None


def imported(tree, module):
    "Absolute dotted names that a module imports, each with whether that happens when it is itself imported"
    def visit(node, top):
        if isinstance(node, ast.Import): yield from ((a.name, top) for a in node.names)
        elif isinstance(node, ast.Call) and called_name(node): yield called_name(node), top
        elif isinstance(node, ast.ImportFrom):
            base = ["rabit", *module.split(".")][:-node.level] if node.level else []
            stem = ".".join(base + ([node.module] if node.module else []))
            yield from ((f"{stem}.{a.name}", top) for a in node.names)
        inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node): yield from visit(child, top and not inside)
    return list(visit(tree, True))


def own_rules(module, name, order):
    "What is wrong with the import of one of our own names, in words"
    parts = name.split(".")
    if name in ("rabit", "rabit.__version__"): return
    other = next((o for n in (4, 3, 2) if (o := ".".join(parts[1:n])) in order), None)
    if other is None:
        yield f"{module}: imports {name}, which is no exported module"
    elif order[other] >= order[module]:
        yield (f"{module} ({said(order[module])}): imports {other} ({said(order[other])}), "
               "which does not come before it")
    elif module.startswith("relatives.") and other.startswith("relatives.") and place_of_model(other, order):
        yield f"{module}: imports {other}; relatives stand alone"
    elif parts[-1].startswith("_"):
        yield f"{module}: imports {name}, whose name is private"


def place_of_model(module, order):
    "Is this module a relative itself? its parts, which only it imports, are appendices or come before it"
    return module.removeprefix("relatives.") in ("cocosnet", "patchmatch", "dynast", "matebit")


def broken_rules(module, source, order):
    "What is wrong with a module's imports, in words"
    bad = []
    if module not in order: return [f"{module}: no numbered notebook exports it"]
    for name, top in imported(ast.parse(source), module):
        first = name.split(".")[0]
        if first == "torchvision" and top: bad.append(f"{module}: imports torchvision at module level")
        if module not in HOMES.get(first, (module,)):
            bad.append(f"{module}: imports {first}, whose home is {', '.join(HOMES[first])}")
        if first == "rabit": bad += own_rules(module, name, order)
    return bad


def test_modules_import_only_what_comes_before_them():
    order, bad = numbers(ROOT / "nbs"), []
    for path in sorted((ROOT / "rabit").rglob("*.py")):
        if path.name in ("__init__.py", "__main__.py", "_modidx.py"): continue
        name = ".".join(path.relative_to(ROOT / "rabit").with_suffix("").parts)
        bad += broken_rules(name, path.read_text(encoding="utf-8"), order)
    assert not bad, "\n".join(bad)


def test_a_number_s_first_digit_is_its_chapter():
    chapters = {path.name: path.parent.name for path in (ROOT / "nbs").rglob("[0-9][0-9]*_*.ipynb")
                if path.parent.name != "tutorials"}
    assert chapters
    for file, chapter in chapters.items(): assert chapter[0] == f"{place(file)[0]:02d}"[0], (chapter, file)


def test_modules_and_notebooks_are_small():
    long = {path: lines for path in (ROOT / "rabit").rglob("*.py") if path.name != "_modidx.py"
            and (lines := path.read_text(encoding="utf-8").count("\n")) > 350}
    long |= {path: cells for path in (ROOT / "nbs").rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts
             and (cells := len(json.loads(path.read_text(encoding="utf-8"))["cells"])) > 90}
    assert not long, "\n".join(f"{path.relative_to(ROOT)}: {count}" for path, count in long.items())


def test_packages_import_nothing():
    for path in (ROOT / "rabit").rglob("__init__.py"):
        found = [name for name, top in imported(ast.parse(path.read_text(encoding="utf-8")), "x")
                 if top and path.parent.name != "rabit"]
        assert not found, f"{path} imports {found}"


ORDER = {"core.tensors": (0, ""), "core.figures": (2, ""), "matching.topk": (14, ""),
         "matching.ranking": (15, ""), "networks.losses": (35, ""), "data.pairs": (40, ""),
         "data.archives": (42, "a"), "data.datasets": (42, ""), "relatives.patchmatch": (72, ""),
         "relatives.dynast": (74, ""), "relatives.matebit": (76, ""), "comparison.zoo": (80, "")}


@pytest.mark.parametrize("module, source, words", [
    ("matching.topk", "from rabit.matching.ranking import rank_blocks", "imports matching.ranking (15)"),
    ("matching.topk", "from .ranking import rank_blocks", "imports matching.ranking (15)"),
    ("matching.topk", "from ..comparison.zoo import Entry", "imports comparison.zoo (80)"),
    ("matching.topk", "def f():\n    import rabit.comparison.zoo", "imports comparison.zoo (80)"),
    ("matching.topk", "from . import ranking", "imports matching.ranking (15)"),
    ("matching.topk", "from rabit.matching.topk import x", "does not come before it"),
    ("matching.topk", "def f():\n    import_module('rabit.comparison.zoo').go()", "comparison.zoo (80)"),
    ("matching.topk", "importlib.import_module('rabit.matching.ranking')", "imports matching.ranking (15)"),
    ("matching.ranking", "from .topk import _find_threshold", "whose name is private"),
    ("matching.topk", "from rabit.nowhere import x", "no exported module"),
    ("networks.losses", "from ..data.pairs import read", "networks.losses (35): imports data.pairs (40)"),
    ("data.datasets", "from .archives import tar", "data.datasets (42): imports data.archives (42a)"),
    ("lost", "import torch", "no numbered notebook"),
    ("matching.topk", "import matplotlib.pyplot as plt", "whose home is core.axes, core.figures"),
    ("core.figures", "def f():\n    from ipywidgets import interact", "whose home is core.widgets"),
    ("matching.topk", "try: import torchvision.models\nexcept ImportError: pass", "torchvision at module"),
    ("relatives.matebit", "from .dynast import x", "stand alone"),
])
def test_checker_sees_a_bad_module(module, source, words):
    bad = broken_rules(module, source, ORDER)
    assert len(bad) == 1 and words in bad[0], bad


@pytest.mark.parametrize("module, source", [
    ("matching.ranking", "import torch\nfrom .. import __version__\nfrom ..core.tensors import check\n"
                         "from rabit.matching.topk import soft_topk\ndef f():\n    import torchvision\n"),
    ("data.archives", "from .datasets import x"),
    ("data.pairs", "from rabit.networks.losses import x\nimport_module(name)\nimport_module('tensorboard')"),
    ("core.figures", "import matplotlib.pyplot as plt\nfrom .tensors import check"),
    ("relatives.dynast", "from ..matching.topk import soft_topk"),
])
def test_checker_passes_a_good_module(module, source): assert broken_rules(module, source, ORDER) == []


def test_a_letter_comes_after_its_number():
    files = "11_losses.ipynb 11a_conditions.ipynb 11b_more.ipynb 12_data.ipynb 100_last.ipynb".split()
    assert [*map(place, files)] == sorted(map(place, files))
    assert said(place("04_topk.ipynb")) == "04" and said(place("11a_conditions.ipynb")) == "11a"
