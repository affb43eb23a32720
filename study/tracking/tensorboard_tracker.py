"""TensorBoard: event files of a study and its runs, written by a thread of the driver.

They are a projection of the journal: each driver writes them anew from it, so that a resumed study has nothing twice.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from study.record.errors import StudyError, UsageError, first_line
from study.record.events import STUDY, Event, RunEnded, RunStarted, StudyStarted, TrackingChanged
from study.tracking.tracker import Ending, Point, Points, Serving, ending_points

if TYPE_CHECKING:
    from torch.utils.tensorboard import FileWriter, SummaryWriter

FLUSH_SECONDS = 10
_FILES = "events.out.tfevents.*"


def check_installed() -> None:
    """Find out, without importing it, whether TensorBoard is installed.

    Raises:
        UsageError: it is not; the message says how to install it.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise UsageError("--tracking-uri tensorboard:DIR needs TensorBoard; install it by: pip install tensorboard")


class TensorBoardTracker:
    """Follows a study's events into `DIR/STUDY/`: its own event file there, each run's in a folder below.

    Scalars stand at their epoch and their event's time, a run's config among the hyperparameters, pictures as images.

    Args:
        root: The folder that `tensorboard --logdir` is given.
        record: Writes an event to the journal, which is told when TensorBoard's files cannot be written.

    Raises:
        UsageError: TensorBoard is not installed.
    """

    name = "TensorBoard"

    def __init__(self, root: Path, record: Callable[[Event], None]) -> None:
        check_installed()
        # Whole before there is a thread that uses it; the main thread imports other things meanwhile.
        import torch.utils.tensorboard  # noqa: F401

        self._root, self._record = root, record
        self._steps: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._about: StudyStarted | None = None
        self._folder = root
        self._suffix = ""
        self._writers: dict[str, SummaryWriter] = {}
        self._points = Points()
        self.error: str | None = None
        self._thread = threading.Thread(target=self._follow, name="tensorboard", daemon=True)

    def started(self, before: Sequence[Event]) -> None:
        """Begin to follow; the events of earlier drivers are written anew."""
        for event in before:
            self.event(event)
        self._thread.start()

    def event(self, event: Event) -> None:
        """Take in an event of the journal; the thread writes it."""
        self._steps.put(partial(self._take, event))

    def artifact(self, path: Path, folder: str = "", run: str = STUDY) -> None:
        """Show a PNG file as an image of a run; other files are ignored."""
        if path.suffix == ".png":
            self._steps.put(partial(self._image, path, f"{folder}/{path.stem}" if folder else path.stem, run))

    def model(self, folder: Path, serving: Serving, registered: str | None = None) -> None:
        """Ignore the network, for which TensorBoard has no place."""

    def close(self, ending: Ending, seconds: float) -> bool:
        """Write what is left, for at most `seconds`, and return whether all was."""
        self._steps.put(partial(self._end, ending))
        self._steps.put(None)
        self._thread.join(seconds)
        if self._thread.is_alive():
            self.error = self.error or "time is up"
        return self.error is None

    def _follow(self) -> None:
        while (step := self._steps.get()) is not None:
            if self.error is None:
                try:
                    step()
                except Exception as error:  # a disk that is full or gone; the next driver writes everything anew
                    self.error = first_line(error)
                    with suppress(StudyError):  # the driver hears of a journal that cannot be written, too
                        self._record(TrackingChanged(self.error))

    def _take(self, event: Event) -> None:
        for point in self._points.of(event):
            self._scalar(point)
        match event:
            case StudyStarted():
                self._about = event
                # Tells this study's files from another's of its name.
                self._suffix = f".{event.uuid or int(event.time * 1000)}"
                self._folder = _own_folder(self._root, event.settings["name"], self._suffix)
                settings = json.dumps(event.settings | {"tracking_uri": str(self._root)}, indent=2)
                self._writer(STUDY).add_text("settings", f"```\n{settings}\n```", 0, event.time)
            case RunStarted():
                self._hyperparameters(event)
            case RunEnded():
                status = f"{event.status}: {event.reason}" if event.reason else event.status
                self._writer(event.id).add_text("status", status, 0, event.time)
                self._close(event.id)  # each open file has a thread of its own

    def _hyperparameters(self, event: RunStarted) -> None:
        from torch.utils.tensorboard.summary import hparams

        values = {key: _shown(value) for key, value in event.config.items()}
        values |= {"seed": event.seed, "epochs": event.budget, "params": event.params, "key": event.key or ""}
        metric = self._about.objective.get("metric") if self._about else None
        # The value of the objective in the table of hyperparameters is that of the run's scalar of its name.
        summaries = hparams(values, {metric: 0.0} if metric else {})  # type: ignore[no-untyped-call]
        # PyTorch's own `add_hparams` writes a further file, with values of its own.
        file = cast("FileWriter", self._writer(event.id).file_writer)
        for summary in summaries:
            file.add_summary(summary, walltime=event.time)

    def _scalar(self, point: Point) -> None:
        self._writer(point.run).add_scalar(point.key, point.value, point.step, walltime=point.time)

    def _image(self, path: Path, tag: str, run: str) -> None:
        import numpy as np
        from PIL import Image

        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        self._writer(run).add_image(tag, pixels, 0, walltime=path.stat().st_mtime, dataformats="HWC")

    def _end(self, ending: Ending) -> None:
        for point in ending_points(ending):
            self._scalar(point)
        if ending.text:
            self._writer(STUDY).add_text("summary", ending.markdown, 0, ending.time)
        for run in list(self._writers):
            self._close(run)

    def _writer(self, run: str) -> SummaryWriter:
        if run not in self._writers:
            from torch.utils.tensorboard import SummaryWriter

            folder = self._folder if run == STUDY else self._folder / run
            self._writers[run] = SummaryWriter(str(folder), flush_secs=FLUSH_SECONDS, filename_suffix=self._suffix)
        return self._writers[run]

    def _close(self, run: str) -> None:
        writer = self._writers.pop(run)
        writer.flush()  # raises what `close` would not: that the disk is full
        writer.close()


def _own_folder(root: Path, name: str, suffix: str) -> Path:
    """Return the study's folder, emptied of its earlier event files: `name`, or `name-2` where that is another study's.

    Nothing but the event files with the study's own suffix is removed.
    """
    for number in itertools.count(1):
        folder = root / (name if number == 1 else f"{name}-{number}")
        files = [*folder.glob(_FILES), *folder.glob(f"*/{_FILES}")]
        if all(file.name.endswith(suffix) for file in files):
            for file in files:
                file.unlink()
            return folder
    raise AssertionError("unreachable")


def _shown(value: object) -> float | str:
    """Return a value of a config as the table of hyperparameters takes it."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
