"""A study of a space in a user's own file: checked before it begins, copied into its folder, used again from there."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import models
import search_spaces
from models.own import FAULTS, OwnCode
from search_spaces import Context, Space
from study.data import own_file
from study.record import files
from study.record import folder as folders
from study.record.errors import UsageError
from study.record.folder import StudyFolder
from study.record.state import StudyState

DRAWN = 50
"""Configs that are built before a study begins."""
_TRAINED = 3  # of them, besides the default, as far as they are small
_SMALL = 2_000_000  # parameters


def check(space: Space, context: Context) -> None:
    """See that the space's configs can be built for the study's images, and that the loss and metrics can be had.

    Raises:
        UsageError: one cannot; the message says which, and the line of the file.
    """
    trained = 0
    for name, config in configs(space, context, DRAWN):
        params = built(name, config, context)
        if name == "default" or (trained < _TRAINED and params <= _SMALL):
            tried(name, config, context)
            trained += name != "default"


def configs(space: Space, context: Context, drawn: int) -> list[tuple[str, dict[str, Any]]]:
    """Return the space's default, and configs that are drawn at random, by their names.

    Raises:
        UsageError: the space cannot express its default, or its search raises.
    """
    code = _code()
    try:
        found = [("default", point.config) for point in space.points(context)]
        draws = search_spaces.drawn(space, context, drawn)
        return found + [(f"drawn config {number}", config) for number, config in enumerate(draws)]
    except FAULTS as error:
        raise UsageError(f"--space {code.error(error)}") from error


def built(name: str, config: Mapping[str, Any], context: Context) -> int:
    """Return the parameters of a config's network, which is not allocated.

    Raises:
        UsageError: it cannot be built; the message says which config and why.
    """
    try:
        models.count_activations(config, context.image_shape, context.num_classes)  # by which large ones are refused
        return models.count_parameters(config, context.image_shape, context.num_classes)
    except FAULTS as error:
        raise _unusable(name, config, error, "cannot be built") from error


def tried(name: str, config: Mapping[str, Any], context: Context) -> dict[str, float]:
    """Train one step of a config on random images, and return the metrics of an evaluation.

    Raises:
        UsageError: the loss, its gradient or the metrics cannot be had, or the shape of what comes out is wrong.
    """
    import torch

    generator = torch.Generator().manual_seed(0)
    images = torch.rand(4, *context.image_shape, generator=generator)
    labels = torch.arange(4) % context.num_classes
    try:
        network = models.build(config, context.image_shape, context.num_classes)
        if models.starts_from_pca(config):
            return {}  # needs PCA's axes of the study's images
        network.training_loss(images, labels)[0].backward()  # type: ignore[no-untyped-call]
        network.eval()
        with torch.no_grad():
            values = network.per_image(images, labels, torch.arange(4))
            if isinstance(network, models.Reconstructive):
                _same("its codes", network.encode(images).shape, (4, config["latent_size"]))
                _same("its reconstructions", network(images).shape, tuple(images.shape))
        measured = network.metrics(values)
        wanted = search_spaces.get(own_name()).metric
        if wanted not in {f"val_{known}" for known in measured}:
            raise models.ConfigError(f"metrics() gives {', '.join(measured)}, and the objective is {wanted}")
        return measured
    except FAULTS as error:
        raise _unusable(name, config, error, "cannot be trained") from error


def is_refused(config: Mapping[str, Any], context: Context) -> bool:
    """Return whether the config's architecture says itself that it does not take such images."""
    architecture = models.FAMILIES[config["family"]].architectures[config["architecture"]]
    try:
        architecture.check_shape(config, context.image_shape)
    except models.ConfigError:
        return True
    return False


def own_name() -> str:
    """Return the name of the space in use."""
    found = own_file.own()
    assert found is not None
    return found.space.name


def keep(folder: StudyFolder) -> None:
    """Copy the file in use into a study's folder."""
    content = _code().content
    files.write(folder.code, lambda part: part.write_bytes(content))


def kept(folder: StudyFolder) -> OwnCode:
    """Return the file in use as the study's workers are given it: its errors name the copy in the folder."""
    return replace(_code(), path=folder.code)


def use_again(folder: StudyFolder, state: StudyState, restated: str | None, *, trust: bool) -> None:
    """Use the file of a study that is gone on with, from its folder; nothing, where the space is a built-in one.

    Args:
        folder: The study's.
        state: As its journal says.
        restated: The user's file, where it was given again: it has to be the same.
        trust: Whether it may be run though the study was not begun here.

    Raises:
        UsageError: the file has changed, or nobody said that it may be run.
    """
    resume = f"--resume {folder.name}:"
    recorded = state.about.own if state.about else None
    if recorded is None:
        if restated is not None:
            raise UsageError(f"{resume} --space {restated!r} differs; the study's is {state.settings.get('space')}")
        return
    code = own_file.read(folder.code)
    if code.digest != recorded["digest"]:
        raise UsageError(f"{resume} {folder.code} has changed since the study began; put back what it was")
    if restated is not None:
        given = own_file.read(Path(restated).expanduser())
        if given.digest != code.digest:
            told = own_file.difference(code.source, given.source)
            raise UsageError(
                f"{resume} --space {restated} is not the study's file: {told}; "
                "leave it out to go on with the study's own copy, or begin a new study"
            )
    elif not trust and not folders.is_trusted(folder, state.place):
        raise UsageError(
            f"{resume} it was not begun here, and {folder.code} is code of its own, which going on would run: "
            "--trust, or --space with the same file, says that it may"
        )
    else:
        _say_changed(state, code)
    own_file.use(code, recorded["file"])


def _say_changed(state: StudyState, code: OwnCode) -> None:
    """Say that the user's file has been edited since: the study goes on with what it began with."""
    first = state.settings.get("space_file")
    try:
        now = OwnCode.read(first) if first else code
    except (OSError, models.ConfigError):
        return
    if now.digest != code.digest:
        told = own_file.difference(code.source, now.source)
        print(
            f"study: {first} has changed since ({told}); the study goes on with its own copy, space.py", file=sys.stderr
        )


def _code() -> OwnCode:
    found = own_file.own()
    assert found is not None
    return found.code


def _same(what: str, found: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if tuple(found) != expected:
        raise models.ConfigError(f"{what} have the shape {tuple(found)}, and should have {expected}")


def _unusable(name: str, config: Mapping[str, Any], error: BaseException, what: str) -> UsageError:
    shown = json.dumps(dict(config), default=str)
    return UsageError(f"--space {_code().error(error)}; the {name} {what}: {shown}")
