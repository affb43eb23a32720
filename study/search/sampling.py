"""What each trial gets of its own: its sampler, its seed, and the epochs of its stages."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import numpy as np

import models
from search_spaces import Reported, Space
from study.settings.algorithms import RANDOM_START, SAMPLERS
from study.training.stages import Budget

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


def sampler_for_trial(name: str, seed: int, number: int, given: int = 0) -> BaseSampler:
    """Return the sampler of one trial.

    A sampler that models what has ended first draws `RANDOM_START` trials at random. They are counted from the
    configurations that the study was given (`given`), which are chosen by hand and cover no space.

    A sampler of its own for every trial, seeded by (study seed, trial number), draws what it would have drawn in an
    uninterrupted study; one long-lived generator would begin again after a resume.
    """
    import optuna

    sampler = SAMPLERS[name]
    module, _, kind = sampler.name.rpartition(":")
    make = getattr(import_module(module or "optuna.samplers"), kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        start = {sampler.random_start: RANDOM_START + given} if sampler.random_start else {}
        return cast("BaseSampler", make(seed=derive_seed(seed, number), **sampler.options, **start))


def derive_seed(*parts: int) -> int:
    """Mix integers into one 32-bit seed; different parts give unrelated seeds."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def searched_budget(config: Mapping[str, Any], space: Space, epochs: int) -> Budget:
    """Return the budget of a config of a search; a study of few epochs has as few in a first stage."""
    two_stages = models.pretraining_config(config) is not None
    return Budget(epochs, min(space.pretrain_epochs, epochs) if two_stages else 0)


def reported_budget(entry: Reported, most: int) -> Budget:
    """Return a report's own budget, no stage of which has more than `most` epochs."""
    *first, last = (min(epochs, most) for epochs in entry.epochs)
    return Budget(last, sum(first))
