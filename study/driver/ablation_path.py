"""The path of an ablation: which configs it asks for, which step it takes by them, and how many runs that makes.

Greedy (Fawcett and Hoos 2016): each step takes the parameter whose change is best on the seeds that choose. Whoever
takes the best of several noisy numbers flatters it, so every step is reported on seeds that chose nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search_spaces import Between
from study.record.ablation import Step, Trained
from study.record.events import Config, Role
from study.record.metrics import Mode
from study.record.ranking import confirmed_order
from study.record.terminal import short
from study.record.words import counted

PATHS = ("greedy", "ranked")
"""Each step the best of those that are left, or all in the order of their gains from the default alone."""

Measure = Callable[[Config, Role], Trained]
"""From a config to its id and the objective on the seeds of a role, as far as they have completed."""


def reported(steps: int) -> int:
    """Return how many configs are reported on: the default, each step, and each change alone but the first."""
    return 2 * steps


@dataclass(frozen=True)
class Asked:
    """What a user asks of an ablation.

    Attributes:
        seeds: that choose each step, and as many others that report on it.
        path: one of `PATHS`.
        most_runs: of the whole ablation, those included that have ended; None for as many as it takes.
    """

    seeds: int
    path: str = PATHS[0]
    most_runs: int | None = None

    def runs_at_most(self, parameters: int) -> tuple[int, int]:
        """Return how many runs choose, and how many report, where so many parameters differ and no limit ends it.

        A step of which only one is possible needs no choice, so that conditional parameters make it fewer.
        """
        every_round = parameters if self.path == "ranked" else parameters * (parameters + 1) // 2 - 1
        return self.seeds * every_round * (parameters > 1), self.seeds * reported(parameters)

    def least_runs(self, parameters: int) -> int:
        """Return how many runs it takes to choose one step and to report on it, and on the rest as another one."""
        return self.seeds * (reported(1) if parameters == 1 else parameters + reported(2))

    def has_room(self, choosing: int, reports: int) -> bool:
        """Return whether so many configs that choose, and so many that are reported on, are within the limit."""
        return self.most_runs is None or self.seeds * (choosing + reports) <= self.most_runs


@dataclass(frozen=True)
class Wanted:
    """Configs that are to be trained on all seeds of a role before the path goes on, and what that is called."""

    phase: str
    configs: Sequence[Config]
    role: Role


def walk(
    between: Between,
    asked: Asked,
    measure: Measure,
    mode: Mode,
    *,
    has_time: Callable[[Wanted, int], bool] = lambda wanted, reports: True,
    note: Callable[[str], None] = lambda text: None,
) -> Generator[Wanted, None, list[Step]]:
    """Yield what has to be trained, step by step, and return the path.

    Args:
        between: The default, the winner, and what lies between them.
        asked: What the user asks for.
        measure: Asked only for what has been yielded.
        mode: The objective's direction.
        has_time: Whether there is time for what a step wants, and for reports on so many configs.
        note: Is told why a step is of several parameters.
    """
    steps: list[tuple[str, ...]] = []
    order: list[str] = []  # of the last choice
    choosing = 0  # configs that were asked for, to choose
    while left := between.left(taken := _taken(steps)):
        place, moves = len(steps) + 1, between.moves(taken)
        choose = len(moves) > 1 and not (asked.path == "ranked" and order)
        wanted = Wanted(f"step {place}", list(moves.values()) if choose else [], "choose")
        reports = reported(place + 1)
        why = ""
        if len(left) > 1 and not moves:
            why = "no config of the space has one of them without the others"
        elif len(left) > 1 and not asked.has_room(choosing + len(wanted.configs), reports):
            why = f"--most-runs {asked.most_runs} leaves no room to choose"
        elif len(left) > 1 and not has_time(wanted, reports):
            why = "--time-budget leaves no time to choose"
        elif choose:
            yield wanted
            choosing += len(moves)
            seeds = {name: list(measure(one, "choose").sample.values.values()) for name, one in moves.items()}
            order = confirmed_order(seeds, mode)
            why = "" if order else "no run that would have chosen one of them completed"
        if why:
            note(f"Step {place} is of {counted(len(left), 'parameter')} together: {why}.")
        ahead = [name for name in order if name in moves] or list(moves)
        steps.append(left if why or not ahead else (ahead[0],))
    path = [_config(between, _taken(steps[:place])) for place in range(len(steps) + 1)]
    alone = [_alone(between, step) if place else None for place, step in enumerate(steps)]
    yield Wanted("reporting", _unique([*path, *alone]), "report")
    return [
        Step(
            step,
            changed(before, after),
            measure(before, "report"),
            measure(after, "report"),
            None if by_itself is None else measure(by_itself, "report"),
        )
        for step, before, after, by_itself in zip(steps, path, path[1:], alone, strict=False)
    ]


def _taken(steps: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(name for step in steps for name in step)


def _config(between: Between, taken: Sequence[str]) -> Config:
    found = between.config(taken)
    assert found is not None  # as the path was walked, it was one
    return found


def _alone(between: Between, step: tuple[str, ...]) -> Config | None:
    """Return the default with one step alone, None where the space has no such config or it is the default."""
    found = between.config(step)
    return None if found == between.first.config else found


def _unique(configs: Sequence[Config | None]) -> list[Config]:
    found: list[Config] = []
    for config in configs:
        if config is not None and config not in found:
            found.append(config)
    return found


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return what of a config is another one, in words: "optimizer adam → sgd, momentum – → 0.9"."""
    keys = [key for key in (*after, *(key for key in before if key not in after)) if before.get(key) != after.get(key)]
    return ", ".join(f"{key} {_value(before, key)} → {_value(after, key)}" for key in keys)


def _value(config: Mapping[str, Any], key: str) -> str:
    return short(config[key]) if key in config else "–"
