"""A child's training steps in a graph and a session of their own, which are gone with them.

A `tf.function` brings each of a step's 2,000 nodes into Python, looks at it again for control dependencies, and writes
all out as a function, which the runtime makes a graph again. A session takes an assembled function as it is: half the
time to the first step (docs/results.md).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1


@dataclasses.dataclass(frozen=True)
class State:
    """What steps change: the vectors of weights, of their velocity and of the moving statistics."""

    weights: tf.Variable
    velocity: tf.Variable
    statistics: tf.Variable


Step = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, State], tuple[tf.Tensor, list[tf.Operation]]]
"""From pictures, labels, the step's number and the state to the loss, and what changes the state."""


class ChildSession:
    """Runs steps, one call each. To be closed, or entered."""

    def __init__(
        self, step: Step, batch: int, image_shape: tuple[int, ...], weights: np.ndarray, statistics: np.ndarray
    ) -> None:
        """Builds the graph; runs nothing of it but the assignment of the state.

        Args:
            step: called once, in the graph.
            batch: pictures of a step, uint8 of `image_shape`, with int32 labels.
            weights, statistics: the vectors to begin with. The velocity is zero.
        """
        with tf.Graph().as_default() as graph:
            # Fed: constants would be copied into the graph, and from there into the session.
            vectors = (weights, np.zeros_like(weights), statistics)
            initial = [v1.placeholder(vector.dtype, vector.shape) for vector in vectors]
            variables = [tf.Variable(value, trainable=False) for value in initial]
            self._state = State(*variables)
            images = v1.placeholder(tf.uint8, [batch, *image_shape])
            labels, index = v1.placeholder(tf.int32, [batch]), v1.placeholder(tf.int64, [])
            loss, changes = step(images, labels, index, self._state)
        self._session = v1.Session(graph=graph, config=_config())
        self._session.run([variable.initializer for variable in variables], dict(zip(initial, vectors, strict=True)))
        self._step = self._session.make_callable([loss, *changes], feed_list=[images, labels, index])

    def __call__(self, images: np.ndarray, labels: np.ndarray, index: int) -> float:
        """Takes step number `index`, from 0; returns its loss."""
        return float(self._step(images, labels, index)[0])

    def vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """The weights and the moving statistics as they are now."""
        weights, statistics = self._session.run([self._state.weights, self._state.statistics])
        return weights, statistics

    def close(self) -> None:
        """Frees what the steps needed."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _config() -> Any:  # noqa: ANN401 - a protocol buffer, which has no type
    """As this process's TensorFlow is set, but for what doubles the time to the first step and makes none faster."""
    config = v1.ConfigProto(
        intra_op_parallelism_threads=tf.config.threading.get_intra_op_parallelism_threads(),
        inter_op_parallelism_threads=tf.config.threading.get_inter_op_parallelism_threads(),
        allow_soft_placement=True,
    )
    config.gpu_options.allow_growth = True
    config.graph_options.rewrite_options.disable_meta_optimizer = True  # Grappler
    # In place before oneDNN takes over what it is faster at; a function left whole would be prepared by itself.
    config.graph_options.optimizer_options.do_function_inlining = True
    return config
