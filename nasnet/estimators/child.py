"""The reading with TensorFlow functions over one flat weight vector: a child, trained and scored for a search.

Built for what a search does with a network: a few steps, one score, never again. The Keras reading of the same cell
takes ten times as long before its first step (docs/results.md).
"""

from __future__ import annotations

import dataclasses
import functools
import math
import time
from collections.abc import Iterator, Mapping

import numpy as np
import tensorflow as tf

from cells.count import count
from nasnet.data.augment import Augmentation, augment
from nasnet.data.dataset import DataSet, Split
from nasnet.data.input_pipeline import training_order
from nasnet.estimators.config import REESTIMATED_ON, ChildConfig
from nasnet.estimators.flat_weights import Layout, shape_in_functions
from nasnet.estimators.graph import ChildFunction, ChildGraph
from nasnet.estimators.session import ChildSession, State
from nasnet.estimators.traces import Value
from nasnet.networks.readings.functions import Functions
from nasnet.networks.spec import NetworkSpec
from nasnet.runtime.errors import DivergedError
from nasnet.runtime.seeds import name_seed
from nasnet.training.config import pad_of
from nasnet.training.metrics import mean_score, sum_scores
from nasnet.training.score import Score


@dataclasses.dataclass(frozen=True)
class ChildResult:
    """What became of a child: the losses of its steps, its scores on the valid split, and where the seconds went.

    `scores` are those at the end of each epoch that was asked for, the last one always among them. The first of
    `seconds_steps` also holds TensorFlow's preparation of the traced step.
    """

    losses: np.ndarray
    scores: tuple[Score, ...]
    seconds_tracing: float
    seconds_steps: np.ndarray
    seconds_scoring: float

    @property
    def seconds_training(self) -> float:
        """Of all steps."""
        return float(self.seconds_steps.sum())


