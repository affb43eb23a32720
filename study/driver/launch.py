"""The start of a study, or of another driver's session with it, and its end, whatever that is."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from study import interrupt
from study.driver import inputs
from study.interrupt import Interrupted
from study.record import tracking_uri
from study.record.commands import say_progress
from study.record.errors import DataError, StudyError, one_line
from study.record.events import (
    Failed,
    Notified,
    Published,
    SessionStarted,
    StudyStarted,
    TrackingChanged,
    TriedAgain,
    own,
)
from study.record.terminal import wrapped
from study.record.tracking_uri import masked

if TYPE_CHECKING:
    from study.data.image_data import ImageData
    from study.driver.context import Setup
    from study.driver.display import Display
    from study.record.events import Event
    from study.record.folder import StudyFolder
    from study.record.journal import Recorder
    from study.record.settings import Settings
    from study.record.state import StudyState
    from study.tracking.tracker import Ending, Tracker

_LEAVE_SECONDS = 4.0  # that the tracker may take after Ctrl-C; Ray's shutdown needs the rest of the ten
_LISTED = 5  # files in a message
_HOW = "; go on with: "
"""What stands in a message before the command that goes on."""
_OF_IMAGES = ("data", "labels", "cache_dir", "data_dir")
"""Settings that say where the images lie."""
_PLACES = (*_OF_IMAGES, "tracking_uri", "prices_file", "prices")
"""Settings that a resumed study may have elsewhere or otherwise, and that the next one is to go on with."""
_DELIVER_SECONDS = 120.0  # that the tracker may take at the regular end


def start(settings: Settings, *, trust: bool = False) -> int:
    """Run a new study and return the exit status; nothing is written before all that can be checked has been.

    With `trust` the study of `--encoder-from` may have code of its own that is run.
    """
    from study.data.image_data import bytes_in_memory, known_bytes, urgent
    from study.data.twins import across
    from study.record import folder as folders
    from study.settings.resolve import space_context, warning_of_size
    from study.tracking import implementations

    folders.check_new(settings.storage_path, settings.name)
    implementations.check(settings.tracking_uri)
    with ExitStack() as leaving:
        # A file of one's own is checked on the images before anything starts.
        known = None if settings.space_file else known_bytes(settings.data)
        if known is not None:
            # What reads the images takes seconds to import: it is, while Ray's processes start.
            leaving.enter_context(inputs.ray_joined(settings, known))
        data = inputs.load(settings)
        if warning := warning_of_size(settings, data.image_shape):
            say_progress(wrapped(warning, 4))
        encoder = inputs.encoder_of(settings, data, trust=trust)
        context = space_context(settings, data.image_shape, data.num_classes, encoder.keys if encoder else None)
        if settings.space_file:
            import search_spaces
            from study.driver import own_space

            own_space.check(search_spaces.get(settings.space), context)
        warm_start = []
        if settings.warm_start:
            from study.driver import beginning

            warm_start = beginning.warm_start(settings, context)
        # Seconds on large sets.
        looking = ThreadPoolExecutor(1).submit(across, data.splits)
        if known is None:
            leaving.enter_context(inputs.ray_joined(settings, bytes_in_memory(data)))
        resources = inputs.divided(settings, data, encoder)
        from study.driver import beginning
        from study.driver.context import Setup
        from study.driver.environment import environment

        beginning.check_disk(settings, context, resources)
        with (
            folders.created(settings.storage_path, settings.name) as folder,
            _verified(settings, folder) as probe_file,
        ):
            if settings.space_file:
                own_space.keep(folder)
            about = beginning.about(settings, data, encoder, looking.result())
            for note in urgent(about["data"]["notes"]):
                say_progress(wrapped(note, 4))
            first = StudyStarted(
                **about,
                environment=environment(),
                gpu=resources.gpu_json,
                uuid=str(uuid4()),
                place=folders.place_of(folder),
                warm_start=[vars(point) for point in warm_start],
            )
            return _run(Setup(settings, folder, data, resources, encoder, probe_file), first)


def resume(
    name: str,
    storage: Path,
    restate: Any,
    retry_failed: bool = False,
    *,
    restated_file: str | None = None,
    trust: bool = False,
) -> int:
    """Go on with a study where its journal ends, and return the exit status.

    Args:
        name: The study's.
        storage: The folder that it lies in.
        restate: From the recorded settings to those to go on with, and those of them that say that there is more to do.
        retry_failed: Whether all failed runs are tried again; those of an unfinished study that the machine failed are.
        restated_file: The user's own file of the space, where it was given again.
        trust: Whether code that lies in a folder from elsewhere may be run.
    """
    from study.driver import beginning, own_space
    from study.driver.environment import environment
    from study.record import folder as folders
    from study.record import kept
    from study.record.journal import read_state
    from study.settings.resolve import DESTINATIONS, usable_destinations

    folder = folders.existing(storage, name)
    with folders.locked(folder):
        interrupt.farewell(_goes_on(folder))
        state = read_state(folder.journal)
        standing = folders.standing(folder, state.place)
        copied = standing == "copied"
        trusted = folders.is_trusted(folder, state.place)
        own_space.use_again(folder, state, restated_file, trust=trust)
        try:
            settings, changed = restate(usable_destinations(state.settings, trusted=trusted))
        except (KeyError, TypeError) as error:
            raise StudyError(f"{folder.journal} is damaged: it has not the settings of a study ({error})") from None
        if not trusted:
            _say_not_obeyed(folder, state.settings, settings.to_json())
        used = settings.written()
        # What is not obeyed now is not to be obeyed by the next one, to which the folder is one of here.
        places = _PLACES if trusted else (*_PLACES, *DESTINATIONS)
        moved = {place: used[place] for place in places if used[place] != state.settings.get(place)}
        tracking_uri.check_folder(settings.tracking_uri)
        elsewhere = not moved.keys().isdisjoint((*_OF_IMAGES, "tracking_uri"))
        elsewhere = elsewhere or tracking_uri.is_gone(settings.tracking_uri)
        finished = state.summary is not None and not changed
        failed = [run for run in state.runs.values() if run.status == "failed"]
        again = [TriedAgain(run.id) for run in failed if retry_failed or (run.by_machine and not finished)]
        damaged = kept.damaged(folder, state) if finished else []
        if damaged:
            _say_made_again(damaged)
        elif (
            finished
            and state.published
            and (state.notified or settings.notify is None)
            and not (again or copied or elsewhere)
        ):
            print(f"Study {folder.name} is finished; {_extended_by(settings, state)} extends it.")
            return 0
        data = _load_again(settings, folder)
        encoder = inputs.encoder_of(settings, data, trust=trust)
        assert state.about is not None
        beginning.check_unchanged(folder.name, state.about, beginning.about(settings, data, encoder))
        here = environment()
        before, now = state.about.environment.get("git_commit"), here["git_commit"]
        if before != now:
            say_progress(wrapped(f"study: the code has changed since the study began ({before} to {now})", 4))
        with inputs.joined(settings, data, encoder) as resources, _verified(settings, folder) as probe_file:
            from study.driver.context import Setup

            if copied:
                print(f"study: {_was(state)}: this copy goes on as a study of its own", file=sys.stderr)
            uuid = str(uuid4()) if copied else None
            place = folders.place_of(folder)
            first = SessionStarted(changed, resources.gpu_json, uuid, place, moved, here)
            return _run(Setup(settings, folder, data, resources, encoder, probe_file), first, *again)


def _extended_by(settings: Settings, state: StudyState) -> str:
    """Return what would give a finished study more to do: more seeds, trials, or of the limit that ended its search."""
    seeds = f"a larger --report-seeds than {settings.reporting_seeds}"
    if settings.reported:
        return seeds
    limits = {
        "time budget": "--time-budget",
        "device hours": "--device-hours",
        "cost": "--max-cost",
        "patience": "--patience",
    }
    if option := limits.get(state.search_ended or ""):
        search = f"a larger {option}, which ended its search,"
    else:
        search = f"a larger --trials than {settings.trials}"
    return f"{search} or {seeds}" if settings.confirm_top else search


def _load_again(settings: Settings, folder: StudyFolder) -> ImageData:
    """Load the data of a study that is resumed; of images that have moved, say how to name their new place."""
    try:
        return inputs.load(settings)
    except DataError as error:
        if os.path.exists(settings.data) or os.sep not in settings.data:
            raise
        moved_to = folder.resume_command("--data", "NEW")
        raise DataError(f"{error}; if the images lie elsewhere now: {moved_to}") from None


def _say_made_again(files: Sequence[str]) -> None:
    listed = ", ".join(files[:_LISTED]) + (" …" if len(files) > _LISTED else "")
    print(f"study: {len(files)} files are missing or damaged and are made again: {listed}", file=sys.stderr)


def _say_not_obeyed(folder: StudyFolder, said: Mapping[str, Any], used: Mapping[str, Any]) -> None:
    """Say which of a folder's destinations are not gone to, since nobody knows who wrote them."""
    for name, option in (("tracking_uri", "--tracking-uri"), ("address", "--address")):
        if said.get(name) and masked(used[name] or "") != said[name]:
            instead = masked(used[name]) if used[name] else "a Ray of its own"
            print(
                f"study: {folder.path} was not begun here: its {option} {masked(said[name])} is not used, but "
                f"{instead}; {option} names another",
                file=sys.stderr,
            )
    for option, done in (("register", "registers no network"), ("notify", "runs no command")):
        if said.get(option) and not used[option]:
            print(f"study: {folder.path} was not begun here: its --{option} {done}", file=sys.stderr)


