"""A driver leaves within ten seconds of a signal, whatever it waits for, and a study that can only wait ends."""

import shutil
import signal as signals
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from study_processes import (
    COMMAND,
    SMALL,
    all_ended,
    environment,
    epochs_of,
    mlflow_runs,
    run,
    start,
    state_of,
    wait_for,
)

from study.record.errors import StudyError
from study.record.events import SearchEnded, TrackingChanged
from study.search import stall
from study.search.stall import StallWatch

ROOT = Path(__file__).resolve().parents[1]

# A driver that hears of the signal, and then waits for what does not come.
HANGS = """
import sys, time
from study import interrupt
interrupt.LEAVE_SECONDS = 1.0
with interrupt.handled():
    interrupt.farewell("interrupted; go on with: study resume night")
    try:
        print("ready", flush=True)
        time.sleep(100)
    except interrupt.Interrupted:
        {then}
"""


# The tests themselves may run under nohup, or behind a shell's `&`, both of which ignore a signal.
NOT_IN_BACKGROUND = """
import signal
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
"""


def python(script, *arguments, **named):
    return subprocess.Popen(
        [sys.executable, "-c", NOT_IN_BACKGROUND + script, *map(str, arguments)],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **named,
    )


@pytest.mark.parametrize("signal", [1, 2, 15], ids=["SIGHUP", "SIGINT", "SIGTERM"])
def test_a_call_that_does_not_return_ends_with_the_process(signal):
    script = HANGS.format(then="time.sleep(60)")
    process = python(script)
    assert process.stdout.readline() == "ready\n"
    begun = time.monotonic()
    process.send_signal(signal)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert time.monotonic() - begun < 5
    assert said == "study: interrupted; go on with: study resume night\n"


def test_a_signal_that_python_never_hears_of_is_heard():
    process = python(BLOCKED)
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.5)
    process.send_signal(15)
    process.communicate(timeout=20)
    assert process.returncode == 130


READS = """
import sys, tempfile, time
from study.record import commands
def run():
    with tempfile.TemporaryDirectory(dir=sys.argv[1]):
        print("ready", flush=True)
        time.sleep(60)
sys.exit(commands.exit_status(run))
"""


@pytest.mark.parametrize("signal", [1, 2, 15], ids=["SIGHUP", "SIGINT", "SIGTERM"])
def test_a_command_that_trains_nothing_leaves_after_any_signal(signal, tmp_path):
    process = python(READS, tmp_path)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal)
    assert process.communicate(timeout=20)[1] == "study: interrupted\n"
    assert process.returncode == 130
    assert not any(tmp_path.iterdir())


def test_a_signal_while_ray_starts_is_one_line(tmp_path):
    process = start(tmp_path, *SMALL)
    wait_for(lambda: any(child.name() == "raylet" for child in psutil.Process(process.pid).children()), process)
    process.terminate()
    assert process.wait(timeout=60) == 130
    said = (tmp_path / "output.txt").read_text()
    assert said == "study: interrupted before the study began; nothing was written\n"
    assert not (tmp_path / "results").exists()


BLOCKED = """
import ctypes
from study import interrupt
interrupt.LEAVE_SECONDS = 1.0
libc = ctypes.CDLL(None)
with interrupt.handled():
    lock = ctypes.create_string_buffer(64)  # a mutex
    libc.pthread_mutex_init(lock, None)
    libc.pthread_mutex_lock(lock)
    print("ready", flush=True)
    libc.pthread_mutex_lock(lock)  # for ever; a signal does not end it
"""


def test_a_process_that_leaves_in_time_leaves_by_itself():
    process = python(HANGS.format(then="sys.exit(7)"))
    assert process.stdout.readline() == "ready\n"
    process.send_signal(2)
    process.communicate(timeout=20)
    assert process.returncode == 7


