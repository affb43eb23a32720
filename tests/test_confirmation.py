import re
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import bootstrap, ttest_1samp

import search_spaces
from search_spaces import Context
from study.driver import confirmation
from study.driver.comparison import compare
from study.driver.confirmation import Confirmed
from study.driver.summary import _digits, _interval, _pairs, summarize, text, verdict
from study.record import words
from study.record.events import Chooses, EpochEnded, RunEnded, RunStarted, StudyStarted
from study.record.folder import StudyFolder
from study.record.intervals import Interval, mean_interval
from study.record.ranking import best_trials, pareto_front
from study.record.state import Run, StudyState
from study.settings import command_line, resolve
from study.tracking.tracker import end_metrics

SPACE = search_spaces.get("digits_ae")
CONTEXT = Context(SPACE.image_shape, 10)


def settings(*argv):
    return resolve.settings_of(command_line.parse(["--space", "digits_ae", "--name", "night", *argv]).given)


def add_run(state, run_id, values, *, status="completed", kind="trial", key=None, budget=3, final=None, **more):
    number, params = len(state.runs), more.pop("params", 100)
    about = {"config": SPACE.default, "seed": number, "budget": budget, "params": params, "key": key, **more}
    state.apply(RunStarted(id=run_id, kind=kind, number=number, **about, time=0.0))
    for epoch, value in enumerate(values, start=1):
        metrics = {"val_mse": value, "val_accuracy": value, "seconds": 1.0}
        state.apply(EpochEnded(run_id, epoch, metrics, time=0.0))
    if status != "running":
        state.apply(RunEnded(run_id, status, "nan" if status == "failed" else None, final or {}, time=0.0))


@pytest.fixture
def state():
    state = StudyState()
    state.apply(StudyStarted({}, time=0.0))
    add_run(state, "t0000", [0.5, 0.4, 0.3], key="default")
    add_run(state, "t0001", [0.1], status="stopped")  # low, but of one epoch
    add_run(state, "t0002", [0.4, 0.3, 0.2])
    add_run(state, "t0003", [0.2], status="failed")
    add_run(state, "t0004", [0.01], status="running")
    add_run(state, "t0005", [0.3, 0.3], status="stopped")
    return state


def test_completed_trials_rank_before_stopped_ones_and_failed_ones_not_at_all(state):
    assert [run.id for run in best_trials(state, "val_mse")] == ["t0002", "t0000", "t0005", "t0001"]
    assert [run.id for run in best_trials(state, "val_accuracy")][:2] == ["t0000", "t0002"]


def planned(state, *argv):
    """Return the candidates, and what is left of the runs that choose and, of the first candidate, that report."""
    given = settings(*argv)
    chosen = confirmation.candidates(state, given, SPACE, CONTEXT)
    beside = confirmation.beside(state, given, SPACE, CONTEXT)
    reported = list({one.id: one for one in (*chosen[:1], *beside)}.values())
    return (
        chosen,
        confirmation.choosing(state, given, chosen),
        confirmation.reporting(state, given, chosen, reported),
    )


def names(runs):
    return [one.job.id for one in runs]


def test_the_best_k_are_trained_on_r_seeds_that_all_share_without_the_test_split(state):
    chosen, choosing, _ = planned(state, "--confirm", "2x3")
    assert [candidate.id for candidate in chosen] == ["t0002", "t0000"]
    assert names(choosing) == [f"{run}-s{seed}" for seed in (1, 2, 3) for run in ("t0002", "t0000")]
    seeds = {run: [one.job.seed for one in choosing if one.candidate.id == run] for run in ("t0002", "t0000")}
    assert seeds["t0002"] == seeds["t0000"]
    assert len(set(seeds["t0002"])) == 3
    assert {(one.role, one.job.test) for one in choosing} == {("choose", False)}


