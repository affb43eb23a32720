"""What MLflow's `python_function` of a network answers: to images as people have them, as `study predict` does."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from small_networks import CONFIGS, TRAINING, network
from study_processes import environment, prepare

import models
import search_spaces
from study import predict
from study.data.image_data import Trained, load
from study.evaluation.served import SERVING, Served
from study.record.errors import DataError
from study.tracking import mlflow_client

NAMES = ("cat", "dog", "label", "an owl")


def left(folder: Path, family: str = "classifier", shape: tuple[int, int, int] = (3, 8, 8), **images: object) -> Path:
    """Save a network as a study leaves it, and return its folder."""
    about = Trained(class_names=NAMES, **images).to_json()
    config = {**CONFIGS[family], **TRAINING}
    models.save(network(family, shape), config, shape, len(NAMES), folder / "best", images=about)
    return folder / "best"


def pixels(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def file_of(array: np.ndarray, kind: str = "PNG") -> bytes:
    with io.BytesIO() as file:
        Image.fromarray(array).save(file, kind)
        return file.getvalue()


def text_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


def printed(best: Path, content: bytes, folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, float]:
    """Return what `study predict` says of a file: the probability of each class, or the error as `mse`."""
    file = folder / "asked"
    file.write_bytes(content)
    assert predict.main(["--model", str(best), str(file)]) == 0
    said = capsys.readouterr().out
    classes = {f"probability.{name}": float(value) / 100 for value, name in re.findall(r"([\d.]+) %  (.+)", said)}
    return classes or {"mse": float(re.search(r"MSE ([\d.]+)", said)[1])}


def npy(array: np.ndarray) -> bytes:
    with io.BytesIO() as file:
        np.save(file, array)
        return file.getvalue()


FILES = {
    "png": file_of(pixels(21, 13, 3)),
    "jpeg": file_of(pixels(9, 30, 3), "JPEG"),
    "grey": file_of(pixels(8, 8)),
    "transparent": file_of(pixels(12, 12, 4)),
    "npy": npy(pixels(10, 11, 3)),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("family", ["classifier", "ae", "vae"])
def test_a_file_is_answered_as_study_predict_answers_it_in_every_form(family, kind, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    best, content = left(tmp_path, family), FILES[kind]
    expected = printed(best, content, tmp_path, capsys)
    served = Served(best)
    text = text_of(content)
    wrapped = "\n".join(
        text[start : start + 76] for start in range(0, len(text), 76)
    )  # as the command base64 prints it
    forms = [content, bytearray(content), text, wrapped, [content], np.array([content], object), np.array([text])]
    forms += [pd.DataFrame({"image": [form]}) for form in (content, text)]
    for form in forms:
        (answer,) = served.predict(form).to_dict("records")
        assert {name: answer[name] for name in expected} == pytest.approx(expected, abs=1e-6)
    if family == "classifier":
        assert list(answer) == ["label", *(f"probability.{name}" for name in NAMES)]
        assert f"probability.{answer['label']}" == max(expected, key=expected.get)
        assert sum(answer[name] for name in expected) == pytest.approx(1)
    else:
        assert list(answer) == ["mse", "reconstruction", "codes"]
        assert (answer["reconstruction"].shape, answer["codes"].shape) == ((8, 8, 3), (10,))
        assert answer["reconstruction"].min() >= 0
        assert answer["reconstruction"].max() <= 1


@pytest.mark.parametrize("shape", [(21, 23, 3), (3, 21, 23), (3, 8, 8), (21, 23), (21, 23, 1)])
def test_an_array_is_answered_as_the_npy_of_it(shape, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    best, array = left(tmp_path), pixels(*shape)
    expected = printed(best, npy(array), tmp_path, capsys)
    served = Served(best)
    for form in (array, [array], pd.DataFrame({"image": [array]}), *([array[None]] if len(shape) == 3 else [])):
        (answer,) = served.predict(form).to_dict("records")
        assert {name: answer[name] for name in expected} == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("channels", "kind"),
    [(1, "png"), (1, "transparent"), (2, "png"), (4, "png"), (4, "transparent"), (2, "grey"), (1, "npy"), (5, "npy")],
)
@pytest.mark.parametrize("images", [{}, {"dtype": np.dtype(np.uint16)}, {"value_range": (0.0, 300.0)}], ids=str)
def test_channels_are_those_of_the_network_or_said(channels, kind, images, tmp_path):
    asked_of = Served(left(tmp_path, "ae", (channels, 8, 8), **images))
    if channels == 1 and kind != "npy":  # as Pillow makes it grey
        assert asked_of.predict(FILES[kind])["reconstruction"][0].shape == (8, 8, 1)
        return
    has = 1 if kind == "grey" else 3
    with pytest.raises(DataError, match=f"^image 1 has {has} channels; the network takes {channels}$"):
        asked_of.predict(FILES[kind])


def test_a_network_of_low_images_of_many_channels_gives_its_example(tmp_path):
    """Two rows of five channels would be read as two channels."""
    assert SERVING.example(left(tmp_path, "ae", (5, 2, 8)))["mse"].notna().all()


def test_a_reconstruction_and_its_codes_are_those_of_the_image_that_was_given(tmp_path):
    best, images = left(tmp_path, "ae"), pixels(5, 8, 8, 3)
    answer = Served(best).predict(images)
    model, given = models.load(best), torch.tensor(images).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        expected, codes = model(given).clamp(0, 1), model.encode(given)
    torch.testing.assert_close(torch.tensor(np.stack(answer["reconstruction"])), expected.permute(0, 2, 3, 1))
    torch.testing.assert_close(torch.tensor(np.stack(answer["codes"])), codes)
    assert answer["mse"].tolist() == pytest.approx((expected - given).square().mean((1, 2, 3)).tolist())


def test_several_images_of_any_size_keep_their_order_and_a_frame_its_index(tmp_path):
    served = Served(left(tmp_path))
    images = [pixels(*size, 3, seed=seed) for seed, size in enumerate([(8, 8), (8, 8), (30, 9), (8, 8), (5, 40)])]
    together = served.predict(pd.DataFrame({"image": images}, index=[*"vwxyz"]))
    assert list(together.index) == [*"vwxyz"]
    alone = pd.concat([served.predict(image) for image in images])
    assert list(alone["label"]) == list(together["label"])
    np.testing.assert_allclose(alone.iloc[:, 1:], together.iloc[:, 1:], atol=1e-6)
    assert together["probability.cat"].nunique() == len(images)


def test_images_of_different_sizes_go_in_at_their_own_where_the_network_takes_any(tmp_path):
    entry = search_spaces.reported()["cifar_cnn/GAP"]
    model = models.build(entry.config, entry.image_shape, entry.num_classes).eval()
    models.save(model, entry.config, entry.image_shape, entry.num_classes, tmp_path)
    images = [pixels(48, 36, 3), pixels(32, 32, 3), pixels(20, 64, 3)]
    answer = Served(tmp_path).predict(images)
    with torch.no_grad():
        expected = [model.probabilities(torch.tensor(image).permute(2, 0, 1)[None] / 255)[0] for image in images]
    torch.testing.assert_close(torch.tensor(answer.iloc[:, 1:].to_numpy()).float(), torch.stack(expected))


def test_a_file_is_read_as_its_training_image_was_where_those_were_scaled(tmp_path):
    """The network takes any size, but an image twice as large is another one to it."""
    folder = tmp_path / "photos"
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for number in range(3):
            image = pixels(48, 64, 3, seed=number + 3 * (name == "dog"))
            Image.fromarray(image).save(folder / name / f"{number}.png")
    data = load(str(folder), tmp_path, image_size=32)
    entry = search_spaces.reported()["cifar_cnn/GAP"]
    model = models.build(entry.config, data.image_shape, data.num_classes).eval()
    best = tmp_path / "best"
    models.save(model, entry.config, data.image_shape, data.num_classes, best, images=data.trained.to_json())
    files = [path.read_bytes() for path in sorted(folder.rglob("*.png"))]
    images = np.concatenate([split.images for split in data.splits.values()])
    with torch.no_grad():
        expected = model.probabilities(torch.tensor(images) / 255).numpy()
    found = Served(best).predict(files).iloc[:, 1:].to_numpy()
    np.testing.assert_allclose(np.sort(found, 0), np.sort(expected, 0), atol=1e-6)  # the splits have them in any order


@pytest.mark.parametrize("family", ["classifier", "ae"])
@pytest.mark.parametrize("none", [[], np.empty((0, 8, 8, 3), np.uint8), pd.DataFrame({"image": []})])
def test_no_images_are_no_rows_of_the_same_columns(family, none, tmp_path):
    served = Served(left(tmp_path, family))
    answer = served.predict(none)
    assert answer.empty
    assert list(answer) == list(served.predict(pixels(8, 8, 3)))


def test_depth_and_range_are_those_of_the_training_images(tmp_path):
    best = left(tmp_path, "ae", (1, 8, 8), dtype=np.dtype(np.uint16), value_range=(0.0, 4095.0))
    image = np.full((8, 8), 4095, np.uint16)
    (mse,) = Served(best).predict(image)["mse"]
    with torch.no_grad():
        expected = (models.load(best)(torch.ones(1, 1, 8, 8)).clamp(0, 1) - 1).square().mean().item()
    assert mse == pytest.approx(expected)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (pd.DataFrame({"picture": [b""], "image": [b""]}), "has the one column 'image'; this one has: picture, image"),
        ([FILES["png"], FILES["png"][:100]], "image 2 cannot be read as an image"),
        ([b""], "image 1 cannot be read as an image (it is empty)"),
        ("cat.png", "image 1 is text that is not the Base64 of a file"),
        (text_of(b"no image"), "image 1 cannot be read as an image; its content is of no format that is read here"),
        ([3], "image 1 is a int; an image is an array of numbers, the bytes of a file"),
        ([None], "image 1 is a NoneType"),
        (np.array([FILES["png"]]), "cuts the zeros off a file's end: use a list, or dtype=object"),
        (np.array([[1, "a"]], object), "image 1 is an array of object"),
        (np.zeros((8, 8, 3)), "image 1 has pixels of float64 (NumPy float64, 3 channels); the network was trained on"),
        (np.zeros(8, np.uint8), "image 1 has the shape (8,)"),
        (np.zeros((1, 1, 8, 8, 3), np.uint8), "image 1 has the shape (1, 1, 8, 8, 3)"),
        (
            np.zeros((2, 30, 40), np.uint8),
            "an array (2, 30, 40) is one image of 2 channels, not 3; several grey images",
        ),
        (np.zeros((2, 30, 40, 5), np.uint8), "image 1 has 5 channels"),
    ],
)
def test_what_is_no_image_is_named_in_one_line(given, words, tmp_path):
    with pytest.raises(DataError, match=re.escape(words)) as caught:
        Served(left(tmp_path)).predict(given)
    assert "\n" not in str(caught.value)
    assert "/tmp" not in str(caught.value)


def logged(folder: Path, best: Path) -> mlflow.entities.LoggedModel:
    """Store a network in an MLflow of its own as a study does."""
    prepare(folder)
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    client = mlflow_client.connect(uri)
    experiment = mlflow_client.experiment_id(client, "digits", folder / "artifacts")
    mlflow_client.log_model(client, uri, client.create_run(experiment).info.run_id, best, SERVING)
    (found,) = client.search_logged_models([experiment])
    return found


# Asks a model about images in a Python of its own, which with "alone" sees the project in the model's folder only.
ASKED = """
import importlib.util, json, pathlib, pickle, sys
import mlflow
uri, database, given, out, where, config = sys.argv[1:]
if where == "alone":
    sys.path[:] = [path for path in sys.path if path and not (pathlib.Path(path) / "search_spaces").is_dir()]
    sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in repr(finder)]
    assert not any(map(importlib.util.find_spec, ("models", "search_spaces", "study")))
