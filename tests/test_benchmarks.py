"""The benchmarks work in small sizes, and their table says what they measured; their numbers are for `make bench`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from _lines import Line, lines_of, number, ratio_of  # noqa: E402
from _results import Entry, Results  # noqa: E402

MACHINE = {"processor": "made up", "cores": "2"}
NEEDS_DATA = ("epoch", "memory", "against_pca", "warm_start", "front")  # study_throughput has a test of its own


def entry(*lines, quick=False):
    return Entry(tuple(lines), "2026-01-31 12:00 UTC", "abc", {"Python": "3.11"}, quick)


def measured(what, *values):
    return entry(Line(what, unit="s", values=values, loads=(0.1,) * len(values)))


def test_a_ratio_is_that_of_the_medians_and_of_runs_with_the_same_number():
    assert ratio_of([4.0, 9.0, 8.0], [1.0, 3.0, 2.0]) == (4.0, 3.0, 4.0)
    assert ratio_of([4.0, 9.0], [1.0, 0.0]) is None


@pytest.mark.parametrize(("more_is_better", "expected"), [(False, 0.5), (True, 2.0)])
def test_times_better_is_above_one_where_ours_is_better(more_is_better, expected):
    runs = {side: [{"rate": rate, "load": 0.0, "peak_mib": 1.0}] for side, rate in (("peer", 5.0), ("ours", 10.0))}
    peer, ours = lines_of("w", "a second", "rate", runs, more_is_better=more_is_better)
    assert peer.ratio == (expected,) * 3
    assert ours.ratio is None


def test_parts_are_merged_into_a_machines_table(tmp_path):
    file = tmp_path / "machine.json"
    for name, what in (("first", "old"), ("second", "other"), ("first", "new")):
        results = Results.read(file, MACHINE)
        results.merge(name, measured(what, 1.0, 3.0))
        results.write(file, ("first", "second", "third"))
    table = (tmp_path / "machine.md").read_text()
    assert "| first | new | ours | s | 2 | 2 | 1 … 3 |  |  | 0.1 … 0.1 |" in table
    assert "| second | other |" in table
    assert "old" not in table
    assert "| third | all of it | ours |  | 0 | not run: not yet on this machine |" in table
    assert "- processor: made up" in table


def test_what_could_not_run_is_in_the_table_but_never_takes_a_measurements_place(tmp_path):
    file = tmp_path / "machine.json"
    results = Results.read(file, MACHINE)
    missing = entry(Line("on a GPU", reason="no CUDA device was found"))
    results.merge("first", missing)
    results.write(file, ("first",))
    assert "not run: no CUDA device was found" in (tmp_path / "machine.md").read_text()
    results.merge("first", measured("on a GPU", 2.0))
    results.merge("first", missing)
    assert results.entries["first"].lines[0].values == (2.0,)


def test_results_survive_their_file(tmp_path):
    line = Line("w", "peer", "s", (1.0, 2.0), (2.0, 1.5, 2.5), (0.5, 0.7), 512.0)
    results = Results(dict(MACHINE), {"first": entry(line, quick=True)})
    results.write(tmp_path / "machine.json", ("first",))
    assert Results.read(tmp_path / "machine.json", MACHINE) == results


def test_numbers_are_short_and_have_no_exponent():
    assert [number(value) for value in (0.0, 12345.6, 0.15912, 0.0000123, 21.5)] == [
        "0",
        "12,346",
        "0.1591",
        "0.000012",
        "21.5",
    ]


def run(*arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=580)


def test_a_benchmark_without_its_data_says_so_and_stays_in_the_table(tmp_path):
    command = (BENCHMARKS / "bench_epoch.py", "--quick", "--device", "cpu", "--data-dir", tmp_path)
    assert run(*command, "--json", tmp_path / "lines.json").returncode == 0
    (line,) = json.loads((tmp_path / "lines.json").read_text())["lines"]
    assert line["reason"].startswith("Fashion-MNIST is not in")
    assert line["reason"].endswith("is missing; see --data-dir")


def test_replicates_are_measured_both_ways(tmp_path):
    done = run(BENCHMARKS / "bench_fused.py", "--quick", "--device", "cpu", "--json", tmp_path / "lines.json")
    assert done.returncode == 0, done.stderr
    lines = [Line.from_json(line) for line in json.loads((tmp_path / "lines.json").read_text())["lines"]]
    assert [line.side for line in lines] == ["together", "one after the other"] * 2
    assert all(len(line.values) == 2 and min(line.values) > 0 for line in lines)


@pytest.mark.slow
def test_the_command_writes_the_table_of_what_was_chosen(tmp_path):
    done = run(BENCHMARKS, "--quick", "--only", "simulation", "--results", tmp_path, "--machine", "here")
    assert done.returncode == 0, done.stderr
    table = (tmp_path / "here.md").read_text()
    assert "| simulation (quick) | asha: 4 settings × 4 numbers of workers × 2 orders" in table
    assert "| epoch | all of it | ours |  | 0 | not run: not yet on this machine |" in table


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["fused", "trial_overhead", "thousand_trials", "many_runs", "driver_rate", "report", "excerpt", *NEEDS_DATA]
)
def test_every_benchmark_works_in_a_small_size(request, tmp_path, name):
    folder = request.getfixturevalue("real_data_dir") if name in NEEDS_DATA else tmp_path
    done = run(BENCHMARKS / f"bench_{name}.py", "--quick", "--data-dir", folder, "--json", tmp_path / "lines.json")
    assert done.returncode == 0, done.stderr
    lines = json.loads((tmp_path / "lines.json").read_text())["lines"]
    mine = {"fused": "together", "warm_start": "helpful", "front": "one study"}
    assert mine.get(name, "ours") in {line["side"] for line in lines}
    assert all(line["values"] or line["reason"] == "no CUDA device was found" for line in lines)


@pytest.mark.slow
@pytest.mark.realdata
def test_the_throughputs_peers_do_the_same_work(real_data_dir, tmp_path):
    """Equal images, epochs and batches: after one epoch all sides have about the same error."""
    done = run(
        *(BENCHMARKS / "bench_study_throughput.py", "--quick", "--data-dir", real_data_dir),
        *("--json", tmp_path / "lines.json"),
    )
    assert done.returncode == 0, done.stderr
    lines = json.loads((tmp_path / "lines.json").read_text())["lines"]
    errors = {line["side"]: line["values"][0] for line in lines if line["what"] == "mean validation error"}
    assert len(errors) == 3
    assert max(errors.values()) < 1.25 * min(errors.values())
