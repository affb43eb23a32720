"""Run the commands that the documents print, as somebody types them, and write docs/commands.md: what each came to.

    python tests/documented_commands.py --json ran.json
    python tests/documented_commands.py --json ran.json --file docs/faq.md
    python tests/documented_commands.py --list

Each document has an empty folder of its own, in which its commands run in their order. `TABLE` says of every command
how it is run here, or why it is not; one that it does not know is an error. With --json a document that stands in that
file is not run again, unless --file names it.
"""

from __future__ import annotations

import argparse
import json
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import _machine
from shell_blocks import PAGE, ROOT, documented, execute

from study.driver.environment import git_commit

PACKAGES = ("torch", "ray", "optuna", "mlflow")
LINES, WIDTH = 8, 100  # of an output, as it is shown


@dataclass(frozen=True)
class Run:
    """How a documented command is run here.

    Attributes:
        add: Options put behind it; of an option given twice the last one counts.
        instead: What is run in its place.
        before: What makes the files that it takes for granted.
        answers: Of a command that stays until Ctrl-C, the address that has to answer before it gets one.
    """

    add: str = ""
    instead: str = ""
    before: str = ""
    answers: str = ""

    def line(self, command: str) -> str:
        return self.instead or f"{command} {self.add}".strip()


INSTALLS = "installs packages"
HOURS = "takes hours"
TESTS = "the test suite: takes far longer than this whole list"
CLUSTER = "needs a cluster"
ACCOUNT = "needs an account with a cloud provider"
REGISTRY = "needs docker and a registry of images"
HOME = "writes a secret into the user's own folder"
EDITOR = "opens an editor"

SMALL = "--trials 2 --epochs 1 --train-size 500 --val-size 200 --confirm 1x1"
CHECKOUT = "ln -sfn $CHECKOUT/{.venv,Makefile,study,tests} ."
PHOTOS = "python $CHECKOUT/tests/made_up_photographs.py photos"
IMAGES = "test -d path/to/images || python $CHECKOUT/tests/made_up_photographs.py path/to/images"
NIGHT = "study run --space digits_ae --trials 13 --epochs 1 --confirm 1x1 --name night"
AS_IT_IS = Run()

