"""Run one study: data, search, confirmation, PCA baseline, files and tracking.

In Python, `study.run(space="digits_ae", trials=8)` and `study.load("night")` give a `Study`: what the commands do, and
the study's tables, best network and figures (`study.studies`). Nothing is imported before it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["Study", "load", "run"]


def __getattr__(name: str) -> Any:
    if name == "run":
        return import_module("study.run")  # the command's module, which can be called
    if name in __all__:
        return getattr(import_module("study.studies"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
