"""docs/tutorial.md: its commands, run as they stand, in a folder of their own."""

from __future__ import annotations

import sys

import pytest
from shell_blocks import ROOT, execute, shell_blocks
from study_processes import prepare, state_of

BLOCKS = shell_blocks((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8"), indented=False)
# What pip writes for the command, but of this checkout, whatever the environment has installed.
COMMAND = f"""#!{sys.executable}
import sys
sys.path.insert(0, {str(ROOT)!r})
from study.__main__ import command
command()
"""


@pytest.fixture
def folder(tmp_path):
    """Return a folder to work in, and the folder of the command `study`."""
    script = tmp_path / "bin" / "study"
    script.parent.mkdir()
    script.write_text(COMMAND)
    script.chmod(0o755)
    work = tmp_path / "work"
    work.mkdir()
    prepare(work)
    return work, script.parent


@pytest.mark.slow
def test_every_command_of_the_tutorial_runs(folder):
    work, path = folder
    printed = []
    for block in BLOCKS:
        status, output = execute(block, work, path)
        assert status == 0, f"{block}{output}"
        printed.append(output)
    look, search, leaderboard, report, use, more = printed
    assert "An estimate of order" in look
    assert "Study night: " in search
    assert "study report night" in search
    assert "Confirmed" in leaderboard
    assert "results/night/report/index.html" in report
    assert "night.safetensors" in use
    assert "169" in use
    assert "Study night: " in more
    assert len(state_of(work).trials) == 8
    roles = {run.role for run in state_of(work).confirmations}
    assert roles == {"choose", "report"}
    page = (work / "results/night/report/index.html").read_text(encoding="utf-8")
    assert "PCA" in page
    assert [entry.name for entry in sorted(work.iterdir())] == ["mlflow.db", "night.safetensors", "results"]


def test_the_tutorial_names_commands_that_there_are():
    from study.__main__ import _VERBS

    words = [line.split() for block in BLOCKS for line in block.splitlines()]
    assert len(words) >= 8
    assert all(line[0] == "study" and line[1] in _VERBS for line in words)
