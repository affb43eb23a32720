"""The classifier family: reported layers, losses, where the encoder comes from, augmentation, calibration."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

import models
from models import _inputs, ae, classifier
from models.classifier import ARCHITECTURES, calibration_error
from models.registry import settings_of
from study.data.tensors import positions

SHAPE = (3, 8, 8)
ON_ENCODERS = {name: known.autoencoder for name, known in ARCHITECTURES.items() if known.autoencoder is not None}
# a head of 157 million parameters, layers of 1,500 channels: these are counted and checked, never run
HEAVY = ("flowers/classifier", "cifar_ae/1+1", "cifar_ae/1+2")
LIGHT_ON_ENCODERS = [name for name in ON_ENCODERS if name not in HEAVY]


def sources(architecture: str) -> tuple[str, ...]:
    return ARCHITECTURES[architecture].settings["encoder"].examples()


SOURCES = [(name, source) for name in ON_ENCODERS for source in sources(name)]


def example(architecture: str, family: str = "classifier", /, **overrides: Any) -> dict[str, Any]:
    """A small valid config without dropout, read from the architecture's settings."""
    small = {"width": 4, "latent_size": 5, "depth": 2, "dropout": 0.0, "double_softmax": False, "relu_logits": False}
    config = dict(overrides)
    for key, setting in settings_of(family, architecture).items():
        if setting.when is None or config.get(setting.when.key) in setting.when.values:
            value = config.setdefault(key, small.get(key, setting.examples()[0]))
            config[key] = value if setting.allows(value) or key in overrides else setting.examples()[0]
    return config


def shape_of(architecture: str) -> tuple[int, int, int]:
    return ARCHITECTURES[architecture].image_shape or SHAPE


def build(config: dict[str, Any], shape: tuple[int, int, int] | None = None, classes: int = 3) -> models.Network:
    torch.manual_seed(0)
    return models.build(config, shape or shape_of(config["architecture"]), classes)


def batch_of(shape: tuple[int, int, int], batch: int = 4, classes: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.rand(batch, *shape, generator=torch.Generator().manual_seed(1))
    return images, torch.arange(batch) % classes


def train_step(network: models.Network, images: torch.Tensor, labels: torch.Tensor) -> None:
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.1)
    network.train()
    network.training_loss(images, labels)[0].backward()
    optimizer.step()


