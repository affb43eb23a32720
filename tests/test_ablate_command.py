"""`study ablate` without training: what it refuses, what it plans, what it says and what a report shows of it."""

import pytest
from matplotlib.figure import Figure
from recorded_studies import made_up_seeds, made_up_trial, write_study
from test_ablation import CONV, GAINS, SETTINGS, SGD, SHARED, Planted, between, walked

from analysis.figures.ablation import compute_ablation, plot_ablation
from analysis.page import pictures
from analysis.study_files import read_study
from study import ablate
from study.driver import ablating
from study.driver.ablation_path import PATHS, Asked
from study.record import files
from study.record.ablation import COLUMNS, FILE, rows
from study.record.commands import hint
from study.record.folder import StudyFolder


def finished(storage, *, settings=None, summary=None, lies=None, role="report", **about):
    """Write a finished study whose confirmation has reported on the default and on a winner, and return its folder."""
    lies = lies or between(**SHARED)
    runs = [
        made_up_trial(0, config=lies.first.config, key="default", epochs=[{"val_mse": 0.02}]),
        made_up_trial(1, config=lies.last.config, epochs=[{"val_mse": 0.0080}]),
    ]
    for name, config, value in (("t0000", lies.first.config, 0.02), ("t0001", lies.last.config, 0.01)):
        seeds = {"val_mse": [value, value + 1e-4, value - 1e-4], "test_mse": [value] * 3}
        runs += made_up_seeds(name, seeds, config=config, role=role, seconds=2.0 if name == "t0000" else 6.0)
    mean = {"mean": 0.01, "ci95": None, "n": 3}
    whole = {
        "best": {"trial_id": "t0001", "config": lies.last.config, "test": mean},
        "default": {"trial_id": "t0000", "test": mean},
        "confirmed": [{"id": "t0001", "key": None}, {"id": "t0000", "key": "default"}],
    }
    said = {**whole, **(summary or {})} if summary != {} else None
    data = {"image_shape": [1, 8, 8], "class_names": list("0123456789"), "digest": "none"}
    settings = {**SETTINGS.to_json(), **(settings or {})}
    return write_study(storage, "night", runs, settings=settings, data=data, summary=said, **about)


def ablated(storage, *, lies=None, gains=None, together=None, winner="t0001"):
    """Write the table of a made-up ablation of that study, and return its rows."""
    lies = lies or between(**SHARED)
    table = rows(walked(lies, Planted(lies, gains or GAINS, together))[0], "val_mse")
    table[-1]["after"] = winner
    files.write_csv(storage / "night" / FILE, table, COLUMNS)
    return table


def command(tmp_path, *words):
    return ablate.main(["night", "--storage", str(tmp_path), *words])


REFUSED = {
    "not finished": ({"summary": {}}, [], "night is not finished; "),
    "not confirmed": (
        {"summary": {"best": {"trial_id": "t0001", "config": {}, "test": None}}},
        [],
        "night has no confirmed winner",
    ),
    "the default won": (
        {"summary": {"confirmed": [{"id": "t0000", "key": "default"}]}},
        [],
        "the winner of night is the default itself: nothing lies between them",
    ),
    "the default was too large": ({"summary": {"default": None}}, [], "the default of night was not confirmed"),
    "no search": ({"settings": {"reported": "fashion/*"}}, [], "night ran reported configurations"),
    "too few runs": (
        {},
        ["--most-runs", "26"],
        "--most-runs 26 is too few to choose and report a step; allowed: 27 or more",
    ),
    "two seeds": ({}, ["--seeds", "2"], "--seeds '2' is not allowed; give a whole number of at least 3"),
    "no path": ({}, ["--path", "short"], "--path 'short' is not known; allowed: greedy, ranked"),
    "no time": ({}, ["--time-budget", "2"], "--time-budget '2' cannot be read; give a time such as 90s"),
}


def test_how_to_end_a_study_names_the_folder_that_it_lies_in(tmp_path, capsys):
    finished(tmp_path, summary={})
    assert command(tmp_path) == 2
    resume = hint("resume", "night", "--storage", str(tmp_path))
    assert capsys.readouterr().err == f"study: night is not finished; {resume} goes on with it\n"


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_ablated_is_refused_in_one_line(case, tmp_path, capsys):
    about, words, expected = REFUSED[case]
    finished(tmp_path, **about)
    assert command(tmp_path, *words) == 2
    said = capsys.readouterr().err
    assert said.startswith("study: ")
    assert expected in said
    assert said.count("\n") == 1
    assert not (tmp_path / "night" / "ablation").exists()


def test_a_study_that_is_not_there_is_named(tmp_path, capsys):
    finished(tmp_path)
    assert ablate.main(["nihgt", "--storage", str(tmp_path)]) == 2
    assert "study 'nihgt' is not known (did you mean night?)" in capsys.readouterr().err


def test_a_config_that_the_space_has_no_more_is_said_to_be_so(tmp_path, capsys):
    folder = finished(tmp_path)
    journal = folder / "journal.jsonl"
    lines = journal.read_text().replace('"activation": "relu"', '"activation": "tanh"').splitlines()
    journal.write_text("".join(line.partition(', "crc"')[0] + "}\n" for line in lines))
    assert command(tmp_path) == 2
    assert "night cannot be ablated by this version: space digits_ae cannot express t0001" in capsys.readouterr().err


