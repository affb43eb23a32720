"""Where the last runs begin on unequal machines: against the earliest end that there is, and in Tune's controller."""

import heapq
import random
import time
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from study.record.prices import Part
from study.search import last_runs
from study.search.controller import StudyController
from study.search.last_runs import Ahead, Busy, LastRuns, begin
from study.worker.job import Job, job_config

FAST, SLOW = Part("fast", "", 0.0, 1.0, 1.0), Part("slow", "", 0.0, 1.0, 1.0)


def makespan(runs, takes, rule):
    """Return when the last of some runs ends, on places that take so many seconds for one.

    A run begins on a free place, the fastest first; with the rule, only on one that it says. It is asked again whenever
    a run ends, and takes each to train to its end.

    Args:
        runs: For each, how long it takes, in times of what any takes on its place, and which part it trains.
        takes: For each place.
        rule: Whether the rule is asked.
    """
    left, ends, now, free = list(runs), [], 0.0, sorted(range(len(takes)), key=takes.__getitem__)
    while left or ends:
        idle = {takes[place]: (sum(takes[other] == takes[place] for other in free), takes[place]) for place in free}
        wanted = {kind: count for kind, (count, _) in idle.items()}
        if rule:
            wanted = begin(len(left), idle, [Busy(max(0.0, whole - now), takes[place]) for _, place, whole in ends])
        for place in list(free):
            if left and wanted[takes[place]]:
                wanted[takes[place]] -= 1
                free.remove(place)
                length, part = left.pop(0)
                heapq.heappush(ends, (now + takes[place] * length * part, place, now + takes[place] * length))
        assert ends, "runs are left, and nothing trains"
        now, place, _ = heapq.heappop(ends)
        free = sorted([*free, place], key=takes.__getitem__)
    return now


def earliest(runs, takes):
    """Return the earliest moment by which so many runs can have ended, on places that never pause."""
    return sorted(seconds * number for seconds in takes for number in range(1, runs + 1))[runs - 1]


@pytest.mark.parametrize("seed", range(300))
def test_runs_of_one_length_end_as_early_as_they_can_and_never_later_than_without_the_rule(seed):
    of = random.Random(seed)
    speeds = [of.choice((1.0, 1.7, 3.0, 4.0, 10.0)) for _ in range(of.randint(1, 12))]
    runs = of.randint(1, 40)
    found = makespan([(1.0, 1.0)] * runs, speeds, rule=True)
    assert found == pytest.approx(earliest(runs, speeds))
    assert found <= makespan([(1.0, 1.0)] * runs, speeds, rule=False) * (1 + 1e-9)


@pytest.mark.parametrize(
    ("runs", "fast", "slow", "with_rule", "without"),
    [
        (7, 1, 4, 6.0, 8.0),  # one machine of each: the slow one trains one run, no second
        (8, 1, 4, 7.0, 8.0),
        (1, 1, 4, 1.0, 1.0),
        (3, 1, 4, 3.0, 4.0),
        (9, 2, 5, 14.0, 15.0),
    ],
)
def test_a_fast_and_a_slow_machine_end_sooner_with_the_rule(runs, fast, slow, with_rule, without):
    assert makespan([(1.0, 1.0)] * runs, [fast, slow], rule=True) == with_rule
    assert makespan([(1.0, 1.0)] * runs, [fast, slow], rule=False) == without


@pytest.mark.parametrize("places", [1, 4])
@pytest.mark.parametrize("parts", [(1.0,), (0.1, 0.1, 0.3, 1.0)])
def test_where_runs_differ_or_are_stopped_the_end_is_sooner_on_average_and_seldom_later(places, parts):
    of, speeds = random.Random(0), [1.0] * places + [4.0] * places
    ratios = []
    for _ in range(400):
        count = of.randint(len(speeds), 6 * len(speeds))
        runs = [(of.lognormvariate(0, 0.5), of.choice(parts)) for _ in range(count)]
        ratios.append(makespan(runs, speeds, rule=True) / makespan(runs, speeds, rule=False))
    assert sum(ratios) / len(ratios) < 0.9
    assert sum(ratio > 1 + 1e-9 for ratio in ratios) / len(ratios) < 0.2
    assert max(ratios) < 1.8


def test_equal_machines_are_all_used_at_once():
    assert begin(4, {FAST: (4, 2.0)}, []) == {FAST: 4}
    assert begin(3, {FAST: (2, 2.0)}, [Busy(1.0, 2.0)]) == {FAST: 2}


def test_a_slow_place_is_used_where_a_fast_one_would_end_later():
    assert begin(1, {SLOW: (1, 4.0)}, [Busy(2.5, 1.0)]) == {SLOW: 0}
    assert begin(1, {SLOW: (1, 4.0)}, [Busy(3.5, 1.0)]) == {SLOW: 1}
    assert begin(2, {SLOW: (1, 4.0)}, [Busy(2.5, 1.0)]) == {SLOW: 1}  # after which the fast one has no time for two


def run(name, kind, seconds, epochs, budget=5):
    made = SimpleNamespace(id=name, part=kind, budget=budget, pretrain_budget=0, pretraining=[], started=time.time())
    made.epochs = [{"seconds": seconds}] * epochs
    made.seconds = seconds * epochs
    return made


