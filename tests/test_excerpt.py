"""What a sampler is shown of a long study, and that the study's own record stays whole."""

import cProfile
import math
import pstats
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial
from test_searcher import Driver

from study.search.excerpt import Excerpt
from study.search.fronts import by_fronts
from study.search.sampling import sampler_for_trial
from study.search.storages import SearchLog, opened
from study.settings.algorithms import SAMPLERS

MIN, MAX = StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE
X = {"x": FloatDistribution(0, 1)}


def ended(number, *values, state=TrialState.COMPLETE, epochs=None, excess=None):
    made = create_trial(
        state=state,
        values=list(values) or None,
        params={"x": 0.5},
        distributions=X,
        intermediate_values=epochs or {},
    )
    made.number = number
    if excess is not None:
        made.set_constraint("params", excess)
    return made


def excerpt(trials, most, directions=(MIN,)):
    made = Excerpt(directions, most)
    for trial in trials:
        made.add(trial)
    return [trial.number for trial in made.trials()]


def drawn(count, seed=0):
    rng = random.Random(seed)
    return [ended(number, rng.random()) for number in range(count)]


def test_a_short_study_is_shown_whole_and_in_order():
    trials = drawn(20)
    assert excerpt(trials[::-1], 20) == list(range(20))


@pytest.mark.parametrize(("direction", "worst_first"), [(MIN, True), (MAX, False)])
def test_of_a_longer_one_the_best_tenth_is_whole_and_the_number_is_the_most(direction, worst_first):
    trials = drawn(300)
    best = sorted(trials, key=lambda trial: trial.value, reverse=not worst_first)[:4]
    shown = excerpt(trials, 40, (direction,))
    assert len(shown) == 40
    assert shown == sorted(shown)
    assert {trial.number for trial in best} <= set(shown)


