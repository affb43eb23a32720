"""Whether a network fits, estimated before it is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import models
from search_spaces import Context

_FLOAT = 4  # bytes
# For each parameter: the weight, its gradient and an optimizer's two moments.
_PER_PARAMETER = 4
# Of one that is trained together with others: stacked as above, and in a network and an optimizer of its own besides.
_PER_FUSED_PARAMETER = 7
# For each value of a layer's output: itself, kept for the backward pass, and its gradient.
_PER_ACTIVATION = 2


@dataclass(frozen=True)
class Limits:
    """What a network may need: its number of parameters, and the memory of a run in training, in bytes.

    `gpu` says that it is a GPU's memory.
    """

    max_params: int
    memory: int
    gpu: bool = False

    def refusal(self, config: Mapping[str, Any], context: Context, params: int) -> str | None:
        """Return why a network is too large, None if it is not."""
        if params > self.max_params:
            return f"{params:,} parameters, more than --max-params {self.max_params:,}"
        needed = training_bytes(config, context, params)
        if needed > self.memory:
            has = f"the {_gib(self.memory)} GiB that a run has{' of a GPU' if self.gpu else ''}"
            return f"about {_gib(needed)} GiB in training, more than {has}"
        return None

    def replicates(self, config: Mapping[str, Any], context: Context, params: int) -> int:
        """Return how many replicates of a network can be trained together, at least 1; an estimate as in `refusal`."""
        return max(1, self.memory // training_bytes(config, context, params, per_parameter=_PER_FUSED_PARAMETER))


def training_bytes(
    config: Mapping[str, Any], context: Context, params: int, *, per_parameter: int = _PER_PARAMETER
) -> int:
    """Return the bytes that training takes: weights, gradients, two moments, a batch's outputs of all layers.

    An estimate: what a library needs besides, and frees in between, is not known before.
    """
    values: int = models.count_activations(config, context.image_shape, context.num_classes) * config["batch_size"]
    return _FLOAT * (per_parameter * params + _PER_ACTIVATION * values)


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f}"
