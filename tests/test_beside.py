"""Which network the winner's reconstructions are shown with."""

import pytest
import small_networks

import models
from study.driver import winner
from study.driver.confirmation import Confirmed
from study.record.folder import StudyFolder
from study.record.state import Run


@pytest.fixture
def confirmed(tmp_path):
    """Return a function that gives a confirmed config whose one network is on the disk, or is not."""

    def of(name, key, latent_size, *, left=True, reported=True):
        network = small_networks.network("ae", latent_size=latent_size)
        config = {**small_networks.CONFIGS["ae"], **small_networks.TRAINING, "latent_size": latent_size}
        if left:
            models.save(network, config, (1, 8, 8), 4, tmp_path / "checkpoints" / f"{name}-s1")
        run = Run(f"{name}-s1", "confirm", 0, config, 1, 1, 1, key, 0.0, epochs=[{"val_mse": 0.5}])
        return Confirmed(name, key, config, [] if reported else [run], [run] if reported else [])

    return of


def test_a_reports_network_of_the_winners_size_is_shown_before_others(confirmed, tmp_path):
    others = [confirmed("t0000", "default", 4), confirmed("r1", "some/large", 6), confirmed("r2", "some/same", 4)]
    found = winner.beside(StudyFolder(tmp_path), [confirmed("t0005", None, 4), *others], "val_mse")
    assert found.name == "some/same, code of 4"
    assert found.network.encode(small_networks.split()[0][:2].float()).shape == (2, 4)


def test_without_one_of_its_size_a_reports_network_is_shown_before_the_default(confirmed, tmp_path):
    others = [confirmed("t0000", "default", 5), confirmed("r1", "some/large", 6)]
    found = winner.beside(StudyFolder(tmp_path), [confirmed("t0005", None, 4), *others], "val_mse")
    assert found.name == "some/large, code of 6"


@pytest.mark.parametrize("won_by_code", [True, False])
def test_a_network_with_a_code_is_shown_beside_none_without(won_by_code, confirmed, tmp_path):
    """A classifier on an encoder has a code, and the default of a space of classifiers, a CNN, has none."""
    coded, plain = confirmed("t0005", "some/coded", 4), confirmed("t0000", "default", 4)
    without = {key: value for key, value in plain.config.items() if key != "latent_size"}
    plain = Confirmed("t0000", "default", without, plain.chose, plain.reported)
    order = [coded, plain] if won_by_code else [plain, coded]
    assert winner.beside(StudyFolder(tmp_path), order, "val_mse") is None


def test_the_winner_alone_and_configs_that_only_chose_are_shown_beside_nothing(confirmed, tmp_path):
    first, chose = confirmed("t0000", "default", 4), confirmed("t0003", "some/same", 4, reported=False)
    sampled, gone = confirmed("t0004", None, 4), confirmed("r1", "some/large", 6, left=False)
    for others in ([], [chose], [sampled], [gone]):
        assert winner.beside(StudyFolder(tmp_path), [first, *others], "val_mse") is None
