"""A folder of 200,000 images, 2.3 GiB of pixels, in a control group of 2 GiB: it trains, and survives a kill."""

import contextlib
import os
import re
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from study_processes import kill_with_children, run, start, state_of, summary_of, table, wait_for

from study.data import image_data
from study.training.trainer import Trainer

IMAGES, SIDE = 200_000, 64
LIMIT = 2**31  # bytes, for all processes; of which the driver, Ray and a worker take 1.5 GiB before any image
STUDY = [
    "--space", "digits_ae", "--data", "images", "--image-size", str(SIDE), "--name", "night", "--trials", "1",
    "--epochs", "1", "--confirm", "0", "--max-concurrent", "1",
]  # fmt: skip


def make(folder):
    """Write colour images of coarse patterns, each drawn for itself, with fine noise, in two classes."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 60, (64, SIDE, SIDE, 3), dtype=np.uint8)
    coarse = SIDE // 8
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
    head = f"P6 {SIDE} {SIDE} 255\n".encode()
    for number in range(IMAGES):
        pattern = rng.integers(0, 195, (8, 8, 3), dtype=np.uint8).repeat(coarse, 0).repeat(coarse, 1)
        image = noise[number % len(noise)] + pattern
        (folder / "ab"[number % 2] / f"{number}.ppm").write_bytes(head + image.tobytes())


@pytest.fixture
def group():
    """A control group of limited memory: the folder whose files say what its processes took."""
    first, second = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
    version_1 = first.is_dir()
    folder = (first if version_1 else second) / f"study-test-{os.getpid()}"
    try:
        folder.mkdir()
        (folder / ("memory.limit_in_bytes" if version_1 else "memory.max")).write_text(str(LIMIT))
    except OSError as error:
        with contextlib.suppress(OSError):
            folder.rmdir()
        pytest.skip(f"no control group of its own: {error}")
    yield folder
    with contextlib.suppress(OSError):
        folder.rmdir()


def of_images_in_memory(images, trial):
    """Return how many images a second the trial's network is trained on where all of them lie in memory."""
    splits = {"train": images.train, "val": images.val}
    data = {name: (torch.tensor(split.images), torch.from_numpy(split.labels)) for name, split in splits.items()}
    trainer = Trainer(trial.config, data, num_classes=images.num_classes, epochs=trial.budget, seed=trial.seed)
    return trainer.epoch()["images_per_second"]


@pytest.mark.slow
def test_more_images_than_memory_train_are_decoded_once_and_found_when_damaged(tmp_path, group, monkeypatch):
    make(tmp_path / "images")
    limited = [*STUDY, "--cache-dir", "cache"]
    joined = {"preexec_fn": lambda: (group / "cgroup.procs").write_text(str(os.getpid()))}
    long = {"timeout": 3600}  # most of it is PCA of 12,288 pixels in passes
    first = start(tmp_path, *limited, **joined)
    wait_for(lambda: sum(file.stat().st_size for file in tmp_path.glob("cache/*/decoded.part")) > 2**29, first)
    kill_with_children(first)
    first.wait()
    begun = time.monotonic()
    done = run(tmp_path, *limited, **joined, **long)
    took = time.monotonic() - begun
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert re.search(r"going on after [\d,]+ images of 200,000", done.stdout + done.stderr), done.stdout[:3000]
    peak = group / ("memory.max_usage_in_bytes" if (group / "memory.max_usage_in_bytes").exists() else "memory.peak")
    assert int(peak.read_text()) <= LIMIT
    sizes = state_of(tmp_path).about.data["sizes"]
    assert sum(sizes.values()) == IMAGES
    (trial,) = state_of(tmp_path).trials
    assert trial.status == "completed"
    assert 0 < summary_of(tmp_path)["best"]["val"]["val_mse"]["mean"] < 0.1  # of black images 0.25, about

    train = next(tmp_path.glob("cache/*/train.bin"))
    with train.open("r+b") as file:
        file.seek(2**30)
        file.write(b"damaged")
    said = []
    where = {"image_size": SIDE, "cache_dir": tmp_path / "cache"}
    again = image_data.load(str(tmp_path / "images"), tmp_path, **where, progress=said.append)
    assert [line for line in said if "is damaged and is made anew" in line], said
    assert again.digest == state_of(tmp_path).about.data["digest"]

    (row,) = table(tmp_path / "results" / "night" / "history.csv")
    mapped, in_memory = float(row["images_per_second"]), of_images_in_memory(again, trial)
    print(f"images a second, mapped under the limit: {mapped:,.0f}; in memory: {in_memory:,.0f}; {took:.0f} s")
