"""The rows of a simulation as CSV, in full precision: every measure with the ends of its 95 % interval."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from study.simulation.grid import Row
from study.simulation.over_orders import Spread
from study.simulation.over_studies import Mean
from study.simulation.recorded import RecordedStudy

_MEANS = ("times_none", "reached", "found", "worst_found", "cost_of_none")


def format_csv(study: RecordedStudy, rows: Sequence[Row]) -> str:
    """Return a line per row; a time that is never reached is `inf`, an interval of too few orders empty."""
    return _lines(
        [{"study": study.name, "metric": study.metric, "trials": len(study.trials)} | _fields(row) for row in rows]
    )


def format_means(means: Sequence[Mean]) -> str:
    """Return a line per mean; an empty grace period or reduction factor is the project's default."""
    return _lines([
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
    ])  # fmt: skip


def _lines(table: Sequence[dict[str, Any]]) -> str:
    """Return rows of the same columns as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue()


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
