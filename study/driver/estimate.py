"""What a study may take on this machine, of order: minutes and disk, from a few batches of some of its configs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

import models
import search_spaces
from search_spaces import Context
from study.cluster.resources import Limits
from study.driver import confirmation
from study.driver.reproductions import Machine
from study.record import disk
from study.record.constraints import of_texts
from study.record.errors import first_line
from study.record.machine import cores, memory
from study.record.prices import GPU, PROCESSOR, Part, of_settings
from study.record.settings import Settings
from study.record.terminal import table, wrapped
from study.record.words import counted, duration
from study.search.budget import SEEDS
from study.search.sampling import reported_budget, searched_budget
from study.search.schedulers import least_epochs
from study.settings.algorithms import SCHEDULERS
from study.settings.resolve import selected
from study.training.stages import Budget

Probe = Callable[[Mapping[str, Any]], tuple[float, ...]]
"""From a config to seconds of an epoch of each of its stages."""

_PROBED = 5  # drawn configs, besides the first one
_ENOUGH_S = 60.0  # of probing, after which no further config is
# Of every run's epoch beside others, to alone: two processes share caches and the memory's bandwidth.
_BESIDE_OTHERS = 1.5
# Seconds of a study without its runs (imports, Ray, PCA, tables, tracker), and of a run without its epochs: of digits
# on two cores, idle and busy.
START = (20.0, 90.0)
RUN = (0.1, 2.0)


@dataclass(frozen=True)
class Drawn:
    """A config that a study may train: the epochs that it has, its parameters, and whether it is drawn or given."""

    config: Mapping[str, Any]
    budget: Budget
    params: int
    given: bool


@dataclass(frozen=True)
class Probed:
    """A config with the seconds of an epoch of its last stage, and of all epochs of a first one."""

    epochs: int
    epoch: float
    first_stage: float

    def seconds(self, epochs: float | None = None) -> float:
        """Return the seconds of a run of so many epochs, by default of all."""
        return self.first_stage + self.epoch * (self.epochs if epochs is None else epochs)


@dataclass(frozen=True)
class Span:
    """A least and a most, of seconds or of bytes."""

    low: float
    high: float

    def __add__(self, other: Span) -> Span:
        return Span(self.low + other.low, self.high + other.high)

    def within(self, limit: Span) -> Span:
        """Return what it is where it ends at a limit, if that is reached."""
        return Span(min(self.low, limit.low), min(self.high, limit.high))


@dataclass(frozen=True)
class Estimate:
    """What a study may take.

    Attributes:
        search: Seconds of the search; None in a study without one.
        confirmation: Seconds of the runs that choose and report.
        disk: Bytes in the storage folder and of the tracker, at most at one time.
        probed: How many configs were tried.
    """

    search: Span | None
    confirmation: Span
    disk: Span
    probed: int

    @property
    def whole(self) -> Span:
        """Seconds of the whole command."""
        return Span(*START) + self.confirmation + (self.search or Span(0, 0))


def drawn_of(
    settings: Settings, context: Context, listed: Sequence[tuple[str, Mapping[str, Any]]], concurrent: int
) -> list[Drawn]:
    """Return the configs of a dry run that fit into a run's part of this machine's memory, with their epochs.

    Args:
        settings: The study's.
        context: What its space knows of the data.
        listed: Where each config comes from, the sampler's name where it is drawn, and the config.
        concurrent: How many runs share the memory.
    """
    space = search_spaces.get(settings.space)
    share = memory() // concurrent
    limits = Limits(settings.max_params or share // 2 // 16, share, constraints=of_texts(settings.constraints))
    found = []
    for origin, config in listed:
        params = models.count_parameters(config, context.image_shape, context.num_classes)
        if limits.refusal(config, context, params) is None:
            if settings.reported:
                budget = reported_budget(selected(settings.reported, settings.space)[origin], settings.epochs)
            else:
                budget = searched_budget(config, space, settings.epochs)
            found.append(Drawn(config, budget, params, origin != settings.sampler))
    return found


def estimate(
    settings: Settings, context: Context, drawn: Sequence[Drawn], machine: Machine, probe: Probe
) -> Estimate | str:
    """Return what a study may take, or why that cannot be said.

    Args:
        settings: The study's.
        context: What its space knows of the data.
        drawn: Configs of it; in a study of reported configurations all of them.
        machine: What it trains on.
        probe: Measures a config on this machine.
    """
    concurrent = machine.concurrent
    probed, reason = _probed(settings, drawn, probe)
    if not probed:
        limit = f"--max-params {settings.max_params:,}" if settings.max_params else "the memory of this machine"
        limit += f" and keeps --constraint {' '.join(settings.constraints)}" if settings.constraints else ""
        return f"No estimate: {reason or f'no config fits into {limit}'}"
    space = search_spaces.get(settings.space)
    choosing, reporting = confirmation.runs_at_most(settings, space, context)
    search = None
    if not settings.reported:
        least = min(settings.epochs, least_epochs(settings.scheduler, settings.epochs))
        search, runs = _phase(settings.trials, probed, concurrent, least), settings.trials
        if settings.patience is not None:  # at least as if no trial gained anything; the seeds of the default besides
            fewest = min(settings.trials, settings.patience + 1)
            low = _phase(fewest, probed, concurrent, least).low
            search = Span(low, search.high) + _phase(SEEDS - 1, probed[:1], concurrent)
            runs += SEEDS - 1
        paid = _paid_seconds(settings, machine)
        for trained in (_device_seconds(settings, machine), paid):
            if trained is not None:
                search = search.within(_until(trained, runs, probed, concurrent))
        if (most := settings.time_budget_s) is not None:
            search = search.within(Span(most, most))
        if settings.max_cost and paid is None:
            search = Span(0.0, search.high)
    confirming = _phase(choosing, probed, concurrent) + _phase(reporting, probed, concurrent)
    params = [one.params for one in drawn]
    left = confirmation.networks_at_most(settings, space, context)
    kept = {"running": concurrent, "kept": settings.confirm_top, "confirmed": left}
    low, high = (disk.needed(round(size), **kept) for size in (median(params), max(params)))
    return Estimate(search, confirming, Span(low - disk.BESIDES, high), len(probed))


def _until(trained: float, runs: int, probed: Sequence[Probed], concurrent: int) -> Span:
    """Return the seconds after which runs have trained for so many seconds in all, if they get so far.

    At least as if they always trained side by side. At most with the start of each, which is no training; until the
    last one has begun no place is free, and then the dearest of all may be left alone.
    """
    at_once = min(runs, concurrent)
    slower = _BESIDE_OTHERS if at_once > 1 else 1.0
    return Span(trained / at_once, (trained + runs * RUN[1]) / at_once + slower * max(one.seconds() for one in probed))


def _gpus(settings: Settings, machine: Machine) -> float:
    """Return the GPUs of a run: a whole one, as `machine.concurrent` counts them, where its share is to be measured."""
    return float(machine.device == "cuda") if settings.gpus_per_trial is None else settings.gpus_per_trial


def _device_seconds(settings: Settings, machine: Machine) -> float | None:
    """Return the seconds of training, of all runs, after which `--device-hours` are used up; None without them."""
    if settings.device_hours is None:
        return None
    return 3600 * settings.device_hours / (_gpus(settings, machine) or settings.cpus_per_trial)


def _paid_seconds(settings: Settings, machine: Machine) -> float | None:
    """Return the seconds of training, of all runs, after which `--max-cost` is used up.

    None without it, or where Ray alone could tell the price: it can be told here where the file names no type of
    machine, and it is known whether a run has a GPU.
    """
    prices = of_settings(vars(settings))
    if prices is None or settings.max_cost is None or not prices.hourly.keys() <= {GPU, PROCESSOR}:
        return None
    if settings.gpus_per_trial is None and GPU in prices.hourly:
        return None
    rate = prices.rate(Part(gpus=_gpus(settings, machine), cpus=settings.cpus_per_trial, share=1.0))
    return 3600 * settings.max_cost / rate if rate else None


def _probed(settings: Settings, drawn: Sequence[Drawn], probe: Probe) -> tuple[list[Probed], str]:
    """Measure the first config and some drawn ones, of a study of reported configurations all, while there is time."""
    chosen = list(drawn) if settings.reported else [*drawn[:1], *_preferred(drawn[1:])[:_PROBED]]
    ends = time.monotonic() + _ENOUGH_S
    found: list[Probed] = []
    reason = ""
    for one in chosen:
        if found and time.monotonic() > ends:
            break
        try:
            *first, last = probe(one.config)
        except Exception as error:
            if not search_spaces.get(settings.space).own_name:
                raise
            reason = f"a network of one's own cannot be trained: {type(error).__name__}: {first_line(error)}"
            continue
        found.append(Probed(one.budget.epochs, last, sum(first) * one.budget.pretrain_epochs))
    return found, reason


def _preferred(drawn: Sequence[Drawn]) -> list[Drawn]:
    """Return the configs that the sampler has drawn, as most trials are, before those that are given."""
    return sorted(drawn, key=lambda one: one.given)


def _phase(runs: int, probed: Sequence[Probed], concurrent: int, least: float | None = None) -> Span:
    """Return the seconds of a phase of so many runs.

    At least as if all were like the cheaper half of what was probed, with `least` epochs each; at most as if all were
    like the dearer half with all their epochs, beside others, and the dearest of all were the last to begin.
    """
    if not runs:
        return Span(0, 0)
    short = sorted(one.seconds(None if least is None else min(least, one.epochs)) for one in probed)
    long = sorted(one.seconds() for one in probed)
    half = (len(probed) + 1) // 2
    at_once = min(runs, concurrent)
    slower = _BESIDE_OTHERS if at_once > 1 else 1.0
    low = runs * (fmean(short[:half]) + RUN[0]) / at_once
    high = slower * (runs * fmean(long[-half:]) / at_once + long[-1] * (runs > at_once)) + runs * RUN[1] / at_once
    return Span(low, high)


def text(found: Estimate | str, settings: Settings, context: Context, machine: Machine) -> str:
    """Return an estimate as a table, with what it assumes, in lines of at most 80 columns."""
    if isinstance(found, str):
        return wrapped(found)
    rows = [("", "at least", "at most")]
    if found.search is not None:
        rows.append(_row("search", found.search))
    rows.append(_row("confirmation", found.confirmation))
    rows.append(_row("the whole command", found.whole))
    rows.append(("disk", _size(found.disk.low), _size(found.disk.high)))
    lines = [*_assumed(found, settings, context), *_where(settings, machine)]
    head = f"An estimate of order, from some batches of {counted(found.probed, 'config')} on made-up images:"
    return "\n".join([wrapped(head), table(rows), *(wrapped(f"- {line}", 2) for line in lines)])


def _row(name: str, span: Span) -> tuple[str, str, str]:
    return name, duration(span.low), duration(span.high)


def _size(size: float) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{max(1, size / 2**20):.0f} MiB"


def _assumed(found: Estimate, settings: Settings, context: Context) -> list[str]:
    choosing, reporting = confirmation.runs_at_most(settings, search_spaces.get(settings.space), context)
    lines = []
    if found.search is not None:
        trials, epochs = settings.trials, settings.epochs
        least = least_epochs(settings.scheduler, epochs)
        saved = (
            f"at least, {settings.scheduler} leaves {least:.3g} of these in the mean, as it is meant to"
            if SCHEDULERS[settings.scheduler].rule != "none" and least < epochs
            else "no scheduler ends one sooner"
        )
        limit = f"; --time-budget ends it after {duration(settings.time_budget_s)}" if settings.time_budget_s else ""
        limit += f"; --device-hours {settings.device_hours:g} end it" if settings.device_hours else ""
        limit += f"; --max-cost {settings.max_cost:g} may end it sooner" if settings.max_cost else ""
        limit += f"; --patience {settings.patience} may end it sooner" if settings.patience else ""
        lines.append(f"search: {counted(trials, 'trial')} × {counted(epochs, 'epoch')}; {saved}{limit}")
    if choosing + reporting:
        lines.append(f"confirmation: {choosing} runs that choose, {reporting} that report, none ended sooner")
    lines.append(
        "at least: all runs like the cheaper half of what was tried; at most: all like the dearer half, with all their "
        f"epochs, {_BESIDE_OTHERS:g} times slower beside others than alone"
    )
    lines.append("not in it: downloads, reading own images, test metrics; the data on the disk")
    return lines


def _where(settings: Settings, machine: Machine) -> list[str]:
    busy = f"as busy as now: load {os.getloadavg()[0]:.1f} on {counted(cores(), 'core')}"
    where = f"{machine.name}, {machine.concurrent} at a time, {busy}"
    if settings.own_ray:
        return [f"on {where}"]
    return [f"for this machine ({where}), not for the cluster at {settings.address}, which is not asked"]
