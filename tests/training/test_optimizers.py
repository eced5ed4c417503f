"""Which weights train, and how fast: drawn schedules against their formulas, and what a step really moves."""

from __future__ import annotations

import dataclasses
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from bench.drawn import cheap_genotype, drawn_pictures
from cells.genotype.chain import ChainGenotype, ConvLayer
from cells.walks.chain import ChainNetwork
from cells.zoo.googlenet import GoogLeNet
from cells.zoo.resnet import CifarResNet, ResNet
from cells.zoo.vgg import VGG16
from nasnet.networks.keras_model import build, named_weights
from nasnet.networks.spec import NetworkSpec
from nasnet.training.config import ReplicaConfig, TrainingConfig, TransferConfig
from nasnet.training.loop import Training
from nasnet.training.optimizers import Schedule, make_optimizer, part_of, parts_to_head
from tests.support.slow import some_now
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

    def test_a_staircase_falls_at_once(self):
        rates = self.rates((0, 23, 24, 47, 48), schedule="exponential", staircase=True)
        assert rates == pytest.approx([0.2, 0.2, 0.2 * 0.97, 0.2 * 0.97, 0.2 * 0.97**2])

    def test_steps_fall_at_shares_of_the_training(self):
        rates = self.rates((0, 49, 50, 74, 75, 99), schedule="step")
        assert rates == pytest.approx([0.2, 0.2, 0.02, 0.02, 0.002, 0.002])
        rates = self.rates((6, 7, 28, 29), schedule="step", rate_drops="0.07:0.5, 0.29:4")
        assert rates == pytest.approx([0.2, 0.1, 0.1, 0.4])

    def test_warm_up_rises_to_the_rate_and_no_further(self):
        rates = self.rates((0, 4, 9, 19, 20, 99), schedule="constant", warmup_epochs=2.0)
        assert rates == pytest.approx([0.01, 0.05, 0.1, 0.2, 0.2, 0.2])

    def test_factor_and_waiting(self):
        assert self.rates((6, 7), schedule="constant", factor=0.5, from_step=7) == pytest.approx([0.0, 0.1])


def optimized(name, gradients, rate=0.5, dtype="float64", **changes):
    """Where an optimizer of ours takes `[1, -2]` by these gradients, one row a step."""
    config = dataclasses.replace(PLAIN, learning_rate=rate, **changes)
    optimizer = make_optimizer(name, Schedule(config, total_steps=len(gradients), steps_per_epoch=3))
    variable = keras.Variable(np.array([1.0, -2.0]), dtype=dtype)
    path = []
    for gradient in gradients:
        optimizer.apply([tf.constant(gradient, dtype)], [variable])
        path.append(np.array(variable))
    return np.array(path)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_momentum_is_that_of_tensorflow_1(schedule):
    """The present rate multiplies the velocity: `accum = 0.9 accum + grad; var -= rate accum`, and TF's own kernel."""
    gradients = np.random.default_rng(1).normal(size=(6, 2))
    var, accum = np.array([1.0, -2.0]), np.zeros(2)
    theirs, slot = tf.Variable(var), tf.Variable(accum)
    expected = []
    for step, grad in enumerate(gradients):
        rate = 0.5 * (1 + math.cos(math.pi * step / 6)) / 2 if schedule == "cosine" else 0.5
        accum = 0.9 * accum + grad
        var = var - rate * accum
        expected.append(var)
        tf.raw_ops.ResourceApplyMomentum(
            var=theirs.handle, accum=slot.handle, lr=tf.constant(rate, tf.float64), grad=grad, momentum=0.9
        )
        np.testing.assert_allclose(theirs, var, rtol=1e-14)
    np.testing.assert_allclose(optimized("momentum", gradients, schedule=schedule), expected, rtol=1e-6)


def test_momentum_gathers_nothing_while_its_rate_is_zero():
    schedule = Schedule(PLAIN, total_steps=9, steps_per_epoch=3, from_step=4)
    optimizer = make_optimizer("momentum", schedule)
    variable = keras.Variable(np.zeros(1), dtype="float64")
    for expected in (0, 0, 0, 0, 0.01, 0.01 + 0.019):
        optimizer.apply([tf.constant([1.0], tf.float64)], [variable])
        assert -float(variable[0]) == pytest.approx(expected, rel=1e-6)


