"""Networks by family: `build` one from a flat config, `save` and `load` it, `count_parameters` unbuilt.

A family is one file here and one line of `registry.FAMILIES`; an architecture is one line of its family.
Imports PyTorch only.
"""

from models._config import TRAINING, ConfigError
from models.checkpoint import Description, describe, load, save
from models.classifier import classifier_keys, pretraining_config
from models.footprint import activations as count_activations
from models.network import Corruptive, Generative, Network, Predictive, Reconstructive
from models.registry import FAMILIES, build, count_parameters, starts_from_pca

__all__ = [
    "FAMILIES",
    "TRAINING",
    "ConfigError",
    "Corruptive",
    "Description",
    "Generative",
    "Network",
    "Predictive",
    "Reconstructive",
    "build",
    "classifier_keys",
    "count_activations",
    "count_parameters",
    "describe",
    "load",
    "pretraining_config",
    "save",
    "starts_from_pca",
]