def test_a_dry_run_says_what_differs_how_many_runs_and_how_long_and_writes_nothing(tmp_path, capsys):
    finished(tmp_path, lies=between(optimizer="adamw", weight_decay=0.1, batch_size=16, activation="relu"))
    before = sorted(tmp_path.rglob("*"))
    assert command(tmp_path, "--dry-run", "--max-concurrent", "1") == 0
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 80
    assert "l2          only with others" in said
    assert "optimizer   optimizer adam → adamw" in said
    words = " ".join(said.split())
    assert "greedy: at most 27 runs choose the steps and 24 others, on seeds of their own, report on them" in words
    assert "2 min to 8 min on" in words  # 51 runs of 2 s or 6 s and what is besides, one at a time, and a start
    assert command(tmp_path, "--dry-run", "--path", "ranked", "--most-runs", "30", "--seeds", "3") == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "ranked: at most 12 runs choose" in words
    assert "of which --most-runs 30 leaves 30" in words
    assert sorted(tmp_path.rglob("*")) == before


def test_an_ablation_is_shown_in_80_columns_with_marks_where_something_is_told(tmp_path, capsys):
    lies = between(**CONV, **SGD, batch_size=16)
    table = ablated(finished(tmp_path, lies=lies).parent, lies=lies, gains={"architecture": 0.02, "optimizer": 0.04})
    subject = ablating.opened("night", tmp_path, {}, trust=False)
    assert (subject.default, subject.winner) == ("t0000", "t0001")
    assert subject.settings.scheduler == "none"
    notes = ablating.flattered(subject)
    assert notes == [
        "The search saw t0001 at 0.008 by one seed, the confirmation at 0.01 in the mean of 3 fresh seeds: the "
        "search's value is better by 0.002 (0.001503 to 0.002497)."
    ]
    said = ablate.shown(table, "val_mse", notes, StudyFolder(tmp_path / "night"))
    assert max(len(line) for line in said.splitlines() if str(tmp_path) not in line) <= 80
    lines = said.splitlines()
    assert lines[1].startswith("1     optimizer     0.0")
    assert lines[4].startswith("      all           0.0")
    assert [line.count(" * ") for line in lines[1:5]] == [1, 1, 0, 1]
    assert "Earned: optimizer 0.0" in said.replace("\n", " ")


def test_a_run_that_failed_on_the_way_is_no_fresh_seed(tmp_path):
    finished(tmp_path)
    subject = ablating.opened("night", tmp_path, {}, trust=False)
    *_, last = (run for run in subject.source.state.confirmations if run.confirm_of == "t0001")
    last.status, last.epochs = "failed", [{"val_mse": 0.9}]
    (said,) = ablating.flattered(subject)
    assert "the confirmation at 0.01005 in the mean of 2 fresh seeds" in said


def test_the_line_that_goes_on_means_the_same_ablation(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = ["night", "--seeds", "4", "--path", "ranked", "--most-runs", "60", "--time-budget", "2h", "--trust"]
    options = ablate._parse([*given, "--max-concurrent", "1", "--storage", "there"])
    words = ablate._words(options)
    folder = StudyFolder(tmp_path / "there" / "night").ablation
    line = type(folder)(folder.path, tuple(words)).resume_command()
    said = line[line.index("night") :].split()
    assert vars(ablate._parse(said)) == vars(options)


def test_the_command_takes_the_paths_that_there_are():
    assert {ablate._parse(["night", "--path", path]).path for path in PATHS} == set(PATHS)
    assert Asked(3).path == ablate._parse(["night"]).path


def test_a_report_shows_the_steps_with_their_intervals_and_says_no_more_than_the_table(tmp_path):
    folder = finished(tmp_path, role=None)
    table = ablated(tmp_path, gains={"lr": 0.04, "batch_size": 0.02}, together={("activation", "schedule"): 0.03})
    study = read_study("night", tmp_path)
    data = compute_ablation(study)
    assert data.table()["parameter"].tolist() == [row["parameter"] for row in table]
    named = next(row["parameter"] for row in table if row["interacts"])
    assert f"Interactions: {named} gains" in data.caption
    assert "better by 0.002" not in data.caption  # no role is recorded: nobody knows which seeds are fresh
    assert data.caption.endswith("alone.")
    figure = plot_ablation(data)
    assert isinstance(figure, Figure)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[0].startswith("1. learning rate\nlr 0.003 → 0.001")
    assert labels[-1] == "all\nthe default to the winner"
    assert "MSE per pixel" in figure.axes[0].get_xlabel()
    picture, numbers = pictures.drawn(pictures.drawings(["ablation"])[0], study)
    assert picture.caption == data.caption
    assert len(numbers.frame) == 6
    (folder / FILE).unlink()
    assert compute_ablation(read_study("night", tmp_path)) is None


def test_the_flattery_is_in_the_caption_where_roles_are_recorded(tmp_path):
    finished(tmp_path)
    ablated(tmp_path)
    caption = compute_ablation(read_study("night", tmp_path)).caption
    assert "the search's value is better by 0.002" in caption


def test_an_ablation_of_an_earlier_winner_is_not_shown(tmp_path):
    finished(tmp_path)
    ablated(tmp_path, winner="t0000")
    assert compute_ablation(read_study("night", tmp_path)) is None


def test_an_ablation_without_a_completed_report_is_drawn(tmp_path):
    finished(tmp_path)
    lies = between(**SHARED)
    steps, _ = walked(lies, Planted(lies, GAINS), fails=lambda config: config != lies.last.config)
    table = rows(steps, "val_mse")
    table[-1]["after"] = "t0001"
    files.write_csv(tmp_path / "night" / FILE, table, COLUMNS)
    data = compute_ablation(read_study("night", tmp_path))
    assert "unknown, as no seed completed" in data.caption
    plot_ablation(data).canvas.draw()
