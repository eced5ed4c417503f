"""VGG-16 and ResNet-50 against keras.applications: the same drawn weights, the same logits, in float64."""

from __future__ import annotations

import re

import keras
import numpy as np
import pytest

from cells.count import count
from cells.zoo.resnet import ResNet
from cells.zoo.vgg import VGG16
from tests.support.weights import read_by_functions

CLASSES = 5


@pytest.fixture
def in_float64():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_dtype_policy(before)


def theirs_of(make, image_shape, seed):
    """Their network, and its weights by layer and role: all drawn, for fresh ones are mostly zeros and ones."""
    model = make(weights=None, input_shape=image_shape, classes=CLASSES, classifier_activation=None)
    rng, values = np.random.default_rng(seed), {}
    for layer in model.layers:
        for variable in layer.weights:
            shape = tuple(variable.shape)
            if variable.name in ("gamma", "moving_variance"):
                value = rng.uniform(0.5, 1.5, shape)
            else:
                value = rng.standard_normal(shape, np.float32) / np.sqrt(max(1.0, np.prod(shape[:-1])))
            values[f"{layer.name}/{variable.name}"] = value.astype(np.float64)
            variable.assign(values[f"{layer.name}/{variable.name}"])
    return model, values


def same_logits(architecture, values, theirs, image_shape, epsilon=None):
    """With these weights by our names."""
    counts = count(architecture, image_shape)
    assert {weight.name: weight.shape for weight in counts.weights} == {k: v.shape for k, v in values.items()}
    # Their input stays float32 under every policy.
    pictures = np.random.default_rng(0).standard_normal((2, *image_shape), np.float32).astype(np.float64)
    expected = np.asarray(theirs(pictures))
    assert 1e-2 < np.std(expected) < 1e6
    found = read_by_functions(architecture, counts, values, pictures, epsilon=epsilon).logits
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9 * np.abs(expected).max())


def test_vgg16(in_float64):
    """One definition. Their layers: block1_conv1, ..., fc1, fc2, predictions."""
    image_shape = (64, 32, 3)
    theirs, values = theirs_of(keras.applications.VGG16, image_shape, seed=1)

    def our_name(name):
        name = re.sub(r"^block(\d)_conv(\d)/", r"block_\1.conv_\2/", name)
        return re.sub(r"^fc(\d)/", r"fc_\1.dense/", name).replace("predictions/", "head.dense/")

    ours = {our_name(name): value for name, value in values.items()}
    same_logits(VGG16(CLASSES), ours, theirs, image_shape)


def test_resnet50(in_float64):
    """Where the definitions differ, and how that is bridged:

    - A bottleneck's stride is on its first convolution, as in the paper: our resnet50_2015.
    - Convolutions have biases in front of batch norm: taken off its moving mean, which is the same function.
    - Batch norm's epsilon is 1.001e-5: that of the reading (a spec's `bn_epsilon`).
    """
    image_shape = (41, 64, 3)
    theirs, values = theirs_of(keras.applications.ResNet50, image_shape, seed=2)
    places = [(stage, block) for stage, blocks in enumerate((3, 4, 6, 3), 2) for block in range(1, blocks + 1)]

    def our_name(layer):
        if layer in ("conv1_conv", "conv1_bn"):
            return layer.replace("conv1_", "stem.")
        stage, block, number, kind = re.fullmatch(r"conv(\d)_block(\d)_(\d)_(conv|bn)", layer).groups()
        name = f"block_{places.index((int(stage), int(block))) + 1}"
        return f"{name}.shortcut.{kind}" if number == "0" else f"{name}.{kind}_{number}"

    ours = {}
    for name, value in values.items():
        layer, role = name.split("/")
        if layer == "predictions":
            ours[f"head.dense/{role}"] = value
        elif role == "moving_mean":
            ours[f"{our_name(layer)}/{role}"] = value - values[f"{layer.removesuffix('bn')}conv/bias"]
        elif role != "bias":
            ours[f"{our_name(layer)}/{role}"] = value
    same_logits(ResNet(CLASSES, stride_on="1x1"), ours, theirs, image_shape, epsilon=1.001e-5)
