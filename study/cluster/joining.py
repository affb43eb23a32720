"""Ray, started on this machine or joined, and calls on its nodes: on one, or one and the same on all."""

from __future__ import annotations

import logging
import math
import os
import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from threadpoolctl import threadpool_limits

from study import interrupt
from study.cluster import scratch
from study.record import machine
from study.record.commands import say_progress
from study.record.errors import StudyError, UsageError, first_line
from study.record.settings import LOCAL

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]

_SECRETS = ("AWS_", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
_CONNECT_SECONDS = 3.0
_STARTS = 5  # of a Ray of one's own, which gives its processes 30 s each time: on a busy machine they need longer
_FOR_MESSAGES = 256 * 2**20  # bytes of the object store, besides the images
_WORKER = ["study.worker.ready", "study.search.engine"]  # what a process that is to train imports
_OWN = "study/own-ray"  # the label of the node of a Ray of one's own
_IDLE_MS = 60_000
"""How long a process may be idle. Ray's own second is over while a busy machine goes from reserving cores for a run,
which leaves none for idle processes, to the run itself, which then has a new process started."""
_SLOW = "timed out during startup"  # what Ray says then
_JOIN_SECONDS = 15.0  # Ray itself waits for minutes where somebody listens who is no Ray

# What Tune does by itself and this project does in its own way, or not at all.
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # asks the network at every start
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # the behaviour to come; unset, Ray prints a warning about it
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # result.json, progress.csv and TensorBoard files for each trial
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # it returns from an interrupted search as if it had finished
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # rewrites the whole search state; the journal is ours
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_THRESHOLD_S": "30",
}


def set_environment(*, own: bool) -> None:
    """Set what Ray reads from the environment, some of it as it is imported; what the user has set stays.

    Args:
        own: Whether a Ray of one's own is to be started.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if own and "ray" not in sys.modules:
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # the default of a Ray of one's own since 2.59 only


@contextmanager
def joined(
    address: str | None, data_bytes: int | None = None, *, runs: int = 0, patience: float = 0.0
) -> Iterator[None]:
    """Start a Ray of one's own, with room for the images, or join the cluster at `address`, and leave it at the end.

    Args:
        address: Of a cluster; None or "local" for a Ray of one's own.
        data_bytes: Of the study's images that Ray's object store is to hold; None for its usual size.
        runs: That train at a time, as far as that is known. A Ray of one's own starts a process for each core, and
            if half of them or more are to train, they import at once what that takes.
        patience: Seconds more than usual that a cluster, whose head may just be starting, has to answer in.

    Raises:
        UsageError: there is no cluster at `address`.
        StudyError: a Ray of one's own does not start.
    """
    own = address in LOCAL
    set_environment(own=own)
    # Workers of a local Ray inherit this, so that the packages are found where nothing is installed.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    import ray

    if not own and address != "auto":
        _check_address(str(address), patience)
    _protect_token(make=own)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    logging.getLogger("ray").setLevel(logging.ERROR)
    with ExitStack() as leaving:
        with _own_signals():
            if own:
                _start(leaving, data_bytes, runs, quiet)
            else:
                most = _JOIN_SECONDS + patience
                silent = f"--address {address!r}: no Ray cluster answers there within {most:g} s"
                try:
                    with interrupt.within(most, silent, UsageError.exit_code):
                        ray.init(address=address, **quiet)
                except Exception as error:
                    first = _first_sentence(error)
                    raise UsageError(f"--address {address!r}: no Ray cluster can be joined there ({first})") from error
        leaving.callback(_shut_down)
        interrupt.keep_handling()
        yield


def _shut_down() -> None:
    import ray

    if interrupt.failed() is not None:
        interrupt.end("", 1)  # what has died of Ray would be waited for, or Ray would end the process itself
    ray.shutdown()


def _start(leaving: ExitStack, data_bytes: int | None, runs: int, quiet: Mapping[str, Any]) -> None:
    """Start a Ray of one's own, again where its processes are too slow for it; `leaving` removes its folder.

    Raises:
        UsageError: the temporary folder does not suit Ray.
        StudyError: Ray does not start.
    """
    import ray

    config: dict[str, Any] = {"idle_worker_killing_time_threshold_ms": _IDLE_MS}
    if 2 * runs >= machine.cores():
        config["preload_python_modules"] = _WORKER
    for start in range(1, _STARTS + 1):
        place = leaving.enter_context(scratch.folder())
        before = interrupt.children()
        try:
            with _without_secrets(), _few_processes():
                # "local" and not a CPU count alone, with which ray.init joins another Ray that happens to run.
                ray.init(
                    address="local",
                    num_cpus=machine.cores(),
                    labels={_OWN: "true"},
                    object_store_memory=None if data_bytes is None else int(1.1 * data_bytes) + _FOR_MESSAGES,
                    include_dashboard=False,
                    _system_config=config,
                    _temp_dir=str(place / scratch.SESSIONS),  # which Ray opens to everybody: sockets and logs
                    **quiet,
                )
            return
        except Exception as error:  # of a Ray that does not start in time it is a plain one
            interrupt.end_children(but=before)
            first = _first_sentence(error)
            if start == _STARTS or _SLOW not in first:
                busy = "; if it is busy, try again" if _SLOW in first else ""
                raise StudyError(f"Ray does not start on this machine ({first}){busy}") from error
            say_progress(f"study: Ray does not start in its 30 s, this machine is busy: start {start + 1} of {_STARTS}")


@contextmanager
def _few_processes() -> Iterator[None]:
    """Let Ray start what a study uses alone: no autoscaler, no web server, nobody who reads the workers' logs.

    Each is a process that imports for a second, of the two processors that many a laptop has. Ray has no options for
    these; where a release of it does these things elsewhere, they are started as ever.
    """
    from ray._private import parameter
    from ray._private.node import Node

    class Parameters(parameter.RayParams):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self.no_monitor = True
            self.include_log_monitor: Any = False

    no_server = _in_place_of(Node, "start_api_server", lambda node, **options: None)
    with _in_place_of(parameter, "RayParams", Parameters), no_server:
        yield


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep SIGTERM's handler where Ray starts or is joined, which takes seconds; its own would leave without a word."""
    from ray._private import utils

    with _in_place_of(utils, "set_sigterm_handler", lambda handler: None):
        yield


