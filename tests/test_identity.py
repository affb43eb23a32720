"""A study is known by its uuid, not by its name or folder; what is sent to MLflow again is what was sent before."""

import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import FEATURE_DISABLED
from small_networks import network
from study_processes import prepare
from test_tracking import CONFIG, STUDY

import models
from study.evaluation.served import SERVING
from study.record import folder as folders
from study.record import journal
from study.record.events import EpochEnded, RunEnded, RunStarted, SessionStarted, StudyStarted, own
from study.record.folder import StudyFolder
from study.record.journal import Journal, Recorder, read_state
from study.tracking import mlflow_tracker
from study.tracking.mlflow_tracker import MLflowTracker
from study.tracking.tracker import Ending

BEGUN = 1_700_000_000.0


class Driver:
    """A driver's recorder and tracker for the study in `folder`, begun under `uuid` or gone on with."""

    def __init__(self, folder, database, uuid=None):
        prepare(database)
        folder.mkdir(exist_ok=True)
        path = folder / "journal.jsonl"
        self.recorder = Recorder(Journal(path), read_state(path))
        before = journal.read(path)
        first = SessionStarted({}, uuid=uuid) if before else StudyStarted(**STUDY, uuid=uuid, time=BEGUN)
        self.uri = f"sqlite:///{database / 'mlflow.db'}"
        self.tracker = MLflowTracker(self.uri, self.recorder.record, database / "artifacts")
        self.tracker.started(own([*before, first])[:-1])
        self.recorder.listen(self.tracker.event)
        self.recorder.record(first)

    def go_through(self, values):
        """Record what is left of a run that has one epoch of each value, and a test."""
        known = self.recorder.state.runs
        if "t0000" not in known:
            about = {"kind": "trial", "number": 0, "config": CONFIG, "seed": 5, "budget": len(values), "params": 100}
            self.recorder.record(RunStarted("t0000", key="default", **about, time=BEGUN + 1))
        run = self.recorder.state.runs["t0000"]
        for number in range(len(run.epochs) + 1, len(values) + 1):
            metrics = {"val_mse": values[number - 1], "seconds": 1.0}
            self.recorder.record(EpochEnded("t0000", number, metrics, time=BEGUN + 10 * number))
        if run.status == "running":
            self.recorder.record(RunEnded("t0000", "completed", None, {"test_mse": 0.25}, time=BEGUN + 99))

    def close(self, seconds=30):
        return self.tracker.close(Ending("finished", {"best_val_mse": 0.1}, time=BEGUN + 100), seconds)


def runs_in(uri):
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("digits_ae")
    return client, client.search_runs([experiment.experiment_id])


def points(client, run):
    history = [point for key in run.data.metrics for point in client.get_metric_history(run.info.run_id, key)]
    return Counter((point.key, point.step, point.value, point.timestamp) for point in history)


def test_two_studies_of_one_name_in_one_mlflow_keep_to_themselves(tmp_path, monkeypatch):
    for name in ("alice", "bob"):
        driver = Driver(tmp_path / name, tmp_path, uuid=name)
        driver.tracker._unsure = True  # as after a request without an answer: it looks for runs that it may have made
        driver.go_through([0.5, 0.4] if name == "alice" else [0.7])
        assert driver.close()
    client, runs = runs_in(driver.uri)
    found = Counter((run.data.tags["study_uuid"], run.data.tags["run"], run.data.tags["study"]) for run in runs)
    assert found == Counter((name, run, "night") for name in ("alice", "bob") for run in ("study", "t0000"))
    values = {run.data.tags["study_uuid"]: points(client, run) for run in runs if run.data.tags["run"] == "t0000"}
    assert len(values["alice"]) == 5
    assert len(values["bob"]) == 3


