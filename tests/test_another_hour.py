"""What another hour would be expected to bring: right by hand, and held to simulated searches that went on."""

import itertools
import math
from dataclasses import replace

import numpy as np
import optuna
import pytest
from test_budget import settings, tell

from study.driver.another_hour import busy_seconds, expected, forecast, gains, gains_in_order, mean, quantile
from study.record.events import EpochEnded, RunEnded, RunStarted
from study.record.state import StudyState
from study.search.sampling import sampler_for_trial


def trial(number, value, start, end, *, key=None, status="completed", metric="val_mse"):
    """Return the events of a trial that trained from one second of the study to another."""
    name = f"t{number:04}"
    began, ended = {"time": 1000.0 + start, "elapsed": start}, {"time": 1000.0 + end, "elapsed": end}
    begun = RunStarted(name, "trial", number, {}, 0, 1, 100, key, **began)
    epochs = [] if value is None else [EpochEnded(name, 1, {metric: value, "seconds": end - start}, **ended)]
    return [begun, *epochs, RunEnded(name, status, None, {}, **ended)]


def searched(values, seconds=600.0, **about):
    """Return the state of a search of these values, one after the other."""
    state = StudyState()
    for number, value in enumerate(values):
        tell(state, *trial(number, value, number * seconds, (number + 1) * seconds, **about))
    return state


def by_all_orders(values, first):
    """Return the mean gain of the best of all over the best of the first so many, over all orders."""
    orders = list(itertools.permutations(values))
    return sum(min(order[:first]) - min(order) for order in orders) / len(orders)


def test_gains_are_those_of_all_orders_of_the_trials():
    values = [5.0, 3.0, 4.0, 9.0, 3.5, 7.0]
    found = gains(values, 4.0)
    assert sum(chance for _, chance in found) == pytest.approx(1.0)
    assert [size for size, _ in found] == [0.0, 0.5, 1.0]
    assert found[0][1] == pytest.approx(4 / 6)  # the best is among four of six
    assert mean(found) == pytest.approx(by_all_orders(values, 4))
    assert mean(gains(values, 6.0)) == 0.0
    between = 0.75 * by_all_orders(values, 4) + 0.25 * by_all_orders(values, 5)
    assert mean(gains(values, 4.25)) == pytest.approx(between)


def test_more_trials_gain_as_the_last_ones_did_and_the_less_the_more_there_were():
    values = [5.0, 3.0, 4.0, 9.0, 3.5, 7.0]
    last, before = by_all_orders(values, 4), by_all_orders(values, 2) - by_all_orders(values, 4)
    found = forecast(values, 3.0, 3.0, learns=False)  # 6 are to 9 as 4 are to 6; 16 / 6 are to 4 so, too
    earlier = by_all_orders(values, 2) / 3 + by_all_orders(values, 3) * 2 / 3 - last
    assert before > earlier > last
    assert found == pytest.approx((last * last / earlier, 1.0, 4 / 6))


def test_a_given_config_that_was_best_has_to_be_beaten_first():
    values = [5.0, 3.0, 9.0, 4.0]
    gain, at_most, none = forecast(values, 4 / 3, 2.9, learns=False)  # of three of four: 3 or 4
    assert 0 < gain < 0.25 * 0.9
    assert (at_most, none) == (pytest.approx(0.9), pytest.approx(0.75))
    assert forecast(values, 4 / 3, 1.0, learns=False) == pytest.approx((0.0, 0.0, 1.0))


def test_a_quantile_is_the_least_gain_that_is_sure_enough():
    chances = [(0.0, 0.5), (1.0, 0.4), (2.0, 0.1)]
    assert [quantile(chances, level) for level in (0.5, 0.6, 0.9, 0.95)] == [0.0, 1.0, 1.0, 2.0]


