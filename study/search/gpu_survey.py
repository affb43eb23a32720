"""The GPUs of the joined Ray, measured before a study begins."""

from __future__ import annotations

from typing import Any

import ray

import search_spaces
from search_spaces import Context
from study.cluster import every_node, gpu_share, joining
from study.cluster.gpu_share import Measured
from study.cluster.memory import Limits
from study.data.image_data import ImageData
from study.record.errors import StudyError
from study.record.settings import Settings
from study.search import gpu_probe
from study.settings.resolve import selected, space_context
from study.training.encoder_source import EncoderSource
from study.training.execution import Execution

_ANSWER_SECONDS = 120.0  # that a node may take to start a worker process and import PyTorch
_PROBE_SECONDS = 300.0  # that a probe may take, and wait until another study leaves it a whole GPU


def survey(settings: Settings, data: ImageData, encoder: EncoderSource | None) -> Measured | None:
    """Measure what the study's runs take of the smallest GPU that is up; None where there is or shall be none.

    Nodes that an autoscaler brings later are not waited for. A share that is given is taken as it is: only the memory
    of the smallest GPU is asked for.

    Raises:
        Interrupted: a signal has come.
        StudyError: no whole GPU has become free in time.
    """
    if settings.gpus_per_trial == 0 or not any(node["Resources"].get("GPU") for node in every_node.nodes()):
        return None
    # Ray hides the GPUs from a task that asks for none, unless it is told not to.
    env = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    answers = every_node.ask(gpu_probe.gpu_memories, seconds=_ANSWER_SECONDS, env=env)
    memories = {answer.node_id: min(answer.value) for answer in answers if answer.value}
    if not memories:
        return None  # Ray lends GPUs that PyTorch does not see
    node_id, smallest = min(memories.items(), key=lambda node: node[1])
    if settings.gpus_per_trial is not None:
        return Measured("the smallest GPU", smallest, 0, ())
    context = space_context(settings, data.image_shape, data.num_classes, encoder.keys if encoder else None)
    configs = _configs(settings, context, smallest)
    splits = (data.train, data.val, data.test)
    data_bytes = sum(array.nbytes for split in splits for array in (split.images, split.labels))
    state = None if encoder is None else ray.put(encoder.state)
    problem = gpu_probe.Problem(
        configs, data.image_shape, data.num_classes, data_bytes, Execution(settings.precision, settings.compile)
    )
    try:
        measured = joining.run_on_node(
            gpu_probe.measure, problem, state, cpus=0, gpus=1, node_id=node_id, seconds=_PROBE_SECONDS
        )
    except TimeoutError:
        asked = "--gpus-per-trial 0.25, or another share, begins without measuring"
        raise StudyError(f"no whole GPU was free for a probe within {_PROBE_SECONDS:g} s; {asked}") from None
    return gpu_share.of_the_smallest(measured, smallest)


def _configs(settings: Settings, context: Context, gpu_bytes: int) -> tuple[dict[str, Any], ...]:
    space = search_spaces.get(settings.space)
    memory = int(gpu_share.GIVEN_OUT * gpu_bytes)
    limits = Limits(settings.max_params or memory // 2 // 16, memory, gpu=True)
    if settings.reported:
        entries = selected(settings.reported, space.name).values()
        return gpu_probe.largest([entry.config for entry in entries], context, limits)
    return gpu_probe.configs_to_measure(space, context, limits, settings.seed)