def test_a_copy_that_is_gone_on_with_leaves_the_runs_of_its_original_alone(tmp_path):
    first = Driver(tmp_path / "night", tmp_path, uuid="one")
    first.go_through([0.5])
    assert first.close()
    client, runs = runs_in(first.uri)
    before = {run.info.run_id: (run.info.end_time, points(client, run)) for run in runs}
    shutil.copytree(tmp_path / "night", tmp_path / "copy")
    for uuid in ("two", None):
        copy = Driver(tmp_path / "copy", tmp_path, uuid=uuid)
        assert copy.close()
    client, runs = runs_in(first.uri)
    assert len(runs) == 4
    after = {run.info.run_id: (run.info.end_time, points(client, run)) for run in runs}
    assert before.items() <= after.items()
    copied = [len(found) for run_id, (_, found) in after.items() if run_id not in before]
    assert sorted(copied) == sorted(len(found) for _, found in before.values())
    assert read_state(tmp_path / "copy/journal.jsonl").about.uuid == "two"


def test_a_folder_is_told_apart_from_its_copy(tmp_path):
    here = StudyFolder(tmp_path / "night")
    here.path.mkdir()
    place = folders.place_of(here)
    assert folders.standing(here, place) == "here"
    assert folders.standing(here, None) == "unknown"
    shutil.copytree(here.path, tmp_path / "copy")
    assert folders.standing(StudyFolder(tmp_path / "copy"), place) == "copied"
    assert folders.standing(StudyFolder(tmp_path / "copy"), place | {"machine": "another"}) == "copied"
    assert folders.standing(here, place | {"machine": "another"}) == "here"  # a storage that several mount
    hidden = "/" + 300 * "x"  # such as a folder that is closed to this user: nobody knows what is there
    assert folders.standing(here, place | {"path": hidden}) == "copied"
    mounted = place | {"machine": "another", "path": "/mnt/night"}
    assert folders.standing(here, mounted) == "moved"
    assert folders.standing(here, mounted | {"file_system": place["file_system"] + 1}) == "copied"
    (tmp_path / "link").symlink_to(here.path)
    assert folders.standing(StudyFolder(tmp_path / "link"), place) == "moved"
    here.path.rename(tmp_path / "renamed")
    assert folders.standing(StudyFolder(tmp_path / "renamed"), place) == "moved"
    assert folders.standing(StudyFolder(tmp_path / "copy"), place) == "moved"  # to another disk, and then deleted here
    (tmp_path / "night").mkdir()  # a new study has its old name
    assert folders.standing(StudyFolder(tmp_path / "renamed"), place) == "moved"
    assert folders.standing(StudyFolder(tmp_path / "copy"), place) == "copied"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting file systems needs root")
def test_a_copy_on_another_disk_is_one_also_where_it_has_the_same_inode(tmp_path):
    disks = [tmp_path / name for name in ("one", "two")]
    try:
        for disk in disks:
            disk.mkdir()
            if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=False).returncode:
                pytest.skip("this machine does not let root mount a tmpfs")
            (disk / "night").mkdir()
        first, copy = (StudyFolder(disk / "night") for disk in disks)
        place = folders.place_of(first)
        assert place["inode"] == folders.place_of(copy)["inode"]
        assert (folders.standing(first, place), folders.standing(copy, place)) == ("here", "copied")
        assert folders.standing(copy, place | {"machine": "another"}) == "copied"
        first.path.rmdir()
        assert folders.standing(copy, place) == "moved"
    finally:
        for disk in disks:
            subprocess.run(["umount", str(disk)], check=False, capture_output=True)


@pytest.mark.parametrize("content", ["", "uninitialized\n"])
def test_machines_without_an_id_of_their_own_are_told_by_their_names(content, monkeypatch):
    monkeypatch.setattr("pathlib.Path.read_text", lambda path: content)
    names = set()
    for host in ("one", "two"):
        monkeypatch.setattr("socket.gethostname", lambda host=host: host)
        names.add(folders.place_of(StudyFolder(Path.cwd()))["machine"])
    assert len(names) == 2


class Killed(BaseException):
    """Stands for a kill: nothing of the driver goes on after it."""


CALLS = ("create_experiment", "create_run", "log_batch", "set_terminated", "log_artifact")


def kill_after(monkeypatch, count):
    """Let the driver's `count`th call to MLflow be its last deed; return where they are counted."""
    made = []
    for name in CALLS:
        real = getattr(MlflowClient, name)

        def call(self, *arguments, real=real, name=name, **named):
            answer = real(self, *arguments, **named)
            made.append(name)
            if len(made) == count:
                raise Killed
            return answer

        monkeypatch.setattr(MlflowClient, name, call)
    return made


