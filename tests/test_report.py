import fcntl
import json
import re
import shlex
import shutil
import subprocess
from base64 import b64decode
from dataclasses import dataclass
from datetime import UTC, datetime
from html import unescape
from html.parser import HTMLParser
from io import BytesIO
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image
from recorded_studies import MadeUpRun, made_up_seeds, made_up_trial, record, write_study

import search_spaces
from analysis import report, words
from analysis.figures import Drawing, style
from analysis.figures.confirmation import compute_confirmation
from analysis.page import pictures
from analysis.page.background import repeat_commands
from analysis.page.headline import headline, verdict
from analysis.page.paper import results_table
from analysis.page.parts import Page, Picture, Section, Table
from analysis.page.pictures import embed
from analysis.page.render import render
from analysis.page.sections import report_page
from analysis.study_files import NoStudyError, read_study
from study.record import kept
from study.record.events import Failed, Finished, SessionStarted
from study.record.folder import StudyFolder
from study.record.journal import read_state
from study.record.tables import PRETRAINING
from study.record.words import duration, number
from study.settings import command_line
from study.settings.resolve import settings_of

HOSTILE = '<script>alert("x")</script>'
BASELINE = [
    {"n_components": 4, "explained_variance": 0.5, "train_mse": 0.39, "val_mse": 0.4, "test_mse": 0.44},
    {"n_components": 8, "explained_variance": 0.7, "train_mse": 0.24, "val_mse": 0.25, "test_mse": 0.26},
]
SETTINGS = {
    "space": "digits_ae",
    "name": "night",
    "trials": 4,
    "epochs": 2,
    "sampler": "tpe",
    "scheduler": "asha",
    "objectives": ["val_mse"],
    "confirm_top": 1,
    "confirm_seeds": 2,
    "train_size": 500,
    "time_budget_s": 90.0,
    "storage": "/somewhere",
    "confirm_reported": True,
    "smoke": False,
    "seed": 3,
}
ABOUT = {
    "settings": SETTINGS,
    "data": {"name": "digits", "digest": "abc", "sizes": {"train": 500, "val": 90}, "class_names": [HOSTILE, "one"]},
    "searched": {"latent_size": "integer 2 to 16, logarithmic", "optimizer": "one of 'adam', 'sgd'"},
    "environment": {"git_commit": "f" * 40, "cpu": "A CPU", "cpus": 2, "gpus": [], "versions": {"torch": "2"}},
}
TEST_MSE = {"mean": 0.22, "ci95": [0.15, 0.29], "n": 2}
SUMMARY = {
    "metric": "val_mse",
    "mode": "min",
    "confirmed": [{"id": "t0002", "key": None, "test": {"test_mse": TEST_MSE}}],
    "best": {
        "trial_id": "t0002",
        "config": {"family": "ae", "architecture": "dense", "latent_size": 4, "note": HOSTILE},
        "params": 100,
        "val": {"val_mse": {"mean": 0.21, "ci95": [0.1, 0.3], "n": 2}},
        "test": TEST_MSE,
        "model": None,
    },
    "baseline": {"n_components": 4, "val_mse": 0.4, "test_mse": 0.44},
    "ratio_to_pca": 0.5,
    "ratio_note": None,
    "verdict": "better than PCA",
    "wall_s": 130.0,
}


class Outline(HTMLParser):
    """Elements of a page, and whatever it would ask for elsewhere."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.headings, self.asked, self.images, self.ids, self.links = [], [], [], [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append(tag)
        self.ids += [attrs["id"]] if "id" in attrs else []
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "img":
            self.images.append(attrs)
        if tag == "a":
            self.links.append(attrs["href"])
        else:
            self.asked += [attrs[name] for name in ("src", "href", "srcset", "data") if name in attrs]


@pytest.fixture
def storage(tmp_path):
    return left_by_a_study(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The storage folder of a finished study with a picture, and its report with every figure."""
    storage = left_by_a_study(tmp_path_factory.mktemp("results"))
    (storage / "night" / "samples" / "prior.png").write_bytes(_png(8))
    run(storage)
    return storage


@pytest.fixture
def no_figures(monkeypatch):
    """A report without figures, for what does not depend on them."""
    monkeypatch.setattr(pictures, "MODULES", ())


def config(architecture="dense", latent_size=8, lr=0.001):
    return {"architecture": architecture, "latent_size": latent_size, "lr": lr}


def trials(metric="mse", architecture="dense", latent_size=4, best=0.20):
    """Return two completed trials, one that was stopped, and one that failed."""

    def epochs(*values):
        return [{f"train_{metric}": train, f"val_{metric}": val} for train, val in values]

    first = {"config": config(architecture), "params": 100}
    second = {"config": config(architecture, latent_size, 0.002), "params": 100}
    stopped = {"config": config("conv", 8, 0.01), "params": 100}
    failed = {"config": config("conv", latent_size, 0.1), "params": 100}
    return [
        made_up_trial(0, epochs=epochs((0.5, 0.4), (0.4, 0.30)), seconds=0.75, **first),
        made_up_trial(1, epochs=epochs((0.2, 0.10)), status="stopped", seconds=0.5, **stopped),
        made_up_trial(2, epochs=epochs((0.5, 0.3), (0.3, best)), seconds=0.75, **second),
        made_up_trial(3, status="failed", reason="loss is <b>NaN</b>", **failed),
    ]


