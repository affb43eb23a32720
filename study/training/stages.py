"""The stages of a run: where its config asks for it, an autoencoder is trained first and lends its encoder.

The last stage is what a study ranks and what `--epochs` is about; the first stage has an optimizer of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import models
from study.baselines.baseline import PcaAxes
from study.data.tensors import TensorSplit
from study.training.execution import PLAIN, Execution
from study.training.trainer import Trainer


class StagedTraining:
    """One run, from its first stage to its last; a run of one stage is a `Trainer` and nothing more.

    Args:
        config: The flat config of the last stage's network.
        data: The splits "train" and "val", on the device that training runs on.
        num_classes: The number of classes of the labels.
        epochs: The budget of the last stage.
        pretrain_epochs: The budget of the first stage; 0 for a config without one.
        seed: Seeds each stage.
        axes: PCA of the training images, for networks that start from it.
        encoder: The state of an earlier study's encoder, for a classifier on a given one.
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
        epochs: int,
        pretrain_epochs: int = 0,
        seed: int,
        axes: PcaAxes | None = None,
        encoder: Mapping[str, Any] | None = None,
        execution: Execution = PLAIN,
    ) -> None:
        first = models.pretraining_config(config)
        if (first is not None) != (pretrain_epochs > 0):
            raise ValueError(f"{pretrain_epochs} epochs for a first stage of encoder {config.get('encoder')!r}")
        self.pretraining: list[dict[str, float]] = []
        """The metrics of the first stage's epochs so far."""
        self.trainer: Trainer
        """What trains the present stage."""
        self._pretrain_epochs = pretrain_epochs

        trainer = partial(Trainer, num_classes=num_classes, seed=seed, axes=axes, execution=execution)

        def last(state: Mapping[str, Any] | None) -> Trainer:
            return trainer(config, data, epochs=epochs, encoder=state)

        self._last = last
        if first is None:
            self.trainer = last(encoder)
        else:
            self.trainer = trainer(first, data, epochs=pretrain_epochs)

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
            self.took(self.trainer.epoch())
            after_epoch()

    def took(self, metrics: dict[str, float]) -> None:
        """Take note of an epoch of the first stage, that `trainer` has trained; after the last one the next begins."""
        self.pretraining.append(metrics)
        if self.pretrained:
            self.trainer = self._last(self.trainer.model.encoder_state())

    def epoch(self) -> dict[str, float]:
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
