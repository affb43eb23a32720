"""The samplers and schedulers that a study can choose from: one line each, without the libraries that implement them.

The command line reads the names here, since Optuna and Ray take seconds to import; `study.search` makes the objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

RANDOM_START = 10  # trials that are drawn at random before a sampler models them: Optuna's own number
REDUCTION_FACTOR = 3
"""A third of the trials passes each rung. Li et al. 2020 (ASHA) use 4; 30 epochs then have two rungs only."""


@dataclass(frozen=True)
class Sampler:
    """A sampler of Optuna's.

    Attributes:
        help: What it is, in a few words.
        name: Its class, "NAME" in `optuna.samplers` or "MODULE:NAME" elsewhere; it takes a `seed`.
        options: What else it is made with.
        learns_from: How many ended trials it is shown of a longer study, None for all.
        random_start: The argument that says how many trials end before it begins to model, "" if it does not model.
        several: Whether it can search for several objectives at once.
    """

    help: str
    name: str
    options: Mapping[str, bool | int | float | str] = field(default_factory=dict)
    several: bool = False
    random_start: str = ""
    learns_from: int | None = None


@dataclass(frozen=True)
class Scheduler:
    """A rule by which trials are stopped early.

    Attributes:
        help: What it is, in a few words.
        rule: The rule, as `study.search.schedulers` knows it.
        brackets: Of successive halving: how many grace periods trials are spread over.
        several: Whether it can judge several objectives at once.
    """

    help: str
    rule: Literal["halving", "median", "none"]
    brackets: int = 1
    several: bool = False


SAMPLERS: Mapping[str, Sampler] = {
    # Multivariate: parameters depend on each other (Falkner et al. 2018, BOHB); Optuna's own default depends on its
    # version and on the number of objectives. Running trials count as bad ones (constant_liar), or trials side by side
    # would be asked for the same place. Of 250 trials it takes 25 for good ones, of more not one more.
    "tpe": Sampler(
        "tree-structured Parzen estimator",
        "TPESampler",
        {"multivariate": True, "constant_liar": True},
        several=True,
        random_start="n_startup_trials",
        learns_from=250,
    ),
    "random": Sampler("independent draws", "RandomSampler"),
    "gp": Sampler("Gaussian process", "GPSampler", {"deterministic_objective": False}, random_start="n_startup_trials"),
    "nsga2": Sampler("genetic, for a Pareto front", "NSGAIISampler", {"population_size": 20}, several=True),
}

SCHEDULERS: Mapping[str, Scheduler] = {
    "asha": Scheduler("asynchronous successive halving; of several objectives by fronts", "halving", several=True),
    "hyperband": Scheduler("successive halving from three grace periods", "halving", brackets=3),
    "median": Scheduler("stop what is worse than the median of the trials before", "median"),
    "none": Scheduler("every trial has its whole budget", "none", several=True),
}

MULTI_OBJECTIVE_SAMPLERS = tuple(name for name, sampler in SAMPLERS.items() if sampler.several)
