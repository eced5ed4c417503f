"""The flat reading against the reading with Keras layers, and against itself in another order."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf

from bench.drawn import drawn_genotypes, drawn_pictures, drawn_spec, every_operation, other_operations
from cells.count import count
from cells.zoo.cells import NASNET_A, ZOO
from nasnet.data.dataset import Split, open_dataset
from nasnet.estimators.child import Child
from nasnet.estimators.config import ChildConfig
from nasnet.estimators.proxy import ProxyEstimator
from nasnet.networks.config import NetworkConfig
from nasnet.networks.keras_model import build, named_weights
from nasnet.runtime.errors import DivergedError, SettingError
from nasnet.training.config import TrainingConfig
from nasnet.training.loop import Training
from nasnet.training.metrics import cross_entropy, evaluate
from tests.support.slow import some_now

CONFIG = TrainingConfig(epochs=1, batch_size=8, learning_rate=0.02, pad=0, flip=False)
GENOTYPES = [*drawn_genotypes(30, seed=11), *every_operation(), *ZOO.values(), other_operations()]


def keras_twin(child, dtype):
    """The Keras reading of a child's network, with the child's weights."""
    model = build(child.spec, dtype=dtype)
    values = child.named_weights()
    assert {name: value.shape for name, value in values.items()} == {
        name: tuple(variable.shape) for name, variable in named_weights(model).items()
    }
    for name, variable in named_weights(model).items():
        variable.assign(values[name])
    return model


@pytest.mark.parametrize(
    "index", some_now(range(len(GENOTYPES)), slow=[*range(2, 30), *range(31, 43, 2), *range(44, 51)])
)
def test_counts_logits_gradients_and_losses_are_those_of_keras(index):
    """In float64: there one rounding cannot flip a ReLU or a maximum (house.md, section 5)."""
    genotype, size = GENOTYPES[index], (28, 33)[index % 2]
    data = drawn_pictures(size, 1 + index % 3, train=40, seed=index)
    stem = "imagenet" if index % 5 == 4 else "cifar"
    spec = drawn_spec(genotype, data, stem=stem, filters=8 if stem == "imagenet" else 4, bn_epsilon=1e-5)
    child = Child(spec, data, ChildConfig.of(CONFIG, data), seed=index, dtype="float64")
    assert child.weights.shape[0] == count(spec.architecture, spec.image_shape).parameters
    model = keras_twin(child, "float64")

    images, labels = tf.constant(data.train.images[:8], tf.float64), data.train.labels[:8]
    np.testing.assert_allclose(
        child.logits(images, training=False), model(images, training=False), rtol=1e-9, atol=1e-9
    )
    with tf.GradientTape() as tape:
        loss = cross_entropy(labels, child.logits(images, training=True), 0.0)
    gradient = tape.gradient(loss, child.weights).numpy()
    ours = child.layout.named(gradient, np.zeros(child.statistics.shape[0]))
    with tf.GradientTape() as tape:
        keras_loss = cross_entropy(labels, model(images, training=True), 0.0)
    names = {name: variable for name, variable in named_weights(model).items() if variable.trainable}
    theirs = dict(zip(names, tape.gradient(keras_loss, list(names.values())), strict=True))
    assert float(loss) == pytest.approx(float(keras_loss), rel=1e-12)
    # Some gradients are zero but for rounding (an offset in front of another batch norm): hence the floor.
    floor = 1e-12 * max(np.abs(value).max() for value in theirs.values())
    for name, value in theirs.items():
        atol = 1e-9 * np.abs(value).max() + floor
        np.testing.assert_allclose(ours[name], value, rtol=0, atol=atol, err_msg=name)


@pytest.mark.parametrize("index", some_now([0, 1, 2, 33, 43, 44], slow=[1, 2, 33, 43, 44]))
def test_losses_of_five_steps_are_those_of_keras(index):
    data = drawn_pictures(12, train=40, seed=index)
    child = Child(drawn_spec(GENOTYPES[index], data), data, ChildConfig.of(CONFIG, data), seed=index, dtype="float64")
    model = keras_twin(child, "float64")
    losses = child.run().losses
    assert len(losses) == 5

    order = np.concatenate(list(child.batches()))
    variables = model.trainable_variables
    velocity = [np.zeros(variable.shape) for variable in variables]
    expected = []
    for step in range(5):
        batch = order[8 * step : 8 * step + 8]
        with tf.GradientTape() as tape:
            logits = model(tf.constant(data.train.images[batch], tf.float64), training=True)
            loss = cross_entropy(data.train.labels[batch], logits, 0.0)
            kernels = [tf.nn.l2_loss(v.value) for v in variables if v.name == "kernel"]
            loss += CONFIG.weight_decay * tf.add_n(kernels)
        gradients, _ = tf.clip_by_global_norm(tape.gradient(loss, variables), CONFIG.clip_norm)
        rate = 0.5 * CONFIG.learning_rate * (1 + math.cos(math.pi * step / 5))
        for i, variable in enumerate(variables):
            velocity[i] = 0.9 * velocity[i] + gradients[i].numpy()
            variable.assign_sub(rate * velocity[i])
        expected.append(float(loss))
    np.testing.assert_allclose(losses, expected, rtol=1e-8)
    for name, value in child.named_weights().items():
        np.testing.assert_allclose(value, named_weights(model)[name], rtol=1e-6, atol=1e-8, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_float32_training_is_that_of_the_training_loop(seed):
    """The same recipe through the training loop with Keras' optimizer, from the same weights; then the same score.

    The rate is small: in float32 the readings' gradients differ by a few percent (house.md, section 5).
    """
    data = drawn_pictures(10, 3, train=96, seed=seed)
    spec = drawn_spec(drawn_genotypes(1, seed)[0], data)
    config = dataclasses.replace(
        CONFIG, epochs=2, batch_size=32, learning_rate=1e-5, pad=2, flip=True, label_smoothing=0.1, weight_decay=0.0
    )
    child = Child(spec, data, ChildConfig.of(config, data), seed=seed)
    training = Training(spec, data, config, seed=seed)
    for name, variable in named_weights(training.model).items():
        variable.assign(child.named_weights()[name])
    means = []
    training.run(report=lambda progress: means.append(progress.loss) if progress.ended else None)
    result = child.run()
    np.testing.assert_allclose(result.losses.reshape(2, 3).mean(1), means, rtol=1e-4)

    twin = keras_twin(child, "float32")
    score = evaluate(twin, data.valid)
    assert score.accuracy == result.scores[-1].accuracy
    assert score.loss == pytest.approx(result.scores[-1].loss, rel=1e-4)


def test_losses_in_float32_are_those_of_keras():
    for seed, genotype in enumerate(drawn_genotypes(5, seed=4)):
        data = drawn_pictures(12, train=8, seed=seed)
        child = Child(drawn_spec(genotype, data), data, ChildConfig.of(CONFIG, data), seed=seed)
        model = keras_twin(child, "float32")
        images, labels = tf.constant(data.train.images, tf.float32), data.train.labels
        ours = cross_entropy(labels, child.logits(images, training=True), 0.0)
        assert float(ours) == pytest.approx(float(cross_entropy(labels, model(images, training=True), 0.0)), rel=1e-4)


def test_nothing_of_the_child_before_survives():
    data = drawn_pictures(10, train=64)
    specs = [drawn_spec(genotype, data) for genotype in drawn_genotypes(2, seed=8)]
    run = lambda index: Child(specs[index], data, ChildConfig.of(CONFIG, data), seed=index).run()  # noqa: E731
    forward = [run(0), run(1)]
    backward = [run(1), run(0)][::-1]
    for one, other in zip(forward, backward, strict=True):
        np.testing.assert_array_equal(one.losses, other.losses)
        assert one.scores == other.scores


def test_its_session_has_options_of_its_own_and_leaves_the_process_alone(monkeypatch):
    """Grappler off and functions inlined, with the process's threads; a real session, looked at as it is made."""
    configs = []

    def session(graph, config):
        configs.append(config)
        return made(graph=graph, config=config)

    made = tf.compat.v1.Session
    monkeypatch.setattr(tf.compat.v1, "Session", session)
    before = tf.config.optimizer.get_experimental_options()
    data = drawn_pictures(8, train=16)
    Child(drawn_spec(NASNET_A, data), data, ChildConfig.of(CONFIG, data), seed=0).run()
    [config] = configs
    assert config.graph_options.rewrite_options.disable_meta_optimizer
    assert config.graph_options.optimizer_options.do_function_inlining
    assert config.intra_op_parallelism_threads == tf.config.threading.get_intra_op_parallelism_threads()
    assert config.inter_op_parallelism_threads == tf.config.threading.get_inter_op_parallelism_threads()
    assert tf.config.optimizer.get_experimental_options() == before


