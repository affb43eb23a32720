"""Small storage folders for the audit and the comparison: studies with chosen numbers, as study/ writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

import search_spaces

WHOLE = {
    "cifar": {"train": 42_000, "val": 8_000, "test": 10_000},
    "fashion": {"train": 54_000, "val": 6_000, "test": 10_000},
    "mnist": {"train": 54_000, "val": 6_000, "test": 10_000},
    "flowers": {"train": 1_020, "val": 1_020, "test": 6_149},
}
CLASSES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
NO_RUNS = ["confirm_id", "confirm_of", "key", "seed", "status", "epochs", "pretrain_epochs", "seconds", "params"]


def runs(key: str, *, epochs: int | None = None, params: int = 1_000, **metrics: list[float]) -> list[dict[str, Any]]:
    """Return a row of confirm.csv per value of the metrics, at the report's epochs unless others are named."""
    entry = search_spaces.reported()[key]
    *first, last = entry.epochs
    name = key.replace("/", "_")
    count = len(next(iter(metrics.values())))
    return [
        {
            "confirm_id": f"{name}-s{number}",
            "confirm_of": name,
            "key": key,
            "seed": 100 + number,
            "status": "completed",
            "reason": None,
            "epochs": epochs or last,
            "pretrain_epochs": min(epochs or last, sum(first)),
            "seconds": 10.0,
            "params": params,
            **{f"config.{setting}": value for setting, value in entry.config.items()},
            **{metric: values[number] for metric, values in metrics.items()},
        }
        for number in range(count)
    ]


def write_study(
    storage: Path,
    name: str,
    rows: list[dict[str, Any]],
    *,
    space: str = "cifar_ae",
    train_size: int | None = None,
    baseline: list[dict[str, Any]] | None = None,
    epochs: dict[tuple[str, int], dict[str, float]] | None = None,
    summary: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
) -> Path:
    """Write a study's folder; `epochs` are metrics by run and epoch, `data` replaces parts of study.json's data."""
    dataset = space.split("_", maxsplit=1)[0]
    folder = storage / name
    folder.mkdir(parents=True)
    sizes, notes = dict(WHOLE[dataset]), []
    if train_size is not None:
        whole, held_out = sizes["train"], sizes["val"]
        sizes["train"], sizes["val"] = train_size, train_size // 9
        notes = [f"A stratified {train_size} of {whole} training, {train_size // 9} of {held_out} validation images."]
    about = {
        "settings": {"space": space, "data": dataset, "train_size": train_size},
        "objective": {"metric": "val_mse", "mode": "min"},
        "data": {
            "name": dataset,
            "digest": f"{dataset}-{sizes['train']}",
            "sizes": sizes,
            "split": "as always",
            "notes": notes,
            "image_shape": [3, 32, 32],
            "class_names": CLASSES,
        }
        | (data or {}),
    }
    (folder / "study.json").write_text(json.dumps(about))
    (folder / "journal.jsonl").touch()
    if epochs:
        history = [
            {"confirm_id": run, "epoch": epoch, "seconds": 1, **metrics} for (run, epoch), metrics in epochs.items()
        ]
        pd.DataFrame(history).to_csv(folder / "confirm_history.csv", index=False)
    (folder / "trials.csv").write_text("trial_id,number,status\n")
    (folder / "history.csv").write_text("trial_id,epoch,seconds\n")
    (pd.DataFrame(rows) if rows else pd.DataFrame(columns=NO_RUNS)).to_csv(folder / "confirm.csv", index=False)
    pca = pd.DataFrame(baseline) if baseline else pd.DataFrame(columns=["n_components", "test_mse"])
    pca.to_csv(folder / "baseline.csv", index=False)
    if summary is not None:
        (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def write_pca(storage: Path, dataset: str, rows: list[dict[str, Any]]) -> None:
    """Write results/baselines/DATASET.csv as study/baseline.py does."""
    (storage / "baselines").mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(storage / "baselines" / f"{dataset}.csv", index=False)
