# Generated from nbs/0_core/00a_devices.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import numpy as np
import random
import torch
from rabit.core.devices import all_reduce_mean
from rabit.core.devices import autocast_like_product
from rabit.core.devices import check_positive
from rabit.core.devices import chunk_numel
from rabit.core.devices import is_traced
from rabit.core.devices import no_autocast
from rabit.core.devices import pick_device
from rabit.core.devices import rank_and_world_size
from rabit.core.devices import rng_state
from rabit.core.devices import seed_all
from rabit.core.devices import set_rng_state
from rabit.core.tensors import RabitError


def test_the_same_seed_gives_the_same_numbers():
    def draw(seed): seed_all(seed); return torch.rand(()).item(), np.random.rand(), random.random()
    assert draw(3) == draw(3) != draw(4)
    assert draw(-1) == draw(-1)


def test_generators_go_on_where_they_were():
    def draw():
        return [random.random(), random.gauss(0, 1), float(np.random.rand()), float(np.random.randn()),
                float(torch.rand(()))]
    seed_all(3); draw()
    state = rng_state()
    wanted = draw(), draw()
    seed_all(4)
    set_rng_state(state)
    assert (draw(), draw()) == wanted


def test_one_process_alone_is_the_first_of_one():
    assert rank_and_world_size() == (0, 1)
    x = torch.tensor([1., 2.], requires_grad=True)
    assert torch.equal(all_reduce_mean(x), torch.tensor([1., 2.])) and not all_reduce_mean(x).requires_grad


def test_devices_that_cannot_be_used_are_refused():
    def refusal(name):
        try: pick_device(name)
        except RabitError as e: return str(e)
    assert pick_device("cpu").type == "cpu"
    assert pick_device().type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert "'abacus'" in refusal("abacus") and "'cpu' always can" in refusal("abacus")
    assert "'cuda:99'" in refusal("cuda:99")


def test_products_keep_their_digits_under_autocast():
    x = torch.full((1, 1), 1 + 2**-12)
    with torch.autocast("cpu", torch.bfloat16):
        assert (x @ x).item() == 1
        with no_autocast(x): assert (x @ x).item() > 1
    with no_autocast(x.to("meta")): pass


def test_numbers_are_cast_as_for_a_product_under_autocast_alone():
    x = torch.ones(2, 3)
    assert autocast_like_product(x) is x and autocast_like_product(x.to("meta")).dtype == torch.float32
    for kind in (torch.bfloat16, torch.float16):
        with torch.autocast("cpu", kind): assert autocast_like_product(x).dtype == kind == (x @ x.T).dtype


def test_a_chunk_of_work_is_larger_on_a_gpu():
    assert 2**16 < chunk_numel(torch.device("cpu")) < chunk_numel(torch.device("meta"))


def test_who_follows_operations_is_noticed():
    seen = []
    def look(row):
        seen.append(is_traced(row))
        return row.sum()

    x = torch.ones(2, 2)
    look(x), torch.func.vmap(look)(x), torch.func.grad(look)(x), look(x.to("meta"))
    torch.autograd.functional.jacobian(lambda x: look(x.exp()), x, vectorize=True)
    assert seen == [False, True, True, True, False] and not is_traced(None, 1.)


def test_numbers_above_zero_are_kept_with_their_gradient():
    def refusal(value, *largest):
        "What `check_positive` says"
        try: check_positive(value, "ε", *largest)
        except RabitError as e: return str(e)
        return "no error"

    t = torch.tensor([.5], requires_grad=True)
    assert check_positive(.5, "ε") == .5 and torch.autograd.grad(check_positive(t, "ε"), t)[0].tolist() == [1.]
    for bad in (0, -1., torch.nan, None, "1", [1.], 1j, torch.tensor(0.), torch.ones(2)):
        assert refusal(bad).startswith("ε must be > 0, got ")
    assert "and finite" in refusal(torch.inf, 1e300)
