"""What a paper takes from a study: tables and a protocol in LaTeX, figures of a column's width, a checklist."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.text import Text

from analysis.figures import Drawings
from analysis.page.background import energy, repeat_commands
from analysis.page.headline import verdict
from analysis.page.remarks import hypothesis, remarks
from analysis.study_files import StudyFiles
from analysis.trials import by_role, compute_confirmed, given_and_suggested, is_cut_off, suggested, trained_seconds
from analysis.words import cell, environments, interval_text, machines, parameter_label, versions
from study.record import about_seeds, files, metrics
from study.record.ranking import NOTHING_CHOSEN
from study.record.tables import CONFIRM, SPREAD, TRIALS
from study.record.words import counted, counted_each, duration, joined

_COLUMN = 3.4  # inches of a paper's column
_SMALLER = 0.75  # of a figure's letters there: 7.5 points
_REFERENCES = Path(__file__).with_name("references.bib")
_SYMBOLS = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_",
    "^": r"\^{}", "~": r"\~{}", "−": "$-$", "–": "--", "…": r"\dots{}", "×": r"$\times$", "±": r"$\pm$",
    "β": r"$\beta$", "≤": r"$\leq$", "≥": r"$\geq$", "<": "$<$", ">": "$>$", "\u00a0": "~",
}  # fmt: skip
_LIGATURE = re.compile(r"(?<=-)(?=-)|(?<=')(?=')|(?<=`)(?=`)|(?<=,)(?=,)|(?<=[!?])(?=`)")
"""Between two letters that TeX sets as one, such as -- as a dash."""
_CITED = ("tpe", "random", "gp", "nsga2", "asha", "hyperband", "median")
"""Samplers and schedulers that references.bib has by their name."""


def write_paper(study: StudyFiles, drawings: Drawings, folder: Path) -> None:
    """Write the folder of a paper: main.tex, which compiles, its parts, and figures as PDF and SVG.

    Args:
        study: A finished study.
        drawings: The figures to draw; those that have nothing to show are left out.
        folder: Where to; what it held of an earlier one is replaced.
    """
    with files.replaced(folder) as fresh:
        (fresh / "figures").mkdir()
        drawn = list(_figures(study, drawings, fresh / "figures"))
        parts = {
            "results.tex": results_table(study),
            "space.tex": space_table(study),
            "protocol.tex": protocol(study),
            "checklist.md": checklist(study),
            "main.tex": _main(study, drawn),
        }
        for name, text in parts.items():
            (fresh / name).write_text(text, encoding="utf-8")
        shutil.copyfile(_REFERENCES, fresh / "references.bib")


def latex(text: str) -> str:
    """Return a text that LaTeX sets as it is; letters that a European font lacks stay, for the reader to see."""
    return "{}".join("".join(_SYMBOLS.get(letter, letter) for letter in part) for part in _LIGATURE.split(text))


def _tabular(
    heads: Sequence[str], rows: Sequence[Sequence[str]], columns: str, caption: str, label: str, *, of: str = "table"
) -> str:
    """Return a table with booktabs' rules; `of` is the environment, table* over both columns."""
    lines = [" & ".join(map(latex, row)) + r" \\" for row in rows]
    return "\n".join(
        [
            rf"\begin{{{of}}}",
            r"\centering\small",
            rf"\caption{{{latex(caption)}}}",
            rf"\label{{tab:{label}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            " & ".join(map(latex, heads)) + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            rf"\end{{{of}}}",
            "",
        ]
    )


def results_table(study: StudyFiles) -> str:
    """Return the confirmed configs with their scores beside the baseline as a LaTeX table, booktabs' rules."""
    table, metric = compute_confirmed(study), study.metric
    test, what = metrics.on_test(metric), metrics.label(metrics.split_of(metric)[1])
    rows = []
    for _, row in table.iterrows():
        scores = [words for name in (metric, test) for words in (_score(row, name), cell(row[f"{name}_baseline"]))]
        rows.append([str(row["confirm_of"]), *scores])
    caption = (
        f"{what[:1].upper()}{what[1:]} of the confirmed configurations: means over seeds with their 95 % intervals "
        "(Student's t), each followed by the baseline's on the same images."
    )
    caption += about_seeds.sentences(study.summary or {})
    heads = ["configuration", "validation", "baseline", "test", "baseline"]
    return _tabular(heads, rows, "lrrrr", caption, "results", of="table*")


