# Generated from nbs/6_tools/60_edit.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
from rabit.core.tensors import RabitError
from rabit.matching.street import street_pairs
from rabit.tools.edit import History
from rabit.tools.edit import brush
from rabit.tools.edit import dilate
from rabit.tools.edit import edited_scene
from rabit.tools.edit import edited_scenes
from rabit.tools.edit import erase_region
from rabit.tools.edit import fill
from rabit.tools.edit import fill_hole
from rabit.tools.edit import flood_select
from rabit.tools.edit import grow_region
from rabit.tools.edit import move_region
from rabit.tools.edit import relabel

def street(i=24, size=(64, 64)):
    "Image (1, 3, h, w) and label map (h, w) of a street that the shipped model never saw"
    batch = street_pairs([i], seed=1, size=size)
    return batch["image"], batch["labels"][0]

def fails(call, *words):
    "Run what must fail, and return what it says"
    try: call()
    except RabitError as error: message = str(error)
    else: raise AssertionError("this should have failed")
    for word in words: assert word in message, (word, message)
    return message

def slow_flood(labels, at):
    "Connected pixels of one class, pixel by pixel"
    (x, y), (h, w) = at, labels.shape
    mask, todo = torch.zeros(h, w, dtype=torch.bool), [(x, y)]
    while todo:
        i, j = todo.pop()
        if 0 <= i < w and 0 <= j < h and not mask[j, i] and labels[j, i] == labels[y, x]:
            mask[j, i] = True
            todo += [(i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)]
    return mask


def test_a_region_is_what_a_flood_pixel_by_pixel_reaches():
    g = torch.Generator().manual_seed(0)
    for h, w in ((1, 1), (1, 9), (7, 1), (12, 17)):
        for classes in (1, 2, 3):
            noise = torch.randint(classes, (h, w), generator=g)
            at = (int(torch.randint(w, (), generator=g)), int(torch.randint(h, (), generator=g)))
            assert torch.equal(flood_select(noise, at), slow_flood(noise, at))
    diagonal = torch.eye(4, dtype=torch.int64)
    assert flood_select(diagonal, (1, 1)).sum() == 1                               # corners do not connect
    for bad in ((64, 3), (3, 64), (-1, 0), (2.5, 1)):
        fails(lambda: flood_select(torch.zeros(64, 64, dtype=torch.int64), bad), "64×64", str(bad[0]), "0 to 63")
    fails(lambda: flood_select(torch.zeros(2, 4, 4, dtype=torch.int64), (0, 0)), "(2, 4, 4)", "(h, w)")
    fails(lambda: flood_select(torch.zeros(4, 4), (0, 0)), "float32")


def test_fill_changes_one_region_and_relabel_a_class():
    two = torch.tensor([[1, 0, 1], [1, 0, 1]])
    assert fill(two, (0, 1), 5).tolist() == [[5, 0, 1], [5, 0, 1]]
    assert relabel(two, 1, 5).tolist() == [[5, 0, 5], [5, 0, 5]]
    # the map that was given stays as it was
    assert two.tolist() == [[1, 0, 1], [1, 0, 1]]
    fails(lambda: relabel(two, 3, 1), "label 3", "[0, 1]")
    for bad in (-1, 256, 2.0, True, "tree"): fails(lambda: fill(two, (0, 0), bad), repr(bad), "0 to 254")


def test_a_brush_paints_a_disc_a_bar_and_nothing_outside():
    empty = torch.zeros(9, 12, dtype=torch.int64)
    assert brush(empty, [(3, 4)], 0, 1).nonzero().tolist() == [[4, 3]]
    disc = brush(empty, [(5, 4)], 2, 1)
    assert torch.equal(disc, disc.flip(0)) and disc[4, 3:8].all() and disc[4].sum() == 5 and not disc[2, 3]
    bar = brush(empty, [(2, 4), (9, 4)], 1, 1)
    assert bar[3:6, 2:10].all() and bar[4].sum() == 10 and bar[2].sum() == 0
    beads = brush(brush(empty, [(2, 4)], 1, 1), [(9, 4)], 1, 1)                    # what stamps would leave
    assert (bar >= beads).all() and bar.sum() > beads.sum()
    assert brush(empty, [(-50, -50)], 3, 1).sum() == 0 and brush(empty, [(-2, 4)], 2, 1).sum() == 3
    fails(lambda: brush(empty, [], 2, 1), "[]")
    fails(lambda: brush(empty, [(1, float("nan"))], 2, 1), "nan")
    fails(lambda: brush(empty, [(1, 1)], -2, 1), "radius = -2")