TABLE: dict[str, Run | str] = {
    "$EDITOR cluster-slurm.sh": EDITOR,
    "(umask 077; ray get-auth-token --generate)": HOME,
    "HEAD=$(kubectl get pod": CLUSTER,
    "STUDY_DATA=... .venv/bin/study": Run(instead="study run --data cifar --dry-run"),
    "aws ": ACCOUNT,
    "chromium ": Run(add="--no-sandbox", before="mkdir -p docs/images"),
    "docker build": REGISTRY,
    "gcloud ": ACCOUNT,
    "git clone": INSTALLS,
    "kubectl ": CLUSTER,
    "make bench": HOURS,
    "make lint": Run(instead="make -C $CHECKOUT -o .venv/.dev lint"),
    "make reproduce": Run(instead="make -o .venv/.study reproduce ARGS=--dry-run", before=CHECKOUT),
    "make study": Run(instead=f"make -o .venv/.study study ARGS='{SMALL}'", before=CHECKOUT),
    "make test": TESTS,
    "make ui": Run(instead="make -o .venv/.study ui", before=CHECKOUT, answers="http://127.0.0.1:5000"),
    "make ui CLUSTER=": CLUSTER,
    "mkdir -p results && ray rsync-down": CLUSTER,
    "pip install": INSTALLS,
    "python - <<'END'": AS_IT_IS,
    "python tests/benchmarks/bench_driver_rate.py": Run(add="--minutes 0.5 --places 8", before=CHECKOUT),
    "python tests/benchmarks/bench_many_runs.py": Run(add="--trials 100", before=CHECKOUT),
    "python3 -m venv": INSTALLS,
    "python3.11 -m venv": INSTALLS,
    "ray ": CLUSTER,
    "rsync -a login:": CLUSTER,
    "sbatch ": CLUSTER,
    "study ablate": AS_IT_IS,
    "study audit": AS_IT_IS,
    "study baseline --data cifar": AS_IT_IS,
    "study baseline --data path/to/images": AS_IT_IS,
    "study check": AS_IT_IS,
    "study check-space mine.py": AS_IT_IS,
    "study compare": AS_IT_IS,
    "study dashboard": Run(answers="http://127.0.0.1:8080"),
    "study export": AS_IT_IS,
    "study leaderboard": AS_IT_IS,
    "study list": AS_IT_IS,
    "study new-space": AS_IT_IS,
    "study predict --model results/NAME/best new.jpg": Run(before="cp path/to/images/cat/1.jpg new.jpg"),
    "study predict --model results/night/best cat.png": Run(before="cp path/to/images/cat/1.jpg cat.png"),
    "study predict --model results/night/best photos/": AS_IT_IS,
    "study repeat": AS_IT_IS,
    "study repeat night t0003-s1": Run(instead="study repeat night t0000-s1"),
    "study report": AS_IT_IS,
    "docs/clusters.md: study report": Run(before=f"{NIGHT} {SMALL}"),
    "study reproduce": Run(add="--dry-run"),
    "study reproduce --dry-run": AS_IT_IS,
    "study resume night": AS_IT_IS,
    "study resume night --trials 128": Run(add="--trials 13"),
    "study resume night --trials 8": AS_IT_IS,
    "study run --config night.yaml": Run(
        add=SMALL, before="test -e night.yaml || study run --space cifar_ae --print-config > night.yaml"
    ),
    "study run --data path/to/images --dry-run": Run(before=IMAGES),
    "study run --reported": Run(add="--epochs 1 --train-size 500 --val-size 200 --confirm 1x1"),
    "study run --reported 'cifar_ae/?+?' --as-reported": Run(add="--epochs 1 --train-size 500 --confirm 1x1"),
    "study run --space cifar_ae": Run(add=SMALL),
    "study run --space cifar_ae --dry-run": AS_IT_IS,
    "study run --space cifar_ae --smoke": AS_IT_IS,
    "study run --space cifar_ae --name night --notify": Run(
        instead=f"study run --space cifar_ae --name night --notify 'echo study {{name}} {{status}}' {SMALL}"
    ),
    "study run --space cifar_ae --trials 500": Run(
        add=f"{SMALL} --trials 4", before=r"printf 'currency: USD\nprocessor: 0.04\n' > prices.yaml"
    ),
    "study run --space cifar_ae --trials 64 --epochs 30": Run(add=f"{SMALL} --name day"),
    "study run --space cifar_ae --trials 64 --print-config": AS_IT_IS,
    "study run --space digits_ae --data path/to/images": Run(add=f"{SMALL} --name NAME", before=IMAGES),
    "study run --space digits_ae --data photos --image-size 32 --dry-run": Run(before=PHOTOS),
    "study run --space digits_ae --seed 0": Run(add="--trials 4 --epochs 3 --confirm 2x2"),
    "study run --space digits_ae --trials 32": Run(add="--trials 16 --epochs 9"),
    "study run --space digits_ae --trials 6": AS_IT_IS,
    "study run --space digits_ae --trials 8": AS_IT_IS,
    "study run --space digits_vae": Run(add="--trials 4 --epochs 3 --confirm 2x2"),
    "study run --space fashion_classifier --encoder-from night": Run(
        add=SMALL, before=f"study run --space fashion_ae {SMALL} --name night"
    ),
    "study run --space mine.py": AS_IT_IS,
    "study run --space mnist_ae --warm-start night": Run(add=SMALL),
    "study simulate curves": AS_IT_IS,
    "README.md: study simulate": Run(
        before=f"study run --space digits_ae {SMALL} --trials 8 --epochs 9 --scheduler none --confirm 0 --name curves"
    ),
    "study verify night.zip": Run(before=f"{NIGHT} && study report night --paper && cp results/night/night.zip ."),
    "study verify results/night/night.zip": AS_IT_IS,
    "tail -f": CLUSTER,
}
"""By how a command begins, the longest that fits, after `DOCUMENT: ` where it is of one document alone."""


def entry_of(document: str, command: str) -> str:
    """Return the key of `TABLE` that a command falls under.

    Raises:
        SystemExit: `TABLE` knows no such command.
    """
    full = f"{document}: {command}"
    found = [key for key in TABLE if command.startswith(key) or full.startswith(key)]
    if not found:
        raise SystemExit(f"{full}: TABLE in tests/documented_commands.py says neither how to run it nor why not")
    return max(found, key=lambda key: (full.startswith(key), len(key)))


def run_command(document: str, command: str, folder: Path) -> dict[str, Any]:
    """Do with a command what `TABLE` says, in `folder`; return what there is to show of it."""
    how = TABLE[entry_of(document, command)]
    if isinstance(how, str):
        return {"command": command, "reason": how}
    shown = {"command": command, "line": how.line(command), "before": how.before, "answers": how.answers}
    status, output = execute(how.before, folder) if how.before else (0, "")
    begun = time.monotonic()
    if status == 0:
        status, output = execute(how.line(command), folder, answers=how.answers)
    seconds = time.monotonic() - begun
    output = _without_paths(output, folder)
    lines = [line for line in output.splitlines() if line.strip()]
    wide = max(map(len, lines), default=0)
    print(f"\n### {document}: {command}\n{output}\n### exit {status}, {seconds:.1f} s, {wide} columns", flush=True)
    return shown | {"status": status, "seconds": round(seconds, 1), "columns": wide, "output": lines[-LINES:]}


