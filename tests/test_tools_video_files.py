# Generated from nbs/6_tools/63a_video_files.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import io
import json
import numpy as np
import shutil
import torch
from PIL import Image
from contextlib import redirect_stderr
from contextlib import redirect_stdout
from pathlib import Path
from rabit.core.tensors import RabitError
from rabit.core.tensors import resize
from rabit.core.tensors import to_pil
from rabit.inputs.palettes import read_labels
from rabit.networks.translate import rabit
from rabit.tools.video_files import rabit_frames
from rabit.tools.video_files import read_frames
from rabit.tools.video_files import shared_palette
from rabit.tools.video_files import write_frames
from tempfile import TemporaryDirectory

def call(*argv):
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        try: code = rabit_frames([str(a) for a in argv]) or 0
        except SystemExit as stop: code = stop.code or 0
    return code, out.getvalue(), err.getvalue()


def test_maps_survive_folders_and_both_kinds_of_animation():
    maps = [torch.zeros(12, 16, dtype=torch.uint8) for _ in range(11)]
    for i, x in enumerate(maps):
        x[i % 5:i % 5 + 4, i:i + 4] = 6
        x[10] = 3
        x[11, :i + 1] = 255
    grey = [Image.fromarray(x.numpy()) for x in maps]
    indexed = [Image.fromarray(x.numpy()).convert("P") for x in maps]
    for x, p in zip(maps, indexed):
        p.putdata(x.flatten().tolist())
        p.putpalette([v for i in range(256) for v in (i, 255 - i, i * 7 % 256)])
    palette = indexed[0].getpalette()
    known = {tuple(palette[3 * i:3 * i + 3]): i for i in range(256)}
    with TemporaryDirectory() as place:
        place = Path(place)
        for name, images, options in (("grey.gif", grey, {}), ("indexed.gif", indexed, dict(optimize=False)),
                                      ("grey.png", grey, {}), ("indexed.png", indexed, {})):
            images[0].save(place / name, save_all=True, append_images=images[1:], duration=100, **options)
            back = read_frames(place / name)
            assert len(back) == 11, (name, len(back))
            for x, p in zip(maps, back):
                assert (read_labels(p, None, known if name == "indexed.gif" else None)[0] == x).all(), name
        (place / "video").mkdir()
        for i, p in enumerate(grey): p.save(place / "video" / f"frame {i}.png")
        (place / "video" / "notes.txt").write_text("no image")
        assert [f.name for f in read_frames(place / "video")] == [f"frame {i}.png" for i in range(11)]
        (place / "empty").mkdir()
        (place / "bad.gif").write_bytes(b"GIF89a nonsense")
        (place / "video.mp4").write_bytes(b"x")
        for name, text in (("nowhere", "no such file"), ("empty", "holds no files to read"),
                           ("bad.gif", "cannot be read as a video"), ("video.mp4", "is no video of label maps")):
            try: read_frames(place / name)
            except RabitError as e: assert text in str(e), e
            else: raise AssertionError(name)


def test_one_palette_for_all_frames_and_what_stands_still_stands_still():
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    base = np.stack([np.tile(ramp, (48, 1)), np.tile(ramp[::-1], (48, 1)), np.tile(ramp[:48, None], (1, 64))], -1)
    video = []
    for t in range(4):
        x = base.copy()
        x[:16, 8 * t:8 * t + 20] = (40 * t, 200, 90)
        video.append(Image.fromarray(x))
    done = shared_palette(video)
    assert all(p.getpalette() == done[0].getpalette() for p in done)
    back = [np.asarray(p.convert("RGB"), int) for p in done]
    assert all((x[16:] == back[0][16:]).all() for x in back)
    assert max(np.abs(x - np.asarray(f, int)).mean() for x, f in zip(back, video)) < 6


def test_videos_are_written_and_read_back():
    def images(path):
        with Image.open(path) as im:
            out = []
            for i in range(im.n_frames):
                im.seek(i)
                out.append(np.asarray(im.convert("RGB"), int))
            return out, im.info.get("duration")
    torch.manual_seed(0)
    noise = torch.rand(4, 3, 6, 8)
    video = [to_pil(resize(x[None] * 2 - 1, (30, 41))) for x in noise]
    with TemporaryDirectory() as place:
        place = Path(place)
        back, duration = images(write_frames(iter(video), place / "video.gif", 8))
        few = shared_palette(video)
        assert len(back) == 4 and duration in (120, 125, 130)
        assert all((x == np.asarray(p.convert("RGB"), int)).all() for x, p in zip(back, few))
        back, _ = images(write_frames(video, place / "video.webp"))
        assert all((x == np.asarray(f, int)).all() for x, f in zip(back, video))
        folder = write_frames(video, place / "images")
        assert [f.name for f in read_frames(folder)] == [f"{i:04d}.png" for i in range(4)]
        assert (np.asarray(Image.open(folder / "0003.png")) == np.asarray(video[3])).all()
        for path, frames, fps, text in (
            (folder, video, 10, "there already"),
            (place / "x.gif", [], 10, "no frames"),
            (place / "x.avi", video, 10, "does not end in .gif"),
            (place / "x.gif", video, 60, "at most 50"),
            (place / "x.webp", [video[0], video[0].crop((0, 0, 5, 5))], 10, "one size"),
        ):
            try: write_frames(frames, path, fps)
            except RabitError as e: assert text in str(e), (e, text)
            else: raise AssertionError(text)


