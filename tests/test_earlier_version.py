"""A study that the version before the record's events were dataclasses began, and that a kill -9 interrupted."""

import shutil
from pathlib import Path

from study_processes import run, summary_of, table, without_timings

from study.record.journal import read_state

FOLDER = Path(__file__).with_name("earlier_version")
"""journal.jsonl and checkpoints/ of `run.py --space digits_ae --trials 8 --epochs 4 --train-size 200 --confirm 2x2
--max-concurrent 1 --max-params 30000 --seed 3 --name night` of commit cb24965, killed in the sixth trial, without what
MLflow was told; uninterrupted/ has the tables of the same study that nobody killed.

What had ended is as it was. What came after is not what that version would have done: errors are of clipped
reconstructions, the noise of an evaluation, the order of the images and what L2 acts on are others."""


def common(rows, columns, key, wanted):
    """Return these columns of the rows whose `key` is wanted."""
    return [{name: row[name] for name in columns} for row in without_timings(rows) if row[key] in wanted]


def test_it_goes_on_and_keeps_what_had_ended_before_the_interruption(tmp_path):
    study = tmp_path / "results" / "night"
    shutil.copytree(FOLDER, study, ignore=shutil.ignore_patterns("uninterrupted"))
    ended = {trial.id for trial in read_state(study / "journal.jsonl").trials if trial.status != "running"}
    assert len(ended) == 5
    done = run(tmp_path, "--resume", "night", "--tracking-uri", f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert done.returncode == 0, done.stderr

    for name in ("trials.csv", "history.csv"):
        expected, got = table(FOLDER / "uninterrupted" / name), table(study / name)
        columns = without_timings(expected)[0].keys() & without_timings(got)[0].keys()
        assert expected[0].keys() <= got[0].keys() | {"config.decay"}
        assert common(got, columns, "trial_id", ended) == common(expected, columns, "trial_id", ended)
    expected, got = table(FOLDER / "uninterrupted" / "baseline.csv"), table(study / "baseline.csv")
    sizes = {row["n_components"] for row in expected} & {row["n_components"] for row in got}
    assert {"2", "4", "8", "16", "32"} <= sizes
    columns = without_timings(expected)[0].keys()
    assert common(got, columns, "n_components", sizes) == common(expected, columns, "n_components", sizes)
    assert all(float(row["test_mse_clipped"]) <= float(row["test_mse"]) for row in got)

    trials = table(study / "trials.csv")
    assert len(trials) == 8
    assert {row["config.decay"] for row in trials if row["trial_id"] in ended} == {""}  # which means all parameters
    assert len(table(study / "confirm.csv")) == 4
    assert summary_of(tmp_path)["ratio_to_pca"] > 0