def copied(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def differs(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


# ---- layers


def conv(inputs: int, outputs: int) -> int:
    return outputs * inputs * 9 + outputs


def linear(inputs: int, outputs: int) -> int:
    return outputs * inputs + outputs


def test_the_ladder_has_the_parameters_of_its_layer_lists():
    two_blocks = conv(3, 20) + conv(20, 20) + conv(20, 40) + conv(40, 40)
    third, fourth = conv(40, 80) + conv(80, 80), conv(80, 160) + conv(160, 160)
    norms = 2 * 2 * (20 + 40 + 80 + 160)  # a weight and a bias per channel, two norms per block
    counts = {
        name: models.count_parameters(example(f"cifar_cnn/{name}"), (3, 32, 32), 10)
        for name in ("A", "B", "C", "D", "E", "F", "G", "GAP")
    }
    four_blocks = two_blocks + third + fourth
    assert counts == {
        "A": 1_180,  # 140 + 230 + 810; the report says 181
        "B": conv(3, 20) + conv(20, 20) + linear(20 * 4 * 4, 10),
        "C": two_blocks + linear(40 * 8 * 8, 10),
        "D": two_blocks + linear(40 * 8 * 8, 10),
        "E": four_blocks + linear(160 * 2 * 2, 10),
        "F": four_blocks + norms + linear(160 * 2 * 2, 10),
        "G": four_blocks + norms + linear(160 * 2 * 2, 10),
        "GAP": four_blocks + norms + linear(160, 10),
    }


def kinds(module: nn.Module) -> list[str]:
    return [type(layer).__name__ for layer in module.modules() if not list(layer.children())]


def test_a_block_norms_after_the_activation_and_drops_out_after_the_pool():
    norm = ["Conv2d", "ReLU", "BatchNorm2d"]
    block = [*norm, *norm, "MaxPool2d", "Dropout"]
    assert kinds(build(example("cifar_cnn/G"))) == [*(4 * block), "Flatten", "Linear"]
    pooled = ["AdaptiveAvgPool2d", "Dropout", "Flatten", "Linear"]
    assert kinds(build(example("cifar_cnn/GAP"))) == [*(3 * block), *norm, *norm, *pooled]
    plain = ["Conv2d", "Sigmoid"]
    assert kinds(build(example("cifar_cnn/C"))) == [*(2 * [*plain, *plain, "MaxPool2d"]), "Flatten", "Linear"]
    assert kinds(build(example("cifar_cnn/A"))) == [*plain, *plain, "MaxPool2d", "Flatten", "Linear"]


@pytest.mark.parametrize("name", ["G", "GAP"])
def test_dropout_grows_along_the_reported_network(name):
    network = build(example(f"cifar_cnn/{name}"))
    assert [layer.p for layer in network.modules() if isinstance(layer, nn.Dropout)] == [0.1, 0.2, 0.3, 0.4]


def test_the_ladders_dropout_is_no_setting():
    with pytest.raises(models.ConfigError, match=r"dropout must be 0\.0, not 0\.5"):
        build(example("cifar_cnn/G") | {"dropout": 0.5})


def test_the_flowers_head_has_the_reported_layers():
    with torch.device("meta"):
        network = models.build(example("flowers/classifier", batch_norm=True), (3, 100, 100), 102)
    weights = [tuple(layer.weight.shape) for layer in network.head.modules() if isinstance(layer, nn.Linear)]
    assert weights == [(8192, 16000), (2048, 8192), (512, 2048), (102, 512)]
    maps = conv(400, 700) + conv(700, 1000)
    hidden = linear(16000, 8192) + linear(8192, 2048) + linear(2048, 512)
    norms = 2 * (700 + 1000 + 8192 + 2048 + 512)
    counted = sum(parameter.numel() for parameter in network.head.parameters())
    assert counted == maps + hidden + norms + linear(512, 102)


def test_flowers_drops_out_after_each_hidden_linear_layer_and_nowhere_else():
    config = example("flowers/classifier", batch_norm=True, dropout=0.25, encoder="pretrained")
    with torch.device("meta"):
        network = models.build(config, (3, 100, 100), 102)
    norm = ["BatchNorm2d", "ReLU"]
    hidden = ["Linear", "BatchNorm1d", "ReLU", "Dropout"]
    assert kinds(network.head) == ["Unflatten", "Conv2d", *norm, "Conv2d", *norm, "Flatten", *(3 * hidden), "Linear"]
    assert all(layer.p == 0 for layer in network.encoder.modules() if isinstance(layer, nn.Dropout))
    assert models.pretraining_config(config)["dropout"] == 0


def test_flowers_without_batch_norm_has_none():
    with torch.device("meta"):
        network = models.build(example("flowers/classifier", batch_norm=False), (3, 100, 100), 102)
    assert not [kind for kind in kinds(network) if kind.startswith("BatchNorm")]


def test_relu_on_the_logits_is_a_switch():
    images, _ = batch_of((1, 28, 28))
    plain = build(example("fashion/classifier", relu_logits=False)).eval()
    clipped = build(example("fashion/classifier", relu_logits=True)).eval()
    logits = plain(images)
    assert (logits < 0).any()
    assert torch.equal(clipped(images), logits.relu())


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if name not in HEAVY])
def test_logits_have_a_number_for_each_class_and_do_not_depend_on_the_batch(name):
    network = build(example(name)).eval()
    images, labels = batch_of(shape_of(name), 3)
    alone, among = (
        network.per_image(images[:1], labels[:1], positions(images[:1])),
        network.per_image(images, labels, positions(images)),
    )
    assert network(images[:1]).shape == (1, 3)
    assert among["labels"] is labels
    torch.testing.assert_close(alone["log_probabilities"], among["log_probabilities"][:1])


@pytest.mark.parametrize("name", HEAVY)
def test_the_largest_networks_give_a_logit_for_each_class_too(name):
    with torch.device("meta"):
        network = models.build(example(name), shape_of(name), 102).eval()
        assert network(torch.empty(1, *shape_of(name))).shape == (1, 102)


