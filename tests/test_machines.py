"""How many runs a cluster takes, counted from what is there and from what its autoscaler may bring."""

import pytest

from study.cluster import resources
from study.cluster.resources import Growth, Machines, growth_of
from study.record.errors import UsageError
from study.record.settings import Settings

GIB = 2**30
HEAD = Machines(0, 0, 4 * GIB)
GPU = {"CPU": 4, "GPU": 1, "memory": 8 * GIB}


def config(**kinds):
    return {"max_workers": 3, "available_node_types": {"head": {"resources": {"CPU": 0}, "max_workers": 0}, **kinds}}


def settings(**given):
    from study.settings import command_line, resolve

    options = [f"--{key.replace('_', '-')}={value}" for key, value in given.items()]
    return resolve.settings_of(command_line.parse(["--space", "digits_ae", *options]).given)


@pytest.fixture
def ray_of(monkeypatch):
    """Return a function that plays a Ray of these machines."""

    def play(here, growth=None):
        monkeypatch.setattr(resources, "alive", lambda: list(here))
        monkeypatch.setattr(resources, "growth_of_cluster", lambda: growth)

    return play


def test_a_cluster_without_workers_yet_has_the_places_that_it_may_grow_to(ray_of):
    ray_of([HEAD], growth_of(config(gpu={"resources": GPU, "max_workers": 3}), HEAD))
    share = resources.of_each_run(settings())
    assert (share.gpus, share.concurrent) == (0.25, 12)
    assert share.memory == 2 * GIB
    assert share.node_cpus == 4


def test_a_grown_cluster_has_as_many_places_as_one_that_has_yet_to_grow(ray_of):
    growth = growth_of(config(gpu={"resources": GPU, "max_workers": 3}), HEAD)
    ray_of([HEAD, Machines(4, 1, 8 * GIB)], growth)
    assert resources.of_each_run(settings()).concurrent == 12


def test_the_bound_on_all_workers_holds_over_their_kinds():
    growth = growth_of(
        config(small={"resources": {"CPU": 2}, "max_workers": 3}, large={"resources": {"CPU": 8}, "max_workers": 2}),
        HEAD,
    )
    assert growth.fit(1, 0) == 8 + 8 + 2


def test_machines_of_ones_own_are_taken_to_be_like_the_head():
    own = {"max_workers": 2, "available_node_types": {"local.cluster.node": {"resources": {}, "max_workers": 2}}}
    head = Machines(2, 0, GIB)
    assert growth_of(own, head) == Growth(head, [Machines(2, 0, GIB, 2, "local.cluster.node")], 2)
    assert growth_of(own, head).fit(1, 0) == 6


def test_max_concurrent_bounds_the_places(ray_of):
    ray_of([Machines(8, 0, GIB)])
    assert resources.of_each_run(settings(max_concurrent=3)).concurrent == 3


def test_without_an_autoscaler_only_what_is_there_counts(ray_of):
    ray_of([Machines(2, 0, 8 * GIB), Machines(4, 0, 8 * GIB)])
    share = resources.of_each_run(settings())
    assert (share.concurrent, share.memory, share.node_cpus) == (6, 2 * GIB, 2)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"cpus_per_trial": 9}, "no machine has more than 4"),
        ({"gpus_per_trial": 2}, "no machine has more than 1"),
    ],
)
def test_a_run_that_fits_no_machine_there_or_to_come_is_refused(ray_of, given, words):
    ray_of([HEAD], growth_of(config(gpu={"resources": GPU, "max_workers": 3}), HEAD))
    with pytest.raises(UsageError, match=words):
        resources.of_each_run(settings(**given))


def test_cpus_and_gpus_that_no_machine_has_together_are_refused(ray_of):
    ray_of([Machines(8, 0, GIB), Machines(1, 1, GIB)])
    with pytest.raises(UsageError, match="no machine has both"):
        resources.of_each_run(settings(cpus_per_trial=4, gpus_per_trial=1))


def test_settings_are_a_studys_own():
    assert isinstance(settings(), Settings)
