"""Moving statistics that a training is too short for: found before, and mended after."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf

from bench.drawn import cheap_genotype, drawn_pictures
from nasnet.data.dataset import open_dataset
from nasnet.networks.keras_model import build, named_weights
from nasnet.training.config import ReplicaConfig, TrainingConfig, TransferConfig
from nasnet.training.loop import Training
from nasnet.training.metrics import evaluate
from nasnet.training.optimizers import part_of
from nasnet.training.statistics import reestimate, unsettled
from tests.training.test_loop import spec_of


@pytest.mark.parametrize(
    ("momentum", "steps", "share", "settled"),
    [(0.9997, 225, 0.93472, 0.97), (0.9, 25, 0.07179, 0.83), (0.99, 225, 0.10422, 0.97), (0.9, 2, 0.81, 0.1)],
)
def test_what_has_not_settled(momentum, steps, share, settled):
    found = unsettled(TrainingConfig(bn_momentum=momentum), steps)
    assert found is not None
    assert (found.momentum, found.steps, found.settled) == (momentum, steps, settled)
    assert found.share == pytest.approx(share, rel=1e-4)
    assert unsettled(TrainingConfig(bn_momentum=settled), steps) is None


@pytest.mark.parametrize(("momentum", "steps"), [(0.9, 225), (0.9, 50), (0.0, 1), (0.9997, 250_000)])
def test_what_has_settled(momentum, steps):
    assert unsettled(TrainingConfig(bn_momentum=momentum), steps) is None


def test_averaged_weights_settle_by_themselves():
    """Of the first weights an average of decay 0.9999 holds under a hundredth after three steps: it needs no note."""
    share = math.prod(min(0.9999, (1 + step) / (10 + step)) for step in range(3))
    assert share < 0.01
    data = drawn_pictures(8, train=32)
    config = TrainingConfig(steps=3, batch_size=8, learning_rate=0.05, schedule="constant", ema_decay=0.9999)
    training = Training(spec_of(data, cheap_genotype()), data, config, seed=0)
    path = [training.model.get_weights()]
    for steps in (1, 2, 3):
        shorter = Training(spec_of(data, cheap_genotype()), data, dataclasses.replace(config, steps=steps), seed=0)
        shorter.run(options=ReplicaConfig(valid_epochs=0))
        path.append(shorter.model.get_weights())
    for found, *weights in zip(training_averages(data, config), *path, strict=True):
        expected = weights[0]
        for step, weight in enumerate(weights[1:]):
            expected = expected + (1 - (1 + step) / (10 + step)) * (weight - expected)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def training_averages(data, config):
    training = Training(spec_of(data, cheap_genotype()), data, config, seed=0)
    training.run(options=ReplicaConfig(valid_epochs=0))
    with training._averaged():
        return training.model.get_weights()


def fresh_model(data, dtype="float64"):
    return build(spec_of(data, cheap_genotype()), seed=1, dtype=dtype)


def test_one_batch_is_seen_as_in_training():
    data = drawn_pictures(8, 2, train=40)
    model = fresh_model(data)
    before = {name: np.array(value) for name, value in named_weights(model).items()}
    images = tf.constant(data.train.images, tf.float64)
    expected = fresh_model(data)(images, training=True)
    reestimate(model, data.train.images)
    np.testing.assert_allclose(model(images, training=False), expected, rtol=0, atol=1e-9)
    for name, value in named_weights(model).items():
        assert np.array_equal(value, before[name]) == ("moving" not in name), name
    assert {layer.momentum for layer in model.layers if hasattr(layer, "momentum")} == {0.9}


def test_of_several_batches_the_plain_mean():
    """Of the stem by hand: 40 pictures in batches of 16, the eight that are left over not looked at."""
    data = drawn_pictures(8, 2, train=40)
    model = fresh_model(data)
    kernel = np.asarray(named_weights(model)["stem.conv/kernel"])
    mean, std = (np.array(values) for values in data.statistics)
    reestimate(model, data.train.images, batch_size=16)
    means, variances = [], []
    for rows in np.random.default_rng(0).permutation(40)[:32].reshape(2, 16):
        x = tf.nn.conv2d((data.train.images[rows] - mean) / std, kernel, 1, "SAME").numpy()
        means.append(x.mean((0, 1, 2)))
        variances.append(x.var((0, 1, 2)))
    found = named_weights(model)
    np.testing.assert_allclose(found["stem.bn/moving_mean"], np.mean(means, 0), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found["stem.bn/moving_variance"], np.mean(variances, 0), rtol=1e-6)


def test_a_short_training_is_scored_as_what_it_has_learned():
    """45 steps at 0.9997: its moving statistics are those of the start, and its scores at chance."""
    data = open_dataset("digits")
    config = TrainingConfig(steps=45, batch_size=64, learning_rate=0.1, bn_momentum=0.9997)
    spec = dataclasses.replace(spec_of(data, cheap_genotype()), bn_momentum=0.9997)
    training = Training(spec, data, config, seed=0)
    training.run(options=ReplicaConfig(valid_epochs=0))
    as_it_is, mended = (evaluate(training.inference_model(reestimated=x), data.valid).accuracy for x in (False, True))
    assert as_it_is < 0.3
    assert mended > 0.7


def test_frozen_statistics_stay():
    data = drawn_pictures(8, train=32)
    config = TrainingConfig(steps=1, batch_size=16)
    spec = spec_of(data, cheap_genotype())
    training = Training(spec, data, config, seed=0, transfer=TransferConfig(trainable_cells=1))
    training.run(options=ReplicaConfig(valid_epochs=0))
    as_it_is, mended = (named_weights(training.inference_model(reestimated=x)) for x in (False, True))
    for name, value in as_it_is.items():
        moves = "moving" in name and part_of(name) == "cell_2"
        assert np.array_equal(value, mended[name]) == (not moves), name
