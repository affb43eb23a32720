import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import psutil
import pytest
import ray
from ray.util.placement_group import placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy
from study_processes import TIMEOUT, environment, wait_for
from threadpoolctl import threadpool_info

from study import cluster_check
from study.cluster import joining
from study.record import machine
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


@pytest.mark.parametrize("ready", [True, False])
def test_processes_that_are_to_train_have_imported_what_that_takes_and_others_nothing(ready):
    def imported():
        return {name for name in ("torch", "torch._dynamo", "ray.tune", "study.worker.worker") if name in sys.modules}

    with joining.joined(None, runs=machine.cores() if ready else 0):
        found = ray.get(ray.remote(imported).remote())
    assert found == ({"torch", "torch._dynamo", "ray.tune", "study.worker.worker"} if ready else set())


@pytest.mark.parametrize("runs", [0, 2])
def test_a_call_has_the_threads_of_its_cores_wherever_it_runs(runs, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(machine, "cores", lambda: 2)

    def threads():
        import numpy as np  # noqa: F401

        return {pool["num_threads"] for pool in threadpool_info() if pool["internal_api"] == "openblas"}

    with joining.joined(None, runs=runs):
        assert [joining.run_on_node(threads, cpus=cpus) for cpus in (1, 2)] == [{1}, {2}]


def test_a_run_that_is_slow_to_begin_finds_the_processes_that_ray_has_ready():
    """Its cores are reserved before, and then Ray ends idle processes: there are more of them than free cores."""

    class Run:
        def pid(self):
            return os.getpid()

    def idle():
        return {child.pid for child in psutil.Process().children(recursive=True) if "ray::IDLE" in child.cmdline()}

    with joining.joined(None):
        wait_for(lambda: len(idle()) >= machine.cores())
        before = idle()
        cores = placement_group([{"CPU": 1}] * machine.cores())
        assert cores.wait(TIMEOUT)
        time.sleep(3)
        there = PlacementGroupSchedulingStrategy(cores)
        runs = [ray.remote(Run).options(num_cpus=1, scheduling_strategy=there).remote() for _ in cores.bundle_specs]
        assert set(ray.get([run.pid.remote() for run in runs])) <= before


def test_a_cluster_that_is_not_there_is_bad_input():
    told = "--address '127.0.0.1:9': no Ray cluster can be reached there"
    with pytest.raises(UsageError, match=told.replace(".", r"\.")), joining.joined("127.0.0.1:9"):
        pass


@pytest.mark.parametrize(
    "address", ["localhost", "127.0.0.1:", "ray://127.0.0.1", ":6379", "127.0.0.1:x", "127.0.0.1:0", "127.0.0.1:65536"]
)
def test_an_address_without_a_host_or_a_port_is_told_what_is_allowed(address):
    with pytest.raises(UsageError) as told, joining.joined(address):
        pass
    assert str(told.value) == f"--address {address!r}: give HOST:PORT, such as 10.0.0.1:6379, or auto"


def test_a_process_that_computed_once_does_not_stay_with_what_it_took(tmp_path):
    """The PCA of images that are larger than memory left half a gigabyte in an idle process, beside the trials."""
    script = tmp_path / "once.py"
    script.write_text(
        "import os, time\n"
        "from study.cluster import joining\n"
        "def pid():\n"
        "    return os.getpid()\n"
        "with joining.joined(None):\n"
        "    called = joining.run_on_node(pid, cpus=1)\n"
        "    ends = time.monotonic() + 30\n"
        "    while os.path.exists(f'/proc/{called}') and time.monotonic() < ends:\n"
        "        time.sleep(0.1)\n"
        "    print('gone' if not os.path.exists(f'/proc/{called}') else 'there')\n"
    )
    env = environment() | {"PYTHONPATH": str(joining.ROOT)}
    command = [sys.executable, str(script)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.split()[-1] == "gone", done.stdout + done.stderr


BEGUN = """
import json, os, time, psutil, ray
from study.cluster import joining
from study.search.controller import PlainActors

def commands():
    return {child.pid: " ".join(child.cmdline()) for child in psutil.Process().children(recursive=True)}

class Where:
    def pid(self):
        return os.getpid()

with joining.joined(None):
    ends = time.monotonic() + 60
    while not (ready := [pid for pid, words in commands().items() if "IDLE" in words]) and time.monotonic() < ends:
        time.sleep(0.1)
    where = ray.get(PlainActors().get(Where).remote().pid.remote())
    print(json.dumps({"reused": where in ready, "commands": list(commands().values())}))
"""


def test_a_local_ray_has_only_the_processes_that_a_study_needs_and_trials_begin_in_those_that_are_ready(tmp_path):
    script = tmp_path / "begun.py"
    script.write_text(BEGUN)
    env = environment() | {"PYTHONPATH": str(joining.ROOT)}
    command = [sys.executable, str(script)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["reused"]
    assert any("raylet" in words for words in said["commands"])
    for unneeded in ("dashboard/dashboard.py", "autoscaler/_private/monitor.py", "log_monitor.py"):
        assert not any(unneeded in words for words in said["commands"]), said["commands"]


def test_a_head_that_is_just_starting_is_waited_for_and_one_that_never_does_is_told():
    with socket.socket() as head:
        head.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{head.getsockname()[1]}"
        with pytest.raises(UsageError, match="no Ray cluster can be reached there"):
            joining._check_address(address, patience=0.5)
        threading.Timer(1.0, head.listen).start()
        begun = time.monotonic()
        joining._check_address(address, patience=60.0)
        assert time.monotonic() - begun >= 0.9


def test_nodes_are_waited_for_until_they_are_there_and_no_longer_than_said(monkeypatch):
    looks = iter([["head"], ["head"], ["head", "worker"]])
    monkeypatch.setattr(joining, "nodes", lambda: next(looks))
    monkeypatch.setattr(joining.time, "sleep", lambda seconds: None)
    joining.await_nodes(2, seconds=60.0)
    assert next(looks, None) is None
    monkeypatch.setattr(joining, "nodes", lambda: ["head"])
    joining.await_nodes(2, seconds=0.1)


def test_who_waits_says_for_how_many_nodes(capsys):
    assert cluster_check.main(["--wait", "5m"]) == 2
    assert capsys.readouterr().err == "study: --wait goes with --nodes N, how many nodes to wait for\n"
