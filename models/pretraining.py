"""From a classifier's config to that of the autoencoder whose encoder it starts from, and the other way round."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models._config import ConfigError
from models.classifier import ARCHITECTURES
from models.encoder_classifier import PRETRAINING, encoder_keys, layer_settings


def pretraining_config(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the config of the autoencoder that a first stage trains, None for a config without such a stage.

    The autoencoder has the classifier's layers, its schedule and its batch size, and is trained plainly: on
    clean images, without penalties, by the optimizer that the `pretrain_…` keys say.
    """
    if config["family"] != "classifier" or config.get("encoder") != "pretrained":
        return None
    architecture = ARCHITECTURES[config["architecture"]]
    if architecture.autoencoder is None:
        return None
    return {
        "family": "ae",
        "architecture": architecture.autoencoder,
        **{key: config[key] for key in layer_settings(architecture.autoencoder) if key in config},
        **architecture.fixed,
        "corruption": "none",
        "sparsity": 0.0,
        "contraction": 0.0,
        **{key: config[f"pretrain_{key}"] for key in PRETRAINING if f"pretrain_{key}" in config},
        **{key: config[key] for key in ("schedule", "batch_size")},
    }


def classifier_keys(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the encoder of an autoencoder or VAE fixes in the config of a classifier on it.

    Args:
        config: the whole config of the autoencoder or VAE.

    Raises:
        ConfigError: there is no classifier on an encoder of this architecture.
    """
    on_encoder = {known.autoencoder: name for name, known in ARCHITECTURES.items() if known.autoencoder is not None}
    on_encoder["mnist_ae/vae"] = "mnist_ae/dense"  # the encoder to its mean has the same layers
    if config["family"] not in ("ae", "vae") or config["architecture"] not in on_encoder:
        raise ConfigError(
            f"no classifier stands on the encoder of {config['family']} {config['architecture']}; "
            f"there is one for {', '.join(on_encoder)}"
        )
    name = on_encoder[config["architecture"]]
    return {
        "architecture": name,
        **{key: config[key] for key in encoder_keys(ARCHITECTURES[name].autoencoder or name) if key in config},
    }
