"""Built-in data sets: splits, subsets, digests; no files, no network, damaged files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest

import search_spaces
from search_spaces import DatasetSpec
from study.data import built_in
from study.data.image_data import ImageData, Split, default_data_dir, load, subset
from study.record.errors import DataError, UsageError

DATASETS = search_spaces.datasets()

DOWNLOADED = [name for name, spec in DATASETS.items() if spec.torchvision_class]


def error_line(kind: type[UsageError], call: Callable[[], object]) -> str:
    with pytest.raises(kind) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def digests_of_images(split: Split) -> set[bytes]:
    return {image.tobytes() for image in split.images}


@pytest.fixture
def tiny_root(tmp_path: Path) -> Path:
    """A data directory in which nothing lies yet."""
    return tmp_path / "below" / "data"


def replace_download(monkeypatch: pytest.MonkeyPatch, name: str, download: Callable[[object], None]) -> None:
    import torchvision.datasets

    monkeypatch.setattr(getattr(torchvision.datasets, str(DATASETS[name].torchvision_class)), "download", download)


def test_digits_need_no_files(tiny_root: Path) -> None:
    digits = load("digits", tiny_root)
    assert digits.sizes == {"train": 1257, "val": 270, "test": 270}
    assert digits.image_shape == (1, 8, 8)
    assert digits.num_classes == 10
    assert digits.train.images.min() == 0
    assert digits.train.images.max() == 255
    assert np.bincount(digits.test.labels).min() >= 26
    assert not tiny_root.exists()


def test_digits_never_change(tmp_path: Path) -> None:
    assert load("digits", tmp_path).digest == "773b9852de06c716"


def test_digest_depends_on_every_split_and_on_labels(tmp_path: Path) -> None:
    digits = load("digits", tmp_path)
    smaller, smallest = subset(digits, 600), subset(digits, 300)
    assert len({digits.digest, smaller.digest, smallest.digest}) == 3
    assert smaller.digest == load("digits", tmp_path, train_size=600).digest


def test_subset_leaves_validation_and_test_whole_and_says_so(tmp_path: Path) -> None:
    digits = load("digits", tmp_path, train_size=100)
    assert digits.sizes == {"train": 100, "val": 270, "test": 270}
    assert np.bincount(digits.train.labels).tolist() == [10] * 10
    assert "100 of 1257" in digits.notes[-1]


@pytest.mark.parametrize(("val_size", "val"), [(60, 60), ("proportional", 21)])
def test_validation_is_as_small_as_is_asked_for(tmp_path: Path, val_size: int | str, val: int) -> None:
    digits = load("digits", tmp_path, train_size=100, val_size=val_size)
    assert digits.sizes == {"train": 100, "val": val, "test": 270}
    assert digits.notes[-1] == f"A stratified 100 of 1257 training, {val} of 270 validation images."
    assert (np.bincount(digits.val.labels) > 0).all()
    assert load("digits", tmp_path, val_size=60).sizes == {"train": 1257, "val": 60, "test": 270}


@pytest.mark.parametrize("val_size", [0, 9, 271])
def test_impossible_val_size_is_refused(tmp_path: Path, val_size: int) -> None:
    line = error_line(UsageError, lambda: load("digits", tmp_path, val_size=val_size))
    assert f"--val-size {val_size} is not possible: digits has 270 validation images" in line
    assert "10 to 270" in line


def test_subset_takes_fewer_test_images_where_it_is_told_to_and_says_so(tmp_path: Path) -> None:
    digits = load("digits", tmp_path)
    small = subset(digits, 100, test_size=100)
    assert small.sizes == {"train": 100, "val": 270, "test": 100}
    assert np.bincount(small.test.labels).tolist() == [10] * 10
    assert "100 of 270 test images" in small.notes[-1]
    assert small.digest != subset(digits, 100).digest
    assert subset(digits, 300, test_size=300).test is digits.test
    error_line(UsageError, lambda: subset(digits, 9, test_size=9))


def test_subset_of_all_is_all(tmp_path: Path) -> None:
    digits = load("digits", tmp_path)
    assert subset(digits, 1257) is digits


@pytest.mark.parametrize("train_size", [-1, 0, 9, 1258])
def test_impossible_train_size_is_refused(tmp_path: Path, train_size: int) -> None:
    line = error_line(UsageError, lambda: load("digits", tmp_path, train_size=train_size))
    assert f"--train-size {train_size} " in line
    assert "10 to 1257" in line


def test_image_size_of_a_built_in_set_is_refused(tmp_path: Path) -> None:
    line = error_line(UsageError, lambda: load("digits", tmp_path, image_size=16))
    assert "--image-size 16" in line
    assert "8×8" in line


def test_unknown_name_is_refused_with_the_nearest(tmp_path: Path) -> None:
    assert "did you mean cifar?" in error_line(UsageError, lambda: load("cifr", tmp_path))


def test_data_dir_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDY_DATA", "~/elsewhere")
    assert default_data_dir() == Path.home() / "elsewhere"
    monkeypatch.setenv("STUDY_DATA", "")
    assert default_data_dir() == Path.home() / ".cache" / "study-data"


@pytest.mark.parametrize("below", ["", "data"])
def test_data_dir_that_is_or_lies_below_a_file_is_refused(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    line = error_line(DataError, lambda: load("mnist", tmp_path / "file" / below))
    assert f"{tmp_path / 'file'} is a file" in line


def test_data_dir_with_an_impossible_name_is_refused(tmp_path: Path) -> None:
    assert "too long" in error_line(DataError, lambda: load("mnist", tmp_path / ("x" * 300)))


@pytest.mark.parametrize("name", DOWNLOADED)
def test_no_network_is_one_line_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_root: Path, name: str
) -> None:
    import torchvision.datasets.utils

    def unreachable(*_: object, **__: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(torchvision.datasets.utils, "_get_redirect_url", unreachable)
    monkeypatch.setattr(torchvision.datasets.utils, "_urlretrieve", unreachable)
    line = error_line(DataError, lambda: load(name, tiny_root))
    assert line.startswith(f"{name}: nothing in {tiny_root / DATASETS[name].folder}")
    assert "(no route to host)" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", DOWNLOADED)
def test_interrupted_download_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_root: Path, name: str
) -> None:
    written = []

    def interrupted(dataset: object) -> None:
        file = Path(str(getattr(dataset, "root"))) / DATASETS[name].folder / "half"  # noqa: B009
        file.parent.mkdir(parents=True)
        file.write_bytes(b"half")
        written.append(file)
        raise KeyboardInterrupt

    replace_download(monkeypatch, name, interrupted)
    with pytest.raises(KeyboardInterrupt):
        load(name, tiny_root)
    assert len(written) == 1
    assert list(tmp_path.iterdir()) == []


class FakeReader:
    """As torchvision's SVHN: `split`, `labels`, the channels first, its files right in the folder that it is given."""

    def __init__(self, root: Path, split: str, download: bool = False) -> None:
        file = Path(root) / f"{split}.bin"
        if download:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"\0")
        assert file.exists()
        count = {"train": 40, "test": 10}[split]
        self.data = np.random.default_rng(count).integers(0, 256, (count, 3, 4, 4), dtype=np.uint8)
        self.labels = np.arange(count) % 2


