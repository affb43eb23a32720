"""The audit: each verdict reached by a made-up case, and never one from numbers that cannot carry it."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up_studies import CLASSES, runs, write_pca, write_study
from rich.console import Console

import search_spaces
from analysis.audit import compute_audit, main
from analysis.audits.evidence import read_evidence
from analysis.audits.readings import find
from analysis.audits.verdicts import Verdict, audit, differences, judge_bound, judge_check, judge_comparison
from analysis.audits.views import compute_table, our_lines, page_of, show
from analysis.page.render import render
from search_spaces import Check, Claim, Comparison, Measured
from study.data.image_data import load, subset
from study.driver.keeping import keep
from study.record.folder import StudyFolder
from study.record.intervals import Layers, Sample, difference

D, F = "cifar_cnn/D", "cifar_cnn/F"


@pytest.fixture(autouse=True)
def nothing_kept(tmp_path_factory, monkeypatch):
    """Let the command find nothing that the repository keeps: each case is of the studies that it makes up."""
    monkeypatch.setattr("analysis.audit.KEPT", tmp_path_factory.mktemp("kept"))


def audited(storage, key):
    found, _ = compute_audit([key], storage)
    assert len(found) == 1
    return found[0]


def verdict_of(storage, key):
    return audited(storage, key).verdict


# --- verdicts from intervals


def compared(lower, higher):
    return judge_comparison(differences(lower, higher))


def spread(mean, half, n=3, **limits):
    """Return n seeds whose interval is mean ± half."""
    at = [number - (n - 1) / 2 for number in range(n)]
    unit = Sample(dict(enumerate(at))).interval().high
    return Sample({seed: mean + half / unit * value for seed, value in enumerate(at)}, **limits)


@pytest.mark.parametrize(
    ("mean", "half", "verdict"),
    [
        (0.59, 0.01, Verdict.HOLDS),
        (0.63, 0.02, Verdict.UNDECIDED),  # only a part is within 0.03 of 0.59, and not the mean
        (0.64, 0.011, Verdict.UNDECIDED),  # the report's one run of this network may have been there: 0.64 ± 0.022
        (0.64, 0.009, Verdict.FAILS),
        (0.54, 0.009, Verdict.FAILS),
        (0.60, 0.20, Verdict.UNDECIDED),  # wider than what is to be told apart
    ],
)
def test_a_number_holds_within_the_tolerance_and_does_not_where_no_run_of_the_report_could_be(mean, half, verdict):
    assert judge_check(spread(mean, half), 0.59, 0.03) is verdict


def test_several_runs_of_a_report_count_with_their_own_spread():
    ours, close, loose = spread(0.64, 0.011), [0.589, 0.59, 0.591], [0.55, 0.59, 0.63]
    assert judge_check(ours, 0.59, 0.03) is Verdict.UNDECIDED
    assert judge_check(ours, 0.59, 0.03, close) is Verdict.FAILS
    assert judge_check(ours, 0.59, 0.03, loose) is Verdict.UNDECIDED
    assert judge_check(spread(0.58, 0.009), 0.59, 0.03, loose) is Verdict.HOLDS


@pytest.mark.parametrize("seeds", [3, 10])
def test_the_networks_own_next_run_is_refuted_in_five_cases_of_a_hundred_at_most(seeds):
    rng = np.random.default_rng(0)
    drawn = rng.normal(0.6, 0.05, (2000, seeds + 1))
    verdicts = [judge_check(Sample(dict(enumerate(ours))), theirs, 0.0) for *ours, theirs in drawn.tolist()]
    assert 0.035 < verdicts.count(Verdict.FAILS) / len(verdicts) < 0.065


def test_seeds_that_do_not_differ_decide_at_exactly_the_claimed_value_and_at_what_a_value_can_be():
    def accuracy(*values):
        return Sample.of("test_accuracy", dict(enumerate(values)))

    assert judge_check(accuracy(0.99, 0.99, 0.99), 0.99, 0.0) is Verdict.HOLDS
    assert judge_check(accuracy(0.99, 0.99), 0.99, 0.02) is Verdict.UNDECIDED
    assert judge_check(accuracy(0.99, 0.99, 0.99), 1.0, 0.02) is Verdict.UNDECIDED
    assert judge_check(accuracy(1.0, 1.0, 1.0), 0.99, 0.02) is Verdict.HOLDS
    assert judge_bound(accuracy(1.0, 1.0, 1.0), 0.995, None) is Verdict.HOLDS
    assert judge_bound(accuracy(1.0, 1.0), 0.995, None) is Verdict.UNDECIDED
    assert judge_bound(accuracy(0.999, 0.999, 0.999), 0.995, None) is Verdict.UNDECIDED
    assert judge_bound(accuracy(0.0, 0.0, 0.0), 0.995, None) is Verdict.UNDECIDED


def test_one_seed_decides_nothing_and_an_exact_number_everything():
    assert judge_check(Sample({1: 0.59}), 0.59, 0.03) is Verdict.UNDECIDED
    assert judge_bound(Sample({1: 0.59}), 0.1, None) is Verdict.UNDECIDED
    assert compared([Sample({1: 0.0})], [Sample({1: 1.0})]) is Verdict.UNDECIDED
    assert judge_check(Sample({}, 181.0), 181, 0) is Verdict.HOLDS
    assert judge_check(Sample({}, 1180.0), 181, 0) is Verdict.FAILS
    assert compared([Sample({}, 1.0)], [Sample({}, 1.0)]) is Verdict.FAILS


def test_an_interval_that_is_cut_at_what_a_metric_can_be_is_as_wide_as_it_reaches():
    seeds = Sample.of("test_accuracy", {1: 0.999, 2: 0.994, 3: 0.982})
    cut = seeds.interval().scaled(100)
    assert cut.high == 100
    assert cut.mean - cut.low > 2 > (cut.high - cut.low) / 2
    assert judge_check(seeds, 0.99, 0.02) is Verdict.UNDECIDED


def test_two_seeds_compare_no_networks():
    low, high = Sample({1: 0.10, 2: 0.11}), Sample({1: 0.20, 2: 0.2105})
    assert compared([low], [high]) is compared([high], [low]) is Verdict.UNDECIDED


def test_one_pair_of_many_is_against_a_claim_only_after_the_correction():
    """p is 0.03 alone, and 0.12 of four pairs."""
    pair = Sample({1: 0.0, 2: 0.01, 3: 0.02}), Sample({1: -0.03, 2: -0.02, 3: -0.01})
    assert difference(*pair).p == pytest.approx(0.021, abs=0.001)
    assert compared(pair[:1], pair[1:]) is Verdict.FAILS
    others = [Sample({1: at, 2: at + 0.5, 3: at + 1.0}) for at in (0.0, 0.01, 0.02)]
    assert compared(pair[:1], [pair[1], *others]) is Verdict.UNDECIDED


def test_pairs_of_a_claim_in_several_comparisons_are_corrected_together(tmp_path):
    """Ten classes, one by one: p is 0.02 of one the other way round, and 0.2 of ten."""
    first, second = [0.0, 0.01, 0.02], [-0.0226, -0.02, -0.0174]
    key, other = "fashion/classifier_frozen", "fashion/classifier_finetuned"
    ours, theirs = ({f"test_{n}": values for n in range(1, 10)} for values in ([0.0, 0.5, 1.0], [0.1, 0.4, 1.0]))
    rows = runs(key, epochs=15, test_0=first, **ours) + runs(other, epochs=15, test_0=second, **theirs)
    write_study(tmp_path, "both", rows, space="fashion_classifier")
    pairs = [Comparison((Measured(key, f"test_{n}"),), (Measured(other, f"test_{n}"),)) for n in range(10)]

    def verdict(*audits):
        return audit(Claim("k", "s", None, None, "m", "w", key, (), audits), read_evidence(tmp_path)).verdict

    assert verdict(pairs[0]) in (Verdict.FAILS, Verdict.FAILS_OPEN)
    assert verdict(*pairs) is Verdict.UNDECIDED


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.2, 0.3, Verdict.HOLDS), (0.05, 0.09, Verdict.FAILS), (0.05, 0.3, Verdict.UNDECIDED), (0.6, 0.7, Verdict.FAILS)],
)
def test_a_bound_holds_inside_fails_outside_and_is_open_across(low, high, verdict):
    assert judge_bound(spread((low + high) / 2, (high - low) / 2), 0.1, 0.5) is verdict


def test_every_pair_of_a_comparison_has_to_hold_and_one_against_it_is_enough():
    low, middle, high = (Sample({1: at, 2: at + 0.01, 3: at + 0.02}) for at in (0.1, 0.2, 0.3))
    loose = Sample({1: 0.0, 2: 0.9, 3: 0.5})
    assert compared([low, middle], [high]) is Verdict.HOLDS
    assert compared([low, high], [middle]) is Verdict.FAILS
    assert compared([low], [middle, loose]) is Verdict.UNDECIDED
    assert compared([low], [Sample({}, 0.5)]) is Verdict.HOLDS


# --- verdicts of claims


def test_claims_of_networks_hold_or_not_by_their_seeds(tmp_path):
    accuracies = {"val_accuracy": [0.58, 0.59, 0.60]}
    write_study(tmp_path, "ladder", runs(D, **accuracies), space="cifar_classifier")
    assert verdict_of(tmp_path, f"{D}/val_accuracy") is Verdict.HOLDS
    other = tmp_path / "other"
    write_study(other, "ladder", runs(D, val_accuracy=[0.68, 0.69, 0.70]), space="cifar_classifier")
    assert verdict_of(other, f"{D}/val_accuracy") is Verdict.FAILS_OPEN
    wide = tmp_path / "wide"
    write_study(wide, "ladder", runs(D, val_accuracy=[0.3, 0.9]), space="cifar_classifier")
    assert verdict_of(wide, f"{D}/val_accuracy") is Verdict.UNDECIDED
    single = tmp_path / "single"
    write_study(single, "ladder", runs(D, val_accuracy=[0.59]), space="cifar_classifier")
    assert audited(single, f"{D}/val_accuracy").words == "cannot be told apart: one seed has no interval"


def test_a_run_of_one_network_decides_the_claims_on_each_of_its_names(tmp_path):
    ran = runs("flowers/batch_norm", test_accuracy=[0.26, 0.265, 0.27])
    write_study(tmp_path, "flowers", ran, space="flowers_classifier")
    found = {name: verdict_of(tmp_path, f"flowers/{name}/test_accuracy") for name in ("batch_norm", "adam", "sgd")}
    assert Verdict.MISSING not in (found["batch_norm"], found["adam"])
    assert found["sgd"] is Verdict.MISSING


def test_a_claim_that_fails_under_settings_left_open_says_which_and_shows_the_note(tmp_path):
    """Another optimizer or batch size might have given the report's number: it is not refuted by ours."""
    write_study(tmp_path, "ladder", runs(D, val_accuracy=[0.68, 0.69, 0.70]), space="cifar_classifier")
    one = audited(tmp_path, f"{D}/val_accuracy")
    assert one.words.startswith("does not hold under settings that the report leaves open: optimizer, batch_size")
    note = search_spaces.reported()[D].note
    assert one.notes == (f"{D}: {note}",)
    table = compute_table([one])
    assert table["choices_of_ours"].tolist() == [f"{D}: {note}"]
    assert table["left_open"].iloc[0].startswith("optimizer, batch_size")
    assert "Choices of ours" in render(page_of([one]))
    terminal = Console(record=True, width=200, file=StringIO())
    show([one], terminal)
    assert "Choices of ours: cifar_cnn/D: Not named, chosen: Adam" in " ".join(terminal.export_text().split())


