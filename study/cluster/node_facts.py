"""What a node of a cluster says of itself; asked of every node by `study.cluster.preflight`."""

from __future__ import annotations

import hashlib
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_PROGRAM = ("study", "models", "search_spaces")


def node_facts() -> dict[str, Any]:
    """Return versions and GPUs of the node that runs this."""
    import torch

    return {
        "project": f"{version('ray-tune-study')}, code {code_digest(ROOT)}",
        "python": platform.python_version(),
        "torch": version("torch"),
        "ray": version("ray"),
        "gpus": torch.cuda.device_count(),
    }


def node_clock() -> float:
    """Return the time of the node that runs this, in seconds since 1970."""
    return time.time()


def code_digest(root: Path) -> str:
    """Return eight hex digits that are equal where the program's source files are; a commit would miss an edit."""
    digest = hashlib.sha256()
    for package in _PROGRAM:
        for file in sorted((root / package).rglob("*.py")):
            digest.update(f"{file.relative_to(root)}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()[:8]
