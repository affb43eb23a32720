"""How many epochs the stages of a run get."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import models
from search_spaces import Reported, Space


@dataclass(frozen=True)
class Budget:
    """Epochs of the last stage, and of the first one where there is one."""

    epochs: int
    pretrain_epochs: int = 0


def searched(config: Mapping[str, Any], space: Space, epochs: int) -> Budget:
    """Return the budget of a config of a search; a study of few epochs has as few in a first stage."""
    two_stages = models.pretraining_config(config) is not None
    return Budget(epochs, min(space.pretrain_epochs, epochs) if two_stages else 0)


def reported(entry: Reported, most: int) -> Budget:
    """Return a report's own budget, no stage of which has more than `most` epochs."""
    *first, last = (min(epochs, most) for epochs in entry.epochs)
    return Budget(last, sum(first))
