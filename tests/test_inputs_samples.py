# Generated from nbs/2_inputs/29_samples.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
from dataclasses import replace
from rabit.core.registry import register
from rabit.core.tensors import RabitError
from rabit.inputs.samples import SampleDataset
from rabit.inputs.samples import SceneDataset
from rabit.inputs.samples import conditions_of
from rabit.inputs.samples import world
from rabit.inputs.samples import worlds
from rabit.matching.street import STREET
from torch.utils.data import DataLoader


def test_a_world_is_found_by_its_name_and_an_unknown_one_is_refused_with_the_names_of_all():
    assert world("street") is STREET and STREET.condition is None and worlds()[0] == "street"
    assert all(world(name).name == name for name in worlds())
    for wrong in ("moon", "", "street.", "core"):
        try: world(wrong)
        except RabitError as error: assert repr(wrong) in str(error) and "street" in str(error)
        else: assert False, wrong
    register("worlds", "dusk", replace(STREET, name="dusk"))
    assert world("dusk").parts == STREET.parts and "dusk" in worlds()


def test_a_dataset_is_two_methods_and_its_batches_are_collated_samples():
    class Numbers(SampleDataset):
        "Sample i is the number i"
        def __len__(self): return 4
        def __getitem__(self, index): return dict(image=torch.full((3, 1, 1), float(index)))

    assert [int(s["image"][0]) for s in Numbers()] == [0, 1, 2, 3]
    assert Numbers().batch([2, 9])["image"][:, 0, 0, 0].tolist() == [2, 9]
    loaded = next(iter(DataLoader(Numbers(), batch_size=3)))["image"]
    assert torch.equal(loaded, Numbers().batch(range(3))["image"])
    try: Numbers().batch([])
    except RabitError as error: assert "no indices" in str(error)
    else: assert False


def test_scenes_are_a_paired_dataset_that_depends_on_seed_and_index_alone():
    for name, classes in (("street", 7), ("face", 2), ("figure", 35)):
        scenes = SceneDataset(name, seed=0, size=(64, 64))
        batch = scenes.batch([5, 9])
        assert batch["paired"].all() and batch["paired"].dtype == torch.bool
        assert scenes.classes == classes and int(batch["labels"].max()) < len(scenes.names)
        assert batch["image"].shape == (2, 3, 64, 64)
        assert all(torch.equal(v, batch[k][1]) for k, v in scenes[9].items())
        assert not torch.equal(SceneDataset(name, seed=1)[9]["image"], batch["image"][1])


def test_what_is_no_size_is_refused_before_anything_is_rendered():
    for size in (64, (64,), (0, 64), (64., 64)):
        try: SceneDataset(size=size)
        except RabitError as e: assert f"size = {size} does not fit: (h, w)" in str(e), e
        else: raise AssertionError(size)


def test_a_dataloader_with_workers_gives_the_batches_that_batch_gives():
    scenes = SceneDataset(size=(16, 24), length=6)
    loaded = list(DataLoader(scenes, batch_size=2, num_workers=2))
    assert len(loaded) == 3
    for i, batch in enumerate(loaded):
        wanted = scenes.batch([2 * i, 2 * i + 1])
        assert batch.keys() == wanted.keys() and all(torch.equal(batch[k], wanted[k]) for k in wanted)


def test_the_maps_of_a_batch_are_its_condition_and_else_its_labels():
    for name in ("street", "face", "figure"):
        scenes = SceneDataset(name, size=(32, 48))
        batch = scenes.batch([1, 2])
        condition, exemplar_condition = conditions_of(batch, scenes.classes)
        assert condition.shape == exemplar_condition.shape == (2, scenes.classes, 32, 48)
        if "condition" in batch: assert condition is batch["condition"]
        else:
            assert torch.equal(condition.argmax(1), batch["labels"])
            assert torch.equal(exemplar_condition.argmax(1), batch["exemplar_labels"])
