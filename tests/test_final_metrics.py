import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d
from small_networks import network, split

from study.evaluation.final_metrics import WIDEST_CODE, final_metrics, probe_accuracy, structural_similarity
from study.training.trainer import per_image

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 100, 100), (1, 3, 9)]


def images(shape, seed=0, n=3):
    return torch.rand((n, *shape), generator=torch.Generator().manual_seed(seed))


def written_out_ssim(image, original):
    """Return SSIM of two (height, width) arrays from the paper's formula, window by window in float64."""
    side = min(11, *image.shape)
    side -= 1 - side % 2
    offsets = np.arange(side) - side // 2
    window = np.exp(-(offsets**2) / (2 * (1.5 * side / 11) ** 2))
    window /= window.sum()

    def mean(array):
        smooth = correlate1d(correlate1d(array, window, axis=0), window, axis=1)
        margin = side // 2
        return smooth[margin : len(array) - margin, margin : array.shape[1] - margin]

    x, y = image.astype(float), original.astype(float)
    c1, c2 = 0.01**2, 0.03**2
    covariance = mean(x * y) - mean(x) * mean(y)
    variances = mean(x * x) - mean(x) ** 2 + mean(y * y) - mean(y) ** 2
    luminance = (2 * mean(x) * mean(y) + c1) / (mean(x) ** 2 + mean(y) ** 2 + c1)
    return (luminance * (2 * covariance + c2) / (variances + c2)).mean()


@pytest.mark.parametrize("shape", SHAPES)
def test_ssim_is_the_papers_formula(shape):
    first, second = images(shape), (images(shape) + 0.2 * images(shape, seed=1)).clamp(max=1)
    expected = [
        np.mean([written_out_ssim(x, y) for x, y in zip(one, other, strict=True)])
        for one, other in zip(first.numpy(), second.numpy(), strict=True)
    ]
    assert structural_similarity(first, second).tolist() == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_equal_images_are_as_similar_as_can_be_and_others_less(shape):
    original = images(shape)
    assert structural_similarity(original, original).tolist() == pytest.approx([1, 1, 1])
    noisy = [structural_similarity((original + scale * images(shape, 1)), original).mean() for scale in (0.1, 0.5)]
    assert 1 > noisy[0] > noisy[1]


def test_ssim_of_images_without_structure_is_refused():
    with pytest.raises(ValueError, match="at least 3 pixels"):
        structural_similarity(images((1, 2, 9)), images((1, 2, 9)))


class Reading(torch.nn.Module):
    """A network whose code is the image's pixels, or their first ones."""

    def __init__(self, size=None):
        super().__init__()
        self.size = size

    def encode(self, pixels):
        return pixels.flatten(1)[:, : self.size]

    def decode(self, codes):
        return codes.reshape(-1, 1, 8, 8)

    def forward(self, pixels):
        return self.decode(self.encode(pixels))


def classes(n, shape=(1, 8, 8), seed=0):
    """Return uint8 noise in which one pixel tells the class."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, n)
    pixels = generator.integers(0, 256, (n, *shape)).astype(np.uint8)
    pixels[:, 0, -1, -1] = 255 * labels
    return torch.from_numpy(pixels), torch.from_numpy(labels)


def test_a_linear_probe_finds_what_the_code_holds_and_no_more():
    train, test = classes(300), classes(200, seed=1)
    assert probe_accuracy(Reading(), train, test, 0) > 0.95
    assert probe_accuracy(Reading(63), train, test, 0) < 0.65


def test_wide_codes_are_reduced_and_the_probe_is_repeatable():
    shape = (1, 24, 24)
    train, test = classes(150, shape), classes(50, shape, seed=1)
    assert train[0][0].numel() > WIDEST_CODE
    first = probe_accuracy(Reading(), train, test, 0)
    assert first == probe_accuracy(Reading(), train, test, 0)
    assert 0 <= first <= 1


def test_one_class_has_no_probe():
    pixels, labels = classes(30)
    splits = dict.fromkeys(("train", "test"), (pixels, torch.zeros_like(labels)))
    assert final_metrics(Reading(), splits, {}, 0) == {"ssim": pytest.approx(1)}


@pytest.mark.parametrize(
    ("family", "names"),
    [
        ("ae", {"ssim", "probe_accuracy"}),
        ("vae", {"ssim", "probe_accuracy", "nll_iw64"}),
        ("classifier", {"worst_class_accuracy"}),
    ],
)
def test_every_family_has_its_metrics_repeatable_without_the_global_random_state(family, names):
    model, splits = network(family), {"train": split(40), "test": split()}
    values = per_image(model, *splits["test"])
    state = torch.get_rng_state()
    first = final_metrics(model.train(), splits, values, 5)
    assert torch.equal(torch.get_rng_state(), state)
    assert first == final_metrics(model, splits, values, 5)
    assert first.keys() == names
    assert all(np.isfinite(value) and isinstance(value, float) for value in first.values())


def test_more_codes_bound_the_likelihood_more_tightly():
    model, test = network("vae", latent_size=4), split()
    values = per_image(model, *test)
    metrics = final_metrics(model, {"train": test, "test": test}, values, 0)
    assert metrics["nll_iw64"] < values["nelbo"].mean()


def test_the_worst_class_is_the_one_that_is_recognised_least():
    said = torch.tensor([0, 0, 1, 1, 0, 2])
    labels = torch.tensor([0, 0, 1, 1, 1, 2])
    values = {"log_probabilities": torch.eye(4)[said].clamp(min=1e-6).log(), "labels": labels}
    splits = {"test": (torch.zeros(6, 1, 8, 8, dtype=torch.uint8), labels)}
    metrics = final_metrics(network("classifier"), splits, values, 0)
    assert metrics == {"worst_class_accuracy": pytest.approx(2 / 3)}
