import math
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import optuna
import pandas as pd
import pytest
from figure_examples import search, seeds, study, trial
from matplotlib.figure import Figure
from optuna.distributions import CategoricalDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

from analysis.figures import cost, parallel_coordinates, style
from analysis.figures._parameters import Scale, groups
from analysis.figures.best_so_far import compute_best_so_far, plot_best_so_far
from analysis.figures.bounds import compute_bounds
from analysis.figures.cost import compute_cost, compute_epoch_seconds, compute_stopping, plot_stopping
from analysis.figures.effects import compute_effects, plot_effects
from analysis.figures.importances import compute_importances, divergences, shares
from analysis.figures.learning_curves import compute_learning_curves, plot_learning_curves
from analysis.figures.parallel_coordinates import compute_parallel_coordinates, plot_parallel_coordinates
from analysis.figures.pareto import compute_pareto
from study.record.ranking import on_front


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_importances_are_those_of_optuna_with_conditional_parameters():
    generator = np.random.default_rng(3)
    codes = np.column_stack([generator.integers(0, 3, 40), generator.integers(0, 2, 40), generator.integers(-1, 4, 40)])
    ranks = np.argsort(np.argsort(codes[:, 0] + generator.normal(size=40))).astype(float)
    kinds = [CategoricalDistribution(list(range(count))) for count in (3, 2, 4)]
    searched = optuna.create_study()
    for row, rank in zip(codes, ranks, strict=True):
        params = {f"p{i}": int(code) for i, code in enumerate(row) if code >= 0}
        distributions = {f"p{i}": kinds[i] for i, code in enumerate(row) if code >= 0}
        searched.add_trial(optuna.trial.create_trial(value=rank, params=params, distributions=distributions))
    theirs = get_param_importances(searched, evaluator=PedAnovaImportanceEvaluator(target_quantile=0.2))
    ours = shares(divergences(codes, ranks, np.ones(40), 0.2))
    assert ours == pytest.approx([theirs[f"p{i}"] for i in range(3)], abs=1e-9)


def test_a_trial_drawn_twice_counts_as_two():
    codes, ranks = np.array([[0], [1], [1], [0], [1]]), np.arange(5.0)
    copies = np.array([2.0, 1, 0, 1, 1])
    codes = np.column_stack([codes, [0, 0, 1, 1, 1]])
    chosen = np.repeat(np.arange(5), copies.astype(int))
    twice = divergences(codes[chosen], ranks[chosen], np.ones(5), 0.4)
    assert divergences(codes, ranks, copies, 0.4) == pytest.approx(twice)


def test_the_parameter_that_decides_matters_more_than_chance_gives(tmp_path):
    generator = np.random.default_rng(0)
    rates = generator.uniform(size=40).tolist()
    rows = [trial(n, rate, batch_norm=bool(generator.integers(2)), lr=rate) for n, rate in enumerate(rates)]
    found = compute_importances(study(tmp_path, rows))
    first, second = found.parameters.itertuples()
    assert (first.parameter, second.parameter) == ("lr", "batch_norm")
    assert first.by_chance == second.by_chance  # the greatest of both
    assert first.importance > first.by_chance
    assert second.importance < second.by_chance
    assert "Learning rate matters more" in found.caption
    assert compute_importances(study(tmp_path, rows[:11])) is None


def test_effects_compare_trials_after_the_epoch_that_nine_tenths_reached(tmp_path):
    curves = [[0.5, 0.4, 0.1], [0.7], [0.6], [0.2], [0.4], [0.3]]
    rows = [
        trial(n, None, curve=curve, status="stopped" if n else "completed", batch_norm=n < 3)
        for n, curve in enumerate(curves)
    ]
    rows += [trial(6, None, status="failed", epochs=0, batch_norm=True)]
    found = compute_effects(study(tmp_path, rows))
    table = found.table().set_index("value")
    assert found.epoch == 1
    assert table.loc["on", ["n", "mean", "failed", "failed_share"]].tolist() == pytest.approx([3, 0.6, 1, 1 / 4])
    assert table.loc["off", ["n", "mean", "best"]].tolist() == pytest.approx([3, 0.3, 0.2])
    assert "1 trial failed" in found.caption


