"""Bounds that networks are to keep: how they are said, what is refused before it trains, that others never win."""

import math
from dataclasses import replace

import pytest
from recorded_studies import made_up_seeds, made_up_trial, write_study
from study_processes import SMALL, run, state_of, summary_of, table
from test_confirmation import CONTEXT, SPACE, add_run, settings
from test_searcher import Driver, error_of

from analysis.figures.best_so_far import compute_best_so_far
from analysis.figures.confirmation import compute_confirmation
from analysis.figures.pareto import compute_pareto
from analysis.figures.rate_distortion import compute_rate_distortion
from analysis.page import sections
from analysis.page.headline import headline, verdict
from analysis.study_files import read_study
from analysis.trials import compute_beyond, compute_confirmed, compute_leaderboard, confirmed_order
from study.cluster.resources import Limits
from study.driver import confirmation
from study.driver.summary import summarize, text
from study.record import constraints
from study.record.constraints import Constraint
from study.record.errors import StudyError, UsageError
from study.record.events import EpochEnded, RunEnded, RunStarted, StudyStarted
from study.record.folder import StudyFolder
from study.record.ranking import best_trials, pareto_front
from study.record.ranking import confirmed_order as order_of
from study.record.state import StudyState
from study.settings import command_line, resolve
from study.tracking.tracker import BestSoFar


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (["--constraint", "params<=1e6"], ("params<=1000000",)),
        (["--constraint", " lr >= 1e-3 , params<=5"], ("lr>=0.001", "params<=5")),
        (["--constraint", "params<=5", "--constraint", "val_mse<=0.02"], ("params<=5", "val_mse<=0.02")),
        ([], ()),
    ],
)
def test_several_are_said_with_commas_or_one_after_the_other(said, kept):
    assert settings(*said).constraints == kept


@pytest.mark.parametrize(
    "wrong", ["params", "params<1e6", "params==3", "params<=many", "params<=nan", "<=3", "params<=inf"]
)
def test_what_cannot_be_read_is_one_line(wrong):
    with pytest.raises(UsageError, match="give NAME<=NUMBER or NAME>=NUMBER, such as 'params<=1e6'") as raised:
        settings("--constraint", wrong)
    assert repr(wrong) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [("parms", "did you mean params"), ("val_accuracy", "is not known"), ("test_mse", "allowed: batch_size")],
)
def test_what_no_network_of_the_space_has_is_refused(name, words):
    """Among them the metrics of the test split: nothing is chosen by them."""
    with pytest.raises(UsageError, match="--constraint '" + name + "' is not known") as raised:
        settings("--constraint", f"{name}<=1")
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (["val_accuracy>=90"], "val_accuracy>=90 is kept by no network: val_accuracy is at most 1"),
        (["val_mse<=-1"], "val_mse<=-1 is kept by no network: val_mse is at least 0"),
        (["params<=1e6,params>=2e6"], "params>=2000000,params<=1000000 is kept by no network: one excludes the other"),
        (["latent_size<=4", "--latent-size", "8"], "latent_size<=4 is kept by no network of --latent-size 8"),
    ],
)
def test_what_no_network_can_keep_is_refused(said, why):
    space = "digits_classifier" if "accuracy" in why else "digits_ae"
    with pytest.raises(UsageError) as raised:
        settings("--space", space, "--constraint", *said)
    assert str(raised.value) == f"--constraint {why}"


@pytest.mark.parametrize("said", [["params>=1000,params<=1000"], ["latent_size>=8,lr<=1", "--latent-size", "8"]])
def test_what_one_network_alone_can_keep_is_not(said):
    assert settings("--constraint", *said).constraints


@pytest.mark.parametrize("said", [["log_scale<=-2"], ["log_scale>=-2", "log_scale<=-3"]])
def test_a_setting_may_be_negative_and_one_that_only_some_configs_have_keeps_every_bound(said):
    space = replace(SPACE, default={**SPACE.default, "log_scale": -3.0})  # no drawn config has it
    resolve._check_constraints(tuple(said), space, None)


def test_a_resumed_study_keeps_its_constraints():
    recorded = settings("--constraint", "params<=5").to_json()
    same = command_line.parse(["--resume", "night", "--constraint", "params <= 5.0"]).given
    assert resolve.resumed_settings(same, recorded)[0].constraints == ("params<=5",)
    other = command_line.parse(["--resume", "night", "--constraint", "params<=6"]).given
    with pytest.raises(UsageError, match="--resume night: --constraint differs"):
        resolve.resumed_settings(other, recorded)