def test_an_address_where_no_ray_answers_is_one_line_in_time(tmp_path):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        begun = time.monotonic()
        done = subprocess.run(
            [*COMMAND, "--space", "digits_ae", "--name", "night"],
            cwd=tmp_path, env=environment() | {"RAY_ADDRESS": address}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        took = time.monotonic() - begun
    assert (done.returncode, done.stdout) == (2, "")
    *of_rays_own, last = done.stderr.splitlines()
    assert last == f"study: --address '{address}': no Ray cluster answers there within 15 s"
    assert not any("Traceback" in line for line in of_rays_own)
    assert took < 60  # imports on a busy machine included
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(stall.time, "monotonic", lambda: now[0])
    return now


def test_a_study_in_which_no_run_has_a_process_says_so_and_ends(clock):
    said = []
    watch = StallWatch(600.0, said.append, "--resume night")
    for clock[0] in (1.0, 59.0, 61.0, 62.0, 599.0):
        watch.look(running=0, waiting=2)
    assert len(said) == 1
    assert "2 runs wait for a process" in said[0]
    assert max(map(len, said[0].splitlines())) <= 80
    clock[0] = 600.0
    with pytest.raises(StudyError, match=r"nothing has gone on for 600 s: 2 runs wait .*; go on with: --resume night"):
        watch.look(running=0, waiting=2)


def test_a_study_waits_for_the_machines_of_an_autoscaler_unless_it_was_told_how_long(clock):
    said = []
    watch = StallWatch(None, said.append, "--resume night", may_grow=True)
    for clock[0] in range(0, 36_000, 50):
        watch.look(running=0, waiting=2)
    assert len(said) == 1
    assert "the study goes on once it comes" in " ".join(said[0].split())
    told = StallWatch(300.0, said.append, "--resume night", may_grow=True)
    fixed = StallWatch(None, said.append, "--resume night")
    clock[0] += 599.0
    fixed.look(running=0, waiting=2)
    with pytest.raises(StudyError, match="nothing has gone on for 599 s"):
        told.look(running=0, waiting=2)
    clock[0] += 1.0
    with pytest.raises(StudyError, match="nothing has gone on for 600 s"):
        fixed.look(running=0, waiting=2)


def test_an_epoch_may_take_as_long_as_it_takes(clock):
    watch = StallWatch(600.0, pytest.fail, "--resume night")
    for clock[0] in range(0, 36_000, 500):
        watch.look(running=1, waiting=3)


def test_what_happens_in_the_study_is_progress_and_what_happens_to_its_tracker_is_not(clock):
    watch = StallWatch(600.0, lambda line: None, "--resume night")
    clock[0] = 500.0
    watch.event(SearchEnded("trials"))
    clock[0] = 1000.0
    watch.look(running=0, waiting=1)
    watch.event(TrackingChanged("away"))
    clock[0] = 1101.0
    with pytest.raises(StudyError):
        watch.look(running=0, waiting=1)


def test_a_loop_that_comes_by_no_more_ends_the_process():
    script = (
        "import time\n"
        "from study.search.stall import StallWatch\n"
        "with StallWatch(0.5, print, '--resume night').watching():\n"
        "    time.sleep(60)\n"
    )
    process = python(script)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert said.startswith("study: Ray has not answered for ")
    assert said.endswith("; go on with: --resume night\n")


# A study with --notify, whose command takes longer than the driver has left.
NOTIFIES = """
import time
from types import SimpleNamespace
from unittest.mock import Mock
from study import interrupt
from study.driver import launch
from study.search.stall import StallWatch
interrupt.LEAVE_SECONDS = 1.0
command = "sh -c 'sleep 1; echo {{name}} {{status}} >> told'"
tell = launch._notice(SimpleNamespace(notify=command, name="night"), Mock())
with interrupt.handled():
    interrupt.farewell("", tell)
    try:
        print("ready", flush=True)
        {then}
    except interrupt.Interrupted:
        {at_a_signal}
"""


@pytest.mark.parametrize(
    ("then", "at_a_signal", "times", "status"),
    [
        ("time.sleep(60)", "interrupt.LEAVE_SECONDS = 60; time.sleep(60)", 2, "interrupted"),
        ("time.sleep(60)", "time.sleep(60)", 1, "interrupted"),
        ("time.sleep(60)", "tell('interrupted'); time.sleep(60)", 1, "interrupted"),
        ("with StallWatch(0.5, print, '').watching(): time.sleep(60)", "pass", 0, "failed"),
    ],
    ids=["a second signal", "a hang", "a hang after it was told", "a stall"],
)
def test_the_user_is_told_of_an_end_at_once_too(then, at_a_signal, times, status, tmp_path):
    process = python(
        f"import os, sys; sys.path.insert(0, {str(ROOT)!r}); os.chdir({str(tmp_path)!r})\n"
        + NOTIFIES.format(then=then, at_a_signal=at_a_signal)
    )
    assert process.stdout.readline() == "ready\n"
    for _ in range(times):
        process.send_signal(2)
        time.sleep(0.3)
    process.communicate(timeout=20)
    assert process.returncode == (1 if status == "failed" else 130)
    wait_for((tmp_path / "told").exists, seconds=20)
    time.sleep(1.5)  # in which it would be told again
    assert (tmp_path / "told").read_text() == f"night {status}\n"


# A driver whose Ray is a process of the name of one of Ray's.
WATCHES = """
import os, signal, subprocess, sys, time
from study import interrupt
from study.cluster import ray_watch
raylet = subprocess.Popen([sys.argv[1], "60"])
while b"raylet" not in open(f"/proc/{{raylet.pid}}/comm", "rb").read():
    time.sleep(0.01)
def drive():
    with ray_watch.watching("--resume night"):
        {then}
    raylet.kill()
    time.sleep(1)
    return 0
sys.exit(interrupt.interruptible(drive, "interrupted"))
"""
DIED = "study: Ray's raylet has died (the machine's memory may have run out); go on with: --resume night\n"


@pytest.mark.parametrize(
    ("then", "status", "line"),
    [
        ("raylet.kill(); time.sleep(60)", 1, DIED),
        ("raylet.kill(); raise OSError('what Ray makes of it')", 1, DIED),
        ("raylet.kill(); os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)", 130, "study: interrupted\n"),
        ("time.sleep(0.1)", 0, ""),
    ],
    ids=["in the middle", "as another error", "by a signal to all", "after the end"],
)
def test_a_driver_whose_ray_dies_says_so_and_leaves(then, status, line, tmp_path):
    (tmp_path / "raylet").symlink_to(shutil.which("sleep"))
    process = python(WATCHES.format(then=then), tmp_path / "raylet")
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (status, line)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["raylet", "gcs_server"])
def test_a_study_whose_ray_dies_ends_in_order_and_is_resumed(name, tmp_path):
    process = start(
        tmp_path, "--space", "digits_ae", "--name", "night", "--train-size", "200", "--trials", "2", "--epochs", "300",
        "--scheduler", "none", "--confirm", "0", "--notify", "sh -c 'echo {name} {status} >> told'",
    )  # fmt: skip
    wait_for(lambda: epochs_of(state_of(tmp_path)) >= 3, process)
    of_ray = psutil.Process(process.pid).children()
    (victim,) = (child for child in of_ray if child.name() == name)
    victim.kill()
    assert process.wait(timeout=60) == 1
    said = (tmp_path / "output.txt").read_text()
    assert f"study: Ray's {name} has died (" in said
    assert "; go on with: " in said
    assert "Traceback" not in said
    wait_for((tmp_path / "told").exists, seconds=20)
    assert (tmp_path / "told").read_text() == "night failed\n"
    runs, _, _ = mlflow_runs(tmp_path)
    assert all(run.info.status != "RUNNING" for run in runs)
    done = run(tmp_path, "--resume", "night")
    assert done.returncode == 0, done.stdout + done.stderr
    assert all_ended(mlflow_runs(tmp_path)[0])


