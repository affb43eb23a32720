import io
import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
from figure_examples import seeds, study, trial
from scipy import stats

from analysis.figures import style
from analysis.figures.class_errors import compute_class_errors, plot_class_errors
from analysis.figures.codes import compute_code_map, compute_kl, plot_code_map
from analysis.figures.confirmation import compute_confirmation, plot_confirmation, seeds_needed
from analysis.figures.nats import compute_nats, plot_nats
from analysis.figures.predictions import compute_class_accuracy, compute_confusion
from analysis.figures.rate_distortion import compute_rate_distortion, equivalent_rank
from analysis.page.paper import narrowed
from analysis.trials import mean_of
from study.record.intervals import Layers, Sample, holm


def save(folder, name, **arrays):
    (folder / "samples").mkdir(exist_ok=True)
    np.savez_compressed(folder / "samples" / f"{name}.npz", **arrays)


def test_the_equivalent_rank_is_interpolated_in_the_logarithms():
    components, errors = np.array([2.0, 8.0, 32.0]), np.array([0.4, 0.1, 0.025])
    assert equivalent_rank(0.1, components, errors) == (pytest.approx(8.0), "")
    assert equivalent_rank(0.2, components, errors) == (pytest.approx(4.0), "")
    assert equivalent_rank(0.5, components, errors)[1] == "below"
    assert equivalent_rank(0.02, components, errors)[1] == "above"
    assert math.isnan(equivalent_rank(0.2, components[:0], errors[:0])[0])


def test_the_headline_is_the_winners_test_error_over_that_of_pca_at_its_size(tmp_path):
    confirm = seeds("t0001", [0.05, 0.05], [0.06, 0.04]) + seeds("t0000", [0.09, 0.09], [0.01, 0.01])
    found = compute_rate_distortion(study(tmp_path, [trial(0, 0.09)], confirm=confirm, pca={8: 0.1, 16: 0.02}))
    assert found.confirmed["confirm_of"].tolist() == ["t0001", "t0000"]  # by validation data
    assert found.ratio == pytest.approx(0.5)
    assert "0.50 times PCA's 0.1" in found.caption
    assert found.table()["what"].tolist() == ["trial", "confirmed", "confirmed"]
    assert found.trials["equivalent_rank"].iloc[0] == pytest.approx(8 * 2 ** (math.log(1 / 0.9) / math.log(5)))


def test_a_study_of_a_version_without_clipped_errors_is_compared_by_the_others_and_the_caption_says_so(tmp_path):
    trials, confirm = [trial(0, 0.05)], seeds("t0000", [0.05, 0.05], [0.05, 0.05])
    new, old = (
        compute_rate_distortion(study(tmp_path, trials, confirm=confirm, pca={8: 0.1}, clipped=clipped))
        for clipped in (True, False)
    )
    assert new.ratio == old.ratio == pytest.approx(0.5)  # not 0.25, of the unclipped errors that the new one has too
    assert new.caption.endswith("Reconstructions are clipped to [0, 1], PCA's too.")
    assert old.caption.endswith("reconstructions are not clipped to [0, 1], PCA's neither.")


def test_a_vaes_nats_stand_beside_those_of_the_best_pca_of_at_most_its_size(tmp_path):
    trials = [trial(number, 300.0, metric="val_nelbo", latent_size=size) for number, size in enumerate((2, 12, 40))]
    confirm = seeds("t0001", [310, 320, 330], [312, 322, 332], "nelbo", latent_size=12)
    studied = study(tmp_path, trials, confirm=confirm, family="vae", nats={4: 500, 8: 400, 12: 410, 32: 390})
    found = compute_nats(studied)
    assert found.trials["pca_val_nelbo"].tolist() == pytest.approx([np.nan, 400, 390], nan_ok=True)
    assert found.confirmed["pca_test_nelbo"].tolist() == [410]  # of 8 components, which validation images chose
    assert (
        "(297.2 … 346.8, 3 seeds) with 12 numbers a code, probabilistic PCA 410 with at most as many" in found.caption
    )
    assert plot_nats(found).axes[1].get_ylabel() == "−ELBO (nats per image)"
    assert compute_nats(study(tmp_path, trials, family="vae", pca={8: 0.1})) is None  # of an earlier version
    unconfirmed = compute_nats(study(tmp_path, trials[1:], family="vae", nats={4: 500}))
    assert "was not confirmed, has a validation" in unconfirmed.caption
    assert len(plot_nats(unconfirmed).axes) == 1


