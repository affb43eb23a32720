"""The winner beside the baseline: the ratio of the errors, and what can be said of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from search_spaces import FAMILY_FACTS
from study.driver.confirmation import Confirmed
from study.record import metrics
from study.record.intervals import Interval, mean_interval

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Comparison:
    """A row of the baseline, and the network's test error over its: `ratio`, or None and in `note` why."""

    row: Row | None
    ratio: float | None
    note: str | None
    verdict: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what summary.json says of it."""
        row = self.row and dict(self.row)
        return {"baseline": row, "ratio_to_pca": self.ratio, "ratio_note": self.note, "verdict": self.verdict}


def compare(family: str, config: Mapping[str, Any], winner: Confirmed | None, rows: Mapping[int, Row]) -> Comparison:
    """Compare a config with the baseline, on the test split if it was confirmed.

    Autoencoders of both kinds by the test MSE of reconstructions clipped to [0, 1] (a VAE's is that of its mean
    reconstruction) with PCA's, clipped too, at the same number of components; classifiers by the test error rate
    with the logistic regression that is best on validation data, or without any the one of most components.

    Args:
        family: "ae", "vae" or "classifier".
        config: The best config.
        winner: Its confirmation, None without one.
        rows: The baseline by number of components.
    """
    facts = FAMILY_FACTS[family]
    row = _best_classifier(rows) if facts.baseline == "linear_classifier" else rows.get(config["latent_size"])
    if row is None:
        return Comparison(None, None, f"PCA has no {config.get('latent_size', '')} components in these data")
    if winner is None:
        return Comparison(row, None, "the test split was not touched (--confirm 0)")
    errors = [facts.error(run.known[facts.compared]) for run in winner.runs]
    error = mean_interval(errors, *metrics.limits(facts.error_metric))
    baseline = facts.error(row[facts.baseline_column])
    if baseline < metrics.PCA_ERROR_FLOOR:  # a verdict never needs a ratio
        return Comparison(row, None, _NO_RATIO[facts.baseline], _verdict(error, baseline))
    return Comparison(row, error.mean / baseline, None, _verdict(error, baseline))


_NO_RATIO = {
    "pca": "PCA's error is only rounding at this number of components",
    "linear_classifier": "the regression makes no error on the test images",
}


def _best_classifier(rows: Mapping[int, Row]) -> Row | None:
    return max(rows.values(), key=lambda row: (row.get("val_accuracy", 0.0), row["n_components"]), default=None)


def _verdict(error: Interval, baseline: float) -> str:
    """Say whether the network or PCA is better, as far as the interval over the seeds allows."""
    if error.ci95 is None:
        seeds = "of one seed" if error.n < 2 else f"of {error.n} seeds, which do not differ"
        if error.mean == baseline:
            return f"the same as PCA's, {seeds}"
        return f"{'lower' if error.mean < baseline else 'higher'} than PCA's, {seeds}"
    low, high = error.ci95
    if high < baseline:
        return "better than PCA"
    return "worse than PCA" if low > baseline else "not distinguishable from PCA"
