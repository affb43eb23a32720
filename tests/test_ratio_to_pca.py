"""Studies that are ranked by the error over PCA's at the same size of code."""

from dataclasses import replace

import pytest
from recorded_studies import made_up_trial, write_study
from study_processes import SMALL, run, state_of, summary_of, table
from test_searcher import SPACE, Driver
from test_worker_group import CPU, context, jobs

from analysis import report
from analysis.study_files import read_study
from analysis.trials import compute_leaderboard
from study.baselines.baseline import baseline_of
from study.data import image_data
from study.record import metrics
from study.record.errors import UsageError
from study.search.engine import Phases
from study.search.job_list import JobList
from study.settings import command_line, resolve
from study.worker.job import Job, job_of
from study.worker.run import WorkerRun

__all__ = ["context"]  # a fixture of test_worker_group
RATIO = "val_ratio_to_pca"


def settings(*argv):
    return resolve.settings_of(command_line.parse(["--name", "night", *argv]).given)


def test_it_ranks_the_studies_that_ask_for_it_and_no_others():
    asked = settings("--space", "digits_ae", "--objective", RATIO)
    assert resolve.space_of(asked).metric == RATIO
    assert resolve.space_of(asked).family_facts.compared == "test_mse"
    assert resolve.space_of(settings("--space", "digits_vae", "--objective", f"params,{RATIO}")).metric == RATIO
    assert resolve.space_of(settings("--space", "digits_ae")).metric == "val_mse"
    assert (metrics.mode(RATIO), metrics.on_test(RATIO)) == ("min", "test_ratio_to_pca")


def test_a_family_that_is_not_compared_with_pca_is_refused_in_one_line():
    words = (
        f"--objective {RATIO} is for families that are compared with PCA; digits_classifier is of the family classifier"
    )
    with pytest.raises(UsageError, match=words):
        settings("--space", "digits_classifier", "--objective", RATIO)


def test_a_worker_puts_the_errors_over_those_of_pca_in_every_epoch_and_at_the_end(context):
    (job, *_) = jobs(test=True)
    run = WorkerRun(replace(job, pca={"val": 0.5, "test": 0.25}), context, CPU)
    reports = [run.step(), run.step()]
    for one in reports:
        assert one.metrics[RATIO] == one.metrics["val_mse"] / 0.5
    assert reports[1].final["test_ratio_to_pca"] == reports[1].final["test_mse"] / 0.25
    again = WorkerRun(replace(job, pca={"val": 0.5, "test": 0.25}), context, CPU).step()  # from its checkpoint
    assert again.metrics == reports[1].metrics
    assert [epoch[RATIO] for epoch in again.earlier] == [reports[0].metrics[RATIO]]
    other = WorkerRun(replace(job, id="without"), context, CPU).step()
    assert RATIO not in other.metrics


def test_pcas_errors_are_those_of_the_baselines_rows(tmp_path):
    digits = image_data.load("digits", tmp_path)
    baseline = baseline_of("ae")(digits.splits, lambda function, *arguments: function(*arguments), lambda _: None)
    (row,) = (row for row in baseline.rows({}, []) if row["n_components"] == 8)
    assert baseline.error("val", 8) == pytest.approx(row["val_mse_clipped"], rel=1e-12)
    assert baseline.error("test", 8) == pytest.approx(row["test_mse_clipped"], rel=1e-12)
    assert baseline.error("val", 64) is None  # the digits have no 64 axes


def test_every_phases_jobs_are_completed_before_they_train():
    phases = Phases(
        iter([JobList([(Job(name, {}, 0, 1),)], lambda job: None, "val_mse") for name in "ab"]),
        "val_mse",
        lambda job: Job(job.id, job.config, job.seed, job.epochs, pca={"val": 0.5}),
    )
    for name in "ab":
        assert job_of(phases.suggest(name)).pca == {"val": 0.5}
        phases.on_trial_complete(name, {})
    assert phases.suggest("c") == "FINISHED"


def test_a_code_that_pca_has_no_error_for_is_refused(tmp_path):
    def refuses(config):
        return "too wide" if config["latent_size"] > 4 else None

    driver = Driver(tmp_path / "s", refuses=refuses, trials=3)
    for _ in range(3):
        driver.run()
    assert {run.config["latent_size"] <= 4 for run in driver.state.trials} == {True}
    assert {event.reason for event in driver.state.refused} == {"too wide"}


def test_the_leaderboard_has_pca_at_one(tmp_path):
    trials = [
        made_up_trial(number, config={**SPACE.default, "latent_size": size}, epochs=[{"val_mse": 1.0, RATIO: ratio}])
        for number, (size, ratio) in enumerate([(8, 0.9), (4, 0.7), (3, 0.8)])
    ]
    rows = [{"n_components": size, "val_mse": 1.0, "test_mse": 1.0} for size in (4, 8)]
    write_study(tmp_path, "night", trials, baseline=rows, objective={"metric": RATIO, "mode": "min"})
    board = compute_leaderboard(read_study("night", tmp_path))
    assert board["trial_id"].tolist() == ["t0001", "t0002", "t0000"]
    assert board["pca"].fillna(0).tolist() == [1.0, 0.0, 1.0]


@pytest.mark.slow
def test_a_whole_study_is_ranked_by_it_and_its_numbers_are_those_of_the_baseline(tmp_path):
    words = ["--trials", "3", "--objective", RATIO, "--confirm", "2x2", "--constraint", f"{RATIO}<=1e6"]
    done = run(tmp_path, *SMALL, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    state, summary = state_of(tmp_path), summary_of(tmp_path)
    pca = {int(row["n_components"]): row for row in table(tmp_path / "results/night/baseline.csv")}
    for one in state.runs.values():
        row = pca[one.config["latent_size"]]
        for epoch in one.epochs:
            assert epoch[RATIO] == pytest.approx(epoch["val_mse"] / float(row["val_mse_clipped"]), rel=1e-9)
        if "test_mse" in one.final:
            ratio = one.final["test_mse"] / float(row["test_mse_clipped"])
            assert one.final["test_ratio_to_pca"] == pytest.approx(ratio, rel=1e-9)
    assert (summary["metric"], summary["chosen_by"]) == (RATIO, RATIO)
    assert summary["best"]["test"]["mean"] == pytest.approx(summary["ratio_to_pca"], rel=1e-9)
    assert report.main(["night", "--storage", str(tmp_path / "results")]) == 0
    assert report.main(["night", "--storage", str(tmp_path / "results"), "--paper"]) == 0
