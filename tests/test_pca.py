"""PCA against scikit-learn's own reconstruction, and against the numbers that the MNIST report printed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from model_examples import example
from numpy.typing import NDArray
from sklearn.decomposition import PCA

import models
from study.baselines import pca
from study.baselines.baseline import SEARCHED, PcaBaseline, fit_axes
from study.baselines.measuring import measure
from study.data import image_data
from study.data.splits import Split
from study.record.tables import BASELINE
from study.training.trainer import start

Images = NDArray[np.uint8]


def correlated_images(n: int, shape: tuple[int, int, int], *, rank: int = 6, seed: int = 0) -> Images:
    """Images that vary mostly along `rank` axes, as photographs do, with noise on top."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal(size=(n, rank)) @ rng.normal(size=(rank, int(np.prod(shape)))) * 20 + 128
    return np.clip(pixels + rng.normal(size=pixels.shape), 0, 255).astype(np.uint8).reshape(n, *shape)


def reconstruction_by_sklearn(train: Images, images: Images, rank: int) -> NDArray[np.float64]:
    model = PCA(rank, svd_solver="full").fit(train.reshape(len(train), -1) / 255)
    return model.inverse_transform(model.transform(images.reshape(len(images), -1) / 255))


@pytest.mark.parametrize(("n", "solver"), [(200, "covariance_eigh"), (40, "full")])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 4)])
def test_errors_are_those_of_scikit_learns_reconstruction(n: int, solver: str, shape: tuple[int, int, int]) -> None:
    train, test = correlated_images(n, shape), correlated_images(31, shape, seed=1)
    fitted = pca.fit(train, 20)
    assert fitted.solver == solver
    for row in pca.evaluate(fitted, {"train": train, "test": test}, [20, 3, 1, 7]):
        rank = row["n_components"]
        assert isinstance(rank, int)
        for split, images in {"train": train, "test": test}.items():
            error = images.reshape(len(images), -1) / 255 - reconstruction_by_sklearn(train, images, rank)
            assert row[f"{split}_mse"] == pytest.approx(np.mean(error**2), rel=1e-9)
            pixel_rmse = np.sqrt(np.mean((255 * error) ** 2, axis=0)).mean()
            assert row[f"{split}_pixel_rmse_255"] == pytest.approx(pixel_rmse, rel=1e-9)


def test_clipped_errors_are_those_of_the_clipped_reconstruction() -> None:
    train, test = (correlated_images(90, (1, 6, 6), seed=seed) for seed in (0, 1))
    for images in (train, test):  # two grey levels: between them a rebuilt pixel falls short, beyond it overshoots
        images[:] = np.where(images > 128, 255, 0)
    fitted = pca.fit(train, 12)
    for row in pca.evaluate(fitted, {"train": train, "test": test}, [1, 5, 12]):
        rank = row["n_components"]
        assert isinstance(rank, int)
        for split, images in {"train": train, "test": test}.items():
            rebuilt = reconstruction_by_sklearn(train, images, rank).clip(0, 1)
            expected = np.square(images.reshape(len(images), -1) / 255 - rebuilt).mean()
            assert row[f"{split}_mse_clipped"] == pytest.approx(expected, rel=1e-9)
            assert pca.image_errors(fitted, images, rank).mean() == pytest.approx(expected, rel=1e-9)
    unclipped, clipped = row["test_mse"], row["test_mse_clipped"]  # with 12 components
    assert unclipped is not None
    assert clipped is not None
    assert clipped < 0.99 * unclipped


def test_train_error_is_the_variance_that_is_not_kept() -> None:
    train = correlated_images(150, (1, 6, 6))
    total = (train / 255).reshape(len(train), -1).var(axis=0).mean()
    for row in pca.evaluate(pca.fit(train, 30), {"train": train}, [1, 5, 30]):
        assert row["train_mse"] == pytest.approx(total * (1 - row["explained_variance"]), rel=1e-9)


def test_rows_come_in_ascending_order_once_each_with_the_columns_of_the_file() -> None:
    train = correlated_images(50, (1, 4, 4))
    rows = pca.evaluate(pca.fit(train, 8), {"train": train, "val": train[:9]}, [8, 2, 8, 4])
    assert [row["n_components"] for row in rows] == [2, 4, 8]
    assert all(tuple(row) == BASELINE.columns for row in rows)


