"""The winner beside the baseline: the ratio of the errors, a VAE's nats, and what can be said of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from search_spaces import FAMILY_FACTS
from study.driver.confirmation import Confirmed
from study.record import metrics
from study.record.intervals import Interval, mean_interval

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Comparison:
    """A row of the baseline, and the network's test error over its: `ratio`, or None and in `note` why.

    `nats` is a VAE beside probabilistic PCA: `n_components`, PCA's `test_nelbo`, `val_nelbo_clipped` and
    `test_nelbo_clipped`, and a `verdict` by the last, or None and in `note` why; None for other families.
    """

    row: Row | None
    ratio: float | None
    note: str | None
    verdict: str | None = None
    nats: Row | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what summary.json says of it."""
        row = self.row and dict(self.row)
        said = {"baseline": row, "ratio_to_pca": self.ratio, "ratio_note": self.note, "verdict": self.verdict}
        return said | {"nats": self.nats and dict(self.nats)}


def compare(family: str, config: Mapping[str, Any], winner: Confirmed | None, rows: Mapping[int, Row]) -> Comparison:
    """Compare a config with the baseline, on the test split if it was confirmed.

    Autoencoders of both kinds by the test MSE of reconstructions clipped to [0, 1] (a VAE's is that of its mean
    reconstruction) with PCA's, clipped too, at the same number of components; classifiers by the test error rate
    with the logistic regression that is best on validation data, or without any the one of most components. VAEs also
    by test −ELBO, with probabilistic PCA. A code of more numbers than the data have axes is compared with PCA at full
    rank, without a ratio.

    Args:
        family: "ae", "vae" or "classifier".
        config: The best config.
        winner: Its confirmation, None without one.
        rows: The baseline by number of components.
    """
    nats = _nats(config["latent_size"], winner, rows) if FAMILY_FACTS[family].nats else None
    return replace(_compare_errors(family, config, winner, rows), nats=nats)


def _compare_errors(
    family: str, config: Mapping[str, Any], winner: Confirmed | None, rows: Mapping[int, Row]
) -> Comparison:
    facts = FAMILY_FACTS[family]
    row = _best_classifier(rows) if facts.baseline == "linear_classifier" else rows.get(config["latent_size"])
    note, words = None, _WORDS[facts.baseline]
    if row is None and rows and config["latent_size"] > max(rows):
        row = rows[max(rows)]
        note = f"PCA has no {config['latent_size']} components in these data: compared with all of its {max(rows)}"
    if row is None:
        return Comparison(None, None, f"PCA has no {config.get('latent_size', '')} components in these data")
    if winner is None:
        return Comparison(row, None, _UNTOUCHED)
    errors = [facts.error(run.known[facts.compared]) for run in winner.runs]
    error = mean_interval(errors, *metrics.limits(facts.error_metric))
    baseline = facts.error(row[facts.baseline_column])
    if note:
        return Comparison(row, None, note, _verdict(error, baseline, words))
    if baseline < metrics.PCA_ERROR_FLOOR:  # a verdict never needs a ratio
        return Comparison(row, None, _NO_RATIO[facts.baseline], _verdict(error, baseline, words))
    return Comparison(row, error.mean / baseline, None, _verdict(error, baseline, words))


def _nats(latent_size: int, winner: Confirmed | None, rows: Mapping[int, Row]) -> Row:
    """Compare with probabilistic PCA of at most so many components, of as many as have the fewest validation nats.

    Unlike its error, PCA's nats do not fall with every component: a VAE that is free to leave numbers of its code
    unused would else be put beside a PCA that is not.
    """
    known = [row for rank, row in rows.items() if rank <= latent_size and row.get("val_nelbo_clipped") is not None]
    best = min(known, key=lambda row: row["val_nelbo_clipped"], default=None)
    if best is None:
        return {"verdict": None, "note": f"PCA has no nats at up to {latent_size} components"}
    found = {name: best[name] for name in ("n_components", "test_nelbo", "val_nelbo_clipped", "test_nelbo_clipped")}
    if winner is None:
        return {**found, "verdict": None, "note": _UNTOUCHED}
    bound = mean_interval([run.known["test_nelbo"] for run in winner.runs], *metrics.limits("test_nelbo"))
    return {**found, "verdict": _verdict(bound, best["test_nelbo_clipped"], _BOUNDS), "note": None}


_UNTOUCHED = "the test split was not touched (--confirm 0)"
_NO_RATIO = {
    "pca": "PCA's error is only rounding at this number of components",
    "linear_classifier": "the regression makes no error on the test images",
}


def _best_classifier(rows: Mapping[int, Row]) -> Row | None:
    return max(rows.values(), key=lambda row: (row.get("val_accuracy", 0.0), row["n_components"]), default=None)


class _Words(NamedTuple):
    """How a verdict says it: the network has less, PCA has, it cannot be said; what is compared, and with whose."""

    less: str
    more: str
    unclear: str
    what: str
    whose: str


_REGRESSION = "the logistic regression on PCA codes"
_WORDS = {
    "pca": _Words("better than PCA", "worse than PCA", "not distinguishable from PCA", "its error", "PCA's"),
    "linear_classifier": _Words(
        f"better than {_REGRESSION}",
        f"worse than {_REGRESSION}",
        f"not distinguishable from {_REGRESSION}",
        "its error rate",
        f"that of {_REGRESSION}",
    ),
}
_BOUND, _PPCA = "the network's bound on −log p", "probabilistic PCA's"
# Both are upper bounds: which one is lower says nothing sure of what they bound, so that neither model is better by it.
_BOUNDS = _Words(
    f"{_BOUND} is lower than {_PPCA}",
    f"{_BOUND} is higher than {_PPCA}",
    f"{_BOUND} is not distinguishable from {_PPCA}",
    _BOUND,
    _PPCA,
)


def _verdict(error: Interval, baseline: float, words: _Words) -> str:
    """Say whether the network or the baseline has less, as far as the interval over the seeds allows."""
    if error.ci95 is None:
        seeds = "of one seed" if error.n < 2 else f"of {error.n} seeds that do not differ"
        if error.mean == baseline:
            return f"{words.what} ({seeds}: no interval) is the same as {words.whose}"
        way = "lower" if error.mean < baseline else "higher"
        return f"{words.what} ({seeds}: no interval) is {way} than {words.whose}"
    low, high = error.ci95
    return words.less if high < baseline else words.more if low > baseline else words.unclear
