import http.server
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from unittest.mock import Mock

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType
from study_processes import prepare, wait_for

from analysis.mlflow_files import _value
from study.evaluation.served import SERVING
from study.record import journal
from study.record.errors import UsageError
from study.record.events import (
    Chooses,
    Delivered,
    EpochEnded,
    Pretrained,
    RunEnded,
    RunStarted,
    SessionStarted,
    StudyStarted,
    TrackingChanged,
)
from study.record.journal import Journal, Recorder, read_state
from study.record.lines import from_json
from study.tracking import implementations, mlflow_client, mlflow_tracker
from study.tracking.mlflow_run import Outbox, Pending, delivered
from study.tracking.mlflow_tracker import MLflowTracker
from study.tracking.tracker import Ending, Points

ROOT = Path(__file__).resolve().parents[1]
STUDY = {
    "settings": {"space": "digits_ae", "name": "night", "trials": 2, "storage": "x", "tracking_uri": "y"},
    "objective": {"metric": "val_mse", "mode": "min"},
    "data": {"name": "digits", "digest": "abc", "sizes": {"train": 3}, "image_shape": [1, 8, 8]},
    "environment": {"git_commit": "0123"},
}
CONFIG = {"family": "ae", "architecture": "dense", "latent_size": 8, "lr": 1e-3, "batch_norm": False}


class Follower:
    """A recorder with a tracker on a sqlite file of its own."""

    def __init__(self, folder, database="mlflow.db"):
        prepare(folder)
        if not (folder / database).exists():
            shutil.copy(folder / "mlflow.db", folder / database)
        self.uri = f"sqlite:///{folder / database}"
        path = folder / "journal.jsonl"
        self.recorder = Recorder(Journal(path), read_state(path))
        new = not self.recorder.state.about
        self.tracker = MLflowTracker(self.uri, self.recorder.record, folder / "artifacts")
        self.tracker.started(journal.read(path))
        self.recorder.listen(self.tracker.event)
        self.recorder.record(StudyStarted(**STUDY)) if new else self.recorder.record(SessionStarted(changed={}))

    def begin(self, run_id="t0000", kind="trial", **more):
        self.recorder.record(
            RunStarted(
                id=run_id, kind=kind, number=0, config=CONFIG, seed=5, budget=3, params=100, key="default", **more
            )
        )

    def epoch(self, number, run_id="t0000", **metrics):
        self.recorder.record(
            EpochEnded(id=run_id, epoch=number, metrics={"val_mse": 1 / number, "seconds": 0.1, **metrics})
        )

    def end(self, run_id="t0000", status="completed", reason=None, final=None):
        self.recorder.record(RunEnded(id=run_id, status=status, reason=reason, final=final or {}))

    def close(self, seconds=30, status="finished", metrics=None, **more):
        return self.tracker.close(Ending(status, metrics or {}, **more), seconds)

    def runs(self):
        client = MlflowClient(self.uri)
        experiment = client.get_experiment_by_name("digits_ae")
        found = client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL)
        return {run.data.tags["run"]: run for run in found}, client, experiment


