"""Ask a trained network about images: a classifier for their classes, an autoencoder for their reconstructions.

Examples:
    python study/predict.py --model results/ladder/best cat.jpg frog.png
    python study/predict.py --model results/ladder/best cat.jpg --top 3
    python study/predict.py --model results/codes/best cat.jpg --out pictures
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):
    # Run as a file: look for modules in the repository, not in this folder, where they would hide others.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from study.record import commands
from study.record.errors import UsageError
from study.record.values import integer

TOP = 5
OUT = Path("predictions")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, 2 for unusable input, 130 when interrupted."""
    return commands.exit_status(lambda: _run(_parse(argv)))


def _run(options: argparse.Namespace) -> None:
    # PyTorch takes seconds to import, which --help and unknown options need not wait for.
    from models import Predictive
    from models.checkpoint import describe
    from study.data.input_image import InputReader
    from study.evaluation import own_images

    model = own_images.load(options.model, trust=options.trust)
    described = describe(options.model)
    own_images.check_answers(model, described.image_shape, options.model)
    if isinstance(model, Predictive) and options.out is not None:
        raise UsageError(f"--out is for the pictures of an autoencoder; {options.model} is a classifier")
    if not isinstance(model, Predictive) and options.top is not None:
        raise UsageError(f"--top is for a classifier; {options.model} is an autoencoder, which has no classes")
    trained = own_images.trained_on(options.model, described)
    reader = InputReader(described, trained)
    images = [(path, reader.read(path)) for path in options.images]
    sizes = [f"{path}  {image.shape[2]}×{image.shape[1]}" for path, image in images]
    if isinstance(model, Predictive):
        for size, (_, image) in zip(sizes, images, strict=True):
            print(size)
            for index, probability in own_images.top_classes(model, image, options.top or TOP):
                print(f"  {100 * probability:8.4f} %  {trained.class_names[index]}")
        return
    files = own_images.picture_files(options.images, options.out or OUT)
    for size, (_, image), file in zip(sizes, images, files, strict=True):
        print(f"{size}  MSE {own_images.draw_reconstruction(model, image, file):.6f}  {file}")


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = commands.parser("predict", __doc__)
    parser.add_argument(
        "images", nargs="+", type=Path, metavar="IMAGE", help="a file of a format that studies read, as PNG or JPEG"
    )
    parser.add_argument(
        "--model", type=Path, required=True, metavar="DIR", help="folder of a network, such as results/NAME/best"
    )
    commands.add_value(parser, "--top", integer(1), "N", f"classes to print of a classifier (default: {TOP})")
    commands.add_out(parser, f"folder for the pictures of an autoencoder (default: {OUT}/)", metavar="DIR")
    commands.add_trust(parser)
    return parser.read(argv)


if __name__ == "__main__":
    sys.exit(main())
