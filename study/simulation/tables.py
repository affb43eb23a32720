"""What a simulation found, to read and as CSV: a table per study, its ranking, and the means over studies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf, isinf
from typing import Any

from rich.table import Table
from rich.text import Text

from study.search.schedulers import SchedulerSettings
from study.simulation.grid import Cell, Ranking, StudyMean, Variant, rank_cells, time_and_cost
from study.simulation.measures import Spread
from study.simulation.recorded import RecordedStudy

NOTE = """\
Medians over orders, with 95 % intervals in brackets; * is the default. A value counts when its trial has had its whole
budget. within: the share of orders that ever come so close; found: in which the best trial is not stopped (at least: in
any study). Regret: per cent from the best final value, after {budgets} % of the time that no scheduler takes, and at
the end. cost: trial-seconds over those of none. Told apart from the soonest is what it leads in more orders than the
soonest of as many equal ones leads any of them, in 95 % of shuffles."""

_MEANS = ("times_none", "reached", "found", "worst_found", "cost_of_none")
_SOONEST = 4  # means that are shown besides the defaults


def study_table(cells: Sequence[Cell], within: Sequence[float], *, everything: bool) -> Table:
    """Return the table of the cells of one study, the soonest first.

    Args:
        cells: Of any numbers of workers.
        within: Distances that were timed, in per cent; the last one ranks.
        everything: All settings, instead of each scheduler's default and its soonest others.
    """
    budgets = cells[0].summary.regret_at
    headings = [
        "workers", "scheduler", *(f"s within {limit:g} %" for limit in within), "of none's", "within", "found",
        *(f"regret at {budget} %" for budget in budgets), "at the end", "cost", "epochs",
    ]  # fmt: skip
    lines = []
    for workers in dict.fromkeys(cell.workers for cell in cells):
        mine = [cell for cell in cells if cell.workers == workers]
        shown = mine if everything else _telling(mine, within[-1])
        for cell in sorted(shown, key=lambda cell: time_and_cost(cell, within[-1])):
            result = cell.summary
            lines.append([
                str(workers), label(cell.variant, cell.settings),
                *(_interval(result.seconds_within[limit], _seconds) for limit in within),
                _ratio(result.times_none[within[-1]].middle), f"{result.reached[within[-1]].middle:.0%}",
                _interval(result.found, lambda share: f"{share:.0%}"),
                *(_per_cent(result.regret_at[budget].middle) for budget in budgets), _per_cent(result.regret.middle),
                _ratio(result.cost_of_none.middle), f"{result.epochs.middle:,.0f}",
            ])  # fmt: skip
    return _table(headings, lines)


def mean_table(means: Sequence[StudyMean], limit: float, *, everything: bool) -> Table:
    """Return the table of means over studies, for each number of workers the soonest first.

    Args:
        means: Of any numbers of workers.
        limit: The distance that was timed, in per cent.
        everything: All settings, instead of the defaults and the few that are soonest.
    """
    headings = ["workers", "scheduler", f"time to {limit:g} %, of none's", "within", "found", "at least"]
    headings += [*(f"regret at {budget} %" for budget in means[0].regret_at), "at the end", "cost"]
    lines = []
    for workers in dict.fromkeys(mean.workers for mean in means):
        mine = [mean for mean in means if mean.workers == workers]
        ranked = sorted(mine, key=lambda mean: (mean.times_none, mean.cost_of_none))
        shown = [mean for at, mean in enumerate(ranked) if everything or at < _SOONEST or mean.variant.is_default]
        lines += [_mean_cells(mean) for mean in shown]
    return _table(headings, lines)


def ranking_lines(cells: Sequence[Cell], limit: float) -> list[str]:
    """Return, for each number of workers, which cell is soonest within `limit` per cent, how surely, at what cost."""
    counts = dict.fromkeys(cell.workers for cell in cells)
    ranked = [rank_cells([cell for cell in cells if cell.workers == count], limit) for count in counts]
    return [_ranking_text(ranking, limit) for ranking in ranked]


def label(variant: Variant, settings: SchedulerSettings | None = None) -> str:
    """Return a variant's name, with its settings in a study where there is one study."""
    name = variant.scheduler + ("*" if variant.is_default and variant.scheduler != "none" else "")
    grace = settings.grace_period if settings else variant.grace
    reduction = settings.reduction_factor if settings else variant.reduction
    parts = [f"grace {grace}"] * (grace is not None) + [f"1 in {reduction}"] * (reduction is not None)
    return f"{name} ({', '.join(parts)})" if parts else name


