# Generated from nbs/15_train.ipynb by .ci/export_tests.py: edit the notebook, not this file.
import io
import json
import math
import os
import pytest
import signal
import sys
import torch
from PIL import Image
from contextlib import redirect_stderr
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from rabit.core import RabitError
from rabit.core import pixel_grid
from rabit.data import conditions_of
from rabit.model import Translation
from rabit.model import Translator
from rabit.scenes import sample_at
from rabit.train import BAR
from rabit.train import PAPER_WEIGHTS
from rabit.train import PRECISIONS
from rabit.train import PRESETS
from rabit.train import PREVIOUS
from rabit.train import STATE
from rabit.train import TrainConfig
from rabit.train import Trainer
from rabit.train import all_alike
from rabit.train import averaged_decay
from rabit.train import checksum
from rabit.train import collapse_of
from rabit.train import draw_run
from rabit.train import draw_samples
from rabit.train import errors_of
from rabit.train import gentle_interrupt
from rabit.train import listen
from rabit.train import load_state
from rabit.train import log_row
from rabit.train import make_source
from rabit.train import model_card
from rabit.train import newest_sheet
from rabit.train import open_run
from rabit.train import precision_of
from rabit.train import preset
from rabit.train import rate
from rabit.train import read_log
from rabit.train import sample_rows
from rabit.train import save_state
from rabit.train import shape_of
from rabit.train import start_from
from rabit.train import starting_weights
from rabit.train import stretched
from rabit.train import train
from rabit.train import vital_signs
from rabit.train import write_log
from safetensors.torch import load_file
from safetensors.torch import save_file
from tempfile import TemporaryDirectory
from tqdm.auto import tqdm
from types import SimpleNamespace
from unittest.mock import patch as replaced

def small(**changes):
    "The tiny preset at 32×32 without the VGG terms"
    weights = dict(vgg=0., contextual=0., perceptual=0.) | changes.pop("weights", {})
    return preset("tiny", **dict(size=(32, 32), batch=2, steps=6, log_every=2, sample_every=100, save_every=100) | changes, weights=weights)

class Changed:
    "A source whose batches pass through a function of (indices, record)"
    def __init__(self, source, change): self.source, self.change, self.classes, self.size = source, change, source.classes, source.size
    def batch(self, indices, device="cpu"): return self.change(list(indices), self.source.batch(indices, device))

def broken(wrong):
    "A change that puts NaN into the pictures of those batches whose first index is `wrong`"
    return lambda indices, record: record | dict(picture=record["picture"] * (math.nan if wrong(indices[0]) else 1))


def test_a_configuration_that_no_run_could_use_is_refused():
    for odd, word in ((dict(size=(60, 64)), "multiples of 8"), (dict(weights=dict(style=1.)), "style"), (dict(batch=0), "batch = 0"), (dict(ema=1.), "ema"),
                      (dict(weights=dict(warp=0.)), "weight 0"), (dict(lr=float("nan")), "lr"), (dict(amp="fp8"), "bf16, fp16"), (dict(amp=True), "amp = True"), (dict(shapes=.5), "shapes = 0.5"), (dict(size=(32, 64), shapes=5.), "1 (no stretching) to 4")):
        try: TrainConfig(**odd)
        except RabitError as e: assert word in str(e), e
        else: raise AssertionError(f"{odd} was taken")
    named = TrainConfig(size=[32, 48], weights=dict(warp=2.))
    assert named.size == (32, 48) and named.weights["warp"] == 2 and named.weights["mask"] == 0


def test_presets_can_be_changed_field_by_field_and_stay_as_they_are():
    changed = preset("tiny", weights=dict(match=0.), model=dict(k=2), steps=7)
    assert changed.weights["match"] == 0 and changed.weights["warp"] == preset("tiny").weights["warp"] > 0 and changed.steps == 7
    assert changed.model == preset("tiny").model | dict(k=2) and "k" not in PRESETS["tiny"]["model"]
    assert preset("base").weights == PAPER_WEIGHTS
    for bad in (lambda: preset("huge"), lambda: preset("tiny", step=3), lambda: preset("tiny", weights=dict(mach=1.))):
        try: bad()
        except RabitError as e: assert "are" in str(e)
        else: raise AssertionError("a name that does not exist was taken")
    other = preset("demo", builder="rabit.baselines.other.other", model=dict(features=32))
    assert preset("tiny", start="street-64", model=dict(k=5)).model["width"] == 16 and preset("tiny", start="street-64", model=dict(k=5)).model["k"] == 5
    assert other.model == dict(width=16, features=32) and preset("demo", builder="rabit.model.rabit").model["block"] == 2


def test_a_source_repeats_itself_and_another_seed_shows_other_scenes():
    source = make_source(small())
    first, again, other = source.batch([3]), source.batch([3]), make_source(small(), seed=1).batch([3])
    assert source.classes == 7 and torch.equal(first["picture"], again["picture"]) and not torch.equal(first["picture"], other["picture"])


