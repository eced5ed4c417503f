"""What a child's batch norms remember of one step, in float32: there a fused operation gives their statistics."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from bench.drawn import cheap_genotype, drawn_pictures
from cells.walks.stack import CellNetwork
from nasnet.estimators.child import Child
from nasnet.estimators.config import ChildConfig
from nasnet.networks.keras_model import build, named_weights
from nasnet.networks.spec import NetworkSpec
from nasnet.training.config import TrainingConfig
from nasnet.training.statistics import reestimate

MOMENTUM = 0.25


def statistics_after_a_step(data, dtype):
    """Of each batch norm, by name, after one step on all of the training pictures; and the weights before it."""
    network = CellNetwork(cheap_genotype(), 1, 4, len(data.classes))
    spec = NetworkSpec.on(data, network, bn_momentum=MOMENTUM, bn_epsilon=1e-5)
    config = TrainingConfig(steps=1, batch_size=len(data.train), pad=0, flip=False)
    child = Child(spec, data, ChildConfig.of(config, data), seed=2, dtype=dtype)
    before = child.named_weights()
    child.run()
    return {name: value for name, value in child.named_weights().items() if "moving" in name}, before


@pytest.mark.parametrize("pictures", [1, 2])
def test_the_variance_is_the_biased_one(pictures):
    """Of pictures of 3x3 pixels, the stem's by hand: the unbiased variance is 9/8 or 18/17 of it."""
    data = drawn_pictures(3, 2, train=pictures, valid=4)
    found, before = statistics_after_a_step(data, "float32")
    mean, std = (np.array(values) for values in data.statistics)
    x = (data.train.images - mean) / std
    x = tf.nn.conv2d(x, before["stem.conv/kernel"].astype(np.float64), 1, "SAME").numpy()
    expected = MOMENTUM * 1 + (1 - MOMENTUM) * x.var((0, 1, 2))
    np.testing.assert_allclose(found["stem.bn/moving_variance"], expected, rtol=1e-5)
    np.testing.assert_allclose(found["stem.bn/moving_mean"], (1 - MOMENTUM) * x.mean((0, 1, 2)), rtol=1e-5, atol=1e-6)


def test_all_are_those_of_float64():
    """There they are plain means over a batch."""
    data = drawn_pictures(6, 2, train=2, valid=4)
    exact, _ = statistics_after_a_step(data, "float64")
    found, _ = statistics_after_a_step(data, "float32")
    assert len(found) > 10
    for name, value in exact.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_reestimated_it_sees_its_training_pictures_as_in_training(dtype):
    """One batch's statistics in the place of the moving ones: its logits are then those with the batch's own."""
    data = drawn_pictures(6, 2, train=24, valid=4)
    network = CellNetwork(cheap_genotype(), 1, 4, len(data.classes))
    spec = NetworkSpec.on(data, network, bn_momentum=0.9997, bn_epsilon=1e-5)
    config = TrainingConfig(steps=3, batch_size=8)
    child = Child(spec, data, ChildConfig.of(config, data), seed=2, dtype=dtype)
    child.run()
    images = tf.constant(data.train.images)
    expected = child.logits(images, training=True).numpy()
    assert np.abs(child.logits(images, training=False).numpy() - expected).max() > 0.1
    child.reestimate()
    np.testing.assert_allclose(
        child.logits(images, training=False), expected, rtol=0, atol=1e-4 if dtype == "float32" else 1e-11
    )


def test_reestimated_by_keras_they_are_the_same(monkeypatch):
    """Of as many of the pictures, and of the same ones: `--child=keras` checks what a search scores."""
    monkeypatch.setattr("nasnet.estimators.child.REESTIMATED_ON", 20)
    data = drawn_pictures(6, 2, train=24, valid=4)
    network = CellNetwork(cheap_genotype(), 1, 4, len(data.classes))
    spec = NetworkSpec.on(data, network, bn_epsilon=1e-5)
    child = Child(spec, data, ChildConfig.of(TrainingConfig(steps=1, batch_size=8), data), seed=2, dtype="float64")
    model = build(spec, dtype="float64")
    for name, variable in named_weights(model).items():
        variable.assign(child.named_weights()[name])
    child.reestimate()
    reestimate(model, data.train.images, batch_size=20, most=20)
    for name, variable in named_weights(model).items():
        np.testing.assert_allclose(variable, child.named_weights()[name], rtol=1e-6, atol=1e-7, err_msg=name)
