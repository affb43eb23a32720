"""The command line of a study and its file of settings, both made from the declaration in `study.record.settings`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.record.commands import Parser, add_trust, hint, parser
from study.record.errors import UsageError, choose_from
from study.record.settings import Option, Settings, add_option, options, plain, said
from study.record.values import Reader, flag, one_of, yaml_file
from study.settings.algorithms import SAMPLERS, SCHEDULERS

_DESCRIPTION = "Search a space of networks with Ray Tune, confirm the best on fresh seeds, compare with PCA."
_EXAMPLES = (
    ("--space", "cifar_ae"),
    ("--space", "digits_vae", "--trials", "20", "--time-budget", "30m", "--name", "night"),
    ("--resume", "night", "--trials", "40"),
)
# Settings whose values are the names of a table elsewhere.
_NAMES: Mapping[str, Sequence[str]] = {"sampler": tuple(SAMPLERS), "scheduler": tuple(SCHEDULERS)}


@dataclass(frozen=True)
class CommandLine:
    """What a command line asks for: settings by their fields, those that were given only, and what to do with them."""

    given: Mapping[str, Any]
    resume: str | None = None
    or_resume: bool = False
    retry_failed: bool = False
    trust: bool = False
    list: bool = False
    dry_run: bool = False
    print_config: bool = False


def parse(argv: Sequence[str] | None) -> CommandLine:
    """Return what a command line asks for; its settings win over those of `--config`.

    Raises:
        UsageError: an option is unknown, its value cannot be read, or the file of settings cannot.
    """
    read = vars(_parser().read(argv))
    given = read_config(read["config"]) if read["config"] else {}
    for name, option in options().items():
        if (value := read[_dest(name)]) is not None:
            given |= _fields(option, tuple(value) if option.several else value)
    if read["or_resume"] and read["resume"]:
        raise UsageError("--or-resume begins a study or goes on with it; --resume only goes on: give one of them")
    if read["or_resume"] and "name" not in given:
        raise UsageError("--or-resume goes with --name NAME, the study to begin or to go on with")
    if read["resume"] and read["dry_run"]:
        raise UsageError("--dry-run is of a study that is to be begun; --resume goes on with one: give one of them")
    if read["retry_failed"] and not (read["resume"] or read["or_resume"]):
        raise UsageError("--retry-failed goes with --resume NAME, or with --or-resume")
    doing = ("resume", "or_resume", "retry_failed", "trust", "list", "dry_run", "print_config")
    return CommandLine(given, **{key: read[key] for key in doing})


def read_config(file: Path) -> dict[str, Any]:
    """Return the settings of a YAML file, option names as keys, by their fields.

    Raises:
        UsageError: the file cannot be read, or holds an unknown setting or a value that is not allowed.
    """
    values = yaml_file("--config", file, "settings; give lines such as 'trials: 20'")
    try:
        return from_values(values)
    except UsageError as error:
        raise UsageError(f"--config {str(file)!r}: {error}") from None


def from_values(values: Mapping[Any, Any]) -> dict[str, Any]:
    """Return settings by their fields, from values by option names, with the checks of a command line.

    Args:
        values: Such as {"space": "cifar_ae", "time-budget": "2h"}; an underscore may stand for a dash, and None means
            that a setting is not given.

    Raises:
        UsageError: a setting is unknown, or its value is not allowed.
    """
    known = options()
    given: dict[str, Any] = {}
    for key, value in values.items():
        name = str(key).replace("_", "-")
        if name not in known:
            raise UsageError(choose_from("setting", str(key), known))
        if value is not None:
            given |= _fields(known[name], _reader(name)(f"--{name}", _text(known[name], value)))
    return given


def config_text(settings: Settings, named: bool) -> str:
    """Return the file of settings that means `settings`.

    Args:
        settings: Every default resolved.
        named: Whether the study's name is among them; a study begun later has a date of its own.
    """
    import yaml

    values = {name: value for name, value in said(settings.written()).items() if named or name != "name"}
    text: str = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    return text.rstrip()


def _parser() -> Parser:
    made = parser("run", _DESCRIPTION)
    made.epilog = "\n".join(["examples:", *(f"  {hint('run', *words)}" for words in _EXAMPLES)])
    doing = made.add_argument_group("what to do")
    doing.add_argument("--list", action="store_true", help="name every space and exit")
    doing.add_argument("--resume", metavar="NAME", help="go on with an interrupted study")
    doing.add_argument(
        "--or-resume",
        action="store_true",
        help="go on with the study --name if it exists, else begin it",
    )
    doing.add_argument(
        "--retry-failed",
        action="store_true",
        help="with --resume: try all failed runs again, not only those that the machine failed",
    )
    add_trust(doing, "with --resume of a study from elsewhere, or --encoder-from")
    doing.add_argument(
        "--dry-run",
        action="store_true",
        help="sample configs, build them, print sizes and times, for which some are trained for a few batches",
    )
    doing.add_argument("--print-config", action="store_true", help="print the settings as a file for --config and exit")
    doing.add_argument(
        "--config", type=Path, metavar="FILE", help="YAML file of settings by option name; the command line wins"
    )
    groups: dict[str, argparse._ArgumentGroup] = {}
    for name, option in options().items():
        if option.group not in groups:
            groups[option.group] = made.add_argument_group(option.group)
        add_option(groups[option.group], name, _NAMES.get(name, ()))
    return made


def _reader(name: str) -> Reader[object]:
    return one_of(*_NAMES[name]) if name in _NAMES else options()[name].read


def _fields(option: Option, value: Any) -> dict[str, Any]:
    return dict(zip(option.fields, value if len(option.fields) > 1 else (value,), strict=True))


def _text(option: Option, value: object) -> str:
    """Return a value of a file as the command line says it; YAML reads the words on and off as true and false."""
    if isinstance(value, bool):
        return str(value).lower() if option.read is flag else ("off", "on")[value]
    return plain(value)


def _dest(name: str) -> str:
    return name.replace("-", "_")
