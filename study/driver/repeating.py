"""A recorded run trained again from its seed: from what the journal says of it, its new values beside the old ones."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import search_spaces
from study.data import own_file
from study.driver import inputs
from study.record import archive, files, journal, metrics
from study.record import folder as folders
from study.record.commands import say_progress
from study.record.errors import StudyError, UsageError, choose_from
from study.record.events import Event, Metrics
from study.record.folder import StudyFolder
from study.record.metrics import RATIO
from study.record.settings import LOCAL, Settings
from study.record.state import Run, StudyState
from study.record.words import counted, duration


@dataclass(frozen=True)
class Source:
    """A study whose runs can be trained again.

    Attributes:
        named: What messages call it.
        folder: Where its code of its own lies, if it has some, and where it may write.
        state: What its journal says.
        trusted: Whether it was begun here by this user, so that its code and its paths may be used.
    """

    named: str
    folder: StudyFolder
    state: StudyState
    trusted: bool


@contextmanager
def opened(named: str, storage: Path) -> Iterator[Source]:
    """Give the study that an archive's path or a study's name means, with a folder of its own to train in.

    Raises:
        UsageError: there is none, or it is no archive.
        StudyError: the archive is not as it was written, or the journal is damaged.
    """
    from study.cluster import scratch

    with scratch.folder() as place:
        path = Path(named)
        if path.is_file() or ((named.endswith(".zip") or os.sep in named) and not path.is_dir()):
            yield _of_archive(path, place)
        else:
            yield _of_folder(folders.existing(storage, named, option="NAME"), place)


def _of_archive(path: Path, place: Path) -> Source:
    read = archive.read(path)
    if faults := read.faults():
        more = f", and {counted(len(faults) - 1, 'fault')} more" if len(faults) > 1 else ""
        raise StudyError(f"{path} is not as it was written: {faults[0]}{more}")
    events = journal.parse(read.files[read.journal], path)
    return _source(str(path), place / read.study, events, read.files.get(read.code), trusted=False)


def _of_folder(found: StudyFolder, place: Path) -> Source:
    events = journal.read(found.journal)
    code = found.code.read_bytes() if found.code.is_file() else None
    trusted = folders.is_trusted(found, journal.fold(found.journal, events).place)
    return _source(found.name, place / found.name, events, code, trusted=trusted)


def _source(named: str, place: Path, events: Sequence[Event], code: bytes | None, *, trusted: bool) -> Source:
    folder = StudyFolder(place)
    folder.path.mkdir()
    if code is not None:
        folder.code.write_bytes(code)
    return Source(named, folder, journal.fold(Path(named), events), trusted)


def chosen(source: Source, run_id: str) -> Run:
    """Return a run that has values to compare with.

    Raises:
        UsageError: there is no such run, it has not ended, it has failed, or nothing was measured.
    """
    runs = source.state.runs
    if run_id not in runs:
        raise UsageError(choose_from(f"run of {source.named}", run_id, runs))
    run = runs[run_id]
    if not run.is_ranked:
        why = f" ({run.reason})" if run.reason else ""
        raise UsageError(f"{run_id} of {source.named} is {run.status}{why}: it has no end to compare with")
    if not run.epochs and not run.final:
        raise UsageError(f"{run_id} of {source.named} has no recorded values to compare with")
    return run


def settings_of(source: Source, given: Mapping[str, Any]) -> Settings:
    """Return the study's settings with those that were given, in a Ray of one's own and without a tracker.

    What was trained without a GPU is so again, unless one is asked for. Of a study from elsewhere the places of data
    sets are this user's own, and no path that it names is followed.

    Raises:
        UsageError: its space is not known here, or its images lie where only the user can say.
        StudyError: its journal has no whole settings.
    """
    recorded = dict(source.state.settings)
    if source.state.about is not None and source.state.about.gpu is None:
        recorded["gpus_per_trial"] = 0.0
    if not source.trusted:
        recorded |= {"data_dir": "", "cache_dir": None, "labels": None}
    try:
        settings = Settings.from_json(recorded | dict(given))
        search_spaces.get(settings.space)
    except search_spaces.UnknownSpace as error:
        raise UsageError(f"{source.named}: {error.args[0]}") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StudyError(f"{source.named} is damaged: it has not the settings of a study ({error!r})") from None
    data = str(settings.data)
    named = "data" in given or data in search_spaces.datasets() or own_file.provides(data)
    if not (source.trusted or named):
        raise UsageError(f"{source.named} has images of its own, {data!r}; say where the images lie: --data FOLDER")
    return replace(settings, address=None, tracking_uri="", notify=None, max_concurrent=1)


def unlike(source: Source, run: Run, settings: Settings) -> list[str]:
    """Return why the same digits cannot be expected, a line each; nothing where all that is recorded is the same."""
    from study.driver.environment import environment

    about = source.state.about
    assert about is not None
    then, now = about.environment, environment()
    found = [*_differences(then, now)]
    commit = str(then.get("git_commit") or "")
    if commit.endswith("+changes") and then.get("git_commit") == now["git_commit"]:
        found.append("the program had changes that no commit has, and they are recorded nowhere")
    if about.gpu is not None:
        found.append("it was trained on a GPU, where sums are taken in no fixed order")
    elif settings.gpus_per_trial != 0:
        found.append("it was trained without a GPU, and --gpus-per-trial asks for one now")
    if source.state.settings.get("address") not in LOCAL:
        found.append("it was trained on a cluster, of whose machines nothing is recorded")
    later = [session.environment for session in source.state.later_sessions]
    if not all(later):
        found.append("the study was gone on with, and what later sessions ran with is not recorded")
    changes = dict.fromkeys(change for one in later if one for change in _differences(then, one))
    found += [f"the study was gone on with, {change.removesuffix(' now')} later" for change in changes]
    if run.kind == "confirm" and settings.fuse == "on":
        found.append("its seeds were trained together (--fuse on), and are rounded otherwise than alone")
    threads = source.state.settings.get("cpus_per_trial", settings.cpus_per_trial)
    if threads != settings.cpus_per_trial:
        found.append(f"cores of a run: {threads:g} then, {settings.cpus_per_trial:g} now")
    return found


def _differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield what could change a digit and is not known to be the same; a package may be missing in both."""
    for name, what in (("git_commit", "commit"), ("python", "Python"), ("cpu", "processor")):
        if not then.get(name):
            yield f"{what}: not recorded"
        elif then[name] != now[name]:
            yield f"{what}: {then[name]} then, {now[name] or 'unknown'} now"
    before, today = dict(then.get("versions", {})), now["versions"]
    for name in before | today:
        if (before.get(name) or None) != today.get(name):
            yield f"{name}: {before.get(name) or 'unknown'} then, {today.get(name) or 'none'} now"


