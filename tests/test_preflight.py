"""The lines of the preflight, and storage that a node does not share, without a cluster."""

import pytest

from study.cluster import joining, shared_storage
from study.cluster.joining import Answer
from study.cluster.preflight import Finding, clocks, code_digest, gpus, same_everywhere
from study.record.errors import UsageError


def test_a_version_that_one_node_has_not_is_named_with_the_node():
    finding = same_everywhere("torch", {"head": "2.15.0", "worker1": "2.15.0", "worker2": "2.14.0"})
    assert not finding.ok
    assert str(finding) == "FAIL  torch     2.15.0, but worker2 has 2.14.0"
    assert same_everywhere("torch", {"head": "2.15.0"}) == Finding(True, "torch", "2.15.0")
    assert not same_everywhere("torch", {}).ok


def test_a_gpu_that_pytorch_does_not_see_is_named_and_one_that_ray_does_not_lend_too():
    assert gpus({"a": (1.0, 1), "b": (0.0, 0)}).ok
    assert gpus({"a": (1.0, 0), "b": (0.0, 2)}).text == (
        "on a Ray has 1 and PyTorch sees 0; on b Ray has 0 and PyTorch sees 2"
    )


def test_a_clock_that_is_minutes_off_is_named():
    assert clocks({"a": 0.4, "b": -1.9}).ok
    assert clocks({"a": 0.0, "b": 125.0}).text.startswith("differ from this node's: b by +125.0 s")


def test_a_changed_file_changes_the_digest_of_the_code(tmp_path):
    for package in ("study", "models", "search_spaces"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "a.py").write_text("x = 1\n")
    before = code_digest(tmp_path)
    assert code_digest(tmp_path) == before
    (tmp_path / "models" / "a.py").write_text("x = 2\n")
    assert code_digest(tmp_path) != before


@pytest.fixture
def nodes(monkeypatch):
    """Return a function that plays nodes, each of which answers by a function of the probe_file."""

    def play(**answering):
        def ask(function, probe_file, seconds):
            return [Answer(name, name, answer(probe_file)) for name, answer in answering.items()]

        monkeypatch.setattr(joining, "ask_every_node", ask)

    return play


def answers(name):
    def write(probe_file):
        probe_file.with_name(f"{probe_file.name}-{name}").write_text(probe_file.read_text())

    return write


def test_storage_that_every_node_answers_on_is_shared_and_left_clean(tmp_path, nodes):
    nodes(head=answers("head"), worker=answers("worker"))
    with shared_storage.verified(tmp_path, cluster=True) as probe_file:
        assert shared_storage.missing(probe_file) is None
        assert {file.name.removeprefix(probe_file.name) for file in tmp_path.iterdir()} == {"", "-head", "-worker"}
    assert list(tmp_path.iterdir()) == []


def test_a_node_that_writes_elsewhere_is_found_out(tmp_path, nodes):
    nodes(head=answers("head"), worker=lambda probe_file: None)  # sees the file, and writes to another folder
    message = "worker: the driver does not see what this node writes there; set --storage to a folder that every node"
    with pytest.raises(UsageError, match=message), shared_storage.verified(tmp_path, cluster=True):
        pytest.fail("a study began")
    assert list(tmp_path.iterdir()) == []


def test_a_node_that_joins_later_without_the_storage_can_tell(tmp_path, nodes):
    nodes(head=answers("head"))
    with shared_storage.verified(tmp_path, cluster=True) as probe_file:
        elsewhere = tmp_path / "elsewhere"
        assert "is not seen there" in shared_storage.missing(elsewhere / probe_file.name)
        elsewhere.mkdir()
        (elsewhere / probe_file.name).write_text("of another study")
        assert "is not seen there" in shared_storage.missing(elsewhere / probe_file.name)


def test_one_machine_is_asked_nothing(tmp_path):
    with shared_storage.verified(tmp_path, cluster=False) as probe_file:
        assert probe_file is None
        assert list(tmp_path.iterdir()) == []
