"""What a command prints is for whoever reads it: it works where nobody does, and says where a disk is full."""

import os
import subprocess
import sys
import threading

import pytest
from study_processes import COMMAND, SMALL, environment, prepare, run, summary_of
from test_identity import Driver

from study.driver import launch
from study.record.errors import StudyError
from study.record.events import Published
from study.record.folder import StudyFolder
from study.tracking.tracker import Ending


def unread(argv, cwd, closed=False):
    """Run a command whose standard output nobody reads, or that has none, and return it."""
    ours, its = os.pipe()
    os.close(ours)
    command = ["sh", "-c", 'exec "$@" >&-', "sh", *argv] if closed else argv
    try:
        return subprocess.run(
            command, cwd=cwd, env=environment(), stdout=its, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(its)


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("argv", [["--list"], ["--help"]])
def test_a_command_whose_output_nobody_reads_ends_without_a_word(argv, closed, tmp_path):
    done = unread([*COMMAND, *argv], tmp_path, closed)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_report_of_a_study_that_is_not_there_says_so_also_then(tmp_path):
    done = unread([sys.executable, COMMAND[1].replace("study/run.py", "analysis/report.py"), "night"], tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("study: ")


def test_a_study_whose_output_nobody_reads_goes_on(tmp_path):
    prepare(tmp_path)
    done = unread([*COMMAND, *SMALL, "--trials", "1", "--confirm", "0"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert summary_of(tmp_path)["trials"]["completed"] == 1
    assert "is finished" in run(tmp_path, "--resume", "night").stdout


def test_a_journal_that_cannot_be_written_is_no_fault_of_the_tracker_s_thread(tmp_path, monkeypatch):
    faults = []
    monkeypatch.setattr(threading, "excepthook", faults.append)
    driver = Driver(tmp_path / "night", tmp_path, uuid="one")

    def full(event):
        raise StudyError("the journal cannot be written: No space left on device")

    driver.tracker._record = full
    assert not driver.close(10)
    assert faults == []
    assert "No space left" in driver.tracker.error


def test_a_disk_that_is_full_after_the_study_is_an_error(tmp_path):
    class Tracker:
        name, error = "MLflow", "the journal cannot be written"

        def close(self, ending, seconds):
            return False

    class Recorder:
        state = type("State", (), {"summary": {"best": None}, "about": object()})

        def record(self, event):
            assert not isinstance(event, Published)
            raise StudyError("the journal cannot be written: No space left on device")

    display = type("Display", (), {"begin": lambda self, phase: None, "say": lambda self, line: None})()
    with pytest.raises(StudyError, match="No space left"):
        launch._deliver(Tracker(), StudyFolder(tmp_path), Recorder(), display, Ending("finished"))
