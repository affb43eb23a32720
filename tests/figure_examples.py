"""Made-up studies for the figures, with chosen numbers, as the record wrote and analysis reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from recorded_studies import OBJECTIVES, MadeUpRun, made_up_seeds, made_up_trial, write_study

from analysis.page.pictures import MODULES, drawings
from analysis.study_files import StudyFiles, read_study
from study.record.events import Metrics

FIGURES = {drawing.name: drawing for drawing in drawings(MODULES)}
"""Every figure of a report."""


def study(
    storage: Path,
    trials: list[MadeUpRun],
    *,
    family: str = "ae",
    confirm: list[MadeUpRun] | None = None,
    pca: dict[int, float] | None = None,
    nats: dict[int, float] | None = None,
    objectives: list[str] | None = None,
    epochs: int = 8,
    clipped: bool = True,
) -> StudyFiles:
    """Return a study of these runs; `pca` is PCA's error by number of components, on every split.

    It is that of clipped reconstructions, half of the other one; without `clipped`, as a study of an earlier version
    has it, it is the other one, and there is none of clipped ones. `nats` are those of probabilistic PCA on validation
    images by number of components; on test images there are 10 more.

    Where the folder is there already, such as with samples, the study is another one beside it with the same samples.
    """
    settings = {"epochs": epochs, "scheduler": "asha", "objectives": objectives or [OBJECTIVES[family][0]]}
    data = {"image_shape": [1, 8, 8], "class_names": [str(digit) for digit in range(10)]}
    baseline = [{"n_components": k, "val_mse": error, "test_mse": error} for k, error in (pca or {}).items()]
    if clipped:
        baseline = [{**row, "val_mse_clipped": row["val_mse"], "test_mse_clipped": row["test_mse"]} for row in baseline]
        baseline = [{**row, "val_mse": 2 * row["val_mse"], "test_mse": 2 * row["test_mse"]} for row in baseline]
    baseline += [
        {"n_components": k, "val_nelbo_clipped": value, "test_nelbo_clipped": value + 10}
        for k, value in (nats or {}).items()
    ]
    name = f"study{len(list(storage.glob('study*')))}"
    runs = [*trials, *(confirm or [])]
    folder = write_study(storage, name, runs, space=f"digits_{family}", settings=settings, data=data, baseline=baseline)
    if (storage / "samples").is_dir():
        (folder / "samples").symlink_to(storage / "samples")
    return read_study(name, storage)


def trial(number: int, value: float | None, *, status: str = "completed", epochs: int = 8, **more: Any) -> MadeUpRun:
    """Return a trial of an autoencoder with this objective after every epoch.

    Args:
        number: The trial's.
        value: The objective, None where it is unknown.
        status: How it ended.
        epochs: How many it had.
        **more: Settings of its config; `metric`, an objective other than the MSE; `curve`, its values by epoch;
            `params`.
    """
    metric = more.pop("metric", "val_mse")
    curve = more.pop("curve", [value] * epochs)
    params = more.pop("params", 1000)
    config = {"family": "ae", "architecture": "dense", "latent_size": 8, **more}
    measured: list[Metrics] = [{} if one is None else {metric: one} for one in curve]
    return made_up_trial(number, status=status, config=config, epochs=measured, params=params, seconds=2.0)


def seeds(name: str, val: list[float], test: list[float], metric: str = "mse", **config: Any) -> list[MadeUpRun]:
    """Return the confirmation runs of one config, seed by seed."""
    config = {"architecture": "dense", "latent_size": 8, **config}
    return made_up_seeds(name, {f"val_{metric}": val, f"test_{metric}": test}, config=config)


def search(storage: Path, family: str, count: int = 20, seed: int = 0) -> StudyFiles:
    """Return a search in which trials failed, were stopped, or have no value, with conditional parameters."""
    generator = np.random.default_rng(seed)
    metric, _ = OBJECTIVES[family]
    names = {
        "ae": ("mse",),
        "vae": ("nelbo", "reconstruction", "kl", "mse"),
        "classifier": ("accuracy", "cross_entropy"),
    }
    trials = []
    for number in range(count):
        status = "failed" if number % 7 == 3 else "stopped" if number % 2 else "completed"
        optimizer = str(generator.choice(["adam", "sgd"]))
        config = {
            "family": family,
            "architecture": str(generator.choice(["dense", "conv"])),
            "latent_size": int(generator.integers(2, 30)),
            "optimizer": optimizer,
            "lr": float(10 ** generator.uniform(-4, -2)),
            **({"momentum": float(generator.uniform())} if optimizer == "sgd" else {}),
            "weight_decay": float(generator.choice([0.0, 10 ** generator.uniform(-6, -2)])),
            "batch_norm": bool(generator.integers(2)),
        }
        measured = [
            {
                f"{split}_{name}": float(generator.uniform(0.01, 0.9))
                for split in ("train", "val")
                for name in names[family]
            }
            for _ in range({"failed": 0, "stopped": 1, "completed": 4}[status])
        ]
        trials.append(made_up_trial(number, status=status, config=config, epochs=measured))
    trials[0].epochs[-1][metric] = float("nan")  # completed, and its objective was not a number
    return study(storage, trials, family=family, epochs=4)
