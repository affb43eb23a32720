"""From the lines of a journal to events, each field of the type that the event says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from study.record.events import EVENTS, Event


def from_json(line: Mapping[str, Any]) -> Event:
    """Return the event that a line of a journal says.

    Raises:
        ValueError: it says no event that this version knows, or lacks what that event has.
    """
    kind = EVENTS.get(str(line.get("event")))
    if kind is None:
        raise ValueError(f"event {line.get('event')!r} is not known to this version")
    types = _TYPES[kind.name]
    for key, value in line.items():
        if key in types and not _fits(value, types[key]):
            raise ValueError(f"{key} of event {kind.name!r} is {value!r:.60}")
    try:
        return kind(**{key: value for key, value in line.items() if key in types})
    except TypeError as error:
        raise ValueError(f"event {kind.name!r} is incomplete: {error}") from None


def _types_of(kind: type[Event]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {one.name: hints[one.name] for one in fields(kind)}


_TYPES = {name: _types_of(kind) for name, kind in EVENTS.items()}


def _fits(value: object, hint: Any) -> bool:
    """Return whether what JSON says may be of a field's type; a number that is not finite has become null."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in arguments)
    if origin is Literal:
        return value in arguments
    if origin is list:
        return isinstance(value, list) and all(_fits(one, arguments[0]) for one in value)
    if origin is dict:
        of_values = arguments[1]
        return isinstance(value, dict) and (
            of_values is Any or all(one is None or _fits(one, of_values) for one in value.values())
        )
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    return hint is Any or isinstance(value, hint)
