"""How runs share a GPU, decided on a CPU from made-up measurements, and what a probe measures of a real one."""

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import models
import search_spaces
from search_spaces import Context
from study.cluster import gpu_share, joining, resources
from study.cluster.gpu_share import MOST, MeasuredGpu, divided, of_every_kind
from study.cluster.resources import Limits, Machines, training_bytes
from study.data import image_data
from study.record.errors import StudyError
from study.search import gpu_probe
from study.search.gpu_probe import Problem, configs_to_measure, measure
from study.training.trainer import Trainer

GIB = 2**30
ROOT = Path(__file__).resolve().parents[1]
DIGITS = search_spaces.get("digits_ae")
SHAPE = (1, 8, 8)


def settings(*options):
    from study.settings import command_line, resolve

    return resolve.settings_of(command_line.parse(["--space", "digits_ae", *options]).given)


def a_gpu(total=24, overhead=1, peaks=(2, 5)):
    return MeasuredGpu("a GPU", total * GIB, overhead * GIB, tuple(peak and peak * GIB for peak in peaks))


def test_as_many_runs_share_a_gpu_as_fit_in_nine_tenths_of_its_memory():
    share = divided(a_gpu(), cpus_per_gpu=16, cpus_per_run=1)
    assert (share.runs, share.fraction, share.reason) == (4, 0.25, "by memory")
    assert share.memory == int(0.9 * 24 * GIB / 4) - GIB


def test_what_others_use_of_a_gpu_is_not_given_out_and_is_no_need_of_a_run():
    share = divided(replace(a_gpu(total=80, peaks=(5,)), others=48 * GIB), cpus_per_gpu=16, cpus_per_run=1)
    assert (share.runs, share.reason) == (4, "by memory")  # of 0.9 · 80 - 48 = 24
    assert share.memory == 6 * GIB - GIB
    assert "a GPU, 80.0 GiB, of which others use 48.0: a run takes 5.0 GiB at most" in str(share)


def test_a_gpu_that_others_have_taken_is_one_on_which_nothing_fits():
    share = divided(replace(a_gpu(), others=23 * GIB), cpus_per_gpu=16, cpus_per_run=1)
    assert (share.runs, share.memory) == (1, 0)
    assert "a run takes nothing that fits" in str(share)


def test_a_run_needs_its_cpus_too():
    share = divided(a_gpu(), cpus_per_gpu=6, cpus_per_run=2)
    assert (share.runs, share.reason) == (3, "by 6 CPUs for each GPU")


def test_tiny_networks_on_a_large_machine_are_bounded():
    assert divided(a_gpu(total=140, peaks=(1,)), cpus_per_gpu=64, cpus_per_run=1).runs == MOST


@pytest.mark.parametrize("peaks", [(None, 30), (None,), ()])
def test_a_run_has_a_gpu_to_itself_where_nothing_fits(peaks):
    share = divided(a_gpu(peaks=peaks), cpus_per_gpu=16, cpus_per_run=1)
    assert (share.runs, share.fraction) == (1, 1.0)


def test_a_network_that_fits_no_gpu_does_not_keep_the_others_apart():
    assert divided(a_gpu(peaks=(2, None)), cpus_per_gpu=64, cpus_per_run=1).runs == 10


@pytest.mark.parametrize("runs", range(1, MOST + 1))
@pytest.mark.parametrize("gpus", [1, 4, 8])
def test_ray_counts_as_many_places_as_were_meant(runs, gpus):
    share = divided(a_gpu(total=1000, peaks=(1,)), cpus_per_gpu=runs, cpus_per_run=1)
    assert share.runs == runs
    assert round(share.fraction * 10_000) == pytest.approx(share.fraction * 10_000)  # Ray's resolution
    assert Machines(runs * gpus, gpus, None).fit(1, share.fraction) == runs * gpus


