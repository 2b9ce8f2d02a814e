"""The two-player step, the loop, its saves and its log"""
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
import json, math, sys, time
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm.auto import tqdm
from rabit.core import RabitError, UNKNOWN, check, one_hot, pick_device, seed_all
from rabit.data import FolderSource, SceneSource, prefetch
from rabit.discriminate import Discriminator
from rabit.encode import VGG19
from rabit.losses import (VGG_WEIGHTS, contextual_loss, cycle_loss, feature_consistency, feature_matching, hinge_d, hinge_g, mask_loss,
                          match_loss, perceptual_loss, warp_loss)
from rabit.model import Translator, build, load_whole, read_json, read_weights, write_whole
from rabit.show import save_sheet

__all__ = ['PAPER_WEIGHTS', 'TrainConfig', 'PRESETS', 'preset', 'make_source', 'Trainer', 'save_state', 'load_state', 'sample_rows', 'train']

# what each term of the generator's loss is multiplied by: the authors' scripts (papers), and ours for the small presets
PAPER_WEIGHTS = dict(cycle=1., feature=10., perceptual=.001, vgg=10., contextual=1., warp=100., mask=100., adversarial=10., matching=10., pixel=0., parse=1., match=0.)

@dataclass
class TrainConfig:
    "All that a run depends on; saved as JSON beside its weights"
    data:str = "street"       # a world of scenes, or a folder of pictures and label maps
    classes:int = 7           # label ids 0 … classes-1
    size:tuple = (64, 64)     # (h, w) of the pictures
    split:str|None = None     # of a folder
    self_share:float = .3     # of a folder's records: how many are pseudo pairs (the picture itself, moved)
    model:dict = field(default_factory=dict)    # arguments of the builder
    builder:str = "rabit.model.rabit"           # which system
    weights:dict = field(default_factory=lambda: dict(PAPER_WEIGHTS))  # of the losses
    steps:int = 1000          # of both players
    batch:int = 4             # records a step
    lr:float = 2e-4           # Adam's; constant for the first half, then linear to 0
    betas:tuple = (0., .9)    # Adam's, of both players
    ttur:bool = True          # two time scales: generator lr/2, discriminator lr·2
    ema:float = .999          # decay of the averaged weights
    clip:float = 5.           # largest gradient norm of the generator
    d_width:int = 64          # channels of the discriminator
    d_layers:int = 3          # halvings of each of its scales
    vgg_width:int = 64        # channels of VGG19
    vgg_weights:str|None = None  # a path, "download", or none: seeded random weights
    temperature:float = .05   # of the match loss
    match_tokens:int = 1024   # query tokens that the match loss draws
    seed:int = 0              # of weights and data
    amp:bool = True           # bf16 on a GPU
    log_every:int = 50        # steps
    sample_every:int = 250    # steps
    save_every:int = 250      # steps

def make_source(
    config:TrainConfig,  # of the run
    seed:int|None=None,  # other than the run's: unseen scenes
):
    "The data that a configuration names"
    seed = config.seed if seed is None else seed
    if config.data == "street": return SceneSource(config.data, seed, config.size)
    return FolderSource(config.data, config.classes, config.size, config.split, config.self_share, seed)

def averaged_decay(
    decay:float,  # in the long run
    step:int,     # done so far
)->float:
    "Short memory at first, so that the average forgets where it started"
    return min(decay, (1 + step) / (10 + step))

def rate(
    step:int,   # done so far
    steps:int,  # of the run
)->float:       # factor of the learning rate
    "Constant for the first half, then linear to zero"
    return min(1., 2 * (1 - step / steps))

