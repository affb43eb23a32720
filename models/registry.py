"""The families by name, and `build`: from a flat config to a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from models import ae, classifier, vae
from models._config import TRAINING, ConfigError, OneOf, Setting, check_config, choose, with_absent
from models.network import Architecture, Family, ImageShape, Network

T = TypeVar("T")

BUILT_IN: Mapping[str, Family] = MappingProxyType(
    {
        "ae": ae.FAMILY,
        "vae": vae.FAMILY,
        "classifier": classifier.FAMILY,
    }
)
_families = dict(BUILT_IN)
FAMILIES: Mapping[str, Family] = MappingProxyType(_families)
"""The built-in ones and, where a person's own file is in use (`models.own`), what that adds."""


def extend(added: Mapping[str, Family]) -> None:
    """Let families count beside the built-in ones or in their place, and no others that were added before."""
    _families.clear()
    _families.update({**BUILT_IN, **added})


def is_built_in(config: Mapping[str, Any]) -> bool:
    """Return whether the config's family and architecture are of this package, not of a person's own file."""
    family = BUILT_IN.get(config["family"])
    return family is not None and config["architecture"] in family.architectures


def settings_of(family: str, architecture: str) -> dict[str, Setting]:
    """Return every key that a config of this architecture may have, with the values it takes."""
    chosen = FAMILIES[family]
    return {
        "family": OneOf((family,)),
        "architecture": OneOf((architecture,)),
        **chosen.settings,
        **chosen.architectures[architecture].settings,
        **TRAINING,
    }


def starts_from_pca(config: Mapping[str, Any]) -> bool:
    """Return whether the config's network has to be given PCA's axes before it trains, by `start_from_pca`.

    Raises:
        ConfigError: the config names no family or no architecture of it.
    """
    family = choose(config, "family", FAMILIES)
    architecture: Architecture = choose(config, "architecture", family.architectures)
    return architecture.starts_from_pca


def completed(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config with what its missing keys mean: those that an earlier version did not have.

    Raises:
        ConfigError: an unknown or missing key, or a value outside its bounds.
    """
    family = choose(config, "family", FAMILIES)
    choose(config, "architecture", family.architectures)
    name = config["architecture"]
    settings = settings_of(config["family"], name)
    complete = with_absent(config, settings)
    check_config(complete, settings, f"architecture {name}")
    return complete


def build(config: Mapping[str, Any], image_shape: ImageShape, num_classes: int) -> Network:
    """Build the network that a flat config describes, freshly initialised, in training mode.

    Args:
        config: the whole config, training keys included; it is checked before anything is built.
        image_shape: (channels, height, width) of the images, in pixels.
        num_classes: classes of the data set; an autoencoder does not use it.

    Raises:
        ConfigError: an unknown or missing key, a value outside its bounds, or an image shape that the
            architecture cannot take; the message names it and what is allowed.
    """
    config = completed(config)
    family = FAMILIES[config["family"]]
    architecture = family.architectures[config["architecture"]]
    if len(image_shape) != 3 or any(not isinstance(size, int) or size < 1 for size in image_shape):
        raise ConfigError(f"image_shape must be (channels, height, width), not {tuple(image_shape)}")
    architecture.check_shape(config, image_shape)
    return family.assemble(architecture, config, image_shape, num_classes)


def count_parameters(config: Mapping[str, Any], image_shape: ImageShape, num_classes: int) -> int:
    """Count the parameters of `build(config, ...)`, frozen ones included, without allocating them.

    A network that is too large for the memory can be counted.
    """
    network = build_without_memory(config, image_shape, num_classes)
    return sum(parameter.numel() for parameter in network.parameters())


def build_without_memory(config: Mapping[str, Any], image_shape: ImageShape, num_classes: int) -> Network:
    """Build a network as `build` does, on PyTorch's meta device and without initial weights.

    A user's own code that looks at values while it builds is built in memory.
    """

    def on_meta() -> Network:
        with torch.device("meta"), ShapesAlone():
            return build(config, image_shape, num_classes)

    return without_values(config, on_meta, lambda: build(config, image_shape, num_classes))


def without_values(config: Mapping[str, Any], on_meta: Callable[[], T], in_memory: Callable[[], T]) -> T:
    """Return `on_meta()`; where a user's own code looks at values, of which there are none there, `in_memory()`.

    Raises:
        ConfigError: either does.
    """
    try:
        return on_meta()
    except ConfigError:
        raise
    except Exception:
        if is_built_in(config):
            raise
        return in_memory()


class ShapesAlone(TorchFunctionMode):
    """Answers in PyTorch's place where no values are wanted, for tensors on the meta device.

    What `torch.nn.init` is asked to fill stays as it is; what is calculated from element to element is an empty tensor
    of the shape that comes out, and so is a product with a weight. PyTorch would import its compiler for these, or half
    a second of it, and takes seconds.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return named["tensor"] if "tensor" in named else args[0]
        tensors = [argument for argument in args if isinstance(argument, Tensor) and argument.is_meta]
        if getattr(func, "__name__", "") in _ELEMENTWISE and tensors:
            # Not by broadcast_shapes, which imports half a second of PyTorch's compiler.
            spread = torch.broadcast_tensors(*tensors)[0]  # type: ignore[no-untyped-call]
            return tensors[0].new_empty(spread.shape)
        if getattr(func, "__name__", "") == "linear" and len(args) == len(tensors) == 2:  # without a bias
            inputs, weight = tensors
            if inputs.shape[-1] == weight.shape[-1]:
                return inputs.new_empty((*inputs.shape[:-1], len(weight)))
        return func(*args, **named)


_ELEMENTWISE = {
    *("add", "sub", "__rsub__", "mul", "div", "__rdiv__"),
    *("clamp", "exp", "sigmoid", "softmax", "where", "abs", "lt", "tanh"),
}
