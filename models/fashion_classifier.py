"""The classifier of the report on Fashion-MNIST: one linear layer on the encoder of `fashion/ae`.

The report puts a ReLU on the logits, a defect: a logit below 0 gets no gradient, and no class can be ruled out.
`relu_logits` keeps it as a switch.
"""

from __future__ import annotations

from torch import nn

from models._config import FLAG
from models.encoder_classifier import linear_head, on_autoencoder
from models.family import Config, ImageShape


def _head(config: Config, image_shape: ImageShape, num_classes: int) -> nn.Module:
    linear = linear_head(config, image_shape, num_classes)
    return nn.Sequential(linear, nn.ReLU()) if config["relu_logits"] else linear


ARCHITECTURE = on_autoencoder("fashion/ae", head=_head, settings={"relu_logits": FLAG})
