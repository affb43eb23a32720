"""Try a space of one's own as the built-in ones are tried: a table of what holds, in a minute; no study is written.

Examples:
    python study/check_space.py mine.py
    python study/check_space.py mine.py --data photographs --image-size 32
    python study/check_space.py mine.py --data scans.npz --value-range 0,4095
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __package__ in (None, ""):
    # Run as a file: look for modules in the repository, not in this folder, where they would hide others.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from study.record import commands
from study.record.errors import UsageError, first_line
from study.record.settings import add_option
from study.record.terminal import wrapped

if TYPE_CHECKING:
    from torch import Tensor

    from search_spaces import Context, Space
    from study.training.stages import StagedTraining

DRAWN = 200
AWKWARD = ((1, 28, 28), (3, 32, 32), (3, 17, 23), (1, 1, 9))
"""Shapes of images, (channels, height, width)."""

_NAME = 33  # columns of what is checked
_TRIED = 8  # drawn configs that are trained a step
_IMAGES, _EPOCHS, _SEEDS = 192, 2, 2
_ROUNDING = 3e-3  # part by which sums that are taken in another order may differ after an epoch

Config = Mapping[str, Any]
Check = Callable[[], str]


class _FaultError(Exception):
    """A check that does not hold."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0 where all holds, 1 where not, 2 for a file that is unusable."""
    return commands.exit_status(lambda: _run(_parse(argv)))


def _run(options: argparse.Namespace) -> int:
    from models.own import FAULTS
    from study.data import own_file
    from study.training.execution import prepare_process

    found = own_file.use(own_file.read(options.file))
    prepare_process(threads=1)
    suite = _Suite(found.space, vars(options))
    good = True
    for name, check in suite.checks():
        try:
            told = f"yes  {check()}"
        except (_FaultError, UsageError) as error:
            told, good = f"NO   {first_line(error)}", False
        except FAULTS as error:  # the person's code, in which anything may go wrong
            told, good = f"NO   {found.code.error(error)}", False
        print(wrapped(f"{name:<{_NAME}}{told}".rstrip(), _NAME + 5), flush=True)
    return 0 if good else 1