def test_of_different_gpus_the_one_with_room_for_fewest_runs_decides_and_the_others_are_told():
    small, large = a_gpu(total=12), replace(a_gpu(total=80), gpu="a large GPU")
    share = of_every_kind([small, large], cpus_per_gpu=64, cpus_per_run=1)
    assert (share.runs, share.fraction, share.measured) == (2, 0.5, small)
    assert share.roomier == ((large, 14),)
    assert str(share).endswith("; a large GPU, 80.0 GiB, would take 14, but a run asks for the same part of every GPU")
    assert [one["total"] for one, _ in share.to_json()["roomier"]] == [80 * GIB]


def test_a_large_gpu_beside_few_cpus_may_be_the_one_that_decides():
    few = replace(a_gpu(total=80), cpus=2.0)
    share = of_every_kind([replace(a_gpu(total=24), cpus=8.0), few], cpus_per_gpu=16, cpus_per_run=1)
    assert (share.runs, share.reason, share.measured) == (2, "by 2 CPUs for each GPU", few)


def test_a_network_has_to_fit_its_part_of_every_gpu():
    """The smaller GPU decides how many runs there are; the larger one may leave less beside its overhead."""
    small, large = a_gpu(total=10, overhead=1, peaks=(4,)), a_gpu(total=12, overhead=4, peaks=(5,))
    share = of_every_kind([small, large], cpus_per_gpu=16, cpus_per_run=1)
    assert (share.runs, share.roomier) == (2, ((large, 2),))
    assert share.memory == int(0.9 * 12 * GIB / 2) - 4 * GIB < int(0.9 * 10 * GIB / 2) - GIB


def test_machines_that_are_still_to_come_bound_the_share_by_their_cpus():
    assert of_every_kind([a_gpu(total=80)], cpus_per_gpu=3, cpus_per_run=1).runs == 3


class MadeUpMeter:
    """A device of which the allocator holds `step` bytes more with each config."""

    device = torch.device("cpu")
    name = "made up"

    def __init__(self, outside=500 * 2**20, step=100 * 2**20, others=0):
        self.outside, self.step, self.by_others, self.configs = outside, step, others, -1

    def total(self):
        return 8 * GIB

    def others(self):
        return self.by_others

    def used(self):
        return self.by_others + self.outside + self.reserved()

    def reserved(self):
        return 7

    def peak_reserved(self):
        return self.step * (self.configs + 1)

    def reset(self):
        self.configs += 1


@pytest.mark.parametrize("name", ["digits_ae", "digits_vae", "digits_classifier"])
def test_a_probe_trains_what_it_is_given_and_adds_up_its_process(name):
    space = search_spaces.get(name)
    configs = configs_to_measure(space, Context(SHAPE, 10), Limits(10**6, 8 * GIB, gpu=True), seed=0)
    assert len(configs) == 2
    measured = measure(Problem(configs, SHAPE, 10, data_bytes=1000), meter=MadeUpMeter())
    assert measured.overhead == 500 * 2**20 + 1000
    assert measured.peaks == (600 * 2**20, 700 * 2**20)
    assert (measured.gpu, measured.total) == ("made up", 8 * GIB)


def test_a_probe_does_not_take_what_others_use_for_a_need_of_its_runs():
    problem = Problem((dict(DIGITS.default),), SHAPE, 10, data_bytes=1000)
    alone = measure(problem, meter=MadeUpMeter())
    beside = measure(problem, meter=MadeUpMeter(others=5 * GIB))
    assert beside == replace(alone, others=5 * GIB)


def test_a_first_stage_is_measured_too(monkeypatch):
    space, context = search_spaces.get("digits_classifier"), Context(SHAPE, 10)
    drawn = (configs_to_measure(space, context, Limits(10**6, 8 * GIB), seed)[-1] for seed in range(50))
    two_stages = next(config for config in drawn if models.pretraining_config(config) is not None)
    stages = []
    train = Trainer.epoch
    monkeypatch.setattr(Trainer, "epoch", lambda self: (stages.append(self.config["family"]), train(self))[1])
    assert measure(Problem((two_stages,), SHAPE, 10, 0), meter=MadeUpMeter()).peaks[0]
    assert stages == ["ae", "classifier"]