def test_how_far_a_network_is_beyond_a_bound():
    most, least = Constraint("params", True, 10.0), Constraint("val_accuracy", False, 0.5)
    assert [most.excess({"params": n}) for n in (9, 10, 12)] == [-1.0, 0.0, 2.0]
    assert least.excess({"val_accuracy": 0.25}) == 0.25
    assert [least.excess(known) for known in ({}, {"val_accuracy": None}, {"val_accuracy": math.nan})] == [math.inf] * 3
    assert Constraint("width", True, 8.0).excess({"depth": 3}) == 0.0  # a network without such layers
    assert constraints.unmet([most, least], {"params": 11, "val_accuracy": 0.9}) == [most]
    seeds = [{"params": 5, "val_accuracy": value} for value in (0.4, 0.7)]
    assert constraints.unmet_by_mean([most, least], seeds) == []
    assert constraints.said([most, least]) == "params<=10 and val_accuracy>=0.5"


def limits(*texts):
    return Limits(10**9, 2**36, constraints=constraints.of_texts(texts))


def test_what_is_known_before_is_refused_before_it_trains(tmp_path):
    driver = Driver(tmp_path / "s", trials=6, limits=limits("params<=20000", "lr<=0.005", "val_mse<=1"))
    for _ in range(6):
        driver.run()
    refused, state = driver.state.refused, driver.state
    assert refused
    assert all(run.params <= 20000 and run.config["lr"] <= 0.005 for run in state.trials)
    assert {event.params > 20000 or event.config["lr"] > 0.005 for event in refused} == {True}
    assert any("against --constraint params<=20000" in event.reason for event in refused)
    assert not any("val_mse" in event.reason for event in refused)


def test_a_bound_that_no_network_keeps_is_told_in_one_line(tmp_path):
    driver = Driver(tmp_path / "s", limits=limits("params<=1"))
    with pytest.raises(StudyError, match=r"200 networks in a row were refused, the last one with params .* params<=1$"):
        driver.ask()


@pytest.mark.parametrize("sampler", ["tpe", "gp", "nsga2", "random"])
def test_optuna_is_told_how_far_each_trial_is_beyond_and_a_resumed_study_tells_it_again(tmp_path, sampler):
    bounds = limits("val_mse<=0.4", "params<=10000000")
    first = Driver(tmp_path / "s", trials=14, sampler=sampler, limits=bounds)
    jobs = [first.run(epochs=4 if number % 3 else 2) for number in range(12)]
    told = [trial.constraints for trial in first.optuna_trials() if trial.state.is_finished()]
    assert [one["val_mse<=0.4"] for one in told] == pytest.approx(
        [error_of(job, 4 if number % 3 else 2) - 0.4 for number, job in enumerate(jobs)]
    )
    assert {one["params<=10000000"] < 0 for one in told} == {True}
    second = Driver(tmp_path / "s", trials=14, sampler=sampler, limits=bounds)
    assert [trial.constraints for trial in second.optuna_trials()] == told
    second.run()


def test_tpe_goes_where_the_constraint_is_kept(tmp_path):
    """The lowest made-up errors are not allowed: more of its last trials are where they are."""
    free = Driver(tmp_path / "free", trials=40, limits=limits())
    bound = Driver(tmp_path / "bound", trials=40, limits=limits("val_mse>=0.5"))
    for driver in (free, bound):
        for _ in range(40):
            driver.run()
    last = [[run.last["val_mse"] >= 0.5 for run in driver.state.trials[20:]] for driver in (free, bound)]
    assert sum(last[1]) >= sum(last[0]) + 4


def recorded(*texts, values=(0.1, 0.2, 0.3), params=(500, 50, 60), **more):
    state = StudyState(settings={"constraints": list(texts)})
    for number, (value, size) in enumerate(zip(values, params, strict=True)):
        add_run(state, f"t{number:04d}", [value] * 3, params=size, **more)
    return state


def test_a_trial_that_does_not_keep_a_constraint_never_wins():
    state = recorded("params<=100", "val_mse<=0.25")
    assert [run.id for run in best_trials(state, "val_mse")] == ["t0001"]
    assert [run.id for run in pareto_front(state, ["val_mse", "params"])] == ["t0001"]
    assert [one.id for one in confirmation.candidates(state, settings(), SPACE, CONTEXT)] == ["t0001"]
    assert order_of({"a": [0.1], "b": [0.2, 0.2], "c": [0.3]}, "min", ["b", "a"]) == ["c", "b", "a"]


