"""Networks scored, one after the other."""

from __future__ import annotations

import logging

import keras
import numpy as np
import tensorflow as tf

from bench.drawn import drawn_pictures
from nasnet.training.metrics import evaluate


def test_many_networks_are_scored_without_a_word_from_tensorflow(caplog):
    """It warns of a function that is traced at five calls; each network has one of its own."""
    tf.get_logger().addHandler(caplog.handler)
    split = drawn_pictures(8, train=8, valid=20).valid
    classes = int(split.labels.max()) + 1
    try:
        for seed in range(5):
            dense = keras.layers.Dense(classes, kernel_initializer=keras.initializers.RandomNormal(seed=seed))
            model = keras.Sequential([keras.Input(split.images.shape[1:]), keras.layers.Flatten(), dense])
            expected = np.asarray(model(split.images.astype(np.float32))).argmax(1) == split.labels
            np.testing.assert_allclose(evaluate(model, split).accuracy, expected.mean(), rtol=1e-6)
    finally:
        tf.get_logger().removeHandler(caplog.handler)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