def test_a_network_that_does_not_fit_is_none_and_the_others_are_measured(monkeypatch):
    def run_out(*_):
        monkeypatch.setattr(gpu_probe, "_train", lambda *_: None)
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(gpu_probe, "_train", run_out)
    measured = measure(Problem((dict(DIGITS.default),) * 2, SHAPE, 10, 0), meter=MadeUpMeter())
    assert measured.peaks[0] is None
    assert measured.peaks[1]


def test_what_the_probe_let_through_is_not_refused_for_its_part_of_the_gpu():
    """The allocator may take less than the estimate that networks are refused by: then the estimate counts."""
    config = dict(DIGITS.default)
    context = Context(SHAPE, 10)
    params = models.count_parameters(config, SHAPE, 10)
    meter = MadeUpMeter(outside=0, step=1)
    total = 3 * training_bytes(config, context, params)
    meter.total = lambda: total
    share = divided(measure(Problem((config,), SHAPE, 10, 0), meter=meter), cpus_per_gpu=16, cpus_per_run=1)
    assert share.runs == 2
    assert Limits(10**9, share.memory, gpu=True).refusal(config, context, params) is None


@pytest.fixture
def nodes(monkeypatch):
    """Return a function that plays a Ray of nodes with these GPUs, in GiB; None does not answer."""

    def play(**gpus):
        alive = [
            {"NodeID": name, "Resources": {"CPU": 8.0, "memory": 64.0 * GIB, **({"GPU": 1.0} if gib != 0 else {})}}
            for name, gib in gpus.items()
        ]
        monkeypatch.setattr(joining, "nodes", lambda: alive)
        monkeypatch.setattr(resources, "growth_of_cluster", lambda: None)
        answers = [
            SimpleNamespace(node_id=name, value=None if gib is None else [(f"{gib} GiB", gib * GIB)] * bool(gib))
            for name, gib in gpus.items()
        ]
        monkeypatch.setattr(joining, "ask_every_node", lambda *arguments, **options: answers)
        asked = []

        def run_on_node(function, problem, encoder, **options):
            asked.append((function, problem, options))
            return MeasuredGpu("played", 80 * GIB, GIB, (2 * GIB, 3 * GIB))

        monkeypatch.setattr(joining, "run_on_node", run_on_node)
        return asked

    return play


@pytest.fixture(scope="module")
def digits():
    return image_data.load("digits", image_data.default_data_dir())


def test_one_gpu_of_each_kind_is_probed_and_all_runs_ask_for_the_share_that_fits_every_kind(nodes, digits):
    asked = nodes(head=0, large=80, small=16, another=80, silent=None)
    chosen = settings()
    share = resources.of_each_run(chosen, gpu_probe.survey(chosen, digits, None))
    assert [(function, options["node_id"], options["gpus"]) for function, _, options in asked] == [
        (measure, "small", 1),
        (measure, "large", 1),
    ]
    problem = asked[0][1]
    assert problem == asked[1][1]
    assert problem.configs[0] == DIGITS.points(Context(SHAPE, 10))[0].config
    assert problem.data_bytes == 1797 * (64 + 8)
    assert (share.gpu.runs, share.gpus) == (4, 0.25)  # 0.9 * 16 GiB for runs of 3 GiB
    assert share.concurrent == 16
    assert str(share.gpu) == (
        "4 runs share a GPU: by memory; measured on played, 16.0 GiB: a run takes 3.0 GiB at most, 1.0 of it before it "
        "has a network; played, 80.0 GiB, would take 8, but a run asks for the same part of every GPU"
    )
    assert share.gpu.to_json()["measured"]["total"] == 16 * GIB