def _score(row: pd.Series, name: str) -> str:
    if pd.isna(row[name]):
        return "–"
    ends = "" if pd.isna(row[f"{name}_low"]) else f" ({interval_text(row[f'{name}_low'], row[f'{name}_high'])})"
    return f"{cell(row[name])}{ends}"


def space_table(study: StudyFiles) -> str:
    """Return what was searched, every parameter and its range, as a LaTeX table; "" where nothing was."""
    searched = _searched(study)
    if not searched:
        return "% nothing was searched\n"
    rows = [[parameter_label(name), words] for name, words in searched.items()]
    caption = "The search space: every parameter and the range it was drawn from."
    return _tabular(["parameter", "range"], rows, r"lp{0.55\linewidth}", caption, "space")


def _searched(study: StudyFiles) -> dict[str, str]:
    """Return the range of each parameter that was tuned in words, without what a space holds fixed."""
    if suggested(study.trials).empty:
        return {}
    return {name: str(words) for name, words in (study.about.get("searched") or {}).items() if "fixed" not in name}


def protocol(study: StudyFiles) -> str:
    """Return a paragraph in LaTeX that a methods section can take as it is."""
    sentences = [*_data(study), *_search(study), *_confirmation(study), *_statistics(study), *_machine(study)]
    return " ".join(sentences) + "\n"


def _data(study: StudyFiles) -> Iterator[str]:
    data = study.about.get("data", {})
    names = {"train": "training", "val": "validation", "test": "test"}
    sizes = joined([f"{size:,} {names.get(name, name)}" for name, size in data.get("sizes", {}).items()])
    shape = "×".join(map(str, data.get("image_shape", [])))
    yield latex(
        f"The data were {data.get('name', 'unknown')}, {sizes} images of {shape} (channels, height, width; digest "
        f"{data.get('digest', 'unknown')} of the decoded images and labels)."
    )
    if split := data.get("split"):
        yield latex(f"Split: {str(split).rstrip('.')}.")


def _search(study: StudyFiles) -> Iterator[str]:
    settings = study.settings
    if settings.get("reported"):
        yield latex(
            f"Nothing was searched: the reported configurations {settings['reported']} were trained as they are."
        )
        return
    trials, where = study.trials, r" (Table~\ref{tab:space})" if _searched(study) else ""
    drawn = suggested(trials)
    asked = "We searched" if len(drawn) else "Nothing was tuned: we ran given trials of"
    by = f", the suggested ones drawn by {_cited(str(settings.get('sampler')))}" if len(drawn) else ""
    yield (
        f"{asked} the space {latex(str(settings.get('space')))}{where} with Optuna~\\cite{{optuna}} and Ray "
        f"Tune~\\cite{{ray_tune}}: {counted(len(trials), 'trial')} ({given_and_suggested(study)}) of at most "
        f"{counted(int(settings.get('epochs') or 0), 'epoch')}{' each' * (len(trials) > 1)}{by}; {_stopped(study)}."
    )
    ranked = (
        f"Trials were ranked by the {metrics.label(study.metric)} of their last epoch, study"
        if len(trials) > 1
        else "Study"
    )
    yield latex(f"{ranked} seed {settings['seed']}.")


def _stopped(study: StudyFiles) -> str:
    """Return how many trials the scheduler stopped, and how many a limit of the search."""
    scheduler, cut = str(study.settings.get("scheduler")), is_cut_off(study.trials)
    stopped = int(((study.trials["status"] == "stopped") & ~cut).sum())
    early = (
        "no scheduler stopped any" if scheduler == "none" else f"{_cited(scheduler)} stopped {stopped or 'none'} early"
    )
    return early + (f", and the end of the search cut {cut.sum()} off" if cut.any() else "")


def _cited(name: str) -> str:
    return latex(name) + (rf"~\cite{{{name}}}" if name in _CITED else "")


