"""The parameters of a study's configs: which ones varied, on what scale, in which groups, from which ranges."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

import search_spaces
from analysis.study_files import StudyFiles
from analysis.words import value_label
from search_spaces import AskConfig, Scaled
from study.record import journal
from study.record.errors import StudyError
from study.record.words import number

_NOT_SEARCHED = ("config.family", "config.decay")
_FEW_VALUES = 5  # numbers of so many values at most are compared value by value
_LOG_RATIO = 20.0  # a range as wide as this is looked at on a logarithmic scale
_ZERO_ROOM = 0.14  # of an axis, for a 0 before a logarithmic range


def varied_parameters(trials: pd.DataFrame) -> list[str]:
    """Return the `config.*` columns in which these trials differ; absent counts as no value of its own.

    What L2 acts on (`decay`) is not searched: reported configurations have theirs, and it is no parameter.
    """
    names = [str(name) for name in trials if str(name).startswith("config.") and name not in _NOT_SEARCHED]
    return [name for name in names if trials[name].dropna().astype(str).nunique() > 1]


def are_numbers(values: pd.Series) -> bool:
    """Whether values are numbers: neither words nor switches."""
    return not values.dropna().map(lambda value: isinstance(value, (bool, str))).any()


def is_continuous(values: pd.Series) -> bool:
    """Whether a parameter is a number of more than five values."""
    return are_numbers(values) and values.nunique() > _FEW_VALUES


@dataclass(frozen=True)
class Scale:
    """Where the values of one parameter lie on an axis from 0 to 1.

    Attributes:
        kind: "linear", "log", "log with 0" or "categories".
        low, high: the least and greatest (positive, on a log scale) number.
        categories: the values in order, where they are not numbers.
        few: the numbers in order, where they are few.
    """

    kind: str
    low: float = 0.0
    high: float = 1.0
    categories: tuple[Any, ...] = ()
    few: tuple[float, ...] = ()

    @classmethod
    def of(cls, values: pd.Series) -> Scale:
        """Return the scale of the values that trials had."""
        known = values.dropna()
        if not are_numbers(known):
            return cls("categories", categories=tuple(ordered_values(known)))
        found = known.astype(float)
        few = () if is_continuous(known) else tuple(sorted(found.unique()))
        positive = found[found > 0]
        if len(positive) and found.min() >= 0 and positive.max() / positive.min() >= _LOG_RATIO:
            kind = "log" if found.min() > 0 else "log with 0"
            return cls(kind, float(positive.min()), float(positive.max()), few=few)
        return cls("linear", float(found.min()), float(found.max()), few=few)

    def positions(self, values: pd.Series) -> np.ndarray:
        """Return where values lie, from 0 to 1; NaN for one that is absent."""
        if self.kind == "categories":
            place = {str(value): i for i, value in enumerate(self.categories)}
            last = max(len(self.categories) - 1, 1)
            return np.array([math.nan if pd.isna(v) else place[str(v)] / last for v in values], dtype=float)
        found = values.to_numpy(dtype=float)
        if self.kind == "linear":
            return (found - self.low) / ((self.high - self.low) or 1.0)
        room = _ZERO_ROOM if self.kind == "log with 0" else 0.0
        with np.errstate(divide="ignore"):
            share = np.log(found / self.low) / (math.log(self.high / self.low) or 1.0)
        return np.where(found == 0, 0.0, room + (1 - room) * share)

    def ticks(self) -> list[tuple[float, str]]:
        """Return places on the axis with what stands there: every category, few numbers, or ends and middle."""
        if self.kind == "categories":
            last = max(len(self.categories) - 1, 1)
            return [(i / last, value_label(value)) for i, value in enumerate(self.categories)]
        if self.few:
            places = self.positions(pd.Series(self.few)).tolist()
            return [(at, number(value)) for at, value in zip(places, self.few, strict=True)]
        if self.kind == "linear":
            whole = float(self.low).is_integer() and float(self.high).is_integer()
            middle = (self.low + self.high) / 2
            middle = float(round(middle)) if whole else middle
            at = (middle - self.low) / ((self.high - self.low) or 1.0)
            return [(0.0, number(self.low)), (at, number(middle)), (1.0, number(self.high))]
        room = _ZERO_ROOM if self.kind == "log with 0" else 0.0
        zero = [(0.0, "0")] if room else []
        centre = number(math.sqrt(self.low * self.high), 2)
        return [*zero, (room, number(self.low, 2)), ((1 + room) / 2, centre), (1.0, number(self.high, 2))]


def ordered_values(values: pd.Series) -> list[Any]:
    """Return the different values, numbers by size, words by the alphabet."""
    different = {str(value): value for value in values.dropna()}
    numeric = all(not isinstance(value, str) for value in different.values())
    return sorted(different.values(), key=float if numeric else str)


def groups(values: pd.Series, parts: int = 3) -> tuple[pd.Series, list[str]]:
    """Return the name of each value's group, and the names in order.

    A group is a value itself or, of many numbers, a third of them (or fifth, `parts`). Thirds have as equal numbers of
    trials as equal values allow, and are named by their least and greatest value. A conditional parameter that a trial
    does not have has no group, NaN.
    """
    known = values.dropna()
    if not is_continuous(known):
        names = [value_label(value) for value in ordered_values(known)]
        return values.map(value_label, na_action="ignore"), names
    found = known.astype(float)
    third = (found.rank(method="average", pct=True) * parts).apply(np.ceil)
    named = {number_of: _range_name(float(part.min()), float(part.max())) for number_of, part in found.groupby(third)}
    return third.map(named).reindex(values.index), list(named.values())


def _range_name(low: float, high: float) -> str:
    return number(low) if low == high else f"{number(low)} … {number(high)}"


@dataclass(frozen=True)
class Range:
    """A number of a config and the range it was drawn from.

    Attributes:
        name: Optuna's name of the parameter: the key, or more where the range depends on another choice (`adagrad_lr`).
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
class _RangeReader(AskConfig):
    """Answers with a trial's config, and keeps the range of every number it is asked for."""

    given: Mapping[str, Any]
    ranges: list[Range] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(self.given, clip=True)

    def _integer(self, name: str, key: str, bounds: tuple[int, int], log: bool) -> int:
        answer = super()._integer(name, key, bounds, log)
        self.ranges.append(Range(name, float(answer), float(bounds[0]), float(bounds[1]), log))
        return int(answer)

    def _number(self, name: str, key: str, within: Scaled) -> float:
        low, high = within.bounds
        answer = float(self._clipped(within.parameter(self.given[key]), within.bounds))
        self.params[name] = answer
        self.ranges.append(Range(name, answer, float(low), float(high), within.log))
        return within.factor * answer


