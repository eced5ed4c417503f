"""Networks drawn by hand in every reading: the same logits, statistics and gradients in float64; they learn."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from bench.drawn import drawn_pictures
from cells.count import count
from cells.zoo.networks import hand_made
from nasnet.data.dataset import Split, open_dataset
from nasnet.estimators.child import Child
from nasnet.estimators.config import ChildConfig
from nasnet.networks.keras_model import build, named_weights
from nasnet.networks.spec import NetworkSpec
from nasnet.training.config import TrainingConfig
from nasnet.training.metrics import cross_entropy
from tests.support.slow import some_now
from tests.support.weights import drawn_weights

# Name -> width, pictures.
CASES = {
    "vgg16": (1 / 32, (33, 64, 3)),
    "googlenet": (1 / 16, (20, 17, 1)),
    "resnet18": (1 / 16, (13, 9, 3)),
    "resnet50": (1 / 32, (10, 12, 2)),
    "resnet50_2015": (1 / 32, (10, 12, 2)),
    "resnet20": (1 / 4, (8, 7, 1)),
    "resnet110": (1 / 16, (6, 6, 1)),
}


def child_of(name, dtype="float64"):
    """A child with drawn weights on noise, and its data."""
    width, image_shape = CASES[name]
    height, wide, channels = image_shape
    data = drawn_pictures(max(height, wide), channels, train=8, valid=4, classes=3)
    splits = [Split(split.images[:, :height, :wide], split.labels) for split in (data.train, data.valid)]
    data = dataclasses.replace(data, image_shape=image_shape, train=splits[0], valid=splits[1])
    spec = NetworkSpec.on(data, hand_made(name, 3, width))
    config = ChildConfig.of(TrainingConfig(steps=3, batch_size=8, pad=0, flip=False), data)
    child = Child(spec, data, config, seed=1, dtype=dtype)
    weights = drawn_weights(count(spec.architecture, image_shape), seed=2)
    for vector, named in ((child.weights, child.layout.trainable), (child.statistics, child.layout.statistics)):
        if named:
            vector.assign(np.concatenate([weights[weight.name].ravel() for weight in named]))
    return child, data, weights


@pytest.mark.parametrize("name", some_now(CASES, slow=["resnet18", "resnet50", "resnet50_2015", "resnet110"]))
def test_readings_are_equal(name):
    child, data, weights = child_of(name)
    model = build(child.spec, dtype="float64")
    assert {key: variable.shape for key, variable in named_weights(model).items()} == {
        key: value.shape for key, value in weights.items()
    }
    for key, variable in named_weights(model).items():
        variable.assign(weights[key])
    images, labels = tf.constant(data.train.images, tf.float64), data.train.labels
    expected = np.asarray(model(images, training=False))
    assert np.std(expected) > 1e-2
    found = child.logits(images, training=False)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10 * np.abs(expected).max())

    # The Keras model and the functions by the tape, the child's graph as it is assembled.
    variables = {key: variable for key, variable in named_weights(model).items() if variable.trainable}
    with tf.GradientTape(persistent=True) as tape:
        losses = [
            cross_entropy(labels, logits, 0.0)
            for logits in (model(images, training=True), child.logits(images, training=True))
        ]
    by_keras = dict(zip(variables, tape.gradient(losses[0], list(variables.values())), strict=True))
    nothing = np.zeros(child.statistics.shape)
    by_tape = child.layout.named(tape.gradient(losses[1], child.weights).numpy(), nothing)
    pixels = (data.train.images - np.array(child.spec.mean)) / np.array(child.spec.std)
    flat = child.weights.numpy()
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loss, gradient, _ = session.run(child.function()(*map(tf.constant, (pixels, labels, flat))))
    by_graph = child.layout.named(gradient, nothing)
    assert loss == pytest.approx(float(losses[0]), rel=1e-10)
    assert float(losses[1]) == pytest.approx(float(losses[0]), rel=1e-10)
    scale = max(float(np.abs(value).max()) for value in by_keras.values())
    for key, value in by_keras.items():
        for other in (by_tape[key], by_graph[key]):
            np.testing.assert_allclose(other, value, rtol=0, atol=1e-9 * scale, err_msg=key)


def larger(split, times):
    """Each pixel as a square."""
    return Split(split.images.repeat(times, 1).repeat(times, 2), split.labels)


@pytest.mark.parametrize(
    ("name", "width", "times", "rate", "accuracy"),
    [
        ("resnet20", 0.5, 1, 0.05, 0.85),
        ("vgg16", 0.125, 4, 0.02, 0.8),
        pytest.param("googlenet", 0.25, 4, 0.02, 0.6, marks=pytest.mark.slow),
        pytest.param("resnet18", 0.125, 2, 0.05, 0.8, marks=pytest.mark.slow),
    ],
)
def test_they_learn_digits(name, width, times, rate, accuracy):
    """Also those without batch norm, from the first step: no warm-up, the default clipping."""
    data = open_dataset("digits")
    shape = (8 * times, 8 * times, 1)
    data = dataclasses.replace(
        data, image_shape=shape, train=larger(data.train, times), valid=larger(data.valid, times)
    )
    config = TrainingConfig(steps=60 if times == 1 else 100, batch_size=64, learning_rate=rate, pad=0, flip=False)
    spec = NetworkSpec.on(data, hand_made(name, 10, width))
    result = Child(spec, data, ChildConfig.of(config, data), seed=0).run()
    assert result.losses[:5].mean() < 8
    assert result.scores[-1].accuracy > accuracy
