"""What mattered: PED-ANOVA importances of the searched parameters, with their spread and what chance gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures import Drawing, _chance, style
from analysis.figures._parameters import groups, varied_parameters
from analysis.study_files import StudyFiles
from analysis.trials import ended_trials, ranked_words
from analysis.words import parameter_label
from study.record import metrics
from study.record.words import joined

_PRIOR = 1.0  # trials that a uniform distribution counts for, Optuna's `prior_weight`
_LEAST_IN_REGIME = 2
_RESAMPLES = 200


def shares(found: np.ndarray) -> np.ndarray:
    """Return divergences as shares of their sum, which are the importances; all 0 if they are."""
    total = found.sum()
    return found / total if total > 0 else found


def divergences(codes: np.ndarray, ranks: np.ndarray, copies: np.ndarray, quantile: float) -> np.ndarray:
    """Return what each parameter had to do with being among the best, (parameters,), from 0.

    For a parameter that all trials have it is the Pearson divergence of its distribution among the best trials from
    that among all trials (Watanabe et al., "PED-ANOVA", IJCAI 2023); for a conditional one, that of the trials that
    have it, times the squared share of those among the best over their share among all ("Conditional PED-ANOVA", 2026,
    theorem 4.2).

    Args:
        codes: (trials, parameters) the index of each value, -1 where a trial does not have the parameter.
        ranks: (trials,) smaller is better.
        copies: (trials,) how often each trial is in the sample.
        quantile: the share of the trials that count as the best.
    """
    best = _best(ranks, copies, quantile)
    return np.concatenate([_divergence(column, copies, best[np.newaxis]) for column in codes.T])


def _best(ranks: np.ndarray, copies: np.ndarray, quantile: float) -> np.ndarray:
    """Return how often each trial is among the best, (trials,)."""
    drawn = copies > 0
    order = np.argsort(ranks[drawn], kind="stable")
    reached = np.cumsum(copies[drawn][order])
    last = ranks[drawn][order][np.searchsorted(reached, np.ceil(quantile * reached[-1]))]
    return np.where(ranks <= last, copies, 0)


def _divergence(column: np.ndarray, copies: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Return one parameter's divergence for each of several choices of the best: (choices,) of (choices, trials)."""
    has = column >= 0
    values = int(column.max()) + 1
    everywhere = np.bincount(column[has], copies[has], values)
    if values < 2 or everywhere.sum() < _LEAST_IN_REGIME:
        return np.zeros(len(best))
    among_best = (column[has] == np.arange(values)[:, np.newaxis]).astype(float) @ best[:, has].T
    top, local = _density(among_best), _density(everywhere[:, np.newaxis])
    divergence = (local * (top / local - 1) ** 2).sum(axis=0)
    share = among_best.sum(axis=0) / best.sum(axis=1)
    found: np.ndarray = share**2 / (everywhere.sum() / copies.sum()) * divergence
    return found


def greatest_by_chance(codes: np.ndarray, ranks: np.ndarray, quantile: float, generator: np.random.Generator) -> float:
    """Return what the greatest divergence of all parameters exceeds in at most 5 % of the studies where none matters.

    The arguments are those of `divergences`; shuffled is which trials are the best.
    """
    once = np.ones(len(ranks))

    def greatest(shuffled: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.max([_divergence(column, once, shuffled) for column in codes.T], axis=0)
        return found

    return _chance.greatest_by_chance(greatest, _best(ranks, once, quantile), generator)


def _density(counts: np.ndarray) -> np.ndarray:
    """Return the probability of each value, smoothed as Optuna's Parzen estimator of a categorical parameter does.

    For each column of `counts`, (values, choices).
    """
    kernels, total = np.count_nonzero(counts, axis=0) + 1, counts.sum(axis=0)
    smoothed = (total / kernels + counts) / (len(counts) / kernels + 1)
    density: np.ndarray = (smoothed + _PRIOR / len(counts)) / (total + _PRIOR) + 1e-12
    return density


_LEAST_TRIALS = 12
_TOP_TRIALS = 5  # Optuna's advice: at least as many above the target quantile
_SHOWN = 14


@dataclass(frozen=True, eq=False)
class Importances:
    """Importances of parameters for being among the best trials; they sum to 1.

    Attributes:
        parameters: a row per parameter, the most important first: parameter, importance, low and high (95 %, bootstrap
            over trials), by_chance (what the greatest of all parameters exceeds in one of twenty shuffles of the
            objective, the same for each), trials that had it.
        trials: how many were ranked.
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
            f"{ranked_words(self.trials)} by {metrics.label(self.metric)}. Chance is the greatest importance "
            "of all parameters in shuffles of the objective: if none mattered, one would be named in at most one study "
            "of twenty. PED-ANOVA, bootstrapped over trials; it says what told the best from the rest in this search, "
            "not what would help elsewhere."
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
    chance = greatest_by_chance(codes, ranks, top, generator)
    low, high = np.quantile(resampled, [0.025, 0.975], axis=0)
    table = pd.DataFrame(
        {
            "parameter": [name.removeprefix("config.") for name in names],
            "importance": shares(found),
            "low": low,
            "high": high,
            "by_chance": chance / (found.sum() or 1.0),
            "trials": [int(trials[name].notna().sum()) for name in names],
        }
    ).sort_values("importance", ascending=False, kind="stable", ignore_index=True)
    return Importances(table, len(trials), int(np.ceil(top * len(trials))), study.metric)


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


DRAWINGS = (Drawing("what-mattered", "importances", "Importances", compute_importances, plot_importances),)
