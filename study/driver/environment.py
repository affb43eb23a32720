"""What a study ran on: versions, hardware and the state of the code."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from study.record.machine import cores

# What a study runs; on a cluster's nodes it is all that there is of a checkout.
_PROGRAM = ("study", "models", "search_spaces", "analysis", "pyproject.toml", "constraints.txt")
PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn", "ray", "optuna", "mlflow", "ray-tune-study")


def environment() -> dict[str, Any]:
    """Return versions, hardware and git commit of this process, as JSON can say them."""
    import torch

    return {
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": cpu_model(),
        "cpus": cores(),
        "gpus": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        "versions": {name: _version(name) for name in PACKAGES},
    }


def git_commit() -> str | None:
    """Return the commit of this checkout, with "+changes" if the program differs from it; None without git."""
    root = Path(__file__).resolve().parents[2]

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")) != root:
            return None  # installed inside somebody else's repository
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "-uno", "--", *_PROGRAM) else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def cpu_model() -> str:
    """Return the name of this machine's processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
