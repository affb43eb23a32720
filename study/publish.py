"""The end of a study in MLflow: its files, its pictures and its best network as artifacts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

import models
from study.records.folder import StudyFolder
from study.records.state import StudyState
from study.records.tracking import Tracker

_FILES = (
    "summary.json",
    "study.json",
    "trials.csv",
    "history.csv",
    "confirm.csv",
    "confirm_history.csv",
    "baseline.csv",
    "pretraining.csv",
)


def end_metrics(summary: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a summary that the study's own MLflow run shows in its table."""
    best = summary["best"]
    if best is None:
        return {}
    metrics = {f"best_{summary['metric']}": best["val"][summary["metric"]]["mean"]}
    if best["test"]:
        metrics[f"best_{summary['metric'].replace('val_', 'test_', 1)}"] = best["test"]["mean"]
    if summary["baseline"]:
        metrics["pca_test_mse"] = summary["baseline"]["test_mse"]
    if summary["ratio_to_pca"] is not None:
        metrics["ratio_to_pca"] = summary["ratio_to_pca"]
    return metrics


def publish(tracker: Tracker, folder: StudyFolder, state: StudyState) -> None:
    """Store a finished study's artifacts: tables and pictures with its parent run, the network as a model of it.

    Raises:
        Exception: whatever MLflow raises when its server or its artifact store is away; nothing is then marked.
    """
    parent = tracker.study_run
    summary = state.summary
    assert parent is not None
    assert summary is not None
    tracker.log_files(parent, {folder.path / name: "" for name in _FILES if (folder.path / name).is_file()})
    best = summary["best"]
    if best is None:
        return
    model = models.load(folder.best)
    about = state.about["data"]
    channels, height, width = about["image_shape"]
    with torch.inference_mode():
        output = model(torch.zeros(1, channels, height, width)).shape[1:]
    tracker.log_model(parent, model, (channels, height, width), tuple(output))
    files = dict.fromkeys(folder.samples.glob("*.png"), "pictures") if folder.samples.is_dir() else {}
    for run_id in {parent, state.tracked.get(best["trial_id"], parent)}:
        tracker.log_files(run_id, files)
    # A colleague who has MLflow and no files makes the same report from these.
    tracker.log_files(parent, dict.fromkeys(folder.samples.glob("*.npz"), "samples") if files else {})