def test_a_missing_or_empty_split_leaves_its_columns_empty() -> None:
    train = correlated_images(50, (1, 4, 4))
    (row,) = pca.evaluate(pca.fit(train, 4), {"train": train, "val": train[:0]}, [4])
    assert row["train_mse"] is not None
    assert row["val_mse"] is row["test_mse"] is row["test_pixel_rmse_255"] is None


def test_errors_do_not_depend_on_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    train = correlated_images(70, (1, 5, 5))
    fitted = pca.fit(train, 10)
    whole = [row["train_mse"] for row in pca.evaluate(fitted, {"train": train}, [2, 10])]
    clipped = [row["train_mse_clipped"] for row in pca.evaluate(fitted, {"train": train}, [2, 10])]
    monkeypatch.setattr(pca, "_CHUNK_VALUES", 3 * 25)
    rows = pca.evaluate(fitted, {"train": train}, [2, 10])
    assert [row["train_mse_clipped"] for row in rows] == pytest.approx(clipped, rel=1e-12)
    assert [row["train_mse"] for row in rows] == pytest.approx(whole, rel=1e-12)


def test_images_are_left_as_they_were() -> None:
    train = correlated_images(40, (1, 4, 4))
    train.flags.writeable = False  # as arrays from Ray's object store are
    before = train.copy()
    pca.evaluate(pca.fit(train, 4), {"train": train}, [4])
    np.testing.assert_array_equal(train, before)


def test_constant_and_repeated_pixels_do_not_count_as_axes() -> None:
    rng = np.random.default_rng(0)
    images = np.zeros((100, 1, 4, 4), dtype=np.uint8)
    images[:, 0, 0, :3] = rng.integers(0, 256, size=(100, 3))
    images[:, 0, 1, :3] = images[:, 0, 0, :3]
    fitted = pca.fit(images, 16)
    assert fitted.rank == 3
    (row,) = pca.evaluate(fitted, {"train": images}, [3])
    assert row["train_mse"] == pytest.approx(0, abs=1e-20)
    with pytest.raises(ValueError, match="4 components: the fitted data have 1 to 3"):
        pca.evaluate(fitted, {"train": images}, [2, 4])


@pytest.mark.parametrize("max_components", [0, -1, 16, 17])
def test_more_components_than_images_allow_are_refused(max_components: int) -> None:
    with pytest.raises(ValueError, match="16 images of 25 pixels allow 1 to 15"):
        pca.fit(correlated_images(16, (1, 5, 5)), max_components)


def test_images_that_are_all_the_same_are_refused() -> None:
    with pytest.raises(ValueError, match="all the same"):
        pca.fit(np.full((9, 1, 3, 3), 7, dtype=np.uint8), 2)


def test_images_of_another_size_are_refused() -> None:
    fitted = pca.fit(correlated_images(30, (1, 4, 4)), 2)
    with pytest.raises(ValueError, match=r"images of 25 pixels; the PCA was fitted to 16"):
        pca.evaluate(fitted, {"test": correlated_images(5, (1, 5, 5))}, [2])


@pytest.mark.parametrize(
    ("n_images", "n_pixels", "largest"),
    [(50_000, 3072, 512), (1257, 64, 64), (1020, 30_000, 512), (65, 3072, 64), (64, 3072, 32), (3, 9, 2)],
)
def test_standard_ranks_double_as_far_as_the_data_allow(n_images: int, n_pixels: int, largest: int) -> None:
    ranks = pca.standard_ranks(n_images, n_pixels)
    assert ranks == [2 ** (power + 1) for power in range(len(ranks))]
    assert ranks[-1] == largest


def test_one_or_two_images_have_no_standard_rank() -> None:
    assert pca.standard_ranks(1, 64) == pca.standard_ranks(2, 64) == []


@pytest.mark.parametrize("fraction", [0.01, 0.5, 0.8, 0.95, 1.0])
def test_components_for_variance_is_the_smallest_number_that_keeps_it(fraction: float) -> None:
    fitted = pca.fit(correlated_images(120, (1, 6, 6)), 36)
    count = pca.components_for_variance(fitted, fraction)
    assert fitted.explained_variance[count - 1] >= fraction - 1e-12
    assert count == 1 or fitted.explained_variance[count - 2] < fraction


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.1, 95.0])
def test_a_variance_that_is_no_fraction_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="not a fraction"):
        pca.components_for_variance(pca.fit(correlated_images(30, (1, 4, 4)), 4), fraction)


