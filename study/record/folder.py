"""The folder that a study leaves: where each file lies, and the lock that keeps two drivers off it."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal

from study.record import files
from study.record.commands import hint, storage_words
from study.record.errors import UsageError, choose_from

Standing = Literal["here", "moved", "copied", "unknown"]
"""Where a study's folder is, to what its journal says: where it was, moved, a copy; or the journal does not say."""

_HELD = (errno.EAGAIN, errno.EACCES)
"""What a lock says that another process holds; any other error says that there are no locks."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
_FOR_THE_LINE = 2.0  # seconds in which a driver that has taken a lock has written its line, unless its disk is full
_BEFORE_THE_FIRST_LINE = (".lock", ".reached-by-*", "space.py", files.part_name("space.py"), "journal.jsonl")
"""What a driver may leave that is killed before its study has begun."""


@dataclass(frozen=True)
class StudyFolder:
    """The paths of one study below its storage folder."""

    path: Path

    @property
    def name(self) -> str:
        """The study's name."""
        return self.path.name

    @property
    def journal(self) -> Path:
        """Every event in order: the truth that the other files are projections of."""
        return self.path / "journal.jsonl"

    @property
    def has_begun(self) -> bool:
        """Whether the journal has a whole line: what is there before it is of no study yet."""
        try:
            with self.journal.open("rb") as file:
                return file.readline().endswith(b"\n")
        except OSError:
            return False

    def resume_command(self, *words: str) -> str:
        """Return the line that goes on with the study, as it works here; `words` are further options."""
        return hint("resume", self.name, *words, *storage_words(self.path.parent))

    @property
    def optuna_log(self) -> Path:
        """Optuna's journal storage, which optuna-dashboard opens."""
        return self.path / "optuna.log"

    @property
    def best(self) -> Path:
        """The best network: model.pt and config.json."""
        return self.path / "best"

    @property
    def code(self) -> Path:
        """The copy of the user's own file of the space, where the study has one."""
        return self.path / "space.py"

    @property
    def samples(self) -> Path:
        """The arrays that the report's pictures need."""
        return self.path / "samples"

    @property
    def checkpoints(self) -> Path:
        """One folder per run with its latest checkpoint, as long as it is needed."""
        return self.path / "checkpoints"

    @property
    def errors(self) -> Path:
        """One file per failed run with its traceback."""
        return self.path / "errors"

    @property
    def report(self) -> Path:
        """The report: index.html and its tables."""
        return self.path / "report"

    @property
    def paper(self) -> Path:
        """What a paper takes from the study: LaTeX, figures, a checklist."""
        return self.path / "paper"

    @property
    def ablation(self) -> AblationFolder:
        """What an ablation of the study keeps: its journal, and checkpoints of runs that may go on."""
        return AblationFolder(self.path / "ablation")

    @property
    def notes(self) -> Path:
        """The user's own remarks, where there are any."""
        return self.path / "notes.md"

    @property
    def archive(self) -> Path:
        """The paper, the journal and the tables in one file, with the digest of each."""
        return self.path / f"{self.name}.zip"

    @property
    def lock(self) -> Path:
        """The file that the study's driver holds a lock on."""
        return self.path / ".lock"

    @property
    def is_locked(self) -> bool:
        """Whether a driver runs the study; asking takes a shared lock for a moment."""
        try:
            with self.lock.open("rb") as file:
                try:
                    fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except OSError as error:
                    return error.errno in _HELD
        except OSError:
            pass
        return False