def test_each_confirmed_config_stands_beside_the_baseline_at_its_own_size(tmp_path):
    runs = seeds("t0000", [0.1, 0.1], [0.11, 0.12]) + seeds("t0001", [0.2, 0.2], [0.2, 0.21], latent_size=4)
    found = compute_confirmation(study(tmp_path, [], confirm=runs, pca={4: 0.3, 8: 0.05}))
    assert found.configs["val_baseline"].tolist() == found.configs["test_baseline"].tolist() == [0.05, 0.3]
    assert "over 2 seeds. The baseline has 0.05 on the same images." in found.caption
    assert "the baseline on the same images" in legend(plot_confirmation(found))
    alone = compute_confirmation(study(tmp_path, [], confirm=runs))
    assert alone.configs[["val_baseline", "test_baseline"]].isna().all(axis=None)
    assert "the baseline on the same images" not in legend(plot_confirmation(alone))


def test_a_validation_value_stands_beside_the_baseline_on_validation_images(tmp_path):
    chose = seeds("t0000", [0.1, 0.1], [0.11, 0.12], "nelbo") + seeds("t0001", [0.2, 0.2], [0.2, 0.2], "nelbo")
    for run in chose[2:]:
        run.final = {}
    found = compute_confirmation(study(tmp_path, [], confirm=chose, family="vae", nats={8: 0.3}))
    assert found.configs["val_baseline"].tolist() == [0.3, 0.3]
    assert found.configs["test_baseline"].tolist() == pytest.approx([10.3, np.nan], nan_ok=True)
    for run in chose:
        run.final = {}
    running = compute_confirmation(study(tmp_path, [], confirm=chose, family="vae", nats={8: 0.3}))
    assert "t0000, has a validation −ELBO (nats per image) of 0.1 over 2 seeds. The baseline has 0.3" in running.caption


def legend(drawn):
    return [text.get_text() for text in drawn.legends[0].get_texts()]


def test_the_code_map_names_up_to_twelve_classes_at_their_medians_in_colours_of_their_own(tmp_path):
    codes = np.random.default_rng(0).normal(size=(100, 2))
    save(tmp_path, "codes", codes=codes, labels=np.arange(100) % 10)
    found = compute_code_map(study(tmp_path, []))
    (axis,) = plot_code_map(found).axes
    assert [text.get_text() for text in axis.texts] == [str(digit) for digit in range(10)]
    assert axis.texts[3].get_position() == pytest.approx(tuple(np.median(codes[3::10], axis=0)))
    assert len(set(style.CLASS_COLOURS)) == len(style.CLASS_COLOURS) == 12


def test_without_a_confirmation_the_test_split_is_not_spoken_for(tmp_path):
    found = compute_rate_distortion(study(tmp_path, [trial(0, 0.05)], pca={8: 0.1}))
    assert found.ratio is None
    assert "not confirmed" in found.caption


def test_pca_that_is_exact_up_to_rounding_is_no_baseline(tmp_path):
    confirm = seeds("t0000", [0.05], [0.05], latent_size=64)
    found = compute_rate_distortion(study(tmp_path, [], confirm=confirm, pca={8: 0.1, 64: 1e-30}))
    assert found.pca["n_components"].tolist() == [8]
    assert found.ratio is None


def test_two_seeds_tell_nothing_apart_however_far_the_means_are(tmp_path):
    confirm = seeds("a", [0.10, 0.11], [0.10, 0.11]) + seeds("b", [0.90, 0.91], [0.90, 0.9101])
    found = compute_confirmation(study(tmp_path, [], confirm=confirm))
    assert not found.tests["told_apart"].any()
    assert "cannot be told apart from 2 seeds" in found.verdict


