import importlib.util
import json

import numpy as np
import pytest
from PIL import Image
from study_processes import run, state_of
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from study.evaluation.served import SERVING
from study.record import journal
from study.record.errors import UsageError
from study.record.events import EpochEnded, RunEnded, RunStarted, SessionStarted, StudyStarted, TrackingChanged
from study.record.journal import Journal, Recorder, read_state
from study.tracking import implementations
from study.tracking.tracker import Ending

CONFIG = {"family": "ae", "architecture": "dense", "latent_size": 8, "lr": 1e-3, "batch_norm": False}
ABOUT = {"settings": {"space": "digits_ae", "name": "night"}, "objective": {"metric": "val_mse", "mode": "min"}}


class Follower:
    """A recorder in `folder` with a tracker that writes to `logs`."""

    def __init__(self, folder, logs):
        folder.mkdir(exist_ok=True)
        self.logs = logs
        path = folder / "journal.jsonl"
        self.recorder = Recorder(Journal(path), read_state(path))
        self.tracker = implementations.build_tracker(f"tensorboard:{logs}", self.recorder.record, folder)
        self.before = journal.read(path)
        self.tracker.started(self.before)
        self.recorder.listen(self.tracker.event)
        self.recorder.record(SessionStarted(changed={}) if self.before else StudyStarted(**ABOUT))

    def begin(self, run_id="t0000"):
        self.recorder.record(
            RunStarted(id=run_id, kind="trial", number=0, config=CONFIG, seed=5, budget=3, params=100, key=None)
        )

    def epoch(self, number, run_id="t0000"):
        self.recorder.record(EpochEnded(run_id, number, {"val_mse": 1 / number, "ssim": float("nan")}))

    def close(self, status="finished", **more):
        return self.tracker.close(Ending(status, **more), 30)


def read(folder):
    return EventAccumulator(str(folder)).Reload()


def points(folder, key):
    return [(event.step, round(event.value, 6), event.wall_time) for event in read(folder).Scalars(key)]


def expected(folder, run_id="t0000"):
    """The points of val_mse as the journal in `folder` has them."""
    epochs = [event for event in journal.read(folder / "journal.jsonl") if isinstance(event, EpochEnded)]
    return [(one.epoch, round(one.metrics["val_mse"], 6), one.time) for one in epochs if one.id == run_id]


def test_a_run_has_its_scalars_at_their_epochs_and_times_and_its_config_as_hyperparameters(tmp_path):
    study = Follower(tmp_path, tmp_path / "logs")
    study.begin()
    for number in (1, 2, 3):
        study.epoch(number)
    study.recorder.record(RunEnded("t0000", "completed", None, {"test_mse": 0.25}))
    assert study.close(metrics={"best_val_mse": 0.5, "ratio_to_pca": float("nan")}, text="a summary")
    folder = tmp_path / "logs" / "night"
    assert points(folder / "t0000", "val_mse") == expected(tmp_path)
    assert len(expected(tmp_path)) == 3
    assert [point[:2] for point in points(folder / "t0000", "test_mse")] == [(3, 0.25)]
    assert sorted(read(folder / "t0000").Tags()["scalars"]) == ["test_mse", "val_mse"]  # none that is not finite
    assert read(folder).Tags()["scalars"] == ["best_val_mse"]
    content = read(folder / "t0000").PluginTagToContent("hparams")["_hparams_/session_start_info"]
    values = HParamsPluginData.FromString(content).session_start_info.hparams
    assert (values["lr"].number_value, values["architecture"].string_value) == (1e-3, "dense")
    assert values["batch_norm"].string_value == "False"
    (text,) = read(folder).Tensors("summary/text_summary")
    assert b"a summary" in text.tensor_proto.string_val[0]


@pytest.mark.parametrize("killed", [False, True])
def test_a_resumed_study_has_each_point_once(killed, tmp_path):
    first = Follower(tmp_path, tmp_path / "logs")
    first.begin()
    first.epoch(1)
    first.begin("t0001")
    first.epoch(1, "t0001")
    first.recorder.record(RunEnded("t0001", "completed", None, {}))
    if not killed:
        assert first.close("interrupted")
    else:
        first.tracker._steps.put(None)
        first.tracker._thread.join()
        for writer in first.tracker._writers.values():
            writer.flush()  # what was written in time
    first.epoch(2)  # journalled, and of a killed driver never written
    second = Follower(tmp_path, tmp_path / "logs")
    second.epoch(3)
    assert second.close()
    for run_id, steps in (("t0000", [1, 2, 3]), ("t0001", [1])):
        found = points(tmp_path / "logs" / "night" / run_id, "val_mse")
        assert found == expected(tmp_path, run_id)
        assert [point[0] for point in found] == steps
    assert len(list((tmp_path / "logs" / "night" / "t0001").iterdir())) == 1


