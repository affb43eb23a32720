"""A small config of any architecture, and the network and images to try it with."""

from __future__ import annotations

from typing import Any

import torch

import models
from models.registry import settings_of


def example(family: str, architecture: str, /, **overrides: Any) -> dict[str, Any]:
    """A small valid config of any architecture, read from its settings; conditional keys where they belong."""
    config = dict(overrides)
    settings = settings_of(family, architecture)
    waiting = dict(settings)
    while waiting:
        ready = [key for key, setting in waiting.items() if setting.when is None or setting.when.key not in waiting]
        assert ready, f"keys that wait for each other: {', '.join(waiting)}"
        for key in ready:
            setting = waiting.pop(key)
            if setting.when is None or config.get(setting.when.key) in setting.when.values:
                config.setdefault(key, {"width": 8, "latent_size": 5}.get(key, setting.examples()[0]))
                if not setting.allows(config[key]):
                    config[key] = setting.examples()[0]
    return {key: config[key] for key in [*settings, *overrides] if key in config}


def build(config: dict[str, Any], shape: tuple[int, int, int] = (3, 32, 32)) -> Any:
    """The config's network, the same at every call."""
    torch.manual_seed(0)
    return models.build(config, shape, num_classes=10)


def images_of(shape: tuple[int, int, int], batch: int) -> torch.Tensor:
    """Random images (batch, channels, height, width) in [0, 1], the same at every call."""
    return torch.rand(batch, *shape, generator=torch.Generator().manual_seed(1))
