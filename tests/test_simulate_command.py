"""The command on made-up studies: what it prints, writes and refuses."""

import csv

import pytest
from recorded_curves import curves, write_study

from study import simulate
from study.record.commands import hint

FAST = ["--orders", "6", "--workers", "1,2", "--grace", "1/3", "--reduction", "2"]


@pytest.fixture
def storage(tmp_path):
    return tmp_path / "results"


def run(storage, *arguments):
    return simulate.main([*arguments, *FAST, "--storage", str(storage)])


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_study_leaves_a_row_per_scheduler_settings_and_workers(storage, capsys):
    write_study(storage, "night", curves())
    assert run(storage, "night") == 0
    rows = table(storage / "night" / "simulation.csv")
    assert len(rows) == 2 * (
        1 + 2 * 2 + 2
    )  # workers; none, asha and hyperband with the default and one more, median too
    assert {row["scheduler"] for row in rows} == {"none", "asha", "hyperband", "median"}
    none = next(row for row in rows if row["scheduler"] == "none" and row["workers"] == "1")
    assert (none["epochs"], none["wall_seconds"], none["share_found_best"]) == ("72.0", "72.0", "1.0")
    assert (
        float(none["seconds_within_1_low"]) <= float(none["seconds_within_1"]) <= float(none["seconds_within_1_high"])
    )
    printed = capsys.readouterr().out
    assert "night: 8 trials × 9 epochs, val_mse, best 0.111111" in printed
    assert "1 worker, soonest within 1 %: " in printed
    assert not list(storage.rglob("*.part"))


def test_the_same_seed_gives_the_same_file(storage):
    write_study(storage, "night", curves())
    files = []
    for seed in ("3", "3", "4"):
        assert run(storage, "night", "--seed", seed) == 0
        files.append((storage / "night" / "simulation.csv").read_bytes())
    assert files[0] == files[1] != files[2]


def test_several_studies_have_their_means(storage, capsys, tmp_path):
    write_study(storage, "night", curves())
    write_study(storage, "day", [[1 - value / 2 for value in curve] for curve in curves(6)], space="digits_classifier")
    out = tmp_path / "means.csv"
    assert run(storage, "night", "day", "--out", str(out)) == 0
    assert "Means over 2 studies" in capsys.readouterr().out
    assert all((storage / name / "simulation.csv").is_file() for name in ("night", "day"))
    none = next(row for row in table(out) if row["scheduler"] == "none")
    assert (none["times_none"], none["found"], none["cost_of_none"]) == ("1.0", "1.0", "1.0")


def test_a_study_of_a_model_based_sampler_is_replayed_with_a_warning(storage, capsys):
    write_study(storage, "night", curves(), settings={"sampler": "tpe"})
    assert run(storage, "night") == 0
    assert "night was sampled by tpe" in capsys.readouterr().out


UNFIT = {
    "stopped by a scheduler": (
        {"settings": {"scheduler": "asha"}, "statuses": {3: "stopped", 5: "stopped"}},
        "study 'night' was run with --scheduler asha, which stopped 2 of 8 trials; a replay needs complete curves: "
        "a finished study of --scheduler none",
    ),
    "unfinished": (
        {"statuses": {7: "running"}, "search_end": False},
        "study 'night' is not finished, 7 trials have ended; {resume} ends it; a replay needs complete curves",
    ),
    "cut off": (
        {"statuses": {7: "stopped"}},
        "study 'night' stopped 1 of 8 trials as its search ended; a replay needs complete curves",
    ),
    "all failed": (
        {"statuses": dict.fromkeys(range(8), "failed")},
        "study 'night' has 0 completed and 8 failed trials; a replay needs two that completed",
    ),
    "no curve": ({"settings": {"objectives": ["params"]}}, "study 'night' searched for params, which has no curve"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_a_study_without_complete_curves_is_refused_in_one_line(storage, capsys, case):
    options, line = UNFIT[case]
    write_study(storage, "night", curves(), **options)
    resume = hint("resume", "night", "--storage", str(storage))
    _is_refused(storage, capsys, line.format(resume=resume), "night")


def test_a_study_of_one_trial_is_refused(storage, capsys):
    write_study(storage, "night", curves(1))
    _is_refused(storage, capsys, "study 'night' has 1 completed and 0 failed trials; a replay needs two", "night")


def test_a_study_of_reported_configurations_is_refused(storage, capsys):
    write_study(storage, "night", [[]])
    (storage / "night" / "journal.jsonl").write_text(
        (storage / "night" / "journal.jsonl").read_text().split("\n")[0] + "\n"
    )
    _is_refused(storage, capsys, "study 'night' has no trials of a search; a replay needs", "night")


def test_one_unfit_study_of_two_leaves_nothing_written(storage, capsys):
    write_study(storage, "day", curves())
    write_study(storage, "night", curves(1))
    _is_refused(storage, capsys, "study 'night' has 1 completed", "day", "night")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nihgt"], "NAME: study 'nihgt' is not known (did you mean night?); allowed: night (in "),
        (["night", "night"], "NAME 'night' is given twice"),
        (["night", "--schedulers", "ahsa"], "--schedulers 'ahsa' is not known (did you mean asha?)"),
        (
            ["night", "--grace", "0"],
            "--grace '0' is not allowed; give whole epochs, such as 2, or a fraction such as 1/9",
        ),
        (["night", "--grace", "3/2"], "--grace '3/2' is not allowed"),
        (["night", "--workers", "0"], "--workers '0' is not allowed; give a whole number of at least 1"),
        (["night", "--sample", "9"], "--sample 9 is more than the 8 trials of 'night'"),
        (["night", "--out", "x.csv"], "--out is for the means over several studies; name more than one"),
    ],
)
def test_unusable_input_is_one_line(storage, capsys, arguments, line):
    write_study(storage, "night", curves())
    assert simulate.main([*FAST, "--storage", str(storage), *arguments]) == 2
    assert line in _only_line(capsys)


def _is_refused(storage, capsys, line, *names):
    assert run(storage, *names) == 2
    assert line in _only_line(capsys)
    assert not list(storage.rglob("simulation.csv"))


def _only_line(capsys):
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith("study: ")
    return line
