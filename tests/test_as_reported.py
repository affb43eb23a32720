"""Studies on the images that a report had: its split, and nothing chosen where it had nothing to choose by."""

from __future__ import annotations

import numpy as np
import pytest
from figure_examples import FIGURES, study
from made_up_studies import runs, write_study
from recorded_studies import made_up_seeds
from small_networks import CONFIGS, TRAINING, split
from study_processes import run, summary_of, table

import search_spaces
from analysis import report
from analysis.audits.evidence import read_evidence
from analysis.audits.readings import find
from analysis.study_files import read_study
from analysis.trials import confirmed_order
from search_spaces import Context, Measured, ReportedSplit
from study.baselines import pca
from study.baselines.baseline import evaluate_linear_classifier
from study.data.image_data import ImageData, Split, as_reported, subset
from study.driver import confirmation
from study.driver.comparison import compare
from study.driver.summary import summarize, text
from study.record.errors import UsageError
from study.record.events import EpochEnded, RunEnded, RunStarted, StudyStarted
from study.record.folder import StudyFolder
from study.record.ranking import NOTHING_CHOSEN
from study.record.settings import Settings, repeat_words
from study.record.state import StudyState
from study.settings import command_line, resolve
from study.training.fused import FusedTrainer
from study.training.trainer import Trainer

REPORTED = search_spaces.reported()


# --- the images


def numbered(start, count):
    """Return images that each have a number of their own as their grey levels."""
    numbers = np.arange(start, start + count)
    images = np.zeros((count, 1, 1, 2), np.uint8)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = numbers // 256, numbers % 256
    return Split(images, numbers % 3)


def numbers(part):
    return (256 * part.images[:, 0, 0, 0].astype(int) + part.images[:, 0, 0, 1]).tolist()


@pytest.fixture
def data():
    train, val, test = numbered(0, 90), numbered(90, 10), numbered(100, 20)
    return ImageData("made up", ("a", "b", "c"), train, val, test, "0", "90/10", ())


@pytest.mark.parametrize(("train", "val"), [(100, 0), (90, 0), (90, 10), (60, 40)])
def test_the_images_are_divided_as_the_report_divided_them(data, train, val):
    divided = as_reported(data, ReportedSplit(train, val, "As is said."))
    assert divided.sizes == {"train": train, "val": val, "test": 20}
    seen = numbers(divided.train) + numbers(divided.val)
    assert len(set(seen)) == train + val
    assert set(seen) <= set(range(100))
    assert (divided.train.labels == np.array(numbers(divided.train)) % 3).all()
    assert numbers(divided.test) == numbers(data.test)
    assert divided.split == "As in the report. As is said."
    if (train, val) == (90, 10):
        assert numbers(divided.train) == numbers(data.train)


def test_a_report_has_one_split_and_it_fits_the_data():
    for space in {entry.space for entry in REPORTED.values()}:
        (one,) = {entry.split for entry in REPORTED.values() if entry.space == space}
        sizes = search_spaces.get(space).data.sizes
        whole = sizes["train"] + sizes["val"]
        assert one.train + one.val == whole or (one.train, one.val) == (sizes["train"], 0)
    sizes = {key.split("/")[0]: (entry.split.train, entry.split.val) for key, entry in REPORTED.items()}
    assert sizes == {
        "cifar_ae": (50_000, 0),
        "mnist_ae": (36_000, 24_000),
        "flowers": (1_020, 0),
        "cifar_cnn": (42_000, 8_000),
        "fashion": (60_000, 0),
    }


def test_a_subset_of_the_images_may_be_taken_but_no_validation_images_where_there_are_none(data):
    divided = as_reported(data, ReportedSplit(100, 0, "As is said."))
    assert subset(divided, 30).sizes == {"train": 30, "val": 0, "test": 20}
    with pytest.raises(UsageError, match="--val-size 5 is not possible: with --as-reported there are no validation"):
        subset(divided, 30, 5)


# --- the settings


def settings(*argv):
    return resolve.settings_of(command_line.parse(["--name", "night", *argv]).given)


def test_it_goes_with_reported_configurations_alone_and_is_said_again_where_a_study_is_repeated():
    with pytest.raises(UsageError, match="--as-reported goes with --reported"):
        settings("--space", "digits_ae", "--as-reported")
    given = settings("--reported", "fashion/base", "--as-reported")
    assert "--as-reported" in repeat_words(given.to_json())
    assert Settings.from_json(given.to_json()) == given
    earlier = {key: value for key, value in given.to_json().items() if key != "as_reported"}
    assert not Settings.from_json(earlier).as_reported
    assert resolve.reported_split(given) == REPORTED["fashion/base"].split
    assert resolve.reported_split(settings("--reported", "fashion/base")) is None


