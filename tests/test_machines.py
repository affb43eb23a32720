"""How many runs a cluster takes, counted from what is there and from what its autoscaler may bring."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import ray
import requests
import yaml
from ray.autoscaler._private.kuberay import node_provider

from study.cluster import joining, resources
from study.cluster.resources import Growth, Machines, growth_of
from study.record import machine
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
    assert (share.gpus, share.concurrent, share.may_grow) == (0.25, 12, True)
    assert share.memory == 2 * GIB
    assert share.node_cpus == 4


def test_a_grown_cluster_has_as_many_places_as_one_that_has_yet_to_grow(ray_of):
    growth = growth_of(config(gpu={"resources": GPU, "max_workers": 3}), HEAD)
    ray_of([HEAD, Machines(4, 1, 8 * GIB)], growth)
    assert resources.of_each_run(settings()).concurrent == 12


@pytest.mark.parametrize("kinds", [{}, {"gpu": {"resources": GPU, "max_workers": 0}}], ids=["none", "none allowed"])
def test_an_autoscaler_that_has_no_worker_to_bring_is_not_waited_for(ray_of, kinds):
    head = Machines(4, 0, 4 * GIB)
    ray_of([head], growth_of(config(**kinds), head))
    assert not resources.of_each_run(settings()).may_grow


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


@pytest.fixture
def kuberay(monkeypatch, tmp_path):
    """Return a function that plays KubeRay's head: Kubernetes' API has this cluster, or refuses to tell."""

    def play(cluster):
        def get(client, path):
            assert (client._namespace, path) == ("study", "rayclusters/study-x1")
            if cluster is None:
                raise requests.HTTPError("403")
            return cluster

        monkeypatch.setattr(node_provider.KubernetesHttpApiClient, "get", get)
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
        monkeypatch.setenv("RAY_CLUSTER_NAME", "study-x1")
        (tmp_path / "namespace").write_text("study\n")
        monkeypatch.setattr(resources, "NAMESPACE", tmp_path / "namespace")
        node = {"NodeID": "1", "Resources": {"CPU": 0.0, "memory": 4.0 * GIB, "node:__internal_head__": 1.0}}
        monkeypatch.setattr(joining, "nodes", lambda: [node])
        monkeypatch.setattr(ray, "get_runtime_context", lambda: SimpleNamespace(get_node_id=lambda: "1"))

    return play


def shipped_cluster():
    documents = yaml.safe_load_all((Path(__file__).parents[1] / "cluster-kubernetes.yaml").read_text())
    cluster = next(one for one in documents if one["kind"] == "RayCluster")
    cluster["metadata"]["namespace"] = "study"
    return cluster


def test_a_cluster_of_kuberay_that_has_shrunk_to_its_head_has_the_places_that_it_may_grow_to(kuberay):
    kuberay(shipped_cluster())
    assert resources.growth_of_cluster().kinds == [Machines(4, 1, 16 * GIB, 4, "gpu")]
    share = resources.of_each_run(settings())
    assert (share.gpus, share.concurrent) == (0.25, 16)


def test_a_cluster_of_kuberay_that_is_fixed_or_may_not_be_read_has_what_is_there(kuberay):
    fixed = shipped_cluster()
    fixed["spec"]["enableInTreeAutoscaling"] = False
    for cluster in (fixed, None):
        kuberay(cluster)
        assert resources.growth_of_cluster() is None
        with pytest.raises(UsageError, match="no machine has more than 0"):
            resources.of_each_run(settings())


def test_a_ray_of_ones_own_on_the_head_of_a_cluster_waits_for_none_of_its_machines(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(machine, "cores", lambda: 2)
    monkeypatch.setattr(resources, "launched", lambda: config(gpu={"resources": GPU, "max_workers": 3}))
    with joining.joined("local"):
        assert resources.growth_of_cluster() is None
        share = resources.of_each_run(settings())
    assert (share.concurrent, share.gpus, share.may_grow) == (2, 0, False)


def test_max_concurrent_bounds_the_places(ray_of):
    ray_of([Machines(8, 0, GIB)])
    assert resources.of_each_run(settings(max_concurrent=3)).concurrent == 3


def test_without_an_autoscaler_only_what_is_there_counts(ray_of):
    ray_of([Machines(2, 0, 8 * GIB), Machines(4, 0, 8 * GIB)])
    share = resources.of_each_run(settings())
    assert (share.concurrent, share.memory, share.node_cpus) == (6, 2 * GIB, 2)
    assert not share.may_grow


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
