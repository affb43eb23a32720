"""The user's own words: text and nothing else, with their date, and what that date is worth."""

import os

import pytest
from test_report import HOSTILE, SETTINGS, left_by_a_study

from analysis.page.paper import checklist, write_paper
from analysis.page.remarks import LARGEST, remarks
from analysis.page.render import render
from analysis.page.sections import report_page
from analysis.study_files import read_study
from study.record.errors import UsageError
from study.record.journal import read_state
from study.record.values import LONGEST_REMARK
from study.settings import command_line
from study.settings.resolve import resumed_settings, settings_of

NOTE = f"Depth costs 50 % & gains {HOSTILE}\n\nas in a_b"


def begun(storage, **values):
    """A finished study begun with these settings besides, and the time at which it began."""
    left_by_a_study(storage, settings=SETTINGS | values)
    return read_study("night", storage), read_state(storage / "night" / "journal.jsonl").about.time


def test_a_note_is_in_the_report_and_the_paper_dated_before_the_search_and_is_text_there(tmp_path):
    study, _ = begun(tmp_path, note=NOTE)
    (note,) = remarks(study)
    assert note.paragraphs == (f"Depth costs 50 % & gains {HOSTILE}", "as in a_b")
    assert note.source.startswith("Given as the study began, ")
    assert note.source.endswith("UTC, before its first trial: it is in the journal's first line.")
    page = render(report_page(study, []))
    assert "Depth costs 50 % &amp; gains &lt;script&gt;" in page
    assert HOSTILE not in page
    assert page.index("Hypothesis and remarks") < page.index("Leaderboard")
    assert f"- **What was expected beforehand?** {note.source}" in checklist(study)
    write_paper(study, [], tmp_path / "paper")
    said = (tmp_path / "paper" / "main.tex").read_text()
    assert r"Depth costs 50 \% \& gains $<$script$>$alert" in said
    assert "\n\nas in a\\_b" in said
    assert said.index(r"\input{protocol}") < said.index(r"\section*{Hypothesis and remarks}")


def test_a_study_without_remarks_says_so_to_a_reviewer_alone(tmp_path):
    study, _ = begun(tmp_path)
    assert remarks(study) == []
    assert "Hypothesis and remarks" not in render(report_page(study, []))
    assert "beforehand?** None was recorded before the search" in checklist(study)


@pytest.mark.parametrize(
    ("seconds", "worth"), [(60, ", after the search had begun."), (-60, "nothing but the file's own date says so.")]
)
def test_notes_md_has_its_date_and_is_said_to_be_later_where_it_is(seconds, worth, tmp_path):
    study, started = begun(tmp_path, note="x")
    path = study.paths.notes
    path.write_text("It was\x1b[31m the width.\nSo I think.\n\n# Next\n")
    os.utime(path, (started + seconds, started + seconds))
    _, notes = remarks(study)
    assert notes.source.startswith("From notes.md, last modified on ")
    assert notes.source.endswith(worth)
    assert notes.paragraphs == ("It was [31m the width. So I think.", "# Next")
    assert "What was expected beforehand?** Given as the study began" in checklist(study)


def test_a_notes_md_that_is_no_plain_text_is_not_shown(tmp_path):
    study, _ = begun(tmp_path)
    path, secret = study.paths.notes, tmp_path / "secret"
    secret.write_text("secret")
    path.symlink_to(secret)
    (found,) = remarks(study)
    assert found.source.startswith("notes.md is not shown: ")
    assert found.paragraphs == ()
    path.unlink()
    for content in (b"x" * (LARGEST + 1), b"\xff\xfe"):
        path.write_bytes(content)
        (found,) = remarks(study)
        assert found.source.startswith("notes.md is not shown: ")
        assert found.paragraphs == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [(" ", "is empty"), ("x" * (LONGEST_REMARK + 1), "2,001 letters; allowed: 2,000"), ("a\x1b[31m", "'\\x1b'")],
)
def test_a_note_is_text_of_a_bounded_size(text, expected):
    with pytest.raises(UsageError, match="--note") as raised:
        command_line.parse(["--space", "digits_ae", "--note", text])
    assert expected in str(raised.value)


def test_a_note_is_written_once_and_no_resume_changes_it(tmp_path):
    given = ["--space", "digits_ae", "--name", "night", "--storage", str(tmp_path), "--note", "Ω, I think\nso"]
    settings = settings_of(command_line.parse(given).given)
    assert settings.written()["note"] == "Ω, I think\nso"
    again = command_line.parse(["--resume", "night", "--note", "I knew it"]).given
    with pytest.raises(UsageError, match=r"--resume night: --note differs"):
        resumed_settings(again, settings.to_json())


def test_a_network_is_registered_where_networks_are_kept_and_nowhere_else(tmp_path):
    given = ["--space", "digits_ae", "--name", "night", "--storage", str(tmp_path), "--register"]
    elsewhere = ["--tracking-uri", f"tensorboard:{tmp_path}"]
    settings = settings_of(command_line.parse([*given, "--tracking-uri", f"sqlite:///{tmp_path}/x.db"]).given)
    assert settings.register
    with pytest.raises(UsageError, match=r"--register is for MLflow; tensorboard:.* keeps no networks"):
        settings_of(command_line.parse([*given, *elsewhere]).given)
    with pytest.raises(UsageError, match="--register is for MLflow"):
        resumed_settings(command_line.parse(["--resume", "night", *elsewhere]).given, settings.to_json())
