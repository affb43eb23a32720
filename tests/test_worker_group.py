"""Several runs in a worker, without Ray: what they report, what they leave, and where they are declined."""

import numpy as np
import pytest
import torch
from test_fused import config_of, splits, timeless

from study.training import checkpoint
from study.training.execution import PLAIN
from study.training.replicates import Comparison
from study.worker import group as worker_group
from study.worker import run as worker_run
from study.worker.group import NotFasterError, WorkerGroup
from study.worker.job import EPOCH, FAILED, FINAL, METRICS, NOTE, PRETRAINING, REPORTS, Job
from study.worker.run import WorkerContext, WorkerRun
from study.worker.shared_data import SharedData

CPU = torch.device("cpu")
EPOCHS = 2


@pytest.fixture
def context(tmp_path, monkeypatch):
    """What a worker has, with the data at hand instead of in Ray's object store."""
    data = splits()
    data["test"] = data["val"]
    monkeypatch.setattr(worker_run, "on_device", lambda shared, split, device: data[split])
    (tmp_path / "errors").mkdir()
    shared = SharedData("digest", (1, 8, 8), 3, {})
    return WorkerContext(shared, tmp_path, tmp_path / "errors", ("val_mse",), 1, 0, PLAIN, False, measures_fusing=False)


def jobs(prefix="a", test=False, case="ae dense", seeds=(3, 4, 5)):
    return [Job(f"{prefix}-s{seed}", config_of(case), seed, EPOCHS, test=test) for seed in seeds]


def test_each_run_reports_and_leaves_what_it_does_alone(context):
    group = WorkerGroup(jobs(test=True), context, CPU)
    first, last = group.step(), group.step()
    assert (first["done"], last["done"], first[EPOCH], last[EPOCH]) == (False, True, 1, 2)
    assert first[REPORTS]["a-s3"][NOTE] == "is trained together with a-s4, a-s5"
    for together, job in zip(jobs(), jobs("b", test=True), strict=True):
        alone = WorkerRun(job, context, CPU)
        for got, expected in ((first, alone.step()), (last, alone.step())):
            report = got[REPORTS][together.id]
            assert report.keys() - {NOTE} == expected.keys()
            assert timeless(report[METRICS]) == pytest.approx(timeless(expected[METRICS]), rel=1e-2)
        assert report[FINAL]["test_mse"] == pytest.approx(expected[FINAL]["test_mse"], rel=1e-2)
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
        got = again.step()[REPORTS]
        for seed in (3, 4, 5):
            metrics = timeless(got[f"b-s{seed}"][METRICS])
            assert metrics == pytest.approx(timeless(want[REPORTS][f"a-s{seed}"][METRICS]), rel=1e-6), number


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
        assert result["done"] is done
        assert result[REPORTS]["a-s4"][FAILED] == "NonFiniteLossError: train_loss is nan in epoch 1"
        assert all(FAILED not in result[REPORTS][name] for name in ("a-s3", "a-s5"))
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
    assert result["done"]
    assert result[REPORTS]["a-s4"][FAILED] == "RuntimeError: no kernel image is available"
    assert FINAL in result[REPORTS]["a-s3"]


def test_both_stages_are_reported_once(context):
    config = config_of("classifier dense, frozen") | {
        **{"encoder": "pretrained", "pretrain_optimizer": "adam", "pretrain_lr": 1e-2, "pretrain_weight_decay": 0.0},
        "output_activation": "sigmoid",
    }
    group = WorkerGroup([Job(f"a-s{seed}", config, seed, EPOCHS, 2) for seed in (3, 4)], context, CPU)
    first, last = group.step(), group.step()
    assert [len(report[PRETRAINING]) for report in first[REPORTS].values()] == [2, 2]
    assert all(PRETRAINING not in report for report in last[REPORTS].values())


@pytest.mark.parametrize(("together", "trained"), [(0.002, True), (0.006, False)])
def test_where_it_is_measured_the_rule_decides_and_says_what_was_measured(together, trained, context, monkeypatch):
    measured = Comparison(3, together, 0.006)
    monkeypatch.setattr(worker_group, "compare", lambda trainers: measured)
    asked = WorkerContext(**{**vars(context), "measures_fusing": True})
    if trained:
        note = WorkerGroup(jobs(), asked, CPU).step()[REPORTS]["a-s3"][NOTE]
        assert note == f"is trained together with a-s4, a-s5: {measured}"
    else:
        with pytest.raises(NotFasterError, match=r"6\.00 ms together and 6\.00 ms one after the other"):
            WorkerGroup(jobs(), asked, CPU)


def test_a_measurement_does_not_change_the_numbers(context, monkeypatch):
    monkeypatch.setattr(Comparison, "pays", True)
    asked = WorkerContext(**{**vars(context), "measures_fusing": True})
    expected = WorkerGroup(jobs("a"), context, CPU).step()[REPORTS]["a-s3"][METRICS]
    got = WorkerGroup(jobs("b"), asked, CPU).step()[REPORTS]["b-s3"][METRICS]
    assert timeless(got) == timeless(expected)
