"""Journals that something has damaged: the right tables, or one line that names the journal; never a traceback."""

import contextlib
import json
import random
import shutil
import time
from pathlib import Path

import pytest
from recorded_studies import MadeUpRun, made_up_seeds, write_study

from study.record import journal, tables
from study.record.errors import StudyError
from study.record.folder import StudyFolder
from study.record.journal import read_state

EARLIER = Path(__file__).parent / "earlier_version" / "journal.jsonl"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The lines of a journal that this version writes."""
    trials = [MadeUpRun(f"t{number:04d}", number, epochs=[{"val_mse": 0.5}] * 3) for number in range(6)]
    seeds = made_up_seeds("t0001", {"val_mse": [0.4, 0.5], "test_mse": [0.4, 0.5]})
    summary = {"best": None, "metric": "val_mse"}
    folder = write_study(tmp_path_factory.mktemp("results"), "night", [*trials, *seeds], summary=summary)
    return (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)


NO_EVENTS = [b"\n", b"123\n", b"null\n", b"{}\n", b"\x00\x00\n", b'{"event": []}\n']
VALUES = [None, 0, -1, 1e300, "", "t0001", [], {}, True, "2", {"a": []}, [[1]]]


def change(line, draw):
    """Return a line of a journal with one field, at any depth, changed, taken away or added."""
    said = json.loads(line)
    at = said
    while nested := [value for value in at.values() if isinstance(value, dict) and value]:
        if draw.random() < 0.5:
            break
        at = draw.choice(nested)
    key = draw.choice([*at, "another"])
    if draw.random() < 0.3 and key in at:
        del at[key]
    else:
        at[key] = draw.choice(VALUES)
    return json.dumps(said).encode() + b"\n"


def mutated(lines, draw):
    lines = list(lines)
    for _ in range(draw.choice([1, 1, 1, 2, 5])):
        place = draw.randrange(len(lines))
        match draw.choice(["drop", "double", "tear", "change", "change", "swap", "byte", "insert"]):
            case "drop":
                del lines[place]
            case "double":
                lines.insert(draw.randrange(len(lines)), lines[place])
            case "tear":
                lines[place] = lines[place][: draw.randrange(len(lines[place]))] + draw.choice([b"\n", b""])
            case "change":
                with contextlib.suppress(ValueError):  # torn already
                    lines[place] = change(lines[place], draw)
            case "swap":
                other = draw.randrange(len(lines))
                lines[place], lines[other] = lines[other], lines[place]
            case "byte":
                at = draw.randrange(len(lines[place]))
                lines[place] = lines[place][:at] + bytes([draw.randrange(256)]) + lines[place][at + 1 :]
            case "insert":
                lines.insert(place, draw.choice(NO_EVENTS))
        if not lines:
            break
    return lines


def outcome(folder):
    """Return the tables that a journal gives, or the one line that is said instead."""
    try:
        state = read_state(folder.journal)
        tables.write(folder, state)
    except StudyError as error:
        return str(error)
    return {table.name: (folder.path / table.file).read_bytes() for table in tables.TABLES if not table.optional}


@pytest.mark.parametrize("part", range(5))
def test_a_damaged_journal_gives_the_right_tables_or_one_line(part, written, tmp_path):
    folder = StudyFolder(tmp_path)
    draw = random.Random(part)
    whole = b"".join(written)
    folder.journal.write_bytes(whole)
    right = [outcome_of_the_first(folder, written, count) for count in range(1, len(written) + 1)]
    said = longest = 0
    for _ in range(200):
        folder.journal.write_bytes(b"".join(mutated(written, draw)))
        begun = time.monotonic()
        got = outcome(folder) if folder.has_begun else "nothing has begun"
        longest = max(longest, time.monotonic() - begun)
        said += isinstance(got, str)
        assert got in right or (isinstance(got, str) and len(got.splitlines()) == 1)
    assert longest < 5
    assert 100 < said < 200  # a last line that is torn, or gone, is what a kill leaves


def outcome_of_the_first(folder, lines, count):
    folder.journal.write_bytes(b"".join(lines[:count]))
    return outcome(folder)


@pytest.mark.parametrize("part", range(5))
def test_a_damaged_journal_of_an_earlier_version_is_never_a_traceback(part, tmp_path):
    folder = StudyFolder(tmp_path)
    draw = random.Random(part)
    lines = EARLIER.read_bytes().splitlines(keepends=True)
    for _ in range(100):
        folder.journal.write_bytes(b"".join(mutated(lines, draw)))
        if folder.has_begun:
            outcome(folder)


def test_a_line_that_follows_on_another_than_it_did_is_told(written, tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"".join(written[:2] + written[3:]))
    with pytest.raises(StudyError, match=r"is damaged in line 3: it was changed, or lines before it were"):
        journal.read(path)
    shutil.copy(EARLIER, path)
    journal.read(path)
    journal.Journal(path).append(journal.read(path)[-1])  # an earlier version's journal goes on with checksums
    assert len(journal.read(path)) == len(EARLIER.read_bytes().splitlines()) + 1
