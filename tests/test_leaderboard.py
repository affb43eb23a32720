import json

import pandas as pd
import pytest

from analysis.leaderboard import compute_confirmation, compute_leaderboard, main
from analysis.study_files import read_study

TRIALS = """trial_id,number,status,epochs,params,config.architecture,config.latent_size,config.optimizer,val_mse
t0000,0,completed,3,100,dense,8,adam,0.30
t0001,1,stopped,1,100,conv,8,adam,0.10
t0002,2,completed,3,100,dense,4,adam,0.20
t0003,3,failed,0,100,conv,4,adam,
"""
CONFIRM = """confirm_id,confirm_of,status,val_mse,test_mse
t0000-s1,t0000,completed,0.30,0.31
t0000-s2,t0000,completed,0.32,0.33
t0002-s1,t0002,completed,0.20,0.21
t0002-s2,t0002,failed,,
"""


@pytest.fixture
def storage(tmp_path):
    folder = tmp_path / "night"
    folder.mkdir()
    (folder / "journal.jsonl").touch()
    about = {"objective": {"metric": "val_mse", "mode": "min"}, "settings": {}}
    (folder / "study.json").write_text(json.dumps(about))
    (folder / "trials.csv").write_text(TRIALS)
    (folder / "history.csv").write_text("trial_id,epoch,seconds\n")
    (folder / "confirm.csv").write_text(CONFIRM)
    (folder / "baseline.csv").write_text("n_components,val_mse\n4,0.4\n8,0.25\n")
    return tmp_path


def test_completed_trials_come_first_and_each_is_compared_with_pca_at_its_size(storage):
    board = compute_leaderboard(read_study("night", storage), "val_mse", "min", top=10)
    assert board["trial_id"].tolist() == ["t0002", "t0000", "t0001"]
    assert board["pca"].tolist() == [0.4, 0.25, 0.25]
    assert board["ratio_to_pca"].tolist() == pytest.approx([0.5, 1.2, 0.4])
    assert len(compute_leaderboard(read_study("night", storage), "val_mse", "min", top=1)) == 1


def test_confirmed_configs_have_their_mean_and_their_number_of_completed_seeds(storage):
    table = compute_confirmation(read_study("night", storage), "val_mse", "min")
    assert table["confirm_of"].tolist() == ["t0002", "t0000"]
    assert table["seeds"].tolist() == [1, 2]
    assert table["test_mse"].tolist() == pytest.approx([0.21, 0.32])


def test_accuracies_are_ranked_from_the_highest_and_not_compared_with_an_error_of_pca(storage):
    folder = storage / "night"
    for name in ("trials.csv", "confirm.csv"):
        text = (folder / name).read_text()
        (folder / name).write_text(text.replace("val_mse", "val_accuracy").replace("test_mse", "test_accuracy"))
    (folder / "baseline.csv").write_text("n_components,val_mse,val_accuracy\n8,0.25,0.9\n")
    study = read_study("night", storage)
    board = compute_leaderboard(study, "val_accuracy", "max", top=10)
    assert board["trial_id"].tolist() == ["t0000", "t0002", "t0001"]
    assert "pca" not in board
    assert compute_confirmation(study, "val_accuracy", "max")["confirm_of"].tolist() == ["t0000", "t0002"]


def test_a_study_without_an_ended_trial_has_an_empty_board(storage):
    (storage / "night" / "trials.csv").write_text("trial_id,status\n")
    assert compute_leaderboard(read_study("night", storage), "val_mse", "min", top=3).empty


def test_an_unfinished_study_is_shown_and_said_to_be_unfinished(storage, capsys):
    assert main(["night", "--storage", str(storage)]) == 0
    out = capsys.readouterr().out
    assert "not finished" in out
    assert "t0002" in out


def test_an_unknown_study_is_one_line_and_exit_2(storage, capsys):
    assert main(["day", "--storage", str(storage)]) == 2
    assert "there are: night" in capsys.readouterr().err


def test_tables_keep_their_types(storage):
    study = read_study("night", storage)
    assert pd.api.types.is_integer_dtype(study.baseline["n_components"])
