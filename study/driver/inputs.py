"""What a driver has at hand before anything is trained: images, an earlier study's encoder, a joined Ray."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from threading import Thread
from typing import TYPE_CHECKING

from study.record import machine
from study.record.commands import say_progress
from study.record.errors import UsageError

if TYPE_CHECKING:
    from study.cluster.resources import Resources
    from study.data.image_data import ImageData
    from study.record.settings import Settings
    from study.training.checkpoint import EncoderSource


def load(settings: Settings) -> ImageData:
    """Return the images that settings ask for, divided and cut as they say.

    Raises:
        DataError, UsageError: they cannot be read, or there is nothing to learn from them.
    """
    from study.data import image_data
    from study.settings.resolve import reported_split

    train_size, val_size = settings.train_size, settings.val_size
    data = image_data.of_settings(vars(settings), say_progress)
    if (split := reported_split(settings)) is not None:
        data = image_data.as_reported(data, split)
    if settings.smoke and train_size is not None:  # of whatever there is; a size that was asked for is had or refused
        most = min(train_size, len(data.train))
        data = image_data.subset(data, most, val_size, test_size=most)
    else:
        data = image_data.subset(data, train_size, val_size)
    _check_data(settings, data)
    return data


def _check_data(settings: Settings, data: ImageData) -> None:
    """See that there is something to learn from the data.

    Raises:
        UsageError: the training images are all the same, or a classifier is to tell apart a single class.
    """
    import search_spaces

    images = data.train.images
    if len(images) < 2 or not any((image != images[0]).any() for image in images):
        raise UsageError(f"--data {settings.data}: the {len(images):,} training images are all the same")
    space = search_spaces.get(settings.space)
    if space.family == "classifier" and len(set(data.train.labels.tolist())) < 2:
        only = data.class_names[int(data.train.labels[0])]
        raise UsageError(
            f"--space {space.name} needs images of two classes or more; {settings.data} has {only!r} alone"
        )


def encoder_of(settings: Settings, data: ImageData, *, trust: bool) -> EncoderSource | None:
    """Return the earlier study's encoder that settings build on, None without one; `trust` lets its own code run."""
    if settings.encoder_from is None:
        return None
    from study.training import checkpoint

    return checkpoint.load_encoder(settings.storage_path, settings.encoder_from, data.image_shape, trust=trust)


@contextmanager
def joined(settings: Settings, data: ImageData, encoder: EncoderSource | None) -> Iterator[Resources]:
    """Start or join the Ray that settings name, with room for the images, and give what each run gets of it."""
    from study.data.image_data import bytes_in_memory

    with ray_joined(settings, bytes_in_memory(data)):
        yield divided(settings, data, encoder)


@contextmanager
def ray_joined(settings: Settings, data_bytes: int) -> Iterator[None]:
    """Start or join the Ray that settings name, and import the libraries meanwhile.

    A Ray of one's own has room for `data_bytes` of images.
    """
    # The libraries take as long to import as Ray's processes take to start. Threads that import parts of one package at
    # once find halves of it, or wait for each other: so Ray is whole before, and nothing else is imported meanwhile.
    from study.cluster import joining

    with ExitStack() as leaving:
        with machine.importing():
            joining.set_environment(own=settings.own_ray)
            import ray  # noqa: F401

            wanted = (settings.tracking_uri, settings.data)
            libraries = Thread(target=import_libraries, args=wanted, daemon=True)
            libraries.start()
            leaving.enter_context(joining.joined(settings.address, data_bytes, runs=_most_at_a_time(settings)))
            libraries.join()
        yield


def _most_at_a_time(settings: Settings) -> int:
    """Return how many runs can train at a time on this machine's cores; on how many GPUs is not known yet."""
    return int(min(settings.trials, settings.max_concurrent or math.inf, machine.cores() // settings.cpus_per_trial))


def divided(settings: Settings, data: ImageData, encoder: EncoderSource | None) -> Resources:
    """Return what each run gets of the Ray that is joined.

    Raises:
        UsageError: settings ask for what no machine has, or for prices that are not known.
    """
    from study.cluster import pricing, resources
    from study.search import gpu_probe

    resources.of_each_run(settings)  # refuses what no machine has, before anything is measured
    found = resources.of_each_run(settings, gpu_probe.survey(settings, data, encoder))
    for line in pricing.check(settings, found):
        say_progress(line)
    return found


def import_libraries(tracking_uri: str, source: str) -> None:
    """Import PyTorch, what reads the images of `source`, and the tracker's library: seconds, one after the other.

    Without a URI nothing is tracked, as of a run that is repeated. A tracker whose library is missing says so itself.
    """
    import torch  # noqa: F401

    import search_spaces
    from study.tracking import implementations

    if (spec := search_spaces.datasets().get(source)) is not None:
        importlib.import_module("torchvision.datasets" if spec.torchvision_class else "sklearn.datasets")
    if tracking_uri:
        with suppress(ImportError):
            implementations.import_library(tracking_uri)
