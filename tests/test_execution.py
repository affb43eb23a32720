"""Precision and compilation, on the CPU: the same loop, the same numbers as far as they can be the same."""

import math
import subprocess
import sys

import pytest
import test_stages
import torch
from test_training import deterministic, images
from torch.utils._python_dispatch import TorchDispatchMode

import search_spaces
from study.record.settings import Settings
from study.settings.command_line import parse
from study.settings.resolve import settings_of
from study.training import stages
from study.training.execution import PRECISIONS, Execution, prepare_process
from study.training.fused import FusedTrainer
from study.training.stages import Budget, StagedTraining
from study.training.trainer import Trainer

SPACES = ("digits_ae", "digits_vae", "digits_classifier")


def splits(n=130):
    labels = torch.arange(n) % 10
    return {"train": (images(n), labels), "val": (images(40, 1), labels[:40])}


def config(space, **changes):
    return {**search_spaces.get(space).default, "width": 16, "batch_size": 32, **changes}


def trainer(space="digits_ae", n=130, **options):
    return Trainer(config(space), splits(n), num_classes=10, epochs=2, seed=0, **options)


class Counted(TorchDispatchMode):
    """Counts the operations that pass through it, by name."""

    def __init__(self):
        super().__init__()
        self.counts = {}

    def __torch_dispatch__(self, operation, types, arguments=(), options=None):
        name = operation.overloadpacket.__name__
        self.counts[name] = self.counts.get(name, 0) + 1
        return operation(*arguments, **(options or {}))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("space", SPACES)
def test_an_epoch_asks_for_numbers_as_often_for_many_batches_as_for_few(space, precision):
    """On a GPU each of these waits for all the work before it."""
    asked = []
    for n in (64, 640):  # 2 batches and 20
        run = trainer(space, n, execution=Execution(precision))
        with Counted() as counted:
            run.epoch()
        asked.append(counted.counts.get("_local_scalar_dense", 0))
    assert asked[0] == asked[1]
    assert asked[0] < 20


@pytest.mark.parametrize("space", SPACES)
def test_bfloat16_trains_and_leaves_parameters_optimizer_and_metrics_in_float32(space):
    expected = trainer(space).epoch()
    run = trainer(space, execution=Execution("bfloat16"))
    seen = set()
    for module in run.model.modules():
        module.register_forward_hook(lambda _m, _i, output: seen.add(getattr(output, "dtype", None)))
    got = run.epoch()
    assert torch.bfloat16 in seen
    state = run.state_dict()
    assert {weight.dtype for weight in run.model.parameters()} == {torch.float32}
    moments = [value for values in state["optimizer"]["state"].values() for value in values.values()]
    assert {moment.dtype for moment in moments if isinstance(moment, torch.Tensor)} == {torch.float32}
    assert got["train_loss"] != expected["train_loss"]
    assert got["train_loss"] == pytest.approx(expected["train_loss"], rel=0.02)  # bfloat16 has 8 bits


def test_a_run_in_bfloat16_goes_on_from_its_checkpoint_with_the_same_numbers(tmp_path):
    through = trainer(execution=Execution("bfloat16"))
    through.epoch()
    torch.save(through.state_dict(), tmp_path / "checkpoint.pt")
    expected = deterministic(through.epoch())
    resumed = trainer(execution=Execution("bfloat16"))
    resumed.load_state_dict(torch.load(tmp_path / "checkpoint.pt", weights_only=True))
    assert deterministic(resumed.epoch()) == expected


@pytest.mark.parametrize("space", SPACES)
def test_compiled_steps_give_the_numbers_of_uncompiled_ones(space):
    """With the compiler's front end alone, so that no code generator changes the order of sums."""
    plain = trainer(space)
    expected = [deterministic(plain.epoch()) for _ in range(2)]
    run = trainer(space, execution=Execution(compile=True, backend="eager"))
    got = [run.epoch() for _ in range(2)]
    compiling = [metrics.pop("compile_seconds") for metrics in got]
    assert [deterministic(metrics) for metrics in got] == expected
    assert 0 < compiling[0] <= got[0]["train_seconds"]
    assert compiling[1] == 0  # the second epoch has no new size of batch


def test_a_warm_up_is_not_compiled_anew_for_every_batch():
    """Its weight changes with each of them: 20 batches are more than a compiler makes versions for."""
    losses = []
    for execution in (Execution(), Execution(compile=True, backend="eager")):
        changes = config("digits_vae", beta_warmup=0.5)
        run = Trainer(changes, splits(640), num_classes=10, epochs=1, seed=0, execution=execution)
        losses.append(run.epoch()["train_loss"])
    assert losses[0] == losses[1]


def test_one_process_compiles_more_networks_than_a_compiler_keeps():
    for latent_size in range(2, 14):
        run = Trainer(
            config("digits_ae", latent_size=latent_size),
            splits(64),
            num_classes=10,
            epochs=1,
            seed=0,
            execution=Execution(compile=True, backend="eager"),
        )
        assert math.isfinite(run.epoch()["train_loss"])


