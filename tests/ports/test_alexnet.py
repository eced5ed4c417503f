"""AlexNet written once more with PyTorch: the same weights, the same logits; and built once as large as published."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cells.zoo.alexnet import AlexNet, AlexNetOf2012
from nasnet.networks.keras_model import build, named_weights
from nasnet.networks.spec import NetworkSpec
from tests.support.slow import some_now


def spec_of(network, side):
    classes = tuple(map(str, range(network.classes)))
    return NetworkSpec(network, classes, (side, side, 3), (120.0,) * 3, (70.0,) * 3)


@pytest.mark.parametrize("network", some_now([AlexNet(1000), AlexNetOf2012(1000)], slow=[AlexNetOf2012(1000)]))
def test_the_keras_model_has_as_many_parameters_as_published(network):
    model = build(spec_of(network, network.image_shape[0]))
    found = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    assert found == {"alexnet": 61_100_840, "alexnet_2012": 60_965_224}[network.kind]


def reading(network, side):
    """Its weights by name, drawn, as PyTorch has them; whitened pictures, channels first; its logits."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    model = build(spec_of(network, side), dtype="float64")
    drawn = {}
    for name, variable in named_weights(model).items():
        deviation = 1.0 if name.endswith("bias") else math.sqrt(2 / math.prod(variable.shape[:-1]))
        drawn[name] = rng.normal(0, deviation, variable.shape)
        variable.assign(drawn[name])
    channels = sum(value.size for name, value in drawn.items() if name.startswith("conv_5") and name.endswith("bias"))
    units = drawn["fc_1.dense/bias"].size
    pixels = math.isqrt(len(drawn["fc_1.dense/kernel"]) // channels)
    by_pixel = drawn["fc_1.dense/kernel"].reshape(pixels, pixels, channels, units)
    drawn["fc_1.dense/kernel"] = by_pixel.transpose(2, 0, 1, 3).reshape(-1, units)
    order = {1: (0,), 2: (1, 0), 4: (3, 2, 0, 1)}
    weights = {name: torch.tensor(value.transpose(order[value.ndim]).copy()) for name, value in drawn.items()}
    pictures = rng.integers(0, 256, (2, side, side, 3)).astype(np.float64)
    whitened = torch.tensor(((pictures - 120.0) / 70.0).transpose(0, 3, 1, 2))
    return weights, whitened, np.asarray(model(pictures))


def dense_layers(weights, x):
    torch = pytest.importorskip("torch")

    x = torch.flatten(x, 1)
    for name in ("fc_1.dense", "fc_2.dense"):
        x = torch.relu(torch.nn.functional.linear(x, weights[f"{name}/kernel"], weights[f"{name}/bias"]))
    return torch.nn.functional.linear(x, weights["head.dense/kernel"], weights["head.dense/bias"]).numpy()


@pytest.mark.parametrize("side", [224, 100])
def test_alexnet_is_that_of_pytorch(side):
    """torchvision's, but for its average to 6x6 pixels: of 224 it has no effect."""
    weights, x, logits = reading(AlexNet(1000, width=0.125), side)
    functional = pytest.importorskip("torch").nn.functional
    for name, stride, padding in (("conv_1", 4, 2), ("conv_2", 1, 2), *((f"conv_{i}", 1, 1) for i in (3, 4, 5))):
        x = functional.conv2d(x, weights[f"{name}/kernel"], weights[f"{name}/bias"], stride, padding).relu()
        if name in ("conv_1", "conv_2", "conv_5"):
            x = functional.max_pool2d(x, 3, 2)
    if side == 224:
        assert functional.adaptive_avg_pool2d(x, (6, 6)).equal(x)
    np.testing.assert_allclose(logits, dense_layers(weights, x), rtol=0, atol=1e-9)


def test_alexnet_of_2012_is_that_of_pytorch():
    """Grouped convolutions; PyTorch's response normalisation divides alpha by the 5 channels."""
    weights, x, logits = reading(AlexNetOf2012(1000, width=0.125), 227)
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional

    def both(name, role):
        return torch.cat([weights[f"{name}.tower_{tower}/{role}"] for tower in (1, 2)])

    for name, stride, padding, groups in (
        *(("conv_1", 4, 0, 1), ("conv_2", 1, 2, 2)),
        *(("conv_3", 1, 1, 1), ("conv_4", 1, 1, 2), ("conv_5", 1, 1, 2)),
    ):
        kernel, bias = both(name, "kernel"), both(name, "bias")
        x = functional.conv2d(x, kernel, bias, stride, padding, groups=groups).relu()
        if name in ("conv_1", "conv_2"):
            x = functional.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2.0)
        if name in ("conv_1", "conv_2", "conv_5"):
            x = functional.max_pool2d(x, 3, 2)
    np.testing.assert_allclose(logits, dense_layers(weights, x), rtol=0, atol=1e-9)