def test_the_rest_is_a_sample_of_all_times_and_values():
    """The share of 40 samples that is in each fifth of the trials, in order of number and of value: all are alike."""
    counts = {"number": [0] * 5, "value": [0] * 5}
    for seed in range(40):
        rng = random.Random(seed)
        trials = [ended(1000 * seed + number, rng.random()) for number in range(500)]
        ranks = {trial.number: rank for rank, trial in enumerate(sorted(trials, key=lambda trial: trial.value))}
        for number in excerpt(trials, 50):
            if ranks[number] >= 5:
                counts["number"][number % 1000 // 100] += 1
                counts["value"][ranks[number] // 100] += 1
    assert all(300 < count < 420 for of in counts.values() for count in of), counts  # 360 ± 17 are expected


def test_it_is_the_same_in_whatever_order_the_trials_ended():
    trials = drawn(200)
    shuffled = random.Random(1).sample(trials, len(trials))
    assert excerpt(shuffled, 30) == excerpt(trials, 30)


def test_one_trial_more_changes_it_by_few():
    trials = drawn(400)
    made = Excerpt((MIN,), 40)
    before: set[int] = set()
    for trial in trials:
        made.add(trial)
        now = {one.number for one in made.trials()}
        # The trial itself may be sampled, and the one that it takes from the best may be, too.
        assert len(before - now) <= 2
        before = now


def test_trials_with_values_come_before_stopped_ones_and_those_before_what_breaks_a_constraint():
    pruned = TrialState.PRUNED
    inside = [
        ended(7, 0.9),
        ended(3, epochs={1: 0.8, 3: 0.6}, state=pruned),
        ended(8, epochs={1: 0.8, 3: 0.7}, state=pruned),
        ended(1, epochs={3: math.nan}, state=pruned),
        ended(2, epochs={1: 0.1}, state=pruned),
        ended(6, state=pruned),
        ended(4, 0.1, excess=0.5),
        ended(5, 0.0, excess=2.0),
    ]
    rest = [ended(number, 0.0, excess=5.0 + number) for number in range(100, 400)]
    for count in range(1, len(inside) + 1):
        found = Excerpt((MIN,), 10 * count)
        for trial in [*rest, *inside]:
            found.add(trial)
        assert found._best(count) == [trial.number for trial in inside[:count]]


def test_a_failed_trial_is_not_shown():
    assert excerpt([ended(0, state=TrialState.FAIL), *drawn(5)[1:]], 10) == [1, 2, 3, 4]


def test_of_several_objectives_the_best_are_of_the_first_fronts():
    rng = random.Random(0)
    trials = [ended(number, rng.random(), rng.randrange(64)) for number in range(300)]
    trials += [ended(300 + number, 0.0, 99.0, excess=1.0) for number in range(50)]
    shown = excerpt(random.Random(1).sample(trials, 350), 60, (MIN, MAX))
    first = by_fronts(np.array([[trial.values[0], -trial.values[1]] for trial in trials[:300]]), 6)
    assert set(first) <= set(shown)
    assert len(shown) == 60


def study_of(log: Path, most, trials=0, objectives=1):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(storage=SearchLog(log, most), study_name="night", directions=["minimize"] * objectives)
    rng = random.Random(0)
    for _ in range(trials):
        x = {name: rng.random() for name in "xyz"}
        values = [sum(x.values()), x["x"]][:objectives]
        study.add_trial(create_trial(params=x, distributions=dict.fromkeys(x, X["x"]), values=values))
    return study


def test_a_sampler_is_shown_some_trials_and_the_log_has_all(tmp_path):
    study = study_of(tmp_path / "optuna.log", 20, trials=50)
    going_on = [study.ask(X) for _ in range(15)]
    shown = study.get_trials()
    assert len(shown) == 20 + 10
    assert [trial.number for trial in shown if not trial.state.is_finished()] == list(range(55, 65))
    assert [trial.state for trial in study.get_trials(states=(TrialState.RUNNING,))] == [TrialState.RUNNING] * 10
    study.tell(going_on[-1], -1.0)
    assert study.best_trial.number == going_on[-1].number
    whole = optuna.load_study(storage=opened(tmp_path / "optuna.log"), study_name="night").trials
    assert [trial.number for trial in whole] == list(range(65))
    assert whole[64].params == going_on[-1].params


def test_a_given_trial_is_asked_next(tmp_path):
    study = study_of(tmp_path / "optuna.log", 20, trials=50)
    study.enqueue_trial({"x": 0.125})
    assert study.ask(X).params == {"x": 0.125}
    assert study.ask(X).params != {"x": 0.125}


def test_without_a_bound_all_trials_are_shown(tmp_path):
    study = study_of(tmp_path / "optuna.log", None, trials=50)
    study.ask(X)
    assert len(study.get_trials()) == 51


@pytest.mark.parametrize("objectives", [1, 2])
def test_a_suggestion_costs_no_more_after_900_trials_than_after_300(tmp_path, objectives):
    def calls(trials):
        study = study_of(tmp_path / f"{trials}.log", SAMPLERS["tpe"].learns_from, trials, objectives)
        study.sampler = sampler_for_trial("tpe", 0, 10**6)
        with cProfile.Profile() as profile:
            study.ask(dict.fromkeys("xyz", X["x"]))
        return pstats.Stats(profile).total_calls

    assert calls(900) == pytest.approx(calls(300), rel=0.2)


@pytest.mark.parametrize("objectives", [("val_mse",), ("val_mse", "params")], ids=["one", "several"])
def test_a_resumed_search_that_is_longer_than_what_is_shown_draws_as_an_uninterrupted_one(
    tmp_path, monkeypatch, objectives
):
    monkeypatch.setitem(SAMPLERS, "tpe", replace(SAMPLERS["tpe"], learns_from=14))

    def run(driver, count):
        """Every third one is stopped, and two go on at a time, so that they end in another order."""
        configs = []
        for number in range(0, count, 2):
            pair = [driver.ask() for _ in range(2)]
            for place, (tune_id, job) in reversed(list(enumerate(pair))):
                last = 2 if (number + place) % 3 == 0 else 4
                for epoch in range(1, last + 1):
                    driver.report(tune_id, job, epoch, last=epoch == last)
            configs += [job.config for _, job in pair]
        return configs

    options = {"objectives": objectives, "trials": 40}
    through = Driver(tmp_path / "through", **options)
    expected = run(through, 36)
    got = run(Driver(tmp_path / "resumed", **options), 30)
    second = Driver(tmp_path / "resumed", **options)
    assert got + run(second, 6) == expected
    assert len(second.searcher._study.get_trials()) == 14
    assert len(second.optuna_trials()) == 36


def test_of_a_trial_that_has_ended_the_searcher_keeps_nothing_and_hears_nothing_more(tmp_path):
    driver = Driver(tmp_path / "s")
    tune_id, job = driver.ask()
    for epoch in (1, 2, 3, 4):
        driver.report(tune_id, job, epoch, last=epoch == 4)
    assert (driver.searcher._trials, driver.searcher._reported) == ({}, {})
    driver.searcher.on_trial_complete(tune_id, None, error=True)  # as Tune says of a worker that dies afterwards
    assert [trial.state for trial in driver.optuna_trials()] == [TrialState.COMPLETE]


def test_the_log_is_opened_only_where_something_was_written_since(tmp_path, monkeypatch):
    study = study_of(tmp_path / "optuna.log", None, trials=3)
    monkeypatch.setattr(Path, "open", lambda *a, **k: pytest.fail("opened"))
    assert len(study.get_trials()) == 3


def test_a_line_that_another_program_writes_is_read_with_the_next_of_our_own(tmp_path):
    study = study_of(tmp_path / "optuna.log", None, trials=1)
    optuna.load_study(storage=opened(tmp_path / "optuna.log"), study_name="night").set_user_attr("note", "good")
    study.set_user_attr("ours", 1)
    assert study.user_attrs == {"note": "good", "ours": 1}
