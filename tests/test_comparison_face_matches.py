# Generated from nbs/8_comparison/87_face_matches.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import tempfile
import torch
from pathlib import Path
from rabit.comparison.face_matches import bench_faces
from rabit.comparison.face_matches import find_faces
from rabit.comparison.face_matches import person_pairs
from rabit.comparison.face_matches import rabit_match_bench
from rabit.comparison.real_matches import FEW
from rabit.core.files import read_json
from rabit.core.tensors import resize
from rabit.core.tensors import to_pil
from rabit.core.trials import call
from rabit.core.trials import fails

def two_faces(folder):
    "Two images of colored noise, one moved by 8, −16 px, with points; the first two are 40 px apart"
    draw = torch.Generator().manual_seed(0)
    drawn = [torch.rand(1, 3, 128 // s, 128 // s, generator=draw) for s in (1, 2, 4, 8)]
    image = sum(resize(x, (128, 128)) for x in drawn) / 2 - 1
    points = torch.tensor([[40., 60.], [80., 60.], [60., 100.], [62., 90.]])
    shift = torch.tensor([8., -16.])
    (folder / "images").mkdir(parents=True)
    rows = ["name," + ",".join(f"x{i},y{i}" for i in range(len(points)))]
    for name, moved in (("a", 0 * shift), ("b", shift)):
        x, y = moved.int().tolist()
        to_pil(image.roll((y, x), (2, 3))).save(folder / "images" / f"{name}.png")
        rows.append(",".join([name, *map(str, (points + moved).flatten().tolist())]))
    (folder / "landmarks.csv").write_text("\n".join(rows))
    return folder


def test_pairs_are_of_different_persons_and_the_same_ones_again():
    some = person_pairs("abcd", 50)
    assert all(a != b for a, b in some) and len(set(some)) == 12 and some == person_pairs("abcd", 50)


def test_folders_that_do_not_fit_are_refused():
    with tempfile.TemporaryDirectory() as d:
        folder = two_faces(Path(d) / "faces")
        assert [list(x) for x in find_faces(folder)] == [["a", "b"], ["a", "b"]]
        to_pil(torch.zeros(1, 3, 60, 128)).save(folder / "images" / "b.png")
        assert "one size is needed" in fails(find_faces, folder)
        (folder / "images" / "b.png").unlink()
        assert "two at least are needed" in fails(find_faces, folder)


def test_landmarks_of_a_moved_image_are_found():
    with tempfile.TemporaryDirectory() as d:
        rows = bench_faces(two_faces(Path(d)), ["color"], 1, (4,))
    found = {row["matcher"]: row["pck"] for row in rows if "deepest" not in row["features"]}
    assert found["same position"] == [0, 0]                              # all are off by 18 of 40 px
    assert found["dense"] == [1, 1] and len(found) == len(FEW) + 1


def test_a_folder_that_does_not_fit_is_refused_before_anything_long_begins():
    code, out, told = call(rabit_match_bench, "--faces", "nowhere")
    assert code == 2 and "nowhere" in told and not out


def test_the_command_measures_a_small_grid_and_says_what_it_leaves_out():
    with tempfile.TemporaryDirectory() as d:
        path = Path(d) / "found.json"
        code, said, _ = call(rabit_match_bench, "--features", "color", "--grids", "8", "--json", path)
        found = read_json(path)
    assert code == 0 and "block 4, k = 16" in said and "no faces" in said
    assert len(found["stereo"]) == 2 + len(FEW) and "faces" not in found and found["machine"]["torch"]
    assert found["command"].startswith("rabit_match_bench --features color")
