import itertools

import numpy as np
import pytest
import torch
from small_networks import CONFIGS, network, split

from models.vae import active_units
from study.data.tensors import stratified_sample
from study.evaluation import samples
from study.evaluation.generative import DIMENSIONS, PAIRS, STEPS, VALUES
from study.training.trainer import per_image

FILES = {
    "ae": {"reconstructions", "by_class", "codes", "image_errors"},
    "vae": {"reconstructions", "by_class", "codes", "prior", "interpolations", "traversal", "kl", "image_errors"},
    "classifier": {"predictions", "examples", "image_errors"},
}


def collected(family, data=None, shape=(1, 8, 8), classes=4, **changes):
    data = data or split(shape=shape, classes=classes)
    model, untrained = (network(family, shape, classes, seed, **changes) for seed in (0, 1))
    values = per_image(model, *data)
    return samples.collect(model, untrained, data, values), values, model


@pytest.mark.parametrize("family", sorted(CONFIGS))
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 100, 100), (1, 8, 5)])
def test_every_family_writes_its_files_for_every_shape_without_pickles(family, shape, tmp_path):
    data = split(12, shape)
    model = network(family, shape)
    samples.write(tmp_path, model, network(family, shape, seed=1), {"test": data}, per_image(model, *data))
    assert {file.name for file in tmp_path.iterdir()} == {f"{name}.npz" for name in FILES[family]}
    for file in tmp_path.iterdir():
        with np.load(file, allow_pickle=False) as arrays:
            assert all(arrays[name].dtype != object for name in arrays)


@pytest.mark.parametrize("family", sorted(CONFIGS))
def test_the_same_network_gives_the_same_samples_and_the_global_random_state_stays(family):
    torch.manual_seed(1)
    first, *_ = collected(family)
    torch.manual_seed(2)
    model, untrained, data = network(family), network(family, seed=1), split()
    values = per_image(model, *data)
    state = torch.get_rng_state()
    second = samples.collect(model, untrained, data, values)
    assert torch.equal(torch.get_rng_state(), state)
    assert first.keys() == second.keys()
    for name, arrays in first.items():
        for key, array in arrays.items():
            np.testing.assert_array_equal(array, second[name][key])


def test_reconstructions_are_the_best_typical_and_worst_and_differ_from_the_untrained_networks():
    files, values, model = collected("ae")
    arrays, (images, labels) = files["reconstructions"], split()
    assert arrays["groups"].tolist() == ["best"] * 8 + ["typical"] * 8 + ["worst"] * 8
    assert arrays["mse"][:8].tolist() == values["mse"].sort().values[:8].tolist()
    assert arrays["mse"][-8:].tolist() == values["mse"].sort().values[-8:].tolist()
    np.testing.assert_array_equal(arrays["originals"], images[arrays["indices"]])
    np.testing.assert_array_equal(arrays["labels"], labels[arrays["indices"]])
    seen = model(torch.from_numpy(arrays["originals"]) / 255)
    np.testing.assert_allclose(arrays["reconstructions"], seen.detach() * 255, atol=0.51)
    assert (arrays["untrained"] != arrays["reconstructions"]).any()
    assert "denoised" not in arrays


def test_rows_by_class_have_a_classs_images_at_a_tenth_half_and_nine_tenths_of_its_errors():
    files, values, model = collected("ae")
    arrays, (images, labels) = files["by_class"], split()
    assert arrays["labels"].tolist() == labels.unique().tolist()
    for row, label in enumerate(arrays["labels"]):
        errors = values["mse"][labels == label].sort().values
        assert arrays["mse"][row].tolist() == [errors[round(share * (len(errors) - 1))] for share in (0.1, 0.5, 0.9)]
    first = torch.nonzero(values["mse"] == arrays["mse"][1, 2]).item()
    np.testing.assert_array_equal(arrays["originals"][1, 2], images[first])
    seen = model(torch.from_numpy(arrays["originals"][1]) / 255)
    np.testing.assert_allclose(arrays["reconstructions"][1], seen.detach() * 255, atol=0.51)


