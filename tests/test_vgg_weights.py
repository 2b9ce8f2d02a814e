"""Files of VGG19's weights go with every preset: they know their own width."""
import pytest, torch
from safetensors.torch import save_file

from rabit.core.tensors import RabitError
from rabit.networks.features import VGG19
from rabit.training.config import PRESETS, preset
from rabit.training.trainer import Trainer

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["tiny", "demo"])
def test_a_file_outweighs_the_width_of_the_preset(tmp_path, name):
    save_file(VGG19(width=2).state_dict(), tmp_path / "vgg.safetensors")
    trainer = Trainer(preset(name, vgg_weights=str(tmp_path / "vgg.safetensors")), CPU)
    assert PRESETS[name]["vgg_width"] == 4 and trainer.vgg.width == 2
    assert Trainer(preset(name), CPU).vgg.width == 4 and "RANDOM" not in trainer.vgg.note


def test_without_the_net_the_message_names_what_the_command_has(monkeypatch):
    def offline(*_, **__): raise OSError("no route")
    monkeypatch.setattr("torch.hub.load_state_dict_from_url", offline)
    for width in (None, 64):
        with pytest.raises(RabitError, match="give its path instead of 'download'"): VGG19(width, "download")
    with pytest.raises(RabitError, match="64 wide, but width=4"): VGG19(4, "download")
