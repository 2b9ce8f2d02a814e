# Generated from nbs/4_data/40a_pair_lists.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import tempfile
from pathlib import Path
from rabit.core.trials import fails
from rabit.data.pair_lists import check_listed
from rabit.data.pair_lists import read_pairs
from rabit.data.pair_lists import split_by_lists
from rabit.data.pair_lists import write_pairs


def test_names_that_a_list_would_give_back_as_others_are_refused():
    with tempfile.TemporaryDirectory() as d:
        for name in (" a", "a.png", "a\\b"):
            assert repr(name) in fails(write_pairs, [(name, ["b"])], f"{d}/pairs.json")
        for name in ("a,b", "a\nb"):
            assert ".json" in fails(write_pairs, [("b", [name])], f"{d}/pairs.txt")
            assert read_pairs(write_pairs([("b", [name])], f"{d}/pairs.json")) == [("b", [name])]
        check_listed(["walk_1", "ü 图"], ".txt")


def test_lists_of_pairs_survive_a_round_trip_and_windows_separators():
    with tempfile.TemporaryDirectory() as d:
        chosen = [("a/x", ["b/y", "c/z"]), ("b/y", ["a/x"])]
        for name in ("pairs.json", "pairs.txt"): assert read_pairs(write_pairs(chosen, f"{d}/{name}")) == chosen
        Path(f"{d}/old.txt").write_text("img\\WOMEN\\02_front.jpg,img\\WOMEN\\03_back.jpg\r\n")
        assert read_pairs(f"{d}/old.txt") == [("img/WOMEN/02_front", ["img/WOMEN/03_back"])]
        Path(f"{d}/bad.txt").write_text("a,b\nno comma\n")
        assert "line 2" in fails(read_pairs, f"{d}/bad.txt")


def test_lists_divide_a_folder_and_names_that_are_not_there_are_reported():
    items = {"a": 1, "walk 2": 2, "deep/c": 3}
    with tempfile.TemporaryDirectory() as d:
        assert split_by_lists(Path(d), items, {}) == ({"": items}, {"": {}})
        Path(d, "train.txt").write_text("a.jpg\nwalk 2\n")
        Path(d, "val.txt").write_text("images/deep/c.png labels/deep/c.png\n/old/place/gone.png\n")
        splits, missing = split_by_lists(Path(d), items, {})
        assert splits == {"train": {"a": 1, "walk 2": 2}, "val": {"deep/c": 3}}
        assert missing == {"train": {}, "val": {"listed in val.txt, but not there": ["/old/place/gone.png"]}}
        Path(d, "ImageSets/Segmentation").mkdir(parents=True)
        Path(d, "ImageSets/Segmentation/default.txt").write_text("a\n")
        assert split_by_lists(Path(d), items, {})[0] == {"default": {"a": 1}}
