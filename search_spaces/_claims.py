"""What the five reports claim, as data: their numbers and statements, never asserted as ours.

Tables hold what a report prints; the functions below each turn a row into claims. Tolerances and thresholds of the
audits are ours: no report says how exact it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean


@dataclass(frozen=True)
class Measured:
    """A number of ours, the mean over the seeds where there are several.

    Attributes:
        subject: what it is measured on, see `Claim.subject`.
        metric: for a reported configuration a column of confirm.csv, such as "test_mse" (fractions, [0, 1] pixels,
            nats or seconds, never per cent; `train_` is the mean over the last epoch as it trained;
            `_unclipped` is as the reports measured, where a network's reconstructions leave [0, 1]), or
            `test_confusion:TRUE:PREDICTED`, how many test images of the one class were taken for the other, by the
            class names, from `confusion` of samples/predictions.npz; for PCA a column of baseline.csv; for a data set
            `classes`, or `train_images`, `val_images` or `test_images`, as it is split here.
        epoch: take it after this many epochs of the last stage, from history.csv or the journal; None is the end.
        minus: take this off it, seed by seed.
    """

    subject: str
    metric: str
    epoch: int | None = None
    minus: Measured | None = None


@dataclass(frozen=True)
class Check:
    """The claimed value holds if `scale` times what was measured comes within `tolerance` of it.

    Attributes:
        measured: the number of ours that has the claim's definition.
        tolerance: in the claim's unit; over several seeds their whole 95 % interval has to be as near as this.
            None shows both without a verdict, as for seconds on hardware that is not named.
        scale: from our unit to the claim's, 100 for per cent.
    """

    measured: Measured
    tolerance: float | None
    scale: float = 1.0


@dataclass(frozen=True)
class Comparison:
    """The statement holds if each number of `lower` lies below each of `higher`."""

    lower: tuple[Measured, ...]
    higher: tuple[Measured, ...]


@dataclass(frozen=True)
class Bound:
    """The statement holds if what was measured is within the bounds, which belong to them; None is no bound."""

    measured: Measured
    at_least: float | None = None
    at_most: float | None = None


Audit = Check | Comparison | Bound


def measured_by(audit: Audit) -> Iterator[Measured]:
    """Yield every number of ours that an audit asks for, of a difference both."""
    for measured in (*audit.lower, *audit.higher) if isinstance(audit, Comparison) else (audit.measured,):
        yield measured
        if measured.minus is not None:
            yield measured.minus


@dataclass(frozen=True)
class Claim:
    """A number or a statement that a report makes.

    Attributes:
        key: its name, unique: `<report>/<row>/<column>`.
        statement: what the report says, in words.
        value: the number as printed, the mean of `values` if they are a run each, None for a statement.
        split: "train", "val" or "test" as the report calls it, None where it is about none of them.
        metric: how the report defines the number, with its unit, or what the statement is about.
        measures: what the number really measures, and what follows for the statement.
        subject: the key of a reported configuration, `pca/<data set>/<components>`, `data/<data set>`, or
            `report/<report>` where it is about none of them.
        values: the numbers as printed where there are several.
        audited_by: what has to hold of our numbers for the claim to hold, all of it; empty where nothing that
            a report ran could tell.
    """

    key: str
    statement: str
    value: float | None
    split: str | None
    metric: str
    measures: str
    subject: str
    values: tuple[float, ...] = ()
    audited_by: tuple[Audit, ...] = ()


_SECONDS = "seconds; hardware not named"


def _says(
    key: str,
    subject: str,
    statement: str,
    metric: str,
    measures: str,
    *audits: Audit,
    value: float | None = None,
    values: tuple[float, ...] = (),
    split: str | None = None,
) -> Claim:
    return Claim(key, statement, value, split, metric, measures, subject, values, audits)


def _on(metric: str, *subjects: str, epoch: int | None = None) -> tuple[Measured, ...]:
    return tuple(Measured(subject, metric, epoch) for subject in subjects)


def _gap(subject: str, metric: str) -> Measured:
    """How much higher the validation value is than the training value."""
    return Measured(subject, f"val_{metric}", minus=Measured(subject, f"train_{metric}"))


# fmt: off
# A claim is a paragraph: key and subject; what the report says, and the metric; what it measures; what audits it.

# ---------------------------------------------------------------------------------------------------------------------
# cifar_ae: CIFAR-10 autoencoders against PCA, January 2025

_BATCHES = 1429  # of 35 images, the last of 20, in 50,000
_SAME_LOSS = 0.1  # of the claimed value: one run each, and Adam is a guess
# Of PCA's errors at 32 and 108 components the mean of 25 test images lies within 0.80 to 1.22 of that of all, in 95 %.
_SAME_LAST_BATCH = _SAME_LOSS + 0.2
_MSE = "MSE per pixel, pixels in [0, 1]"
_CIFAR_AES = ("cifar_ae/1+1", "cifar_ae/1+2", "cifar_ae/2+1", "cifar_ae/2+2")

# encoder + decoder: training loss, testing loss, training time in s, testing time in s,
# mean training MSE (training loss / 1,429), what the testing loss was probably meant to be
_CIFAR_AE_TABLE = {
    "1+1": (16.023, 0.128, 3810.9, 3.072, 0.0112, "0.0128"),
    "1+2": (13.827, 0.0109, 3806.33, 3.07, 0.0097, None),
    "2+1": (17.732, 0.0147, 1044.331, 1.563, 0.0124, None),
    "2+2": (16.375, 0.1396, 971.516, 1.604, 0.0115, "0.01396"),
}
_LAST_BATCH = "The last batch's MSE only, 25 images (the code says `=+` for `+=`): comparable with nothing."
_SLIP = " Twice the pixels' variance, 0.062, which the mean image reaches: probably a slip for {}."


def _cifar_ae_row(networks: str) -> list[Claim]:
    train, test, train_s, test_s, mean_mse, meant = _CIFAR_AE_TABLE[networks]
    key = f"cifar_ae/{networks}"
    name = f"encoder {networks[0]} with decoder {networks[2]}"
    return [
        _says(f"{key}/training_loss", key,
            f"The training loss of {name} after 100 epochs is {train}.",
            "MSE per pixel, summed over the epoch's 1,429 batches of 35 images",
            f"A sum of batch means: the mean MSE is {mean_mse}.",
            Check(Measured(key, "train_loss"), _SAME_LOSS * train, scale=_BATCHES), value=train, split="train"),
        _says(f"{key}/testing_loss", key,
            f"The testing loss of {name} after 100 epochs is {test}.",
            "MSE per pixel, meant as the mean over the test set",
            _LAST_BATCH + (_SLIP.format(meant) if meant else ""),
            Check(Measured(key, "test_mse_unclipped"), _SAME_LAST_BATCH * test), value=test, split="test"),
        _says(f"{key}/training_time", key,
            f"Training {name} takes {train_s} s.", _SECONDS,
            "Fits the sum over 100 epochs.",
            Check(Measured(key, "seconds"), None), value=train_s, split="train"),
        _says(f"{key}/testing_time", key,
            f"Testing {name} takes {test_s} s.", _SECONDS,
            "Fits one pass over the 10,000 test images.", value=test_s, split="test"),
    ]


_CIFAR_AE = (
    *(claim for networks in _CIFAR_AE_TABLE for claim in _cifar_ae_row(networks)),
    _says("cifar_ae/best_network", "cifar_ae/2+2",
        "Among the networks, encoder 2 with decoder 2 is the best.", "the table's losses",
        "By the table's own training loss 1+2 is better, 13.827 against 16.375; by its testing loss too, as printed "
        "(0.0109 against 0.1396) and without the slip (0.01396).",
        Comparison(_on("test_mse_unclipped", "cifar_ae/2+2"), _on("test_mse_unclipped", *_CIFAR_AES[:3]))),
    _says("cifar_ae/without_linear_layers", "report/cifar_ae",
        "Encoder 2 and decoder 2, without linear layers, do better than encoder 1 and decoder 1.",
        "the table's losses",
        "By the table's training loss true of the decoders (13.827 < 16.023, 16.375 < 17.732), false of the encoders "
        "(17.732 > 16.023, 16.375 > 13.827).",
        Comparison(_on("test_mse_unclipped", "cifar_ae/2+1"), _on("test_mse_unclipped", "cifar_ae/1+1")),
        Comparison(_on("test_mse_unclipped", "cifar_ae/2+2"), _on("test_mse_unclipped", "cifar_ae/1+2")),
        Comparison(_on("test_mse_unclipped", "cifar_ae/1+2"), _on("test_mse_unclipped", "cifar_ae/1+1")),
        Comparison(_on("test_mse_unclipped", "cifar_ae/2+2"), _on("test_mse_unclipped", "cifar_ae/2+1"))),
    _says("cifar_ae/encoder_2_is_smaller", "report/cifar_ae",
        "Encoder 2 has fewer parameters than encoder 1.", "parameters",
        "Follows from the printed layers.",
        Comparison(_on("params", "cifar_ae/2+1"), _on("params", "cifar_ae/1+1")),
        Comparison(_on("params", "cifar_ae/2+2"), _on("params", "cifar_ae/1+2"))),
    _says("cifar_ae/blurred", "report/cifar_ae",
        "The networks did not turn out well: even the reconstruction shown as correct is blurred.", "one picture",
        "As an MSE of about 0.01 looks, 20 dB."),
    _says("cifar_ae/pca_512/mse", "pca/cifar/512",
        "PCA with 512 components has an MSE of 0.0026.", _MSE,
        "Fits 254 components; 512 give 0.000983 on the 50,000 training images.",
        Check(Measured("pca/cifar/512", "train_mse"), 0.00005), value=0.0026, split="train"),
    _says("cifar_ae/pca_512/fit_time", "pca/cifar/512",
        "Fitting PCA with 512 components takes 14.38 s.", _SECONDS,
        "One fit on the 50,000 flattened training images.",
        Check(Measured("pca/cifar/512", "fit_seconds"), None), value=14.38, split="train"),
    _says("cifar_ae/pca_32/worse_than_networks", "pca/cifar/32",
        "PCA with 32 components is worse than the autoencoders.", _MSE,
        "Its 0.012422 is worse than three of the four mean MSEs and level with 2+1's 0.0124; the networks' codes hold"
        " 108 numbers, not 32.",
        Comparison(_on("train_mse", *_CIFAR_AES), _on("train_mse", "pca/cifar/32")), split="train"),
    _says("cifar_ae/pca_wins", "pca/cifar/512",
        "PCA wins outright: its error is smaller than every autoencoder's.", _MSE,
        "Compared at 512 components against codes of 108 numbers: PCA's 0.000983 is 0.08 to 0.10 of the networks' mean "
        "MSEs, but of a code that is 4.7 times as long.",
        Comparison(_on("train_mse", "pca/cifar/512"), _on("train_mse", *_CIFAR_AES)), split="train"),
    _says("cifar_ae/pca_wins_108", "pca/cifar/108",
        "PCA wins outright, asked by this project at the networks' own size of 108: its error is smaller than theirs.",
        _MSE,
        "Not the report's comparison, which is at 512: at 108 PCA's 0.005784 is still 0.47 to 0.60 of the "
        "networks' mean MSEs.",
        Comparison(_on("train_mse", "pca/cifar/108"), _on("train_mse", *_CIFAR_AES)), split="train"),
    _says("cifar_ae/pca_faster", "pca/cifar/512",
        "PCA wins outright: its training takes less time than every autoencoder's.", _SECONDS,
        "14.38 s against 971.516 s or more, for 100 epochs.",
        Comparison(_on("fit_seconds", "pca/cifar/512"), _on("seconds", *_CIFAR_AES)), split="train"),
    _says("cifar_ae/pca_faster_108", "pca/cifar/108",
        "PCA wins outright, asked by this project at the networks' own size of 108: its training takes less time.",
        _SECONDS,
        "Not the report's comparison, which is at 512; an exact fit takes the same time at any number of components.",
        Comparison(_on("fit_seconds", "pca/cifar/108"), _on("seconds", *_CIFAR_AES)), split="train"),
    _says("cifar_ae/train_images", "data/cifar",
        "CIFAR-10 has 50,000 training images.", "images",
        "True; the report trains on all of them, a study here holds some out for validation.", value=50_000,
        split="train"),
    _says("cifar_ae/test_images", "data/cifar",
        "CIFAR-10 has 10,000 test images.", "images",
        "True; the report's network is looked at on them after every epoch.",
        Check(Measured("data/cifar", "test_images"), 0), value=10_000, split="test"),
)

# ---------------------------------------------------------------------------------------------------------------------
# mnist_ae: MNIST autoencoder, VAE and convolutional VAE against PCA, January 2023

# variance kept: components, RMSE printed for train and for test, PCA time in s, time passed in s,
# the true test RMSE, the variance that the last of the components adds
_MNIST_PCA_TABLE = {
    0.8: (44, 23.877350758777983, 5.827985525131226, 12.513728857040405, "23.470737", 0.003982),
    0.9: (87, 17.48213757700727, 5.871204376220703, 12.516777276992798, "17.189919", 0.001302),
    0.95: (154, 12.62115827352506, 6.119304656982422, 12.616967678070068, "12.453292", 0.000450),
}
_LITTLE = 2.35  # grey levels: a tenth of the 23.47 at 44 components
_PIXEL_RMSE = "grey levels of 0 to 255: the RMSE of each pixel over the images, averaged over the 784 pixels"


def _mnist_pca_row(variance: float) -> list[Claim]:
    components, rmse, fit_s, passed_s, true_test, last_share = _MNIST_PCA_TABLE[variance]
    key, subject = f"mnist_ae/pca_{variance}", f"pca/mnist/{components}"
    return [
        _says(f"{key}/components", subject,
            f"PCA keeps {variance} of the variance with {components} components.", "the least number of components",
            "True of all 60,000 training images.",
            # Below the upper bound, one component fewer keeps too little.
            Bound(Measured(subject, "explained_variance"), at_least=variance, at_most=variance + last_share),
            value=components, split="train"),
        _says(f"{key}/train_rmse", subject,
            f"The RMSE of the train set is {rmse} with {components} components.", _PIXEL_RMSE,
            "True to the last digit by this definition, over all 60,000 training images; the root of the overall mean"
            " square is larger.",
            Check(Measured(subject, "train_pixel_rmse_255"), 1e-9), value=rmse, split="train"),
        _says(f"{key}/test_rmse", subject,
            f"The RMSE of the test set is {rmse} with {components} components.", _PIXEL_RMSE,
            "Repeats the train column, as both printed sets have 60,000 images: the training set was evaluated twice. "
            f"The test set's is {true_test}.",
            Check(Measured(subject, "test_pixel_rmse_255"), 1e-9), value=rmse, split="test"),
        _says(f"{key}/fit_time", subject,
            f"PCA takes {fit_s} s with {variance} of the variance.", _SECONDS,
            "One fit on the 60,000 training images.",
            Check(Measured(subject, "fit_seconds"), None), value=fit_s, split="train"),
        _says(f"{key}/time_passed", subject,
            f"{passed_s} s pass with {variance} of the variance.", _SECONDS,
            "The fit and two evaluations of the training set.", value=passed_s),
    ]


_NELBO = "loss: reconstruction + KL, nats per image"


def _still_to_fall(subject: str, epoch: int) -> Measured:
    """How much higher the training loss is after so many epochs than at the end."""
    return Measured(subject, "train_loss", epoch, minus=Measured(subject, "train_loss"))


def _learnt_by_heart(subject: str) -> Measured:
    """How much larger the validation error of an autoencoder is than that of its training images, after training."""
    return Measured(subject, "val_mse", minus=Measured(subject, "train_eval_mse"))


_MNIST_AE = (
    *(claim for variance in _MNIST_PCA_TABLE for claim in _mnist_pca_row(variance)),
    *(
        _says(f"mnist_ae/printed_{split}_images", "data/mnist",
            f"The {split} set that PCA is evaluated on has 60,000 images.", "images",
            "MNIST's training set"
            + ("; its test set has 10,000: the training set was evaluated twice." * twice or "."),
            *([Check(Measured("data/mnist", "test_images"), 0)] if twice else []), value=60_000, split=split)
        for split, twice in (("train", False), ("test", True))
    ),
    _says("mnist_ae/train_share", "data/mnist",
        "60 % of the images are for training and 40 % for evaluation.", "per cent of the images",
        "Whether of the 60,000 or of all 70,000 is not said; the PCA runs print 60,000 for both.", value=60,
        split="train"),
    _says("mnist_ae/linear_is_pca", "report/mnist_ae",
        "An autoencoder with linear activations finds the principal components of PCA.", "theory",
        "True of the subspace that they span and of the error, not of the single axes (Baldi and Hornik, 1989)."),
    _says("mnist_ae/loss_is_rmse", "mnist_ae/dense",
        "The autoencoder's loss is the RMSE, computed as torch.mean(torch.square()).", "definition of the loss",
        "That is the mean square error: no root is taken."),
    _says("mnist_ae/kl_formula", "report/mnist_ae",
        "The KL divergence of P from Q is -Σ P log(P / Q).", "formula",
        "The sign is wrong: it is Σ P log(P / Q), which is never negative."),
    _says("mnist_ae/denoising_overfits_less", "mnist_ae/dense_gaussian",
        "A denoising autoencoder does not overfit as the plain one often does.", "train and validation loss",
        "Textbook knowledge: the report shows no run of it. Read as: the gap between both errors of clean images, "
        "after training, is smaller.",
        Comparison((_learnt_by_heart("mnist_ae/dense_gaussian"),), (_learnt_by_heart("mnist_ae/dense"),))),
    _says("mnist_ae/sparse_overfits_less", "mnist_ae/dense_sparse",
        "A sparse autoencoder, whose code is wider than its input and of which a small part fires, does not overfit.",
        "train and validation loss",
        "Textbook knowledge: the report shows no run of it. Read as: the gap between both errors, after training, is "
        "smaller; how much of the code fires is not measured.",
        Comparison((_learnt_by_heart("mnist_ae/dense_sparse"),), (_learnt_by_heart("mnist_ae/dense"),))),
    _says("mnist_ae/dense/overfits", "mnist_ae/dense",
        "The dense autoencoder's learning curve overfits.", "MSE per pixel, train and validation",
        "A curve without numbers; one run. Read as: the validation error is higher at the end than half-way.",
        Comparison(_on("val_mse", "mnist_ae/dense", epoch=50), _on("val_mse", "mnist_ae/dense"))),
    _says("mnist_ae/vae/kl_dominates", "mnist_ae/vae",
        "Most of the VAE's error comes from the KL divergence.", _NELBO,
        "The same sentence says that the reconstruction loss stays much larger: it contradicts itself.",
        Comparison(_on("train_cross_entropy", "mnist_ae/vae"), _on("train_kl", "mnist_ae/vae"))),
    _says("mnist_ae/vae/reconstruction_dominates", "mnist_ae/vae",
        "The VAE's total follows its reconstruction loss, which stays much larger than the KL divergence.", _NELBO,
        "The same sentence says that most of the error comes from the KL divergence: it contradicts itself.",
        Comparison(_on("train_kl", "mnist_ae/vae"), _on("train_cross_entropy", "mnist_ae/vae"))),
    _says("mnist_ae/vae_cnn/reconstruction_dominates", "mnist_ae/vae_cnn",
        "In the convolutional VAE the reconstruction loss matters most.", _NELBO,
        "Said of the training curves of the runs with bernoulli and gaussian input, which have no numbers.",
        *(
            Comparison(_on("train_kl", subject), _on("train_cross_entropy", subject))
            for subject in ("mnist_ae/vae_cnn_bernoulli", "mnist_ae/vae_cnn_gaussian")
        )),
    _says("mnist_ae/vae_cnn/kl_works_better", "mnist_ae/vae_cnn",
        "The KL divergence works better with the convolutional VAE than with the dense one.", "KL, nats per image",
        "Said of the training curves with bernoulli and gaussian input. Read as: it is smaller. A smaller KL alone is "
        "no merit, as a code that says nothing has none.",
        *(
            Comparison(_on("train_kl", f"mnist_ae/vae_cnn_{given}"), _on("train_kl", f"mnist_ae/vae_{given}"))
            for given in ("bernoulli", "gaussian")
        )),
    _says("mnist_ae/vae/bernoulli_slower", "mnist_ae/vae_bernoulli",
        "The VAE converges more slowly with bernoulli input than with gaussian.",
        "loss: reconstruction + KL, nats per pixel",
        "Audited by how far the training loss after 10 epochs is from where it ends. Explained by the gaussian "
        "posterior; of the convolutional VAE it is not said.",
        Comparison(
            (_still_to_fall("mnist_ae/vae_gaussian", 10),),
            (_still_to_fall("mnist_ae/vae_bernoulli", 10),),
        )),
    _says("mnist_ae/vae_cnn/smaller_latent_worse", "mnist_ae/vae_cnn_z2",
        "A smaller latent space makes it harder for the convolutional VAE to converge.", _NELBO,
        "Training curves without numbers, and the latent sizes are not given.",
        Comparison(_on("train_loss", "mnist_ae/vae_cnn"), _on("train_loss", "mnist_ae/vae_cnn_z2")),
        Comparison(_on("train_loss", "mnist_ae/vae_cnn_z64"), _on("train_loss", "mnist_ae/vae_cnn_z2"))),
    _says("mnist_ae/vae_cnn/training_time", "mnist_ae/vae_cnn",
        "The convolutional VAE takes at least an hour for 100 epochs.", _SECONDS,
        "With batches of 32; each network was trained once.",
        Check(Measured("mnist_ae/vae_cnn", "seconds"), None), value=3600, split="train"),
    _says("mnist_ae/pca_few_components", "pca/mnist/2",
        "PCA cannot reach a very small number of components and be inverted well, autoencoders can.", "pictures",
        "PCA can be inverted at any number of components; the report's least is 44. Audited by the error at 2, of an "
        "autoencoder and of a VAE.",
        *(
            Comparison(_on("test_mse", f"mnist_ae/{network}_z2"), _on("test_mse", "pca/mnist/2"))
            for network in ("dense", "vae")
        )),
    _says("mnist_ae/pca_improves_little", "report/mnist_ae",
        "PCA does not improve much with more components.", "pictures",
        "By its own table 154 components have 47 % less error than 44. Read as: a tenth less at most.",
        Bound(
            Measured("pca/mnist/154", "test_pixel_rmse_255", minus=Measured("pca/mnist/44", "test_pixel_rmse_255")),
            at_least=-_LITTLE,
        )),
    _says("mnist_ae/vae_pictures", "report/mnist_ae",
        "The VAEs' pictures failed because data were reconstructed instead of samples of the prior.", "pictures",
        "A VAE whose reconstruction loss is summed over the pixels reconstructs data well. Averaged over them, as "
        "torch.mean does, the KL divergence weighs 784 times as much, the code says nothing, and reconstructions and "
        "samples alike are the mean image: it would explain the failed pictures. Audited as: data are reconstructed no "
        "better than by PCA with one component where the loss is summed, and where it is averaged the code keeps a nat "
        "at least.",
        *(
            Comparison(_on("test_mse", "pca/mnist/1"), _on("test_mse", f"mnist_ae/{network}"))
            for network in ("vae", "vae_cnn")
        ),
        *(
            Bound(Measured(f"mnist_ae/{network}_pixel_mean", "test_kl"), at_least=1.0)
            for network in ("vae", "vae_cnn")
        )),
)

# ---------------------------------------------------------------------------------------------------------------------
# flowers: Oxford Flowers-102 autoencoder and classifier

_PER_CENT = "accuracy, per cent of the images"
_SAME_PERCENTAGE = 2.0  # points: the two rows of the same configuration differ by 1.33
# It evaluated the training images after training, without dropout, and so do our confirmations.
_AFTER_TRAINING = {"train": "train_eval_accuracy", "test": "test_accuracy"}
_TWINS = " The same configuration as {}: the means, 26.56 and 27.89, show the noise."

# configuration: what the report calls it, train accuracies, test accuracies; five runs each, but where noted
_FLOWERS_TABLE = {
    "batch_norm": ("batch norm", (93.24, 98.43, 99.6, 100, 95.29), (23.27, 26.65, 26.65, 32.27, 23.96)),
    "no_batch_norm": ("no batch norm", (3.2, 6.5, 6.47, 4.41, 0.98), (2.47, 3.4, 3.24, 3.3, 1.06)),
    "sgd": ("SGD", (100,) * 5, (14.9, 15.12, 15.03, 15.29, 15)),
    "adagrad": ("Adagrad", (100,) * 5, (36.98, 36.84, 36.87, 37.42, 37.63)),
    "rmsprop": ("RMSprop", (30.78, 19.21, 27.65, 25.69, 47.35), (11.09, 8.93, 9.46, 8.52, 14.2)),
    "adam": ("Adam", (100, 97.45, 99.11, 99.7, 98.33), (30.49, 25.45, 27.65, 28.77, 27.11)),
    "adagrad_dropout0.25": ("Adagrad and dropout 0.25", (100,) * 5, (37.62, 38.07, 37.96, 37.76, 38.1)),
    "adagrad_dropout0.5": ("Adagrad and dropout 0.5", (100,) * 5, (35.14, 35.63, 35.22, 35.08, 35.65)),
    "adagrad_dropout0.75": ("Adagrad and dropout 0.75", (32.35, 16.08), (13.4, 9.6)),  # two runs
    "adagrad_l2_0.007": ("Adagrad and L2 0.007", (100,) * 5, (37.44, 37.65, 37.73, 37.29, 37.4)),
    "adagrad_l2_0.01": ("Adagrad and L2 0.01", (100,) * 5, (37.52, 37.66, 37.12, 37.43, 37.58)),
}
# configuration: seconds of each run
_FLOWERS_SECONDS = {
    "batch_norm": (288.3, 285.3, 286.1, 287.9, 290.8),
    "no_batch_norm": (289.17, 286.89, 286, 285.4, 283.6),
}
_FLOWERS_NOTES = {"batch_norm": _TWINS.format("flowers/adam"), "adam": _TWINS.format("flowers/batch_norm")}


def _flowers_row(row: str) -> list[Claim]:
    name, train, test = _FLOWERS_TABLE[row]
    key, note = f"flowers/{row}", _FLOWERS_NOTES.get(row, "")
    measures = {
        "train": "Of the 1,020 training images, by the trained network in evaluation mode." + note,
        "test": "Of the 6,149 test images, which were also what the setting was chosen by." + note,
    }
    return [
        _says(f"{key}/{split}_accuracy", key,
            f"With {name} the {split} accuracies are {', '.join(f'{run:g}' for run in runs)} %.",
            f"{_PER_CENT}, {len(runs)} runs",
            measures[split],
            Check(Measured(key, _AFTER_TRAINING[split]), _SAME_PERCENTAGE, scale=100), value=fmean(runs), values=runs,
            split=split)
        for split, runs in (("train", train), ("test", test))
    ]


_OPTIMIZERS = ("flowers/sgd", "flowers/rmsprop", "flowers/adam")
_REGULARISED = ("adagrad_dropout0.25", "adagrad_dropout0.5", "adagrad_l2_0.007", "adagrad_l2_0.01")

_FLOWERS = (
    *(claim for row in _FLOWERS_TABLE for claim in _flowers_row(row)),
    *(
        _says(f"flowers/{row}/time", f"flowers/{row}",
            f"With {_FLOWERS_TABLE[row][0]} a run takes {', '.join(f'{run:g}' for run in runs)} s.",
            f"{_SECONDS}, 5 runs",
            "Fits the training of both stages, 30 epochs each.",
            Check(Measured(f"flowers/{row}", "seconds"), None), value=fmean(runs), values=runs)
        for row, runs in _FLOWERS_SECONDS.items()
    ),
    *(
        _says(f"flowers/final/{split}_accuracy", "flowers/final",
            f"The final model's {split} accuracy is {value} %.", f"{_PER_CENT}, 1 run",
            measures,
            Check(Measured("flowers/final", _AFTER_TRAINING[split]), _SAME_PERCENTAGE, scale=100), value=value,
            split=split)
        for split, value, measures in (
            ("train", 100.0, "All 1,020 training images."),
            (
                "test",
                41.16116441697837,
                "2,531 of the 6,149 test images, of one run, chosen by the test set. As printed the second stage "
                "builds a fresh autoencoder, so that the first may have been lost: flowers/final_scratch.",
            ),
        )
    ),
    _says("flowers/batch_norm/converges_faster", "flowers/batch_norm",
        "The cost converges far faster with batch norm.", "training cross entropy, nats per image",
        "Borne out by its accuracies after as many epochs.",
        Comparison(_on("train_loss", "flowers/batch_norm"), _on("train_loss", "flowers/no_batch_norm"))),
    _says("flowers/batch_norm/same_time", "flowers/batch_norm",
        "With and without batch norm a run takes about as long.", _SECONDS,
        "The means are 287.68 and 286.21 s."),
    _says("flowers/no_batch_norm/more_epochs_help", "flowers/no_batch_norm",
        "Without batch norm the accuracy would go on rising with more epochs.", "accuracy",
        "Not run; at 30 epochs it should still be rising, on training and on other images.",
        *(
            Comparison(_on(metric, "flowers/no_batch_norm", epoch=15), _on(metric, "flowers/no_batch_norm", epoch=30))
            for metric in ("train_accuracy", "val_accuracy")
        )),
    _says("flowers/adagrad/best_optimizer", "flowers/adagrad",
        "Adagrad is the best optimizer.", _PER_CENT,
        "Each at one learning rate, 0.001 for Adam and not given for the others; by the test set.",
        Comparison(_on("test_accuracy", *_OPTIMIZERS), _on("test_accuracy", "flowers/adagrad")), split="test"),
    _says("flowers/rmsprop/worst_optimizer", "flowers/rmsprop",
        "RMSprop is the worst optimizer.", _PER_CENT,
        "Each at one learning rate, not given for this one; by the test set.",
        Comparison(
            _on("test_accuracy", "flowers/rmsprop"),
            _on("test_accuracy", "flowers/sgd", "flowers/adagrad", "flowers/adam"),
        ), split="test"),
    _says("flowers/sgd/lacks_on_test", "flowers/sgd",
        "SGD fits the training set and lacks on the test set.", _PER_CENT,
        "Less than half of Adagrad's accuracy, with the same 100 % of the training images.",
        Bound(Measured("flowers/sgd", _AFTER_TRAINING["train"]), at_least=0.995),
        Comparison(_on("test_accuracy", "flowers/sgd"), _on("test_accuracy", "flowers/adam", "flowers/adagrad")),
        split="test"),
    _says("flowers/adagrad/converges_fast", "flowers/adagrad",
        "Adagrad, with large steps in the right direction, converges fast.", "training cross entropy, nats per image",
        "A guess from the final accuracies; audited against Adam after 10 epochs.",
        Comparison(_on("train_loss", "flowers/adagrad", epoch=10), _on("train_loss", "flowers/adam", epoch=10))),
    _says("flowers/overfits", "flowers/adagrad",
        "The model is overfitted: 100 % of the training set, at most 40 % of the test set.", _PER_CENT,
        "10 training images a class.",
        Bound(Measured("flowers/adagrad", _AFTER_TRAINING["train"]), at_least=0.995),
        Bound(Measured("flowers/adagrad", "test_accuracy"), at_most=0.4)),
    _says("flowers/regularisation_gains_little", "report/flowers",
        "L2 and dropout gain at most 1 point of accuracy.",
        "percentage points of accuracy, against Adagrad without them",
        "By the means dropout 0.25 gains 0.75, L2 0.35 (0.007) and 0.31 (0.01); dropout 0.5 loses 1.80.",
        *(
            Bound(
                Measured(f"flowers/{row}", "test_accuracy", minus=Measured("flowers/adagrad", "test_accuracy")),
                at_most=0.01,
            )
            for row in _REGULARISED
        ), value=1, split="test"),
    _says("flowers/more_data_helps_most", "report/flowers",
        "More training data would help most.", _PER_CENT,
        "Not tried; the 1,020 validation images were not trained on."),
    _says("flowers/nothing_improves_after_40_epochs", "flowers/final",
        "After 40 epochs the cost changes little.", "training cross entropy, nats per image",
        "Only a longer run than any that is reported could tell."),
    _says("flowers/autoencoder_prefers_adam", "flowers/ae",
        "Trained with Adagrad the autoencoder's pictures are less complete than with Adam.",
        "pictures during training",
        "Seen in one run, on one training image; no number is given. Audited by the error of all training images after "
        "training, not clipped.",
        Comparison(
            _on("train_eval_mse_unclipped", "flowers/ae"), _on("train_eval_mse_unclipped", "flowers/ae_adagrad")
        )),
    _says("flowers/flattening_hurts", "report/flowers",
        "A code that is flattened and reshaped, and max pooling in the classifier, make the classifier learn badly.",
        "not named",
        "Said of earlier tries, without a number."),
    _says("flowers/autograd_epoch_time", "flowers/ae",
        "With autograd through the loops of the inverse max pooling an epoch takes 10 minutes.", _SECONDS,
        "Python loops over the cells; a hand-written backward brought a whole run to 287 s.", value=600,
        split="train"),
    _says("flowers/train_images", "data/flowers",
        "There are 1,020 training images.", "images",
        "The official split: 10 of each class.",
        Check(Measured("data/flowers", "train_images"), 0), value=1020, split="train"),
    _says("flowers/classes", "data/flowers",
        "There are 102 classes.", "classes",
        "True.",
        Check(Measured("data/flowers", "classes"), 0), value=102),
)

# ---------------------------------------------------------------------------------------------------------------------
# cifar_cnn: a ladder of CIFAR-10 classifiers, November 2022

_FRACTION = "accuracy, fraction of the images"
_SAME_ACCURACY = 0.03  # one run each, and optimizer and batch size are guesses
_CHANCE = 0.12  # accuracy that no network which learns stays below, and none at chance exceeds on 8,000 images

# model: accuracies by split as printed
_CIFAR_CNN_TABLE = {
    "A": {"val": 0.18},
    "B": {"val": 0.28},
    "C": {"val": 0.10},
    "D": {"val": 0.59},
    "E": {"val": 0.01},
    "F": {"train": 0.978, "val": 0.75, "test": 0.75},
    "G": {"train": 0.90, "val": 0.83, "test": 0.83},
    "GAP": {"train": 0.88, "val": 0.83, "test": 0.83},
    "GAP_240": {"train": 0.93, "val": 0.85, "test": 0.84},
}
_CIFAR_CNN_NOTES = {
    "A": " A softmax whose cross entropy applies log-softmax again flattens the gradient.",
    "B": " A softmax whose cross entropy applies log-softmax again flattens the gradient.",
    "C": " Chance: it does not learn.",
    "E": " Must be 0.10, chance: 0.01 is ten times worse than guessing.",
}
# The table is of finished networks: the training images, too, are evaluated after training, without dropout.
_CIFAR_CNN_METRICS = {"train": "train_eval_accuracy", "val": "val_accuracy", "test": "test_accuracy"}
_CIFAR_CNN_IMAGES = {"train": "42,000 training", "val": "8,000 validation", "test": "10,000 test"}
# probability of each class, for one image
_UNTRAINED_A = (0.132, 0.081, 0.131, 0.096, 0.064, 0.086, 0.100, 0.123, 0.091, 0.096)
_TRAINED_A = (0.126, 0.087, 0.074, 0.098, 0.081, 0.101, 0.111, 0.077, 0.119, 0.116)


def _overfit(model: str) -> Measured:
    """How much higher the training accuracy is than the validation accuracy."""
    key = f"cifar_cnn/{model}"
    return Measured(key, "train_eval_accuracy", minus=Measured(key, "val_accuracy"))


def _ladder(lower: str, higher: str) -> Comparison:
    return Comparison(_on("val_accuracy", f"cifar_cnn/{lower}"), _on("val_accuracy", f"cifar_cnn/{higher}"))


def _improves_from(model: str, epoch: int, measures: str) -> Claim:
    key = f"cifar_cnn/{model}"
    return _says(f"{key}/improves_from", key,
        f"Model {model} improves from about epoch {epoch} on only, and slowly.", "epoch",
        measures,
        Bound(Measured(key, "val_accuracy", epoch - 10), at_most=_CHANCE),
        Comparison(_on("val_accuracy", key, epoch=epoch), _on("val_accuracy", key)), value=epoch)


_CIFAR_CNN = (
    *(
        _says(f"cifar_cnn/{model}/{split}_accuracy", f"cifar_cnn/{model}",
            f"Model {model}'s {split} accuracy is {value}.", f"{_FRACTION}, 1 run",
            f"Of the {_CIFAR_CNN_IMAGES[split]} images." + _CIFAR_CNN_NOTES.get(model, ""),
            Check(Measured(f"cifar_cnn/{model}", _CIFAR_CNN_METRICS[split]), _SAME_ACCURACY), value=value, split=split)
        for model, row in _CIFAR_CNN_TABLE.items()
        for split, value in row.items()
    ),
    _says("cifar_cnn/A/parameters", "cifar_cnn/A",
        "Model A has (3·3 + 1)·5·2 + 5·4·4 + 1 = 181 parameters.", "parameters",
        "It has (3·9 + 1)·5 + (5·9 + 1)·5 + 80·10 + 10 = 1,180: input channels and classes are left out.",
        Check(Measured("cifar_cnn/A", "params"), 0), value=181),
    _says("cifar_cnn/A/untrained_prediction", "cifar_cnn/A",
        f"Before training model A predicts {_UNTRAINED_A}.", "probability of each class, for one image",
        "Near 0.1 each, as it has to be; another seed gives others.", values=_UNTRAINED_A),
    _says("cifar_cnn/A/trained_prediction", "cifar_cnn/A",
        f"After training model A predicts {_TRAINED_A}.", "probability of each class, for one image",
        "Still near 0.1 each: the network is hardly surer than before. The ten sum to 0.990, so a digit is wrong.",
        values=_TRAINED_A),
    _improves_from("A", 140, "Read off a curve; a small learning rate, 0.001, depth or sigmoid are blamed."),
    _improves_from("B", 110, "Read off a curve, of 150 epochs."),
    _says("cifar_cnn/B/improves_earlier", "cifar_cnn/B",
        "With 20 filters instead of 5 the accuracy begins to rise somewhat earlier.", _FRACTION,
        "Epoch 110 against 140, one run each. Read as: after 130 epochs A is still at chance, and B is above it.",
        Bound(Measured("cifar_cnn/A", "val_accuracy", 130), at_most=_CHANCE),
        Comparison(_on("val_accuracy", "cifar_cnn/A", epoch=130), _on("val_accuracy", "cifar_cnn/B", epoch=130)),
        split="val"),
    _says("cifar_cnn/D/overfits", "cifar_cnn/D",
        "Model D's training accuracy is much higher than its validation accuracy.", _FRACTION,
        "A curve; the training accuracy is not printed.",
        Bound(_overfit("D"), at_least=0.1)),
    _says("cifar_cnn/E/does_not_learn", "cifar_cnn/E",
        "Model E does not learn at all; it may be too deep without normalisation.", _FRACTION,
        "The double softmax, which flattens the gradient, may be to blame as well.",
        Bound(Measured("cifar_cnn/E", "val_accuracy"), at_most=_CHANCE), split="val"),
    _says("cifar_cnn/F/overfits", "cifar_cnn/F",
        "Model F's training accuracy is more than 0.2 higher than its validation accuracy.",
        "difference of accuracies",
        "0.978 - 0.75 = 0.228.",
        Bound(_overfit("F"), at_least=0.2), value=0.2),
    _says("cifar_cnn/depth_helps", "report/cifar_cnn",
        "A CNN needs some depth before it gives good results.", _FRACTION,
        "Of A, B and D; C and E, deeper than B and D, are at chance in the same table. A and B differ from D in ReLU "
        "as well.",
        _ladder("A", "D"), _ladder("B", "D"), split="val"),
    _says("cifar_cnn/relu_helps", "report/cifar_cnn",
        "ReLU inside the network works much better than sigmoid.", _FRACTION,
        "C against D.",
        _ladder("C", "D"), split="val"),
    _says("cifar_cnn/batch_norm_helps", "report/cifar_cnn",
        "Batch norm can let a model begin to fit.", _FRACTION,
        "E against F. Read as: E stays at chance, and F does better.",
        Bound(Measured("cifar_cnn/E", "val_accuracy"), at_most=_CHANCE), _ladder("E", "F"), split="val"),
    _says("cifar_cnn/dropout_helps", "report/cifar_cnn",
        "Dropout makes the model generalise much better.", _FRACTION,
        "F against G: 0.08 more validation accuracy, and a gap of 0.07 instead of 0.228.",
        _ladder("F", "G"), Comparison((_overfit("G"),), (_overfit("F"),)), split="val"),
    _says("cifar_cnn/GAP/any_size", "cifar_cnn/GAP",
        "With global average pooling the model takes images of any size.", "image size, pixels",
        "True from 8 pixels a side on: three poolings halve them."),
    *(
        _says(f"cifar_cnn/GAP/{name}", "cifar_cnn/GAP",
            statement, "probability, for one image",
            measures, value=value)
        for name, value, statement, measures in (
            ("cat_is_airplane", 0.973, "GAP takes a cat of 32×20 pixels for an airplane with 97.3 %.", "Wrong."),
            ("cat_is_cat", 0.025, "GAP takes the same cat for a cat with 2.5 %.", "The right class comes second."),
            ("frog_is_frog", 0.999999, "GAP takes a frog of 32×18 pixels for a frog with 99.9999 %.", "Right."),
        )
    ),
    _says("cifar_cnn/train_images", "data/cifar",
        "42,000 of CIFAR-10's training images are for training.", "images",
        "Split at random, without a seed.",
        Check(Measured("data/cifar", "train_images"), 0), value=42_000, split="train"),
    _says("cifar_cnn/val_images", "data/cifar",
        "8,000 of CIFAR-10's training images are for validation.", "images",
        "Split at random, without a seed.",
        Check(Measured("data/cifar", "val_images"), 0), value=8000, split="val"),
)

# ---------------------------------------------------------------------------------------------------------------------
# fashion: Fashion-MNIST convolutional autoencoder and a classifier on its encoder, November 2024

_FASHION_AES = ("fashion/base", "fashion/p0.1", "fashion/p0.1_n256")
_FINETUNED, _FROZEN = "fashion/classifier_finetuned", "fashion/classifier_frozen"
_TOPS = ("Shirt", "Coat")
_EASY = ("Trouser", "Sandal", "Sneaker", "Bag", "Ankle boot")
_FAIR = ("T-shirt/top", "Pullover", "Dress")
_CONFUSION = "images of 1,000 of the class, on what seems to be the test set"
_CURVE = "MSE per pixel, a curve over the epochs without numbers"
_SAME_COUNT = 40  # images of 1,000: one run, and the classifier's settings are not given


def _taken_for(subject: str, true: str, predicted: str) -> Measured:
    return Measured(subject, f"test_confusion:{true}:{predicted}")


def _right(subject: str, *classes: str) -> tuple[Measured, ...]:
    return tuple(_taken_for(subject, name, name) for name in classes)


def _lost_by_freezing(*classes: str) -> tuple[Measured, ...]:
    return tuple(Measured(_FINETUNED, right.metric, minus=right) for right in _right(_FROZEN, *classes))


def _rises_after(subject: str, metric: str, epoch: int) -> Comparison:
    return Comparison(_on(metric, subject, epoch=epoch), _on(metric, subject))


def _rises_from_the_first(subject: str, *metrics: str) -> tuple[Comparison, ...]:
    return tuple(Comparison(_on(metric, subject, epoch=1), _on(metric, subject)) for metric in metrics)


def _falls_until(subject: str, metric: str, epoch: int) -> Comparison:
    return Comparison(_on(metric, subject, epoch=epoch), _on(metric, subject, epoch=1))


def _falls(subject: str, metric: str, epoch: int = 1) -> Comparison:
    return Comparison(_on(metric, subject), _on(metric, subject, epoch=epoch))


_FASHION = (
    _says("fashion/untrained", "fashion/base",
        "The untrained model cannot reconstruct the images.", "pictures",
        "As it has to be."),
    *(
        _says(f"{subject}/loss_rises_after", subject,
            f"With dropout {dropout} both losses fall at first and rise after epoch 5.", "epoch",
            "One run; dropout acts while the training loss is measured, and not on the validation loss.",
            *(
                audit
                for metric in ("train_loss", "val_mse")
                for audit in (_falls_until(subject, metric, 5), _rises_after(subject, metric, 5))
            ), value=5)
        for subject, dropout in (("fashion/base", 0.2), ("fashion/p0.1", 0.1))
    ),
    _says("fashion/base/poor_pictures", "fashion/base",
        "The base model reconstructs the images, not very well, with a relatively low error.", "pictures",
        "No number is given."),
    _says("fashion/p0.1/no_difference", "fashion/p0.1",
        "Dropout 0.1 instead of 0.2 makes no significant difference.", _CURVE,
        "Audited as: less than 0.001, a tenth of PCA's error with as many components.",
        Bound(
            Measured("fashion/p0.1", "test_mse", minus=Measured("fashion/base", "test_mse")),
            at_least=-0.001,
            at_most=0.001,
        )),
    _says("fashion/p0.1/no_details", "fashion/p0.1",
        "With dropout 0.1 and n = 64 general patterns are kept, edges and details lost.", "pictures",
        "No number is given."),
    _says("fashion/p0.1_n256/loss_falls", "fashion/p0.1_n256",
        "With n = 256 both losses fall all the time.", _CURVE,
        "Audited by the ends of the first, the fifth and the last epoch.",
        *(
            audit
            for metric in ("train_loss", "val_mse")
            for audit in (_falls("fashion/p0.1_n256", metric, 5), _falls_until("fashion/p0.1_n256", metric, 5))
        )),
    _says("fashion/p0.1_n256/curves_are_close", "fashion/p0.1_n256",
        "With n = 256 the losses on training and validation images are close: what is learnt generalises.", _CURVE,
        "The conclusions say that the gap grows with complexity. How close is not said; audited as: within 0.001, as "
        "for no difference.",
        Bound(_gap("fashion/p0.1_n256", "mse"), at_least=-0.001, at_most=0.001)),
    _says("fashion/p0.1_n256/best", "fashion/p0.1_n256",
        "n = 256 with dropout 0.1 is the best of the autoencoders.", _CURVE,
        "The word is ours: of this one alone the report says that it improved. Its code is four times as large: PCA at "
        "256 components has 0.28 of its error at 64.",
        Comparison(_on("test_mse", "fashion/p0.1_n256"), _on("test_mse", *_FASHION_AES[:2], "fashion/sgd"))),
    _says("fashion/p0.1_n256/sharper", "fashion/p0.1_n256",
        "With n = 256 the pictures have more details.", "pictures",
        "Audited by the structural similarity.",
        Comparison(_on("test_ssim", "fashion/p0.1"), _on("test_ssim", "fashion/p0.1_n256"))),
    _says("fashion/sgd/loss_falls", "fashion/sgd",
        "With SGD both losses fall.", _CURVE,
        "True of almost any first epochs.",
        _falls("fashion/sgd", "train_loss"), _falls("fashion/sgd", "val_mse")),
    _says("fashion/sgd/does_not_learn", "fashion/sgd",
        "With SGD the loss stays much larger than with Adam: the model does not learn.", _CURVE,
        "At a learning rate that is not given, in 15 epochs.",
        Comparison(_on("test_mse", *_FASHION_AES), _on("test_mse", "fashion/sgd"))),
    _says("fashion/classifier_finetuned/loss_falls", _FINETUNED,
        "Trained as a whole, the classifier's loss falls and its accuracy rises on both sets.",
        "loss and accuracy, curves without numbers",
        "Which loss is not said.",
        _falls(_FINETUNED, "train_loss"), _falls(_FINETUNED, "val_cross_entropy"),
        *_rises_from_the_first(_FINETUNED, "train_accuracy", "val_accuracy")),
    *(
        _says(f"fashion/classifier_finetuned/shirt_as_{name}", _FINETUNED,
            f"Trained as a whole, the classifier takes {count} of the shirts for {predicted}.", _CONFUSION,
            "Of 1,000, one run.",
            Check(_taken_for(_FINETUNED, "Shirt", predicted), _SAME_COUNT), value=count, split="val")
        for name, predicted, count in (
            ("shirt", "Shirt", 695),
            ("t_shirt", "T-shirt/top", 138),
            ("pullover", "Pullover", 83),
        )
    ),
    _says("fashion/classifier_finetuned/easy_classes", _FINETUNED,
        "Trouser, Sandal, Sneaker, Bag and Ankle boot are classified well.", _CONFUSION,
        "Read as: better than each of the other five.",
        Comparison(_right(_FINETUNED, *_FAIR, *_TOPS), _right(_FINETUNED, *_EASY))),
    _says("fashion/classifier_finetuned/hard_classes", _FINETUNED,
        "Shirt and Coat are hard to tell apart, both being worn on the upper body.", _CONFUSION,
        "Read as: worse than each of the others. Of the shirts more go to T-shirt/top (138) and Pullover (83).",
        Comparison(_right(_FINETUNED, *_TOPS), _right(_FINETUNED, *_FAIR, *_EASY))),
    _says("fashion/classifier_frozen/loss_falls", _FROZEN,
        "With the encoder frozen, the loss falls steeply on both sets.", "loss, curves without numbers",
        "Which loss is not said.",
        _falls(_FROZEN, "train_loss"), _falls(_FROZEN, "val_cross_entropy")),
    _says("fashion/classifier_frozen/larger_loss", _FROZEN,
        "With the encoder frozen, the loss is much larger.", "loss, curves without numbers",
        "Which loss is not said; audited by the cross entropy.",
        Comparison(_on("test_cross_entropy", _FINETUNED), _on("test_cross_entropy", _FROZEN))),
    _says("fashion/classifier_frozen/oscillates", _FROZEN,
        "With the encoder frozen, the accuracy rises at first, then oscillates.", "accuracy, a curve without numbers",
        "Of both sets. How much is an oscillation is not said. A ReLU on the logits gives a class that is always "
        "negative no gradient."),
    _says("fashion/classifier_frozen/worse", _FROZEN,
        "With the encoder frozen, the classifier is worse than trained as a whole.", "accuracy",
        "Without numbers; nor is it said whether both had as many epochs.",
        Comparison(_on("test_accuracy", _FROZEN), _on("test_accuracy", _FINETUNED))),
    _says("fashion/classifier_frozen/worse_in_every_class", _FROZEN,
        "With the encoder frozen, fewer images of every class are right.", _CONFUSION,
        "The diagonals of two confusion matrices, one run each.",
        *(Comparison(_right(_FROZEN, name), _right(_FINETUNED, name)) for name in (*_EASY, *_FAIR, *_TOPS))),
    _says("fashion/classifier_frozen/coat_and_shirt", _FROZEN,
        "With the encoder frozen, Coat and Shirt are much worse.", _CONFUSION,
        "Audited as: they lose more images than each of the other classes.",
        Comparison(_lost_by_freezing(*_EASY, *_FAIR), _lost_by_freezing(*_TOPS))),
    _says("fashion/complexity_helps", "report/fashion",
        "Results improve as the models grow more complex.", "loss and accuracy",
        "One comparison: n = 256 against 64.",
        Comparison(_on("test_mse", "fashion/p0.1_n256"), _on("test_mse", "fashion/p0.1"))),
    _says("fashion/gap_grows", "report/fashion",
        "The gap between training and validation grows with the model's complexity.", _CURVE,
        "With n = 256 the same report calls the curves close. Read as: of the errors after training, without dropout; "
        "while dropout is on the training images have the larger error.",
        Comparison((_learnt_by_heart("fashion/p0.1"),), (_learnt_by_heart("fashion/p0.1_n256"),))),
    _says("fashion/no_dropout_on_output", "report/fashion",
        "Dropout on the decoder's output would put noise into the picture.", "theory",
        "True while training; in evaluation dropout does nothing."),
    _says("fashion/search_by_hand", "report/fashion",
        "Finding a good combination of hyperparameters takes much time and experience.", "experience",
        "What a study is for."),
)

CLAIMS: tuple[Claim, ...] = (*_CIFAR_AE, *_MNIST_AE, *_FLOWERS, *_CIFAR_CNN, *_FASHION)