def _without_paths(text: str, folder: Path) -> str:
    """Return a text that names no place of this machine."""
    named = {str(folder): "work", str(ROOT): "$CHECKOUT", sys.prefix: ".venv", str(Path.home()): "~"}
    for path, name in named.items():
        text = text.replace(path, name)
    return text.replace(platform.node(), "this-machine")


def run_document(document: str) -> dict[str, Any]:
    """Run a document's commands in an empty folder; return them with the commit, the date and the machine."""
    facts = {"commit": git_commit(), "date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": _machine.describe(PACKAGES)}
    with tempfile.TemporaryDirectory(prefix="commands-") as folder:
        ran = [run_command(document, command, Path(folder)) for name, command in documented() if name == document]
    return facts | {"commands": ran}


HOW = f"""Made by `python tests/documented_commands.py`: the blocks of commands of README.md, docs/ and CONTRIBUTING.md,
each document in an empty folder of its own (`work` below; `$CHECKOUT` is this repository). Where a command was run
smaller than it is printed, or not at all, it says so. The seconds are of one run, on a machine as busy as its load
average says. Of an output the last {LINES} lines that are not empty are shown, errors among them, {WIDTH} columns."""


def page_of(ran: dict[str, dict[str, Any]]) -> str:
    """Return docs/commands.md."""
    every = [entry for document in ran.values() for entry in document["commands"]]
    done = [entry for entry in every if "reason" not in entry]
    failed = sum(entry["status"] != 0 for entry in done)
    parts = [
        "# Every command of the documents, with its time and its output",
        f"{len(every)} commands: {len(done)} run, {failed} of them with another exit code than 0, and "
        f"{len(every) - len(done)} not run.",
        HOW,
    ]
    for name, document in ran.items():
        seconds = sum(entry.get("seconds", 0) for entry in document["commands"])
        parts += [f"## {name}", f"{seconds:.0f} s in all, on {document['date']}, at commit {document['commit']}."]
        parts += [f"```text\n{document['machine']}\n```"]
        parts += [part for entry in document["commands"] for part in _shown(entry)]
    return "\n\n".join(parts) + "\n"


def _shown(entry: dict[str, Any]) -> Iterator[str]:
    yield f"```bash\n{entry['command']}\n```"
    if "reason" in entry:
        yield f"Not run: {entry['reason']}."
        return
    words = [f"exit {entry['status']}, {entry['seconds']:.1f} s"]
    words += [f"`{entry['answers']}` answered, then Ctrl-C"] if entry["answers"] else []
    words += [f"run as `{entry['line']}`"] if entry["line"] != entry["command"] else []
    words += [f"after `{entry['before']}`"] if entry["before"] else []
    yield "; ".join(words)
    if entry["output"]:
        yield "\n".join(["```text", *(_cut(line) for line in entry["output"]), "```"])


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else line[: WIDTH - 2] + " …"


def main() -> int:
    """Run the command: 0, or 1 where a command failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", action="append", help="of this document only; may be given several times")
    parser.add_argument("--json", type=Path, metavar="FILE", help="what has been run, which is not run again")
    parser.add_argument("--list", action="store_true", help="say what would be run, and run nothing")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):  # either ends the command that runs, too
        signal.signal(number, signal.default_int_handler)
    names = list(dict.fromkeys(document for document, _ in documented()))
    if unknown := set(options.file or ()) - set(names):
        parser.error(f"--file {unknown.pop()}: one of {', '.join(names)}")
    if options.list:
        for document, command in documented():
            how = TABLE[entry_of(document, command)]
            print(f"{document}: {command}\n    {how if isinstance(how, str) else how.line(command)}")
        return 0
    ran = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    for name in options.file or [name for name in names if name not in ran]:
        ran[name] = run_document(name)
        if options.json:
            options.json.write_text(json.dumps(ran, indent=1))
    if set(names) <= set(ran):
        PAGE.write_text(page_of({name: ran[name] for name in names}), encoding="utf-8")
    return int(any(entry.get("status") for document in ran.values() for entry in document["commands"]))


if __name__ == "__main__":
    sys.exit(main())
