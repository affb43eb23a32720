"""How often something is said of made-up studies in which nothing is true, and of planted differences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.comparisons.winners import Winner, compare_pairs
from analysis.figures import confirmation
from analysis.figures.bounds import lead_beyond_chance
from analysis.figures.importances import divergences, greatest_by_chance
from analysis.study_files import StudyFiles
from search_spaces import FAMILY_FACTS
from study.record.ablation import flattery
from study.record.intervals import Layers, Sample, are_pairs, difference, from_one_seed, mean_interval, told_apart

SAME, OTHER = Layers("dense", 1000), Layers("dense", 2000)


def at_most_5_percent(count, of):
    """Whether so many errors are within the 95 % interval of a binomial share of 5 %, or below it."""
    most = stats.binom.ppf(0.975, of, 0.05)
    print(f"wrong in {count} of {of:,}; 5 % is at most {most:.0f}")
    return count <= most


def thousand(*before):
    """The parameters of a test of a thousand studies, which takes minutes."""
    return pytest.param(*before, 1000, marks=pytest.mark.slow)


def sample(values, layers=SAME, first_seed=1):
    return Sample({first_seed + place: float(value) for place, value in enumerate(values)}, layers=layers)


def in_memory(trials, confirm=None):
    """Return a study of these tables, of an autoencoder, without files."""
    about = {"objective": {"metric": "val_mse", "mode": "min"}, "settings": {"space": "digits_ae"}}
    empty = pd.DataFrame()
    confirm = pd.DataFrame({"confirm_of": [], "status": []}) if confirm is None else confirm
    return StudyFiles(Path("made-up"), about, trials, empty, confirm, empty, None)


# --- the rule


def test_pairs_need_the_same_seeds_and_the_same_layers():
    first = sample([0.1, 0.5, 0.9])
    assert are_pairs(first, sample([0.0, 0.4, 0.8]))
    assert not are_pairs(first, sample([0.0, 0.4, 0.8], OTHER))
    assert not are_pairs(first, sample([0.0, 0.4, 0.8], first_seed=7))
    assert not are_pairs(first, sample([0.0, 0.4]))
    assert not are_pairs(Sample(first.values), Sample(first.values))  # layers that nobody knows


def test_the_tests_are_those_of_scipy():
    one, other = [0.1, 0.5, 0.9], [0.0, 0.41, 0.8]
    paired, welch = difference(sample(one), sample(other)), difference(sample(one), sample(other, OTHER))
    assert (paired.test, welch.test) == ("paired", "welch")
    assert paired.p == pytest.approx(stats.ttest_rel(one, other).pvalue)
    assert welch.p == pytest.approx(stats.ttest_ind(one, other, equal_var=False).pvalue)
    assert welch.ci95 == pytest.approx((-0.8101, 1.0035), abs=1e-3)
    assert paired.ci95 == pytest.approx(stats.ttest_rel(one, other).confidence_interval(0.95))
    against = difference(sample(one), Sample({}, 0.2))
    assert (against.test, against.p) == ("one_sample", pytest.approx(stats.ttest_1samp(one, 0.2).pvalue))
    assert difference(sample(one), sample(other), pairs=False) == welch


def test_seeds_that_do_not_differ_have_no_interval_and_no_test():
    """An interval of width 0 would say that the mean is known exactly, of two seeds that happen to agree."""
    equal = mean_interval([0.5, 0.5])
    assert (equal.mean, equal.ci95, equal.n) == (0.5, None, 2)
    assert equal.missing == "2 seeds do not differ, so no interval"
    assert mean_interval([0.5]).missing == "one seed has no interval"
    # the same difference on every seed, up to rounding: 0.3 - 0.1 is not 0.2
    found = difference(sample([0.3, 0.4, 0.5]), sample([0.1, 0.2, 0.3]))
    assert (found.ci95, found.p, found.n) == (None, None, 3)
    assert difference(sample([0.5] * 3), sample([0.4] * 3, OTHER)).p is None
    assert difference(sample([0.5] * 3), sample([0.4, 0.41, 0.42], OTHER)).p < 0.05  # one of the two varies


# --- nothing is true


def test_a_parameter_is_named_in_5_percent_of_the_studies_in_which_none_matters():
    """By each parameter's own null, 95 % of its shuffles, something was named in more than a quarter of these."""
    generator = np.random.default_rng(0)
    named, studies, trials = 0, 1000, 24
    for _ in range(studies):
        codes = np.column_stack([generator.integers(0, values, trials) for values in (2, 2, 3, 3, 3)])
        codes[generator.uniform(size=trials) < 0.5, 4] = -1  # a parameter that half of the trials have
        ranks = generator.permutation(trials).astype(float)
        found = divergences(codes, ranks, np.ones(trials), 0.2)
        named += bool(found.max() > greatest_by_chance(codes, ranks, 0.2, generator))
    assert at_most_5_percent(named, studies), named
    assert named  # it is a test, not a silence


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_one_more_seed_of_the_same_config_is_told_from_the_others_in_5_percent(seeds):
    """Beside the interval of the mean it was in 16, 33 and 51 %."""
    generator, wrong = np.random.default_rng(seeds), 0
    for _ in range(1000):
        found, *fresh = generator.normal(0.012, 0.0003, seeds + 1)
        gap = flattery("val_mse", found, dict(enumerate(fresh)))
        wrong += told_apart(gap, gap.p)
    assert at_most_5_percent(wrong, 1000), wrong
    assert wrong > 20


