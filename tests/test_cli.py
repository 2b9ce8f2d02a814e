# Generated from nbs/16_cli.ipynb by .ci/export_tests.py: edit the notebook, not this file.
import io
from PIL import Image
from argparse import ArgumentTypeError
from contextlib import redirect_stderr
from contextlib import redirect_stdout
from pathlib import Path
from rabit.cli import above_zero
from rabit.cli import argument_of
from rabit.cli import check_output
from rabit.cli import command
from rabit.cli import fresh_folder
from rabit.cli import positive
from rabit.cli import rabit_demo
from rabit.cli import rabit_doctor
from rabit.cli import rabit_edit
from rabit.cli import rabit_eval
from rabit.cli import rabit_retrieve
from rabit.cli import rabit_train
from rabit.cli import rabit_translate
from rabit.cli import size_of
from rabit.cli import steps_or_minutes
from rabit.cli import weight_of
from rabit.cli import write_picture
from rabit.core import RabitError
from tempfile import TemporaryDirectory

def call(f, *argv):
    "Exit code, standard output and standard error of a command, run in this process"
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        try: code = f([str(a) for a in argv]) or 0
        except SystemExit as stop: code = stop.code or 0
    return code, out.getvalue(), err.getvalue()


def test_a_command_ends_in_one_line_and_its_exit_code():
    @command
    def cough(argv): raise RabitError("this does not fit;\nthat would")
    @command
    def stop(argv): raise KeyboardInterrupt
    @command
    def bug(argv): return 1 / 0
    assert call(cough) == (2, "", "cough: this does not fit; that would\n") and call(stop) == (130, "", "")
    try: call(bug)
    except ZeroDivisionError: pass
    else: raise AssertionError("a bug was hidden")


def test_arguments_of_builders_are_numbers_or_text():
    assert argument_of("k=5") == ("k", 5) and argument_of("eps=.5") == ("eps", .5)
    assert argument_of("position=coord") == ("position", "coord")
    for text in ("k", "=5"):
        try: argument_of(text); said = ""
        except ArgumentTypeError as e: said = str(e)
        assert repr(text) in said and "k=5" in said


def test_saves_are_said_in_steps_or_minutes():
    assert steps_or_minutes("500") == dict(save_every=500) and steps_or_minutes("2.5m") == dict(save_minutes=2.5)
    for text in ("0", "m", "-1m", "often"):
        try: steps_or_minutes(text); said = ""
        except ArgumentTypeError as e: said = str(e)
        assert repr(text) in said


def test_arguments_are_read_and_refused_with_a_reason():
    assert size_of("128x96") == size_of("128×96") == (96, 128) and weight_of("match=0.3") == ("match", .3)
    assert positive("12") == 12 and above_zero("2e-4") == 2e-4
    for read, bad in ((size_of, "128"), (size_of, "128xtall"), (size_of, "0x64"), (weight_of, "match"), (positive, "0"), (positive, "1.5"), (above_zero, "nan"), (above_zero, "-1")):
        try: read(bad)
        except ArgumentTypeError as e: print(e); assert bad in str(e)
        else: raise AssertionError(f"{bad} was taken")


def test_outputs_that_cannot_be_written_are_refused_before_any_work():
    with TemporaryDirectory() as tmp:
        file = Path(tmp) / "file.png"
        write_picture(Image.new("RGB", (4, 3)), file)
        before = file.read_bytes()
        for bad, word in ((file / "below.png", "no folder"), (Path(tmp) / "a.txt", ".webp"), (Path(tmp), "does not end")):
            try: check_output(bad)
            except RabitError as e: print(e); assert word in str(e)
            else: raise AssertionError(f"{bad} was taken")
        check_output(Path(tmp) / "new" / "a.jpg")
        assert file.read_bytes() == before and [p.name for p in Path(tmp).iterdir()] == ["file.png"]


def test_folders_of_the_demo_are_never_used_twice():
    with TemporaryDirectory() as tmp:
        first = fresh_folder(Path(tmp) / "run"); first.mkdir()
        second = fresh_folder(Path(tmp) / "run"); second.mkdir()
        assert [first.name, second.name, fresh_folder(Path(tmp) / "run").name] == ["run", "run-2", "run-3"]


def test_every_command_has_help_and_a_version():
    for f in (rabit_train, rabit_translate, rabit_edit, rabit_eval, rabit_retrieve, rabit_doctor, rabit_demo):
        code, out, err = call(f, "--help")
        assert code == 0 and out.startswith(f"usage: {f.__name__}") and err == ""
        assert call(f, "--version")[1].startswith("rabit ")
    print(call(rabit_translate, "--help")[1])
