"""Recorded trials under virtual workers: times by hand, decisions as Tune's own schedulers make them."""

from math import nan

import numpy as np
import pytest
from ray.tune.schedulers import MedianStoppingRule
from recorded_curves import curves, study_of

from study.record.state import Run, StudyState
from study.search.schedulers import ReplayedTrial, SchedulerSettings, build_scheduler, default_settings
from study.settings.algorithms import SCHEDULERS
from study.simulation.replay import Replay
from study.worker.job import EPOCH, Job, job_config

BUDGET = 9
RUN = ("id", "kind", "number", "config", "seed", "budget", "params", "key", "started")


def ends_of(study, scheduler, workers=1, order=None, settings=None):
    order = range(len(study.trials)) if order is None else order
    chosen = settings or default_settings(scheduler, study.max_epochs)
    return Replay(study).run(scheduler, chosen, workers, order)


def epochs_of(ends):
    return {end.id: end.epochs for end in ends}


def test_without_a_scheduler_one_worker_takes_the_sum_of_all_seconds(tmp_path):
    study = study_of(tmp_path, curves(3, 4), seconds=[1.0, 2.0, 0.5])
    ends = ends_of(study, "none")
    assert [(end.id, end.time, end.seconds) for end in ends] == [
        ("t0000", 4.0, 4.0),
        ("t0001", 12.0, 8.0),
        ("t0002", 14.0, 2.0),
    ]


def test_a_free_worker_takes_the_next_trial(tmp_path):
    study = study_of(tmp_path, curves(4, 2), seconds=[1.0, 5.0, 1.0, 1.0])
    ends = ends_of(study, "none", workers=2)
    assert [(end.id, end.time) for end in ends] == [("t0000", 2), ("t0002", 4), ("t0003", 6), ("t0001", 10)]


def test_trials_start_in_the_given_order(tmp_path):
    ends = ends_of(study_of(tmp_path, curves(3, 2)), "none", order=[2, 0, 1])
    assert [end.id for end in ends] == ["t0002", "t0000", "t0001"]


def test_more_workers_than_trials_run_all_at_once(tmp_path):
    ends = ends_of(study_of(tmp_path, curves(3, 2)), "none", workers=8)
    assert {end.time for end in ends} == {2.0}


def test_a_first_stage_is_paid_with_the_first_epoch(tmp_path):
    study = study_of(tmp_path, curves(2, 3), pretraining={1: 10.0})
    assert [end.time for end in ends_of(study, "none")] == [3.0, 16.0]
    assert ends_of(study, "asha")[1].seconds == 11.0  # stopped after its first epoch


def test_asha_stops_by_hand(tmp_path):
    # Rungs at 1, 3 and 9 epochs, a third passes: what is below the quantile of 2/3 of those that came there before.
    study = study_of(tmp_path, [[value] * BUDGET for value in (0.5, 0.4, 0.6, 0.45)])
    ends = ends_of(study, "asha")
    # t2 meets 0.433 (of 0.5 and 0.4) in the first rung; t3 there 0.467 (of 0.6, too), in the second, without t2, 0.433.
    assert epochs_of(ends) == {"t0000": 9, "t0001": 9, "t0002": 1, "t0003": 3}
    assert [end.status for end in ends] == ["completed", "completed", "stopped", "stopped"]


