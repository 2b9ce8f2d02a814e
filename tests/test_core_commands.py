# Generated from nbs/0_core/06_commands.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import io
import sys
import warnings
from argparse import ArgumentTypeError
from contextlib import redirect_stderr
from contextlib import redirect_stdout
from pathlib import Path
from rabit import __version__
from rabit.core.commands import Arg
from rabit.core.commands import Count
from rabit.core.commands import Device
from rabit.core.commands import Positive
from rabit.core.commands import Size
from rabit.core.commands import _read_annotation
from rabit.core.commands import _renamed
from rabit.core.commands import changed_options
from rabit.core.commands import command
from rabit.core.commands import command_path
from rabit.core.commands import error_line
from rabit.core.commands import option_names
from rabit.core.commands import parse_loss_weight
from rabit.core.commands import parse_model_arg
from rabit.core.commands import parse_save_interval
from rabit.core.commands import parse_size
from rabit.core.commands import positive_float
from rabit.core.commands import positive_int
from rabit.core.commands import printable
from rabit.core.commands import run_politely
from rabit.core.commands import typed
from rabit.core.commands import typed_again
from rabit.core.tensors import RabitError
from rabit.core.tensors import RabitWarning
from rabit.core.tensors import check
from typing import Annotated
from typing import Literal

def call(f, *argv):
    "Exit code, standard output and standard error of a command, run in this process"
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        try: code = f([str(a) for a in argv]) or 0
        except SystemExit as stop: code = stop.code or 0
    return code, out.getvalue(), err.getvalue()

@command
def copy_images(
    folder:Path,  # where the images are
    # where they shall be;
    # a new folder
    out:Annotated[Path, Arg("-o", old=("--to",))]=Path("copies"),
    times:Annotated[int, Arg(read=int, metavar="N")]=1,  # copies of each, 100 % alike
    format:Literal["png", "jpg"]|None=None,              # of the copies
    only:Annotated[list[str]|None, Arg(nargs="+")]=None, # these
    tag:Annotated[list[str]|None, Arg(append=True, metavar="WORD")]=None,  # may be repeated
    hidden:bool=False,                                   # those, too
    links:bool=True,                                     # follow none
):
    "Copy images"
    check(times > 0, f"--times must be at least 1, got {times}")
    print(folder, out, times, format, only, tag, hidden, links, typed())


def test_what_could_steer_a_terminal_is_spelled_out():
    assert printable("\x1b[31mred\n") == "\\x1b[31mred\n"


def test_only_what_can_be_mended_becomes_a_line():
    assert error_line(RabitError("this does not fit;\nthat would")) == "this does not fit; that would"
    assert "not enough memory" in (error_line(MemoryError()) or "")
    lacks = "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64."
    assert "--device cpu always can" in (error_line(TypeError(lacks)) or "")
    try: open("\0")
    except ValueError as e: assert "null character" in (error_line(e) or "")
    else: assert False
    assert error_line(ZeroDivisionError("a bug")) is None and error_line(TypeError("a bug")) is None


def test_warnings_of_a_command_are_one_line_each_and_alike_ones_are_counted():
    def warn_thrice():
        for n in (1, 2.5, 3): warnings.warn(f"image {n} is\nodd", RabitWarning)
        return "done"
    with redirect_stderr(io.StringIO()) as err: assert run_politely("look", warn_thrice) == "done"
    assert err.getvalue().splitlines() == ["look: image 1 is odd", "look: 2 more warnings like this"]


def test_old_names_of_options_are_understood_and_told():
    with redirect_stderr(io.StringIO()) as err:
        found = _renamed("--weights=a --model k=5 --model dynast --model=b=c -- --weights".split(),
                         {"--weights": "--checkpoint", "--model=": "--model-arg"}, "paint")
    assert found == "--checkpoint=a --model-arg k=5 --model dynast --model-arg=b=c -- --weights".split()
    assert err.getvalue() == ("paint: --weights is called --checkpoint now\n"
                          "paint: --model is called --model-arg now\n")


def test_annotations_are_read_through_unions_and_notes():
    note = Arg("-o")
    assert _read_annotation(int)[0] == _read_annotation(list[int]|None)[0] == int
    for annotation in (Annotated[Path, note]|None, Annotated[Path|None, note], Annotated[Path, note]):
        kind, arg = _read_annotation(annotation)
        assert kind is Path and arg.short == "-o"
    kind, arg = _read_annotation(Annotated[Annotated[int, Arg(read=abs)], Arg(metavar="N")])
    assert kind is int and arg.read is abs and arg.metavar == "N"


