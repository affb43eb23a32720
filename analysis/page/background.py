"""The last sections of a report: with what it was made, and what its numbers mean and do not mean."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

import pandas as pd

import search_spaces
from analysis.page.parts import Commands, Fact, Facts, Item, Paragraph, Section, Table
from analysis.study_files import StudyFiles
from analysis.trials import by_role, given_and_suggested, suggested
from analysis.words import cell, environments, machine, machines, versions
from study.record import metrics
from study.record.ranking import NOTHING_CHOSEN
from study.record.settings import place_fields, repeat_words
from study.record.words import counted, counted_each, joined, number

_NAMED = 3  # configs in a sentence; more are counted


def settings(study: StudyFiles) -> Section:
    """Return the settings of a study, its data and the machine."""
    about = study.about
    data, environment = about.get("data", {}), about.get("environment", {})
    places = place_fields()
    chosen = {
        key: value for key, value in about.get("settings", {}).items() if value not in (None, []) and key not in places
    }
    facts = [Fact(key.replace("_", " "), _value(value)) for key, value in chosen.items()]
    data_facts = [
        Fact("data", str(data.get("name", "unknown")), " ".join(data.get("notes", []))),
        Fact("digest", str(data.get("digest", "unknown")), "of the decoded images and labels"),
        Fact("images", _value(data.get("sizes", "unknown"))),
        Fact("image shape", _value(data.get("image_shape", "unknown")), "channels, height, width"),
        Fact("split", str(data.get("split", "unknown"))),
        *_origin(study),
    ]
    if encoder := about.get("encoder"):
        data_facts.append(Fact("encoder of", _value(encoder)))
    ran_on = [
        Fact("git commit", str(environment.get("git_commit") or "unknown")),
        Fact("versions", versions(environment)),
        Fact("processor", f"{environment.get('cpu', 'unknown')}, {environment.get('cpus', '?')} cores"),
        Fact("graphics", ", ".join(environment.get("gpus") or []) or "none"),
        *([Fact("runs on a GPU", str(gpu["runs"]), gpu["reason"])] if (gpu := about.get("gpu")) else []),
        Fact("platform", str(environment.get("platform", "unknown"))),
        *(
            Fact(
                "gone on with",
                f"commit {later.get('git_commit') or 'unknown'}",
                f"{machine(later)}; {versions(later)}",
            )
            for later in environments(about)[1:]
        ),
    ]
    items: list[Item] = [Facts(data_facts), Facts(facts), Facts(ran_on)]
    if searched := about.get("searched"):
        ranges = pd.DataFrame(list(searched.items()), columns=["parameter", "range"])
        items.append(Table("searched", "What was searched: every parameter and its range", ranges, 99, folded=True))
    return Section("settings", "Settings and environment", items, "What it takes to run the same study again.")


def _origin(study: StudyFiles) -> list[Fact]:
    """Return where the images of a built-in data set come from; what a user's own are called says nothing of that."""
    name = study.about.get("data", {}).get("name")
    spec = search_spaces.datasets().get(str(name))
    if spec is None or study.settings.get("data") not in (None, name) or study.about.get("own"):
        return []
    return [Fact("source", spec.source, f"licence: {spec.licence}")]


ENERGY_KINDS = {"processor": "the processors", "memory": "their memory", "GPU": "the GPUs"}


def hardware(study: StudyFiles) -> str:
    """Say on what a study was trained, and what that took in energy as far as the machines tell."""
    return f"Trained on {machines(study.about)}. {energy(study)}"


def energy(study: StudyFiles) -> str:
    """Say in a sentence or two what the machines took in energy by their own counters."""
    found = study.about.get("energy")  # not of an earlier version, nor before the first epoch
    if found is None:
        return "The energy that this took was not recorded."
    machines, joules = found["machines"], found["joules"]
    which = "This machine does not tell its" if machines == 1 else f"None of the {machines} machines tells its"
    if not joules:
        return f"{which} energy."
    parts = []
    for kind, words in ENERGY_KINDS.items():
        if kind in joules:
            told = found["told_by"][kind]
            of = f" ({told} of {machines} machines)" if told < machines else ""
            parts.append(f"{number(joules[kind] / 1e3)} kJ ({number(joules[kind] / 3.6e3)} Wh) for {words}{of}")
    silent = "" if "processor" in joules else f" {which} processors' energy."
    return (
        f"By counters in the machines this took {joined(parts)}: all that ran there from the first epoch to the last, "
        f"idle power included, other parts of the machines not.{silent}"
    )


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {cell(one)}" for key, one in value.items())
    if isinstance(value, list):
        return ", ".join(cell(one) for one in value)
    return cell(value)


