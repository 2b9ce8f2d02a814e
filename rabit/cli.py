"""The commands: train, translate, edit, eval, retrieve, doctor, demo"""
from argparse import ArgumentParser, ArgumentTypeError
from functools import wraps
from pathlib import Path
from time import perf_counter
import json, sys
import torch
from rabit import __version__
from rabit.core import RabitError, check, one_hot, pick_device
from rabit.data import FolderSource, SceneSource, inspect_folder, retrieve, write_pairs
from rabit.metrics import BASELINES, baseline_table, evaluate, table
from rabit.model import Translator, read_json, weight_folders
from rabit.scenes import STREET_CLASSES
from rabit.show import save_sheet
from rabit.train import PRESETS, preset, sample_rows, train

__all__ = ['rabit_train', 'rabit_translate', 'rabit_edit', 'rabit_eval', 'rabit_retrieve', 'rabit_doctor', 'rabit_demo']

DEFAULT_WEIGHTS = "street-64"

def command(f):
    "A command line: one clear line and exit code 2 for whatever the user can mend"
    @wraps(f)
    def run(argv=None):
        try: return f(argv)
        except RabitError as e: print(f"{f.__name__}: {e}", file=sys.stderr); sys.exit(2)
        except KeyboardInterrupt: sys.exit(130)
    return run

def size_of(
    text:str,  # "128x96": width × height
)->tuple:      # (h, w)
    "A size as users write it"
    try: w, h = (int(n) for n in text.lower().replace("×", "x").split("x"))
    except ValueError: raise ArgumentTypeError(f"{text!r} is no size; WIDTHxHEIGHT such as 128x96 is") from None
    if not (8 <= w <= 8192 and 8 <= h <= 8192): raise ArgumentTypeError(f"{text!r}: width and height must lie between 8 and 8192")
    return h, w

def weight_of(
    text:str,  # "match=0.3"
)->tuple:      # ("match", 0.3)
    "One loss weight as users write it"
    name, _, value = text.partition("=")
    try: return name, float(value)
    except ValueError: raise ArgumentTypeError(f"{text!r} is no loss weight; NAME=NUMBER such as match=0.3 is") from None

def positive(text):
    "A whole number of at least 1"
    if not text.isdigit() or int(text) < 1: raise ArgumentTypeError(f"{text!r} does not fit; a whole number of at least 1 is needed")
    return int(text)

def parser(name, description):
    p = ArgumentParser(prog=name, description=description)
    p.add_argument("--version", action="version", version=f"rabit {__version__}")
    return p

def add_weights(p):
    p.add_argument("--weights", default=DEFAULT_WEIGHTS, metavar="NAME", help=f"a run's folder or the name of shipped weights (default {DEFAULT_WEIGHTS})")
    p.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, … (default auto)")

def load_weights(args): return Translator.from_pretrained(args.weights, pick_device(args.device))

