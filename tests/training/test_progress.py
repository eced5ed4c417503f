"""What is told of a training, from steps that are made up."""

from __future__ import annotations

import pytest
import tensorflow as tf

from nasnet.training.progress import Meter
from nasnet.training.score import Score


def test_an_epochs_end_tells_its_own_steps_and_the_rate_of_the_last():
    told = []
    meter = Meter(told.append, step=3, steps=8, steps_per_epoch=3, batch_size=4, learning_rate=lambda step: 10.0 - step)
    for number, (loss, correct) in enumerate([(1.0, 4.0), (2.0, 1.0), (6.0, 1.0), (8.0, 2.0), (4.0, 0.0)], 4):
        meter.add(tf.constant(loss), tf.constant(correct))
        if number in (6, 8):
            meter.check()
            meter.end(Score(0.5, 1.0, 10) if number == 8 else None)
    shown = [(p.epoch, p.epochs, p.step, p.steps, p.loss, p.accuracy, p.learning_rate, p.ended) for p in told]
    assert shown == [(2, 3, 6, 8, 3.0, 0.5, 5.0, True), (3, 3, 8, 8, 6.0, 0.25, 3.0, True)]
    assert told[0].seconds_left == pytest.approx(2 * 4 / told[0].images_per_second)
    assert (told[0].valid, told[1].valid, told[1].seconds_left) == (None, Score(0.5, 1.0, 10), 0.0)


def test_the_first_step_is_traced_and_tells_no_rate():
    """One step left of an epoch that is gone on with, or epochs of one batch, were said to take half an hour."""
    told = []
    meter = Meter(told.append, step=5, steps=8, steps_per_epoch=3, batch_size=4, learning_rate=lambda _: 1.0)
    for _ in range(2):
        meter.add(tf.constant(1.0), tf.constant(4.0))
        meter.end(None)
    assert (told[0].step, told[0].images_per_second, told[0].seconds_left) == (6, None, None)
    assert told[1].images_per_second > 0
    assert told[1].seconds_left == pytest.approx(4 / told[1].images_per_second)
