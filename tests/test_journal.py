import json
import threading

import pytest

from study.errors import StudyError
from study.records import journal
from study.records.journal import Journal
from study.records.state import StudyState


def test_events_are_read_back_in_order(tmp_path):
    path = tmp_path / "journal.jsonl"
    written = Journal(path)
    for number in range(3):
        written.append("epoch", id="t0000", epoch=number)
    assert [event["epoch"] for event in journal.read(path)] == [0, 1, 2]


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_torn_last_line_is_ignored_and_the_next_event_begins_a_new_line(tmp_path, cut):
    path = tmp_path / "journal.jsonl"
    first = Journal(path)
    first.append("search_end", reason="trials")
    first.append("search_end", reason="time budget")
    first.close()
    path.write_bytes(path.read_bytes()[:-cut])  # killed in mid-write
    assert [event["reason"] for event in journal.read(path)] == ["trials"]
    Journal(path).append("search_end", reason="again")
    assert [event["reason"] for event in journal.read(path)] == ["trials", "again"]


def test_a_journal_without_any_whole_line_is_empty(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"event": "stu')
    assert journal.read(path) == []
    Journal(path).append("search_end", reason="trials")
    assert len(journal.read(path)) == 1


def test_damage_before_the_last_line_is_an_error_that_names_the_line(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_text('{"event": "a"}\n{"event": \n{"event": "c"}\n')
    with pytest.raises(StudyError, match="line 2"):
        journal.read(path)


def test_what_json_cannot_say_becomes_null(tmp_path):
    path = tmp_path / "journal.jsonl"
    Journal(path).append("epoch", metrics={"val_mse": float("nan"), "deep": [float("inf"), 1.5]})
    assert json.loads(path.read_text())["metrics"] == {"val_mse": None, "deep": [None, 1.5]}


def test_events_of_several_threads_do_not_mix(tmp_path):
    path = tmp_path / "journal.jsonl"
    written = Journal(path)

    def append(name: str) -> None:
        for number in range(50):
            written.append("epoch", id=name, text="x" * 500, epoch=number)

    threads = [threading.Thread(target=append, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = journal.read(path)
    assert len(events) == 200
    assert [event["epoch"] for event in events if event["id"] == "c"] == list(range(50))


def test_a_full_disk_is_one_clear_error_and_leaves_whole_lines(tmp_path, monkeypatch):
    path = tmp_path / "journal.jsonl"
    written = Journal(path)
    written.append("search_end", reason="trials")
    real_write = journal.os.write
    monkeypatch.setattr(journal.os, "write", lambda descriptor, line: real_write(descriptor, line[:10]))
    with pytest.raises(StudyError, match="No space left on device"):
        written.append("search_end", reason="time budget")
    monkeypatch.undo()
    written.append("search_end", reason="after")
    assert [event["reason"] for event in journal.read(path)] == ["trials", "after"]


def run_event(run_id="t0000", **changes):
    event = {
        "event": "run", "time": 10.0, "id": run_id, "kind": "trial", "number": 0, "config": {"latent_size": 8},
        "seed": 1, "budget": 3, "params": 100, "key": None, "optuna": {},
    }  # fmt: skip
    return event | changes


def epoch_event(number, run_id="t0000", **metrics):
    return {"event": "epoch", "time": 11.0, "id": run_id, "epoch": number, "metrics": {"seconds": 0.5, **metrics}}


def test_an_epoch_that_is_reported_again_is_counted_once():
    state = StudyState.fold([run_event(), epoch_event(1), epoch_event(2), epoch_event(2), epoch_event(1)])
    assert [epoch["epoch"] for epoch in state.runs["t0000"].epochs] == [1, 2]
    assert state.runs["t0000"].seconds == 1.0


def test_wall_time_is_that_of_the_drivers_and_not_of_the_pause_between_them():
    events = [
        {"event": "study", "time": 100.0, "settings": {}},
        {"event": "search_end", "time": 130.0, "reason": "trials"},
        {"event": "session", "time": 1000.0, "changed": {}},
        {"event": "search_end", "time": 1005.0, "reason": "trials"},
    ]
    assert StudyState.fold(events).wall_s == 35.0


def test_a_study_that_is_extended_is_no_longer_finished():
    events = [
        {"event": "study", "time": 0.0, "settings": {"trials": 2}},
        {"event": "search_end", "time": 1.0, "reason": "trials"},
        {"event": "finish", "time": 2.0, "summary": {"best": None}},
        {"event": "session", "time": 3.0, "changed": {"trials": 4}},
    ]
    state = StudyState.fold(events)
    assert state.settings["trials"] == 4
    assert state.search_ended is None
    assert state.summary is None
