"""Where the bounds of a space belong: the objective of a config at each value of one key, over seeds.

    python tests/benchmarks/measure_bounds.py digits_ae --key lr --values 0.1,1,10,100 --set optimizer=sgd momentum=0.9

The config is the space's default with what `--set` changes; one of its keys takes each value. What is
printed stands beside the bound in search_spaces/.
"""

from __future__ import annotations

import argparse
import ast
import math
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if __package__ in (None, ""):
    sys.path[0] = str(ROOT)


def read(text: str) -> Any:
    """Read a value of a config: a number, a switch or a word."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def main() -> None:
    """Print a row per value."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space")
    parser.add_argument("--key", required=True)
    parser.add_argument("--values", required=True)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--train-size", type=int)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", default="float32")
    options = parser.parse_args()

    import torch

    import search_spaces
    from study.data import image_data
    from study.training.execution import Execution, prepare_process
    from study.training.trainer import NonFiniteLossError, Trainer

    prepare_process(options.threads)
    space = search_spaces.get(options.space)
    images = image_data.load(space.dataset, image_data.default_data_dir(), train_size=options.train_size)
    data = {
        name: (torch.from_numpy(split.images), torch.from_numpy(split.labels))
        for name, split in {"train": images.train, "val": images.val}.items()
    }
    changed = {key: read(value) for key, _, value in (pair.partition("=") for pair in options.set)}
    base = {key: value for key, value in {**space.default, **changed}.items() if value is not None}
    about = f"{len(data['train'][1]):,} images, {options.seeds} seeds, {options.precision}"
    print(f"{options.space}, {options.epochs} epochs, {about}, {base}")
    for value in map(read, options.values.split(",")):
        found, start = [], time.perf_counter()
        for seed in range(options.seeds):
            trainer = Trainer(
                {**base, options.key: value},
                data,
                num_classes=images.num_classes,
                epochs=options.epochs,
                seed=seed,
                execution=Execution(options.precision),
            )
            try:
                for _ in range(options.epochs):
                    metrics = trainer.epoch()
                found.append(metrics[space.metric])
            except NonFiniteLossError:
                found.append(math.nan)
        known = sorted(one for one in found if not math.isnan(one))
        spread = f"{median(known):.5g} ({known[0]:.5g} … {known[-1]:.5g})" if known else "-"
        seconds = (time.perf_counter() - start) / options.seeds
        print(
            f"{options.key} {value:<8} {space.metric} {spread}  diverged {len(found) - len(known)}  {seconds:.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