def test_a_study_is_a_parent_run_and_each_trial_a_child_with_params_metrics_and_tags(tmp_path):
    study = Follower(tmp_path)
    study.begin()
    for number in (1, 2, 3):
        study.epoch(number)
    study.end()
    study.begin("t0000-s1", kind="confirm", confirm_of="t0000")
    study.epoch(1, "t0000-s1")
    study.end("t0000-s1", final={"test_mse": 0.25})
    study.begin("t0001")
    study.end("t0001", status="failed", reason="NonFiniteLossError: val_mse is nan in epoch 1")
    assert study.close(metrics={"best_val_mse": 0.3})
    runs, client, experiment = study.runs()
    assert sorted(runs) == ["study", "t0000", "t0000-s1", "t0001"]
    parent, trial = runs["study"], runs["t0000"]
    assert experiment.artifact_location == (tmp_path / "artifacts" / "digits_ae").as_uri()
    assert (parent.info.run_name, parent.info.status) == ("night", "FINISHED")
    assert parent.data.metrics == {"best_val_mse": 0.3, "best_so_far": 1 / 3}
    so_far = client.get_metric_history(parent.info.run_id, "best_so_far")
    assert [(point.step, point.value) for point in so_far] == [(1, 1 / 3), (2, 1 / 3)]
    (given,) = client.get_run(parent.info.run_id).inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest) == ("digits", "abc")
    assert parent.data.tags["mlflow.note.content"].startswith("A search of digits_ae")
    assert trial.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert (trial.info.run_name, trial.info.status) == ("t0000 dense z8", "FINISHED")
    expected = {"study": "night", "trial_id": "t0000", "status": "completed", "architecture": "dense", "seed": "5"}
    assert expected.items() <= trial.data.tags.items()
    assert trial.data.params["batch_norm"] == "false"
    assert not {"None", "True", "False"} & {*trial.data.params.values(), *parent.data.params.values()}
    assert trial.data.params["latent_size"] == "8"
    history = client.get_metric_history(trial.info.run_id, "val_mse")
    assert [(metric.step, metric.value) for metric in history] == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    confirmation = runs["t0000-s1"]
    assert confirmation.data.tags["confirm_of"] == "t0000"
    assert "trial_id" not in confirmation.data.tags
    assert (trial.data.tags["phase"], confirmation.data.tags["phase"]) == ("search", "confirmation")
    assert confirmation.data.metrics["test_mse"] == 0.25
    assert runs["t0001"].info.status == "FAILED"
    assert "NonFinite" in runs["t0001"].data.tags["reason"]


def test_a_number_that_is_not_finite_is_left_out_wherever_it_comes_from(tmp_path):
    study = Follower(tmp_path)
    study.begin()
    study.recorder.record(Pretrained(id="t0000", epochs=[{"val_mse": float("nan"), "train_loss": 0.5}]))
    study.epoch(1, ssim=float("inf"))
    study.end(final={"test_mse": 0.25, "test_ssim": float("nan")})
    assert study.close(metrics={"best_val_mse": float("nan")})
    runs, _, _ = study.runs()
    assert runs["t0000"].data.metrics.keys() == {"pretrain_train_loss", "val_mse", "seconds", "test_mse"}


def test_a_fault_of_the_thread_is_what_the_study_hears_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda arguments: None)
    monkeypatch.setattr(Outbox, "take", lambda self, event: 1 / 0)
    study = Follower(tmp_path)
    assert not study.close(5)
    assert study.tracker.error == "ZeroDivisionError('division by zero')"


def test_an_interrupted_study_leaves_no_run_running_and_goes_on_with_the_same_runs(tmp_path):
    first = Follower(tmp_path)
    first.begin()
    first.epoch(1)
    assert first.close(status="interrupted")
    before, _, _ = first.runs()
    assert {run.info.status for run in before.values()} == {"KILLED"}
    assert before["t0000"].data.tags["status"] == "interrupted"
    second = Follower(tmp_path)
    wait_for(lambda: second.runs()[0]["t0000"].info.status == "RUNNING")
    assert second.runs()[0]["t0000"].data.tags["status"] == "running"
    second.epoch(2)
    second.end()
    assert second.close()
    after, client, _ = second.runs()
    assert {name: run.info.run_id for name, run in after.items()} == {n: run.info.run_id for n, run in before.items()}
    assert {run.info.status for run in after.values()} == {"FINISHED"}
    history = client.get_metric_history(after["t0000"].info.run_id, "val_mse")
    assert [metric.step for metric in history] == [1, 2]


