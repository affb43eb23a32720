"""Classifiers on the encoder of an autoencoder: any architecture of the `ae` family, and a head on its codes.

Their settings are those of the autoencoder's layers and, here, where the encoder comes from: from scratch, from
an autoencoder trained first in the same run, jointly with a decoder, or given by an earlier study.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from models import ae
from models._config import TRAINING, Number, OneOf, Setting, When
from models.network import ClassifierArchitecture, Config, ImageShape

SOURCES = ("scratch", "pretrained", "joint", "given")
"""The values of `encoder`: trained with the head alone; taken from an autoencoder that a first stage of the same
run trains; trained together with a decoder; given by an earlier study."""

PRETRAINING = ("optimizer", "lr", "weight_decay", "momentum", "nesterov")
"""The training keys that the first stage has of its own, as `pretrain_…`."""

_SHAPE_LAYERS = ("latent_size", "dropout")  # of the ae family's settings: the others say how one is trained
_SHAPE_DECODERS = ("output_activation",)


def layer_settings(autoencoder: str) -> dict[str, Setting]:
    """Return the settings that shape the layers of an architecture of the `ae` family, without its training."""
    training = ae.FAMILY.settings.keys() - set(_SHAPE_LAYERS)
    settings = {**ae.FAMILY.settings, **ae.FAMILY.architectures[autoencoder].settings}
    return {key: setting for key, setting in settings.items() if key not in training}


def encoder_keys(autoencoder: str) -> list[str]:
    """Return the keys, of an architecture of the `ae` family, that an encoder's state fits only one value of."""
    return [key for key in layer_settings(autoencoder) if key not in ("dropout", *_SHAPE_DECODERS)]


def linear_head(config: Config, _image_shape: ImageShape, num_classes: int) -> nn.Module:
    """Return one linear layer from codes (batch, latent_size) to logits (batch, classes)."""
    return nn.Linear(config["latent_size"], num_classes)


def on_autoencoder(
    autoencoder: str,
    *,
    head: Callable[[Config, ImageShape, int], nn.Module] = linear_head,
    settings: Mapping[str, Setting] | None = None,
    fixed: Mapping[str, Any] | None = None,
) -> ClassifierArchitecture:
    """Return the classifier on the encoder of an architecture of the `ae` family.

    Args:
        autoencoder: its name.
        head: from codes (batch, latent_size) to logits.
        settings: the keys that the head adds.
        fixed: values of the autoencoder's config that stand in place of the classifier's.
    """
    architecture, layers, fixed = ae.FAMILY.architectures[autoencoder], layer_settings(autoencoder), dict(fixed or {})
    # A decoder that no stage trains is built and thrown away, so that any value will do for what only it has.
    any_decoder = {key: layers[key].examples()[0] for key in _SHAPE_DECODERS if key in layers}
    with_decoder = When("encoder", ("pretrained", "joint"))

    def parts(config: Config, image_shape: ImageShape) -> tuple[nn.Module, ...]:
        return architecture.parts({**any_decoder, **config, **fixed}, image_shape)

    return ClassifierArchitecture(
        parts=parts,
        settings={
            # what starts from PCA does so as an autoencoder, so it is trained as one first
            **_sources(("pretrained", "given") if architecture.starts_from_pca else SOURCES),
            **layers,
            **{key: replace(layers[key], when=with_decoder) for key in any_decoder},
            **(settings or {}),
        },
        image_shape=architecture.image_shape,
        check=architecture.check,
        head=head,
        autoencoder=autoencoder,
        fixed=fixed,
    )


def _sources(sources: tuple[str, ...]) -> dict[str, Setting]:
    settings: dict[str, Setting] = {
        "encoder": OneOf(sources),
        "encoder_training": OneOf(("fine_tuned", "frozen"), when=When("encoder", ("pretrained", "given"))),
    }
    if "joint" in sources:
        settings["reconstruction_weight"] = Number(0, open_low=True, when=When("encoder", ("joint",)))
    for key in PRETRAINING:
        condition = TRAINING[key].when
        when = When(f"pretrain_{condition.key}", condition.values) if condition else When("encoder", ("pretrained",))
        settings[f"pretrain_{key}"] = replace(TRAINING[key], when=when)
    return settings