def test_what_open_training_settings_cannot_change_is_refuted_outright(tmp_path):
    write_study(tmp_path, "ladder", runs("cifar_cnn/A", params=1180, val_accuracy=[0.1]), space="cifar_classifier")
    assert verdict_of(tmp_path, "cifar_cnn/A/parameters") is Verdict.FAILS


def test_notes_that_several_configurations_share_come_once(tmp_path):
    one = audited(tmp_path, "cifar_ae/best_network")
    assert len(one.notes) == 1
    assert one.notes[0].startswith("cifar_ae/2+2, cifar_ae/1+1, cifar_ae/1+2, cifar_ae/2+1: The report names Adam")


def test_pca_at_the_reports_size_and_at_our_own_are_two_claims(tmp_path):
    """512 components win and 108 do not: what the report compares holds, whatever we ask besides."""
    keys = ("cifar_ae/1+1", "cifar_ae/1+2", "cifar_ae/2+1", "cifar_ae/2+2")
    rows = [row for key in keys for row in runs(key, train_mse=[0.0040, 0.0041, 0.0042])]
    pca = [{"n_components": 512, "train_mse": 0.000983}, {"n_components": 108, "train_mse": 0.005784}]
    write_study(tmp_path, "ae", rows, baseline=pca)
    assert verdict_of(tmp_path, "cifar_ae/pca_wins") is Verdict.HOLDS
    assert verdict_of(tmp_path, "cifar_ae/pca_wins_108") is Verdict.FAILS_OPEN