def _was(state: StudyState) -> str:
    return f"study {state.settings['name']!r} lies in {(state.place or {}).get('path')}"


def _verified(settings: Settings, folder: StudyFolder) -> AbstractContextManager[Path | None]:
    from study.cluster import shared_storage

    return shared_storage.verified(folder.path, cluster=not settings.own_ray)


def _run(setup: Setup, *first: Event) -> int:
    """Drive the study to its end, or to an interruption that it can be resumed from; record the events `first`."""
    from study.cluster import ray_watch
    from study.driver.display import Display
    from study.driver.session import Session
    from study.driver.summary import text, verdict
    from study.record import disk
    from study.record.journal import Journal, Recorder, fold, read
    from study.settings.resolve import space_of
    from study.tracking.implementations import build_tracker
    from study.tracking.tracker import Ending, end_metrics

    settings, folder = setup.settings, setup.folder
    journal = Journal(folder.journal)
    before = read(folder.journal)
    recorder = Recorder(journal, fold(folder.journal, before))
    display = Display(settings, recorder.state, space_of(settings).metric)
    tracker = build_tracker(settings.tracking_uri, recorder.record, folder.path.parent)
    tracker.started(own([*before, *first])[: -len(first)])
    recorder.listen(tracker.event)
    notify = _notice(settings, recorder)
    interrupt.farewell(_goes_on(folder), notify)
    for event in first:
        recorder.record(event)
    try:
        with display, disk.explained(folder.path):
            recorder.listen(display)
            if setup.resources.gpu:
                display.say(str(setup.resources.gpu))
            with ray_watch.watching(folder.resume_command()):
                summary = Session(setup, recorder, display).run()
            said = text(summary, folder, settings.tracking_uri)
            # At the journal's time: what is sent again, by another driver, is the same point then.
            found = verdict(summary) if summary["best"] else ""
            ending = Ending("finished", end_metrics(summary), found, said, time=recorder.state.finished_at)
            _deliver(tracker, folder, recorder, display, ending)
            notify("finished")
            interrupt.farewell("interrupted after the study was finished")
        print(said)
        return 0
    except BaseException as error:
        reason = _failure(error)
        _leave(tracker, folder, recorder, reason)
        notify("interrupted" if reason is None else "failed")
        if interrupt.seen():
            raise Interrupted from error
        raise
    finally:
        journal.close()


