"""Run the commands that the documents print, as somebody types them, and write docs/commands.md: what each came to.

    python tests/documented_commands.py                       # the documents that the page lacks, or that have changed
    python tests/documented_commands.py --file docs/faq.md    # that one again
    python tests/documented_commands.py --list                # what would be run; runs nothing

Each document has an empty folder of its own, in which its commands run in their order. `TABLE` says of every command
how it is run here, or why it is not; one that it does not know is an error. The page is written after each document, so
that the same command goes on where it was ended. To run all of them anew, remove the page first.
"""

from __future__ import annotations

import argparse
import platform
import re
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import markdown_it
from benchmarks import _machine
from shell_blocks import PAGE, ROOT, commands_of, documented, execute, shell_blocks

from study.driver.environment import git_commit

PACKAGES = ("torch", "ray", "optuna", "mlflow")
LINES, WIDTH = 8, 100  # of an output, as it is shown
FAILED = re.compile(r"^Exit (?!0 |130 .* then Ctrl-C)", re.MULTILINE)


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

SMALL = "--smoke --trials 2 --epochs 1 --confirm 1x1"
REPORTED = "--epochs 1 --train-size 500 --val-size 200 --confirm 1x1"  # a smoke study has no reported networks
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
    "chromium ": Run(add="--no-sandbox 2> /dev/null", before="mkdir -p docs/images"),
    "docker build": REGISTRY,
    "gcloud ": ACCOUNT,
    "git clone": INSTALLS,
    "kubectl ": CLUSTER,
    "make bench": HOURS,
    "make lint": Run(instead="make -C $CHECKOUT -o .venv/.dev lint"),
    "make reproduce": Run(instead="make -o .venv/.study reproduce ARGS=\"'fashion/*' --dry-run\"", before=CHECKOUT),
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
    "study ablate": Run(  # of a study whose winner is not the default: of another there is nothing to say
        instead="study ablate earned --path ranked",
        before=f"study run --space digits_ae {SMALL} --name earned",
    ),
    "study audit": AS_IT_IS,
    "study baseline --data cifar": AS_IT_IS,
    "study baseline --data path/to/images": AS_IT_IS,
    "study check": CLUSTER,
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
    "study repeat night t0003-s4": Run(instead="study repeat night t0000-s1"),
    "study report": AS_IT_IS,
    "docs/clusters.md: study report": Run(before=f"{NIGHT} {SMALL}"),
    "study reproduce": Run(add="--dry-run"),
    "study reproduce 'flowers/*'": Run(instead="study reproduce 'flowers/ad*' --dry-run"),
    "study reproduce --dry-run": Run(add="'fashion/*'"),
    "study reproduce --missing": AS_IT_IS,
    "study reproduce --time-budget": Run(add="'fashion/*' --dry-run"),
    "study resume night": AS_IT_IS,
    "study resume night --trials 128": Run(add="--trials 13"),
    "study resume night --report-seeds 10": Run(add="--report-seeds 3"),
    "study resume night --trials 8": AS_IT_IS,
    "study run --config night.yaml": Run(
        add=SMALL, before="test -e night.yaml || study run --space cifar_ae --print-config > night.yaml"
    ),
    "study run --data path/to/images --image-size 64 --dry-run": Run(before=IMAGES),
    "study run --reported": Run(add=REPORTED),
    "study run --reported 'cifar_ae/?+?' --as-reported": Run(
        instead="study run --reported 'cifar_ae/2+?' --as-reported --epochs 1 --train-size 500 --confirm 1x1"
    ),
    "study run --reported 'mnist_ae/*' --space mnist_vae": Run(
        instead=f"study run --reported 'mnist_ae/*_z2' --space mnist_vae {REPORTED}"
    ),
    "study run --space docs/beyond/": Run(add=SMALL, before="ln -sfn $CHECKOUT/docs ."),
    "study run --space cifar_ae": Run(add=SMALL),
    "study run --space cifar_ae --confirm-reported": Run(add=f"{REPORTED} --trials 2 --max-params 1000000"),
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


