#!/usr/bin/env python3
"""Why: nbdev knows nothing of types: mypy over rabit/ and over the code of README and tutorials.

The latter is checked as a user's file would hold it. `python .ci/check_types.py [PATH ...]` checks only the
modules named."""
import ast, json, re, subprocess, sys, tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OPTIONS = ["--ignore-missing-imports", "--no-error-summary", "--hide-error-context", "--show-error-codes",
           "--allow-redefinition", "--python-version", "3.11", "--exclude", "_modidx", "--cache-dir",
           str(ROOT / ".mypy_cache")]


def plain(source):
    "A cell without magics and shell lines, if what is left is Python."
    text = "\n".join(line for line in source.splitlines() if not re.match(r"\s*[%!]", line))
    try: ast.parse(text)
    except SyntaxError: return ""
    return text


def snippets():
    "File name -> the code that a reader would type."
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    yield "readme", "\n".join(re.findall(r"^```python\n(.*?)^```", readme, re.M | re.S))
    for path in sorted((ROOT / "nbs/tutorials").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        yield "tutorial_" + path.stem, "\n\n".join(plain("".join(c["source"])) for c in cells
                                                   if c["cell_type"] == "code")


def mypy(paths, **kwargs):
    return subprocess.run([sys.executable, "-m", "mypy", *OPTIONS, *map(str, paths)], cwd=ROOT, **kwargs)


def main(paths):
    with tempfile.TemporaryDirectory() as tmp:
        files = []
        for name, text in snippets() if not paths else ():
            files.append(Path(tmp) / f"{name}.py")
            files[-1].write_text(text + "\n", encoding="utf-8")
        return mypy([*(paths or [ROOT / "rabit"]), *files]).returncode


if __name__ == "__main__": sys.exit(main(sys.argv[1:]))