def test_the_best_so_far_of_a_tracker_is_of_those_that_keep_them():
    so_far = BestSoFar()
    events = [StudyStarted({"constraints": ["params<=100"]}, {"metric": "val_mse", "mode": "min"})]
    for name, value, params in (("a", 0.1, 500), ("b", 0.3, 50)):
        events.append(RunStarted(name, "trial", 0, {}, 0, 1, params, None))
        events += [EpochEnded(name, 1, {"val_mse": value}), RunEnded(name, "completed", None, {})]
    points = [point for event in events if (point := so_far.of(event))]
    assert [(point.step, point.value) for point in points] == [(2, 0.3)]


def confirmed_by(state, values, role, first):
    for name, seeds in values.items():
        for number, value in enumerate(seeds, start=first):
            final = {"test_mse": value} if role == "report" else {}
            about = {"kind": "confirm", "confirm_of": name, "role": role, "final": final, "params": 50}
            add_run(state, f"{name}-s{number}", [value] * 3, **about)


def summary_of_confirmed(state, names):
    run_of = {run.id: run for run in state.trials}
    chosen = [confirmation.Candidate(name, run_of[name].config, None, 50, None) for name in names]
    found = confirmation.confirmed(state, chosen, "val_mse")
    return found, summarize(state, settings(), SPACE, found, {})


def test_a_config_whose_seeds_do_not_keep_it_in_the_mean_does_not_win(tmp_path):
    state = recorded("val_mse<=0.25", values=(0.1, 0.2), params=(50, 50))
    confirmed_by(state, {"t0000": [0.2, 0.4], "t0001": [0.24, 0.25]}, "choose", 1)
    confirmed_by(state, {"t0001": [0.3, 0.3]}, "report", 3)
    found, summary = summary_of_confirmed(state, ["t0000", "t0001"])
    assert [(one.candidate, [str(bound) for bound in one.unmet]) for one in found] == [
        ("t0001", []),
        ("t0000", ["val_mse<=0.25"]),
    ]
    assert summary["best"]["trial_id"] == "t0001"
    assert [one.get("unmet") for one in summary["confirmed"]] == [None, ["val_mse<=0.25"]]
    assert summary["constraints"]["note"] is None
    assert "bounds    val_mse<=0.25: kept by 2 of 2 completed or stopped trials" in text(
        summary, StudyFolder(tmp_path / "night"), "sqlite:///m.db"
    )


def test_a_config_that_was_confirmed_is_confirmed_after_an_extension_whose_best_do_not_keep_it():
    state = recorded("val_mse<=0.25", values=(0.2, 0.1, 0.1), params=(50, 50, 50))
    confirmed_by(state, {"t0000": [0.2, 0.2]}, "choose", 1)
    given = settings("--constraint", "val_mse<=0.25", "--confirm", "2x2")
    assert [one.id for one in confirmation.candidates(state, given, SPACE, CONTEXT)] == ["t0001", "t0002", "t0000"]
    assert [one.id for one in confirmation.candidates(state, settings("--confirm", "2x2"), SPACE, CONTEXT)] == [
        "t0001",
        "t0002",
    ]


def test_where_no_confirmed_config_keeps_it_nothing_wins(tmp_path):
    state = recorded("val_mse<=0.25", values=(0.1, 0.2), params=(50, 50))
    confirmed_by(state, {"t0000": [0.3], "t0001": [0.4]}, "choose", 1)
    found, summary = summary_of_confirmed(state, ["t0000", "t0001"])
    assert all(one.unmet for one in found)
    assert summary["best"] is None
    note = "no confirmed config keeps val_mse<=0.25 in the mean over its seeds: nothing was chosen"
    assert summary["constraints"]["note"] == note
    shown = text(summary, StudyFolder(tmp_path / "night"), "sqlite:///m.db")
    assert note in " ".join(shown.split())


@pytest.mark.parametrize(
    ("texts", "note"),
    [
        (["val_mse<=0.05", "params<=1000"], "no trial keeps val_mse<=0.05: nothing was chosen"),
        (["val_mse<=0.15", "params<=100"], "no trial keeps all of val_mse<=0.15 and params<=100: nothing was chosen"),
    ],
)
def test_constraints_that_no_trial_keeps_are_named(texts, note, tmp_path):
    state = recorded(*texts)
    summary = summarize(state, settings(), SPACE, [], {})
    assert (summary["best"], summary["constraints"]["note"]) == (None, note)
    assert note in " ".join(text(summary, StudyFolder(tmp_path / "night"), "sqlite:///m.db").split())


def studied(storage, *, bounds=("params<=100",), summary=None, confirm=()):
    """A study of three trials, of which the best is too large."""
    sizes, config = (500, 50, 60), {**SPACE.default}
    trials = [
        made_up_trial(number, config=config, params=params, epochs=[{"val_mse": 0.1 * (number + 1)}])
        for number, params in enumerate(sizes)
    ]
    asked = {"constraints": list(bounds), "objectives": ["val_mse", "params"]}
    write_study(storage, "night", [*trials, *confirm], settings=asked, summary=summary)
    return read_study("night", storage)


