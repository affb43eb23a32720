"""What a space searches, as text: to see it, and to notice that it has changed."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from search_spaces._ask import Ask, Bounds
from search_spaces._space import Context, Space

_DRAWS = 500  # enough to come to every conditional parameter, in a few hundredths of a second


def outline(space: Space, context: Context) -> dict[str, str]:
    """Return the range of every parameter that a study of the space can ask for, by name.

    Keys that the space fixes are there with the values that they can have. Conditional parameters are found by drawing
    configs, always the same ones.
    """
    found: dict[str, str] = {}
    fixed: dict[str, set[str]] = {}
    generator = random.Random(0)
    for _ in range(_DRAWS):
        ask = _AskAnything(generator)
        space.answer(ask, context)
        found |= ask.ranges
        for key, value in ask.fixed.items():
            fixed.setdefault(key, set()).add(repr(value))
    return {**found, **{f"fixed {key}": ", ".join(sorted(values)) for key, values in fixed.items()}}


class _AskAnything(Ask):
    """Answers at random, and keeps what it was asked."""

    def __init__(self, generator: random.Random) -> None:
        super().__init__()
        self.ranges: dict[str, str] = {}
        self.fixed: dict[str, Any] = {}
        self._generator = generator

    def fix(self, **values: Any) -> None:
        super().fix(**values)
        self.fixed |= values

    def _choice(self, name: str, choices: Sequence[Any], of: Callable[[Mapping[str, Any]], Any]) -> Any:
        self.ranges[name] = "one of " + ", ".join(map(repr, choices))
        return self._generator.choice(list(choices))

    def _integer(self, name: str, key: str, bounds: Bounds, log: bool) -> int:
        self.ranges[name] = f"integer {bounds[0]} to {bounds[1]}{_scale(log)}"
        return self._generator.randint(*bounds)

    def _number(self, name: str, key: str, bounds: tuple[float, float], step: float | None, log: bool) -> float:
        steps = f" in steps of {step:g}" if step else ""
        self.ranges[name] = f"number {bounds[0]:g} to {bounds[1]:g}{steps}{_scale(log)}"
        return self._generator.uniform(*bounds) if not step else bounds[0]


def _scale(log: bool) -> str:
    return ", logarithmic" if log else ""
