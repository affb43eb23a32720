"""What the journal says that a study has left is on the disk before it says so, and is made again where it is not."""

import os
import shutil
import subprocess
import sys
import time

import pytest
import torch
from small_networks import network
from study_processes import (
    COMMAND,
    SMALL,
    environment,
    kill_with_children,
    mlflow_runs,
    prepare,
    run,
    state_of,
    table,
    wait_for,
    without_timings,
)

import models
from study.driver import winner
from study.record import files, kept
from study.record.folder import StudyFolder
from study.training import checkpoint


@pytest.fixture
def synced(monkeypatch):
    """The inodes that the disk was told to keep."""
    seen = []
    real = os.fsync

    def fsync(descriptor):
        seen.append(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return seen


def test_a_network_and_a_checkpoint_are_on_the_disk_when_they_are_said_to_be_written(tmp_path, synced):
    models.save(network("ae"), {"family": "ae", "architecture": "dense"}, (1, 8, 8), 4, tmp_path / "net")
    checkpoint.save(tmp_path / "runs", "t0000", {"epochs_done": 1, "weights": torch.zeros(3)})
    for path in (tmp_path / "net/model.pt", tmp_path / "net/config.json", tmp_path / "net"):
        assert path.stat().st_ino in synced, path
    for path in (tmp_path / "runs/t0000/checkpoint.pt", tmp_path / "runs/t0000"):
        assert path.stat().st_ino in synced, path


def test_what_is_promoted_is_on_the_disk(tmp_path, synced):
    folder = StudyFolder(tmp_path / "night")
    found = {name: folder.checkpoints / "t0000-s4" / name for name in (*kept.NETWORK, "reconstructions.npz")}
    for name, path in found.items():
        files.write_text(path, name)
    synced.clear()
    winner.promote(folder, found)
    for path in (folder.best / "model.pt", folder.samples / "reconstructions.npz", folder.best, folder.path):
        assert path.stat().st_ino in synced, path


@pytest.mark.parametrize("harm", ["empty", "shorter", "changed", "gone", "a folder"])
def test_a_file_that_is_not_as_it_was_left_is_told(harm, tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(b"weights" * 1000)
    said = kept.fingerprints(tmp_path, ["*.pt"])["model.pt"]
    assert kept.is_intact(path, said)
    match harm:
        case "empty":
            path.write_bytes(b"")
        case "shorter":
            path.write_bytes(b"weights" * 999)
        case "changed":
            path.write_bytes(b"weighst" + b"weights" * 999)
        case "gone":
            path.unlink()
        case "a folder":
            path.unlink()
            path.mkdir()
    assert not kept.is_intact(path, said)


def harm(results):
    (results / "best/model.pt").write_bytes(b"")
    (results / "trials.csv").unlink()
    (results / "summary.json").write_bytes(b"")
    shutil.rmtree(results / "checkpoints")
    for file in (results / "samples").iterdir():
        file.write_bytes(file.read_bytes()[:100])


@pytest.mark.slow
def test_what_is_broken_of_a_finished_study_is_made_again(tmp_path):
    argv = [*SMALL, "--seed", "5", "--trials", "2", "--confirm", "1x1", "--max-concurrent", "1"]
    assert run(tmp_path, *argv).returncode == 0
    results = tmp_path / "results/night"
    before = {path: path.read_bytes() for path in results.rglob("*") if path.is_file() and "report" not in path.parts}
    models_before = logged_models(tmp_path)
    harm(results)
    done = run(tmp_path, "--resume", "night")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "files are missing or damaged and are made again: " in done.stderr
    for path in (*(results / "best").iterdir(), *(results / "samples").glob("*.npz"), results / "summary.json"):
        assert path.read_bytes() == before[path], path
    assert (results / "trials.csv").read_bytes() == before[results / "trials.csv"]
    assert logged_models(tmp_path) == models_before
    again = run(tmp_path, "--resume", "night")
    assert "is finished" in again.stdout


def logged_models(folder):
    _, client, experiment = mlflow_runs(folder)
    return [model.model_id for model in client.search_logged_models([experiment.experiment_id])]


@pytest.mark.slow
def test_the_checkpoint_of_the_best_trial_is_made_again_by_its_seed(tmp_path):
    argv = [*SMALL, "--seed", "5", "--trials", "2", "--confirm", "0", "--max-concurrent", "1"]
    assert run(tmp_path, *argv).returncode == 0
    results = tmp_path / "results/night"
    weights = torch.load(results / "best/model.pt", weights_only=True)
    history = (results / "history.csv").read_bytes()
    shutil.rmtree(results / "checkpoints")
    (results / "best/model.pt").write_bytes(b"")
    done = run(tmp_path, "--resume", "night")
    assert done.returncode == 0, done.stdout + done.stderr
    again = torch.load(results / "best/model.pt", weights_only=True)
    assert all(torch.equal(weights[name], again[name]) for name in weights)
    assert (results / "history.csv").read_bytes() == history


POWER_CUT = """
import fcntl, os, struct, sys
folder = os.open(sys.argv[1], os.O_RDONLY)
fcntl.ioctl(folder, 0x8004587D, struct.pack("I", 2))  # EXT4_IOC_SHUTDOWN, without a flush of the log
"""


def cut_power(folder, moment, number, after, argv):
    """Run a study on a file system of its own that is shut down `after` seconds after the `number`th line `moment`."""
    disk, mount = folder / "disk.img", folder / "results"
    mount.mkdir(exist_ok=True)
    with disk.open("wb") as file:
        file.truncate(200 * 2**20)
    made = subprocess.run(["mkfs.ext4", "-q", str(disk)], check=False).returncode if shutil.which("mkfs.ext4") else 1
    if os.geteuid() or made or subprocess.run(["mount", "-o", "loop", disk, mount], check=False).returncode:
        pytest.skip("only root can mount a file system of its own, where it may")
    try:
        os.sync()
        prepare(folder)
        with (folder / "output.txt").open("w") as log:
            process = subprocess.Popen([*COMMAND, *argv], cwd=folder, env=environment(), stdout=log, stderr=log)
        journal = mount / "night/journal.jsonl"
        while not (journal.exists() and journal.read_bytes().count(f'"event": "{moment}"'.encode()) >= number):
            assert process.poll() is None, (folder / "output.txt").read_text()
            time.sleep(0.005)
        time.sleep(after)
        subprocess.run([sys.executable, "-c", POWER_CUT, str(mount)], check=True)
        kill_with_children(process)
    finally:
        subprocess.run(["umount", "--lazy", mount], check=True)
    # While a killed process still holds a file there, a mount would give the file system without power again.
    wait_for(lambda: not subprocess.run(["losetup", "-j", disk], capture_output=True, check=True).stdout, seconds=60)
    subprocess.run(["mount", "-o", "loop", disk, mount], check=True)


ARGV = [*SMALL, "--seed", "5", "--trials", "3", "--confirm", "2x2", "--max-concurrent", "1"]
# Of what is written many times, three different ones; of what is written once, three times after it.
CUTS = [
    *(("run", number, 0.0) for number in (1, 4, 7)),
    *(("epoch", number, 0.0) for number in (2, 8, 13)),
    *(("end", number, 0.0) for number in (1, 3, 5)),
    *((moment, 1, after) for moment in ("search_end", "baseline", "finish", "published") for after in (0.0, 0.05, 0.2)),
]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The folder of the study that nobody has cut off."""
    folder = tmp_path_factory.mktemp("on")
    assert run(folder, *ARGV).returncode == 0
    return folder / "results/night"


@pytest.mark.slow
@pytest.mark.parametrize(("moment", "number", "after"), CUTS)
def test_a_study_whose_power_is_cut_comes_to_the_tables_of_one_that_went_on(
    moment, number, after, uninterrupted, tmp_path
):
    cut_power(tmp_path, moment, number, after, ARGV)
    study = tmp_path / "results/night"
    try:
        done = run(tmp_path, "--resume", "night")
        assert done.returncode == 0, done.stdout + done.stderr
        for name in ("trials.csv", "history.csv", "confirm.csv", "baseline.csv"):
            one, other = (without_timings(table(folder / name)) for folder in (uninterrupted, study))
            assert one == other, name
        assert models.load(study / "best")
        assert not kept.damaged(StudyFolder(study), state_of(tmp_path))
    finally:
        subprocess.run(["umount", "--lazy", tmp_path / "results"], check=True)
