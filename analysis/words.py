"""Words, numbers, intervals and durations as a reader wants them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from study.record.intervals import Interval

DIGITS = 4
"""Significant digits of a value in a table or a sentence."""

_PARAMETERS = {"lr": "learning rate", "weight_decay": "weight decay (L2)", "beta": "β", "beta_warmup": "β warm-up"}


def parameter_label(key: str) -> str:
    """Return the words of a key of the config, with or without `config.` in front."""
    key = key.removeprefix("config.")
    return _PARAMETERS.get(key, key.replace("_", " "))


def number(value: float, digits: int = 3) -> str:
    """Return a number with so many significant digits, thousands with commas, small ones as powers: 0.0123, 1e-05."""
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def cell(value: Any, digits: int = DIGITS) -> str:
    """Return any value in a table or a sentence: numbers short, whole ones whole, a missing one as a dash."""
    if value is None or value is pd.NA or (isinstance(value, (float, np.floating)) and np.isnan(value)):
        return "–"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)):
        return f"{value:,}"
    if not isinstance(value, (float, np.floating)):
        return str(value)
    exact = float(value)
    return f"{int(exact):,}" if exact.is_integer() and abs(exact) < 1e15 else number(exact, digits)


def value_label(value: Any) -> str:
    """Return a value of the config: switches are on and off, numbers short, words as they are."""
    if str(value) in ("True", "False"):
        return "on" if str(value) == "True" else "off"
    if isinstance(value, (int, float)):
        return number(float(value))
    return str(value)


def interval_text(low: float, high: float, digits: int = DIGITS) -> str:
    """Return "low … high"."""
    return f"{number(low, digits)} … {number(high, digits)}"


def with_interval(interval: Interval, digits: int = DIGITS) -> str:
    """Return a mean with its interval, "0.5 (0.4 to 0.6)"; where it has none, with why."""
    if interval.ci95 is None:
        return f"{cell(interval.mean, digits)} ({interval.missing})"
    return f"{cell(interval.mean, digits)} ({' to '.join(cell(end) for end in interval.ci95)})"


def summary_interval(value: Mapping[str, Any]) -> str:
    """Return a {mean, ci95, n} of summary.json as words."""
    seeds = counted(value["n"], "seed")
    if value["ci95"] is None:
        equal = ", which do not differ" if value["n"] > 1 else ""
        return f"{cell(value['mean'])} ({seeds}{equal}: no interval)"
    low, high = value["ci95"]
    return f"{cell(value['mean'])} (95 % interval {interval_text(low, high)}, {seeds})"


def duration(seconds: float) -> str:
    """Return a time in the unit that it is told in."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def joined(words: Sequence[str]) -> str:
    """Return "a", "a and b", "a, b and c"."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def counted(count: int, word: str) -> str:
    """Return "1 trial", "2 trials"."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"
