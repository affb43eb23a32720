"""Studies side by side: what may be compared is, with intervals, and what may not is refused with its reason."""

from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd
import pytest
from made_up_studies import write_study
from recorded_studies import made_up_seeds

from analysis.compare import compute_comparison, main, page_of
from analysis.comparisons.views import (
    compute_differences,
    compute_scores,
    compute_studies,
    pair_words,
    plot_scores,
    side_by_side,
)
from analysis.comparisons.winners import RATIO, compare_pairs
from analysis.page.render import render
from study.record.intervals import holm


def write(storage, name, space="mnist_ae", *, latent_size=20, pca=0.02, **options):
    """Write a finished study whose winner has the metrics that are lists; the others are of `write_study`."""
    metrics = {key: options.pop(key) for key in list(options) if key.startswith("test_")}
    params = options.pop("params", 500)
    runs = made_up_seeds("t0001", metrics, epochs=options.pop("epochs", 8), params=params, seconds=1.5)
    baseline = {"n_components": latent_size, "test_mse": pca, "test_accuracy": 1 - (pca or 0)}
    summary = {
        "best": {
            "trial_id": "t0001",
            "params": params,
            "config": {"architecture": "dense", "latent_size": latent_size},
        },
        "baseline": baseline if pca else None,
        "ratio_to_pca": 1.0 if pca else None,
        "ratio_note": None if pca else "PCA's error is only rounding at this number of components",
    }
    return write_study(storage, name, runs, space=space, summary=options.pop("summary", summary), **options)


def test_ratios_are_of_the_clipped_errors_that_the_study_was_compared_by(tmp_path):
    folder = write(tmp_path, "night", test_mse=[0.010, 0.011])
    summary = json.loads((folder / "summary.json").read_text())
    summary["baseline"] |= {"test_mse": 0.03, "test_mse_clipped": 0.02}
    (folder / "summary.json").write_text(json.dumps(summary))
    (winner,) = compute_comparison(["night"], tmp_path).winners
    assert sorted(winner.samples[RATIO].values.values()) == pytest.approx([0.5, 0.55])


def test_a_vae_stands_beside_the_nats_of_the_probabilistic_pca_that_it_was_compared_with(tmp_path):
    write(tmp_path, "old", "mnist_vae", test_nelbo=[910.0, 911.0])
    assert "pca_nelbo" not in compute_studies(compute_comparison(["old"], tmp_path).winners)
    folder = write(tmp_path, "night", "mnist_vae", test_nelbo=[900.0, 901.0])
    summary = json.loads((folder / "summary.json").read_text()) | {"nats": {"test_nelbo_clipped": 1500.25}}
    (folder / "summary.json").write_text(json.dumps(summary))
    winners = compute_comparison(["night", "old"], tmp_path).winners
    assert compute_studies(winners)["pca_nelbo"].iloc[0] == 1500.25
    words = side_by_side(winners).set_index("quantity")
    assert words.loc["test_nelbo of probabilistic PCA"].tolist() == ["1,500", "–"]


def verdicts(storage, *names):
    return {pair.metric: pair.verdict for pair in compute_comparison(names, storage).pairs}


LOW, HIGH = [0.010, 0.011, 0.012], [0.020, 0.0212, 0.022]


def test_two_studies_get_one_verdict_by_what_both_are_ranked_by(tmp_path):
    write(tmp_path, "low", test_mse=LOW, test_probe_accuracy=[0.90, 0.91, 0.90])
    write(tmp_path, "high", test_mse=HIGH, test_probe_accuracy=[0.1, 0.11, 0.10])
    found = verdicts(tmp_path, "low", "high")
    assert found == {"test_mse": "low is better than high", "test_probe_accuracy": None, RATIO: None}
    gaps = compute_differences(compute_comparison(["low", "high"], tmp_path).pairs).set_index("metric")
    assert gaps["difference"].notna().all()  # they are shown
    assert gaps["p_holm"].notna().tolist() == [True, False, False]
    assert gaps.loc["test_mse", "test"] == "paired"