# --- training


@pytest.mark.parametrize("family", ["ae", "vae", "classifier"])
def test_networks_are_trained_without_validation_images_as_with_them(family):
    config = {**CONFIGS[family], **TRAINING}
    images, labels = split()

    def trained(val):
        trainer = Trainer(config, {"train": (images, labels), "val": val}, num_classes=4, epochs=1, seed=0)
        return trainer.epoch()

    none, some = trained((images[:0], labels[:0])), trained((images, labels))
    assert not [name for name in none if name.startswith("val_") and name != "val_seconds"]
    assert {name: value for name, value in none.items() if name.startswith("train_") and "second" not in name} == {
        name: value for name, value in some.items() if name.startswith("train_") and "second" not in name
    }


def test_replicates_are_trained_together_without_validation_images():
    images, labels = split()
    data = {"train": (images, labels), "val": (images[:0], labels[:0])}
    config = {**CONFIGS["ae"], **TRAINING, "dropout": 0.0}
    trainers = [Trainer(config, data, num_classes=4, epochs=1, seed=seed) for seed in (0, 1)]
    for metrics in FusedTrainer(trainers).epoch():
        assert "train_mse" in metrics
        assert "val_mse" not in metrics


# --- nothing is chosen

SPACE = search_spaces.get("fashion_ae")
CONTEXT = Context(SPACE.image_shape, 10)
KEYS = ("fashion/base", "fashion/p0.1", "fashion/p0.1_n256", "fashion/sgd")


@pytest.fixture
def state():
    """Two seeds of each configuration, the later ones the better ones on test images."""
    state = StudyState()
    state.apply(StudyStarted({}, time=0.0))
    for number, (seed, key) in enumerate((seed, key) for seed in (1, 2) for key in KEYS):
        name = key.replace("/", "_")
        about = {"kind": "confirm", "config": REPORTED[key].config, "seed": seed, "budget": 1, "params": 100}
        about |= {"key": key, "confirm_of": name, "role": "report"}
        state.apply(RunStarted(id=f"{name}-s{seed}", number=number, **about, time=0.0))
        state.apply(EpochEnded(f"{name}-s{seed}", 1, {"train_mse": 0.1, "seconds": 1.0}, time=0.0))
        final = {"test_mse": 0.9 - 0.1 * number}
        state.apply(RunEnded(f"{name}-s{seed}", "completed", None, final, time=0.0))
    return state


def given(*more):
    return settings("--reported", "fashion/*", "--space", "fashion_ae", "--confirm", "1x2", *more)


def test_every_configuration_is_reported_on_and_no_seed_chooses():
    state = StudyState()
    chosen = confirmation.candidates(state, given("--as-reported"), SPACE, CONTEXT)
    assert [one.key for one in chosen] == list(KEYS)
    assert confirmation.choosing(state, given("--as-reported"), chosen) == []
    planned = confirmation.reporting(state, given("--as-reported"), chosen, chosen[:1])
    assert [one.job.id for one in planned] == [f"{key.replace('/', '_')}-s{seed}" for seed in (1, 2) for key in KEYS]
    assert {(one.role, one.job.test) for one in planned} == {("report", True)}
    assert confirmation.runs_at_most(given("--as-reported"), SPACE, CONTEXT) == (0, 8)
    assert len(confirmation.choosing(state, given(), chosen)) == 8  # on validation images, elsewhere


def test_the_first_configuration_and_its_first_seed_stand_for_the_study_whatever_the_test_images_say(state, tmp_path):
    chosen = confirmation.candidates(state, given("--as-reported"), SPACE, CONTEXT)
    first, *others = ended = confirmation.confirmed(state, chosen, "val_mse")
    assert [one.key for one in ended] == list(KEYS)
    assert first.model("val_mse").id == "fashion_base-s1"
    assert first.mean("test_mse").mean > max(one.mean("test_mse").mean for one in others)
    baseline = {64: {"n_components": 64, "test_mse": 0.5, "test_mse_clipped": 0.5}}
    summary = summarize(state, given("--as-reported"), SPACE, ended, baseline)
    assert summary["chosen_by"] is None
    assert (summary["best"]["trial_id"], summary["best"]["val"]) == ("fashion_base", {})
    assert (summary["best"]["model"]["seed"], summary["best"]["model"]["val"]) == (1, None)
    said = text(summary | {"wall_s": 1.0}, StudyFolder(tmp_path / "night"), "sqlite:///mlflow.db")
    assert NOTHING_CHOSEN in " ".join(said.split())
    assert "\nfirst " in said
    assert "\nbest " not in said


