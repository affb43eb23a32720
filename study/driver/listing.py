"""The list of the spaces."""

from __future__ import annotations

import search_spaces
from study.record.terminal import table


def list_spaces() -> str:
    """Return a table of every space: data set, family, size, metric and budget, in trials times epochs."""
    rows = [("space", "data set", "family", "images", "metric", "budget")]
    for name in search_spaces.names():
        space = search_spaces.get(name)
        spec = space.data
        shape = "×".join(map(str, spec.image_shape))
        rows.append(
            (
                name,
                spec.title.partition(" (")[0],
                space.family,
                shape,
                space.metric,
                f"{space.trials}×{space.epochs}",
            )
        )
    return f"{table(rows, cut=1)}\nbudget: trials times the most epochs of each; --trials and --epochs give another"
