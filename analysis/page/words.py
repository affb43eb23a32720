"""Values, intervals and durations as a reader wants them; the words for metrics are those of the figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.figures.labels import counted, interval_text
from analysis.figures.labels import number as rounded

_DIGITS = 4


def on_test(metric: str) -> str:
    """Return the name of a validation metric on the test split."""
    return metric.replace("val_", "test_", 1)


def number(value: Any, digits: int = _DIGITS) -> str:
    """Return a value in a table or a sentence: numbers short, whole ones whole, a missing one as a dash."""
    if value is None or value is pd.NA or (isinstance(value, (float, np.floating)) and np.isnan(value)):
        return "–"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)):
        return f"{value:,}"
    if not isinstance(value, (float, np.floating)):
        return str(value)
    exact = float(value)
    return f"{int(exact):,}" if exact.is_integer() and abs(exact) < 1e15 else rounded(exact, digits)


def interval(value: Mapping[str, Any]) -> str:
    """Return a {mean, ci95, n} of summary.json as words."""
    seeds = counted(value["n"], "seed")
    if value["ci95"] is None:
        return f"{number(value['mean'])} ({seeds}: no interval)"
    low, high = value["ci95"]
    return f"{number(value['mean'])} (95 % interval {interval_text(low, high, _DIGITS)}, {seeds})"


def duration(seconds: float) -> str:
    """Return a time in the unit that it is told in."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
