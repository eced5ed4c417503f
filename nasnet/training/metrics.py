"""What a network is scored by: accuracy and cross-entropy, on a batch and on a whole split."""

from __future__ import annotations

import dataclasses
import math

import keras
import tensorflow as tf

from nasnet.data.dataset import Split
from nasnet.data.input_pipeline import feed, in_order


@dataclasses.dataclass(frozen=True)
class Score:
    """How a network does on a split: share of pictures classified right, mean cross-entropy in nats."""

    accuracy: float
    loss: float
    pictures: int


def evaluate(model: keras.Model, split: Split, batch_size: int = 256) -> Score:
    """Scores an inference model, from raw pixels to logits, on a whole split."""

    def score(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return sum_scores(model(tf.cast(images, tf.float32), training=False), labels)

    batch_size = min(batch_size, len(split))
    traced = tf.function(score, autograph=False, jit_compile=False)
    batches = feed(split, lambda: in_order(len(split), batch_size), batch_size, tf.distribute.get_strategy())
    hits, loss = 0.0, 0.0
    for _ in range(math.ceil(len(split) / batch_size)):
        right, losses = traced(*next(batches))
        hits, loss = hits + float(right), loss + float(losses)
    return Score(hits / len(split), loss / len(split), len(split))


def sum_scores(logits: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """How many pictures are classified right, and the sum of their cross-entropies; a label below 0 does not count."""
    there = labels >= 0
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(labels, 0), logits)
    correct = tf.equal(tf.argmax(logits, 1, tf.int32), labels)
    return tf.reduce_sum(tf.cast(correct, losses.dtype)), tf.reduce_sum(tf.where(there, losses, tf.zeros_like(losses)))


def cross_entropy(labels: tf.Tensor, logits: tf.Tensor, smoothing: float) -> tf.Tensor:
    """Mean cross-entropy, the labels mixed with the uniform distribution by `smoothing`."""
    if not smoothing:
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
    classes = logits.shape[-1]
    targets = tf.one_hot(labels, classes, 1.0 - smoothing + smoothing / classes, smoothing / classes)
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, logits))
