"""The order of the notebooks is the order in which modules may import each other; a few libraries have one
home only."""
import ast, json, re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DRAWING = {"matplotlib", "ipywidgets"}


def place(file):
    "Number and letter of a notebook: 11 < 11a < 12."
    number, letter = re.fullmatch(r"(\d+)([a-z]?)", file.split("_")[0]).groups()
    return int(number), letter


def said(place): return f"{place[0]:02d}{place[1]}"


def numbers(nbs):
    "Module -> number and letter of the notebook that exports it."
    found = {}
    for path in sorted(nbs.rglob("[0-9]*_*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if name := re.search(r"^#\s*\|\s*default_exp\s+(\S+)", "".join(cell["source"]), re.M):
                found[name[1]] = place(path.name)
    return found


def imported(tree, module):
    """Absolute dotted names that a module imports, each with whether that happens when the module itself is
    imported."""
    def visit(node, top):
        if isinstance(node, ast.Import): yield from ((a.name, top) for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ["rabit", *module.split(".")][:-node.level] if node.level else []
            stem = ".".join(base + ([node.module] if node.module else []))
            yield from ((f"{stem}.{a.name}", top) for a in node.names)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, top and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef,
                                                                  ast.Lambda)))
    return list(visit(tree, True))


def broken_rules(module, source, order):
    "What is wrong with a module's imports, in words."
    bad = []
    if module not in order: return [f"{module}: no numbered notebook exports it"]
    for name, top in imported(ast.parse(source), module):
        parts = name.split(".")
        if parts[0] == "torchvision" and top: bad.append(f"{module}: imports torchvision at module level")
        if parts[0] in DRAWING and module != "show":
            bad.append(f"{module}: imports {parts[0]}, whose home is show")
        if parts[0] != "rabit" or name == "rabit.__version__": continue
        other = next((o for n in (3, 2) if (o := ".".join(parts[1:n])) in order), None)
        if other is None:
            bad.append(f"{module}: imports {name}, which is no exported module")
        elif order[other] >= order[module]:
            bad.append(
                f"{module} ({said(order[module])}): imports {other} ({said(order[other])}), which does not"
                " come before it"
            )
        elif module.startswith("baselines.") and other.startswith("baselines."):
            bad.append(f"{module}: imports {other}; baselines stand alone")
    return bad


def test_modules_import_only_what_comes_before_them():
    order, bad = numbers(ROOT / "nbs"), []
    for path in sorted((ROOT / "rabit").rglob("*.py")):
        if path.name in ("__init__.py", "_modidx.py"): continue
        bad += broken_rules(".".join(path.relative_to(ROOT / "rabit").with_suffix("").parts),
                            path.read_text(encoding="utf-8"), order)
    assert not bad, "\n".join(bad)


def test_packages_import_nothing():
    for path in (ROOT / "rabit").rglob("__init__.py"):
        assert not imported(ast.parse(path.read_text(encoding="utf-8")), "x"), f"{path} imports something"


ORDER = {"core": (0, ""), "show": (1, ""), "topk": (4, ""), "ranking": (5, ""), "losses": (11, ""),
         "data": (12, ""), "conditions": (12, "a"), "sets": (12, "b"), "model": (13, ""),
         "baselines.dynast": (22, ""), "baselines.matebit": (23, ""), "zoo": (30, "")}


@pytest.mark.parametrize("module, source, words", [
    ("topk", "from rabit.matching.bilevel import rank_blocks", "imports ranking (05)"),
    ("topk", "from .ranking import rank_blocks", "imports ranking (05)"),
    ("topk", "def f():\n    import rabit.comparison.compare", "imports zoo (30)"),
    ("topk", "from . import ranking", "imports ranking (05)"),
    ("topk", "from rabit.matching.topk import x", "does not come before it"),
    ("topk", "from rabit.nowhere import x", "no exported module"),
    ("losses", "from .conditions import canny", "losses (11): imports conditions (12a)"),
    ("conditions", "from .sets import open_dataset", "conditions (12a): imports sets (12b)"),
    ("data", "from .sets import open_dataset", "data (12): imports sets (12b)"),
    ("lost", "import torch", "no numbered notebook"),
    ("topk", "import matplotlib.pyplot as plt", "whose home is show"),
    ("topk", "def f():\n    from ipywidgets import interact", "whose home is show"),
    ("topk", "try:\n    import torchvision.models\nexcept ImportError: pass", "torchvision at module level"),
    ("baselines.matebit", "from ..baselines.dynast import x", "stand alone"),
])
def test_checker_sees_a_bad_module(module, source, words):
    bad = broken_rules(module, source, ORDER)
    assert len(bad) == 1 and words in bad[0], bad


def test_checker_passes_a_good_module():
    good = ("import torch\nfrom . import __version__\nfrom .core import check\nfrom rabit.matching.topk "
            "import soft_topk\ndef f():\n    import torchvision\n")
    assert broken_rules("ranking", good, ORDER) == []
    assert broken_rules("conditions", "from .losses import x",
                        ORDER) == broken_rules("conditions", "from .data import x",
                                               ORDER) == broken_rules("model", "from .sets import x",
                                                                      ORDER) == []
    assert broken_rules("show", "import matplotlib.pyplot as plt\nfrom .core import check", ORDER) == []
    assert broken_rules("baselines.dynast", "from ..topk import soft_topk", ORDER) == []


def test_a_letter_comes_after_its_number():
    assert (place("11_losses.ipynb") < place("11a_conditions.ipynb") < place("11b_more.ipynb")
            < place("12_data.ipynb") < place("100_last.ipynb"))
    assert said(place("04_topk.ipynb")) == "04" and said(place("11a_conditions.ipynb")) == "11a"
