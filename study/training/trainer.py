"""The plain training loop: PyTorch and nothing else, as a notebook can call it.

data = {"train": (images, labels), "val": (images, labels)}      # uint8 (n, c, h, w) and int64 (n,)
trainer = Trainer(config, data, num_classes=10, epochs=30, seed=0)
for _ in range(30):
    print(trainer.epoch())
"""

from __future__ import annotations

import copy
import hashlib
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from torch.optim.lr_scheduler import LambdaLR

import models
from models import Network, noise
from study.baselines.baseline import SEARCHED, PcaAxes, fit_axes
from study.data.tensors import TensorSplit, evaluation_batches, positions, to_pixels
from study.training.execution import PLAIN, Execution

# Each takes (parameters or groups of them, config). `fused` does the whole update in one kernel where PyTorch has one.
Parameters = list[nn.Parameter] | list[dict[str, Any]]
OPTIMIZERS: Mapping[str, Callable[[Parameters, Mapping[str, Any]], Optimizer]] = {
    "adam": lambda p, c: Adam(p, lr=c["lr"], weight_decay=c["weight_decay"], fused=True),
    "adamw": lambda p, c: AdamW(p, lr=c["lr"], weight_decay=c["weight_decay"], fused=True),
    "sgd": lambda p, c: SGD(
        p,
        lr=c["lr"],
        weight_decay=c["weight_decay"],
        momentum=c["momentum"],
        nesterov=c["nesterov"] and c["momentum"] > 0,  # without momentum both are the same step
        fused=True,
    ),
    # Its kernel is one for CPUs alone. What is not in one kernel is, by default, one operation on all parameters on a
    # GPU, and parameter by parameter on a CPU, where the other way only needs more memory.
    "adagrad": lambda p, c: Adagrad(p, lr=c["lr"], weight_decay=c["weight_decay"], fused=_on_cpu(p) or None),
    "rmsprop": lambda p, c: RMSprop(p, lr=c["lr"], weight_decay=c["weight_decay"], momentum=c["momentum"]),
}


def _on_cpu(parameters: Parameters) -> bool:
    """Return whether parameters, or those of groups, are in the machine's memory."""
    first = parameters[0]
    return (first["params"][0] if isinstance(first, dict) else first).device.type == "cpu"


def _one_cycle(done: float) -> float:
    rising, first, last = 0.3, 1 / 25, 1 / 25e4
    start, end, way = (first, 1.0, done / rising) if done < rising else (1.0, last, (done - rising) / (1 - rising))
    return end + (start - end) * (1 + math.cos(math.pi * way)) / 2


# Each maps the fraction of the epochs that are done, in [0, 1), to a factor of the learning rate.
SCHEDULES: Mapping[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    # Loshchilov & Hutter 2017 (SGDR), eq. 5, one period, to 1 % of the initial rate.
    "cosine": lambda done: 0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2,
    # Smith & Topin 2018, "Super-convergence", the rate alone: up from 1/25 in the first 30 %, down to 1/10,000 of that.
    "one_cycle": _one_cycle,
}


_SHORT = 9.0  # of n steps an average counts the last with 9 / (n + 10) at least, as most moving averages do at first
ORDER = "order"
"""The generator of the order of the images among those of a run; the one of its noise has the name of its device."""


class NonFiniteLossError(RuntimeError):
    """The loss became NaN or infinite; the run has failed and going on is of no use."""


@dataclass(frozen=True, eq=False)
class Initial:
    """What a network starts from, besides random weights.

    Attributes:
        axes: PCA of the training images; a network that starts from PCA fits it where it is not given.
        encoder: The state of a trained encoder that a classifier starts from.
    """

    axes: PcaAxes | None = None
    encoder: Mapping[str, Tensor] | None = None


RANDOM = Initial()


def start(model: Network, config: Mapping[str, Any], images: Tensor, axes: PcaAxes | None) -> None:
    """Give a fresh network that starts from PCA its mean and axes.

    These are fitted to `images` where there are none, and where they end at `SEARCHED` and the code does not.
    """
    if models.starts_from_pca(config):
        if axes is None or config["latent_size"] > len(axes[1]) == SEARCHED:
            axes = fit_axes(images, config["latent_size"])
        mean, components = axes
        model.start_from_pca(mean, components[: config["latent_size"]])


