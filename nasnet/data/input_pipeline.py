"""What a step takes next: batches cut for each replica, gathered and prefetched by tf.data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from nasnet.data.dataset import Split

ABSENT = -1
"""In place of a picture's index, and then of its label: there is none, and what is in its place does not count."""


def feed(
    split: Split, indices: Callable[[], Iterable[np.ndarray]], batch_size: int, strategy: tf.distribute.Strategy
) -> Iterator[tuple[Any, Any]]:
    """Yields `(images, labels)` of the next batch, for each replica its own rows.

    Replica r of n takes the rows from `r * batch_size / n`, on whatever machine it is, so the same indices are the same
    batch on any number of replicas. Pictures stay uint8: what is done to them is done where they are trained on.

    Args:
        split: the pictures.
        indices: gives the rows of each batch in order, int `[batch_size]`; `ABSENT` fills up a last batch.
        batch_size: of all replicas together; a multiple of their number.
        strategy: whose replicas are fed.
    """
    with tf.device("/CPU:0"):
        images, labels = tf.constant(split.images), tf.constant(split.labels)

    def for_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
        local = context.num_replicas_in_sync // context.num_input_pipelines
        each = batch_size // context.num_replicas_in_sync
        first = context.input_pipeline_id * local * each

        def take(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            index = index[first : first + local * each]
            there = tf.maximum(index, 0)
            chosen = tf.where(index < 0, ABSENT, tf.gather(labels, there))
            pictures = tf.gather(images, there)
            return (
                tf.reshape(pictures, [local, each, *split.images.shape[1:]]),
                tf.reshape(chosen, [local, each]),
            )

        spec = tf.TensorSpec([batch_size], tf.int64)
        dataset = tf.data.Dataset.from_generator(indices, output_signature=spec)
        return dataset.map(take, num_parallel_calls=2, deterministic=True).unbatch().prefetch(2 * local)

    return iter(strategy.distribute_datasets_from_function(for_worker))


def batches(pictures: int, batch_size: int, seed: int, epoch: int) -> np.ndarray:
    """Which pictures each step of an epoch takes: int `[steps, batch_size]`; every epoch leaves out others."""
    order = np.random.default_rng([seed, epoch]).permutation(pictures)
    steps = pictures // batch_size
    return order[: steps * batch_size].reshape(steps, batch_size)


def training_order(pictures: int, batch_size: int, seed: int, steps: range) -> Iterator[np.ndarray]:
    """The rows of each of these steps, counted from the first of the training."""
    steps_per_epoch, order, shuffled = pictures // batch_size, np.empty((0, 0), int), -1
    for step in steps:
        epoch, place = divmod(step, steps_per_epoch)
        if epoch != shuffled:
            order, shuffled = batches(pictures, batch_size, seed, epoch), epoch
        yield order[place]


def in_order(pictures: int, batch_size: int) -> Iterator[np.ndarray]:
    """All rows, once; the last batch is filled up with `ABSENT`."""
    for start in range(0, pictures, batch_size):
        rows = np.arange(start, start + batch_size)
        yield np.where(rows < pictures, rows, ABSENT)


def replica_rows(batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Which rows of the global batch this replica holds, of `batch` rows: the first one, and how many there are."""
    context = tf.distribute.get_replica_context()
    if context is None:
        return tf.zeros_like(batch), batch
    return batch * tf.cast(context.replica_id_in_sync_group, tf.int32), batch * context.num_replicas_in_sync
