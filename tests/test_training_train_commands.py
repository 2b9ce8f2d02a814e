# Generated from nbs/5_training/57_train_commands.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import io
from contextlib import redirect_stderr
from pathlib import Path
from rabit.core.commands import parse_args
from rabit.core.tensors import RabitError
from rabit.training.train_commands import data_facts
from rabit.training.train_commands import rabit_train
from rabit.training.train_commands import train_config


def test_what_a_world_gives_is_known_and_other_wishes_are_refused():
    assert data_facts("street", None, None) == ("labels", None) and data_facts("face", None, None)[0] == "edges"
    assert data_facts("street", "image", None) == data_facts(".", "image", None) == ("image", 3)
    try: data_facts("street", "joints", None)
    except RabitError as e: assert "street give labels, or image" in str(e)
    else: raise AssertionError("joints were taken from a street")


def test_what_training_is_told_reaches_its_configuration():
    def told(*argv): return train_config(parse_args(rabit_train, list(argv)))
    assert told().amp == "auto" and told("--amp", "fp16").amp == "fp16"
    assert told("--save-every", "5m").save_minutes == 5
    made = told("--preset", "tiny", "--accumulate", "2", "--checkpoint-activations", "--compile", "--size",
                "48x32", "--aspect-jitter", "2", "--loss-weight", "match=0.25", "--model-arg", "k=2")
    assert (made.accumulate, made.checkpoint_activations, made.compile, made.size) == (2, True, True, (32, 48))
    assert (made.aspect_jitter, made.weights["match"], made.model["k"]) == (2., .25, 2)
    made = told("--init-from", "street-64", "--size", "128x128", "--model-arg", "block=4")
    assert (made.init_from, made.builder, made.size) == ("street-64", "rabit", (128, 128))
    assert (made.model["block"], made.model["k"]) == (4, 16)
    assert made.model["width"] == 16
    assert told().features == "random" and told("--features", "efficientnet").features == "efficientnet"
    assert told("--vgg", "download").vgg_weights == "download" and told().vgg_weights is None
    assert told("--vgg", "vgg.pth").vgg_weights == str(Path("vgg.pth").resolve())  # found from anywhere
    for argv, word in ((("--amp", "fp8"), "fp8"), (("--accumulate", "3"), "equal parts"),
                       (("--features", "hed", "--vgg", "vgg.pth"), "leave one out"),
                       (("--init-from", "street-64", "--model", "dynast"), "rabit"),
                       (("--init-from", "street-64", "--data", "face"), "edges"),
                       (("--model-arg", "colour=red"), "colour: rabit has no such argument; it has block")):
        try: told(*argv); said = ""
        except RabitError as e: said = str(e)
        assert word in said, said


def test_old_names_of_training_options_still_work():
    old = "--system dynast --model k=2 --start street-64 --shapes 2 --self-share .5 --weight match=0 --checkpoint"
    with redirect_stderr(io.StringIO()) as err: found = vars(parse_args(rabit_train, old.split()))
    assert found["model"] == "dynast" and found["model_arg"] == [("k", 2)] and found["init_from"] == "street-64"
    assert found["aspect_jitter"] == 2. and found["self_pair_prob"] == .5
    assert found["loss_weight"] == [("match", 0.)]
    assert found["checkpoint_activations"] and err.getvalue().count("is called") == 7
    print(err.getvalue())
