"""The command line: its options, their checks, and the settings that they stand for."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, NoReturn

import search_spaces
from search_spaces import Space
from study.dataset_specs import DATASETS
from study.errors import UsageError, choose_from
from study.folder import check_name
from study.settings import Settings

# Named here and not read from the modules that implement them, whose imports cost seconds.
SAMPLERS = ("tpe", "random", "gp", "nsga2")
SCHEDULERS = ("asha", "hyperband", "median", "none")
MULTI_OBJECTIVE_SAMPLERS = ("nsga2", "tpe")
SMOKE = {"trials": 2, "epochs": 1, "train_size": 256, "confirm": "1x2"}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Return the options as they were given; what was not given is None.

    Raises:
        UsageError: an option is unknown or its value cannot be read.
    """
    parser = _Parser(
        prog="study/run.py",
        description="Search a space of networks with Ray Tune, confirm the best on fresh seeds, compare with PCA.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--space", metavar="NAME", help="the search space, <data set>_<family>; --list names them")
    add("--list", action="store_true", help="name every space and exit")
    add("--dry-run", action="store_true", help="sample configs, build them, print their sizes; train nothing")
    add(
        "--smoke",
        action="store_true",
        help="two trials of one epoch on 256 images: the whole path in a minute",
    )
    budget = parser.add_argument_group("budget")
    budget.add_argument("--trials", type=_integer("--trials", 1), metavar="N", help="the most trials")
    budget.add_argument("--epochs", type=_integer("--epochs", 1), metavar="N", help="the most epochs of a trial")
    budget.add_argument("--time-budget", type=_duration, metavar="TIME", help="of the search, such as 90s, 30m, 2h")
    budget.add_argument("--max-params", type=_integer("--max-params", 1), metavar="N", help="refuse larger networks")
    name = parser.add_argument_group("study")
    name.add_argument("--name", help="default: <space>-<date>-<time>")
    name.add_argument("--resume", metavar="NAME", help="go on with an interrupted study")
    name.add_argument("--seed", type=_integer("--seed", 0), metavar="N", help="default 0")
    name.add_argument("--storage", metavar="DIR", help="default results")
    name.add_argument("--tracking-uri", metavar="URI", help="default $MLFLOW_TRACKING_URI, else sqlite:///mlflow.db")
    search = parser.add_argument_group("search")
    search.add_argument("--sampler", type=_one_of("--sampler", SAMPLERS), help="|".join(SAMPLERS))
    search.add_argument("--scheduler", type=_one_of("--scheduler", SCHEDULERS), help="|".join(SCHEDULERS))
    search.add_argument("--objective", metavar="M[,M...]", help="several give a Pareto front, such as val_mse,params")
    search.add_argument("--confirm", metavar="KxR", help="retrain the best K on R seeds; 0 turns it off (default 3x3)")
    search.add_argument(
        "--confirm-reported",
        action="store_const",
        const=True,
        help="and the default and reported configurations",
    )
    data = parser.add_argument_group("data")
    data.add_argument("--data", metavar="NAME|PATH", help="the family on other data: a data set or a folder of images")
    data.add_argument("--data-dir", metavar="DIR", help="default $STUDY_DATA, else ~/.cache/study-data")
    data.add_argument("--image-size", type=_integer("--image-size", 1), metavar="N", help="of a folder's images")
    data.add_argument("--train-size", type=_integer("--train-size", 1), metavar="N", help="a stratified subset")
    machine = parser.add_argument_group("machines")
    machine.add_argument("--address", metavar="ADDR", help="a Ray cluster; default $RAY_ADDRESS, else a local Ray")
    machine.add_argument("--cpus-per-trial", type=_positive("--cpus-per-trial"), metavar="X", help="default 1")
    machine.add_argument("--gpus-per-trial", type=_gpus, metavar="auto|X", help="default auto")
    machine.add_argument("--max-concurrent", type=_integer("--max-concurrent", 1), metavar="N")
    return parser.parse_args(argv)


def settings_of(options: argparse.Namespace) -> Settings:
    """Return the settings of a new study.

    Raises:
        UsageError: a value is not allowed, alone or beside another; the message says what is.
    """
    given = {key: value for key, value in vars(options).items() if value is not None}
    if options.smoke:
        given = SMOKE | given
    space = _space(given)
    objectives = _objectives(given.get("objective"), space)
    scheduler = given.get("scheduler", "none" if len(objectives) > 1 else "asha")
    sampler = given.get("sampler", "tpe")
    if len(objectives) > 1 and sampler not in MULTI_OBJECTIVE_SAMPLERS:
        raise UsageError(f"--sampler {sampler} takes one objective; for {','.join(objectives)} choose nsga2 or tpe")
    if len(objectives) > 1 and scheduler != "none":
        raise UsageError(f"--scheduler {scheduler} takes one objective; for {','.join(objectives)} choose none")
    top, seeds = _confirm(given.get("confirm", "3x3"))
    source = given.get("data", space.dataset)
    if "image_size" in given and source in DATASETS:
        raise UsageError(f"--image-size is for a folder of images; {source} has images of its own size")
    if source not in DATASETS and os.sep not in source and not os.path.isdir(source):
        raise UsageError(choose_from("--data", source, DATASETS) + ", or a folder of images")
    from study.image_data import default_data_dir  # imports NumPy, which --list does without

    now = datetime.now()
    return Settings(
        space=space.name,
        name=check_name(given.get("name", f"{space.name}-{now:%Y%m%d-%H%M%S}")),
        trials=given.get("trials", space.trials),
        epochs=given.get("epochs", space.epochs),
        time_budget_s=given.get("time_budget"),
        sampler=sampler,
        scheduler=scheduler,
        objectives=objectives,
        confirm_top=top,
        confirm_seeds=seeds,
        confirm_reported=given.get("confirm_reported", False),
        max_params=given.get("max_params"),
        # Paths are kept absolute: a study may be resumed from another folder.
        data=source if source in DATASETS else _absolute(source),
        data_dir=_absolute(given.get("data_dir") or str(default_data_dir())),
        image_size=given.get("image_size"),
        train_size=given.get("train_size"),
        storage=_absolute(given.get("storage", "results")),
        tracking_uri=_absolute_uri(
            given.get("tracking_uri", os.environ.get("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db"))
        ),
        address=given.get("address", os.environ.get("RAY_ADDRESS")),
        cpus_per_trial=given.get("cpus_per_trial", 1.0),
        gpus_per_trial=given.get("gpus_per_trial"),
        max_concurrent=given.get("max_concurrent"),
        seed=given.get("seed", 0),
        smoke=options.smoke,
    )


