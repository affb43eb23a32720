"""Tracking URIs: which tracker one names, whether it can be used, and how it is printed; by the standard library."""

from __future__ import annotations

import base64
import importlib.util
import os
import re
import shlex
import sqlite3
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPException
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from study.record.errors import UsageError, first_line

TrackerName = Literal["MLflow", "TensorBoard"]

DEFAULT = "sqlite:///mlflow.db"
ALLOWED = "sqlite:///FILE, http(s)://HOST, a database URI or tensorboard:DIR"
SCHEMES: Mapping[str, TrackerName] = {
    "sqlite": "MLflow",
    "http": "MLflow",
    "https": "MLflow",
    "postgresql": "MLflow",
    "mysql": "MLflow",
    "mssql": "MLflow",
    "tensorboard": "TensorBoard",
}
UUID_TAG = "study_uuid"
"""The tag that says which study a run of MLflow's is of: the name may be another study's as well."""

MASK = "***"
"""What stands for a secret in a URI that is printed or written down."""

PROBE_SECONDS = 3.0  # that a server may take to say that it is there; MLflow's own client waits for minutes

_SQLITE = "sqlite:///"
_TENSORBOARD = "tensorboard:"
_LINKS = ("revision", "down_revision")  # of a file of MLflow's that changes its tables, to the one before it


def tracker_of(uri: str) -> TrackerName:
    """Return the name of the tracker that a URI is for.

    Raises:
        UsageError: it is of no known kind.
    """
    try:
        scheme = urlsplit(uri).scheme.partition("+")[0]  # a driver may follow
        if scheme.startswith("http"):
            _ = urlsplit(uri).port  # which may be no number; in a database's a password may look like one
    except ValueError as error:
        raise UsageError(f"--tracking-uri {masked(uri)!r} is not allowed ({error}); give {ALLOWED}") from None
    nameless = {"sqlite": sqlite_file(uri), "tensorboard": tensorboard_dir(uri)}.get(scheme, uri) is None
    if nameless or scheme not in SCHEMES:
        raise UsageError(f"--tracking-uri {masked(uri)!r} is not allowed; give {ALLOWED}")
    return SCHEMES[scheme]


def sqlite_file(uri: str) -> Path | None:
    """Return the file of a `sqlite:///FILE` URI, None for any other."""
    file = uri.removeprefix(_SQLITE)
    return Path(file) if file not in ("", uri) else None


def tensorboard_dir(uri: str) -> Path | None:
    """Return the folder of a `tensorboard:DIR` URI, None for any other."""
    folder = uri.removeprefix(_TENSORBOARD)
    return Path(folder) if folder not in ("", uri) else None


def absolute(uri: str) -> str:
    """Return the URI with the path of a file or folder made absolute, a leading `~` included."""
    for prefix, path in ((_SQLITE, sqlite_file(uri)), (_TENSORBOARD, tensorboard_dir(uri))):
        if path is not None:
            return prefix + os.path.abspath(path.expanduser())
    return uri


def masked(uri: str) -> str:
    """Return the URI as it may be printed: `***` for a password, a lone token before the host, or one in the query."""
    uri = re.sub(r"(?<=://)([^:@/?#]*):.*@", r"\1:***@", uri)
    uri = re.sub(r"^(https?://)[^:@/?#]+@", r"\1***@", uri)
    return re.sub(r"([?&][^=&]*(?:passw|pwd|token|secret|key)[^=&]*=)[^&#]*", r"\1***", uri, flags=re.IGNORECASE)


def scrubbed(text: str, uri: str) -> str:
    """Return a text, such as the message of an error, without the secrets of a URI."""
    text = text.replace(uri, masked(uri))
    credentials = urlsplit(uri).netloc.rpartition("@")[0]
    secret = credentials.partition(":")[2] or (credentials if urlsplit(uri).scheme in ("http", "https") else "")
    for form in {secret, unquote(secret)} - {""}:
        text = text.replace(form, MASK)
    return text


def default() -> str:
    """Return where studies are tracked unless `--tracking-uri` says otherwise."""
    return os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT


def usable(recorded: str, *, trusted: bool) -> str:
    """Return the URI that one that a study's folder says stands for.

    A folder from somebody else is never obeyed: it could have its reports sent anywhere. One's own default then takes
    its place, as it does where that is the recorded one, whose secrets are not written down.
    """
    mine = absolute(default())
    return recorded if trusted and masked(mine) != recorded else mine


def check(uri: str) -> None:
    """Find out within three seconds whether a new study can be tracked there.

    Raises:
        UsageError: the URI is of no known kind, no server answers, or the folder that is written to does not exist or
            is not writable.
    """
    option = f"--tracking-uri {masked(uri)!r}"
    tracker_of(uri)
    if MASK in uri:
        raise UsageError(f"{option} lacks its secret, which is not written down; give the whole URI")
    reason = unreachable(uri)
    if reason is not None:
        raise UsageError(f"{option} does not answer ({reason}); start the server or name another")
    check_folder(uri)
    if reason := unusable_database(uri):
        raise UsageError(f"{option} cannot be used: {reason}")


