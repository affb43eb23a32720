"""What an ablation is about: a finished study, its default and its confirmed winner, and what that may cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from search_spaces import Between
from study.driver import repeating
from study.driver.ablation_path import Asked, changed
from study.driver.estimate import RUN, START
from study.driver.repeating import Source
from study.driver.reproductions import Machine
from study.record import folder as folders
from study.record import journal
from study.record.ablation import flattery_sentence
from study.record.errors import UsageError
from study.record.folder import StudyFolder
from study.record.settings import Settings
from study.record.state import StudyState
from study.record.terminal import table, wrapped
from study.record.words import duration
from study.settings.resolve import default_address, space_context, space_of


@dataclass(frozen=True)
class Subject:
    """A finished study, and what of it an ablation is about.

    Attributes:
        source: The study.
        settings: What its runs are trained with here.
        default, winner: Ids of the two configs.
        between: The two, and what the space has between them.
    """

    source: Source
    settings: Settings
    default: str
    winner: str
    between: Between

    @property
    def seconds(self) -> tuple[float, float]:
        """The mean seconds of a recorded run of the one of the two that took less, and of the other one."""
        runs = self.source.state.confirmations
        ended = [run for run in runs if run.status == "completed"]
        means = [fmean(run.seconds for run in ended if run.confirm_of == name) for name in (self.default, self.winner)]
        return min(means), max(means)


def opened(name: str, storage: Path, given: Mapping[str, Any], *, trust: bool) -> Subject:
    """Return a study as an ablation finds it; no image is read.

    Args:
        name: The study's.
        storage: The folder that it lies in.
        given: Settings of the machine, and where the images lie, by their fields.
        trust: Whether code that lies in the study's folder may be run.

    Raises:
        UsageError: there is no such study, or nothing between a default and a winner that was confirmed.
        StudyError: its journal is damaged.
    """
    folder = folders.existing(storage, name, option="NAME")
    state = journal.read_state(folder.journal)
    default, winner = _ends(folder, state)
    trusted = folders.is_trusted(folder, state.place)
    source = Source(name, folder, state, trusted)
    repeating.use_code(source, trust=trust)
    recorded = state.settings
    settings = replace(
        repeating.settings_of(source, {**given, "storage": str(storage)}),
        scheduler="none",  # every run has all of its epochs
        address=given.get("address") or default_address() or (recorded.get("address") if trusted else None),
        max_concurrent=given.get("max_concurrent", recorded.get("max_concurrent")),
    )
    assert state.about is not None
    about = state.about.data
    encoder = None
    if settings.encoder_from is not None:
        from study.training import checkpoint

        encoder = checkpoint.load_encoder(storage, settings.encoder_from, tuple(about["image_shape"]), trust=trust).keys
    space = space_of(settings)
    context = space_context(settings, tuple(about["image_shape"]), len(about["class_names"]), encoder)
    configs = {run.confirm_of: run.config for run in state.confirmations}
    try:
        first, last = (space.point(one, configs[one], context) for one in (default, winner))
    except ValueError as error:
        raise UsageError(f"{name} cannot be ablated by this version: {error}") from None
    return Subject(source, settings, default, winner, Between(space, context, first, last))


def _ends(folder: StudyFolder, state: StudyState) -> tuple[str, str]:
    """Return the ids of the default and the winner of a study, both of which its confirmation reported on."""
    name, summary = folder.name, state.summary
    if state.settings.get("reported"):
        raise UsageError(f"{name} ran reported configurations: without a search there is no winner over a default")
    if summary is None:
        raise UsageError(f"{name} is not finished; {folder.resume_command()} goes on with it")
    best = summary["best"]
    if best is None or best["test"] is None:
        raise UsageError(
            f"{name} has no confirmed winner; a study with --confirm has one, unless it keeps no constraint"
        )
    if summary["confirmed"][0]["key"] == "default":
        raise UsageError(f"the winner of {name} is the default itself: nothing lies between them")
    if summary["default"] is None:
        raise UsageError(f"the default of {name} was not confirmed: there is nothing to begin at")
    return summary["default"]["trial_id"], best["trial_id"]


def plan_text(subject: Subject, asked: Asked) -> str:
    """Return what differs, how many runs the ablation has and how long they may take here, in lines of 80 columns."""
    between, settings = subject.between, subject.settings
    moves = between.moves(())
    alone = {name: changed(between.first.config, config) for name, config in moves.items()}
    found = [(name, alone.get(name, "only with others")) for name in between.parameters]
    choosing, reporting = asked.runs_at_most(len(between.parameters))
    runs = min(choosing + reporting, asked.most_runs or choosing + reporting)
    machine = Machine.here(settings.cpus_per_trial, settings.gpus_per_trial, settings.max_concurrent)
    at_once = min(runs, machine.concurrent)
    low, high = (
        start + runs * (seconds + besides) / at_once
        for start, seconds, besides in zip(START, subject.seconds, RUN, strict=True)
    )
    limit = "" if asked.most_runs is None else f", of which --most-runs {asked.most_runs} leaves {runs}"
    said = (
        f"{asked.path}: at most {choosing} runs choose the steps and {reporting} others, on seeds of their own, report "
        f"on them{limit}. An estimate: {duration(low)} to {duration(high)} on {machine.name}, {machine.concurrent} at "
        "a time, if each takes as long as the recorded runs of the default or of the winner; configs between them may "
        "take longer."
    )
    return "\n".join([table([("parameter", "from the default alone"), *found], cut=1), wrapped(said)])


def flattered(subject: Subject) -> list[str]:
    """Return by how much the search's value of the winner flattered it, a sentence where both sides are recorded."""
    state, metric = subject.source.state, subject.between.space.metric
    trial = state.runs.get(subject.winner)
    fresh = {
        run.seed: run.last[metric]
        for run in state.confirmations
        if (run.confirm_of, run.role, run.status) == (subject.winner, "report", "completed") and metric in run.last
    }
    if trial is None or trial.status != "completed" or metric not in trial.last or not fresh:
        return []
    return [flattery_sentence(metric, subject.winner, trial.last[metric], fresh)]
