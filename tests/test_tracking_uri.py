import http.server
import socket
import sqlite3
import threading
import time

import pytest
from study_processes import prepare

from study.record import tracking_uri
from study.record.errors import UsageError
from study.tracking import implementations

HEALTH, SEARCH = "/mlflow/health", "/mlflow/api/2.0/mlflow/experiments/search?max_results=1"


@pytest.fixture
def server():
    """A server that counts what it is asked, by path and credentials."""
    asked = []

    class Healthy(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers.get("Authorization")))
            self.send_response(200 if self.path in (HEALTH, SEARCH) else 404)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Healthy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}", asked
    server.shutdown()


@pytest.mark.parametrize(
    ("uri", "tracker"),
    [
        ("sqlite:///mlflow.db", "MLflow"),
        ("https://host:5000", "MLflow"),
        ("postgresql://host/db", "MLflow"),
        ("tensorboard:runs", "TensorBoard"),
    ],
)
def test_scheme_says_whose_a_uri_is(uri, tracker):
    assert tracking_uri.tracker_of(uri) == tracker


@pytest.mark.parametrize("uri", ["ftp://x", "folder", "", "sqlite:", "sqlite:///", "sqlite:x.db", "tensorboard:"])
def test_uri_of_no_known_kind_is_refused_with_what_is_allowed(uri):
    with pytest.raises(UsageError, match=r"is not allowed; give sqlite:///FILE, .* or tensorboard:DIR"):
        implementations.check(uri)


def test_paths_are_made_absolute_and_other_uris_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert tracking_uri.absolute("sqlite:///mlflow.db") == f"sqlite:///{tmp_path}/mlflow.db"
    assert tracking_uri.absolute("sqlite:////data/x.db") == "sqlite:////data/x.db"
    assert tracking_uri.absolute("tensorboard:~/runs") == "tensorboard:/home/somebody/runs"
    for uri in ("http://host:5000", "postgresql://host/db", "ftp://x"):
        assert tracking_uri.absolute(uri) == uri


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://anna:s3cret@host:5432/db", "postgresql://anna:***@host:5432/db"),
        ("postgresql://anna:s3/cr@et@host/db", "postgresql://anna:***@host/db"),
        ("mysql://host/db?user=anna&password=s3cret&ssl=1", "mysql://host/db?user=anna&password=***&ssl=1"),
        ("https://s3cret@host", "https://***@host"),
        ("https://anna:s3cret@host/path", "https://anna:***@host/path"),
        ("postgresql://anna@host/db", "postgresql://anna@host/db"),
        ("http://host:5000", "http://host:5000"),
        ("sqlite:////data/x.db", "sqlite:////data/x.db"),
        ("tensorboard:/data/runs", "tensorboard:/data/runs"),
    ],
)
def test_no_password_is_printed(uri, shown):
    assert tracking_uri.masked(uri) == shown
    assert "s3" not in implementations.how_to_open(uri)


def test_server_is_asked_for_its_health_with_the_credentials_of_the_uri(server):
    host, asked = server
    assert tracking_uri.unreachable(f"http://{host}/mlflow/") is None
    assert tracking_uri.unreachable(f"http://anna:s3cret@{host}/mlflow") is None
    as_anna = "Basic YW5uYTpzM2NyZXQ="
    assert asked == [(HEALTH, None), (SEARCH, None), (HEALTH, as_anna), (SEARCH, as_anna)]
    assert tracking_uri.unreachable(f"http://{host}") == "Not Found"
    assert tracking_uri.unreachable("postgresql://nowhere/db") is None  # no server that can be asked


def test_server_whose_name_is_never_found_is_given_up_in_time(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: time.sleep(10))
    start = time.monotonic()
    with pytest.raises(UsageError) as caught:
        implementations.check("http://anna:s3cret@host:5000")
    assert time.monotonic() - start < 4
    assert "--tracking-uri 'http://anna:***@host:5000' does not answer (timed out)" in str(caught.value)


def test_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    for uri, words in (
        (f"sqlite:///{tmp_path}/none/x.db", "there is no folder"),
        (f"sqlite:///{tmp_path}/file/x.db", "is not a folder"),
        (f"tensorboard:{tmp_path}/file/runs", "is not a folder"),
    ):
        with pytest.raises(UsageError, match=words):
            implementations.check(uri)
    implementations.check(f"sqlite:///{tmp_path}/x.db")
    implementations.check(f"tensorboard:{tmp_path}/none/runs")  # made, as TensorBoard does
    assert not (tmp_path / "none").exists()


def test_each_tracker_says_how_it_is_opened():
    assert implementations.how_to_open("http://host:5000") == "http://host:5000"
    assert implementations.how_to_open("sqlite:////data/x.db") == "mlflow ui --backend-store-uri sqlite:////data/x.db"
    assert implementations.how_to_open("tensorboard:/my data/runs") == "tensorboard --logdir '/my data/runs'"


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("http://127.0.0.1:notaport", "notaport"),
        ("http://127.0.0.1:99999", "out of range"),
        ("http://[::1", "Invalid IPv6 URL"),
        ("mysql://host/db", "its driver is not installed"),
        ("mysql+pymysql://host/db", "its driver is not installed"),
    ],
)
def test_a_uri_that_nothing_can_open_is_one_line(uri, words):
    with pytest.raises(UsageError, match=words) as refused:
        implementations.check(uri)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"dear diary", "file is not a database"),
        (None, "is a database, and not MLflow's"),
        ("0000", "its tables are of another version of MLflow (0000, this one has"),
    ],
)
def test_a_file_that_is_not_mlflows_database_is_told_before_anything_starts(tmp_path, content, words):
    file = tmp_path / "mlflow.db"
    if isinstance(content, bytes):
        file.write_bytes(content * 100)
    else:
        with sqlite3.connect(file) as database:
            database.execute("create table other (x)")
            if content:
                database.execute("create table alembic_version (version_num text)")
                database.execute("insert into alembic_version values (?)", (content,))
    with pytest.raises(UsageError) as refused:
        implementations.check(f"sqlite:///{file}")
    assert words in str(refused.value)


def test_a_database_of_this_mlflow_can_be_used(tmp_path):
    prepare(tmp_path)
    implementations.check(f"sqlite:///{tmp_path / 'mlflow.db'}")


@pytest.mark.parametrize(
    ("variables", "sent"),
    [
        ({"USERNAME": "me", "PASSWORD": "secret"}, "Basic bWU6c2VjcmV0"),
        ({"TOKEN": "abc"}, "Bearer abc"),
        ({"USERNAME": "me", "PASSWORD": "secret", "TOKEN": "abc"}, "Basic bWU6c2VjcmV0"),
        ({"USERNAME": "me"}, None),
    ],
)
def test_a_server_is_asked_with_the_credentials_of_mlflows_client(server, monkeypatch, variables, sent):
    address, asked = server
    for name, value in variables.items():
        monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", value)
    implementations.check(f"http://{address}/mlflow")
    assert asked == [(HEALTH, sent), (SEARCH, sent)]
    implementations.check(f"http://you:other@{address}/mlflow")
    assert asked[2] == (HEALTH, "Basic eW91Om90aGVy")


def test_a_server_that_asks_for_a_user_says_which_variables_to_set():
    class Closed(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(401)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Closed)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with pytest.raises(UsageError, match="MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"):
        implementations.check(f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
