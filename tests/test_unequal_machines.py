"""A study on two nodes of one machine, of which one is made slow: where its last runs are trained."""

from pathlib import Path

import pytest
from ray.cluster_utils import Cluster
from study_processes import TIMEOUT, environment, start, state_of

from study.record import journal
from study.record.events import Placed

pytestmark = pytest.mark.cluster

# Each batch rests, on the slow node ten times as long: what the machine itself takes says little beside that. So the
# slow node ends more than two of 60 trials, which its pace comes from, and none of a phase of four runs.
RESTING = """

import os, time
plain = Encoder.forward
def resting(self, x):
    time.sleep(float(os.environ["STUDY_TEST_REST"]))
    return plain(self, x)
Encoder.forward = resting
"""
SPACE = (Path(__file__).parent / "own_spaces" / "stripes.py").read_text() + RESTING
OPTIONS = (
    "--space space.py --sampler random --scheduler none --epochs 2 --trials 60 --confirm 2x2 --seed 1 --name night"
)


@pytest.fixture
def cluster(monkeypatch):
    """A head that trains nothing, a fast and a slow node of one CPU each."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("STUDY_TEST_REST", "0")
    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for name, rest in (("fast", "0.02"), ("slow", "0.2")):
            found.add_node(
                num_cpus=1, labels={"ray.io/node-group": name}, env_vars={"STUDY_TEST_REST": rest}, resources={name: 1}
            )
        yield found
    finally:
        found.shutdown()


def test_few_runs_are_trained_on_the_fast_machine_alone(cluster, tmp_path):
    (tmp_path / "space.py").write_text(SPACE)
    process = start(tmp_path, *OPTIONS.split(), "--address", cluster.address, env=environment())
    output = tmp_path / "output.txt"
    assert process.wait(TIMEOUT) == 0, output.read_text()
    state = state_of(tmp_path)
    assert len(state.trials) == 60
    placed = [one for one in journal.read(tmp_path / "results/night/journal.jsonl") if isinstance(one, Placed)]
    kinds = {one.id: one.node_type for one in placed}
    slow = [run for run in state.trials if kinds[run.id] == "slow"]
    assert len(slow) >= 2
    assert {kinds[run.id] for run in state.confirmations} == {"fast"}
    assert "left: slow places stay empty where a run would end later than on a fast one" in output.read_text()