@contextmanager
def _in_place_of(holder: object, name: str, value: object) -> Iterator[None]:
    before = getattr(holder, name, None)
    setattr(holder, name, value)
    try:
        yield
    finally:
        setattr(holder, name, before)


def _first_sentence(error: Exception) -> str:
    return first_line(error).split(". ")[0]


def _protect_token(*, make: bool) -> None:
    """See that nobody else can read the token that Ray's clients show; make one, if asked to, where there is none."""
    if "RAY_AUTH_TOKEN" in os.environ:
        return
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    with suppress(OSError):  # Ray says what it lacks
        if not path.exists() and make:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(descriptor, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(32))
        elif path.stat().st_mode & 0o077:
            path.chmod(0o600)
            say_progress(f"study: others could read Ray's token {path}; now they cannot")


@contextmanager
def _without_secrets() -> Iterator[None]:
    """Take credentials that training has no use for out of the environment that Ray's processes get, and log."""
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(_SECRETS)}
    try:
        yield
    finally:
        os.environ.update(hidden)


def run_on_node(
    function: Callable[..., T],
    *arguments: Any,
    cpus: float,
    gpus: float = 0.0,
    node_id: str | None = None,
    seconds: float | None = None,
) -> T:
    """Call `function` in a worker process and return its result; a signal ends the wait at once.

    For what computes long inside one call of a library, where Python cannot interrupt its own process. References to
    objects in the object store are passed as the objects. The process ends with its call: one that stayed, idle, would
    keep the memory of what it has computed from the runs.

    Args:
        function: Importable on the nodes.
        arguments: What it is given.
        cpus: CPU cores that it takes.
        gpus: GPUs that it takes.
        node_id: The node that it has to run on; any by default.
        seconds: That it may take, the wait for what it takes included.

    Raises:
        Interrupted: a signal has come.
        TimeoutError: it has taken longer than `seconds`.
        Exception: whatever the function raises.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    options: dict[str, Any] = {"num_cpus": cpus, "num_gpus": gpus, "max_calls": 1}
    if node_id is not None:
        options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(node_id, soft=False)
    remote: Any = ray.remote(**options)(_on_cores)
    result: ray.ObjectRef[T] = remote.remote(max(1, int(cpus)), function, *arguments)
    ends = time.monotonic() + (math.inf if seconds is None else seconds)
    with interrupt.deferred():
        while not ray.wait([result], timeout=0.2)[0]:
            interrupt.check()
            if time.monotonic() > ends:
                ray.cancel(result, force=True)
                raise TimeoutError
    return ray.get(result)


def _on_cores(cores: int, function: Callable[..., T], *arguments: Any) -> T:
    """Call a function, whose linear algebra has so many threads; a process that has imported it may have one."""
    with threadpool_limits(cores):
        return function(*arguments)


@dataclass(frozen=True)
class Answer(Generic[T]):
    """What a node said; `problem` is why it said nothing."""

    node: str  # host name and address
    node_id: str
    value: T | None = None
    problem: str | None = None


def nodes(*, alive: bool = True) -> list[dict[str, Any]]:
    """Return what Ray knows of each node that is alive, or of those that have gone, too."""
    import ray

    known: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [node for node in known if node["Alive"] or not alive]


def is_own(node: Mapping[str, Any]) -> bool:
    """Return whether a node, as `nodes` tells of it, is a Ray of one's own: it has no others, and none will come."""
    return _OWN in node.get("Labels", {})


