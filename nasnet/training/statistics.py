"""Batch norm's moving statistics: whether a training is too short for them, and what mends them after it."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from nasnet.training.config import TrainingConfig

_SETTLED = 0.01  # share of the first values that is left where nobody sees it
_SEEN = 0.05


@dataclasses.dataclass(frozen=True)
class Unsettled:
    """Moving statistics that a training is too short for.

    Attributes:
        momentum: theirs, the setting bn_momentum.
        steps: of the training.
        share: of what they began as that is in them at its end.
        settled: the largest momentum, to two digits, that leaves a hundredth.
    """

    momentum: float
    steps: int
    share: float
    settled: float


def unsettled(config: TrainingConfig, total_steps: int) -> Unsettled | None:
    """What is wrong with a training's moving statistics at its end, for it is these that are scored and saved.

    More than a twentieth of what they began as is left. Moving averages of weights (`ema_decay`) need no such check:
    their decay grows with the steps (`Step`), so of the first weights they hold a hundredth after three.
    """
    share = config.bn_momentum**total_steps
    if share <= _SEEN:
        return None
    settled = np.floor(100 * _SETTLED ** (1 / total_steps)) / 100
    return Unsettled(config.bn_momentum, total_steps, share, float(settled))


def reestimate(model: keras.Model, images: np.ndarray, *, batch_size: int = 256, most: int = 2048) -> None:
    """The moving statistics become the plain mean of those of a few batches, for the weights as they are now.

    The batches are drawn from the pictures, always the same ones, and taken as they are scored: not augmented. A frozen
    batch norm trained with its moving statistics, and keeps them.

    Args:
        model: from raw pixels to logits, without drop-path or dropout.
        images: uint8 `[N, height, width, channels]`, pictures that it was trained on.
        batch_size: pictures of a batch.
        most: pictures looked at, in whole batches.
    """
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable]
    if not layers:
        return
    order = np.random.default_rng(0).permutation(len(images))[:most]
    batch_size = min(batch_size, len(order))
    batches = order[: len(order) // batch_size * batch_size].reshape(-1, batch_size)

    # At a momentum of zero a step leaves its batch's own statistics, the biased variance among them.
    step = tf.function(lambda batch: model(batch, training=True), autograph=False, jit_compile=False)
    moving = [variable for layer in layers for variable in (layer.moving_mean, layer.moving_variance)]
    sums = [np.zeros(variable.shape) for variable in moving]
    momenta = [layer.momentum for layer in layers]
    try:
        for layer in layers:
            layer.momentum = 0.0
        for batch in batches:
            step(tf.constant(images[batch], tf.float32))
            for total, variable in zip(sums, moving, strict=True):
                total += np.asarray(variable)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
    for variable, total in zip(moving, sums, strict=True):
        variable.assign(total / len(batches))
