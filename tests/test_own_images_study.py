"""A whole study of own images: 12 bits in 16, five channels; its folder is moved, and it goes on."""

import json
import re
import shlex
import shutil
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import recorded_studies
from study_processes import run, state_of, summary_of, table

from study import predict, repeat
from study.driver import beginning, inputs, launch
from study.record.errors import UsageError
from study.record.events import Published
from study.record.folder import StudyFolder
from study.settings import command_line, resolve

SMALL = ["--space", "digits_ae", "--name", "night", "--epochs", "1", "--confirm", "1x1", "--value-range", "0,4095"]


def make(folder):
    """Write arrays of 12 bits whose five channels are of one rank each, in two classes."""
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        for number in range(30):
            image = 1500 + 1000 * (name == "b") + 500 * rng.normal(size=(1, 1, 5)) + rng.normal(0, 50, (9, 9, 5))
            np.save(folder / name / f"{number}.npy", image.clip(0, 4095).astype(np.uint16))


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """A finished study of the folder `images`, of which nothing but its record is there."""
    make(tmp_path / "images")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlflow.db").touch()  # a tracker that is gone is a reason to go on
    settings = resolve.settings_of(command_line.parse([*SMALL, "--data", "images"]).given)
    about = beginning.about(settings, inputs.load(settings), None)
    path = recorded_studies.write_study(tmp_path / "results", "night", [], summary={"best": None}, **about)
    folder = StudyFolder(path)
    recorded_studies.record(folder, Published())
    return folder


def resume(folder, *words):
    """Resume a study in this process, as far as the beginning of its session."""
    given = command_line.parse(["--resume", folder.name, *words]).given
    return launch.resume(folder.name, folder.path.parent, lambda recorded: resolve.resumed_settings(given, recorded))


def test_a_finished_study_takes_no_other_images(finished, tmp_path):
    make(tmp_path / "other")
    (tmp_path / "other/a/0.npy").unlink()
    with pytest.raises(UsageError, match="--resume night: the data have changed, digest "):
        resume(finished, "--data", str(tmp_path / "other"))


@pytest.mark.parametrize("option", ["data", "data-dir", "cache-dir"])
def test_a_finished_study_writes_down_where_its_images_lie_now(option, finished, tmp_path, monkeypatch):
    place = tmp_path / "moved here"
    place.mkdir()
    if option == "data":
        (tmp_path / "images").rename(place)
    begun = []
    monkeypatch.setattr(inputs, "joined", lambda *about: nullcontext(SimpleNamespace(gpu_json=None)))
    monkeypatch.setattr(launch, "_run", lambda setup, first: begun.append(first) or 0)
    assert resume(finished, f"--{option}", str(place)) == 0
    assert [first.moved for first in begun] == [{option.replace("-", "_"): str(place)}]


@pytest.mark.slow
def test_a_study_of_deep_images_goes_on_where_they_were_moved_to(tmp_path, monkeypatch, capsys):
    make(tmp_path / "images")
    (tmp_path / "images" / "a" / "notes.txt").write_text("x")
    done = run(tmp_path, *SMALL, "--trials", "1", "--data", "images")
    assert done.returncode == 0, done.stderr
    assert "Files left out: 1 of no format that is read here." in done.stderr
    about = json.loads((tmp_path / "results/night/study.json").read_text())["data"]
    assert (about["pixels"], about["value_range"], about["image_shape"]) == ("uint16", [0, 4095], [5, 9, 9])
    assert about["twins"]["identical"] == {"train/val": 0, "train/test": 0, "val/test": 0}
    # Both errors are of values in [0, 1]: those of 12 bits would be near 0 on the scale of 16.
    pca = {int(row["n_components"]): float(row["test_mse"]) for row in table(tmp_path / "results/night/baseline.csv")}
    noise = (50 / 4095) ** 2
    assert pca[8] == pytest.approx(noise, rel=0.3)
    assert summary_of(tmp_path)["best"]["test"]["mean"] > noise / 2
    monkeypatch.chdir(tmp_path)
    assert predict.main(["--model", "results/night/best", "images/a/0.npy"]) == 0
    error = float(re.search(r"MSE ([\d.]+)", capsys.readouterr().out)[1])
    assert noise / 3 < error < 1
    alone = shutil.copytree(tmp_path / "results/night/best", tmp_path / "given away")  # all that somebody else needs
    assert predict.main(["--model", str(alone), "images/a/0.npy"]) == 0
    assert float(re.search(r"MSE ([\d.]+)", capsys.readouterr().out)[1]) == error
    (tmp_path / "images").rename(tmp_path / "moved here")
    refused = run(tmp_path, "--resume", "night", "--trials", "2")
    assert refused.returncode == 2
    assert "if the images lie elsewhere now: " in refused.stderr
    words = shlex.split(refused.stderr.split("elsewhere now: ")[1])
    assert words[-4:] == ["--resume", "night", "--data", "NEW"]
    done = run(tmp_path, "--resume", "night", "--trials", "2", "--data", "moved here")
    assert done.returncode == 0, done.stderr
    assert len(state_of(tmp_path).trials) == 2
    assert '"event": "tracking"' not in (tmp_path / "results/night/journal.jsonl").read_text()
    assert state_of(tmp_path).settings["data"] == str(tmp_path / "moved here")
    assert "is finished" in run(tmp_path, "--resume", "night").stdout
    (tmp_path / "moved here").rename(tmp_path / "and here")
    assert run(tmp_path, "--resume", "night", "--data", "and here").returncode == 0
    assert repeat.main(["night", "t0000"]) == 0
