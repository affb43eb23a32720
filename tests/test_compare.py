"""Studies side by side: what may be compared is, with intervals, and what may not is refused with its reason."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from made_up_studies import write_study
from recorded_studies import made_up_seeds

from analysis.compare import compute_comparison, main, page_of
from analysis.comparisons.views import compute_differences, compute_scores, compute_studies, plot_scores, side_by_side
from analysis.comparisons.winners import RATIO
from analysis.page.render import render
from study.record.intervals import Sample, difference


def write(storage, name, space="mnist_ae", *, latent_size=20, pca=0.02, **options):
    """Write a finished study whose winner has the metrics that are lists; the others are of `write_study`."""
    metrics = {key: options.pop(key) for key in list(options) if key.startswith("test_")}
    runs = made_up_seeds("t0001", metrics, epochs=8, params=500, seconds=1.5)
    baseline = {"n_components": latent_size, "test_mse": pca, "test_accuracy": 1 - (pca or 0)}
    summary = {
        "best": {"trial_id": "t0001", "params": 500, "config": {"architecture": "dense", "latent_size": latent_size}},
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


def verdicts(storage, *names):
    return {pair.metric: pair.verdict for pair in compute_comparison(names, storage).pairs}


def test_families_on_one_data_set_are_compared_by_their_test_errors(tmp_path):
    write(tmp_path, "ae", test_mse=[0.010, 0.011, 0.012], test_probe_accuracy=[0.90, 0.91, 0.90])
    write(tmp_path, "vae", "mnist_vae", test_mse=[0.020, 0.021, 0.022], test_probe_accuracy=[0.89, 0.92, 0.90])
    found = verdicts(tmp_path, "ae", "vae")
    assert found["test_mse"] == found[RATIO] == "ae is better than vae"
    assert found["test_probe_accuracy"] == "ae and vae cannot be told apart"
    assert None not in found


def test_the_same_seeds_are_compared_in_pairs_and_others_by_welch():
    first, second = Sample({1: 0.1, 2: 0.5, 3: 0.9}), Sample({1: 0.0, 2: 0.41, 3: 0.8})
    assert difference(first, second).low > 0.08
    apart = difference(first, Sample({7: 0.0, 8: 0.41, 9: 0.8}))
    assert apart.mean == pytest.approx(difference(first, second).mean)
    assert apart.low < -0.5
    # scipy.stats.ttest_ind([0.1, 0.5, 0.9], [0.0, 0.41, 0.8], equal_var=False).confidence_interval()
    assert (apart.low, apart.high) == pytest.approx((-0.8101, 1.0035), abs=1e-3)


def test_higher_is_better_for_accuracies_and_psnr(tmp_path):
    write(tmp_path, "low", test_psnr=[10.0, 10.1], test_probe_accuracy=[0.1, 0.11])
    write(tmp_path, "high", test_psnr=[20.0, 20.1], test_probe_accuracy=[0.8, 0.81])
    assert {"test_psnr": "high is better than low", "test_probe_accuracy": "high is better than low"}.items() <= {
        metric: verdict.split(";")[0] for metric, verdict in verdicts(tmp_path, "low", "high").items()
    }.items()


def test_one_family_on_several_data_sets_is_compared_by_the_ratio_to_pca_alone(tmp_path):
    write(tmp_path, "mnist", test_mse=[0.010, 0.011, 0.012], pca=0.02)
    write(tmp_path, "fashion", "fashion_ae", test_mse=[0.010, 0.011, 0.012], pca=0.01)
    found = verdicts(tmp_path, "mnist", "fashion")
    assert found[RATIO] == "mnist is better than fashion"
    assert found[None] == "test_mse cannot be compared: other data: mnist and fashion"
    ratio = compute_comparison(["mnist"], tmp_path).winners[0].samples[RATIO]
    assert ratio.values == pytest.approx({1: 0.5, 2: 0.55, 3: 0.6})


def test_a_classifiers_ratio_is_of_error_rates_and_is_not_compared_with_one_of_square_errors(tmp_path):
    write(tmp_path, "ae", test_mse=[0.010, 0.011])
    write(tmp_path, "cls", "mnist_classifier", test_accuracy=[0.97, 0.98], pca=0.1)
    compared = compute_comparison(["ae", "cls"], tmp_path)
    assert compared.winners[1].samples[RATIO].values == pytest.approx({1: 0.3, 2: 0.2})
    assert [pair.gap for pair in compared.pairs] == [None]
    assert "other metric" in compared.pairs[0].verdict


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
    assert pairs[0].verdict.startswith(f"cannot be compared: {reason}")


def test_a_part_of_one_data_set_is_not_compared_with_all_of_another(tmp_path):
    write(tmp_path, "mnist", test_mse=[0.010, 0.011], train_size=9_000)
    write(tmp_path, "fashion", "fashion_ae", test_mse=[0.010, 0.011])
    assert "mnist saw a part of its images" in verdicts(tmp_path, "mnist", "fashion")[None]


def test_codes_of_other_sizes_are_said_beside_their_errors(tmp_path):
    write(tmp_path, "small", test_mse=[0.020, 0.021], latent_size=8)
    write(tmp_path, "large", test_mse=[0.010, 0.011], latent_size=64)
    found = verdicts(tmp_path, "small", "large")
    assert "8 and 64 numbers" in found["test_mse"]
    assert "numbers" not in found[RATIO]


def test_one_seed_has_no_interval_and_decides_nothing(tmp_path):
    write(tmp_path, "one", test_mse=[0.010])
    write(tmp_path, "two", test_mse=[0.020])
    assert verdicts(tmp_path, "one", "two")["test_mse"] == "one is ahead of two, but one seed has no interval"


def test_an_unfinished_study_and_one_without_confirmation_are_named_not_compared(tmp_path):
    write(tmp_path, "done", test_mse=[0.010, 0.011])
    write(tmp_path, "running", summary=None)
    write(tmp_path, "unconfirmed")
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
    write(tmp_path, "fashion", "fashion_ae", test_mse=[0.020, 0.021])
    compared = compute_comparison(["ae", "vae", "fashion"], tmp_path)
    scores = compute_scores(compared.winners, compared.pairs)
    assert {metric: [name for name, _ in studies] for metric, studies in scores.panels.items()} == {
        "test_mse": ["ae", "vae"],
        RATIO: ["ae", "vae", "fashion"],
    }
    assert len(plot_scores(scores).axes) == 2
    assert len(scores.table()) == 5
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
    assert gaps["metric"].tolist() == ["test_mse", RATIO]
    page = (tmp_path / "c.html").read_text()
    assert "Comparison of ae, vae" in page
    assert (tmp_path / "differences.csv").name in page
    assert pd.read_csv(tmp_path / "side_by_side.csv").columns[1:].tolist() == ["ae", "vae"]


def test_a_pair_that_cannot_be_compared_has_no_number_anywhere(tmp_path):
    write(tmp_path, "mnist", test_nelbo=[1.0, 2.0], pca=None)
    write(tmp_path, "fashion", "fashion_ae", test_nelbo=[1.0, 2.0], pca=None)
    compared = compute_comparison(["mnist", "fashion"], tmp_path)
    assert compute_differences(compared.pairs)["difference"].isna().all()
    assert "cannot be compared" in render(page_of(compared))
    assert len(compute_studies(compared.winners)) == 2


def test_an_unknown_or_damaged_study_is_one_line_and_exit_2(tmp_path, capsys):
    folder = write(tmp_path, "night", test_mse=[0.010, 0.011])
    assert main(["day", "--storage", str(tmp_path)]) == 2
    assert "there are: night" in capsys.readouterr().err
    (folder / "study.json").write_text('{"objective": {"metric": "val_mse", "mode": "min"}}')
    assert main(["night", "--storage", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
