"""The arrays that a confirmation left for the pictures."""

from __future__ import annotations

import zipfile

import numpy as np

from analysis.study_files import StudyFiles


def read_arrays(study: StudyFiles, name: str) -> dict[str, np.ndarray] | None:
    """Return the arrays of samples/NAME.npz, None where there is no such file or it was cut off."""
    path = study.folder / "samples" / f"{name}.npz"
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None


def class_names(study: StudyFiles, count: int) -> list[str]:
    """Return the names of the classes, their numbers where the study has none."""
    names = study.about.get("data", {}).get("class_names") or []
    return [str(names[i]) if i < len(names) else str(i) for i in range(count)]
