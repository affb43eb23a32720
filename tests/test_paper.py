"""What a paper takes from a study, and that LaTeX takes it."""

import re
import shutil
import subprocess

import pytest
from recorded_studies import made_up_seeds
from test_report import ABOUT, SETTINGS, SUMMARY, confirmations, left_by_a_study, run, trials

from analysis.page import pictures
from analysis.page.paper import checklist, latex, protocol, results_table, space_table
from analysis.study_files import read_study


@pytest.fixture
def storage(tmp_path):
    return tmp_path


@pytest.fixture
def study(tmp_path):
    left_by_a_study(tmp_path)
    return read_study("night", tmp_path)


@pytest.fixture
def two_figures(monkeypatch):
    """A paper with two figures, for what does not depend on more."""
    monkeypatch.setattr(pictures, "MODULES", ("best_so_far", "confirmation"))


def test_what_latex_would_take_for_commands_is_text():
    assert latex(r"50 % of a_b & {c} #1 $x$ ~ ^ \d") == (
        r"50 \% of a\_b \& \{c\} \#1 \$x\$ \~{} \^{} \textbackslash{}d"
    )
    assert latex("--seed 3 --- a''b,, ?`") == "-{}-seed 3 -{}-{}- a'{}'b,{}, ?{}`"
    assert latex("−ELBO … 1×8×8") == r"$-$ELBO \dots{} 1$\times$8$\times$8"


def test_the_results_are_a_table_with_intervals_and_the_baseline(study):
    table = results_table(study)
    assert table.count(r"\toprule") == table.count(r"\midrule") == table.count(r"\bottomrule") == 1
    (row,) = [line for line in table.splitlines() if line.startswith("t0002")]
    name, val, pca_val, test, pca_test = row.removesuffix(r" \\").split(" & ")
    assert (val, test) == (r"0.21 (0.08294 \dots{} 0.3371)", r"0.22 (0.09294 \dots{} 0.3471)")
    assert (name, pca_val, pca_test) == ("t0002", "0.4", "0.44")
    assert "each followed by the baseline's on the same images" in table
    assert r"latent size & integer 2 to 16, logarithmic \\" in space_table(study)


def test_the_protocol_says_data_search_seeds_statistics_versions_and_hours(study):
    said = protocol(study)
    for words in (
        "500 training and 90 validation images",
        r"digest abc of the decoded",
        r"space digits\_ae (Table~\ref{tab:space}) with Optuna~\cite{optuna}",
        r"4 trials (0 given, 4 suggested) of at most 2 epochs each, the suggested ones drawn by tpe~\cite{tpe}",
        r"; asha~\cite{asha} stopped 1 early.",
        "Test scores are of 1 configuration, 2 seeds each; no other run read the test images.",
        "took 2 min on the clock and",
        "A CPU, 2 cores, no GPU",
        "torch 2, commit ffffffffffff.",
    ):
        assert words in said, words


def test_what_later_sessions_ran_with_is_in_the_protocol_as_well(study):
    first = study.about["environment"]
    later = {**first, "python": "3.12.1", "versions": {"torch": "3"}, "git_commit": "e" * 40}
    study.about["later_environments"] = [first, later]
    assert protocol(study).endswith(
        f"torch 2, commit {'f' * 12}; and later on Python 3.12.1, torch 3, commit {'e' * 12}.\n"
    )


def test_runs_that_chose_among_reported_configurations_and_read_the_test_images_are_counted(storage):
    runs = confirmations() + confirmations() + confirmations()
    for number, one in enumerate(runs):
        one.role = "choose" if number < 4 else "report"
        one.id, one.seed = f"r{number}", number
        one.confirm_of = "t0003" if number in (2, 3) else "t0002"
    left_by_a_study(storage, runs, settings=SETTINGS | {"reported": "fashion/*", "trials": 0})
    study = read_study("night", storage)
    assert "The 2 configurations were trained on 2 seeds each, and the one with the best" in protocol(study)
    assert "no other run read" not in protocol(study)
    assert "4 runs in all, which read the test images as well; nothing went by that" in protocol(study)
    assert "By 6 confirmation runs, once each; nothing went by it" in checklist(study)


def test_nothing_was_tuned_where_the_one_trial_was_given(storage):
    (given, *_) = trials()
    given.key = "default"
    left_by_a_study(storage, [given, *confirmations()])
    study = read_study("night", storage)
    said = protocol(study)
    assert "Nothing was tuned: we ran given trials of the space" in said
    assert (
        r"1 trial (1 given, 0 suggested) of at most 2 epochs; asha~\cite{asha} stopped none early. Study seed 3."
        in said
    )
    assert "drawn by" not in said
    assert space_table(study) == "% nothing was searched\n"
    assert "- **What was tuned, and on what?** Nothing: 1 trial (1 given, 0 suggested)." in checklist(study)
    assert "By 2 confirmation runs, once each." in checklist(study)


def test_a_trial_that_the_end_of_the_search_cut_off_was_not_stopped_by_the_scheduler(storage):
    runs = trials()
    runs[1].reason = "by the time budget, after epoch 1 of 2"
    left_by_a_study(storage, runs + confirmations())
    assert r"asha~\cite{asha} stopped none early, and the end of the search cut 1 off." in protocol(
        read_study("night", storage)
    )


def test_nothing_was_tuned_where_reported_configurations_were_trained(storage):
    left_by_a_study(storage, confirmations(), settings=SETTINGS | {"reported": "fashion/*", "trials": 0})
    said = checklist(read_study("night", storage))
    assert "- **What was tuned, and on what?** Nothing: the reported configurations fashion/* were trained" in said
    assert "after the choice" not in said


