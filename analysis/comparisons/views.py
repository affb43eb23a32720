"""Studies side by side as tables, in words, as a figure, and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from analysis.comparisons.winners import METRICS, RATIO, Pair, Winner
from analysis.figures import style
from analysis.words import cell, with_interval
from study.record import metrics
from study.record.intervals import Interval
from study.record.words import counted, number

_SETTINGS = ("latent_size", "optimizer", "lr", "batch_size", "dropout", "weight_decay", "batch_norm", "encoder")
_PROBE = "test_probe_accuracy (linear, on the codes)"
_RATIOS = {"pca": "MSE over PCA's at this size", "linear_classifier": "error rate over a regression's on PCA codes"}
_PCA_NELBO = "test_nelbo of probabilistic PCA"
_ORDER = (
    *("family", "data", "ranked by", "trials", "best", "architecture"),
    *(name.replace("_", " ") for name in _SETTINGS),
    *("parameters", "seconds a run"),
    *(_PROBE if metric == "test_probe_accuracy" else metric for metric in METRICS if metric != RATIO),
    _PCA_NELBO,
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
            "pca_nelbo": one.pca_nelbo,
            "seconds_a_run": one.seconds.mean if one.seconds else None,
        }
        for metric, sample in one.samples.items():
            interval = sample.interval()
            row |= {metric: interval.mean, f"{metric}_low": interval.low, f"{metric}_high": interval.high}
        row |= {f"config.{key}": value for key, value in one.config.items()}
        rows.append(row | {"note": one.note})
    table = pd.DataFrame(rows)
    if table["pca_nelbo"].isna().all():
        table = table.drop(columns="pca_nelbo")
    whole = [name for name in ("seeds", "epochs", "params") if name in table]
    return table.astype(dict.fromkeys(whole, "Int64"))


def compute_differences(pairs: Sequence[Pair]) -> pd.DataFrame:
    """Return a row per pair of studies and metric: the first minus the second with its 95 % interval, test and words.

    Only the primary metric of a pair has a verdict; `p_holm` is what it goes by.
    """
    rows = [
        {
            "first": pair.first,
            "second": pair.second,
            "metric": pair.metric,
            "difference": pair.gap and pair.gap.mean,
            "low": pair.gap and pair.gap.low,
            "high": pair.gap and pair.gap.high,
            "seeds": pair.gap and pair.gap.n,
            "test": pair.gap and pair.gap.test,
            "p_holm": pair.p_holm,
            "verdict": pair.verdict,
        }
        for pair in pairs
    ]
    columns = ["first", "second", "metric", "difference", "low", "high", "seeds", "test", "p_holm", "verdict"]
    return pd.DataFrame(rows, columns=columns)


def side_by_side(winners: Sequence[Winner]) -> pd.DataFrame:
    """Return a row per quantity and a column per study, as words for a reader; rows that none fills are left out."""
    columns = {one.study: _words(one) for one in winners}
    known = dict.fromkeys(name for words in columns.values() for name in words)
    names = [*(name for name in _ORDER if name in known), *(name for name in known if name not in _ORDER)]
    return pd.DataFrame(
        {"quantity": names} | {study: [words.get(name, "–") for name in names] for study, words in columns.items()}
    )


def _words(one: Winner) -> dict[str, str]:
    sizes = one.data["sizes"]
    words = {
        "family": one.family,
        "data": f"{one.data['name']}, {sizes['train']:,} training images" + (" (a part)" if one.is_subset else ""),
        "ranked by": one.metric,
        "trials": cell(one.trials) if one.trials else "no search",
    }
    if one.name is None or one.seconds is None:
        return words | {"best": f"nothing to compare: {one.note}"}
    words |= {
        "best": f"{one.name}, {one.failed or counted(_seeds(one), 'seed')}, {counted(one.epochs or 0, 'epoch')}",
        "architecture": str(one.config.get("architecture", "–")),
        **{key.replace("_", " "): cell(one.config[key]) for key in _SETTINGS if key in one.config},
        "parameters": cell(one.params),
        "seconds a run": cell(one.seconds.mean, 3),
    }
    ratio = _RATIOS[one.facts.baseline]
    names = {RATIO: ratio, "test_probe_accuracy": _PROBE}
    for metric, sample in one.samples.items():
        words[names.get(metric, metric)] = with_interval(sample.interval())
    if one.pca_nelbo is not None:
        words[_PCA_NELBO] = cell(one.pca_nelbo)
    if RATIO not in one.samples and one.note:
        words[ratio] = f"none: {one.note}"
    return words


def pair_words(pair: Pair) -> str:
    """Return a line on a pair, "" where it is one of the metrics without a verdict."""
    if pair.verdict is None:
        return ""
    if pair.metric is None or pair.gap is None:
        return f"{pair.first} and {pair.second}: {pair.verdict}"
    p = "" if pair.p_holm is None else f"; {pair.gap.test_words}, p = {number(pair.p_holm, 2)} after Holm's correction"
    return f"{pair.metric}: {pair.verdict}; difference {with_interval(pair.gap)}{p}"


def _seeds(one: Winner) -> int:
    return max((len(sample.values) for sample in one.samples.values()), default=0)


_PANELS = 4


@dataclass(frozen=True)
class Scores:
    """By metric, the study and interval of each that may be compared with another one."""

    panels: dict[str, tuple[tuple[str, Interval], ...]]

    def table(self) -> pd.DataFrame:
        """Return a row per metric and study."""
        rows = [
            {"metric": metric, "study": study, "mean": one.mean, "low": one.low, "high": one.high, "seeds": one.n}
            for metric, studies in self.panels.items()
            for study, one in studies
        ]
        return pd.DataFrame(rows)

    @property
    def caption(self) -> str:
        """What is seen."""
        return (
            "Mean over seeds with its 95 % interval, of the studies that saw the same images. Intervals that overlap "
            "may still differ: the table of differences has the interval of each pair. A verdict goes by one metric of "
            "studies of the same family and budget."
        )


def compute_scores(winners: Sequence[Winner], pairs: Sequence[Pair]) -> Scores | None:
    """Return the scores to show, of at most four metrics; None where no two studies can be compared."""
    panels = {}
    for metric in dict.fromkeys((*METRICS, *(pair.metric for pair in pairs if pair.metric is not None))):
        compared = {name for pair in pairs if pair.metric == metric for name in (pair.first, pair.second)}
        if compared:
            panels[metric] = tuple((w.study, w.samples[metric].interval()) for w in winners if w.study in compared)
    kept = [metric for metric in panels if metric != RATIO][: _PANELS - 1] + [RATIO] * (RATIO in panels)
    return Scores({metric: panels[metric] for metric in kept}) if kept else None


def plot_scores(scores: Scores) -> Figure:
    """Draw a panel per metric, a point with its interval per study."""
    most = max(len(studies) for studies in scores.panels.values())
    drawn, axes = style.figure((0.9 + 0.35 * most) * len(scores.panels), len(scores.panels))
    names = style.marks(name for studies in scores.panels.values() for name, _ in studies)
    for axis, (metric, studies) in zip(axes, scores.panels.items(), strict=True):
        for place, (study, one) in enumerate(studies):
            colour, marker = names[study]
            if one.low is not None and one.high is not None:
                axis.plot([one.low, one.high], [place, place], color=colour, linewidth=2)
            axis.plot([one.mean], [place], color=colour, marker=marker, linestyle="none")
        axis.set_yticks(range(len(studies)), [study for study, _ in studies])
        axis.set_ylim(len(studies) - 0.5, -0.5)
        if metric == RATIO:
            axis.axvline(1.0, color=style.INK, linewidth=1, linestyle=":")
        axis.set_xlabel(metrics.label(metric))
    return drawn
