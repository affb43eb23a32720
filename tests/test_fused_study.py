"""`--fuse`: whole studies, the worker that declines, and what is written down of runs that are trained together."""

import errno
import socket
from types import SimpleNamespace

import pytest
import torch
from study_processes import SMALL, TIMINGS, kill_with_children, run, start, state_of, summary_of, table, wait_for
from test_fused import config_of, splits

from study.data.image_data import Trained
from study.record.events import Noted, RunStarted, StudyStarted
from study.record.folder import StudyFolder
from study.record.journal import Journal, Recorder
from study.record.state import StudyState
from study.search.engine import BudgetStopper
from study.search.recording import TuneRecorder
from study.training.execution import PLAIN
from study.worker import run as worker_run
from study.worker import worker as worker_module
from study.worker.job import Job, Report, StepResult, job_config, tune_result
from study.worker.run import WorkerContext
from study.worker.shared_data import SharedData
from study.worker.worker import Worker


def confirmed(folder):
    return {row["confirm_id"]: row for row in table(folder / "results/night/confirm.csv")}


def assert_same_numbers(one, other, rel):
    assert one.keys() == other.keys()
    for name, row in one.items():
        for column, value in row.items():
            if not column.endswith(TIMINGS):
                expected = other[name][column]
                assert value == expected or float(value) == pytest.approx(float(expected), rel=rel), (name, column)


def test_replicates_that_are_trained_together_have_the_numbers_of_those_that_are_not(tmp_path):
    found = {}
    for fuse in ("off", "on"):
        folder = tmp_path / fuse
        folder.mkdir()
        done = run(folder, *SMALL, "--trials", "1", "--confirm", "1x3", "--fuse", fuse)
        assert done.returncode == 0, done.stdout + done.stderr
        assert ("t0000-s1  is trained together with t0000-s2, t0000-s3" in done.stdout) == (fuse == "on")
        found[fuse] = confirmed(folder)
    assert_same_numbers(found["on"], found["off"], rel=1e-4)


@pytest.mark.slow
def test_a_study_that_is_killed_while_replicates_are_trained_together_goes_on(tmp_path):
    epochs = 60
    argv = ["--space", "digits_ae", "--name", "night", "--train-size", "200", "--epochs", str(epochs)]
    process = start(tmp_path, *argv, "--trials", "1", "--confirm", "1x3", "--fuse", "on")
    wait_for(lambda: any(len(one.epochs) >= 5 for one in state_of(tmp_path).confirmations), process)
    kill_with_children(process)
    before = {one.id: [epoch["val_mse"] for epoch in one.epochs] for one in state_of(tmp_path).confirmations}
    assert all(len(values) < epochs for values in before.values())
    done = run(tmp_path, "--resume", "night")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(summary_of(tmp_path)["confirmed"]) == 1
    for one in state_of(tmp_path).confirmations:
        assert one.status == "completed"
        assert [epoch["epoch"] for epoch in one.epochs] == list(range(1, epochs + 1))
        assert [epoch["val_mse"] for epoch in one.epochs][: len(before[one.id])] == before[one.id]
        assert "test_mse" in one.final


@pytest.fixture
def worker(tmp_path, monkeypatch):
    data = splits()
    monkeypatch.setattr(worker_run, "on_device", lambda shared, split, device: data[split])
    monkeypatch.setattr(worker_module.gc, "freeze", lambda: None)  # for a process that is a worker and nothing else
    shared = SharedData("digest", (1, 8, 8), Trained(class_names=("a", "b", "c")), {})
    context = WorkerContext(
        data=shared, checkpoints=tmp_path, errors=tmp_path, objectives=("val_mse",), threads=1, retries=0,
        execution=PLAIN, gpu=False, measures_fusing=False,
    )  # fmt: skip

    def with_group(case, **changes):
        worker = Worker(context)
        worker.begin([Job(f"a-s{seed}", config_of(case, **changes), seed, 2) for seed in (1, 2)])
        return worker

    return with_group


def test_what_cannot_be_trained_together_is_declined_with_the_reason(worker):
    result = worker("ae dense", contraction=0.1).step()
    assert result.done
    assert not result.too_large
    assert result.declined.startswith("RuntimeError: You are attempting to call Tensor.requires_grad_()")