def test_the_winner_and_the_default_are_reported_on_seeds_that_chose_nothing(state):
    _, choosing, reporting = planned(state, "--confirm", "2x3")
    assert names(reporting) == [f"{run}-s{seed}" for seed in (4, 5, 6) for run in ("t0002", "t0000")]
    assert {(one.role, one.job.test) for one in reporting} == {("report", True)}
    assert {one.job.seed for one in choosing}.isdisjoint(one.job.seed for one in reporting)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ((), {"2x2": (6, 4), "1x2": (0, 4)}),
        (("--report-seeds", "4"), {"2x2": (6, 8), "1x2": (0, 8)}),
        (("--report-seeds", "1"), {"2x2": (6, 2), "1x2": (0, 2)}),
    ],
)
def test_as_many_seeds_report_as_is_asked_and_other_ones_choose(state, more, expected):
    for asked, (_, at_most) in expected.items():
        _, choosing, reporting = planned(state, "--confirm", asked, *more)
        first = 2 if choosing else 0
        seeds = range(first + 1, first + at_most // 2 + 1)
        assert names(reporting) == [f"{run}-s{seed}" for seed in seeds for run in ("t0002", "t0000")]
        given = settings("--confirm", asked, *more)
        assert confirmation.runs_at_most(given, SPACE, CONTEXT)[1] == len(reporting) == at_most


def test_one_config_needs_no_choice_and_is_reported_beside_the_default(state):
    _, choosing, reporting = planned(state, "--confirm", "1x2")
    assert choosing == []
    assert names(reporting) == ["t0002-s1", "t0000-s1", "t0002-s2", "t0000-s2"]


@pytest.mark.parametrize(
    ("argv", "runs"),
    [
        ("--confirm 3x3", (9, 6)),
        ("--confirm 1x2", (0, 4)),
        ("--confirm 0", (0, 0)),
        ("--confirm 3x3 --trials 2", (6, 6)),  # no more than there were trials
        ("--confirm 3x3 --trials 1", (0, 3)),  # of the default, which is the first trial
    ],
)
def test_what_the_confirmation_costs_is_known_beforehand(argv, runs):
    assert confirmation.runs_at_most(settings(*argv.split()), SPACE, CONTEXT) == runs


def test_nothing_is_confirmed_with_0(state):
    assert confirmation.candidates(state, settings("--confirm", "0"), SPACE, CONTEXT) == []


def test_reported_configurations_are_confirmed_under_their_trial_if_they_had_one(state):
    chosen = confirmation.candidates(state, settings("--confirm", "1x2", "--confirm-reported"), SPACE, CONTEXT)
    assert [(candidate.id, candidate.key) for candidate in chosen] == [("t0002", None), ("t0000", "default")]


def test_confirmation_runs_that_ended_are_not_run_again(state):
    add_run(state, "t0002-s1", [0.2], kind="confirm", confirm_of="t0002", role="choose")
    add_run(state, "t0000-s4", [0.2], kind="confirm", confirm_of="t0000", role="report", final={"test_mse": 0.2})
    _, choosing, reporting = planned(state, "--confirm", "2x3")
    assert names(choosing) == ["t0000-s1", "t0002-s2", "t0000-s2", "t0002-s3", "t0000-s3"]
    assert names(reporting) == ["t0002-s4", "t0002-s5", "t0000-s5", "t0002-s6", "t0000-s6"]


def confirmed(state, of, values, tests, first=3):
    """Add runs that chose, by validation values, and runs on fresh seeds with test values."""
    about = {"kind": "confirm", "confirm_of": of}
    for seed, value in enumerate(values, start=1):
        add_run(state, f"{of}-s{seed}", [value], **about, role="choose")
    for seed, test in enumerate(tests, start=first):
        add_run(state, f"{of}-s{seed}", [0.5], **about, role="report", final={"test_mse": test})


def ranked(state, *argv):
    given = settings("--confirm", "2x2", *argv)
    return confirmation.confirmed(state, confirmation.candidates(state, given, SPACE, CONTEXT), "val_mse")


def test_the_winner_has_the_best_mean_on_the_seeds_that_choose_and_never_the_best_test_value(state):
    confirmed(state, "t0002", [0.25, 0.27], [0.30, 0.10])
    confirmed(state, "t0000", [0.20, 0.22], [0.40, 0.41])
    won, _ = ranked(state)
    assert won.candidate == "t0000"
    assert won.model("val_mse").id == "t0000-s3"
    assert won.mean("val_mse").mean == pytest.approx(0.21)
    assert won.mean("test_mse").mean == pytest.approx(0.405)


def test_what_fresh_seeds_say_changes_the_winner_no_more(state):
    confirmed(state, "t0000", [0.20, 0.22], [0.40, 0.41])
    confirmed(state, "t0002", [0.25, 0.27], [])
    add_run(state, "t0000-s5", [9.0], kind="confirm", confirm_of="t0000", role="report", final={"test_mse": 9.0})
    assert [one.candidate for one in ranked(state)] == ["t0000", "t0002"]


def after_an_extension(state, *first):
    """Let a search end with candidates of which only the first one was ranked, on whose seeds `first` was reported."""
    given = settings("--confirm", "2x2")
    candidates = confirmation.candidates(state, given, SPACE, CONTEXT)
    for candidate, values in zip(candidates, first, strict=False):
        for seed, value in enumerate(values, start=1):
            job = candidate.job(given, seed, test=True)
            about = {"kind": "confirm", "confirm_of": candidate.id, "role": "report", "key": candidate.key}
            state.apply(RunStarted(job.id, number=seed, config={}, seed=job.seed, budget=3, params=1, **about))
            state.apply(EpochEnded(job.id, 1, {"val_mse": value, "seconds": 1.0}))
            state.apply(RunEnded(job.id, "completed", None, {"test_mse": 0.5}))
    for run in confirmation.newly_choosing(state, given, candidates):
        state.apply(Chooses(run.id))
    return candidates


def test_what_was_the_only_candidate_before_an_extension_can_win_by_the_validation_values_that_it_has(state):
    after_an_extension(state, [0.10, 0.12])
    _, choosing, _ = planned(state, "--confirm", "2x2")
    assert names(choosing) == ["t0000-s1", "t0000-s2"]
    confirmed(state, "t0000", [0.20, 0.22], [])
    won, _ = ranked(state)
    assert (won.candidate, won.mean("val_mse").mean) == ("t0002", pytest.approx(0.11))
    _, _, reporting = planned(state, "--confirm", "2x2")
    assert names(reporting) == ["t0002-s3", "t0000-s3", "t0002-s4", "t0000-s4"]
    confirmed(state, "t0002", [], [0.30, 0.32])
    won, _ = ranked(state)
    assert won.mean("test_mse") == mean_interval([0.30, 0.32])  # not of what chose it


def test_a_choice_is_made_by_the_seeds_that_two_configs_were_reported_on_when_one_was_put_beside_the_other(state):
    after_an_extension(state, [0.10, 0.12], [0.20, 0.22])
    chosen, choosing, reporting = planned(state, "--confirm", "2x2")
    assert (len(chosen), choosing) == (2, [])
    assert names(reporting) == ["t0002-s3", "t0000-s3", "t0002-s4", "t0000-s4"]
    assert [(one.candidate, len(one.chose), len(one.reported)) for one in ranked(state)] == [
        ("t0002", 2, 0),
        ("t0000", 2, 0),
    ]


def test_what_reported_on_fresh_seeds_or_on_the_only_candidate_chooses_nothing_later(state):
    candidates = after_an_extension(state)
    given = settings("--confirm", "2x2")
    confirmed(state, "t0002", [0.25, 0.27], [0.30, 0.32])
    assert confirmation.newly_choosing(state, given, candidates) == []
    after_an_extension(state, [0.10, 0.12])
    assert confirmation.newly_choosing(state, given, candidates[:1]) == []


def test_seeds_of_an_earlier_version_chose_and_reported(state):
    for seed in (1, 2):
        add_run(state, f"t0002-s{seed}", [0.2], kind="confirm", confirm_of="t0002", final={"test_mse": 0.3})
    won, *_ = ranked(state)
    assert (won.mean("val_mse").mean, won.mean("test_mse").mean) == (0.2, 0.3)


def test_tuning_gained_what_the_winner_is_better_by_on_the_same_fresh_seeds(state):
    confirmed(state, "t0002", [0.10, 0.12], [0.30, 0.32])
    confirmed(state, "t0000", [0.20, 0.22], [0.40, 0.41])
    summary = summarize(state, settings(), SPACE, ranked(state), row(0.5))
    assert summary["default"]["test"]["mean"] == pytest.approx(0.405)
    assert summary["gain"]["mean"] == pytest.approx(0.095)
    assert summary["gain"]["ci95"] is not None
    assert summary["gain"]["note"] == ""


def test_a_gain_by_a_larger_code_is_said_to_be_one(state):
    confirmed(state, "t0002", [0.10, 0.12], [0.30, 0.32])
    confirmed(state, "t0000", [0.20, 0.22], [0.40, 0.41])
    for run in state.runs.values():
        if run.id.startswith("t0002"):
            run.config = {**run.config, "latent_size": 12}
    summary = summarize(state, settings(), SPACE, ranked(state), row(0.5))
    note = "their codes have 12 and 8 numbers, and the error falls with the size"
    assert summary["gain"]["note"] == note
    said = text(summary, StudyFolder(Path("results/night")), "sqlite:///mlflow.db")
    assert f"over the default, by test MSE per pixel; {note}" in " ".join(said.split())


def test_the_default_has_no_gain_over_itself(state):
    confirmed(state, "t0000", [0.20, 0.22], [0.40, 0.41])
    summary = summarize(state, settings(), SPACE, ranked(state), row(0.5))
    assert (summary["default"], summary["gain"]) == (None, None)


@pytest.mark.parametrize("configs", [3, 9, 13])
def test_the_headline_interval_covers_the_truth_in_95_percent_however_many_configs_were_equal(configs):
    """1,000 studies whose configs are equally good: the winner's test error is 0.3 in truth, and tied to validation."""
    random, covered, studies = np.random.default_rng(configs), 0, 1000
    for _ in range(studies):
        luck = random.normal(0.0, 0.01, (configs, 6))
        val, test = 0.2 + luck, 0.3 + luck
        winner = val[:, :3].mean(axis=1).argmin()
        low, high = mean_interval(test[winner, 3:].tolist()).ci95
        covered += low <= 0.3 <= high
    print(f"{configs} equal configs: the interval covers the truth in {covered:,} of {studies:,} studies")
    assert 0.93 < covered / studies < 0.97


def test_a_config_whose_seeds_partly_failed_does_not_beat_one_with_all(state):
    confirmed(state, "t0002", [0.10], [0.1])
    confirmed(state, "t0000", [0.20, 0.22], [0.40, 0.41])
    assert [one.candidate for one in ranked(state)] == ["t0000", "t0002"]


def test_the_interval_is_students():
    values = [0.31, 0.28, 0.35, 0.30]
    expected = ttest_1samp(values, 0).confidence_interval(0.95)
    interval = mean_interval(values)
    assert interval.mean == pytest.approx(np.mean(values))
    assert interval.ci95 == pytest.approx((expected.low, expected.high))
    wide = bootstrap((values,), np.mean, confidence_level=0.95).confidence_interval
    assert interval.ci95[0] < wide.low  # few seeds: Student's interval is the wider one
    assert interval.ci95[1] > wide.high


def test_an_interval_does_not_go_beyond_what_a_value_can_be():
    low, high = mean_interval([0.9, 0.99], 0.0, 1.0).ci95
    assert (low > 0, high) == (True, 1.0)


def test_one_seed_has_no_interval():
    assert mean_interval([0.5]) == Interval(0.5, None, None, 1)
    assert mean_interval([0.5]).to_json() == {"mean": 0.5, "ci95": None, "n": 1}


def test_a_point_of_the_front_is_as_exact_as_the_scores_beside_it():
    assert _pairs({"trial_id": "t0002", "val_nelbo": 185.4979, "params": 37448}) == [
        "trial_id t0002",
        "val_nelbo 185.5",
        "params 37448",
    ]


def test_the_pareto_front_has_what_no_trial_beats_in_everything():
    state = StudyState()
    for number, (value, params) in enumerate([(0.1, 900), (0.2, 100), (0.3, 500), (0.1, 800), (0.05, 2000)]):
        add_run(state, f"t{number:04d}", [value], params=params)
    front = pareto_front(state, ["val_mse", "params"])
    assert [run.id for run in front] == ["t0004", "t0003", "t0001"]


def row(test_mse):
    # what is compared is the clipped error; the other one is there for the audit of the reports' claims
    return {8: {"n_components": 8, "val_mse": test_mse, "test_mse": 3 * test_mse, "test_mse_clipped": test_mse}}


@pytest.mark.parametrize(
    ("pca", "verdict"),
    [(0.9, "better than PCA"), (0.1, "worse than PCA"), (0.405, "not distinguishable from PCA")],
)
def test_the_verdict_goes_by_the_interval(state, pca, verdict):
    confirmed(state, "t0000", [0.20, 0.22], [0.40, 0.41])
    summary = summarize(state, settings(), SPACE, ranked(state), row(pca))
    assert summary["verdict"] == verdict
    assert summary["ratio_to_pca"] == pytest.approx(0.405 / pca)
    assert summary["best"]["model"]["test"] == 0.40


def test_without_confirmation_there_is_no_test_value_and_no_ratio(state):
    summary = summarize(state, settings("--confirm", "0"), SPACE, [], row(0.5))
    assert summary["best"]["test"] is None
    assert summary["best"]["model"] is None
    assert summary["best"]["val"]["val_mse"] == {"mean": 0.2, "ci95": None, "n": 1}
    assert summary["ratio_to_pca"] is None
    assert "--confirm 0" in summary["ratio_note"]


@pytest.mark.parametrize(("pca", "note"), [({}, "PCA has no 8 components"), (row(1e-12), "only rounding")])
def test_a_ratio_that_means_nothing_is_null_with_the_reason(state, pca, note):
    confirmed(state, "t0000", [0.20, 0.22], [0.40, 0.41])
    summary = summarize(state, settings(), SPACE, ranked(state), pca)
    assert summary["ratio_to_pca"] is None
    assert note in summary["ratio_note"]
    assert summary["trials"] == {"completed": 2, "stopped": 2, "failed": 1}


def test_a_code_wider_than_the_data_has_a_verdict_against_pca_at_full_rank_and_no_ratio(state):
    confirmed(state, "t0000", [0.20, 0.22], [0.40, 0.41])
    rows = {1: {**row(0.5)[8], "n_components": 1}}
    summary = summarize(state, settings(), SPACE, ranked(state), rows)
    assert summary["ratio_to_pca"] is None
    assert summary["ratio_note"] == "PCA has no 8 components in these data: compared with all of its 1"
    assert summary["verdict"] == "better than PCA"
    assert summary["baseline"]["n_components"] == 1


def test_every_confirmed_config_is_in_the_summary_with_all_its_test_metrics(state):
    confirmed(state, "t0000", [0.20, 0.22], [0.40, 0.41])
    confirmed(state, "t0002", [0.25], [0.30])
    first, second = summarize(state, settings(), SPACE, ranked(state), row(0.5))["confirmed"]
    assert (first["id"], first["key"], first["test"]["test_mse"]["n"]) == ("t0000", "default", 2)
    assert (second["id"], second["test"]["test_mse"]) == ("t0002", {"mean": 0.30, "ci95": None, "n": 1})


def test_the_end_of_a_study_is_a_table_with_units_and_four_digits_in_80_columns(state, tmp_path):
    confirmed(state, "t0000", [0.20123456, 0.22], [0.40123456, 0.41])
    confirmed(state, "t0002", [0.25], [0.30])
    summary = summarize(state, settings(), SPACE, ranked(state), row(0.5)) | {"wall_s": 603.4}
    lines = text(summary, StudyFolder(tmp_path / "night"), "sqlite:///mlflow.db").splitlines()
    assert " ".join(lines[:2]).endswith("epochs of the search; 10 min in all")
    head = next(place for place, line in enumerate(lines) if line.startswith("MSE per pixel"))
    assert lines[head].split() == ["MSE", "per", "pixel", "validation", "test"]
    assert re.split("  +", lines[head + 1]) == [
        "t0000 (default)",
        "0.2106 (0.09140–0.3298)",
        "0.4056 (0.3499–0.4613)",
    ]
    assert re.split("  +", lines[head + 2]) == ["t0002", "0.2500", "0.3000"]
    assert re.split("  +", lines[head + 3]) == ["PCA, 8 components", "0.5000", "0.5000"]
    assert max(len(line) for line in lines if not line.startswith(("files", "report", "tracking"))) <= 80
    assert any(line.startswith("ratio     0.811 of PCA's error: better than PCA") for line in lines)


def test_a_reporting_seed_that_failed_by_its_config_stands_beside_the_verdict_and_one_of_the_machine_does_not(
    state, tmp_path
):
    confirmed(state, "t0000", [0.20, 0.22], [0.40, 0.41])
    about = {"kind": "confirm", "confirm_of": "t0000", "role": "report"}
    add_run(state, "t0000-s5", [0.5], **about, status="running")
    state.apply(RunEnded("t0000-s5", "failed", "its worker died", {}, by_machine=True))
    whole = summarize(state, settings(), SPACE, ranked(state), row(0.5))
    assert whole["confirmed"][0]["failed"] is None
    assert verdict(whole) == "0.81 of PCA's error: better than PCA"
    add_run(state, "t0000-s6", [0.5], **about, status="failed")
    summary = summarize(state, settings(), SPACE, ranked(state), row(0.5))
    assert summary["confirmed"][0]["failed"] == {"seeds": 1, "of": 3, "why": "nan"}
    assert verdict(summary) == "0.81 of PCA's error: better than PCA, of 2 of 3 seeds (1 failed: nan)"
    lines = text(summary, StudyFolder(tmp_path / "night"), "sqlite:///mlflow.db").splitlines()
    assert "t0000: 2 of 3 seeds (1 failed: nan)" in lines


def test_a_config_all_of_whose_seeds_failed_is_said_and_not_dropped(state, tmp_path):
    confirmed(state, "t0002", [0.20, 0.22], [0.40, 0.41])
    about = {"kind": "confirm", "confirm_of": "t0000", "role": "report", "status": "failed", "key": "default"}
    for seed in (3, 4):
        add_run(state, f"t0000-s{seed}", [0.5], **about)
    summary = summarize(state, settings(), SPACE, ranked(state), row(0.5))
    assert [one["id"] for one in summary["confirmed"]] == ["t0002"]
    failed = {"seeds": 2, "of": 2, "why": "nan"}
    assert summary["all_failed"] == [{"id": "t0000", "key": "default", "failed": failed}]
    lines = text(summary, StudyFolder(tmp_path / "night"), "sqlite:///mlflow.db").splitlines()
    assert "t0000: 0 of 2 seeds (2 failed, the first: nan)" in lines


def classified(accuracies):
    """Return confirmations of a classifier's config with these test accuracies."""
    runs = [
        Run(f"t0000-s{seed}", "confirm", seed, {}, seed, 1, 1, None, 0.0, final={"test_accuracy": accuracy})
        for seed, accuracy in enumerate(accuracies)
    ]
    return Confirmed("t0000", None, {}, [], runs)


def test_a_classifier_is_compared_by_error_rates_with_the_best_logistic_regression_on_validation_data():
    rows = {
        16: {"n_components": 16, "val_accuracy": 0.80, "test_accuracy": 0.90},
        64: {"n_components": 64, "val_accuracy": 0.85, "test_accuracy": 0.80},
    }
    compared = compare("classifier", {}, classified([0.91, 0.99]), rows)
    assert compared.row["n_components"] == 64
    assert compared.ratio == pytest.approx(0.05 / 0.20)
    regression = "the logistic regression on PCA codes"
    assert compared.verdict == f"not distinguishable from {regression}"  # two seeds: the interval is wide
    assert compare("classifier", {}, classified([0.94, 0.95, 0.96]), rows).verdict == f"better than {regression}"


def test_a_perfect_baseline_gets_a_verdict_without_a_ratio():
    rows = {16: {"n_components": 16, "val_accuracy": 1.0, "test_accuracy": 1.0}}
    compared = compare("classifier", {}, classified([0.94, 0.95, 0.96]), rows)
    assert (compared.ratio, compared.verdict) == (None, "worse than the logistic regression on PCA codes")
    assert compared.note == "the regression makes no error on the test images"
    perfect = compare("classifier", {}, classified([1.0, 1.0]), rows)
    assert perfect.verdict == (
        "its error rate (of 2 seeds that do not differ: no interval) is the same as that of the logistic regression on "
        "PCA codes"
    )


def test_equal_seeds_are_not_sure_of_being_better():
    rows = {16: {"n_components": 16, "val_accuracy": 0.9, "test_accuracy": 0.9}}
    compared = compare("classifier", {}, classified([0.95, 0.95]), rows)
    assert compared.verdict == (
        "its error rate (of 2 seeds that do not differ: no interval) is lower than that of the logistic regression on "
        "PCA codes"
    )


def test_the_end_of_a_classifiers_study_names_its_baseline_and_never_speaks_of_pcas_error(state, tmp_path):
    rows = {64: {"n_components": 64, "val_accuracy": 0.85, "test_accuracy": 0.80}}
    won = classified([0.94, 0.95, 0.96])
    test = {name: interval.to_json() for name, interval in won.test_metrics.items()}
    val = {"val_accuracy": mean_interval([0.9312, 0.94]).to_json()}
    one = {"id": "t0000", "key": "default", "val": val, "test": test}
    best = {"trial_id": "t0000", "params": 100, "config": {}, "val": val, "test": test["test_accuracy"]}
    summary = summarize(state, settings(), SPACE, [], {}) | {"metric": "val_accuracy", "confirmed": [one], "best": best}
    summary |= compare("classifier", {}, won, rows).to_json()
    lines = text(summary, StudyFolder(tmp_path / "night"), "sqlite:///mlflow.db").splitlines()
    assert any(re.split("  +", line) == ["regression, 64 components", "0.8500", "0.8000"] for line in lines)
    said = " ".join(" ".join(lines).split())
    assert "ratio 0.25 of the baseline's error rate: better than the logistic regression on PCA codes" in said
    assert "PCA's" not in said


def test_a_name_that_is_too_long_for_the_table_stands_whole_in_a_line_of_its_own(state, tmp_path):
    name = "mnist_ae_vae_cnn_bernoulli_latent_64_sigmoid"
    confirmed(state, "t0000", [0.20123456, 0.22], [0.40123456, 0.41])
    summary = summarize(state, settings(), SPACE, ranked(state), row(0.5))
    summary["confirmed"][0] |= {"id": name, "key": None}
    lines = text(summary, StudyFolder(tmp_path / "night"), "sqlite:///mlflow.db").splitlines()
    place = lines.index(name)
    assert lines[place + 1].split("  ")[-1] == "0.4056 (0.3499–0.4613)"
    assert lines[place + 1].startswith(" ")
    assert "…" not in "".join(lines)
    table = lines[place - 1 : place + 4]
    assert max(map(len, table)) <= 80
    columns = {line.index("0.4056") for line in table if "0.4056" in line} | {table[0].index("test")}
    assert len(columns) == 1


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.25, "0.2500"),
        (0.0139249, "0.01392"),
        (123.456, "123.5"),
        (999.96, "1000"),
        (1543.2, "1,543"),
        (0.00002, "2e-5"),
        (0, "0"),
    ],
)
def test_a_number_of_the_last_table_has_four_digits(value, shown):
    assert _digits(value) == shown


