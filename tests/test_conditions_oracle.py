"""Canny is scikit-image's, fed with the right grey values; distances are scipy's and scikit-image's world;
files of key points may be anything."""
import json

import numpy as np, pytest, torch
from hypothesis import given, settings, strategies as st
from PIL import Image

from rabit.inputs.conditions import fit_condition, KINDS, paint_condition, read_condition
from rabit.inputs.edges import (
    canny,
    edge_distance,
    edges_condition,
    fit_edges,
    image_edges,
    part_edges,
    read_edges,
)
from rabit.inputs.joint_files import read_joints
from rabit.inputs.joints import JOINTS, joints_condition, mirror_joints
from rabit.core.colors import color_labels
from rabit.core.tensors import RabitError
from rabit.inputs.samples import world
from rabit.matching.scenes import pairs


def photographs(n=3, size=(60, 80)):
    return pairs(world("street"), range(n), size=size)["image"]


@pytest.mark.parametrize("sigma, low, high", [(1., .1, .2), (2., .1, .2), (.5, .02, .3), (0., .1, .1)])
def test_canny_is_that_of_scikit_image_on_pillows_grey(sigma, low, high):
    feature = pytest.importorskip("skimage.feature")
    images = photographs()
    found = canny(images, sigma, low, high)
    assert found.dtype == torch.bool and found.shape == (3, 60, 80) and .01 < found.float().mean() < .5
    for image, edges in zip(images, found):
        grey = np.asarray(Image.fromarray(((image.permute(1, 2, 0) + 1)
                                           * 127.5).round().byte().numpy()).convert("L"))
        assert (feature.canny(grey, sigma, low * 255, high * 255) == edges.numpy()).all()
        # the scale of the thresholds is that of floats from 0 to 1
        assert (feature.canny(grey / 255, sigma, low, high) != edges.numpy()).mean() < .02


def test_canny_has_the_defaults_of_the_papers_data(tmp_path):
    feature = pytest.importorskip("skimage.feature")
    to_save = ((photographs(1, (96, 96))[0].permute(1, 2, 0) + 1) * 127.5).round().byte().numpy()
    Image.fromarray(to_save).save(tmp_path / "a.png")
    as_papers = feature.canny(np.array(Image.open(tmp_path / "a.png").convert("L")))
    assert as_papers.mean() > .02 and (canny(read_condition(tmp_path / "a.png", "image"))[0].numpy()
                                       == as_papers).all()


def test_canny_depends_on_nothing_but_its_image():
    pytest.importorskip("skimage")
    images = photographs(4)
    assert torch.cat([canny(p[None]) for p in images]).equal(canny(images))
    assert not canny(torch.zeros(1, 3, 9, 9)).any() and canny(torch.zeros(1, 3, 1, 1)).shape == (1, 1, 1)
    for wrong in (dict(sigma=-1), dict(low=.5, high=.2), dict(high=3)):
        with pytest.raises(RabitError, match="canny"): canny(images, **wrong)
    with pytest.raises(RabitError, match="image"): canny(images[0])


def test_canny_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "skimage.feature", None)
    with pytest.raises(RabitError, match="pip install scikit-image"): canny(torch.zeros(1, 3, 9, 9))


