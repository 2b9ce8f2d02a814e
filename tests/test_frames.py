# Generated from nbs/18_frames.ipynb by .ci/export_tests.py: edit the notebook, not this file.
import numpy as np
import torch
from PIL import Image
from pathlib import Path
from rabit.core import RabitError
from rabit.core import resize
from rabit.core import to_pil
from rabit.data import read_labels
from rabit.frames import flicker
from rabit.frames import local_match
from rabit.frames import one_palette
from rabit.frames import rabit_frames
from rabit.frames import read_frames
from rabit.frames import remembering
from rabit.frames import translate_frames
from rabit.frames import write_frames


def test_flicker_is_zero_for_what_moves_by_whole_pixels_and_the_change_for_what_changes():
    still = torch.rand(1, 3, 8, 8)
    film = [still.roll(t, -1) for t in range(3)]
    from rabit.core import pixel_grid
    left = pixel_grid((8, 8)) - torch.tensor([1., 0.]).view(1, 2, 1, 1)
    seen = [(left[:, 0] >= 0)] * 2
    assert flicker(film, [left] * 2, seen) < 1e-6
    assert abs(flicker([x + .1 * t for t, x in enumerate(film)], [left] * 2, seen) - .1) < 1e-6
    try: flicker(film, [left], seen); said = ""
    except RabitError as e: said = str(e)
    assert "3 frames, 1 positions" in said


def test_a_shifted_map_is_brought_back_and_the_laws_of_a_match_hold():
    x = torch.randn(2, 32, 9, 11)
    m = local_match(x.roll((1, -2), (2, 3)), x, 2, .001)
    inner = (slice(None), slice(None), slice(2, -2), slice(2, -2))
    assert (m.warp(x)[inner] - x.roll((1, -2), (2, 3))[inner]).abs().max() < 1e-4
    assert (m.mass() - 1).abs().max() < 1e-5 and m.warp(torch.ones(2, 1, 18, 22)).sub(1).abs().max() < 1e-5
    from rabit.match import dense_match
    assert (local_match(x, x.flip(0), 11, .05).dense() - dense_match(x, x.flip(0), .05).dense()).abs().max() < 1e-5   # all of them are neighbours
    assert (local_match(x, x, 0).warp(x) - x).abs().max() < 1e-6                                                      # nobody but oneself


def test_remembering_changes_nothing_but_the_time():
    from rabit.model import rabit
    from rabit.core import one_hot
    torch.manual_seed(0)
    model = rabit(classes=5, size=(32, 32), width=4, features=8, block=4).eval()
    look, maps = torch.rand(1, 3, 30, 44) * 2 - 1, [one_hot(torch.randint(5, (1, 4, 4)).repeat_interleave(7, 1).repeat_interleave(9, 2), 5) for _ in range(2)]
    with torch.no_grad():
        fast = remembering(model, look)
        for m in maps:
            for a, b in zip(model(m, look)[:3], fast(m, look)[:3]): assert torch.equal(a, b)
    assert fast.encoder is not model.encoder and type(model.encoder).__name__ == "Encoder"


def test_maps_survive_folders_and_both_kinds_of_animation():
    from tempfile import TemporaryDirectory
    maps = [torch.zeros(12, 16, dtype=torch.uint8) for _ in range(11)]
    for i, x in enumerate(maps): x[i % 5:i % 5 + 4, i:i + 4], x[10], x[11, :i + 1] = 6, 3, 255
    grey = [Image.fromarray(x.numpy()) for x in maps]
    indexed = [Image.fromarray(x.numpy()).convert("P") for x in maps]
    for x, p in zip(maps, indexed): p.putdata(x.flatten().tolist()); p.putpalette([v for i in range(256) for v in (i, 255 - i, i * 7 % 256)])
    with TemporaryDirectory() as place:
        place = Path(place)
        for name, images, options in (("grey.gif", grey, {}), ("indexed.gif", indexed, dict(optimize=False)), ("grey.png", grey, {}), ("indexed.png", indexed, {})):
            images[0].save(place / name, save_all=True, append_images=images[1:], duration=100, **options)
            back = read_frames(place / name)
            assert len(back) == 11, (name, len(back))
            known = {tuple(indexed[0].getpalette()[3 * i:3 * i + 3]): i for i in range(256)} if name == "indexed.gif" else None
            for x, p in zip(maps, back): assert (read_labels(p, None, known)[0] == x).all(), name
        (place / "film").mkdir()
        for i, p in enumerate(grey): p.save(place / "film" / f"frame {i}.png")
        (place / "film" / "notes.txt").write_text("no picture")
        assert [f.name for f in read_frames(place / "film")] == [f"frame {i}.png" for i in range(11)]
        (place / "empty").mkdir(); (place / "bad.gif").write_bytes(b"GIF89a nonsense"); (place / "film.mp4").write_bytes(b"x")
        for name, text in (("nowhere", "no such file"), ("empty", "holds no pictures"), ("bad.gif", "cannot be read as a film"), ("film.mp4", "is no film of label maps")):
            try: read_frames(place / name); said = ""
            except RabitError as e: said = str(e)
            assert text in said, said


