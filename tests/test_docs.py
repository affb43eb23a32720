"""docs/own.md, whose commands are run one after the other, as somebody with a folder of photographs types them."""

from __future__ import annotations

import re
import shutil

import pytest
from made_up_photographs import photographs
from shell_blocks import BIN, ROOT, execute, shell_blocks
from study_processes import prepare

BLOCKS = shell_blocks((ROOT / "docs" / "own.md").read_text(encoding="utf-8"), indented=False)


@pytest.mark.parametrize("block", ["false\ntrue\n", "false | true\n", "echo $of_no_meaning\n", "study nothing\ntrue\n"])
def test_a_block_fails_with_the_first_command_that_fails(block, tmp_path):
    status, _ = execute(block, tmp_path)
    assert status != 0


@pytest.mark.slow
def test_the_commands_from_photographs_to_a_report_do_what_the_page_says(tmp_path):
    assert shutil.which("study", path=str(BIN)), f"the command `study` is not in {BIN}: pip install -e ."
    photographs(tmp_path / "photos")
    prepare(tmp_path)
    promised = []
    for block in BLOCKS:
        status, output = execute(block, tmp_path)
        assert status == 0, f"{block}\n{output}"
        files = re.findall(r"# writes ([\w./-]*\w)", block)
        assert [name for name in files if not (tmp_path / name).is_file()] == [], f"{block}\n{output}"
        promised += files
    assert "results/night/report/index.html" in promised
    verbs = set(re.findall(r"^study ([\w-]+)", "".join(BLOCKS), re.MULTILINE))
    assert verbs == {"run", "new-space", "check-space", "report", "predict", "export"}
