"""A cluster from `ray up` to `ray down`, on isolated hosts: what is refused, a study that survives, the report at home.

The tests share one cluster and go on from each other: a head and two workers, which the last ones lose.
"""

import csv
import filecmp
import subprocess
from collections import Counter

import pytest
from hosts import cluster_files, requirements, studies
from hosts.launcher import CLUSTER, Launcher
from hosts.network import NOWHERE, SUBNET, Network

from study.records.state import StudyState

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.skipif(bool(reason := requirements.missing()), reason=reason or "hosts are to be had"),
]

NODES = {"head": f"{SUBNET}.10", "worker1": f"{SUBNET}.11", "worker2": f"{SUBNET}.12"}
SMALL = "--space digits_ae --trials 2 --epochs 1 --train-size 200 --confirm 0"
TRIALS, EPOCHS = 8, 20
NIGHT = (
    f"--space digits_ae --sampler random --scheduler none --seed 1 --trials {TRIALS} --epochs {EPOCHS} "
    "--max-params 100000 --confirm 1x2 --name night"
)


class Cluster:
    """Three hosts, a launcher, and the storage that the hosts share."""

    def __init__(self, network, storage):
        self.network, self.storage = network, storage
        self.head, self.worker1, self.worker2 = (network.host(name, ip) for name, ip in NODES.items())
        self.home = Launcher(network, cluster_files.local(NODES["head"], [NODES["worker1"], NODES["worker2"]]))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cluster")
    storage = folder / "storage"
    storage.mkdir()
    with Network(folder / "network", storage) as network:
        yield Cluster(network, storage)


@pytest.fixture(scope="module")
def up(cluster):
    """The cluster after `ray up` with the shipped file."""
    done = cluster.home.ray("up {cluster} --yes", check=False, seconds=900)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    studies.nodes_become(cluster.head, sorted(NODES))
    return cluster


def run(cluster, options, environment="", check=False):
    return cluster.head.shell(f"{environment} python ray-tune-study/study/run.py {options}", check=check)


def test_ray_up_gives_exactly_three_nodes_and_the_preflight_finds_nothing(up):
    assert studies.alive_nodes(up.head) == sorted(NODES)
    done = up.home.ray("exec {cluster} 'cd ray-tune-study && python study/cluster_check.py --nodes 3'", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.split()[:2] for line in done.stdout.splitlines() if line[:4] in ("ok  ", "FAIL")]
    expected = ["nodes", "project", "python", "torch", "ray", "gpus", "clocks", "storage", "mlflow"]
    assert lines == [["ok", name] for name in expected]


def test_mlflow_of_the_head_is_reached_by_ssh_alone(up):
    assert up.head.shell("curl -s http://127.0.0.1:5000/health").stdout == "OK"
    seen = up.worker1.shell(f"curl -s -m 10 http://{NODES['head']}:5000/health", check=False)
    assert seen.returncode == 7  # refused


def test_the_launcher_reaches_the_hosts_and_nothing_else(up):
    links = up.home.run("ls /sys/class/net").stdout.split()
    assert sorted(links) == ["eth0", "lo"]
    assert up.home.run("ip route get 192.0.2.1", check=False).stdout.startswith(f"192.0.2.1 via {NOWHERE} ")
    assert NOWHERE not in NODES.values()


def test_storage_that_is_not_shared_is_refused_before_the_first_trial(up):
    for host in (up.head, up.worker1, up.worker2):
        host.shell("mkdir -p ~/own")
    done = run(up, f"{SMALL} --storage own --name alone")
    assert done.returncode == 2
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("study: --storage '/home/ubuntu/own' is not shared by the cluster: worker")
    assert "set --storage to a folder that every node mounts" in line
    assert up.head.shell("ls -A own").stdout == ""


@pytest.mark.parametrize("token", ["RAY_AUTH_TOKEN=wrong", "RAY_AUTH_TOKEN_PATH=/nowhere", "RAY_AUTH_MODE=disabled"])
def test_a_driver_without_the_right_token_is_refused(up, token):
    done = run(up, f"{SMALL} --name stranger", token)
    assert done.returncode == 2, done.stdout + done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("study: --address 'auto': no Ray cluster can be joined there")
    assert not (up.storage / "stranger").exists()


@pytest.mark.parametrize("token", ["RAY_AUTH_MODE=token RAY_AUTH_TOKEN=wrong", "RAY_AUTH_MODE=disabled"])
def test_a_node_without_the_right_token_is_refused(up, token):
    stranger = up.network.hosts.get("stranger") or up.network.host("stranger", f"{SUBNET}.13")
    start = f"~/.study-venv/bin/ray start --address={NODES['head']}:6379"
    done = stranger.shell(f"{token} timeout 60 {start}", check=False)
    assert done.returncode != 0
    assert studies.alive_nodes(up.head) == sorted(NODES)


