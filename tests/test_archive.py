"""The archive of a study: the same bytes each time, a changed one found, nothing unpacked that should not be."""

import copy
import hashlib
import io
import stat
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from recorded_studies import MadeUpRun, write_study
from study_processes import run as run_study
from test_report import left_by_a_study
from test_report import run as report

from analysis.page import pictures
from study import repeat, verify
from study.data import own_file
from study.driver import inputs, repeating
from study.driver.environment import environment
from study.record import ablation, archive, journal, kept
from study.record.errors import UsageError
from study.record.events import Finished, SessionStarted
from study.record.folder import StudyFolder
from study.record.journal import Journal, read_state
from study.record.state import Run


@pytest.fixture
def packed(tmp_path):
    """The archive of a made-up study with a small paper."""
    left_by_a_study(tmp_path)
    folder = StudyFolder(tmp_path / "night")
    (folder.paper / "figures").mkdir(parents=True)
    (folder.paper / "main.tex").write_text("a paper\n")
    (folder.paper / "figures" / "cost.svg").write_text("<svg/>\n")
    folder.notes.write_text("I think that it works.\n")
    return archive.write(folder)


def entries_of(path):
    """Return the entries of a zip with what they hold."""
    with zipfile.ZipFile(path) as found:
        return [(entry, found.read(entry)) for entry in found.infolist()]


def rewrite(path, entries):
    """Write a zip of entries anew, as `archive.write` does, whatever they are."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as out:
        for entry, content in entries:
            out.writestr(entry, content)


def check(path, capsys):
    """Return the exit status of `study verify` and what it prints."""
    status = verify.main([str(path)])
    said = capsys.readouterr()
    return status, said.out + said.err


def is_found_wrong(path):
    try:
        return archive.read(path).faults() != []
    except UsageError:
        return True


def test_a_whole_archive_has_paper_journal_tables_and_versions_and_is_the_same_each_time(packed, tmp_path, capsys):
    status, said = check(packed, capsys)
    assert status == 0
    assert f"{packed} is as it was written: study night\n13 files, a journal of 6 runs\nSHA-256 " in said
    assert f"SHA-256 {hashlib.sha256(packed.read_bytes()).hexdigest()}" in said
    names = [entry.filename for entry, _ in entries_of(packed)]
    assert names == sorted(names)
    assert {name.removeprefix("night/") for name in names} == {
        *("SHA256SUMS", "versions.txt", "journal.jsonl", "study.json", "summary.json", "notes.md"),
        *("trials.csv", "history.csv", "confirm.csv", "confirm_history.csv", "baseline.csv"),
        *("paper/main.tex", "paper/figures/cost.svg"),
    }
    assert b"torch==2\n" in archive.read(packed).files["versions.txt"]
    before = packed.read_bytes()
    packed.touch()
    assert archive.write(StudyFolder(tmp_path / "night")).read_bytes() == before


def test_an_ablation_of_the_study_goes_with_it(packed, tmp_path, capsys):
    folder = StudyFolder(tmp_path / "night")
    (folder.path / ablation.FILE).write_text("step,parameter\n")
    folder.ablation.path.mkdir()
    folder.ablation.journal.write_text("a line\n")
    again = archive.write(folder)
    assert check(again, capsys)[0] == 0
    held = archive.read(again).files
    assert (held["ablation.csv"], held["ablation/journal.jsonl"]) == (b"step,parameter\n", b"a line\n")


def test_what_anybody_unpacks_is_what_sha256sum_checks(packed, tmp_path):
    with zipfile.ZipFile(packed) as found:
        found.extractall(tmp_path / "unpacked")
    command = ["sha256sum", "--check", "--quiet", archive.MANIFEST]
    done = subprocess.run(command, cwd=tmp_path / "unpacked" / "night", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_each_file_with_a_changed_byte_is_named(packed, capsys):
    whole = entries_of(packed)
    for number, (entry, content) in enumerate(whole):
        name = entry.filename.removeprefix("night/")
        changed = list(whole)
        changed[number] = (entry, content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])
        rewrite(packed, changed)
        status, said = check(packed, capsys)
        assert status == 1, name
        if name == archive.MANIFEST:
            assert "SHA256SUMS" in said
        else:
            assert said.startswith(f"{name} differs: its SHA-256 is ")
            assert said.count(" differs: ") == 1


def test_a_changed_byte_is_found_wherever_it_lies(packed):
    """In a name, a time, a size, between the files: none of it is a digest's, and none is left out."""
    whole = packed.read_bytes()
    first = whole.index(b"PK\x01\x02")  # where the list of the entries begins
    places = [*range(200), *range(200, first, 97), *range(first, len(whole))]
    others = [whole[:place] + bytes([whole[place] ^ 0x21]) + whole[place + 1 :] for place in places]
    for number, other in enumerate([*others, whole + b"\n", b"\n" + whole, whole[:-1]]):
        packed.write_bytes(other)
        assert is_found_wrong(packed), number
    packed.write_bytes(whole)
    assert not is_found_wrong(packed)


