"""A study that the version before the record's events were dataclasses began, and that a kill -9 interrupted."""

import shutil
from pathlib import Path

from study_processes import run, table, without_timings

FOLDER = Path(__file__).with_name("earlier_version")
"""journal.jsonl and checkpoints/ of `run.py --space digits_ae --trials 8 --epochs 4 --train-size 200 --confirm 2x2
--max-concurrent 1 --max-params 30000 --seed 3 --name night` of commit cb24965, killed in the sixth trial, without what
MLflow was told; uninterrupted/ has the tables of the same study that nobody killed."""


def test_it_goes_on_and_ends_with_the_tables_of_an_uninterrupted_one(tmp_path):
    study = tmp_path / "results" / "night"
    shutil.copytree(FOLDER, study, ignore=shutil.ignore_patterns("uninterrupted"))
    done = run(tmp_path, "--resume", "night", "--tracking-uri", f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert done.returncode == 0, done.stderr
    for expected in sorted((FOLDER / "uninterrupted").glob("*.csv")):
        assert without_timings(table(study / expected.name)) == without_timings(table(expected)), expected.name
