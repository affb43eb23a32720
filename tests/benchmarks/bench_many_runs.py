"""What one thing costs a driver whose study has had many trials: processor time of one process, without Ray.

    python tests/benchmarks/bench_many_runs.py [--trials 100,1000,10000]

A study of `digits_ae` is drawn at random and journalled, 12 epochs with the metrics of a real one for each trial, 512
trials at a time; nothing is trained. At each number of trials that have ended, what a driver does once is done some
times over and timed: an epoch and a trial's end as the searcher, the journal and the display take them, a trial asked
of each sampler, the tables written. Then MLflow, on sqlite: what is sent of a run. All is processor time of this
process, so other programs change it little.
"""

from __future__ import annotations

import argparse
import io
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import _command
import _machine
import numpy as np
from _lines import Line
from _many_actors import Reporter, first_epoch

PACKAGES = ("ray", "optuna", "mlflow", "torch")
SPACE = "digits_ae"
RUNNING = 512
EPOCHS = 12
SAMPLERS = ("random", "tpe")
BATCHES = (1, 4, 16)  # epochs of a run that MLflow is sent at once
_TIMES = 8  # that each thing is done


class Made:
    """A study that grows by trials whose results are made up; its searcher, journal and display are real.

    Args:
        folder: An empty one.
        running: How many trials go on at a time.
    """

    def __init__(self, folder: Path, running: int) -> None:
        from rich.console import Console

        import search_spaces
        from search_spaces import Context
        from study.cluster.resources import Limits
        from study.data import image_data
        from study.driver.display import Display
        from study.record.events import StudyStarted
        from study.record.folder import StudyFolder
        from study.record.journal import Journal, Recorder
        from study.record.state import StudyState
        from study.search.searcher import SearchPlan, StudySearcher
        from study.settings.command_line import parse
        from study.settings.resolve import settings_of

        space, data = search_spaces.get(SPACE), image_data.load("digits", image_data.default_data_dir())
        words = f"--space {SPACE} --name made --trials 1000000 --epochs {EPOCHS} --storage {folder}"
        self.settings = settings_of(parse(words.split()).given)
        self.folder = StudyFolder(folder / "made")
        self.folder.path.mkdir()
        self.recorder = Recorder(Journal(self.folder.journal), StudyState())
        self.recorder.record(StudyStarted(self.settings.to_json()))
        display = Display(self.settings, self.recorder.state, "val_mse", Console(file=io.StringIO()))
        display.begin("search")
        self.recorder.listen(display)
        self._plan = SearchPlan(
            space=space,
            context=Context(space.image_shape, 10),
            objectives=("val_mse",),
            sampler="tpe",  # whose storage it is
            seed=0,
            trials=10**6,
            epochs=EPOCHS,
            limits=Limits(10**9, 2**40),
        )
        self.searcher = StudySearcher(self._plan, self.recorder, self.folder.optuna_log, lambda: None)
        self._epoch, self._asked, self.ended = first_epoch(space, data), 0, 0
        self._running = [self.ask() for _ in range(running)]

    def ask(self, sampler: str = "random") -> tuple[str, Any]:
        """Let a trial begin, drawn by a sampler; return Tune's id of it, and its job."""
        from study.worker.job import job_of

        self.searcher._plan = replace(self._plan, sampler=sampler)
        self._asked += 1
        found = self.searcher.suggest(str(self._asked))
        assert isinstance(found, dict)
        return str(self._asked), job_of(found)

    def result(self, tune_id: str, reporter: Reporter) -> dict[str, Any]:
        """Take an epoch's result, and its journal's line, and return it as Tune has it."""
        from study.record.events import EpochEnded
        from study.worker.job import tune_result

        step = reporter.step()
        ((run_id, report),) = step.reports.items()
        self.recorder.record(EpochEnded(run_id, report.epoch, report.metrics))
        found = tune_result(step, ("val_mse",))
        if not report.done:
            self.searcher.on_trial_result(tune_id, found)
        return found

    def end(self, tune_id: str, run_id: str, last: dict[str, Any]) -> None:
        """Take in that a trial has ended."""
        from study.record.events import RunEnded

        self.searcher.on_trial_complete(tune_id, last)
        self.recorder.record(RunEnded(run_id, "completed", None, {}))
        self.ended += 1

    def one(self) -> tuple[list[float], float]:
        """Let a running trial go through all its epochs and another one begin; return the seconds of each epoch, and
        of its end.
        """
        tune_id, job = self._running.pop(0)
        reporter = Reporter(self._epoch, ("val_mse",))
        reporter.begin([job])
        times = [time.process_time()]
        for _ in range(job.epochs):
            last = self.result(tune_id, reporter)
            times.append(time.process_time())
        self.end(tune_id, job.id, last)
        ended = time.process_time() - times[-1]
        self._running.append(self.ask())
        return list(np.diff(times)), ended


