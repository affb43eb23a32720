"""All studies of a folder in one Optuna storage, and the dashboard that shows it."""

import builtins
import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from test_searcher import Driver

from study import dashboard
from study.record.folder import StudyFolder
from study.search.storages import together

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def results(tmp_path):
    """Return a storage folder with two studies: one of one objective, and one of two."""
    folder = tmp_path / "results"
    folder.mkdir()
    first = Driver(folder / "night", trials=3)
    first.run()
    tune_id, job = first.ask()
    for epoch in (1, 2):  # of 4: it is running still
        first.report(tune_id, job, epoch)
    second = Driver(folder / "day", trials=3, objectives=("val_mse", "params"), sampler="nsga2")
    second.run()
    return folder


def contents(folder):
    return {
        file.relative_to(folder): (hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_mtime_ns)
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_the_searches_of_a_folder_are_put_together_and_their_files_stay(results):
    before = contents(results)
    for file in results.rglob("*"):
        file.chmod(0o500 if file.is_dir() else 0o400)
    storage, skipped = together(StudyFolder(path) for path in sorted(results.iterdir()))
    assert skipped == []
    day, night = storage.get_all_studies()
    assert (day.study_name, night.study_name) == ("day", "night")
    assert day.system_attrs["study:metric_names"] == ["val_mse", "params"]
    assert night.system_attrs["study:metric_names"] == ["val_mse"]
    ended, running = storage.get_all_trials(night._study_id)
    assert (ended.state.name, running.state.name) == ("COMPLETE", "RUNNING")
    assert (ended.user_attrs["id"], ended.user_attrs["key"]) == ("t0000", "default")
    assert len(running.intermediate_values) == 2
    storage.set_study_user_attr(day._study_id, "note", "of somebody who looks")
    assert contents(results) == before


def test_a_renamed_study_has_its_folders_name_and_a_damaged_log_is_left_out(results, capsys):
    shutil.copytree(results / "day", results / "copy")
    (results / "night" / "optuna.log").write_text('{"op_code": 0\nnothing\n')
    storage = dashboard.storage_of(results)
    said = capsys.readouterr()
    assert [study.study_name for study in storage.get_all_studies()] == ["copy", "day"]
    assert said.out == "Searches: copy, day\n"
    assert said.err.startswith(f"study: {results / 'night' / 'optuna.log'} is left out: it cannot be read (")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("none", "'none' is no folder; give the one that your studies are in: study dashboard FOLDER"),
        (".", "'.' has no study with a search"),
    ],
)
def test_a_folder_without_searches_is_one_line(tmp_path, monkeypatch, capsys, folder, expected):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "optuna_dashboard", type(sys)("optuna_dashboard"))
    sys.modules["optuna_dashboard"].run_server = lambda *args, **options: pytest.fail("there is nothing to show")
    assert dashboard.main([folder]) == 2
    said = capsys.readouterr().err
    assert expected in said
    assert said.count("\n") == 1


def test_a_missing_dashboard_is_one_line_that_says_what_to_install(results, monkeypatch, capsys):
    real = builtins.__import__

    def without(name, *rest, **options):
        if name == "optuna_dashboard":
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    assert dashboard.main([str(results)]) == 2
    expected = "optuna-dashboard is not installed: pip install -e '.[dashboard]' -c constraints.txt"
    assert capsys.readouterr().err == f"study: {expected}\n"


def test_it_listens_on_loopback_alone_and_a_port_in_use_is_refused(results, monkeypatch, capsys):
    shown = {}
    module = type(sys)("optuna_dashboard")
    module.run_server = lambda storage, **where: shown.update(where, studies=len(storage.get_all_studies()))
    monkeypatch.setitem(sys.modules, "optuna_dashboard", module)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert dashboard.main([str(results), "--port", str(port)]) == 2
        assert f"--port {port} cannot be used (Address already in use)" in capsys.readouterr().err
    assert dashboard.main([str(results), "--port", "70000"]) == 2
    assert shown == {}
    assert dashboard.main([str(results), "--port", str(port)]) == 0
    assert shown == {"host": "127.0.0.1", "port": port, "studies": 2}


def test_the_dashboard_names_studies_objectives_and_trials(results):
    pytest.importorskip("optuna_dashboard", reason="needs the extra `dashboard`")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, str(ROOT / "study" / "dashboard.py"), str(results), "--port", str(port)]
    server = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    try:
        summaries = asked(port, "studies", patience_s=300)["study_summaries"]
        by_name = {summary["study_name"]: summary["study_id"] for summary in summaries}
        assert set(by_name) == {"night", "day"}
        day = asked(port, f"studies/{by_name['day']}")
        assert day["objective_names"] == ["val_mse", "params"]
        attributes = {one["key"]: one["value"] for one in day["trials"][0]["user_attrs"]}
        assert attributes["id"] == "t0000"
        assert attributes["key"] == "default"
        ends = time.monotonic() + 120
        while server.poll() is None and time.monotonic() < ends:
            server.send_signal(signal.SIGINT)  # wsgiref swallows one that comes while it ends a request
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(10)
        assert server.returncode == 0
    finally:
        server.kill()


def asked(port, what, patience_s=0.0):
    """Return what the dashboard answers; it takes seconds to begin."""
    ends = time.monotonic() + patience_s
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/{what}") as answer:
                return json.load(answer)
        except OSError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.2)
