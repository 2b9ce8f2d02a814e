# Generated from nbs/3_networks/39_model_options.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
from PIL import Image
from pathlib import Path
from rabit.core.commands import command
from rabit.core.commands import parse_args
from rabit.core.commands import parser_of
from rabit.core.tensors import RabitError
from rabit.networks.model_options import Checkpoint
from rabit.networks.model_options import OwnModel
from rabit.networks.model_options import Palette
from rabit.networks.model_options import WorkingSize
from rabit.networks.model_options import checkpoint_name
from rabit.networks.model_options import condition_of
from rabit.networks.model_options import load_model
from rabit.networks.model_options import refuse_poses
from rabit.networks.translate import rabit
from tempfile import TemporaryDirectory


def test_options_of_models_have_one_name_and_one_help_text():
    @command
    def look(checkpoint:Checkpoint|None=None, model:OwnModel|None=None, palette:Palette|None=None,
             size:WorkingSize|None=None):
        "Look at a model"
    found = vars(parse_args(look, ["--checkpoint", "run", "--size", "64x32"]))
    assert found == dict(checkpoint="run", model=None, palette=None, size=(32, 64))
    help = " ".join(parser_of(look).format_help().split())
    for words in ("--checkpoint NAME a run's folder", "(default street-128)", "cityscapes",
                  "--size WxH size to work at"):
        assert words in help, words


def test_a_model_is_loaded_by_its_options_and_told_where_it_does_not_fit():
    with TemporaryDirectory() as folder:
        rabit(3, (32, 32), width=4, features=8).save_pretrained(folder)
        assert load_model(folder, "cpu").config["classes"] == 3
        assert load_model(folder, "cpu", relabel=[[(7, "2")], [(9, "255")]]).relabel == {7: 2, 9: 255}
        try: load_model(folder, "cpu", style=True)
        except RabitError as e: print(e); assert folder in str(e) and "labels" in str(e)
        else: raise AssertionError("label maps were taken for images")
    assert checkpoint_name(None) == "street-128" and checkpoint_name(None, style=True) == "style-64"


def test_key_points_given_to_a_model_of_labels_are_called_what_they_are():
    model = rabit(3, (32, 32), width=4, features=8)
    with TemporaryDirectory() as folder:
        for name in ("a_keypoints.json", "b.png"): (Path(folder) / name).touch()
        refuse_poses(model, Path(folder))                               # a note beside label maps
        refuse_poses(model, Path(folder) / "b.png")
        (Path(folder) / "b.png").unlink()
        for path in (Path(folder), Path(folder) / "a_keypoints.json"):
            try: refuse_poses(model, path)
            except RabitError as e: assert "holds key points" in str(e) and "a label map" in str(e)
            else: raise AssertionError(path)
            refuse_poses(rabit(35, (32, 32), width=4, features=8, condition="joints", position="coord"), path)


def test_label_maps_are_read_with_their_palette_and_other_conditions_are_left_to_the_model():
    model = rabit(3, (32, 32), width=4, features=8)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "labels.png"
        Image.fromarray(torch.tensor([[0, 1], [2, 255]], dtype=torch.uint8).numpy()).save(path)
        assert condition_of(model, path).tolist() == [[0, 1], [2, 255]] and condition_of(model, None) is None
    edges = rabit(2, (32, 32), width=4, features=8, condition="edges", position="coord")
    assert condition_of(edges, Path("drawing.png")) == Path("drawing.png")
    try: condition_of(edges, None, palette={})
    except RabitError as e: assert "edges" in str(e)
    else: raise AssertionError("a palette was taken for a drawing")
    try: condition_of(edges, None, person=2)
    except RabitError as e: assert "--person is for key points" in str(e) and "edges" in str(e)
    else: raise AssertionError("a person was taken for a drawing")
