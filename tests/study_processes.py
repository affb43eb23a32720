"""Studies in processes of their own, as a user runs them: how tests start, watch, kill and compare them."""

import csv
import functools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import mlflow
import psutil
from shell_blocks import environment

from study.record.journal import read_state
from study.record.state import StudyState
from study.tracking import mlflow_client

COMMAND = [sys.executable, str(Path(__file__).resolve().parents[1] / "study" / "run.py")]
SMALL = ["--space", "digits_ae", "--epochs", "3", "--train-size", "200", "--name", "night"]
TIMEOUT = 600  # seconds; a study here takes about 40, on a busy machine many times that


@functools.cache
def _empty_database():
    """Return the content of MLflow's sqlite file before its first study: making it takes seconds, once is enough."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mlflow.db"
        mlflow_client.create_database(f"sqlite:///{file}")
        return file.read_bytes()


def prepare(folder, bare=False):
    """Put MLflow's empty file where a study in `folder` looks for it, unless the folder is to stay as it is."""
    file = folder / "mlflow.db"
    if not bare and not file.exists():
        file.write_bytes(_empty_database())


def run(folder, *argv, env=None, bare=False, timeout=TIMEOUT, **named):
    """Run the command in `folder` and return the finished process; `named` goes to subprocess."""
    prepare(folder, bare)
    return subprocess.run(
        [*COMMAND, *argv],
        cwd=folder,
        env=env or environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        **named,
    )


def start(folder, *argv, env=None, bare=False, **named):
    """Start the command in `folder`, its output in a file, and return the process; `named` goes to subprocess."""
    prepare(folder, bare)
    with (folder / "output.txt").open("w") as log:
        return subprocess.Popen(
            [*COMMAND, *argv], cwd=folder, env=env or environment(), stdout=log, stderr=subprocess.STDOUT, **named
        )


def wait_for(condition, process=None, seconds=TIMEOUT):
    """Wait until `condition` returns something true, and return that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        assert process is None or process.poll() is None, "the study ended before the condition was met"
        time.sleep(0.05)
    raise AssertionError("the condition was not met in time")


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def state_of(folder):
    journal = folder / "results" / "night" / "journal.jsonl"
    return read_state(journal) if journal.exists() else StudyState()


def epochs_of(state):
    return sum(len(trial.epochs) for trial in state.trials)


def mlflow_runs(folder):
    client = mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("digits_ae")
    return client.search_runs([experiment.experiment_id]), client, experiment


def all_ended(runs):
    """Return whether each of MLflow's runs has its end: FAILED where the study says so, else FINISHED."""
    expected = {True: "FAILED", False: "FINISHED"}
    return all(run.info.status == expected[run.data.tags.get("status") == "failed"] for run in runs)


def summary_of(folder, name="night"):
    return json.loads((folder / "results" / name / "summary.json").read_text())


TIMINGS = ("seconds", "images_per_second", "_seconds", "ended_s")


def without_timings(rows):
    return [{key: value for key, value in row.items() if not key.endswith(TIMINGS)} for row in rows]


def kill_with_children(process):
    """Kill a driver, and the Ray processes that it started and that would outlive it."""
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    for child in children:
        if child.is_running():
            child.kill()
    psutil.wait_procs(children, timeout=10)