def unusable_database(uri: str) -> str | None:
    """Return why a database cannot hold MLflow's tables, as far as can be told without MLflow: None where it may.

    A driver that is not installed, a file that is no database, tables of another version of MLflow.
    """
    scheme = urlsplit(uri).scheme
    if scheme in ("postgresql", "mysql", "mssql") or "+" in scheme:
        return _driver_problem(uri)
    file = sqlite_file(uri)
    if file is None or not file.is_file() or not file.stat().st_size:
        return None
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
            rows = database.execute("select version_num from alembic_version").fetchall()
    except sqlite3.OperationalError as error:
        # Without the table it is a database of something else, or locked, which MLflow waits for.
        return f"{file} is a database, and not MLflow's ({error})" if "no such table" in str(error) else None
    except sqlite3.DatabaseError as error:
        return f"{file}: {error}"
    revision, newest = rows[0][0] if rows else None, _newest_revision()
    if newest is None or revision == newest:
        return None
    upgrade = shlex.join(["mlflow", "db", "upgrade", masked(uri)])
    return f"its tables are of another version of MLflow ({revision}, this one has {newest}); try: {upgrade}"


def _driver_problem(uri: str) -> str | None:
    try:
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError:  # comes with MLflow, of which is said elsewhere that it is missing
        return None
    try:
        make_url(uri).get_dialect().import_dbapi()
    except ImportError as error:
        return f"its driver is not installed ({error})"
    except (SQLAlchemyError, ValueError) as error:
        return first_line(error)
    return None


def _newest_revision() -> str | None:
    """Return the revision that the installed MLflow's tables have, from its files: to import it takes seconds."""
    spec = importlib.util.find_spec("mlflow")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0], "store", "db_migrations", "versions")
    revisions: dict[str, str] = {}
    for file in folder.glob("*.py"):
        text = file.read_text(encoding="utf-8")
        of = {name: re.search(rf"^{name}\b[^=\n]*= *['\"](\w+)", text, re.MULTILINE) for name in _LINKS}
        if found := of["revision"]:
            revisions[found[1]] = of["down_revision"][1] if of["down_revision"] else ""
    last = set(revisions) - set(revisions.values())
    return last.pop() if len(last) == 1 else None


def is_gone(uri: str) -> bool:
    """Return whether the file or folder that a URI names is not there, and with it all that was tracked."""
    place = sqlite_file(uri) or tensorboard_dir(uri)
    return place is not None and not place.exists()


def check_folder(uri: str) -> None:
    """Raise UsageError where the folder that a URI's file or folder is written to does not exist or is not writable."""
    option = f"--tracking-uri {masked(uri)!r}"
    folder = None
    if (file := sqlite_file(uri)) is not None:
        folder = file.parent
    elif (logs := tensorboard_dir(uri)) is not None:  # made where it is missing
        folder = next(path for path in (logs.absolute(), *logs.absolute().parents) if path.exists())
    if folder is None:
        return
    if not folder.exists():
        raise UsageError(f"{option} cannot be used: there is no folder {folder}")
    if not folder.is_dir():
        raise UsageError(f"{option} cannot be used: {folder} is not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"{option} cannot be used: {folder} is not writable")


def unreachable(uri: str) -> str | None:
    """Return why a server does not answer in time, or refuses to; None where it does, or the URI is no server's."""
    if urlsplit(uri).scheme not in ("http", "https"):
        return None
    for path, seconds in _PROBED.items():
        outcome: list[str | None] = []
        # A name server that hangs, or a host of several addresses, takes longer than the time limit of a socket.
        probe = threading.Thread(target=_ask, args=(uri, path, seconds, outcome), name="tracking-probe", daemon=True)
        probe.start()
        probe.join(seconds)
        answer = outcome[0] if outcome else "timed out"
        if answer is not None:
            return answer
    return None


# MLflow's own users may see its health without a name; what it has, they may not. A server that is there may take its
# time: the hash of a password alone takes seconds on a busy machine.
_PROBED = {"health": PROBE_SECONDS, "api/2.0/mlflow/experiments/search?max_results=1": 30.0}


def _ask(uri: str, path: str, seconds: float, outcome: list[str | None]) -> None:
    outcome.append(_answer(uri, path, seconds))


def _answer(uri: str, path: str, seconds: float) -> str | None:
    try:
        with urllib.request.urlopen(_request(uri, path), timeout=seconds):
            return None
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in (401, 403):
            variables = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
            return f"{error.reason}: it asks for a user; set {variables}"
        return str(error.reason)
    except (OSError, ValueError, HTTPException) as error:
        return str(getattr(error, "reason", error))


def _request(uri: str, path: str) -> urllib.request.Request:
    """Return the request of a page of a server, with the user and password, or the token, of MLflow's client.

    Those of the URI come first, as HTTP's and not as a host name; then those of the environment.
    """
    credentials, at, host = urlsplit(uri).netloc.rpartition("@")
    parts = urlsplit(uri)._replace(netloc=host, query="", fragment="")
    request = urllib.request.Request(f"{parts.geturl().rstrip('/')}/{path}")
    user, _, password = (unquote(part) for part in credentials.partition(":"))
    if not at:
        user, password = (os.environ.get(f"MLFLOW_TRACKING_{name}", "") for name in ("USERNAME", "PASSWORD"))
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    if at or (user and password):
        encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
        request.add_header("Authorization", f"Basic {encoded}")
    elif token:
        request.add_header("Authorization", f"Bearer {token}")
    return request
