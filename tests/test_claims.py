"""The reports' claims: complete, consistent with what they are about, and derived as their words say."""

from __future__ import annotations

import math
import re
from collections import Counter
from statistics import fmean

import pytest

import search_spaces
from search_spaces import Claim, measured_by
from search_spaces._claims import Bound, Check
from study.record.tables import BASELINE

DATASETS = search_spaces.datasets()

CLAIMS = {claim.key: claim for claim in search_spaces.claims()}
REPORTS = ("cifar_ae", "mnist_ae", "flowers", "cifar_cnn", "fashion")

AE = ("loss", "mse", "psnr", "ssim")
VAE = ("loss", "nelbo", "reconstruction", "kl", "cross_entropy", "mse", "psnr", "ssim")
CLASSIFIER = ("loss", "accuracy", "cross_entropy", "calibration_error")
METRICS = {"ae": AE, "vae": VAE, "classifier": CLASSIFIER}
OF_A_RUN = ("params", "seconds")
OF_DATA = ("classes", "train_images", "val_images", "test_images")
DATA_OF = {"cifar_ae": "cifar", "mnist_ae": "mnist", "flowers": "flowers", "cifar_cnn": "cifar", "fashion": "fashion"}

every_report = pytest.mark.parametrize("report", REPORTS)


def claims_of(report: str) -> list[Claim]:
    return [claim for key, claim in CLAIMS.items() if key.startswith(f"{report}/")]


def test_keys_are_unique_and_begin_with_their_report():
    assert len(CLAIMS) == len(search_spaces.claims())
    assert {key.split("/")[0] for key in CLAIMS} == set(REPORTS)


def test_every_report_has_all_of_its_claims():
    counts = Counter(key.split("/")[0] for key in CLAIMS)
    assert counts == {"cifar_ae": 29, "mnist_ae": 34, "flowers": 42, "cifar_cnn": 36, "fashion": 28}


@every_report
def test_a_claim_is_about_something_known_and_says_what_it_measures(report):
    for claim in claims_of(report):
        assert subject_problem(claim.subject) is None, claim.key
        assert all((claim.statement, claim.metric, claim.measures)), claim.key
        assert claim.statement.endswith("."), claim.key
        assert claim.measures.endswith("."), claim.key
        assert claim.split in ("train", "val", "test", None), claim.key


@every_report
def test_the_value_of_several_runs_is_their_mean_and_a_single_one_stands_in_the_statement(report):
    for claim in claims_of(report):
        if claim.value is None or claim.key == "mnist_ae/vae_cnn/training_time":  # "an hour"
            continue
        if claim.values:
            assert claim.value == fmean(claim.values), claim.key
            continue
        said = claim.statement.replace(",", "") + claim.key
        per_cent, minutes = f"{100 * claim.value:.8g} %", f"{claim.value / 60:g} minutes"
        assert any(form in said for form in (f"{claim.value:.15g}", repr(claim.value), per_cent, minutes)), claim.key


def subject_problem(subject: str) -> str | None:
    """Say what is wrong with a subject, None for nothing."""
    kind, _, rest = subject.partition("/")
    if kind == "pca":
        data, _, components = rest.partition("/")
        known = data in DATASETS and components.isdecimal()
        limit = math.prod(DATASETS[data].image_shape) if known else 0
        return None if known and 0 < int(components) <= limit else f"{subject} is no PCA"
    if kind == "data":
        return None if rest in DATASETS else f"{rest} is no data set"
    if kind == "report":
        return None if rest in REPORTS else f"{rest} is no report"
    return None if subject in search_spaces.reported() else f"{subject} is no reported configuration"


@every_report
def test_a_claim_is_audited_by_numbers_that_a_study_leaves(report):
    for claim in claims_of(report):
        for measured in (one for audit in claim.audited_by for one in measured_by(audit)):
            assert subject_problem(measured.subject) is None, claim.key
            assert measured.metric in metrics_of(measured.subject), claim.key
            if measured.epoch is not None:
                assert 1 <= measured.epoch <= search_spaces.reported()[measured.subject].epochs[-1], claim.key


