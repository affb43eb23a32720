"""Whole studies of this project in one process, as `study/run.py` runs them, of a space that a benchmark makes up."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from study.record.events import StudyStarted

if TYPE_CHECKING:
    import search_spaces
    from study.data.image_data import ImageData


def run(
    folder: Path,
    tracking_file: Path,
    space: search_spaces.Space,
    images: Callable[[], ImageData],
    options: str,
    *,
    deliver_s: float = 120.0,
) -> tuple[float, Path]:
    """Run a study without confirmation, and return its wall seconds, without Ray's start, and its journal.

    Args:
        folder: Where results/ours is made.
        tracking_file: MLflow's sqlite file.
        space: What is searched, in the place of the space of its name.
        images: Gives what it is trained on; read as the command reads it, while Ray's processes start.
        options: Further options of the command.
        deliver_s: That MLflow may take for what it lacks at the end.

    Raises:
        RuntimeError: MLflow does not have all of the study.
    """
    import search_spaces
    from study.data.image_data import known_bytes
    from study.driver import inputs
    from study.record.folder import created
    from study.record.journal import Journal, Recorder
    from study.record.state import StudyState
    from study.settings.command_line import parse
    from study.settings.resolve import settings_of
    from study.tracking.implementations import build_tracker
    from study.tracking.tracker import Ending

    search_spaces.get = lambda name: space
    options = f"--space {space.name} --name ours --confirm 0 --tracking-uri sqlite:///{tracking_file} {options}"
    settings = settings_of(parse([*options.split(), "--storage", str(folder / "results")]).given)
    with (
        inputs.ray_joined(settings, known_bytes(settings.data) or 0),
        created(settings.storage_path, settings.name) as study,
    ):
        data = images()
        lent = inputs.divided(settings, data, None)
        from study.driver.context import Setup  # after Ray's start, as in the command
        from study.driver.display import Display
        from study.driver.session import Session

        recorder = Recorder(Journal(study.journal), StudyState())
        tracker = build_tracker(settings.tracking_uri, recorder.record, folder)
        tracker.started([])
        recorder.listen(tracker.event)
        about = {"settings": settings.to_json(), "data": {}, "environment": {"git_commit": None}}
        recorder.record(StudyStarted(**about))
        display = Display(settings, recorder.state, space.metric)
        recorder.listen(display)
        started = time.perf_counter()
        Session(Setup(settings, study, data, lent, None, None), recorder, display).run()
        if not tracker.close(Ending("finished"), deliver_s):
            raise RuntimeError(f"MLflow does not have all of the study: {tracker.error}")
        return time.perf_counter() - started, study.journal


def run_trivial(folder: Path, tracking_file: Path, trials: int, epochs: int, concurrent: int) -> tuple[float, Path]:
    """Run a study whose training costs next to nothing: what is left is what a study costs beside it.

    Two parameters are searched; a trial is the smallest real one, a small network that is built, trained on 20 images,
    evaluated and checkpointed. TPE, no early stopping, every report tracked. Returns and raises as `run`.
    """
    import search_spaces
    from study.data import image_data

    digits = search_spaces.get("digits_ae")
    small = {**digits.default, "width": 32}

    def two_parameters(ask: Any, context: search_spaces.Context, reported: Sequence[str]) -> None:
        ask.fix(**{key: value for key, value in small.items() if key not in ("lr", "dropout")})
        ask.number("lr", (1e-4, 1e-2), log=True)
        ask.number("dropout", (0.0, 0.5))

    trivial = replace(digits, search=two_parameters, default=small)

    def images() -> ImageData:
        return image_data.subset(image_data.load("digits", image_data.default_data_dir()), 20)

    options = f"--scheduler none --trials {trials} --epochs {epochs} --max-concurrent {concurrent}"
    return run(folder, tracking_file, trivial, images, options)
