"""What all commands have in common: how they read their options, how they end, and how they name each other."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TextIO

from study.record.errors import INTERRUPTED, StudyError, UsageError, choose_from, one_line
from study.record.values import Reader
from study.record.words import shown

SCRIPTS = {
    "run": "study/run.py",
    "reproduce": "study/reproduce.py",
    "baseline": "study/baseline.py",
    "predict": "study/predict.py",
    "export": "study/export.py",
    "simulate": "study/simulate.py",
    "check": "study/cluster_check.py",
    "new-space": "study/new_space.py",
    "check-space": "study/check_space.py",
    "verify": "study/verify.py",
    "repeat": "study/repeat.py",
    "ablate": "study/ablate.py",
    "dashboard": "study/dashboard.py",
    "report": "analysis/report.py",
    "compare": "analysis/compare.py",
    "audit": "analysis/audit.py",
    "leaderboard": "analysis/leaderboard.py",
}
"""The file of each command, which `study VERB` runs; `study resume NAME` and `study list` are options of `run`."""

STORAGE = "results"
"""The folder of the studies, where `--storage` does not name another."""

STORAGE_HELP = "folder of the studies"

_ROOT = Path(__file__).resolve().parents[2]


def script(verb: str) -> Path:
    """Return the file of a command."""
    return _ROOT / SCRIPTS[verb]


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line that names the nearest match."""

    def error(self, message: str) -> NoReturn:
        """Raise `UsageError`."""
        raise UsageError(message)

    def read(self, argv: Sequence[str] | None) -> argparse.Namespace:
        """Return the options of a command line, by default this process's.

        Raises:
            UsageError: an option is not known, or its value cannot be read.
        """
        for text in (*(sys.argv[1:] if argv is None else argv), os.getcwd()):
            check_text(text)
        options, unknown = self.parse_known_args(argv)
        if unknown:
            known = [flag for action in self._actions for flag in action.option_strings if flag.startswith("--")]
            given = unknown[0].split("=")[0]
            raise UsageError(f"unrecognized arguments: {' '.join(unknown)}: {choose_from('option', given, known)}")
        return options


def check_text(text: str) -> None:
    """Refuse a path, or any other text, that is not UTF-8: nothing that is written could name it.

    Raises:
        UsageError: it is not.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        shown = text.encode("utf-8", "backslashreplace").decode().replace("\\udc", "\\x")
        raise UsageError(f"'{shown}' is not UTF-8; rename it, or give a path to it that is") from None


def parser(verb: str, description: str | None) -> Parser:
    """Return the parser of a command, with its module's docstring as its description.

    Commands in the docstring, such as `python study/run.py`, are shown as they work in this process's environment.
    """
    description = description or ""
    for other, script in SCRIPTS.items():
        description = description.replace(f"python {script}", hint(other))
    formatter = argparse.RawDescriptionHelpFormatter
    return Parser(prog=_program(verb), description=description, formatter_class=formatter, allow_abbrev=False)


def add_value(
    to: argparse._ActionsContainer,
    name: str,
    read: Reader[object],
    metavar: str | None,
    help: str,  # noqa: A002  (argparse's own word)
    *,
    default: object = None,
    several: bool = False,
) -> None:
    """Add an option to a parser or a group: `read` checks its text; without it, the value is `default`.

    With `several` it may be given more than once, and its values are those of all of them.
    """
    action = "extend" if several else "store"
    to.add_argument(name, type=partial(read, name), metavar=metavar, default=default, help=help, action=action)


def add_storage(parser: Parser) -> None:
    """Add `--storage DIR`, the folder of the studies, a path."""
    parser.add_argument(
        "--storage", type=Path, default=Path(STORAGE), metavar="DIR", help=f"{STORAGE_HELP} (default: {STORAGE})"
    )


def add_out(parser: Parser, help: str, metavar: str = "FILE") -> None:  # noqa: A002  (argparse's own word)
    """Add `--out`, the file or folder to write, a path or None."""
    parser.add_argument("--out", type=Path, metavar=metavar, help=help)


def add_open(parser: Parser) -> None:
    """Add `--open`: whether `open_in_browser` is to show what was written."""
    parser.add_argument("--open", action="store_true", help="and open it in the browser")


def add_trust(to: argparse._ActionsContainer, when: str = "") -> None:
    """Add `--trust`: whether code that lies in a study's folder, a space of somebody's own, may be run."""
    help = "run the code of its own that a study's folder has, a space in a user's file"  # noqa: A001
    to.add_argument("--trust", action="store_true", help=f"{when}: {help}" if when else help)


def open_in_browser(file: Path) -> None:
    """Show a page that was written."""
    import webbrowser

    webbrowser.open(file.resolve().as_uri())


def exit_status(run: Callable[[], int | None], interrupted: str = "interrupted") -> int:
    """Run a command and return its exit status: its own or 0, 1 or 2 by the error's kind, 130 after a signal.

    Args:
        run: The command; SIGTERM and SIGHUP unwind it as Ctrl-C does.
        interrupted: What to say after a signal.
    """
    with _forgiving_output(), _signals_like_ctrl_c():
        try:
            return run() or 0
        except StudyError as error:
            print(f"study: {shown(one_line(error))}", file=sys.stderr)
            return error.exit_code
        except KeyboardInterrupt:
            print(f"study: {interrupted}", file=sys.stderr)
            return INTERRUPTED


@contextmanager
def _signals_like_ctrl_c() -> Iterator[None]:
    """Take SIGTERM and SIGHUP, where they would end the process and leave its temporary files; not under nohup."""
    in_main_thread = threading.current_thread() is threading.main_thread()  # no other may set handlers
    numbers = (signal.SIGTERM, signal.SIGHUP) if in_main_thread else ()
    taken = [number for number in numbers if signal.getsignal(number) == signal.SIG_DFL]
    for number in taken:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


class _Forgiving:
    """A stream that takes what is printed also when nobody reads it any more: what a command does is not for that."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or give the stream up."""
        try:
            return self._stream.write(text)
        except OSError:
            self._give_up()
            return len(text)

    def flush(self) -> None:
        """Flush, or give the stream up."""
        try:
            self._stream.flush()
        except OSError:
            self._give_up()

    def _give_up(self) -> None:
        """Let the rest, and what the buffer still has, go nowhere."""
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _forgiving_output() -> Iterator[None]:
    """Go on where the standard output, or that of errors, is closed, as by `| head`, or was never open."""
    before = sys.stdout, sys.stderr
    for name, stream in zip(("stdout", "stderr"), before, strict=True):
        # Without an open file, Python has None in its place.
        forgiving = _Forgiving(stream) if stream is not None else open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        setattr(sys, name, forgiving)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = before


