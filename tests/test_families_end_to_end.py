"""Studies of every family, run as a user runs them; on the digits by default, on all fifteen spaces with -m slow."""

import json
from collections import Counter

import numpy as np
import pytest
import torch
from study_processes import run, summary_of, table

import models
import search_spaces
from study.record.journal import read_state


def succeeded(folder, *argv, bare=False):
    done = run(folder, *argv, bare=bare)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


SAMPLES = {
    "ae": {"reconstructions.npz", "codes.npz", "per_class.npz", "over_images.npz"},
    "vae": {
        "reconstructions.npz",
        "codes.npz",
        "prior.npz",
        "interpolations.npz",
        "traversal.npz",
        "kl.npz",
        "per_class.npz",
        "over_images.npz",
    },
    "classifier": {"predictions.npz", "examples.npz", "per_class.npz", "over_images.npz"},
}
PICTURES = {
    "ae": {"reconstructions.png", "untrained.png"},
    "vae": {"reconstructions.png", "prior.png", "interpolations.png", "traversal.png"},
    "classifier": {"confusion.png", "examples.png"},
}
IN_THE_DEFAULT_SUITE = "digits_classifier"  # tests/test_study.py has a study of autoencoders
SPACES = [
    pytest.param(
        name,
        marks=[
            *([] if name == IN_THE_DEFAULT_SUITE else [pytest.mark.slow]),
            *([] if name.startswith("digits_") else [pytest.mark.realdata]),
        ],
    )
    for name in search_spaces.names()
]


@pytest.mark.parametrize("name", SPACES)
def test_the_whole_path_runs_in_a_smoke_study(name, tmp_path, request):
    space = search_spaces.get(name)
    data = [] if space.dataset == "digits" else ["--data-dir", str(request.getfixturevalue("real_data_dir"))]
    done = succeeded(tmp_path, "--space", name, "--smoke", "--name", "smoke", *data, bare=True)
    summary = summary_of(tmp_path, "smoke")
    assert summary["metric"] == space.metric
    assert summary["best"]["test"]["n"] == 2
    assert summary["ratio_to_pca"] is None or summary["ratio_to_pca"] > 0
    study = tmp_path / "results" / "smoke"
    assert {path.name for path in (study / "samples").iterdir()} >= SAMPLES[space.family]
    assert {path.name for path in (study / "samples").glob("*.png")} >= PICTURES[space.family]
    model = models.load(study / "best")
    with torch.no_grad():
        output = model(torch.rand(1, *space.image_shape))
    assert len(output) == 1
    assert torch.isfinite(output).all()
    assert "MLflow does not have all" not in done.stdout


@pytest.fixture(scope="module")
def autoencoders(tmp_path_factory):
    """A folder with a finished study of autoencoders on the digits, named `night`."""
    folder = tmp_path_factory.mktemp("autoencoders")
    argv = ["--trials", "2", "--epochs", "2", "--train-size", "300", "--confirm", "1x1"]
    succeeded(folder, "--space", "digits_ae", "--name", "night", *argv)
    return folder


@pytest.mark.slow
def test_a_classifier_is_built_on_the_encoder_of_an_earlier_study(autoencoders):
    argv = ["--trials", "3", "--epochs", "2", "--train-size", "300", "--confirm", "1x2"]
    succeeded(autoencoders, "--space", "digits_classifier", "--encoder-from", "night", "--name", "day", *argv)
    earlier = json.loads((autoencoders / "results/night/best/config.json").read_text())["config"]
    trials = read_state(autoencoders / "results/day/journal.jsonl").trials
    assert len(trials) == 3
    for trial in trials:
        assert trial.config["encoder"] == "given"
        assert trial.config["latent_size"] == earlier["latent_size"]
    assert {trial.status for trial in trials} <= {"completed", "stopped"}
    about = json.loads((autoencoders / "results/day/study.json").read_text())
    assert about["encoder"]["study"] == "night"


