#!/usr/bin/env python3
"""Why: nbdev checks neither that what is made from notebooks is in step with them, nor lint, types or tests.

`make test` runs this. `python .ci/check.py export clean` runs only the steps named. Nothing in the working
tree is changed: what has to be made anew for a comparison is made in a temporary folder."""
import difflib, functools, json, multiprocessing, os, re, shutil, subprocess, sys, tempfile, textwrap, time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from run_notebooks import strip_widgets

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
NBS, LOGS = ROOT / "nbs", ROOT / "outputs/test"
BY_HAND = ("__init__.py", "__main__.py")   # in rabit/; everything else there is exported


def start(*command, cwd=ROOT, **env):
    "A command that runs, and whose output can be read"
    environment = {k: v for k, v in os.environ.items() if k != "IN_TEST"} | {"PYTHONUNBUFFERED": "1"} | env
    return subprocess.Popen([str(c) for c in command], cwd=cwd, env=environment, text=True,
                            errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)


def finish(process, log=None):
    "Show the output of a command line by line, keep it in a log, return whether it succeeded."
    with open(LOGS / log if log else os.devnull, "w", encoding="utf-8") as file:
        for line in process.stdout:
            print("   " + line, end="", flush=True)
            file.write(line)
    return process.wait() == 0


def run(*command, log=None, **how):
    "Run a command to its end: see `start` and `finish`."
    return finish(start(*command, **how), log)


def copy_of_project(folder):
    "settings.ini, notebooks and library, without what export makes, in a temporary folder."
    shutil.copy(ROOT / "settings.ini", folder)
    skip = shutil.ignore_patterns("__pycache__", ".*", "*.safetensors")
    shutil.copytree(ROOT / "nbs", folder / "nbs", ignore=skip)
    shutil.copytree(ROOT / "rabit", folder / "rabit", ignore=skip)
    for path in (folder / "rabit").rglob("*.py"):
        if path.name not in BY_HAND: path.unlink()
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


def long_lines(path):
    "Lines of a notebook's prose that are over 100 characters; tables, code, links and equations excepted."
    for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
        if cell["cell_type"] != "markdown": continue
        text = re.sub(r"^```.*?^```|\$\$.*?\$\$", "", "".join(cell["source"]), flags=re.M | re.S)
        for line in text.splitlines():
            rest = re.sub(r"\]\([^)]*\)|\$[^$]*\$|`[^`]*`|\S{60,}", "", line)
            if len(rest) > 100 and line.lstrip()[:1] not in "|$<!": yield number, len(line)


def style():
    "ruff finds nothing in library, tests and notebooks; prose has lines of at most 100 characters"
    found = [f"{path.relative_to(ROOT)}, cell {number}: {size} characters"
             for path in notebook_paths() for number, size in long_lines(path)]
    for line in found: print(f"   {line}")
    return run(BIN / "ruff", "check", "--quiet", "--output-format", "concise", "rabit", "tests", ".ci",
               "nbs") and not found


@functools.cache
def type_checker():
    "mypy, started once: it keeps one core busy while the cheap steps keep the other"
    return start(sys.executable, ".ci/check_types.py")


def types():
    "mypy accepts the library, README's snippets and the tutorials"
    return finish(type_checker(), "types.log")


def notebook_paths():
    "Every notebook that runs, in the order of reading."
    return sorted(p for p in NBS.rglob("*.ipynb")
                  if not any(part.startswith(".") for part in p.relative_to(ROOT).parts))


def run_notebook(path, log):
    "`nbdev_test` in this process, without the marked cells, which pytest runs: success, seconds"
    import nbdev.test
    nbdev.test.CaptureShell = functools.partial(nbdev.test.CaptureShell, mpl_format="png")  # not "retina"
    os.environ.pop("IN_TEST", None)
    with open(log, "w", encoding="utf-8") as file:
        for stream in (1, 2): os.dup2(file.fileno(), stream)
        return nbdev.test.test_nb(path, skip_flags=["notest", "slow", "gpu", "test"], basepath=ROOT)


