"""A study that the version before the record's events were dataclasses began, and that a kill -9 interrupted."""

import json
import shutil
from pathlib import Path

import pytest
from study_processes import run, table, without_timings

FOLDER = Path(__file__).with_name("earlier_version")
"""journal.jsonl and checkpoints/ of `run.py --space digits_ae --trials 8 --epochs 4 --train-size 200 --confirm 2x2
--max-concurrent 1 --max-params 30000 --seed 3 --name night` of commit cb24965, killed in the sixth trial, without what
MLflow was told; uninterrupted/ has the tables of the same study that nobody killed.

What had ended is as it was. What came after is not what that version would have done: errors are of clipped
reconstructions, the noise of an evaluation, the order of the images and what L2 acts on are others."""


def common(rows, columns, key, wanted):
    """Return these columns of the rows whose `key` is wanted."""
    return [{name: row[name] for name in columns} for row in without_timings(rows) if row[key] in wanted]


@pytest.fixture
def study(tmp_path):
    folder = tmp_path / "results" / "night"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("uninterrupted"))
    return folder


def resume(folder):
    return run(folder, "--resume", "night", "--tracking-uri", f"sqlite:///{folder / 'mlflow.db'}")


def test_it_is_refused_where_the_space_has_changed_since(tmp_path, study):
    done = resume(tmp_path)
    assert done.returncode == 2
    assert "--resume night: the search space has changed: " in done.stderr.splitlines()[-1]


def test_it_goes_on_from_what_it_had_and_ends(tmp_path, study):
    """Of a version that wrote down no space; what had ended stays, to the last digit."""
    lines = (study / "journal.jsonl").read_text().splitlines(keepends=True)
    first = json.loads(lines[0])
    del first["searched"]
    (study / "journal.jsonl").write_text(json.dumps(first) + "\n" + "".join(lines[1:]))
    done = resume(tmp_path)
    assert done.returncode == 0, done.stderr
    expected, trials = (without_timings(table(folder / "trials.csv")) for folder in (FOLDER / "uninterrupted", study))
    assert len(trials) == len(expected) == 8
    names = expected[0].keys()
    assert [{name: trial[name] for name in names} for trial in trials[:5]] == expected[:5]
    assert {row["role"] for row in table(study / "confirm.csv")} == {"choose", "report"}
