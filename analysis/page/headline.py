"""The first screen: what was searched, what was best, against what, how sure that is, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.over_images import compute_over_images
from analysis.page.parts import Fact, Facts, Section
from analysis.study_files import StudyFiles
from analysis.trials import compute_leaderboard, given_and_suggested, trained_seconds
from analysis.words import cell, config_words, machines, summary_interval, why_no_best
from study.record import about_seeds, metrics
from study.record.intervals import LEAST_SEEDS
from study.record.ranking import NOTHING_CHOSEN
from study.record.words import counted, duration, joined, number, ratio


def headline(study: StudyFiles) -> Section:
    """Return the first section of a report."""
    facts = [_searched(study), *_result(study), _cost(study), _more(study)]
    return Section("headline", "In short", [Facts([fact for fact in facts if fact], cards=True)])


def verdict(study: StudyFiles) -> str:
    """Return in a sentence what came out: what tuning gained, and the network beside the baseline."""
    summary = study.summary
    if summary is None:
        found = _so_far(study)
        return f"{found.term}: {found.value}."
    if summary["best"] is None:
        return _capital(f"{why_no_best(summary)}, so there is nothing to report.")
    said = [words for words in (_tuning(summary, chosen=study.chooses), _compared(summary), _bounds(summary)) if words]
    said += _failed(summary) if said else []
    if not said:
        return "The test split was not touched." if summary["best"]["test"] is None else "There is nothing to compare."
    return _capital("; ".join(said)) + "."


def _tuning(summary: Mapping[str, Any], *, chosen: bool) -> str:
    """Return what tuning gained, "" where nothing was put beside the default."""
    gain = summary.get("gain")
    if gain is None:
        if not chosen or not summary["confirmed"] or summary["confirmed"][0].get("key") != "default":
            return ""
        if _is_alone(summary):
            return "only the default was tried"
        bounded = any(one.get("unmet") for one in summary["confirmed"])
        return f"no config{' that keeps the constraints' if bounded else ''} beat the default"
    metric, default = metrics.split_of(summary["metric"])[1], summary["default"]["test"]["mean"]
    scale, words = 1.0, ("gained {} over the default", "lost {} to the default")
    part = ""
    if metric == "mse" and default > 0:
        unit, words = "", ("cut the default's error by {}", "raised the default's error by {}")
        # The interval is of the difference alone: of the share it would have to know the default's own spread as well.
        part = f"{number(abs(gain['mean']) / default * 100)} %, by "
    elif metric == "nelbo":
        unit, words = " nats per image", ("lowered the default's −ELBO by {}", "raised the default's −ELBO by {}")
    elif metrics.limits(metric) == (0.0, 1.0):  # a share: of a share, per cent would be a puzzle
        scale, unit = 100.0, f" points of {metrics.label(metric)}"
    else:
        unit = f" in {metrics.label(metric)}"
    key = summary["confirmed"][0].get("key")  # of what was given, and not suggested by the sampler
    changed = words[gain["mean"] < 0].format(part + number(abs(gain["mean"]) * scale) + unit)
    what = f"{f'the given config {key}' if key else 'tuning'} {changed}"
    note = f"; {gain['note']}" if gain.get("note") else ""  # not of an earlier version
    if gain["ci95"] is None:
        return f"{what} ({counted(gain['n'], 'seed')}: no interval){note}"
    low, high = sorted((1 if gain["mean"] >= 0 else -1) * scale * end for end in gain["ci95"])
    unsure = ", which is within the luck of the seeds" if low <= 0 <= high else ""
    if not unsure and gain["n"] < LEAST_SEEDS:
        unsure = f", of {gain['n']} seeds, too few to tell them apart"
    return f"{what}{unsure} (95 % interval {number(low)} to {number(high)}){note}"


def _compared(summary: Mapping[str, Any]) -> str:
    """Return the network's error over the baseline's, "" where that means nothing."""
    row, value = summary["baseline"], summary["ratio_to_pca"]
    if row is None or value is None:
        return ""
    linear = "test_accuracy" in row
    of = "the error rate of a logistic regression on PCA codes" if linear else "PCA's error at the same size of code"
    sure = "" if summary["best"]["test"]["ci95"] else ", of one seed" * (summary["best"]["test"]["n"] < 2)
    if str(summary["verdict"]).startswith("not distinguishable"):
        sure = ", which is within the luck of the seeds"
    return f"the network has {ratio(value)} of {of}{sure}"


def _failed(summary: Mapping[str, Any]) -> list[str]:
    """Return of which of the configs that the sentence is of seeds failed, the best one first."""
    compared = (summary["best"], summary.get("default"))
    names = [one["trial_id"] for one in compared if one]
    return [f"{name} has {words}" for name in names if (words := about_seeds.failed_of(summary, name))]


def _bounds(summary: Mapping[str, Any]) -> str:
    """Return how a VAE's bound stands to probabilistic PCA's, "" where that was not compared."""
    said = str((summary.get("nats") or {}).get("verdict") or "")
    return (
        said.replace("the network's", "its") if said.startswith("the network's") else ""
    )  # else of an earlier version


def _searched(study: StudyFiles) -> Fact:
    settings, data = study.settings, study.about.get("data", {})
    metric, mode = study.about["objective"]["metric"], study.about["objective"]["mode"]
    if settings.get("reported"):
        value = f"no search: the reported configurations {settings['reported']}"
    else:
        value = f"{settings.get('space', 'an unknown space')}, {counted(len(study.trials), 'trial')}"
        value += f" ({given_and_suggested(study)})" if len(study.trials) else ""
    sizes = data.get("sizes", {})
    images = ", ".join(f"{size:,} {name}" for name, size in sizes.items())
    how = [
        f"data {data['name']}" + (f" ({images} images)" if images else "") if data.get("name") else "",
        f"sampler {settings['sampler']}, scheduler {settings['scheduler']}"
        if settings.get("sampler") and not settings.get("reported")
        else "",
        f"at most {counted(settings['epochs'], 'epoch')} a trial" if settings.get("epochs") else "",
        f"ranked by {metrics.label(metric)} ({'lower' if mode == 'min' else 'higher'} is better)"
        if study.chooses
        else NOTHING_CHOSEN,
    ]
    title = "What was run" if settings.get("reported") else "What was searched"
    return Fact(title, value, "; ".join(filter(None, how)))


def _result(study: StudyFiles) -> list[Fact | None]:
    summary = study.summary
    if summary is None:
        return [_so_far(study)]
    best = summary["best"]
    if best is None:
        statuses = [*study.trials["status"], *study.confirm["status"]]
        where = "Failures and their reasons are listed below." if "failed" in statuses else ""
        return [Fact("Best config", f"none: {why_no_best(summary)}", where)]
    named = Fact(
        "Best config" if study.chooses else "First configuration",
        _named(best["trial_id"], summary),
        f"{_capital(config_words(best['config']))}; {best['params']:,} parameters.",
    )
    test = metrics.on_test(summary["metric"])
    if best["test"] is None:
        val = Fact(
            _capital(metrics.label(summary["metric"])),
            summary_interval(best["val"][summary["metric"]]),
            "The best of many trials on validation data, so it flatters. The test split was not touched (--confirm 0).",
        )
        return [named, val, _baseline(summary, chosen=study.chooses, split="val")]
    score = Fact(
        _capital(metrics.label(test)), summary_interval(best["test"]), _beside(summary, best, chosen=study.chooses)
    )
    return [
        named,
        score,
        _over_images(study),
        _gain(summary),
        _baseline(summary, chosen=study.chooses, split="test"),
        _nats(summary),
        _certainty(summary),
    ]


def _over_images(study: StudyFiles) -> Fact | None:
    """Return what other test images would change, beside the score's interval, which is of other seeds."""
    found = compute_over_images(study)
    return None if found is None else Fact("Over test images", found.value.words, found.detail)


