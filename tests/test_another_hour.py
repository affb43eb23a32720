"""What another hour would be expected to bring: right by hand, and held to simulated searches that went on."""

import itertools

import pytest
from test_budget import settings, tell

from study.driver.another_hour import busy_seconds, expected, gains, quantile
from study.record.events import EpochEnded, RunEnded, RunStarted
from study.record.state import StudyState

LATER = 0.25  # of the orders of four trials of which the first three do not have the best one


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
    found = gains(values, 3.0, 3.0)  # 6 are to 9 as 4 are to 6
    assert sum(chance for _, chance in found) == pytest.approx(1.0)
    assert sum(size * chance for size, chance in found) == pytest.approx(by_all_orders(values, 4))
    assert dict(found)[0.0] == pytest.approx(4 / 6)  # the chance that none of three more is the best of nine
    assert [size for size, _ in found] == [0.0, 0.5, 1.0]
    between = gains(values, 1.2, 3.0)  # five of six
    assert sum(size * chance for size, chance in between) == pytest.approx(by_all_orders(values, 5))
    part = gains(values, 2.0, 3.0)  # 4.5: the mean of four and of five
    both = (by_all_orders(values, 4) + by_all_orders(values, 5)) / 2
    assert sum(size * chance for size, chance in part) == pytest.approx(both)


def test_a_given_config_that_was_best_has_to_be_beaten_first():
    assert dict(gains([5.0, 3.0, 9.0, 4.0], 4 / 3, 2.9)) == pytest.approx({0.0: 0.75, 0.9: LATER})
    assert dict(gains([5.0, 3.0, 9.0, 4.0], 4 / 3, 1.0)) == pytest.approx({0.0: 1.0})


def test_a_quantile_is_the_least_gain_that_is_sure_enough():
    chances = [(0.0, 0.5), (1.0, 0.4), (2.0, 0.1)]
    assert [quantile(chances, level) for level in (0.5, 0.6, 0.9, 0.95)] == [0.0, 1.0, 1.0, 2.0]


def test_time_counts_once_where_trials_train_side_by_side_and_not_between_searches():
    state = StudyState()
    tell(state, *trial(0, 0.1, 10.0, 20.0), *trial(1, 0.1, 15.0, 40.0), *trial(2, 0.1, 100.0, 110.0))
    assert busy_seconds(state.trials) == 40.0


def test_the_words_say_how_much_how_surely_and_by_what():
    values = [0.2 + 0.01 * place for place in range(12)]  # two hours
    found = expected(searched(values), settings())
    assert (found.seconds, found.trials) == (3600.0, pytest.approx(6.0))
    assert found.gain == pytest.approx(sum(size * chance for size, chance in gains(values, 6.0, 0.2)))
    assert found.none == pytest.approx(8 / 12)
    assert found.what.startswith("another hour would be expected to lower ")
    assert "by nothing with a chance of 67%, by at most 0.01 with one of 90%" in found.how
    assert "with 6 more completed trials, if further trials are like those" in found.how


def test_a_short_search_is_said_for_as_long_again_and_more_is_better_where_it_is():
    state = searched([0.9 - 0.01 * place for place in range(12)], seconds=60.0, metric="val_accuracy")
    found = expected(state, settings("--space", "digits_classifier"))
    assert (found.seconds, found.trials) == (720.0, 12.0)
    assert found.what.startswith("another 12 min, as long again, would be expected to raise ")
    assert found.gain > 0


def test_stopped_and_given_trials_take_time_and_are_not_what_the_sampler_brings():
    state = searched([0.2] * 3 + [0.5 + 0.01 * place for place in range(12)])
    for run in state.trials[:2]:
        run.key = "default"
    state.trials[2].status = "stopped"
    found = expected(state, settings())
    assert found.trials == pytest.approx(12 * 3600 / (15 * 600))
    assert (found.gain, found.none) == (0.0, pytest.approx(1.0))  # the given ones are far better


@pytest.mark.parametrize(
    ("state", "words", "why"),
    [
        (searched([0.1] * 9), (), "9 of the trials that the sampler drew were completed, and 10 are needed"),
        (StudyState(), (), "0 of the trials that the sampler drew were completed, and 10 are needed"),
        (searched([0.1] * 12), ("--objective", "val_mse,params"), "there are several objectives"),
        (searched([0.1] * 12), ("--objective", "params"), "is not measured on validation images"),
        (searched([0.1] * 12, seconds=4000.0), (), "an hour completes less than one trial"),
    ],
)
def test_what_is_not_known_is_not_said(state, words, why):
    found = expected(state, settings(*words))
    assert found.gain is None
    assert found.what == "not known what more would bring"
    assert found.how.endswith(why)
