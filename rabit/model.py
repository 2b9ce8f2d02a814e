"""`Translator`: four slots that every system fills, and what a user does with them"""
from importlib import import_module
from pathlib import Path
from typing import NamedTuple
import inspect, json, os
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from PIL import Image
from rabit import __version__
from rabit.core import RabitError, check, check_finite, check_labels, check_picture, crop_to, labels_of, one_hot, pad_to, resize, resize_labels, to_pil
from rabit.data import read_labels, read_picture
from rabit.encode import Encoder
from rabit.generate import Decoder
from rabit.inject import Injector
from rabit.match import Match
from rabit.ranking import bilevel_match

__all__ = ['Translation', 'Translator', 'BilevelMatcher', 'rabit']

class Translation(NamedTuple):
    "Everything that one pass of a `Translator` found"
    picture:Tensor     # (b, 3, h, w) in [-1, 1]: condition's layout, exemplar's look
    warped:Tensor      # (b, 3, h, w): the exemplar brought to the condition by the match alone
    confidence:Tensor  # (b, 1, h', w') in [0, 1], on the match's grid
    match:Match        # where everything came from
    query:Tensor       # (b, c, h', w') features of the condition
    key:Tensor         # (b, c, H', W') features of the exemplar
    exemplar_labels:Tensor|None  # (b, classes, H, W) logits of the parser

class BilevelMatcher(nn.Module):
    "The matcher slot of RABIT: `bilevel_match` with its settings"
    def __init__(self,
        block:int=4,   # side of a block, in tokens
        k:int=3,       # blocks kept (fewer where the exemplar has fewer)
        eps:float=1.,  # ε of the soft top-k, in units of a row's standard deviation (squared)
        temperature:float=0.05,  # of the softmax inside the blocks
    ):
        super().__init__()
        self.block, self.k, self.eps, self.temperature = block, k, eps, temperature
    def forward(self, query, key):
        return bilevel_match(query.float(), key.float(), self.block, self.k, self.eps, self.temperature)

