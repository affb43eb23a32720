"""What given settings mean: those of a new study with every default resolved, and those of a resumed one."""

from __future__ import annotations

import math
import os
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

import search_spaces
from search_spaces import FAMILY_FACTS, Context, Reported, ReportedSplit, Space
from study.data import own_file
from study.record import constraints, metrics, tracking_uri
from study.record.commands import STORAGE, check_text
from study.record.errors import UsageError, choose_from
from study.record.folder import check_name
from study.record.settings import Settings, options
from study.settings.algorithms import MULTI_OBJECTIVE_SAMPLERS, SCHEDULERS

_DRAWN = 300  # configs, among which every conditional number of a space comes up
_SMOKE = {"trials": 2, "epochs": 1, "train_size": 256, "val_size": "proportional", "confirm_top": 1, "confirm_seeds": 2}
DESTINATIONS = ("tracking_uri", "address", "notify", "register")
"""Settings by which a study reaches other programs: of a folder from elsewhere, nobody here has chosen them."""


def settings_of(given: Mapping[str, Any]) -> Settings:
    """Return the settings of a new study from those that were given, by their fields.

    A user's own file of the space is in use already (`study.data.own_file`).

    Raises:
        UsageError: a value is not allowed, alone or beside another; the message says what is.
    """
    given = {**_SMOKE, **given} if given.get("smoke") else dict(given)
    reported = selected(given["reported"], given.get("space")) if _only_reported(given) else {}
    if reported:
        given["space"] = next(iter(reported.values())).space
    elif given.get("as_reported"):
        raise UsageError("--as-reported goes with --reported, whose configurations say which images they had")
    space = _space(given)
    if given.get("encoder_from") and not FAMILY_FACTS[space.family].on_encoder:
        raise UsageError(f"--encoder-from is for a classifier; {space.name} is a space of the family {space.family}")
    if given.get("latent_size") and FAMILY_FACTS[space.family].baseline != "pca":
        raise UsageError(f"--latent-size is for autoencoders and VAEs; {space.name} is of the family {space.family}")
    _check_prices(given)
    if given.get("notify"):
        _check_command(given["notify"])
    uri = tracking_uri.absolute(given.get("tracking_uri") or tracking_uri.default())
    _check_registry(given.get("register"), uri)
    objectives = _objectives(given.get("objectives"), space)
    _check_constraints(given.get("constraints", ()), space, given.get("latent_size"))
    scheduler = given.get("scheduler", "none" if len(objectives) > 1 else "asha")
    if len(objectives) > 1:
        _check_several(objectives, given.get("sampler", "tpe"), scheduler)
        _check_patience(given.get("patience"), objectives)
    elif objectives[0] != metrics.ranked_by(objectives, space.metric):
        raise UsageError(
            f"--objective {objectives[0]} alone is no measure of how good a network is; give both, --objective "
            f"{space.metric},{objectives[0]}, or bound one with --constraint"
        )
    if "latent_size" in objectives and given.get("latent_size"):
        raise UsageError(f"--latent-size {given['latent_size']} holds what --objective {','.join(objectives)} searches")
    if reported and given.get("confirm_top") == 0:
        raise UsageError("--confirm 0 leaves nothing to do with --reported; give KxR, such as 1x3")
    if given.get("confirm_top") == 0 and given.get("report_seeds"):
        raise UsageError(f"--report-seeds {given['report_seeds']} goes not with --confirm 0: nothing is reported on")
    data = data_settings({**given, "data": given.get("data", space.dataset)})
    # A cap that caps none, where reported configurations have their own epochs.
    epochs = max(max(entry.epochs) for entry in reported.values()) if reported else space.epochs
    resolved = {
        "space": space.name,
        "space_file": _absolute(given["space_file"]) if given.get("space_file") else None,
        "prices_file": _absolute(given["prices_file"]) if given.get("prices_file") else None,
        "name": check_name(given.get("name", f"{space.name}-{datetime.now():%Y%m%d-%H%M%S}")),
        "trials": 0 if reported else given.get("trials", space.trials),
        "epochs": given.get("epochs", epochs),
        "scheduler": scheduler,
        "objectives": objectives,
        **data,
        "storage": _absolute(given.get("storage", STORAGE)),
        "tracking_uri": uri,
        "address": given.get("address", default_address()),
    }
    settings = Settings(**given | resolved)
    for value in settings.to_json().values():
        if isinstance(value, str):
            check_text(value)  # a home folder, or an environment variable
    return settings