def test_a_set_is_read_as_its_spec_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import torchvision.datasets

    monkeypatch.setattr(torchvision.datasets, "Fake", FakeReader, raising=False)
    spec = DatasetSpec(
        **{"name": "fake", "title": "Fake", "image_shape": (3, 4, 4), "class_names": ("a", "b"), "split": "."},
        **{"sizes": {"train": 30, "val": 10, "test": 10}, "source": ".", "licence": ".", "validation": "stratified"},
        torchvision_class="Fake",
        official_splits={split: {"split": split} for split in ("train", "test")},
        labels="labels",
        root="fake",
        folder="fake",
    )
    train, val, test = built_in.read(spec, tmp_path, lambda _: None)
    assert (len(train), len(val), len(test)) == (30, 10, 10)
    assert (test.images == FakeReader(tmp_path / "fake", "test").data).all()
    assert test.labels.tolist() == [0, 1] * 5
    assert sorted(path.name for path in tmp_path.rglob("*.bin")) == ["test.bin", "train.bin"]


@pytest.mark.parametrize(("name", "image_size"), [("flowers", 100), ("cifar", None)])
def test_a_set_whose_files_were_scaled_says_so_to_who_shows_its_networks_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, image_size: int | None
) -> None:
    split = Split(np.zeros((1, *DATASETS[name].image_shape), np.uint8), np.zeros(1, np.int64))
    monkeypatch.setattr(built_in, "read", lambda *_: (split, split, split))
    assert load(name, tmp_path).trained.image_size == image_size


@pytest.mark.realdata
def test_download_is_moved_into_place_without_its_archives(
    monkeypatch: pytest.MonkeyPatch, real_data_dir: Path, tiny_root: Path
) -> None:
    def fake(dataset: object) -> None:
        raw = Path(str(getattr(dataset, "root"))) / "MNIST" / "raw"  # noqa: B009
        shutil.copytree(real_data_dir / "MNIST" / "raw", raw, dirs_exist_ok=True)
        (raw / "train-images-idx3-ubyte.gz").touch()

    replace_download(monkeypatch, "mnist", fake)
    lines: list[str] = []
    assert load("mnist", tiny_root, progress=lines.append).sizes == DATASETS["mnist"].sizes
    assert lines[0].startswith("downloading MNIST (11 MiB)")
    found = {str(path.relative_to(tiny_root)) for path in tiny_root.rglob("*") if path.is_file()}
    assert found == {f"MNIST/raw/{file}" for file in DATASETS["mnist"].md5}


