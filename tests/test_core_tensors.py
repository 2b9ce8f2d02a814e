# Generated from nbs/0_core/00_tensors.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
import torch.nn.functional as F
from rabit.core.tensors import IGNORE_INDEX
from rabit.core.tensors import RabitError
from rabit.core.tensors import center_normalize
from rabit.core.tensors import check
from rabit.core.tensors import check_finite
from rabit.core.tensors import check_image
from rabit.core.tensors import check_labels
from rabit.core.tensors import check_map
from rabit.core.tensors import check_size
from rabit.core.tensors import crop_to
from rabit.core.tensors import from_blocks
from rabit.core.tensors import full_precision
from rabit.core.tensors import grid_of
from rabit.core.tensors import labels_at
from rabit.core.tensors import labels_of
from rabit.core.tensors import one_hot
from rabit.core.tensors import pad_to
from rabit.core.tensors import pixel_grid
from rabit.core.tensors import plain_tensor
from rabit.core.tensors import positional_norm
from rabit.core.tensors import resize
from rabit.core.tensors import resize_labels
from rabit.core.tensors import sample_at
from rabit.core.tensors import size_text
from rabit.core.tensors import to_blocks
from rabit.core.tensors import to_pil
from rabit.core.tensors import values_known

def error_of(f, *args, **kwargs):
    "The message of the error that `f` raises"
    try: f(*args, **kwargs)
    except RabitError as e: return str(e)
    return "no error"


def test_a_failed_check_repeats_its_message():
    assert error_of(check, 2 > 1, "never seen") == "no error"
    assert error_of(check, 1 > 2, "1 was given; more than 2 is needed") == "1 was given; more than 2 is needed"
    assert issubclass(RabitError, ValueError)


def test_values_are_found_under_the_wrappers_of_torch_func():
    x = torch.tensor([[1., 2.], [3., 4.]])
    seen = []
    def look(row):
        seen.append(plain_tensor(row))
        return row.sum()

    assert torch.func.vmap(look)(x).tolist() == [3., 7.] and torch.equal(seen[0], x)
    assert values_known(x) and not values_known(x.to("meta")) and plain_tensor(x) is x
    half, single, double = (torch.ones(1, dtype=d) for d in (torch.bfloat16, torch.float32, torch.float64))
    assert [y.dtype for y in full_precision(half, single)] == [torch.float32] * 2
    assert [y.dtype for y in full_precision(half, double)] == [torch.float64] * 2
    assert full_precision(single)[0] is single


def test_not_finite_values_are_counted_and_located():
    x = torch.zeros(2, 3)
    assert check_finite(x, "x") is x
    x[1, 2] = torch.nan
    message = error_of(check_finite, x, "scores")
    assert "scores holds 1 values" in message and "(1, 2)" in message
    x[1, 2] = -torch.inf
    assert error_of(check_finite, x, "x") != "no error"
    assert error_of(check_finite, x, "x", infinite=True) == "no error"


def test_what_is_no_image_is_refused():
    good = torch.zeros(1, 3, 4, 4)
    assert check_image(good) is good
    for bad in (good[0], good[:, :2], good.long(), good[:0], "street.png"):
        assert error_of(check_image, bad) != "no error"
    assert "exemplar has shape (3, 4, 4)" in error_of(check_image, good[0], "exemplar")


def test_what_is_no_map_and_no_size_is_refused():
    good = torch.zeros(1, 5, 4, 4)
    assert check_map(good) is good and check_size((3, 4)) == (3, 4)
    for bad in (good[0], good.long(), good[:, :0], None):
        assert "float tensor (b, c, h, w)" in error_of(check_map, bad)
    for bad in ((0, 4), (3,), (3., 4), (-1, 4), 7): assert "block = " in error_of(check_size, bad, "block")


def test_people_read_the_width_first():
    assert size_text((96, 128)) == size_text(torch.zeros(1, 3, 96, 128).shape[-2:]) == "128×96"


def test_label_ids_out_of_range_are_named():
    labels = torch.tensor([[[0, 1, 1], [4, 7, IGNORE_INDEX]]])
    message = error_of(check_labels, labels, 5, "0017.png")
    assert "0017.png holds the id 7" in message and "0 to 4" in message
    assert check_labels(labels, 8) is labels
    for bad in (labels[0], labels.float(), labels[:, :0], -labels):
        assert error_of(check_labels, bad, 8) != "no error"


def test_conditions_and_label_maps_are_the_same_thing():
    labels = torch.tensor([[[0, 1, 1], [4, 2, IGNORE_INDEX]]])
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
    for block in ((1, 1), (2, 3), (4, 4), (6, 8), (7, 9)):
        assert torch.equal(from_blocks(to_blocks(x, block), (6, 8), block), x)


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
    # taking every second pixel finds one color only
    assert stripes[..., ::2].eq(-1).all()


