"""Each primitive that cells do without, in every reading: shapes, logits, gradients, and a network without batch norm.

In float64 against plain NumPy (`tests/support/numbers.py`), which shares nothing but the walk with the others.
"""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from bench.drawn import drawn_pictures
from cells.count import count
from nasnet.data.dataset import Split, open_dataset
from nasnet.estimators.child import Child
from nasnet.estimators.config import ChildConfig
from nasnet.networks.keras_model import build, named_weights
from nasnet.networks.spec import NetworkSpec
from nasnet.training.config import TrainingConfig
from nasnet.training.loop import Training
from nasnet.training.metrics import cross_entropy
from tests.support.numbers import Numbers, draw
from tests.support.slow import some_now
from tests.support.written import Written, channelwise, plain, pooled, strided

CASES = [(write, *size) for write in (strided, channelwise, pooled, plain) for size in ((8, 9), (7, 12))]


def on(write, height, width, channels=2, train=8):
    """A child in float64, with the weights that `Numbers` draws, on noise of that size; its spec and its data."""
    data = drawn_pictures(max(height, width), channels, train=train, valid=4, classes=3)
    splits = [Split(split.images[:, :height, :width], split.labels) for split in (data.train, data.valid)]
    data = dataclasses.replace(data, image_shape=(height, width, channels), train=splits[0], valid=splits[1])
    spec = NetworkSpec(Written(write), data.classes, data.image_shape, (120.0,) * channels, (70.0,) * channels)
    config = ChildConfig.of(TrainingConfig(steps=3, batch_size=train, pad=0, flip=False), data)
    child = Child(spec, data, config, seed=1, dtype="float64")
    child.weights.assign(np.concatenate([draw(w.name, w.shape).ravel() for w in child.layout.trainable]))
    return child, data


def assembled(child, train):
    """Loss, gradient and the batch's statistics of all training pictures, by the graph that a child trains by."""
    weights = child.weights.numpy()
    pixels = ((train.images - np.array(child.spec.mean)) / np.array(child.spec.std)).astype(weights.dtype)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        return session.run(child.function()(*map(tf.constant, (pixels, train.labels, weights))))


def same(actual, expected, name="", tolerance=1e-10):
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, name
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * np.abs(expected).max(), err_msg=name)


@pytest.mark.parametrize(
    "case",
    some_now(CASES, slow=[case for case in CASES if case[1:] == (7, 12) and case[0] is not channelwise]),
)
def test_all_readings_are_equal(case):
    child, data = on(*case)
    train = data.train
    model = build(child.spec, dtype="float64")
    for name, variable in named_weights(model).items():
        variable.assign(draw(name, tuple(variable.shape)))
    counted = count(child.spec.architecture, child.spec.image_shape)
    assert {w.name: w.shape for w in counted.weights} == {
        name: tuple(variable.shape) for name, variable in named_weights(model).items()
    }

    # Logits.
    pixels = (train.images - np.array(child.spec.mean)) / np.array(child.spec.std)
    expected = [child.spec.architecture.walk(Numbers(), picture).logits for picture in pixels]
    images = tf.constant(train.images, tf.float64)
    same(model(images), expected)
    same(child.logits(images, training=False), expected)

    # Gradients: of the Keras model and of the child's functions by the tape, of its graph as it is assembled.
    with tf.GradientTape(persistent=True) as tape:
        both = model(images), child.logits(images, training=True)
        losses = [cross_entropy(train.labels, logits, 0.0) for logits in both]
    of_functions = tape.gradient(losses[1], child.weights).numpy()
    loss, of_graph, statistics = assembled(child, train)
    assert loss == pytest.approx(float(losses[0]), rel=1e-12)
    assert statistics.shape == (0,)
    same(of_graph, of_functions)
    by_name = child.layout.named(of_graph, np.zeros(0))
    scale = np.abs(of_graph).max()
    for name, variable in named_weights(model).items():
        gradient = tape.gradient(losses[0], variable)
        np.testing.assert_allclose(by_name[name], gradient, rtol=0, atol=1e-10 * scale, err_msg=name)


def test_in_float32_they_are_as_in_float64():
    """There the functions have operations of their own: fused ones, and oneDNN's."""
    for write in (strided, channelwise, pooled):
        child, data = on(write, 8, 9)
        exact = child.named_weights()
        single = Child(child.spec, data, child.config, seed=1)
        single.weights.assign(child.weights.numpy().astype(np.float32))
        images = data.train.images
        same(single.logits(images, training=False), child.logits(images, training=False), tolerance=1e-5)
        gradients = []
        for one in (single, child):
            gradients.append(one.layout.named(assembled(one, data.train)[1], np.zeros(0)))
        scale = max(np.abs(gradient).max() for gradient in gradients[1].values())
        for name in exact:
            np.testing.assert_allclose(gradients[0][name], gradients[1][name], rtol=0, atol=1e-4 * scale, err_msg=name)


def test_steps_without_batch_norm_are_those_of_keras():
    """Weight decay on kernels alone, and nothing where statistics would be."""
    child, data = on(plain, 8, 9)
    config = TrainingConfig(steps=3, batch_size=8, pad=0, flip=False, weight_decay=0.1)
    child = Child(child.spec, data, ChildConfig.of(config, data), seed=1)
    child.run(reestimated=True)
    training = Training(child.spec, data, config, seed=1)
    fresh = Child(child.spec, data, child.config, seed=1).named_weights()
    for name, variable in named_weights(training.model).items():
        variable.assign(fresh[name])
    training.run()
    for name, variable in named_weights(training.inference_model(reestimated=True)).items():
        np.testing.assert_allclose(child.named_weights()[name], variable, rtol=1e-3, atol=1e-4, err_msg=name)


def test_a_network_without_batch_norm_learns_and_is_saved(tmp_path):
    """As a child and for real; what is saved holds layers and operations of Keras alone."""
    data = open_dataset("digits")
    spec = NetworkSpec.on(data, Written(plain, classes=10))
    config = TrainingConfig(steps=60, batch_size=64, learning_rate=0.05, weight_decay=1e-4)
    losses = Child(spec, data, ChildConfig.of(config, data), seed=0).run().losses
    assert losses[-10:].mean() < 0.5 * losses[:5].mean()
    training = Training(spec, data, config, seed=0)
    training.run()
    assert training.evaluate(data.valid).accuracy > 0.8
    model = training.inference_model()
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    same(again(data.valid.images[:5]), model(data.valid.images[:5]))
