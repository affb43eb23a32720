"""One driver's session with an ablation, whose runs have a journal of their own in the study's folder."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from ray.tune.search import Searcher

from study import interrupt
from study.cluster import ray_watch
from study.driver import inputs, own_space, repeating
from study.driver.ablating import Subject
from study.driver.ablation_path import Asked, Wanted, walk
from study.driver.ablation_runs import AblationRuns
from study.driver.context import Setup
from study.driver.display import Display
from study.driver.session import Session
from study.interrupt import Interrupted
from study.record import disk, files, journal, metrics, tables
from study.record import folder as folders
from study.record.ablation import COLUMNS, FILE, Step, rows
from study.record.commands import say_progress
from study.record.errors import StudyError
from study.record.events import Event, RunEnded, SessionStarted, StudyStarted, TriedAgain
from study.record.journal import Journal, Recorder
from study.record.state import StudyState
from study.record.tables import Row
from study.record.terminal import wrapped


def run(
    subject: Subject, asked: Asked, words: Sequence[str], time_budget: float | None, *, trust: bool
) -> tuple[list[Row], list[str]]:
    """Train what is left of an ablation, write ablation.csv, and return its rows and what there is to say besides.

    Args:
        subject: The study.
        asked: What the user asks for.
        words: The options by which the same command goes on.
        time_budget: Seconds from now after which no further step is chosen; None without a limit.
        trust: Whether the study of `--encoder-from` may have code of its own that is run.

    Raises:
        UsageError: the images are not those of the study, or another command ablates it.
        StudyError: every run failed.
    """
    ends = None if time_budget is None else time.monotonic() + time_budget
    study = subject.source.folder
    folder = replace(study.ablation, words=tuple(words))
    folder.path.mkdir(exist_ok=True)
    with folders.locked(folder):
        settings, about = subject.settings, subject.source.state.about
        assert about is not None
        data = inputs.load(settings)
        encoder = inputs.encoder_of(settings, data, trust=trust)
        repeating.check_same("the images", about.data, data.digest)
        repeating.check_same("the encoder", about.encoder, encoder.digest if encoder else None)
        with inputs.joined(settings, data, encoder) as resources:
            from study.cluster import shared_storage

            if settings.space_file:
                own_space.keep(folder)
            cluster = settings.address not in (None, "local")
            with shared_storage.verified(folder.path, cluster=cluster) as probe_file:
                setup = Setup(settings, folder, data, resources, encoder, probe_file)
                found, notes = _trained(setup, subject, asked, ends)
    said = rows(found, subject.between.space.metric)
    files.write_csv(study.path / FILE, said, COLUMNS)
    return said, notes


def _trained(setup: Setup, subject: Subject, asked: Asked, ends: float | None) -> tuple[list[Step], list[str]]:
    """Return the steps of the path, everything trained, and what there is to say of it."""
    from study.driver.environment import environment

    folder, settings = setup.folder, setup.settings
    written = Journal(folder.journal)
    try:
        before = journal.read(folder.journal)
        recorder = Recorder(written, journal.fold(folder.journal, before) if before else StudyState())
        about = subject.source.state.about
        assert about is not None
        here = environment()
        first: Event = SessionStarted({}, setup.resources.gpu_json, environment=here)
        if begun := recorder.state.about:
            then, now = begun.environment.get("git_commit"), here["git_commit"]
            if then != now:
                say_progress(wrapped(f"study: the code has changed since the ablation began ({then} to {now})", 4))
        if not before:
            objective, gpu = about.objective, setup.resources.gpu_json
            first = StudyStarted(
                settings.written(), objective, data=about.data, environment=here, gpu=gpu, own=about.own
            )
        recorder.record(first)
        for failed in [one for one in recorder.state.confirmations if one.status == "failed" and one.by_machine]:
            recorder.record(TriedAgain(failed.id))
        display = Display(settings, recorder.state, subject.between.space.metric)
        with display, disk.explained(folder.path):
            recorder.listen(display)
            session = AblationSession(setup, recorder, display, subject, asked, ends=ends)
            with ray_watch.watching(folder.resume_command()):
                steps = session.ablate()
            tables.write(folder, recorder.state)
            return steps, session.notes
    except Exception as error:
        if interrupt.seen():  # out of Ray's core it comes as another error
            raise Interrupted from error
        raise
    finally:
        written.close()


class AblationSession(Session):
    """An ablation in progress, in a joined Ray: a session whose phases are the steps of its path.

    Args:
        setup: What the driver has at hand; the folder is the ablation's.
        recorder: Its journal and state.
        display: What the user sees.
        subject: The study.
        asked: What the user asks for.
        ends: When the time for choosing steps is over, by `time.monotonic`; None without a limit.

    Attributes:
        notes: What there is to say of the path besides its steps.
    """

    def __init__(
        self, setup: Setup, recorder: Recorder, display: Display, subject: Subject, asked: Asked, *, ends: float | None
    ) -> None:
        super().__init__(setup, recorder, display)
        self._between = replace(subject.between, allowed=self._could_be_drawn)
        ids = (subject.default, subject.winner)
        self._runs = AblationRuns(recorder.state, setup.settings, self._between, ids, asked.seeds)
        self._asked, self._ends, self._pace = asked, ends, fmean(subject.seconds)
        self._steps: list[Step] = []
        self._ended, self._began = 0, time.monotonic()
        recorder.listen(self._count)
        self.notes: list[str] = []

    def ablate(self) -> list[Step]:
        """Train what is left of the path and return its steps.

        Raises:
            StudyError: no run that reports completed.
        """
        self._tune(self._phases())
        if not any(step.after.sample.values for step in self._steps):
            reason = next((run.reason for run in self._state.confirmations if run.status == "failed"), None)
            raise StudyError(f"every run that reports failed; the first one: {reason}")
        return self._steps

    def _phases(self) -> Iterator[Searcher]:
        mode = metrics.mode(self._space.metric)
        path = walk(
            self._between, self._asked, self._runs.measured, mode, has_time=self._has_time, note=self.notes.append
        )
        try:
            while True:
                wanted = next(path)
                yield from self._training(wanted.phase, self._runs.planned(wanted.configs, wanted.role))
        except StopIteration as end:
            self._steps = end.value

    def _could_be_drawn(self, config: Mapping[str, Any]) -> bool:
        """Return whether the study would have trained a config, by its size and the constraints."""
        reason = self._limits.refusal(config, self._context, self._runs.params(config))
        return (reason or self._without_ratio(dict(config))) is None

    def _count(self, event: Event) -> None:
        self._ended += isinstance(event, RunEnded)

    def _has_time(self, wanted: Wanted, reports: int) -> bool:
        """Return whether there is time for the runs of a step and so many configs to report on, at the pace so far."""
        if self._ends is None:
            return True
        now = time.monotonic()
        pace = (now - self._began) / self._ended if self._ended else self._pace / self._resources.concurrent
        return now + self._runs.left(wanted.configs, reports) * pace <= self._ends
