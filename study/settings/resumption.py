"""What the command line may say to a study that is resumed, and what must not have changed since it began."""

from __future__ import annotations

import argparse
from typing import Any

from study.record.errors import UsageError
from study.settings.command_line import settings_of
from study.settings.declaration import Settings

# What a resumed study may be given anew: where and how fast it runs, and more of it.
_MAY_CHANGE = frozenset(
    {
        "trials",
        "time_budget_s",
        "address",
        "cpus_per_trial",
        "gpus_per_trial",
        "max_concurrent",
        "retries",
        "fuse",
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
    if before.reported and options.trials is not None:
        raise UsageError(f"--resume {before.name}: --trials does not go with --reported, which the study has")
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
