"""The page of the reproductions, as Markdown: each report's tables and figures in its own order, beside ours."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import search_spaces
from analysis.audits.evidence import KEPT_AS, Evidence, read_evidence
from analysis.audits.readings import Runs, best_runs, runs_of
from analysis.audits.verdicts import Audited, Verdict, audit, stages
from analysis.audits.views import claimed_words, our_lines
from analysis.figures._mean_curves import compute_mean_curves, plot_mean_curves
from analysis.page.reported_pages import REPORTED_PAGES, Claimed, Curves, Pictures, ReportedPage
from analysis.words import environments
from search_spaces import Measured
from study.record import files
from study.record.reproductions import PACES
from study.record.words import counted

_DPI = 100
_LEAD = """# The five reports, beside what this project measured

Each report's tables and figures in its own order: what it claims, what was measured here, and what that says of the
claim. Made by `study report --reproductions` from `analysis/reproductions/`, which `study reproduce` writes: edit
neither. Ours are means over seeds with their 95 % interval; how claims are judged is in [method.md](method.md) and
[reports.md](reports.md).
"""


@dataclass(frozen=True)
class _Sources:
    """What the page is made of: the folder of what is kept, the page's own file, and what it has to say."""

    kept: Path
    page: Path
    evidence: Evidence
    audited: Sequence[Audited]

    def link(self, path: Path) -> str:
        """Return the address of a file from the page."""
        return Path(os.path.relpath(path, self.page.parent)).as_posix()

    def runs(self, key: str, metric: str | None = None) -> Runs | None:
        """Return the runs of a configuration that are kept, those that have a metric where there are such."""
        return best_runs(key, self.evidence, [Measured(key, metric)] if metric else ())

    def folder(self, runs: Runs) -> Path:
        """Return the folder of a study that is kept."""
        return runs.study.folder.path


def write_reproductions(kept: Path, page: Path) -> None:
    """Write the page, and its figures of learning curves into images/reproductions beside it.

    Args:
        kept: The folder of what `study reproduce` keeps.
        page: The Markdown file.
    """
    evidence = read_evidence(None, kept)
    sources = _Sources(kept, page, evidence, [audit(claim, evidence) for claim in search_spaces.claims()])
    blocks = [_LEAD, _counts(sources.audited)]
    blocks += [block for report in REPORTED_PAGES for block in _report(report, sources)]
    files.write_text(page, "\n".join(blocks).rstrip() + "\n")


def _counts(audited: Sequence[Audited]) -> str:
    counts = Counter(one.verdict for one in audited)
    rows = [[str(verdict), str(counts[verdict])] for verdict in Verdict if counts[verdict]]
    return _table(["verdict", "claims"], [*rows, ["in all", str(len(audited))]])


def _report(report: ReportedPage, sources: _Sources) -> Iterator[str]:
    yield f"## {report.key}: {report.title}\n"
    yield _runs_table(report.key, sources)
    left = [one for one in sources.audited if one.claim.key.startswith(f"{report.key}/")]
    for part in report.parts:
        if isinstance(part, Claimed):
            shown = [one for one in left if one.claim.key.startswith(part.claims)]
            left = [one for one in left if one not in shown]
            if shown:
                yield f"### {part.title}\n\n{_claims_table(shown, sources)}"
        elif isinstance(part, Curves):
            yield from _curves(part, report.key, sources)
        else:
            yield from _pictures(part, sources)


def _runs_table(report: str, sources: _Sources) -> str:
    heads = ["configuration", "epochs", "seeds", "training images", "hours", "machine", "commit"]
    paces = _paces(sources.kept / PACES)
    rows: list[list[str]] = []
    for key, entry in search_spaces.reported().items():
        if not key.startswith(f"{report}/"):
            continue
        found = runs_of(key, sources.evidence)
        if not found:
            hours = f"about {paces[key]:.2f} a seed" if key in paces else ""
            rows.append([key, stages(entry.epochs), "not run yet", "", hours, "", ""])
        for runs in sorted(found, key=lambda one: one.rank, reverse=True):
            about = runs.study.about
            commits = dict.fromkeys((one.get("git_commit") or "")[:7] for one in environments(about))
            rows.append(
                [
                    f"[{key}]({sources.link(sources.folder(runs))})",
                    f"{stages(runs.epochs)} of {stages(entry.epochs)}",
                    str(len(runs.rows)),
                    f"{runs.study.sizes['train']:,}",
                    f"{about.get('hours', {}).get('training', 0.0):.2f}",
                    _machines(about),
                    ", ".join(filter(None, commits)),
                ]
            )
    command = f"    study reproduce '{report}/*'\n"
    return f"{command}\n{_table(heads, rows)}"


