"""The space of CIFAR-10's classifiers, with two blocks a stage, SGD and one cycle of its rate, to try first."""

from dataclasses import replace

import search_spaces

SHIPPED = search_spaces.get("cifar_classifier")
FIRST = {
    "blocks": 2,
    "dropout": 0.0,
    "optimizer": "sgd",
    "momentum": 0.9,
    "nesterov": True,
    "lr": 0.1,
    "weight_decay": 5e-4,
    "schedule": "one_cycle",
}
SPACE = replace(SHIPPED, default={**SHIPPED.default, **FIRST}, reported={})
