"""Random chains in all readings: the same weights, logits and gradients in float64."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest
import tensorflow as tf

from bench.drawn import drawn_pictures
from cells.count import count
from cells.spaces.chain import ChainSpace
from cells.walks.chain import ChainNetwork
from nasnet.data.dataset import Split
from nasnet.estimators.child import Child
from nasnet.estimators.config import ChildConfig
from nasnet.networks.keras_model import build, named_weights
from nasnet.networks.spec import NetworkSpec
from nasnet.training.config import TrainingConfig
from nasnet.training.metrics import cross_entropy
from tests.estimators.test_primitives import assembled, same
from tests.support.chains import drawn_chain
from tests.support.slow import some_now

CHAINS = 30


def drawn(seed):
    """Of three, two of any kind and one of the layer-wise space."""
    rng = random.Random(seed)
    if seed % 3:
        return drawn_chain(rng)
    space = ChainSpace(5, strides=True, scale=0.1, pool_at=(2,), start_layers=5)
    tokens = (int(rng.random() < 0.4) if d.anchor is not None else rng.randrange(d.size) for d in space.decisions)
    return space.decode(tuple(tokens))


def child_of(seed):
    """A child in float64 with drawn weights, on noise of 9x12 or 12x9 pixels, and what it trains on."""
    height, width, channels = (9, 12, 1 + seed % 3) if seed % 2 else (12, 9, 1 + seed % 3)
    data = drawn_pictures(12, channels, train=8, valid=4, classes=3, seed=seed)
    splits = [Split(split.images[:, :height, :width], split.labels) for split in (data.train, data.valid)]
    data = dataclasses.replace(data, image_shape=(height, width, channels), train=splits[0], valid=splits[1])
    network = ChainNetwork(drawn(seed), 3)
    spec = NetworkSpec(network, data.classes, data.image_shape, (120.0,) * channels, (70.0,) * channels)
    config = ChildConfig.of(TrainingConfig(steps=3, batch_size=8, pad=0, flip=False), data)
    child = Child(spec, data, config, seed=seed, dtype="float64")
    child.weights.assign(np.random.default_rng(seed).normal(size=child.weights.shape))
    child.statistics.assign(np.random.default_rng(seed).uniform(0.5, 2.0, size=child.statistics.shape))
    return child, data.train


def keras_twin(child, **options):
    """The Keras model with the child's weights."""
    model = build(child.spec, dtype="float64", **options)
    weights = child.named_weights()
    assert weights.keys() == named_weights(model).keys()
    for name, variable in named_weights(model).items():
        variable.assign(weights[name])
    return model


@pytest.mark.parametrize("seed", some_now(range(CHAINS), slow=range(10, CHAINS)))
def test_weights_and_logits_are_the_same(seed):
    child, train = child_of(seed)
    model = keras_twin(child)
    counted = count(child.spec.architecture, child.spec.image_shape)
    assert {weight.name: weight.shape for weight in counted.weights} == {
        name: tuple(variable.shape) for name, variable in named_weights(model).items()
    }
    images = tf.constant(train.images, tf.float64)
    same(child.logits(images, training=False), model(images, training=False))


@pytest.mark.parametrize("seed", some_now(range(9), slow=range(3, 9)))
def test_losses_and_gradients_are_the_same(seed):
    """Of the Keras model and of the functions by the tape, of the child's graph as it is assembled."""
    child, train = child_of(seed)
    model = keras_twin(child)
    images = tf.constant(train.images, tf.float64)
    with tf.GradientTape(persistent=True) as tape:
        both = model(images, training=True), child.logits(images, training=True)
        losses = [cross_entropy(train.labels, logits, 0.0) for logits in both]
    loss, of_graph, statistics = assembled(child, train)
    assert loss == pytest.approx(float(losses[0]), rel=1e-12)
    assert loss == pytest.approx(float(losses[1]), rel=1e-12)
    assert statistics.shape == child.statistics.shape
    same(of_graph, tape.gradient(losses[1], child.weights))
    by_name = child.layout.named(of_graph, child.statistics.numpy())
    scale = np.abs(of_graph).max()
    for variable in model.trainable_variables:
        name = next(name for name, found in named_weights(model).items() if found is variable)
        gradient = tape.gradient(losses[0], variable)
        np.testing.assert_allclose(by_name[name], gradient, rtol=0, atol=1e-10 * scale, err_msg=name)
