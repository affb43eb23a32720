"""The head is lost in mid-study: a new one goes on from the storage that they share."""

from collections import Counter

import pytest
from hosts import cluster_files, requirements, studies
from hosts.launcher import CLUSTER, Launcher
from hosts.network import SUBNET, Network

from study.records.state import StudyState

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.skipif(bool(reason := requirements.missing()), reason=reason or "hosts are to be had"),
]

FIRST, SECOND, WORKER = f"{SUBNET}.10", f"{SUBNET}.20", f"{SUBNET}.11"
TRIALS, EPOCHS = 6, 30
NIGHT = (
    f"--space digits_ae --sampler random --scheduler none --seed 1 --trials {TRIALS} --epochs {EPOCHS} "
    "--max-params 100000 --confirm 0 --name night"
)


def raise_cluster(home, head):
    home.configure(cluster_files.local(head, [WORKER]))
    done = home.ray("up {cluster} --yes --no-config-cache", check=False, seconds=900)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_a_study_goes_on_with_a_new_head_from_the_shared_storage(tmp_path):
    storage = tmp_path / "storage"
    storage.mkdir()
    study = storage / "night"
    with Network(tmp_path / "network", storage) as network:
        first, _ = network.host("head", FIRST), network.host("worker1", WORKER)
        home = Launcher(network, cluster_files.local(FIRST, [WORKER]))
        raise_cluster(home, FIRST)
        studies.nodes_become(first, ["head", "worker1"])
        path = "export PATH=/home/ubuntu/.study-venv/bin:$PATH"
        argv = home.host.inside("bash", "-lc", f"cd ~/checkout && {path} && ray submit {CLUSTER} study/run.py {NIGHT}")

        def some_epochs():
            return sum(event["event"] == "epoch" for event in studies.events(study)) >= 2 * TRIALS

        with studies.in_background(argv) as process:
            studies.wait_for(some_epochs, 600, "trials have had epochs", process)
            first.power_off()
        before = StudyState.read(study / "journal.jsonl")
        assert before.summary is None
        second = network.host("head2", SECOND)
        raise_cluster(home, SECOND)
        studies.nodes_become(second, ["head2", "worker1"])
        done = home.ray("submit {cluster} study/run.py --resume night", check=False, seconds=900)
        assert done.returncode == 0, done.stdout[-3000:]
        state = StudyState.read(study / "journal.jsonl")
        assert Counter(trial.status for trial in state.trials) == {"completed": TRIALS}
        assert all([epoch["epoch"] for epoch in trial.epochs] == [*range(1, EPOCHS + 1)] for trial in state.trials)
        # What the first head had is kept as it was, and trials went on from their checkpoints.
        for run in before.trials:
            assert state.runs[run.id].epochs[: len(run.epochs)] == run.epochs
        unfinished = {run.id: len(run.epochs) for run in before.trials if run.status == "running" and run.epochs}
        places = studies.places(study)
        assert unfinished
        assert all(places[run_id][-1][1] >= epochs for run_id, epochs in unfinished.items())
        assert any(host == "head2" for steps in places.values() for host, _ in steps)