def sampled_ranges(study: StudyFiles, trials: pd.DataFrame) -> list[list[Range]]:
    """Return the numbers that each trial drew, with their ranges; none for a trial that its space cannot express.

    Asked is the space of today: a study of an older version may have searched other ranges. Of a space in a user's own
    file, which is not run, the journal has them.
    """
    if study.about.get("own"):
        return _recorded_ranges(study, trials)
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
        ask = _RangeReader(config)
        if (held := study.settings.get("latent_size")) is not None:
            ask.hold(latent_size=held)
        try:
            space.search(ask, search_spaces.Context(shape, classes, encoder=encoder), reported)
        except (KeyError, ValueError, TypeError):
            found.append([])
        else:
            found.append(ask.ranges)
    return found


def _recorded_ranges(study: StudyFiles, trials: pd.DataFrame) -> list[list[Range]]:
    """Return the numbers that each trial drew as the journal has them, none where there is no journal."""
    try:
        runs = journal.read_state(study.paths.journal).runs
    except (OSError, StudyError):
        return [[] for _ in range(len(trials))]
    found = []
    for name in trials["trial_id"]:
        asked = runs[name].optuna if name in runs else {}
        ranges = []
        for parameter, text in asked.get("distributions", {}).items():
            about = json.loads(text)["attributes"]
            if "low" in about:
                value, low, high = float(asked["params"][parameter]), float(about["low"]), float(about["high"])
                ranges.append(Range(parameter, value, low, high, bool(about["log"])))
        found.append(ranges)
    return found


def _plain(value: Any) -> Any:
    """Return what a table made of a config's value: numbers that are whole may have come back as floats."""
    if isinstance(value, np.bool_):
        return bool(value)
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) >= 1 else value