def test_a_clear_difference_on_shared_seeds_is_told_apart_and_a_small_one_is_not(tmp_path):
    a, b, c = [0.10, 0.12, 0.11, 0.13], [0.20, 0.221, 0.212, 0.23], [0.219, 0.215, 0.231, 0.214]
    confirm = seeds("a", a, a) + seeds("b", b, b) + seeds("c", c, c)
    found = compute_confirmation(study(tmp_path, [], confirm=confirm))
    tests = found.tests.set_index(["first", "second"])
    assert tests["told_apart"].tolist() == [True, True, False]
    assert tests.loc[("a", "b"), "p"] == pytest.approx(stats.ttest_rel(a, b).pvalue)
    assert "Ranks 1 and 2 (a and b) can be told apart: a is better" in found.verdict
    assert "Ranks 2 and 3 (b and c) are not distinguishable" in found.verdict
    assert f"about {tests.loc[('b', 'c'), 'seeds_needed']:.0f} seeds" in found.verdict
    assert tests["test"].tolist() == ["paired"] * 3
    assert "paired t-test, p =" in found.verdict
    assert "where seeds, architecture and number of parameters agree, else by Welch's test" in found.caption


def test_other_seeds_and_other_layers_are_no_pairs(tmp_path):
    a, b = [0.1, 0.2, 0.3, 0.4], [0.2, 0.3, 0.4, 0.6]
    fewer = seeds("a", [0.1] * 4, a) + seeds("b", [0.2] * 4, b)[1:]
    wider = seeds("a", [0.1] * 4, a) + seeds("b", [0.2] * 4, b, architecture="conv")
    for confirm, others in ((fewer, b[1:]), (wider, b)):
        found = compute_confirmation(study(tmp_path, [], confirm=confirm))
        row = found.tests.iloc[0]
        assert (row["test"], row["n"]) == ("welch", len(others))
        assert row["difference"] == pytest.approx(np.mean(a) - np.mean(others))
        assert row["p"] == pytest.approx(stats.ttest_ind(a, others, equal_var=False).pvalue)
        assert "Welch's t-test" in found.verdict


def test_the_winner_is_the_one_that_the_summary_names(tmp_path):
    """With --confirm 1xR it is the best trial, and seeds that report choose nothing."""
    confirm = seeds("t0001", [0.0100, 0.0101, 0.0102], [0.0104, 0.0103, 0.0105])
    confirm += seeds("t0007", [0.0105, 0.0106, 0.0104], [0.0100, 0.0101, 0.0099])
    running = study(tmp_path, [], confirm=confirm)
    assert compute_confirmation(running).configs["confirm_of"].tolist() == ["t0001", "t0007"]
    ended = replace(running, summary={"confirmed": [{"id": "t0007"}, {"id": "t0001"}]})
    assert compute_confirmation(ended).configs["confirm_of"].tolist() == ["t0007", "t0001"]


def test_seeds_that_chose_a_reported_configuration_are_not_those_that_report_on_it(tmp_path):
    """In a study of reported configurations all runs read the test images; the driver's number is of the fresh ones."""
    chose = seeds("a", [0.1, 0.1, 0.1], [0.0103, 0.0104, 0.0105]) + seeds(
        "b", [0.2, 0.2, 0.2], [0.0203, 0.0204, 0.0205]
    )
    fresh = seeds("a", [0.1, 0.1], [0.0114, 0.0115])
    for run in chose:
        run.role = "choose"
    for number, run in enumerate(fresh):
        run.role, run.id, run.seed = "report", f"a-s{number + 11}", number + 11
    read = study(tmp_path, [], confirm=chose + fresh, pca={8: 0.1})
    found = compute_confirmation(read).configs.set_index("confirm_of")
    assert found.loc["a", "test_mean"] == pytest.approx(0.01145)
    assert found["n"].tolist() == [2, 3]
    assert found["val_mean"].tolist() == pytest.approx([0.1, 0.2])
    by_size = compute_rate_distortion(read).confirmed
    assert by_size["test_mse"].tolist() == pytest.approx([0.01145, 0.0204])
    assert by_size["seeds"].tolist() == [2, 3]