def test_folder_with_other_files_is_not_downloaded_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls = []
    replace_download(monkeypatch, "mnist", calls.append)
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03 truncated")
    line = error_line(DataError, lambda: load("mnist", tmp_path))
    assert f"{raw / 'train-images-idx3-ubyte'} is damaged (14 bytes" in line
    assert f"delete {raw} and run again" in line
    (raw / "train-images-idx3-ubyte").rename(raw / "something-else")
    assert "train-images-idx3-ubyte is missing" in error_line(DataError, lambda: load("mnist", tmp_path))
    assert calls == []


def test_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-batches-py").write_text("")
    assert "cifar-10-batches-py" in error_line(DataError, lambda: load("cifar", tmp_path))


@pytest.fixture(scope="session")
def real(real_data_dir: Path) -> Callable[[str], ImageData]:
    cache: dict[str, ImageData] = {}

    def read(name: str) -> ImageData:
        if name not in cache:
            cache[name] = load(name, real_data_dir)
        return cache[name]

    return read


@pytest.mark.realdata
@pytest.mark.parametrize("name", DATASETS)
def test_real_set_has_the_published_sizes(real: Callable[[str], ImageData], name: str) -> None:
    data, spec = real(name), DATASETS[name]
    assert data.sizes == spec.sizes
    assert data.image_shape == spec.image_shape
    assert data.split == spec.split
    for split in (data.train, data.val, data.test):
        assert split.images.dtype == np.uint8
        assert split.images.flags.c_contiguous
        assert split.labels.dtype == np.int64
        assert set(np.unique(split.labels)) == set(range(data.num_classes))


@pytest.mark.realdata
@pytest.mark.parametrize("name", DATASETS)
def test_real_splits_share_no_image(real: Callable[[str], ImageData], name: str) -> None:
    data = real(name)
    train, val, test = map(digests_of_images, (data.train, data.val, data.test))
    published_duplicates = (0, 1, 1) if name == "flowers" else (0, 0, 0)
    assert (len(train & val), len(train & test), len(val & test)) == published_duplicates


@pytest.mark.realdata
@pytest.mark.parametrize(("name", "val"), [("fashion", [600] * 10), ("flowers", [10] * 102)])
def test_validation_is_balanced_where_the_set_is(real: Callable[[str], ImageData], name: str, val: list[int]) -> None:
    assert np.bincount(real(name).val.labels).tolist() == val


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "digest"),
    [("mnist", "f35202eb6760612a"), ("fashion", "3e4e74a8ced3fb14"), ("cifar", "7d77a2f5e3415201")],
)
def test_real_set_never_changes(real: Callable[[str], ImageData], name: str, digest: str) -> None:
    assert real(name).digest == digest


@pytest.mark.realdata
@pytest.mark.parametrize("name", DATASETS)
def test_small_subset_of_a_real_set_holds_every_class(real: Callable[[str], ImageData], name: str) -> None:
    small = subset(real(name), 256)
    assert len(small.train) == 256
    assert len(np.unique(small.train.labels)) == len(np.unique(small.val.labels)) == small.num_classes
    assert small.test is real(name).test


@pytest.mark.realdata
def test_cifar_images_look_right_way_round(real: Callable[[str], ImageData], real_data_dir: Path) -> None:
    """The arrays hold the very images that torchvision's own dataset gives one at a time."""
    from torchvision.datasets import CIFAR10

    image, label = CIFAR10(real_data_dir, train=False)[7]
    test = real("cifar").test
    assert (np.asarray(image).transpose(2, 0, 1) == test.images[7]).all()
    assert label == test.labels[7]


@pytest.mark.realdata
def test_truncated_cifar_batch_is_named(real_data_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(real_data_dir / "cifar-10-batches-py", tmp_path / "cifar-10-batches-py")
    batch = tmp_path / "cifar-10-batches-py" / "data_batch_1"
    batch.write_bytes(batch.read_bytes()[:1_000_000])
    line = error_line(DataError, lambda: load("cifar", tmp_path))
    assert line.startswith(f"cifar: {batch} is damaged (1,000,000 bytes")


@pytest.mark.realdata
def test_missing_or_truncated_flower_is_named(real_data_dir: Path, tmp_path: Path) -> None:
    flowers = tmp_path / "flowers-102"
    (flowers / "jpg").mkdir(parents=True)
    for file in DATASETS["flowers"].md5:
        (flowers / file).symlink_to(real_data_dir / "flowers-102" / file)
    for file in (real_data_dir / "flowers-102" / "jpg").iterdir():
        (flowers / "jpg" / file.name).symlink_to(file)
    victim = flowers / "jpg" / "image_06765.jpg"  # the first of the training split
    content = victim.read_bytes()
    victim.unlink()
    assert f"{victim} is missing, 1 of 8,189" in error_line(DataError, lambda: load("flowers", tmp_path))
    victim.write_bytes(content[:2000])
    assert f"{victim} cannot be read" in error_line(DataError, lambda: load("flowers", tmp_path))