def _is_alone(summary: Mapping[str, Any]) -> bool:
    """Whether there was one config, which no other was chosen against."""
    return len(summary["confirmed"]) == 1 and sum(summary.get("trials", {}).values()) == 1


def _named(trial: str, summary: Mapping[str, Any]) -> str:
    key = next((one["key"] for one in summary["confirmed"] if one["id"] == trial), None)
    return f"{trial} ({key})" if key and key.replace("/", "_") != trial else str(key or trial)


def _beside(summary: Mapping[str, Any], best: Mapping[str, Any], *, chosen: bool) -> str:
    if not chosen:
        return _capital(NOTHING_CHOSEN) + "."
    val = best["val"][summary["metric"]]
    measured = f"it has {cell(val['mean'])} over {counted(val['n'], 'seed')}"
    if _is_alone(summary):
        return f"No other config was tried; on validation data {measured}."
    return f"The network was chosen on validation data, where {measured}."


def _gain(summary: Mapping[str, Any]) -> Fact | None:
    """Say how much better the winner is than the space's default, on seeds that chose neither."""
    gain = summary.get("gain")
    if gain is None:
        return None
    default = summary["default"]
    words = about_seeds.failed_of(summary, default["trial_id"])
    has = summary_interval(default["test"]) + (f", of {words}" if words else "")
    note = f" {_capital(gain['note'])}." if gain.get("note") else ""
    return Fact("Gain over the default", summary_interval(gain), f"The space's default has {has}.{note}")


