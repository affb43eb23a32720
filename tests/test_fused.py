"""Replicates trained in the same steps against the same seeds alone.

The tolerance. In float64 metrics and weights agree to 1e-8 after two epochs (ten steps): the numbers are the same. In
float32, which a study trains in, sums are taken in another order; that moves a gradient by about 1e-6 of the largest,
and Adam divides each by its own size: a bias before batch norm, whose gradient is rounding and nothing else, then goes
elsewhere (with weight decay in float64 too). After one step of plain gradient descent weights agree to 1e-6 + 1e-5 of
their value, after an epoch of Adam metrics to 3e-3.
"""

import copy

import pytest
import torch
from model_examples import example
from small_networks import CONFIGS, TRAINING
from torch.utils._python_dispatch import TorchDispatchMode

from study.data import tensors
from study.training import fused, trainer
from study.training.fused import FusedTrainer
from study.training.trainer import OPTIMIZERS, NonFiniteLossError, Trainer

SEEDS = (3, 4, 5)
DENSE = {"depth": 1, "width": 16, "batch_norm": True, "activation": "relu", "dropout": 0.2, "latent_size": 6}
CONV = {**DENSE, "width": 4, "kernel_size": 3}
AE = {"sparsity": 0.0, "contraction": 0.0, "output_activation": "sigmoid"}
NOISY = {"corruption": "gaussian", "corruption_std": 0.2, "target": "clean"}
AVERAGED = {"weight_averaging": "ema", "averaged_epochs": 0.5}
AUGMENTED = {"augmentation": "shift_flip", "label_smoothing": 0.1}
CASES = {
    "ae dense": ("ae", "dense", {**DENSE, **AE}),
    "ae dense, corrupted and sparse": ("ae", "dense", {**DENSE, **AE, **NOISY, "sparsity": 0.1}),
    "ae conv": ("ae", "conv", {**CONV, **AE}),
    "ae conv, residual and averaged": ("ae", "conv", {**CONV, **AE, "residual_blocks": 1, **AVERAGED}),
    "ae from PCA": ("ae", "pca", {**CONV, "sparsity": 0.0, "contraction": 0.0}),
    "vae dense, bernoulli, warm-up": ("vae", "dense", {**DENSE, "likelihood": "bernoulli", "beta_warmup": 0.7}),
    "vae dense, gaussian": ("vae", "dense", {**DENSE, "likelihood": "gaussian"}),
    "vae conv, corrupted": ("vae", "conv", {**CONV, **NOISY, "likelihood": "continuous_bernoulli"}),
    "classifier cnn, residual": ("classifier", "cnn", {**CONV, **AUGMENTED, "residual": True, "convolutions": 2}),
    "classifier cnn, blocks, mixup": (
        "classifier",
        "cnn",
        {**CONV, "augmentation": "shift_flip", "mixing": "mixup", "residual": True, "blocks": 2, **AVERAGED},
    ),
    "classifier cnn, cutmix and double softmax": (
        "classifier",
        "cnn",
        {**CONV, "colour_jitter": True, "cutout": True, "mixing": "cutmix", "double_softmax": True},
    ),
    "classifier dense, double softmax": ("classifier", "dense", {**DENSE, "double_softmax": True}),
    "classifier dense, joint": ("classifier", "dense", {**DENSE, "encoder": "joint", "reconstruction_weight": 0.5}),
    "classifier dense, frozen": ("classifier", "dense", {**DENSE, "encoder": "given", "encoder_training": "frozen"}),
}


def config_of(case, **changes):
    family, architecture, settings = CASES[case]
    if family == "classifier" and architecture == "cnn":
        settings = {key: value for key, value in settings.items() if key != "latent_size"}
    given = {"optimizer": "adam", "lr": 3e-3, "weight_decay": 0.0, "schedule": "cosine", "batch_size": 16}
    return example(family, architecture, **{**given, **settings, **changes})


def splits(n=73, classes=3, device="cpu"):
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, classes, (n + 20,), generator=generator)
    images = torch.randint(0, 80, (n + 20, 1, 8, 8), generator=generator, dtype=torch.uint8)
    images[torch.arange(n + 20), :, labels] += 150  # a bright row for each class
    images, labels = images.to(device), labels.to(device)
    return {"train": (images[:n], labels[:n]), "val": (images[n:], labels[n:])}


def trainers(config, seeds=SEEDS, epochs=3, data=None):
    return [Trainer(config, data or splits(), num_classes=3, epochs=epochs, seed=seed) for seed in seeds]


