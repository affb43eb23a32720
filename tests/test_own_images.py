"""Folders as people have them: transparency, given splits, stacks, deep pixels, odd names, copies, tables of labels."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from test_image_folder import error_line, make_folder

from study.data import decoding, image_data
from study.data.decoding import Form
from study.data.image_data import described, load
from study.record.errors import DataError, UsageError
from study.settings.resolve import data_settings


def images_of(folder: Path, **asked: object) -> np.ndarray:
    data = load(str(folder), folder, **asked)  # type: ignore[arg-type]
    return np.concatenate([split.images for split in data.splits.values()])


def png_16(path: Path, pixels: np.ndarray) -> None:
    """Write a PNG of 16 bits a channel, (height, width, channels)."""
    height, width, channels = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    about = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", about) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


def deep_folder(root: Path, write, channels: int = 3, top: int = 4096, count: int = 5) -> np.ndarray:
    """Fill a class with images of values below `top`, and return them, (n, channels, height, width)."""
    (root / "a").mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, top, (count, 9, 11, channels)).astype(np.uint16)
    for number, image in enumerate(pixels):
        write(root / "a" / f"{number}", image)
    return pixels.transpose(0, 3, 1, 2)


WRITERS = {
    "png": lambda path, image: png_16(path.with_suffix(".png"), image),
    "tiff": lambda path, image: tifffile.imwrite(path.with_suffix(".tif"), image, photometric="rgb"),
    "npy": lambda path, image: np.save(path.with_suffix(".npy"), image),
    "npz": lambda path, image: np.savez(path.with_suffix(".npz"), image),
    "npy, channels first": lambda path, image: np.save(path.with_suffix(".npy"), np.resize(image, (3, 30, 40))),
}


def same_images(found: np.ndarray, written: np.ndarray) -> bool:
    return sorted(image.tobytes() for image in found) == sorted(image.tobytes() for image in written)


def test_transparent_pixels_are_white(tmp_path: Path) -> None:
    (tmp_path / "icons" / "dot").mkdir(parents=True)
    for number in range(4):
        icon = np.zeros((6, 6, 4), dtype=np.uint8)  # black where it is seen
        icon[number, 1, 3], icon[5, 5, 3] = 255, 128
        Image.fromarray(icon).save(tmp_path / "icons" / "dot" / f"{number}.png")
    data = load(str(tmp_path / "icons"), tmp_path)
    image = data.train.images[0]
    assert (image == 255).sum() == 3 * 34
    assert (image == 0).sum() == 3
    assert set(image[:, 5, 5].tolist()) == {127}
    assert "Transparent pixels are shown on white; images with an alpha channel: 4." in data.notes


@pytest.mark.parametrize("mode", ["LA", "P"])
def test_other_kinds_of_transparency_are_white_too(tmp_path: Path, mode: str) -> None:
    (tmp_path / "icons" / "dot").mkdir(parents=True)
    for number in range(4):
        icon = np.zeros((6, 6, 4), dtype=np.uint8)
        icon[number, 1, 3] = 255
        Image.fromarray(icon).convert(mode).save(tmp_path / "icons" / "dot" / f"{number}.png")
    found = images_of(tmp_path / "icons")
    assert (found.reshape(4, -1) == 255).mean() == 35 / 36


def test_opaque_alpha_changes_no_pixel(tmp_path: Path) -> None:
    plain = make_folder(tmp_path / "plain", {"cat": 5})
    make_folder(tmp_path / "opaque", {"cat": 5}, mode="RGBA")
    assert same_images(images_of(plain), images_of(tmp_path / "opaque"))


def test_folders_of_splits_are_the_splits(tmp_path: Path) -> None:
    for split, count in (("Train", 6), ("val", 2), ("test", 1)):
        make_folder(tmp_path / "pets" / split, {"cat": count, "dog": count})
    data = load(str(tmp_path / "pets"), tmp_path)
    assert data.class_names == ("cat", "dog")
    assert data.sizes == {"train": 12, "val": 4, "test": 2}
    assert data.split == "The folder's own splits."


def test_a_split_that_the_folder_lacks_is_held_out_of_its_training_images(tmp_path: Path) -> None:
    make_folder(tmp_path / "pets" / "training", {"cat": 20, "dog": 20})
    make_folder(tmp_path / "pets" / "testing", {"cat": 3, "dog": 3}, size=(10, 12))
    data = load(str(tmp_path / "pets"), tmp_path)
    assert data.sizes == {"train": 34, "val": 6, "test": 6}
    assert "Validation: 15 % of its training images" in data.split
    assert np.bincount(data.val.labels).tolist() == [3, 3]


@pytest.mark.parametrize("missing", ["val", "test"])
def test_a_class_of_one_picture_is_in_training_and_in_what_is_held_out(tmp_path: Path, missing: str) -> None:
    for split in {"train", "val", "test"} - {missing}:
        make_folder(tmp_path / "pets" / split, {"cat": 9, "dog": 1})
    for copy in range(5):
        dog = tmp_path / "pets" / "train" / "dog"
        (dog / f"{copy}.png").write_bytes((dog / "000.png").read_bytes())
    data = load(str(tmp_path / "pets"), tmp_path)
    for split in data.splits.values():
        assert np.bincount(split.labels, minlength=2).all()
    assert (
        "Warning: identical pictures of classes with fewer than 2 different pictures of their own (dog) may stand in "
        "several splits."
    ) in data.notes


def test_splits_without_classes_are_of_one(tmp_path: Path) -> None:
    make_folder(tmp_path / "pets", {"train": 6, "valid": 2, "test": 2})
    data = load(str(tmp_path / "pets"), tmp_path)
    assert data.class_names == ("images",)
    assert data.sizes == {"train": 6, "val": 2, "test": 2}


def test_a_split_without_classes_beside_one_with_them_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "kaggle"
    make_folder(folder / "train", {"cat": 5, "dog": 5})
    make_folder(folder, {"test": 3})
    line = error_line(DataError, lambda: load(str(folder), tmp_path))
    assert line == (
        f"--data {folder}: test has images but no class folders (files there: 3 .png), while train has cat, dog; "
        "sort them into classes or move the folder away"
    )


@pytest.mark.parametrize("inside", [None, "cat", "readme.txt"])
def test_an_empty_split_is_named(tmp_path: Path, inside: str | None) -> None:
    make_folder(tmp_path / "pets" / "train", {"cat": 5, "dog": 5})
    val = tmp_path / "pets" / "val"
    val.mkdir()
    if inside == "cat":
        (val / "cat").mkdir()
    elif inside:
        (val / "cat").mkdir()
        (val / "cat" / inside).write_text("x")
    line = error_line(DataError, lambda: load(str(tmp_path / "pets"), tmp_path))
    named = "the val split has no images (files there: 1 .txt)" if inside == "readme.txt" else "val has no images"
    assert line == f"--data {tmp_path / 'pets'}: {named}; add some or take the folder away"


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    data = load(str(make_folder(tmp_path / "vehicles", {"train": 5, "plane": 5})), tmp_path)
    assert data.class_names == ("plane", "train")


def test_a_folder_around_the_classes_is_entered(tmp_path: Path) -> None:
    make_folder(tmp_path / "download" / "pets", {"cat": 5, "dog": 5})
    (tmp_path / "download" / "LICENSE").write_text("free")
    data = load(str(tmp_path / "download"), tmp_path)
    assert data.class_names == ("cat", "dog")
    assert data.notes == ("The classes are in pets.", "Files left out: 1 not below a class's folder.")


@pytest.mark.parametrize("suffix", [".tif", ".gif", ".webp", ".png"])
def test_stacks_and_animations_are_refused_with_their_number(tmp_path: Path, suffix: str) -> None:
    folder = make_folder(tmp_path / "films", {"a": 3})
    pages = [Image.new("L", (12, 10), 20 * page).convert("RGB") for page in range(5)]
    pages[0].save(folder / "a" / f"film{suffix}", save_all=True, append_images=pages[1:])
    line = error_line(DataError, lambda: load(str(folder), tmp_path))
    assert f"film{suffix} holds 5 images" in line


@pytest.mark.parametrize("kind", WRITERS)
def test_twelve_bits_of_sixteen_are_scaled_by_the_range_and_lose_nothing(tmp_path: Path, kind: str) -> None:
    written = deep_folder(tmp_path / "camera", WRITERS[kind])
    data = load(str(tmp_path / "camera"), tmp_path, value_range=(0, 4095))
    found = np.concatenate([split.images for split in data.splits.values()])
    assert data.value_range == (0, 4095)
    assert found.dtype == np.uint16
    assert found.shape[1] == 3
    if kind != "npy, channels first":
        assert same_images(np.rint(found * (4095 / 65535)).astype(np.uint16), written)
    assert found.max() > 65_000
    assert any("0 (black) to 4095 (white)" in note for note in data.notes)


@pytest.mark.parametrize("kind", ["png", "tiff", "npy"])
def test_sixteen_bits_without_a_range_stay_as_they_are_and_dark_ones_are_warned_of(tmp_path: Path, kind: str) -> None:
    written = deep_folder(tmp_path / "camera", WRITERS[kind])
    data = load(str(tmp_path / "camera"), tmp_path)
    assert same_images(np.concatenate([split.images for split in data.splits.values()]), written)
    assert any("--value-range 0,4095" in note for note in data.notes)


def test_transparency_of_sixteen_bits_is_white(tmp_path: Path) -> None:
    def write(path: Path, image: np.ndarray) -> None:
        image[..., 3] = 0
        image[0, 0, 3] = 65_535
        png_16(path.with_suffix(".png"), image)

    deep_folder(tmp_path / "icons", write, channels=4, top=60_000)
    found = images_of(tmp_path / "icons")
    assert found.shape[1:] == (3, 9, 11)
    assert (found == 65_535).reshape(5, -1).sum(1).tolist() == [3 * 98] * 5


@pytest.mark.parametrize("kind", ["tiff", "npy"])
@pytest.mark.parametrize("channels", [2, 5, 16])
def test_any_number_of_channels_up_to_sixteen(tmp_path: Path, kind: str, channels: int) -> None:
    def write(path: Path, image: np.ndarray) -> None:
        if kind == "npy":
            np.save(path.with_suffix(".npy"), image)
        else:
            tifffile.imwrite(path.with_suffix(".tif"), image, photometric="minisblack", planarconfig="contig")

    written = deep_folder(tmp_path / "bands", write, channels=channels, top=65_536)
    assert same_images(images_of(tmp_path / "bands"), written)


def test_seventeen_channels_are_refused(tmp_path: Path) -> None:
    deep_folder(tmp_path / "bands", lambda path, image: np.save(f"{path}.npy", np.resize(image, (20, 30, 17))))
    assert "has 17 channels; allowed: 1 to 16" in error_line(DataError, lambda: images_of(tmp_path / "bands"))


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
def test_white_that_is_zero_is_white(tmp_path: Path, compression: str | None) -> None:
    pixels, file = np.array([[0, 65_535, 7], [100, 200, 7]], dtype=np.uint16), tmp_path / "white.tif"
    Image.fromarray(pixels).save(file, compression=compression, tiffinfo={262: 0})
    form = Form(1, np.dtype(np.uint16))
    assert decoding.read_image(file, form).tolist() == [(65_535 - pixels).tolist()]
    tifffile.imwrite(file, pixels, photometric="miniswhite")
    assert decoding.read_image(file, form).tolist() == [(65_535 - pixels).tolist()]


@pytest.mark.parametrize("dtype", [np.uint32, np.int32, np.int16, np.int8])
def test_whole_numbers_of_any_kind_stay_what_they_are(tmp_path: Path, dtype: type[np.integer]) -> None:
    ends = np.iinfo(dtype)
    tifffile.imwrite(tmp_path / "scan.tif", np.array([[ends.min, ends.max], [ends.max // 5, 0]], dtype))
    header = decoding.read_header(tmp_path / "scan.tif")
    assert header.dtype.kind == np.dtype(dtype).kind
    with pytest.raises(DataError, match=r"has pixels of u?int[0-9]+; say with --value-range"):
        decoding.check_range(tmp_path / "scan.tif", header, None)
    form = Form(1, np.dtype(np.float32), None, (float(ends.min), float(ends.max)))
    black = -float(ends.min) / (float(ends.max) - float(ends.min))
    expected = [[0, 1], [black + (1 - black) / 5, black]]
    np.testing.assert_allclose(decoding.read_image(tmp_path / "scan.tif", form)[0], expected, atol=0.01)


def test_floats_are_within_0_and_1_or_their_range_is_said(tmp_path: Path) -> None:
    (tmp_path / "scans" / "a").mkdir(parents=True)
    values = np.random.default_rng(0).normal(0, 100, (5, 8, 8)).astype(np.float32)
    for number, image in enumerate(values):
        tifffile.imwrite(tmp_path / "scans" / "a" / f"{number}.tif", image)
    line = error_line(DataError, lambda: images_of(tmp_path / "scans"))
    assert "not within 0 to 1; say with --value-range LOW,HIGH" in line
    found = images_of(tmp_path / "scans", value_range=(-100, 100))
    assert found.dtype == np.float32
    inside = np.sort((values.clip(-100, 100) + 100).ravel() / 200)
    np.testing.assert_allclose(np.sort(found.ravel()), inside, atol=1e-6)
    data = load(str(tmp_path / "scans"), tmp_path, value_range=(-100, 100))
    assert "outside of the given range, which are cut off: 5." in data.notes[-1]


def test_values_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    deep_folder(tmp_path / "scans", lambda path, image: np.save(f"{path}.npy", np.full(image.shape, np.nan)))
    assert "not finite" in error_line(DataError, lambda: images_of(tmp_path / "scans"))


def test_one_file_of_images_and_labels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "pets.npz", images=images, labels=np.array(["dog", "cat"] * 20))
    data = load(str(tmp_path / "pets.npz"), tmp_path)
    assert data.class_names == ("cat", "dog")
    assert data.sizes == {"train": 28, "val": 6, "test": 6}
    place = {image.transpose(2, 0, 1).tobytes(): number % 2 for number, image in enumerate(images)}
    for split in data.splits.values():
        assert [1 - place[image.tobytes()] for image in split.images] == split.labels.tolist()
    np.save(tmp_path / "grey.npy", images[..., 0])
    assert load(str(tmp_path / "grey.npy"), tmp_path).image_shape == (1, 8, 8)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"pixels": np.zeros((9, 4, 4))}, "no array 'images'"),
        ({"images": np.zeros((9, 4, 4)), "labels": np.zeros(8, int)}, "labels are int64 (8,)"),
        ({"images": np.zeros((9, 4, 4)), "labels": np.array([0] * 7 + [1] * 2)}, "class '1' has 2 images"),
        (
            {"images": np.zeros((9, 4, 4)), "labels": np.array(["b"] * 5 + ["", " ", "", ""])},
            "4 of 9 labels are blank, the first that of image 5",
        ),
        ({"images": np.zeros((9, 4, 4)), "labels": np.array([b"b"] * 5 + [b""] * 4)}, "4 of 9 labels are blank"),
        ({"images": np.zeros((9, 4))}, "it takes (n, height, width)"),
        ({"images": np.array([{}] * 9)}, "no array of images"),
    ],
)
def test_arrays_that_are_no_images_are_one_line(tmp_path: Path, arrays: dict[str, np.ndarray], words: str) -> None:
    np.savez(tmp_path / "pets.npz", allow_pickle=True, **arrays)
    assert words in error_line(DataError, lambda: load(str(tmp_path / "pets.npz"), tmp_path))


@pytest.mark.parametrize(
    ("shape", "read"),
    [
        ((1, 8, 8), (1, 8, 8)),
        ((3, 16, 16), (3, 16, 16)),
        ((3, 8, 8), (3, 8, 8)),
        ((4, 9, 7), (4, 9, 7)),
        ((8, 8), (1, 8, 8)),
        ((8, 8, 1), (1, 8, 8)),
        ((3, 9, 4), (4, 3, 9)),  # either could be: the last one is
        ((2, 2, 3), (3, 2, 2)),
        ((8, 8, 5), (5, 8, 8)),
        ((5, 8, 8), (8, 5, 8)),
        ((5, 20, 20), (5, 20, 20)),
    ],
)
def test_channels_are_before_or_behind(tmp_path: Path, shape: tuple[int, ...], read: tuple[int, int, int]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (12, *shape), dtype=np.uint8)
    (tmp_path / "folder" / "a").mkdir(parents=True)
    np.savez(tmp_path / "pets.npz", images=images)
    for number, image in enumerate(images):
        np.save(tmp_path / "folder" / "a" / f"{number}.npy", image)
    for name in ("pets.npz", "folder"):
        data = load(str(tmp_path / name), tmp_path)
        found = np.concatenate([split.images for split in data.splits.values()])
        assert found.shape == (12, *read)
        if read == shape:
            assert same_images(found, images)


def test_a_file_in_the_current_folder_is_named_without_its_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (9, 8, 8, 3), dtype=np.uint8)
    np.savez("pets.npz", images=images)
    (tmp_path / "pets.zip").touch()
    assert image_data.of_settings(data_settings({"data": "pets.npz"})).sizes == {"train": 7, "val": 1, "test": 1}
    line = error_line(UsageError, lambda: image_data.of_settings(data_settings({"data": "pets.zip"})))
    assert line.endswith("is a file; it takes a folder with one sub-folder per class, or a .npy or .npz file")
    line = error_line(UsageError, lambda: data_settings({"data": "pet.npz"}))
    assert line.startswith("--data 'pet.npz' is not known; allowed: cifar, ")
    assert line.endswith(", or a folder of images, or a .npy or .npz file")


def test_labels_from_a_table(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "all", {"scans": 8})
    lines = [f"scans/{number:03d}.png,{'=1+1' if number % 2 else 'healthy'}" for number in range(7)]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label", *lines]))
    data = load(str(folder), tmp_path, labels=tmp_path / "labels.csv")
    assert data.class_names == ("=1+1", "healthy")
    assert sum(data.sizes.values()) == 7
    assert data.notes == ("Files left out: 1 not named by --labels.",)


def test_a_file_under_two_spellings_is_one_image(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "all", {"scans": 8})
    files = [*(f"scans/{number:03d}.png" for number in range(6)), "./scans/000.png", "scans//001.png"]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label", *(f"{file},x" for file in files)]))
    data = load(str(folder), tmp_path, labels=tmp_path / "labels.csv")
    assert sum(data.sizes.values()) == 6
    assert data.notes == ("Files left out: 2 not named by --labels.",)


def test_blanks_around_labels_and_files_do_not_count(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "all", {"scans": 8})
    ends = ("a", " a", "a ", "a\t", "b", "b ", " b", "b")
    lines = [f" scans/{number:03d}.png ,{label}" for number, label in enumerate(ends)]
    (tmp_path / "labels.csv").write_text("\n".join([" file , label", *lines]))
    assert load(str(folder), tmp_path, labels=tmp_path / "labels.csv").class_names == ("a", "b")
    images = np.random.default_rng(0).integers(0, 256, (8, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "pets.npz", images=images, labels=np.array(ends))
    assert load(str(tmp_path / "pets.npz"), tmp_path).class_names == ("a", "b")


def test_labels_of_bytes_are_text(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (8, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "pets.npz", images=images, labels=np.array([b"cat", "hört".encode()] * 4))
    assert load(str(tmp_path / "pets.npz"), tmp_path).class_names == ("cat", "hört")
    np.savez(tmp_path / "pets.npz", images=images, labels=np.array([b"cat", b"h\xf6rt"] * 4))
    line = error_line(DataError, lambda: load(str(tmp_path / "pets.npz"), tmp_path))
    assert "pets.npz: labels are bytes that are not UTF-8 (b'h\\xf6rt'); give them as text" in line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("filename,label\na,b", "has the columns filename, label; it needs file and label, separated by commas"),
        ("file;label\na;b", "has the columns file;label; it needs file and label, separated by commas"),
        ("", "has no columns; it needs file and label"),
        ("file,label\nscans/000.png,  ", "line 2 lacks"),
        ("file,label\nscans/000.png,", "line 2 lacks"),
        ("file,label\nscans/000.png,a\nscans/000.png,b", "has two labels"),
        ("file,label\n./scans/000.png,x\nscans//000.png,z", "'scans/000.png' has two labels, 'x' and 'z'"),
        ("file,label\ngone.png,a\nlost.png,a", "names 2 files that are not in"),
        ("file,label\n", "no lines below its header"),
    ],
)
def test_a_damaged_table_of_labels_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    folder = make_folder(tmp_path / "all", {"scans": 4})
    (tmp_path / "labels.csv").write_text(text)
    assert words in error_line(DataError, lambda: load(str(folder), tmp_path, labels=tmp_path / "labels.csv"))


def test_copies_are_kept_in_one_split_and_counted(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "pets", {"cat": 12, "dog": 12})
    for name in ("cat", "dog"):
        for path in sorted((folder / name).iterdir()):
            for copy in range(4):
                (folder / name / f"{path.stem}-{copy}.png").write_bytes(path.read_bytes())
    data = load(str(folder), tmp_path)
    seen = [{image.tobytes() for image in split.images} for split in data.splits.values()]
    assert len(set.union(*seen)) == sum(map(len, seen))
    assert data.sizes == {"train": 80, "val": 20, "test": 20}
    assert "Pictures that are copies of another, pixel by pixel: 96 of 120" in data.notes[0]


def test_a_class_of_few_different_pictures_lets_no_other_ones_copies_apart(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "pets", {"cat": 12, "dog": 12, "owl": 2})
    for path in sorted(folder.rglob("*.png")):
        for copy in range(3):
            path.with_name(f"{path.stem}-{copy}.png").write_bytes(path.read_bytes())
    data = load(str(folder), tmp_path)
    for label in (0, 1):
        seen = [{image.tobytes() for image in split.images[split.labels == label]} for split in data.splits.values()]
        assert len(set.union(*seen)) == sum(map(len, seen)) == 12
    assert all((split.labels == 2).any() for split in data.splits.values())
    assert data.notes == (
        "Pictures that are copies of another, pixel by pixel: 78 of 104.",
        "Warning: identical pictures of classes with fewer than 3 different pictures of their own (owl) may stand in "
        "several splits.",
    )


def test_a_picture_of_two_classes_is_warned_of(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "pets", {"cat": 12, "dog": 12})
    (folder / "dog" / "cat.png").write_bytes((folder / "cat" / "000.png").read_bytes())
    notes = load(str(folder), tmp_path).notes
    assert "Warning: identical pictures in two classes: 1 (cat and dog)." in notes


def test_files_are_told_by_their_content(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "pets", {"a": 3}, suffix=".png")
    for number in range(3):
        Image.new("RGB", (12, 10), (number, 0, 0)).save(folder / "a" / f"img{number}", format="PNG")
        Image.new("RGB", (12, 10), (0, number, 0)).save(folder / "a" / f"img{number}.jfif", format="JPEG")
        (folder / "a" / f"{number:03d}.png").rename(folder / "a" / f"{number}.dat")
    assert sum(load(str(folder), tmp_path).sizes.values()) == 9


def test_images_of_formats_that_are_not_read_are_refused_by_name(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "pets", {"cat": 4})
    Image.new("RGB", (12, 10)).save(folder / "cat" / "a.tga")
    Image.new("RGB", (12, 10)).save(folder / "cat" / "b.ICO", format="ICO")
    (folder / "cat" / "c.heic").write_bytes(b"\0\0\0\x18ftypheic")
    line = error_line(DataError, lambda: images_of(folder))
    assert line.startswith("3 images cannot be used: ")
    for name in ("a.tga", "b.ICO", "c.heic"):
        assert f"{name} cannot be read as an image; its content is of no format that is read here (PNG, JPEG, " in line
    assert line.endswith("): convert it to PNG or JPEG")


def test_a_class_without_images_says_what_lies_there(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "pets", {"cat": 5})
    (folder / "dog").mkdir()
    for number in range(6):
        (folder / "dog" / f"{number}.dcm").write_text("medical")
    assert "class 'dog' has 0 images (files there: 6 .dcm)" in error_line(DataError, lambda: images_of(folder))


def test_files_behind_links_are_counted(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "pets", {"cat": 5})
    make_folder(tmp_path / "target", {"more": 4})
    (folder / "cat" / "more").symlink_to(tmp_path / "target" / "more", target_is_directory=True)
    assert load(str(folder), tmp_path).notes == ("Files left out: 4 in linked folders.",)


def test_all_files_that_cannot_be_read_are_in_one_message(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "pets", {"cat": 30}, size=(40, 40), suffix=".jpg")
    for number in range(12):
        file = folder / "cat" / f"{number:03d}.jpg"
        file.write_bytes(file.read_bytes()[: 400 if number % 2 else 700])
    (folder / "cat" / "000.jpg").write_bytes(b"")
    line = error_line(DataError, lambda: images_of(folder))
    assert line.startswith("12 images cannot be used: ")
    assert line.count("cannot be read as an image") == 10
    assert line.endswith("; and 2 more")


def test_names_are_text(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "pets", {"\x1b[31mred": 4})
    path = os.path.join(os.fsencode(folder), b"caf\xe9")
    os.mkdir(path)
    for number in range(4):
        with open(os.path.join(path, b"%d.png" % number), "wb") as file:
            Image.new("L", (12, 10), number).save(file, format="PNG")
    assert load(str(folder), tmp_path).class_names == ("\\x1b[31mred", "caf\\xe9")


def test_pictures_that_are_all_the_same_are_refused(tmp_path: Path) -> None:
    (tmp_path / "flat" / "a").mkdir(parents=True)
    for number in range(5):
        Image.new("L", (8, 8), 7).save(tmp_path / "flat" / "a" / f"{number}.png")
    assert "are all the same" in error_line(DataError, lambda: images_of(tmp_path / "flat"))


def test_options_of_own_images_are_refused_with_a_data_set(tmp_path: Path) -> None:
    line = error_line(UsageError, lambda: load("digits", tmp_path, value_range=(0, 15)))
    assert line.startswith("--value-range ")


def test_what_was_found_is_told(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "pets", {"cat": 10, "dog": 20}, mode="RGBA")
    (folder / "dog" / "notes.txt").write_text("x")
    text = described(load(str(folder), tmp_path))
    for words in (
        "classes: cat 10, dog 20",
        "PNG RGBA 30",
        "10×12 30",
        "channels 3, uint8",
        "train 22, val 4",
        "1 of no format",
    ):
        assert words in text
