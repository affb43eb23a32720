"""What a study begins with: what it is about, whether that has changed since, and whether its disk has room."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import models
import search_spaces
from search_spaces import Context
from study.cluster.resources import Resources
from study.data import own_file
from study.data.image_data import ImageData
from study.data.twins import Twins
from study.driver import confirmation
from study.record import disk, metrics
from study.record.errors import UsageError
from study.record.events import StudyStarted
from study.record.settings import Settings
from study.settings.resolve import selected, space_context
from study.training.checkpoint import EncoderSource


def about(
    settings: Settings, data: ImageData, encoder: EncoderSource | None, twins: Twins | None = None
) -> dict[str, Any]:
    """Return the fields of `StudyStarted` but the machine's: what study.json says of a study.

    Args:
        settings: The study's.
        data: Its data set.
        encoder: The earlier study's encoder that it builds on.
        twins: What was found of pictures in two splits; a study that goes on has said so.
    """
    space = search_spaces.get(settings.space)
    context = space_context(settings, data.image_shape, data.num_classes, encoder.keys if encoder else None)
    return {
        "settings": settings.written(),
        "objective": {"metric": space.metric, "mode": metrics.mode(space.metric)},
        "searched": {} if settings.reported else search_spaces.outline(space, context),
        "data": {
            "name": data.name,
            "digest": data.digest,
            "sizes": data.sizes,
            "image_shape": list(data.image_shape),
            "class_names": list(data.class_names),
            "split": data.split,
            "notes": [*data.notes, *(twins.sentences if twins else [])],
            "pixels": str(data.train.images.dtype),
            "value_range": data.value_range and list(data.value_range),
            "twins": twins and twins.to_json(),
        },
        "encoder": encoder and encoder.to_json(),
        "own": own.to_json() if settings.space_file and (own := own_file.own()) else None,
    }


def check_disk(settings: Settings, context: Context, resources: Resources) -> None:
    """See that the checkpoints of the configs that are known beforehand will fit on the study's disk.

    Raises:
        UsageError: they will not.
    """
    space = search_spaces.get(settings.space)
    if settings.reported:
        configs = [dict(entry.config) for entry in selected(settings.reported, space.name).values()]
    else:
        configs = [point.config for point in space.points(context)]
    limit = resources.limits(settings.max_params).max_params
    counts = [models.count_parameters(config, context.image_shape, context.num_classes) for config in configs]
    disk.check(
        settings.storage_path,
        max((count for count in counts if count <= limit), default=0),
        running=resources.concurrent,
        kept=settings.confirm_top,
        confirmed=confirmation.runs_at_most(settings, space, context)[1],
    )


def check_unchanged(name: str, before: StudyStarted, now: Mapping[str, Any]) -> None:
    """Compare what a study was begun with, and what it would go on with: data, encoder and search space.

    Args:
        name: The study's.
        before: How it began. An earlier version may not have said what the space searches.
        now: What `about` returns today.

    Raises:
        UsageError: one of them has changed; the message says what, and what to do.
    """
    for key, what in (("data", "the data have"), ("encoder", "the encoder has")):
        old, new = ((about or {}).get("digest") for about in (getattr(before, key), now[key]))
        if old != new:
            changed = f"{what} changed, digest {new} instead of {old}"
            raise UsageError(f"--resume {name}: {changed}; restore what it began with, or begin a new study")
    searched = now["searched"] if before.searched is None else before.searched
    differing = [key for key in searched | now["searched"] if searched.get(key) != now["searched"].get(key)]
    if differing:
        key = differing[0]
        more = f" (and {len(differing) - 1} more)" if len(differing) > 1 else ""
        raise UsageError(
            f"--resume {name}: the search space has changed: {key} was {searched.get(key, 'not there')}, is "
            f"{now['searched'].get(key, 'not there')}{more}; restore the space or begin a new study"
        )