def test_networks_of_other_layers_are_compared_by_welch(tmp_path):
    """Seed by seed the difference is nearly constant, which says nothing of networks that share no weights."""
    lower, higher = {1: 0.10, 2: 0.50, 3: 0.90}, {1: 0.11, 2: 0.51, 3: 0.912}
    samples = [Sample(values, layers=Layers("dense", 9)) for values in (lower, higher)]
    assert compared(samples[:1], samples[1:]) is Verdict.HOLDS
    other = Sample(higher, layers=Layers("dense", 10))
    assert compared(samples[:1], [other]) is Verdict.UNDECIDED


def test_the_interval_is_students_over_the_seeds_in_the_claims_unit(tmp_path):
    rows = runs("cifar_ae/1+2", train_loss=[0.0096, 0.0097, 0.0098])
    write_study(tmp_path, "ae", rows)
    one = audited(tmp_path, "cifar_ae/1+2/training_loss")
    assert one.verdict is Verdict.HOLDS  # 13.86 against 13.827
    piece = one.pieces[0]
    assert piece.interval.mean == pytest.approx(1429 * 0.0097)
    half = 4.302652729911275 * 0.0001 / 3**0.5  # t(0.975, 2)
    assert piece.interval.high == pytest.approx(1429 * (0.0097 + half))
    assert piece.interval.n == 3


def test_fewer_epochs_than_the_reports_never_say_that_a_claim_does_not_hold(tmp_path):
    rows = runs(D, epochs=3, val_accuracy=[0.1, 0.1, 0.1]) + runs(F, epochs=3, val_accuracy=[0.1, 0.1, 0.1])
    write_study(tmp_path, "short", rows, space="cifar_classifier")
    found, _ = compute_audit(["cifar_cnn"], tmp_path)
    fails = (Verdict.FAILS, Verdict.FAILS_OPEN)
    assert not [one.claim.key for one in found if one.verdict in fails and one.claim.key.startswith((D, F))]
    one = audited(tmp_path, f"{D}/val_accuracy")
    assert (one.verdict, one.words) == (Verdict.OTHER_EPOCHS, "measured at fewer epochs (3 of 16)")
    assert "3 of 16 epochs" in our_lines(one)[0]


