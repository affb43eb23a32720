"""Threads that import parts of one package at once find halves of it, or wait for each other: here none can."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Runs `first`, then prints the modules that `second` imports besides.
IMPORTED = """
import sys
{first}
before = set(sys.modules)
{second}
print("imported:", *(set(sys.modules) - before))
"""


def imported(first, second):
    script = IMPORTED.format(first=first, second=second)
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize("source", ["digits", "mnist"])
def test_what_is_imported_while_ray_starts_is_not_what_ray_imports(source):
    first = "import ray; from study.cluster import joining; from study.driver import inputs, launch"
    first += "; from study.data import image_data"
    by_thread = imported(first, f"inputs.import_libraries('sqlite:///none.db', {source!r})")
    by_ray = imported(first, "with joining.joined(None): pass")
    assert {"torch", "mlflow", "torchvision" if source == "mnist" else "sklearn"} <= by_thread
    # What Cython's modules share is no file's: the first of them makes it, in one step.
    both = {name for name in by_thread & by_ray if not name.startswith("_cython_")}
    assert {name for name in both if name.split(".")[0] not in sys.stdlib_module_names} == set()


def test_what_is_not_tracked_imports_no_tracker_and_says_nothing():
    by_thread = imported("from study.driver import inputs", "inputs.import_libraries('', 'mine')")
    assert "torch" in by_thread
    assert "mlflow" not in by_thread


def test_mlflow_is_whole_before_the_thread_that_uses_it_begins():
    """Tune imports it, too, in the main thread, when a search begins."""
    first = """
import threading
from pathlib import Path
from study.tracking.implementations import build_tracker
threading.Thread.start = lambda thread: None
build_tracker("sqlite:///none.db", print, Path()).started([])
"""
    by_tune = imported(first, "import ray.air.integrations.mlflow")
    assert "ray.air.integrations.mlflow" in by_tune
    assert {name for name in by_tune if name.split(".")[0] == "mlflow"} == set()


def test_imports_make_no_collections_and_later_ones_leave_out_what_they_made():
    script = """
import gc
from study.record import machine
before = sum(counted["collections"] for counted in gc.get_stats())
try:
    with machine.importing():
        import sklearn.linear_model
        made = sum(counted["collections"] for counted in gc.get_stats()) - before
        raise KeyError
except KeyError:
    print(made, gc.isenabled(), len(gc.get_objects()) < gc.get_freeze_count() // 100)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "True", "True"]
