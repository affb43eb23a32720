"""The samplers of the command, by name: one factory each, from a seed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

import numpy as np
import optuna
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

SAMPLERS: Mapping[str, Callable[[int], BaseSampler]] = {
    # Running trials count as bad ones, or trials side by side would be asked for the same place.
    "tpe": lambda seed: TPESampler(seed=seed, constant_liar=True),
    "random": lambda seed: RandomSampler(seed=seed),
    "gp": lambda seed: GPSampler(seed=seed, deterministic_objective=False),
    "nsga2": lambda seed: NSGAIISampler(seed=seed, population_size=20),
}


def sampler_for_trial(name: str, seed: int, number: int) -> BaseSampler:
    """Return the sampler of one trial.

    A sampler of its own for every trial, seeded by (study seed, trial number), draws what it would have drawn in an
    uninterrupted study; one long-lived generator would begin again after a resume.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return SAMPLERS[name](derive_seed(seed, number))


def derive_seed(*parts: int) -> int:
    """Mix integers into one 32-bit seed; different parts give unrelated seeds."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])
