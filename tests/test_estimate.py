"""What a dry run says that a study may take."""

from dataclasses import replace

import pytest

import search_spaces
from study.cluster.resources import Resources
from study.driver import beginning, confirmation, dry_run, estimate
from study.driver.estimate import Span
from study.driver.reproductions import Machine
from study.record import disk
from study.run import main
from study.search.schedulers import least_epochs
from study.settings import command_line, resolve
from study.settings.resolve import space_context

MACHINE = Machine("a processor", "cpu", 1, 2)


def settings_of(*argv):
    return resolve.settings_of(command_line.parse(["--space", "digits_ae", *argv]).given)


def estimated(settings, probe, machine=MACHINE):
    space = search_spaces.get(settings.space)
    context = space_context(settings, space.image_shape, 10)
    listed = list(dry_run._reported(settings) if settings.reported else dry_run._drawn(settings, context, None))
    drawn = estimate.drawn_of(settings, context, listed, machine.concurrent)
    return estimate.estimate(settings, context, drawn, machine, probe), context


@pytest.mark.parametrize(
    ("scheduler", "epochs", "expected"),
    [
        ("none", 30, 30),
        ("asha", 30, 3 + 6 / 3 + 21 / 9),  # rungs 3 and 9; the next one would lie behind two thirds of the budget
        ("asha", 1, 1),
        ("median", 30, (6 + 30) / 2),
    ],
)
def test_the_epochs_that_a_scheduler_leaves_follow_from_its_rungs(scheduler, epochs, expected):
    assert least_epochs(scheduler, epochs) == pytest.approx(expected)


def test_where_every_config_takes_the_same_time_the_ends_are_what_stopping_and_neighbours_make():
    settings = settings_of("--trials", "12", "--epochs", "30", "--confirm", "2x2")
    found, context = estimated(settings, lambda config: (10.0,))
    low = 12 * (10 * least_epochs("asha", 30) + 0.1) / 2
    high = 1.5 * (12 * 300 / 2 + 300) + 12 * 2 / 2
    assert (found.search.low, found.search.high) == (pytest.approx(low), pytest.approx(high))
    runs = confirmation.runs_at_most(settings, search_spaces.get("digits_ae"), context)
    assert runs == (4, 4)
    assert found.confirmation.low == pytest.approx(8 * 300.1 / 2)
    assert found.whole.low == pytest.approx(20 + found.search.low + found.confirmation.low)
    assert found.probed == 6


def test_a_search_takes_no_longer_than_its_time_budget_and_confirmation_comes_on_top():
    budget = settings_of("--time-budget", "2m")
    found, _ = estimated(budget, lambda config: (10.0,))
    assert found.search == Span(120, 120)
    without, _ = estimated(settings_of(), lambda config: (10.0,))
    assert found.confirmation == without.confirmation
    none, _ = estimated(settings_of("--confirm", "0"), lambda config: (10.0,))
    assert none.confirmation == Span(0, 0)


def test_cheap_and_dear_configs_are_the_two_ends():
    times = iter([1.0, 1.0, 1.0, 9.0, 9.0, 9.0])
    found, _ = estimated(settings_of("--scheduler", "none", "--epochs", "10"), lambda config: (next(times),))
    assert found.search.low == pytest.approx(32 * 10.1 / 2)
    assert found.search.high == pytest.approx(1.5 * (32 * 90 / 2 + 90) + 32)


def test_of_reported_configurations_all_are_tried_with_their_own_epochs():
    settings = resolve.settings_of(command_line.parse(["--reported", "fashion/classifier*", "--space",
        "fashion_classifier", "--confirm", "1x2"]).given)  # fmt: skip
    tried = []
    found, _ = estimated(settings, lambda config: tried.append(config) or (1.0, 2.0))
    assert found.search is None
    assert found.probed == len(tried) == 2
    (first, last), *_ = {entry.epochs for entry in resolve.selected(settings.reported, settings.space).values()}
    seconds = first + 2 * last
    assert found.confirmation.low >= 4 * seconds / 2


def test_the_disk_is_what_the_study_itself_looks_for_of_the_largest_network():
    settings = settings_of("--confirm", "2x2")
    space = search_spaces.get("digits_ae")
    context = space_context(settings, space.image_shape, 10)
    listed = list(dry_run._drawn(settings, context, None))
    drawn = estimate.drawn_of(settings, context, listed, 2)
    found = estimate.estimate(settings, context, drawn, MACHINE, lambda config: (1.0,))
    largest = max(one.params for one in drawn)
    assert found.disk.high == disk.needed(largest, running=2, kept=2, confirmed=4)  # the 4 that report
    assert 0 < found.disk.low < found.disk.high