def test_what_was_true_of_a_batch_stays_true_when_it_is_stretched():
    record = make_source(small(size=(64, 64))).batch(range(4))
    for size in ((64, 64), (48, 88), (40, 96), (128, 32), (32, 32)):
        wide = stretched(record, size)
        assert {name: x.shape[-2:] for name, x in wide.items() if x.ndim > 1} == {name: torch.Size(size) for name in record if name != "paired"}
        assert all(wide[name].dtype == x.dtype for name, x in record.items())
        fetched = sample_at(wide["exemplar"], wide["position"])
        wrong = ((fetched - wide["picture"]).abs().mean(1) * wide["visible"]).sum() / wide["visible"].sum()
        assert wrong < .1 and (wide["visible"].float().mean() - record["visible"].float().mean()).abs() < .05, (size, wrong)
        itself = stretched(record | dict(position=pixel_grid((64, 64)).expand(4, -1, -1, -1)), size)["position"]
        torch.testing.assert_close(itself, pixel_grid(size).expand(4, -1, -1, -1), atol=1e-3, rtol=0)
    edges = make_source(small(data="face")).batch(range(2))
    assert stretched(edges, (24, 40), "edges")["condition"].shape == (2, 2, 24, 40)


def test_shapes_repeat_themselves_and_keep_the_area():
    config = small(size=(96, 128), shapes=3.)
    sizes = [shape_of(config, step) for step in range(200)]
    assert sizes == [shape_of(config, step) for step in range(200)] and sizes[::2] == [(96, 128)] * 100
    assert all(h % 8 == w % 8 == 0 and .85 < h * w / (96 * 128) < 1.15 for h, w in sizes) and len(set(sizes)) > 10
    assert max(w / h for h, w in sizes) < 3 * 128 / 96 * 1.1 and {shape_of(small(), step) for step in range(9)} == {(32, 32)}


def test_schedules_have_the_values_known_by_hand():
    assert [rate(t, 100) for t in (0, 50, 75, 100)] == [1., 1., .5, 0.]
    assert averaged_decay(.999, 0) == .1 and averaged_decay(.999, 10 ** 6) == .999 and averaged_decay(0., 5) == 0


def test_players_start_with_two_time_scales_and_one_average():
    start = Trainer(small(ttur=True), torch.device("cpu"))
    rates = {name: o.param_groups[0]["lr"] for name, o in start.optimizers.items()}
    assert rates["d"] == 4 * rates["g"] and start.optimizers["g"].defaults["betas"] == small().betas
    assert all(torch.equal(a, b) for a, b in zip(start.average.parameters(), start.model.parameters()))
    assert Trainer(small(weights=dict(adversarial=0.)), torch.device("cpu")).judge is None


def test_terms_with_weight_zero_are_not_computed_and_unpaired_records_teach_no_pixels():
    record = make_source(small()).batch(range(2))
    everything = Trainer(small(size=(32, 32), vgg_width=4, weights=dict.fromkeys(PAPER_WEIGHTS, 1.)), torch.device("cpu"))
    def terms_of(trainer, record):
        condition, theirs = conditions_of(record, 7)
        return trainer.generator_terms(record, condition, theirs, trainer.model(condition, record["exemplar"], theirs))
    terms = terms_of(everything, record)
    assert terms.keys() == PAPER_WEIGHTS.keys() - {"own"} and all(v.isfinite() and v.ndim == 0 for v in terms.values())
    assert terms_of(Trainer(small(weights=dict.fromkeys(PAPER_WEIGHTS, 0.) | dict(warp=1.)), torch.device("cpu")), record).keys() == {"warp"}
    everything.model.own_loss = lambda found, record: found.picture.abs().mean() + 0 * record["picture"].sum()
    assert terms_of(everything, record).keys() == PAPER_WEIGHTS.keys()                            # a system that has something of its own
    strangers = terms_of(everything, record | dict(paired=torch.zeros(2, dtype=torch.bool)))
    assert strangers["warp"] == strangers["pixel"] == strangers["match"] == strangers["vgg"] == 0 and strangers["feature"] == terms["feature"]


def test_each_player_moves_only_itself_and_the_average_follows():
    def weights_of(trainer): return {name: [v.detach().clone() for v in net.parameters()] for name, net in trainer.parts().items()}
    def moved(before, after): return {name for name in before if any(not torch.equal(a, b) for a, b in zip(before[name], after[name]))}
    duel = Trainer(small(), torch.device("cpu"))
    record = make_source(small()).batch(range(2))
    condition, theirs = conditions_of(record, 7)
    stages = [weights_of(duel)]
    duel.judge.requires_grad_(False)
    values, wrong, ((picture,),) = duel.update("g", duel.model, [(record, condition, theirs)]); stages.append(weights_of(duel))
    assert values["gradient"] > 0 and not wrong and not picture.requires_grad
    duel.judge_step([(condition, record["picture"], picture)]); stages.append(weights_of(duel))
    duel.follow(); stages.append(weights_of(duel))
    assert [moved(a, b) for a, b in zip(stages, stages[1:])] == [{"model"}, {"judge"}, {"average"}]
    for a, old, new in zip(stages[3]["average"], stages[0]["model"], stages[3]["model"]): torch.testing.assert_close(a, .1 * old + .9 * new)


