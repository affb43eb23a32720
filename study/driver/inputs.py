"""What a driver has at hand before anything is trained: images, an earlier study's encoder, a joined Ray."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import TYPE_CHECKING

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
    # The libraries take as long to import as Ray's processes take to start. Threads that import parts of one package at
    # once find halves of it, or wait for each other: so Ray is whole before, and nothing else is imported meanwhile.
    from study.cluster import joining

    joining.set_environment(own=settings.own_ray)
    import ray  # noqa: F401

    libraries = Thread(target=import_libraries, args=(settings.tracking_uri,), daemon=True)
    libraries.start()
    with joining.joined(settings.address, data):
        libraries.join()
        from study.cluster import pricing, resources
        from study.search import gpu_probe

        resources.of_each_run(settings)  # refuses what no machine has, before anything is measured
        divided = resources.of_each_run(settings, gpu_probe.survey(settings, data, encoder))
        for line in pricing.check(settings, divided):
            say_progress(line)
        yield divided


def import_libraries(tracking_uri: str) -> None:
    """Import PyTorch and the tracker's library, which take seconds, one after the other.

    Without a URI nothing is tracked, as of a run that is repeated. A tracker whose library is missing says so itself.
    """
    import torch  # noqa: F401

    from study.tracking import implementations

    if tracking_uri:
        with suppress(ImportError):
            implementations.import_library(tracking_uri)