def test_a_value_of_fewer_than_three_trials_has_no_effect_but_the_words_too_few(tmp_path):
    few = [trial(n, 0.1 * (n + 1), activation="relu" if n else "gelu") for n in range(4)]
    found = compute_effects(study(tmp_path, few))
    table = found.table().set_index("value")
    assert math.isnan(table.loc["gelu", "mean"])
    assert table.loc["relu", "mean"] == pytest.approx(0.3)
    assert table["explained"].tolist() == [0, 0]
    (axis,) = plot_effects(found).axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["gelu  (1, too few)", "relu  (3)"]


def test_an_interval_that_goes_on_beyond_the_axis_ends_in_an_arrow(tmp_path):
    rows = [trial(n, value, activation="relu") for n, value in enumerate([0.1, 0.5, 0.9])]
    rows += [trial(n + 3, value, activation="gelu") for n, value in enumerate([0.50, 0.51, 0.52])]
    (axis,) = plot_effects(compute_effects(study(tmp_path, rows))).axes
    arrows = [
        tuple(point) for one in axis.collections for point in one.get_offsets().tolist() if point[0] in axis.get_xlim()
    ]
    least, most = axis.get_xlim()
    assert arrows == [(least, 1.0), (most, 1.0)]


def test_the_best_so_far_goes_by_the_order_in_which_trials_ended(tmp_path):
    values = [0.4, 0.5, 0.2, 0.3]
    rows = [trial(n, value, status="stopped" if n == 1 else "completed") for n, value in enumerate(values)]
    studied = study(tmp_path, [*rows, trial(4, None, status="failed", epochs=0)], pca={8: 0.25})
    trials = studied.trials.assign(ended_s=[30.0, 10.0, 7230.0, 20.0, 40.0])
    found = compute_best_so_far(replace(studied, trials=trials))
    assert found.table()["trial_id"].tolist() == ["t0001", "t0003", "t0000", "t0004", "t0002"]
    assert found.table()["best"].tolist() == [0.5, 0.3, 0.3, 0.3, 0.2]
    assert found.improvements["trial_id"].tolist() == ["t0001", "t0003", "t0002"]
    assert found.pca == 0.25
    assert "0.2, came with the 5th of 5 ended trials (t0002, 2.0 h after the study began)" in found.caption
    assert [axis.get_xlabel() for axis in plot_best_so_far(found).axes] == [
        "ended trials",
        "hours since the study began",
    ]
    unknown = compute_best_so_far(replace(studied, trials=trials.drop(columns="ended_s")))
    assert len(plot_best_so_far(unknown).axes) == 1


def test_the_best_accuracy_so_far_rises(tmp_path):
    rows = [trial(n, value, metric="val_accuracy") for n, value in enumerate((0.5, 0.4, 0.9))]
    found = compute_best_so_far(study(tmp_path, rows, family="classifier"))
    assert found.table()["best"].tolist() == [0.5, 0.5, 0.9]
    assert "still rises" in found.caption


def test_numbers_are_grouped_in_thirds_and_absent_ones_are_in_no_group():
    grouped, names = groups(pd.Series([1.0, 2, 3, 4, 5, 6, None, 7, 8, 9]))
    assert names == ["1 … 3", "4 … 6", "7 … 9"]
    assert grouped.isna().tolist() == [False] * 6 + [True] + [False] * 3
    assert groups(pd.Series(["b", "a", None]))[1] == ["a", "b"]
    assert groups(pd.Series([True, False, None], dtype=object))[1] == ["off", "on"]


def test_a_range_over_decades_is_logarithmic_and_leaves_room_for_zero():
    scale = Scale.of(pd.Series([0.0, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1]))
    places = scale.positions(pd.Series([0.0, 1e-5, 1e-3, 1e-1, math.nan]))
    assert scale.kind == "log with 0"
    assert places[[0, 1, 3]] == pytest.approx([0.0, 0.14, 1.0])
    assert places[2] == pytest.approx(0.57)
    assert math.isnan(places[4])


COMMON = {
    "depth": 1, "width": 64, "batch_norm": False, "activation": "relu", "dropout": 0.0, "output_activation": "none",
    "corruption": "none", "sparsity": 0.0, "contraction": 0.0, "optimizer": "adam", "weight_decay": 0.0,
    "schedule": "constant", "batch_size": 32,
}  # fmt: skip


