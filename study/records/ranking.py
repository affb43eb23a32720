"""Which trials are best: on validation data, and never on anything else."""

from __future__ import annotations

from study.records.state import Run, StudyState


def best_trials(state: StudyState, metric: str, mode: str) -> list[Run]:
    """Return the trials that can be ranked, best first.

    A trial's value is that of its last epoch. Trials that had their whole budget come before those that were stopped,
    whose values are of other numbers of epochs; failed and running ones are left out. Ties go to the earlier trial.
    """
    sign = 1 if mode == "min" else -1
    ended = [run for run in state.trials if run.status in ("completed", "stopped") and metric in run.last]
    return sorted(
        ended,
        key=lambda run: (run.status != "completed", _short_of(run), sign * run.last[metric], run.number),
    )


def pareto_front(state: StudyState, objectives: dict[str, str]) -> list[Run]:
    """Return the completed trials that no other one beats in every objective, in the order of the first one.

    Args:
        state: The study.
        objectives: Metric -> "min" or "max".
    """
    completed = [run for run in state.trials if run.status == "completed"]

    def values(run: Run) -> tuple[float, ...]:
        known = run.last | {"params": run.params}
        return tuple(known[metric] * (1 if mode == "min" else -1) for metric, mode in objectives.items())

    points = {run.id: values(run) for run in completed}

    def dominated(run: Run) -> bool:
        mine = points[run.id]
        return any(other != mine and all(a <= b for a, b in zip(other, mine, strict=True)) for other in points.values())

    return sorted((run for run in completed if not dominated(run)), key=lambda run: points[run.id])


def _short_of(run: Run) -> int:
    return run.budget - len(run.epochs)
