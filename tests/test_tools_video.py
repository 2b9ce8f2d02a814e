# Generated from nbs/6_tools/63_video.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import numpy as np
import torch
from rabit.core.tensors import RabitError
from rabit.core.tensors import one_hot
from rabit.core.tensors import pixel_grid
from rabit.matching.match import dense_match
from rabit.networks.translate import rabit
from rabit.tools.video import flicker
from rabit.tools.video import local_match
from rabit.tools.video import translate_frames
from rabit.tools.video import with_cached_exemplar


def test_flicker_is_zero_for_what_moves_by_whole_pixels_and_the_change_for_what_changes():
    still = torch.rand(1, 3, 8, 8)
    video = [still.roll(t, -1) for t in range(3)]
    left = pixel_grid((8, 8)) - torch.tensor([1., 0.]).view(1, 2, 1, 1)
    seen = [(left[:, 0] >= 0)] * 2
    assert flicker(video, [left] * 2, seen) < 1e-6
    assert abs(flicker([x + .1 * t for t, x in enumerate(video)], [left] * 2, seen) - .1) < 1e-6
    try: flicker(video, [left], seen); said = ""
    except RabitError as e: said = str(e)
    assert "3 frames, 1 positions" in said


def test_a_shifted_map_is_brought_back_and_the_laws_of_a_match_hold():
    x = torch.randn(2, 32, 9, 11)
    m = local_match(x.roll((1, -2), (2, 3)), x, 2, .001)
    inner = (slice(None), slice(None), slice(2, -2), slice(2, -2))
    assert (m.warp(x)[inner] - x.roll((1, -2), (2, 3))[inner]).abs().max() < 1e-4
    assert (m.row_sum() - 1).abs().max() < 1e-5 and m.warp(torch.ones(2, 1, 18, 22)).sub(1).abs().max() < 1e-5
    # all of them are neighbours
    assert (local_match(x, x.flip(0), 11, .05).dense()
            - dense_match(x, x.flip(0), .05).dense()).abs().max() < 1e-5
    # nobody but oneself
    assert (local_match(x, x, 0).warp(x) - x).abs().max() < 1e-6


def test_a_cached_exemplar_changes_nothing_but_the_time():
    torch.manual_seed(0)
    model = rabit(classes=5, size=(32, 32), width=4, features=8, block=4).eval()
    look = torch.rand(1, 3, 30, 44) * 2 - 1
    def blocks(): return torch.randint(5, (1, 4, 4)).repeat_interleave(7, 1).repeat_interleave(9, 2)
    maps = [one_hot(blocks(), 5) for _ in range(2)]
    with torch.no_grad():
        fast = with_cached_exemplar(model, look)
        for m in maps:
            for a, b in zip(model(m, look)[:3], fast(m, look)[:3]): assert torch.equal(a, b)
    assert fast.encoder is not model.encoder and type(model.encoder).__name__ == "Encoder"


def test_a_video_is_what_translate_makes_without_smoothing_and_steady_where_nothing_moves():
    torch.manual_seed(0)
    model = rabit(classes=5, size=(32, 32), width=4, features=8, block=4)
    maps = [torch.randint(5, (1, 4, 6)).repeat_interleave(8, 1).repeat_interleave(6, 2)[0] for _ in range(3)]
    look = torch.rand(1, 3, 32, 40) * 2 - 1
    video = list(translate_frames(model, maps, look, temporal_smoothing=0))
    assert model.training and len(video) == 3 and video[0].size == (36, 32)
    for x, p in zip(maps, video):
        assert np.abs(np.asarray(model.translate(x, look, detail=False), int) - np.asarray(p, int)).max() <= 1
    still = list(translate_frames(model, maps[:1] * 3, look, radius=0))
    assert all((np.asarray(still[0]) == np.asarray(p)).all() for p in still)
    smooth = list(translate_frames(model, maps, look, radius=2))
    assert (np.asarray(smooth[0]) == np.asarray(video[0])).all()
    assert (np.asarray(smooth[2]) != np.asarray(video[2])).any()
    for change, text in (
        (dict(temporal_smoothing=1.0), "temporal_smoothing = 1.0"),
        (dict(conditions=[maps[0], maps[0].T]), "frame 1 (given as data) is 32×36, the first is 36×32"),
    ):
        try:
            list(translate_frames(model, **(dict(conditions=maps, exemplar=look) | change)))
            said = ""
        except RabitError as e:
            said = str(e)
        assert text in said, said
