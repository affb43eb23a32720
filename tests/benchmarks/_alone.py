"""A search in this process alone, one trial at a time, as `study run --scheduler none --max-concurrent 1` does it.

The settings, the searcher, the seeds, PCA's axes, the training loop and the journal are the study's own; there is no
Ray, no MLflow, no baseline and no confirmation, whose start takes longer than a small search. A search that was cut
off goes on, and one that has ended is read. The seconds of an epoch are those of the processor, one thread's, so
that they say the same on a busy machine.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

import _command
import torch

import models
from study.baselines.baseline import PcaAxes, PcaBaseline
from study.cluster.resources import Limits
from study.data import image_data
from study.data.tensors import TensorSplit
from study.driver import beginning
from study.record.constraints import of_texts
from study.record.events import EpochEnded, Pretrained, RunEnded, SearchEnded, SessionStarted, StudyStarted
from study.record.folder import StudyFolder
from study.record.journal import Journal, Recorder, read_state
from study.record.metrics import sizes
from study.record.state import StudyState
from study.search.searcher import SearchPlan, StudySearcher
from study.settings import command_line
from study.settings.resolve import settings_of, space_context, space_of
from study.training.execution import prepare_process
from study.training.stages import Budget, StagedTraining
from study.training.trainer import Initial, NonFiniteLossError
from study.worker.job import Job, Report, StepResult, job_of, tune_result

MEMORY = 2**33  # bytes that a run may take: networks are to be bounded by --max-params
T = TypeVar("T")


def parser(doc: str | None, *, seeds: int, trials: int, epochs: int, max_params: int) -> argparse.ArgumentParser:
    """Return the parser of a benchmark of such searches, with these defaults."""
    made = _command.parser(doc)
    defaults = {"seeds": seeds, "trials": trials, "epochs": epochs, "train-size": 500, "val-size": 250}
    for option, default in (defaults | {"max-params": max_params}).items():
        made.add_argument(f"--{option}", type=int, default=default, help=f"default {default:,}")
    made.add_argument("--keep", type=Path, metavar="DIR", help="keep the studies there, and go on with them")
    return made


@contextmanager
def storage(options: argparse.Namespace) -> Iterator[Path]:
    """Give the folder of the studies: that of `--keep`, else one that goes."""
    if options.keep:
        yield options.keep
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        yield Path(folder)


def search(storage: Path, name: str, words: str, data_dir: Path) -> StudyState:
    """Search, or go on with a search, and return what its journal says.

    Args:
        storage: Where studies lie; the ones that `--warm-start` names, too.
        name: The study's name.
        words: Its options, as `study run` takes them.
        data_dir: Where the data sets lie.
    """
    folder = StudyFolder(storage.absolute() / name)
    begun = read_state(folder.journal) if folder.has_begun else None
    if begun and begun.search_ended:
        return begun
    fixed = ["--name", name, "--storage", str(storage), "--data-dir", str(data_dir), "--scheduler", "none"]
    settings = settings_of(command_line.parse([*words.split(), *fixed]).given)
    prepare_process(1)
    images = _images(settings.space, str(data_dir), settings.train_size, settings.val_size)
    context = space_context(settings, images.data.image_shape, images.data.num_classes)
    folder.path.mkdir(parents=True, exist_ok=True)
    recorder = Recorder(Journal(folder.journal), begun or StudyState())
    warm_start = beginning.warm_start(settings, context)
    about = beginning.about(settings, images.data, None)
    first = StudyStarted(**about, warm_start=[vars(point) for point in warm_start])
    recorder.record(SessionStarted({}) if begun else first)
    plan = SearchPlan(
        space=space_of(settings),
        context=context,
        objectives=settings.objectives,
        sampler=settings.sampler,
        seed=settings.seed,
        trials=settings.trials,
        epochs=settings.epochs,
        limits=Limits(settings.max_params or MEMORY, MEMORY, constraints=of_texts(settings.constraints)),
        warm_start=warm_start,
    )
    searcher = StudySearcher(plan, recorder, folder.optuna_log, lambda: None)
    for number in range(settings.trials):
        config = searcher.suggest(str(number))
        if not isinstance(config, dict):
            break  # a search that goes on has fewer trials left
        _train(job_of(config), str(number), searcher, images, recorder)
    recorder.record(SearchEnded("trials"))
    print(f"{name}: {len(recorder.state.trials)} trials", file=sys.stderr, flush=True)
    return recorder.state


def _train(job: Job, tune_id: str, searcher: StudySearcher, images: Images, recorder: Recorder) -> None:
    """Train a run to its end, and tell the searcher; epochs that are recorded already are not recorded again."""
    run, objectives = recorder.state.runs[job.id], recorder.state.settings["objectives"]
    training = StagedTraining(
        job.config,
        images.splits,
        num_classes=images.data.num_classes,
        budget=Budget(job.epochs, job.pretrain_epochs),
        seed=job.seed,
        initial=Initial(images.axes),
    )
    reason = None
    try:
        training.pretrain(lambda: None)
        if training.pretraining and not run.pretraining:
            recorder.record(Pretrained(job.id, training.pretraining))
        for epoch in range(1, job.epochs + 1):
            began = time.process_time()
            metrics = training.epoch()
            if epoch > len(run.epochs):
                recorder.record(EpochEnded(job.id, epoch, metrics | {"seconds": time.process_time() - began}))
            if epoch < job.epochs:
                report = Report(epoch, metrics, sizes(job.config, run.params))
                searcher.on_trial_result(tune_id, tune_result(StepResult({job.id: report}), objectives))
    except NonFiniteLossError as error:
        reason = str(error)
    recorder.record(RunEnded(job.id, "failed" if reason else "completed", reason, {}))
    report = Report(len(run.epochs), run.last, sizes(job.config, run.params), done=True, failed=reason)
    searcher.on_trial_complete(tune_id, tune_result(StepResult({job.id: report}), objectives))


@dataclass(frozen=True)
class Images:
    """A data set, its images of training and validation as tensors, and PCA's axes where networks start from them."""

    data: image_data.ImageData
    splits: dict[str, TensorSplit]
    axes: PcaAxes | None


@cache
def _images(space: str, data_dir: str, train_size: int | None, val_size: int | None) -> Images:
    dataset, _, family = space.rpartition("_")
    data = image_data.load(dataset, Path(data_dir), train_size=train_size, val_size=val_size)
    named = {"train": data.train, "val": data.val}
    splits = {key: (torch.from_numpy(split.images), torch.from_numpy(split.labels)) for key, split in named.items()}
    if not any(known.starts_from_pca for known in models.FAMILIES[family].architectures.values()):
        return Images(data, splits, None)
    return Images(data, splits, PcaBaseline(data.splits, _here, lambda line: None).axes())


def _here(function: Callable[..., T], /, *arguments: object) -> T:
    return function(*arguments)


def best_by_trial(state: StudyState, metric: str) -> list[float]:
    """Return the lowest value of any epoch so far, after each trial; the epochs of a failed one count."""
    lowest = (min((epoch[metric] for epoch in run.epochs), default=math.inf) for run in state.trials)
    return list(accumulate(lowest, min))
