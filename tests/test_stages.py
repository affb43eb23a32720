"""Runs of two stages: an autoencoder first, whose encoder the classifier goes on with."""

import pytest
import torch

import models
import search_spaces
from search_spaces import Reported, ReportedSplit
from study.search.sampling import reported_budget, searched_budget
from study.training.stages import Budget, StagedTraining
from study.training.trainer import Trainer

SPACE = search_spaces.get("digits_classifier")


def config(**changes):
    """Return a small classifier on a dense encoder that is trained as an autoencoder first."""
    return {
        **{"family": "classifier", "architecture": "dense", "latent_size": 6, "dropout": 0.1, "depth": 1, "width": 16},
        **{"batch_norm": True, "activation": "relu", "output_activation": "sigmoid", "label_smoothing": 0.0},
        **{"augmentation": "none", "double_softmax": False, "encoder": "pretrained", "encoder_training": "fine_tuned"},
        **{"pretrain_optimizer": "adam", "pretrain_lr": 1e-2, "pretrain_weight_decay": 0.0},
        **{"optimizer": "adagrad", "lr": 1e-2, "weight_decay": 0.0, "schedule": "cosine", "batch_size": 16},
        **changes,
    }


def splits(n=96):
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 3, (n,), generator=generator)
    images = torch.randint(0, 80, (n, 1, 8, 8), generator=generator, dtype=torch.uint8)
    images[torch.arange(n), :, labels] += 150  # a bright row for each class
    return {"train": (images[: n // 2], labels[: n // 2]), "val": (images[n // 2 :], labels[n // 2 :])}


def staged(**changes):
    return StagedTraining(config(**changes), splits(), num_classes=3, budget=Budget(3, 2), seed=0)


def timeless(metrics):
    return {name: value for name, value in metrics.items() if "second" not in name}


def test_the_first_stage_is_an_autoencoder_with_an_optimizer_of_its_own():
    run = staged()
    seen = []
    run.pretrain(after_epoch=lambda: seen.append(len(run.pretraining)))
    assert seen == [1, 2]
    alone = Trainer(models.pretraining_config(config()), splits(), num_classes=3, epochs=2, seed=0)
    assert [timeless(epoch) for epoch in run.pretraining] == [timeless(alone.epoch()) for _ in range(2)]
    assert all("val_mse" in epoch for epoch in run.pretraining)
    assert set(alone.model.encoder_state()) <= set(dict(run.model.encoder.state_dict()))
    for name, value in alone.model.encoder_state().items():
        assert torch.equal(run.model.encoder.state_dict()[name], value)


def test_the_last_stage_is_a_classifier_that_starts_from_that_encoder():
    run = staged(encoder_training="frozen")
    run.pretrain(after_epoch=lambda: None)
    before = {name: value.clone() for name, value in run.model.encoder.state_dict().items()}
    values = [run.epoch()["val_accuracy"] for _ in range(3)]
    assert values[-1] > 0.5
    assert run.epochs_done == 3
    assert all(torch.equal(value, before[name]) for name, value in run.model.encoder.state_dict().items())


@pytest.mark.parametrize(("pretrained", "trained"), [(1, 0), (2, 0), (2, 1)])
def test_a_run_goes_on_in_the_stage_and_epoch_in_which_it_was_left(pretrained, trained, tmp_path):
    through = staged()
    through.pretrain(after_epoch=lambda: None)
    expected = [timeless(through.epoch()) for _ in range(3)]
    broken, file = staged(), tmp_path / "checkpoint.pt"

    def save():
        torch.save(broken.state_dict(), file)
        if len(broken.pretraining) == pretrained and not trained:
            raise KeyboardInterrupt

    if trained:
        broken.pretrain(after_epoch=save)
        broken.epoch()
        save()
    else:
        with pytest.raises(KeyboardInterrupt):
            broken.pretrain(after_epoch=save)
    torch.manual_seed(123)
    resumed = staged()
    resumed.load_state_dict(torch.load(file, weights_only=True))
    assert (len(resumed.pretraining), resumed.epochs_done) == (pretrained, trained)
    resumed.pretrain(after_epoch=lambda: None)
    assert [timeless(epoch) for epoch in resumed.pretraining] == [timeless(epoch) for epoch in through.pretraining]
    assert [timeless(resumed.epoch()) for _ in range(3 - trained)] == expected[trained:]


def test_the_first_stage_is_watched_to_its_last_epoch():
    run, seen = staged(), []
    run.watch = lambda model, epoch: seen.append((type(model).__name__, epoch))
    run.pretrain(after_epoch=lambda: None)
    run.epoch()
    assert seen == [("Autoencoder", 1), ("Autoencoder", 2)]


def test_epochs_for_a_stage_that_the_config_does_not_have_are_an_error():
    for changes, epochs in ({"encoder": "pretrained"}, 0), ({"encoder": "scratch"}, 2):
        given = config(**changes)
        if changes["encoder"] == "scratch":
            for key in [key for key in given if key.startswith(("pretrain_", "encoder_training", "output_"))]:
                del given[key]
        with pytest.raises(ValueError, match="epochs for a first stage"):
            StagedTraining(given, splits(), num_classes=3, budget=Budget(1, epochs), seed=0)


def test_a_first_stage_has_the_epochs_of_the_space_but_not_more_than_the_study():
    assert searched_budget(config(), SPACE, 100) == Budget(100, SPACE.pretrain_epochs)
    assert searched_budget(config(), SPACE, 1) == Budget(1, 1)
    assert searched_budget(search_spaces.get("digits_ae").default, search_spaces.get("digits_ae"), 7) == Budget(7, 0)


def test_a_reported_configuration_has_its_own_epochs_up_to_a_cap():
    entry = Reported({}, "flowers_classifier", (3, 100, 100), 102, (40, 30), "", ReportedSplit(1_020, 0, ""))
    assert reported_budget(entry, 50) == Budget(30, 40)
    assert reported_budget(entry, 2) == Budget(2, 2)
    assert reported_budget(
        Reported({}, "cifar_ae", (3, 32, 32), 10, (100,), "", ReportedSplit(50_000, 0, "")), 100
    ) == Budget(100, 0)
