"""Which schedulers with which settings a simulation compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from study.search.schedulers import SchedulerSettings, default_settings


@dataclass(frozen=True)
class Candidate:
    """A scheduler with settings that mean the same in studies of any length; None is this project's default.

    Attributes:
        scheduler: Its name.
        grace: A number of epochs, or below 1 a fraction of a study's.
        reduction: One trial in so many passes a rung.
    """

    scheduler: str
    grace: Fraction | None = None
    reduction: int | None = None

    def settings(self, max_epochs: int) -> SchedulerSettings:
        """Return the settings in a study of `max_epochs`; a grace period is at least one epoch, and at most all."""
        default = default_settings(self.scheduler, max_epochs)
        grace, reduction = default.grace_period, default.reduction_factor
        if self.grace is not None:
            wanted = self.grace if self.grace >= 1 else self.grace * max_epochs
            grace = min(max(1, int(wanted)), max_epochs)
        return SchedulerSettings(grace, self.reduction or reduction)

    @property
    def is_default(self) -> bool:
        """Whether this is what `--scheduler` alone means."""
        return self.grace is None and self.reduction is None


def candidates(
    schedulers: Sequence[str], graces: Sequence[Fraction], reductions: Sequence[int], budgets: Sequence[int]
) -> list[Candidate]:
    """Return the default and every other settings of each scheduler, none of them twice.

    Args:
        schedulers: Names; "none", which the others are measured by, comes first whether it is among them or not.
        graces: Grace periods.
        reductions: Reduction factors, of the schedulers that have one.
        budgets: The epochs of the studies: settings that are the same in all of them are one candidate.
    """
    found: dict[tuple[str | SchedulerSettings, ...], Candidate] = {}
    for scheduler in dict.fromkeys(["none", *schedulers]):
        default = default_settings(scheduler, budgets[0])
        grid = [Candidate(scheduler)]
        if default.reduction_factor is not None:
            grid += [Candidate(scheduler, grace, reduction) for grace in graces for reduction in reductions]
        elif default.grace_period is not None:
            grid += [Candidate(scheduler, grace) for grace in graces]
        for candidate in grid:
            found.setdefault((scheduler, *(candidate.settings(epochs) for epochs in budgets)), candidate)
    return list(found.values())
