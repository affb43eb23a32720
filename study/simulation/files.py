"""The rows of a simulation as CSV, in full precision: every measure with the ends of its 95 % interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from study.simulation.grid import Row
from study.simulation.over_orders import Spread
from study.simulation.over_studies import Mean
from study.simulation.recorded import RecordedStudy

_MEANS = ("times_none", "reached", "found", "worst_found", "cost_of_none")


def rows_of(study: RecordedStudy, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return a CSV row per row; a time that is never reached is infinite, an interval of too few orders None."""
    about = {"study": study.name, "metric": study.metric, "trials": len(study.trials)}
    return [about | _fields(row) for row in rows]


def rows_of_means(means: Sequence[Mean]) -> list[dict[str, Any]]:
    """Return a CSV row per mean; a grace period or reduction factor of None is the project's default."""
    return [
        {
            "scheduler": mean.candidate.scheduler,
            "grace_period": mean.candidate.grace,
            "reduction_factor": mean.candidate.reduction,
            "default": mean.candidate.is_default,
            "workers": mean.workers,
        }
        | {name: getattr(mean, name) for name in _MEANS}
        | {f"regret_percent_at_{budget}": regret for budget, regret in mean.regret_at.items()}
        | {"regret_percent": mean.regret}
        for mean in means
    ]


def _fields(row: Row) -> dict[str, Any]:
    summary = row.summary
    fields: dict[str, Any] = {
        "scheduler": row.candidate.scheduler,
        "grace_period": row.settings.grace_period,
        "reduction_factor": row.settings.reduction_factor,
        "default": row.candidate.is_default,
        "workers": row.workers,
        "orders": len(row.outcomes),
    }
    for limit in summary.seconds_within:
        fields |= _spread(f"seconds_within_{limit:g}", summary.seconds_within[limit])
        fields |= _spread(f"share_within_{limit:g}", summary.reached[limit])
        fields |= _spread(f"times_none_within_{limit:g}", summary.times_none[limit])
    for budget, spread in summary.regret_at.items():
        fields |= _spread(f"regret_percent_at_{budget}", spread)
    fields |= _spread("regret_percent", summary.regret)
    fields |= _spread("share_found_best", summary.found)
    for name in ("trial_seconds", "epochs", "wall_seconds", "cost_of_none"):
        fields |= _spread(name, getattr(summary, name))
    return fields


def _spread(name: str, spread: Spread) -> dict[str, float | None]:
    return {name: spread.middle, f"{name}_low": spread.low, f"{name}_high": spread.high}