@pytest.mark.parametrize(
    ("space", "metric"),
    [("mnist_ae", "ratio_to_pca"), ("mnist_classifier", "calibration_error"), ("mnist_classifier", "cross_entropy")],
)
def test_the_verdict_goes_by_what_both_were_ranked_by_whatever_that_is(tmp_path, space, metric):
    ranked = {"objective": {"metric": f"val_{metric}", "mode": "min"}}
    for size, (name, values) in enumerate({"low": LOW, "high": HIGH}.items(), start=8):
        others = {"test_mse" if space.endswith("ae") else "test_accuracy": values}
        write(tmp_path, name, space, latent_size=size, **{f"test_{metric}": values}, **others, **ranked)
    assert (
        verdicts(tmp_path, "low", "high")[f"test_{metric}"] == "low is better than high"
    )  # of no size is anything said
    shown = side_by_side(compute_comparison(["low", "high"], tmp_path).winners)
    assert f"test_{metric}" in set(shown["quantity"])


def test_other_families_get_no_verdict_and_their_differences_are_shown(tmp_path):
    write(tmp_path, "ae", test_mse=LOW)
    write(tmp_path, "vae", "mnist_vae", test_mse=HIGH)
    pairs = compute_comparison(["ae", "vae"], tmp_path).pairs
    assert (pairs[0].metric, pairs[0].verdict) == (None, "no verdict: other family: ae and vae")
    assert [(pair.metric, pair.verdict) for pair in pairs[1:]] == [("test_mse", None), (RATIO, None)]


def test_other_budgets_get_no_verdict(tmp_path):
    write(tmp_path, "short", test_mse=HIGH)
    write(tmp_path, "long", test_mse=LOW, epochs=9)
    assert verdicts(tmp_path, "short", "long")[None] == "no verdict: other budget: runs of 8 and of 9 epochs"
    more = replace(compute_comparison(["short"], tmp_path).winners[0], study="more", trials=64)
    few = compute_comparison(["short"], tmp_path).winners[0]
    assert compare_pairs([few, more])[0].verdict == "no verdict: other budget: 0 and 64 trials"


def test_holms_correction_is_over_all_pairs_that_get_a_verdict(tmp_path):
    for name, values in {"a": LOW, "b": HIGH, "c": [0.03, 0.0312, 0.0309]}.items():
        write(tmp_path, name, test_mse=values)
    write(tmp_path, "other", "fashion_ae", test_mse=LOW)  # gets none, and does not count
    pairs = compute_comparison(["a", "b", "c", "other"], tmp_path).pairs
    judged = [pair for pair in pairs if pair.p_holm is not None]
    assert len(judged) == 3
    assert [pair.p_holm for pair in judged] == holm([pair.gap.p for pair in judged])
    assert max(pair.p_holm / pair.gap.p for pair in judged) == pytest.approx(3)


def test_a_wider_network_is_compared_by_welch(tmp_path):
    write(tmp_path, "narrow", test_mse=LOW)
    write(tmp_path, "wide", test_mse=HIGH, params=900)
    pair = compute_comparison(["narrow", "wide"], tmp_path).pairs[0]
    assert (pair.gap.test, pair.verdict) == ("welch", "narrow is better than wide")
    assert "Welch's t-test, p = " in pair_words(pair)


def test_higher_is_better_for_accuracies(tmp_path):
    write(tmp_path, "low", "mnist_classifier", test_accuracy=[0.1, 0.11, 0.12], pca=0.1)
    write(tmp_path, "high", "mnist_classifier", test_accuracy=[0.80, 0.81, 0.815], pca=0.1)
    assert verdicts(tmp_path, "low", "high")["test_accuracy"] == "high is better than low"


def test_data_sets_get_no_verdict_not_even_by_the_ratio_to_pca(tmp_path):
    write(tmp_path, "mnist", test_mse=LOW, pca=0.02)
    write(tmp_path, "fashion", "fashion_ae", test_mse=LOW, pca=0.01)
    pairs = compute_comparison(["mnist", "fashion"], tmp_path).pairs
    assert [(pair.gap, pair.verdict) for pair in pairs] == [(None, "no verdict: other data: mnist and fashion")]
    ratio = compute_comparison(["mnist"], tmp_path).winners[0].samples[RATIO]
    assert ratio.values == pytest.approx({1: 0.5, 2: 0.55, 3: 0.6})


