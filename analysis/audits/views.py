"""An audit as a table for CSV, as lines for a terminal, and as a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

import pandas as pd
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from analysis.audits.readings import Reading
from analysis.audits.verdicts import Audited, Piece, Verdict, stages
from analysis.output import plain_grid
from analysis.page.parts import Fact, Facts, Item, Page, Paragraph, Section
from analysis.words import cell, with_interval
from study.record import about_seeds
from study.record.commands import hint
from study.record.intervals import Interval
from study.record.words import counted

_DIGITS = 8  # of claims, and of numbers without noise

_COLUMNS = (
    "claim",
    "report",
    "the_report_says",
    "claimed_value",
    "claimed_runs",
    "claimed_split",
    "claimed_metric",
    "verdict",
    "verdict_in_words",
    "direction",
    "decided_by",
    "role",
    "our_subject",
    "our_metric",
    "our_mean",
    "our_low_95",
    "our_high_95",
    "our_seeds",
    "our_epochs",
    "report_epochs",
    "our_train_images",
    "all_train_images",
    "our_source",
    "what_it_measures",
    "left_open",
    "choices_of_ours",
)


def compute_table(audited: Sequence[Audited]) -> pd.DataFrame:
    """Return a row per claim and number of ours, in the claim's unit; a claim without any has one row."""
    rows = [row for one in audited for row in _rows(one)]
    table = pd.DataFrame(rows, columns=list(_COLUMNS))
    return table.astype(dict.fromkeys(("our_seeds", "our_train_images", "all_train_images"), "Int64"))


def _rows(one: Audited) -> list[dict[str, object]]:
    claim = one.claim
    about: dict[str, object] = {
        "claim": claim.key,
        "report": claim.key.split("/")[0],
        "the_report_says": claim.statement,
        "claimed_value": claim.value,
        "claimed_runs": " ".join(map(str, claim.values)),
        "claimed_split": claim.split,
        "claimed_metric": claim.metric,
        "verdict": str(one.verdict),
        "verdict_in_words": one.words,
        "direction": one.direction,
        "decided_by": ", ".join(one.decided_by) or None,
        "what_it_measures": claim.measures,
        "choices_of_ours": " ".join(one.notes) or None,
    }
    return [about | _piece(piece) for piece in one.pieces] or [about]


def _piece(piece: Piece) -> dict[str, object]:
    reading, interval = piece.reading, piece.interval
    found: dict[str, object] = {
        "role": piece.role,
        "our_subject": reading.measured.subject,
        "our_metric": metric_words(piece),
        "our_epochs": stages(reading.epochs) or None,
        "report_epochs": stages(reading.reported_epochs) or None,
        "our_train_images": reading.images,
        "all_train_images": reading.all_images,
        "our_source": reading.source,
        "left_open": ", ".join(reading.open_choices) or None,
    }
    if interval is not None:
        seeds = None if _is_exact(reading) else interval.n
        found |= {"our_mean": interval.mean, "our_low_95": interval.low, "our_high_95": interval.high}
        found["our_seeds"] = seeds
    return found


def metric_words(piece: Piece) -> str:
    """Return the metric of ours, with its epoch, what was taken off it, and what it was multiplied by."""
    measured = piece.reading.measured
    words = measured.metric
    if measured.metric.startswith("test_confusion:"):
        _, true, predicted = measured.metric.split(":")
        words = f"{true} taken for {predicted}" if true != predicted else f"{true} recognised"
    if measured.epoch is not None:
        words += f" after epoch {measured.epoch}"
    if measured.minus is not None:
        other = measured.minus
        words += f" minus {other.metric.split(':')[0] if ':' in other.metric else other.metric}"
        words += f" of {other.subject}" if other.subject != measured.subject else ""
    return words if piece.scale == 1 else f"{words} × {piece.scale:g}"


def verdict_words(one: Audited) -> str:
    """Return the verdict with the studies and tables that decided it."""
    return f"{one.words}, by {', '.join(one.decided_by)}" if one.decided_by else one.words


def claimed_words(one: Audited) -> str:
    """Return what the report prints: its number with the split, or nothing for a statement."""
    claim = one.claim
    if claim.value is None:
        return "a statement"
    return cell(claim.value, _DIGITS) + (f" ({claim.split})" if claim.split else "")


