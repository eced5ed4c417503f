"""bench/torch_training.py against TensorFlow: the same gradient, the same rates, and pictures moved as they should."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from bench.drawn import cheap_genotype
from cells.count import count
from cells.walks.stack import CellNetwork
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


def training(data, seeds=(3,), recipe=RECIPE, **more):
    return port.Training(NETWORK, port.Pictures(data, "train", "cpu"), (MEAN, STD), recipe, seeds, **more)


def test_gradient_is_tensorflows(data):
    ours = training(data)
    layout = Layout(count(NETWORK, SHAPE), NETWORK.fan)
    values = layout.named(*layout.fresh(3))
    model = build(NetworkSpec(NETWORK, tuple("abcde"), SHAPE, (MEAN,), (STD,), bn_momentum=0.9))
    variables = named_weights(model)
    for name, variable in variables.items():
        variable.assign(values[name])
    images, labels = data["train_images"][:16], data["train_labels"][:16].astype(np.int64)
    pictures = torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32))
    logits = ours.logits(pictures, training=False)[0].detach().numpy()
    np.testing.assert_allclose(logits, model(images.astype(np.float32), training=False), rtol=1e-4, atol=1e-5)
    with tf.GradientTape() as tape:
        made = model(images.astype(np.float32), training=True)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, made))
        kernels = [tf.convert_to_tensor(v) for v in model.trainable_variables if v.name == "kernel"]
        total = loss + 1e-2 * tf.add_n([tf.nn.l2_loss(kernel) for kernel in kernels])
    found = dict(
        zip([v.path for v in model.trainable_variables], tape.gradient(total, model.trainable_variables), strict=True)
    )
    wanted = [port.torch_layout(w, found[variables[w.name].path].numpy()).ravel() for w in layout.trainable]
    told, gradient = ours.gradient(pictures, torch.from_numpy(labels)[:, None])
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
    ours = training(data, recipe=still)
    rows, moves = ours._order[0, :, 0].long(), ours._moves[0, :, 0].long()
    images = ours._moved(ours._pictures.images[rows].float(), moves)
    before = ours.flat.detach().clone()
    _, gradient = training(data).gradient(images, ours._pictures.labels[rows][:, None])
    ours.step()
    expected = gradient * min(1.0, 0.5 / float(gradient.norm())) * still.rates()[0]
    assert float((before - expected - ours.flat.detach()).norm()) < 1e-3 * float(expected.norm())


def test_trains(data):
    ours = training(data)
    for _ in range(RECIPE.steps):
        ours.step()
    assert torch.isfinite(ours.losses).all()
    assert float(ours.losses[-3:].mean()) < float(ours.losses[:3].mean())


def test_starts_together_are_what_each_is_alone(data):
    """Of one network with every kind of operation; two steps, and scores."""
    together = training(data, (3, 7, 4))
    for _ in range(3):
        together.step()
    scores = together.scores(port.Pictures(data, "train", "cpu"))
    for place, seed in enumerate((3, 7, 4)):
        alone = training(data, (seed,))
        for _ in range(3):
            alone.step()
        np.testing.assert_allclose(together.losses[:3, place], alone.losses[:3, 0], rtol=1e-4)
        flat = together.flat.detach()[together._by_start[place]]
        assert float((flat - alone.flat.detach()).norm()) < 1e-3 * float(alone.flat.detach().norm())
        np.testing.assert_allclose(scores[place], alone.scores(port.Pictures(data, "train", "cpu"))[0], rtol=1e-3)


def test_a_shorter_training_begins_anew(data):
    ours, short = training(data), dataclasses.replace(RECIPE, steps=4, warmup_steps=0)
    curves = []
    for recipe in (RECIPE, short, RECIPE):
        ours.begin(recipe)
        for _ in range(recipe.steps):
            ours.step()
        curves.append(ours.losses[: recipe.steps, 0].clone())
    assert torch.equal(curves[0], curves[2])
    assert curves[1][0] == curves[0][0]  # the same weights and pictures
    assert not torch.equal(curves[1], curves[0][:4])  # other rates
    np.testing.assert_allclose(ours._rates, RECIPE.rates(), rtol=1e-6)


@pytest.mark.parametrize("size", [3, 5, 7])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2)])
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("shape", [(9, 6, 28, 28), (3, 4, 7, 7), (2, 3, 14, 9)])
def test_depthwise_kernels_are_conv2ds(monkeypatch, size, stride, dilation, relu, shape):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    pytest.importorskip("triton")
    kernels = pytest.importorskip("bench.triton_depthwise")
    child = pytest.importorskip("bench.torch_child")
    generator = torch.Generator().manual_seed(size)
    x = torch.randn(shape, generator=generator, requires_grad=True)
    w = torch.randn((shape[1], 1, size, size), generator=generator, requires_grad=True)
    rows, columns = (child.same(length, dilation * (size - 1) + 1, stride) for length in shape[2:])
    ours = kernels.depthwise(x, w, stride=stride, dilation=dilation, padding=(rows, columns), relu=relu)
    before = torch.nn.functional.pad(torch.relu(x) if relu else x, (*columns, *rows))
    wanted = torch.nn.functional.conv2d(before, w, None, stride, 0, dilation, shape[1])
    torch.testing.assert_close(ours, wanted, rtol=1e-4, atol=1e-4)
    dy = torch.randn(wanted.shape, generator=generator)
    for found, right in zip(
        torch.autograd.grad(ours, (x, w), dy), torch.autograd.grad(wanted, (x, w), dy), strict=True
    ):
        torch.testing.assert_close(found, right, rtol=1e-3, atol=1e-3)
