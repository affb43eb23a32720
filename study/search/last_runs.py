"""Which places the last runs of a phase take where machines differ: so that a slow one is not the last to finish.

Without it a run begins wherever a place is free. On a machine that is four times slower the last run of a study then
begins as soon as any other, and the study waits for it. For runs that take equally long on places of one kind, `begin`
gives the earliest end that there is: each place ends a run at certain moments if it goes on without a pause, and so
many of these moments as runs are left, the earliest of all, are used.
"""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from study.record.prices import UNKNOWN, Part
from study.record.state import Run, StudyState
from study.record.words import counted
from study.worker.job import jobs_of

if TYPE_CHECKING:
    from ray.tune.experiment import Trial

_LEAST_RUNS = 2  # of a kind of machine, whose networks differ, before its pace counts
_HOLDS = 1.0  # seconds that an answer is good for, where nothing has begun or ended meanwhile
_ROUNDING = 1e-9  # of a moment: equal ones are not earlier


@dataclass(frozen=True)
class Ahead:
    """The runs of a phase that have not begun: how many at most, and the epochs of the next one."""

    runs: int
    epochs: int


NOTHING = Ahead(0, 0)
"""Of a phase whose runs have all begun, or that does not say."""


@dataclass(frozen=True)
class Busy:
    """A place with a run on it: the seconds until it is free, and those that a new run would take there."""

    free_in: float
    takes: float


def begin(runs: int, free: Mapping[Part, tuple[int, float]], busy: Sequence[Busy]) -> dict[Part, int]:
    """Return on how many of its free places each kind of machine is to begin a run now.

    Args:
        runs: How many have not begun.
        free: By kind of machine, how many places are free, and the seconds that a run takes there.
        busy: The other places.
    """
    chosen = {}
    for kind, (count, takes) in free.items():
        earlier = sum(_ends_before(takes, place.free_in, place.takes) for place in busy)
        earlier += sum(many * _ends_before(takes, 0.0, other) for many, other in free.values())
        chosen[kind] = min(count, max(0, runs - earlier))
    return chosen


def _ends_before(moment: float, free_in: float, takes: float) -> int:
    """Return how many runs, one after the other, a place ends before a moment, in seconds from now."""
    left = moment * (1 - _ROUNDING) - free_in
    return max(0, math.ceil(left / takes) - 1) if left > 0 else 0


Occupied = tuple[Sequence[str], Sequence[tuple["Trial", str]]]
"""The node of each idle place; the runs that have a process, each with its node. "" where a node is not known yet."""


class LastRuns:
    """Says on which idle machines of a study a run is to begin, by the seconds of its epochs so far.

    Args:
        state: The study's.
        kind_of: Returns what a run has of a node, by the node's id: machines of which it has the same are of one kind.
        ahead: Returns what has not begun of the phase that is being trained.
        say: Shows a line to the user.
    """

    def __init__(
        self, state: StudyState, kind_of: Callable[[str], Part], ahead: Callable[[], Ahead], say: Callable[[str], None]
    ) -> None:
        self._state, self._kind_of, self._ahead, self._say = state, kind_of, ahead, say
        self._said = False
        self._asked: tuple[int, ...] = ()  # with what the last answer was found
        self._answer, self._until = 0, 0.0
        self._known: dict[Part, float] = {}
        self._known_until = 0.0

    def waits(self, idle: int, busy: int, waiting: int, look: Callable[[], Occupied]) -> bool:
        """Return whether one more run is not to begin now, as all idle places that are worth it have one that waits.

        Asked at each of the driver's steps, it looks again after a second, or once a place has been taken or left.

        Args:
            idle: How many places are idle.
            busy: How many runs have a process.
            waiting: How many runs wait for a place.
            look: Returns which these places are.
        """
        runs = self._ahead().runs
        if not idle or not (busy or waiting) or not runs:
            return False
        asked = (idle, busy, runs + waiting)
        if asked != self._asked or time.monotonic() >= self._until:
            self._asked = asked
            self._answer = self._worth(look(), runs + waiting)
            self._until = time.monotonic() + _HOLDS
        return waiting >= self._answer

    def in_order(self, idle: Sequence[tuple[str, Any]]) -> list[Any]:
        """Return what idle places are called, given with their nodes, those first whose machines are fastest."""
        if len({self._kind_of(node) for node, _ in idle}) < 2:
            return [name for _, name in idle]
        paces = self._paces()
        return [name for _, name in sorted(idle, key=lambda one: paces.get(self._kind_of(one[0]), math.inf))]

    def _worth(self, places: Occupied, runs: int) -> int:
        """Return on how many of the idle places a run is to begin; on all of them where their paces are not known."""
        idle, busy = places
        if not all(idle):
            return len(idle)
        kinds = Counter(self._kind_of(node) for node in idle)
        taken = [(one, self._kind_of(node)) for one, node in busy if node]
        everywhere = {*kinds, *(kind for _, kind in taken)}
        if len(everywhere) < 2:
            return len(idle)
        paces = self._paces()
        if any(kind not in paces for kind in everywhere):
            return len(idle)
        slow, fast = max(paces[kind] for kind in kinds), min(paces[kind] for kind in everywhere)
        if runs > (len(idle) + len(busy)) * math.ceil(slow / fast):
            return len(idle)  # more than all places end while a slow one trains one
        epochs = self._ahead().epochs
        free = {kind: (count, epochs * paces[kind]) for kind, count in kinds.items()}
        others = [Busy(self._left(one, paces[kind]), epochs * paces[kind]) for one, kind in taken]
        found = sum(begin(runs, free, others).values())
        if found < min(len(idle), runs) and not self._said:
            self._said = True
            self._say(
                f"places    {counted(runs, 'run')} left: slow places stay empty where a run would end later than on a "
                f"fast one ({slow:.3g} s an epoch against {fast:.3g} s)"
            )
        return found

    def _paces(self) -> dict[Part, float]:
        """Return the seconds of an epoch on each kind of machine that enough runs have trained on: geometric means.

        Networks differ by factors, which go round among the machines.
        """
        if time.monotonic() >= self._known_until:
            logs: dict[Part, list[float]] = defaultdict(list)
            for run in self._state.runs.values():
                if run.part != UNKNOWN and (pace := _pace(run)):
                    logs[run.part].append(math.log(pace))
            enough = {kind: found for kind, found in logs.items() if len(found) >= _LEAST_RUNS}
            self._known = {kind: math.exp(sum(found) / len(found)) for kind, found in enough.items()}
            self._known_until = time.monotonic() + _HOLDS
        return self._known

    def _left(self, trial: Trial, pace: float) -> float:
        """Return the seconds until a run has had all its epochs, at its own pace, or its machine's before the first."""
        run = self._state.runs[jobs_of(trial.config)[0].id]
        pace = _pace(run) or pace
        since = (trial.last_result or {}).get("timestamp") or run.started
        epochs = run.budget + run.pretrain_budget - len(run.epochs) - len(run.pretraining)
        return max(0.0, epochs * pace - min(pace, max(0.0, time.time() - since)))


def _pace(run: Run) -> float | None:
    """Return the seconds of an epoch of a run, None before its first one."""
    done = len(run.epochs) + len(run.pretraining)
    return run.seconds / done if done and run.seconds > 0 else None
