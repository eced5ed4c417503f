from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from cells.zoo import NASNET_A
from nasnet.augment import augment
from nasnet.config import TrainingConfig, UserError
from nasnet.data import channel_statistics, open_dataset
from nasnet.feed import batches
from nasnet.network import NetworkSpec, named_weights
from nasnet.training import DivergedError, Training, cross_entropy, evaluate, resolve_augmentation
from tests.drawn import drawn_genotypes, drawn_pictures

FULL = TrainingConfig(
    epochs=3,
    batch_size=16,
    learning_rate=0.05,
    auxiliary_weight=0.4,
    drop_path_keep=0.6,
    dropout_keep=0.5,
    label_smoothing=0.1,
    pad=2,
    flip=True,
)


def spec_of(data, genotype=None):
    mean, std = channel_statistics(data.train)
    genotype = genotype or drawn_genotypes(1, seed=2, blocks=2)[0]
    return NetworkSpec(genotype, data.classes, data.image_shape, mean, std, 1, 4, bn_momentum=0.9)


class Stop(Exception):
    pass


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_resumed_training_is_bit_equal(tmp_path, optimizer):
    """Weights, optimizer, schedule, order of pictures, augmentation and dropping go on as if nothing had happened."""
    data = drawn_pictures(20, 2, train=70)
    config = dataclasses.replace(FULL, optimizer=optimizer, steps=10)
    whole = Training(spec_of(data), data, config, seed=5)
    whole.run()

    def stop_after_two(progress):
        if progress.epoch == 2 and progress.ended:
            raise Stop

    with pytest.raises(Stop):
        Training(spec_of(data), data, config, seed=5).run(tmp_path, stop_after_two)
    resumed = Training(spec_of(data), data, config, seed=5)
    epochs = []
    resumed.run(tmp_path, lambda progress: epochs.append(progress.epoch) if progress.ended else None)
    assert epochs == [3]
    assert int(resumed.step) == int(whole.step) == 10
    for name, variable in named_weights(resumed.model).items():
        np.testing.assert_array_equal(variable, named_weights(whole.model)[name], err_msg=name)


def test_a_damaged_checkpoint_is_named(tmp_path):
    data = drawn_pictures(8, train=32)
    config = TrainingConfig(epochs=1, batch_size=16)
    Training(spec_of(data), data, config, seed=0).run(tmp_path)
    for file in tmp_path.glob("*.data*"):
        file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UserError, match="not a checkpoint of this run"):
        Training(spec_of(data), data, config, seed=0).run(tmp_path)


def test_it_learns_digits_and_evaluation_agrees_with_plain_keras():
    data = open_dataset("digits")
    training = Training(spec_of(data, NASNET_A), data, TrainingConfig(epochs=3, batch_size=32), seed=0)
    losses = []
    training.run(report=lambda progress: losses.append(progress.loss))
    assert losses[-1] < losses[0]
    model = training.inference_model()
    assert {type(layer).__module__.split(".")[0] for layer in model.layers} == {"keras"}
    score = evaluate(model, data.valid, batch_size=64)
    assert score.accuracy > 0.8
    logits = model.predict(data.valid.images.astype(np.float32), verbose=0)
    assert score.accuracy == np.mean(logits.argmax(1) == data.valid.labels)
    expected = tf.nn.sparse_softmax_cross_entropy_with_logits(data.valid.labels, logits)
    assert score.loss == pytest.approx(float(np.mean(expected)), rel=1e-4)
    assert score.pictures == 397


def test_weight_decay_pulls_on_kernels_alone():
    """At rate r the first step's kernels differ by r * decay * kernel; nothing else does."""
    data = drawn_pictures(8, train=16)
    trained = {}
    for decay in (0.0, 0.1):
        config = TrainingConfig(steps=1, batch_size=16, weight_decay=decay, clip_norm=0.0, learning_rate=0.01)
        training = Training(spec_of(data), data, config, seed=0)
        start = {name: np.array(v) for name, v in named_weights(training.model).items()}
        training.run()
        trained[decay] = {name: np.array(v) for name, v in named_weights(training.model).items()}
    for name, plain in trained[0.0].items():
        pull = 0.01 * 0.1 * start[name] if name.endswith("/kernel") else 0
        np.testing.assert_allclose(trained[0.1][name], plain - pull, rtol=1e-4, atol=1e-6, err_msg=name)