def test_of_many_classes_ten_have_a_row():
    images, _ = split(60)
    files, *_ = collected("ae", (images, torch.arange(60) // 2), classes=30)
    assert files["by_class"]["labels"].tolist() == [0, 3, 6, 10, 13, 16, 19, 23, 26, 29]


@pytest.mark.parametrize("family", ["ae", "vae"])
def test_a_network_that_was_given_corrupted_images_shows_them_and_what_it_makes_of_them(family):
    files, _, model = collected(family, corruption="bernoulli", target="clean")
    arrays = files["reconstructions"]
    np.testing.assert_array_equal(arrays["corrupted"], np.where(arrays["originals"] >= 127.5, 255, 0))
    seen = model(torch.from_numpy(arrays["corrupted"]) / 255).detach() * 255
    np.testing.assert_allclose(arrays["denoised"], seen, atol=0.51)


def test_noise_of_corrupted_images_is_the_same_again():
    noisy = [
        collected("ae", corruption="gaussian", corruption_std=0.2, target="clean")[0]["reconstructions"]["corrupted"]
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*noisy)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_small_test_splits_have_samples_too(count):
    for family in CONFIGS:
        collected(family, split(count))


def test_codes_belong_to_their_images():
    files, _, model = collected("ae")
    images, labels = split()
    codes = files["codes"]
    expected = model.encode(images[codes["indices"]] / 255).detach()
    np.testing.assert_allclose(codes["codes"], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(codes["labels"], labels[codes["indices"]])


def test_a_sample_of_a_sorted_split_has_every_class_in_proportion():
    labels = torch.tensor([0] * 50 + [1] * 100 + [2] * 50)
    chosen = stratified_sample(labels, 40)
    assert torch.bincount(labels[chosen]).tolist() == [10, 20, 10]
    assert (chosen.diff() > 0).all()
    assert stratified_sample(labels, 1000).tolist() == list(range(200))


def test_interpolations_go_from_one_reconstruction_to_another_of_a_different_class():
    files, _, model = collected("vae")
    arrays, (images, labels) = files["interpolations"], split()
    assert arrays["images"].shape == (PAIRS, STEPS, 1, 8, 8)
    assert len(set(arrays["indices"].flatten().tolist())) == 2 * PAIRS
    assert (arrays["labels"][:, 0] != arrays["labels"][:, 1]).all()
    np.testing.assert_array_equal(arrays["labels"], labels[arrays["indices"]])
    for step, end in ((0, 0), (-1, 1)):
        expected = model(images[arrays["indices"][:, end]] / 255).detach() * 255
        np.testing.assert_allclose(arrays["images"][:, step], expected, atol=0.51)


def test_images_of_one_class_are_interpolated_too():
    images, labels = split()
    files, *_ = collected("vae", (images, torch.zeros_like(labels)))
    assert len(files["interpolations"]["images"]) == PAIRS


def test_a_traversal_changes_one_dimension_a_row_the_most_informative_first():
    files, values, model = collected("vae")
    arrays, (images, _) = files["traversal"], split()
    kl = values["kl_per_dimension"].mean(0)
    assert arrays["images"].shape == (DIMENSIONS, VALUES, 1, 8, 8)
    assert arrays["kl"].tolist() == kl.sort(descending=True).values[:DIMENSIONS].tolist()
    assert (arrays["values"][0], arrays["values"][4], arrays["values"][-1]) == (-3, 0, 3)
    np.testing.assert_array_equal(arrays["original"], images[arrays["index"]])
    for row, column in itertools.product((0, 3), (0, 8)):
        code = model.encode(images[arrays["index"]][None] / 255).detach()
        code[0, arrays["dimensions"][row]] = float(arrays["values"][column])
        expected = model.decode(code)[0].detach() * 255
        np.testing.assert_allclose(arrays["images"][row, column], expected, atol=0.51)


def test_a_code_of_two_dimensions_has_two_rows_of_traversal():
    files, *_ = collected("vae", latent_size=2)
    assert sorted(files["traversal"]["dimensions"].tolist()) == [0, 1]


def test_active_dimensions_are_as_many_as_the_metric_counts():
    files, values, _ = collected("vae")
    assert files["kl"]["active"].sum() == active_units(values["mean"])
    assert files["kl"]["kl_per_dimension"].sum() == pytest.approx(values["kl"].mean().item(), rel=1e-5)


def test_prior_samples_are_64_different_images():
    files, *_ = collected("vae")
    assert files["prior"]["samples"].shape == (64, 1, 8, 8)
    assert len(np.unique(files["prior"]["samples"].reshape(64, -1), axis=0)) > 60


class Oracle(torch.nn.Module):
    """Tells classes apart by nothing: made to be given `values` of its own."""

    def probabilities(self, images):
        return torch.full((len(images), 3), 1 / 3)


def test_the_confusion_matrix_has_true_classes_as_rows():
    from study.evaluation.prediction import collect

    labels = torch.tensor([0, 0, 0, 1, 1, 2])
    said = torch.tensor([0, 0, 2, 1, 0, 0])
    sure = torch.tensor([0.9, 0.6, 0.8, 0.7, 0.5, 0.99])
    probabilities = ((1 - sure) / 2)[:, None].repeat(1, 3)
    probabilities[torch.arange(6), said] = sure
    images = torch.zeros(6, 1, 8, 8, dtype=torch.uint8)
    values = {"log_probabilities": probabilities.log(), "labels": labels}
    files = collect(Oracle(), (images, labels), values)
    predictions, examples = files["predictions"], files["examples"]
    assert predictions["confusion"].dtype == np.int64
    assert predictions["confusion"].tolist() == [[2, 0, 1], [1, 1, 0], [1, 0, 0]]
    assert predictions["per_class_accuracy"].tolist() == [2 / 3, 1 / 2, 0]
    assert predictions["probabilities"].sum(1) == pytest.approx(1)

    def group(name):
        return examples["indices"][examples["groups"] == name].tolist()

    assert group("right") == [0, 3, 1]
    assert group("wrong") == [5, 2, 4]
    assert group("unsure") == [4, 1, 3, 2, 0, 5]
    assert (examples["predictions"] == said[examples["indices"]].numpy()).all()
    assert examples["untrained"].shape == (12, 3)


def test_a_class_without_test_images_has_no_accuracy():
    from study.evaluation.prediction import per_class_accuracy

    accuracies = per_class_accuracy(torch.tensor([[3, 1], [0, 0]]))
    assert accuracies[0] == 0.75
    assert accuracies[1].isnan()
