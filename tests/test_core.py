# Generated from nbs/00_core.ipynb by .ci/export_tests.py: edit the notebook, not this file.
import numpy as np
import random
import torch
import torch.nn.functional as F
from rabit.core import RabitError
from rabit.core import UNKNOWN
from rabit.core import check
from rabit.core import check_finite
from rabit.core import check_labels
from rabit.core import check_map
from rabit.core import check_picture
from rabit.core import check_size
from rabit.core import crop_to
from rabit.core import from_blocks
from rabit.core import grid_of
from rabit.core import labels_of
from rabit.core import one_hot
from rabit.core import pad_to
from rabit.core import pick_device
from rabit.core import pixel_grid
from rabit.core import positional_norm
from rabit.core import process
from rabit.core import resize
from rabit.core import resize_labels
from rabit.core import rng_state
from rabit.core import room
from rabit.core import seed_all
from rabit.core import set_rng_state
from rabit.core import to_blocks
from rabit.core import to_pil
from rabit.core import unit
from rabit.core import world_mean

def said(f, *args, **kwargs):
    "The message of the error that `f` raises"
    try: f(*args, **kwargs)
    except RabitError as e: return str(e)
    return "no error"


def test_a_failed_check_repeats_its_message():
    assert said(check, 2 > 1, "never seen") == "no error"
    assert said(check, 1 > 2, "1 was given; more than 2 is needed") == "1 was given; more than 2 is needed"
    assert issubclass(RabitError, ValueError)


def test_not_finite_values_are_counted_and_located():
    x = torch.zeros(2, 3)
    assert check_finite(x, "x") is x
    x[1, 2] = torch.nan
    assert "scores holds 1 values" in said(check_finite, x, "scores") and "(1, 2)" in said(check_finite, x, "scores")
    x[1, 2] = -torch.inf
    assert said(check_finite, x, "x") != "no error" and said(check_finite, x, "x", infinite=True) == "no error"


def test_what_is_no_picture_is_refused():
    good = torch.zeros(1, 3, 4, 4)
    assert check_picture(good) is good
    for bad in (good[0], good[:, :2], good.long(), good[:0], "street.png"): assert said(check_picture, bad) != "no error"
    assert "exemplar has shape (3, 4, 4)" in said(check_picture, good[0], "exemplar")


def test_what_is_no_map_and_no_size_is_refused():
    good = torch.zeros(1, 5, 4, 4)
    assert check_map(good) is good and check_size((3, 4)) == (3, 4)
    for bad in (good[0], good.long(), good[:, :0], None): assert "float tensor (b, c, h, w)" in said(check_map, bad)
    for bad in ((0, 4), (3,), (3., 4), (-1, 4), 7): assert "block = " in said(check_size, bad, "block")


def test_label_ids_out_of_range_are_named():
    labels = torch.tensor([[[0, 1, 1], [4, 7, UNKNOWN]]])
    message = said(check_labels, labels, 5, "0017.png")
    assert "0017.png holds the id 7" in message and "0 to 4" in message
    assert check_labels(labels, 8) is labels
    for bad in (labels[0], labels.float(), labels[:, :0], -labels): assert said(check_labels, bad, 8) != "no error"


def test_conditions_and_label_maps_are_the_same_thing():
    labels = torch.tensor([[[0, 1, 1], [4, 2, UNKNOWN]]])
    condition = one_hot(labels, 5)
    assert condition.shape == (1, 5, 2, 3) and condition.dtype == torch.float32
    assert condition[0, :, 1, 2].sum() == 0 and condition.sum() == 5
    assert torch.equal(labels_of(condition), labels)


def test_so_many_blocks_cover_a_grid():
    assert grid_of((4, 6), (2, 3)) == (2, 2)
    assert grid_of((5, 7), (2, 3)) == (3, 3)
    assert grid_of((5, 7), (5, 7)) == (1, 1) and grid_of((5, 7), (1, 1)) == (5, 7)


