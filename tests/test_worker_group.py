"""What workers report, without Ray: several runs together, what they leave, and where they are declined."""

import pickle

import numpy as np
import pytest
import torch
from test_fused import config_of, splits, timeless

from study.baselines.baseline import fit_axes
from study.data.image_data import Trained
from study.evaluation.reconstruction import reconstruct
from study.training import checkpoint
from study.training.execution import PLAIN
from study.training.replicates import StepTimes
from study.worker import run as worker_run
from study.worker import worker as worker_module
from study.worker.job import Job, Report, StepResult, ending, step_of, tune_result
from study.worker.run import WorkerContext, WorkerRun
from study.worker.shared_data import SharedData
from study.worker.worker import NotFasterError, WorkerGroup

CPU = torch.device("cpu")
EPOCHS = 2


@pytest.fixture
def context(tmp_path, monkeypatch):
    """What a worker has, with the data at hand instead of in Ray's object store."""
    data = splits()
    data["test"] = data["val"]
    monkeypatch.setattr(worker_run, "on_device", lambda shared, split, device: data[split])
    (tmp_path / "errors").mkdir()
    shared = SharedData("digest", (1, 8, 8), Trained(class_names=("a", "b", "c")), {})
    return WorkerContext(
        data=shared, checkpoints=tmp_path, errors=tmp_path / "errors", objectives=("val_mse",), threads=1, retries=0,
        execution=PLAIN, gpu=False, measures_fusing=False,
    )  # fmt: skip


def jobs(prefix="a", test=False, case="ae dense", seeds=(3, 4, 5)):
    return [Job(f"{prefix}-s{seed}", config_of(case), seed, EPOCHS, test=test) for seed in seeds]


def test_each_run_reports_and_leaves_what_it_does_alone(context):
    group = WorkerGroup(jobs(test=True), context, CPU)
    first, last = group.step(), group.step()
    assert (first.done, last.done) == (False, True)
    assert [{report.epoch for report in step.reports.values()} for step in (first, last)] == [{1}, {2}]
    assert first.reports["a-s3"].note == "is trained together with a-s4, a-s5"
    for together, job in zip(jobs(), jobs("b", test=True), strict=True):
        alone = WorkerRun(job, context, CPU)
        for got, expected in ((first, alone.step()), (last, alone.step())):
            report = got.reports[together.id]
            assert (report.epoch, report.sizes, report.done) == (expected.epoch, expected.sizes, expected.done)
            assert (report.pretraining, report.failed) == (expected.pretraining, expected.failed)
            assert report.final.keys() == expected.final.keys()
            assert timeless(report.metrics) == pytest.approx(timeless(expected.metrics), rel=1e-2)
        assert report.final["test_mse"] == pytest.approx(expected.final["test_mse"], rel=1e-2)
        left = [{file.name for file in (context.checkpoints / name).iterdir()} for name in (together.id, job.id)]
        assert left[0] == left[1]
        pair = [np.load(context.checkpoints / name / "reconstructions.npz") for name in (together.id, job.id)]
        assert pair[0].files == pair[1].files


def test_a_group_goes_on_from_its_checkpoints_and_repeats_the_epoch_whose_report_may_be_lost(context):
    through = WorkerGroup(jobs("a"), context, CPU)
    expected = [through.step(), through.step()]
    WorkerGroup(jobs("b"), context, CPU).step()
    again = WorkerGroup(jobs("b"), context, CPU)
    for number, want in enumerate(expected):
        got = again.step().reports
        for seed in (3, 4, 5):
            metrics = timeless(got[f"b-s{seed}"].metrics)
            assert metrics == pytest.approx(timeless(want.reports[f"a-s{seed}"].metrics), rel=1e-6), number


def test_progress_is_looked_at_every_fifth_epoch_alone_together_and_after_a_break(context, monkeypatch):
    """With a period of one epoch: the pictures of both epochs are of the network as it was after each."""
    monkeypatch.setattr(worker_run, "WATCHED_EVERY", 1)
    group = WorkerGroup(jobs("a", test=True, seeds=(3, 4)), context, CPU)
    group.step(), group.step()
    broken = jobs("b", test=True, seeds=(3, 4))[0]
    WorkerRun(broken, context, CPU).step()
    again = WorkerRun(broken, context, CPU)
    again.step(), again.step()
    with (
        np.load(context.checkpoints / "a-s3" / "progress.npz") as together,
        np.load(context.checkpoints / "b-s3" / "progress.npz") as alone,
    ):
        assert together["epochs"].tolist() == alone["epochs"].tolist() == [1, 2]
        assert alone["images"].shape == (2, 8, 1, 8, 8)
        assert (alone["images"][0] != alone["images"][1]).any()
        assert np.abs(alone["images"].astype(int) - together["images"]).max() <= 1  # a grey level of rounding
        expected = reconstruct(again.training.model, torch.from_numpy(alone["originals"]))
        assert (alone["images"][1] == expected.numpy()).all()


def test_networks_that_reconstruct_nothing_and_runs_of_a_search_leave_no_progress(context, monkeypatch):
    monkeypatch.setattr(worker_run, "WATCHED_EVERY", 1)
    (of_a_search,) = jobs("a", seeds=(3,))
    (classifier,) = jobs("b", test=True, case="classifier cnn, residual", seeds=(3,))
    for job in (of_a_search, classifier):
        run = WorkerRun(job, context, CPU)
        run.step(), run.step()
        assert not (context.checkpoints / job.id / "progress.npz").exists()


def test_checkpoints_of_different_epochs_are_not_trained_together(context):
    WorkerRun(jobs()[1], context, CPU).step()
    with pytest.raises(ValueError, match="at different epochs: 0, 1"):
        WorkerGroup(jobs(), context, CPU)


