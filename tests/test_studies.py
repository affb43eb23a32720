"""Python beside the command: `study.run`, `study.load` and what a `Study` gives."""

import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from recorded_studies import made_up_seeds, made_up_trial, write_study

import models
import search_spaces
import study
from study import studies
from study.driver import child
from study.record.errors import StudyError, UsageError

SPACE = search_spaces.get("digits_ae")
CONFIG = dict(SPACE.default)
EPOCHS = [{"val_mse": 0.05, "train_loss": 0.06}, {"val_mse": 0.03, "train_loss": 0.04}]


@pytest.fixture
def finished(tmp_path):
    """A folder with the finished study `night`."""
    runs = [
        made_up_trial(0, config=CONFIG, epochs=EPOCHS, key="default"),
        made_up_trial(1, config={**CONFIG, "latent_size": 4}, epochs=EPOCHS),
        *made_up_seeds("t0000", {"val_mse": [0.03, 0.04], "test_mse": [0.03, 0.05]}, config=CONFIG),
    ]
    interval = {"mean": 0.04, "ci95": [0.02, 0.06], "n": 2}
    val = {"val_mse": {"mean": 0.035, "ci95": None, "n": 2}}
    summary = {
        "space": "digits_ae",
        "name": "night",
        "metric": "val_mse",
        "mode": "min",
        "trials": {"completed": 2, "stopped": 0, "failed": 0},
        "epochs_run": 4,
        "confirmed": [{"id": "t0000", "key": "default", "params": 1000, "val": val, "test": {"test_mse": interval}}],
        "best": {"trial_id": "t0000", "config": CONFIG, "params": 1000, "val": val, "test": interval, "model": None},
        "baseline": None,
        "ratio_to_pca": None,
        "ratio_note": "none",
        "verdict": None,
        "nats": None,
        "gain": None,
        "default": None,
        "refused": 0,
        "wall_s": 3.0,
    }
    data = {"name": "digits", "digest": "d", "image_shape": [1, 8, 8], "class_names": list("01"), "sizes": {"train": 9}}
    settings = {"name": "night", "train_size": None, "epochs": 2}
    write_study(tmp_path / "results", "night", runs, summary=summary, data=data, settings=settings)
    network = models.build(CONFIG, SPACE.image_shape, 10)
    models.save(network, CONFIG, SPACE.image_shape, 10, tmp_path / "results" / "night" / "best")
    return tmp_path


def test_a_study_is_loaded_by_name_or_folder_with_its_tables(finished, monkeypatch):
    monkeypatch.chdir(finished)
    for night in (study.load("night"), study.load(finished / "results" / "night"), study.load("results/night")):
        assert (night.name, night.state) == ("night", "finished")
        assert list(night.trials["trial_id"]) == ["t0000", "t0001"]
        assert len(night.history) == 4
        assert list(night.confirmed["test_mse"]) == [0.03, 0.05]
        assert night.baseline.empty
        assert repr(night) == f"Study({str(night.folder)!r}, finished, trials=2)"
    with pytest.raises(UsageError, match="there is no study 'day'"):
        study.load("day")


def test_the_best_config_has_scores_with_intervals_and_a_network(finished):
    night = study.load(finished / "results" / "night")
    assert night.best.config == CONFIG
    assert night.best.scores.loc["test_mse"].tolist() == [0.04, 0.02, 0.06, 2]
    assert night.best.scores.loc["val_mse", "mean"] == 0.035
    assert isinstance(night.model(), models.Network)


def test_a_study_that_is_not_finished_has_no_best_config(tmp_path):
    runs = [made_up_trial(0, config=CONFIG, epochs=EPOCHS)]
    write_study(tmp_path, "night", runs, data={"name": "digits", "class_names": []})
    night = study.load("night", storage=tmp_path)
    assert (night.best, night.state) == (None, "interrupted")
    with pytest.raises(UsageError, match="holds no network"):
        night.model()
    assert "interrupted before its end" in night._repr_html_()


def test_figures_report_and_first_screen_are_those_of_the_report(finished):
    night = study.load(finished / "results" / "night")
    assert isinstance(night.figure("learning_curves"), Figure)
    with pytest.raises(UsageError, match=r"figure 'learning_curve' is not known \(did you mean learning_curves\?\)"):
        night.figure("learning_curve")
    with pytest.raises(UsageError, match="has nothing to show in the figure 'nats'"):
        night.figure("nats")
    page = night.report()
    assert page == night.folder / "report" / "index.html"
    assert "Study night" in page.read_text()
    shown = night._repr_html_()
    assert "digits_ae, 2 trials" in shown
    assert "<script" not in shown


def test_options_are_keywords(finished, monkeypatch, capsys):
    monkeypatch.chdir(finished)
    asked = []

    def played(verb, words, say):
        asked.append((verb, words))
        say("one line")
        return 0

    monkeypatch.setattr(studies, "run_to_end", played)
    done = study.run(
        space="digits_ae", trials=8, time_budget="2h", confirm="2x2", smoke=True, compile=False, fuse="off",
        objective=("val_mse", "params"), name="night", max_params=None,
    )  # fmt: skip
    words = "--space digits_ae --trials 8 --time-budget 2h --confirm 2x2 --smoke --no-compile --fuse off"
    words += " --objective val_mse,params --name night"
    assert asked == [("run", words.split())]
    assert done.name == "night"
    assert capsys.readouterr().out == "one line\n"
    assert study.run(resume="night", trials=9, quiet=True).name == "night"
    assert asked[1][1] == ["--resume", "night", "--trials", "9"]
    assert capsys.readouterr().out == ""
    with pytest.raises(UsageError, match="setting 'trails' is not known"):
        study.run(space="digits_ae", trails=8)
    with pytest.raises(UsageError, match="--trials '0' is not allowed"):
        study.run(space="digits_ae", trials=0)


@pytest.mark.parametrize(("status", "error"), [(2, UsageError), (1, StudyError), (130, KeyboardInterrupt)])
def test_a_study_that_ends_otherwise_raises_its_reason(status, error, monkeypatch):
    def played(verb, words, say):
        say("study: the reason")
        say("another line")
        return status

    monkeypatch.setattr(studies, "run_to_end", played)
    with pytest.raises(error, match="the reason"):
        study.run(space="digits_ae", quiet=True)


def test_what_a_child_says_comes_line_by_line():
    said = []
    assert child.run_to_end("run", ["--space", "nothing"], say=said.append) == 2
    assert said[0].startswith("study: --space 'nothing' is not known")


def test_the_package_imports_nothing_before_it_is_asked_for():
    script = "import sys, study; print(sorted(n for n in ('torch', 'pandas', 'ray', 'analysis') if n in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
