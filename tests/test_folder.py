import errno
import fcntl
import os
import socket
import subprocess
import sys

import pytest
from recorded_studies import write_study

from analysis import compare, leaderboard
from study import simulate
from study.driver import inputs, launch
from study.record import files as atomic
from study.record import folder
from study.record.errors import UsageError
from study.settings import command_line
from study.settings.resolve import settings_of


def test_a_new_study_has_a_folder_and_a_lock(tmp_path):
    with folder.created(tmp_path / "deep" / "results", "night") as made:
        made.journal.write_text("{}\n")
        assert made.path.is_dir()
        by = rf"is being run by another process \({os.getpid()} on {socket.gethostname()}, since 2\d{{3}}-.*\)"
        with pytest.raises(UsageError, match=by):
            # A lock of the same process would be granted again: ask from another one.
            _lock_elsewhere(made.path)
    with folder.locked(made):
        pass


# A driver that has taken the lock, and comes to say so a while later.
SLOW = """
import fcntl, os, sys, time
descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.lockf(descriptor, fcntl.LOCK_EX)
print("locked", flush=True)
for part in (b"4711 on ", b"host, since now\\n"):
    time.sleep(0.3)
    os.write(descriptor, part)
sys.stdin.read()
"""


def test_a_driver_is_named_that_has_just_taken_the_lock(tmp_path):
    made = folder.StudyFolder(tmp_path)
    with subprocess.Popen([sys.executable, "-c", SLOW, made.lock], stdin=-1, stdout=-1) as holder:
        assert holder.stdout.readline() == b"locked\n"
        by = r"run by another process \(4711 on host, since now\)$"
        with pytest.raises(UsageError, match=by), folder.locked(made):
            pass
        holder.stdin.close()


