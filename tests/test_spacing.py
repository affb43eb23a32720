"""Checkpoints that take long are written rarely, and a run that goes on from an old one comes to the same numbers."""

import pytest
from test_fused import config_of
from test_fused_study import worker  # noqa: F401
from test_training import deterministic

from study.training import checkpoint
from study.worker.job import Job
from study.worker.run import Spacing


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize(("takes", "waits"), [(0.1, 0), (0.3, 2.7), (4.0, 36.0)])
def test_writing_takes_a_tenth_of_the_time_at_most(takes, waits):
    clock = Clock()
    spacing = Spacing(clock)
    assert spacing.due
    with spacing.writing():
        clock.now += takes
    clock.now += waits - 0.01
    assert spacing.due == (waits == 0)
    clock.now += 0.02
    assert spacing.due


def test_a_disk_that_is_busy_for_once_does_not_keep_checkpoints_apart():
    clock = Clock()
    spacing = Spacing(clock)
    for takes in (0.1, 60.0):
        with spacing.writing():
            clock.now += takes
    assert spacing.due


@pytest.fixture
def slow_disk(monkeypatch):
    """Let a checkpoint take 4 s, by a clock of the test's own; return of which epochs one was written, by run."""
    clock, written = Clock(), {}
    save = checkpoint.save

    def slowly(folder, run_id, state):
        clock.now += 4.0
        written.setdefault(run_id, []).append(state["epochs_done"])
        save(folder, run_id, state)

    def seconds():
        clock.now += 0.5  # it is asked at most twice an epoch where nothing is written
        return clock.now

    monkeypatch.setattr(checkpoint, "save", slowly)
    monkeypatch.setattr(Spacing.__init__, "__defaults__", (seconds,))
    return written


@pytest.mark.parametrize("seeds", [(1,), (1, 2)], ids=["alone", "together"])
def test_a_run_goes_on_from_a_checkpoint_of_some_epochs_ago(worker, slow_disk, seeds):  # noqa: F811
    epochs = 8
    jobs = [Job(f"a-s{seed}", config_of("ae dense"), seed, epochs) for seed in seeds]
    first = worker("ae dense")
    first.begin(jobs)
    reports = {job.id: [] for job in jobs}
    for _ in range(epochs - 2):
        for name, report in first.step().reports.items():
            reports[name].append(report)
    assert slow_disk == {job.id: [1] for job in jobs}
    later = worker("ae dense")
    later.begin(jobs)
    again = {job.id: [] for job in jobs}
    done = False
    while not done:
        step = later.step()
        done = step.done
        for name, report in step.reports.items():
            again[name].append(report)
    for job in jobs:
        known = {report.epoch: deterministic(report.metrics) for report in reports[job.id]}
        new = {report.epoch: deterministic(report.metrics) for report in again[job.id]}
        assert sorted(known | new) == list(range(1, epochs + 1))
        for epoch in known.keys() & new.keys():
            assert new[epoch] == pytest.approx(known[epoch], rel=1e-5)
        assert slow_disk[job.id][-1] == epochs, "the last checkpoint of a trial is that of its last epoch"