class Trainer:
    "Two players, their optimisers, the running average, and where they stand"
    def __init__(self,
        config:TrainConfig,   # of the run
        device:torch.device,  # where it runs
    ):
        seed_all(config.seed)
        self.config, self.device, self.done, self.skipped = config, device, 0, 0
        check(not any(s % 8 for s in config.size), f"size {config.size[1]}x{config.size[0]} does not fit: both sides must be multiples of 8 for training")
        layout = dict(memory_format=torch.channels_last)
        self.model = build(dict(config.model, builder=config.builder, classes=config.classes, size=list(config.size))).to(device, **layout).train()
        self.average = deepcopy(self.model).eval().requires_grad_(False)
        w = config.weights
        self.judge = Discriminator(config.classes + 3, config.d_width, config.d_layers).to(device, **layout) if w["adversarial"] else None
        uses_vgg = w["perceptual"] or w["vgg"] or w["contextual"]
        self.vgg = VGG19(config.vgg_width, config.vgg_weights).to(device, **layout) if uses_vgg else None
        g, d = (config.lr / 2, config.lr * 2) if config.ttur else (config.lr, config.lr)
        self.optimizers = dict(g=torch.optim.Adam(self.model.parameters(), g, betas=config.betas))
        if self.judge: self.optimizers["d"] = torch.optim.Adam(self.judge.parameters(), d, betas=config.betas)
        for o in self.optimizers.values():
            for group in o.param_groups: group["start"] = group["lr"]

    def step(self,
        record:dict,  # a batch, on the device
    )->dict:          # name → value of every term before its weight
        "One step of each player"
        for o in self.optimizers.values():
            for group in o.param_groups: group["lr"] = group["start"] * rate(self.done, self.config.steps)
        condition = one_hot(record["labels"], self.config.classes)
        with autocast(self): found = self.model(condition, record["exemplar"], one_hot(record["exemplar_labels"], self.config.classes))
        with autocast(self): terms = self.generator_terms(record, condition, found)
        total = sum(self.config.weights[name] * value for name, value in terms.items())
        values = {name: value.detach() for name, value in terms.items()}
        values["entropy"] = found.match.entropy().mean().detach()
        ok = bool(total.isfinite())
        if ok:
            self.update("g", total, self.model)
            if self.judge: values["judge"] = self.judge_step(condition, record["picture"], found.picture.detach())
            self.follow()
        self.skipped = 0 if ok else self.skipped + 1
        check(self.skipped < 5, f"the loss was not finite in 5 steps running, up to step {self.done + 1} ({', '.join(n for n, v in values.items() if not v.isfinite())}): "
                                f"a lower lr than {self.config.lr} may help; the last save is as it was")
        self.done += 1
        return values

    def update(self, player, loss, net):
        optimizer = self.optimizers[player]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(net.parameters(), self.config.clip)
        if norm.isfinite(): optimizer.step()

    def judge_step(self, condition, real, fake):
        with autocast(self):
            loss = hinge_d([l.float() for l, _ in self.judge(condition, real)], [l.float() for l, _ in self.judge(condition, fake)])
        self.update("d", loss, self.judge)
        return loss.detach()

    @torch.no_grad()
    def follow(self):
        decay = averaged_decay(self.config.ema, self.done)
        for a, b in zip(self.average.state_dict().values(), self.model.state_dict().values()):
            a.lerp_(b, 1 - decay) if a.is_floating_point() else a.copy_(b)

    def generator_terms(self,
        record:dict,       # a batch
        condition:Tensor,  # (b, classes, h, w)
        found,             # what the model made of it
    )->dict:
        "Every term of the generator's loss whose weight is not zero"
        w, terms, config = self.config.weights, {}, self.config
        picture, exemplar, paired = record["picture"], record["exemplar"], record["paired"]
        seen = record["visible"] & paired[:, None, None]
        y, warped = found.picture.float(), found.warped.float()
        if w["pixel"]: terms["pixel"] = warp_loss(y, picture, paired[:, None, None].expand_as(seen))
        if w["warp"]: terms["warp"] = warp_loss(warped, picture, seen)
        if w["cycle"]: terms["cycle"] = cycle_loss(exemplar, found.match.back(warped), found.match.reach())
        if w["feature"]: terms["feature"] = feature_consistency(found.query, self.model.encoder.key(picture, condition))
        if w["mask"]: terms["mask"] = mask_loss(found.match.warp(one_hot(record["exemplar_labels"], config.classes)), record["labels"])
        if w["parse"] and found.exemplar_labels is not None:
            terms["parse"] = F.cross_entropy(found.exemplar_labels.float(), record["exemplar_labels"], ignore_index=UNKNOWN)
        if w["match"]:
            draw = torch.Generator().manual_seed(config.seed * 1_000_003 + self.done)
            terms["match"] = match_loss(found.query, found.key, record["position"], seen, exemplar.shape[-2:], config.temperature, config.match_tokens, draw)
        if self.vgg is not None: terms |= self.vgg_terms(y, picture, exemplar, paired)
        if self.judge: terms |= self.judged_terms(condition, y, picture)
        return terms

    def vgg_terms(self, y, picture, exemplar, paired):
        w, terms = self.config.weights, {}
        ys, xs = self.vgg(y), self.vgg(picture)
        if w["perceptual"]: terms["perceptual"] = perceptual_loss(ys[3], xs[3])
        if w["vgg"] and paired.any(): terms["vgg"] = feature_matching([f[paired] for f in ys], [f[paired] for f in xs], VGG_WEIGHTS)
        if w["contextual"]:
            zs = self.vgg(exemplar)
            terms["contextual"] = sum(k * contextual_loss(ys[i], zs[i]) for i, k in ((1, 2.), (2, 4.), (3, 8.))) / 14
        return terms

    def judged_terms(self, condition, y, picture):
        fake = self.judge(condition, y)
        terms = dict(adversarial=hinge_g([l.float() for l, _ in fake]))
        if self.config.weights["matching"]:
            with torch.no_grad(): real = self.judge(condition, picture)
            terms["matching"] = feature_matching([f for _, f in fake], [f for _, f in real])
        return terms

    def state(self)->dict:
        "Everything that the next step depends on, as named tensors"
        tensors = {f"{part}.{k}": v for part, net in self.parts().items() for k, v in net.state_dict().items()}
        for name, optimizer in self.optimizers.items():
            for i, values in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{name}.{i}.{k}": v for k, v in values.items()}
        return {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}

    def parts(self): return dict(model=self.model, average=self.average) | (dict(judge=self.judge) if self.judge else {})

    def restore(self,
        tensors:dict,  # as `state` gave them
        done:int,      # steps that they have seen
        source="the state",  # where they came from, for messages
    ):
        "Go back to a saved state"
        for part, net in self.parts().items():
            load_whole(net, {k.removeprefix(f"{part}."): v for k, v in tensors.items() if k.startswith(f"{part}.")}, source)
        for name, optimizer in self.optimizers.items():
            start = f"optimizer.{name}."
            values = {}
            for k, v in tensors.items():
                if k.startswith(start):
                    i, key = k.removeprefix(start).split(".")
                    values.setdefault(int(i), {})[key] = v
            optimizer.load_state_dict(optimizer.state_dict() | dict(state=values))
        self.done = done

