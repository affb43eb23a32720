"""A person's own file of networks: run only where that was asked for, and one file at a time counts."""

from __future__ import annotations

import ast
import hashlib
import io
import os
import sys
import tokenize
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from models import registry
from models._config import ConfigError, Setting
from models.network import Architecture, Config, Family, ImageShape

CODE_FILE = "space.py"
"""The name that the file's copy has beside a network, and in a study's folder."""


FAULTS = (Exception, SystemExit)
"""What a person's code may raise by its own doing; it does not end the process by `sys.exit()`."""


class OwnCodeError(ConfigError):
    """A file of one's own is not what is expected; the message names the file, the line, and what would be."""


class UntrustedCodeError(ConfigError):
    """A folder has code of its own, which nobody said may run."""


@dataclass(frozen=True)
class OwnCode:
    """A file as it was read; to make one runs nothing, and it can go to another process.

    Attributes:
        path: where it lies, for messages.
        source: its text.
    """

    path: Path
    source: str

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> OwnCode:
        """Read a file in the coding that Python would read it in: UTF-8, or what its first lines say.

        Raises:
            FileNotFoundError: there is none.
            OwnCodeError: it is no text.
        """
        content = Path(path).read_bytes()
        try:
            return cls(Path(path), content.decode(_coding(content)))
        except (SyntaxError, UnicodeDecodeError, LookupError) as error:
            raise OwnCodeError(f"{path} is no Python file: {error}") from None

    @property
    def content(self) -> bytes:
        """What a copy of the file holds: its text in the coding that its first lines say, as `read` takes it."""
        return self.source.encode(_coding(self.source.encode()))

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of its text, in hexadecimal digits."""
        return hashlib.sha256(self.source.encode()).hexdigest()

    @property
    def _module_name(self) -> str:
        return f"own_space_{self.digest[:16]}"

    def run(self) -> ModuleType:
        """Return its module; it is run once in a process.

        Raises:
            OwnCodeError: it cannot be compiled, or raises.
        """
        known = sys.modules.get(self._module_name)
        if known is not None:
            return known
        module = ModuleType(self._module_name)
        module.__file__ = str(self.path)
        sys.modules[self._module_name] = module  # its dataclasses look for it there
        try:
            exec(compile(self.source, str(self.path), "exec"), module.__dict__)
        except FAULTS as error:
            del sys.modules[self._module_name]
            raise self.error(error) from error
        return module

    def use(self) -> ModuleType:
        """Run it, let its networks count in this process in place of another file's, and return its module.

        Raises:
            OwnCodeError: as `run`, or what it defines is not what it should be.
        """
        module = self.run()
        space = getattr(module, "SPACE", None)
        if space is None:
            raise OwnCodeError(f"{self.path} defines no SPACE; it needs SPACE = search_spaces.Space(...)")
        name = getattr(space, "family", None)
        if not isinstance(name, str):
            raise self.wrong("SPACE", "a search_spaces.Space", space)
        registry.extend({name: self._family(module, name)})
        _in_use[:] = [self]
        return module

    def error(self, error: BaseException) -> OwnCodeError:
        """Return an error that came up in the file, with the line of the file that it came through last."""
        line = error.lineno if isinstance(error, SyntaxError) else self._line_of(error)
        if isinstance(error, OwnCodeError):
            return error
        first = (str(error).strip().splitlines() or [""])[0]
        kind = "" if isinstance(error, ConfigError) else f"{type(error).__name__}: "
        where = f", line {line}" if line else ""
        return OwnCodeError(f"{self.path}{where}: {kind}{first}".rstrip(": "))

    def wrong(self, name: str, expected: str, found: object) -> OwnCodeError:
        """Return the error that what the file calls `name` is not what is expected."""
        lines = [
            node.lineno
            for node in ast.parse(self.source).body
            if name in {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
            or getattr(node, "name", None) == name
        ]
        where = f", line {lines[0]}" if lines else ""
        return OwnCodeError(f"{self.path}{where}: {name} must be {expected}, not {_shown(found)}")

    def _line_of(self, error: BaseException) -> int | None:
        module = sys.modules.get(self._module_name)
        file = str(self.path) if module is None else module.__file__
        frame, line = error.__traceback__, None
        while frame is not None:
            if frame.tb_frame.f_code.co_filename == file:
                line = frame.tb_lineno
            frame = frame.tb_next
        return line

    def _family(self, module: ModuleType, name: str) -> Family:
        """Return the family that the file's networks are of, with the architectures that it adds."""
        own = getattr(module, "FAMILY", None)
        if own is not None and not isinstance(own, Family):
            raise self.wrong("FAMILY", "a models.Family", own)
        if own is None and name not in registry.BUILT_IN:
            allowed = ", ".join(registry.BUILT_IN)
            raise self.wrong("SPACE", f"of one of the families {allowed}, or of a FAMILY that the file defines", name)
        if own is not None and name in registry.BUILT_IN:
            raise self.wrong("FAMILY", f"of a name of its own in SPACE, which {name!r} is not", name)
        if own is not None:
            self._check_settings("FAMILY", own.settings)
            for architecture in own.architectures.values():
                self._check_settings("FAMILY", architecture.settings)
        family = registry.BUILT_IN[name] if own is None else own
        added = getattr(module, "ARCHITECTURES", {})
        if not isinstance(added, Mapping):
            raise self.wrong("ARCHITECTURES", "a dict of models.Architecture by name", added)
        for key, architecture in added.items():
            if not isinstance(key, str) or not isinstance(architecture, Architecture):
                raise self.wrong("ARCHITECTURES", "a dict of models.Architecture by name", {key: architecture})
            self._check_settings("ARCHITECTURES", architecture.settings)
            if key in family.architectures:
                raise self.wrong("ARCHITECTURES", f"without {key!r}, a name that {name} has already", [*added])
        return replace(family, architectures={**family.architectures, **added})

    def _check_settings(self, name: str, settings: object) -> None:
        if not isinstance(settings, Mapping):
            raise self.wrong(name, "with settings that are a dict", settings)
        for key, setting in settings.items():
            if not isinstance(setting, Setting):
                raise self.wrong(name, "with settings that are each a models.Number or models.OneOf", {key: setting})


