import json
import re
import threading
from dataclasses import MISSING, fields

import pytest

from study.record import journal
from study.record.errors import StudyError
from study.record.events import (
    EVENTS,
    EpochEnded,
    Finished,
    RunEnded,
    RunStarted,
    SearchEnded,
    SessionStarted,
    StudyStarted,
    TriedAgain,
)
from study.record.journal import Journal, Recorder, read_state
from study.record.state import StudyState


def test_events_are_read_back_in_order(tmp_path):
    path = tmp_path / "journal.jsonl"
    written = Journal(path)
    for number in range(3):
        written.append(EpochEnded("t0000", number, {}))
    assert [event.epoch for event in journal.read(path)] == [0, 1, 2]


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_torn_last_line_is_ignored_and_the_next_event_begins_a_new_line(tmp_path, cut):
    path = tmp_path / "journal.jsonl"
    first = Journal(path)
    first.append(SearchEnded("trials"))
    first.append(SearchEnded("time budget"))
    first.close()
    path.write_bytes(path.read_bytes()[:-cut])  # killed in mid-write
    assert [event.reason for event in journal.read(path)] == ["trials"]
    Journal(path).append(SearchEnded("again"))
    assert [event.reason for event in journal.read(path)] == ["trials", "again"]


def test_a_journal_without_any_whole_line_is_empty(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"event": "stu')
    assert journal.read(path) == []
    Journal(path).append(SearchEnded("trials"))
    assert len(journal.read(path)) == 1


def test_damage_before_the_last_line_is_an_error_that_names_the_line(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_text('{"event": "published", "time": 1}\n{"event": \n{"event": "published", "time": 2}\n')
    with pytest.raises(StudyError, match="line 2"):
        journal.read(path)


def test_what_json_cannot_say_becomes_null(tmp_path):
    path = tmp_path / "journal.jsonl"
    Journal(path).append(EpochEnded("t0000", 1, {"val_mse": float("nan"), "deep": [float("inf"), 1.5]}))
    assert json.loads(path.read_text())["metrics"] == {"val_mse": None, "deep": [None, 1.5]}


def test_events_of_several_threads_do_not_mix(tmp_path):
    path = tmp_path / "journal.jsonl"
    written = Journal(path)

    def append(name: str) -> None:
        for number in range(50):
            written.append(EpochEnded(name, number, {"x" * 500: 1.0}))

    threads = [threading.Thread(target=append, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = journal.read(path)
    assert len(events) == 200
    assert [event.epoch for event in events if event.id == "c"] == list(range(50))


def test_a_full_disk_is_one_clear_error_and_leaves_whole_lines(tmp_path, monkeypatch):
    path = tmp_path / "journal.jsonl"
    written = Journal(path)
    written.append(SearchEnded("trials"))
    real_write = journal.os.write
    monkeypatch.setattr(journal.os, "write", lambda descriptor, line: real_write(descriptor, line[:10]))
    with pytest.raises(StudyError, match="No space left on device"):
        written.append(SearchEnded("time budget"))
    monkeypatch.undo()
    written.append(SearchEnded("after"))
    assert [event.reason for event in journal.read(path)] == ["trials", "after"]


def test_a_closed_journal_writes_into_no_other_file(tmp_path):
    written = Journal(tmp_path / "journal.jsonl")
    written.append(SearchEnded("trials"))
    written.close()
    others = [(tmp_path / name).open("wb") for name in "abc"]  # one has its descriptor's number
    with pytest.raises(StudyError, match="the journal is closed"):
        written.append(SearchEnded("after"))
    for other in others:
        other.close()
    assert not any((tmp_path / name).read_bytes() for name in "abc")


def test_a_line_that_is_no_event_of_this_version_is_an_error_that_says_so(tmp_path):
    path = tmp_path / "journal.jsonl"
    for line, reason in (
        ("123", "no JSON object"),
        ("null", "no JSON object"),
        ("{}", "event None is not known"),
        ('{"event": "later", "time": 1}', "event 'later' is not known"),
        ('{"event": "end", "time": 1, "id": "t0000"}', "event 'end' is incomplete"),
    ):
        path.write_text(f"{line}\n")
        with pytest.raises(StudyError, match=f"line 1: .*{reason}"):
            journal.read(path)


def test_a_field_of_a_later_version_stays_in_the_file(tmp_path):
    path = tmp_path / "journal.jsonl"
    line = '{"event": "search_end", "time": 1.0, "reason": "trials", "told_by": "a later version"}\n'
    path.write_text(line)
    assert journal.read(path) == [SearchEnded("trials", time=1.0)]
    Journal(path).append(SearchEnded("again"))
    assert path.read_text().startswith(line)


@pytest.mark.parametrize("kind", EVENTS.values(), ids=list(EVENTS))
def test_every_event_is_read_back_as_it_was_written(tmp_path, kind):
    values = {
        "str": "a",
        "int": 3,
        "dict": {"a": 1},
        "list": [],
        "Kind": "trial",
        "Status": "failed",
        "Config": {"a": 1},
        "Files": {"a": "1:0"},
    }
    required = [one for one in fields(kind) if one.default is MISSING and one.default_factory is MISSING]
    event = kind(**{one.name: values.get(re.split(r"[\[ ]", one.type)[0], {"val_mse": 0.5}) for one in required})
    path = tmp_path / "journal.jsonl"
    Journal(path).append(event)
    assert journal.read(path) == [event]
    assert json.loads(path.read_text())["event"] == kind.name


def run_event(run_id="t0000", **changes):
    about = {"kind": "trial", "number": 0, "config": {"latent_size": 8}, "seed": 1, "budget": 3, "params": 100}
    return RunStarted(id=run_id, key=None, time=10.0, **about | changes)


def epoch_event(number, run_id="t0000", **metrics):
    return EpochEnded(run_id, number, {"seconds": 0.5, **metrics}, time=11.0)


def test_an_epoch_that_is_reported_again_is_counted_once():
    state = StudyState.fold([run_event(), epoch_event(1), epoch_event(2), epoch_event(2), epoch_event(1)])
    assert [epoch["epoch"] for epoch in state.runs["t0000"].epochs] == [1, 2]
    assert state.runs["t0000"].seconds == 1.0


def test_wall_time_is_that_of_the_drivers_and_not_of_the_pause_between_them():
    events = [
        StudyStarted({}, time=100.0),
        SearchEnded("trials", time=130.0),
        SessionStarted({}, time=1000.0),
        SearchEnded("trials", time=1005.0),
    ]
    assert StudyState.fold(events).wall_s == 35.0


def test_the_searchs_wall_time_is_that_before_its_end_over_all_drivers_and_again_once_it_goes_on():
    events = [
        StudyStarted({}, time=0.0),
        run_event(),
        RunEnded("t0000", "failed", None, {}, time=7200.0),
        SearchEnded("trials", time=7200.0),
        Finished({"best": None}, time=11_100.0),  # after 65 minutes of confirmation
        SessionStarted({"trials": 4}, time=20_000.0),
        SearchEnded("trials", time=20_030.0),
        Finished({"best": None}, time=20_090.0),
        SessionStarted({}, time=30_000.0),
        TriedAgain("t0000", time=30_002.0),
        RunEnded("t0000", "completed", None, {}, time=30_012.0),
    ]
    walls = [StudyState.fold(events[:known]).search_wall_s for known in range(1, len(events) + 1)]
    assert walls == [0.0, 10.0, 7200.0, 7200.0, 7200.0, 7200.0, 7230.0, 7230.0, 7230.0, 7230.0, 7240.0]
    assert StudyState.fold(events).wall_s == 11_100 + 90 + 12


def test_a_clock_that_is_set_while_a_study_runs_does_not_change_how_long_it_took(tmp_path, monkeypatch):
    path = tmp_path / "journal.jsonl"
    clock, counter = [1000.0], [50.0]
    monkeypatch.setattr("study.record.events.clock.time", lambda: clock[0])
    monkeypatch.setattr("study.record.journal.time.monotonic", lambda: counter[0])
    for wrong, begin in ((-3600.0, StudyStarted), (86_400.0, SessionStarted)):
        recorder = Recorder(Journal(path), read_state(path))
        counter[0] += 1
        recorder.record(begin({}))
        clock[0] += wrong
        counter[0] += 30
        recorder.record(SearchEnded("trials"))
    assert recorder.state.wall_s == 62.0
    assert read_state(path).wall_s == 62.0
    assert read_state(path).search_wall_s == 31.0  # the second driver found it ended


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([SearchEnded("trials")], "begins with 'search_end'"),
        ([StudyStarted({}), EpochEnded("t0007", 1, {})], "line 2: run 't0007' has not begun"),
        ([StudyStarted({}), SessionStarted(["no settings"])], "line 2: "),
    ],
)
def test_events_that_cannot_have_happened_are_one_line(tmp_path, lines, reason):
    path = tmp_path / "journal.jsonl"
    for event in lines:
        Journal(path).append(event)
    with pytest.raises(StudyError, match=f"is damaged.*{reason}"):
        read_state(path)


def test_a_study_that_is_extended_is_no_longer_finished():
    events = [
        StudyStarted({"trials": 2}, time=0.0),
        SearchEnded("trials", time=1.0),
        Finished({"best": None}, time=2.0),
        SessionStarted({"trials": 4}, time=3.0),
    ]
    state = StudyState.fold(events)
    assert state.settings["trials"] == 4
    assert state.search_ended is None
    assert state.summary is None


def test_a_study_with_more_seeds_to_report_has_searched_and_knows_what_was_seen():
    events = [
        StudyStarted({"confirm_seeds": 3}, time=0.0),
        SearchEnded("trials", time=1.0),
        SessionStarted({"report_seeds": 4}, time=1.0),  # before there was a verdict
        Finished({"best": None}, time=2.0),
        SessionStarted({"report_seeds": 6}, time=3.0),
        SessionStarted({"report_seeds": 7}, time=4.0),
    ]
    state = StudyState.fold(events)
    assert (state.search_ended, state.summary, state.seen_with) == ("trials", None, [4])


def test_runs_are_counted_as_they_begin_and_end_and_are_tried_again():
    state = StudyState()
    for number in range(4):
        began = run_event(f"t000{number}", number=number)
        state.apply(began)
        state.apply(began)  # what is known already changes nothing
    state.apply(run_event("t0001-s1", kind="confirm"))
    state.apply(RunEnded("t0000", "completed", None, {}))
    state.apply(RunEnded("t0001", "failed", None, {}, by_machine=True))
    state.apply(RunEnded("t0002", "stopped", None, {}))
    assert state.count("trial") == {"running": 1, "completed": 1, "stopped": 1, "failed": 1}
    assert state.ended("trial") == 3
    state.apply(TriedAgain("t0001"))
    assert state.count("trial") == {"running": 2, "completed": 1, "stopped": 1, "failed": 0}
    assert state.count("confirm")["running"] == 1
    assert StudyState(runs=state.runs).count("trial") == state.count("trial")
