"""Words, numbers, intervals and durations as a reader wants them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from study.record import metrics
from study.record.intervals import Interval
from study.record.words import DIGITS, counted, number

_PARAMETERS = {"lr": "learning rate", "weight_decay": "weight decay (L2)", "beta": "β", "beta_warmup": "β warm-up"}
_FIRST = ("architecture", "latent_size")  # of a config, what says most about it
_COLUMNS = {
    "trial_id": "trial",
    "run_id": "run",
    "confirm_id": "run",
    "confirm_of": "config",
    "params": "parameters",
    "n_components": "components",
    "explained_variance": "share of variance",
    "pca": "PCA",
    "regression": "regression on PCA codes",
    "ended_s": "ended after (s)",
    "ratio_to_pca": "error over PCA's",
    "over_baseline": "error over the baseline's",
    "pca_val_mse": "PCA's validation MSE",
    "pca_test_mse": "PCA's test MSE",
    "pca_val_nelbo": "probabilistic PCA's validation −ELBO",
    "pca_test_nelbo": "probabilistic PCA's test −ELBO",
    "train_pixel_rmse_255": "training RMSE of a pixel, in shades of 255",
    "test_pixel_rmse_255": "test RMSE of a pixel, in shades of 255",
    "val_psnr_of_mse": "validation PSNR of the mean MSE (dB)",
    "test_psnr_of_mse": "test PSNR of the mean MSE (dB)",
    "train_sparsity": "training sparsity",
    "train_contraction": "training contraction",
    "equivalent_rank": "components PCA needs",
    "equivalent_rank_beyond": "beyond PCA's sizes",
    "val_mean": "validation mean",
    "val_low": "validation low",
    "val_high": "validation high",
    "val_baseline": "validation baseline",
    "test_mean": "test mean",
    "test_low": "test low",
    "test_high": "test high",
    "test_baseline": "test baseline",
    "p_holm": "p (Holm)",
    "seeds_needed": "seeds needed",
    "told_apart": "told apart",
    "first_rank": "rank of the first",
    "second_rank": "rank of the second",
    "by_chance": "by chance",
    "failed_share": "share failed",
    "all_failed": "failed in all",
    "ended_or_failed": "ended or failed",
    "class_name": "class",
    "share_of_all_runs": "share of all runs",
    "latent_size": "latent size",
    "fit_seconds": "seconds to fit",
    "pretrain_epochs": "epochs of the first stage",
}


def why_no_best(summary: Mapping[str, Any]) -> str:
    """Return why a finished study has no best config."""
    return (summary.get("constraints") or {}).get("note") or "no trial was completed"  # not of an earlier version


def parameter_label(key: str) -> str:
    """Return the words of a key of the config, with or without `config.` in front."""
    key = key.removeprefix("config.")
    return _PARAMETERS.get(key, key.replace("_", " "))


def column_label(name: str) -> str:
    """Return the words of a table's column; a name that is none of the project's, such as a class's, is as it is."""
    if name.startswith("± "):
        return f"± {column_label(name[2:])}"
    if name.startswith("config."):
        return parameter_label(name)
    if name in _COLUMNS:
        return _COLUMNS[name]
    return metrics.label(name) if metrics.is_known(name) and metrics.split_of(name)[0] else name


def config_words(config: Mapping[str, Any]) -> str:
    """Return a config as words, what says most first: "architecture dense, latent size 8, learning rate 0.003"."""
    names = [*(name for name in _FIRST if name in config), *(n for n in config if n not in (*_FIRST, "family"))]
    words = [f"{parameter_label(name)} {value_label(config[name])}" for name in names if config[name] is not None]
    return ", ".join(words)


def cell(value: Any, digits: int = DIGITS) -> str:
    """Return any value in a table or a sentence: numbers short, whole ones whole, a missing one as a dash."""
    if value is None or value is pd.NA or (isinstance(value, (float, np.floating)) and np.isnan(value)):
        return "–"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)):
        return f"{value:,}"
    if not isinstance(value, (float, np.floating)):
        return str(value)
    exact = float(value)
    return f"{int(exact):,}" if exact.is_integer() and abs(exact) < 1e15 else number(exact, digits)


def value_label(value: Any) -> str:
    """Return a value of the config: switches are on and off, numbers short, words as they are."""
    if str(value) in ("True", "False"):
        return "on" if str(value) == "True" else "off"
    if isinstance(value, (int, float)):
        return number(float(value))
    return str(value)


def interval_text(low: float, high: float) -> str:
    """Return "low … high"."""
    return f"{number(low, DIGITS)} … {number(high, DIGITS)}"


def with_interval(interval: Interval) -> str:
    """Return a mean with its interval, "0.5 (0.4 to 0.6)"; where it has none, with why."""
    if interval.ci95 is None:
        return f"{cell(interval.mean)} ({interval.missing})"
    return f"{cell(interval.mean)} ({' to '.join(cell(end) for end in interval.ci95)})"


def summary_interval(value: Mapping[str, Any]) -> str:
    """Return a {mean, ci95, n} of summary.json as words."""
    seeds = counted(value["n"], "seed")
    if value["ci95"] is None:
        equal = ", which do not differ" if value["n"] > 1 else ""
        return f"{cell(value['mean'])} ({seeds}{equal}: no interval)"
    low, high = value["ci95"]
    return f"{cell(value['mean'])} (95 % interval {interval_text(low, high)}, {seeds})"


def environments(about: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what a study's drivers ran on, as study.json says it: the first one's, then each other one."""
    return [about.get("environment", {}), *about.get("later_environments", [])]


def machine(environment: Mapping[str, Any]) -> str:
    """Return the processor, its cores and the GPUs of an environment in words."""
    if not environment:
        return "an unknown machine"
    cores = [counted(environment["cpus"], "core")] if environment.get("cpus") else []
    graphics = ", ".join(environment.get("gpus") or []) or "no GPU"
    return ", ".join([environment.get("cpu") or "an unknown processor", *cores, graphics])


def machines(about: Mapping[str, Any]) -> str:
    """Return the machines that a study was driven on, one after the other."""
    return ", and later on ".join(dict.fromkeys(map(machine, environments(about))))


def versions(environment: Mapping[str, Any]) -> str:
    """Return Python's version and those of the packages in an environment."""
    found = {"Python": environment.get("python"), **environment.get("versions", {})}
    return ", ".join(f"{name} {version}" for name, version in found.items() if version) or "unknown versions"
