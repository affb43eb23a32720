"""The start of a study, or of another driver's session with it, and its end, whatever that is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from study import interrupt
from study.interrupt import Interrupted
from study.record.commands import hint, say_progress, storage_words
from study.record.errors import INTERRUPTED
from study.record.events import Published, SessionStarted, StudyStarted

if TYPE_CHECKING:
    from study.cluster.resources import Resources
    from study.data.image_data import ImageData
    from study.driver.display import Display
    from study.driver.session import Setup
    from study.record.folder import StudyFolder
    from study.record.journal import Recorder
    from study.record.settings import Settings
    from study.tracking.tracker import Ending, Tracker
    from study.training.checkpoint import EncoderSource

_LEAVE_SECONDS = 4.0  # that the tracker may take after Ctrl-C; Ray's shutdown needs the rest of the ten
_DELIVER_SECONDS = 120.0  # that the tracker may take at the regular end


def start(settings: Settings) -> int:
    """Run a new study and return the exit status; nothing is written before all that can be checked has been."""
    from study.tracking import implementations

    data = _load(settings)
    encoder = _encoder(settings, data)
    implementations.check(settings.tracking_uri)
    with _joined(settings, data, encoder) as resources:
        from study.driver import beginning
        from study.driver.environment import environment
        from study.driver.session import Setup
        from study.record import folder as folders
        from study.settings.resolve import space_context

        context = space_context(settings, data.image_shape, data.num_classes, encoder.keys if encoder else None)
        beginning.check_disk(settings, context, resources)
        with (
            folders.created(settings.storage_path, settings.name) as folder,
            _verified(settings, folder) as probe_file,
        ):
            about = beginning.about(settings, data, encoder)
            first = StudyStarted(**about, environment=environment(), gpu=resources.gpu_json)
            return _run(Setup(settings, folder, data, resources, encoder, probe_file), first)


def resume(name: str, storage: Path, restate: Any) -> int:
    """Go on with a study where its journal ends, and return the exit status.

    Args:
        name: The study's.
        storage: The folder that it lies in.
        restate: From the recorded settings to those to go on with, and those of them that say that there is more to do.
    """
    from study.driver import beginning
    from study.driver.environment import git_commit
    from study.record import folder as folders
    from study.record.journal import read_state

    folder = folders.existing(storage, name)
    with folders.locked(folder):
        state = read_state(folder.journal)
        settings, changed = restate(state.settings)
        if state.summary is not None and not changed and state.published:
            print(f"Study {folder.name} is finished; a larger --trials than {settings.trials} extends it.")
            return 0
        data = _load(settings)
        encoder = _encoder(settings, data)
        assert state.about is not None
        beginning.check_unchanged(folder.name, state.about, beginning.about(settings, data, encoder))
        before, now = state.about.environment.get("git_commit"), git_commit()
        if before != now:
            print(f"study: the code has changed since the study began ({before} to {now})", file=sys.stderr)
        with _joined(settings, data, encoder) as resources, _verified(settings, folder) as probe_file:
            from study.driver.session import Setup

            first = SessionStarted(changed, resources.gpu_json)
            return _run(Setup(settings, folder, data, resources, encoder, probe_file), first)


def _load(settings: Settings) -> ImageData:
    from study.data import image_data
    from study.settings.resolve import reported_split

    train_size, val_size = settings.train_size, settings.val_size
    data = image_data.load(
        settings.data, Path(settings.data_dir), image_size=settings.image_size, progress=say_progress
    )
    if (split := reported_split(settings)) is not None:
        data = image_data.as_reported(data, split)
    if settings.smoke and train_size is not None:  # of whatever there is; a size that was asked for is had or refused
        most = min(train_size, len(data.train))
        return image_data.subset(data, most, val_size, test_size=most)
    return image_data.subset(data, train_size, val_size)


@contextmanager
def _joined(settings: Settings, data: ImageData, encoder: EncoderSource | None) -> Iterator[Resources]:
    # PyTorch takes as long to import as Ray's processes take to start. Threads that import parts of one package at
    # once find halves of it, or wait for each other: so Ray is whole before, and nothing else is imported meanwhile.
    import ray  # noqa: F401

    from study.cluster import joining

    pytorch = Thread(target=import_pytorch, daemon=True)
    pytorch.start()
    with joining.joined(settings.address, data):
        pytorch.join()
        from study.cluster import resources
        from study.search import gpu_probe

        resources.of_each_run(settings)  # refuses what no machine has, before anything is measured
        yield resources.of_each_run(settings, gpu_probe.survey(settings, data, encoder))


def import_pytorch() -> None:
    """Import PyTorch, and its compiler, with which the size of a network is found out on the meta device."""
    import torch._dynamo  # noqa: F401


def _verified(settings: Settings, folder: StudyFolder) -> AbstractContextManager[Path | None]:
    from study.cluster import shared_storage

    return shared_storage.verified(folder.path, cluster=settings.address not in (None, "local"))


def _encoder(settings: Settings, data: ImageData) -> EncoderSource | None:
    if settings.encoder_from is None:
        return None
    from study.training import checkpoint

    return checkpoint.load_encoder(settings.storage_path, settings.encoder_from, data.image_shape)


def _run(setup: Setup, first: StudyStarted | SessionStarted) -> int:
    """Drive the study to its end, or to an interruption that it can be resumed from."""
    import search_spaces
    from study.driver.display import Display
    from study.driver.session import Session
    from study.driver.summary import text
    from study.record import disk
    from study.record.journal import Journal, Recorder, fold, read
    from study.tracking.implementations import build_tracker
    from study.tracking.tracker import Ending, end_metrics

    settings, folder = setup.settings, setup.folder
    journal = Journal(folder.journal)
    before = read(folder.journal)
    recorder = Recorder(journal, fold(folder.journal, before))
    display = Display(settings, recorder.state, search_spaces.get(settings.space).metric)
    tracker = build_tracker(settings.tracking_uri, recorder.record, folder.path.parent)
    tracker.started(before)
    recorder.listen(tracker.event)
    recorder.record(first)
    try:
        with display, disk.explained(folder.path):
            recorder.listen(display)
            if setup.resources.gpu:
                display.say(str(setup.resources.gpu))
            summary = Session(setup, recorder, display).run()
            said = text(summary, folder, settings.tracking_uri)
            _deliver(tracker, folder, recorder, display, Ending("finished", end_metrics(summary), said))
        print(said)
        return 0
    except BaseException as error:
        if isinstance(error, Interrupted) or interrupt.seen():
            _leave(tracker, folder, recorder, Ending("interrupted"))
            print(f"study: interrupted; go on with: {_resume_line(folder)}", file=sys.stderr)
            return INTERRUPTED
        _leave(tracker, folder, recorder, Ending("failed"))
        raise
    finally:
        journal.close()


def _deliver(tracker: Tracker, folder: StudyFolder, recorder: Recorder, display: Display, ending: Ending) -> None:
    """Give the tracker the finished study; what cannot be delivered now is, when the study is resumed."""
    from study.tracking.tracker import publish

    display.begin(tracker.name)
    publish(tracker, folder, recorder.state)
    if tracker.close(ending, _DELIVER_SECONDS):
        recorder.record(Published())
    else:
        missing = f"{tracker.name} does not have all of the study ({tracker.error})"
        display.say(f"{missing}; {_resume_line(folder)} delivers the rest")


def _resume_line(folder: StudyFolder) -> str:
    """Return the command that goes on with the study, as it works here."""
    return hint("resume", folder.name, *storage_words(folder.path.parent))


def _leave(tracker: Tracker, folder: StudyFolder, recorder: Recorder, ending: Ending) -> None:
    """Leave an unfinished study in order: its tables as its journal says, the tracker told that no run goes on."""
    from study.record import disk, tables

    try:
        tables.write(folder, recorder.state)
    except OSError as error:
        if not disk.problem(error):  # the reason to leave; the tables are made again from the journal
            raise
    tracker.close(ending, _LEAVE_SECONDS)
