"""Videos as users have them: folders that count to ten, cuts, odd palettes, a program that is missing, fails
or is there, long videos that are read one frame at a time."""
import json, os, stat, sys

import numpy as np, pytest, torch
from PIL import Image

from rabit.core.colors import PALETTE
from rabit.core.files import natural_key
from rabit.core.tensors import RabitError, to_pil
from rabit.inputs.palettes import read_labels
from rabit.networks.pretrained import find_builder, model_names
from rabit.networks.translate import rabit
from rabit.tools import video_files as F
from rabit.tools.video import blend_frames, local_match, translate_frames
from rabit.tools.video_files import frame_rate, read_frames, write_frames

SMALL = dict(classes=5, size=(32, 32), width=4, features=8)


def small():
    torch.manual_seed(0)
    return rabit(**SMALL, block=4).eval()


def maps(count, size=(32, 40)):
    return [
        torch.randint(5, (4, 5), generator=torch.Generator().manual_seed(i))
        .repeat_interleave(size[0] // 4, 0)
        .repeat_interleave(size[1] // 5, 1)
        for i in range(count)
    ]


def video(count, size=(24, 32)):
    return [to_pil(torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(i)) * 2 - 1)
            for i in range(count)]


def test_names_are_sorted_as_people_count():
    names = ["frame 10.png", "frame 9.png", "Frame 1.png", "2.png", "a.png", "frame.png", "10.png",
             "frame 9b.png"]
    assert sorted(names, key=natural_key) == ["2.png", "10.png", "a.png", "Frame 1.png", "frame 9.png",
                                              "frame 9b.png", "frame 10.png", "frame.png"]


def test_frames_are_read_one_at_a_time():
    taken = []
    def endless():
        for i in range(10**9):
            taken.append(i)
            yield maps(1)[0]
    found = translate_frames(small(), endless(), torch.zeros(1, 3, 32, 32))
    for _ in range(3): next(found)
    assert len(taken) == 3


def test_a_cut_is_no_motion():
    torch.manual_seed(0)
    a, b = torch.rand(2, 1, 3, 16, 16)
    q, k = torch.randn(2, 1, 8, 16, 16)
    # nothing alike: the frame before is not asked
    assert torch.equal(blend_frames(a, b, local_match(q, k, 0), .5), a)
    assert torch.allclose(blend_frames(a, b, local_match(q, q, 0), .5), (a + b) / 2)


@pytest.mark.parametrize("name", sorted(model_names()))
def test_every_model_translates_videos(name):
    torch.manual_seed(0)
    model = find_builder(name)(**SMALL).eval()
    look = torch.rand(1, 3, 40, 32) * 2 - 1
    done = list(translate_frames(model, maps(2), look, temporal_smoothing=0))
    for x, p in zip(maps(2), done):
        assert np.abs(np.asarray(model.translate(x, look, detail=False), int) - np.asarray(p, int)).max() <= 1
    assert len(list(translate_frames(model, maps(2), look, maps(1, (40, 30))[0].new_zeros(40, 32)))) == 2


def test_colors_of_a_gif_are_read_as_colors_whatever_their_numbers(tmp_path):
    "Pillow leaves out what no frame uses and numbers the rest anew"
    maps = [np.random.default_rng(i).choice([0, 1, 2, 5, 6], (9, 12)) for i in range(3)]
    colored = [Image.fromarray(np.array([tuple(bytes.fromhex(c[1:])) for c in PALETTE[:7]], np.uint8)[m])
               for m in maps]
    colored[0].quantize(7).save(tmp_path / "few.gif", save_all=True,
                                append_images=[c.quantize(7) for c in colored[1:]], duration=250)
    colored[0].save(tmp_path / "rgb.gif", save_all=True, append_images=colored[1:], duration=250)
    for name in ("few.gif", "rgb.gif"):
        found = read_frames(tmp_path / name)
        assert frame_rate(tmp_path / name) == 4 and len(found) == 3
        for m, f in zip(maps, found): assert (read_labels(f, 7)[0].numpy() == m).all(), name


def test_colors_that_no_palette_has_are_named(tmp_path):
    first, second = (Image.fromarray(np.tile(np.uint8(c), (8, 8, 1))) for c in ((255, 0, 0), (0, 255, 0)))
    first.save(tmp_path / "x.gif", save_all=True, append_images=[second], duration=100)
    found = read_frames(tmp_path / "x.gif")
    with pytest.raises(RabitError, match="the label map is a colored image.*--palette"):
        read_labels(found[1], 7)
    assert [read_labels(f, 7, {(255, 0, 0): 3, (0, 255, 0): 5}).unique().tolist()
            for f in found] == [[3], [5]]


def program(folder, body):
    "A stand-in for ffmpeg"
    path = folder / "ffmpeg"
    path.write_text(f"#!{sys.executable}\nimport sys\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.mark.skipif(os.name == "nt", reason="a script as a program")
def test_mp4_through_a_video_program(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(F, "find_spec", lambda name: None)
    with pytest.raises(RabitError, match="need the program ffmpeg"):
        write_frames(video(2), tmp_path / "x.mp4")
    program(tmp_path, "data = sys.stdin.buffer.read(); open(sys.argv[-1], 'wb').write(' "
            "'.join(sys.argv[1:-1]).encode() + b'|' + data)")
    images = video(3)
    head, _, data = write_frames(images, tmp_path / "x.mp4", 12).read_bytes().partition(b"|")
    assert data == b"".join(p.tobytes() for p in images) and b"-s 32x24" in head and b"-r 12" in head
    program(tmp_path, "sys.stdin.buffer.read(); sys.exit('no such codec')")
    with pytest.raises(RabitError, match="no such codec"): write_frames(images, tmp_path / "y.mp4")
    assert not (tmp_path / "y.mp4").exists() and not list(tmp_path.glob("*.tmp"))


def test_an_old_video_stays_where_a_new_one_fails(tmp_path):
    old = write_frames(video(2), tmp_path / "x.gif").read_bytes()
    def broken():
        yield video(1)[0]
        raise RabitError("the second label map is missing")
    with pytest.raises(RabitError, match="second"): write_frames(broken(), tmp_path / "x.gif")
    assert (tmp_path / "x.gif").read_bytes() == old


def test_a_video_of_joints_lies_on_the_exemplar_as_large_as_it_came(tmp_path):
    torch.manual_seed(0)
    model = rabit(35, size=(32, 32), width=4, features=8, position="coord",
                  condition="joints").eval()
    for i in range(2):
        people = [dict(pose_keypoints_2d=[20 + i, 30, 1] * 18)]
        (tmp_path / f"{i}.json").write_text(json.dumps(dict(people=people)))
    found = list(translate_frames(model, [tmp_path / "0.json", tmp_path / "1.json"], torch.rand(1, 3, 80, 80),
                                  progress=False))
    assert [f.size for f in found] == [(80, 80)] * 2
