"""Trains one network on one device: schedule, checkpoints, resume, evaluation. Does not know that search exists."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from nasnet.augment import augment
from nasnet.config import RunError, TrainingConfig, UserError
from nasnet.data import DataSet, Split
from nasnet.network import Dropping, NetworkSpec, copy_weights, name_seed


class DivergedError(RunError):
    """The loss of a training is no longer a finite number."""


@dataclasses.dataclass(frozen=True)
class Progress:
    """Where a training stands at the end of an epoch; loss and accuracy are means over the epoch's training batches."""

    epoch: int
    epochs: int
    step: int
    loss: float
    accuracy: float
    images_per_second: float
    seconds_left: float


@dataclasses.dataclass(frozen=True)
class Score:
    """How a network does on a split: share of pictures classified right, mean cross-entropy in nats."""

    accuracy: float
    loss: float
    pictures: int


def resolve_augmentation(config: TrainingConfig, data: DataSet) -> TrainingConfig:
    """Fills in padding and flipping where the data set decides: none for digits, which a mirror makes others of."""
    digits = data.name == "digits"
    pad = (0 if digits else data.image_shape[0] // 8) if config.pad is None else config.pad
    flip = not digits if config.flip is None else config.flip
    return dataclasses.replace(config, pad=pad, flip=flip)


class Training:
    """One network in training. Bit-exact on CPU: the same arguments give the same weights, resumed or not."""

    def __init__(self, spec: NetworkSpec, data: DataSet, config: TrainingConfig, *, seed: int) -> None:
        """Builds the network with fresh weights.

        Args:
            spec: the network. It is built with what only training has (auxiliary head, drop-path, dropout) as well.
            data: its training split is used, and no other.
            config: the recipe.
            seed: of weights, order of the pictures, augmentation and dropping.
        """
        self.config = resolve_augmentation(config, data)
        self._spec, self._data, self._seed = spec, data, seed
        self.batch_size = min(config.batch_size, len(data.train))
        self.steps_per_epoch = len(data.train) // self.batch_size
        self.total_steps = config.steps or self.steps_per_epoch * config.epochs
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
        dropping = Dropping(self.step, self.total_steps, config.drop_path_keep, config.dropout_keep, seed)
        self.model = spec.build(dropping=dropping, auxiliary=config.auxiliary_weight > 0, seed=seed)
        self.optimizer = _optimizer(self.config, self.total_steps)
        self.optimizer.build(self.model.trainable_variables)
        self._kernels = [v for v in self.model.trainable_variables if v.name == "kernel"]
        self._train_step = tf.function(self._step, autograph=False, jit_compile=False)

    def run(self, checkpoints: Path | None = None, report: Callable[[Progress], None] = lambda _: None) -> None:
        """Trains to the end, from the newest checkpoint if there is one.

        Raises:
            DivergedError: if the loss is no longer finite.
            UserError: if a checkpoint cannot be read.
        """
        manager = self._manager(checkpoints)
        start, first_step = time.monotonic(), int(self.step)
        epochs = math.ceil(self.total_steps / self.steps_per_epoch)
        for epoch in range(first_step // self.steps_per_epoch, epochs):
            losses, hits = [], []
            there = self.total_steps - epoch * self.steps_per_epoch
            for batch in batches(len(self._data.train), self.batch_size, self._seed, epoch)[:there]:
                loss, correct = self._train_step(self._data.train.images[batch], self._data.train.labels[batch])
                losses.append(loss)
                hits.append(correct)
            loss = float(np.mean(losses))
            if not math.isfinite(loss):
                raise DivergedError(f"the training loss was {loss} in epoch {epoch + 1}; try a smaller learning rate")
            if manager is not None:
                manager.save(int(self.step))
            rate = (int(self.step) - first_step) / (time.monotonic() - start)
            report(
                Progress(
                    epoch=epoch + 1,
                    epochs=epochs,
                    step=int(self.step),
                    loss=loss,
                    accuracy=float(np.sum(hits)) / (len(hits) * self.batch_size),
                    images_per_second=rate * self.batch_size,
                    seconds_left=(self.total_steps - int(self.step)) / rate,
                )
            )

    def inference_model(self) -> keras.Model:
        """The trained network without what only training has: stock Keras layers from raw pixels to logits."""
        model = self._spec.build()
        kept = copy_weights(self.model, model)
        assert not kept, kept
        return model

    def _manager(self, checkpoints: Path | None) -> tf.train.CheckpointManager | None:
        if checkpoints is None:
            return None
        checkpoint = tf.train.Checkpoint(model=self.model, optimizer=self.optimizer, step=self.step)
        manager = tf.train.CheckpointManager(checkpoint, str(checkpoints), max_to_keep=2)
        if manager.latest_checkpoint:
            try:
                checkpoint.restore(manager.latest_checkpoint).assert_consumed()
            except (tf.errors.OpError, ValueError, AssertionError, IndexError) as error:
                line = (str(error).splitlines() or ["incomplete"])[0]
                raise UserError(
                    f"{manager.latest_checkpoint}: not a checkpoint of this run ({line}); delete it"
                ) from error
        return manager

    def _step(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        config = self.config
        seed = tf.stack([tf.constant(name_seed(self._seed, "augment"), tf.int64), tf.convert_to_tensor(self.step)])
        images = augment(
            tf.cast(images, tf.float32), seed, pad=config.pad or 0, flip=bool(config.flip), fill=self._spec.mean
        )
        with tf.GradientTape() as tape:
            outputs = self.model(images, training=True)
            logits = outputs["logits"] if isinstance(outputs, dict) else outputs
            loss = cross_entropy(labels, logits, config.label_smoothing)
            if isinstance(outputs, dict):
                loss += config.auxiliary_weight * cross_entropy(labels, outputs["auxiliary"], config.label_smoothing)
            if config.weight_decay:
                norms = [tf.nn.l2_loss(tf.convert_to_tensor(kernel)) for kernel in self._kernels]
                loss += config.weight_decay * tf.add_n(norms)
        variables = self.model.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        self.step.assign_add(1)
        return loss, tf.reduce_sum(tf.cast(tf.equal(tf.argmax(logits, 1, tf.int32), labels), tf.int32))


def batches(pictures: int, batch_size: int, seed: int, epoch: int) -> np.ndarray:
    """Which pictures each step of an epoch takes: int `[steps, batch_size]`; every epoch leaves out others."""
    order = np.random.default_rng([seed, epoch]).permutation(pictures)
    steps = pictures // batch_size
    return order[: steps * batch_size].reshape(steps, batch_size)


def evaluate(model: keras.Model, split: Split, batch_size: int = 256) -> Score:
    """Scores an inference model, from raw pixels to logits, on a whole split."""

    def score(images: tf.Tensor, labels: tf.Tensor, count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        logits = model(tf.cast(images, tf.float32), training=False)
        there = tf.range(tf.shape(labels)[0]) < count
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        correct = tf.equal(tf.argmax(logits, 1, tf.int32), labels) & there
        return tf.reduce_sum(tf.cast(correct, tf.int32)), tf.reduce_sum(tf.where(there, losses, 0.0))

    batch_size = min(batch_size, len(split))
    traced = tf.function(score, autograph=False, jit_compile=False).get_concrete_function(
        tf.TensorSpec([batch_size, *split.images.shape[1:]], tf.uint8),
        tf.TensorSpec([batch_size], tf.int32),
        tf.TensorSpec([], tf.int32),
    )
    correct, loss = 0, 0.0
    for start in range(0, len(split), batch_size):
        # The last batch is filled up with its own last picture, which does not count: one trace serves all.
        index = np.minimum(np.arange(start, start + batch_size), len(split) - 1)
        count = tf.constant(min(batch_size, len(split) - start))
        right, losses = traced(tf.constant(split.images[index]), tf.constant(split.labels[index]), count)
        correct, loss = correct + int(right), loss + float(losses)
    return Score(correct / len(split), loss / len(split), len(split))


def _optimizer(config: TrainingConfig, total_steps: int) -> keras.optimizers.Optimizer:
    schedule = keras.optimizers.schedules.CosineDecay(config.learning_rate, total_steps)
    clip: Any = config.clip_norm or None
    if config.optimizer == "adam":
        return keras.optimizers.Adam(schedule, global_clipnorm=clip)
    return keras.optimizers.SGD(schedule, momentum=0.9, global_clipnorm=clip)


def cross_entropy(labels: tf.Tensor, logits: tf.Tensor, smoothing: float) -> tf.Tensor:
    """Mean cross-entropy, the labels mixed with the uniform distribution by `smoothing`."""
    if not smoothing:
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
    classes = logits.shape[-1]
    targets = tf.one_hot(labels, classes, 1.0 - smoothing + smoothing / classes, smoothing / classes)
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, logits))
