"""`python study/baseline.py`: its file, its table, and its one-line refusals."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_image_folder import make_folder

from study import baseline
from study.data import image_data
from study.data.image_data import ImageData, Split
from study.record.tables import BASELINE

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def read_rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def images_named(name: str) -> ImageData:
    rng = np.random.default_rng(0)
    train, val, test = (
        Split(rng.integers(0, 256, size=(n, 1, 4, 4), dtype=np.uint8), np.zeros(n, dtype=np.int64))
        for n in (40, 10, 12)
    )
    return ImageData(name, ("one",), train, val, test, "0" * 16, "", ())


def test_digits_are_written_and_printed_at_the_standard_ranks_that_they_have(
    empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert baseline.main([]) == 0
    rows = read_rows(empty_folder / "results/baselines/digits.csv")
    assert tuple(rows[0]) == BASELINE.columns
    assert [row["n_components"] for row in rows] == ["2", "4", "8", "16", "32"]
    assert {row["val_mse"] for row in rows} == {""}
    printed = capsys.readouterr()
    assert "1,527 train, 270 test" in printed.out
    assert f"{float(rows[-1]['test_mse']):.6f}" in printed.out
    assert f"{float(rows[-1]['test_nelbo_clipped']):.2f}" in printed.out
    assert max(map(len, printed.out.splitlines())) <= 80
    assert {row["val_nelbo_clipped"] for row in rows} == {""}
    assert "left out 64 components: the 1,527 images vary along 61 axes only" in printed.err


def test_what_is_left_out_of_a_folder_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_folder(tmp_path / "pets", {"cat": 8})
    (folder / "cat" / "notes.txt").write_text("x")
    assert baseline.main(["--data", str(folder)]) == 0
    assert "Files left out: 1 of no format that is read here." in capsys.readouterr().err


def test_components_and_variances_are_joined(tmp_path: Path) -> None:
    out = tmp_path / "new" / "pca.csv"
    assert baseline.main(["--components", "5,3", "--variance", "0.5,0.9", "--out", str(out)]) == 0
    rows = read_rows(out)
    counts = [int(row["n_components"]) for row in rows]
    kept = [float(row["explained_variance"]) for row in rows]
    assert counts[:2] == [3, 5]
    assert kept[0] < 0.5 <= kept[1] < 0.9 <= kept[-1]
    assert [path.name for path in out.parent.iterdir()] == ["pca.csv"]


def test_numbers_are_written_in_full_precision(tmp_path: Path) -> None:
    out = tmp_path / "pca.csv"
    baseline.main(["--components", "8", "--out", str(out)])
    (row,) = read_rows(out)
    assert row["train_mse"] == repr(float(row["train_mse"]))
    assert len(row["train_mse"]) > 12


def test_an_official_validation_split_is_not_fitted_to(monkeypatch: pytest.MonkeyPatch, empty_folder: Path) -> None:
    monkeypatch.setattr(image_data, "load", lambda *_, **__: images_named("flowers"))
    assert baseline.main(["--data", "flowers", "--components", "4"]) == 0
    (row,) = read_rows(empty_folder / "results/baselines/flowers.csv")
    assert row["val_mse"]


def test_a_folder_of_images_lends_the_file_its_name(
    monkeypatch: pytest.MonkeyPatch, empty_folder: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr(image_data, "load", lambda *_, **__: images_named("cats"))
    assert baseline.main(["--data", f"{tmp_path}/cats/", "--components", "4"]) == 0
    (row,) = read_rows(empty_folder / "results/baselines/cats.csv")
    assert row["val_mse"] == ""


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--data", "cifr"], "data set 'cifr' is not known (did you mean cifar?); allowed: cifar, "),
        (["--data", "./mnist"], "--data './mnist' would write over the baseline of the data set mnist"),
        (["--component", "3"], "option '--component' is not known (did you mean --components?); allowed: "),
        (["--components", "8,x"], "--components 'x' is not allowed; give a whole number of at least 1"),
        (["--components", "0"], "--components '0' is not allowed; give a whole number of at least 1"),
        (["--components", "65"], "--components '65' is too large (nearest: 64); allowed: 1 to 64, as there"),
        (["--components", "64"], "--components '64' is too large (nearest: 61); allowed: 1 to 61, as the"),
        (["--variance", "0.9,"], "--variance '' is not a number; allowed: fractions above 0"),
        (["--variance", "95"], "--variance '95' is out of range (did you mean 0.95?); allowed: "),
        (["--variance", "nan"], "--variance 'nan' is out of range; allowed: fractions above 0"),
        (["--image-size", "-3"], "--image-size '-3' is not allowed; give a whole number of at least 1"),
        (["--out", "."], "--out '.' is a folder; allowed: a file's path, such as pca.csv"),
        (["--out", f"{__file__}/x/pca.csv"], "is not a folder"),
        (["--out", "/proc/x/pca.csv"], "cannot be written"),
    ],
)
def test_unusable_input_is_one_line_and_writes_nothing(
    arguments: list[str], line: str, empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert baseline.main(arguments) == 2
    printed = capsys.readouterr()
    last = printed.err.splitlines()[-1]
    assert last.startswith("study: ")
    assert line in last
    assert printed.out == ""
    assert not list(empty_folder.iterdir())


def test_a_failed_run_leaves_the_former_file_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "pca.csv"
    out.write_text("former")
    assert baseline.main(["--components", "99", "--out", str(out)]) == 2
    assert out.read_text() == "former"


def test_the_file_runs_from_any_folder_without_being_installed(empty_folder: Path) -> None:
    command = [sys.executable, str(REPOSITORY / "study/baseline.py"), "--components", "2"]
    done = subprocess.run(command, cwd=empty_folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (empty_folder / "results/baselines/digits.csv").is_file()


@pytest.mark.realdata
def test_cifar_gives_the_reference_errors_on_all_its_training_images(real_data_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "pca.csv"
    where = ["--data", "cifar", "--data-dir", str(real_data_dir), "--out", str(out)]
    assert baseline.main([*where, "--components", "32,108,256,512"]) == 0
    rows = read_rows(out)
    train = [float(row["train_mse"]) for row in rows]
    assert train == pytest.approx([0.012422, 0.005784, 0.002572, 0.000983], abs=1.5e-6)
    test = [float(row["test_mse"]) for row in rows]
    assert test == pytest.approx([0.012445, 0.005810, 0.002615, 0.001019], abs=1.5e-6)


@pytest.mark.realdata
def test_mnist_gives_the_reports_table_to_the_last_digit_and_the_test_errors_that_it_lacks(
    real_data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "pca.csv"
    where = ["--data", "mnist", "--data-dir", str(real_data_dir), "--out", str(out)]
    assert baseline.main([*where, "--variance", "0.8,0.9,0.95"]) == 0
    rows = read_rows(out)
    assert [row["n_components"] for row in rows] == ["44", "87", "154"]
    train = [float(row["train_pixel_rmse_255"]) for row in rows]
    assert train == pytest.approx([23.877350758777983, 17.48213757700727, 12.62115827352506], rel=0, abs=1e-9)
    test = [float(row["test_pixel_rmse_255"]) for row in rows]
    assert test == pytest.approx([23.470737, 17.189919, 12.453292], rel=0, abs=5e-7)
    printed = capsys.readouterr().out
    assert "60,000 train, 10,000 test" in printed
    errors, _, _ = printed.partition("probabilistic PCA")
    table = [line.split() for line in errors.splitlines() if line.split()[:1] in (["44"], ["87"], ["154"])]
    assert [line[-2:] for line in table] == [["23.8774", "23.4707"], ["17.4821", "17.1899"], ["12.6212", "12.4533"]]
