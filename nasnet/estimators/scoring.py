"""A trained network read with TensorFlow functions, op by op: that is sooner done than building it with Keras."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from cells.count import count
from nasnet.data.dataset import Split
from nasnet.estimators.flat_weights import Layout, shape_in_functions
from nasnet.networks.functions import Functions
from nasnet.networks.spec import NetworkSpec


def constants(layout: Layout, values: Mapping[str, np.ndarray]) -> dict[str, tf.Tensor]:
    """A network's weights and moving statistics by name, in the shapes that `Functions` takes."""
    return {
        weight.name: tf.constant(values[weight.name].reshape(shape_in_functions(weight)))
        for weight in layout.trainable + layout.statistics
    }


def whitened(spec: NetworkSpec, images: tf.Tensor, dtype: str = "float32") -> tf.Tensor:
    """What a network takes in of raw pixels `[B, height, width, channels]`."""
    mean, std = (tf.constant(values, dtype) for values in (spec.mean, spec.std))
    return (tf.cast(images, dtype) - mean) / std


def right_of(spec: NetworkSpec, weights: Mapping[str, np.ndarray], split: Split, batch_size: int = 500) -> np.ndarray:
    """Which pictures of a split a trained network gets right, with its moving statistics: bool `[N]`.

    Args:
        spec: the network.
        weights: all of them by name, as `TrainedChild` has them.
        split: the pictures; one without a label counts as wrong.
        batch_size: pictures at a time.
    """
    layout = Layout(count(spec.architecture, spec.image_shape), spec.architecture.fan)
    reading = constants(layout, weights)
    _, epsilon = spec.batch_norm
    found: list[np.ndarray] = []
    for start in range(0, len(split), batch_size):
        images = whitened(spec, tf.constant(split.images[start : start + batch_size]))
        logits = spec.architecture.walk(Functions(reading, epsilon, training=False), images).logits
        found.append(np.argmax(logits.numpy(), 1) == split.labels[start : start + batch_size])
    return np.concatenate(found)
