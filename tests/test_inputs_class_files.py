# Generated from nbs/2_inputs/20a_class_files.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import tempfile
from pathlib import Path
from rabit.core.trials import fails
from rabit.inputs.class_files import ClassRow
from rabit.inputs.class_files import class_file
from rabit.inputs.class_files import class_names
from rabit.inputs.class_files import folder_classes
from rabit.inputs.class_files import id_of
from rabit.inputs.class_files import read_class_file
from rabit.inputs.class_files import rgb_of


def test_colors_and_ids_that_somebody_wrote_down_are_numbers_in_range():
    assert rgb_of("#804080", "a.txt") == rgb_of([128, 64, 128], "a.txt") == (128, 64, 128)
    for color in ("#80408", "#80408g", [1, 2], [1, 2, 256], [1, 2, True], None):
        assert "a.txt" in fails(rgb_of, color, "a.txt") and "is no color" in fails(rgb_of, color, "a.txt")
    assert id_of("7", "a.txt") == id_of(7, "a.txt") == 7
    for i in ("-1", "256", "1000", "x", "²", ""): assert "is no id" in fails(id_of, i, "a.txt")


def test_lists_of_classes_are_read_in_the_forms_of_the_tools_that_write_them():
    lists = {
        "palette.txt": "# streets\n0 128 64 128 road\n1, #464646 big building\n",
        "labelmap.txt": "# label:color_rgb:parts:actions\nroad:128,64,128::\nbig building:70,70,70:door,roof:\n",
        "class_dict.csv": "name,r,g,b\nroad,128,64,128\nbig building,70,70,70\n",
        "label_colors.txt": "128 64 128\troad\n70 70 70\tbig building\n",
        "_classes.csv": "Pixel Value, Class\n0, road\n1, big building\n",
        "class_names.txt": "road\nbig building\n",
        "colors.json": '{"road": "#804080", "big building": [70, 70, 70]}',
    }
    rows = [ClassRow(0, "road", (128, 64, 128)), ClassRow(1, "big building", (70, 70, 70))]
    with tempfile.TemporaryDirectory() as d:
        for name, text in lists.items():
            (Path(d)/name).write_text(text, encoding="utf-8-sig", newline="\r\n")
            bare = name in ("_classes.csv", "class_names.txt")             # these know no colors
            assert read_class_file(f"{d}/{name}") == [r._replace(color=None) if bare else r for r in rows], name
        for text in ("road", "0 1 2", "x 1 2 3", "0 #12", "road:1,2:a:b", "road,1,2", "0 1 2 3\nroad,1,2,3", ""):
            (Path(d)/"bad.txt").write_text(text)
            message = fails(read_class_file, f"{d}/bad.txt")
            print(message.replace(d, "…")[:110])
            assert "bad.txt" in message


def test_a_folder_lists_its_own_classes_and_palette_txt_counts_more_than_what_tools_left():
    with tempfile.TemporaryDirectory() as d:
        assert class_file(d) is None and folder_classes(d) == []
        (Path(d)/"_classes.csv").write_text("Pixel Value, Class\n0, road\n3, car\n")
        assert class_names(folder_classes(d), 4) == ("road", "1", "2", "car")
        (Path(d)/"palette.txt").write_text("0 1 2 3\n")
        assert folder_classes(d) == [ClassRow(0, None, (1, 2, 3))] and class_names(folder_classes(d), 1) is None
        (Path(d)/"palette.json").write_text("[[1, 2, 3]]")
        assert "one of them" in fails(folder_classes, d)
