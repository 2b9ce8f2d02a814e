#!/usr/bin/env python3
"""Why: nbdev_test stores no outputs; this runs notebooks and keeps what they show, clean.

`python .ci/run_notebooks.py [NOTEBOOK ...]` (all of nbs/ by default). Each is executed in its own kernel,
cleaned as nbdev cleans, and freed of widget state (random ids that change with every run; the image drawn
first stays for readers on the web). A notebook that fails is left as it was."""
import json, subprocess, sys, tempfile, time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
VIEW = "application/vnd.jupyter.widget-view+json"


def strip_widgets(notebook):
    "Drop widget views and widget state from a notebook (a dict), in place; say whether there were any."
    found = notebook["metadata"].pop("widgets", None) is not None
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []): found |= output.get("data", {}).pop(VIEW, None) is not None
    return found


def run(path):
    "Execute, strip, clean and put in place; return whether it went well."
    start = time.time()
    with tempfile.TemporaryDirectory() as tmp:
        done = Path(tmp) / path.name
        command = [BIN / "jupyter", "nbconvert", "--to", "notebook", "--execute",
                   "--ExecutePreprocessor.timeout=900", "--output", done, path]
        try:
            found = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=1800,
                                   cwd=path.parent)
        except subprocess.TimeoutExpired: print(f"{path.name}: no end after half an hour"); return False
        if found.returncode: print(f"{path.name}: failed\n{found.stderr[-3000:]}"); return False
        notebook = json.loads(done.read_text(encoding="utf-8"))
        strip_widgets(notebook)
        path.write_text(json.dumps(notebook, sort_keys=True, indent=1, ensure_ascii=False) + "\n",
                        encoding="utf-8")
    subprocess.run([BIN / "nbdev_clean", "--fname", path], check=True, cwd=ROOT)
    print(f"{path.name}: {time.time() - start:.0f} s, {path.stat().st_size / 1e3:.0f} kB", flush=True)
    return True


if __name__ == "__main__":
    paths = [Path(p).resolve() for p in sys.argv[1:]] or sorted(p for p in (ROOT / "nbs").rglob("*.ipynb")
                                                                if ".ipynb_checkpoints" not in p.parts)
    failed = [p.name for p in paths if not run(p)]
    if failed: sys.exit(f"failed: {', '.join(failed)}")