def _baseline(summary: Mapping[str, Any], *, chosen: bool, split: str) -> Fact | None:
    """Say what the baseline has on the images of the split that the network's score is of."""
    row = summary["baseline"]
    if row is None:
        return Fact("Against PCA", "not compared", summary["ratio_note"] or "")
    note = summary["ratio_note"] or ""
    if "test_accuracy" in row:
        title = "Against a logistic regression"
        value = f"{cell(row[f'{split}_accuracy'])} {metrics.label(f'{split}_accuracy')}"
        detail = f"on {row['n_components']} PCA components, "
        detail += "the best of its sizes on validation data" if chosen else "the most that were tried"
        what = "error rate"
    else:
        title = f"Against PCA with {counted(row['n_components'], 'component')}"
        name = f"{split}_mse_clipped" if f"{split}_mse_clipped" in row else f"{split}_mse"  # of an earlier version
        value = f"{cell(row[name])} {metrics.label(f'{split}_mse')}"
        own = summary["confirmed"][0]["test"].get("test_mse") if summary["confirmed"] else None
        detail = (
            f"the network: {summary_interval(own)}"
            if own and summary["metric"] != "val_mse"
            else "the same size of code"
        )
        what = "error"
    if summary["ratio_to_pca"] is not None:
        value += f"; the network has {ratio(summary['ratio_to_pca'])} of its {what}"
    elif note:
        detail += f"; no ratio: {note}"
    return Fact(title, value, _capital(detail) + ".")


def _nats(summary: Mapping[str, Any]) -> Fact | None:
    """Say how many nats probabilistic PCA needs for the images that a VAE is measured in."""
    nats = summary.get("nats")  # not of an earlier version
    if not nats:
        return None
    if "n_components" not in nats:
        return Fact("Against probabilistic PCA", "not compared", _capital(nats["note"]) + ".")
    value = f"{cell(nats['test_nelbo_clipped'])} {metrics.label('test_nelbo')}"
    size = summary["best"]["config"]["latent_size"]
    detail = (
        f"with {counted(nats['n_components'], 'component')}, of up to {size:,} the best on validation images. It is "
        "an upper bound, as the network's is, and black and white count for all beyond. "
        f"Under uniform dequantisation alone: {cell(nats['test_nelbo'])}."
    )
    return Fact("Against probabilistic PCA", value, _capital(detail))


