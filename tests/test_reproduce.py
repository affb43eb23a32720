"""`study reproduce`: what it selects, estimates, orders, runs, stops and keeps."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import recorded_studies
import torch
from PIL import Image
from ray.cluster_utils import Cluster
from recorded_studies import made_up_seeds
from study_processes import environment, prepare, table, wait_for

import search_spaces
from search_spaces import Reported, ReportedSplit, digits
from study import reproduce
from study.data import image_data
from study.driver import child, keeping
from study.driver.reproductions import Machine, Paces, Planned, Reproduction, plan_text, planned
from study.record import commands
from study.record.errors import UsageError
from study.record.events import EpochEnded, Placed
from study.record.folder import StudyFolder
from study.record.journal import read_state
from study.record.reproductions import name_of
from study.training import pace
from study.training.trainer import Trainer

ROOT = Path(__file__).resolve().parents[1]
MACHINE = Machine("a processor, 1 thread a run", "cpu", 1, 1)


def entry(*epochs: int, space: str = "digits_ae", **config: object) -> Reported:
    return Reported(
        {"family": "ae", **config}, space, (1, 8, 8), 10, epochs, "A note.", split=ReportedSplit(1257, 270, "As here.")
    )


def paces(tmp_path: Path, *seconds: float) -> Paces:
    return Paces(tmp_path / "paces.json", MACHINE.name, lambda entry: seconds[-len(entry.epochs) :])


# --- what is selected


def test_a_glob_means_configurations_and_pca_and_none_means_all():
    reported, pca = reproduce.selected([])
    assert reported == search_spaces.reported()
    assert set(pca) == {"pca/cifar", "pca/mnist"}
    assert {32, 108, 512} <= set(pca["pca/cifar"])
    assert {44, 87, 154} <= set(pca["pca/mnist"])
    reported, pca = reproduce.selected(["fashion/p0.1*", "pca/*"])
    assert set(reported) == {"fashion/p0.1", "fashion/p0.1_n256"}
    assert set(pca) == {"pca/cifar", "pca/mnist"}


def test_bad_input_is_one_line_and_nothing_is_written(capsys, tmp_path):
    with pytest.raises(UsageError, match="did you mean fashion/base"):
        reproduce.selected(["fashion/bas"])
    assert reproduce.main(["--dry-run", "fashion/bas"]) == 2
    assert reproduce.main(["--seeds", "0"]) == 2
    assert "--seeds '0' is not allowed" in capsys.readouterr().err
    (tmp_path / "file").touch()
    for option in ("--storage", "--out"):
        argv = ["pca/mnist", "--storage", str(tmp_path / "results"), "--out", str(tmp_path / "kept")]
        assert reproduce.main([*argv, option, str(tmp_path / "file")]) == 2
        assert f"{tmp_path / 'file'} is not a folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_every_study_has_a_name_of_its_own():
    asked = [
        (key, seeds, held_out) for key in search_spaces.reported() for seeds in (1, 5) for held_out in (False, True)
    ]
    names = {name_of(key, seeds, held_out=held_out) for key, seeds, held_out in asked}
    assert len(names) == len(asked)
    assert name_of("cifar_ae/1+1", 3) == "reproduce-cifar_ae-1+1-x3"


def test_a_report_without_validation_images_has_a_second_study_where_a_claim_asks_for_some():
    asked = {key for key, one in search_spaces.reported().items() if reproduce.needs_held_out(key, one)}
    fashion = {"base", "p0.1", "p0.1_n256", "sgd", "classifier_finetuned", "classifier_frozen"}
    assert asked == {*(f"fashion/{name}" for name in fashion), "flowers/no_batch_norm"}


def test_one_network_under_two_names_is_one_study_and_decides_the_claims_on_both(tmp_path, monkeypatch, capsys):
    assert search_spaces.same_runs("flowers/adam") == ("flowers/batch_norm", "flowers/adam")
    assert search_spaces.same_runs("flowers/sgd") == ("flowers/sgd",)
    monkeypatch.setattr(
        "study.driver.reproductions.probe_on", lambda machine: lambda entry: tuple(map(float, entry.epochs))
    )
    assert reproduce.main(["flowers/*adam", "--dry-run", "--storage", str(tmp_path), "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("flowers/batch_norm") == 1
    assert "flowers/adam" not in capsys.readouterr().out


# --- what is left, and for how long


def test_a_pace_is_measured_once_for_each_machine_and_configuration(tmp_path):
    measured = []

    def probe(entry: Reported) -> tuple[float, ...]:
        measured.append(entry)
        return (2.5,)

    def pace(machine: str, one: Reported) -> tuple[float, ...]:
        return Paces(tmp_path / "paces.json", machine, probe).of("a/b", one)

    assert [pace("here", entry(3)), pace("here", entry(3)), pace("there", entry(3))] == [(2.5,)] * 3
    assert len(measured) == 2
    pace("here", entry(3, latent_size=4))  # another configuration under the same key
    assert len(measured) == 3
    (tmp_path / "paces.json").write_text("{torn")
    assert pace("here", entry(3)) == (2.5,)


def test_the_cheapest_comes_first_and_what_is_done_counts(tmp_path):
    def study(key: str, *epochs: int) -> Reproduction:
        return Reproduction(key, entry(*epochs), 2, tmp_path)

    def begun(key: str, ended: int, epochs: int, **about: object) -> None:
        runs = made_up_seeds(key.replace("/", "_"), {"val_mse": [0.1] * 2}, epochs=epochs, key=key, seconds=7.0)
        runs[1].status = "running"
        runs[1].epochs = runs[1].epochs[:ended]
        recorded_studies.write_study(tmp_path, name_of(key, 2), runs, **about)

    begun("a/begun", ended=10, epochs=40)
    begun("a/finished", ended=40, epochs=40, summary={})
    studies = [study("a/long", 30, 30), study("a/begun", 40), study("a/finished", 40), study("a/short", 5)]
    plan = planned(studies, paces(tmp_path, 1.0, 10.0), MACHINE)
    assert [one.study.key for one in plan] == ["a/finished", "a/short", "a/begun", "a/long"]
    around = plan[1].seconds - 2 * 5 * 10.0
    assert [one.seconds for one in plan] == [0, 100 + around, 30 * 7 + around, 2 * (30 + 300) + around]
    assert plan[2].pace == (7.0,)  # as it has recorded, whatever a probe says
    (on_gpu,) = planned(studies[1:2], paces(tmp_path, 1.0), Machine("a GPU", "cuda", 1, 1))
    assert on_gpu.pace == (10.0,)  # what a processor needed says nothing of it
    assert [one.study.progress for one in plan] == ["finished", "not begun", "50 of 80 epochs", "not begun"]
    both = planned(studies, paces(tmp_path, 1.0, 10.0), Machine("m", "cpu", 1, 2))
    assert both[-1].seconds == 330 + around  # two seeds at a time


def test_of_a_study_that_has_moved_only_the_epochs_on_such_a_device_say_its_pace(tmp_path):
    runs = made_up_seeds("a_moved", {"val_mse": [0.1]}, epochs=3, key="a/moved", seconds=0.5)
    runs[0].status = "running"
    folder = StudyFolder(recorded_studies.write_study(tmp_path, name_of("a/moved", 1), runs))

    def measured(device: str) -> dict[int, float]:
        return dict(Reproduction("a/moved", entry(9), 1, tmp_path).measured(device))

    recorded_studies.record(folder, Placed(runs[0].id, "gpu-node", 7, 0, gpus=1.0))
    epochs = [EpochEnded(runs[0].id, number, {"val_mse": 0.1, "seconds": 2.0}) for number in (4, 5)]
    recorded_studies.record(folder, *epochs)
    assert measured("cuda") == {0: 2.0}
    recorded_studies.record(folder, Placed(runs[0].id, "laptop", 7, 0))
    assert measured("cuda") == measured("cpu") == {}
    recorded_studies.record(folder, EpochEnded(runs[0].id, 6, {"val_mse": 0.1, "seconds": 80.0}))
    assert measured("cpu") == {0: 80.0}


def test_a_finished_study_on_more_seeds_stands_for_one_on_fewer(tmp_path):
    runs = made_up_seeds("a_b", {"val_mse": [0.1] * 5}, key="a/b")
    for number, about in ((5, {"summary": {}}), (7, {})):  # the second one is not finished
        recorded_studies.write_study(
            tmp_path, name_of("a/b", number), runs, settings={"confirm_seeds": number}, **about
        )
    for seeds, found in ((3, 5), (5, 5), (6, 6)):
        study = Reproduction.of("a/b", entry(1), seeds, tmp_path)
        assert (study.seeds, study.finished) == (found, found == 5)


def test_a_study_on_fewer_seeds_goes_on_with_more(finished_runs, capsys):
    storage, ran, _ = finished_runs
    for number, count in ((2, 2), (3, 3)):
        runs = made_up_seeds("a_x", {"val_mse": [0.1] * count}, key="a/x", epochs=2)
        recorded_studies.write_study(
            storage, name_of("a/x", number), runs, summary={}, settings={"confirm_seeds": number}
        )
    study = Reproduction.of("a/x", entry(2), 5, storage)
    assert (study.folder.name, study.finished, study.progress) == ("reproduce-a-x-x3", False, "6 of 10 epochs")
    assert reproduce.main(["a/x", "--storage", str(storage), "--seeds", "5"]) == 0
    assert ran == [["run", "--resume", "reproduce-a-x-x3", "--storage", str(storage), "--report-seeds", "5"]]


def test_what_is_kept_on_as_many_seeds_is_left_out_where_the_missing_is_asked_for(finished_runs, tmp_path, capsys):
    storage, ran, _ = finished_runs
    for key, seeds, more in (("a/short", 3, None), ("a/long", 3, 5), ("a/x", 3, None)):
        folder = tmp_path / "kept" / name_of(key, seeds, held_out=key == "a/x")  # which is another study
        folder.mkdir(parents=True)
        settings = {"confirm_seeds": seeds, "report_seeds": more}
        (folder / "study.json").write_text(json.dumps({"settings": settings}))
    argv = ["a/*", "--storage", str(storage), "--missing"]
    assert reproduce.main([*argv, "--seeds", "3", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("2 of 3 are kept in ")
    assert ("a/x" in said, "a/short" in said, "a/long" in said) == (True, False, False)
    assert reproduce.main([*argv, "--seeds", "5"]) == 0
    assert [words[words.index("--reported") + 1] for words in ran] == ["a/short", "a/x"]


def test_the_plan_says_hours_and_what_does_not_fit_the_budget(tmp_path):
    studies = [Reproduction(f"a/{epochs}", entry(epochs), 1, tmp_path) for epochs in (1, 9)]
    plan = [Planned(study, (4410.0,), 3600.4 * study.entry.epochs[0] ** 3) for study in studies]
    lines = plan_text(plan, MACHINE, 7200.0).splitlines()
    assert max(map(len, lines)) <= 80
    first, second, *whole = lines[1:]
    assert first.split()[-2:] == ["4,410", "1"]
    assert second.split()[-4:] == ["4,410", "729", "no", "time"]
    assert " ".join(whole).startswith("730 hours are left, 1 of them within the time budget of 2;")


def test_a_dry_run_measures_and_trains_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(child, "Child", None)
    monkeypatch.setattr("study.training.pace.epoch_seconds", lambda *about: (36.0,))
    argv = ["fashion/base", "pca/mnist", "--storage", str(tmp_path / "results"), "--dry-run", "--max-concurrent", "1"]
    assert reproduce.main([*argv, "--seeds", "4"]) == 0
    said = capsys.readouterr().out
    assert "fashion/base" in said
    assert "0.61" in said  # 4 seeds × 15 epochs × 36 s, and what goes around them
    assert "pca/mnist with 1, 2, 44, 87, 154 components: not begun" in said
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["paces.json"]


def test_a_probe_takes_a_few_batches_for_the_whole_of_each_stage(monkeypatch):
    """By a clock that only training moves: 2 s a batch, and 1 s for each 10 images of an evaluation."""
    clock = [0.0]
    monkeypatch.setattr(pace.time, "perf_counter", lambda: clock[0])
    trained = []

    class Clocked:
        def __init__(self, config, data, **_):
            self.images = {name: len(images) for name, (images, _) in data.items()}
            self.batch_size = config["batch_size"]

        def train(self, most):
            assert most * self.batch_size <= self.images["train"]
            trained.append(most)
            clock[0] += 2.0 * most

        def evaluate(self, split):
            clock[0] += self.images[split] / 10

    monkeypatch.setattr(pace, "Trainer", Clocked)
    one = search_spaces.reported()["fashion/classifier_frozen"]
    sizes = {"train": 1_050, "val": 500}  # 11 batches of 100
    found = pace.epoch_seconds(one.config, one.image_shape, 10, sizes, torch.device("cpu"))
    assert found == (11 * 2.0 + 50.0,) * 2
    assert trained == [1, 1] * 2  # of batches that take longer than a second, no more than two


# --- what runs


@pytest.fixture
def finished_runs(tmp_path, monkeypatch):
    """Let every study end at once, as the list of words that it was run with; `ends` says how, by name."""
    ran: list[list[str]] = []
    ends: dict[str, int] = {}

    class Ended:
        def __init__(self, verb, words, *, seconds=None, output=None):
            ran.append([verb, *words])
            self.key = words[words.index("--reported") + 1] if "--reported" in words else words[1]

        def status(self):
            return ends.get(self.key, 0)

    monkeypatch.setattr(child, "Child", Ended)
    monkeypatch.setattr(keeping, "keep", lambda folder, into: into / folder.name)
    monkeypatch.setattr(keeping, "compared", lambda folder, into: [])
    monkeypatch.setattr(reproduce, "KEPT", tmp_path / "kept")
    monkeypatch.setattr("study.training.pace.epoch_seconds", lambda *about: (60.0,))
    monkeypatch.setattr(search_spaces, "reported", lambda: {"a/short": entry(1), "a/long": entry(90), "a/x": entry(2)})
    return tmp_path / "results", ran, ends


def test_studies_run_one_after_the_other_with_the_machines_options_and_a_failure_ends_none_of_the_others(
    finished_runs,
):
    storage, ran, ends = finished_runs
    ends["a/short"] = 1
    runs = made_up_seeds("a_x", {"val_mse": [0.1]}, key="a/x", seconds=90.0)
    runs[0].status = "running"
    recorded_studies.write_study(storage, name_of("a/x", 3), runs)
    argv = ["a/*", "--storage", str(storage), "--seeds", "3", "--cpus-per-trial", "1", "--max-concurrent", "1"]
    assert reproduce.main(argv) == 1
    machine = ["--storage", str(storage), "--cpus-per-trial", "1", "--max-concurrent", "1"]
    assert ran == [
        [
            "run",
            "--reported",
            "a/short",
            "--confirm",
            "1x3",
            "--as-reported",
            "--name",
            "reproduce-a-short-x3",
            *machine,
        ],
        ["run", "--resume", "reproduce-a-x-x3", *machine],
        ["run", "--reported", "a/long", "--confirm", "1x3", "--as-reported", "--name", "reproduce-a-long-x3", *machine],
    ]


def test_the_second_study_of_a_configuration_holds_images_out(finished_runs, monkeypatch, capsys):
    storage, ran, _ = finished_runs
    monkeypatch.setattr(reproduce, "needs_held_out", lambda key, one: key == "a/x")
    assert reproduce.main(["a/x", "--storage", str(storage), "--seeds", "3"]) == 0
    asked = ["run", "--reported", "a/x", "--confirm", "1x3"]
    assert [words[:5] for words in ran] == [asked, asked]
    first, second = ran
    assert first[5:8] == ["--as-reported", "--name", "reproduce-a-x-x3"]
    assert second[5:7] == ["--name", "reproduce-a-x-x3-held-out"]
    assert "a/x, images held out" in capsys.readouterr().out


def test_what_does_not_fit_the_time_budget_is_left_with_its_estimate(finished_runs, capsys):
    storage, ran, _ = finished_runs
    assert reproduce.main(["a/*", "--storage", str(storage), "--seeds", "1", "--time-budget", "10m"]) == 0
    assert [words[2] for words in ran] == ["a/short", "a/x"]
    assert "left: a/long, 1.51 hours" in capsys.readouterr().out


def test_a_study_that_somebody_else_ended_ends_the_command(finished_runs):
    storage, ran, ends = finished_runs
    ends["a/x"] = 130
    assert reproduce.main(["a/*", "--storage", str(storage)]) == 130
    assert [words[2] for words in ran] == ["a/short", "a/x"]


def test_several_studies_share_a_ray_and_say_what_they_do_in_files_of_their_own(finished_runs, monkeypatch, capsys):
    storage, _, _ = finished_runs
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    argv = ["a/*", "--storage", str(storage), "--seeds", "1", "--studies", "2"]
    assert reproduce.main(argv) == 2
    assert "--studies 2 needs --address" in capsys.readouterr().err
    going: list[str] = []
    most: list[int] = []

    class Running:
        def __init__(self, verb, words, *, seconds=None, output=None):
            self.key, self.asked = words[1], 0
            output.write(f"{self.key} says this\n".encode())
            going.append(self.key)

        def status(self):
            most.append(len(going))
            self.asked += 1
            if self.asked < 3:
                return None
            going.remove(self.key)
            return 1 if self.key == "a/x" else 0

    monkeypatch.setattr(child, "Child", Running)
    assert reproduce.main([*argv, "--address", "auto"]) == 1
    assert max(most) == 2
    out = " ".join(capsys.readouterr().out.split())
    assert "a/long: finished" in out
    log = storage / "reproduce-a-x-x1.log"
    assert log.read_text() == "a/x says this\n"
    assert f"a/x: ended with 1; {os.path.relpath(log)} says why" in out


def test_whoever_leaves_asks_every_study_to_leave_first(finished_runs, monkeypatch):
    storage, _, _ = finished_runs
    left = []

    class Running:
        def __init__(self, verb, words, *, seconds=None, output=None):
            self.key, self.asked = words[1], False

        def status(self):
            return 130 if self.asked or self.key == "a/x" else None

        def ask_to_leave(self):
            self.asked = True

        def wait(self):
            assert self.asked
            left.append(self.key)

    monkeypatch.setattr(child, "Child", Running)
    argv = ["a/*", "--storage", str(storage), "--seeds", "1", "--studies", "3", "--address", "auto"]
    assert reproduce.main(argv) == 130
    assert sorted(left) == ["a/long", "a/short"]


# --- the process of a study


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Stand in for a command: it says that it runs, and leaves with 130 at SIGTERM."""
    file = tmp_path / "script.py"
    file.write_text(
        "import os, signal, sys, time\n"
        "from pathlib import Path\n"
        "mark = Path(sys.argv[1])\n"
        "def leave(*_):\n    mark.with_suffix('.left').touch()\n    os._exit(130)\n"
        "signal.signal(signal.SIGTERM, leave)\n"
        "mark.write_text(str(os.getpid()))\n"
        "time.sleep(float(sys.argv[2]))\n"
        "os.kill(os.getpid(), 9) if sys.argv[3:] else sys.exit(3)\n"
    )
    monkeypatch.setattr(child, "script", lambda verb: file)
    return tmp_path / "mark"


