"""What the machine does to a study is no outcome of its trials: the study stops, and a resume tries them again."""

import errno
from itertools import islice
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
from ray.tune.error import TuneError
from study_processes import SMALL, environment, run, state_of, table, without_timings

from study.record import journal
from study.record.errors import StudyError, chain
from study.record.events import EpochEnded, RunEnded, RunStarted, SearchEnded, StudyStarted, TriedAgain
from study.record.folder import StudyFolder
from study.record.journal import Journal, Recorder
from study.record.state import StudyState
from study.search import engine
from study.search.engine import BudgetStopper
from study.search.recording import TuneRecorder
from study.worker.job import Job, Report, StepResult, job_config, tune_result


@pytest.fixture
def recording(tmp_path):
    folder = StudyFolder(tmp_path / "night")
    folder.path.mkdir()
    recorder = Recorder(Journal(folder.journal), StudyState())
    recorder.record(StudyStarted({}))
    made = TuneRecorder(recorder, folder, "val_mse", 1, BudgetStopper(lambda: None))
    made.state = recorder.state
    return made


def begin(recording, number):
    recording._recorder.record(RunStarted(f"t{number:04d}", "trial", number, {}, 0, 1, 10, None))


def end(recording, number, **report):
    """Let a run begin, and end with this report or without one."""
    begin(recording, number)
    finish(recording, number, **report)


def finish(recording, number, *, worker_dies=False, **report):
    """Let a run end, as Tune says it."""
    job = Job(f"t{number:04d}", {}, 0, 1)
    trial = SimpleNamespace(config=job_config(job), trial_id="x", last_result=None, error_file=recording._folder.errors)
    if worker_dies:
        trial.error_file = recording._folder.path / "error.txt"
        trial.error_file.write_text("Failure # 1\nThe actor died.\n")
        recording.on_trial_error(0, [], trial)
    else:
        trial.last_result = tune_result(StepResult({job.id: Report(done=True, **report)}), ["val_mse"])
        recording.on_trial_complete(0, [], trial)


@pytest.mark.parametrize("raised", [OSError(errno.ENOSPC, "No space left on device"), ValueError("a fault of ours")])
def test_what_fails_as_the_end_of_a_run_is_recorded_ends_the_study_and_not_the_run(recording, raised):
    def table(event):
        if isinstance(event, RunEnded):
            raise raised

    recording._recorder.listen(table)
    end(recording, 0, epoch=1)
    assert recording.state.runs["t0000"].status == "completed"
    told = rf"{recording._folder.path} cannot be written \(No space.*; make space, then go on with|a fault of ours"
    with pytest.raises((StudyError, ValueError), match=told):
        recording.on_step_begin(1, [])


def test_an_error_of_tune_s_own_comes_out_as_it_is(monkeypatch):
    monkeypatch.setattr(engine, "ray", MagicMock())
    monkeypatch.setattr(engine, "tune", MagicMock())
    monkeypatch.setattr(engine, "controlled", MagicMock())
    for raised, comes_out in ((KeyError("x"), "TuneError"), (StudyError("no space"), "StudyError")):
        error = TuneError("its text")
        error.__context__ = raised
        engine.tune.Tuner.return_value.fit.side_effect = error
        with pytest.raises((TuneError, StudyError)) as told:
            engine.run(MagicMock(), MagicMock(), [], **dict.fromkeys(WORDS, MagicMock()))
        assert type(told.value).__name__ == comes_out
        assert len(list(islice(chain(told.value), 9))) < 9  # none that leads back to itself


WORDS = ("context", "resources", "stopper", "inherits")
NO_MEMORY = {"epoch": 0, "failed": "out of memory: 2 GiB", "by_machine": True}


def test_three_runs_in_a_row_that_the_machine_fails_stop_the_study(recording):
    end(recording, 0, **NO_MEMORY)
    end(recording, 1, worker_dies=True)
    end(recording, 2, epoch=0, failed="NonFiniteLossError: nan")  # its own doing, which says nothing of the machine
    recording.on_step_begin(0, [])
    end(recording, 3, **NO_MEMORY)
    with pytest.raises(StudyError, match=r"3 runs in a row .* the last one: out of memory: 2 GiB; .*--resume night"):
        recording.on_step_begin(1, [])
    assert [run.by_machine for run in recording.state.trials] == [True, True, False, True]


def test_a_run_that_ends_well_between_them_lets_the_study_go_on(recording):
    for number in range(6):
        end(recording, number, **(NO_MEMORY if number % 2 else {"epoch": 1, "metrics": {"val_mse": 0.5}}))
        recording.on_step_begin(number, [])
    assert recording.state.count("trial")["failed"] == 3


def test_an_end_that_cannot_be_recorded_is_told_where_tune_passes_it_on(recording, monkeypatch):
    def full(event):
        raise StudyError("the journal cannot be written: No space left on device")

    begin(recording, 0)
    monkeypatch.setattr(recording._recorder, "record", full)
    finish(recording, 0, epoch=1, metrics={"val_mse": 0.5})
    with pytest.raises(StudyError, match="No space left"):
        recording.on_step_begin(1, [])


def test_a_run_that_is_tried_again_runs_in_a_study_that_goes_on():
    ended = RunEnded("t0000", "failed", "out of memory", {}, by_machine=True)
    begun = [StudyStarted({}), RunStarted("t0000", "trial", 0, {}, 0, 3, 10, None), EpochEnded("t0000", 1, {})]
    state = StudyState.fold([*begun, ended, SearchEnded("trials"), TriedAgain("t0000")])
    run = state.runs["t0000"]
    assert (run.status, run.reason, run.by_machine, run.tried_again) == ("running", None, False, True)
    assert state.search_ended is None


# Memory below a limit, as a container has one: each trial wants more than there is.
NO_ROOM = """
import sys
if any("default_worker" in word for word in sys.orig_argv):
    from study.training.trainer import Trainer
    def epoch(self):
        raise MemoryError
    Trainer.epoch = epoch
"""


@pytest.mark.slow
def test_a_study_without_memory_stops_and_comes_with_memory_to_what_it_would_have_been(tmp_path):
    for name in ("with", "without"):
        (tmp_path / name).mkdir()
    argv = [*SMALL, "--seed", "5", "--trials", "4", "--confirm", "0", "--max-concurrent", "1", "--retries", "0"]
    assert run(tmp_path / "with", *argv).returncode == 0
    (tmp_path / "sitecustomize.py").write_text(NO_ROOM)
    stopped = run(tmp_path / "without", *argv, env=environment() | {"PYTHONPATH": str(tmp_path)})
    assert stopped.returncode == 1, stopped.stdout + stopped.stderr
    assert "study: 3 runs in a row failed by the machine's doing, the last one: out of memory" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert len(state_of(tmp_path / "without").trials) == 3
    done = run(tmp_path / "without", "--resume", "night")
    assert done.returncode == 0, done.stdout + done.stderr
    one, other = (table(tmp_path / name / "results/night/trials.csv") for name in ("with", "without"))
    assert without_timings(one) == without_timings(other)
    again = [event for event in journal.read(tmp_path / "without/results/night/journal.jsonl") if event.name == "again"]
    assert [event.id for event in again] == ["t0000", "t0001", "t0002"]
