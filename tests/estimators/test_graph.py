"""The assembled training graph against `tf.GradientTape` over the same functions, op by op."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from bench.drawn import drawn_genotypes, drawn_pictures, drawn_spec, every_operation, other_operations
from cells.zoo.cells import ZOO
from nasnet.estimators.child import Child
from nasnet.estimators.config import ChildConfig
from nasnet.training.config import TrainingConfig
from nasnet.training.metrics import cross_entropy
from tests.support.slow import some_now

GENOTYPES = [*drawn_genotypes(12, seed=21), *every_operation(), *ZOO.values(), other_operations()]


def child_of(index, smoothing=0.0):
    data = drawn_pictures((8, 13)[index % 2], 1 + index % 3, train=16, valid=8, seed=index)
    stem = "imagenet" if index % 5 == 4 else "cifar"
    spec = drawn_spec(GENOTYPES[index], data, filters=8, stem=stem, bn_momentum=None, bn_epsilon=1e-5)
    config = TrainingConfig(epochs=1, batch_size=8, learning_rate=0.02, label_smoothing=smoothing, pad=0, flip=False)
    return Child(spec, data, ChildConfig.of(config, data), seed=index, dtype="float64"), data.train


def assembled(child, train):
    """Loss, gradient and the batch's statistics of a training split's first eight pictures."""
    weights = child.weights.numpy()
    pixels = (train.images[:8].astype(np.float64) - child.spec.mean) / child.spec.std
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        return session.run(child.function()(*map(tf.constant, (pixels, train.labels[:8], weights))))


@pytest.mark.parametrize(
    "index", some_now(range(len(GENOTYPES)), slow=[*range(2, 12), *range(13, 25, 2), *range(27, 34)])
)
def test_loss_and_gradient_are_those_of_the_tape(index):
    child, train = child_of(index, smoothing=0.1 * (index % 2))
    loss, gradient, statistics = assembled(child, train)
    with tf.GradientTape() as tape:
        logits = child.logits(tf.constant(train.images[:8]), training=True)
        expected = cross_entropy(train.labels[:8], logits, child.config.label_smoothing)
    of_tape = tape.gradient(expected, child.weights).numpy()
    assert float(loss) == pytest.approx(float(expected), rel=1e-12)
    np.testing.assert_allclose(gradient, of_tape, rtol=0, atol=1e-10 * np.abs(of_tape).max())
    assert statistics.shape == child.statistics.shape


def test_a_function_does_not_depend_on_what_was_assembled_before():
    first = child_of(0)[0].function().definition
    for index in range(1, 6):
        child_of(index)[0].function()
    again = child_of(0)[0].function().definition
    assert first == again
