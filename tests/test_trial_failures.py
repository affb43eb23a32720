"""What goes wrong in one trial stays in that trial, and is told as it was."""

import os
import resource
from collections import Counter

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from study_processes import (
    SMALL,
    TIMEOUT,
    environment,
    kill_with_children,
    mlflow_runs,
    run,
    start,
    state_of,
    table,
    wait_for,
)

# By the number of the trial, which is known by its seed: NaN weights in epoch 2, an exception while it is built, memory
# that runs out once (below a limit that the system enforces), and memory that runs out each time.
BROKEN = """
import os, resource, sys
if any("default_worker" in word for word in sys.orig_argv):
    import torch
    from study.training.trainer import Trainer
    from study.search.sampling import derive_seed
    number = {derive_seed(0, n): n for n in range(8)}
    begin, whole = Trainer.__init__, Trainer.epoch
    tries = []

    def __init__(self, *arguments, seed, **named):
        self.trial = number.get(seed)
        if self.trial == 2:
            raise RuntimeError("no kernel image is available")
        begin(self, *arguments, seed=seed, **named)

    def epoch(self):
        if self.trial == 1 and self.epochs_done == 1:
            for weight in self.model.parameters():
                weight.data.fill_(float("nan"))
        if self.trial == 4 or (self.trial == 3 and self.epochs_done == 1 and not tries):
            tries.append(self.trial)
            used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
            before = resource.getrlimit(resource.RLIMIT_AS)
            resource.setrlimit(resource.RLIMIT_AS, (used + 2**26, before[1]))
            try:
                torch.empty(2**30)
            finally:
                resource.setrlimit(resource.RLIMIT_AS, before)
        return whole(self)

    Trainer.__init__, Trainer.epoch = __init__, epoch
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_AS"), reason="this system has no limit of address space")
def test_a_trial_that_fails_fails_alone_and_with_its_reason(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(BROKEN)
    env = environment() | {"PYTHONPATH": str(tmp_path)}
    done = run(
        tmp_path, *SMALL, "--trials", "6", "--scheduler", "none", "--confirm", "0", "--retries", "1",
        "--max-concurrent", "1", env=env,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    trials = {int(row["number"]): row for row in table(tmp_path / "results/night/trials.csv")}
    statuses = {number: row["status"] for number, row in trials.items()}
    assert statuses == {0: "completed", 1: "failed", 2: "failed", 3: "completed", 4: "failed", 5: "completed"}
    assert trials[1]["reason"].startswith("NonFiniteLossError: ")
    assert trials[1]["epochs"] == "1"
    assert trials[2]["reason"] == "RuntimeError: no kernel image is available"
    assert trials[4]["reason"].startswith("out of memory: ")
    assert trials[3]["epochs"] == "3"  # set up again, as --retries says
    for number in (1, 2, 4):
        assert "Traceback" in (tmp_path / f"results/night/errors/t{number:04d}.txt").read_text()
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "results/night/optuna.log")))
    states = [trial.state.name for trial in optuna.load_study(study_name="night", storage=storage).trials]
    assert Counter(states) == {"COMPLETE": 3, "PRUNED": 2, "FAIL": 1}  # memory was missing of one
    runs, _, _ = mlflow_runs(tmp_path)
    ended = {found.data.tags["trial_id"]: found.info.status for found in runs if "trial_id" in found.data.tags}
    assert {name for name, status in ended.items() if status == "FAILED"} == {"t0001", "t0002", "t0004"}
    assert ended.keys() == state_of(tmp_path).runs.keys()


PIDS = """
import os, sys
if any("default_worker" in word for word in sys.orig_argv):
    from study.training.trainer import Trainer
    whole = Trainer.epoch
    def epoch(self):
        with open(os.environ["STUDY_TEST_WORKER"], "w") as file:
            file.write(str(os.getpid()))
        return whole(self)
    Trainer.epoch = epoch
"""


def test_failed_trials_of_a_search_that_a_limit_has_ended_are_tried_again_to_their_ends(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(BROKEN)
    env = environment() | {"PYTHONPATH": str(tmp_path)}
    argv = ["--trials", "3", "--scheduler", "none", "--confirm", "0", "--max-concurrent", "1"]
    assert run(tmp_path, *SMALL, *argv, env=env).returncode == 0
    (tmp_path / "sitecustomize.py").unlink()
    # A limit that is reached at once, as one that had ended the search is.
    done = run(tmp_path, "--resume", "night", "--retry-failed", "--device-hours", "1e-6", "--trials", "4")
    assert done.returncode == 0, done.stdout + done.stderr
    state = state_of(tmp_path)
    assert [(run.status, len(run.epochs), run.reason) for run in state.trials] == [("completed", 3, None)] * 3
    assert state.search_ended == "device hours"


@pytest.mark.slow
def test_a_worker_that_dies_more_often_than_the_retries_fails_its_trial_and_no_other(tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(PIDS)
    pid = tmp_path / "worker"
    monkeypatch.setenv("STUDY_TEST_WORKER", str(pid))
    process = start(
        tmp_path, "--space", "digits_ae", "--name", "night", "--trials", "2", "--epochs", "40", "--confirm", "0",
        "--scheduler", "none", "--max-concurrent", "1", "--retries", "0",
        env=environment() | {"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    wait_for(lambda: state_of(tmp_path).trials and len(state_of(tmp_path).trials[0].epochs) >= 2, process)
    os.kill(int(wait_for(pid.read_text, process)), 9)  # empty for a moment, whenever an epoch begins
    assert process.wait(TIMEOUT) == 0, (tmp_path / "output.txt").read_text()
    first, second = state_of(tmp_path).trials
    assert (first.status, second.status) == ("failed", "completed")
    assert "worker" in first.reason
    assert "died" in first.reason


@pytest.mark.slow
def test_a_damaged_checkpoint_is_said_and_costs_the_epochs_of_its_trial_alone(tmp_path):
    argv = ["--trials", "1", "--epochs", "40", "--confirm", "0", "--scheduler", "none"]
    process = start(tmp_path, *SMALL[:2], "--name", "night", *argv)
    wait_for(lambda: state_of(tmp_path).trials and len(state_of(tmp_path).trials[0].epochs) >= 5, process)
    kill_with_children(process)
    before = [epoch["val_mse"] for epoch in state_of(tmp_path).trials[0].epochs]
    file = tmp_path / "results/night/checkpoints/t0000/checkpoint.pt"
    with file.open("r+b") as checkpoint:
        checkpoint.truncate(file.stat().st_size // 2)
    done = run(tmp_path, "--resume", "night")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "t0000     its checkpoint cannot be read and is made anew, from the first epoch" in done.stdout
    trial = state_of(tmp_path).trials[0]
    assert [epoch["epoch"] for epoch in trial.epochs] == list(range(1, 41))
    assert [epoch["val_mse"] for epoch in trial.epochs[: len(before)]] == before
