"""Images that are decoded once into files of a cache and mapped: the same data, whatever happens to the cache."""

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_image_folder import error_line, make_folder

from study.baselines import pca
from study.data import image_data, mapped
from study.data.image_data import load
from study.data.mapped import file_of
from study.record import machine
from study.record.errors import DataError


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "pets", {"cat": 20, "dog": 20})


@pytest.fixture
def few_at_once(monkeypatch):
    monkeypatch.setattr(mapped, "_AT_ONCE", 4)


def cached(folder, lines=None):
    said = [] if lines is None else lines
    return load(str(folder), folder.parent, cache_dir=folder.parent / "cache", progress=said.append)


def the_cache(folder) -> Path:
    (only,) = (folder.parent / "cache").iterdir()
    return only


def reads(monkeypatch, fails_at=None):
    """Count the images that are decoded; the one at an index is never done."""
    counted = []
    real = image_data.open_own

    def opened(*arguments):
        pictures = real(*arguments)
        read = pictures.read

        def counting(index):
            if index == fails_at:
                raise KeyboardInterrupt
            counted.append(index)
            return read(index)

        object.__setattr__(pictures, "read", counting)
        return pictures

    monkeypatch.setattr(image_data, "open_own", opened)
    return counted


def test_mapped_images_are_those_in_memory(folder, few_at_once):
    plain, kept = load(str(folder), folder.parent), cached(folder)
    assert kept.digest == plain.digest
    assert (kept.split, kept.notes, kept.sizes) == (plain.split, plain.notes, plain.sizes)
    for name, split in plain.splits.items():
        assert np.array_equal(kept.splits[name].images, split.images)
        assert np.array_equal(kept.splits[name].labels, split.labels)
        assert file_of(kept.splits[name].images).open().tobytes() == split.images.tobytes()
    assert file_of(kept.train.images[2:]) is None
    assert file_of(kept.train.take(np.arange(3)).images) is None
    assert sorted(path.suffix for path in the_cache(folder).iterdir() if path.suffix != ".npy") == [
        "",
        ".bin",
        ".bin",
        ".bin",
        ".json",
    ]


def test_images_are_decoded_once(folder, monkeypatch):
    cached(folder)
    counted = reads(monkeypatch)
    cached(folder)
    assert counted == []
    (folder / "cat" / "000.png").touch()  # may be another picture now
    cached(folder)
    assert len(counted) == 40


def test_large_images_are_mapped_without_being_asked_for(folder, monkeypatch):
    monkeypatch.setattr(machine, "memory", lambda: 4 * 40 * 360 - 1)
    data = load(str(folder), folder.parent / "data")
    assert file_of(data.train.images).path.is_relative_to(folder.parent / "data" / "decoded")
    monkeypatch.setattr(machine, "memory", lambda: 4 * 40 * 360)
    assert file_of(load(str(folder), folder.parent / "data").train.images) is None


@pytest.mark.parametrize("file", ["val.bin", "train.bin", "test-labels.npy", "about.json"])
@pytest.mark.parametrize("damage", ["changed", "cut off", "gone"])
def test_a_damaged_cache_is_found_and_made_anew(folder, file, damage, monkeypatch):
    before, lines = cached(folder), []
    victim = the_cache(folder) / file
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "gone":
        victim.unlink()
    else:
        victim.write_bytes(content if damage == "changed" else content[:-9])
    counted = reads(monkeypatch)
    assert cached(folder, lines).digest == before.digest
    assert len(counted) == 40 or (file == "about.json" and damage == "changed")
    assert [line for line in lines if "is damaged" in line] or file == "about.json"


def test_decoding_goes_on_where_it_was_killed(folder, few_at_once, monkeypatch):
    with monkeypatch.context() as patched:
        reads(patched, fails_at=21)
        with pytest.raises(KeyboardInterrupt):
            cached(folder)
    counted, lines = reads(monkeypatch), []
    assert cached(folder, lines).digest == load(str(folder), folder.parent).digest
    assert lines[0].startswith("going on after ")
    assert len([index for index in counted if counted.count(index) == 1]) < 40


