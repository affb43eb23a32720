"""Which runs of a confirmation are trained together."""

import pytest

from study.search.job_list import JobList, grouped, most_together
from study.worker.job import Job, job_of, jobs_of


def jobs(configs, seeds):
    """Return the jobs of a confirmation in their order: seed by seed."""
    return [(name, Job(f"{name}-s{seed}", {}, seed, 1)) for seed in range(1, seeds + 1) for name in configs]


def names(groups):
    return [[job.id for job in group] for group in groups]


def test_without_fusing_the_jobs_stay_in_their_order():
    assert names(grouped(jobs("ab", 2), {"a": 1, "b": 1})) == [["a-s1"], ["b-s1"], ["a-s2"], ["b-s2"]]


def test_the_seeds_of_a_config_are_put_together_and_never_those_of_two():
    assert names(grouped(jobs("ab", 3), {"a": 6, "b": 6})) == [["a-s1", "a-s2", "a-s3"], ["b-s1", "b-s2", "b-s3"]]


@pytest.mark.parametrize(("most", "sizes"), [(1, [1] * 8), (2, [2] * 4), (3, [3, 2, 3]), (5, [4, 4]), (8, [8])])
def test_groups_are_of_about_the_same_size_and_no_larger_than_what_fits(most, sizes):
    groups = grouped(jobs("a", 8), {"a": most})
    assert [len(group) for group in groups] == sizes
    assert [job.id for group in groups for job in group] == [f"a-s{seed}" for seed in range(1, 9)]


def test_configs_of_which_some_are_large_have_groups_of_their_own_size():
    assert names(grouped(jobs("ab", 2), {"a": 1, "b": 2})) == [["a-s1"], ["b-s1", "b-s2"], ["a-s2"]]


def test_runs_whose_worker_died_together_are_tried_alone():
    begun = []
    searcher = JobList([tuple(job for _, job in jobs("a", 3))], lambda job: begun.append(job.id), "val_mse")
    assert len(jobs_of(searcher.suggest("x"))) == 3
    assert searcher.suggest("y") is None  # it may come back
    searcher.on_trial_complete("x", None, error=True)
    assert [job_of(searcher.suggest(str(number))).id for number in range(3)] == ["a-s1", "a-s2", "a-s3"]
    assert searcher.suggest("z") == JobList.FINISHED


@pytest.mark.parametrize(
    ("fuse", "concurrent", "gpus", "most"),
    [
        ("off", 4, 0.25, 1),
        ("on", 2, 0.0, 9),
        ("auto", 2, 0.0, 1),  # on a CPU
        ("auto", 4, 0.25, 9),  # four places on one GPU: one group is enough to keep it busy
        ("auto", 8, 0.25, 4),  # two GPUs
        ("auto", 3, 1.0, 3),
        ("auto", 32, 1.0, 1),  # more GPUs than runs
    ],
)
def test_no_device_is_left_without_a_run(fuse, concurrent, gpus, most):
    assert most_together(fuse, 9, concurrent, gpus) == most
