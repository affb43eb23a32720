"""The simulator against Ray Tune itself: one study recorded without a scheduler, and run again under two."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from study.record.journal import read_state
from study.search.schedulers import default_settings
from study.simulation.recorded import read_recorded
from study.simulation.replay import Replay

COMMAND = [sys.executable, str(Path(__file__).resolve().parents[1] / "study" / "run.py")]
# Configs of a random sampler do not follow from results, and one trial at a time leaves no order to chance.
SMALL = ["--space", "digits_ae", "--trials", "12", "--epochs", "9", "--train-size", "300", "--max-params", "100000"]
SMALL += ["--sampler", "random", "--max-concurrent", "1", "--confirm", "0", "--tracking-uri", "sqlite:///mlflow.db"]
SCHEDULERS = ("none", "asha", "hyperband", "median")


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    """The storage folder of a study of each scheduler, of the same seed."""
    folder = tmp_path_factory.mktemp("real")
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    for scheduler in SCHEDULERS:
        command = [*COMMAND, *SMALL, "--scheduler", scheduler, "--name", scheduler]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return folder / "results"


def real_ends(storage, scheduler):
    """Return, in the order of their ends, each trial's id, status and epochs."""
    runs = read_state(storage / scheduler / "journal.jsonl").trials
    return [(run.id, run.status, len(run.epochs)) for run in runs]  # one at a time: they end as they start


def simulated_ends(storage, scheduler):
    study = read_recorded(storage, "none")
    ends = Replay(study).run(scheduler, default_settings(scheduler, study.max_epochs), 1, range(len(study.trials)))
    return [(end.id, end.status, end.epochs) for end in ends]


def epochs_until_the_best(study, ends):
    """Return the best value of a trial that completed, and after how many epochs of the study: the less the better."""
    values = {trial.run.id: trial.value for trial in study.trials}
    best, spent, found = float("inf"), 0, 0
    for run_id, status, epochs in ends:
        spent += epochs
        if status == "completed" and values[run_id] < best:
            best, found = values[run_id], spent
    return best, found


@pytest.mark.slow  # four whole studies
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_one_worker_stops_the_same_trials_at_the_same_epochs_as_tune(storage, scheduler):
    assert simulated_ends(storage, scheduler) == real_ends(storage, scheduler)
    if scheduler == "asha":
        assert any(status == "stopped" for _, status, _ in real_ends(storage, scheduler))


@pytest.mark.slow  # four whole studies
def test_schedulers_rank_as_in_real_runs(storage):
    study = read_recorded(storage, "none")

    def ranking(ends_of):
        return sorted(SCHEDULERS, key=lambda scheduler: epochs_until_the_best(study, ends_of(storage, scheduler)))

    assert ranking(simulated_ends) == ranking(real_ends)