def test_half_written_images_are_decoded_again(folder, few_at_once, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(mapped, "divide", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            cached(folder)
    file = the_cache(folder) / "decoded.part"
    content = bytearray(file.read_bytes())
    content[360 * 13 + 7] ^= 1
    file.write_bytes(content[:-100])
    counted = reads(monkeypatch)
    assert cached(folder).digest == load(str(folder), folder.parent).digest
    assert sorted(set(counted)) == sorted({*range(13, 40), *counted})
    assert min(counted) == 0 or counted[0] == 13


def test_files_that_cannot_be_read_leave_no_cache(folder):
    (folder / "cat" / "003.png").write_bytes(b"no image")
    (folder / "dog" / "004.png").write_bytes(b"")
    assert "2 images cannot be used" in error_line(DataError, lambda: cached(folder))
    assert not (folder.parent / "cache").exists()


def test_files_that_cannot_be_decoded_leave_no_cache(tmp_path):
    folder = make_folder(tmp_path / "pets", {"cat": 20, "dog": 20}, suffix=".bmp")
    for path in (folder / "cat" / "003.bmp", folder / "dog" / "004.bmp"):
        path.write_bytes(path.read_bytes()[:200])  # the headers are whole
    assert "2 images cannot be used" in error_line(DataError, lambda: cached(folder))
    assert list((folder.parent / "cache").iterdir()) == []


def test_a_file_that_cannot_be_read_is_refused_where_all_others_are_in_the_cache(folder):
    bad = folder / "cat" / "new.png"
    cached(folder)
    bad.write_bytes(b"no image")
    in_memory = error_line(DataError, lambda: load(str(folder), folder.parent))
    assert error_line(DataError, lambda: cached(folder)) == in_memory
    assert str(bad) in in_memory
    bad.unlink()
    cached(folder)


def test_a_cache_that_cannot_be_written_is_one_line(folder):
    (folder.parent / "cache").write_text("a file")
    assert "--cache-dir" in error_line(DataError, lambda: cached(folder))


def test_a_missing_file_says_what_a_cluster_needs(tmp_path):
    file = mapped.MappedFile(tmp_path / "train.bin", (3, 1, 8, 8), "|u1")
    assert "a folder that every node reaches" in error_line(DataError, file.open)


def test_the_memory_at_hand_is_what_the_limit_leaves():
    code = "from study.record import machine; print(machine.memory())"
    limit = 3 * 2**30
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
    )
    assert int(done.stdout) <= limit
    assert machine.memory() > 2**28


def test_pca_in_passes_is_pca(monkeypatch):
    rng = np.random.default_rng(0)
    images = (rng.normal(size=(400, 30)) * 0.8 ** np.arange(30)) @ rng.normal(size=(30, 64))
    images = (128 + 20 * images).clip(0, 255).astype(np.uint8).reshape(400, 1, 8, 8)
    exact = pca.fit(images, 40)
    monkeypatch.setattr(machine, "memory", lambda: 400 * 64 * 8)
    monkeypatch.setattr(pca, "_CHUNK_VALUES", 64 * 37)
    passes = pca.fit(images, 40)
    assert passes.solver == "passes"
    assert passes.rank == exact.rank
    np.testing.assert_allclose(passes.explained_variance, exact.explained_variance, rtol=1e-6)
    rows = [pca.evaluate(fitted, {"test": images[:100]}, [2, 8, 20]) for fitted in (exact, passes)]
    for one, other in zip(*rows, strict=True):
        assert other["test_mse"] == pytest.approx(one["test_mse"], rel=1e-4)


@pytest.mark.parametrize("power", [0.6, 1.0])
def test_pca_in_passes_is_pca_at_its_last_component_where_variances_fall_slowly(power, monkeypatch):
    """As those of photographs do, so that what lies beyond the last component is not small beside it."""
    rng = np.random.default_rng(0)
    scales = np.arange(1, 401) ** (-power / 2)
    images = (rng.standard_normal((1000, 400)) * scales) @ np.linalg.qr(rng.standard_normal((400, 400)))[0]
    images = ((images - images.min()) / np.ptp(images)).astype(np.float32).reshape(1000, 1, 20, 20)
    exact = pca.fit(images, 128)
    monkeypatch.setattr(machine, "memory", lambda: 1000 * 400 * 8)
    left = [1 - fitted.explained_variance[-1] for fitted in (pca.fit(images, 128), exact)]
    assert left[0] / left[1] == pytest.approx(1, abs=1e-3)