def _confirmation(study: StudyFiles) -> Iterator[str]:
    runs = study.confirm
    done = runs[runs["status"] == "completed"] if "status" in runs else runs
    if done.empty:
        yield "No configuration was confirmed, and the test split was not read."
        return
    choosing, reporting = by_role(runs)[0], by_role(done)[1]
    if len(choosing):
        trained = "were trained" if study.settings.get("reported") else "that did best were trained again"
        yield (
            f"The {counted(choosing['confirm_of'].nunique(), 'configuration')} {trained} on {_seeds_each(choosing)} "
            "each, and the one with the best mean validation value was selected."
        )
    elif not study.chooses:
        yield latex(f"There were {NOTHING_CHOSEN}.")
    others = _tested(choosing)
    if reporting.empty:
        scores = f"Test scores are of the seeds that chose, {counted(others, 'run')} in all"
        yield f"{scores if others else 'No run read the test images'}; no run that was to report was completed."
        return
    names = counted(reporting["confirm_of"].nunique(), "configuration")
    fresh = " that took no part in any choice" if len(choosing) else ""
    rest = (
        f"of the others they are of the seeds that chose, {counted(others, 'run')} in all, which read the test images "
        "as well; nothing went by that"
        if others
        else "no other run read the test images"
    )
    yield f"Test scores are of {names}, {_seeds_each(reporting)} each{fresh}; {rest}."


def _seeds_each(runs: pd.DataFrame) -> str:
    """Return how many of each config's runs were completed: "3 seeds", or "2 to 3 seeds" where that differs."""
    completed = (runs["status"] == "completed").groupby(runs["confirm_of"]).sum()
    return counted_each(completed.tolist(), "seed")


def _tested(runs: pd.DataFrame) -> int:
    """Return how many confirmation runs read the test split."""
    tests = [str(name) for name in runs if str(name).startswith("test_")]
    return int(runs[tests].notna().any(axis="columns").sum()) if tests else 0


def _statistics(study: StudyFiles) -> Iterator[str]:
    yield (
        r"Intervals are 95\,\% intervals of a mean over seeds (Student's $t$); differences are tested in pairs, seed "
        r"by seed, where architecture and number of parameters agree, else by Welch's test, with Holm's "
        r"correction~\cite{holm}. They cover neither another split nor other data."
    )
    baseline = (
        "a logistic regression on PCA codes"
        if study.classifies
        else "PCA with as many components as the code has numbers"
    )
    nats = r", and probabilistic PCA~\cite{ppca} in nats" if study.facts.nats else ""
    yield (
        f"The baseline is {baseline}{nats}, of scikit-learn~\\cite{{scikit_learn}}, fitted to exactly the training "
        "images that the networks saw."
    )


def _machine(study: StudyFiles) -> Iterator[str]:
    programs = dict.fromkeys(
        f"{versions(environment)}, commit {(environment.get('git_commit') or 'unknown')[:12]}"
        for environment in environments(study.about)
    )
    clock = f"{duration(study.summary['wall_s'])} on the clock and " if study.summary else ""
    yield latex(
        f"The study took {clock}{duration(trained_seconds(study))} of training on {machines(study.about)}. "
        f"{energy(study)}"
    )
    yield rf"Networks are PyTorch's~\cite{{pytorch}}; {latex('; and later on '.join(programs))}."


def checklist(study: StudyFiles) -> str:
    """Return the questions that a reviewer asks, with this study's answers, in Markdown."""
    runs = study.confirm
    choosing, _ = by_role(runs)
    chose = ", after the choice" if len(choosing) or len(study.trials) > 1 else ""
    when = "; nothing went by it" if _tested(choosing) else chose
    answers = [
        ("What was found?", verdict(study)),
        ("What was expected beforehand?", hypothesis(study)),
        ("What was tuned, and on what?", _tuned(study)),
        ("Was the test split used to choose anything?", "No."),
        ("How often was the test split read?", f"By {counted(_tested(runs), 'confirmation run')}, once each{when}."),
        ("How many seeds?", _seeds(runs)),
        ("Which runs are left out?", _left_out(study)),
        ("Had the baseline the same data and care?", "It saw the same training images; it has no other settings."),
        ("Is every number to be had?", "In full precision in trials.csv, history.csv, confirm.csv and baseline.csv."),
        ("How is it repeated?", " && ".join(f"`{line}`" for line in repeat_commands(study))),
        ("What is not known?", "Another split, other data, longer training, configurations outside the space."),
    ]  # fmt: skip
    return "\n".join([f"# Study {study.name}: checklist", "", *(f"- **{asks}** {says}" for asks, says in answers), ""])


