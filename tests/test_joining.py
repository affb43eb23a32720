import signal
import subprocess

import pytest
import ray

from study.cluster import joining
from study.record.errors import StudyError, UsageError

SLOW = "The current node timed out during startup. This could happen because of many things."


def test_a_ray_that_never_starts_in_time_is_one_line(monkeypatch, capsys):
    places = []

    def busy(**settings):
        places.append(settings["_temp_dir"])
        raise Exception(SLOW)

    monkeypatch.setattr(ray, "init", busy)
    with pytest.raises(StudyError) as told, joining.joined(None):
        pass
    assert told.value.exit_code == 1
    assert str(told.value) == (
        "Ray does not start on this machine (The current node timed out during startup); if it is busy, try again"
    )
    assert len(set(places)) == 5
    assert "this machine is busy: start 5 of 5" in capsys.readouterr().err


def test_a_ray_that_is_slow_to_start_is_started_again_without_what_it_left(monkeypatch):
    slow = []

    def init(**settings):
        if not slow:
            slow.append(subprocess.Popen(["sleep", "60"]))
            raise Exception(SLOW)

    mine = subprocess.Popen(["sleep", "60"])
    monkeypatch.setattr(ray, "init", init)
    with joining.joined(None):
        assert slow[0].wait(5) == -signal.SIGKILL
        assert mine.poll() is None
    mine.kill()
    mine.wait()


def test_a_ray_that_fails_for_another_reason_is_started_once(monkeypatch):
    starts = []

    def init(**settings):
        starts.append(1)
        raise RuntimeError("no such thing")

    monkeypatch.setattr(ray, "init", init)
    with (
        pytest.raises(StudyError, match=r"Ray does not start on this machine \(no such thing\)$"),
        joining.joined(None),
    ):
        pass
    assert starts == [1]


def test_a_cluster_that_is_not_there_is_bad_input():
    told = "--address '127.0.0.1:9': no Ray cluster can be reached there"
    with pytest.raises(UsageError, match=told.replace(".", r"\.")), joining.joined("127.0.0.1:9"):
        pass
