"""The end of Tune in a worker process: ready at once, so that no process is left behind by the trials of another."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from study_processes import SMALL, run

from study.record import journal
from study.record.events import Placed

ROOT = Path(__file__).resolve().parents[1]


def test_a_worker_process_is_ready_before_pytorch_is_imported():
    script = "import sys, study.search.engine; print(*sorted({'torch', 'mlflow', 'optuna'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.slow
@pytest.mark.skipif(len(psutil.Process().cpu_affinity()) < 2, reason="two trials at a time need two cores")
def test_short_trials_keep_two_processes_at_work(tmp_path):
    """Each trial takes less time than a process takes to import PyTorch."""
    argv = ["--trials", "8", "--scheduler", "none", "--max-params", "100000", "--max-concurrent", "2", "--confirm", "0"]
    argv += ["--seed", "2"]  # none of whose trials diverges
    done = run(tmp_path, *SMALL, *argv)
    assert done.returncode == 0, done.stdout + done.stderr
    placed = [event for event in journal.read(tmp_path / "results/night/journal.jsonl") if isinstance(event, Placed)]
    assert len(placed) == 8
    assert len({event.pid for event in placed}) == 2
