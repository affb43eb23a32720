"""Every architecture of the registry on awkward shapes, the reported networks' layers, the files on disk."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch
from model_examples import build, example, images_of
from torch import nn

import models
from models import cnn
from models._config import When
from models.conv import ResidualBlock
from models.flowers import InverseMaxPool2d
from models.registry import settings_of
from study.data.tensors import positions

AWKWARD_SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 100, 100), (3, 17, 30), (2, 31, 9)]
CLASSES = 10
ARCHITECTURES = [(family, name) for family, spec in models.FAMILIES.items() for name in spec.architectures]
CASES = [
    pytest.param(family, name, shape, id=f"{family}-{name}-{'x'.join(map(str, shape))}")
    for family, name in ARCHITECTURES
    for shape in AWKWARD_SHAPES
    if models.FAMILIES[family].architectures[name].image_shape in (None, shape)
]
# layers of 1,500 channels, or 159 million parameters: seconds on a laptop, so they run without numbers
SLOW = {"cifar_ae/1+1", "cifar_ae/1+2", "flowers/classifier"}

DENSE = example("ae", "dense", depth=2)
CONV = example("ae", "conv", depth=2)
LINEAR = example("ae", "dense", depth=0, latent_size=3, output_activation="none")


def output_shape(family: str, shape: tuple[int, int, int]) -> tuple[int, ...]:
    return (CLASSES,) if family == "classifier" else shape


@pytest.mark.parametrize(("family", "name", "shape"), CASES)
def test_every_architecture_has_its_output_shape_and_trains(family, name, shape):
    device = "meta" if name in SLOW else "cpu"
    config = example(family, name)
    with torch.device(device):
        network = build(config, shape)
        images, labels = images_of(shape, 3).to(device), torch.zeros(3, dtype=torch.long)
        assert network(images).shape == (3, *output_shape(family, shape))
        loss, parts = network.training_loss(images, labels)
        loss.backward()
    assert loss.shape == ()
    assert not any(part.requires_grad or part.shape for part in parts.values())
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    assert trained
    assert all(parameter.grad is not None for parameter in trained)
    if device != "meta":
        assert all(parameter.grad.isfinite().all() for parameter in trained)


@pytest.mark.parametrize(("family", "name", "shape"), CASES)
def test_a_batch_of_one_gives_what_it_gives_among_others(family, name, shape):
    if name in SLOW:
        pytest.skip("seconds per image; its small siblings have the same kinds of layers")
    network, images = build(example(family, name), shape).eval(), images_of(shape, 3)
    labels = torch.zeros(3, dtype=torch.long)
    assert network(images[:1]).shape == (1, *output_shape(family, shape))
    alone = network.per_image(images[:1], labels[:1], positions(images[:1]))
    among = network.per_image(images, labels, positions(images))
    for metric, values in among.items():
        assert len(values) == 3
        torch.testing.assert_close(alone[metric], values[:1])


@pytest.mark.parametrize(("family", "name"), ARCHITECTURES)
def test_every_value_that_a_setting_gives_as_an_example_is_taken(family, name):
    shape = models.FAMILIES[family].architectures[name].image_shape or (3, 32, 32)
    settings = settings_of(family, name)
    for key, setting in settings.items():
        # a depth of 0 takes no dropout
        needed = {"depth": 1} if "depth" in settings and key != "depth" else {}
        condition = setting.when
        while condition is not None:
            if condition.key != "depth":
                needed[condition.key] = condition.values[0]
            condition = settings[condition.key].when
        for value in setting.examples():
            config = example(family, name, **{**needed, key: value})
            assert models.count_parameters(config, shape, CLASSES) > 0


@pytest.mark.parametrize(("family", "name"), [case for case in ARCHITECTURES if case[0] != "classifier"])
def test_codes_have_the_latent_size(family, name):
    shape = models.FAMILIES[family].architectures[name].image_shape or (1, 28, 28)
    config = example(family, name)
    with torch.device("meta"):
        codes = build(config, shape).encode(torch.empty(2, *shape))
    assert codes.shape == (2, config["latent_size"])


@pytest.mark.parametrize("depth", range(1, 6))
@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize("size", [(32, 32), (33, 47), (63, 36)])
def test_conv_gives_back_any_size_at_any_depth(depth, kernel_size, size):
    network = build(example("ae", "conv", depth=depth, kernel_size=kernel_size), (1, *size)).eval()
    assert network(images_of((1, *size), 1)).shape == (1, 1, *size)


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize(("family", "name"), [("ae", "conv"), ("ae", "pca"), ("vae", "conv")])
def test_residual_blocks_change_nothing_at_first_and_learn(family, name, batch_norm):
    torch.manual_seed(0)
    with_blocks = build(example(family, name, batch_norm=batch_norm, residual_blocks=2), (3, 16, 16))
    blocks = [module for module in with_blocks.modules() if isinstance(module, ResidualBlock)]
    stacks = 3 if name == "pca" else 2  # the encoder, and up, or down and up
    assert len(blocks) == 2 * stacks * example(family, name)["depth"]
    maps = images_of((blocks[0].branch[0].in_channels, 8, 8), 4)
    assert torch.equal(blocks[0](maps), maps)
    loss, _ = with_blocks.training_loss(images_of((3, 16, 16), 8), torch.zeros(8).long())
    loss.backward()
    if name == "pca":  # what follows its blocks starts at zero, and gets gradients only then
        return
    assert all(block.gain.grad.abs() > 0 for block in blocks)


def test_further_blocks_of_a_cnn_keep_the_maps_and_their_shortcut():
    one, three = (build(example("classifier", "cnn", residual=True, blocks=n), (3, 16, 16)) for n in (1, 3))
    stages = example("classifier", "cnn")["depth"]
    blocks = [module for module in three.modules() if isinstance(module, cnn.Residual)]
    assert len(blocks) == 3 * stages
    assert sum(isinstance(block.shortcut, torch.nn.Identity) for block in blocks) == 2 * stages
    assert one(images_of((3, 16, 16), 2)).shape == three(images_of((3, 16, 16), 2)).shape
    maps = images_of((8, 4, 4), 2)
    assert torch.equal(blocks[1](maps), blocks[1].activation(blocks[1].branch(maps) + maps))


def conv(inputs: int, outputs: int, kernel: int) -> int:
    return outputs * (inputs * kernel * kernel) + outputs


def linear(inputs: int, outputs: int) -> int:
    return outputs * inputs + outputs


CIFAR_ENCODERS = {
    1: conv(3, 1500, 2) + conv(1500, 500, 2) + conv(500, 64, 2) + linear(64 * 6 * 6, 108),
    2: conv(3, 7, 2) + conv(7, 15, 2) + conv(15, 3, 2),
}
# a transposed convolution has as many weights, and a bias per output channel
CIFAR_TRANSPOSED = conv(3, 15, 3) + conv(15, 32, 4) + conv(32, 3, 6)
CIFAR_DECODERS = {1: linear(108, 108) + CIFAR_TRANSPOSED, 2: CIFAR_TRANSPOSED}
FLOWERS_DOWN = conv(3, 16, 3) + conv(16, 64, 3) + conv(64, 144, 3) + conv(144, 256, 3) + conv(256, 400, 3)
FLOWERS_UP = conv(400, 256, 3) + conv(256, 144, 3) + conv(144, 64, 3) + conv(64, 16, 3) + conv(16, 3, 3)
FLOWERS_NORMS = 2 * (16 + 64 + 144 + 256 + 400) + 2 * (256 + 144 + 64 + 16)  # a scale and a shift per channel
COUNTS = {
    **{
        (f"cifar_ae/{e}+{d}", ()): CIFAR_ENCODERS[e] + CIFAR_DECODERS[d] for e in CIFAR_ENCODERS for d in CIFAR_DECODERS
    },
    ("mnist_ae/dense", (("hidden_size", 400), ("latent_size", 20))): (
        linear(784, 400) + linear(400, 20) + linear(20, 400) + linear(400, 784)
    ),
    ("flowers/ae", (("batch_norm", False),)): FLOWERS_DOWN + FLOWERS_UP,
    ("flowers/ae", (("batch_norm", True),)): FLOWERS_DOWN + FLOWERS_UP + FLOWERS_NORMS,
    **{
        ("fashion/ae", (("latent_size", n),)): (
            *(conv(1, 16, 3), conv(16, 32, 3), linear(800, n)),
            *(linear(n, 800), conv(32, 16, 5), conv(16, 1, 4)),
        )
        for n in (64, 256)
    },
}


@pytest.mark.parametrize(("name", "settings", "expected"), [(*case, count) for case, count in COUNTS.items()], ids=str)
def test_reported_autoencoders_have_the_parameters_of_their_layer_lists(name, settings, expected):
    expected = sum(expected) if isinstance(expected, tuple) else expected
    shape = models.FAMILIES["ae"].architectures[name].image_shape
    assert models.count_parameters(example("ae", name, **dict(settings)), shape, CLASSES) == expected


def test_the_counts_are_those_of_the_reports():
    assert COUNTS["cifar_ae/2+2", ()] == 12_300  # 91 + 435 + 183, 420 + 7,712 + 3,459
    assert {name for name, _ in COUNTS} == {name for family, name in ARCHITECTURES if family == "ae" and "/" in name}


def heights(part: nn.Module, kinds: tuple[type[nn.Module], ...], run: Any) -> list[int]:
    """The heights that layers of these kinds put out while `run()` is called."""
    seen: list[int] = []
    hooks = [
        layer.register_forward_hook(lambda _layer, _inputs, output: seen.append(output.shape[2]))
        for layer in part.modules()
        if isinstance(layer, kinds)
    ]
    run()
    for hook in hooks:
        hook.remove()
    return seen


CIFAR_SIZES = ([32, 33, 17, 18, 10, 11, 6], [6, 9, 14, 32])
SIZES = {
    **{f"cifar_ae/{kind}": CIFAR_SIZES for kind in ("1+1", "1+2", "2+1", "2+2")},
    "flowers/ae": ([100, 100, 50, 50, 25, 25, 13, 13, 7, 7, 4], [4, 7, 7, 13, 13, 25, 25, 50, 50, 100, 100]),
    "fashion/ae": ([28, 26, 13, 11, 5], [5, 13, 28]),
}


@pytest.mark.parametrize("name", SIZES)
def test_reported_autoencoders_pass_through_the_reported_sizes(name):
    shape = models.FAMILIES["ae"].architectures[name].image_shape
    with torch.device("meta"):
        network = build(example("ae", name), shape)
        images = torch.empty(1, *shape)
    down = heights(network.encoder, (nn.Conv2d, nn.MaxPool2d), lambda: network.encode(images))
    kinds = (nn.Unflatten, nn.ConvTranspose2d, nn.Conv2d, InverseMaxPool2d)
    up = heights(network.decoder, kinds, lambda: network.decode(network.encode(images)))
    assert ([shape[1], *down], up) == SIZES[name]


def test_counting_allocates_nothing():
    config = {**DENSE, "width": 10_000_000, "depth": 3}
    assert models.count_parameters(config, (3, 32, 32), 10) > 10**14


def test_count_is_that_of_the_built_network():
    built = sum(parameter.numel() for parameter in build(CONV).parameters())
    assert models.count_parameters(CONV, (3, 32, 32), 10) == built


def without(config: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name != key}


BAD_CONFIGS = {
    "unknown key": ({**CONV, "widht": 3}, "'widht' .*did you mean width"),
    "key of another architecture": ({**DENSE, "kernel_size": 3}, "'kernel_size' for architecture dense"),
    "missing key": (without(CONV, "width"), "lacks the key 'width'"),
    "missing training key": (without(CONV, "lr"), "lacks the key 'lr'"),
    "no family": (without(CONV, "family"), "lacks the key 'family'"),
    "no architecture": (without(CONV, "architecture"), "lacks the key 'architecture'"),
    "unknown family": ({**CONV, "family": "a"}, "unknown family 'a'"),
    "unknown architecture": ({**CONV, "architecture": "cnv"}, "did you mean conv"),
    "unhashable architecture": ({**CONV, "architecture": ["conv"]}, "unknown architecture"),
    "empty code": ({**CONV, "latent_size": 0}, "latent_size must be a whole number of at least 1, not 0"),
    "fraction of a number": ({**CONV, "latent_size": 2.5}, "latent_size .*not 2.5"),
    "bool for a number": ({**CONV, "latent_size": True}, "latent_size .*not True"),
    "number for a bool": ({**CONV, "batch_norm": 1}, "batch_norm .*not 1"),
    "impossible probability": ({**CONV, "dropout": 1.5}, "dropout .*below 1, not 1.5"),
    "unknown activation": ({**CONV, "activation": "rlu"}, "activation must be one of relu.*'rlu'"),
    "no learning rate": ({**CONV, "lr": 0.0}, "lr must be a number above 0"),
    "NaN": ({**CONV, "lr": math.nan}, "lr .*not nan"),
    "momentum under Adam": ({**CONV, "momentum": 0.9}, "'momentum' belongs to optimizer sgd or rmsprop"),
    "no momentum under SGD": ({**CONV, "optimizer": "sgd"}, "lacks the key 'momentum'"),
    "too deep": ({**CONV, "depth": 6}, "depth 6 needs images of at least 64×64, not 32×32"),
    "hidden settings without hidden layers": ({**LINEAR, "width": 8}, "'width' belongs to depth 1"),
    "dropout without hidden layers": ({**LINEAR, "dropout": 0.1}, "dropout must be 0 at depth 0"),
    "another code size than reported": (
        {**example("ae", "cifar_ae/1+1"), "latent_size": 64},
        "latent_size must be 108, not 64",
    ),
}


@pytest.mark.parametrize(("config", "message"), BAD_CONFIGS.values(), ids=BAD_CONFIGS)
def test_a_bad_config_is_refused_in_one_line_that_names_it(config, message):
    with pytest.raises(models.ConfigError, match=message) as raised:
        build(config)
    assert "\n" not in str(raised.value)


SLIPS = [
    (lambda: models.OneOf("ok", "nan", "raise"), r"OneOf\(...\) takes all of its values in one tuple, .* not 'ok'"),
    (lambda: models.OneOf("ok"), "takes all of its values in one tuple"),
    (lambda: models.OneOf(("ok",), "nan"), r"when of OneOf\(...\) is When\(key, values\), not 'nan'"),
    (lambda: When("optimizer", "sgd"), r"in one tuple, When\('key', \('sgd', ...\)\), not 'sgd'"),
    (lambda: When(("sgd",), ("a",)), "When takes a key of the config"),
    (lambda: models.Number("1"), "takes two numbers, not '1'"),
    (lambda: models.Number(1, 10, 2), "whole of Number.* is True or False, not 2"),
    (lambda: models.Number(0, when="sgd"), r"when of Number\(...\)"),
]


@pytest.mark.parametrize(("setting", "message"), SLIPS)
def test_a_setting_that_is_written_wrongly_names_the_slip(setting, message):
    with pytest.raises(TypeError, match=message):
        setting()


def test_an_architecture_says_which_image_shape_it_needs():
    with pytest.raises(models.ConfigError, match="2\\+2 needs images of 3×32×32, not 1×28×28"):
        build(example("ae", "cifar_ae/2+2"), (1, 28, 28))


@pytest.mark.parametrize("shape", [(28, 28), (1, 0, 28), (1, 28.0, 28)])
def test_an_impossible_image_shape_is_refused(shape):
    with pytest.raises(models.ConfigError, match="channels, height, width"):
        build(DENSE, shape)


@pytest.mark.parametrize("name", ["dense", "conv", "pca", "cifar_ae/2+1"])
def test_a_saved_network_gives_the_same_outputs_when_loaded(name, tmp_path):
    config = example("ae", name, dropout=0.5, **({"depth": 2} if "/" not in name else {}))
    network, images = build(config), images_of((3, 32, 32), 4)
    network(images)  # moves batch norm's running statistics, which are part of the state
    models.save(network, config, (3, 32, 32), 10, tmp_path / "best")
    loaded = models.load(tmp_path / "best")
    assert not loaded.training
    assert torch.equal(loaded(images), network.eval()(images))
    assert sorted(path.name for path in (tmp_path / "best").iterdir()) == ["config.json", "model.pt"]


def test_the_config_file_holds_what_build_takes(tmp_path):
    models.save(build(CONV), CONV, (3, 32, 32), 10, tmp_path)
    described = json.loads((tmp_path / "config.json").read_text())
    assert described == {"config": CONV, "image_shape": [3, 32, 32], "num_classes": 10}


def test_a_failed_save_leaves_the_earlier_network(tmp_path, monkeypatch):
    models.save(build(CONV), CONV, (3, 32, 32), 10, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full_disk(state: object, file: Any) -> None:
        file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="No space"):
        models.save(build(DENSE), DENSE, (3, 32, 32), 10, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


class Payload:
    """What a hostile checkpoint would run; `weights_only` must refuse it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("ran",))


