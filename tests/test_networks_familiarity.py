# Generated from nbs/3_networks/36a_familiarity.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
import warnings
from pathlib import Path
from rabit.core.tensors import RabitError
from rabit.core.tensors import RabitWarning
from rabit.core.tensors import resize
from rabit.inputs.conditions import kind_of
from rabit.inputs.samples import SceneDataset
from rabit.networks.familiarity import ImageStatistics
from rabit.networks.familiarity import STATISTICS
from rabit.networks.familiarity import image_statistics
from rabit.networks.familiarity import read_statistics
from rabit.networks.familiarity import warn_of_inputs
from rabit.networks.familiarity import write_statistics
from tempfile import TemporaryDirectory


def test_statistics_of_an_image_are_its_colors_and_its_detail():
    grey, two = torch.zeros(1, 3, 32, 48), torch.ones(1, 3, 64, 64)
    two[:, 1:] = -1                                                                # red everywhere
    found = image_statistics(torch.cat([resize(grey, (64, 64)), two]))
    assert found.shape == (2, 14) and found[1, :3].tolist() == [1, -1, -1] and found[1, 6] == 2  # saturation
    assert found[:, [10, 13]].eq(1).all() and found[0, 3:8].eq(0).all()            # no detail at all
    torch.testing.assert_close(image_statistics(grey), found[:1])                  # of any size


def test_statistics_are_saved_and_damaged_files_are_refused():
    known = ImageStatistics.fit(image_statistics(SceneDataset(size=(16, 16)).batch(range(64))["exemplar"]))
    with TemporaryDirectory() as folder:
        assert read_statistics(folder) is None
        write_statistics(known, folder)
        assert read_statistics(folder) == known
        write_statistics(None, folder)
        assert read_statistics(folder) is None
        for text in ("{}", "[]", '{"mean": [1], "precision": 2, "limit": 3, "count": 4}', "no JSON"):
            (Path(folder) / STATISTICS).write_text(text)
            try: read_statistics(folder)
            except RabitError as e: assert STATISTICS in str(e)
            else: raise AssertionError(f"{text} was taken for statistics")
    try: ImageStatistics.fit(torch.zeros(3, 14))
    except RabitError as e: assert "of 3 images" in str(e)
    else: raise AssertionError("three images were enough")


def test_images_unlike_those_of_training_are_told_with_their_distance():
    streets = SceneDataset(size=(32, 32)).batch(range(96))["exemplar"]
    known = ImageStatistics.fit(image_statistics(streets))
    noise = torch.rand(1, 3, 40, 24) * 2 - 1
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_inputs(known, kind_of("image"), noise, streets[:1])
        warn_of_inputs(None, kind_of("image"), noise, noise)               # nobody knows
        warn_of_inputs(known, kind_of("labels"), torch.full((1, 40, 24), 255), streets[:1])
    told, unknown = (str(w.message) for w in caught)
    assert told.startswith("the condition is unlike the images") and f"{float(known.distance(noise)):.1f}" in told
    assert "all of its pixels are 255" in unknown and caught[0].category is RabitWarning