def test_what_is_missing_and_what_is_more_is_named(packed, capsys):
    whole = entries_of(packed)
    rewrite(packed, [one for one in whole if one[0].filename != "night/trials.csv"])
    assert check(packed, capsys) == (1, f"trials.csv is missing\nstudy: {packed} is not as it was written: 1 fault\n")
    more = zipfile.ZipInfo("night/more.txt")
    more.external_attr = (stat.S_IFREG | 0o644) << 16
    rewrite(packed, [*whole, (more, b"more")])
    status, said = check(packed, capsys)
    assert (status, said.splitlines()[0]) == (1, "more.txt is not in SHA256SUMS")
    rewrite(packed, whole[::-1])
    status, said = check(packed, capsys)
    assert status == 1
    assert said.startswith("the zip's own entries (order, ")


@pytest.mark.parametrize(
    ("name", "how", "expected"),
    [
        ("../night/x", (stat.S_IFREG, zipfile.ZIP_STORED), "is no plain path"),
        ("night/../../x", (stat.S_IFREG, zipfile.ZIP_STORED), "is no plain path"),
        ("/etc/x", (stat.S_IFREG, zipfile.ZIP_STORED), "is no plain path"),
        ("night\\..\\x", (stat.S_IFREG, zipfile.ZIP_STORED), "is no plain path"),
        ("night/a\x1b[31m", (stat.S_IFREG, zipfile.ZIP_STORED), "is no plain path"),
        ("night/x/", (stat.S_IFDIR, zipfile.ZIP_STORED), "is no plain path"),
        ("other/x", (stat.S_IFREG, zipfile.ZIP_STORED), "it has 2 folders, not one"),
        ("night/x", (stat.S_IFLNK, zipfile.ZIP_STORED), "'night/x' is a link"),
        ("night/x", (stat.S_IFREG, zipfile.ZIP_DEFLATED), "'night/x' is compressed"),
    ],
)
def test_an_entry_that_no_archive_of_a_study_has_is_refused(name, how, expected, packed, capsys):
    entry = zipfile.ZipInfo("night/y")
    entry.filename = entry.orig_filename = name
    entry.external_attr, entry.compress_type = how[0] << 16, how[1]
    rewrite(packed, [*entries_of(packed), (entry, b"x" * 100)])
    place = packed.parents[1]
    before = set(place.rglob("*"))
    status, said = check(packed, capsys)
    assert status == 2
    assert expected in said
    assert len(said.splitlines()) == 1
    assert "\x1b" not in said
    assert repeat.main([str(packed), "t0002"]) == 2
    assert set(place.rglob("*")) == before


