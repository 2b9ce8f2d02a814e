# Generated from nbs/6_tools/65_style.ipynb by .ci/export_tests.py: edit the notebook, not this file.
# ruff: noqa: E501 (lines of cells, indented)
import torch
from rabit.core.devices import seed_all
from rabit.core.tensors import RabitError
from rabit.core.tensors import sample_at
from rabit.core.tensors import to_pil
from rabit.data.style_data import StyleDataset
from rabit.networks.translate import rabit
from rabit.tools.style import color_transfer
from rabit.tools.style import style_table
from rabit.tools.style import transfer
from types import SimpleNamespace


def test_color_transfer_gives_the_exemplar_s_moments_whatever_its_size():
    g = torch.Generator().manual_seed(0)
    x = .4 * torch.rand(2, 3, 9, 11, generator=g) - .9
    z = .6 * torch.rand(2, 3, 20, 5, generator=g) - .2
    y = color_transfer(x, z)
    torch.testing.assert_close(y.mean((2, 3)), z.mean((2, 3)))
    torch.testing.assert_close(y.std((2, 3), unbiased=False), z.std((2, 3), unbiased=False))
    torch.testing.assert_close(color_transfer(x, x), x)
    flat = torch.zeros(1, 3, 4, 4)
    # nothing to spread
    assert color_transfer(flat, z[:1]).isfinite().all() and color_transfer(flat, z[:1]).var((2, 3)).max() < 1e-6
    try: color_transfer(x, z[:1])
    except RabitError as e: assert "2 contents and 1 exemplars" in str(e)
    else: assert False


def test_the_table_knows_the_answer_and_ranks_what_needs_no_learning():
    class Oracle(torch.nn.Module):
        "Not a translator: it has looked at the answers"
        device = torch.device("cpu")
        def __init__(self, dataset, start):
            super().__init__()
            self.dataset = dataset
            self.at = start
        def forward(self, condition, exemplar, exemplar_condition):
            r = self.dataset.batch(range(self.at, self.at + len(condition)))
            self.at += len(condition)
            class Found:
                key_size = exemplar.shape[-2:]
                def argmax(self, size): return r["position"]
            return SimpleNamespace(image=r["image"], warped=sample_at(exemplar, r["position"]),
                                   confidence=torch.ones_like(condition[:, :1]), match=Found())
    dataset = StyleDataset(seed=1, size=(32, 32))
    rows = style_table(dict(oracle=Oracle(dataset, 100)), dataset, 12, 4, 100, progress=False)
    assert list(rows) == ["content unchanged", "color statistics", "random pixels", "oracle"]
    assert rows["oracle"]["l1"] < 1e-6 and rows["oracle"]["pck"] == 1 and rows["random pixels"]["pck"] < .1
    assert (rows["random pixels"]["ssim"] < rows["content unchanged"]["ssim"]
            and "pck" not in rows["color statistics"])


def test_transfer_is_translate_for_weights_that_take_photographs_of_any_size_and_refuses_others():
    seed_all(0)
    model = rabit(3, (32, 32), width=4, features=8, condition="image", position="none")
    content, style = (to_pil(StyleDataset(size=size).batch([0])["condition"]) for size in ((24, 40), (50, 30)))
    made = transfer(model, content, style)
    assert made.size == (40, 24) and made.tobytes() == model.translate(content, style).tobytes()
    assert made.tobytes() == model.translate(content, style, style).tobytes()
    assert transfer(model, content, style, (16, 24)).size == (40, 24)
    try: transfer(rabit(7, (32, 32), width=4, features=8), content, style)
    except RabitError as e: assert "a condition of labels, not a photograph" in str(e)
    else: assert False