def test_a_process_ends_with_its_own_status_or_1_if_it_was_killed(script, capfd):
    assert child.run_to_end("run", [str(script), "0"]) == 3
    assert child.run_to_end("run", [str(script), "0", "killed"]) == 1
    assert "ended by SIGKILL" in capfd.readouterr().err


def test_a_process_that_is_out_of_time_is_asked_to_leave(script):
    assert child.Child("run", [str(script), "60"], seconds=1.0).wait() == child.OUT_OF_TIME
    assert script.with_suffix(".left").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")
def test_a_process_leaves_when_the_one_that_waits_is_killed(script, tmp_path):
    waiting = (
        f"from study.driver import child\nfrom pathlib import Path\nchild.script = lambda _: Path({str(tmp_path)!r}) "
        f"/ 'script.py'\nchild.run_to_end('run', [{str(script)!r}, '60'])"
    )
    parent = subprocess.Popen([sys.executable, "-c", waiting], cwd=ROOT)
    wait_for(lambda: script.exists() and script.read_text(), parent, 60)
    parent.kill()
    parent.wait()
    wait_for(lambda: script.with_suffix(".left").exists(), seconds=30)


# --- what is kept


def made_up_reproduction(storage: Path) -> StudyFolder:
    runs = made_up_seeds("a_b", {"val_mse": [0.125, 0.25], "test_mse": [0.1 + 0.2, 0.5]}, epochs=2, key="a/b")
    path = recorded_studies.write_study(
        storage,
        "reproduce-a-b-x2",
        runs,
        settings={"storage": str(storage), "data_dir": "/home/me/data", "tracking_uri": "sqlite:////home/me/mlflow.db"},
        data={"class_names": ["cat", "dog"]},
        environment={"git_commit": "abc", "cpu": "a processor"},
        baseline=[{"n_components": 8, "test_mse": 0.5}],
        summary={"best": None},
    )
    folder = StudyFolder(path)
    (folder.checkpoints / "a_b-s2").mkdir(parents=True)
    np.savez(folder.checkpoints / "a_b-s2" / "predictions.npz", confusion=np.array([[5, 0], [2, 3]]))
    folder.samples.mkdir()
    Image.new("RGB", (8, 8)).save(folder.samples / "prior.png")
    (folder.best).mkdir()
    (folder.best / "model.pt").touch()
    return folder


