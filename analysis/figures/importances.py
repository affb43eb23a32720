"""What mattered: PED-ANOVA importances of the searched parameters, with their spread and what chance gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures import style
from analysis.figures._parameters import groups, varied_parameters
from analysis.figures._ped_anova import divergences, shares
from analysis.figures._trials import ended_trials, objective_of
from analysis.figures.labels import counted, joined, metric_label, parameter_label
from analysis.study_files import StudyFiles

_LEAST_TRIALS = 12
_TOP_TRIALS = 5  # Optuna's advice: at least as many above the target quantile
_SHOWN = 14
_RESAMPLES = 200


@dataclass(frozen=True, eq=False)
class Importances:
    """Importances of parameters for being among the best trials; they sum to 1.

    Attributes:
        parameters: a row per parameter, the most important first: parameter, importance, low and high (95 %, bootstrap
            over trials), by_chance (what it exceeds in one of twenty shuffles of the objective), trials that had it.
        trials: ended trials.
        best: how many of them count as the best.
        metric: the objective.
    """

    parameters: pd.DataFrame
    trials: int
    best: int
    metric: str

    def table(self) -> pd.DataFrame:
        """Return a row per parameter."""
        return self.parameters

    @property
    def caption(self) -> str:
        """What is seen, with its numbers."""
        beyond = self.parameters[self.parameters["importance"] > self.parameters["by_chance"]]
        names = joined([parameter_label(name) for name in beyond["parameter"].head(3)])
        first = f"{names} matter{'s' if len(beyond) == 1 else ''} more than" if names else "No parameter exceeds what"
        return (
            f"{first[:1].upper()}{first[1:]} chance gives (black tick) for being among the best {self.best} of "
            f"{counted(self.trials, 'ended trial')} by {metric_label(self.metric)}. PED-ANOVA, bootstrapped over "
            "trials; it says what told the best from the rest in this search, not what would help elsewhere."
        )


def compute_importances(study: StudyFiles) -> Importances | None:
    """Return the importances of every parameter that varied; None with fewer than 12 ended trials.

    PED-ANOVA as Optuna has it, which keeps conditional parameters, on the configs of trials.csv. Numbers of more than
    five values enter as thirds (of 60 trials and more, fifths) of the trials: the method asks how the best trials'
    values are distributed against all trials' values, and that does not depend on the scale they are written in.
    """
    trials = ended_trials(study)
    names = varied_parameters(trials)
    if len(trials) < _LEAST_TRIALS or not names:
        return None
    codes = np.column_stack([_codes(trials[name], 5 if len(trials) >= 60 else 3) for name in names])
    # Stopped trials did not get as far as completed ones; their rank is behind those, not where their value would be.
    ranks = trials["rank"].to_numpy(dtype=float)
    top = min(0.5, max(0.1, _TOP_TRIALS / len(trials)))
    generator = np.random.default_rng(0)
    once = np.ones(len(trials))
    drawn = generator.multinomial(len(trials), once / len(trials), size=_RESAMPLES)
    resampled = [shares(divergences(codes, ranks, copies, top)) for copies in drawn]
    found = divergences(codes, ranks, once, top)
    # Shares of shuffled trials would sum to 1 as well: chance is measured before that, in the same unit.
    chance = [divergences(codes, generator.permutation(ranks), once, top) for _ in range(_RESAMPLES)]
    low, high = np.quantile(resampled, [0.025, 0.975], axis=0)
    table = pd.DataFrame(
        {
            "parameter": [name.removeprefix("config.") for name in names],
            "importance": shares(found),
            "low": low,
            "high": high,
            "by_chance": np.quantile(chance, 0.95, axis=0) / (found.sum() or 1.0),
            "trials": [int(trials[name].notna().sum()) for name in names],
        }
    ).sort_values("importance", ascending=False, kind="stable", ignore_index=True)
    return Importances(table, len(trials), int(np.ceil(top * len(trials))), objective_of(study).metric)


def _codes(values: pd.Series, parts: int) -> np.ndarray:
    grouped, order = groups(values, parts)
    return grouped.map({name: code for code, name in enumerate(order)}).fillna(-1).to_numpy(dtype=int)


def plot_importances(data: Importances) -> Figure:
    """Draw a bar per parameter with its interval and what chance gives, the most important on top."""
    rows = data.parameters.head(_SHOWN)
    drawn, (axis,) = style.figure(1.0 + 0.3 * len(rows))
    places = np.arange(len(rows))
    axis.barh(places, rows["importance"], height=0.62, color=style.COLOURS[4])
    axis.hlines(places, rows["low"], rows["high"], color=style.COLOURS[0], linewidth=2, label="95 % interval")
    axis.scatter(
        rows["by_chance"], places, 150, style.INK, marker="|", linewidths=2, label="what chance gives", zorder=3
    )
    axis.set_yticks(places, [parameter_label(name) for name in rows["parameter"]])
    axis.invert_yaxis()
    axis.grid(visible=False, axis="y")
    axis.set_xlim(left=0)
    axis.set_xlabel("importance (share of 1)")
    style.legend_below(drawn, axis)
    return drawn
