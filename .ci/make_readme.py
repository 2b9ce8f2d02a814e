#!/usr/bin/env python3
"""Why: `nbdev_readme` needs Quarto; this writes README.md from nbs/index.ipynb.

Its markdown as it stands, its code as ```python blocks, its text outputs indented. Relative links are
written for nbs/ and rewritten for the project's top folder; a link to a file that does not exist is
reported. Cells marked `#| hide` stay out. `--check` writes nothing and fails when README.md is not what the
notebook says."""
import argparse, json, posixpath, re, sys
from pathlib import Path

NOTE = "<!-- Made from nbs/index.ipynb by .ci/make_readme.py: edit the notebook, not this file. -->"
LINK = re.compile(r'(\]\(|(?:src|href)=")([^)"\s]+)')


def is_local(target): return not re.match(r"[a-z][a-z0-9+.-]*:|#|/", target, re.I)


def moved(text):
    "Markdown with links relative to nbs/ rewritten for the top folder; code fences stay as they are."
    def move(match):
        return match[1] + (posixpath.normpath(posixpath.join("nbs", match[2])) if is_local(match[2])
                           else match[2])
    parts = re.split(r"(^```.*?^```)", text, flags=re.M | re.S)
    return "".join(part if i % 2 else LINK.sub(move, part) for i, part in enumerate(parts))


def output_text(output):
    "The text of one output, or nothing for images and widgets."
    data = output.get("data", {})
    if output["output_type"] == "stream": return "".join(output["text"])
    if any(kind.startswith(("image/", "application/vnd.jupyter.widget")) for kind in data): return ""
    return "".join(data.get("text/plain", ""))


def code_blocks(cell):
    "A code cell as markdown blocks."
    lines = "".join(cell["source"]).splitlines()
    marks = [re.sub(r"^\s*#\s*\|\s*", "", line) for line in lines if re.match(r"\s*#\s*\|", line)]
    if "hide" in marks or not lines: return []
    code = "\n".join(line for line in lines if not re.match(r"\s*#\s*\|", line)).strip("\n")
    text = "".join(output_text(o) for o in cell.get("outputs", [])).rstrip()
    shown = ["\n".join("    " + line if line else "" for line in text.splitlines())] if text else []
    return ([] if "echo: false" in marks else [f"```python\n{code}\n```"]) + shown


def readme(root):
    "The text of README.md."
    cells = json.loads((root / "nbs/index.ipynb").read_text(encoding="utf-8"))["cells"]
    blocks = [NOTE]
    for cell in cells:
        if cell["cell_type"] == "markdown": blocks.append(moved("".join(cell["source"]).strip("\n")))
        elif cell["cell_type"] == "code": blocks += code_blocks(cell)
    return "\n\n".join(b for b in blocks if b.strip()) + "\n"


def broken(root, text):
    "Relative links of the README that lead nowhere."
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    return sorted({t for _, t in LINK.findall(prose) if is_local(t)
                   and not (root / t.split("#")[0]).exists()})


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true",
                        help="write nothing; fail if README.md is not in step or has broken links")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent,
                        help="project folder")
    args = parser.parse_args(argv)
    if not (args.root / "nbs/index.ipynb").exists():
        print("nbs/index.ipynb does not exist; README.md is made from it", file=sys.stderr)
        return 1
    text, path = readme(args.root), args.root / "README.md"
    links = broken(args.root, text)
    for link in links: print(f"README.md: links to {link}, which does not exist", file=sys.stderr)
    if args.check:
        same = path.exists() and path.read_bytes() == text.encode()
        if not same:
            print("README.md is not what nbs/index.ipynb says. Mend: .venv/bin/python .ci/make_readme.py",
                  file=sys.stderr)
        if same and not links: print("README.md is in step")
        return int(not same or bool(links))
    path.write_bytes(text.encode())
    print("README.md written")
    return 0


if __name__ == "__main__": sys.exit(main())
