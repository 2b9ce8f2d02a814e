# Generated from nbs/2_inputs/24a_given.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import io
import numpy as np
import torch
import warnings
from PIL import Image
from rabit.core.tensors import one_hot
from rabit.core.tensors import to_pil
from rabit.core.trials import fails
from rabit.inputs.conditions import kind_of
from rabit.inputs.given import in_turn
from rabit.inputs.given import to_condition
from rabit.inputs.given import to_image_tensor
from rabit.inputs.images import read_image
from rabit.inputs.palettes import read_labels
from rabit.matching.street import street_pairs


def test_an_image_is_the_same_in_every_form_and_one_from_0_to_1_is_told():
    image = street_pairs([2], size=(24, 32))["image"]
    view = to_pil(image)
    image = read_image(view)
    view.save(memory := io.BytesIO(), "PNG")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for x in (image, view, np.asarray(view), memory): assert to_image_tensor(x, "exemplar").equal(image)
        for x in (torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4)): to_image_tensor(x, "exemplar")
        assert not told
        to_image_tensor((image + 1) / 2, "exemplar")
        to_image_tensor(np.arange(600).reshape(20, 30) // 100, "exemplar")
    assert "give 2 * x - 1" in str(told[0].message) and "label map" in str(told[1].message) and len(told) == 2
    print(told[0].message)
    for wrong in (image[0], image * 100, image.expand(2, -1, -1, -1), torch.zeros(1, 3, 4, 4).long()):
        assert "exemplar" in fails(to_image_tensor, wrong, "exemplar")


def test_a_condition_is_the_same_in_every_form():
    labels = street_pairs([2], size=(24, 32))["labels"]
    ids = labels[0].byte().numpy()
    Image.fromarray(ids).save(memory := io.BytesIO(), "PNG")
    def read(x, kind="labels", classes=7):
        return to_condition(x, kind_of(kind), classes, "condition", None, read_labels)

    for x in (ids, ids.astype(np.int64), Image.fromarray(ids), memory, labels, labels[0], labels.byte()):
        assert read(x).equal(labels)
    assert read(one_hot(labels, 7)).equal(one_hot(labels, 7))
    two = labels.expand(2, -1, -1)
    for x, kind, classes, said in ((labels, "edges", 2, "conditions are edges"), (two, "labels", 7, "a list"),
                                   (memory, "joints", 35, "path of a file"), (ids, "image", 3, "label map")):
        assert said in fails(read, x, kind, classes)


def test_lists_are_gone_through_side_by_side():
    assert in_turn(a=1, b="x") == []
    assert in_turn(a=[1, 2], b="x") == [dict(a=1, b="x"), dict(a=2, b="x")]
    assert in_turn(a=[1, 2], b=[3, 4])[1] == dict(a=2, b=4)
    for wrong in (dict(a=[1, 2], b=[1]), dict(a=[])): assert "lists of" in fails(in_turn, **wrong)
