"""A process's `Worker`, imported with all that jobs need, before the first one of them begins.

A Ray of one's own has its processes import this as they start (`study.cluster.joining`), while a study still reads its
images; elsewhere it is imported with a process's first step.
"""

import os

from study.record import machine

# Libraries of linear algebra make a thread for each core as they are imported. How many they are to use is said later,
# by the run (`prepare_process`) or by the call (`study.cluster.joining.run_on_node`).
_UNSET = "OMP_NUM_THREADS" not in os.environ
os.environ.setdefault("OMP_NUM_THREADS", "1")

with machine.importing():
    import ray.tune  # noqa: F401, whose trainable a process is
    import torch

    from study.worker.worker import Worker

    # PyTorch imports its compiler with the first optimizer of a process: here, that is in no job's time.
    torch.optim.SGD([torch.zeros(1, requires_grad=True)])

if _UNSET:
    del os.environ["OMP_NUM_THREADS"]

__all__ = ["Worker"]
