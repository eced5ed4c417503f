"""Keras layers that only training has. An exported network holds none of them."""

from __future__ import annotations

import dataclasses

import keras
import tensorflow as tf

from nasnet.data.input_pipeline import replica_rows


@dataclasses.dataclass(frozen=True)
class DropConfig:
    """What training drops at random. A network built with it is for training; its weights move to one without.

    Attributes:
        step: the training step, int64, a scalar; masks are a function of (seed, layer, step) alone, so a resumed run
            draws what the uninterrupted one would have drawn.
        total_steps: when ScheduledDropPath reaches its full rate (NASNet, appendix A.5: linear in time).
        path_keep: probability at that time, in the last cell, that a path is kept; 1 turns it off.
        dropout_keep: probability that a feature in front of the classifier is kept; 1 turns it off.
    """

    step: tf.Variable
    total_steps: int
    path_keep: float = 1.0
    dropout_keep: float = 1.0
    seed: int = 0


class StatelessDropout(keras.layers.Layer):
    """Drops whole paths, or single features, with a mask drawn from (seed, step) and a rate that may grow with time.

    `scheduled` says which: paths, whose rate grows, or features.
    """

    def __init__(self, drops: DropConfig, keep: float, *, scheduled: bool, seed: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self._drops, self._keep, self._seed = drops, keep, seed
        self.scheduled = scheduled

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """`[B, ...]` to the same; the kept values are divided by the probability of keeping, so the mean stays."""
        if not training:
            return x
        step = tf.convert_to_tensor(self._drops.step)
        keep = self.keep_at(step)
        batch, rest = tf.shape(x)[:1], tf.shape(x)[1:]
        # Paths: one draw an example, shared by all of its pixels and channels. Features: one draw each.
        shape = tf.ones([x.shape.rank - 1], tf.int32) if self.scheduled else rest
        # Draws for the whole batch, of which a replica takes its rows: the same masks on any number of replicas.
        first, total = replica_rows(batch)
        seed = tf.stack([tf.constant(self._seed, tf.int64), step])
        draws = tf.random.stateless_uniform(tf.concat([total, shape], 0), seed)[first[0] : first[0] + batch[0]]
        return tf.where(draws < keep, x / tf.cast(keep, x.dtype), tf.zeros_like(x))

    def keep_at(self, step: tf.Tensor) -> tf.Tensor:
        """The probability of keeping at a step, float32: 1 at first, `keep` from `total_steps` on."""
        if not self.scheduled:
            return tf.constant(self._keep)
        done = tf.minimum(1.0, tf.cast(step, tf.float32) / float(self._drops.total_steps))
        return 1.0 - done * (1.0 - self._keep)


class Shift(keras.layers.Layer):
    """Moves pictures by one pixel up and to the left, as padding and cropping do in what is exported.

    The gradient of Keras' cropping alone was a seventh of a step (docs/results.md); that of a slice is a padding.
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """`[B, height, width, channels]` to the same; zeros come in."""
        return tf.slice(tf.pad(x, [[0, 0], [0, 1], [0, 1], [0, 0]]), [0, 1, 1, 0], tf.shape(x))


class FusedBatchNorm(keras.layers.BatchNormalization):
    """The same numbers and the same weights as Keras' layer, from one operation: 0.82 of a step (docs/results.md).

    On one replica only: it knows no other's statistics. Not for float64, which the operation does not take.
    """

    def call(self, x: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None) -> tf.Tensor:
        """`[B, height, width, channels]` to the same."""
        if not training or not self.trainable:
            return super().call(x, training=training, mask=mask)
        y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=self.gamma,
            offset=self.beta,
            mean=tf.zeros([0]),
            variance=tf.zeros([0]),
            epsilon=self.epsilon,
            is_training=True,
        )
        # The operation's variance is the unbiased one; Keras moves towards the biased one.
        count = tf.cast(tf.size(x) / x.shape[-1], tf.float32)  # `Functions.batch_norm` does the same for a child
        variance *= (count - 1.0) / count
        for moving, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + new * (1.0 - self.momentum))
        return y