@pytest.mark.parametrize("scheduler", sorted(SCHEDULERS))
def test_one_worker_decides_as_the_scheduler_of_a_study_does(tmp_path, scheduler):
    generator = np.random.default_rng(3)
    values = (np.cumsum(generator.normal(0, 0.2, (40, BUDGET)), axis=1) + generator.normal(0, 0.5, (40, 1))).tolist()
    study = study_of(tmp_path, values)
    state = StudyState()
    rule = build_scheduler(scheduler, "val_mse", BUDGET, state)
    expected = {}
    for number, curve in enumerate(values):
        run = study.trials[number].run
        state.runs[run.id] = Run(**{field: getattr(run, field) for field in RUN})
        trial = ReplayedTrial(str(number), job_config(Job(run.id, {}, run.seed, BUDGET)))
        rule.on_trial_add(None, trial)
        for epoch, value in enumerate(curve, start=1):
            result = {EPOCH: epoch, "val_mse": value}
            if epoch == BUDGET or rule.on_trial_result(None, trial, result) == "STOP":
                rule.on_trial_complete(None, trial, result)
                expected[f"t{number:04d}"] = epoch
                break
    assert epochs_of(ends_of(study, scheduler)) == expected
    if scheduler != "none":
        assert set(expected.values()) != {BUDGET}


@pytest.mark.parametrize("scheduler", sorted(SCHEDULERS))
@pytest.mark.parametrize("workers", [1, 3])
def test_a_failed_trial_ends_as_it_did_and_stops_nobody(tmp_path, scheduler, workers):
    values = [*curves(6), [1.9, 1.8, nan], [nan]]
    ends = {
        end.id: end for end in ends_of(study_of(tmp_path, values), scheduler, workers, order=[7, 6, 0, 1, 2, 3, 4, 5])
    }
    assert (ends["t0006"].status, ends["t0006"].epochs) in {("failed", 2), ("stopped", 1), ("stopped", 2)}
    assert (ends["t0007"].status, ends["t0007"].epochs, ends["t0007"].seconds) == ("failed", 0, 0.0)
    assert ends["t0000"].epochs == BUDGET


@pytest.mark.filterwarnings("error")
def test_a_rung_in_which_all_failed_stops_nothing_and_warns_of_nothing(tmp_path):
    values = [[0.9, nan], [0.8, nan], *curves(2)]
    settings = SchedulerSettings(2, 3)
    assert epochs_of(ends_of(study_of(tmp_path, values), "asha", settings=settings))["t0002"] == BUDGET


def test_one_replay_leaves_nothing_for_the_next(tmp_path):
    replay = Replay(study_of(tmp_path, curves()))
    settings = default_settings("asha", BUDGET)
    first = replay.run("asha", settings, 2, [5, 3, 7, 0, 1, 2, 4, 6])
    replay.run("median", default_settings("median", BUDGET), 2, range(8))
    assert replay.run("asha", settings, 2, [5, 3, 7, 0, 1, 2, 4, 6]) == first


def test_a_decision_that_cannot_be_replayed_is_not_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr("study.search.schedulers.StudyMedianStopping.on_trial_result", lambda *_: "PAUSE")
    with pytest.raises(NotImplementedError, match="PAUSE"):
        ends_of(study_of(tmp_path, curves()), "median")


def test_remembered_means_decide_as_tunes_own_median_rule(tmp_path):
    generator = np.random.default_rng(5)
    values = generator.normal(0, 1, (30, BUDGET)).cumsum(axis=1).tolist()
    study = study_of(tmp_path, values)
    own = MedianStoppingRule(time_attr=EPOCH, metric="val_mse", mode="min", grace_period=1, min_time_slice=np.inf)
    trials = [ReplayedTrial(str(number), {}) for number in range(30)]
    epochs, busy = {}, list(range(3))
    done = dict.fromkeys(range(30), 0)
    waiting = iter(range(3, 30))
    while busy:  # three at a time, an epoch each in turn, as in the replay, where every epoch takes a second
        for number in list(busy):
            done[number] += 1
            result = {EPOCH: done[number], "val_mse": values[number][done[number] - 1]}
            if done[number] == BUDGET or own.on_trial_result(None, trials[number], result) == "STOP":
                own.on_trial_complete(None, trials[number], result)
                epochs[f"t{number:04d}"] = done[number]
                busy.remove(number)
                busy += [following] if (following := next(waiting, None)) is not None else []
    assert epochs_of(ends_of(study, "median", workers=3, settings=SchedulerSettings(1))) == epochs
    assert len(set(epochs.values())) > 3
