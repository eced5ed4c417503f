"""The reading with TensorFlow functions over one flat weight vector: a child, trained and scored for a search.

Built for what a search does with a network: a few steps, one score, never again. The Keras reading of the same cell
takes ten times as long before its first step (docs/results.md).
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import time
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from cells.count import Counts, Weight, count
from cells.primitives import Padding, Pair
from cells.stack import walk
from nasnet.augment import augment
from nasnet.config import TrainingConfig
from nasnet.data import DataSet, Split
from nasnet.network import NetworkSpec, name_seed
from nasnet.training import DivergedError, Score, batches, cross_entropy, resolve_augmentation

CHILD_MUST_HAVE = {"auxiliary_weight": 0.0, "drop_path_keep": 1.0, "dropout_keep": 1.0, "optimizer": "momentum"}
"""Values of a `TrainingConfig` that a child can't depart from: it has none of these."""


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


class Layout:
    """Where each weight lies: trainable ones in one vector, moving statistics in another, both in the walk's order."""

    def __init__(self, counts: Counts) -> None:
        self.trainable = tuple(weight for weight in counts.weights if weight.trainable)
        self.statistics = tuple(weight for weight in counts.weights if not weight.trainable)

    def fresh(self, seed: int, dtype: str = "float32") -> tuple[np.ndarray, np.ndarray]:
        """Initial vectors of weights and statistics, drawn as the Keras reading draws (variance scaling by FAN_OUT)."""
        # One draw for all: normal, what lies beyond two deviations drawn again.
        rng = np.random.default_rng(seed)
        draws = rng.standard_normal(sum(weight.size for weight in self.trainable))
        while (far := np.abs(draws) > 2).any():
            draws[far] = rng.standard_normal(int(far.sum()))
        scales = [_deviation(weight) for weight in self.trainable]
        offsets = [1.0 if weight.role == "gamma" else 0.0 for weight in self.trainable]
        sizes = [weight.size for weight in self.trainable]
        weights = draws * np.repeat(scales, sizes) + np.repeat(offsets, sizes)
        ones = [float(weight.role == "moving_variance") for weight in self.statistics]
        statistics = np.repeat(ones, [weight.size for weight in self.statistics])
        return weights.astype(dtype), statistics.astype(dtype)

    def named(self, weights: np.ndarray, statistics: np.ndarray) -> dict[str, np.ndarray]:
        """The vectors cut into the arrays that they hold, by name, as `network.named_weights` has them."""
        parts: dict[str, np.ndarray] = {}
        for group, vector in ((self.trainable, weights), (self.statistics, statistics)):
            ends = np.cumsum([weight.size for weight in group])
            for weight, end in zip(group, ends, strict=True):
                parts[weight.name] = vector[end - weight.size : end].reshape(weight.shape)
        return parts


def _deviation(weight: Weight) -> float:
    if weight.role != "kernel":
        return 0.0
    # FAN_OUT of a depthwise kernel [size, size, channels, 1] is size * size, as in slim and Keras. A normal cut at two
    # deviations has 0.8796 of the deviation of a whole one.
    fan_out = math.prod(weight.shape[:-2]) * weight.shape[-1]
    return math.sqrt(2.0 / fan_out) / 0.87962566103423978


def _shape(weight: Weight) -> tuple[int, ...]:
    return weight.shape[2:] if weight.role == "kernel" and weight.shape[:2] == (1, 1) else weight.shape