def test_an_interval_with_a_negative_end_has_no_dash_that_reads_as_a_minus():
    assert _interval({"mean": -1.0, "ci95": [-2.0, 0.5], "n": 3}) == "-1.000 (-2.000 to 0.5000)"


def test_a_vae_is_compared_by_the_error_of_its_mean_reconstruction():
    compared = compare("vae", {"latent_size": 8}, coded([900.0]), row(0.04))
    assert compared.ratio == pytest.approx(0.5)
    assert compared.nats == {"verdict": None, "note": "PCA has no nats at up to 8 components"}  # of an earlier version


def coded(nelbos):
    """Return confirmations of a VAE's config with these bounds on test images."""
    runs = [
        Run(f"t0-s{n}", "confirm", 0, {}, n, 1, 1, None, 0.0, final={"test_nelbo": nelbo, "test_mse": 0.02})
        for n, nelbo in enumerate(nelbos)
    ]
    return Confirmed("t0", None, {}, [], runs)


def nats_rows():
    """PCA that has its fewest validation nats at 4 of 2, 4, 8 and 16 components below 16."""
    values = {2: 220.0, 4: 200.0, 8: 205.0, 16: 150.0}
    return {
        size: {**row(0.04)[8], "n_components": size, "test_nelbo": 400.0}
        | {"val_nelbo_clipped": nats, "test_nelbo_clipped": nats + 1}
        for size, nats in values.items()
    }


