"""What a network is scored by: accuracy and cross-entropy, on a batch and on a whole split."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from nasnet.data.dataset import Split
from nasnet.data.input_pipeline import feed, in_order
from nasnet.runtime.errors import RunError
from nasnet.training.score import Score

LogitsOf = Callable[[tf.Tensor], tf.Tensor]
"""From raw pixels, float32 `[B, height, width, channels]` of 0 to 255, to logits `[B, classes]`."""


def evaluate(model: keras.Model, split: Split, batch_size: int = 256) -> Score:
    """Scores an inference model, from raw pixels to logits, on a whole split."""
    return Scorer(lambda images: model(images, training=False), tf.distribute.get_strategy())(split, batch_size)


def logits_of(model: keras.Model, images: np.ndarray, batch_size: int = 256) -> np.ndarray:
    """The logits of an inference model, float32 `[N, classes]`, for uint8 `[N, height, width, channels]`."""
    step = tf.function(lambda batch: model(tf.cast(batch, tf.float32), training=False), autograph=False)
    starts = range(0, len(images), batch_size)
    return np.concatenate([step(tf.constant(images[start : start + batch_size])).numpy() for start in starts])


def check_answers(logits: np.ndarray, pictures: str = "pictures") -> None:
    """Raises RunError, naming the pictures, where answers are not finite: they would count as of the first class."""
    if wrong := int((~np.isfinite(logits)).any(axis=-1).sum()):
        rule = "as after a last step that diverges; expected one trained with a smaller learning rate"
        raise RunError(f"the network's answers to {wrong:,} of {len(logits):,} {pictures} are not finite, {rule}")


class Scorer:
    """Scores splits by one function from raw pixels to logits, on all replicas of a strategy; traced once."""

    def __init__(self, logits_of: LogitsOf, strategy: tf.distribute.Strategy) -> None:
        self._logits_of, self._strategy = logits_of, strategy
        self._step = tf.function(self._all_replicas, autograph=False, jit_compile=False)

    def __call__(self, split: Split, batch_size: int = 256) -> Score:
        """The mean over the whole split. `batch_size` is of all replicas together; it is rounded up to divide."""
        replicas = self._strategy.num_replicas_in_sync
        batch_size = math.ceil(min(batch_size, len(split)) / replicas) * replicas
        batches = feed(split, lambda: in_order(len(split), batch_size), batch_size, self._strategy)
        steps = math.ceil(len(split) / batch_size)
        return mean_score((self._sums(*next(batches)) for _ in range(steps)), len(split))

    def _sums(self, images: Any, labels: Any) -> tuple[tf.Tensor, tf.Tensor]:  # noqa: ANN401 - PerReplica
        # Traced before it is called: TensorFlow warns of what five calls trace, and here each network is one.
        self._step.get_concrete_function(images, labels)
        return self._step(images, labels)

    def _all_replicas(self, images: Any, labels: Any) -> tuple[tf.Tensor, tf.Tensor]:  # noqa: ANN401 - PerReplica
        sums = self._strategy.run(self._one_replica, args=(images, labels))
        local = self._strategy.experimental_local_results(sums)[0]  # the same on each: they have been added up
        return local[0], local[1]

    def _one_replica(self, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        sums = tf.stack(sum_scores(self._logits_of(tf.cast(images, tf.float32)), labels))
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, sums) if context.num_replicas_in_sync > 1 else sums


def sum_scores(logits: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """How many pictures are classified right, and the sum of their cross-entropies; a label below 0 does not count.

    An answer that is not finite is never right: `argmax` would have it say the first class.

    Args:
        logits: `[B, classes]`.
        labels: int32 `[B]`.
    """
    there = labels >= 0
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(labels, 0), logits)
    answered = tf.reduce_all(tf.math.is_finite(logits), 1)
    correct = tf.logical_and(tf.equal(tf.argmax(logits, 1, tf.int32), labels), answered)
    return tf.reduce_sum(tf.cast(correct, losses.dtype)), tf.reduce_sum(tf.where(there, losses, tf.zeros_like(losses)))


def mean_score(sums: Iterable[tuple[tf.Tensor, tf.Tensor]], count: int) -> Score:
    """What `sum_scores` gave for the batches of a split of `count` pictures, added up and divided."""
    correct, loss = 0.0, 0.0
    for batch_correct, batch_loss in sums:
        correct, loss = correct + float(batch_correct), loss + float(batch_loss)
    return Score(correct / count, loss / count, count)


def cross_entropy(labels: tf.Tensor, logits: tf.Tensor, smoothing: float) -> tf.Tensor:
    """Mean over a batch of `-sum_k q_k log p_k`, p the softmax of the logits, in nats.

    `q_k = (1 - smoothing) * [k is the label] + smoothing / classes`: the labels mixed with the uniform distribution.

    Args:
        labels: int32 `[B]`.
        logits: `[B, classes]`.
        smoothing: share of the uniform distribution; 0 is none.
    """
    if not smoothing:
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
    classes = logits.shape[-1]
    on, off = 1.0 - smoothing + smoothing / classes, smoothing / classes
    targets = tf.one_hot(labels, classes, on, off, dtype=logits.dtype)
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, logits))
