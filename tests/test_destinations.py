"""Where a study connects to is one's own word: not that of a folder from elsewhere; and no secret is written down."""

import dataclasses

import numpy as np
import pytest
import recorded_studies

from analysis import report
from study.data.image_data import ImageData, Split
from study.driver import beginning
from study.record import folder as folders
from study.record import tracking_uri
from study.record.errors import UsageError
from study.record.folder import StudyFolder
from study.settings import command_line, resolve

SECRET = "https://ada:hunter2@tracking.example/mlflow?token=abc123"
SAFE = "https://ada:***@tracking.example/mlflow?token=***"


@pytest.fixture(autouse=True)
def own_defaults(monkeypatch, tmp_path):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.chdir(tmp_path)


def settings(**changes):
    return resolve.settings_of({"space": "digits_ae", "name": "night", **changes})


def images():
    split = Split(np.zeros((4, 1, 8, 8), np.uint8), np.zeros(4, np.int64))
    known = {"name": "digits", "train": split, "val": split, "test": split, "class_names": ("0",)}
    others = {field.name: () for field in dataclasses.fields(ImageData) if field.name not in known}
    return ImageData(**{**others, **known, "digest": "abc", "split": "as always"})


def test_a_secret_in_a_uri_is_in_no_record(monkeypatch):
    about = beginning.about(settings(tracking_uri=SECRET), images(), None)
    assert about["settings"]["tracking_uri"] == SAFE
    assert SAFE in command_line.config_text(settings(tracking_uri=SECRET), named=True)


def test_a_message_that_has_the_secret_loses_it():
    for text in (f"cannot reach {SECRET}", "wrong password hunter2 for ada"):
        assert "hunter2" not in tracking_uri.scrubbed(text, SECRET)


def test_the_secret_comes_from_ones_own_settings_again(monkeypatch):
    recorded = settings(tracking_uri=SECRET).to_json() | {"tracking_uri": SAFE}
    with pytest.raises(UsageError, match=r"without the secret, which is not written down; give --tracking-uri"):
        resolve.resumed_settings({}, resolve.usable_destinations(recorded, trusted=True))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", SECRET)
    now, _ = resolve.resumed_settings({}, resolve.usable_destinations(recorded, trusted=True))
    assert now.tracking_uri == SECRET
    with pytest.raises(UsageError, match="lacks its secret"):
        tracking_uri.check(SAFE)


EVIL = {
    "tracking_uri": "http://evil.example:5000",
    "address": "evil.example:6379",
    "notify": "sh -c evil",
    "register": True,
}


def test_what_a_folder_from_elsewhere_says_is_no_destination(tmp_path, monkeypatch):
    recorded = settings().to_json() | EVIL
    kept, _ = resolve.resumed_settings({}, resolve.usable_destinations(recorded, trusted=True))
    assert (kept.tracking_uri, kept.address, kept.notify, kept.register) == tuple(EVIL.values())
    monkeypatch.setenv("RAY_ADDRESS", "")  # as good as unset
    own, _ = resolve.resumed_settings({}, resolve.usable_destinations(recorded, trusted=False))
    assert (own.tracking_uri, own.address, own.notify) == (f"sqlite:///{tmp_path}/mlflow.db", None, None)
    assert own.register is False
    given = {"tracking_uri": "http://mine.example:5000"}
    named, _ = resolve.resumed_settings(given, resolve.usable_destinations(recorded, trusted=False))
    assert named.tracking_uri == given["tracking_uri"]


def test_a_resumed_study_joins_the_cluster_of_its_environment(monkeypatch):
    recorded = settings(address="node7.example:41234").to_json()  # of the job before
    assert resolve.resumed_settings({}, recorded)[0].address == "node7.example:41234"
    monkeypatch.setenv("RAY_ADDRESS", "node2.example:35001")
    assert resolve.resumed_settings({}, recorded)[0].address == "node2.example:35001"
    assert resolve.resumed_settings({"address": "local"}, recorded)[0].address == "local"


def test_a_folder_is_trusted_where_it_was_begun_and_by_whom(tmp_path, monkeypatch):
    folder = StudyFolder(tmp_path / "night")
    folder.path.mkdir()
    place = folders.place_of(folder)
    assert folders.is_trusted(folder, place)
    assert not folders.is_trusted(folder, None)
    assert not folders.is_trusted(folder, place | {"inode": 1, "machine": "another"})
    monkeypatch.setattr("os.geteuid", lambda: 4711)
    assert not folders.is_trusted(folder, place)


def test_a_report_of_a_folder_from_elsewhere_connects_to_nobody(tmp_path, monkeypatch, capsys):
    recorded_studies.write_study(tmp_path / "results", "night", [], settings=EVIL | {"name": "night"})
    asked = []
    monkeypatch.setattr("study.record.tracking_uri.urllib.request.urlopen", lambda *a, **k: asked.append(a))
    monkeypatch.setattr("analysis.mlflow_files.log_report", lambda name, uri, *a: asked.append(uri))
    assert report.main(["night"]) == 0
    assert asked == [f"sqlite:///{tmp_path}/mlflow.db"]
    assert "evil" not in capsys.readouterr().out