def test_a_network_larger_than_its_part_of_a_gpu_is_refused_with_the_reason(nodes, digits):
    nodes(only=16)
    chosen = settings()
    limits = resources.of_each_run(chosen, gpu_probe.survey(chosen, digits, None)).limits(None)
    assert limits.memory == int(0.9 * 16 * GIB / 4) - GIB
    large = {**DIGITS.default, "batch_size": 2**22}
    reason = limits.refusal(large, Context(SHAPE, 10), 1000)
    assert reason.endswith("GiB in training, more than the 2.6 GiB that a run has of a GPU")


def test_a_share_that_is_given_is_not_probed_but_bounds_networks(nodes, digits):
    asked = nodes(only=16)
    chosen = settings("--gpus-per-trial", "0.5")
    share = resources.of_each_run(chosen, gpu_probe.survey(chosen, digits, None))
    assert asked == []
    assert (share.gpus, share.gpu.runs) == (0.5, 2)
    assert share.limits(None).memory == int(0.9 * 16 * GIB / 2)


def test_auto_without_a_gpu_is_none_of_it(nodes, digits):
    asked = nodes(head=0)
    chosen = settings("--gpus-per-trial", "auto")
    share = resources.of_each_run(chosen, gpu_probe.survey(chosen, digits, None))
    assert asked == []
    assert (share.gpus, share.gpu) == (0.0, None)


@pytest.mark.parametrize("option", [(), ("--gpus-per-trial", "0")])
def test_gpus_that_nobody_can_measure_or_wants_are_not_probed(nodes, digits, option):
    asked = nodes(unseen=None)
    chosen = settings(*option)
    share = resources.of_each_run(chosen, gpu_probe.survey(chosen, digits, None))
    assert asked == []
    assert share.gpus == (0.0 if option else gpu_share.UNMEASURED)
    assert option or "not measured" in str(share.gpu)


def test_a_gpu_that_is_never_free_ends_the_study_with_what_to_do(nodes, digits, monkeypatch):
    nodes(only=16)

    def wait(*_, **__):
        raise TimeoutError

    monkeypatch.setattr(joining, "run_on_node", wait)
    with pytest.raises(StudyError, match=r"no whole GPU was free for a probe within 300 s; --gpus-per-trial 0\.25"):
        gpu_probe.survey(settings(), digits, None)


def test_a_studys_reported_configurations_are_what_is_measured(nodes):
    asked = nodes(only=16)
    from study.settings import command_line, resolve

    chosen = resolve.settings_of(command_line.parse(["--reported", "fashion/base", "--confirm", "1x2"]).given)
    shape = (1, 28, 28)
    played = SimpleNamespace(image_shape=shape, num_classes=10)
    for split in ("train", "val", "test"):
        arrays = SimpleNamespace(nbytes=10)
        setattr(played, split, SimpleNamespace(images=arrays, labels=arrays))
    gpu_probe.survey(chosen, played, None)
    ((_, problem, _),) = asked
    assert [config["architecture"] for config in problem.configs] == ["fashion/ae"]


# What holds a GiB of a GPU until it is killed, and says so.
_HOLDING = """
import time, torch
held = torch.empty(2**30, dtype=torch.uint8, device="cuda")
print("held", flush=True)
time.sleep(600)
"""
# What a process measures that has asked nothing of its GPU before, as the probe's.
_MEASURED = f"""
import search_spaces
from study.search.gpu_probe import Problem, measure
print(repr(measure(Problem((dict(search_spaces.get("digits_ae").default),), {SHAPE}, 10, data_bytes=2**20))))
"""


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device was found")
def test_a_real_gpu_is_measured_and_what_others_use_of_it_apart():
    def measured():
        done = subprocess.run([sys.executable, "-c", _MEASURED], capture_output=True, text=True, check=True, cwd=ROOT)
        return eval(done.stdout, {"MeasuredGpu": MeasuredGpu, "inf": math.inf})

    alone = measured()
    assert 0 < alone.overhead < alone.peaks[0] < alone.total
    with subprocess.Popen([sys.executable, "-c", _HOLDING], stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout.readline()
            beside = measured()
        finally:
            other.kill()
    assert beside.others - alone.others >= GIB
    assert abs(beside.overhead - alone.overhead) < GIB / 4
