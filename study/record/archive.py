"""A study's archive, NAME.zip: its paper, journal and tables, with the SHA-256 of each; written, read, checked.

The zip has one folder, of the study's name, files in the order of their names, nothing compressed, one time for all. So
the same files give the same bytes, a changed byte is found wherever it lies, and nothing unpacks to more than it is.
"""

from __future__ import annotations

import hashlib
import io
import re
import stat
import struct
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.record import ablation, files, journal, kept
from study.record.errors import StudyError, UsageError, first_line, one_line
from study.record.folder import StudyFolder
from study.record.state import StudyState

MANIFEST = "SHA256SUMS"
"""The SHA-256 of every other file, in the lines of sha256sum."""
VERSIONS = "versions.txt"
"""What the study ran with, in the lines of pip's constraints."""
LARGEST = 2**30
"""Bytes of an archive that is read: it is held in memory."""

_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say
_HEADER = 30  # bytes before a file's name in a zip
_PART = r"[A-Za-z0-9][A-Za-z0-9._+-]*"
_PLAIN = rf"{_PART}(?:/{_PART})*"
_NAME = re.compile(rf"({_PART})/({_PLAIN})")
_LINE = re.compile(rf"([0-9a-f]{{64}})  ({_PLAIN})")


@dataclass(frozen=True)
class Archive:
    """A zip file as it was read; nothing of it is written to the disk.

    Attributes:
        path: Where it lies.
        study: The study's name, which its folder has.
        digest: SHA-256 of the whole file.
        files: Each file's content, by its path from the study's folder.
        bytes_as_written: Whether the zip has the very bytes that `write` makes of these files.
    """

    path: Path
    study: str
    digest: str
    files: Mapping[str, bytes]
    bytes_as_written: bool

    @property
    def journal(self) -> str:
        """The name of the journal among the files."""
        return StudyFolder(Path(self.study)).journal.name

    @property
    def code(self) -> str:
        """The name of the study's code of its own among the files, where it has some."""
        return StudyFolder(Path(self.study)).code.name

    def state(self) -> StudyState:
        """Return what its journal says.

        Raises:
            StudyError: it is not there, damaged, or of no study.
        """
        if self.journal not in self.files:
            raise StudyError(f"{self.journal} is missing")
        named = Path(self.journal)
        return journal.fold(named, journal.parse(self.files[self.journal], named))

    def faults(self) -> list[str]:
        """Return what is wrong, a line for each file; nothing where it is as it was written."""
        found = _of_digests(self.files)
        if not found:
            found = [*self._of_journal()]
        if not found and not self.bytes_as_written:
            found = ["the zip's own entries (order, times, sizes, or what lies between the files) were changed"]
        return found

    def _of_journal(self) -> Iterator[str]:
        """Yield what contradicts the journal: itself, and the tables of which it has the digests."""
        try:
            state = self.state()
        except StudyError as error:
            yield str(error)
            return
        if state.summary is None:
            yield f"{self.journal} is of a study that is not finished"
        for name, expected in state.files.items():
            if name in self.files and expected != (found := kept.of_content([self.files[name]])):
                yield f"{name} is not the one that {self.journal} names: {found[:24]}…"


def write(folder: StudyFolder) -> Path:
    """Write a finished study's archive into its folder, its paper with it, and return the file.

    Raises:
        UsageError: a file is not the one that the journal names, is a link or no plain file, or the archive would be
            too large.
        StudyError: the journal is damaged.
    """
    state = journal.read_state(folder.journal)
    names = [folder.journal.name, *kept.OF_TABLES]
    names += [folder.notes.name, *([folder.code.name] if state.about and state.about.own else [])]
    paths = [*(folder.path / name for name in (*names, ablation.FILE)), folder.ablation.journal]
    paths += sorted(path for path in folder.paper.rglob("*") if not path.is_dir())
    content = {path.relative_to(folder.path).as_posix(): _read(path) for path in paths if path.exists()}
    for name, expected in state.files.items():
        if (name in content or name in names) and expected != kept.of_content([content.get(name, b"")]):
            raise UsageError(
                f"{folder.path / name} is not what the study left; {folder.resume_command()} makes it again"
            )
    content[VERSIONS] = _versions(state.about.environment if state.about else {}).encode()
    sums = [f"{hashlib.sha256(content[name]).hexdigest()}  {name}\n" for name in sorted(content)]
    content[MANIFEST] = "".join(sums).encode()
    whole = _zipped(folder.name, content)
    if len(whole) > LARGEST:
        raise UsageError(f"the archive of {folder.path} would have {len(whole):,} bytes, more than {LARGEST:,}")
    files.write(folder.archive, lambda part: part.write_bytes(whole))
    return folder.archive


