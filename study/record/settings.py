"""The settings of a study, declared once: each field with its option, help, check, default, and whether it may change.

From this come the command line and its help, the file of settings, the JSON of the journal, what a resume may change
and the command that repeats a study. An option more is a field more.
"""

# No `from __future__ import annotations` here: the options are read from the annotations themselves.

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, replace
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, Literal

from study.record.commands import STORAGE, STORAGE_HELP, add_value
from study.record.constraints import bound
from study.record.prices import file_of_prices
from study.record.tracking_uri import masked
from study.record.values import (
    Reader,
    duration,
    flag,
    gpus,
    integer,
    integer_or,
    list_of,
    low_and_high,
    name_or_file,
    one_of,
    positive,
    remark,
    top_and_seeds,
    word,
)

Fuse = Literal["auto", "on", "off"]
Proportional = Literal["proportional"]
Said = bool | int | float | str
"""A setting as a command line or a file says it."""


LOCAL = (None, "local")
"""Addresses that stand for a Ray of the study's own on this machine."""


@dataclass(frozen=True)
class Option:
    """How a setting is said on a command line.

    Attributes:
        help: What it is.
        read: From its text to its value, or to its values where it stands for several fields.
        metavar: What stands for its value in the help.
        name: Its name without dashes before it, where that is not the field's.
        fields: The fields that it stands for, where those are several.
        default: What the help says of its default, where the field's does not say it.
        say: From the value or values to the text that `read` takes, where that is not plain.
        group: Its heading in the help.
        resumable: Whether a resumed study may be given another value.
        place: Whether it says where a study runs, is kept or is told of, not what it does.
        several: Whether it may be given more than once, each time with one value or more.
        with_reported: Whether it goes with `--reported`, which runs its configurations as they are.
    """

    help: str
    read: Reader[object] = word
    metavar: str | None = None
    name: str = ""
    fields: tuple[str, ...] = ()
    default: str | None = None
    say: Callable[..., Said] | None = None
    group: str = ""
    resumable: bool = False
    place: bool = False
    several: bool = False
    with_reported: bool = True