def check_output(
    path:Path,  # of a picture
):
    "Refuse, before any work is done, an output that could not be written"
    check(path.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp"), f"{path} does not end in .png, .jpg or .webp")
    check(not path.is_dir(), f"{path} is a folder; the name of a picture is needed")
    try: path.parent.mkdir(parents=True, exist_ok=True); probe = path.with_name(path.name + ".tmp"); probe.touch(); probe.unlink()
    except OSError as e: raise RabitError(f"{path} cannot be written ({e.strerror}); a folder where you may write is needed") from None

def write_picture(picture, path):
    "Write to a temporary name and rename, so that an old picture is replaced whole or kept"
    temporary = path.with_name(path.stem + ".tmp" + path.suffix)
    try: picture.save(temporary); temporary.replace(path)
    except OSError as e: raise RabitError(f"{path} cannot be written ({e.strerror or e})") from None
    finally: temporary.unlink(missing_ok=True)
    print(f"wrote {path} ({picture.width}×{picture.height})")

@command
def rabit_translate(argv=None):
    "Condition and exemplar in, picture out"
    p = parser("rabit_translate", "Paint the layout of LABELS with the look of EXEMPLAR.")
    p.add_argument("labels", type=Path, help="label map: a PNG whose pixels are class ids (255 = unknown)")
    p.add_argument("exemplar", type=Path, help="picture whose look is wanted, of any size")
    p.add_argument("-o", "--out", type=Path, default=Path("out.png"), help="picture to write (default out.png)")
    p.add_argument("--exemplar-labels", type=Path, help="the exemplar's own label map (default: read from the picture by the model)")
    p.add_argument("--size", type=size_of, metavar="WxH", help="size to work at (default: about as many pixels as the model was trained on)")
    add_weights(p)
    args = p.parse_args(argv)
    check_output(args.out)
    write_picture(load_weights(args).translate(args.labels, args.exemplar, args.exemplar_labels, args.size), args.out)

@command
def rabit_edit(argv=None):
    "Picture, its label map and an edited one in, repainted picture out"
    p = parser("rabit_edit", "Repaint PICTURE after its label map was changed from LABELS to EDITED.")
    p.add_argument("picture", type=Path, help="the original picture")
    p.add_argument("labels", type=Path, help="its label map")
    p.add_argument("edited", type=Path, help="the label map that is wanted")
    p.add_argument("-o", "--out", type=Path, default=Path("edited.png"), help="picture to write (default edited.png)")
    p.add_argument("--repaint-all", action="store_true", help="paint unchanged regions anew, too")
    p.add_argument("--size", type=size_of, metavar="WxH", help="size to work at")
    add_weights(p)
    args = p.parse_args(argv)
    check_output(args.out)
    write_picture(load_weights(args).edit(args.picture, args.labels, args.edited, args.size, not args.repaint_all), args.out)

def add_data(p):
    p.add_argument("--data", default="street", help="'street' (built-in scenes) or a folder with images/ and labels/ (default street)")
    p.add_argument("--split", help="part of the folder, such as train or val")

def folder_or_world(data):
    check(data == "street" or Path(data).is_dir(), f"--data {data}: no such folder, and 'street' is the only built-in world")

@command
def rabit_train(argv=None):
    "Train on scenes or on a folder; Ctrl-C saves, --resume goes on"
    p = parser("rabit_train", "Train a translator on built-in scenes or on your own folder.")
    add_data(p)
    p.add_argument("--classes", type=positive, help=f"number of label ids (default {len(STREET_CLASSES)} for street; needed for a folder)")
    p.add_argument("--out", type=Path, help="folder of the run (default runs/NAME-OF-DATA)")
    p.add_argument("--resume", type=Path, metavar="RUN", help="go on with the run in this folder; its own settings count, only --steps may change")
    p.add_argument("--preset", choices=sorted(PRESETS), default="demo", help="where to start from (default demo)")
    p.add_argument("--size", type=size_of, metavar="WxH", help="size of the pictures")
    for name, what in dict(steps="of training", batch="records a step", seed="of weights and data").items(): p.add_argument(f"--{name}", type=positive if name != "seed" else int, help=what)
    p.add_argument("--lr", type=float, help="learning rate")
    p.add_argument("--self-share", type=float, help="share of pseudo pairs among a folder's records")
    p.add_argument("--save-every", type=positive, help="steps between saves")
    p.add_argument("--weight", type=weight_of, action="append", default=[], metavar="NAME=X", help="weight of a term of the loss, such as match=0; may be repeated")
    p.add_argument("--vgg", metavar="PATH", help="VGG19 weights for the losses: a file, or 'download'")
    p.add_argument("--device", default="auto", help="auto, cpu, cuda, …")
    args = p.parse_args(argv)
    if args.resume:
        check((args.resume / "state.safetensors").is_file(), f"--resume {args.resume}: no state.safetensors in there, so no run to go on with")
        out = args.resume
        train(None, out, args.steps, device=args.device)
    else:
        folder_or_world(args.data)
        check(args.data == "street" or args.classes, f"--data {args.data} needs --classes, the number of label ids (rabit_doctor {args.data} counts them)")
        given = dict(size=args.size, steps=args.steps, batch=args.batch, seed=args.seed, lr=args.lr, self_share=args.self_share, save_every=args.save_every,
                     split=args.split, vgg_weights=args.vgg)
        config = preset(args.preset, data=args.data, classes=args.classes or len(STREET_CLASSES), weights=dict(args.weight),
                        **{k: v for k, v in given.items() if v is not None})
        out = args.out or Path("runs") / Path(args.data).resolve().name
        train(config, out, device=args.device)
    print(f"weights, log and samples are in {out}; to use them:  rabit_translate LABELS.png EXEMPLAR.jpg --weights {out}")

@command
def rabit_eval(argv=None):
    "Score weights on records that they have not seen"
    p = parser("rabit_eval", "Measure a translator, beside matching without learning where the truth is known.")
    add_weights(p); add_data(p)
    p.add_argument("--count", type=positive, default=200, help="records (default 200)")
    p.add_argument("--seed", type=int, default=1, help="of the data (default 1)")
    p.add_argument("--json", type=Path, help="write the numbers there, too")
    args = p.parse_args(argv)
    folder_or_world(args.data)
    model = load_weights(args)
    size = tuple(model.config["size"])
    source = SceneSource("street", args.seed, size) if args.data == "street" else \
        FolderSource(args.data, model.config["classes"], size, args.split, self_share=0., seed=args.seed, augment=False)
    check(source.classes == model.config["classes"], f"the weights know {model.config['classes']} classes, the data has {source.classes}")
    results = evaluate(model, source, args.count, device=model.device, name=str(args.weights), baselines=args.data == "street")
    print(table(results))
    if args.json:
        try: args.json.write_text(json.dumps(results, indent=1))
        except OSError as e: raise RabitError(f"{args.json} cannot be written ({e.strerror})") from None
        print(f"wrote {args.json}")

@command
def rabit_retrieve(argv=None):
    "For every picture of a folder, exemplars that resemble it"
    p = parser("rabit_retrieve", "List the exemplars that resemble each picture of DATA, from other sequences.")
    p.add_argument("data", type=Path, help="folder with images/ and labels/")
    p.add_argument("--classes", type=positive, required=True, help="number of label ids")
    p.add_argument("--split", help="part of the folder")
    p.add_argument("-k", type=positive, default=5, help="exemplars for each picture (default 5)")
    p.add_argument("-o", "--out", type=Path, default=Path("pairs.json"), help="list to write: .json or text (default pairs.json)")
    args = p.parse_args(argv)
    source = FolderSource(args.data, args.classes, (64, 64), args.split, augment=False)
    print(f"wrote {write_pairs(retrieve(source, args.k), args.out)}")

@command
def rabit_doctor(argv=None):
    "What is this folder, what fits, what does not"
    p = parser("rabit_doctor", "Say of a data folder what fits and what does not; exit code 1 if something does not.")
    p.add_argument("data", type=Path, help="the folder")
    p.add_argument("--classes", type=positive, help="check label ids against this many classes")
    p.add_argument("--split", help="only this part")
    args = p.parse_args(argv)
    report = inspect_folder(args.data, args.classes, args.split)
    print(report)
    sys.exit(0 if report["fits"] else 1)

@command
def rabit_demo(argv=None):
    "Translate with shipped weights, train a small model on scenes, measure it"
    p = parser("rabit_demo", "Train a small model on built-in scenes and measure it against matching without learning.")
    p.add_argument("--out", type=Path, default=Path("outputs"), help="folder for pictures and table (default outputs)")
    p.add_argument("--steps", type=positive, help="of training (default: the demo preset's)")
    p.add_argument("--count", type=positive, default=200, help="unseen scenes to measure on (default 200)")
    p.add_argument("--device", default="auto", help="auto, cpu, cuda, …")
    args = p.parse_args(argv)
    start, device = perf_counter(), pick_device(args.device)
    config = preset("demo", **({} if args.steps is None else dict(steps=args.steps)))
    unseen = SceneSource("street", config.seed + 1, config.size)
    shown, shipped = unseen.batch(range(6), device), [p.name for folder in weight_folders() for p in folder.iterdir()]
    if DEFAULT_WEIGHTS in shipped:
        print(f"1/3  translating with the shipped weights {DEFAULT_WEIGHTS}")
        write_sheet(Translator.from_pretrained(DEFAULT_WEIGHTS, device), shown, args.out / "shipped.png")
    print(f"2/3  training the demo preset on street scenes: {config.steps} steps")
    run = fresh_folder(args.out / "run")
    model = train(config, run, device=args.device)
    print(f"3/3  measuring on {args.count} unseen scenes")
    results = evaluate(model, unseen, args.count, device=device, name="trained here")
    write_sheet(model, shown, args.out / "demo.png")
    text = demo_report(results, config, args.count, perf_counter() - start, torch.get_num_threads(), device)
    (args.out / "demo.md").write_text(text)
    print(text)
    print(f"pictures: {args.out / 'demo.png'}; table: {args.out / 'demo.md'}; weights: {run}")

def fresh_folder(folder):
    "This folder if it holds no run yet, else the same name with the next free number"
    number, free = 1, folder
    while (free / "state.safetensors").exists(): number += 1; free = folder.with_name(f"{folder.name}-{number}")
    return free

def write_sheet(model, record, path):
    "The sheet of pictures that the demo shows"
    rows, titles = sample_rows(model, record, model.config["classes"])
    print(f"wrote {save_sheet(rows, path, titles=titles)}")

def demo_report(results, config, count, seconds, threads, device):
    "The demo's table with what is needed to read it"
    return (f"# rabit demo\n\n{config.steps} steps of batch {config.batch} on hard street scenes of {config.size[1]}×{config.size[0]}, seed {config.seed}; "
            f"measured on {count} scenes of another seed; {seconds / 60:.1f} minutes in all on {device} with {threads} threads; torch {torch.__version__}.\n\n"
            f"{table(results)}\n\nepe: end-point error in pixels. pck: share of visible pixels matched within 5 % of the longer side. right_instance: share matched "
            "into the right one of several. warp_l1: mean distance of the warped exemplar from the truth on visible pixels ([-1, 1] scale). Rows below the first learn nothing; "
            "'truth' is the known correspondence.\n")
