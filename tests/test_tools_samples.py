# Generated from nbs/6_tools/66a_samples.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import io
import torch
from contextlib import redirect_stdout
from pathlib import Path
from rabit.inputs.conditions import read_condition
from rabit.inputs.face import FACE
from rabit.inputs.figure import FIGURE
from rabit.inputs.palettes import read_labels
from rabit.matching.scenes import pairs
from rabit.matching.street import STREET
from rabit.matching.street import STREET_PARTS
from rabit.tools.edit import labels_to_pil
from rabit.tools.samples import SCENE
from rabit.tools.samples import SEED
from rabit.tools.samples import erase
from rabit.tools.samples import rabit_sample
from tempfile import TemporaryDirectory


def test_a_label_map_keeps_its_numbers_and_a_hole_takes_its_neighbours_labels():
    labels = torch.tensor([[0, 1, 1, 2], [5, 5, 5, 5]])
    with TemporaryDirectory() as folder:
        labels_to_pil(labels).save(Path(folder) / "labels.png")
        assert torch.equal(read_labels(Path(folder) / "labels.png")[0], labels)
    assert erase(labels, labels == 1).tolist() == [[0, 0, 2, 2], [5, 5, 5, 5]]


def test_samples_are_of_every_kind_and_are_read_as_they_were_written():
    with TemporaryDirectory() as tmp, redirect_stdout(io.StringIO()) as out:
        home = Path(tmp) / "samples"
        rabit_sample([str(home)])
        scene = pairs(STREET, [SCENE], SEED, (128, 128))
        labels, edited = (read_labels(home / f"{name}.png", 7)[0] for name in ("labels", "edited"))
        van = scene["parts"][0] == STREET_PARTS.index("van")
        assert torch.equal(labels, scene["labels"][0]) and torch.equal(labels != edited, van) and van.any()
        for name, world, i in (("edges.png", FACE, 3), ("joints.json", FIGURE, 9)):
            wanted = pairs(world, [i], SEED, (64, 64))["condition"]
            found = read_condition(home / name, world.kind, (64, 64))
            assert (found - wanted).abs().mean() < .01, (name, float((found - wanted).abs().mean()))
        assert len(list((home / "maps").iterdir())) == 9 and len(list(home.rglob("walk*"))) == 32
        try: rabit_sample([str(home)])
        except SystemExit as e: assert e.code == 2                          # what is there stays as it is
        else: raise AssertionError("samples were written over others")
    assert "rabit_translate labels.png exemplar.png" in out.getvalue()
