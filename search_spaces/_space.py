"""What a search space is, and which configs a study of it runs first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from search_spaces._ask import Ask, AskConfig, AskTrial
from search_spaces._data import DATA, ImageShape
from search_spaces._reported import Reported, reported_for

if TYPE_CHECKING:
    import optuna

_OBJECTIVES = {"ae": ("val_mse", "min"), "vae": ("val_nelbo", "min"), "classifier": ("val_accuracy", "max")}


@dataclass(frozen=True)
class Context:
    """What a space has to know about the study that searches it.

    Attributes:
        image_shape: (channels, height, width) of the study's images, in pixels.
        num_classes: classes of the study's data set.
        reported: whether the reports' own networks take part.
        encoder: of a classifier on an earlier study's encoder, the keys of the config that this encoder
            fixes: its architecture, latent size and layers.
    """

    image_shape: ImageShape
    num_classes: int
    reported: bool = True
    encoder: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Point:
    """A config that a study runs before it samples any.

    Attributes:
        config: the flat config.
        params: what `optuna.Study.enqueue_trial` takes for `suggest` to return that config.
        key: "default", or the key of a reported configuration.
    """

    config: dict[str, Any]
    params: dict[str, Any]
    key: str


class Search(Protocol):
    """What is searched: it asks for a whole config, key after key.

    `reported` are the names of the reports' architectures that take part.
    """

    def __call__(self, ask: Ask, context: Context, reported: Sequence[str]) -> None: ...


@dataclass(frozen=True)
class Space:
    """One family searched on one data set.

    Attributes:
        dataset, family: what it is made for.
        description: one line for a listing.
        trials, epochs: the budget where none is asked for; epochs of a trial's last stage.
        search: what is searched.
        default: the config that one would try first by hand.
        pretrain_epochs: of an encoder's training as an autoencoder, in trials that have this first stage.
    """

    dataset: str
    family: str
    description: str
    trials: int
    epochs: int
    search: Search
    default: Mapping[str, Any]
    pretrain_epochs: int = 0

    @property
    def name(self) -> str:
        """`<dataset>_<family>`, the name of its file."""
        return f"{self.dataset}_{self.family}"

    @property
    def metric(self) -> str:
        """The objective: a validation metric of the family."""
        return _OBJECTIVES[self.family][0]

    @property
    def mode(self) -> str:
        """The objective's direction, "min" or "max"."""
        return _OBJECTIVES[self.family][1]

    @property
    def image_shape(self) -> ImageShape:
        """The data set's own (channels, height, width), in pixels."""
        return DATA[self.dataset].image_shape

    def suggest(self, trial: optuna.Trial, context: Context) -> dict[str, Any]:
        """Return a whole flat config with the values that the trial suggests."""
        return self.answer(AskTrial(trial), context)

    def points(self, context: Context) -> list[Point]:
        """Return the configs to run first: the default, then the reported ones that fit the study, each once.

        On images of another shape a number of the default that lies out of bounds moves to the nearest one.
        On a given encoder there is only the default, with that encoder.
        """
        if context.encoder is not None:
            on_encoder = {**self.default, **context.encoder, "encoder": "given", "encoder_training": "fine_tuned"}
            return [self._point("default", on_encoder, context, clip=True)]
        points = [self._point("default", self.default, context, clip=context.image_shape != self.image_shape)]
        for key, entry in self._reported(context).items():
            if all(entry.config != point.config for point in points):
                points.append(self._point(key, entry.config, context))
        return points

    def _point(self, key: str, config: Mapping[str, Any], context: Context, clip: bool = False) -> Point:
        ask = AskConfig(config, clip=clip)
        try:
            resolved = self.answer(ask, context)
        except (KeyError, ValueError) as error:
            raise ValueError(f"space {self.name} cannot express {key}: {error}") from error
        if not clip and resolved != config:
            raise ValueError(f"space {self.name} cannot express {key}: asked {dict(config)}, got {resolved}")
        return Point(config=resolved, params=ask.params, key=key)

    def answer(self, ask: Ask, context: Context) -> dict[str, Any]:
        """Ask `ask` for every value, and return the whole flat config."""
        ask.fix(family=self.family)
        architectures = (entry.config["architecture"] for entry in self._reported(context).values())
        self.search(ask, context, tuple(dict.fromkeys(architectures)))
        return ask.config

    def _reported(self, context: Context) -> dict[str, Reported]:
        return reported_for(self.name, context.image_shape) if context.reported else {}