@pytest.mark.parametrize("name", ["cnn", "cifar_cnn/GAP"])
@pytest.mark.parametrize("size", [(8, 8), (9, 31), (32, 20), (18, 32)])
def test_a_network_with_average_pooling_takes_images_of_any_size(name, size):
    network = build(example(name), (3, 16, 16)).eval()  # and of another one than it was built for
    assert network(batch_of((3, *size), 1)[0]).shape == (1, 3)


@pytest.mark.parametrize("depth", [1, 3, 8])
@pytest.mark.parametrize("convolutions", [1, 2, 3])
@pytest.mark.parametrize("residual", [True, False])
def test_cnn_takes_the_smallest_images_of_its_depth(depth, convolutions, residual):
    side = 2 ** (depth - 1)
    config = example("cnn", depth=depth, convolutions=convolutions, residual=residual, width=1)
    network = build(config, (1, side, side)).eval()
    assert network(batch_of((1, side, side), 2)[0]).shape == (2, 3)
    convolved = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3)]
    assert [layer.out_channels for layer in convolved] == [
        2**stage for stage in range(depth) for _ in range(convolutions)
    ]
    if side > 1:
        with pytest.raises(models.ConfigError, match=f"depth {depth} needs images of at least {side}×{side}"):
            build(config, (1, side, side - 1))


@pytest.mark.parametrize("residual", [True, False])
def test_each_stage_of_a_cnn_but_the_first_halves_the_image_and_doubles_the_channels(residual):
    network = build(example("cnn", depth=4, residual=residual), (1, 33, 20))
    maps, shapes = batch_of((1, 33, 20), 2)[0], []
    for stage in network.encoder[1:5]:
        maps = stage(maps)
        shapes.append(tuple(maps.shape[1:]))
    assert shapes == [(4, 33, 20), (8, 17, 10), (16, 9, 5), (32, 5, 3)]


def test_gap_says_which_size_it_needs():
    with pytest.raises(models.ConfigError, match="GAP needs images of at least 8×8, not 32×7"):
        build(example("cifar_cnn/GAP"), (3, 32, 7))


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("residual", [True, False])
def test_a_deep_cnn_starts_with_signals_of_the_size_of_its_input(batch_norm, residual):
    config = example("cnn", depth=4, width=8, convolutions=3, batch_norm=batch_norm, residual=residual)
    logits = build(config, (3, 32, 32), classes=10)(batch_of((3, 32, 32), 64)[0])
    assert 0.05 < logits.std() < 5


# ---- losses


@pytest.fixture
def small() -> Any:
    def make(**overrides: Any) -> Any:
        return build(example("cnn", batch_norm=False, **overrides), SHAPE)

    return make


def test_double_softmax_is_the_cross_entropy_of_probabilities_and_leaves_them_alone(small):
    images, labels = batch_of(SHAPE)
    once, twice = small(double_softmax=False), small(double_softmax=True)
    probabilities = once.probabilities(images)
    torch.testing.assert_close(probabilities, once(images).softmax(1))
    assert torch.equal(twice.probabilities(images), probabilities)
    loss, parts = twice.training_loss(images, labels)
    expected = -probabilities.softmax(1)[range(4), labels].log().mean()
    torch.testing.assert_close(loss, expected)
    assert loss != once.training_loss(images, labels)[0]
    # what is recorded, and what is evaluated, is the cross entropy of the probabilities
    recorded = once.training_loss(images, labels)[1]["cross_entropy"]
    assert parts["cross_entropy"] == recorded
    evaluated = [network.metrics(network.per_image(images, labels, positions(images))) for network in (once, twice)]
    assert evaluated[0] == {name: value for name, value in evaluated[1].items() if name != "loss"}
    assert evaluated[0]["cross_entropy"] == pytest.approx(recorded.item(), rel=1e-5)


def test_the_loss_of_a_double_softmax_is_evaluated_too_and_only_there(small):
    """In evaluation as in training: −log of softmax(softmax(logits)) at the label, the mean over the images."""
    images, labels = batch_of(SHAPE)
    once, twice = small(double_softmax=False).eval(), small(double_softmax=True).eval()
    assert "loss" not in once.metrics(once.per_image(images, labels, positions(images)))
    values = twice.per_image(images, labels, positions(images))
    expected = -twice(images).softmax(1).log_softmax(1)[range(4), labels]
    torch.testing.assert_close(values["loss"], expected.detach())
    assert twice.metrics(values)["loss"] == pytest.approx(twice.training_loss(images, labels)[0].item(), rel=1e-6)


