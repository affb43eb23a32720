"""Made-up studies for the figures: tables with chosen numbers, as a study writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.study_files import StudyFiles

OBJECTIVES = {"ae": ("val_mse", "min"), "vae": ("val_nelbo", "min"), "classifier": ("val_accuracy", "max")}
NO_CONFIRMATIONS = ["confirm_id", "confirm_of", "key", "seed", "status", "reason", "epochs", "seconds", "params"]
FIGURES = (
    "bounds",
    "class_accuracy",
    "code_map",
    "confirmation",
    "confusion",
    "cost",
    "effects",
    "importances",
    "kl",
    "learning_curves",
    "parallel_coordinates",
    "pareto",
    "rate_distortion",
    "stopping",
)


def study(
    folder: Path,
    trials: list[dict[str, Any]],
    *,
    family: str = "ae",
    history: list[dict[str, Any]] | None = None,
    confirm: list[dict[str, Any]] | None = None,
    confirm_history: list[dict[str, Any]] | None = None,
    pca: dict[int, float] | None = None,
    objectives: list[str] | None = None,
    epochs: int = 8,
) -> StudyFiles:
    """Return a study with these rows; `pca` is PCA's error by number of components, on every split."""
    metric, mode = OBJECTIVES[family]
    settings = {
        "space": f"digits_{family}",
        "epochs": epochs,
        "scheduler": "asha",
        "objectives": objectives or [metric],
    }
    data = {"image_shape": [1, 8, 8], "class_names": [str(digit) for digit in range(10)]}
    errors = pca or {}
    baseline = [{"n_components": k, "val_mse": e, "test_mse": e} for k, e in errors.items()]
    return StudyFiles(
        folder=folder,
        about={"settings": settings, "objective": {"metric": metric, "mode": mode}, "data": data},
        trials=pd.DataFrame(trials or [], columns=None if trials else ["trial_id", "number", "status", "epochs"]),
        history=pd.DataFrame(history or [], columns=None if history else ["trial_id", "epoch", "seconds"]),
        confirm=pd.DataFrame(confirm or [], columns=None if confirm else NO_CONFIRMATIONS),
        confirm_history=pd.DataFrame(
            confirm_history or [], columns=None if confirm_history else ["confirm_id", "epoch", "seconds"]
        ),
        baseline=pd.DataFrame(baseline, columns=None if baseline else ["n_components", "val_mse", "test_mse"]),
        summary=None,
    )


def trial(
    number: int, value: float | None, *, status: str = "completed", epochs: int = 8, **more: Any
) -> dict[str, Any]:
    """Return a row of trials.csv of an autoencoder; `more` are settings of its config, or a `metric` other than MSE."""
    metric = more.pop("metric", "val_mse")
    config = {"family": "ae", "architecture": "dense", "latent_size": 8, **more}
    return {
        "trial_id": f"t{number:04d}",
        "number": number,
        "status": status,
        "epochs": epochs,
        "seconds": 2.0 * epochs,
        "params": 1000.0,
        metric: value,
        **{f"config.{key}": setting for key, setting in config.items()},
    }


def seeds(name: str, val: list[float], test: list[float], metric: str = "mse", **config: Any) -> list[dict[str, Any]]:
    """Return the rows of confirm.csv of one config, seed by seed."""
    config = {"architecture": "dense", "latent_size": 8, **config}
    return [
        {
            "confirm_id": f"{name}-s{seed}",
            "confirm_of": name,
            "seed": seed,
            "status": "completed",
            f"val_{metric}": a,
            f"test_{metric}": b,
            **{f"config.{key}": setting for key, setting in config.items()},
        }
        for seed, (a, b) in enumerate(zip(val, test, strict=True), start=1)
    ]


def search(folder: Path, family: str, count: int = 20, seed: int = 0) -> StudyFiles:
    """Return a search in which trials failed, were stopped, or have no value, with conditional parameters."""
    generator = np.random.default_rng(seed)
    metric, _ = OBJECTIVES[family]
    names = {
        "ae": ("mse",),
        "vae": ("nelbo", "reconstruction", "kl", "mse"),
        "classifier": ("accuracy", "cross_entropy"),
    }
    trials, history = [], []
    for number in range(count):
        status = "failed" if number % 7 == 3 else "stopped" if number % 2 else "completed"
        epochs = {"failed": 0, "stopped": 1, "completed": 4}[status]
        optimizer = str(generator.choice(["adam", "sgd"]))
        row = trial(
            number,
            None,
            status=status,
            epochs=epochs,
            metric=metric,
            family=family,
            architecture=str(generator.choice(["dense", "conv"])),
            latent_size=int(generator.integers(2, 30)),
            optimizer=optimizer,
            lr=float(10 ** generator.uniform(-4, -2)),
            momentum=float(generator.uniform()) if optimizer == "sgd" else None,
            weight_decay=float(generator.choice([0.0, 10 ** generator.uniform(-6, -2)])),
            batch_norm=bool(generator.integers(2)),
        )
        for epoch in range(1, epochs + 1):
            values = {
                f"{split}_{name}": float(generator.uniform(0.01, 0.9))
                for split in ("train", "val")
                for name in names[family]
            }
            history.append({"trial_id": row["trial_id"], "epoch": epoch, "seconds": 1.0, **values})
        trials.append({**row, **(values if epochs else {})})
    trials[0][metric] = float("nan")  # completed, and its objective was not a number
    return study(folder, trials, family=family, history=history, epochs=4)
