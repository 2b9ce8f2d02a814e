# Generated from nbs/5_training/54_trainer.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import io
import math
import torch
from contextlib import redirect_stderr
from rabit.core.tensors import RabitError
from rabit.inputs.samples import conditions_of
from rabit.training.config import PRECISIONS
from rabit.training.config import make_dataset
from rabit.training.config import small
from rabit.training.terms import PAPER_WEIGHTS
from rabit.training.trainer import AnomalyGuard
from rabit.training.trainer import Callback
from rabit.training.trainer import EMA
from rabit.training.trainer import Trainer
from rabit.training.trainer import ema_decay
from rabit.training.trainer import lr_factor
from rabit.training.trainer import reduce_values
from rabit.training.trainer import update_ema

cpu = torch.device("cpu")

def guarded(config):
    "A trainer, and its guard"
    guard = AnomalyGuard()
    return Trainer(config, cpu, [guard, EMA()]), guard

class Changed:
    "A dataset whose batches pass through a function of (indices, batch)"
    def __init__(self, dataset, change):
        self.dataset, self.change = dataset, change
        self.classes, self.size = dataset.classes, dataset.size
    def batch(self, indices, device="cpu"):
        return self.change(list(indices), self.dataset.batch(indices, device))

def broken(wrong):
    "A change that puts NaN into the images of those batches whose first index is `wrong`"
    def change(indices, batch):
        return batch | dict(image=batch["image"] * (math.nan if wrong(indices[0]) else 1))
    return change


def test_schedules_have_the_values_known_by_hand():
    assert [lr_factor(t, 100) for t in (0, 50, 75, 100)] == [1., 1., .5, 0.]
    assert ema_decay(.999, 0) == .1 and ema_decay(.999, 10 ** 6) == .999 and ema_decay(0., 5) == 0
    average, net = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
    old = average.weight.clone()
    update_ema(average, net, .75)
    torch.testing.assert_close(average.weight, .75 * old + .25 * net.weight)


def test_values_are_means_over_parts():
    assert reduce_values([dict(warp=torch.tensor(1.)), dict(warp=torch.tensor(2.))]) == dict(warp=1.5)


def test_networks_start_with_two_time_scales_and_one_average():
    start = Trainer(small(ttur=True), cpu)
    rates = {name: o.param_groups[0]["lr"] for name, o in start.optimizers.items()}
    assert rates["d"] == 4 * rates["g"] and start.optimizers["g"].defaults["betas"] == small().betas
    assert all(torch.equal(a, b) for a, b in zip(start.ema.parameters(), start.model.parameters()))
    assert Trainer(small(weights=dict(adversarial=0.)), cpu).discriminator is None


def test_each_network_moves_only_itself_and_the_average_follows():
    def weights_of(trainer):
        return {name: [v.detach().clone() for v in net.parameters()] for name, net in trainer.modules().items()}
    def moved(before, after):
        return {name for name in before if any(not torch.equal(a, b) for a, b in zip(before[name], after[name]))}
    duel = Trainer(small(), cpu)
    batch = make_dataset(small()).batch(range(2))
    condition, exemplar_condition = conditions_of(batch, 7)
    stages = [weights_of(duel)]
    values, ((image,),) = duel.generator_step([(batch, condition, exemplar_condition)])
    stages.append(weights_of(duel))
    assert values["gradient"] > 0 and not duel.anomalies and not image.requires_grad
    duel.discriminator_step([(condition, batch["image"], image)])
    stages.append(weights_of(duel))
    duel.done += 1
    duel.call("after_step")
    stages.append(weights_of(duel))
    assert [moved(a, b) for a, b in zip(stages, stages[1:])] == [{"model"}, {"discriminator"}, {"ema"}]
    for a, old, new in zip(stages[3]["ema"], stages[0]["model"], stages[3]["model"]):
        torch.testing.assert_close(a, .1 * old + .9 * new)