def test_parts_and_recomputed_activations_change_nothing():
    record = make_source(small()).batch(range(4))
    def after(**changes):
        trainer = Trainer(small(batch=4, weights=dict.fromkeys(PAPER_WEIGHTS, 0.) | dict(pixel=1., parse=1.), **changes), torch.device("cpu"))
        values = trainer.step(record)
        return values, trainer.model.state_dict()
    plain = after()
    for changes in (dict(accumulate=2), dict(accumulate=4), dict(checkpoint=True)):
        values, weights = after(**changes)
        for name in ("pixel", "parse", "gradient"): torch.testing.assert_close(values[name], plain[0][name])
        close = [torch.allclose(weights[k], v, atol=1e-4) for k, v in plain[1].items()]
        assert sum(close) > .98 * len(close)                                                         # Adam's first step is ±lr, also where a gradient is all rounding
    try: small(batch=4, accumulate=3); said = ""
    except RabitError as e: said = str(e)
    assert "4 records" in said and "3 equal parts" in said


def test_a_compiler_that_fails_in_the_first_step_is_done_without():
    record = make_source(small()).batch(range(2))
    def no_compiler(*args): raise AssertionError("expected stride 1, found 8")
    failing, whole = Trainer(small(), torch.device("cpu")), Trainer(small(), torch.device("cpu"))
    failing.untried = [failing.model.encoder.net, failing.model.decoder]                                    # as if they had been compiled
    for net in failing.untried: net._compiled_call_impl = no_compiler
    with redirect_stderr(io.StringIO()) as said: values = failing.step(record)
    assert said.getvalue().count("not compiled (AssertionError: expected stride 1, found 8)") == 1 and failing.untried == []
    assert torch.equal(values["pixel"], whole.step(record)["pixel"])
    failing.model.decoder._compiled_call_impl = no_compiler
    try: failing.step(record); said = ""
    except AssertionError as e: said = str(e)
    assert "stride" in said                                                                              # later it is no matter of compiling


def test_a_first_step_sees_nearly_the_same_losses_in_every_precision():
    record = make_source(small()).batch(range(2))
    def first(trainer):
        "The first step that the scaler lets pass"
        return trainer.step(record) or first(trainer)
    seen = {amp: first(Trainer(small(amp=amp), torch.device("cpu"))) for amp in PRECISIONS}
    for amp in ("bf16", "fp16"):
        for name in ("pixel", "warp", "mask", "match", "judge"): torch.testing.assert_close(seen[amp][name], seen["off"][name], rtol=.03, atol=.01)
        assert any(not torch.equal(seen[amp][name], seen["off"][name]) for name in seen["off"])
    assert precision_of("auto", torch.device("cpu")) is None and precision_of("fp16", torch.device("cpu")) == torch.float16


def test_the_state_holds_networks_and_moments_as_copies():
    held = Trainer(small(), torch.device("cpu"))
    assert {name.split(".")[0] for name in held.state()} == {"model", "average", "judge", "chance", "skipped"}
    held.step(make_source(small()).batch(range(2)))
    state = held.state()
    assert {name.split(".")[0] for name in state} == {"model", "average", "judge", "chance", "skipped", "optimizer", "usual"}
    held.step(make_source(small()).batch(range(2, 4)))
    later = held.state()
    assert later.keys() == state.keys() and any(not torch.equal(v, state[k]) for k, v in later.items())


def test_a_step_that_is_not_finite_leaves_no_trace_and_the_fifth_in_a_row_ends_the_run():
    victim = Trainer(small(), torch.device("cpu"))
    ill = Changed(make_source(small()), broken(lambda i: i >= 2))
    assert victim.step(ill.batch([0, 1]))["gradient"].isfinite()
    before = victim.state()
    for i in range(4): assert victim.step(ill.batch([2, 3])) == {} and victim.skipped == i + 1
    touched = [k for k, v in victim.state().items() if k != "skipped" and not torch.equal(v, before[k])]
    assert all("parametrizations" in k for k in touched), touched   # the judge's estimate of its singular vectors may go on
    try: victim.step(ill.batch([2, 3]))
    except RabitError as e: assert "5 steps running" in str(e) and "lower lr" in str(e) and "pixel" in str(e)
    else: raise AssertionError("a run without finite numbers went on")
    exemplar = make_source(small()).batch([2, 3])
    for amp, value in (("off", math.nan), ("off", math.inf), ("fp16", 1e6)):                # the match refuses such features before there is a loss
        victim, hit = Trainer(small(amp=amp), torch.device("cpu")), exemplar | dict(exemplar=exemplar["exemplar"].clone())
        hit["exemplar"][0, 0, 3, 3] = value
        before = victim.state()
        assert victim.step(hit) == {} and victim.skipped == 1 and all(torch.equal(v, before[k]) for k, v in victim.state().items() if k != "skipped" and "parametrizations" not in k)
        assert any(victim.step(exemplar) for _ in range(20)) and victim.skipped == 0        # in fp16 the scaler finds its scale first
    for _ in range(4): victim.step(hit)
    try: victim.step(hit)
    except RabitError as e: assert "5 steps running" in str(e) and "not finite" in str(e), e
    else: raise AssertionError("five such steps were taken")