class _Suite:
    """The checks of a space, which look at configs drawn once and at a few hundred images.

    Args:
        space: The space in use.
        given: The settings of the data, by their fields, `data` None for the space's own.
    """

    def __init__(self, space: Space, given: Mapping[str, Any]) -> None:
        from search_spaces import Context

        self._space, self._given = space, given
        self._context: Context = Context(space.image_shape, max(2, len(space.data.class_names)))
        self._configs: list[tuple[str, dict[str, Any]]] = []
        self._data: dict[str, tuple[Tensor, Tensor]] = {}
        self._built = self._trained = False

    def checks(self) -> Iterator[tuple[str, Check]]:
        """Return each check by what it says of the space; it raises where that is not so, and others may then go."""
        yield "its images can be read", self._read
        if not self._data:
            return
        yield f"{DRAWN} configs can be drawn", self._draw
        if not self._configs:
            return
        yield "each network can be built", self._build
        yield "configs are asked for as drawn", self._ask_again
        yield "loss, gradient and metrics", self._train
        yield "images of awkward shapes", self._shapes
        if not (self._built and self._trained):
            return
        yield "the same seed, the same numbers", self._repeat
        yield "resumed as if uninterrupted", self._resume
        yield "seeds together as each alone", self._fuse

    def _read(self) -> str:
        """Read the images where that takes no download; else the rest is checked on made-up ones."""
        import torch

        from search_spaces import Context, datasets
        from study.data import image_data
        from study.settings.resolve import data_settings

        source = self._given["data"] or self._space.dataset
        settings = data_settings({**self._given, "data": source})
        spec = datasets().get(source)
        if spec is not None and spec.torchvision_class is not None:
            self._context = Context(spec.image_shape, len(spec.class_names))
            told = f"{source} is built in, and not read here: the checks are on random images"
            generator = torch.Generator().manual_seed(0)
            shape = (_IMAGES, *self._context.image_shape)
            images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
            labels = torch.arange(_IMAGES) % self._context.num_classes
            self._data = {"train": (images, labels), "val": (images[:64], labels[:64])}
            return told
        data = image_data.of_settings(settings)
        self._context = Context(data.image_shape, data.num_classes)
        self._data = {
            name: (torch.tensor(split.images[:_IMAGES]), torch.tensor(split.labels[:_IMAGES]))
            for name, split in (("train", data.train), ("val", data.val))
        }
        sizes = ", ".join(f"{name} {count:,}" for name, count in data.sizes.items())
        return f"{'×'.join(map(str, data.image_shape))} in {data.num_classes} classes; {sizes}"

    def _draw(self) -> str:
        import search_spaces
        from study.driver import own_space

        self._configs = own_space.configs(self._space, self._context, DRAWN)
        ends = search_spaces.corners(self._space, self._context)
        self._configs += list(zip(("config of lowest values", "config of highest values"), ends, strict=True))
        asked = search_spaces.outline(self._space, self._context)
        searched = [name for name in asked if not name.startswith("fixed ")]
        return f"the default, and {len(searched)} parameters: {', '.join(searched)}"

    def _build(self) -> str:
        from study.driver import own_space

        sizes = [own_space.built(name, config, self._context) for name, config in self._configs]
        self._built = True
        return f"{min(sizes):,} to {max(sizes):,} parameters"

    def _ask_again(self) -> str:
        from search_spaces import AskConfig

        for name, config in self._configs:
            try:
                again = self._space.answer(AskConfig(config), self._context)
            except (KeyError, ValueError) as error:
                raise _FaultError(f"the {name} cannot be asked for again: {error}") from error
            if again != config:
                key = next(key for key in {**config, **again} if config.get(key) != again.get(key))
                raise _FaultError(f"{key} of the {name} was {config.get(key)!r}, is {again.get(key)!r}")
        return "as a resumed study and the report ask"

    def _train(self) -> str:
        from study.driver import own_space

        metrics: dict[str, float] = {}
        for name, config in (*self._configs[: 1 + _TRIED], *self._configs[-2:]):
            metrics = own_space.tried(name, config, self._context) or metrics
        self._trained = True
        return ", ".join(metrics)

    def _shapes(self) -> str:
        from search_spaces import Context
        from study.driver import own_space

        taken, refused = [], []
        for shape in AWKWARD:
            config, context = self._configs[0][1], Context(shape, self._context.num_classes)
            words = "×".join(map(str, shape))
            try:
                own_space.tried("default", config, context)
                taken.append(words)
            except UsageError as error:
                if not own_space.is_refused(config, context):
                    raise _FaultError(f"{words}: {error}; say so in the architecture's image_shape or check") from error
                refused.append(words)
        told = [f"takes {', '.join(taken)}"] if taken else []
        return "; ".join(told + ([f"refuses {', '.join(refused)}"] if refused else []))

    def _begun(self, seed: int = 1) -> StagedTraining:
        from study.search.sampling import searched_budget
        from study.training.stages import StagedTraining

        config, classes = self._configs[0][1], self._context.num_classes
        budget = searched_budget(config, self._space, _EPOCHS)
        return StagedTraining(config, self._data, num_classes=classes, budget=budget, seed=seed)

    def _epochs(self, training: StagedTraining, count: int) -> list[dict[str, float]]:
        training.pretrain(after_epoch=lambda: None)
        timed = ("seconds", "per_second")
        return [
            {name: value for name, value in training.epoch().items() if not name.endswith(timed)} for _ in range(count)
        ]

    def _repeat(self) -> str:
        _equal(self._epochs(self._begun(), 1), self._epochs(self._begun(), 1))
        return ""

    def _resume(self) -> str:
        import torch

        first = self._begun()
        self._epochs(first, 1)
        file = io.BytesIO()
        torch.save(first.state_dict(), file)
        file.seek(0)
        torch.rand(3)  # another process has drawn other numbers
        second = self._begun()
        second.load_state_dict(torch.load(file, weights_only=True))
        _equal(self._epochs(second, 1), self._epochs(self._begun(), _EPOCHS)[1:])
        return f"after 1 of {_EPOCHS} epochs"

    def _fuse(self) -> str:
        from study.training.fused import FusedTrainer

        seeds = range(1, 1 + _SEEDS)
        for training in (alone := [self._begun(seed) for seed in seeds]) + (members := [self._begun(s) for s in seeds]):
            training.pretrain(after_epoch=lambda: None)
        try:
            together = FusedTrainer([member.trainer for member in members]).epoch()
        except RuntimeError as error:
            return f"they are trained one by one, as vmap cannot map it: {first_line(error)}"
        for got, training in zip(together, alone, strict=True):
            expected = training.epoch()
            assert isinstance(got, dict)
            for name in ("train_loss", self._space.metric):
                if abs(got[name] - expected[name]) > _ROUNDING * abs(expected[name]) + 1e-6:
                    raise _FaultError(f"{name} is {got[name]:.6g} together, {expected[name]:.6g} alone: --fuse off")
        return "vmap maps it"


def _equal(found: list[dict[str, float]], expected: list[dict[str, float]]) -> None:
    """Raise where metrics differ, naming what may be the reason."""
    for one, other in zip(found, expected, strict=True):
        for name, value in other.items():
            if one[name] != value:
                why = "is anything random not of models.noise, or kept outside of parameters and buffers?"
                raise _FaultError(f"{name} is {one[name]!r} instead of {value!r}; {why}")


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = commands.parser("check-space", __doc__)
    parser.add_argument("file", type=Path, metavar="FILE.py", help="a file that defines SPACE")
    parser.add_argument("--data", metavar="NAME|PATH", help="on other data, as --data of study run")
    for name in ("data-dir", "image-size", "value-range", "labels", "cache-dir"):
        add_option(parser, name)
    return parser.read(argv)


if __name__ == "__main__":
    sys.exit(main())