def test_both_stages_are_carried_out_alike(monkeypatch):
    carried_out = []

    class Watched(Trainer):
        def epoch(self):
            carried_out.append((self.config["family"], self.execution))
            return super().epoch()

    monkeypatch.setattr(stages, "Trainer", Watched)
    plan = Execution("bfloat16")
    run = StagedTraining(test_stages.config(), splits(), num_classes=10, budget=Budget(1, 1), seed=0, execution=plan)
    run.pretrain(after_epoch=lambda: None)
    run.epoch()
    assert carried_out == [("ae", plan), ("classifier", plan)]


def test_replicates_are_trained_together_in_the_precision_that_each_has_alone():
    plan = Execution("bfloat16")

    def members():
        options = {"num_classes": 10, "epochs": 2, "execution": plan}
        return [Trainer(config("digits_ae"), splits(), seed=seed, **options) for seed in (0, 1)]

    expected = [member.epoch()["train_loss"] for member in members()]
    got = [metrics["train_loss"] for metrics in FusedTrainer(members()).epoch()]
    plain = trainer().epoch()["train_loss"]
    assert got == pytest.approx(expected, rel=1e-3)
    assert got[0] != pytest.approx(plain, rel=1e-6)


def test_compiled_replicates_are_trained_each_by_itself_with_the_reason():
    with pytest.raises(RuntimeError, match=r"compiled steps .* are of one network each"):
        FusedTrainer([trainer(execution=Execution(compile=True, backend="eager"))])


def test_what_cannot_be_compiled_is_an_error_and_does_not_run_uncompiled():
    def broken(module, inputs):
        raise RuntimeError("no such instruction")

    run = trainer(execution=Execution(compile=True, backend=broken))
    with pytest.raises(Exception, match="no such instruction"):
        run.epoch()


@pytest.mark.slow
def test_the_cpus_own_compiler_agrees():
    expected = trainer().epoch()
    got = trainer(execution=Execution(compile=True)).epoch()
    assert got["val_mse"] == pytest.approx(expected["val_mse"], rel=1e-4)


def test_a_precision_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="precision 'float8' is not allowed; one of float32, bfloat16"):
        Execution("float8")


def test_the_settings_say_how_runs_are_carried_out_and_earlier_studies_were_plain():
    chosen = settings_of(parse(["--space", "digits_ae", "--precision", "bfloat16", "--compile"]).given)
    assert Execution(chosen.precision, chosen.compile) == Execution("bfloat16", compile=True)
    recorded = chosen.to_json()
    assert Settings.from_json(recorded) == chosen
    del recorded["precision"], recorded["compile"]
    earlier = Settings.from_json(recorded)
    assert Execution(earlier.precision, earlier.compile) == Execution()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device was found")
@pytest.mark.parametrize("space", SPACES)
def test_cuda_graphs_agree_with_single_kernels(space):
    data = {name: (pixels.cuda(), labels.cuda()) for name, (pixels, labels) in splits().items()}
    losses = []
    for execution in (Execution(), Execution(compile=True)):
        run = Trainer(config(space), data, num_classes=10, epochs=2, seed=0, execution=execution)
        losses.append([run.epoch()["train_loss"] for _ in range(2)])
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


def denormals(network):
    """Return how many numbers of Adam's averages are too small for a normal float32."""
    averages = [state[name].abs() for state in network.optimizer.state.values() for name in ("exp_avg", "exp_avg_sq")]
    return sum(int(((values > 0) & (values < torch.finfo(torch.float32).tiny)).sum()) for values in averages)


def test_numbers_that_would_slow_the_processor_down_become_zero():
    """A pixel that is bright in one image gives its weights no gradient in the 2,000 steps of all the others."""
    pixels = images(4000, shape=(1, 28, 28))
    pixels[:, :, 0] = 0
    for column in range(28):
        pixels[column, :, 0, column] = 255
    data = dict.fromkeys(("train", "val"), (pixels, torch.zeros(4000, dtype=torch.int64)))
    dense = {**search_spaces.reported()["mnist_ae/dense"].config, "hidden_size": 8, "batch_size": 2}

    def trained():
        network = Trainer(dense, data, num_classes=10, epochs=1, seed=0)
        network.train()
        return network

    try:
        torch.set_flush_denormal(False)
        assert denormals(trained()) > 0
    finally:
        prepare_process(threads=1)
    assert denormals(trained()) == 0


@pytest.mark.parametrize("threads", [1, 2])
def test_a_run_has_its_threads_for_all_of_its_linear_algebra(threads):
    script = (
        "import sklearn.linear_model, torch, threadpoolctl; from study.training.execution import prepare_process;"
        f"prepare_process({threads}); pools = threadpoolctl.threadpool_info();"
        "print(torch.get_num_threads(), len(pools) > 1, *{pool['num_threads'] for pool in pools})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(threads), "True", str(threads)]


def test_the_threads_of_pytorch_flush_them_too():
    script = (
        "import torch; from study.training.execution import prepare_process; prepare_process(threads=2);"
        "small = torch.full((2_000_000,), 1e-30); print(torch.get_num_threads(), int((small * 1e-10).count_nonzero()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "0"]
