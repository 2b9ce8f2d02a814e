#!/usr/bin/env python3
"""Why: README opens with an image of what the shipped model does: data/images/teaser.png, made here.

`python .ci/make_teaser.py` (seconds). Six street scenes that the shipped model has not seen (seed 1; it was
trained on seed 0), each with the condition, the exemplar, the model's output and the ground truth.
`--checkpoint` names another model, `--out` another file."""
import argparse, sys
from pathlib import Path
import torch
from rabit.core.tensors import one_hot
from rabit.networks.translate import Translator
from rabit.matching.street import street_pairs
from rabit.core.figures import save_grid

ROOT = Path(__file__).resolve().parent.parent
SCENES = [16, 9, 28, 35, 4, 37]


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", default="street-128", help="shipped name or folder")
    parser.add_argument("--out", type=Path, default=ROOT / "data/images/teaser.png", help="PNG to write")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    model = Translator.from_pretrained(args.checkpoint)
    scenes = street_pairs(SCENES, seed=1, size=tuple(model.config["size"]))
    with torch.no_grad():
        found = model(one_hot(scenes["labels"], model.config["classes"]), scenes["exemplar"])
    rows = {"condition": scenes["labels"], "exemplar": scenes["exemplar"], "output": found.image,
            "ground_truth": scenes["image"]}
    path = save_grid([list(x) for x in rows.values()], args.out, row_titles=list(rows), scale=1.03)
    print(f"wrote {path} ({path.stat().st_size / 1e3:.0f} kB)")


if __name__ == "__main__": sys.exit(main())
