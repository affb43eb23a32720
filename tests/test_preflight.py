"""The lines of the preflight, and storage that a node does not share, without a cluster."""

import pytest

from study.cluster import findings, joining, place, preflight, resources, shared_storage
from study.cluster.findings import Finding, clocks, gpus, same_everywhere
from study.cluster.joining import Answer
from study.cluster.place import Mount, Place, SlurmJob, Spot
from study.cluster.preflight import NodeFacts, code_digest, data_here
from study.record.errors import DataError, UsageError


def test_a_version_that_one_node_has_not_is_named_with_the_node():
    finding = same_everywhere("torch", {"head": "2.15.0", "worker1": "2.15.0", "worker2": "2.14.0"})
    assert not finding.ok
    assert str(finding) == "FAIL  torch     2.15.0, but worker2 has 2.14.0"
    assert same_everywhere("torch", {"head": "2.15.0"}) == Finding(True, "torch", "2.15.0")
    assert not same_everywhere("torch", {}).ok


def test_a_gpu_that_pytorch_does_not_see_is_named_and_one_that_ray_does_not_lend_too():
    assert gpus({"a": (1.0, 1), "b": (0.0, 0)}).ok
    assert not gpus({}).ok
    assert gpus({"a": (1.0, 0), "b": (0.0, 2)}).text == (
        "on a Ray has 1 and PyTorch sees 0; on b Ray has 0 and PyTorch sees 2"
    )


def test_a_clock_that_is_minutes_off_is_named():
    assert clocks({"a": 0.4, "b": -1.9}).ok
    assert not clocks({}).ok
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


def test_nodes_that_are_silent_or_too_few_are_named():
    here = Answer("head", "1", value=1)
    assert findings.nodes([here], 1).ok
    assert findings.nodes([here], 2).text == "1 instead of 2: head"
    silent = Answer("worker", "2", problem="no answer within 120 s")
    assert findings.nodes([here, silent], None).text == "2: head, worker; worker: no answer within 120 s"


def test_a_cluster_without_a_place_for_a_trial_is_told():
    assert findings.places(4, 0).text == "4 trials of one CPU at a time"
    assert findings.places(0, 12).text.endswith("at a time, 12 once the autoscaler has brought its machines")
    assert not findings.places(0, 0).ok


def test_a_node_that_asks_for_no_token_is_named():
    assert findings.token({"head": True, "worker": True}, loopback=False).ok
    open_to_all = findings.token({"head": True, "worker": False}, loopback=False)
    assert not open_to_all.ok
    assert open_to_all.text.startswith("who reaches worker may run programs there; run `ray get-auth-token --generate`")
    assert findings.token({"head": False}, loopback=True).ok
    assert not findings.token({}, loopback=False).ok


@pytest.mark.parametrize(
    ("mount", "words"),
    [
        (Mount("/", "overlay"), "on worker the storage is the machine's own (overlay at /)"),
        (Mount("/mnt", "ext4", "/p/kubernetes.io~empty-dir/a"), "on worker the storage is the machine's own (ext4 at"),
        (None, "worker does not say what the storage lies on"),
    ],
)
def test_storage_that_goes_with_a_machine_is_told_with_the_node(mount, words):
    shared = Mount("/mnt/study", "nfs4")
    assert findings.volume({"head": shared, "worker": shared}) == Finding(
        True, "volume", "nfs4 at /mnt/study: no machine's own disk"
    )
    found = findings.volume({"head": shared, "worker": mount})
    assert not found.ok
    assert found.text.startswith(words)
    assert not findings.volume({}).ok


def test_a_spot_machine_that_nobody_would_hear_of_is_named():
    fine = findings.spot({"head": Spot(False, False), "worker": Spot(True, True)})
    assert fine == Finding(True, "spot", "1 of 2 machines may be taken away; each of them waits for its notice")
    deaf = findings.spot({"head": Spot(False, False), "worker": Spot(True, False)})
    assert not deaf.ok
    assert "nothing on worker waits for it" in deaf.text
    assert "worker cannot ask its metadata service" in findings.spot({"worker": Spot(None, True)}).text


SCRIPT = "#!/bin/bash\n#SBATCH --nodes=2\n{line}\nsrun true --signal=B:USR1@60\n"


@pytest.mark.parametrize(
    ("line", "limit", "words"),
    [
        ("#SBATCH --signal=B:USR1@60", "04:00:00", None),
        ("#SBATCH --exclusive --signal B:TERM@120", "04:00:00", None),
        ("", "UNLIMITED", None),
        ("", "04:00:00", "the script asks for no signal"),
        ("##SBATCH --signal=B:USR1@60", "04:00:00", "the script asks for no signal"),
        ("#SBATCH --signal=USR1@60", "04:00:00", "asks for --signal=USR1@60, which it does not get itself"),
    ],
)
def test_a_job_that_does_not_hear_of_its_wall_limit_is_told(line, limit, words):
    found = findings.signal(SlurmJob(True, limit, SCRIPT.format(line=line)))
    assert found.ok is (words is None)
    assert words is None or words in found.text


