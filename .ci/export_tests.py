#!/usr/bin/env python3
"""Why: nbdev keeps tests in notebooks; this writes tests/test_<module>.py for people without Jupyter.

A cell marked `#| test words naming it` becomes `def test_words_naming_it()`. It may use what its notebook
exports or imports, names that a cell marked `#| test_setup` defines, and names of its own; anything else is
reported with notebook, cell and name. `--check` writes nothing and fails when the files on disk are not
what the notebooks say."""
import argparse, ast, builtins, importlib, json, re, symtable, sys
from dataclasses import dataclass, field
from pathlib import Path

HEADER = ("# Generated from nbs/{} by .ci/export_tests.py: edit the notebook, not this file.\n"
          "# ruff: noqa: E501 (lines of cells, indented)")
HEADER_RE = re.compile(r"^# Generated from (nbs/\S+) by \.ci/export_tests\.py")
FREE = set(dir(builtins)) - {"display", "get_ipython"} | {"__name__"}
EXPORTS = {"export", "exports", "exporti"}
HINT = "a marked cell may use exports, imports, its own names and `#| test_setup` cells"


class Problem(Exception): "Something in a notebook that its author can mend."


@dataclass
class Cell:
    "One code cell of a notebook."
    number: int                  # position among all cells, from 1
    marks: dict                  # directive -> rest of its line
    source: str                  # without directives and magics
    bound: set = field(default_factory=set)   # names bound at top level
    free: set = field(default_factory=set)    # names it wants from outside

    def __str__(self):
        return f'cell {self.number}' + (f' ("{self.marks["test"]}")' if self.marks.get("test") else "")


def split_marks(source):
    "Leading `#| word rest` lines as a dict, and the source without them and without line magics."
    lines, marks = source.splitlines(), {}
    while lines and (not lines[0].strip() or re.match(r"\s*#\s*\|", lines[0])):
        words = re.sub(r"^\s*#\s*\|", "", lines.pop(0)).strip().rstrip(":").split(maxsplit=1)
        if words: marks[words[0].rstrip(":")] = words[1].strip() if len(words) > 1 else ""
    return marks, "\n".join(line for line in lines if not re.match(r"\s*[%!]\s*\w", line)).strip("\n")


def names(source, where):
    "Top-level bound names and free names of a piece of code."
    try:
        top = symtable.symtable(source, where, "exec")
    except SyntaxError as error:
        raise Problem(f"{where}: line {error.lineno} is not Python: {error.msg}") from None
    bound = {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported()}
    free = {s.get_name() for s in top.get_symbols() if s.is_referenced()} - bound
    tables = list(top.get_children())
    while tables:
        table = tables.pop()
        tables += table.get_children()
        free |= {s.get_name() for s in table.get_symbols() if s.is_global() and s.is_referenced()} - bound
    return bound, free


def imports(source):
    """What the import statements of a cell bind: [(name, (module, attribute or None, alias or None))]; stars
    as name '*'."""
    found, nodes = [], [ast.parse(source)]
    while nodes:
        node = nodes.pop(0)
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Lambda)):
            nodes += list(ast.iter_child_nodes(node))
        if isinstance(node, ast.Import):
            found += [(a.asname or a.name.split(".")[0], (a.name, None, a.asname)) for a in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found += [(a.asname or a.name, (node.module, a.name, a.asname)) for a in node.names]
    return found


def statement(module, attribute, alias):
    "An import statement as text."
    what = f"from {module} import {attribute}" if attribute else f"import {module}"
    return what + (f" as {alias}" if alias and alias != attribute else "")


def star_names(module):
    "The names that `from module import *` brings."
    found = importlib.import_module(module)
    return set(getattr(found, "__all__", [n for n in dir(found) if not n.startswith("_")]))


def used_before_bound(source):
    """Names that a simple top-level statement reads before the cell binds them, though the cell binds them
    later."""
    tree = ast.parse(source)
    bound = set()
    early = set()
    for node in tree.body:
        inner = [n for n in ast.walk(node) if isinstance(n, ast.Name)]
        if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.Assert)):
            stores = {n.id for c in ast.walk(node) if isinstance(c, ast.comprehension)
                      for n in ast.walk(c.target) if isinstance(n, ast.Name)}
            stores |= {a.arg for c in ast.walk(node) if isinstance(c, ast.Lambda) for a in c.args.args}
            early |= {n.id for n in inner if isinstance(n.ctx, ast.Load)} - bound - stores
            if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                early |= {node.target.id} - bound
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)): bound.add(node.name)
        bound |= {n.id for n in inner if isinstance(n.ctx, ast.Store)}
        bound |= {a.asname or a.name.split(".")[0] for n in ast.walk(node)
                  if isinstance(n, (ast.Import, ast.ImportFrom)) for a in n.names}
    return early & bound