def test_what_a_learning_sampler_gained_is_of_the_order_in_which_trials_ended():
    values = [9.0, 8.0, 5.0, 6.0, 5.0, 4.5, 4.0, 3.0, 3.5, 2.9, 3.0, 2.8]
    assert gains_in_order(values, 8, 6) == (pytest.approx(0.2), pytest.approx(2.1))  # from 5 to 2.9
    assert gains_in_order(values, 8, 1) == (pytest.approx(0.2), pytest.approx(1.0))
    alike, learned = (forecast(values, 6.0, 2.8, learns=learns) for learns in (False, True))
    assert learned == pytest.approx((max(alike[0], 0.2), max(alike[1], 2.1), alike[2]))
    assert forecast(values, 6.0, 1.8, learns=True)[1] == pytest.approx(learned[1] - 1.0)


def test_time_counts_once_where_trials_train_side_by_side_and_not_between_searches():
    state = StudyState()
    tell(state, *trial(0, 0.1, 10.0, 20.0), *trial(1, 0.1, 15.0, 40.0), *trial(2, 0.1, 100.0, 110.0))
    assert busy_seconds(state.trials) == 40.0


RANDOM = ("--sampler", "random")
RISING = [0.2, 0.31, 0.22, 0.3, 0.24, 0.29, 0.26, 0.27, 0.28, 0.25, 0.23, 0.21]
"""Twelve values that get no better."""


def test_the_words_say_how_much_how_surely_and_by_what():
    found = expected(searched(RISING), settings(*RANDOM))  # two hours
    assert (found.seconds, found.trials) == (3600.0, pytest.approx(6.0))
    assert (found.gain, found.at_most, found.none) == pytest.approx(forecast(RISING, 6.0, 0.2, learns=False))
    assert found.none == pytest.approx(8 / 12)
    assert found.what.startswith("another hour would be expected to lower ")
    assert f"by nothing with a chance of 67%, by at most {found.at_most:.3g} in four of five such searches" in found.how
    assert "; 6 more completed trials, if more trials are like those that the sampler drew" in found.how


def test_a_short_search_is_said_for_as_long_again_and_more_is_better_where_it_is():
    state = searched([1 - value for value in RISING], seconds=60.0, metric="val_accuracy")
    found = expected(state, settings("--space", "digits_classifier", *RANDOM))
    assert (found.seconds, found.trials) == (360.0, 6.0)
    assert found.what.startswith("another 6 min, half as long again, would be expected to raise ")
    assert found.gain > 0


def test_stopped_and_given_trials_take_time_and_are_not_what_the_sampler_brings():
    state = searched([0.05] * 3 + RISING)
    for run in state.trials[:2]:
        run.key = "default"
    state.trials[2].status = "stopped"
    found = expected(state, settings(*RANDOM))
    assert found.trials == pytest.approx(12 * 3600 / (15 * 600))
    assert (found.gain, found.none) == (0.0, pytest.approx(1.0))  # the given ones are far better


@pytest.mark.parametrize(
    ("state", "words", "why"),
    [
        (searched(RISING[:9]), (), "9 of the sampler's trials completed, 10 needed"),
        (StudyState(), (), "0 of the sampler's trials completed, 10 needed"),
        (
            searched(RISING),
            ("--sampler", "tpe"),
            "12 of the sampler's trials completed, 20 needed",
        ),
        (searched(RISING), ("--sampler", "nsga2", "--objective", "val_mse,params"), "there are several objectives"),
        (searched(RISING, seconds=4000.0), (), "an hour completes less than one trial"),
    ],
)
def test_what_is_not_known_is_not_said(state, words, why):
    found = expected(state, settings(*RANDOM, *words))
    assert found.gain is None
    assert found.what == "what more time would bring is not known"
    assert found.how.endswith(why)


def test_nothing_is_said_of_a_study_of_an_earlier_version_that_searched_for_a_size_alone():
    found = expected(searched(RISING), replace(settings(*RANDOM), objectives=("params",)))
    assert (found.gain, found.how) == (None, "parameters is not measured on validation images")