def train(source: Source, run: Run, settings: Settings, *, trust: bool) -> tuple[list[Metrics], list[Metrics], Metrics]:
    """Train a run again and return its values: of its first stage's epochs, of its epochs, and of its end.

    Raises:
        DataError, UsageError: the images or the encoder cannot be read, or are not those of the study.
        StudyError: the run fails.
    """
    from study.cluster import joining

    about = source.state.about
    assert about is not None
    data = inputs.load(settings)
    encoder = inputs.encoder_of(settings, data, trust=trust)
    check_same("the images", about.data, data.digest)
    check_same("the encoder", about.encoder, encoder.digest if encoder else None)
    with inputs.joined(settings, data, encoder) as resources:
        import models
        from study.driver.context import Setup, beside_pca, shared
        from study.worker import worker
        from study.worker.job import Job

        stages = [config for config in (run.config, models.pretraining_config(run.config)) if config is not None]
        setup = Setup(settings, source.folder, data, resources, encoder, probe_file=None)
        context, baselines = shared(setup, say_progress, axes=any(map(models.starts_from_pca, stages)))
        epochs = len(run.epochs)
        job = Job(run.id, run.config, run.seed, run.budget, run.pretrain_budget, until=epochs, test=bool(run.final))
        if any(RATIO in metrics for metrics in run.epochs):
            job = beside_pca(job, baselines)
        say_progress(
            f"training {run.id} again: {counted(epochs, 'epoch')}, {duration(run.seconds)} when it was recorded"
        )
        reports = joining.run_on_node(worker.train, context, job, cpus=resources.cpus, gpus=resources.gpus)
    *_, last = reports
    if last.failed:
        raise StudyError(f"{run.id} failed when it was trained again: {last.failed}")
    found = {place: one for report in reports for place, one in enumerate(report.earlier, start=1)}
    found |= {report.epoch: report.metrics for report in reports}
    first = next((list(report.pretraining) for report in reports if report.pretraining), [])
    return first, [found[place] for place in sorted(found)], last.final