def asserts(source):
    "True if the code can fail on purpose."
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Assert, ast.Raise)): return True
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name.startswith(("assert", "test_")) or name in ("gradcheck", "gradgradcheck"): return True
    return False


def indented(source):
    "The source four columns in; the inner lines of strings stay as they are."
    inside = {n for node in ast.walk(ast.parse(source)) if isinstance(node, (ast.Constant, ast.JoinedStr))
              and not (isinstance(node, ast.Constant) and not isinstance(node.value, (str, bytes)))
              for n in range(node.lineno + 1, node.end_lineno + 1)}
    return "\n".join(line if i in inside or not line.strip() else "    " + line for i,
                     line in enumerate(source.split("\n"), 1))


class Notebook:
    "A notebook's code cells and where each name in them can be had from."
    def __init__(self, path, nbs, lib):
        self.label, self.name = f"nbs/{path.relative_to(nbs).as_posix()}", path.relative_to(nbs).as_posix()
        raw = json.loads(path.read_text(encoding="utf-8"))["cells"]
        self.cells, self.problems = [], []
        for number, c in enumerate(raw, 1):
            if c["cell_type"] == "code": self.cells.append(Cell(number, *split_marks("".join(c["source"]))))
        exp = [c.marks["default_exp"] for c in self.cells if "default_exp" in c.marks]
        self.module = exp[0] if exp else None
        self.target = f"test_{(self.module or path.stem).replace('.', '_')}.py"
        self.tests = [c for c in self.cells if "test" in c.marks]
        if not self.tests: return
        self.imported = {}
        self.stars = []
        self.setups = {}
        self.lesson = {}
        for cell in self.cells: self.read(cell, f"{lib}.{self.module}")

    def fail(self, cell, message): self.problems.append(f"{self.label}, {cell}: {message}")

    def read(self, cell, module):
        "Take stock of one cell: what it binds, and what others may have from it."
        marked = {"test", "test_setup"} & cell.marks.keys()
        exported = bool(EXPORTS & cell.marks.keys())
        if cell.marks.keys() & EXPORTS and marked:
            return self.fail(cell, f"is marked both {' and '.join(sorted(marked))} and export; use two cells")
        try: cell.bound, cell.free = names(cell.source, f"{self.label}, {cell}")
        except Problem as problem:
            if marked or exported: self.problems.append(str(problem))
            return
        brought = imports(cell.source)
        if "test" in cell.marks: return
        for name, what in brought:
            if name == "*": self.stars.append(what[0])
            else: self.offer(cell, name, what)
        own = cell.bound - {name for name, _ in brought}
        if exported and self.module:
            for name in own: self.offer(cell, name, (module, name, None))
        elif "test_setup" in cell.marks:
            for name in own:
                if name in self.setups:
                    self.fail(cell, f"defines {name!r}, which the test_setup {self.setups[name]} defines "
                              "already; use another name")
                self.setups[name] = cell
        else:
            for name in own: self.lesson.setdefault(name, cell)

    def offer(self, cell, name, what):
        "Note where `name` can be imported from; several `import a.b` may share the name a."
        known = self.imported.setdefault(name, [])
        if what not in [w for w, _ in known]: known.append((what, cell))

    def resolve(self, cell, want, lines, setups):
        "Collect the import lines and the setup cells that `cell` needs."
        for name in sorted(want - FREE):
            if name in self.setups:
                if self.setups[name].number > cell.number:
                    self.fail(cell, f"uses {name!r} before the test_setup {self.setups[name]} defines it")
                elif self.setups[name] not in setups and self.setups[name] is not cell:
                    setups.append(self.setups[name])
                    self.resolve(self.setups[name], self.setups[name].free, lines, setups)
            elif name in self.imported:
                known = self.imported[name]
                if len(known) > 1 and any(attribute or alias for (_, attribute, alias), _ in known):
                    self.fail(
                        cell,
                        f"uses {name!r}, which has two meanings: "
                        + ", ".join(f"`{statement(*w)}` ({c})" for w, c in known),
                    )
                lines.update(statement(*what) for what, _ in known)
            elif stars := [m for m in self.stars if name in star_names(m)]:
                lines.add(f"from {stars[-1]} import {name}")
            elif name in self.lesson:
                self.fail(cell, f"uses {name!r} of {self.lesson[name]}, which has no mark; {HINT}")
            else:
                self.fail(cell, f"uses {name!r}, which nothing in this notebook exports or imports; {HINT}")

    def text(self):
        "The test module as text."
        lines = set()
        setups = []
        bodies = []
        seen = {}
        for cell in self.tests:
            words = cell.marks["test"]
            function = "test_" + re.sub(r"\W+", "_", words.lower()).strip("_")
            if not words: self.fail(cell, "has no name: write `#| test words naming it`")
            elif function in seen: self.fail(cell, f"has the same name as {seen[function]}")
            elif "notest" in cell.marks: self.fail(cell, "is marked both test and notest")
            seen[function] = cell
            if not cell.source:
                self.fail(cell, "is empty")
                continue
            helpers = [self.setups[name] for name in cell.free & self.setups.keys()]
            if not any(asserts(c.source) for c in [cell, *helpers]):
                self.fail(cell, "asserts nothing, so it cannot fail")
            if any(name == "*" for name, _ in imports(cell.source)):
                self.fail(cell, "has a star import; name what you import")
            outside = self.setups.keys() | self.imported.keys()
            for name in sorted(used_before_bound(cell.source) & outside):
                self.fail(cell, f"reads {name!r} from outside and then binds it anew; use another name for "
                          "the new one")
            self.resolve(cell, cell.free, lines, setups)
            flags = [f"@pytest.mark.{flag}\n" for flag in ("gpu", "slow") if flag in cell.marks]
            if flags: lines.add("import pytest")
            bodies.append("".join(flags) + f"def {function}():\n{indented(cell.source)}\n")
        block = "\n".join(sorted(lines, key=lambda line: (line.startswith("from"), line)))
        parts = [HEADER.format(self.name) + "\n"
                 + block] + [c.source for c in sorted(setups, key=lambda c: c.number)]
        return "\n".join(p + "\n" for p in parts if p) + "".join(f"\n\n{b}" for b in bodies)


