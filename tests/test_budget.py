"""What ends a search before its trials are through: time, device hours, and that it gains nothing more."""

import numpy as np
import pytest
from study_processes import SMALL, run, state_of, summary_of, table

import search_spaces
from search_spaces import Context
from study.driver import confirmation
from study.record import journal
from study.record.errors import UsageError
from study.record.events import (
    EpochEnded,
    Finished,
    RunEnded,
    RunStarted,
    SearchEnded,
    SessionStarted,
    StudyStarted,
    TriedAgain,
)
from study.record.journal import Journal, Recorder
from study.record.settings import Settings
from study.record.state import StudyState
from study.search.budget import SearchBudget, Spread, spread_of_seeds, without_gain
from study.search.engine import BudgetStopper
from study.search.job_list import Beside, JobList
from study.settings import command_line, resolve
from study.worker.job import Job, Report, StepResult, job_of, tune_result

SPACE = search_spaces.get("digits_ae")


def settings(*argv):
    return resolve.settings_of(command_line.parse(["--space", "digits_ae", "--name", "night", *argv]).given)


def of_run(run_id, kind, value, *, key=None, status="completed", seconds=60.0, devices=1.0):
    """Return the events of a run of one epoch; of no epoch where there is no value."""
    epochs = [] if value is None else [EpochEnded(run_id, 1, {"val_mse": value, "seconds": seconds})]
    begun = RunStarted(run_id, kind, 0, {}, 0, 1, 100, key, devices=devices)
    return [begun, *epochs, *([RunEnded(run_id, status, None, {})] if status != "running" else [])]


def tell(state, *events):
    for event in events:
        state.apply(event)


def seeds_of_the_default(state, *values):
    """Tell of the default's trial and of its further seeds."""
    tell(state, *of_run("t0000", "trial", values[0], key="default"))
    for number, value in enumerate(values[1:], start=2):
        tell(state, *of_run(f"again{number}", "spread", value, key=f"default again {number}"))


def test_device_hours_are_seconds_of_epochs_times_devices_of_the_search_alone():
    state = StudyState()
    tell(state, *of_run("t0000", "trial", 0.1, devices=0.25), *of_run("again2", "spread", 0.1, devices=2.0))
    tell(state, EpochEnded("again2", 1, {"val_mse": 0.1, "seconds": 60.0}))  # told twice
    tell(state, *of_run("t0000-s1", "confirm", 0.1))
    assert state.device_s == 0.25 * 60 + 2 * 60


def test_device_hours_end_the_search_and_a_later_driver_counts_those_of_the_journal(tmp_path):
    path = tmp_path / "journal.jsonl"
    first = Recorder(Journal(path), StudyState())
    budget = SearchBudget(settings("--device-hours", "0.05"), first.state, first.state.search_wall_s, "processor")
    for number in (0, 1):
        for event in of_run(f"t000{number}", "trial", 0.1):
            first.record(event)
    assert budget.spent() is None  # 120 of 180 s
    state = StudyState.fold(journal.read(path))
    state.apply(SessionStarted({}))
    later = SearchBudget(settings("--device-hours", "0.05"), state, state.search_wall_s, "processor")
    assert later.spent() is None
    tell(state, *of_run("t0002", "trial", 0.1, status="running"))
    assert later.spent() == "device hours"
    assert later.ending() == ("device hours", "0.05 processor hours of 0.05 are used up")


@pytest.mark.parametrize("goes_on", [SessionStarted({"trials": 9}, time=20_000.0), TriedAgain("t0001", time=20_000.0)])
def test_confirmation_takes_nothing_of_the_time_budget_of_a_search_that_goes_on(goes_on):
    def budget(hours):
        return SearchBudget(settings("--time-budget", hours), state, state.search_wall_s, "GPU")

    state = StudyState.fold(
        [
            StudyStarted({}, time=0.0),
            *of_run("t0000", "trial", 0.1),
            *of_run("t0001", "trial", None, status="failed"),
            SearchEnded("trials", time=7200.0),
            Finished({"best": None}, time=11_100.0),  # after 65 minutes of confirmation
            SessionStarted({}, time=20_000.0),
            goes_on,
        ]
    )
    assert state.search_ended is None
    assert budget("3h").spent() is None
    assert budget("2.1h").spent() is None
    assert budget("2h").spent() == "time budget"


def test_a_search_has_a_trial_whatever_its_budget_and_the_first_limit_stays_the_reason():
    state = StudyState(search_wall_s=100.0)
    budget = SearchBudget(settings("--time-budget", "1s", "--device-hours", "1"), state, state.search_wall_s, "GPU")
    assert budget.spent() is None
    tell(state, *of_run("t0000", "trial", 0.1, seconds=3600))
    assert budget.spent() == "time budget"
    assert budget.ending() == ("time budget", "the time budget of 1 s is used up")
    assert SearchBudget(settings(), state, 0.0, "GPU").ending() == (
        "trials",
        "all of its trials have been",
    )


