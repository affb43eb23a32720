"""The end of a study in MLflow: its files, its pictures and its best network as artifacts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

import models
from study.record import tables
from study.record.folder import StudyFolder
from study.record.metrics import on_test
from study.record.state import StudyState
from study.tracking.mlflow_tracker import Tracker

_FILES = (tables.SUMMARY, tables.ABOUT, *(table.file for table in tables.TABLES))


def end_metrics(summary: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a summary that the study's own MLflow run shows in its table."""
    best = summary["best"]
    if best is None:
        return {}
    metrics = {f"best_{summary['metric']}": best["val"][summary["metric"]]["mean"]}
    if best["test"]:
        metrics[f"best_{on_test(summary['metric'])}"] = best["test"]["mean"]
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
    assert state.about is not None
    assert summary is not None
    tracker.log_files(parent, {folder.path / name: "" for name in _FILES if (folder.path / name).is_file()})
    best = summary["best"]
    if best is None:
        return
    model = models.load(folder.best)
    about = state.about.data
    channels, height, width = about["image_shape"]
    with torch.inference_mode():
        output = model(torch.zeros(1, channels, height, width)).shape[1:]
    tracker.log_model(parent, model, (channels, height, width), tuple(output))
    files = dict.fromkeys(folder.samples.glob("*.png"), "pictures") if folder.samples.is_dir() else {}
    for run_id in {parent, state.tracked.get(best["trial_id"], parent)}:
        tracker.log_files(run_id, files)
    # A colleague who has MLflow and no files makes the same report from these.
    tracker.log_files(parent, dict.fromkeys(folder.samples.glob("*.npz"), "samples") if files else {})
