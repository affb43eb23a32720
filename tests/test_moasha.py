"""Several objectives: what comes first, what is stopped, and a whole study of error against the size of the code."""

import math

import numpy as np
import pytest
from ray.tune.schedulers import TrialScheduler
from study_processes import SMALL, run, state_of, summary_of, table
from test_schedulers import Controller, TuneTrial

from analysis.page.background import methods
from analysis.page.parts import Paragraph
from analysis.study_files import read_study
from study.record.errors import UsageError
from study.record.events import EpochEnded, RunEnded, RunStarted
from study.record.state import StudyState
from study.search.fronts import by_fronts
from study.search.moasha import rungs_of
from study.search.schedulers import build_scheduler
from study.settings import command_line, resolve
from study.worker.job import EPOCH


def test_the_best_in_no_objective_but_dominated_by_none_is_on_the_first_front():
    costs = np.array([[1.0, 9.0], [5.0, 5.0], [9.0, 1.0], [6.0, 6.0], [9.0, 9.0]])
    assert by_fronts(costs) == [0, 2, 1, 3, 4]  # the ends of the front before its middle


def test_equal_points_keep_their_order_and_what_is_not_a_number_comes_last():
    assert by_fronts(np.array([[1.0, 1.0], [1.0, 1.0], [0.0, 2.0]])) == [2, 0, 1]
    assert by_fronts(np.array([[math.nan, math.nan], [3.0, 3.0]])) == [1, 0]
    assert by_fronts(np.array([[4.0, 2.0]])) == [0]


def test_a_front_is_covered_whatever_the_scale_of_an_objective():
    points = np.array([[10.0**-k, 2.0**k] for k in range(9)])
    assert set(by_fronts(points)[:3]) == {8, 0, 4}
    assert by_fronts(points * [1e6, 1e-6]) == by_fronts(points)


@pytest.mark.parametrize(("grace", "last", "rungs"), [(3, 20, [3, 9]), (1, 20, [1, 3, 9]), (9, 6, [9])])
def test_rungs_are_powers_up_to_the_last(grace, last, rungs):
    assert rungs_of(grace, 3, last) == rungs


BUDGET = 9  # rungs at 1 and 3 epochs


def begin(state, number, latent_size):
    config = {"latent_size": latent_size}
    state.apply(RunStarted(f"t{number:04d}", "trial", number, config, 1000 + number, BUDGET, 1, None))


def report(scheduler, state, number, epoch, error):
    result = {EPOCH: epoch, "val_mse": error, "latent_size": state.trials[number].config["latent_size"]}
    decision = scheduler.on_trial_result(Controller(), TuneTrial(number), result)
    state.apply(EpochEnded(f"t{number:04d}", epoch, {"val_mse": error}))
    return decision == TrialScheduler.CONTINUE


def scheduler_of(state):
    return build_scheduler("asha", "val_mse", BUDGET, state, further=["latent_size"])


def test_a_smaller_code_may_have_a_larger_error_and_what_another_beats_in_both_is_stopped():
    state = StudyState()
    scheduler = scheduler_of(state)
    for number, latent_size in enumerate((16, 16, 16, 2, 8, 17)):
        begin(state, number, latent_size)
    assert report(scheduler, state, 0, 1, 0.10)
    assert not report(scheduler, state, 1, 1, 0.11)  # worse at the same size
    assert not report(scheduler, state, 2, 1, 0.12)
    assert report(scheduler, state, 3, 1, 0.30)  # on the front, two of four go on
    assert not report(scheduler, state, 4, 1, 0.31)  # worse than the one with a smaller code
    assert not report(scheduler, state, 5, 1, 0.10)  # as good as a smaller one
    assert report(scheduler, state, 0, 2, 99.0)  # between two rungs
    assert report(scheduler, state, 0, 3, 0.05)


def test_a_resumed_study_decides_as_one_that_nobody_ended():
    errors = np.random.default_rng(0).random((12, 3)).tolist()
    sizes = [2, 4, 8, 16] * 3

    def play(state, scheduler, numbers):
        told = []
        for number in numbers:
            begin(state, number, sizes[number])
            scheduler.on_trial_add(Controller(), TuneTrial(number))
            told.append([report(scheduler, state, number, epoch, errors[number][epoch - 1]) for epoch in (1, 2, 3)])
            state.apply(RunEnded(f"t{number:04d}", "stopped", None, {}))
        return told

    whole = play(one := StudyState(), scheduler_of(one), range(12))
    state = StudyState()
    parts = play(state, scheduler_of(state), range(7)) + play(state, scheduler_of(state), range(7, 12))
    assert parts == whole
    assert len({tuple(told) for told in whole}) > 1


