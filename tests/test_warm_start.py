"""Studies that begin with the best configs of earlier ones."""

import pytest
from recorded_studies import made_up_trial, write_study
from test_searcher import Driver

import search_spaces
from search_spaces import Context
from study.driver import beginning
from study.record.errors import UsageError
from study.settings import command_line, resolve

SPACE = search_spaces.get("digits_ae")
CONTEXT = Context(SPACE.image_shape, 10)


def config(**changes):
    return {**SPACE.default, **changes}


def trials(*configs, metric="val_mse"):
    """Trials that are the better the earlier they come."""
    return [
        made_up_trial(number, config=one, epochs=[{metric: 0.1 + number / 100}]) for number, one in enumerate(configs)
    ]


def points(storage, *names, count=30, space="digits_ae", **about):
    argv = ["--space", space, "--storage", str(storage), "--warm-start", ",".join(names), "--trials", str(count)]
    settings = resolve.settings_of(command_line.parse(argv).given)
    asked = search_spaces.get(space)
    return beginning.warm_start(settings, Context(asked.image_shape, 10, **about))


def test_without_it_there_are_none(tmp_path):
    settings = resolve.settings_of(command_line.parse(["--space", "digits_ae"]).given)
    assert beginning.warm_start(settings, CONTEXT) == []


def test_the_best_configs_of_several_studies_take_turns_and_are_a_fifth_of_the_trials_at_most(tmp_path):
    write_study(tmp_path, "day", trials(*(config(lr=lr) for lr in (1e-3, 2e-3, 4e-3, 5e-3))))
    write_study(tmp_path, "eve", trials(*(config(lr=lr) for lr in (6e-3, 1e-3, 7e-3))))
    found = points(tmp_path, "day", "eve", count=20)
    assert [point.key for point in found] == ["day/t0000", "eve/t0000", "day/t0001", "day/t0002"]  # each config once
    assert [point.config["lr"] for point in found] == [1e-3, 6e-3, 2e-3, 4e-3]
    assert len(points(tmp_path, "day", count=3)) == 1


def test_the_spaces_own_first_configs_are_not_asked_twice(tmp_path):
    write_study(tmp_path, "day", trials(config(), config(lr=1e-3)))
    assert [point.key for point in points(tmp_path, "day")] == ["day/t0001"]


def test_what_lies_out_of_bounds_moves_to_them_and_what_cannot_be_said_is_left_out(tmp_path):
    large = {**search_spaces.get("mnist_ae").default, "architecture": "dense", "latent_size": 64, "depth": 1}
    large |= {"width": 2048, "output_activation": "sigmoid"}
    write_study(tmp_path, "day", trials(large, config(architecture="mnist_ae/dense")), space="mnist_ae")
    (point,) = points(tmp_path, "day")
    assert (point.config["latent_size"], point.config["width"]) == (16, 512)
    assert point.params["latent_size"] == 16


def test_a_held_latent_size_holds_for_them_too(tmp_path):
    write_study(tmp_path, "day", trials(config(latent_size=4, lr=1e-3)))
    (point,) = points(tmp_path, "day", latent_size=9)
    assert point.config["latent_size"] == 9


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dai", r"--warm-start: study 'dai' is not known \(did you mean day\?\)"),
        ("vaes", r"--warm-start 'vaes' is of the family vae; digits_ae is of ae"),
        ("none", r"--warm-start 'none' has no trials that ended"),
        ("odd", r"--warm-start 'odd': digits_ae can express none of its 1 configs"),
        ("mine", r"--warm-start 'mine' is of a space that is not known here"),
    ],
)
def test_what_cannot_be_begun_with_is_one_line(name, words, tmp_path):
    write_study(tmp_path, "day", trials(config()))
    write_study(tmp_path, "vaes", trials(config(), metric="val_nelbo"), space="digits_vae")
    write_study(tmp_path, "none", [])
    write_study(tmp_path, "odd", trials(config(activation="tanh")))
    write_study(tmp_path, "mine", trials(config()), space="mine_ae")
    with pytest.raises(UsageError, match=words):
        points(tmp_path, name)


def test_a_study_asks_for_them_after_its_own_and_a_resumed_one_for_what_is_left(tmp_path):
    write_study(tmp_path, "day", trials(config(lr=1e-3), config(lr=2e-3)))
    warm = points(tmp_path, "day", count=10)
    first = Driver(tmp_path / "s", warm_start=warm)
    first.run()
    first.run()
    second = Driver(tmp_path / "s", warm_start=warm)
    second.run()
    second.run()
    assert [run.key for run in second.state.trials] == ["default", "day/t0000", "day/t0001", None]
    assert [run.config["lr"] for run in second.state.trials][1:3] == [1e-3, 2e-3]
    assert [trial.params["lr"] for trial in second.optuna_trials()[1:3]] == [1e-3, 2e-3]