def data_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings by which a study's images are read, from those that were given.

    Paths are absolute: a study may be resumed from another folder.

    Raises:
        UsageError: the data are neither a data set nor a folder or file, or the options are not for it.
    """
    source = given["data"]
    _check_source(source, given)
    places = {name: _absolute(given[name]) if given.get(name) else None for name in ("labels", "cache_dir")}
    return {
        **places,
        "data": source if source in search_spaces.datasets() or own_file.provides(source) else _absolute(source),
        "data_dir": _absolute(given.get("data_dir") or _default_data_dir()),
        "image_size": given.get("image_size"),
        "value_range": given.get("value_range"),
    }


def resumed_settings(given: Mapping[str, Any], recorded: Mapping[str, Any]) -> tuple[Settings, dict[str, Any]]:
    """Return the settings of a resumed study, and those of them that say that there is more to do.

    `$RAY_ADDRESS` counts as it does for a new study: a batch job's cluster has another address each time.

    Args:
        given: The settings that were given anew, by their fields.
        recorded: Those of the study, from its journal.

    Raises:
        UsageError: a setting was given that is not what the study has or goes not with it, or fewer trials than it has.
    """
    before = Settings.from_json(recorded)
    values, resume = before.to_json(), f"--resume {before.name}:"
    if given.get("name", before.name) != before.name:
        raise UsageError(f"{resume} --name {given['name']!r} is another study's; leave it out")
    if given.get("space", before.space) != before.space:
        raise UsageError(f"{resume} --space {given['space']!r} differs; the study's is {before.space}")
    data = {} if before.reported else {"data": before.data}
    given = {**given, "space_file": before.space_file}  # whose content is compared, wherever it lies
    if before.prices and "prices" not in given:  # as the study has them, whatever has become of the file
        given |= {"prices_file": before.prices_file, "prices": before.prices}
    now = settings_of({**data, **given, "space": before.space, "name": before.name}).to_json()
    for name, option in options().items():
        for field in option.fields:
            if field not in given or now[field] == values[field] or field == "storage":
                continue
            if not option.resumable:
                raise UsageError(f"{resume} --{name} differs ({now[field]}); the study's is {values[field]}")
            if before.reported and not option.with_reported:
                raise UsageError(f"{resume} --{name} does not go with --reported, which the study has")
            values[field] = now[field]
    values["address"] = given.get("address") or default_address() or values["address"]
    if tracking_uri.MASK in values["tracking_uri"]:
        raise UsageError(
            f"{resume} its tracking URI is {values['tracking_uri']}, without the secret, which is not written down; "
            "give --tracking-uri, or set MLFLOW_TRACKING_URI"
        )
    _check_registry(values["register"], values["tracking_uri"])
    if values["trials"] < before.trials:
        raise UsageError(f"--trials {values['trials']} is less than the study's {before.trials}; it may only grow")
    _check_report_seeds(given.get("report_seeds"), before)
    budgets = ("trials", "time_budget_s", "device_hours", "max_cost", "patience", "report_seeds")
    more = {name: values[name] for name in budgets if values[name] != recorded.get(name)}
    _check_patience(more.get("patience"), before.objectives)
    return Settings.from_json(values), more


def usable_destinations(recorded: Mapping[str, Any], *, trusted: bool) -> dict[str, Any]:
    """Return the recorded settings of a study with the tracker and the cluster that it may be gone on with at.

    Args:
        recorded: From its journal.
        trusted: Whether its folder was written to here; what another one says is no place to connect to.
    """
    return {
        **recorded,
        "tracking_uri": tracking_uri.usable(recorded["tracking_uri"], trusted=trusted),
        "address": recorded.get("address") if trusted else None,
        "notify": recorded.get("notify") if trusted else None,
        "register": bool(recorded.get("register")) and trusted,
    }


def default_address() -> str | None:
    """Return the Ray cluster that is joined unless `--address` says otherwise, None for a Ray of one's own."""
    return os.environ.get("RAY_ADDRESS") or None


