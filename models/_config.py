"""What a config may hold, as data, and the one check that every network passes before it is built.

A setting says which values its key takes; `when` makes it conditional on another key. In the manner of
scikit-learn's `_param_validation`: the constraints are values, so errors, tests and documentation read
the same ones.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from types import MappingProxyType
from typing import Any


class ConfigError(ValueError):
    """A config that no network can be built from; one line names the key or value and what is allowed."""


@dataclass(frozen=True)
class When:
    """The setting exists only while the config's `key` has one of `values`."""

    key: str
    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.key, str):
            raise TypeError(f"When takes a key of the config, not {self.key!r}")
        _check_values("When('key', ...)", self.values)


@dataclass(frozen=True)
class OneOf:
    """One of a few values; `True` is not taken for 1. With an `absent` value, a config without the key means that."""

    values: tuple[Any, ...]
    when: When | None = None
    absent: Any = None

    def __post_init__(self) -> None:
        _check_values("OneOf(...)", self.values)
        _check_when("OneOf(...)", self.when)

    def allows(self, value: Any) -> bool:
        """Whether `value` is one of them, type included."""
        return any(type(value) is type(choice) and value == choice for choice in self.values)

    def examples(self) -> tuple[Any, ...]:
        """All of its values."""
        return self.values

    def __str__(self) -> str:
        return ("one of " if len(self.values) > 1 else "") + ", ".join(map(str, self.values))


@dataclass(frozen=True)
class Number:
    """A finite number from `low` to `high`; the ends belong to it unless opened. `whole` asks for an int."""

    low: float
    high: float = math.inf
    whole: bool = False
    open_low: bool = False
    open_high: bool = False
    when: When | None = None

    def __post_init__(self) -> None:
        for end in (self.low, self.high):
            if isinstance(end, bool) or not isinstance(end, Real) or math.isnan(end):
                raise TypeError(f"Number(low, high) takes two numbers, not {end!r}")
        for name in ("whole", "open_low", "open_high"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} of Number(...) is True or False, not {getattr(self, name)!r}")
        _check_when("Number(...)", self.when)

    def allows(self, value: Any) -> bool:
        """Whether `value` lies inside; a bool, a NaN and an infinity never do."""
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return False
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        return above and below and math.isfinite(value)

    def examples(self) -> tuple[Any, ...]:
        """Its lowest value (or one just above an open end), and one in the middle."""
        if self.whole:
            return (int(self.low), int(self.low) + 1)
        span = 1.0 if math.isinf(self.high) else self.high - self.low
        return (self.low + 1e-3 * span if self.open_low else float(self.low), self.low + span / 4)

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        low = f"{'above' if self.open_low else 'of at least'} {self.low:g}"
        if math.isinf(self.high):
            return f"{kind} {low}"
        return f"{kind} {low} and {'below' if self.open_high else 'at most'} {self.high:g}"


def _check_values(what: str, values: object) -> None:
    """Refuse values that stand one by one, or a text, which is a sequence of its letters."""
    if isinstance(values, str | bytes) or not isinstance(values, Collection):
        example = what.replace("...", f"({values!r}, ...)")
        raise TypeError(f"{what} takes all of its values in one tuple, {example}, not {values!r}")


def _check_when(what: str, when: object) -> None:
    if when is not None and not isinstance(when, When):
        raise TypeError(f"when of {what} is When(key, values), not {when!r}; several values go into one tuple")


Setting = OneOf | Number
FLAG = OneOf((True, False))

TRAINING: Mapping[str, Setting] = MappingProxyType(
    {
        "optimizer": OneOf(("adam", "adamw", "sgd", "adagrad", "rmsprop")),
        "lr": Number(0, open_low=True),
        "weight_decay": Number(0),
        "momentum": Number(0, 1, open_high=True, when=When("optimizer", ("sgd", "rmsprop"))),
        # what is pulled to 0: the weights of layers alone, or all parameters as PyTorch's optimizers do by themselves
        "decay": OneOf(("weights", "all"), absent="all"),
        "nesterov": OneOf((False, True), when=When("optimizer", ("sgd",)), absent=False),
        "schedule": OneOf(("constant", "cosine", "one_cycle")),
        # the network that is evaluated and kept: the one in training, or the moving average of its weights
        "weight_averaging": OneOf(("none", "ema"), absent="none"),
        # after how many epochs a state of the weights counts for 1/e of what it did
        "averaged_epochs": Number(0, open_low=True, when=When("weight_averaging", ("ema",))),
        "batch_size": Number(1, whole=True),
    }
)
"""The part of every config that says how to train: checked here, used by the training loop alone."""


def check_config(config: Mapping[str, Any], settings: Mapping[str, Setting], where: str) -> None:
    """Raise `ConfigError` unless `config` has exactly the keys that `settings` ask for, with allowed values.

    `where` names whose settings these are in the messages, for example "architecture dense".
    """
    for key in config:
        if key not in settings:
            raise ConfigError(_unknown(f"key {key!r} for {where}", str(key), settings))
    for key, setting in settings.items():
        if not _asked(setting, config):
            if key in config:
                assert setting.when is not None
                allowed = " or ".join(map(str, setting.when.values))
                given = config.get(setting.when.key)
                raise ConfigError(f"key {key!r} belongs to {setting.when.key} {allowed}, not to {given}")
        elif key not in config:
            raise ConfigError(f"the config for {where} lacks the key {key!r}, {setting}")
        elif not setting.allows(config[key]):
            raise ConfigError(f"{key} must be {setting}, not {config[key]!r}")


def with_absent(config: Mapping[str, Any], settings: Mapping[str, Setting]) -> dict[str, Any]:
    """Return a config with the keys that it lacks where their setting says what that means.

    A config of a version that had no such key lacks it.
    """
    absent = {
        key: setting.absent
        for key, setting in settings.items()
        if isinstance(setting, OneOf) and setting.absent is not None and _asked(setting, config)
    }
    return {**absent, **config}


def _asked(setting: Setting, config: Mapping[str, Any]) -> bool:
    return setting.when is None or config.get(setting.when.key) in setting.when.values


def choose(config: Mapping[str, Any], key: str, choices: Mapping[str, Any]) -> Any:
    """Return the entry of `choices` that `config[key]` names; a `ConfigError` lists the names otherwise."""
    if key not in config:
        raise ConfigError(f"the config lacks the key {key!r}, one of {', '.join(choices)}")
    name = config[key]
    if not isinstance(name, str) or name not in choices:
        raise ConfigError(_unknown(f"{key} {name!r}", str(name), choices))
    return choices[name]


def _unknown(what: str, name: str, allowed: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, allowed, n=1, cutoff=0.75)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"unknown {what}{hint}; allowed: {', '.join(allowed)}"