def test_a_baseline_is_not_chosen_by_test_images_either():
    train, test = split(90), split(60)
    none = (train[0][:0].numpy(), train[1][:0].numpy())
    arrays = [array.numpy() for array in train] + [*none] + [array.numpy() for array in test]
    assert len(arrays[2]) == 0
    rows = evaluate_linear_classifier(pca.fit(arrays[0], 8), [2, 8], *arrays)
    assert all("val_accuracy" not in row and "test_accuracy" in row for row in rows)
    by_rank = {row["n_components"]: row for row in rows}
    by_rank[2]["test_accuracy"] = 1.0
    assert compare("classifier", {}, None, by_rank).row["n_components"] == 8


# --- the analysis


def test_figures_and_order_of_a_study_without_validation_images(tmp_path):
    of = {"train_mse": [0.3, 0.2, 0.25], "test_mse": [0.5, 0.6, 0.55]}
    better = {"train_mse": [0.2, 0.1, 0.15], "test_mse": [0.1, 0.2, 0.17]}
    config = {"architecture": "dense", "latent_size": 8}
    confirm = made_up_seeds("fashion_base", of, config=config) + made_up_seeds("fashion_p0.1", better, config=config)
    files = study(tmp_path, [], confirm=confirm)
    assert confirmed_order(files) == ["fashion_base", "fashion_p0.1"]
    assert "fashion_p0.1 is better" in FIGURES["confirmation"].compute(files).verdict
    for name in ("confirmation", "learning_curves", "rate_distortion"):
        figure = FIGURES[name]
        data = figure.compute(files)
        assert data is not None, name
        assert "validation" not in data.caption, name
        figure.plot(data).canvas.draw()


def test_the_reports_own_images_speak_before_more_of_them_and_what_they_lack_is_looked_for_elsewhere(tmp_path):
    usual = runs("fashion/base", train_mse=[0.02, 0.021], val_mse=[0.03, 0.031], test_mse=[0.04, 0.041])
    write_study(tmp_path, "usual", usual, space="fashion_ae")
    alike = runs("fashion/base", train_mse=[0.01, 0.011], test_mse=[0.05, 0.051])
    folder = write_study(
        tmp_path, "alike", alike, space="fashion_ae", data={"sizes": {"train": 60_000, "val": 0, "test": 10_000}}
    )
    evidence = read_evidence(tmp_path)

    def source(metric, minus=None):
        other = Measured("fashion/base", minus) if minus else None
        return find(Measured("fashion/base", metric, minus=other), evidence).source

    assert folder.name == "alike"
    assert source("test_mse") == source("train_mse") == "alike"
    assert source("val_mse") == "usual"
    assert source("val_mse", minus="train_mse") == "usual"  # both of one study, never a part of each


def test_a_claim_about_the_usual_split_is_not_read_off_a_study_as_reported(tmp_path):
    sizes = {"train": 50_000, "val": 0, "test": 10_000}
    write_study(tmp_path, "alike", runs("cifar_ae/1+1", test_mse=[0.1]), data={"sizes": sizes}, as_reported=True)
    assert find(Measured("data/cifar", "train_images"), read_evidence(tmp_path)).sample is None


# --- the whole path


@pytest.mark.slow
@pytest.mark.realdata
def test_a_study_as_reported_runs_and_says_that_nothing_was_chosen(tmp_path, real_data_dir):
    argv = ["--epochs", "5", "--train-size", "100", "--confirm", "1x2", "--data-dir", str(real_data_dir)]
    done = run(tmp_path, "--reported", "fashion/p0*", "--as-reported", "--name", "night", *argv)
    assert done.returncode == 0, done.stdout + done.stderr
    assert NOTHING_CHOSEN in done.stdout
    summary = summary_of(tmp_path)
    assert (summary["chosen_by"], summary["best"]["trial_id"]) == (None, "fashion_p0.1")
    rows = table(tmp_path / "results/night/confirm.csv")
    assert [row["role"] for row in rows] == ["report"] * 4
    assert not [name for name in rows[0] if name.startswith("val_") and name != "val_seconds"]
    files = read_study("night", tmp_path / "results")
    assert files.about["settings"]["as_reported"] is True
    assert files.about["data"]["sizes"] == {"train": 100, "val": 0, "test": 10_000}
    with np.load(tmp_path / "results/night/samples/progress.npz") as progress:
        assert progress["epochs"].tolist() == [5]
        assert progress["images"].shape == (1, *progress["originals"].shape)
    assert (tmp_path / "results/night/samples/progress.png").is_file()
    assert report.main(["night", "--no-mlflow", "--storage", str(tmp_path / "results")]) == 0
    page = (tmp_path / "results/night/report/index.html").read_text()
    assert NOTHING_CHOSEN.capitalize() in page
    assert "First configuration" in page
    assert "Best config" not in page
    assert "Training images, and what the network made of them" in page
