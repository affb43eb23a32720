import shutil

import mlflow
import pandas as pd
import pytest
from PIL import Image

import search_spaces
from analysis import report
from analysis.mlflow_files import read_study_from_mlflow
from analysis.page import pictures
from analysis.study_files import NoStudyError, read_study
from study.record import files, metrics, tables
from study.record.events import EVENTS, Finished
from study.record.folder import StudyFolder, place_of
from study.record.journal import Journal, Recorder
from study.record.state import StudyState
from study.settings import command_line, resolve
from study.tracking.implementations import build_tracker
from study.tracking.tracker import Ending

STUDIES = ("search", "pretrained")
ENVIRONMENT = {"git_commit": "f" * 40, "cpu": "A CPU", "cpus": 2, "gpus": [], "versions": {}}


def events_of(name, settings, space):
    """Return what happens in a study: a completed and a failed trial, two seeds of the first one."""
    data = {"name": "digits", "digest": "abc", "sizes": {"train": 9, "val": 3, "test": 3}, "image_shape": [1, 8, 8]}
    about = {
        "settings": settings,
        "objective": {"metric": space.metric, "mode": metrics.mode(space.metric)},
        "data": data,
    }
    yield "study", about | {"encoder": None, "environment": ENVIRONMENT}
    run = {"budget": 2, "params": 77, "pretrain_budget": 2 if name == "pretrained" else 0}
    trials = [("t0000", "default", "completed", None), ("t0001", None, "failed", "it broke")]
    runs = [(id_, {"kind": "trial", "key": key, "confirm_of": None}, status, why) for id_, key, status, why in trials]
    confirm = {"kind": "confirm", "key": "default", "confirm_of": "t0000"}
    runs += [(f"t0000-s{number}", confirm, "completed", None) for number in (1, 2)]
    for number, (id_, kind, status, reason) in enumerate(runs):
        yield "run", {"id": id_, "number": number, "seed": 5 + number, "config": space.default, **kind, **run}
        if status == "failed":
            yield "end", {"id": id_, "status": status, "reason": reason, "final": {}}
            continue
        epochs = [{"seconds": 0.1 + number, "train_mse": 1 / 3, space.metric: 0.1 / epoch} for epoch in (3, 7)]
        if name == "pretrained":
            yield "pretrained", {"id": id_, "epochs": epochs}
        for epoch, measured in enumerate(epochs, start=1):
            yield "epoch", {"id": id_, "epoch": epoch, "metrics": measured}
        final = {"test_mse": 0.01 * number, "train_eval_mse": 0.02} if kind["confirm_of"] else {}
        yield "end", {"id": id_, "status": status, "reason": reason, "final": final}
    yield "baseline", {"rows": [{"n_components": 4, "train_mse": 0.3, "val_mse": 0.4, "test_mse": 0.5}]}


def tracked_study(storage, uri, name, space):
    """Leave a study's files and its MLflow runs, through the study's own recorder and tracker, without training."""
    path = storage / name
    path.mkdir(parents=True)
    folder = StudyFolder(path)
    options = ["--space", space, "--name", name, "--storage", str(storage), "--tracking-uri", uri]
    settings = resolve.settings_of(command_line.parse(options).given)
    recorder = Recorder(Journal(folder.journal), StudyState())
    tracker = build_tracker(uri, recorder.record, storage)
    tracker.started([])
    recorder.listen(tracker.event)
    for event, fields in events_of(name, settings.written(), search_spaces.get(space)):
        place = {"place": place_of(folder)} if event == "study" else {}  # begun here, so that its URI is one's own
        recorder.record(EVENTS[event](**fields, **place))
    nothing = {"best": None, "baseline": None, "ratio_to_pca": None, "verdict": None, "confirmed": []}
    recorder.record(Finished(nothing | {"metric": "val_mse", "mode": "min", "wall_s": 3.0}))
    tables.write(folder, recorder.state)
    files.write_json(path / tables.SUMMARY, recorder.state.summary)
    (path / "samples").mkdir()
    Image.new("RGB", (8, 8)).save(path / "samples" / "prior.png")
    (path / "samples" / "codes.npz").write_bytes(b"arrays")
    for file in path.iterdir():
        if file.suffix in (".csv", ".json"):
            tracker.artifact(file)
    tracker.artifact(path / "samples" / "prior.png", "pictures")
    tracker.artifact(path / "samples" / "codes.npz", "samples")
    assert tracker.close(Ending("finished"), 60)


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """The storage folder and the tracking URI of `STUDIES`."""
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    for name, space in zip(STUDIES, ("digits_ae", "digits_vae"), strict=True):
        tracked_study(folder / "results", uri, name, space)
    return folder / "results", uri


@pytest.fixture
def without_artifacts(monkeypatch):
    """An artifact store that is empty, as it is while a study runs and when its driver was killed."""
    monkeypatch.setattr(mlflow.MlflowClient, "list_artifacts", lambda *_: [])


