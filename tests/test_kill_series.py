"""Drivers and workers killed at random moments: the study that comes out is the one that nobody killed."""

import os
import random
import time
from collections import Counter

import psutil
import pytest
from study_processes import (
    TIMEOUT,
    all_ended,
    environment,
    mlflow_runs,
    run,
    start,
    state_of,
    summary_of,
    table,
    wait_for,
    without_timings,
)

from study.record import journal

STUDY = [
    "--space", "digits_ae", "--name", "night", "--train-size", "200", "--seed", "5",
    "--trials", "8", "--epochs", "4", "--confirm", "2x2", "--max-concurrent", "1",
]  # fmt: skip
# What a study consists of; the other events say who was told of it, and when.
TRUTH = ("run", "refused", "epoch", "end", "search_end", "baseline", "finish", "published")


def truths(folder):
    path = folder / "results" / "night" / "journal.jsonl"
    return [event for event in journal.read(path) if event.name in TRUTH] if path.exists() else []


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    done = run(folder, *STUDY)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def phase(events):
    kinds = {event.name for event in events}
    if "baseline" in kinds or "finish" in kinds:
        return "end"
    return "confirmation" if "search_end" in kinds else "search"


@pytest.mark.slow
def test_a_driver_killed_at_random_moments_leaves_the_study_that_was_not_killed(uninterrupted, tmp_path):
    kills = 20
    draw = random.Random(kills)
    whole = len(truths(uninterrupted))
    # One kill in each stretch of the study, so that they go through all of its phases.
    moments = [draw.randint(1 + whole * kill // kills, whole * (kill + 1) // kills - 1) for kill in range(kills)]
    left_over, seen = [], Counter()
    for moment in moments:
        begun = (tmp_path / "results" / "night" / "journal.jsonl").exists()
        process = start(tmp_path, *(["--resume", "night"] if begun else STUDY), bare=True)
        wait_for(lambda n=moment: len(truths(tmp_path)) >= n, process)
        time.sleep(draw.uniform(0, 0.5))
        left_over += psutil.Process(process.pid).children(recursive=True)
        assert process.poll() is None, "the study ended before it could be killed"
        process.kill()
        process.wait()
        seen[phase(truths(tmp_path))] += 1
    done = run(tmp_path, "--resume", "night")
    assert done.returncode == 0, done.stdout + done.stderr
    print(f"{kills} kills of the driver: {dict(seen)}")
    assert set(seen) == {"search", "confirmation", "end"}
    for name in ("trials.csv", "history.csv", "confirm.csv", "baseline.csv"):
        first, second = (without_timings(table(at / "results/night" / name)) for at in (uninterrupted, tmp_path))
        assert first == second, name
    assert_mlflow_has_each_run_and_each_epoch_once(tmp_path)
    for child in left_over:  # Ray's agents outlive their driver by a minute or two
        if child.is_running():
            child.kill()


def assert_mlflow_has_each_run_and_each_epoch_once(folder):
    state = state_of(folder)
    runs, client, _ = mlflow_runs(folder)
    assert Counter(found.data.tags["run"] for found in runs) == Counter(["study", *state.runs])
    assert all_ended(runs)
    for found in runs:
        if found.data.tags["run"] in state.runs:
            history = client.get_metric_history(found.info.run_id, "val_mse")
            expected = [(epoch["epoch"], epoch["val_mse"]) for epoch in state.runs[found.data.tags["run"]].epochs]
            assert sorted((point.step, point.value) for point in history) == expected


# Writes down each epoch that a worker begins: its process, and how many epochs the run has behind it.
COUNTING = """
import os, sys
if any("default_worker" in word for word in sys.orig_argv):
    from study.training.trainer import Trainer
    whole = Trainer.epoch
    def epoch(self):
        with open(os.environ["STUDY_TEST_EPOCHS"], "a") as file:
            file.write(f"{os.getpid()} {self.epochs_done}\\n")
        return whole(self)
    Trainer.epoch = epoch
"""


@pytest.mark.parametrize("kills", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_a_trial_whose_worker_is_killed_in_mid_epoch_goes_on_from_its_last_epoch(kills, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(COUNTING)
    log = tmp_path / "epochs.log"
    monkeypatch.setenv("STUDY_TEST_EPOCHS", str(log))
    epochs = 10 * kills + 10
    argv = ["--space", "digits_ae", "--name", "night", "--trials", "1", "--epochs", str(epochs), "--confirm", "0"]
    process = start(tmp_path, *argv, "--retries", str(kills), env=environment() | {"PYTHONPATH": str(tmp_path)})
    draw = random.Random(kills)

    def begun():
        return [tuple(map(int, line.split())) for line in log.read_text().splitlines()] if log.exists() else []

    for kill in range(1, kills + 1):
        worker, epoch = wait_for(lambda n=10 * kill: [line for line in begun() if line[1] >= n], process)[-1]
        time.sleep(draw.uniform(0, 0.05))
        os.kill(worker, 9)
        # The next worker begins with an epoch that the one before had not finished, or had just not reported.
        after = wait_for(lambda dead=worker: [line for line in begun() if line[0] != dead and line[1] >= 0], process)
        wait_for(lambda dead=worker: begun()[-1][0] != dead, process)
        last = max(at for pid, at in begun() if pid == worker)
        first = next(at for pid, at in begun() if pid == begun()[-1][0])
        assert first in (last, last + 1), (after, epoch)
    assert process.wait(TIMEOUT) == 0, (tmp_path / "output.txt").read_text()
    trial = state_of(tmp_path).trials[0]
    assert (trial.status, [epoch["epoch"] for epoch in trial.epochs]) == ("completed", list(range(1, epochs + 1)))
    assert len({pid for pid, _ in begun()}) == kills + 1
    assert summary_of(tmp_path)["best"]["test"] is None  # nothing was confirmed
    assert (tmp_path / "results/night/best/model.pt").exists()
    print(f"{kills} kills of a worker: {len(begun())} epochs begun for {epochs}")
    assert len(begun()) <= epochs + kills