def test_the_interval_of_one_more_seed_is_wider_than_that_of_the_mean():
    values = [1.0, 2.0, 4.0]
    gap = from_one_seed(values, 5.0)
    half = 4.302653 * np.std(values, ddof=1) * np.sqrt(1 + 1 / 3)
    assert gap.ci95 == pytest.approx((gap.mean - half, gap.mean + half))
    assert (gap.n, gap.mean, gap.test_words) == (3, pytest.approx(7 / 3 - 5), "t-test of one more seed")
    assert from_one_seed([1.0], 2.0).p is None


def drawn(generator, trials=32):
    """Return which trials drew each of six parameters, and which lie at one of its bounds: of few values many do."""
    drew, at_bound = [], []
    for values in (2, 2, 3, 4, 20, 20):
        has = generator.uniform(size=trials) < (0.5 if values == 2 else 1)
        value = generator.integers(values, size=trials)
        drew += [has, has]
        at_bound += [has & (value == 0), has & (value == values - 1)]
    return np.array(drew, dtype=float), np.array(at_bound, dtype=float)


def test_a_bound_is_named_in_5_percent_of_the_studies_in_which_nothing_matters():
    """By most of the best trials alone, however often all trials lie there, it was named in most of these."""
    generator = np.random.default_rng(0)
    named, most, studies = 0, 0, 400
    for _ in range(studies):
        drew, at_bound = drawn(generator)
        named += bool(lead_beyond_chance(drew, at_bound, generator).any())
        known, there = drew[:, :5].sum(axis=1), at_bound[:, :5].sum(axis=1)
        most += bool(((known >= 3) & (there > known / 2)).any())
    assert at_most_5_percent(named, studies), named
    assert named
    assert most > 0.5 * studies


def test_a_bound_that_is_better_is_named_also_where_the_sampler_has_gone_there_already():
    generator = np.random.default_rng(0)
    found = []
    for _ in range(50):
        drew, at_bound = drawn(generator)
        there = generator.uniform(size=32) < 0.6
        order = np.argsort(generator.normal(size=32) - 2.0 * there)
        drew, at_bound = np.vstack([drew, np.ones(32)])[:, order], np.vstack([at_bound, there])[:, order]
        found.append(bool(lead_beyond_chance(drew, at_bound, generator)[-1]))
    assert np.mean(found) > 0.8


