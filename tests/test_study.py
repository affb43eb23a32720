"""Whole studies, run as a user runs them: in a process of their own, in an empty folder, on the digits."""

import shlex
import shutil
import signal
import subprocess
import time
from collections import Counter

import mlflow
import numpy as np
import optuna
import psutil
import pytest
import torch
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from study_processes import (
    COMMAND,
    SMALL,
    TIMEOUT,
    all_ended,
    environment,
    epochs_of,
    kill_with_children,
    mlflow_runs,
    run,
    start,
    state_of,
    summary_of,
    table,
    wait_for,
    without_timings,
)

import models
from analysis.study_files import read_study
from study.data import image_data
from study.record import journal
from study.record.events import Placed


def telling(folder):
    """A command of `--notify` that writes down what it is told in the file `told` of a folder."""
    script = folder / "tell.sh"
    script.write_text(f'echo "$@" >> {shlex.quote(str(folder / "told"))}\n')
    return f"sh {shlex.quote(str(script))} {{name}} {{status}}"


def told(folder):
    file = folder / "told"
    return file.read_text().splitlines() if file.exists() else []


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished study of six trials, the best two of them confirmed on two seeds."""
    folder = tmp_path_factory.mktemp("finished")
    done = run(folder, *SMALL, "--trials", "6", "--confirm", "2x2", "--notify", telling(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done


def test_every_file_of_the_contract_is_there(finished):
    folder, _ = finished
    study = folder / "results" / "night"
    expected = {
        "journal.jsonl", "study.json", "trials.csv", "history.csv", "confirm.csv", "baseline.csv", "optuna.log",
        "summary.json", "best/model.pt", "best/config.json", "samples/reconstructions.npz", "samples/codes.npz",
    }  # fmt: skip
    assert {str(path.relative_to(study)) for path in study.rglob("*") if path.is_file()} >= expected


def test_the_same_processes_train_the_trials_and_the_seeds_of_the_confirmation(finished):
    folder, _ = finished
    events = journal.read(folder / "results/night/journal.jsonl")
    placed = {(event.id.partition("-s")[2] != "", event.pid) for event in events if isinstance(event, Placed)}
    assert {pid for confirmation, pid in placed if confirmation} <= {pid for seed, pid in placed if not seed}


def test_the_tables_say_what_the_journal_says(finished):
    folder, _ = finished
    study, state = folder / "results" / "night", state_of(folder)
    trials, history = table(study / "trials.csv"), table(study / "history.csv")
    assert [row["trial_id"] for row in trials] == [f"t{number:04d}" for number in range(6)]
    assert [(row["trial_id"], int(row["epoch"])) for row in history] == [
        (run.id, epoch) for run in state.trials for epoch in range(1, len(run.epochs) + 1)
    ]
    summary = summary_of(folder)
    counts = Counter(row["status"] for row in trials)
    assert summary["trials"] == {status: counts[status] for status in ("completed", "stopped", "failed")}
    assert summary["epochs_run"] == len(history)
    assert float(trials[0]["val_mse"]) == state.trials[0].last["val_mse"]  # in full precision
    roles = Counter((row["confirm_of"], row["role"]) for row in table(study / "confirm.csv"))
    best = summary["best"]["trial_id"]
    chosen = {name for name, role in roles if role == "choose"}
    assert len(chosen) == 2
    assert roles == {(name, "choose"): 2 for name in chosen} | {(name, "report"): 2 for name in (best, "t0000")}
    ranks = {int(row["n_components"]) for row in table(study / "baseline.csv")}
    assert {2, 4, 8, 16, 32} | {int(row["config.latent_size"]) for row in trials} == ranks


def test_mlflow_has_one_run_for_each_with_the_right_statuses(finished):
    folder, _ = finished
    runs, _, experiment = mlflow_runs(folder)
    trials = {run.data.tags["trial_id"]: run for run in runs if "trial_id" in run.data.tags}
    assert {name: run.data.tags["status"] for name, run in trials.items()} == {
        run.id: run.status for run in state_of(folder).trials
    }
    confirmations = [run.data.tags for run in runs if "confirm_of" in run.data.tags]
    assert Counter((tags["confirm_of"], tags["role"]) for tags in confirmations) == Counter(
        (run.confirm_of, run.role) for run in state_of(folder).confirmations
    )
    assert len(runs) == 6 + len(confirmations) + 1
    assert all_ended(runs)
    assert experiment.artifact_location == (folder / "results" / "mlflow-artifacts" / "digits_ae").as_uri()


def test_both_copies_of_the_best_network_reproduce_its_test_error(finished):
    folder, _ = finished
    expected = summary_of(folder)["best"]["model"]["test"]
    images = image_data.load("digits", image_data.default_data_dir()).test.images
    pixels = torch.from_numpy(images).float() / 255
    _, _, experiment = mlflow_runs(folder)
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    logged = mlflow.search_logged_models([experiment.experiment_id], output_format="list")
    assert len(logged) == 1
    for model in (models.load(folder / "results/night/best"), mlflow.pytorch.load_model(logged[0].model_uri)):
        with torch.no_grad():
            error = ((model(pixels).clamp(0, 1) - pixels) ** 2).double().mean().item()
        assert error == pytest.approx(expected, abs=1e-6)


def test_mlflow_shows_the_pictures_and_the_tables(finished):
    folder, _ = finished
    runs, client, _ = mlflow_runs(folder)
    parent = next(run for run in runs if run.data.tags["run"] == "study")
    assert {"trials.csv", "summary.json", "pictures", "samples"} <= {
        file.path for file in client.list_artifacts(parent.info.run_id)
    }
    kept = summary_of(folder)["best"]
    chosen = (kept["trial_id"], str(kept["model"]["seed"]))
    (best,) = (run for run in runs if (run.data.tags.get("confirm_of"), run.data.tags.get("seed")) == chosen)
    others = [run for run in runs if run not in (best, parent)]
    assert not any(client.list_artifacts(run.info.run_id, "pictures") for run in others)  # of another network
    assert {file.path for file in client.list_artifacts(best.info.run_id, "pictures")} == {
        "pictures/by_class.png",
        "pictures/reconstructions.png",
        "pictures/untrained.png",
    }


def test_optuna_opens_its_storage(finished):
    folder, _ = finished
    storage = JournalStorage(JournalFileBackend(str(folder / "results/night/optuna.log")))
    study = optuna.load_study(study_name="night", storage=storage)
    states = Counter(trial.state.name for trial in study.trials)
    ended = Counter(run.status for run in state_of(folder).trials)
    by_machine = sum(run.by_machine for run in state_of(folder).trials)
    # One that has failed by its own config is the worst of all to a sampler.
    expected = (ended["completed"], ended["stopped"] + ended["failed"] - by_machine)
    assert (states["COMPLETE"], states["PRUNED"]) == expected


def test_samples_are_ordered_by_error_and_belong_to_the_test_split(finished):
    folder, _ = finished
    images = image_data.load("digits", image_data.default_data_dir()).test.images
    with np.load(folder / "results/night/samples/reconstructions.npz", allow_pickle=False) as samples:
        assert samples["groups"].tolist() == ["best"] * 8 + ["typical"] * 8 + ["worst"] * 8
        assert (np.diff(samples["mse"]) >= 0).all()
        assert (samples["originals"] == images[samples["indices"]]).all()
        assert samples["reconstructions"].shape == samples["untrained"].shape == samples["originals"].shape


def test_the_end_says_what_a_user_wants_to_know(finished):
    _, done = finished
    out = done.stdout
    for text in (
        "MSE per pixel",
        "validation",
        "PCA, ",
        "95 % interval",
        "best      t0",
        "test PSNR (dB)",
        "of PCA's error: ",
        "mlflow ui",
        "night",
    ):
        assert text in out
    assert "Traceback" not in done.stderr


def test_resuming_a_finished_study_says_so(finished):
    folder, _ = finished
    before = (folder / "results/night/journal.jsonl").read_bytes()
    done = run(folder, "--resume", "night")
    assert done.returncode == 0
    assert "is finished" in done.stdout
    assert (folder / "results/night/journal.jsonl").read_bytes() == before


def test_a_command_is_told_once_that_the_study_is_finished(finished):
    folder, _ = finished
    assert wait_for(lambda: told(folder), seconds=10) == ["night finished"]
    run(folder, "--resume", "night")
    time.sleep(0.5)
    assert told(folder) == ["night finished"]


@pytest.mark.slow
def test_a_finished_study_can_be_extended(finished, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(finished[0], folder)
    before = table(folder / "results/night/trials.csv")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    done = run(folder, "--resume", "night", "--trials", "8", "--tracking-uri", uri)
    assert done.returncode == 0, done.stdout + done.stderr
    after = table(folder / "results/night/trials.csv")
    assert [row["trial_id"] for row in after] == [f"t{number:04d}" for number in range(8)]
    assert [row["val_mse"] for row in after[:6]] == [row["val_mse"] for row in before]
    assert sum(summary_of(folder)["trials"].values()) == 8
    ids = [run.data.tags["run"] for run in mlflow_runs(folder)[0]]
    assert len(ids) == len(set(ids))


def test_a_finished_study_is_given_more_seeds_and_says_that_its_verdict_was_seen(finished, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(finished[0], folder)
    before, trials = table(folder / "results/night/confirm.csv"), summary_of(folder)["trials"]
    again = ["--resume", "night", "--tracking-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    done = run(folder, *again, "--report-seeds", "3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "was not begun here: its --notify runs no command" in done.stderr
    after, summary = table(folder / "results/night/confirm.csv"), summary_of(folder)
    known = {row["confirm_id"] for row in before}
    assert [row for row in after if row["confirm_id"] in known] == before
    added = [row for row in after if row["confirm_id"] not in known]
    assert {(row["role"], row["confirm_id"].rpartition("-s")[2]) for row in added} == {("report", "5")}
    assert (summary["seen_with"], summary["best"]["test"]["n"], summary["trials"]) == ([2], 3, trials)
    said = "seeds were added after the verdict by 2: one of the intervals misses in up to 10 %"
    assert said in " ".join(done.stdout.split())
    again = run(folder, *again)
    assert "a larger --report-seeds than 3 extends it" in again.stdout
    # The command that a folder from elsewhere names is run neither by the first resume nor by the next.
    assert '"notified"' not in (folder / "results/night/journal.jsonl").read_text().rpartition('"session"')[2]


def test_the_name_of_a_study_is_taken_once(finished):
    folder, _ = finished
    done = run(folder, *SMALL)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--name 'night' exists" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_more_gpus_than_there_are_is_bad_input(tmp_path):
    done = run(tmp_path, *SMALL, "--gpus-per-trial", "2", bare=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "study: --gpus-per-trial 2 is more than there is: no GPU was found\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_study_that_is_asked_to_leave_does_so_in_ten_seconds_and_says_how_to_go_on(number, tmp_path):
    argv = ["--space", "digits_ae", "--name", "night", "--trials", "9", "--epochs", "200"]
    process = start(tmp_path, *argv, "--notify", telling(tmp_path))
    wait_for(lambda: epochs_of(state_of(tmp_path)) >= 2, process)
    process.send_signal(number)
    asked = time.monotonic()
    assert process.wait(30) == 130
    assert time.monotonic() - asked < 10
    output = (tmp_path / "output.txt").read_text()
    last = output.splitlines()[-1]
    assert last.startswith("study: interrupted; go on with: ")
    python, *words = shlex.split(last.removeprefix("study: interrupted; go on with: "))
    assert wait_for(lambda: told(tmp_path), seconds=10) == ["night interrupted"]
    assert words == [COMMAND[1], "--resume", "night"]
    assert shutil.which(python) == shutil.which(COMMAND[0])
    assert "***" not in output
    runs, _, _ = mlflow_runs(tmp_path)
    assert {run.info.status for run in runs} <= {"KILLED", "FINISHED"}


@pytest.mark.slow
def test_a_second_signal_ends_a_study_at_once_and_it_goes_on_all_the_same(tmp_path):
    argv = [*SMALL, "--trials", "3", "--confirm", "0", "--scheduler", "none"]
    process = start(tmp_path, *argv)
    wait_for(lambda: epochs_of(state_of(tmp_path)) >= 2, process)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    assert process.wait(5) == 130
    psutil.wait_procs(children, timeout=5)
    done = run(tmp_path, "--resume", "night")
    assert done.returncode == 0, done.stdout + done.stderr
    assert summary_of(tmp_path)["trials"] == {"completed": 3, "stopped": 0, "failed": 0}


def test_an_interrupted_study_goes_on_as_if_it_had_not_been(tmp_path):
    argv = [*SMALL, "--trials", "5", "--max-concurrent", "1", "--confirm", "1x2"]
    through, broken = tmp_path / "through", tmp_path / "broken"
    through.mkdir()
    broken.mkdir()
    done = run(through, *argv)
    assert done.returncode == 0, done.stdout + done.stderr
    # First Ctrl-C in the search, then a kill that nothing can catch.
    process = start(broken, *argv)
    wait_for(lambda: epochs_of(state_of(broken)) >= 4, process)
    process.send_signal(signal.SIGINT)
    asked = time.monotonic()
    assert process.wait(15) == 130
    assert time.monotonic() - asked < 10
    assert "--resume night" in (broken / "output.txt").read_text()
    runs, _, _ = mlflow_runs(broken)
    assert "RUNNING" not in {run.info.status for run in runs}
    process = start(broken, "--resume", "night")
    wait_for(lambda: epochs_of(state_of(broken)) >= 8, process)
    kill_with_children(process)
    done = run(broken, "--resume", "night")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("trials.csv", "history.csv", "confirm.csv", "baseline.csv"):
        paths = (through / "results/night" / name, broken / "results/night" / name)
        first, second = (without_timings(table(path)) for path in paths)
        assert first == second, name
    runs, _, _ = mlflow_runs(broken)
    assert Counter(run.data.tags["run"] for run in runs).most_common(1)[0][1] == 1
    assert all_ended(runs)


@pytest.mark.slow
def test_a_study_of_several_objectives_has_a_pareto_front(tmp_path):
    argv = ["--objective", "val_mse,params", "--sampler", "nsga2", "--trials", "4", "--confirm", "0"]
    done = run(tmp_path, *SMALL, *argv)
    assert done.returncode == 0, done.stdout + done.stderr
    front = summary_of(tmp_path)["pareto_front"]
    values = [(point["val_mse"], point["params"]) for point in front]
    assert values == sorted(values)
    assert [params for _, params in values] == sorted((params for _, params in values), reverse=True)
    assert "Pareto" in done.stdout


def test_a_study_in_which_every_trial_failed_says_the_first_cause_and_exits_1(tmp_path):
    # A broken installation: no trial can build its network.
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "if any('default_worker' in word for word in sys.orig_argv):\n"
        "    import models\n"
        "    def build(*arguments): raise RuntimeError('no kernel image is available')\n"
        "    models.build = build\n"
    )
    env = environment() | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [*COMMAND, *SMALL, "--trials", "2"], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=TIMEOUT,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr.strip() == "study: every trial failed; the first one: RuntimeError: no kernel image is available"
    trials = table(tmp_path / "results/night/trials.csv")
    assert {row["status"] for row in trials} == {"failed"}
    why = "every trial failed; the first one: RuntimeError: no kernel image is available"
    failed = f"This study failed: {why}. What follows is what it left."
    assert read_study("night", tmp_path / "results").partial == failed
    (parent,) = (one for one in mlflow_runs(tmp_path)[0] if "mlflow.parentRunId" not in one.data.tags)
    assert (parent.info.status, parent.data.tags["reason"]) == ("FAILED", why)
    assert "no kernel image" in (tmp_path / "results/night/errors/t0000.txt").read_text()


@pytest.mark.slow
def test_the_shortest_time_budget_is_time_for_a_trial(tmp_path):
    done = run(tmp_path, *SMALL, "--trials", "9", "--time-budget", "1s", "--max-concurrent", "1", "--confirm", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [(trial.status, len(trial.epochs)) for trial in state_of(tmp_path).trials] == [("stopped", 1)]


@pytest.mark.slow
def test_the_time_budget_lets_running_trials_finish_their_epoch(tmp_path):
    done = run(
        tmp_path, "--space", "digits_ae", "--name", "night", "--trials", "500", "--time-budget", "4s", "--confirm", "0"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    state = state_of(tmp_path)
    assert state.search_ended == "time budget"
    assert 1 <= len(state.trials) < 500
    assert {trial.status for trial in state.trials} <= {"completed", "stopped"}
    assert all(trial.epochs for trial in state.trials)
