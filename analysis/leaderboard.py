"""The best configs of a study beside PCA, in the terminal.

Examples:
    python analysis/leaderboard.py night
    python analysis/leaderboard.py night --top 50 --csv night.csv
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):
    # Run as a file: import the packages from the checkout, not this folder's modules from the top.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import pandas as pd
from rich.console import Console
from rich.table import Table as Grid

from analysis import output
from analysis.study_files import read_study
from analysis.trials import compute_beyond, compute_confirmed, compute_leaderboard, objective_of
from analysis.words import cell, interval_text
from study.record import commands, files
from study.record.metrics import split_of
from study.record.tables import UNMET
from study.record.values import integer

_TOP = 10


def main(argv: Sequence[str] | None = None) -> int:
    """Print a study's leaderboard; 2 if there is no such study."""
    return commands.exit_status(lambda: _run(argv))


def _run(argv: Sequence[str] | None) -> None:
    parser = commands.parser("leaderboard", __doc__)
    parser.add_argument("name", metavar="NAME", help="the study's name")
    commands.add_storage(parser)
    parser.add_argument("--tracking-uri", metavar="URI", help="read the study from MLflow alone, not from its files")
    commands.add_value(parser, "--top", integer(1), "N", f"rows; default {_TOP}", default=_TOP)
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write every trial in full precision")
    options = parser.read(argv)
    if options.csv:
        files.check_writable(options.csv, "leaderboard.csv", "--csv")
    if options.tracking_uri is None:
        study = read_study(options.name, options.storage)
    else:
        from analysis.mlflow_files import read_study_from_mlflow

        study = read_study_from_mlflow(options.name, options.tracking_uri)
    if options.csv:
        output.write_table(options.csv, compute_leaderboard(study))
    console = Console(highlight=False)
    counts = study.trials["status"].value_counts()
    ended = ", ".join(f"{count} {status}" for status, count in counts.items())
    console.print(f"{options.name}: {ended or 'no trial was trained'}")
    if study.summary is None:
        console.print("This study is not finished; the tables are what it has so far.")
    if ended:
        console.print("\nBest trials (validation data, last epoch)")
        console.print(_grid(compute_leaderboard(study, options.top)))
    beyond = compute_beyond(study)
    if not beyond.empty:
        console.print("Trials that do not keep a constraint: they can win nothing")
        console.print(_grid(beyond.head(options.top)))
    confirmed = compute_confirmed(study)
    if not confirmed.empty:
        console.print("Confirmed (means over seeds, with their 95 % intervals)")
        table = _with_intervals(confirmed)
        if not output.fits(table, console.width):  # the rows' order says what validation data do
            table = _with_intervals(confirmed, bare=objective_of(study).metric)
        console.print(output.grid(table, tight=True, whole=table.columns[2:]))


def _with_intervals(table: pd.DataFrame, bare: str | None = None) -> pd.DataFrame:
    """Return the table with words, "0.5 (0.4 … 0.6)", in place of the three columns of a mean with its interval.

    The baseline on the same images comes after it. The metric `bare` has its mean alone.
    """
    found = table[["confirm_of", "seeds"]].rename(columns={"confirm_of": "config"})
    for name in (str(name) for name in table if f"{name}_low" in table):
        ends = zip(table[name], table[f"{name}_low"], table[f"{name}_high"], strict=True)
        found[name] = [
            cell(mean) + ("" if pd.isna(low) or name == bare else f" ({interval_text(low, high)})")
            for mean, low, high in ends
        ]
        if name != bare and table[f"{name}_baseline"].notna().any():
            found[f"{split_of(name)[0]}_baseline"] = table[f"{name}_baseline"]
    if UNMET in table:
        found[UNMET] = table[UNMET]
    return found


def _grid(table: pd.DataFrame) -> Grid:
    """Return the table narrow enough for 80 columns, with heads whose words can stand below each other."""
    if "status" in table and "epochs" in table:
        words = zip(table["epochs"], table["status"], strict=True)
        epochs = [f"{epochs}" if status == "completed" else f"{epochs} {status}" for epochs, status in words]
        table = table.assign(epochs=epochs).drop(columns="status")
    heads = {name: str(name).removeprefix("config.").replace("_", " ") for name in table}
    return output.grid(table.rename(columns=heads), tight=True)


if __name__ == "__main__":
    sys.exit(main())