def use_code(source: Source, *, trust: bool) -> None:
    """Use the code of its own that a study has, before all that asks for its space.

    Raises:
        UsageError: it is not what the study began with, or nobody said that it may be run.
    """
    about = source.state.about
    if about is None or about.own is None:
        return
    code = own_file.read(source.folder.code)
    if code.digest != about.own.get("digest"):
        raise UsageError(f"{source.named}: its {source.folder.code.name} is not what the study began with")
    if not (trust or source.trusted):
        raise UsageError(
            f"{source.named} has code of its own, {source.folder.code.name}, which training would run: look at it; "
            "--trust says that it may"
        )
    own_file.use(code, str(about.own.get("file") or source.folder.code.name))


def check_same(what: str, recorded: Mapping[str, Any] | None, digest: str | None) -> None:
    """Compare the digest of what there is now with what a study's journal says of it.

    Args:
        what: "the images" or "the encoder".
        recorded: What the journal says, with its digest; None of what the study has not.
        digest: Today's.

    Raises:
        UsageError: they differ.
    """
    expected = (recorded or {}).get("digest")
    if expected != digest:
        raise UsageError(f"{what} are not those of the study: digest {digest}, and the study's is {expected}")


@dataclass(frozen=True)
class Value:
    """A number of a run, as it was recorded and as it is now; None where it was not finite, or is not measured now."""

    place: str
    metric: str
    recorded: float | None
    again: float | None

    @property
    def same(self) -> bool:
        """Whether it is the same to the last digit."""
        return self.recorded == self.again

    @property
    def apart(self) -> float:
        """The difference as a part of the greater of the two, infinite where one is missing."""
        if self.recorded is None or self.again is None:
            return 0.0 if self.same else float("inf")
        greater = max(abs(self.recorded), abs(self.again))
        return abs(self.recorded - self.again) / greater if greater else 0.0


def compared(run: Run, pretraining: Sequence[Metrics], epochs: Sequence[Metrics], final: Metrics) -> list[Value]:
    """Return every recorded number of a run beside the new one, without what says how long something took.

    Args:
        run: As it was recorded.
        pretraining: The new metrics of the epochs of its first stage.
        epochs: Those of its epochs.
        final: Those of its end.
    """
    parts = [
        *_paired("first stage, epoch", run.pretraining, pretraining),
        *_paired("epoch", run.epochs, epochs),
        ("end", run.final, final),
    ]
    return [
        Value(place, name, number, files.finite(now).get(name))
        for place, then, now in parts
        for name, number in then.items()
        if name != "epoch" and not metrics.is_timing(name)
    ]


def _paired(what: str, recorded: Sequence[Metrics], again: Sequence[Metrics]) -> Iterator[tuple[str, Metrics, Metrics]]:
    for place, then in enumerate(recorded, start=1):
        yield f"{what} {place}", then, again[place - 1] if place <= len(again) else {}