def test_double_softmax_cannot_reach_a_loss_of_zero(small):
    network = small(double_softmax=True)
    network.head.weight.data.zero_()
    network.head.bias.data = torch.tensor([100.0, 0.0, 0.0])
    loss, parts = network.training_loss(batch_of(SHAPE)[0], torch.zeros(4, dtype=torch.long))
    assert loss.item() == pytest.approx(math.log(math.e + 2) - 1)
    assert parts["cross_entropy"] == 0


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_label_smoothing_is_that_of_pytorch(small, smoothing):
    images, labels = batch_of(SHAPE)
    network = small(label_smoothing=smoothing)
    loss, parts = network.training_loss(images, labels)
    logits = network(images)
    torch.testing.assert_close(loss, nn.CrossEntropyLoss(label_smoothing=smoothing)(logits, labels))
    # by hand: smoothing / 3 of the target goes to each of the 3 classes
    targets = (1 - smoothing) * functional.one_hot(labels, 3) + smoothing / 3
    torch.testing.assert_close(loss, -(targets * logits.log_softmax(1)).sum(1).mean())
    torch.testing.assert_close(parts["cross_entropy"], functional.cross_entropy(logits, labels).detach())
    assert not any(part.requires_grad for part in parts.values())


def test_the_joint_loss_has_both_terms():
    images, labels = batch_of(SHAPE)
    network = build(example("conv", encoder="joint", reconstruction_weight=3.0, output_activation="sigmoid"), SHAPE)
    network.eval()
    loss, parts = network.training_loss(images, labels)
    cross_entropy = functional.cross_entropy(network(images), labels)
    mse = functional.mse_loss(network.decoder(network.encoder(images)), images)
    torch.testing.assert_close(loss, cross_entropy + 3 * mse)
    assert set(parts) == {"cross_entropy", "accuracy", "mse"}
    torch.testing.assert_close(parts["mse"], mse.detach())
    loss.backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize(("name", "source"), SOURCES)
def test_only_joint_training_has_a_decoder(name, source):
    with torch.device("meta"):
        network = models.build(example(name, encoder=source), shape_of(name), 3)
    assert (network.decoder is not None) == (source == "joint")


# ---- where the encoder comes from


@pytest.mark.parametrize("source", ["pretrained", "given"])
@pytest.mark.parametrize("training", ["frozen", "fine_tuned"])
def test_a_frozen_encoder_does_not_change_in_training_and_a_fine_tuned_one_does(source, training):
    config = example("conv", encoder=source, encoder_training=training, batch_norm=True, dropout=0.5)
    network = build(config, SHAPE)
    encoder, head = copied(network.encoder), copied(network.head)
    train_step(network, *batch_of(SHAPE))
    changed = differs(encoder, network.encoder.state_dict())
    assert differs(head, network.head.state_dict()) == set(head)
    if training == "frozen":
        assert not changed
    else:
        assert {name.split(".")[-1] for name in changed} >= {"weight", "bias", "running_mean", "running_var"}


def test_a_frozen_encoder_drops_nothing_out():
    config = example("dense", encoder="given", encoder_training="frozen", dropout=0.5, width=32)
    network, images = build(config, SHAPE), batch_of(SHAPE)[0]
    assert torch.equal(network.train()(images), network.eval()(images))
    fine_tuned = build(config | {"encoder_training": "fine_tuned"}, SHAPE)
    assert not torch.equal(fine_tuned.train()(images), fine_tuned.eval()(images))


def autoencoder_of(config: dict[str, Any], shape: tuple[int, int, int]) -> models.Network:
    """The autoencoder of a classifier's first stage, with weights and statistics of its own."""
    torch.manual_seed(7)
    network = models.build(models.pretraining_config(config), shape, 3)
    network(batch_of(shape)[0])  # in training mode, which moves batch norm's statistics
    return network.eval()


@pytest.mark.parametrize("name", LIGHT_ON_ENCODERS)
def test_an_autoencoders_encoder_gives_the_same_codes_in_its_classifier(name):
    config, shape = example(name, encoder="pretrained"), shape_of(name)
    first, second = autoencoder_of(config, shape), build(config).eval()
    images = batch_of(shape)[0]
    second.load_encoder(first.encoder_state())
    assert torch.equal(second.encoder(images), first.encode(images))


