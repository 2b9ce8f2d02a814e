# Generated from nbs/6_tools/66_use_commands.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import json
import torch
from PIL import Image
from pathlib import Path
from rabit.core.tensors import to_pil
from rabit.core.trials import call
from rabit.matching.street import street_pairs
from rabit.networks.translate import rabit
from rabit.tools.use_commands import folder_report
from rabit.tools.use_commands import rabit_edit
from rabit.tools.use_commands import rabit_translate
from tempfile import TemporaryDirectory

def make_home(folder):
    "A model, two label maps, an edited one, and their images"
    torch.manual_seed(0)
    rabit(7, (32, 32), width=4, features=8).save_pretrained(folder / "weights")
    scenes = street_pairs([6, 7], seed=0, size=(32, 32))
    for name in ("maps", "photos"): (folder / name).mkdir()
    for i in range(2):
        Image.fromarray(scenes["labels"][i].byte().numpy()).save(folder / "maps" / f"a{i}.png")
        to_pil(scenes["image"][i]).save(folder / "photos" / f"a{i}.png")
    edited = scenes["labels"][0].masked_fill(scenes["labels"][0] == 0, 1)
    Image.fromarray(edited.byte().numpy()).save(folder / "edited.png")
    return folder


def test_a_folder_s_report_names_only_what_happened():
    assert folder_report(dict(wrote=2, kept=0, failed=0), Path("out")) == "wrote 2 of 2 images to out"
    told = folder_report(dict(wrote=0, kept=1, failed=2), Path("out"))
    assert told == "wrote 0 of 3 images to out; kept 1 that were there (--overwrite paints them again); 2 failed"


def test_an_image_is_translated_and_edited():
    with TemporaryDirectory() as tmp:
        home = make_home(Path(tmp))
        model = ("--checkpoint", home / "weights", "--device", "cpu", "-o")
        inputs = home / "maps/a0.png", home / "photos/a1.png"
        code, out, err = call(rabit_translate, *inputs, *model, home / "out.png")
        assert (code, err) == (0, "") and Image.open(home / "out.png").size == (32, 32)
        args = home / "photos/a0.png", home / "maps/a0.png", home / "edited.png"
        assert call(rabit_edit, *args, *model, home / "edit.png")[0] == 0
        code, out, err = call(rabit_translate, *args[:2], *model, home / "photos/a0.png")
        assert code == 2 and "is an input, too" in err


def test_the_warped_exemplar_and_the_confidence_are_written_beside_the_image():
    with TemporaryDirectory() as tmp:
        home = make_home(Path(tmp))
        one = home / "maps/a0.png", home / "photos/a1.png"
        model = "--checkpoint", home / "weights", "--device", "cpu", "--all", "-o"
        code, out, err = call(rabit_translate, *one, *model, home / "x.png")
        names = [p.name for p in sorted(home.glob("x*"))]
        assert code == 0 and names == ["x-confidence.png", "x-warped.png", "x.png"]
        code, out, err = call(rabit_translate, home / "maps", home / "photos", *model, home / "all")
        assert code == 0 and len(list((home / "all").iterdir())) == 6 and "wrote 2 of 2" in out
        code, out, err = call(rabit_translate, one[0], home / "x-warped.png", *model, home / "x.png")
        assert code == 2 and "is an input, too" in err


def test_what_will_be_worth_little_is_told_in_one_line():
    with TemporaryDirectory() as tmp:
        home = make_home(Path(tmp))
        unknown, map_ = home / "unknown.png", home / "map.png"
        Image.fromarray(torch.full((32, 32), 255, dtype=torch.uint8).numpy()).save(unknown)
        Image.fromarray(torch.full((32, 32), 13, dtype=torch.uint8).numpy()).save(map_)
        to_pil(torch.rand(1, 3, 48, 48) * 2 - 1).save(home / "noise.png")
        end = home / "noise.png", "--checkpoint", "street-64", "--device", "cpu", "-o", home / "x.png"
        code, out, err = call(rabit_translate, unknown, *end)
        told = sorted(err.splitlines())
        assert code == 0 and len(told) == 2 and "which means unknown" in told[0] and "is unlike" in told[1]
        code, out, err = call(rabit_translate, map_, *end)
        assert code == 2 and "6 car" in err and "--map 13=CLASS" in err
        assert call(rabit_translate, map_, *end, "--map", "13=car")[0] == 0


def test_a_folder_is_translated_and_goes_on_where_it_stopped():
    with TemporaryDirectory() as tmp:
        home = make_home(Path(tmp))
        line = (home / "maps", home / "photos", "--checkpoint", home / "weights", "--device", "cpu", "-o",
                home / "out")
        code, out, err = call(rabit_translate, *line)
        assert code == 0 and "wrote 2 of 2 images" in out
        (home / "maps/a2.png").write_bytes(b"no image")
        code, out, err = call(rabit_translate, *line)
        assert code == 1 and "wrote 0 of 3 images" in out and "kept 2" in out and "1 failed" in out
        assert "a2.png" in err
        (home / "pairs.json").write_text(json.dumps(dict(a0=["a1"], a1=["a0"])))
        (home / "maps/a2.png").unlink()
        code, out, err = call(rabit_translate, *line[:-1], home / "listed", "--exemplars", home / "pairs.json",
                              "--format", "jpg")
        assert code == 0 and sorted(p.name for p in (home / "listed").iterdir()) == ["a0.jpg", "a1.jpg"]
        code, out, err = call(rabit_translate, *line[:-1], home / "maps/out")
        assert code == 2 and "which is read" in err


def test_a_person_of_several_is_painted_as_if_alone():
    with TemporaryDirectory() as tmp:
        home = make_home(Path(tmp))
        rabit(35, (32, 32), width=4, features=8, condition="joints", position="coord").save_pretrained(home / "j")
        a = torch.tensor([[3. + k % 5 * 6, 2. + k * 1.6, 1.] for k in range(18)])
        b = a * torch.tensor([.6, .6, 1.]) + torch.tensor([9., 9., 0.])
        def pose(name, *people):
            "A file of OpenPose"
            found = [dict(pose_keypoints_2d=p.flatten().tolist()) for p in people]
            (home / name).write_text(json.dumps(dict(people=found)))
            return home / name
        options = home / "photos/a1.png", "--checkpoint", home / "j", "--device", "cpu", "-o"
        made, said = {}, {}
        for name, people, more in (("a", [a], ()), ("b", [b], ()), ("ba", [b, a], ()),
                                   ("ba1", [b, a], ("--person", 1))):
            code, out, said[name] = call(rabit_translate, pose(name + ".json", *people), *options,
                                         home / f"{name}.png", *more)
            assert code == 0, said
            made[name] = (home / f"{name}.png").read_bytes()
        assert made["ba"] == made["a"] and made["ba1"] == made["b"] and made["a"] != made["b"]
        assert "shows 2 persons; the largest is taken, person 2" in said["ba"]
        assert not any("persons" in said[name] for name in ("a", "b", "ba1"))
        for file, words in (("ba.json", "person 3 is asked for; a number from 1 to 2"),
                            ("maps/a0.png", "--person is for key points")):
            weights = ("--checkpoint", home / "weights") if file.endswith(".png") else ()
            code, out, err = call(rabit_translate, home / file, *options, home / "x.png", "--person", 3, *weights)
            assert code == 2 and words in err, err
        (home / "poses").mkdir()
        pose("poses/ba.json", b, a)
        code, out, err = call(rabit_translate, home / "poses", *options, home / "images", "--person", 1)
        assert code == 0 and (home / "images/ba.png").read_bytes() == made["b"]