def confirmations(metric="mse"):
    values = {f"val_{metric}": [0.20, 0.22], f"test_{metric}": [0.21, 0.23]}
    about = {"config": config(latent_size=4), "params": 100, "seconds": 0.75}
    return made_up_seeds("t0002", values, epochs=2, first_seed=11, **about)


def left_by_a_study(storage, runs=None, *, summary=SUMMARY, **about):
    """Write the study `night` in place of one that is there, with a folder for samples."""
    shutil.rmtree(storage / "night", ignore_errors=True)
    runs = trials() + confirmations() if runs is None else runs
    folder = write_study(storage, "night", runs, baseline=BASELINE, summary=summary, **ABOUT | about)
    (folder / "samples").mkdir()
    return storage


def run(storage, *arguments, name="night"):
    return report.main([name, "--storage", str(storage), *arguments])


def page_of(storage):
    return (storage / "night" / "report" / "index.html").read_text(encoding="utf-8")


def test_first_screen_answers_what_best_against_what_how_sure_and_at_what_cost(finished):
    html = page_of(finished).replace("<wbr>", "")
    first = re.sub("<[^>]+>", " ", html[html.index('id="headline"') : html.index('id="leaderboard"')])
    for words_of_it in (
        "digits_ae, 4 trials",
        "0.22 (95 % interval 0.15 … 0.29, 2 seeds)",
        "Against PCA with 4 components",
        "0.44",
        "0.5 of its error",
        "Better than PCA",
        "2 min on the clock",
        "1 failed",
        "9 epochs in all",
        "A CPU, 2 cores, no GPU",
    ):
        assert words_of_it in first


def test_every_machine_that_a_study_was_driven_on_is_named():
    first, gpu = {"cpu": "A CPU", "cpus": 2, "gpus": []}, {"cpu": "B", "cpus": 16, "gpus": ["A GPU"]}
    assert words.machines({"environment": first}) == "A CPU, 2 cores, no GPU"
    later = [gpu, {**first, "git_commit": "f"}]
    said = words.machines({"environment": first, "later_environments": later})
    assert said == "A CPU, 2 cores, no GPU, and later on B, 16 cores, A GPU"
    assert words.machines({}) == "an unknown machine"


DEFAULT = {"trial_id": "t0000", "test": {"mean": 0.44, "ci95": [0.4, 0.48], "n": 3}}
GAIN = {"mean": 0.11, "ci95": [0.055, 0.165], "n": 3}
VERDICTS = [
    (
        {},
        "Tuning cut the default's error by 25 %, by 0.11 (95 % interval 0.055 to 0.165); the network has 0.5 of PCA's "
        "error at the same size of code.",
    ),
    (
        {"gain": {"mean": -0.011, "ci95": [-0.022, 0.011], "n": 3}, "verdict": "not distinguishable from PCA"},
        "Tuning raised the default's error by 2.5 %, by 0.011, which is within the luck of the seeds (95 % interval "
        "-0.011 to 0.022); "
        "the network has 0.5 of PCA's error at the same size of code, which is within the luck of the seeds.",
    ),
    (
        {"gain": None, "default": None, "confirmed": [{"id": "t0000", "key": "default", "test": {}}]},
        "No config beat the default; the network has 0.5 of PCA's error at the same size of code.",
    ),
    (
        {
            "gain": None,
            "default": None,
            "confirmed": [{"id": "t0000", "key": "default", "test": {}}],
            "trials": {"completed": 1, "stopped": 0, "failed": 0},
        },
        "Only the default was tried; the network has 0.5 of PCA's error at the same size of code.",
    ),
    (
        {"gain": {"mean": 0.02, "ci95": None, "n": 1}, "metric": "val_accuracy", "ratio_to_pca": None},
        "Tuning gained 2 points of accuracy over the default (1 seed: no interval).",
    ),
    (
        {"metric": "val_accuracy", "gain": None, "baseline": {"test_accuracy": 0.9}, "ratio_to_pca": 0.8},
        "The network has 0.8 of the error rate of a logistic regression on PCA codes.",
    ),
    (
        {"metric": "val_nelbo", "gain": {"mean": 5.25, "ci95": [4.0, 6.5], "n": 3}, "ratio_to_pca": None},
        "Tuning lowered the default's −ELBO by 5.25 nats per image (95 % interval 4 to 6.5).",
    ),
    (
        {"gain": {"mean": 0.11, "ci95": [0.1, 0.12], "n": 2}, "ratio_to_pca": None},
        "Tuning cut the default's error by 25 %, by 0.11, of 2 seeds, too few to tell them apart (95 % interval 0.1 to "
        "0.12).",
    ),
    (
        {"confirmed": [{"id": "t0002", "key": None, "test": {}, "failed": {"seeds": 2, "of": 4, "why": "NaN."}}]},
        "Tuning cut the default's error by 25 %, by 0.11 (95 % interval 0.055 to 0.165); the network has 0.5 of PCA's "
        "error at the same size of code; t0002 has 2 of 4 seeds (2 failed, the first: NaN).",
    ),
    (
        {
            "gain": {**GAIN, "note": "their codes have 10 and 8 numbers, and the error falls with the size"},
            "ratio_to_pca": None,
            "confirmed": [{"id": "t0002", "key": "z10", "test": {}}],
        },
        "The given config z10 cut the default's error by 25 %, by 0.11 (95 % interval 0.055 to 0.165); their codes "
        "have 10 and 8 numbers, and the error falls with the size.",
    ),
    ({"best": None}, "No trial was completed, so there is nothing to report."),
]