def test_a_loss_that_explodes_and_stays_finite_leaves_no_trace_either_and_the_message_says_what_grew():
    victim, source = Trainer(small(steps=60), torch.device("cpu")), make_source(small())
    bright = Changed(source, lambda indices, record: record | dict(picture=record["picture"] * 1e4))
    for i in range(20): assert victim.step(source.batch([2 * i, 2 * i + 1]))
    before = victim.state()
    for i in range(4): assert victim.step(bright.batch([2, 3])) == {} and victim.skipped == i + 1
    assert all("parametrizations" in k for k, v in victim.state().items() if k != "skipped" and not torch.equal(v, before[k]))
    assert victim.step(source.batch([2, 3])) and victim.skipped == 0                                  # and it goes on
    try:
        for i in range(5): victim.step(bright.batch([2, 3]))
    except RabitError as e: print(e); assert "5 steps running" in str(e) and "pixel: " in str(e) and "usually 0." in str(e) and "entropy" not in str(e)
    else: raise AssertionError("an explosion went unnoticed")


def test_what_is_far_above_the_usual_by_hand():
    judged = Trainer(small(), torch.device("cpu"))
    def verdict(usual, **values):
        judged.usual = {name: (mean, 20) for name, mean in usual.items()}
        return list(judged.wrong({name: torch.tensor(value) for name, value in values.items()}))
    assert verdict(dict(gradient=10.), gradient=199.) == [] and verdict(dict(gradient=10.), gradient=201.) == ["gradient"]
    assert verdict(dict(gradient=.1), gradient=99.) == [] and verdict(dict(gradient=.1), gradient=101.) == ["gradient"]   # clipped at 5
    assert verdict(dict(pixel=.5, warp=.5), pixel=60., warp=.5) == [] and verdict(dict(pixel=.5, warp=.5), pixel=80., warp=.5) == ["pixel"]   # weights 1 and 6
    assert verdict(dict(judge=.01), judge=19.) == [] and verdict(dict(judge=.01), judge=21.) == ["judge"]
    assert verdict({}, pixel=1e9) == [] and verdict({}, pixel=math.inf) == ["pixel"]
    for value in (1., 2., 3.): judged.get_used(dict(warp=torch.tensor(value)))
    assert judged.usual["warp"] == (2., 3)


def test_a_gradient_too_large_for_fp16_costs_a_step_and_halves_the_scale():
    half, source = Trainer(small(amp="fp16"), torch.device("cpu")), make_source(small())
    scaler, before = half.scalers["g"], half.state()
    scaler.load_state_dict(scaler.state_dict() | dict(scale=2.**40))
    for i in range(6): assert half.step(source.batch([0, 1])) == {} and half.skipped == 0 and scaler.get_scale() == 2.**(39 - i)
    assert all(torch.equal(v, before[k]) for k, v in half.state().items() if k.startswith(("model.", "average.")))
    scaler.load_state_dict(scaler.state_dict() | dict(scale=2.**10))
    assert half.step(source.batch([0, 1])) and scaler.get_scale() == 2.**10
    scaler.load_state_dict(scaler.state_dict() | dict(scale=2.))
    next(half.model.parameters()).register_hook(lambda gradient: gradient * math.nan)
    assert half.step(source.batch([0, 1])) == {} and half.skipped == 0                                  # the scale may be to blame
    assert half.step(source.batch([0, 1])) == {} and half.skipped == 1                                  # below 1 it is not


def test_an_entropy_at_its_ceiling_is_noticed():
    assert all_alike([2., math.log(48), math.log(48)], 48) and not all_alike([math.log(48)], 48)
    assert not all_alike([math.log(48), 3.], 48) and not all_alike([0., 0.], 1)


def test_a_restored_trainer_takes_the_same_step_bit_by_bit_in_every_precision():
    source = make_source(small())
    for amp in PRECISIONS:
        left, right = Trainer(small(amp=amp), torch.device("cpu")), Trainer(small(seed=5, amp=amp), torch.device("cpu"))
        scaler = left.scalers["g"]
        if amp == "fp16": scaler.load_state_dict(scaler.state_dict() | dict(scale=2.**40))         # so that it has something to remember
        for i in range(3): left.step(source.batch([2 * i, 2 * i + 1]))
        right.config = left.config
        right.restore(left.state(), left.done)
        if amp == "fp16":
            assert right.scalers["g"].get_scale() == 2.**37 and right.scalers["d"].state_dict()["_growth_tracker"] == left.scalers["d"].state_dict()["_growth_tracker"]
            for trainer in (left, right): trainer.scalers["g"].load_state_dict(scaler.state_dict() | dict(scale=2.**10))
        for trainer in (left, right): trainer.step(source.batch([6, 7]))
        one, two = left.state(), right.state()
        assert right.done == 4 and one.keys() == two.keys() and all(torch.equal(v, two[k]) for k, v in one.items())
    right.restore(Trainer(small(amp="fp16"), torch.device("cpu")).state(), 0)                       # in float32 the scale is of no use