_in_use: list[OwnCode] = []  # the one file whose networks count in this process


def in_use() -> OwnCode | None:
    """Return the file whose networks count in this process."""
    return _in_use[0] if _in_use else None


def use_trusted(folder: Path, digest: str, *, trust: bool) -> None:
    """Let the networks of a folder's own file count, if it is in use already or `trust` says that it may run.

    Raises:
        FileNotFoundError: there is none.
        UntrustedCodeError: it would have to run, and nobody said that it may.
        OwnCodeError: it is not the file with this SHA-256, or not what is expected.
    """
    code = OwnCode.read(folder / CODE_FILE)
    if code.digest != digest:
        raise OwnCodeError(f"{code.path} has changed since the network was saved")
    if _in_use and _in_use[0].digest == digest:
        return
    if not trust:
        raise UntrustedCodeError(
            f"{code.path} is code of its own, which loading runs; --trust, or trust=True in Python, says that it may"
        )
    code.use()


Part = Callable[[Config, ImageShape], nn.Module]


def autoencoder(
    encoder: Part,
    decoder: Part,
    settings: Mapping[str, Setting] | None = None,
    *,
    image_shape: ImageShape | None = None,
) -> Architecture:
    """Return an architecture of the family `ae` made of two functions of (config, image_shape).

    Args:
        encoder: returns a module from images (batch, channels, height, width) in [0, 1] to codes (batch, latent_size).
        decoder: returns one from codes to images; a last layer `nn.Sigmoid` keeps them in [0, 1].
        settings: the keys of the config that they read beside the family's, with the values that each takes.
        image_shape: the only shape of images that they take, (channels, height, width); None for any.
    """

    def parts(config: Config, shape: ImageShape) -> tuple[nn.Module, nn.Module]:
        return encoder(config, shape), decoder(config, shape)

    return Architecture(parts, settings or {}, image_shape)


def _coding(content: bytes) -> str:
    return tokenize.detect_encoding(io.BytesIO(content).readline)[0]


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