def test_the_spread_is_that_of_the_defaults_seeds_that_had_their_whole_budget():
    state = StudyState()
    assert spread_of_seeds(state, "val_mse") is None
    tell(state, *of_run("t0000", "trial", 0.2, key="default"), *of_run("t0001", "trial", 9.0))
    tell(state, *of_run("again2", "spread", 0.3), *of_run("again3", "spread", 0.4, status="running"))
    assert spread_of_seeds(state, "val_mse") is None
    tell(state, RunEnded("again3", "completed", None, {}))
    assert spread_of_seeds(state, "val_mse") == Spread(pytest.approx(0.1), 3)
    state.runs["t0000"].status = "stopped"  # its value is of fewer epochs
    assert spread_of_seeds(state, "val_mse").seeds == 2
    state.runs["again2"].status = "failed"
    assert spread_of_seeds(state, "val_mse") is None
    why = SearchBudget(settings("--patience", "1"), state, state.search_wall_s, "GPU").ending()[1]
    assert why.endswith("--patience ended nothing, as fewer than two seeds of the default had their whole budget")


@pytest.mark.parametrize(
    ("values", "spread", "mode", "counts"),  # after each value
    [
        ([5.0, 4.5, 4.1, 3.9, None, 3.0], 1.0, "min", [0, 1, 2, 0, 1, 2]),  # small steps add up to a gain
        ([5.0, 4.5, 4.1], 0.0, "min", [0, 0, 0]),
        ([0.5, 0.4, 0.8, 0.85], 0.1, "max", [0, 1, 0, 1]),
        ([None, None, 0.5, None], 0.1, "max", [0, 0, 0, 1]),  # nothing to gain on yet
    ],
)
def test_a_gain_is_one_beyond_the_spread_since_the_gain_before(values, spread, mode, counts):
    assert [without_gain(values[:known], spread, mode) for known in range(1, len(values) + 1)] == counts


def test_patience_counts_completed_and_stopped_trials_and_waits_for_the_spread():
    state = StudyState()
    budget = SearchBudget(settings("--patience", "2"), state, state.search_wall_s, "processor")
    tell(state, *of_run("t0000", "trial", 0.2, key="default"))
    for number in (1, 2, 3):
        tell(state, *of_run(f"t000{number}", "trial", 0.2))
    assert budget.spent() is None  # nobody knows how far seeds differ
    seeds_of_the_default(state, 0.2, 0.21, 0.19)
    assert budget.spent() == "patience"
    _, why = budget.ending()
    assert why == "2 trials without a gain of more than 0.01, the standard deviation of 3 seeds of the default"
    patient = SearchBudget(settings("--patience", "4"), state, state.search_wall_s, "processor")
    tell(state, *of_run("t0004", "trial", None, status="failed"))  # says nothing of what there is to gain
    assert patient.spent() is None
    tell(state, *of_run("t0005", "trial", 0.01, status="stopped"))  # of fewer epochs: no gain
    assert patient.spent() == "patience"


def test_trials_that_were_stopped_while_the_seeds_trained_do_not_count_and_a_late_gain_does():
    state = StudyState()
    budget = SearchBudget(settings("--patience", "10"), state, state.search_wall_s, "processor")
    tell(state, *of_run("t0000", "trial", 0.011, key="default", status="running"))
    for number in range(1, 13):
        tell(state, *of_run(f"t{number:04}", "trial", 0.05, status="stopped"))
    for number, value in ((2, 0.0102), (3, 0.0104)):
        tell(state, *of_run(f"again{number}", "spread", value, key=f"default again {number}"))
    assert budget.spent() is None  # the default trains yet
    tell(state, EpochEnded("t0000", 2, {"val_mse": 0.0103, "seconds": 1.0}), RunEnded("t0000", "completed", None, {}))
    tell(state, *of_run("t0013", "trial", 0.003))
    assert budget.spent() is None
    for number in range(14, 24):
        assert budget.spent() is None
        tell(state, *of_run(f"t{number:04}", "trial", 0.05, status="stopped"))
    assert budget.spent() == "patience"


SEED_SD = 0.0005


def ends(values, seeds):
    """Say whether --patience 10 ends a search that has these values, one trial after the other, before its last."""
    state = StudyState()
    seeds_of_the_default(state, *seeds)
    budget = SearchBudget(settings("--patience", "10"), state, state.search_wall_s, "processor")
    for number, value in enumerate(values, start=1):
        tell(state, *of_run(f"t{number:04}", "trial", value))
        if budget.spent():
            return True
    return False


