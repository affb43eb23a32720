import pytest
import ray

from study.cluster import joining
from study.record.errors import StudyError, UsageError


def test_a_ray_that_does_not_start_is_one_line(monkeypatch):
    def busy(**settings):
        raise Exception("The current node timed out during startup. This could happen because of many things.")

    monkeypatch.setattr(ray, "init", busy)
    with pytest.raises(StudyError) as told, joining.joined(None):
        pass
    assert told.value.exit_code == 1
    assert str(told.value) == (
        "Ray does not start on this machine (The current node timed out during startup); if it is busy, try again"
    )


def test_a_cluster_that_is_not_there_is_bad_input():
    told = "--address '127.0.0.1:9': no Ray cluster can be reached there"
    with pytest.raises(UsageError, match=told.replace(".", r"\.")), joining.joined("127.0.0.1:9"):
        pass
