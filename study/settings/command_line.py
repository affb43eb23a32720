"""The command line: its options, their checks, and the settings that they stand for."""

from __future__ import annotations

import argparse
import os
from datetime import datetime
from typing import Any

import search_spaces
from search_spaces import FAMILY_FACTS, Space
from study.record.errors import UsageError, choose_from
from study.record.folder import check_name
from study.settings import values
from study.settings.algorithms import MULTI_OBJECTIVE_SAMPLERS, SAMPLERS, SCHEDULERS
from study.settings.declaration import Settings

PRECISIONS = ("float32", "bfloat16")
FUSE = ("auto", "on", "off")
SMOKE = {"trials": 2, "epochs": 1, "train_size": 256, "confirm": "1x2"}


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Return the options as they were given; what was not given is None.

    Raises:
        UsageError: an option is unknown or its value cannot be read.
    """
    parser = values.Parser(
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
        help="two trials of one epoch on 256 images, a test on as many: the whole path in a minute",
    )
    budget = parser.add_argument_group("budget")
    budget.add_argument("--trials", type=values.integer("--trials", 1), metavar="N", help="the most trials")
    budget.add_argument("--epochs", type=values.integer("--epochs", 1), metavar="N", help="the most epochs of a trial")
    budget.add_argument(
        "--time-budget", type=values.duration, metavar="TIME", help="of the search, such as 90s, 30m, 2h"
    )
    budget.add_argument(
        "--max-params", type=values.integer("--max-params", 1), metavar="N", help="refuse larger networks"
    )
    name = parser.add_argument_group("study")
    name.add_argument("--name", help="default: <space>-<date>-<time>")
    name.add_argument("--resume", metavar="NAME", help="go on with an interrupted study")
    name.add_argument("--seed", type=values.integer("--seed", 0), metavar="N", help="default 0")
    name.add_argument("--storage", metavar="DIR", help="default results")
    name.add_argument("--tracking-uri", metavar="URI", help="default $MLFLOW_TRACKING_URI, else sqlite:///mlflow.db")
    search = parser.add_argument_group("search")
    search.add_argument("--sampler", type=values.one_of("--sampler", SAMPLERS), help="|".join(SAMPLERS))
    search.add_argument("--scheduler", type=values.one_of("--scheduler", SCHEDULERS), help="|".join(SCHEDULERS))
    search.add_argument("--objective", metavar="M[,M...]", help="several give a Pareto front, such as val_mse,params")
    search.add_argument("--confirm", metavar="KxR", help="retrain the best K on R seeds; 0 turns it off (default 3x3)")
    search.add_argument(
        "--confirm-reported",
        action="store_const",
        const=True,
        help="and the default and reported configurations",
    )
    search.add_argument("--reported", metavar="KEY|GLOB", help="run just these reported configurations; no search")
    search.add_argument("--encoder-from", metavar="NAME", help="a classifier on the best encoder of an earlier study")
    data = parser.add_argument_group("data")
    data.add_argument("--data", metavar="NAME|PATH", help="the family on other data: a data set or a folder of images")
    data.add_argument("--data-dir", metavar="DIR", help="default $STUDY_DATA, else ~/.cache/study-data")
    data.add_argument("--image-size", type=values.integer("--image-size", 1), metavar="N", help="of a folder's images")
    data.add_argument("--train-size", type=values.integer("--train-size", 1), metavar="N", help="a stratified subset")
    machine = parser.add_argument_group("machines")
    machine.add_argument("--address", metavar="ADDR", help="a Ray cluster; default $RAY_ADDRESS, else a local Ray")
    machine.add_argument("--cpus-per-trial", type=values.positive("--cpus-per-trial"), metavar="X", help="default 1")
    machine.add_argument("--gpus-per-trial", type=values.gpus, metavar="auto|X", help="default auto")
    machine.add_argument(
        "--precision",
        type=values.one_of("--precision", PRECISIONS),
        help="of training and validation: float32|bfloat16 (default float32)",
    )
    machine.add_argument(
        "--compile",
        action="store_const",
        const=True,
        help="compile training steps, on a GPU into CUDA graphs: costs each trial a compilation",
    )
    machine.add_argument("--max-concurrent", type=values.integer("--max-concurrent", 1), metavar="N")
    machine.add_argument(
        "--retries",
        type=values.integer("--retries", 0),
        metavar="N",
        help="of a run whose worker died or whose memory ran out (default 3)",
    )
    machine.add_argument(
        "--fuse",
        type=values.one_of("--fuse", FUSE),
        metavar="auto|on|off",
        help="train the seeds of a confirmed config together; auto (default): on a GPU, where it is faster",
    )
    return parser.parse_args(argv)


def settings_of(options: argparse.Namespace) -> Settings:
    """Return the settings of a new study.

    Raises:
        UsageError: a value is not allowed, alone or beside another; the message says what is.
    """
    given = {key: value for key, value in vars(options).items() if value is not None}
    if options.smoke:
        given = SMOKE | given
    if "reported" in given:
        _check_reported(given)
    space = _space(given)
    if "encoder_from" in given and not FAMILY_FACTS[space.family].on_encoder:
        raise UsageError(f"--encoder-from is for a classifier; {space.name} is a space of the family {space.family}")
    objectives = _objectives(given.get("objective"), space)
    scheduler = given.get("scheduler", "none" if len(objectives) > 1 else "asha")
    sampler = given.get("sampler", "tpe")
    if len(objectives) > 1 and sampler not in MULTI_OBJECTIVE_SAMPLERS:
        raise UsageError(f"--sampler {sampler} takes one objective; for {','.join(objectives)} choose nsga2 or tpe")
    if len(objectives) > 1 and scheduler != "none":
        raise UsageError(f"--scheduler {scheduler} takes one objective; for {','.join(objectives)} choose none")
    top, seeds = values.confirm(given.get("confirm", "3x3"))
    if "reported" in given and not top:
        raise UsageError("--confirm 0 leaves nothing to do with --reported; give KxR, such as 1x3")
    source = given.get("data", space.dataset)
    built_in = search_spaces.datasets()
    if "image_size" in given and source in built_in:
        raise UsageError(f"--image-size is for a folder of images; {source} has images of its own size")
    if source not in built_in and os.sep not in source and not os.path.isdir(source):
        raise UsageError(choose_from("--data", source, built_in) + ", or a folder of images")
    from study.data.image_data import default_data_dir  # imports NumPy, which --list does without

    now = datetime.now()
    return Settings(
        space=space.name,
        name=check_name(given.get("name", f"{space.name}-{now:%Y%m%d-%H%M%S}")),
        trials=0 if "reported" in given else given.get("trials", space.trials),
        epochs=given.get("epochs", _own_epochs(given["reported"], space) if "reported" in given else space.epochs),
        time_budget_s=given.get("time_budget"),
        sampler=sampler,
        scheduler=scheduler,
        objectives=objectives,
        confirm_top=top,
        confirm_seeds=seeds,
        confirm_reported=given.get("confirm_reported", False),
        reported=given.get("reported"),
        encoder_from=given.get("encoder_from"),
        max_params=given.get("max_params"),
        # Paths are kept absolute: a study may be resumed from another folder.
        data=source if source in built_in else _absolute(source),
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
        precision=given.get("precision", "float32"),
        compile=given.get("compile", False),
        retries=given.get("retries", 3),
        fuse=given.get("fuse", "auto"),
        seed=given.get("seed", 0),
        smoke=options.smoke,
    )


# What belongs to a search, of which a study of reported configurations has none.
_SEARCH_ONLY = ("trials", "time_budget", "sampler", "scheduler", "objective", "confirm_reported", "encoder_from")


def _check_reported(given: dict[str, Any]) -> None:
    """Find the space of the reported configurations, and refuse what is about a search or other data."""
    for key in (*_SEARCH_ONLY, "data", "image_size", "smoke"):
        if given.get(key):
            option = f"--{key.replace('_', '-')}"
            raise UsageError(f"{option} does not go with --reported, which runs its configurations as they are")
    from study.settings.reported import selected

    entries = selected(given["reported"], given.get("space"))
    given["space"] = next(iter(entries.values())).space


def _own_epochs(pattern: str, space: Space) -> int:
    """Return the most epochs of any stage of the reported configurations: a cap that caps none."""
    from study.settings.reported import selected

    return max(max(entry.epochs) for entry in selected(pattern, space.name).values())


def _space(given: dict[str, Any]) -> Space:
    if "space" not in given:
        raise UsageError(f"--space is missing; allowed: {', '.join(search_spaces.names())}")
    try:
        return search_spaces.get(given["space"])
    except KeyError:
        raise UsageError(choose_from("--space", given["space"], search_spaces.names())) from None


def _objectives(text: str | None, space: Space) -> tuple[str, ...]:
    names = tuple(text.split(",")) if text is not None else (space.metric,)
    allowed = FAMILY_FACTS[space.family].objectives
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
