"""Networks by family: `build` one from a flat config, `save` and `load` it, `count_parameters` unbuilt.

A family is one file here and one line of `registry.FAMILIES`; an architecture is one line of its family.
Imports PyTorch only.
"""

from models._config import ConfigError
from models.checkpoint import load, save
from models.network import Network
from models.registry import FAMILIES, TRAINING, build, count_parameters

__all__ = ["FAMILIES", "TRAINING", "ConfigError", "Network", "build", "count_parameters", "load", "save"]