DRAWN = {
    "exponential": lambda rng, count: rng.exponential(1.0, count),
    "uniform": lambda rng, count: rng.uniform(0, 1, count),
    "cube of a uniform": lambda rng, count: rng.uniform(0, 1, count) ** 3,
    "log-normal": lambda rng, count: rng.lognormal(0, 1, count),
    "normal": lambda rng, count: rng.normal(0, 1, count),
    "a bowl in five dimensions": lambda rng, count: (rng.uniform(-1, 1, (count, 5)) ** 2).sum(axis=1),
}
"""Values of trials that are alike, with bounds that are near, far or not there."""


@pytest.mark.parametrize(("trials", "more"), [(12, 6), (20, 5), (40, 20)])
@pytest.mark.parametrize("kind", DRAWN)
def test_the_forecast_holds_in_simulated_searches_that_went_on(kind, trials, more):
    """A thousand of each: the mean gain, the chance of none, and how often it was within what was said at most."""
    rng = np.random.default_rng(0)
    went = [DRAWN[kind](rng, trials + more) for _ in range(1000)]
    ratio, within, none, said = held_to(went, trials, more, learns=False)
    print(f"{kind}, {trials} and {more} more: {ratio:.2f} of the gain, {within:.0%} within what was said at most")
    assert 0.7 < ratio < (1.5 if kind != "cube of a uniform" else 2.6)
    assert within >= 0.8
    assert none == pytest.approx(said, abs=0.05)


def held_to(went, trials, more, *, learns):
    """Return the mean gain said over what was had, how often that was within at most, and both chances of none."""
    gained = np.array([values[:trials].min() - values[: trials + more].min() for values in went])
    said = [forecast(values[:trials].tolist(), more, values[:trials].min(), learns=learns) for values in went]
    gain, at_most, none = np.array(said).T
    return gain.mean() / gained.mean(), (gained <= at_most).mean(), (gained == 0).mean(), none.mean()


def bowl(trial, rng):
    """Return the value of a bowl in five dimensions, with a little luck."""
    return sum(place * trial.suggest_float(f"x{place}", -1, 1) ** 2 for place in range(1, 6)) + 0.01 * rng.normal()


def network(trial, rng):
    """Return an error as networks have it: by rate, width, code and architecture, two of which have a depth."""
    rate, width = trial.suggest_float("lr", 1e-5, 1e-1, log=True), trial.suggest_int("width", 16, 512, log=True)
    code, kind = trial.suggest_int("z", 2, 64, log=True), trial.suggest_categorical("arch", ["a", "b", "c"])
    depth = trial.suggest_int("depth", 1, 4) if kind != "c" else 1
    error = {"a": 0.01, "b": 0.012, "c": 0.02}[kind] * (1 + 0.3 * (math.log10(rate) + 2.7) ** 2)
    return error * (1 + 4 / code) * (1 + 8 / width) * (1 + 0.05 * abs(depth - 2)) * math.exp(0.02 * rng.normal())


@pytest.mark.slow
@pytest.mark.parametrize("objective", [bowl, network])
def test_the_forecast_holds_in_searches_of_tpe_that_went_on(objective):
    """Forty searches of 60 trials, looked at after 20, 30 and 40 of them."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    went = []
    for seed in range(40):
        rng, study, values = np.random.default_rng(seed), optuna.create_study(), []
        for number in range(60):
            study.sampler = sampler_for_trial("tpe", seed, number)
            trial = study.ask()
            values.append(objective(trial, rng))
            study.tell(trial, values[-1])
        went.append(np.array(values))
    for trials, more in ((20, 5), (20, 10), (30, 10), (30, 15), (40, 5), (40, 10), (40, 20)):
        ratio, within, none, said = held_to(went, trials, more, learns=True)
        alike, *_ = held_to(went, trials, more, learns=False)
        print(
            f"{objective.__name__}, {trials} and {more} more: {ratio:.2f} of the gain, {alike:.2f} as if drawn alike; "
            f"{within:.0%} within what was said at most, nothing gained by {none:.0%}, said {said:.0%} or less"
        )
        assert 0.5 < ratio < 3.5
        assert within >= 0.8
        assert none < said + 0.1
