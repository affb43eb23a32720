"""What the values of command-line options are read with: each raises `UsageError` and says what is allowed."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Collection
from typing import NoReturn

from study.record.errors import UsageError, choose_from


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, as the rest of the project's are."""

    def error(self, message: str) -> NoReturn:
        """Raise `UsageError`."""
        raise UsageError(message)


def confirm(text: str) -> tuple[int, int]:
    """Read "3x3" as (3, 3), and "0" as (0, 0)."""
    if text == "0":
        return 0, 0
    match = re.fullmatch(r"([1-9]\d{0,2})x([1-9]\d{0,2})", text)
    if not match:
        raise UsageError(f"--confirm {text!r} cannot be read; allowed: 0, or KxR such as 3x3")
    return int(match[1]), int(match[2])


def integer(option: str, least: int) -> Callable[[str], int]:
    """Return a reader of whole numbers of at least `least`."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[+-]?\d+", text) or int(text) < least:
            raise UsageError(f"{option} {text!r} is not allowed; give a whole number of at least {least}")
        return int(text)

    return read


def positive(option: str) -> Callable[[str], float]:
    """Return a reader of finite numbers above 0."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = 0.0
        if not 0 < value < float("inf"):
            raise UsageError(f"{option} {text!r} is not allowed; give a number above 0")
        return value

    return read


def gpus(text: str) -> float | None:
    """Read a number of GPUs, None for "auto"."""
    if text == "auto":
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise UsageError(f"--gpus-per-trial {text!r} is not allowed; give auto, 0, a fraction or a whole number")
    return value


def one_of(option: str, allowed: Collection[str]) -> Callable[[str], str]:
    """Return a reader of one of a few words."""

    def read(text: str) -> str:
        if text not in allowed:
            raise UsageError(choose_from(option, text, allowed))
        return text

    return read


def duration(text: str) -> float:
    """Read "90s", "30m", "2h" or "1d" as seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h|d)?", text)
    seconds = float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[match[2] or "s"] if match else 0.0
    if seconds <= 0:
        raise UsageError(f"--time-budget {text!r} cannot be read; give a time such as 90s, 30m, 2h or 1d")
    return seconds
