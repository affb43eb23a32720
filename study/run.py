"""The command: `python study/run.py --space cifar_ae` runs a whole study; `--help` names its options."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, NoReturn

if __package__ in (None, ""):
    # Run as a file: import the packages from the checkout, not this folder's modules from the top.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from study import interrupt
from study.errors import StudyError
from study.interrupt import EXIT_CODE, Interrupted

if TYPE_CHECKING:
    from study.data.image_data import ImageData
    from study.display import Display
    from study.encoder_source import EncoderSource
    from study.records.folder import StudyFolder
    from study.records.recorder import Recorder
    from study.records.tracking import Tracker
    from study.settings import Settings

_LEAVE_SECONDS = 4.0  # that MLflow may take after Ctrl-C; Ray's shutdown needs the rest of the ten
_DELIVER_SECONDS = 120.0  # that MLflow may take at the regular end


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 (the study failed), 2 (unusable input) or 130 (interrupted)."""
    try:
        with interrupt.handled():
            return _main(argv)
    except StudyError as error:
        print(f"study: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code
    except Interrupted:
        print("study: interrupted before the study began; nothing was written", file=sys.stderr)
        return EXIT_CODE


def command() -> NoReturn:
    """Run the command as a process of its own."""
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # nothing is left to be cleaned up, and to take PyTorch and MLflow apart takes two seconds


def _main(argv: list[str] | None) -> int:
    from study import command_line

    options = command_line.parse(argv)
    if options.list:
        from study.listing import list_spaces

        print(list_spaces())
        return 0
    if options.resume is not None:
        return _resume(options)
    settings = command_line.settings_of(options)
    if options.dry_run:
        from study.listing import dry_run

        print(dry_run(settings, trials=options.trials))
        return 0
    return _start(settings)


def _start(settings: Settings) -> int:
    """Run a new study; nothing is written before everything that can be checked has been."""
    from study.records import tracking

    data = _load(settings)
    encoder = _encoder(settings, data)
    tracking.check(settings.tracking_uri)
    with _joined(settings, data, encoder) as share:
        from study import start
        from study.records import folder as folders
        from study.records.environment import environment

        context = settings.context(data.image_shape, data.num_classes, encoder.keys if encoder else None)
        start.check_disk(settings, context, share)
        with (
            folders.created(settings.storage_path, settings.name) as folder,
            _shared(settings, folder) as witness,
        ):
            about = {**start.about(settings, data, encoder), "environment": environment(), "gpu": _gpu(share)}
            return _conduct(settings, folder, data, share, encoder=encoder, witness=witness, first=("study", about))


def _resume(options: Namespace) -> int:
    """Go on with a study where its journal ends."""
    from study import start
    from study.records import folder as folders
    from study.records.environment import git_commit
    from study.records.state import StudyState
    from study.resumption import check_unchanged, resumed_settings

    folder = folders.existing(Path(options.storage or "results").expanduser().absolute(), options.resume)
    with folders.locked(folder):
        state = StudyState.read(folder.journal)
        settings, changed = resumed_settings(options, state.settings)
        if state.summary is not None and not changed and state.published:
            print(f"Study {folder.name} is finished; a larger --trials than {settings.trials} extends it.")
            return 0
        data = _load(settings)
        encoder = _encoder(settings, data)
        check_unchanged(folder.name, state.about, start.about(settings, data, encoder))
        before, now = state.about["environment"]["git_commit"], git_commit()
        if before != now:
            print(f"study: the code has changed since the study began ({before} to {now})", file=sys.stderr)
        with _joined(settings, data, encoder) as share, _shared(settings, folder) as witness:
            first = ("session", {"changed": changed, "gpu": _gpu(share)})
            return _conduct(settings, folder, data, share, encoder=encoder, witness=witness, first=first)


def _load(settings: Settings) -> ImageData:
    from study.data import image_data

    def progress(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    data = image_data.load(settings.data, Path(settings.data_dir), image_size=settings.image_size, progress=progress)
    if settings.train_size is None:
        return data
    if settings.smoke:  # takes its images from whatever there is; a size that was asked for is had or refused
        most = min(settings.train_size, len(data.train))
        return image_data.subset(data, most, test_size=most)
    return image_data.subset(data, settings.train_size)


@contextmanager
def _joined(settings: Settings, data: ImageData, encoder: EncoderSource | None) -> Iterator[Any]:
    # PyTorch takes as long to import as Ray's processes take to start. Threads that import parts of one package at
    # once find halves of it, or wait for each other: so Ray is whole before, and nothing else is imported meanwhile.
    import ray  # noqa: F401

    from study.cluster import joining

    pytorch = Thread(target=_import_pytorch, daemon=True)
    pytorch.start()
    with joining.joined(settings.address, data):
        pytorch.join()
        from study.cluster import shares
        from study.tuning import gpu_survey

        shares.share(settings)  # refuses what no machine has, before anything is measured
        yield shares.share(settings, gpu_survey.survey(settings, data, encoder))


def _import_pytorch() -> None:
    """Import PyTorch, and its compiler, with which the size of a network is found out on the meta device."""
    import torch._dynamo  # noqa: F401


def _gpu(share: Any) -> dict[str, Any] | None:
    return share.gpu.to_json() if share.gpu else None


def _shared(settings: Settings, folder: StudyFolder) -> AbstractContextManager[Path | None]:
    from study.cluster import shared_storage

    return shared_storage.proven(folder.path, cluster=settings.address not in (None, "local"))


def _encoder(settings: Settings, data: ImageData) -> EncoderSource | None:
    if settings.encoder_from is None:
        return None
    from study import encoder_source

    return encoder_source.load(settings.storage_path, settings.encoder_from, data.image_shape)


def _conduct(
    settings: Settings,
    folder: StudyFolder,
    data: ImageData,
    share: Any,
    *,
    encoder: EncoderSource | None,
    witness: Path | None,
    first: tuple[str, dict[str, Any]],
) -> int:
    """Drive the study to its end, or to an interruption that it can be resumed from."""
    import search_spaces
    from study import disk
    from study.display import Display
    from study.records.journal import Journal
    from study.records.recorder import Recorder
    from study.records.state import StudyState
    from study.records.tracking import Tracker
    from study.session import Session
    from study.summary import text

    journal = Journal(folder.journal)
    recorder = Recorder(journal, StudyState.read(folder.journal))
    space = search_spaces.get(settings.space)
    display = Display(settings, recorder.state, space.metric, space.mode)
    tracker = Tracker(settings.tracking_uri, recorder, folder.path.parent / "mlflow-artifacts")
    kind, fields = first
    recorder.record(kind, **fields)
    try:
        with display, disk.explained(folder.path):
            recorder.listen(display)
            if share.gpu:
                display.say(str(share.gpu))
            session = Session(
                settings, folder, recorder, data=data, share=share, display=display, encoder=encoder, witness=witness
            )
            summary = session.run()
            _deliver(tracker, folder, recorder, display, summary)
        print(text(summary, folder, settings.tracking_uri))
        return 0
    except BaseException as error:
        if isinstance(error, Interrupted) or interrupt.seen():
            _leave(tracker, folder, recorder, "KILLED")
            print(f"study: interrupted; go on with: python study/run.py --resume {folder.name}", file=sys.stderr)
            return EXIT_CODE
        _leave(tracker, folder, recorder, "FAILED")
        raise
    finally:
        journal.close()


def _deliver(
    tracker: Tracker, folder: StudyFolder, recorder: Recorder, display: Display, summary: dict[str, Any]
) -> None:
    """End the study in MLflow; what cannot be delivered now is, when the finished study is resumed."""
    from study.publish import end_metrics, publish
    from study.summary import text

    display.begin("MLflow")
    # MLflow's UI shows this tag as the run's description.
    note = {"mlflow.note.content": f"```\n{text(summary, folder, recorder.state.settings['tracking_uri'])}\n```"}
    tracker.end_study("FINISHED", end_metrics(summary), note)
    delivered = tracker.close(_DELIVER_SECONDS)
    problem = tracker.error or "time is up"
    if delivered:
        try:
            publish(tracker, folder, recorder.state)
        except Exception as error:
            delivered, problem = False, (str(error).splitlines() or [type(error).__name__])[0]
    if delivered:
        recorder.record("published")
    else:
        display.say(f"MLflow does not have all of the study ({problem}); --resume {folder.name} delivers the rest")


def _leave(tracker: Tracker, folder: StudyFolder, recorder: Recorder, status: str) -> None:
    """Leave an unfinished study in order: its tables as its journal says, none of its MLflow runs RUNNING."""
    from study import disk
    from study.records import tables

    try:
        tables.write(folder, recorder.state)
    except OSError as error:
        if not disk.problem(error):  # the reason to leave; the tables are made again from the journal
            raise
    tracker.end_study(status, {}, {})
    tracker.close(_LEAVE_SECONDS)


if __name__ == "__main__":
    command()
