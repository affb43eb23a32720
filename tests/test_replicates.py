"""Replicates through the stages of a run, and the rule by which they are trained together."""

import itertools

import pytest
import torch
from test_fused import SEEDS, config_of, splits, timeless, trainers

from study.training.replicates import Replicates, StepTimes, time_steps
from study.training.stages import Budget, StagedTraining
from study.training.trainer import NonFiniteLossError

PRETRAINED = {
    **{"encoder": "pretrained", "encoder_training": "fine_tuned", "pretrain_optimizer": "adam"},
    **{"pretrain_lr": 1e-2, "pretrain_weight_decay": 0.0, "output_activation": "sigmoid", "batch_size": 32},
}


def staged(seeds=SEEDS):
    config = config_of("classifier dense, joint", **PRETRAINED)
    del config["reconstruction_weight"]
    return {
        str(seed): StagedTraining(config, splits(), num_classes=3, budget=Budget(2, 2), seed=seed) for seed in seeds
    }


def test_both_stages_of_a_run_are_trained_together():
    alone, members = staged(), staged()
    replicates, saved = Replicates(members), []
    replicates.pretrain(after_epoch=lambda: saved.append([len(one.pretraining) for one in members.values()]))
    assert saved == [[1, 1, 1], [2, 2, 2]]
    epochs = [replicates.epoch() for _ in range(2)]
    for name, run in alone.items():
        run.pretrain(after_epoch=lambda: None)
        for got, expected in zip(members[name].pretraining, run.pretraining, strict=True):
            assert timeless(got) == pytest.approx(timeless(expected), rel=1e-3)
        assert [timeless(epoch[name])["train_loss"] for epoch in epochs] == pytest.approx(
            [run.epoch()["train_loss"] for _ in range(2)], rel=2e-2
        )
        assert members[name].epochs_done == 2


@pytest.mark.parametrize("stage", ["first", "last"])
def test_a_member_that_fails_leaves_the_others_alone(stage):
    members = staged()
    replicates = Replicates(members)
    if stage == "last":
        replicates.pretrain(after_epoch=lambda: None)
    with torch.no_grad():
        next(members["4"].model.parameters()).fill_(float("nan"))
    replicates.pretrain(after_epoch=lambda: None)
    assert replicates.epoch().keys() == {"3", "5"}
    assert replicates.epoch().keys() == {"3", "5"}
    assert isinstance(replicates.failed["4"], NonFiniteLossError)
    assert list(replicates.running) == ["3", "5"]


def test_when_all_have_failed_there_is_nothing_left_to_train():
    members = staged()
    for member in members.values():
        with torch.no_grad():
            next(member.model.parameters()).fill_(float("nan"))
    replicates = Replicates(members)
    replicates.pretrain(after_epoch=lambda: None)
    assert replicates.running == {}
    assert replicates.epoch() == {}


def test_members_at_different_epochs_are_refused():
    members = staged()
    members["4"].add_pretraining(members["4"].trainer.epoch())
    with pytest.raises(ValueError, match="at different epochs: 0, 1"):
        Replicates(members)


@pytest.mark.parametrize(("together", "alone", "pays"), [(0.1, 0.2, True), (0.18, 0.2, True), (0.19, 0.2, False)])
def test_training_together_has_to_be_a_tenth_faster(together, alone, pays):
    assert StepTimes(3, together, alone).pays is pays


@pytest.mark.parametrize(("together", "alone", "pays"), [(2.0, 1.0, True), (2.8, 1.0, False)])
def test_the_rule_goes_by_the_clock_and_by_the_best_of_three_rounds(together, alone, pays):
    best = [(together, alone)]
    times = [time for pair in [(9.0, 7.0), *best, (4.0, 3.0)] for time in pair]
    readings = iter(itertools.chain.from_iterable((0.0, seconds) for seconds in times))
    measured = time_steps(trainers(config_of("ae dense")), clock=lambda: next(readings))
    steps = 5  # batches of an epoch, fewer than would be timed
    assert (measured.together, measured.alone) == pytest.approx((together / steps, 3 * alone / steps))
    assert measured.pays is pays


def test_the_rule_measures_with_a_real_clock_and_says_what():
    measured = time_steps(trainers(config_of("ae dense")))
    assert 0 < measured.together < 10
    assert 0 < measured.alone < 10
    assert str(StepTimes(3, 0.002, 0.006)) == (
        "a step of 3 replicates takes 2.00 ms together and 6.00 ms one after the other (3.00 times)"
    )


def test_what_cannot_be_mapped_is_found_out_by_trying():
    with pytest.raises(RuntimeError, match="requires_grad_"):
        time_steps(trainers(config_of("ae dense", contraction=0.1)))