# What a resumed study may be given anew: where and how fast it runs, and more of it.
_MAY_CHANGE = frozenset(
    {
        "trials",
        "time_budget_s",
        "address",
        "cpus_per_trial",
        "gpus_per_trial",
        "max_concurrent",
        "tracking_uri",
        "data_dir",
    }
)


def resumed_settings(options: argparse.Namespace, recorded: dict[str, Any]) -> tuple[Settings, dict[str, Any]]:
    """Return the settings of a resumed study, and those of them that say that there is more to do.

    Raises:
        UsageError: a setting was given that is not what the study has, or fewer trials than it has.
    """
    before = Settings.from_json(recorded)
    if options.name not in (None, before.name):
        raise UsageError(f"--resume {before.name}: --name {options.name!r} is another study's; leave it out")
    if options.space not in (None, before.space):
        raise UsageError(f"--resume {before.name}: --space {options.space!r} differs; the study's is {before.space}")
    restated = argparse.Namespace(**{**vars(options), "space": before.space, "name": before.name})
    now = settings_of(restated).to_json()
    given = {key for key, value in vars(options).items() if value is not None and value is not False}
    fields = {_FIELDS.get(key, (key,)): key for key in given}
    values = before.to_json()
    for names, option in fields.items():
        for name in names:
            if name not in values or now[name] == values[name] or name in ("space", "name", "storage"):
                continue
            if name not in _MAY_CHANGE:
                shown = f"--{option.replace('_', '-')}"
                raise UsageError(
                    f"--resume {before.name}: {shown} differs ({now[name]}); the study's is {values[name]}"
                )
            values[name] = now[name]
    if values["trials"] < before.trials:
        raise UsageError(f"--trials {values['trials']} is less than the study's {before.trials}; it may only grow")
    more = {name: values[name] for name in ("trials", "time_budget_s") if values[name] != recorded[name]}
    return Settings.from_json(values), more


# Options whose settings have other names.
_FIELDS: dict[str, tuple[str, ...]] = {
    "time_budget": ("time_budget_s",),
    "objective": ("objectives",),
    "confirm": ("confirm_top", "confirm_seeds"),
}


def _space(given: dict[str, Any]) -> Space:
    if "space" not in given:
        raise UsageError(f"--space is missing; allowed: {', '.join(search_spaces.names())}")
    try:
        return search_spaces.get(given["space"])
    except KeyError:
        raise UsageError(choose_from("--space", given["space"], search_spaces.names())) from None


def _objectives(text: str | None, space: Space) -> tuple[str, ...]:
    names = tuple(text.split(",")) if text is not None else (space.metric,)
    allowed = objective_modes(space)
    for name in names:
        if name not in allowed:
            raise UsageError(choose_from("--objective", name, allowed))
    if len(set(names)) < len(names):
        raise UsageError(f"--objective {text!r} names an objective twice")
    return names


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path))


def _absolute_uri(uri: str) -> str:
    file = uri.removeprefix("sqlite:///")
    return uri if file == uri else f"sqlite:///{_absolute(file)}"


def objective_modes(space: Space) -> dict[str, str]:
    """Return what a space can be searched for, as metric -> "min" or "max"."""
    return {space.metric: space.mode, "params": "min", "seconds": "min"}


def _confirm(text: str) -> tuple[int, int]:
    if text == "0":
        return 0, 0
    match = re.fullmatch(r"([1-9]\d{0,2})x([1-9]\d{0,2})", text)
    if not match:
        raise UsageError(f"--confirm {text!r} cannot be read; allowed: 0, or KxR such as 3x3")
    return int(match[1]), int(match[2])


def _integer(option: str, least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[+-]?\d+", text) or int(text) < least:
            raise UsageError(f"{option} {text!r} is not allowed; give a whole number of at least {least}")
        return int(text)

    return read


def _positive(option: str) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = 0.0
        if not 0 < value < float("inf"):
            raise UsageError(f"{option} {text!r} is not allowed; give a number above 0")
        return value

    return read


def _gpus(text: str) -> float | None:
    if text == "auto":
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise UsageError(f"--gpus-per-trial {text!r} is not allowed; give auto, 0, a fraction or a whole number")
    return value


def _one_of(option: str, allowed: tuple[str, ...]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in allowed:
            raise UsageError(choose_from(option, text, allowed))
        return text

    return read


def _duration(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h|d)?", text)
    seconds = float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[match[2] or "s"] if match else 0.0
    if seconds <= 0:
        raise UsageError(f"--time-budget {text!r} cannot be read; give a time such as 90s, 30m, 2h or 1d")
    return seconds