def test_a_hole_takes_the_class_of_the_nearest_pixel_outside():
    g = torch.Generator().manual_seed(0)
    noise, hole = torch.randint(5, (14, 19), generator=g), torch.rand(14, 19, generator=g) < .7
    filled = fill_hole(noise, hole)
    assert torch.equal(filled[~hole], noise[~hole])
    outside = (~hole).nonzero()
    for y, x in hole.nonzero().tolist():
        far = (outside - torch.tensor([y, x])).square().sum(1)
        assert filled[y, x] in noise[tuple(outside[far == far.min()].T)]           # any of the nearest will do
    assert torch.equal(fill_hole(noise, torch.zeros_like(hole)), noise)
    fails(lambda: fill_hole(noise, torch.ones_like(hole)), "whole map")
    fails(lambda: fill_hole(noise, hole[:5]), "5, 19", "(14, 19)")


def test_an_edited_scene_changes_where_its_thing_was_or_is_and_nowhere_else():
    for sample in edited_scenes(12, seed=3):
        near = dilate(sample["old_mask"] | sample["new_mask"], 1.5)
        assert ((sample["labels"] != sample["edited"]).any()
                and not (sample["labels"] != sample["edited"])[~near].any())
        # tips thinner than a pixel
        assert ((sample["image"] - sample["ground_truth"])[0].abs().amax(0)[~near] > 0).float().mean() < .002
        assert not torch.equal(sample["image"], sample["ground_truth"])
        if sample["kind"] == "removed": assert not sample["new_mask"].any()
        if sample["kind"] == "grown": assert sample["new_mask"].sum() > sample["old_mask"].sum()
    assert [r["kind"] for r in edited_scenes(4)] == ["removed", "moved", "grown", "removed"]
    fails(lambda: edited_scene(0, "painted"), "'painted'", "removed, moved, grown")


def test_regions_move_grow_and_vanish():
    box = torch.zeros(12, 16, dtype=torch.int64)
    box[6:] = 2
    box[4:8, 3:6] = 1
    moved = move_region(box, (4, 5), 7, -1)
    assert ((moved == 1).sum() == 12 and (moved[3:7, 10:13] == 1).all() and (moved[:6, :9] == 0).all()
            and (moved[7:] == 2).all())
    assert torch.equal(move_region(box, (4, 5), 0, 0), box)                        # not moved at all
    # and back: nothing else stood there
    assert torch.equal(move_region(moved, (11, 4), -7, 1), box)
    grown = grow_region(box, (4, 5), 1)
    assert (grown[4:8, 2:7] == 1).all() and (grown[3:9, 3:6] == 1).all() and grown[3, 2] == 0
    assert torch.equal(grow_region(grown, (4, 5), -1), box) and torch.equal(grow_region(box, (4, 5), 0), box)
    # no shrinking away from the map's edge
    assert (grow_region(box, (0, 0), -1) == 0)[:5, 0].all()
    assert not (erase_region(box, (4, 5)) == 1).any() and (erase_region(box, (4, 5))[:6] == 0).all()
    fails(lambda: move_region(box, (4, 5), 30, 0), "(30, 0)", "erase_region")
    fails(lambda: move_region(box, (4, 5), .5, 0), "0.5")
    fails(lambda: grow_region(box, (4, 5), -2), "12 pixels", "erase_region")
    fails(lambda: grow_region(box, (4, 5), 99), "99", "16×12")
    fails(lambda: erase_region(torch.ones(4, 4, dtype=torch.int64), (0, 0)), "whole map")


def test_a_history_goes_back_and_forth():
    past = History("a", limit=3)
    for state in "bc": past.do(state)
    past.undo()
    past.undo()
    assert past.now == "a"
    fails(past.undo, "undo")
    past.redo()
    assert past.now == "b"
    past.do("d")
    fails(past.redo, "redo")                                                       # c is gone
    past.reset()
    assert past.now == "a"
    past.undo()
    assert past.now == "d"
    for state in "efgh": past.do(state)
    for _ in range(3): past.undo()
    assert past.now == "e"                                                         # three are remembered
    fails(past.undo, "undo")
    fails(lambda: History("a", 0), "limit = 0")


def test_a_spiral_takes_rounds_by_its_turns():
    def spiral(turns):
        side = 4 * turns + 1
        labels = torch.zeros(side, side, dtype=torch.int64)
        x = 0
        y = 0
        step = side - 1
        for k, (dx, dy) in enumerate([(1, 0), (0, 1), (-1, 0), (0, -1)] * turns):
            if k > 2 and k % 2: step -= 2
            for _ in range(step): labels[y, x] = 1; x, y = x + dx, y + dy
        return labels
    for turns in (1, 3):
        labels = spiral(turns)
        assert flood_select(labels, (0, 0)).sum() == (labels == 1).sum() > 0