def test_resized_labels_hold_no_new_ids():
    labels = torch.tensor([[[0, 0, 2, 2], [0, 2, 2, 255]]])
    averaged = resize(labels[:, None].float(), (3, 7)).round().long()
    assert set(averaged.unique().tolist()) - {0, 2, 255}                           # the failure
    for size in ((3, 7), (1, 2), (8, 16), (2, 4)):
        small = resize_labels(labels, size)
        assert small.shape == (1, *size) and small.dtype == torch.int64
        assert set(small.unique().tolist()) <= {0, 2, 255}


def test_between_two_pixels_lies_their_mean_and_outside_lies_the_edge():
    line = torch.tensor([[[[0., 2., 6.]]]])
    at = torch.tensor([[[[0., .5, 1.75, 9.]], [[0., 0., 0., 0.]]]])
    torch.testing.assert_close(sample_at(line, at), torch.tensor([[[[0., 1., 5., 6.]]]]))


def test_labels_are_those_of_the_nearest_pixel_and_of_the_edge_outside():
    row = torch.tensor([[[4, 7, 9]]])
    at = torch.tensor([[[[0., .4, .6, 1.8, 9., -3.]], [[0., 0., 0., 0., 5., -5.]]]])
    assert labels_at(row, at).tolist() == [[[4, 4, 7, 9, 9, 4]]]


def test_padded_and_cropped_again():
    x = torch.rand(2, 3, 13, 21, generator=torch.Generator().manual_seed(0))
    padded = pad_to(x, 8)
    assert padded.shape == (2, 3, 16, 24) and torch.equal(crop_to(padded, (13, 21)), x)
    assert torch.equal(padded[..., -1], padded[..., 20]) and torch.equal(padded[..., -1, :], padded[..., 12, :])
    assert pad_to(padded, 8) is padded


def test_images_become_pil_images():
    image = to_pil(torch.tensor([-1., 0., 1., 7.]).view(1, 1, 1, 4).expand(1, 3, 1, 4))
    assert image.size == (4, 1) and image.mode == "RGB"
    assert [image.getpixel((i, 0))[0] for i in range(4)] == [0, 128, 255, 255]     # outside [-1, 1]: clipped


def test_the_centred_cosine_minds_neither_brightness_nor_contrast():
    gen = torch.Generator().manual_seed(0)
    z = torch.randn(64, 16, generator=gen) + torch.randn(64, 1, generator=gen)
    x, own = 3 * z + 4, torch.arange(64)
    assert ((x @ z.T).argmax(1) == own).float().mean() < .5                        # the failure
    # the cure
    assert torch.equal((center_normalize(x) @ center_normalize(z).T).argmax(1), own)
    torch.testing.assert_close(center_normalize(x), center_normalize(z))
    torch.testing.assert_close(center_normalize(z).norm(dim=1), torch.ones(64))
    # a token without contrast resembles nothing
    assert center_normalize(torch.full((1, 16), 3.)).abs().max() == 0


def test_every_position_has_mean_0_and_variance_1():
    x = 5 + 3 * torch.randn(2, 16, 4, 6, generator=torch.Generator().manual_seed(0))
    y = positional_norm(x)
    torch.testing.assert_close(y.mean(1), torch.zeros(2, 4, 6), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.var(1, unbiased=False), torch.ones(2, 4, 6), atol=1e-3, rtol=0)
    torch.testing.assert_close(y, 4 * center_normalize(x), atol=1e-3, rtol=1e-3)               # √16 = 4
    assert positional_norm(torch.full((1, 16, 1, 1), 3.)).abs().max() < 1e-2       # no contrast, no blow-up


def test_positional_norm_is_its_equation_forward_and_back_and_in_16_bits_rounds_once():
    def as_written(x):
        return (x - x.mean(1, keepdim=True)) * (x.var(1, keepdim=True, unbiased=False) + 1e-5).rsqrt()
    x = 5 + 3 * torch.randn(2, 16, 4, 6, generator=torch.Generator().manual_seed(1))
    for memory in (torch.contiguous_format, torch.channels_last):
        at = [x.double().contiguous(memory_format=memory).requires_grad_() for _ in range(2)]
        out = positional_norm(at[0]), as_written(at[1])
        torch.testing.assert_close(*out)
        for y in out: (y**3).sum().backward()
        torch.testing.assert_close(at[0].grad, at[1].grad)
    for kind in (torch.bfloat16, torch.float16):
        assert torch.equal(positional_norm(x.to(kind)), positional_norm(x.to(kind).float()).to(kind))