def test_a_name_that_comes_twice_is_refused(packed):
    entry, content = entries_of(packed)[0]
    with pytest.warns(UserWarning, match="Duplicate name"):
        rewrite(packed, [*entries_of(packed), (entry, content)])
    with pytest.raises(UsageError, match="twice"):
        archive.read(packed)


def test_entries_that_share_their_bytes_are_refused_before_they_fill_the_memory(tmp_path, capsys):
    path = tmp_path / "small.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as out:
        first = zipfile.ZipInfo("night/a0000")
        first.external_attr = (stat.S_IFREG | 0o644) << 16
        out.writestr(first, b"x" * 1000)
        for number in range(1, 10):
            other = copy.copy(first)
            other.filename = other.orig_filename = f"night/a{number:04d}"
            out.filelist.append(other)
    assert check(path, capsys) == (2, f"study: {path} is refused: its entries overlap\n")


def test_a_name_in_the_manifest_cannot_write_to_the_terminal(packed, capsys):
    hostile = b"0" * 64 + b"  a\x1b]0;title\x07\n"
    named = f"night/{archive.MANIFEST}"
    rewrite(packed, [(entry, data + hostile * (entry.filename == named)) for entry, data in entries_of(packed)])
    status, said = check(packed, capsys)
    assert status == 1
    assert said.startswith("SHA256SUMS: line 13 is no digest and name\n")
    assert "\x1b" not in said


