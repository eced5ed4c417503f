"""What one step does, against the same by hand: its loss, what it sees of a picture, what batch norm remembers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from bench.drawn import cheap_genotype, drawn_pictures
from cells.zoo.googlenet import GoogLeNet
from nasnet.data.augment import Augmentation, augment
from nasnet.data.dataset import open_dataset
from nasnet.data.input_pipeline import batches
from nasnet.networks.keras_model import named_weights
from nasnet.networks.spec import NetworkSpec
from nasnet.runtime.seeds import name_seed
from nasnet.training.config import ReplicaConfig, TrainingConfig
from nasnet.training.loop import Training
from tests.training.test_loop import spec_of

ONE_STEP = TrainingConfig(steps=1, batch_size=16, learning_rate=0.02, schedule="constant", clip_norm=0.0)


def training_of(data, seed=3, dtype="float64", architecture=None, **changes):
    config = dataclasses.replace(ONE_STEP, **changes)
    spec = NetworkSpec.on(data, architecture) if architecture else spec_of(data, cheap_genotype())
    return Training(spec, data, config, seed=seed, dtype=dtype)


def first_batch(data, seed=3):
    rows = batches(len(data.train), 16, seed, 0)[0]
    return data.train.images[rows].astype(np.float64), data.train.labels[rows]


def loss_of_a_step(training):
    losses = []
    training.run(report=lambda progress: losses.append(progress.loss), options=ReplicaConfig(valid_epochs=0))
    return losses[-1]


def smoothed(logits, labels, smoothing):
    """Mean cross-entropy with smoothed labels in NumPy, float64."""
    logits = np.asarray(logits, np.float64)
    log_probs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    targets = np.full(logits.shape, smoothing / logits.shape[1])
    targets[np.arange(len(labels)), labels] += 1 - smoothing
    return -(targets * log_probs).sum(1).mean()


@pytest.mark.parametrize(("size", "architecture", "heads"), [(20, None, 1), (65, GoogLeNet(10, 1 / 16), 2)])
def test_the_loss_is_the_formula_and_what_is_told_is_its_cross_entropy(size, architecture, heads):
    """All heads with smoothed labels, and half the squared norm of all kernels: exact in float64.

    The first step moves each weight by the rate times the gradient of the formula.
    """
    data = drawn_pictures(size, 2, train=64)
    changes = {"auxiliary_weight": 0.4, "label_smoothing": 0.2, "weight_decay": 1e-2, "architecture": architecture}
    training = training_of(data, **changes, pad=0, flip=False)
    images, labels = first_batch(data)
    share = 0.2 / len(data.classes)
    targets = tf.one_hot(labels, len(data.classes), 0.8 + share, share, dtype=tf.float64)
    variables = training.model.trainable_variables
    with tf.GradientTape() as tape:
        outputs = training.model(images, training=True)
        assert len(outputs["auxiliary"]) == heads
        head, *auxiliary = (
            -tf.reduce_mean(tf.reduce_sum(targets * tf.nn.log_softmax(logits), 1))
            for logits in (outputs["logits"], *outputs["auxiliary"])
        )
        kernels = [v.value for name, v in named_weights(training.model).items() if name.endswith("kernel")]
        loss = head + 0.4 * tf.add_n(auxiliary) + 1e-2 * tf.add_n([tf.reduce_sum(kernel**2) / 2 for kernel in kernels])
    assert float(head) == pytest.approx(smoothed(outputs["logits"], labels, 0.2), rel=1e-12)
    expected = [np.array(v) - 0.02 * g.numpy() for v, g in zip(variables, tape.gradient(loss, variables), strict=True)]
    training = training_of(data, **changes, pad=0, flip=False)
    assert loss_of_a_step(training) == pytest.approx(float(head), rel=1e-9)
    for variable, value in zip(training.model.trainable_variables, expected, strict=True):
        np.testing.assert_allclose(variable, value, rtol=0, atol=1e-8)


def loss_on(training, images, labels):
    """Of the plain recipe, on these pictures: what a step that saw them would report."""
    return smoothed(training.model(images, training=True), labels, 0.0)


def test_a_step_sees_digits_as_they_are():
    """Not mirrored, not moved: neither in the resolved recipe nor in what the loss is of."""
    data = open_dataset("digits")
    training = training_of(data, weight_decay=0.0)
    assert (training.config.pad, training.config.flip) == (0, False)
    images, labels = first_batch(data)
    as_they_are = loss_on(training, images, labels)
    mirrored = images.copy()
    mirrored[0] = mirrored[0, :, ::-1]
    assert loss_on(training, mirrored, labels) != pytest.approx(as_they_are, rel=1e-6)  # one would be enough to tell
    assert loss_of_a_step(training) == pytest.approx(as_they_are, rel=1e-9)


def test_a_step_sees_other_pictures_cropped_and_mirrored():
    """By an eighth of their side, drawn from (seed, step)."""
    data = drawn_pictures(16, 2, train=64)
    training = training_of(data, weight_decay=0.0)
    assert (training.config.pad, training.config.flip) == (2, True)
    images, labels = first_batch(data)
    seed = tf.constant([name_seed(3, "augment"), 0], tf.int64)
    seen = augment(tf.constant(images, tf.float32), seed, Augmentation(2, True, 0, data.statistics[0]))
    expected = loss_on(training, tf.cast(seen, tf.float64), labels)
    assert loss_on(training, images, labels) != pytest.approx(expected, rel=1e-6)
    assert loss_of_a_step(training) == pytest.approx(expected, rel=1e-9)


def test_moving_statistics_take_the_biased_variance():
    """Of 4 pictures of 4x4 pixels, where the unbiased one is n / (n - 1) = 1.016 of it: of the stem, by hand."""
    data = drawn_pictures(4, 2, train=4)
    training = training_of(data, dtype="float32", batch_size=4, pad=0, flip=False)
    kernel = np.asarray(named_weights(training.model)["stem.conv/kernel"], np.float64)
    mean, std = (np.array(values) for values in data.statistics)
    x = (data.train.images - mean) / std
    x = tf.nn.conv2d(x, kernel, 1, "SAME").numpy()
    training.run(options=ReplicaConfig(valid_epochs=0))
    found = named_weights(training.model)
    biased = x.var((0, 1, 2))
    np.testing.assert_allclose(found["stem.bn/moving_variance"], 0.9 * 1 + 0.1 * biased, rtol=1e-5)
    np.testing.assert_allclose(found["stem.bn/moving_mean"], 0.1 * x.mean((0, 1, 2)), rtol=1e-4, atol=1e-6)
    unbiased = x.var((0, 1, 2), ddof=1)
    assert (np.abs(0.1 * (unbiased - biased) / (0.9 + 0.1 * biased)) > 1e-4).all()  # which the bound would not let pass
