"""The command: `python study/run.py --space cifar_ae` runs a whole study; `--help` names its options."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if __package__ in (None, ""):
    # Run as a file: import the packages from the checkout, not this folder's modules from the top.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from study import interrupt
from study.record.commands import end_process, exit_status

if TYPE_CHECKING:
    from study.settings.command_line import CommandLine
    from study.studies import Study


class _Callable(ModuleType):
    """This module, which is `study.run(...)` as well: a package has one name for a module and a function."""

    def __call__(self, **options: Any) -> Study:
        """Run a study as `study.studies.run` does, with the command's options as keywords."""
        from study import studies

        return studies.run(**options)


sys.modules[__name__].__class__ = _Callable


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, 1 (the study failed), 2 (unusable input) or 130 (interrupted)."""
    return exit_status(lambda: interrupt.interruptible(lambda: _main(argv)))


def _main(argv: Sequence[str] | None) -> int:
    from study.settings import command_line

    line = command_line.parse(argv)
    if line.list:
        from study.driver.listing import list_spaces

        print(list_spaces())
        return 0
    if line.dry_run and "data" in line.given and not {"space", "reported"} & line.given.keys():
        from study.driver.dry_run import dry_run_of_data
        from study.settings.resolve import data_settings

        print(dry_run_of_data(data_settings(line.given)))
        return 0
    from study.settings import resolve

    if (name := _resumed(line)) is not None:
        return _resume(line, name)
    if file := line.given.get("space_file"):
        from study.data import own_file

        own_file.use(own_file.read(Path(file).expanduser()))
    settings = resolve.settings_of(line.given)
    if line.print_config:
        print(command_line.config_text(settings, named="name" in line.given))
        return 0
    if line.dry_run:
        from study.driver.dry_run import dry_run
        from study.record.folder import check_new

        check_new(settings.storage_path, settings.name)  # as the study itself would
        print(dry_run(settings, trials=line.given.get("trials"), trust=line.trust))
        return 0
    from study.driver import launch

    return launch.start(settings, trust=line.trust)


def _storage(line: CommandLine) -> Path:
    from study.record.commands import STORAGE

    return Path(line.given.get("storage", STORAGE)).expanduser().absolute()


def _resumed(line: CommandLine) -> str | None:
    """Return the name of the study to go on with, None where one is to be begun."""
    from study.record.folder import StudyFolder, check_name

    if not line.or_resume or line.dry_run:
        return line.resume
    name = check_name(line.given["name"])
    return name if StudyFolder(_storage(line) / name).has_begun else None


def _resume(line: CommandLine, name: str) -> int:
    from study.settings.resolve import resumed_settings

    storage = _storage(line)
    if line.print_config:
        from study.driver.own_space import use_again
        from study.record.folder import existing
        from study.record.journal import read_state
        from study.settings.command_line import config_text

        folder = existing(storage, name)
        state = read_state(folder.journal)
        use_again(folder, state, line.given.get("space_file"), trust=line.trust)
        settings, _ = resumed_settings(line.given, state.settings)
        print(config_text(settings, named=True))
        return 0
    from study.driver import launch

    return launch.resume(
        name,
        storage,
        lambda recorded: resumed_settings(line.given, recorded),
        line.retry_failed,
        restated_file=line.given.get("space_file"),
        trust=line.trust,
    )


if __name__ == "__main__":
    end_process(main())
