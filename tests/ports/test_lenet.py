"""LeNet-5 written once more, with NumPy and with PyTorch: the same weights, the same logits."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from cells.zoo.lenet import LeNet5, LeNet5Of1998, codes
from nasnet.networks.keras_model import build, named_weights
from nasnet.networks.readings.functions import Functions
from nasnet.networks.spec import NetworkSpec

# Table I of LeCun et al. 1998, a row a map of S2, an X a map of C3 that reads it.
TABLE = (
    "X...XXX..XXXX.XX",
    "XX...XXX..XXXX.X",
    "XXX...XXX..X.XXX",
    ".XXX..XXXX..X.XX",
    "..XXX..XXXX.XX.X",
    "...XXX..XXXX.XXX",
)


def reading(network, height, width, channels=1, seed=0):
    """Its weights by name, drawn; pictures whitened and raw; its logits of both readings that compute."""
    rng = np.random.default_rng(seed)
    names, shape = tuple(map(str, range(network.classes))), (height, width, channels)
    model = build(NetworkSpec(network, names, shape, (100.0,) * channels, (80.0,) * channels), dtype="float64")
    weights = {name: rng.normal(0, 0.3, variable.shape) for name, variable in named_weights(model).items()}
    for name, variable in named_weights(model).items():
        variable.assign(weights[name])
    pictures = rng.integers(0, 256, (3, height, width, channels)).astype(np.float64)
    whitened = (pictures - 100.0) / 80.0
    functions = Functions({name: tf.constant(value) for name, value in weights.items()}, 0.0, training=False)
    logits = network.walk(functions, tf.constant(whitened)).logits.numpy()
    np.testing.assert_allclose(logits, model(pictures), rtol=0, atol=1e-9 * np.abs(logits).max())
    return weights, whitened, logits


def convolved(x, kernel, bias):
    """VALID, of one picture `[height, width, channels]`, place by place."""
    size = kernel.shape[0]
    out = np.empty((x.shape[0] - size + 1, x.shape[1] - size + 1, kernel.shape[3]))
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            window = x[row : row + size, column : column + size]
            out[row, column] = np.tensordot(window, kernel, 3) + bias
    return out


def quartered(x):
    """The mean of every 2x2 pixels; an odd row or column is left out."""
    rows, columns = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2
    x = x[:rows, :columns]
    return (x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]) / 4


def lenet5(w, x):
    for conv in ("conv_1.conv", "conv_2.conv"):
        x = quartered(np.maximum(convolved(x, w[f"{conv}/kernel"], w[f"{conv}/bias"]), 0))
    x = x.reshape(-1)
    for layer in ("fc_1.dense", "fc_2.dense"):
        x = np.maximum(x @ w[f"{layer}/kernel"] + w[f"{layer}/bias"], 0)
    return x @ w["head.dense/kernel"] + w["head.dense/bias"]


def squash(x):
    return 1.7159 * np.tanh(2 * x / 3)


def lenet5_1998(w, x, classes):
    def subsampled(x, name):
        return squash(quartered(x) * w[f"{name}.scale/kernel"].reshape(-1) + w[f"{name}.scale/bias"])

    x = subsampled(squash(convolved(x, w["c1.conv/kernel"], w["c1.conv/bias"])), "s2")
    maps = []
    for index in range(16):
        read = [row for row in range(6) if TABLE[row][index] == "X"]
        maps.append(convolved(x[..., read], w[f"c3.map_{index}/kernel"], w[f"c3.map_{index}/bias"]))
    x = subsampled(squash(np.concatenate(maps, 2)), "s4").reshape(-1)
    x = squash(x @ w["c5.dense/kernel"] + w["c5.dense/bias"])
    x = squash(x @ w["head.f6/kernel"] + w["head.f6/bias"])
    return -np.array([np.sum((x - code) ** 2) for code in np.array(codes(classes, 84))])


@pytest.mark.parametrize(("height", "width", "channels"), [(32, 32, 1), (28, 33, 3)])
def test_lenet5_is_that_of_numpy(height, width, channels):
    weights, pictures, logits = reading(LeNet5(10), height, width, channels)
    np.testing.assert_allclose(logits, [lenet5(weights, x) for x in pictures], rtol=0, atol=1e-9)


@pytest.mark.parametrize(("height", "width", "classes"), [(32, 32, 10), (17, 28, 47)])
def test_lenet5_of_1998_is_that_of_numpy(height, width, classes):
    weights, pictures, logits = reading(LeNet5Of1998(classes), height, width)
    np.testing.assert_allclose(logits, [lenet5_1998(weights, x, classes) for x in pictures], rtol=0, atol=1e-9)


def test_lenet5_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    nn = torch.nn
    net = nn.Sequential(
        *(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    ).double()
    assert sum(parameter.numel() for parameter in net.parameters()) == 61_706
    weights, pictures, logits = reading(LeNet5(10), 32, 32)
    layers = {"conv_1.conv": 0, "conv_2.conv": 3, "fc_1.dense": 7, "fc_2.dense": 9, "head.dense": 11}
    for name, place in layers.items():
        kernel = weights[f"{name}/kernel"]
        if name == "fc_1.dense":  # PyTorch flattens with the channels first
            kernel = kernel.reshape(5, 5, 16, 120).transpose(2, 0, 1, 3).reshape(400, 120)
        turned = kernel.transpose(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T
        net[place].weight.data = torch.tensor(np.ascontiguousarray(turned))
        net[place].bias.data = torch.tensor(weights[f"{name}/bias"])
    theirs = net(torch.tensor(pictures.transpose(0, 3, 1, 2))).detach().numpy()
    np.testing.assert_allclose(logits, theirs, rtol=0, atol=1e-9)