def end_process(code: int) -> NoReturn:
    """End this process with an exit status and nothing taken apart; `exit_status` has flushed what it has printed.

    Nothing is left to be cleaned up then, and to take PyTorch and MLflow apart takes two seconds.
    """
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def say_progress(line: str) -> None:
    """Print a line on what takes long, to the standard error output, at once."""
    print(line, file=sys.stderr, flush=True)


def hint(verb: str, *arguments: str) -> str:
    """Return the line that runs a command in the environment of this process, from the current folder.

    With `study` where this process was started as `study ...`, else with this Python and the command's file.
    """
    if _started_as() == "study":
        words = ["study" if _is_on_path("study", sys.argv[0]) else sys.argv[0], verb]
    elif _started_as() == "python -m study":
        words = [_python(), "-m", "study", verb]
    elif verb in ("resume", "list"):
        words = [_python(), _near(script("run")), f"--{verb}"]
    else:
        words = [_python(), _near(script(verb))]
    return shlex.join([*words, *arguments])


def storage_words(folder: Path) -> list[str]:
    """Return the words of a command line that name the folder of the studies, none where it is the default."""
    near = _near(folder)
    return [] if near == STORAGE else ["--storage", near]


def _program(verb: str) -> str:
    """Return the name of a command in its usage line."""
    return f"{_started_as()} {verb}" if _started_as() else SCRIPTS[verb]


def _started_as() -> str | None:
    """Return "study" or "python -m study" where this process was started so, else None: by a command's file."""
    started = Path(sys.argv[0])
    if started == _ROOT / "study" / "__main__.py":
        return "python -m study"
    return "study" if started.name == "study" else None


def _python() -> str:
    return "python" if _is_on_path("python", sys.executable) else _near(Path(sys.executable))


def _is_on_path(name: str, file: str) -> bool:
    found = shutil.which(name)
    return found is not None and os.path.abspath(found) == os.path.abspath(file)


def _near(path: Path) -> str:
    """Return a path as it is written from the current folder, where it lies below it."""
    absolute = os.path.abspath(path)  # not resolved: a virtual environment's python is a link to another one
    relative = os.path.relpath(absolute)
    return absolute if relative.startswith(os.pardir) else relative
