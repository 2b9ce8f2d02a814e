"""Exemplar-guided image translation: one image lends its look to the layout of another.

Names are imported when they are first used: `import rabit` is quick, `rabit.Translator` loads PyTorch.
"""
__version__ = "0.2.0"

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .core.registry import find, register, registered
    from .core.tensors import RabitError
    from .data.layouts import open_dataset
    from .inputs.images import read_image
    from .inputs.palettes import read_labels
    from .matching.bilevel import bilevel_match
    from .matching.match import Match, dense_match
    from .matching.position import semantic_position
    from .matching.topk import soft_topk
    from .networks.translate import Translator
    from .training.config import TrainConfig, preset
    from .training.evaluate import evaluate
    from .training.run import train

_HOMES = {  # module → names that it lends to the front door
    "core.registry": ("find", "register", "registered"),
    "core.tensors": ("RabitError",),
    "data.layouts": ("open_dataset",),
    "inputs.images": ("read_image",),
    "inputs.palettes": ("read_labels",),
    "matching.bilevel": ("bilevel_match",),
    "matching.match": ("Match", "dense_match"),
    "matching.position": ("semantic_position",),
    "matching.topk": ("soft_topk",),
    "networks.translate": ("Translator",),
    "training.config": ("TrainConfig", "preset"),
    "training.evaluate": ("evaluate",),
    "training.run": ("train",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = ["Match", "RabitError", "TrainConfig", "Translator", "bilevel_match", "dense_match", "evaluate", "find",
           "open_dataset", "preset", "read_image", "read_labels", "register", "registered", "semantic_position",
           "soft_topk", "train"]


def __getattr__(name):
    if name not in _HOME_OF: raise AttributeError(f"module 'rabit' has no attribute {name!r}")
    value = getattr(import_module(f"rabit.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__(): return sorted({*globals(), *__all__})