def notebooks():
    "every notebook runs (two at a time, the longest first)"
    known = json.loads(SECONDS.read_text(encoding="utf-8"))
    paths = sorted(notebook_paths(), key=lambda p: -known.get(p.stem, 20))
    fork = multiprocessing.get_context("forkserver")  # a new process each, with what most of them import
    fork.set_forkserver_preload(["torch", "torch._dynamo", "scipy.optimize", "matplotlib.pyplot",
                                 "ipywidgets", "nbdev.test"])
    (LOGS / "notebooks").mkdir(exist_ok=True)
    failed, seconds = [], {}
    with ProcessPoolExecutor(2, mp_context=fork, max_tasks_per_child=1) as pool:
        logs = {path: LOGS / f"notebooks/{path.stem}.log" for path in paths}
        running = {pool.submit(run_notebook, path, log): path for path, log in logs.items()}
        for future in as_completed(running):
            path = running[future]
            passed, took = (False, 0.) if future.exception() else future.result()
            seconds[path.stem] = round(took)
            print(f"   {path.relative_to(NBS)}: {took:.0f} s{'' if passed else ' FAILED'}", flush=True)
            if passed: continue
            failed.append(path)
            said = logs[path].read_text(encoding="utf-8", errors="replace") + str(future.exception() or "")
            print(textwrap.indent("\n".join(said.splitlines()[-30:]), "      "), flush=True)
    text = json.dumps(dict(sorted(seconds.items())), indent=1) + "\n"
    (LOGS / "seconds.json").write_text(text, encoding="utf-8")
    return not failed


def run_pytest(log, processes, *options):
    "pytest on two cores"
    return run(sys.executable, "-m", "pytest", "tests", "-q", "-n", processes, "--dist", "loadfile",
               *options, log=log)


def pytest():
    "all tests pass (in three processes, since one of them often waits)"
    return run_pytest("pytest.log", 3, "-ra", "--durations=10", f"--junitxml={LOGS / 'pytest.xml'}")


def quick():
    "the tests of files that take a few seconds pass"
    return run_pytest("quick.log", 2, "-m", "not long and not slow")


SECONDS = Path(__file__).with_name("seconds.json")  # decides the order alone
CHEAP = (export, clean, tests, readme, style)
LONG = (types, notebooks, pytest)


def main(wanted):
    if wanted == ["--quick"]: wanted = [step.__name__ for step in (*CHEAP, quick)]
    steps = {step.__name__: step for step in (*CHEAP, *LONG, quick)}
    if unknown := [w for w in wanted if w not in steps]:
        print(f"no step named {', '.join(unknown)}; there are {', '.join(steps)}", file=sys.stderr)
        return 2
    steps, failed = [steps[w] for w in wanted] or [*CHEAP, *LONG], []
    LOGS.mkdir(parents=True, exist_ok=True)
    os.environ.update(OMP_NUM_THREADS="1", MPLBACKEND="agg")  # two processes run at a time
    if types in steps: type_checker()
    for number, step in enumerate(steps, 1):
        if step in LONG and any(f in CHEAP for f in failed): continue
        print(f"== {number}/{len(steps)} {step.__name__}: {step.__doc__}", flush=True)
        start = time.time()
        if not step(): failed.append(step)
        print(f"   {'FAILED' if step in failed else 'ok'} ({time.time() - start:.0f} s)", flush=True)
    if failed:
        if types in steps: type_checker().kill()  # where its step was left out
        print(f"== Failed: {', '.join(f.__name__ for f in failed)}. Logs: {LOGS.relative_to(ROOT)}/")
        if any(f in CHEAP for f in failed) and len(steps) > len(CHEAP):
            print("   Notebooks and tests were not run: mend the above first.")
        return 1
    print(f"== All is well. Logs and pytest.xml are in {LOGS.relative_to(ROOT)}/")
    return 0


if __name__ == "__main__": sys.exit(main(sys.argv[1:]))