def metrics_of(subject: str) -> set[str]:
    """Return the metrics that a study of this subject leaves."""
    kind = subject.split("/", maxsplit=1)[0]
    if kind == "pca":
        return set(BASELINE.columns)
    if kind == "data":
        return set(OF_DATA)
    family = search_spaces.reported()[subject].config["family"]
    names = {
        *OF_A_RUN,
        *(f"{split}_{name}" for split in ("train", "train_eval", "val", "test") for name in METRICS[family]),
    }
    if kind in ("cifar_ae", "flowers"):  # linear at its end
        names |= {f"{split}_mse_unclipped" for split in ("train", "train_eval", "val", "test")}
    if family == "classifier":
        classes = DATASETS[DATA_OF[kind]].class_names
        names |= {f"test_confusion:{true}:{predicted}" for true in classes for predicted in classes}
    return names


@every_report
def test_an_audit_can_come_out_either_way(report):
    for claim in claims_of(report):
        for audit in claim.audited_by:
            if isinstance(audit, Check):
                assert claim.value is not None, claim.key
                assert audit.scale > 0, claim.key
                assert audit.tolerance is None or audit.tolerance >= 0, claim.key
            elif isinstance(audit, Bound):
                bounds = [bound for bound in (audit.at_least, audit.at_most) if bound is not None]
                assert bounds, claim.key
                assert bounds == sorted(bounds), claim.key
            else:
                assert audit.lower, claim.key
                assert audit.higher, claim.key
                assert not set(audit.lower) & set(audit.higher), claim.key


def test_a_number_is_checked_on_the_split_that_it_is_about():
    """But for fashion: its validation set is the official test set, as its 1,000 images a class say."""
    for claim in CLAIMS.values():
        checked = [audit.measured.metric for audit in claim.audited_by if isinstance(audit, Check)]
        if claim.split and not claim.subject.startswith(("data/", "fashion/")):
            assert all(m.startswith(f"{claim.split}_") or m.endswith("seconds") for m in checked), claim.key


def test_seconds_on_unnamed_hardware_get_no_verdict():
    for claim in CLAIMS.values():
        for audit in claim.audited_by:
            if isinstance(audit, Check):
                assert (audit.tolerance is None) == audit.measured.metric.endswith("seconds")


def test_every_reported_configuration_with_a_table_row_has_a_claim():
    subjects = {claim.subject for claim in CLAIMS.values()}
    tables = [key for key in search_spaces.reported() if key.startswith(("cifar_cnn/", "flowers/", "cifar_ae/"))]
    without_row = {
        "flowers/final_scratch",
        "flowers/ae_adagrad",
        *(f"cifar_ae/{pair}_sgd" for pair in ("1+1", "1+2", "2+1", "2+2")),
    }
    assert set(tables) - subjects == without_row


# What REPORTS and their words derive from the printed numbers.


def value(key: str) -> float:
    found = CLAIMS[key].value
    assert found is not None
    return found


def number_in(text: str, pattern: str) -> float:
    match = re.search(pattern, text)
    assert match, f"{pattern} is not in: {text}"
    return float(match[1].replace(",", ""))


def test_the_mean_losses_follow_from_the_claimed_sums():
    """1,429 batches of 35 make up 50,000 images; PCA's error at 108 components is 0.47 to 0.60 of their means."""
    batches = math.ceil(50_000 / 35)
    sums = [claim for key, claim in CLAIMS.items() if key.endswith("/training_loss")]
    assert len(sums) == 4
    for claim in sums:
        assert claim.measures.endswith(f"the mean MSE is {round(claim.value / batches, 4)}.")
        assert claim.audited_by[0].scale == batches
    ratios = [0.005784 / (claim.value / batches) for claim in sums]
    assert f"{min(ratios):.2f} to {max(ratios):.2f}" in CLAIMS["cifar_ae/pca_wins_108"].measures
    at_512 = [0.000983 / (claim.value / batches) for claim in sums]
    assert f"{min(at_512):.2f} to {max(at_512):.2f}" in CLAIMS["cifar_ae/pca_wins"].measures
    assert sorted(claim.value / batches < 0.0124 for claim in sums) == [False, True, True, True]