class Child:
    """One network in training. The same arguments give the same numbers, bit for bit, whatever was trained before."""

    def __init__(
        self, spec: NetworkSpec, data: DataSet, config: TrainingConfig, *, seed: int, dtype: str = "float32"
    ) -> None:
        """Draws the weights; nothing is traced yet.

        Args:
            spec: the network.
            data: its training split is trained on, its valid split scored.
            config: the recipe. What a child does not have (auxiliary head, drop-path, dropout) must be off.
            seed: of weights, order of the pictures and augmentation.
            dtype: of everything computed; "float64" is for checking against the Keras reading.
        """
        for name, value in CHILD_MUST_HAVE.items():
            if getattr(config, name) != value:
                raise ValueError(f"a child is trained with {name}={value}, got {getattr(config, name)}")
        self.config = resolve_augmentation(config, data)
        self.spec, self._data, self._seed, self._dtype = spec, data, seed, dtype
        self.batch_size = min(config.batch_size, len(data.train))
        self._steps_per_epoch = len(data.train) // self.batch_size
        self.total_steps = config.steps or self._steps_per_epoch * config.epochs
        self.layout = Layout(count(spec.genotype, spec.stack, spec.image_shape))
        weights, statistics = self.layout.fresh(seed, dtype)
        self.weights, self.statistics = tf.Variable(weights), tf.Variable(statistics)
        self._velocity = tf.Variable(np.zeros_like(weights))

    def run(self, scored_epochs: int = 1) -> ChildResult:
        """Trains to the end; scores at the end of the last epochs. Raises DivergedError at the first bad loss."""
        losses: list[float] = []
        seconds: list[float] = []
        scores: list[Score] = []
        scoring = 0.0
        start = time.monotonic()
        with _grappler_off():
            step = self.step_function()
            traced = time.monotonic()
            for index, batch in enumerate(self.batches()):
                before = time.monotonic()
                loss = step(batch, index)
                seconds.append(time.monotonic() - before)
                if not math.isfinite(loss):
                    raise DivergedError(f"the training loss was {loss} at step {index + 1}")
                losses.append(loss)
                epochs_left = (self.total_steps - index - 1) / self._steps_per_epoch
                if epochs_left == 0 or (epochs_left <= scored_epochs - 1 and (index + 1) % self._steps_per_epoch == 0):
                    before = time.monotonic()
                    scores.append(self.score(self._data.valid))
                    scoring += time.monotonic() - before
        return ChildResult(np.array(losses), tuple(scores), traced - start, np.array(seconds), scoring)

    def step_function(self) -> Callable[[np.ndarray, int], float]:
        """Traces a step: from the pictures it takes and its number, from 0, to its loss. It changes the weights."""
        traced = tf.function(self._step, autograph=False, jit_compile=False).get_concrete_function(
            tf.TensorSpec([self.batch_size, *self.spec.image_shape], tf.uint8),
            tf.TensorSpec([self.batch_size], tf.int32),
            tf.TensorSpec([], tf.int64),
        )
        train = self._data.train

        def step(batch: np.ndarray, index: int) -> float:
            images, labels = tf.constant(train.images[batch]), tf.constant(train.labels[batch])
            return float(traced(images, labels, tf.constant(index, tf.int64)))

        return step

    def score(self, split: Split, batch_size: int = 500) -> Score:
        """Accuracy and loss with the moving statistics. Run op by op: that is sooner done than tracing it once more."""
        weights, correct, loss = self._constants(), 0, 0.0
        for start in range(0, len(split), batch_size):
            images = tf.constant(split.images[start : start + batch_size])
            labels = tf.constant(split.labels[start : start + batch_size])
            logits = self._read(images, weights, training=False).logits
            correct += int(tf.math.count_nonzero(tf.equal(tf.argmax(logits, 1, tf.int32), labels)))
            loss += float(tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)))
        return Score(correct / len(split), loss / len(split), len(split))

    def logits(self, images: tf.Tensor, *, training: bool) -> tf.Tensor:
        """`[B, height, width, channels]` raw pixels to `[B, classes]`, with the batch's or the moving statistics."""
        return self._read(images, self._parts() if training else self._constants(), training=training).logits

    def named_weights(self) -> dict[str, np.ndarray]:
        """All weights by name, as `network.named_weights` has them."""
        return self.layout.named(self.weights.numpy(), self.statistics.numpy())

    def batches(self) -> Iterator[np.ndarray]:
        """Which pictures each step takes, in the order of the steps."""
        order = np.empty((0, 0), int)
        for step in range(self.total_steps):
            epoch, place = divmod(step, self._steps_per_epoch)
            if place == 0:
                order = batches(len(self._data.train), self.batch_size, self._seed, epoch)
            yield order[place]

    def _parts(self) -> dict[str, tf.Tensor]:
        """The trainable weights by name, cut from the vector; 1x1 kernels are matrices."""
        weights = self.layout.trainable
        parts = tf.split(tf.convert_to_tensor(self.weights), [weight.size for weight in weights])
        shapes = {shape: tf.constant(shape, tf.int32) for shape in {_shape(weight) for weight in weights}}
        return {
            weight.name: part
            if weight.role != "kernel"
            else tf.raw_ops.Reshape(tensor=part, shape=shapes[_shape(weight)])
            for weight, part in zip(weights, parts, strict=True)
        }

    def _constants(self) -> dict[str, tf.Tensor]:
        """As `_parts`, with the moving statistics. Not split op by op: TensorFlow would keep 0.3 MB a child of that."""
        values = self.named_weights()
        return {
            weight.name: tf.constant(values[weight.name].reshape(_shape(weight)))
            for weight in self.layout.trainable + self.layout.statistics
        }

    def _read(self, images: tf.Tensor, weights: dict[str, tf.Tensor], *, training: bool) -> _Reading:
        x = (tf.cast(images, self._dtype) - self._constant(self.spec.mean)) / self._constant(self.spec.std)
        reading = _Reading(weights, self.spec, training=training)
        reading.logits = walk(self.spec.genotype, self.spec.stack, reading, x).logits
        return reading

    def _constant(self, values: tuple[float, ...]) -> tf.Tensor:
        return tf.constant(values, self._dtype)

    @functools.cached_property
    def _decayed(self) -> tf.Tensor:
        """The root of `weight_decay` for the numbers that lie in kernels, 0 for the others."""
        root = math.sqrt(self.config.weight_decay)
        decay = [root if weight.role == "kernel" else 0.0 for weight in self.layout.trainable]
        return tf.constant(np.repeat(decay, [weight.size for weight in self.layout.trainable]), self._dtype)

    def _step(self, images: tf.Tensor, labels: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        config = self.config
        seed = tf.stack([tf.constant(name_seed(self._seed, "augment"), tf.int64), index])
        if config.pad or config.flip:
            images = augment(
                tf.cast(images, tf.float32), seed, pad=config.pad or 0, flip=bool(config.flip), fill=self.spec.mean
            )
        # The tape sees the weights as parts: through the split it would give each gradient a shape and a sum.
        parts = self._parts()
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([*parts.values(), self.weights])
            reading = self._read(images, parts, training=True)
            loss = cross_entropy(labels, reading.logits, config.label_smoothing)
            loss += tf.nn.l2_loss(self._decayed * self.weights)
        *gradients, decay = tape.gradient(loss, [*parts.values(), self.weights])
        gradient = tf.concat([reading.flat(part) for part in gradients], 0) + decay
        if config.clip_norm:
            gradient = tf.clip_by_norm(gradient, config.clip_norm)
        done = tf.cast(index, self._dtype) / self.total_steps
        rate = 0.5 * config.learning_rate * (1 + tf.cos(math.pi * done))
        # The form of Keras' SGD: the velocity holds the rate of its own step.
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=self.weights.handle, accum=self._velocity.handle, lr=rate, grad=gradient, momentum=self._cast(0.9)
        )
        momentum = 0.9 if self.spec.bn_momentum is None else self.spec.bn_momentum
        self.statistics.assign(momentum * self.statistics + (1 - momentum) * reading.batch_statistics())
        return loss

    def _cast(self, value: float) -> tf.Tensor:
        return tf.constant(value, self._dtype)


