"""Which figures stand in which section of a report."""

from __future__ import annotations

from analysis.figures import (
    bounds,
    class_accuracy,
    code_map,
    confirmation,
    confusion,
    cost,
    effects,
    importances,
    kl,
    learning_curves,
    parallel_coordinates,
    pareto,
    rate_distortion,
    stopping,
)
from analysis.page.drawings import Drawing
from analysis.page.parts import Table


def _paired_tests(data: confirmation.Confirmation) -> list[Table]:
    caption = "Paired tests between the first three: p, and p after Holm's correction"
    return [] if data.tests.empty else [Table("paired_tests", caption, data.tests, folded=True)]


_RATE_DISTORTION = Drawing(
    "rate_distortion",
    "Test error against the size of the code",
    rate_distortion.compute_rate_distortion,
    rate_distortion.plot_rate_distortion,
)
_CONFIRMATION = Drawing(
    "confirmation",
    "Confirmed configs, every seed",
    confirmation.compute_confirmation,
    confirmation.plot_confirmation,
    more=_paired_tests,
    folded=False,
)
_CONFUSION = Drawing("confusion", "Confusion matrix", confusion.compute_confusion, confusion.plot_confusion)
_CLASS_ACCURACY = Drawing(
    "class_accuracy",
    "Accuracy by class",
    class_accuracy.compute_class_accuracy,
    class_accuracy.plot_class_accuracy,
)
_CODE_MAP = Drawing("code_map", "Map of the codes", code_map.compute_code_map, code_map.plot_code_map)
_KL = Drawing("kl", "KL of each dimension of the code", kl.compute_kl, kl.plot_kl)
_LEARNING_CURVES = Drawing(
    "learning_curves",
    "Training and validation by epoch",
    learning_curves.compute_learning_curves,
    learning_curves.plot_learning_curves,
)
_IMPORTANCES = Drawing("importances", "Importances", importances.compute_importances, importances.plot_importances)
_EFFECTS = Drawing("effects", "Observed differences", effects.compute_effects, effects.plot_effects)
_BOUNDS = Drawing("bounds", "Best trials in the range that was searched", bounds.compute_bounds, bounds.plot_bounds)
_STOPPING = Drawing("stopping", "Where trials were stopped", stopping.compute_stopping, stopping.plot_stopping)
_PARALLEL_COORDINATES = Drawing(
    "parallel_coordinates",
    "A line per trial",
    parallel_coordinates.compute_parallel_coordinates,
    parallel_coordinates.plot_parallel_coordinates,
)
_PARETO = Drawing("pareto", "Pareto front", pareto.compute_pareto, pareto.plot_pareto)
_COST = Drawing("cost", "What quality cost", cost.compute_cost, cost.plot_cost)

DRAWINGS: dict[str, tuple[Drawing, ...]] = {
    "rate-distortion": (_RATE_DISTORTION,),
    "confirmation": (_CONFIRMATION,),
    "pictures": (_CONFUSION, _CLASS_ACCURACY, _CODE_MAP, _KL),
    "learning-curves": (_LEARNING_CURVES,),
    "what-mattered": (_IMPORTANCES, _EFFECTS, _BOUNDS),
    "stopping": (_STOPPING,),
    "parallel-coordinates": (_PARALLEL_COORDINATES,),
    "pareto": (_PARETO,),
    "cost": (_COST,),
}
"""Figures by the id of their section."""
