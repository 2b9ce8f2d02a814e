# Generated from nbs/4_data/43_layouts.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import tempfile
import torch
from pathlib import Path
from rabit.core.registry import register
from rabit.core.tensors import RabitError
from rabit.data.layouts import LAYOUTS
from rabit.data.layouts import detect_layout
from rabit.data.layouts import open_dataset
from rabit.data.layouts import open_folder
from rabit.data.layouts import outfit_of
from rabit.data.painted_sets import save
from rabit.data.painted_sets import write_faces
from rabit.data.painted_sets import write_persons
from rabit.data.painted_sets import write_streets
from rabit.data.pairs import Layout
from rabit.data.pairs import read_ids
from rabit.inputs.samples import SampleDataset
from rabit.inputs.samples import SceneDataset
from rabit.matching.street import street_pairs


def test_only_names_of_deepfashions_pattern_are_outfits():
    same = {"WOMEN-Dresses-id_00000002-02_1_front", "WOMEN-Dresses-id_00000002-02_4_full"}
    assert len(set(map(outfit_of, same))) == 1 and None not in map(outfit_of, same)
    different = ["WOMEN-Dresses-id_00000002-02_1_front", "WOMEN-Dresses-id_00000002-03_1_front",
                 "MEN-Dresses-id_00000002-02_1_front", "fashionWOMENTees_Tanksid0000733401_1front",
                 "fashionWOMENTees_Tanksid0000733402_1front", "id_00000002_02_1_front"]
    assert len(set(map(outfit_of, different))) == len(different) and None not in map(outfit_of, different)
    assert not any(map(outfit_of, ("dance_02_1_front", "id_244/02_1_front", "id_00000244/2_1_front",
                                   "id_00000244/02_1_top", "grid_00000244/02_1_front", "id_00000244")))


def test_each_layout_is_recognised_by_its_names():
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        written = {"ade20k": write_streets(tmp/"1", "ADE_{split}_{i:08d}", "images/{split}",
                                           "annotations/{split}", lambda x: x + 1, 2),
                   "celeba-hq": write_faces(tmp/"2", (3,)), "deepfashion": write_persons(tmp/"3", 1),
                   "coco-stuff": write_streets(tmp/"4", "{i:012d}", "{split}_img", "{split}_label", n=2),
                   "camvid": write_streets(tmp/"5", "0006R0_{i:06d}", "{split}/images", "{split}/labels", n=2),
                   "folder": write_streets(tmp/"6", "mine{i}", "{split}/images", "{split}/labels", n=2)}
        for name, root in written.items():
            assert isinstance(detect_layout(root), Layout) and detect_layout(root).name == name, name
        (tmp/"7").mkdir()
        try: detect_layout(tmp/"7")
        except RabitError as error: assert "holds neither images/ and labels/" in str(error)
        else: assert False


def test_joints_follow_their_image_through_mirrors_and_moves():
    with tempfile.TemporaryDirectory() as tmp:
        dataset = open_folder(write_persons(Path(tmp), 2), size=(96, 96), self_pair_prob=1., seed=3)
        assert dataset.condition == "joints" and dataset.classes == 35 and (dataset[0]["labels"] == 255).all()
        checked = 0
        for i in range(12):
            r = dataset[i]
            for k in range(18):
                heat, there = r["condition"][k], r["exemplar_condition"][k]
                if heat.max() < .5: continue
                y, x = divmod(heat.argmax().item(), 96)
                if not r["visible"][y, x] or not there.any(): continue
                at = torch.tensor([there.argmax() % 96, there.argmax() // 96])
                # the ground truth leads from a joint to the same joint
                assert (at - r["position"][:, y, x]).norm() < 3, (i, k)
                checked += 1
        assert checked > 60


def test_another_pose_of_one_outfit_is_a_right_answer_and_other_persons_are_none():
    with tempfile.TemporaryDirectory() as tmp:
        dataset = open_folder(write_persons(Path(tmp), 4), size=(32, 32), self_pair_prob=0., augment=False)
        paired = torch.stack([dataset[i]["paired"] for i in range(80)]).float().mean()
        assert .6 < paired < .95 and len(set(dataset.groups)) == 4 and not dataset[0]["visible"].any()


def test_worlds_and_data_of_ones_own_are_opened_by_name():
    scenes, wanted = open_dataset("face", size=(24, 32), seed=4), SceneDataset("face", 4, (24, 32))
    assert all(torch.equal(v, wanted[3][k]) for k, v in scenes[3].items())

    class Grey(SampleDataset):
        "Sample i is grey"
        def __init__(self, size, seed): self.size, self.seed = size, seed
        def __len__(self): return 3
        def __getitem__(self, index): return dict(image=torch.full((3, *self.size), self.seed + index / 10))

    register("datasets", "grey", Grey)
    assert open_dataset("grey", size=(4, 6), seed=1, augment=False)[2]["image"].shape == (3, 4, 6)
    by_path = open_dataset("rabit.matching.street:STREET", size=(16, 16), seed=2)
    assert torch.equal(by_path[1]["image"], SceneDataset("street", 2, (16, 16))[1]["image"])
    said = {"nowhere.at:all": "cannot be imported", "math:pi": "is a float", "math:sqrt": "cannot be made",
            "no/folder": "no such folder"}
    for wrong, word in said.items():
        try: open_dataset(wrong)
        except RabitError as error: assert word in str(error), error
        else: assert False, wrong


def test_a_layout_of_ones_own_is_one_function():
    def find_pairs_of_bmp(root, classes=None):
        "Photographs *.bmp with label maps of the same name *.map.bmp beside them"
        found = {f.stem: (f, f.with_suffix(".map.bmp")) for f in root.glob("*.bmp") if "." not in f.stem}
        return Layout("bmp", "bitmaps", {"": found}, {"": {}}, "labels", 7, ids=read_ids) if found else None

    LAYOUTS.insert(0, find_pairs_of_bmp)
    try:
        with tempfile.TemporaryDirectory() as tmp:
            r = street_pairs(range(2), size=(16, 16))
            for i in range(2):
                save(r["image"][i], Path(tmp)/f"{i}.bmp")
                save(r["labels"][i], Path(tmp)/f"{i}.map.bmp")
            dataset = open_dataset(tmp, size=(16, 16), augment=False)
            assert dataset.layout.name == "bmp" and torch.equal(dataset[1]["labels"], r["labels"][1])
    finally: LAYOUTS.remove(find_pairs_of_bmp)
