"""What a worker process does: it trains a job, or several together, epoch by epoch, and says how it went."""

from __future__ import annotations

import gc
import math
import socket
import time
from typing import Any

import torch

from study.cluster import shared_storage
from study.record import disk
from study.training.execution import prepare_process
from study.worker.failures import explained, out_of_memory, reason
from study.worker.group import WorkerGroup
from study.worker.job import DECLINED, EPOCH, FAILED, METRICS, STORAGE_FAILED, TOO_LARGE, Job
from study.worker.run import WorkerContext, WorkerRun


class Worker:
    """Trains `Job`s epoch by epoch: one after the other, or the replicates of a config together.

    Checkpoints are the study's own (`study.training.checkpoint`), written before an epoch is reported: a run whose
    worker dies is set up again by Tune and goes on from its file, as it does when a later driver resumes the study. The
    first step after that reports the checkpoint's epoch once more, since its report may have been lost; the journal and
    ASHA ignore what they know. So Tune's own save and load, which would store every model twice, are not used.

    A first stage (`study.training.stages`) is trained in a run's first step: its epochs are in the checkpoint and, with
    the first report, in the journal, but no scheduler sees them.

    What goes wrong in a run (its loss, its code) is reported as the run's last result, with a reason, so that the
    worker lives on: the same seed would fail in the same way again. Where memory ran out, which may have been a
    neighbour's doing, the run is set up again here, after a pause; where the worker died, by Tune.

    Several jobs that cannot be trained together, or would not gain by it, are declined, and are jobs of their own then.
    What they have done by then is in their checkpoints.
    """

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        prepare_process(context.threads)
        self._device = torch.device("cuda" if context.gpu and torch.cuda.is_available() else "cpu")
        # PyTorch imports its compiler with the first optimizer of a process. Here, that is not in a job's time, and
        # what the imports made, which never goes away, is left out of the collections between jobs: a millisecond
        # each instead of half a second.
        torch.optim.SGD([torch.zeros(1, requires_grad=True)])
        gc.collect()
        gc.freeze()
        # Nodes that were there at the start have been asked; one that was started since could have no storage.
        problem = shared_storage.missing(context.probe_file) if context.probe_file else None
        self._unshared = problem and f"is not shared by {socket.gethostname()}: {problem}; mount it"

    def begin(self, jobs: list[Job]) -> None:
        """Turn to other jobs; several are trained together."""
        self._jobs = jobs
        self._retries = 0
        self._free()

    def _free(self) -> None:
        """Give back what the networks of before held, before the next ones' tensors are made."""
        self._work: WorkerRun | WorkerGroup | None = None
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def step(self) -> dict[str, Any]:
        """Train one epoch and return what Tune is told of it; the last result of a job has `done` set."""
        if self._unshared is not None:
            return self._ended({FAILED: "storage", STORAGE_FAILED: self._unshared})
        while True:
            try:
                return self._epoch()
            except Exception as error:
                if problem := disk.problem(error):  # no other run will do better
                    return self._ended({FAILED: "storage", STORAGE_FAILED: problem})
                if len(self._jobs) > 1:
                    return self._ended({DECLINED: reason(error), TOO_LARGE: out_of_memory(error)})
                if not out_of_memory(error) or self._retries >= self._context.retries:
                    return self._ended({FAILED: explained(error, self._context.errors, self._jobs[0].id)})
            # Outside the except clause, whose error holds on to the network through its frames.
            self._retries += 1
            self._free()
            time.sleep(2.0 ** (self._retries - 1))

    def _epoch(self) -> dict[str, Any]:
        # Tune's schedulers and searchers look for the objectives at the top; several runs have none in common.
        if len(self._jobs) > 1:
            self._work = self._work or WorkerGroup(self._jobs, self._context, self._device)
            return self._work.step() | dict.fromkeys(self._context.objectives, math.nan)
        self._work = self._work or WorkerRun(self._jobs[0], self._context, self._device)
        result = self._work.step()
        assert isinstance(self._work, WorkerRun)
        params = sum(weight.numel() for weight in self._work.training.model.parameters())
        known = result[METRICS] | {"params": params}
        return result | {name: known[name] for name in self._context.objectives}

    def _ended(self, why: dict[str, Any]) -> dict[str, Any]:
        # Tune insists on the objective in every result; the searcher and the journal go by the reason.
        objectives = dict.fromkeys(self._context.objectives, math.nan)
        epoch = self._work.training.epochs_done if isinstance(self._work, WorkerRun) else 0
        self._work = None
        return {EPOCH: epoch, METRICS: {}, "done": True, **why, **objectives}
