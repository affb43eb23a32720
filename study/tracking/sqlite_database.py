"""MLflow's sqlite file: made whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

_SCHEME = "sqlite:///"


def create(uri: str) -> None:
    """Make the database of a tracking URI, with its tables, if it is a sqlite file that is not there yet.

    MLflow makes its tables in fifty steps, and can never again open a file that was left between two of them. So they
    are made in a file beside it, which then gets its name. Where another process was faster, its file stays.
    """
    if not uri.startswith(_SCHEME):
        return
    path = Path(uri.removeprefix(_SCHEME))
    if path.exists():
        return
    from mlflow import MlflowClient

    _clear(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        MlflowClient(f"{_SCHEME}{part}").search_experiments(max_results=1)
        try:
            os.link(part, path)  # unlike a rename, never over another's
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _clear(path: Path) -> None:
    """Remove what drivers that were killed have left."""
    for part in path.parent.glob(f".{path.name}.*.part"):
        try:
            os.kill(int(part.name.split(".")[-2]), 0)
        except ProcessLookupError:
            part.unlink(missing_ok=True)
        except (ValueError, OSError):
            pass  # another's file, or a process of another user