def test_fresh_weights_have_the_variance_of_the_keras_reading():
    data = drawn_pictures(8, 3)
    spec = drawn_spec(NASNET_A, data, filters=32)
    ours = Child(spec, data, ChildConfig.of(CONFIG, data), seed=0).named_weights()
    theirs = named_weights(build(spec, seed=1))
    for name, value in ours.items():
        if name.endswith("/kernel") and value.size > 2000:
            assert np.std(value) == pytest.approx(np.std(theirs[name]), rel=0.1), name
            assert np.abs(value).max() <= np.abs(np.asarray(theirs[name])).max() * 1.05
        elif not name.endswith("/kernel"):
            np.testing.assert_array_equal(value, theirs[name])


def test_divergence_is_told_with_its_step():
    data = drawn_pictures(8, train=64)
    config = dataclasses.replace(CONFIG, learning_rate=1e30, clip_norm=0.0, epochs=4)
    with pytest.raises(DivergedError, match=r"loss was (nan|inf) at step \d"):
        Child(drawn_spec(NASNET_A, data), data, ChildConfig.of(config, data), seed=0).run()


@pytest.mark.parametrize("child", ["functions", "keras"])
def test_a_last_step_that_diverges_is_no_score(child):
    """Its loss is of the weights before it; what is left answers nothing, which was counted as the first class."""
    data = drawn_pictures(8, train=64)
    config = dataclasses.replace(CONFIG, learning_rate=1e30, clip_norm=0.0, steps=1)
    proxy = ProxyEstimator(data, NetworkConfig(filters=2), config, 0, child, statistics="reestimated")
    with pytest.raises(DivergedError, match=r"the loss on 64 pictures was (nan|inf) after the last step"):
        proxy.train(drawn_spec(NASNET_A, data).architecture, 0)