def run_command(document: str, command: str, folder: Path) -> str:
    """Do with a command what `TABLE` says, in `folder`; return what the page shows of it."""
    how = TABLE[entry_of(document, command)]
    shown = f"```bash\n{command}\n```\n\n"
    if isinstance(how, str):
        return f"{shown}Not run: {how}."
    status, output = execute(how.before, folder) if how.before else (0, "")
    begun = time.monotonic()
    if status == 0:
        status, output = execute(how.line(command), folder, answers=how.answers)
    words = [f"Exit {status} after {time.monotonic() - begun:.1f} s"]
    output = _without_paths(output, folder)
    overwritten = (line.rstrip().rpartition("\r")[2] for line in output.split("\n"))  # as a terminal shows it
    lines = [line for line in overwritten if line]
    print(
        f"\n### {document}: {command}\n{output}\n### {words[0]}; {max(map(len, lines), default=0)} columns", flush=True
    )
    words += [f"`{how.answers}` answered, then Ctrl-C"] if how.answers and "has not answered" not in output else []
    words += [f"run as `{how.line(command)}`"] if how.line(command) != command else []
    words += [f"after `{how.before}`"] if how.before else []
    cut = [line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…" for line in lines[-LINES:]]
    return f"{shown}{'; '.join(words)}" + ("\n\n" + "\n".join(["```text", *cut, "```"]) if cut else "")


def _without_paths(text: str, folder: Path) -> str:
    """Return a text that names no place of this machine."""
    environments = {sys.prefix, str(Path(markdown_it.__file__).parents[4])}  # that this is in, and the packages are in
    named = {str(folder): "here", **dict.fromkeys(environments, ".venv"), str(ROOT): "$CHECKOUT", str(Path.home()): "~"}
    for path, name in named.items():
        text = text.replace(path, name)
    return re.sub(rf"\b{re.escape(platform.node())}\b", "this-machine", text)


def run_document(document: str) -> str:
    """Run a document's commands in an empty folder; return its section of the page."""
    machine = f"```text\n{_machine.describe(PACKAGES)}\n```"
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="commands-") as folder:
        ran = [run_command(document, command, Path(folder)) for name, command in documented() if name == document]
    seconds = time.monotonic() - begun
    said = f"{seconds:.0f} s in all, on {datetime.now(UTC):%Y-%m-%d}, at commit {git_commit()}."
    return "\n\n".join([said, machine, *ran])


HOW = f"""Made by `python tests/documented_commands.py`: the blocks of commands of README.md, docs/ and CONTRIBUTING.md,
each document in an empty folder of its own (`here` below; `$CHECKOUT` is this repository). Where a command was run
smaller than it is printed, or not at all, it says so. The seconds are of one run, on a machine as busy as its load
average says. Of an output the last {LINES} lines that are not empty are shown, errors among them, the first {WIDTH}
columns of each."""


def page_of(sections: Mapping[str, str], missing: Sequence[str] = ()) -> str:
    """Return docs/commands.md, from the sections by document and the names of those that are still to be run."""
    body = "\n\n".join(f"## {document}\n\n{section}" for document, section in sections.items())
    ran, reasons = len(re.findall(r"^Exit ", body, re.MULTILINE)), len(re.findall(r"^Not run: ", body, re.MULTILINE))
    failed = len(FAILED.findall(body))
    counts = f"{ran + reasons} commands: {ran} run, of which {failed or 'none'} failed, and {reasons} not run."
    counts += f" Still to be run: {', '.join(missing)}." if missing else ""
    return f"# Every command of the documents, with its time and its output\n\n{counts}\n\n{HOW}\n\n{body}\n"


def sections_of(page: str) -> dict[str, str]:
    """Return the sections of docs/commands.md by document."""
    parts = re.split(r"^## (.*)\n\n", page, flags=re.MULTILINE)[1:]
    return {document: section.strip() for document, section in zip(parts[::2], parts[1::2], strict=True)}


def commands_in(section: str) -> list[str]:
    """Return the commands that a section of docs/commands.md lists."""
    return [command for block in shell_blocks(section) for command in commands_of(block)]


def main() -> int:
    """Run the command: 0, or 1 where a documented command has failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", action="append", default=[], help="this document again; may be given several times")
    parser.add_argument("--list", action="store_true", help="say what would be run, and run nothing")
    options = parser.parse_args()
    wanted: dict[str, list[str]] = {}
    for document, command in documented():
        wanted.setdefault(document, []).append(command)
        if options.list:
            how = TABLE[entry_of(document, command)]
            print(f"{document}: {command}\n    {how if isinstance(how, str) else how.line(command)}")
    if options.list:
        return 0
    if unknown := set(options.file) - wanted.keys():
        parser.error(f"--file {unknown.pop()}: one of {', '.join(wanted)}")
    for number in (signal.SIGINT, signal.SIGTERM):  # either ends the command that runs, too
        signal.signal(number, signal.default_int_handler)
    sections = sections_of(PAGE.read_text(encoding="utf-8")) if PAGE.exists() else {}
    for document in options.file or [name for name in wanted if commands_in(sections.get(name, "")) != wanted[name]]:
        sections[document] = run_document(document)
        done, missing = ([name for name in wanted if (name in sections) == there] for there in (True, False))
        PAGE.write_text(page_of({name: sections[name] for name in done}, missing), encoding="utf-8")
    return int(any(map(FAILED.search, sections.values())))


if __name__ == "__main__":
    sys.exit(main())