def _tuned(study: StudyFiles) -> str:
    if reported := study.settings.get("reported"):
        return f"Nothing: the reported configurations {reported} were trained as they are."
    trials = f"{counted(len(study.trials), 'trial')} ({given_and_suggested(study)})"
    if suggested(study.trials).empty:
        return f"Nothing: {trials}."
    return f"{counted(len(_searched(study)), 'parameter')}, by the {metrics.label(study.metric)}; {trials}."


def _seeds(runs: pd.DataFrame) -> str:
    choosing, reporting = by_role(runs)
    fresh = ", which took no part in the choice" if len(choosing) else ""
    asked = ((reporting, f"to report{fresh}"), (choosing, "to choose"))
    return "; ".join(f"{_seeds_each(mine) if len(mine) else 'none'} {what}" for mine, what in asked) + "."


def _left_out(study: StudyFiles) -> str:
    """Return what failed, and the tables that have it."""
    tables = (
        ("trial", study.trials, TRIALS),
        ("spread run", study.spread, SPREAD),
        ("confirmation run", study.confirm, CONFIRM),
    )
    failed = [(kind, int((runs["status"] == "failed").sum()), table.file) for kind, runs, table in tables]
    words = [f"{counted(count, kind)} failed ({file} has why)" for kind, count, file in failed if count]
    return f"{joined(words)}; no other." if words else "None."


def _figures(study: StudyFiles, drawings: Drawings, folder: Path) -> Iterator[tuple[str, str]]:
    """Draw the figures of a column's width, and return the name and caption of each that there is."""
    for drawing in drawings:
        data = drawing.compute(study)
        if data is None:
            continue
        figure = narrowed(drawing.plot(data))
        with mpl.rc_context({"svg.hashsalt": drawing.name, "pdf.fonttype": 42}):
            figure.savefig(folder / f"{drawing.name}.pdf", metadata={"CreationDate": None}, bbox_inches="tight")
            figure.savefig(folder / f"{drawing.name}.svg", metadata={"Date": None}, bbox_inches="tight")
        yield drawing.name, data.caption


def narrowed(figure: Figure) -> Figure:
    """Make a figure of a report as wide as a paper's column, its letters with it, and return it."""
    width, height = figure.get_size_inches()
    figure.set_size_inches(_COLUMN, height * max(_COLUMN / width, _SMALLER))
    for text in figure.findobj(Text):
        text.set_fontsize(float(text.get_fontsize()) * _SMALLER)
    return figure


def _remarks(study: StudyFiles) -> Iterator[str]:
    """Return the user's own words, each with its date, as quotations in LaTeX."""
    for number, remark in enumerate(remarks(study)):
        yield from [r"\section*{Hypothesis and remarks}"] if not number else []
        yield latex(remark.source)
        if remark.paragraphs:
            yield from (r"\begin{quote}", "\n\n".join(map(latex, remark.paragraphs)), r"\end{quote}")


def _main(study: StudyFiles, figures: Sequence[tuple[str, str]]) -> str:
    floats = [
        "\n".join(
            [
                r"\begin{figure}",
                r"\centering",
                rf"\includegraphics[width=\linewidth]{{figures/{name}.pdf}}",
                rf"\caption{{{latex(caption)}}}",
                rf"\label{{fig:{name}}}",
                r"\end{figure}",
            ]
        )
        for name, caption in figures
    ]
    parts = [
        r"\documentclass[twocolumn]{article}",
        r"\usepackage[utf8]{inputenc}",
        r"\usepackage[T1]{fontenc}",
        r"\usepackage{booktabs,graphicx}",
        rf"\title{{{latex(f'Study {study.name}')}}}",
        r"\author{}",
        r"\begin{document}",
        r"\maketitle",
        rf"\noindent {latex(verdict(study))}",
        r"\section*{Protocol}",
        r"\input{protocol}",
        *_remarks(study),
        r"\input{results}",
        r"\input{space}",
        *floats,
        r"\bibliographystyle{plain}",
        r"\bibliography{references}",
        r"\end{document}",
        "",
    ]
    return "\n".join(parts)
