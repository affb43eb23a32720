"""Write a network for other programs: as ONNX, as an exported PyTorch program, or its weights alone.

What was written is read back and compared with the network; where they differ, nothing is left.

Examples:
    python study/export.py night --to onnx
    python study/export.py results/night/best --to torch.export --out night.pt2
    python study/export.py night --to safetensors
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if __package__ in (None, ""):
    # Run as a file: look for modules in the repository, not in this folder, where they would hide others.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from study.record import commands, files
from study.record.errors import UsageError
from study.record.folder import existing
from study.record.values import one_of
from study.record.words import number

if TYPE_CHECKING:
    from models.checkpoint import Description

_PACKAGES: Mapping[str, tuple[str, ...]] = {
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "torch.export": (),
    "safetensors": ("safetensors",),
}
"""What each format needs besides PyTorch."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, 2 for unusable input, 130 when interrupted."""
    return commands.exit_status(lambda: _run(_parse(argv)))


def _run(options: argparse.Namespace) -> None:
    missing = [package for package in _PACKAGES[options.to] if importlib.util.find_spec(package) is None]
    if missing:
        raise UsageError(f"--to {options.to} needs {', '.join(missing)}: pip install -e '.[export]' -c constraints.txt")
    folder = _network_folder(options.network, options.storage)
    # PyTorch takes seconds to import, which unusable input need not wait for.
    from models.checkpoint import describe
    from study.evaluation import exporting, own_images

    ending = exporting.FORMATS[options.to].ending
    out = options.out or Path(f"{_name(folder)}{ending}")
    files.check_writable(out, f"night{ending}")
    network, described = own_images.load(folder, trust=options.trust), describe(folder)
    worst = exporting.export(network, described.image_shape, options.to, out, _about(folder, described))
    told = f"within {number(worst, 2)} of" if worst else "the same as"
    print(f"{out}  {out.stat().st_size:,} bytes; outputs {told} the network's")


def _network_folder(given: str, storage: Path) -> Path:
    """Return the folder of a network: the one that was given, or of a study by its name the best one's."""
    is_path = os.sep in given or (Path(given) / "config.json").is_file()
    return Path(given) if is_path else existing(storage, given, "NAME").best


def _name(folder: Path) -> str:
    found = folder.resolve()
    return found.parent.name if found.name == "best" else found.name


def _about(folder: Path, described: Description) -> dict[str, str]:
    """Return what a file says of its network, as text: its config, what it is given, and the names of its classes."""
    from study.evaluation import own_images

    trained = own_images.trained_on(folder, described)
    return {
        "config": json.dumps(described.config),
        "image_shape": json.dumps(described.image_shape),
        "images": "float32 in [0, 1], (batch, channels, height, width)",
        "pixels": str(trained.dtype),
        "value_range": json.dumps(trained.value_range),
        "classes": json.dumps(trained.class_names, ensure_ascii=False),
    }


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = commands.parser("export", __doc__)
    parser.add_argument("network", metavar="NAME", help="a study, whose best network it is, or the folder of a network")
    commands.add_value(parser, "--to", one_of(*_PACKAGES), "FORMAT", "the format: " + ", ".join(_PACKAGES))
    commands.add_out(parser, "the file (default: NAME with the format's ending)", metavar="FILE")
    commands.add_storage(parser)
    commands.add_trust(parser)
    options = parser.read(argv)
    if options.to is None:
        raise UsageError(f"--to FORMAT is needed: {', '.join(_PACKAGES)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