def autocast(trainer):
    return torch.autocast("cuda", torch.bfloat16) if trainer.config.amp and trainer.device.type == "cuda" else nullcontext()

SMALL_WEIGHTS = dict(cycle=.3, feature=1., perceptual=.001, vgg=.1, contextual=.05, warp=6., mask=.3, adversarial=.05, matching=.05,
                     pixel=1., parse=.1, match=.5)  # few steps, random VGG features: matching first

PRESETS = dict(
    tiny=dict(steps=60, batch=2, lr=2e-3, betas=(.9, .99), ttur=False, ema=.95, d_width=8, d_layers=2, vgg_width=4, weights=SMALL_WEIGHTS,
              model=dict(width=8, features=24, eps=.1, temperature=.03), log_every=10, sample_every=30, save_every=30),
    demo=dict(steps=700, batch=4, lr=2e-3, betas=(.9, .99), ttur=False, ema=.99, d_width=16, d_layers=2, vgg_width=4, weights=SMALL_WEIGHTS,
              model=dict(width=16, features=48, stride=1, block=8, eps=.1, temperature=.03), match_tokens=128),
    base=dict(size=(256, 256), steps=400_000, batch=8, model=dict(width=64, features=256, block=4), log_every=100, sample_every=1000, save_every=1000),
)

def preset(
    name:str,     # "tiny" (seconds), "demo" (minutes on two cores), "base" (256², the paper's widths)
    **changes,    # fields of `TrainConfig` to set; `model` and `weights` are merged entry by entry
)->TrainConfig:
    "A named configuration, with changes"
    check(name in PRESETS, f"preset {name!r} is not known: {', '.join(PRESETS)} are")
    known = {f.name for f in fields(TrainConfig)}
    check(changes.keys() <= known, f"{sorted(changes.keys() - known)} are no fields of a run's configuration: {', '.join(sorted(known))} are")
    start = TrainConfig(**PRESETS[name])
    for part in ("model", "weights"):
        if part in changes: changes[part] = getattr(start, part) | changes[part]
    odd = sorted(changes.get("weights", {}).keys() - PAPER_WEIGHTS.keys())
    check(not odd, f"{odd} are no terms of the loss: {', '.join(PAPER_WEIGHTS)} are")
    return replace(start, **changes)

def save_state(
    trainer:Trainer,  # to be saved
    out:Path,         # folder of the run
):
    "Write state.safetensors (to go on from) and the averaged model (to use), each whole or not at all"
    note = dict(done=str(trainer.done), config=json.dumps(asdict(trainer.config)))
    try: write_whole(out / "state.safetensors", lambda path: save_file(trainer.state(), path, note))
    except OSError as e: raise RabitError(f"{out} cannot be written ({e.strerror or e}); a folder where you may write, with room, is needed") from None
    trainer.average.save_pretrained(out, model_card(trainer))

def model_card(trainer:Trainer)->str:
    "What a user of the weights should know"
    c = trainer.config
    losses = ", ".join(f"{k} {v:g}" for k, v in c.weights.items() if v)
    return (f"# {c.builder.rpartition('.')[2]} on {Path(c.data).name}\n\n- data: {Path(c.data).name}, {c.classes} classes, {c.size[0]}×{c.size[1]}\n"
            f"- steps: {trainer.done} of {c.steps}, batch {c.batch}, seed {c.seed}; the weights are a running average (decay {c.ema:g})\n"
            f"- losses: {losses}\n- features for losses: {trainer.vgg.note if trainer.vgg else 'none'}\n"
            f"- limits: knows only what its data showed; pictures are worked on at about {c.size[0]}×{c.size[1]} pixels\n")

