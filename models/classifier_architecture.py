"""What an architecture of a classifier is: the layers up to the features, and a head from them to the logits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from models.family import Architecture, Config, ImageShape


@dataclass(frozen=True, kw_only=True)
class ClassifierArchitecture(Architecture):
    """An architecture of the classifier family.

    `parts` returns the network up to its features, and for one on an autoencoder's encoder the decoder beside
    it. `head(config, image_shape, num_classes)` returns the rest, from features to logits (batch, classes).
    `autoencoder` names the autoencoder whose encoder it stands on, None for one that has none; `fixed` are
    values of that autoencoder's config which the classifier's own does not say.
    """

    head: Callable[[Config, ImageShape, int], nn.Module]
    autoencoder: str | None = None
    fixed: Mapping[str, Any] = field(default_factory=dict)