def await_nodes(count: int, seconds: float) -> None:
    """Wait until at least so many nodes are alive, or for so many seconds."""
    ends = time.monotonic() + seconds
    while len(nodes()) < count and time.monotonic() < ends:
        time.sleep(0.5)


def node_name(node: Mapping[str, Any]) -> str:
    """Return a node's host name and address."""
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"


def ask_every_node(
    function: Callable[..., T], *arguments: Any, seconds: float, env: Mapping[str, str] | None = None
) -> list[Answer[T]]:
    """Call `function` on every node, CPUs free or not, and return the answers; nodes lost meanwhile give none.

    Args:
        function: Importable on the nodes.
        arguments: What it is given.
        seconds: How long to wait for all of them.
        env: Environment variables of the worker processes.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    options: dict[str, Any] = {"runtime_env": {"env_vars": dict(env)}} if env else {}
    remote: Any = ray.remote(num_cpus=0, max_retries=0, **options)(function)
    asked = {
        remote.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(
            *arguments
        ): node
        for node in nodes()
    }
    answered, silent = ray.wait(list(asked), num_returns=len(asked), timeout=seconds)
    answers: dict[str, Answer[T]] = {node["NodeID"]: Answer(node_name(node), node["NodeID"]) for node in asked.values()}
    for reference in answered:
        node = asked[reference]
        try:
            answers[node["NodeID"]] = Answer(node_name(node), node["NodeID"], ray.get(reference))
        except ray.exceptions.RayError as error:
            last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            answers[node["NodeID"]] = Answer(node_name(node), node["NodeID"], problem=last)
    for reference in silent:
        node = asked[reference]
        problem = f"no answer within {seconds:g} s"
        answers[node["NodeID"]] = Answer(node_name(node), node["NodeID"], problem=problem)
    still = {node["NodeID"] for node in nodes()}
    return [answer for node_id, answer in answers.items() if node_id in still]


def _check_address(address: str, patience: float) -> None:
    """Connect to `address`, or raise within three seconds and `patience`; Ray itself waits for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise UsageError(f"--address {address!r}: give HOST:PORT, such as 10.0.0.1:6379, or auto")
    ends = time.monotonic() + patience
    while True:
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS):
                return
        except (OSError, ValueError) as error:
            if time.monotonic() >= ends or isinstance(error, ValueError):
                raise UsageError(f"--address {address!r}: no Ray cluster can be reached there ({error})") from None
        time.sleep(0.2)
