"""The stages of a run: where its config asks for it, an autoencoder is trained first and lends its encoder.

The last stage is what a study ranks and what `--epochs` is about; the first stage has an optimizer of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import Tensor

import models
from study.data.tensors import TensorSplit
from study.record.events import Metrics
from study.training.execution import PLAIN, Execution
from study.training.trainer import RANDOM, Initial, Trainer


@dataclass(frozen=True)
class Budget:
    """Epochs of the last stage, and of the first one where there is one."""

    epochs: int
    pretrain_epochs: int = 0


class StagedTraining:
    """One run, from its first stage to its last; a run of one stage is a `Trainer` and nothing more.

    Args:
        config: The flat config of the last stage's network.
        data: The splits "train" and "val", on the device that training runs on.
        num_classes: The number of classes of the labels.
        budget: The epochs of the stages.
        seed: Seeds each stage.
        initial: What the first network starts from.
        execution: How the arithmetic of each stage is carried out.

    Raises:
        models.ConfigError: the config cannot be built for these images.
        ValueError: the first stage has no epochs though the config asks for it, or the other way round.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        data: Mapping[str, TensorSplit],
        *,
        num_classes: int,
        budget: Budget,
        seed: int,
        initial: Initial = RANDOM,
        execution: Execution = PLAIN,
    ) -> None:
        first = models.pretraining_config(config)
        if (first is not None) != (budget.pretrain_epochs > 0):
            raise ValueError(f"{budget.pretrain_epochs} epochs for a first stage of encoder {config.get('encoder')!r}")
        self.pretraining: list[Metrics] = []
        """The metrics of the first stage's epochs so far."""
        self.watch: Callable[[models.Network, int], None] = lambda model, epoch: None
        """Called with the first stage's network and the number of its epoch, after each of them."""
        self.trainer: Trainer
        """What trains the present stage."""
        self._pretrain_epochs = budget.pretrain_epochs

        trainer = partial(Trainer, num_classes=num_classes, seed=seed, execution=execution)

        def last(encoder: Mapping[str, Tensor] | None) -> Trainer:
            return trainer(config, data, epochs=budget.epochs, initial=replace(initial, encoder=encoder))

        self._last = last
        if first is None:
            self.trainer = last(initial.encoder)
        else:
            self.trainer = trainer(first, data, epochs=budget.pretrain_epochs, initial=Initial(initial.axes))

    @property
    def pretrained(self) -> bool:
        """Whether the first stage, if there is one, is over."""
        return len(self.pretraining) == self._pretrain_epochs

    @property
    def model(self) -> models.Network:
        """The network of the present stage."""
        return self.trainer.model

    @property
    def epochs_done(self) -> int:
        """The epochs of the last stage that are done."""
        return self.trainer.epochs_done if self.pretrained else 0

    def pretrain(self, after_epoch: Callable[[], None]) -> None:
        """Go through what is left of the first stage, and call `after_epoch` after each of its epochs."""
        while not self.pretrained:
            self.add_pretraining(self.trainer.epoch())
            after_epoch()

    def add_pretraining(self, metrics: Metrics) -> None:
        """Add an epoch of the first stage, which `trainer` has trained; after the last one begin the next stage."""
        self.pretraining.append(metrics)
        self.watch(self.trainer.model, len(self.pretraining))
        if self.pretrained:
            self.trainer = self._last(self.trainer.model.encoder_state())

    def epoch(self) -> Metrics:
        """Train an epoch of the last stage and return its metrics, see `Trainer.epoch`."""
        if not self.pretrained:
            raise RuntimeError("the first stage comes first: call pretrain()")
        return self.trainer.epoch()

    def state_dict(self) -> dict[str, Any]:
        """Return everything that going on from here needs, as `torch.load(weights_only=True)` can read it."""
        return {"pretraining": list(self.pretraining), **self.trainer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`, in the stage in which it was taken."""
        self.pretraining = list(state["pretraining"])
        if self._pretrain_epochs and self.pretrained:
            self.trainer = self._last(None)  # the state has the encoder that the first stage made
        self.trainer.load_state_dict(state)
