"""A worker that dies between two runs costs neither of them, and no other config wins because of it."""

import json
import os
import time
from unittest.mock import Mock

import pytest
import ray
import ray.tune.tune
from ray.exceptions import ActorDiedError
from ray.tune.experiment import Trial
from ray.tune.utils.object_cache import _ObjectCache
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


def test_no_run_is_given_an_idle_process_of_a_node_that_has_died_or_is_to_go(monkeypatch):
    monkeypatch.setattr(TuneController, "on_step_begin", lambda self: None)
    monkeypatch.setattr(TuneController, "_process_trial_failure", lambda self, trial, exception: None)
    state = {"there": True, "dying": True, "leaving": True}
    monkeypatch.setattr(ray, "nodes", lambda: [{"NodeID": name, "Alive": alive} for name, alive in state.items()])
    monkeypatch.setattr(ray._private.state.state, "get_draining_nodes", lambda: {"leaving": 0})
    removed = []
    controller = StudyController.__new__(StudyController)
    monkeypatch.setattr(controller, "_remove_actor", removed.append, raising=False)
    idle = {name: Mock(name=name) for name in ("there", "dying", "leaving", "new")}
    cache = _ObjectCache()
    cache.increase_max("one core", 16)
    for process in idle.values():
        cache.cache_object("one core", process)
    controller.__dict__ |= {
        "_actor_cache": cache, "_nodes": {idle[name]: name for name in state}, "_looked": -1.0, "_leaving": set(),
        "_gone": set(), "_resetting_trials": set(), "_fail_fast": False, "_print_trial_errors": False,
    }  # fmt: skip
    controller.on_step_begin()
    assert removed == [idle["leaving"]]
    state["dying"] = False  # and the first run that is given one of its processes says so
    controller._trial_task_failure(type("WaitingTrial", (), {"status": Trial.RUNNING})(), ActorDiedError())
    controller.on_step_begin()
    assert removed == [idle["leaving"], idle["dying"]]
    assert list(cache.flush_cached_objects(force_all=True)) == [idle["there"], idle["new"]]
    assert cache.num_cached_objects == 0


def waiting(monkeypatch, *, placed, up, seconds):
    """Return a controller with a free process, and a trial whose own process has started so many seconds ago."""
    taken = []
    monkeypatch.setattr(TuneController, "_maybe_reuse_cached_actor", lambda self, trial: bool(taken.append(trial) or 1))
    process = type("Process", (), {})()
    trial = type("WaitingTrial", (), {"placement_group_factory": "one core"})()
    controller = StudyController.__new__(StudyController)
    controller._actor_manager = type(
        "Processes", (), {"is_actor_started": lambda self, one: placed and one is process}
    )()
    controller._actor_cache = type("Idle", (), {"_cached_objects": {"one core": ["free"]}})()
    controller._resetting_trials, controller._last_runs = set(), None
    controller._trial_to_actor, controller._coming = {trial: process}, {process: time.monotonic() - seconds}
    controller._started_actors = {process} if up else set()
    return controller, trial, taken


@pytest.mark.parametrize(
    ("placed", "up", "seconds", "takes"),
    [(True, False, 1, False), (True, False, 11, True), (False, False, 1, True), (True, True, 1, True)],
    ids=["is being started", "for too long", "has no place yet", "is up"],
)
def test_a_trial_whose_own_process_is_being_started_leaves_a_free_one_to_others(
    placed, up, seconds, takes, monkeypatch
):
    controller, trial, taken = waiting(monkeypatch, placed=placed, up=up, seconds=seconds)
    assert controller._maybe_reuse_cached_actor(trial) == takes
    assert taken == [trial] * takes
    stranger = type("Trial", (), {"placement_group_factory": "one core"})()
    assert controller._maybe_reuse_cached_actor(stranger)


def test_trials_that_are_shorter_than_the_start_of_a_process_take_as_many_as_there_are_places(tmp_path):
    argv = ["--space", "digits_ae", "--name", "night", "--smoke", "--confirm", "2x2", "--max-concurrent", "2"]
    assert run(tmp_path, *argv).returncode == 0
    lines = (tmp_path / "results/night/journal.jsonl").read_text().splitlines()
    placed = [event["pid"] for event in map(json.loads, lines) if event["event"] == "placed"]
    assert len(placed) >= 4
    assert len(set(placed)) == 2  # not a third one, in the place of one that was ended while it started


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