class Translator(nn.Module):
    "Encoder, matcher, injector, decoder: a condition and an exemplar in, a picture out"
    multiple = 8  # pictures are padded inside until their sides are multiples of this

    def __init__(self,
        encoder:nn.Module,   # (condition, exemplar, exemplar_condition) → `Features`
        matcher:nn.Module,   # (query, key) → `Match`
        injector:nn.Module,  # (condition, warped exemplar, confidence) → features at every scale of the decoder
        decoder:nn.Module,   # those features → (b, 3, h, w)
        config:dict,         # how to build it again: "builder" (dotted name), its arguments
    ):
        super().__init__()
        self.encoder, self.matcher, self.injector, self.decoder, self.config = encoder, matcher, injector, decoder, config

    @property
    def device(self): return next(self.parameters()).device

    def forward(self,
        condition:Tensor,  # (b, c, h, w)
        exemplar:Tensor,   # (b, 3, H, W), in [-1, 1]
        exemplar_condition:Tensor|None=None,  # (b, c, H, W); None: the encoder reads it from the picture
    )->Translation:
        "Match, warp, fuse, paint; the match lives on the padded grid"
        size, pad = condition.shape[-2:], lambda x: None if x is None else pad_to(x, self.multiple)
        condition, exemplar, exemplar_condition = pad(condition), pad(exemplar), pad(exemplar_condition)
        features = self.encoder(condition, exemplar, exemplar_condition)
        match = self.matcher(features.query, features.key)
        warped, confidence = match.warp(exemplar), match.confidence()
        picture = self.decoder(self.injector(condition, warped, confidence))
        return Translation(crop_to(picture, size), crop_to(warped, size), confidence, match, *features)

    def _condition(self, given, size, what):
        if isinstance(given, Tensor) and given.is_floating_point():
            classes = self.config["classes"]
            check(given.ndim == 4 and given.shape[1] == classes, f"{what} has shape {tuple(given.shape)}; (1, {classes}, h, w) is needed")
            return resize(check_finite(given, what), size or given.shape[-2:]).to(self.device)
        labels = self._labels(given, what)
        return one_hot(resize_labels(labels, size or labels.shape[-2:]), self.config["classes"]).to(self.device)

    def _labels(self, given, what):
        if isinstance(given, Tensor): given = given if given.ndim == 3 else given[None]
        else: given = read_labels(given, self.config["classes"])
        return check_labels(given, self.config["classes"], what)

    def _working_size(self, size, wanted):
        if wanted is not None: return tuple(wanted)
        (h, w), (th, tw) = size, self.config["size"]
        scale = (th * tw / (h * w)) ** .5
        return max(8, round(h * scale / 8) * 8), max(8, round(w * scale / 8) * 8)

    @torch.no_grad()
    def translate(self,
        condition,  # label map: a path, a PIL image, an integer tensor (h, w); or a float condition (1, c, h, w)
        exemplar,   # picture: a path, a PIL image, a tensor (1, 3, H, W) in [-1, 1]
        exemplar_condition=None,  # the exemplar's own label map, if there is one (as `condition`)
        size:tuple|None=None,     # (h, w) to work at; default: the area that the model was trained on, in the condition's shape
    )->Image.Image:               # as large as the condition
        "One picture with the condition's layout and the exemplar's look"
        return to_pil(self._translate(condition, exemplar, exemplar_condition, size)[0])

    def _translate(self, condition, exemplar, exemplar_condition, size):
        mode = self.training
        self.eval()
        try:
            condition = self._condition(condition, None, "condition")
            exemplar = check_picture(exemplar, "exemplar") if isinstance(exemplar, Tensor) else read_picture(exemplar)
            full, given = condition.shape[-2:], exemplar.shape[-2:]
            work, exemplar_work = self._working_size(full, size), self._working_size(given, size)
            if exemplar_condition is not None: exemplar_condition = self._condition(exemplar_condition, exemplar_work, "exemplar_condition")
            small = one_hot(resize_labels(labels_of(condition), work), condition.shape[1]) if _is_one_hot(condition) else resize(condition, work)
            found = self(small, resize(exemplar, exemplar_work).clamp(-1, 1).to(self.device), exemplar_condition)
            return resize(found.picture, full).clamp(-1, 1), found
        finally: self.train(mode)

    @torch.no_grad()
    def edit(self,
        picture,        # the original: a path, a PIL image or a tensor (1, 3, h, w) in [-1, 1]
        labels,         # its label map: a path, a PIL image or an integer tensor (h, w)
        edited_labels,  # the label map that is wanted, of the same size
        size:tuple|None=None,  # (h, w) to work at, as in `translate`
        keep:bool=True,        # take unchanged pixels from the original?
    )->Image.Image:
        "Repaint a picture after a change of its label map, with the picture itself as the exemplar"
        picture = check_picture(picture, "picture") if isinstance(picture, Tensor) else read_picture(picture)
        before, after = self._labels(labels, "labels"), self._labels(edited_labels, "edited_labels")
        for name, x in (("labels", before), ("edited_labels", after)):
            check(x.shape[-2:] == picture.shape[-2:], f"{name} of {tuple(x.shape[-2:])} and picture of {tuple(picture.shape[-2:])} differ in size (h, w); the same size is needed")
        painted = self._translate(after, picture, before, size)[0].to(picture.device)
        same = (before == after)[:, None].float().to(picture.device) if keep else torch.zeros_like(painted[:, :1])
        return to_pil(picture * same + painted * (1 - same))

    def save_pretrained(self,
        folder,        # made if missing
        card:str="",   # text for the model card: data, steps, metrics, limits
        half:bool=False,  # store weights in 16 bits?
    )->Path:
        "Write model.safetensors, config.json and README.md; each appears whole or not at all"
        folder = Path(folder)
        weights = {k: v.detach().cpu().contiguous().to(torch.float16 if half and v.is_floating_point() else v.dtype) for k, v in self.state_dict().items()}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(folder / "model.safetensors", lambda path: save_file(weights, path))
            write_whole(folder / "config.json", lambda path: path.write_text(json.dumps(self.config, indent=1)))
            write_whole(folder / "README.md", lambda path: path.write_text(card or f"# A `{self.config['builder']}` model\n\nNo model card was written.\n"))
        except OSError as e: raise RabitError(f"{folder} cannot be written ({e.strerror or e}); a folder where you may write is needed") from None
        return folder

    @classmethod
    def from_pretrained(cls,
        name,          # a folder that `save_pretrained` wrote, or the name of weights that ship
        device="cpu",  # where to put it
    ):
        "Load all of a saved model, or fail with the names that do not fit"
        folder = find_weights(name)
        config = read_json(folder / "config.json")
        model = build(config)
        weights = read_weights(folder / "model.safetensors")
        load_whole(model, weights, folder)
        return model.to(device).eval()

def _is_one_hot(condition): return bool(((condition == 0) | (condition == 1)).all() and (condition.sum(1) <= 1).all())

def write_whole(
    path,   # where the file shall be
    write,  # called with a temporary path beside it
):
    "Write to a temporary name, flush to the disk, and rename"
    path = Path(path); temporary = path.with_name(path.name + ".tmp")
    try:
        write(temporary)
        with open(temporary, "rb") as f: os.fsync(f.fileno())
        os.replace(temporary, path)
    finally: temporary.unlink(missing_ok=True)

