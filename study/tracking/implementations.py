"""The trackers that there are: which one a tracking URI is for, whether it can work, and how it is opened."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from study.record import tracking_uri
from study.record.events import Event
from study.record.tracking_uri import TrackerName, masked
from study.tracking.tracker import Tracker

Record = Callable[[Event], None]


@dataclass(frozen=True)
class _Implementation:
    """A kind of tracker; the library that it uses is imported when one is built.

    Attributes:
        library: the module that it needs.
        build: from a URI, what writes an event to the journal, and the folder that studies lie in.
        check: raises `UsageError` where it cannot work on this machine.
        open: the command, or the address, that shows the studies of a URI.
    """

    library: str
    build: Callable[[str, Record, Path], Tracker]
    check: Callable[[], None]
    open: Callable[[str], str]


def build_tracker(uri: str, record: Record, storage: Path) -> Tracker:
    """Return the tracker that a URI is for.

    Args:
        uri: The tracking URI, of a known kind.
        record: Writes an event to the journal, from whichever thread.
        storage: The folder that studies lie in.

    Raises:
        UsageError: the URI is of no known kind, or the library that the tracker needs is not installed.
    """
    return _of(uri).build(uri, record, storage)


def check(uri: str) -> None:
    """Find out within three seconds whether a new study can be tracked there.

    Raises:
        UsageError: the URI is of no known kind, or what it names cannot be used.
    """
    tracking_uri.check(uri)
    _of(uri).check()


def import_library(uri: str) -> None:
    """Import what the tracker of a URI needs, which takes a second, before it is needed."""
    import_module(_of(uri).library)


def how_to_open(uri: str) -> str:
    """Return the command, or the address, that shows what a tracker was told; a password in the URI is masked."""
    return _of(uri).open(uri)


def _of(uri: str) -> _Implementation:
    return _TRACKERS[tracking_uri.tracker_of(uri)]


def _mlflow(uri: str, record: Record, storage: Path) -> Tracker:
    from study.tracking.mlflow_tracker import MLflowTracker

    return MLflowTracker(uri, record, storage / "mlflow-artifacts")


def _open_mlflow(uri: str) -> str:
    return masked(uri) if uri.startswith("http") else shlex.join(["mlflow", "ui", "--backend-store-uri", masked(uri)])


def _tensorboard(uri: str, record: Record, storage: Path) -> Tracker:
    from study.tracking.tensorboard_tracker import TensorBoardTracker

    return TensorBoardTracker(_logs(uri), record)


def _check_tensorboard() -> None:
    from study.tracking.tensorboard_tracker import check_installed

    check_installed()


def _open_tensorboard(uri: str) -> str:
    return shlex.join(["tensorboard", "--logdir", str(_logs(uri))])


def _logs(uri: str) -> Path:
    folder = tracking_uri.tensorboard_dir(uri)
    assert folder is not None
    return folder


_TRACKERS: Mapping[TrackerName, _Implementation] = {
    "MLflow": _Implementation("mlflow", _mlflow, lambda: None, _open_mlflow),
    "TensorBoard": _Implementation("torch.utils.tensorboard", _tensorboard, _check_tensorboard, _open_tensorboard),
}
