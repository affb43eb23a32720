"""cluster-slurm.sh under SLURM on isolated hosts: a wall limit in mid-trial, a node that dies, a report at home.

But for the one of an array, the tests share a job, which goes on from each to the next.
"""

import csv
import time
from collections import Counter
from pathlib import Path

import pytest
from hosts import requirements, slurm, studies
from hosts.host import USER
from hosts.launcher import Launcher
from hosts.network import SUBNET, Network
from study_processes import without_timings

from study.record.journal import read_state

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(
        bool(reason := requirements.missing() or slurm.missing()), reason=reason or "hosts and SLURM are to be had"
    ),
]

CONTROL, NODES = f"{SUBNET}.10", {f"node{i}": f"{SUBNET}.1{i}" for i in (1, 2, 3)}
TRIALS, EPOCHS = 6, 60
# Its networks rest as long as a file lies in the shared storage: a trial lasts minutes and costs no processor.
RESTING = """

import os, time
plain = Encoder.forward
def resting(self, x):
    if os.path.exists("/mnt/study/resting"):
        time.sleep(0.2)
    return plain(self, x)
Encoder.forward = resting
"""
SPACE = (Path(__file__).parent / "own_spaces" / "stripes.py").read_text() + RESTING
OPTIONS = (
    f"--space space.py --sampler random --scheduler none --seed 25 --trials {TRIALS} --epochs {EPOCHS} --confirm 1x2"
)
LEAVING = 60 + 30 + 60  # seconds: the signal comes up to so long before the limit, which is in whole minutes
PROJECT = "/mnt/study/project"


class Site:
    """A computing centre of a control host and three nodes with shared storage, and a machine at home."""

    def __init__(self, network, storage):
        self.network, self.storage = network, storage
        self.control = network.host("control", CONTROL)
        self.nodes = {name: network.host(name, ip) for name, ip in NODES.items()}
        for host in (self.control, *self.nodes.values()):
            host.shell("mkdir -p /mnt/study && mount.nfs4 site:/study /mnt/study")
        self.slurm = slurm.Slurm(self.control, list(self.nodes.values()))
        self.home = Launcher(network, {}, token=False)
        self.home.run(f"cat > space.py <<'END'\n{SPACE}END")
        self.rsync(f"./ {USER}@{CONTROL}:{PROJECT}/")
        self.study = storage / "results" / "night"

    def rsync(self, words):
        self.home.run(f"rsync -a -e 'ssh -o StrictHostKeyChecking=accept-new' {words}")

    def state(self):
        return read_state(self.study / "journal.jsonl")

    def submit(self, words):
        """Send a job of an hour and return its number."""
        given = f"--export=ALL,STUDY_STORAGE=/mnt/study/results,STUDY_VENV=/home/{USER}/.study-venv"
        return self.slurm.submit(f"{given} --cpus-per-task=1 --time=60 {words}", PROJECT)

    def end_soon(self, job):
        """Give a running job a wall limit of which it hears within `LEAVING`."""
        hours, minutes, _ = map(int, self.slurm.job(job)["RunTime"].split(":"))
        self.update(job, f"TimeLimit={60 * hours + minutes + 2}")

    def update(self, job, words):
        """Change a job, as soon as SLURM takes it: not while the job ends."""
        command = f"scontrol update JobId={job} {words}"
        self.wait_for(lambda: self.control.shell(command, check=False).returncode == 0, 120, words)

    def wait_for(self, condition, seconds, what):
        """Wait until `condition` holds, while the job has not failed; its log says why."""

        def holds():
            failed = self.control.shell("squeue --noheader --states=FAILED,TIMEOUT,CANCELLED").stdout
            assert not failed, failed
            return condition()

        try:
            return studies.wait_for(holds, seconds, what)
        except AssertionError as error:
            logs = [file.read_text()[-4000:] for file in (self.storage / "project").glob("study-*.log")]
            raise AssertionError("\n".join([str(error), *logs, self.slurm.logs()])) from None


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slurm")
    (folder / "storage" / "results").mkdir(parents=True)
    with Network(folder / "network", folder / "storage") as network:
        yield Site(network, folder / "storage")


@pytest.fixture(scope="module")
def job(site):
    """The number of a job whose study trains on every node."""
    (site.storage / "resting").touch()
    number = site.submit(f"--nodes=3 cluster-slurm.sh night {OPTIONS}")
    site.wait_for(lambda: studies.busy_hosts(site.study, 1) == set(NODES), 1200, "every node trains")
    return number


