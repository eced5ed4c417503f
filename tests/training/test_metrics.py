"""Networks scored, one after the other."""

from __future__ import annotations

import logging

import keras
import numpy as np
import pytest
import tensorflow as tf

from bench.drawn import drawn_pictures
from nasnet.runtime.errors import DivergedError, RunError
from nasnet.training.metrics import check_answers, evaluate, sum_scores
from nasnet.training.score import Score


def test_answers_that_are_not_finite_are_counted_picture_by_picture():
    """One class of three without a number is enough, be it no number or too large a one."""
    check_answers(np.zeros((2, 3), np.float32))
    logits = np.zeros((5, 3), np.float32)
    logits[0, 0], logits[2, 1], logits[4] = np.nan, np.inf, -np.inf
    with pytest.raises(RunError, match=r"^the network's answers to 3 of 5 test pictures are not finite, "):
        check_answers(logits, "test pictures")


def test_an_answer_that_is_not_finite_is_not_right_though_argmax_names_a_class():
    logits = np.array([[1, 0, 0], [np.nan] * 3, [0, np.inf, 0], [0, 0, np.nan], [0, 0, 1]], np.float32)
    right, _ = sum_scores(tf.constant(logits), tf.constant([0, 0, 1, 2, 2]))
    assert float(right) == 2


@pytest.mark.parametrize("loss", [np.nan, np.inf])
def test_a_score_whose_loss_is_not_finite_is_none(loss):
    assert Score(0.5, 1e30, 4).checked() == Score(0.5, 1e30, 4)
    with pytest.raises(DivergedError, match=rf"^the loss on 4 pictures was {loss} after the last step$"):
        Score(0.5, loss, 4).checked()


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
