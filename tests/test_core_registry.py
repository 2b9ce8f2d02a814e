# Generated from nbs/0_core/07_registry.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import sys
from contextlib import chdir
from pathlib import Path
from rabit.core.registry import _own
from rabit.core.registry import find
from rabit.core.registry import register
from rabit.core.registry import registered
from rabit.core.tensors import RabitError
from tempfile import TemporaryDirectory

def error_of(f, *args, **kwargs):
    "The message of the error that `f` raises"
    try: f(*args, **kwargs)
    except RabitError as e: return str(e)
    return "no error"


def test_registered_names_are_listed():
    register("worlds", "flat land", dict(dimensions=2))
    assert "flat land" in registered("worlds") and "flat land" not in registered("models")
    assert registered("models") == sorted(registered("models"))
    assert "'wheels'; choose from models, worlds, datasets" in error_of(registered, "wheels")
    assert "got ''" in error_of(register, "models", "", print)


def test_own_parts_are_found_by_dotted_names_that_users_type():
    with TemporaryDirectory() as folder, chdir(folder):
        Path("my_own_parts.py").write_text("def build(classes): return f'a network for {classes} classes'")
        message = error_of(find, "models", "my_own_parts:build")
        assert "'my_own_parts:build'" in message and "rabit.register" in message
        assert "my_own_parts" not in sys.modules
        assert find("models", "my_own_parts:build", dotted=True)(7) == "a network for 7 classes"
        assert find("models", "my_own_parts:build")(8) == "a network for 8 classes"
        assert find("models", "my_own_parts.build", dotted=True)(9) == "a network for 9 classes"
        if sys.path[-1] == folder: sys.path.pop()
        for name in ("my_own_parts:build", "my_own_parts.build"): del _own["models"][name]
    print(message)


def test_what_cannot_be_found_is_answered_with_what_can():
    register("datasets", "later", "json:loads")
    assert find("datasets", "later")("[1]") == [1]
    assert "unknown data set 'nothing'; choose from" in error_of(find, "datasets", "nothing", dotted=True)
    for name in ("no_such_module:f", "json:no_such_function", "json.no_such_function", ":f", "json:", "."):
        assert f"{name!r} cannot be imported" in error_of(find, "datasets", name, dotted=True), name
