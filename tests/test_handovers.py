"""A worker that dies between two runs costs neither of them, and no other config wins because of it."""

import json
import os
import time

import pytest
import ray.tune.tune  # noqa: F401  (where Tune makes its controller)
from ray.exceptions import ActorDiedError
from ray.tune.experiment import Trial
from study_processes import SMALL, TIMEOUT, run, start, state_of, summary_of, table, without_timings

from study.search.controller import StudyController, TuneController


def test_a_fault_that_tune_reports_twice_is_one_fault(monkeypatch):
    processed = []
    monkeypatch.setattr(
        TuneController, "_process_trial_failure", lambda self, trial, exception: processed.append(trial.status)
    )
    trial = type("WaitingTrial", (), {"status": Trial.RUNNING})()
    controller = StudyController.__new__(StudyController)
    controller.__dict__ |= {"_resetting_trials": set(), "_fail_fast": False, "_print_trial_errors": False}
    controller._trial_task_failure(trial, ActorDiedError())
    trial.status = Trial.PENDING  # set up again
    controller._trial_task_failure(trial, ActorDiedError())
    assert processed == [Trial.RUNNING]


def follow(folder, process):
    """Yield the lines of the study's journal as they come, until its driver has ended."""
    journal, position = folder / "results/night/journal.jsonl", 0
    while process.poll() is None:
        time.sleep(0.001)
        if journal.exists():
            with journal.open("rb") as file:
                file.seek(position)
                lines, newline, _ = file.read().rpartition(b"\n")
            position += len(lines + newline)
            yield from map(json.loads, lines.splitlines())


def kill_at_handovers(folder, process, moment, kills, every=2):
    """Kill the worker that was placed last right after every second event `moment`, at most `kills` times."""
    killed, seen, pid = [], 0, None
    for event in follow(folder, process):
        pid = event["pid"] if event["event"] == "placed" else pid
        seen += event["event"] == moment
        if event["event"] == moment and seen % every == 0 and len(killed) < kills and pid not in {None, *killed}:
            os.kill(pid, 9)
            killed.append(pid)
    assert process.wait(TIMEOUT) == 0, (folder / "output.txt").read_text()
    assert len(killed) == kills
    return killed


FAST = [*SMALL, "--seed", "5", "--scheduler", "none", "--max-params", "100000"]


@pytest.mark.parametrize(
    ("moment", "kills", "together"),
    [
        ("end", 1, "1"),
        *(
            pytest.param(moment, kills, together, marks=pytest.mark.slow)
            for moment in ("end", "run")
            for kills, together in ((12, "1"), (12, "2"))
        ),
    ],
)
def test_a_worker_killed_between_two_trials_loses_none(moment, kills, together, tmp_path):
    trials = 2 * kills + 2
    process = start(tmp_path, *FAST, "--trials", str(trials), "--confirm", "0", "--max-concurrent", together)
    kill_at_handovers(tmp_path, process, moment, kills)
    ended = state_of(tmp_path).trials
    assert len(ended) == trials
    # A network may diverge by itself.
    assert [run.reason for run in ended if run.status == "failed" and "NonFinite" not in run.reason] == []


@pytest.mark.slow
@pytest.mark.parametrize("fuse", ["off", "on"])
def test_a_worker_killed_between_two_runs_of_the_confirmation_changes_no_result(fuse, tmp_path):
    argv = [*FAST, "--trials", "4", "--confirm", "2x3", "--max-concurrent", "1", "--fuse", fuse]
    for name in ("alone", "killed"):
        (tmp_path / name).mkdir()
    assert run(tmp_path / "alone", *argv).returncode == 0
    process = start(tmp_path / "killed", *argv)
    kill_at_handovers(tmp_path / "killed", process, "run", 3, every=3)
    one, other = (table(tmp_path / name / "results/night/confirm.csv") for name in ("alone", "killed"))
    assert without_timings(one) == without_timings(other)
    assert summary_of(tmp_path / "alone")["best"]["config"] == summary_of(tmp_path / "killed")["best"]["config"]
