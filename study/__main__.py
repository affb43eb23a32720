"""All commands under one name: `study run --space cifar_ae`, or `python -m study run --space cifar_ae`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import NoReturn

from study.record.commands import SCRIPTS, end_process, exit_status
from study.record.errors import UsageError, choose_from

_VERBS = {
    "run": "search a space, confirm the best networks, compare them with PCA",
    "resume": "go on with an interrupted study: study resume NAME",
    "list": "name every search space",
    "reproduce": "train the reports' own configurations, the cheapest first",
    "report": "write the report of a study as one HTML file",
    "verify": "check the archive that study report --paper wrote",
    "repeat": "train a recorded run again, and compare its values",
    "ablate": "what earned a gain: from the default to the winner, a parameter at a time",
    "compare": "studies side by side, with intervals",
    "audit": "what the reports claimed, beside what studies measured",
    "leaderboard": "the best configs of a study, in the terminal",
    "dashboard": "Optuna's dashboard of all studies of a folder, on this machine alone",
    "predict": "ask a trained network about images",
    "export": "write a network as ONNX, a PyTorch program, or its weights alone",
    "baseline": "fit PCA alone, on all training images",
    "simulate": "replay recorded learning curves under every scheduler",
    "check": "preflight of a running cluster",
    "new-space": "begin a space of one's own: a file that runs as it is",
    "check-space": "try a space of one's own: configs, training, resuming, fusing",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that the first word names, and return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        print(_usage())
        return 0
    verb, *rest = words
    return exit_status(lambda: _run(verb, rest))


def command() -> NoReturn:
    """Run the command as a process of its own."""
    end_process(main())


def _run(verb: str, rest: list[str]) -> int:
    if verb not in _VERBS:
        raise UsageError(choose_from("command", verb, _VERBS))
    if verb == "resume" and (not rest or rest[0].startswith("-")):
        if not {"-h", "--help"} & {*rest}:
            raise UsageError("NAME is missing: the study's name, before any option")
        verb = "run"
    if verb in ("resume", "list"):
        verb, rest = "run", [f"--{verb}", *rest]
    module = importlib.import_module(SCRIPTS[verb].removesuffix(".py").replace("/", "."))
    status: int = module.main(rest)
    return status


def _usage() -> str:
    width = max(map(len, _VERBS))
    lines = [f"  {verb:<{width}}  {what}" for verb, what in _VERBS.items()]
    return "\n".join(["usage: study COMMAND ...", "", *lines, "", "study COMMAND --help says more of a command."])


if __name__ == "__main__":
    command()