def test_rmsprop_is_the_published_one():
    """Appendix A.7: decay 0.9, epsilon 1.0; as TensorFlow 1's: epsilon inside the root, the squares begin at one.

    Momentum 0.9 as in amoeba_net, with the rate inside. TF1's own kernel is the second oracle.
    """
    square, moved, expected = np.ones(2), np.zeros(2), np.array([1.0, -2.0])
    slots = [tf.Variable(values) for values in (expected, square, moved)]
    gradients, path = np.random.default_rng(0).normal(size=(4, 2)), []
    for grad in gradients:
        square = 0.9 * square + 0.1 * grad**2
        moved = 0.9 * moved + 0.5 * grad / np.sqrt(square + 1.0)
        expected = expected - moved
        path.append(expected)
        var, ms, mom = (slot.handle for slot in slots)
        numbers = {"lr": 0.5, "rho": 0.9, "momentum": 0.9, "epsilon": 1.0}
        numbers = {name: tf.constant(value, tf.float64) for name, value in numbers.items()}
        tf.raw_ops.ResourceApplyRMSProp(var=var, ms=ms, mom=mom, grad=grad, **numbers)
        np.testing.assert_allclose(slots[0], expected, rtol=1e-14)
    np.testing.assert_allclose(optimized("rmsprop", gradients), path, rtol=1e-6)


def moved_by(steps, transfer, architecture=None, size=20, **changes):
    """How far each weight is from its start after some steps, by name."""
    data = drawn_pictures(size, train=64)
    config = dataclasses.replace(PLAIN, steps=steps, **changes)
    spec = NetworkSpec.on(data, architecture) if architecture else spec_of(data, cheap_genotype())
    training = Training(spec, data, config, seed=0, transfer=transfer, dtype="float64")
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


def test_what_was_not_taken_over_is_never_frozen():
    """Other channels and another size: the first kernel and the dense layer on all pixels have nothing to keep."""
    layers = (ConvLayer(3, 3, filters=4), ConvLayer(3, 3, 2, 2, 4, inputs=(0,)))
    network = ChainNetwork(ChainGenotype(layers, dense=(6, 5), flatten=True, batch_norm=False), 10)
    source, target = (NetworkSpec.on(drawn_pictures(*size, train=64), network) for size in ((8, 1), (10, 3)))
    config, transfer = dataclasses.replace(PLAIN, steps=2), TransferConfig(trainable_cells=0)
    data = drawn_pictures(10, 3, train=64)
    training = Training(target, data, config, seed=0, transfer=transfer, source=build(source), dtype="float64")
    fresh = {"layer_0.conv", "dense_0.dense", "head.dense"}
    assert {name.split("/")[0] for name in training.fresh} == fresh
    start = {name: np.array(value) for name, value in named_weights(training.model).items()}
    training.run(options=ReplicaConfig(valid_epochs=0))
    for name, value in named_weights(training.model).items():
        assert bool(np.abs(value - start[name]).max()) == (name.split("/")[0] in fresh), name


def test_layer_decay_divides_the_rate_by_the_distance_from_the_head():
    distances = parts_to_head(spec_of(drawn_pictures(20), cheap_genotype()).architecture.parts)
    even, decayed = (moved_by(1, TransferConfig(layer_decay=decay)) for decay in (1.0, 0.5))
    for name, change in even.items():
        if "moving" not in name:
            share = 0.5 ** distances[part_of(name)]
            np.testing.assert_allclose(decayed[name], share * change, rtol=1e-6, atol=1e-12, err_msg=name)


DRAWN = {
    "vgg16": (VGG16(10, 1 / 16), 32),
    "googlenet": (GoogLeNet(10, 1 / 8), 65),
    "resnet18": (ResNet(10, 1 / 8, 18), 16),
    "resnet8": (CifarResNet(10, 1 / 4, 8), 8),
}


@pytest.mark.parametrize("name", some_now(DRAWN, slow=["googlenet", "resnet18"]))
def test_parts_of_networks_by_hand_are_frozen_and_slowed_too(name):
    """By half the rate for each part that is further from the head; frozen but for the two last parts and the head."""
    network, size = DRAWN[name]
    distances = parts_to_head(network.parts)
    changes = {"architecture": network, "size": size, "auxiliary_weight": 0.3 if name == "googlenet" else 0.0}
    even, decayed = (moved_by(1, TransferConfig(layer_decay=decay), **changes) for decay in (1.0, 0.5))
    heads = {"auxiliary"} if name == "googlenet" else set()
    assert {part_of(weight) for weight in even} == {*network.parts} | heads
    for weight, change in even.items():
        if "moving" not in weight:
            assert change.any(), weight
            expected = 0.5 ** distances[part_of(weight)] * change
            np.testing.assert_allclose(decayed[weight], expected, rtol=1e-6, atol=1e-12, err_msg=weight)
    for weight, change in moved_by(1, TransferConfig(trainable_cells=2), **changes).items():
        assert change.any() == (distances[part_of(weight)] <= 2), weight


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
