"""`python study/predict.py`: classes and reconstructions of images from anywhere, and its one-line refusals."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import models
import search_spaces
from study import predict
from study.data.image_data import Trained

REPOSITORY = Path(__file__).resolve().parents[1]
CIFAR_NAMES = search_spaces.datasets()["cifar"].class_names


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def saved(
    folder: Path, key: str, class_names: tuple[str, ...] | None = None, images: dict[str, Any] | None = None
) -> Path:
    """Save an untrained network of a reported configuration, with `images` as a study leaves it.

    With `class_names` it is left as an earlier version's study did, which said them in study.json alone.
    """
    entry = search_spaces.reported()[key]
    torch.manual_seed(0)
    network = models.build(entry.config, entry.image_shape, entry.num_classes)
    best = folder / "study" / "best"
    models.save(network, entry.config, entry.image_shape, entry.num_classes, best, images=images)
    if class_names:
        (best.parent / "study.json").write_text(json.dumps({"data": {"class_names": class_names}}))
    return best


def picture(file: Path, width: int = 32, height: int = 32, mode: str = "RGB") -> Path:
    shape = (height, width, 3) if mode == "RGB" else (height, width)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(file)
    return file


def printed_classes(text: str) -> list[tuple[float, str]]:
    return [(float(match[1]), match[2]) for match in re.finditer(r"^ +([\d.]+) %  (.+)$", text, re.MULTILINE)]


def test_a_classifier_names_the_likeliest_classes_with_their_probabilities(tmp_path, capsys):
    best = saved(tmp_path, "cifar_cnn/A", CIFAR_NAMES)
    file = picture(tmp_path / "cat.png")
    assert predict.main(["--model", str(best), str(file), "--top", "10"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"{file}  32×32\n")
    classes = printed_classes(printed)
    assert {name for _, name in classes} == set(CIFAR_NAMES)
    percentages = [percentage for percentage, _ in classes]
    assert percentages == sorted(percentages, reverse=True)
    assert sum(percentages) == pytest.approx(100, abs=0.01)

    pixels = torch.tensor(np.asarray(Image.open(file))).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        expected = models.load(best)(pixels).softmax(1)[0]
    assert classes[0][1] == CIFAR_NAMES[expected.argmax()]
    assert percentages[0] == pytest.approx(100 * expected.max().item(), abs=1e-3)


def test_five_classes_are_printed_unless_asked_otherwise_and_numbered_without_a_study(tmp_path, capsys):
    best = saved(tmp_path, "cifar_cnn/A")
    assert predict.main(["--model", str(best), str(picture(tmp_path / "cat.png"))]) == 0
    classes = printed_classes(capsys.readouterr().out)
    assert len(classes) == 5
    assert {name for _, name in classes} < {f"class {number}" for number in range(10)}


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Take down the shape of what networks are given, and give them less: a large image takes a second."""
    shapes: list[tuple[int, ...]] = []
    call = models.Network.__call__

    def remember(network: models.Network, images: torch.Tensor) -> torch.Tensor:
        shapes.append(tuple(images.shape))
        return call(network, torch.zeros(1, 3, 32, 32))

    monkeypatch.setattr(models.Network, "__call__", remember)
    return shapes


@pytest.mark.parametrize(
    ("key", "size", "taken"),
    [
        ("cifar_cnn/GAP", (32, 20), (32, 20)),
        ("cifar_cnn/GAP", (8, 8), (8, 8)),
        ("cifar_cnn/GAP", (40, 7), (32, 32)),  # too small for three poolings
        ("cifar_cnn/GAP", (3000, 1500), (1448, 724)),  # scaled down to a million pixels
        ("cifar_cnn/A", (32, 20), (32, 32)),
        ("cifar_cnn/A", (640, 480), (32, 32)),
    ],
)
def test_an_image_goes_in_at_its_own_size_where_the_network_takes_any(tmp_path, given, key, size, taken):
    best = saved(tmp_path, key)
    file = tmp_path / "wide.png"
    Image.new("RGB", size).save(file)
    assert predict.main(["--model", str(best), str(file)]) == 0
    assert given == [(1, 3, taken[1], taken[0])]