@pytest.mark.parametrize(("said", "expected"), VERDICTS, ids=range(len(VERDICTS)))
def test_one_sentence_says_what_tuning_gained_and_how_the_network_stands_to_the_baseline(storage, said, expected):
    summary = SUMMARY | {"default": DEFAULT, "gain": GAIN} | said
    left_by_a_study(storage, summary=summary)
    assert verdict(read_study("night", storage)) == expected


def test_a_failed_seed_is_said_where_it_is_said_how_sure_a_result_is(storage):
    failed = {"seeds": 1, "of": 3, "why": "NonFiniteLossError: the loss is nan"}
    one = {"id": "t0002", "key": None, "test": {"test_mse": TEST_MSE}, "failed": failed}
    left_by_a_study(storage, summary=SUMMARY | {"confirmed": [one]})
    study = read_study("night", storage)
    sure = next(fact for fact in headline(study).items[0].facts if fact.term == "How sure")
    words = "2 of 3 seeds (1 failed: NonFiniteLossError: the loss is nan)"
    assert sure.detail.startswith(f"Student's t over {words}. It is of starts that end")
    assert "covers the luck" not in sure.detail
    assert f"Of t0002, {words}." in results_table(study)
    confirmed = compute_confirmation(study)
    assert confirmed is not None
    assert f"Of t0002, {words}." in confirmed.caption


def test_the_sentence_of_an_unfinished_study_is_its_best_so_far(storage):
    left_by_a_study(storage, summary=None)
    assert verdict(read_study("night", storage)) == "Best so far: t0002: 0.2 validation MSE per pixel."


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        (["running"] * 3, "So far: no run has ended yet; 3 are at epochs 1, 2 and 3 of at most 4."),
        (["completed", "failed", "running"], "So far: 1 run completed and 1 run failed; 1 is at epoch 3 of at most 4."),
        ([], "So far: no run has ended yet."),
    ],
)
def test_an_unfinished_study_of_reported_configurations_says_how_far_its_runs_are(storage, statuses, said):
    runs = made_up_seeds("fashion_base", {"val_mse": [0.3] * len(statuses)}, config=config())
    for reached, (one, status) in enumerate(zip(runs, statuses, strict=True), start=1):
        one.status, one.epochs = status, reached * one.epochs
    settings = SETTINGS | {"reported": "fashion/base", "trials": 0, "epochs": 4}
    left_by_a_study(storage, runs, summary=None, settings=settings)
    assert verdict(read_study("night", storage)) == said


def test_the_head_of_a_report_has_its_day_the_answer_and_the_contents(storage):
    html = page_of_file(storage)
    day = datetime.fromtimestamp(json.loads((storage / "night" / "study.json").read_text())["started"], UTC)
    head = html[: html.index("<main")]
    assert f"A study of digits_ae, begun on {day.day} {day:%B %Y} at {day:%H:%M} UTC" in head
    assert 'class="verdict">The network has 0.5' in head
    links = [link for link in Outline(head).links if link != "#main"]
    assert links == [f"#{name}" for name in Outline(html).ids if f'<section id="{name}"' in html]
    assert links[:2] == ["#headline", "#leaderboard"]


def page_of_file(storage):
    return render(report_page(read_study("night", storage), ()))


def test_columns_have_words_for_heads_and_names_that_are_not_the_projects_stay():
    frame = pd.DataFrame([["t0001", 1, 2, 3, 4, 5]])
    frame.columns = ["trial_id", "val_mse", "config.lr", "± test_mse", "t_shirt", "seconds"]
    html = render(Page("Title", "Lead", [Section("s", "S", [Table("one", "One", frame)])]))
    heads = re.findall(r'<th scope="col"[^>]*>([^<]*)', html)
    assert heads == ["trial", "validation MSE per pixel", "learning rate", "± test MSE per pixel", "t_shirt", "seconds"]


def test_a_drawing_has_no_paper_and_changes_its_ink_on_a_dark_screen():
    figure, (axes,) = style.figure(2)
    axes.plot([1, 2], [1, 2], color=style.INK)
    svg = embed(figure, "Line", "A line.").data.decode()
    assert f"stroke: {style.INK}" in svg
    assert f'[style*="stroke: {style.INK}"]{{stroke:{style.DARK[style.INK]}!important}}' in svg
    assert svg.index("prefers-color-scheme: dark") > svg.index("</defs>")
    assert "fill: #ffffff" not in svg