DAMAGE = {
    "no JSON": ("config.json", b"{", "config.json describes no network"),
    "no object": ("config.json", b"[]", "config.json describes no network"),
    "missing entry": ("config.json", b"{}", "config.json lacks the entry 'image_shape'"),
    "truncated state": ("model.pt", b"PK\x03\x04", "model.pt is damaged"),
    "empty state": ("model.pt", b"", "model.pt is damaged"),
}


@pytest.mark.parametrize(("name", "content", "message"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_named(name, content, message, tmp_path):
    models.save(build(CONV), CONV, (3, 32, 32), 10, tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(models.ConfigError, match=message) as raised:
        models.load(tmp_path)
    assert "\n" not in str(raised.value)


def test_a_damaged_config_names_its_file_and_value(tmp_path):
    models.save(build(CONV), {**CONV, "activation": "rlu"}, (3, 32, 32), 10, tmp_path)
    with pytest.raises(models.ConfigError, match=r"config\.json describes no network: activation .*'rlu'"):
        models.load(tmp_path)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.99])
def test_a_state_that_is_cut_off_is_damaged_wherever_it_ends(share, tmp_path):
    models.save(build(CONV), CONV, (3, 32, 32), 10, tmp_path)
    whole = (tmp_path / "model.pt").read_bytes()
    (tmp_path / "model.pt").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(models.ConfigError, match=r"model\.pt is damaged or no state dict") as refused:
        models.load(tmp_path)
    assert "Errno" not in str(refused.value)


@pytest.mark.parametrize("state", [{"encoder.1.weight": torch.zeros(2)}, torch.zeros(2)], ids=["keys", "kind"])
def test_a_state_of_another_network_is_refused(state, tmp_path):
    models.save(build(CONV), CONV, (3, 32, 32), 10, tmp_path)
    torch.save(state, tmp_path / "model.pt")
    with pytest.raises(models.ConfigError, match="does not fit"):
        models.load(tmp_path)


def test_loading_runs_no_code_from_the_file(tmp_path, capsys):
    models.save(build(CONV), CONV, (3, 32, 32), 10, tmp_path)
    torch.save(Payload(), tmp_path / "model.pt")
    with pytest.raises(models.ConfigError, match="damaged or no state dict"):
        models.load(tmp_path)
    assert "ran" not in capsys.readouterr().out


def test_a_missing_network_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        models.load(tmp_path / "nowhere")


@pytest.mark.parametrize("config", [DENSE, CONV], ids=["dense", "conv"])
def test_the_general_networks_learn(config):
    """Blobs at random places: a few dozen steps must get far below the mean image's error.

    Without a sigmoid: on images that are mostly black, trained in one batch, squared error drives a
    convolutional network's sigmoid into saturation, whatever the initialisation.
    """
    generator = torch.Generator().manual_seed(0)
    centres = 4 + 8 * torch.rand(64, 2, 1, generator=generator)
    axis = torch.arange(16.0)
    rows, columns = (torch.exp(-((axis - centres[:, i]) ** 2) / 8) for i in range(2))
    images = (rows[:, :, None] * columns[:, None, :])[:, None]
    labels = torch.zeros(64, dtype=torch.long)
    mean_image_mse = images.var(0, correction=0).mean()
    network = build({**config, "width": 16, "batch_norm": False, "output_activation": "none"}, (1, 16, 16))
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(150):
        optimizer.zero_grad()
        network.training_loss(images, labels)[0].backward()
        optimizer.step()
    reached = network.eval().per_image(images, labels, positions(images))["mse"].mean()
    assert reached < 0.3 * mean_image_mse
