"""How a run's arithmetic is carried out, whatever its network: precision, and whether its steps are compiled."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from threadpoolctl import threadpool_limits

PRECISIONS = ("float32", "bfloat16")

F = TypeVar("F", bound=Callable[..., Any])


def prepare_process(threads: int) -> None:
    """Let operations have `threads` threads, and flush denormal numbers, in float32 those below 1.2e-38, to zero.

    The threads are those of PyTorch and of the linear algebra that has been imported by then; what is imported later
    goes by OMP_NUM_THREADS, which Ray sets for a run.

    Where a weight gets no gradient for a while (of a pixel that is mostly black, of a unit that is never active),
    Adam's averages and momentum decay into such numbers, and a processor takes many times longer over each. Belongs
    before the first operation: threads that PyTorch starts take the setting over from the one that starts them. A
    processor that cannot do it goes on as it is.
    """
    threadpool_limits(threads)
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)


@dataclass(frozen=True)
class Execution:
    """How the steps of a run are carried out.

    Attributes:
        precision: "float32", or "bfloat16": matrix products and convolutions of training and validation under
            `torch.autocast`, while parameters, their gradients, optimizer, losses and metrics stay float32.
        compile: Whether the loss and its gradients are compiled by `torch.compile`, on a GPU into CUDA graphs. What
            cannot be compiled is an error, and never runs uncompiled instead.
        backend: The compiler, as `torch.compile` takes it.
    """

    precision: str = "float32"
    compile: bool = False
    backend: str | Callable[..., Any] = "inductor"

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision {self.precision!r} is not allowed; one of {', '.join(PRECISIONS)}")

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        """Return the context of a forward pass on `device`."""
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(device.type, dtype=torch.bfloat16)

    def compiled(self, function: F, device: torch.device) -> F:
        """Return `function`, which compiles itself for each shape of its arguments at their first call.

        Compilers keep their code by the function's source: that of earlier networks is dropped, or a worker's ninth
        network would exceed the limit of recompilations.
        """
        torch.compiler.reset()
        graphs = device.type == "cuda" and self.backend == "inductor"
        mode = "reduce-overhead" if graphs else None  # CUDA graphs
        return cast(F, torch.compile(function, backend=self.backend, dynamic=False, mode=mode))

    def strict(self) -> AbstractContextManager[object]:
        """Return a context in which a step that would be compiled over and over is an error instead of uncompiled."""
        if not self.compile:
            return nullcontext()
        patch: AbstractContextManager[object] = torch._dynamo.config.patch(fail_on_recompile_limit_hit=True)
        return patch


PLAIN = Execution()