def test_best_trials_at_the_upper_bound_of_the_space_are_named(tmp_path):
    lr = [1e-2, 9.9e-3, 9.8e-3, 1e-2, 1e-2] + [1e-3] * 7
    found = compute_bounds(study(tmp_path, [trial(n, 0.1 * n, lr=rate, **COMMON) for n, rate in enumerate(lr)]))
    row = found.parameters.set_index("parameter").loc["lr"]
    assert row[["low", "high", "at_low", "at_high", "best"]].tolist() == [1e-4, 1e-2, 0, 5, 5]
    assert row[["all_at_high", "trials", "low_named", "high_named"]].tolist() == [5, 12, False, True]
    assert "learning rate at its upper bound, 0.01 (5 of 5, of all 5 of 12)" in found.caption
    assert "dense depth" not in found.caption  # its lower bound is one layer


def test_a_bound_where_most_trials_lie_is_not_named_for_having_most_of_the_best(tmp_path):
    rates = [1e-2, 1e-2, 1e-2, 1e-3, 1e-2, 1e-2, 1e-2, 1e-2, 1e-3, 1e-2, 1e-2, 1e-2]
    rows = [trial(n, 0.1 * n, lr=rate, **COMMON) for n, rate in enumerate(rates)]
    found = compute_bounds(study(tmp_path, rows))
    assert found.parameters.set_index("parameter").loc["lr", "at_high"] == 4
    assert found.caption.startswith("At no bound that could be widened do most of the best 5 suggested trials lie")


def test_a_size_of_code_that_the_study_held_was_not_searched(tmp_path):
    common = COMMON | {"latent_size": 16}
    searched = study(tmp_path, [trial(n, 0.1 * n, lr=1e-3 * (n + 1) / 2, **common) for n in range(12)])
    assert "latent_size" in set(compute_bounds(searched).parameters["parameter"])
    held = replace(searched, about=searched.about | {"settings": searched.settings | {"latent_size": 16}})
    assert "latent_size" not in set(compute_bounds(held).parameters["parameter"])


def test_given_configurations_at_a_bound_ask_for_no_wider_range(tmp_path):
    """Reported batch sizes lie where they lie: only what the sampler suggested could have gone further."""
    rows = [trial(n, 0.01 * n, lr=1e-2, **COMMON) for n in range(5)]
    rows += [trial(n, 0.1 * n, lr=1e-3, **COMMON) for n in range(5, 17)]
    for row in rows[:5]:
        row.key = f"mnist_ae/{row.id}"
    found = compute_bounds(study(tmp_path, rows))
    assert found.points["trial_id"].nunique() == 12
    assert "learning rate" not in found.caption
    assert compute_bounds(study(tmp_path, rows[:14])) is None  # nine suggested


def test_stopping_counts_the_epochs_that_were_not_run(tmp_path):
    rows = [
        trial(0, 0.1, epochs=8),
        trial(1, 0.2, status="stopped", epochs=2),
        trial(2, None, status="failed", epochs=0),
    ]
    found = compute_stopping(study(tmp_path, rows))
    assert (found.run, found.saved, found.budget) == (10, 6, 8)
    assert "saved 6 epochs, 38%" in found.caption


def test_trials_that_the_end_of_the_search_cut_are_not_the_schedulers_and_save_nothing(tmp_path):
    rows = [trial(0, 0.1, epochs=8), trial(1, 0.2, status="stopped", epochs=2)]
    rows += [trial(n, 0.3, status="stopped", epochs=3) for n in (2, 3)]
    rows[1].reason = "by the scheduler after epoch 2"
    for row, limit in zip(rows[2:], ("time budget", "patience"), strict=True):
        row.reason = f"by the {limit} after epoch 3"
    found = compute_stopping(study(tmp_path, rows))
    assert found.saved == 6
    assert found.trials["status"].value_counts().to_dict() == {"cut off": 2, "completed": 1, "stopped": 1}
    assert "1 stopped and 2 cut off" in found.caption
    assert "The end of the search cut 2 trials off" in found.caption
    assert "The asha scheduler saved 6 epochs" in found.caption
    legend = [text.get_text() for text in plot_stopping(found).legends[0].get_texts()]
    assert legend == ["completed (1)", "stopped (1)", "cut off (2)"]
    alone = compute_stopping(study(tmp_path, [rows[0], *rows[2:]]))
    assert alone.saved == 0
    assert "The scheduler stopped none" in alone.caption