def notebooks(nbs):
    "All notebooks below a folder, in order of their path."
    return [p for p in sorted(nbs.rglob("*.ipynb"))
            if not any(part[0] in "._" for part in p.relative_to(nbs).parts)]


def generate(root, lib="rabit"):
    "File name -> (notebook label, text) for all notebooks of a project, and the list of problems."
    files, problems = {}, []
    for path in notebooks(root / "nbs"):
        try: nb = Notebook(path, root / "nbs", lib)
        except (ValueError, KeyError) as error:
            problems.append(f"nbs/{path.relative_to(root / 'nbs').as_posix()}: is not a notebook ({error})")
            continue
        if nb.tests and nb.problems == []:
            if nb.target in files:
                nb.problems.append(f"{nb.label}: its tests go to tests/{nb.target}, as those of "
                                   f"{files[nb.target][0]} do")
            else: files[nb.target] = nb.label, nb.text()
        problems += nb.problems
    return files, problems


def origin(path):
    "The notebook that a test file says it was generated from, or None if it was written by hand."
    lines = path.read_text(encoding="utf-8").splitlines()
    found = HEADER_RE.match(lines[0]) if lines else None
    return found and found[1]


def compare(root, files):
    "What differs between the generated files and those on disk: (messages, names to write, paths to remove)."
    tests = root / "tests"
    messages = []
    write = []
    remove = []
    for name, (label, text) in files.items():
        path = tests / name
        if not path.exists():
            messages.append(f"tests/{name} is missing ({label} has marked cells)")
            write.append(name)
        elif origin(path) is None:
            raise Problem(f"tests/{name} was written by hand, but {label} wants to generate it; rename it")
        elif path.read_bytes() != text.encode():
            messages.append(f"tests/{name} is not what {label} says")
            write.append(name)
    for path in sorted(tests.glob("test_*.py")):
        label = origin(path)
        if label and path.name not in files:
            why = "has no marked cells for it any more" if (root / label).exists() else "is gone"
            messages.append(f"tests/{path.name} is stale: {label} {why}")
            remove.append(path)
    return messages, write, remove


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true",
                        help="write nothing; fail if the files are not in step with the notebooks")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent,
                        help="project folder")
    args = parser.parse_args(argv)
    files, problems = generate(args.root)
    try: messages, write, remove = compare(args.root, files)
    except Problem as problem: problems.append(str(problem))
    if problems:
        print("\n".join(problems), file=sys.stderr)
        print(f"{len(problems)} problem(s) in marked cells; nothing was written", file=sys.stderr)
        return 1
    tests = sum(text.count("\ndef test_") for _, text in files.values())
    if args.check and messages:
        print("\n".join(messages + ["run `.venv/bin/python .ci/export_tests.py`"]), file=sys.stderr)
        return 1
    (args.root / "tests").mkdir(exist_ok=True)
    for name in write: (args.root / "tests" / name).write_bytes(files[name][1].encode())
    for path in remove: path.unlink()
    for message in messages: print(message + ": mended")
    print(f"{tests} tests in {len(files)} files are in step with the notebooks")
    return 0


if __name__ == "__main__": sys.exit(main())
