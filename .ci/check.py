#!/usr/bin/env python3
"""What `make test` runs: is everything that is made from the notebooks in step with them, and do notebooks and tests pass?

`python .ci/check.py export clean` runs only the steps named. Nothing in the working tree is changed: what has to be
made anew for a comparison is made in a temporary folder."""
import difflib, json, os, shutil, subprocess, sys, tempfile, time
from pathlib import Path

from run_notebooks import strip_widgets

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
LOGS = ROOT / "outputs/test"


def run(*command, cwd=ROOT, log=None, **env):
    "Run a command, show its output line by line, keep it in a log, return whether it succeeded."
    environment = {k: v for k, v in os.environ.items() if k != "IN_TEST"} | {"PYTHONUNBUFFERED": "1"} | env
    process = subprocess.Popen([str(c) for c in command], cwd=cwd, env=environment, text=True,
                               errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    with open(LOGS / log if log else os.devnull, "w", encoding="utf-8") as file:
        for line in process.stdout:
            print("   " + line, end="", flush=True)
            file.write(line)
    return process.wait() == 0


def copy_of_project(folder):
    "settings.ini, notebooks and library, without what export makes, in a temporary folder."
    shutil.copy(ROOT / "settings.ini", folder)
    skip = shutil.ignore_patterns("__pycache__", ".*", "*.safetensors")
    shutil.copytree(ROOT / "nbs", folder / "nbs", ignore=skip)
    shutil.copytree(ROOT / "rabit", folder / "rabit", ignore=skip)
    for path in (folder / "rabit").rglob("*.py"):
        if path.name != "__init__.py": path.unlink()
    return folder


def export():
    "exporting the notebooks leaves rabit/ as it is"
    with tempfile.TemporaryDirectory() as tmp:
        fresh = copy_of_project(Path(tmp).resolve())
        if not run(BIN / "nbdev_export", cwd=fresh): return False
        have, want = ({p.relative_to(top).as_posix(): p.read_text(encoding="utf-8")
                       for p in sorted((top / "rabit").rglob("*.py"))
                       if not any(part.startswith(".") for part in p.relative_to(top).parts)}
                      for top in (ROOT, fresh))
    for name in sorted(have.keys() | want.keys()):
        if name not in want: print(f"   {name}: no notebook exports it")
        elif name not in have: print(f"   {name}: missing, though a notebook exports it")
        elif have[name] != want[name]:
            print(f"   {name} is not what the notebooks export (- rabit/ now, + fresh export):")
            diff = list(difflib.unified_diff(have[name].splitlines(), want[name].splitlines(), lineterm="",
                                             n=1))[2:]
            print("\n".join("      " + line for line in diff[:20]
                            + ([f"... {len(diff) - 20} more lines"] if len(diff) > 20 else [])))
    if have != want:
        print("   Mend: .venv/bin/nbdev_export (first move edits made in rabit/ by hand into the notebook)")
    else: print(f"   {len(have)} modules are in step")
    return have == want


def clean():
    "notebooks carry no stray metadata and no failed cells"
    with tempfile.TemporaryDirectory() as tmp:
        fresh = copy_of_project(Path(tmp).resolve())
        if not run(BIN / "nbdev_clean", cwd=fresh): return False
        paths = sorted(p.relative_to(fresh) for p in (fresh / "nbs").rglob("*.ipynb"))
        dirty = [p for p in paths if (ROOT / p).read_bytes() != (fresh / p).read_bytes()]
    failed = [p for p in paths if any(o["output_type"] == "error"
                                      for c in json.loads((ROOT / p).read_text(encoding="utf-8"))["cells"]
                                      for o in c.get("outputs", []))]
    dirty += [p for p in paths if p not in dirty
              and strip_widgets(json.loads((ROOT / p).read_text(encoding="utf-8")))]
    for p in dirty: print(f"   {p}: not clean. Mend: .venv/bin/python .ci/run_notebooks.py {p}")
    for p in failed: print(f"   {p}: shows the output of a cell that failed. Mend: run it again")
    if not dirty + failed: print(f"   {len(paths)} notebooks are clean")
    return not dirty + failed


def tests():
    "tests generated from the notebooks are in step"
    return run(sys.executable, ".ci/export_tests.py", "--check")


def readme():
    "README.md is what nbs/index.ipynb says"
    return run(sys.executable, ".ci/make_readme.py", "--check")


def notebooks():
    "every notebook runs (two at a time)"
    return run(BIN / "nbdev_test", "--n_workers", "2", "--do_print", "--timing", log="notebooks.log",
               OMP_NUM_THREADS="1")


def pytest():
    "all tests pass"
    return run(sys.executable, "-m", "pytest", "tests", "-ra", "--durations=5",
               f"--junitxml={LOGS / 'pytest.xml'}", log="pytest.log")


CHEAP, LONG = (export, clean, tests, readme), (notebooks, pytest)


def main(wanted):
    steps = {step.__name__: step for step in CHEAP + LONG}
    if unknown := [w for w in wanted if w not in steps]:
        print(f"no step named {', '.join(unknown)}; there are {', '.join(steps)}", file=sys.stderr)
        return 2
    steps, failed = [steps[w] for w in wanted] or list(steps.values()), []
    LOGS.mkdir(parents=True, exist_ok=True)
    for number, step in enumerate(steps, 1):
        if step in LONG and any(f in CHEAP for f in failed): continue
        print(f"== {number}/{len(steps)} {step.__name__}: {step.__doc__}", flush=True)
        start = time.time()
        if not step(): failed.append(step)
        print(f"   {'FAILED' if step in failed else 'ok'} ({time.time() - start:.0f} s)", flush=True)
    if failed:
        print(f"== Failed: {', '.join(f.__name__ for f in failed)}. Logs: {LOGS.relative_to(ROOT)}/")
        if any(f in CHEAP for f in failed) and len(steps) > len(CHEAP):
            print("   Notebooks and tests were not run: mend the above first.")
        return 1
    print(f"== All is well. Logs and pytest.xml are in {LOGS.relative_to(ROOT)}/")
    return 0


if __name__ == "__main__": sys.exit(main(sys.argv[1:]))
