"""What a simulation makes of replays: measures, intervals, candidates, verdict."""

from fractions import Fraction
from math import inf, nan

import pytest
from recorded_curves import curves, study_of

from study.search.schedulers import SchedulerSettings, default_settings
from study.simulation.candidates import Candidate, candidates
from study.simulation.grid import shuffled_orders, simulate
from study.simulation.measures import outcome
from study.simulation.over_orders import median_of, share_of, sign_test
from study.simulation.over_studies import means
from study.simulation.replay import Ended
from study.simulation.verdict import judge


def end(number, status, value, time, *, seconds=1.0, epochs=9):
    return Ended(f"t{number:04d}", status, epochs, value, time, seconds)


@pytest.fixture
def study(tmp_path):
    """Errors of 1/9, 1/9 + 0.1, ... after nine epochs."""
    return study_of(tmp_path, curves())


def measured(study, ends, best=1.0):
    return outcome(study, ends, best, within=(20.0, 5.0), whole_seconds=20.0)


def test_time_counts_until_a_completed_trial_is_close_enough(study):
    ends = [end(0, "stopped", 0.9, 2.0), end(1, "completed", 1.15, 4.0), end(2, "completed", 1.04, 9.0)]
    assert measured(study, ends).seconds_within == {20.0: 4.0, 5.0: 9.0}


def test_time_is_infinite_if_nothing_comes_close(study):
    found = measured(study, [end(0, "stopped", 1.0, 2.0), end(1, "completed", 1.5, 4.0)])
    assert set(found.seconds_within.values()) == {inf}
    assert not found.found


def test_regret_is_in_per_cent_of_the_best_and_infinite_before_the_first_completed_trial(study):
    found = measured(
        study, [end(0, "completed", 1.5, 8.0), end(1, "completed", 1.2, 15.0), end(2, "stopped", 0.5, 16.0)]
    )
    assert found.regret_at == {25: inf, 50: pytest.approx(50.0)}
    assert found.regret == pytest.approx(20.0)


def test_cost_is_that_of_all_trials_whatever_became_of_them(study):
    ends = [
        end(0, "failed", nan, 1.0, seconds=0.5, epochs=0),
        end(1, "stopped", 2.0, 3.0, seconds=2.0, epochs=4),
        end(2, "completed", 1.0, 9.0, seconds=6.0),
    ]
    found = measured(study, ends)
    assert (found.trial_seconds, found.epochs, found.wall_seconds, found.found) == (8.5, 13, 9.0, True)


def test_an_accuracy_is_the_better_the_higher(tmp_path):
    study = study_of(tmp_path, [[0.5, 0.8], [0.6, 0.9]], space="digits_classifier")
    assert study.best_of([0, 1]) == 0.9
    assert study.regret(0.81, 0.9) == pytest.approx(10.0)


def test_a_median_of_twenty_lies_between_the_sixth_and_the_fifteenth():
    spread = median_of([float(number) for number in range(1, 21)])
    assert (spread.middle, spread.low, spread.high) == (10.5, 6.0, 15.0)


def test_five_orders_have_no_interval_and_six_have_one():
    assert median_of([1.0] * 5).low is None
    assert median_of([1.0, 2.0, 3.0, 4.0, 5.0, inf]).high == inf


def test_a_median_bears_times_that_are_never_reached():
    assert median_of([1.0, inf, inf]).middle == inf
    assert median_of([1.0, 2.0, inf]).middle == 2.0


def test_a_share_of_all_is_not_certain():
    spread = share_of([True] * 10)
    assert (spread.middle, spread.high) == (1.0, pytest.approx(1.0))
    assert spread.low == pytest.approx(0.7225, abs=1e-4)  # Wilson 1927, at 10 of 10


def test_a_sign_test_counts_wins_and_leaves_out_ties():
    assert sign_test([1.0] * 6, [2.0] * 6) == pytest.approx(2 * 0.5**6)
    assert sign_test([1.0, 2.0, inf], [2.0, 1.0, inf]) == 1.0
    assert sign_test([1.0], [1.0]) == 1.0


