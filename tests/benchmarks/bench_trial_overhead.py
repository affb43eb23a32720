"""What a trial costs beside its training: 64 trivial trials of 5 reports, 2 at a time, MLflow on sqlite.

    python tests/benchmarks/bench_trial_overhead.py [--runs 3] [--trials 64] [--only stock]

The stock peer is Ray's own way, put together from its examples optuna_example.py and mlflow_example.py: a
function trainable that calls `tune.report`, OptunaSearch (TPE), MLflowLoggerCallback, every other setting left as
it is, so no actor reuse and no early stopping. `max_concurrent_trials` is set because a searcher otherwise keeps
one trial pending, and artifacts are not copied: both in the peer's favour.

Timed from the start of the first trial to the end of the last one, so that neither `ray.init` nor the creation of
the sqlite schema counts; the wall time of all of `fit()` is given too.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _command
import _own_study
import _sides
from _lines import OURS, Line, lines_of

from study.record.events import EpochEnded

PACKAGES = ("ray", "optuna", "mlflow", "torch")
SIDES = ("stock", OURS)
LABELS = {"stock": "Ray's stock example"}
REPORTS = 5
CONCURRENT = 2


@dataclass(frozen=True)
class Outcome:
    """What one side reports of its run; times are `time.time()`, in seconds."""

    first_start: float
    last_end: float
    fit_seconds: float
    tracking_file: Path
    """The sqlite file that MLflow wrote: every trial must have its run there, with all its reports."""
    metric: str
    """The MLflow metric that each report logged once."""


def evaluate(step: int, width: float, height: float) -> float:
    """The objective of Ray's examples."""
    return (0.1 + width * step / 100) ** (-1) + height * 0.1


def run_stock(folder: Path, trials: int) -> Outcome:
    """Run the trials as Ray's examples do."""
    import ray
    from ray import tune
    from ray.air.integrations.mlflow import MLflowLoggerCallback
    from ray.tune.search.optuna import OptunaSearch

    class Clock(tune.Callback):
        """Stands after the MLflow callback, so that what this does at a trial's end is inside."""

        first_start = 0.0
        last_end = 0.0

        def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            self.first_start = self.first_start or time.time()

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            self.last_end = time.time()

    def objective(config: dict[str, float]) -> None:
        for step in range(REPORTS):
            tune.report({"iterations": step, "mean_loss": evaluate(step, config["width"], config["height"])})

    clock = Clock()
    tracking_file = folder / "mlflow.db"
    mlflow_logger = MLflowLoggerCallback(f"sqlite:///{tracking_file}", experiment_name="stock")
    ray.init(address="local", num_cpus=CONCURRENT)
    tuner = tune.Tuner(
        objective,
        param_space={"width": tune.uniform(0, 20), "height": tune.uniform(-100, 100)},
        tune_config=tune.TuneConfig(
            metric="mean_loss",
            mode="min",
            search_alg=OptunaSearch(),
            num_samples=trials,
            max_concurrent_trials=CONCURRENT,
        ),
        run_config=tune.RunConfig(name="stock", storage_path=str(folder / "results"), callbacks=[mlflow_logger, clock]),
    )
    started = time.perf_counter()
    tuner.fit()
    fit_seconds = time.perf_counter() - started
    ray.shutdown()
    return Outcome(clock.first_start, clock.last_end, fit_seconds, tracking_file, "mean_loss")


def run_ours(folder: Path, trials: int) -> Outcome:
    """Run as many trials of REPORTS epochs with this project: TPE, no early stopping, every report tracked.

    As with the peer, a trial starts when its worker is there; the last end is when MLflow has all of the last trial,
    which here is later than the trial's own end.
    """
    from study.record import journal

    tracking_file = folder / "mlflow.db"
    fit_seconds, path = _own_study.run_trivial(folder, tracking_file, trials, REPORTS, CONCURRENT)
    events = journal.read(path)
    first_start = min(event.time - event.metrics["seconds"] for event in events if isinstance(event, EpochEnded))
    last_end = max(event.time for event in events if event.name in ("end", "delivered"))
    return Outcome(first_start, last_end, fit_seconds, tracking_file, "val_mse")


def measure(side: str, trials: int) -> _sides.Run:
    """Run one side in the current folder and return its numbers, in seconds.

    Raises:
        RuntimeError: MLflow lacks a trial or a report, so the side did less than was timed.
    """
    import mlflow

    folder = Path.cwd()
    # Both sides find a database with its schema, which MLflow takes seconds to create, once.
    mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}").search_experiments()
    outcome = {"stock": run_stock, OURS: run_ours}[side](folder, trials)
    with sqlite3.connect(outcome.tracking_file) as database:
        counts = database.execute(
            "SELECT count(*) FROM metrics WHERE key = ? GROUP BY run_uuid", (outcome.metric,)
        ).fetchall()
    if counts != [(REPORTS,)] * trials:
        raise RuntimeError(f"MLflow holds {len(counts)} runs of {trials}, with {sorted(set(counts))} reports")
    return {
        "seconds_per_trial": (outcome.last_end - outcome.first_start) / trials,
        "fit_seconds_per_trial": outcome.fit_seconds / trials,
    }


def lines(options: argparse.Namespace) -> list[Line]:
    """Run both sides."""
    trials, runs = (4, 1) if options.quick else (options.trials, options.runs)
    sides = (options.only,) if options.only else SIDES
    results = _sides.interleave(__file__, sides, runs, ["--trials", str(trials)])
    what = f"{trials} trials × {REPORTS} reports, {CONCURRENT} at a time, MLflow on sqlite"
    return [
        *lines_of(what, "s a trial", "seconds_per_trial", results, labels=LABELS),
        *lines_of("the same, all of fit()", "s a trial", "fit_seconds_per_trial", results, labels=LABELS),
    ]


def main() -> None:
    """Run and print the benchmark."""
    parser = _command.parser(__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs of each side (default 3)")
    parser.add_argument("--trials", type=int, default=64, help="trials of a run (default 64)")
    parser.add_argument("--only", choices=SIDES, help="one side alone, without a ratio")
    parser.add_argument("--child", nargs=2, metavar=("SIDE", "RESULT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        side, result = options.child
        Path(result).write_text(json.dumps(measure(side, options.trials)))
    else:
        _command.run(options, PACKAGES, lambda: lines(options))


if __name__ == "__main__":
    main()
