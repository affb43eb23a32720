"""Tracking URIs: which tracker one names, whether it can be used, and how it is printed; by the standard library."""

from __future__ import annotations

import base64
import os
import re
import threading
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from study.record.errors import UsageError

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
MASK = "***"
"""What stands for a secret in a URI that is printed or written down."""

PROBE_SECONDS = 3.0  # that a server may take to say that it is there; MLflow's own client waits for minutes

_SQLITE = "sqlite:///"
_TENSORBOARD = "tensorboard:"


def tracker_of(uri: str) -> TrackerName:
    """Return the name of the tracker that a URI is for.

    Raises:
        UsageError: it is of no known kind.
    """
    scheme = urlsplit(uri).scheme
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
    """Return why a server does not answer within `PROBE_SECONDS`; None where it does, or the URI is no server's."""
    if urlsplit(uri).scheme not in ("http", "https"):
        return None
    outcome: list[str | None] = []
    # A name server that hangs, or a host of several addresses, takes longer than the time limit of a socket.
    probe = threading.Thread(target=lambda: outcome.append(_health(uri)), name="tracking-probe", daemon=True)
    probe.start()
    probe.join(PROBE_SECONDS)
    return outcome[0] if outcome else "timed out"


def _health(uri: str) -> str | None:
    try:
        with urllib.request.urlopen(_health_request(uri), timeout=PROBE_SECONDS):
            return None
    except (OSError, ValueError, HTTPException) as error:
        return str(getattr(error, "reason", error))


def _health_request(uri: str) -> urllib.request.Request:
    """Return the request of a server's health page, with the URI's user and password as HTTP's, not as a host name."""
    credentials, at, host = urlsplit(uri).netloc.rpartition("@")
    parts = urlsplit(uri)._replace(netloc=host, query="", fragment="")
    request = urllib.request.Request(f"{parts.geturl().rstrip('/')}/health")
    if at:
        user, _, password = credentials.partition(":")
        encoded = base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
        request.add_header("Authorization", f"Basic {encoded}")
    return request