def test_a_finished_study_leaves_its_tables_and_pictures_and_no_path_of_the_machine(tmp_path):
    folder = made_up_reproduction(tmp_path / "results")
    for _ in range(2):  # the second time in place of the first
        kept = keeping.keep(folder, tmp_path / "kept")
    assert kept == tmp_path / "kept" / "reproduce-a-b-x2"
    assert {path.name for path in kept.iterdir()} == {
        *("study.json", "summary.json", "confirm.csv", "confirm_history.csv", "baseline.csv", "confusion.csv"),
        "prior.png",
    }
    assert [row["test_mse"] for row in table(kept / "confirm.csv")] == [repr(0.1 + 0.2), "0.5"]
    assert len(table(kept / "confirm_history.csv")) == 4
    assert table(kept / "confusion.csv") == [
        {"confirm_id": "a_b-s2", "true": "cat", "predicted": "cat", "images": "5"},
        {"confirm_id": "a_b-s2", "true": "dog", "predicted": "cat", "images": "2"},
        {"confirm_id": "a_b-s2", "true": "dog", "predicted": "dog", "images": "3"},
    ]
    about = json.loads((kept / "study.json").read_text())
    assert about["environment"] == {"git_commit": "abc", "cpu": "a processor"}
    assert about["hours"]["training"] == pytest.approx(4 / 3600, abs=1e-4)
    assert_names_no_machine(kept, tmp_path, Path("/home/me"))


