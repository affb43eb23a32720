"""What a study starts with: what it is about, and whether its disk has room for it."""

from __future__ import annotations

from typing import Any

import models
import search_spaces
from search_spaces import Context
from study import disk
from study.cluster.shares import Share
from study.data.image_data import ImageData
from study.encoder_source import EncoderSource
from study.reported import selected
from study.settings import Settings


def about(settings: Settings, data: ImageData, encoder: EncoderSource | None) -> dict[str, Any]:
    """Return what study.json says of a study, its environment apart."""
    space = search_spaces.get(settings.space)
    context = settings.context(data.image_shape, data.num_classes, encoder.keys if encoder else None)
    return {
        "settings": settings.to_json(),
        "objective": {"metric": space.metric, "mode": space.mode},
        "searched": {} if settings.reported else search_spaces.outline(space, context),
        "data": {
            "name": data.name,
            "digest": data.digest,
            "sizes": data.sizes,
            "image_shape": list(data.image_shape),
            "class_names": list(data.class_names),
            "split": data.split,
            "notes": list(data.notes),
        },
        "encoder": encoder and encoder.to_json(),
    }


def check_disk(settings: Settings, context: Context, share: Share) -> None:
    """See that the checkpoints of the configs that are known beforehand will fit on the study's disk.

    Raises:
        UsageError: they will not.
    """
    space = search_spaces.get(settings.space)
    if settings.reported:
        configs = [dict(entry.config) for entry in selected(settings.reported, space.name).values()]
    else:
        configs = [point.config for point in space.points(context)]
    limit = share.limits(settings.max_params).max_params
    counts = [models.count_parameters(config, context.image_shape, context.num_classes) for config in configs]
    disk.check(
        settings.storage_path,
        max((count for count in counts if count <= limit), default=0),
        running=share.concurrent,
        kept=settings.confirm_top,
        confirmed=(len(configs) if settings.reported else settings.confirm_top) * settings.confirm_seeds,
    )