def test_failed_seeds_are_left_out_and_one_config_is_compared_with_nothing(tmp_path):
    confirm = seeds("a", [0.1, 0.2], [0.1, 0.2])
    confirm[1].status = "failed"
    found = compute_confirmation(study(tmp_path, [], confirm=confirm))
    assert found.configs["n"].tolist() == [1]
    assert found.verdict.startswith("One config was confirmed")
    assert math.isnan(found.configs["test_low"].iloc[0])
    assert "nothing to tell apart" in found.verdict


def test_configs_far_apart_have_a_panel_each_and_others_share_one(tmp_path):
    near = seeds("a", [0.10, 0.12], [0.10, 0.12]) + seeds("b", [0.20, 0.22], [0.20, 0.22])
    far = seeds("a", [0.10, 0.11], [0.10, 0.11]) + seeds("b", [0.90, 0.91], [0.90, 0.91])
    for confirm, panels in ((near, 1), (far, 2)):
        found = compute_confirmation(study(tmp_path, [], confirm=confirm, pca={8: 0.3}))
        drawn = plot_confirmation(found)
        assert len(drawn.axes) == panels
        assert "the baseline on the same images" in legend(drawn)


@pytest.mark.parametrize("paper", [False, True])
def test_one_config_has_room_beside_its_legend_on_a_page_and_in_a_papers_column(paper, tmp_path):
    runs = seeds("t0001", [0.1, 0.12, 0.11], [0.1, 0.13, 0.12])
    drawn = plot_confirmation(compute_confirmation(study(tmp_path, [], confirm=runs, pca={8: 0.3})))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # that axes collapse is told by one
        (narrowed(drawn) if paper else drawn).savefig(io.BytesIO())
    height = drawn.axes[0].get_position().height * drawn.get_figheight()
    assert height > (0.35 if paper else 0.7)


def test_configs_that_only_chose_are_not_said_to_be_tested(tmp_path):
    confirm = seeds("a", [0.1, 0.2], [0.1, 0.2]) + seeds("b", [0.3, 0.4], [0.3, 0.4])
    for run in confirm[2:]:
        run.final = {}
    found = compute_confirmation(study(tmp_path, [], confirm=confirm))
    assert found.verdict == "One config was tested on the seeds that report, so there is nothing to tell apart."


def test_an_accuracy_is_better_the_higher_and_its_interval_ends_at_one(tmp_path):
    confirm = seeds("low", [0.7, 0.7], [0.7, 0.7], "accuracy") + seeds("high", [0.95, 0.99], [0.9, 0.99], "accuracy")
    found = compute_confirmation(study(tmp_path, [], family="classifier", confirm=confirm))
    assert found.configs["confirm_of"].tolist() == ["high", "low"]
    assert found.configs["test_high"].iloc[0] == 1.0


def in_pairs(differences):
    layers = Layers("dense", 1)
    return [Sample(dict(enumerate(values)), layers=layers) for values in (differences, [0.0] * len(differences))]


def test_the_number_of_seeds_has_the_power_that_it_promises():
    differences = np.array([0.5, 1.5, 2.5, -0.5])
    n = seeds_needed(*in_pairs(differences), 0.05)
    effect = differences.mean() / differences.std(ddof=1)
    power = [stats.nct(k - 1, effect * math.sqrt(k)).sf(stats.t.ppf(0.975, k - 1)) for k in (n - 1, n)]
    assert power[0] < 0.8 <= power[1]
    assert seeds_needed(*in_pairs([1.0, -1.0]), 0.05) is None
    assert seeds_needed(*in_pairs([1.0, 1.0]), 0.05) is None
    # Welch's, of equal variances: twice the variance of one, and twice the degrees of freedom
    spread = Sample({1: 0.0, 2: 1.0, 3: 2.0}), Sample({1: 2.0, 2: 3.0, 3: 4.0})
    k = seeds_needed(*spread, 0.05)
    power = [stats.nct(2 * m - 2, 2 / math.sqrt(2 / m)).sf(stats.t.ppf(0.975, 2 * m - 2)) for m in (k - 1, k)]
    assert power[0] < 0.8 <= power[1]


