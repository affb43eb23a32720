"""Several trainings of one config taken in the same steps: their tensors are stacked, and every kernel serves them all.

A small network leaves most of a GPU idle, and its steps take as long as it takes to launch them. The stacked
networks of R seeds need one launch where R networks one after the other need R (Wang et al., "HFTA: Horizontally fused
training array", MLSys 2021). Here PyTorch's `torch.func.vmap` maps the loss over the members' parameters and buffers.

The members are independent, so the gradient of the sum of their losses is, for each, that of its own; and the
optimizers update each number by itself, so that one over the stacked parameters does for each what its own would do.
"""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from models import Network, noise
from models.noise import Draw
from study.data.tensors import evaluation_batches, positions, to_pixels
from study.record.events import Metrics
from study.training.trainer import NonFiniteLossError, Trainer, blend, build_optimizer, tensors

EpochResult = Metrics | NonFiniteLossError  # of a member: its metrics, or why it failed
Tensors = dict[str, Tensor]

_SHARED_STATE = "step"  # what optimizers count in one number for each parameter, whatever its shape


class FusedTrainer:
    """Trainers of one config, on the same data and at the same epoch, that are trained together.

    After each epoch every member is what it would have been alone, up to the rounding of sums that are taken in another
    order: its network, optimizer, schedule and generators, hence its checkpoint. It has the same batches and the same
    noise, drawn from its own generators by the same calls.

    Args:
        members: The trainers, one or more.

    Raises:
        ValueError: they are not at the same epoch.
        RuntimeError: their steps are compiled, which is done for each alone.
    """

    def __init__(self, members: Sequence[Trainer]) -> None:
        if members[0].execution.compile:
            raise RuntimeError("compiled steps (--compile) are of one network each")
        if len({member.epochs_done for member in members}) != 1:
            raise ValueError(f"epochs {', '.join(str(member.epochs_done) for member in members)} are not the same")
        self.members = list(members)
        self._draws: dict[int, list[Draw]] = {}  # by batch size, what a step asks for

    def epoch(self) -> list[EpochResult]:
        """Train and evaluate an epoch, and return each member's metrics as `Trainer.epoch` does, or its error.

        A member's seconds are its share: those of all, divided by their number. So the seconds of the runs of a study
        add up to the time that it took, and `images_per_second` is what each image has cost.

        Raises:
            RuntimeError: the config's loss or evaluation cannot be mapped; the members are of no more use.
        """
        start = time.perf_counter()
        trained = self.train()
        middle = time.perf_counter()
        validated = self._evaluate()
        share = (middle - start) / len(self.members), (time.perf_counter() - middle) / len(self.members)
        results: list[EpochResult] = []
        for member, of_training, of_validation in zip(self.members, trained, validated, strict=True):
            try:
                results.append(member.end_epoch(of_training, of_validation, *share))
            except NonFiniteLossError as error:
                results.append(error)
        return results

    def train(self, most: int | None = None) -> list[dict[str, float]]:
        """Train on the batches of an epoch, at most `most` of them; return each member's means of training metrics."""
        images, labels = self.members[0].data["train"]
        for member in self.members:
            member.trained.train()
        losses = [_TrainingLoss(member.trained) for member in self.members]
        parameters, buffers = _stacked(losses)
        averaged = [_TrainingLoss(member.model) for member in self.members if member.averages]
        averages: Tensors = {}
        for part in _stacked(averaged) if averaged else ():
            averages |= part
        optimizer = self._stacked_optimizer(losses, parameters)
        sums: Tensors = {}
        seen = 0
        with _quietly():
            for batch in islice(zip(*(member.batches() for member in self.members), strict=True), most):
                which = torch.stack(batch)  # (members, batch)
                self.members[0].trained.progress = self.members[0].progress(seen)
                loss, metrics = self._losses(losses[0], parameters, buffers, to_pixels(images[which]), labels[which])
                optimizer.zero_grad(set_to_none=True)
                loss.sum().backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                if averages:
                    # all have taken as many steps
                    weight, *_ = [member.next_weight() for member in self.members]
                    blend(averages, {**parameters, **buffers}, weight)
                seen += which.shape[1]
                for name, value in {"loss": loss.detach(), **metrics}.items():
                    sums[name] = sums.get(name, 0.0) + value * which.shape[1]
        del self.members[0].trained.progress  # as in Trainer.train
        self._hand_back(losses, parameters, buffers, optimizer)
        for index, network in enumerate(averaged):
            blend(tensors(network), {name: value[index] for name, value in averages.items()}, weight=1.0)
        means = {name: (total / seen).tolist() for name, total in sums.items()}
        return [{name: values[index] for name, values in means.items()} for index in range(len(self.members))]

    def _losses(
        self, first: _TrainingLoss, parameters: Tensors, buffers: Tensors, pixels: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensors]:
        """Return the members' losses (members,) and their parts for the record, and update their buffers.

        Random numbers cannot be drawn inside of `vmap` from several generators, so they are drawn before and passed in.
        """
        size = labels.shape[1]
        if size not in self._draws:
            self._draws[size] = _draws(first, pixels[0], labels[0])
        draws = self._draws[size]
        generators = [member.generators[member.device.type] for member in self.members]
        drawn = [[draw(generator) for draw in draws] for generator in generators]
        numbers = tuple(torch.stack(of_members) for of_members in zip(*drawn, strict=True))

        def of_member(
            own: Tensors, state: Tensors, images: Tensor, classes: Tensor, given: Sequence[Tensor]
        ) -> tuple[Tensor, Tensors]:
            with noise.played_back(zip(draws, given, strict=True)):
                losses: tuple[Tensor, Tensors] = functional_call(first, (own, state), (images, classes))
                return losses

        with self.members[0].execution.autocast(self.members[0].device):
            return vmap(of_member)(parameters, buffers, pixels, labels, numbers)

    def _stacked_optimizer(self, losses: Sequence[nn.Module], parameters: Tensors) -> torch.optim.Optimizer:
        """Return an optimizer of the stacked parameters in the state in which the members' own are."""
        first = self.members[0]
        optimizer = build_optimizer(parameters.values(), first.config, stacked=True)  # type: ignore[arg-type]
        for group, single in zip(optimizer.param_groups, first.optimizer.param_groups, strict=True):
            group["lr"] = single["lr"]
        for name, singles in _by_name(losses):
            states = [
                member.optimizer.state.get(single, {}) for member, single in zip(self.members, singles, strict=True)
            ]
            if states[0]:
                optimizer.state[parameters[name]] = {
                    key: states[0][key].clone()
                    if key == _SHARED_STATE
                    else _plain(torch.stack([s[key] for s in states]))
                    for key in states[0]
                }
        return optimizer

    @torch.no_grad()
    def _hand_back(
        self, losses: Sequence[nn.Module], parameters: Tensors, buffers: Tensors, optimizer: torch.optim.Optimizer
    ) -> None:
        """Give each member its network and the state of its optimizer."""
        for name, singles in _by_name(losses):
            state = optimizer.state.get(parameters[name], {})
            for index, (member, single) in enumerate(zip(self.members, singles, strict=True)):
                single.copy_(parameters[name][index])
                if state:
                    member.optimizer.state[single] = {
                        # laid out in memory as the parameter is, which an optimizer in one kernel goes by
                        key: value.clone() if key == _SHARED_STATE else torch.empty_like(single).copy_(value[index])
                        for key, value in state.items()
                    }
        for index, loss in enumerate(losses):
            for name, buffer in loss.named_buffers():
                buffer.copy_(buffers[name][index])
        for member in self.members:
            # Without gradients this moves nothing; a schedule warns where its optimizer has never stepped.
            member.optimizer.zero_grad(set_to_none=True)
            member.optimizer.step()

    @torch.no_grad()
    def _evaluate(self) -> list[dict[str, float]]:
        """Return each member's metrics of the validation split, in evaluation mode."""
        images, labels = self.members[0].data["val"]
        if not len(images):
            return [{} for _ in self.members]
        for member in self.members:
            member.model.eval()
        evaluations = [_PerImage(member.model) for member in self.members]
        state = _stacked(evaluations)
        # The noise of an evaluation depends on the image alone: the same for all.
        per_image = vmap(
            lambda own, pixels, classes, where: functional_call(evaluations[0], own, (pixels, classes, where)),
            in_dims=(0, None, None, None),
        )
        indices = positions(images)
        parts: dict[str, list[Tensor]] = {}
        with _quietly():
            for batch in evaluation_batches(images, len(self.members)):
                with self.members[0].execution.autocast(self.members[0].device):
                    evaluated = per_image(state, to_pixels(images[batch]), labels[batch], indices[batch])
                for name, values in evaluated.items():
                    parts.setdefault(name, []).append(values.double() if values.is_floating_point() else values)
        whole = {name: torch.cat(values, dim=1) for name, values in parts.items()}
        return [
            member.model.metrics({name: values[index] for name, values in whole.items()})
            for index, member in enumerate(self.members)
        ]