def test_a_callback_is_asked_at_every_hook_and_a_run_without_any_takes_the_same_steps():
    heard = []
    class Listener(Callback):
        def before_run(self, trainer): heard.append("run")
        def after_backward(self, trainer, values):
            heard.append("backward" if "gradient" in values else "d backward")
        def after_update(self, trainer, values): heard.append("update")
        def after_step(self, trainer): heard.append(f"step {trainer.done}: {len(trainer.values)} values")
        def after_run(self, trainer): heard.append("end")
    dataset = make_dataset(small())
    def batches(): return (dataset.batch([2 * i, 2 * i + 1]) for i in range(100))
    plain, told = Trainer(small(steps=2), cpu, []), Trainer(small(steps=2), cpu, [Listener()])
    for trainer in (plain, told): trainer.fit(batches())
    print(heard)
    assert heard[:6] == ["run", "backward", "update", "d backward", "update", heard[5]] and heard[-1] == "end"
    assert plain.done == 2
    assert all(torch.equal(a, b) for a, b in zip(plain.model.parameters(), told.model.parameters()))
    stopped = Trainer(small(), cpu, [])
    stopped.fit(batches(), lambda: stopped.done == 3)
    assert stopped.done == 3


def test_parts_and_recomputed_activations_change_nothing():
    batch = make_dataset(small()).batch(range(4))
    def after(**changes):
        weights = dict.fromkeys(PAPER_WEIGHTS, 0.) | dict(pixel=1., segmentation=1.)
        trainer = Trainer(small(batch=4, weights=weights, **changes), cpu)
        values = trainer.step(batch)
        return values, trainer.model.state_dict()
    plain = after()
    for changes in (dict(accumulate=2), dict(accumulate=4), dict(checkpoint_activations=True)):
        values, weights = after(**changes)
        for name in ("pixel", "segmentation", "gradient"):
            torch.testing.assert_close(values[name], plain[0][name])
        close = [torch.allclose(weights[k], v, atol=1e-4) for k, v in plain[1].items()]
        # Adam's first step is ±lr, also where a gradient is all rounding
        assert sum(close) > .98 * len(close)


def test_a_compiler_that_fails_in_the_first_step_is_done_without():
    batch = make_dataset(small()).batch(range(2))
    def no_compiler(*args): raise AssertionError("expected stride 1, found 8")
    failing, whole = Trainer(small(), cpu), Trainer(small(), cpu)
    # as if they had been compiled
    failing.uncalled = [failing.model.encoder.net, failing.model.decoder]
    for net in failing.uncalled: net._compiled_call_impl = no_compiler
    with redirect_stderr(io.StringIO()) as said: values = failing.step(batch)
    assert said.getvalue().count("not compiled (AssertionError: expected stride 1, found 8)") == 1
    assert failing.uncalled == [] and torch.equal(values["pixel"], whole.step(batch)["pixel"])
    failing.model.decoder._compiled_call_impl = no_compiler
    try: failing.step(batch); said = ""
    except AssertionError as e: said = str(e)
    # later it is no matter of compiling
    assert "stride" in said


def test_a_first_step_sees_nearly_the_same_losses_in_every_precision():
    batch = make_dataset(small()).batch(range(2))
    def first(trainer):
        "The first step that the scaler lets pass"
        return trainer.step(batch) or first(trainer)
    seen = {amp: first(Trainer(small(amp=amp), cpu)) for amp in PRECISIONS}
    for amp in ("bf16", "fp16"):
        for name in ("pixel", "warp", "mask", "match", "discriminator"):
            torch.testing.assert_close(seen[amp][name], seen["off"][name], rtol=.03, atol=.01)
        assert any(not torch.equal(seen[amp][name], seen["off"][name]) for name in seen["off"])


def test_the_state_holds_networks_and_moments_as_copies():
    held = Trainer(small(), cpu)
    assert {name.split(".")[0] for name in held.state()} == {"model", "ema", "discriminator", "rng", "skipped"}
    held.step(make_dataset(small()).batch(range(2)))
    state = held.state()
    assert {name.split(".")[0] for name in state} == {"model", "ema", "discriminator", "rng", "skipped",
                                                     "optimizer", "running_stats"}
    held.step(make_dataset(small()).batch(range(2, 4)))
    later = held.state()
    assert later.keys() == state.keys() and any(not torch.equal(v, state[k]) for k, v in later.items())


def test_without_a_guard_one_step_that_is_not_finite_spoils_every_weight():
    ill, naive = Changed(make_dataset(small()), broken(lambda i: i == 2)), Trainer(small(), cpu, [])
    for i in range(3): naive.step(ill.batch([2 * i, 2 * i + 1]))
    spoilt = sum(not p.isfinite().all() for p in naive.model.parameters())
    print(f"{spoilt} of {sum(1 for p in naive.model.parameters())} tensors of weights are no numbers any more")
    assert spoilt > 0


