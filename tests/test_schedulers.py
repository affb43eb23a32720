import heapq
import random

import pytest
from ray.tune.schedulers import TrialScheduler

from study.record.events import EpochEnded, RunEnded, RunStarted
from study.record.state import StudyState
from study.search.schedulers import SchedulerSettings, build_scheduler, default_settings
from study.settings.algorithms import SCHEDULERS
from study.worker.job import EPOCH, Job, job_config

BUDGET = 9


class TuneTrial:
    """As much of a Tune trial as a scheduler reads."""

    def __init__(self, number, tune_id=None):
        self.trial_id = tune_id or f"tune{number}"
        self.config = job_config(Job(f"t{number:04d}", {}, 1000 + number, BUDGET))
        self.status = "RUNNING"


def curve(number, epoch):
    """A validation error: trials with a higher number are worse, and all fall."""
    return 0.1 * number + 1 / epoch


def run_event(number):
    return RunStarted(
        id=f"t{number:04d}",
        kind="trial",
        number=number,
        config={},
        seed=1000 + number,
        budget=BUDGET,
        params=1,
        key=None,
    )


def play(scheduler, state, order, controller, epochs=BUDGET):
    """Let the trials run one after the other; return the epoch in which each was stopped, or its last one."""
    ends = {}
    for number in order:
        state.apply(run_event(number))
        trial = TuneTrial(number)
        scheduler.on_trial_add(controller, trial)
        for epoch in range(1, epochs + 1):
            ends[number] = epoch
            result = {EPOCH: epoch, "val_mse": curve(number, epoch)}
            decision = scheduler.on_trial_result(controller, trial, result)
            metrics = {"val_mse": result["val_mse"], "seconds": 0.1}
            state.apply(EpochEnded(f"t{number:04d}", epoch, metrics))
            if decision == TrialScheduler.STOP or epoch == BUDGET:
                scheduler.on_trial_complete(controller, trial, result)
                status = "completed" if epoch == BUDGET else "stopped"
                state.apply(RunEnded(f"t{number:04d}", status, None, {}))
                break
    return ends


class Controller:
    def get_live_trials(self):
        return []


@pytest.mark.parametrize("name", sorted(SCHEDULERS))
def test_the_best_trial_has_its_whole_budget(name):
    state = StudyState()
    scheduler = build_scheduler(name, "val_mse", BUDGET, state)
    assert play(scheduler, state, [0, 5, 1, 4, 3, 2], Controller())[0] == BUDGET


@pytest.mark.parametrize("name", ["asha", "median"])
def test_bad_trials_are_stopped_early(name):
    state = StudyState()
    scheduler = build_scheduler(name, "val_mse", BUDGET, state)
    ends = play(scheduler, state, [0, 1, 2, 3, 4, 5, 6, 7], Controller())
    assert ends[7] < BUDGET


def test_without_a_scheduler_nothing_is_stopped():
    state = StudyState()
    scheduler = build_scheduler("none", "val_mse", BUDGET, state)
    assert set(play(scheduler, state, range(6), Controller()).values()) == {BUDGET}


@pytest.mark.parametrize("name", sorted(SCHEDULERS))
def test_a_scheduler_that_is_built_from_the_journal_decides_as_the_one_that_saw_it_all(name):
    order = [3, 1, 6, 0, 4, 2, 7, 5]
    state = StudyState()
    through = play(build_scheduler(name, "val_mse", BUDGET, state), state, order, Controller())
    state = StudyState()
    ends = play(build_scheduler(name, "val_mse", BUDGET, state), state, order[:4], Controller())
    ends |= play(build_scheduler(name, "val_mse", BUDGET, state), state, order[4:], Controller())
    assert ends == through


def test_asha_counts_a_resumed_trial_once_in_each_rung():
    state = StudyState()
    play(build_scheduler("asha", "val_mse", BUDGET, state), state, [0], Controller(), epochs=4)
    scheduler = build_scheduler("asha", "val_mse", BUDGET, state)
    trial = TuneTrial(0, tune_id="another")
    scheduler.on_trial_add(Controller(), trial)
    scheduler.on_trial_result(Controller(), trial, {EPOCH: 4, "val_mse": curve(0, 4)})  # reported once more
    rungs = dict(scheduler._brackets[0]._rungs)
    assert {epoch: list(recorded) for epoch, recorded in rungs.items()} == {3: ["another"], 1: ["another"]}