class Trainer:
    """One network in training: its optimizer, schedule, data and generators.

    What is random in it depends on the seed alone, not on what else the process draws.

    Args:
        config: The flat config, model and training keys together.
        data: The splits "train" and "val", both on the device that training runs on; "val" may be empty.
        num_classes: The number of classes of the labels.
        epochs: The budget that the learning-rate schedule is laid over, in epochs.
        seed: Seeds the initial weights, the order of the batches and the noise.
        initial: What the network starts from.
        execution: How the arithmetic is carried out.

    Raises:
        models.ConfigError: the config cannot be built for these images.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        data: Mapping[str, TensorSplit],
        *,
        num_classes: int,
        epochs: int,
        seed: int,
        initial: Initial = RANDOM,
        execution: Execution = PLAIN,
    ) -> None:
        self.config = models.completed(config)
        self.data = data
        images = data["train"][0]
        self.device = images.device
        torch.manual_seed(seed)
        channels, height, width = images.shape[1:]
        self.trained = models.build(self.config, (channels, height, width), num_classes)
        """The network that the steps are taken on."""
        start(self.trained, self.config, images, initial.axes)
        if initial.encoder is not None:
            self.trained.load_encoder(initial.encoder)
        self.generators = _generators(self.device, seed)
        self.trained.to(self.device)
        # Convolutions are faster with the channels last, on a CPU too; dense layers would only copy them back.
        convolutional = any(weight.dim() == 4 for weight in self.trained.parameters())
        self._memory_format = torch.channels_last if convolutional else torch.contiguous_format
        self.trained.to(memory_format=self._memory_format)
        self.averages = self.config["weight_averaging"] == "ema"
        self.model = copy.deepcopy(self.trained) if self.averages else self.trained
        """The network that is evaluated and kept: the trained one itself, or the moving average of its weights."""
        self._averaged_steps = 0
        self.optimizer = build_optimizer(self.trained.parameters(), self.config)
        self._schedule = build_schedule(self.optimizer, self.config, epochs)
        self._epochs = epochs
        self.epochs_done = 0
        self.execution = execution
        self._compiled_loss = execution.compiled(self.trained.training_loss, self.device) if execution.compile else None
        self._compiled: set[int] = set()  # the sizes of the batches that there is code for

    def epoch(self) -> dict[str, float]:
        """Train one epoch, evaluate on the validation split, and return the metrics of both.

        Returns:
            `train_loss` and the other training metrics (averaged over the epoch, in training mode), `val_*`,
            `lr`, `train_seconds`, `val_seconds`, `seconds` and `images_per_second` of training. Where steps are
            compiled, `compile_seconds` too: of the first step with each size of batch, within `train_seconds`.

        Raises:
            NonFiniteLossError: a loss or a validation metric is NaN or infinite.
        """
        start = time.perf_counter()
        trained = self.train()
        middle = time.perf_counter()
        validated = self.evaluate("val")
        return self.end_epoch(trained, validated, middle - start, time.perf_counter() - middle)

    def end_epoch(
        self, trained: Mapping[str, float], validated: Mapping[str, float], train_seconds: float, val_seconds: float
    ) -> dict[str, float]:
        """Count an epoch of which these are the metrics, and return them as `epoch` does.

        Raises:
            NonFiniteLossError: one of them is NaN or infinite.
        """
        lr = self.optimizer.param_groups[0]["lr"]
        self.epochs_done += 1
        self._schedule.step()
        metrics = {f"train_{name}": value for name, value in trained.items()} | {
            f"val_{name}": value for name, value in validated.items()
        }
        broken = [name for name, value in metrics.items() if not math.isfinite(value)]
        if broken:
            raise NonFiniteLossError(f"{broken[0]} is {metrics[broken[0]]} in epoch {self.epochs_done}")
        compiling = {"compile_seconds": self._compile_seconds} if self.execution.compile else {}
        return metrics | {
            **compiling,
            "lr": lr,
            "train_seconds": train_seconds,
            "val_seconds": val_seconds,
            "seconds": train_seconds + val_seconds,
            "images_per_second": len(self.data["train"][0]) / train_seconds,
        }

    def evaluate(self, split: str) -> dict[str, float]:
        """Return the metrics of a split, in evaluation mode; none where it has no images."""
        if not len(self.data[split][0]):
            return {}
        return self.model.metrics(per_image(self.model, *self.data[split], self.execution))

    def state_dict(self) -> dict[str, Any]:
        """Return everything that going on from here needs, as `torch.load(weights_only=True)` can read it."""
        averaging = {"trained": self.trained.state_dict(), "averaged_steps": self._averaged_steps}
        return {
            "epochs_done": self.epochs_done,
            "model": self.model.state_dict(),
            **(averaging if self.averages else {}),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "random": {name: generator.get_state() for name, generator in self.generators.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`: on the CPU, the same numbers as without the interruption."""
        self.model.load_state_dict(state["model"])
        if self.averages:
            self.trained.load_state_dict(state["trained"])
            self._averaged_steps = state["averaged_steps"]
        self.optimizer.load_state_dict(_in_kernels_of(self.optimizer, state["optimizer"]))
        self._schedule.load_state_dict(state["schedule"])
        self.epochs_done = state["epochs_done"]
        random = state["random"]
        if ORDER not in random:  # an earlier version drew the order from "cpu", and on a CPU the noise as well
            random = {ORDER: random["cpu"], **{name: random[name] for name in random if name != "cpu"}}
        for name, generator in self.generators.items():
            if name in random:  # not where the run goes on on another kind of device
                generator.set_state(random[name].cpu())

    def train(self, most: int | None = None) -> dict[str, float]:
        """Train on the batches of an epoch, at most `most` of them, and return the means of the training metrics."""
        images, labels = self.data["train"]
        self.trained.train()
        training_loss, own = self._compiled_loss or self.trained.training_loss, self.generators[self.device.type]
        average, current = (tensors(model) for model in (self.model, self.trained))
        sums: dict[str, Tensor] = {}
        seen = 0
        self._compile_seconds = 0.0
        for batch in islice(self.batches(), most):
            start = time.perf_counter()
            pixels = self._pixels(images.index_select(0, batch))  # a third faster than images[batch]
            self.trained.progress = self.progress(seen)
            with noise.drawn_from(own), self.execution.autocast(self.device), self.execution.strict():
                loss, metrics = training_loss(pixels, labels[batch])
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            if self.averages:
                blend(average, current, self.next_weight())
            if self.execution.compile and len(batch) not in self._compiled:
                loss.item()  # waits for the device, which compiled meanwhile
                self._compiled.add(len(batch))
                self._compile_seconds += time.perf_counter() - start
            seen += len(batch)
            # Summed on the device and read once: asking for a number waits for all the work before it.
            for name, value in {"loss": loss.detach(), **metrics}.items():
                sums[name] = sums.get(name, 0.0) + value * len(batch)
        del self.trained.progress  # back to that of a network outside of training
        return dict(zip(sums, (torch.stack(list(sums.values())) / seen).tolist(), strict=True))

    def next_weight(self) -> float:
        """Count a step, and return the weight of the network after it in the moving average, in (0, 1).

        A step of n that are averaged so far is weighted by 1 - exp(-1 / (`averaged_epochs` · steps of an epoch)), so
        that the average is as long whatever the batch size, and by 9 / (n + 10) where that is more: else the average
        would be of the first, random weights for long.
        """
        steps = math.ceil(len(self.data["train"][0]) / self.config["batch_size"])
        self._averaged_steps += 1
        return max(-math.expm1(-1 / (self.config["averaged_epochs"] * steps)), _SHORT / (self._averaged_steps + 10))

    def batches(self) -> Iterator[Tensor]:
        """Yield the indices of an epoch's batches; not a short last one of one image, where batch norm is undefined."""
        n, size = len(self.data["train"][0]), self.config["batch_size"]
        # To the device at once: a copy of each batch's indices would wait for the device each time.
        order = torch.randperm(n, generator=self.generators[ORDER]).to(self.device)
        for batch in torch.split(order, size):
            if len(batch) > 1 or size == 1 or n == 1:
                yield batch

    def progress(self, seen: int) -> Tensor:
        """Return the fraction of the training that is done, `seen` images into an epoch, (), on the device."""
        fraction = (self.epochs_done + seen / len(self.data["train"][0])) / self._epochs
        return torch.full((), fraction, device=self.device)

    def _pixels(self, images: Tensor) -> Tensor:
        return to_pixels(images).contiguous(memory_format=self._memory_format)


def tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters and buffers of a network, by name; they stay the same tensors while it is trained."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


@torch.no_grad()
def blend(average: Mapping[str, Tensor], current: Mapping[str, Tensor], weight: float) -> None:
    """Move each tensor of `average` towards that of `current` by `weight` of the way; what is counted is copied."""
    for name, value in average.items():
        if value.is_floating_point():
            value.lerp_(current[name], weight)
        else:
            value.copy_(current[name])


@torch.inference_mode()
def per_image(model: Network, images: Tensor, labels: Tensor, execution: Execution = PLAIN) -> dict[str, Tensor]:
    """Return what the metrics are made of, for every image, (n, ...), in evaluation mode; floats in float64.

    Args:
        model: A network of any family, on the device of the images.
        images: uint8 (n, channels, height, width), a whole split: an image's noise depends on its position.
        labels: int64 (n,).
        execution: Its precision; by default float32, that of the network as it is saved.
    """
    model.eval()
    parts: dict[str, list[Tensor]] = {}
    indices = positions(images)
    for batch in evaluation_batches(images):
        with execution.autocast(images.device):
            evaluated = model.per_image(to_pixels(images[batch]), labels[batch], indices[batch])
        for name, values in evaluated.items():
            parts.setdefault(name, []).append(values.double() if values.is_floating_point() else values)
    return {name: torch.cat(values) for name, values in parts.items()}