def test_divergence_is_an_error():
    data = drawn_pictures(8, train=64)
    config = TrainingConfig(epochs=5, batch_size=16, learning_rate=1e30, clip_norm=0.0)
    with pytest.raises(DivergedError, match="loss was"):
        Training(spec_of(data), data, config, seed=0).run()


def test_batches_cover_an_epoch_and_differ_between_epochs():
    first, second = batches(50, 8, 3, 0), batches(50, 8, 3, 1)
    assert first.shape == (6, 8)
    assert len(np.unique(first)) == 48
    assert (first != second).any()
    np.testing.assert_array_equal(first, batches(50, 8, 3, 0))
    assert set(range(50)) == set(np.unique([batches(50, 8, 3, epoch) for epoch in range(20)]))


def test_label_smoothing():
    logits = tf.constant(np.random.default_rng(0).normal(size=(6, 4)))
    labels = tf.constant([0, 1, 2, 3, 0, 1])
    log_probs = tf.nn.log_softmax(logits).numpy()
    picked = log_probs[range(6), labels]
    expected = -np.mean(0.9 * picked + 0.1 * log_probs.mean(1))
    assert float(cross_entropy(labels, logits, 0.1)) == pytest.approx(expected)
    assert float(cross_entropy(labels, logits, 0.0)) == pytest.approx(-picked.mean())


def test_augmentation_depends_on_the_data_set():
    plain = TrainingConfig()
    assert (resolve_augmentation(plain, open_dataset("digits")).pad, plain.flip) == (0, None)
    other = resolve_augmentation(plain, drawn_pictures(32))
    assert (other.pad, other.flip) == (4, True)
    kept = resolve_augmentation(dataclasses.replace(plain, pad=1, flip=False), drawn_pictures(32))
    assert (kept.pad, kept.flip) == (1, False)


class TestAugment:
    images = tf.constant(np.random.default_rng(1).uniform(0, 255, (200, 6, 7, 2)).astype(np.float32))

    def test_crops_are_windows_of_the_padded_picture(self):
        seed = tf.constant([3, 4], tf.int64)
        out = augment(self.images, seed, pad=2, flip=False, fill=(10.0, 20.0)).numpy()
        padded = np.stack(
            [np.pad(self.images[..., c], [(0, 0), (2, 2), (2, 2)], constant_values=f) for c, f in enumerate((10, 20))],
            -1,
        )
        corners = set()
        for picture, source in zip(out, padded, strict=True):
            found = [
                (y, x)
                for y in range(5)
                for x in range(5)
                if np.allclose(picture, source[y : y + 6, x : x + 7], atol=1e-4)
            ]
            assert len(found) == 1
            corners.add(found[0])
        assert len(corners) == 25  # every offset occurs

    def test_flips_half_of_them(self):
        out = augment(self.images, tf.constant([0, 0], tf.int64), pad=0, flip=True, fill=(0.0, 0.0)).numpy()
        mirrored = [np.array_equal(a, b[:, ::-1]) for a, b in zip(out, self.images.numpy(), strict=True)]
        same = [np.array_equal(a, b) for a, b in zip(out, self.images.numpy(), strict=True)]
        assert all(m != s for m, s in zip(mirrored, same, strict=True))
        assert 0.35 < np.mean(mirrored) < 0.65

    def test_seed_decides(self):
        run = lambda seed: augment(self.images, tf.constant(seed, tf.int64), pad=2, flip=True, fill=(0.0, 0.0))  # noqa: E731
        np.testing.assert_array_equal(run([1, 2]), run([1, 2]))
        assert (run([1, 2]).numpy() != run([1, 3]).numpy()).any()