def test_the_encoder_of_a_vae_gives_its_means_in_a_classifier():
    vae = example("conv", "vae")
    torch.manual_seed(7)
    first = models.build(vae, SHAPE, 3)
    images, labels = batch_of(SHAPE)
    first.training_loss(images, labels)
    config = example("conv", **models.classifier_keys(vae), encoder="given")
    second = build(config, SHAPE).eval()
    second.load_encoder(first.encoder_state())
    torch.testing.assert_close(second.encoder(images), first.eval().encode(images))


def test_an_encoder_of_another_network_is_refused_in_one_line():
    other = build(example("conv", encoder="scratch", latent_size=6), SHAPE)
    network = build(example("conv", encoder="given"), SHAPE)
    with pytest.raises(models.ConfigError, match=r"the encoder does not fit.*size mismatch") as raised:
        network.load_encoder(other.encoder.state_dict())
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ON_ENCODERS)
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_the_first_stage_is_an_autoencoder_with_the_classifiers_layers(name, optimizer):
    own = {"pretrain_optimizer": optimizer, "pretrain_lr": 0.25, "pretrain_weight_decay": 0.125, "batch_size": 35}
    config = example(name, encoder="pretrained", optimizer="adagrad", schedule="cosine", **own)
    first = models.pretraining_config(config)
    with torch.device("meta"):
        built = models.build(first, shape_of(name), 3)  # which refuses a key too many or too few
    assert type(built) is ae.Autoencoder
    assert (first["family"], first["architecture"]) == ("ae", ON_ENCODERS[name])
    assert (first["optimizer"], first["lr"], first["weight_decay"]) == (optimizer, 0.25, 0.125)
    assert (first["schedule"], first["batch_size"]) == ("cosine", 35)
    assert ("momentum" in first) == (optimizer == "sgd")
    asked = {
        key
        for key, setting in settings_of("ae", first["architecture"]).items()
        if setting.when is None or first.get(setting.when.key) in setting.when.values
    }
    assert set(first) == asked


@pytest.mark.parametrize(("name", "source"), [(name, source) for name, source in SOURCES if source != "pretrained"])
def test_no_other_classifier_has_a_first_stage(name, source):
    config = example(name, encoder=source)
    assert models.pretraining_config(config) is None
    assert not [key for key in config if key.startswith("pretrain")]


@pytest.mark.parametrize("config", [example("cnn"), example("cifar_cnn/A"), example("conv", "ae")], ids=str)
def test_what_stands_on_no_encoder_has_no_first_stage(config):
    assert models.pretraining_config(config) is None


@pytest.mark.parametrize("autoencoder", ae.FAMILY.architectures)
def test_every_autoencoder_fixes_the_keys_of_its_classifier(autoencoder):
    keys = models.classifier_keys(example(autoencoder, "ae"))
    config = example(keys["architecture"], **keys, encoder="given")
    assert {key: config[key] for key in keys} == keys
    with torch.device("meta"):
        given = models.build(config, shape_of(keys["architecture"]), 3)
        first = models.build(example(autoencoder, "ae"), shape_of(keys["architecture"]), 3)
    own, given_state = first.encoder_state(), given.encoder.state_dict()
    assert {name: tensor.shape for name, tensor in own.items()} == {
        name: tensor.shape for name, tensor in given_state.items()
    }
    # and back: the first stage of such a classifier is that autoencoder
    again = models.pretraining_config(example(keys["architecture"], **keys, encoder="pretrained"))
    assert models.classifier_keys(again) == keys


def test_what_was_searched_about_an_autoencoders_training_fixes_nothing():
    keys = models.classifier_keys(example("conv", "ae", corruption="gaussian", dropout=0.5))
    layers = {"depth", "width", "batch_norm", "activation", "kernel_size", "residual_blocks"}
    assert set(keys) == {"architecture", "latent_size", *layers}


def test_an_encoder_without_a_classifier_is_named():
    with pytest.raises(models.ConfigError, match="encoder of vae mnist_ae/vae_cnn; there is one for dense, conv"):
        models.classifier_keys(example("mnist_ae/vae_cnn", "vae"))
    with pytest.raises(models.ConfigError, match="encoder of classifier conv"):
        models.classifier_keys(example("conv"))


