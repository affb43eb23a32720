"""cluster-slurm.sh as SLURM runs it, with programs that only note how they were called: no SLURM, no Ray."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "cluster-slurm.sh"
# `ray start --head` writes its address where Ray does; `study run` trains until it is told to leave, as $STUDY says.
RAY = """
echo "ray $*" >> $CALLS
for word; do case $word in --temp-dir=*) at=${word#*=};; esac; done
mkdir -p $at && echo 10.0.0.1:40123 > $at/ray_current_cluster
trap 'exit 1' TERM
while :; do sleep 0.05; done
"""
PYTHON = """
case $1 in -c) exec python3 "$@";; esac
echo "$* RAY_ADDRESS=${RAY_ADDRESS:-} MLFLOW_TRACKING_URI=$MLFLOW_TRACKING_URI token=${#RAY_AUTH_TOKEN}" >> $CALLS
case $1 in *cluster_check.py) until grep -q ^srun $CALLS; do sleep 0.05; done; exit ${CHECK:-0};; esac
[ "$STUDY" = trains ] || exit $STUDY
echo training >> $CALLS
trap 'exit 130' TERM
while :; do sleep 0.05; done
"""
NOTED = 'echo "$(basename $0) $*" >> $CALLS\n[ "$1 $2" != "show hostnames" ] || printf "node1\\nnode2\\n"\n'


@pytest.fixture
def site(tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "run.py").touch()
    programs = tmp_path / "venv" / "bin"
    programs.mkdir(parents=True)
    for name, text in {"ray": RAY, "python": PYTHON, "srun": NOTED, "scontrol": NOTED, "scancel": NOTED}.items():
        (programs / name).write_text(f"#!/bin/bash\n{text}")
        (programs / name).chmod(0o755)
    return tmp_path


def start(site, *words, **environment):
    slurm = {"SUBMIT_DIR": site, "JOB_ID": 7, "CPUS_ON_NODE": 1, "JOB_NODELIST": "node[1-2]", "JOB_NUM_NODES": 2}
    given = {f"SLURM_{name}": str(value) for name, value in slurm.items()} | {"SLURMD_NODENAME": "node1"}
    own = {"CALLS": str(site / "calls"), "STUDY_STORAGE": str(site / "results"), "STUDY_VENV": str(site / "venv")}
    given |= {**own, "STUDY_SCRATCH": str(site), "PATH": os.environ["PATH"], "HOME": str(site), "STUDY": "trains"}
    return subprocess.Popen(
        ["bash", SCRIPT, *words], env=given | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def calls(site):
    file = site / "calls"
    return file.read_text().splitlines() if file.exists() else []


def wait_for(site, words):
    ends = time.monotonic() + 60
    while not any(words in call for call in calls(site)):
        assert time.monotonic() < ends, calls(site)
        time.sleep(0.02)


def end(job, **expected):
    out, err = job.communicate(timeout=60)
    assert job.returncode == expected["status"], out + err
    return out, err


def test_a_study_that_ends_is_not_queued_again_and_leaves_nothing_on_the_node(site):
    end(start(site, "night", "--space", "digits_ae", STUDY="0"), status=0)
    said = calls(site)
    assert said[-1] == "scancel --signal=TERM 7"  # the steps of the other nodes
    (run,) = [call for call in said if call.startswith("study/run.py")]
    assert run.startswith(
        f"study/run.py --name night --or-resume --storage {site}/results --space digits_ae RAY_ADDRESS=10.0.0.1:40123 "
    )
    assert f"MLFLOW_TRACKING_URI=sqlite:///{site}/results/night.mlflow.db token=64" in run
    (step,) = [call for call in said if call.startswith("srun")]  # one for the other node; the head's is this one
    assert "--nodelist=node2" in step
    assert not list(site.glob("study-7-*"))


def test_before_the_wall_limit_the_study_leaves_and_the_job_is_queued_again(site):
    job = start(site, "night", "--space", "digits_ae")
    wait_for(site, "training")
    job.send_signal(signal.SIGUSR1)
    out, _ = end(job, status=130)
    assert calls(site)[-1] == "scontrol requeue 7"
    assert "the wall limit is near; study night goes on when the job starts again" in out
    assert not list(site.glob("study-7-*"))


@pytest.mark.parametrize("moment", ["ray start", "cluster_check.py"])
def test_a_signal_that_comes_before_the_study_begins_is_not_lost(moment, site):
    job = start(site, "night")
    wait_for(site, moment)
    job.send_signal(signal.SIGUSR1)
    job.communicate(timeout=60)
    assert calls(site)[-1] == "scontrol requeue 7"


def test_a_job_that_is_cancelled_is_not_queued_again(site):
    job = start(site, "night")
    wait_for(site, "training")
    job.send_signal(signal.SIGTERM)
    end(job, status=130)
    assert not any(call.startswith("scontrol requeue") for call in calls(site))


def test_a_study_that_fails_is_not_queued_again(site):
    end(start(site, "night", STUDY="1"), status=1)
    assert not any(call.startswith("scontrol requeue") for call in calls(site))


def test_there_is_an_end_to_being_queued_again(site):
    job = start(site, "night", SLURM_RESTART_COUNT="2", STUDY_GOES="3")
    wait_for(site, "training")
    job.send_signal(signal.SIGUSR1)
    _, err = end(job, status=2)
    assert "study night is not finished after GOES=3 goes" in err
    assert not any(call.startswith("scontrol requeue") for call in calls(site))


def test_a_failed_check_ends_the_first_go_and_no_later_one(site):
    end(start(site, "night", CHECK="1", STUDY="0"), status=1)
    assert not any(call.startswith("study/run.py") for call in calls(site))
    end(start(site, "night", CHECK="1", STUDY="0", SLURM_RESTART_COUNT="1"), status=0)
    assert any(call.startswith("study/run.py") for call in calls(site))


def test_the_tasks_of_an_array_are_studies_of_their_own(site):
    end(start(site, "night-%a", "--seed", "%a", STUDY="0", SLURM_ARRAY_TASK_ID="3"), status=0)
    assert any("--name night-3 --or-resume" in call and "--seed 3" in call for call in calls(site))


def test_a_task_that_has_the_number_of_its_array_leaves_the_other_tasks_alone(site):
    numbers = {"SLURM_JOB_ID": "77", "SLURM_ARRAY_JOB_ID": "77", "SLURM_ARRAY_TASK_ID": "3"}
    job = start(site, "night-%a", **numbers)
    wait_for(site, "training")
    job.send_signal(signal.SIGUSR1)
    end(job, status=130)
    said = calls(site)
    assert said[-2:] == ["scancel --signal=TERM 77_3", "scontrol requeue 77_3"]
    (sent,) = [call for call in said if call.startswith("srun")]  # to the other node, which may queue the job again
    assert 'declare -- JOB="77_3"' in sent
    assert not any("SLURM_JOB_ID" in call for call in said)


def test_what_is_missing_is_one_line(site):
    for words, environment, said in (
        (["--space", "digits_ae"], {}, "the study's name comes first"),
        ([], {}, "the study's name comes first"),
        (["night"], {"STUDY_VENV": "/nowhere"}, "VENV /nowhere has no Ray"),
        (["night"], {"SLURM_SUBMIT_DIR": "/"}, "/ is not the project's folder"),
    ):
        _, err = end(start(site, *words, **environment), status=2)
        assert said in err
        assert err.count("\n") == 1
    assert calls(site) == []


def test_ray_knows_every_option_that_it_is_given():
    scripts = pytest.importorskip("ray.scripts.scripts")
    known = {option for parameter in scripts.start.params for option in parameter.opts}
    given = set(re.findall(r"--[a-z-]+", "".join(re.findall(r"ray start (?:[^\n]*\\\n)*[^\n]*", SCRIPT.read_text()))))
    given |= set(re.findall(r"--[a-z-]+", re.search(r"^    node (.*) &$", SCRIPT.read_text(), re.M)[1]))
    assert {"--temp-dir", "--min-worker-port", "--head", "--ray-client-server-port"} <= given
    assert given <= known


def test_sbatch_is_asked_for_a_signal_in_time_and_every_choice_is_marked():
    text = SCRIPT.read_text()
    asked = dict(re.findall(r"^#SBATCH --([a-z-]+)(?:=(\S+))?", text, re.M))
    assert asked["signal"] == "B:USR1@60"
    assert asked["open-mode"] == "append"
    assert {"requeue", "no-kill", "nodes", "time", "cpus-per-task"} <= asked.keys()
    assert text.count("# CHOOSE") >= 5
