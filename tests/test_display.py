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


class Shown:
    """A study of 32 trials as a terminal, or a file, shows it; `run` adds a trial that has ended or goes on."""

    def __init__(self, folder, *words, terminal=True, color_system=None):
        given = parse(["--space", "digits_ae", "--name", "night", "--storage", str(folder), *words]).given
        settings = settings_of(given)
        self.state = StudyState()
        file = io.StringIO()
        console = Console(
            file=file, width=80, force_terminal=terminal, color_system=color_system, soft_wrap=True, highlight=False
        )
        self.display = Display(settings, self.state, "val_mse", console)
        self.display.pca = lambda run: 0.024297
        self.tell(StudyStarted(settings.to_json(), time=0.0))
        self.display.confirmations = 18
        self.display.begin("search")

    def tell(self, *events):
        for event in events:
            self.state.apply(event)
            self.display(event)

    def run(self, value, status="completed", epochs=3, reason=None, params=1_141_859):
        number = len(self.state.runs)
        name = f"t{number:04}"
        self.tell(
            RunStarted(name, "trial", number, CONFIG, seed=0, budget=30, params=params, key=None, time=0.0),
            *(EpochEnded(name, n, {"val_mse": value, "seconds": 1.0}, time=0.0) for n in range(1, epochs + 1)),
            *([RunEnded(name, status, reason, {}, time=0.0)] if status != "running" else []),
        )

    @property
    def lines(self):
        return self.display.console.file.getvalue().splitlines()

    def panel(self):
        self.display.console.file = io.StringIO()
        self.display.console.print(self.display._panel())
        return self.lines


@pytest.fixture
def a_minute_later(monkeypatch):
    """Return a function after which a minute has passed for a display."""

    def later(shown):
        now = shown.display._start + 60
        monkeypatch.setattr("study.driver.display.time.monotonic", lambda: now)

    return later


def test_the_panel_is_whole_on_a_narrow_terminal(tmp_path, a_minute_later):
    shown = Shown(tmp_path)
    shown.run(0.0123, "stopped")
    shown.run(0.0123, "running")
    a_minute_later(shown)
    lines = shown.panel()
    assert max(map(len, lines)) <= 80
    assert "1/32" in lines[0]
    assert "0:01:00 elapsed" in lines[0]
    assert lines[1].split("  ")[:5] == ["1 running", "0 completed", "1 stopped", "0 failed", "0.10 epochs/s"]
    assert lines[2] == "best val_mse 0.0123 (t0000)  PCA to beat 0.0243"
    assert lines[3].startswith("t0001 ")
    assert "3/30" in lines[3]


def test_the_time_left_is_that_of_all_phases(tmp_path, a_minute_later):
    shown = Shown(tmp_path)
    shown.run(0.0123)
    shown.run(0.0123, "running")
    a_minute_later(shown)
    # 31 trials of 3 epochs, 3 of them run, and 18 confirmations of 30, at 10 s each: 90 + 540 epochs
    assert "105 min left" in shown.panel()[1]
    shown.display.begin("choosing", 9)
    assert shown.display.confirmations == 9


def test_the_time_left_of_a_budget_is_without_what_earlier_drivers_searched(tmp_path, a_minute_later):
    shown = Shown(tmp_path, "--time-budget", "20m")
    shown.state.search_wall_s = 600.0
    shown.state.wall_s = 6000.0
    settings, console = shown.display._settings, shown.display.console
    shown.display = Display(settings, shown.state, "val_mse", console)
    shown.display.begin("search")
    shown.run(0.0123)
    a_minute_later(shown)
    assert shown.panel()[1].endswith("  9 min left")


def test_rows_have_fixed_columns_of_80_with_a_head_and_the_time(tmp_path, a_minute_later):
    shown = Shown(tmp_path, terminal=False)
    a_minute_later(shown)
    shown.run(0.0123456, "stopped")
    shown.run(0.01, params=9)
    shown.run(float("nan"), "failed", epochs=0, reason="NonFiniteLossError: train_loss is nan in epoch 1")
    assert shown.lines == [
        "[search]",
        "   time run       status    epochs       mse       PCA  ended network",
        "0:01:00 t0000     stopped     3/30   0.01235    0.0243   1/32 * dense z=8 1,141…",
        "0:01:00 t0001     completed   3/30      0.01    0.0243   2/32 * dense z=8 9 par…",
        "0:01:00 t0002     failed      0/30         –    0.0243   3/32 dense z=8 1,141,8…",
        "         NonFiniteLossError: train_loss is nan in epoch 1",
    ]
    assert max(map(len, shown.lines)) <= 80


def test_rows_without_a_pca_to_compare_with_have_its_columns_for_the_network(tmp_path, a_minute_later):
    shown = Shown(tmp_path, terminal=False)
    shown.display.pca = None
    shown.display.begin("search")
    a_minute_later(shown)
    shown.run(0.0123456, "stopped")
    assert shown.lines[2:] == [
        "[search]",
        "   time run       status    epochs       mse  ended network",
        "0:01:00 t0000     stopped     3/30   0.01235   1/32 * dense z=8 1,141,859 param…",
    ]


def test_a_new_best_a_stopped_and_a_failed_trial_have_colours(tmp_path):
    shown = Shown(tmp_path, color_system="standard")
    shown.run(0.01)
    shown.run(0.02, "stopped")
    shown.run(0.03, "failed", reason="why")
    shown.run(0.04)
    starts = [line.split("0:00:00")[0] for line in shown.lines[1:] if "why" not in line]
    assert starts == ["\x1b[1;32m", "\x1b[33m", "\x1b[31m", ""]


def test_what_has_no_runs_has_a_spinner_with_words(tmp_path):
    shown = Shown(tmp_path)
    shown.display.begin("PCA of the training images")
    (line,) = shown.panel()
    assert "night  PCA of the training images …  0:00:00 elapsed" in line
