"""What each report shows, in its own order: its tables by their claims, its curves and pictures by configurations."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Claimed:
    """A table of claims, those whose keys begin with one of `claims`; no claim is in two of them."""

    title: str
    claims: tuple[str, ...]


@dataclass(frozen=True)
class Curves:
    """A figure of learning curves: a metric, without its split, of some configurations, with a note for its caption."""

    title: str
    metric: str
    keys: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True)
class Pictures:
    """A kind of picture, by the name that a study gives it, of some configurations."""

    title: str
    picture: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class ReportedPage:
    """A report: its key, who wrote what and when, and what it shows."""

    key: str
    title: str
    parts: tuple[Claimed | Curves | Pictures, ...]


_CIFAR_AE = tuple(f"cifar_ae/{pair}" for pair in ("1+1", "1+2", "2+1", "2+2"))
_VAE_INPUTS = ("mnist_ae/{}", "mnist_ae/{}_bernoulli", "mnist_ae/{}_gaussian")
_VAE_CODES = ("mnist_ae/{}_z2", "mnist_ae/{}", "mnist_ae/{}_z64")


_EIGHT_BITS = (
    " In nats of an 8-bit image; what was trained, and what the table below has, is the cross entropy of pixels in "
    "[0, 1] and the KL divergence, a smaller number."
)
_SPOILT = " Training is of the inputs as they were spoilt, validation of clean images: not only the splits differ."


def _vae(network: str, name: str) -> tuple[Curves, ...]:
    codes, inputs = (tuple(key.format(network) for key in keys) for keys in (_VAE_CODES, _VAE_INPUTS))
    return (
        Curves(f"{name}: latent sizes of 2, 20 and 64, −ELBO", "nelbo", codes, _EIGHT_BITS),
        Curves(f"{name}: latent sizes, KL", "kl", codes),
        Curves(f"{name}: latent sizes, reconstruction", "reconstruction", codes, _EIGHT_BITS),
        Curves(f"{name}: input as it is, binarised, and with noise, −ELBO", "nelbo", inputs, _EIGHT_BITS + _SPOILT),
    )


def _ladder(*rungs: str) -> tuple[Claimed | Curves, ...]:
    parts: list[Claimed | Curves] = []
    for rung in rungs:
        key = f"cifar_cnn/{rung}"
        parts += [
            Curves(f"Model {rung}: loss", "cross_entropy", (key,)),
            Curves(f"Model {rung}: accuracy", "accuracy", (key,)),
        ]
        parts.append(Claimed(f"Model {rung}", (f"{key}/",)))
    return tuple(parts)


def _variant(title: str, key: str) -> tuple[Claimed | Curves | Pictures, ...]:
    return (
        Curves(f"{title}: loss", "mse", (key,)),
        Pictures(f"{title}: reconstructions", "reconstructions", (key,)),
        Claimed(title, (f"{key}/",)),
    )


def _classifier(title: str, key: str) -> tuple[Claimed | Curves | Pictures, ...]:
    return (
        Curves(f"{title}: loss", "cross_entropy", (key,)),
        Curves(f"{title}: accuracy", "accuracy", (key,)),
        Pictures(f"{title}: confusion matrix", "confusion", (key,)),
        Claimed(title, (f"{key}/",)),
    )


REPORTED_PAGES = (
    ReportedPage(
        "cifar_ae",
        "Ιωαχείμ Ευαγγελινός, *3η εργασία στα Νευρωνικά δίκτυα*, 2025",
        (
            Claimed("Comparison of the autoencoders (section 5)", tuple(f"{key}/" for key in _CIFAR_AE)),
            Curves("Learning curves, with Adam", "mse", _CIFAR_AE),
            Curves("Learning curves, with SGD", "mse", tuple(f"{key}_sgd" for key in _CIFAR_AE)),
            Pictures("Correct and incorrect reconstructions (section 6)", "reconstructions", _CIFAR_AE),
            Claimed("Comparison with PCA (section 7), and conclusions", ("cifar_ae/",)),
        ),
    ),
    ReportedPage(
        "mnist_ae",
        "Χάρης Φίλης, *Δίκτυα Αυτοκωδικοποίησης MNIST – Autoencoders MNIST*, 2023",
        (
            Claimed("PCA (figures 2 and 3)", ("mnist_ae/pca_",)),
            Curves("Autoencoder: learning curve (figure 5)", "mse", ("mnist_ae/dense",)),
            Curves(
                "Autoencoder: input as it is, binarised, and with noise",
                "mse",
                tuple(f"mnist_ae/dense{suffix}" for suffix in ("", "_bernoulli", "_gaussian")),
            ),
            Claimed("Autoencoder", ("mnist_ae/dense/", "mnist_ae/denoising", "mnist_ae/loss_is", "mnist_ae/linear_is")),
            *_vae("vae", "VAE (8.3)"),
            Claimed("VAE", ("mnist_ae/vae/",)),
            *_vae("vae_cnn", "Convolutional VAE (8.4)"),
            Claimed("Convolutional VAE, and timings (8.5)", ("mnist_ae/vae_cnn/",)),
            Pictures("Reconstructions of the autoencoder (figures 11 and 12)", "reconstructions", ("mnist_ae/dense",)),
            Pictures("Reconstructions (figure 13)", "reconstructions", ("mnist_ae/vae", "mnist_ae/vae_cnn")),
            Pictures("Samples of the prior, which the report lacks", "prior", ("mnist_ae/vae", "mnist_ae/vae_cnn")),
            Claimed("The rest", ("mnist_ae/",)),
        ),
    ),
    ReportedPage(
        "flowers",
        "신상윤, *AutoEncoder with CNN*, no year printed",
        (
            Claimed("Batch normalisation (5.가)", ("flowers/batch_norm/", "flowers/no_batch_norm/")),
            Curves("Batch normalisation: cost", "cross_entropy", ("flowers/batch_norm", "flowers/no_batch_norm")),
            Claimed(
                "Optimizers (5.나)",
                tuple(f"flowers/{optimizer}/" for optimizer in ("sgd", "adagrad", "rmsprop", "adam")),
            ),
            Curves(
                "Optimizers: cost",
                "cross_entropy",
                tuple(f"flowers/{optimizer}" for optimizer in ("sgd", "adagrad", "rmsprop", "adam")),
            ),
            Claimed("Regularisation (5.다)", ("flowers/adagrad_", "flowers/overfits", "flowers/regularisation")),
            Claimed("Final model (5.라)", ("flowers/final/",)),
            Pictures("x and x̂ of the autoencoder", "reconstructions", ("flowers/ae",)),
            Claimed("The rest", ("flowers/",)),
        ),
    ),
    ReportedPage(
        "cifar_cnn",
        "Piotr Zawiślan, *MRO – zadanie 3: Pierwszy i prawdopodobnie ostatni raz w życiu (trenujemy od podstaw "
        "konwolucyjną sieć neuronową)*, 2022",
        (
            *_ladder("A", "B", "C", "D", "E", "F", "G", "GAP", "GAP_240"),
            Claimed("Conclusions", ("cifar_cnn/",)),
        ),
    ),
    ReportedPage(
        "fashion",
        "Kevin Gaston Mansilla, *Trabajo Integrados – Autoencoder y Clasificador con PyTorch*, 2024",
        (
            Pictures("The untrained model (figure 2)", "untrained", ("fashion/base",)),
            *_variant("Base model (figures 3 and 4)", "fashion/base"),
            *_variant("Dropout 0.1, n = 64 (figures 5 and 6)", "fashion/p0.1"),
            *_variant("Dropout 0.1, n = 256 (figures 7 and 8)", "fashion/p0.1_n256"),
            *_variant("SGD (figures 9 and 10)", "fashion/sgd"),
            *_classifier("Classifier, all parameters trained (figures 11 to 13)", "fashion/classifier_finetuned"),
            *_classifier("Classifier, the encoder frozen (figures 14 to 16)", "fashion/classifier_frozen"),
            Claimed("Conclusions", ("fashion/",)),
        ),
    ),
)