def test_every_way_to_end_has_a_colour_of_its_own():
    colours = [style.STATUS_COLOURS[status] for status in cost._STATUSES]
    assert len(set(colours)) == len(colours) == len(style.STATUS_COLOURS)


def test_the_bars_of_trials_stand_where_they_began_as_high_as_their_epochs(tmp_path):
    rows = [trial(0, 0.1, epochs=8), trial(1, 0.2, status="stopped", epochs=2), trial(2, 0.3, epochs=8)]
    (axis,) = plot_stopping(compute_stopping(study(tmp_path, rows))).axes
    bars = {bars.get_label(): [path.get_extents().bounds for path in bars.get_paths()] for bars in axis.collections}
    assert bars["completed (2)"] == [pytest.approx(box) for box in ((-0.45, 0, 0.9, 8), (1.55, 0, 0.9, 8))]
    assert bars["stopped (1)"] == [pytest.approx((0.55, 0, 0.9, 2))]


def test_lines_are_broken_between_runs_and_single_points_are_marked():
    rows = pd.DataFrame({"run": list("abacab"), "x": [1, 1, 2, 1, 3, 2], "y": [5.0, 7, 4, 9, 3, 6]})
    axis = Figure().subplots()
    style.lines(axis, rows, "run", "x", "y", marker="s", size=3, color="red", linewidth=2)
    together, alone = axis.lines
    np.testing.assert_equal(together.get_xdata(), [1, 2, 3, np.nan, 1, 2, np.nan, 1])
    np.testing.assert_equal(together.get_ydata(), [5, 4, 3, np.nan, 7, 6, np.nan, 9])
    assert (together.get_linestyle(), together.get_marker()) == ("-", "None")
    assert (list(alone.get_xdata()), list(alone.get_ydata())) == ([1], [9])
    assert (alone.get_linestyle(), alone.get_marker(), alone.get_markersize()) == ("None", "s", 3)


def test_a_figure_of_many_runs_has_few_artists_and_all_of_their_values(tmp_path):
    found = compute_learning_curves(study(tmp_path, [trial(n, 0.1 + n, epochs=3) for n in range(200)]))
    (axis,) = plot_learning_curves(found).axes
    assert len(axis.lines) < 20
    drawn = np.concatenate([np.asarray(line.get_ydata(), float) for line in axis.lines])
    assert set(found.curves["val_mse"]) <= set(drawn)


def test_curves_of_configs_whose_runs_go_on_are_in_colour_with_their_training(tmp_path):
    confirm = [*seeds("ended", [0.1], [0.2]), *seeds("failed", [0.2], [0.2]), *seeds("going_on", [0.3], [0.3])]
    confirm[1].status, confirm[2].status = "failed", "running"
    found = compute_learning_curves(study(tmp_path, [], confirm=confirm))
    assert found.curves.loc[found.curves["highlighted"], "name"].tolist() == ["ended", "going_on"]
    alone = compute_learning_curves(study(tmp_path, [], confirm=confirm[2:]))
    assert alone.curves["highlighted"].all()
    assert alone.caption.startswith("going_on has its best validation MSE")


def test_an_axis_of_one_epoch_says_1_alone(tmp_path):
    found = compute_learning_curves(study(tmp_path, [trial(0, 0.1, epochs=1), trial(1, 0.2, epochs=1)]))
    (axis,) = plot_learning_curves(found).axes
    low, high = axis.get_xlim()
    assert [tick for tick in axis.get_xticks() if low <= tick <= high] == [1]


def test_the_front_has_what_no_other_trial_beats():
    costs = [[1.0, 4], [2, 2], [4, 1], [2, 3], [2, 2]]
    assert on_front(costs) == [True, True, True, False, True]


def test_a_study_of_several_objectives_has_its_front(tmp_path):
    rows = [trial(n, value, params=params) for n, (value, params) in enumerate([(0.1, 9), (0.2, 5), (0.3, 7)])]
    found = compute_pareto(study(tmp_path, rows, objectives=["val_mse", "params"]))
    assert found.table()["trial_id"].tolist() == ["t0000", "t0001", "t0002"]
    assert found.table()["front"].tolist() == [True, True, False]


