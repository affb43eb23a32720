"""Begin a space of one's own: write a file with a network, what is searched of it, and its data, that runs as it is.

Examples:
    python study/new_space.py mine.py
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):
    # Run as a file: look for modules in the repository, not in this folder, where they would hide others.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from study.record import commands, files
from study.record.errors import UsageError

TEMPLATE = '''"""My own space: a network, what is searched of it, and its data; docs/own.md says more."""

from torch import nn

import models
import search_spaces


def encoder(config, image_shape):
    """From images (batch, channels, height, width) in [0, 1] to codes (batch, latent_size)."""
    channels, height, width = image_shape
    hidden = nn.Linear(channels * height * width, config["width"])
    return nn.Sequential(nn.Flatten(), hidden, nn.GELU(), nn.Linear(config["width"], config["latent_size"]))


def decoder(config, image_shape):
    """From codes (batch, latent_size) to images; a last nn.Sigmoid() keeps them in [0, 1]."""
    channels, height, width = image_shape
    hidden = nn.Linear(config["latent_size"], config["width"])
    pixels = nn.Linear(config["width"], channels * height * width)
    return nn.Sequential(hidden, nn.GELU(), pixels, nn.Sigmoid(), nn.Unflatten(1, image_shape))


# The keys of a config that these two read beside the family's own, and the values that each takes.
ARCHITECTURES = {"mine": models.autoencoder(encoder, decoder, {"width": models.Number(1, whole=True)})}
FIXED = {"architecture": "mine", "dropout": 0.0, "corruption": "none", "sparsity": 0.0, "contraction": 0.0}


def search(ask, context, reported):
    """Ask for a whole config, key after key; what is asked may depend on what was answered."""
    ask.fix(**FIXED)
    ask.integer("latent_size", (2, 16), log=True)
    ask.integer("width", (32, 512), log=True)
    search_spaces.training(ask, batch_size=(16, 128))  # optimizer, rate, weight decay, schedule, batch size


# For images of your own, `--data FOLDER` is enough. Or read them here: give the data a name of their own below, such as
# data=search_spaces.DatasetSpec("photos", "Photographs", (3, 32, 32)), and define
#
# def load_data(data_dir):
#     return images, labels  # arrays (n, height, width[, channels]) and (n,); or {"train": ..., "test": ...} of them

SPACE = search_spaces.Space(
    data=search_spaces.datasets()["digits"],
    family="ae",
    description="dense autoencoders",
    trials=16,
    epochs=20,
    search=search,
    default={  # what you would try first by hand: every study begins with it, and has to beat it
        **FIXED,
        "family": "ae", "latent_size": 8, "width": 256, "batch_size": 32,
        "optimizer": "adam", "lr": 3e-3, "weight_decay": 0.0, "decay": "weights", "schedule": "cosine",
    },
)
'''


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, or 2 for a file that cannot be written."""
    return commands.exit_status(lambda: _run(_parse(argv)))


def _run(options: argparse.Namespace) -> None:
    file: Path = options.file
    if file.suffix != ".py":
        raise UsageError(f"'{file}' is no Python file; give a name such as {file.with_suffix('.py')}")
    if file.exists():
        raise UsageError(f"'{file}' is there already; name another file")
    files.check_writable(file, "mine.py", "FILE")
    files.write_text(file, TEMPLATE)
    print(f"{file} is written. Look it over: {commands.hint('check-space', str(file))}")
    print(f"Search it: {commands.hint('run', '--space', str(file))}")


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = commands.parser("new-space", __doc__)
    parser.add_argument("file", type=Path, metavar="FILE.py", help="the file to write")
    return parser.read(argv)


if __name__ == "__main__":
    sys.exit(main())
