"""The reading with Keras layers, against the reading with integers and against keras.applications."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from bench.drawn import cheap_genotype, drawn_genotypes, every_operation
from cells.count import count
from cells.walks.stack import CellNetwork
from cells.zoo.cells import AMOEBANET_A, NASNET_A
from nasnet.networks.keras_model import build, copy_weights, named_weights, renewed
from nasnet.networks.layers import DropConfig, StatelessDropout
from nasnet.networks.readings.keras_reading import layer_name, primitive_name
from nasnet.networks.saved import load_trained
from nasnet.networks.spec import NetworkSpec
from tests.support.slow import some_now

BEFORE = Path(__file__).parent / "before_names"


def network(genotype, *, image_shape, classes, repeats, filters, stem="cifar", mean=None, std=None, **options):
    """A model of the cells that takes pixels as they are, unless it is told how to whiten them."""
    channels, names = image_shape[2], tuple(map(str, range(classes)))
    cells = CellNetwork(genotype, repeats, filters, classes, stem)
    return build(NetworkSpec(cells, names, image_shape, mean or (0.0,) * channels, std or (1.0,) * channels), **options)


def shapes(model):
    return {name: tuple(variable.shape) for name, variable in named_weights(model).items()}


@pytest.mark.parametrize("size", some_now([28, 33], slow=[33]))
def test_weights_and_shapes_are_those_that_are_counted(size):
    genotypes = [NASNET_A, AMOEBANET_A, *drawn_genotypes(6, seed=size), *every_operation()]
    for index, genotype in enumerate(genotypes):
        stem, auxiliary = ("cifar", "imagenet")[index % 2], index % 3 == 0 and index % 2 == 0
        model = network(
            genotype, image_shape=(size, size, 3), classes=7, repeats=1, filters=8, stem=stem, auxiliary=auxiliary
        )
        counts = count(CellNetwork(genotype, 1, 8, 7, stem), (size, size, 3), auxiliary=auxiliary)
        assert shapes(model) == {weight.name: weight.shape for weight in counts.weights}
        trainable = {weight.name for weight in counts.weights if weight.trainable}
        assert trainable == {name for name, variable in named_weights(model).items() if variable.trainable}


def test_every_weight_has_a_gradient():
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype(np.float32)
    for genotype in drawn_genotypes(4, seed=3):
        model = network(genotype, image_shape=(8, 8, 1), classes=3, repeats=1, filters=4)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(images, training=True) ** 2)
        assert all(g is not None for g in tape.gradient(loss, model.trainable_variables))


@pytest.mark.parametrize(("stem", "momentum", "epsilon"), [("cifar", 0.9, 1e-5), ("imagenet", 0.9997, 1e-3)])
def test_batch_norm_is_slims_unless_told(stem, momentum, epsilon):
    spec = NetworkSpec(CellNetwork(cheap_genotype(), 1, 8, 2, stem), ("a", "b"), (19, 19, 3), (0.0,) * 3, (1.0,) * 3)
    layer = build(spec).get_layer("stem__bn")
    assert (layer.momentum, layer.epsilon) == (momentum, epsilon)
    layer = build(dataclasses.replace(spec, bn_momentum=0.5, bn_epsilon=0.25)).get_layer("stem__bn")
    assert (layer.momentum, layer.epsilon) == (0.5, 0.25)


def test_initial_weights_depend_on_the_seed_and_the_name_alone():
    genotype = drawn_genotypes(1, seed=5)[0]
    weights = lambda classes, seed: named_weights(  # noqa: E731
        network(genotype, image_shape=(8, 8, 1), classes=classes, repeats=1, filters=4, seed=seed)
    )
    first, other_head, other_seed = weights(3, 0), weights(5, 0), weights(3, 1)
    for name, variable in first.items():
        if name.endswith("/kernel"):
            if not name.startswith("head"):
                np.testing.assert_array_equal(variable, other_head[name])
            assert np.abs(np.asarray(variable) - np.asarray(other_seed[name])).max() > 0
    kernels = [np.asarray(v).ravel()[0] for name, v in first.items() if name.endswith("/kernel")]
    assert len(set(kernels)) == len(kernels)


def test_kernels_have_fan_out_variance():
    model = network(NASNET_A, image_shape=(8, 8, 3), classes=10, repeats=1, filters=64)
    weights = named_weights(model)
    kernel = np.asarray(weights["cell_1.block_0.left.pointwise_1/kernel"])
    assert np.var(kernel) == pytest.approx(2 / kernel.shape[-1], rel=0.05)
    kernel = np.asarray(weights["stem.conv/kernel"])
    assert np.var(kernel) == pytest.approx(2 / (9 * kernel.shape[-1]), rel=0.05)


def test_normalization_is_inside():
    genotype = NASNET_A
    kwargs = {"image_shape": (8, 8, 2), "classes": 3, "repeats": 1, "filters": 4}
    plain = network(genotype, **kwargs)
    raw = network(genotype, mean=(10.0, 100.0), std=(2.0, 50.0), **kwargs)
    assert copy_weights(plain, raw) == ()
    images = np.random.default_rng(0).uniform(0, 255, (3, 8, 8, 2)).astype(np.float32)
    expected = plain((images - [10.0, 100.0]) / [2.0, 50.0])
    np.testing.assert_allclose(raw(images), expected, rtol=1e-4, atol=1e-4)


def test_copying_keeps_what_differs():
    made = lambda classes, channels, seed: network(  # noqa: E731
        NASNET_A, image_shape=(16, 16, channels), classes=classes, repeats=1, filters=4, seed=seed
    )
    source, target = made(10, 1, 0), made(3, 3, 1)
    before = {name: np.asarray(v) for name, v in named_weights(target).items()}
    assert copy_weights(source, target) == ("stem.conv/kernel", "head.dense/kernel", "head.dense/bias")
    for name, variable in named_weights(target).items():
        kept = name in ("stem.conv/kernel", "head.dense/kernel", "head.dense/bias")
        np.testing.assert_array_equal(variable, before[name] if kept else named_weights(source)[name])


def test_copying_leaves_a_fresh_head():
    made = lambda seed: network(  # noqa: E731
        NASNET_A, image_shape=(8, 8, 1), classes=3, repeats=1, filters=4, seed=seed
    )
    source, target = made(0), made(1)
    assert copy_weights(source, target, fresh="head.") == ("head.dense/kernel", "head.dense/bias")
    head, other = (named_weights(model)["head.dense/kernel"] for model in (source, target))
    assert (np.asarray(head) != np.asarray(other)).any()


def test_spec_round_trip_builds_the_same_network():
    spec = NetworkSpec(
        CellNetwork(drawn_genotypes(1, 9)[0], 1, 8, 3), ("a", "b", "c"), (20, 24, 2), (1.0, 2.0), (3.0, 4.0)
    )
    again = NetworkSpec.from_json(spec.to_json())
    assert again == spec
    images = np.random.default_rng(0).uniform(0, 255, (2, 20, 24, 2)).astype(np.float32)
    np.testing.assert_array_equal(build(spec, seed=3)(images), build(again, seed=3)(images))
    with pytest.raises(ValueError, match="network"):
        NetworkSpec.from_json(NASNET_A.to_json())


@pytest.mark.parametrize("training", [False, True])
def test_layers_names_are_legal_everywhere_and_lead_back(training):
    """In PyTorch's parameters, TensorFlow's scopes, ONNX and Core ML: letters, digits, underscores."""
    genotype, stem = every_operation()[1], "cifar" if training else "imagenet"
    drops = DropConfig(tf.Variable(0, dtype=tf.int64), 10, 0.5, 0.5) if training else None
    model = network(
        genotype,
        image_shape=(24, 24, 3),
        classes=2,
        repeats=1,
        filters=8,
        stem=stem,
        auxiliary=training,
        drops=drops,
    )
    names = [layer.name for layer in model.layers]
    assert [name for name in names if not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name)] == []
    assert all(layer_name(primitive_name(layer)) == layer.name for layer in model.layers)
    counts = count(CellNetwork(genotype, 1, 8, 2, stem), (24, 24, 3), auxiliary=training)
    assert {weight.primitive for weight in counts.weights} <= {primitive_name(layer) for layer in model.layers}


class TestSavedBefore:
    """Files of an older version, whose layers' names had dots and which whitened by `Normalization`."""

    @pytest.fixture
    def old(self):
        with np.load(BEFORE / "logits.npz") as values:
            return keras.models.load_model(BEFORE / "model.keras"), values["pictures"], values["logits"]

    def test_they_are_read_into_a_network_of_today(self, old):
        before, pictures, logits = old
        assert any("." in layer.name for layer in before.layers)
        _, model = load_trained(BEFORE)
        assert not any("." in layer.name for layer in model.layers)
        np.testing.assert_allclose(model(pictures), logits, rtol=1e-5, atol=1e-5)
        assert named_weights(model).keys() == named_weights(before).keys()
        for name, value in named_weights(model).items():
            np.testing.assert_array_equal(value, named_weights(before)[name], err_msg=name)

    def test_their_weights_are_taken_over_by_name(self, old):
        spec, _ = load_trained(BEFORE)
        assert copy_weights(old[0], build(dataclasses.replace(spec, image_shape=(12, 8, 2)))) == ()

    def test_what_the_cells_no_longer_give_stays_as_it_was_saved(self, old):
        spec, _ = load_trained(BEFORE)
        other = dataclasses.replace(spec, architecture=dataclasses.replace(spec.architecture, filters=3))
        assert renewed(other, old[0]) is old[0]


