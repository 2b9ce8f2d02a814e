#!/usr/bin/env python3
"""Why: `nbdev_docs` needs Quarto, which is no Python package; this writes web pages into _docs/ without it.

nbdev hides and links, nbconvert writes the pages. Code stays visible. Pictures and styles are inside each
page. Equations and sliders need three scripts: they are fetched once with npm where that is possible, so
that the pages work offline; otherwise the pages load them from the net."""
import ast, base64, mimetypes, os, re, shutil, subprocess, sys
from html import escape
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter
from nbdev.config import get_config
from nbdev.process import NBProcessor
from nbdev.processors import add_links, clean_magics, hide_, hide_line, strip_ansi
from execnb.nbio import nb2str
from traitlets.config import Config

ROOT = Path(__file__).resolve().parent.parent
NBS, OUT = ROOT / "nbs", ROOT / "_docs"
PACKAGES = {"require_js_url": ("requirejs@2.3.7", "requirejs/require.js"),
            "widget_renderer_url": ("@jupyter-widgets/html-manager@1.0.14",
                                    "@jupyter-widgets/html-manager/dist/embed-amd.js"),
            "mathjax_url": ("mathjax@2.7.9", "mathjax/MathJax.js")}
UNUSED = shutil.ignore_patterns("unpacked", "*.map", "PNG", "SVG", "test", "localization", "docs")
STYLE = """<style>nav.rabit {padding: .6em 2em; font: 14px/1.7 sans-serif; border-bottom: 1px solid #ddd}
nav.rabit a {margin-right: 1em; white-space: nowrap; text-decoration: none}
nav.rabit a.here {font-weight: bold; color: inherit}</style>"""


def page(path):
    return path.with_name(re.sub(r"^\d+[a-zA-Z0-9]*_", "", path.name.lower())).with_suffix(".html")


def default_exp_(cell, *names): del cell["source"]


def title(cells, path):
    "A notebook's first heading, or its name."
    heads = (re.search(r"^# (.+)", "".join(c["source"]), re.M) for c in cells if c["cell_type"] == "markdown")
    return next((h[1].strip() for h in heads if h), path.stem)


def anchors(path):
    "Exported name -> id that nbconvert gives its cell."
    found = {}
    for cell in NBProcessor(path, process=True).nb.cells:
        if cell.cell_type == "code" and {"export", "exports"} & (cell.directives_ or {}).keys():
            for node in ast.parse(cell.source).body:
                if isinstance(node, (ast.FunctionDef, ast.ClassDef)): found[node.name] = f"cell-id={cell.id}"
    return found


def scripts():
    "Local copies of the three scripts, if npm can fetch them: {exporter setting: path inside _docs}."
    store = ROOT / ".venv/docs-scripts"
    if not store.exists() and shutil.which("npm"):
        print("== Fetching scripts for offline pages", flush=True)
        command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix",
                   str(store)]
        try:
            subprocess.run(command + [p for p, _ in PACKAGES.values()], stdin=subprocess.DEVNULL, check=True,
                           timeout=180)
        except (subprocess.SubprocessError, OSError): shutil.rmtree(store, ignore_errors=True)
    modules = store / "node_modules"
    if not all((modules / file).exists() for _, file in PACKAGES.values()): return {}
    for part in ("requirejs", "mathjax", "@jupyter-widgets/html-manager/dist"):
        shutil.copytree(modules / part, OUT / "scripts" / part, ignore=UNUSED)
    return {name: f"scripts/{file}" for name, (_, file) in PACKAGES.items()}


def navigation(pages, here, up):
    "Links to all pages, as seen from one of them."
    def link(p, name):
        mark = " class=here" if p == here else ""
        return f'<a href="{up}{p.as_posix()}"{mark}>{escape(re.sub("[`$]", "", name))}</a>'
    links = [link(p, name) for p, name in pages.items()]
    return STYLE + f'<nav class="rabit">{" ".join(links)}</nav>'


def embed(html, folder):
    "Pictures of the project become part of the page."
    def data(src):
        path = (folder / src).resolve()
        if not path.is_file() or ROOT not in path.parents: return f'src="{src}"'
        kind = mimetypes.guess_type(path.name)[0]
        return f'src="data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"'
    return re.sub(r"(<img [^>]*?)src=\"((?![a-z]+:)[^\"]+)\"", lambda m: m[1] + data(m[2]), html)


def relink(html, up, site, ids):
    "Links to notebooks and to the published site lead to the pages beside this one."
    def local(m):
        name, _, anchor = m[1].partition("#")
        return f'href="{up}{name}' + (f'#{ids.get(anchor, anchor)}"' if anchor else '"')
    html = re.sub(r'href="' + re.escape(site) + r'/([^"]*)"', local, html)
    def swap(m): return f'href="{m[1]}{page(Path(m[2])).as_posix()}{m[3] or ""}"'
    return re.sub(r'href="((?:\.{1,2}/)*)((?!https?:)[^":#]+\.ipynb)(#[^"]*)?"', swap, html)


def main():
    os.chdir(ROOT)
    cfg = get_config()
    site = cfg.doc_host.rstrip("/") + "/" + cfg.doc_baseurl.strip("/")
    found = [p for p in NBS.rglob("*.ipynb") if not any(part[0] in "._" for part in p.relative_to(NBS).parts)]
    paths = sorted(found, key=lambda p: (p.stem != "index", p.parent.name == "tutorials", p.name))
    notebooks = {page(p.relative_to(NBS)): p for p in paths}
    pages = {here: title(nbformat.read(p, as_version=4).cells, p) for here, p in notebooks.items()}
    ids = {name: where for p in paths for name, where in anchors(p).items()}
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    local = scripts()
    print("== Writing pages" + ("" if local else " (equations and sliders will be loaded from the net)"),
          flush=True)
    for here, path in notebooks.items():
        up = "../" * (len(here.parts) - 1)
        nb = NBProcessor(path, procs=[default_exp_, hide_, hide_line, strip_ansi, clean_magics, add_links],
                         process=True).nb
        options = {name: up + file + ("?config=TeX-AMS_CHTML-full,Safe" if name == "mathjax_url" else "")
                   for name, file in local.items()}
        exporter = HTMLExporter(config=Config(HTMLExporter=options))
        html, _ = exporter.from_notebook_node(
            nbformat.reads(nb2str(nb), as_version=4),
            resources=dict(metadata=dict(name=re.sub("[`$]", "", pages[here]))),
        )
        html = relink(embed(html, path.parent), up, site, ids)
        html = re.sub(r"(<body[^>]*>)", lambda m: m[1] + navigation(pages, here, up), html, count=1)
        target = OUT / here
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(html, encoding="utf-8")
        print(f"   _docs/{here}", flush=True)
    print(f"== {len(pages)} pages. Open _docs/index.html")


if __name__ == "__main__": sys.exit(main())
