# Generated from nbs/4_data/41a_landmarks.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import json
import numpy as np
import tempfile
import torch
from pathlib import Path
from rabit.core.tensors import pixel_grid
from rabit.core.tensors import sample_at
from rabit.core.tensors import to_pil
from rabit.core.trials import fails
from rabit.data.landmarks import SCHEMES
from rabit.data.landmarks import draw_curves
from rabit.data.landmarks import draw_edges
from rabit.data.landmarks import find_landmarks
from rabit.data.landmarks import known_match
from rabit.data.landmarks import known_points
from rabit.data.landmarks import mean_shape
from rabit.data.landmarks import mirror_landmarks
from rabit.data.landmarks import mirror_order
from rabit.data.landmarks import piecewise_affine
from rabit.data.landmarks import read_landmarks
from rabit.data.landmarks import triangulate
from rabit.inputs.edges import edges_condition
from rabit.inputs.face import FACE
from rabit.matching.scenes import apply_matrix
from rabit.matching.scenes import inverse
from rabit.matching.scenes import pairs

SPOTS = [(part, u, v) for part, places in {
    "face": [(-.9, -.3), (-.8, .3), (-.4, .85), (0, 1), (.4, .85), (.8, .3), (.9, -.3), (0, -.9)],
    "left eye": [(-.9, 0), (0, -.8), (.9, 0), (0, .8)], "right eye": [(-.9, 0), (0, -.8), (.9, 0), (0, .8)],
    "nose": [(0, -.9), (-.6, .8), (0, .4), (.6, .8)], "mouth": [(-.9, 0), (0, .9), (.9, 0), (0, -.9)],
}.items() for u, v in places]
LINES = {"jaw": [*range(7)], "left eye": [8, 9, 10, 11, 8], "right eye": [12, 13, 14, 15, 12],
         "nose": [16, 17, 18, 19, 16], "mouth": [20, 21, 22, 23, 20]}

def face_points(layout, size):
    "(b, n, 2) x, y of the spots, in pixels"
    back = inverse(layout.matrix)
    xy = [apply_matrix(back[:, FACE.parts.index(part)].permute(1, 2, 0), torch.tensor(float(u)),
                       torch.tensor(float(v))) for part, u, v in SPOTS]
    return torch.stack([torch.stack(p, -1) for p in xy], 1) * torch.tensor(size[::-1]) - .5

def write_faces(folder, count=6, size=(64, 64)):
    "images/ and landmarks.csv with painted faces: the last one has no points"
    (folder/"images").mkdir(parents=True)
    scenes, layout = pairs(FACE, range(count), 0, size), FACE.layout(torch.arange(count), 0, True, 0)
    rows = [",".join(["name", *(f"{x}{i}" for i in range(len(SPOTS)) for x in "xy")])]
    for i, (image, points) in enumerate(zip(scenes["image"], face_points(layout, size))):
        to_pil(image[None]).save(folder/"images"/f"p{i}_0.png")
        if i < count - 1: rows.append(",".join([f"p{i}_0", *(f"{v:.3f}" for v in points.flatten())]))
    (folder/"landmarks.csv").write_text("\n".join(rows))
    (folder/"curves.json").write_text(json.dumps(LINES))
    return folder


def test_landmarks_are_read_as_they_were_written():
    with tempfile.TemporaryDirectory() as d:
        root = write_faces(Path(d)/"faces")
        read = read_landmarks(root/"landmarks.csv")
        assert list(read) == [f"p{i}_0" for i in range(5)]
        wanted = face_points(FACE.layout(torch.arange(6), 0, True, 0), (64, 64))
        torch.testing.assert_close(torch.stack(list(read.values())).float(), wanted[:5], atol=1e-3, rtol=0)


def test_files_of_landmarks_that_do_not_fit_are_refused_with_line_and_reason():
    def said(text):
        with tempfile.TemporaryDirectory() as d:
            path = Path(d)/"landmarks.csv"
            path.write_text(text)
            return fails(read_landmarks, path).replace(d, "…")
    head = "name,x0,y0,x1,y1,x2,y2\n"
    messages = [said(text) for text in (
        "image_id,lefteye_x\n", head, head + "a,1,2,3,4,5\n", head + "a,1,2,3,4,5,six\n",
        head + "a,1,2,3,4,5,nan\n", head + "a.jpg,1,2,3,4,5,6\na,1,2,3,4,5,6\n")]
    print("\n".join(messages))
    words = ("begins with", "no points", "5 numbers", "no numbers", "not finite", "already")
    assert all(word in message for message, word in zip(messages, words))


def test_points_that_are_moved_by_an_affine_map_move_all_pixels_between_them_by_it():
    rng = np.random.default_rng(0)
    points = torch.from_numpy(rng.uniform(2, 60, (30, 2)))
    matrix, shift = (torch.tensor(x, dtype=torch.double) for x in ([[.9, .2], [-.1, .8]], [3., 5.]))
    triangles = triangulate(points)
    position, visible = piecewise_affine(points, points @ matrix.T + shift, triangles, (48, 64), (64, 80))
    grid = pixel_grid((48, 64))[0].permute(1, 2, 0).double()
    wanted = (grid @ matrix.T + shift).permute(2, 0, 1).float()
    torch.testing.assert_close(position[:, visible], wanted[:, visible], atol=1e-5, rtol=0)
    assert .6 < visible.float().mean() < 1 and not position[:, ~visible].any()