def test_no_number_of_seeds_is_said_that_cannot_tell_apart():
    clear = Sample({1: 0.012, 2: 0.0122, 3: 0.0119}), Sample({1: 0.007, 2: 0.0074, 3: 0.0069})
    assert seeds_needed(*clear, 0.05) == 3  # of two, none are told apart
    differences = [0.5, 1.5, 2.5, -0.5]
    assert seeds_needed(*in_pairs(differences), 0.05) < seeds_needed(*in_pairs(differences), 0.05 / 3)


def test_several_tests_are_corrected_and_missing_ones_do_not_count():
    adjusted = holm([0.01, 0.04, None, 0.03])
    assert adjusted[:2] == pytest.approx([0.03, 0.06])
    assert adjusted[2:] == [None, pytest.approx(0.06)]


def test_an_interval_needs_two_values():
    assert mean_of([1.0]).ci95 is None
    assert mean_of([1.0, 3.0]).high == pytest.approx(2 + 12.706, abs=1e-3)


def test_the_most_confused_pairs_count_both_directions(tmp_path):
    counts = np.array([[8, 2, 0, 0], [3, 7, 0, 0], [0, 4, 6, 0], [0, 0, 0, 10]])
    save(tmp_path, "predictions", confusion=counts)
    found = compute_confusion(study(tmp_path, [], family="classifier"))
    assert found.pairs == [("0", "1", 5, 20), ("1", "2", 4, 20)]
    assert "77.5% of 40 test images" in found.caption
    assert found.table().loc[2, "1"] == 4


def test_classes_are_ordered_from_the_worst_and_those_without_images_are_left_out(tmp_path):
    save(tmp_path, "predictions", confusion=np.array([[9, 1, 0], [5, 5, 0], [0, 0, 0]]))
    found = compute_class_accuracy(study(tmp_path, [], family="classifier"))
    assert found.classes["name"].tolist() == ["1", "0"]
    assert found.classes["accuracy"].tolist() == [0.5, 0.9]
    assert (found.classes["low"] < found.classes["accuracy"]).all()


def save_by_class(folder, errors, images, components=8, metric="mse", **baseline):
    errors = np.array(errors, dtype=float)
    arrays = {metric: errors, "images": np.array(images), **baseline}
    save(folder, "per_class", components=np.array(components), seeds=np.arange(len(errors)), **arrays)


def test_errors_by_class_are_means_over_seeds_beside_pca_the_largest_first(tmp_path):
    errors = [[0.1, 0.3, np.nan, 0.2], [0.2, 0.5, np.nan, 0.2]]
    save_by_class(tmp_path, errors, [20, 20, 0, 5], baseline_mse=np.array([0.3, 0.2, np.nan, 0.2]))
    found = compute_class_errors(study(tmp_path, []))
    table = found.table()
    assert table["name"].tolist() == ["1", "3", "0"]
    assert table["mean"].tolist() == pytest.approx([0.4, 0.2, 0.15])
    assert table["low"].iloc[0] == max(0, mean_of([0.3, 0.5]).low)
    assert math.isnan(table["low"].iloc[1])  # seeds that do not differ
    assert table["over_baseline"].tolist() == pytest.approx([2, 1, 0.5])
    assert table["note"].tolist() == ["", "too few images", ""]
    assert "PCA with 8 components in 1, higher in 1, the same in 1." in found.caption
    assert "means of 2 seeds, 2 of 3 with a 95 % interval over seeds" in found.caption
    drawn = plot_class_errors(found)
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == [
        "the winner, mean of its seeds",
        "PCA with 8 components",
    ]


