import math

import pandas as pd
import pytest
from recorded_studies import made_up_seeds, made_up_trial, write_study

from analysis.leaderboard import main
from analysis.study_files import read_study
from analysis.trials import baseline_at, compute_confirmed, compute_leaderboard
from study.record.intervals import mean_interval


def trials(metric="val_mse", values=(0.30, 0.10, 0.20)):
    """Return two completed trials, one that was stopped after an epoch, and one that failed."""
    first, stopped, second = values
    return [
        made_up_trial(0, config=config("dense", 8), epochs=[{metric: 0.5}, {metric: 0.4}, {metric: first}]),
        made_up_trial(1, config=config("conv", 8), epochs=[{metric: stopped}], status="stopped"),
        made_up_trial(2, config=config("dense", 4), epochs=[{metric: 0.5}, {metric: 0.4}, {metric: second}]),
        made_up_trial(3, config=config("conv", 4), status="failed"),
    ]


def config(architecture, latent_size):
    return {"architecture": architecture, "latent_size": latent_size, "optimizer": "adam"}


def confirmations(metric="mse"):
    """Return two completed seeds of t0000, and of t0002 a completed and a failed one."""
    runs = made_up_seeds("t0000", {f"val_{metric}": [0.30, 0.32], f"test_{metric}": [0.31, 0.33]})
    second = made_up_seeds("t0002", {f"val_{metric}": [0.20, 0.20], f"test_{metric}": [0.21, 0.21]})
    second[1].status, second[1].epochs, second[1].final = "failed", [], {}
    return runs + second


PCA = [{"n_components": 4, "val_mse": 0.4}, {"n_components": 8, "val_mse": 0.25}]


def studied(storage, runs, **about):
    write_study(storage, "night", runs, **{"baseline": PCA} | about)
    return read_study("night", storage)


@pytest.fixture
def storage(tmp_path):
    studied(tmp_path, trials() + confirmations())
    return tmp_path


def test_completed_trials_come_first_and_each_is_compared_with_pca_at_its_size(storage):
    board = compute_leaderboard(read_study("night", storage))
    assert board["trial_id"].tolist() == ["t0002", "t0000", "t0001"]
    assert board["pca"].tolist() == [0.4, 0.25, 0.25]
    assert board["ratio_to_pca"].tolist() == pytest.approx([0.5, 1.2, 0.4])
    assert len(compute_leaderboard(read_study("night", storage), top=1)) == 1


def test_accuracies_stand_beside_the_regression_that_is_best_on_validation_images(tmp_path):
    rows = [(16, 0.7, 0.8), (64, 0.9, 0.85), (256, 0.8, 0.95)]
    baseline = [{"n_components": n, "val_accuracy": val, "test_accuracy": test} for n, val, test in rows]
    runs = trials("val_accuracy", (0.5, 0.6, 0.7))
    for run in runs:
        del run.config["latent_size"]
    study = studied(tmp_path, runs, space="digits_classifier", baseline=baseline)
    assert compute_leaderboard(study)["regression"].tolist() == [0.9, 0.9, 0.9]
    assert baseline_at(study, pd.Series([float("nan")]), "test").tolist() == [0.85]


def test_of_stopped_trials_those_come_first_that_got_further(tmp_path):
    stopped = [
        made_up_trial(number, config=config("dense", 8), epochs=[{"val_mse": value}] * epochs, status="stopped")
        for number, (value, epochs) in enumerate([(0.1, 1), (0.4, 3), (0.3, 3)])
    ]
    assert compute_leaderboard(studied(tmp_path, stopped))["trial_id"].tolist() == ["t0002", "t0001", "t0000"]


def test_confirmed_configs_have_their_mean_and_their_number_of_completed_seeds(storage):
    """A config whose seeds partly failed comes after one that has them all, whatever its mean, as a study ranks it."""
    table = compute_confirmed(read_study("night", storage))
    assert table["confirm_of"].tolist() == ["t0000", "t0002"]
    assert table["seeds"].tolist() == [2, 1]
    assert table["test_mse"].tolist() == pytest.approx([0.32, 0.21])
    ends = mean_interval([0.31, 0.33], 0.0, math.inf).ci95
    assert table.loc[0, ["test_mse_low", "test_mse_high"]].tolist() == pytest.approx(ends)
    assert table.loc[1, ["test_mse_low", "test_mse_high"]].isna().all()  # one seed


def test_trials_are_compared_with_pcas_clipped_errors_where_there_are_any(tmp_path):
    baseline = [{**row, "val_mse_clipped": row["val_mse"] / 2} for row in PCA]
    write_study(tmp_path, "night", trials(), baseline=baseline)
    assert compute_leaderboard(read_study("night", tmp_path))["pca"].tolist() == [0.2, 0.125, 0.125]