def test_a_job_that_slurm_may_not_queue_again_is_told():
    assert findings.requeue(SlurmJob(True, "1", "#!/bin/bash")).ok
    assert "--requeue" in findings.requeue(SlurmJob(False, "1", "#!/bin/bash")).text
    interactive = findings.requeue(SlurmJob(True, "1", ""))
    assert not interactive.ok
    assert "send cluster-slurm.sh with sbatch" in interactive.text


def test_data_are_looked_for_where_nodes_get_them_from(tmp_path):
    assert data_here("SLURM", None, tmp_path) == f"{tmp_path} has digits"
    assert data_here("one machine", "cifar", tmp_path).endswith("; a study downloads cifar, which has not been tried")
    with pytest.raises(DataError, match="not cifar, and compute nodes seldom can download; on a login node run: study"):
        data_here("SLURM", "cifar", tmp_path)
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").touch()
    assert data_here("SLURM", "cifar", tmp_path) == f"{tmp_path} has cifar, digits"
    assert data_here("SLURM", str(tmp_path), tmp_path) == f"{tmp_path} is here"
    with pytest.raises(DataError, match="no such folder"):
        data_here("SLURM", str(tmp_path / "images"), tmp_path)
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(DataError, match="is a file, not a folder"):
        data_here("SLURM", None, file)


FINE = NodeFacts(dict.fromkeys(preflight.VERSIONS, "1"), 0, True, Mount("/mnt/study", "nfs4"), None)


@pytest.fixture
def cluster(monkeypatch, tmp_path):
    """Return a function that checks a played cluster of one node with these facts, and gives the findings by name."""

    def play(kind, facts=FINE, **given):
        node = {
            "NodeID": "1",
            "NodeManagerHostname": "head",
            "NodeManagerAddress": "10.0.0.1",
            "Resources": {"CPU": 2.0},
        }
        monkeypatch.setattr(joining, "nodes", lambda: [node])
        monkeypatch.setattr(resources, "growth_of_cluster", lambda: None)
        monkeypatch.setattr(place, "slurm_job", lambda number: SlurmJob(False, "04:00:00", "#!/bin/bash"))
        monkeypatch.setenv("SLURM_JOB_ID", "7")

        def ask(function, *arguments, seconds, env=None):
            if function is preflight.node_facts:
                assert arguments == (tmp_path, kind)
                return [Answer("head (10.0.0.1)", "1", facts)]
            return [Answer("head (10.0.0.1)", "1", function(*arguments))]

        monkeypatch.setattr(joining, "ask_every_node", ask)
        monkeypatch.setattr(shared_storage, "_ask_every_node", lambda *_: None)
        options = {"tracking_uri": f"sqlite:///{tmp_path}/mlflow.db", "data_dir": tmp_path} | given
        return {one.about: one for one in preflight.check(Place(kind, kind), tmp_path, **options)}

    return play


EVERYWHERE = ["nodes", "places", *preflight.VERSIONS, "gpus", "clocks", "token", "storage", "data", "mlflow"]


@pytest.mark.parametrize(
    ("kind", "spot", "more"),
    [
        ("one machine", None, []),
        ("own machines", None, []),
        ("SLURM", None, ["requeue", "signal"]),
        ("Kubernetes", None, ["volume"]),
        ("AWS", Spot(True, True), ["volume", "spot"]),
    ],
)
def test_each_place_is_asked_for_what_it_can_lack(cluster, kind, spot, more):
    found = cluster(kind, NodeFacts(**{**vars(FINE), "spot": spot}))
    assert list(found) == [*EVERYWHERE, *more]


def test_a_cluster_that_lacks_things_says_so_for_each(cluster, tmp_path):
    bare = NodeFacts(FINE.versions, 1, False, Mount("/", "overlay"), Spot(True, False))
    uri = f"sqlite:///{tmp_path}/none/mlflow.db"
    found = cluster("AWS", bare, nodes=2, data=str(tmp_path / "none"), tracking_uri=uri)
    lacking = {name for name, one in found.items() if not one.ok}
    assert lacking == {"nodes", "gpus", "token", "data", "mlflow", "volume", "spot"}
    found = cluster("SLURM", bare)
    assert {"requeue", "signal"} <= {name for name, one in found.items() if not one.ok}


def test_a_database_that_goes_with_the_machine_is_told(cluster, monkeypatch):
    monkeypatch.setattr(place, "mount_of", lambda path: Mount("/", "overlay"))
    assert cluster("own machines")["mlflow"].ok
    gone = cluster("Kubernetes")["mlflow"]
    assert not gone.ok
    assert "lies on this machine's own disk (overlay at /) and goes with it; set MLFLOW_TRACKING_URI" in gone.text
    monkeypatch.setattr(place, "mount_of", lambda path: Mount("/mnt/study", "nfs4"))
    assert cluster("Kubernetes")["mlflow"].ok


def test_storage_that_cannot_be_shared_and_slurm_that_does_not_answer_are_lines_too(cluster, monkeypatch):
    def refuse(*_, **__):
        raise UsageError("--storage 'x' is not shared by the cluster")

    monkeypatch.setattr(shared_storage, "verified", refuse)
    assert not cluster("one machine")["storage"].ok
    monkeypatch.undo()
    monkeypatch.setenv("PATH", "/nowhere")
    assert [one.about for one in preflight.slurm("no such job")] == ["slurm"]
    assert not preflight.slurm("no such job")[0].ok