class Child:
    """One network in training. The same arguments give the same numbers, bit for bit, whatever was trained before."""

    def __init__(
        self, spec: NetworkSpec, data: DataSet, config: ChildConfig, *, seed: int, dtype: str = "float32"
    ) -> None:
        """Draws the weights; nothing is traced yet.

        Args:
            spec: the network.
            data: its training split is trained on, its valid split scored.
            config: the recipe.
            seed: of weights, order of the pictures and augmentation.
            dtype: of everything computed; "float64" is for checking against the Keras reading.
        """
        self.config = config
        self.spec, self._data, self._seed, self._dtype = spec, data, seed, dtype
        self._bn_momentum, self._epsilon = spec.batch_norm
        self.augmentation = Augmentation(pad_of(config.pad, spec.image_shape), config.flip, config.cutout, spec.mean)
        self.batch_size = min(config.batch_size, len(data.train))
        self._steps_per_epoch = len(data.train) // self.batch_size
        self.total_steps = config.steps or self._steps_per_epoch * config.epochs
        self.layout = Layout(count(spec.architecture, spec.image_shape), spec.architecture.fan)
        weights, statistics = self.layout.fresh(seed, dtype)
        self.weights, self.statistics = tf.Variable(weights), tf.Variable(statistics)

    def begin(self, values: Mapping[str, np.ndarray]) -> None:
        """Takes weights and moving statistics by name, as `named_weights` gives them, for those that were drawn."""
        self._take(self.layout.flat(values, self._dtype))

    def run(self, scored_epochs: int = 1, *, reestimated: bool = False) -> ChildResult:
        """Trains to the end; scores at the end of the last epochs, before which it may `reestimate` its statistics.

        Its weights are then those that scored best, the later ones of equals, with the statistics that they were scored
        with. Raises DivergedError at the first bad loss, a score's too.
        """
        losses: list[float] = []
        seconds: list[float] = []
        scores: list[Score] = []
        best: tuple[float, tuple[np.ndarray, np.ndarray]] | None = None
        scoring, train = 0.0, self._data.train
        start = time.monotonic()
        with self.session() as session:
            traced = time.monotonic()
            for index, batch in enumerate(self.batches()):
                before = time.monotonic()
                loss = session(train.images[batch], train.labels[batch], index)
                seconds.append(time.monotonic() - before)
                if not math.isfinite(loss):
                    raise DivergedError(f"the training loss was {loss} at step {index + 1}")
                losses.append(loss)
                epochs_left = (self.total_steps - index - 1) / self._steps_per_epoch
                if epochs_left == 0 or (epochs_left <= scored_epochs - 1 and (index + 1) % self._steps_per_epoch == 0):
                    before = time.monotonic()
                    self._take(session.vectors())
                    if reestimated:
                        self.reestimate()
                    scores.append(score := self.score(self._data.valid).checked())
                    if best is None or score.accuracy >= best[0]:
                        best = score.accuracy, (self.weights.numpy(), self.statistics.numpy())
                    scoring += time.monotonic() - before
        assert best is not None
        self._take(best[1])
        return ChildResult(np.array(losses), tuple(scores), traced - start, np.array(seconds), scoring)

    def _take(self, vectors: tuple[np.ndarray, np.ndarray]) -> None:
        for variable, vector in zip((self.weights, self.statistics), vectors, strict=True):
            variable.assign(vector)

    def reestimate(self) -> None:
        """The moving statistics become those of one batch of training pictures, for the weights as they are now.

        The pictures are always the same of a data set, and as they are scored: not augmented. A network without batch
        norm has none.
        """
        if not self.layout.statistics:
            return
        train = self._data.train
        chosen = np.random.default_rng(0).permutation(len(train))[:REESTIMATED_ON]
        reading = Functions(self._constants(), self._epsilon, training=True)
        self.spec.architecture.walk(reading, self._whitened(tf.constant(train.images[chosen])))
        found, to_biased = reading.batch_statistics()
        parts = [np.asarray(part) * factor for part, factor in zip(found, to_biased, strict=True)]
        self.statistics.assign(np.concatenate(parts).astype(self._dtype))

    def session(self) -> ChildSession:
        """What trains it, with its weights as they are now; to be entered, or closed."""
        return ChildSession(
            functools.partial(self._step, self.function()),
            self.batch_size,
            self.spec.image_shape,
            self.weights.numpy(),
            self.statistics.numpy(),
        )

    def score(self, split: Split, batch_size: int = 500) -> Score:
        """Accuracy and loss with the moving statistics. Run op by op: that is sooner done than tracing it once more."""
        # Hence not by `Scorer`, which traces; what is summed up of a batch is the same.
        weights = self._constants()

        def sums(start: int) -> tuple[tf.Tensor, tf.Tensor]:
            images = tf.constant(split.images[start : start + batch_size])
            labels = tf.constant(split.labels[start : start + batch_size])
            return sum_scores(self._read(images, weights, training=False), labels)

        return mean_score(map(sums, range(0, len(split), batch_size)), len(split))

    def logits(self, images: tf.Tensor, *, training: bool) -> tf.Tensor:
        """`[B, height, width, channels]` raw pixels to `[B, classes]`, with the batch's or the moving statistics."""
        return self._read(images, self._parts() if training else self._constants(), training=training)

    def function(self) -> ChildFunction:
        """From whitened pictures to the loss and the gradient, before weight decay."""
        graph = ChildGraph(self.layout.trainable, self._dtype, self._epsilon)
        images = Value("images", (self.batch_size, *self.spec.image_shape), trained=False)
        logits = self.spec.architecture.walk(graph, images).logits
        return graph.function(logits, self.config.label_smoothing)

    def named_weights(self) -> dict[str, np.ndarray]:
        """All weights by name, as `keras_model.named_weights` has them."""
        return self.layout.named(self.weights.numpy(), self.statistics.numpy())

    def batches(self) -> Iterator[np.ndarray]:
        """Which pictures each step takes, in the order of the steps."""
        return training_order(len(self._data.train), self.batch_size, self._seed, range(self.total_steps))

    def _parts(self) -> dict[str, tf.Tensor]:
        """The trainable weights by name, cut from the vector; 1x1 kernels are matrices."""
        weights = self.layout.trainable
        parts = tf.split(tf.convert_to_tensor(self.weights), [weight.size for weight in weights])
        shapes = {shape: tf.constant(shape, tf.int32) for shape in {shape_in_functions(weight) for weight in weights}}
        return {
            weight.name: part
            if weight.role != "kernel"
            else tf.raw_ops.Reshape(tensor=part, shape=shapes[shape_in_functions(weight)])
            for weight, part in zip(weights, parts, strict=True)
        }

    def _constants(self) -> dict[str, tf.Tensor]:
        """As `_parts`, with the moving statistics. Not split op by op: TensorFlow would keep 0.3 MB a child of that."""
        return _constants(self.layout, self.named_weights())

    def _read(self, images: tf.Tensor, weights: dict[str, tf.Tensor], *, training: bool) -> tf.Tensor:
        x = self._whitened(images)
        reading = Functions(weights, self._epsilon, training=training)
        return self.spec.architecture.walk(reading, x).logits

    def _whitened(self, images: tf.Tensor) -> tf.Tensor:
        return _whitened(self.spec, images, self._dtype)

    def _step(
        self, function: ChildFunction, images: tf.Tensor, labels: tf.Tensor, index: tf.Tensor, state: State
    ) -> tuple[tf.Tensor, list[tf.Operation]]:
        """One step in the session's graph: the loss before it, and the operations that change the state.

            loss = CE(logits) + weight_decay * sum over kernels of |W|^2 / 2
            velocity = 0.9 * velocity + clipped gradient;  weights -= rate * velocity

        Source: TensorFlow 1's `MomentumOptimizer`, which slim's and tensorflow/tpu's recipes name: the present rate
        multiplies the whole velocity.

        Args:
            function: from whitened pictures to the loss and its gradient.
            images: uint8 `[B, height, width, channels]`.
            labels: int32 `[B]`.
            index: int64 scalar, the step's number from 0.
            state: what changes.
        """
        # The pictures: augmented by a seed of the step's own, then whitened.
        config, augmentation = self.config, self.augmentation
        if augmentation.changes:
            seed = tf.stack([tf.constant(name_seed(self._seed, "augment"), tf.int64), index])
            images = augment(tf.cast(images, tf.float32), seed, augmentation)
        weights = tf.convert_to_tensor(state.weights)
        loss, gradient, batch_statistics = function(self._whitened(images), labels, weights)

        # Weight decay, on the whole vector at once.
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            decay = tf.nn.l2_loss(tf.constant(self.layout.decay_roots(config.weight_decay), self._dtype) * weights)
        gradient += tape.gradient(decay, weights)
        if config.clip_norm:
            gradient = tf.clip_by_norm(gradient, config.clip_norm)

        # The rate falls by a cosine from the first step to the last; over the first ones it rises beside that.
        number = tf.cast(index, self._dtype)
        rate = 0.5 * config.learning_rate * (1 + tf.cos(math.pi * number / self.total_steps))
        if warmup := config.warmup_epochs * self._steps_per_epoch:
            rate *= tf.minimum(tf.constant(1.0, self._dtype), (number + 1) / warmup)
        moved = tf.raw_ops.ResourceApplyMomentum(
            var=state.weights.handle,
            accum=state.velocity.handle,
            lr=rate,
            grad=gradient,
            momentum=tf.constant(0.9, self._dtype),
        )
        kept = self._bn_momentum
        averaged = state.statistics.assign(kept * state.statistics + (1 - kept) * batch_statistics)
        return loss + decay, [moved, averaged.op]


