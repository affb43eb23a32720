"""Optuna's storages: a study's own log, what others have written into it, and the logs of many studies as one."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend

from study.record.errors import first_line
from study.record.folder import StudyFolder

_FOREIGN = ("dashboard:", "artifacts:", "preference:")
"""How the names of attributes begin that optuna-dashboard and Optuna's artifact store write."""


class _Log(JournalFileBackend):
    """A log without lock and sync: the study's own lock keeps other drivers out, and its journal is what is kept.

    A trial has some forty lines, and one for each epoch; Optuna's own lock and sync cost several times as much as what
    they guard. What a power cut takes back of the log is made anew from the journal.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append lines."""
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)


def opened(log: Path) -> JournalStorage:
    """Return the storage in a log, which is made if it is not there; to read one writes nothing."""
    return JournalStorage(_Log(log))


@dataclass
class Attributes:
    """What others have written into an Optuna study: optuna-dashboard's notes and artifacts, a user's attributes."""

    user_attrs: dict[str, Any] = field(default_factory=dict)
    system_attrs: dict[str, Any] = field(default_factory=dict)
    of_trials: dict[int, Attributes] = field(default_factory=dict)


def foreign(log: Path) -> Attributes:
    """Return what others have written into the storage of an earlier driver; nothing where that cannot be read.

    The journal knows nothing of it, and the storage is about to be written anew.
    """
    if not log.is_file():
        return Attributes()

    def of(user: Mapping[str, Any], system: Mapping[str, Any]) -> Attributes:
        return Attributes(dict(user), {name: value for name, value in system.items() if name.startswith(_FOREIGN)})

    try:
        storage = opened(log)
        study_id = storage.get_study_id_from_name(log.parent.name)
        found = of(storage.get_study_user_attrs(study_id), storage.get_study_system_attrs(study_id))
        for trial in storage.get_all_trials(study_id, deepcopy=False):
            found.of_trials[trial.number] = of(trial.user_attrs, trial.system_attrs)
        return found
    except Exception:  # a file that is cut off, or of another version, raises whatever its reader runs into
        return Attributes()


def together(folders: Iterable[StudyFolder]) -> tuple[BaseStorage, list[str]]:
    """Return the Optuna studies of some folders copied into one storage in memory, each under its folder's name.

    Besides, a line on each folder whose log cannot be read. The logs are as they were.
    """
    logging.getLogger("optuna").setLevel(logging.ERROR)
    storage, skipped = InMemoryStorage(), []
    for folder in folders:
        try:
            source = opened(folder.optuna_log)
            for study in source.get_all_studies():  # one, by whatever name: a folder may have been renamed
                optuna.copy_study(
                    from_study_name=study.study_name,
                    from_storage=source,
                    to_storage=storage,
                    to_study_name=folder.name,
                )
        except Exception as error:  # as in `foreign`
            with suppress(KeyError):  # half a study would look like a whole one
                storage.delete_study(storage.get_study_id_from_name(folder.name))
            skipped.append(f"{folder.optuna_log} is left out: it cannot be read ({first_line(error)})")
    return storage, skipped
