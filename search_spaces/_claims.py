"""What the reports claim, as data: their numbers and statements, never asserted as ours."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """A number or a statement that a report makes.

    Attributes:
        key: its name, unique: `<report>/<row>/<column>`.
        statement: what the report says, in words.
        value: the number as printed, None for a statement.
        split: "train" or "test" as the report calls it, None where it is about neither.
        metric: how the report defines the number, with its unit.
        measures: what the number really measures, and what follows for the statement.
        subject: the key of a reported configuration, `pca/<components>`, or the report that it is about.
    """

    key: str
    statement: str
    value: float | None
    split: str | None
    metric: str
    measures: str
    subject: str


_TRAIN_LOSS = "MSE per pixel, summed over the epoch's 1,429 batches of 35 images"
_TEST_LOSS = "MSE per pixel, meant as the mean over the test set"
_LAST_BATCH = "The last batch's MSE only, 25 images (the code says `=+` for `+=`): comparable with nothing."
_SLIP = " Twice the pixels' variance, 0.062, which the mean image reaches: probably a slip for {}."

# encoder + decoder: training loss, testing loss, training time in s, testing time in s,
# mean training MSE (training loss / 1,429), what the testing loss was probably meant to be
_CIFAR_AE_TABLE = {
    "1+1": (16.023, 0.128, 3810.9, 3.072, 0.0112, "0.0128"),
    "1+2": (13.827, 0.0109, 3806.33, 3.07, 0.0097, None),
    "2+1": (17.732, 0.0147, 1044.331, 1.563, 0.0124, None),
    "2+2": (16.375, 0.1396, 971.516, 1.604, 0.0115, "0.01396"),
}


def _cifar_ae_row(networks: str) -> list[Claim]:
    train, test, train_s, test_s, mean_mse, meant = _CIFAR_AE_TABLE[networks]
    key = f"cifar_ae/{networks}"
    subject = f"encoder {networks[0]} with decoder {networks[2]}"
    return [
        Claim(
            key=f"{key}/training_loss",
            statement=f"The training loss of {subject} after 100 epochs is {train}.",
            value=train,
            split="train",
            metric=_TRAIN_LOSS,
            measures=f"A sum of batch means: the mean MSE is {mean_mse}.",
            subject=key,
        ),
        Claim(
            key=f"{key}/testing_loss",
            statement=f"The testing loss of {subject} after 100 epochs is {test}.",
            value=test,
            split="test",
            metric=_TEST_LOSS,
            measures=_LAST_BATCH + (_SLIP.format(meant) if meant else ""),
            subject=key,
        ),
        Claim(
            key=f"{key}/training_time",
            statement=f"Training {subject} takes {train_s} s.",
            value=train_s,
            split="train",
            metric="seconds; hardware not named",
            measures="Fits the sum over 100 epochs.",
            subject=key,
        ),
        Claim(
            key=f"{key}/testing_time",
            statement=f"Testing {subject} takes {test_s} s.",
            value=test_s,
            split="test",
            metric="seconds; hardware not named",
            measures="Fits one pass over the 10,000 test images.",
            subject=key,
        ),
    ]


CLAIMS: tuple[Claim, ...] = (
    *(claim for networks in _CIFAR_AE_TABLE for claim in _cifar_ae_row(networks)),
    Claim(
        key="cifar_ae/best_network",
        statement="Among the networks, encoder 2 with decoder 2 is the best.",
        value=None,
        split=None,
        metric="the table's losses",
        measures="By the table's own training loss 1+2 is better: 13.827 against 16.375.",
        subject="cifar_ae/2+2",
    ),
    Claim(
        key="cifar_ae/pca_512/mse",
        statement="PCA with 512 components has an MSE of 0.0026.",
        value=0.0026,
        split="train",
        metric="MSE per pixel, pixels in [0, 1]",
        measures="Fits 254 components; 512 give 0.000983 on the 50,000 training images.",
        subject="pca/512",
    ),
    Claim(
        key="cifar_ae/pca_512/fit_time",
        statement="Fitting PCA with 512 components takes 14.38 s.",
        value=14.38,
        split="train",
        metric="seconds; hardware not named",
        measures="One fit on the 50,000 flattened training images.",
        subject="pca/512",
    ),
    Claim(
        key="cifar_ae/pca_32/worse_than_networks",
        statement="PCA with 32 components is worse than the autoencoders.",
        value=None,
        split="train",
        metric="MSE per pixel, pixels in [0, 1]",
        measures="Its 0.012422 is worse than three of the four mean MSEs and level with 2+1's 0.0124; the "
        "networks' codes hold 108 numbers, not 32.",
        subject="pca/32",
    ),
    Claim(
        key="cifar_ae/pca_wins",
        statement="PCA wins outright.",
        value=None,
        split="train",
        metric="MSE per pixel, pixels in [0, 1]",
        measures="At the networks' own 108 numbers PCA's 0.005784 is 0.47 to 0.60 of theirs.",
        subject="pca/108",
    ),
)
