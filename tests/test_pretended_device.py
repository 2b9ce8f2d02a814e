"""Apple's GPUs (MPS) know no float64, and no GPU takes tensors of the CPU: a device is pretended.

`There` is a tensor that lies on the CPU and says that it lies on "mps". What comes of it lies there, too,
until `.cpu()`, `.to("cpu")` or `.tolist()` bring it home. A float64 there is refused, and so is a tensor from
here beside it."""

import pytest
import torch
from PIL import Image
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_iter, tree_map

from rabit.data.layouts import open_dataset
from rabit.data.style_data import StyleDataset
from rabit.inputs.samples import SceneDataset, worlds
from rabit.networks.features import VGG19
from rabit.networks.translate import Translator, rabit
from rabit.training.evaluate import auc, evaluate
from rabit.training.metrics import frechet_distance

MPS, CPU, T = torch.device("mps"), torch.device("cpu"), torch.Tensor
MIXED = (T.__getitem__, T.__setitem__, T.to, T.copy_, T.cpu)  # may see tensors of both sides


class There(torch.Tensor):
    "A tensor of the pretended device"


def is_mps(x):
    return isinstance(x, torch.device) and x.type == "mps" or isinstance(x, str) and x == "mps"


class Pretend(TorchFunctionMode):
    "Tensors are made on the device and moved there and back"
    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func == T.device.__get__: return MPS if isinstance(args[0], There) else CPU
        made = any(is_mps(x) for x in (*args, *kwargs.values()))
        home = func is T.cpu or func is T.to and not made and any(
            x in ("cpu", CPU) for x in (*args[1:], *kwargs.values()) if isinstance(x, (str, torch.device)))
        given = [x for x in tree_iter((args, kwargs)) if isinstance(x, T)]
        there = any(isinstance(x, There) for x in given)
        if there and func not in MIXED:
            odd = [x for x in given if not isinstance(x, There) and x.ndim]
            if odd: raise RuntimeError(f"{func} got tensors of cpu and of mps")
        args, kwargs = tree_map(lambda x: CPU if is_mps(x) else x, (args, kwargs))
        found = func(*args, **kwargs)
        if home: return found.as_subclass(T)
        if made: found = tree_map(lambda x: x.as_subclass(There) if isinstance(x, T) else x, found)
        if any(isinstance(x, There) and x.dtype == torch.float64 for x in tree_iter(found)):
            raise TypeError(f"{func} would make a float64, which MPS does not have")
        return found


def moved(net):
    "A network whose tensors lie there"
    for part in net.modules():
        for tensors in (part._parameters, part._buffers):
            for name, x in tensors.items():
                if x is not None: tensors[name] = x.detach().as_subclass(There)
    return net


def test_the_pretence_refuses_what_the_device_would():
    with Pretend():
        x = torch.arange(3., device="mps")
        assert isinstance(x + 1, There) and x.device == MPS and (x + 1).cpu().device == CPU
        assert isinstance(torch.ones(2).to(MPS), There) and not isinstance(x.to("cpu"), There)
        with pytest.raises(TypeError, match="float64"): x.double()
        with pytest.raises(RuntimeError, match="of cpu and of mps"): x + torch.ones(3)
        net = moved(torch.nn.Linear(2, 2))
        assert net.weight.device == MPS and net(torch.ones(1, 2, device="mps")).device == MPS


@pytest.mark.parametrize("name", ["street", "face", "figure"])
def test_evaluate_computes_there_what_it_computes_here(name):
    assert name in worlds()
    data = SceneDataset(name, seed=1, size=(24, 24))
    model = Translator.from_pretrained(f"{name}-64")
    vgg = VGG19(2)
    here = evaluate(model, data, 2, progress=False, network=vgg)
    with Pretend(): there = evaluate(moved(model), data, 2, device="mps", progress=False, network=moved(vgg))
    assert here.keys() == there.keys() and here["model"].keys() == there["model"].keys()
    for row in here:
        for metric in ("epe", "pck", "l1", "ssim", "swd", "frechet", "semantic", "style"):
            assert there[row][metric] == pytest.approx(here[row][metric], rel=1e-4, abs=1e-6), (row, metric)


def test_styles_are_rendered_there():
    here = StyleDataset(seed=1, size=(16, 16)).batch([0, 1])
    with Pretend(): there = StyleDataset(seed=1, size=(16, 16)).batch([0, 1], "mps")
    assert all(isinstance(x, There) and torch.equal(x.as_subclass(T), here[k]) for k, x in there.items())


def test_folders_are_read_and_measured_there(tmp_path):
    for name in "ab":
        for folder, mode in (("images", "RGB"), ("labels", "L")):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.new(mode, (32, 32), 1).save(tmp_path / folder / f"{name}.png")
    data = open_dataset(str(tmp_path), "labels", 3, (16, 16), self_pair_prob=1.)
    model = rabit(3, size=(16, 16), width=4, features=8).eval()
    with Pretend(): found = evaluate(moved(model), data, 2, device="mps", progress=False, baselines=False)
    assert 0 <= found["model"]["pck"] <= 1 and found["model"]["l1"] > 0


def test_metrics_take_their_float64_home():
    a, b = torch.rand(6, 4), torch.rand(6, 4)
    with Pretend():
        x, y = a.to("mps"), b.to("mps")
        assert frechet_distance(x, y) == frechet_distance(a, b)
        assert auc(x, y > .5) == auc(a, b > .5)


def test_files_are_translated_there():
    model = rabit(3, size=(16, 16), width=4, features=8)
    labels, image = torch.zeros(20, 24, dtype=torch.long), torch.rand(1, 3, 30, 40) * 2 - 1
    with Pretend(): assert moved(model).translate(labels, image).size == (24, 20)