def test_a_run_that_fails_says_why_and_the_others_end(context):
    group = WorkerGroup(jobs(), context, CPU)
    with torch.no_grad():
        next(group._runs["a-s4"].training.model.parameters()).fill_(float("nan"))
    for done in (False, True):
        result = group.step()
        assert result.done is done
        assert result.reports["a-s4"].failed == "NonFiniteLossError: train_loss is nan in epoch 1"
        assert all(result.reports[name].failed is None for name in ("a-s3", "a-s5"))
    assert "Traceback" in (context.errors / "a-s4.txt").read_text()
    assert checkpoint.load(context.checkpoints, "a-s4") is None


def test_a_run_whose_last_evaluation_fails_fails_alone(context, monkeypatch):
    real = WorkerRun._finish

    def finish(run):
        if run.job.seed == 4:
            raise RuntimeError("no kernel image is available")
        return real(run)

    monkeypatch.setattr(WorkerRun, "_finish", finish)
    group = WorkerGroup(jobs(test=True), context, CPU)
    group.step()
    result = group.step()
    assert result.done
    assert result.reports["a-s4"].failed == "RuntimeError: no kernel image is available"
    assert "test_mse" in result.reports["a-s3"].final


def test_both_stages_are_reported_once(context):
    config = config_of("classifier dense, frozen") | {
        **{"encoder": "pretrained", "pretrain_optimizer": "adam", "pretrain_lr": 1e-2, "pretrain_weight_decay": 0.0},
        "output_activation": "sigmoid",
    }
    group = WorkerGroup([Job(f"a-s{seed}", config, seed, EPOCHS, 2) for seed in (3, 4)], context, CPU)
    first, last = group.step(), group.step()
    assert [len(report.pretraining) for report in first.reports.values()] == [2, 2]
    assert all(not report.pretraining for report in last.reports.values())


@pytest.mark.parametrize(("together", "trained"), [(0.002, True), (0.006, False)])
def test_where_it_is_measured_the_rule_decides_and_says_what_was_measured(together, trained, context, monkeypatch):
    measured = StepTimes(3, together, 0.006)
    monkeypatch.setattr(worker_module, "time_steps", lambda trainers: measured)
    asked = WorkerContext(**{**vars(context), "measures_fusing": True})
    if trained:
        note = WorkerGroup(jobs(), asked, CPU).step().reports["a-s3"].note
        assert note == f"is trained together with a-s4, a-s5: {measured}"
    else:
        with pytest.raises(NotFasterError, match=r"6\.00 ms together and 6\.00 ms one after the other"):
            WorkerGroup(jobs(), asked, CPU)


def test_a_measurement_does_not_change_the_numbers(context, monkeypatch):
    monkeypatch.setattr(StepTimes, "pays", True)
    asked = WorkerContext(**{**vars(context), "measures_fusing": True})
    expected = WorkerGroup(jobs("a"), context, CPU).step().reports["a-s3"].metrics
    got = WorkerGroup(jobs("b"), asked, CPU).step().reports["b-s3"].metrics
    assert timeless(got) == timeless(expected)


OBJECTIVES = ("val_mse", "params")


def test_a_result_of_tune_has_epochs_and_objectives_at_the_top_and_gives_the_step_back():
    step = StepResult({"t0000": Report(3, {"val_mse": 0.5}, sizes={"params": 7}, done=True)})
    result = tune_result(step, OBJECTIVES)
    assert {name: result[name] for name in ("epoch", "done", *OBJECTIVES)} == {
        **{"epoch": 3, "done": True, "val_mse": 0.5, "params": 7},
    }
    assert step_of(pickle.loads(pickle.dumps(result))) == step


@pytest.mark.parametrize(
    "step",
    [
        StepResult({"t0000": Report(3, done=True, failed="out of memory")}),
        StepResult(
            {name: Report(3, {"val_mse": 0.5}, sizes={"params": 7}, done=True) for name in ("t0000-s1", "t0000-s2")}
        ),
        StepResult(declined="not faster"),
        StepResult(storage_problem="No space left on device"),
    ],
)
def test_a_step_without_one_runs_values_is_done_and_has_nan_for_each_objective(step):
    result = tune_result(step, OBJECTIVES)
    assert result["done"]
    assert all(np.isnan(result[name]) for name in OBJECTIVES)


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (Report(4, {"val_mse": 0.5}), ("completed", None)),
        (Report(3, {"val_mse": 0.5}), ("stopped", None)),
        (Report(4, failed="out of memory"), ("failed", "out of memory")),
        (step_of({"trial_id": "a"}).reports.get("t0000"), ("failed", "the run ended before its first result")),
    ],
)
def test_how_a_run_ended_is_told_by_its_last_report(report, expected):
    assert ending(report, 4) == expected


def test_the_untrained_picture_of_a_network_that_starts_from_pca_is_pca(context):
    """That network is no noise before it is trained: it reconstructs as PCA of the training images does."""
    (job,) = jobs(test=True, case="ae from PCA", seeds=(3,))
    alone = WorkerRun(job, context, CPU)
    for _ in range(EPOCHS):
        alone.step()
    with np.load(context.checkpoints / job.id / "reconstructions.npz") as arrays:
        originals, untrained = (arrays[name].reshape(len(arrays["mse"]), -1) for name in ("originals", "untrained"))
    mean, axes = (part.double().numpy() for part in fit_axes(splits()["train"][0], job.config["latent_size"]))
    codes = (originals / 255 - mean) @ axes.T
    expected = np.clip(mean + codes @ axes, 0, 1) * 255
    assert np.abs(untrained - expected).max() < 1.0  # rounded to grey levels