def test_a_first_stage_that_was_cut_short_counts_as_fewer_epochs(tmp_path):
    rows = runs("fashion/classifier_frozen", test_accuracy=[0.5, 0.5]) + runs(
        "fashion/classifier_finetuned", test_accuracy=[0.8, 0.81]
    )
    for row in rows:
        row.pretraining = row.pretraining[:2]
    write_study(tmp_path, "cls", rows, space="fashion_classifier")
    one = audited(tmp_path, "fashion/classifier_frozen/worse")
    assert one.words == "measured at fewer epochs (2 + 15 of 15 + 15)"


def test_more_epochs_than_the_reports_are_no_verdict_either(tmp_path):
    write_study(tmp_path, "long", runs(D, epochs=50, val_accuracy=[0.8, 0.8, 0.81]), space="cifar_classifier")
    assert audited(tmp_path, f"{D}/val_accuracy").words == "measured at more epochs (50 of 16)"


def test_a_subset_gives_a_direction_and_no_verdict(tmp_path):
    rows = runs(D, val_accuracy=[0.30, 0.31, 0.30]) + runs(F, val_accuracy=[0.58, 0.59, 0.60])
    write_study(tmp_path, "quick", rows, space="cifar_classifier", train_size=10_000)
    one = audited(tmp_path, f"{D}/val_accuracy")
    assert one.verdict is Verdict.SUBSET
    assert one.direction == "points against the claim"
    assert "on 10,000 of 42,000 images" in our_lines(one)[0]


def test_what_epochs_and_images_do_not_change_is_judged_at_once(tmp_path):
    rows = runs("cifar_cnn/A", epochs=1, params=1180, val_accuracy=[0.1])
    write_study(tmp_path, "quick", rows, space="cifar_classifier", train_size=1_000)
    assert verdict_of(tmp_path, "cifar_cnn/A/parameters") is Verdict.FAILS
    assert verdict_of(tmp_path, "cifar_cnn/train_images") is Verdict.HOLDS  # 42,000, of which 1,000 were taken


def test_the_wording_of_a_subset_is_understood_as_a_study_writes_it(tmp_path):
    data = subset(load("digits", tmp_path), 600)
    folder = write_study(tmp_path, "quick", [], data={"sizes": data.sizes, "notes": list(data.notes)}, train_size=600)
    study = read_evidence(tmp_path).studies[0]
    assert (folder.name, study.whole_sizes) == ("quick", {"train": 1257, "val": 270, "test": 270})


def test_claims_on_networks_that_leave_the_range_are_audited_by_the_errors_that_the_reports_measured(tmp_path):
    better, worse = [0.010, 0.0101, 0.0102], [0.012, 0.0121, 0.0122]
    rows = [
        row
        for pair in ("1+1", "1+2", "2+1", "2+2")
        for row in runs(
            f"cifar_ae/{pair}",
            test_mse=worse if pair == "2+2" else better,  # clipped, they would say the opposite
            test_mse_unclipped=better if pair == "2+2" else worse,
        )
    ]
    write_study(tmp_path, "ae", rows)
    assert verdict_of(tmp_path, "cifar_ae/best_network") is Verdict.HOLDS


def test_a_missing_piece_of_a_comparison_is_not_measured_yet(tmp_path):
    rows = [row for pair in ("1+1", "2+2") for row in runs(f"cifar_ae/{pair}", test_mse=[0.01, 0.011])]
    write_study(tmp_path, "ae", rows)
    one = audited(tmp_path, "cifar_ae/best_network")
    assert one.verdict is Verdict.MISSING
    assert "cifar_ae/1+2 has not been run" in one.words
    assert {piece.interval is None for piece in one.pieces} == {True, False}


def test_a_comparison_of_several_sides_needs_all_of_them_below_or_above(tmp_path):
    at = {"1+1": 0.014, "1+2": 0.013, "2+1": 0.012, "2+2": 0.011}
    rows = [row for pair, mse in at.items() for row in runs(f"cifar_ae/{pair}", test_mse=[mse, mse * 1.01, mse * 1.02])]
    write_study(tmp_path, "ae", rows)
    assert verdict_of(tmp_path, "cifar_ae/best_network") is Verdict.HOLDS
    at["2+2"] = 0.015
    rows = [row for pair, mse in at.items() for row in runs(f"cifar_ae/{pair}", test_mse=[mse, mse * 1.01, mse * 1.02])]
    write_study(tmp_path / "other", "ae", rows)
    assert verdict_of(tmp_path / "other", "cifar_ae/best_network") is Verdict.FAILS_OPEN


def test_where_nothing_can_be_told_each_seed_is_shown(tmp_path):
    """One seed of three that came to nothing looks like three that differ, by their mean and interval alone."""
    write_study(tmp_path, "ae", runs("cifar_ae/2+2", test_mse_unclipped=[0.011, 0.29, 0.0109], epochs=100))
    one = audited(tmp_path, "cifar_ae/2+2/testing_loss")
    assert one.verdict is Verdict.UNDECIDED
    assert ", by seed 0.011, 0.29, 0.0109 [3 seeds" in our_lines(one)[0]
    write_study(tmp_path / "b", "ae", runs("cifar_ae/2+2", test_mse_unclipped=[0.1396, 0.1397, 0.1395], epochs=100))
    decided = audited(tmp_path / "b", "cifar_ae/2+2/testing_loss")
    assert decided.verdict is Verdict.HOLDS
    assert "by seed" not in our_lines(decided)[0]


