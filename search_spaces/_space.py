"""What a search space is, and how a given config becomes the parameters that Optuna enqueues."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from search_spaces._reported import reported_for

if TYPE_CHECKING:
    import optuna

ImageShape = tuple[int, int, int]


@dataclass(frozen=True)
class Context:
    """What a space has to know about the study that searches it.

    Attributes:
        image_shape: (channels, height, width) of the study's images, in pixels.
        num_classes: classes of the study's data set.
        reported: whether the reports' own networks take part.
    """

    image_shape: ImageShape
    num_classes: int
    reported: bool = True


@dataclass(frozen=True)
class Point:
    """A config that a study runs before it samples any.

    Attributes:
        config: the flat config.
        params: what `optuna.Study.enqueue_trial` takes for `suggest` to return that config.
        key: "default", or the key of a reported configuration.
    """

    config: dict[str, Any]
    params: dict[str, Any]
    key: str


@dataclass(frozen=True)
class Space:
    """One family searched on one data set.

    Attributes:
        name: `<dataset>_<family>`, the name of its file.
        dataset, family: what it is made for.
        description: one line for a listing.
        metric: the objective; `mode`, "min" or "max", is its direction.
        trials, epochs: the budget where none is asked for.
        image_shape: the data set's own (channels, height, width), in pixels.
        suggest: from a trial and a context to a whole flat config, define-by-run.
        default: the config that one would try first by hand.
    """

    name: str
    dataset: str
    family: str
    description: str
    metric: str
    mode: str
    trials: int
    epochs: int
    image_shape: ImageShape
    suggest: Callable[[optuna.Trial, Context], dict[str, Any]]
    default: Mapping[str, Any]

    def points(self, context: Context) -> list[Point]:
        """Return the configs to run first: the default, then the reported ones that fit the study.

        On images of another shape a value of the default that lies out of bounds moves to the nearest one.
        """
        own_shape = context.image_shape == self.image_shape
        points = [self._point("default", self.default, context, clip=not own_shape)]
        reported = reported_for(self.name, context.image_shape) if context.reported else {}
        return points + [self._point(key, entry.config, context) for key, entry in reported.items()]

    def _point(self, key: str, config: Mapping[str, Any], context: Context, clip: bool = False) -> Point:
        replay = _Replay(config, clip)
        resolved = self.suggest(cast("optuna.Trial", replay), context)
        if not clip and resolved != config:
            raise ValueError(f"space {self.name} cannot express {key}: asked {dict(config)}, got {resolved}")
        return Point(config=resolved, params=replay.params, key=key)


class _Replay:
    """A trial whose answers come from a given config.

    Running `suggest` on it yields the parameters of that config, conditionals included, so no space needs
    a second function that goes the other way.
    """

    def __init__(self, config: Mapping[str, Any], clip: bool) -> None:
        self.params: dict[str, Any] = {}
        self._config = config
        self._clip = clip

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._answer(name, self._value(name), inside=lambda value: value in choices)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        value = self._value(name)
        if self._clip:
            value = min(max(value, low), high)
        return self._answer(name, value, lambda value: low <= value <= high and (value - low) % step == 0)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        value = self._value(name)
        if self._clip:
            value = min(max(value, low), high)
        steps = (value - low) / step if step else 0.0
        on_grid = math.isclose(steps, round(steps), abs_tol=1e-8)
        return self._answer(name, value, lambda value: low <= value <= high and on_grid)

    def _answer(self, name: str, value: Any, inside: Callable[[Any], bool]) -> Any:
        if not inside(value):
            raise ValueError(f"{name} = {value!r} lies outside what the space searches")
        self.params[name] = value
        return value

    def _value(self, name: str) -> Any:
        """Find what a parameter's value was; see `search_spaces._parameters` for how parameters are named."""
        config = self._config
        if name == "l2":
            return config["weight_decay"] > 0
        if name == "architecture":
            return "reported" if "/" in config["architecture"] else config["architecture"]
        if name == "reported_architecture":
            return config["architecture"]
        if name in config:
            return config[name]
        owners = (value for value in config.values() if isinstance(value, str))
        return next(config[name.removeprefix(f"{owner}_")] for owner in owners if name.startswith(f"{owner}_"))