@pytest.mark.parametrize(
    ("nelbos", "verdict"),
    [
        ([180.0, 181.0, 182.0], "the network's bound on −log p is lower than probabilistic PCA's"),
        ([210.0, 211.0, 212.0], "the network's bound on −log p is higher than probabilistic PCA's"),
        ([190.0, 201.5, 212.0], "the network's bound on −log p is not distinguishable from probabilistic PCA's"),
        ([180.0], "the network's bound on −log p (of one seed: no interval) is lower than probabilistic PCA's"),
    ],
)
def test_a_vae_is_compared_in_nats_with_the_best_probabilistic_pca_of_at_most_its_size(nelbos, verdict):
    compared = compare("vae", {"latent_size": 8}, coded(nelbos), nats_rows())
    assert compared.nats == {
        "n_components": 4,
        "test_nelbo": 400.0,
        "val_nelbo_clipped": 200.0,
        "test_nelbo_clipped": 201.0,
        "verdict": verdict,
        "note": None,
    }
    assert compared.row["n_components"] == 8  # errors are compared at the same size
    untouched = compare("vae", {"latent_size": 8}, None, nats_rows())
    assert untouched.nats["note"] == untouched.note == "the test split was not touched (--confirm 0)"
    assert compare("ae", {"latent_size": 8}, coded(nelbos), nats_rows()).nats is None