@contextlib.contextmanager
def _grappler_off() -> Iterator[None]:
    """Grappler doubles the time to the first step and makes the steps no faster. Off while a child is built and run."""
    before = tf.config.optimizer.get_experimental_options().get("disable_meta_optimizer", False)
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": before})


@dataclasses.dataclass(frozen=True)
class _Shifted:
    """What `shift` makes. It moves nothing: the strided convolution that follows starts one pixel later."""

    value: tf.Tensor


# Column of a 5x5 kernel, pair of columns to the left or right, half of the pair that is computed -> whether it counts.
_EVEN, _ODD = np.zeros((5, 3, 2)), np.zeros((5, 3, 2))
_EVEN[[0, 2, 4], [0, 1, 2]] = 1
_ODD[[1, 3, 1, 3], [0, 1, 1, 2], [0, 0, 1, 1]] = 1


class _Reading:
    """Implements `Primitives[tf.Tensor]`. Raw operations: the same kernels with less Python around each."""

    logits: tf.Tensor

    def __init__(self, weights: dict[str, tf.Tensor], spec: NetworkSpec, *, training: bool) -> None:
        self._weights = weights
        self._shapes: dict[tuple[int, ...], tf.Tensor] = {}
        self._nothing = tf.constant([], tf.float32)
        self._epsilon = 1e-5 if spec.bn_epsilon is None else spec.bn_epsilon
        self._training = training
        self._batch: list[tf.Tensor] = []
        self._biased: list[np.ndarray] = []
        self._rectified: dict[int, tuple[tf.Tensor, tf.Tensor]] = {}

    def batch_statistics(self) -> tf.Tensor:
        """Mean and variance of this batch for every batch norm, in the order of the moving statistics."""
        joined = tf.concat(self._batch, 0)
        return joined * tf.constant(np.concatenate(self._biased), joined.dtype)

    def conv(
        self,
        x: tf.Tensor,
        filters: int,
        kernel: Pair,
        *,
        name: str,
        stride: Pair = (1, 1),
        dilation: int = 1,
        padding: Padding = "same",
    ) -> tf.Tensor:
        if kernel == (1, 1):
            # As a matrix product: 0.9 of the time at 8x8 pixels, and less than half with stride.
            if stride == (2, 2):
                x = self._every_second(x.value, 1) if isinstance(x, _Shifted) else self._every_second(x, 0)
            batch, height, width, channels = x.shape
            flat = self.reshape(x, (batch * height * width, channels))
            flat = tf.raw_ops.MatMul(a=flat, b=self._weights[f"{name}/kernel"])
            return self.reshape(flat, (batch, height, width, filters))
        weight = self._weights[f"{name}/kernel"]
        if dilation > 1:
            return self._dilated(x, weight, dilation)
        return tf.raw_ops.Conv2D(
            input=x, filter=weight, strides=[1, *stride, 1], padding=padding.upper(), data_format="NHWC"
        )

    def _dilated(self, x: tf.Tensor, weight: tf.Tensor, dilation: int) -> tf.Tensor:
        """SAME, stride 1, an odd kernel. Dilated itself, the operation has a gradient on CPU only with oneDNN."""
        borders = [dilation * (size - 1) // 2 for size in weight.shape[:2]]
        # Every `dilation`th pixel becomes a picture of its own: sizes must be multiples of it.
        rests = [-(size + 2 * border) % dilation for size, border in zip(x.shape[1:3], borders, strict=True)]
        paddings = [[border, border + rest] for border, rest in zip(borders, rests, strict=True)]
        block = tf.constant([dilation, dilation], tf.int32)
        x = tf.raw_ops.SpaceToBatchND(input=x, block_shape=block, paddings=paddings)
        x = tf.raw_ops.Conv2D(input=x, filter=weight, strides=[1, 1, 1, 1], padding="VALID")
        return tf.raw_ops.BatchToSpaceND(input=x, block_shape=block, crops=[[0, rest] for rest in rests])

    def depthwise(self, x: tf.Tensor, kernel: int, *, name: str, stride: int = 1) -> tf.Tensor:
        weight = self._weights[f"{name}/kernel"]
        if kernel == 5 and stride == 1 and x.shape[2] % 2 == 0 and x.shape[1] * x.shape[2] >= 196:
            return self._paired(x, weight)
        return tf.raw_ops.DepthwiseConv2dNative(input=x, filter=weight, strides=[1, stride, stride, 1], padding="SAME")

    def _paired(self, x: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        """A 5x5 depthwise convolution over pairs of columns, `[B, height, width / 2, 2 * channels]`: 3 wide there.

        oneDNN has a fast gradient of depthwise kernels up to 3 wide only: 0.65 of the time from 14x14 pixels. Columns
        at even distances are in the same half of a pair, those at odd distances in the other half: swap the halves.
        """
        batch, height, width, channels = x.shape
        pairs = (batch, height, width // 2, 2 * channels)
        halves = self.reshape(x, (batch * height * width // 2, 2, channels))
        swapped = self.reshape(tf.raw_ops.ReverseV2(tensor=halves, axis=[1]), pairs)
        weight = self.reshape(weight, (5, 5, channels))
        parts: list[tf.Tensor] = []
        for picture, columns in ((self.reshape(x, pairs), _EVEN), (swapped, _ODD)):
            kernel = tf.raw_ops.Einsum(inputs=[weight, tf.constant(columns, x.dtype)], equation="hwc,wdp->hdpc")
            kernel = self.reshape(kernel, (5, 3, 2 * channels, 1))
            parts.append(
                tf.raw_ops.DepthwiseConv2dNative(input=picture, filter=kernel, strides=[1, 1, 1, 1], padding="SAME")
            )
        return self.reshape(tf.raw_ops.AddV2(x=parts[0], y=parts[1]), tuple(x.shape))

    def full_conv(self, x: tf.Tensor, filters: int, *, name: str) -> tf.Tensor:
        return self.conv(x, filters, (x.shape[1], x.shape[2]), name=name, padding="valid")

    def batch_norm(self, x: tf.Tensor, *, name: str) -> tf.Tensor:
        gamma, beta = self._weights[f"{name}/gamma"], self._weights[f"{name}/beta"]
        if not self._training:
            mean, variance = self._weights[f"{name}/moving_mean"], self._weights[f"{name}/moving_variance"]
            if x.dtype == tf.float32:
                return tf.raw_ops.FusedBatchNorm(
                    x=x,
                    scale=gamma,
                    offset=beta,
                    mean=mean,
                    variance=variance,
                    epsilon=self._epsilon,
                    is_training=False,
                )[0]
            scale = gamma * tf.math.rsqrt(variance + self._epsilon)
            return x * scale + (beta - mean * scale)
        if x.dtype != tf.float32:
            mean, variance = tf.nn.moments(x, [0, 1, 2])
            self._note(mean, variance, 1.0)
            return (x - mean) * (gamma * tf.math.rsqrt(variance + self._epsilon)) + beta
        y, mean, variance, *_ = tf.raw_ops.FusedBatchNorm(
            x=x,
            scale=gamma,
            offset=beta,
            mean=self._nothing,
            variance=self._nothing,
            epsilon=self._epsilon,
            is_training=True,
        )
        # The fused operation's variance is the unbiased one; Keras moves towards the biased one.
        number = math.prod(x.shape[:3])
        self._note(mean, variance, (number - 1) / number)
        return y

    def _note(self, mean: tf.Tensor, variance: tf.Tensor, biased: float) -> None:
        self._batch += [mean, variance]
        self._biased += [np.ones(mean.shape[0]), np.full(mean.shape[0], biased)]

    def relu(self, x: tf.Tensor, *, name: str) -> tf.Tensor:
        del name
        # Several operations rectify the same state: once is enough. The tensor is kept so that its id stays its own.
        if id(x) not in self._rectified:
            self._rectified[id(x)] = (x, tf.raw_ops.Relu(features=x))
        return self._rectified[id(x)][1]

    def max_pool(self, x: tf.Tensor, size: int, *, name: str, stride: int = 1) -> tf.Tensor:
        del name
        if size == 3:
            return tf.raw_ops.MaxPool(input=x, ksize=[1, size, size, 1], strides=[1, stride, stride, 1], padding="SAME")
        # Rows, then columns: fewer comparisons, and the same maximum.
        for window, step in (([1, size, 1, 1], [1, stride, 1, 1]), ([1, 1, size, 1], [1, 1, stride, 1])):
            x = tf.raw_ops.MaxPool(input=x, ksize=window, strides=step, padding="SAME")
        return x

    def avg_pool(self, x: tf.Tensor, size: int, *, name: str, stride: int = 1, padding: Padding = "same") -> tf.Tensor:
        del name
        return tf.raw_ops.AvgPool(
            value=x, ksize=[1, size, size, 1], strides=[1, stride, stride, 1], padding=padding.upper()
        )

    def subsample(self, x: tf.Tensor, *, name: str) -> tf.Tensor:
        del name
        return self._every_second(x, 0)

    def shift(self, x: tf.Tensor, *, name: str) -> _Shifted:
        del name
        return _Shifted(x)

    def drop_path(self, x: tf.Tensor, depth: float, *, name: str) -> tf.Tensor:
        del depth, name  # a child has none
        return x

    def dropout(self, x: tf.Tensor, *, name: str) -> tf.Tensor:
        del name  # a child has none
        return x

    def add(self, x: tf.Tensor, y: tf.Tensor, *, name: str) -> tf.Tensor:
        del name
        return tf.raw_ops.AddV2(x=x, y=y)

    def concat(self, xs: list[tf.Tensor], *, name: str) -> tf.Tensor:
        del name
        return tf.raw_ops.ConcatV2(values=xs, axis=3)

    def global_avg_pool(self, x: tf.Tensor, *, name: str) -> tf.Tensor:
        del name
        batch, height, width, channels = x.shape
        x = tf.raw_ops.AvgPool(value=x, ksize=[1, height, width, 1], strides=[1, 1, 1, 1], padding="VALID")
        return self.reshape(x, (batch, channels))

    def dense(self, x: tf.Tensor, units: int, *, name: str) -> tf.Tensor:
        inputs = math.prod(x.shape[1:])
        del units
        flat = x if len(x.shape) == 2 else self.reshape(x, (x.shape[0], inputs))
        flat = tf.raw_ops.MatMul(a=flat, b=self._weights[f"{name}/kernel"])
        return tf.raw_ops.BiasAdd(value=flat, bias=self._weights[f"{name}/bias"])

    def flat(self, x: tf.Tensor) -> tf.Tensor:
        """As a vector."""
        return x if len(x.shape) == 1 else self.reshape(x, (-1,))

    def _every_second(self, x: tf.Tensor, first: int) -> tf.Tensor:
        """As a slice of `[B * height / 2, 2, width / 2, 2 * channels]`, for a strided slice has a slow gradient."""
        batch, height, width, channels = x.shape
        if height % 2 or width % 2:
            x = tf.raw_ops.Pad(input=x, paddings=[[0, 0], [0, height % 2], [0, width % 2], [0, 0]])
        height, width = -(-height // 2), -(-width // 2)
        x = self.reshape(x, (batch * height, 2, width, 2 * channels))
        x = tf.raw_ops.Slice(input=x, begin=[0, first, 0, first * channels], size=[batch * height, 1, width, channels])
        return self.reshape(x, (batch, height, width, channels))

    def reshape(self, x: tf.Tensor, shape: tuple[int, ...]) -> tf.Tensor:
        # Half of the nodes were constants: one for each shape is enough.
        if shape not in self._shapes:
            self._shapes[shape] = tf.constant(shape, tf.int32)
        return tf.raw_ops.Reshape(tensor=x, shape=self._shapes[shape])
