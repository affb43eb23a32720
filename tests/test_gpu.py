"""What only a GPU can show: the numbers of a CPU, exact resumption, whole studies that share it."""

import json
import re

import pytest
import torch
from study_processes import SMALL, run
from test_fused import config_of, float64, splits, timeless  # noqa: F401

import models
from study.record import journal
from study.record.events import Placed
from study.training.trainer import Trainer

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device was found"),
]

QUIET = {"dropout": 0.0}
SAME_ON_BOTH = {
    "ae dense": QUIET,
    "ae conv": QUIET,
    "ae conv, residual and averaged": QUIET,
    "ae from PCA": QUIET,
    "classifier cnn, residual": QUIET | {"augmentation": "none"},
    "classifier dense, joint": QUIET,
}


def trained(case, device, epochs=2, state=None, **changes):
    one = Trainer(config_of(case, **changes), splits(device=device), num_classes=3, epochs=4, seed=3)
    if state is not None:
        one.load_state_dict(state)
    return one, [one.epoch() for _ in range(epochs)]


@pytest.mark.parametrize("case", SAME_ON_BOTH)
@pytest.mark.usefixtures("float64")
def test_without_noise_a_gpu_comes_to_the_numbers_of_a_cpu(case):
    (_, here), (_, there) = (trained(case, device, **SAME_ON_BOTH[case]) for device in ("cpu", "cuda"))
    for got, expected in zip(there, here, strict=True):
        assert timeless(got) == pytest.approx(timeless(expected), rel=1e-6)


@pytest.mark.parametrize("case", ["ae conv", "vae conv, corrupted", "classifier cnn, blocks, mixup"])
@pytest.mark.usefixtures("float64")
def test_a_run_on_a_gpu_goes_on_from_its_checkpoint(case, tmp_path):
    _, whole = trained(case, "cuda", epochs=4)
    half, _ = trained(case, "cuda")
    torch.save(half.state_dict(), tmp_path / "checkpoint.pt")
    state = torch.load(tmp_path / "checkpoint.pt", map_location="cpu", weights_only=True)
    _, rest = trained(case, "cuda", state=state)
    for got, expected in zip(rest, whole[2:], strict=True):
        assert timeless(got) == pytest.approx(timeless(expected), rel=1e-8)


@pytest.mark.parametrize("options", [[], ["--precision", "bfloat16"], ["--compile"]], ids=" ".join)
def test_a_study_on_a_gpu_shares_it_and_leaves_networks_for_any_machine(options, tmp_path):
    argv = ["--trials", "3", "--max-concurrent", "3", "--confirm", "1x3", "--scheduler", "none", *options]
    done = run(tmp_path, *SMALL, *argv)
    assert done.returncode == 0, done.stdout + done.stderr
    study = tmp_path / "results/night"
    summary = json.loads((study / "summary.json").read_text())
    assert summary["trials"]["completed"] >= 1
    placed = [event for event in journal.read(study / "journal.jsonl") if isinstance(event, Placed)]
    assert placed
    network = models.load(study / "best")
    assert {weight.device.type for weight in network.parameters()} == {"cpu"}
    assert re.search(r"\d+ runs share a GPU: ", " ".join(done.stdout.split()))
