"""What an hour of a machine costs, by a user's file, and what training has cost by that."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.record.errors import UsageError
from study.record.values import yaml_file
from study.record.words import duration

CURRENCY, GPU, PROCESSOR = "currency", "gpu", "processor"
"""Words of a file of prices; its other words name types of node and models of GPU."""


NOT_COUNTED = "idle machines, their start and a head that trains nothing are not in it"
"""What a study's cost leaves out: it is made of the seconds of recorded epochs."""


@dataclass(frozen=True)
class Part:
    """What a run has of the machine that it trains on.

    Attributes:
        node_type: the machine's type as the cluster calls it, "" where it has none.
        gpu_model: of its GPUs, as Ray calls it; "" without one.
        gpus: that the run has.
        cpus: that the run has.
        share: of the whole machine, above 0 and at most 1: one over the runs of this size that it takes at once. 0
            where it is not known which machine it was, as in journals of an earlier version.
    """

    node_type: str = ""
    gpu_model: str = ""
    gpus: float = 0.0
    cpus: float = 0.0
    share: float = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """The words by which a file of prices can mean the machine, the most particular first."""
        devices = (self.gpu_model, GPU) if self.gpus else (PROCESSOR,)
        return tuple(filter(None, (self.node_type, *devices)))


UNKNOWN = Part()
"""What a run of an earlier version had, and any run before it is placed."""


@dataclass(frozen=True)
class Cost:
    """What training has cost.

    Attributes:
        amount: in the file's currency.
        unpriced_s: seconds of training on machines that the file has no price for; they are not in the amount.
    """

    amount: float
    unpriced_s: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.amount + other.amount, self.unpriced_s + other.unpriced_s)

    @property
    def unpriced(self) -> str:
        """What follows on an amount that is not all: how much training has no price; "" where all has one."""
        return f"; {duration(self.unpriced_s)} of training have no price" if self.unpriced_s else ""


@dataclass(frozen=True)
class Prices:
    """Money for an hour: of a whole machine by its node type, of one GPU by its model, of any GPU, of a processor."""

    currency: str
    hourly: Mapping[str, float]

    def rate(self, part: Part) -> float | None:
        """Return what an hour of a run on such a part of a machine costs, None where there is no price for it."""
        name = next((name for name in part.names if name in self.hourly), None)
        if name is None or not part.share:
            return None
        if name == part.node_type:
            return self.hourly[name] * part.share
        return self.hourly[name] * (part.cpus if name == PROCESSOR else part.gpus)

    def cost(self, seconds: Mapping[Part, float]) -> Cost:
        """Return what so many seconds of training on each part of a machine have cost."""
        rates = {part: self.rate(part) for part in seconds}
        amount = sum(seconds[part] * rate / 3600 for part, rate in rates.items() if rate is not None)
        return Cost(amount, sum(seconds[part] for part, rate in rates.items() if rate is None))


def of_settings(settings: Mapping[str, Any]) -> Prices | None:
    """Return the prices of a study's recorded settings; None without any, as of an earlier version."""
    if not (found := settings.get("prices")):
        return None
    return Prices(found[CURRENCY], {name: price for name, price in found.items() if name != CURRENCY})


def file_of_prices(option: str, text: str) -> tuple[str, dict[str, Any]]:
    """Read a YAML file of prices; return its path and content: the currency, and money for an hour by name.

    Raises:
        UsageError: it cannot be read, or has no currency or no price that is a number.
    """
    found = yaml_file(option, Path(text), "prices; give lines such as 'currency: USD' and 'gpu: 2.5'")
    what = f"{option} {text!r}"
    currency = found.get(CURRENCY)
    if not (isinstance(currency, str) and re.fullmatch(r"[^\W\d_]{1,10}|[$€£¥]", currency)):
        given = "has no currency" if currency is None else f"currency {currency!r} is not allowed"
        raise UsageError(f"{what}: {given}; give a word of at most 10 letters, such as 'currency: USD'")
    prices = {str(name): price for name, price in found.items() if name != CURRENCY}
    for name, price in prices.items():
        if isinstance(price, bool) or not isinstance(price, int | float) or not 0 <= price < math.inf:
            raise UsageError(f"{what}: {name} {price!r} is not allowed; give money for an hour, a number of at least 0")
    if not prices:
        raise UsageError(f"{what}: has no prices; give a line for each type of node, or for {GPU} or {PROCESSOR}")
    return text, {CURRENCY: currency} | {name: float(price) for name, price in prices.items()}