def test_a_study_killed_after_any_call_to_mlflow_is_there_once(tmp_path, monkeypatch):
    monkeypatch.setattr("threading.excepthook", lambda arguments: None)
    monkeypatch.setattr(mlflow_tracker, "FLUSH_SECONDS", 0.02)
    page = tmp_path / "page.html"
    page.write_text("<p>")
    whole = None
    for count in range(0, 20):
        database = tmp_path / str(count)
        database.mkdir()
        with monkeypatch.context() as killing:
            made = kill_after(killing, count)
            driver = Driver(tmp_path / f"night{count}", database, uuid=f"study {count}")
            driver.go_through([0.5, 0.4])
            driver.tracker.artifact(page, "report")
            try:
                finished = driver.close()
            except Killed:
                finished = False
        if count and finished:
            break  # there are no more calls
        if count:
            driver = Driver(tmp_path / f"night{count}", database)
            driver.go_through([0.5, 0.4])
            driver.tracker.artifact(page, "report")
            assert driver.close(), (count, driver.tracker.error)
        client, runs = runs_in(driver.uri)
        left = {
            run.data.tags["run"]: (run.info.status, run.info.start_time, run.info.end_time, points(client, run))
            for run in runs
        }
        assert len(runs) == 2, count
        whole = whole or left
        assert left == whole, (count, made[-1])
        assert max(left["t0000"][3].values()) == 1
    assert count >= 8
    assert set(made) == set(CALLS)


@pytest.mark.parametrize("died", ["after", "within"])
def test_a_network_is_logged_once_whenever_its_driver_died(died, tmp_path, monkeypatch):
    models.save(network("ae"), network_config(), (1, 8, 8), 4, tmp_path / "best")
    first = Driver(tmp_path / "night", tmp_path, uuid="one")
    first.go_through([0.5])
    first.tracker.model(tmp_path / "best", SERVING)
    if died == "within":
        monkeypatch.setattr(MlflowClient, "finalize_logged_model", lambda *a, **k: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            first.close()
        monkeypatch.undo()
    else:
        assert first.close()
    second = Driver(tmp_path / "night", tmp_path)
    second.tracker.model(tmp_path / "best", SERVING)
    assert second.close(), second.tracker.error
    client, runs = runs_in(second.uri)
    logged = client.search_logged_models([runs[0].info.experiment_id])
    assert [str(model.status) for model in logged] == ["READY"]
    (parent,) = [run for run in runs if run.data.tags["run"] == "study"]
    assert (parent.info.status, parent.info.end_time) == ("FINISHED", int((BEGUN + 100) * 1000))
    assert Path(tmp_path / "artifacts").exists()


def test_a_registered_network_is_one_version_with_the_alias_and_a_refusal_is_said(tmp_path, monkeypatch):
    models.save(network("ae"), network_config(), (1, 8, 8), 4, tmp_path / "best")
    first = Driver(tmp_path / "night", tmp_path, uuid="one")
    first.go_through([0.5])
    first.tracker.model(tmp_path / "best", SERVING, "night")
    refused = MlflowException("no registry here", error_code=FEATURE_DISABLED)
    monkeypatch.setattr(MlflowClient, "create_model_version", lambda *a, **k: (_ for _ in ()).throw(refused))
    assert not first.close()
    assert first.tracker.error == f"--register: {first.uri} does not register the network 'night': no registry here"
    monkeypatch.undo()
    for _ in range(2):  # what is delivered again is registered once
        last = Driver(tmp_path / "night", tmp_path)
        last.tracker.model(tmp_path / "best", SERVING, "night")
        assert last.close(), last.tracker.error
    client, runs = runs_in(last.uri)
    (version,) = client.search_model_versions("name = 'night'")
    (logged,) = client.search_logged_models([runs[0].info.experiment_id])
    assert version.source == logged.model_uri
    assert client.get_model_version_by_alias("night", "best").version == version.version
    assert version.description == client.get_run(version.run_id).data.tags["mlflow.note.content"] != ""


def network_config():
    from small_networks import CONFIGS, TRAINING

    return {**CONFIGS["ae"], **TRAINING}
