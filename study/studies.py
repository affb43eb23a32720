"""Studies in Python, as the commands have them: `run` one with options as keywords, `load` one, and look at it."""

from __future__ import annotations

import html
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.page.headline import headline
from analysis.page.parts import Facts
from analysis.study_files import StudyFiles, read_study
from study.driver.child import run_to_end
from study.record.commands import STORAGE
from study.record.errors import INTERRUPTED, StudyError, UsageError, choose_from
from study.record.settings import options, plain
from study.settings.command_line import from_values

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from models import Network


@dataclass(frozen=True)
class Best:
    """A study's best config.

    Attributes:
        id: the trial's.
        config: its settings.
        params: its number of parameters.
        scores: a row per metric, with its mean over the seeds, the ends `low` and `high` of the 95 % interval of that,
            and the number `n` of seeds; without a confirmation, the one value on validation data.
    """

    id: str
    config: dict[str, Any]
    params: int
    scores: pd.DataFrame


class Study:
    """A study as its files say it is now; `load` it again where it has gone on.

    Attributes:
        files: the tables as they were read.
    """

    def __init__(self, files: StudyFiles) -> None:
        self.files = files

    @property
    def name(self) -> str:
        """Its name."""
        return self.files.name

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.files.folder

    @property
    def state(self) -> str:
        """Whether it is finished, running, interrupted or failed."""
        return self.files.state

    @property
    def settings(self) -> dict[str, Any]:
        """Its settings."""
        return self.files.settings

    @property
    def trials(self) -> pd.DataFrame:
        """A row per trial."""
        return self.files.trials

    @property
    def history(self) -> pd.DataFrame:
        """A row per trial and epoch."""
        return self.files.history

    @property
    def confirmed(self) -> pd.DataFrame:
        """A row per confirmed config and seed."""
        return self.files.confirm

    @property
    def baseline(self) -> pd.DataFrame:
        """A row per number of components of PCA."""
        return self.files.baseline

    @property
    def summary(self) -> dict[str, Any] | None:
        """The content of summary.json, None while it is not finished."""
        return self.files.summary

    @property
    def best(self) -> Best | None:
        """The best config with its scores; None while the study is not finished, or where no trial was completed."""
        summary = self.summary
        best = (summary or {}).get("best")
        if summary is None or best is None:
            return None
        confirmed = {one["id"]: one["test"] for one in summary["confirmed"]}
        tested: dict[str, Any] = confirmed.get(best["trial_id"], {})
        rows = {name: _score(value) for name, value in {**best["val"], **tested}.items()}
        scores = pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "low", "high", "n"])
        return Best(best["trial_id"], best["config"], best["params"], scores.rename_axis("metric"))

    def model(self, *, trust: bool = False) -> Network:
        """Return its best network, on the CPU and in evaluation mode.

        Args:
            trust: whether code of its own that lies in the study's folder may be run.

        Raises:
            UsageError: it has none yet, or it is damaged.
            UntrustedCodeError: it has code of its own, and nobody said that it may run.
        """
        import models
        from study.evaluation import own_images

        try:
            return own_images.load(self.files.paths.best, trust=trust)
        except UsageError as error:
            if isinstance(error.__cause__, models.UntrustedCodeError):
                raise error.__cause__ from None
            raise

    def figure(self, name: str) -> Figure:
        """Return a figure of the report, such as "rate_distortion".

        Raises:
            UsageError: there is no such figure, or this study has nothing to show there.
        """
        from analysis.page import pictures

        drawings = {one.name: one for one in pictures.drawings(pictures.MODULES)}
        drawings |= {module: pictures.drawings([module])[0] for module in pictures.MODULES if module not in drawings}
        if name not in drawings:
            raise UsageError(choose_from("figure", name, drawings))
        data = drawings[name].compute(self.files)
        if data is None:
            raise UsageError(f"study {self.name!r} has nothing to show in the figure {name!r}")
        return drawings[name].plot(data)

    def report(self) -> Path:
        """Write its report, and return the page."""
        from analysis.output import write_page
        from analysis.report import build

        page = self.files.paths.report / "index.html"
        write_page(page, build(self.files), alone=True)
        return page

    def __repr__(self) -> str:
        return f"Study({str(self.folder)!r}, {self.state}, trials={len(self.trials)})"

    def _repr_html_(self) -> str:
        """Return the first screen of its report, for a notebook."""
        shown = [item for item in headline(self.files).items if isinstance(item, Facts)]
        rows = [
            f"<tr><th style='text-align:left'>{html.escape(fact.term)}</th><td style='text-align:left'>"
            f"<b>{html.escape(fact.value)}</b><br>{html.escape(fact.detail)}</td></tr>"
            for facts in shown
            for fact in facts.facts
        ]
        note = f"<p>{html.escape(self.files.partial)}</p>" if self.files.partial else ""
        return f"<h4>Study {html.escape(self.name)}</h4>{note}<table>{''.join(rows)}</table>"


def load(name_or_folder: str | Path, storage: str | Path = STORAGE) -> Study:
    """Return a study, finished or not, by its name below the folder `storage`, or by its own folder.

    Raises:
        UsageError: there is none, it has no tables yet, or they are missing or damaged.
    """
    folder = Path(name_or_folder).expanduser()
    if folder.name != str(name_or_folder):
        return Study(read_study(folder.name, folder.parent))
    return Study(read_study(folder.name, Path(storage).expanduser()))


def run(*, quiet: bool = False, trust: bool = False, resume: str | None = None, **settings: Any) -> Study:
    """Run a study to its end, in a process of its own with a Ray of its own, and return it.

    Args:
        quiet: whether its lines are kept back.
        trust: whether code of its own that lies in another study's folder may be run.
        resume: the name of a study to go on with.
        **settings: options of `study run`, such as space="digits_ae", trials=8, time_budget="2h".

    Raises:
        UsageError: an option is not known, or its value not allowed.
        StudyError: the study failed; the message says why.
        KeyboardInterrupt: it was interrupted; `resume` goes on with it.
    """
    given = {key.replace("_", "-"): value for key, value in settings.items() if value is not None}
    checked = from_values(given)
    words = ["--resume", resume] if resume else []
    for name, value in given.items():
        words += _words(name, value)
    if resume is None and "name" not in given:
        kind = checked.get("space", "reported")
        given["name"] = f"{kind}-{datetime.now():%Y%m%d-%H%M%S}"
        words += ["--name", given["name"]]
    words += ["--trust"] if trust else []
    last: list[str] = []

    def say(line: str) -> None:
        last[:] = [line] if line.startswith("study: ") else last
        if not quiet:
            print(line, flush=True)

    sys.stdout.flush()
    status = run_to_end("run", words, say=say)
    reason = (last or ["the study ended without a word"])[0].removeprefix("study: ")
    if status == INTERRUPTED:
        raise KeyboardInterrupt(reason)
    if status:
        raise (UsageError if status == UsageError.exit_code else StudyError)(reason)
    return load(resume or str(given["name"]), given.get("storage", STORAGE))


def _words(name: str, value: object) -> list[str]:
    """Return the words of a command line that say an option's value."""
    if isinstance(value, bool) and options()[name].say is None:
        return [f"--{name}"] if value else [f"--no-{name}"]
    return [f"--{name}", plain(value)]


def _score(value: Any) -> tuple[float, float | None, float | None, int]:
    """Return the mean, the ends of its interval and the number of values of a score in summary.json."""
    if not isinstance(value, Mapping):
        return float(value), None, None, 1
    low, high = value.get("ci95") or (None, None)
    return float(value["mean"]), low, high, int(value["n"])
