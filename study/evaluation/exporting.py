"""Networks in the formats of other programs, each read back and compared with the network before it counts."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor, nn

import models
from models import Network, Predictive, Reconstructive
from study.record import files
from study.record.errors import UsageError, first_line

TOLERANCE = 1e-5
"""By which outputs may differ from the network's, in units of the largest of them or of 1, whichever is more."""

_OF_CLASSIFIER, _OF_AUTOENCODER = ("probabilities",), ("reconstructions", "codes")
"""The names of the outputs."""

_COMPARED = 5  # images; the network is traced with another number of them


@dataclass(frozen=True)
class Format:
    """How networks are written to files of one kind, and read from them.

    Attributes:
        ending: of the files.
        write: a network, images to trace it with, the file, and what the file is to say of it.
        outputs: of a file for images, by name.
    """

    ending: str
    write: Callable[[Outputs, Tensor, Path, Mapping[str, str]], None]
    outputs: Callable[[Path, Tensor], dict[str, Tensor]]


class Outputs(nn.Module):
    """What a network is asked by others: images in [0, 1] to probabilities, or to reconstructions and codes.

    Raises:
        UsageError: it has neither.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.names = _names(network)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs, in the order of `names`, for images (batch, channels, height, width)."""
        network: object = self.network
        if isinstance(network, Predictive):
            return (network.probabilities(images),)
        assert isinstance(network, Reconstructive)
        return self.network(images), network.encode(images)


def _names(network: Network) -> list[str]:
    if isinstance(network, Predictive):
        return [*_OF_CLASSIFIER]
    if isinstance(network, Reconstructive):
        return [*_OF_AUTOENCODER]
    raise UsageError(f"a network of the class {type(network).__name__} has neither probabilities nor codes to export")


def export(
    network: Network, image_shape: tuple[int, int, int], kind: str, path: Path, about: Mapping[str, str]
) -> float:
    """Write a network to a file, and return by how much the file's outputs differ from its own, see `TOLERANCE`.

    Args:
        network: In evaluation mode, on the CPU.
        image_shape: (channels, height, width) of its images.
        kind: One of `FORMATS`.
        path: The file; there is none, or the one from before, where this raises.
        about: What the file is to say of the network.

    Raises:
        UsageError: the network cannot be written so, or what was written gives something else.
    """
    form, outputs = FORMATS[kind], Outputs(network).eval()
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(_COMPARED, *image_shape, generator=generator)
    worst = 0.0

    def produce(part: Path) -> None:
        nonlocal worst
        try:
            with _quiet():
                form.write(outputs, images[:2], part, about)
                found = form.outputs(part, images)
        except Exception as error:  # the exporters raise whatever the first thing is that they do not know
            raise UsageError(f"--to {kind}: this network cannot be exported: {first_line(error)}") from error
        with torch.inference_mode():
            expected = dict(zip(outputs.names, outputs(images), strict=True))
        worst = max(_difference(found[name], wanted) for name, wanted in expected.items())
        if not worst <= TOLERANCE:
            raise UsageError(f"--to {kind}: what was written differs from the network by {worst:.1e}; it is not kept")

    files.write(path, produce)
    return worst


def _difference(found: Tensor, wanted: Tensor) -> float:
    return ((found - wanted).abs().max() / wanted.abs().max().clamp(min=1)).item()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters' own remarks off the terminal: none is news to the user."""
    names = ("torch.onnx", "onnxscript", "onnx_ir")
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def _program(outputs: Outputs, images: Tensor) -> torch.export.ExportedProgram:
    batch = {"images": {0: torch.export.Dim("batch", min=1)}}
    return torch.export.export(outputs, (images,), dynamic_shapes=batch)


def _write_program(outputs: Outputs, images: Tensor, path: Path, about: Mapping[str, str]) -> None:
    with path.open("wb") as file:  # a path has to end with .pt2
        torch.export.save(_program(outputs, images), file, extra_files={"about.json": json.dumps(dict(about))})


def _program_outputs(path: Path, images: Tensor) -> dict[str, Tensor]:
    with path.open("rb") as file:
        program = torch.export.load(file)
    found = program.module()(images)
    return dict(zip(_OF_CLASSIFIER if len(found) == 1 else _OF_AUTOENCODER, found, strict=True))


def _write_onnx(outputs: Outputs, images: Tensor, path: Path, about: Mapping[str, str]) -> None:
    import onnx

    program = torch.onnx.export(
        _program(outputs, images), dynamo=True, input_names=["images"], output_names=outputs.names, verbose=False
    )
    assert program is not None
    model = program.model_proto
    for name, value in about.items():
        model.metadata_props.add(key=name, value=value)
    onnx.save(model, path)


def _onnx_outputs(path: Path, images: Tensor) -> dict[str, Tensor]:
    import onnxruntime

    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    found = session.run(names, {"images": images.numpy()})
    return {name: torch.from_numpy(value) for name, value in zip(names, found, strict=True)}


def _write_weights(outputs: Outputs, images: Tensor, path: Path, about: Mapping[str, str]) -> None:
    from safetensors.torch import save_file

    state = {name: value.detach().clone().contiguous() for name, value in outputs.network.state_dict().items()}
    save_file(state, path, metadata=dict(about))


def _weights_outputs(path: Path, images: Tensor) -> dict[str, Tensor]:
    from safetensors import safe_open
    from safetensors.torch import load_file

    with safe_open(path, framework="pt") as file:
        about = file.metadata()
    shape = tuple(json.loads(about["image_shape"]))
    network = models.build(json.loads(about["config"]), shape, len(json.loads(about["classes"])))
    network.load_state_dict(load_file(path))
    outputs = Outputs(network).eval()
    with torch.inference_mode():
        return dict(zip(outputs.names, outputs(images), strict=True))


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "onnx": Format(".onnx", _write_onnx, _onnx_outputs),
        "torch.export": Format(".pt2", _write_program, _program_outputs),
        "safetensors": Format(".safetensors", _write_weights, _weights_outputs),
    }
)