def test_its_pictures_are_augmented_as_those_of_the_training_that_it_stands_for():
    """Cropped by an eighth and mirrored where that keeps a class, unless a flag says otherwise."""
    plain = TrainingConfig()
    assert (plain.pad, plain.flip) == (None, None)
    found = [ChildConfig.of(plain, data) for data in (drawn_pictures(16), open_dataset("digits"))]
    assert [(config.pad, config.flip) for config in found] == [(2, True), (0, False)]
    given = ChildConfig.of(dataclasses.replace(plain, pad=1, flip=False), drawn_pictures(16))
    assert (given.pad, given.flip) == (1, False)


def test_a_child_of_tall_pictures_pads_each_side_by_an_eighth_of_it():
    """As `--mode=train` does: of 24x4 pixels no column is padded. Its first step sees what `augment` makes of them."""
    data = drawn_pictures(24, train=16)
    cut = [Split(split.images[:, :, :4], split.labels) for split in (data.train, data.valid)]
    data = dataclasses.replace(data, image_shape=(24, 4, 1), train=cut[0], valid=cut[1])
    config = ChildConfig.of(dataclasses.replace(CONFIG, pad=None, flip=False), data)
    assert config.pad is None
    child = Child(drawn_spec(NASNET_A, data), data, config, seed=0)
    assert child.augmentation.pads == (3, 0)


@pytest.mark.parametrize("change", [{"auxiliary_weight": 0.4}, {"drop_path_keep": 0.6}, {"optimizer": "adam"}])
def test_what_a_child_does_not_have_is_refused(change):
    data = drawn_pictures(8)
    with pytest.raises(SettingError, match=next(iter(change))):
        ChildConfig.of(dataclasses.replace(CONFIG, **change), data)
