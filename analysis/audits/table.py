"""An audit as a table: [claims and numbers x columns] for CSV, and words for a reader."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.audits.readings import Reading
from analysis.audits.verdicts import Audited, Piece, stages
from analysis.figures.labels import counted
from analysis.page.words import number
from study.record.intervals import Interval

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
        "what_it_measures": claim.measures,
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


def claimed_words(one: Audited) -> str:
    """Return what the report prints: its number with the split, or nothing for a statement."""
    claim = one.claim
    if claim.value is None:
        return "a statement"
    return number(claim.value, _DIGITS) + (f" ({claim.split})" if claim.split else "")


def our_lines(one: Audited) -> list[str]:
    """Return a line per number of ours, with the conditions of its runs; where all share them, they come once."""
    conditions = ["; ".join(_conditions(piece)) for piece in one.pieces]
    shared = len(conditions) > 1 and len({*conditions}) == 1
    lines = []
    for piece, words in zip(one.pieces, conditions, strict=True):
        named = len(one.pieces) > 1 or piece.reading.measured.subject != one.claim.subject
        what = f"{piece.reading.measured.subject} " if named else ""
        value = "nothing yet" if piece.interval is None else interval_words(piece.interval)
        lines.append(f"{what}{metric_words(piece)}: {value}" + (f" [{words}]" if words and not shared else ""))
    return [f"[each: {conditions[0]}]", *lines] if shared and conditions[0] else lines


def interval_words(interval: Interval) -> str:
    """Return a mean with its interval, or alone where it has none."""
    mean = number(interval.mean, _DIGITS if interval.low == interval.high == interval.mean else 4)
    if interval.low is None or interval.high is None or interval.low == interval.high == interval.mean:
        return mean
    return f"{mean} ({number(interval.low)} to {number(interval.high)})"


def _conditions(piece: Piece) -> list[str]:
    reading, words = piece.reading, []
    if not _is_exact(reading):
        words += [counted(piece.interval.n, "seed")] if piece.interval else []
        if reading.epochs:
            words.append(f"{stages(reading.epochs)} of {stages(reading.reported_epochs)} epochs")
    if reading.is_subset and reading.images is not None:
        whole = f" of {reading.all_images:,}" if reading.all_images else ""
        words.append(f"on {reading.images:,}{whole} images")
    if reading.source:
        words.append(reading.source if "/" in reading.source else f"study {reading.source}")
    return words


def _is_exact(reading: Reading) -> bool:
    return reading.sample is not None and reading.sample.exact is not None
