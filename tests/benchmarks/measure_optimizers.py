"""What the bounds of an optimizer do to a comparison: the best of random configs under each, at equal budgets.

    python tests/benchmarks/measure_optimizers.py digits_ae --seeds 5 --configs 16 --epochs 15
    python tests/benchmarks/measure_optimizers.py cifar_ae --network mnist_ae --train-size 2000

The network is the space's default, or that of another space (`--network`) for this one's images. Learning rate,
momentum and L2 are drawn at random: from the ranges of the space's family (`now`), and from those that all families
shared before (`before`), which had one range of rates for every momentum. A seed draws its own configs, on the same
quantiles of both. Printed are the best errors under SGD and Adam of each seed, and the ratio of the two.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if __package__ in (None, ""):
    sys.path[0] = str(ROOT)

import optuna  # noqa: E402
import torch  # noqa: E402

import search_spaces  # noqa: E402
from search_spaces._ask import AskTrial  # noqa: E402
from search_spaces._optimizers import CROSS_ENTROPY, PIXEL_ERROR, PIXEL_NATS, TrainingRanges, optimization  # noqa: E402
from study.data import image_data  # noqa: E402
from study.record.metrics import mode  # noqa: E402
from study.search.sampling import derive_seed  # noqa: E402
from study.training.execution import prepare_process  # noqa: E402
from study.training.trainer import NonFiniteLossError, Trainer  # noqa: E402

SGD_BEFORE, ADAM_BEFORE, L2_BEFORE = (1e-3, 1.0), (1e-4, 1e-2), (1e-7, 1e-2)
NOW = {"ae": PIXEL_ERROR, "vae": PIXEL_NATS, "classifier": CROSS_ENTROPY}
COMPARED = ("sgd", "adam")


def draw(default: Mapping[str, Any], optimizer: str, ranges: TrainingRanges | None, seed: int) -> dict[str, Any]:
    """Return the default with an optimizer's settings drawn from the ranges; None for those of before."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed))
    study.enqueue_trial({"optimizer": optimizer})
    ask = AskTrial(study.ask())
    ask.fix(**{key: value for key, value in default.items() if key not in ("optimizer", "lr", "weight_decay")})
    if ranges is not None:
        optimization(ask, ranges)
        return ask.config
    if ask.choice("optimizer", COMPARED) == "sgd":
        ask.number("momentum", (0.0, 0.99))
    ask.number("lr", SGD_BEFORE if optimizer == "sgd" else ADAM_BEFORE, log=True)
    ask.unless("weight_decay", 0.0, L2_BEFORE, flag="l2")
    return ask.config


def last_value(trainer: Trainer, epochs: int, metric: str) -> float:
    """Train, and return the metric after the last epoch; NaN if the loss is not finite."""
    value = math.nan
    try:
        for _ in range(epochs):
            value = trainer.epoch()[metric]
    except NonFiniteLossError:
        return math.nan
    return value


def main() -> None:
    """Print a row per seed, and the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--configs", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--train-size", type=int)
    parser.add_argument("--val-size", type=int)
    parser.add_argument("--network", help="a space whose default is trained in place of the space's own")
    options = parser.parse_args()

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    prepare_process(1)
    space = search_spaces.get(options.space)
    default = search_spaces.get(options.network or options.space).default
    images = image_data.load(
        space.dataset, image_data.default_data_dir(), train_size=options.train_size, val_size=options.val_size
    )
    data = {
        name: (torch.from_numpy(split.images), torch.from_numpy(split.labels))
        for name, split in {"train": images.train, "val": images.val}.items()
    }
    lower_is_better = mode(space.metric) == "min"
    arms: dict[str, TrainingRanges | None] = {"before": None, "now": NOW[space.family]}
    print(f"{options.space}, {default['architecture']}, {len(images.train):,} images, {options.epochs} epochs")
    print(f"best {space.metric} ({len(images.val):,} images) of {options.configs} configs")
    ratios: dict[str, list[float]] = {name: [] for name in arms}
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        words = []
        for name, ranges in arms.items():
            best = {}
            for optimizer in COMPARED:
                seeds = [derive_seed(seed, number) for number in range(options.configs)]
                configs = [draw(default, optimizer, ranges, one) for one in seeds]
                trainers = (
                    Trainer(config, data, num_classes=images.num_classes, epochs=options.epochs, seed=one)
                    for config, one in zip(configs, seeds, strict=True)
                )
                values = [last_value(trainer, options.epochs, space.metric) for trainer in trainers]
                ranked = sorted(value for value in values if not math.isnan(value))
                best[optimizer] = ranked[0 if lower_is_better else -1]
            ratios[name].append(best["sgd"] / best["adam"])
            words.append(f"{name} sgd {best['sgd']:.5g} adam {best['adam']:.5g} ratio {ratios[name][-1]:.3f}")
        print(f"seed {seed}: " + "; ".join(words), flush=True)
    for name, found in ratios.items():
        print(f"{name}: sgd over adam {median(found):.3f} ({min(found):.3f} … {max(found):.3f}), n = {len(found)}")


if __name__ == "__main__":
    main()