def test_another_study_of_the_same_name_keeps_its_files_and_so_does_everything_else(tmp_path):
    logs = tmp_path / "logs"
    (logs / "night").mkdir(parents=True)
    (logs / "night" / "journal.jsonl").write_text("precious")
    first = Follower(tmp_path / "one", logs)
    first.begin()
    first.epoch(1)
    assert first.close()
    other = Follower(tmp_path / "two", logs)
    other.begin()
    other.epoch(1)
    assert other.close()
    again = Follower(tmp_path / "two", logs)
    again.epoch(2)
    assert again.close()
    assert points(logs / "night" / "t0000", "val_mse") == expected(tmp_path / "one")
    assert points(logs / "night-2" / "t0000", "val_mse") == expected(tmp_path / "two")
    assert sorted(path.name for path in logs.iterdir()) == ["night", "night-2"]
    assert (logs / "night" / "journal.jsonl").read_text() == "precious"


def test_pictures_are_shown_and_what_tensorboard_has_no_place_for_is_ignored(tmp_path):
    study = Follower(tmp_path, tmp_path / "logs")
    study.begin()
    Image.fromarray(np.full((4, 6), 200, np.uint8)).save(tmp_path / "prior.png")
    (tmp_path / "trials.csv").write_text("trial_id\n")
    for run_id in ("study", "t0000"):
        study.tracker.artifact(tmp_path / "prior.png", "pictures", run_id)
    study.tracker.artifact(tmp_path / "trials.csv")
    study.tracker.model(tmp_path / "best", SERVING)
    assert study.close()
    for folder in (tmp_path / "logs" / "night", tmp_path / "logs" / "night" / "t0000"):
        (image,) = read(folder).Images("pictures/prior")
        assert (image.width, image.height) == (6, 4)


def test_files_that_cannot_be_written_are_said_once_and_do_not_stop_the_study(tmp_path):
    (tmp_path / "logs").write_text("in the way")
    study = Follower(tmp_path, tmp_path / "logs")
    study.begin()
    study.epoch(1)
    assert not study.close()
    problems = [event.problem for event in journal.read(tmp_path / "journal.jsonl") if type(event) is TrackingChanged]
    assert len(problems) == 1
    assert "logs" in problems[0]
    assert study.tracker.error == problems[0]


def test_missing_package_is_one_line_that_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for use in (implementations.check, lambda uri: implementations.build_tracker(uri, print, tmp_path)):
        with pytest.raises(UsageError, match="pip install tensorboard") as caught:
            use(f"tensorboard:{tmp_path}")
        assert caught.value.exit_code == 2


@pytest.mark.slow
def test_whole_study_is_in_tensorboard_as_in_its_journal(tmp_path):
    argv = ["--space", "digits_ae", "--smoke", "--name", "night", "--confirm", "1x1", "--max-params", "50000"]
    done = run(tmp_path, *argv, "--tracking-uri", f"tensorboard:{tmp_path / 'logs'}", bare=True)
    assert done.returncode == 0, done.stderr
    assert f"tensorboard --logdir {tmp_path / 'logs'}" in done.stdout
    assert "TensorBoard does not have all" not in done.stdout
    assert not (tmp_path / "mlflow.db").exists()
    state, folder = state_of(tmp_path), tmp_path / "logs" / "night"
    assert state.published
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == sorted(state.runs)
    for one in state.runs.values():
        values = [(step, value) for step, value, _ in points(folder / one.id, "val_mse")]
        assert values == [(epoch["epoch"], round(epoch["val_mse"], 6)) for epoch in one.epochs]
    assert "best_val_mse" in read(folder).Tags()["scalars"]
    assert "pictures/reconstructions" in read(folder).Tags()["images"]
    settings = json.loads((tmp_path / "results" / "night" / "study.json").read_text())["settings"]
    assert settings["tracking_uri"] == f"tensorboard:{tmp_path / 'logs'}"