_budget = partial(Option, group="budget")
_study = partial(Option, group="study")
_search = partial(Option, group="search")
_data = partial(Option, group="data")
_machine = partial(Option, group="machines")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One study's settings, every default resolved; paths are absolute, and `None` means that a limit is not set.

    `epochs` are of a trial's last stage, with `reported` the most of any stage. In a smoke study the reported
    architectures take no part, and no more images are tested on than trained on.
    """

    space: Annotated[
        str,
        _study(
            "the search space, <data set>_<family>; --list names them; or a Python file of your own",
            name_or_file,
            metavar="NAME|FILE.py",
            fields=("space", "space_file"),
            say=lambda name, file: file or name,
        ),
    ]
    space_file: str | None = None
    smoke: Annotated[
        bool,
        _study(
            "two trials of one epoch on 256 images, a test on as many: the whole path in a minute",
            flag,
            with_reported=False,
        ),
    ] = False
    name: Annotated[str, _study("the study's name", metavar="NAME", default="<space>-<date>-<time>", place=True)]
    seed: Annotated[int, _study("of everything random", integer(0), "N")] = 0
    storage: Annotated[str, _study(STORAGE_HELP, metavar="DIR", place=True)] = STORAGE
    tracking_uri: Annotated[
        str,
        _study(
            "MLflow's database or server, or tensorboard:DIR",
            metavar="URI",
            default="$MLFLOW_TRACKING_URI, else sqlite:///mlflow.db",
            resumable=True,
            place=True,
        ),
    ]

    trials: Annotated[
        int,
        _budget("the most trials", integer(1), "N", default="the space's", resumable=True, with_reported=False),
    ]
    epochs: Annotated[int, _budget("the most epochs of a trial", integer(1), "N", default="the space's")]
    time_budget_s: Annotated[
        float | None,
        _budget(
            "of the search, such as 90s, 30m, 2h",
            duration,
            "TIME",
            name="time-budget",
            default="none",
            say=lambda seconds: f"{seconds:.15g}s",
            resumable=True,
            with_reported=False,
        ),
    ] = None
    device_hours: Annotated[
        float | None,
        _budget(
            "of the search: GPU hours where trials have GPUs, else processor hours, over all machines",
            positive,
            "H",
            default="none",
            resumable=True,
            with_reported=False,
        ),
    ] = None
    max_cost: Annotated[
        float | None,
        _budget(
            "of the search's training, in the currency of --prices",
            positive,
            "AMOUNT",
            default="none",
            resumable=True,
            with_reported=False,
        ),
    ] = None
    prices_file: Annotated[
        str | None,
        _budget(
            "a YAML file of what an hour costs, by node type or GPU model, and of any other gpu or processor",
            file_of_prices,
            "FILE",
            name="prices",
            fields=("prices_file", "prices"),
            default="none",
            say=lambda file, prices: file,
            resumable=True,
            with_reported=False,
        ),
    ] = None
    prices: dict[str, Any] | None = None
    patience: Annotated[
        int | None,
        _budget(
            "end the search after N trials without a gain beyond the spread of seeds, which two more runs measure",
            integer(1),
            "N",
            default="none",
            resumable=True,
            with_reported=False,
        ),
    ] = None
    max_params: Annotated[
        int | None, _budget("refuse larger networks", integer(1), "N", default="from the memory at hand")
    ] = None

    latent_size: Annotated[
        int | None,
        _search(
            "of every network, instead of a search for it", integer(1), "N", default="searched", with_reported=False
        ),
    ] = None
    notify: Annotated[
        str | None,
        _study(
            "a command that is run at each end, with {name} and {status} filled in (finished, failed, interrupted)",
            metavar="COMMAND",
            default="none",
            resumable=True,
            place=True,
        ),
    ] = None
    note: Annotated[
        str | None,
        _study(
            "what you expect and why; kept with its date, before the search, and shown in the report and the paper",
            remark,
            metavar="TEXT",
            default="none",
            place=True,
        ),
    ] = None
    register: Annotated[
        bool,
        _study("register the best network in MLflow by the study's name, with the alias best", flag, place=True),
    ] = False
    warm_start: Annotated[
        str | None,
        _search(
            "begin with the best configs of earlier studies of the family, a fifth of the trials at most",
            metavar="NAME[,NAME]",
            default="none",
            with_reported=False,
        ),
    ] = None
    sampler: Annotated[str, _search("how configurations are chosen", metavar="NAME", with_reported=False)] = "tpe"
    scheduler: Annotated[
        str,
        _search(
            "how trials are stopped early",
            metavar="NAME",
            default="asha, for several objectives none",
            with_reported=False,
        ),
    ]
    objectives: Annotated[
        tuple[str, ...],
        _search(
            "what to search for; several give a Pareto front, such as val_mse,params",
            list_of(word),
            "M[,M...]",
            name="objective",
            default="the space's",
            say=",".join,
            with_reported=False,
        ),
    ]
    constraints: Annotated[
        tuple[str, ...],
        _search(
            "a bound of params, latent_size, another number of the config or a metric that is measured, such as "
            "'params<=1e6'; may be given several times. What does not keep it never wins",
            list_of(bound),
            "BOUND",
            name="constraint",
            default="none",
            say=",".join,
            several=True,
            with_reported=False,
        ),
    ] = ()
    confirm_top: Annotated[
        int,
        _search(
            "retrain the best K on R seeds; 0 turns it off",
            top_and_seeds,
            "KxR",
            name="confirm",
            fields=("confirm_top", "confirm_seeds"),
            default="3x3",
            say=lambda top, seeds: f"{top}x{seeds}" if top else "0",
        ),
    ] = 3
    confirm_seeds: int = 3
    report_seeds: Annotated[
        int | None,
        _search(
            "fresh seeds that report on the winner and the default; a finished study may be given more",
            integer(1),
            "N",
            default="R of --confirm",
            resumable=True,
        ),
    ] = None
    confirm_reported: Annotated[
        bool, _search("and the default and reported configurations", flag, with_reported=False)
    ] = False
    reported: Annotated[
        str | None, _search("run just these reported configurations; no search", metavar="KEY|GLOB", default="none")
    ] = None
    encoder_from: Annotated[
        str | None,
        _search(
            "a classifier on the best encoder of an earlier study",
            metavar="NAME",
            default="none",
            with_reported=False,
        ),
    ] = None

    data: Annotated[
        str,
        _data(
            "the family on other data: a data set, a folder of images, or a .npy or .npz file of them",
            metavar="NAME|PATH",
            default="the space's",
            resumable=True,
            with_reported=False,
        ),
    ]
    data_dir: Annotated[
        str,
        _data(
            "where data sets lie",
            metavar="DIR",
            default="$STUDY_DATA, else ~/.cache/study-data",
            resumable=True,
            place=True,
        ),
    ]
    cache_dir: Annotated[
        str | None,
        _data(
            "where own images are kept decoded, for those that are larger than memory",
            metavar="DIR",
            default="below --data-dir, where they are large",
            resumable=True,
            place=True,
            with_reported=False,
        ),
    ] = None
    image_size: Annotated[
        int | None,
        _data("of own images", integer(1), "N", default="from the images", with_reported=False),
    ] = None
    value_range: Annotated[
        tuple[float, float] | None,
        _data(
            "the values in own images that are black and white",
            low_and_high,
            "LOW,HIGH",
            default="from the files' format",
            say=lambda ends: ",".join(f"{end:.15g}" for end in ends),
            with_reported=False,
        ),
    ] = None
    labels: Annotated[
        str | None,
        _data(
            "classes of a folder's images: a CSV file with the columns file and label",
            metavar="FILE",
            default="from the folders",
            resumable=True,
            with_reported=False,
        ),
    ] = None
    train_size: Annotated[int | None, _data("a stratified subset", integer(1), "N", default="all images")] = None
    val_size: Annotated[
        int | Proportional | None,
        _data(
            "a stratified subset of the images that choose; proportional: as --train-size shrinks the others",
            integer_or("proportional"),
            "N|proportional",
            default="all images",
        ),
    ] = None

    as_reported: Annotated[
        bool,
        _data("with --reported: as many images as the report had, no validation split where it had none", flag),
    ] = False

    address: Annotated[
        str | None,
        _machine("a Ray cluster", metavar="ADDR", default="$RAY_ADDRESS, else a local Ray", resumable=True, place=True),
    ] = None
    cpus_per_trial: Annotated[float, _machine("cores of a trial", positive, "X", resumable=True)] = 1.0
    gpus_per_trial: Annotated[
        float | None,
        _machine(
            "of a trial; auto: by measured memory, where there is a GPU", gpus, "auto|X", default="auto", resumable=True
        ),
    ] = None
    max_concurrent: Annotated[
        int | None,
        _machine("the most trials at a time", integer(1), "N", default="as many as have room", resumable=True),
    ] = None
    precision: Annotated[
        str, _machine("of training and validation", one_of("float32", "bfloat16"), "float32|bfloat16")
    ] = "float32"
    compile: Annotated[
        bool, _machine("compile training steps, on a GPU into CUDA graphs: costs each trial a compilation", flag)
    ] = False
    retries: Annotated[
        int,
        _machine("of a run whose worker died or whose memory ran out", integer(0), "N", resumable=True),
    ] = 3
    stall_s: Annotated[
        float | None,
        _machine(
            "end, to be resumed, where no run has had a process for so long, as when no machine has room for one",
            duration,
            "TIME",
            name="stall",
            default="10m; never where an autoscaler may bring a machine",
            say=lambda seconds: f"{seconds:.15g}s",
            resumable=True,
        ),
    ] = None
    fuse: Annotated[
        Fuse,
        _machine(
            "train the seeds of a confirmed config together; auto: on a GPU, where it is faster",
            one_of("auto", "on", "off"),
            "auto|on|off",
            resumable=True,
        ),
    ] = "auto"

    @property
    def reporting_seeds(self) -> int:
        """The seeds that report on each config that is reported on."""
        return reporting_seeds(vars(self))

    @property
    def storage_path(self) -> Path:
        """The path of the storage folder."""
        return Path(self.storage)

    @property
    def own_ray(self) -> bool:
        """Whether the study starts a Ray of its own on this machine."""
        return self.address in LOCAL

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON can say them."""
        ends = self.value_range and list(self.value_range)  # as JSON reads it back: a tracker compares the two
        lists = {"objectives": list(self.objectives), "constraints": list(self.constraints)}
        return {**asdict(self), **lists, "value_range": ends}

    def written(self) -> dict[str, Any]:
        """Return them as they are written down or printed: as JSON, without the secrets of the tracking URI."""
        return {**self.to_json(), "tracking_uri": masked(self.tracking_uri)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Settings":
        """Return the settings that `to_json` gave, in this version or an earlier one, which lacks later fields."""
        known = {field.name for field in fields(cls)}
        kept = {key: value for key, value in values.items() if key in known}
        if "val_size" not in values and values.get("train_size") is not None:
            kept["val_size"] = "proportional"  # as it was before there was a choice
        ends = kept.get("value_range")
        return cls(
            **{
                **kept,
                "objectives": tuple(values["objectives"]),
                "constraints": tuple(values.get("constraints", ())),
                "value_range": None if ends is None else (float(ends[0]), float(ends[1])),
            }
        )


def reporting_seeds(recorded: Mapping[str, Any]) -> int:
    """Return how many seeds report on each config that is reported on, from recorded settings of any version."""
    seeds: int = recorded.get("report_seeds") or recorded.get("confirm_seeds", Settings.confirm_seeds)
    return seeds


@cache
def options() -> Mapping[str, Option]:
    """Return every option of a study by its name, such as "time-budget", in the order of the declaration."""
    found = {}
    for field in fields(Settings):
        for option in getattr(field.type, "__metadata__", ()):
            found[option.name or field.name.replace("_", "-")] = _completed(option, field.name, field.default)
    return found


def place_fields() -> frozenset[str]:
    """Return the settings that say where a study runs or is kept, and nothing of what it does."""
    return frozenset(field for option in options().values() if option.place for field in option.fields)


def _completed(option: Option, field: str, default: object) -> Option:
    """Return an option with the fields that it stands for and what the help says of its default."""
    shown = option.default
    if shown is None and default is not MISSING and option.read is not flag:
        shown = plain(default)
    return replace(option, fields=option.fields or (field,), default=shown)


def chosen(parsed: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """Return the values of the options among `names` that were given, by their fields."""
    values = {name.replace("-", "_"): getattr(parsed, name.replace("-", "_")) for name in names}
    return {field: value for field, value in values.items() if value is not None}


def words_of(parsed: argparse.Namespace, names: Iterable[str]) -> list[str]:
    """Return the options among `names` that were given, as words of a command line."""
    given = chosen(parsed, names)
    return [word for field, value in given.items() for word in (f"--{field.replace('_', '-')}", plain(value))]


def add_option(to: argparse._ActionsContainer, name: str, allowed: Sequence[str] = ()) -> None:
    """Add one of the options to a parser or a group.

    Args:
        to: The parser, of any command that has the option.
        name: Without dashes before it.
        allowed: The words that its value is one of, where a table elsewhere has them.
    """
    option = options()[name]
    shown = option.help if option.default is None else f"{option.help} (default: {option.default})"
    if option.read is flag:
        to.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, help=shown)
    elif allowed:
        add_value(to, f"--{name}", one_of(*allowed), "|".join(allowed), shown)
    else:
        add_value(to, f"--{name}", option.read, option.metavar, shown, several=option.several)


def said(recorded: Mapping[str, Any]) -> dict[str, Said]:
    """Return recorded settings as options say them, by name: without what is not set or goes not with `--reported`.

    Args:
        recorded: What `to_json` gave, in this version or an earlier one.
    """
    found: dict[str, Said] = {}
    for name, option in options().items():
        values = [recorded.get(field) for field in option.fields]
        if values[0] is None or values[0] is False or (recorded.get("reported") and not option.with_reported):
            continue
        if option.several and not values[0]:
            continue
        found[name] = option.say(*values) if option.say else values[0]
    return found


def repeat_words(recorded: Mapping[str, Any]) -> list[str]:
    """Return the words of a command line that mean the same study, wherever it runs and whatever it is called."""
    words = []
    for name, value in said(recorded).items():
        if not options()[name].place:
            words += [f"--{name}"] if value is True else [f"--{name}", plain(value)]
    return words


def plain(value: object) -> str:
    """Return a value, or several, as a command line says it."""
    if isinstance(value, list | tuple):
        return ",".join(map(plain, value))
    return f"{value:.15g}" if isinstance(value, float) else str(value)
