"""What the user says of a study: the note that it was begun with, and notes.md; and what their dates are worth."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from analysis.page.parts import Paragraph, Section
from analysis.study_files import StudyFiles
from study.record import files

LARGEST = 64 * 2**10
"""Bytes of notes.md."""


@dataclass(frozen=True)
class Remark:
    """A text of the user's, paragraph by paragraph, and where it is from and when that was written, in a sentence."""

    source: str
    paragraphs: tuple[str, ...]


def remarks(study: StudyFiles) -> list[Remark]:
    """Return the note of `--note` and notes.md of the study's folder, as far as there are such."""
    return [remark for remark in (_note(study), _file(study)) if remark is not None]


def section(study: StudyFiles) -> Section:
    """Return the section of a report, with nothing in it where the user has said nothing."""
    items = [
        Paragraph(text, note=text is remark.source)
        for remark in remarks(study)
        for text in (remark.source, *remark.paragraphs)
    ]
    return Section("remarks", "Hypothesis and remarks", items, "In the words of who ran the study." if items else "")


def hypothesis(study: StudyFiles) -> str:
    """Say in a sentence, for a reviewer, whether something was expected beforehand."""
    note = _note(study)
    return note.source if note else "None was recorded before the search (--note)."


def written(seconds: float) -> str:
    """Return a time, in seconds since 1970, as a person says it."""
    day = datetime.fromtimestamp(seconds, UTC)
    return f"{day.day} {day:%B %Y} at {day:%H:%M} UTC"


def _note(study: StudyFiles) -> Remark | None:
    text = study.settings.get("note")
    if not text:
        return None
    started = study.about.get("started")
    when = f", {written(started)}" if started is not None else ""
    source = f"Given as the study began{when}, before its first trial: it is in the journal's first line."
    return Remark(source, _paragraphs(str(text)))


def _file(study: StudyFiles) -> Remark | None:
    path = study.paths.notes
    if not path.exists() and not path.is_symlink():
        return None
    try:
        text, changed = files.read_plain(path, LARGEST).decode("utf-8"), path.stat().st_mtime
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        return Remark(f"{path.name} is not shown: {why} (allowed: a plain text file of {LARGEST >> 10} KiB).", ())
    started = study.about.get("started")
    if started is None:
        worth = ""
    elif changed > started:
        worth = ", after the search had begun"
    else:
        worth = ", before the study began; nothing but the file's own date says so"
    source = f"From {path.name}, last modified on {written(changed)}{worth}."
    return Remark(source, _paragraphs(text))


def _paragraphs(text: str) -> tuple[str, ...]:
    """Return the paragraphs of a text, what blank lines divide, without control characters."""
    lines = ("".join(letter if letter.isprintable() else " " for letter in line) for line in text.splitlines())
    found = [" ".join(part.split()) for part in "\n".join(line.strip() for line in lines).split("\n\n")]
    return tuple(part for part in found if part)