def test_a_classifiers_ratio_is_of_error_rates_and_is_not_put_beside_one_of_square_errors(tmp_path):
    write(tmp_path, "ae", test_mse=[0.010, 0.011])
    write(tmp_path, "cls", "mnist_classifier", test_accuracy=[0.97, 0.98], pca=0.1)
    compared = compute_comparison(["ae", "cls"], tmp_path)
    assert compared.winners[1].samples[RATIO].values == pytest.approx({1: 0.3, 2: 0.2})
    assert [pair.gap for pair in compared.pairs] == [None]
    assert compared.pairs[0].verdict == "no verdict: other family: ae and classifier"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"train_size": 9_000}, "other train size: 54,000 and 9,000 images of mnist"),
        ({"data": {"digest": "other"}}, "other images under the name mnist"),
        ({"data": {"split": "60/40"}}, "other split of mnist"),
        ({"data": {"sizes": {"train": 54_000, "val": 1_000, "test": 10_000}}}, "other split of mnist"),
    ],
)
def test_other_images_splits_and_train_sizes_are_refused_with_the_reason(tmp_path, change, reason):
    write(tmp_path, "one", test_mse=[0.010, 0.011])
    write(tmp_path, "two", test_mse=[0.020, 0.021], **change)
    pairs = compute_comparison(["one", "two"], tmp_path).pairs
    assert [pair.gap for pair in pairs] == [None]
    assert pairs[0].verdict.startswith(f"no verdict: {reason}")


def test_codes_of_other_sizes_are_said_beside_their_errors(tmp_path):
    write(tmp_path, "small", test_mse=[0.020, 0.021], latent_size=8)
    write(tmp_path, "large", test_mse=[0.010, 0.011], latent_size=64)
    assert "8 and 64 numbers" in verdicts(tmp_path, "small", "large")["test_mse"]


def test_one_seed_has_no_interval_and_decides_nothing(tmp_path):
    write(tmp_path, "one", test_mse=[0.010])
    write(tmp_path, "two", test_mse=[0.020])
    assert verdicts(tmp_path, "one", "two")["test_mse"] == "one is ahead of two, but one seed has no interval"


def test_two_seeds_decide_nothing_either_and_equal_ones_have_no_interval(tmp_path):
    write(tmp_path, "one", test_mse=[0.010, 0.0101])
    write(tmp_path, "two", test_mse=[0.020, 0.0200001])
    assert verdicts(tmp_path, "one", "two")["test_mse"] == "one and two cannot be told apart"
    for name in ("three", "four"):
        write(tmp_path, name, test_mse=[0.020, 0.020])
    assert verdicts(tmp_path, "three", "four")["test_mse"] == "2 seeds do not differ, so no interval"


def test_an_unfinished_study_and_one_without_confirmation_are_named_not_compared(tmp_path):
    write(tmp_path, "done", test_mse=[0.010, 0.011])
    write(tmp_path, "running", summary=None)
    write(tmp_path, "unconfirmed")
    note = "no trial keeps val_mse<=0.01: nothing was chosen"
    write(tmp_path, "unkept", summary={"best": None, "constraints": {"note": note}})
    assert compute_comparison(["unkept"], tmp_path).winners[0].note == note
    pairs = compute_comparison(["done", "running", "unconfirmed"], tmp_path).pairs
    assert "of running, it is not finished" in pairs[0].verdict
    assert "of unconfirmed, nothing was confirmed" in pairs[1].verdict
    assert "nothing to compare" in side_by_side(compute_comparison(["running"], tmp_path).winners).to_string()


def test_a_study_without_a_ratio_says_why(tmp_path):
    write(tmp_path, "exact", test_mse=[0.0, 0.0], pca=None)
    assert "only rounding" in side_by_side(compute_comparison(["exact"], tmp_path).winners).to_string()