@pytest.mark.parametrize("layers", [SAME, OTHER], ids=["paired", "welch"])
@pytest.mark.parametrize("seeds", [3, 5])
def test_equal_configs_are_told_apart_in_5_percent_of_the_pairs(layers, seeds):
    generator = np.random.default_rng(seeds)
    wrong = 0
    for _ in range(1000):
        common = generator.normal(size=seeds) if layers is SAME else np.zeros(seeds)  # luck that a seed brings to both
        first, second = (common + generator.normal(size=seeds) for _ in range(2))
        found = difference(sample(first), sample(second, layers))
        assert found.test == ("paired" if layers is SAME else "welch")
        wrong += told_apart(found, found.p)
    assert at_most_5_percent(wrong, 1000), wrong


def winner(name, values, layers, *, metric="test_mse"):
    data = {"name": "mnist", "sizes": {"train": 9}, "split": "s", "image_shape": [1, 8, 8], "digest": "d"}
    others = {"test_ssim": sample(np.square(values), layers)}  # shown without a verdict
    return Winner(
        name, "ae", FAMILY_FACTS["ae"], data, False, "val_mse", "t0001", {"latent_size": 8}, layers.params,
        {metric: sample(values, layers), **others}, None, 8, 16, None,
    )  # fmt: skip


@pytest.mark.parametrize(("studies", "comparisons"), [(2, 400), (4, 200), thousand(2), thousand(4)])
def test_equal_studies_get_a_verdict_in_5_percent_of_the_comparisons(studies, comparisons):
    """However many studies are compared, and whatever the metrics that get no verdict show."""
    generator = np.random.default_rng(studies)
    wrong = 0
    for _ in range(comparisons):
        layers = [SAME, OTHER, SAME, Layers("conv", 1000)][:studies]
        pairs = compare_pairs([winner(f"s{n}", generator.normal(1, 0.1, 3), one) for n, one in enumerate(layers)])
        wrong += any("is better than" in (pair.verdict or "") for pair in pairs)
    assert at_most_5_percent(wrong, comparisons), wrong


@pytest.mark.parametrize("studies", [200, thousand()])
def test_equal_confirmed_configs_are_told_apart_in_5_percent_of_the_studies(studies, monkeypatch):
    monkeypatch.setattr(
        confirmation, "seeds_needed", lambda first, second, level: None
    )  # takes 0.1 s, and decides nothing
    generator = np.random.default_rng(1)
    wrong = 0
    for _ in range(studies):
        rows = pd.DataFrame(
            {
                "confirm_of": np.repeat(["a", "b", "c"], 3),
                "seed": np.tile([1, 2, 3], 3),
                "status": "completed",
                "params": np.repeat([100, 100, 200], 3),
                "config.architecture": "dense",
                "val_mse": generator.normal(1, 0.1, 9),
                "test_mse": generator.normal(1, 0.1, 9) + np.tile(generator.normal(0, 0.1, 3), 3),
            }
        )
        found = confirmation.compute_confirmation(in_memory(pd.DataFrame({"trial_id": [], "status": []}), rows))
        assert sorted(found.tests["test"]) == ["paired", "welch", "welch"]
        wrong += found.tests["told_apart"].any()
    assert at_most_5_percent(wrong, studies), wrong


# --- a planted difference


def power(correlation, gap, layers, seeds=3, runs=400):
    """Return how often two configs are told apart whose seeds correlate so, and that differ by `gap` deviations."""
    generator = np.random.default_rng(5)
    found = 0
    for _ in range(runs):
        common = np.sqrt(correlation) * generator.normal(size=seeds)
        own = np.sqrt(1 - correlation) * generator.normal(size=(2, seeds))
        one = difference(sample(common + own[0]), sample(common + own[1] + gap, layers))
        found += told_apart(one, one.p)
    return found / runs


def test_where_seeds_do_not_correlate_welch_sees_more_and_where_they_do_the_pairs():
    apart = {"welch": power(0.0, 2.5, OTHER), "paired": power(0.0, 2.5, SAME)}
    assert apart["welch"] > apart["paired"] + 0.05, apart
    print(f"power without correlation: {apart}")
    together = {"welch": power(0.9, 2.0, OTHER), "paired": power(0.9, 2.0, SAME)}
    assert together["paired"] > together["welch"] + 0.15, together