@pytest.mark.parametrize("lost", [0, 1, 2])  # epochs by which the checkpoint is behind the journal
@pytest.mark.parametrize("name", ["asha", "median"])
def test_a_trial_that_was_to_be_stopped_when_the_driver_died_is_stopped_by_the_next_one(name, lost):
    def built(state):
        return build_scheduler(name, "val_mse", BUDGET, state, SchedulerSettings(grace_period=3, reduction_factor=3))

    order = [0, 1, 2, 3, 4, 5, 6]
    state = StudyState()
    ends = play(built(state), state, [*order, 7], Controller())
    assert ends[7] == 3
    # The same, but the driver dies when the last epoch is in the journal and the trial's end is not.
    state = StudyState()
    play(built(state), state, order, Controller())
    state.apply(run_event(7))
    for epoch in range(1, ends[7] + 1):
        metrics = {"val_mse": curve(7, epoch), "seconds": 0.1}
        state.apply(EpochEnded("t0007", epoch, metrics))
    resumed = built(state)
    trial = TuneTrial(7, tune_id="another")
    resumed.on_trial_add(Controller(), trial)
    for epoch in range(ends[7] - lost, ends[7] + 1):
        decision = resumed.on_trial_result(Controller(), trial, {EPOCH: epoch, "val_mse": curve(7, epoch)})
        assert decision == (TrialScheduler.STOP if epoch == ends[7] else TrialScheduler.CONTINUE)


def test_the_median_rule_counts_an_epoch_that_is_repeated_once():
    state = StudyState()
    play(build_scheduler("median", "val_mse", BUDGET, state), state, [0], Controller(), epochs=4)
    scheduler = build_scheduler("median", "val_mse", BUDGET, state)
    trial = TuneTrial(0, tune_id="another")
    scheduler.on_trial_add(Controller(), trial)
    for epoch in (3, 4, 5, 4, 5, 6):  # from an earlier checkpoint, under the next driver and after a worker's death
        scheduler.on_trial_result(Controller(), trial, {EPOCH: epoch, "val_mse": curve(0, epoch)})
    assert [result[EPOCH] for result in scheduler._results[trial]] == [1, 2, 3, 4, 5, 6]


def play_at_once(scheduler, state, trials, pace, results):
    """Let trials run in four workers, those first that have not ended; the driver dies after so many results."""
    busy, waiting = [], [run.number for run in state.trials if run.status == "running"]
    waiting += range(len(state.trials), trials)
    now = 0.0
    for _ in range(results):
        while waiting and len(busy) < 4:
            number = waiting.pop(0)
            state.apply(run_event(number))
            trial = TuneTrial(number, tune_id=f"{id(scheduler)}-{number}")
            scheduler.on_trial_add(Controller(), trial)
            begins = max(1, len(state.runs[f"t{number:04d}"].epochs))  # that of its checkpoint is repeated
            heapq.heappush(busy, (now + pace.random(), number, begins, trial))
        if not busy:
            return
        now, number, epoch, trial = heapq.heappop(busy)
        run_id, value = f"t{number:04d}", (7 * number % 11) / 10 + 1 / epoch
        state.apply(EpochEnded(run_id, epoch, {"val_mse": value, "seconds": 0.1}))
        result, last = {EPOCH: epoch, "val_mse": value}, epoch == BUDGET
        if last or scheduler.on_trial_result(Controller(), trial, result) == TrialScheduler.STOP:
            scheduler.on_trial_complete(Controller(), trial, result)
            state.apply(RunEnded(run_id, "completed" if last else "stopped", None, {}))
        else:
            heapq.heappush(busy, (now + pace.random(), number, epoch + 1, trial))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", sorted(SCHEDULERS))
def test_a_study_of_several_workers_is_gone_on_with_after_any_death_of_its_driver(name, seed):
    """A replay knows more than the scheduler did whenever it judged, and may decide otherwise on what has gone on."""
    pace, state = random.Random(seed), StudyState()
    for trials in (12, 12, 12, 20, 20):  # resumed twice, then extended
        play_at_once(build_scheduler(name, "val_mse", BUDGET, state), state, trials, pace, pace.randrange(5, 25))
    play_at_once(build_scheduler(name, "val_mse", BUDGET, state), state, 20, pace, 20 * BUDGET)
    assert [run.number for run in state.trials if run.status in ("completed", "stopped")] == list(range(20))