def test_a_journal_from_elsewhere_cannot_write_to_the_terminal(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    escape = "t\x1b]0;title\x07"
    write_study(tmp_path / "results", "night", [MadeUpRun(escape, 0)])
    assert repeat.main(["night", "t0001"]) == 2
    said = capsys.readouterr().err
    assert "t\\x1b]0;title\\x07" in said
    assert "\x1b" not in said
    values = [repeating.Value("end", escape, 1.0, 2.0)]
    assert "\x1b" not in repeat.compared_table(values)


@pytest.mark.parametrize("kind", ["a link", "a folder"])
def test_notes_that_are_no_plain_file_are_one_line(kind, tmp_path):
    folder = StudyFolder(left_by_a_study(tmp_path) / "night")
    folder.notes.unlink(missing_ok=True)
    if kind == "a link":
        (tmp_path / "secret").write_text("secret\n")
        folder.notes.symlink_to(tmp_path / "secret")
    else:
        folder.notes.mkdir()
    with pytest.raises(UsageError, match=f"{folder.notes} cannot be read: "):
        archive.write(folder)
    assert not folder.archive.exists()


def test_a_forged_table_and_manifest_are_told_by_the_journal(tmp_path, capsys):
    folder = StudyFolder(left_by_a_study(tmp_path) / "night")
    record = Journal(folder.journal)
    record.append(Finished(read_state(folder.journal).summary, kept.of_study(folder)))
    record.close()
    path = archive.write(folder)
    content = {entry.filename.removeprefix("night/"): data for entry, data in entries_of(path)}
    content["confirm.csv"] = content["confirm.csv"].replace(b"0.21", b"0.11")
    del content[archive.MANIFEST]
    sums = "".join(f"{hashlib.sha256(content[name]).hexdigest()}  {name}\n" for name in sorted(content))
    path.write_bytes(archive._zipped("night", content | {archive.MANIFEST: sums.encode()}))
    status, said = check(path, capsys)
    assert status == 1
    assert said.startswith("confirm.csv is not the one that journal.jsonl names: ")
    folder.path.joinpath("confirm.csv").write_text("forged\n")
    with pytest.raises(UsageError, match=r"confirm.csv is not what the study left; .* makes it again"):
        archive.write(folder)


def test_what_is_no_archive_is_one_line(tmp_path, capsys):
    (tmp_path / "x.zip").write_bytes(b"no zip")
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    (tmp_path / "empty.zip").write_bytes(empty.getvalue())
    for name, expected in (
        ("x.zip", "is no zip archive"),
        ("empty.zip", "has 0 folders"),
        ("none.zip", "No such file"),
    ):
        status, said = check(tmp_path / name, capsys)
        assert status == 2
        assert expected in said
        assert len(said.splitlines()) == 1


def test_the_paper_command_writes_the_archive_and_says_where(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pictures, "MODULES", ("confirmation",))
    left_by_a_study(tmp_path)
    for _ in range(2):
        assert report(tmp_path, "--paper") == 0
        path = tmp_path / "night" / "night.zip"
        assert capsys.readouterr().out == f"{tmp_path / 'night' / 'paper' / 'main.tex'}\n{path}\n"
        digest = archive.read(path).digest
    assert archive.read(path).faults() == []
    assert report(tmp_path, "--paper") == 0
    assert archive.read(path).digest == digest
    assert "paper/figures/confirmation.pdf" in archive.read(path).files


def recorded(epochs, **about):
    return Run("t0000", "trial", 0, {}, 0, len(epochs), 10, None, 0.0, epochs=epochs, **about)


def test_every_number_but_a_timing_is_compared():
    then = recorded(
        [{"epoch": 1, "val_mse": 0.5, "seconds": 1.0}, {"epoch": 2, "val_mse": 0.25, "val_ssim": None}],
        final={"test_mse": 0.125},
    )
    again = [{"val_mse": 0.5, "seconds": 2.0}, {"val_mse": 0.25, "val_ssim": float("nan"), "val_new": 1.0}]
    same = repeating.compared(then, [], again, {"test_mse": 0.125})
    assert [(value.place, value.metric) for value in same] == [
        ("epoch 1", "val_mse"), ("epoch 2", "val_mse"), ("epoch 2", "val_ssim"), ("end", "test_mse"),
    ]  # fmt: skip
    assert repeat.verdict("t0000", same) == "t0000: all 4 numbers of all its epochs are the same to the last digit"
    other = repeating.compared(then, [], [{"val_mse": 0.5}, {"val_mse": 0.2500000001, "val_ssim": None}], {})
    assert [value.same for value in other] == [True, False, True, False]
    assert repeat.verdict("t0000", other) == (
        "t0000: 2 of 4 numbers differ, the first one val_mse of epoch 2, the most test_mse of end, by a part of –"
    )
    assert not any(value.same for value in repeating.compared(then, [], [], {}) if value.recorded is not None)


def source_of(tmp_path, *more, **about):
    """A made-up study as `study repeat` opens it."""
    write_study(tmp_path, "night", [MadeUpRun("t0000", 0, epochs=[{"val_mse": 0.5}])], **about)
    folder = StudyFolder(tmp_path / "night")
    record = Journal(folder.journal)
    for event in more:
        record.append(event)
    record.close()
    events = journal.read(folder.journal)
    return repeating._source("night", tmp_path / "place", events, None, trusted=False)


def settings(**values):
    return type("Settings", (), {"cpus_per_trial": 1.0, "gpus_per_trial": 0.0, "fuse": "auto"} | values)()


def test_what_is_not_as_it_was_recorded_is_said_before_anything_is_promised(tmp_path):
    here = environment()
    same = source_of(tmp_path / "same", environment=here)
    expected = ["the program had changes that no commit has, and they are recorded nowhere"]
    changed = str(here["git_commit"]).endswith("+changes")
    assert repeating.unlike(same, recorded([]), settings()) == (expected if changed else [])
    then = here | {"cpu": "Another", "git_commit": "f" * 40, "versions": here["versions"] | {"torch": "1.0"}}
    other = source_of(tmp_path / "other", SessionStarted({}), environment=then, gpu={"runs": 2, "reason": "x"})
    said = "\n".join(repeating.unlike(other, recorded([]), settings(cpus_per_trial=2.0)))
    later = source_of(
        tmp_path / "later",
        SessionStarted({}, environment=here),
        SessionStarted({}, environment=here | {"cpu": "A third"}),
        environment=here,
    )
    assert repeating.unlike(later, recorded([]), settings())[-1] == (
        f"the study was gone on with, processor: {here['cpu']} then, A third later"
    )
    assert len(repeating.unlike(later, recorded([]), settings())) == 1 + changed
    for words in (
        f"processor: Another then, {here['cpu']} now",
        f"torch: 1.0 then, {here['versions']['torch']} now",
        f"commit: {'f' * 40} then",
        "on a GPU",
        "the study was gone on with, and what later sessions ran with is not recorded",
    ):
        assert words in said, words


@pytest.mark.parametrize("missing", [None, ""])
def test_what_is_not_recorded_is_not_taken_to_be_the_same(missing, tmp_path, monkeypatch):
    here = environment()
    versions = here["versions"] | {"mlflow": missing}
    unknown = here | {"git_commit": missing, "cpu": missing, "versions": versions}
    source = source_of(tmp_path, environment=unknown)
    expected = ["commit: not recorded", "processor: not recorded"]
    for package, further in (("9", ["mlflow: unknown then, 9 now"]), (None, [])):
        now = here | {"git_commit": None, "versions": versions | {"mlflow": package}}
        monkeypatch.setattr("study.driver.environment.environment", lambda now=now: now)
        assert repeating.unlike(source, recorded([]), settings()) == expected + further


def whole_settings(**changed):
    """The settings that a journal has of a study of digits_ae."""
    needed = {"name": "night", "tracking_uri": "", "trials": 1, "epochs": 1, "scheduler": "none"}
    needed |= {"space": "digits_ae", "data": "digits", "data_dir": "/theirs", "objectives": ["val_mse"]}
    return needed | changed


@pytest.mark.parametrize(("gpu", "expected"), [(None, 0.0), ({"runs": 2, "reason": "x"}, None)])
def test_what_was_trained_without_a_gpu_is_so_again_unless_one_is_asked_for(gpu, expected, tmp_path):
    source = source_of(tmp_path, settings=whole_settings(), gpu=gpu, environment=environment())
    given = {"storage": str(tmp_path)}
    assert repeating.settings_of(source, given).gpus_per_trial == expected
    asked = repeating.settings_of(source, given | {"gpus_per_trial": 0.5})
    assert asked.gpus_per_trial == 0.5
    line = "it was trained without a GPU, and --gpus-per-trial asks for one now"
    assert (line in repeating.unlike(source, recorded([]), asked)) == (gpu is None)


def test_no_path_that_a_study_from_elsewhere_names_is_followed(tmp_path, monkeypatch):
    paths = {"data": "/home/you/photos", "labels": "/etc/labels.csv"}
    source = source_of(tmp_path, settings=whole_settings(**paths))
    given = {"storage": str(tmp_path)}
    refusal = "night has images of its own, '/home/you/photos'; say where the images lie: --data FOLDER"
    with pytest.raises(UsageError, match=refusal):
        repeating.settings_of(source, given)
    read = repeating.settings_of(source, given | {"data": "here"})
    assert (read.data, read.labels, read.data_dir) == ("here", None, "")
    assert repeating.settings_of(source, given | {"data": "here", "labels": "mine.csv"}).labels == "mine.csv"
    mine = repeating.settings_of(replace(source, trusted=True), given)
    assert (mine.data, mine.labels) == (paths["data"], paths["labels"])
    monkeypatch.setattr(own_file, "provides", lambda name: name == paths["data"])
    assert repeating.settings_of(source, given).data == paths["data"]


def test_a_run_without_values_has_nothing_to_be_compared_with(tmp_path):
    write_study(tmp_path, "night", [MadeUpRun("t0000", 0)])
    expected = "t0000 of night has no recorded values to compare with"
    with repeating.opened("night", tmp_path) as source, pytest.raises(UsageError, match=expected):
        repeating.chosen(source, "t0000")


def test_a_study_without_runs_has_none_to_choose_from(tmp_path):
    write_study(tmp_path, "night", [])
    expected = "^run of night 't0000' is not known: there is none to choose from$"
    with repeating.opened("night", tmp_path) as source, pytest.raises(UsageError, match=expected):
        repeating.chosen(source, "t0000")


def test_a_run_that_has_no_end_is_not_trained_again(tmp_path):
    write_study(tmp_path, "night", [MadeUpRun("t0001", 0, status="failed", reason="loss is NaN")], search_end=False)
    with repeating.opened("night", tmp_path) as source:
        with pytest.raises(UsageError, match=r"t0001 of night is failed \(loss is NaN\)"):
            repeating.chosen(source, "t0001")
        with pytest.raises(UsageError, match=r"run of night 't1' is not known \(did you mean t0001\?\)"):
            repeating.chosen(source, "t1")
    with pytest.raises(UsageError, match="study 'nihgt' is not known"), repeating.opened("nihgt", tmp_path):
        pass
    folder = str(tmp_path / "night")
    with pytest.raises(UsageError, match=r"did you mean night\?"), repeating.opened(folder, tmp_path):
        pass


def test_other_images_than_the_studys_are_refused_before_anything_is_trained(tmp_path, monkeypatch):
    source = source_of(tmp_path, data={"digest": "abc"})
    monkeypatch.setattr(inputs, "load", lambda settings: type("Data", (), {"digest": "other"})())
    monkeypatch.setattr(inputs, "encoder_of", lambda *given, trust: None)
    with pytest.raises(UsageError, match="the images are not those of the study: digest other, and the study's is abc"):
        repeating.train(source, source.state.runs["t0000"], settings(), trust=False)


def test_code_in_an_archive_runs_only_where_somebody_said_so(tmp_path):
    text = "raise RuntimeError('run')\n"
    own = {"file": "mine.py", "digest": hashlib.sha256(text.encode()).hexdigest(), "family": "ae", "facts": {}}
    source = source_of(tmp_path, own=own)
    source.folder.code.write_text(text)
    with pytest.raises(UsageError, match=r"night has code of its own, space.py, .* --trust says that it may"):
        repeating.use_code(source, trust=False)
    with pytest.raises(UsageError, match="RuntimeError: run"):
        repeating.use_code(source, trust=True)
    source.folder.code.write_text(text + "\n")
    with pytest.raises(UsageError, match="is not what the study began with"):
        repeating.use_code(source, trust=True)


def test_a_trial_and_a_confirmation_are_repeated_to_the_last_digit(tmp_path, monkeypatch, capfd):
    argv = ["--space", "digits_ae", "--train-size", "100", "--trials", "1", "--epochs", "2", "--confirm", "1x1"]
    done = run_study(tmp_path, *argv, "--name", "night")
    assert done.returncode == 0, done.stderr
    monkeypatch.chdir(tmp_path)
    folder = StudyFolder(tmp_path / "results" / "night")
    path = archive.write(folder)
    folder.path.rename(tmp_path / "elsewhere")  # the archive is all that is needed
    path = tmp_path / "elsewhere" / path.name
    assert repeat.main([str(path), "t0000"]) == 0
    said = capfd.readouterr().out
    assert "t0000: all " in said
    assert "val_mse" in said
    changed = path.read_bytes().replace(b'"val_mse": 0.', b'"val_mse": 1.', 1)
    Path("changed.zip").write_bytes(changed)
    assert repeat.main(["changed.zip", "t0000"]) == 1
    assert "is not as it was written: journal.jsonl differs" in capfd.readouterr().err
    assert repeat.main([str(path), "t0000", "--data", "mnist", "--data-dir", "none"]) == 2
    assert repeat.main(["elsewhere", "t0000-s1", "--storage", "."]) == 0
    said = capfd.readouterr().out
    assert "test_mse" in said
    assert "t0000-s1: all " in said