def test_the_end_of_a_vaes_study_says_both_verdicts(state):
    summary = summarize(state, settings(), SPACE, [], {}) | {"metric": "val_nelbo"}
    summary["best"]["val"] = {"val_nelbo": mean_interval([179.0]).to_json()}
    summary |= compare("vae", {"latent_size": 8}, coded([180.0, 181.0, 182.0]), nats_rows()).to_json()
    lines = text(summary, StudyFolder(Path("results/night")), "sqlite:///mlflow.db").splitlines()
    assert max(map(len, lines)) <= 80
    head = next(place for place, line in enumerate(lines) if line.startswith("−ELBO (nats per image)"))
    assert re.split("  +", lines[head + 2]) == ["probabilistic PCA, 4 components", "200.0", "201.0"]  # in nats, too
    said = " ".join(" ".join(lines).split())
    assert (
        "ratio 0.5 of PCA's test MSE per pixel (0.04, 8 components): its error (of 3 seeds that do not differ" in said
    )
    assert (
        "nats 201 nats per test image of probabilistic PCA with 4 components: the network's bound on −log p is lower "
        "than probabilistic PCA's"
    ) in said
    untouched = summary | compare("vae", {"latent_size": 8}, None, nats_rows()).to_json()
    said = " ".join(text(untouched, StudyFolder(Path("results/night")), "sqlite:///mlflow.db").split())
    assert "nats 200 nats per validation image of probabilistic PCA with 4 components: the test split was not" in said
    logged = end_metrics(summary)
    assert (logged["pca_test_nelbo"], logged["pca_test_nelbo_clipped"]) == (400.0, 201.0)


@pytest.mark.parametrize(
    ("value", "text"), [(0.58249, "0.582"), (0.99966, "0.9997"), (1.00004, "1.00004"), (1.0, "1"), (12.34, "12.3")]
)
def test_a_ratio_that_is_not_one_does_not_read_as_one(value, text):
    assert words.ratio(value) == text
