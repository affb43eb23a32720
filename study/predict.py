"""Ask a trained network about images: a classifier for their classes, an autoencoder for their reconstructions.

Examples:
    python study/predict.py --model results/ladder/best cat.jpg frog.png
    python study/predict.py --model results/codes/best cat.jpg --out pictures
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __package__ in (None, ""):
    # Run as a file: look for modules in the repository, not in this folder, where they would hide others.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from study.record.commands import exit_status
from study.record.errors import UsageError, choose_from
from study.settings.values import Parser, integer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from models import Network, Predictive

TOP = 5
OUT = Path("predictions")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, 2 for unusable input, 130 when interrupted."""
    return exit_status(lambda: _run(_parse(sys.argv[1:] if argv is None else argv)))


def _run(options: argparse.Namespace) -> None:
    from models import Predictive
    from models.checkpoint import describe
    from study.data.input_image import read_for

    model = _load(options.model)
    described = describe(options.model)
    if isinstance(model, Predictive) and options.out is not None:
        raise UsageError(f"--out is for the pictures of an autoencoder; {options.model} is a classifier")
    if not isinstance(model, Predictive) and options.top is not None:
        raise UsageError(f"--top is for a classifier; {options.model} is an autoencoder, which has no classes")
    images = [(path, read_for(described, path)) for path in options.images]
    if isinstance(model, Predictive):
        names = _class_names(options.model, described.num_classes)
        for path, image in images:
            print(_headline(path, image))
            for name, probability in _top_classes(model, image, names, options.top or TOP):
                print(f"  {100 * probability:8.4f} %  {name}")
        return
    files = _picture_files(options.images, options.out or OUT)
    for (path, image), file in zip(images, files, strict=True):
        print(f"{_headline(path, image)}  MSE {_reconstruct(model, image, file):.6f}  {file}")


def _headline(path: Path, image: NDArray[np.uint8]) -> str:
    """Name the image and the size, width × height, that the network gets it in."""
    return f"{path}  {image.shape[2]}×{image.shape[1]}"


def _top_classes(
    model: Predictive, image: NDArray[np.uint8], names: Sequence[str], top: int
) -> list[tuple[str, float]]:
    """Return the `top` most probable classes of an image, uint8 (channels, height, width), the likeliest first."""
    import torch

    from study.data.tensors import to_pixels

    with torch.inference_mode():
        probabilities = model.probabilities(to_pixels(torch.tensor(image)[None]))[0]
    ordered = probabilities.double().sort(descending=True, stable=True)
    return [(names[index], p) for p, index in zip(ordered.values.tolist(), ordered.indices.tolist(), strict=True)][:top]


def _reconstruct(model: Network, image: NDArray[np.uint8], file: Path) -> float:
    """Write the image beside its reconstruction, and return the square error per pixel on [0, 1]."""
    import numpy as np
    import torch

    from study.data.tensors import to_bytes, to_pixels
    from study.evaluation.pictures import ImageRow, draw_rows
    from study.record import files as atomic

    with torch.inference_mode():
        pixels = to_pixels(torch.tensor(image)[None])
        reconstruction: Tensor = model(pixels).float()
        mse = (reconstruction - pixels).square().mean().item()
        shown = to_bytes(reconstruction[0]).numpy()
    picture = draw_rows([ImageRow(np.stack([image, shown]), captions=("original", "reconstruction"))], side=128)
    try:
        atomic.write(file, lambda part: picture.save(part, format="PNG"))
    except OSError as error:
        raise UsageError(f"'{file}' cannot be written: {error.strerror}; name another folder with --out") from error
    return mse


def _picture_files(images: Sequence[Path], folder: Path) -> list[Path]:
    """Return a file in `folder` for the picture of each image; images of one name are numbered."""
    files: list[Path] = []
    for path in images:
        names = (f"{path.stem}-reconstruction{number}.png" for number in ("", *range(2, len(images) + 1)))
        files.append(next(folder / name for name in names if folder / name not in files))
    return files


def _load(folder: Path) -> Network:
    import models

    try:
        return models.load(folder)
    except FileNotFoundError as error:
        best = folder / "best"
        hint = f" (did you mean {best}?)" if best.is_dir() else ""
        raise UsageError(f"--model {folder} holds no network: there is no {error.filename}{hint}") from error
    except OSError as error:
        raise UsageError(f"--model {folder} cannot be read: {error.strerror}") from error
    except models.ConfigError as error:
        raise UsageError(f"--model {folder} cannot be loaded: {error}") from error
    except Exception as error:  # a damaged model.pt can send PyTorch's unpickler anywhere
        raise UsageError(f"--model {folder} cannot be loaded: model.pt is damaged ({error})") from error


def _class_names(folder: Path, num_classes: int) -> list[str]:
    """Return the names of the classes from the study that the network is of, else their numbers from 0."""
    file = folder.resolve().parent / "study.json"
    if not file.is_file():
        return [f"class {number}" for number in range(num_classes)]
    try:
        about: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        names = [str(name) for name in about["data"]["class_names"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{file} does not name the classes: it is damaged or no study's") from error
    if len(names) != num_classes:
        raise UsageError(f"{file} names {len(names)} classes, and the network knows {num_classes}")
    return names


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        prog="predict.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "images", nargs="+", type=Path, metavar="IMAGE", help="an image of any format that Pillow reads"
    )
    parser.add_argument(
        "--model", type=Path, required=True, metavar="DIR", help="folder of a network, such as results/NAME/best"
    )
    parser.add_argument(
        "--top", type=integer("--top", 1), metavar="N", help=f"classes to print of a classifier (default: {TOP})"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help=f"folder for the pictures of an autoencoder (default: {OUT}/)"
    )
    options, unknown = parser.parse_known_args(argv)
    if unknown:
        known = [flag for action in parser._actions for flag in action.option_strings]
        raise UsageError(choose_from("option", unknown[0], known))
    return options


if __name__ == "__main__":
    sys.exit(main())