def selected(pattern: str, space: str | None = None) -> dict[str, Reported]:
    """Return the reported configurations that a key or a pattern with `*` means, by key.

    Args:
        pattern: Such as "flowers/adagrad" or "cifar_cnn/*".
        space: The space that they have to belong to, None for any.

    Raises:
        UsageError: there are none, or they are of several spaces and `space` does not say which.
    """
    known = search_spaces.reported()
    found = {key: entry for key, entry in known.items() if fnmatchcase(key, pattern)}
    if not found:
        raise UsageError(choose_from("--reported", pattern, known))
    spaces = {entry.space: key for key, entry in found.items()}
    if space is None and len(spaces) > 1:
        raise UsageError(f"--reported {pattern!r} means configurations of {' and '.join(spaces)}; choose with --space")
    chosen = {key: entry for key, entry in found.items() if space in (None, entry.space)}
    if not chosen:
        raise UsageError(f"--reported {pattern!r} means configurations of {' and '.join(spaces)}, not of {space}")
    return chosen


def reported_split(settings: Settings) -> ReportedSplit | None:
    """Return how the reports of a study's configurations divided the images, None without `--as-reported`.

    The configurations of a space that are of one data set's reports are all of one report.
    """
    if not settings.as_reported or settings.reported is None:
        return None
    return next(iter(selected(settings.reported, settings.space).values())).split


def space_context(
    settings: Settings,
    image_shape: tuple[int, int, int],
    num_classes: int,
    encoder: Mapping[str, Any] | None = None,
) -> Context:
    """Return what the space has to know of the data; reported architectures take part where they fit.

    Args:
        settings: The study's.
        image_shape: (channels, height, width), in pixels.
        num_classes: Of the data set.
        encoder: The keys of a config that `--encoder-from` fixes.
    """
    return Context(
        image_shape,
        num_classes,
        reported=not settings.smoke,
        encoder=encoder,
        latent_size=settings.latent_size,
        every_size="latent_size" in settings.objectives and not settings.smoke,
    )


def warning_of_size(settings: Settings, image_shape: tuple[int, int, int]) -> str | None:
    """Return what is to be said of a `--latent-size` of more numbers than an image has, None of any other."""
    size, numbers = settings.latent_size, math.prod(image_shape)
    if size is None or size <= numbers:
        return None
    return (
        f"study: --latent-size {size} is more than the {numbers:,} numbers of an image: nothing is compressed, and PCA "
        "has no code of that size to compare with"
    )


def _only_reported(given: Mapping[str, Any]) -> bool:
    """Return whether reported configurations run as they are; refuse what is about a search or other data then."""
    if given.get("reported") is None:
        return False
    for name, option in options().items():
        if not option.with_reported and any(given.get(field) for field in option.fields):
            raise UsageError(f"--{name} does not go with --reported, which runs its configurations as they are")
    return True


def _space(given: Mapping[str, Any]) -> Space:
    if "space" not in given:
        raise UsageError(f"--space is missing; allowed: {', '.join(search_spaces.names())}")
    try:
        return search_spaces.get(given["space"])
    except KeyError:
        raise UsageError(choose_from("--space", given["space"], search_spaces.names())) from None


def space_of(settings: Settings) -> Space:
    """Return the space of a study, with what its trials are ranked by."""
    space = search_spaces.get(settings.space)
    ranked_by = metrics.ranked_by(settings.objectives, space.metric)
    return space if ranked_by == space.metric else replace(space, facts=replace(space.family_facts, metric=ranked_by))


def _objectives(names: tuple[str, ...] | None, space: Space) -> tuple[str, ...]:
    names = (space.metric,) if names is None else names
    allowed = FAMILY_FACTS[space.family].objectives
    for name in names:
        if name == metrics.RATIO and name not in allowed:
            raise UsageError(
                f"--objective {name} is for families that are compared with PCA; {space.name} is of the family "
                f"{space.family}"
            )
        if name not in allowed:
            raise UsageError(choose_from("--objective", name, allowed))
    if len(set(names)) < len(names):
        raise UsageError(f"--objective {','.join(names)!r} names an objective twice")
    return names


