"""The phases of a study in one run of Tune: one begins when all runs of the one before have ended."""

import pytest
from ray.tune.search import Searcher

from study.record.errors import StudyError
from study.search.engine import Phases
from study.search.job_list import JobList
from study.worker.job import Job, StepResult, job_of, tune_result


class Phase(JobList):
    """Runs of these ids, which remember what they are told."""

    def __init__(self, *ids):
        super().__init__([(Job(name, {}, 0, 1),) for name in ids], lambda job: None, "val_mse")
        self.told = []

    def on_trial_result(self, trial_id, result):
        self.told.append(trial_id)

    def on_trial_complete(self, trial_id, result=None, error=False):
        self.told.append((trial_id, error))
        super().on_trial_complete(trial_id, result, error)


def asked(phases, trial_id):
    found = phases.suggest(trial_id)
    return job_of(found).id if isinstance(found, dict) else found


def end(phases, trial_id, error=False):
    phases.on_trial_complete(trial_id, None if error else tune_result(StepResult(), ("val_mse",)), error)


def test_a_phase_begins_when_all_runs_of_the_one_before_have_ended():
    ended = []

    def parts():
        yield Phase("t0", "t1")
        ended.append("search")
        yield Phase("t0-s1")
        ended.append("confirmation")

    phases = Phases(parts(), "val_mse")
    assert [asked(phases, "a"), asked(phases, "b")] == ["t0", "t1"]
    assert asked(phases, "c") is None  # what is confirmed is not known yet
    end(phases, "b")
    assert asked(phases, "c") is None
    assert ended == []
    end(phases, "a", error=True)
    assert asked(phases, "c") == "t0-s1"
    assert ended == ["search"]
    assert asked(phases, "d") is None
    end(phases, "c")
    assert asked(phases, "d") == Searcher.FINISHED
    assert ended == ["search", "confirmation"]


def test_a_phase_without_runs_is_passed_over_and_no_phases_are_finished():
    phases = Phases(iter([Phase(), Phase("t0-s1"), Phase()]), "val_mse")
    assert asked(phases, "a") == "t0-s1"
    end(phases, "a")
    assert asked(phases, "b") == Searcher.FINISHED
    assert asked(Phases(iter([]), "val_mse"), "a") == Searcher.FINISHED


def test_each_searcher_hears_of_its_own_runs():
    first, second = Phase("t0"), Phase("t0-s1")
    phases = Phases(iter([first, second]), "val_mse")
    phases.suggest("a")
    phases.on_trial_result("a", {})
    end(phases, "a")
    phases.suggest("b")
    end(phases, "b", error=True)
    assert first.told == ["a", ("a", False)]
    assert second.told == [("b", True)]


def test_what_goes_wrong_between_two_phases_is_raised():
    def parts():
        yield Phase("t0")
        raise StudyError("every trial failed")

    phases = Phases(parts(), "val_mse")
    phases.suggest("a")
    end(phases, "a")
    with pytest.raises(StudyError, match="every trial failed"):
        phases.suggest("b")
