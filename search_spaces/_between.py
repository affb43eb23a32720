"""The configs of a space that lie between two of its own: some parameters as the one has them, the others as the other.

A parameter is what the space asks for under a name, as a sampler sees it: a learning rate of SGD is another one than
Adam's. What only the second config has, such as the layers of its architecture, comes with what it depends on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from search_spaces._ask import Ask, Bounds, Scaled
from search_spaces._space import Context, Point, Space


def _any(config: Mapping[str, Any]) -> bool:
    return True


@dataclass(frozen=True)
class Between:
    """Two configs of a space, and those that it could have drawn between them.

    Attributes:
        space, context: the space, and what it knows of the study.
        first, last: the two; `Space.point` makes them.
        allowed: says which configs the study would have trained; the two themselves are.
    """

    space: Space
    context: Context
    first: Point
    last: Point
    allowed: Callable[[Mapping[str, Any]], bool] = _any

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names of what both have with other values, in the order in which the space asks for them."""
        ask = _AskBoth(self.first, self.last, ())
        self.space.answer(ask, self.context)
        shared = [name for name in self.first.params if name in self.last.params]
        usual = [key for key in ask.unasked if self.first.config.get(key) != self.last.config.get(key)]
        return (*(name for name in shared if self.first.params[name] != self.last.params[name]), *usual)

    def config(self, taken: Collection[str]) -> dict[str, Any] | None:
        """Return the first config with the last one's values of some parameters; None where the space has none such.

        That is so where it would ask for what neither has, where a value is out of bounds, and where the study would
        have refused it.
        """
        ask = _AskBoth(self.first, self.last, taken)
        try:
            found = self.space.point("a config between two", self.space.answer(ask, self.context), self.context).config
        except (KeyError, ValueError):
            return None
        return found if found in (self.first.config, self.last.config) or self.allowed(found) else None

    def left(self, taken: Collection[str]) -> tuple[str, ...]:
        """Return the parameters that are still to be taken, none where the config is the last one already."""
        return () if self.config(taken) == self.last.config else tuple(p for p in self.parameters if p not in taken)

    def moves(self, taken: Collection[str]) -> dict[str, dict[str, Any]]:
        """Return by parameter the other configs that one more of them gives; one that changes nothing yet is left out.

        Where there are none, those that are left go together: the last config is always one of the space.
        """
        here = self.config(taken)
        found = {name: self.config((*taken, name)) for name in self.left(taken)}
        return {name: config for name, config in found.items() if config is not None and config != here}


class _AskBoth(Ask):
    """Answers with the values of two configs: of the last one those that are taken, and those that it alone has."""

    def __init__(self, first: Point, last: Point, taken: Collection[str]) -> None:
        super().__init__()
        self.unasked: list[str] = []
        """Keys that a space does not search and a given config may have otherwise."""
        self._first, self._last, self._taken = first, last, taken

    def _of(self, name: str) -> Point:
        if name in self._last.params and (name in self._taken or name not in self._first.params):
            return self._last
        if name in self._first.params:
            return self._first
        raise ValueError(f"{name} is asked for, which neither config has")

    def usual(self, key: str, value: Any) -> None:
        self.unasked.append(key)
        config = (self._last if key in self._taken else self._first).config
        if key in config:
            self.config[key] = config[key]

    def _choice(self, name: str, choices: Sequence[Any], of: Callable[[Mapping[str, Any]], Any]) -> Any:
        return self._of(name).params[name]

    def _integer(self, name: str, key: str, bounds: Bounds, log: bool) -> Any:
        return self._of(name).params[name]

    def _number(self, name: str, key: str, within: Scaled) -> Any:
        source = self._of(name)
        value, given = source.params[name], source.config.get(key)
        if given is not None and within.parameter(given) == value:
            return given  # not as two roundings leave it
        return within.factor * value
