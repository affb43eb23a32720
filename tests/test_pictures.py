import numpy as np
import pytest
import small_networks
import torch
from PIL import Image

from study.evaluation.pictures import ImageRow, _error_maps, _read, confusion_picture, draw_rows, pictures
from study.evaluation.reconstruction import progress
from study.evaluation.samples import Beside, illustrate

GROUPS = np.repeat(["best", "typical", "worst"], 2)


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


def arrays(shape, classes):
    labels = np.arange(6) % classes
    return {
        "reconstructions": {
            **{
                name: noise(6, *shape)
                for name in ("originals", "reconstructions", "untrained", "corrupted", "denoised")
            },
            "mse": np.linspace(0, 1, 6),
            "labels": labels,
            "indices": np.arange(6),
            "groups": GROUPS,
        },
        "by_class": {
            "originals": noise(3, 3, *shape),
            "reconstructions": noise(3, 3, *shape),
            "mse": np.linspace(0, 1, 9).reshape(3, 3),
            "labels": np.arange(3) % classes,
        },
        "codes": {"codes": np.zeros((6, 3), np.float32), "labels": labels},
        "progress": {
            "originals": noise(4, *shape),
            "epochs": np.array([5, 10]),
            "images": noise(2, 4, *shape),
        },
        "prior": {"samples": noise(64, *shape)},
        "interpolations": {"images": noise(2, 10, *shape), "labels": np.array([[0, 1], [1, 0]])},
        "traversal": {
            "images": noise(3, 9, *shape),
            "dimensions": np.array([4, 1, 2]),
            "kl": np.array([2.0, 1.0, 0.1]),
            "values": np.linspace(-3, 3, 9),
            "original": noise(*shape),
        },
        "predictions": {"confusion": np.arange(classes**2).reshape(classes, classes)},
        "examples": {
            "originals": noise(6, *shape),
            "groups": np.repeat(["right", "unsure", "wrong"], 2),
            "labels": labels,
            "predictions": labels[::-1],
            "confidence": np.linspace(0, 1, 6),
        },
    }


def save(folder, files):
    for name, content in files.items():
        np.savez(folder / f"{name}.npz", allow_pickle=False, **content)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 100, 100), (1, 9, 5)])
def test_every_file_has_its_picture(shape, tmp_path):
    save(tmp_path, arrays(shape, 3))
    drawn = pictures(tmp_path, ["Κρίνο", "Łąka", "a class name that is far too long to fit below a small image"])
    assert list(drawn) == [
        "reconstructions",
        "untrained",
        "denoising",
        "by_class",
        "progress",
        "prior",
        "interpolations",
        "traversal",
        "confusion",
        "examples",
    ]
    for picture in drawn.values():
        assert picture.mode == "RGB"
        assert len(picture.getcolors(2**24)) > 10  # something is on it


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize(("dtype", "white"), [("uint8", 255), ("uint16", 65535), ("float32", 1.0)])
def test_progress_shows_images_of_every_depth_as_those_of_8_bits(dtype, white, channels, tmp_path):
    eight = torch.from_numpy(noise(4, channels, 8, 8))
    images = torch.from_numpy((eight.numpy() / 255 * white).round(6 if dtype == "float32" else 0).astype(dtype))
    found = progress(images, {5: eight, 10: eight})
    np.testing.assert_array_equal(found["originals"], eight.numpy())
    drawn = []
    for name, originals in (("now", found["originals"]), ("by an earlier version", images.numpy())):
        (tmp_path / name).mkdir()
        save(tmp_path / name, {"progress": {**found, "originals": originals}})
        drawn.append(pictures(tmp_path / name, ["a"])["progress"].tobytes())
    assert drawn[0] == drawn[1]


def test_pictures_are_made_of_what_is_there(tmp_path):
    assert pictures(tmp_path / "none", ["a"]) == {}
    files = {"reconstructions": arrays((1, 8, 8), 3)["reconstructions"]}
    del files["reconstructions"]["corrupted"], files["reconstructions"]["denoised"]
    save(tmp_path, files)
    assert list(pictures(tmp_path, ["a", "b", "c"])) == ["reconstructions", "untrained"]


def test_an_error_is_white_where_there_is_none_and_black_where_it_is_the_largest_of_all():
    originals = np.zeros((1, 3, 1, 3), np.uint8)
    network, pca = originals.copy(), originals.copy()
    network[0, :, 0, 1], pca[0, :, 0, 2] = 100, [60, 50, 40]
    found = _error_maps({"originals": originals, "network": network, "PCA": pca}, ["network", "PCA"])
    assert found["error of network"].tolist() == [[[[255, 0, 255]]]]
    assert found["error of PCA"].tolist() == [[[[255, 255, 128]]]]  # the mean over the channels: half of the largest
    assert _error_maps({"originals": originals, "PCA": originals}, ["PCA"])["error of PCA"].min() == 255