def methods(study: StudyFiles) -> Section:
    """Return what the numbers mean, what was not tested, and how to repeat the study."""
    data = study.about.get("data", {})
    metric = study.metric
    baseline = (
        "A logistic regression on PCA codes, "
        + (
            "its number of components chosen on validation data"
            if study.chooses
            else "of the most components that were tried"
        )
        if study.classifies
        else "PCA (exact eigendecomposition in double precision)"
    )
    ranked = (
        "Nothing was searched: the reported configurations were trained with their own settings and epochs."
        if study.settings.get("reported")
        else f"A trial is ranked by the {metrics.label(metric)} of its last epoch. The best of many trials flatters: "
        "its value is partly luck."
    )
    items: list[Item] = [
        Paragraph(" ".join(filter(None, (ranked, confirmation(study))))),
        Paragraph(
            "An interval is the 95 % interval of a mean over seeds (Student's t), cut where a value cannot be. It "
            "covers the luck of initial weights and of the order of images. It does not cover another split of the "
            "data or other data."
        ),
        Paragraph(f"{baseline} saw exactly the training images that the trials saw; it has no seeds."),
        Paragraph(
            f"What mattered among the hyperparameters is observational: {_chosen(study)}, and one setting went with "
            "others. Only a study that changes one setting alone can say more."
        ),
        Paragraph(
            f"Not tested: another split of {data.get('name', 'the data')}, other data, longer training than the "
            "budget above, and configs outside the search space.",
            note=True,
        ),
        Paragraph("The same study again, from the commit above:"),
        Commands(repeat_commands(study)),
    ]
    return Section("methods", "Methods and limits", items)


def confirmation(study: StudyFiles) -> str:
    """Return which configs were trained on several seeds for what, and which of these runs read the test images."""
    choosing, reporting = by_role(study.confirm[study.confirm["status"] == "completed"])
    reported, seeds = bool(study.settings.get("reported")), reporting["confirm_of"].value_counts(sort=False)
    said = []
    if len(choosing):
        given = " and the given configurations" if study.settings.get("confirm_reported") else ""
        which = "The reported configurations" if reported else f"The best trials{given}"
        configs = counted(choosing["confirm_of"].nunique(), "config")
        again = "" if reported else " again on fresh seeds"
        said.append(f"{which} ({configs}) were trained{again} to choose the winner by validation data.")
    if len(seeds):
        names = joined(list(map(str, seeds.index))) if len(seeds) <= _NAMED else counted(len(seeds), "config")
        were, each = ("was", "") if len(seeds) == 1 else ("were", " each")
        kind = "further seed" if len(choosing) else "seed" if reported else "fresh seed"
        only = "" if reported else "; only these runs read the test images"
        said.append(f"{names} {were} trained on {counted_each(seeds.tolist(), kind)}{each}{only}.")
    if said and reported:
        said.append("All of these runs read the test images.")
    elif said and seeds.empty:
        said.append("No run read the test images.")
    return " ".join([*said, *([] if study.chooses else [f"{NOTHING_CHOSEN.capitalize()}."])])


def _chosen(study: StudyFiles) -> str:
    """Return who chose the settings of the trials."""
    counts = given_and_suggested(study)
    if suggested(study.trials).empty:
        return f"no sampler chose the settings of these trials ({counts})"
    return f"the trials' settings were not drawn evenly ({counts}; a sampler suggests more often what has been good)"


def repeat_commands(study: StudyFiles) -> list[str]:
    """Return the command that runs the same study under another name, and the one that writes that one's report."""
    name = f"{study.name}-again"
    again = shlex.join(["python", "study/run.py", *repeat_words(study.settings), "--name", name])
    return [again, shlex.join(["python", "analysis/report.py", name])]