def test_patience_ends_searches_that_have_converged_and_not_those_that_gain():
    """Two hundred of each, of 60 trials, whose configs scatter by 0.002, exponentially, above what the best could have.

    That stays what it is, or falls by 3 % with each trial; or it falls and nothing scatters. Every value has the luck
    of its seed, a normal deviation of 0.0005, and so have the three of the default.
    """
    rng = np.random.default_rng(0)
    ended = {"plateau": 0, "improving": 0, "improving and scattered": 0}
    flat, falling = np.full(60, 0.01), 0.05 * 0.97 ** np.arange(60)
    for _ in range(200):
        scatter = rng.exponential(0.002, 60)
        for kind, of in zip(ended, (flat + scatter, falling, falling + scatter), strict=True):
            values = of + rng.normal(0, SEED_SD, 60)
            ended[kind] += ends(values.tolist(), (of[0] + rng.normal(0, SEED_SD, 3)).tolist())
    print("--patience 10 ended", ", ".join(f"{count} of 200 {kind}" for kind, count in ended.items()))
    assert ended["plateau"] >= 195
    assert ended["improving"] <= 4
    assert ended["improving and scattered"] <= 10


def test_runs_are_stopped_at_their_next_result_for_the_limit_that_was_reached():
    reached = None
    stopper = BudgetStopper(lambda: reached, without_limit=["t0007"])
    first, again = (tune_result(StepResult({name: Report(epoch=1)}), []) for name in ("t0000", "t0007"))
    assert not stopper("a", first)
    reached = "patience"
    assert stopper("a", first)
    assert not stopper("b", again)
    assert stopper.stopped == {"a": "patience"}
    assert not stopper.stop_all()


def test_the_further_seeds_come_before_the_search_and_are_heard_of_by_nobody_else():
    heard = []

    class Search(JobList):
        def on_trial_result(self, trial_id, result):
            heard.append(trial_id)

        def on_trial_complete(self, trial_id, result=None, error=False):
            heard.append(trial_id)

    def jobs(*names):
        return [(Job(name, {}, 0, 1),) for name in names]

    def begin(job):
        pass

    both = Beside(
        JobList(jobs("again2", "again3"), begin, "val_mse"), Search(jobs("t0000"), begin, "val_mse"), "val_mse"
    )
    assert [job_of(both.suggest(name)).id for name in "abc"] == ["again2", "again3", "t0000"]
    assert both.suggest("d") == "FINISHED"
    for name in "abc":
        both.on_trial_result(name, {})
        both.on_trial_complete(name)
    assert heard == ["c", "c"]


def test_the_further_seeds_are_two_of_the_default_and_those_that_have_ended_are_not_planned_again():
    context = Context(SPACE.image_shape, 10)
    state = StudyState()
    planned = confirmation.further_seeds(state, settings("--patience", "9"), SPACE, context)
    assert [(one.job.id, one.candidate.key, one.kind) for one in planned] == [
        ("again2", "default again 2", "spread"),
        ("again3", "default again 3", "spread"),
    ]
    assert all(one.job.config == SPACE.default and not one.job.test for one in planned)
    assert len({one.job.seed for one in planned}) == 2
    tell(state, *of_run("again2", "spread", 0.1), *of_run("again3", "spread", 0.1, status="running"))
    assert [one.job.id for one in confirmation.further_seeds(state, settings("--patience", "9"), SPACE, context)] == [
        "again3"
    ]
    assert confirmation.further_seeds(state, settings(), SPACE, context) == []


def test_both_may_be_given_anew_and_say_that_there_is_more_to_do():
    recorded = settings("--device-hours", "1").to_json()
    del recorded["patience"]  # of an earlier version
    given = command_line.parse(["--resume", "night", "--device-hours", "2.5", "--patience", "7"]).given
    now, more = resolve.resumed_settings(given, recorded)
    assert (now.device_hours, now.patience) == (2.5, 7)
    assert more == {"device_hours": 2.5, "patience": 7}
    assert Settings.from_json(recorded).patience is None


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--device-hours", "0"], "--device-hours '0' is not allowed; give a number above 0"),
        (["--patience", "0"], "--patience '0' is not allowed; give a whole number of at least 1"),
        (
            ["--patience", "9", "--objective", "val_mse,params"],
            "--patience goes with one objective; the study's are val_mse,params",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(argv, words):
    with pytest.raises(UsageError, match=words):
        settings(*argv)


@pytest.mark.slow
def test_a_study_that_patience_ends_says_so_and_is_confirmed(tmp_path):
    words = ["--trials", "40", "--patience", "2", "--confirm", "1x2", "--scheduler", "none"]
    done = run(tmp_path, *SMALL, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "patience: 2 further runs of the default" in done.stdout
    state = state_of(tmp_path)
    assert (state.search_ended, len(state.trials) < 40) == ("patience", True)
    assert "ended     the search: 2 trials without a gain of more than" in done.stdout
    rows = table(tmp_path / "results/night/spread.csv")
    assert [(row["run_id"], row["key"]) for row in rows] == [
        ("again2", "default again 2"),
        ("again3", "default again 3"),
    ]
    summary = summary_of(tmp_path)
    assert summary["search_end"]["reason"] == "patience"
    assert summary["device_hours"] == pytest.approx(state.device_s / 3600)
    assert summary["best"]["test"]["n"] == 2
