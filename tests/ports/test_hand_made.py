"""GoogLeNet's and the residual networks' walks against a port of the papers in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from cells.count import count
from cells.zoo.googlenet import GoogLeNet
from cells.zoo.resnet import NETWORKS, STAGES, CifarResNet
from tests.ports import hand_made
from tests.support.weights import drawn_weights, read_by_functions


def ours_and_weights(network, image_shape, *, seed, auxiliary=False):
    counts = count(network, image_shape, auxiliary=auxiliary)
    weights = drawn_weights(counts, seed)
    pictures = np.random.default_rng(seed + 1).normal(size=(2, *image_shape))
    outputs = read_by_functions(network, counts, weights, pictures, auxiliary=auxiliary)
    return outputs, hand_made.Weights(weights, network.batch_norm[1]), pictures


def same(found, expected):
    assert 1e-2 < np.std(expected) < 1e4
    np.testing.assert_allclose(np.asarray(found), expected, rtol=0, atol=1e-10 * np.abs(expected).max())


def checked(weights):
    """Every weight has been asked for."""
    assert weights.used == weights.values.keys()


@pytest.mark.parametrize(("depth", "image_shape"), [(20, (8, 8, 3)), (20, (9, 7, 1)), (14, (28, 28, 1))])
def test_residual_networks_for_cifar(depth, image_shape):
    network = CifarResNet(5, 0.25, depth)
    outputs, weights, pictures = ours_and_weights(network, image_shape, seed=depth)
    same(outputs.logits, hand_made.cifar_resnet(weights, pictures, (depth - 2) // 6))
    checked(weights)


@pytest.mark.parametrize(
    ("name", "image_shape", "strides"),
    [
        ("resnet18", (32, 32, 3), (2, 1)),
        ("resnet34", (35, 29, 1), (2, 1)),
        ("resnet50", (33, 40, 3), (1, 2, 1)),
        ("resnet50_2015", (33, 40, 3), (2, 1, 1)),
    ],
)
def test_residual_networks_for_imagenet(name, image_shape, strides):
    network = NETWORKS[name](5, 1 / 16)
    outputs, weights, pictures = ours_and_weights(network, image_shape, seed=len(name))
    same(outputs.logits, hand_made.imagenet_resnet(weights, pictures, STAGES[network.depth], strides))
    checked(weights)


@pytest.mark.parametrize(("image_shape", "auxiliary"), [((32, 48, 3), False), ((75, 70, 1), True)])
def test_googlenet(image_shape, auxiliary):
    outputs, weights, pictures = ours_and_weights(GoogLeNet(5, 1 / 16), image_shape, seed=3, auxiliary=auxiliary)
    logits, heads = hand_made.googlenet(weights, pictures, auxiliary)
    same(outputs.logits, logits)
    assert len(outputs.auxiliary_logits) == len(heads) == 2 * auxiliary
    for found, expected in zip(outputs.auxiliary_logits, heads, strict=True):
        same(found, expected)
    checked(weights)


def test_an_inception_module_of_the_published_width():
    """3a of table 1: 192 channels in, 64 + 128 + 32 + 32 out."""
    outputs, weights, _ = ours_and_weights(GoogLeNet(5), (32, 32, 3), seed=4)
    before = np.asarray(outputs.endpoints["stem"].value)
    found = np.asarray(outputs.endpoints["inception_3a"].value)
    assert (before.shape, found.shape) == ((2, 4, 4, 192), (2, 4, 4, 256))
    same(found, hand_made.inception(weights, before, "inception_3a"))