def test_vaes_have_panels_of_their_two_terms_and_classifiers_of_loss_and_accuracy(tmp_path):
    vae = compute_learning_curves(search(tmp_path, "vae"))
    assert [metric for _, metric in vae.panels] == ["nelbo", "reconstruction", "kl"]
    classifier = compute_learning_curves(search(tmp_path, "classifier"))
    assert [metric for _, metric in classifier.panels] == ["accuracy", "cross_entropy"]
    assert classifier.curves.loc[classifier.curves["highlighted"], "run_id"].nunique() == 3


def test_the_loss_of_a_double_softmax_has_a_panel_of_its_own(tmp_path):
    confirm = seeds("cifar_cnn_A", [0.2, 0.3], [0.2, 0.3], "accuracy")
    for run in confirm:
        run.epochs[0]["val_loss"] = 2.3
    found = compute_learning_curves(study(tmp_path, [], family="classifier", confirm=confirm))
    assert [metric for _, metric in found.panels] == ["accuracy", "loss"]


def test_a_longer_run_of_the_same_config_goes_on_where_the_shorter_one_ends(tmp_path):
    """GAP and GAP_240: the same curves to the end of the first; other numbers are no continuation."""
    values = [[0.5, 0.4, 0.3, 0.2], [0.6, 0.5, 0.4, 0.3]]

    def confirmed(name, epochs, **changes):
        runs = seeds(name, [0.1, 0.1], [0.1, 0.1], **changes)
        for run, curve in zip(runs, values, strict=True):
            run.epochs = [{"val_mse": value} for value in curve[:epochs]]
        return runs

    found = compute_learning_curves(study(tmp_path, [], confirm=confirmed("gap", 2) + confirmed("gap_240", 4)))
    assert found.continued == (("gap", "gap_240", 2),)
    assert "gap_240 goes on where gap ends, after epoch 2" in found.caption
    other = confirmed("gap", 2) + confirmed("gap_240", 4, latent_size=9)
    assert compute_learning_curves(study(tmp_path, [], confirm=other)).continued == ()
    moved = confirmed("gap", 2) + confirmed("gap_240", 4)
    moved[-1].epochs[0]["val_mse"] += 1e-6
    assert compute_learning_curves(study(tmp_path, [], confirm=moved)).continued == ()


def test_seconds_of_each_epoch_are_there_with_or_without_a_search(tmp_path):
    found = compute_epoch_seconds(study(tmp_path, [trial(0, 0.1, epochs=3)]))
    assert found.table()["seconds"].tolist() == [2.0, 2.0, 2.0]
    assert (found.table()["name"].unique().tolist(), found.of) == (["dense"], "trial")
    confirm = seeds("slow", [0.1], [0.1]) + seeds("fast", [0.1], [0.1])
    confirm[0].seconds, confirm[1].seconds = 8.0, 2.0
    found = compute_epoch_seconds(study(tmp_path, [], confirm=confirm))
    assert found.caption.startswith(
        "An epoch takes 2 s of fast and 8 s of slow (medians; 2 confirmation runs with an epoch)."
    )


@pytest.mark.parametrize(("count", "most", "beside"), [(1, None, False), (2, 1, False), (2, None, True)])
def test_seconds_are_of_runs_beside_others_only_where_there_can_have_been_some(tmp_path, count, most, beside):
    found = study(tmp_path, [trial(number, 0.1) for number in range(count)])
    found.settings["max_concurrent"] = most
    for compute in (compute_cost, compute_epoch_seconds):
        caption = compute(found).caption
        assert "Seconds are of this machine" in caption
        assert ("beside" in caption) == beside


def test_training_looks_worse_than_validation_whichever_way_is_better(tmp_path):
    for family in ("ae", "classifier"):
        caption = compute_learning_curves(search(tmp_path, family)).caption
        assert caption.endswith("so they can look worse than the validation values.")


def test_a_first_stage_has_its_own_panel(tmp_path):
    first = [{"val_mse": 0.3}]
    pretrained = trial(0, 0.9, metric="val_accuracy")
    pretrained.pretraining = first
    confirm = seeds("t0000", [0.8], [0.8], "accuracy")
    confirm[0].pretraining = first
    found = compute_learning_curves(study(tmp_path, [pretrained], family="classifier", confirm=confirm))
    assert found.panels[0] == ("first", "mse")
    assert found.curves.loc[found.curves["stage"] == "first", "run_id"].tolist() == ["t0000"]