def test_hyperband_spreads_trials_over_brackets_in_the_same_way_each_time():
    def brackets():
        state = StudyState()
        scheduler = build_scheduler("hyperband", "val_mse", 27, state)
        found = []
        for number in range(30):
            state.apply(run_event(number))
            trial = TuneTrial(number)
            scheduler.on_trial_add(Controller(), trial)
            found.append(scheduler._brackets.index(scheduler._trial_info[trial.trial_id]))
        return found

    assert brackets() == brackets()
    assert set(brackets()) == {0, 1, 2}


@pytest.mark.parametrize("epochs", [1, 2, 3, 8, 30, 100])
@pytest.mark.parametrize("name", sorted(SCHEDULERS))
def test_every_budget_is_allowed(name, epochs):
    state = StudyState()
    scheduler = build_scheduler(name, "val_mse", epochs, state)
    state.apply(run_event(0))
    scheduler.on_trial_add(Controller(), TuneTrial(0))
    result = {EPOCH: 1, "val_mse": 0.5}
    assert scheduler.on_trial_result(Controller(), TuneTrial(0), result) in ("CONTINUE", "STOP")


def rungs(scheduler):
    """The epochs of the rungs, bracket by bracket."""
    return [sorted(milestone for milestone, _ in bracket._rungs) for bracket in scheduler._brackets]


def test_thirty_epochs_have_rungs_at_3_and_9_and_not_at_27():
    asha, hyperband = (build_scheduler(name, "val_mse", 30, StudyState()) for name in ("asha", "hyperband"))
    assert rungs(asha) == [[3, 9]]
    assert rungs(hyperband) == [[3, 9], [9], []]  # the last one is Hyperband's own, in which no trial is stopped


@pytest.mark.parametrize("name", ["asha", "hyperband"])
def test_no_rung_lies_beyond_two_thirds_of_any_budget(name):
    for epochs in range(1, 101):
        settings = default_settings(name, epochs)
        grace, reduction = settings.grace_period, settings.reduction_factor
        steps = [grace * reduction**power for power in range(10)]
        allowed = [step for step in steps if step == grace or step <= 2 * epochs / 3]
        found = rungs(build_scheduler(name, "val_mse", epochs, StudyState()))
        assert found == [allowed[bracket:] for bracket in range(len(found))]


@pytest.mark.parametrize("name", ["asha", "hyperband"])
def test_no_trial_is_stopped_after_two_thirds_of_its_budget(name):
    """Trials that all begin alike, and get worse than all before them later and later."""
    state, ends = StudyState(), []
    scheduler = build_scheduler(name, "val_mse", 30, state)
    for number in range(60):
        state.apply(run_event(number))
        trial = TuneTrial(number)
        scheduler.on_trial_add(Controller(), trial)
        for epoch in range(1, 31):
            decision = scheduler.on_trial_result(
                Controller(), trial, {EPOCH: epoch, "val_mse": number * (epoch > number % 30)}
            )
            if decision == TrialScheduler.STOP:
                break
        ends.append(epoch)
    assert min(ends) < 20
    assert set(ends) <= {3, 9, 30}


@pytest.mark.parametrize("name", sorted(set(SCHEDULERS) - {"none"}))
def test_the_seeds_of_a_confirmation_are_never_stopped_and_stop_no_trial(name):
    state = StudyState()
    scheduler = build_scheduler(name, "val_mse", BUDGET, state)
    play(scheduler, state, [1, 2, 3], Controller())
    seeds = [Job(f"t0001-s{seed}", {}, seed, BUDGET, test=True) for seed in (1, 2)]
    for number, job in enumerate(seeds):
        state.apply(RunStarted(job.id, "confirm", number, {}, job.seed, BUDGET, 1, None, "t0001", role="report"))
    before = repr(vars(scheduler).get("_brackets") or vars(scheduler).get("_results"))
    for jobs in ([seeds[0]], seeds):  # alone, and trained together
        trial = TuneTrial(9)
        trial.config = job_config(*jobs)
        scheduler.on_trial_add(Controller(), trial)
        for epoch in range(1, BUDGET + 1):
            told = scheduler.on_trial_result(Controller(), trial, {EPOCH: epoch, "val_mse": 99.0})
            assert told == TrialScheduler.CONTINUE
        scheduler.on_trial_complete(Controller(), trial, {EPOCH: BUDGET, "val_mse": 99.0})
        scheduler.on_trial_error(Controller(), trial)
        scheduler.on_trial_remove(Controller(), trial)
    assert repr(vars(scheduler).get("_brackets") or vars(scheduler).get("_results")) == before