def read_json(
    path,  # of a JSON object
)->dict:
    "Read a JSON object, or say what is wrong with the file"
    try: found = json.loads(Path(path).read_text())
    except (OSError, ValueError) as e: raise RabitError(f"{path} cannot be read ({e}); a JSON file that `save_pretrained` wrote is needed") from None
    check(isinstance(found, dict), f"{path} holds a {type(found).__name__}; a JSON object is needed")
    return found

def read_weights(
    path,  # of a safetensors file
)->dict:
    "Read tensors, or say what is wrong with the file"
    try: return load_file(path)
    except (OSError, SafetensorError) as e: raise RabitError(f"{path} cannot be read ({e}); it is missing, cut short, or no safetensors file") from None

def load_whole(
    model:nn.Module,  # to be filled
    weights:dict,     # name → tensor
    source,           # where the weights came from, for the message
):
    "Fill a module with all of its weights and no others"
    own = model.state_dict()
    missing, extra = sorted(own.keys() - weights.keys()), sorted(weights.keys() - own.keys())
    wrong = [f"{k} is {tuple(weights[k].shape)}, the model's is {tuple(own[k].shape)}" for k in sorted(own.keys() & weights.keys()) if own[k].shape != weights[k].shape]
    parts = [f"{what}: {', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"
             for what, names in (("missing", missing), ("not in the model", extra), ("of another shape", wrong)) if names]
    check(not parts, f"the weights in {source} do not fit this model ({'; '.join(parts)})")
    model.load_state_dict({k: v.to(own[k].dtype) for k, v in weights.items()})

def weight_folders()->list:
    "Where shipped weights may lie: in the installed package, or in a checkout's data/"
    here = Path(__file__).parent
    return [p for p in (here / "weights", here.parent / "data" / "weights") if p.is_dir()]

def find_weights(
    name,  # a folder, or a shipped name
)->Path:
    "The folder of a saved model"
    if (Path(name) / "config.json").is_file(): return Path(name)
    shipped = {p.name: p for folder in weight_folders() for p in sorted(folder.iterdir()) if (p / "config.json").is_file()}
    check(str(name) in shipped, f"no weights at {str(name)!r}: neither a folder with config.json and model.safetensors, nor one of the shipped names ({', '.join(sorted(shipped)) or 'none ship'})")
    return shipped[str(name)]

def build(
    config:dict,  # as a `Translator` keeps it
)->Translator:
    "Call the builder that a configuration names, with the arguments that it names"
    arguments = dict(config)
    name = str(arguments.pop("builder", ""))
    module, _, function = name.rpartition(".")
    check(module.startswith("rabit."), f"builder {name!r} is not one of this library's (such as 'rabit.model.rabit')")
    try: builder = getattr(import_module(module), function)
    except (ImportError, AttributeError): raise RabitError(f"builder {name!r} does not exist in this version of rabit ({__version__})") from None
    known = inspect.signature(builder).parameters
    check(arguments.keys() <= known.keys(), f"builder {name!r} does not know {sorted(arguments.keys() - known.keys())}; it takes {sorted(known)}")
    return builder(**arguments)

def rabit(
    classes:int,       # channels of the condition: label ids 0 … classes-1
    size:tuple=(64, 64),  # (h, w) of the pictures that it is trained on
    width:int=16,      # channels at full size of every network
    features:int=64,   # channels of the common feature space
    stride:int=2,      # pixels on a side of one token: 1 or 2
    block:int=4,       # side of a block, in tokens
    k:int=3,           # blocks kept
    eps:float=1.,      # ε of the soft top-k, in units of a row's standard deviation (squared)
    temperature:float=0.05,   # of the softmax inside the blocks
    position:str="semantic",  # "semantic", "coord" or "none"
    frame:str="box",          # "box" or "centroid" (the paper's)
    confidence:str="multi",   # "multi", "single" or "none"
    names:list|None=None,     # names of the classes
)->Translator:
    "RABIT, untrained"
    config = dict(builder="rabit.model.rabit", classes=classes, size=list(size), width=width, features=features, stride=stride, block=block, k=k, eps=eps,
                  temperature=temperature, position=position, frame=frame, confidence=confidence, names=list(names) if names else None)
    check(classes >= 1 and width >= 4, f"classes = {classes}, width = {width}: at least 1 class and width 4 are needed")
    widths = (width, 2 * width, 3 * width, 4 * width)
    return Translator(Encoder(classes, width, features, position, frame, stride=stride), BilevelMatcher(block, k, eps, temperature),
                      Injector(classes, widths, confidence), Decoder(widths), config)
