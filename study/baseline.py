"""Fit the PCA baseline of one data set alone, on all its training images: print it and write it as CSV.

Examples:
    python study/baseline.py
    python study/baseline.py --data cifar --components 32,108,256,512
    python study/baseline.py --data mnist --variance 0.8,0.9,0.95
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

if __package__ in (None, ""):
    # Run as a file: look for modules in the repository, not in this folder, where they would hide others.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import search_spaces
from study.record import commands, files, tables
from study.record.errors import UsageError
from study.record.settings import add_option
from study.record.terminal import wrapped
from study.record.values import distinct, integer


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, 2 for unusable input, 130 when interrupted."""
    return commands.exit_status(lambda: _run(_parse(argv)), "interrupted: nothing was written")


def _run(options: argparse.Namespace) -> None:
    out = options.out or _default_file(options.data)
    files.check_writable(out, "pca.csv")

    # scikit-learn and the data loaders take seconds to import, which bad input need not wait for.
    import numpy as np

    from study.baselines.measuring import format_errors, format_nats, measure
    from study.data import image_data

    data = image_data.of_settings(vars(options), commands.say_progress)
    for note in image_data.urgent(data.notes):
        commands.say_progress(wrapped(note, 4))
    splits = {"train": data.train.images, "val": data.val.images, "test": data.test.images}
    built_in = search_spaces.datasets().get(options.data)
    if built_in is None or built_in.validation != "official":
        # Held out of the training images for the sake of a search; PCA has nothing to choose with it.
        splits["train"] = np.concatenate([splits["train"], splits.pop("val")])
    rows = measure(splits, options.components, options.variance, commands.say_progress)
    files.write_output(out, rows, tables.BASELINE.columns)
    shape = "×".join(str(size) for size in data.image_shape)
    counts = ", ".join(f"{len(images):,} {split}" for split, images in splits.items())
    print(f"PCA of {data.name}, images of {shape}: {counts}")
    print("k components; MSE per pixel on [0, 1], and of reconstructions clipped to [0, 1],")
    print("as networks' are compared with it; RMSE in grey levels of 0 to 255, averaged\nover the pixels\n")
    print(f"{format_errors(rows)}\n")
    print("the same as probabilistic PCA: nats per 8-bit image, upper bounds of −log p,")
    print("under uniform dequantisation and (clipped) with black and white for all that")
    print("lies beyond, as VAEs are compared with it\n")
    print(f"{format_nats(rows)}\n\n{out}")


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = commands.parser("baseline", __doc__)
    parser.add_argument(
        "--data", default="digits", metavar="NAME|PATH", help="data set or folder of images (default: digits)"
    )
    add = partial(commands.add_value, parser, default=())
    add("--components", distinct(integer(1)), "K,…", "numbers of components (default: 2, 4, …, 512 as the data allow)")
    add("--variance", distinct(_fraction), "F,…", "and as many components as keep these fractions of the variance")
    commands.add_out(parser, "CSV file (default: results/baselines/NAME.csv)")
    add_option(parser, "data-dir")
    add_option(parser, "image-size")
    add_option(parser, "value-range")
    add_option(parser, "labels")
    add_option(parser, "cache-dir")
    return parser.read(argv)


def _fraction(option: str, text: str) -> float:
    allowed = "allowed: fractions above 0 and at most 1"
    try:
        value = float(text)
    except ValueError:
        raise UsageError(f"{option} {text!r} is not a number; {allowed}") from None
    if not 0 < value <= 1:
        near = f" (did you mean {value / 100:g}?)" if 1 < value <= 100 else ""
        raise UsageError(f"{option} {text!r} is out of range{near}; {allowed}")
    return value


def _default_file(source: str) -> Path:
    """Return the CSV file of a data set, or of a folder of images, which lends it its own name."""
    built_in = search_spaces.datasets()
    name = source if source in built_in else Path(source).expanduser().resolve().name
    if name in built_in and source != name:
        raise UsageError(
            f"--data {source!r} would write over the baseline of the data set {name}; name a file with --out"
        )
    return Path("results", "baselines", f"{name}.csv")


if __name__ == "__main__":
    sys.exit(main())