def timeless(metrics):
    return {name: value for name, value in metrics.items() if "second" not in name}


def assert_same_weights(one, other, **tolerance):
    for (name, value), expected in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(value, expected, msg=lambda text, name=name: f"{name}: {text}", **tolerance)


@pytest.fixture
def float64(monkeypatch):
    """Let networks and pixels have double precision."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)  # what networks call before a loss
    for module in (trainer, fused):
        monkeypatch.setattr(module, "to_pixels", lambda images: images.double() / 255)
    yield
    torch.set_default_dtype(before)


DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")],
    ),
]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.usefixtures("float64")
def test_each_member_has_the_numbers_that_it_has_alone(case, device):
    config, data = config_of(case), splits(device=device)
    alone, members = trainers(config, data=data), trainers(config, data=data)
    together = FusedTrainer(members)
    for _ in range(2):
        for got, expected in zip(together.epoch(), [run.epoch() for run in alone], strict=True):
            assert timeless(got) == pytest.approx(timeless(expected), rel=1e-8)
    for member, run in zip(members, alone, strict=True):
        assert next(member.model.parameters()).dtype == torch.float64
        assert_same_weights(member.model, run.model, rtol=1e-8, atol=1e-8)
        assert_same_weights(member.trained, run.trained, rtol=1e-8, atol=1e-8)
        assert member.trained.progress == 1.0
    assert len({timeless(run.epoch())["train_loss"] for run in alone}) == len(SEEDS)


class Layouts(TorchDispatchMode):
    """Remembers the results of the members' convolutions as they lie in memory, below `vmap`."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, operation, types, arguments=(), options=None):
        result = operation(*arguments, **(options or {}))
        if operation is torch.ops.aten.convolution.default and arguments[8] == len(SEEDS):  # its groups
            self.found.append(result)
        return result


def test_the_results_of_mapped_convolutions_are_laid_out_as_batch_norm_needs_them_on_a_gpu():
    fused = FusedTrainer(trainers(config_of("classifier cnn, residual")))
    with Layouts() as layouts:
        fused.epoch()
    assert len(layouts.found) > 10
    assert all(result.is_contiguous() for result in layouts.found)


@pytest.mark.parametrize("case", CASES)
def test_in_single_precision_an_epoch_differs_by_rounding(case):
    config = config_of(case)
    alone, members = trainers(config), trainers(config)
    for got, run in zip(FusedTrainer(members).epoch(), alone, strict=True):
        assert timeless(got) == pytest.approx(timeless(run.epoch()), rel=3e-3)


@pytest.mark.parametrize("case", [case for case in CASES if case.startswith("vae")])
def test_evaluated_together_vaes_have_the_numbers_of_one_alone(case, monkeypatch):
    monkeypatch.setattr(tensors, "EVALUATION_BATCH", 9)  # three images at once together, nine alone
    config = config_of(case)
    members, alone = trainers(config), trainers(config)
    for got, run in zip(FusedTrainer(members)._evaluate(), alone, strict=True):
        assert got == pytest.approx(run.evaluate("val"), rel=1e-5)


@pytest.mark.parametrize("case", ["ae dense", "ae conv", "vae dense, gaussian", "classifier cnn, residual"])
def test_one_step_of_gradient_descent_is_the_same_to_rounding_and_batch_norm_too(case):
    config = config_of(case, optimizer="sgd", momentum=0.0, lr=1e-2, batch_size=73)
    alone, members = trainers(config), trainers(config)
    FusedTrainer(members).train()
    for member, run in zip(members, alone, strict=True):
        run.train()
        assert_same_weights(member.model, run.model, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("optimizer", "decay"), [*((name, "weights") for name in sorted(OPTIMIZERS)), ("adamw", "all"), ("adagrad", "all")]
)
@pytest.mark.usefixtures("float64")
def test_every_optimizer_does_for_each_member_what_its_own_does(optimizer, decay):
    momentum = {"momentum": 0.5} if optimizer in ("sgd", "rmsprop") else {}
    momentum |= {"nesterov": True} if optimizer == "sgd" else {}
    config = config_of("ae conv", optimizer=optimizer, weight_decay=1e-2, decay=decay, lr=1e-2, **momentum)
    alone, members = trainers(config), trainers(config)
    together = FusedTrainer(members)
    for _ in range(2):
        together.epoch()
    for member, run in zip(members, alone, strict=True):
        for _ in range(2):
            expected = run.epoch()
        assert member.evaluate("val")["mse"] == pytest.approx(expected["val_mse"], rel=1e-8)
        got, state = member.state_dict()["optimizer"], run.state_dict()["optimizer"]
        assert got["param_groups"] == state["param_groups"]
        assert len(got["param_groups"]) == (2 if decay == "weights" else 1)
        assert got["state"].keys() == state["state"].keys()
        for number, values in state["state"].items():
            assert got["state"][number].keys() == values.keys()
            for key, value in values.items():
                assert got["state"][number][key].stride() == value.stride()
                torch.testing.assert_close(got["state"][number][key], value, rtol=1e-7, atol=1e-9)


