"""PED-ANOVA importances of categorical parameters, over many resamples of the trials at once.

The same numbers as Optuna's `PedAnovaImportanceEvaluator`, which a test holds this to: that one takes a tenth of
a second per hundred trials, and an interval needs hundreds of evaluations.
"""

from __future__ import annotations

import numpy as np

_PRIOR = 1.0  # trials that a uniform distribution counts for, Optuna's `prior_weight`
_LEAST_IN_REGIME = 2


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
    drawn = copies > 0
    order = np.argsort(ranks[drawn], kind="stable")
    reached = np.cumsum(copies[drawn][order])
    last = ranks[drawn][order][np.searchsorted(reached, np.ceil(quantile * reached[-1]))]
    best = np.where(ranks <= last, copies, 0)
    return np.array([_divergence(column, copies, best) for column in codes.T])


def _divergence(column: np.ndarray, copies: np.ndarray, best: np.ndarray) -> float:
    has = column >= 0
    values = int(column.max()) + 1
    everywhere = np.bincount(column[has], copies[has], values)
    among_best = np.bincount(column[has], best[has], values)
    if values < 2 or everywhere.sum() < _LEAST_IN_REGIME or not among_best.any():
        return 0.0
    top, local = _density(among_best), _density(everywhere)
    divergence = float(local @ (top / local - 1) ** 2)
    share = among_best.sum() / best.sum()
    return float(share**2 / (everywhere.sum() / copies.sum()) * divergence)


def _density(counts: np.ndarray) -> np.ndarray:
    """Return the probability of each value, smoothed as Optuna's Parzen estimator of a categorical parameter does."""
    kernels = np.count_nonzero(counts) + 1
    smoothed = (counts.sum() / kernels + counts) / (len(counts) / kernels + 1)
    density: np.ndarray = (smoothed + _PRIOR / len(counts)) / (counts.sum() + _PRIOR) + 1e-12
    return density