def test_an_unfinished_study_took_its_training(storage):
    left_by_a_study(storage, summary=None)
    assert "The study took 6 s of training on A CPU" in protocol(read_study("night", storage))


def test_confirmation_runs_that_failed_are_counted_and_are_no_seeds(storage):
    values = {"val_mse": [0.20, 0.22, 0.24], "test_mse": [0.21, 0.23, 0.25]}
    named = [(role, of) for role in ("choose", "report") for of in ("t0000", "t0002")]
    runs = [one for role, of in named for one in made_up_seeds(of, values, role=role)]
    for number, one in enumerate(runs):
        one.id, one.seed = f"r{number}", number
        one.final = one.final if one.role == "report" else {}
    runs[2].status = runs[8].status = "failed"
    runs[8].final = {}
    left_by_a_study(storage, trials() + runs)
    study = read_study("night", storage)
    assert "The 2 configurations that did best were trained again on 2 to 3 seeds each" in protocol(study)
    assert "Test scores are of 2 configurations, 2 to 3 seeds each" in protocol(study)
    said = checklist(study)
    assert "2 to 3 seeds to report, which took no part in the choice; 2 to 3 seeds to choose." in said
    assert "1 trial failed (trials.csv has why) and 2 confirmation runs failed (confirm.csv has why); no other." in said


def test_a_config_none_of_whose_choosing_seeds_was_completed_is_counted_with_none(storage):
    runs = confirmations() + confirmations()
    for number, one in enumerate(runs):
        one.id, one.seed, one.role = f"r{number}", number, "choose"
        one.confirm_of, one.status = ("t0000", "failed") if number < 2 else ("t0002", "completed")
        one.final = {}
    left_by_a_study(storage, trials() + runs)
    said = protocol(read_study("night", storage))
    assert "The 2 configurations that did best were trained again on 0 to 2 seeds each" in said
    assert "No run read the test images; no run that was to report was completed." in said


def test_a_study_without_a_choice_says_that_no_seed_chose(study):
    assert "- **How many seeds?** 2 seeds to report; none to choose." in checklist(study)


def test_the_checklist_counts_the_runs_that_read_the_test_split(study):
    said = checklist(study)
    assert "- **How often was the test split read?** By 2 confirmation runs" in said
    assert "2 parameters, by the validation MSE per pixel; 4 trials" in said


def test_a_paper_is_a_folder_of_its_own_with_figures_of_a_columns_width(tmp_path, two_figures, capsys):
    left_by_a_study(tmp_path)
    assert run(tmp_path, "--paper") == 0
    folder = tmp_path / "night" / "paper"
    assert capsys.readouterr().out == f"{folder / 'main.tex'}\n{folder.parent / 'night.zip'}\n"
    assert {path.name for path in folder.iterdir()} == {
        *("main.tex", "protocol.tex", "results.tex", "space.tex", "references.bib", "checklist.md", "figures"),
    }
    assert {path.name for path in (folder / "figures").iterdir()} == {
        f"{name}.{kind}" for name in ("best_so_far", "confirmation") for kind in ("pdf", "svg")
    }
    width = float(re.search(r'width="([\d.]+)pt"', (folder / "figures" / "confirmation.svg").read_text())[1])
    assert 0.8 * 3.4 * 72 < width < 1.1 * 3.4 * 72
    cited = set(re.findall(r"\\cite\{(\w+)\}", (folder / "protocol.tex").read_text()))
    known = set(re.findall(r"^@\w+\{(\w+),", (folder / "references.bib").read_text(), re.MULTILINE))
    assert cited <= known
    assert not (tmp_path / "night" / "report").exists()


def test_a_paper_that_was_changed_is_kept_beside_the_new_one(tmp_path, two_figures, capsys):
    left_by_a_study(tmp_path)
    assert run(tmp_path, "--paper") == 0
    folder = tmp_path / "night" / "paper"
    (folder / "main.pdf").write_text("what LaTeX makes")
    assert run(tmp_path, "--paper") == 0
    assert capsys.readouterr().err == ""
    for number in (1, 2):
        (folder / "main.tex").write_text(f"edited {number}")
        (folder / "mine.tex").write_text("mine")
        assert run(tmp_path, "--paper") == 0
        aside = tmp_path / "night" / f"paper-{number}"
        assert capsys.readouterr().err == f"study: {folder} has changed since it was written; that is {aside} now\n"
        assert (aside / "main.tex").read_text() == f"edited {number}"
        assert (aside / "mine.tex").read_text() == "mine"
        assert not (folder / "mine.tex").exists()


def test_an_unfinished_study_has_no_paper_and_a_paper_no_other_place(tmp_path, capsys):
    left_by_a_study(tmp_path, summary=None)
    assert run(tmp_path, "--paper") == 2
    assert "--paper is of a finished study" in capsys.readouterr().err
    assert run(tmp_path, "--paper", "--out", str(tmp_path / "x.html")) == 2
    assert "takes no --out" in capsys.readouterr().err
    assert not (tmp_path / "night" / "paper").exists()


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")
def test_latex_compiles_it_whatever_names_the_study_has(tmp_path, two_figures):
    names = {"class_names": ["50 %", "a_b & {c}"], "name": "own_images & more"}
    about = {"data": ABOUT["data"] | names, "settings": ABOUT["settings"] | {"space": "digits_ae"}}
    left_by_a_study(tmp_path, trials(architecture="a_b#1") + confirmations(), summary=SUMMARY, **about)
    assert run(tmp_path, "--paper") == 0
    folder = tmp_path / "night" / "paper"
    for command in (["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main"], ["bibtex", "main"]):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:]
    assert (folder / "main.pdf").stat().st_size > 10_000