def test_a_saved_run_comes_back_whole_and_what_is_not_one_is_refused():
    with TemporaryDirectory() as folder:
        saved = Trainer(small(), torch.device("cpu"))
        saved.step(make_source(small()).batch(range(2)))
        save_state(saved, folder)
        assert sorted(p.name for p in Path(folder).iterdir()) == ["README.md", "config.json", "model.safetensors", STATE, "train.json"]
        assert "steps: 1 of 6" in (Path(folder) / "README.md").read_text() == model_card(saved)
        assert TrainConfig(**json.loads((Path(folder) / "train.json").read_text())) == saved.config
        loaded = load_state(folder, torch.device("cpu"), steps=9)
        one, two = saved.state(), loaded.state()
        assert loaded.done == 1 and loaded.config.steps == 9 and one.keys() == two.keys() and all(torch.equal(v, two[k]) for k, v in one.items())
        path = Path(folder) / "state.safetensors"
        for ruin, word in ((lambda: path.write_bytes(path.read_bytes()[:-100]), "cut short"), (lambda: save_file(saved.state(), path), "no run"), (path.unlink, "missing")):
            ruin()
            try: load_state(folder, torch.device("cpu"))
            except RabitError as e: assert word in str(e) and str(path) in str(e), e
            else: raise AssertionError("a broken state was taken")


def test_a_damaged_save_gives_way_to_the_one_before():
    with TemporaryDirectory() as folder:
        trainer, source = Trainer(small(), torch.device("cpu")), make_source(small())
        for i in range(2):
            trainer.step(source.batch([2 * i, 2 * i + 1]))
            save_state(trainer, folder)
        path, previous, whole = Path(folder) / STATE, Path(folder) / PREVIOUS, (Path(folder) / STATE).read_bytes()
        flipped = bytearray(whole); flipped[-1000] ^= 1
        older = whole.replace(b'"done":"2"', b'"done":"3"')
        assert older != whole
        for ruined, word in ((whole[:-50], "cut short"), (bytes(flipped), "checksum"), (older, "checksum"), (b"", "cannot be read"), (None, "missing")):
            path.unlink(missing_ok=True) if ruined is None else path.write_bytes(ruined)
            with redirect_stderr(io.StringIO()) as said: assert load_state(folder, torch.device("cpu")).done == 1
            assert word in said.getvalue() and "step 1" in said.getvalue() and said.getvalue().count("\n") == 1
        previous.write_bytes(whole[:-50])
        try: load_state(folder, torch.device("cpu"))
        except RabitError as e: assert "cut short" in str(e)
        else: raise AssertionError("two broken states were taken")


def test_a_save_that_lies_about_itself_is_refused_in_one_line():
    with TemporaryDirectory() as folder:
        trainer, path = Trainer(small(), torch.device("cpu")), Path(folder) / STATE
        trainer.step(make_source(small()).batch([0, 1]))
        whole, config = trainer.state(), json.dumps(asdict(trainer.config))
        first = next(k for k in whole if k.startswith("optimizer.g.0.exp_avg"))
        lies = [{k: v for k, v in whole.items() if not k.startswith(part)} for part in ("skipped", "chance.", "optimizer.g", "optimizer.d.0.exp")]
        lies += [whole | {first: torch.zeros(3)}, whole | {"optimizer.g.9999.step": torch.zeros(())}, whole | {"optimizer.g.x.step": torch.zeros(())}, whole | {"chance.torch": torch.zeros(3)}]
        for tensors in lies:
            save_file(tensors, path, dict(done="1", config=config, checksum=checksum(tensors, f"1 {config}")))
            try: load_state(folder, torch.device("cpu"))
            except RabitError as e: assert str(path) in str(e) and "\n" not in str(e), e
            else: raise AssertionError(f"a forged state was taken: {sorted(whole.keys() - tensors.keys())[:3]}")