@pytest.mark.parametrize("architecture", ["dense", "conv", "mnist_ae/vae"])
def test_a_classifier_takes_over_the_encoder_to_a_vaes_mean(architecture):
    config = example(architecture, "vae", dropout=0.3)
    keys = models.classifier_keys(config)
    vae = models.build(config, (1, 28, 28), 3).eval()
    classifier = models.build(example(keys["architecture"], **keys, encoder="given"), (1, 28, 28), 3).eval()
    classifier.load_encoder(vae.encoder_state())
    images = torch.rand(4, 1, 28, 28)
    torch.testing.assert_close(classifier.encoder(images), vae.encode(images))


BAD_CONFIGS = {
    "a decoder's key without one": (
        example("conv", encoder="scratch") | {"output_activation": "none"},
        "'output_activation' belongs to encoder pretrained or joint, not to scratch",
    ),
    "frozen from scratch": (
        example("conv", encoder="scratch") | {"encoder_training": "frozen"},
        "'encoder_training' belongs to encoder pretrained or given",
    ),
    "joint without a weight": (
        {k: v for k, v in example("conv", encoder="joint").items() if k != "reconstruction_weight"},
        "lacks the key 'reconstruction_weight'",
    ),
    "joint with no weight": (
        example("conv", encoder="joint") | {"reconstruction_weight": 0.0},
        "reconstruction_weight must be a number above 0",
    ),
    "momentum under Adam": (
        example("conv", encoder="pretrained", pretrain_optimizer="adam") | {"pretrain_momentum": 0.9},
        "'pretrain_momentum' belongs to pretrain_optimizer sgd or rmsprop",
    ),
    "PCA from scratch": (
        example("pca", encoder="given") | {"encoder": "scratch"},
        "encoder must be one of pretrained, given",
    ),
    "all of the target smoothed away": (example("cnn") | {"label_smoothing": 1.0}, "label_smoothing .* below 1"),
    "unknown augmentation": (example("cnn") | {"augmentation": "flip"}, "augmentation must be one of none, shift"),
}


@pytest.mark.parametrize(("config", "message"), BAD_CONFIGS.values(), ids=BAD_CONFIGS)
def test_a_bad_config_is_refused_in_one_line_that_names_it(config, message):
    with pytest.raises(models.ConfigError, match=message):
        build(config, SHAPE)


@pytest.mark.parametrize("encoder_training", ["frozen", "fine_tuned"])
def test_a_saved_classifier_gives_the_same_logits_when_loaded(encoder_training, tmp_path):
    config = example("conv", encoder="pretrained", encoder_training=encoder_training, dropout=0.5)
    network, (images, labels) = build(config, SHAPE), batch_of(SHAPE)
    train_step(network, images, labels)
    models.save(network, config, SHAPE, 3, tmp_path)
    assert torch.equal(models.load(tmp_path)(images), network.eval()(images))


# ---- augmentation


def coordinates(batch: int, channels: int, height: int, width: int) -> torch.Tensor:
    """Images whose every pixel, in every image and channel, has a value of its own."""
    return torch.arange(batch * channels * height * width, dtype=torch.float64).reshape(batch, channels, height, width)


@pytest.mark.parametrize("kind", ["shift", "shift_flip"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (3, 17, 30), (2, 31, 9), (1, 4, 4), (1, 1, 1)])
def test_augmentation_moves_pixels_within_their_image_and_channel(kind, shape):
    torch.manual_seed(0)
    images = coordinates(16, *shape)
    moved = _inputs.AUGMENTATIONS[kind](images)
    assert moved.shape == images.shape
    plane = shape[1] * shape[2]
    assert torch.equal(moved.div(plane).floor(), images.div(plane).floor())


def test_augmentation_shifts_by_at_most_an_eighth_and_mirrors_at_the_edges():
    torch.manual_seed(0)
    images = coordinates(400, 1, 16, 24)
    padded = functional.pad(images, (3, 3, 2, 2), mode="reflect")
    windows = padded.unfold(2, 16, 1).unfold(3, 24, 1)  # (400, 1, 5, 7, 16, 24): every crop of each image
    equal = (windows == _inputs.shift(images)[:, :, None, None]).all(-1).all(-1)[:, 0]
    assert equal.flatten(1).any(1).all()
    assert equal.any(0).all()  # 400 draws of 35 crops miss one with a probability of 4e-4