def test_the_figure_shows_what_may_be_compared_and_nothing_else(tmp_path):
    write(tmp_path, "ae", test_mse=[0.010, 0.011])
    write(tmp_path, "vae", "mnist_vae", test_mse=[0.020, 0.021])
    write(tmp_path, "fashion", "fashion_ae", test_mse=[0.020, 0.021])  # other images
    compared = compute_comparison(["ae", "vae", "fashion"], tmp_path)
    scores = compute_scores(compared.winners, compared.pairs)
    assert {metric: [name for name, _ in studies] for metric, studies in scores.panels.items()} == {
        "test_mse": ["ae", "vae"],
        RATIO: ["ae", "vae"],
    }
    assert len(plot_scores(scores).axes) == 2
    assert len(scores.table()) == 4
    alone = compute_comparison(["ae"], tmp_path)
    assert compute_scores(alone.winners, alone.pairs) is None


def test_the_command_prints_tables_and_writes_numbers_and_a_page(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    write(tmp_path, "ae", test_mse=[0.010, 0.0123456789012345])
    write(tmp_path, "vae", "mnist_vae", test_mse=[0.020, 0.021])
    files = ["--csv", str(tmp_path / "c.csv"), "--out", str(tmp_path / "c.html")]
    assert main(["ae", "vae", "ae", "--storage", str(tmp_path), *files]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 70
    table = pd.read_csv(tmp_path / "c.csv")
    assert table["study"].tolist() == ["ae", "vae"]
    assert table["test_mse"][0] == pytest.approx((0.010 + 0.0123456789012345) / 2, rel=1e-14)
    gaps = pd.read_csv(tmp_path / "c-differences.csv")
    assert gaps["metric"].fillna("").tolist() == ["", "test_mse", RATIO]  # other families: a reason, no verdict
    page = (tmp_path / "c.html").read_text()
    assert "Comparison of ae, vae" in page
    assert 'href="c-tables/differences.csv"' in page
    assert pd.read_csv(tmp_path / "c-tables" / "side_by_side.csv").columns[1:].tolist() == ["ae", "vae"]


def test_a_pair_that_cannot_be_compared_has_no_number_anywhere(tmp_path):
    write(tmp_path, "mnist", test_nelbo=[1.0, 2.0], pca=None)
    write(tmp_path, "fashion", "fashion_ae", test_nelbo=[1.0, 2.0], pca=None)
    compared = compute_comparison(["mnist", "fashion"], tmp_path)
    assert compute_differences(compared.pairs)["difference"].isna().all()
    assert "no verdict" in render(page_of(compared))
    assert len(compute_studies(compared.winners)) == 2


def test_an_unknown_or_damaged_study_is_one_line_and_exit_2(tmp_path, capsys):
    folder = write(tmp_path, "night", test_mse=[0.010, 0.011])
    assert main(["day", "--storage", str(tmp_path)]) == 2
    assert "there are: night" in capsys.readouterr().err
    (folder / "study.json").write_text('{"objective": {"metric": "val_mse", "mode": "min"}}')
    assert main(["night", "--storage", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_seed_that_failed_by_its_config_is_said_beside_the_verdict(tmp_path):
    write(tmp_path, "low", test_mse=LOW)
    folder = write(tmp_path, "high", test_mse=HIGH)
    summary = json.loads((folder / "summary.json").read_text())
    summary["confirmed"] = [{"id": "t0001", "failed": {"seeds": 1, "of": 4, "why": "NaN"}}]
    (folder / "summary.json").write_text(json.dumps(summary))
    assert verdicts(tmp_path, "low", "high")["test_mse"] == (
        "low is better than high; high has 3 of 4 seeds (1 failed: NaN)"
    )
    shown = side_by_side(compute_comparison(["low", "high"], tmp_path).winners).set_index("quantity")
    assert shown.loc["best"].tolist() == ["t0001, 3 seeds, 8 epochs", "t0001, 3 of 4 seeds (1 failed: NaN), 8 epochs"]
