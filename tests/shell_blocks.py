"""The documents' shell commands: which there are, and how one is run as somebody types it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from markdown_it import MarkdownIt  # comes with rich

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "commands.md"
BIN = Path(sys.executable).parent
PAUSE = 10  # seconds from an answer to Ctrl-C: MLflow answers before all of it has started
TIMEOUT = 3600  # seconds of a block; the longest takes about 200 on two cores that run other work


def documents() -> list[Path]:
    """Return the documents in the order in which a reader comes to them."""
    first = [ROOT / "README.md", ROOT / "docs" / "tutorial.md"]
    others = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md"]
    return first + [page for page in others if page not in (*first, PAGE)]


def shell_blocks(text: str, indented: bool = True) -> list[str]:
    """Return a document's blocks of shell commands: fenced and called bash, or indented."""
    return [
        token.content
        for token in MarkdownIt().parse(text)
        if (token.type, token.info) == ("fence", "bash") or (indented and token.type == "code_block")
    ]


def commands_of(block: str) -> Iterator[str]:
    """Yield a block's commands without their comments: a line each, or as many as a heredoc has."""
    lines = iter(block.replace("\\\n", " ").splitlines())
    for line in lines:
        if heredoc := re.search(r"<<'(\w+)'", line):
            body = [line]
            while body[-1] != heredoc[1]:
                body.append(next(lines))
            yield "\n".join(body)
        elif command := re.sub(r"\s+", " ", re.sub(r"(^|\s)#\s.*", "", line)).strip():
            yield command


def documented() -> list[tuple[str, str]]:
    """Return (document, command) of every command, in order."""
    return [
        (page.relative_to(ROOT).as_posix(), command)
        for page in documents()
        for block in shell_blocks(page.read_text(encoding="utf-8"))
        for command in commands_of(block)
    ]


def environment() -> dict[str, str]:
    """Return the environment of this process without what says where a study writes, reads and runs."""
    left_out = ("MLFLOW_TRACKING_URI", "RAY_ADDRESS", "STUDY_DATA", "PYTHONPATH")
    return {key: value for key, value in os.environ.items() if key not in left_out}


def execute(block: str, folder: Path, path: Path = BIN, answers: str = "") -> tuple[int, str]:
    """Run commands to the first that fails; return the exit status and what was printed, errors among it.

    The shell is 80 columns wide, finds what lies in `path` first, and has this repository's folder as $CHECKOUT. With
    `answers`, wait for that address to answer, then press Ctrl-C; the status is never 0 where it does not.
    """
    if answers and _answer(answers):
        raise SystemExit(f"{answers} answers before `{block}` has been started: end what is there")
    inherited = environment()
    own = {"PATH": f"{path}{os.pathsep}{inherited['PATH']}", "COLUMNS": "80", "CHECKOUT": str(ROOT)}
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace", newline="") as output:
        # A shell's background commands ignore SIGINT, and what is started from one would, too.
        process = subprocess.Popen(
            ["env", "--default-signal=INT", "bash", "-euo", "pipefail", "-c", block],
            cwd=folder,
            env=inherited | own,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        answered = not answers
        deadline = time.monotonic() + TIMEOUT
        try:
            while process.poll() is None and time.monotonic() < deadline:
                if not answered and _answer(answers):
                    answered = True
                    time.sleep(PAUSE)
                    os.killpg(process.pid, signal.SIGINT)
                time.sleep(0.05)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        status = process.wait()
        status = status if status >= 0 else 128 - status  # as a shell says that a signal ended it
        output.seek(0)
        return (status, output.read()) if answered else (status or 1, f"{output.read()}{answers} has not answered\n")


def _answer(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=10):
            return True
    except OSError:
        return False
