"""The facts of each family of networks: what it is searched for, and what it is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, Literal


@dataclass(frozen=True)
class FamilyFacts:
    """What a study has to know of a family; the networks themselves are in `models`.

    Attributes:
        metric: the objective, a validation metric; `study.record.metrics` knows its direction.
        further: what a study can be asked to optimise besides.
        baseline: PCA at the same number of components, or a logistic regression on PCA codes.
        compared: the test metric that is put beside the baseline's.
        nats: whether its networks are compared with probabilistic PCA as well, in nats of the 8-bit image.
        on_encoder: whether its networks can stand on the encoder of an earlier study.
    """

    metric: str
    further: tuple[str, ...] = ()
    baseline: Literal["pca", "linear_classifier"] = "pca"
    compared: Literal["test_mse", "test_accuracy"] = "test_mse"
    nats: bool = False
    on_encoder: bool = False

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> FamilyFacts:
        """Return what `dataclasses.asdict` and JSON made of facts, as a study's record has those of its own family.

        Raises:
            KeyError: it names no metric.
        """
        known = {one.name: said[one.name] for one in fields(cls) if one.name in said}
        return cls(**{**known, "metric": str(said["metric"]), "further": tuple(known.get("further", ()))})

    @property
    def objectives(self) -> tuple[str, ...]:
        """Whatever a study can be asked to optimise, the objective first."""
        code = ("latent_size", "val_ratio_to_pca") if self.baseline == "pca" else ()
        return (self.metric, *self.further, *code, "params", "seconds")

    @property
    def baseline_column(self) -> str:
        """The column of the baseline that `compared` is put beside: PCA's error clipped to [0, 1] as a network's is."""
        return "test_mse_clipped" if self.compared == "test_mse" else self.compared

    @property
    def error_metric(self) -> str:
        """The error that `compared` stands for, whose ratio to the baseline's is taken."""
        return "error_rate" if self.compared == "test_accuracy" else "mse"

    def error(self, value: float) -> float:
        """Return the error that a value of `compared` stands for: itself, or the error rate of an accuracy."""
        return 1 - value if self.compared == "test_accuracy" else value


BUILT_IN: Mapping[str, FamilyFacts] = MappingProxyType(
    {
        "ae": FamilyFacts("val_mse"),
        "vae": FamilyFacts("val_nelbo", ("val_mse",), nats=True),
        "classifier": FamilyFacts(
            "val_accuracy",
            ("val_cross_entropy", "val_calibration_error"),
            baseline="linear_classifier",
            compared="test_accuracy",
            on_encoder=True,
        ),
    }
)
_facts = dict(BUILT_IN)
FAMILY_FACTS: Mapping[str, FamilyFacts] = MappingProxyType(_facts)
"""The built-in ones and, where a person's own file is in use, those of the family that it adds."""


def extend(added: Mapping[str, FamilyFacts]) -> None:
    """Let facts count beside the built-in ones, and no others that were added before."""
    _facts.clear()
    _facts.update({**BUILT_IN, **added})