def test_every_landmark_goes_to_its_partner_and_there_and_back_is_where_one_was():
    rng = np.random.default_rng(0)
    lattice = torch.cartesian_prod(*2 * [torch.linspace(2, 61, 4, dtype=torch.double)])
    a, b = (lattice + torch.from_numpy(rng.normal(0, 1.5, lattice.shape)) for _ in range(2))
    triangles = triangulate((a + b) / 2)
    there, seen = piecewise_affine(a, b, triangles, (64, 64))
    back, seen_back = piecewise_affine(b, a, triangles, (64, 64))
    far = (sample_at(back[None], there[None])[0] - pixel_grid((64, 64))[0]).square().sum(0).sqrt()
    far = far[seen & (sample_at(seen_back[None, None].float(), there[None])[0, 0] > .9999)]
    close = (far < 1e-4).float().mean()                     # the others are read across a triangle's side
    print(f"{len(far)} pixels; {close:.0%} are where they were, the rest {far.mean() / (1 - close):.2f} away")
    assert len(far) > 2000 and close > .8 and far.mean() < .05
    whole = a.round()                              # where a landmark is a pixel, its partner is exact
    exact, seen = piecewise_affine(whole, b, triangulate(whole), (64, 64))
    x, y = whole.long().T
    torch.testing.assert_close(exact[:, y, x].T[seen[y, x]], b.float()[seen[y, x]], atol=1e-4, rtol=0)


def test_what_is_turned_over_is_not_visible_nor_what_lies_outside_of_the_exemplar():
    square = torch.tensor([[4., 4.], [28., 4.], [28., 28.], [4., 28.], [16., 16.]])
    turned = square.clone()
    turned[4] = torch.tensor([40., 16.])               # the middle is pulled over the right edge
    triangles = triangulate(square)
    assert len(triangles) == 4 and piecewise_affine(square, square, triangles, (32, 32))[1].sum() == 25 * 25
    visible = piecewise_affine(square, turned, triangles, (32, 48))[1]
    assert visible[16, 8] and not visible[16, 24]      # the triangle at the right is turned over
    assert not piecewise_affine(turned, square, triangles, (32, 48))[1][16, 32]
    assert not piecewise_affine(square, square - 10, triangles, (32, 32))[1][4:9].any()


def test_in_a_mirror_the_sides_of_a_face_change_places_and_a_profile_has_no_mirror_image():
    mean = mean_shape(face_points(FACE.layout(torch.arange(20), 0, True, 0), (64, 64)).double())
    order = mirror_order(mean)
    assert order[:8].tolist() == [6, 5, 4, 3, 2, 1, 0, 7] and order[8] == 14
    assert torch.equal(order[order], torch.arange(24))
    points = torch.arange(48.).view(24, 2)
    assert torch.equal(mirror_landmarks(mirror_landmarks(points, order, 64), order, 64), points)
    odd = torch.tensor([[0., 0.], [3., 0.], [3., 1.], [1., 1.], [1., 3.], [0., 3.]], dtype=torch.double)  # an L
    assert mirror_order(mean_shape(odd[None])) is None


def test_a_curve_passes_through_its_points_and_has_no_gaps():
    points = torch.tensor([[2., 2.], [20., 5.], [28., 25.], [40., 20.]])
    lines = draw_curves(points, [[0, 1, 2, 3]], (32, 32))
    assert all(lines[int(y), int(x)] for x, y in points[:3])
    y, x = lines.nonzero().T
    steps = torch.cdist(torch.stack([x, y], 1).float(), torch.stack([x, y], 1).float())
    assert (steps.fill_diagonal_(9).amin(1) < 1.5).all() and 40 < lines.sum() < 90
    assert SCHEMES[68].curves["left eye"] == [36, 37, 38, 39, 40, 41, 36] and len(SCHEMES[189].curves) == 28


def test_a_folder_s_landmarks_know_their_curves_their_triangles_and_their_size():
    with tempfile.TemporaryDirectory() as d:
        root = write_faces(Path(d)/"faces")
        found = find_landmarks(root)
        assert find_landmarks(root/"images") is None and found.count == 24 and found.scheme.curves == LINES
        print(found)
        large, small = (found.place("p0_0", (64, 64), size) for size in ((64, 64), (32, 16)))
        torch.testing.assert_close((small + .5) * torch.tensor([4., 2.]), large + .5)
        assert found.place("p5_0", (64, 64), (64, 64)) is None and found.unit(None) != found.unit(None)
        eyes = [large[8:12].mean(0), large[12:16].mean(0)]
        assert abs(found.unit(large) - (eyes[0] - eyes[1]).norm()) < 1    # the first point closes the curve
        assert "far outside" in fails(found.place, "p0_0", (16, 16), (64, 64))
        (root/"curves.json").write_text('{"jaw": [0, 24]}')
        assert "from 0 to 23" in fails(find_landmarks, root)
        (root/"curves.json").unlink()
        assert find_landmarks(root).scheme is None


def test_a_sample_has_curves_found_edges_or_both_and_knows_a_match_only_where_both_have_landmarks():
    with tempfile.TemporaryDirectory() as d:
        marks = find_landmarks(write_faces(Path(d)/"faces"))
    points = [marks.place(f"p{i}_0", (64, 64), (64, 64)) for i in range(2)]
    found = edges_condition(pairs(FACE, [0], 0, (64, 64))["parts"] == 9)[0]
    drawn = torch.stack([draw_edges(found, points[0], marks, np.random.default_rng(i)) for i in range(40)])
    kinds, counts = drawn.unique(dim=0, return_counts=True)
    assert len(kinds) == 3 and counts.min() >= 3 and (kinds == found).flatten(1).all(1).sum() == 1
    assert draw_edges(found, None, marks, None) is found and draw_edges(found, points[0], None, None) is found
    assert known_match(*points, marks, (64, 64))["visible"].any()
    assert known_match(points[0], None, marks, (8, 8)) == known_points(None, None, None) == {}
    assert known_points(None, points[1], marks)["landmarks"].isnan().all()
