"""Networks in other programs' formats: the same outputs for any batch, or one line and no file."""

import json

import pytest
import torch
from model_examples import build, example
from recorded_studies import record, write_study

import models
from models import registry
from study import export
from study.evaluation import exporting
from study.record import kept
from study.record.errors import UsageError
from study.record.events import Finished
from study.record.folder import StudyFolder

FORMATS = sorted(exporting.FORMATS)
NEEDED = {"onnx": "onnxruntime", "safetensors": "safetensors", "torch.export": "torch"}
ARCHITECTURES = [(family, name) for family, spec in registry.BUILT_IN.items() for name in spec.architectures]
# Layers of 1,500 channels, or 159 million parameters: the same layers as others that are exported here.
LARGE = {"cifar_ae/1+1", "cifar_ae/1+2", "flowers/classifier"}


def shape_of(family, name):
    return models.FAMILIES[family].architectures[name].image_shape or (1, 8, 8)


def saved(folder, family, name):
    """Save a network as a study does, with running means that are not those of a new one."""
    shape, config = shape_of(family, name), example(family, name)
    torch.manual_seed(0)
    network = build(config, shape)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)):
                layer.running_mean.normal_()
                layer.running_var.uniform_(0.5, 2)
    models.save(network, config, shape, 10, folder)
    return models.load(folder), shape


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("family", "name"),
    [pytest.param(*one, marks=pytest.mark.slow) if one[1] not in ("dense", "cnn") else one for one in ARCHITECTURES],
)
def test_every_architecture_is_the_same_network_in_every_format(family, name, kind, tmp_path, capsys):
    pytest.importorskip(NEEDED[kind])
    if name in LARGE:
        pytest.skip("too large for the memory of a test")
    network, shape = saved(tmp_path / "net", family, name)
    file = tmp_path / "out" / "net.file"
    assert export.main([str(tmp_path / "net"), "--to", kind, "--out", str(file)]) == 0
    assert str(file) in capsys.readouterr().out
    assert [path.name for path in file.parent.iterdir()] == ["net.file"]
    images = torch.rand(7, *shape)
    with torch.inference_mode():
        if family == "classifier":
            expected = {"probabilities": network.probabilities(images)}
        else:
            expected = {"reconstructions": network(images), "codes": network.encode(images)}
    found = exporting.FORMATS[kind].outputs(file, images)
    assert set(found) == set(expected)
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=1e-5, atol=1e-5)
    single = exporting.FORMATS[kind].outputs(file, images[:1])
    torch.testing.assert_close(single[key], value[:1], rtol=1e-5, atol=1e-5)


def test_a_studys_network_that_is_cut_off_is_named_with_what_makes_it_again(tmp_path, capsys):
    folder = StudyFolder(write_study(tmp_path, "night", []))
    saved(folder.best, "classifier", "cnn")
    record(folder, Finished({"best": None}, kept.of_study(folder)))
    path = folder.best / "model.pt"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 9 // 10])
    words = ["night", "--storage", str(tmp_path), "--to", "torch.export", "--out", str(tmp_path / "night.pt2")]
    assert export.main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    again = f"made again by: {folder.resume_command()}"
    assert line.endswith(f"{path} is damaged or no state dict: it is cut off; {again}")


def test_a_file_says_what_its_network_is_and_is_given(tmp_path):
    onnx = pytest.importorskip("onnx")
    saved(tmp_path / "best", "classifier", "cnn")
    about = {"class_names": ["kατ", "dog", *"cdefghij"], "pixels": "uint16", "value_range": [0, 4095]}
    (tmp_path / "study.json").write_text(json.dumps({"data": about}))
    assert export.main([str(tmp_path / "best"), "--to", "onnx", "--out", str(tmp_path / "net.onnx")]) == 0
    said = {entry.key: entry.value for entry in onnx.load(tmp_path / "net.onnx").metadata_props}
    assert json.loads(said["classes"]) == about["class_names"]
    assert (said["pixels"], json.loads(said["value_range"])) == ("uint16", [0.0, 4095.0])
    assert json.loads(said["config"])["architecture"] == "cnn"


def test_what_differs_from_the_network_is_not_kept(tmp_path, monkeypatch):
    network, shape = saved(tmp_path / "net", "ae", "dense")
    before = tmp_path / "net.pt2"
    before.write_text("of before")
    wrong = exporting.Format(".pt2", exporting.FORMATS["torch.export"].write, lambda path, images: {
        "reconstructions": network(images) + 1e-3, "codes": network.encode(images)
    })  # fmt: skip
    monkeypatch.setattr(exporting, "FORMATS", {"torch.export": wrong})
    with pytest.raises(UsageError, match=r"differs from the network by 1\.0e-03; it is not kept"):
        exporting.export(network, shape, "torch.export", before, {})
    assert before.read_text() == "of before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net", "net.pt2"]


class Branching(models.Network):
    """Goes another way for bright images, which no graph can follow."""

    def forward(self, images):
        return images if images.mean() > 0.5 else -images

    def encode(self, images):
        return images.flatten(1)

    def decode(self, codes):
        return codes


@pytest.mark.parametrize("kind", ["onnx", "torch.export"])
def test_a_network_that_cannot_be_exported_is_one_line(kind, tmp_path):
    pytest.importorskip(NEEDED[kind])
    with pytest.raises(UsageError, match=f"--to {kind}: this network cannot be exported: ") as caught:
        exporting.export(Branching(), (1, 8, 8), kind, tmp_path / "net", {})
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["night"], "--to FORMAT is needed: onnx, torch.export, safetensors"),
        (["night", "--to", "tflite"], "--to"),
        (["night", "--to", "torch.export"], "NAME 'night': there is no study in results"),
        (
            ["results/night", "--to", "torch.export"],
            "results/night holds no network: there is no results/night/c",
        ),
    ],
)
def test_bad_input_is_one_line(argv, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert export.main(argv) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_a_missing_package_is_named(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert export.main(["night", "--to", "onnx"]) == 2
    assert "needs onnx, onnxscript, onnxruntime: pip install -e '.[export]'" in capsys.readouterr().err
