"""What a terminal of 80 columns shows of a running study."""

import io

import pytest
from rich.console import Console

import search_spaces
from study.driver.display import Display
from study.record.events import EpochEnded, RunEnded, RunStarted, StudyStarted
from study.record.state import StudyState
from study.settings.command_line import parse
from study.settings.resolve import settings_of

CONFIG = search_spaces.get("digits_ae").default


@pytest.fixture
def display(tmp_path, monkeypatch):
    """A study of 32 trials, of which one is done and one is running, a minute after it began."""
    settings = settings_of(parse(["--space", "digits_ae", "--name", "night", "--storage", str(tmp_path)]).given)
    state = StudyState()
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None, soft_wrap=True)
    shown = Display(settings, state, "val_mse", console)
    shown.pca = lambda run: 0.024297
    shown.begin("search")
    events = [StudyStarted(settings.to_json(), time=0.0)]
    for number in range(2):
        run = {"id": f"t{number:04}", "kind": "trial", "number": number, "config": CONFIG, "seed": 0}
        events.append(RunStarted(**run, params=1_141_859, budget=30, key=None, time=0.0))
        metrics = {"val_mse": 0.0123, "seconds": 1.0}
        events += [EpochEnded(run["id"], n, metrics, time=0.0) for n in range(1, 4)]
    events.append(RunEnded("t0000", "stopped", "asha", {}, time=0.0))
    for event in events:
        state.apply(event)
        shown(event)
    monkeypatch.setattr("study.driver.display.time.monotonic", lambda: shown._start + 60)
    return shown


def test_the_panel_is_whole_on_a_narrow_terminal(display):
    display.console.file = io.StringIO()
    display.console.print(display._panel())
    lines = display.console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].split("  ") == ["1 running", "0 completed", "1 stopped", "0 failed", "0.10 epochs/s", "15 min left"]
    assert lines[2] == "best val_mse 0.012300 (t0000)  PCA to beat 0.024297"
    assert lines[3].startswith("t0001 ")
    assert "3/30" in lines[3]


def test_an_ended_trial_is_a_line_above_it(display):
    line = display.console.file.getvalue()
    assert line.startswith("t0000     stopped      3/30 epochs")
    assert "dense z=8 1,141,859 params adam 0.003  [1/32, best 0.012300]" in line
