"""What a study says at its end: summary.json, and the same in a few lines for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from search_spaces import Space
from study.driver import another_hour
from study.driver.comparison import compare
from study.driver.confirmation import Confirmed, chooses, gain
from study.record import about_seeds, constraints, metrics
from study.record.commands import hint, storage_words
from study.record.constraints import Constraint
from study.record.folder import StudyFolder
from study.record.intervals import mean_interval
from study.record.prices import NOT_COUNTED, of_settings
from study.record.ranking import NOTHING_CHOSEN, best_trials, keeping, pareto_front
from study.record.settings import Settings
from study.record.state import Run, StudyState
from study.record.terminal import short, table, wrapped
from study.record.words import DIGITS, counted, counted_each, duration, number, ratio
from study.tracking.implementations import how_to_open


def summarize(
    state: StudyState,
    settings: Settings,
    space: Space,
    confirmed: list[Confirmed],
    baseline: Mapping[int, Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the content of summary.json.

    `cost` is what training has cost by --prices, of the search and of the confirmation, in `currency`, and the hours of
    it that have no price; null without prices. `another_hour` is what the search would be expected to gain by going on
    (`study.driver.another_hour`), null without a search. `search_end` is why the search ended, null without one;
    `device_hours` are the search's, of GPUs, or of processors where trials had no GPU. `epochs_run` counts the epochs
    of the search, `given` and `suggested` its trials by where they came from. `best` is the winner of the confirmation;
    without one it is the best trial, whose `val` is then a single value and whose `test` and `model` are null.
    `default` is the space's default beside the winner, on the same seeds, and `gain` how much better the winner is in
    the objective's test metric; both are null where the default won. `constraints`, of a study that has any, says how
    many trials keep them; where none does, or no confirmed config in the mean over its seeds, there is no `best`.
    `chosen_by` is the validation metric that `best` was chosen by, null without validation images: `best` is then the
    first configuration and the first of its seeds. Of each of `confirmed`, `failed` is how many `seeds` failed by the
    config's own doing `of` how many, and `why` the first did: its numbers are of the others; null where none did. Those
    whose seeds all did are not among them, but in `all_failed`.
    `seen_with` has how many seeds reported in each earlier summary, after which there were to be more of them.

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
        "search_end": {"reason": state.search_ended, "why": state.why_ended} if state.search_ended else None,
        "device_hours": state.device_s / 3600,
        "cost": _cost(state, settings),
        "another_hour": None if settings.reported else another_hour.expected(state, settings).to_json(),
        "epochs_run": sum(len(run.epochs) for run in state.trials),
        "confirmed": [_confirmed(one, space) for one in confirmed],
        "all_failed": _all_failed(state),
        "chosen_by": space.metric if chooses(settings) else None,
        "seen_with": state.seen_with,
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
    if asked := constraints.of_settings(state.settings):
        summary["constraints"] = _constraints(state, asked, confirmed)
    winner = confirmed[0] if confirmed and not confirmed[0].unmet else None
    if confirmed and winner is None:
        return summary
    best = _best(state, space, winner)
    if best is None:
        return summary
    default = next((one for one in confirmed if one.key == "default" and one.reported), None)
    if winner and default and default is not winner:
        test = metrics.on_test(space.metric)
        summary["default"] = {"trial_id": default.candidate, "test": default.mean(test).to_json()}
        codes = metrics.unequal_codes(space.metric, winner.config, default.config)
        summary["gain"] = {**gain(winner, default, test).to_json(), "note": codes}
    return summary | {"best": best, **compare(space.family, best["config"], winner, baseline).to_json()}


def _cost(state: StudyState, settings: Settings) -> dict[str, Any] | None:
    """Return what the search and the confirmation have cost; None without prices."""
    prices = of_settings(vars(settings))
    if prices is None:
        return None
    search, confirmation = prices.cost(state.search_s), prices.cost(state.confirmation_s)
    both = search + confirmation
    parts = f"the search {number(search.amount)}, the confirmation {number(confirmation.amount)}"
    return {
        "currency": prices.currency,
        "search": search.amount,
        "confirmation": confirmation.amount,
        "unpriced_hours": both.unpriced_s / 3600,
        "what": f"{number(both.amount)} {prices.currency}",
        "how": f"{parts}{both.unpriced}; {NOT_COUNTED}",
    }


def _constraints(state: StudyState, asked: list[Constraint], confirmed: list[Confirmed]) -> dict[str, Any]:
    """Return the constraints of a study, how many of its ended trials keep them all, and what has to be said."""
    ended = [run for run in state.trials if run.is_ranked]
    those = {run.id for run in keeping(state)} & {run.id for run in ended}
    note = None
    if ended and not those:
        never = [one for one in asked if ended and all(one.excess(run.facts) > 0 for run in ended)]
        which = constraints.said(never) if never else f"all of {constraints.said(asked)}"
        note = f"no trial keeps {which}: nothing was chosen"
    elif confirmed and confirmed[0].unmet:
        which = constraints.said(confirmed[0].unmet)
        note = f"no confirmed config keeps {which} in the mean over its seeds: nothing was chosen"
    said = [str(one) for one in asked]
    return {"asked": said, "trials_that_keep_them": len(those), "ended_trials": len(ended), "note": note}


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
        "failed": _failed(one.failed, len(one.runs)),
        **({"unmet": [str(constraint) for constraint in one.unmet]} if one.unmet else {}),
    }


def _failed(failed: Sequence[Run], completed: int) -> dict[str, Any] | None:
    if not failed:
        return None
    return {"seeds": len(failed), "of": completed + len(failed), "why": failed[0].reason or "no reason was given"}


def _all_failed(state: StudyState) -> list[dict[str, Any]]:
    """Return the configs of the confirmation of which no seed was completed and some failed by the config's doing."""
    runs = state.confirmations
    completed = {run.confirm_of for run in runs if run.status == "completed"}
    failed: dict[str | None, list[Run]] = {}
    for run in runs:
        if run.status == "failed" and not run.by_machine and run.confirm_of not in completed:
            failed.setdefault(run.confirm_of, []).append(run)
    return [{"id": name, "key": mine[0].key, "failed": _failed(mine, 0)} for name, mine in failed.items()]


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
    """Return the summary for a person, in 80 columns: scores, the best config, PCA, files, and what to do next."""
    best = summary["best"]
    parts = [wrapped(f"Study {summary['name']}: {_extent(summary)}; {duration(summary['wall_s'])} in all")]
    if best:
        parts += ["", *_scores(summary), ""]
    facts = [*_facts(summary)] if best else []
    if bounds := summary.get("constraints"):
        ended = counted(bounds["ended_trials"], "completed or stopped trial")
        keep = f"kept by {bounds['trials_that_keep_them']} of {ended}"
        facts.append(("bounds", f"{', '.join(bounds['asked'])}: {bounds['note'] or keep}"))
    if why := (summary.get("search_end") or {}).get("why"):  # not of an earlier version
        facts.append(("ended", f"the search: {why}"))
    if more := summary.get("another_hour"):
        facts.append(("more", f"{more['what']}; {more['how']}"))
    if cost := summary.get("cost"):
        facts.append(("cost", f"{cost['what']} of training: {cost['how']}"))
    facts += [
        ("files", str(folder.path)),
        ("report", hint("report", folder.name, *storage_words(folder.path.parent))),
        ("tracking", how_to_open(tracking_uri)),
    ]
    kept = ("files", "report", "tracking")  # to be copied in one piece, however long
    parts += [f"{name:<9} {value}" if name in kept else wrapped(f"{name:<9} {value}", 10) for name, value in facts]
    return "\n".join(parts)