def test_a_run_is_compared_with_what_is_kept_of_its_configuration_and_seed(tmp_path):
    def finished(name: str, *test_mse: float, images: str = "divided") -> StudyFolder:
        runs = made_up_seeds("a_b", {"val_mse": [0.1] * len(test_mse), "test_mse": test_mse}, key="a/b")
        about = {"summary": {}, "data": {"class_names": [], "digest": images}}
        return StudyFolder(recorded_studies.write_study(tmp_path / name, name, runs, **about))

    kept = tmp_path / "kept"
    five = finished("reproduce-a-b-x3", 0.1, 0.2, 0.3)
    assert keeping.compared(five, kept) == []
    keeping.keep(five, kept)
    again = finished("reproduce-a-b-x2", 0.1, 0.22)
    assert keeping.compared(again, kept) == [
        "a_b-s1 has the same numbers as was kept in reproduce-a-b-x3",
        "a_b-s2 differs, most in test_mse, by 0.1 of it, from what was kept in reproduce-a-b-x3",
    ]
    held_out = finished("reproduce-a-b-x1-held-out", 0.1, images="divided otherwise")
    assert keeping.compared(held_out, kept) == []


def assert_names_no_machine(kept: Path, *folders: Path) -> None:
    for file in kept.rglob("*"):
        if file.suffix != ".png":
            said = file.read_text()
            assert not [folder for folder in (ROOT, Path.home(), *folders) if str(folder) in said], file
            assert platform.node() not in said.replace(platform.platform(), ""), file


