"""Metric learning: an embedding on the sphere, and a proxy for each class (Proxy-NCA++, Teh et al. 2020)."""

import torch
import torch.nn.functional as F
from torch import nn

import models
import search_spaces

class Embedding(models.Network):

    def __init__(self, backbone, dim, classes, temperature):
        super().__init__()
        self.backbone = backbone
        self.proxies = nn.Parameter(torch.randn(classes, dim))
        self.temperature = temperature

    def embed(self, x):
        return F.normalize(self.backbone(x).float(), dim=1)

    def forward(self, x):
        # minus the squared distance to each proxy, as logits
        p = F.normalize(self.proxies, dim=1)
        return (2 * self.embed(x) @ p.T - 2) / self.temperature

    def probabilities(self, images):
        return self(images).softmax(1)

    def training_loss(self, images, labels):
        logits = self(images)
        loss = F.cross_entropy(logits, labels)
        acc = (logits.argmax(1) == labels).float().mean()
        return loss, {"proxy_nca": loss.detach(), "accuracy": acc}

    @torch.no_grad()
    def per_image(self, images, labels, indices):
        return {"log_probabilities": self(images).log_softmax(1), "labels": labels}

    def metrics(self, values):
        logp, labels = values["log_probabilities"], values["labels"]
        return {"accuracy": (logp.argmax(1) == labels).double().mean().item(),
                "cross_entropy": F.nll_loss(logp, labels).item()}


def resnetish(config, image_shape):
    c, h, w = image_shape
    layers = [nn.Conv2d(c, config["channels"], 3, padding=1), nn.ReLU()]
    if config["pool"] == "max": layers += [nn.MaxPool2d(2), nn.Flatten(), nn.Linear(config["channels"] * (h // 2) * (w // 2), config["embedding"])]
    else: layers += [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(config["channels"] * 4, config["embedding"])]
    return nn.Sequential(*layers),


def two_pixels(config, image_shape):
    if min(image_shape[1:]) < 2:
        raise models.ConfigError("proxies needs images of 2 pixels a side")


def assemble(architecture, config, image_shape, num_classes):
    backbone, = architecture.parts(config, image_shape)
    return Embedding(backbone, config["embedding"], num_classes, config["temperature"])


FAMILY = models.Family(
    settings={"embedding": models.Number(2, whole=True), "temperature": models.Number(0.001)},
    architectures={"proxies": models.Architecture(resnetish, {"channels": models.Number(1, whole=True), "pool": models.OneOf(("max", "mean"))}, check=two_pixels)},
    assemble=assemble)


def search(ask, context, reported):
    ask.fix(architecture="proxies")
    ask.integer("embedding", (4, 64), log=True)
    ask.integer("channels", (4, 32), log=True)
    ask.choice("pool", ("max", "mean"))
    ask.number("temperature", (0.05, 1.0), log=True)
    search_spaces.training(ask, (16, 64), search_spaces.CROSS_ENTROPY)


SPACE = search_spaces.Space(
    data=search_spaces.datasets()["digits"], family="metric_learning", description="Proxy-NCA on digits",
    facts=search_spaces.FamilyFacts("val_accuracy", ("val_cross_entropy",), baseline="linear_classifier", compared="test_accuracy"),
    trials=4, epochs=3, search=search,
    default=dict(family="metric_learning", architecture="proxies", embedding=16, channels=16, pool="max", temperature=0.2,
                 optimizer="adam", lr=3e-3, weight_decay=0.0, decay="weights", schedule="cosine", batch_size=32))
