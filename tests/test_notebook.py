"""docs/notebook.ipynb, run from its first cell to its last in a folder of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from study_processes import prepare, state_of

NOTEBOOK = Path(__file__).resolve().parents[1] / "docs" / "notebook.ipynb"


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """Let the kernel "python3" be this interpreter, whatever else is installed on the machine."""
    from ipykernel.kernelspec import install

    install(prefix=str(tmp_path / "jupyter"))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter" / "share" / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    assert sys.executable in (tmp_path / "jupyter/share/jupyter/kernels/python3/kernel.json").read_text()


@pytest.mark.slow
def test_every_cell_of_the_notebook_runs(tmp_path, kernel):
    prepare(tmp_path)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "kept without what it printed somewhere"
    NotebookClient(notebook, timeout=1200, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    printed = {cell.source.splitlines()[0]: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}
    (first,) = printed["%matplotlib inline"]
    assert "Study night" in first.data["text/html"]
    figures = [output for outputs in printed.values() for output in outputs if "image/png" in output.get("data", {})]
    assert len(figures) == 2
    assert state_of(tmp_path).count("trial")["running"] == 0
    assert len(state_of(tmp_path).trials) == 6
    assert (tmp_path / "results/night/report/index.html").is_file()
    assert (tmp_path / "results/mine/summary.json").is_file()
