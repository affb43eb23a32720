"""What a study says at its end: summary.json, and the same in a few lines for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search_spaces import Space
from study.driver.comparison import compare
from study.driver.confirmation import Confirmed, chooses, gain
from study.driver.listing import short
from study.record import metrics
from study.record.commands import hint, storage_words
from study.record.folder import StudyFolder
from study.record.intervals import mean_interval
from study.record.ranking import NOTHING_CHOSEN, best_trials, pareto_front
from study.record.settings import Settings
from study.record.state import StudyState
from study.tracking.implementations import how_to_open


def summarize(
    state: StudyState,
    settings: Settings,
    space: Space,
    confirmed: list[Confirmed],
    baseline: Mapping[int, Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the content of summary.json.

    `epochs_run` counts the epochs of the search, `given` and `suggested` its trials by where they came from. `best` is
    the winner of the confirmation; without one it is the best trial, whose `val` is then a single value and whose
    `test` and `model` are null. `default` is the space's default beside the winner, on the same seeds, and `gain` how
    much better the winner is in the objective's test metric; both are null where the default won. `chosen_by` is the
    validation metric that `best` was chosen by, null without validation images: `best` is then the first configuration
    and the first of its seeds.

    Args:
        state: The study, its search and confirmation ended.
        settings: Its settings.
        space: Its space.
        confirmed: The confirmed configs, the winner first.
        baseline: The rows of the baseline by number of components.
    """
    counts = state.count("trial")
    summary: dict[str, Any] = {
        "space": space.name,
        "name": settings.name,
        "metric": space.metric,
        "mode": metrics.mode(space.metric),
        "trials": {status: counts[status] for status in ("completed", "stopped", "failed")},
        "given": sum(run.key is not None for run in state.trials),
        "suggested": sum(run.key is None for run in state.trials),
        "refused": len(state.refused),
        "epochs_run": sum(len(run.epochs) for run in state.trials),
        "confirmed": [_confirmed(one, space) for one in confirmed],
        "chosen_by": space.metric if chooses(settings) else None,
        "best": None,
        "default": None,
        "gain": None,
        "baseline": None,
        "ratio_to_pca": None,
        "ratio_note": "there is no best network",
        "verdict": None,
        "nats": None,
        "wall_s": state.wall_s,
    }
    if len(settings.objectives) > 1:
        summary["pareto_front"] = [
            {"trial_id": run.id, **{name: run.known[name] for name in settings.objectives}}
            for run in pareto_front(state, settings.objectives)
        ]
    winner = confirmed[0] if confirmed else None
    best = _best(state, space, winner)
    if best is None:
        return summary
    default = next((one for one in confirmed if one.key == "default" and one.reported), None)
    if winner and default and default is not winner:
        test = metrics.on_test(space.metric)
        summary["default"] = {"trial_id": default.candidate, "test": default.mean(test).to_json()}
        summary["gain"] = gain(winner, default, test).to_json()
    return summary | {"best": best, **compare(space.family, best["config"], winner, baseline).to_json()}


def _confirmed(one: Confirmed, space: Space) -> dict[str, Any]:
    """Return a confirmed config with the mean and interval of its objective and of every test metric."""
    return {
        "id": one.candidate,
        "key": one.key,
        "epochs": one.runs[0].budget,
        "pretrain_epochs": one.runs[0].pretrain_budget,
        "params": one.runs[0].params,
        "val": one.value(space.metric),
        "test": {name: interval.to_json() for name, interval in one.test_metrics.items()},
    }


def _best(state: StudyState, space: Space, winner: Confirmed | None) -> dict[str, Any] | None:
    if winner:
        test = metrics.on_test(space.metric)
        model = winner.model(space.metric)
        return {
            "trial_id": winner.candidate,
            "config": winner.config,
            "params": model.params,
            "val": winner.value(space.metric),
            "test": winner.mean(test).to_json(),
            "model": {"seed": model.seed, "val": model.last.get(space.metric), "test": model.final[test]},
        }
    ranked = best_trials(state, space.metric)
    if not ranked:
        return None
    run = ranked[0]
    value = mean_interval([run.last[space.metric]]).to_json()
    return {
        "trial_id": run.id,
        "config": run.config,
        "params": run.params,
        "val": {space.metric: value},
        "test": None,
        "model": None,
    }