def test_a_run_starts_from_saved_weights_whole_or_with_other_classes_and_refuses_what_does_not_fit():
    with TemporaryDirectory() as folder:
        old = Trainer(small(), torch.device("cpu"))
        old.step(make_source(small()).batch(range(2)))
        save_state(old, folder)
        def begun(config):
            trainer, (weights, new) = Trainer(config, torch.device("cpu")), starting_weights(config)
            before = deepcopy(trainer.model.state_dict())
            start_from(trainer, weights)
            return trainer, new, before
        larger, new, _ = begun(preset("demo", start=folder, size=(48, 64), steps=3, seed=5))                      # demo is wider: the saved network counts
        assert new == [] and larger.done == 0 and f"started from: the weights {folder}" in model_card(larger)
        for net in (larger.model, larger.average): assert all(torch.equal(v, old.average.state_dict()[k]) for k, v in net.state_dict().items())
        fresh, new, before = begun(small(start=folder, classes=9, seed=5))
        assert 0 < len(new) < len(before) / 4 and "encoder.net.stems.0.weight" in new
        for k, v in fresh.model.state_dict().items(): assert torch.equal(v, before[k] if k in new else old.average.state_dict()[k])
        for odd, word in ((dict(model=dict(width=12)), "another shape"), (dict(model=dict(position="none")), "another shape"), (dict(builder="rabit.baselines.dynast.dynast"), "rabit.model.rabit"),
                          (dict(data="face"), "edges"), (dict(model=dict(condition="picture")), "picture"), (dict(start="nowhere"), "nowhere"), (dict(model=dict(width=10**6)), "another shape")):
            try: starting_weights(small(**dict(start=folder) | odd))
            except RabitError as e: assert word in str(e), e
            else: raise AssertionError(f"{odd} was taken")
    assert starting_weights(preset("tiny", start="style-64", model=dict(condition="picture")))[1] == []           # its own position, not the one that a new run would have


def test_a_log_line_holds_means_and_counts_skipped_steps():
    with TemporaryDirectory() as folder:
        walker = Trainer(small(), torch.device("cpu"))
        row = log_row(walker, [dict(warp=torch.tensor(1.)), {}, dict(warp=torch.tensor(2.), vgg=torch.tensor(4.))], 1.23456)
        assert row == dict(step=0, seconds=1.235, skipped=1, warp=1.5, vgg=4.)
        write_log(folder, [row, row])
        with open(Path(folder) / "log.jsonl", "a") as f: f.write('{"step": 7, "war')
        assert read_log(folder) == [row, row] and read_log(Path(folder) / "nowhere") == []


def test_a_sample_sheet_has_a_row_per_record_and_the_collapse_of_its_pictures():
    with TemporaryDirectory() as folder:
        painter, four = Trainer(small(), torch.device("cpu")), make_source(small()).batch(range(4))
        rows, titles = sample_rows(painter.average, four, 7)
        assert len(rows) == 4 and titles == ["condition", "exemplar", "warped", "confidence", "output", "target"] and torch.equal(rows[2][5], four["picture"][2])
        found = draw_samples(painter, four, folder)
        assert 0 < found["collapse"] < 1 and 0 < found["collapse_warp"] < 1 and (Path(folder) / "samples" / "000000.png").exists()
        class Copy(torch.nn.Module):
            def forward(self, condition, exemplar, exemplar_condition): return Translation(exemplar, exemplar, None, None, None, None, None)
        assert collapse_of(Copy(), four, 7) == dict(collapse=1., collapse_warp=1.)
        class Knows(torch.nn.Module):
            def forward(self, condition, exemplar, exemplar_condition): return Translation(exemplar, exemplar, None, SimpleNamespace(argmax=lambda size: four["position"] + 1), None, None, None)
        assert abs(errors_of(Knows(), four, 7)["epe"] - 2**.5) < 1e-5 and errors_of(Knows(), four, 7)["pck"] == 1 and 0 < found["pck"] < 1 < found["epe"]
        assert errors_of(Knows(), four | dict(visible=torch.zeros_like(four["visible"])), 7) == {}


def test_folders_that_are_taken_or_linked_or_cannot_be_written_are_refused_and_logs_are_cut_back():
    with TemporaryDirectory() as folder:
        run, file, linked = (Path(folder) / name for name in ("run", "file", "linked"))
        with open_run(run, None): write_log(run, [dict(step=s) for s in (2, 4, 6)])
        with open(run / "log.jsonl", "ab") as f: f.write(b'7\nnull\n[1]\n{"step": "x"}\n\xff\xfe\n' + b"[" * 50_000 + b'\n{"step": 4, "wa')   # what others may have put there
        with open_run(run, 4): assert read_log(run) == [dict(step=2), dict(step=4)] and (run / "samples").is_dir()
        (run / "model.safetensors").touch(); file.touch(); linked.mkdir(); (linked / "samples").symlink_to(run)
        def refused(out, done, word):
            try:
                with open_run(out, done): raise AssertionError(f"{out} was taken")
            except RabitError as e: assert word in str(e) and str(out) in str(e), e
        refused(run, None, "holds a run already"); refused(file / "run", None, "cannot be written"); refused(linked, 0, "links")
        with open_run(run, 4): refused(run, 4, "another process")
        assert len(read_log(run)) == 2
        precious = run / "precious"; precious.write_text("mine")
        (run / "log.jsonl").unlink(); (run / "log.jsonl").symlink_to(precious)
        with open_run(run, 4): write_log(run, [dict(step=5)])
        assert precious.read_text() == "mine" and read_log(run) == [dict(step=5)]          # a link is replaced, not followed
        (run / "log.jsonl").unlink(); os.mkfifo(run / "log.jsonl")
        with open_run(run, 4): assert read_log(run) == []                                  # and a pipe is not waited for


