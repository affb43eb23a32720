"""How much a network's layers put out, for an estimate of the memory that its training takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from models._layers import ACTIVATIONS, Centre, Dropout
from models.network import ImageShape
from models.registry import ShapesAlone, build, build_without_memory, without_values


def activations(config: Mapping[str, Any], image_shape: ImageShape, num_classes: int) -> int:
    """Count the values that the outputs of all layers hold for one image in a forward pass, allocating none.

    A layer is a module without modules in it; one that only reshapes counts too, so the number is an estimate
    from above. A decoder that a classifier is trained with jointly is counted as well. Takes milliseconds.

    Raises:
        ConfigError: as `build`.
    """
    counted = partial(_on, config=config, image_shape=image_shape, num_classes=num_classes)
    return without_values(config, partial(counted, "meta"), partial(counted, "cpu"))  # in memory with two images


def _on(device: str, config: Mapping[str, Any], image_shape: ImageShape, num_classes: int) -> int:
    real = device != "meta"
    network = (build if real else build_without_memory)(config, image_shape, num_classes).eval()
    images = (torch.zeros if real else torch.empty)(2, *image_shape, device=device)
    for layer in () if real else _layers(network):
        shape_of = _SHAPES.get(type(layer))
        if shape_of is not None:
            layer.forward = partial(_put_out, shape_of, layer)
    decoder = network.get_submodule("decoder") if config.get("encoder") == "joint" else None
    with torch.inference_mode(), ShapesAlone():
        values = _values(network, images)
        if decoder is not None:
            values += _values(decoder, network.get_submodule("encoder")(images))
    return values // len(images)


def _values(part: nn.Module, inputs: Tensor) -> int:
    sizes: list[int] = []
    hooks = [
        layer.register_forward_hook(lambda _layer, _inputs, output: sizes.append(output.numel()))
        for layer in _layers(part)
    ]
    part(inputs)
    for hook in hooks:
        hook.remove()
    return sum(sizes)


def _layers(part: nn.Module) -> Iterable[nn.Module]:
    return (layer for layer in part.modules() if not any(layer.children()))


# PyTorch's own functions on the meta device find every shape too. Their first use imports its compiler, which takes
# two seconds, and a pass takes 30 ms: so the layers that networks are made of say theirs here, and `ShapesAlone` says
# those of what they calculate beside them.
_Shape = tuple[int, ...]


def _put_out(shape_of: Callable[[Any, _Shape], _Shape], layer: nn.Module, inputs: Tensor) -> Tensor:
    return inputs.new_empty(shape_of(layer, tuple(inputs.shape)))


def _same(_layer: nn.Module, shape: _Shape) -> _Shape:
    return shape


def _linear(layer: nn.Linear, shape: _Shape) -> _Shape:
    return (*shape[:-1], layer.out_features)


def _convolution(layer: nn.Conv2d, shape: _Shape) -> _Shape:
    if isinstance(layer.padding, str):  # "same": PyTorch allows it for a stride of 1 only
        return (shape[0], layer.out_channels, *shape[2:])
    sizes = zip(shape[2:], layer.kernel_size, layer.stride, layer.padding, strict=True)
    return (shape[0], layer.out_channels, *((n + 2 * pad - kernel) // step + 1 for n, kernel, step, pad in sizes))


def _transposed(layer: nn.ConvTranspose2d, shape: _Shape) -> _Shape:
    kernels, steps, extras = layer.kernel_size, layer.stride, layer.output_padding
    height, width = (
        (n - 1) * steps[i] - 2 * int(layer.padding[i]) + kernels[i] + extras[i] for i, n in enumerate(shape[2:])
    )
    return (shape[0], layer.out_channels, height, width)


def _pool(layer: nn.MaxPool2d | nn.AvgPool2d, shape: _Shape) -> _Shape:
    settings = (layer.kernel_size, layer.stride, layer.padding)
    # the networks' poolings are square, and round down
    kernel, step, pad = (value if isinstance(value, int) else value[0] for value in settings)
    return (*shape[:2], *((n + 2 * pad - kernel) // step + 1 for n in shape[2:]))


def _mean(layer: nn.AdaptiveAvgPool2d, shape: _Shape) -> _Shape:
    asked = layer.output_size if isinstance(layer.output_size, tuple) else (layer.output_size,) * 2
    return (*shape[:2], *(has if wants is None else wants for wants, has in zip(asked, shape[2:], strict=True)))


_SHAPES: dict[type[nn.Module], Callable[[Any, _Shape], _Shape]] = {
    **dict.fromkeys(ACTIVATIONS.values(), _same),
    **dict.fromkeys((nn.Sigmoid, nn.Identity, Dropout, nn.BatchNorm1d, nn.BatchNorm2d, Centre), _same),
    nn.Linear: _linear,
    nn.Conv2d: _convolution,
    nn.ConvTranspose2d: _transposed,
    nn.MaxPool2d: _pool,
    nn.AvgPool2d: _pool,
    nn.AdaptiveAvgPool2d: _mean,
}
