"""Where an epoch's time goes: training, evaluation and checkpoint of one network, and PyTorch's operations by kind.

    python tests/benchmarks/profile_epoch.py [mnist_ae/dense] [--images 4000] [--device cuda] [--rows 15]

The network is a reported configuration, by its key, on made-up images of its shape; after an epoch to warm up one is
timed without a profiler, and one more is profiled. An operation's own time is what it takes without those that it
calls; `outside of operations` is Python, and on a GPU waiting for it.
"""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from pathlib import Path

import _command
import _machine
import torch
from torch.profiler import ProfilerActivity, profile

import search_spaces
from study.training import checkpoint
from study.training.execution import prepare_process
from study.training.trainer import Trainer

KINDS = {
    "arithmetic": ("conv", "mm", "linear", "pool", "relu", "sigmoid", "gelu", "batch_norm", "softmax", "mse", "loss"),
    "optimizer": ("adam", "sgd", "adagrad", "rmsprop", "foreach", "Optimizer"),
    "batches": ("index", "to_copy", "::to", "copy_", "div_", "split", "randperm", "contiguous", "clone"),
    "noise": ("dropout", "bernoulli", "normal", "rand"),
    "waiting for numbers": ("_local_scalar_dense", "item", "Synchronize"),
}
OTHER = "other operations"


def kind_of(name: str) -> str:
    """Return what an operation is for, by its name; the first kind that claims it."""
    return next((kind for kind, parts in KINDS.items() if any(part in name for part in parts)), OTHER)


def trainer_of(key: str, images: int, device: torch.device) -> Trainer:
    """Return the training of a reported configuration on made-up images."""
    entry = search_spaces.reported()[key]
    space = search_spaces.get(entry.space)
    generator = torch.Generator().manual_seed(0)

    def split(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        pixels = torch.randint(0, 256, (count, *space.image_shape), dtype=torch.uint8, generator=generator)
        return pixels.to(device), torch.randint(0, 10, (count,), generator=generator).to(device)

    data = {"train": split(images), "val": split(max(1, images // 5))}
    return Trainer(entry.config, data, num_classes=10, epochs=3, seed=0)


def main() -> None:
    """Profile and print."""
    parser = _command.parser(__doc__)
    parser.add_argument("key", nargs="?", default="mnist_ae/dense", help="a reported configuration")
    parser.add_argument("--images", type=int, default=4000, help="training images (default 4000)")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--rows", type=int, default=15, help="operations to list (default 15)")
    options = parser.parse_args()
    device = torch.device(options.device)
    prepare_process(torch.get_num_threads())
    print(_machine.describe(("torch",)), flush=True)
    run = trainer_of(options.key, 400 if options.quick else options.images, device)
    run.epoch()
    metrics = run.epoch()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        checkpoint.save(Path(folder), "profiled", run.state_dict())
    saving = time.perf_counter() - started
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device.type == "cuda")
    with profile(activities=activities) as profiler:
        started = time.perf_counter()
        run.epoch()
        profiled = time.perf_counter() - started
    print(f"\n{options.key}: training {metrics['train_seconds']:.3f} s, evaluation {metrics['val_seconds']:.3f} s, ")
    print(f"checkpoint {saving:.3f} s; {metrics['images_per_second']:,.0f} training images a second")
    events = profiler.key_averages()
    kinds: dict[str, float] = defaultdict(float)
    for event in events:
        kinds[kind_of(event.key)] += event.self_cpu_time_total / 1e6
    kinds["outside of operations"] = max(0.0, profiled - sum(kinds.values()))
    print(f"\n{'kind':24}{'own seconds':>12}{'share':>8}   (of the profiled epoch, {profiled:.3f} s)")
    for kind, seconds in sorted(kinds.items(), key=lambda item: -item[1]):
        print(f"{kind:24}{seconds:12.4f}{seconds / profiled:8.1%}")
    by = "self_cuda_time_total" if device.type == "cuda" else "self_cpu_time_total"
    print("\n" + events.table(sort_by=by, row_limit=options.rows, max_name_column_width=48))


if __name__ == "__main__":
    main()
