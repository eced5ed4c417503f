"""bench/torch_training.py against TensorFlow: the same gradient, the same rates, and pictures moved as they should."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from bench.drawn import cheap_genotype
from cells.count import count
from cells.walks.stack import CellNetwork
from cells.zoo.cells import DARTS_V2
from nasnet.estimators.flat_weights import Layout
from nasnet.networks.keras_model import build, named_weights
from nasnet.networks.spec import NetworkSpec
from nasnet.training.config import TrainingConfig
from nasnet.training.optimizers import Schedule

torch = pytest.importorskip("torch")
port = pytest.importorskip("bench.torch_training")

SHAPE, MEAN, STD = (12, 10, 1), 100.0, 60.0
NETWORK = CellNetwork(cheap_genotype(), 1, 4, classes=5)
RECIPE = port.Recipe(
    steps=12, warmup_steps=3, batch_size=16, learning_rate=0.1, weight_decay=1e-2, clip_norm=5.0, pad=2, momentum=0.9
)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return {
        "train_images": rng.integers(0, 256, (40, *SHAPE)).astype(np.uint8),
        "train_labels": rng.integers(0, 5, 40).astype(np.uint8),
    }


def training(data, seed=3, network=NETWORK):
    return port.Training(network, port.Pictures(data, "train", "cpu"), (MEAN, STD), RECIPE, seed)


@pytest.mark.parametrize("network", [NETWORK, CellNetwork(DARTS_V2, 1, 4, classes=5)], ids=["nasnet", "darts"])
def test_gradient_is_tensorflows(data, network):
    ours = training(data, network=network)
    layout = Layout(count(network, SHAPE), network.fan)
    values = layout.named(*layout.fresh(3))
    model = build(NetworkSpec(network, tuple("abcde"), SHAPE, (MEAN,), (STD,), bn_momentum=0.9))
    variables = named_weights(model)
    for name, variable in variables.items():
        variable.assign(values[name])
    images, labels = data["train_images"][:16], data["train_labels"][:16].astype(np.int64)
    pictures = torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32))
    logits = ours.logits(pictures, training=False).detach().numpy()
    wanted = model(images.astype(np.float32), training=False)
    np.testing.assert_allclose(logits, wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())
    with tf.GradientTape() as tape:
        made = model(images.astype(np.float32), training=True)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, made))
        kernels = [tf.convert_to_tensor(v) for v in model.trainable_variables if v.name == "kernel"]
        total = loss + 1e-2 * tf.add_n([tf.nn.l2_loss(kernel) for kernel in kernels])
    found = dict(
        zip([v.path for v in model.trainable_variables], tape.gradient(total, model.trainable_variables), strict=True)
    )
    wanted = [port.torch_layout(w, found[variables[w.name].path].numpy()).ravel() for w in layout.trainable]
    told, gradient = ours.gradient(pictures, torch.from_numpy(labels))
    np.testing.assert_allclose(told.item(), loss, rtol=1e-4)
    wanted = np.concatenate(wanted)
    assert np.linalg.norm(gradient.numpy() - wanted) < 1e-2 * np.linalg.norm(wanted)


def test_rates_are_the_schedules():
    config = TrainingConfig(learning_rate=0.1, warmup_epochs=1.5, batch_size=16)
    schedule = Schedule(config, total_steps=12, steps_per_epoch=2)
    np.testing.assert_allclose(RECIPE.rates(), [float(schedule(step)) for step in range(12)], rtol=1e-5)


def test_pictures_are_cropped_and_mirrored(data):
    ours = training(data)
    images = torch.from_numpy(data["train_images"].transpose(0, 3, 1, 2).astype(np.float32))
    moves = np.random.default_rng(1).integers(0, [5, 5, 2], (40, 3))
    moved = ours._moved(images, torch.from_numpy(moves)).numpy()
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)), constant_values=MEAN)
    for picture, (row, column, mirrored) in enumerate(moves):
        crop = padded[picture, 0, row : row + 12, column : column + 10]
        np.testing.assert_allclose(moved[picture, 0], crop[:, ::-1] if mirrored else crop, atol=1e-4)


def test_a_step_moves_against_the_gradient_at_its_rate(data):
    """One step by hand: the first of a training, whose velocity is the clipped gradient alone."""
    still = dataclasses.replace(RECIPE, pad=0, clip_norm=0.5)
    ours = port.Training(NETWORK, port.Pictures(data, "train", "cpu"), (MEAN, STD), still, 3)
    rows, moves = ours._order[0].long(), ours._moves[0].long()
    images = ours._moved(ours._pictures.images[rows].float(), moves)
    before = ours.flat.detach().clone()
    _, gradient = training(data).gradient(images, ours._pictures.labels[rows])
    ours.step()
    expected = gradient * min(1.0, 0.5 / float(gradient.norm())) * still.rates()[0]
    assert float((before - expected - ours.flat.detach()).norm()) < 1e-3 * float(expected.norm())


def test_trains(data):
    ours = training(data)
    for _ in range(RECIPE.steps):
        ours.step()
    assert torch.isfinite(ours.losses).all()
    assert float(ours.losses[-3:].mean()) < float(ours.losses[:3].mean())
