"""An audit as a page: claim by claim, the report's number and ours under heads of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from analysis.audits.table import claimed_words, our_lines
from analysis.audits.verdicts import Audited, Verdict
from analysis.figures.labels import counted
from analysis.page.parts import Fact, Facts, Item, Page, Paragraph, Section

_LEAD = (
    "What five reports claim, beside what this project measured under the same definition. "
    "The reports' numbers are quoted, not confirmed, unless the verdict says that they hold."
)
_HOW = (
    "Ours are means over seeds with their 95 % interval (Student's t). Runs of fewer epochs than the report's, or on a "
    "part of the images, give no verdict. A number holds if our interval, widened by the claim's tolerance, contains "
    "it and reaches no further than that tolerance from its own mean; a comparison holds if the interval of the "
    "difference lies on the claimed side of 0."
)


def page_of(audited: Sequence[Audited], skipped: Sequence[str] = ()) -> Page:
    """Return the page; `skipped` are lines on studies that could not be read."""
    counts = Counter(one.verdict for one in audited)
    facts = [Fact(str(verdict), counted(counts[verdict], "claim")) for verdict in Verdict if counts[verdict]]
    first: list[Item] = [Facts(facts, cards=True), Paragraph(_HOW)]
    sections = [Section("verdicts", "Verdicts", [*first, *(Paragraph(line, note=True) for line in skipped)])]
    for report, group in groupby(audited, key=lambda one: one.claim.key.split("/")[0]):
        items = [item for one in group for item in _items(one)]
        sections.append(Section(report, report, items))
    return Page("Audit of the reports' claims", _LEAD, sections)


def _items(one: Audited) -> tuple[Item, Item]:
    facts = [
        Fact("The report's number", claimed_words(one), one.claim.metric),
        Fact("Measured by this project", "; ".join(our_lines(one)) or "nothing"),
        Fact("Verdict", one.words, one.claim.measures),
    ]
    return Paragraph(f"{one.claim.key}: {one.claim.statement}", note=True), Facts(facts)
