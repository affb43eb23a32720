"""`study ablate` of a whole study: trained in workers, killed and gone on with, and in the report."""

import csv
import signal
import subprocess
import sys

import pytest
from study_processes import COMMAND, environment, kill_with_children, run, wait_for

from study.record.events import RunEnded
from study.record.journal import read, read_state

ABLATE = [sys.executable, COMMAND[1].replace("run.py", "ablate.py"), "smoke", "--max-concurrent", "2"]
OPTIONS = ["--path", "ranked", "--most-runs", "36"]


def ended(journal):
    return sum(isinstance(event, RunEnded) for event in read(journal)) if journal.exists() else 0


@pytest.mark.slow
def test_a_killed_ablation_of_a_smoke_study_goes_on_and_is_in_the_report(tmp_path):
    words = ["--space", "digits_ae", "--smoke", "--trials", "6", "--confirm", "1x3", "--name", "smoke", "--seed", "1"]
    done = run(tmp_path, *words, bare=True)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "results" / "smoke"
    journal = folder / "ablation" / "journal.jsonl"
    with (tmp_path / "ablate.txt").open("w") as log:
        process = subprocess.Popen(
            [*ABLATE, *OPTIONS], cwd=tmp_path, env=environment(), stdout=log, stderr=subprocess.STDOUT
        )
    wait_for(lambda: ended(journal) >= 5, process)
    kill_with_children(process)
    before = read(journal)
    assert not (folder / "ablation.csv").exists()
    process = subprocess.Popen(
        [*ABLATE, *OPTIONS],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_for(lambda: ended(journal) >= 9, process)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; the same command goes on" in said
    done = subprocess.run(
        [*ABLATE, *OPTIONS], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert read(journal)[: len(before)] == before
    state = read_state(journal)
    assert len({run.id for run in state.confirmations}) == len(state.confirmations) <= 36
    assert all(run.status == "completed" for run in state.confirmations)
    assert not any(name.startswith("test_") for run in state.confirmations for name in run.known)
    with (folder / "ablation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 2
    assert rows[-1]["parameter"] == "all"
    assert [row["before"] for row in rows[1:-1]] == [row["after"] for row in rows[:-2]]
    assert (rows[0]["before"], rows[-2]["after"]) == (rows[-1]["before"], rows[-1]["after"])
    said = done.stdout[
        done.stdout.index("step  parameter") : done.stdout.index("\ntable ")
    ]  # paths are as long as they are
    assert max(map(len, said.splitlines())) <= 80
    again = subprocess.run(
        [*ABLATE, *OPTIONS], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert said in again.stdout
    report = [sys.executable, COMMAND[1].replace("study/run.py", "analysis/report.py"), "smoke"]
    done = subprocess.run(report, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 'id="ablation"' in (folder / "report" / "index.html").read_text()
