"""Which weights train, and how fast: drawn schedules against their formulas, and what a step really moves."""

from __future__ import annotations

import dataclasses
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from bench.drawn import cheap_genotype, drawn_pictures
from nasnet.networks.keras_model import named_weights
from nasnet.training.config import ReplicaConfig, TrainingConfig, TransferConfig
from nasnet.training.loop import Training
from nasnet.training.optimizers import Schedule, make_optimizer, part_of, parts_to_head
from tests.training.test_loop import spec_of

PLAIN = TrainingConfig(
    batch_size=16, learning_rate=0.01, schedule="constant", weight_decay=0.0, clip_norm=0.0, pad=0, flip=False
)


class TestSchedule:
    def rates(self, steps, *, factor=1.0, from_step=0, **changes):
        config = TrainingConfig(learning_rate=0.2, **changes)
        schedule = Schedule(config, total_steps=100, steps_per_epoch=10, factor=factor, from_step=from_step)
        return [float(schedule(tf.constant(step))) for step in steps]

    def test_cosine_is_one_half_period(self):
        expected = [0.2 * (1 + math.cos(math.pi * step / 100)) / 2 for step in (0, 25, 50, 99, 100)]
        assert self.rates((0, 25, 50, 99, 100)) == pytest.approx(expected, abs=1e-7)

    def test_exponential_is_the_published_one(self):
        """0.97 every 2.4 epochs (slim), which are 24 steps here."""
        rates = self.rates((0, 24, 48, 60), schedule="exponential")
        assert rates == pytest.approx([0.2, 0.2 * 0.97, 0.2 * 0.97**2, 0.2 * 0.97**2.5])

    def test_warm_up_rises_to_the_rate_and_no_further(self):
        rates = self.rates((0, 4, 9, 19, 20, 99), schedule="constant", warmup_epochs=2.0)
        assert rates == pytest.approx([0.01, 0.05, 0.1, 0.2, 0.2, 0.2])

    def test_factor_and_waiting(self):
        assert self.rates((6, 7), schedule="constant", factor=0.5, from_step=7) == pytest.approx([0.0, 0.1])


def test_rmsprop_is_the_published_one():
    """Appendix A.7: decay 0.9, epsilon 1.0 inside the root as in TensorFlow 1; momentum 0.9 as in amoeba_net."""
    schedule = Schedule(dataclasses.replace(PLAIN, learning_rate=0.5), total_steps=9, steps_per_epoch=3)
    optimizer = make_optimizer("rmsprop", schedule)
    variable = keras.Variable(np.array([1.0, -2.0], np.float32))
    square, moved, expected = np.zeros(2), np.zeros(2), np.array([1.0, -2.0])
    for grad in np.random.default_rng(0).normal(size=(3, 2)):
        optimizer.apply([tf.constant(grad, tf.float32)], [variable])
        square = 0.9 * square + 0.1 * grad**2
        moved = 0.9 * moved + 0.5 * grad / np.sqrt(square + 1.0)
        expected = expected - moved
    np.testing.assert_allclose(variable, expected, rtol=1e-5)


def moved_by(steps, transfer, **changes):
    """How far each weight is from its start after some steps, by name."""
    data = drawn_pictures(20, train=64)
    config = dataclasses.replace(PLAIN, steps=steps, **changes)
    training = Training(spec_of(data, cheap_genotype()), data, config, seed=0, transfer=transfer, dtype="float64")
    start = {name: np.array(value) for name, value in named_weights(training.model).items()}
    training.run(options=ReplicaConfig(valid_epochs=0))
    return {name: np.array(value) - start[name] for name, value in named_weights(training.model).items()}


@pytest.mark.parametrize("cells", [0, 1, 3])
def test_frozen_parts_stay_bit_for_bit(cells):
    """Kernels and moving statistics alike; what is nearer to the head moves."""
    distances = parts_to_head(spec_of(drawn_pictures(20), cheap_genotype()).architecture.parts)
    assert distances == {
        "head": 0,
        "auxiliary": 0,
        "cell_2": 1,
        "reduction_1": 2,
        "cell_1": 3,
        "reduction_0": 4,
        "cell_0": 5,
        "stem": 6,
    }
    for name, change in moved_by(3, TransferConfig(trainable_cells=cells)).items():
        assert bool(np.abs(change).max()) == (distances[part_of(name)] <= cells), name


def test_layer_decay_divides_the_rate_by_the_distance_from_the_head():
    distances = parts_to_head(spec_of(drawn_pictures(20), cheap_genotype()).architecture.parts)
    even, decayed = (moved_by(1, TransferConfig(layer_decay=decay)) for decay in (1.0, 0.5))
    for name, change in even.items():
        if "moving" not in name:
            share = 0.5 ** distances[part_of(name)]
            np.testing.assert_allclose(decayed[name], share * change, rtol=1e-6, atol=1e-12, err_msg=name)


def test_while_the_head_warms_up_nothing_else_trains():
    """Of 4 steps an epoch, the head alone for half an epoch; then all of it."""
    for steps, others_move in ((2, False), (3, True)):
        for name, change in moved_by(steps, TransferConfig(head_epochs=0.5)).items():
            if "moving" not in name:
                assert bool(np.abs(change).max()) == (part_of(name) == "head" or others_move), (steps, name)


def test_clipping_is_by_the_global_norm():
    """One step of plain gradients, clipped to a norm of 0.01, moves the weights by rate times 0.01 in all."""
    moved = moved_by(1, TransferConfig(), clip_norm=0.01)
    square = sum(float(np.sum(change**2)) for name, change in moved.items() if "moving" not in name)
    assert math.sqrt(square) == pytest.approx(0.01 * 0.01, rel=1e-6)