class _TrainingLoss(nn.Module):
    """A network whose `forward` is its training loss: what `functional_call` can call."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensors]:
        return self.network.training_loss(images, labels)


class _PerImage(nn.Module):
    """A network whose `forward` is its values per image."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, labels: Tensor, indices: Tensor) -> Tensors:
        return self.network.per_image(images, labels, indices)


def _stacked(modules: Sequence[nn.Module]) -> tuple[Tensors, Tensors]:
    """Return the parameters and buffers of modules of one kind, each with the modules as its first dimension."""
    parameters, buffers = stack_module_state(list(modules))
    plain = {name: _plain(value.detach()).requires_grad_(value.requires_grad) for name, value in parameters.items()}
    return plain, {name: _plain(value) for name, value in buffers.items()}


def _plain(stacked: Tensor) -> Tensor:
    """Return a stack of the members' tensors with its dimensions in their order in memory.

    With the weights' channels last, a convolution's results have them last on a GPU, and batch norm asks there for the
    layout of what it is given, which `vmap` does not know: no network with both could be trained together.
    """
    return stacked.contiguous()


def _draws(loss: nn.Module, pixels: Tensor, labels: Tensor) -> list[Draw]:
    """Return what a step on a batch of this size asks for, found out on a copy."""
    with noise.recorded(torch.Generator(pixels.device)) as draws:
        copy.deepcopy(loss)(pixels, labels)
    return draws


def _by_name(losses: Sequence[nn.Module]) -> Iterator[tuple[str, list[nn.Parameter]]]:
    """Yield the name of each parameter and the members' own."""
    for named in zip(*(loss.named_parameters() for loss in losses), strict=True):
        yield named[0][0], [single for _, single in named]


@contextmanager
def _quietly() -> Iterator[None]:
    """Do not warn of an operation without a rule for `vmap`: it is done member by member, slower and right."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "There is a performance drop", UserWarning)
        yield