def test_the_reason_of_a_failed_run_is_kept_without_paths(tmp_path):
    runs = made_up_seeds("a_b", {"val_mse": [0.1]}, key="a/b")
    runs[0].status, runs[0].reason = "failed", "OSError: no room in '/home/me/results/x' for 3/4 of it"
    path = recorded_studies.write_study(tmp_path, "s", runs, summary={}, data={"class_names": ["cat"]})
    kept = keeping.keep(StudyFolder(path), tmp_path / "kept")
    assert table(kept / "confirm.csv")[0]["reason"] == "OSError: no room in '…' for 3/4 of it"


def test_a_large_picture_is_made_small_enough(tmp_path, monkeypatch):
    monkeypatch.setattr(keeping, "MOST_BYTES", 3_000)
    noise = np.random.default_rng(0).integers(0, 256, (60, 70, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    small = keeping.small_png(tmp_path / "noise.png")
    assert len(small) <= 3_000 < (tmp_path / "noise.png").stat().st_size


# --- the whole, on the digits

# Plants a small configuration on the digits into the processes of the commands.
PLANTED = """
import sys
if any(word.endswith(("study/run.py", "study/reproduce.py")) for word in sys.orig_argv):
    from search_spaces import digits
    from search_spaces._reported import ReportedSplit, entry
    config = next(space for space in digits.SPACES if space.family == "ae").default
    split = ReportedSplit(1257, 270, "Planted.")
    reported = entry(digits.DATASET, "ae", (40,), "Planted.", dict(config), split=split)
    smaller = entry(digits.DATASET, "ae", (40,), "Planted.", dict(config, latent_size=5), split=split)
    digits.REPORTED = {"digits/dense": reported, "digits/smaller": smaller}
"""
ARGV = ["--seeds", "1", "--cpus-per-trial", "1", "--max-concurrent", "1", "--out", "kept"]
EPOCHS = 40


def start(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    prepare(folder)
    (folder / "sitecustomize.py").write_text(PLANTED)
    env = environment() | {"PYTHONPATH": str(folder)}
    command = [sys.executable, str(commands.script("reproduce")), *words, *ARGV]
    with (folder / "output.txt").open("a") as log:
        return subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=subprocess.STDOUT)


def uninterrupted(config: dict[str, object], seed: int) -> list[dict[str, float]]:
    """Return the metrics of each epoch of a run, trained here at one go."""
    data = image_data.load("digits", Path())
    splits = {
        name: tuple(map(torch.from_numpy, (data.splits[name].images, data.splits[name].labels)))
        for name in ("train", "val")
    }
    trainer = Trainer(config, splits, num_classes=data.num_classes, epochs=EPOCHS, seed=seed)
    return [trainer.epoch() for _ in range(EPOCHS)]


@pytest.fixture
def shared_ray(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    try:
        yield found.address
    finally:
        found.shutdown()


@pytest.mark.slow
def test_two_studies_are_trained_at_a_time_in_one_ray(shared_ray, tmp_path):
    process = start(tmp_path, "digits/*", "--studies", "2", "--address", shared_ray)
    assert process.wait(600) == 0, (tmp_path / "output.txt").read_text()
    times = []
    for key in ("digits/dense", "digits/smaller"):
        (row,) = table(tmp_path / "kept" / name_of(key, 1) / "confirm.csv")
        assert (row["status"], row["epochs"]) == ("completed", str(EPOCHS))
        assert f"{key}: finished" in (tmp_path / "output.txt").read_text()
        folder = StudyFolder(tmp_path / "results" / name_of(key, 1))
        assert "[confirmation]" in folder.path.with_name(f"{folder.name}.log").read_text()
        events = [json.loads(line) for line in folder.journal.read_text().splitlines()]
        epochs = [event["time"] for event in events if event["event"] == "epoch"]
        times.append((epochs[0], epochs[-1]))
    (begun, ended), (also_begun, also_ended) = times
    assert begun < also_ended
    assert also_begun < ended


@pytest.mark.slow
def test_ended_twice_it_ends_with_the_numbers_of_a_run_that_was_not(tmp_path, monkeypatch, capsys):
    name = name_of("digits/dense", 1)
    study = StudyFolder(tmp_path / "results" / name)

    def epochs() -> int:
        return sum(len(run.epochs) for run in read_state(study.journal).confirmations) if study.has_begun else 0

    for least, number in ((5, signal.SIGKILL), (20, signal.SIGTERM)):
        process = start(tmp_path, "digits/dense")
        wait_for(lambda n=least: epochs() >= n, process)
        children = psutil.Process(process.pid).children(recursive=True)
        began, before = time.monotonic(), epochs()
        process.send_signal(number)
        assert process.wait(60) == (130 if number == signal.SIGTERM else -number)
        wait_for(lambda: not study.is_locked, seconds=60)
        print(f"left {time.monotonic() - began:.1f} s after {number.name}, in epoch {before + 1} of {EPOCHS}")
        for one in children:  # Ray's agents outlive their driver
            if one.is_running():
                one.kill()
    assert start(tmp_path, "digits/dense").wait(600) == 0, (tmp_path / "output.txt").read_text()
    kept = tmp_path / "kept" / name
    (row,) = table(kept / "confirm.csv")
    assert (row["status"], row["epochs"], row["key"]) == ("completed", str(EPOCHS), "digits/dense")
    config = next(space for space in digits.SPACES if space.family == "ae").default
    for mine, theirs in zip(table(kept / "confirm_history.csv"), uninterrupted(config, int(row["seed"])), strict=True):
        assert (float(mine["train_mse"]), float(mine["val_mse"])) == (theirs["train_mse"], theirs["val_mse"])
    assert (kept / "reconstructions.png").stat().st_size <= keeping.MOST_BYTES
    assert_names_no_machine(kept, tmp_path)
    # Nothing is left, and what was kept is there.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(search_spaces, "reported", lambda: {"digits/dense": entry(EPOCHS)})
    monkeypatch.setattr(child, "Child", None)
    assert reproduce.main(["digits/*", *ARGV]) == 0
    assert "finished" in capsys.readouterr().out
