"""What a search space is, and which configs a study of it runs first."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from search_spaces._ask import Ask, AskConfig, AskTrial, Bounds, Scaled
from search_spaces._dataset import DatasetSpec, ImageShape
from search_spaces._families import FAMILY_FACTS, FamilyFacts
from search_spaces._layers import general
from search_spaces._reported import Reported

if TYPE_CHECKING:
    import optuna

_DRAWS = 500  # of an outline: enough to come to every conditional parameter, in a few hundredths of a second
_SIZES = tuple(2**power for power in range(1, 14))  # of codes, at which a default is given


@dataclass(frozen=True)
class Context:
    """What a space has to know about the study that searches it.

    Attributes:
        image_shape: (channels, height, width) of the study's images, in pixels.
        num_classes: classes of the study's data set.
        reported: whether the reports' own networks take part.
        encoder: of a classifier on an earlier study's encoder, the keys of the config that this encoder
            fixes: its architecture, latent size and layers.
        latent_size: the numbers in the code of every network, None where they are searched.
        every_size: whether the best network of every size of code is looked for, not of one alone.
    """

    image_shape: ImageShape
    num_classes: int
    reported: bool = True
    encoder: Mapping[str, Any] | None = None
    latent_size: int | None = None
    every_size: bool = False


@dataclass(frozen=True)
class Point:
    """A config that a study runs before it samples any.

    Attributes:
        config: the flat config.
        params: what `optuna.Study.enqueue_trial` takes for `suggest` to return that config.
        key: "default", "default z=N" for it with a code of N numbers, or the key of a reported configuration.
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
        data: the data set that it is made for.
        family: of its networks.
        description: one line for a listing.
        trials, epochs: the budget where none is asked for; epochs of a trial's last stage.
        search: what is searched.
        default: the config that one would try first by hand.
        pretrain_epochs: of an encoder's training as an autoencoder, in trials that have this first stage.
        reported: what the reports ran on its data, by key; those of the space itself are its points.
        facts: of a family of one's own, which `FAMILY_FACTS` does not know.
        own_name: of a space in a person's own file, the file's name, by which a study calls it.
    """

    data: DatasetSpec
    family: str
    description: str
    trials: int
    epochs: int
    search: Search
    default: Mapping[str, Any]
    pretrain_epochs: int = 0
    reported: Mapping[str, Reported] = field(default_factory=dict)
    facts: FamilyFacts | None = None
    own_name: str = ""

    @property
    def dataset(self) -> str:
        """The data set's name."""
        return self.data.name

    @property
    def name(self) -> str:
        """`<data set>_<family>`, or the name of a person's own file."""
        return self.own_name or f"{self.dataset}_{self.family}"

    @property
    def family_facts(self) -> FamilyFacts:
        """What it is searched for and compared with."""
        return self.facts or FAMILY_FACTS[self.family]

    @property
    def metric(self) -> str:
        """The objective, a validation metric of the family; `study.record.metrics` knows its direction."""
        return self.family_facts.metric

    @property
    def image_shape(self) -> ImageShape:
        """The data set's own (channels, height, width), in pixels."""
        return self.data.image_shape

    def suggest(self, trial: optuna.Trial, context: Context) -> dict[str, Any]:
        """Return a whole flat config with the values that the trial suggests."""
        return self.answer(AskTrial(trial), context)

    def points(self, context: Context) -> list[Point]:
        """Return the configs to run first: the default, then the reported ones that fit the study, each once.

        On images of another shape a number of the default that lies out of bounds moves to the nearest one, and on a
        strip of one pixel's height or width a default that halves the images is dense instead.
        On a given encoder there is only the default, with that encoder. Where the study holds the latent size, the
        default has it, and reported ones of another are left out. Where the best of every size is looked for, the
        default is there with each power of two that the space has, too: else a search starts well at one size alone.
        """
        if context.encoder is not None:
            on_encoder = {**self.default, **context.encoder, "encoder": "given", "encoder_training": "fine_tuned"}
            return [self.point("default", on_encoder, context, clip=True)]
        default = self.default if context.latent_size is None else {**self.default, "latent_size": context.latent_size}
        if default["architecture"] not in general((default["architecture"],), context.image_shape):
            default = {"output_activation": "sigmoid", **default, "architecture": "dense"}
        clip = context.image_shape != self.image_shape
        points = [self.point("default", default, context, clip=clip)]
        if context.every_size:
            points += self._at_every_size(default, context, clip=clip)
        for key, entry in self._reported(context).items():
            if all(entry.config != point.config for point in points):
                points.append(self.point(key, entry.config, context))
        return points

    def _at_every_size(self, default: Mapping[str, Any], context: Context, *, clip: bool) -> Iterator[Point]:
        for size in _SIZES:
            with suppress(ValueError):  # out of the space's bounds
                point = self.point(f"default z={size}", {**default, "latent_size": size}, context, clip=clip)
                if point.config["latent_size"] == size != default["latent_size"]:
                    yield point

    def point(self, key: str, config: Mapping[str, Any], context: Context, clip: bool = False) -> Point:
        """Return a config of this space, or of another one of the family, as one to run before any is sampled.

        Args:
            key: What it is called.
            config: It.
            context: What is known of the study.
            clip: Whether numbers that lie out of bounds move to the nearest one.

        Raises:
            ValueError: the space does not search something that the config has.
        """
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
        if context.latent_size is not None:
            ask.hold(latent_size=context.latent_size)
        architectures = (entry.config["architecture"] for entry in self._reported(context).values())
        self.search(ask, context, tuple(dict.fromkeys(architectures)))
        return ask.config

    def _reported(self, context: Context) -> dict[str, Reported]:
        if not context.reported:
            return {}
        return {
            key: entry
            for key, entry in self.reported.items()
            if entry.in_search
            and entry.space == self.name
            and entry.image_shape == context.image_shape
            and context.latent_size in (None, entry.config.get("latent_size"))
        }


