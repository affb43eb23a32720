"""What all runs of a study share in its workers: images and PCA's axes in Ray's store, and how they are trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import ray

from study.baselines.baseline import SEARCHED, PcaBaseline, baseline_of
from study.cluster.resources import Resources
from study.data.image_data import ImageData
from study.driver import own_space
from study.driver.node_call import NodeCall
from study.record.folder import StudyFolder
from study.record.settings import Settings
from study.settings.resolve import space_of
from study.training.checkpoint import EncoderSource
from study.training.execution import Execution
from study.worker.job import Job
from study.worker.run import WorkerContext
from study.worker.shared_data import SharedData


@dataclass(frozen=True)
class Setup:
    """What a driver has at hand when it begins to run a study.

    Attributes:
        settings: the study's.
        folder: its folder, locked.
        data: its data set.
        resources: what each run gets of the joined Ray.
        encoder: the earlier study's encoder that classifiers are built on, None without one.
        probe_file: by which nodes that join later tell whether they share the folder, None on one machine.
    """

    settings: Settings
    folder: StudyFolder
    data: ImageData
    resources: Resources
    encoder: EncoderSource | None
    probe_file: Path | None


def shared(setup: Setup, say: Callable[[str], None], *, axes: bool) -> tuple[WorkerContext, PcaBaseline]:
    """Put what a study's runs share into the joined Ray; return it with the baseline, which is fitted when asked.

    Args:
        setup: What the driver has at hand.
        say: Called before something takes long.
        axes: Whether there are networks that start from PCA.
    """
    settings, data, encoder, resources = setup.settings, setup.data, setup.encoder, setup.resources
    put = SharedData.put(data, encoder.state if encoder else None)
    elsewhere = NodeCall(data, put, resources.node_cpus)
    baselines = baseline_of(space_of(settings).family)(data.splits, elsewhere, say)
    context = WorkerContext(
        data=replace(put, axes=ray.put(baselines.axes(settings.latent_size or SEARCHED))) if axes else put,
        checkpoints=setup.folder.checkpoints.absolute(),
        errors=setup.folder.errors.absolute(),
        objectives=settings.objectives,
        threads=resources.threads,
        retries=settings.retries,
        execution=Execution(settings.precision, settings.compile),
        gpu=resources.gpus > 0,
        probe_file=setup.probe_file,
        own=own_space.kept(setup.folder) if settings.space_file else None,
        measures_fusing=settings.fuse == "auto",
    )
    return context, baselines


def beside_pca(job: Job, baselines: PcaBaseline) -> Job:
    """Return a job with PCA's error at the size of its code, of each split that it reads, to put its own over that."""
    splits = ("val", "test") if job.test else ("val",)
    errors = {split: baselines.error(split, job.config["latent_size"]) for split in splits}
    return replace(job, pca={split: error for split, error in errors.items() if error is not None})
