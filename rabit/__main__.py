"""`python -m rabit` lists the commands, `python -m rabit NAME …` runs one."""
import ast
import sys
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec

from rabit import __version__


def commands() -> dict[str, EntryPoint]:
    "Name → entry point of every command that this package installs"
    return {point.name: point for point in entry_points(group="console_scripts")
            if point.value.startswith("rabit.")}


def summary(point: EntryPoint) -> str:
    "The first line of a command's docstring, read without importing its module"
    spec = find_spec(point.module)
    if spec is None or spec.origin is None: return ""
    with open(spec.origin, encoding="utf-8") as f: tree = ast.parse(f.read())
    found = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == point.attr)
    return ((ast.get_docstring(next(found)) or "").splitlines() or [""])[0]


def main() -> int | str | None:
    "List the commands, or run the one that is named"
    known, argv = commands(), sys.argv[1:]
    if argv and argv[0] in known: return known[argv[0]].load()(argv[1:])
    if argv and argv[0] not in ("-h", "--help", "--version"):
        print(f"unknown command {argv[0]!r}; choose from {', '.join(sorted(known))}", file=sys.stderr)
        return 2
    print(f"rabit {__version__}")
    if argv == ["--version"]: return 0
    width = max(map(len, known), default=0)
    for name, point in sorted(known.items()): print(f"  {name:{width}}  {summary(point)}")
    print("COMMAND --help tells more")
    return 0


if __name__ == "__main__": sys.exit(main())
