"""What a person sees while a study runs: one live panel on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from study.record.events import EpochEnded, Event, Kind, Noted, Refused, Remade, RunEnded, TrackingChanged, TriedAgain
from study.record.ranking import best_trials
from study.record.settings import Settings
from study.record.state import Run, StudyState

_SHOWN_RUNS = 8  # running ones, one line each


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
        self.console = console or Console(highlight=False, soft_wrap=True)
        self._phase = ""
        self._jobs = 0  # confirmation runs of this phase, known when it begins
        self._ended_before = 0  # those that had ended before it
        self._epochs = 0  # seen by this driver
        self._start = time.monotonic()
        self.pca: Callable[[Run], float | None] = lambda run: None
        self._live = Live(console=self.console, get_renderable=self._panel, refresh_per_second=2, transient=True)

    def __enter__(self) -> Display:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:
            self._live.stop()

    def say(self, line: str) -> None:
        """Print a line, above the live panel where there is one."""
        self.console.print(Text(line))

    def begin(self, phase: str, jobs: int = 0) -> None:
        """Name what goes on now: "data", "search", "choosing", "confirmation" and so on.

        Args:
            phase: Its name.
            jobs: How many confirmation runs it has.
        """
        self._phase, self._jobs = phase, jobs
        self._ended_before = self._ended_runs("confirm") if jobs else 0
        self._start, self._epochs = time.monotonic(), 0
        if not self.console.is_terminal:
            self.say(f"[{phase}]")

    def __call__(self, event: Event) -> None:
        """Take notice of an event of the study."""
        match event:
            case EpochEnded():
                self._epochs += 1
            case RunEnded():
                self.say(self._ended(self._state.runs[event.id]))
            case Noted():
                self.say(f"{event.id:<9} {event.text}")
            case Remade(id=run_id) if run_id in self._state.runs:
                self.say(f"{run_id:<9} has its network again")
            case TriedAgain():
                self.say(f"{event.id:<9} is tried again")
            case TrackingChanged():
                away = f"cannot be written ({event.problem}); the journal keeps what it misses"
                self.say(f"tracking  {away if event.problem else 'is written again'}")
            case Refused():
                self.say(f"refused   {event.config['architecture']}: {event.reason}")

    def _ended(self, run: Run) -> str:
        value = run.last.get(self._metric)
        parts = [
            f"{run.id:<9} {run.status:<9}",
            f"{len(run.epochs):>3}/{run.budget} epochs",
            f"{run.seconds:7.1f} s",
        ]
        parts.append(f"{self._metric} {value:.6f}" if value is not None else f"{self._metric} -")
        pca = self.pca(run)
        if pca is not None:
            parts.append(f"(PCA {pca:.6f})")
        parts.append(describe(run))
        if run.status == "failed":
            parts.append(f"- {run.reason}")
        elif run.kind == "trial":
            best = best_trials(self._state, self._metric)
            done = sum(other.status != "running" for other in self._state.trials)
            parts.append(f"[{done}/{self._settings.trials}, best {best[0].last[self._metric]:.6f}]" if best else "")
        return "  ".join(parts)

    def _panel(self) -> RenderableType:
        kind: Kind = "confirm" if self._jobs else "trial"
        counts = self._state.count(kind)
        total = self._jobs or self._settings.trials
        done = self._ended_runs(kind) - self._ended_before
        head = Table.grid(padding=(0, 2))
        head.add_row(
            Text(self._settings.name, "bold"),
            Text(self._phase),
            ProgressBar(total=max(total, 1), completed=min(done, total), width=30),
            Text(f"{done}/{total}"),
        )
        progress = [f"{counts[status]} {status}" for status in ("running", "completed", "stopped", "failed")]
        if self._state.refused:
            progress.append(f"{len(self._state.refused)} refused")
        elapsed = time.monotonic() - self._start
        if elapsed > 1:
            progress.append(f"{self._epochs / elapsed:.2f} epochs/s")
        if left := self._time_left(done, total, elapsed):
            progress.append(f"{left} left")
        runs = [run for run in list(self._state.runs.values()) if run.status == "running"]
        # Lines of their own: a line that is longer than the terminal is wide is cut off.
        return Group(head, Text("  ".join(progress)), Text(self._to_beat()), _running(runs, self._metric))

    def _ended_runs(self, kind: Kind) -> int:
        counts = self._state.count(kind)
        return sum(counts.values()) - counts["running"]

    def _to_beat(self) -> str:
        best = best_trials(self._state, self._metric)
        if not best:
            return ""
        pca = self.pca(best[0])
        beside = f"  PCA to beat {pca:.6f}" if pca is not None else ""
        return f"best {self._metric} {best[0].last[self._metric]:.6f} ({best[0].id}){beside}"

    def _time_left(self, done: int, total: int, elapsed: float) -> str:
        if not self._epochs or not total:
            return ""
        # Epochs of the ended trials tell how many the others will need; before the first end, all of them.
        ended = [len(run.epochs) for run in self._state.runs.values() if run.status != "running"]
        expected = sum(ended) / len(ended) if ended else self._settings.epochs
        running = sum(len(run.epochs) for run in self._state.runs.values() if run.status == "running")
        seconds = max(0.0, (total - done) * expected - running) / (self._epochs / elapsed)
        if self._phase == "search" and self._settings.time_budget_s:
            seconds = min(seconds, max(0.0, self._settings.time_budget_s - elapsed))
        return (
            f"{seconds / 3600:.1f} h"
            if seconds >= 5400
            else f"{seconds / 60:.0f} min"
            if seconds >= 90
            else f"{seconds:.0f} s"
        )


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
    for run in runs[-_SHOWN_RUNS:]:
        value = run.last.get(metric)
        bar = ProgressBar(total=run.budget, completed=len(run.epochs), width=16)
        shown = f"{metric} {value:.6f}" if value is not None else ""
        table.add_row(run.id, bar, f"{len(run.epochs)}/{run.budget}", shown, describe(run))
    return table
