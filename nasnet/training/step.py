"""One training step, on all replicas at once: forward, backward, clip, apply, average."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from nasnet.data.augment import Augmentation, Inception, augment
from nasnet.runtime.seeds import name_seed
from nasnet.training.config import TrainingConfig, pad_of
from nasnet.training.metrics import cross_entropy
from nasnet.training.optimizers import Group

Gradients = list[list[tf.Tensor]]
"""One for each variable of each group, of its shape."""


class Step:
    """What one step does to a model's weights, its optimizers' state and the moving averages. To be traced once."""

    def __init__(
        self,
        model: keras.Model,
        groups: Sequence[Group],
        averages: Sequence[tf.Variable],
        steps_taken: tf.Variable,
        *,
        config: TrainingConfig,
        fill: tuple[float, ...],
        seed: int,
        strategy: tf.distribute.Strategy,
    ) -> None:
        """Holds what a step reads and changes; computes nothing.

        Args:
            model: from float32 `[B, height, width, channels]` of 0 to 255 to logits `[B, classes]`, or to those of all
                heads as `{"logits": ..., "auxiliary": (..., )}`.
            groups: the variables that train, each group with its optimizer.
            averages: moving averages of `model.weights`, one for each, in their order; empty where there are none.
            steps_taken: int64 scalar; this adds one.
            config: the recipe, its augmentation resolved.
            fill: pixel value of the augmentation's blanks, one a channel.
            seed: of the augmentation.
            strategy: on whose replicas it runs.
        """
        self._model, self._groups, self._averages, self._steps_taken = model, groups, averages, steps_taken
        self._config, self._strategy = config, strategy
        inception = Inception() if config.augment == "inception" else None
        self._augmentation = Augmentation(
            pad_of(config.pad, model.input_shape[1:]), bool(config.flip), config.cutout, fill, inception
        )
        self._augmentation_seed = name_seed(seed, "augment")
        self._kernels = [variable for _, group in groups for variable in group if variable.name == "kernel"]

    def __call__(
        self,
        images: Any,  # noqa: ANN401 - a tensor, or PerReplica of them
        labels: Any,  # noqa: ANN401
        stop_requested: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Takes the step on all replicas.

        Args:
            images: uint8 `[B, height, width, channels]` on each of R replicas.
            labels: int32 `[B]` on each.
            stop_requested: float32 scalar, 1 where this process was asked to stop and 0 where not.

        Returns:
            Three scalars: the cross-entropy of the R * B pictures, how many of them were classified right, and the
            votes to stop, one for each replica of a process that was asked to.
        """
        totals = self._strategy.run(self._one_replica, args=(images, labels, stop_requested))
        # The same on each replica: they have been added up.
        loss, correct, stop_votes = (self._strategy.experimental_local_results(total)[0] for total in totals)
        with self._strategy.scope():
            if self._averages:
                self._average()
            self._steps_taken.assign_add(1)
        return loss, correct, stop_votes

    def _one_replica(
        self, images: tf.Tensor, labels: tf.Tensor, stop_requested: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        # Forward and backward, on this replica's rows alone.
        forward_backward = self._forward_backward
        if self._config.jit == "on":
            forward_backward = tf.function(forward_backward, autograph=False, jit_compile=True)
        loss, correct, gradients = forward_backward(images, labels)

        # From here on all replicas hold the same: the gradient of the whole batch, and its totals.
        context = tf.distribute.get_replica_context()
        replicas = context.num_replicas_in_sync
        stop_votes = stop_requested
        if replicas > 1:
            # Clipping needs the whole gradient, and Keras' optimizers add up the replicas' once more: hence they get a
            # share of it below. Between GPUs of a machine that is little beside what batch norm has to agree on.
            totals = tf.stack([tf.cast(value, loss.dtype) for value in (loss, correct, stop_requested)])
            gradients, totals = context.all_reduce(tf.distribute.ReduceOp.SUM, [gradients, totals])
            loss, correct, stop_votes = tf.unstack(totals)

        # Clip, and apply: each group by its own optimizer.
        for (optimizer, variables), group_gradients in zip(self._groups, self._clipped(gradients), strict=True):
            optimizer.apply([gradient / replicas for gradient in group_gradients], variables)
        return loss, correct, stop_votes

    def _forward_backward(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, Gradients]:
        """This replica's part of the cross-entropy, how many pictures were right, and the gradient of the loss.

            loss = (CE(logits) + auxiliary_weight * sum of CE(auxiliary)
                    + weight_decay * sum over kernels of |W|^2 / 2) / R

        CE is the mean cross-entropy of this replica's rows with smoothed labels, for all heads alike (slim's
        `train_image_classifier.py`); summed over R replicas that is the mean over the whole batch. What is told is
        CE(logits) / R, which compares with that of a valid split; weight decay and auxiliary heads are left out.

        Args:
            images: uint8 `[B, height, width, channels]`.
            labels: int32 `[B]`.
        """
        config = self._config
        # (seed, step) decide what is drawn, so a resumed training draws what the uninterrupted one would have drawn.
        seed = tf.stack([tf.constant(self._augmentation_seed, tf.int64), tf.convert_to_tensor(self._steps_taken)])
        images = augment(tf.cast(images, tf.float32), seed, self._augmentation)
        with tf.GradientTape() as tape:
            outputs = self._model(images, training=True)
            logits = logits_of(outputs)
            loss = told = cross_entropy(labels, logits, config.label_smoothing)
            if isinstance(outputs, dict):
                for auxiliary in outputs["auxiliary"]:
                    loss += config.auxiliary_weight * cross_entropy(labels, auxiliary, config.label_smoothing)
            if config.weight_decay and self._kernels:
                norms = [tf.nn.l2_loss(tf.convert_to_tensor(kernel)) for kernel in self._kernels]
                loss += config.weight_decay * tf.add_n(norms)
            loss /= self._strategy.num_replicas_in_sync
            scaled = self._scaled(loss)
        correct = tf.reduce_sum(tf.cast(tf.equal(tf.argmax(logits, 1, tf.int32), labels), loss.dtype))
        told /= self._strategy.num_replicas_in_sync
        return told, correct, tape.gradient(scaled, [variables for _, variables in self._groups])

    def _clipped(self, gradients: Gradients) -> Gradients:
        """The gradients by one factor smaller, where their global norm, over all groups, is above `clip_norm`."""
        flat = tf.nest.flatten(gradients)
        if self._config.clip_norm:
            scale = self._scaled(tf.constant(1.0))
            flat, _ = tf.clip_by_global_norm(flat, self._config.clip_norm * tf.cast(scale, flat[0].dtype))
        if self._config.precision == "mixed_float16":
            # An optimizer leaves out a step whose own gradients overflowed; what one leaves out all must.
            finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(gradient)) for gradient in flat])
            flat = [tf.where(finite, gradient, math.nan) for gradient in flat]
        return tf.nest.pack_sequence_as(gradients, flat)

    def _scaled(self, loss: tf.Tensor) -> tf.Tensor:
        """A loss as its gradient is taken of: float16 would lose small gradients. The optimizers divide again."""
        optimizer, _ = self._groups[0]
        return optimizer.scale_loss(loss)

    def _average(self) -> None:
        """`average += (1 - decay) * (weight - average)`, for weights and moving statistics."""
        # A young average would be mostly the first weights: its decay grows, as that of TensorFlow's
        # ExponentialMovingAverage does where it is told the step.
        step = tf.cast(tf.convert_to_tensor(self._steps_taken), tf.float32)
        decay = tf.minimum(self._config.ema_decay, (1.0 + step) / (10.0 + step))

        def move(average: tf.Variable, weight: tf.Tensor, decay: tf.Tensor) -> tf.Tensor:
            share = tf.cast(1.0 - decay, average.dtype)
            return average.assign_sub(share * (average - tf.cast(weight, average.dtype)))

        for average, weight in zip(self._averages, self._model.weights, strict=True):
            self._strategy.extended.update(average, move, args=(weight.value, decay), group=False)


def logits_of(outputs: Any) -> tf.Tensor:  # noqa: ANN401 - what a model returns
    """`[B, classes]` of the head that is kept, whether there are auxiliary ones beside it or not."""
    return outputs["logits"] if isinstance(outputs, dict) else outputs