def _machines(about: dict[str, Any]) -> str:
    """Return on what the runs of a study were trained, one after the other where it was gone on with elsewhere."""
    threads = max(1, int(about["settings"].get("cpus_per_trial", 1)))
    first, *later = environments(about)
    ran = []
    for one in ({**first, "on_gpu": about.get("gpu") is not None}, *later):
        gpus = one.get("gpus") or []
        ran.append(gpus[0] if gpus and one["on_gpu"] else f"{one.get('cpu', '')}, {counted(threads, 'thread')} a run")
    return ", then ".join(dict.fromkeys(ran))


def _claims_table(shown: Sequence[Audited], sources: _Sources) -> str:
    rows = []
    for one in shown:
        lines = [] if one.verdict is Verdict.MISSING else our_lines(one)
        ours = "<br>".join(_linked(line, sources) for line in lines)
        said = f"{_escaped(one.claim.statement)}<br>*{_escaped(one.claim.measures)}*"
        rows.append([said, claimed_words(one), ours or "–", f"**{_escaped(one.words)}**"])
    return _table(["the report says, *and what that measures*", "claimed", "measured here", "verdict"], rows)


def _linked(text: str, sources: _Sources) -> str:
    """Return a text as it is, with links to the studies and tables that are kept."""
    plain, *rest = re.split(rf"{KEPT_AS}/([\w.+/-]+)", text)
    pieces = [_escaped(plain)]
    for name, after in zip(rest[::2], rest[1::2], strict=True):
        pieces += [f"[{_escaped(name)}]({sources.link(sources.kept / name)})", _escaped(after)]
    return "".join(pieces)


def _curves(part: Curves, report: str, sources: _Sources) -> Iterator[str]:
    found = {key: runs for key in part.keys if (runs := sources.runs(key, f"val_{part.metric}")) is not None}
    histories = {key: runs.study.history([row["confirm_id"] for row in runs.rows]) for key, runs in found.items()}
    curves = compute_mean_curves(histories, part.metric)
    if not curves:
        return
    slug = "-".join(re.findall(r"[a-z0-9]+", part.title.lower()))
    file = sources.page.parent / "images" / "reproductions" / report / f"{slug}.png"
    drawn = plot_mean_curves(curves, part.metric)
    files.write(file, lambda target: drawn.savefig(target, format="png", dpi=_DPI, metadata={"Software": None}))
    seeds = ", ".join(f"{key} {counted(len(found[key].rows), 'seed')}" for key in curves)
    yield f"### {part.title}\n\n![{part.title}]({sources.link(file)})\n\nMeans; training dashed.{part.note} {seeds}.\n"


def _pictures(part: Pictures, sources: _Sources) -> Iterator[str]:
    shown = []
    for key in part.keys:
        runs = sources.runs(key)
        file = sources.folder(runs) / f"{part.picture}.png" if runs else None
        if file is not None and file.is_file():
            shown.append(f"{key}:\n\n![{part.picture} of {key}]({sources.link(file)})\n")
    if shown:
        yield "\n".join([f"### {part.title}\n", *shown])


def _paces(file: Path) -> dict[str, float]:
    """Return the hours of one seed of each configuration that was measured, by the first machine that has it."""
    if not file.is_file():
        return {}
    reported = search_spaces.reported()
    found: dict[str, float] = {}
    for measured in json.loads(file.read_text(encoding="utf-8")).values():
        for key, pace in measured.items():
            if key in reported:
                seconds = sum(a * b for a, b in zip(pace["seconds"], reported[key].epochs, strict=True))
                found.setdefault(key, seconds / 3600)
    return found


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _escaped(text: str) -> str:
    """Return a text that Markdown shows as it is."""
    return "".join(f"\\{letter}" if letter in r"\`*_[]<>|#" else letter for letter in text)