def same(left, right):
    """Compare two tables, whatever the order of their rows and columns."""
    keys = [name for name in ("trial_id", "confirm_id", "run_id", "epoch") if name in right]
    left, right = (table.sort_values(keys, ignore_index=True) if len(table) else table for table in (left, right))
    pd.testing.assert_frame_equal(left, right, check_dtype=False, check_like=True, check_exact=True)


@pytest.mark.parametrize("name", STUDIES)
def test_finished_study_is_the_same_from_mlflow_as_from_its_files(studies, name):
    storage, uri = studies
    local, remote = read_study(name, storage), read_study_from_mlflow(name, uri)
    assert remote.state == "finished"
    assert remote.summary == local.summary
    assert remote.about == local.about
    for table in tables.TABLES:
        pd.testing.assert_frame_equal(getattr(remote, table.name), getattr(local, table.name))
    assert {path.name: path.read_bytes() for path in remote.paths.samples.iterdir()} == {
        path.name: path.read_bytes() for path in local.paths.samples.iterdir()
    }


@pytest.mark.parametrize("name", STUDIES)
def test_study_without_artifacts_is_rebuilt_from_its_runs_with_the_same_numbers(studies, name, without_artifacts):
    storage, uri = studies
    local, remote = read_study(name, storage), read_study_from_mlflow(name, uri)
    assert remote.state == "incomplete"
    assert "out of reach" in remote.partial
    assert remote.about["objective"] == local.about["objective"]
    assert remote.about["started"] == pytest.approx(local.about["started"], abs=0.01)
    assert remote.trials["ended_s"].between(0, local.trials["ended_s"].max() + 0.01).all()  # from the first event
    for table in ("trials", "history", "confirm", "confirm_history", "pretraining"):
        there, here = (getattr(studied, table).drop(columns="ended_s", errors="ignore") for studied in (remote, local))
        same(there, here)


def test_killed_and_running_studies_say_which_they_are(studies, without_artifacts):
    _, uri = studies
    client = mlflow.MlflowClient(uri)
    (parent,) = client.search_runs(["1"], "tags.run = 'study'")
    name = parent.data.tags["study"]
    for status, state in (("KILLED", "interrupted"), ("RUNNING", "running"), ("FINISHED", "incomplete")):
        client.update_run(parent.info.run_id, status=status)
        assert read_study_from_mlflow(name, uri).state == state


def test_report_from_mlflow_alone_has_the_numbers_of_the_one_from_files(studies, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(pictures, "MODULES", ())
    storage, uri = studies
    assert report.main(["search", "--storage", str(storage)]) == 0
    assert report.main(["search", "--storage", str(tmp_path), "--tracking-uri", uri]) == 0
    here, there = (folder / "search" / "report" for folder in (storage, tmp_path))
    assert {path.name for path in here.iterdir()} == {path.name for path in there.iterdir()}
    for path in here.glob("*.csv"):
        assert path.read_bytes() == (there / path.name).read_bytes()
    assert capsys.readouterr().err == ""


def test_report_is_an_artifact_of_the_studys_own_run(studies, monkeypatch, capsys):
    monkeypatch.setattr(pictures, "MODULES", ())
    storage, uri = studies
    assert report.main(["pretrained", "--storage", str(storage), "--no-mlflow"]) == 0
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name("digits_vae").experiment_id
    (parent,) = client.search_runs([experiment], "tags.run = 'study'")
    assert client.list_artifacts(parent.info.run_id, "report") == []
    assert report.main(["pretrained", "--storage", str(storage)]) == 0
    assert "in MLflow" in capsys.readouterr().out
    stored = {artifact.path for artifact in client.list_artifacts(parent.info.run_id, "report")}
    assert stored == {f"report/{path.name}" for path in (storage / "pretrained" / "report").iterdir()}


def test_report_that_mlflow_does_not_take_is_written_all_the_same(studies, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(pictures, "MODULES", ())
    storage = tmp_path / "results"
    shutil.copytree(studies[0] / "search", storage / "search")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'gone.db'}")  # a copied folder's is not gone to
    assert report.main(["search", "--storage", str(storage)]) == 0
    assert (storage / "search" / "report" / "index.html").is_file()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("study: the report is not in MLflow: there is no MLflow database")


def test_unknown_study_and_absent_server_are_one_line_and_exit_2(studies, tmp_path, capsys):
    _, uri = studies
    absent = f"sqlite:///{tmp_path / 'none.db'}"
    for name, where, words in (("day", uri, "pretrained, search"), ("night", absent, "no MLflow database")):
        assert report.main([name, "--storage", str(tmp_path), "--tracking-uri", where]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert words in lines[0]
    assert list(tmp_path.iterdir()) == []
    for where in ("http://127.0.0.1:9", "ftp://host", "a folder"):
        with pytest.raises(NoStudyError):
            read_study_from_mlflow("night", where)