def test_the_command_translates_a_video_and_refuses_in_one_line():
    torch.manual_seed(0)
    with TemporaryDirectory() as place:
        place = Path(place)
        rabit(classes=7, size=(32, 32), width=4, features=8, block=4).save_pretrained(place / "weights")
        (place / "maps").mkdir()
        for t in range(3):
            Image.fromarray(torch.full((32, 48), t, dtype=torch.uint8).numpy()).save(place / "maps" / f"{t}.png")
        to_pil(torch.rand(1, 3, 40, 40) * 2 - 1).save(place / "look.png")
        code, out, err = call(place / "maps", place / "look.png", "-o", place / "out.gif",
                              "--checkpoint", place / "weights", "--device", "cpu")
        assert code == 0 and f"wrote {place / 'out.gif'} (3 frames)" in out, err
        with Image.open(place / "out.gif") as im: assert im.size == (48, 32)
        for argv, text in (
            ((place / "nowhere", place / "look.png"), "no such file or folder"),
            ((place / "maps", place / "look.png", "-o", place / "x.avi"), "does not end in"),
            ((place / "maps", place / "look.png", "--temporal-smoothing", "1"), "--temporal-smoothing 1"),
            ((place / "maps", place / "look.png", "-o", place / "maps"), "there already"),
        ):
            code, out, err = call(*argv, "--checkpoint", place / "weights")
            assert code == 2 and text in err and err.count("\n") == 1, err


def test_a_video_of_key_points_holds_or_leaves_out_frames_without_a_person():
    def people(*shifts):
        "A file's text: persons beside each other"
        at = [[(k % 5 * 9 + 4 + s, k * 2 + 5, 1) for k in range(18)] for s in shifts]
        return json.dumps(dict(people=[dict(pose_keypoints_2d=[v for p in a for v in p]) for a in at]))
    torch.manual_seed(0)
    with TemporaryDirectory() as place:
        place = Path(place)
        rabit(35, size=(32, 32), width=4, features=8, condition="joints",
              position="coord").save_pretrained(place / "weights")
        rabit(7, size=(32, 32), width=4, features=8).save_pretrained(place / "labels")
        for name, shifts in (("a", [(0,), (), (3,), (6,)]), ("late", [(), (0,)]), ("none", [(), ()])):
            (place / name).mkdir()
            for t, s in enumerate(shifts): (place / name / f"v_{t}_keypoints.json").write_text(people(*s))
        to_pil(torch.rand(1, 3, 48, 56) * 2 - 1).save(place / "look.png")
        def film(name, *more, weights="weights"):
            return call(place / name, place / "look.png", "-o", place / "out", "--checkpoint", place / weights,
                        "--device", "cpu", *more)
        code, out, err = film("a")
        assert code == 0 and "(4 frames; nobody in 1: the pose before is held)" in out, err
        first = [np.asarray(Image.open(f)) for f in sorted((place / "out").iterdir())]
        assert first[0].shape == (48, 56, 3)
        shutil.rmtree(place / "out")
        code, out, err = film("a", "--missing", "skip", "--temporal-smoothing", "0")
        assert code == 0 and "(3 frames; nobody in 1: left out)" in out, err
        shutil.rmtree(place / "out")
        for name, more, weights, words in (
            ("late", (), "weights", "the first 1 of 2 frames show nobody"),
            ("none", ("--missing", "skip"), "weights", "none of its 2 frames shows a person"),
            ("a", ("--person", "2"), "weights", "person 2 is asked for; a number from 1 to 1"),
            ("a", ("--missing", "hold"), "labels", "--missing is for key points"),
            ("a", (), "labels", "holds key points, and this checkpoint wants a label map"),
        ):
            code, out, err = film(name, *more, weights=weights)
            assert code == 2 and words in err and err.count("\n") == 1, err
        code, out, err = film("late", "--missing", "skip")
        assert code == 0 and "(1 frames; nobody in 1: left out)" in out, err
