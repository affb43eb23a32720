"""Networks by family: `build` one from a flat config, `save` and `load` it, `count_parameters` unbuilt.

A family is one file here and one line of `registry.BUILT_IN`; an architecture is one line of its family. A person's
own file adds others (`models.own`), made of what is named here. Imports PyTorch only.
"""

from models._config import FLAG, TRAINING, ConfigError, Number, OneOf
from models._layers import Dropout
from models.checkpoint import Description, describe, load, save
from models.classifier import classifier_keys, pretraining_config
from models.footprint import activations as count_activations
from models.network import (
    Architecture,
    ClassifierArchitecture,
    Corruptive,
    Family,
    Generative,
    Network,
    Predictive,
    Reconstructive,
)
from models.own import UntrustedCodeError, autoencoder
from models.registry import FAMILIES, build, completed, count_parameters, starts_from_pca

__all__ = [
    "FAMILIES",
    "FLAG",
    "TRAINING",
    "Architecture",
    "ClassifierArchitecture",
    "ConfigError",
    "Corruptive",
    "Description",
    "Dropout",
    "Family",
    "Generative",
    "Network",
    "Number",
    "OneOf",
    "Predictive",
    "Reconstructive",
    "UntrustedCodeError",
    "autoencoder",
    "build",
    "classifier_keys",
    "completed",
    "count_activations",
    "count_parameters",
    "describe",
    "load",
    "pretraining_config",
    "save",
    "starts_from_pca",
]
