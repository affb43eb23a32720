"""The part of every config that says how to train: checked here, used by the training loop alone."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from models._config import Interval, OneOf, Setting, When

TRAINING: Mapping[str, Setting] = MappingProxyType(
    {
        "optimizer": OneOf(("adam", "adamw", "sgd", "adagrad", "rmsprop")),
        "lr": Interval(0, open_low=True),
        "weight_decay": Interval(0),
        "momentum": Interval(0, 1, open_high=True, when=When("optimizer", ("sgd", "rmsprop"))),
        "schedule": OneOf(("constant", "cosine")),
        "batch_size": Interval(1, whole=True),
    }
)
