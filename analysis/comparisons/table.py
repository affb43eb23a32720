"""Studies side by side as tables: [studies x columns] in numbers, and [quantities x studies] in words."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.comparisons.pairs import Pair
from analysis.comparisons.winner import METRICS, RATIO, Winner
from analysis.figures.labels import counted
from analysis.page.words import number
from search_spaces import FAMILY_FACTS
from study.record.intervals import Interval

_SETTINGS = ("latent_size", "optimizer", "lr", "batch_size", "dropout", "weight_decay", "batch_norm", "encoder")
_PROBE = "test_probe_accuracy (linear, on the codes)"
_RATIOS = {"pca": "MSE over PCA's at this size", "linear_classifier": "error rate over a regression's on PCA codes"}
_ORDER = (
    *("family", "data", "ranked by", "trials", "best", "architecture"),
    *(name.replace("_", " ") for name in _SETTINGS),
    *("parameters", "seconds a run"),
    *(_PROBE if metric == "test_probe_accuracy" else metric for metric in METRICS if metric != RATIO),
    *_RATIOS.values(),
)


def compute_studies(winners: Sequence[Winner]) -> pd.DataFrame:
    """Return a row per study, every metric with the ends of its 95 % interval; columns that none has are left out."""
    rows = []
    for one in winners:
        row: dict[str, object] = {
            "study": one.study,
            "family": one.family,
            "data": one.data["name"],
            "digest": one.data["digest"],
            **{f"{split}_images": size for split, size in one.data["sizes"].items()},
            "ranked_by": one.metric,
            "trials": one.trials,
            "best": one.name,
            "seeds": _seeds(one),
            "epochs": one.epochs,
            "params": one.params,
            "seconds_a_run": one.seconds.mean if one.seconds else None,
        }
        for metric, sample in one.samples.items():
            interval = sample.interval()
            row |= {metric: interval.mean, f"{metric}_low": interval.low, f"{metric}_high": interval.high}
        row |= {f"config.{key}": value for key, value in one.config.items()}
        rows.append(row | {"note": one.note})
    table = pd.DataFrame(rows)
    whole = [name for name in ("seeds", "epochs", "params") if name in table]
    return table.astype(dict.fromkeys(whole, "Int64"))


def compute_differences(pairs: Sequence[Pair]) -> pd.DataFrame:
    """Return a row per pair of studies and metric: the first minus the second with its 95 % interval, and words."""
    rows = [
        {
            "first": pair.first,
            "second": pair.second,
            "metric": pair.metric,
            "difference": pair.gap and pair.gap.mean,
            "low": pair.gap and pair.gap.low,
            "high": pair.gap and pair.gap.high,
            "verdict": pair.verdict,
        }
        for pair in pairs
    ]
    return pd.DataFrame(rows, columns=["first", "second", "metric", "difference", "low", "high", "verdict"])


def side_by_side(winners: Sequence[Winner]) -> pd.DataFrame:
    """Return a row per quantity and a column per study, as words for a reader; rows that none fills are left out."""
    columns = {one.study: _words(one) for one in winners}
    names = [name for name in _ORDER if any(name in words for words in columns.values())]
    return pd.DataFrame(
        {"quantity": names} | {study: [words.get(name, "–") for name in names] for study, words in columns.items()}
    )


def _words(one: Winner) -> dict[str, str]:
    sizes = one.data["sizes"]
    words = {
        "family": one.family,
        "data": f"{one.data['name']}, {sizes['train']:,} training images" + (" (a part)" if one.is_subset else ""),
        "ranked by": one.metric,
        "trials": number(one.trials) if one.trials else "no search",
    }
    if one.name is None or one.seconds is None:
        return words | {"best": f"nothing to compare: {one.note}"}
    words |= {
        "best": f"{one.name}, {counted(_seeds(one), 'seed')}, {counted(one.epochs or 0, 'epoch')}",
        "architecture": str(one.config.get("architecture", "–")),
        **{key.replace("_", " "): number(one.config[key]) for key in _SETTINGS if key in one.config},
        "parameters": number(one.params),
        "seconds a run": number(one.seconds.mean, 3),
    }
    ratio = _RATIOS[FAMILY_FACTS[one.family].baseline]
    names = {RATIO: ratio, "test_probe_accuracy": _PROBE}
    for metric in METRICS:
        if metric in one.samples:
            words[names.get(metric, metric)] = interval_words(one.samples[metric].interval())
    if RATIO not in one.samples and one.note:
        words[ratio] = f"none: {one.note}"
    return words


def interval_words(interval: Interval) -> str:
    """Return a mean with its interval, or alone of one seed."""
    if interval.low is None or interval.high is None:
        return f"{number(interval.mean)} (one seed)"
    return f"{number(interval.mean)} ({number(interval.low)} to {number(interval.high)})"


def pair_words(pair: Pair) -> str:
    """Return a line on a pair."""
    if pair.metric is None or pair.gap is None:
        return f"{pair.first} and {pair.second}: {pair.verdict}"
    return f"{pair.metric}: {pair.verdict}; difference {interval_words(pair.gap)}"


def _seeds(one: Winner) -> int:
    return max((len(sample.values) for sample in one.samples.values()), default=0)
