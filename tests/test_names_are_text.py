"""Names of classes, files and folders come from outside: they are text wherever they are shown."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import output
from analysis.figures import codes, predictions
from study.evaluation.pictures import confusion_picture
from study.record.commands import check_text
from study.record.errors import UsageError

NAMES = ["true", "=cmd()", "$5 coin", "a^b_{c$", "_hidden", "true class"]
RUN = Path(__file__).resolve().parents[1] / "study" / "run.py"


def test_a_confusion_matrix_takes_any_names(tmp_path):
    data = predictions.Confusion(np.arange(36).reshape(6, 6), NAMES)
    table = data.table()
    assert table.columns.tolist() == ["true", *NAMES]
    assert table.iloc[:, 0].tolist() == NAMES
    assert table.iloc[1, 1:].tolist() == list(range(6, 12))
    figure = predictions.plot_confusion(data)
    figure.savefig(tmp_path / "confusion.png")  # a formula that is none would raise here
    shown = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert [text.replace(r"\$", "$").strip() for text in shown] == NAMES
    output.write_table(tmp_path / "confusion.csv", table)
    lines = (tmp_path / "confusion.csv").read_text().splitlines()
    assert lines[0] == "true,true,'=cmd(),$5 coin,a^b_{c$,_hidden,true class"
    assert lines[2] == "'=cmd(),6,7,8,9,10,11"


def test_a_picture_of_a_confusion_matrix_takes_any_names():
    assert confusion_picture(np.eye(6, dtype=np.int64), NAMES).width > 100


def test_a_map_of_codes_names_every_class():
    points = pd.DataFrame({"x": range(12), "y": range(12), "label": [0, 1, 2, 3, 4, 5] * 2})
    points["class_name"] = [NAMES[label] for label in points["label"]]
    figure = codes.plot_code_map(codes.CodeMap(points, 2, None))
    figure.canvas.draw()
    named = [text.get_text().replace(r"\$", "$").strip() for legend in figure.legends for text in legend.get_texts()]
    assert named == NAMES


def test_text_that_begins_like_a_formula_is_inert_in_a_csv_file_and_numbers_are_numbers(tmp_path):
    table = pd.DataFrame({"name": ["=1+1", "@x", "-5", "+1", "plain"], "value": [-1.5, 2.0, None, 3.0, -4.0]})
    output.write_table(tmp_path / "table.csv", table)
    assert (tmp_path / "table.csv").read_text() == ("name,value\n'=1+1,-1.5\n'@x,2.0\n'-5,\n'+1,3.0\nplain,-4.0\n")


def test_a_path_that_is_not_utf_8_is_refused():
    with pytest.raises(UsageError, match=r"'caf\\xe9' is not UTF-8"):
        check_text(os.fsdecode(b"caf\xe9"))
    check_text("café")


@pytest.mark.parametrize("where", ["argument", "folder"])
def test_a_command_with_such_a_path_is_one_line_and_writes_nothing(tmp_path, where):
    odd = os.path.join(os.fsencode(tmp_path), b"caf\xe9")
    os.mkdir(odd)
    argument = odd if where == "argument" else b"images"
    done = subprocess.run(
        [os.fsencode(sys.executable), os.fsencode(RUN), b"--data", argument, b"--dry-run"],
        cwd=odd if where == "folder" else tmp_path,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert b"is not UTF-8" in done.stderr
    assert os.listdir(odd) == []
