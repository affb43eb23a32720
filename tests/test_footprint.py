"""The count of activations, made without a forward pass of numbers, against one with them."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from model_examples import build, example, images_of
from torch import nn

import models

# seconds per image, or gigabytes of weights; their siblings have the same kinds of layers
LARGE = {"cifar_ae/1+1", "cifar_ae/1+2", "flowers/classifier"}
CASES = [
    pytest.param(family, name, shape, id=f"{family}-{name}-{'x'.join(map(str, shape))}")
    for family, spec in models.FAMILIES.items()
    for name, architecture in spec.architectures.items()
    if name not in LARGE
    for shape in ([architecture.image_shape] if architecture.image_shape else [(3, 32, 32), (1, 17, 30)])
]


def layers(part: nn.Module) -> list[nn.Module]:
    return [layer for layer in part.modules() if not any(layer.children())]


@pytest.mark.parametrize(("family", "name", "shape"), CASES)
def test_activations_are_what_the_layers_put_out_for_one_image(family, name, shape):
    config = example(family, name)
    network, images = build(config, shape).eval(), images_of(shape, 1)
    sizes: list[int] = []
    for layer in layers(network):
        layer.register_forward_hook(lambda _layer, _inputs, output: sizes.append(output.numel()))
    with torch.inference_mode():
        network(images)
    assert models.count_activations(config, shape, 10) == sum(sizes)


def test_a_joint_classifier_counts_its_decoder():
    joint = example("classifier", "conv", encoder="joint")
    alone = {**joint, "encoder": "scratch"}
    del alone["reconstruction_weight"], alone["output_activation"]
    autoencoder = build(example("ae", "conv", output_activation=joint["output_activation"])).eval()
    sizes: list[int] = []
    for layer in layers(autoencoder.decoder):
        layer.register_forward_hook(lambda _layer, _inputs, output: sizes.append(output.numel()))
    autoencoder(images_of((3, 32, 32), 1))
    counts = [models.count_activations(config, (3, 32, 32), 10) for config in (joint, alone)]
    assert counts[0] - counts[1] == sum(sizes)


def test_counting_activations_allocates_nothing():
    config = example("ae", "conv", width=1_000_000)
    assert models.count_activations(config, (3, 32, 32), 10) > 10**8


PROGRAM = """
import sys
import optuna
import models, search_spaces

optuna.logging.set_verbosity(optuna.logging.ERROR)
for name in search_spaces.names():
    space = search_spaces.get(name)
    context = search_spaces.Context(space.image_shape, len(space.data.class_names))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
    drawn = [space.suggest(study.ask(), context) for _ in range(20)]
    for config in [point.config for point in space.points(context)] + drawn:
        about = (config, context.image_shape, context.num_classes)
        assert models.count_parameters(*about) > 0
        assert models.count_activations(*about) > 0
        assert not {"torch._dynamo", "torch.fx.experimental.symbolic_shapes"} & sys.modules.keys(), config
"""


def test_no_network_that_is_searched_needs_the_compiler_to_be_sized():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