@pytest.mark.slow
def test_a_frozen_given_encoder_is_the_one_of_the_earlier_study(autoencoders):
    state = read_state(autoencoders / "results/day/journal.jsonl")
    frozen = [run for run in state.confirmations if run.config["encoder_training"] == "frozen"]
    if not frozen:
        pytest.skip("the best one was fine-tuned; tests/test_classifiers.py has the frozen one")
    best = models.load(autoencoders / "results/day/best")
    source = models.load(autoencoders / "results/night/best").encoder_state()
    assert all(torch.equal(best.encoder.state_dict()[name], value) for name, value in source.items())


@pytest.mark.slow
def test_an_encoder_of_other_images_is_refused_in_one_line(autoencoders, tmp_path):
    rng = np.random.default_rng(0)
    from PIL import Image

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(8):
            Image.fromarray(rng.integers(0, 255, (12, 12), dtype=np.uint8)).save(tmp_path / name / f"{number}.png")
    done = run(
        autoencoders, "--space", "digits_classifier", "--encoder-from", "night", "--name", "x", "--data", str(tmp_path)
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == "study: --encoder-from 'night' is for images of 1×8×8, not 1×12×12"
    assert not (autoencoders / "results/x").exists()


@pytest.mark.slow
def test_two_stages_of_a_classifier_are_in_the_tables(tmp_path):
    """Random search, so that pretrained encoders are among the trials whatever the sampler learns."""
    argv = ["--sampler", "random", "--trials", "8", "--epochs", "2", "--train-size", "200", "--confirm", "0"]
    succeeded(tmp_path, "--space", "digits_classifier", "--name", "night", *argv)
    study = tmp_path / "results/night"
    trials = table(study / "trials.csv")
    two_stages = {row["trial_id"] for row in trials if row["config.encoder"] == "pretrained"}
    assert two_stages
    first = table(study / "pretraining.csv")
    assert {row["run_id"] for row in first} == two_stages
    assert {row["trial_id"] for row in trials if int(row["pretrain_epochs"]) > 0} == two_stages
    assert all(float(row["val_mse"]) > 0 for row in first)
    history = table(study / "history.csv")
    assert all(int(row["epoch"]) <= 2 for row in history)


@pytest.mark.realdata
def test_a_reported_network_that_is_too_large_ends_the_study_with_the_reason(tmp_path, real_data_dir):
    argv = ["--max-params", "1000", "--data-dir", str(real_data_dir)]
    done = run(tmp_path, "--reported", "mnist_ae/dense", "--name", "night", *argv)
    assert done.returncode == 1
    expected = "mnist_ae/dense is too large: 644,804 parameters, more than --max-params 1,000"
    assert done.stderr.splitlines()[-1] == f"study: {expected}"


@pytest.mark.slow
@pytest.mark.realdata
def test_reported_configurations_run_on_several_seeds_without_a_search(tmp_path, real_data_dir):
    argv = ["--epochs", "1", "--train-size", "200", "--confirm", "1x2", "--data-dir", str(real_data_dir)]
    done = succeeded(tmp_path, "--reported", "mnist_ae/dense_[bgz]*", "--name", "night", *argv)
    study = tmp_path / "results/night"
    assert table(study / "trials.csv") == []
    rows = table(study / "confirm.csv")
    assert {row["key"] for row in rows} == {f"mnist_ae/dense_{name}" for name in ("bernoulli", "gaussian", "z2")}
    assert Counter(row["role"] for row in rows) == {"choose": 6, "report": 2}
    assert {row["epochs"] for row in rows} == {"1"}
    confirmed = summary_of(tmp_path)["confirmed"]
    assert [entry["test"]["test_mse"]["n"] for entry in confirmed] == [2, 2, 2]
    assert "mnist_ae_dense_gaussian" in done.stdout
    assert "Study night: no search; reported configurations: 3, 2 seeds of each, " in done.stdout