def test_blocks_and_back():
    x = torch.randn(2, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    slow = F.unfold(x, (3, 2), stride=(3, 2)).view(2, 3, 6, 8).permute(0, 3, 2, 1)
    assert torch.equal(to_blocks(x, (3, 2)), slow)
    assert torch.equal(to_blocks(x, (6, 8)), x.flatten(2).transpose(1, 2)[:, None])
    assert torch.equal(to_blocks(x, (1, 1)), x.flatten(2).transpose(1, 2)[:, :, None])
    for block in ((1, 1), (2, 3), (4, 4), (6, 8), (7, 9)): assert torch.equal(from_blocks(to_blocks(x, block), (6, 8), block), x)


def test_positions_are_x_then_y():
    grid = pixel_grid((2, 3))
    assert grid.shape == (1, 2, 2, 3)
    assert grid[0, :, 1, 2].tolist() == [2., 1.]


def test_centres_of_coarse_pixels():
    told = resize(pixel_grid((8, 16)), (4, 8))[0, 0, 2, 1:-1]          # x of the inner coarse pixels
    x = torch.arange(1., 7)
    torch.testing.assert_close(told, 2 * (x + .5) - .5)
    torch.testing.assert_close((told - 2 * x), torch.full((6,), .5))


def test_resize_smooths_when_it_shrinks():
    stripes = torch.tensor([-1., 1.]).repeat(32).expand(1, 1, 4, 64)
    assert resize(stripes, (4, 64)) is stripes
    assert resize(stripes, (4, 32))[..., 2:-2].abs().max() < .2                    # grey, as seen from afar
    assert resize(stripes.bfloat16(), (4, 32)).dtype == torch.bfloat16
    assert stripes[..., ::2].eq(-1).all()                                          # taking every second pixel finds one colour only


def test_resized_labels_hold_no_new_ids():
    labels = torch.tensor([[[0, 0, 2, 2], [0, 2, 2, 255]]])
    averaged = resize(labels[:, None].float(), (3, 7)).round().long()
    assert set(averaged.unique().tolist()) - {0, 2, 255}                           # the failure
    for size in ((3, 7), (1, 2), (8, 16), (2, 4)):
        small = resize_labels(labels, size)
        assert small.shape == (1, *size) and small.dtype == torch.int64 and set(small.unique().tolist()) <= {0, 2, 255}


def test_padded_and_cropped_again():
    x = torch.rand(2, 3, 13, 21, generator=torch.Generator().manual_seed(0))
    padded = pad_to(x, 8)
    assert padded.shape == (2, 3, 16, 24) and torch.equal(crop_to(padded, (13, 21)), x)
    assert torch.equal(padded[..., -1], padded[..., 20]) and torch.equal(padded[..., -1, :], padded[..., 12, :])
    assert pad_to(padded, 8) is padded


def test_pictures_become_pil_images():
    picture = torch.tensor([-1., 0., 1., 7.]).view(1, 1, 1, 4).expand(1, 3, 1, 4)
    image = to_pil(picture)
    assert image.size == (4, 1) and image.mode == "RGB"
    assert [image.getpixel((i, 0))[0] for i in range(4)] == [0, 128, 255, 255]     # what lies outside [-1, 1] is clipped


def test_the_centred_cosine_minds_neither_brightness_nor_contrast():
    gen = torch.Generator().manual_seed(0)
    z = torch.randn(64, 16, generator=gen) + torch.randn(64, 1, generator=gen)
    x, own = 3 * z + 4, torch.arange(64)
    assert ((x @ z.T).argmax(1) == own).float().mean() < .5                        # the failure
    assert torch.equal((unit(x) @ unit(z).T).argmax(1), own)                       # the cure
    torch.testing.assert_close(unit(x), unit(z))
    torch.testing.assert_close(unit(z).norm(dim=1), torch.ones(64))
    assert unit(torch.full((1, 16), 3.)).abs().max() == 0                          # a token without contrast resembles nothing


def test_every_position_has_mean_0_and_variance_1():
    x = 5 + 3 * torch.randn(2, 16, 4, 6, generator=torch.Generator().manual_seed(0))
    y = positional_norm(x)
    torch.testing.assert_close(y.mean(1), torch.zeros(2, 4, 6), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.var(1, unbiased=False), torch.ones(2, 4, 6), atol=1e-3, rtol=0)
    torch.testing.assert_close(y, 4 * unit(x), atol=1e-3, rtol=1e-3)               # √16 = 4
    assert positional_norm(torch.full((1, 16, 1, 1), 3.)).abs().max() < 1e-2       # no contrast, no blow-up


def test_generators_go_on_where_they_were():
    def draw(): return [random.random(), random.gauss(0, 1), float(np.random.rand()), float(np.random.randn()), float(torch.rand(()))]
    seed_all(3); draw()
    state = rng_state()
    wanted = draw(), draw()
    seed_all(4)
    set_rng_state(state)
    assert (draw(), draw()) == wanted


def test_one_process_alone_is_the_first_of_one():
    assert process() == (0, 1)
    x = torch.tensor([1., 2.], requires_grad=True)
    assert torch.equal(world_mean(x), torch.tensor([1., 2.])) and not world_mean(x).requires_grad


def test_the_same_seed_gives_the_same_numbers():
    def draw(seed): seed_all(seed); return torch.rand(()).item(), np.random.rand(), random.random()
    assert draw(3) == draw(3) != draw(4)
    assert draw(-1) == draw(-1)


def test_devices_that_cannot_be_used_are_refused():
    assert pick_device("cpu").type == "cpu"
    assert pick_device().type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert "'abacus'" in said(pick_device, "abacus") and "'cpu' always can" in said(pick_device, "abacus")
    assert "'cuda:99'" in said(pick_device, "cuda:99")


def test_a_chunk_of_work_is_larger_on_a_gpu():
    assert 2**16 < room(torch.device("cpu")) < room(torch.device("meta"))