def _constants(layout: Layout, values: Mapping[str, np.ndarray]) -> dict[str, tf.Tensor]:
    """A network's weights and moving statistics by name, in the shapes that `Functions` takes."""
    return {
        weight.name: tf.constant(values[weight.name].reshape(shape_in_functions(weight)))
        for weight in layout.trainable + layout.statistics
    }


def _whitened(spec: NetworkSpec, images: tf.Tensor, dtype: str = "float32") -> tf.Tensor:
    """What a network takes in of raw pixels `[B, height, width, channels]`."""
    mean, std = (tf.constant(values, dtype) for values in (spec.mean, spec.std))
    return (tf.cast(images, dtype) - mean) / std


def right_of(spec: NetworkSpec, weights: Mapping[str, np.ndarray], split: Split, batch_size: int = 500) -> np.ndarray:
    """Which pictures of a split a trained network gets right, with its moving statistics: bool `[N]`.

    Args:
        spec: the network.
        weights: all of them by name, as `TrainedChild` has them.
        split: the pictures; one without a label counts as wrong, and so does an answer that is not finite.
        batch_size: pictures at a time.
    """
    layout = Layout(count(spec.architecture, spec.image_shape), spec.architecture.fan)
    reading = _constants(layout, weights)
    _, epsilon = spec.batch_norm
    found: list[np.ndarray] = []
    for start in range(0, len(split), batch_size):
        images = _whitened(spec, tf.constant(split.images[start : start + batch_size]))
        logits = spec.architecture.walk(Functions(reading, epsilon, training=False), images).logits
        answers = logits.numpy()
        labelled = np.argmax(answers, 1) == split.labels[start : start + batch_size]
        found.append(labelled & np.isfinite(answers).all(axis=1))  # argmax of NaN is 0, the first class
    return np.concatenate(found)
