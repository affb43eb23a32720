"""A process's `Worker`, imported with all that jobs need, before the first one of them begins.

A Ray of one's own has its processes import this as they start (`study.cluster.joining`), while a study still reads its
images; elsewhere it is imported with a process's first step.
"""

from study.record import machine

with machine.importing():
    import torch

    import study.search.engine  # noqa: F401, what Tune makes of a process
    from study.worker.worker import Worker

    # PyTorch imports its compiler with the first optimizer of a process: here, that is in no job's time.
    torch.optim.SGD([torch.zeros(1, requires_grad=True)])

__all__ = ["Worker"]
