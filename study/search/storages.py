"""Optuna's storages: a study's own log, what others have written into it, and the logs of many studies as one."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from study.record.errors import first_line
from study.record.folder import StudyFolder
from study.search.excerpt import Excerpt

_FOREIGN = ("dashboard:", "artifacts:", "preference:")
"""How the names of attributes begin that optuna-dashboard and Optuna's artifact store write."""


class _Log(BaseJournalBackend):
    """A log without lock and sync: the study's own lock keeps other drivers out, and its journal is what is kept.

    A trial has some forty lines, and one for each epoch; Optuna's own lock and sync cost several times as much as what
    they guard, and it keeps the place of every line in memory. What a power cut takes back of the log is made anew from
    the journal.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            path.touch()
        self._read, self._place = 0, 0  # lines and bytes
        self._unread = True

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append lines."""
        self._unread = True
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Yield the lines from a number on, which is where the last call ended.

        The file is opened only where lines have been appended since.
        """
        assert log_number_from == self._read, f"{self.path} is read at line {log_number_from}, not {self._read}"
        if not self._unread:
            return
        with self.path.open("rb") as file:
            file.seek(self._place)
            while (line := file.readline()).endswith(b"\n"):
                log = json.loads(line)
                self._read, self._place = self._read + 1, file.tell()
                yield log
        self._unread = False


class SearchLog(JournalStorage):
    """The storage of a search under way: its log is whole, and what samplers are shown of it is bounded.

    `get_all_trials` returns an `Excerpt` of the ended trials and, of those that go on, the newest ones, half as many at
    most, as they were when the last one began.

    Args:
        log: The file, which is not there yet.
        most: How many ended trials are shown, None for all trials.

    Attributes:
        log: What the lines are written to; whoever renames the file says so there.
    """

    def __init__(self, log: Path, most: int | None) -> None:
        self.log = _Log(log)
        super().__init__(self.log)
        self._most = most
        self._excerpt: Excerpt | None = None
        self._going_on: dict[int, None] = {}  # ids, the newest one last
        self._shown: list[FrozenTrial] | None = None

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        """Create the one study."""
        if self._most is not None:
            self._excerpt = Excerpt(directions, self._most)
        return super().create_new_study(directions, study_name)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Create a trial."""
        trial_id = super().create_new_trial(study_id, template_trial)
        self._take(trial_id)
        return trial_id

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Set a trial's state."""
        is_set = super().set_trial_state_values(trial_id, state, values)
        self._take(trial_id)
        return is_set

    def _take(self, trial_id: int) -> None:
        if self._excerpt is None:
            return
        self._shown = None
        trial = self.get_trial(trial_id)
        if trial.state.is_finished():
            self._going_on.pop(trial_id, None)
            self._excerpt.add(trial)
        else:
            self._going_on[trial_id] = None

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return what samplers are shown, by number."""
        if self._excerpt is None or self._most is None:
            return super().get_all_trials(study_id, deepcopy, states)
        if self._shown is None:
            going_on = [self.get_trial(trial_id) for trial_id in list(self._going_on)[-(self._most // 2) :]]
            self._shown = sorted([*self._excerpt.trials(), *going_on], key=lambda trial: trial.number)
        shown = [trial for trial in self._shown if states is None or trial.state in states]
        return copy.deepcopy(shown) if deepcopy else shown


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
    """Return what others have written into the storage of an earlier driver.

    The journal knows nothing of it, and the storage is about to be written anew. A log that cannot be read is renamed.
    """
    if not log.is_file():
        return Attributes()

    def of(user: Mapping[str, Any], system: Mapping[str, Any]) -> Attributes:
        return Attributes(dict(user), {name: value for name, value in system.items() if name.startswith(_FOREIGN)})

    try:
        storage = opened(log)
        (study,) = storage.get_all_studies()  # by whatever name: its folder may have been renamed
        study_id = storage.get_study_id_from_name(study.study_name)
        found = of(storage.get_study_user_attrs(study_id), storage.get_study_system_attrs(study_id))
        for trial in storage.get_all_trials(study_id, deepcopy=False):
            found.of_trials[trial.number] = of(trial.user_attrs, trial.system_attrs)
        return found
    except Exception:  # a file that is cut off, or of another version, raises whatever its reader runs into
        log.replace(log.with_name(f"{log.name}.unreadable"))
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