def test_the_testing_losses_are_of_the_last_batch_of_25_images():
    assert 10_000 % 35 == 25
    pixel_variance = 0.062
    for pair in ("1+1", "1+2", "2+1", "2+2"):
        claim = CLAIMS[f"cifar_ae/{pair}/testing_loss"]
        assert "The last batch's MSE only, 25 images" in claim.measures
        assert ("slip" in claim.measures) == (claim.value > 2 * pixel_variance)
        if "slip" in claim.measures:
            assert number_in(claim.measures, r"slip for ([\d.]+)\.$") == pytest.approx(claim.value / 10)


def test_the_texts_best_network_is_not_the_tables():
    train = {pair: value(f"cifar_ae/{pair}/training_loss") for pair in ("1+1", "1+2", "2+1", "2+2")}
    assert min(train, key=train.__getitem__) == "1+2"
    assert f"{train['1+2']} against {train['2+2']}" in CLAIMS["cifar_ae/best_network"].measures


def test_mnists_test_column_repeats_its_train_column():
    for variance in ("0.8", "0.9", "0.95"):
        train, test = (CLAIMS[f"mnist_ae/pca_{variance}/{split}_rmse"] for split in ("train", "test"))
        assert train.value == test.value
        assert train.audited_by[0].tolerance <= 1e-9
        assert 0 < train.value - number_in(test.measures, r"The test set's is ([\d.]+)\.") < 0.5
    assert [value(f"mnist_ae/pca_{v}/components") for v in ("0.8", "0.9", "0.95")] == [44, 87, 154]


def test_more_components_halve_pcas_error_on_mnist():
    fall = 1 - value("mnist_ae/pca_0.95/train_rmse") / value("mnist_ae/pca_0.8/train_rmse")
    assert f"{fall:.0%}".replace("%", " %") in CLAIMS["mnist_ae/pca_improves_little"].measures


def test_the_final_flowers_accuracy_is_2531_of_6149_images():
    assert DATASETS["flowers"].sizes["test"] == 6149
    assert value("flowers/final/test_accuracy") == 100 * 2531 / 6149
    assert "2,531 of the 6,149" in CLAIMS["flowers/final/test_accuracy"].measures


def test_the_flowers_rows_have_five_runs_and_the_means_that_the_words_say():
    runs = {key: len(claim.values) for key, claim in CLAIMS.items() if key.startswith("flowers/") and claim.values}
    assert len(runs) == 24
    few = {key for key, count in runs.items() if count != 5}
    assert few == {f"flowers/adagrad_dropout0.75/{split}_accuracy" for split in ("train", "test")}
    assert {runs[key] for key in few} == {2}
    assert f"{value('flowers/batch_norm/test_accuracy'):.2f}" == "26.56"
    assert f"{value('flowers/adam/test_accuracy'):.2f}" == "27.89"
    seconds = [value(f"flowers/{row}/time") for row in ("batch_norm", "no_batch_norm")]
    assert round(fmean(seconds)) == 287
    assert "{:.2f} and {:.2f} s".format(*seconds) in CLAIMS["flowers/batch_norm/same_time"].measures


def test_regularisation_gains_what_the_words_say():
    base = value("flowers/adagrad/test_accuracy")
    rows = ("dropout0.25", "l2_0.007", "l2_0.01", "dropout0.5")
    few, lower, higher, half = (value(f"flowers/adagrad_{row}/test_accuracy") - base for row in rows)
    assert CLAIMS["flowers/regularisation_gains_little"].measures == (
        f"By the means dropout 0.25 gains {few:.2f}, L2 {lower:.2f} (0.007) and {higher:.2f} (0.01); "
        f"dropout 0.5 loses {-half:.2f}."
    )


def test_the_smallest_cifar_cnn_has_the_parameters_that_its_layers_have():
    """Two 3×3 convolutions to 5 channels, from 3 and 5, and a linear layer from 5·4·4 to 10."""
    assert value("cifar_cnn/A/parameters") == (3 * 3 + 1) * 5 * 2 + 5 * 4 * 4 + 1
    layers = (3 * 9 + 1) * 5 + (5 * 9 + 1) * 5 + 80 * 10 + 10
    assert f"= {layers:,}:" in CLAIMS["cifar_cnn/A/parameters"].measures


