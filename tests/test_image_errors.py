"""The errors of networks on each test image: kept with a run, put together by class and over the images."""

import numpy as np
import pytest
from small_networks import CONFIGS, network, split

from study.baselines import pca
from study.baselines.baseline import baseline_of, evaluate_linear_classifier
from study.data import image_data
from study.driver import winner
from study.evaluation import image_errors
from study.evaluation.samples import save
from study.record import kept
from study.record.folder import StudyFolder
from study.record.state import Run
from study.training.trainer import per_image

METRICS = {"ae": {"mse"}, "vae": {"mse", "nelbo"}, "classifier": {"error_rate"}}


def kept_of(family, data, seed=0):
    model = network(family, seed=seed)
    values = per_image(model, *data)
    return image_errors.collect(values, data[1])["image_errors"], model.metrics(values)


@pytest.mark.parametrize("family", sorted(CONFIGS))
def test_the_means_of_a_networks_errors_are_its_test_metrics(family):
    data = split()
    arrays, metrics = kept_of(family, data)
    assert arrays.keys() == METRICS[family] | {"labels"}
    known = metrics | {"error_rate": 1 - metrics.get("accuracy", 0)}
    for name in METRICS[family]:
        assert arrays[name].mean(dtype=float) == pytest.approx(known[name], rel=1e-6)
    np.testing.assert_array_equal(arrays["labels"], data[1])


def test_a_network_without_such_errors_leaves_no_file():
    _, labels = split()
    assert image_errors.collect({"margin": labels.double()}, labels) == {}


NETWORKS = [
    {"mse": np.array([1, 3, 5, 7], np.float32), "labels": np.array([0, 0, 2, 2])},
    {"mse": np.array([3, 5, 5, 9], np.float32), "labels": np.array([0, 0, 2, 2])},
]
BASELINE = {"mse": np.array([10.0, 20, 30, 50])}


def test_errors_by_class_are_means_of_each_network_and_a_class_without_images_has_none():
    found = image_errors.per_class(NETWORKS, BASELINE, 4)
    assert found["images"].tolist() == [2, 0, 2, 0]
    np.testing.assert_array_equal(found["mse"], [[2, np.nan, 6, np.nan], [4, np.nan, 7, np.nan]])
    np.testing.assert_array_equal(found["baseline_mse"], [15, np.nan, 40, np.nan])
    assert "baseline_mse" not in image_errors.per_class(NETWORKS, {}, 4)


def test_the_error_of_an_image_is_the_mean_of_the_networks():
    found = image_errors.over_images(NETWORKS, BASELINE)
    assert found["networks"] == 2
    assert found["mse"].tolist() == [2, 4, 5, 8]
    assert found["baseline_mse"].tolist() == [10, 20, 30, 50]


@pytest.fixture(scope="module")
def digits():
    return image_data.load("digits", image_data.default_data_dir())


def here(function, /, *arguments):
    return function(*arguments)


def test_the_means_of_the_baselines_errors_are_those_of_its_row(digits):
    components = 16
    rows = {row["n_components"]: row for row in baseline_of("ae")(digits.splits, here, print).rows({}, [])}
    of_pca = baseline_of("vae")(digits.splits, here, print).image_errors(components)
    assert of_pca["mse"].mean() == pytest.approx(rows[components]["test_mse_clipped"], rel=1e-9)
    arrays = [array for part in (digits.train, digits.val, digits.test) for array in (part.images, part.labels)]
    (row,) = evaluate_linear_classifier(pca.fit(digits.train.images, components), [components], *arrays)
    mistakes = baseline_of("classifier")(digits.splits, here, print).image_errors(components)["error_rate"]
    assert set(mistakes) == {0.0, 1.0}
    assert 1 - mistakes.mean() == pytest.approx(row["test_accuracy"], abs=1e-12)


def run_of(folder, seed, arrays):
    """Return a confirmation run that left these errors."""
    run = Run(f"t0000-s{seed}", "confirm", seed, {}, seed, 1, 1, None, 0.0, confirm_of="t0000")
    save(folder.checkpoints / run.id / "image_errors.npz", arrays)
    run.files = kept.fingerprints(folder.checkpoints / run.id, ["*.npz"])
    return run


def test_the_winners_networks_are_put_together_only_where_all_of_them_are_kept(tmp_path):
    folder = StudyFolder(tmp_path / "night")
    runs = [run_of(folder, seed, arrays) for seed, arrays in enumerate(NETWORKS)]
    assert winner.keep_errors(folder, runs, 3, lambda: (8, BASELINE))
    with np.load(folder.samples / "per_class.npz") as by_class, np.load(folder.samples / "over_images.npz") as over:
        assert by_class["mse"].shape == (2, 3)
        assert (by_class["components"], by_class["seeds"].tolist()) == (8, [0, 1])
        assert over["mse"].tolist() == [2, 4, 5, 8]
    for path in folder.samples.iterdir():
        path.unlink()
    (folder.checkpoints / "t0000-s1" / "image_errors.npz").write_bytes(b"damaged")
    measured = []
    assert not winner.keep_errors(folder, runs, 3, lambda: measured.append(1))
    assert not any(folder.samples.iterdir())
    assert not measured