def _certainty(summary: Mapping[str, Any]) -> Fact | None:
    verdict = summary["verdict"]
    if nats := (summary.get("nats") or {}).get("verdict"):
        nats = nats if "bound on" in nats else f"in nats {nats}"  # of an earlier version
        by_error = verdict or "not compared"
        verdict = f"{nats}; {by_error if by_error.startswith('its') else f'by error {by_error}'}"
    if verdict is None:
        return None
    seeds, failed = summary["best"]["test"]["n"], about_seeds.failed_of_best(summary)
    if summary["baseline"] and "test_accuracy" in summary["baseline"] and "regression" not in verdict:  # earlier, too
        verdict = verdict.replace("PCA's", "the regression's").replace("PCA", "the logistic regression")
    if seeds < 2:
        detail = "One seed says nothing about the luck of a start."
        detail += f" It is of {failed}." if failed else ""
    elif summary["best"]["test"]["ci95"] is None:
        detail = f"{seeds} seeds that do not differ have no interval: how much others would is not known."
        detail += f" They are of {failed}." if failed else ""
    elif failed:
        detail = (
            f"Student's t over {failed}. It is of starts that end: what failed is left out of it, as other test images "
            "and another split of the data are."
        )
    else:
        detail = (
            f"Student's t over {counted(seeds, 'seed')}. It covers the luck of a start: neither other test images nor "
            "another split of the data."
        )
    if more := about_seeds.added_to(summary):
        detail += f" {_capital(more)}."
    return Fact("How sure", _capital(verdict), detail)


def _so_far(study: StudyFiles) -> Fact:
    """Return what an unfinished study has: its best trial or, without a search, how far its runs are."""
    return _runs_so_far(study) if study.settings.get("reported") else _best_so_far(study)


def _runs_so_far(study: StudyFiles) -> Fact:
    runs = study.confirm
    running = runs["status"] == "running"
    ended = [
        f"{counted(count, 'run')} {status}" for status, count in runs.loc[~running, "status"].value_counts().items()
    ]
    said = joined(ended) or "no run has ended yet"
    if epochs := [str(epoch) for epoch in sorted(runs.loc[running, "epochs"])]:
        are, at = ("is", "epoch") if len(epochs) == 1 else ("are", "epochs")
        most = f" of at most {study.settings['epochs']}" if study.settings.get("epochs") else ""
        said += f"; {len(epochs)} {are} at {at} {joined(epochs)}{most}"
    return Fact("So far", said, "Runs of the reported configurations; nothing is compared before all have ended.")


def _best_so_far(study: StudyFiles) -> Fact:
    metric = study.metric
    board = compute_leaderboard(study, top=1)
    if board.empty:
        return Fact("Best so far", "none: no trial has been completed or stopped yet")
    row = board.iloc[0]
    pca = row.get("pca")
    which = "Probabilistic PCA of at most that size" if metric == "val_nelbo" else "PCA at the same size"
    beside = f" {which}: {cell(pca)}." if pd.notna(pca) else ""
    return Fact(
        "Best so far",
        f"{row['trial_id']}: {cell(float(row[metric]))} {metrics.label(metric)}",
        f"The best of many on validation data, so it flatters; not confirmed on the test split.{beside}",
    )


def _cost(study: StudyFiles) -> Fact:
    statuses = study.trials["status"].value_counts()
    trials = ", ".join(f"{number_of} {status}" for status, number_of in statuses.items())
    tables = (study.trials, study.spread, study.confirm)
    epochs = int(sum(table["epochs"].sum() for table in tables if "epochs" in table))
    trained = trained_seconds(study)
    clock = f"{duration(study.summary['wall_s'])} on the clock, " if study.summary else ""
    place = machines(study.about)
    confirmed = f"{counted(len(study.confirm), 'confirmation run')}, " if len(study.confirm) else ""
    why = ((study.summary or {}).get("search_end") or {}).get("why")  # not of an earlier version
    ended = f" The search ended: {why}." if why else ""
    money = (study.summary or {}).get("cost")
    if money:
        ended += f" By the prices given: {money['how']}."
    return Fact(
        "What it cost",
        f"{clock}{duration(trained)} of training{', ' + money['what'] if money else ''}",
        f"{f'trials: {trials}; ' if trials else ''}{confirmed}{counted(epochs, 'epoch')} in all; on {place}.{ended}",
    )


def _more(study: StudyFiles) -> Fact | None:
    """Say what the search would be expected to gain by going on."""
    found = (study.summary or {}).get("another_hour")  # not of an earlier version
    return Fact("What more would bring", _capital(found["what"]), _capital(found["how"]) + ".") if found else None


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
