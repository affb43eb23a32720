"""What a study begins with: what it is about, whether that has changed since, and whether its disk has room."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from itertools import zip_longest
from typing import Any

import models
import search_spaces
from search_spaces import Context, Point, Space
from study.cluster.resources import Resources
from study.data import own_file
from study.data.image_data import ImageData
from study.data.twins import Twins
from study.driver import confirmation
from study.record import disk, metrics
from study.record import folder as folders
from study.record.errors import UsageError
from study.record.events import StudyStarted
from study.record.journal import read_state
from study.record.ranking import best_trials
from study.record.settings import Settings
from study.settings.resolve import selected, space_context, space_of
from study.training.checkpoint import EncoderSource

_GIVEN_OF_ALL = 5  # one trial in so many may come from earlier studies


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
    space = space_of(settings)
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
            "split": data.split,
            "notes": [*data.notes, *(twins.sentences if twins else [])],
            **data.trained.to_json(),
            "twins": twins and twins.to_json(),
        },
        "encoder": encoder and encoder.to_json(),
        "own": own.to_json() if settings.space_file and (own := own_file.own()) else None,
    }


def warm_start(settings: Settings, context: Context) -> list[Point]:
    """Return the best configs of the earlier studies that a study begins with, asked anew in its space.

    A source that misleads so costs the trials that it gave and no more: a fifth of all. Numbers that lie out of bounds
    move to the nearest one; configs that the space cannot express otherwise are left out.

    Raises:
        UsageError: there is no such study, it is of another family or has no trials, or the space can express none of
            its configs.
    """
    if settings.warm_start is None:
        return []
    space = search_spaces.get(settings.space)
    sources = [_warm_points(settings, name, space, context) for name in settings.warm_start.split(",")]
    in_turn = [point for rank in zip_longest(*sources) for point in rank if point is not None]
    own = [point.config for point in space.points(context)]
    found: list[Point] = []
    for point in in_turn:
        if point.config not in own and all(point.config != other.config for other in found):
            found.append(point)
    return found[: max(1, settings.trials // _GIVEN_OF_ALL)]


def _warm_points(settings: Settings, name: str, space: Space, context: Context) -> list[Point]:
    """Return the configs of an earlier study, the best first, as far as a space can express them."""
    source = read_state(folders.existing(settings.storage_path, name, option="--warm-start").journal)
    try:
        other = search_spaces.get(source.settings["space"])
    except (KeyError, search_spaces.UnknownSpace):
        raise UsageError(f"--warm-start {name!r} is of a space that is not known here") from None
    if other.family != space.family:
        raise UsageError(f"--warm-start {name!r} is of the family {other.family}; {space.name} is of {space.family}")
    best = best_trials(source, metrics.ranked_by(source.settings.get("objectives", ()), other.metric))
    if not best:
        raise UsageError(f"--warm-start {name!r} has no trials that ended")
    points = []
    for run in best:
        with suppress(ValueError):
            points.append(space.point(f"{name}/{run.id}", run.config, context, clip=True))
    if not points:
        raise UsageError(f"--warm-start {name!r}: {space.name} can express none of its {len(best)} configs")
    return points


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
        confirmed=confirmation.networks_at_most(settings, space, context),
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