def test_nothing_is_asked_for_outside_the_page(finished):
    html = page_of(finished)
    outline = Outline(html)
    assert outline.images
    assert all(target.startswith("data:") for target in outline.asked)
    assert "default-src 'none'" in unescape(html)
    assert "@import" not in html
    assert not re.search(r"url\(", html)
    assert all(link.startswith("#") or (finished / "night" / "report" / link).is_file() for link in outline.links)


def test_the_first_screen_has_an_interval_over_test_images_beside_the_one_over_seeds(storage, no_figures):
    errors = np.linspace(0.1, 0.3, 50)
    about = {"networks": np.array(2), "components": np.array(4)}
    np.savez(storage / "night" / "samples" / "over_images.npz", mse=errors, baseline_mse=errors + 0.1, **about)
    run(storage)
    html = unescape(page_of(storage))
    found = html[html.index("<dt>Over test images") : html.index("<dt>Against PCA")]
    assert "0.2 (95 % interval 0.1831 … 0.2169, 50 images)" in found
    assert "these 2 networks as they are. It does not cover another seed" in found


def test_page_is_semantic(finished):
    html = page_of(finished)
    outline = Outline(html)
    assert html.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert outline.tags.count("main") == outline.tags.count("h1") == 1
    assert outline.headings[0] == 1
    assert all(after - before <= 1 for before, after in zip(outline.headings, outline.headings[1:], strict=False))
    assert all(len(image["alt"]) > 20 for image in outline.images)
    assert len(outline.ids) == len(set(outline.ids))
    assert outline.tags.count("table") == html.count("<caption") > 2


def test_names_reasons_and_settings_cannot_become_markup(storage, no_figures):
    left_by_a_study(storage, trials(architecture=HOSTILE) + confirmations())
    folder = storage / "night"
    (folder / "samples" / f"{HOSTILE.replace('/', '_')}.png").write_bytes(_png(8))
    run(storage)
    html = page_of(storage)
    assert "alert(" in html
    assert "<script>alert" not in html
    assert "<b>NaN" not in html
    assert Outline(html).tags.count("script") == 1  # the page's own


def test_class_names_cannot_become_markup_in_figures_and_their_tables(storage):
    left_by_a_study(storage, trials("accuracy") + confirmations("accuracy"), summary=None, space="digits_classifier")
    confusion = np.array([[8, 2], [1, 9]])
    arrays = {"confusion": confusion, "per_class_accuracy": np.array([0.8, 0.9])}
    np.savez(storage / "night" / "samples" / "predictions.npz", **arrays)
    run(storage)
    html = page_of(storage)
    assert "&lt;script&gt;alert" in html
    assert "<script>alert" not in html


def test_every_table_is_a_csv_file_in_full_precision(storage, no_figures):
    left_by_a_study(storage, trials(best=0.2000000000000001) + confirmations())
    folder = storage / "night"
    (folder / "report").mkdir()
    (folder / "report" / "of_an_earlier_report.csv").touch()
    run(storage)
    files = {path.name for path in (folder / "report").iterdir()}
    assert {"index.html", "leaderboard.csv", "confirmation_runs.csv", "baseline.csv", "failures.csv"} <= files
    assert "of_an_earlier_report.csv" not in files
    assert pd.read_csv(folder / "report" / "leaderboard.csv")["val_mse"][0] == 0.2000000000000001
    assert pd.read_csv(folder / "report" / "failures.csv")["reason"].tolist() == ["loss is <b>NaN</b>"]


def test_pages_in_one_folder_have_tables_of_their_own(storage, no_figures):
    folder = storage / "night"
    before = {path.name: path.read_bytes() for path in folder.glob("*.csv")}
    pages = {0.20: folder / "report.html", 0.15: folder / "50 % of #2.html"}
    for best, page in pages.items():
        write_study(storage, f"night{best}", trials(best=best), **ABOUT)
        assert run(storage, "--out", str(page), name=f"night{best}") == 0
    assert {path.name: path.read_bytes() for path in folder.glob("*.csv")} == before
    for best, page in pages.items():
        links = {unquote(link) for link in Outline(page.read_text()).links if link.endswith("leaderboard.csv")}
        assert links == {f"{page.stem}-tables/leaderboard.csv"}
        assert pd.read_csv(folder / links.pop())["val_mse"][0] == best


def test_study_without_a_summary_gives_a_partial_report_that_says_so_first(storage, no_figures, capsys):
    left_by_a_study(storage, summary=None)
    assert run(storage) == 0
    assert "interrupted" in capsys.readouterr().err
    html = page_of(storage)
    assert html.index("This study was interrupted") < html.index("<main")
    assert "Best so far" in html
    assert "t0002: 0.2 validation MSE per pixel" in html  # completed before stopped ones
    assert "95 % interval" not in html[: html.index('id="confirmation"')]


