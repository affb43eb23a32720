"""Which trials and which confirmed configs are best: by validation data, and never by anything else."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from statistics import fmean
from typing import TypeVar

from study.record import constraints
from study.record.metrics import Mode, mode, sign
from study.record.state import Run, StudyState

T = TypeVar("T")

NOTHING_CHOSEN = (
    "no validation images, as in the report: nothing is chosen, the first configuration and its first seed stand for "
    "the study, and networks are of their last epoch"
)
"""What is said of a study that has nothing to choose by."""


def trial_key(status: str, epochs: int, value: float, number: int, of: Mode) -> tuple[bool, int, float, int]:
    """Return what trials are sorted by, the best first.

    A trial's value is that of its last epoch. Trials that had their whole budget come before those that were stopped,
    and of these the ones that got further, since values of other numbers of epochs do not compare. Ties go to the
    earlier trial.

    Args:
        status: "completed" or "stopped".
        epochs: how many of the last stage it had.
        value: of the objective.
        number: its place in the search.
        of: the objective's direction.
    """
    stopped = status != "completed"
    return stopped, -epochs if stopped else 0, sign(of) * value, number


def best_trials(state: StudyState, metric: str, among: Sequence[Run] | None = None) -> list[Run]:
    """Return the trials that can be ranked, best first.

    Failed and running ones are left out, and those that do not keep the study's constraints: they never win.

    Args:
        state: The study.
        metric: What they are ranked by.
        among: Some of the study's trials, instead of all.
    """
    ended = [run for run in keeping(state, among) if run.is_ranked and metric in run.last]
    return sorted(
        ended, key=lambda run: trial_key(run.status, len(run.epochs), run.last[metric], run.number, mode(metric))
    )


def keeping(state: StudyState, among: Sequence[Run] | None = None) -> Sequence[Run]:
    """Return the trials, or those `among` some, that keep every constraint of the study, by what is known so far."""
    trials = state.trials if among is None else among
    asked = constraints.of_settings(state.settings)
    return [run for run in trials if not constraints.unmet(asked, run.facts)] if asked else trials


def confirmed_order(seeds: Mapping[T, Sequence[float]], of: Mode, unmet: Collection[T] = ()) -> list[T]:
    """Return confirmed configs, the winner first: most completed seeds, then the best mean validation value.

    A config whose seeds partly failed is as good as its worst claim, so more seeds come first. Those that do not keep
    the study's constraints come last, and the first of them is no winner either.

    Args:
        seeds: the objective on validation data by completed seed, of each config; those without any are left out.
        of: the objective's direction.
        unmet: the configs that do not keep the constraints.
    """
    known = [config for config, values in seeds.items() if len(values)]
    return sorted(known, key=lambda config: (config in unmet, -len(seeds[config]), sign(of) * fmean(seeds[config])))


def on_front(points: Sequence[Sequence[float]]) -> list[bool]:
    """Return which of several points (n, objectives), smaller being better, no other one dominates.

    One dominates another if it is at least as good in every objective and better in one.
    """
    front: list[tuple[float, ...]] = []
    for mine in sorted(map(tuple, points)):  # none of them is dominated by a later one
        if not any(other != mine and all(a <= b for a, b in zip(other, mine, strict=True)) for other in front):
            front.append(mine)
    found = set(front)
    return [tuple(point) in found for point in points]


def pareto_front(state: StudyState, metrics: Iterable[str]) -> list[Run]:
    """Return the completed trials that no other one dominates, in the order of the first metric.

    Those that do not keep the study's constraints take no part.
    """
    names = list(metrics)

    def value(run: Run) -> tuple[float, ...]:
        return tuple(sign(mode(metric)) * run.known[metric] for metric in names)

    completed = [run for run in keeping(state) if run.status == "completed"]
    front = on_front([value(run) for run in completed])
    return sorted((run for run, kept in zip(completed, front, strict=True) if kept), key=value)
