import copy

import pytest

from study.data import image_data
from study.driver import beginning
from study.driver.beginning import check_unchanged
from study.record.errors import UsageError
from study.record.events import StudyStarted
from study.settings import command_line, resolve


@pytest.fixture(scope="module")
def begun():
    """What the journal of a study of digits_ae begins with."""
    settings = resolve.settings_of(command_line.parse(["--space", "digits_ae", "--name", "night"]).given)
    data = image_data.load("digits", image_data.default_data_dir())
    return beginning.about(settings, data, None)


def test_a_study_that_is_as_it_was_goes_on(begun):
    check_unchanged("night", StudyStarted(**begun), copy.deepcopy(begun))


def test_a_study_of_a_version_that_did_not_write_down_its_space_goes_on(begun):
    before = {key: value for key, value in begun.items() if key != "searched"}
    check_unchanged("night", StudyStarted(**before), begun)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"latent_size": "integer 2 to 99"}, "latent_size was integer 2 to 16, logarithmic, is integer 2 to 99"),
        ({"noise": "number 0 to 1"}, "noise was not there, is number 0 to 1"),
        ({"latent_size": None, "noise": "number 0 to 1"}, "latent_size was integer 2 to 16, logarithmic, is not there"),
        ({"latent_size": None, "noise": "number 0 to 1"}, "(and 1 more)"),
    ],
)
def test_a_changed_space_is_refused_with_what_changed(changes, words, begun):
    searched = {key: value for key, value in (begun["searched"] | changes).items() if value is not None}
    with pytest.raises(UsageError) as refused:
        check_unchanged("night", StudyStarted(**begun), begun | {"searched": searched})
    assert words in str(refused.value)
    assert str(refused.value).startswith("--resume night: the search space has changed: ")


def test_changed_data_and_a_changed_encoder_are_refused(begun):
    with pytest.raises(UsageError, match="the data have changed, digest 0000 instead of "):
        check_unchanged("night", StudyStarted(**begun), begun | {"data": {**begun["data"], "digest": "0000"}})
    with pytest.raises(UsageError, match="the encoder has changed, digest abc instead of None"):
        check_unchanged("night", StudyStarted(**begun), begun | {"encoder": {"digest": "abc"}})


def test_reported_configurations_search_nothing():
    options = ["--reported", "cifar_cnn/A", "--name", "night"]
    settings = resolve.settings_of(command_line.parse(options).given)
    data = image_data.load("digits", image_data.default_data_dir())
    assert beginning.about(settings, data, None)["searched"] == {}