def test_states_are_told_apart_by_lock_journal_and_failures(storage):
    folder = StudyFolder(storage / "night")
    assert read_study("night", storage).state == "finished"
    assert read_study("night", storage).partial is None
    record(folder, SessionStarted({}))
    assert read_study("night", storage).state == "finished"
    record(folder, SessionStarted({"trials": 9}))
    assert (folder.path / "summary.json").is_file()  # of the end before
    assert read_study("night", storage).state == "interrupted"
    assert read_study("night", storage).summary is None
    record(folder, Finished(SUMMARY))
    assert read_study("night", storage).state == "finished"
    left_by_a_study(storage, [made_up_trial(0, status="failed")], summary=None)
    assert read_study("night", storage).state == "interrupted"
    record(folder, Failed("200 networks in a row were refused"))
    assert read_study("night", storage).partial == (
        "This study failed: 200 networks in a row were refused. What follows is what it left."
    )
    record(folder, SessionStarted({}))
    assert read_study("night", storage).state == "interrupted"


def test_study_whose_journal_is_damaged_is_one_line_and_exit_2(storage, capsys):
    journal = storage / "night" / "journal.jsonl"
    journal.write_text("nothing\n" + journal.read_text())
    assert run(storage) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "damaged in line 1" in line


def test_study_that_is_locked_by_its_driver_is_running(storage):
    import sys

    lock = storage / "night" / ".lock"
    hold = f"import fcntl, sys; f = open({str(lock)!r}, 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as driver:
        assert driver.stdout.readline()
        assert read_study("night", storage).state == "running"
        driver.communicate(b"\n")
    assert read_study("night", storage).state == "finished"
    with lock.open("w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # reading has left no lock behind


def odd_trial(number=0, value=None, epochs=2, **about):
    measured = [{} if value is None else {"val_mse": value}] * epochs
    return made_up_trial(number, epochs=measured, config=config(), params=100, **about)


ODD_TRIALS = {
    "no trial": [],
    "one trial": [odd_trial(value=0.3)],
    "one running trial": [odd_trial(epochs=0, status="running")],
    "only failed trials": [odd_trial(n, epochs=0, status="failed", reason=why) for n, why in enumerate(("why", None))],
    "trials without a value": [odd_trial(0, float("nan")), odd_trial(1, float("inf"), 1, status="stopped")],
    "one latent size": trials(latent_size=8),
}


@pytest.mark.parametrize("runs", ODD_TRIALS.values(), ids=ODD_TRIALS.keys())
def test_odd_trials_give_a_report_and_no_traceback(storage, runs):
    left_by_a_study(storage, runs, summary=None)
    assert run(storage) == 0
    assert "Methods and limits" in page_of(storage)


def test_study_of_reported_configurations_has_a_report_without_a_trial(storage):
    left_by_a_study(storage, confirmations(), settings=SETTINGS | {"reported": "fashion/*", "trials": 0})
    assert run(storage) == 0
    assert "no search: the reported configurations fashion/*" in page_of(storage)


def test_nothing_is_the_winner_s_or_the_best_where_nothing_was_chosen(storage):
    runs = made_up_seeds("fashion_base", {"train_accuracy": [0.7, 0.8], "test_accuracy": [0.6, 0.7]}, config=config())
    best = SUMMARY["best"] | {"trial_id": "fashion_base", "val": {}}
    confirmed = [{"id": "fashion_base", "key": "fashion/base", "test": {"test_accuracy": TEST_MSE}}]
    summary = SUMMARY | {"metric": "val_accuracy", "chosen_by": None, "best": best, "confirmed": confirmed}
    data = ABOUT["data"] | {"sizes": {"train": 500, "val": 0, "test": 90}}
    settings = SETTINGS | {"space": "digits_classifier", "reported": "fashion/base", "trials": 0, "as_reported": True}
    left_by_a_study(storage, runs, summary=summary, data=data, settings=settings, space="digits_classifier")
    samples = storage / "night" / "samples"
    np.savez(samples / "predictions.npz", confusion=np.array([[8, 2], [1, 9]]))
    rates = np.array([[0.2, 0.1], [0.3, 0.1]])
    np.savez(samples / "per_class.npz", error_rate=rates, images=np.array([10, 10]), components=np.array(4))
    for name in ("reconstructions", "by_class", "confusion"):
        (samples / f"{name}.png").write_bytes(_png(8))
    run(storage)
    html = unescape(page_of(storage))
    assert "The first configuration's error rate goes from" in html
    assert "winner" not in html
    assert "best network" not in html


SEARCHED, REPORTED = {}, {"reported": "fashion/*", "trials": 0}


@pytest.mark.parametrize(
    ("settings", "roles", "said"),
    [
        (SEARCHED, [], ""),
        (
            SEARCHED,
            [("t0002", "choose"), ("t0000", "choose"), ("t0002", "report"), ("t0002", "report")],
            "The best trials and the given configurations (2 configs) were trained again on fresh seeds to choose the "
            "winner by validation data. t0002 was trained on 2 further seeds; only these runs read the test images.",
        ),
        (
            SEARCHED,
            [("t0002", "report"), ("t0000", "report")],
            "t0002 and t0000 were trained on 1 fresh seed each; only these runs read the test images.",
        ),
        (
            SEARCHED | {"confirm_reported": False},
            [("t0002", "choose"), ("t0000", "choose")],
            "The best trials (2 configs) were trained again on fresh seeds to choose the winner by validation data. "
            "No run read the test images.",
        ),
        (REPORTED, [("a", "report")], "a was trained on 1 seed. All of these runs read the test images."),
        (
            REPORTED,
            [("a", "choose"), ("b", "choose"), ("b", "report")],
            "The reported configurations (2 configs) were trained to choose the winner by validation data. b was "
            "trained on 1 further seed. All of these runs read the test images.",
        ),
    ],
)
def test_the_report_says_which_runs_chose_and_which_read_the_test_images(storage, settings, roles, said):
    confirmed = [
        MadeUpRun(f"r{number}", number, epochs=[{"val_mse": 0.2}], seed=number, confirm_of=name, role=role)
        for number, (name, role) in enumerate(roles)
    ]
    left_by_a_study(storage, trials() + confirmed, settings=SETTINGS | settings)
    page = report_page(read_study("night", storage), ())
    intro = {section.id: section.intro for section in page.sections}["confirmation"] if roles else ""
    assert intro == said
    methods = unescape(render(page)).split('id="methods"')[1]
    assert said in methods
    assert "tested once" not in methods
    assert "trained again on fresh seeds, and only those" not in methods


def test_study_that_found_nothing_says_so(storage, no_figures):
    nothing = {"best": None, "baseline": None, "ratio_to_pca": None, "verdict": None, "confirmed": []}
    left_by_a_study(storage, summary=SUMMARY | nothing)
    assert run(storage) == 0
    assert "none: no trial was completed" in page_of(storage)


BOUND = "the network's bound on −log p is lower than probabilistic PCA's"


@pytest.mark.parametrize(
    ("nats", "error", "shown"),
    [
        (BOUND, "better than PCA", f"{BOUND}; by error better than PCA"),
        (BOUND, "its error (of one seed: no interval) is lower than PCA's", f"{BOUND}; its error (of one seed"),
        (BOUND, None, f"{BOUND}; by error not compared"),
        ("a lower bound than PCA's", None, "in nats a lower bound than PCA's; by error not compared"),  # earlier
    ],
)
def test_a_vaes_report_says_its_verdict_in_nats_and_by_error(storage, no_figures, nats, error, shown):
    about = {"n_components": 3, "test_nelbo": 400.25, "test_nelbo_clipped": 201.5, "note": None}
    left_by_a_study(storage, summary=SUMMARY | {"verdict": error, "nats": about | {"verdict": nats}})
    assert run(storage) == 0
    html = unescape(page_of(storage))
    assert shown[0].upper() + shown[1:] in html
    assert ("at the same size of code; its bound on −log p is lower than probabilistic PCA's." in html) == (
        nats == BOUND
    )
    assert "With 3 components, of up to 4 the best on validation images" in html
    assert "201.5 test −ELBO (nats per image)" in html


def test_unconfirmed_study_says_that_the_test_split_was_not_touched(storage, no_figures):
    best = SUMMARY["best"] | {"test": None}
    unconfirmed = {"best": best, "confirmed": [], "ratio_to_pca": None, "verdict": None, "ratio_note": "not touched"}
    left_by_a_study(storage, trials(), summary=SUMMARY | unconfirmed)
    assert run(storage) == 0
    assert "The test split was not touched" in page_of(storage)
    assert "There is no confirmation" in page_of(storage)
    assert "0.4 validation MSE per pixel" in page_of(storage)  # PCA's, beside the best trial's validation error
    assert "0.44 test MSE" not in page_of(storage)


DAMAGE = {
    "study.json": ["{", "[]", '{"objective": {}}', '{"objective": null}'],
    "summary.json": ["nothing", "[]"],
    "trials.csv": ["", "name,price\n1,2\n", b"\xff\xfe\x00"],
    "history.csv": ['trial_id,epoch\n"open'],
    "baseline.csv": ["a,b\n1,2,3,4\n"],
}


@pytest.mark.parametrize(("file", "content"), [(file, text) for file, texts in DAMAGE.items() for text in texts])
def test_damaged_or_foreign_files_are_one_line_and_exit_2(storage, capsys, file, content):
    (storage / "night" / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert run(storage) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert file in lines[0]


@pytest.mark.parametrize("name", ["day", "", "..", "../night", "night/"])
def test_unknown_study_is_one_line_that_names_those_there_are_and_exit_2(storage, capsys, name):
    assert run(storage, name=name) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "there are: night" in lines[0]


def test_report_that_cannot_be_written_is_one_line_and_exit_2(storage, no_figures, capsys):
    (storage / "night" / "report").write_text("a file")
    assert run(storage) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_study_without_tables_yet_is_refused(tmp_path):
    write_study(tmp_path, "new", [made_up_trial(0, status="running")], search_end=False)
    (tmp_path / "new" / "study.json").unlink()
    with pytest.raises(NoStudyError, match="no tables yet"):
        read_study("new", tmp_path)


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        (["study.json"], "lacks study.json, made again"),
        (["study.json", "trials.csv", "history.csv"], "lacks study.json and 2 more files, made again"),
        (["baseline.csv"], "lacks baseline.csv, made again"),
        (["summary.json"], "lacks summary.json, made again"),  # without it, it would be an interrupted one
    ],
)
def test_a_finished_study_that_has_lost_files_names_what_makes_them_again(tmp_path, lost, words):
    folder = write_study(tmp_path, "done", [made_up_trial(0, epochs=[{"val_mse": 0.1}])], summary={"best": None})
    for file in lost:
        (folder / file).unlink()
    with pytest.raises(NoStudyError) as refused:
        read_study("done", tmp_path)
    assert words in str(refused.value)
    assert StudyFolder(folder).resume_command() in str(refused.value)