def test_a_variance_beyond_the_fitted_components_is_refused() -> None:
    fitted = pca.fit(correlated_images(120, (1, 6, 6)), 2)
    with pytest.raises(ValueError, match="the 2 fitted components keep 0"):
        pca.components_for_variance(fitted, 0.99)


@pytest.mark.realdata
def test_mnist_reports_table_is_reproduced_to_the_last_digit(real_data_dir: Path) -> None:
    data = image_data.load("mnist", real_data_dir)
    train = np.concatenate([data.train.images, data.val.images])
    fitted = pca.fit(train, 784)
    ranks = [pca.components_for_variance(fitted, fraction) for fraction in (0.80, 0.90, 0.95)]
    assert ranks == [44, 87, 154]
    rows = pca.evaluate(fitted, {"train": train, "test": data.test.images}, ranks)
    claimed = [23.877350758777983, 17.48213757700727, 12.62115827352506]
    assert [row["train_pixel_rmse_255"] for row in rows] == pytest.approx(claimed, abs=1e-9)
    true_test = [23.470737, 17.189919, 12.453292]
    assert [row["test_pixel_rmse_255"] for row in rows] == pytest.approx(true_test, abs=5e-7)


def test_a_reconstruction_is_the_picture_whose_error_the_table_has():
    images = np.random.default_rng(0).integers(40, 200, (60, 1, 4, 4), dtype=np.uint8)
    fitted = pca.fit(images, 15)
    rebuilt = pca.reconstruct(fitted, images, 9)
    assert (rebuilt.dtype, rebuilt.shape) == (np.uint8, images.shape)
    error = np.square((rebuilt.astype(float) - images) / 255).mean()
    assert error == pytest.approx(pca.evaluate(fitted, {"train": images}, [9])[0]["train_mse"], rel=0.02)


def test_a_code_wider_than_the_data_is_compared_with_pca_at_full_rank():
    images = np.repeat(np.array([0, 255], dtype=np.uint8), 10)[:, None, None, None] * np.ones((1, 1, 8, 8), np.uint8)
    splits = {name: Split(images, np.zeros(20, dtype=np.int64)) for name in ("train", "val", "test")}
    baseline = PcaBaseline(splits, lambda function, *arguments: function(*arguments), lambda said: None)
    rows = baseline.rows({}, [{"latent_size": 8}])
    assert [row["n_components"] for row in rows] == [1]
    assert baseline.rows({1: rows[0]}, [{"latent_size": 8}]) == []
    assert [row["n_components"] for row in measure({"train": images}, (), (), lambda said: None)] == [1]


@pytest.mark.parametrize("components", [600, 800])
def test_sizes_beyond_those_of_the_built_in_spaces_have_their_errors_whenever_they_are_asked_for(components):
    """Of 700 images 600 components can be told and 800 cannot, before and after the rows of the baseline."""
    images = np.random.default_rng(0).integers(0, 256, (720, 1, 30, 30), dtype=np.uint8)
    split = {"train": images[:700], "val": images[700:], "test": images[700:]}
    splits = {name: Split(array, np.zeros(len(array), np.int64)) for name, array in split.items()}
    baseline = PcaBaseline(splits, lambda function, *arguments: function(*arguments), lambda said: None)
    before = baseline.error("val", components), baseline.reconstruct(images[700:], components)
    baseline.rows({}, [{"latent_size": components}])
    assert (before[0] is None, before[1] is None) == (components > 699, components > 699)
    assert baseline.error("val", components) == before[0]


def test_a_network_with_a_larger_code_than_the_study_has_axes_for_starts_as_pca_of_its_size():
    """A space of one's own may ask for any size: it trains on PCA at that size, as the one it is compared with."""
    config = example("ae", "pca", depth=1, latent_size=520)
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (600, 1, 24, 24), dtype=np.uint8))
    fewer = fit_axes(images, SEARCHED)
    errors = []
    for axes in (fewer, None):
        network = models.build(config, (1, 24, 24), 2)
        start(network, config, images, axes)
        with torch.no_grad():
            pixels = images / 255
            errors.append((network(pixels) - pixels).square().mean().item())
    assert errors[0] == pytest.approx(errors[1], rel=1e-5)
    assert errors[0] < 0.9 * pca.image_errors(pca.fit(images.numpy(), SEARCHED), images.numpy(), SEARCHED).mean()
