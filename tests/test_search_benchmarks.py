"""What the benchmarks of a warm start, of a front and of schedulers reckon, and that their searches are the study's."""

import json
import math
import sys
from pathlib import Path

import pytest
from recorded_curves import curves, write_study
from study_processes import run

from study.data.image_data import default_data_dir
from study.record.journal import read_state
from study.record.ranking import best_trials
from study.simulation.grid import variants

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))

import _alone
import bench_front
import bench_warm_start
import measure_schedulers
import read_search

WORST = (512.0, 1.0)


def test_a_hypervolume_is_the_area_up_to_the_reference_point():
    assert bench_front.hypervolume([(128, 0.1)], WORST) == pytest.approx(2 * 1)
    steps = [(32, 0.1), (128, 0.001)]
    assert bench_front.hypervolume(steps, WORST) == pytest.approx(2 * 1 + 2 * 3)


def test_what_is_dominated_or_beyond_the_reference_point_adds_nothing():
    others = [(256, 0.2), (1024, 1e-6), (8, 2.0), (512, 1e-6)]
    assert bench_front.hypervolume([(128, 0.1), *others], WORST) == bench_front.hypervolume([(128, 0.1)], WORST)
    assert bench_front.hypervolume(others[1:], WORST) == 0


def test_the_best_within_a_size_is_of_smaller_codes_too():
    points = [(8, 0.5), (60, 0.1), (64, 0.2)]
    assert [bench_front.best_within(points, size) for size in (4, 8, 64)] == [math.inf, 0.5, 0.1]


def test_a_misleading_source_calls_its_worst_trial_the_best(tmp_path):
    write_study(tmp_path, "helpful", curves(trials=5, epochs=3))
    bench_warm_start.mislead(tmp_path, "helpful", "misleading")
    helpful, misleading = (read_state(tmp_path / name / "journal.jsonl") for name in ("helpful", "misleading"))
    ranked = [[run.id for run in best_trials(state, "val_mse")] for state in (helpful, misleading)]
    assert ranked[1] == ranked[0][::-1]
    assert [run.config for run in misleading.trials] == [run.config for run in helpful.trials]


def cells_of(tmp_path, values):
    """Return the cells of the same curves under the names of all eight studies."""
    options = measure_schedulers.argparse.Namespace(orders=6)
    spaces = (*measure_schedulers.CHOOSING, *measure_schedulers.SHOWING)
    for space in spaces:
        write_study(tmp_path, space, values)
    compared = variants(("asha", "median"), measure_schedulers.GRACES, (3,), [len(values[0])])
    return {space: measure_schedulers.replayed(tmp_path, space, compared, options) for space in spaces}


def test_a_default_that_is_good_enough_stays_though_others_are_cheaper(tmp_path):
    text = measure_schedulers.chosen(cells_of(tmp_path, curves(trials=12, epochs=12)))
    assert text == "asha (the default), grace 1, 1 in 3 is good enough on all: it stays"


def test_else_the_cheapest_that_is_good_enough_is_chosen(tmp_path):
    values = curves(trials=12, epochs=12)
    values[0][0] = 9.0  # the best one is the worst after its first epoch, where the default judges
    text = measure_schedulers.chosen(cells_of(tmp_path, values))
    assert text.startswith("chosen: asha, grace 2, 1 in 3;")
    assert text.endswith("good enough")


def test_where_the_best_starts_last_the_default_stays(tmp_path):
    values = curves(trials=12, epochs=12)
    values[11] = [9.0] * 11 + [0.0]  # the worst one until its last epoch
    text = measure_schedulers.chosen(cells_of(tmp_path, values))
    assert text == "no setting is good enough on the studies that choose: the default stays"


def kept(folder, ours, peer):
    """Write the curves of one seed, each of a side whose command takes 20 s."""
    runs = {side: {"whole": 20.0, "best": curve[-1][1]} for side, curve in (("ours", ours), ("peer", peer))}
    number = len(list(folder.glob("*.json")))
    text = json.dumps({"runs": runs, "curves": {"ours": ours, "peer": peer}})
    (folder / f"digits_ae-{number}.json").write_text(text)


def read(folder, from_first=False):
    """Return the row of the peer."""
    ((space, seeds),) = read_search.read(folder, from_first).items()
    return dict(zip(read_search.HEADER, read_search.rows(space, seeds)[1], strict=True))


def test_kept_curves_are_compared_in_pairs(tmp_path):
    kept(tmp_path, [(5.0, 0.4), (10.0, 0.2)], [(5.0, 0.8), (12.0, 0.4)])
    kept(tmp_path, [(5.0, 0.4), (10.0, 0.2)], [(5.0, 0.8), (12.0, 0.1)])
    row = read(tmp_path)
    assert row["after equal time"].startswith("1.000 (")  # twice as bad and half as bad
    assert (row["seeds"], row["within 1 %"]) == ("2", "1 of 2")


def test_times_from_the_first_value_leave_the_start_out(tmp_path):
    kept(tmp_path, [(9.0, 0.4), (12.0, 0.2)], [(1.0, 0.8), (15.0, 0.1)])
    assert read(tmp_path)["seconds until"] == "15"
    assert read(tmp_path, from_first=True)["seconds until"] == "14"
    assert read(tmp_path)["after equal time"] == "0.500"
    assert read(tmp_path, from_first=True)["after equal time"] == "4.000"  # 11 s: the peer has its first value alone


def test_error_rates_of_zero_are_compared_by_their_difference(tmp_path):
    kept(tmp_path, [(5.0, 0.0)], [(5.0, 0.02)])
    kept(tmp_path, [(5.0, 0.01)], [(5.0, 0.01)])
    assert read(tmp_path)["in the end"].startswith("+0.0100 (")


WORDS = "--space digits_ae --trials 3 --epochs 2 --train-size 200 --seed 3"


def values_of(state):
    return [(run.config, run.seed, [epoch["val_mse"] for epoch in run.epochs]) for run in state.trials]


def test_a_search_alone_goes_on_where_it_was_cut_off(tmp_path):
    whole = _alone.search(tmp_path, "whole", WORDS, default_data_dir())
    lines = (tmp_path / "whole" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "cut").mkdir()
    second = next(place for place, line in enumerate(lines) if b'"t0001", "epoch": 1' in line)
    (tmp_path / "cut" / "journal.jsonl").write_bytes(b"".join(lines[: second + 1]))
    again = _alone.search(tmp_path, "cut", WORDS, default_data_dir())
    assert again.search_ended == "trials"
    assert values_of(again) == values_of(whole)


@pytest.mark.slow
def test_a_search_alone_is_what_a_study_does(tmp_path):
    done = run(
        tmp_path, *WORDS.split(), "--scheduler", "none", "--max-concurrent", "1", "--confirm", "0", "--name", "real"
    )
    assert done.returncode == 0, done.stderr
    alone = _alone.search(tmp_path, "alone", WORDS, default_data_dir())
    real = read_state(tmp_path / "results" / "real" / "journal.jsonl")
    for mine, other in zip(values_of(alone), values_of(real), strict=True):
        assert mine[:2] == other[:2]
        assert mine[2] == pytest.approx(other[2], rel=1e-4)