def settings(*argv):
    return resolve.settings_of(command_line.parse(["--space", "digits_ae", *argv]).given)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        *(
            (
                ["--space", space, "--objective", alone],
                f"--objective {alone} alone is no measure of how good a network is; give both, --objective "
                f"{ranks},{alone}, or bound one with --constraint",
            )
            for space, ranks, alone in [
                ("digits_ae", "val_mse", "latent_size"),
                ("digits_ae", "val_mse", "params"),
                ("digits_ae", "val_mse", "seconds"),
                ("digits_classifier", "val_accuracy", "params"),
            ]
        ),
        (
            ["--objective", "val_mse,latent_size", "--latent-size", "9"],
            "--latent-size 9 holds what --objective val_mse,latent_size searches",
        ),
        (
            ["--objective", "val_mse,latent_size", "--scheduler", "hyperband"],
            "--scheduler hyperband takes one objective; for val_mse,latent_size choose asha or none",
        ),
    ],
)
def test_objectives_that_mean_nothing_are_refused(argv, words):
    with pytest.raises(UsageError, match=words):
        settings(*argv)


@pytest.mark.parametrize(
    ("space", "objective", "ranks"),
    [
        ("digits_classifier", "val_cross_entropy", "val_cross_entropy"),
        ("digits_vae", "val_mse", "val_mse"),
        ("digits_vae", "val_mse,val_nelbo", "val_nelbo"),
        ("digits_classifier", "params,val_calibration_error", "val_calibration_error"),
        ("digits_ae", "params,latent_size", "val_mse"),
    ],
)
def test_the_winner_is_chosen_by_what_was_searched_for(space, objective, ranks):
    assert resolve.space_of(settings("--space", space, "--objective", objective)).metric == ranks


def test_a_study_of_a_classifier_by_its_cross_entropy_is_ranked_so_and_still_put_beside_the_regression(tmp_path):
    asked = ("--space", "digits_classifier", "--objective", "val_cross_entropy", "--confirm", "1x2")
    done = run(tmp_path, *asked, "--trials", "2", "--epochs", "1", "--train-size", "200", "--name", "night")
    assert done.returncode == 0, done.stdout + done.stderr
    state, summary = state_of(tmp_path), summary_of(tmp_path)
    best = min(state.trials, key=lambda one: one.last["val_cross_entropy"])
    assert summary["best"]["trial_id"] == best.id
    assert summary["metric"] == summary["chosen_by"] == "val_cross_entropy"
    assert "test_accuracy" in summary["baseline"]
    report = methods(read_study("night", tmp_path / "results"))
    texts = [item.text for item in report.items if isinstance(item, Paragraph)]
    assert any("A logistic regression on PCA codes" in text for text in texts)


@pytest.mark.slow
def test_one_study_finds_the_error_at_several_sizes_of_code_and_stops_trials_early(tmp_path):
    argv = ["--objective", "val_mse,latent_size", "--scheduler", "asha", "--trials", "10", "--confirm", "2x2"]
    done = run(tmp_path, *SMALL, *argv, "--max-params", "100000", "--seed", "5")
    assert done.returncode == 0, done.stdout + done.stderr
    state, summary = state_of(tmp_path), summary_of(tmp_path)
    assert state.count("trial")["stopped"] > 0
    front = {point["trial_id"]: point for point in summary["pareto_front"]}
    assert all(point["latent_size"] == state.runs[name].config["latent_size"] for name, point in front.items())
    rows = table(tmp_path / "results/night/confirm.csv")
    confirmed = {row["confirm_of"] for row in rows if row["role"] == "choose"}
    assert len(confirmed) == 2
    assert confirmed <= set(front) | {"t0000"}
    # Each of them is reported on: the front is what the study is for.
    assert {row["confirm_of"] for row in rows if row["role"] == "report"} == confirmed | {"t0000"}
    assert len({row["config.latent_size"] for row in rows if row["confirm_of"] in confirmed}) == 2
