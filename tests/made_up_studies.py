"""Small storage folders for the audit and the comparison: studies of real data sets' sizes, with chosen numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import recorded_studies
from recorded_studies import MadeUpRun, made_up_seeds

import search_spaces
from study.record import files

WHOLE = {
    "cifar": {"train": 42_000, "val": 8_000, "test": 10_000},
    "fashion": {"train": 54_000, "val": 6_000, "test": 10_000},
    "mnist": {"train": 54_000, "val": 6_000, "test": 10_000},
    "flowers": {"train": 1_020, "val": 1_020, "test": 6_149},
}
CLASSES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]


def runs(key: str, *, epochs: int | None = None, params: int = 1_000, **metrics: list[float]) -> list[MadeUpRun]:
    """Return a confirmation run per value of the metrics, at the report's epochs unless others are named."""
    entry = search_spaces.reported()[key]
    *first, last = entry.epochs
    count = epochs or last
    first_stage = [{} for _ in range(min(count, sum(first)))]
    about = {"key": key, "params": params, "config": dict(entry.config), "pretraining": first_stage}
    return made_up_seeds(key.replace("/", "_"), metrics, epochs=count, first_seed=100, **about)


def write_study(
    storage: Path,
    name: str,
    confirmations: list[MadeUpRun],
    *,
    space: str = "cifar_ae",
    train_size: int | None = None,
    baseline: list[dict[str, Any]] | None = None,
    summary: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
    as_reported: bool = False,
    **about: Any,
) -> Path:
    """Write a study's folder; `data` replaces parts of study.json's data, `about` is of the study's beginning."""
    dataset = space.split("_", maxsplit=1)[0]
    sizes, notes = dict(WHOLE[dataset]), []
    if train_size is not None:
        whole, held_out = sizes["train"], sizes["val"]
        sizes["train"], sizes["val"] = train_size, train_size // 9
        notes = [f"A stratified {train_size} of {whole} training, {train_size // 9} of {held_out} validation images."]
    of_data = {
        "name": dataset,
        "digest": f"{dataset}-{sizes['train']}",
        "sizes": sizes,
        "split": "as always",
        "notes": notes,
        "image_shape": [3, 32, 32],
        "class_names": CLASSES,
    }
    return recorded_studies.write_study(
        storage,
        name,
        confirmations,
        space=space,
        settings={"data": dataset, "train_size": train_size, "as_reported": as_reported},
        data=of_data | (data or {}),
        baseline=baseline or [],
        summary=summary,
        **about,
    )


def write_pca(storage: Path, dataset: str, rows: list[dict[str, Any]]) -> None:
    """Write results/baselines/DATASET.csv as study/baseline.py does."""
    files.write_csv(storage / "baselines" / f"{dataset}.csv", rows)