def test_what_does_not_fit_is_declined_as_too_large(worker, monkeypatch):
    def step(group):
        raise MemoryError

    monkeypatch.setattr(worker_module.WorkerGroup, "step", step)
    result = worker("ae dense").step()
    assert (result.declined, result.too_large, result.done) == ("out of memory", True, True)


def test_a_machine_s_own_full_disk_fails_its_run_alone(worker, monkeypatch):
    def step(run):
        raise OSError(errno.ENOSPC, "No space left on device", "/tmp/torchinductor/abc.so")

    for kind in (worker_module.WorkerGroup, worker_module.WorkerRun):
        monkeypatch.setattr(kind, "step", step)
    trained = worker("ae dense")
    assert trained.step().declined  # each is tried by itself
    trained.begin([Job("b", config_of("ae dense"), 1, 1)])
    step = trained.step()
    assert step.storage_problem is None
    told = f"/tmp/torchinductor/abc.so on {socket.gethostname()}: No space left on device"
    assert (step.reports["b"].failed, step.reports["b"].by_machine) == (told, True)


def test_a_worker_flushes_denormal_numbers(worker):
    torch.set_flush_denormal(False)
    worker("ae dense")
    assert torch.tensor(1e-30) * 1e-10 == 0


def test_a_worker_trains_a_group_and_then_a_single_job(worker):
    trained = worker("ae dense")
    assert [trained.step().done for _ in range(2)] == [False, True]
    trained.begin([Job("b", config_of("ae dense"), 1, 1)])
    step = trained.step()
    assert step.done
    result = tune_result(step, trained.objectives)
    assert result["val_mse"] == step.reports["b"].metrics["val_mse"]
    assert (result["epoch"], result["done"]) == (1, True)


@pytest.fixture
def recording(tmp_path):
    """A recorder of two confirmations that have begun, Tune's trial of both, and the lines of the journal."""
    recorder, lines = Recorder(Journal(tmp_path / "journal.jsonl"), StudyState()), []
    recorder.listen(lines.append)
    recorder.record(StudyStarted(settings={}))
    jobs = [Job(f"a-s{seed}", {}, seed, 2, test=True) for seed in (1, 2)]
    for job in jobs:
        numbers = {"number": job.seed, "seed": job.seed, "budget": 2, "params": 1}
        recorder.record(RunStarted(id=job.id, kind="confirm", confirm_of="a", config={}, key=None, **numbers))
    trial = SimpleNamespace(config=job_config(*jobs), last_result={})
    tuned = TuneRecorder(recorder, StudyFolder(tmp_path), "val_mse", 1, BudgetStopper(lambda: None))

    def report(step):
        trial.last_result = {"hostname": "here", "pid": 7, **tune_result(step, ("val_mse",))}
        tuned.on_trial_result(0, [trial], trial, trial.last_result)
        if step.done:
            tuned.on_trial_complete(0, [trial], trial)

    return recorder.state.runs, lines, report


def test_runs_that_are_trained_together_are_written_down_as_if_they_were_not(recording):
    runs, lines, report = recording
    first = {"a-s1": Report(1, {"seconds": 1.0}, note="is trained together with a-s2")}
    failed = {"a-s2": Report(1, done=True, failed="NonFiniteLossError: nan")}
    report(StepResult(first | failed))
    last = {"a-s1": Report(2, {"seconds": 1.0}, done=True, final={"test_mse": 0.5})}
    report(StepResult(last | failed))
    assert (runs["a-s1"].status, len(runs["a-s1"].epochs), runs["a-s1"].final) == ("completed", 2, {"test_mse": 0.5})
    assert (runs["a-s2"].status, runs["a-s2"].reason) == ("failed", "NonFiniteLossError: nan")
    kinds = [(line.name, line.id) for line in lines if line.name in ("placed", "epoch", "note", "end")]
    assert sorted(kinds) == sorted([
        ("note", "a-s1"), ("placed", "a-s1"), ("epoch", "a-s1"), ("placed", "a-s2"), ("epoch", "a-s1"),
        ("end", "a-s1"), ("end", "a-s2"),
    ])  # fmt: skip


def test_runs_that_were_declined_have_not_ended_and_the_reason_is_written_down(recording):
    runs, lines, report = recording
    report(StepResult(declined="NotFasterError: 6 ms and 6 ms"))
    assert {run.status for run in runs.values()} == {"running"}
    assert isinstance(lines[-1], Noted)
    assert lines[-1].text == "and a-s2 are trained each by itself: NotFasterError: 6 ms and 6 ms"
