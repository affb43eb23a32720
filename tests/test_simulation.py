"""What a simulation makes of replays: measures, intervals, candidates, ranking."""

from fractions import Fraction
from math import inf, nan

import numpy as np
import pytest
from recorded_curves import curves, study_of
from scipy.stats import binom

from study.search.schedulers import SchedulerSettings, default_settings
from study.simulation.grid import Variant, means_over_studies, rank_cells, shuffled_orders, simulate, variants
from study.simulation.measures import measure_order, median_of, share_of, told_slower
from study.simulation.replay import Ended


def end(number, status, value, time, *, seconds=1.0, epochs=9):
    return Ended(f"t{number:04d}", status, epochs, value, time, seconds)


@pytest.fixture
def study(tmp_path):
    """Errors of 1/9, 1/9 + 0.1, ... after nine epochs."""
    return study_of(tmp_path, curves())


def measured(study, ends, best=1.0):
    return measure_order(study, ends, best, within=(20.0, 5.0), whole_seconds=20.0)


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


def test_of_many_settings_that_are_alike_any_is_told_slower_in_5_percent_of_the_studies():
    """By sign tests beside the one that these same orders picked, at least one of 23 was in 79 %."""
    generator = np.random.default_rng(0)
    wrong = 0
    for _ in range(60):
        times = generator.exponential(100.0, (23, 20))
        times[generator.uniform(size=times.shape) < 0.1] = inf  # orders that never get there
        wrong += told_slower(times, int(np.median(times, axis=1).argmin())).any()
    assert wrong <= binom.ppf(0.975, 60, 0.05)


def test_what_is_slower_in_every_order_is_told_and_what_ties_is_not():
    generator = np.random.default_rng(0)
    alike = generator.exponential(100.0, (8, 20))
    times = np.vstack([alike.min(axis=0) / 2, alike.min(axis=0) / 2, alike, np.full(20, inf)])
    assert told_slower(times, 0).tolist() == [False, False, *[True] * 9]
    assert not told_slower(np.ones((3, 4)), 0).any()


def test_settings_that_are_the_same_in_every_study_are_one_variant():
    found = variants(["asha"], [Fraction(1), Fraction(1, 9)], [3], [9])
    assert found == [Variant("none"), Variant("asha")]  # one epoch is the default and a ninth of nine
    assert len(variants(["asha"], [Fraction(1), Fraction(1, 9)], [3], [9, 27])) == 3


def test_a_scheduler_has_only_the_settings_that_it_knows():
    found = variants(["none", "median"], [Fraction(1, 2)], [2, 3, 4], [20])
    assert [variant.settings(20) for variant in found] == [
        SchedulerSettings(),
        default_settings("median", 20),
        SchedulerSettings(10),
    ]


@pytest.mark.parametrize(("grace", "epochs"), [(Fraction(1, 100), 1), (Fraction(50), 9), (Fraction(1, 2), 4)])
def test_a_grace_period_is_at_least_one_epoch_and_at_most_all(grace, epochs):
    assert Variant("asha", grace, 3).settings(9).grace_period == epochs


def test_orders_are_repeatable_and_hold_every_trial_once(study):
    orders = shuffled_orders(study, 5, seed=1)
    assert orders == shuffled_orders(study, 5, seed=1)
    assert orders != shuffled_orders(study, 5, seed=2)
    assert all(sorted(order) == list(range(8)) for order in orders)


def test_a_sample_has_something_to_find(tmp_path):
    study = study_of(tmp_path, [[nan]] * 6 + curves(2))
    orders = shuffled_orders(study, 30, seed=0, sample=2)
    assert all(len(order) == 2 and max(order) >= 6 for order in orders)


def cells_of(study, workers=(1, 2), orders=12):
    compared = variants(["asha", "median"], [Fraction(1, 3)], [2, 3], [study.max_epochs])
    return list(simulate(study, compared, workers, shuffled_orders(study, orders, 0), (5.0, 1.0)))


def test_curves_that_never_cross_are_found_sooner_and_cheaper_by_a_scheduler(study):
    cells = cells_of(study)
    none, *others = [cell for cell in cells if cell.workers == 1]
    assert none.summary.epochs.middle == 8 * 9
    assert none.summary.cost_of_none.middle == 1.0
    assert none.summary.times_none[1.0].middle == 1.0
    assert all(cell.summary.found.middle == 1.0 for cell in others)
    assert all(cell.summary.times_none[1.0].middle <= 1.0 and cell.summary.cost_of_none.middle < 1.0 for cell in others)


def test_a_late_bloomer_is_what_a_hasty_scheduler_loses(tmp_path):
    late = [2.0] * 5 + [0.01] * 4  # the worst for five epochs, then the best
    cells = cells_of(study_of(tmp_path, [*curves(), late]), workers=(1,))
    found = {(cell.variant.scheduler, cell.settings.grace_period): cell.summary.found.middle for cell in cells}
    assert found["none", None] == 1.0
    assert found["asha", 1] < 0.5
    ranking = rank_cells(cells, 1.0)
    assert ranking.surest.variant.scheduler == "none"


def test_the_ranking_names_the_soonest_and_what_is_level_with_it(study):
    cells = [cell for cell in cells_of(study) if cell.workers == 2]
    ranking = rank_cells(cells, 1.0)
    times = {cell.variant: cell.summary.seconds_within[1.0].middle for cell in cells}
    assert times[ranking.soonest.variant] == min(times.values())
    assert ranking.soonest not in ranking.level
    assert ranking.surest is ranking.soonest


def test_the_mean_over_studies_is_of_ratios_and_as_late_as_the_latest(tmp_path):
    studies = [study_of(tmp_path / "a", curves()), study_of(tmp_path / "b", [*curves(), [2.0] * 5 + [0.01] * 4])]
    both = [cells_of(one, workers=(1,)) for one in studies]
    table = {mean.variant: mean for mean in means_over_studies(both, 1.0)}
    assert (table[Variant("none")].times_none, table[Variant("none")].found) == (1.0, 1.0)
    asha = [next(cell.summary for cell in cells if cell.variant == Variant("asha")) for cells in both]
    assert table[Variant("asha")].found == pytest.approx((asha[0].found.middle + asha[1].found.middle) / 2)
    assert table[Variant("asha")].times_none == inf
    assert table[Variant("asha")].worst_found == asha[1].found.middle
