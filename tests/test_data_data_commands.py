# Generated from nbs/4_data/49_data_commands.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import json
from PIL import Image
from pathlib import Path
from rabit.core.tensors import RabitError
from rabit.core.tensors import to_pil
from rabit.core.trials import call
from rabit.data.data_commands import check_data
from rabit.data.data_commands import rabit_doctor
from rabit.data.data_commands import rabit_retrieve
from rabit.matching.street import street_pairs
from rabit.networks.features import VGG19
from tempfile import TemporaryDirectory
from unittest.mock import patch

def make_folder(home):
    "A data folder of six images with label maps, in three sequences"
    for name in ("images", "labels"): (home / name).mkdir(parents=True)
    scenes = street_pairs(range(20, 26), seed=0, size=(48, 64))
    for i in range(6):
        name = f"walk{i // 2}_{i % 2}.png"
        to_pil(scenes["image"][i]).save(home / "images" / name)
        Image.fromarray(scenes["labels"][i].byte().numpy()).save(home / "labels" / name)
    return home


def test_data_is_a_world_or_a_folder():
    check_data("street", 0); check_data(".", split="val")
    for options, word in ((dict(data="nowhere"), "no such folder"), (dict(data="street", seed=-1), "--seed -1"),
                          (dict(data=".", exemplars=Path("nowhere.json")), "nowhere.json"),
                          (dict(data="street", split="val", self_pair_prob=0.), "--split, --self-pair-prob: ")):
        try: check_data(**options)
        except RabitError as e: assert word in str(e), e
        else: raise AssertionError(f"{options} were taken")


def test_a_folder_is_looked_at_and_its_exemplars_are_listed():
    with TemporaryDirectory() as tmp:
        home = make_folder(Path(tmp) / "mine")
        code, out, err = call(rabit_doctor, home)
        assert code == 0 and err == ""
        assert call(rabit_doctor, home, "--classes", 3)[0] == 1             # it looked, and label ids do not fit
        code, told, err = call(rabit_retrieve, home, "--classes", 7, "-k", 2, "-o", Path(tmp) / "pairs.json")
        assert code == 0 and "6 images, 2 exemplars each" in told, (told, err)
        pairs = json.loads((Path(tmp) / "pairs.json").read_text())
        assert len(pairs) == 6 and all(name[:5] not in {e[:5] for e in found} for name, found in pairs.items())
        assert call(rabit_retrieve, home, "--classes", 7, "-o", Path(tmp) / "pairs.docx")[0] == 2
        frozen = VGG19(4)
        with patch("rabit.data.data_commands.feature_network", return_value=frozen) as made:
            given = home, "--classes", 7, "-k", 2, "-o", Path(tmp) / "deep.json", "--features", "hed"
            assert call(rabit_retrieve, *given)[0] == 0
        assert made.call_args.args == ("hed",) and len(json.loads((Path(tmp) / "deep.json").read_text())) == 6
        code, _, err = call(rabit_retrieve, *given, "--vgg", "vgg.pth")
        assert code == 2 and "--vgg is for --features vgg19, not hed" in err, err
    print(out)


def test_a_list_of_one_sequence_says_so_and_exemplars_may_come_from_another_split():
    with TemporaryDirectory() as tmp:
        home, plain = Path(tmp) / "mine", make_folder(Path(tmp) / "plain")
        for kind in ("images", "labels"):
            for f in sorted((plain / kind).iterdir()):
                part = home / ("val" if f.name.startswith("walk2") else "train") / kind
                part.mkdir(parents=True, exist_ok=True)
                f.rename(part / f.name)
        said = call(rabit_retrieve, home, "--classes", 7, "--split", "val", "-k", 1, "-o", Path(tmp)
                    / "pairs.json")[1]
        print(said.replace(tmp, "…"))
        assert ("2 images of val" in said and "all 2 images are one sequence (walk2)" in said
                and "images of train" in said)
        code, said, err = call(rabit_retrieve, home, "--classes", 7, "--split", "val", "--exemplars-from",
                               "train", "-o", Path(tmp) / "pairs.json")
        assert code == 0 and "4 exemplars each from train" in said and "one sequence" not in said, (said, err)
        pairs = json.loads((Path(tmp) / "pairs.json").read_text())
        assert list(pairs) == ["walk2_0", "walk2_1"] and set(pairs["walk2_0"]) == {f"walk{i}_{j}" for i in (0, 1)
                                                                                   for j in (0, 1)}
        assert "of train" in call(rabit_retrieve, home, "--classes", 7, "-o", Path(tmp) / "pairs.json")[1]


def test_a_call_that_was_interrupted_goes_on_with_the_features_that_it_left():
    with TemporaryDirectory() as tmp:
        home, wanted, out = make_folder(Path(tmp) / "mine"), Path(tmp) / "wanted.json", Path(tmp) / "pairs.json"
        assert call(rabit_retrieve, home, "--classes", 7, "-o", wanted)[0] == 0
        with patch("rabit.data.retrieval.nearest_of_other_groups", side_effect=KeyboardInterrupt):
            code, said, err = call(rabit_retrieve, home, "--classes", 7, "-o", out)
        left, = out.parent.glob("pairs.json.features-*")
        assert code == 130 and "the same command goes on there" in err and left.stat().st_size == 6 * 71 * 4
        assert call(rabit_retrieve, home, "--classes", 7, "-o", out)[0] == 0
        assert out.read_text() == wanted.read_text() and sorted(p.name for p in Path(tmp).iterdir()) == [
            "mine", "pairs.json", "wanted.json"]


def test_lists_of_persons_begin_with_the_images_of_the_same_outfit():
    with TemporaryDirectory() as tmp:
        home = make_folder(Path(tmp) / "mine")
        for kind in ("images", "labels"):
            for f in (home / kind).iterdir():
                f.rename(f.with_name(f"id_0000000{f.stem[4]}_01_{f.stem[-1]}_front.png"))
        for options, word in (((), "6 images begin with others"), (("--no-mates",), "no list holds another")):
            given = home, "--classes", 7, "-k", 1, "-o", Path(tmp) / "pairs.json", *options
            said = call(rabit_retrieve, *given)[1]
            assert word in said, said
            pairs = json.loads((Path(tmp) / "pairs.json").read_text())
            for target, (first, *more) in pairs.items():
                assert (first[:11] == target[:11]) == (options == ()) and len(more) == (options == ())
