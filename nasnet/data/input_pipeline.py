"""What a step takes next: batches cut for each replica, gathered and prefetched by tf.data.

A batch is first a row of indices. `training_order` and `in_order` are the one place that says which index comes when,
for every reading of a network; `feed` turns indices into images and labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from nasnet.data.dataset import Split

ABSENT = -1
"""In place of an image's index, and then of its label: there is none, and what is in its place does not count."""


def feed(
    split: Split, indices: Callable[[], Iterable[np.ndarray]], batch_size: int, strategy: tf.distribute.Strategy
) -> Iterator[tuple[Any, Any]]:
    """Yields `(images, labels)` of the next batch, for each replica its own rows.

    Replica r of n takes the rows from `r * batch_size / n`, on whatever machine it is, so the same indices are the same
    batch on any number of replicas. Images stay uint8: what is done to them is done where they are trained on.

    Args:
        split: where images and labels are taken from.
        indices: gives the rows of each batch in order, int `[batch_size]`; `ABSENT` fills up a last batch.
        batch_size: of all replicas together; a multiple of their number.
        strategy: whose replicas are fed.
    """
    # The whole split lies in main memory once; a batch is gathered there, and that alone goes to a device.
    with tf.device("/CPU:0"):
        images, labels = tf.constant(split.images), tf.constant(split.labels)

    def for_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
        # One pipeline serves all replicas of one process: `local` of them, each with `each` rows of a batch. Every
        # process goes through the indices of whole batches, and takes its replicas' rows, which lie side by side.
        local = context.num_replicas_in_sync // context.num_input_pipelines
        each = batch_size // context.num_replicas_in_sync
        first = context.input_pipeline_id * local * each

        def take(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            index = index[first : first + local * each]
            there = tf.maximum(index, 0)  # any image stands in for an absent one; its label says that it does not count
            taken_labels = tf.where(index < 0, ABSENT, tf.gather(labels, there))
            taken_images = tf.gather(images, there)
            return (
                tf.reshape(taken_images, [local, each, *split.images.shape[1:]]),
                tf.reshape(taken_labels, [local, each]),
            )

        whole_batch = tf.TensorSpec([batch_size], tf.int64)
        dataset = tf.data.Dataset.from_generator(indices, output_signature=whole_batch)
        # `unbatch` makes `local` elements of one, for the strategy hands the next element to the next replica.
        return dataset.map(take, num_parallel_calls=2, deterministic=True).unbatch().prefetch(2 * local)

    return iter(strategy.distribute_datasets_from_function(for_worker))


def batches(count: int, batch_size: int, seed: int, epoch: int) -> np.ndarray:
    """Which of `count` images each step of an epoch takes: int `[steps, batch_size]`; every epoch leaves out others."""
    order = np.random.default_rng([seed, epoch]).permutation(count)
    steps = count // batch_size
    return order[: steps * batch_size].reshape(steps, batch_size)


def training_order(count: int, batch_size: int, seed: int, steps: range) -> Iterator[np.ndarray]:
    """Which of `count` images each of these steps takes, int `[batch_size]`; steps are counted from 0 in a training."""
    steps_per_epoch, order, shuffled = count // batch_size, np.empty((0, 0), int), -1
    for step in steps:
        epoch, place = divmod(step, steps_per_epoch)
        if epoch != shuffled:
            order, shuffled = batches(count, batch_size, seed, epoch), epoch
        yield order[place]


def in_order(count: int, batch_size: int) -> Iterator[np.ndarray]:
    """All of `count` images, once, int `[batch_size]` at a time; the last batch is filled up with `ABSENT`."""
    for start in range(0, count, batch_size):
        rows = np.arange(start, start + batch_size)
        yield np.where(rows < count, rows, ABSENT)


def replica_rows(batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Which rows of the global batch this replica holds, of `batch` rows: the first one, and how many there are."""
    context = tf.distribute.get_replica_context()
    if context is None:
        return tf.zeros_like(batch), batch
    return batch * tf.cast(context.replica_id_in_sync_group, tf.int32), batch * context.num_replicas_in_sync
