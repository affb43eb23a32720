"""The runs of an ablation by their configs: their names and seeds, what is left of them, and what they measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import models
from search_spaces import Between
from study.driver.confirmation import Candidate, Planned, left_of
from study.record.ablation import Trained
from study.record.events import Config, Role
from study.record.intervals import Layers, Sample
from study.record.settings import Settings
from study.record.state import StudyState
from study.search.sampling import derive_seed, searched_budget
from study.worker.job import Job

_ABLATION = 0xAB1A  # keeps seeds apart from those of the trials and of the confirmation
_ROLES: Mapping[Role, tuple[int, str]] = {"choose": (1, "c"), "report": (2, "r")}


class AblationRuns:
    """The runs of an ablation, as its journal has them: by their configs, so that another path finds them again.

    Args:
        state: The ablation's.
        settings: What runs are trained with; every config has the same seeds, of a role.
        between: The default and the winner, with the ids that the study has for them.
        ids: The study's own of these two.
        seeds: How many of each role.
    """

    def __init__(
        self, state: StudyState, settings: Settings, between: Between, ids: tuple[str, str], seeds: int
    ) -> None:
        self._state, self._settings, self._between, self._ids = state, settings, between, ids
        self._seeds = {role: self._derived(role, seeds) for role in _ROLES}
        self._known: list[tuple[Config, str]] = list(zip((between.first.config, between.last.config), ids, strict=True))
        self._known += [(run.config, str(run.confirm_of)) for run in state.confirmations]

    def _derived(self, role: Role, count: int) -> list[int]:
        return [derive_seed(self._settings.seed, _ABLATION, _ROLES[role][0], number) for number in range(1, count + 1)]

    def id(self, config: Config) -> str:
        """Return a config's id: the study's own of the default and the winner, else "c1" and so on, as they come."""
        found = next((name for known, name in self._known if known == config), None)
        if found is None:
            found = f"c{len({name for _, name in self._known} - {*self._ids}) + 1}"
            self._known.append((config, found))
        return found

    def params(self, config: Mapping[str, object]) -> int:
        """Return how many parameters a config's network has."""
        context = self._between.context
        return models.count_parameters(config, context.image_shape, context.num_classes)

    def planned(self, configs: Sequence[Config], role: Role) -> list[Planned]:
        """Return what is left of the runs of some configs, seed by seed; the test split is never evaluated."""
        candidates = []
        for config in configs:
            budget = searched_budget(config, self._between.space, self._settings.epochs)
            candidates.append(Candidate(self.id(config), config, None, self.params(config), budget))
        planned = []
        for number, seed in enumerate(self._seeds[role], start=1):
            for one in candidates:
                name = f"{one.id}-{_ROLES[role][1]}{number}"
                job = Job(name, one.config, seed, one.budget.epochs, one.budget.pretrain_epochs)
                planned.append(Planned(one, job, role))
        return left_of(planned, self._state)

    def measured(self, config: Config, role: Role) -> Trained:
        """Return the objective of a config on the seeds of a role, as far as they have completed."""
        name, metric = self.id(config), self._between.space.metric
        values = {
            run.seed: run.last[metric]
            for run in self._state.confirmations
            if (run.confirm_of, run.role, run.status) == (name, role, "completed")
            and run.seed in self._seeds[role]
            and metric in run.last
        }
        return Trained(name, Sample.of(metric, values, Layers(config["architecture"], self.params(config))))

    def left(self, configs: Sequence[Config], reports: int) -> int:
        """Return how many runs are left of configs that choose a step, and at most of so many that are reported on."""
        reported = [run for run in self._state.confirmations if run.role == "report" and run.status != "running"]
        known = sum(run.seed in self._seeds["report"] for run in reported)
        return len(self.planned(configs, "choose")) + max(0, len(self._seeds["report"]) * reports - known)