def seconds_of(function: Callable[[], Any], times: int = _TIMES) -> tuple[float, ...]:
    """Return the processor seconds of each of some calls."""
    taken = []
    for _ in range(times):
        began = time.process_time()
        function()
        taken.append(time.process_time() - began)
    return tuple(taken)


def of_driver(made: Made, trials: int) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Let the study grow to so many ended trials, and yield what each thing costs then, in seconds."""
    from study.record import tables

    while made.ended < trials - _TIMES:
        made.one()
    epochs, ends = zip(*(made.one() for _ in range(_TIMES)), strict=True)
    yield "an epoch, journalled and reported to Optuna", tuple(np.mean(epochs, axis=1))
    yield "a trial's end, journalled, told to Optuna and shown", ends
    for sampler in SAMPLERS:
        yield f"a trial asked of {sampler}, its network counted", seconds_of(lambda name=sampler: made.ask(name))
    yield "the tables written", seconds_of(lambda: tables.write(made.folder, made.recorder.state), 2)


def of_mlflow(folder: Path, metrics: dict[str, float]) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Yield what MLflow on sqlite costs, in seconds."""
    from mlflow.entities import Metric, Param

    from study.tracking import mlflow_client

    client = mlflow_client.connect(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.create_experiment("made")
    runs: list[str] = []

    def begin() -> None:
        runs.append(client.create_run(experiment, tags={f"tag {n}": "word" for n in range(9)}).info.run_id)
        client.log_batch(runs[-1], params=[Param(f"param {n}", "1") for n in range(20)])

    yield "MLflow: a run begun, with 20 params", seconds_of(begin)
    step = 0
    for epochs in BATCHES:

        def send(epochs: int = epochs) -> None:
            nonlocal step
            step += epochs
            points = [Metric(key, value, 0, step + n) for n in range(epochs) for key, value in metrics.items()]
            client.log_batch(runs[step % len(runs)], metrics=points)

        what = f"MLflow: {epochs} {'epoch' if epochs == 1 else 'epochs'} of a run at once, {len(metrics)} metrics each"
        yield what, seconds_of(send)
    yield "MLflow: a run ended", seconds_of(lambda: client.set_terminated(runs.pop()))


def lines(options: argparse.Namespace) -> list[Line]:
    """Measure at each number of trials."""
    import search_spaces
    from study.data import image_data

    running, marks = (4, [20, 40]) if options.quick else (RUNNING, [int(word) for word in options.trials.split(",")])
    measured = []
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        load = (_machine.load(),)
        os.environ.setdefault("MLFLOW_TRACKING_URI", f"sqlite:///{scratch}/unused.db")
        made = Made(Path(scratch), running)
        for trials in marks:
            for what, seconds in of_driver(made, trials):
                values = tuple(1000 * value for value in seconds)
                which = f"{trials:,} trials ended, {running} go on: {what}"
                measured.append(Line(which, unit="ms of processor", values=values, loads=load))
        data = image_data.load("digits", image_data.default_data_dir())
        for what, seconds in of_mlflow(Path(scratch), first_epoch(search_spaces.get(SPACE), data)):
            values = tuple(1000 * value for value in seconds)
            measured.append(Line(what, unit="ms of processor", values=values, loads=load))
    return measured


def main() -> None:
    """Run and print the benchmark."""
    parser = _command.parser(__doc__)
    parser.add_argument("--trials", default="100,1000,10000", metavar="N,…", help="ended trials (default %(default)s)")
    options = parser.parse_args()
    _command.run(options, PACKAGES, lambda: lines(options))


if __name__ == "__main__":
    main()
