"""What the tests of several parts share: where the real data sets are, and how PyTorch works."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

import search_spaces
from study.data.image_data import default_data_dir


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files of whole studies, so that two processes that share the files end at about the same time."""
    items.sort(key=lambda item: not _runs_studies(item))


def _runs_studies(item: pytest.Item) -> bool:
    module = item.getparent(pytest.Module)
    named = vars(module.obj).values() if module is not None else ()
    return any(getattr(value, "__module__", None) == "study_processes" for value in named)


@pytest.fixture(scope="session", autouse=True)
def as_a_worker() -> None:
    """Let PyTorch work as in a study's worker, with one thread: more get into each other's way in small networks."""
    import torch  # noqa: F401 - or a command's thread imports on after it, while pytest goes through the modules

    from study.training.execution import prepare_process

    prepare_process(threads=1)


@pytest.fixture(scope="session")
def real_data_dir() -> Path:
    """The folder of the real data sets: $STUDY_DATA, else ~/.cache/study-data.

    A `shared/data/restore.py` beside the checkout fills it; without one and without data the test is skipped.
    """
    data_dir = default_data_dir()
    if not _has_all(data_dir):
        restore = Path(__file__).resolve().parents[2] / "shared" / "data" / "restore.py"
        if not restore.exists():
            pytest.skip(f"MNIST, Fashion-MNIST, CIFAR-10 and Flowers-102 are not all in {data_dir}")
        data_dir.mkdir(parents=True, exist_ok=True)
        with (data_dir / ".restoring").open("w") as lock:  # of several processes that test, one restores
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _has_all(data_dir):
                subprocess.run([sys.executable, str(restore), str(data_dir)], check=True, stdout=subprocess.DEVNULL)
    return data_dir


def _has_all(data_dir: Path) -> bool:
    return all(
        (data_dir / spec.folder / file).exists() for spec in search_spaces.datasets().values() for file in spec.md5
    )