def _lock_elsewhere(path):
    code = (
        "import sys; from pathlib import Path; from study.record.folder import StudyFolder, locked\n"
        f"with locked(StudyFolder(Path({str(path)!r}))): pass"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UsageError(done.stderr)


def test_a_folder_in_which_nothing_was_recorded_is_taken_away_again(tmp_path):
    with pytest.raises(RuntimeError), folder.created(tmp_path / "results", "night"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_a_journal_stays(tmp_path):
    with pytest.raises(RuntimeError):
        _record_and_fail(tmp_path)
    assert (tmp_path / "results" / "night" / "journal.jsonl").exists()


def _record_and_fail(storage):
    with folder.created(storage / "results", "night") as made:
        made.journal.write_text("{}\n")
        raise RuntimeError


def test_an_existing_name_is_refused_and_left_alone(tmp_path):
    (tmp_path / "night").mkdir()
    (tmp_path / "night" / "mine.txt").write_text("x")
    with pytest.raises(UsageError, match="--name 'night' exists"), folder.created(tmp_path, "night"):
        pass
    assert (tmp_path / "night" / "mine.txt").read_text() == "x"


@pytest.mark.parametrize("below", ["", "results"])
@pytest.mark.parametrize("kind", ["file", "link to nothing"])
def test_storage_that_is_no_folder_is_refused_before_anything_starts(kind, below, tmp_path):
    place = tmp_path / "place"
    if kind == "file":
        place.write_text("x")
    else:
        place.symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="place is not a folder"):
        folder.check_new(place / below, "night")
    assert [path.name for path in tmp_path.iterdir()] == ["place"]


@pytest.mark.skipif(os.geteuid() != 0, reason="to be another user needs root")
def test_storage_in_a_folder_that_is_closed_to_this_user_is_refused(tmp_path):
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    os.seteuid(65534)
    try:
        with pytest.raises(UsageError, match="is not writable; name a folder that is"):
            folder.check_new(private / "results", "night")
    finally:
        os.seteuid(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a read-only file system needs root")
def test_storage_on_a_read_only_mount_is_refused(tmp_path):
    mount = tmp_path / "mount"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", str(mount)], check=False).returncode:
        pytest.skip("this machine does not let root mount a tmpfs")
    try:
        with pytest.raises(UsageError, match="mount is not writable; name a folder that is"):
            folder.check_new(mount / "results", "night")
    finally:
        subprocess.run(["umount", str(mount)], check=True)


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", "", "a" * 101, "tab\t", "-x"])
def test_names_that_could_leave_the_storage_folder_are_refused(name):
    with pytest.raises(UsageError, match="cannot name a study"):
        folder.check_name(name)


def test_a_path_in_place_of_a_name_is_answered_with_the_name_and_by_what_was_typed(tmp_path, monkeypatch, capsys):
    write_study(tmp_path / "results", "night", [])
    monkeypatch.chdir(tmp_path)
    assert simulate.main(["results/night"]) == 2
    expected = "study: NAME 'results/night' cannot name a study (did you mean night?); allowed: up to 100 letters"
    assert capsys.readouterr().err.startswith(expected)
    for command in (leaderboard, compare):
        assert command.main(["results/night"]) == 2
        expected = "study: there is no study 'results/night' in results (did you mean night?); there are: night\n"
        assert capsys.readouterr().err == expected


def test_resuming_an_unknown_study_names_the_nearest(tmp_path):
    (tmp_path / "night-1").mkdir()
    (tmp_path / "night-1" / "journal.jsonl").write_text("{}\n")
    with pytest.raises(UsageError, match=r"did you mean night-1\?"):
        folder.existing(tmp_path, "nigth-1")


def test_a_file_is_whole_or_as_it_was(tmp_path):
    path = tmp_path / "file.txt"
    atomic.write_text(path, "before")

    def fail(part):
        part.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        atomic.write(path, fail)
    assert path.read_text() == "before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]


@pytest.mark.parametrize("left", ["", '{"event": "stu'])
def test_a_journal_without_a_whole_line_does_not_keep_the_name_taken(tmp_path, left):
    (tmp_path / "night").mkdir()
    (tmp_path / "night" / "journal.jsonl").write_text(left)
    with pytest.raises(UsageError, match="there is no study in"):
        folder.existing(tmp_path, "night")
    with folder.created(tmp_path, "night") as made:
        made.journal.write_text("{}\n")
    with pytest.raises(UsageError, match="--name 'night' exists"), folder.created(tmp_path, "night"):
        pass


def test_a_study_that_another_process_is_beginning_is_left_alone(tmp_path):
    with folder.created(tmp_path, "night") as made:
        made.journal.touch()
        code = (
            "from pathlib import Path; from study.record import folder\n"
            f"with folder.created(Path({str(tmp_path)!r}), 'night'): pass"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert "is being run by another process" in done.stderr
        assert made.journal.exists()


def test_a_name_that_is_taken_is_refused_before_data_are_read(tmp_path, monkeypatch):
    (tmp_path / "night").mkdir()
    (tmp_path / "night" / "mine.txt").touch()
    monkeypatch.setattr(inputs, "load", lambda settings: pytest.fail("data are read"))
    given = command_line.parse(["--space", "digits_ae", "--name", "night", "--storage", str(tmp_path)]).given
    with pytest.raises(UsageError, match="--name 'night' exists"):
        launch.start(settings_of(given))


def test_a_name_is_free_where_a_driver_died_before_its_first_line(tmp_path):
    assert folder.check_new(tmp_path, "night").path == tmp_path / "night"
    (tmp_path / "night").mkdir()
    (tmp_path / "night" / "journal.jsonl").touch()
    assert folder.check_new(tmp_path, "night").path == tmp_path / "night"
    (tmp_path / "night" / "journal.jsonl").write_text("{}\n")
    with pytest.raises(UsageError, match="--name 'night' exists"):
        folder.check_new(tmp_path, "night")


def test_a_driver_killed_before_its_first_line_leaves_the_name_free(tmp_path):
    code = (
        "import os; from pathlib import Path; from study.record import folder\n"
        f"with folder.created(Path({str(tmp_path)!r}), 'night') as made:\n"
        "    (made.path / '.reached-by-abc').touch(); made.code.touch(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert sorted(path.name for path in (tmp_path / "night").iterdir()) == [".lock", ".reached-by-abc", "space.py"]
    folder.check_new(tmp_path, "night")
    with folder.created(tmp_path, "night") as made:
        made.journal.write_text("{}\n")
    assert folder.existing(tmp_path, "night") == made


def test_what_a_user_has_put_beside_an_empty_journal_is_left_alone(tmp_path):
    (tmp_path / "night").mkdir()
    (tmp_path / "night" / "journal.jsonl").touch()
    (tmp_path / "night" / "mine.txt").touch()
    refused = pytest.raises(UsageError, match=r"exists in .* and is no study, but has mine\.txt; choose another")
    with refused, folder.created(tmp_path, "night"):
        pass
    assert (tmp_path / "night" / "mine.txt").exists()


@pytest.mark.parametrize("code", ["ENOLCK", "ENOSYS", "EOPNOTSUPP"])
def test_a_file_system_without_locks_is_no_other_process(tmp_path, monkeypatch, code):
    number = getattr(errno, code)

    def lockf(*arguments):
        raise OSError(number, os.strerror(number))

    (tmp_path / "night").mkdir()
    study = folder.StudyFolder(tmp_path / "night")
    study.lock.touch()
    monkeypatch.setattr(fcntl, "lockf", lockf)
    told = rf"night: this file system takes no locks \({os.strerror(number)}\)"
    with pytest.raises(UsageError, match=told), folder.locked(study):
        pass
    assert not study.is_locked


def test_a_lock_that_a_lost_machine_has_left_goes_with_its_file(tmp_path):
    (tmp_path / "night").mkdir()
    study = folder.StudyFolder(tmp_path / "night")
    with folder.locked(study):
        study.lock.unlink()
        _lock_elsewhere(study.path)
