"""What a simulation found, as text to read: a table per study, its verdict, and the means over studies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf, isinf

from study.search.schedulers import SchedulerSettings
from study.simulation.candidates import Candidate
from study.simulation.grid import Row
from study.simulation.over_orders import Spread
from study.simulation.over_studies import Mean
from study.simulation.verdict import Verdict, judge, rank

NOTE = """\
Medians over orders, with 95 % intervals in brackets; * is the default. A value counts when its trial has had its whole
budget. within: the share of orders that ever come so close; found: in which the best trial is not stopped (at least: in
any study). Regret: per cent from the best final value, after {budgets} % of the time that no scheduler takes, and at
the end. cost: trial-seconds over those of none."""

_SOONEST = 4  # means that are shown besides the defaults


def study_table(rows: Sequence[Row], within: Sequence[float], *, everything: bool) -> str:
    """Return the table of the rows of one study, the soonest first.

    Args:
        rows: Of any numbers of workers.
        within: Distances that were timed, in per cent; the last one ranks.
        everything: All settings, instead of each scheduler's default and its soonest others.
    """
    budgets = rows[0].summary.regret_at
    headings = [
        "workers", "scheduler", *(f"s within {limit:g} %" for limit in within), "of none's", "within", "found",
        *(f"regret at {budget} %" for budget in budgets), "at the end", "cost", "epochs",
    ]  # fmt: skip
    table = []
    for workers in dict.fromkeys(row.workers for row in rows):
        mine = [row for row in rows if row.workers == workers]
        shown = mine if everything else _telling(mine, within[-1])
        for row in sorted(shown, key=lambda row: rank(row, within[-1])):
            result = row.summary
            table.append([
                str(workers), label(row.candidate, row.settings),
                *(_interval(result.seconds_within[limit], _seconds) for limit in within),
                _ratio(result.times_none[within[-1]].middle), f"{result.reached[within[-1]].middle:.0%}",
                _interval(result.found, lambda share: f"{share:.0%}"),
                *(_per_cent(result.regret_at[budget].middle) for budget in budgets), _per_cent(result.regret.middle),
                _ratio(result.cost_of_none.middle), f"{result.epochs.middle:,.0f}",
            ])  # fmt: skip
    return aligned(headings, table)


def mean_table(means: Sequence[Mean], limit: float, *, everything: bool) -> str:
    """Return the table of means over studies, for each number of workers the soonest first.

    Args:
        means: Of any numbers of workers.
        limit: The distance that was timed, in per cent.
        everything: All settings, instead of the defaults and the few that are soonest.
    """
    headings = ["workers", "scheduler", f"time to {limit:g} %, of none's", "within", "found", "at least"]
    headings += [*(f"regret at {budget} %" for budget in means[0].regret_at), "at the end", "cost"]
    table = []
    for workers in dict.fromkeys(mean.workers for mean in means):
        mine = [mean for mean in means if mean.workers == workers]
        ranked = sorted(mine, key=lambda mean: (mean.times_none, mean.cost_of_none))
        shown = [mean for at, mean in enumerate(ranked) if everything or at < _SOONEST or mean.candidate.is_default]
        table += [_mean_cells(mean) for mean in shown]
    return aligned(headings, table)


def verdict_lines(rows: Sequence[Row], limit: float) -> list[str]:
    """Return, for each number of workers, which row is soonest within `limit` per cent, how surely, at what cost."""
    counts = dict.fromkeys(row.workers for row in rows)
    return [_verdict(judge([row for row in rows if row.workers == count], limit), limit) for count in counts]


def label(candidate: Candidate, settings: SchedulerSettings | None = None) -> str:
    """Return a candidate's name, with its settings in a study where there is one study."""
    name = candidate.scheduler + ("*" if candidate.is_default and candidate.scheduler != "none" else "")
    grace = settings.grace_period if settings else candidate.grace
    reduction = settings.reduction_factor if settings else candidate.reduction
    parts = [f"grace {grace}"] * (grace is not None) + [f"1 in {reduction}"] * (reduction is not None)
    return f"{name} ({', '.join(parts)})" if parts else name


def aligned(headings: Sequence[str], table: Sequence[Sequence[str]]) -> str:
    """Return cells in columns, the second one to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in (headings, *table)) for column in range(len(headings))]

    def line(row: Sequence[str]) -> str:
        cells = (
            cell.ljust(width) if at == 1 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join(cells).rstrip()

    return "\n".join(line(row) for row in (headings, *table))


def _mean_cells(mean: Mean) -> list[str]:
    shares = (mean.reached, mean.found, mean.worst_found)
    texts = [f"{share:.0%}" for share in shares]
    start = [str(mean.workers), label(mean.candidate), _ratio(mean.times_none)]
    regrets = [*mean.regret_at.values(), mean.regret]
    return [*start, *texts, *(_per_cent(regret) for regret in regrets), _ratio(mean.cost_of_none)]


def _telling(rows: Sequence[Row], limit: float) -> list[Row]:
    """Return each scheduler's default, and of its other settings the soonest and the soonest of the surest."""
    shown = []
    for scheduler in dict.fromkeys(row.candidate.scheduler for row in rows):
        mine = [row for row in rows if row.candidate.scheduler == scheduler]
        soonest = min(mine, key=lambda row: rank(row, limit))
        surest = min(
            mine, key=lambda row: (-row.summary.reached[limit].middle, row.summary.seconds_within[limit].middle)
        )
        shown += [row for row in mine if row.candidate.is_default or row in (soonest, surest)]
    return shown


def _verdict(verdict: Verdict, limit: float) -> str:
    def told(row: Row) -> str:
        result = row.summary
        return (
            f"{label(row.candidate, row.settings)}: {_seconds(result.seconds_within[limit].middle)} s, "
            f"{_ratio(result.times_none[limit].middle)} of none's, "
            f"in {result.reached[limit].middle:.0%} of the orders, at {_ratio(result.cost_of_none.middle)} of its cost"
        )

    soonest = verdict.soonest
    text = f"{soonest.workers} worker{'s' * (soonest.workers > 1)}, soonest within {limit:g} %: {told(soonest)}"
    if verdict.level:
        names = ", ".join(label(row.candidate, row.settings) for row in verdict.level)
        text += f"\n    not told apart from it: {names}"
    if verdict.surest is not soonest:
        text += f"\n    soonest of those that get there in every order: {told(verdict.surest)}"
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