def test_an_interval_of_square_errors_does_not_reach_below_none(tmp_path):
    write_study(tmp_path, "ae", runs("cifar_ae/2+2", train_loss=[0.011, 0.29, 0.0109], epochs=100))
    assert audited(tmp_path, "cifar_ae/2+2/training_loss").pieces[0].interval.low == 0


def test_a_difference_is_taken_seed_by_seed(tmp_path):
    """The seeds differ by far more than the two networks, whose difference is the same with each."""
    rows = runs(F, train_eval_accuracy=[0.70, 0.80, 0.90], val_accuracy=[0.40, 0.51, 0.60])
    write_study(tmp_path, "ladder", rows, space="cifar_classifier")
    one = audited(tmp_path, f"{F}/overfits")
    assert one.verdict is Verdict.HOLDS
    assert one.pieces[0].interval.mean == pytest.approx((0.30 + 0.29 + 0.30) / 3)
    assert one.pieces[0].interval.low > 0.2


def test_a_difference_of_runs_without_a_common_seed_is_not_measured(tmp_path):
    later = runs("fashion/p0.1", test_mse=[0.01, 0.01])
    for row in later:
        row.seed += 50
    write_study(tmp_path, "ae", runs("fashion/base", test_mse=[0.01, 0.01]) + later, space="fashion_ae")
    one = audited(tmp_path, "fashion/p0.1/no_difference")
    assert one.verdict is Verdict.MISSING
    assert "no seed" in one.words


def test_the_epoch_that_a_claim_asks_for_comes_from_the_history_of_the_confirmation(tmp_path):
    rows = runs("fashion/sgd", train_loss=[0.05, 0.05, 0.05], val_mse=[0.06, 0.06, 0.06])
    for row in rows:
        row.epochs[0] = {"train_loss": 0.2 + 0.001 * (row.seed - 101), "val_mse": 0.19 + 0.01 * row.seed}
    write_study(tmp_path, "ae", rows, space="fashion_ae")
    one = audited(tmp_path, "fashion/sgd/loss_falls")
    assert one.verdict is Verdict.HOLDS
    assert "train_loss after epoch 1: 0.2" in "\n".join(our_lines(one))


def test_runs_that_passed_an_epoch_can_speak_for_it_whatever_came_after(tmp_path):
    rows = runs("flowers/adagrad", train_loss=[1.0] * 3) + runs("flowers/adam", train_loss=[1.0] * 3)
    for row in rows:
        row.epochs = [{"train_loss": 1.0} for _ in range(12)]
        row.epochs[9] = {"train_loss": 2.0 + (row.key == "flowers/adam") * (1 + 0.01 * (row.seed % 2))}
    write_study(tmp_path, "flowers", rows, space="flowers_classifier")
    assert verdict_of(tmp_path, "flowers/adagrad/converges_fast") is Verdict.HOLDS


def test_confusions_are_read_run_by_run_by_the_names_of_the_classes(tmp_path):
    key = "fashion/classifier_finetuned"
    rows = runs(key, test_accuracy=[0.8, 0.8])
    folder = write_study(tmp_path, "cls", rows, space="fashion_classifier")
    for row, count in zip(rows, (130, 140), strict=True):
        table = np.zeros((10, 10), dtype=np.int64)
        table[CLASSES.index("Shirt"), CLASSES.index("T-shirt/top")] = count
        (folder / "checkpoints" / row.id).mkdir(parents=True)
        np.savez(folder / "checkpoints" / row.id / "predictions.npz", confusion=table)
    one = audited(tmp_path, f"{key}/shirt_as_t_shirt")
    assert one.pieces[0].interval.mean == 135
    assert "Shirt taken for T-shirt/top: 135" in our_lines(one)[0]
    assert one.pieces[0].interval.high == 140  # of 140 and 130 shirts, not 198
    (folder / "checkpoints" / rows[0].id / "predictions.npz").write_bytes(b"torn")
    assert audited(tmp_path, f"{key}/shirt_as_t_shirt").pieces[0].interval.n == 1


# --- PCA


def test_pca_is_judged_exactly_from_its_own_table(tmp_path):
    rows = [{"n_components": 44, "train_pixel_rmse_255": 23.877350758777983, "test_pixel_rmse_255": 23.470737}]
    write_pca(tmp_path, "mnist", rows)
    write_pca(tmp_path, "cifar", [{"n_components": 512, "train_mse": 0.000983, "fit_seconds": 20.0}])
    assert verdict_of(tmp_path, "mnist_ae/pca_0.8/train_rmse") is Verdict.HOLDS
    assert verdict_of(tmp_path, "mnist_ae/pca_0.8/test_rmse") is Verdict.FAILS
    assert verdict_of(tmp_path, "cifar_ae/pca_512/mse") is Verdict.FAILS
    assert verdict_of(tmp_path, "cifar_ae/pca_512/fit_time") is Verdict.SHOWN
    assert (
        "baseline.py --data cifar --components 32"
        in find(Measured("pca/cifar/32", "train_mse"), read_evidence(tmp_path)).missing
    )