@pytest.mark.parametrize("size", [(32, 20), (640, 480)])
def test_an_image_is_scaled_where_the_training_images_were_though_the_network_takes_any_size(tmp_path, given, size):
    images = Trained(class_names=CIFAR_NAMES, image_size=32).to_json()
    best = saved(tmp_path, "cifar_cnn/GAP", images=images)
    file = tmp_path / "wide.png"
    Image.new("RGB", size).save(file)
    assert predict.main(["--model", str(best), str(file)]) == 0
    assert given == [(1, 3, 32, 32)]


@pytest.mark.parametrize("key", ["cifar_ae/2+2", "mnist_ae/vae_z2", "fashion/base"])
def test_an_autoencoder_writes_original_beside_reconstruction_and_prints_the_error(tmp_path, capsys, empty_folder, key):
    best = saved(tmp_path, key)
    channels, height, width = search_spaces.reported()[key].image_shape
    file = picture(tmp_path / "cat.png", width, height, "RGB" if channels == 3 else "L")
    assert predict.main(["--model", str(best), str(file)]) == 0
    printed = capsys.readouterr().out
    out = Path("predictions/cat-reconstruction.png")
    assert str(out) in printed
    pixels = torch.tensor(np.asarray(Image.open(file), dtype=np.float32)).reshape(height, width, channels)
    pixels = pixels.permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        error = (models.load(best)(pixels) - pixels).square().mean().item()
    assert float(re.search(r"MSE ([\d.]+)", printed)[1]) == pytest.approx(error, abs=2e-6)
    with Image.open(empty_folder / out) as shown:
        assert shown.width >= 2 * width
        assert np.asarray(shown).std() > 0


@pytest.mark.parametrize(
    ("mode", "suffix"), [("L", "png"), ("RGBA", "png"), ("P", "gif"), ("CMYK", "jpg"), ("1", "bmp")]
)
@pytest.mark.parametrize("key", ["cifar_ae/2+2", "fashion/base"])
def test_images_of_any_format_are_brought_to_the_networks_channels_and_size(tmp_path, capsys, key, mode, suffix):
    file = tmp_path / f"cat.{suffix}"
    Image.new("RGB", (50, 41), (200, 30, 90)).convert(mode).save(file)
    assert predict.main(["--model", str(saved(tmp_path, key)), str(file)]) == 0
    assert "MSE" in capsys.readouterr().out


