"""The ranges that a trial's numbers were drawn from, as its search space has them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

import search_spaces
from analysis.study_files import StudyFiles
from search_spaces import AskConfig


@dataclass(frozen=True)
class Range:
    """A number of a config and the range it was drawn from.

    Attributes:
        name: Optuna's name of the parameter: the key, or more where the range depends on another choice (`sgd_lr`).
        value: the number.
        low, high: the bounds, both included.
        log: whether the scale is logarithmic.
    """

    name: str
    value: float
    low: float
    high: float
    log: bool

    @property
    def position(self) -> float:
        """Where the value lies between the bounds, 0 to 1 on the range's own scale."""
        if self.high <= self.low:
            return math.nan
        if self.log:
            return math.log(self.value / self.low) / math.log(self.high / self.low)
        return (self.value - self.low) / (self.high - self.low)


@dataclass
class _Recorder(AskConfig):
    """Answers with a trial's config, and keeps the range of every number it is asked for."""

    given: Mapping[str, Any]
    ranges: list[Range] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(self.given, clip=True)

    def _integer(self, name: str, key: str, bounds: tuple[int, int], log: bool) -> int:
        answer = super()._integer(name, key, bounds, log)
        self.ranges.append(Range(name, float(answer), float(bounds[0]), float(bounds[1]), log))
        return int(answer)

    def _number(self, name: str, key: str, bounds: tuple[float, float], step: float | None, log: bool) -> float:
        answer = float(self._clipped(key, bounds))
        self.params[name] = answer
        self.ranges.append(Range(name, answer, float(bounds[0]), float(bounds[1]), log))
        return answer


def sampled_ranges(study: StudyFiles, trials: pd.DataFrame) -> list[list[Range]]:
    """Return the numbers that each trial drew, with their ranges; none for a trial that its space cannot express.

    Asked is the space of today: a study of an older version may have searched other ranges.
    """
    try:
        space = search_spaces.get(str(study.about["settings"]["space"]))
        data = study.about["data"]
        shape, classes = tuple(data["image_shape"]), len(data["class_names"])
    except (KeyError, TypeError):
        return [[] for _ in range(len(trials))]
    reported = tuple(dict.fromkeys(str(entry.config["architecture"]) for entry in search_spaces.reported().values()))
    columns = [str(name) for name in trials if str(name).startswith("config.")]
    found: list[list[Range]] = []
    for row in trials[columns].to_dict("records"):
        config = {str(key).removeprefix("config."): _plain(value) for key, value in row.items() if not pd.isna(value)}
        encoder = config if config.get("encoder") == "given" else None
        ask = _Recorder(config)
        try:
            space.search(ask, search_spaces.Context(shape, classes, encoder=encoder), reported)
        except (KeyError, ValueError, TypeError):
            found.append([])
        else:
            found.append(ask.ranges)
    return found


def _plain(value: Any) -> Any:
    """Return what a table made of a config's value: numbers that are whole may have come back as floats."""
    if isinstance(value, np.bool_):
        return bool(value)
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) >= 1 else value