@settings(max_examples=25)
@given(st.integers(1, 30), st.integers(1, 30), st.floats(.01, .9), st.integers(0, 10**6))
def test_distance_is_scipys(h, w, share, seed):
    ndimage = pytest.importorskip("scipy.ndimage")
    edges = torch.rand(2, h, w, generator=torch.Generator().manual_seed(seed)) < share
    edges[:, h // 2, w // 2] = True
    wanted = torch.stack([torch.from_numpy(ndimage.distance_transform_edt(~e.numpy())) for e in edges])
    torch.testing.assert_close(edge_distance(edges).double(), wanted, atol=1e-5, rtol=0)
    condition = edges_condition(edges)
    assert (condition.shape == (2, KINDS["edges"].channels, h, w) and 0 <= condition.min() and condition.max()
            <= 1 and condition[:, 0].bool().equal(edges))


def test_the_photograph_counts_only_outside_quiet_parts():
    pytest.importorskip("skimage")
    r = pairs(world("street"), range(3), size=(64, 64))
    image, labels = r["image"], r["labels"]
    # all is known: outlines only
    assert image_edges(image, labels).equal(part_edges(labels))
    nothing = torch.full_like(labels, 255)
    # nothing is known: the photograph only
    assert image_edges(image, nothing).equal(canny(image))
    drawn, quiet = (1, 2), (1,)
    edges, own = image_edges(image, labels, drawn, quiet), canny(image)
    inside, merged = labels == 1, labels.where((labels == 1) | (labels == 2), torch.tensor(255))
    assert (edges[inside].equal(part_edges(merged)[inside])
            and edges[~inside].equal((part_edges(merged) | own)[~inside]) and (own & ~edges).any())


def test_lines_survive_when_they_shrink_and_grow():
    edges = torch.zeros(1, 64, 96, dtype=torch.bool)
    edges[0, 10], edges[0, :, 40] = True, True
    for size in ((16, 24), (33, 50), (64, 96), (64, 24), (128, 24), (200, 300)):
        small = fit_edges(edges, size)
        assert small.shape == (1, *size)
        # unbroken
        assert small.any(2).sum() and (small.all(2).sum() >= 1) and (small.all(1).sum() >= 1), size
        # and no thicker
        if size[0] <= 64: assert small.all(2).sum() == 1, size
    condition = edges_condition(edges)
    assert (fit_condition(condition, (16, 24), "edges").equal(edges_condition(fit_edges(edges, (16, 24))))
            and fit_condition(condition, (64, 96), "edges") is condition)
    smooth = torch.nn.functional.interpolate(condition, (16, 24), mode="bilinear", antialias=True)[:, 0]
    # resampled as an image, lines fade
    assert smooth.max() < .8


def test_other_conditions_are_resampled_and_wrong_ones_refused():
    heat = torch.rand(2, 35, 8, 12)
    assert fit_condition(heat, (16, 16), "joints").shape == (2, 35, 16, 16)
    assert fit_condition(torch.rand(1, 7, 8, 8), (4, 4), "labels").shape == (1, 7, 4, 4)
    for bad, kind in ((heat, "edges"), (heat, "image"), (heat, "sketch"), (heat[0], "joints")):
        with pytest.raises(RabitError): fit_condition(bad, (4, 4), kind)
    assert paint_condition(heat, "labels").equal(color_labels(heat.argmax(1)))
    for kind, c in (("joints", 35), ("edges", 2), ("image", 3)):
        shown = paint_condition(torch.rand(2, c, 6, 7), kind)
        assert shown.shape == (2, 3, 6, 7) and shown.min() >= -1 and shown.max() <= 1


def test_mirrored_key_points_give_the_mirrored_channels_of_the_other_side():
    joints = torch.rand(2, 18, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([40., 30., 1.])
    joints[0, 4, 2] = 0
    twin = [JOINTS.index(n.replace("left", "#").replace("right", "left").replace("#", "right"))
            for n in JOINTS]
    plain, mirrored = joints_condition(joints, (32, 41)), joints_condition(mirror_joints(joints, 41),
                                                                           (32, 41))
    torch.testing.assert_close(mirrored[:, :18], plain[:, twin].flip(-1), atol=1e-5, rtol=0)
    torch.testing.assert_close(mirrored[:, 18:].sum(1), plain[:, 18:].sum(1).flip(-1), atol=1e-4, rtol=0)
    assert mirror_joints(mirror_joints(joints, 41),
                         41).equal(joints) or (mirror_joints(mirror_joints(joints, 41), 41)
                                               - joints).abs().max() < 1e-4


def test_a_drawing_is_read_either_way_round_in_any_mode(tmp_path):
    a = np.zeros((20, 30), np.uint8)
    a[5], a[:, 7] = 255, 255
    wanted = edges_condition(torch.from_numpy(a > 0)[None])
    drawings = dict(white=Image.fromarray(a), black=Image.fromarray(255 - a),
                    one=Image.fromarray(a).convert("1"), rgb=Image.fromarray(a).convert("RGB"),
                    deep=Image.fromarray(a.astype(np.uint16) * 257),
                    glass=Image.merge("RGBA", [Image.new("L", (30, 20))] * 3 + [Image.fromarray(a)]))
    for name, im in drawings.items():
        im.save(tmp_path / f"{name}.png")
        assert read_edges(tmp_path / f"{name}.png").equal(wanted), name
    assert read_edges(drawings["white"]).equal(read_condition(str(tmp_path / "white.png"), "edges"))
    with pytest.raises(RabitError, match="one color"): read_edges(Image.new("L", (5, 5), 9))


def test_files_that_are_no_drawings(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 40)
    for path in (
        tmp_path / "empty.png",
        tmp_path / "text.png",
        tmp_path / "cut.png",
        tmp_path,
        tmp_path / "none.png",
        3,
        None,
    ):
        for kind in ("edges", "image"):
            with pytest.raises(RabitError):
                read_condition(path, kind)


def coco18(): return np.stack([np.arange(18.) * 3, np.arange(18.) * 2 + 1, np.full(18, .9)], 1)


def write_json(path, *people):
    path.write_text(
        json.dumps(
            dict(version=1.3, people=[dict(pose_keypoints_2d=np.asarray(p).ravel().tolist()) for p in people])
        )
    )
    return path


def test_openpose_in_three_forms_gives_the_same_points(tmp_path):
    points = coco18()
    wanted = torch.from_numpy(points).float()
    body25 = np.full((25, 3), 77.)
    body25[[*range(8), *range(9, 19)]] = points
    assert read_joints(write_json(tmp_path / "a.json", points)).equal(wanted)
    # the surer of two
    assert read_joints(write_json(tmp_path / "b_keypoints.json", points * [1, 1, .1], body25)).equal(wanted)
    order = np.random.default_rng(0).permutation(18)
    np.savetxt(tmp_path / "c_candidate.txt", np.c_[points[order], np.arange(18)])
    subset = np.r_[np.argsort(order), 18 * .9, 18]
    subset[[3, 9]] = -1
    # the one with more joints
    np.savetxt(tmp_path / "c_subset.txt", np.stack([np.r_[0, [-1] * 17, .9, 1], subset]))
    wanted[[3, 9]] = 0
    assert read_joints(tmp_path / "c_candidate.txt").equal(wanted)
    assert read_condition(tmp_path / "a.json", "joints",
                          (50, 60)).equal(joints_condition(torch.from_numpy(points).float()[None], (50, 60)))
    (tmp_path / "d_candidate.txt").touch(); (tmp_path / "d_subset.txt").touch()
    # nobody was found
    assert not read_joints(tmp_path / "d_candidate.txt").any()
    with pytest.raises(RabitError, match="canvas"): read_condition(tmp_path / "a.json", "joints")


def test_hostile_files_of_key_points_end_in_one_kind_of_error(tmp_path):
    good = json.dumps(dict(people=[dict(pose_keypoints_2d=[1.] * 54)]))
    hostile = ["", "null", "{}", good[:-9], good.replace("1.0", "NaN"), good.replace("1.0", "Infinity"),
               good.replace("1.0", '"x"'), good.replace("1.0", "1e300"), good.replace("1.0", "[1]"),
               good.replace("[1.0,", "["), '{"people": [3]}', '{"people": {"a": 1}}', "[" * 100000,
               good + " " * 2**24]
    for i, text in enumerate(hostile):
        (tmp_path / f"{i}.json").write_text(text)
        with pytest.raises(RabitError) as error: read_joints(tmp_path / f"{i}.json")
        assert f"{i}.json" in str(error.value)
    (tmp_path / "binary.json").write_bytes(bytes(range(256)))
    rows, who = "1 2 .5 0\n3 4 .5 1\n", " ".join(["0"] + ["-1"] * 17 + [".5", "1"])
    tables = [("1 2", who), ("1 2 .5 0\n3 4", who), (rows, who[:-2]), (rows, who.replace("0", "2", 1)),
              (rows, who.replace("0", "-2", 1)), (rows, who.replace("0", ".5", 1)), ("a b c d", who),
              ("nan 2 .5 0", who), ("1e300 2 .5 0", who), (rows, "nan " * 20), (rows, who + "\n1"), ("", who),
              (rows + "\0", who), (rows * 400000, who)]
    for i, (candidate, subset) in enumerate(tables):
        (tmp_path / f"{i}_candidate.txt").write_text(candidate)
        (tmp_path / f"{i}_subset.txt").write_text(subset)
        with pytest.raises(RabitError) as error:
            read_joints(tmp_path / f"{i}_candidate.txt")
        assert f"{i}_" in str(error.value)
    (tmp_path / "lone_candidate.txt").write_text(rows)
    for path in (
        tmp_path / "binary.json",
        tmp_path / "lone_candidate.txt",
        tmp_path / "none.json",
        tmp_path,
        tmp_path / "0_subset.txt",
    ):
        with pytest.raises(RabitError):
            read_joints(path)


@settings(max_examples=60)
@given(st.binary(max_size=300), st.binary(max_size=200))
def test_noise_in_place_of_key_points(tmp_path_factory, a, b):
    folder = tmp_path_factory.mktemp("noise")
    (folder / "a_candidate.txt").write_bytes(a)
    (folder / "a_subset.txt").write_bytes(b)
    (folder / "a.json").write_bytes(a)
    for name in ("a_candidate.txt", "a.json"):
        try: assert read_joints(folder / name).isfinite().all()
        except RabitError: pass
