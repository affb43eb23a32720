import pkgutil

import numpy as np
import pandas as pd
import pytest
from figure_examples import FIGURES, search, seeds, study, trial
from matplotlib import pyplot
from matplotlib.figure import Figure

from analysis import figures
from analysis.page.pictures import MODULES, drawings
from analysis.words import column_label
from study.record.tables import BASELINE


def drawn(name, studied):
    """Compute and draw a figure; None where the study has nothing to show there."""
    data = FIGURES[name].compute(studied)
    if data is None:
        return None
    figure = FIGURES[name].plot(data)
    assert isinstance(figure, Figure)
    figure.canvas.draw()
    table = data.table()
    assert isinstance(table, pd.DataFrame)
    assert len(table)
    assert "nan" not in data.caption.split()
    assert data.caption.endswith((".", "!"))
    return data


def test_every_module_of_figures_is_in_the_report_and_each_figure_has_a_name_of_its_own():
    modules = {module.name for module in pkgutil.iter_modules(figures.__path__) if not module.name.startswith("_")}
    assert modules - {"style"} == set(MODULES)
    assert len(FIGURES) == len(drawings(MODULES))


@pytest.mark.parametrize("family", ["ae", "vae", "classifier"])
@pytest.mark.parametrize("name", FIGURES)
def test_a_search_with_failed_stopped_and_nan_trials_is_drawn(tmp_path, name, family):
    data = drawn(name, search(tmp_path, family))
    no_tables = {
        "confusion",
        "class_accuracy",
        "class_errors",
        "code_map",
        "kl",
        "confirmation",
        "ablation",
        "pareto",
        "bounds",
        "nats",
    }  # bounds: no such configs in the space; nats: no such baseline
    absent = no_tables | ({"rate_distortion"} if family == "classifier" else set())
    assert (data is None) == (name in absent)
    assert not pyplot.get_fignums()


@pytest.mark.parametrize("family", ["ae", "vae", "classifier"])
def test_every_column_of_a_table_has_words(tmp_path, family):
    metric = {"ae": "mse", "vae": "nelbo", "classifier": "accuracy"}[family]
    runs = seeds("t0000", [0.1, 0.12], [0.1, 0.13], metric) + seeds("t0001", [0.2, 0.21], [0.2, 0.22], metric)
    confirmed = study(tmp_path, [trial(0, 0.1, metric=f"val_{metric}")], family=family, confirm=runs, nats={8: 400})
    found = [one.compute(studied) for studied in (search(tmp_path, family), confirmed) for one in FIGURES.values()]
    columns = {str(name) for data in found if data is not None for name in data.table()} | set(BASELINE.columns)
    assert {"rank", "val_mean"} <= columns
    assert [name for name in sorted(columns) if "_" in column_label(name)] == []


@pytest.mark.parametrize("name", FIGURES)
def test_a_study_without_an_ended_trial_has_nothing_to_show(tmp_path, name):
    assert drawn(name, study(tmp_path, [])) is None


@pytest.mark.parametrize("name", FIGURES)
def test_one_trial_is_drawn_or_nothing_is(tmp_path, name):
    one = study(tmp_path, [trial(0, 0.1, epochs=1)], pca={8: 0.2})
    shown = {"cost", "epoch_seconds", "learning_curves", "rate_distortion", "stopping"}
    assert (drawn(name, one) is not None) == (name in shown)


@pytest.mark.parametrize("name", FIGURES)
def test_only_failed_trials_leave_at_most_the_picture_of_their_epochs(tmp_path, name):
    failed = study(tmp_path, [trial(n, None, status="failed", epochs=0) for n in range(3)])
    assert (drawn(name, failed) is not None) == (name == "stopping")


@pytest.mark.parametrize("name", FIGURES)
def test_equal_trials_of_one_latent_size_are_drawn(tmp_path, name):
    drawn(name, study(tmp_path, [trial(n, 0.1) for n in range(14)]))


@pytest.mark.parametrize("name", FIGURES)
def test_a_study_without_a_search_shows_its_confirmation(tmp_path, name):
    runs = seeds("fashion_base", [0.1], [0.11]) + seeds("fashion_p0.1", [0.2], [0.21])
    for run in runs:
        run.epochs[0]["train_mse"] = 0.3
    data = drawn(name, study(tmp_path, [], confirm=runs, pca={4: 0.3, 8: 0.05}))
    assert (data is not None) == (name in {"confirmation", "epoch_seconds", "learning_curves", "rate_distortion"})


@pytest.mark.parametrize("name", ["confusion", "class_accuracy", "class_errors", "code_map", "kl"])
def test_a_samples_file_that_was_cut_off_is_left_out(tmp_path, name):
    (tmp_path / "samples").mkdir()
    for file in ("predictions", "codes", "kl", "per_class"):
        np.savez_compressed(tmp_path / "samples" / f"{file}.npz", codes=np.zeros((9, 3)))
        whole = (tmp_path / "samples" / f"{file}.npz").read_bytes()
        (tmp_path / "samples" / f"{file}.npz").write_bytes(whole[: len(whole) // 2])
    assert drawn(name, study(tmp_path, [])) is None