def has_paper(folder: StudyFolder) -> bool:
    """Return whether all of a study's paper is in its archive, byte for byte, but for what LaTeX makes of it."""
    try:
        archived = read(folder.archive).files
        return all(
            archived.get(path.relative_to(folder.path).as_posix()) == _read(path)
            for path in folder.paper.rglob("*")
            if not path.is_dir() and (path.stem != "main" or path.suffix == ".tex")
        )
    except UsageError:
        return False


def read(path: Path) -> Archive:
    """Read an archive without unpacking it.

    Raises:
        UsageError: there is none, it is no zip, or it has an entry that no archive of a study has: a path that leads
            out of the study's folder, a link, a compressed file, a name twice, bytes that another one has too.
    """
    raw = _read(path, path.resolve())
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as packed:
            entries = packed.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, struct.error) as error:
        raise UsageError(f"{path} is no zip archive: {first_line(error)}") from None
    studies, content, total = set(), {}, 0
    for entry in entries:
        study, name = _checked(entry, path)
        total += entry.file_size
        if total > len(raw):  # many names of the same bytes would take far more memory than the file
            raise UsageError(f"{path} is refused: its entries overlap")
        if name in content:
            raise UsageError(f"{path} is refused: it has {name!r} twice")
        studies.add(study)
        start = entry.header_offset + _HEADER + len(entry.orig_filename)
        content[name] = raw[start : start + entry.file_size]
    if len(studies) != 1:
        raise UsageError(f"{path} is no archive of a study: it has {len(studies)} folders, not one")
    (study,) = studies
    return Archive(path, study, hashlib.sha256(raw).hexdigest(), content, _zipped(study, content) == raw)


def _read(path: Path, target: Path | None = None) -> bytes:
    """Return what a plain file holds: that of this path, or its `target` where links to it are followed."""
    try:
        return files.read_plain(target or path, LARGEST)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def _checked(entry: zipfile.ZipInfo, path: Path) -> tuple[str, str]:
    """Return the study and the path below its folder that an entry of a zip names."""
    name = entry.orig_filename
    found = _NAME.fullmatch(name)
    if found is None:
        raise UsageError(f"{path} is refused: its entry {one_line(ascii(name))} is no plain path below one folder")
    if not stat.S_ISREG(entry.external_attr >> 16):
        raise UsageError(f"{path} is refused: its entry {name!r} is a link, or no plain file")
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
        raise UsageError(f"{path} is refused: its entry {name!r} is compressed, as no archive of a study is")
    return found[1], found[2]


def _of_digests(content: Mapping[str, bytes]) -> list[str]:
    """Return what differs from the manifest."""
    if MANIFEST not in content:
        return [f"{MANIFEST} is missing"]
    lines = content[MANIFEST].decode("ascii", "replace").splitlines()
    read = [_LINE.fullmatch(line) for line in lines]
    faults = [f"{MANIFEST}: line {number} is no digest and name" for number, line in enumerate(read, 1) if line is None]
    expected = {line[2]: line[1] for line in read if line}
    for name in sorted(expected.keys() | content.keys() - {MANIFEST}):
        if name not in content:
            faults.append(f"{name} is missing")
        elif name not in expected:
            faults.append(f"{name} is not in {MANIFEST}")
        elif (digest := hashlib.sha256(content[name]).hexdigest()) != expected[name]:
            faults.append(f"{name} differs: its SHA-256 is {digest[:16]}…, and {MANIFEST} has {expected[name][:16]}…")
    return faults


def _zipped(study: str, content: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as out:
        for name in sorted(content):
            entry = zipfile.ZipInfo(f"{study}/{name}", _TIME)
            entry.create_system, entry.external_attr = 3, (stat.S_IFREG | 0o644) << 16  # as Unix says it
            out.writestr(entry, content[name])
    return packed.getvalue()


def _versions(environment: Mapping[str, Any]) -> str:
    lines = [f"{name}=={version}\n" for name, version in sorted(environment.get("versions", {}).items()) if version]
    return f"# python {environment.get('python', 'unknown')}, as the study began\n{''.join(lines)}"