def test_a_task_of_an_array_that_reaches_its_wall_limit_or_its_end_leaves_the_other_alone(site):
    (site.storage / "resting").touch()
    words = f"--space space.py --sampler random --scheduler none --trials 1 --epochs {EPOCHS} --confirm 0"
    array = site.submit(f"--array=0-1 --nodes=1 cluster-slurm.sh array-%a {words} --seed %a")
    tasks = {f"{array}_{i}": site.storage / "results" / f"array-{i}" for i in (0, 1)}
    site.wait_for(lambda: all(studies.busy_hosts(study, 1) for study in tasks.values()), 1200, "both tasks train")
    (early,) = [task for task in tasks if site.slurm.job(task)["JobId"] == array]  # its number is the array's, too
    (other,) = tasks.keys() - {early}
    site.end_soon(early)
    site.wait_for(lambda: site.slurm.job(early)["Restarts"] == "1", LEAVING + 60, "the task is queued again")
    assert [site.slurm.job(other)[key] for key in ("JobState", "Restarts")] == ["RUNNING", "0"]
    (site.storage / "resting").unlink()
    for task in tasks:
        site.wait_for(lambda task=task: site.slurm.job(task)["JobState"] == "COMPLETED", 1200, "the tasks end")
    assert site.slurm.job(other)["Restarts"] == "0"


def test_files_on_the_nodes_are_the_user_s_alone(site, job):
    modes = {host.shell("stat -c '%a %n' /tmp/*").stdout for host in site.nodes.values()}
    assert modes == {f"700 /tmp/study-{job}-0\n"}


def test_a_job_near_its_wall_limit_leaves_in_mid_trial_and_goes_on_when_it_is_queued_again(site, job):
    started = time.monotonic()
    assert site.slurm.job(job)["Restarts"] == "0"
    site.end_soon(job)
    site.wait_for(lambda: site.slurm.job(job)["Restarts"] == "1", LEAVING + 60, "the job is queued again")
    site.update(job, "TimeLimit=60")
    before = site.state()
    unfinished = {run.id: len(run.epochs) for run in before.trials if run.status == "running" and run.epochs}
    assert unfinished, "no trial was in its middle"
    assert time.monotonic() - started < LEAVING + 60
    log = (site.storage / "project" / f"study-{job}.log").read_text()
    assert "study: interrupted; go on with: " in log
    assert "cluster-slurm.sh: the wall limit is near; study night goes on when the job starts again" in log
    left = [host.shell("ls -d /tmp/study-*", check=False).stdout.split() for host in site.nodes.values()]
    assert not any(folder.endswith("-0") for folders in left for folder in folders), left

    def all_train_again():
        runs = site.state().runs
        further = all(len(runs[run_id].epochs) > epochs for run_id, epochs in unfinished.items())
        return further and studies.busy_hosts(site.study, 1) == set(NODES)

    site.wait_for(all_train_again, 1200, "the trials go on where they were, on every node")
    for run in before.trials:
        assert site.state().runs[run.id].epochs[: len(run.epochs)] == run.epochs


def test_a_node_that_dies_gives_its_trials_to_the_others(site, job):
    lost_host = sorted(set(NODES) - {site.slurm.job(job)["BatchHost"]})[0]
    site.nodes[lost_host].power_off()
    lost = [run_id for run_id, steps in studies.places(site.study).items() if steps[-1][0] == lost_host]
    lost = [run_id for run_id in lost if site.state().runs[run_id].status == "running"]
    assert lost

    def moved():
        return all(studies.places(site.study)[run_id][-1][0] != lost_host for run_id in lost)

    site.wait_for(moved, 1200, "its trial goes on elsewhere")
    assert site.slurm.job(job)["Restarts"] == "1"


def test_a_first_node_that_dies_has_the_job_queued_again_and_the_tables_are_those_of_an_uninterrupted_study(site, job):
    site.nodes[site.slurm.job(job)["BatchHost"]].power_off()
    site.wait_for(lambda: site.slurm.job(job)["Restarts"] == "2", 1200, "the job is queued again")
    site.update(job, "NumNodes=1 NumTasks=1 NumCPUs=1")  # as many as are left
    (site.storage / "resting").unlink()
    site.wait_for(lambda: site.slurm.job(job)["JobState"] == "COMPLETED", 1200, "the job ends")
    state = site.state()
    assert Counter(trial.status for trial in state.trials) == {"completed": TRIALS}
    assert all([epoch["epoch"] for epoch in trial.epochs] == [*range(1, EPOCHS + 1)] for trial in state.trials)
    site.home.run(f"python study/run.py {OPTIONS} --name uninterrupted")
    site.rsync(f"{USER}@{CONTROL}:/mnt/study/results/night results/")
    for name in ("trials.csv", "history.csv", "confirm.csv", "baseline.csv"):
        there, here = (home_table(site, study, name) for study in ("night", "uninterrupted"))
        assert there == here, name
        assert there


def home_table(site, study, name):
    """A table of a study at home, without what is measured by the clock."""
    text = site.home.run(f"cat results/{study}/{name}").stdout
    return without_timings(list(csv.DictReader(text.splitlines())))


def test_the_report_is_made_at_home(site, job):
    site.home.run("python analysis/report.py night")
    listed = site.home.run("cat results/night/report/leaderboard.csv").stdout
    assert len(list(csv.DictReader(listed.splitlines()))) == TRIALS


def test_nothing_is_left_on_the_node(site, job):
    (node,) = [host for host in site.nodes.values() if host.is_on]
    site.wait_for(lambda: not node.processes("raylet/raylet"), 60, "no Ray runs")
    site.wait_for(lambda: node.shell("ls /tmp").stdout == "", 60, "no file is left")
