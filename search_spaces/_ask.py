"""How a space asks for a config, and who answers: an Optuna trial, or a config that is given.

A space's function asks for one key of the config after another, define-by-run. Each question says which key
it fills and, where that is not the same, what Optuna calls the parameter. So one function serves both ways:
asked of a trial it makes a config, asked of a config it gives the parameters to enqueue.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import optuna

Bounds = tuple[int, int]
"""(lowest, highest), both included"""


@dataclass(frozen=True)
class Scaled:
    """Where a number is drawn from: the parameter within `bounds`, which a config has times `factor`."""

    bounds: tuple[float, float]
    step: float | None
    log: bool
    factor: float

    def parameter(self, value: float) -> float:
        """Return the parameter of a config's value; what rounding alone puts out of bounds is the bound."""
        if self.factor == 1.0:
            return value
        found = value / self.factor
        return next((bound for bound in self.bounds if math.isclose(found, bound)), found)


class Ask(ABC):
    """Fills `config`, a flat config, by asking for its values.

    `name` is Optuna's name for the parameter where it is not the key itself. In one study a name must always
    have the same distribution, so a range that depends on another choice takes that choice into its name:
    `sgd_effective_lr`, `conv_depth`.
    """

    def __init__(self) -> None:
        self.config: dict[str, Any] = {}
        self._held: dict[str, int] = {}

    def hold(self, **values: int) -> None:
        """Fill keys with what the study holds fixed, wherever a whole number is asked for them."""
        self._held |= values

    def fix(self, **values: Any) -> None:
        """Fill keys that are not searched here."""
        self.config |= values

    def usual(self, key: str, value: Any) -> None:
        """Fill a key that is not searched with `value`; a given config has its own, or none as an earlier one."""
        self.config[key] = value

    def choice(self, key: str, choices: Sequence[Any], *, name: str | None = None) -> Any:
        """Fill `key` with one of `choices` and return it."""
        self.config[key] = self._choice(name or key, choices, lambda config: config[key])
        return self.config[key]

    def option(self, key: str, choices: Sequence[Any], *, name: str | None = None) -> Any:
        """Return one of `choices`; the first is what a config without `key` means, and all others fill it."""
        value = self._choice(name or key, choices, lambda config: config.get(key, choices[0]))
        if value != choices[0] or self._says(key):
            self.config[key] = value
        return value

    def integer(self, key: str, bounds: Bounds, *, name: str | None = None, log: bool = False) -> int:
        """Fill `key` with a whole number within `bounds` and return it."""
        value = self._held[key] if key in self._held else self._integer(name or key, key, bounds, log)
        self.config[key] = value
        return value

    def number(
        self,
        key: str,
        bounds: tuple[float, float],
        *,
        name: str | None = None,
        step: float | None = None,
        log: bool = False,
        factor: float = 1.0,
    ) -> float:
        """Fill `key` with `factor` times a number within `bounds`, in steps from the lowest if given, and return it.

        A range that depends on a number that was asked before is one range, of the parameter that both make.
        """
        value = self._number(name or key, key, Scaled(bounds, step, log, factor))
        self.config[key] = value
        return value

    def decision(self, name: str, choices: Sequence[Any], of: Callable[[Mapping[str, Any]], Any]) -> Any:
        """Return one of `choices`, which fills no key; `of(config)` says which one a given config stands for."""
        return self._choice(name, choices, of)

    def unless(
        self, key: str, usual: float, bounds: tuple[float, float], *, flag: str, name: str | None = None
    ) -> None:
        """Fill `key` with `usual` or, where the parameter `flag` is true, with a number on a logarithmic scale.

        A logarithmic range cannot hold 0, and hits no other single value either.
        """
        if self.decision(flag, (True, False), lambda config: config[key] != usual):
            self.number(key, bounds, name=name, log=True)
        else:
            self.config[key] = usual

    def _says(self, key: str) -> bool:
        """Whether the config that answers has this key, though it need not."""
        return False

    @abstractmethod
    def _choice(self, name: str, choices: Sequence[Any], of: Callable[[Mapping[str, Any]], Any]) -> Any: ...

    @abstractmethod
    def _integer(self, name: str, key: str, bounds: Bounds, log: bool) -> int: ...

    @abstractmethod
    def _number(self, name: str, key: str, within: Scaled) -> float: ...


class AskTrial(Ask):
    """Asks an Optuna trial."""

    def __init__(self, trial: optuna.Trial) -> None:
        super().__init__()
        self._trial = trial

    def _choice(self, name: str, choices: Sequence[Any], of: Callable[[Mapping[str, Any]], Any]) -> Any:
        return self._trial.suggest_categorical(name, choices)

    def _integer(self, name: str, key: str, bounds: Bounds, log: bool) -> int:
        return self._trial.suggest_int(name, *bounds, log=log)

    def _number(self, name: str, key: str, within: Scaled) -> float:
        return within.factor * self._trial.suggest_float(name, *within.bounds, step=within.step, log=within.log)


class AskConfig(Ask):
    """Asks a given config, and keeps in `params` what Optuna has to enqueue for it.

    With `clip` a number that lies out of bounds moves to the nearest one; otherwise, as always for a choice,
    it is an error.
    """

    def __init__(self, given: Mapping[str, Any], *, clip: bool = False) -> None:
        super().__init__()
        self.params: dict[str, Any] = {}
        self._given = given
        self._clip = clip

    def usual(self, key: str, value: Any) -> None:
        if key in self._given:
            self.config[key] = self._given[key]

    def _says(self, key: str) -> bool:
        return key in self._given

    def _choice(self, name: str, choices: Sequence[Any], of: Callable[[Mapping[str, Any]], Any]) -> Any:
        value = of(self._given)
        return self._answer(name, value, value in choices)

    def _integer(self, name: str, key: str, bounds: Bounds, log: bool) -> int:
        value = self._clipped(self._given[key], bounds)
        answer: int = self._answer(name, value, bounds[0] <= value <= bounds[1])
        return answer

    def _number(self, name: str, key: str, within: Scaled) -> float:
        (low, high), step = within.bounds, within.step
        given: float = self._given[key]
        asked = within.parameter(given)
        value = self._clipped(asked, within.bounds)
        steps = (value - low) / step if step else 0.0
        on_grid = math.isclose(steps, round(steps), abs_tol=1e-8)
        self._answer(name, value, low <= value <= high and on_grid)
        return given if value == asked else within.factor * value  # as it was given, not as two roundings leave it

    def _clipped(self, value: Any, bounds: tuple[float, float]) -> Any:
        return min(max(value, bounds[0]), bounds[1]) if self._clip else value

    def _answer(self, name: str, value: Any, inside: bool) -> Any:
        if not inside:
            raise ValueError(f"{name} = {value!r} lies outside what the space searches")
        self.params[name] = value
        return value