@pytest.mark.parametrize(
    ("file", "harm"),
    [
        ("confirm.csv", lambda text: text.rsplit("\n", 2)[0] + "\n"),
        ("trials.csv", lambda text: text.replace("0.3", "0.1")),
        ("pretraining.csv", None),  # one that not every study has
    ],
)
def test_a_finished_studys_table_that_its_journal_does_not_name_is_refused_before_anything_is_written(
    file, harm, storage, no_figures, capsys
):
    folder = StudyFolder(left_by_a_study(storage) / "night")
    table = folder.path / file
    if not table.exists():
        table.write_text(",".join(PRETRAINING.columns) + "\n")
    record(folder, Finished(read_state(folder.journal).summary, kept.of_study(folder)))
    assert read_study("night", storage).state == "finished"
    if harm:
        before = table.read_text()
        table.write_text(harm(before))
        assert table.read_text() != before
    else:
        table.unlink()
    assert run(storage, "--paper") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"has a changed or damaged {file}, made again from its journal by: {folder.resume_command()}" in line
    assert not folder.paper.exists()
    assert not (folder.path / "report").exists()


@dataclass(frozen=True)
class Curve:
    values: list[float]

    @property
    def caption(self):
        return "A rising line."

    def table(self):
        return pd.DataFrame({"value": self.values})


