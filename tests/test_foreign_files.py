"""A study's folder from somebody else: what lies in samples/ is looked at before it is read."""

import io
import os
import zipfile

import numpy as np
import pytest
from PIL import Image

from analysis.page import pictures
from analysis.study_files import StudyFiles, read_arrays
from study.record.files import read_plain


def image(kind="PNG", size=(8, 8)):
    data = io.BytesIO()
    Image.new("RGB", size, "red").save(data, kind)
    return data.getvalue()


@pytest.fixture
def study(tmp_path):
    (tmp_path / "samples").mkdir()
    return StudyFiles(tmp_path, {}, *[None] * 4, summary=None)


def shown(study):
    return [picture.title for picture in pictures.sample_pictures(study)]


def test_a_picture_of_a_study_is_shown_and_a_link_is_not_followed(study, tmp_path):
    (study.paths.samples / "prior.png").write_bytes(image())
    (tmp_path / "secret.png").write_bytes(image())
    (study.paths.samples / "leak.png").symlink_to(tmp_path / "secret.png")
    (study.paths.samples / "passwords.png").symlink_to("/etc/passwd")
    assert len(shown(study)) == 1


def test_what_is_no_picture_is_left_out(study, monkeypatch):
    samples = study.paths.samples
    os.mkfifo(samples / "pipe.png")  # to read it is to wait for ever
    (samples / "folder.png").mkdir()
    (samples / "page.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")  # Pillow runs Ghostscript
    (samples / "photo.png").write_bytes(image("JPEG"))
    (samples / "torn.png").write_bytes(image()[:20])
    monkeypatch.setattr(pictures, "_MOST_PIXELS", 10_000)
    (samples / "bomb.png").write_bytes(image(size=(1000, 1000)))
    monkeypatch.setattr(pictures, "_LARGEST", 50_000)
    (samples / "long.png").write_bytes(image() + b"\0" * 50_000)
    assert shown(study) == []


def test_arrays_are_measured_before_they_are_unpacked(tmp_path, monkeypatch):
    path = tmp_path / "codes.npz"
    np.savez_compressed(path, codes=np.zeros(10))
    assert read_arrays(path)["codes"].shape == (10,)
    monkeypatch.setattr("analysis.study_files.LARGEST_ARRAYS", 100_000)
    np.savez_compressed(path, codes=np.zeros(1_000_000))  # a few kilobytes
    assert path.stat().st_size < 100_000
    assert read_arrays(path) is None
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("codes.npy", b"no array")
    assert read_arrays(path) is None
    path.unlink()
    os.mkfifo(path)
    assert read_arrays(path) is None


def test_a_plain_file_is_read_and_nothing_else(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    assert read_plain(tmp_path / "file", 5) == b"12345"
    with pytest.raises(OSError, match="it has 5 bytes, more than 4"):
        read_plain(tmp_path / "file", 4)
    with pytest.raises(OSError, match="no plain file"):
        read_plain(tmp_path, 4)
