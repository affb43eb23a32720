"""What a person sees while a study runs: one live panel on a terminal, plain lines elsewhere, both in 80 columns."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from study.record import constraints
from study.record.events import EpochEnded, Event, Kind, Noted, Refused, Remade, RunEnded, TrackingChanged, TriedAgain
from study.record.metrics import split_of
from study.record.ranking import best_trials
from study.record.settings import Settings
from study.record.state import Run, StudyState
from study.record.terminal import wrapped
from study.record.words import DIGITS, clock, duration, number
from study.search.budget import SEEDS

_SHOWN_RUNS = 8  # running ones, one line each
_WIDTH = 80  # columns of a row
_COLUMNS = {"time": 7, "run": 9, "status": 9, "epochs": 6, "value": 9, "PCA": 9, "ended": 6}
_REPORTED = 20  # columns of a run's name, which is its configuration's where these are reported ones
_LEFT = ("run", "status")  # columns whose words begin at their left; numbers end at their right
_STYLES = {"failed": "red", "stopped": "yellow"}


class Display:
    """Shows a study's state; a context manager that leaves the terminal as it found it.

    Args:
        settings: The study's settings.
        state: The study's state, which the recorder keeps up to date.
        metric: The objective, such as "val_mse".
        console: Where to; the standard output by default.
    """

    def __init__(self, settings: Settings, state: StudyState, metric: str, console: Console | None = None) -> None:
        self._settings, self._state = settings, state
        self._metric = metric
        self._constraints = constraints.of_texts(settings.constraints)
        self.console = console or Console(highlight=False, soft_wrap=True)
        self.confirmations = 0
        """The confirmation runs that are still to come after this phase, at most."""
        self._phase = ""
        self._jobs = 0  # confirmation runs of this phase, known when it begins
        self._ended_before = 0  # those that had ended before it
        self._best: str | None = None  # the best trial, once one has ended under this driver
        self._epochs = 0  # seen by this driver
        self._start = time.monotonic()
        self._opened = self._start - state.wall_s  # as if earlier drivers had gone on until now
        self._searched_before = state.search_wall_s
        self._spinner = Spinner("dots")
        self.pca: Callable[[Run], float | None] | None = None
        """PCA's error beside a run's, None for one without; as a whole None where the objective is no such error."""
        self._live = Live(console=self.console, get_renderable=self._panel, refresh_per_second=4, transient=True)

    def __enter__(self) -> Display:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:
            self._live.stop()

    def say(self, line: str | Text) -> None:
        """Print a line, above the live panel where there is one."""
        self.console.print(Text(line) if isinstance(line, str) else line)

    def begin(self, phase: str, jobs: int = 0) -> None:
        """Name what goes on now: "data", "search", "choosing", "confirmation" and so on.

        Args:
            phase: Its name.
            jobs: How many confirmation runs it has.
        """
        self._phase, self._jobs = phase, jobs
        self.confirmations = max(0, self.confirmations - jobs)
        self._ended_before = self._state.ended("confirm") if jobs else 0
        self._start, self._epochs = time.monotonic(), 0
        if not self.console.is_terminal:
            self.say(f"[{phase}]")
        if jobs or phase == "search":
            heads = {name: name for name in _COLUMNS} | {"value": split_of(self._metric)[1][: _COLUMNS["value"]]}
            self.say(Text(self._row(heads, "network"), "bold"))

    def __call__(self, event: Event) -> None:
        """Take notice of an event of the study."""
        match event:
            case EpochEnded():
                self._epochs += 1
            case RunEnded():
                run = self._state.runs[event.id]
                self.say(self._ended(run))
                if run.status == "failed":
                    self.say(Text(f"{'':<9}{run.reason}", _STYLES["failed"]))
            case Noted():
                self.say(f"{event.id:<9} {event.text}")
            case Remade(id=run_id) if run_id in self._state.runs:
                self.say(f"{run_id:<9} has its network again")
            case TriedAgain():
                self.say(f"{event.id:<9} is tried again")
            case TrackingChanged():
                away = f"cannot be written ({event.problem}); the journal keeps what it misses"
                self.say(wrapped(f"tracking  {away if event.problem else 'is written again'}", 10))
            case Refused():
                self.say(Text(f"refused   {event.config['architecture']}: {event.reason}", "dim"))

    def _ended(self, run: Run) -> Text:
        """Return a run's row; a new best is marked by colour and, for who sees none, by a star."""
        kind = run.kind
        value, pca = run.last.get(self._metric), self._beside(run)
        is_best = kind == "trial" and self._is_best(run)
        total = {"trial": self._settings.trials, "confirm": self._jobs, "spread": SEEDS - 1}[kind]
        ended = self._state.ended(kind) - (self._ended_before if kind == "confirm" else 0)
        cells = {
            "time": clock(time.monotonic() - self._opened),
            "run": run.id,
            "status": run.status,
            "epochs": f"{len(run.epochs)}/{run.budget}",
            "value": "–" if value is None else number(value, DIGITS),
            "PCA": "" if pca is None else number(pca, DIGITS),
            "ended": f"{ended}/{total}",
        }
        style = "bold green" if is_best else _STYLES.get(run.status, "")
        beyond = constraints.unmet(self._constraints, run.facts) if run.status != "failed" else []
        mark = "* " if is_best else f"not {constraints.said(beyond)}: " if beyond else ""
        return Text(self._row(cells, mark + describe(run)), style)

    def _beside(self, run: Run) -> float | None:
        return None if self.pca is None else self.pca(run)

    def _is_best(self, run: Run) -> bool:
        """Return whether a trial that has just ended is the best one."""
        among = None if self._best is None else [self._state.runs[self._best], run]
        best = best_trials(self._state, self._metric, among)
        self._best = best[0].id if best else None
        return self._best == run.id

    def _row(self, cells: dict[str, str], network: str) -> str:
        """Return cells in columns of a fixed width, and as much of the network's description as has room."""
        widths = _COLUMNS | ({"run": _REPORTED} if self._settings.reported else {})
        if self.pca is None:
            del widths["PCA"]
        words = (
            cells[name].ljust(width) if name in _LEFT else cells[name].rjust(width) for name, width in widths.items()
        )
        said = " ".join(words)
        room = max(1, _WIDTH - len(said) - 1)
        return f"{said} {network if len(network) <= room else network[: room - 1] + '…'}".rstrip()

    def _panel(self) -> RenderableType:
        elapsed = f"{clock(time.monotonic() - self._opened)} elapsed"
        if not self._jobs and self._phase != "search":
            self._spinner.update(text=Text(f"{self._settings.name}  {self._phase} …  {elapsed}"))
            return self._spinner
        kind: Kind = "confirm" if self._jobs else "trial"
        counts = self._state.count(kind)
        total = self._jobs or self._settings.trials
        done = self._state.ended(kind) - self._ended_before
        head = Table.grid(padding=(0, 2))
        head.add_row(
            Text(self._settings.name, "bold", overflow="ellipsis", no_wrap=True),
            Text(self._phase),
            ProgressBar(total=max(total, 1), completed=min(done, total), width=20),
            Text(f"{done}/{total}"),
            Text(elapsed),
        )
        progress = [f"{counts[status]} {status}" for status in ("running", "completed", "stopped", "failed")]
        if self._state.refused:
            progress.append(f"{len(self._state.refused)} refused")
        running = time.monotonic() - self._start
        if running > 1:
            progress.append(f"{self._epochs / running:.2f} epochs/s")
        if left := self._time_left(done, total, running):
            progress.append(left)
        runs = [run for run in self._state.all_runs if run.status == "running"]
        # Lines of their own: a line that is longer than the terminal is wide is cut off.
        return Group(head, Text("  ".join(progress)), Text(self._to_beat()), _running(runs, self._metric))

    def _to_beat(self) -> str:
        among = None if self._best is None else [self._state.runs[self._best]]
        best = best_trials(self._state, self._metric, among)
        if not best:
            return ""
        pca = self._beside(best[0])
        beside = f"  PCA to beat {number(pca, DIGITS)}" if pca is not None else ""
        return f"best {self._metric} {number(best[0].last[self._metric], DIGITS)} ({best[0].id}){beside}"

    def _time_left(self, done: int, total: int, elapsed: float) -> str:
        """Return how long this phase and those after it still take, "" where no epoch has told it yet."""
        if not self._epochs or not total:
            return ""
        # Epochs of the ended trials tell how many the others will need; before the first end, all of them.
        ended = [len(run.epochs) for run in self._state.all_runs if run.status != "running"]
        expected = sum(ended) / len(ended) if ended and not self._jobs else self._settings.epochs
        running = sum(len(run.epochs) for run in self._state.all_runs if run.status == "running")
        seconds_an_epoch = elapsed / self._epochs
        seconds = max(0.0, (total - done) * expected - running) * seconds_an_epoch
        if self._phase == "search" and self._settings.time_budget_s:
            seconds = min(seconds, max(0.0, self._settings.time_budget_s - self._searched_before - elapsed))
        after = self.confirmations * self._settings.epochs * seconds_an_epoch
        return f"{duration(seconds + after)} left"


def describe(run: Run) -> str:
    """Say in a few words which network a run trains."""
    config: dict[str, Any] = run.config
    words = [config["architecture"]]
    if "latent_size" in config:
        words.append(f"z={config['latent_size']}")
    words += [f"{run.params:,} params", f"{config['optimizer']} {config['lr']:.2g}"]
    return " ".join(words)


def _running(runs: list[Run], metric: str) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for _ in range(4):
        table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    for run in runs[-_SHOWN_RUNS:]:
        value = run.last.get(metric)
        bar = ProgressBar(total=run.budget, completed=len(run.epochs), width=12)
        shown = number(value, DIGITS) if value is not None else ""
        table.add_row(run.id, bar, f"{len(run.epochs)}/{run.budget}", shown, describe(run))
    return table