@pytest.mark.parametrize(("kind", "expected"), [("shift", 1 / 9), ("shift_flip", 1 / 18)])
def test_an_image_stays_as_it_is_as_often_as_expected(kind, expected):
    torch.manual_seed(0)
    images = coordinates(4000, 1, 8, 8)
    same = (_inputs.AUGMENTATIONS[kind](images) == images).flatten(1).all(1).double().mean().item()
    assert same == pytest.approx(expected, abs=4 * math.sqrt(expected / 4000))


def test_half_of_the_images_are_flipped():
    torch.manual_seed(0)
    images = coordinates(4000, 2, 4, 4)  # too small to be shifted
    moved = _inputs.shift_flip(images)
    flipped = (moved == images.flip(3)).flatten(1).all(1)
    assert ((moved == images).flatten(1).all(1) | flipped).all()
    assert flipped.double().mean().item() == pytest.approx(0.5, abs=0.04)


def test_augmentation_keeps_the_memory_format_of_the_images():
    images = torch.rand(2, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    assert _inputs.shift_flip(images).is_contiguous(memory_format=torch.channels_last)


def test_jitter_changes_each_image_in_its_own_way_and_leaves_greys_grey():
    torch.manual_seed(0)
    grey = torch.full((500, 3, 4, 4), 0.5)
    changed = _inputs.jitter(grey)
    assert torch.allclose(changed, changed[:, :1, :1, :1].expand_as(changed))
    assert 0.3 <= changed.min() < 0.32
    assert 0.68 < changed.max() <= 0.7
    two = torch.rand(500, 1, 4, 4)
    factors = (_inputs.jitter(two).std((1, 2, 3)) / two.std((1, 2, 3))).tolist()
    assert min(factors) < 0.5
    assert max(factors) > 1
    black = torch.zeros(2, 3, 4, 4)
    assert torch.equal(_inputs.jitter(black), black)


def test_cutout_covers_half_of_each_side_around_any_pixel():
    torch.manual_seed(0)
    images = torch.zeros(2000, 1, 8, 12)
    covered = _inputs.cutout(images)[:, 0] == 0.5
    rows, columns = covered.any(2).sum(1), covered.any(1).sum(1)
    assert (covered.flatten(1).sum(1) == rows * columns).all()  # a rectangle
    assert rows.max() == 4
    assert columns.max() == 6
    assert rows.min() <= 2
    assert covered.double().mean().item() == pytest.approx((7 / 16) ** 2, abs=0.01)  # ½ - ¹⁄₁₆ of each side


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_mixed_images_are_made_of_two_in_the_shares_that_their_labels_have(kind):
    torch.manual_seed(0)
    values = torch.rand(500)
    images = values[:, None, None, None].expand(-1, 3, 16, 16)
    mixed, share = _inputs.mix(kind, images)
    before = values.roll(1)
    assert torch.allclose(mixed.mean((1, 2, 3)), share * values + (1 - share) * before, atol=1e-5)
    assert 0 <= share.min() < (0.05 if kind == "mixup" else 0.25)  # no rectangle covers all but one in the middle
    assert 0.95 < share.max() <= 1
    if kind == "cutmix":
        own, other = (torch.isclose(mixed, of[:, None, None, None]) for of in (values, before))
        assert (own | other).all()
    else:
        assert torch.allclose(mixed, mixed[:, :1, :1, :1].expand_as(mixed))


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_the_loss_of_mixed_images_counts_each_label_for_its_share(kind, monkeypatch, small):
    network = small(mixing=kind, label_smoothing=0.1)
    images, labels = batch_of(SHAPE, 6)
    share = torch.linspace(0, 1, 6)
    monkeypatch.setattr(classifier, "mix", lambda kind, images: (images, share))
    loss, parts = network.training_loss(images, labels)
    scores = network.train()(images)
    smoothed = functional.one_hot(labels, 3) * 0.9 + 0.1 / 3
    wanted = share[:, None] * smoothed + (1 - share[:, None]) * smoothed.roll(1, 0)
    assert loss.item() == pytest.approx(functional.cross_entropy(scores, wanted).item(), rel=1e-5)
    assert parts["cross_entropy"].item() == pytest.approx(functional.cross_entropy(scores, labels).item(), rel=1e-5)


@pytest.mark.parametrize(
    "changes",
    [{"augmentation": "shift_flip"}, {"colour_jitter": True}, {"cutout": True}, {"mixing": "mixup"}],
    ids=lambda changes: next(iter(changes)),
)
def test_only_training_augments(changes, small):
    network = small(**changes)
    images, labels = batch_of(SHAPE)
    losses = {network.training_loss(images, labels)[0].item() for _ in range(5)}
    assert len(losses) > 1
    network.eval()
    losses = {network.training_loss(images, labels)[0].item() for _ in range(5)}
    assert len(losses) == 1


# ---- metrics


def test_a_classifier_that_is_right_as_often_as_it_says_has_no_calibration_error():
    correct = torch.tensor([True] * 3 + [False] + [True] * 9 + [False])
    confidences = torch.tensor([0.75] * 4 + [0.9] * 10, dtype=torch.float64)
    assert calibration_error(confidences, correct) == pytest.approx(0)


def test_calibration_error_weighs_the_gaps_of_the_bins():
    confidences = torch.tensor([1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5], dtype=torch.float64)
    correct = torch.tensor([False, False, True, True, True, True, True, False])
    # two predictions, sure and wrong: a gap of 1; six at 0.5, five of them right: a gap of 1/3
    assert calibration_error(confidences, correct) == pytest.approx(2 / 8 * 1 + 6 / 8 * (5 / 6 - 1 / 2))


def test_gaps_of_a_bin_cancel_and_those_of_two_bins_do_not():
    confidences, correct = torch.tensor([0.55, 0.65], dtype=torch.float64), torch.tensor([True, False])
    assert calibration_error(confidences, correct, bins=1) == pytest.approx(0.1)
    assert calibration_error(confidences, correct, bins=5) == pytest.approx((0.45 + 0.65) / 2)


def test_a_confidence_on_an_edge_belongs_to_the_bin_below():
    confidences, correct = torch.tensor([0.4, 0.5], dtype=torch.float64), torch.tensor([True, False])
    assert calibration_error(confidences, correct, bins=2) == pytest.approx(0.1 / 2)


def test_metrics_are_those_of_the_whole_split(small):
    network = small().eval()
    images, labels = batch_of(SHAPE, 6)
    halves = [
        network.per_image(images[part], labels[part], positions(images[part])) for part in (slice(0, 2), slice(2, 6))
    ]
    values = {name: torch.cat([half[name] for half in halves]) for name in halves[0]}
    metrics = network.metrics({**values, "log_probabilities": values["log_probabilities"].double()})
    with torch.no_grad():
        probabilities = network.probabilities(images)
        expected = functional.cross_entropy(network(images), labels)
    assert set(metrics) == {"accuracy", "cross_entropy", "calibration_error"}
    assert metrics["accuracy"] == (probabilities.argmax(1) == labels).double().mean()
    assert metrics["cross_entropy"] == pytest.approx(expected.item(), rel=1e-5)


# ---- learning


LEARNING = {
    "cnn": example("cnn", width=8, residual=True, batch_norm=True, augmentation="shift"),
    "cnn without batch norm": example("cnn", width=8, residual=False, batch_norm=False),
    "GAP": example("cifar_cnn/GAP"),
    "joint": example("conv", encoder="joint", reconstruction_weight=1.0, width=8),
    "dense": example("dense", encoder="scratch", width=32, label_smoothing=0.1),
}


@pytest.mark.parametrize("config", LEARNING.values(), ids=LEARNING)
def test_classifiers_learn_which_corner_is_bright(config):
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(64) % 2
    images = 0.3 * torch.rand(64, 3, 8, 8, generator=generator)
    images[labels == 0, :, :4, :4] += 0.6
    images[labels == 1, 0] += 0.5  # and a colour, for networks that average over the pixels
    network = build(config, SHAPE, classes=2)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(40):
        optimizer.zero_grad()
        network.training_loss(images, labels)[0].backward()
        optimizer.step()
    metrics = network.eval().metrics(network.per_image(images, labels, positions(images)))
    assert metrics["accuracy"] == 1
    assert metrics["cross_entropy"] < 0.3
