"""The scores of several studies as a figure: a panel per metric that at least two of them may be compared by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from analysis.comparisons.pairs import Pair
from analysis.comparisons.winner import METRICS, RATIO, Winner
from analysis.figures import style
from analysis.figures.labels import metric_label
from study.record.intervals import Interval

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
            "Mean over seeds with its 95 % interval, of the studies that may be compared by the metric. Intervals that "
            "overlap may still differ: the table of differences has the interval of each pair."
        )


def compute_scores(winners: Sequence[Winner], pairs: Sequence[Pair]) -> Scores | None:
    """Return the scores to show, of at most four metrics; None where no two studies can be compared."""
    panels = {}
    for metric in METRICS:
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
        axis.set_xlabel("error over the baseline's (PCA)" if metric == RATIO else metric_label(metric))
    return drawn
