"""Readers of option values: each returns what a text means, or raises `UsageError` that says what is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import inf, nan
from pathlib import Path
from typing import Any, TypeVar

from study.record.errors import UsageError, choose_from

T = TypeVar("T")

Reader = Callable[[str, str], T]
"""From the name of an option, for the message, and the text of its value."""


LONGEST_REMARK = 2_000
"""Letters of a remark on a command line."""


def word(option: str, text: str) -> str:
    """Read any text."""
    if not text:
        raise UsageError(f"{option} is empty; give a value, or leave it out")
    return text


def remark(option: str, text: str) -> str:
    """Read a text for people, of at most `LONGEST_REMARK` letters in one line or several."""
    if not text.strip():
        raise UsageError(f"{option} is empty; give a text, or leave it out")
    if len(text) > LONGEST_REMARK:
        raise UsageError(f"{option} has {len(text):,} letters; allowed: {LONGEST_REMARK:,} (notes.md may have more)")
    if odd := next((letter for letter in text if not (letter.isprintable() or letter == "\n")), None):
        raise UsageError(f"{option} has the control character {odd!r}; allowed: letters and line breaks")
    return text


def name_or_file(option: str, text: str) -> tuple[str, str | None]:
    """Read a name as ("cifar_ae", None), and a Python file, whose name it is then, as ("mine", "own/mine.py")."""
    return (Path(text).stem, text) if text.endswith(".py") else (word(option, text), None)


def flag(option: str, text: str) -> bool:
    """Read "true" or "false", as a file of settings says them; a command line has --NAME and --no-NAME."""
    if text not in ("true", "false"):
        raise UsageError(f"{option} {text!r} is not allowed; give true or false")
    return text == "true"


def integer(least: int) -> Reader[int]:
    """Return a reader of whole numbers of at least `least`."""

    def read(option: str, text: str) -> int:
        if not re.fullmatch(r"[+-]?\d+", text) or int(text) < least:
            raise UsageError(f"{option} {text!r} is not allowed; give a whole number of at least {least}")
        return int(text)

    return read


def integer_or(other: str) -> Reader[int | str]:
    """Return a reader of whole numbers of at least 1, or of one word."""

    def read(option: str, text: str) -> int | str:
        if text == other:
            return text
        if not re.fullmatch(r"\+?\d+", text) or int(text) < 1:
            raise UsageError(f"{option} {text!r} is not allowed; give {other} or a whole number of at least 1")
        return int(text)

    return read


def low_and_high(option: str, text: str) -> tuple[float, float]:
    """Read "0,4095" as (0.0, 4095.0)."""
    ends = [_number(part, nan) for part in text.split(",")]
    if len(ends) != 2 or not -inf < ends[0] < ends[1] < inf:
        raise UsageError(f"{option} {text!r} cannot be read; give LOW,HIGH such as 0,4095, the lower one first")
    return ends[0], ends[1]


def positive(option: str, text: str) -> float:
    """Read a finite number above 0."""
    value = _number(text)
    if not 0 < value < float("inf"):
        raise UsageError(f"{option} {text!r} is not allowed; give a number above 0")
    return value


def gpus(option: str, text: str) -> float | None:
    """Read a number of GPUs, None for "auto"."""
    if text == "auto":
        return None
    value = _number(text)
    if not 0 <= value < float("inf"):
        raise UsageError(f"{option} {text!r} is not allowed; give auto, 0, a fraction or a whole number")
    return value


def one_of(*allowed: str) -> Reader[str]:
    """Return a reader of one of a few words."""

    def read(option: str, text: str) -> str:
        if text not in allowed:
            raise UsageError(choose_from(option, text, allowed))
        return text

    return read


def yaml_file(option: str, file: Path, holds: str) -> dict[Any, Any]:
    """Return the mapping that a YAML file holds.

    Args:
        option: That names the file, for the message.
        file: The file.
        holds: What it should hold, and how that looks.

    Raises:
        UsageError: the file cannot be read, or holds something else.
    """
    import yaml  # a tenth of a second, which --list does without

    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{option} {str(file)!r} cannot be read: {getattr(error, 'strerror', error)}") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{option} {str(file)!r} is no YAML: {error}") from error
    if not isinstance(values, dict):
        raise UsageError(f"{option} {str(file)!r} holds no {holds}")
    return values


def list_of(read: Reader[T]) -> Reader[tuple[T, ...]]:
    """Return a reader of values with commas between them."""
    return lambda option, text: tuple(read(option, item) for item in text.split(","))


def distinct(read: Reader[T]) -> Reader[tuple[T, ...]]:
    """Return a reader of values with commas between them, which takes what is given twice once."""
    return lambda option, text: tuple(dict.fromkeys(list_of(read)(option, text)))


def duration(option: str, text: str) -> float:
    """Read "90s", "30m", "2h" or "1d" as seconds; a number alone could be meant in any of them."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    seconds = float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]] if match else 0.0
    if seconds <= 0:
        raise UsageError(f"{option} {text!r} cannot be read; give a time such as 90s, 30m, 2h or 1d")
    return seconds


def top_and_seeds(option: str, text: str) -> tuple[int, int]:
    """Read "3x3" as (3, 3), and "0" as (0, 0)."""
    if text == "0":
        return 0, 0
    match = re.fullmatch(r"([1-9]\d{0,2})x([1-9]\d{0,2})", text)
    if not match:
        raise UsageError(f"{option} {text!r} cannot be read; allowed: 0, or KxR such as 3x3")
    return int(match[1]), int(match[2])


def _number(text: str, otherwise: float = -1.0) -> float:
    try:
        return float(text)
    except ValueError:
        return otherwise