def _table(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> Table:
    """Return cells in columns, the second one to the left, numbers to the right."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for at, heading in enumerate(headings):
        table.add_column(heading, justify="left" if at == 1 else "right", no_wrap=True)
    for line in lines:
        table.add_row(*(Text(cell) for cell in line))  # brackets are no markup
    return table


def _mean_cells(mean: StudyMean) -> list[str]:
    shares = (mean.reached, mean.found, mean.worst_found)
    texts = [f"{share:.0%}" for share in shares]
    start = [str(mean.workers), label(mean.variant), _ratio(mean.times_none)]
    regrets = [*mean.regret_at.values(), mean.regret]
    return [*start, *texts, *(_per_cent(regret) for regret in regrets), _ratio(mean.cost_of_none)]


def _telling(cells: Sequence[Cell], limit: float) -> list[Cell]:
    """Return each scheduler's default, and of its other settings the soonest and the soonest of the surest."""
    shown = []
    for scheduler in dict.fromkeys(cell.variant.scheduler for cell in cells):
        mine = [cell for cell in cells if cell.variant.scheduler == scheduler]
        soonest = min(mine, key=lambda cell: time_and_cost(cell, limit))
        surest = min(
            mine, key=lambda cell: (-cell.summary.reached[limit].middle, cell.summary.seconds_within[limit].middle)
        )
        shown += [cell for cell in mine if cell.variant.is_default or cell in (soonest, surest)]
    return shown


def _ranking_text(ranking: Ranking, limit: float) -> str:
    def told(cell: Cell) -> str:
        result = cell.summary
        return (
            f"{label(cell.variant, cell.settings)}: {_seconds(result.seconds_within[limit].middle)} s, "
            f"{_ratio(result.times_none[limit].middle)} of none's, "
            f"in {result.reached[limit].middle:.0%} of the orders, at {_ratio(result.cost_of_none.middle)} of its cost"
        )

    soonest = ranking.soonest
    text = f"{soonest.workers} worker{'s' * (soonest.workers > 1)}, soonest within {limit:g} %: {told(soonest)}"
    if ranking.level:
        names = ", ".join(label(cell.variant, cell.settings) for cell in ranking.level)
        text += f"\n    not told apart from it: {names}"
    if ranking.surest is not soonest:
        text += f"\n    soonest of those that get there in every order: {told(ranking.surest)}"
    return text


def _interval(spread: Spread, show: Callable[[float], str]) -> str:
    if spread.low is None or spread.high is None or spread.low == spread.high:
        return show(spread.middle)
    return f"{show(spread.middle)} [{show(spread.low)} … {show(spread.high)}]"


def _seconds(value: float) -> str:
    return "never" if isinf(value) else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _ratio(value: float) -> str:
    return "never" if value == inf else f"{value:.2f}"


def _per_cent(value: float) -> str:
    return "none yet" if isinf(value) else f"{value:.2f}"


def csv_rows(study: RecordedStudy, cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Return a CSV row per cell, every measure with the ends of its 95 % interval.

    A time that is never reached is infinite, the interval of too few orders None.
    """
    about = {"study": study.name, "metric": study.metric, "trials": len(study.trials)}
    return [about | _fields(cell) for cell in cells]


def csv_rows_of_means(means: Sequence[StudyMean]) -> list[dict[str, Any]]:
    """Return a CSV row per mean; a grace period or reduction factor of None is the project's default."""
    return [
        {
            "scheduler": mean.variant.scheduler,
            "grace_period": mean.variant.grace,
            "reduction_factor": mean.variant.reduction,
            "default": mean.variant.is_default,
            "workers": mean.workers,
        }
        | {name: getattr(mean, name) for name in _MEANS}
        | {f"regret_percent_at_{budget}": regret for budget, regret in mean.regret_at.items()}
        | {"regret_percent": mean.regret}
        for mean in means
    ]


def _fields(cell: Cell) -> dict[str, Any]:
    summary = cell.summary
    fields: dict[str, Any] = {
        "scheduler": cell.variant.scheduler,
        "grace_period": cell.settings.grace_period,
        "reduction_factor": cell.settings.reduction_factor,
        "default": cell.variant.is_default,
        "workers": cell.workers,
        "orders": len(cell.orders),
    }
    for limit in summary.seconds_within:
        fields |= _spread_fields(f"seconds_within_{limit:g}", summary.seconds_within[limit])
        fields |= _spread_fields(f"share_within_{limit:g}", summary.reached[limit])
        fields |= _spread_fields(f"times_none_within_{limit:g}", summary.times_none[limit])
    for budget, spread in summary.regret_at.items():
        fields |= _spread_fields(f"regret_percent_at_{budget}", spread)
    fields |= _spread_fields("regret_percent", summary.regret)
    fields |= _spread_fields("share_found_best", summary.found)
    for name in ("trial_seconds", "epochs", "wall_seconds", "cost_of_none"):
        fields |= _spread_fields(name, getattr(summary, name))
    return fields


def _spread_fields(name: str, spread: Spread) -> dict[str, float | None]:
    return {name: spread.middle, f"{name}_low": spread.low, f"{name}_high": spread.high}
