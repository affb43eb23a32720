"""What a study and its Ray leave on the machine: nothing that others can read, and nothing once they are gone."""

import fcntl
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from study.cluster import joining, scratch
from study.record.errors import UsageError

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder of temporary files, with a short path, as Ray's sockets need it."""
    folder = Path(f"/tmp/st{os.getpid()}")
    folder.mkdir(mode=0o777)
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield folder
    subprocess.run(["rm", "-rf", str(folder)], check=True)


def test_a_temporary_folder_is_private_and_goes_with_its_driver(temporary):
    with scratch.folder() as one, scratch.folder() as other:
        assert one != other
        for path in (one, other):
            assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert list(temporary.iterdir()) == []


def test_a_folder_that_another_driver_removes_before_it_is_locked_is_made_again(temporary, monkeypatch):
    lock, others = fcntl.flock, []

    def late(descriptor, how):
        if not others:
            others.append("another driver, which looks for what dead ones left")
            with scratch.folder():
                pass
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with scratch.folder() as path:
        assert list(temporary.iterdir()) == [path]
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        with scratch.folder():
            assert path.is_dir()
    assert list(temporary.iterdir()) == []


KILLED = """
import os, tempfile
from study.cluster import scratch
tempfile.tempdir = {folder!r}
with scratch.folder() as place:
    (place / "session").mkdir()
    os.kill(os.getpid(), 9)
"""


def test_the_folder_of_a_driver_that_was_killed_goes_at_the_next_start_and_no_other(temporary):
    (temporary / "study-mine1234").mkdir()  # without a lock: another program's, or one that is just being made
    (temporary / "study-report-abcdefgh").mkdir()
    with scratch.folder() as alive:
        subprocess.run([sys.executable, "-c", KILLED.format(folder=str(temporary))], cwd=ROOT, check=False)
        assert len(list(temporary.iterdir())) == 4
        with scratch.folder():
            assert alive.is_dir()
            assert len(list(temporary.iterdir())) == 4  # its own instead
    left = {path.name for path in temporary.iterdir()}
    assert left == {"study-mine1234", "study-report-abcdefgh"}


def test_what_rays_processes_make_anew_of_a_dead_drivers_folder_goes_too_after_a_while(temporary):
    remade, another = temporary / "study-remade12", temporary / "study-another1"
    for folder, inside in ((remade, "r/session_1/logs"), (another, "thesis")):
        (folder / inside).mkdir(parents=True)
    with scratch.folder():
        assert remade.is_dir()  # it may be one that is just being made
    for folder in (remade, another):
        os.utime(folder, (0, 0))
    with scratch.folder():
        assert not remade.exists()
    assert list(temporary.iterdir()) == [another]


@pytest.mark.parametrize("call", ["lstat", "iterdir"])
def test_a_folder_that_another_driver_removes_while_it_is_looked_at_is_left_out(call, temporary, monkeypatch):
    left = temporary / "study-remade12"
    left.mkdir()
    os.utime(left, (0, 0))
    looks = getattr(Path, call)

    def late(path):
        if path == left and path.exists():
            path.rmdir()
        return looks(path)

    monkeypatch.setattr(Path, call, late)
    with scratch.folder() as place:
        assert list(temporary.glob("*")) == [place]


def test_a_long_temporary_path_is_not_where_rays_sockets_go(tmp_path, monkeypatch):
    deep = tmp_path / ("d" * 60)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with scratch.folder() as place:
        assert place.parent == Path("/tmp")


def test_a_long_temporary_path_without_a_short_one_is_one_line_that_names_the_variable(tmp_path, monkeypatch):
    deep = tmp_path / ("d" * 60)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "none is made")
    with pytest.raises(UsageError, match=f"^TMPDIR {deep} is too long for Ray"), joining.joined(None):
        pass
    assert list(deep.iterdir()) == []


@pytest.fixture
def token(tmp_path, monkeypatch):
    path = tmp_path / "ray" / "auth_token"
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
    return path


def test_rays_token_is_for_its_owner_alone(token, capsys):
    joining._protect_token(make=False)
    assert not token.exists()
    joining._protect_token(make=True)
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert len(token.read_text()) == 64
    assert capsys.readouterr().err == ""
    token.chmod(0o644)
    joining._protect_token(make=True)
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert "others could read Ray's token" in capsys.readouterr().err


STARTED = """
import json, os, ray
from study.cluster import joining
with joining.joined(None):
    here = ray._private.worker._global_node.get_session_dir_path()
    print(json.dumps({"session": here, "address": ray.get_runtime_context().gcs_address,
        "aws": ray.get(ray.remote(lambda: [name for name in os.environ if name.startswith("AWS_")]).remote()),
        "mine": os.environ["AWS_SECRET_ACCESS_KEY"], "mode": os.environ["RAY_AUTH_MODE"]}), flush=True)
    input()
"""

CLIENT = """
import grpc, sys
refused = {}
for port in sys.argv[1:]:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        for method in ("NodeInfoGcsService/GetAllNodeInfo", "JobInfoGcsService/GetAllJobInfo",
                       "InternalKVGcsService/InternalKVKeys", "NodeManagerService/GetNodeStats",
                       "CoreWorkerService/GetCoreWorkerStats", "CoreWorkerService/PushTask",
                       "ObjectManagerService/Push", "RuntimeEnvService/GetOrCreateRuntimeEnv"):
            try:
                channel.unary_unary(f"/ray.rpc.{method}")(b"", timeout=5)
                print(port, method, "OK")
            except grpc.RpcError as error:
                print(port, method, error.code().name)
"""


@pytest.mark.slow
def test_a_local_ray_answers_nobody_without_its_token_and_hides_its_files(token, temporary):
    pytest.importorskip("grpc")
    environment = os.environ | {"TMPDIR": str(temporary), "AWS_SECRET_ACCESS_KEY": "secret of the cloud"}
    environment.pop("RAY_AUTH_MODE", None)
    process = subprocess.Popen(
        [sys.executable, "-c", STARTED], cwd=ROOT, env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        said = json.loads(process.stdout.readline())
        assert (said["aws"], said["mine"], said["mode"]) == ([], "secret of the cloud", "token")
        private = Path(said["session"]).parents[1]
        assert private.parent == temporary
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
        logs = [path.read_bytes() for path in private.rglob("*") if path.is_file()]
        assert not any(b"secret of the cloud" in log for log in logs)
        family = psutil.Process(process.pid).children(recursive=True)
        listening = {
            (one.laddr.ip, one.laddr.port)
            for child in [psutil.Process(process.pid), *family]
            for one in child.net_connections("tcp")
            if one.status == psutil.CONN_LISTEN
        }
        print("listening:", sorted(listening))
        ports = sorted(str(port) for _, port in listening)
        asked = subprocess.run([sys.executable, "-c", CLIENT, *ports], capture_output=True, text=True, check=True)
        print(asked.stdout)
        answers = [line.split() for line in asked.stdout.splitlines()]
        assert not [line for line in answers if line[2] == "OK"]
        refusing = {port for port, _, code in answers if code == "UNAUTHENTICATED"}
        assert said["address"].rpartition(":")[2] in refusing
        print("ports that refuse by the token:", sorted(refusing), "of", ports)
    finally:
        process.communicate("\n", timeout=60)
    assert list(temporary.iterdir()) == []