def test_a_run_whose_id_was_lost_in_a_crash_is_found_and_not_made_again(tmp_path):
    first = Follower(tmp_path)
    first.begin()
    first.epoch(1)
    assert first.close(30)
    path = tmp_path / "journal.jsonl"
    events = [event for event in journal.read(path) if event.name != "tracked"]
    path.unlink()
    written = Journal(path)
    for event in events:  # killed between MLflow's answer and the journal
        written.append(event)
    second = Follower(tmp_path)
    second.end()
    assert second.close(30)
    runs, client, experiment = second.runs()
    assert len(client.search_runs([experiment.experiment_id])) == 2
    assert len(client.get_metric_history(runs["t0000"].info.run_id, "val_mse")) == 1


def test_a_run_that_was_made_and_whose_answer_was_lost_is_not_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(mlflow_tracker, "RETRY_SECONDS", 0.1)
    real, made = MlflowClient.create_run, []

    def answer_lost(*arguments, **named):
        made.append(real(*arguments, **named))
        if len(made) == 2:
            raise ConnectionError("the connection was closed")
        return made[-1]

    monkeypatch.setattr(MlflowClient, "create_run", answer_lost)
    study = Follower(tmp_path)
    study.begin()
    study.epoch(1)
    study.end()
    assert study.close(30)
    runs, client, experiment = study.runs()
    assert sorted(runs) == ["study", "t0000"]
    assert len(client.search_runs([experiment.experiment_id])) == len(made) == 2


def test_a_driver_killed_while_mlflow_makes_its_tables_leaves_no_database_that_cannot_be_opened(tmp_path):
    database = tmp_path / "mlflow.db"
    script = (
        "import os\n"
        "import alembic.operations.base as base\n"
        "steps, whole = [], base.Operations.invoke\n"
        "def invoke(self, step):\n"
        "    steps.append(step)\n"
        "    if len(steps) == 30:\n"
        "        os.kill(os.getpid(), 9)\n"
        "    return whole(self, step)\n"
        "base.Operations.invoke = invoke\n"
        "from study.tracking import mlflow_client\n"
        f"mlflow_client.create_database('sqlite:///{database}')\n"
    )
    killed = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert not database.exists()
    assert list(tmp_path.iterdir()) != []  # it had begun
    mlflow_client.create_database(f"sqlite:///{database}")
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]
    assert len(MlflowClient(f"sqlite:///{database}").search_experiments()) == 1  # MLflow's own default