def _goes_on(folder: StudyFolder) -> str:
    return f"interrupted{_HOW}{folder.resume_command()}"


def _notice(settings: Settings, recorder: Recorder) -> Callable[[str], None]:
    """Return what notifies the user of the study's end, from whichever thread, the first time that it is called."""
    told = Lock()

    def notify(status: str) -> None:
        if told.acquire(blocking=False):
            _notify(settings, recorder, status)

    return notify


def _notify(settings: Settings, recorder: Recorder, status: str) -> None:
    """Start the user's command, which may outlive the study, with what has become of it; of a finished study once."""
    if settings.notify is None or (status == "finished" and recorder.state.notified):
        return
    words = [word.replace("{name}", settings.name).replace("{status}", status) for word in shlex.split(settings.notify)]
    nowhere = subprocess.DEVNULL
    try:
        process = subprocess.Popen(words, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True)
        interrupt.spare(process.pid)
    except OSError as error:  # the program has gone since the study began
        say_progress(f"study: --notify {settings.notify!r} does not start: {error}")
    with suppress(OSError, StudyError):  # the study may have ended because its journal cannot be written
        recorder.record(Notified(status))


def _deliver(tracker: Tracker, folder: StudyFolder, recorder: Recorder, display: Display, ending: Ending) -> None:
    """Give the tracker the finished study; what cannot be delivered now is, when the study is resumed."""
    from study.evaluation.served import SERVING
    from study.tracking.tracker import publish

    display.begin(tracker.name)
    publish(tracker, folder, recorder.state, SERVING)
    if tracker.close(ending, _DELIVER_SECONDS):
        recorder.record(Published())
    else:
        recorder.record(TrackingChanged(tracker.error))  # an error where the study's own disk is the reason
        missing = f"{tracker.name} does not have all of the study ({tracker.error})"
        display.say(f"{missing}; {folder.resume_command()} delivers the rest")


def _failure(error: BaseException) -> str | None:
    """Return the error by which a driver leaves a study; None where it was asked to leave."""
    if isinstance(error, Interrupted) or interrupt.seen():
        said = interrupt.failed()
    else:
        said = one_line(error if isinstance(error, StudyError) else repr(error))
    return said and said.partition(_HOW)[0]  # the command is of this folder, and of this machine


def _leave(tracker: Tracker, folder: StudyFolder, recorder: Recorder, reason: str | None) -> None:
    """Leave an unfinished study in order: its tables as its journal says, the tracker told that no run goes on."""
    from study.record import disk, tables
    from study.tracking.tracker import Ending

    if reason is not None:
        with suppress(OSError, StudyError):  # it may be that the journal cannot be written
            recorder.record(Failed(reason))
    try:
        tables.write(folder, recorder.state)
    except OSError as error:
        if not disk.problem(error, folder.path):  # the reason to leave; the tables are made again from the journal
            raise
    status: Literal["failed", "interrupted"] = "interrupted" if reason is None else "failed"
    tracker.close(Ending(status, reason=reason or ""), _LEAVE_SECONDS)