def our_lines(one: Audited) -> list[str]:
    """Return a line per number of ours, with the conditions of its runs; where all share them, they come once."""
    conditions = ["; ".join(_conditions(piece)) for piece in one.pieces]
    shared = len(conditions) > 1 and len({*conditions}) == 1
    lines = []
    for piece, words in zip(one.pieces, conditions, strict=True):
        named = len(one.pieces) > 1 or piece.reading.measured.subject != one.claim.subject
        what = f"{piece.reading.measured.subject} " if named else ""
        value = "nothing yet" if piece.interval is None else interval_words(piece.interval)
        if one.verdict is Verdict.UNDECIDED:
            value += _each_seed(piece)
        lines.append(f"{what}{metric_words(piece)}: {value}" + (f" [{words}]" if words and not shared else ""))
    return [f"[each: {conditions[0]}]", *lines] if shared and conditions[0] else lines


def interval_words(interval: Interval) -> str:
    """Return a mean with its interval, or alone where it has none."""
    is_exact = interval.low == interval.high == interval.mean
    return cell(interval.mean, _DIGITS) if is_exact else with_interval(interval)


def _each_seed(piece: Piece) -> str:
    """Return what each seed gave, in order: whether all differ, or one alone from the others."""
    values = piece.reading.sample.values if piece.reading.sample else {}
    if not 1 < len(values) <= _MOST_SEEDS:
        return ""
    return ", by seed " + ", ".join(cell(values[seed] * piece.scale) for seed in sorted(values))


def _conditions(piece: Piece) -> list[str]:
    reading, words = piece.reading, []
    if not _is_exact(reading):
        words += [counted(piece.interval.n, "seed")] if piece.interval else []
        words += [f"{reading.failed} more failed, left out"] if reading.failed else []
        words += [about_seeds.added(reading.seen_with)] if reading.seen_with else []
        if reading.epochs:
            words.append(f"{stages(reading.epochs)} of {stages(reading.reported_epochs)} epochs")
    if reading.is_subset and reading.images is not None:
        whole = f" of {reading.all_images:,}" if reading.all_images else ""
        words.append(f"on {reading.images:,}{whole} images")
    elif not _is_exact(reading) and reading.reported_images not in (None, reading.images):
        words.append(f"on {reading.images:,} images, the report's were {reading.reported_images:,}")
    if reading.source:
        words.append(reading.source if "/" in reading.source else f"study {reading.source}")
    return words


def _is_exact(reading: Reading) -> bool:
    return reading.sample is not None and reading.sample.exact is not None


_ROOM = 110  # columns below which four cells side by side are too narrow to read
_MOST_LINES = 6  # numbers of ours per claim; the CSV file has them all
_MOST_NOTES = 2
_MOST_SEEDS = 5
_STYLES = {
    Verdict.HOLDS: "green",
    Verdict.FAILS: "red",
    Verdict.FAILS_OPEN: "yellow",
    Verdict.UNDECIDED: "yellow",
}


def show(audited: Sequence[Audited], console: Console) -> None:
    """Print the claims report by report, and at the end how many have which verdict."""
    for report, group in groupby(audited, key=lambda one: one.claim.key.split("/")[0]):
        claims = list(group)
        console.print(Text(f"\n{report}", style="bold"))
        if console.width >= _ROOM:
            console.print(_table(claims))
        else:
            for one in claims:
                console.print(_block(one))
    counts = Counter(one.verdict for one in audited)
    found = ", ".join(f"{verdict}: {counts[verdict]}" for verdict in Verdict if counts[verdict])
    console.print(Text(f"\n{len(audited)} claims; {found}"))


def show_counts(audited: Sequence[Audited], console: Console) -> None:
    """Print a row per report: how many of its claims have which verdict."""
    reports = list(dict.fromkeys(one.claim.key.split("/")[0] for one in audited))
    table = plain_grid(tight=True)
    table.add_column("verdict")
    for report in [*reports, "all"]:
        table.add_column(report.replace("_", " "), justify="right")
    for verdict in Verdict:
        mine = [one.claim.key.split("/")[0] for one in audited if one.verdict is verdict]
        if mine:
            counts = [*(mine.count(report) for report in reports), len(mine)]
            table.add_row(Text(str(verdict), _STYLES.get(verdict, "")), *(str(count or "–") for count in counts))
    of = [one.claim.key.split("/")[0] for one in audited]
    table.add_row("claims", *(str(of.count(report)) for report in reports), str(len(of)), style="bold")
    console.print(table)
    console.print(Text(f"{hint('audit', reports[0])} shows a report's claims one by one, '*' all of them"))