def test_a_film_is_what_translate_paints_where_steadiness_is_off_and_steady_where_nothing_moves():
    from rabit.model import rabit
    torch.manual_seed(0)
    model = rabit(classes=5, size=(32, 32), width=4, features=8, block=4)
    maps = [torch.randint(5, (1, 4, 6)).repeat_interleave(8, 1).repeat_interleave(6, 2)[0] for _ in range(3)]
    look = torch.rand(1, 3, 32, 40) * 2 - 1
    film = list(translate_frames(model, maps, look, steady=0))
    assert model.training and len(film) == 3 and film[0].size == (36, 32)
    for x, p in zip(maps, film): assert np.abs(np.asarray(model.translate(x, look, detail=False), int) - np.asarray(p, int)).max() <= 1
    still = list(translate_frames(model, maps[:1] * 3, look, radius=0))
    assert all((np.asarray(still[0]) == np.asarray(p)).all() for p in still)
    mixed_film = list(translate_frames(model, maps, look, radius=2))
    assert (np.asarray(mixed_film[0]) == np.asarray(film[0])).all() and (np.asarray(mixed_film[2]) != np.asarray(film[2])).any()
    for change, text in ((dict(steady=1.), "steady = 1.0"), (dict(conditions=[maps[0], maps[0].T]), "frame 1 (given as data) is 32×36, the first is 36×32")):
        try: list(translate_frames(model, **(dict(conditions=maps, exemplar=look) | change))); said = ""
        except RabitError as e: said = str(e)
        assert text in said, said


def test_one_palette_for_all_frames_and_what_stands_still_stands_still():
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    base = np.stack([np.tile(ramp, (48, 1)), np.tile(ramp[::-1], (48, 1)), np.tile(ramp[:48, None], (1, 64))], -1)
    film = []
    for t in range(4):
        x = base.copy(); x[:16, 8 * t:8 * t + 20] = (40 * t, 200, 90)
        film.append(Image.fromarray(x))
    done = one_palette(film)
    assert all(p.getpalette() == done[0].getpalette() for p in done)
    back = [np.asarray(p.convert("RGB"), int) for p in done]
    assert all((x[16:] == back[0][16:]).all() for x in back)
    assert max(np.abs(x - np.asarray(f, int)).mean() for x, f in zip(back, film)) < 6


def test_films_are_written_and_read_back():
    from tempfile import TemporaryDirectory
    def images(path):
        with Image.open(path) as im:
            out = []
            for i in range(im.n_frames): im.seek(i); out.append(np.asarray(im.convert("RGB"), int))
            return out, im.info.get("duration")
    torch.manual_seed(0)
    noise = torch.rand(4, 3, 6, 8)
    film = [to_pil(resize(x[None] * 2 - 1, (30, 41))) for x in noise]
    with TemporaryDirectory() as place:
        place = Path(place)
        back, duration = images(write_frames(iter(film), place / "film.gif", 8))
        few = one_palette(film)
        assert len(back) == 4 and duration in (120, 125, 130) and all((x == np.asarray(p.convert("RGB"), int)).all() for x, p in zip(back, few))
        back, _ = images(write_frames(film, place / "film.webp"))
        assert all((x == np.asarray(f, int)).all() for x, f in zip(back, film))
        folder = write_frames(film, place / "pictures")
        assert [f.name for f in read_frames(folder)] == [f"{i:04d}.png" for i in range(4)] and (np.asarray(Image.open(folder / "0003.png")) == np.asarray(film[3])).all()
        for path, frames, fps, text in ((folder, film, 10, "there already"), (place / "x.gif", [], 10, "no frames"), (place / "x.avi", film, 10, "does not end in .gif"), (place / "x.gif", film, 60, "at most 50"),
                                       (place / "x.webp", [film[0], film[0].crop((0, 0, 5, 5))], 10, "one size")):
            try: write_frames(frames, path, fps); said = ""
            except RabitError as e: said = str(e)
            assert text in said, (said, text)


def test_the_command_paints_a_film_and_refuses_in_one_line():
    import io
    from contextlib import redirect_stderr, redirect_stdout
    from tempfile import TemporaryDirectory
    from rabit.model import rabit
    def call(*argv):
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
            try: code = rabit_frames([str(a) for a in argv]) or 0
            except SystemExit as stop: code = stop.code or 0
        return code, out.getvalue(), err.getvalue()
    torch.manual_seed(0)
    with TemporaryDirectory() as place:
        place = Path(place)
        rabit(classes=7, size=(32, 32), width=4, features=8, block=4).save_pretrained(place / "weights")
        (place / "maps").mkdir()
        for t in range(3): Image.fromarray(torch.full((32, 48), t, dtype=torch.uint8).numpy()).save(place / "maps" / f"{t}.png")
        to_pil(torch.rand(1, 3, 40, 40) * 2 - 1).save(place / "look.png")
        code, out, err = call(place / "maps", place / "look.png", "-o", place / "out.gif", "--weights", place / "weights", "--device", "cpu")
        assert code == 0 and f"wrote {place / 'out.gif'} (3 frames)" in out, err
        with Image.open(place / "out.gif") as im: assert im.size == (48, 32)
        for argv, text in (((place / "nowhere", place / "look.png"), "no such file or folder"), ((place / "maps", place / "look.png", "-o", place / "x.avi"), "does not end in"),
                           ((place / "maps", place / "look.png", "--steady", "1"), "--steady 1"), ((place / "maps", place / "look.png", "-o", place / "maps"), "there already")):
            code, out, err = call(*argv, "--weights", place / "weights")
            assert code == 2 and text in err and err.count("\n") == 1, err