def test_settings_that_are_the_same_in_every_study_are_one_candidate():
    found = candidates(["asha"], [Fraction(1), Fraction(1, 9)], [3], [9])
    assert found == [Candidate("none"), Candidate("asha")]  # one epoch is the default and a ninth of nine
    assert len(candidates(["asha"], [Fraction(1), Fraction(1, 9)], [3], [9, 27])) == 3


def test_a_scheduler_has_only_the_settings_that_it_knows():
    found = candidates(["none", "median"], [Fraction(1, 2)], [2, 3, 4], [20])
    assert [candidate.settings(20) for candidate in found] == [
        SchedulerSettings(),
        default_settings("median", 20),
        SchedulerSettings(10),
    ]


@pytest.mark.parametrize(("grace", "epochs"), [(Fraction(1, 100), 1), (Fraction(50), 9), (Fraction(1, 2), 4)])
def test_a_grace_period_is_at_least_one_epoch_and_at_most_all(grace, epochs):
    assert Candidate("asha", grace, 3).settings(9).grace_period == epochs


def test_orders_are_repeatable_and_hold_every_trial_once(study):
    orders = shuffled_orders(study, 5, seed=1)
    assert orders == shuffled_orders(study, 5, seed=1)
    assert orders != shuffled_orders(study, 5, seed=2)
    assert all(sorted(order) == list(range(8)) for order in orders)


def test_a_sample_has_something_to_find(tmp_path):
    study = study_of(tmp_path, [[nan]] * 6 + curves(2))
    orders = shuffled_orders(study, 30, seed=0, sample=2)
    assert all(len(order) == 2 and max(order) >= 6 for order in orders)


def rows_of(study, workers=(1, 2), orders=12):
    compared = candidates(["asha", "median"], [Fraction(1, 3)], [2, 3], [study.max_epochs])
    return list(simulate(study, compared, workers, shuffled_orders(study, orders, 0), (5.0, 1.0)))


def test_curves_that_never_cross_are_found_sooner_and_cheaper_by_a_scheduler(study):
    rows = rows_of(study)
    none, *others = [row for row in rows if row.workers == 1]
    assert none.summary.epochs.middle == 8 * 9
    assert none.summary.cost_of_none.middle == 1.0
    assert none.summary.times_none[1.0].middle == 1.0
    assert all(row.summary.found.middle == 1.0 for row in others)
    assert all(row.summary.times_none[1.0].middle <= 1.0 and row.summary.cost_of_none.middle < 1.0 for row in others)


def test_a_late_bloomer_is_what_a_hasty_scheduler_loses(tmp_path):
    late = [2.0] * 5 + [0.01] * 4  # the worst for five epochs, then the best
    rows = rows_of(study_of(tmp_path, [*curves(), late]), workers=(1,))
    found = {(row.candidate.scheduler, row.settings.grace_period): row.summary.found.middle for row in rows}
    assert found["none", None] == 1.0
    assert found["asha", 1] < 0.5
    verdict = judge(rows, 1.0)
    assert verdict.surest.candidate.scheduler == "none"


def test_the_verdict_names_the_soonest_and_what_is_level_with_it(study):
    rows = [row for row in rows_of(study) if row.workers == 2]
    verdict = judge(rows, 1.0)
    times = {row.candidate: row.summary.seconds_within[1.0].middle for row in rows}
    assert times[verdict.soonest.candidate] == min(times.values())
    assert verdict.soonest not in verdict.level
    assert verdict.surest is verdict.soonest


def test_the_mean_over_studies_is_of_ratios_and_as_late_as_the_latest(tmp_path):
    studies = [study_of(tmp_path / "a", curves()), study_of(tmp_path / "b", [*curves(), [2.0] * 5 + [0.01] * 4])]
    both = [rows_of(one, workers=(1,)) for one in studies]
    table = {mean.candidate: mean for mean in means(both, 1.0)}
    assert (table[Candidate("none")].times_none, table[Candidate("none")].found) == (1.0, 1.0)
    asha = [next(row.summary for row in rows if row.candidate == Candidate("asha")) for rows in both]
    assert table[Candidate("asha")].found == pytest.approx((asha[0].found.middle + asha[1].found.middle) / 2)
    assert table[Candidate("asha")].times_none == inf
    assert table[Candidate("asha")].worst_found == asha[1].found.middle
