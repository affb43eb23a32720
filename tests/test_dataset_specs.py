"""The facts about the built-in data sets agree with torchvision's, and cost nothing to read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import search_spaces
from search_spaces import DatasetSpec

DATASETS = search_spaces.datasets()


@pytest.mark.parametrize("spec", DATASETS.values(), ids=DATASETS)
def test_spec_is_whole(spec: DatasetSpec) -> None:
    assert DATASETS[spec.name] is spec
    assert len(set(spec.class_names)) == len(spec.class_names)
    assert set(spec.sizes) == {"train", "val", "test"}
    assert all((spec.title, spec.split, spec.source, spec.licence))


@pytest.mark.parametrize(
    "spec", [spec for spec in DATASETS.values() if spec.torchvision_class], ids=lambda spec: spec.name
)
def test_spec_names_torchvisions_class_folder_and_classes(spec: DatasetSpec) -> None:
    import torchvision.datasets

    reader = getattr(torchvision.datasets, str(spec.torchvision_class))
    published = getattr(reader, "classes", None)  # CIFAR-10's are in its files
    if published:
        assert [name.split(" - ")[0] for name in published] == list(spec.class_names)
    assert spec.md5


def test_reading_the_specs_imports_no_library() -> None:
    script = (
        "import sys, search_spaces; search_spaces.datasets(); "
        "print({'numpy', 'torch', 'torchvision', 'sklearn', 'ray', 'PIL'} & set(sys.modules))"
    )
    root = Path(__file__).resolve().parents[1]
    result = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
