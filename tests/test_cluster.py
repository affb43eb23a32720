"""A cluster from `ray up` to `ray down`, on isolated hosts: what is refused, a study that survives, the report at home.

The tests share one cluster and go on from each other: a head and two workers, which the last ones lose
one by one.
"""

import csv
import filecmp
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hosts import cluster_files, requirements, studies
from hosts.launcher import CLUSTER, Launcher
from hosts.network import NOWHERE, SUBNET, Network

from study.record.journal import read_state

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(bool(reason := requirements.missing()), reason=reason or "hosts are to be had"),
]

NODES = {"head": f"{SUBNET}.10", "worker1": f"{SUBNET}.11", "worker2": f"{SUBNET}.12"}
SECOND_HEAD = f"{SUBNET}.20"
OWN_SPACES = Path(__file__).parent / "own_spaces"
SMALL = "--space digits_ae --trials 2 --epochs 1 --train-size 200 --confirm 0"
TRIALS, MORE, EPOCHS = 8, 4, 20
NIGHT = (
    f"--space digits_ae --sampler random --scheduler none --seed 25 --trials {TRIALS} --epochs {EPOCHS} "
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
    ray_up(cluster)
    studies.nodes_become(cluster.head, sorted(NODES))
    return cluster


def ray_up(cluster):
    done = cluster.home.ray("up {cluster} --yes --no-config-cache", check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def submit(cluster, options):
    """The command that runs a study on the head from home, to be run in the background."""
    path = "export PATH=/home/ubuntu/.study-venv/bin:$PATH"
    command = f"ray submit {CLUSTER} study/run.py {options}"
    return cluster.home.host.inside("bash", "-lc", f"cd ~/checkout && {path} && {command}")


def run(cluster, options, environment="", check=False):
    return cluster.head.shell(f"{environment} python ray-tune-study/study/run.py {options}", check=check)


def test_ray_up_gives_exactly_three_nodes_and_the_preflight_finds_nothing(up):
    assert studies.alive_nodes(up.head) == sorted(NODES)
    done = up.home.ray("exec {cluster} 'cd ray-tune-study && python study/cluster_check.py --nodes 3'", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.split()[:2] for line in done.stdout.splitlines() if line[:4] in ("ok  ", "FAIL")]
    assert "place: own machines, on the head of a cluster of `ray up`" in done.stdout
    expected = ["nodes", "places", "project", "python", "torch", "ray", "gpus", "clocks", "token", "storage", "data"]
    assert lines == [["ok", name] for name in (*expected, "mlflow")]


def test_mlflow_of_the_head_is_reached_by_ssh_alone(up):
    assert up.head.shell("curl -s http://127.0.0.1:5000/health").stdout == "OK"
    seen = up.worker1.shell(f"curl -s -m 10 http://{NODES['head']}:5000/health", check=False)
    assert seen.returncode == 7  # refused


def test_make_ui_brings_mlflow_home(up):
    make = f"make -o .venv/.study ui BIN=~/.study-venv/bin CLUSTER={CLUSTER}"
    with studies.in_background(up.home.host.inside("bash", "-lc", f"cd ~/checkout && {make}")) as command:

        def answers():
            return up.home.run("curl -s http://127.0.0.1:5000/health", check=False).stdout == "OK"

        studies.wait_for(answers, 120, "MLflow answers at home", command)
        assert up.home.host.kill("--port-forward") > 0


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


def test_drivers_and_nodes_without_the_right_token_are_refused(up):
    start = f"timeout 60 ~/.study-venv/bin/ray start --address={NODES['head']}:6379"
    missing, wrong, off = "RAY_AUTH_TOKEN_PATH=/nowhere", "RAY_AUTH_TOKEN=wrong", "RAY_AUTH_MODE=disabled"
    with ThreadPoolExecutor() as pool:  # each waits half a minute for Ray to give up
        drivers = [pool.submit(run, up, f"{SMALL} --name stranger", token) for token in (missing, wrong, off)]
        nodes = [
            pool.submit(up.network.host(f"stranger{i}", f"{SUBNET}.3{i}").shell, f"{token} {start}", check=False)
            for i, token in enumerate((f"RAY_AUTH_MODE=token {missing}", f"RAY_AUTH_MODE=token {wrong}", off))
        ]
    for driver in drivers:
        done = driver.result()
        assert done.returncode == 2, done.stdout + done.stderr
        line = done.stderr.strip().splitlines()[-1]
        assert line.startswith(
            (
                "study: --address 'auto': no Ray cluster can be joined there",
                "study: --address 'auto': no Ray cluster answers there within 15 s",
            )
        )
    assert not (up.storage / "stranger").exists()
    assert all(node.result().returncode != 0 for node in nodes)
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


@pytest.mark.parametrize("name", ["mixer", "proxies", "vq"])
def test_a_space_in_a_file_of_one_s_own_trains_on_every_node(up, name):
    """The file lies on the head alone, from where the study starts."""
    text = (OWN_SPACES / f"{name}.py").read_text()
    up.head.shell(f"cat > {name}.py <<'END'\n{text}END")
    done = run(up, f"--space {name}.py --trials 6 --epochs 3 --scheduler none --seed 5 --confirm 1x2 --name own-{name}")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    study = up.storage / f"own-{name}"
    assert (study / "space.py").read_text() == text == (study / "best" / "space.py").read_text()
    state = read_state(study / "journal.jsonl")
    assert Counter(trial.status for trial in state.trials) == {"completed": 6}
    assert {host for steps in studies.places(study).values() for host, _ in steps} >= {"worker1", "worker2"}


def test_a_study_survives_a_killed_raylet_and_a_host_that_is_powered_off(up):
    study = up.storage / "night"
    with studies.in_background(submit(up, NIGHT)) as command:

        def victim(hosts):
            return lambda: sorted(studies.busy_hosts(study, 3) & hosts)

        first = studies.wait_for(victim({"worker1", "worker2"}), 900, "a worker trains", command)[0]
        assert up.network.hosts[first].kill("raylet/raylet") == 1
        other = {"worker1", "worker2"} - {first}
        second = studies.wait_for(victim(other), 900, "the other worker trains", command)[0]
        up.network.hosts[second].power_off()
        command.finish(900)
    state = read_state(study / "journal.jsonl")
    assert Counter(trial.status for trial in state.trials) == {"completed": TRIALS}
    assert all(len(trial.epochs) == EPOCHS for trial in state.trials)
    assert set(Counter(run.confirm_of for run in state.confirmations).values()) == {2}  # the winner, and the default
    assert len(state.runs) == TRIALS + len(state.confirmations)
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
    assert one_finished_run_for_each(up) == []
    assert list((up.storage / "mlflow-artifacts" / "digits_ae").glob("*/artifacts/summary.json"))


def one_finished_run_for_each(cluster):
    """What MLflow on the head has of the study `night` beyond or short of one finished run for each of the study's."""
    script = (
        "import mlflow; client = mlflow.MlflowClient(); "
        "runs = client.search_runs([client.get_experiment_by_name('digits_ae').experiment_id]); "
        "print(*(run.data.tags['run'] + ':' + run.info.status for run in runs))"
    )
    found = Counter(cluster.head.shell(f'python -c "{script}"').stdout.split())
    state = read_state(cluster.storage / "night" / "journal.jsonl")
    expected = Counter([*(f"{run_id}:FINISHED" for run_id in state.runs), "study:FINISHED"])
    return [*(found - expected).elements(), *(expected - found).elements()]


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
    with (here / "leaderboard.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == TRIALS


def test_a_study_goes_on_with_a_new_head_from_the_shared_storage(up):
    study, trials = up.storage / "night", TRIALS + MORE
    worker = next(host for host in (up.worker1, up.worker2) if host.is_on)

    def in_mid_trial():
        state = read_state(study / "journal.jsonl")
        return [run for run in state.trials if run.status == "running" and 3 <= len(run.epochs) <= EPOCHS // 2]

    with studies.in_background(submit(up, f"--resume night --trials {trials}")) as command:
        studies.wait_for(in_mid_trial, 300, "a trial is in its middle", command)
        up.head.power_off()
    before = read_state(study / "journal.jsonl")
    unfinished = {run.id: len(run.epochs) for run in before.trials if run.status == "running" and run.epochs}
    assert unfinished
    up.head = up.network.host("head2", SECOND_HEAD)
    up.home.configure(cluster_files.local(SECOND_HEAD, [worker.ip]))
    ray_up(up)
    studies.nodes_become(up.head, sorted(["head2", worker.name]))
    done = up.home.ray("submit {cluster} study/run.py --resume night", check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "MLflow does not have all" not in done.stdout, done.stdout[-3000:]
    state = read_state(study / "journal.jsonl")
    assert Counter(trial.status for trial in state.trials) == {"completed": trials}
    assert all([epoch["epoch"] for epoch in trial.epochs] == [*range(1, EPOCHS + 1)] for trial in state.trials)
    # What the first head had is kept as it was, and trials went on from their checkpoints.
    for run in before.trials:
        assert state.runs[run.id].epochs[: len(run.epochs)] == run.epochs
    places = studies.places(study)
    assert all(places[run_id][-1][1] >= epochs for run_id, epochs in unfinished.items())
    assert any(host == "head2" for steps in places.values() for host, _ in steps)
    assert one_finished_run_for_each(up) == []


def test_ray_down_ends_the_head(up):
    up.home.ray("down {cluster} --yes")
    assert up.head.processes("raylet/raylet") == []
    assert up.head.processes("gcs_server") == []
    # Ray leaves the workers of a local cluster to themselves; without a head theirs ends after a minute.
    workers = [host for host in (up.worker1, up.worker2) if host.is_on]
    studies.wait_for(lambda: not any(host.processes("raylet/raylet") for host in workers), 300, "no worker runs Ray")
