"""The interval over test images: of fixed networks, in pairs with the baseline, and none where it would be a guess."""

import numpy as np
import pytest
from figure_examples import study
from scipy import stats

from analysis.over_images import compute_over_images, image_mean


def of(tmp_path, family="ae", networks=3, components=8, **arrays):
    (tmp_path / "samples").mkdir(exist_ok=True)
    about = {"networks": np.array(networks), "components": np.array(components)}
    np.savez_compressed(tmp_path / "samples" / "over_images.npz", **arrays, **about)
    return compute_over_images(study(tmp_path, [], family=family))


def random(n, seed=0):
    return np.random.default_rng(seed).gamma(2.0, 0.01, n)


def test_the_interval_is_students_over_the_images_and_of_the_paired_differences_from_pca(tmp_path):
    errors = random(200)
    pca = errors + np.random.default_rng(1).normal(0.003, 0.002, 200)
    found = of(tmp_path, mse=errors, baseline_mse=pca)
    expected = stats.ttest_1samp(errors, 0).confidence_interval(0.95)
    assert found.value.ends == pytest.approx((expected.low, expected.high))
    paired = stats.ttest_rel(errors, pca).confidence_interval(0.95)
    assert found.gap.ends == pytest.approx((paired.low, paired.high))
    assert found.gap.mean < 0
    assert "these 3 networks as they are. It does not cover another seed" in found.detail
    assert (
        "On the same images the MSE per pixel is lower than PCA's with 8 components by 0.00285 (0.00259 to 0.00311)."
        in found.detail
    )
    assert "luck" not in found.detail


def test_a_difference_whose_interval_has_0_is_within_the_luck_of_the_images(tmp_path):
    errors = random(50)
    found = of(tmp_path, mse=errors, baseline_mse=errors + np.random.default_rng(1).normal(0, 0.01, 50), networks=1)
    assert found.detail.endswith("which is within the luck of the images.")
    assert "with this network as it is" in found.detail


def test_the_interval_covers_the_truth_in_about_95_percent_of_the_draws_of_images():
    truth, studies = 0.02, 2000
    intervals = [image_mean(random(270, seed)).ends for seed in range(studies)]
    covered = sum(low <= truth <= high for low, high in intervals)
    assert 0.935 < covered / studies < 0.96


def test_a_vaes_interval_is_of_its_nats_and_the_difference_of_its_error(tmp_path):
    nelbo, errors = random(100) * 1e4, random(100, 1)
    found = of(tmp_path, "vae", nelbo=nelbo, mse=errors, baseline_mse=errors + random(100, 2))
    assert found.metric == "test_nelbo"
    assert found.value.mean == pytest.approx(nelbo.mean())
    assert "the MSE per pixel is lower than PCA's" in found.detail


def test_a_classifiers_is_of_its_accuracy_within_0_and_1_beside_the_regression_by_name(tmp_path):
    wrong = np.repeat([1.0, 1 / 3, 0.0], [12, 20, 168])
    worse = np.repeat([1.0, 0.0], [40, 160])
    found = of(tmp_path, "classifier", error_rate=wrong, baseline_error_rate=worse)
    assert found.value.mean == pytest.approx(1 - wrong.mean())
    assert found.value.ends[1] < 1
    assert "error rate is lower than that of the logistic regression on PCA codes by" in found.detail
    assert "PCA's" not in found.detail


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ([1.0] * 3 + [0.0] * 200, "0.9852 (203 images, all but 3 alike: no interval)"),
        ([0.0] * 200, "1 (200 images, all but 0 alike: no interval)"),
        ([1.0, 0.0] * 5, "0.5 (10 images, fewer than 30: no interval)"),
    ],
)
def test_too_few_images_or_mistakes_have_no_interval_and_say_why(tmp_path, wrong, why):
    found = of(tmp_path, "classifier", error_rate=np.array(wrong))
    assert found.value.words == why
    assert found.gap is None


def test_a_study_that_kept_none_or_something_else_says_nothing(tmp_path):
    assert compute_over_images(study(tmp_path, [])) is None
    assert of(tmp_path, "vae", mse=random(40)) is None  # not what the study is ranked by
    np.savez_compressed(tmp_path / "samples" / "over_images.npz", mse=random(40))
    assert compute_over_images(study(tmp_path, [])) is None