def test_twelve_axes_at_most_and_the_others_are_named(tmp_path):
    settings = {f"setting{i:02d}": [i, i + 1] for i in range(14)}
    rows = [trial(n, 0.1, **{key: values[n % 2] for key, values in settings.items()}) for n in range(4)]
    found = compute_parallel_coordinates(study(tmp_path, rows))
    assert len(found.scales) == 12 + 1  # and the objective's
    assert found.left_out == ("setting12", "setting13")
    assert "setting12 and setting13" in found.caption


def test_few_numbers_lie_where_they_are_on_the_axis_and_the_objective_is_the_last_one(tmp_path):
    rows = [
        trial(n, value, width=width, optimizer=optimizer)
        for n, (value, width, optimizer) in enumerate([(0.3, 8, "sgd"), (0.1, 16, "adam"), (0.2, 128, "adam")])
    ]
    found = compute_parallel_coordinates(study(tmp_path, rows))
    assert list(found.scales) == ["width", "optimizer", "value"]
    assert found.scales["width"].positions(pd.Series([8, 16, 128])).tolist() == pytest.approx([0, 8 / 120, 1])
    assert [label for _, label in found.scales["width"].ticks()] == ["8", "16", "128"]
    assert found.scales["value"].positions(pd.Series([0.1, 0.2, 0.3])).tolist() == pytest.approx([0, 0.5, 1])
    drawn = plot_parallel_coordinates(found).axes[0]
    shown = [text.get_text() for text in drawn.texts]
    assert shown == ["8", "", "128", "adam", "sgd", "0.1", "0.2", "0.3"]  # 16 would stand on 8
    assert drawn.get_yticklabels()[-1].get_text() == "validation\nMSE per pixel"


@pytest.mark.parametrize("narrow", [False, True])
def test_labels_of_an_axis_are_distinct_on_a_phone_as_well(tmp_path, narrow):
    names = ["adagrad", "adam", "adamw", "rmsprop", "sgd"]
    alike = [f"an_architecture_of_{number}_stages" for number in range(5)]
    rows = [trial(n, 0.1 + n, optimizer=names[n], architecture=alike[n]) for n in range(5)]
    found = compute_parallel_coordinates(study(tmp_path, rows))
    with style.narrow() if narrow else nullcontext():
        labels = [[label for _, label, _ in parallel_coordinates._labels(found.scales[key])] for key in found.scales]
    by_key = dict(zip(found.scales, labels, strict=True))
    assert by_key["optimizer"] == names
    assert len(set(by_key["architecture"])) == 5
    assert max(map(len, by_key["architecture"])) <= (10 if narrow else 14)


def test_captions_say_which_trials_they_count_where_some_failed(tmp_path):
    rows = [trial(n, 0.1 + n / 10, width=8 + n % 4, lr=0.1 + n / 100) for n in range(12)]
    rows += [trial(12, 0.5, status="failed", epochs=2, width=9), trial(13, None, status="failed", epochs=0, width=9)]
    studied = study(tmp_path, rows)
    assert compute_cost(studied).caption.startswith("12 ranked trials (completed or stopped) took 192 s of training. ")
    assert compute_parallel_coordinates(studied).caption.startswith("12 ranked trials (completed or stopped), each")
    assert "of 12 ranked trials (completed or stopped) reached; 2 trials failed" in compute_effects(studied).caption
    assert "12 ranked trials (completed or stopped) by" in compute_importances(studied).caption
    assert "; 13 trials with an epoch." in compute_learning_curves(studied).caption
    assert "(medians; 13 trials with an epoch)" in compute_epoch_seconds(studied).caption
    assert compute_stopping(studied).caption.startswith("14 ended trials (12 completed and 2 failed) ran 98 epochs.")


def test_cost_names_the_best_trial_and_a_ten_times_smaller_one(tmp_path):
    rows = [trial(0, 0.1), trial(1, 0.2, params=90), trial(2, 0.3, params=10)]
    caption = compute_cost(study(tmp_path, rows)).caption
    assert "The best, t0000, took 16 s for 8 epochs with 1,000 parameters" in caption
    assert "t0001, has 0.2 instead of 0.1" in caption
