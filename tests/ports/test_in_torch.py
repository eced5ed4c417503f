"""Hand-made networks against their writing in PyTorch, where that is installed: the same weights, float64."""

from __future__ import annotations

import numpy as np
import pytest

from cells.count import count
from cells.zoo.googlenet import GoogLeNet
from cells.zoo.resnet import CifarResNet, ResNet
from cells.zoo.vgg import VGG16
from tests.support.weights import drawn_weights, read_by_functions

torch = pytest.importorskip("torch")
in_torch = pytest.importorskip("tests.ports.in_torch")

CLASSES, SHARE = 5, 8
CASES = {
    "vgg16": (VGG16(CLASSES, 1 / SHARE), 64, lambda pixels: in_torch.VGG(CLASSES, pixels, SHARE)),
    "googlenet": (GoogLeNet(CLASSES, 1 / SHARE), 128, lambda pixels: in_torch.GoogLeNet(CLASSES, pixels, SHARE)),
    "resnet18": (
        ResNet(CLASSES, 1 / SHARE, 18),
        64,
        lambda _: in_torch.ResNet(CLASSES, (2, 2, 2, 2), share=SHARE),
    ),
    "resnet50": (
        ResNet(CLASSES, 1 / SHARE, 50),
        45,
        lambda _: in_torch.ResNet(CLASSES, (3, 4, 6, 3), bottleneck=True, share=SHARE),
    ),
    "resnet20": (CifarResNet(CLASSES), 32, lambda _: in_torch.ResNet(CLASSES, (3, 3, 3))),
    "resnet56": (CifarResNet(CLASSES, depth=56), 15, lambda _: in_torch.ResNet(CLASSES, (9, 9, 9))),
}


@pytest.mark.parametrize("name", CASES)
def test_logits_are_pytorchs(name):
    network, pixels, write = CASES[name]
    auxiliary = name == "googlenet"
    shape = (pixels, pixels, 3)
    counts = count(network, shape, auxiliary=auxiliary)
    weights = drawn_weights(counts, seed=pixels)
    pictures = np.random.default_rng(pixels).normal(size=(2, *shape))
    outputs = read_by_functions(network, counts, weights, pictures, auxiliary=auxiliary)
    module = in_torch.load(write(pixels), weights)
    with torch.no_grad():
        theirs = module(torch.from_numpy(pictures.transpose(0, 3, 1, 2)))
    theirs = theirs if auxiliary else (theirs,)
    for found, expected in zip((outputs.logits, *outputs.auxiliary_logits), theirs, strict=True):
        scale = float(expected.abs().max())
        assert 1e-2 < float(expected.std()) < 1e6
        np.testing.assert_allclose(np.asarray(found), expected.numpy(), rtol=0, atol=1e-9 * scale)
