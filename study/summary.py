"""What a study says at its end: summary.json, and the same in a few lines for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search_spaces import Space
from study.command_line import objective_modes
from study.confirmation import Interval, Winner
from study.folder import StudyFolder
from study.ranking import best_trials, pareto_front
from study.settings import Settings
from study.state import StudyState

# Below this PCA's error is rounding: a ratio to it compares a network with nothing.
_PCA_ERROR_FLOOR = 1e-9


def summarize(
    state: StudyState,
    settings: Settings,
    space: Space,
    winner: Winner | None,
    pca: Mapping[int, Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the content of summary.json.

    `epochs_run` counts the epochs of the search. `best` is the winner of the confirmation; without one it is the best
    trial, whose `val` is then a single value and whose `test` and `model` are null.

    Args:
        state: The study, its search and confirmation ended.
        settings: Its settings.
        space: Its space.
        winner: The confirmed winner, if there is one.
        pca: The rows of the baseline by number of components.
    """
    counts = state.count("trial")
    summary: dict[str, Any] = {
        "space": space.name,
        "name": settings.name,
        "metric": space.metric,
        "mode": space.mode,
        "trials": {status: counts[status] for status in ("completed", "stopped", "failed")},
        "refused": len(state.refused),
        "epochs_run": sum(len(run.epochs) for run in state.trials),
        "best": None,
        "baseline": None,
        "ratio_to_pca": None,
        "ratio_note": "there is no best network",
        "verdict": None,
        "wall_s": state.wall_s,
    }
    if len(settings.objectives) > 1:
        modes = {name: objective_modes(space)[name] for name in settings.objectives}
        known = [(run, run.last | {"params": run.params}) for run in pareto_front(state, modes)]
        summary["pareto_front"] = [
            {"trial_id": run.id, **{name: values[name] for name in settings.objectives}} for run, values in known
        ]
    best = _best(state, space, winner)
    if best is None:
        return summary
    row = pca.get(best["config"].get("latent_size", 0))
    ratio, note = _ratio(best, row)
    verdict = _verdict(best["test"], row) if ratio is not None and row else None
    compared = {"ratio_to_pca": ratio, "ratio_note": note, "verdict": verdict}
    return summary | {"best": best, "baseline": row and dict(row), **compared}


def _best(state: StudyState, space: Space, winner: Winner | None) -> dict[str, Any] | None:
    if winner:
        test = space.metric.replace("val_", "test_", 1)
        model = winner.model
        return {
            "trial_id": winner.candidate,
            "config": winner.config,
            "params": model.params,
            "val": {space.metric: winner.interval(space.metric).to_json()},
            "test": winner.interval(test).to_json(),
            "model": {"seed": model.seed, "val": model.last[space.metric], "test": model.final[test]},
        }
    ranked = best_trials(state, space.metric, space.mode)
    if not ranked:
        return None
    run = ranked[0]
    value = Interval.of([run.last[space.metric]]).to_json()
    return {
        "trial_id": run.id,
        "config": run.config,
        "params": run.params,
        "val": {space.metric: value},
        "test": None,
        "model": None,
    }


def _ratio(best: Mapping[str, Any], row: Mapping[str, Any] | None) -> tuple[float | None, str | None]:
    """Return the test error over PCA's at the same number of components, or None and why there is none."""
    if best["test"] is None:
        return None, "the test split was not touched (--confirm 0)"
    if row is None:
        return None, f"PCA has no {best['config']['latent_size']} components in these data"
    if row["test_mse"] < _PCA_ERROR_FLOOR:
        return None, "PCA's error is only rounding at this number of components"
    return best["test"]["mean"] / row["test_mse"], None


def _verdict(test: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """Say whether the network or PCA is better, as far as the interval over the seeds allows."""
    if test["ci95"] is None:
        return "lower than PCA's, of one seed" if test["mean"] < row["test_mse"] else "higher than PCA's, of one seed"
    low, high = test["ci95"]
    if high < row["test_mse"]:
        return "better than PCA"
    return "worse than PCA" if low > row["test_mse"] else "not distinguishable from PCA"


def text(summary: Mapping[str, Any], folder: StudyFolder, tracking_uri: str) -> str:
    """Return the summary for a person: best config, test score, PCA, files, and what to do next."""
    trials = summary["trials"]
    lines = [
        f"Study {summary['name']}: {trials['completed']} trials completed, {trials['stopped']} stopped, "
        f"{trials['failed']} failed, {summary['refused']} refused; {summary['epochs_run']} epochs, "
        f"{summary['wall_s']:.0f} s"
    ]
    best = summary["best"]
    if best:
        config = {key: value for key, value in best["config"].items() if key != "family"}
        lines += [
            f"  best     {best['trial_id']}, {best['params']:,} parameters: "
            + ", ".join(f"{key} {_short(value)}" for key, value in config.items()),
            f"  val      {summary['metric']} {_interval(best['val'][summary['metric']])}",
        ]
    if best and best["test"]:
        test = summary["metric"].replace("val_", "test_", 1)
        lines.append(f"  test     {test} {_interval(best['test'])}")
    if summary["baseline"]:
        row = summary["baseline"]
        lines.append(f"  PCA      test_mse {row['test_mse']:.6f} with {row['n_components']} components")
    if summary["ratio_to_pca"] is not None:
        lines.append(f"  ratio    {summary['ratio_to_pca']:.3f} of PCA's error: {summary['verdict']} at this size")
    else:
        lines.append(f"  ratio    none: {summary['ratio_note']}")
    if "pareto_front" in summary:
        lines.append("  Pareto   " + "; ".join(", ".join(_pairs(point)) for point in summary["pareto_front"]))
    lines += [
        f"  files    {folder.path}",
        f"  tables   python analysis/leaderboard.py {folder.name} --storage {folder.path.parent}",
        f"  MLflow   {_open_mlflow(tracking_uri)}",
    ]
    return "\n".join(lines)


def _open_mlflow(tracking_uri: str) -> str:
    if tracking_uri.startswith("http"):
        return tracking_uri
    return f"mlflow ui --backend-store-uri {tracking_uri}"


def _interval(value: Mapping[str, Any]) -> str:
    if value["ci95"] is None:
        return f"{value['mean']:.6f} ({value['n']} seed)"
    low, high = value["ci95"]
    return f"{value['mean']:.6f} (95 % interval {low:.6f} to {high:.6f}, {value['n']} seeds)"


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _pairs(point: Mapping[str, Any]) -> list[str]:
    return [f"{key} {_short(value)}" for key, value in point.items()]