class TestDropping:
    """What ScheduledDropPath and dropout do, not that they run."""

    def layer(self, keep, scheduled, step=100, total=100, seed=1):
        drops = DropConfig(tf.Variable(step, dtype=tf.int64), total, 0.5, 0.5)
        return StatelessDropout(drops, keep, scheduled=scheduled, seed=seed), drops.step

    @pytest.mark.parametrize(("scheduled", "shape"), [(True, (20_000, 2, 2, 3)), (False, (500, 200))])
    def test_mean_is_preserved_and_the_share_is_kept(self, scheduled, shape):
        layer, _ = self.layer(0.7, scheduled)
        y = np.asarray(layer(tf.ones(shape), training=True))
        assert y.mean() == pytest.approx(1, abs=0.02)
        assert (y > 0).mean() == pytest.approx(0.7, abs=0.02)
        assert set(np.unique(y)) == {0, np.float32(1 / np.float32(0.7))}

    def test_a_path_is_dropped_whole_for_one_example(self):
        layer, _ = self.layer(0.5, True)
        y = np.asarray(layer(tf.ones((64, 3, 3, 5)), training=True)).reshape(64, -1)
        assert (y == y[:, :1]).all()
        assert 0 < (y[:, 0] > 0).sum() < 64

    def test_identity_at_inference_and_at_the_start(self):
        layer, step = self.layer(0.5, True)
        x = tf.random.stateless_normal((8, 2, 2, 3), [0, 0])
        np.testing.assert_array_equal(layer(x, training=False), x)
        step.assign(0)
        np.testing.assert_array_equal(layer(x, training=True), x)

    def test_schedule_is_linear_in_time(self):
        layer, _ = self.layer(0.6, True, total=200)
        found = [float(layer.keep_at(tf.constant(step, tf.int64))) for step in (0, 50, 100, 200, 400)]
        assert found == pytest.approx([1.0, 0.9, 0.8, 0.6, 0.6])

    def test_depth_scaling_is_slims(self):
        drops = DropConfig(tf.Variable(0, dtype=tf.int64), 10, path_keep=0.6)
        model = network(NASNET_A, image_shape=(8, 8, 1), classes=3, repeats=1, filters=4, drops=drops)
        keeps = {
            primitive_name(layer): float(layer.keep_at(tf.constant(10, tf.int64)))
            for layer in model.layers
            if "drop_path" in layer.name
        }
        # k1 = 1 - (cell_num + 1) / total_cells * (1 - keep), five cells in all
        assert keeps["cell_0.block_0.left.drop_path"] == pytest.approx(1 - 1 / 5 * 0.4)
        assert keeps["reduction_1.block_0.left.drop_path"] == pytest.approx(1 - 4 / 5 * 0.4)
        assert keeps["cell_2.block_0.left.drop_path"] == pytest.approx(0.6)
        assert not any(name.startswith("cell_0.block_2.right") for name in keeps)  # an identity is never dropped

    def test_masks_depend_on_step_and_layer(self):
        layer, step = self.layer(0.5, True)
        other, _ = self.layer(0.5, True, seed=2)
        x = tf.ones((64, 1, 1, 1))
        first = np.asarray(layer(x, training=True))
        np.testing.assert_array_equal(first, layer(x, training=True))
        assert (first != np.asarray(other(x, training=True))).any()
        step.assign_add(1)
        assert (first != np.asarray(layer(x, training=True))).any()

    def test_no_two_layers_or_steps_draw_the_same(self):
        """One key a draw: not those of the layer beside at the step before."""
        step = tf.Variable(10, dtype=tf.int64)
        drops = DropConfig(step, 10, path_keep=0.6, dropout_keep=0.5)
        model = network(NASNET_A, image_shape=(8, 8, 1), classes=3, repeats=1, filters=4, drops=drops)
        layers = [layer for layer in model.layers if isinstance(layer, StatelessDropout)]
        for layer in layers:
            layer._keep = 0.5  # of all alike: the same draws would be the same masks
        kept = []
        for _ in range(3):
            kept += [np.asarray(layer(tf.ones((100, 1)), training=True))[:, 0] > 0 for layer in layers]
            step.assign_add(1)
        # Shares of equal places: near what two independent draws have, far from 1.
        alike = np.mean(np.array(kept)[:, None] == np.array(kept)[None], axis=-1)
        assert len(layers) > 30
        assert np.max(alike - np.eye(len(kept))) < 0.8