mlflow.set_tracking_uri(database)
images = pickle.loads(pathlib.Path(given).read_bytes())
answers = [mlflow.pyfunc.load_model(uri, model_config=json.loads(config)).predict(image) for image in images]
import models
if where == "alone":
    assert pathlib.Path(models.__file__).parts[-3] == "code", models.__file__
pathlib.Path(out).write_bytes(pickle.dumps(answers))
"""


def forms_of(content: bytes) -> list[object]:
    """Return every form of images, at which MLflow looks before the network does."""
    array = pixels(21, 13, 3)
    frames = [pd.DataFrame({"image": [form] * 2}, index=[7, 9]) for form in (content, text_of(content), array)]
    return [content, text_of(content), [content, array], array, array[None], np.array([content], object), *frames]


def asked(folder: Path, uri: str, images: list[object], where: str, config: str = "{}") -> list[pd.DataFrame]:
    given, out = folder / "given.pickle", folder / "answers.pickle"
    pd.to_pickle(images, given)
    words = [uri, f"sqlite:///{folder / 'mlflow.db'}", str(given), str(out), where, config]
    command = [sys.executable, "-c", ASKED, *words]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return pd.read_pickle(out)


@pytest.mark.parametrize(("family", "where"), [("classifier", "alone"), ("ae", "alone"), ("ae", "beside")])
def test_mlflow_gives_the_same_answers_in_another_python(family, where, tmp_path):
    best = left(tmp_path, family)
    model = logged(tmp_path, best)
    assert not list((tmp_path / "artifacts").rglob("__pycache__"))  # before a Python runs the code that lies there
    images = forms_of(FILES["png"])
    served = Served(best)
    for image, answer in zip(images, asked(tmp_path, model.model_uri, images, where), strict=True):
        expected = served.predict(image)
        assert list(answer) == list(expected)
        assert list(answer.index) == list(expected.index)
        for column in expected:
            found, wanted = (np.stack(frame[column].to_numpy()) for frame in (answer, expected))
            if column == "label":
                assert found.tolist() == wanted.tolist()
            else:
                np.testing.assert_allclose(found, wanted, atol=1e-6)
    signature = mlflow.models.get_model_info(model.model_uri).signature
    assert signature.outputs.input_names() == list(served.predict(images[0]))