def test_errors_by_class_are_of_the_first_configuration_where_nothing_was_chosen(tmp_path):
    save_by_class(tmp_path, [[0.1, 0.3], [0.2, 0.5]], [20, 20])
    without = study(tmp_path, [])
    without.about["data"]["sizes"] = {"train": 100, "val": 0, "test": 40}
    found = compute_class_errors(without)
    assert found.caption.startswith("The first configuration's MSE")
    (label,) = [text.get_text() for text in plot_class_errors(found).legends[0].get_texts()]
    assert label == "the first configuration, mean of its seeds"


def test_one_seed_has_too_few_for_intervals_by_class(tmp_path):
    save_by_class(tmp_path, [[0.1, 0.3]], [20, 3])
    found = compute_class_errors(study(tmp_path, []))
    assert found.table()["note"].tolist() == ["too few seeds and images", "too few seeds"]
    assert found.table()[["low", "high", "baseline"]].isna().all(axis=None)
    assert "of one seed: too few for intervals." in found.caption
    assert "than" not in found.caption


def test_a_classifiers_errors_by_class_stand_beside_the_regression_in_place_of_one_networks_accuracies(tmp_path):
    save(tmp_path, "predictions", confusion=np.array([[9, 1], [5, 5]]))
    assert compute_class_accuracy(study(tmp_path, [], family="classifier")) is not None
    errors = [[0.1, 0.3], [0.2, 0.3], [0.1, 0.2]]
    save_by_class(tmp_path, errors, [10, 10], 64, "error_rate", baseline_error_rate=np.array([0.0, 0.4]))
    of_classifier = study(tmp_path, [], family="classifier")
    found = compute_class_errors(of_classifier)
    assert "the logistic regression on PCA codes of 64 components in 1, higher in 1" in found.caption
    assert found.table()["over_baseline"].isna().tolist() == [False, True]  # it makes no error there
    assert plot_class_errors(found).axes[0].get_xlabel() == "test error rate"
    by_entropy = replace(of_classifier, about=of_classifier.about | {"objective": {"metric": "val_cross_entropy"}})
    assert compute_class_errors(by_entropy).metric == "error_rate"  # whatever its trials are ranked by
    assert compute_class_accuracy(of_classifier) is None


def test_one_class_and_files_of_something_else_have_no_errors_by_class(tmp_path):
    save_by_class(tmp_path, [[0.1, np.nan]], [20, 0])
    assert compute_class_errors(study(tmp_path, [])) is None
    save(tmp_path, "per_class", images=np.array([1, 2]))
    assert compute_class_errors(study(tmp_path, [])) is None


def test_a_code_of_two_numbers_is_drawn_as_it_is_and_a_longer_one_by_its_components(tmp_path):
    codes = np.random.default_rng(0).normal(size=(50, 5)).astype(np.float32) * [9, 5, 1, 1, 1]
    save(tmp_path, "codes", codes=codes[:, :2], labels=np.arange(50) % 10)
    plain = compute_code_map(study(tmp_path, []))
    assert plain.explained is None
    assert plain.points[["x", "y"]].to_numpy() == pytest.approx(codes[:, :2])
    save(tmp_path, "codes", codes=codes, labels=np.arange(50) % 10)
    mapped = compute_code_map(study(tmp_path, []))
    variances = np.linalg.svd(codes - codes.mean(0), compute_uv=False) ** 2
    assert mapped.explained == pytest.approx(variances[:2].sum() / variances.sum())
    assert "principal components" in mapped.caption
    wide = np.hstack([codes, np.zeros((50, 95))])
    save(tmp_path, "codes", codes=wide, labels=np.arange(50) % 10)
    assert compute_code_map(study(tmp_path, [])).explained == pytest.approx(mapped.explained)


def test_dimensions_are_ordered_by_their_kl_and_active_ones_counted(tmp_path):
    save(tmp_path, "kl", kl_per_dimension=np.array([0.1, 3.0, 0.0]), active=np.array([True, True, False]))
    found = compute_kl(study(tmp_path, [], family="vae"))
    assert found.dimensions["dimension"].tolist() == [1, 0, 2]
    assert found.caption.startswith("2 of 3 dimensions are active")
    assert "3.1 nats" in found.caption