def plot_curve(data):
    figure = Figure(figsize=(6, 2))
    figure.subplots().plot(data.values)
    return figure


def test_figure_with_nothing_to_show_leaves_no_trace_and_one_that_fails_fails_the_report(storage):
    study = read_study("night", storage)

    def fail(_):
        raise RuntimeError("wrong")

    drawn = (Drawing("stopping", "curve", "Curve", lambda _: Curve([1, 2]), plot_curve),)
    nothing = (Drawing("stopping", "curve", "Curve", lambda _: None, plot_curve),)
    assert "stopping" in {section.id for section in report_page(study, drawn).sections}
    assert "stopping" not in {section.id for section in report_page(study, nothing).sections}
    with pytest.raises(RuntimeError, match="wrong"):
        report_page(study, (Drawing("stopping", "curve", "Curve", fail, plot_curve),))


def test_figures_are_vectors_unless_they_are_large_and_always_the_same():
    small = embed(plot_curve(Curve([1, 2])), "Small", "Two points.")
    assert small.media_type == "image/svg+xml"
    assert small == embed(plot_curve(Curve([1, 2])), "Small", "Two points.")
    figure = Figure(figsize=(6, 2))
    figure.subplots().plot(np.random.default_rng(0).normal(size=20_000), "o")
    assert embed(figure, "Large", "Many points.").media_type == "image/png"


def test_a_phone_and_paper_get_figures_of_their_own_width(storage):
    drawing = Drawing("stopping", "curve", "Curve", lambda _: Curve([1, 2]), plot_in_house_style)
    (picture, _) = pictures.drawn(drawing, read_study("night", storage))
    assert (picture.width, picture.narrow.width) == (696, 464)
    html = render(Page("Title", "Lead", [Section("s", "S", [picture])]))
    wide, narrow = re.findall(r'<img src="data:image/svg\+xml;base64,([^"]+)".* class="vector (wide|narrow)">', html)
    assert [kind for _, kind in (wide, narrow)] == ["wide", "narrow"]
    assert b64decode(narrow[0]) == picture.narrow.data != picture.data == b64decode(wide[0])


def plot_in_house_style(data):
    figure, (axes,) = style.figure(2)
    axes.plot(data.values)
    return figure


def test_large_pictures_are_made_smaller_and_named_by_what_they_show(storage):
    samples = storage / "night" / "samples"
    noise = np.random.default_rng(0).integers(0, 256, (900, 900, 3), dtype=np.uint8)
    Image.fromarray(noise).save(samples / "reconstructions.png")
    (samples / "of_my_own.png").write_bytes(_png(8))
    (picture, own) = [
        item
        for section in report_page(read_study("night", storage), ()).sections
        for item in section.items
        if isinstance(item, Picture)
    ]
    assert picture.media_type == "image/webp"
    assert len(picture.data) < (samples / "reconstructions.png").stat().st_size / 2
    assert (picture.title, own.title) == ("Reconstructions", "Of my own")


