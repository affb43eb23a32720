"""docs/own.md, whose commands are run one after the other, as somebody with a folder of photographs types them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from study_processes import TIMEOUT, environment, prepare

PAGE = Path(__file__).resolve().parents[1] / "docs" / "own.md"
BLOCKS = re.findall(r"^```bash\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
BIN = Path(sys.executable).parent


def execute(block: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a block of commands to its first one that fails, in the environment that the tests run in."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=folder,
        env=environment() | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def photographs(folder: Path) -> None:
    """Write stripes in two colours, upright and across, as JPEG files of many sizes."""
    rng = np.random.default_rng(0)
    for name, colour in (("cat", (200, 120, 40)), ("dog", (60, 90, 160))):
        (folder / name).mkdir(parents=True)
        for number in range(1, 31):
            height, width = rng.integers(40, 90, 2)
            down, across = np.mgrid[:height, :width]
            light = 0.5 + 0.5 * np.sin((across if name == "cat" else down) / rng.uniform(4, 9) + rng.uniform(0, 6))
            image = np.array(colour) * light[..., None] + rng.normal(0, 12, (height, width, 3))
            Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / name / f"{number}.jpg")


@pytest.mark.parametrize("block", ["false\ntrue\n", "false | true\n", "echo $of_no_meaning\n", "study nothing\ntrue\n"])
def test_a_block_fails_with_the_first_command_that_fails(block, tmp_path):
    assert execute(block, tmp_path).returncode != 0


@pytest.mark.slow
def test_the_commands_from_photographs_to_a_report_do_what_the_page_says(tmp_path):
    assert shutil.which("study", path=str(BIN)), f"the command `study` is not beside {sys.executable}: pip install -e ."
    photographs(tmp_path / "photos")
    prepare(tmp_path)
    promised = []
    for block in BLOCKS:
        done = execute(block, tmp_path)
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        files = re.findall(r"# writes ([\w./-]*\w)", block)
        assert [name for name in files if not (tmp_path / name).is_file()] == [], f"{block}\n{done.stdout}"
        promised += files
    assert "results/night/report/index.html" in promised
    verbs = set(re.findall(r"^study ([\w-]+)", "".join(BLOCKS), re.MULTILINE))
    assert verbs == {"run", "new-space", "check-space", "report", "predict", "export"}