def test_pca_of_a_study_left_images_out_so_that_it_is_no_verdict(tmp_path):
    write_study(tmp_path, "ae", [], space="mnist_ae", baseline=[{"n_components": 44, "train_pixel_rmse_255": 23.9}])
    one = audited(tmp_path, "mnist_ae/pca_0.8/train_rmse")
    assert one.verdict is Verdict.SUBSET
    assert "on 54,000 of 60,000 images" in our_lines(one)[0]


def test_networks_are_compared_with_pca_of_the_same_images(tmp_path):
    write_pca(tmp_path, "mnist", [{"n_components": 2, "test_mse": 0.01}])
    for network, space in (("dense", "ae"), ("vae", "vae")):
        rows = runs(f"mnist_ae/{network}_z2", test_mse=[0.040, 0.041, 0.042])
        baseline = [{"n_components": 2, "test_mse": 0.056}]
        write_study(tmp_path, space, rows, space=f"mnist_{space}", baseline=baseline)
    one = audited(tmp_path, "mnist_ae/pca_few_components")
    assert one.verdict is Verdict.HOLDS
    assert {piece.reading.source for piece in one.pieces} == {"ae", "vae"}


def test_the_failed_pictures_are_audited_by_a_loss_summed_and_one_averaged_over_the_pixels(tmp_path):
    """Summed, data are reconstructed well, against the claim; averaged, the code says nothing, against it too."""
    networks = {"vae": (0.01, 25.0), "vae_cnn": (0.01, 25.0), "vae_pixel_mean": (0.067, 0.0)}
    networks["vae_cnn_pixel_mean"] = networks["vae_pixel_mean"]
    rows = [
        row
        for network, (mse, kl) in networks.items()
        for row in runs(f"mnist_ae/{network}", test_mse=[mse, mse * 1.01], test_kl=[kl, kl + 1e-4])
    ]
    write_study(tmp_path, "vae", rows, space="mnist_vae", baseline=[{"n_components": 1, "test_mse": 0.06}])
    one = audited(tmp_path, "mnist_ae/vae_pictures")
    assert one.verdict is Verdict.FAILS_OPEN
    assert "reconstruction loss" in one.words
    assert {piece.reading.measured.subject for piece in one.pieces} == {
        "pca/mnist/1",
        *(f"mnist_ae/{network}" for network in networks),
    }


# --- which runs speak


def test_of_several_studies_most_epochs_then_images_then_seeds_speak(tmp_path):
    def source():
        return audited(tmp_path, f"{D}/val_accuracy").pieces[0].reading.source

    short = runs(D, epochs=3, val_accuracy=[0.1] * 9)
    write_study(tmp_path, "a-short", short, space="cifar_classifier")
    assert source() == "a-short"
    write_study(tmp_path, "b-part", runs(D, val_accuracy=[0.3] * 5), space="cifar_classifier", train_size=9_000)
    assert source() == "b-part"
    write_study(tmp_path, "c-whole", runs(D, val_accuracy=[0.5] * 2), space="cifar_classifier")
    assert source() == "c-whole"
    write_study(tmp_path, "d-seeds", runs(D, val_accuracy=[0.5] * 3), space="cifar_classifier")
    assert source() == "d-seeds"
    write_study(tmp_path, "e-long", runs(D, epochs=99, val_accuracy=[0.5] * 9), space="cifar_classifier")
    assert source() == "d-seeds"


def test_that_seeds_failed_beside_those_that_speak_is_said(tmp_path):
    rows = runs(D, val_accuracy=[0.59, 0.60, 0.58, 0.1])
    rows[-1].status = "failed"
    write_study(tmp_path, "d", rows, space="cifar_classifier")
    (line,) = our_lines(audited(tmp_path, f"{D}/val_accuracy"))
    assert "[3 seeds; 1 more failed, left out; " in line


def test_that_seeds_were_added_after_a_verdict_is_said(tmp_path):
    rows = runs(D, val_accuracy=[0.59, 0.60, 0.58, 0.59])
    write_study(tmp_path, "d", rows, space="cifar_classifier", summary={"seen_with": [2, 3]})
    (line,) = our_lines(audited(tmp_path, f"{D}/val_accuracy"))
    said = "seeds were added after the verdicts by 2 and 3: one of the intervals misses in up to 15 % of cases, not 5 %"
    assert f"[4 seeds; {said}; " in line


def test_failed_runs_other_data_and_other_settings_do_not_speak(tmp_path):
    failed, other = runs(D, val_accuracy=[0.59, 0.59]), runs(D, val_accuracy=[0.59, 0.59])
    for row in failed:
        row.status = "failed"
    for row in other:
        row.config["lr"] = 0.1
    write_study(tmp_path, "failed", failed, space="cifar_classifier")
    write_study(tmp_path, "other", other, space="cifar_classifier")
    write_study(tmp_path, "data", runs(D, val_accuracy=[0.59, 0.59]), space="mnist_classifier")
    assert verdict_of(tmp_path, f"{D}/val_accuracy") is Verdict.MISSING


def test_a_claim_that_no_run_could_test_says_so(tmp_path):
    assert verdict_of(tmp_path, "fashion/untrained") is Verdict.NO_TEST