def test_a_member_has_the_same_batches_and_the_same_noise_as_alone():
    config = config_of("ae dense, corrupted and sparse")
    alone, members = trainers(config), trainers(config)
    FusedTrainer(members).epoch()
    for member, run in zip(members, alone, strict=True):
        run.epoch()
        assert torch.equal(member.generators["cpu"].get_state(), run.generators["cpu"].get_state())


@pytest.mark.parametrize("case", ["ae conv", "ae conv, residual and averaged"])
@pytest.mark.parametrize("fused_first", [True, False])
@pytest.mark.usefixtures("float64")
def test_a_checkpoint_of_either_way_is_gone_on_with_in_the_other(fused_first, case, tmp_path):
    config = config_of(case)
    through = [timeless(run.epoch()) for run in trainers(config, SEEDS[:1]) for _ in range(3)]
    first = trainers(config)
    if fused_first:
        FusedTrainer(first).epoch()
    else:
        for run in first:
            run.epoch()
    second = trainers(config, (70, 80, 90))
    for index, run in enumerate(first):
        torch.save(run.state_dict(), tmp_path / f"{index}.pt")
        second[index].load_state_dict(torch.load(tmp_path / f"{index}.pt", weights_only=True))
    together = FusedTrainer(second)
    got = [(second[0].epoch() if fused_first else together.epoch()[0]) for _ in range(2)]
    for values, expected in zip(got, through[1:], strict=True):
        assert timeless(values) == pytest.approx(expected, rel=1e-8)


def test_a_member_that_diverges_fails_alone_and_as_alone():
    config = config_of("ae dense", output_activation="none")
    alone, members = trainers(config), trainers(config)
    for run in (alone[1], members[1]):
        with torch.no_grad():
            run.model.encoder[-1].weight.fill_(float("inf"))
    first, failed, last = FusedTrainer(members).epoch()
    with pytest.raises(NonFiniteLossError) as raised:
        alone[1].epoch()
    assert isinstance(failed, NonFiniteLossError)
    assert str(failed) == str(raised.value)
    for got, run in ((first, alone[0]), (last, alone[2])):
        assert timeless(got) == pytest.approx(timeless(run.epoch()), rel=1e-3)


def test_the_seconds_of_the_members_add_up():
    members = trainers(config_of("ae dense"))
    got = FusedTrainer(members).epoch()
    assert len({metrics["seconds"] for metrics in got}) == 1
    assert got[0]["seconds"] == pytest.approx(got[0]["train_seconds"] + got[0]["val_seconds"])
    assert got[0]["images_per_second"] == pytest.approx(73 / got[0]["train_seconds"])


def test_one_member_can_be_alone():
    config = {**CONFIGS["ae"], **TRAINING}
    (alone,), (member,) = trainers(config, [3]), trainers(config, [3])
    assert timeless(FusedTrainer([member]).epoch()[0]) == pytest.approx(timeless(alone.epoch()), rel=1e-3)


def test_members_at_different_epochs_are_refused():
    members = trainers(config_of("ae dense"))
    members[1].epoch()
    with pytest.raises(ValueError, match="epochs 0, 1, 0 are not the same"):
        FusedTrainer(members)


def test_a_loss_with_a_gradient_in_it_cannot_be_fused_and_says_so():
    members = trainers(config_of("ae dense", contraction=0.1))
    with pytest.raises(RuntimeError, match="requires_grad_"):
        FusedTrainer(members).epoch()


def test_the_members_do_not_share_memory():
    members = trainers(config_of("ae dense"))
    FusedTrainer(members).epoch()
    before = copy.deepcopy(members[0].state_dict())
    members[1].epoch()
    after = members[0].state_dict()
    assert all(torch.equal(value, before["model"][name]) for name, value in after["model"].items())
    steps = [state["step"] for member in members for state in member.optimizer.state.values()]
    assert len({step.data_ptr() for step in steps}) == len(steps)
