"""docs/tutorial.md: its commands, run as they stand, in a folder of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from study_processes import environment, prepare, state_of

ROOT = Path(__file__).resolve().parents[1]
TUTORIAL = ROOT / "docs" / "tutorial.md"
BLOCKS = re.findall(r"^```bash\n(.*?)^```$", TUTORIAL.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
# What pip writes for the command, but of this checkout, whatever the environment has installed.
COMMAND = f"""#!{sys.executable}
import sys
sys.path.insert(0, {str(ROOT)!r})
from study.__main__ import command
command()
"""


@pytest.fixture
def folder(tmp_path):
    """Return a folder to work in, and the environment of a shell that finds `study`."""
    script = tmp_path / "bin" / "study"
    script.parent.mkdir()
    script.write_text(COMMAND)
    script.chmod(0o755)
    work = tmp_path / "work"
    work.mkdir()
    prepare(work)
    found = environment()
    return work, found | {"PATH": f"{script.parent}{os.pathsep}{found['PATH']}"}


@pytest.mark.slow
def test_every_command_of_the_tutorial_runs(folder):
    work, env = folder
    printed = []
    for block in BLOCKS:
        done = subprocess.run(
            ["bash", "-euc", block], cwd=work, env=env, capture_output=True, text=True, timeout=1200, check=False
        )
        assert done.returncode == 0, f"{block}{done.stdout}{done.stderr}"
        printed.append(done.stdout)
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
