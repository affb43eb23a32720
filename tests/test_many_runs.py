"""What a result, a run's end or an answer costs the driver does not grow with the runs that a study has had."""

import random
from types import SimpleNamespace

import optuna
import pytest
import ray.tune.tune
from ray.air.execution._internal import RayActorManager
from ray.air.execution._internal.event_manager import RayEventManager

from study.record import files
from study.record.events import EpochEnded, RunEnded, RunStarted, StudyStarted
from study.record.folder import StudyFolder
from study.record.journal import Journal, Recorder
from study.record.ranking import best_trials
from study.record.state import StudyState
from study.search import storages
from study.search.controller import StudyController, TuneController, _AllAtOnce
from study.search.engine import BudgetStopper
from study.search.recording import TuneRecorder
from study.tracking.mlflow_tracker import MLflowTracker
from study.worker.job import Job, Report, StepResult, job_config, tune_result


def controller(**trials):
    made = StudyController.__new__(StudyController)
    everyone = {trial for some in trials.values() for trial in some}
    made.__dict__ |= {"_trials": list(everyone), "_live_trials": set(everyone), "_trials_to_cache": set(everyone)}
    made.__dict__ |= {f"_{name}_trials": set(some) for name, some in trials.items()}
    return made


def test_tune_forgets_the_trials_that_have_ended_and_no_others(monkeypatch):
    monkeypatch.setattr(TuneController, "on_step_end", lambda self: None)
    running, pending, stopped, failed = "running", "pending", "stopped", "failed"  # any objects will do
    made = controller(running=[running], pending=[pending], stopped=[stopped], failed=[failed])
    made.on_step_end()
    for kept in (made._trials, made._live_trials, made._trials_to_cache):
        assert set(kept) == {running, pending}
    assert (made._stopped_trials, made._failed_trials) == (set(), set())
    assert (made._running_trials, made._pending_trials) == ({running}, {pending})


@pytest.fixture
def answers(monkeypatch):
    """A manager of processes whose first answer is passed on by Tune's own; the names of those passed on after it."""
    manager = _AllAtOnce.__new__(_AllAtOnce)
    manager._actor_task_events = RayEventManager()
    manager.passed_on = []
    monkeypatch.setattr(RayActorManager, "next", lambda self, timeout=None: timeout != "nothing came")
    monkeypatch.setattr(ray, "get", lambda future: future)
    for name in ("first", "second", "third"):
        manager._actor_task_events.track_future(name, on_result=manager.passed_on.append)
    return manager


def test_every_answer_that_is_there_is_passed_on_in_one_step(answers, monkeypatch):
    monkeypatch.setattr(ray, "wait", lambda waiting, **named: (sorted(waiting)[:2], []))
    assert answers.next(0.1)
    assert answers.passed_on == ["first", "second"]
    assert answers._actor_task_events.get_futures() == {"third"}


def test_an_answer_of_a_run_that_another_answer_has_ended_is_passed_over(answers, monkeypatch):
    events = answers._actor_task_events
    monkeypatch.setattr(ray, "wait", lambda waiting, **named: (sorted(waiting), []))
    events.track_future("first", on_result=lambda name: events.discard_future("second"))
    assert answers.next(0.1)
    assert answers.passed_on == ["third"]


def test_where_nothing_has_come_nothing_is_looked_for(answers, monkeypatch):
    monkeypatch.setattr(ray, "wait", lambda *a, **k: pytest.fail("looked for answers"))
    assert not answers.next("nothing came")


def test_optunas_log_is_whole_without_being_forced_to_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda descriptor: pytest.fail("synced"))
    study = optuna.create_study(storage=storages.opened(tmp_path / "optuna.log"), study_name="night")
    trial = study.ask()
    trial.suggest_float("lr", 0.0, 1.0)
    trial.report(0.5, 1)
    study.tell(trial, 0.25)
    assert not list(tmp_path.glob("*.lock"))
    (read,) = optuna.load_study(storage=storages.opened(tmp_path / "optuna.log"), study_name="night").trials
    assert (read.value, read.params, read.intermediate_values) == (0.25, trial.params, {1: 0.5})


def test_the_checkpoints_that_stay_are_those_of_the_best_of_all_trials(tmp_path):
    folder = StudyFolder(tmp_path / "night")
    folder.path.mkdir()
    recorder = Recorder(Journal(folder.journal), StudyState())
    recorder.record(StudyStarted({}))
    recording = TuneRecorder(recorder, folder, "val_mse", 3, BudgetStopper(lambda: None))
    generator = random.Random(0)
    for number in range(40):
        job = Job(f"t{number:04d}", {}, 0, 4)
        recorder.record(RunStarted(job.id, "trial", number, {}, 0, 4, 10, None))
        epochs, value = generator.choice((2, 4)), round(generator.random(), 1)  # with ties
        for epoch in range(1, epochs + 1):
            recorder.record(EpochEnded(job.id, epoch, {"val_mse": value}))
        files.write_text(folder.checkpoints / job.id / "checkpoint.pt", "")
        report = Report(epochs, {"val_mse": value}, done=True)
        trial = SimpleNamespace(config=job_config(job), trial_id=job.id)
        trial.last_result = tune_result(StepResult({job.id: report}), ["val_mse"])
        recording.on_trial_complete(0, [], trial)
        best = [run.id for run in best_trials(recorder.state, "val_mse")[:3]]
        assert sorted(path.parent.name for path in folder.checkpoints.glob("*/checkpoint.pt")) == sorted(best)


@pytest.mark.parametrize(("took", "waits"), [(0.0, 2.0), (0.1, 2.0), (0.5, 5.0), (60.0, 120.0)])
def test_mlflow_is_told_more_seldom_where_it_takes_long(tmp_path, monkeypatch, took, waits):
    waited = []
    tracker = MLflowTracker("sqlite:///unused", lambda event: None, tmp_path)
    tracker._outbox.take(StudyStarted({"name": "night", "space": "digits_ae"}))
    tracker._outbox.take(RunEnded("t0000", "completed", None, {}))

    def gather(seconds):
        waited.append(seconds)
        return len(waited) == 2

    def flush():
        if len(waited) == 2:
            tracker._outbox.pending.clear()
        return took

    monkeypatch.setattr(tracker, "_connect", lambda: None)
    monkeypatch.setattr(tracker, "_gather", gather)
    monkeypatch.setattr(tracker, "_flush", flush)
    tracker._follow()
    assert waited == [2.0, waits]