def build_optimizer(
    parameters: Iterable[nn.Parameter], config: Mapping[str, Any], *, stacked: bool = False
) -> Optimizer:
    """Return the optimizer that `config` names, over those of `parameters` that are not frozen.

    With `decay` "weights" it has two groups, and L2 acts on the first alone: on the weights of layers, which have two
    dimensions or more, and not on biases, the gains of norms and a likelihood's log σ.

    Args:
        parameters: Of a network, or stacked ones of several.
        config: A complete one (`models.completed`), of which the training keys are read.
        stacked: Whether they have a first dimension for the networks, which does not count.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    build = OPTIMIZERS[config["optimizer"]]
    if config["decay"] == "all":
        return build(trained, config)
    least = 3 if stacked else 2
    weights: dict[str, Any] = {"params": [parameter for parameter in trained if parameter.dim() >= least]}
    others: dict[str, Any] = {
        "params": [parameter for parameter in trained if parameter.dim() < least],
        "weight_decay": 0.0,
    }
    return build([group for group in (weights, others) if group["params"]], config)


def _in_kernels_of(optimizer: Optimizer, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return an optimizer's state with the kernels of `optimizer`: another device's may not exist on this one."""
    groups = [
        {**saved, **{key: own[key] for key in ("foreach", "fused") if key in own}}
        for saved, own in zip(state["param_groups"], optimizer.param_groups, strict=True)
    ]
    return {**state, "param_groups": groups}


def build_schedule(optimizer: Optimizer, config: Mapping[str, Any], epochs: int) -> LambdaLR:
    """Return the schedule that `config` names; it is stepped once after each of `epochs` epochs."""
    factor = SCHEDULES[config["schedule"]]
    return LambdaLR(optimizer, lambda epoch: factor(epoch / epochs))


def _generators(device: torch.device, seed: int) -> dict[str, torch.Generator]:
    """Return a generator on `device` for noise, by its type, and one on the CPU for the order of the images.

    Each is seeded by the run's seed and its own name alone, so that networks of any size see the same order: seeds pair
    them. Nor are their numbers those that the initial weights are made of.
    """
    derived = {
        name: int.from_bytes(hashlib.sha256(f"{name} {seed}".encode()).digest()[:7]) for name in ("order", "noise")
    }
    return {
        ORDER: torch.Generator().manual_seed(derived["order"]),
        device.type: torch.Generator(device).manual_seed(derived["noise"]),
    }