def test_the_first_interrupt_waits_and_the_second_does_not():
    finished, before = [], signal.getsignal(signal.SIGINT)
    try:
        with gentle_interrupt() as asked, redirect_stderr(io.StringIO()) as said:
            assert not asked.is_set()
            signal.raise_signal(signal.SIGINT); finished.append("a step")
            assert asked.is_set() and "once more" in said.getvalue()
            signal.raise_signal(signal.SIGTERM); finished.append("another")
    except KeyboardInterrupt: finished.append("interrupted")
    assert finished == ["a step", "interrupted"] and signal.getsignal(signal.SIGINT) is before


def test_the_bar_fits_into_a_terminal():
    signs = vital_signs(dict(skipped=3, warp=.2134, match=11.49, gradient=123.4, entropy=1.234, judge=1.987, collapse=.4321, epe=9.))
    line = tqdm.format_meter(96, 800, 60, ncols=80, bar_format=BAR, postfix=signs)
    print(line)
    assert signs == "skip 3 warp 0.21 match 11 grad 123 ent 1.2 D 2 copy 0.43" and len(line) <= 80 and line.endswith(signs)
    assert vital_signs(dict(step=3, warp=.5)) == "warp 0.5"


def test_what_is_told_is_drawn():
    with TemporaryDirectory() as folder:
        for step in (1, 2): write_log(folder, [dict(step=step, warp=1. / step, entropy=.5), dict(step=step, collapse=.4, collapse_warp=.3, epe=7.)])
        drawn = draw_run(folder).axes
        assert [len(ax.lines) for ax in drawn] == [1, 1, 0, 0, 2, 1] and drawn[0].lines[0].get_ydata().tolist() == [1., .5] and newest_sheet(folder) is None
        told, sheets = [], Path(folder) / "samples"
        sheets.mkdir()
        for name in ("000001.png", "000002.png"): Image.new("RGB", (6, 4)).save(sheets / name)
        assert newest_sheet(folder) == sheets / "000002.png"
        class Board:                                                               # stands in for TensorBoard's writer
            def __init__(self, folder): told.append(folder)
            def add_scalar(self, *what): told.append(what)
            def add_image(self, name, picture, step, dataformats): told.append((name, picture.shape, step))
            def flush(self): pass
        with replaced.dict(sys.modules, {"torch.utils.tensorboard": SimpleNamespace(SummaryWriter=Board)}): tell = listen(Path(folder), True, False)
        tell(dict(step=2, collapse=.5)); tell(dict(step=3, warp=.1))
        assert told == [str(Path(folder) / "tensorboard"), ("collapse", .5, 2), ("samples", (4, 6, 3), 2), ("warp", .1, 3)]


def test_a_run_ends_with_weights_that_can_be_used_and_data_of_other_classes_are_refused():
    with TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        try: train(small(classes=5), out, device="cpu", progress=False)
        except RabitError as e: assert "7 classes" in str(e) and not out.exists()
        else: raise AssertionError("seven classes fitted into five")
        model = train(small(steps=3, log_every=2, sample_every=2, weights=dict(adversarial=0.)), out, device="cpu", progress=False)
        assert [row["step"] for row in read_log(out)] == [2, 2, 3, 3] and [row["skipped"] for row in read_log(out)[::2]] == [0, 0]
        assert {"seconds", "warp", "match", "entropy", "gradient"} <= read_log(out)[0].keys() and 0 < read_log(out)[1]["collapse"] < 1
        assert sorted(p.name for p in (out / "samples").iterdir()) == ["000002.png", "000003.png"]
        back = Translator.from_pretrained(out)
        assert all(torch.equal(v, model.state_dict()[k]) for k, v in back.state_dict().items())
        before = (out / "state.safetensors").read_bytes()
        with redirect_stderr(io.StringIO()) as said: train(None, out, device="cpu", progress=False)
        assert "done its 3 steps" in said.getvalue()
        try: train(small(), out, device="cpu", progress=False)
        except RabitError as e: assert "holds a run already" in str(e) and (out / "state.safetensors").read_bytes() == before
        else: raise AssertionError("a run was overwritten")