def test_one_audit_that_fails_is_enough_and_all_have_to_hold(tmp_path):
    rows = runs(D, val_accuracy=[0.5, 0.51, 0.52], test_accuracy=[0.4, 0.415, 0.42])
    write_study(tmp_path, "ladder", rows, space="cifar_classifier")
    check, missing = Check(Measured(D, "val_accuracy"), 0.01), Check(Measured(F, "val_accuracy"), 0.01)
    behind = Comparison((Measured(D, "val_accuracy"),), (Measured(D, "test_accuracy"),))
    evidence = read_evidence(tmp_path)

    def verdict(*audits):
        return audit(Claim("k", "s", 0.51, None, "m", "w", D, (), audits), evidence).verdict

    assert verdict(Check(Measured(D, "val_accuracy"), 0.03)) is Verdict.HOLDS
    assert verdict(check, missing) is Verdict.MISSING
    assert verdict(missing, behind) is Verdict.FAILS_OPEN


def test_a_study_that_divides_as_its_report_did_says_how_many_test_images_there_are_and_not_how_many_to_train_on(
    tmp_path,
):
    write_study(tmp_path, "reported", runs(D, val_accuracy=[0.5]), space="cifar_classifier", as_reported=True)
    assert verdict_of(tmp_path, "cifar_ae/test_images") is Verdict.HOLDS
    one = audited(tmp_path, "cifar_cnn/train_images")
    assert one.verdict is Verdict.MISSING
    assert "no study of cifar that divides the training images itself" in one.words
    write_study(tmp_path, "own", runs(D, val_accuracy=[0.5]), space="cifar_classifier")
    assert verdict_of(tmp_path, "cifar_cnn/train_images") is Verdict.HOLDS


def test_training_images_that_were_published_as_such_are_nobodys_division(tmp_path):
    rows = runs("flowers/adagrad", val_accuracy=[0.3])
    write_study(tmp_path, "reported", rows, space="flowers_classifier", as_reported=True)
    assert verdict_of(tmp_path, "flowers/train_images") is Verdict.HOLDS


def test_where_a_report_had_no_validation_images_a_study_that_has_speaks_and_its_images_are_said(tmp_path):
    key = "fashion/sgd"
    without = runs(key, train_loss=[0.1, 0.1, 0.1], test_mse=[0.2, 0.2, 0.2])
    write_study(
        tmp_path, "all", without, space="fashion_ae", data={"sizes": {"train": 60_000, "val": 0, "test": 10_000}}
    )
    assert verdict_of(tmp_path, f"{key}/loss_falls") is Verdict.MISSING
    write_study(tmp_path, "some", runs(key, train_loss=[0.1, 0.1], val_mse=[0.1, 0.1]), space="fashion_ae")
    (one,), _ = compute_audit([f"{key}/loss_falls"], tmp_path)
    assert {piece.reading.source for piece in one.pieces if "val" in piece.reading.measured.metric} == {"some"}
    assert "images, the report's were 60,000" in " ".join(our_lines(one))


# --- what the repository keeps of reproductions


def kept_of(tmp_path, name, rows, space, **about):
    """Write a study, keep what the repository keeps of it, and return the folder of what is kept."""
    folder = StudyFolder(write_study(tmp_path / "elsewhere", name, rows, space=space, summary={}, **about))
    for row in rows:
        arrays = np.full((10, 10), 3 if row.id.endswith("s1") else 5)
        (folder.checkpoints / row.id).mkdir(parents=True)
        np.savez(folder.checkpoints / row.id / "predictions.npz", confusion=arrays)
    keep(folder, tmp_path / "kept")
    return tmp_path / "kept"


def test_what_is_kept_is_evidence_where_there_is_no_study(tmp_path, monkeypatch, capsys):
    key = "fashion/classifier_finetuned"
    rows = runs(key, test_accuracy=[0.9, 0.91])
    kept = kept_of(tmp_path, "reproduce-fashion-x2", rows, "fashion_classifier")
    kept_of(tmp_path, "reproduce-D-x3", runs(D, val_accuracy=[0.58, 0.59, 0.60]), "cifar_classifier")
    (kept / "baselines").mkdir()
    write_pca(kept, "mnist", [{"n_components": 44, "train_pixel_rmse_255": 23.877350758777983}])
    monkeypatch.chdir(tmp_path)  # without a folder results
    found, skipped = compute_audit([], Path("results"), kept)
    by_key = {one.claim.key: one for one in found}
    assert skipped == ()
    one = by_key[f"{D}/val_accuracy"]
    assert (one.verdict, one.decided_by) == (Verdict.HOLDS, ("reproductions/reproduce-D-x3",))
    pca = by_key["mnist_ae/pca_0.8/train_rmse"]
    assert (pca.verdict, pca.decided_by) == (Verdict.HOLDS, ("reproductions/baselines/mnist.csv",))
    shirts = by_key[f"{key}/shirt_as_shirt"].pieces[0].reading.sample
    assert sorted(shirts.values.values()) == [3, 5]
    monkeypatch.setattr("analysis.audit.KEPT", kept)
    assert main([f"{D}/val_accuracy"]) == 0
    assert "holds, by reproductions/reproduce-D-x3" in " ".join(capsys.readouterr().out.split())


