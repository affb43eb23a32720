"""A study before it is run: configs drawn as it would draw them, their sizes, and what it may take."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import search_spaces
from search_spaces import Context
from study.record.commands import say_progress
from study.record.constraints import of_texts
from study.record.settings import Settings
from study.record.terminal import short, wrapped
from study.settings.resolve import reported_split, selected, space_context, warning_of_size

if TYPE_CHECKING:
    from study.data.image_data import ImageData
    from study.driver.estimate import Probe
    from study.driver.reproductions import Machine

_CONFIGS = 10


def dry_run(settings: Settings, trials: int | None, *, trust: bool = False) -> str:
    """Draw configs as a study would before it has results, and return their sizes and what the study may take.

    Networks are built without memory; some are trained for a few batches, on made-up images. Nothing is written.

    Raises:
        study.record.errors.UsageError: the data, if they are a folder, cannot be read.
    """
    facts = _about_data(settings)
    if warning := warning_of_size(settings, facts.image_shape):
        say_progress(wrapped(warning, 4))
    encoder = None
    if settings.encoder_from:
        from study.training import checkpoint

        source = checkpoint.load_encoder(settings.storage_path, settings.encoder_from, facts.image_shape, trust=trust)
        encoder = source.keys
    context = space_context(settings, facts.image_shape, facts.num_classes, encoder)
    if settings.space_file:
        from study.driver import own_space

        own_space.check(search_spaces.get(settings.space), context)
    drawn = list(_reported(settings) if settings.reported else _drawn(settings, context, trials))
    return "\n".join(
        [
            *filter(None, [facts.words]),
            *_listed(settings, context, drawn),
            "",
            _estimate(settings, context, facts, drawn),
        ]
    )


def _listed(settings: Settings, context: Context, drawn: list[tuple[str, Mapping[str, Any]]]) -> Iterator[str]:
    import models
    from study.cluster.resources import Limits

    # What memory leaves out depends on the machine that the study runs on.
    limits = Limits(settings.max_params or sys.maxsize, sys.maxsize, constraints=of_texts(settings.constraints))
    for origin, config in drawn:
        params = models.count_parameters(config, context.image_shape, context.num_classes)
        refused = limits.refusal(config, context, params) is not None
        shown = ", ".join(f"{key}={short(value)}" for key, value in config.items() if key != "family")
        yield f"{origin:<18}{params:>12,} parameters{' refused' if refused else ''}"
        yield f"    {wrapped(shown, 4)}"


def _estimate(settings: Settings, context: Context, facts: _Facts, listed: list[tuple[str, Mapping[str, Any]]]) -> str:
    from study.cluster import joining

    joining.set_environment(own=settings.own_ray)  # before Ray is imported, for its schedulers
    from study.driver import estimate
    from study.driver.reproductions import Machine

    machine = Machine.here(settings.cpus_per_trial, settings.gpus_per_trial, settings.max_concurrent)
    drawn = estimate.drawn_of(settings, context, listed, machine.concurrent)
    say_progress("study: some are trained for a few batches, to estimate what the study takes")
    found = estimate.estimate(settings, context, drawn, machine, _probe(settings, context, facts, machine))
    return estimate.text(found, settings, context, machine)


def _probe(settings: Settings, context: Context, facts: _Facts, machine: Machine) -> Probe:
    """Return what measures a config on this machine, in this process."""
    import torch

    from study.training.execution import Execution, prepare_process
    from study.training.pace import epoch_seconds

    prepare_process(machine.threads)
    sizes, device = _sizes(settings, facts.sizes), torch.device(machine.device)
    execution = Execution(settings.precision)  # compiled steps cost a minute each, and begin to pay later
    return lambda config: epoch_seconds(
        config, context.image_shape, context.num_classes, sizes, device, execution=execution
    )


def _sizes(settings: Settings, whole: Mapping[str, int]) -> dict[str, int]:
    """Return how many images of each split a study of these settings has."""
    if (split := reported_split(settings)) is not None:
        whole = {"train": split.train, "val": split.val}
    train = min(settings.train_size or whole["train"], whole["train"])
    if settings.val_size == "proportional":
        return {"train": train, "val": round(whole["val"] * train / whole["train"])}
    return {"train": train, "val": min(settings.val_size or whole["val"], whole["val"])}


def dry_run_of_data(given: Mapping[str, Any]) -> str:
    """Return what a data set is found to be: classes, counts, sizes, kinds of files, what is converted and left out.

    Args:
        given: The settings of the data, by their fields.

    Raises:
        study.record.errors.UsageError: the data cannot be read.
    """
    from study.data import image_data

    return _described(image_data.of_settings(given))


@dataclass(frozen=True)
class _Facts:
    """Of a study's data: what a space has to know, the images of each split, and what there is to say of own ones."""

    image_shape: tuple[int, int, int]
    num_classes: int
    sizes: Mapping[str, int]
    words: str = ""


def _about_data(settings: Settings) -> _Facts:
    if (spec := search_spaces.datasets().get(settings.data)) is not None:
        return _Facts(spec.image_shape, len(spec.class_names), spec.sizes)
    from study.data import image_data

    data = image_data.of_settings(vars(settings))
    return _Facts(data.image_shape, data.num_classes, data.sizes, _described(data))


def _described(data: ImageData) -> str:
    from study.data import image_data

    return "\n".join(wrapped(line, 4) for line in image_data.described(data).splitlines())


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