def test_a_command_is_named_as_it_can_be_typed():
    @command
    def say_again(text:str="a b"):
        "Say how this command was typed"
        print(typed_again())
    with redirect_stdout(io.StringIO()) as out: say_again(["--text", "c d"])
    assert out.getvalue().endswith("say_again --text 'c d'\n")
    assert command_path(Path(sys.executable).name).endswith(Path(sys.executable).name)


def test_a_documented_function_is_a_command():
    printed = "here copies 1 None None None False True copy_images here\n"
    assert call(copy_images, "here")[:2] == (0, printed)
    line = "here -o b.c --times=3 --format jpg --tag a --tag b --hidden --no-links --only x y"
    printed = call(copy_images, *line.split())[1]
    assert printed == f"here b.c 3 jpg ['x', 'y'] ['a', 'b'] True False copy_images {line}\n"
    assert call(copy_images, "here", "--to", "there")[2] == "copy_images: --to is called --out now\n"
    help = " ".join(call(copy_images, "--help")[1].split())
    for words in ("usage: copy_images", "-o OUT, --out OUT where they shall be; a new folder (default copies)",
                  "--times N copies of each, 100 % alike (default 1)", "--no-links", "{png,jpg}", "--tag WORD"):
        assert words in help, words
    assert call(copy_images, "--version")[1] == f"rabit {__version__}\n"


def test_a_command_ends_in_one_line_and_its_exit_code():
    @command
    def cough(): raise RabitError("this does not fit;\nthat would")
    @command
    def stop(): raise KeyboardInterrupt
    @command
    def bug(): return 1 / 0
    assert call(cough) == (2, "", "cough: this does not fit; that would\n") and call(stop) == (130, "", "")
    try: call(bug)
    except ZeroDivisionError: pass
    else: raise AssertionError("a bug was hidden")
    for line, word in (("", "folder"), ("a b", "b"), ("a --times x", "'x'"), ("a --times 0", "got 0"),
                       ("a --format gif", "gif"), ("a --tag=--", "no value")):
        code, out, err = call(copy_images, *line.split())
        print(err, end="")
        assert code == 2 and out == "" and err.startswith("copy_images: ")
        assert err.count("\n") == 1 and word in err
    try: copy_images(Path("here"), times=0)
    except RabitError as e: assert "got 0" in str(e)
    else: raise AssertionError("a plain call hid its error")


def test_options_that_differ_from_their_defaults_are_named():
    assert changed_options(copy_images, dict(times=1, links=False, hidden=False)) == ["links"]
    assert option_names(["exemplar_condition", "out_"]) == "--exemplar-condition, --out"


def test_arguments_of_models_are_numbers_true_false_or_text():
    assert parse_model_arg("k=5") == ("k", 5) and parse_model_arg("eps=.5") == ("eps", .5)
    assert parse_model_arg("position=coord") == ("position", "coord")
    assert parse_model_arg("learn_temperature=true")[1] is True and parse_model_arg("a=False")[1] is False
    for text in ("k", "=5"):
        try: parse_model_arg(text); said = ""
        except ArgumentTypeError as e: said = str(e)
        assert repr(text) in said and "k=5" in said


def test_saves_are_said_in_steps_or_minutes():
    assert parse_save_interval("500") == dict(save_every=500)
    assert parse_save_interval("2.5m") == dict(save_minutes=2.5)
    for text in ("0", "m", "-1m", "often"):
        try: parse_save_interval(text); said = ""
        except ArgumentTypeError as e: said = str(e)
        assert repr(text) in said


def test_arguments_are_read_and_refused_with_a_reason():
    assert parse_size("128x96") == parse_size("128×96") == (96, 128)
    assert parse_loss_weight("match=0.3") == ("match", .3)
    assert positive_int("12") == 12 and positive_float("2e-4") == 2e-4
    for read, bad in ((parse_size, "128"), (parse_size, "128xtall"), (parse_size, "0x64"),
                      (parse_loss_weight, "match"), (positive_int, "0"), (positive_int, "1.5"),
                      (positive_float, "nan"), (positive_float, "-1")):
        try: read(bad)
        except ArgumentTypeError as e: print(e); assert bad in str(e)
        else: raise AssertionError(f"{bad} was taken")


def test_annotations_of_options_read_what_users_write():
    @command
    def shown(
        size:Size|None=None,  # of all
        count:Count=2,        # of them
        rate:Positive=.5,     # of change
        device:Device="auto",
    ):
        "Show them"
        print(size, count, rate, device)
    printed = call(shown, "--size", "32x16", "--count", "3", "--rate", "2", "--device", "cpu")[1]
    assert printed == "(16, 32) 3 2.0 cpu\n"
    assert "'0x4'" in call(shown, "--size", "0x4")[2] and "cuda:1, … (default auto)" in call(shown, "--help")[1]