def test_images_of_one_name_get_pictures_of_their_own_and_keep_theirs(tmp_path, capsys):
    files = []
    for folder in ("a", "b", "out"):
        (tmp_path / folder).mkdir()
        files.append(str(picture(tmp_path / folder / "cat.png")))
    before = (tmp_path / "out/cat.png").read_bytes()
    assert predict.main(["--model", str(saved(tmp_path, "cifar_ae/2+2")), *files, "--out", str(tmp_path / "out")]) == 0
    names = ["cat-reconstruction.png", "cat-reconstruction2.png", "cat-reconstruction3.png", "cat.png"]
    assert sorted(os.listdir(tmp_path / "out")) == names
    assert (tmp_path / "out/cat.png").read_bytes() == before
    assert len(capsys.readouterr().out.splitlines()) == 3


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run the command, which has to refuse, and return its one line."""
    assert predict.main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("study: ")
    assert printed.err.count("\n") == 1
    return printed.err


def test_a_folder_without_a_network_is_named_with_the_one_meant(tmp_path, capsys):
    best = saved(tmp_path, "cifar_cnn/A")
    file = str(picture(tmp_path / "cat.png"))
    assert "holds no network" in refusal(["--model", str(tmp_path / "none"), file], capsys)
    assert f"did you mean {best}?" in refusal(["--model", str(best.parent), file], capsys)


@pytest.mark.parametrize("damaged", ["config.json", "model.pt", "../study.json"])
@pytest.mark.parametrize("content", [b"", b"{}", b"\x80\x02broken"])
def test_a_damaged_file_of_the_model_is_named(tmp_path, capsys, damaged, content):
    best = saved(tmp_path, "cifar_cnn/A", CIFAR_NAMES)
    (best / damaged).write_bytes(content)
    message = refusal(["--model", str(best), str(picture(tmp_path / "cat.png"))], capsys)
    assert Path(damaged).name in message


def test_a_networks_folder_alone_names_its_classes(tmp_path, capsys):
    images = Trained(class_names=CIFAR_NAMES[::-1]).to_json()
    best = saved(tmp_path, "cifar_cnn/A", CIFAR_NAMES, images)  # what is beside the network counts
    file = str(picture(tmp_path / "cat.png"))
    assert predict.main(["--model", str(best), file]) == 0
    printed = capsys.readouterr().out
    alone = shutil.move(best, tmp_path / "alone")
    assert predict.main(["--model", str(alone), file]) == 0
    assert capsys.readouterr().out == printed
    with torch.no_grad():
        expected = models.load(alone)(torch.tensor(np.asarray(Image.open(file))).permute(2, 0, 1)[None] / 255)
    assert printed_classes(printed)[0][1] == CIFAR_NAMES[::-1][expected.argmax()]


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        ({}, "does not describe the images"),
        ([], "does not describe the images"),
        ({"class_names": 3}, "does not describe the images"),
        ({"class_names": list(CIFAR_NAMES), "pixels": "nothing"}, "does not describe the images"),
        ({"class_names": list(CIFAR_NAMES), "value_range": [0]}, "does not describe the images"),
        ({"class_names": ["cat", "dog"]}, "names 2 classes, and the network knows 10"),
    ],
)
def test_a_damaged_description_of_the_images_is_refused_in_one_line(tmp_path, capsys, images, reason):
    best = saved(tmp_path, "cifar_cnn/A")
    about = json.loads((best / "config.json").read_text())
    (best / "config.json").write_text(json.dumps({**about, "images": images}))
    message = refusal(["--model", str(best), str(picture(tmp_path / "cat.png"))], capsys)
    assert f"{best / 'config.json'} {reason}" in message


def test_a_study_of_other_classes_is_refused(tmp_path, capsys):
    best = saved(tmp_path, "cifar_cnn/A", ("cat", "dog"))
    message = refusal(["--model", str(best), str(picture(tmp_path / "cat.png"))], capsys)
    assert "names 2 classes, and the network knows 10" in message


def test_an_unreadable_image_is_named_and_nothing_is_written(tmp_path, capsys, empty_folder):
    best = saved(tmp_path, "cifar_ae/2+2")
    good = picture(tmp_path / "cat.png")
    torn = tmp_path / "torn.png"
    torn.write_bytes(good.read_bytes()[:500])
    words = tmp_path / "words.png"
    words.write_text("no image")
    deep = tmp_path / "deep.png"
    Image.fromarray(np.full((32, 32), 3000, dtype=np.uint16)).save(deep)
    for bad, reason in (
        (torn, "cannot be read as an image"),
        (words, "of no format that is read here"),
        (deep, "8 bits"),
    ):
        message = refusal(["--model", str(best), str(good), str(bad)], capsys)
        assert f"{bad} " in message
        assert reason in message
    assert "no such file" in refusal(["--model", str(best), str(tmp_path / "gone.png")], capsys)
    assert "is no file" in refusal(["--model", str(best), str(tmp_path)], capsys)
    assert not list(empty_folder.iterdir())


@pytest.mark.parametrize(
    ("key", "arguments", "line"),
    [
        ("cifar_cnn/A", ["--topp", "3"], "option '--topp' is not known (did you mean --top?)"),
        ("cifar_cnn/A", ["--top", "0"], "--top '0' is not allowed"),
        ("cifar_cnn/A", ["--out", "there"], "--out is for the pictures of an autoencoder"),
        ("cifar_ae/2+2", ["--top", "3"], "--top is for a classifier"),
        ("cifar_ae/2+2", ["--out", f"{__file__}/x"], "cannot be written"),
    ],
)
def test_unusable_options_are_one_line(tmp_path, capsys, key, arguments, line):
    best = saved(tmp_path, key)
    assert line in refusal(["--model", str(best), str(picture(tmp_path / "cat.png")), *arguments], capsys)


def test_without_an_image_or_a_model_the_command_says_what_it_needs(capsys):
    assert "IMAGE" in refusal(["--model", "best"], capsys)
    assert "--model" in refusal(["cat.png"], capsys)


def test_the_file_runs_from_any_folder_without_being_installed(tmp_path, empty_folder):
    best, file = saved(tmp_path, "cifar_cnn/GAP", CIFAR_NAMES), picture(tmp_path / "cat.png", 32, 20)
    command = [sys.executable, str(REPOSITORY / "study/predict.py"), "--model", str(best), str(file)]
    done = subprocess.run(command, cwd=empty_folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(printed_classes(done.stdout)) == 5