def test_long_table_shows_its_first_rows_and_says_so():
    table = Table("many", "Many", pd.DataFrame({"row": range(40), "value": [0.5] * 40}), rows=3)
    html = render(Page("Title", "Lead", [Section("s", "S", [table])]))
    assert html.count('<th scope="row">') == 3
    assert "The first 3 of 40 rows" in html


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium here")
@pytest.mark.parametrize("values", [["b", None, "", "a"], [2.0, None, float("nan"), 1.0]])
def test_what_is_missing_stands_below_whichever_way_a_column_is_sorted(tmp_path, values):
    frame = pd.DataFrame({"row": range(4), "value": values})
    html = render(Page("Title", "Lead", [Section("s", "S", [Table("one", "One", frame)])]))
    html = re.sub('<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)  # which lets no other script run
    for clicks, order in ((1, "3 0 1 2"), (2, "0 3 1 2")):
        click = "<script>for (let n = 0; n < CLICKS; n++) document.querySelectorAll('th button')[1].click()</script>"
        page = tmp_path / "page.html"
        page.write_text(html.replace("</body>", click.replace("CLICKS", str(clicks)) + "</body>"))
        command = ["chromium", "--headless", "--no-sandbox", f"--user-data-dir={tmp_path / 'of-it'}", "--dump-dom"]
        shown = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, check=True).stdout
        assert " ".join(re.findall(r'<th scope="row">(\d)', shown)) == order


def test_images_of_a_built_in_data_set_have_their_source_and_licence(storage):
    def shown():
        return unescape(page_of_file(storage)).replace("<wbr>", "")

    spec = search_spaces.datasets()["digits"]
    source = f"<dt>source</dt><dd>{spec.source} <small>licence: {spec.licence}</small>"
    assert source in shown()
    left_by_a_study(storage, settings=SETTINGS | {"data": "digits"})
    assert source in shown()
    left_by_a_study(storage, settings=SETTINGS | {"data": "own/digits"})
    assert spec.source not in shown()


def test_ranges_that_were_searched_are_a_table_of_the_report(finished):
    assert "integer 2 to 16, logarithmic" in page_of(finished)
    written = (finished / "night" / "report" / "searched.csv").read_text().splitlines()
    assert written[:2] == ["parameter,range", 'latent_size,"integer 2 to 16, logarithmic"']


def test_command_that_repeats_the_study_gives_its_settings(storage):
    study = read_study("night", storage)
    again, _ = repeat_commands(study)
    settings = settings_of(command_line.parse(shlex.split(again)[2:]).given).to_json()
    assert settings["name"] == "night-again"
    for key in SETTINGS.keys() - {"name", "storage"}:
        assert settings[key] == SETTINGS[key], key


def test_command_that_repeats_reported_configurations_gives_their_settings(storage):
    of_reported = {"space": "cifar_classifier", "reported": "cifar_cnn/[AD]", "trials": 0, "confirm_reported": False}
    settings = SETTINGS | of_reported | {"time_budget_s": None, "objectives": ["val_accuracy"], "train_size": None}
    left_by_a_study(storage, space="cifar_classifier", settings=settings)
    again, _ = repeat_commands(read_study("night", storage))
    repeated = settings_of(command_line.parse(shlex.split(again)[2:]).given).to_json()
    for key in settings.keys() - {"name", "storage"}:
        assert repeated[key] == settings[key], key


def test_numbers_are_short_and_missing_ones_a_dash():
    values = [0.0123456, 1234.5678, 100, 2.0, None, float("nan"), True, np.int64(12_345), "adam", np.float32(0.5)]
    expected = ["0.01235", "1,235", "100", "2", "–", "–", "yes", "12,345", "adam", "0.5"]
    assert [words.cell(value) for value in values] == expected
    assert [duration(seconds) for seconds in (69.4, 600, 9000, 12_942_360)] == ["69 s", "10 min", "2.5 h", "3,595 h"]
    assert number(0.0000123) == "1.23e-5"


def _png(side):
    file = BytesIO()
    Image.new("RGB", (side, side)).save(file, "PNG")
    return file.getvalue()


def test_the_repeat_command_reports_the_study_that_it_makes(storage):
    again, reported = repeat_commands(read_study("night", storage))
    assert again.endswith("--name night-again")
    assert shlex.split(reported) == ["python", "analysis/report.py", "night-again"]


def test_a_smoke_study_says_first_that_it_is_no_measurement(storage):
    assert report_page(read_study("night", storage), ()).warning is None
    left_by_a_study(storage, settings={**SETTINGS, "smoke": True})
    html = render(report_page(read_study("night", storage), ()))
    assert html.index("This is a smoke study") < html.index('id="headline"')
    left_by_a_study(storage, settings={**SETTINGS, "smoke": True}, summary=None)
    warning = report_page(read_study("night", storage), ()).warning
    assert "measures nothing" in warning
    assert "interrupted" in warning


def test_a_study_whose_trials_were_all_given_has_no_sampler_that_chose(storage):
    given = trials()
    for run in given:
        run.key = f"digits_ae/{run.id}"
    left_by_a_study(storage, given + confirmations())
    html = unescape(render(report_page(read_study("night", storage), ())))
    assert "no sampler chose the settings of these trials (4 given, 0 suggested)" in html
    assert "digits_ae, 4 trials (4 given, 0 suggested)" in html.replace("<wbr>", "")
    left_by_a_study(storage, [*given[:1], *trials()[1:], *confirmations()])
    html = unescape(render(report_page(read_study("night", storage), ())))
    assert "1 given, 3 suggested; a sampler suggests more often what has been good" in html