def test_the_printed_predictions_are_ten_probabilities_of_which_one_set_has_a_wrong_digit():
    sums = {name: sum(CLAIMS[f"cifar_cnn/A/{name}_prediction"].values) for name in ("untrained", "trained")}
    assert sums == pytest.approx({"untrained": 1.000, "trained": 0.990})
    assert len(CLAIMS["cifar_cnn/A/trained_prediction"].values) == 10
    assert "sum to 0.990" in CLAIMS["cifar_cnn/A/trained_prediction"].measures


def test_the_gaps_of_cifar_cnn_follow_from_its_numbers():
    gap = {rung: value(f"cifar_cnn/{rung}/train_accuracy") - value(f"cifar_cnn/{rung}/val_accuracy") for rung in "FG"}
    assert f"= {gap['F']:.3f}." in CLAIMS["cifar_cnn/F/overfits"].measures
    assert f"a gap of {gap['G']:.2f} instead of {gap['F']:.3f}" in CLAIMS["cifar_cnn/dropout_helps"].measures


def test_the_shirts_go_where_the_confusion_matrix_says():
    counts = {name: value(f"fashion/classifier_finetuned/shirt_as_{name}") for name in ("shirt", "t_shirt", "pullover")}
    assert counts == {"shirt": 695, "t_shirt": 138, "pullover": 83}
    assert sum(counts.values()) <= DATASETS["fashion"].sizes["test"] / 10


def test_a_frozen_encoder_is_compared_in_each_of_the_ten_classes():
    audits = CLAIMS["fashion/classifier_frozen/worse_in_every_class"].audited_by
    assert {audit.higher[0].metric.split(":")[1] for audit in audits} == set(DATASETS["fashion"].class_names)


@pytest.mark.parametrize(
    ("report", "numbers"),
    {
        "cifar_ae": "16.023 13.827 17.732 16.375 0.128 0.0109 0.0147 0.1396 3810.9 3806.33 1044.331 971.516 3.072 3.07 "
        "1.563 1.604 0.0026 14.38 50000 10000",
        "mnist_ae": "44 87 154 23.877350758777983 17.48213757700727 12.62115827352506 5.827985525131226 "
        "5.871204376220703 6.119304656982422 12.513728857040405 12.516777276992798 12.616967678070068 60000 60 3600",
        "flowers": "93.24 98.43 99.6 100 95.29 23.27 26.65 32.27 23.96 288.3 285.3 286.1 287.9 290.8 3.2 6.5 6.47 4.41 "
        "0.98 2.47 3.4 3.24 3.3 1.06 289.17 286.89 286 285.4 283.6 14.9 15.12 15.03 15.29 15 36.98 36.84 36.87 37.42 "
        "37.63 30.78 19.21 27.65 25.69 47.35 11.09 8.93 9.46 8.52 14.2 97.45 99.11 99.7 98.33 30.49 25.45 28.77 27.11 "
        "37.62 38.07 37.96 37.76 38.1 35.14 35.63 35.22 35.08 35.65 32.35 16.08 13.4 9.6 37.44 37.65 37.73 37.29 37.4 "
        "37.52 37.66 37.12 37.43 37.58 41.16116441697837 1 600 1020 102",
        "cifar_cnn": "0.18 0.28 0.1 0.59 0.01 0.978 0.75 0.9 0.83 0.88 0.93 0.85 0.84 0.2 181 140 110 0.973 0.025 "
        "0.999999 42000 8000 0.132 0.081 0.131 0.096 0.064 0.086 0.1 0.123 0.091 0.126 0.087 0.074 0.098 0.101 0.111 "
        "0.077 0.119 0.116",
        "fashion": "695 138 83 5",
    }.items(),
)
def test_every_number_that_a_report_prints_is_there(report, numbers):
    claimed = {
        number for claim in claims_of(report) for number in (claim.values or (claim.value,)) if number is not None
    }
    assert claimed == {float(number) for number in numbers.split()}


def test_changing_what_claims_returns_changes_nothing():
    search_spaces.claims().clear()
    assert search_spaces.claims()