def test_every_world_trains_through_the_same_loop():
    for data, kind in (("street", "labels"), ("face", "edges"), ("figure", "joints"), ("street", "picture")):
        model = dict(width=4, features=8) | (dict(condition="picture") if kind == "picture" else {})
        config = preset("tiny", data=data, size=(32, 32), steps=2, log_every=1, sample_every=2, save_every=2, model=model)
        with TemporaryDirectory() as folder:
            model = train(config, folder, device="cpu", progress=False)
            log = read_log(folder)
            assert model.config["condition"] == kind and all(row["match"] > 0 and ("parse" in row) == (kind != "picture") for row in log[:2]) and log[-1]["epe"] > 0
            assert ("mask" in log[0]) == (kind == "labels") and (Path(folder) / "samples" / "000002.png").exists()
            assert Translator.from_pretrained(folder).config == model.config
            try: train(None, folder, steps=3, device="cpu", progress=False, source=make_source(preset("tiny", size=(32, 32))))
            except RabitError as e: assert kind != "labels" and "conditions are labels" in str(e) and kind in str(e)
            else: assert kind == "labels"
    try: train(TrainConfig(data="figure", classes=35, steps=1), "never", device="cpu"); said = ""
    except RabitError as e: said = str(e)
    assert "joints" in said and "labels" in said and "'coord'" in said and not Path("never").exists()


def test_an_interrupted_and_resumed_run_equals_one_that_never_stopped():
    with TemporaryDirectory() as folder:
        whole, halved, config = Path(folder) / "whole", Path(folder) / "halved", small(steps=8, save_every=3, shapes=2.)
        train(config, whole, device="cpu", progress=False)
        def press(indices, record):
            if indices[0] == 10: os.kill(os.getpid(), signal.SIGINT)                 # the sixth batch
            return record
        said = io.StringIO()
        try:
            with redirect_stderr(said): train(config, halved, device="cpu", progress=False, source=Changed(make_source(config), press))
        except KeyboardInterrupt: pass
        else: raise AssertionError("Ctrl-C went unheard")
        stopped = load_state(halved, torch.device("cpu")).done
        assert 0 < stopped < 8 and f"--resume {halved}" in said.getvalue() and f"step {stopped} of 8" in said.getvalue()
        train(None, halved, device="cpu", progress=False)
        one, two = (load_file(out / "state.safetensors") for out in (whole, halved))
        assert one.keys() == two.keys() and all(torch.equal(v, two[k]) for k, v in one.items())
        assert (whole / "model.safetensors").read_bytes() == (halved / "model.safetensors").read_bytes()


def test_a_run_that_dies_leaves_its_last_save():
    with TemporaryDirectory() as folder:
        config, source = small(steps=20, save_every=2, log_every=1), make_source(small())
        try: train(config, folder, device="cpu", progress=False, source=Changed(source, broken(lambda i: i == 2 or i >= 6)))
        except RabitError as e: assert "up to step 8" in str(e)
        else: raise AssertionError("NaN went unnoticed")
        survivor = load_state(folder, torch.device("cpu"))
        assert survivor.done in (4, 6) and all(v.isfinite().all() for v in survivor.state().values())
        assert [row["skipped"] for row in read_log(folder)] == [0, 1, 0, 1, 1, 1, 1]
        assert survivor.step(source.batch([0, 1]))["gradient"].isfinite()


def test_a_run_whose_features_are_all_alike_says_so_once():
    with TemporaryDirectory() as folder:
        alike = small(steps=20, log_every=2, weights=dict.fromkeys(PAPER_WEIGHTS, 0.) | dict(warp=3., feature=6000.), model=dict(position="none"))
        with redirect_stderr(io.StringIO()) as said: train(alike, folder, device="cpu", progress=False)
        assert said.getvalue().count("all features look alike") == 1 and "6000" in said.getvalue()


def test_identity_collapse_is_warned_of_before_it_is_complete():
    def itself(indices, record):
        "The picture as its own exemplar, and the truth that belongs to it"
        return record | dict(exemplar=record["picture"], exemplar_labels=record["labels"], position=pixel_grid((32, 32)).expand_as(record["position"]), visible=torch.ones_like(record["visible"]))
    with TemporaryDirectory() as folder:
        config = small(steps=60, sample_every=10, log_every=20, model=dict(position="coord", temperature=.1), weights=dict.fromkeys(PAPER_WEIGHTS, 0.) | dict(warp=6., pixel=1.))
        with redirect_stderr(io.StringIO()) as said: train(config, folder, device="cpu", progress=False, source=Changed(make_source(config), itself))
        collapse = [row["collapse_warp"] for row in read_log(folder) if "collapse_warp" in row]
    warned = [int(line.split("step ")[1].split(":")[0]) for line in said.getvalue().splitlines() if "resemble their exemplars" in line]
    print("collapse of the warp:", [round(c, 2) for c in collapse], "warnings at steps", warned)
    assert warned and collapse[warned[0] // 10 - 1] < .95 < collapse[-1]


@pytest.mark.gpu
def test_a_few_steps_on_a_gpu_can_be_continued_on_the_cpu_in_both_kinds_of_16_bits():
    if torch.cuda.is_available():
        for amp in ("bf16", "fp16"):
            with TemporaryDirectory() as folder:
                train(small(steps=4, save_every=2, amp=amp), folder, device="cuda", progress=False)
                assert all(v.isfinite().all() for v in load_state(folder, torch.device("cpu")).state().values())
                train(None, folder, steps=6, device="cpu", progress=False)
                assert load_state(folder, torch.device("cuda")).done == 6
    else: print("no GPU here: nothing was shown")