def _check_constraints(texts: tuple[str, ...], space: Space, latent_size: int | None) -> None:
    """Refuse constraints that no network of a space can keep, or of what none has, after which nothing would win."""
    if not texts:
        return
    context = Context(space.image_shape, max(1, len(space.data.class_names)))
    configs = [space.default, *search_spaces.drawn(space, context, _DRAWN)]
    numbers = {key for config in configs for key, value in config.items() if type(value) in (int, float)}
    measured = FAMILY_FACTS[space.family].objectives
    allowed = {*numbers, *measured}
    asked = constraints.of_texts(texts)
    for constraint in asked:
        if constraint.name not in allowed:
            raise UsageError(choose_from("--constraint", constraint.name, allowed))
        least, most = metrics.limits(constraint.name) if constraint.name in measured else (-math.inf, math.inf)
        if constraint.bound < least if constraint.at_most else constraint.bound > most:
            end = f"at least {least:g}" if constraint.at_most else f"at most {most:g}"
            raise UsageError(f"--constraint {constraint} is kept by no network: {constraint.name} is {end}")
        if constraint.name == "latent_size" and constraint.excess({"latent_size": latent_size}) > 0:
            raise UsageError(f"--constraint {constraint} is kept by no network of --latent-size {latent_size}")
        # A setting that a config does not have keeps every bound.
        everywhere = constraint.name in measured or all(constraint.name in config for config in configs)
        for other in asked if everywhere else ():
            if other.name == constraint.name and other.at_most < constraint.at_most and other.bound > constraint.bound:
                raise UsageError(f"--constraint {other},{constraint} is kept by no network: one excludes the other")


def _check_prices(given: Mapping[str, Any]) -> None:
    """Refuse a limit in money where nobody says what machines cost."""
    if given.get("max_cost") and not given.get("prices"):
        raise UsageError(f"--max-cost {given['max_cost']:g} needs to know what machines cost; give --prices FILE, too")


def _check_command(command: str) -> None:
    """Refuse a command of `--notify` that cannot be run: nobody would be there to read so at the study's end."""
    try:
        program, *_ = shlex.split(command) or [""]
    except ValueError as error:
        raise UsageError(f"--notify {command!r} is no command: {error}") from None
    if shutil.which(program) is None:
        raise UsageError(f"--notify {command!r}: there is no program {program!r}")


def _check_registry(wanted: bool | None, uri: str) -> None:
    """Refuse to register a network where none is kept."""
    if wanted and tracking_uri.tracker_of(uri) != "MLflow":
        raise UsageError(f"--register is for MLflow; {tracking_uri.masked(uri)} keeps no networks")


def _check_patience(patience: int | None, objectives: tuple[str, ...]) -> None:
    """Refuse to end a search for want of a gain where a gain is not one number."""
    if patience and len(objectives) > 1:
        raise UsageError(f"--patience goes with one objective; the study's are {','.join(objectives)}")


def _check_report_seeds(seeds: int | None, before: Settings) -> None:
    """Refuse fewer reporting seeds than a study has, and any where it reports on nothing."""
    if seeds is None:
        return
    if not before.confirm_top:
        raise UsageError(f"--report-seeds {seeds} goes not with --confirm 0, which the study has")
    if seeds < before.reporting_seeds:
        raise UsageError(f"--report-seeds {seeds} is less than the study's {before.reporting_seeds}; it may only grow")


def _check_several(objectives: tuple[str, ...], sampler: str, scheduler: str) -> None:
    """Refuse a sampler or a scheduler that takes one objective only."""
    shown = ",".join(objectives)
    if sampler not in MULTI_OBJECTIVE_SAMPLERS:
        choice = " or ".join(sorted(MULTI_OBJECTIVE_SAMPLERS))
        raise UsageError(f"--sampler {sampler} takes one objective; for {shown} choose {choice}")
    if not SCHEDULERS[scheduler].several:
        choice = " or ".join(sorted(name for name, rule in SCHEDULERS.items() if rule.several))
        raise UsageError(f"--scheduler {scheduler} takes one objective; for {shown} choose {choice}")


def _check_source(source: str, given: Mapping[str, Any]) -> None:
    """Refuse data that are neither a data set nor a folder or file, and options of own images with a data set."""
    if own_file.provides(source):
        return
    found = own_file.own()
    if found is not None and source == found.space.dataset and source not in search_spaces.datasets():
        known = ", ".join(search_spaces.datasets())
        raise UsageError(
            f"--space {found.code.path}: SPACE.data {source!r} is no built-in data set ({known}): define "
            "load_data(data_dir), or give --data with a folder of images"
        )
    for name in ("image_size", "value_range", "labels"):
        if given.get(name) is not None and source in search_spaces.datasets():
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"{option} is for images of one's own; {source} is read as it was published")
    if source not in search_spaces.datasets() and os.sep not in source and not os.path.exists(source):
        known = choose_from("--data", source, search_spaces.datasets())
        raise UsageError(f"{known}, or a folder of images, or a .npy or .npz file")


def _default_data_dir() -> str:
    from study.data.image_data import default_data_dir  # imports NumPy, which --list does without

    return str(default_data_dir())


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path))