def test_nats_are_compared_with_those_of_the_best_pca_of_at_most_the_size_and_by_no_ratio(tmp_path):
    nats = [{"n_components": size, "val_nelbo_clipped": value} for size, value in ((2, 220.0), (4, 210.0), (6, 215.0))]
    board = compute_leaderboard(studied(tmp_path, trials("val_nelbo"), space="digits_vae", baseline=nats))
    assert board["pca"].tolist() == [210.0, 210.0, 210.0]
    assert "ratio_to_pca" not in board
    earlier = studied(tmp_path / "old", trials("val_nelbo"), space="digits_vae")
    assert "pca" not in compute_leaderboard(earlier)


def test_accuracies_are_ranked_from_the_highest_and_not_compared_with_an_error_of_pca(tmp_path):
    runs = trials("val_accuracy") + confirmations("accuracy")
    baseline = [{"n_components": 8, "val_mse": 0.25, "val_accuracy": 0.9}]
    study = studied(tmp_path, runs, space="digits_classifier", baseline=baseline)
    board = compute_leaderboard(study)
    assert board["trial_id"].tolist() == ["t0000", "t0002", "t0001"]
    assert "pca" not in board
    assert compute_confirmed(study)["confirm_of"].tolist() == ["t0000", "t0002"]


def test_a_study_without_an_ended_trial_has_an_empty_board(tmp_path, capsys):
    assert compute_leaderboard(studied(tmp_path, []), top=3).empty
    assert main(["night", "--storage", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("night: no trial was trained\n")
    assert "Best trials" not in said


def test_an_unfinished_study_is_shown_in_80_columns_and_said_to_be_unfinished(tmp_path, capsys):
    runs = trials(values=(0.0123456, 0.1234567, 0.0112345))
    for run in runs:
        run.config["architecture"], run.config["optimizer"], run.params = "cifar_ae/1+1", "rmsprop", 12_345_678
    studied(tmp_path, runs + confirmations())
    assert main(["night", "--storage", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "not finished" in out
    assert "t0002" in out
    assert max(map(len, out.splitlines())) <= 80
    assert "0.32 (0.1929 … 0.4471)" in out
    board = out[out.index("Best trials") : out.index("Confirmed")]
    assert all(
        word in board for word in ("12,345,678", "0.01123", "0.02809", "0.4", "stopped")
    )  # the ratio is the last


def test_confirmed_configs_are_whole_in_80_columns_and_the_test_interval_stays(tmp_path, capsys, monkeypatch):
    seeds = {"val_mse": [0.0073677, 0.0070692, 0.0075394], "test_mse": [0.0070169, 0.0074081, 0.0069116]}
    pca = [{"n_components": 8, "val_mse": 0.25, "val_mse_clipped": 0.24, "test_mse": 0.26, "test_mse_clipped": 0.25}]
    chose = made_up_seeds("t0002", {"val_mse": seeds["val_mse"][:2]}, config=config("dense", 8))
    studied(tmp_path, trials() + made_up_seeds("t0000", seeds, config=config("dense", 8)) + chose, baseline=pca)

    def confirmed(columns):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert main(["night", "--storage", str(tmp_path)]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert max(map(len, lines)) <= columns
        return [" ".join(line.split()) for line in lines[-3:-1]]

    val, test = "0.007325 (0.006734 … 0.007916)", "0.007112 (0.006462 … 0.007762)"
    assert confirmed(110) == [f"t0000 3 {val} 0.24 {test} 0.25", "t0002 2 0.007218 (0.005322 … 0.009115) 0.24 – –"]
    assert confirmed(80) == [f"t0000 3 0.007325 {test} 0.25", "t0002 2 0.007218 – –"]


def test_every_trial_is_written_in_full_precision(tmp_path):
    studied(tmp_path, trials(values=(0.1 + 0.2, 0.1, 0.2)))
    assert main(["night", "--storage", str(tmp_path), "--top", "1", "--csv", str(tmp_path / "board.csv")]) == 0
    assert pd.read_csv(tmp_path / "board.csv")["val_mse"].tolist() == [0.2, 0.1 + 0.2, 0.1]


@pytest.mark.parametrize("top", ["-3", "0", "many"])
def test_rows_that_are_no_count_are_one_line_that_names_the_option(storage, capsys, top):
    assert main(["night", "--storage", str(storage), "--top", top]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"study: --top '{top}' is not allowed")


def test_a_folder_in_place_of_a_file_is_one_line_that_names_the_option(storage, capsys):
    assert main(["night", "--storage", str(storage), "--csv", str(storage)]) == 2
    assert capsys.readouterr().err.startswith(f"study: --csv '{storage}' is a folder; allowed: ")


def test_an_unknown_study_is_one_line_and_exit_2(storage, capsys):
    assert main(["day", "--storage", str(storage)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("study: ")
    assert "there are: night" in err


def test_tables_keep_their_types(storage):
    study = read_study("night", storage)
    assert pd.api.types.is_integer_dtype(study.baseline["n_components"])
