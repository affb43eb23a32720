"""What the command says without running a study: the spaces, and configs drawn from one."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import search_spaces
from search_spaces import Context
from study.record.settings import Settings
from study.settings.resolve import selected, space_context

_CONFIGS = 10
_LEAST = 8  # columns that words keep
WIDTH = 80
"""Columns of a terminal, which every table fits."""


def list_spaces() -> str:
    """Return a table of every space: data set, family, size, metric and budget, in trials times epochs."""
    rows = [("space", "data set", "family", "images", "metric", "budget")]
    for name in search_spaces.names():
        space = search_spaces.get(name)
        spec = space.data
        shape = "×".join(map(str, spec.image_shape))
        rows.append(
            (
                name,
                spec.title.partition(" (")[0],
                space.family,
                shape,
                space.metric,
                f"{space.trials}×{space.epochs}",
            )
        )
    return f"{table(rows, cut=1)}\nbudget: trials times the most epochs of each; --trials and --epochs give another"


def dry_run(settings: Settings, trials: int | None, *, trust: bool = False) -> str:
    """Draw configs as a study would before it has results, build them without memory, and return their sizes.

    Raises:
        study.record.errors.UsageError: the data, if they are a folder, cannot be read.
    """
    import models

    image_shape, num_classes, found = _about_data(settings)
    encoder = None
    if settings.encoder_from:
        from study.training import checkpoint

        encoder = checkpoint.load_encoder(settings.storage_path, settings.encoder_from, image_shape, trust=trust).keys
    context = space_context(settings, image_shape, num_classes, encoder)
    if settings.space_file:
        from study.driver import own_space

        own_space.check(search_spaces.get(settings.space), context)
    drawn = _reported(settings) if settings.reported else _drawn(settings, context, trials)
    lines = [found] if found else []
    for origin, config in drawn:
        params = models.count_parameters(config, context.image_shape, context.num_classes)
        refused = settings.max_params is not None and params > settings.max_params
        shown = ", ".join(f"{key}={short(value)}" for key, value in config.items() if key != "family")
        lines.append(f"{origin:<18}{params:>12,} parameters{' refused' if refused else ''}")
        lines.append(f"    {wrapped(shown, 4)}")
    return "\n".join(lines)


def dry_run_of_data(given: Mapping[str, Any]) -> str:
    """Return what a data set is found to be: classes, counts, sizes, kinds of files, what is converted and left out.

    Args:
        given: The settings of the data, by their fields.

    Raises:
        study.record.errors.UsageError: the data cannot be read.
    """
    from study.data import image_data

    return image_data.described(image_data.of_settings(given))


def _about_data(settings: Settings) -> tuple[tuple[int, int, int], int, str]:
    """Return the shape of the images, the number of classes, and what there is to say of own images."""
    if (spec := search_spaces.datasets().get(settings.data)) is not None:
        return spec.image_shape, len(spec.class_names), ""
    from study.data import image_data

    data = image_data.of_settings(vars(settings))
    return data.image_shape, data.num_classes, image_data.described(data)


def _reported(settings: Settings) -> Iterator[tuple[str, Mapping[str, Any]]]:
    assert settings.reported is not None
    for key, entry in selected(settings.reported, settings.space).items():
        yield key, entry.config


def _drawn(settings: Settings, context: Context, trials: int | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
    import optuna

    from study.driver.beginning import warm_start
    from study.search.sampling import sampler_for_trial

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = search_spaces.get(settings.space)
    study = optuna.create_study()
    points = [*space.points(context), *warm_start(settings, context)]
    for number in range(trials or max(_CONFIGS, len(points))):
        if number < len(points):
            study.enqueue_trial(points[number].params)
        study.sampler = sampler_for_trial(settings.sampler, settings.seed, number, len(points))
        yield points[number].key if number < len(points) else settings.sampler, space.suggest(study.ask(), context)


def wrapped(text: str, indent: int = 0) -> str:
    """Return a text in lines of at most 80 columns, the later ones indented; a long word stays whole."""
    return textwrap.fill(text, WIDTH, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)


def short(value: object) -> str:
    """Return a value of a config, a float with three significant digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def table(rows: Sequence[tuple[str, ...]], cut: int | None = None) -> str:
    """Return rows, the first of them the heading, as lines of at most 80 columns, what belongs together below it.

    Where they are too long, the words of the column `cut` lose their ends; without one, a first cell that is too long
    stands whole in a line of its own, above the rest of its row.
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    narrow = 0 if cut is None else cut
    widths[narrow] = max(_LEAST, min(widths[narrow], WIDTH - sum(width + 2 for width in widths) + 2 + widths[narrow]))
    lines = []
    for first, *others in rows:
        alone = cut is None and len(first) > widths[0]
        lines += [first] if alone else []
        row = ("" if alone else first, *others)
        cells = [_shortened(cell, width).ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