def measured(ahead, *, fast=1.0, slow=4.0, runs=3, now=(), said=None):
    """Return what a study says of two kinds of machine on which some runs have ended."""
    ended = [run(f"f{i}", FAST, fast, 5) for i in range(runs)] + [run(f"s{i}", SLOW, slow, 5) for i in range(runs)]
    state = SimpleNamespace(runs={one.id: one for one in (*ended, *now)})
    kinds = {"a": FAST, "b": SLOW}
    return LastRuns(state, kinds.__getitem__, lambda: Ahead(ahead, 5), (said if said is not None else []).append)


def trial(name, since=0.0):
    result = {"timestamp": time.time() - since, "node": "a"}
    found = Mock()
    found.config, found.last_result = job_config(Job(name, {}, 0, 5)), result
    return found


def asked(study, idle, busy, waiting):
    return study.waits(len(idle), len(busy), waiting, lambda: (idle, busy))


def test_the_last_run_waits_for_the_fast_machine_and_the_user_is_told_once():
    said = []
    study = measured(1, now=[run("now", FAST, 1.0, 3)], said=said)
    assert asked(study, ["b"], [(trial("now"), "a")], waiting=0)
    study._until = 0.0
    assert asked(study, ["b"], [(trial("now"), "a")], waiting=0)
    assert said == [
        "places    1 run left: slow places stay empty where a run would end later than on a fast one "
        "(4 s an epoch against 1 s)"
    ]


@pytest.mark.parametrize(
    "study",
    [
        measured(9, now=[run("now", FAST, 1.0, 3)]),  # many are left
        measured(0, now=[run("now", FAST, 1.0, 3)]),  # none is
        measured(1, now=[run("now", FAST, 9.0, 1)]),  # the fast one has 36 s left
        measured(1, runs=1, now=[run("now", FAST, 1.0, 0)]),  # too few have been measured
    ],
)
def test_otherwise_a_run_begins_where_a_place_is_free(study):
    assert not asked(study, ["b"], [(trial("now"), "a")], waiting=0)


def test_a_run_that_waits_already_has_the_place():
    study = measured(9, now=[run("now", FAST, 1.0, 3)])
    assert asked(study, ["b"], [(trial("now"), "a")], waiting=1)


def test_where_nothing_trains_or_nobody_knows_a_place_nothing_waits():
    study = measured(1, now=[run("now", FAST, 1.0, 3)])
    assert not asked(study, ["b"], [], waiting=0)
    assert not asked(study, [], [(trial("now"), "a")], waiting=0)
    assert not asked(study, ["b"], [(trial("now"), "")], waiting=0)


def test_as_a_phase_begins_only_the_fast_machine_is_given_a_run():
    assert not asked(measured(4), ["a", "b"], [], waiting=0)
    assert asked(measured(2), ["a", "b"], [], waiting=1)  # the fast one ends three before the slow one ends one
    assert not asked(measured(4, slow=1.5), ["a", "b"], [], waiting=1)


def test_the_fastest_idle_machine_is_taken_first():
    assert measured(1).in_order([("b", 1), ("a", 2), ("b", 3)]) == [2, 1, 3]
    assert measured(1).in_order([("b", 1), ("b", 3)]) == [1, 3]
    assert measured(1, runs=1).in_order([("b", 1), ("a", 2)]) == [1, 2]


def test_an_answer_is_good_for_a_while(monkeypatch):
    study = measured(1, now=[run("now", FAST, 1.0, 3)])
    looks = []
    monkeypatch.setattr(study, "_worth", lambda *_: (looks.append(1), 0)[1])
    for _ in range(100):
        assert asked(study, ["b"], [(trial("now"), "a")], waiting=0)
    assert len(looks) == 1
    monkeypatch.setattr(last_runs.time, "monotonic", lambda: study._until + 1)
    assert asked(study, ["b"], [(trial("now"), "a")], waiting=0)
    assert len(looks) == 2


def test_the_controller_asks_for_no_run_that_waits_and_takes_the_fast_process(monkeypatch):
    controller = StudyController.__new__(StudyController)
    suggested = []
    base = StudyController.__mro__[1]
    monkeypatch.setattr(base, "_update_trial_queue", lambda *_: suggested.append(1) or True)
    monkeypatch.setattr(base, "_maybe_reuse_cached_actor", lambda self, trial: cache.pop(0))
    cache = ["process on b", "process on a"]
    controller._actor_cache = SimpleNamespace(num_cached_objects=2, _cached_objects={"one": cache})
    controller._nodes = {"process on b": "b", "process on a": "a"}
    controller._running_trials, controller._pending_trials = {trial("now")}, set()
    controller._resetting_trials, controller._trial_to_actor = set(), {}
    reset = trial("reset")
    reset.last_result = {"trial_id": "of Tune's own, before the first result"}
    controller._trial_to_actor = {reset: "process on b"}
    assert controller._node(reset) == "b"
    controller._last_runs = None
    assert controller._update_trial_queue()
    controller._last_runs = measured(1, now=[run("now", FAST, 1.0, 3)])
    controller._actor_manager = SimpleNamespace(is_actor_started=lambda process: False)
    new = trial("new")
    new.placement_group_factory = "one"
    assert controller._maybe_reuse_cached_actor(new) == "process on a"
    assert not controller._update_trial_queue()
    assert controller._update_trial_queue(blocking=True)
    assert len(suggested) == 2
