"""A disk that is too small, or that fills up while a study runs."""

import errno
import os
import socket
import subprocess
from contextlib import contextmanager

import pytest
from study_processes import SMALL, TIMEOUT, epochs_of, run, start, state_of, summary_of, wait_for

from study.record import disk
from study.record.errors import StudyError, UsageError
from study.training import checkpoint


@contextmanager
def mounted(folder, size):
    """A file system of its own at `folder`, of `size` in tmpfs's words."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(command, check=False).returncode:
        pytest.skip("only root can mount a small file system, where it may")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_study_that_does_not_fit_on_its_disk_is_not_begun(tmp_path):
    with mounted(tmp_path / "small", "8m") as small:
        done = run(tmp_path, *SMALL, "--storage", str(small / "results"))
        assert (done.returncode, done.stdout) == (2, "")
        assert "0.01 GiB free, and this study's checkpoints need about" in done.stderr
        assert list(small.iterdir()) == []


def test_the_need_grows_with_the_networks_and_the_runs(tmp_path):
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    disk.check(tmp_path / "not" / "yet", 10**6, running=2, kept=3, confirmed=9)
    with pytest.raises(UsageError, match="GiB free"):
        disk.check(tmp_path, free // 12 // 4, running=2, kept=3, confirmed=9)


@pytest.mark.slow
def test_a_disk_that_fills_up_is_one_clear_error_and_the_study_goes_on_once_there_is_space(tmp_path):
    with mounted(tmp_path / "small", "100m") as small:
        (tmp_path / "results").symlink_to(small)
        argv = ["--trials", "4", "--epochs", "40", "--confirm", "1x2", "--scheduler", "none", "--max-params", "100000"]
        argv += ["--seed", "2"]  # none of whose first trials diverges
        process = start(tmp_path, *SMALL, *argv)
        wait_for(lambda: epochs_of(state_of(tmp_path)) >= 6, process)
        fill(small / "ballast")
        assert process.wait(TIMEOUT) == 1
        output = (tmp_path / "output.txt").read_text()
        assert "Traceback" not in output
        message = output.strip().splitlines()[-1]
        assert message.startswith("study: ")
        assert "No space left on device" in message
        assert "make space" in message
        assert not any(run.status == "failed" for run in state_of(tmp_path).runs.values())
        (small / "ballast").unlink()
        done = run(tmp_path, "--resume", "night")
        assert done.returncode == 0, done.stdout + done.stderr
        trials = state_of(tmp_path).trials
        assert [len(trial.epochs) for trial in trials] == [40] * 4
        assert summary_of(tmp_path)["trials"] == {"completed": 4, "stopped": 0, "failed": 0}


def fill(path):
    """Write until the disk is full, and go on as others free some of it."""
    with path.open("wb", buffering=0) as file:
        for size in (2**20, 2**12, 1):
            with pytest.raises(OSError, match="No space left"):  # noqa: PT012 - the disk is full at some write
                while True:
                    file.write(b"0" * size)


def test_an_error_that_hides_a_full_disk_is_told_as_one(tmp_path):
    def hiding():
        try:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            raise RuntimeError("unexpected pos 704 vs 598")  # as PyTorch does

    told = r"No space left on device\); make space, then go on with: .*run.py --resume night --storage"
    with pytest.raises(StudyError, match=told), disk.explained(tmp_path / "night"):
        hiding()


@pytest.mark.parametrize("code", ["EPERM", "EACCES", "ENOENT", "ENOTCONN", "ETIMEDOUT", "EIO", "ESTALE", "EROFS"])
def test_a_study_s_folder_that_cannot_be_used_is_the_disk_s_doing(code, tmp_path):
    number = getattr(errno, code)
    error = OSError(number, os.strerror(number), str(tmp_path / "night/checkpoints/t0000"))
    told = (
        f"{os.strerror(number)}.*; see that it is there and may be written, then go on with: "
        ".*run.py --resume night --storage"
    )
    with pytest.raises(StudyError, match=told), disk.explained(tmp_path / "night"):
        raise error


def test_a_checkpoint_is_not_written_to_where_the_storage_was(tmp_path):
    with pytest.raises(FileNotFoundError) as gone:
        checkpoint.save(tmp_path / "night/checkpoints", "t0000", {"epochs_done": 1})
    assert disk.problem(gone.value, tmp_path / "night")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "error", [ValueError("bad"), FileNotFoundError(errno.ENOENT, "none"), PermissionError(errno.EACCES, "no", "/etc/x")]
)
def test_other_errors_stay_what_they_are(error, tmp_path):
    with pytest.raises(type(error)), disk.explained(tmp_path):
        raise error


@pytest.mark.parametrize("code", ["ENOSPC", "EROFS", "EIO"])
def test_a_disk_elsewhere_is_named_and_the_study_s_is_not(code, tmp_path):
    number = getattr(errno, code)
    error = OSError(number, os.strerror(number), "/tmp/torchinductor/abc.so")
    assert disk.problem(error, tmp_path / "night") is None
    told = (
        rf"^/tmp/torchinductor/abc\.so on {socket.gethostname()}: {os.strerror(number)}; see to it, then go on with: "
    )
    with pytest.raises(StudyError, match=told), disk.explained(tmp_path / "night"):
        raise error


def test_the_study_s_folder_is_known_by_each_of_its_names(tmp_path):
    (tmp_path / "efs/night").mkdir(parents=True)
    (tmp_path / "results").symlink_to(tmp_path / "efs")
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "efs/night/checkpoints/t0000.pt"))
    assert disk.problem(error, tmp_path / "results/night")