@pytest.mark.parametrize(
    ("argv", "runs", "left"),
    [
        (["--space", "digits_ae", "--confirm", "2x2"], (4, 4), 4),  # what only chose is deleted
        (["--space", "fashion_classifier", "--reported", "fashion/classifier*", "--confirm", "1x2"], (4, 2), 6),
    ],
)
def test_the_disk_has_room_for_the_networks_that_confirmation_leaves(argv, runs, left, monkeypatch):
    settings = resolve.settings_of(command_line.parse(argv).given)
    space = search_spaces.get(settings.space)
    context = space_context(settings, space.image_shape, 10)
    asked = []
    monkeypatch.setattr(disk, "check", lambda *arguments, **counts: asked.append(counts["confirmed"]))
    beginning.check_disk(settings, context, Resources(1.0, 0.0, 2, 2**40, 2.0))
    assert confirmation.runs_at_most(settings, space, context) == runs
    assert asked == [left]
    monkeypatch.setattr(disk, "needed", lambda size, **counts: asked.append(counts["confirmed"]) or disk.BESIDES)
    estimated(settings, lambda config: (1.0,))
    assert set(asked) == {left}


def test_device_hours_and_patience_bound_a_search():
    def search(*argv):
        return estimated(settings_of("--trials", "500", "--epochs", "30", *argv), lambda config: (10.0,))[0].search

    whole, hours, patient = search(), search("--device-hours", "1"), search("--patience", "5")
    assert hours.low == 1800.0  # 3600 processor seconds, two at a time
    # with the start of 500 runs, and the last run alone at the end: epochs alone count
    assert hours.high == pytest.approx(1800 + 500 * 2 / 2 + 1.5 * 300)
    assert hours.high < whole.high
    seeds = 2 * 300 / 2  # of the default, two more
    assert seeds < patient.low < whole.low
    assert patient.high > whole.high + seeds


def test_a_limit_of_device_hours_that_few_trials_do_not_reach_cuts_nothing():
    def search(*argv):
        given = settings_of("--trials", "2", "--epochs", "30", "--scheduler", "none", *argv)
        return estimated(given, lambda config: (10_000 / 30,), replace(MACHINE, concurrent=16))[0].search

    assert search("--device-hours", "8") == search()  # two runs of 10,000 s, of two of the 16 places
    assert search("--device-hours", "4").low == 2 * 3600


def test_on_a_gpu_device_hours_are_of_gpus_however_many_processors_a_run_has():
    gpu = Machine("a GPU", "cuda", 4, 2)
    for words, run_has in (((), 1.0), (("--gpus-per-trial", "0.5"), 0.5), (("--gpus-per-trial", "0"), 4.0)):
        settings = settings_of("--cpus-per-trial", "4", "--device-hours", "2", *words)
        assert estimate._device_seconds(settings, gpu) == 7200 / run_has
    assert estimate._device_seconds(settings_of("--cpus-per-trial", "4", "--device-hours", "2"), MACHINE) == 1800.0


def test_networks_that_would_be_refused_are_not_tried():
    tried = []
    estimated(settings_of("--max-params", "3000"), lambda config: tried.append(config) or (1.0,))
    assert 0 < len(tried) < 6
    found, _ = estimated(settings_of("--max-params", "1"), lambda config: pytest.fail("none fits"))
    assert found == "No estimate: no config fits into --max-params 1"


def test_the_words_fit_80_columns_and_say_for_which_machine_they_are():
    settings = settings_of("--time-budget", "2h")
    found, context = estimated(settings, lambda config: (10.0,))
    here = estimate.text(found, settings, context, MACHINE)
    assert max(map(len, here.splitlines())) <= 80
    words = " ".join(here.split())
    assert "search: 32 trials × 30 epochs" in words
    assert "--time-budget ends it after 2.0 h" in words
    assert "confirmation: 9 runs that choose, 6 that report" in words
    assert "on a processor, 2 at a time" in words
    there = replace(settings, address="10.0.0.1:6379")
    words = " ".join(estimate.text(found, there, context, MACHINE).split())
    assert "for this machine (a processor, 2 at a time" in words
    assert "not for the cluster at 10.0.0.1:6379, which is not asked" in words


def test_a_dry_run_ends_with_an_estimate_and_writes_nothing(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    argv = ["--space", "digits_ae", "--dry-run", "--trials", "2", "--epochs", "1", "--train-size", "100"]
    assert main(argv) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert max(map(len, lines)) <= 80
    start = next(place for place, line in enumerate(lines) if line.startswith("An estimate of order"))
    assert lines[start + 1].split() == ["at", "least", "at", "most"]
    assert [line.split("  ")[0] for line in lines[start + 2 : start + 6]] == [
        "search", "confirmation", "the whole command", "disk",
    ]  # fmt: skip
    assert said.err == "study: some are trained for a few batches, to estimate what the study takes\n"
    assert list(tmp_path.iterdir()) == []


def test_images_of_each_split_are_those_that_the_study_will_have():
    whole = search_spaces.datasets()["digits"].sizes
    assert dry_run._sizes(settings_of(), whole) == {"train": whole["train"], "val": whole["val"]}
    half = settings_of("--train-size", str(whole["train"] // 2), "--val-size", "proportional")
    assert dry_run._sizes(half, whole) == {"train": whole["train"] // 2, "val": round(whole["val"] / 2)}
