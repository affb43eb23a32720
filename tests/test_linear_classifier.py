import numpy as np
import pytest

from study.baselines import pca
from study.baselines.baseline import baseline_of, evaluate_linear_classifier
from study.data import image_data
from study.record.state import Run


@pytest.fixture(scope="module")
def digits():
    return image_data.load("digits", image_data.default_data_dir())


def test_accuracy_on_the_digits_grows_with_the_components_and_is_well_above_chance(digits):
    arrays = [array for split in (digits.train, digits.val, digits.test) for array in (split.images, split.labels)]
    rows = evaluate_linear_classifier(pca.fit(digits.train.images, 40), [2, 10, 40], *arrays)
    assert [row["n_components"] for row in rows] == [2, 10, 40]
    accuracies = [row["test_accuracy"] for row in rows]
    assert accuracies == sorted(accuracies)
    assert 0.3 < accuracies[0] < 0.75
    assert accuracies[2] > 0.93
    assert all(row["test_mse"] > 0 for row in rows)


def test_rows_of_a_version_without_clipped_errors_are_measured_anew_for_autoencoders(digits):
    baseline = baseline_of("ae")(digits.splits, lambda function, *arguments: function(*arguments), lambda _: None)
    rows = {row["n_components"]: row for row in baseline.rows({}, [{"latent_size": 5}])}
    assert sorted(rows) == [2, 4, 5, 8, 16, 32]
    assert baseline.rows(rows, [{"latent_size": 5}]) == []
    rows[5] = {key: value for key, value in rows[5].items() if not key.endswith("_clipped")}
    assert [row["n_components"] for row in baseline.rows(rows, [{"latent_size": 5}])] == [5]


def test_the_display_compares_with_the_clipped_validation_error(digits):
    baseline = baseline_of("ae")(digits.splits, lambda function, *arguments: function(*arguments), lambda _: None)
    (row,) = (row for row in baseline.rows({}, []) if row["n_components"] == 8)
    error = baseline.validation_error()
    of_size = {size: error(Run("t0", "trial", 0, {"latent_size": size}, 1, 1, 1, None, 0.0)) for size in (8, 64)}
    assert of_size[8] == pytest.approx(row["val_mse_clipped"], rel=1e-12)
    assert of_size[8] < 0.98 * row["val_mse"]
    assert of_size[64] is None  # the digits have no 64 axes


def test_codes_are_the_coordinates_along_the_axes(digits):
    fitted = pca.fit(digits.train.images, 5)
    pixels = digits.test.images.reshape(len(digits.test), -1) / 255
    codes = pca.codes(fitted, digits.test.images, 3)
    np.testing.assert_allclose(codes, (pixels - fitted.mean) @ fitted.components[:3].T)


@pytest.mark.parametrize(("family", "accuracy"), [("ae", False), ("vae", False), ("classifier", True)])
def test_the_baseline_of_a_family_runs_what_takes_long_elsewhere(digits, family, accuracy):
    called = []

    def elsewhere(function, /, *arguments):
        called.append(function.__name__)
        return function(*arguments)

    baseline = baseline_of(family)(digits.splits, elsewhere, lambda _: None)
    rows = baseline.rows({}, [{"latent_size": 5}])
    assert all(("val_accuracy" in row) == accuracy for row in rows)
    assert called == ["fit", "evaluate_linear_classifier"][: 1 + accuracy]
    assert (5 in {row["n_components"] for row in rows}) != accuracy
    mean, axes = baseline.axes()
    assert (mean.shape, axes.shape) == ((64,), (baseline.fitted().rank, 64))