def test_pcas_error_is_that_of_its_pictures(tmp_path):
    save(tmp_path, {"reconstructions": arrays((1, 8, 8), 3)["reconstructions"]})
    illustrate(tmp_path, ["a", "b", "c"], lambda images: np.where(images < 128, images + 51, images - 51))
    assert _read(tmp_path / "reconstructions.npz")["mse of PCA"] == pytest.approx([0.04] * 6)


def test_the_promoted_samples_get_pictures_and_the_reconstructions_of_pca(tmp_path):
    save(tmp_path, arrays((1, 8, 8), 3))
    before = pictures(tmp_path, ["a", "b", "c"])
    illustrate(tmp_path, ["a", "b", "c"], lambda images: 255 - images)
    with np.load(tmp_path / "pca.npz") as pca, np.load(tmp_path / "reconstructions.npz") as network:
        assert (pca["reconstructions"] == 255 - network["originals"]).all()
        with np.load(tmp_path / "by_class.npz") as by_class:
            assert (pca["by_class"] == 255 - by_class["originals"]).all()
    with Image.open(tmp_path / "reconstructions.png") as rows, Image.open(tmp_path / "by_class.png") as by_class:
        assert rows.height > before["reconstructions"].height  # rows of PCA's and of its errors
        assert by_class.width > before["by_class"].width  # and an image of PCA's beside each
    assert {path.stem for path in tmp_path.glob("*.png")} == set(pictures(tmp_path, ["a", "b", "c"]))


def test_where_pca_has_too_few_components_there_is_no_row_of_its_own(tmp_path):
    save(tmp_path, {"reconstructions": arrays((1, 8, 8), 3)["reconstructions"]})
    illustrate(tmp_path, ["a", "b", "c"], lambda images: None)
    assert not (tmp_path / "pca.npz").exists()
    assert (tmp_path / "reconstructions.png").exists()


def test_another_network_has_a_row_of_its_own_below_pcas(tmp_path):
    save(tmp_path, {"reconstructions": arrays((1, 8, 8), 3)["reconstructions"]})
    illustrate(tmp_path, ["a", "b", "c"], lambda images: 255 - images)
    with Image.open(tmp_path / "reconstructions.png") as rows:
        before = rows.height
    other = small_networks.network("ae")
    illustrate(tmp_path, ["a", "b", "c"], lambda images: 255 - images, Beside("default, code of 4", other))
    with Image.open(tmp_path / "reconstructions.png") as rows:
        assert rows.height == before + 4 + 64 + 17  # the gap, the images, their errors
    read = _read(tmp_path / "reconstructions.npz")
    theirs = other(torch.from_numpy(read["originals"]).float() / 255).detach().numpy().clip(0, 1)
    assert np.abs(read["default, code of 4"] - 255 * theirs).max() <= 1
    errors = ((read["default, code of 4"] / 255 - read["originals"] / 255) ** 2).mean(axis=(1, 2, 3))
    assert read["mse of default, code of 4"] == pytest.approx(errors)


def test_images_are_enlarged_by_a_whole_factor_and_stand_in_rows():
    black, white = np.zeros((2, 1, 8, 8), np.uint8), np.full((2, 1, 8, 8), 128, np.uint8)
    sheet = np.asarray(draw_rows([ImageRow(black), ImageRow(white)], side=16))
    assert sheet.shape == (4 + 16 + 4 + 16 + 4, 4 + 2 * (16 + 4), 3)
    assert (sheet[4:20, 4:20] == 0).all()
    assert (sheet[24:40, 24:40] == 128).all()
    assert (sheet[20:24] == 255).all()


def test_titles_captions_and_groups_take_the_room_that_they_need():
    row = noise(2, 1, 28, 28)
    plain = draw_rows([ImageRow(row)])
    titled = draw_rows([ImageRow(row, "original")])
    captioned = draw_rows([ImageRow(row, captions=["one", "two\nlines"], marked=[False, True], apart=True)])
    assert titled.width > plain.width
    assert titled.height == plain.height
    assert captioned.width == plain.width
    assert captioned.height > plain.height + 2 * 12
    assert (0xD5, 0x5E, 0x00) in {colour for _, colour in captioned.getcolors(2**24)}


def test_a_long_title_is_cut_short():
    row = noise(2, 1, 28, 28)
    assert draw_rows([ImageRow(row, "word " * 200)]).width < draw_rows([ImageRow(row)]).width + 240


@pytest.mark.parametrize("classes", [2, 102, 400])
def test_a_confusion_matrix_of_any_size_fits_a_screen(classes):
    table = np.eye(classes, dtype=np.int64) * 7
    table[0] = 0  # a class without test images
    picture = confusion_picture(table, [f"class {index}" for index in range(classes)])
    assert 300 < picture.width < 2200
    assert 300 < picture.height < 2200
