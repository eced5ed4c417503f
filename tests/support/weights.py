"""Drawn weights of a network, and the network read with them."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from nasnet.estimators.flat_weights import shape_in_functions
from nasnet.networks.readings.functions import Functions


def drawn_weights(counts, seed):
    """Nothing at its start value, where a mix-up would not show; signals neither die nor grow."""
    rng = np.random.default_rng(seed)
    positive = {"gamma", "moving_variance"}
    return {
        weight.name: rng.uniform(0.5, 1.5, weight.shape)
        if weight.role in positive
        else rng.normal(0, np.sqrt(1 / max(1, np.prod(weight.shape[:-1]))), weight.shape)
        for weight in counts.weights
    }


def read_by_functions(network, counts, weights, pictures, *, auxiliary=False, epsilon=None):
    """The outputs of a network with these weights on whitened pictures, in float64, op by op."""
    tensors = {
        weight.name: tf.constant(weights[weight.name].reshape(shape_in_functions(weight))) for weight in counts.weights
    }
    reading = Functions(tensors, epsilon or network.batch_norm[1], training=False)
    return network.walk(reading, tf.constant(pictures), auxiliary=auxiliary)