def test_tables_figures_and_the_report_mark_what_does_not_keep_a_constraint(tmp_path):
    study = studied(tmp_path)
    assert [row["unmet"] for row in table(tmp_path / "night/trials.csv")] == ["params<=100", "", ""]
    assert compute_leaderboard(study)["trial_id"].tolist() == ["t0001", "t0002"]
    assert compute_beyond(study)[["trial_id", "unmet"]].values.tolist() == [["t0000", "params<=100"]]
    assert compute_best_so_far(study).trials["best"].dropna().tolist() == pytest.approx([0.2, 0.2])
    assert compute_pareto(study).trials["trial_id"].tolist() == ["t0001", "t0002"]
    page = sections.report_page(study, ())
    shown = {item.name: item for section in page.sections for item in section.items if hasattr(item, "name")}
    assert shown["beyond"].frame["unmet"].tolist() == ["params<=100"]


def test_the_confirmed_configs_of_a_report_are_in_the_same_order(tmp_path):
    seeds = [
        run
        for name, values in (("t0001", [0.5, 0.7]), ("t0002", [0.55, 0.56]))
        for run in made_up_seeds(name, {"val_mse": values, "test_mse": values}, config=dict(SPACE.default), params=50)
    ]
    study = studied(tmp_path, bounds=["val_mse<=0.58"], confirm=seeds)
    assert confirmed_order(study) == ["t0002", "t0001"]
    assert compute_confirmed(study)["unmet"].tolist() == ["", "val_mse<=0.58"]


def test_no_figure_names_a_winner_where_no_confirmed_config_keeps_the_constraints(tmp_path):
    values = {"val_mse": [0.55, 0.56], "test_mse": [0.55, 0.56]}
    seeds = made_up_seeds("t0001", values, config=dict(SPACE.default), params=50)
    study = studied(tmp_path, bounds=["val_mse<=0.5"], confirm=seeds)
    found = [compute_confirmation(study).caption, compute_rate_distortion(study).caption]
    assert found[0].startswith(
        "Nothing won, as no confirmed config keeps val_mse<=0.5; the first, t0001, has a test MSE"
    )
    assert found[1].startswith(
        "The first confirmed config, no winner, as it does not keep val_mse<=0.5, has a test MSE"
    )
    (kept := tmp_path / "kept").mkdir()
    study = studied(kept, bounds=["val_mse<=0.6"], confirm=seeds)
    assert compute_confirmation(study).caption.startswith("The winner on validation data, t0001")
    assert compute_rate_distortion(study).caption.startswith("The confirmed winner has")


def test_there_is_no_best_so_far_where_no_trial_keeps_the_constraints(tmp_path):
    assert compute_best_so_far(studied(tmp_path, bounds=["val_mse<=0.05"])) is None
    (kept := tmp_path / "kept").mkdir()
    found = compute_best_so_far(studied(kept, bounds=["val_mse>=0.15"]))  # the first, the best, does not
    assert found.improvements["trial_id"].tolist() == ["t0001"]


def test_a_study_without_constraints_has_no_such_column(tmp_path):
    study = studied(tmp_path, bounds=())
    assert "unmet" not in study.trials
    assert compute_beyond(study).empty
    assert compute_leaderboard(study)["trial_id"].tolist() == ["t0000", "t0001", "t0002"]


def test_the_report_of_a_study_of_which_nothing_was_chosen_says_why(tmp_path):
    state = recorded("val_mse<=0.05")
    study = studied(tmp_path, bounds=["val_mse<=0.05"], summary=summarize(state, settings(), SPACE, [], {}))
    assert verdict(study) == "No trial keeps val_mse<=0.05: nothing was chosen, so there is nothing to report."
    assert sections.report_page(study, ()).verdict == verdict(study)
    best = next(fact for fact in headline(study).items[0].facts if fact.term == "Best config")
    assert best.value == "none: no trial keeps val_mse<=0.05: nothing was chosen"
    assert best.detail == ""  # nothing has failed


@pytest.mark.slow
def test_a_study_with_constraints_that_nothing_keeps_ends_and_says_so(tmp_path):
    words = ["--trials", "2", "--epochs", "1", "--confirm", "2x2", "--constraint", "val_mse<=1e-9,params<=200000"]
    done = run(tmp_path, *SMALL, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no trial keeps val_mse<=1e-09: nothing was chosen" in " ".join(done.stdout.split())
    assert (summary_of(tmp_path)["best"], state_of(tmp_path).confirmations) == (None, [])
