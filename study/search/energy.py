"""The energy that machines took while a study's runs were trained on them."""

from __future__ import annotations

from study.record.events import EnergySpent
from study.worker.job import EnergyReading


class EnergyAccount:
    """Adds up what readings of counters differ by, machine by machine, whichever process has read them.

    Several processes of a machine read the same counters. Taken in the order of the machine's clock, no energy counts
    twice; a reading that is older than the newest one of its machine says nothing new.
    """

    def __init__(self) -> None:
        self._last: dict[str, EnergyReading] = {}
        self._spent: dict[str, dict[str, float]] = {}

    def add(self, reading: EnergyReading) -> None:
        """Take in a reading."""
        host, last = reading.host, self._last.get(reading.host)
        if last is None:
            self._spent.setdefault(host, {})  # also of a machine that tells nothing
        elif reading.at < last.at:
            return
        before = last.counters if last else {}
        for name, (joules, most) in reading.counters.items():
            kind = name.split()[0]
            gone = joules - before[name][0] if name in before else 0.0
            if gone < 0:  # it has begun again; one that never does belongs to a driver that was loaded again
                gone = gone + most if most < float("inf") else 0.0
            spent = self._spent.setdefault(host, {})
            spent[kind] = spent.get(kind, 0.0) + gone
        self._last[host] = EnergyReading(host, reading.at, {**before, **reading.counters})

    def taken(self) -> list[EnergySpent]:
        """Return what has been added since it was last asked, an event for each machine."""
        spent, self._spent = self._spent, {}
        return [
            EnergySpent(host, {kind: round(joules, 3) for kind, joules in of.items()}) for host, of in spent.items()
        ]
