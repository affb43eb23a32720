"""What a claim of a report is, and which numbers of ours it is to be put beside."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """A number of ours, the mean over the seeds where there are several.

    Attributes:
        subject: what it is measured on, see `Claim.subject`.
        metric: for a reported configuration a column of confirm.csv, such as "test_mse" (fractions, [0, 1] pixels,
            nats or seconds, never per cent; `train_` is the mean over the last epoch as it trained), or
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
        tolerance: in the claim's unit; over several seeds their 95 % interval, widened by it, has to contain the value.
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
