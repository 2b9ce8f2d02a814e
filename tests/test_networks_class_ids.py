# Generated from nbs/3_networks/37a_class_ids.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import numpy as np
from PIL import Image
from argparse import ArgumentTypeError
from pathlib import Path
from rabit.core.tensors import RabitError
from rabit.networks.class_ids import class_names
from rabit.networks.class_ids import describe_classes
from rabit.networks.class_ids import parse_relabel
from rabit.networks.class_ids import read_model_labels
from rabit.networks.class_ids import relabeling
from rabit.networks.pretrained import saved_config
from tempfile import TemporaryDirectory

street = saved_config("street-128")


def test_a_model_says_which_classes_it_knows():
    told = describe_classes(street)
    print(told)
    assert told.startswith("0 sky, 1 building, 2 ground") and told.endswith("255 unknown")
    assert describe_classes(dict(classes=3, names=None)) == "0 to 2, and 255 unknown"
    assert class_names(dict(classes=3, class_names=["a", "b"])) == ["a", "b", "2"]


def test_ids_of_a_file_become_classes_of_a_model_by_number_or_name():
    pairs = parse_relabel("13=car, 11=1") + parse_relabel("9=unknown")
    assert relabeling(street, pairs) == {13: 6, 11: 1, 9: 255}
    for text in ("13", "car=13", "13=", "-1=2"):
        try: parse_relabel(text)
        except ArgumentTypeError as e: assert "ID=CLASS" in str(e)
        else: raise AssertionError(f"{text} was read")
    try: relabeling(street, [(13, "boat")])
    except RabitError as e: assert "no class boat; it knows 0 sky" in str(e)
    else: raise AssertionError("a street has boats")


def test_colors_of_cityscapes_are_classes_and_its_numbers_are_renumbered():
    known = dict(classes=19, label_mapping="cityscapes")
    road_and_car = np.array([[[128, 64, 128], [0, 0, 142]]], np.uint8)
    assert read_model_labels(known, np.array([[7, 26]], np.uint8)).tolist() == [[[0, 13]]]
    assert read_model_labels(known, Image.fromarray(road_and_car)).tolist() == [[[0, 13]]]


def test_ids_that_a_model_does_not_know_are_told_with_the_classes_that_it_knows_and_can_be_mapped():
    with TemporaryDirectory() as folder:
        path, colored = Path(folder) / "labels.png", Path(folder) / "colored.png"
        Image.fromarray(np.uint8([[0, 13], [11, 255]])).save(path)
        Image.fromarray(np.uint8([[[0, 0, 142], [70, 70, 70]]])).save(colored)     # Cityscapes' car and building
        for file, how in ((path, "11, 13 (read from its grey values)"),
                          (colored, "13 (read from its colors, by the palette cityscapes)")):
            try: read_model_labels(street, file)
            except RabitError as e:
                print(e)
                assert all(words in str(e) for words in (how, "0 sky, 1 building", "--map"))
            else: raise AssertionError("ids above the classes were read")
        assert read_model_labels(street, path, None, {13: 6, 11: 1}).tolist() == [[[0, 6], [1, 255]]]
        assert read_model_labels(street, colored, None, {13: 6, 2: 1}).tolist() == [[[6, 1]]]
        Image.fromarray(np.uint8([[0, 6]])).save(path)
        assert read_model_labels(street, path).tolist() == [[[0, 6]]]
        path.write_bytes(b"no image")
        try: read_model_labels(street, path)
        except RabitError as e: assert "this model knows" not in str(e)
        else: raise AssertionError("no image was read")