def test_a_step_that_is_not_finite_leaves_no_trace_and_the_fifth_in_a_row_ends_the_run():
    victim, guard = guarded(small())
    ill = Changed(make_dataset(small()), broken(lambda i: i >= 2))
    assert victim.step(ill.batch([0, 1]))["gradient"].isfinite()
    before = victim.state()
    for i in range(4): assert victim.step(ill.batch([2, 3])) == {} and guard.skipped == i + 1
    touched = [k for k, v in victim.state().items() if k != "skipped" and not torch.equal(v, before[k])]
    # the discriminator's estimate of its singular vectors may go on
    assert all("parametrizations" in k for k in touched), touched
    try: victim.step(ill.batch([2, 3]))
    except RabitError as e: assert "5 steps running" in str(e) and "lower lr" in str(e) and "pixel" in str(e)
    else: raise AssertionError("a run without finite numbers went on")
    good = make_dataset(small()).batch([2, 3])
    # the match refuses such features before there is a loss
    for amp, value in (("off", math.nan), ("off", math.inf), ("fp16", 1e6)):
        victim, guard = guarded(small(amp=amp))
        hit = good | dict(exemplar=good["exemplar"].clone())
        hit["exemplar"][0, 0, 3, 3] = value
        before = victim.state()
        assert victim.step(hit) == {} and guard.skipped == 1
        assert all(torch.equal(v, before[k]) for k, v in victim.state().items()
                   if k != "skipped" and "parametrizations" not in k)
        # in fp16 the scaler finds its scale first
        assert any(victim.step(good) for _ in range(20)) and guard.skipped == 0
    for _ in range(4): victim.step(hit)
    try: victim.step(hit)
    except RabitError as e: assert "5 steps running" in str(e) and "not finite" in str(e), e
    else: raise AssertionError("five such steps were taken")


def test_a_loss_that_explodes_and_stays_finite_leaves_no_trace_either_and_the_message_says_what_grew():
    (victim, guard), dataset = guarded(small(steps=60)), make_dataset(small())
    bright = Changed(dataset, lambda indices, batch: batch | dict(image=batch["image"] * 1e4))
    for i in range(20): assert victim.step(dataset.batch([2 * i, 2 * i + 1]))
    before = victim.state()
    for i in range(4): assert victim.step(bright.batch([2, 3])) == {} and guard.skipped == i + 1
    assert all("parametrizations" in k for k, v in victim.state().items()
               if k != "skipped" and not torch.equal(v, before[k]))
    # and it goes on
    assert victim.step(dataset.batch([2, 3])) and guard.skipped == 0
    try:
        for i in range(5): victim.step(bright.batch([2, 3]))
    except RabitError as e:
        print(e)
        assert "5 steps running" in str(e) and "pixel: " in str(e) and "usually 0." in str(e)
        assert "entropy" not in str(e)
    else: raise AssertionError("an explosion went unnoticed")


def test_a_gradient_too_large_for_fp16_costs_a_step_and_halves_the_scale():
    (half, guard), dataset = guarded(small(amp="fp16")), make_dataset(small())
    scaler, before = half.scalers["g"], half.state()
    scaler.load_state_dict(scaler.state_dict() | dict(scale=2.**40))
    for i in range(6):
        assert half.step(dataset.batch([0, 1])) == {} and guard.skipped == 0
        assert scaler.get_scale() == 2.**(39 - i)
    assert all(torch.equal(v, before[k]) for k, v in half.state().items() if k.startswith(("model.", "ema.")))
    scaler.load_state_dict(scaler.state_dict() | dict(scale=2.**10))
    assert half.step(dataset.batch([0, 1])) and scaler.get_scale() == 2.**10
    scaler.load_state_dict(scaler.state_dict() | dict(scale=2.))
    next(half.model.parameters()).register_hook(lambda gradient: gradient * math.nan)
    # the scale may be to blame
    assert half.step(dataset.batch([0, 1])) == {} and guard.skipped == 0
    # below 1 it is not
    assert half.step(dataset.batch([0, 1])) == {} and guard.skipped == 1