def _table(claims: Sequence[Audited]) -> Grid:
    table = plain_grid(expand=True)
    table.add_column("what the report says", ratio=4)
    table.add_column("the report's number", ratio=2)
    table.add_column("measured by this project", ratio=5)
    table.add_column("verdict", ratio=3)
    for one in claims:
        words = [Text(one.claim.statement), _measures(one), *_notes(one)]
        says = Group(Text(one.claim.key, style="bold"), *words, Text(""))
        table.add_row(says, Text(claimed_words(one)), _ours(one), _verdict(one))
    return table


def _block(one: Audited) -> RenderableType:
    lines: list[RenderableType] = [
        Text(one.claim.statement),
        Text.assemble(("the report    ", "bold"), claimed_words(one)),
        Text("this project", style="bold"),
        Padding(_ours(one), (0, 0, 0, 2)),
        Text.assemble(("verdict       ", "bold"), _verdict(one)),
        _measures(one),
        *_notes(one),
    ]
    return Group(Text(one.claim.key, style="bold"), Padding(Group(*lines), (0, 0, 1, 2)))


def _measures(one: Audited) -> Text:
    return Text(f"It measures: {one.claim.measures}", style="dim")


def _notes(one: Audited) -> list[Text]:
    """Return a line per note on choices that are ours, of several the first and how many more there are."""
    notes = [f"Choices of ours: {note}" for note in one.notes[:_MOST_NOTES]]
    if len(one.notes) > _MOST_NOTES:
        notes.append(f"and {counted(len(one.notes) - _MOST_NOTES, 'more note')}, see --csv")
    return [Text(note, style="dim") for note in notes]


def _ours(one: Audited) -> Text:
    lines = our_lines(one)
    if len(lines) > _MOST_LINES:
        lines = [*lines[:_MOST_LINES], f"and {len(lines) - _MOST_LINES} more, see --csv"]
    return Text("\n".join(lines) or "nothing")


def _verdict(one: Audited) -> Text:
    return Text(verdict_words(one), style=_STYLES.get(one.verdict, ""))


_LEAD = (
    "What five reports claim, beside what this project measured under the same definition. "
    "The reports' numbers are quoted, not confirmed, unless the verdict says that they hold."
)
_HOW = (
    "Ours are means over seeds with their 95 % interval (Student's t). Runs of fewer epochs than the report's, or on "
    "a part of the images, give no verdict. A number holds if our whole interval is within the claim's tolerance of "
    "it; it does not hold if the difference is greater than that with the report's own noise, by Welch's interval "
    "where it prints several runs, else beyond where one more seed of ours would lie in 95 % of cases; a comparison "
    "holds if each two networks' difference lies with its interval on the claimed side of 0, of three seeds at least, "
    "by the paired t-test where both have the same seeds, architecture and number of parameters, else by Welch's "
    "test; it does not hold if one lies on the other side, with p below 5 % after Holm's correction. A report that "
    "leaves settings open is refuted only under the settings that were chosen here, which stand below each verdict."
)


def page_of(audited: Sequence[Audited], skipped: Sequence[str] = ()) -> Page:
    """Return the page; `skipped` are lines on studies that could not be read."""
    counts = Counter(one.verdict for one in audited)
    facts = [Fact(str(verdict), counted(counts[verdict], "claim")) for verdict in Verdict if counts[verdict]]
    first: list[Item] = [Facts(facts, cards=True), Paragraph(_HOW)]
    sections = [Section("verdicts", "Verdicts", [*first, *(Paragraph(line, note=True) for line in skipped)])]
    for report, group in groupby(audited, key=lambda one: one.claim.key.split("/")[0]):
        items = [item for one in group for item in _items(one)]
        sections.append(Section(report, report, items))
    return Page("Audit of the reports' claims", _LEAD, sections)


def _items(one: Audited) -> tuple[Item, Item]:
    facts = [
        Fact("The report's number", claimed_words(one), one.claim.metric),
        Fact("Measured by this project", "; ".join(our_lines(one)) or "nothing"),
        Fact("Verdict", verdict_words(one), one.claim.measures),
        *([Fact("Choices of ours", " ".join(one.notes))] if one.notes else []),
    ]
    return Paragraph(f"{one.claim.key}: {one.claim.statement}", note=True), Facts(facts)
