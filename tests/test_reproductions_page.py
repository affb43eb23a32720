"""The page of the reproductions: every claim once, in the reports' order, beside the runs that are kept."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from made_up_studies import runs, write_study
from PIL import Image

import search_spaces
from analysis import report
from analysis.page.reported_pages import REPORTED_PAGES, Claimed, Curves, Pictures
from study.driver.keeping import keep
from study.record.events import SessionStarted
from study.record.folder import StudyFolder
from study.record.journal import Journal
from study.record.reproductions import PACES

D = "cifar_cnn/D"
HERE = {"git_commit": "a" * 40, "cpu": "A CPU", "cpus": 2, "gpus": [], "versions": {"torch": "2"}}


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> tuple[Path, str]:
    """A page of two kept studies, and its text."""
    folder = tmp_path_factory.mktemp("page")
    rows = runs(D, val_accuracy=[0.58, 0.59, 0.60], train_accuracy=[0.8, 0.81, 0.82])
    about = {"environment": {**HERE, "gpus": ["A GPU"]}, "gpu": {"runs": 1, "reason": "x"}, "summary": {}}
    study = StudyFolder(write_study(folder / "results", "reproduce-D-x3", rows, space="cifar_classifier", **about))
    record = Journal(study.journal)
    for environment in (HERE, HERE, {**HERE, "git_commit": "b" * 40}):
        record.append(SessionStarted({}, environment=environment))
    record.close()
    keep(study, folder / "kept")
    base = runs("fashion/base", val_mse=[0.02, 0.021], train_mse=[0.03, 0.031])
    study = StudyFolder(write_study(folder / "results", "reproduce-base-x2", base, space="fashion_ae", summary={}))
    study.samples.mkdir()
    Image.new("RGB", (9, 9)).save(study.samples / "reconstructions.png")
    keep(study, folder / "kept")
    paces = {"a processor": {"cifar_ae/1+1": {"digest": "x", "seconds": [3600.0]}}}
    (folder / "kept" / PACES).write_text(json.dumps(paces))
    page = folder / "docs" / "reproductions.md"
    assert report.main(["--reproductions", str(folder / "kept"), "--out", str(page)]) == 0
    return page, page.read_text()


def test_the_reports_and_their_parts_stand_in_their_order(written):
    _, text = written
    heads = re.findall(r"^## (\w+):", text, re.MULTILINE)
    assert heads == ["cifar_ae", "mnist_ae", "flowers", "cifar_cnn", "fashion"]
    ladder = re.findall(r"^### Model (\w+)$", text, re.MULTILINE)
    assert ladder == ["A", "B", "C", "D", "E", "F", "G", "GAP", "GAP_240"]


def test_every_claim_is_there_once(written):
    _, text = written
    rows = [line for line in text.splitlines() if line.startswith("| ") and line.endswith("** |")]
    assert len(rows) == len(search_spaces.claims())
    assert "| in all | 169 |" in text


def test_a_claim_stands_beside_ours_with_its_verdict_and_its_run(written):
    _, text = written
    row = next(line for line in text.splitlines() if line.startswith("| Model D's val accuracy is 0.59."))
    assert "| 0.59 (val) |" in row
    assert "0.59 (0.5652 to 0.6148)" in row
    assert "3 seeds; 16 of 16 epochs" in row
    assert row.endswith("| **holds** |")
    assert "[reproduce-D-x3](../kept/reproduce-D-x3)" in row


def test_what_was_run_has_its_link_and_what_was_not_its_hours(written):
    page, text = written
    row = next(line for line in text.splitlines() if line.startswith(f"| [{D}]"))
    assert "| 16 of 16 | 3 | 42,000 |" in row
    assert row.endswith("| A GPU, then A CPU, 1 thread a run | aaaaaaa, bbbbbbb |")
    assert "| cifar_ae/1+1 | 100 | not run yet |  | about 100.00 a seed |" in text
    links = re.findall(r"\]\(([^)#]+)\)", text)
    files = [link for link in links if not link.endswith(".md")]
    assert len(set(files)) == 5  # two studies, a curve of each, the reconstructions
    assert all((page.parent / link).exists() for link in files)


def test_the_same_studies_give_the_same_page(written):
    page, text = written
    pictures = {file: file.read_bytes() for file in page.parent.rglob("*.png")}
    assert report.main(["--reproductions", str(page.parents[1] / "kept"), "--out", str(page)]) == 0
    assert page.read_text() == text
    assert {file: file.read_bytes() for file in page.parent.rglob("*.png")} == pictures
    assert max(map(len, pictures.values())) < 60_000


def test_parts_name_configurations_and_claims_that_there_are():
    reported, claims = search_spaces.reported(), [claim.key for claim in search_spaces.claims()]
    for page in REPORTED_PAGES:
        for part in page.parts:
            if isinstance(part, Curves | Pictures):
                assert set(part.keys) <= set(reported), part.title
            else:
                assert isinstance(part, Claimed)
                assert all(any(key.startswith(start) for key in claims) for start in part.claims), part.title


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["night", "--reproductions"], "it takes no NAME"),
        (["--reproductions", "nowhere"], "'nowhere' is no folder"),
        ([], "NAME is missing"),
    ],
)
def test_bad_input_is_one_line(argv, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert report.main(argv) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
