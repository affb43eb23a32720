"""Folders of a user's own images, in the forms that such folders have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from study.data.image_data import load
from study.record.errors import DataError, UsageError


def error_line(kind: type[UsageError], call: Callable[[], object]) -> str:
    with pytest.raises(kind) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def make_folder(
    root: Path,
    counts: dict[str, int],
    mode: str = "RGB",
    size: tuple[int, int] = (10, 12),
    suffix: str = ".png",
) -> Path:
    """Write images of (height, width) `size`, of noise that says nothing but is seeded."""
    rng = np.random.default_rng(0)
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
            Image.fromarray(pixels).convert(mode).save(root / name / f"{number:03d}{suffix}")
    return root


def test_folder_is_split_70_15_15_with_every_class(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "pets", {"dog": 40, "cat": 60})
    lines: list[str] = []
    data = load(str(folder), tmp_path, progress=lines.append)
    assert data.name == "pets"
    assert data.class_names == ("cat", "dog")
    assert data.image_shape == (3, 10, 12)
    assert data.sizes == {"train": 70, "val": 15, "test": 15}
    assert np.bincount(data.train.labels).tolist() == [42, 28]
    images = [image.tobytes() for split in (data.train, data.val, data.test) for image in split.images]
    assert len(set(images)) == 100
    assert load(str(folder), tmp_path).digest == data.digest


def test_pixels_are_those_of_the_file(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "pets", {"cat": 5})
    data = load(str(folder), tmp_path)
    read = {image.tobytes() for split in (data.train, data.val, data.test) for image in split.images}
    written = {np.asarray(Image.open(path)).transpose(2, 0, 1).tobytes() for path in folder.rglob("*.png")}
    assert read == written


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("1", 1), ("LA", 1), ("RGBA", 3), ("P", 3), ("RGB", 3)])
def test_channels_follow_the_images(tmp_path: Path, mode: str, channels: int) -> None:
    folder = make_folder(tmp_path / "pets", {"cat": 4, "dog": 4}, mode=mode)
    assert load(str(folder), tmp_path).image_shape == (channels, 10, 12)


def test_one_colour_image_makes_all_rgb(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "pets", {"cat": 4}, mode="L")
    make_folder(tmp_path / "pets", {"dog": 4}, mode="RGB")
    assert load(str(folder), tmp_path).image_shape == (3, 10, 12)


def test_one_class_is_enough(tmp_path: Path) -> None:
    data = load(str(make_folder(tmp_path / "pets", {"all": 20})), tmp_path, train_size=2)
    assert data.num_classes == 1
    assert data.sizes == {"train": 2, "val": 3, "test": 3}


def test_other_and_hidden_files_are_left_out(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "pets", {"cat": 5, "dog": 5})
    (folder / "README.md").write_text("pets")
    (folder / "cat" / "labels.txt").write_text("cat")
    (folder / "cat" / ".DS_Store").write_text("")
    (folder / ".thumbnails").mkdir()
    data = load(str(folder), tmp_path)
    assert data.class_names == ("cat", "dog")
    assert sum(data.sizes.values()) == 10
    assert data.notes == ("Files left out: 1 hidden; 1 not below a class's folder; 1 of no format that is read here.",)


def test_images_of_different_size_ask_for_one(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "pets", {"cat": 4}, size=(10, 12))
    make_folder(folder, {"dog": 4}, size=(30, 20))
    line = error_line(DataError, lambda: load(str(folder), tmp_path))
    assert "10×12" in line
    assert "30×20" in line
    assert "--image-size" in line
    data = load(str(folder), tmp_path, image_size=16)
    assert data.image_shape == (3, 16, 16)
    assert "centre" in data.notes[0]


def test_resizing_crops_the_centre_without_distortion(tmp_path: Path) -> None:
    (tmp_path / "pets" / "cat").mkdir(parents=True)
    pixels = np.zeros((8, 24), dtype=np.uint8)
    pixels[:, 6:18] = 255  # the centre square and what antialiasing sees beside it
    for number in range(3):
        Image.fromarray(pixels).save(tmp_path / "pets" / "cat" / f"{number}.png")
    Image.new("L", (24, 8)).save(tmp_path / "pets" / "cat" / "other.png")
    data = load(str(tmp_path / "pets"), tmp_path, image_size=4)
    images = np.concatenate([split.images for split in data.splits.values()])
    assert (images == 255).all((1, 2, 3)).sum() == 3


@pytest.mark.parametrize("image_size", [-1, 0, 3, 1025])
def test_impossible_image_size_is_refused(tmp_path: Path, image_size: int) -> None:
    folder = make_folder(tmp_path / "pets", {"cat": 3})
    line = error_line(UsageError, lambda: load(str(folder), tmp_path, image_size=image_size))
    assert f"--image-size {image_size} " in line
    assert "4 to 1024" in line


def test_images_are_turned_upright(tmp_path: Path) -> None:
    (tmp_path / "pets" / "cat").mkdir(parents=True)
    pixels = np.zeros((16, 32), dtype=np.uint8)
    pixels[:, :16] = 255  # stored: left half white; upright, after a quarter turn clockwise: upper half white
    exif = Image.Exif()
    exif[0x0112] = 6
    for number in range(3):
        Image.fromarray(pixels).save(tmp_path / "pets" / "cat" / f"{number}.jpg", exif=exif, quality=100)
    Image.new("L", (16, 32)).save(tmp_path / "pets" / "cat" / "other.png")
    data = load(str(tmp_path / "pets"), tmp_path)
    assert data.image_shape == (1, 32, 16)
    images = np.concatenate([split.images for split in data.splits.values()])
    assert (images[:, 0, :16].min((1, 2)) > 250).sum() == 3
    assert (images[:, 0, 16:].max() < 5).all()


@pytest.mark.parametrize("damage", [b"", b"not an image at all", "half"])
def test_damaged_image_is_named(tmp_path: Path, damage: bytes | str) -> None:
    folder = make_folder(tmp_path / "pets", {"cat": 5, "dog": 5}, size=(40, 40), suffix=".jpg")
    victim = folder / "dog" / "003.jpg"
    content = victim.read_bytes()
    victim.write_bytes(content[: len(content) // 2] if isinstance(damage, str) else damage)
    assert f"{victim} cannot be read as an image" in error_line(DataError, lambda: load(str(folder), tmp_path))


def test_sixteen_bit_images_keep_their_depth(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "scans", {"a": 4}, mode="L")
    pixels = np.full((10, 12), 40_001, dtype=np.uint16)
    Image.fromarray(pixels).save(folder / "a" / "000.png")
    data = load(str(folder), tmp_path)
    images = np.concatenate([split.images for split in data.splits.values()])
    assert images.dtype == np.uint16
    assert (images == 40_001).all((1, 2, 3)).sum() == 1
    assert set(np.unique(images) % 257) == {0, 40_001 % 257}  # those of 8 bits are spread over the range: 255 is 65,535


@pytest.mark.parametrize("count", [0, 2])
def test_class_with_too_few_images_is_named(tmp_path: Path, count: int) -> None:
    folder = make_folder(tmp_path / "pets", {"cat": 5, "dog": count})
    line = error_line(DataError, lambda: load(str(folder), tmp_path))
    assert f"class 'dog' has {count} images" in line


def test_folder_without_classes_is_refused(tmp_path: Path) -> None:
    make_folder(tmp_path, {"pets": 5})
    assert "no sub-folders" in error_line(DataError, lambda: load(str(tmp_path / "pets"), tmp_path))


def test_path_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "is a file" in error_line(DataError, lambda: load(str(tmp_path / "file"), tmp_path))
    assert "no such folder" in error_line(DataError, lambda: load(str(tmp_path / "absent"), tmp_path))


def test_progress_is_shown_while_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("study.data.reading._SECONDS_BETWEEN_LINES", 0.0)
    folder = make_folder(tmp_path / "pets", {"cat": 5})
    lines: list[str] = []
    load(str(folder), tmp_path, progress=lines.append)
    assert lines[-1] == f"decoding images of {folder}: 5/5"