def load_state(
    out,      # folder of a run
    device:torch.device,  # where to go on
    steps:int|None=None,  # a new end, if the run shall be longer
)->Trainer:
    "A trainer where a run stopped"
    path = Path(out) / "state.safetensors"
    tensors = read_weights(path)
    with safe_open(path, "pt") as f: note = f.metadata() or {}
    try: config, done = TrainConfig(**json.loads(note["config"])), int(note["done"])
    except (KeyError, ValueError, TypeError) as e: raise RabitError(f"{path} holds no run of this version of rabit ({e})") from None
    config.size, config.betas = tuple(config.size), tuple(config.betas)
    trainer = Trainer(config if steps is None else replace(config, steps=steps), device)
    trainer.restore(tensors, done, path)
    return trainer

@torch.no_grad()
def sample_rows(
    model:Translator,  # who paints
    record:dict,       # a few records, on the model's device
    classes:int,       # of the condition
)->tuple:              # rows for `save_sheet`, and the titles of their columns
    "Condition, exemplar, warped exemplar, confidence, output and target of each record"
    found = model(one_hot(record["labels"], classes), record["exemplar"], one_hot(record["exemplar_labels"], classes))
    columns = dict(condition=record["labels"], exemplar=record["exemplar"], warped=found.warped.float(), confidence=found.confidence.float()[:, 0],
                   output=found.picture.float(), target=record["picture"])
    return [[c[i].cpu() for c in columns.values()] for i in range(len(record["labels"]))], list(columns)

def train(
    config:TrainConfig|None,  # what to train; None: go on with the run in `out`, as it was configured
    out,                 # folder of the run, made if missing
    steps:int|None=None, # when going on: a new end
    device:str="auto",   # see `pick_device`
    progress:bool=True,  # show a bar?
    source=None,         # data; default: what the configuration names
)->Translator:           # the averaged model
    "Train, showing losses, drawing samples, writing a log and saving every so many steps"
    out, device = Path(out), pick_device(device)
    check(config is None or not (out / "state.safetensors").exists(), f"{out} holds a run already: --resume {out} goes on with it, another --out starts anew")
    trainer = load_state(out, device, steps) if config is None else Trainer(config, device)
    config = trainer.config
    source = source or make_source(config)
    check(source.classes == config.classes, f"the data has {source.classes} classes, the model {config.classes}; give --classes {source.classes}")
    try: (out / "samples").mkdir(parents=True, exist_ok=True); (out / "log.jsonl").touch()
    except OSError as e: raise RabitError(f"{out} cannot be written ({e.strerror or e}); a folder where you may write is needed") from None
    if trainer.vgg: tqdm.write(f"losses use {trainer.vgg.note}")
    shown = source.batch(range(4), device)
    bar = tqdm(total=config.steps, initial=trainer.done, disable=not progress, unit="step", dynamic_ncols=True)
    try: run_steps(trainer, source, shown, out, bar)
    except KeyboardInterrupt:
        save_state(trainer, out)
        bar.close()
        print(f"\nstopped and saved at step {trainer.done} of {config.steps}; to go on:  rabit_train --resume {out}", file=sys.stderr)
        raise
    finally: bar.close()
    return trainer.average

def run_steps(
    trainer:Trainer,  # who plays
    source,           # the data
    shown:dict,       # the records of the sample sheet
    out:Path,         # folder of the run
    bar,              # tqdm
):
    "Step after step until the end, with log, samples and saves on the way"
    config, sums, start = trainer.config, {}, time.perf_counter()
    for step, record in prefetch(source, trainer.done, config.batch, trainer.device):
        if trainer.done >= config.steps: break
        for name, value in trainer.step(record).items(): sums.setdefault(name, []).append(value)
        bar.update()
        if due(trainer, config.log_every):
            means = {name: float(torch.stack(values).mean()) for name, values in sums.items()}
            with open(out / "log.jsonl", "a") as f:
                f.write(json.dumps(dict(step=trainer.done, seconds=round(time.perf_counter() - start, 3), **means)) + "\n")
            bar.set_postfix({k: f"{v:.3g}" for k, v in means.items() if k in ("warp", "match", "pixel", "adversarial", "judge", "entropy")})
            sums = {}
        if due(trainer, config.sample_every):
            rows, titles = sample_rows(trainer.average, shown, config.classes)
            save_sheet(rows, out / "samples" / f"{trainer.done:06d}.png", titles=titles)
        if due(trainer, config.save_every): save_state(trainer, out)

def due(trainer, every): return trainer.done % every == 0 or trainer.done == trainer.config.steps
