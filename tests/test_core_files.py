# Generated from nbs/0_core/01_files.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import subprocess
import sys
from PIL import Image
from pathlib import Path
from rabit.core.files import check_new_folders
from rabit.core.files import check_output
from rabit.core.files import check_sides
from rabit.core.files import existing_folder
from rabit.core.files import find_named
from rabit.core.files import hold_folder
from rabit.core.files import missing_folders
from rabit.core.files import read_json
from rabit.core.files import write_atomic
from rabit.core.files import write_image
from rabit.core.files import write_json
from rabit.core.tensors import RabitError
from tempfile import TemporaryDirectory

def fails(f, *words):
    "Does `f` raise an error whose message holds all of the words?"
    try: f()
    except RabitError as e:
        assert all(word in str(e) for word in words), str(e)
        return True
    return False


def test_files_are_found_by_name_in_natural_order():
    joints = ("_keypoints.json", ".json", "_candidate.txt")
    with TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        for name in ("a10.png", "a2.PNG", "sub/b.jpg", ".hidden.png", ".git/c.png", "notes.txt",
                     "p_keypoints.json", "q_candidate.txt", "q_subset.txt"):
            (tmp / name).parent.mkdir(exist_ok=True)
            (tmp / name).touch()
        assert list(find_named(tmp)) == ["a2", "a10", "sub/b"] and list(find_named(tmp, joints)) == ["p", "q"]
        assert list(find_named(tmp, deep=False)) == ["a2", "a10"]
        (tmp / "a2.webp").touch()
        assert fails(lambda: find_named(tmp), "a2.PNG and a2.webp")
        assert fails(lambda: find_named(tmp / "sub", joints), "_candidate.txt")
        assert existing_folder(str(tmp)) == tmp
        assert fails(lambda: existing_folder(tmp / "a2.PNG", "; or a world"), "this is a file", "; or a world")
        assert fails(lambda: existing_folder(tmp / "nowhere"), "nowhere", "no such folder")


def test_a_killed_write_leaves_the_old_file_whole():
    def killed(path):
        with open(path, "w") as f: f.write("the new wei"); f.flush(); raise KeyboardInterrupt
    def full(p): raise OSError(28, "No space left on device")
    with TemporaryDirectory() as tmp:
        path = Path(tmp) / "deeper" / "weights"
        write_atomic(path, lambda p: p.write_text("the good old weights"))
        try: write_atomic(path, killed)
        except KeyboardInterrupt: pass
        assert path.read_text() == "the good old weights"
        assert [p.name for p in path.parent.iterdir()] == ["weights"]
        assert fails(lambda: write_atomic(path / "below", lambda p: p.write_text("x")), str(path), "no folder")
        assert fails(lambda: write_atomic(path.parent, lambda p: p.write_text("x")), "it is a folder")
        assert fails(lambda: write_atomic(path, full), str(path), "No space left")
        assert path.read_text() == "the good old weights"


def test_the_file_that_is_replaced_can_be_kept():
    def full(p): raise OSError(28, "No space left on device")
    with TemporaryDirectory() as tmp:
        path, before = Path(tmp) / "weights", Path(tmp) / "weights.previous"
        write_atomic(path, lambda p: p.write_text("the good old weights"))
        write_atomic(path, lambda p: p.write_text("newer weights"), keep=before)
        assert path.read_text() == "newer weights" and before.read_text() == "the good old weights"
        assert fails(lambda: write_atomic(path, full, keep=before), "No space left")
        assert path.read_text() == "newer weights" and before.read_text() == "the good old weights"


def test_json_is_read_again_or_named():
    with TemporaryDirectory() as tmp:
        path = Path(tmp) / "config.json"
        write_json(path, dict(classes=7))
        assert read_json(path) == dict(classes=7)
        for text, word in (("[1]", "holds a list"), ("{", "cannot be read"), ("[" * 50_000, "cannot be read")):
            path.write_text(text)
            assert fails(lambda: read_json(path), str(path), word)
        assert fails(lambda: read_json(tmp), "it is no file")
        assert fails(lambda: read_json(path / "x"), "cannot be read")


def test_a_folder_is_held_by_one_process_and_freed_when_it_ends():
    with TemporaryDirectory() as tmp:
        code = ("import os\nfrom rabit.core.files import hold_folder\nfrom pathlib import Path\n"
            f"try:\n    with hold_folder(Path({tmp!r})): print('held')\n"
            "except Exception as e: print(e, flush=True)\ninput()\n"
            f"with hold_folder(Path({tmp!r})): print('held', flush=True)\n"
            f"with hold_folder(Path({tmp!r})): os._exit(1)")
        with hold_folder(Path(tmp)):
            other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     text=True)
            assert "another process trains there" in other.stdout.readline()
        assert other.communicate("\n")[0] == "held\n" and other.returncode == 1  # it was killed as it held it
        with hold_folder(Path(tmp)): pass


def test_one_missing_folder_is_made_and_more_are_refused():
    with TemporaryDirectory() as tmp:
        home = Path(tmp).resolve()
        (home / "there").mkdir()
        assert missing_folders(home / "a" / "b" / "c.png") == [home / "a" / "b", home / "a"]
        for fine in ("c.png", "there/c.png", "new/c.png", "there/new/c.png"): check_new_folders(home / fine)
        for typo in ("new/below/c.png", "ther/new/c.png"):
            assert fails(lambda: check_new_folders(home / typo), str(home / typo.split("/")[0]), "mend the path")
        check_new_folders(home / "new" / "below" / "deep" / "c.png", home / "new")  # in an output folder, any
        out = home / "a" / "b" / "out"
        assert fails(lambda: check_new_folders(out / "c.png", out), str(home / "a"), "no folder")


def test_outputs_that_cannot_be_written_are_refused_before_any_work():
    with TemporaryDirectory() as tmp:
        file = Path(tmp) / "file.png"
        write_image(Image.new("RGB", (4, 3)), file)
        before = file.read_bytes()
        for bad, word in ((file / "below.png", "no folder"), (Path(tmp) / "a.txt", ".webp"),
                          (Path(tmp), "does not end")):
            try: check_output(bad)
            except RabitError as e:
                print(e)
                assert word in str(e)
            else: raise AssertionError(f"{bad} was taken")
        check_output(Path(tmp) / "new" / "a.jpg")
        assert file.read_bytes() == before and [p.name for p in Path(tmp).iterdir()] == ["file.png"]
        assert fails(lambda: check_output(file, inputs=(None, file)), "is an input, too")
        assert fails(lambda: check_sides((20000, 4), "WEBP", file), "16383", "20000×4")
