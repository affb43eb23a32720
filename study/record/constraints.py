"""Bounds that a study's networks are to keep, such as params<=1e6: read, judged and said."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean
from typing import Any

from study.record.errors import UsageError
from study.record.metrics import split_of

_FORM = re.compile(r"\s*([A-Za-z]\w*)\s*(<=|>=)\s*(\S+)\s*")


@dataclass(frozen=True)
class Constraint:
    """A bound of a named quantity.

    Attributes:
        name: "params", "latent_size", a number of the config, or a metric of an epoch.
        at_most: whether the bound is the largest value that is allowed; else it is the smallest.
        bound: that value.
    """

    name: str
    at_most: bool
    bound: float

    def __str__(self) -> str:
        return f"{self.name}{'<=' if self.at_most else '>='}{self.bound:.15g}"

    @property
    def is_measured(self) -> bool:
        """Whether the quantity is a metric, which is not known before a network trains."""
        return bool(split_of(self.name)[0]) or self.name == "seconds"

    def excess(self, known: Mapping[str, Any]) -> float:
        """Return how far beyond the bound a network is, 0 or less where it keeps it.

        A metric that is not there, or no number, is infinitely far. A setting that a config does not have, such as the
        width of one without such layers, keeps every bound: 0.

        Args:
            known: settings, sizes and metrics by name.
        """
        value = known.get(self.name)
        if value is None or math.isnan(value):
            return math.inf if self.is_measured else 0.0
        return float(value - self.bound if self.at_most else self.bound - value)


def bound(option: str, text: str) -> str:
    """Read "params <= 1e6" as "params<=1000000", as settings keep it."""
    return str(_parsed(option, text))


@cache
def _parsed(option: str, text: str) -> Constraint:
    """Return what a text says.

    Raises:
        UsageError: it cannot be read; the message says what can.
    """
    found = _FORM.fullmatch(text)
    try:
        limit = float(found[3]) if found else math.nan
    except ValueError:
        limit = math.nan
    if found is None or not math.isfinite(limit):
        raise UsageError(f"{option} {text!r} cannot be read; give NAME<=NUMBER or NAME>=NUMBER, such as 'params<=1e6'")
    return Constraint(found[1], found[2] == "<=", limit)


def of_texts(texts: Iterable[str]) -> list[Constraint]:
    """Return constraints from what settings keep of them."""
    return [_parsed("--constraint", text) for text in texts]


def of_settings(settings: Mapping[str, Any]) -> list[Constraint]:
    """Return the constraints of a study from its recorded settings; an earlier version had none."""
    return of_texts(settings.get("constraints") or ())


def unmet(constraints: Iterable[Constraint], known: Mapping[str, Any]) -> list[Constraint]:
    """Return those of several constraints that a network does not keep, see `Constraint.excess`."""
    return [constraint for constraint in constraints if constraint.excess(known) > 0]


def unmet_by_mean(constraints: Iterable[Constraint], seeds: Sequence[Mapping[str, Any]]) -> list[Constraint]:
    """Return those that a config does not keep in the mean over its seeds.

    Args:
        constraints: The study's.
        seeds: What is known of each of the config's runs, one at least.
    """
    return [one for one in constraints if fmean(one.excess(known) for known in seeds) > 0]


def said(constraints: Iterable[Constraint]) -> str:
    """Return constraints in words: "params<=1000 and val_mse<=0.01"."""
    return " and ".join(map(str, constraints))