def _facts(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    best = summary["best"]
    config = ", ".join(f"{key} {short(value)}" for key, value in best["config"].items() if key != "family")
    yield ("best" if best["val"] else "first"), f"{best['trial_id']}, {best['params']:,} parameters: {config}"
    if best["test"]:
        others = {name: value for name, value in summary["confirmed"][0]["test"].items() if name != _test(summary)}
        words = [f"{metrics.label(name)} {number(value['mean'], DIGITS)}" for name, value in others.items()]
        if words:
            yield "also", ", ".join(words)
    if summary["gain"]:
        note = f"; {summary['gain']['note']}" if summary["gain"].get("note") else ""  # not of an earlier version
        yield "gain", f"{_interval(summary['gain'])} over the default, by {metrics.label(_test(summary))}{note}"
    yield "ratio", verdict(summary)
    if nats := summary.get("nats"):  # not of an earlier version
        yield "nats", _nats(nats) + _of_seeds(summary) * bool(nats.get("verdict"))
    if "pareto_front" in summary:
        yield "Pareto", "; ".join(", ".join(_pairs(point)) for point in summary["pareto_front"])


def verdict(summary: Mapping[str, Any]) -> str:
    """Return the best config's error over the baseline's with the verdict, or why there is none."""
    verdict = summary["verdict"] and summary["verdict"] + _of_seeds(summary)
    if summary["ratio_to_pca"] is not None:
        return f"{ratio(summary['ratio_to_pca'])} of {_baselines_error(summary)}: {verdict}"
    return f"none: {summary['ratio_note']}" + (f"; {verdict}" if verdict else "")


def _of_seeds(summary: Mapping[str, Any]) -> str:
    """Return what follows a verdict on the best config: that seeds of it failed, or came after an earlier verdict."""
    failed, added = about_seeds.failed_of_best(summary), about_seeds.added_to(summary)
    return (f", of {failed}" if failed else "") + (f"; {added}" if added else "")


def _scores(summary: Mapping[str, Any]) -> Iterator[str]:
    """Return the table of the confirmed configs, or of the best trial, and the baseline, with a line below it."""
    metric, best = summary["metric"], summary["best"]
    rows = [
        (one["id"], one["key"], one["val"].get(metric), one["test"].get(_test(summary))) for one in summary["confirmed"]
    ] or [(best["trial_id"], None, best["val"].get(metric), None)]
    lines = [(metrics.label(metrics.split_of(metric)[1]), "validation", "test")]
    lines += [(_called(name, key), _cell(val), _cell(test)) for name, key, val, test in rows]
    if row := _baseline(summary):
        lines.append(row)
    yield from table(lines).splitlines()
    seeds = sorted({value["n"] for *_, val, test in rows for value in (val, test) if value})
    spread = f"means of {' or '.join(map(str, seeds))} seeds, in brackets their 95 % intervals over seeds"
    yield wrapped(spread if seeds != [1] else "of one seed each, which has no interval")
    for name, words in about_seeds.with_failed(summary):
        yield wrapped(f"{name}: {words}")
    if not best["val"]:
        yield wrapped(NOTHING_CHOSEN)


def _called(name: str, key: str | None) -> str:
    return f"{name} ({key})" if key and key.replace("/", "_") != name else name


def _cell(value: Mapping[str, Any] | None) -> str:
    return "–" if value is None else _interval(value)


def _extent(summary: Mapping[str, Any]) -> str:
    """Return how much was trained: by the search, or without one by confirmation."""
    trials, refused, confirmed = summary["trials"], summary["refused"], summary["confirmed"]
    if confirmed and not any((*trials.values(), refused)):
        seeds = [one["test"][_test(summary)]["n"] for one in confirmed if _test(summary) in one["test"]]
        return f"no search; reported configurations: {len(confirmed)}, {counted_each(seeds, 'seed')} of each"
    return (
        f"{counted(trials['completed'], 'trial')} completed, {trials['stopped']} stopped, {trials['failed']} failed, "
        f"{refused} refused, {summary['given']} given and {summary['suggested']} suggested; "
        f"{counted(summary['epochs_run'], 'epoch')} of the search"
    )


def _test(summary: Mapping[str, Any]) -> str:
    return metrics.on_test(summary["metric"])


def _baselines_error(summary: Mapping[str, Any]) -> str:
    """Return the words of the error that the ratio is over, with its number where the table does not have it."""
    row = summary["baseline"]
    if "test_accuracy" in row:
        return "the baseline's error rate"
    if summary["metric"] == "val_mse":
        return "PCA's error"
    error = number(row.get("test_mse_clipped", row["test_mse"]), DIGITS)
    return f"PCA's test {metrics.label('mse')} ({error}, {counted(row['n_components'], 'component')})"


def _baseline(summary: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """Return the row of the baseline in the objective, None where it has none of that."""
    metric, row, nats = summary["metric"], summary["baseline"], summary.get("nats") or {}
    known: Mapping[str, Any]
    if "n_components" in nats and metric == "val_nelbo":
        name, known, endings = "probabilistic PCA", nats, ["nelbo_clipped"]
    elif row and "test_accuracy" in row and metric == "val_accuracy":
        name, known, endings = "regression", row, ["accuracy"]
    elif row and metric == "val_mse":  # an earlier version had the unclipped errors alone
        name, known, endings = "PCA", row, ["mse_clipped", "mse"]
    else:
        return None
    found = [[known.get(f"{split}_{ending}") for ending in endings] for split in ("val", "test")]
    val, test = (next((_digits(value) for value in values if value is not None), "–") for values in found)
    return f"{name}, {counted(known['n_components'], 'component')}", val, test


def _nats(nats: Mapping[str, Any]) -> str:
    """Return what is said of a VAE beside probabilistic PCA: on test images where it was tested."""
    if "n_components" not in nats:
        return f"not compared: {nats['note']}"
    split, image = ("test", "test") if nats["verdict"] else ("val", "validation")
    bound = f"{number(nats[f'{split}_nelbo_clipped'], DIGITS)} nats per {image} image of probabilistic PCA"
    return f"{bound} with {counted(nats['n_components'], 'component')}: {nats['verdict'] or nats['note']}"


def _interval(value: Mapping[str, Any]) -> str:
    """Return a mean with its interval, "0.01392 (0.01377–0.01407)"; with "to" where an end is negative."""
    if value["ci95"] is None:
        return _digits(value["mean"])
    between = "–" if min(value["ci95"]) >= 0 else " to "
    return f"{_digits(value['mean'])} ({between.join(map(_digits, value['ci95']))})"


def _digits(value: float) -> str:
    """Return a number with four significant digits, also where the last ones are 0, so that columns compare."""
    shown = number(value, DIGITS)
    is_short = value != 0 and abs(value) < 10 ** (DIGITS - 1) and "e" not in shown
    return f"{value:#.{DIGITS}g}".rstrip(".") if is_short else shown


def _pairs(point: Mapping[str, Any]) -> list[str]:
    """Return the values of a point, as exact as scores are, after their names."""
    return [f"{key} {number(value, DIGITS) if isinstance(value, float) else value}" for key, value in point.items()]