@pytest.fixture
def hanging(tmp_path):
    """A study whose raylet has stopped answering in the middle of its search, and nothing else has."""
    process = start(
        tmp_path, "--space", "digits_ae", "--name", "night", "--train-size", "200", "--trials", "4", "--epochs", "2000",
        "--scheduler", "none", "--confirm", "0", "--stall", "20s",
    )  # fmt: skip
    wait_for(lambda: epochs_of(state_of(tmp_path)) >= 3, process)
    of_ray = psutil.Process(process.pid).children(recursive=True)
    (raylet,) = (child for child in of_ray if child.name() == "raylet")
    raylet.suspend()
    yield process
    for child in of_ray:
        if child.is_running():
            child.kill()


@pytest.mark.slow
def test_a_study_whose_ray_hangs_leaves_when_it_is_asked_to(hanging, tmp_path):
    time.sleep(3)
    begun = time.monotonic()
    hanging.send_signal(signals.SIGINT)
    assert hanging.wait(timeout=60) == 130
    assert time.monotonic() - begun < 12
    assert "interrupted; go on with: " in (tmp_path / "output.txt").read_text()
    assert state_of(tmp_path).trials


@pytest.mark.slow
def test_a_study_whose_ray_hangs_for_good_ends_by_itself(hanging, tmp_path):
    assert hanging.wait(timeout=400) == 1
    last = (tmp_path / "output.txt").read_text().rstrip().splitlines()[-1]
    assert last.startswith("study: ")
    assert "has not answered for" in last or "nothing has gone on for" in last
    assert "; go on with: " in last