def test_a_database_that_is_there_is_left_as_it_is(tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"another's")
    mlflow_client.create_database(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert (tmp_path / "mlflow.db").read_bytes() == b"another's"


def test_long_runs_are_sent_in_as_many_batches_as_mlflow_allows(tmp_path):
    study = Follower(tmp_path)
    study.begin()
    for number in range(1, 701):
        study.epoch(number)  # 1,400 values where one batch takes 1,000
    study.end()
    assert study.close(60)
    runs, client, _ = study.runs()
    assert len(client.get_metric_history(runs["t0000"].info.run_id, "val_mse")) == 700


def test_what_a_failing_server_missed_is_sent_when_it_is_back(tmp_path, monkeypatch):
    monkeypatch.setattr(mlflow_tracker, "FLUSH_SECONDS", 0.1)
    monkeypatch.setattr(mlflow_tracker, "RETRY_SECONDS", 0.1)
    study = Follower(tmp_path)
    study.begin()
    study.epoch(1)
    wait_for(lambda: "t0000" in study.recorder.state.tracked)
    real = MlflowClient.log_batch
    monkeypatch.setattr(MlflowClient, "log_batch", lambda *a, **k: (_ for _ in ()).throw(ConnectionError("away")))
    study.epoch(2)
    wait_for(lambda: study.tracker.error)
    assert study.tracker.error == "away"
    study.epoch(3)
    monkeypatch.setattr(MlflowClient, "log_batch", real)
    study.end()
    assert study.close(30)
    assert study.tracker.error is None
    runs, client, _ = study.runs()
    assert [m.step for m in client.get_metric_history(runs["t0000"].info.run_id, "val_mse")] == [1, 2, 3]
    told = [event.problem for event in journal.read(tmp_path / "journal.jsonl") if isinstance(event, TrackingChanged)]
    assert told == ["away", None]  # once each, however often it was tried


def test_of_a_database_that_fails_the_databases_own_words_are_told_and_no_stack_is_shown(tmp_path, monkeypatch, capfd):
    from mlflow.store.tracking.dbmodels.models import SqlMetric
    from sqlalchemy import event
    from sqlalchemy.exc import OperationalError

    monkeypatch.setattr(mlflow_tracker, "FLUSH_SECONDS", 0.1)
    study = Follower(tmp_path)
    study.begin()
    wait_for(lambda: "t0000" in study.recorder.state.tracked)

    def refuse(mapper, connection, target):
        raise OperationalError("INSERT INTO metrics", {}, sqlite3.OperationalError("database or disk is full"))

    event.listen(SqlMetric, "before_insert", refuse)
    try:
        study.epoch(1)
        wait_for(lambda: study.tracker.error)
    finally:
        event.remove(SqlMetric, "before_insert", refuse)
    assert study.tracker.error == "database or disk is full"
    study.end()
    assert study.close(30)
    assert "Traceback" not in capfd.readouterr().err


def test_a_run_that_mlflow_refuses_keeps_no_other_from_being_sent(tmp_path, monkeypatch):
    monkeypatch.setattr(mlflow_tracker, "FLUSH_SECONDS", 0.1)
    monkeypatch.setattr(mlflow_tracker, "RETRY_SECONDS", 0.1)
    study = Follower(tmp_path)
    study.begin()
    wait_for(lambda: "t0000" in study.recorder.state.tracked)
    MlflowClient(study.uri).delete_run(study.recorder.state.tracked["t0000"])  # as a user may in MLflow's pages
    study.end()
    study.begin("t0001")
    study.epoch(1, "t0001")
    study.end("t0001")
    wait_for(lambda: "t0001" in study.recorder.state.delivered)
    assert study.recorder.state.delivered == {"t0001"}
    assert "deleted" in study.tracker.error
    assert not study.close(0.5)


def test_runs_that_have_ended_put_nothing_off(monkeypatch):
    """Runs that go on are sent together with their next epochs, the more seldom the longer they take: see `_follow`."""
    clock = [0.0]
    monkeypatch.setattr(mlflow_tracker.time, "monotonic", lambda: clock[0])
    tracker = MLflowTracker("sqlite://", lambda event: None, Path())
    tracker._client = Mock()
    going, ended = (Pending(0, name, tags={"run": name}) for name in ("going", "ended"))
    ended.ended = ("FINISHED", 0)
    tracker._outbox.pending = {"going": going, "ended": ended}
    seconds = {"going": 3.0, "ended": 50.0}
    monkeypatch.setattr(tracker, "_send", lambda client, run_id, pending: clock.append(clock.pop() + seconds[run_id]))
    assert tracker._flush() == 3.0


def test_nothing_more_is_sent_once_time_is_up(monkeypatch):
    clock, sent, said = [0.0], [], []
    monkeypatch.setattr(mlflow_tracker.time, "monotonic", lambda: clock[0])
    tracker = MLflowTracker("sqlite://", said.append, Path())
    tracker._client, tracker._stop_at = Mock(), 5.0
    tracker.error = "away"
    tracker._outbox.pending = {name: Pending(0, name, tags={"run": name}) for name in "abcdef"}

    def send(client, run_id, pending):
        clock[0] += 2.0
        sent.append(run_id)
        tracker._outbox.pending[run_id] = Pending(0, run_id)

    monkeypatch.setattr(tracker, "_send", send)
    tracker._events.put(None)
    tracker._follow()
    assert sent == ["a", "b", "c"]
    assert not said, "it did not work again"


@pytest.mark.slow
def test_a_server_that_hangs_is_noticed_in_time(tmp_path):
    class Hanging(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            time.sleep(6)

    server = http.server.HTTPServer(("127.0.0.1", 0), Hanging)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    start = time.monotonic()
    try:
        with pytest.raises(UsageError, match="does not answer"):
            implementations.check(f"http://127.0.0.1:{server.server_port}")
        assert time.monotonic() - start < 4
    finally:
        threading.Thread(target=server.shutdown, daemon=True).start()


def test_closing_does_not_wait_for_a_server_that_stays_away(tmp_path, monkeypatch):
    monkeypatch.setattr(MlflowClient, "create_run", lambda *a, **k: (_ for _ in ()).throw(ConnectionError("away")))
    study = Follower(tmp_path)
    study.begin()
    start = time.monotonic()
    assert not study.close(1.0)
    assert time.monotonic() - start < 8  # the schema of a new database included


def test_what_is_sent_again_after_a_kill_has_the_times_of_its_own_events(tmp_path, monkeypatch):
    monkeypatch.setattr(mlflow_tracker, "FLUSH_SECONDS", 0.1)
    monkeypatch.setattr(mlflow_tracker, "RETRY_SECONDS", 0.1)
    real = MlflowClient.set_terminated
    monkeypatch.setattr(MlflowClient, "set_terminated", lambda *a, **k: (_ for _ in ()).throw(ConnectionError("cut")))
    first = Follower(tmp_path)
    first.begin()
    epoch = EpochEnded(id="t0000", epoch=1, metrics={"val_mse": 0.5}, time=1_700_000_010.001)
    # The test images take a while: the end comes 32 s after the last epoch.
    end = RunEnded(id="t0000", status="completed", reason=None, final={"test_mse": 0.25}, time=1_700_000_042.004)
    first.recorder.record(epoch)
    first.recorder.record(end)
    wait_for(lambda: first.tracker.error)
    assert not first.close(0.5)  # the metrics are there, the end is not
    runs, client, _ = first.runs()
    assert len(client.get_metric_history(runs["t0000"].info.run_id, "test_mse")) == 1
    monkeypatch.setattr(MlflowClient, "set_terminated", real)
    second = Follower(tmp_path)
    assert second.close()
    runs, client, _ = second.runs()
    points = {
        key: [(point.timestamp, point.step, point.value) for point in client.get_metric_history(run_id, key)]
        for run_id in [runs["t0000"].info.run_id]
        for key in ("val_mse", "test_mse")
    }
    ended = int(end.time * 1000)
    assert points == {"val_mse": [(int(epoch.time * 1000), 1, 0.5)], "test_mse": [(ended, 1, 0.25)]}
    assert (runs["t0000"].info.status, runs["t0000"].info.end_time) == ("FINISHED", ended)


def test_events_that_are_read_back_give_the_points_that_they_gave_live():
    events = [
        Pretrained(id="a", epochs=[{"val_mse": 0.9}, {"val_mse": None}], time=1.0),
        EpochEnded(id="a", epoch=1, metrics={"val_mse": 0.5}, time=2.0),
        EpochEnded(id="b", epoch=1, metrics={"val_mse": 0.4}, time=3.0),
        EpochEnded(id="a", epoch=2, metrics={"val_mse": 0.3}, time=4.0),
        EpochEnded(id="a", epoch=2, metrics={"val_mse": 0.3}, time=5.0),  # repeated: the state leaves it out, too
        RunEnded(id="b", status="completed", reason=None, final={"test_mse": 0.2}, time=6.0),
        EpochEnded(id="a", epoch=3, metrics={"val_mse": 0.1}, time=7.0),
        RunEnded(id="a", status="completed", reason=None, final={"test_mse": 0.2}, time=39.0),
    ]
    live = Points()
    told = [point for event in events for point in live.of(event)]
    assert [(point.run, point.key, point.step, point.time) for point in told] == [
        ("a", "pretrain_val_mse", 1, 1.0),
        ("a", "val_mse", 1, 2.0),
        ("b", "val_mse", 1, 3.0),
        ("a", "val_mse", 2, 4.0),
        ("b", "test_mse", 1, 6.0),
        ("a", "val_mse", 3, 7.0),
        ("a", "test_mse", 3, 39.0),
    ]
    again = Points()
    assert told == [point for event in events for point in again.of(from_json(event.to_json()))]
    assert delivered([*events, Delivered(id="b", time=8.0)]) == {"b"}
    assert delivered([*events, Delivered(id="b", time=8.0), Chooses(id="b", time=9.0)]) == set()


def test_a_seed_that_reported_and_comes_to_choose_says_so_in_mlflow(tmp_path):
    first = Follower(tmp_path)
    first.begin("t0000-s1", kind="confirm", confirm_of="t0000", role="report")
    first.epoch(1, "t0000-s1")
    first.end("t0000-s1", final={"test_mse": 0.25})
    assert first.close()
    second = Follower(tmp_path)
    second.recorder.record(Chooses("t0000-s1"))  # its driver is killed before MLflow hears of it
    third = Follower(tmp_path)
    assert third.close()
    confirmation = third.runs()[0]["t0000-s1"]
    assert (confirmation.data.tags["role"], confirmation.info.status) == ("choose", "FINISHED")


def test_the_best_so_far_goes_on_over_drivers_and_over_runs_that_mlflow_has(tmp_path):
    first = two_ended_runs(tmp_path)
    second = Follower(tmp_path)
    for run_id, value in (("t0002", 0.7), ("t0003", 0.25)):
        second.begin(run_id)
        second.epoch(1, run_id, val_mse=value)
        second.end(run_id)
    assert second.close()
    runs, client, _ = second.runs()
    points = client.get_metric_history(runs["study"].info.run_id, "best_so_far")
    assert [(point.step, point.value) for point in points] == [(1, 0.5), (2, 0.5), (3, 0.5), (4, 0.25)]
    assert first.uri == second.uri


def test_params_that_an_earlier_version_wrote_otherwise_stay_and_refuse_nothing(tmp_path):
    first = Follower(tmp_path)
    first.begin()
    assert first.close(status="interrupted")
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        database.execute("update params set value = 'False' where key = 'batch_norm'")
        database.commit()
    second = Follower(tmp_path)
    second.epoch(1)
    second.end()
    assert second.close()
    assert second.runs()[0]["t0000"].data.params["batch_norm"] == "False"
    assert _value("False") is _value("false") is False
    assert _value("{'train': 2}") == _value('{"train": 2}') == {"train": 2}


def two_ended_runs(folder):
    follower = Follower(folder)
    for run_id in ("t0000", "t0001"):
        follower.begin(run_id)
        for number in (1, 2):
            follower.epoch(number, run_id)
        follower.end(run_id)
    assert follower.close(status="interrupted")
    return follower


def check_whole(follower, names=("study", "t0000", "t0001")):
    client = MlflowClient(follower.uri)
    experiment = client.get_experiment_by_name("digits_ae")
    found = {run.data.tags["run"]: run for run in client.search_runs([experiment.experiment_id])}
    assert sorted(found) == sorted(names)
    for name in set(names) - {"study"}:
        run = found[name]
        assert run.info.status == "FINISHED"
        assert run.data.tags["mlflow.parentRunId"] == found["study"].info.run_id
        assert run.data.params["latent_size"] == "8"
        history = client.get_metric_history(run.info.run_id, "val_mse")
        assert [(point.step, point.value) for point in history] == [(1, 1.0), (2, 0.5)]
    return found


def test_runs_whose_database_was_lost_are_made_and_sent_again_whole(tmp_path):
    prepare(tmp_path)
    shutil.copy(tmp_path / "mlflow.db", tmp_path / "new.db")  # an empty one; SQLAlchemy would go on with a deleted file
    two_ended_runs(tmp_path)
    second = Follower(tmp_path, "new.db")
    second.begin("t0002")
    second.epoch(1, "t0002")
    second.epoch(2, "t0002")
    second.end("t0002")
    assert second.close()
    check_whole(second, ("study", "t0000", "t0001", "t0002"))
    third = Follower(tmp_path, "new.db")
    assert third.close()
    check_whole(third, ("study", "t0000", "t0001", "t0002"))


def test_a_failed_run_whose_database_was_lost_is_sent_again_with_its_epochs(tmp_path):
    prepare(tmp_path)
    shutil.copy(tmp_path / "mlflow.db", tmp_path / "new.db")
    first = Follower(tmp_path)
    first.begin()
    for number in (1, 2):
        first.epoch(number)
    first.end(status="failed", reason="the loss is not finite")
    assert first.close(status="interrupted")
    second = Follower(tmp_path, "new.db")
    assert second.close()
    runs, client, _ = second.runs()
    run = runs["t0000"]
    assert (run.info.status, run.data.tags["reason"]) == ("FAILED", "the loss is not finite")
    assert [(one.step, one.value) for one in client.get_metric_history(run.info.run_id, "val_mse")] == [
        (1, 1.0),
        (2, 0.5),
    ]


@pytest.mark.parametrize("lost", ["t0001", "study"])
def test_a_run_that_mlflow_lost_is_made_again_and_the_others_stay(tmp_path, lost):
    first = two_ended_runs(tmp_path)
    before, client, _ = first.runs()
    client.delete_run(before[lost].info.run_id)
    second = Follower(tmp_path)
    assert second.close()
    after = check_whole(second)
    for name, run in before.items():
        assert (after[name].info.run_id == run.info.run_id) == (name != lost)


def test_a_deleted_experiment_is_named_with_the_way_to_restore_it(tmp_path):
    first = two_ended_runs(tmp_path)
    _, client, experiment = first.runs()
    client.delete_experiment(experiment.experiment_id)
    second = Follower(tmp_path)
    assert not second.close(5)
    assert second.tracker.error.startswith("MLflow's experiment digits_ae is deleted; restore it with: ")
    assert second.tracker.error.endswith(f"mlflow experiments restore --experiment-id {experiment.experiment_id}")


@pytest.mark.parametrize("family", ["ae", "vae", "classifier"])
def test_the_model_that_mlflow_loads_is_the_network_with_its_methods(tmp_path, family):
    import torch
    from small_networks import CONFIGS, TRAINING, network

    import models

    first = two_ended_runs(tmp_path)
    runs, client, _ = first.runs()
    model, images = network(family), torch.rand(3, 1, 8, 8)
    models.save(model, {**CONFIGS[family], **TRAINING}, (1, 8, 8), 4, tmp_path / "best")
    run_id = runs["study"].info.run_id
    mlflow_client.log_model(client, first.uri, run_id, tmp_path / "best", SERVING)
    (logged,) = client.search_logged_models([runs["study"].info.experiment_id])
    code = (
        "import sys, mlflow.pytorch, torch\n"
        "mlflow.set_tracking_uri(sys.argv[1])\n"
        "model = mlflow.pytorch.load_model(sys.argv[2]).eval()\n"
        "images = torch.load(sys.argv[3])\n"
        "with torch.no_grad():\n"
        "    found = model.probabilities(images) if hasattr(model, 'probabilities') else model.encode(images)\n"
        "torch.save(found, sys.argv[4])\n"
    )
    torch.save(images, tmp_path / "images.pt")
    arguments = [first.uri, logged.model_uri, str(tmp_path / "images.pt"), str(tmp_path / "found.pt")]
    subprocess.run([sys.executable, "-c", code, *arguments], cwd=tmp_path, check=True, timeout=120)
    with torch.no_grad():
        expected = model.probabilities(images) if family == "classifier" else model.encode(images)
    assert torch.equal(torch.load(tmp_path / "found.pt"), expected)


def test_a_finished_study_is_described_by_its_verdict_first(tmp_path):
    study = Follower(tmp_path)
    study.begin()
    assert study.close(verdict="0.579 of PCA's error: better than PCA", text="Study night")
    described = study.runs()[0]["study"].data.tags["mlflow.note.content"]
    assert described == "Verdict: 0.579 of PCA's error: better than PCA\n\n```\nStudy night\n```"