def text(summary: Mapping[str, Any], folder: StudyFolder, tracking_uri: str) -> str:
    """Return the summary for a person: best config, test score, PCA, files, and what to do next."""
    lines = [f"Study {summary['name']}: {_extent(summary)}, {summary['wall_s']:.0f} s"]
    best = summary["best"]
    if best:
        config = {key: value for key, value in best["config"].items() if key != "family"}
        lines.append(
            f"  {'best ' if best['val'] else 'first'}    {best['trial_id']}, {best['params']:,} parameters: "
            + ", ".join(f"{key} {short(value)}" for key, value in config.items())
        )
        if best["val"]:
            lines.append(f"  val      {summary['metric']} {_interval(best['val'][summary['metric']])}")
        else:
            lines.append(f"  val      {NOTHING_CHOSEN}")
    if best and best["test"]:
        lines.append(f"  test     {_test(summary)} {_interval(best['test'])}")
        others = {name: value for name, value in summary["confirmed"][0]["test"].items() if name != _test(summary)}
        lines.append("           " + ", ".join(f"{name} {value['mean']:.4g}" for name, value in others.items()))
    if summary["gain"]:
        value = _interval(summary["default"]["test"])
        lines.append(f"  default  {_test(summary)} {value}; tuning gained {_interval(summary['gain'])}")
    if summary["baseline"]:
        row = summary["baseline"]
        lines.append(f"  PCA      {_baseline(row, best['config'])}")
    if summary["ratio_to_pca"] is not None:
        lines.append(f"  ratio    {summary['ratio_to_pca']:.3f} of PCA's error: {summary['verdict']}")
    else:
        verdict = f"; {summary['verdict']}" if summary["verdict"] else ""
        lines.append(f"  ratio    none: {summary['ratio_note']}{verdict}")
    if nats := summary.get("nats"):  # not of an earlier version
        lines.append(f"  nats     {_nats(nats)}")
    if len(summary["confirmed"]) > 1:
        lines += [f"  {_ranked(one, summary)}" for one in summary["confirmed"]]
    if "pareto_front" in summary:
        lines.append("  Pareto   " + "; ".join(", ".join(_pairs(point)) for point in summary["pareto_front"]))
    lines += [
        f"  files    {folder.path}",
        f"  report   {hint('report', folder.name, *storage_words(folder.path.parent))}",
        f"  tracking {how_to_open(tracking_uri)}",
    ]
    return "\n".join(lines)


def _extent(summary: Mapping[str, Any]) -> str:
    """Return how much was trained: by the search, or without one by confirmation."""
    trials, refused, confirmed = summary["trials"], summary["refused"], summary["confirmed"]
    if confirmed and not any((*trials.values(), refused)):
        return f"no search; reported configurations: {len(confirmed)}, seeds of each: {summary['best']['test']['n']}"
    return (
        f"{trials['completed']} trials completed, {trials['stopped']} stopped, {trials['failed']} failed, "
        f"{refused} refused, {summary['given']} given and {summary['suggested']} suggested; "
        f"{summary['epochs_run']} epochs"
    )


def _test(summary: Mapping[str, Any]) -> str:
    return metrics.on_test(summary["metric"])


def _baseline(row: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    if "test_accuracy" in row:
        return f"test_accuracy {row['test_accuracy']:.6f}: logistic regression on {row['n_components']} components"
    error = row.get("test_mse_clipped", row["test_mse"])  # an earlier version had the unclipped one alone
    many = "as many components, " if row["n_components"] == config.get("latent_size") else ""
    return f"test_mse {error:.6f} with {many}{row['n_components']}{'' if many else ' components'}"


def _nats(nats: Mapping[str, Any]) -> str:
    """Return what is said of a VAE beside probabilistic PCA."""
    if "n_components" not in nats:
        return f"not compared: {nats['note']}"
    bound = f"test_nelbo_clipped {nats['test_nelbo_clipped']:.6f}"
    return f"{bound} of probabilistic PCA with {nats['n_components']} components: {nats['verdict'] or nats['note']}"


def _ranked(one: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    """Return a line on a confirmed config: what it is called, and its objective on validation and test data."""
    name = f"{one['id']} ({one['key']})" if one["key"] else one["id"]
    named = {summary["metric"]: one["val"].get(summary["metric"]), _test(summary): one["test"].get(_test(summary))}
    known = ", ".join(f"{metric} {_interval(value)}" for metric, value in named.items() if value)
    return f"confirmed {name:<28} {known}"


def _interval(value: Mapping[str, Any]) -> str:
    if value["ci95"] is None:
        return (
            f"{value['mean']:.6f} ({'1 seed' if value['n'] == 1 else str(value['n']) + ' seeds, which do not differ'})"
        )
    low, high = value["ci95"]
    return f"{value['mean']:.6f} (95 % interval {low:.6f} to {high:.6f}, {value['n']} seeds)"


def _pairs(point: Mapping[str, Any]) -> list[str]:
    return [f"{key} {short(value)}" for key, value in point.items()]
