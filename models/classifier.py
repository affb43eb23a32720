"""The classifier family: networks of their own, and heads on the encoder of every autoencoder."""

from __future__ import annotations

from collections.abc import Mapping

from models import ae, cifar_cnn, cnn, fashion_classifier, flowers_classifier
from models._augmentation import AUGMENTATIONS
from models._config import FLAG, Interval, OneOf
from models.classifier_architecture import ClassifierArchitecture
from models.classifier_network import Classifier
from models.encoder_classifier import on_autoencoder
from models.family import Architecture, Config, Family, ImageShape
from models.network import Network

_REPORTED_HEADS = {
    "fashion/classifier": fashion_classifier.ARCHITECTURE,
    "flowers/classifier": flowers_classifier.ARCHITECTURE,
}
_WITH_REPORTED_HEAD = {architecture.autoencoder for architecture in _REPORTED_HEADS.values()}

ARCHITECTURES: Mapping[str, ClassifierArchitecture] = {
    "cnn": cnn.ARCHITECTURE,
    **cifar_cnn.ARCHITECTURES,
    **{name: on_autoencoder(name) for name in ae.FAMILY.architectures if name not in _WITH_REPORTED_HEAD},
    **_REPORTED_HEADS,
}


def _assemble(architecture: Architecture, config: Config, image_shape: ImageShape, num_classes: int) -> Network:
    if not isinstance(architecture, ClassifierArchitecture):
        raise TypeError(f"{architecture} has no head")
    encoder, *decoder = architecture.parts(config, image_shape)
    return Classifier(
        encoder,
        architecture.head(config, image_shape, num_classes),
        augmentation=config["augmentation"],
        label_smoothing=config["label_smoothing"],
        double_softmax=config["double_softmax"],
        decoder=decoder[0] if config.get("encoder") == "joint" else None,
        reconstruction_weight=config.get("reconstruction_weight", 0.0),
        frozen=config.get("encoder_training") == "frozen",
    )


FAMILY = Family(
    settings={
        "dropout": Interval(0, 1, open_high=True),
        "label_smoothing": Interval(0, 1, open_high=True),
        "augmentation": OneOf(tuple(AUGMENTATIONS)),
        "double_softmax": FLAG,
    },
    architectures=ARCHITECTURES,
    assemble=_assemble,
)