@dataclass(frozen=True)
class AblationFolder(StudyFolder):
    """The folder that an ablation has in its study's; `words` are the options by which the same command goes on."""

    words: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The study's name, with the folder's own."""
        return f"{self.path.parent.name}/{self.path.name}"

    def resume_command(self, *words: str) -> str:
        """Return the line that goes on with the ablation, as it works here; `words` are further options."""
        study = self.path.parent
        return hint("ablate", study.name, *self.words, *words, *storage_words(study.parent))


def check_name(name: str, option: str = "--name", storage: Path | None = None) -> str:
    """Return `name`, which `option` asked for, if it can name a folder below the storage folder and nothing else.

    Raises:
        UsageError: it has a path separator, a leading dot or another character outside the allowed ones; of the path of
            a study below `storage` the message says the study's name.
    """
    if not _NAME.fullmatch(name):
        meant = did_you_mean(storage, name) if storage else ""
        raise UsageError(
            f"{option} {name!r} cannot name a study{meant}; allowed: up to 100 letters, digits, '.', '_', '+', '-', "
            "the first a letter or digit, no path"
        )
    return name


def did_you_mean(storage: Path, name: str) -> str:
    """Return " (did you mean NIGHT?)" where `name` is a path whose last part is a study below `storage`, else ""."""
    last = Path(name).name
    return f" (did you mean {last}?)" if last != name and StudyFolder(storage / last).has_begun else ""


def existing(storage: Path, name: str, option: str = "--resume") -> StudyFolder:
    """Return the folder of the study `name` below `storage`, which `option` asked for.

    Raises:
        UsageError: there is none; the message names the nearest one that exists.
    """
    folder = StudyFolder(storage / check_name(name, option, storage))
    if not folder.has_begun:
        known = [entry.name for entry in storage.glob("*") if StudyFolder(entry).has_begun]
        if not known:
            raise UsageError(f"{option} {name!r}: there is no study in {storage}")
        raise UsageError(choose_from(f"{option}: study", name, known) + f" (in {storage})")
    return folder


def place_of(folder: StudyFolder) -> dict[str, Any]:
    """Return where a study lies, by which a copy of it can be told from itself: machine, path, file system, inode."""
    inode, path = folder.path.stat().st_ino, str(folder.path.absolute())
    return {"machine": _machine(), "path": path, "file_system": _file_system(folder.path), "inode": inode}


def standing(folder: StudyFolder, recorded: Mapping[str, Any] | None) -> Standing:
    """Say whether a study lies where its journal says, from any machine that its storage is mounted on.

    A folder keeps its inode where it is renamed, but every file system counts its inodes for itself. To another file
    system it can only be copied: it was moved there if the machine is the same and there is nothing any more where it
    was. What cannot be known, as behind a folder that is closed to this user, is a copy.
    """
    if not recorded:
        return "unknown"
    now = place_of(folder)
    same_inode = recorded.get("inode") == now["inode"]
    same_machine = recorded.get("machine") == now["machine"]
    if recorded.get("path") == now["path"]:
        return "here" if same_inode or same_machine else "copied"  # another inode: put back from a backup
    if not same_machine:
        # Not in the journal of an earlier version. A disk that another machine mounts may be told by another number
        # there, which is why that of a folder at the same path is not asked for.
        same_file_system = recorded.get("file_system", now["file_system"]) == now["file_system"]
        return "moved" if same_inode and same_file_system else "copied"
    try:
        there, here = os.stat(str(recorded.get("path"))), folder.path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return "moved"
    except OSError:
        return "copied"
    # The same folder, by a link or mounted at two paths; or another one that was made in the place that it has left.
    same = os.path.samestat(there, here) or (same_inode and there.st_dev == here.st_dev)
    return "moved" if same else "copied"


def is_trusted(folder: StudyFolder, recorded: Mapping[str, Any] | None) -> bool:
    """Return whether a study was begun here by this user, who so has named its tracker and its cluster."""
    mine = not hasattr(os, "geteuid") or folder.path.stat().st_uid == os.geteuid()
    return mine and standing(folder, recorded) in ("here", "moved")


def _file_system(path: Path) -> int | None:
    """Return the number that a file system has, None where the system does not tell."""
    return os.statvfs(path).f_fsid if hasattr(os, "statvfs") else None


def _machine() -> str:
    """Return a name of this machine that says nothing else of it."""
    try:
        name = Path("/etc/machine-id").read_text().strip()
    except OSError:
        name = ""
    if name in ("", "uninitialized"):  # as images of containers have it
        name = socket.gethostname()
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def check_new(storage: Path, name: str) -> StudyFolder:
    """Return the folder that a new study will have, if no study has it and it can be made; nothing is written.

    Raises:
        UsageError: a study of this name exists, something that is no folder is in its place, or it cannot be written.
    """
    folder = StudyFolder(storage / check_name(name))
    if folder.has_begun:
        resume = folder.resume_command()
        raise UsageError(f"--name {name!r} exists in {storage}; choose another, or go on with: {resume}")
    nearest = next(place for place in (folder.path, *folder.path.parents) if os.path.lexists(place))
    if not os.path.isdir(nearest):
        raise UsageError(f"--storage {str(storage)!r} cannot be used: {nearest} is not a folder")
    if not os.access(nearest, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise UsageError(f"--storage {str(storage)!r} cannot be used: {nearest} is not writable; name a folder that is")
    if nearest == folder.path and (others := _others(folder)):
        raise UsageError(f"--name {name!r} exists in {storage} and is no study, but has {others[0]}; choose another")
    return folder


def _others(folder: StudyFolder) -> list[str]:
    """Return the names in a folder that no driver has left which died before its study began."""
    names = (entry.name for entry in folder.path.iterdir())
    return sorted(name for name in names if not any(fnmatch(name, known) for known in _BEFORE_THE_FIRST_LINE))


@contextmanager
def created(storage: Path, name: str) -> Iterator[StudyFolder]:
    """Create and lock the folder of a new study.

    Raises:
        UsageError: a study of this name exists, or the storage folder cannot be written.
    """
    folder = check_new(storage, name)
    missing = [parent for parent in (folder.path, *folder.path.parents) if not parent.exists()]
    try:
        folder.path.mkdir(parents=True)
    except FileExistsError:
        check_new(storage, name)
        missing = [folder.path]  # left by a driver that died before it could write a line: the name is free
    except OSError as error:
        raise UsageError(
            f"--storage {str(storage)!r} cannot be written: {error.strerror}; name a folder that can"
        ) from error
    with locked(folder):
        try:
            yield folder
        finally:
            # Nothing was recorded: leave the disk as it was found.
            if not folder.has_begun:
                shutil.rmtree(folder.path, ignore_errors=True)
                for parent in missing[1:]:
                    if parent.is_dir() and not any(parent.iterdir()):
                        parent.rmdir()


@contextmanager
def locked(folder: StudyFolder) -> Iterator[StudyFolder]:
    """Hold the study's lock; the kernel releases it however the driver ends. The file says who holds it.

    Raises:
        UsageError: another driver runs this study, the folder cannot be written, or its file system takes no locks.
    """
    try:
        descriptor = os.open(folder.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise UsageError(f"{folder.path} cannot be written: {error.strerror}") from error
    try:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _HELD:
                raise UsageError(
                    f"{folder.path}: this file system takes no locks ({error.strerror}), by which two drivers of one "
                    "study are kept apart; name a --storage that does"
                ) from error
            holder = _holder(descriptor)
            by = f"another process ({holder})" if holder else "another process"
            raise UsageError(f"study {folder.name!r} is being run by {by}") from None
        with suppress(OSError):  # on a full disk it is a lock all the same
            os.ftruncate(descriptor, 0)
            since = datetime.now().astimezone().isoformat(" ", "seconds")
            os.pwrite(descriptor, f"{os.getpid()} on {socket.gethostname()}, since {since}\n".encode(), 0)
        yield folder
    finally:
        os.close(descriptor)


def _holder(descriptor: int) -> str:
    """Return what the file of a lock says of who holds it, "" where it does not say: the lock comes before the line."""
    ends = time.monotonic() + _FOR_THE_LINE
    while True:
        line, whole, _ = os.pread(descriptor, 200, 0).decode(errors="replace").partition("\n")
        if whole:
            return line
        if time.monotonic() > ends:
            return ""
        time.sleep(0.02)
