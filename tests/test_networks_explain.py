# Generated from nbs/3_networks/38a_explain.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
from rabit.matching.street import street_pairs
from rabit.networks.explain import full_size_confidence
from rabit.networks.explain import translate_all
from rabit.networks.translate import rabit


def test_a_confidence_keeps_its_place_where_the_working_size_is_padded():
    grid = torch.zeros(1, 1, 4, 5)
    grid[..., 2:, :] = 1                         # the lower half of 32×40 pixels, of which 30×36 count
    found = full_size_confidence(grid, (30, 36), (60, 72))
    assert found.shape == (1, 1, 60, 72) and found[..., :23, :].max() == 0 and found[..., 41:, :].min() == 1


def test_the_image_beside_its_match_is_that_of_translate():
    torch.manual_seed(0)
    model = rabit(7, (32, 32), width=4, features=8).eval()
    scene = street_pairs([6], seed=0, size=(40, 56))
    inputs = scene["labels"][0], scene["exemplar"], scene["exemplar_labels"][0]
    found = translate_all(model, *inputs)
    assert {name: image.size for name, image in found.items()} == dict.fromkeys(found, (56, 40))
    assert found["image"].tobytes() == model.translate(*inputs).tobytes() and found["confidence"].mode == "L"
