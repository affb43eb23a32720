"""An MLflow server that goes away in mid-study: nothing waits for it, and it gets everything once it is back."""

import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter

import pytest
from mlflow import MlflowClient
from study_processes import TIMEOUT, environment, kill_with_children, start, state_of, wait_for
from test_mlflow_files import tracked_study

from study.record.errors import UsageError
from study.tracking import implementations

# No scheduler stops a trial, and none is large: most of them are left when the first one is in MLflow.
ARGV = [
    "--space", "digits_ae", "--name", "night", "--train-size", "300", "--scheduler", "none", "--epochs", "40",
    "--max-params", "50000",
]  # fmt: skip


class Server:
    """An MLflow server on loopback, on a sqlite file, which can be stopped and started again."""

    def __init__(self, folder, *options, **variables):
        self.folder = folder
        self.options, self.variables = options, variables
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process = None

    def start(self):
        with (self.folder / "server.txt").open("a") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port),
                    "--workers", "1", "--backend-store-uri", f"sqlite:///{self.folder / 'server.db'}",
                    "--artifacts-destination", str(self.folder / "artifacts"), *self.options,
                ],
                cwd=self.folder, env=environment() | self.variables, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        wait_for(self.healthy, self.process)

    def healthy(self):
        try:
            return urllib.request.urlopen(f"{self.uri}/health", timeout=1).status == 200
        except OSError:
            return False

    def stop(self):
        if self.process.poll() is None:
            kill_with_children(self.process)


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "server"
    folder.mkdir()
    server = Server(folder)
    server.start()
    yield server
    server.stop()


def metrics_in(uri):
    """Return every point of every run: (run, metric, step, value), as MLflow's own client reads them."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("digits_ae")
    runs = client.search_runs([experiment.experiment_id])
    points = [
        (found.data.tags["run"], key, point.step, point.value)
        for found in runs
        if found.data.tags["run"] != "study"
        for key in found.data.metrics
        for point in client.get_metric_history(found.info.run_id, key)
    ]
    return points, runs


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seconds", "killed"),
    [(8, True), pytest.param(60, False, marks=pytest.mark.slow), pytest.param(60, True, marks=pytest.mark.slow)],
)
def test_a_server_that_was_away_has_every_metric_once(seconds, killed, server, tmp_path):
    trials = ["--trials", str(20 + seconds), "--confirm", "1x2"]
    process = start(tmp_path, *ARGV, *trials, "--tracking-uri", server.uri)
    wait_for(lambda: len(state_of(tmp_path).delivered) >= 1, process)
    server.stop()
    stopped, told = time.monotonic(), len(state_of(tmp_path).delivered)
    trials_then = len(state_of(tmp_path).trials)
    # Trials go on without a server.
    wait_for(lambda: len(state_of(tmp_path).trials) >= trials_then + 2, process)
    assert len(state_of(tmp_path).delivered) == told
    if killed:
        kill_with_children(process)
        process = start(tmp_path, "--resume", "night")
        wait_for(lambda: len(state_of(tmp_path).trials) >= trials_then + 3, process)
    time.sleep(max(0.0, seconds - (time.monotonic() - stopped)))
    assert process.poll() is None, "the study ended before the server was back"
    server.start()
    assert process.wait(TIMEOUT) == 0, (tmp_path / "output.txt").read_text()
    assert "View run" not in (tmp_path / "output.txt").read_text()  # MLflow's own lines, two for each run
    state = state_of(tmp_path)
    points, runs = metrics_in(server.uri)
    assert sorted(found.data.tags["run"] for found in runs) == sorted(["study", *state.runs])
    statuses = {run.id: "FAILED" if run.status == "failed" else "FINISHED" for run in state.runs.values()}
    assert {found.data.tags["run"]: found.info.status for found in runs} == statuses | {"study": "FINISHED"}
    expected = [
        (run.id, key, epoch["epoch"], value)
        for run in state.runs.values()
        for epoch in run.epochs
        for key, value in epoch.items()
        if key != "epoch" and value is not None
    ]
    for run in state.runs.values():
        expected += [(run.id, key, len(run.epochs), value) for key, value in run.final.items()]
    assert sorted(points) == sorted(expected)
    print(f"server away for {seconds} s, driver killed: {killed}: {len(points)} points of {len(runs)} runs, each once")


@pytest.mark.slow
def test_a_server_with_users_of_its_own_gets_a_study_as_from_mlflows_client(tmp_path, monkeypatch):
    pytest.importorskip("flask_wtf")
    configuration = tmp_path / "auth.ini"
    configuration.write_text(
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{tmp_path / 'auth.db'}\n"
        "admin_username = anna\nadmin_password = a long s3cret\nauth_cache_ttl_seconds = 600\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    server = Server(
        tmp_path, "--app-name", "basic-auth",
        MLFLOW_AUTH_CONFIG_PATH=str(configuration), MLFLOW_FLASK_SERVER_SECRET_KEY="of the test",
    )  # fmt: skip
    server.start()
    try:
        with pytest.raises(
            UsageError, match="it asks for a user; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASS"
        ):
            implementations.check(server.uri)
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "anna")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "another")
        with pytest.raises(UsageError, match="it asks for a user"):
            implementations.check(server.uri)
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "a long s3cret")
        implementations.check(server.uri)
        tracked_study(tmp_path / "results", server.uri, "variables", "digits_ae")
        monkeypatch.delenv("MLFLOW_TRACKING_USERNAME")
        monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD")
        in_uri = server.uri.replace("http://", "http://anna:a%20long%20s3cret@")
        implementations.check(in_uri)
        tracked_study(tmp_path / "results", in_uri, "uri", "digits_ae")
        points, runs = metrics_in(in_uri)
        assert len(runs) == 10
        counted = Counter(points)  # two studies, each of which has every point once
        assert len(counted) > 10
        assert set(counted.values()) == {2}
        files = [path for path in (tmp_path / "results").rglob("*") if path.is_file()]
        assert len(files) > 10
        assert not any(b"s3cret" in path.read_bytes() or b"long%20" in path.read_bytes() for path in files)
    finally:
        server.stop()