def outline(space: Space, context: Context) -> dict[str, str]:
    """Return the range of every parameter that a study of the space can ask for, by name.

    Keys that the space fixes are there with the values that they can have. Conditional parameters are found by drawing
    configs, always the same ones.
    """
    found: dict[str, str] = {}
    fixed: dict[str, set[str]] = {}
    generator = random.Random(0)
    for _ in range(_DRAWS):
        ask = _AskAnything(generator)
        space.answer(ask, context)
        found |= ask.ranges
        for key, value in ask.fixed.items():
            fixed.setdefault(key, set()).add(repr(value))
    return {**found, **{f"fixed {key}": ", ".join(sorted(values)) for key, values in fixed.items()}}


def drawn(space: Space, context: Context, count: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Return configs that are drawn at random from all of the space, always the same ones by seed."""
    generator = random.Random(seed)
    for _ in range(count):
        yield space.answer(_AskAnything(generator), context)


def corners(space: Space, context: Context) -> list[dict[str, Any]]:
    """Return the two configs of which every answer is the first or lowest, or the last or highest."""
    return [space.answer(_AskAnything(_End(last)), context) for last in (False, True)]


class _End(random.Random):
    """Draws the first or the last of whatever there is."""

    def __init__(self, last: bool) -> None:
        super().__init__()
        self._last = last

    def choice(self, seq: Any) -> Any:
        return seq[-1 if self._last else 0]

    def randint(self, a: int, b: int) -> int:
        return b if self._last else a

    def uniform(self, a: float, b: float) -> float:
        return b if self._last else a


class _AskAnything(Ask):
    """Answers at random, and keeps what it was asked."""

    def __init__(self, generator: random.Random) -> None:
        super().__init__()
        self.ranges: dict[str, str] = {}
        self.fixed: dict[str, Any] = {}
        self._generator = generator

    def fix(self, **values: Any) -> None:
        super().fix(**values)
        self.fixed |= values

    def _choice(self, name: str, choices: Sequence[Any], of: Callable[[Mapping[str, Any]], Any]) -> Any:
        self.ranges[name] = "one of " + ", ".join(map(repr, choices))
        return self._generator.choice(list(choices))

    def _integer(self, name: str, key: str, bounds: Bounds, log: bool) -> int:
        self.ranges[name] = f"integer {bounds[0]} to {bounds[1]}{_scale(log)}"
        return self._generator.randint(*bounds)

    def _number(self, name: str, key: str, within: Scaled) -> float:
        low, high = within.bounds
        steps = f" in steps of {within.step:g}" if within.step else ""
        self.ranges[name] = f"number {low:g} to {high:g}{steps}{_scale(within.log)}"
        return within.factor * (low if within.step else self._generator.uniform(low, high))


def _scale(log: bool) -> str:
    return ", logarithmic" if log else ""