def test_the_preflight_names_the_node_with_another_version_of_the_project(up):
    file = "ray-tune-study/models/ae.py"
    up.worker2.shell(f"ls {file} && cp {file} kept.py && echo '# changed' >> {file}")
    done = up.head.shell("cd ray-tune-study && python study/cluster_check.py", check=False)
    up.worker2.shell(f"mv kept.py {file}")
    assert done.returncode == 1, done.stdout + done.stderr
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert len(failed) == 1
    assert "project" in failed[0]
    assert f"worker2 ({NODES['worker2']}) has 0.1.0, code " in failed[0]


def test_a_study_survives_a_killed_raylet_and_a_host_that_is_powered_off(up):
    study = up.storage / "night"
    command = f"ray submit {CLUSTER} study/run.py {NIGHT}"
    path = "export PATH=/home/ubuntu/.study-venv/bin:$PATH"
    argv = up.home.host.inside("bash", "-lc", f"cd ~/checkout && {path} && {command}")
    with studies.in_background(argv) as process:

        def victim(hosts):
            return lambda: sorted(studies.busy_hosts(study, 3) & hosts)

        first = studies.wait_for(victim({"worker1", "worker2"}), 900, "a worker trains", process)[0]
        assert up.network.hosts[first].kill("raylet/raylet") == 1
        other = {"worker1", "worker2"} - {first}
        second = studies.wait_for(victim(other), 900, "the other worker trains", process)[0]
        up.network.hosts[second].power_off()
        output, _ = process.communicate(timeout=1800)
    assert process.returncode == 0, output[-3000:]
    state = StudyState.read(study / "journal.jsonl")
    assert Counter(trial.status for trial in state.trials) == {"completed": TRIALS}
    assert all(len(trial.epochs) == EPOCHS for trial in state.trials)
    assert len({run.id for run in state.runs.values()}) == TRIALS + 2
    places = studies.places(study)
    assert {host for steps in places.values() for host, _ in steps} >= {first, second}
    # A trial that lost its worker went on elsewhere, where the first report is not that of a first epoch.
    moved = {run_id: steps for run_id, steps in places.items() if len(steps) > 1}
    lost = {host for steps in moved.values() for host, _ in steps[:-1]}
    assert {first, second} <= lost
    late = {run_id: steps[1:] for run_id, steps in moved.items()}
    assert any(epoch > 1 for steps in late.values() for _, epoch in steps)
    for run_id, steps in moved.items():
        assert [epoch for _, epoch in steps] == sorted(epoch for _, epoch in steps), run_id


def test_mlflow_on_the_head_has_one_finished_run_for_each(up):
    script = (
        "import mlflow; client = mlflow.MlflowClient(); "
        "runs = client.search_runs([client.get_experiment_by_name('digits_ae').experiment_id]); "
        "print(*sorted(run.data.tags['run'] + ':' + run.info.status for run in runs))"
    )
    runs = up.head.shell(f'python -c "{script}"').stdout.split()
    state = StudyState.read(up.storage / "night" / "journal.jsonl")
    assert runs == sorted([*(f"{run_id}:FINISHED" for run_id in state.runs), "study:FINISHED"])
    assert list((up.storage / "mlflow-artifacts" / "digits_ae").glob("*/artifacts/summary.json"))


def test_the_report_made_at_home_is_the_one_made_on_the_head(up, tmp_path):
    report = "python analysis/report.py night"
    up.head.shell(f"cd ray-tune-study && {report}")
    there = tmp_path / "there"
    subprocess.run(["cp", "-r", up.storage / "night" / "report", there], check=True)
    subprocess.run(["rm", "-r", up.storage / "night" / "report"], check=True)
    up.home.run("mkdir -p results/night")
    up.home.ray("rsync-down {cluster} '~/results/night/' results/night/")
    up.home.run(report)
    here = tmp_path / "here"
    here.mkdir()
    archive = subprocess.run(
        up.home.host.inside("tar", "-c", "-C", "/home/ubuntu/checkout/results/night/report", "."),
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    subprocess.run(["tar", "-x", "-C", here], input=archive, check=True)
    names = sorted(str(file.relative_to(there)) for file in there.rglob("*") if file.is_file())
    assert names == sorted(str(file.relative_to(here)) for file in here.rglob("*") if file.is_file())
    _, differing, unread = filecmp.cmpfiles(there, here, names, shallow=False)
    assert (differing, unread) == ([], [])
    with (here / "trials.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == TRIALS


def test_ray_down_ends_the_head(up):
    up.home.ray("down {cluster} --yes")
    assert up.head.processes("raylet/raylet") == []
    assert up.head.processes("gcs_server") == []
    # Ray leaves the workers of a local cluster to themselves; without a head theirs ends after a minute.
    workers = [host for host in (up.worker1, up.worker2) if host.is_on]
    studies.wait_for(lambda: not any(host.processes("raylet/raylet") for host in workers), 300, "no worker runs Ray")