def test_a_users_own_study_counts_beside_what_is_kept_by_the_same_rule(tmp_path):
    kept = kept_of(tmp_path, "kept", runs(D, val_accuracy=[0.58, 0.59, 0.60]), "cifar_classifier")
    storage = tmp_path / "results"
    write_study(storage, "own", runs(D, val_accuracy=[0.1, 0.11]), space="cifar_classifier")
    (fewer,), _ = compute_audit([f"{D}/val_accuracy"], storage, kept)
    assert fewer.decided_by == ("reproductions/kept",)
    write_study(storage, "more", runs(D, val_accuracy=[0.1, 0.11, 0.1, 0.11]), space="cifar_classifier")
    (more,), _ = compute_audit([f"{D}/val_accuracy"], storage, kept)
    assert (more.verdict, more.decided_by) == (Verdict.FAILS_OPEN, ("more",))


# --- the command


def test_every_claim_has_a_row_and_the_two_numbers_have_columns_of_their_own(tmp_path, capsys):
    write_study(tmp_path, "ladder", runs(D, val_accuracy=[0.58, 0.59, 0.60]), space="cifar_classifier")
    file, page = tmp_path / "audit.csv", tmp_path / "audit.html"
    assert main(["--storage", str(tmp_path), "--csv", str(file), "--out", str(page)]) == 0
    assert capsys.readouterr().out.split("claims")[1].split()[5] == "169"  # the last of its row
    table = pd.read_csv(file)
    assert table["claim"].nunique() == 169
    row = table[table["claim"] == f"{D}/val_accuracy"].iloc[0]
    assert (row["claimed_value"], row["our_mean"], row["our_seeds"]) == pytest.approx((0.59, 0.59, 3))
    heads = page.read_text().replace("&#39;", "'")
    assert heads.count("<dt>The report's number</dt>") == heads.count("<dt>Measured by this project</dt>") == 169


def test_the_page_escapes_what_it_is_told(tmp_path):
    found, _ = compute_audit(["fashion/untrained"], tmp_path)
    assert "<script>alert" not in render(page_of(found, ["study '<script>alert(1)</script>' is left out"]))


def test_a_narrow_terminal_gets_blocks_with_both_heads(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    assert main(["fashion/base/*", "--storage", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 60
    assert out.count("the report ") == 2
    assert out.count("this project") == 2


def test_keys_are_claims_globs_and_reports(tmp_path):
    found, _ = compute_audit(["fashion", "cifar_ae/pca_*", "flowers/classes"], tmp_path)
    reports = pd.Series([one.claim.key.split("/")[0] for one in found]).value_counts().to_dict()
    assert reports == {"fashion": 28, "cifar_ae": 7, "flowers": 1}


def test_an_unknown_key_and_an_unknown_storage_are_one_line_and_exit_2(tmp_path, capsys):
    assert main(["fashon", "--storage", str(tmp_path)]) == 2
    first = capsys.readouterr().err
    assert "did you mean fashion?" in first
    assert main(["--storage", str(tmp_path / "nowhere")]) == 2
    second = capsys.readouterr().err
    assert "nowhere" in second
    assert first.count("\n") == second.count("\n") == 1


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("study.json", "{"),
        ("study.json", "[]"),
        ("confirm.csv", "confirm_of,key,status\na,b,completed\n"),
        ("confirm.csv", "\0"),
        ("baseline.csv", ""),
    ],
)
def test_an_unreadable_study_is_left_out_with_a_line(tmp_path, capsys, file, content):
    write_study(tmp_path, "good", runs(D, val_accuracy=[0.58, 0.59, 0.60]), space="cifar_classifier")
    write_study(tmp_path, "torn", [], space="cifar_classifier")
    (tmp_path / "torn" / file).write_text(content)
    assert main([f"{D}/val_accuracy", "--storage", str(tmp_path)]) == 0
    told = capsys.readouterr()
    assert told.err.startswith("study: study 'torn' is left out")
    assert told.err.count("\n") == 1
    assert "holds" in told.out


def test_numbers_of_a_table_are_in_full_precision(tmp_path):
    write_pca(tmp_path, "mnist", [{"n_components": 44, "train_pixel_rmse_255": 23.877350758777983}])
    found, _ = compute_audit(["mnist_ae/pca_0.8/train_rmse"], tmp_path)
    assert compute_table(found)["our_mean"].tolist() == [23.877350758777983]


def test_without_a_key_shown_is_how_many_claims_of_each_report_have_which_verdict(tmp_path, capsys):
    assert main(["--storage", str(tmp_path), "--reproductions", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[:-2])) <= 80
    (heads,) = [line for line in lines if line.strip().startswith("verdict")]
    assert heads.split() == ["verdict", "cifar", "ae", "mnist", "ae", "flowers", "cifar", "cnn", "fashion", "all"]
    (claims,) = [line.split() for line in lines if line.strip().startswith("claims")]
    assert [int(count) for count in claims[1:]] == [29, 34, 42, 36, 28, 169]
    verdicts = [line for line in lines if line.strip().startswith(tuple(str(one) for one in Verdict))]
    assert sum(int(line.split()[-1]) for line in verdicts) == 169
    assert "audit" in lines[-2] + lines[-1]
